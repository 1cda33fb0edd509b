/* Identities and connection ids: little-endian bytes, big-endian text (01 sections 5.3 and 5.4). */
#include "sats_internal.h"

lc_identity lc_identity_derive(lc_span issuer, lc_span subject)
{
    /* 2 bytes of prefix, 4 of checksum, 26 of the hash of who it is. */
    uint8_t big_endian[32] = {0xc2, 0x00};
    uint8_t digest[32], checked[28] = {0xc2, 0x00};
    lc_buf text = LC_BUF_INIT;
    lc_buf_put_span(&text, issuer);
    lc_buf_put_u8(&text, '|');
    lc_buf_put_span(&text, subject);
    lc_blake3(text.ptr, text.len, digest);
    lc_buf_deinit(&text);
    memcpy(checked + 2, digest, 26);
    memcpy(big_endian + 6, digest, 26);
    lc_blake3(checked, sizeof checked, digest);
    memcpy(big_endian + 2, digest, 4);

    lc_identity id;
    for (int i = 0; i < 32; i++) id.bytes[i] = big_endian[31 - i];
    return id;
}

void lc_identity_to_hex(const lc_identity *id, char out[LC_IDENTITY_HEX + 1])
{
    lc_hex_big_endian(id->bytes, sizeof id->bytes, out);
    out[LC_IDENTITY_HEX] = 0;
}

void lc_connection_id_to_hex(const lc_connection_id *id, char out[LC_CONNECTION_ID_HEX + 1])
{
    lc_hex_big_endian(id->bytes, sizeof id->bytes, out);
    out[LC_CONNECTION_ID_HEX] = 0;
}

static lc_status parse(lc_span text, uint8_t *out, size_t size, lc_error *err)
{
    uint8_t big_endian[32];
    if (text.len >= 2 && text.ptr[0] == '0' && text.ptr[1] == 'x')
        text = LC_SPAN(text.ptr + 2, text.len - 2);
    lc_status st = lc_hex_parse(text, big_endian, size, err);
    if (st != LC_OK) return st;
    for (size_t i = 0; i < size; i++) out[i] = big_endian[size - 1 - i];
    return LC_OK;
}

lc_status lc_identity_parse(lc_span text, lc_identity *out, lc_error *err)
{
    return parse(text, out->bytes, sizeof out->bytes, err);
}

lc_status lc_connection_id_parse(lc_span text, lc_connection_id *out, lc_error *err)
{
    lc_status st = parse(text, out->bytes, sizeof out->bytes, err);
    if (st == LC_OK) return st;
    return lc_error_prefix(err, "ConnectionIds must be 32 hex characters (16 bytes) in length.: ");
}

bool lc_identity_equal(const lc_identity *a, const lc_identity *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool lc_identity_is_zero(const lc_identity *id)
{
    static const lc_identity zero;
    return lc_identity_equal(id, &zero);
}

bool lc_connection_id_is_zero(const lc_connection_id *id)
{
    static const lc_connection_id zero;
    return memcmp(id->bytes, zero.bytes, sizeof zero.bytes) == 0;
}

lc_connection_id lc_connection_id_random(const lc_random *random)
{
    lc_connection_id id;
    do random->fill(random->self, id.bytes, sizeof id.bytes);
    while (lc_connection_id_is_zero(&id)); /* zero means "none" on the wire */
    return id;
}
