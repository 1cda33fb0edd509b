/* A chat room: who is there, and what was said. */
#include <lightcone/module.h>

LC_STRUCT(User, (identity, id), (opt_string, name), (bool, online))
LC_STRUCT(Message, (u64, id), (identity, sender), (timestamp, sent), (string, text))

/* One user may be here several times: two tabs, or a tab and the command line. */
LC_STRUCT(Session, (connection_id, connection), (identity, user))

LC_TABLE(user, User, PUBLIC, (primary_key, id), (index, online))
LC_TABLE(message, Message, PUBLIC, (primary_key, id, auto_inc), (index, sender))
LC_TABLE(session, Session, PRIVATE, (primary_key, connection), (index, user))

enum { NAME_MAX = 64, TEXT_MAX = 4096 };

static bool blank(lc_str s)
{
    for (uint32_t i = 0; i < s.len; i++)
        if ((uint8_t)s.ptr[i] > ' ') return false;
    return true;
}

LC_REDUCER(set_name, (string, name))
{
    if (blank(name)) return LC_ERR("names must not be empty");
    if (name.len > NAME_MAX) return LC_ERR("names may have at most %d bytes", NAME_MAX);
    User u;
    if (!user_find_id(ctx->sender, &u)) return LC_ERR("unknown user");
    u.name = lc_some(string, name);
    LC_TRY(user_update(&u));
    return LC_OK;
}

LC_REDUCER(send_message, (string, text))
{
    if (blank(text)) return LC_ERR("messages must not be empty");
    if (text.len > TEXT_MAX) return LC_ERR("messages may have at most %d bytes", TEXT_MAX);
    LC_TRY(message_insert(&(Message){.sender = ctx->sender, .sent = ctx->timestamp, .text = text}));
    return LC_OK;
}

LC_CONNECTED(client_connected)
{
    LC_TRY(session_insert(&(Session){.connection = ctx->connection_id, .user = ctx->sender}));
    User u;
    if (user_find_id(ctx->sender, &u)) {
        u.online = true;
        LC_TRY(user_update(&u));
    } else {
        LC_TRY(user_insert(&(User){.id = ctx->sender, .online = true}));
    }
    return LC_OK;
}

LC_DISCONNECTED(client_disconnected)
{
    session_delete_connection(ctx->connection_id);
    LC_FOR(session, other, session_by_user(ctx->sender)) return LC_OK; /* still here elsewhere */
    User u;
    if (user_find_id(ctx->sender, &u)) {
        u.online = false;
        LC_TRY(user_update(&u));
    } else {
        lc_warn("disconnect of an unknown user");
    }
    return LC_OK;
}
