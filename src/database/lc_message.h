/*
 * Messages on their way out: what the executor hands to the I/O loops.
 *
 * An lc_message is one complete outgoing message, immutable and reference-counted, so that a
 * thousand subscribers of one query share one encoding, and one compression of it.
 *
 * Deliveries travel in batches, from one executor to one sink (an I/O loop): small messages lie
 * inline in the batch, larger or shared ones are referenced. A batch is either *immediate* or
 * *held*. Items of a held batch carry `need`, the number of transactions that must be durable
 * before they may go out; needs never decrease along the held batches of one database. A client's
 * deliveries go all through held batches (confirmed) or all through immediate ones, so its order is
 * kept.
 *
 * Lost wake-ups. The executor posts a held batch *before* it submits the records it waits for to
 * the log, and does not wake the sink; the log's writer, after raising the durable count,
 * wakes every sink of the database. When nothing is left to become durable the executor wakes it
 * itself.
 */
#ifndef LC_MESSAGE_H
#define LC_MESSAGE_H

#include "sats/lc_sats.h"

typedef struct lc_message lc_message;
struct lc_message {
    atomic_int refs;
    uint32_t len;
    /* Compressed forms, made by whichever loop needs one first: 0 brotli, 1 gzip. Each is a
     * complete lc_message that this one owns. */
    _Atomic(lc_message *) compressed[2];
    uint8_t bytes[];
};

/* One reference; bytes to be filled by the caller before it is shared. */
lc_message *lc_message_create(size_t len);
lc_message *lc_message_of(lc_span bytes);
static inline lc_message *lc_message_ref(lc_message *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}
void lc_message_unref(lc_message *m);

typedef enum lc_delivery_kind {
    LC_DELIVERY_DATA,  /* one message for a connection */
    LC_DELIVERY_CLOSE, /* close the connection: code in inline bytes (u16), then the reason */
    LC_DELIVERY_GONE,  /* last delivery of a connection: the executor has forgotten the client */
} lc_delivery_kind;

typedef struct lc_delivery {
    void *target;        /* connection as given to lc_client_create */
    uint64_t need;       /* transactions that must be durable first; 0 = none */
    lc_message *message; /* owned reference, or NULL: inline */
    uint32_t at, len;    /* inline bytes: bytes.ptr[at .. at+len) of the batch */
    lc_delivery_kind kind;
} lc_delivery;

typedef struct lc_delivery_batch lc_delivery_batch;
struct lc_delivery_batch {
    lc_delivery_batch *next;      /* for queues of whoever owns it */
    struct lc_database *database; /* whose durable count the needs refer to */
    lc_buf bytes;
    LC_VEC(lc_delivery) items;
    size_t cursor; /* sink: items before it are done */
};
lc_delivery_batch *lc_delivery_batch_create(struct lc_database *database);
/* Drops the message references that are still held by items from cursor on. */
void lc_delivery_batch_destroy(lc_delivery_batch *b);

/* One I/O loop as an executor sees it. Callable from any thread. */
typedef struct lc_sink lc_sink;
struct lc_sink {
    /* Takes the batch. held as above; wake: make the loop look soon. */
    void (*post)(lc_sink *self, lc_delivery_batch *batch, bool held, bool wake);
    /* The durable count of some database rose: look at the held batches. */
    void (*wake)(lc_sink *self);
};

#endif
