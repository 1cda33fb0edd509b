/* A disk in memory. Every file has what was written and what was synced; a power failure mixes. */
#include "memory_disk.h"

#include <errno.h>
#include <fcntl.h>

enum { SECTOR = 512 }; /* the smallest unit a disk keeps or loses */

struct memory_node {
    char *path;         /* NULL: unlinked */
    char *durable_path; /* NULL: no folder sync has seen it */
    lc_buf now;
    lc_buf synced;
    uint64_t filled; /* bytes that take room: what is behind them is a hole */
};

struct lc_file {
    memory_node *node;
};

static memory_node *find(memory_disk *d, const char *path)
{
    LC_VEC_EACH (n, &d->nodes)
        if ((*n)->path && !strcmp((*n)->path, path)) return *n;
    return NULL;
}

/* 0, or the error this change is to end with. */
static int change(memory_disk *d, unsigned kind)
{
    if (d->fail_kinds && !(d->fail_kinds & kind)) return 0;
    d->ops++;
    if (!d->fail_at || d->ops < d->fail_at || (d->fail_once && d->ops > d->fail_at)) return 0;
    return d->fail_errno ? -d->fail_errno : -EIO;
}

static memory_node *add(memory_disk *d, const char *path)
{
    memory_node *n = lc_alloc_zero(sizeof *n);
    n->path = lc_strdup(path);
    lc_vec_push(&d->nodes, n);
    return n;
}

static int disk_open(void *self, const char *path, int flags, lc_file **out)
{
    memory_disk *d = self;
    memory_node *n = find(d, path);
    if (!n && !(flags & O_CREAT)) return -ENOENT;
    if (!n || flags & O_TRUNC) {
        int rc = change(d, LC_OP_OTHER);
        if (rc) return rc;
        if (!n) n = add(d, path);
        n->now.len = n->filled = 0;
    }
    *out = lc_alloc(sizeof **out);
    (*out)->node = n;
    return 0;
}

static void disk_close(void *self, lc_file *f)
{
    (void)self;
    lc_free(f);
}

static ssize_t disk_pread(void *self, lc_file *f, void *buf, size_t n, uint64_t at)
{
    (void)self;
    if (n == 0 || at >= f->node->now.len) return 0;
    if (n > f->node->now.len - at) n = f->node->now.len - at;
    memcpy(buf, f->node->now.ptr + at, n);
    return (ssize_t)n;
}

static void resize(lc_buf *b, uint64_t size)
{
    if (size > b->len) memset(lc_buf_reserve(b, size - b->len), 0, size - b->len);
    b->len = size;
}

static uint64_t used(memory_disk *d)
{
    uint64_t sum = 0;
    LC_VEC_EACH (n, &d->nodes)
        if ((*n)->path && strstr((*n)->path, ".log")) sum += (*n)->filled;
    return sum;
}

static ssize_t disk_pwrite(void *self, lc_file *f, const void *buf, size_t n, uint64_t at)
{
    memory_disk *d = self;
    if (strstr(f->node->path, ".log")) d->writes++;
    if (n > d->largest_write) d->largest_write = n;
    lc_buf *b = &f->node->now;
    uint64_t end = at + n;
    int rc = change(d, LC_OP_WRITE);
    uint64_t *filled = &f->node->filled;
    if (rc == 0 && d->capacity && end > *filled && used(d) + (end - *filled) > d->capacity)
        rc = -ENOSPC;
    if (rc) n /= 2; /* a part gets through */
    if (at + n > *filled) *filled = at + n;
    if (at + n > b->len) resize(b, at + n);
    if (n) memcpy(b->ptr + at, buf, n);
    return rc ? rc : (ssize_t)n;
}

static int disk_sync_data(void *self, lc_file *f)
{
    memory_disk *d = self;
    d->syncs++;
    int rc = change(d, LC_OP_SYNC);
    if (rc) return rc;
    lc_buf_reset(&f->node->synced);
    lc_buf_put_span(&f->node->synced, lc_buf_span(&f->node->now));
    return 0;
}

static int disk_truncate(void *self, lc_file *f, uint64_t size)
{
    int rc = change(self, LC_OP_OTHER);
    if (rc) return rc;
    resize(&f->node->now, size);
    if (f->node->filled > size) f->node->filled = size;
    return 0;
}

static int64_t disk_size(void *self, lc_file *f)
{
    (void)self;
    return (int64_t)f->node->now.len;
}

static int disk_lock(void *self, lc_file *f)
{
    (void)self;
    (void)f;
    return 0;
}

static int disk_unlink(void *self, const char *path)
{
    int rc = change(self, LC_OP_OTHER);
    if (rc) return rc;
    memory_node *n = find(self, path);
    if (!n) return -ENOENT;
    lc_free(n->path);
    n->path = NULL;
    return 0;
}

static int disk_rename(void *self, const char *from, const char *to)
{
    int rc = change(self, LC_OP_OTHER);
    if (rc) return rc;
    memory_node *n = find(self, from), *replaced = find(self, to);
    if (!n) return -ENOENT;
    if (replaced) {
        lc_free(replaced->path);
        replaced->path = NULL;
    }
    lc_free(n->path);
    n->path = lc_strdup(to);
    return 0;
}

static int disk_mkdirs(void *self, const char *path)
{
    (void)self;
    (void)path;
    return 0;
}

static int disk_sync_dir(void *self, const char *path)
{
    (void)path;
    memory_disk *d = self;
    int rc = change(d, LC_OP_SYNC);
    if (rc) return rc;
    LC_VEC_EACH (n, &d->nodes) {
        lc_free((*n)->durable_path);
        (*n)->durable_path = (*n)->path ? lc_strdup((*n)->path) : NULL;
    }
    return 0;
}

static int disk_list(void *self, const char *path, void (*each)(void *arg, const char *name),
                     void *arg)
{
    memory_disk *d = self;
    size_t len = strlen(path);
    LC_VEC_EACH (n, &d->nodes)
        if ((*n)->path && !strncmp((*n)->path, path, len) && (*n)->path[len] == '/')
            each(arg, (*n)->path + len + 1);
    return 0;
}

void memory_disk_init(memory_disk *d)
{
    *d = (memory_disk){
        .disk = {disk_open, disk_close, disk_pread, disk_pwrite, disk_sync_data, disk_truncate,
                 disk_size, disk_lock, disk_rename, disk_unlink, disk_mkdirs, disk_sync_dir,
                 disk_list, d},
    };
}

void memory_disk_deinit(memory_disk *d)
{
    LC_VEC_EACH (n, &d->nodes) {
        lc_free((*n)->path);
        lc_free((*n)->durable_path);
        lc_buf_deinit(&(*n)->now);
        lc_buf_deinit(&(*n)->synced);
        lc_free(*n);
    }
    lc_vec_deinit(&d->nodes);
}

lc_buf *memory_disk_file(memory_disk *d, const char *path)
{
    memory_node *n = find(d, path);
    return n ? &n->now : NULL;
}

void memory_disk_put(memory_disk *d, const char *path, const void *bytes, size_t n)
{
    memory_node *node = find(d, path);
    if (!node) node = add(d, path);
    lc_buf_reset(&node->now);
    lc_buf_put(&node->now, bytes, n);
    node->filled = n;
    lc_buf_reset(&node->synced);
    lc_buf_put(&node->synced, bytes, n);
    lc_free(node->durable_path);
    node->durable_path = lc_strdup(path);
}

void memory_disk_copy(memory_disk *to, memory_disk *from)
{
    memory_disk_init(to);
    LC_VEC_EACH (n, &from->nodes)
        if ((*n)->path) memory_disk_put(to, (*n)->path, (*n)->now.ptr, (*n)->now.len);
}

void memory_disk_clone(memory_disk *to, const memory_disk *from)
{
    memory_disk_init(to);
    LC_VEC_EACH (n, &from->nodes) {
        memory_node *copy = lc_alloc_zero(sizeof *copy);
        copy->path = (*n)->path ? lc_strdup((*n)->path) : NULL;
        copy->durable_path = (*n)->durable_path ? lc_strdup((*n)->durable_path) : NULL;
        lc_buf_put_span(&copy->now, lc_buf_span(&(*n)->now));
        copy->filled = (*n)->filled;
        lc_buf_put_span(&copy->synced, lc_buf_span(&(*n)->synced));
        lc_vec_push(&to->nodes, copy);
    }
}

static void mix(memory_node *n, bool (*keep)(void *arg, uint64_t sector), void *arg)
{
    lc_buf out = LC_BUF_INIT;
    lc_buf_put_span(&out, lc_buf_span(&n->synced));
    uint64_t longest = n->now.len > n->synced.len ? n->now.len : n->synced.len;
    for (uint64_t at = 0; at < longest; at += SECTOR) {
        uint64_t end = at + SECTOR;
        uint64_t now_end = end < n->now.len ? end : n->now.len;
        uint64_t old_end = end < n->synced.len ? end : n->synced.len;
        size_t now_part = now_end > at ? now_end - at : 0;
        size_t old_part = old_end > at ? old_end - at : 0;
        if (now_part == old_part &&
            (!now_part || !memcmp(n->now.ptr + at, n->synced.ptr + at, now_part)))
            continue;
        if (!keep(arg, at / SECTOR)) continue;
        if (now_part == 0) {
            if (out.len > at) out.len = at;
            continue;
        }
        if (out.len < now_end) resize(&out, now_end);
        memcpy(out.ptr + at, n->now.ptr + at, now_part);
        if (now_part < SECTOR && out.len > now_end) out.len = now_end;
    }
    lc_buf_deinit(&n->now);
    n->now = out;
    n->filled = out.len;
    lc_buf_reset(&n->synced);
    lc_buf_put_span(&n->synced, lc_buf_span(&out));
}

void memory_disk_power_off(memory_disk *d, bool (*keep)(void *arg, uint64_t sector), void *arg)
{
    bool keep_names = keep(arg, UINT64_MAX);
    LC_VEC_EACH (n, &d->nodes) {
        mix(*n, keep, arg);
        if (keep_names) {
            lc_free((*n)->durable_path);
            (*n)->durable_path = (*n)->path ? lc_strdup((*n)->path) : NULL;
        } else {
            lc_free((*n)->path);
            (*n)->path = (*n)->durable_path ? lc_strdup((*n)->durable_path) : NULL;
        }
    }
}
