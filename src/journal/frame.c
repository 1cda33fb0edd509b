/*
 * One commit on disk.
 *
 *   OFFSET   SIZE  FIELD
 *        0      8  offset of the first transaction in it
 *        8      8  epoch (version 1 only; version 0 has no such field and means 0)
 *       16      2  n, the number of transactions
 *       18      4  len
 *       22    len  n records, back to back
 *   22+len      4  CRC-32C of everything before
 */
#include "journal/journal_internal.h"

void lc_frame_decode(lc_frame *f, unsigned version, const uint8_t *header)
{
    f->offset = lc_load_u64(header);
    f->header = lc_frame_header_size(version);
    f->epoch = version == 0 ? 0 : lc_load_u64(header + 8);
    f->count = lc_load_u16(header + f->header - 6);
    f->len = lc_load_u32(header + f->header - 4);
    f->crc = 0;
}

bool lc_frame_check(lc_frame *f, const uint8_t *frame)
{
    size_t covered = (size_t)f->header + f->len;
    f->crc = lc_crc32c(0, frame, covered);
    return f->crc == lc_load_u32(frame + covered);
}

void lc_frame_put_header(uint8_t *frame, uint64_t offset, uint64_t epoch, uint32_t len)
{
    lc_store_u64(frame, offset);
    lc_store_u64(frame + 8, epoch);
    lc_store_u16(frame + 16, 1);
    lc_store_u32(frame + 18, len);
}

size_t lc_frame_complete(uint8_t *frame)
{
    size_t covered = (size_t)LC_FRAME_HEADER + lc_load_u32(frame + 18);
    lc_store_u32(frame + covered, lc_crc32c(0, frame, covered));
    return covered + LC_FRAME_CRC;
}
