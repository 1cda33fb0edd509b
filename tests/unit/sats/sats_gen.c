#include "sats_gen.h"

static lc_type_kind gen_scalar(uint64_t *seed)
{
    return (lc_type_kind)(LC_TYPE_STRING + gen_below(seed, LC_TYPE_F64 - LC_TYPE_STRING + 1));
}

static void gen_members(lc_arena *a, uint64_t *seed, lc_type_member *members, uint32_t n,
                        int levels)
{
    for (uint32_t i = 0; i < n; i++) {
        members[i].type = gen_type(a, seed, levels - 1);
        members[i].name = LC_SPAN_EMPTY;
        if (gen_below(seed, 8)) members[i].name = lc_span_of_str(lc_arena_format(a, "m%u", i));
    }
}

const lc_type *gen_type(lc_arena *a, uint64_t *seed, int levels)
{
    lc_type_member members[8];
    uint32_t n;
    if (levels <= 0) return gen_below(seed, 8) ? lc_type_scalar(gen_scalar(seed)) : lc_type_unit();
    switch (gen_below(seed, 12)) {
    case 0:
    case 1:
        n = gen_below(seed, 6);
        gen_members(a, seed, members, n, levels);
        return lc_type_new_product(a, members, n);
    case 2:
        n = 1 + gen_below(seed, 5);
        gen_members(a, seed, members, n, levels);
        return lc_type_new_sum(a, members, n);
    case 3: /* plain enum */
        n = 1 + gen_below(seed, 8);
        gen_members(a, seed, members, n, 0);
        for (uint32_t i = 0; i < n; i++) members[i].type = lc_type_unit();
        return lc_type_new_sum(a, members, n);
    case 4:
        return lc_type_new_option(a, gen_type(a, seed, levels - 1));
    case 5:
        return lc_type_bytes();
    case 6:
    case 7:
        return lc_type_new_array(a, gen_type(a, seed, levels - 1));
    case 8: {
        const lc_type *special[] = {lc_type_identity(),  lc_type_connection_id(),
                                    lc_type_timestamp(), lc_type_duration(),
                                    lc_type_uuid(),      lc_type_schedule_at()};
        return special[gen_below(seed, LC_ARRAY_LEN(special))];
    }
    default:
        return lc_type_scalar(gen_scalar(seed));
    }
}

const lc_type *gen_row_type(lc_arena *a, uint64_t *seed, int levels)
{
    lc_type_member members[8];
    uint32_t n = gen_below(seed, 9);
    gen_members(a, seed, members, n, levels);
    return lc_type_new_product(a, members, n);
}

static void gen_bytes(uint64_t *seed, size_t n, lc_buf *out)
{
    /* Mostly the edges of numbers: 00, 01, 7f, 80, ff. */
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    if (gen_below(seed, 3) == 0) {
        uint8_t fill = edges[gen_below(seed, LC_ARRAY_LEN(edges))];
        memset(lc_buf_extend(out, n), fill, n);
        if (n && gen_below(seed, 2)) out->ptr[out->len - 1 - gen_below(seed, (uint32_t)n)] ^= 0x81;
        return;
    }
    for (size_t i = 0; i < n; i++)
        lc_buf_put_u8(out, gen_below(seed, 2) ? edges[gen_below(seed, LC_ARRAY_LEN(edges))]
                                              : (uint8_t)lc_test_random(seed));
}

static void gen_float(const lc_type *t, uint64_t *seed, lc_buf *out)
{
    static const double some[] = {0.0, -0.0, 1.0, -1.0, 1.5, 1e300, -1e300, 1e-300, 5e-324};
    uint32_t pick = gen_below(seed, 16);
    if (pick >= LC_ARRAY_LEN(some)) {
        /* Any bits, with infinities and NaNs of all kinds more often than by chance. */
        size_t size = (size_t)t->fixed_size;
        gen_bytes(seed, size, out);
        if (pick < 13) {
            uint8_t *top = out->ptr + out->len;
            top[-1] = (uint8_t)((top[-1] & 0x80) | 0x7f);
            top[-2] |= size == 4 ? 0x80 : 0xf0;
            if (gen_below(seed, 2)) memset(top - size, 0, size - 2);
        }
        return;
    }
    if (t->kind == LC_TYPE_F64) {
        lc_buf_put(out, &some[pick], 8);
    } else {
        float f = (float)some[pick];
        lc_buf_put(out, &f, 4);
    }
}

static void gen_string(uint64_t *seed, lc_buf *out)
{
    static const char *const parts[] = {"a",
                                        "b",
                                        "Z",
                                        "\xc3\xa9",
                                        "\xe6\x97\xa5",
                                        "\xf0\x9f\x98\x80",
                                        "\x01",
                                        "\x02",
                                        "hello world, again"};
    size_t at = out->len;
    lc_buf_put_u32(out, 0);
    for (uint32_t n = gen_below(seed, 5); n > 0; n--) {
        uint32_t pick = gen_below(seed, LC_ARRAY_LEN(parts) + 1);
        if (pick == LC_ARRAY_LEN(parts))
            lc_buf_put_u8(out, 0);
        else
            lc_buf_put_str(out, parts[pick]);
    }
    lc_store_u32(out->ptr + at, (uint32_t)(out->len - at - 4));
}

void gen_value(const lc_type *t, uint64_t *seed, lc_buf *out)
{
    uint32_t n;
    switch (t->kind) {
    case LC_TYPE_REF:
        fail_msg("no references here");
        break;
    case LC_TYPE_PRODUCT:
        for (uint32_t i = 0; i < t->member_count; i++) gen_value(t->members[i].type, seed, out);
        break;
    case LC_TYPE_SUM:
        n = gen_below(seed, t->member_count);
        lc_buf_put_u8(out, (uint8_t)n);
        gen_value(t->members[n].type, seed, out);
        break;
    case LC_TYPE_ARRAY:
        n = gen_below(seed, 4);
        lc_buf_put_u32(out, n);
        while (n--) gen_value(t->element, seed, out);
        break;
    case LC_TYPE_STRING:
        gen_string(seed, out);
        break;
    case LC_TYPE_BOOL:
        lc_buf_put_u8(out, (uint8_t)gen_below(seed, 2));
        break;
    case LC_TYPE_F32:
    case LC_TYPE_F64:
        gen_float(t, seed, out);
        break;
    default:
        gen_bytes(seed, (size_t)t->fixed_size, out);
        break;
    }
}

const lc_type *type_of(lc_arena *a, const char *json)
{
    const lc_type *t = NULL;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_type_from_json(lc_span_of_str(json), a, &t, &err), &err);
    return t;
}

lc_span hex(lc_arena *a, const char *text)
{
    size_t n = strlen(text) / 2;
    uint8_t *bytes = lc_arena_alloc(a, n ? n : 1);
    assert_true(lc_hex_decode(lc_span_of_str(text), bytes));
    return LC_SPAN(bytes, n);
}

const char *to_hex(lc_arena *a, lc_span bytes)
{
    char *text = lc_arena_alloc_zero(a, 2 * bytes.len + 1);
    lc_hex_encode(bytes.ptr, bytes.len, text);
    return text;
}
