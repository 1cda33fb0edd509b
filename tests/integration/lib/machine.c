/* Loaded before the C library into a server under test: a disk whose syncs can be held up, and a
 * wall clock that can be put forward and back. $MACHINE_FOLDER/hold: while it is there, syncs of
 * files wait. $MACHINE_FOLDER/clock: seconds to add to the wall clock. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *path_of(const char *name, char path[PATH_MAX])
{
    const char *folder = getenv("MACHINE_FOLDER");
    if (!folder) return NULL;
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

int fdatasync(int fd)
{
    char path[PATH_MAX];
    if (path_of("hold", path))
        while (access(path, F_OK) == 0) usleep(1000);
    return (int)syscall(SYS_fdatasync, fd);
}

static long seconds_off(void)
{
    char path[PATH_MAX], text[32] = "";
    if (!path_of("clock", path)) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    /* The system call itself: the C library's own function may not be bound yet. */
    int rc = (int)syscall(SYS_clock_gettime, clock, out);
    if (rc == 0 && clock == CLOCK_REALTIME) out->tv_sec += seconds_off();
    return rc;
}
