#include "builder.h"

#include "lc_test.h"

void builder_init(builder *b, bool snake_case)
{
    *b = (builder){.arena = LC_ARENA_INIT};
    uint8_t policy = snake_case;
    builder_section(b, 9, LC_SPAN(&policy, 1));
}

void builder_deinit(builder *b)
{
    lc_arena_deinit(&b->arena);
    lc_buf_deinit(&b->sections);
    lc_buf_deinit(&b->types);
    lc_buf_deinit(&b->type_defs);
    lc_buf_deinit(&b->tables);
    lc_buf_deinit(&b->reducers);
    lc_buf_deinit(&b->raw);
}

/* ------------------------------------------------------------------- types */

static void skip_blanks(const char **at)
{
    while (**at == ' ') (*at)++;
}

static lc_span parse_word(const char **at)
{
    skip_blanks(at);
    const char *start = *at;
    while (**at && !strchr(" :|,{}[]&", **at)) (*at)++;
    return LC_SPAN(start, (size_t)(*at - start));
}

static const lc_type *parse_type(lc_arena *a, const char **at);

static const lc_type *parse_members(lc_arena *a, const char **at)
{
    lc_type_member members[64];
    uint32_t count = 0;
    bool is_sum = false;
    (*at)++;
    for (skip_blanks(at); **at != '}'; skip_blanks(at)) {
        assert_in_range(count, 0, 63);
        members[count].name = parse_word(at);
        skip_blanks(at);
        members[count].type = lc_type_unit();
        if (**at == ':') {
            (*at)++;
            members[count].type = parse_type(a, at);
            skip_blanks(at);
        }
        count++;
        if (**at == '|') is_sum = true;
        if (**at == '|' || **at == ',') (*at)++;
    }
    (*at)++;
    return is_sum ? lc_type_new_sum(a, members, count) : lc_type_new_product(a, members, count);
}

static const lc_type *parse_type(lc_arena *a, const char **at)
{
    static const struct {
        const char *name;
        lc_type_kind kind;
    } scalars[] = {{"String", LC_TYPE_STRING}, {"Bool", LC_TYPE_BOOL}, {"I8", LC_TYPE_I8},
                   {"U8", LC_TYPE_U8},         {"U32", LC_TYPE_U32},   {"I64", LC_TYPE_I64},
                   {"U64", LC_TYPE_U64},       {"I128", LC_TYPE_I128}, {"F64", LC_TYPE_F64},
                   {"U256", LC_TYPE_U256}};
    skip_blanks(at);
    if (**at == '{') return parse_members(a, at);
    if (**at == '[') {
        (*at)++;
        const lc_type *element = parse_type(a, at);
        assert_int_equal(**at, ']');
        (*at)++;
        return lc_type_new_array(a, element);
    }
    if (**at == '&') {
        char *end;
        unsigned long ref = strtoul(*at + 1, &end, 10);
        *at = end;
        return lc_type_new_ref(a, (uint32_t)ref);
    }
    lc_span word = parse_word(at);
    if (lc_span_equal_str(word, "ScheduleAt")) return lc_type_schedule_at();
    if (lc_span_equal_str(word, "Identity")) return lc_type_identity();
    for (size_t i = 0; i < LC_ARRAY_LEN(scalars); i++)
        if (lc_span_equal_str(word, scalars[i].name)) return lc_type_scalar(scalars[i].kind);
    fail_msg("no type: %s", *at);
    return NULL;
}

uint32_t builder_type(builder *b, const char *type_name, const char *text)
{
    const char *at = text;
    lc_type_encode(parse_type(&b->arena, &at), &b->types);
    if (type_name) {
        lc_buf_put_u32(&b->type_defs, 0);
        builder_string(&b->type_defs, type_name);
        lc_buf_put_u32(&b->type_defs, b->type_count);
        lc_buf_put_u8(&b->type_defs, 1);
        b->type_def_count++;
    }
    return b->type_count++;
}

/* ----------------------------------------------------------------- objects */

void builder_string(lc_buf *out, const char *text)
{
    lc_buf_put_lenstr(out, lc_span_of_str(text));
}

static void put_column_list(lc_buf *out, uint16_t column)
{
    lc_buf_put_u32(out, 1);
    lc_buf_put_u16(out, column);
}

static void put_index(lc_buf *out, const char *source_name, uint16_t column)
{
    lc_buf_put_u8(out, *source_name ? 0 : 1);
    if (*source_name) builder_string(out, source_name);
    lc_buf_put_u8(out, 1);
    lc_buf_put_u8(out, LC_INDEX_BTREE);
    put_column_list(out, column);
}

static void put_i128(lc_buf *out, int64_t v)
{
    lc_buf_put_u64(out, (uint64_t)v);
    lc_buf_put_u64(out, v < 0 ? UINT64_MAX : 0);
}

static void put_optional_i128(lc_buf *out, int64_t v)
{
    lc_buf_put_u8(out, v == BUILDER_UNSET);
    if (v != BUILDER_UNSET) put_i128(out, v);
}

void builder_add_table(builder *b, const builder_table *t)
{
    lc_buf *out = &b->tables;
    builder_string(out, t->name);
    lc_buf_put_u32(out, t->ref);
    if (t->key >= 0)
        put_column_list(out, (uint16_t)t->key);
    else
        lc_buf_put_u32(out, 0);
    lc_buf_put_u32(out, (t->key >= 0) + (t->index != NULL));
    if (t->key >= 0) {
        char *name = lc_format("%s_key_index", t->name);
        put_index(out, name, (uint16_t)t->key);
        lc_free(name);
    }
    if (t->index) put_index(out, t->index, 0);
    lc_buf_put_u32(out, t->key >= 0);
    if (t->key >= 0) {
        lc_buf_put_u16(out, 0x0001); /* no name, Unique */
        put_column_list(out, (uint16_t)t->key);
    }
    lc_buf_put_u32(out, t->sequence.given);
    if (t->sequence.given) {
        lc_buf_put_u8(out, 1);
        lc_buf_put_u16(out, t->sequence.column);
        put_optional_i128(out, t->sequence.start);
        put_optional_i128(out, t->sequence.min);
        put_optional_i128(out, t->sequence.max);
        put_i128(out, t->sequence.increment);
    }
    lc_buf_put_u8(out, 1);
    lc_buf_put_u8(out, t->is_private);
    lc_buf_put_u32(out, 0);
    lc_buf_put_u8(out, t->is_event);
    b->table_count++;
}

/* A bare ProductType: the type without its tag. */
static void put_product(builder *b, const char *text, lc_buf *out)
{
    lc_buf encoded = LC_BUF_INIT;
    lc_type_encode(parse_type(&b->arena, &text), &encoded);
    lc_buf_put(out, encoded.ptr + 1, encoded.len - 1);
    lc_buf_deinit(&encoded);
}

void builder_add_reducer(builder *b, const char *name, const char *params)
{
    builder_string(&b->reducers, name);
    put_product(b, params, &b->reducers);
    lc_buf_put_u8(&b->reducers, 1);
    lc_type_encode(lc_type_unit(), &b->reducers);
    lc_type_encode(lc_type_scalar(LC_TYPE_STRING), &b->reducers);
    b->reducer_count++;
}

void builder_section(builder *b, uint8_t tag, lc_span payload)
{
    lc_buf_put_u8(&b->sections, tag);
    lc_buf_put_span(&b->sections, payload);
    b->section_count++;
}

void builder_text_section(builder *b, uint8_t tag, const char *text)
{
    lc_buf payload = LC_BUF_INIT;
    lc_buf_put_u32(&payload, 1);
    builder_string(&payload, text);
    builder_section(b, tag, lc_buf_span(&payload));
    lc_buf_deinit(&payload);
}

void builder_add_view(builder *b, const char *name, uint32_t ref)
{
    lc_buf payload = LC_BUF_INIT;
    lc_buf_put_u32(&payload, 1);
    builder_string(&payload, name);
    lc_buf_put_u32(&payload, 0);
    lc_buf_put_u16(&payload, 0x0001); /* public, not anonymous */
    lc_buf_put_u32(&payload, 0);
    lc_type_encode(lc_type_new_array(&b->arena, lc_type_new_ref(&b->arena, ref)), &payload);
    builder_section(b, 5, lc_buf_span(&payload));
    lc_buf_deinit(&payload);
}

/* ------------------------------------------------------------------ finish */

static void put_list_section(builder *b, uint8_t tag, uint32_t count, lc_buf *items)
{
    lc_buf payload = LC_BUF_INIT;
    lc_buf_put_u32(&payload, count);
    lc_buf_put_span(&payload, lc_buf_span(items));
    builder_section(b, tag, lc_buf_span(&payload));
    lc_buf_deinit(&payload);
}

lc_span builder_finish_bare(builder *b)
{
    put_list_section(b, 0, b->type_count, &b->types);
    put_list_section(b, 1, b->type_def_count, &b->type_defs);
    put_list_section(b, 2, b->table_count, &b->tables);
    put_list_section(b, 3, b->reducer_count, &b->reducers);
    lc_buf_put_u32(&b->raw, b->section_count);
    lc_buf_put_span(&b->raw, lc_buf_span(&b->sections));
    return lc_buf_span(&b->raw);
}

lc_span builder_finish(builder *b)
{
    lc_buf_put_u8(&b->raw, 2);
    return builder_finish_bare(b);
}
