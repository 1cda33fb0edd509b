/* Rust's debug form of a duration, as module authors see it in timer records, and JSON strings for
 * backtraces. */
#include "host/host_internal.h"

#include "sats/lc_sats.h"

void abi_json_string(lc_buf *out, lc_span text)
{
    lc_buf valid = LC_BUF_INIT;
    lc_utf8_lossy(text, &valid);
    lc_json_write_string(lc_buf_span(&valid), out);
    lc_buf_deinit(&valid);
}

/* whole.fraction without trailing zeros; fraction counts parts of unit. */
static void decimal(lc_buf *out, uint64_t whole, uint64_t fraction, uint64_t unit)
{
    lc_buf_printf(out, "%llu", (unsigned long long)whole);
    if (fraction == 0) return;
    lc_buf_put_u8(out, '.');
    while (fraction) {
        unit /= 10;
        lc_buf_put_u8(out, (uint8_t)('0' + fraction / unit));
        fraction %= unit;
    }
}

void abi_debug_duration(lc_buf *out, uint64_t nanos)
{
    static const struct {
        uint64_t unit;
        const char *name;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "µs"}, {1, "ns"}};
    int i = 0;
    while (i < 3 && nanos < units[i].unit) i++;
    decimal(out, nanos / units[i].unit, nanos % units[i].unit, units[i].unit);
    lc_buf_put_str(out, units[i].name);
}
