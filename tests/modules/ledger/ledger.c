/* Money that leaves a trace: every transfer is also a row, so that after a crash one can see
 * whether each is there as a whole. */
#include <lightcone/module.h>

LC_STRUCT(Account, (u32, id), (i64, balance))
LC_STRUCT(Entry, (u64, id), (u32, client), (u32, seq), (u32, from), (u32, to), (i64, amount))
LC_STRUCT(Session, (connection_id, connection))

LC_TABLE(accounts, Account, PUBLIC, (primary_key, id))
LC_TABLE(ledger, Entry, PUBLIC, (primary_key, id), (index, client))
LC_TABLE(sessions, Session, PUBLIC, (primary_key, connection))

LC_REDUCER(seed, (u32, n), (i64, balance))
{
    accounts_clear();
    ledger_clear();
    for (uint32_t id = 0; id < n; id++)
        LC_TRY(accounts_insert(&(Account){.id = id, .balance = balance}));
    return LC_OK;
}

/* The row comes between the two halves of the payment. */
LC_REDUCER(transfer, (u32, client), (u32, seq), (u32, from), (u32, to), (i64, amount))
{
    Account payer, payee;
    if (!accounts_find_id(from, &payer) || !accounts_find_id(to, &payee) || from == to)
        return LC_ERR("no such payment");
    payer.balance -= amount;
    payee.balance += amount;
    LC_TRY(accounts_update(&payer));
    LC_TRY(ledger_insert(&(Entry){.id = (uint64_t)client << 32 | seq,
                                  .client = client,
                                  .seq = seq,
                                  .from = from,
                                  .to = to,
                                  .amount = amount}));
    LC_TRY(accounts_update(&payee));
    return LC_OK;
}

LC_CONNECTED(client_connected)
{
    LC_TRY(sessions_insert(&(Session){.connection = ctx->connection_id}));
    return LC_OK;
}

LC_DISCONNECTED(client_disconnected)
{
    sessions_delete_connection(ctx->connection_id);
    return LC_OK;
}
