/* An index: a key shape over one of three structures. */
#include "store/store_internal.h"

/* A tree or hash of integer keys is looked at, each time it doubles, for having become dense. */
enum { DENSE_MIN_COUNT = 1024 };

static lc_structure first_structure(const lc_index *i)
{
    if (i->is_unique && i->key.form == LC_KEY_INT) return LC_STRUCTURE_DIRECT;
    if (i->is_unique && i->algorithm == LC_INDEX_HASH) return LC_STRUCTURE_HASH;
    return LC_STRUCTURE_BTREE;
}

void lc_index_set_structure(lc_index *i, lc_structure s)
{
    lc_heap *heap = &i->table->store->heap;
    i->structure = s;
    switch (s) {
    case LC_STRUCTURE_DIRECT:
        i->direct = (lc_direct){.heap = heap};
        break;
    case LC_STRUCTURE_HASH:
        i->hash = (lc_hash){.heap = heap};
        i->seed = lc_hash_bytes(NULL, 0);
        i->min_word = UINT64_MAX;
        i->max_word = 0;
        break;
    case LC_STRUCTURE_BTREE: {
        /* Keys of one size are kept whole if short enough; of others the first 16 bytes. */
        uint32_t words = i->key.size < 0 ? 2 : ((uint32_t)i->key.size + 7) / 8;
        if (words < 1 || i->key.form != LC_KEY_LONG) words = 1;
        if (words > LC_BTREE_MAX_WORDS) words = LC_BTREE_MAX_WORDS;
        i->btree = (lc_btree){.index = i, .heap = heap, .words = words};
        break;
    }
    }
}

void lc_index_init_structure(lc_index *i)
{
    lc_index_set_structure(i, first_structure(i));
}

void lc_index_deinit_structure(lc_index *i)
{
    switch (i->structure) {
    case LC_STRUCTURE_DIRECT:
        lc_direct_deinit(&i->direct);
        break;
    case LC_STRUCTURE_HASH:
        lc_hash_deinit(&i->hash);
        break;
    case LC_STRUCTURE_BTREE:
        lc_btree_deinit(&i->btree);
        break;
    }
}

void lc_index_clear(lc_index *i)
{
    lc_index_deinit_structure(i);
    lc_index_init_structure(i);
}

uint64_t lc_index_memory(const lc_index *i)
{
    switch (i->structure) {
    case LC_STRUCTURE_DIRECT:
        return lc_direct_memory(&i->direct);
    case LC_STRUCTURE_HASH:
        return lc_hash_memory(&i->hash);
    default:
        return lc_btree_memory(&i->btree);
    }
}

uint64_t lc_index_count(const lc_index *i)
{
    switch (i->structure) {
    case LC_STRUCTURE_DIRECT:
        return i->direct.count;
    case LC_STRUCTURE_HASH:
        return i->hash.count;
    default:
        return i->btree.count;
    }
}

bool lc_index_take_over(lc_index *to, lc_index *from)
{
    const size_t columns_size = to->column_count * sizeof *to->columns;
    bool is_same = to->is_unique && from->is_unique && to->column_count == from->column_count &&
                   memcmp(to->columns, from->columns, columns_size) == 0;
    /* Trees point to their index; hashes of other kinds of indexes may hash other bytes. */
    bool fits = from->structure == LC_STRUCTURE_DIRECT ||
                (from->structure == LC_STRUCTURE_HASH && to->algorithm == from->algorithm);
    if (!is_same || !fits) return false;
    lc_index_deinit_structure(to);
    to->structure = from->structure;
    if (from->structure == LC_STRUCTURE_DIRECT)
        to->direct = from->direct;
    else
        to->hash = from->hash;
    to->seed = from->seed;
    to->min_word = from->min_word;
    to->max_word = from->max_word;
    lc_index_init_structure(from);
    return true;
}

/* ------------------------------------------------------------- tree's keys */

static lc_buf *probe_scratch(const lc_index *i)
{
    return &i->table->store->probe_key;
}

static lc_btree_key key_of_word(uint64_t word, lc_btree_side side)
{
    return (lc_btree_key){.head = {word}, .side = side};
}

/* The head of a key or of the beginning of keys. A bound behind all keys that begin with bytes is
 * padded with ones, any other with zeros. */
static lc_btree_key key_of_bytes(const lc_index *i, lc_span bytes, lc_btree_side side)
{
    lc_btree_key k = {.bytes = bytes, .side = side};
    size_t size = i->btree.words * sizeof(uint64_t);
    k.is_long = bytes.len > size;
    if (side == LC_BTREE_BEHIND) memset(k.head, 0xff, size);
    if (bytes.len) memcpy(k.head, bytes.ptr, k.is_long ? size : bytes.len);
    for (uint32_t w = 0; w < i->btree.words; w++) k.head[w] = __builtin_bswap64(k.head[w]);
    return k;
}

/* The place of a row in a tree. */
lc_btree_key lc_index_tree_key(const lc_index *i, lc_row_id id, const uint8_t *row)
{
    lc_btree_key k =
        i->key.form == LC_KEY_LONG
            ? key_of_bytes(i, lc_key_bytes_of_row(i, row, probe_scratch(i)), LC_BTREE_AT)
            : key_of_word(lc_key_word_of_row(i, row), LC_BTREE_AT);
    if (!i->is_unique && id != LC_NO_ROW) k.stamp = lc_rows_stamp(&i->table->rows, id);
    return k;
}

lc_span lc_index_tree_bytes(const lc_index *i, lc_row_id id)
{
    return lc_key_bytes_of_row(i, lc_rows_get(&i->table->rows, id).ptr, &i->table->store->row_key);
}

/* ------------------------------------------------------------------ upkeep */

static uint32_t tag_of_word(const lc_index *i, uint64_t word)
{
    return (uint32_t)(lc_hash_u64(word ^ i->seed) >> 32);
}

uint32_t lc_index_tag(const lc_index *i, const uint8_t *row)
{
    if (i->key.form != LC_KEY_LONG) return tag_of_word(i, lc_key_word_of_row(i, row));
    return lc_row_tag(lc_key_bytes_of_row(i, row, probe_scratch(i)));
}

/* Adds to whatever structure the index has now; false when a direct array refuses. */
static bool add(lc_index *i, lc_row_id id, const uint8_t *row, bool is_forced)
{
    switch (i->structure) {
    case LC_STRUCTURE_DIRECT:
        return lc_direct_insert(&i->direct, lc_key_word_of_row(i, row), id, is_forced);
    case LC_STRUCTURE_HASH:
        if (i->key.form == LC_KEY_INT) {
            uint64_t word = lc_key_word_of_row(i, row);
            lc_hash_insert(&i->hash, tag_of_word(i, word), id);
            if (word < i->min_word) i->min_word = word;
            if (word > i->max_word) i->max_word = word;
        } else {
            lc_hash_insert(&i->hash, lc_index_tag(i, row), id);
        }
        return true;
    default: {
        lc_btree_key k = lc_index_tree_key(i, id, row);
        lc_btree_insert(&i->btree, &k, id);
        return true;
    }
    }
}

/* Moves every pair of an index of integer keys into another structure. */
static void change_structure(lc_index *i, lc_structure to)
{
    lc_index old = *i;
    const lc_rows *rows = &i->table->rows;
    lc_index_set_structure(i, to);
    switch (old.structure) {
    case LC_STRUCTURE_DIRECT: {
        uint64_t key = old.direct.first << LC_DIRECT_SHIFT;
        for (uint64_t n = old.direct.count; n-- > 0; key++) {
            lc_row_id id = lc_direct_seek(&old.direct, &key);
            add(i, id, lc_rows_get(rows, id).ptr, true);
        }
        break;
    }
    case LC_STRUCTURE_HASH:
        for (uint64_t s = 0; s < UINT64_C(1) << old.hash.bits; s++) {
            lc_row_id id = old.hash.slots[s].row;
            if (id != LC_NO_ROW) add(i, id, lc_rows_get(rows, id).ptr, true);
        }
        break;
    case LC_STRUCTURE_BTREE: {
        lc_btree_cursor c = lc_btree_first(&old.btree);
        for (lc_row_id id; (id = lc_btree_next(&c, NULL)) != LC_NO_ROW;)
            add(i, id, lc_rows_get(rows, id).ptr, true);
        break;
    }
    }
    lc_index_deinit_structure(&old);
}

/* An index of unique integers goes back to a direct array if they turn out to be dense. */
static void reconsider(lc_index *i)
{
    uint64_t count = i->structure == LC_STRUCTURE_HASH ? i->hash.count : i->btree.count;
    if ((count & (count - 1)) != 0 || count < DENSE_MIN_COUNT) return;
    uint64_t min = i->min_word, max = i->max_word;
    if (i->structure == LC_STRUCTURE_BTREE) lc_btree_bounds(&i->btree, &min, &max);
    if (lc_direct_is_dense(min, max, count)) change_structure(i, LC_STRUCTURE_DIRECT);
}

void lc_index_add(lc_index *i, lc_row_id id, const uint8_t *row)
{
    if (LC_UNLIKELY(!add(i, id, row, false))) {
        change_structure(i, i->algorithm == LC_INDEX_HASH ? LC_STRUCTURE_HASH : LC_STRUCTURE_BTREE);
        add(i, id, row, false);
    } else if (i->structure != LC_STRUCTURE_DIRECT && i->is_unique && i->key.form == LC_KEY_INT) {
        reconsider(i);
    }
}

void lc_index_drop(lc_index *i, lc_row_id id, const uint8_t *row)
{
    switch (i->structure) {
    case LC_STRUCTURE_DIRECT:
        lc_direct_remove(&i->direct, lc_key_word_of_row(i, row));
        break;
    case LC_STRUCTURE_HASH:
        lc_hash_remove(&i->hash, lc_index_tag(i, row), id);
        break;
    case LC_STRUCTURE_BTREE: {
        lc_btree_key k = lc_index_tree_key(i, id, row);
        lc_btree_remove(&i->btree, &k, id);
        break;
    }
    }
}

/* ----------------------------------------------------------------- lookups */

static lc_row_id lookup_word(const lc_index *i, uint64_t word)
{
    switch (i->structure) {
    case LC_STRUCTURE_DIRECT:
        return lc_direct_find(&i->direct, word);
    case LC_STRUCTURE_HASH: {
        const lc_rows *rows = &i->table->rows;
        uint32_t tag = tag_of_word(i, word), at;
        lc_row_id id = lc_hash_first(&i->hash, tag, &at);
        while (id != LC_NO_ROW && lc_key_word_of_row(i, lc_rows_get(rows, id).ptr) != word)
            id = lc_hash_next(&i->hash, tag, &at);
        return id;
    }
    default: {
        lc_btree_key k = key_of_word(word, LC_BTREE_AT);
        return lc_btree_find(&i->btree, &k);
    }
    }
}

static lc_row_id lookup_bytes(const lc_index *i, lc_span key)
{
    if (i->structure == LC_STRUCTURE_BTREE) {
        lc_btree_key k = key_of_bytes(i, key, LC_BTREE_AT);
        return lc_btree_find(&i->btree, &k);
    }
    const lc_rows *rows = &i->table->rows;
    uint32_t tag = lc_row_tag(key), at;
    lc_row_id id = lc_hash_first(&i->hash, tag, &at);
    while (id != LC_NO_ROW) {
        const uint8_t *row = lc_rows_get(rows, id).ptr;
        if (lc_span_equal(lc_key_bytes_of_row(i, row, &i->table->store->row_key), key)) break;
        id = lc_hash_next(&i->hash, tag, &at);
    }
    return id;
}

lc_row_id lc_index_lookup_row(const lc_index *i, const uint8_t *row)
{
    if (LC_LIKELY(i->key.form != LC_KEY_LONG)) return lookup_word(i, lc_key_word_of_row(i, row));
    return lookup_bytes(i, lc_key_bytes_of_row(i, row, probe_scratch(i)));
}

static lc_row_id lookup_key(const lc_index *i, lc_span key)
{
    if (LC_LIKELY(i->key.form != LC_KEY_LONG)) return lookup_word(i, lc_key_word(i, key.ptr));
    return lookup_bytes(i, lc_key_bytes(i, key, probe_scratch(i)));
}

bool lc_index_find(const lc_index *i, lc_span key, lc_span *row)
{
    lc_row_id id = lookup_key(i, key);
    if (id == LC_NO_ROW) return false;
    *row = lc_rows_get(&i->table->rows, id);
    return true;
}

/* ------------------------------------------------------------------ ranges */

lc_errno lc_range_decode(const lc_index *i, lc_span prefix, uint32_t prefix_elems, lc_span start,
                         lc_span end, lc_range *out, lc_error *err)
{
    *out = (lc_range){.prefix_columns = prefix_elems};
    if (prefix_elems >= i->key.part_count) {
        lc_error_set(err, LC_E_INVALID, "a prefix of %u values for index '" LC_SPAN_FMT "' of %u",
                     prefix_elems, LC_SPAN_ARG(i->name), i->key.part_count);
        return LC_ERRNO_BSATN_DECODE_ERROR;
    }
    if (prefix_elems > 0) {
        size_t size;
        lc_errno e = lc_key_validate(i, prefix, prefix_elems, &size, err);
        if (e != LC_ERRNO_OK) return e;
        out->prefix = LC_SPAN(prefix.ptr, size);
    }
    const lc_type *type = i->key.parts[prefix_elems];
    lc_span inputs[2] = {start, end};
    lc_bound *bounds[2] = {&out->start, &out->end};
    for (int b = 0; b < 2; b++) {
        lc_span in = inputs[b];
        if (in.len == 0 || in.ptr[0] > LC_BOUND_UNBOUNDED) {
            lc_error_set(err, LC_E_INVALID, "a bound without a valid tag");
            return LC_ERRNO_BSATN_DECODE_ERROR;
        }
        bounds[b]->kind = (lc_bound_kind)in.ptr[0];
        if (bounds[b]->kind == LC_BOUND_UNBOUNDED) continue;
        size_t size;
        if (lc_bsatn_validate(type, NULL, LC_SPAN(in.ptr + 1, in.len - 1), &size, err) != LC_OK)
            return LC_ERRNO_BSATN_DECODE_ERROR;
        if (i->key.is_exact && in.len - 1 > size) return lc_key_too_long(i, err);
        bounds[b]->value = LC_SPAN(in.ptr + 1, size);
    }
    return LC_ERRNO_OK;
}

/* start > end, or nothing between two excluded equal ones. */
static bool is_empty_range(const lc_index *i, const lc_range *r)
{
    if (r->start.kind == LC_BOUND_UNBOUNDED || r->end.kind == LC_BOUND_UNBOUNDED) return false;
    int c = lc_value_compare(i->key.parts[r->prefix_columns], r->start.value.ptr, r->end.value.ptr);
    return c > 0 ||
           (c == 0 && (r->start.kind != LC_BOUND_INCLUDED || r->end.kind != LC_BOUND_INCLUDED));
}

static bool is_point_range(const lc_index *i, const lc_range *r)
{
    return r->prefix_columns + 1 == i->key.part_count && r->start.kind == LC_BOUND_INCLUDED &&
           r->end.kind == LC_BOUND_INCLUDED && lc_span_equal(r->start.value, r->end.value);
}

/* A tree's place for one bound; before or behind the whole prefix when the bound is open. */
static lc_btree_cursor seek_bound(const lc_index *i, const lc_range *r, const lc_bound *b,
                                  lc_btree_side included, lc_btree_side excluded)
{
    lc_btree_side side = b->kind == LC_BOUND_EXCLUDED ? excluded : included;
    lc_btree_key k;
    if (i->key.form == LC_KEY_INT && b->kind != LC_BOUND_UNBOUNDED) {
        k = key_of_word(lc_key_int(&i->key, b->value.ptr), side);
    } else {
        lc_buf *bytes = probe_scratch(i);
        lc_buf_reset(bytes);
        lc_key_normalise(i, r->prefix.ptr, r->prefix_columns, bytes);
        if (b->kind != LC_BOUND_UNBOUNDED)
            lc_value_key(i->key.parts[r->prefix_columns], b->value.ptr, bytes);
        k = key_of_bytes(i, lc_buf_span(bytes), side);
    }
    return lc_btree_seek(&i->btree, &k);
}

typedef struct range_scan {
    const lc_index *index;
    lc_btree_cursor at, end;
    uint64_t key, last; /* direct */
    bool is_over;
} range_scan;

static range_scan scan_range(const lc_index *i, const lc_range *r)
{
    range_scan s = {.index = i, .is_over = is_empty_range(i, r)};
    if (s.is_over) return s;
    if (i->structure == LC_STRUCTURE_DIRECT) {
        s.last = UINT64_MAX;
        if (r->start.kind != LC_BOUND_UNBOUNDED) {
            s.key = lc_key_int(&i->key, r->start.value.ptr);
            if (r->start.kind == LC_BOUND_EXCLUDED) s.is_over = s.key++ == UINT64_MAX;
        }
        if (r->end.kind != LC_BOUND_UNBOUNDED) {
            s.last = lc_key_int(&i->key, r->end.value.ptr);
            if (r->end.kind == LC_BOUND_EXCLUDED) s.is_over |= s.last-- == 0;
        }
        return s;
    }
    s.at = seek_bound(i, r, &r->start, LC_BTREE_BEFORE, LC_BTREE_BEHIND);
    s.end = seek_bound(i, r, &r->end, LC_BTREE_BEHIND, LC_BTREE_BEFORE);
    return s;
}

static lc_row_id next_in_range(range_scan *s)
{
    if (s->is_over) return LC_NO_ROW;
    if (s->index->structure != LC_STRUCTURE_DIRECT) return lc_btree_next(&s->at, &s->end);
    lc_row_id id = lc_direct_seek(&s->index->direct, &s->key);
    if (id == LC_NO_ROW || s->key > s->last) return LC_NO_ROW;
    s->is_over = s->key++ == UINT64_MAX;
    return id;
}

/* All rows with a key in a tree that allows equal keys. */
static range_scan scan_point(const lc_index *i, lc_span key)
{
    range_scan s = {.index = i};
    lc_btree_key k = i->key.form == LC_KEY_LONG
                         ? key_of_bytes(i, lc_key_bytes(i, key, probe_scratch(i)), LC_BTREE_BEFORE)
                         : key_of_word(lc_key_word(i, key.ptr), LC_BTREE_BEFORE);
    s.at = lc_btree_seek(&i->btree, &k);
    k.side = LC_BTREE_BEHIND;
    s.end = lc_btree_seek(&i->btree, &k);
    return s;
}

/* Visits the rows whose slots are touched, or all others; false when the visitor had enough. */
static bool visit_part(range_scan s, bool is_touched, lc_row_visit visit, void *arg)
{
    const lc_rows *rows = &s.index->table->rows;
    for (lc_row_id id; (id = next_in_range(&s)) != LC_NO_ROW;)
        if (lc_rows_is_touched(rows, id) == is_touched && !visit(arg, lc_rows_get(rows, id)))
            return false;
    return true;
}

/* Rows of the open transaction first, then the others, each in key order. */
static void visit_rows(range_scan s, lc_row_visit visit, void *arg)
{
    const lc_table *t = s.index->table;
    if (LC_UNLIKELY(lc_tx_has_rows(t))) {
        if (visit_part(s, true, visit, arg)) visit_part(s, false, visit, arg);
        return;
    }
    for (lc_row_id id; (id = next_in_range(&s)) != LC_NO_ROW;)
        if (!visit(arg, lc_rows_get(&t->rows, id))) break;
}

/* ---------------------------------------------------------------- door */

lc_errno lc_index_scan_point(const lc_index *i, lc_span key, lc_row_visit visit, void *arg,
                             lc_error *err)
{
    size_t size;
    lc_errno e = lc_key_validate(i, key, i->key.part_count, &size, err);
    if (e != LC_ERRNO_OK) return e;
    if (i->is_unique) {
        lc_row_id id = lookup_key(i, key);
        if (id != LC_NO_ROW) visit(arg, lc_rows_get(&i->table->rows, id));
        return LC_ERRNO_OK;
    }
    visit_rows(scan_point(i, key), visit, arg);
    return LC_ERRNO_OK;
}

lc_errno lc_index_check_ordered(const lc_index *i, lc_error *err)
{
    if (i->algorithm != LC_INDEX_HASH) return LC_ERRNO_OK;
    lc_error_set(err, LC_E_INVALID, "hash index '" LC_SPAN_FMT "' has no ranges",
                 LC_SPAN_ARG(i->name));
    return LC_ERRNO_WRONG_INDEX_ALGO;
}

lc_errno lc_index_scan_range(const lc_index *i, const lc_range *range, lc_row_visit visit,
                             void *arg, lc_error *err)
{
    lc_errno e = lc_index_check_ordered(i, err);
    if (e != LC_ERRNO_OK) return e;
    if (is_point_range(i, range) && i->key.part_count == 1)
        return lc_index_scan_point(i, range->start.value, visit, arg, err);
    visit_rows(scan_range(i, range), visit, arg);
    return LC_ERRNO_OK;
}

void lc_index_collect_point(const lc_index *i, lc_span key, lc_row_ids *out)
{
    lc_row_id id;
    if (i->is_unique) {
        id = lookup_key(i, key);
        if (id != LC_NO_ROW) lc_vec_push(out, id);
        return;
    }
    range_scan s = scan_point(i, key);
    while ((id = next_in_range(&s)) != LC_NO_ROW) lc_vec_push(out, id);
}

void lc_index_collect_range(const lc_index *i, const lc_range *range, lc_row_ids *out)
{
    range_scan s = scan_range(i, range);
    for (lc_row_id id; (id = next_in_range(&s)) != LC_NO_ROW;) lc_vec_push(out, id);
}

uint32_t lc_index_id(const lc_index *i)
{
    return i->id;
}
lc_span lc_index_name(const lc_index *i)
{
    return i->name;
}
lc_table *lc_index_table(const lc_index *i)
{
    return i->table;
}
bool lc_index_is_unique(const lc_index *i)
{
    return i->is_unique;
}
lc_index_algorithm lc_index_kind(const lc_index *i)
{
    return i->algorithm;
}
uint32_t lc_index_column_count(const lc_index *i)
{
    return i->column_count;
}
uint16_t lc_index_column(const lc_index *i, uint32_t n)
{
    return i->columns[n];
}
