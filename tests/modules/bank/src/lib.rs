//! Twin of `examples/bank` for the crate `spacetimedb`: both modules must behave alike.

use spacetimedb::{reducer, table, ReducerContext, Table};

#[table(accessor = accounts, public)]
pub struct Account {
    #[primary_key]
    #[index(hash)]
    pub id: u32,
    pub balance: i64,
}

#[reducer]
pub fn seed(ctx: &ReducerContext, n: u32, balance: i64) {
    let ids: Vec<u32> = ctx.db.accounts().iter().map(|a| a.id).collect();
    for id in ids {
        ctx.db.accounts().id().delete(id);
    }
    for id in 0..n {
        ctx.db.accounts().insert(Account { id, balance });
    }
}

#[reducer]
pub fn transfer(ctx: &ReducerContext, from: u32, to: u32, amount: i64) -> Result<(), String> {
    if amount <= 0 {
        return Err(format!("the amount must be positive, not {amount}"));
    }
    if from == to {
        return Err(format!("account {from} cannot pay itself"));
    }
    let mut payer = ctx.db.accounts().id().find(from).ok_or_else(|| format!("no account {from}"))?;
    let mut payee = ctx.db.accounts().id().find(to).ok_or_else(|| format!("no account {to}"))?;
    if payer.balance < amount {
        return Err(format!("account {from} has {}, which does not cover {amount}", payer.balance));
    }
    payer.balance -= amount;
    payee.balance = match payee.balance.checked_add(amount) {
        Some(sum) => sum,
        None => return Err(format!("account {to} cannot hold {amount} more")),
    };
    ctx.db.accounts().id().update(payer);
    ctx.db.accounts().id().update(payee);
    Ok(())
}
