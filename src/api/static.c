/*
 * Files for browsers: the client library, which is part of the program, and mounted folders.
 */
#include "api/routes.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern const uint8_t lc_web_client[]; /* sdk/web/lightcone.js, embedded by the build */
extern const size_t lc_web_client_size;

enum { MAX_FILE = 16 << 20 };

static const char *type_of(const char *path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".json", "application/json"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".wasm", "application/wasm"},
        {".txt", "text/plain; charset=utf-8"},
    };
    size_t n = strlen(path);
    for (size_t i = 0; i < LC_ARRAY_LEN(types); i++) {
        size_t k = strlen(types[i].ending);
        if (n >= k && strcmp(path + n - k, types[i].ending) == 0) return types[i].type;
    }
    return "application/octet-stream";
}

static void not_found(lc_http_request *r)
{
    lc_http_respond(r, 404, NULL, LC_SPAN_EMPTY);
}

/* The real path of the file, inside the folder; NULL when there is none. Heap. */
static char *locate(const lc_mount *m, lc_span name)
{
    char *wanted = lc_format("%s/" LC_SPAN_FMT "%s", m->folder, LC_SPAN_ARG(name),
                             name.len == 0 || name.ptr[name.len - 1] == '/' ? "index.html" : "");
    char folder[PATH_MAX], file[PATH_MAX];
    bool is_inside = realpath(m->folder, folder) && realpath(wanted, file) &&
                     strncmp(file, folder, strlen(folder)) == 0 && file[strlen(folder)] == '/';
    lc_free(wanted);
    return is_inside ? lc_strdup(file) : NULL;
}

typedef struct file_answer {
    lc_task task;
    lc_http_request *request;
    const lc_mount *mount;
    lc_span name;
    lc_buf data;
    const char *type; /* NULL: not found */
} file_answer;

static void respond_file(lc_task *task)
{
    file_answer *f = LC_CONTAINER(task, file_answer, task);
    if (f->type) {
        lc_http_add_header(f->request, "cache-control", LC_STR("no-cache"));
        lc_http_respond(f->request, 200, f->type, lc_buf_span(&f->data));
    } else {
        not_found(f->request);
    }
    lc_buf_deinit(&f->data);
    lc_free(f);
}

static void read_file(void *arg)
{
    file_answer *f = arg;
    char *path = memchr(f->name.ptr ? f->name.ptr : (const uint8_t *)"", 0, f->name.len)
                     ? NULL
                     : locate(f->mount, f->name);
    struct stat st;
    if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MAX_FILE &&
        lc_disk_read_file(lc_disk_system(), path, &f->data, NULL) == LC_OK)
        f->type = type_of(path);
    lc_free(path);
    lc_loop_post(lc_http_loop(f->request), &f->task);
}

void lc_static_serve(lc_api *a, lc_http_request *r)
{
    lc_span method = lc_http_method(r);
    lc_span path = lc_url_decode(lc_http_path(r), false, lc_http_arena(r));
    if (!lc_span_equal_str(method, "GET") && !lc_span_equal_str(method, "HEAD")) {
        not_found(r);
        return;
    }
    if (lc_span_equal_str(path, "/sdk/lightcone.js")) {
        lc_http_add_header(r, "access-control-allow-origin", LC_STR("*"));
        lc_http_add_header(r, "cache-control", LC_STR("no-cache"));
        lc_http_respond(r, 200, "text/javascript; charset=utf-8",
                        LC_SPAN(lc_web_client, lc_web_client_size));
        return;
    }
    for (uint32_t i = 0; i < a->mount_count; i++) {
        const lc_mount *m = &a->mounts[i];
        size_t n = strlen(m->path);
        if (path.len + 1 == n && memcmp(path.ptr, m->path, path.len) == 0) {
            lc_http_add_header(r, "location", lc_span_of_str(m->path));
            lc_http_respond(r, 301, NULL, LC_SPAN_EMPTY);
            return;
        }
        if (path.len < n || memcmp(path.ptr, m->path, n) != 0) continue;
        file_answer *f = lc_alloc_zero(sizeof *f);
        f->task.run = respond_file;
        f->request = r;
        f->mount = m;
        f->name = LC_SPAN(path.ptr + n, path.len - n);
        lc_node_work(a->node, read_file, f);
        return;
    }
    not_found(r);
}
