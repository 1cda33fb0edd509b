/* Tables without a module: definitions built by hand, rows built by hand. */
#ifndef LC_STORE_FIXTURE_H
#define LC_STORE_FIXTURE_H

#include "lc_test.h"
#include "store/lc_store.h"

/* A definition under construction; everything lives in the arena. */
typedef struct table_builder {
    lc_arena arena;
    lc_table_def def;
} table_builder;

void tb_init(table_builder *b, const char *name);
void tb_deinit(table_builder *b);
uint16_t tb_column(table_builder *b, const char *name, const lc_type *type);
/* Columns by position, e.g. "0" or "1,2"; a unique one brings its constraint. */
void tb_index(table_builder *b, lc_index_algorithm algorithm, bool is_unique, const char *columns);
lc_sequence_def *tb_sequence(table_builder *b, uint16_t column);
/* Creates the table in a transaction of its own. */
lc_table *tb_create(table_builder *b, lc_store *s);
lc_table *tb_create_in_tx(table_builder *b, lc_store *s);

#define TY(kind) lc_type_scalar(LC_TYPE_##kind)

/* Bytes of a row, e.g. row("4s", 7, "text"): 1 2 4 8 = integers of so many bytes (uint64_t or int
 * as promoted by the caller's cast), s = string, d = double, f = float. Valid until the next 256
 * calls. */
lc_span row(const char *format, ...);

/* All rows, in scan order, back to back; the caller frees. */
lc_buf all_rows(const lc_table *t);
/* The same, sorted by bytes, one row per item: for comparisons as sets. */
typedef LC_VEC(lc_span) spans;
void collect(const lc_table *t, spans *out);
void collect_sorted(const lc_table *t, spans *out);
void spans_add(spans *s, lc_span row); /* copies */
void spans_sort(spans *s);
void spans_deinit(spans *s);
void assert_spans_equal(const spans *a, const spans *b);
bool add_visit(void *spans_arg, lc_span row);

lc_errno insert(lc_table *t, lc_span row);
lc_errno update(lc_table *t, uint32_t index, lc_span row); /* index: number within the table */
const lc_table_delta *delta_of(const lc_delta *d, const lc_table *t);
void commit(lc_store *s);

/* Every index of the table holds exactly its rows: in order, and each found by its key. */
void check_indexes(const lc_table *t);
void check_store(const lc_store *s);

#endif
