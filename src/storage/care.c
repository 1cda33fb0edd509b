/*
 * What of the old is kept. Two promises: the two newest verified snapshots can be opened (with the
 * log behind them), and every moment of the last keep_micros can be restored. Everything else may
 * go; nothing goes before what stays was read whole.
 *
 * Each step looks at the folder anew, so whatever happened to it meanwhile is seen.
 */
#include "storage/storage_internal.h"

enum {
    /* Restoring begins with a snapshot that is older than the window. That there will be one next
     * week, too, one snapshot of each so many parts of the window is kept. */
    WINDOW_PARTS = 7,
};

/* --------------------------------------------------------------------- plan */

/* When each snapshot was taken, but never before an older one and never in the future: clocks jump,
 * and a wrong time must not make a young snapshot look like an old one. INT64_MIN: unknown. */
static int64_t time_of(const lc_care_snapshot *c, int64_t before, int64_t now)
{
    int64_t t = c->header.taken_at;
    return t <= now && t > before ? t : before;
}

uint64_t lc_care_plan(lc_care_list *list, const lc_storage_policy *policy, int64_t now)
{
    bool keeps_all = policy->keep_all || list->len < LC_STORAGE_KEEP_SNAPSHOTS;
    LC_VEC_EACH (c, list) c->is_kept = keeps_all;
    if (keeps_all) return 0;

    int64_t cutoff;
    if (__builtin_sub_overflow(now, policy->keep_micros, &cutoff)) cutoff = INT64_MIN;
    int64_t part = policy->keep_micros / WINDOW_PARTS;
    if (part < 1) part = 1;
    /* The newest that is as old as the window; everything from it on can be restored. */
    lc_care_snapshot *anchor = NULL;
    int64_t time = INT64_MIN, kept_part = INT64_MIN;
    for (size_t i = list->len; i-- > 0;) {
        lc_care_snapshot *c = &list->items[i];
        time = time_of(c, time, now);
        /* One that says it is of the future is not known to be old either. */
        if (time != INT64_MIN && time <= cutoff && c->header.taken_at <= cutoff) anchor = c;
        c->is_kept = i < policy->keep_snapshots || i + 1 == list->len || time / part != kept_part;
        if (c->is_kept) kept_part = time / part;
    }
    if (!anchor) return 0; /* the log from its beginning is as old */
    for (lc_care_snapshot *c = anchor + 1; c < list->items + list->len; c++)
        c->is_kept = (size_t)(c - list->items) < policy->keep_snapshots;
    anchor->is_kept = true;
    uint64_t second = list->items[1].header.offset;
    return anchor->header.offset < second ? anchor->header.offset : second;
}

/* ------------------------------------------------------------------ looking */

void lc_care_note_verified(lc_care *c, const lc_snapshot_header *h)
{
    lc_vec_push(&c->verified, *h);
}

bool lc_care_is_verified(const lc_care *c, const lc_snapshot_header *h)
{
    LC_VEC_EACH (v, &c->verified)
        if (v->offset == h->offset && v->taken_at == h->taken_at) return true;
    return false;
}

static lc_status open_snapshot(const lc_care *c, uint64_t offset, lc_snapshot_reader *r,
                               lc_error *err)
{
    char *path = lc_snapshot_path(c->folder, offset, LC_SNAPSHOT_SUFFIX);
    lc_status rc = lc_snapshot_reader_open(r, c->disk, path, NULL, err);
    lc_free(path);
    return rc;
}

/* Those whose header is good, newest first. The others are the next opening's matter. */
static lc_status look(const lc_care *c, lc_care_list *out, lc_error *err)
{
    lc_offset_list offsets = {0};
    lc_status rc = lc_snapshot_offsets(c->folder, c->disk, LC_SNAPSHOT_SUFFIX, &offsets, err);
    LC_VEC_EACH (offset, &offsets) {
        lc_snapshot_reader r;
        if (open_snapshot(c, *offset, &r, NULL) != LC_OK) continue;
        lc_snapshot_header h = r.header;
        lc_snapshot_reader_close(&r);
        if (h.offset != *offset) continue;
        lc_vec_push(out, ((lc_care_snapshot){h, lc_care_is_verified(c, &h), false}));
    }
    lc_vec_deinit(&offsets);
    return rc;
}

/* Does a segment lie wholly before the offset, so that it can go? */
static bool has_segment_before(const lc_care *c, uint64_t before)
{
    lc_offset_list segments = {0};
    lc_storage_list(c->log_folder, c->disk, LC_SEGMENT_SUFFIX, &segments, NULL);
    bool has = segments.len >= 2 && segments.items[segments.len - 2] <= before;
    lc_vec_deinit(&segments);
    return has;
}

/* ----------------------------------------------------------------- verifying */

static lc_status begin_verifying(lc_care *c, const lc_care_snapshot *s, lc_error *err)
{
    lc_status rc = open_snapshot(c, s->header.offset, &c->reader, err);
    c->is_verifying = rc == LC_OK;
    return rc;
}

/* Reads one block. A damaged snapshot is put aside; then things are looked at anew. */
static lc_status go_on_verifying(lc_care *c, lc_error *err)
{
    lc_span chunk;
    lc_error why = LC_ERROR_INIT;
    lc_status rc = lc_snapshot_reader_next(&c->reader, &chunk, &why);
    if (rc == LC_OK && !c->reader.has_ended) return LC_OK;
    if (rc == LC_OK) {
        lc_care_note_verified(c, &c->reader.header);
    } else if (rc == LC_E_CORRUPT) {
        lc_snapshot_set_aside(c->folder, c->disk, c->reader.header.offset, lc_error_text(&why));
        rc = LC_OK;
    } else {
        lc_error_set(err, rc, "%s", lc_error_text(&why));
    }
    lc_error_clear(&why);
    lc_snapshot_reader_close(&c->reader);
    c->is_verifying = false;
    return rc;
}

/* ------------------------------------------------------------------ removing */

static void forget(lc_care *c, uint64_t offset)
{
    for (size_t i = c->verified.len; i-- > 0;)
        if (c->verified.items[i].offset == offset)
            c->verified.items[i] = c->verified.items[--c->verified.len];
}

static lc_status unlink_snapshot(lc_care *c, uint64_t offset, const char *suffix, lc_error *err)
{
    char *path = lc_snapshot_path(c->folder, offset, suffix);
    int rc = c->disk->unlink(c->disk->self, path);
    if (rc < 0 && rc != -ENOENT) lc_storage_io_error(err, "remove", path, rc);
    lc_free(path);
    forget(c, offset);
    return rc < 0 && rc != -ENOENT ? LC_E_IO : LC_OK;
}

/* Those put aside as damaged go when all of their age go. */
static lc_status remove_invalid(lc_care *c, uint64_t before, bool *did, lc_error *err)
{
    lc_offset_list invalid = {0};
    lc_status rc = lc_snapshot_offsets(c->folder, c->disk, LC_SNAPSHOT_INVALID, &invalid, err);
    *did = rc == LC_OK && invalid.len && invalid.items[invalid.len - 1] < before;
    if (*did) rc = unlink_snapshot(c, invalid.items[invalid.len - 1], LC_SNAPSHOT_INVALID, err);
    lc_vec_deinit(&invalid);
    return rc;
}

static const lc_care_snapshot *first_not_kept(const lc_care_list *list)
{
    LC_VEC_EACH (s, list)
        if (!s->is_kept) return s;
    return NULL;
}

static const lc_care_snapshot *first_unverified(const lc_care_list *list)
{
    LC_VEC_EACH (s, list)
        if (s->is_kept && !s->is_verified) return s;
    return NULL;
}

static const lc_care_snapshot *oldest_kept(const lc_care_list *list)
{
    for (size_t i = list->len; i-- > 0;)
        if (list->items[i].is_kept) return &list->items[i];
    return NULL;
}

/* Does one thing; *did = false when there was none. */
static lc_status remove_something(lc_care *c, lc_care_list *list, bool *did, lc_error *err)
{
    uint64_t log_from = lc_care_plan(list, c->policy, lc_clock_now(c->clock));
    const lc_care_snapshot *gone = first_not_kept(list);
    *did = true;
    if (gone || has_segment_before(c, log_from)) {
        const lc_care_snapshot *unverified = first_unverified(list);
        if (unverified) return begin_verifying(c, unverified, err);
        if (gone) return unlink_snapshot(c, gone->header.offset, LC_SNAPSHOT_SUFFIX, err);
        return lc_journal_remove(c->log_folder, c->disk, log_from, did, err);
    }
    *did = false;
    const lc_care_snapshot *oldest = oldest_kept(list);
    if (c->policy->keep_all || !oldest) return LC_OK;
    return remove_invalid(c, oldest->header.offset, did, err);
}

/* --------------------------------------------------------------- compressing */

static lc_status seal_something(lc_care *c, const lc_care_list *list, bool *did, lc_error *err)
{
    *did = false;
    if (c->policy->no_compression) return LC_OK;
    LC_VEC_EACH (s, list)
        if (s->is_verified)
            return lc_journal_seal(c->log_folder, c->disk, s->header.offset, c->must_stop, did,
                                   err);
    return LC_OK;
}

/* --------------------------------------------------------------------- step */

static lc_status do_something(lc_care *c, bool *did, lc_error *err)
{
    *did = true;
    if (c->is_verifying) return go_on_verifying(c, err);
    lc_care_list list = {0};
    lc_status rc = look(c, &list, err);
    if (rc == LC_OK) rc = remove_something(c, &list, did, err);
    if (rc == LC_OK && !*did) rc = seal_something(c, &list, did, err);
    lc_vec_deinit(&list);
    return rc;
}

bool lc_care_step(lc_care *c)
{
    if (atomic_load(c->must_stop)) return false;
    bool did;
    lc_error err = LC_ERROR_INIT;
    lc_status rc = do_something(c, &did, &err);
    if (rc != LC_OK)
        lc_log(LC_LOG_WARN, "old snapshots and segments of %s stay for now: %s", c->folder,
               lc_error_text(&err));
    lc_error_clear(&err);
    return rc == LC_OK && did;
}

void lc_care_deinit(lc_care *c)
{
    if (c->is_verifying) lc_snapshot_reader_close(&c->reader);
    lc_vec_deinit(&c->verified);
}
