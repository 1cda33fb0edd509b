/*
 * The module's log (04 section 5.5): NDJSON lines in one file a day. Lines are appended to a buffer
 * under a lock; a thread of the log's own, alive only while there is something to write, puts them
 * into the file, so that a slow disk never holds up an executor.
 */
#include "database/database_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { IDLE_SECONDS = 2, SECONDS_PER_DAY = 86400 };

struct lc_log_reader {
    lc_log_reader *next;
    void (*each)(void *arg, lc_span line);
    void *arg;
};

struct lc_module_log {
    char *folder;
    const lc_disk *disk;
    const lc_clock *clock;
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t wake;
    pthread_cond_t changed; /* the writer wrote or ended */
    lc_buf waiting;         /* lines not yet in the file */
    bool writer_runs;
    bool must_stop;
    bool is_failed; /* reported once */
    lc_log_reader *readers;

    pthread_mutex_t file_lock; /* guards the file; taken before `lock`, never inside it */
    lc_file *file;
    int64_t file_day; /* days since 1970 */
    uint64_t file_size;
};

/* -------------------------------------------------------------------- format */

static const char *level_name(lc_module_log_level level)
{
    switch (level) {
    case LC_MODULE_LOG_ERROR:
        return "Error";
    case LC_MODULE_LOG_WARN:
        return "Warn";
    case LC_MODULE_LOG_INFO:
        return "Info";
    case LC_MODULE_LOG_DEBUG:
        return "Debug";
    case LC_MODULE_LOG_TRACE:
        return "Trace";
    case LC_MODULE_LOG_PANIC:
        return "Panic";
    }
    return "Debug";
}

static void put_text(lc_buf *out, const char *key, lc_span value)
{
    if (!value.ptr) return;
    lc_buf_printf(out, ",\"%s\":", key);
    lc_json_write_string(value, out);
}

void lc_module_log_format(const lc_module_log_record *r, int64_t now_micros, lc_buf *out)
{
    lc_buf_printf(out, "{\"level\":\"%s\",\"ts\":%lld", level_name(r->level),
                  (long long)now_micros);
    put_text(out, "target", r->target);
    put_text(out, "filename", r->filename);
    if (r->has_line) lc_buf_printf(out, ",\"line_number\":%u", r->line);
    put_text(out, "function", r->function);
    put_text(out, "message",
             LC_SPAN(r->message.ptr ? r->message.ptr : (const uint8_t *)"", r->message.len));
    if (r->trace.ptr) {
        lc_buf_put_str(out, ",\"trace\":");
        lc_buf_put_span(out, r->trace);
    }
    lc_buf_put_str(out, "}\n");
}

/* ---------------------------------------------------------------------- file */

static char *day_path(const lc_module_log *l, int64_t day)
{
    time_t t = (time_t)(day * SECONDS_PER_DAY);
    struct tm tm;
    gmtime_r(&t, &tm);
    return lc_format("%s/%04d-%02d-%02d.log", l->folder, tm.tm_year + 1900, tm.tm_mon + 1,
                     tm.tm_mday);
}

/* With file_lock held. */
static bool open_day(lc_module_log *l, int64_t day)
{
    if (l->file && l->file_day == day) return true;
    if (l->file) l->disk->close(l->disk->self, l->file);
    l->file = NULL;
    char *path = day_path(l, day);
    int rc = l->disk->mkdirs(l->disk->self, l->folder);
    if (rc >= 0) rc = l->disk->open(l->disk->self, path, O_RDWR | O_CREAT, &l->file);
    if (rc < 0) lc_log(LC_LOG_ERROR, "cannot open the module log %s: %s", path, strerror(-rc));
    lc_free(path);
    if (rc < 0) {
        l->file = NULL;
        return false;
    }
    int64_t size = l->disk->size(l->disk->self, l->file);
    l->file_size = size < 0 ? 0 : (uint64_t)size;
    l->file_day = day;
    return true;
}

/* With file_lock held. Moves what waits into the file; the day is that of the write. */
static void write_waiting(lc_module_log *l)
{
    pthread_mutex_lock(&l->lock);
    lc_buf lines = l->waiting;
    l->waiting = LC_BUF_INIT;
    pthread_mutex_unlock(&l->lock);
    if (lines.len == 0) return;
    int64_t day = lc_clock_now(l->clock) / (SECONDS_PER_DAY * 1000000ll);
    bool ok = open_day(l, day);
    size_t done = 0;
    while (ok && done < lines.len) {
        ssize_t n = l->disk->pwrite(l->disk->self, l->file, lines.ptr + done, lines.len - done,
                                    l->file_size);
        if (n <= 0) {
            if (!l->is_failed)
                lc_log(LC_LOG_ERROR, "cannot write the module log: %s", strerror((int)-n));
            ok = false;
            break;
        }
        done += (size_t)n;
        l->file_size += (uint64_t)n;
    }
    l->is_failed = !ok;
    lc_buf_deinit(&lines);
}

static void *writer_main(void *arg)
{
    lc_module_log *l = arg;
    pthread_setname_np(pthread_self(), "lc-module-log");
    for (;;) {
        pthread_mutex_lock(&l->file_lock);
        write_waiting(l);
        pthread_mutex_unlock(&l->file_lock);

        pthread_mutex_lock(&l->lock);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += IDLE_SECONDS;
        int rc = 0;
        while (l->waiting.len == 0 && !l->must_stop && rc != ETIMEDOUT)
            rc = pthread_cond_timedwait(&l->wake, &l->lock, &until);
        bool is_done = l->waiting.len == 0;
        if (is_done) {
            l->writer_runs = false;
            pthread_cond_broadcast(&l->changed);
        }
        pthread_mutex_unlock(&l->lock);
        if (is_done) return NULL;
    }
}

/* -------------------------------------------------------------------- public */

lc_module_log *lc_module_log_create(const char *folder, const lc_disk *disk, const lc_clock *clock)
{
    lc_module_log *l = lc_alloc_zero(sizeof *l);
    l->folder = lc_strdup(folder);
    l->disk = disk;
    l->clock = clock;
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->file_lock, NULL);
    pthread_cond_init(&l->wake, NULL);
    pthread_cond_init(&l->changed, NULL);
    return l;
}

void lc_module_log_destroy(lc_module_log *l)
{
    pthread_mutex_lock(&l->lock);
    l->must_stop = true;
    pthread_cond_signal(&l->wake);
    while (l->writer_runs) pthread_cond_wait(&l->changed, &l->lock);
    for (lc_log_reader *r = l->readers, *next; r; r = next) {
        next = r->next;
        r->each(r->arg, LC_SPAN_EMPTY);
        lc_free(r);
    }
    pthread_mutex_unlock(&l->lock);
    pthread_mutex_lock(&l->file_lock);
    write_waiting(l);
    pthread_mutex_unlock(&l->file_lock);
    if (l->file) l->disk->close(l->disk->self, l->file);
    lc_buf_deinit(&l->waiting);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->file_lock);
    pthread_cond_destroy(&l->wake);
    pthread_cond_destroy(&l->changed);
    lc_free(l->folder);
    lc_free(l);
}

void lc_module_log_append(lc_module_log *l, lc_span lines)
{
    if (lines.len == 0) return;
    pthread_mutex_lock(&l->lock);
    lc_buf_put_span(&l->waiting, lines);
    for (lc_log_reader *r = l->readers; r; r = r->next) r->each(r->arg, lines);
    if (l->writer_runs) {
        pthread_cond_signal(&l->wake);
    } else {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_t thread;
        l->writer_runs = pthread_create(&thread, &attr, writer_main, l) == 0;
        pthread_attr_destroy(&attr);
    }
    pthread_mutex_unlock(&l->lock);
}

/* Where the last `lines` lines of data begin. */
static size_t tail_start(lc_span data, int64_t lines)
{
    if (lines < 0) return 0;
    if (lines == 0) lines = 1; /* as the reference does */
    size_t at = data.len;
    while (at > 0) {
        bool ends_line = data.ptr[at - 1] == '\n' && at != data.len;
        if (ends_line && --lines == 0) break;
        at--;
    }
    return at;
}

lc_status lc_module_log_read(lc_module_log *l, int64_t lines, lc_buf *out, lc_error *err)
{
    lc_buf data = LC_BUF_INIT;
    pthread_mutex_lock(&l->file_lock);
    write_waiting(l);
    int64_t today = lc_clock_now(l->clock) / (SECONDS_PER_DAY * 1000000ll);
    lc_status rc = LC_OK;
    if (l->file || open_day(l, today)) {
        uint8_t *at = lc_buf_extend(&data, l->file_size);
        ssize_t n = l->disk->pread(l->disk->self, l->file, at, l->file_size, 0);
        if (n < 0)
            rc = lc_error_set(err, LC_E_IO, "cannot read the module log: %s", strerror((int)-n));
        data.len = n < 0 ? 0 : (size_t)n;
    }
    pthread_mutex_unlock(&l->file_lock);
    size_t start = tail_start(lc_buf_span(&data), lines);
    lc_buf_put(out, data.ptr + start, data.len - start);
    lc_buf_deinit(&data);
    return rc;
}

lc_log_reader *lc_module_log_follow(lc_module_log *l, void (*each)(void *arg, lc_span line),
                                    void *arg)
{
    lc_log_reader *r = lc_alloc_zero(sizeof *r);
    r->each = each;
    r->arg = arg;
    pthread_mutex_lock(&l->lock);
    r->next = l->readers;
    l->readers = r;
    pthread_mutex_unlock(&l->lock);
    return r;
}

void lc_module_log_unfollow(lc_module_log *l, lc_log_reader *r)
{
    pthread_mutex_lock(&l->lock);
    for (lc_log_reader **at = &l->readers; *at; at = &(*at)->next) {
        if (*at != r) continue;
        *at = r->next;
        lc_free(r);
        break;
    }
    pthread_mutex_unlock(&l->lock);
}

/* ------------------------------------------------------- the database's door */

lc_status lc_database_read_log(lc_database *db, int64_t lines, lc_buf *out, lc_error *err)
{
    return lc_module_log_read(db->log, lines, out, err);
}

lc_log_reader *lc_database_follow_log(lc_database *db, void (*each)(void *arg, lc_span line),
                                      void *arg)
{
    return lc_module_log_follow(db->log, each, arg);
}

void lc_database_unfollow_log(lc_database *db, lc_log_reader *r)
{
    lc_module_log_unfollow(db->log, r);
}

void lc_database_log_text(lc_database *db, lc_module_log_level level, lc_span function,
                          lc_span message)
{
    lc_buf line = LC_BUF_INIT;
    lc_module_log_record r = {
        .level = level,
        .target = LC_STR("__spacetimedb__"),
        .filename = LC_STR("__spacetimedb__"),
        .function = function,
        .message = message,
    };
    lc_module_log_format(&r, lc_clock_now(db->clock), &line);
    lc_module_log_append(db->log, lc_buf_span(&line));
    lc_buf_deinit(&line);
}

void lc_database_log(lc_database *db, lc_module_log_level level, lc_span function, const char *fmt,
                     ...)
{
    lc_buf message = LC_BUF_INIT;
    va_list args;
    va_start(args, fmt);
    lc_buf_vprintf(&message, fmt, args);
    va_end(args);
    lc_database_log_text(db, level, function, lc_buf_span(&message));
    lc_buf_deinit(&message);
}
