/*
 * Compiled modules on disk. A file's name says everything that goes into the code (program, engine
 * version, configuration); its content is a checksummed wrapping of the engine's own form, because
 * the engine trusts what it is given. A file that is not whole is ignored and written anew; files
 * are written aside and renamed. Nothing is synced: a torn file fails its checksum.
 *
 * These are derived files of this machine, not the database's data, so they do not go through the
 * disk seam; they need permissions, which the seam does not have.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/wasm/wasm_internal.h"

#define CONFIG_TEXT "config 1; wasmtime " WASMTIME_VERSION
#define SUFFIX      ".code"
#define TEMPORARY   "writing-"
#define NAME_SIZE   (2 * 32 + sizeof SUFFIX)

static const char magic[8] = "LCCODE1\n";

typedef struct file_header {
    char magic[8];
    uint64_t size;
    uint8_t checksum[32];
} file_header;

void lc_code_cache_open(lc_code_cache *c, const char *path, uint64_t limit_bytes)
{
    *c = (lc_code_cache){.fd = -1, .limit_bytes = limit_bytes};
    if (!path) return;
    char *parents = lc_strdup(path);
    for (char *at = parents + 1; (at = strchr(at, '/')); at++) {
        *at = 0;
        mkdir(parents, 0755);
        *at = '/';
    }
    lc_free(parents);
    mkdir(path, 0700);

    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    const char *reason = NULL;
    if (fd < 0 || fstat(fd, &st) < 0) {
        reason = strerror(errno);
    } else if (st.st_uid != geteuid()) {
        reason = "the folder belongs to another user";
    } else if ((st.st_mode & 0777) != 0700 && fchmod(fd, 0700) < 0) {
        reason = strerror(errno);
    }
    if (reason) {
        lc_log(LC_LOG_WARN, "compiled modules are not cached in %s: %s", path, reason);
        if (fd >= 0) close(fd);
        return;
    }
    c->fd = fd;
    c->path = lc_strdup(path);
}

void lc_code_cache_close(lc_code_cache *c)
{
    if (c->fd >= 0) close(c->fd);
    lc_free(c->path);
    c->fd = -1;
}

static void file_name(const uint8_t program_hash[32], char name[NAME_SIZE])
{
    uint8_t input[32 + sizeof CONFIG_TEXT], key[32];
    memcpy(input, program_hash, 32);
    memcpy(input + 32, CONFIG_TEXT, sizeof CONFIG_TEXT);
    lc_blake3(input, sizeof input, key);
    lc_hex_encode(key, sizeof key, name);
    memcpy(name + 64, SUFFIX, sizeof SUFFIX);
}

static bool read_all(int fd, void *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (char *)to + at, n - at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *from, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t put = write(fd, (const char *)from + at, n - at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += (size_t)put;
    }
    return true;
}

/* The checked content of an open file in *out. */
static bool read_content(const lc_code_cache *c, int fd, lc_buf *out)
{
    file_header h;
    struct stat st;
    if (fstat(fd, &st) < 0 || !read_all(fd, &h, sizeof h)) return false;
    if (memcmp(h.magic, magic, sizeof magic) != 0 || (uint64_t)st.st_size != sizeof h + h.size ||
        (uint64_t)st.st_size > c->limit_bytes)
        return false;
    if (!read_all(fd, lc_buf_extend(out, h.size), h.size)) return false;
    uint8_t checksum[32];
    lc_blake3(out->ptr, out->len, checksum);
    return memcmp(checksum, h.checksum, sizeof checksum) == 0;
}

wasmtime_module_t *lc_code_cache_load(lc_engine *e, const uint8_t program_hash[32])
{
    if (e->cache.fd < 0) return NULL;
    char name[NAME_SIZE];
    file_name(program_hash, name);
    int fd = openat(e->cache.fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return NULL;
    wasmtime_module_t *module = NULL;
    lc_buf content = LC_BUF_INIT;
    if (read_content(&e->cache, fd, &content)) {
        wasmtime_error_t *error =
            wasmtime_module_deserialize(e->wasm, content.ptr, content.len, &module);
        if (error) {
            module = NULL;
            char *text = lc_wasm_error_text(error);
            lc_log(LC_LOG_INFO, "compiled module %s/%s is made anew: %s", e->cache.path, name,
                   text);
            lc_free(text);
        } else {
            futimens(fd, NULL); /* eviction takes the least recently used */
        }
    } else {
        lc_log(LC_LOG_WARN, "compiled module %s/%s is damaged and is made anew", e->cache.path,
               name);
    }
    lc_buf_deinit(&content);
    close(fd);
    return module;
}

/* Removes the files used longest ago until the folder is below its limit, and what crashed writers
 * left. */
static void evict(const lc_code_cache *c)
{
    int fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return;
    }
    for (;;) {
        uint64_t total = 0;
        time_t now = time(NULL);
        struct timespec oldest = {0};
        char oldest_name[NAME_SIZE] = "";
        rewinddir(dir);
        for (struct dirent *entry; (entry = readdir(dir));) {
            struct stat st;
            if (fstatat(c->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                continue;
            if (strncmp(entry->d_name, TEMPORARY, sizeof TEMPORARY - 1) == 0) {
                if (now - st.st_mtime > 3600) unlinkat(c->fd, entry->d_name, 0);
                continue;
            }
            size_t len = strlen(entry->d_name);
            if (len != NAME_SIZE - 1 || strcmp(entry->d_name + 64, SUFFIX) != 0) continue;
            total += (uint64_t)st.st_size;
            if (!oldest_name[0] || st.st_mtim.tv_sec < oldest.tv_sec ||
                (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec < oldest.tv_nsec)) {
                oldest = st.st_mtim;
                memcpy(oldest_name, entry->d_name, NAME_SIZE);
            }
        }
        if (total <= c->limit_bytes || !oldest_name[0]) break;
        if (unlinkat(c->fd, oldest_name, 0) < 0) break;
    }
    closedir(dir);
}

void lc_code_cache_store(lc_engine *e, const uint8_t program_hash[32],
                         const wasmtime_module_t *module)
{
    static _Atomic unsigned counter;
    if (e->cache.fd < 0) return;
    wasm_byte_vec_t content;
    wasmtime_error_t *error = wasmtime_module_serialize(module, &content);
    if (error) {
        wasmtime_error_delete(error);
        return;
    }
    char name[NAME_SIZE], temporary[64];
    file_name(program_hash, name);
    snprintf(temporary, sizeof temporary, TEMPORARY "%ld-%u", (long)getpid(),
             atomic_fetch_add(&counter, 1));
    file_header h = {.size = content.size};
    memcpy(h.magic, magic, sizeof magic);
    lc_blake3(content.data, content.size, h.checksum);

    int fd = openat(e->cache.fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write_all(fd, &h, sizeof h) && write_all(fd, content.data, content.size);
    if (fd >= 0) good = close(fd) == 0 && good;
    good = good && renameat(e->cache.fd, temporary, e->cache.fd, name) == 0;
    if (!good) {
        lc_log(LC_LOG_WARN, "compiled module %s/%s was not written: %s", e->cache.path, name,
               strerror(errno));
        if (fd >= 0) unlinkat(e->cache.fd, temporary, 0);
    }
    wasm_byte_vec_delete(&content);
    evict(&e->cache);
}
