/* Short ways to write and read test logs. */
#include "journal_test.h"

void test_records_deinit(test_records *r)
{
    LC_VEC_EACH (b, r) lc_buf_deinit(b);
    lc_vec_deinit(r);
}

static lc_status replay(void *arg, uint64_t offset, lc_span record, lc_error *err)
{
    (void)err;
    test_log *l = arg;
    if (l->records.len == 0) l->first_offset = offset;
    assert_int_equal(offset, l->first_offset + l->records.len);
    lc_buf copy = LC_BUF_INIT;
    lc_buf_put_span(&copy, record);
    lc_vec_push(&l->records, copy);
    return LC_OK;
}

static void on_durable(void *arg, uint64_t count)
{
    test_log *l = arg;
    assert_true(count > l->durable);
    l->durable = count;
    l->durable_calls++;
}

static void on_failed(void *arg, const lc_error *err)
{
    test_log *l = arg;
    l->failed_calls++;
    lc_free(l->failure);
    l->failure = lc_strdup(lc_error_text(err));
}

lc_status test_log_open(test_log *l, memory_disk *d, const lc_journal_options *options)
{
    *l = (test_log){0};
    lc_journal_options o = {.max_segment_size = 1024 * 1024}; /* so that the index is small */
    if (options) o = *options;
    o.folder = TEST_FOLDER;
    o.disk = &d->disk;
    o.is_stepped = true;
    o.on_durable = on_durable;
    o.on_failed = on_failed;
    o.arg = l;
    return lc_journal_open(&o, replay, l, &l->journal, &l->stats, &l->err);
}

/* Never with 512 zeros in a row, so that no sector of it looks unwritten. */
void test_record(lc_buf *out, uint64_t offset, size_t size)
{
    uint64_t state = offset * 7919 + 1;
    for (size_t i = 0; i < size; i++)
        lc_buf_put_u8(out, i % 5 == 0 ? 0 : (uint8_t)lc_test_random(&state));
}

void test_log_append(test_log *l, uint64_t offset, size_t size)
{
    lc_buf *b = lc_journal_record_begin(l->journal);
    test_record(b, offset, size);
    assert_int_equal(lc_journal_record_end(l->journal), offset);
}

void test_log_flush(test_log *l)
{
    lc_journal_submit(l->journal);
    while (lc_journal_step(l->journal)) {
    }
}

void test_log_kill(test_log *l, memory_disk *d)
{
    /* Whatever closing wants to write fails. */
    d->ops = 0;
    d->fail_at = 1;
    d->fail_kinds = 0;
    d->fail_once = false;
    lc_log_set_level(LC_LOG_ERROR);
    test_log_end(l);
    d->fail_at = 0;
}

void test_log_end(test_log *l)
{
    if (l->journal) lc_journal_close(l->journal);
    test_records_deinit(&l->records);
    lc_error_clear(&l->err);
    lc_free(l->failure);
    *l = (test_log){0};
}

void test_log_check(const test_log *l)
{
    for (size_t i = 0; i < l->records.len; i++) {
        lc_buf want = LC_BUF_INIT;
        test_record(&want, l->first_offset + i, l->records.items[i].len);
        assert_span_equal(lc_buf_span(&l->records.items[i]), lc_buf_span(&want));
        lc_buf_deinit(&want);
    }
}
