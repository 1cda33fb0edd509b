/*
 * Indexes and row sets from all rows of a table at once: after a restart, and when the schema
 * changes within a log. Trees are made of sorted keys, from left to right, with full nodes.
 */
#include "store/store_internal.h"

/* ----------------------------------------------------------------- all rows */

typedef struct row_walk {
    const lc_rows *rows;
    uint32_t page, words; /* words: of the page's bits, so many were taken */
    uint64_t live;        /* of the last word, not yet given */
} row_walk;

/* Rows of varying size lie anywhere: ask for their bytes some rows ahead. */
enum { AHEAD = 8 };

static inline lc_row_id next_row(row_walk *w)
{
    const lc_rows *rows = w->rows;
    while (w->live == 0) {
        if (w->page == rows->page_count) return LC_NO_ROW;
        const lc_page *page = rows->pages[w->page];
        if (page && w->words * 64 < page->used) {
            w->live = page->bits[w->words++].live;
        } else {
            w->page++;
            w->words = 0;
        }
    }
    uint32_t slot = (w->words - 1) * 64 + (uint32_t)__builtin_ctzll(w->live);
    w->live &= w->live - 1;
    lc_row_id id = w->page << rows->shift | slot;
    if (!rows->is_fixed && slot + AHEAD < rows->pages[w->page]->used)
        __builtin_prefetch(lc_rows_block(rows, id + AHEAD)->bytes);
    return id;
}

static inline uint64_t word_of(const lc_index *i, lc_row_id id)
{
    return lc_key_word_of_row(i, lc_rows_get(&i->table->rows, id).ptr);
}

/* ------------------------------------------------------------------- hashes */

static bool has_same_key(const lc_index *i, const uint8_t *a, const uint8_t *b)
{
    if (i->key.form != LC_KEY_LONG) return lc_key_word_of_row(i, a) == lc_key_word_of_row(i, b);
    lc_store *s = i->table->store;
    return lc_span_equal(lc_key_bytes_of_row(i, a, &s->probe_key),
                         lc_key_bytes_of_row(i, b, &s->row_key));
}

/* Is there a row in the hash with the same key (without an index: the same bytes)? */
static bool has_twin(const lc_table *t, const lc_hash *h, const lc_index *i, lc_hash_slot pair)
{
    const lc_rows *rows = &t->rows;
    uint32_t at;
    for (lc_row_id id = lc_hash_first(h, pair.tag, &at); id != LC_NO_ROW;
         id = lc_hash_next(h, pair.tag, &at)) {
        lc_span known = lc_rows_get(rows, id), row = lc_rows_get(rows, pair.row);
        if (i ? has_same_key(i, known.ptr, row.ptr) : lc_span_equal(known, row)) return true;
    }
    return false;
}

/* In batches, so that the memory of many places is waited for at once. */
static lc_row_id fill_hash(const lc_table *t, lc_hash *h, const lc_index *i)
{
    enum { BATCH = 32 };
    lc_hash_slot batch[BATCH];
    row_walk walk = {.rows = &t->rows};
    lc_hash_reserve(h, t->rows.count);
    for (uint32_t n = BATCH; n == BATCH;) {
        for (n = 0; n < BATCH && (batch[n].row = next_row(&walk)) != LC_NO_ROW; n++) {
            lc_span row = lc_rows_get(&t->rows, batch[n].row);
            batch[n].tag = i ? lc_index_tag(i, row.ptr) : lc_row_tag(row);
            lc_hash_expect(h, batch[n].tag);
        }
        for (uint32_t k = 0; k < n; k++) {
            if (has_twin(t, h, i, batch[k])) return batch[k].row;
            lc_hash_insert(h, batch[k].tag, batch[k].row);
        }
    }
    return LC_NO_ROW;
}

lc_row_id lc_table_build_row_set(lc_table *t)
{
    lc_hash_deinit(&t->row_set);
    return t->rows.count > 0 ? fill_hash(t, &t->row_set, NULL) : LC_NO_ROW;
}

/* ------------------------------------------------------------------ numbers */

typedef struct bounds {
    uint64_t min, max;
} bounds;

static bounds find_bounds(const lc_index *i)
{
    bounds b = {UINT64_MAX, 0};
    row_walk walk = {.rows = &i->table->rows};
    for (lc_row_id id; (id = next_row(&walk)) != LC_NO_ROW;) {
        uint64_t word = word_of(i, id);
        if (word < b.min) b.min = word;
        if (word > b.max) b.max = word;
    }
    return b;
}

/* Would a direct array hold them, whatever the order in which they came? */
static bool suits_direct(const lc_index *i, bounds b)
{
    const uint64_t count = i->table->rows.count;
    if (lc_direct_is_dense(b.min, b.max, count)) return true;
    const uint64_t first = b.min >> LC_DIRECT_SHIFT, len = (b.max >> LC_DIRECT_SHIFT) - first + 1;
    if (lc_direct_is_sparse(count / 128, len, count)) return false;
    uint64_t used = 0; /* blocks */
    uint64_t *seen = lc_alloc_zero((len / 64 + 1) * sizeof *seen);
    row_walk walk = {.rows = &i->table->rows};
    for (lc_row_id id; (id = next_row(&walk)) != LC_NO_ROW;) {
        uint64_t block = (word_of(i, id) >> LC_DIRECT_SHIFT) - first;
        uint64_t bit = UINT64_C(1) << block % 64;
        used += !(seen[block / 64] & bit);
        seen[block / 64] |= bit;
    }
    lc_free(seen);
    return !lc_direct_is_sparse(used, len, count);
}

static lc_row_id fill_direct(lc_index *i)
{
    row_walk walk = {.rows = &i->table->rows};
    for (lc_row_id id; (id = next_row(&walk)) != LC_NO_ROW;) {
        uint64_t word = word_of(i, id);
        if (lc_direct_find(&i->direct, word) != LC_NO_ROW) return id;
        lc_direct_insert(&i->direct, word, id, true);
    }
    return LC_NO_ROW;
}

/* ------------------------------------------------------------------ sorting */

/* A row and eight bytes of its key, those that are sorted by at the moment. */
typedef struct entry {
    uint64_t word;
    lc_row_id row;
} entry;

typedef struct sorter {
    const lc_index *index;
    entry *entries, *spare; /* of one size */
    lc_row_id twin;         /* the second of two rows that exclude each other */
} sorter;

enum {
    FEW = 64,       /* sorted by insertion */
    MAX_WORDS = 16, /* what keys have in common beyond is compared in the rows */
    DIGITS = 8,
};

/* Keys in the form the tree compares; those of one index are no prefixes of each other. */
static uint64_t word_at(const lc_index *i, lc_row_id id, uint32_t number)
{
    lc_span key = lc_index_tree_bytes(i, id);
    const size_t at = number * sizeof(uint64_t);
    uint64_t word = 0;
    if (key.len > at) memcpy(&word, key.ptr + at, key.len - at < 8 ? key.len - at : 8);
    return __builtin_bswap64(word);
}

static bool is_sorted(const entry *e, size_t n)
{
    for (size_t k = 1; k < n; k++)
        if (e[k].word < e[k - 1].word) return false;
    return true;
}

static void sort_few(entry *e, size_t n)
{
    for (size_t k = 1; k < n; k++) {
        const entry moving = e[k];
        size_t at = k;
        for (; at > 0 && e[at - 1].word > moving.word; at--) e[at] = e[at - 1];
        e[at] = moving;
    }
}

/* Digit by digit from the last; equal words stay in order. */
static void sort_words(entry *e, entry *spare, size_t n)
{
    if (is_sorted(e, n)) return;
    if (n <= FEW) {
        sort_few(e, n);
        return;
    }
    size_t counts[DIGITS][256] = {{0}};
    for (size_t k = 0; k < n; k++)
        for (uint32_t d = 0; d < DIGITS; d++) counts[d][e[k].word >> 8 * d & 0xff]++;
    entry *from = e, *to = spare;
    for (uint32_t d = 0; d < DIGITS; d++) {
        size_t *at = counts[d], sum = 0;
        if (at[from[0].word >> 8 * d & 0xff] == n) continue;
        for (uint32_t v = 0; v < 256; v++) {
            size_t count = at[v];
            at[v] = sum;
            sum += count;
        }
        for (size_t k = 0; k < n; k++) to[at[from[k].word >> 8 * d & 0xff]++] = from[k];
        entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != e) memcpy(e, from, n * sizeof *e);
}

typedef int (*compare_function)(const lc_index *i, lc_row_id a, lc_row_id b);

static int compare_stamps(const lc_index *i, lc_row_id a, lc_row_id b)
{
    const lc_rows *rows = &i->table->rows;
    uint64_t x = lc_rows_stamp(rows, a), y = lc_rows_stamp(rows, b);
    return x < y ? -1 : x > y;
}

static int compare_keys(const lc_index *i, lc_row_id a, lc_row_id b)
{
    lc_store *s = i->table->store;
    const lc_rows *rows = &i->table->rows;
    return lc_span_compare(lc_key_bytes_of_row(i, lc_rows_get(rows, a).ptr, &s->probe_key),
                           lc_key_bytes_of_row(i, lc_rows_get(rows, b).ptr, &s->row_key));
}

static void merge_sort(const lc_index *i, compare_function compare, entry *e, entry *spare,
                       size_t n)
{
    if (n < 2) return;
    const size_t half = n / 2;
    merge_sort(i, compare, e, spare, half);
    merge_sort(i, compare, e + half, spare, n - half);
    if (compare(i, e[half - 1].row, e[half].row) <= 0) return;
    memcpy(spare, e, half * sizeof *e);
    for (size_t left = 0, right = half, to = 0; left < half; to++) {
        bool takes_left = right == n || compare(i, spare[left].row, e[right].row) <= 0;
        e[to] = takes_left ? spare[left++] : e[right++];
    }
}

/* Rows with one key: in the order of their stamps. */
static void sort_twins(sorter *s, entry *e, entry *spare, size_t n)
{
    const lc_index *i = s->index;
    if (!i->is_unique) merge_sort(i, compare_stamps, e, spare, n);
    for (size_t k = 1; k < n; k++)
        if (i->is_unique || compare_stamps(i, e[k - 1].row, e[k].row) == 0) s->twin = e[k].row;
}

static void sort_long(sorter *s, entry *e, entry *spare, size_t n)
{
    merge_sort(s->index, compare_keys, e, spare, n);
    for (size_t a = 0, b; a < n; a = b) {
        for (b = a + 1; b < n && compare_keys(s->index, e[a].row, e[b].row) == 0;) b++;
        sort_twins(s, e + a, spare, b - a);
    }
}

/* Sorts entries whose keys agree in the words before `number`, which e[].word are. */
static void sort_from(sorter *s, entry *e, entry *spare, size_t n, uint32_t number)
{
    const lc_index *i = s->index;
    const lc_rows *rows = &i->table->rows;
    sort_words(e, spare, n);
    number++;
    for (size_t a = 0, b; a < n; a = b) {
        for (b = a + 1; b < n && e[b].word == e[a].word;) b++;
        if (b - a == 1) continue;
        if (i->key.form != LC_KEY_LONG ||
            lc_index_tree_bytes(i, e[a].row).len <= number * sizeof(uint64_t)) {
            sort_twins(s, e + a, spare, b - a);
        } else if (number == MAX_WORDS) {
            sort_long(s, e + a, spare, b - a);
        } else {
            for (size_t k = a; k < b; k++) {
                if (k + AHEAD < b) __builtin_prefetch(lc_rows_slot(rows, e[k + AHEAD].row));
                e[k].word = word_at(i, e[k].row, number);
            }
            sort_from(s, e + a, spare, b - a, number);
        }
    }
}

static lc_row_id fill_btree(lc_index *i)
{
    const lc_rows *rows = &i->table->rows;
    const size_t count = rows->count;
    const bool is_long = i->key.form == LC_KEY_LONG;
    sorter s = {.index = i, .twin = LC_NO_ROW};
    s.entries = lc_alloc(count * sizeof *s.entries);
    s.spare = lc_alloc(count * sizeof *s.spare);
    row_walk walk = {.rows = rows};
    for (size_t n = 0; n < count; n++) {
        lc_row_id id = next_row(&walk);
        s.entries[n] = (entry){is_long ? word_at(i, id, 0) : word_of(i, id), id};
    }
    sort_from(&s, s.entries, s.spare, count, 0);
    lc_free(s.spare);

    lc_btree_filler filler = {.tree = &i->btree};
    for (size_t n = 0; n < count && s.twin == LC_NO_ROW; n++) {
        const entry *e = &s.entries[n];
        if (!is_long) {
            lc_btree_append(&filler, &e->word, e->row);
            continue;
        }
        if (n + AHEAD < count) __builtin_prefetch(lc_rows_slot(rows, e[AHEAD].row));
        lc_btree_key key = lc_index_tree_key(i, e->row, lc_rows_get(rows, e->row).ptr);
        lc_btree_append(&filler, key.head, e->row);
    }
    lc_free(s.entries);
    return s.twin;
}

/* --------------------------------------------------------------------- door */

lc_row_id lc_index_build(lc_index *i)
{
    if (i->table->rows.count == 0) return LC_NO_ROW;
    if (i->is_unique && i->key.form == LC_KEY_INT) {
        bounds b = find_bounds(i);
        lc_structure other = i->algorithm == LC_INDEX_HASH ? LC_STRUCTURE_HASH : LC_STRUCTURE_BTREE;
        lc_index_set_structure(i, suits_direct(i, b) ? LC_STRUCTURE_DIRECT : other);
        i->min_word = b.min;
        i->max_word = b.max;
    }
    switch (i->structure) {
    case LC_STRUCTURE_DIRECT:
        return fill_direct(i);
    case LC_STRUCTURE_HASH:
        return fill_hash(i->table, &i->hash, i);
    default:
        return fill_btree(i);
    }
}
