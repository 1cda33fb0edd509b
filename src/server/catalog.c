/* The catalog as a value, and its file: a signature, a checksum, BSATN. */
#include "server_internal.h"

static const char signature[8] = "LCCATLG1";

/* ----------------------------------------------------------------------- index */

static lc_span identity_span(const lc_identity *id)
{
    return LC_SPAN(id->bytes, sizeof id->bytes);
}

static void put_at(lc_map *m, lc_span key, size_t index)
{
    lc_map_put(m, key, (void *)(uintptr_t)(index + 1));
}

/* SIZE_MAX when absent. */
static size_t get_at(const lc_map *m, lc_span key)
{
    return (size_t)(uintptr_t)lc_map_get(m, key) - 1;
}

static void index_databases(lc_catalog *c)
{
    lc_map_deinit(&c->database_at);
    for (size_t i = 0; i < c->databases.len; i++)
        put_at(&c->database_at, identity_span(&c->databases.items[i].record.identity), i);
}

static void index_names(lc_catalog *c)
{
    lc_map_deinit(&c->name_at);
    for (size_t i = 0; i < c->names.len; i++) put_at(&c->name_at, c->names.items[i].text, i);
}

static void index_all(lc_catalog *c)
{
    index_databases(c);
    index_names(c);
    for (size_t i = 0; i < c->owners.len; i++) put_at(&c->owner_at, c->owners.items[i].text, i);
    for (size_t i = 0; i < c->balances.len; i++)
        put_at(&c->balance_at, identity_span(&c->balances.items[i].identity), i);
}

/* ------------------------------------------------------------------ life cycle */

lc_catalog *lc_records_create(void)
{
    lc_catalog *c = lc_alloc_zero(sizeof *c);
    c->next_id = 1;
    return c;
}

lc_catalog *lc_records_copy(lc_catalog *c)
{
    lc_catalog *copy = lc_records_create();
    copy->next_id = c->next_id;
    LC_VEC_EACH (d, &c->databases) lc_vec_push(&copy->databases, *d);
    LC_VEC_EACH (b, &c->balances) lc_vec_push(&copy->balances, *b);
    LC_VEC_EACH (r, &c->doomed) lc_vec_push(&copy->doomed, *r);
    LC_VEC_EACH (n, &c->names) {
        lc_catalog_name name = {lc_arena_copy(&copy->texts, n->text), n->identity};
        lc_vec_push(&copy->names, name);
    }
    LC_VEC_EACH (n, &c->owners) {
        lc_catalog_name name = {lc_arena_copy(&copy->texts, n->text), n->identity};
        lc_vec_push(&copy->owners, name);
    }
    index_all(copy);
    return copy;
}

void lc_records_destroy(lc_catalog *c)
{
    if (!c) return;
    lc_vec_deinit(&c->databases);
    lc_vec_deinit(&c->names);
    lc_vec_deinit(&c->owners);
    lc_vec_deinit(&c->balances);
    lc_vec_deinit(&c->doomed);
    lc_map_deinit(&c->database_at);
    lc_map_deinit(&c->name_at);
    lc_map_deinit(&c->owner_at);
    lc_map_deinit(&c->balance_at);
    lc_arena_deinit(&c->texts);
    lc_free(c);
}

/* --------------------------------------------------------------------- lookups */

lc_catalog_database *lc_records_find(lc_catalog *c, const lc_identity *database)
{
    size_t i = get_at(&c->database_at, identity_span(database));
    return i == SIZE_MAX ? NULL : &c->databases.items[i];
}

const lc_catalog_name *lc_records_name_find(lc_catalog *c, lc_span name)
{
    size_t i = get_at(&c->name_at, name);
    return i == SIZE_MAX ? NULL : &c->names.items[i];
}

const lc_catalog_name *lc_records_owner_find(lc_catalog *c, lc_span name)
{
    size_t i = get_at(&c->owner_at, name);
    return i == SIZE_MAX ? NULL : &c->owners.items[i];
}

lc_catalog_balance *lc_records_balance_find(lc_catalog *c, const lc_identity *id)
{
    size_t i = get_at(&c->balance_at, identity_span(id));
    return i == SIZE_MAX ? NULL : &c->balances.items[i];
}

/* --------------------------------------------------------------------- changes */

void lc_records_add(lc_catalog *c, const lc_catalog_database *d)
{
    put_at(&c->database_at, identity_span(&d->record.identity), c->databases.len);
    lc_vec_push(&c->databases, *d);
}

void lc_records_remove(lc_catalog *c, const lc_identity *database)
{
    size_t i = get_at(&c->database_at, identity_span(database));
    if (i == SIZE_MAX) return;
    lc_catalog_database *at = c->databases.items + i;
    memmove(at, at + 1, (--c->databases.len - i) * sizeof *at);
    index_databases(c);
}

void lc_records_add_name(lc_catalog *c, lc_span name, const lc_identity *database,
                         const lc_identity *owner)
{
    lc_catalog_name n = {lc_arena_copy(&c->texts, name), *database};
    put_at(&c->name_at, n.text, c->names.len);
    lc_vec_push(&c->names, n);
    if (lc_records_owner_find(c, name)) return;
    n.identity = *owner;
    put_at(&c->owner_at, n.text, c->owners.len);
    lc_vec_push(&c->owners, n);
}

void lc_records_drop_names(lc_catalog *c, const lc_identity *database)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->names.len; i++)
        if (!lc_identity_equal(&c->names.items[i].identity, database))
            c->names.items[kept++] = c->names.items[i];
    c->names.len = kept;
    index_names(c);
}

static __int128 wide(lc_i128 v)
{
    return (__int128)((unsigned __int128)(uint64_t)v.hi << 64 | v.lo);
}

void lc_records_add_balance(lc_catalog *c, const lc_identity *id, lc_i128 amount)
{
    lc_catalog_balance *b = lc_records_balance_find(c, id);
    if (!b) {
        put_at(&c->balance_at, identity_span(id), c->balances.len);
        lc_catalog_balance fresh = {.identity = *id};
        lc_vec_push(&c->balances, fresh);
        b = &c->balances.items[c->balances.len - 1];
    }
    __int128 old = wide(b->amount), more = wide(amount), sum;
    __int128 most = (__int128)(~(unsigned __int128)0 >> 1);
    if (__builtin_add_overflow(old, more, &sum)) sum = more < 0 ? -most - 1 : most;
    b->amount = (lc_i128){(uint64_t)sum, (int64_t)(sum >> 64)};
}

void lc_records_doom(lc_catalog *c, uint64_t replica)
{
    lc_vec_push(&c->doomed, replica);
}

void lc_records_undoom(lc_catalog *c, uint64_t replica)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->doomed.len; i++)
        if (c->doomed.items[i] != replica) c->doomed.items[kept++] = c->doomed.items[i];
    c->doomed.len = kept;
}

/* ------------------------------------------------------------------------ file */

static void put_identity(lc_buf *out, const lc_identity *id)
{
    lc_buf_put(out, id->bytes, sizeof id->bytes);
}

static void put_database(lc_buf *out, const lc_catalog_database *d)
{
    const lc_database_record *r = &d->record;
    lc_buf_put_u64(out, r->id);
    put_identity(out, &r->identity);
    put_identity(out, &r->owner);
    lc_buf_put_u8(out, r->host_type);
    lc_buf_put(out, r->initial_program, sizeof r->initial_program);
    lc_buf_put_u64(out, r->replica);
    lc_buf_put_u8(out, r->is_locked);
    lc_buf_put_u8(out, r->has_schedules);
    lc_buf_put(out, d->program, sizeof d->program);
    lc_buf_put_u8(out, d->program_kind);
}

void lc_records_encode(lc_catalog *c, lc_buf *out)
{
    lc_buf_put(out, signature, sizeof signature);
    size_t sum_at = out->len;
    lc_buf_put_u32(out, 0);
    lc_buf_put_u64(out, c->next_id);
    lc_buf_put_u32(out, (uint32_t)c->databases.len);
    LC_VEC_EACH (d, &c->databases) put_database(out, d);
    lc_buf_put_u32(out, (uint32_t)c->names.len);
    LC_VEC_EACH (n, &c->names) {
        lc_buf_put_lenstr(out, n->text);
        put_identity(out, &n->identity);
    }
    lc_buf_put_u32(out, (uint32_t)c->owners.len);
    LC_VEC_EACH (n, &c->owners) {
        lc_buf_put_lenstr(out, n->text);
        put_identity(out, &n->identity);
    }
    lc_buf_put_u32(out, (uint32_t)c->balances.len);
    LC_VEC_EACH (b, &c->balances) {
        put_identity(out, &b->identity);
        lc_buf_put_u64(out, b->amount.lo);
        lc_buf_put_u64(out, (uint64_t)b->amount.hi);
    }
    lc_buf_put_u32(out, (uint32_t)c->doomed.len);
    LC_VEC_EACH (r, &c->doomed) lc_buf_put_u64(out, *r);
    size_t body = sum_at + 4;
    lc_store_u32(out->ptr + sum_at, lc_crc32c(0, out->ptr + body, out->len - body));
}

static void read_into(lc_reader *r, void *out, size_t n)
{
    lc_span bytes = lc_read_fixed(r, n);
    if (bytes.len == n) memcpy(out, bytes.ptr, n);
}

static lc_catalog_database read_database(lc_reader *r)
{
    lc_catalog_database d = {0};
    d.record.id = lc_read_u64(r);
    read_into(r, d.record.identity.bytes, 32);
    read_into(r, d.record.owner.bytes, 32);
    d.record.host_type = lc_read_u8(r);
    read_into(r, d.record.initial_program, 32);
    d.record.replica = lc_read_u64(r);
    d.record.is_locked = lc_read_bool(r);
    d.record.has_schedules = lc_read_bool(r);
    read_into(r, d.program, 32);
    d.program_kind = lc_read_u8(r);
    return d;
}

static lc_catalog_name read_name(lc_reader *r, lc_arena *a)
{
    lc_catalog_name n = {.text = lc_arena_copy(a, lc_read_string(r))};
    read_into(r, n.identity.bytes, 32);
    return n;
}

static void read_body(lc_reader *r, lc_catalog *c)
{
    c->next_id = lc_read_u64(r);
    for (uint32_t n = lc_read_count(r, 8 + 32 + 32 + 1 + 32 + 8 + 2 + 33); n && !r->failed; n--)
        lc_vec_push(&c->databases, read_database(r));
    for (uint32_t n = lc_read_count(r, 36); n && !r->failed; n--)
        lc_vec_push(&c->names, read_name(r, &c->texts));
    for (uint32_t n = lc_read_count(r, 36); n && !r->failed; n--)
        lc_vec_push(&c->owners, read_name(r, &c->texts));
    for (uint32_t n = lc_read_count(r, 48); n && !r->failed; n--) {
        lc_catalog_balance b = {0};
        read_into(r, b.identity.bytes, 32);
        b.amount.lo = lc_read_u64(r);
        b.amount.hi = (int64_t)lc_read_u64(r);
        lc_vec_push(&c->balances, b);
    }
    for (uint32_t n = lc_read_count(r, 8); n && !r->failed; n--) {
        uint64_t replica = lc_read_u64(r);
        lc_vec_push(&c->doomed, replica);
    }
}

lc_status lc_records_decode(lc_span bytes, lc_catalog **out, lc_error *err)
{
    size_t head = sizeof signature + 4;
    if (bytes.len < head || memcmp(bytes.ptr, signature, sizeof signature) != 0)
        return lc_error_set(err, LC_E_CORRUPT, "not a catalog of this server's format");
    lc_span body = LC_SPAN(bytes.ptr + head, bytes.len - head);
    if (lc_crc32c(0, body.ptr, body.len) != lc_load_u32(bytes.ptr + sizeof signature))
        return lc_error_set(err, LC_E_CORRUPT, "the checksum is wrong");
    lc_catalog *c = lc_records_create();
    lc_reader r = lc_reader_of(body, err);
    read_body(&r, c);
    if (!r.failed && r.at != r.end) lc_read_fail(&r, "%zu bytes too many", (size_t)(r.end - r.at));
    if (r.failed) {
        if (err) err->code = LC_E_CORRUPT;
        lc_records_destroy(c);
        return LC_E_CORRUPT;
    }
    index_all(c);
    *out = c;
    return LC_OK;
}
