/*
 * Client messages of v1.json (03 sections 5.1 and 5.2a): SATS-JSON, so structs may be objects or
 * arrays and sums objects or pairs. The text is first turned into the BSATN of the v1 ClientMessage
 * type by the one typed JSON reader of the house, then decoded like a binary message; only the
 * arguments, which are JSON text inside the message, are marked as such.
 */
#include "api/protocol.h"

#include <pthread.h>

/* The v1 ClientMessage as a type; built once, never freed: it belongs to the program. */
static const lc_type *client_message_type;
static lc_json_shape shapes[12];
static uint32_t shape_count;
static lc_arena type_arena;
static pthread_once_t type_once = PTHREAD_ONCE_INIT;

static lc_type_member member(const char *name, const lc_type *type)
{
    return (lc_type_member){lc_span_of_str(name), type};
}

static const lc_type *shaped(const char *name, const lc_type *type, uint8_t max_flag)
{
    LC_ASSERT(shape_count < LC_ARRAY_LEN(shapes));
    shapes[shape_count++] = (lc_json_shape){type, name, max_flag};
    return type;
}

static const lc_type *product(const char *name, const lc_type_member *members, uint32_t count)
{
    return shaped(name, lc_type_new_product(&type_arena, members, count), 0);
}

/* A type of its own, so that the reader knows it from other bytes. */
static const lc_type *flag(const char *name, uint8_t max)
{
    lc_type *type = lc_arena_alloc(&type_arena, sizeof *type);
    *type = *lc_type_scalar(LC_TYPE_U8);
    return shaped(name, type, max);
}

static void build_type(void)
{
    const lc_type *u32 = lc_type_scalar(LC_TYPE_U32);
    const lc_type *text = lc_type_scalar(LC_TYPE_STRING);
    const lc_type *texts = lc_type_new_array(&type_arena, text);
    lc_type_member id[] = {member("id", u32)};
    const lc_type *query_id = product("QuerySetId", id, 1);
    lc_type_member call_reducer[] = {member("reducer", text), member("args", text),
                                     member("request_id", u32),
                                     member("flags", flag("call reducer flag", 1))};
    lc_type_member call_procedure[] = {member("procedure", text), member("args", text),
                                       member("request_id", u32),
                                       member("flags", flag("call procedure flag", 0))};
    lc_type_member subscribe[] = {member("query_strings", texts), member("request_id", u32)};
    lc_type_member one_off[] = {member("message_id", lc_type_bytes()),
                                member("query_string", text)};
    lc_type_member single[] = {member("query", text), member("request_id", u32),
                               member("query_id", query_id)};
    lc_type_member multi[] = {member("query_strings", texts), member("request_id", u32),
                              member("query_id", query_id)};
    lc_type_member unsubscribe[] = {member("request_id", u32), member("query_id", query_id)};
    lc_type_member variants[] = {
        member("CallReducer", product("CallReducer", call_reducer, 4)),
        member("Subscribe", product("Subscribe", subscribe, 2)),
        member("OneOffQuery", product("OneOffQuery", one_off, 2)),
        member("SubscribeSingle", product("SubscribeSingle", single, 3)),
        member("SubscribeMulti", product("SubscribeMulti", multi, 3)),
        member("Unsubscribe", product("Unsubscribe", unsubscribe, 2)),
        member("UnsubscribeMulti", product("UnsubscribeMulti", unsubscribe, 2)),
        member("CallProcedure", product("CallProcedure", call_procedure, 4)),
    };
    client_message_type =
        shaped("ClientMessage", lc_type_new_sum(&type_arena, variants, LC_ARRAY_LEN(variants)), 0);
}

lc_status lc_ws_decode_v1_json(lc_request_batch *b, lc_client *c, lc_span text, lc_error *err)
{
    pthread_once(&type_once, build_type);
    lc_buf bsatn = LC_BUF_INIT;
    lc_status rc =
        lc_json_message_to_bsatn(client_message_type, shapes, shape_count, text, &bsatn, err);
    lc_request **last = b->last;
    if (rc == LC_OK) rc = lc_ws_decode_v1(b, c, lc_buf_span(&bsatn), err);
    lc_buf_deinit(&bsatn);
    if (rc == LC_OK) (*last)->args_are_json = (*last)->kind != LC_REQUEST_ONE_OFF;
    return rc;
}
