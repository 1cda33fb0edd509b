/* The file system behind the disk seam, and whole-file helpers that work on any disk. */
#include "base_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct lc_file {
    int fd;
};

static int posix_open(void *self, const char *path, int flags, lc_file **out)
{
    (void)self;
    int fd;
    do fd = open(path, flags | O_CLOEXEC, 0644);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return -errno;
    *out = lc_alloc(sizeof **out);
    (*out)->fd = fd;
    return 0;
}

static void posix_close(void *self, lc_file *f)
{
    (void)self;
    close(f->fd);
    lc_free(f);
}

/* Reads n bytes, fewer only at the end of the file. */
static ssize_t posix_pread(void *self, lc_file *f, void *buf, size_t n, uint64_t at)
{
    (void)self;
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(f->fd, (char *)buf + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Writes all n bytes or fails; after a failure the file holds an unknown part of them. */
static ssize_t posix_pwrite(void *self, lc_file *f, const void *buf, size_t n, uint64_t at)
{
    (void)self;
    size_t done = 0;
    while (done < n) {
        ssize_t put = pwrite(f->fd, (const char *)buf + done, n - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -errno;
        done += (size_t)put;
    }
    return (ssize_t)done;
}

static int posix_sync_data(void *self, lc_file *f)
{
    (void)self;
    /* Not repeated on EINTR or anything else: after a failed sync nothing is known (DESIGN 5). */
    return fdatasync(f->fd) < 0 ? -errno : 0;
}

static int posix_truncate(void *self, lc_file *f, uint64_t size)
{
    (void)self;
    int rc;
    do rc = ftruncate(f->fd, (off_t)size);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static int64_t posix_size(void *self, lc_file *f)
{
    (void)self;
    struct stat st;
    return fstat(f->fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int posix_lock(void *self, lc_file *f)
{
    (void)self;
    return flock(f->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int posix_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) < 0 ? -errno : 0;
}

static int posix_unlink(void *self, const char *path)
{
    (void)self;
    return unlink(path) < 0 ? -errno : 0;
}

static int posix_sync_dir(void *self, const char *path)
{
    (void)self;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int rc = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

/* The folder that path is an entry of. */
static int sync_parent(const char *path)
{
    char parent[PATH_MAX];
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] != '/') len--;
    while (len > 1 && path[len - 1] == '/') len--;
    if (len == 0) return posix_sync_dir(NULL, ".");
    memcpy(parent, path, len);
    parent[len] = 0;
    return posix_sync_dir(NULL, parent);
}

/* Makes one folder if it is not there. */
static int make_folder(const char *path)
{
    /* What is put into it later is synced together with it alone, not with its parents. */
    if (mkdir(path, 0755) == 0) return sync_parent(path);
    if (errno == EEXIST) return 0;
    /* A parent on a read-only file system may exist all the same. */
    int failed = errno;
    struct stat st;
    return stat(path, &st) < 0 || !S_ISDIR(st.st_mode) ? -failed : 0;
}

static int posix_mkdirs(void *self, const char *path)
{
    (void)self;
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0) return -ENOENT;
    if (len >= sizeof part) return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != 0) continue;
        char cut = part[i];
        part[i] = 0;
        int rc = make_folder(part);
        if (rc < 0) return rc;
        part[i] = cut;
    }
    struct stat st;
    if (stat(path, &st) < 0) return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int posix_list(void *self, const char *path, void (*each)(void *arg, const char *name),
                      void *arg)
{
    (void)self;
    DIR *dir = opendir(path);
    if (!dir) return -errno;
    struct dirent *entry;
    for (errno = 0; (entry = readdir(dir)); errno = 0)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) each(arg, entry->d_name);
    int rc = -errno;
    closedir(dir);
    return rc;
}

const lc_disk *lc_disk_system(void)
{
    static const lc_disk disk = {
        .open = posix_open,
        .close = posix_close,
        .pread = posix_pread,
        .pwrite = posix_pwrite,
        .sync_data = posix_sync_data,
        .truncate = posix_truncate,
        .size = posix_size,
        .lock = posix_lock,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .mkdirs = posix_mkdirs,
        .sync_dir = posix_sync_dir,
        .list = posix_list,
    };
    return &disk;
}

/* -------------------------------------------------------- whole-file helpers */

static lc_status io_error(lc_error *err, const char *verb, const char *path, int64_t negative_errno)
{
    return lc_error_set(err, LC_E_IO, "cannot %s %s: %s", verb, path,
                        strerror((int)-negative_errno));
}

lc_status lc_disk_read_file(const lc_disk *d, const char *path, lc_buf *out, lc_error *err)
{
    lc_file *f;
    int rc = d->open(d->self, path, O_RDONLY, &f);
    if (rc == -ENOENT) return lc_error_set(err, LC_E_NOT_FOUND, "no such file: %s", path);
    if (rc < 0) return io_error(err, "open", path, rc);

    lc_status status = LC_OK;
    int64_t size = d->size(d->self, f);
    if (size < 0) {
        status = io_error(err, "read", path, size);
    } else {
        /* Read on past the size until nothing comes: files under /proc say 0. */
        size_t start = out->len, step = (size_t)size + 1;
        ssize_t got;
        while ((got = d->pread(d->self, f, lc_buf_reserve(out, step), step, out->len - start)) >
               0) {
            out->len += (size_t)got;
            step = 4096;
        }
        if (got < 0) {
            out->len = start;
            status = io_error(err, "read", path, got);
        }
    }
    d->close(d->self, f);
    return status;
}

lc_status lc_disk_write_file(const lc_disk *d, const char *path, lc_span data, lc_error *err)
{
    lc_status status = LC_OK;
    char *aside = lc_format("%s.tmp", path);
    const char *slash = strrchr(path, '/');
    char *folder = !slash          ? lc_strdup(".")
                   : slash == path ? lc_strdup("/")
                                   : lc_span_to_cstr(LC_SPAN(path, (size_t)(slash - path)));
    lc_file *f;
    int64_t rc = d->open(d->self, aside, O_WRONLY | O_CREAT | O_TRUNC, &f);
    if (rc < 0) {
        status = io_error(err, "create", aside, rc);
        goto done;
    }
    const char *verb = "write";
    rc = data.len ? d->pwrite(d->self, f, data.ptr, data.len, 0) : 0;
    if (rc >= 0) {
        verb = "sync";
        rc = d->sync_data(d->self, f);
    }
    d->close(d->self, f);
    if (rc < 0) {
        status = io_error(err, verb, aside, rc);
    } else if ((rc = d->rename(d->self, aside, path)) < 0) {
        status = io_error(err, "replace", path, rc);
    } else if ((rc = d->sync_dir(d->self, folder)) < 0) {
        status = io_error(err, "sync", folder, rc);
        goto done; /* the new file is in place, though perhaps not yet for good */
    }
    if (status) d->unlink(d->self, aside);
done:
    lc_free(folder);
    lc_free(aside);
    return status;
}

bool lc_disk_exists(const lc_disk *d, const char *path)
{
    lc_file *f;
    int rc = d->open(d->self, path, O_RDONLY, &f);
    if (rc == 0) d->close(d->self, f);
    /* What may not be opened is there all the same. */
    return rc != -ENOENT && rc != -ENOTDIR;
}
