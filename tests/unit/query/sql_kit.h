/* The module `sqlkit` as a store: definition and seed rows from tests/recorded/sql. */
#ifndef SQL_KIT_H
#define SQL_KIT_H

#include "lc_test.h"
#include "query/lc_query.h"

#define KIT_FOLDER "tests/recorded/sql/"

typedef struct sql_kit {
    lc_store *store;
    lc_schema *schema;
    lc_buf seed;
} sql_kit;

void sql_kit_init(sql_kit *k);
void sql_kit_deinit(sql_kit *k);
/* Empties the seeded tables and inserts their rows again. */
void sql_kit_seed(sql_kit *k);

/* Reads a file of tests/recorded/sql. */
void kit_read_file(const char *name, lc_buf *out);

/* A store with one table, for model tests. Columns of these types; the primary key is column 0 when
 * has_key. */
typedef struct kit_column {
    const char *name;
    const lc_type *type;
} kit_column;
typedef struct kit_index {
    lc_index_algorithm algorithm;
    bool is_unique;
    uint16_t columns[4];
    uint16_t column_count;
} kit_index;
lc_table *kit_create_table(lc_store *s, lc_arena *a, const char *name, const kit_column *columns,
                           uint16_t column_count, const kit_index *indexes, uint32_t index_count);

#endif
