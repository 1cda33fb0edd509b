#include "database/lc_message.h"

lc_message *lc_message_create(size_t len)
{
    LC_ASSERT(len <= UINT32_MAX);
    lc_message *m = lc_alloc(sizeof *m + len);
    atomic_init(&m->refs, 1);
    m->len = (uint32_t)len;
    atomic_init(&m->compressed[0], NULL);
    atomic_init(&m->compressed[1], NULL);
    return m;
}

lc_message *lc_message_of(lc_span bytes)
{
    lc_message *m = lc_message_create(bytes.len);
    if (bytes.len) memcpy(m->bytes, bytes.ptr, bytes.len);
    return m;
}

void lc_message_unref(lc_message *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1) return;
    lc_message_unref(atomic_load_explicit(&m->compressed[0], memory_order_relaxed));
    lc_message_unref(atomic_load_explicit(&m->compressed[1], memory_order_relaxed));
    lc_free(m);
}

lc_delivery_batch *lc_delivery_batch_create(struct lc_database *database)
{
    lc_delivery_batch *b = lc_alloc_zero(sizeof *b);
    b->database = database;
    return b;
}

void lc_delivery_batch_destroy(lc_delivery_batch *b)
{
    if (!b) return;
    for (size_t i = b->cursor; i < b->items.len; i++) lc_message_unref(b->items.items[i].message);
    lc_vec_deinit(&b->items);
    lc_buf_deinit(&b->bytes);
    lc_free(b);
}
