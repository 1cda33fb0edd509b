/* Rows that the load programs move: one writer, many readers. */
#include <lightcone/module.h>

LC_STRUCT(Tick, (u32, id), (i32, x), (i32, y), (i32, z))
LC_TABLE(tick, Tick, PUBLIC, (primary_key, id), (index, x))

enum { ROWS = 1000 };

LC_INIT(init)
{
    for (uint32_t id = 0; id < ROWS; id++) LC_TRY(tick_insert(&(Tick){.id = id}));
    return LC_OK;
}

/* Sets x, y and z of the rows 0..n-1 to v; rows that are missing are made. */
LC_REDUCER(step, (u32, n), (i32, v))
{
    for (uint32_t id = 0; id < n; id++) {
        Tick row = {.id = id, .x = v, .y = v, .z = v};
        if (tick_find_id(id, nullptr))
            LC_TRY(tick_update(&row));
        else
            LC_TRY(tick_insert(&row));
    }
    return LC_OK;
}

LC_REDUCER(mv, (u32, id), (i32, x))
{
    Tick row;
    if (!tick_find_id(id, &row)) return LC_ERR("no row %u", id);
    row.x = x;
    LC_TRY(tick_update(&row));
    return LC_OK;
}
