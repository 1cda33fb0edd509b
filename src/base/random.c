/* The kernel's random source behind the random seam. */
#include "base_internal.h"

#include <errno.h>
#include <sys/random.h>

static void system_fill(void *self, void *out, size_t n)
{
    (void)self;
    uint8_t *at = out;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            /* No randomness means no safe key; there is nothing to fall back to. */
            LC_BUG("getrandom: %s", strerror(errno));
        }
        at += got;
        n -= (size_t)got;
    }
}

const lc_random *lc_random_system(void)
{
    static const lc_random random = {system_fill, NULL};
    return &random;
}
