/*
 * The WebSocket protocols: messages in (ws_decode*.c, on the loop) and out (protocol_*.c, on the
 * executor). Layouts: spec chapter 03 sections 2, 4, 5, 6.
 */
#ifndef LC_API_PROTOCOL_H
#define LC_API_PROTOCOL_H

#include "api/api_internal.h"

extern const lc_protocol lc_protocol_v1_json;
extern const lc_protocol lc_protocol_v1;
extern const lc_protocol lc_protocol_v2; /* also v3: the messages are the same */

#define LC_FATAL_CLOSE_CODE 1011

/* Decodes one message of the client into requests of the batch. The error's text is the reason of
 * the Close frame. v3: data may hold several messages; those before a malformed one stand. */
lc_status lc_ws_decode_v1(lc_request_batch *b, lc_client *c, lc_span data, lc_error *err);
lc_status lc_ws_decode_v1_json(lc_request_batch *b, lc_client *c, lc_span text, lc_error *err);
lc_status lc_ws_decode_v2(lc_request_batch *b, lc_client *c, lc_span data, lc_error *err);
lc_status lc_ws_decode_v3(lc_request_batch *b, lc_client *c, lc_span data, lc_error *err);

/* BsatnRowList (03 section 2.1) of spans, or of a rowset. */
void lc_row_list_of_spans(const lc_span *rows, uint32_t count, lc_buf *out);
void lc_row_list_of_rowset(const lc_rowset *rows, lc_buf *out);

/* What one protocol remembers of a query's newest change: lc_live_query.user[slot]. */
typedef struct lc_change_cache {
    uint64_t serial;
    lc_buf bytes;      /* the encoded change */
    lc_message *whole; /* complete update message for a client with only this change, */
    uint32_t set_id;   /* under this set id */
} lc_change_cache;
/* The cache of the query; *is_fresh: bytes already hold this change, else they are empty. */
lc_change_cache *lc_change_cache_of(const lc_live_change *change, uint8_t slot, bool *is_fresh);
void lc_change_cache_drop(void *cache);

#endif
