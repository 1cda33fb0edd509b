/*
 * Fuzz target: a folder of log segments, read, replayed into a store, and gone on with.
 *
 * An input is three bytes and the rest. The first says what the rest is: a log as it lies on disk,
 * cut into two segments or not, or pieces of which commits are made that fit together (so that more
 * than checksums is tried). Before it stands, if so said, the beginning of a recorded log, so that
 * there are tables. The second and third say where the cut is.
 *
 * What is refused is left as it is. What is opened can be written to, and read back the same.
 *
 * build: src/base src/sats src/schema src/store src/journal src/storage/record.c
 * build: tests/unit/memory_disk.c -lunistring -lzstd
 * length: 8192
 */
#include "fuzz_kit.h"
#include "journal/journal_internal.h"
#include "memory_disk.h"
#include "storage/storage_internal.h"

#define FOLDER   "/log"
#define RECORDED "tests/recorded/commitlog/basics/clog/00000000000000000000.stdb.log"

enum how {
    IS_PIECES = 1, /* commits are made of the rest; otherwise it is bytes of a file */
    HAS_BEGIN = 2, /* the recorded beginning stands before it */
    HAS_CUT = 4,   /* a second segment begins somewhere */
    HAS_INDEX = 8, /* the last 64 bytes are the index of the first segment */
    IS_VERSION0 = 16,
    IS_REPLAYED = 32, /* into a store */
    READS_LATER = 64, /* opened from transaction 1 on */
};
/* What a piece is made of: its first byte. */
enum piece {
    IS_DAMAGED = 1,
    IS_REPEATED = 2,
    SKIPS_ONE = 4,
    IS_DOUBLE = 8, /* counts two transactions */
    HAS_ZEROS = 16,
    BEGINS_SEGMENT = 32,
};

static lc_buf recorded; /* header and first commit */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    lc_log_set_level(LC_LOG_ERROR);
    recorded = fuzz_read_file(RECORDED);
    lc_frame f;
    lc_frame_decode(&f, 1, recorded.ptr + LC_SEGMENT_HEADER);
    recorded.len = LC_SEGMENT_HEADER + lc_frame_size(&f);
    return 0;
}

/* -------------------------------------------------------------------- the folder */

typedef struct maker {
    memory_disk *disk;
    lc_buf file;
    uint64_t first; /* offset that names it */
    uint64_t next;  /* of the next commit */
    unsigned version;
} maker;

static void put_file(maker *m)
{
    char *path = lc_segment_path(FOLDER, m->first, "log");
    memory_disk_put(m->disk, path, m->file.ptr, m->file.len);
    lc_free(path);
}

static void begin_file(maker *m, bool has_begin)
{
    lc_buf_reset(&m->file);
    m->first = m->next;
    lc_buf_put(&m->file, lc_segment_header, LC_SEGMENT_HEADER);
    m->file.ptr[6] = (uint8_t)m->version;
    if (!has_begin) return;
    lc_buf_put(&m->file, recorded.ptr + LC_SEGMENT_HEADER, recorded.len - LC_SEGMENT_HEADER);
    m->next++;
}

static void put_commit(maker *m, uint8_t how, lc_span record)
{
    size_t from = m->file.len;
    lc_buf_put_u64(&m->file, m->next + (how & SKIPS_ONE ? 1 : 0));
    if (m->version) lc_buf_put_u64(&m->file, 0);
    lc_buf_put_u16(&m->file, how & IS_DOUBLE ? 2 : 1);
    lc_buf_put_u32(&m->file, (uint32_t)record.len);
    lc_buf_put_span(&m->file, record);
    uint32_t crc = lc_crc32c(0, m->file.ptr + from, m->file.len - from);
    lc_buf_put_u32(&m->file, how & IS_DAMAGED ? crc ^ 1 : crc);
    m->next += how & IS_DOUBLE ? 2 : 1;
    if (how & IS_REPEATED) {
        size_t n = m->file.len - from;
        lc_buf copy = LC_BUF_INIT;
        lc_buf_put(&copy, m->file.ptr + from, n);
        lc_buf_put_span(&m->file, lc_buf_span(&copy));
        lc_buf_deinit(&copy);
    }
    if (how & HAS_ZEROS) memset(lc_buf_extend(&m->file, 600), 0, 600);
}

/* Pieces: how, u16 length, record. */
static void put_pieces(maker *m, lc_span rest)
{
    while (rest.len > 3) {
        uint8_t how = rest.ptr[0];
        size_t n = lc_load_u16(rest.ptr + 1);
        if (n > rest.len - 3) n = rest.len - 3;
        if (how & BEGINS_SEGMENT) {
            put_file(m);
            begin_file(m, false);
        }
        put_commit(m, how, LC_SPAN(rest.ptr + 3, n));
        rest.ptr += 3 + n;
        rest.len -= 3 + n;
    }
}

static void make_folder(memory_disk *d, uint8_t how, size_t cut, lc_span rest)
{
    maker m = {.disk = d, .version = how & IS_VERSION0 ? 0 : 1};
    if (how & HAS_INDEX && rest.len > 64) {
        rest.len -= 64;
        memory_disk_put(d, FOLDER "/00000000000000000000.stdb.ofs", rest.ptr + rest.len, 64);
    }
    if (how & IS_PIECES) {
        begin_file(&m, how & HAS_BEGIN);
        put_pieces(&m, rest);
        put_file(&m);
    } else {
        if (how & HAS_BEGIN) begin_file(&m, true);
        if (cut > rest.len || !(how & HAS_CUT)) cut = rest.len;
        lc_buf_put(&m.file, rest.ptr, cut);
        put_file(&m);
        if (how & HAS_CUT) {
            /* The offset that its first frame claims is the name that is right. */
            lc_span second = LC_SPAN(rest.ptr + cut, rest.len - cut);
            m.first = second.len >= 18 ? lc_load_u64(second.ptr + 10) : 1;
            lc_buf_reset(&m.file);
            lc_buf_put_span(&m.file, second);
            if (m.first) put_file(&m);
        }
    }
    lc_buf_deinit(&m.file);
}

/* --------------------------------------------------------------------- what it is */

typedef struct reading {
    lc_store *store;
    uint64_t next;
    uint64_t digest; /* of the records and their offsets */
} reading;

static lc_status take_record(void *arg, uint64_t offset, lc_span record, lc_error *err)
{
    reading *r = arg;
    if (r->next && offset != r->next) LC_BUG("offset %llu is not next", (unsigned long long)offset);
    r->next = offset + 1;
    r->digest = lc_hash_u64(r->digest ^ lc_hash_bytes(record.ptr, record.len));
    return r->store ? lc_log_record_replay(r->store, offset, record, err) : LC_OK;
}

/* A change that every log can take. */
static const uint8_t nothing[] = {0x20, 0, 0, 0};

typedef struct opened {
    reading read;
    lc_journal_stats stats;
    uint64_t state; /* of the store */
} opened;

/* Opens the folder and, if that works, adds a record. */
static bool open_and_add(memory_disk *d, uint8_t how, opened *o)
{
    lc_error err = LC_ERROR_INIT;
    lc_journal *j;
    *o = (opened){0};
    lc_journal_options jo = {
        .folder = FOLDER,
        .max_segment_size = 65536, /* the index of a large one takes megabytes */
        .is_stepped = true,
        .disk = &d->disk,
    };
    if (how & READS_LATER) jo.replay_from = 1;
    if (how & IS_REPLAYED) {
        o->read.store = lc_store_create();
        lc_store_replay_begin(o->read.store);
    }
    lc_status rc = lc_journal_open(&jo, take_record, &o->read, &j, &o->stats, &err);
    if (rc == LC_OK && o->read.store) {
        rc = lc_store_replay_end(o->read.store, &err);
        if (rc == LC_OK) o->state = fuzz_digest(o->read.store);
        if (rc != LC_OK) lc_journal_close(j);
    }
    if (o->read.store) lc_store_destroy(o->read.store);
    if (rc != LC_OK) {
        if (!*lc_error_text(&err)) LC_BUG("refused without a word");
        lc_error_clear(&err);
        return false;
    }
    lc_buf_put(lc_journal_record_begin(j), nothing, sizeof nothing);
    uint64_t offset = lc_journal_record_end(j);
    if (offset != o->stats.next_offset) LC_BUG("another offset than promised");
    lc_journal_submit(j);
    while (lc_journal_step(j)) {
    }
    if (lc_journal_durable_count(j) != offset + 1) LC_BUG("not durable");
    lc_journal_close(j);
    return true;
}

/* ------------------------------------------------------------------------ running */

static void check_refused(memory_disk *before, memory_disk *after)
{
    if (before->nodes.len != after->nodes.len) LC_BUG("a refused log has other files");
    for (uint64_t first = 0; first < 4; first++) {
        char *path = lc_segment_path(FOLDER, first, "log");
        lc_buf *a = memory_disk_file(before, path), *b = memory_disk_file(after, path);
        if (!a != !b || (a && !lc_span_equal(lc_buf_span(a), lc_buf_span(b))))
            LC_BUG("a refused log was changed");
        lc_free(path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    uint8_t how = data[0];
    memory_disk folder, once;
    memory_disk_init(&folder);
    make_folder(&folder, how, lc_load_u16(data + 1), LC_SPAN(data + 3, size - 3));
    memory_disk_copy(&once, &folder);

    opened first, second;
    reading plain = {0};
    lc_journal_stats stats;
    lc_error err = LC_ERROR_INIT;
    lc_status rc = lc_journal_read(FOLDER, &folder.disk, take_record, &plain, &stats, &err);
    lc_error_clear(&err);
    bool is_open = open_and_add(&once, how, &first);
    bool same = !(how & (IS_REPLAYED | READS_LATER));
    if (same && rc != LC_OK && is_open) LC_BUG("what cannot be read is opened");
    if (same && is_open && plain.digest != first.read.digest) LC_BUG("opened it is another log");
    if (!is_open) {
        if (!(how & IS_REPLAYED)) check_refused(&folder, &once);
    } else {
        if (!open_and_add(&once, how, &second)) LC_BUG("what was opened is refused");
        uint64_t want = lc_hash_u64(first.read.digest ^ lc_hash_bytes(nothing, sizeof nothing));
        if (second.read.digest != want) LC_BUG("another log than was left");
        if (second.stats.next_offset != first.stats.next_offset + 1) LC_BUG("other offsets");
        if (second.state != first.state) LC_BUG("another state than was left");
    }
    memory_disk_deinit(&folder);
    memory_disk_deinit(&once);
    return 0;
}
