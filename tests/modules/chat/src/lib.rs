//! Twin of `examples/chat` for the crate `spacetimedb`: both modules must behave alike.

use spacetimedb::{reducer, table, ConnectionId, Identity, ReducerContext, Table, Timestamp};

#[table(accessor = user, public)]
pub struct User {
    #[primary_key]
    pub id: Identity,
    pub name: Option<String>,
    #[index(btree)]
    pub online: bool,
}

#[table(accessor = message, public)]
pub struct Message {
    #[primary_key]
    #[auto_inc]
    pub id: u64,
    #[index(btree)]
    pub sender: Identity,
    pub sent: Timestamp,
    pub text: String,
}

/// One user may be here several times: two tabs, or a tab and the command line.
#[table(accessor = session)]
pub struct Session {
    #[primary_key]
    pub connection: ConnectionId,
    #[index(btree)]
    pub user: Identity,
}

const NAME_MAX: usize = 64;
const TEXT_MAX: usize = 4096;

fn blank(s: &str) -> bool {
    s.bytes().all(|c| c <= b' ')
}

#[reducer]
pub fn set_name(ctx: &ReducerContext, name: String) -> Result<(), String> {
    if blank(&name) {
        return Err("names must not be empty".into());
    }
    if name.len() > NAME_MAX {
        return Err(format!("names may have at most {NAME_MAX} bytes"));
    }
    let Some(user) = ctx.db.user().id().find(ctx.sender()) else {
        return Err("unknown user".into());
    };
    ctx.db.user().id().update(User { name: Some(name), ..user });
    Ok(())
}

#[reducer]
pub fn send_message(ctx: &ReducerContext, text: String) -> Result<(), String> {
    if blank(&text) {
        return Err("messages must not be empty".into());
    }
    if text.len() > TEXT_MAX {
        return Err(format!("messages may have at most {TEXT_MAX} bytes"));
    }
    ctx.db.message().insert(Message { id: 0, sender: ctx.sender(), sent: ctx.timestamp, text });
    Ok(())
}

#[reducer(client_connected)]
pub fn client_connected(ctx: &ReducerContext) {
    let connection = ctx.connection_id().expect("a client has a connection");
    ctx.db.session().insert(Session { connection, user: ctx.sender() });
    match ctx.db.user().id().find(ctx.sender()) {
        Some(user) => {
            ctx.db.user().id().update(User { online: true, ..user });
        }
        None => {
            ctx.db.user().insert(User { id: ctx.sender(), name: None, online: true });
        }
    }
}

#[reducer(client_disconnected)]
pub fn client_disconnected(ctx: &ReducerContext) {
    let connection = ctx.connection_id().expect("a client has a connection");
    ctx.db.session().connection().delete(connection);
    if ctx.db.session().user().filter(ctx.sender()).next().is_some() {
        return; // still here elsewhere
    }
    match ctx.db.user().id().find(ctx.sender()) {
        Some(user) => {
            ctx.db.user().id().update(User { online: false, ..user });
        }
        None => log::warn!("disconnect of an unknown user"),
    }
}
