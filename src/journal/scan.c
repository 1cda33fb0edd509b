/*
 * Reading a log folder: every segment in order, every commit checked, and at the end of the newest
 * segment the decision where writing goes on.
 *
 * Commits have gapless offsets, across segments too. A segment that stops being readable is no loss
 * if the next one begins with the very commit that is missed: then the writer of that time left a
 * torn tail behind and went on in a new segment, as we do. Anything else that does not fit ends the
 * reading with the file, the position and both offsets named. Nothing is changed on disk here.
 *
 * A writer may be at work meanwhile. The newest of the segments listed is read up to the size it
 * has when opened, and what is being written at its end looks torn, which is no error. Only one
 * thing it could be mistaken for: a page read before a group reached it, the next one after. So
 * before the newest segment is called damaged it is read once more from there: whoever has seen the
 * later bytes of a write finds the earlier ones, too.
 */
#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdio.h>

enum { PROGRESS_STEP = 4 * 1024 * 1024 };

typedef enum segment_end {
    END_CLEAN,   /* fewer bytes left than a frame header has */
    END_DAMAGED, /* not a good frame */
    END_ASKED,   /* nothing further is wanted */
} segment_end;

typedef struct reading {
    const lc_scan_options *options;
    lc_scan *scan;
    uint64_t expected; /* offset the next commit must have */
    bool has_commit;   /* the two fields below hold the commit before */
    uint64_t previous;
    uint32_t previous_crc;
    char *damage;   /* how the reading of an earlier segment ended badly; NULL if it did not */
    uint64_t total; /* bytes of the files to read; 0 when nobody asks */
    uint64_t done;  /* of those already read */
} reading;

typedef struct segment {
    const char *path;
    bool is_newest;
    bool is_first;            /* of those read */
    lc_journal_segment found; /* what is told of it */
    uint64_t reread;          /* where it was looked at a second time; 0: nowhere */
    uint64_t show_at;         /* position in the file from which progress is told again */
    lc_source source;
    lc_index_entries index;
    size_t index_good;   /* leading entries that point at commits read */
    bool index_is_wrong; /* the entry after them does not */
} segment;

LC_PRINTF(2, 3) static void set_note(segment *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->found.note, sizeof s->found.note, fmt, args);
    va_end(args);
}

static void set_damage(reading *r, segment *s, const char *what)
{
    set_note(s, "commit %" PRIu64 " at byte %" PRIu64 ": %s", r->expected, s->source.at, what);
    lc_free(r->damage);
    r->damage = lc_format("%s: %s", s->path, s->found.note);
}

static lc_status out_of_order(reading *r, const segment *s, uint64_t actual, lc_error *err)
{
    return lc_error_set(err, LC_E_CORRUPT,
                        "%s: out-of-order commit at byte %" PRIu64 ": expected-offset=%" PRIu64
                        " actual-offset=%" PRIu64 "%s%s",
                        s->path, s->source.at, r->expected, actual,
                        r->damage ? "; before it: " : "", r->damage ? r->damage : "");
}

static void show_progress(const reading *r, segment *s)
{
    uint64_t done = r->done + s->source.next;
    r->options->on_progress(r->options->progress_arg, done < r->total ? done : r->total, r->total,
                            r->scan->stats.commits);
    s->show_at = s->source.next + PROGRESS_STEP;
}

/* The next frame, whole in the window; or the end of the segment. */
static lc_status next_frame(reading *r, segment *s, lc_frame *f, bool *is_end, segment_end *end,
                            lc_error *err)
{
    *is_end = true;
    uint32_t header = lc_frame_header_size(s->found.version);
    size_t have;
    lc_status rc = lc_source_want(&s->source, header, &have, err);
    if (rc) return rc;
    *end = END_DAMAGED;
    if (have < header) {
        if (s->source.is_broken)
            set_damage(r, s, "the compressed segment cannot be unpacked further");
        else
            *end = END_CLEAN;
        return LC_OK;
    }
    static const uint8_t no_frame[LC_FRAME_HEADER_V0];
    if (s->found.version == 0 && memcmp(lc_source_bytes(&s->source), no_frame, header) == 0) {
        *end = END_CLEAN;
        return LC_OK;
    }
    lc_frame_decode(f, s->found.version, lc_source_bytes(&s->source));
    uint64_t size = lc_frame_size(f);
    if (size <= lc_source_left(&s->source)) {
        rc = lc_source_want(&s->source, (size_t)size, &have, err);
        if (rc) return rc;
    } else {
        have = 0;
    }
    if (have < size) {
        char *what = lc_format("failed to read %" PRIu32 " bytes of commit payload", f->len);
        set_damage(r, s, what);
        lc_free(what);
    } else if (!lc_frame_check(f, lc_source_bytes(&s->source))) {
        set_damage(r, s, "checksum mismatch");
    } else {
        *is_end = false;
    }
    return LC_OK;
}

/* A good frame: is it the one that belongs here? *is_repeat: it is the one before once more. */
static lc_status check_order(reading *r, const segment *s, const lc_frame *f, bool *is_repeat,
                             lc_error *err)
{
    *is_repeat = false;
    bool is_first = s->source.at == LC_SEGMENT_HEADER;
    if (is_first && f->offset != s->found.first)
        return lc_error_set(err, LC_E_CORRUPT,
                            "%s: out-of-order offset: expected=%" PRIu64 " actual=%" PRIu64
                            " (the first commit does not fit the file name)",
                            s->path, s->found.first, f->offset);
    if (f->offset == r->expected) return LC_OK;
    /* Writers never append to a segment that ends in a repeated commit, so in the newest it can
     * only come first. */
    if (!r->has_commit || f->offset != r->previous || (s->is_newest && !is_first))
        return out_of_order(r, s, f->offset, err);
    if (f->crc != r->previous_crc)
        return lc_error_set(err, LC_E_CORRUPT,
                            "%s: the log is forked: two different commits have offset %" PRIu64
                            ", the second at byte %" PRIu64,
                            s->path, f->offset, s->source.at);
    *is_repeat = true;
    return LC_OK;
}

/* Compares the index with the commit at the source's position. */
static void check_index(segment *s, uint64_t offset)
{
    if (s->index_is_wrong || s->index_good == s->index.len) return;
    const lc_index_entry *e = &s->index.items[s->index_good];
    if (e->offset > offset) return;
    if (e->offset == offset && e->position == s->source.at)
        s->index_good++;
    else
        s->index_is_wrong = true;
}

static lc_status pass_on(const reading *r, const segment *s, const lc_frame *f, lc_error *err)
{
    const lc_scan_options *o = r->options;
    const uint8_t *frame = lc_source_bytes(&s->source);
    lc_span records = LC_SPAN(frame + f->header, f->len);
    if (f->offset + f->count <= o->from) return LC_OK;
    if (o->replay) return o->replay(o->arg, f->offset, records, err);
    if (!o->commit) return LC_OK;
    lc_journal_commit c = {
        .segment = s->found.first,
        .position = s->source.at,
        .size = lc_frame_size(f),
        .offset = f->offset,
        .epoch = f->epoch,
        .crc = f->crc,
        .count = f->count,
        .frame = LC_SPAN(frame, lc_frame_size(f)),
        .records = records,
    };
    return o->commit(o->arg, &c, err);
}

static lc_status accept(reading *r, segment *s, const lc_frame *f, lc_error *err)
{
    /* Records carry no length, so several in one commit cannot be told apart without the schema.
     * No single-node writer of the format ever made such a commit. */
    if (f->count == 0 || (f->count != 1 && r->options->is_replay))
        return lc_error_set(err, LC_E_UNSUPPORTED,
                            "%s: commit %" PRIu64 " at byte %" PRIu64
                            " holds %u transactions; only one per commit can be read",
                            s->path, f->offset, s->source.at, f->count);
    check_index(s, f->offset);
    lc_free(r->damage);
    r->damage = NULL;
    r->has_commit = true;
    r->previous = f->offset;
    r->previous_crc = f->crc;
    r->expected = f->offset + f->count;
    s->found.commits++;
    lc_scan *scan = r->scan;
    scan->stats.commits++;
    scan->stats.bytes += lc_frame_size(f);
    scan->last_commit = (lc_index_entry){f->offset, s->source.at};
    if (f->epoch > scan->epoch) scan->epoch = f->epoch;
    return pass_on(r, s, f, err);
}

static lc_status read_commits(reading *r, segment *s, segment_end *end, lc_error *err)
{
    for (;;) {
        lc_frame f;
        bool is_end, is_repeat;
        *end = END_ASKED;
        if (r->expected >= r->options->to) return LC_OK;
        lc_status rc = next_frame(r, s, &f, &is_end, end, err);
        if (rc || is_end) return rc;
        rc = check_order(r, s, &f, &is_repeat, err);
        if (rc == LC_OK && !is_repeat) rc = accept(r, s, &f, err);
        if (rc) return rc;
        lc_source_skip(&s->source, (size_t)lc_frame_size(&f));
        if (s->source.next >= s->show_at) show_progress(r, s);
    }
}

/* Whether a whole commit of this offset begins at the position. Plain segments only. */
static lc_status commit_is_at(lc_source *at, unsigned version, lc_index_entry e, bool *is,
                              lc_error *err)
{
    *is = false;
    if (e.position >= at->size) return LC_OK;
    lc_source_seek(at, e.position);
    uint32_t header = lc_frame_header_size(version);
    size_t have;
    lc_status rc = lc_source_want(at, header, &have, err);
    if (rc || have < header) return rc;
    lc_frame f;
    lc_frame_decode(&f, version, lc_source_bytes(at));
    uint64_t size = lc_frame_size(&f);
    if (f.offset != e.offset || size > lc_source_left(at)) return LC_OK;
    rc = lc_source_want(at, (size_t)size, &have, err);
    if (rc == LC_OK && have == size) *is = lc_frame_check(&f, lc_source_bytes(at));
    return rc;
}

/* Whether the index names a whole commit behind the bad one: it was written after a sync of both.
 */
static lc_status index_proves(segment *s, uint64_t bad_offset, bool *proves, lc_error *err)
{
    *proves = false;
    lc_status rc = LC_OK;
    for (size_t i = 0; i < s->index.len && !*proves && rc == LC_OK; i++) {
        lc_index_entry e = s->index.items[i];
        if (e.offset > bad_offset && e.position > s->found.bytes)
            rc = commit_is_at(&s->source, s->found.version, e, proves, err);
    }
    return rc;
}

/* The newest segment ends in something that is not a good commit. */
static lc_status judge_damage(reading *r, segment *s, lc_error *err)
{
    lc_scan *scan = r->scan;
    if (s->found.commits == 0)
        return lc_error_set(err, LC_E_CORRUPT,
                            "first commit in the most recent segment is corrupt: %s", r->damage);
    lc_tail tail;
    lc_status rc = lc_tail_examine(&s->source, s->found.version, r->expected, &tail, err);
    if (rc) return rc;
    if (tail.is_zeros) {
        scan->keep = scan->size;
        set_note(s, "%" PRIu64 " zeros, written ahead", scan->size - scan->tail);
        return LC_OK;
    }
    bool is_proven = false;
    if (tail.has_commit && tail.is_torn) {
        rc = index_proves(s, r->expected, &is_proven, err);
        if (rc) return rc;
    }
    if (tail.has_commit && (is_proven || !tail.is_torn))
        return lc_error_set(
            err, LC_E_CORRUPT,
            "%s; commit %" PRIu64 " follows it at byte %" PRIu64
            ", so this is damage in the middle of the log, not an interrupted write",
            r->damage, tail.commit, tail.position);
    if (!tail.is_torn) return lc_error_set(err, LC_E_CORRUPT, "%s", r->damage);
    scan->resumes = false;
    scan->stats.cut_bytes = tail.bytes;
    scan->report =
        lc_format("%s; the %" PRIu64 " bytes from there on stay as they are and are left "
                  "out, the log goes on in a new segment",
                  r->damage, tail.bytes);
    return LC_OK;
}

static lc_status end_of_newest(reading *r, segment *s, segment_end end, lc_error *err)
{
    lc_scan *scan = r->scan;
    scan->newest = s->found.first;
    scan->tail = scan->keep = s->found.bytes;
    scan->size = s->source.size;
    /* Sealed segments and those of an older version are not appended to. */
    scan->resumes = !s->source.unpacker && s->found.version == LC_SEGMENT_VERSION;
    if (end == END_DAMAGED) return judge_damage(r, s, err);
    /* The first commit of a version 1 log looks like the end of a version 0 one. */
    if (s->found.commits == 0 && s->found.version != LC_SEGMENT_VERSION)
        return lc_error_set(err, LC_E_CORRUPT,
                            "%s: log format version mismatch: current=%d segment=%u", s->path,
                            LC_SEGMENT_VERSION, s->found.version);
    if (s->found.commits == 0 && s->found.first != r->expected)
        return out_of_order(r, s, s->found.first, err);
    /* Only whole segments are sealed; and the log could not go on under this name. */
    if (s->found.commits == 0 && s->source.unpacker)
        return lc_error_set(err, LC_E_CORRUPT, "%s: a sealed segment without a commit", s->path);
    if (scan->resumes) scan->stats.cut_bytes = scan->size - scan->tail;
    return LC_OK;
}

/* The commits of a segment and what follows them. */
static lc_status read_to_end(reading *r, segment *s, lc_error *err)
{
    for (;;) {
        segment_end end = END_CLEAN;
        lc_status rc = read_commits(r, s, &end, err);
        s->found.bytes = s->source.at;
        if (rc || end == END_ASKED) return rc;
        if (end == END_CLEAN && lc_source_left(&s->source) > 0 && !s->source.is_broken)
            set_note(s, "%" PRIu64 " bytes that are no commit", lc_source_left(&s->source));
        if (!s->is_newest) return LC_OK;
        rc = end_of_newest(r, s, end, err);
        if (rc != LC_E_CORRUPT || s->source.unpacker || s->reread == s->found.bytes) return rc;
        if (err) lc_error_clear(err);
        s->found.note[0] = 0;
        s->reread = s->found.bytes;
        rc = lc_source_reread(&s->source, s->reread, err);
        if (rc) return rc;
    }
}

/* What is before `from` need not be read if the index knows a commit at or before it. */
static lc_status skip_ahead(reading *r, segment *s, lc_error *err)
{
    if (s->source.unpacker) return LC_OK;
    size_t n = s->index.len;
    while (n > 0 && s->index.items[n - 1].offset > r->options->from) n--;
    uint64_t begin = s->source.at;
    for (; n > 0; n--) {
        lc_index_entry e = s->index.items[n - 1];
        bool is;
        lc_status rc = commit_is_at(&s->source, s->found.version, e, &is, err);
        if (rc) return rc;
        if (!is) continue;
        lc_source_seek(&s->source, e.position);
        s->index_good = n - 1;
        r->expected = e.offset;
        return LC_OK;
    }
    lc_source_seek(&s->source, begin);
    return LC_OK;
}

/* *is_one: it is a segment, by its header. */
static lc_status read_header(reading *r, segment *s, bool *is_one, lc_error *err)
{
    const lc_scan_options *o = r->options;
    *is_one = false;
    if (s->is_newest && o->syncs) {
        int rc = o->disk->sync_data(o->disk->self, s->source.file);
        if (rc < 0) return lc_segment_io_error(err, "sync", s->path, rc);
    }
    size_t have;
    lc_status rc = lc_source_want(&s->source, LC_SEGMENT_HEADER, &have, err);
    if (rc) return rc;
    if (have < LC_SEGMENT_HEADER) {
        set_damage(r, s, "the segment has no header");
        /* In the middle of the log the next segment shows whether something is missing. */
        return s->is_newest ? lc_error_set(err, LC_E_CORRUPT, "%s", r->damage) : LC_OK;
    }
    unsigned version;
    rc = lc_segment_check_header(lc_source_bytes(&s->source), s->path, &version, err);
    if (rc) return rc;
    s->found.version = (uint8_t)version;
    lc_source_skip(&s->source, LC_SEGMENT_HEADER);
    *is_one = true;
    return LC_OK;
}

static lc_status read_open_segment(reading *r, segment *s, lc_error *err)
{
    const lc_scan_options *o = r->options;
    bool is_one;
    lc_status rc = read_header(r, s, &is_one, err);
    if (rc) return rc;
    if (is_one && (s->is_newest || s->is_first)) {
        char *path = lc_segment_path(o->folder, s->found.first, "ofs");
        lc_index_load(o->disk, path, &s->index);
        lc_free(path);
    }
    if (s->is_first) {
        r->expected = s->found.first;
        if (is_one && o->from > s->found.first) rc = skip_ahead(r, s, err);
    }
    r->scan->last_commit = (lc_index_entry){0, 0};
    r->scan->stats.segments++;
    if (rc == LC_OK && is_one) rc = read_to_end(r, s, err);
    if (rc == LC_OK && s->is_newest)
        for (size_t i = 0; i < s->index_good; i++) lc_vec_push(&r->scan->index, s->index.items[i]);
    if (rc == LC_OK && o->segment) rc = o->segment(o->arg, &s->found, err);
    if (rc == LC_OK && o->on_progress) show_progress(r, s);
    return rc;
}

static lc_status read_segment(reading *r, uint64_t first, bool is_newest, lc_error *err)
{
    char *path = lc_segment_path(r->options->folder, first, "log");
    segment s = {
        .path = path,
        .is_first = r->scan->stats.segments == 0,
        .is_newest = is_newest,
        .found.first = first,
        .show_at = r->options->on_progress ? PROGRESS_STEP : UINT64_MAX,
    };
    lc_status rc = lc_source_open(&s.source, r->options->disk, path, err);
    if (rc == LC_OK) {
        s.found.is_sealed = s.source.unpacker != NULL;
        s.found.file_bytes = s.source.size;
        rc = read_open_segment(r, &s, err);
        r->done += s.found.file_bytes;
        lc_source_close(&s.source);
    }
    lc_vec_deinit(&s.index);
    lc_free(path);
    return rc;
}

static lc_status size_of(const lc_disk *disk, const char *path, int64_t *size, lc_error *err)
{
    lc_file *f;
    int rc = disk->open(disk->self, path, O_RDONLY, &f);
    if (rc < 0) return lc_segment_io_error(err, "open", path, rc);
    *size = disk->size(disk->self, f);
    disk->close(disk->self, f);
    return *size < 0 ? lc_segment_io_error(err, "read", path, *size) : LC_OK;
}

/* A crash between making a segment and writing to it leaves no more than a header: not a segment.
 */
static lc_status drop_empty(const lc_scan_options *o, lc_segment_list *list, lc_scan *scan,
                            lc_error *err)
{
    while (list->len > 0) {
        uint64_t first = list->items[list->len - 1];
        char *path = lc_segment_path(o->folder, first, "log");
        int64_t size = 0;
        lc_status rc = size_of(o->disk, path, &size, err);
        lc_free(path);
        if (rc || size > LC_SEGMENT_HEADER) return rc;
        lc_vec_push(&scan->empty, first);
        list->len--;
    }
    return LC_OK;
}

/* How many bytes there are to read, for those who watch. */
static lc_status add_up(reading *r, const lc_segment_list *list, size_t begin, lc_error *err)
{
    for (size_t i = begin; i < list->len && r->options->on_progress; i++) {
        char *path = lc_segment_path(r->options->folder, list->items[i], "log");
        int64_t size = 0;
        lc_status rc = size_of(r->options->disk, path, &size, err);
        lc_free(path);
        if (rc) return rc;
        r->total += (uint64_t)size;
    }
    return LC_OK;
}

/* The log ends before the snapshot it is to go on from. */
static void go_on_behind(reading *r)
{
    const lc_scan_options *o = r->options;
    lc_scan *scan = r->scan;
    scan->resumes = false;
    scan->stats.missing = o->from - r->expected;
    scan->stats.next_offset = o->from;
    /* One without any commit is new, or was lost: that only the caller knows. */
    if (!r->has_commit && !scan->report) return;
    char *torn = scan->report;
    scan->report = lc_format("%s%s%s: the log ends before offset %" PRIu64
                             ", but a snapshot holds everything before offset %" PRIu64
                             ": the log goes on there, with a gap",
                             torn ? torn : "", torn ? "; " : "", o->folder, r->expected, o->from);
    lc_free(torn);
}

static lc_status read_list(reading *r, const lc_segment_list *list, lc_error *err)
{
    const lc_scan_options *o = r->options;
    size_t begin = 0;
    if (o->is_replay && list->len > 0 && list->items[0] > o->from)
        return lc_error_set(err, LC_E_CORRUPT,
                            "%s: the log begins at offset %" PRIu64 ", but offset %" PRIu64
                            " is needed",
                            o->folder, list->items[0], o->from);
    while (begin + 1 < list->len && list->items[begin + 1] <= o->from) begin++;
    lc_status rc = add_up(r, list, begin, err);
    for (size_t i = begin; i < list->len && rc == LC_OK; i++) {
        if (list->items[i] >= o->to && o->to != UINT64_MAX) break; /* which means no end */
        rc = read_segment(r, list->items[i], i + 1 == list->len, err);
        /* Old segments may be removed just now; then the log begins later. */
        bool was_removed = rc == LC_E_NOT_FOUND && r->scan->stats.segments == 0;
        if (was_removed && !o->is_replay && i + 1 < list->len) {
            if (err) lc_error_clear(err);
            rc = LC_OK;
        }
    }
    if (rc) return rc;
    r->scan->stats.next_offset = r->expected;
    if (o->is_replay && r->expected < o->from) go_on_behind(r);
    return LC_OK;
}

lc_status lc_scan_folder(const lc_scan_options *o, lc_scan *scan, lc_error *err)
{
    *scan = (lc_scan){0};
    reading r = {.options = o, .scan = scan};
    lc_segment_list list = {0};
    lc_status rc = lc_segment_find(o->disk, o->folder, "log", &list, err);
    if (rc == LC_OK) rc = drop_empty(o, &list, scan, err);
    if (rc == LC_OK) rc = read_list(&r, &list, err);
    lc_free(r.damage);
    lc_vec_deinit(&list);
    return rc;
}

void lc_scan_deinit(lc_scan *scan)
{
    lc_vec_deinit(&scan->empty);
    lc_vec_deinit(&scan->index);
    lc_free(scan->report);
    *scan = (lc_scan){0};
}
