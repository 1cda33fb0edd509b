/* What the files of this room share and nobody else needs. */
#ifndef LC_SATS_INTERNAL_H
#define LC_SATS_INTERNAL_H

#include "sats/lc_sats.h"

/* Product or sum over members that already live in the arena (not copied). */
const lc_type *lc_type_adopt(lc_arena *a, lc_type_kind kind, const lc_type_member *members,
                             uint32_t count);
/* The variant name of the type of types: "U8", "Product". */
const char *lc_type_kind_name(lc_type_kind kind);
/* Bytes of a scalar; 0 for kinds that are none. */
uint32_t lc_kind_size(lc_type_kind kind);

/* A tag is one byte, so variants beyond the 256th cannot occur in a value. */
static inline uint32_t lc_sum_tags(const lc_type *sum)
{
    return sum->member_count < 256 ? sum->member_count : 256;
}

/* The type behind references, of bytes already validated (where a bad chain was refused). */
static inline const lc_type *lc_type_behind(const lc_typespace *ts, const lc_type *t)
{
    if (LC_LIKELY(t->kind != LC_TYPE_REF)) return t;
    t = lc_type_resolve(ts, t);
    LC_ASSERT(t);
    return t;
}

/* Consumes one integer or float. */
void lc_read_scalar(lc_reader *r, lc_type_kind kind);
/* What lc_layout_validate does before it looks for words: the compiled program's verdict. */
bool lc_layout_check(const lc_layout *l, lc_span in, size_t *size);

/* Fails a read with a limit rather than malformed input. */
lc_status lc_read_fail_limit(lc_reader *r, const char *fmt, ...) LC_PRINTF(2, 3);

/* ------------------------------------------------------------------ numbers */

/* Shortest digits that read back to the same number: value = 0.DIGITS * 10^point. */
typedef struct lc_decimal {
    char digits[18]; /* no NUL needed; no zeros at the ends, "0" for zero */
    int count;
    int point;
    bool negative;
} lc_decimal;
lc_decimal lc_decimal_of_f64(double v); /* finite */
lc_decimal lc_decimal_of_f32(float v);
/* As Rust's Display: never an exponent, `1`, `-0`, `NaN`, `inf`. */
void lc_float_display_f64(double v, lc_buf *out);
void lc_float_display_f32(float v, lc_buf *out);
/* strtod of the C locale. */
double lc_float_parse(const char *text);
/* Decimal text of a little-endian number of 32 bytes. */
void lc_u256_to_decimal(const uint8_t value[32], bool is_signed, lc_buf *out);
/* Integer scalar of any width in decimal. */
void lc_integer_write(lc_type_kind kind, const uint8_t *value, lc_buf *out);
/* Parses `[+-]0xHEX` as the reference's 256-bit integers do; returns NULL or the error text. */
const char *lc_u256_parse_hex(lc_span text, bool is_signed, uint8_t out[32]);

/* Hexadecimal digits of `size` little-endian bytes, most significant first. */
void lc_hex_big_endian(const uint8_t *value, size_t size, char *out);
/* Strict decoding as the reference's hex crate does it: the error texts of 01 section 5.3. */
lc_status lc_hex_parse(lc_span text, uint8_t *out, size_t size, lc_error *err);

/* --------------------------------------------------------------------- JSON */

/*
 * The characters under both readers of JSON (pull parser and typed pass). They move j->at exactly
 * as far as serde_json moves, because errors are reported at the place it would report them: "here"
 * is the last consumed byte, "next" the first unconsumed one.
 */
#define LC_JSON_MAX_DEPTH 128

/* Skips blanks and returns the byte that follows, -1 at the end. */
static inline int lc_json_blanks(lc_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
    return j->at < j->end ? *j->at : -1;
}
/* Record an error `TEXT at line L column C` unless there is one already. Always false. */
bool lc_json_error_here(lc_json *j, const char *text);
bool lc_json_error_next(lc_json *j, const char *text);
/* Rest of a literal whose first letter was consumed. */
bool lc_json_literal(lc_json *j, const char *rest);
/* String whose opening quote was consumed; unescaped text, valid until the next string. */
bool lc_json_string(lc_json *j, lc_span *text);
/* Number from its first character on. is_float: has a fraction or an exponent. */
bool lc_json_number(lc_json *j, lc_span *text, bool *is_float);

#endif
