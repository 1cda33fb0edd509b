/* Exercises the C module API: what is not called here is not tested. */
#include "ckit.h"

LC_REDUCER(put_everything, (Everything, row))
{
    LC_TRY(everything_insert(&row));
    return LC_OK;
}

/* What find decodes, insert encodes again. */
LC_REDUCER(copy_everything, (u64, from), (u64, to))
{
    Everything row;
    if (!everything_find_id(from, &row)) return LC_ERR("no row %llu", from);
    row.id = to;
    LC_TRY(everything_insert(&row));
    return LC_OK;
}

/* ---- numbers the server gives */
LC_STRUCT(Counter, (u64, id), (string, label), (u8, small), (i128, wide))
LC_TABLE(counter, Counter, PUBLIC, (primary_key, id, auto_inc), (auto_inc, small),
         (unique, label, hash), (auto_inc, wide))

LC_REDUCER(count_up, (string, label), (u64, id), (u8, small))
{
    Counter c = {.id = id, .label = label, .small = small};
    LC_TRY(counter_insert(&c));
    lc_info("%llu %u %lld", c.id, c.small, (int64_t)c.wide);
    return LC_OK;
}

LC_REDUCER(rename, (string, from), (string, to))
{
    Counter c;
    if (!counter_find_label(from, &c)) return LC_ERR("no counter %.*s", LC_ARG(from));
    c.label = to;
    LC_TRY(counter_update(&c));
    return LC_OK;
}

/* The errors of insert and update are values that a reducer may look at. */
LC_REDUCER(errors)
{
    Counter c = {.label = LC_S("twice")};
    LC_TRY(counter_insert(&c));
    Counter d = {.label = LC_S("twice")};
    if (counter_insert(&d) != LC_E_UNIQUE) return LC_ERR("expected LC_E_UNIQUE");
    c.id = 999999;
    if (counter_update(&c) != LC_E_NO_SUCH_ROW) return LC_ERR("expected LC_E_NO_SUCH_ROW");
    c.small = 77;
    c.id = 1234;
    LC_TRY(counter_update_label(&c));
    if (!counter_find_id(1234, nullptr)) return LC_ERR("update by label did not move the row");
    if (!counter_delete_label(LC_S("twice"))) return LC_ERR("not deleted");
    if (counter_delete_label(LC_S("twice"))) return LC_ERR("deleted twice");
    if (counter_delete_id(1234)) return LC_ERR("deleted three times");
    return LC_OK;
}

LC_REDUCER(refuse, (string, why), (u32, times))
{
    (void)counter_clear();
    if (times > 1) LC_TRY(refuse(ctx, why, times - 1)); /* reducers are functions */
    return LC_ERR("%.*s%s", LC_ARG(why), times > 1 ? "?" : "!");
}

LC_REDUCER(refuse_silently)
{
    return LC_ERR("%s", "");
}

/* ---- iterators */
LC_STRUCT(Fixed, (u32, id), (u32, group))
LC_TABLE(fixed, Fixed, PUBLIC, (primary_key, id, direct), (index, group))
LC_STRUCT(Note, (u32, id), (string, text))
LC_TABLE(note, Note, PUBLIC, (primary_key, id))

LC_REDUCER(fill, (u32, n), (u32, text_length))
{
    char *text = lc_alloc(text_length);
    for (uint32_t i = 0; i < text_length; i++) text[i] = (char)('a' + i % 26);
    for (uint32_t i = 0; i < n; i++) {
        LC_TRY(fixed_insert(&(Fixed){i, i % 7}));
        if (text_length) LC_TRY(note_insert(&(Note){i, {text, text_length}}));
    }
    return LC_OK;
}

LC_REDUCER(sums)
{
    uint64_t ids = 0, rows = 0, letters = 0, group3 = 0;
    LC_FOR(fixed, f, fixed_scan())
    {
        if (f.id % 2) continue;
        ids += f.id;
        rows++;
    }
    LC_FOR(note, n, note_scan()) letters += n.text.len;
    LC_FOR(fixed, f, fixed_by_group(3)) group3++;
    lc_info("%llu %llu %llu %llu %llu", rows, ids, letters, group3, fixed_count());
    return LC_OK;
}

/* Leaving loops early must not leave iterators open, in whatever way. */
LC_REDUCER(leave_early, (u32, how))
{
    for (int i = 0; i < 200; i++) {
        LC_FOR(note, n, note_scan())
        {
            if (how == 0) break;
            if (how == 1 && i == 199) return LC_OK;
            if (how == 1) break;
        }
    }
    if (how == 2) {
        note_iter it = note_scan();
        Note n;
        if (!note_next(&it, &n)) return LC_ERR("no rows"); /* left open: closed with the call */
    }
    if (how == 3)
        for (int i = 0; i < 200; i++) note_scan();
    if (how == 4) {
        note_iter it = note_scan();
        note_close(&it);
        Note n;
        if (note_next(&it, &n)) return LC_ERR("a closed iterator gave a row");
    }
    return LC_OK;
}

LC_REDUCER(recycled)
{
    uint64_t letters = 0;
    uint32_t rows = 0;
    note_iter it = note_scan();
    it.x.recycle = true;
    for (Note n; note_next(&it, &n); rows++)
        for (uint32_t i = 0; i < n.text.len; i++) letters += (uint8_t)n.text.ptr[i];
    lc_info("%u %llu %zu", rows, letters, __builtin_wasm_memory_size(0));
    return LC_OK;
}

/* Scans and lookups nest, and what they gave stays whole. */
LC_REDUCER(nested)
{
    uint32_t equal = 0;
    LC_FOR(note, n, note_scan())
    {
        Note again;
        if (!note_find_id(n.id, &again)) return LC_ERR("note %u is lost", n.id);
        lc_str copy = lc_fmt("%.*s", LC_ARG(n.text));
        equal += lc_str_eq(again.text, n.text) && lc_str_eq(copy, n.text);
        n.text = LC_S("changed");
        LC_TRY(note_update(&n));
    }
    lc_info("%u of %llu", equal, note_count());
    return LC_OK;
}

/* ---- deleting */
LC_REDUCER(delete_some)
{
    uint32_t by_group = fixed_delete_by_group(3);
    uint32_t by_range = fixed_delete_range_id(LC_FROM, 10, LC_BELOW, 20);
    bool row = fixed_delete_row(&(Fixed){1, 1});
    bool no_row = fixed_delete_row(&(Fixed){1, 2});
    lc_info("%u %u %d %d %llu", by_group, by_range, row, no_row, fixed_count());
    lc_info("%llu %llu", fixed_clear(), fixed_count());
    return LC_OK;
}

/* ---- ranges */
LC_REDUCER(range, (u8, lower), (u32, lo), (u8, upper), (u32, hi))
{
    lc_str found = LC_S("");
    LC_FOR(fixed, f, fixed_range_id((lc_lower)lower, lo, (lc_upper)upper, hi))
    {
        found = lc_fmt("%.*s %u", LC_ARG(found), f.id);
    }
    lc_info("%.*s", LC_ARG(found));
    return LC_OK;
}

/* ---- time */
LC_STRUCT(Appointment, (u64, id), (schedule_at, at), (string, what))
LC_TABLE(appointment, Appointment, PRIVATE, (primary_key, id, auto_inc), (schedule, at, ring))
LC_STRUCT(Rung, (string, what), (timestamp, when), (bool, alone))
LC_TABLE(rung, Rung, PUBLIC, (event))

LC_REDUCER(ring, (Appointment, row))
{
    if (row.at.kind == LC_EVERY) lc_debug("every %lld", row.at.interval.micros);
    LC_TRY(rung_insert(&(Rung){row.what, ctx->timestamp, !ctx->has_connection}));
    return LC_OK;
}

LC_REDUCER(appoint, (i64, millis), (bool, repeat), (string, what))
{
    LC_TRY(appointment_insert(&(Appointment){
        .at =
            repeat ? lc_every(lc_millis(millis)) : lc_at(lc_time_add(lc_now(), lc_millis(millis))),
        .what = what,
    }));
    return LC_OK;
}

/* ---- columns that older versions of the table did not have */
LC_STRUCT(Grown, (u32, id), (i16, level), (string, title), (Color, color), (opt_u32, extra))
LC_TABLE(grown, Grown, PUBLIC, (primary_key, id), (default, level, -7),
         (default, title, lc_fmt("none, %s far", "so")), (default, color, Color_Blue),
         (default, extra, lc_some(u32, 5)), (index, color, direct))

LC_REDUCER(by_color, (Color, color))
{
    uint32_t n = 0;
    LC_FOR(grown, g, grown_by_color(color)) n += g.id;
    lc_info("%u", n);
    return LC_OK;
}

LC_REDUCER(grow, (u32, id), (Color, color))
{
    LC_TRY(grown_insert(&(Grown){.id = id, .color = color}));
    return LC_OK;
}

LC_INIT(init)
{
    lc_info("init");
    return LC_OK;
}
