/*
 * Names: which ones are identifiers (01 section 9.3), and how a source name becomes snake_case,
 * PascalCase or camelCase (9.4). Words are found over grapheme clusters with full case mapping.
 */
#include "schema/schema_internal.h"

#include <unicase.h>
#include <unictype.h>
#include <unigbrk.h>
#include <uninorm.h>
#include <unistr.h>

#include "schema/xid_table.h"

/* ------------------------------------------------------------ identifiers */

static bool in_ranges(uint32_t c, const lc_char_range *ranges, size_t count)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > ranges[mid].last)
            low = mid + 1;
        else if (c < ranges[mid].first)
            high = mid;
        else
            return true;
    }
    return false;
}

static bool is_start(ucs4_t c)
{
    return c == '_' || uc_is_property_xid_start(c) ||
           in_ranges(c, lc_xid_start_later, LC_ARRAY_LEN(lc_xid_start_later));
}

static bool is_continue(ucs4_t c)
{
    return uc_is_property_xid_continue(c) ||
           in_ranges(c, lc_xid_continue_later, LC_ARRAY_LEN(lc_xid_continue_later));
}

static bool is_ascii(lc_span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 0x80) return false;
    return true;
}

static bool is_nfc(lc_span name)
{
    if (is_ascii(name)) return true;
    size_t len = 0;
    uint8_t *normal = u8_normalize(UNINORM_NFC, name.ptr, name.len, NULL, &len);
    if (!normal) return false;
    bool same = lc_span_equal(name, LC_SPAN(normal, len));
    free(normal);
    return same;
}

/* Appends text; NUL, which an error text cannot hold, as its picture U+2400. */
static void put_visible(lc_buf *out, lc_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i])
            lc_buf_put_u8(out, text.ptr[i]);
        else
            lc_buf_put_str(out, "\xe2\x90\x80");
    }
}

/* at/len: the offending character within name, len 0 = none. */
static lc_status bad_identifier(lc_error *err, lc_span name, size_t at, size_t len,
                                const char *before, const char *after)
{
    lc_buf text = LC_BUF_INIT;
    lc_buf_put_str(&text, "Identifier `");
    put_visible(&text, name);
    lc_buf_put_str(&text, before);
    if (len) put_visible(&text, LC_SPAN(name.ptr + at, len));
    lc_buf_put_str(&text, after);
    lc_status st = lc_error_set(err, LC_E_INVALID, LC_SPAN_FMT, LC_SPAN_ARG(text));
    lc_buf_deinit(&text);
    return st;
}

lc_identifier_fault lc_identifier_fault_of(lc_span name, lc_error *err)
{
    if (name.len == 0) {
        lc_error_set(err, LC_E_INVALID, "Empty identifiers are forbidden.");
        return LC_IDENTIFIER_EMPTY;
    }
    if (!is_nfc(name)) {
        bad_identifier(err, name, 0, 0,
                       "` is not in normalization form C according to Unicode Standard Annex 15 "
                       "(http://www.unicode.org/reports/tr15/) and cannot be used for entities in "
                       "a module.",
                       "");
        return LC_IDENTIFIER_NOT_NFC;
    }
    ucs4_t c = 0;
    for (size_t at = 0; at < name.len;) {
        int len = u8_mbtouc(&c, name.ptr + at, name.len - at);
        if (at == 0 && !is_start(c)) {
            bad_identifier(err, name, at, (size_t)len, "`'s starting character '",
                           "' is neither an underscore ('_') nor a Unicode XID_start character "
                           "(according to Unicode Standard Annex 31, "
                           "https://www.unicode.org/reports/tr31/) and cannot be used for entities "
                           "in a module.");
            return LC_IDENTIFIER_BAD_START;
        }
        if (at > 0 && !is_continue(c)) {
            bad_identifier(err, name, at, (size_t)len, "` contains a character '",
                           "' that is not an XID_continue character (according to Unicode Standard "
                           "Annex 31, https://www.unicode.org/reports/tr31/) and cannot be used "
                           "for entities in a module.");
            return LC_IDENTIFIER_BAD_CONTINUE;
        }
        at += (size_t)len;
    }
    return LC_IDENTIFIER_OK;
}

lc_status lc_identifier_check(lc_span name, lc_error *err)
{
    return lc_identifier_fault_of(name, err) == LC_IDENTIFIER_OK ? LC_OK : LC_E_INVALID;
}

/* --------------------------------------------------------- case conversion */

typedef enum lc_letter { LETTER_OTHER, LETTER_UPPER, LETTER_LOWER, LETTER_DIGIT } lc_letter;

typedef enum lc_mapping { MAP_LOWER, MAP_UPPER } lc_mapping;

static void put_mapped(lc_span text, lc_mapping mapping, lc_buf *out)
{
    if (is_ascii(text)) {
        for (size_t i = 0; i < text.len; i++) {
            uint8_t c = text.ptr[i];
            if (mapping == MAP_LOWER && c >= 'A' && c <= 'Z') c += 'a' - 'A';
            if (mapping == MAP_UPPER && c >= 'a' && c <= 'z') c -= 'a' - 'A';
            lc_buf_put_u8(out, c);
        }
        return;
    }
    size_t len = 0;
    uint8_t *mapped = mapping == MAP_LOWER ? u8_tolower(text.ptr, text.len, NULL, NULL, NULL, &len)
                                           : u8_toupper(text.ptr, text.len, NULL, NULL, NULL, &len);
    lc_buf_put(out, mapped, len);
    free(mapped);
}

static lc_letter letter_of(lc_span grapheme)
{
    if (grapheme.len == 1) {
        uint8_t c = grapheme.ptr[0];
        if (c >= 'a' && c <= 'z') return LETTER_LOWER;
        if (c >= 'A' && c <= 'Z') return LETTER_UPPER;
        return c >= '0' && c <= '9' ? LETTER_DIGIT : LETTER_OTHER;
    }
    lc_buf lower = LC_BUF_INIT, upper = LC_BUF_INIT;
    put_mapped(grapheme, MAP_LOWER, &lower);
    put_mapped(grapheme, MAP_UPPER, &upper);
    lc_letter letter = LETTER_OTHER;
    if (!lc_span_equal(lc_buf_span(&lower), lc_buf_span(&upper))) {
        if (lc_span_equal(grapheme, lc_buf_span(&upper)))
            letter = LETTER_UPPER;
        else if (lc_span_equal(grapheme, lc_buf_span(&lower)))
            letter = LETTER_LOWER;
    }
    lc_buf_deinit(&lower);
    lc_buf_deinit(&upper);
    return letter;
}

static lc_span grapheme_at(lc_span text, size_t at)
{
    const uint8_t *start = text.ptr + at, *end = text.ptr + text.len;
    /* Two ASCII characters never form one cluster, but for CR LF. */
    if (*start < 0x80 && *start != '\r' && (start + 1 == end || start[1] < 0x80))
        return LC_SPAN(start, 1);
    const uint8_t *next = u8_grapheme_next(start, end);
    return LC_SPAN(start, (size_t)(next - start));
}

static bool is_separator(lc_span grapheme)
{
    return grapheme.len == 1 &&
           (*grapheme.ptr == '_' || *grapheme.ptr == '-' || *grapheme.ptr == ' ');
}

static bool is_boundary(lc_letter left, lc_letter right, lc_letter after_right)
{
    switch (left) {
    case LETTER_LOWER:
        return right == LETTER_UPPER || right == LETTER_DIGIT;
    case LETTER_UPPER:
        return right == LETTER_DIGIT || (right == LETTER_UPPER && after_right == LETTER_LOWER);
    case LETTER_DIGIT:
        return right == LETTER_UPPER || right == LETTER_LOWER;
    default:
        return false;
    }
}

/* The next word at or after *at; empty at the end. */
static lc_span next_word(lc_span name, size_t *at)
{
    while (*at < name.len) {
        lc_span g = grapheme_at(name, *at);
        if (!is_separator(g)) break;
        *at += g.len;
    }
    size_t start = *at;
    lc_letter left = LETTER_OTHER;
    bool first = true;
    while (*at < name.len) {
        lc_span g = grapheme_at(name, *at);
        if (is_separator(g)) break;
        lc_letter right = letter_of(g), after = LETTER_OTHER;
        if (left == LETTER_UPPER && right == LETTER_UPPER && *at + g.len < name.len)
            after = letter_of(grapheme_at(name, *at + g.len));
        if (!first && is_boundary(left, right, after)) break;
        left = right;
        first = false;
        *at += g.len;
    }
    return LC_SPAN(name.ptr + start, *at - start);
}

static void put_capitalised(lc_span word, lc_buf *out)
{
    ucs4_t c;
    size_t first = (size_t)u8_mbtouc(&c, word.ptr, word.len);
    put_mapped(LC_SPAN(word.ptr, first), MAP_UPPER, out);
    put_mapped(LC_SPAN(word.ptr + first, word.len - first), MAP_LOWER, out);
}

void lc_name_to_snake(lc_span name, lc_buf *out)
{
    size_t at = 0;
    bool first = true;
    for (lc_span word; (word = next_word(name, &at)).len; first = false) {
        if (!first) lc_buf_put_u8(out, '_');
        put_mapped(word, MAP_LOWER, out);
    }
}

void lc_name_to_pascal(lc_span name, lc_buf *out)
{
    size_t at = 0;
    for (lc_span word; (word = next_word(name, &at)).len;) put_capitalised(word, out);
}

void lc_name_to_camel(lc_span name, lc_buf *out)
{
    size_t at = 0;
    bool first = true;
    for (lc_span word; (word = next_word(name, &at)).len; first = false) {
        if (first)
            put_mapped(word, MAP_LOWER, out);
        else
            put_capitalised(word, out);
    }
}
