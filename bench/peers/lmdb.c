/* LMDB with integer keys, writable map, nothing synced; saved by a compacting copy. */
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>

#include "peer.h"

static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *reader; /* of find: reset and renewed, as LMDB advises */

static void check(int rc)
{
    if (rc) peer_fail("lmdb", mdb_strerror(rc));
}

static MDB_txn *begin(unsigned flags)
{
    MDB_txn *t;
    check(mdb_txn_begin(env, NULL, flags, &t));
    return t;
}

static void open_env(const char *folder, unsigned flags)
{
    check(mdb_env_create(&env));
    check(mdb_env_set_mapsize(env, 8ull << 30));
    check(mdb_env_open(env, folder, flags, 0644));
    MDB_txn *t = begin(flags & MDB_RDONLY);
    check(mdb_dbi_open(t, NULL, MDB_INTEGERKEY, &dbi));
    check(mdb_txn_commit(t));
}

static void open_empty(const char *folder)
{
    open_env(folder, MDB_NOSYNC | MDB_WRITEMAP);
}

static void close_all(void)
{
    if (reader) mdb_txn_abort(reader);
    mdb_env_close(env);
}

static void put(MDB_txn *t, uint32_t key, int32_t number, unsigned flags)
{
    MDB_val k = {sizeof key, &key}, v = {sizeof number, &number};
    check(mdb_put(t, dbi, &k, &v, flags));
}

static void insert(uint32_t first_key, uint32_t count, int32_t number)
{
    MDB_txn *t = begin(0);
    for (uint32_t i = 0; i < count; i++) put(t, first_key + i, number, MDB_APPEND);
    check(mdb_txn_commit(t));
}

static void update(const uint32_t *keys, uint32_t count, int32_t number)
{
    MDB_txn *t = begin(0);
    for (uint32_t i = 0; i < count; i++) put(t, keys[i], number, 0);
    check(mdb_txn_commit(t));
}

static void remove_rows(const uint32_t *keys, uint32_t count)
{
    MDB_txn *t = begin(0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = keys[i];
        MDB_val k = {sizeof key, &key};
        check(mdb_del(t, dbi, &k, NULL));
    }
    check(mdb_txn_commit(t));
}

static int32_t find(uint32_t key)
{
    if (reader)
        check(mdb_txn_renew(reader));
    else
        reader = begin(MDB_RDONLY);
    MDB_val k = {sizeof key, &key}, v;
    check(mdb_get(reader, dbi, &k, &v));
    int32_t number = *(int32_t *)v.mv_data;
    mdb_txn_reset(reader);
    return number;
}

static int64_t sum(void)
{
    MDB_txn *t = begin(MDB_RDONLY);
    MDB_cursor *c;
    MDB_val k, v;
    int64_t all = 0;
    check(mdb_cursor_open(t, dbi, &c));
    while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) all += *(int32_t *)v.mv_data;
    mdb_cursor_close(c);
    mdb_txn_abort(t);
    return all;
}

static const char *saved_folder(const char *folder)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/saved", folder);
    return path;
}

static void save(const char *folder)
{
    mkdir(saved_folder(folder), 0755);
    check(mdb_env_copy2(env, saved_folder(folder), MDB_CP_COMPACT));
}

/* Mapping a file reads nothing: going through it does. */
static void load(const char *folder)
{
    open_env(saved_folder(folder), MDB_RDONLY);
    sum();
}

const peer peer_lmdb = {.name = "LMDB",
                        .open = open_empty,
                        .close = close_all,
                        .insert = insert,
                        .update = update,
                        .remove = remove_rows,
                        .find = find,
                        .sum = sum,
                        .save = save,
                        .load = load};
