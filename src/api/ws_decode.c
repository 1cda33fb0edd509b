/*
 * Client messages, binary (03 sections 4.1 and 6.1).
 */
#include "api/protocol.h"

static lc_span copy_string(lc_request_batch *b, lc_reader *r)
{
    return lc_request_copy(b, lc_read_string(r));
}

/* array of strings -> texts of the request */
static void read_texts(lc_request_batch *b, lc_request *q, lc_reader *r)
{
    uint32_t count = lc_read_u32(r);
    /* Not more than there can be, whatever the count says; the one that is missing is then told. */
    size_t most = (size_t)(r->end - r->at) / 4 + 1;
    size_t size = (count < most ? count + 1 : most) * sizeof(lc_span);
    lc_span *texts = lc_arena_alloc(&b->arena, size);
    b->text_bytes += size;
    for (uint32_t i = 0; i < count && !r->failed; i++) texts[i] = copy_string(b, r);
    q->texts = texts;
    q->text_count = count;
}

/* A malformed message leaves the batch as it was, but for what it copied into the arena. */
typedef struct batch_mark {
    lc_request **last;
    uint32_t count;
} batch_mark;

static lc_request *begin(lc_request_batch *b, lc_client *c, lc_request_kind kind, batch_mark *mark)
{
    *mark = (batch_mark){b->last, b->count};
    return lc_request_add(b, kind, c);
}

static lc_status end(lc_request_batch *b, const lc_reader *r, const batch_mark *mark)
{
    if (!r->failed) return LC_OK;
    *mark->last = NULL;
    b->last = mark->last;
    b->count = mark->count;
    return LC_E_INVALID;
}

/* ------------------------------------------------------------------------- v2 */

enum { V2_SUBSCRIBE, V2_UNSUBSCRIBE, V2_ONE_OFF, V2_CALL_REDUCER, V2_CALL_PROCEDURE, V2_COUNT };

static void read_v2_call(lc_request_batch *b, lc_request *q, lc_reader *r, const char *what)
{
    q->request_id = lc_read_u32(r);
    q->flags = lc_read_u8(r);
    if (q->flags != 0 && !r->failed) lc_read_fail(r, "invalid call %s flag %u", what, q->flags);
    q->name = copy_string(b, r);
    q->args = lc_request_copy(b, lc_read_bytes(r));
}

static lc_status decode_one_v2(lc_request_batch *b, lc_client *c, lc_reader *r)
{
    static const lc_request_kind kinds[V2_COUNT] = {
        LC_REQUEST_SUBSCRIBE, LC_REQUEST_UNSUBSCRIBE, LC_REQUEST_ONE_OFF,
        LC_REQUEST_CALL,      LC_REQUEST_PROCEDURE,
    };
    uint8_t tag = lc_read_tag(r, V2_COUNT, "ClientMessage");
    if (r->failed) return LC_E_INVALID;
    batch_mark mark;
    lc_request *q = begin(b, c, kinds[tag], &mark);
    q->live_kind = LC_LIVE_SET;
    switch (tag) {
    case V2_SUBSCRIBE:
        q->request_id = lc_read_u32(r);
        q->id = lc_read_u32(r);
        read_texts(b, q, r);
        break;
    case V2_UNSUBSCRIBE:
        q->request_id = lc_read_u32(r);
        q->id = lc_read_u32(r);
        q->flags = lc_read_tag(r, 2, "UnsubscribeFlags");
        break;
    case V2_ONE_OFF:
        q->request_id = lc_read_u32(r);
        q->name = copy_string(b, r);
        break;
    case V2_CALL_REDUCER:
        read_v2_call(b, q, r, "reducer");
        break;
    case V2_CALL_PROCEDURE:
        read_v2_call(b, q, r, "procedure");
        break;
    }
    return end(b, r, &mark);
}

lc_status lc_ws_decode_v2(lc_request_batch *b, lc_client *c, lc_span data, lc_error *err)
{
    lc_reader r = lc_reader_of(data, err);
    return decode_one_v2(b, c, &r);
}

lc_status lc_ws_decode_v3(lc_request_batch *b, lc_client *c, lc_span data, lc_error *err)
{
    if (data.len == 0)
        return lc_error_set(err, LC_E_INVALID,
                            "v3 websocket binary payload must contain at least one v2 client "
                            "message");
    lc_reader r = lc_reader_of(data, err);
    lc_status rc = LC_OK;
    while (rc == LC_OK && r.at < r.end) rc = decode_one_v2(b, c, &r);
    return rc;
}

/* ------------------------------------------------------------------------- v1 */

enum {
    V1_CALL_REDUCER,
    V1_SUBSCRIBE,
    V1_ONE_OFF,
    V1_SUBSCRIBE_SINGLE,
    V1_SUBSCRIBE_MULTI,
    V1_UNSUBSCRIBE,
    V1_UNSUBSCRIBE_MULTI,
    V1_CALL_PROCEDURE,
    V1_COUNT,
};

static void read_v1_call(lc_request_batch *b, lc_request *q, lc_reader *r, const char *what,
                         uint8_t max_flag)
{
    q->name = copy_string(b, r);
    q->args = lc_request_copy(b, lc_read_bytes(r));
    q->request_id = lc_read_u32(r);
    q->flags = lc_read_u8(r);
    if (q->flags > max_flag && !r->failed)
        lc_read_fail(r, "invalid call %s flag %u", what, q->flags);
}

static void read_v1_single(lc_request_batch *b, lc_request *q, lc_reader *r)
{
    lc_span *text = lc_arena_alloc(&b->arena, sizeof *text);
    *text = copy_string(b, r);
    q->texts = text;
    q->text_count = 1;
    q->request_id = lc_read_u32(r);
    q->id = lc_read_u32(r);
    q->live_kind = LC_LIVE_SINGLE;
}

lc_status lc_ws_decode_v1(lc_request_batch *b, lc_client *c, lc_span data, lc_error *err)
{
    static const lc_request_kind kinds[V1_COUNT] = {
        LC_REQUEST_CALL,      LC_REQUEST_SUBSCRIBE,   LC_REQUEST_ONE_OFF,     LC_REQUEST_SUBSCRIBE,
        LC_REQUEST_SUBSCRIBE, LC_REQUEST_UNSUBSCRIBE, LC_REQUEST_UNSUBSCRIBE, LC_REQUEST_PROCEDURE,
    };
    lc_reader rd = lc_reader_of(data, err), *r = &rd;
    uint8_t tag = lc_read_tag(r, V1_COUNT, "ClientMessage");
    if (r->failed) return LC_E_INVALID;
    batch_mark mark;
    lc_request *q = begin(b, c, kinds[tag], &mark);
    switch (tag) {
    case V1_CALL_REDUCER:
        read_v1_call(b, q, r, "reducer", 1);
        break;
    case V1_CALL_PROCEDURE:
        read_v1_call(b, q, r, "procedure", 0);
        break;
    case V1_SUBSCRIBE:
        q->live_kind = LC_LIVE_LEGACY;
        read_texts(b, q, r);
        q->request_id = lc_read_u32(r);
        break;
    case V1_ONE_OFF:
        q->args = lc_request_copy(b, lc_read_bytes(r));
        q->name = copy_string(b, r);
        break;
    case V1_SUBSCRIBE_SINGLE:
        read_v1_single(b, q, r);
        break;
    case V1_SUBSCRIBE_MULTI:
        q->live_kind = LC_LIVE_MULTI;
        read_texts(b, q, r);
        q->request_id = lc_read_u32(r);
        q->id = lc_read_u32(r);
        break;
    case V1_UNSUBSCRIBE:
    case V1_UNSUBSCRIBE_MULTI:
        q->live_kind = tag == V1_UNSUBSCRIBE ? LC_LIVE_SINGLE : LC_LIVE_MULTI;
        q->request_id = lc_read_u32(r);
        q->id = lc_read_u32(r);
        break;
    }
    return end(b, r, &mark);
}
