/* The server's own log: each record is one write(2) of one line, so that threads never mix. */
#include "base_internal.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_level = LC_LOG_INFO;

void lc_log_set_level(lc_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

void lc_log(lc_log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"ERROR", " WARN", " INFO", "DEBUG"};
    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed)) return;

    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);

    lc_buf line = LC_BUF_INIT;
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    lc_buf_printf(&line, "%s.%06ldZ %s ", stamp, now.tv_nsec / 1000, names[level]);
    size_t text_at = line.len;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&line, fmt, args);
    va_end(args);
    /* A record stays one line, whatever a name or a message holds. */
    for (size_t i = text_at; i < line.len; i++)
        if (line.ptr[i] == '\n' || line.ptr[i] == '\r') line.ptr[i] = ' ';
    lc_buf_put_u8(&line, '\n');
    ssize_t ignored = write(STDERR_FILENO, line.ptr, line.len);
    (void)ignored;
    lc_buf_deinit(&line);
}
