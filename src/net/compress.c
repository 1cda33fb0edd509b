/*
 * Compression of outgoing messages: speed before ratio (brotli quality 1, gzip level 1).
 */
#include "net/lc_net.h"

#include <brotli/encode.h>
#include <limits.h>
#include <zlib.h>

enum {
    BROTLI_QUALITY = 1,
    GZIP_LEVEL = 1,
    GZIP_WINDOW = 15 + 16,
    GZIP_MEMORY = 8,
    MAX_PART = 1 << 30
};

void lc_compress_brotli(lc_span in, lc_buf *out)
{
    size_t room = BrotliEncoderMaxCompressedSize(in.len);
    if (room == 0) room = in.len + 1024; /* above 2 GB the library does not say */
    uint8_t *at = lc_buf_reserve(out, room);
    if (!BrotliEncoderCompress(BROTLI_QUALITY, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, in.len,
                               in.ptr, &room, at))
        LC_BUG("brotli refused %zu bytes", in.len);
    out->len += room;
}

void lc_compress_gzip(lc_span in, lc_buf *out)
{
    z_stream z = {0};
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        LC_BUG("zlib cannot start");
    size_t room = deflateBound(&z, in.len);
    z.next_out = lc_buf_reserve(out, room);
    z.next_in = (Bytef *)in.ptr;
    int rc = Z_OK;
    for (size_t left = in.len; rc == Z_OK;) { /* zlib counts in 32 bits */
        uInt part = left < MAX_PART ? (uInt)left : MAX_PART;
        size_t room_left = room - z.total_out;
        z.avail_in = part;
        z.avail_out = room_left < UINT_MAX ? (uInt)room_left : UINT_MAX;
        left -= part;
        rc = deflate(&z, left ? Z_NO_FLUSH : Z_FINISH);
        left += z.avail_in;
    }
    if (rc != Z_STREAM_END) LC_BUG("zlib refused %zu bytes", in.len);
    out->len += z.total_out;
    deflateEnd(&z);
}
