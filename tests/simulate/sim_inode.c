#include "sim_inode.h"

#define TRUNCATION UINT64_MAX

bool sim_crash_keeps(const sim_crash *c, uint64_t order)
{
    switch (c->fate) {
    case SIM_FATE_ALL:
        return true;
    case SIM_FATE_NONE:
        return false;
    case SIM_FATE_PREFIX:
        return order < c->until;
    case SIM_FATE_ANY:
        break;
    }
    return order < c->until || sim_permille(c->random, c->permille);
}

sim_inode *sim_inode_create(void)
{
    return lc_alloc_zero(sizeof(sim_inode));
}

void sim_inode_destroy(sim_inode *n)
{
    lc_buf_deinit(&n->now);
    lc_buf_deinit(&n->durable);
    lc_vec_deinit(&n->changes);
    lc_free(n);
}

static void resize(lc_buf *b, uint64_t size)
{
    if (size > b->len) memset(lc_buf_reserve(b, size - b->len), 0, size - b->len);
    b->len = size;
}

static void put(lc_buf *b, const void *bytes, size_t len, uint64_t at)
{
    if (at + len > b->len) resize(b, at + len);
    memcpy(b->ptr + at, bytes, len);
}

static sim_change *add_change(sim_inode *n)
{
    if (n->changes.len == n->changes.cap)
        lc_vec_grow((void **)&n->changes.items, &n->changes.cap, n->changes.len + 1,
                    sizeof(sim_change));
    return &n->changes.items[n->changes.len++];
}

void sim_inode_write(sim_inode *n, const void *bytes, size_t len, uint64_t at, uint64_t order)
{
    if (len == 0) return;
    put(&n->now, bytes, len, at);
    uint64_t first = at / SIM_SECTOR, end = (at + len + SIM_SECTOR - 1) / SIM_SECTOR;
    for (uint64_t s = first; s < end; s++) {
        sim_change *c = add_change(n);
        c->order = order;
        c->sector = s;
        c->size = n->now.len;
        c->is_first = s == first;
        uint64_t from = s * SIM_SECTOR;
        size_t part = n->now.len - from < SIM_SECTOR ? n->now.len - from : SIM_SECTOR;
        memcpy(c->bytes, n->now.ptr + from, part);
        memset(c->bytes + part, 0, SIM_SECTOR - part);
    }
}

void sim_inode_truncate(sim_inode *n, uint64_t size, uint64_t order)
{
    if (size == n->now.len) return;
    resize(&n->now, size);
    sim_change *c = add_change(n);
    c->order = order;
    c->sector = TRUNCATION;
    c->size = size;
    c->is_first = true;
}

/* Applies every change to the bytes, in order. */
static void apply_all(const sim_inode *n, lc_buf *b)
{
    for (size_t i = 0; i < n->changes.len; i++) {
        const sim_change *c = &n->changes.items[i];
        if (c->sector == TRUNCATION) {
            resize(b, c->size);
            continue;
        }
        uint64_t from = c->sector * SIM_SECTOR;
        size_t part = c->size - from < SIM_SECTOR ? c->size - from : SIM_SECTOR;
        put(b, c->bytes, part, from);
        if (c->size > b->len) resize(b, c->size);
    }
}

void sim_inode_sync(sim_inode *n)
{
    apply_all(n, &n->durable);
    n->changes.len = 0;
}

/* What the disk holds when only a part of the changes reached it. */
typedef struct partial {
    const sim_crash *crash;
    lc_buf *bytes;
    uint64_t size;
    uint64_t lost_from; /* behind a lost truncation nothing new is kept */
} partial;

static void apply_truncation(partial *p, const sim_change *c)
{
    if (p->lost_from != UINT64_MAX) return;
    if (sim_crash_keeps(p->crash, c->order)) {
        if (c->size < p->bytes->len) resize(p->bytes, c->size);
        p->size = c->size;
    } else if (c->size < p->size) {
        p->lost_from = c->size;
    }
}

/* One write: `count` changes. */
static void apply_write(partial *p, const sim_change *c, size_t count)
{
    bool is_whole = true;
    for (size_t i = 0; i < count; i++) {
        bool is_kept =
            sim_crash_keeps(p->crash, c[i].order) &&
            (p->lost_from == UINT64_MAX || (c[i].sector + 1) * SIM_SECTOR <= p->lost_from);
        if (is_kept)
            put(p->bytes, c[i].bytes, SIM_SECTOR, c[i].sector * SIM_SECTOR);
        else
            is_whole = false;
    }
    if (p->lost_from != UINT64_MAX || !sim_crash_keeps(p->crash, c->order)) return;
    uint64_t size = is_whole ? c->size : c->size / SIM_SECTOR * SIM_SECTOR;
    if (size > p->size) p->size = size;
}

static void apply_some(const sim_inode *n, const sim_crash *crash, lc_buf *b)
{
    if (n->changes.len == 0) return;
    partial p = {crash, b, b->len, UINT64_MAX};
    const sim_change *c = n->changes.items, *end = c + n->changes.len;
    while (c < end) {
        size_t count = 1;
        while (c + count < end && !c[count].is_first) count++;
        if (c->sector == TRUNCATION)
            apply_truncation(&p, c);
        else
            apply_write(&p, c, count);
        c += count;
    }
    resize(b, p.size);
}

void sim_inode_sync_failed(sim_inode *n, const sim_crash *crash)
{
    apply_some(n, crash, &n->durable);
    n->changes.len = 0;
    n->is_lying = true;
    n->failures++;
}

static void read_from_disk(sim_inode *n)
{
    lc_buf_reset(&n->now);
    lc_buf_put_span(&n->now, lc_buf_span(&n->durable));
    n->is_lying = false;
}

void sim_inode_power_off(sim_inode *n, const sim_crash *crash)
{
    if (n->changes.len == 0 && !n->is_lying) return;
    apply_some(n, crash, &n->durable);
    n->changes.len = 0;
    read_from_disk(n);
}

void sim_inode_kill(sim_inode *n)
{
    if (!n->is_lying) return;
    read_from_disk(n);
    apply_all(n, &n->now);
}

uint64_t sim_inode_synced(const sim_inode *n)
{
    uint64_t most = n->now.len < n->durable.len ? n->now.len : n->durable.len;
    for (uint64_t i = 0; i < most; i++)
        if (n->now.ptr[i] != n->durable.ptr[i]) return i;
    return most;
}
