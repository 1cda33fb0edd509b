//! Twin of `tick.c` beside this crate, for the crate `spacetimedb`: rows that the load programs move.

use spacetimedb::{reducer, table, ReducerContext, Table};

#[table(accessor = tick, public)]
pub struct Tick {
    #[primary_key]
    pub id: u32,
    #[index(btree)]
    pub x: i32,
    pub y: i32,
    pub z: i32,
}

const ROWS: u32 = 1000;

#[reducer(init)]
pub fn init(ctx: &ReducerContext) {
    for id in 0..ROWS {
        ctx.db.tick().insert(Tick { id, x: 0, y: 0, z: 0 });
    }
}

/// Sets x, y and z of the rows 0..n-1 to v; rows that are missing are made.
#[reducer]
pub fn step(ctx: &ReducerContext, n: u32, v: i32) {
    for id in 0..n {
        let row = Tick { id, x: v, y: v, z: v };
        if ctx.db.tick().id().find(id).is_some() {
            ctx.db.tick().id().update(row);
        } else {
            ctx.db.tick().insert(row);
        }
    }
}

#[reducer]
pub fn mv(ctx: &ReducerContext, id: u32, x: i32) -> Result<(), String> {
    let row = ctx.db.tick().id().find(id).ok_or_else(|| format!("no row {id}"))?;
    ctx.db.tick().id().update(Tick { x, ..row });
    Ok(())
}
