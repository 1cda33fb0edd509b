/* Hash maps: linear probing, at most 3/4 full, and removal by shifting back instead of tombstones,
 * so that a map that lives long does not silt up. */
#include "base_internal.h"

enum { FIRST_CAP = 16 };

static inline bool too_full(size_t len, size_t cap)
{
    return (len + 1) * 4 > cap * 3;
}

/* May the entry whose home is `home` move from `from` back to the hole? Only if its home does not
 * lie behind the hole on the circle. */
static inline bool may_move(size_t home, size_t hole, size_t from, size_t mask)
{
    return ((from - home) & mask) >= ((from - hole) & mask);
}

/* ------------------------------------------------------------- byte keys */

/* Slot of the key, or the free slot where it would go. */
static size_t find_slot(const lc_map *m, uint64_t hash, lc_span key)
{
    size_t mask = m->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        const lc_map_entry *e = &m->slots[i];
        if (!e->key.ptr) return i;
        if (e->hash == hash && lc_span_equal(e->key, key)) return i;
    }
}

static void grow(lc_map *m)
{
    lc_map_entry *old = m->slots;
    size_t old_cap = m->cap;
    m->cap = old_cap ? old_cap * 2 : FIRST_CAP;
    m->slots = lc_alloc_zero(m->cap * sizeof *m->slots);
    size_t mask = m->cap - 1;
    for (size_t i = 0; i < old_cap; i++) {
        if (!old[i].key.ptr) continue;
        size_t to = old[i].hash & mask;
        while (m->slots[to].key.ptr) to = (to + 1) & mask;
        m->slots[to] = old[i];
    }
    lc_free(old);
}

void lc_map_deinit(lc_map *m)
{
    for (size_t i = 0; i < m->cap; i++) lc_free((void *)m->slots[i].key.ptr);
    lc_free(m->slots);
    *m = (lc_map){NULL, 0, 0};
}

void *lc_map_get(const lc_map *m, lc_span key)
{
    if (m->len == 0) return NULL;
    return m->slots[find_slot(m, lc_hash_bytes(key.ptr, key.len), key)].value;
}

void *lc_map_put(lc_map *m, lc_span key, void *value)
{
    uint64_t hash = lc_hash_bytes(key.ptr, key.len);
    if (too_full(m->len, m->cap)) grow(m);
    lc_map_entry *e = &m->slots[find_slot(m, hash, key)];
    if (e->key.ptr) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    *e = (lc_map_entry){hash, LC_SPAN(lc_memdup(key.ptr, key.len), key.len), value};
    m->len++;
    return NULL;
}

void *lc_map_remove(lc_map *m, lc_span key)
{
    if (m->len == 0) return NULL;
    size_t hole = find_slot(m, lc_hash_bytes(key.ptr, key.len), key);
    if (!m->slots[hole].key.ptr) return NULL;
    void *value = m->slots[hole].value;
    lc_free((void *)m->slots[hole].key.ptr);
    size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].key.ptr; i = (i + 1) & mask) {
        if (!may_move(m->slots[i].hash & mask, hole, i, mask)) continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (lc_map_entry){0, LC_SPAN_EMPTY, NULL};
    m->len--;
    return value;
}

lc_map_entry *lc_map_next(const lc_map *m, size_t *at)
{
    while (*at < m->cap) {
        lc_map_entry *e = &m->slots[(*at)++];
        if (e->key.ptr) return e;
    }
    return NULL;
}

/* -------------------------------------------------------------- u64 keys */

static inline size_t home_of(uint64_t key, size_t mask)
{
    return lc_hash_u64(key ^ lc_hash_seed) & mask;
}

static size_t find_u64_slot(const lc_u64map *m, uint64_t key)
{
    size_t mask = m->cap - 1;
    for (size_t i = home_of(key, mask);; i = (i + 1) & mask)
        if (!m->slots[i].value || m->slots[i].key == key) return i;
}

static void grow_u64(lc_u64map *m)
{
    lc_u64map_slot *old = m->slots;
    size_t old_cap = m->cap;
    m->cap = old_cap ? old_cap * 2 : FIRST_CAP;
    m->slots = lc_alloc_zero(m->cap * sizeof *m->slots);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].value) m->slots[find_u64_slot(m, old[i].key)] = old[i];
    lc_free(old);
}

void lc_u64map_deinit(lc_u64map *m)
{
    lc_free(m->slots);
    *m = (lc_u64map){NULL, 0, 0};
}

void *lc_u64map_get(const lc_u64map *m, uint64_t key)
{
    return m->len ? m->slots[find_u64_slot(m, key)].value : NULL;
}

void *lc_u64map_put(lc_u64map *m, uint64_t key, void *value)
{
    LC_ASSERT(value);
    if (too_full(m->len, m->cap)) grow_u64(m);
    lc_u64map_slot *slot = &m->slots[find_u64_slot(m, key)];
    void *old = slot->value;
    if (!old) m->len++;
    *slot = (lc_u64map_slot){key, value};
    return old;
}

void *lc_u64map_remove(lc_u64map *m, uint64_t key)
{
    if (m->len == 0) return NULL;
    size_t hole = find_u64_slot(m, key);
    void *value = m->slots[hole].value;
    if (!value) return NULL;
    size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        if (!may_move(home_of(m->slots[i].key, mask), hole, i, mask)) continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (lc_u64map_slot){0, NULL};
    m->len--;
    return value;
}

lc_u64map_slot *lc_u64map_next(const lc_u64map *m, size_t *at)
{
    while (*at < m->cap) {
        lc_u64map_slot *slot = &m->slots[(*at)++];
        if (slot->value) return slot;
    }
    return NULL;
}
