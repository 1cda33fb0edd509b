/* What lies in the data folder beside the catalog: programs, replicas, the lock. */
#include "server_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

char *lc_node_replica_folder(const lc_node *n, uint64_t replica)
{
    return lc_format("%s/replicas/%llu", n->folder, (unsigned long long)replica);
}

/* --------------------------------------------------------------------- removal */

/* Takes the descriptor. 0 or errno. */
static int remove_entries(int fd)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int failed = errno;
        close(fd);
        return failed;
    }
    int failed = 0;
    struct dirent *e;
    while (!failed && (errno = 0, e = readdir(dir))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (unlinkat(dirfd(dir), e->d_name, 0) == 0 || errno == ENOENT) continue;
        if (errno != EISDIR && errno != EPERM) {
            failed = errno;
            break;
        }
        int below = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        failed = below < 0 ? errno : remove_entries(below);
        if (!failed && unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR) < 0) failed = errno;
    }
    if (!failed && errno) failed = errno;
    closedir(dir);
    return failed;
}

lc_status lc_folder_remove(const char *path, lc_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return LC_OK;
    int failed = fd < 0 ? errno : remove_entries(fd);
    if (!failed && rmdir(path) < 0) failed = errno;
    return failed ? lc_error_set(err, LC_E_IO, "cannot remove %s: %s", path, strerror(failed))
                  : LC_OK;
}

typedef struct largest {
    uint64_t number;
    uint32_t count;
} largest;

static void look_at(void *arg, const char *name)
{
    largest *l = arg;
    char *end;
    errno = 0;
    uint64_t number = strtoull(name, &end, 10);
    if (name[0] < '0' || name[0] > '9' || *end || errno || number == UINT64_MAX) return;
    l->count++;
    if (number > l->number) l->number = number;
}

uint64_t lc_folder_largest_number(const char *path, uint32_t *count)
{
    largest l = {0};
    lc_disk_system()->list(lc_disk_system()->self, path, look_at, &l);
    *count = l.count;
    return l.number;
}

/* -------------------------------------------------------------------- programs */

/* Folder and file of a program; heap, the file's name begins at *name. */
static char *program_path(const lc_node *n, const uint8_t hash[32], size_t *folder_len)
{
    char hex[65] = {0};
    lc_hex_encode(hash, 32, hex);
    char *path = lc_format("%s/program-bytes/%.2s/%s", n->folder, hex, hex + 2);
    *folder_len = strlen(path) - 63;
    return path;
}

static lc_status write_program(const lc_node *n, const char *path, size_t folder_len,
                               lc_span program, lc_error *err)
{
    const lc_disk *disk = lc_disk_system();
    char *folder = lc_format("%.*s", (int)folder_len, path);
    char *above = lc_format("%s/program-bytes", n->folder);
    int made = disk->mkdirs(disk->self, folder);
    if (made >= 0) made = disk->sync_dir(disk->self, above);
    lc_status rc = made < 0
                       ? lc_error_set(err, LC_E_IO, "cannot create %s: %s", folder, strerror(-made))
                       : lc_disk_write_file(disk, path, program, err);
    lc_free(folder);
    lc_free(above);
    return rc;
}

lc_status lc_node_store_program(lc_node *n, lc_span program, const uint8_t hash[32], lc_error *err)
{
    size_t folder_len;
    char *path = program_path(n, hash, &folder_len);
    lc_status rc = LC_OK;
    pthread_mutex_lock(&n->programs);
    if (!lc_disk_exists(lc_disk_system(), path))
        rc = write_program(n, path, folder_len, program, err);
    pthread_mutex_unlock(&n->programs);
    lc_free(path);
    return rc;
}

lc_status lc_node_load_program(lc_node *n, const uint8_t hash[32], lc_buf *out, lc_error *err)
{
    size_t folder_len;
    char *path = program_path(n, hash, &folder_len);
    lc_status rc = lc_disk_read_file(lc_disk_system(), path, out, err);
    if (rc == LC_OK) {
        uint8_t found[32];
        lc_keccak256(out->ptr, out->len, found);
        if (memcmp(found, hash, sizeof found) != 0)
            rc = lc_error_set(err, LC_E_CORRUPT, "%s: the bytes are not those of its name", path);
    }
    lc_free(path);
    return rc;
}

/* ------------------------------------------------------------------------ lock */

/* The lock is advisory and on the file, whose text only tells people the owner: one that a killed
 * server left behind is in nobody's way. */
static lc_status is_taken(int fd, const char *path, lc_error *err)
{
    char text[32];
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    text[len > 0 ? len : 0] = 0;
    unsigned long pid = strtoul(text, NULL, 10);
    return lc_error_set(err, LC_E_CONFLICT,
                        "another server (process %lu) is running on this data folder: %s is locked",
                        pid, path);
}

lc_status lc_pid_file_take(const char *path, int *out, lc_error *err)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) return lc_error_set(err, LC_E_IO, "cannot open %s: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int failed = errno;
            lc_status rc = failed == EWOULDBLOCK ? is_taken(fd, path, err)
                                                 : lc_error_set(err, LC_E_IO, "cannot lock %s: %s",
                                                                path, strerror(failed));
            close(fd);
            return rc;
        }
        /* Its owner may have removed it between our open and our lock. */
        struct stat ours, there;
        if (fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
            ours.st_dev == there.st_dev) {
            char text[32];
            int len = snprintf(text, sizeof text, "%ld", (long)getpid());
            if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
                lc_log(LC_LOG_WARN, "cannot write %s: %s", path, strerror(errno)); /* a full disk */
            *out = fd;
            return LC_OK;
        }
        close(fd);
    }
}

void lc_pid_file_give_back(const char *path, int fd)
{
    if (fd < 0) return;
    unlink(path);
    close(fd);
}
