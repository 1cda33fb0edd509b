/* Reads version 1 commit logs, unpacked and undamaged. */
#include "recorded.h"

#include <dirent.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

lc_buf read_file(const char *path)
{
    lc_buf data = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    assert_ok(lc_disk_read_file(lc_disk_system(), path, &data, &err), &err);
    return data;
}

/* One record of a version 1 log: flags, inputs, mutations, which end with the record when there is
 * one per commit. */
static void add_record(lc_span record, spans *out)
{
    const uint8_t *at = record.ptr;
    uint8_t flags = *at++;
    if (flags & 0x80) at += 4 + lc_load_u32(at);
    assert_false(flags & 0x40);
    if (flags & 0x20) spans_add(out, LC_SPAN(at, (size_t)(record.ptr + record.len - at)));
}

static void read_segment(lc_span segment, spans *out)
{
    assert_memory_equal(segment.ptr, "(ds)^2\1", 7);
    size_t at = 10;
    while (at + 22 <= segment.len) {
        assert_int_equal(lc_load_u16(segment.ptr + at + 16), 1);
        uint32_t len = lc_load_u32(segment.ptr + at + 18);
        uint32_t sum = lc_load_u32(segment.ptr + at + 22 + len);
        assert_int_equal(lc_crc32c(0, segment.ptr + at, 22 + len), sum);
        add_record(LC_SPAN(segment.ptr + at + 22, len), out);
        at += 22 + len + 4;
    }
}

spans read_log(const char *name)
{
    char *folder = lc_format(RECORDED "%s/clog_uncompressed", name);
    DIR *dir = opendir(folder);
    if (!dir) {
        lc_free(folder);
        folder = lc_format(RECORDED "%s/clog", name);
        dir = opendir(folder);
    }
    assert_non_null(dir);
    char *files[32];
    size_t count = 0;
    for (struct dirent *e; (e = readdir(dir));)
        if (strstr(e->d_name, ".stdb.log")) files[count++] = lc_strdup(e->d_name);
    closedir(dir);
    qsort(files, count, sizeof *files, by_name);

    spans records = {0};
    for (size_t i = 0; i < count; i++) {
        char *path = lc_format("%s/%s", folder, files[i]);
        lc_buf data = read_file(path);
        read_segment(lc_buf_span(&data), &records);
        lc_buf_deinit(&data);
        lc_free(path);
        lc_free(files[i]);
    }
    lc_free(folder);
    return records;
}

lc_store *replay_log(const char *name, uint32_t commits)
{
    spans records = read_log(name);
    lc_store *s = lc_store_create();
    lc_error err = LC_ERROR_INIT;
    lc_store_replay_begin(s);
    for (size_t i = 0; i < records.len && i < commits; i++) {
        size_t used;
        assert_ok(lc_store_replay_tx(s, records.items[i], &used, &err), &err);
        assert_int_equal(used, records.items[i].len);
    }
    assert_ok(lc_store_replay_end(s, &err), &err);
    spans_deinit(&records);
    return s;
}
