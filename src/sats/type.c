/* Types: construction with everything derived, predicates, equality, references, notation. */
#include "sats_internal.h"

static const uint8_t scalar_sizes[LC_TYPE_F64 + 1] = {
    [LC_TYPE_BOOL] = 1,  [LC_TYPE_I8] = 1,    [LC_TYPE_U8] = 1,    [LC_TYPE_I16] = 2,
    [LC_TYPE_U16] = 2,   [LC_TYPE_I32] = 4,   [LC_TYPE_U32] = 4,   [LC_TYPE_I64] = 8,
    [LC_TYPE_U64] = 8,   [LC_TYPE_I128] = 16, [LC_TYPE_U128] = 16, [LC_TYPE_I256] = 32,
    [LC_TYPE_U256] = 32, [LC_TYPE_F32] = 4,   [LC_TYPE_F64] = 8,
};

static const char *const kind_names[LC_TYPE_F64 + 1] = {
    "Ref", "Sum", "Product", "Array", "String", "Bool", "I8",   "U8",   "I16", "U16",
    "I32", "U32", "I64",     "U64",   "I128",   "U128", "I256", "U256", "F32", "F64",
};

#define SCALAR(k, size, bitwise)                                                                   \
    [k] = {.kind = (k), .fixed_size = (size), .bitwise_equal = (bitwise), .depth = 1, .weight = 1}

static const lc_type scalars[LC_TYPE_F64 + 1] = {
    SCALAR(LC_TYPE_STRING, -1, true), SCALAR(LC_TYPE_BOOL, 1, true),
    SCALAR(LC_TYPE_I8, 1, true),      SCALAR(LC_TYPE_U8, 1, true),
    SCALAR(LC_TYPE_I16, 2, true),     SCALAR(LC_TYPE_U16, 2, true),
    SCALAR(LC_TYPE_I32, 4, true),     SCALAR(LC_TYPE_U32, 4, true),
    SCALAR(LC_TYPE_I64, 8, true),     SCALAR(LC_TYPE_U64, 8, true),
    SCALAR(LC_TYPE_I128, 16, true),   SCALAR(LC_TYPE_U128, 16, true),
    SCALAR(LC_TYPE_I256, 32, true),   SCALAR(LC_TYPE_U256, 32, true),
    SCALAR(LC_TYPE_F32, 4, false),    SCALAR(LC_TYPE_F64, 8, false),
};

/* One-element products with a reserved name (01 section 5.1). */
#define IDENTITY_NAME      "__identity__"
#define CONNECTION_ID_NAME "__connection_id__"
#define TIMESTAMP_NAME     "__timestamp_micros_since_unix_epoch__"
#define DURATION_NAME      "__time_duration_micros__"
#define UUID_NAME          "__uuid__"

static const struct {
    lc_span name;
    lc_type_kind kind;
    lc_type_special special;
} special_products[] = {
    {LC_STR(IDENTITY_NAME), LC_TYPE_U256, LC_SPECIAL_IDENTITY},
    {LC_STR(CONNECTION_ID_NAME), LC_TYPE_U128, LC_SPECIAL_CONNECTION_ID},
    {LC_STR(TIMESTAMP_NAME), LC_TYPE_I64, LC_SPECIAL_TIMESTAMP},
    {LC_STR(DURATION_NAME), LC_TYPE_I64, LC_SPECIAL_DURATION},
    {LC_STR(UUID_NAME), LC_TYPE_U128, LC_SPECIAL_UUID},
};

#define SPECIAL(id, sp, member_name, member_kind, size)                                            \
    static const lc_type_member id##_member = {LC_STR(member_name), &scalars[member_kind]};        \
    static const lc_type id##_type = {.kind = LC_TYPE_PRODUCT,                                     \
                                      .special = (sp),                                             \
                                      .member_count = 1,                                           \
                                      .members = &id##_member,                                     \
                                      .fixed_size = (size),                                        \
                                      .bitwise_equal = true,                                       \
                                      .depth = 2,                                                  \
                                      .weight = 2}

SPECIAL(identity, LC_SPECIAL_IDENTITY, IDENTITY_NAME, LC_TYPE_U256, 32);
SPECIAL(connection_id, LC_SPECIAL_CONNECTION_ID, CONNECTION_ID_NAME, LC_TYPE_U128, 16);
SPECIAL(timestamp, LC_SPECIAL_TIMESTAMP, TIMESTAMP_NAME, LC_TYPE_I64, 8);
SPECIAL(duration, LC_SPECIAL_DURATION, DURATION_NAME, LC_TYPE_I64, 8);
SPECIAL(uuid, LC_SPECIAL_UUID, UUID_NAME, LC_TYPE_U128, 16);

static const lc_type unit_type = {
    .kind = LC_TYPE_PRODUCT, .fixed_size = 0, .bitwise_equal = true, .depth = 1, .weight = 1};
static const lc_type bytes_type = {.kind = LC_TYPE_ARRAY,
                                   .element = &scalars[LC_TYPE_U8],
                                   .fixed_size = -1,
                                   .bitwise_equal = true,
                                   .depth = 2,
                                   .weight = 2};
static const lc_type_member schedule_at_members[2] = {{LC_STR("Interval"), &duration_type},
                                                      {LC_STR("Time"), &timestamp_type}};
static const lc_type schedule_at_type = {.kind = LC_TYPE_SUM,
                                         .special = LC_SPECIAL_SCHEDULE_AT,
                                         .member_count = 2,
                                         .members = schedule_at_members,
                                         .fixed_size = 9,
                                         .bitwise_equal = true,
                                         .depth = 3,
                                         .weight = 5};

const lc_type *lc_type_scalar(lc_type_kind kind)
{
    LC_ASSERT(kind >= LC_TYPE_STRING && kind <= LC_TYPE_F64);
    return &scalars[kind];
}

const lc_type *lc_type_unit(void)
{
    return &unit_type;
}

const lc_type *lc_type_bytes(void)
{
    return &bytes_type;
}

const lc_type *lc_type_identity(void)
{
    return &identity_type;
}

const lc_type *lc_type_connection_id(void)
{
    return &connection_id_type;
}

const lc_type *lc_type_timestamp(void)
{
    return &timestamp_type;
}

const lc_type *lc_type_duration(void)
{
    return &duration_type;
}

const lc_type *lc_type_uuid(void)
{
    return &uuid_type;
}

const lc_type *lc_type_schedule_at(void)
{
    return &schedule_at_type;
}

const char *lc_type_kind_name(lc_type_kind kind)
{
    return kind_names[kind];
}

uint32_t lc_kind_size(lc_type_kind kind)
{
    return scalar_sizes[kind];
}

/* ------------------------------------------------------------ construction */

static bool named(const lc_type_member *m, const char *name)
{
    return m->name.ptr && lc_span_equal_str(m->name, name);
}

static bool is_unit(const lc_type *t)
{
    return t->kind == LC_TYPE_PRODUCT && t->member_count == 0;
}

static lc_type_special special_of(const lc_type *t)
{
    const lc_type_member *m = t->members;
    if (t->kind == LC_TYPE_PRODUCT && t->member_count == 1) {
        for (size_t i = 0; i < LC_ARRAY_LEN(special_products); i++)
            if (m->type->kind == special_products[i].kind && m->name.ptr &&
                lc_span_equal(m->name, special_products[i].name))
                return special_products[i].special;
    } else if (t->kind == LC_TYPE_SUM && t->member_count == 2) {
        if (named(&m[0], "some") && named(&m[1], "none") && is_unit(m[1].type))
            return LC_SPECIAL_OPTION;
        if (named(&m[0], "ok") && named(&m[1], "err")) return LC_SPECIAL_RESULT;
        if (named(&m[0], "Interval") && m[0].type->special == LC_SPECIAL_DURATION &&
            named(&m[1], "Time") && m[1].type->special == LC_SPECIAL_TIMESTAMP)
            return LC_SPECIAL_SCHEDULE_AT;
    }
    return LC_SPECIAL_NONE;
}

/* Weights add up without wrapping around. */
static uint32_t heavier(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static int32_t product_size(const lc_type *t)
{
    int64_t size = 0;
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (t->members[i].type->fixed_size < 0) return -1;
        size += t->members[i].type->fixed_size;
        if (size > INT32_MAX) return -1;
    }
    return (int32_t)size;
}

static int32_t sum_size(const lc_type *t)
{
    /* A sum without variants has no values; its tag byte is where that is noticed. */
    int32_t payload = t->member_count ? t->members[0].type->fixed_size : 0;
    for (uint32_t i = 1; i < t->member_count; i++)
        if (t->members[i].type->fixed_size != payload) return -1;
    return payload < 0 || payload == INT32_MAX ? -1 : payload + 1;
}

static void derive(lc_type *t)
{
    uint32_t depth = 0;
    t->weight = 1;
    t->bitwise_equal = true;
    for (uint32_t i = 0; i < t->member_count; i++) {
        const lc_type *inner = t->members[i].type;
        if (inner->depth > depth) depth = inner->depth;
        t->weight = heavier(t->weight, inner->weight);
        t->bitwise_equal &= inner->bitwise_equal;
    }
    t->depth = (uint16_t)(depth < UINT16_MAX ? depth + 1 : depth);
    t->fixed_size = t->kind == LC_TYPE_PRODUCT ? product_size(t) : sum_size(t);
    t->special = special_of(t);
}

const lc_type *lc_type_adopt(lc_arena *a, lc_type_kind kind, const lc_type_member *members,
                             uint32_t count)
{
    if (kind == LC_TYPE_PRODUCT && count == 0) return &unit_type;
    lc_type *t = lc_arena_alloc_zero(a, sizeof *t);
    t->kind = kind;
    t->members = members;
    t->member_count = count;
    derive(t);
    return t;
}

static const lc_type_member *copy_members(lc_arena *a, const lc_type_member *members,
                                          uint32_t count)
{
    if (count == 0) return NULL;
    lc_type_member *copy = lc_arena_alloc(a, count * sizeof *copy);
    memcpy(copy, members, count * sizeof *copy);
    return copy;
}

const lc_type *lc_type_new_product(lc_arena *a, const lc_type_member *members, uint32_t count)
{
    return lc_type_adopt(a, LC_TYPE_PRODUCT, copy_members(a, members, count), count);
}

const lc_type *lc_type_new_sum(lc_arena *a, const lc_type_member *members, uint32_t count)
{
    return lc_type_adopt(a, LC_TYPE_SUM, copy_members(a, members, count), count);
}

const lc_type *lc_type_new_array(lc_arena *a, const lc_type *element)
{
    if (element == &scalars[LC_TYPE_U8]) return &bytes_type;
    lc_type *t = lc_arena_alloc_zero(a, sizeof *t);
    t->kind = LC_TYPE_ARRAY;
    t->element = element;
    t->fixed_size = -1;
    t->bitwise_equal = element->bitwise_equal;
    t->depth = (uint16_t)(element->depth < UINT16_MAX ? element->depth + 1 : element->depth);
    t->weight = heavier(1, element->weight);
    return t;
}

const lc_type *lc_type_new_ref(lc_arena *a, uint32_t ref)
{
    lc_type *t = lc_arena_alloc_zero(a, sizeof *t);
    t->kind = LC_TYPE_REF;
    t->ref = ref;
    t->fixed_size = -1;
    t->depth = 1;
    t->weight = 1;
    return t;
}

const lc_type *lc_type_new_option(lc_arena *a, const lc_type *some)
{
    lc_type_member members[2] = {{LC_STR("some"), some}, {LC_STR("none"), &unit_type}};
    return lc_type_new_sum(a, members, 2);
}

/* -------------------------------------------------------------- predicates */

bool lc_type_is_plain_enum(const lc_type *t)
{
    if (t->kind != LC_TYPE_SUM) return false;
    for (uint32_t i = 0; i < t->member_count; i++)
        if (!is_unit(t->members[i].type)) return false;
    return true;
}

static bool same_name(lc_span a, lc_span b)
{
    return !a.ptr == !b.ptr && lc_span_equal(a, b);
}

bool lc_type_equal(const lc_type *a, const lc_type *b)
{
    if (a == b) return true;
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case LC_TYPE_REF:
        return a->ref == b->ref;
    case LC_TYPE_ARRAY:
        return lc_type_equal(a->element, b->element);
    case LC_TYPE_SUM:
    case LC_TYPE_PRODUCT:
        if (a->member_count != b->member_count || a->weight != b->weight) return false;
        for (uint32_t i = 0; i < a->member_count; i++)
            if (!same_name(a->members[i].name, b->members[i].name) ||
                !lc_type_equal(a->members[i].type, b->members[i].type))
                return false;
        return true;
    default:
        return true;
    }
}

/* -------------------------------------------------------------- references */

const lc_type *lc_type_resolve(const lc_typespace *ts, const lc_type *t)
{
    uint32_t count = ts ? ts->count : 0;
    /* A chain longer than the typespace has come by one of its members twice. */
    for (uint32_t steps = 0; t && t->kind == LC_TYPE_REF; steps++) {
        if (t->ref >= count || steps == count) return NULL;
        t = ts->types[t->ref];
    }
    return t;
}

/* One inlining: finished references by number, so that each is worked through once. */
typedef struct inliner {
    lc_arena *arena;
    const lc_typespace *ts;
    lc_u64map done;
    lc_error *err;
} inliner;

static lc_type in_progress; /* only its address matters */

static lc_status inline_type(inliner *in, const lc_type *t, uint32_t depth, const lc_type **out);

static lc_status inline_ref(inliner *in, uint32_t ref, uint32_t depth, const lc_type **out)
{
    if (!in->ts || ref >= in->ts->count || !in->ts->types[ref])
        return lc_error_set(in->err, LC_E_INVALID, "Type reference &%u out of bounds", ref);
    const lc_type *known = lc_u64map_get(&in->done, ref);
    if (known == &in_progress)
        return lc_error_set(in->err, LC_E_INVALID, "Found recursive type reference &%u", ref);
    if (known) {
        *out = known;
        return LC_OK;
    }
    lc_u64map_put(&in->done, ref, &in_progress);
    lc_status st = inline_type(in, in->ts->types[ref], depth, out);
    if (st != LC_OK) return st;
    lc_u64map_put(&in->done, ref, (void *)(uintptr_t)*out);
    return LC_OK;
}

static lc_status inline_members(inliner *in, const lc_type *t, uint32_t depth, const lc_type **out)
{
    lc_type_member *members = NULL; /* a copy once the first member has changed */
    for (uint32_t i = 0; i < t->member_count; i++) {
        const lc_type *inner;
        lc_status st = inline_type(in, t->members[i].type, depth, &inner);
        if (st != LC_OK) return st;
        if (inner == t->members[i].type) continue;
        if (!members) {
            members = lc_arena_alloc(in->arena, t->member_count * sizeof *members);
            memcpy(members, t->members, t->member_count * sizeof *members);
        }
        members[i].type = inner;
    }
    *out = members ? lc_type_adopt(in->arena, t->kind, members, t->member_count) : t;
    return LC_OK;
}

static lc_status inline_type(inliner *in, const lc_type *t, uint32_t depth, const lc_type **out)
{
    /* References add levels, so the stack needs a bound of its own: twice, for one reference and
     * one type per level. The exact check is on the result below. */
    if (depth > 2 * LC_TYPE_MAX_DEPTH)
        return lc_error_set(in->err, LC_E_LIMIT, "type nests deeper than LC_TYPE_MAX_DEPTH (%d)",
                            LC_TYPE_MAX_DEPTH);
    lc_status st = LC_OK;
    *out = t;
    if (t->kind == LC_TYPE_REF) {
        st = inline_ref(in, t->ref, depth + 1, out);
    } else if (t->kind == LC_TYPE_ARRAY) {
        const lc_type *element;
        st = inline_type(in, t->element, depth + 1, &element);
        if (st == LC_OK && element != t->element) *out = lc_type_new_array(in->arena, element);
    } else if (t->member_count) {
        st = inline_members(in, t, depth + 1, out);
    }
    if (st != LC_OK) return st;
    if ((*out)->depth > LC_TYPE_MAX_DEPTH)
        return lc_error_set(in->err, LC_E_LIMIT, "type nests deeper than LC_TYPE_MAX_DEPTH (%d)",
                            LC_TYPE_MAX_DEPTH);
    if ((*out)->weight > LC_TYPE_MAX_WEIGHT)
        return lc_error_set(in->err, LC_E_LIMIT,
                            "type is larger than LC_TYPE_MAX_WEIGHT (%d) nodes",
                            LC_TYPE_MAX_WEIGHT);
    return LC_OK;
}

lc_status lc_type_inline(lc_arena *a, const lc_typespace *ts, const lc_type *t, const lc_type **out,
                         lc_error *err)
{
    inliner in = {.arena = a, .ts = ts, .err = err};
    lc_status st = inline_type(&in, t, 0, out);
    lc_u64map_deinit(&in.done);
    return st;
}

/* ---------------------------------------------------------------- notation */

static void print_members(const lc_type *t, const char *separator, lc_buf *out)
{
    for (uint32_t i = 0; i < t->member_count; i++) {
        const lc_type_member *m = &t->members[i];
        if (i) lc_buf_put_str(out, separator);
        if (m->name.ptr) {
            lc_buf_put_span(out, m->name);
            lc_buf_put_str(out, ": ");
        } else if (t->kind == LC_TYPE_PRODUCT) {
            lc_buf_printf(out, "%u: ", i);
        }
        lc_type_print(m->type, out);
    }
}

void lc_type_print(const lc_type *t, lc_buf *out)
{
    switch (t->kind) {
    case LC_TYPE_REF:
        lc_buf_printf(out, "&%u", t->ref);
        break;
    case LC_TYPE_ARRAY:
        lc_buf_put_str(out, "Array<");
        lc_type_print(t->element, out);
        lc_buf_put_u8(out, '>');
        break;
    case LC_TYPE_PRODUCT:
        lc_buf_put_u8(out, '(');
        print_members(t, ", ", out);
        lc_buf_put_u8(out, ')');
        break;
    case LC_TYPE_SUM:
        lc_buf_put_u8(out, '(');
        if (t->member_count == 0) lc_buf_put_u8(out, '|');
        print_members(t, " | ", out);
        lc_buf_put_u8(out, ')');
        break;
    default:
        lc_buf_put_str(out, kind_names[t->kind]);
        break;
    }
}
