/*
 * One transaction's record in the log: flags, inputs, mutations (05 section 3.4).
 */
#include "storage/storage_internal.h"

#include "sats/lc_sats.h"

enum {
    HAS_INPUTS = 0x80,
    HAS_OUTPUTS = 0x40,
    HAS_MUTATIONS = 0x20,
    NAME_MAX_BYTES = 255,
    CALLER_BYTES = sizeof(lc_identity) + sizeof(lc_connection_id) + 8,
};

/* The name as the log keeps it, cut at a character border. */
static lc_span cut_name(lc_span name)
{
    if (name.len <= NAME_MAX_BYTES) return name;
    size_t n = NAME_MAX_BYTES;
    while (n > 0 && (name.ptr[n] & 0xc0) == 0x80) n--;
    return LC_SPAN(name.ptr, n);
}

void lc_log_record_encode(const lc_log_inputs *in, const lc_delta *delta, lc_buf *out)
{
    if (in->name.len) {
        lc_span name = cut_name(in->name);
        size_t len = 1 + name.len + CALLER_BYTES + in->args.len;
        lc_buf_put_u8(out, HAS_INPUTS | HAS_MUTATIONS);
        lc_buf_put_u32(out, (uint32_t)len);
        lc_buf_put_u8(out, (uint8_t)name.len);
        lc_buf_put_span(out, name);
        lc_buf_put(out, in->caller.bytes, sizeof in->caller.bytes);
        lc_buf_put(out, in->connection.bytes, sizeof in->connection.bytes);
        lc_buf_put_u64(out, (uint64_t)in->timestamp);
        lc_buf_put_span(out, in->args);
    } else {
        lc_buf_put_u8(out, HAS_MUTATIONS);
    }
    lc_delta_encode(delta, out);
}

static bool read_inputs(lc_span bytes, lc_log_inputs *in)
{
    if (bytes.len < 1) return false;
    size_t name = bytes.ptr[0];
    if (bytes.len < 1 + name + CALLER_BYTES) return false;
    const uint8_t *at = bytes.ptr + 1;
    in->name = LC_SPAN(at, name);
    at += name;
    memcpy(in->caller.bytes, at, sizeof in->caller.bytes);
    at += sizeof in->caller.bytes;
    memcpy(in->connection.bytes, at, sizeof in->connection.bytes);
    at += sizeof in->connection.bytes;
    in->timestamp = (int64_t)lc_load_u64(at);
    at += 8;
    in->args = LC_SPAN(at, (size_t)(bytes.ptr + bytes.len - at));
    return true;
}

lc_status lc_log_record_decode(lc_span record, lc_log_record *out, lc_error *err)
{
    *out = (lc_log_record){0};
    lc_reader r = lc_reader_of(record, err);
    uint8_t flags = lc_read_u8(&r);
    lc_span inputs = flags & HAS_INPUTS ? lc_read_bytes(&r) : LC_SPAN_EMPTY;
    if (flags & HAS_OUTPUTS) lc_read_fixed(&r, lc_read_u8(&r));
    if (r.failed) {
        if (err) err->code = LC_E_CORRUPT;
        return LC_E_CORRUPT;
    }
    out->has_inputs = flags & HAS_INPUTS && read_inputs(inputs, &out->inputs);
    out->has_mutations = flags & HAS_MUTATIONS;
    out->mutations = LC_SPAN(r.at, (size_t)(r.end - r.at));
    return LC_OK;
}

lc_status lc_log_record_replay(lc_store *store, uint64_t offset, lc_span record, lc_error *err)
{
    lc_log_record r;
    lc_status rc = lc_log_record_decode(record, &r, err);
    size_t used;
    if (rc == LC_OK && r.has_mutations) rc = lc_store_replay_tx(store, r.mutations, &used, err);
    if (rc != LC_OK) lc_error_prefix(err, "transaction %llu: ", (unsigned long long)offset);
    return rc;
}
