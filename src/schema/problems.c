/* The collection of what is wrong with a definition, its report (01 section 9.1), and the pieces of
 * text that several problems share. */
#include "schema/schema_internal.h"

#include <stdlib.h>

/* --------------------------------------------------------------- collecting */

bool lc_problems_full(const lc_problems *p)
{
    return p->list.len >= LC_SCHEMA_MAX_PROBLEMS || p->bytes >= LC_SCHEMA_MAX_PROBLEM_BYTES;
}

static void add_text(lc_problems *p, lc_problem_kind kind, lc_span key, lc_span text)
{
    lc_problem problem = {
        .kind = kind, .key = lc_arena_copy(p->arena, key), .text = lc_arena_copy(p->arena, text)};
    p->bytes += key.len + text.len;
    lc_vec_push(&p->list, problem);
}

void lc_problem_add(lc_problems *p, lc_problem_kind kind, lc_span key, const char *fmt, ...)
{
    if (lc_problems_full(p)) return;
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&text, fmt, args);
    va_end(args);
    add_text(p, kind, key, lc_buf_span(&text));
    lc_buf_deinit(&text);
}

bool lc_problem_identifier(lc_problems *p, lc_span name)
{
    lc_error err = LC_ERROR_INIT;
    lc_identifier_fault fault = lc_identifier_fault_of(name, &err);
    if (fault == LC_IDENTIFIER_OK) return true;
    lc_buf key = LC_BUF_INIT;
    lc_key_put_number(&key, fault);
    lc_key_put_text(&key, name);
    lc_problem_add(p, LC_PROBLEM_IDENTIFIER, lc_buf_span(&key),
                   "module contains invalid identifier: %s", lc_error_text(&err));
    lc_buf_deinit(&key);
    lc_error_clear(&err);
    return false;
}

void lc_key_put_text(lc_buf *key, lc_span text)
{
    lc_buf_put_span(key, text);
    lc_buf_put_u8(key, 0);
}

void lc_key_put_number(lc_buf *key, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8) lc_buf_put_u8(key, (uint8_t)(number >> shift));
}

/* ---------------------------------------------------------------- the report */

static int compare_problems(const void *left, const void *right)
{
    const lc_problem *a = left, *b = right;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    int order = lc_span_compare(a->key, b->key);
    return order ? order : lc_span_compare(a->text, b->text);
}

lc_status lc_problems_report(lc_problems *p, lc_error *err)
{
    lc_status st = LC_OK;
    if (p->list.len) {
        qsort(p->list.items, p->list.len, sizeof *p->list.items, compare_problems);
        lc_buf text = LC_BUF_INIT;
        lc_buf_put_str(&text, "Errors occurred:\n");
        const lc_problem *last = NULL;
        LC_VEC_EACH (problem, &p->list) {
            if (!last || compare_problems(last, problem)) {
                lc_buf_put_span(&text, problem->text);
                lc_buf_put_str(&text, "\n\n");
            }
            last = problem;
        }
        lc_buf_put_u8(&text, 0);
        st = lc_error_set(err, LC_E_INVALID, "%s", (const char *)text.ptr);
        lc_buf_deinit(&text);
    }
    lc_vec_deinit(&p->list);
    return st;
}

/* ------------------------------------------------------------ pieces of text */

/* The bytes as an arena string; frees the buffer. */
static const char *give_to_arena(lc_arena *a, lc_buf *text)
{
    const char *result = lc_arena_cstr(a, lc_buf_span(text));
    lc_buf_deinit(text);
    return result;
}

const char *lc_text_type(lc_arena *a, const lc_type *t)
{
    lc_buf text = LC_BUF_INIT;
    lc_type_print(t, &text);
    return give_to_arena(a, &text);
}

static void put_type_debug(const lc_type *t, lc_buf *out);

static void put_members_debug(const char *kind, const lc_type *t, lc_buf *out)
{
    lc_buf_printf(out, "%sType {", kind);
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (i) lc_buf_put_str(out, ", ");
        if (t->members[i].name.ptr)
            lc_rust_debug(t->members[i].name, '\"', out);
        else
            lc_buf_printf(out, "%u", i);
        lc_buf_put_str(out, ": ");
        put_type_debug(t->members[i].type, out);
    }
    lc_buf_put_u8(out, '}');
}

static void put_type_debug(const lc_type *t, lc_buf *out)
{
    static const char *const names[] = {
        "Ref", "Sum", "Product", "Array", "String", "Bool", "I8",   "U8",   "I16", "U16",
        "I32", "U32", "I64",     "U64",   "I128",   "U128", "I256", "U256", "F32", "F64",
    };
    switch (t->kind) {
    case LC_TYPE_REF:
        lc_buf_printf(out, "Ref(AlgebraicTypeRef(%u))", t->ref);
        break;
    case LC_TYPE_ARRAY:
        lc_buf_put_str(out, "Array(ArrayType { elem_ty: ");
        put_type_debug(t->element, out);
        lc_buf_put_str(out, " })");
        break;
    case LC_TYPE_SUM:
    case LC_TYPE_PRODUCT:
        lc_buf_printf(out, "%s(", names[t->kind]);
        put_members_debug(names[t->kind], t, out);
        lc_buf_put_u8(out, ')');
        break;
    default:
        lc_buf_put_str(out, names[t->kind]);
    }
}

const char *lc_text_product_debug(lc_arena *a, const lc_type *t)
{
    lc_buf text = LC_BUF_INIT;
    put_members_debug("Product", t, &text);
    return give_to_arena(a, &text);
}

const char *lc_text_string_debug(lc_arena *a, lc_span s)
{
    lc_buf text = LC_BUF_INIT;
    lc_rust_debug(s, '\"', &text);
    return give_to_arena(a, &text);
}

const char *lc_text_scoped_name(lc_arena *a, const lc_type_def *def)
{
    lc_buf text = LC_BUF_INIT;
    for (uint32_t i = 0; i < def->scope_count; i++) {
        lc_buf_put_span(&text, def->scope[i]);
        lc_buf_put_str(&text, "::");
    }
    lc_buf_put_span(&text, def->name);
    return give_to_arena(a, &text);
}

void lc_put_i128(lc_i128 v, lc_buf *out)
{
    uint8_t bytes[16];
    lc_store_u64(bytes, v.lo);
    lc_store_u64(bytes + 8, (uint64_t)v.hi);
    lc_u128_to_decimal(bytes, true, out);
}

const char *lc_text_i128_option(lc_arena *a, const lc_raw_i128 *v)
{
    if (!v->given) return "None";
    lc_buf text = LC_BUF_INIT;
    lc_buf_put_str(&text, "Some(");
    lc_put_i128(v->value, &text);
    lc_buf_put_u8(&text, ')');
    return give_to_arena(a, &text);
}
