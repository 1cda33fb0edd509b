#include "fake_database.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

fake_counts fake;
atomic_uint fake_open_millis;
atomic_bool fake_open_fails, fake_write_fails;

void fake_reset(void)
{
    memset(&fake, 0, sizeof fake);
    atomic_store(&fake_open_millis, 0);
    atomic_store(&fake_open_fails, false);
    atomic_store(&fake_write_fails, false);
}

struct lc_engine {
    int unused;
};
struct lc_prepared {
    char *text;
    uint8_t hash[32];
};
struct lc_database {
    atomic_int refs;
    lc_identity identity, owner;
    char *folder;
    char *text;
    int lock;
    char *read_only;
    atomic_bool is_closed, is_failed;
    void (*on_failed)(void *arg, lc_database *db, const lc_error *err);
    void *arg;
};

/* ---------------------------------------------------------------------- engine */

lc_engine *lc_engine_create(const lc_engine_options *options)
{
    (void)options;
    return lc_alloc_zero(sizeof(lc_engine));
}

void lc_engine_destroy(lc_engine *e)
{
    lc_free(e);
}

void lc_engine_set_call_time_limit(lc_engine *e, uint64_t millis)
{
    (void)e, (void)millis;
}

lc_status lc_prepared_create(lc_engine *engine, lc_span program, uint8_t program_kind,
                             const lc_identity *database, const lc_clock *clock, lc_prepared **out,
                             lc_error *err)
{
    (void)engine, (void)program_kind, (void)database, (void)clock;
    char *text = lc_span_to_cstr(program);
    if (strstr(text, "bad")) {
        lc_free(text);
        return lc_error_set(err, LC_E_INVALID, "does not compile");
    }
    *out = lc_alloc_zero(sizeof **out);
    (*out)->text = text;
    lc_keccak256(program.ptr, program.len, (*out)->hash);
    return LC_OK;
}

void lc_prepared_destroy(lc_prepared *p)
{
    if (!p) return;
    lc_free(p->text);
    lc_free(p);
}

const uint8_t *lc_prepared_hash(const lc_prepared *p)
{
    return p->hash;
}

/* -------------------------------------------------------------------- database */

static char *data_path(const lc_database *db)
{
    return lc_format("%s/data", db->folder);
}

static void write_data(const lc_database *db)
{
    char *path = data_path(db);
    LC_ASSERT(lc_disk_write_file(lc_disk_system(), path, lc_span_of_str(db->text), NULL) == LC_OK);
    lc_free(path);
}

static lc_status start(const lc_database_options *o, lc_database **out, lc_error *err)
{
    lc_database *db = lc_alloc_zero(sizeof *db);
    atomic_init(&db->refs, 1);
    db->identity = o->identity;
    db->owner = o->owner;
    db->folder = lc_strdup(o->folder);
    db->on_failed = o->on_failed;
    db->arg = o->arg;
    char *path = lc_format("%s/db.lock", o->folder);
    db->lock = open(path, O_RDWR | O_CREAT, 0600);
    lc_free(path);
    if (db->lock < 0 || flock(db->lock, LOCK_EX | LOCK_NB) < 0) {
        lc_database_unref(db);
        return lc_error_set(err, LC_E_IO, "another process has this database open");
    }
    *out = db;
    return LC_OK;
}

lc_status lc_database_create(const lc_database_options *o, lc_prepared *p, lc_database **out,
                             lc_error *err)
{
    lc_database *db;
    lc_status rc = start(o, &db, err);
    if (rc == LC_OK && strstr(p->text, "init")) {
        lc_database_unref(db);
        rc = lc_error_set(err, LC_E_INVALID, "init says no");
    }
    if (rc == LC_OK) {
        db->text = lc_strdup(p->text);
        write_data(db);
        atomic_fetch_add(&fake.created, 1);
        *out = db;
    }
    lc_prepared_destroy(p);
    return rc;
}

lc_status lc_database_open(const lc_database_options *o, lc_database **out, lc_error *err)
{
    usleep(atomic_load(&fake_open_millis) * 1000);
    atomic_fetch_add(&fake.opened, 1);
    if (atomic_load(&fake_open_fails)) return lc_error_set(err, LC_E_CORRUPT, "the log is torn");
    if (atomic_load(&fake_write_fails) && !o->read_only_reason)
        return lc_error_set(err, LC_E_IO, "the disk is full");
    lc_database *db;
    lc_status rc = start(o, &db, err);
    if (rc != LC_OK) return rc;
    if (o->read_only_reason) db->read_only = lc_format("only read: %s", o->read_only_reason);
    atomic_store(&fake.durability, (int)o->durability);
    if (o->on_progress) {
        lc_storage_progress half = {.is_log = true, .done = 5, .total = 10, .commits = 3};
        o->on_progress(o->progress_arg, &half);
    }
    char *path = data_path(db);
    lc_buf text = LC_BUF_INIT;
    rc = lc_disk_read_file(lc_disk_system(), path, &text, err);
    lc_free(path);
    db->text = lc_buf_give_cstr(&text);
    if (rc == LC_OK)
        *out = db;
    else
        lc_database_unref(db);
    return rc;
}

lc_database *lc_database_ref(lc_database *db)
{
    LC_ASSERT(atomic_fetch_add(&db->refs, 1) > 0);
    return db;
}

void lc_database_unref(lc_database *db)
{
    if (atomic_fetch_sub(&db->refs, 1) != 1) return;
    atomic_fetch_add(&fake.freed, 1);
    if (db->lock >= 0 && !atomic_load(&db->is_closed)) close(db->lock);
    lc_free(db->folder);
    lc_free(db->text);
    lc_free(db->read_only);
    lc_free(db);
}

void lc_database_close(lc_database *db, bool in_order)
{
    usleep(2000);
    if (atomic_exchange(&db->is_closed, true)) return;
    close(db->lock);
    atomic_fetch_add(&fake.closed, 1);
    if (in_order) atomic_fetch_add(&fake.disconnected, 1);
}

lc_status lc_database_update(lc_database *db, lc_prepared *p, bool *was_same, lc_error *err)
{
    lc_status rc = LC_OK;
    *was_same = strcmp(db->text, p->text) == 0;
    if (strstr(p->text, "breaking"))
        rc = lc_error_set(err, LC_E_UNSUPPORTED, "Errors occurred:\nno\n\n");
    else if (strstr(p->text, "refused"))
        rc = lc_error_set(err, LC_E_CONFLICT, "duplicates");
    if (rc == LC_OK) {
        lc_free(db->text);
        db->text = lc_strdup(p->text);
        write_data(db);
        atomic_fetch_add(&fake.updated, 1);
    }
    lc_prepared_destroy(p);
    return rc;
}

const lc_identity *lc_database_identity(const lc_database *db)
{
    return &db->identity;
}

bool lc_database_has_schedules(lc_database *db)
{
    return strstr(db->text, "sched") != NULL;
}

const char *lc_database_folder(const lc_database *db)
{
    return db->folder;
}

uint64_t lc_database_durable_count(const lc_database *db)
{
    (void)db;
    return UINT64_MAX;
}

bool lc_database_is_failed(const lc_database *db)
{
    return atomic_load(&db->is_failed);
}

char *lc_database_failure(lc_database *db)
{
    return atomic_load(&db->is_failed) ? lc_strdup("the disk is gone") : NULL;
}

const char *lc_database_read_only(const lc_database *db)
{
    return db->read_only;
}

char *fake_program(lc_database *db)
{
    return lc_strdup(db->text);
}

void fake_fail(lc_database *db)
{
    lc_error err = LC_ERROR_INIT;
    lc_error_set(&err, LC_E_IO, "the disk is gone");
    atomic_store(&db->is_failed, true);
    db->on_failed(db->arg, db, &err);
    lc_error_clear(&err);
}
