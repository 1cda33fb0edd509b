/* Everything a module should not do, each after it has written something. */
#include <lightcone/module.h>

LC_STRUCT(Note, (u64, id), (string, text))
LC_STRUCT(Point, (i32, x), (f64, y))
LC_SUM(Shape, (f32, circle), (Point, dot), (unit, nothing))
LC_ARRAY(Shape)
LC_OPTION(Point)

LC_TABLE(notes, Note, PUBLIC, (primary_key, id, auto_inc))

static lc_result write(const char *text)
{
    LC_TRY(notes_insert(&(Note){.text = lc_cstr(text)}));
    return LC_OK;
}

LC_REDUCER(note, (string, text))
{
    LC_TRY(notes_insert(&(Note){.text = text}));
    return LC_OK;
}

LC_REDUCER(kinds, (bool, a), (u8, b), (i64, c), (string, d), (bytes, e), (array_Shape, f),
           (opt_Point, g), (u128, h), (identity, i), (array_string, j))
{
    LC_TRY(notes_insert(&(Note){.text = lc_fmt("%d %u %lld %u %u %u %d %u %u", a, b, c, d.len,
                                               e.len, f.len, g.some, (uint32_t)h, j.len)}));
    (void)i;
    return LC_OK;
}

LC_REDUCER(fail)
{
    LC_TRY(write("fail"));
    return LC_ERR("on purpose");
}

LC_REDUCER(trap)
{
    LC_TRY(write("trap"));
    __builtin_trap();
}

LC_REDUCER(panic)
{
    LC_TRY(write("panic"));
    lc_panic("on purpose");
}

LC_REDUCER(wild)
{
    LC_TRY(write("wild"));
    volatile uint8_t *p = (volatile uint8_t *)0xfffffff0u;
    *p = 1;
    return LC_OK;
}

static volatile uint32_t sink;

LC_REDUCER(spin)
{
    LC_TRY(write("spin"));
    for (;;) sink++;
}

static uint32_t deep(uint32_t n)
{
    volatile uint8_t frame[256];
    frame[n % 256] = (uint8_t)n;
    return n ? deep(n - 1) + frame[n % 256] : 0;
}

LC_REDUCER(recurse)
{
    LC_TRY(write("recurse"));
    sink = deep(UINT32_MAX);
    return LC_OK;
}

LC_REDUCER(hog)
{
    LC_TRY(write("hog"));
    for (;;) {
        uint8_t *p = lc_alloc(1 << 20);
        for (uint32_t i = 0; i < 1 << 20; i += 4096) p[i] = 1;
    }
}

/* Rows without end: stopped by the time limit, and taken back. */
LC_REDUCER(flood)
{
    for (;;) LC_TRY(write("a row that will not stay"));
}
