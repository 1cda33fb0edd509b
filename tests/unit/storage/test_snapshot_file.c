/* The format of a snapshot file: byte by byte, and what becomes of one that is damaged, cut,
 * foreign or made to hurt. */
#include "storage_test.h"

#define FOLDER "/db"
#define PATH   "/db/snapshots/00000000000000000042.lcsnap"

static const lc_snapshot_header header = {42, 1700000000000000};

/* A chunk of one table with rows of 4 bytes. */
static void put_chunk(lc_buf *out, uint32_t table, uint32_t rows)
{
    lc_buf_put_u32(out, table);
    lc_buf_put_u32(out, rows);
    lc_buf_put_u8(out, 0);
    for (uint32_t i = 0; i < rows; i++) lc_buf_put_u32(out, i);
}

static void write_chunk(lc_snapshot_writer *w, uint32_t table, uint32_t rows)
{
    lc_error err = LC_ERROR_INIT;
    put_chunk(lc_snapshot_writer_begin(w), table, rows);
    assert_ok(lc_snapshot_writer_end(w, &err), &err);
}

/* Three blocks of two tables. */
static void write_file(memory_disk *d)
{
    lc_snapshot_writer w;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_snapshot_writer_open(&w, &d->disk, FOLDER, &header, &err), &err);
    write_chunk(&w, 4096, 3);
    write_chunk(&w, 4096, 2);
    write_chunk(&w, 4097, 1);
    assert_ok(lc_snapshot_writer_finish(&w, &err), &err);
}

typedef struct outcome {
    lc_status status;
    lc_error err;
    uint32_t chunks;
    lc_snapshot_totals totals;
    uint32_t tables;
} outcome;

static outcome read_file(memory_disk *d)
{
    outcome o = {.err = LC_ERROR_INIT};
    lc_snapshot_reader r;
    o.status = lc_snapshot_reader_open(&r, &d->disk, PATH, NULL, &o.err);
    if (o.status != LC_OK) return o;
    while (o.status == LC_OK && !r.has_ended) {
        lc_span chunk;
        o.status = lc_snapshot_reader_next(&r, &chunk, &o.err);
        if (chunk.len) o.chunks++;
    }
    o.totals = r.totals;
    o.tables = r.tables;
    lc_snapshot_reader_close(&r);
    return o;
}

static void assert_refused(memory_disk *d, lc_status status, const char *text)
{
    outcome o = read_file(d);
    assert_int_equal(o.status, status);
    assert_int_equal(o.err.code, status);
    assert_non_null(strstr(lc_error_text(&o.err), PATH));
    if (text && !strstr(lc_error_text(&o.err), text)) fail_msg("%s", lc_error_text(&o.err));
    lc_error_clear(&o.err);
}

LC_TEST(what_was_written_is_read)
{
    memory_disk d;
    memory_disk_init(&d);
    write_file(&d);
    assert_null(memory_disk_file(&d, PATH ".tmp"));
    outcome o = read_file(&d);
    assert_ok(o.status, &o.err);
    assert_int_equal(o.chunks, 3);
    assert_int_equal(o.totals.rows, 6);
    assert_int_equal(o.totals.blocks, 3);
    assert_int_equal(o.totals.bytes, 3 * 9 + 6 * 4);
    assert_int_equal(o.tables, 2);
    memory_disk_deinit(&d);
}

/* The README's example. */
LC_TEST(the_format_is_as_documented)
{
    memory_disk d;
    memory_disk_init(&d);
    lc_snapshot_writer w;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_snapshot_writer_open(&w, &d.disk, FOLDER, &header, &err), &err);
    write_chunk(&w, 4096, 1);
    assert_ok(lc_snapshot_writer_finish(&w, &err), &err);
    const lc_buf *file = memory_disk_file(&d, PATH);
    char hex[512] = {0};
    assert_true(file->len * 2 < sizeof hex);
    lc_hex_encode(file->ptr, file->len, hex);
    assert_string_equal(hex, "4c43534e41500d0a" /* LCSNAP\r\n */
                             "01000000"         /* version */
                             "00000000"
                             "2a00000000000000" /* 42 transactions */
                             "00401e18240a0600" /* taken at */
                             "da01ba4c"
                             "0d00000000000000" /* a block of 13 bytes */
                             "01000000"         /* rows */
                             "d3bd68b2"
                             "00100000"         /* table 4096 */
                             "01000000"         /* one row */
                             "00"               /* flags */
                             "00000000"         /* the row */
                             "1800000000000000" /* a block of 24 bytes */
                             "02000000"         /* the end */
                             "96731e70"
                             "0100000000000000"   /* blocks */
                             "0d00000000000000"   /* bytes in them */
                             "0100000000000000"); /* rows */
    memory_disk_deinit(&d);
}

LC_TEST(a_cut_file_is_noticed)
{
    memory_disk d;
    memory_disk_init(&d);
    write_file(&d);
    lc_buf *file = memory_disk_file(&d, PATH);
    size_t whole = file->len;
    for (size_t n = 0; n < whole; n++) {
        file->len = n;
        assert_refused(&d, LC_E_CORRUPT, NULL);
    }
    file->len = whole;
    lc_buf_put_u8(file, 0);
    assert_refused(&d, LC_E_CORRUPT, "something follows the end");
    memory_disk_deinit(&d);
}

LC_TEST(every_flipped_bit_is_noticed)
{
    memory_disk d;
    memory_disk_init(&d);
    write_file(&d);
    lc_buf *file = memory_disk_file(&d, PATH);
    for (size_t i = 0; i < file->len * 8; i++) {
        file->ptr[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_refused(&d, LC_E_CORRUPT, NULL);
        file->ptr[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    outcome o = read_file(&d);
    assert_ok(o.status, &o.err);
    memory_disk_deinit(&d);
}

LC_TEST(a_block_at_another_place_does_not_fit)
{
    memory_disk d;
    memory_disk_init(&d);
    write_file(&d);
    lc_buf *file = memory_disk_file(&d, PATH);
    /* The first block is gone: all checksums are of real blocks of this very file. */
    size_t first = 16 + 9 + 12;
    memmove(file->ptr + 36, file->ptr + 36 + first, file->len - 36 - first);
    file->len -= first;
    assert_refused(&d, LC_E_CORRUPT, "position 36: the checksum of a block");
    memory_disk_deinit(&d);
}

/* A file with the right header and checksums, whatever it says. */
static void put_crafted(memory_disk *d, uint32_t kind, uint64_t len, lc_span bytes)
{
    uint8_t h[LC_SNAPSHOT_HEADER], head[LC_SNAPSHOT_BLOCK];
    uint32_t chain;
    lc_buf file = LC_BUF_INIT;
    lc_snapshot_header_put(h, &header, &chain);
    lc_buf_put(&file, h, sizeof h);
    lc_store_u64(head, len);
    lc_store_u32(head + 8, kind);
    lc_store_u32(head + 12, lc_crc32c(lc_crc32c(chain, head, 12), bytes.ptr, bytes.len));
    lc_buf_put(&file, head, sizeof head);
    lc_buf_put_span(&file, bytes);
    memory_disk_put(d, PATH, file.ptr, file.len);
    lc_buf_deinit(&file);
}

LC_TEST(hostile_lengths_cost_nothing)
{
    memory_disk d;
    memory_disk_init(&d);
    static const uint64_t lengths[] = {1, 8, 9, UINT32_MAX, 1ull << 40, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < LC_ARRAY_LEN(lengths); i++) {
        put_crafted(&d, LC_SNAPSHOT_ROWS, lengths[i], LC_SPAN_EMPTY);
        assert_refused(&d, LC_E_CORRUPT, "position 36: a block says it is longer");
    }
    put_crafted(&d, LC_SNAPSHOT_ROWS, 8, LC_STR("12345678")); /* too short for a chunk */
    assert_refused(&d, LC_E_CORRUPT, "unknown kind");
    put_crafted(&d, 3, 9, LC_STR("123456789"));
    assert_refused(&d, LC_E_CORRUPT, "unknown kind");
    put_crafted(&d, LC_SNAPSHOT_TOTALS, 9, LC_STR("123456789"));
    assert_refused(&d, LC_E_CORRUPT, "totals");
    uint8_t totals[LC_SNAPSHOT_END];
    lc_snapshot_totals_put(totals, &(lc_snapshot_totals){0, 0, 1});
    put_crafted(&d, LC_SNAPSHOT_TOTALS, sizeof totals, LC_SPAN(totals, sizeof totals));
    assert_refused(&d, LC_E_CORRUPT, "totals");
    memory_disk_deinit(&d);
}

LC_TEST(foreign_files_are_named)
{
    memory_disk d;
    memory_disk_init(&d);
    outcome o = read_file(&d);
    assert_int_equal(o.status, LC_E_NOT_FOUND);
    lc_error_clear(&o.err);
    char zeros[100] = {0};
    memory_disk_put(&d, PATH, zeros, sizeof zeros);
    assert_refused(&d, LC_E_CORRUPT, "not a snapshot");

    uint8_t h[LC_SNAPSHOT_HEADER];
    uint32_t chain;
    lc_snapshot_header_put(h, &header, &chain);
    lc_store_u32(h + 8, 2);
    lc_store_u32(h + 32, lc_crc32c(0, h, 32));
    memory_disk_put(&d, PATH, h, sizeof h);
    assert_refused(&d, LC_E_UNSUPPORTED, "version 2");
    memory_disk_deinit(&d);
}

/* Whatever fails while writing: the error is told, and no file with a snapshot's name stays. */
LC_TEST(a_failing_disk_leaves_nothing)
{
    for (uint64_t fail_at = 1;; fail_at++) {
        memory_disk d;
        memory_disk_init(&d);
        d.fail_at = fail_at;
        d.fail_once = true;
        lc_snapshot_writer w;
        lc_error err = LC_ERROR_INIT;
        lc_status rc = lc_snapshot_writer_open(&w, &d.disk, FOLDER, &header, &err);
        if (rc == LC_OK) {
            put_chunk(lc_snapshot_writer_begin(&w), 1, 3000000); /* more than a sync step */
            rc = lc_snapshot_writer_end(&w, &err);
        }
        if (rc == LC_OK) rc = lc_snapshot_writer_finish(&w, &err);
        if (rc == LC_OK) {
            assert_true(fail_at > 6);
            assert_non_null(memory_disk_file(&d, PATH));
            memory_disk_deinit(&d);
            break;
        }
        assert_int_equal(rc, LC_E_IO);
        lc_error_clear(&err);
        lc_snapshot_writer_abandon(&w);
        assert_null(memory_disk_file(&d, PATH));
        assert_null(memory_disk_file(&d, PATH ".tmp"));
        memory_disk_deinit(&d);
    }
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(what_was_written_is_read), cmocka_unit_test(the_format_is_as_documented),
        cmocka_unit_test(a_cut_file_is_noticed), cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_block_at_another_place_does_not_fit),
        cmocka_unit_test(hostile_lengths_cost_nothing), cmocka_unit_test(foreign_files_are_named),
        cmocka_unit_test(a_failing_disk_leaves_nothing));
}
