/* Values as people read them: SATN, and the cells of tables on the command line (01 section 6). */
#include "sats_internal.h"

typedef struct printer {
    lc_buf *out;
    /* Cells show special types in their own notation, call unnamed fields col_N, and put the
     * elements of arrays side by side without brackets. */
    bool cell;
} printer;

static const uint8_t *print(printer *p, const lc_type *t, const uint8_t *value);

static const uint8_t *print_array(printer *p, const lc_type *t, const uint8_t *value)
{
    uint32_t n = lc_load_u32(value);
    value += 4;
    if (t->element->kind == LC_TYPE_U8) {
        lc_buf_put_str(p->out, "0x");
        lc_hex_encode(value, n, (char *)lc_buf_extend(p->out, 2 * (size_t)n));
        return value + n;
    }
    if (!p->cell) lc_buf_put_u8(p->out, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i && !p->cell) lc_buf_put_str(p->out, ", ");
        value = print(p, t->element, value);
    }
    if (!p->cell) lc_buf_put_u8(p->out, ']');
    return value;
}

static const uint8_t *print_product(printer *p, const lc_type *t, const uint8_t *value)
{
    lc_buf_put_u8(p->out, '(');
    for (uint32_t i = 0; i < t->member_count; i++) {
        const lc_type_member *m = &t->members[i];
        if (i) lc_buf_put_str(p->out, ", ");
        if (m->name.ptr)
            lc_buf_put_span(p->out, m->name);
        else
            lc_buf_printf(p->out, p->cell ? "col_%u" : "%u", i);
        lc_buf_put_str(p->out, " = ");
        value = print(p, m->type, value);
    }
    lc_buf_put_u8(p->out, ')');
    return value;
}

static const uint8_t *print_sum(printer *p, const lc_type *t, const uint8_t *value)
{
    uint8_t tag = *value++;
    const lc_type_member *m = &t->members[tag];
    lc_buf_put_u8(p->out, '(');
    if (m->name.ptr)
        lc_buf_put_span(p->out, m->name);
    else if (p->cell)
        lc_buf_printf(p->out, "col_%u", tag);
    lc_buf_put_str(p->out, " = ");
    value = print(p, m->type, value);
    lc_buf_put_u8(p->out, ')');
    return value;
}

static void print_id(printer *p, const uint8_t *value, size_t size)
{
    lc_buf_put_str(p->out, "0x");
    lc_hex_big_endian(value, size, (char *)lc_buf_extend(p->out, 2 * size));
}

/* True when the type has a notation of its own in cells and was printed in it. */
static bool print_special(printer *p, const lc_type *t, const uint8_t *value)
{
    switch (t->special) {
    case LC_SPECIAL_IDENTITY:
        print_id(p, value, 32);
        return true;
    case LC_SPECIAL_CONNECTION_ID:
        print_id(p, value, 16);
        return true;
    case LC_SPECIAL_TIMESTAMP:
        lc_timestamp_to_text((int64_t)lc_load_u64(value), p->out);
        return true;
    case LC_SPECIAL_DURATION:
        lc_duration_to_text((int64_t)lc_load_u64(value), p->out);
        return true;
    case LC_SPECIAL_UUID:
        lc_buf_put_u8(p->out, '"');
        lc_uuid_to_text(value, p->out);
        lc_buf_put_u8(p->out, '"');
        return true;
    default:
        return false;
    }
}

static const uint8_t *print(printer *p, const lc_type *t, const uint8_t *value)
{
    if (p->cell && print_special(p, t, value)) return value + t->fixed_size;
    switch (t->kind) {
    case LC_TYPE_REF:
        LC_BUG("text of a value of a reference type");
    case LC_TYPE_SUM:
        return print_sum(p, t, value);
    case LC_TYPE_PRODUCT:
        return print_product(p, t, value);
    case LC_TYPE_ARRAY:
        return print_array(p, t, value);
    case LC_TYPE_STRING: {
        uint32_t n = lc_load_u32(value);
        lc_buf_put_u8(p->out, '"');
        lc_buf_put(p->out, value + 4, n);
        lc_buf_put_u8(p->out, '"');
        return value + 4 + n;
    }
    case LC_TYPE_BOOL:
        lc_buf_put_str(p->out, *value ? "true" : "false");
        break;
    case LC_TYPE_F32: {
        float f;
        memcpy(&f, value, sizeof f);
        lc_float_display_f32(f, p->out);
        break;
    }
    case LC_TYPE_F64: {
        double f;
        memcpy(&f, value, sizeof f);
        lc_float_display_f64(f, p->out);
        break;
    }
    default:
        lc_integer_write(t->kind, value, p->out);
        break;
    }
    return value + t->fixed_size;
}

void lc_satn_write(const lc_type *t, const uint8_t *value, lc_buf *out)
{
    print(&(printer){.out = out}, t, value);
}

void lc_cell_write(const lc_type *t, const uint8_t *value, lc_buf *out)
{
    print(&(printer){.out = out, .cell = true}, t, value);
}
