/* Types as values: BSATN in both directions, SATS-JSON (01 sections 1.1, 2 and 4.7). */
#include "sats_internal.h"

/* ------------------------------------------------------------------ reading */

static const lc_type *read_type(lc_reader *r, lc_arena *a, uint32_t depth);

/* Members grow as they are read: a count is only a claim until the bytes are there. */
static const lc_type *read_members(lc_reader *r, lc_arena *a, lc_type_kind kind, uint32_t depth)
{
    uint32_t count = lc_read_u32(r);
    lc_type_member *members = NULL;
    size_t cap = 0;
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        members = lc_arena_grow(a, members, i, &cap, sizeof *members);
        members[i].name = lc_read_option(r) ? lc_read_string(r) : LC_SPAN_EMPTY;
        members[i].type = read_type(r, a, depth);
    }
    return r->failed ? NULL : lc_type_adopt(a, kind, members, count);
}

static const lc_type *read_type(lc_reader *r, lc_arena *a, uint32_t depth)
{
    if (r->failed) return NULL;
    if (depth == 0) {
        lc_read_fail_limit(r, "type nests deeper than LC_TYPE_MAX_DEPTH (%d)", LC_TYPE_MAX_DEPTH);
        return NULL;
    }
    uint8_t tag = lc_read_tag(r, LC_TYPE_F64 + 1, "AlgebraicType");
    if (r->failed) return NULL;
    switch ((lc_type_kind)tag) {
    case LC_TYPE_REF: {
        uint32_t ref = lc_read_u32(r);
        return r->failed ? NULL : lc_type_new_ref(a, ref);
    }
    case LC_TYPE_SUM:
    case LC_TYPE_PRODUCT:
        return read_members(r, a, (lc_type_kind)tag, depth - 1);
    case LC_TYPE_ARRAY: {
        const lc_type *element = read_type(r, a, depth - 1);
        return r->failed ? NULL : lc_type_new_array(a, element);
    }
    default:
        return lc_type_scalar((lc_type_kind)tag);
    }
}

const lc_type *lc_read_type(lc_reader *r, lc_arena *a)
{
    return read_type(r, a, LC_TYPE_MAX_DEPTH);
}

const lc_type *lc_read_product_type(lc_reader *r, lc_arena *a)
{
    return r->failed ? NULL : read_members(r, a, LC_TYPE_PRODUCT, LC_TYPE_MAX_DEPTH - 1);
}

/* ------------------------------------------------------------------ writing */

void lc_type_encode(const lc_type *t, lc_buf *out)
{
    lc_buf_put_u8(out, (uint8_t)t->kind);
    switch (t->kind) {
    case LC_TYPE_REF:
        lc_buf_put_u32(out, t->ref);
        break;
    case LC_TYPE_ARRAY:
        lc_type_encode(t->element, out);
        break;
    case LC_TYPE_SUM:
    case LC_TYPE_PRODUCT:
        lc_buf_put_u32(out, t->member_count);
        for (uint32_t i = 0; i < t->member_count; i++) {
            const lc_type_member *m = &t->members[i];
            lc_buf_put_u8(out, m->name.ptr ? 0 : 1);
            if (m->name.ptr) lc_buf_put_lenstr(out, m->name);
            lc_type_encode(m->type, out);
        }
        break;
    default:
        break;
    }
}

static void members_to_json(const char *key, const lc_type_member *members, uint32_t count,
                            lc_buf *out)
{
    lc_buf_printf(out, "{\"%s\":[", key);
    for (uint32_t i = 0; i < count; i++) {
        lc_buf_put_str(out, i ? ",{\"name\":" : "{\"name\":");
        if (members[i].name.ptr) {
            lc_buf_put_str(out, "{\"some\":");
            lc_json_write_string(members[i].name, out);
            lc_buf_put_u8(out, '}');
        } else {
            lc_buf_put_str(out, "{\"none\":[]}");
        }
        lc_buf_put_str(out, ",\"algebraic_type\":");
        lc_type_to_json(members[i].type, out);
        lc_buf_put_u8(out, '}');
    }
    lc_buf_put_str(out, "]}");
}

void lc_type_product_to_json(const lc_type_member *members, uint32_t count, lc_buf *out)
{
    members_to_json("elements", members, count, out);
}

void lc_type_to_json(const lc_type *t, lc_buf *out)
{
    lc_buf_printf(out, "{\"%s\":", lc_type_kind_name(t->kind));
    switch (t->kind) {
    case LC_TYPE_REF:
        lc_buf_printf(out, "%u", t->ref);
        break;
    case LC_TYPE_ARRAY:
        lc_type_to_json(t->element, out);
        break;
    case LC_TYPE_SUM:
        members_to_json("variants", t->members, t->member_count, out);
        break;
    case LC_TYPE_PRODUCT:
        members_to_json("elements", t->members, t->member_count, out);
        break;
    default:
        lc_buf_put_str(out, "[]");
        break;
    }
    lc_buf_put_u8(out, '}');
}

/* --------------------------------------------------------------- from JSON */

/* The type of types, for the general reader of SATS-JSON. */
enum { META_TYPE, META_SUM, META_PRODUCT, META_MEMBER, META_COUNT };

static void build_meta(lc_arena *a, const lc_type *types[META_COUNT])
{
    lc_type_member kinds[LC_TYPE_F64 + 1], member[2], list;
    const lc_type *members = lc_type_new_array(a, lc_type_new_ref(a, META_MEMBER));
    for (int k = 0; k <= LC_TYPE_F64; k++)
        kinds[k] =
            (lc_type_member){lc_span_of_str(lc_type_kind_name((lc_type_kind)k)), lc_type_unit()};
    kinds[LC_TYPE_REF].type = lc_type_scalar(LC_TYPE_U32);
    kinds[LC_TYPE_SUM].type = lc_type_new_ref(a, META_SUM);
    kinds[LC_TYPE_PRODUCT].type = lc_type_new_ref(a, META_PRODUCT);
    kinds[LC_TYPE_ARRAY].type = lc_type_new_ref(a, META_TYPE);
    types[META_TYPE] = lc_type_new_sum(a, kinds, LC_TYPE_F64 + 1);
    list = (lc_type_member){LC_STR("variants"), members};
    types[META_SUM] = lc_type_new_product(a, &list, 1);
    list = (lc_type_member){LC_STR("elements"), members};
    types[META_PRODUCT] = lc_type_new_product(a, &list, 1);
    member[0] =
        (lc_type_member){LC_STR("name"), lc_type_new_option(a, lc_type_scalar(LC_TYPE_STRING))};
    member[1] = (lc_type_member){LC_STR("algebraic_type"), lc_type_new_ref(a, META_TYPE)};
    types[META_MEMBER] = lc_type_new_product(a, member, 2);
}

static lc_status from_json(lc_span json, uint32_t meta, lc_arena *a, const lc_type **out,
                           lc_error *err)
{
    lc_arena scratch = LC_ARENA_INIT;
    lc_buf bsatn = LC_BUF_INIT;
    const lc_type *types[META_COUNT];
    build_meta(&scratch, types);
    lc_typespace ts = {types, META_COUNT};
    lc_status st = lc_json_to_bsatn(types[meta], &ts, json, &bsatn, err);
    if (st == LC_OK) {
        lc_reader r = lc_reader_of(lc_arena_copy(a, lc_buf_span(&bsatn)), err);
        *out = meta == META_TYPE ? lc_read_type(&r, a) : lc_read_product_type(&r, a);
        if (r.failed) st = LC_E_LIMIT; /* nesting is all that can be wrong with it now */
    }
    lc_buf_deinit(&bsatn);
    lc_arena_deinit(&scratch);
    return st;
}

lc_status lc_type_from_json(lc_span json, lc_arena *a, const lc_type **out, lc_error *err)
{
    return from_json(json, META_TYPE, a, out, err);
}

lc_status lc_type_product_from_json(lc_span json, lc_arena *a, const lc_type **out, lc_error *err)
{
    return from_json(json, META_PRODUCT, a, out, err);
}
