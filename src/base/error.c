/* Errors for people, and the end of the process when an invariant of our own is broken. */
#include "base_internal.h"

#include <stdlib.h>

lc_status lc_error_set(lc_error *err, lc_status code, const char *fmt, ...)
{
    if (!err) return code;
    va_list args;
    va_start(args, fmt);
    size_t len;
    /* Formatted before the old text goes: it may be one of the arguments. */
    char *text = lc_vformat(&len, fmt, args);
    va_end(args);
    lc_free(err->text);
    err->code = code;
    err->text = text;
    return code;
}

lc_status lc_error_prefix(lc_error *err, const char *fmt, ...)
{
    if (!err) return LC_OK;
    if (err->code == LC_OK) return LC_OK;
    va_list args;
    va_start(args, fmt);
    size_t len;
    char *prefix = lc_vformat(&len, fmt, args);
    va_end(args);
    char *text = lc_format("%s%s", prefix, lc_error_text(err));
    lc_free(prefix);
    lc_free(err->text);
    err->text = text;
    return err->code;
}

void lc_error_clear(lc_error *err)
{
    lc_free(err->text);
    *err = LC_ERROR_INIT;
}

const char *lc_error_text(const lc_error *err)
{
    return err && err->text ? err->text : "";
}

_Noreturn void lc_bug_at(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t len;
    char *text = lc_vformat(&len, fmt, args);
    va_end(args);
    lc_log(LC_LOG_ERROR, "bug at %s:%d: %s", file, line, text);
    abort();
}
