/*
 * sats: the type system. Types, the BSATN byte form (which is also the form in which rows are
 * stored, logged and sent), SATS-JSON, order and hash of values, and the special types.
 * Source: specification chapter 01, sections 1-6.
 *
 * A *value* is never a tree here: it is a span of BSATN bytes together with its lc_type. Bytes are
 * validated once at the border (lc_layout_validate, lc_bsatn_validate, lc_json_to_bsatn); every
 * other function trusts them.
 *
 * Threads: types and layouts are immutable after construction and may be shared freely.
 */
#ifndef LC_SATS_H
#define LC_SATS_H

#include "base/lc_base.h"

/* ------------------------------------------------------------------- types */

/* Tags as in BSATN of a type (01 section 1.1). */
typedef enum lc_type_kind {
    LC_TYPE_REF,
    LC_TYPE_SUM,
    LC_TYPE_PRODUCT,
    LC_TYPE_ARRAY,
    LC_TYPE_STRING,
    LC_TYPE_BOOL,
    LC_TYPE_I8,
    LC_TYPE_U8,
    LC_TYPE_I16,
    LC_TYPE_U16,
    LC_TYPE_I32,
    LC_TYPE_U32,
    LC_TYPE_I64,
    LC_TYPE_U64,
    LC_TYPE_I128,
    LC_TYPE_U128,
    LC_TYPE_I256,
    LC_TYPE_U256,
    LC_TYPE_F32,
    LC_TYPE_F64,
} lc_type_kind;

/* Special products and sums, recognised by shape (01 section 5). */
typedef enum lc_type_special {
    LC_SPECIAL_NONE,
    LC_SPECIAL_IDENTITY,
    LC_SPECIAL_CONNECTION_ID,
    LC_SPECIAL_TIMESTAMP,
    LC_SPECIAL_DURATION,
    LC_SPECIAL_UUID,
    LC_SPECIAL_OPTION,
    LC_SPECIAL_RESULT,
    LC_SPECIAL_SCHEDULE_AT,
} lc_type_special;

/* Limits on types that come from outside. */
#define LC_TYPE_MAX_DEPTH  128
#define LC_TYPE_MAX_WEIGHT 262144

typedef struct lc_type lc_type;

/* An element of a product or a variant of a sum. */
typedef struct lc_type_member {
    lc_span name; /* ptr NULL = unnamed (an empty name has a non-NULL ptr) */
    const lc_type *type;
} lc_type_member;

struct lc_type {
    lc_type_kind kind;
    lc_type_special special;
    uint32_t ref;                  /* REF: index into the typespace */
    uint32_t member_count;         /* SUM, PRODUCT */
    const lc_type_member *members; /* SUM, PRODUCT */
    const lc_type *element;        /* ARRAY */
    /* Size of every value's BSATN when it is the same for all values, else -1. A type that contains
     * a REF has -1 until inlined, and so has every array. Sums count when all their variants have
     * one size. */
    int32_t fixed_size;
    /* Two values are equal exactly when their bytes are: no floats and no references inside. */
    bool bitwise_equal;
    /* Levels of nesting: 1 for a type without members. */
    uint16_t depth;
    /* Nodes when written out in full, itself included; UINT32_MAX = that or more. */
    uint32_t weight;
};

/* The types a definition refers to by number; types[i] may be NULL only under construction. */
typedef struct lc_typespace {
    const lc_type *const *types;
    uint32_t count;
} lc_typespace;

/* Types without members are singletons: lc_type_scalar(LC_TYPE_U32) etc., also STRING. */
const lc_type *lc_type_scalar(lc_type_kind kind);
const lc_type *lc_type_unit(void);
const lc_type *lc_type_bytes(void); /* Array(U8) */
const lc_type *lc_type_identity(void);
const lc_type *lc_type_connection_id(void);
const lc_type *lc_type_timestamp(void);
const lc_type *lc_type_duration(void);
const lc_type *lc_type_uuid(void);
const lc_type *lc_type_schedule_at(void);
/* Build in an arena; special and fixed_size are derived. Members are copied, names are not. */
const lc_type *lc_type_new_product(lc_arena *a, const lc_type_member *members, uint32_t count);
const lc_type *lc_type_new_sum(lc_arena *a, const lc_type_member *members, uint32_t count);
const lc_type *lc_type_new_array(lc_arena *a, const lc_type *element);
const lc_type *lc_type_new_ref(lc_arena *a, uint32_t ref);
const lc_type *lc_type_new_option(lc_arena *a, const lc_type *some);

static inline bool lc_type_is_integer(const lc_type *t)
{
    return t->kind >= LC_TYPE_I8 && t->kind <= LC_TYPE_U256;
}
static inline bool lc_type_is_bytes(const lc_type *t)
{
    return t->kind == LC_TYPE_ARRAY && t->element->kind == LC_TYPE_U8;
}
/* Sum whose every variant is unit. */
bool lc_type_is_plain_enum(const lc_type *t);
/* Structural equality, names included. */
bool lc_type_equal(const lc_type *a, const lc_type *b);
/* The type a chain of references ends at (t itself when it is none); NULL when the chain leaves the
 * typespace or runs in a circle. */
const lc_type *lc_type_resolve(const lc_typespace *ts, const lc_type *t);
/* Replaces every reference. Fails with LC_E_INVALID and the text of 01 section 1.2 on a bad or
 * recursive reference, and with LC_E_LIMIT when the result would nest deeper than LC_TYPE_MAX_DEPTH
 * or weigh more than LC_TYPE_MAX_WEIGHT (a short chain of doubling definitions could otherwise
 * stand for billions of columns). The result shares subtrees with its source where nothing changed.
 */
lc_status lc_type_inline(lc_arena *a, const lc_typespace *ts, const lc_type *t, const lc_type **out,
                         lc_error *err);
/* Notation for messages, `(name: T | ...)`, 01 section 1.4. */
void lc_type_print(const lc_type *t, lc_buf *out);
/* BSATN and SATS-JSON of a type as a value (01 sections 2 and 4.7). Decoding limits nesting to
 * LC_TYPE_MAX_DEPTH. */
void lc_type_encode(const lc_type *t, lc_buf *out);
void lc_type_to_json(const lc_type *t, lc_buf *out);
/* {"elements":[...]} : a bare ProductType. */
void lc_type_product_to_json(const lc_type_member *members, uint32_t count, lc_buf *out);
/* The way back: an AlgebraicType, and a bare ProductType. Names are copied into the arena. */
lc_status lc_type_from_json(lc_span json, lc_arena *a, const lc_type **out, lc_error *err);
lc_status lc_type_product_from_json(lc_span json, lc_arena *a, const lc_type **out, lc_error *err);

/* ------------------------------------------------------------------ reader */

/* Cursor over untrusted BSATN. The first failure sticks: at stays, err is set once, every later
 * read returns zero. Check failed at the end or where a value is used. Texts as 01
 * section 2. */
typedef struct lc_reader {
    const uint8_t *at;
    const uint8_t *end;
    lc_error *err; /* may be NULL */
    bool failed;
} lc_reader;

lc_reader lc_reader_of(lc_span s, lc_error *err);
uint8_t lc_read_u8(lc_reader *r);
uint16_t lc_read_u16(lc_reader *r);
uint32_t lc_read_u32(lc_reader *r);
uint64_t lc_read_u64(lc_reader *r);
bool lc_read_bool(lc_reader *r);
lc_span lc_read_fixed(lc_reader *r, size_t n); /* text `[u8; _]` */
lc_span lc_read_bytes(lc_reader *r);           /* u32 length, bytes */
lc_span lc_read_string(lc_reader *r);          /* the same, UTF-8 checked */
/* Sum tag below count; the error names the sum `name`. */
uint8_t lc_read_tag(lc_reader *r, uint32_t count, const char *name);
/* Option tag: true = some. */
bool lc_read_option(lc_reader *r);
/* Count of elements that take at least min_size bytes each; a count that cannot fit fails. */
uint32_t lc_read_count(lc_reader *r, size_t min_size);
lc_status lc_read_fail(lc_reader *r, const char *fmt, ...) LC_PRINTF(2, 3);
/* A type (names point into the input). */
const lc_type *lc_read_type(lc_reader *r, lc_arena *a);
const lc_type *lc_read_product_type(lc_reader *r, lc_arena *a); /* bare ProductType */

/* ------------------------------------------------------------------ layout */

/*
 * What a table (or an argument list) needs to know about its row type, compiled once: a validating
 * program, where columns start, and whether rows have one size. Columns with a constant offset are
 * found by addition; the others by walking only the columns of varying size before them.
 *
 * The type may hold references (argument lists may be recursive); then ts must outlive the layout.
 * A value in which references nest deeper than LC_BSATN_MAX_DEPTH levels is refused (LC_E_LIMIT),
 * and so is one with more values that occupy no bytes than it has bytes, by more than
 * LC_BSATN_MAX_UNITS: the four bytes of an array of four billion units must not stand for gigabytes
 * of output.
 */
#define LC_BSATN_MAX_DEPTH 1024
#define LC_BSATN_MAX_UNITS 65536
typedef struct lc_layout lc_layout;

lc_layout *lc_layout_create(const lc_type *product, const lc_typespace *ts);
void lc_layout_destroy(lc_layout *l);
uint32_t lc_layout_column_count(const lc_layout *l);
int32_t lc_layout_fixed_size(const lc_layout *l); /* -1 when rows differ in size */
/* Offset of the column when all columns before it have a fixed size, else -1. */
int32_t lc_layout_column_offset(const lc_layout *l, uint32_t column);
const lc_type *lc_layout_column_type(const lc_layout *l, uint32_t column);
/* Validates one value at the start of in. On success *size is its length (bytes may follow). */
lc_status lc_layout_validate(const lc_layout *l, lc_span in, size_t *size, lc_error *err);
/* Length of the valid row that starts at row. */
size_t lc_layout_row_size(const lc_layout *l, const uint8_t *row);
/* The bytes of one column of a valid row. */
lc_span lc_layout_column(const lc_layout *l, const uint8_t *row, uint32_t column);
/* Start offsets of all columns of a valid row, plus its end: column_count + 1 numbers. */
void lc_layout_offsets(const lc_layout *l, const uint8_t *row, uint32_t *offsets);

/* The same for one value of any type, without a compiled layout (ts may be NULL). */
lc_status lc_bsatn_validate(const lc_type *t, const lc_typespace *ts, lc_span in, size_t *size,
                            lc_error *err);
size_t lc_bsatn_size(const lc_type *t, const lc_typespace *ts, const uint8_t *value);

/* -------------------------------------------------------------- comparison */

/* Order of two valid values of one type (01 section 3): -1, 0, 1. No references inside. */
int lc_value_compare(const lc_type *t, const uint8_t *a, const uint8_t *b);
/* Hash consistent with lc_value_compare == 0 (zero and NaN canonicalised). */
uint64_t lc_value_hash(const lc_type *t, const uint8_t *value);
/* Appends a normalised key: memcmp order of keys = lc_value_compare order of values, and no key is
 * a proper prefix of another one of the same type, so keys of several columns may be concatenated.
 * Returns the number of value bytes consumed. */
size_t lc_value_key(const lc_type *t, const uint8_t *value, lc_buf *out);
/* Size of the normalised key if it is the same for all values of the type, else -1. */
int32_t lc_type_key_size(const lc_type *t);

/* --------------------------------------------------------------- SATS-JSON */

/* Output flavours of 01 section 4.1. */
typedef enum lc_json_flavour {
    LC_JSON_UNTYPED, /* products as arrays, sums as [tag, payload]: SQL rows, procedure results */
    LC_JSON_TYPED,   /* objects and {"Variant": payload}: command line */
    LC_JSON_NATIVE,  /* as typed, units as []: definitions, protocol structs */
    LC_JSON_ROW,     /* products as objects, sums as [tag, payload]: v1 text rows */
} lc_json_flavour;

/* Writes one valid value as compact JSON; returns the value bytes consumed. ts may be NULL. */
size_t lc_json_write(const lc_type *t, const lc_typespace *ts, const uint8_t *value,
                     lc_json_flavour flavour, lc_buf *out);
/* A JSON string literal with escapes as serde_json writes them. */
void lc_json_write_string(lc_span text, lc_buf *out);
/* Shortest decimal that reads back to the same number, `1.0`, `1e20`; null for NaN and infinity. */
void lc_json_write_f64(double v, lc_buf *out);
void lc_json_write_f32(float v, lc_buf *out);
/* 256-bit text: "0x" + hex without leading zeros; is_signed puts '-' in front of negatives. */
void lc_u256_to_hex(const uint8_t value[32], bool is_signed, lc_buf *out);
/* Decimal text of a 128-bit number of 16 bytes. */
void lc_u128_to_decimal(const uint8_t value[16], bool is_signed, lc_buf *out);

/* Reads one JSON text of type t into BSATN: one typed pass, no tree. Everything after the value but
 * blanks is an error. Error text: `PATH: MESSAGE at line L column C`, PATH omitted when empty. out
 * is as before on failure. */
lc_status lc_json_to_bsatn(const lc_type *t, const lc_typespace *ts, lc_span json, lc_buf *out,
                           lc_error *err);
/* A struct, union or flag (a type of its own of kind U8) of a protocol message. */
typedef struct lc_json_shape {
    const lc_type *type;
    const char *name;
    uint8_t max_flag;
} lc_json_shape;
/* The same for a message, all of whose structs and unions have a shape. The reference reads these
 * with other habits than values: errors name the type and have no path, a struct is read to its
 * closing bracket, so that a field too many is told by name, and null is no option. */
lc_status lc_json_message_to_bsatn(const lc_type *t, const lc_json_shape *shapes, uint32_t count,
                                   lc_span json, lc_buf *out, lc_error *err);
/* The same for the arguments of a function: array or object, words `reducer argument` and
 * `expected reducer args for NAME with N elements` (01 section 4.3, 04 section 2.3). kind is
 * "reducer", "procedure" or "view". On failure path (may be NULL) receives the JSON path and err
 * the message alone, so that callers compose the texts their protocol wants; trailing text after
 * the value has an empty path. */
lc_status lc_json_args_to_bsatn(const lc_type *params, const lc_typespace *ts, const char *kind,
                                lc_span name, lc_span json, lc_buf *out, lc_buf *path,
                                lc_error *err);

/* Pull parser for other JSON inputs (v1.json messages, request bodies). Strict JSON, depth limit
 * 128, numbers kept as text; errors carry serde_json's texts and positions. After LC_JSON_BAD every
 * further token is LC_JSON_BAD. */
typedef enum lc_json_token {
    LC_JSON_END,
    LC_JSON_NULL,
    LC_JSON_TRUE,
    LC_JSON_FALSE,
    LC_JSON_NUMBER, /* text in json->text, as written */
    LC_JSON_STRING, /* unescaped text in json->text, valid until the next token */
    LC_JSON_ARRAY_BEGIN,
    LC_JSON_ARRAY_END,
    LC_JSON_OBJECT_BEGIN,
    LC_JSON_KEY, /* in json->text */
    LC_JSON_OBJECT_END,
    LC_JSON_BAD, /* error set */
} lc_json_token;
typedef struct lc_json {
    lc_span text;
    /* private */
    const uint8_t *begin, *at, *end;
    lc_buf scratch;
    lc_error *err;
    bool failed;
    bool has_peeked;
    lc_json_token peeked;
    uint32_t depth;
    uint8_t stack[128];
} lc_json;
void lc_json_init(lc_json *j, lc_span text, lc_error *err);
void lc_json_deinit(lc_json *j);
lc_json_token lc_json_next(lc_json *j);
lc_json_token lc_json_peek(lc_json *j);
/* Skips the value that starts with the token just returned. False on malformed input. */
bool lc_json_skip(lc_json *j, lc_json_token first);
/* Fails with MESSAGE at line L column C, the place of the last consumed byte. */
lc_status lc_json_fail(lc_json *j, const char *fmt, ...) LC_PRINTF(2, 3);

/* ------------------------------------------------------------------- texts */

/* SATN text of a value (01 section 6): logs, unique violation messages. */
void lc_satn_write(const lc_type *t, const uint8_t *value, lc_buf *out);
/* A text in quotes with the escapes of a Rust debug print, as error texts show names. Valid UTF-8.
 */
void lc_rust_debug(lc_span text, char quote, lc_buf *out);
/* Text of one value for a table cell on the command line (01 section 6). */
void lc_cell_write(const lc_type *t, const uint8_t *value, lc_buf *out);

/* ----------------------------------------------------------- special values */

/* 32 bytes little-endian, as on the wire; printed big-endian. */
typedef struct lc_identity {
    uint8_t bytes[32];
} lc_identity;
typedef struct lc_connection_id {
    uint8_t bytes[16];
} lc_connection_id;

#define LC_IDENTITY_HEX      64
#define LC_CONNECTION_ID_HEX 32

lc_identity lc_identity_derive(lc_span issuer, lc_span subject); /* 01 section 5.4 */
void lc_identity_to_hex(const lc_identity *id, char out[LC_IDENTITY_HEX + 1]);
/* Optional leading 0x; exactly 64 digits. Error texts of 01 section 5.3. */
lc_status lc_identity_parse(lc_span text, lc_identity *out, lc_error *err);
bool lc_identity_equal(const lc_identity *a, const lc_identity *b);
bool lc_identity_is_zero(const lc_identity *id);
void lc_connection_id_to_hex(const lc_connection_id *id, char out[LC_CONNECTION_ID_HEX + 1]);
lc_status lc_connection_id_parse(lc_span text, lc_connection_id *out, lc_error *err);
bool lc_connection_id_is_zero(const lc_connection_id *id);
lc_connection_id lc_connection_id_random(const lc_random *random); /* never zero */

/* RFC 3339 with +00:00; parse accepts what 01 section 5.3 and 06 section 5.2 say. */
void lc_timestamp_to_text(int64_t micros, lc_buf *out);
lc_status lc_timestamp_parse(lc_span text, int64_t *micros, lc_error *err);
void lc_duration_to_text(int64_t micros, lc_buf *out);
void lc_uuid_to_text(const uint8_t value[16], lc_buf *out);
bool lc_uuid_parse(lc_span text, uint8_t value[16]);
void lc_uuid_v4(const lc_random *random, uint8_t value[16]);

#endif
