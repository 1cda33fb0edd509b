/* Accounts and transfers between them: the usual benchmark, and a small example of errors. */
#include <lightcone/module.h>

LC_STRUCT(Account, (u32, id), (i64, balance))

/* Accounts are only ever looked up by their exact number, so a hash index is enough. */
LC_TABLE(accounts, Account, PUBLIC, (primary_key, id, hash))

/* Empties the table and opens the accounts 0 .. n-1, in one transaction. */
LC_REDUCER(seed, (u32, n), (i64, balance))
{
    accounts_clear();
    for (uint32_t id = 0; id < n; id++)
        LC_TRY(accounts_insert(&(Account){.id = id, .balance = balance}));
    return LC_OK;
}

LC_REDUCER(transfer, (u32, from), (u32, to), (i64, amount))
{
    if (amount <= 0) return LC_ERR("the amount must be positive, not %lld", amount);
    if (from == to) return LC_ERR("account %u cannot pay itself", from);

    Account payer, payee;
    if (!accounts_find_id(from, &payer)) return LC_ERR("no account %u", from);
    if (!accounts_find_id(to, &payee)) return LC_ERR("no account %u", to);
    if (payer.balance < amount)
        return LC_ERR("account %u has %lld, which does not cover %lld", from, payer.balance,
                      amount);
    payer.balance -= amount;
    if (__builtin_add_overflow(payee.balance, amount, &payee.balance))
        return LC_ERR("account %u cannot hold %lld more", to, amount);

    LC_TRY(accounts_update(&payer));
    LC_TRY(accounts_update(&payee));
    return LC_OK;
}
