/* The smallest useful table, for bytes per row, inserts and scans per second, and restart. */
#include <lightcone/module.h>

LC_STRUCT(Row, (u32, id), (i32, value))
LC_TABLE(rows, Row, PUBLIC, (primary_key, id, auto_inc))

LC_REDUCER(fill, (u32, n))
{
    for (uint32_t i = 0; i < n; i++) LC_TRY(rows_insert(&(Row){.value = (int32_t)i}));
    return LC_OK;
}

/* Reads everything; the sum is there so that nobody can leave the reading out. */
LC_REDUCER(scan)
{
    int64_t sum = 0;
    LC_FOR(rows, row, rows_scan()) sum += row.value;
    if (sum < 0) return LC_ERR("the sum is %lld", sum);
    return LC_OK;
}
