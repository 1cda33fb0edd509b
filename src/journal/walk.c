/* Reading a folder for tools, backups and tests: the scan of recovery without what follows it. */
#include "journal/journal_internal.h"

static lc_status scan_for(const lc_scan_options *o, lc_journal_stats *stats, lc_error *err)
{
    lc_scan scan;
    lc_status rc = lc_scan_folder(o, &scan, err);
    if (stats) *stats = scan.stats;
    lc_scan_deinit(&scan);
    return rc;
}

lc_status lc_journal_walk(const char *folder, const lc_disk *disk, const lc_journal_reading *r,
                          lc_journal_stats *stats, lc_error *err)
{
    lc_scan_options o = {
        .disk = disk ? disk : lc_disk_system(),
        .folder = folder,
        .from = r->from,
        .to = r->to,
        .commit = r->commit,
        .segment = r->segment,
        .arg = r->arg,
    };
    return scan_for(&o, stats, err);
}

lc_status lc_journal_read(const char *folder, const lc_disk *disk, lc_journal_replay each,
                          void *arg, lc_journal_stats *stats, lc_error *err)
{
    lc_scan_options o = {
        .disk = disk ? disk : lc_disk_system(),
        .folder = folder,
        .to = UINT64_MAX,
        .is_replay = true,
        .replay = each,
        .arg = arg,
    };
    return scan_for(&o, stats, err);
}
