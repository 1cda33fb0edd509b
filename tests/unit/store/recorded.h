/* Commit logs of the reference server, from tests/recorded/commitlog. */
#ifndef LC_STORE_RECORDED_H
#define LC_STORE_RECORDED_H

#include "fixture.h"

#define RECORDED "tests/recorded/commitlog/"

lc_buf read_file(const char *path);
/* The mutations of every transaction. */
spans read_log(const char *name);
/* A store into which the first so many commits of the log were replayed. */
lc_store *replay_log(const char *name, uint32_t commits);

#endif
