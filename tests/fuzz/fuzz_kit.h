/* What fuzz targets share. */
#ifndef FUZZ_KIT_H
#define FUZZ_KIT_H

#include "store/lc_store.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool fuzz_add_row(void *arg, lc_span row)
{
    uint64_t *digest = arg;
    *digest = lc_hash_u64(*digest ^ lc_hash_bytes(row.ptr, row.len));
    return true;
}

/* Of all rows in their order, and of the indexes that there are. */
static inline uint64_t fuzz_digest(const lc_store *s)
{
    uint64_t digest = 0;
    uint32_t at = 0;
    for (lc_table *t; (t = lc_store_next_table(s, &at));) {
        digest = lc_hash_u64(digest ^ lc_table_id(t));
        lc_table_scan(t, fuzz_add_row, &digest);
        lc_index *ix;
        for (uint32_t i = 0; (ix = lc_table_index(t, i)); i++)
            digest = lc_hash_u64(digest ^ lc_index_id(ix));
    }
    return digest;
}

static inline lc_buf fuzz_read_file(const char *path)
{
    lc_buf b = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    if (lc_disk_read_file(lc_disk_system(), path, &b, &err) != LC_OK)
        LC_BUG("%s", lc_error_text(&err));
    return b;
}

#endif
