/*
 * Inside the store room. Layers, bottom up:
 *
 *   heap.c                       blocks of any size: all memory that grows with rows
 *   image.c                      frozen images: what the executor must not write over or free
 *   rows.c                       slots in pages: a row's handle is its slot's number
 *   hash.c, btree.c, direct.c    three structures from key to handle; none of them keeps row bytes
 *   key.c, index.c               keys of rows; an index = a key shape over one of the structures
 *   tx.c                         which rows the open transaction touched, and what they were before
 *   write.c, sequence.c, read.c  rows in and out
 *   table.c, catalog.c           the objects, and where they are found
 *   system.c, define.c           the st_* tables: bootstrap, rows with a meaning, new tables
 *   build.c                      indexes and row sets of many rows at once
 *   delta.c                      to the log
 *   replay.c, load.c, restart.c  back from the log, from an image, and what is around both
 */
#ifndef LC_STORE_INTERNAL_H
#define LC_STORE_INTERNAL_H

#include "store/lc_store.h"

/* -------------------------------------------------------------------- heap */

/*
 * Blocks in size classes, cut from slabs of 64 KiB that are aligned to their size, so that a block
 * finds its slab by masking its address. A slab holds blocks of one class and is on its class's
 * list iff it has a free block. Slabs come from regions of 2 MiB; an empty slab serves any class
 * next. Rows, pages, tree nodes and tables of hashes are all blocks; who frees one says how big it
 * was.
 *
 * Empty slabs beyond a reserve lose their memory to the system, those empty for longest first; a
 * region goes as a whole when no slab of it is in use.
 */
enum {
    LC_SLAB_SIZE = 64 * 1024,
    LC_HEAP_MAX_BLOCK = 16368, /* a quarter of a slab; larger blocks come from the system */
    LC_HEAP_CLASSES = 38,
    LC_HEAP_RESERVE = 64, /* empty slabs that keep their memory: 4 MiB */
};
typedef struct lc_slab lc_slab;
typedef struct lc_region lc_region;
typedef struct lc_heap {
    lc_slab *with_room[LC_HEAP_CLASSES];
    lc_slab *empty, *longest_empty; /* both ends of one list */
    uint32_t empty_count;
    lc_region *with_absent; /* regions that have slabs without memory */
    LC_VEC(lc_region *) regions;
    /* New regions: while an image lives any write may copy a page, and is not to wait until a huge
     * page is zeroed (milliseconds on some machines). */
    bool in_small_pages;
} lc_heap;

void lc_heap_deinit(lc_heap *h);
void *lc_heap_alloc(lc_heap *h, size_t size); /* 16-byte aligned */
void lc_heap_free(lc_heap *h, void *block, size_t size);
size_t lc_heap_block_size(size_t size); /* what a block of size really takes */

/* ---------------------------------------------------------- frozen images */

/*
 * Time runs in epochs: each freeze ends one. Pages, and the blocks of rows that vary in size, carry
 * the epoch they were last written in. An image sees everything written in its epoch or before, so
 * that must be left alone while the image lives: pages are copied before they change, and blocks
 * out of use wait in the limbo of the newest image that may read them, then of the one before it.
 *
 * Readers walk through tables and pages in order. A page's place is (table id, page number); what
 * lies before the place a reader has reached is needed no more. Tables left out of images have
 * places before all others.
 */
typedef struct lc_freezer {
    lc_heap *heap;
    uint32_t epoch;            /* of what is written now */
    uint32_t frozen_upto;      /* epoch of the newest living image, 0 = there is none */
    uint32_t released;         /* images that only wait for their limbo to be emptied */
    LC_VEC(lc_image *) images; /* oldest first */
} lc_freezer;
#define LC_FREEZER_INIT(h) ((lc_freezer){.heap = (h), .epoch = 1})

/* So many blocks of a limbo are freed at once: about 0.1 ms. */
enum { LC_FREEZER_PIECE = 64 };

/* No image is living any more. */
void lc_freezer_deinit(lc_freezer *f);
/* May a living image still read what was last written in this epoch, at this place? */
bool lc_freezer_needs(const lc_freezer *f, uint32_t epoch, uint64_t place);
/* Frees a block, now or when no image needs it any more. */
void lc_freezer_retire(lc_freezer *f, void *block, size_t size, uint32_t epoch, uint64_t place);
static inline void lc_freezer_free(lc_freezer *f, void *block, size_t size, uint32_t epoch,
                                   uint64_t place)
{
    if (LC_LIKELY(epoch > f->frozen_upto))
        lc_heap_free(f->heap, block, size);
    else
        lc_freezer_retire(f, block, size, epoch, place);
}
/* Frees a piece of what waited for images that were released; false when nothing waits any more. */
bool lc_freezer_tidy(lc_freezer *f);

/* -------------------------------------------------------------------- rows */

/* A row's handle: number of its page, then of its slot in it. Stable while the row lives. Pages
 * have the size of a block, so the slots of a page need not be a power of two: some numbers stay
 * unused. */
typedef uint32_t lc_row_id;
#define LC_NO_ROW  UINT32_MAX
#define LC_NO_PAGE UINT32_MAX
#define LC_NO_SLOT UINT16_MAX

/*
 * A page: header, bits of its slots, slots; one allocation, so that it can be copied whole. Slots
 * [0, used) have been given out at some time; each of them is
 *   live  its bit in `live` is set: the row is in the table;
 *   free  on the list that starts at free_head and runs through the first two bytes of the slots;
 *   held  neither: deleted by the transaction in progress, its bytes still wanted.
 * `touched` marks slots that have an entry in the table's lc_tx_rows.
 *
 * A page that an image may see is copied before its slots, bits or stamps change. The links of the
 * list and `epoch` may be written always: readers of images do not look at them.
 */
typedef struct lc_page_bits {
    uint64_t live;
    uint64_t touched;
} lc_page_bits;
typedef struct lc_page {
    uint16_t live_count;
    uint16_t taken; /* live and held slots */
    uint16_t used;
    uint16_t free_head;
    uint32_t epoch; /* last written in it */
    uint32_t next, prev;
    bool is_listed;   /* in the list of pages with free slots */
    uint64_t *stamps; /* per slot, when the table keeps stamps; else NULL */
    lc_page_bits bits[];
} lc_page;

/* Slot of a row whose size varies. The bytes are never changed in place: an update gets a new
 * block, so whoever knows the old one can go on reading it until it is freed. */
typedef struct lc_var_row {
    uint8_t *bytes;
    uint32_t len;
    uint32_t epoch; /* the block was written in it */
} lc_var_row;

typedef struct lc_rows {
    lc_page **pages; /* NULL = given back, its number is free */
    uint32_t page_count;
    uint32_t page_cap;
    LC_VEC(uint32_t) free_numbers; /* of pages */
    bool is_fixed;
    uint32_t row_size; /* fixed rows */
    uint32_t stride;
    uint32_t slots; /* per page, at most 1 << shift */
    uint32_t shift;
    uint32_t mask;
    uint32_t data_offset; /* of slot 0 in a page */
    uint32_t with_room;   /* first page with free slots, last freed first */
    uint32_t filling;     /* the page that fresh slots come from */
    /* One page without rows is kept, so that a row that comes and goes does not cost a page each
     * time. */
    uint32_t spare;
    uint64_t count;
    /* Stamps number the rows in order of insertion; only ordered indexes that allow equal keys look
     * at them. */
    bool keeps_stamps;
    uint64_t next_stamp;
    uint64_t heap_bytes;
    lc_heap *heap;
    lc_freezer *freezer;
    uint64_t place; /* of page 0 in images; set by freezing */
} lc_rows;

void lc_rows_init(lc_rows *r, lc_freezer *freezer, int32_t fixed_size);
void lc_rows_deinit(lc_rows *r);
/* A live slot holding a copy of row; LC_NO_ROW when the table has as many rows as handles go. */
lc_row_id lc_rows_insert(lc_rows *r, lc_span row);
/* So many of count rows of one size, back to back, as went into slots that follow each other:
 * *first is the first one's handle. 0 as above. */
uint32_t lc_rows_insert_run(lc_rows *r, const uint8_t *rows, uint32_t count, lc_row_id *first);
/* live -> held, held -> live, held -> free. */
void lc_rows_hold(lc_rows *r, lc_row_id id);
void lc_rows_unhold(lc_rows *r, lc_row_id id);
void lc_rows_free(lc_rows *r, lc_row_id id);
/* Overwrites the bytes of a row. Rows of varying size: the old block is now the caller's. */
void lc_rows_write(lc_rows *r, lc_row_id id, lc_span row);
/* The same where nobody knows the old bytes, no image nor transaction: they are gone. */
void lc_rows_replace(lc_rows *r, lc_row_id id, lc_span row);
/* Frees a block that the row had. */
void lc_rows_free_block(lc_rows *r, lc_row_id id, lc_var_row block);
void lc_rows_keep_stamps(lc_rows *r, bool keep);
/* The first live row at or after id, LC_NO_ROW at the end. */
lc_row_id lc_rows_next(const lc_rows *r, lc_row_id id);
uint64_t lc_rows_memory(const lc_rows *r);

static inline lc_page *lc_rows_page(const lc_rows *r, lc_row_id id)
{
    return r->pages[id >> r->shift];
}
static inline uint8_t *lc_rows_slot(const lc_rows *r, lc_row_id id)
{
    return (uint8_t *)r->pages[id >> r->shift] + r->data_offset +
           (size_t)(id & r->mask) * r->stride;
}
/* Rows of varying size. */
static inline lc_var_row *lc_rows_block(const lc_rows *r, lc_row_id id)
{
    return (lc_var_row *)lc_rows_slot(r, id);
}
static inline lc_span lc_rows_get(const lc_rows *r, lc_row_id id)
{
    if (r->is_fixed) return LC_SPAN(lc_rows_slot(r, id), r->row_size);
    const lc_var_row *v = lc_rows_block(r, id);
    return LC_SPAN(v->bytes, v->len);
}
static inline uint64_t lc_rows_stamp(const lc_rows *r, lc_row_id id)
{
    return lc_rows_page(r, id)->stamps[id & r->mask];
}
static inline void lc_rows_set_stamp(lc_rows *r, lc_row_id id, uint64_t stamp)
{
    lc_rows_page(r, id)->stamps[id & r->mask] = stamp;
    if (stamp >= r->next_stamp) r->next_stamp = stamp + 1;
}
/* For a row about to be changed: its bits lie apart from its bytes, wait for both at once. */
static inline void lc_rows_expect_change(const lc_rows *r, lc_row_id id)
{
    __builtin_prefetch(&lc_rows_page(r, id)->bits[(id & r->mask) / 64], 1);
    __builtin_prefetch(lc_rows_slot(r, id), 1);
}
static inline bool lc_rows_is_touched(const lc_rows *r, lc_row_id id)
{
    uint32_t slot = id & r->mask;
    return lc_rows_page(r, id)->bits[slot / 64].touched >> (slot % 64) & 1;
}
static inline void lc_rows_set_touched(lc_rows *r, lc_row_id id, bool on)
{
    uint32_t slot = id & r->mask;
    lc_page_bits *bits = &lc_rows_page(r, id)->bits[slot / 64];
    uint64_t bit = UINT64_C(1) << (slot % 64);
    bits->touched = on ? bits->touched | bit : bits->touched & ~bit;
}

/* -------------------------------------------------------------------- hash */

/*
 * Open addressing with linear probing over pairs (tag, handle). The tag is 32 bits of the key's
 * hash; its high bits are the pair's home, so growing needs nothing but the pairs. Whether a
 * candidate has the wanted key is for the caller to see in the row. Invariant: between a pair and
 * its home there is no empty place.
 */
typedef struct lc_hash_slot {
    uint32_t tag;
    uint32_t row; /* LC_NO_ROW = empty */
} lc_hash_slot;
typedef struct lc_hash {
    lc_hash_slot *slots;
    uint32_t count;
    uint32_t limit; /* grow when count reaches it; 0 while there are no slots */
    uint8_t bits;   /* slots = 1 << bits */
    lc_heap *heap;  /* set before first use */
} lc_hash;

void lc_hash_deinit(lc_hash *h); /* empty again, without memory */
void lc_hash_clear(lc_hash *h);  /* empty again, with at most a little memory */
void lc_hash_reserve(lc_hash *h, uint64_t count);
void lc_hash_insert(lc_hash *h, uint32_t tag, uint32_t row);
void lc_hash_remove(lc_hash *h, uint32_t tag, uint32_t row); /* must be there */
/* The tag will soon be looked for; there are slots. */
static inline void lc_hash_expect(const lc_hash *h, uint32_t tag)
{
    __builtin_prefetch(&h->slots[(uint64_t)tag << h->bits >> 32]);
}
static inline uint64_t lc_hash_memory(const lc_hash *h)
{
    return h->slots ? sizeof(lc_hash_slot) << h->bits : 0;
}
/* Candidates: for (id = lc_hash_first(h, tag, &at); id != LC_NO_ROW; id = lc_hash_next(h, tag,
 * &at)) */
static inline uint32_t lc_hash_scan(const lc_hash *h, uint32_t tag, uint32_t at, uint32_t *next)
{
    const uint32_t mask = (uint32_t)((UINT64_C(1) << h->bits) - 1);
    for (;; at++) {
        const lc_hash_slot *s = &h->slots[at & mask];
        if (s->row == LC_NO_ROW || s->tag == tag) {
            *next = at + 1;
            return s->row;
        }
    }
}
static inline uint32_t lc_hash_first(const lc_hash *h, uint32_t tag, uint32_t *at)
{
    if (LC_UNLIKELY(!h->slots)) return LC_NO_ROW;
    return lc_hash_scan(h, tag, (uint32_t)((uint64_t)tag << h->bits >> 32), at);
}
static inline uint32_t lc_hash_next(const lc_hash *h, uint32_t tag, uint32_t *at)
{
    return lc_hash_scan(h, tag, *at, at);
}

/* ------------------------------------------------------------------ direct */

/*
 * Dense unsigned keys: blocks of 1024 handles, found through an array of blocks that covers
 * [first, first + len). Blocks without a handle have no memory, but one of them is kept for the
 * next key. Only for unique keys.
 * It refuses a key that would leave it mostly empty (see direct.c): then the index moves its pairs
 * to another structure.
 */
enum { LC_DIRECT_SHIFT = 10, LC_DIRECT_BLOCK = 1 << LC_DIRECT_SHIFT };
typedef struct lc_direct_block {
    lc_row_id *rows; /* NULL = none used */
    uint64_t used;
} lc_direct_block;
typedef struct lc_direct {
    lc_direct_block *blocks;
    lc_row_id *spare; /* a block without handles, or NULL */
    uint64_t first;
    uint64_t len;
    uint64_t cap;
    uint64_t block_count;
    uint64_t count;
    lc_heap *heap;
} lc_direct;

void lc_direct_deinit(lc_direct *d);
/* False: too sparse, not done; unless forced by someone who knows the keys to come. */
bool lc_direct_insert(lc_direct *d, uint64_t key, lc_row_id row, bool is_forced);
/* Are so many keys between min and max dense without a closer look? */
bool lc_direct_is_dense(uint64_t min, uint64_t max, uint64_t count);
/* More than 32 bytes a row for blocks in use, or a long array of `len` blocks: not worth it. */
bool lc_direct_is_sparse(uint64_t blocks, uint64_t len, uint64_t count);
void lc_direct_remove(lc_direct *d, uint64_t key);
/* The smallest key >= *key, which is updated; LC_NO_ROW when there is none. */
lc_row_id lc_direct_seek(const lc_direct *d, uint64_t *key);
uint64_t lc_direct_memory(const lc_direct *d);
static inline void lc_direct_expect(const lc_direct *d, uint64_t key)
{
    uint64_t at = (key >> LC_DIRECT_SHIFT) - d->first;
    if (at < d->len && d->blocks[at].rows)
        __builtin_prefetch(&d->blocks[at].rows[key & (LC_DIRECT_BLOCK - 1)]);
}
static inline lc_row_id lc_direct_find(const lc_direct *d, uint64_t key)
{
    uint64_t at = (key >> LC_DIRECT_SHIFT) - d->first;
    if (at >= d->len || !d->blocks[at].rows) return LC_NO_ROW;
    return d->blocks[at].rows[key & (LC_DIRECT_BLOCK - 1)];
}

/* ------------------------------------------------------------------- btree */

/*
 * B+tree of (key head, handle). The head is the first `words` * 8 bytes of the normalised key, read
 * as big-endian numbers and padded with zeros; what lies behind it is compared in the rows. Among
 * equal keys the rows' stamps decide, so that an entry's place depends on its row alone.
 *
 * Invariants: a node's entries ascend. Entry i > 0 of an inner node equals the first entry below
 * its child i (so it names a row that is in the tree); entry 0 means "below everything" and is not
 * looked at. Leaves are chained. No node is empty but a root leaf.
 */
/* With 72 entries nodes of one and two words just fit into blocks. */
enum { LC_BTREE_FANOUT = 72, LC_BTREE_MAX_WORDS = 4, LC_BTREE_MAX_DEPTH = 16 };
typedef struct lc_btree_node lc_btree_node;
typedef struct lc_btree {
    lc_btree_node *root;
    lc_btree_node *last;   /* leaf */
    const lc_index *index; /* for the bytes behind the heads */
    lc_heap *heap;
    uint32_t words;
    uint32_t depth; /* levels; 0 = no root */
    uint64_t count;
    uint64_t bytes;
} lc_btree;

/* Where in the order: before or behind all entries with the key (or that begin with it), or at one.
 */
typedef enum lc_btree_side { LC_BTREE_BEFORE, LC_BTREE_BEHIND, LC_BTREE_AT } lc_btree_side;
typedef struct lc_btree_key {
    uint64_t head[LC_BTREE_MAX_WORDS];
    lc_span bytes; /* the whole normalised key, looked at only when is_long */
    bool is_long;  /* the key goes on behind the head */
    lc_btree_side side;
    uint64_t stamp; /* AT */
} lc_btree_key;
typedef struct lc_btree_cursor {
    lc_btree_node *leaf;
    uint32_t at;
} lc_btree_cursor;

void lc_btree_deinit(lc_btree *t);
void lc_btree_insert(lc_btree *t, const lc_btree_key *key, lc_row_id row); /* side AT */
/* Fills an empty tree in order, with full nodes; the tree is in order after each entry. */
typedef struct lc_btree_filler {
    lc_btree *tree;
    lc_btree_node *last[LC_BTREE_MAX_DEPTH]; /* the last node of each level, leaves first */
} lc_btree_filler;
void lc_btree_append(lc_btree_filler *f, const uint64_t *head, lc_row_id row);
void lc_btree_remove(lc_btree *t, const lc_btree_key *key, lc_row_id row); /* side AT; is there */
lc_btree_cursor lc_btree_seek(const lc_btree *t, const lc_btree_key *key);
lc_btree_cursor lc_btree_first(const lc_btree *t);
/* The row under the cursor, which moves on; LC_NO_ROW at end (which may be NULL = the tree's end).
 */
lc_row_id lc_btree_next(lc_btree_cursor *c, const lc_btree_cursor *end);
/* The one entry of a unique tree with this key; LC_NO_ROW when absent. Side is ignored. */
lc_row_id lc_btree_find(const lc_btree *t, const lc_btree_key *key);
/* First head word of the smallest and the largest entry; the tree is not empty. */
void lc_btree_bounds(const lc_btree *t, uint64_t *min, uint64_t *max);
uint64_t lc_btree_memory(const lc_btree *t);

/* -------------------------------------------------------------------- keys */

typedef enum lc_key_form {
    LC_KEY_INT, /* one column that is an integer of at most 8 bytes (or bool, plain enum, timestamp)
                 */
    LC_KEY_WORD, /* normalised key of at most 8 bytes */
    LC_KEY_LONG, /* anything else */
} lc_key_form;

/* What an index needs to know to get its keys out of rows. */
typedef struct lc_key_shape {
    lc_key_form form;
    uint8_t width;  /* INT: bytes */
    bool is_free;   /* INT: any bytes are a valid key */
    uint64_t flip;  /* INT: sign bit, so that signed numbers order as unsigned ones */
    int32_t offset; /* constant offset of the first key column, or -1 */
    /* LONG keys of hash indexes: compared as they are, when their bytes are equal iff they are. */
    bool is_raw;
    bool is_contiguous; /* the key columns follow each other in the row */
    bool is_exact;      /* bytes behind a key, a bound or a prefix are an error */
    int32_t size;       /* of the normalised key if constant, else -1 */
    /* The key as a sequence of values: one per key column; the members of the only key column when
     * it is a product. */
    const lc_type **parts;
    uint32_t part_count;
} lc_key_shape;

void lc_key_shape_init(lc_index *i);
static inline uint64_t lc_key_int(const lc_key_shape *k, const uint8_t *p)
{
    switch (k->width) {
    case 1:
        return *p ^ k->flip;
    case 2:
        return lc_load_u16(p) ^ k->flip;
    case 4:
        return lc_load_u32(p) ^ k->flip;
    default:
        return lc_load_u64(p) ^ k->flip;
    }
}
/* The key as one number: INT and WORD. */
uint64_t lc_key_word_of_row(const lc_index *i, const uint8_t *row);
uint64_t lc_key_word(const lc_index *i, const uint8_t *key);
/* The key as bytes, in the form its index compares (raw or normalised); may point into scratch. */
lc_span lc_key_bytes_of_row(const lc_index *i, const uint8_t *row, lc_buf *scratch);
lc_span lc_key_bytes(const lc_index *i, lc_span key, lc_buf *scratch);
/* Normalised bytes of the first count parts of a key given as BSATN. */
void lc_key_normalise(const lc_index *i, const uint8_t *key, uint32_t count, lc_buf *out);
/* Do the key columns of two rows have the same bytes? Then the keys are equal. */
bool lc_key_same_columns(const lc_index *i, const uint8_t *a, const uint8_t *b);
/* Length of a key at the start of in, checked value by value. */
lc_errno lc_key_validate(const lc_index *i, lc_span in, uint32_t parts, size_t *size,
                         lc_error *err);
lc_errno lc_key_too_long(const lc_index *i, lc_error *err);

/* ----------------------------------------------------------------- indexes */

typedef enum lc_structure {
    LC_STRUCTURE_DIRECT,
    LC_STRUCTURE_HASH,
    LC_STRUCTURE_BTREE
} lc_structure;

/*
 * Which structure: unique integer keys start in a direct array and leave it when they prove sparse
 * (and come back when they prove dense); other unique keys of hash indexes are in a hash;
 * everything else is in a tree, so that equal keys have an order and a big group of them costs no
 * more than others.
 */
struct lc_index {
    lc_table *table;
    uint32_t id;
    lc_span name;
    lc_span alias;
    lc_index_algorithm algorithm;
    bool is_unique;
    bool is_moving; /* scratch of one update: the key changes */
    lc_structure structure;
    lc_key_shape key;
    union {
        lc_direct direct;
        lc_hash hash;
        lc_btree btree;
    };
    uint64_t seed; /* of hashed numbers: nobody outside shall prepare colliding keys */
    uint64_t min_word, max_word; /* of all integer keys ever put in the hash */
    const lc_type *key_type;     /* for messages: the column's type, or a product without names */
    uint16_t column_count;
    uint16_t *columns;
};

void lc_index_init_structure(lc_index *i);
void lc_index_set_structure(lc_index *i, lc_structure s); /* empty */
void lc_index_deinit_structure(lc_index *i);
uint64_t lc_index_count(const lc_index *i); /* entries */
/* Moves what an index holds to an empty one of the same table, if that could hold it like this. */
bool lc_index_take_over(lc_index *to, lc_index *from);
void lc_index_clear(lc_index *i);
void lc_index_add(lc_index *i, lc_row_id id, const uint8_t *row);
void lc_index_drop(lc_index *i, lc_row_id id, const uint8_t *row);
/* The row of a unique index whose key equals that of row (which may be elsewhere); LC_NO_ROW. */
lc_row_id lc_index_lookup_row(const lc_index *i, const uint8_t *row);
/* The tag a row has in an index that is a hash; its place in one that is a tree. */
uint32_t lc_index_tag(const lc_index *i, const uint8_t *row);
lc_btree_key lc_index_tree_key(const lc_index *i, lc_row_id id, const uint8_t *row);
uint64_t lc_index_memory(const lc_index *i);
/* Collects the handles of a point or range in key order. */
typedef LC_VEC(lc_row_id) lc_row_ids;
void lc_index_collect_point(const lc_index *i, lc_span key, lc_row_ids *out);
void lc_index_collect_range(const lc_index *i, const lc_range *range, lc_row_ids *out);
/* LC_ERRNO_WRONG_INDEX_ALGO for a hash index. */
lc_errno lc_index_check_ordered(const lc_index *i, lc_error *err);
/* Normalised key of a tree's entry, for comparisons behind the head. */
lc_span lc_index_tree_bytes(const lc_index *i, lc_row_id id);

/* ------------------------------------------------------------ transactions */

/*
 * What the open transaction did to rows, net: one entry per slot. From its entry a row can be put
 * back (rollback), and all entries together are the table's delta.
 */
typedef enum lc_tx_state {
    LC_TX_GONE,     /* inserted and deleted again: the entry means nothing any more */
    LC_TX_INSERTED, /* not there before */
    LC_TX_UPDATED,  /* there before with the bytes `old`: the entry's (var) or the tx arena's */
    LC_TX_DELETED,  /* held; the slot has the bytes it had before */
} lc_tx_state;
typedef struct lc_tx_entry {
    lc_var_row old;
    lc_row_id row;
    uint8_t state;     /* lc_tx_state */
    bool is_rewritten; /* UPDATED more than once: may equal its old bytes again */
} lc_tx_entry;
_Static_assert(sizeof(lc_tx_entry) == 24, "a million rows in a transaction take 24 MB");
typedef struct lc_tx_rows {
    LC_VEC(lc_tx_entry) entries;
    lc_hash by_row; /* entry numbers by row, for entries [0, indexed): filled when first needed */
    uint32_t indexed;
    uint32_t inserted, updated, deleted; /* entries by state */
    bool keys_moved;                     /* some update changed what identifies a row */
    bool is_listed;                      /* in the store's list of touched tables */
} lc_tx_rows;

/* Did the open transaction put rows in, or change some? Those are the live rows whose slots are
 * touched; scans give them apart from the others (02 section 1.3). */
bool lc_tx_has_rows(const lc_table *t);
/* The entry of a row the transaction touched before, else NULL. */
lc_tx_entry *lc_tx_find(lc_table *t, lc_row_id id);
void lc_tx_add(lc_table *t, lc_row_id id, lc_tx_state state, lc_var_row old);
/* Puts the bytes back that an updated row had before the transaction. */
void lc_tx_restore_bytes(lc_table *t, const lc_tx_entry *e);

/* --------------------------------------------------------------- sequences */

typedef __int128 lc_int128;
typedef unsigned __int128 lc_uint128;

/* Hands out value, then steps. Invariants: the values from `value` up to (not including)
 * `allocated` are ours to give; `stored` is what the st_sequence row says in the current
 * transaction. */
typedef struct lc_sequence {
    uint32_t id;
    uint16_t column;
    lc_span name;
    lc_int128 increment, start, min, max;
    lc_int128 value, allocated, stored;
} lc_sequence;
typedef struct lc_sequence_undo {
    lc_sequence *sequence;
    lc_int128 stored;
} lc_sequence_undo;

bool lc_sequence_is_sane(const lc_sequence *q);
/* Draws values for every auto-increment column of row that is zero. On return *row points to the
 * row to store, and *generated to the drawn columns. */
void lc_sequence_fill(lc_table *t, lc_span *row, lc_span *generated);
lc_span lc_sequence_row(const lc_table *t, const lc_sequence *q, lc_buf *out);

/* ----------------------------------------------------------------- objects */

typedef struct lc_column {
    lc_span name;
    lc_span alias;
    const lc_type *type;
} lc_column;

struct lc_table {
    lc_store *store;
    uint32_t id;
    bool is_public, is_event, is_system, is_view, is_ephemeral;
    bool has_row_set; /* a table without a unique index keeps its rows in a hash by their bytes */
    int32_t primary_key;
    lc_layout *layout;
    lc_rows rows;
    lc_hash row_set;
    lc_index **indexes; /* ascending id */
    uint32_t index_count;
    lc_index
        *identity; /* the unique index with the lowest id: finds the row equal to a given one */
    lc_sequence *sequences;
    uint32_t sequence_count;
    lc_tx_rows tx;
    void *user_data;
    lc_span name, alias;
    const lc_type *row_type;
    lc_column *columns;
    uint32_t column_count;
    bool is_stale;  /* replay: st_column changed since the layout was made */
    lc_arena arena; /* names, types, columns */
};

struct lc_store {
    bool in_tx;
    bool has_delta;
    lc_u64map tables, indexes;
    lc_map tables_by_name, tables_by_alias, indexes_by_name, indexes_by_alias;
    LC_VEC(lc_table *) ordered; /* ascending id */
    lc_table *system[LC_ST_COUNT + 1];
    lc_heap heap;
    lc_freezer freezer;
    lc_arena arena; /* of the transaction: old bytes, delta; until release */
    LC_VEC(lc_table *) touched;
    LC_VEC(lc_table *) created; /* by the open transaction */
    LC_VEC(lc_sequence_undo) sequence_undo;
    lc_delta delta;
    lc_buf filled; /* row with generated columns */
    lc_buf generated;
    lc_buf system_row;
    lc_buf probe_key, row_key;
    lc_row_ids picked;
    struct lc_replay *replay; /* while a log is replayed, else NULL */
};

/* table.c */
lc_table *lc_table_create(lc_store *s, uint32_t id, lc_span name);
void lc_table_destroy(lc_table *t);
/* Copies names; types must outlive the table (live in its arena or be singletons). If the table had
 * others, its rows get the form that fits, and what finds them is gone. LC_E_CORRUPT when a row is
 * none of the new type. */
lc_status lc_table_set_columns(lc_table *t, const lc_column *columns, uint32_t count,
                               lc_error *err);
lc_index *lc_table_add_index(lc_table *t, uint32_t id, lc_span name, lc_index_algorithm algorithm,
                             const uint16_t *columns, uint16_t count, bool is_unique);
void lc_table_drop_indexes(lc_table *t);
/* Indexes and row set go: nothing finds a row any more. */
void lc_table_forget_rows(lc_table *t);
lc_sequence *lc_table_add_sequence(lc_table *t);
/* After indexes were added: identity, row set and stamps as they must be. Fills empty indexes from
 * the rows. LC_E_CORRUPT when a unique index has duplicates. */
lc_status lc_table_finish(lc_table *t, lc_error *err);
/* Back to rows and row set alone: no indexes. LC_E_CORRUPT when two rows are equal. */
lc_status lc_table_use_row_set(lc_table *t, lc_error *err);

/* write.c: one row, without checks; index upkeep and transaction entry included. */
lc_row_id lc_table_put(lc_table *t, lc_span row);
void lc_table_take(lc_table *t, lc_row_id id);
void lc_table_overwrite(lc_table *t, lc_row_id id, lc_span row);
/* The row with exactly these bytes; LC_NO_ROW. */
lc_row_id lc_table_find_equal(const lc_table *t, lc_span row);
static inline uint32_t lc_row_tag(lc_span row)
{
    return (uint32_t)(lc_hash_bytes(row.ptr, row.len) >> 32);
}

/* build.c: from all rows at once. */
/* Fills an empty index. Returns the second of two rows that cannot be in it together (one key in a
 * unique index, one stamp in another one), else LC_NO_ROW. */
lc_row_id lc_index_build(lc_index *i);
/* Fills the row set anew. Returns the second of two equal rows, else LC_NO_ROW. */
lc_row_id lc_table_build_row_set(lc_table *t);

/* catalog.c */
void lc_catalog_add(lc_store *s, lc_table *t);
void lc_catalog_add_indexes(lc_store *s, lc_table *t);
void lc_catalog_remove(lc_store *s, lc_table *t);
/* What the st_* rows say about a user table: name, access and the like; columns; indexes and
 * sequences. LC_E_CORRUPT when they contradict each other. */
lc_status lc_catalog_load_header(lc_table *t, lc_error *err);
lc_status lc_catalog_load_columns(lc_table *t, lc_error *err);
lc_status lc_catalog_load_indexes(lc_table *t, lc_error *err);
lc_status lc_catalog_load_objects(lc_table *t, lc_error *err); /* indexes and sequences */
/* Is it the backing table of a view? */
bool lc_catalog_is_view(const lc_store *s, uint32_t table_id);
/* All four steps, and into the catalog. */
lc_status lc_catalog_load_table(lc_store *s, uint32_t id, lc_table **out, lc_error *err);

/* system.c */
void lc_system_bootstrap(lc_store *s);
/* Around the replay of a log: indexes of system tables away and back, sequences read again. */
void lc_system_begin_replay(lc_store *s);
lc_status lc_system_end_replay(lc_store *s, lc_error *err);
/* Inserts one row; the generated id, if any, goes to *id (may be NULL). */
lc_status lc_system_put(lc_store *s, uint32_t table_id, const lc_buf *row, uint32_t *id,
                        lc_error *err);
/* The st_* tables whose rows may be about system tables: those rows are there from the start. */
static inline bool lc_system_is_schema(uint32_t table_id)
{
    return table_id <= LC_ST_CONSTRAINT || table_id == LC_ST_SCHEDULED ||
           table_id == LC_ST_EVENT_TABLE;
}
/* The row of a system table whose first unique index has this key. */
bool lc_system_find(const lc_store *s, uint32_t table_id, lc_span key, lc_span *row);

/* delta.c */
void lc_delta_build(lc_store *s);

/* ----------------------------------------------------------------- restart */

/*
 * While an image is loaded and a log replayed, a user table is its rows and one thing that finds
 * them: an index over the columns of its unique index with the lowest id (identity, always a direct
 * array or a hash) or, if it has none, the row set. It is made when first needed and forgotten when
 * rows of st_column, st_index or st_constraint say something new about the table. System tables
 * have row sets: what the log says about themselves may contradict for a while.
 */
typedef struct lc_replay_inserts {
    lc_table *table;
    const uint8_t *rows; /* back to back, valid */
    uint64_t count;
} lc_replay_inserts;
typedef struct lc_replay {
    lc_u64map tables;    /* user tables that have an object */
    bool has_stale;      /* one of them has is_stale */
    bool has_image;      /* its first chunk took away the bootstrap rows */
    bool lacks_row_sets; /* of system tables, while their chunks come */
    bool has_records;
    uint32_t chunk_table; /* of the chunk before */
    /* Of one record: */
    LC_VEC(uint32_t) dropped;          /* tables */
    LC_VEC(lc_replay_inserts) inserts; /* into user tables, ascending table id */
    lc_row_ids doomed;                 /* rows of one table that it deletes; they are touched */
    LC_VEC(lc_span) late;              /* deleted rows that were not there before its inserts */
} lc_replay;

/* restart.c */
void lc_replay_destroy(lc_replay *r);
/* Is there an st_table row with this id? */
bool lc_replay_has_table(const lc_store *s, uint32_t id);
/* The object of a table with its columns up to date. */
lc_status lc_replay_table(lc_store *s, uint32_t id, lc_table **out, lc_error *err);
/* Sees to it that the rows of a user table can be found. */
lc_status lc_replay_prepare(lc_table *t, lc_error *err);
/* The unique index that would find its rows (an object without rows, no longer the table's); NULL
 * when there is none. Stamps are kept from now on iff some index needs them. */
const lc_index *lc_replay_identity(lc_table *t);
bool lc_replay_is_event(const lc_store *s, uint32_t table_id);
/* The equals of so many rows will be looked for: waits for the memory of all of them at once. */
enum { LC_REPLAY_BATCH = 32 };
void lc_replay_expect(const lc_table *t, const lc_span *rows, uint32_t count);
/* One row of a table whose rows can be found. */
lc_status lc_replay_add(lc_table *t, lc_span row, lc_row_id *id, lc_error *err);
void lc_replay_remove(lc_table *t, lc_row_id id);
void lc_replay_clear(lc_table *t);
/* Before the first chunk of an image; and after those of system tables. */
void lc_replay_clear_system(lc_store *s);
lc_status lc_replay_prepare_system(lc_store *s, lc_error *err);
/* A row of a system table comes or goes: what that means for objects of other tables. */
void lc_replay_learn(const lc_table *st, lc_span row, bool is_new);
/* Does a system row describe a system table? Every database has those rows from its start. */
bool lc_replay_is_about_system(const lc_table *st, lc_span row);

#endif
