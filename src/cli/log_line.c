/*
 * Records of a module's log (04 section 5.5) as text.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <time.h>

#define SYSTEM_WORD "__spacetimedb__"

static const struct {
    const char *json;
    const char *word;
    const char *colour;
} levels[] = {
    [LC_LINE_TRACE] = {"Trace", "TRACE", "\x1b[2m"},
    [LC_LINE_DEBUG] = {"Debug", "DEBUG", "\x1b[1m\x1b[2m"},
    [LC_LINE_INFO] = {"Info", " INFO", "\x1b[34m"},
    [LC_LINE_WARN] = {"Warn", " WARN", "\x1b[33m"},
    [LC_LINE_ERROR] = {"Error", "ERROR", "\x1b[31m"},
    [LC_LINE_PANIC] = {"Panic", "PANIC", "\x1b[1m\x1b[38;5;9m"},
};

lc_log_line_level lc_log_line_level_of(lc_span record)
{
    char *name = lc_json_string_value(lc_json_member(record, "level", NULL));
    lc_log_line_level level = 0;
    while (level < LC_LINE_UNKNOWN && !(name && strcmp(levels[level].json, name) == 0)) level++;
    lc_free(name);
    return level;
}

typedef struct printer {
    lc_span record;
    bool has_colour;
    lc_buf *out;
} printer;

static void paint(printer *p, const char *code)
{
    if (p->has_colour) lc_buf_put_str(p->out, code);
}

static void put_dim(printer *p, const char *text)
{
    paint(p, "\x1b[2m");
    lc_buf_put_str(p->out, text);
    paint(p, "\x1b[0m");
}

static void put_time(printer *p)
{
    char *number = lc_span_to_cstr(lc_json_member(p->record, "ts", NULL));
    int64_t micros = strtoll(number, NULL, 10);
    lc_free(number);
    time_t seconds = (time_t)(micros / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[64], day[32];
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%06dZ ", day, (int)(micros % 1000000));
    paint(p, "\x1b[0m");
    put_dim(p, text);
}

/* The member's text; NULL when it is missing or the server's own. */
static char *place_of(const printer *p, const char *key)
{
    char *text = lc_json_string_value(lc_json_member(p->record, key, NULL));
    if (text && strcmp(text, SYSTEM_WORD) != 0) return text;
    lc_free(text);
    return NULL;
}

/* `FUNCTION FILE:LINE: ` */
static void put_place(printer *p)
{
    char *function = place_of(p, "function");
    char *file = place_of(p, "filename");
    lc_span line = lc_json_member(p->record, "line_number", NULL);
    if (function) put_dim(p, function);
    if (function && file) lc_buf_put_u8(p->out, ' ');
    if (file) {
        char *place =
            line.ptr ? lc_format("%s:" LC_SPAN_FMT, file, LC_SPAN_ARG(line)) : lc_strdup(file);
        put_dim(p, place);
        lc_free(place);
    }
    if (function || file) lc_buf_put_str(p->out, ": ");
    lc_free(function);
    lc_free(file);
}

static void put_trace(printer *p)
{
    lc_span trace = lc_json_member(p->record, "trace", NULL);
    if (!trace.ptr) return;
    lc_walk w;
    for (lc_walk_begin(&w, trace, NULL); lc_walk_next(&w);) {
        char *module = lc_json_string_value(lc_json_member(w.value, "module_name", NULL));
        char *function = lc_json_string_value(lc_json_member(w.value, "func_name", NULL));
        lc_buf_printf(p->out, "    in %s%s%s\n", module ? module : "",
                      module && function ? " :: " : "", function ? function : "");
        lc_free(module);
        lc_free(function);
    }
    lc_walk_end(&w);
}

void lc_log_line_print(lc_span record, bool has_colour, lc_buf *out)
{
    lc_log_line_level level = lc_log_line_level_of(record);
    char *message = lc_json_string_value(lc_json_member(record, "message", NULL));
    if (level == LC_LINE_UNKNOWN || !message) {
        lc_buf_put_span(out, record);
        lc_buf_put_u8(out, '\n');
        lc_free(message);
        return;
    }
    printer p = {record, has_colour, out};
    put_time(&p);
    paint(&p, levels[level].colour);
    lc_buf_put_str(out, levels[level].word);
    paint(&p, "\x1b[0m");
    lc_buf_put_str(out, ": ");
    put_place(&p);
    lc_buf_printf(out, "%s\n", message);
    put_trace(&p);
    lc_free(message);
}
