/* SQLite in memory, prepared statements, no journal; saved and loaded by its backup functions. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "peer.h"

static sqlite3 *db;
static sqlite3_stmt *begin, *commit, *insert_row, *update_row, *delete_row, *find_row, *sum_rows;

static void check(int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        peer_fail("sqlite", sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *s;
    check(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL));
    return s;
}

static void run(sqlite3_stmt *s)
{
    check(sqlite3_step(s));
    check(sqlite3_reset(s));
}

static void prepare_all(void)
{
    begin = prepare("BEGIN");
    commit = prepare("COMMIT");
    insert_row = prepare("INSERT INTO t VALUES (?, ?)");
    update_row = prepare("UPDATE t SET n = ?2 WHERE id = ?1");
    delete_row = prepare("DELETE FROM t WHERE id = ?");
    find_row = prepare("SELECT n FROM t WHERE id = ?");
    sum_rows = prepare("SELECT sum(n) FROM t");
}

static void open_memory(void)
{
    check(sqlite3_open(":memory:", &db));
    check(sqlite3_exec(db, "PRAGMA journal_mode = OFF", NULL, NULL, NULL));
}

static void open_empty(const char *folder)
{
    (void)folder;
    open_memory();
    check(sqlite3_exec(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", NULL, NULL, NULL));
    prepare_all();
}

static void close_all(void)
{
    sqlite3_stmt *s;
    while ((s = sqlite3_next_stmt(db, NULL))) sqlite3_finalize(s);
    check(sqlite3_close(db));
}

static void insert(uint32_t first_key, uint32_t count, int32_t number)
{
    run(begin);
    sqlite3_bind_int(insert_row, 2, number);
    for (uint32_t i = 0; i < count; i++) {
        sqlite3_bind_int64(insert_row, 1, first_key + i);
        run(insert_row);
    }
    run(commit);
}

static void update(const uint32_t *keys, uint32_t count, int32_t number)
{
    run(begin);
    sqlite3_bind_int(update_row, 2, number);
    for (uint32_t i = 0; i < count; i++) {
        sqlite3_bind_int64(update_row, 1, keys[i]);
        run(update_row);
    }
    run(commit);
}

static void remove_rows(const uint32_t *keys, uint32_t count)
{
    run(begin);
    for (uint32_t i = 0; i < count; i++) {
        sqlite3_bind_int64(delete_row, 1, keys[i]);
        run(delete_row);
    }
    run(commit);
}

static int32_t find(uint32_t key)
{
    sqlite3_bind_int64(find_row, 1, key);
    if (sqlite3_step(find_row) != SQLITE_ROW) peer_fail("sqlite", "no row");
    int32_t n = sqlite3_column_int(find_row, 0);
    check(sqlite3_reset(find_row));
    return n;
}

static int64_t sum(void)
{
    check(sqlite3_step(sum_rows));
    int64_t n = sqlite3_column_int64(sum_rows, 0);
    check(sqlite3_reset(sum_rows));
    return n;
}

static void copy(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b) peer_fail("sqlite", sqlite3_errmsg(to));
    check(sqlite3_backup_step(b, -1));
    check(sqlite3_backup_finish(b));
}

static void save(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s/saved.sqlite", folder);
    sqlite3 *file;
    check(sqlite3_open(path, &file));
    copy(file, db);
    check(sqlite3_close(file));
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fsync(fd) < 0) peer_fail("sqlite", "cannot sync what was saved");
    close(fd);
}

static void load(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s/saved.sqlite", folder);
    sqlite3 *file;
    open_memory();
    check(sqlite3_open_v2(path, &file, SQLITE_OPEN_READONLY, NULL));
    copy(db, file);
    check(sqlite3_close(file));
    prepare_all();
}

const peer peer_sqlite = {.name = "SQLite (memory)",
                          .open = open_empty,
                          .close = close_all,
                          .insert = insert,
                          .update = update,
                          .remove = remove_rows,
                          .find = find,
                          .sum = sum,
                          .save = save,
                          .load = load};
