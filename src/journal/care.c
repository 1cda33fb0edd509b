/* The care of old segments: which of them may be sealed or removed, beside a running writer. The
 * newest is the writer's own and never touched; a segment's last transaction is the one before the
 * next segment's name. */
#include "journal/journal_internal.h"

/* Sealing is for segments that are plain and not empty. */
static lc_status can_be_sealed(const lc_disk *disk, const char *folder, uint64_t first, bool *can,
                               lc_error *err)
{
    char *path = lc_segment_path(folder, first, "log");
    lc_source s;
    lc_status rc = lc_source_open(&s, disk, path, err);
    if (rc == LC_OK) {
        *can = !s.unpacker && s.size > LC_SEGMENT_HEADER;
        lc_source_close(&s);
    }
    lc_free(path);
    return rc;
}

lc_status lc_journal_seal(const char *folder, const lc_disk *disk, uint64_t before,
                          const atomic_bool *stop, bool *did, lc_error *err)
{
    if (!disk) disk = lc_disk_system();
    *did = false;
    lc_segment_list list = {0};
    lc_status rc = lc_segment_find(disk, folder, "log", &list, err);
    bool can = false;
    for (size_t i = 0; rc == LC_OK && !can && i + 1 < list.len && list.items[i + 1] <= before;
         i++) {
        rc = can_be_sealed(disk, folder, list.items[i], &can, err);
        if (can) rc = lc_segment_seal(disk, folder, list.items[i], stop, did, err);
    }
    lc_vec_deinit(&list);
    return rc;
}

lc_status lc_journal_remove(const char *folder, const lc_disk *disk, uint64_t before, bool *did,
                            lc_error *err)
{
    if (!disk) disk = lc_disk_system();
    *did = false;
    lc_segment_list list = {0};
    lc_status rc = lc_segment_find(disk, folder, "log", &list, err);
    if (rc == LC_OK && list.len > 1 && list.items[1] <= before) {
        int io = lc_segment_remove(disk, folder, list.items[0]);
        /* Synced each time, so that never a later one is gone and an earlier one still there. */
        if (io >= 0) io = disk->sync_dir(disk->self, folder);
        *did = io >= 0;
        if (io < 0) rc = lc_segment_io_error(err, "remove a segment of", folder, io);
    }
    lc_vec_deinit(&list);
    return rc;
}
