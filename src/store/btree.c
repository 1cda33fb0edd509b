/* B+tree of (key head, handle). The order of entries: head, bytes behind the head, stamp. */
#include "store/store_internal.h"

#define INLINE static inline __attribute__((always_inline))

struct lc_btree_node {
    uint32_t count;
    bool is_leaf;
    lc_btree_node *prev, *next; /* leaves */
    lc_row_id rows[LC_BTREE_FANOUT];
    uint64_t heads[]; /* FANOUT * words; then, in an inner node, FANOUT children */
};

enum {
    FULL = LC_BTREE_FANOUT,
    FEW = LC_BTREE_FANOUT / 4,        /* a node with fewer looks for a neighbour to join... */
    JOINED = LC_BTREE_FANOUT * 3 / 4, /* ...if both together have no more than this */
};

typedef struct path_step {
    lc_btree_node *node;
    uint32_t at; /* child taken; in the leaf: position */
} path_step;

static size_t node_size(const lc_btree *t, bool is_leaf)
{
    size_t entry = t->words * sizeof(uint64_t) + (is_leaf ? 0 : sizeof(lc_btree_node *));
    return sizeof(lc_btree_node) + FULL * entry;
}

static lc_btree_node **children_of(const lc_btree *t, const lc_btree_node *n)
{
    return (lc_btree_node **)(uintptr_t)(n->heads + (size_t)FULL * t->words);
}

static lc_btree_node *new_node(lc_btree *t, bool is_leaf)
{
    lc_btree_node *n = lc_heap_alloc(t->heap, node_size(t, is_leaf));
    n->count = 0;
    n->is_leaf = is_leaf;
    n->prev = n->next = NULL;
    t->bytes += lc_heap_block_size(node_size(t, is_leaf));
    return n;
}

static void free_node(lc_btree *t, lc_btree_node *n)
{
    size_t size = node_size(t, n->is_leaf);
    t->bytes -= lc_heap_block_size(size);
    lc_heap_free(t->heap, n, size);
}

/* ------------------------------------------------------------------- order */

INLINE int compare_heads(const uint64_t *a, const uint64_t *b, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return 0;
}

/* Is the entry, whose head equals the key's, before the key? or_equal: or the very same? */
static bool is_before(const lc_btree *t, lc_row_id row, const lc_btree_key *k, bool or_equal)
{
    if (k->is_long) {
        lc_span entry = lc_index_tree_bytes(t->index, row);
        size_t n = entry.len < k->bytes.len ? entry.len : k->bytes.len;
        int c = memcmp(entry.ptr, k->bytes.ptr, n);
        if (c != 0) return c < 0;
    }
    switch (k->side) {
    case LC_BTREE_BEFORE:
        return false;
    case LC_BTREE_BEHIND:
        return true;
    default:
        if (t->index->is_unique) return or_equal;
        uint64_t stamp = lc_rows_stamp(&t->index->table->rows, row);
        return or_equal ? stamp <= k->stamp : stamp < k->stamp;
    }
}

/* A binary search waits for one line of memory after the other: ask for all of a node's at once. */
INLINE void expect_node(const lc_btree_node *n, uint32_t words)
{
    const uint8_t *heads = (const uint8_t *)n->heads;
    __builtin_prefetch(n);
    for (size_t at = 0; at < FULL * sizeof(uint64_t) * words; at += 64)
        __builtin_prefetch(heads + at);
}

/* The first entry in [from, count) that is not before the key. */
INLINE uint32_t rank(const lc_btree *t, const lc_btree_node *n, uint32_t from,
                     const lc_btree_key *k, bool or_equal, uint32_t words)
{
    uint32_t lo = from, len = n->count - from;
    while (len > 0) {
        uint32_t half = len / 2;
        bool less = compare_heads(n->heads + (size_t)(lo + half) * words, k->head, words) < 0;
        lo = less ? lo + half + 1 : lo;
        len = less ? len - half - 1 : half;
    }
    if (lo == n->count || compare_heads(n->heads + (size_t)lo * words, k->head, words) != 0)
        return lo;
    /* Entries with the same head: [lo, hi). */
    uint32_t hi = lo + 1;
    if (hi < n->count && compare_heads(n->heads + (size_t)hi * words, k->head, words) == 0) {
        for (len = n->count - hi; len > 0;) {
            uint32_t half = len / 2;
            if (compare_heads(n->heads + (size_t)(hi + half) * words, k->head, words) == 0) {
                hi += half + 1;
                len -= half + 1;
            } else {
                len = half;
            }
        }
    }
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (is_before(t, n->rows[mid], k, or_equal))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Walks down to the leaf where the key belongs; fills path[0 .. depth). */
INLINE void descend(const lc_btree *t, const lc_btree_key *k, path_step *path, uint32_t words)
{
    lc_btree_node *n = t->root;
    for (uint32_t level = 0;; level++) {
        path[level].node = n;
        if (n->is_leaf) {
            path[level].at = rank(t, n, 0, k, false, words);
            return;
        }
        path[level].at = rank(t, n, 1, k, true, words) - 1;
        n = children_of(t, n)[path[level].at];
        expect_node(n, words);
    }
}

static void descend_any(const lc_btree *t, const lc_btree_key *k, path_step *path)
{
    if (t->words == 1)
        descend(t, k, path, 1);
    else
        descend(t, k, path, t->words);
}

/* ------------------------------------------------------------------- nodes */

/* Moves count entries within or between nodes; children too when the nodes are inner ones. */
static void move_entries(const lc_btree *t, lc_btree_node *to, uint32_t to_at, lc_btree_node *from,
                         uint32_t from_at, uint32_t count)
{
    uint32_t w = t->words;
    memmove(to->heads + (size_t)to_at * w, from->heads + (size_t)from_at * w,
            (size_t)count * w * sizeof(uint64_t));
    memmove(to->rows + to_at, from->rows + from_at, count * sizeof *to->rows);
    if (!to->is_leaf)
        memmove(children_of(t, to) + to_at, children_of(t, from) + from_at,
                count * sizeof(lc_btree_node *));
}

static void set_entry(const lc_btree *t, lc_btree_node *n, uint32_t at, const uint64_t *head,
                      lc_row_id row)
{
    memcpy(n->heads + (size_t)at * t->words, head, t->words * sizeof(uint64_t));
    n->rows[at] = row;
}

static void insert_entry(const lc_btree *t, lc_btree_node *n, uint32_t at, const uint64_t *head,
                         lc_row_id row, lc_btree_node *child)
{
    move_entries(t, n, at + 1, n, at, n->count - at);
    set_entry(t, n, at, head, row);
    if (!n->is_leaf) children_of(t, n)[at] = child;
    n->count++;
}

static void remove_entry(const lc_btree *t, lc_btree_node *n, uint32_t at)
{
    n->count--;
    move_entries(t, n, at, n, at + 1, n->count - at);
}

/* Splits a full node where an entry is about to go to `at`; returns the new right neighbour. A node
 * that grows at its very end gives nothing away, so that rising keys fill their nodes. */
static lc_btree_node *split(lc_btree *t, lc_btree_node *n, uint32_t at, bool is_last)
{
    lc_btree_node *right = new_node(t, n->is_leaf);
    uint32_t keep = at == n->count && is_last ? n->count : n->count / 2;
    move_entries(t, right, 0, n, keep, n->count - keep);
    right->count = n->count - keep;
    n->count = keep;
    if (n->is_leaf) {
        right->prev = n;
        right->next = n->next;
        if (n->next)
            n->next->prev = right;
        else
            t->last = right;
        n->next = right;
    }
    return right;
}

/* Rising keys need no way down: behind the last entry of all, if its leaf has room. */
static bool append(lc_btree *t, const lc_btree_key *k, lc_row_id row)
{
    lc_btree_node *n = t->last;
    if (n->count == 0 || n->count == FULL) return false;
    int order = compare_heads(n->heads + (size_t)(n->count - 1) * t->words, k->head, t->words);
    if (order > 0 || (order == 0 && !is_before(t, n->rows[n->count - 1], k, false))) return false;
    set_entry(t, n, n->count++, k->head, row);
    t->count++;
    return true;
}

void lc_btree_insert(lc_btree *t, const lc_btree_key *k, lc_row_id row)
{
    path_step path[LC_BTREE_MAX_DEPTH];
    if (!t->root) {
        t->root = t->last = new_node(t, true);
        t->depth = 1;
    }
    if (append(t, k, row)) return;
    descend_any(t, k, path);
    t->count++;

    /* The entry goes into the leaf; as long as nodes were full, their right halves go further up.
     */
    bool is_last = true;
    for (uint32_t l = 0; l + 1 < t->depth; l++) is_last &= path[l].at + 1 == path[l].node->count;
    const uint64_t *head = k->head;
    lc_btree_node *child = NULL;
    for (uint32_t level = t->depth; level-- > 0;) {
        lc_btree_node *n = path[level].node;
        uint32_t at = path[level].at + (n->is_leaf ? 0 : 1);
        if (n->count < FULL) {
            insert_entry(t, n, at, head, row, child);
            return;
        }
        lc_btree_node *right = split(t, n, at, is_last);
        if (at <= n->count && n->count < FULL)
            insert_entry(t, n, at, head, row, child);
        else
            insert_entry(t, right, at - n->count, head, row, child);
        head = right->heads;
        row = right->rows[0];
        child = right;
    }
    lc_btree_node *root = new_node(t, false);
    insert_entry(t, root, 0, t->root->heads, t->root->rows[0], t->root);
    insert_entry(t, root, 1, head, row, child);
    t->root = root;
    t->depth++;
    LC_ASSERT(t->depth < LC_BTREE_MAX_DEPTH);
}

/* A node at the right end of a level (leaves: 0), where all others are full. */
static lc_btree_node *add_last(lc_btree_filler *f, uint32_t level)
{
    lc_btree *t = f->tree;
    lc_btree_node *n = new_node(t, level == 0);
    f->last[level] = n;
    if (level > 0) return n;
    if (t->last) t->last->next = n;
    n->prev = t->last;
    t->last = n;
    return n;
}

static void fill(lc_btree_filler *f, uint32_t level, const uint64_t *head, lc_row_id row,
                 lc_btree_node *child)
{
    lc_btree *t = f->tree;
    lc_btree_node *n = f->last[level];
    if (level == t->depth) { /* a new root above the one node there is below */
        n = add_last(f, level);
        if (level > 0) insert_entry(t, n, 0, t->root->heads, t->root->rows[0], t->root);
        t->root = n;
        t->depth++;
        LC_ASSERT(t->depth < LC_BTREE_MAX_DEPTH);
    }
    if (n->count < FULL) {
        insert_entry(t, n, n->count, head, row, child);
        return;
    }
    n = add_last(f, level);
    insert_entry(t, n, 0, head, row, child);
    fill(f, level + 1, head, row, n);
}

void lc_btree_append(lc_btree_filler *f, const uint64_t *head, lc_row_id row)
{
    fill(f, 0, head, row, NULL);
    f->tree->count++;
}

/* The first entry below path[level] is now entry 0 of that node: tell the ancestor that repeats it.
 */
static void repeat_first(const lc_btree *t, path_step *path, uint32_t level)
{
    const lc_btree_node *n = path[level].node;
    while (level-- > 0) {
        if (path[level].at == 0) continue;
        set_entry(t, path[level].node, path[level].at, n->heads, n->rows[0]);
        return;
    }
}

/* Appends right to left, its left neighbour under the same parent (right is child `at`). */
static void join(lc_btree *t, lc_btree_node *parent, uint32_t at)
{
    lc_btree_node *left = children_of(t, parent)[at - 1], *right = children_of(t, parent)[at];
    set_entry(t, right, 0, parent->heads + (size_t)at * t->words, parent->rows[at]);
    move_entries(t, left, left->count, right, 0, right->count);
    left->count += right->count;
    if (left->is_leaf) {
        left->next = right->next;
        if (right->next)
            right->next->prev = left;
        else
            t->last = left;
    }
    free_node(t, right);
    remove_entry(t, parent, at);
}

void lc_btree_remove(lc_btree *t, const lc_btree_key *k, lc_row_id row)
{
    path_step path[LC_BTREE_MAX_DEPTH];
    LC_ASSERT(t->root);
    descend_any(t, k, path);
    uint32_t level = t->depth - 1;
    lc_btree_node *n = path[level].node;
    if (path[level].at == n->count || n->rows[path[level].at] != row)
        LC_BUG("a row is missing from index %u", t->index->id);
    t->count--;
    remove_entry(t, n, path[level].at);
    if (path[level].at == 0 && n->count > 0) repeat_first(t, path, level);

    for (; level > 0; level--) {
        n = path[level].node;
        lc_btree_node *parent = path[level - 1].node;
        uint32_t at = path[level - 1].at;
        if (n->count == 0) {
            if (n->is_leaf) {
                if (n->prev) n->prev->next = n->next;
                if (n->next)
                    n->next->prev = n->prev;
                else
                    t->last = n->prev;
            }
            free_node(t, n);
            remove_entry(t, parent, at);
            if (at == 0 && parent->count > 0) repeat_first(t, path, level - 1);
        } else if (n->count < FEW) {
            lc_btree_node **children = children_of(t, parent);
            if (at > 0 && children[at - 1]->count + n->count <= JOINED)
                join(t, parent, at);
            else if (at + 1 < parent->count && children[at + 1]->count + n->count <= JOINED)
                join(t, parent, at + 1);
            else
                return;
        } else {
            return;
        }
    }
    while (!t->root->is_leaf && t->root->count == 1) {
        lc_btree_node *child = children_of(t, t->root)[0];
        free_node(t, t->root);
        t->root = child;
        t->depth--;
    }
}

static void free_tree(lc_btree *t, lc_btree_node *n)
{
    if (!n->is_leaf)
        for (uint32_t i = 0; i < n->count; i++) free_tree(t, children_of(t, n)[i]);
    free_node(t, n);
}

void lc_btree_deinit(lc_btree *t)
{
    if (t->root) free_tree(t, t->root);
    t->root = t->last = NULL;
    t->depth = 0;
    t->count = 0;
}

/* ------------------------------------------------------------------- reads */

static lc_btree_cursor settle(lc_btree_cursor c)
{
    if (c.leaf && c.at == c.leaf->count && c.leaf->next) c = (lc_btree_cursor){c.leaf->next, 0};
    return c;
}

lc_btree_cursor lc_btree_seek(const lc_btree *t, const lc_btree_key *k)
{
    if (!t->root) return (lc_btree_cursor){NULL, 0};
    path_step path[LC_BTREE_MAX_DEPTH];
    descend_any(t, k, path);
    return settle((lc_btree_cursor){path[t->depth - 1].node, path[t->depth - 1].at});
}

lc_btree_cursor lc_btree_first(const lc_btree *t)
{
    lc_btree_node *n = t->root;
    while (n && !n->is_leaf) n = children_of(t, n)[0];
    return (lc_btree_cursor){n, 0};
}

lc_row_id lc_btree_next(lc_btree_cursor *c, const lc_btree_cursor *end)
{
    if (!c->leaf || c->at == c->leaf->count) return LC_NO_ROW;
    if (end && c->leaf == end->leaf && c->at == end->at) return LC_NO_ROW;
    lc_row_id row = c->leaf->rows[c->at++];
    *c = settle(*c);
    return row;
}

INLINE lc_row_id find(const lc_btree *t, const lc_btree_key *k, uint32_t words)
{
    const lc_btree_node *n = t->root;
    if (!n) return LC_NO_ROW;
    while (!n->is_leaf) {
        n = children_of(t, n)[rank(t, n, 1, k, true, words) - 1];
        expect_node(n, words);
    }
    uint32_t at = rank(t, n, 0, k, false, words);
    if (at == n->count || compare_heads(n->heads + (size_t)at * words, k->head, words) != 0)
        return LC_NO_ROW;
    if (k->is_long && !lc_span_equal(lc_index_tree_bytes(t->index, n->rows[at]), k->bytes))
        return LC_NO_ROW;
    return n->rows[at];
}

lc_row_id lc_btree_find(const lc_btree *t, const lc_btree_key *k)
{
    return t->words == 1 ? find(t, k, 1) : find(t, k, t->words);
}

void lc_btree_bounds(const lc_btree *t, uint64_t *min, uint64_t *max)
{
    *min = lc_btree_first(t).leaf->heads[0];
    const lc_btree_node *n = t->root;
    while (!n->is_leaf) n = children_of(t, n)[n->count - 1];
    *max = n->heads[(size_t)(n->count - 1) * t->words];
}

uint64_t lc_btree_memory(const lc_btree *t)
{
    return t->bytes;
}
