/* Timestamps and durations as text (01 section 5.3, 06 section 5.2). */
#include "sats_internal.h"

#include <inttypes.h>

#define MICROS         1000000
#define SECONDS_OF_DAY 86400

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. Years are counted from
 * March, so that the leap day is the last of a year; 400 years are an era of 146097 days. */
static int64_t days_of_date(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

static void date_of_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = era * 400 + of_era + (*month <= 2);
}

/* The years the reference's calendar knows; beyond them it shows the bare number. */
#define YEAR_MIN (-262143)
#define YEAR_MAX 262142

void lc_timestamp_to_text(int64_t micros, lc_buf *out)
{
    int64_t seconds = micros / MICROS, fraction = micros % MICROS;
    if (fraction < 0) {
        fraction += MICROS;
        seconds--;
    }
    int64_t days = seconds / SECONDS_OF_DAY, of_day = seconds % SECONDS_OF_DAY;
    if (of_day < 0) {
        of_day += SECONDS_OF_DAY;
        days--;
    }
    int64_t year;
    unsigned month, day;
    date_of_days(days, &year, &month, &day);
    if (year < YEAR_MIN || year > YEAR_MAX) {
        lc_buf_printf(out, "%" PRId64, micros);
        return;
    }
    if (year >= 0 && year <= 9999)
        lc_buf_printf(out, "%04" PRId64, year);
    else
        lc_buf_printf(out, "%+05" PRId64, year);
    lc_buf_printf(out, "-%02u-%02uT%02u:%02u:%02u", month, day, (unsigned)(of_day / 3600),
                  (unsigned)(of_day / 60 % 60), (unsigned)(of_day % 60));
    if (fraction % 1000)
        lc_buf_printf(out, ".%06u", (unsigned)fraction);
    else if (fraction)
        lc_buf_printf(out, ".%03u", (unsigned)(fraction / 1000));
    lc_buf_put_str(out, "+00:00");
}

/* ------------------------------------------------------------------ parsing */

typedef struct scan {
    const uint8_t *at, *end;
} scan;

/* Exactly n digits. */
static bool number(scan *s, int n, unsigned *out)
{
    *out = 0;
    if (s->end - s->at < n) return false;
    for (; n > 0; n--, s->at++) {
        if (*s->at < '0' || *s->at > '9') return false;
        *out = *out * 10 + (*s->at - '0');
    }
    return true;
}

static bool one_of(scan *s, const char *set)
{
    if (s->at == s->end || *s->at == 0 || !strchr(set, *s->at)) return false;
    s->at++;
    return true;
}

/* The digits behind the point; those beyond microseconds are cut off. */
static bool fraction_of(scan *s, unsigned *micros)
{
    unsigned scale = MICROS;
    *micros = 0;
    const uint8_t *start = s->at;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        scale /= 10;
        *micros += (*s->at - '0') * scale;
    }
    return s->at > start;
}

static bool offset_of(scan *s, int *seconds)
{
    *seconds = 0;
    if (one_of(s, "Zz")) return true;
    bool west = s->at < s->end && *s->at == '-';
    unsigned hours, minutes;
    if (!one_of(s, "+-") || !number(s, 2, &hours) || !one_of(s, ":") || !number(s, 2, &minutes))
        return false;
    if (hours > 23 || minutes > 59) return false;
    *seconds = (int)(hours * 3600 + minutes * 60);
    if (west) *seconds = -*seconds;
    return true;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool timestamp(scan *s, int64_t *micros)
{
    unsigned year, month, day, hour, minute, second, fraction = 0;
    int offset;
    if (!number(s, 4, &year) || !one_of(s, "-") || !number(s, 2, &month) || !one_of(s, "-") ||
        !number(s, 2, &day) || !one_of(s, "Tt ") || !number(s, 2, &hour) || !one_of(s, ":") ||
        !number(s, 2, &minute) || !one_of(s, ":") || !number(s, 2, &second))
        return false;
    if (one_of(s, ".") && !fraction_of(s, &fraction)) return false;
    if (!offset_of(s, &offset) || s->at != s->end) return false;
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month)) return false;
    if (hour > 23 || minute > 59 || second > 60) return false;
    /* A leap second counts as the first second of the next minute. */
    int64_t seconds = days_of_date(year, month, day) * SECONDS_OF_DAY + hour * 3600 + minute * 60 +
                      second - offset;
    *micros = seconds * MICROS + fraction;
    return true;
}

lc_status lc_timestamp_parse(lc_span text, int64_t *micros, lc_error *err)
{
    scan s = {text.ptr, text.ptr + text.len};
    if (text.len && timestamp(&s, micros)) return LC_OK;
    return lc_error_set(
        err, LC_E_INVALID,
        "Invalid timestamp format. Expected RFC 3339 format (e.g. '2025-02-10 15:45:30').");
}

void lc_duration_to_text(int64_t micros, lc_buf *out)
{
    uint64_t magnitude = micros < 0 ? 0 - (uint64_t)micros : (uint64_t)micros;
    lc_buf_printf(out, "%c%" PRIu64 ".%06" PRIu64, micros < 0 ? '-' : '+', magnitude / MICROS,
                  magnitude % MICROS);
}
