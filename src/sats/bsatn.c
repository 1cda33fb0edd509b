/*
 * One value of any type, walked straight over its type: exact validation with the reference's error
 * texts, and the size of a value already validated. The compiled layouts (layout.c) do the same
 * faster and come here for the words when a value is bad.
 */
#include "sats_internal.h"

typedef struct walk {
    lc_reader r;
    const lc_typespace *ts;
    const uint8_t *start;
    size_t idle; /* values seen that occupy no bytes */
} walk;

/* Nesting is counted in types entered. Only references can repeat, so only they are checked: a type
 * itself is never deeper than LC_TYPE_MAX_DEPTH. */
static void check(walk *w, const lc_type *t, uint32_t depth);

static const lc_type *check_ref(walk *w, const lc_type *t, uint32_t depth)
{
    if (depth > LC_BSATN_MAX_DEPTH) {
        lc_read_fail_limit(&w->r, "value nests deeper than LC_BSATN_MAX_DEPTH (%d)",
                           LC_BSATN_MAX_DEPTH);
        return NULL;
    }
    const lc_type *target = lc_type_resolve(w->ts, t);
    if (target) return target;
    if (!w->ts || t->ref >= w->ts->count)
        lc_read_fail(&w->r, "Type reference &%u out of bounds", t->ref);
    else
        lc_read_fail(&w->r, "Found recursive type reference &%u", t->ref);
    return NULL;
}

static void check_array(walk *w, const lc_type *t, uint32_t depth)
{
    const lc_type *element = lc_type_resolve(w->ts, t->element);
    if (element && element->kind == LC_TYPE_U8) {
        lc_read_bytes(&w->r);
        return;
    }
    uint32_t count = lc_read_u32(&w->r);
    for (uint32_t i = 0; i < count && !w->r.failed; i++) check(w, t->element, depth + 1);
}

static void check_sum(walk *w, const lc_type *t, uint32_t depth)
{
    uint8_t tag = lc_read_tag(&w->r, lc_sum_tags(t), "<unknown>");
    if (w->r.failed) return;
    const lc_type *payload = t->members[tag].type;
    if (payload != lc_type_unit()) check(w, payload, depth + 1);
}

static void check_product(walk *w, const lc_type *t, uint32_t depth)
{
    const uint8_t *before = w->r.at;
    for (uint32_t i = 0; i < t->member_count && !w->r.failed; i++)
        check(w, t->members[i].type, depth + 1);
    if (!w->r.failed && w->r.at == before &&
        ++w->idle > (size_t)(w->r.at - w->start) + LC_BSATN_MAX_UNITS)
        lc_read_fail_limit(&w->r, "more than LC_BSATN_MAX_UNITS (%d) values without bytes",
                           LC_BSATN_MAX_UNITS);
}

static void check(walk *w, const lc_type *t, uint32_t depth)
{
    if (w->r.failed) return;
    if (t->kind == LC_TYPE_REF && !(t = check_ref(w, t, depth++))) return;
    switch (t->kind) {
    case LC_TYPE_REF:
        LC_BUG("a resolved reference is a reference");
    case LC_TYPE_BOOL:
        lc_read_bool(&w->r);
        break;
    case LC_TYPE_STRING:
        lc_read_string(&w->r);
        break;
    case LC_TYPE_ARRAY:
        check_array(w, t, depth);
        break;
    case LC_TYPE_SUM:
        check_sum(w, t, depth);
        break;
    case LC_TYPE_PRODUCT:
        check_product(w, t, depth);
        break;
    default:
        lc_read_scalar(&w->r, t->kind);
        break;
    }
}

lc_status lc_bsatn_validate(const lc_type *t, const lc_typespace *ts, lc_span in, size_t *size,
                            lc_error *err)
{
    lc_error local = LC_ERROR_INIT;
    walk w = {.r = lc_reader_of(in, err ? err : &local), .ts = ts};
    w.start = w.r.at;
    check(&w, t, 0);
    *size = (size_t)(w.r.at - w.start);
    lc_status st = w.r.failed ? w.r.err->code : LC_OK;
    lc_error_clear(&local);
    return st;
}

/* --------------------------------------------------------------------- size */

static const uint8_t *skip(const lc_typespace *ts, const lc_type *t, const uint8_t *p)
{
    if (t->fixed_size >= 0) return p + t->fixed_size;
    t = lc_type_behind(ts, t);
    if (t->fixed_size >= 0) return p + t->fixed_size;
    switch (t->kind) {
    case LC_TYPE_STRING:
        return p + 4 + lc_load_u32(p);
    case LC_TYPE_ARRAY: {
        const lc_type *element = lc_type_behind(ts, t->element);
        uint32_t count = lc_load_u32(p);
        p += 4;
        if (element->fixed_size >= 0) return p + (size_t)count * (uint32_t)element->fixed_size;
        while (count--) p = skip(ts, element, p);
        return p;
    }
    case LC_TYPE_SUM:
        return skip(ts, t->members[*p].type, p + 1);
    case LC_TYPE_PRODUCT:
        for (uint32_t i = 0; i < t->member_count; i++) p = skip(ts, t->members[i].type, p);
        return p;
    default:
        LC_BUG("scalar %s without a size", lc_type_kind_name(t->kind));
    }
}

size_t lc_bsatn_size(const lc_type *t, const lc_typespace *ts, const uint8_t *value)
{
    return (size_t)(skip(ts, t, value) - value);
}
