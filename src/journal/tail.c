/*
 * Behind the last good commit of a segment something is not a good commit. Was it being written
 * when the power failed, or was it damaged later?
 *
 * Only the last group of commits is ever unsynced, so what an interruption spoils was confirmed to
 * nobody and may be left out. Usually it spoils the end: then no whole commit follows. But a disk
 * may keep the later sectors of a group and lose earlier ones, and then whole commits do follow,
 * which is also what damage in the middle of a log looks like. What tells them apart is what a lost
 * write leaves: the sector as it was before, which in a segment of ours is zeros (written ahead),
 * up to the sector's end and nothing else, and zeros or a whole sector as the end of the file. So a
 * spoiled commit is torn when a sector of it that it shares with no good byte is all zeros. Bit
 * rot, overwriting and cutting out do not look like that.
 */
#include "journal/journal_internal.h"

enum { STEP = 64 * 1024 };

typedef struct search {
    lc_source *source;
    unsigned version;
    uint64_t expected;
    uint64_t start;     /* position of the bad frame */
    uint64_t own_end;   /* where the bad frame ends, as far as it says so believably */
    bool head_is_good;  /* its header is as expected */
    uint64_t zero_from; /* start of the run of zeros that reaches the current byte */
    uint64_t data_end;  /* behind the last byte that was not zero */
    uint64_t budget;    /* bytes of checksum still to be spent on what looks like a commit */
    bool has_zero_sector;
    lc_tail *out;
} search;

/* Whether a whole later commit begins i bytes into the window. */
static lc_status try_commit(search *t, size_t i, lc_error *err)
{
    lc_source *s = t->source;
    size_t have;
    size_t header = lc_frame_header_size(t->version);
    lc_status rc = lc_source_want(s, i + header, &have, err);
    if (rc || have < i + header) return rc;
    lc_frame f;
    lc_frame_decode(&f, t->version, lc_source_bytes(s) + i);
    uint64_t size = lc_frame_size(&f);
    if (f.count != 1 || size > lc_source_left(s) - i) return LC_OK;
    if (size > t->budget) {
        /* Somebody filled the log with what looks like commits: take the next one's word. */
        t->out->has_commit = true;
    } else {
        rc = lc_source_want(s, i + size, &have, err);
        if (rc || have < i + size) return rc;
        t->budget -= size;
        t->out->has_commit = lc_frame_check(&f, lc_source_bytes(s) + i);
    }
    t->out->commit = f.offset;
    t->out->position = s->at + i;
    return LC_OK;
}

/* Whether a good frame cannot begin with n zeros here: by its offset, or by n, which is 1. */
static bool contradicts(const search *t, uint64_t n)
{
    if (n > lc_frame_header_size(t->version) - 6) return true;
    return n >= 8 ? t->expected != 0 : (t->expected & ((1ull << 8 * n) - 1)) != 0;
}

/* The byte before `end` ends a sector (or the file). */
static void end_of_sector(search *t, uint64_t end)
{
    if (t->out->has_commit || t->has_zero_sector) return;
    uint64_t begin = (end - 1) / LC_DISK_SECTOR * LC_DISK_SECTOR;
    if (begin >= t->own_end) return;
    uint64_t from = begin > t->start ? begin : t->start;
    if (t->zero_from > from) return;
    /* Where good bytes share the sector, the few zeros at its end must contradict the header. */
    if (from > begin && (t->head_is_good || !contradicts(t, end - from))) return;
    t->has_zero_sector = true;
}

/* The first n of the window's bytes, of which it has `have`. */
static lc_status search_bytes(search *t, size_t n, size_t have, lc_error *err)
{
    lc_source *s = t->source;
    for (size_t i = 0; i < n;) {
        const uint8_t *p = lc_source_bytes(s) + i;
        uint64_t at = s->at + i;
        size_t step = 1;
        /* Mostly there are zeros: eight at a time, as no offset begins in sixteen of them. */
        if (at % 8 == 0 && i + 16 <= have && i + 8 <= n &&
            (lc_load_u64(p) | lc_load_u64(p + 8)) == 0) {
            step = 8;
        } else {
            if (*p != 0) t->zero_from = t->data_end = at + 1;
            if (!t->out->has_commit && at > t->start && have - i >= 8 &&
                lc_load_u64(p) - t->expected < UINT32_MAX) {
                lc_status rc = try_commit(t, i, err);
                if (rc) return rc;
            }
        }
        i += step;
        if ((at + step) % LC_DISK_SECTOR == 0) end_of_sector(t, at + step);
    }
    return LC_OK;
}

lc_status lc_tail_examine(lc_source *s, unsigned version, uint64_t expected, lc_tail *out,
                          lc_error *err)
{
    LC_ASSERT(expected > 0); /* there was a good commit before */
    *out = (lc_tail){0};
    uint32_t header = lc_frame_header_size(version);
    size_t have;
    lc_status rc = lc_source_want(s, header, &have, err);
    if (rc) return rc;
    search t = {
        .source = s,
        .version = version,
        .expected = expected,
        .start = s->at,
        .own_end = s->at + header,
        .zero_from = s->at,
        .data_end = s->at,
        .budget = 64 * 1024 * 1024,
        .out = out,
    };
    if (have == header) {
        lc_frame f;
        lc_frame_decode(&f, version, lc_source_bytes(s));
        t.head_is_good = f.offset == expected && f.count == 1;
        if (t.head_is_good) t.own_end = s->at + lc_frame_size(&f);
    }
    if (lc_source_left(s) != UINT64_MAX) t.budget += 16 * lc_source_left(s);

    for (;;) {
        rc = lc_source_want(s, STEP, &have, err);
        if (rc) return rc;
        if (have == 0) break;
        /* A commit must show its first 8 bytes; unless the end is near they come next time. */
        size_t n = have < STEP ? have : have - 7;
        rc = search_bytes(&t, n, have, err);
        if (rc) return rc;
        lc_source_skip(s, n);
    }
    uint64_t end = s->at;
    if (end % LC_DISK_SECTOR) end_of_sector(&t, end);

    out->bytes = t.data_end - t.start;
    out->is_zeros = out->bytes == 0;
    bool was_open = end - t.data_end >= LC_DISK_SECTOR || end % LC_DISK_SECTOR == 0;
    /* Sealed segments were written from whole ones, under another name until they were whole. */
    out->is_torn = !s->unpacker && (!out->has_commit || (was_open && t.has_zero_sector));
    return LC_OK;
}
