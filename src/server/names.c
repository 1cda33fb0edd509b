/* Database names and identities in URLs (04 sections 2.0 and 4.1). */
#include "server_internal.h"

bool lc_identity_in_path(lc_span segment, lc_identity *out)
{
    if (segment.len == LC_IDENTITY_HEX + 2 &&
        (memcmp(segment.ptr, "0x", 2) == 0 || memcmp(segment.ptr, "X'", 2) == 0))
        segment = LC_SPAN(segment.ptr + 2, segment.len - 2);
    if (segment.len != LC_IDENTITY_HEX) return false;
    uint8_t big_endian[32];
    if (!lc_hex_decode(segment, big_endian)) return false;
    for (int i = 0; i < 32; i++) out->bytes[i] = big_endian[31 - i];
    return true;
}

/* Longer than anything seen; a limit so that one request cannot fill the catalog. */
enum { NAME_MAX_BYTES = 255 };

lc_status lc_database_name_check(lc_span name, lc_error *err)
{
    lc_identity id;
    if (lc_identity_in_path(name, &id))
        return lc_error_set(err, LC_E_INVALID, "database names cannot be identities");
    if (name.len == 0) return lc_error_set(err, LC_E_INVALID, "database names cannot be empty");
    bool needs_word = true; /* at the start and behind a hyphen */
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (needs_word && !is_word && (i > 0 || c == '-'))
            return lc_error_set(err, LC_E_INVALID, "invalid hyphen in database name");
        if (!is_word && c != '-')
            return lc_error_set(err, LC_E_INVALID, "invalid characters in database name");
        needs_word = c == '-';
    }
    if (needs_word) return lc_error_set(err, LC_E_INVALID, "invalid hyphen in database name");
    if (name.len > NAME_MAX_BYTES)
        return lc_error_set(err, LC_E_INVALID, "database names cannot be longer than %d characters",
                            NAME_MAX_BYTES);
    return LC_OK;
}
