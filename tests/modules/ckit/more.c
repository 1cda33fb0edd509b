/* The second file: the same tables, the rest of the API. */
#include "ckit.h"

LC_REDUCER(pairs)
{
    static const char *const names[] = {"x", "y", "z"};
    for (uint32_t a = 0; a < 3; a++)
        for (uint32_t b = 0; b < 3; b++)
            for (int32_t n = -2; n <= 2; n++)
                LC_TRY(pair_insert(&(Pair){a, lc_cstr(names[b]), n * 100 + (int32_t)a}));
    return LC_OK;
}

static void show(const char *title, pair_iter it)
{
    lc_str s = LC_S("");
    Pair p;
    while (pair_next(&it, &p)) s = lc_fmt("%.*s %u%.*s%d", LC_ARG(s), p.a, LC_ARG(p.b), p.n);
    lc_info("%s:%.*s", title, LC_ARG(s));
}

LC_REDUCER(pair_ranges)
{
    show("point", pair_by_by_abn(1, LC_S("y"), -99));
    show("hash", pair_by_ab(2, LC_S("z")));
    show("prefix 1", pair_prefix_by_abn(1, (pair_by_abn_key){.a = 1}));
    show("prefix 2", pair_prefix_by_abn(2, (pair_by_abn_key){.a = 1, .b = LC_S("y")}));
    show("range 0",
         pair_range_by_abn(0, LC_AFTER, (pair_by_abn_key){.a = 1}, LC_END, (pair_by_abn_key){0}));
    show("range 1", pair_range_by_abn(1, LC_FROM, (pair_by_abn_key){.a = 0, .b = LC_S("y")},
                                      LC_BELOW, (pair_by_abn_key){.b = LC_S("z")}));
    show("range 2", pair_range_by_abn(2, LC_AFTER, (pair_by_abn_key){2, LC_S("x"), -98}, LC_UPTO,
                                      (pair_by_abn_key){.n = 102}));
    show("single", pair_range_n(LC_FROM, 202, LC_END, 0));
    Pair p = {0};
    if (!pair_find_bn(LC_S("z"), 102, &p) || p.a != 2) return LC_ERR("find by two columns");
    p.a = 7;
    LC_TRY(pair_update_bn(&p));
    if (pair_insert(&(Pair){9, LC_S("z"), 102}) != LC_E_UNIQUE) return LC_ERR("no conflict");
    if (!pair_delete_bn(LC_S("z"), 102)) return LC_ERR("delete by two columns");
    if (pair_find_bn(LC_S("z"), 102, nullptr)) return LC_ERR("still there");
    lc_info("%u %u %llu", pair_delete_by_ab(0, LC_S("x")),
            pair_delete_range_by_abn(1, LC_START, (pair_by_abn_key){.a = 1}, LC_UPTO,
                                     (pair_by_abn_key){.b = LC_S("y")}),
            pair_count());
    return LC_OK;
}

LC_REDUCER(bad_range)
{
    pair_prefix_by_abn(3, (pair_by_abn_key){0});
    return LC_OK;
}

LC_REDUCER(formats)
{
    lc_info("%d|%5d|%-5d|%05d|%+d|% d|%i", 42, 42, 42, 42, 42, 42, -42);
    lc_info("%u|%x|%X|%o|%08x|%.3d|%.0d|%10.4d|%-8.3dx", 4000000000u, 48879u, 48879u, 8u, 255u, 7,
            0, -12, 5);
    lc_info("%lld|%llu|%llx|%zu|%hhd|%hd", INT64_MIN, UINT64_MAX, UINT64_MAX, (size_t)7, 5, 6);
    lc_info("%s|%10s|%-10s|%.2s|%c|%%|%*d|%-*d|%.*s", "text", "text", "text", "text", 'x', 6, 1, 6,
            1, 3, "abcdef");
    lc_info("%f|%.2f|%8.3f|%-8.1fx|%08.2f|%+.0f|%f|%f", 3.14159265, -2.005, 1.5, 2.375, -3.14159,
            2.0, 1e15, 0.0);
    lc_info("%f|%f|%.1f|%.3f", __builtin_inf(), -__builtin_nan(""), 0.96, 1e20);
    lc_info("%s|%.*s|", (char *)nullptr, LC_ARG(LC_S("")));
    lc_error("error");
    lc_warn("warn");
    lc_debug("debug");
    lc_trace("trace");
    return LC_OK;
}

LC_REDUCER(panic, (string, why))
{
    lc_panic("because: %.*s", LC_ARG(why));
}

LC_STRUCT(Wide, (i128, sum), (i128, product), (i128, quotient), (i128, rest), (u128, uquotient),
          (u128, urest), (i128, left), (i128, right), (u128, uright))
LC_TABLE(wide, Wide, PRIVATE)

LC_REDUCER(arithmetic, (i128, a), (i128, b), (u32, shift))
{
    LC_TRY(
        wide_insert(&(Wide){(lc_i128)((lc_u128)a + (lc_u128)b), (lc_i128)((lc_u128)a * (lc_u128)b),
                            a / b, a % b, (lc_u128)a / (lc_u128)b, (lc_u128)a % (lc_u128)b,
                            (lc_i128)((lc_u128)a << shift), a >> shift, (lc_u128)a >> shift}));
    return LC_OK;
}

LC_REDUCER(dice)
{
    bool fits = lc_random_below(0) == 0 && lc_random_below(1) == 0;
    uint32_t seen = 0;
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t r = lc_random_below(6);
        double f = lc_random_f64();
        fits = fits && r < 6 && f >= 0 && f < 1;
        seen |= 1u << r;
        sum += f;
    }
    lc_info("%d %x %d %llu", fits, seen, sum > 400 && sum < 600, lc_random());
    return LC_OK;
}

LC_STRUCT(Ids, (uuid, v4), (uuid, v7), (uuid, v7b), (identity, db), (identity, sender),
          (connection_id, conn), (timestamp, now))
LC_TABLE(ids, Ids, PRIVATE)

LC_REDUCER(make_ids)
{
    Ids i = {.db = lc_database_identity(), .sender = ctx->sender, .conn = ctx->connection_id};
    i.v4 = lc_uuid_v4();
    i.v7 = lc_uuid_v7();
    i.v7b = lc_uuid_v7();
    i.now = lc_now();
    LC_TRY(ids_insert(&i));
    lc_str jwt = lc_jwt(ctx->connection_id), hex = lc_identity_hex(ctx->sender);
    lc_info("%.*s %.*s %d", LC_ARG(jwt), LC_ARG(hex), lc_identity_eq(i.sender, ctx->sender));
    return LC_OK;
}

LC_REDUCER(memory, (string, big), (u32, n))
{
    uint32_t checks = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *p = lc_alloc(i);
        checks += ((uintptr_t)p & 15) == 0;
        memset(p, 0xff, i);
    }
    lc_mark_t mark = lc_mark();
    void *first = lc_alloc(1000);
    lc_release(mark);
    checks += lc_alloc(1000) == first;
    uint32_t letters = 0;
    for (uint32_t i = 0; i < big.len; i++) letters += big.ptr[i] == 'q';
    lc_info("%u %u %zu", checks, letters, __builtin_wasm_memory_size(0));
    return LC_OK;
}

LC_REDUCER(too_much_memory)
{
    for (;;) lc_alloc(1 << 28);
}

LC_REDUCER_PRIVATE(secret)
{
    return LC_OK;
}

LC_CONNECTED(here)
{
    lc_info("connected");
    return LC_OK;
}

LC_DISCONNECTED(gone)
{
    lc_info("disconnected");
    return LC_OK;
}
