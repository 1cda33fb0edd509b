/* Writes definitions of version 10 for tests, from short texts. */
#ifndef LC_TEST_BUILDER_H
#define LC_TEST_BUILDER_H

#include "schema/lc_schema.h"

typedef struct builder {
    lc_arena arena;
    lc_buf sections;
    uint32_t section_count;
    lc_buf types, type_defs, tables, reducers;
    uint32_t type_count, type_def_count, table_count, reducer_count;
    lc_buf raw;
} builder;

typedef struct builder_sequence {
    bool given;
    uint16_t column;
    int64_t start, min, max; /* INT64_MIN = not given */
    int64_t increment;
} builder_sequence;

typedef struct builder_table {
    const char *name;
    uint32_t ref;
    int key;           /* primary key, with a unique constraint and an index; -1 = none */
    const char *index; /* source name of a further B-tree index on column 0; "" = without one */
    builder_sequence sequence;
    bool is_private, is_event;
} builder_table;

#define BUILDER_UNSET INT64_MIN

void builder_init(builder *b, bool snake_case);
void builder_deinit(builder *b);
/* A declared type, `{id: U64, name: String}` or `{A | B: U8}`; types: U8.., String, Bool, &N,
 * [&N] for an array, ScheduleAt. type_name NULL = undeclared. Returns its reference. */
uint32_t builder_type(builder *b, const char *type_name, const char *text);
void builder_add_table(builder *b, const builder_table *t);
/* params as `{a: U8}` */
void builder_add_reducer(builder *b, const char *name, const char *params);
void builder_string(lc_buf *out, const char *text);
/* A section written by hand: what follows the tag. */
void builder_section(builder *b, uint8_t tag, lc_span payload);
/* Array of one text, e.g. a row-level security policy. */
void builder_text_section(builder *b, uint8_t tag, const char *text);
void builder_add_view(builder *b, const char *name, uint32_t ref);
/* The whole definition, with and without the leading tag of RawModuleDef. */
lc_span builder_finish(builder *b);
lc_span builder_finish_bare(builder *b);

#endif
