/*
 * Layouts: a product type compiled to a small program that validates values, and to what is needed
 * to find columns in a valid one.
 *
 * Bytes that need no look (numbers) are joined to runs and cost one bounds check together; bool
 * bytes and tags inside a run are compared in passing. Only strings, arrays, sums whose variants
 * differ and references that cannot be unrolled become instructions of their own. The programs
 * answer yes or no; for the reason of a no, lc_bsatn_validate walks the type again.
 */
#include "sats_internal.h"

typedef enum opcode {
    OP_FIXED,  /* a bytes; checks[b .. b+c] look at some of them */
    OP_STRING, /* count, UTF-8 */
    OP_ITEMS, /* count, elements of a bytes each that need no look; each stands for b idle values */
    OP_ARRAY, /* count, elements validated by the instructions up to OP_RETURN; next is a */
    OP_SUM,   /* tag below a; its variant goes on at targets[b + tag] */
    OP_JUMP,  /* to a */
    OP_CALL,  /* the program of a reference at a, b levels below here */
    OP_IDLE,  /* a values without bytes */
    OP_NEVER, /* no value: sum without variants, reference to nowhere */
    OP_RETURN,
} opcode;

typedef struct op {
    opcode code;
    uint32_t a, b, c;
} op;

/* The byte at this offset of a run is at most max: 1 for bool, variants - 1 for a tag. */
typedef struct byte_check {
    uint32_t offset;
    uint8_t max;
} byte_check;

/* What is known of a type without looking at a value. */
typedef struct shape {
    int64_t size;  /* -1 = varies */
    bool checked;  /* some byte may be invalid */
    uint32_t idle; /* values without bytes inside, saturating */
} shape;

/* The same question is asked twice of every type: is it valid, and where does it end (of bytes
 * known to be valid; then all fixed sizes are one addition). */
typedef enum mode { MODE_CHECK, MODE_SKIP, MODES } mode;

typedef struct column {
    const lc_type *type;
    int64_t size;   /* -1 = varies */
    int64_t offset; /* -1 = behind a varying one */
    /* Otherwise: this far behind the end of the last varying column before, which is number
     * varying_before - 1. */
    size_t distance;
    uint32_t varying_before;
} column;

typedef struct varying {
    size_t distance; /* from the end of the varying column before */
    uint32_t unit;   /* nonzero: count of four bytes, then units of this size */
    uint32_t pc;     /* else the program that skips it */
} varying;

struct lc_layout {
    const lc_type *type;
    const lc_typespace *ts;
    int64_t size;   /* of every row, or -1 */
    bool free_form; /* any bytes of that size are a valid row */
    uint32_t column_count;
    column *columns;
    LC_VEC(varying) varying;
    size_t tail;    /* fixed bytes behind the last varying column */
    LC_VEC(op) ops; /* the row's checking program starts at 0 */
    LC_VEC(byte_check) checks;
    LC_VEC(uint32_t) targets;
};

/* ------------------------------------------------------------------ compile */

/* A reference in use: its shape, and its programs where it cannot be unrolled. */
typedef struct slot {
    const lc_type *target; /* NULL = leads nowhere */
    shape shape;
    bool known; /* shape is final; false while it is being found, that is, inside itself */
    bool wanted[MODES], done[MODES];
    uint32_t pc[MODES];
} slot;

typedef struct builder {
    lc_layout *l;
    mode mode;
    /* The run being gathered. */
    uint64_t run;
    size_t first_check;
    uint64_t idle;
    lc_u64map by_ref; /* slot * */
    LC_VEC(slot *) slots;
} builder;

#define RUN_MAX (1u << 30)

static const shape varies = {.size = -1, .checked = true, .idle = 0};

static shape shape_of(builder *b, const lc_type *t, uint32_t depth);

static slot *slot_of(builder *b, uint32_t ref, uint32_t depth)
{
    slot *s = lc_u64map_get(&b->by_ref, ref);
    if (s) return s;
    s = lc_alloc_zero(sizeof *s);
    lc_u64map_put(&b->by_ref, ref, s);
    lc_vec_push(&b->slots, s);
    s->shape = varies;
    s->target = lc_type_resolve(b->l->ts, &(lc_type){.kind = LC_TYPE_REF, .ref = ref});
    if (s->target) s->shape = shape_of(b, s->target, depth + 1);
    s->known = true;
    return s;
}

static uint32_t saturate(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static shape product_shape(builder *b, const lc_type *t, uint32_t depth)
{
    shape all = {0};
    for (uint32_t i = 0; i < t->member_count; i++) {
        shape s = shape_of(b, t->members[i].type, depth + 1);
        if (s.size < 0) return varies;
        all.size += s.size;
        all.checked |= s.checked;
        all.idle = saturate((uint64_t)all.idle + s.idle);
        if (all.size > INT32_MAX) return varies;
    }
    if (all.size == 0) all.idle = saturate((uint64_t)all.idle + 1);
    return all;
}

static bool is_unit(const lc_type *t)
{
    return t->kind == LC_TYPE_PRODUCT && t->member_count == 0;
}

/* A sum of one size. Its variants may differ in nothing that validation counts or looks at, so that
 * one comparison of the tag does; `looked_at` sums of one size have a size but need OP_SUM. */
static shape sum_shape(builder *b, const lc_type *t, uint32_t depth, bool *looked_at)
{
    *looked_at = false;
    if (t->member_count == 0) return varies;
    int64_t size = -1;
    for (uint32_t i = 0; i < t->member_count; i++) {
        const lc_type *payload = t->members[i].type;
        shape s = is_unit(payload) ? (shape){0} : shape_of(b, payload, depth + 1);
        if (s.size < 0 || (i && s.size != size)) return varies;
        size = s.size;
        *looked_at |= s.checked || s.idle;
    }
    if (size == INT32_MAX) return varies;
    return (shape){.size = size + 1, .checked = true};
}

static shape shape_of(builder *b, const lc_type *t, uint32_t depth)
{
    bool looked_at;
    switch (t->kind) {
    case LC_TYPE_REF:
        /* Long chains of references are followed at run time, where nesting is limited. */
        if (depth > LC_BSATN_MAX_DEPTH) return varies;
        slot *s = slot_of(b, t->ref, depth);
        return s->known ? s->shape : varies;
    case LC_TYPE_SUM:
        return sum_shape(b, t, depth, &looked_at);
    case LC_TYPE_PRODUCT:
        return product_shape(b, t, depth);
    case LC_TYPE_ARRAY:
    case LC_TYPE_STRING:
        return varies;
    default:
        return (shape){.size = t->fixed_size, .checked = t->kind == LC_TYPE_BOOL};
    }
}

static uint32_t emit(builder *b, opcode code, uint32_t a, uint32_t n, uint32_t c)
{
    lc_vec_push(&b->l->ops, ((op){code, a, n, c}));
    return (uint32_t)b->l->ops.len - 1;
}

static void end_run(builder *b)
{
    lc_layout *l = b->l;
    if (b->run) {
        emit(b, OP_FIXED, (uint32_t)b->run, (uint32_t)b->first_check,
             (uint32_t)(l->checks.len - b->first_check));
    }
    if (b->idle && b->mode == MODE_CHECK) emit(b, OP_IDLE, saturate(b->idle), 0, 0);
    b->run = b->idle = 0;
    b->first_check = l->checks.len;
}

static void add_run(builder *b, int64_t size, uint32_t idle)
{
    if (b->run + (uint64_t)size > RUN_MAX) end_run(b);
    b->run += (uint64_t)size; /* a single piece may exceed RUN_MAX, but never INT32_MAX */
    b->idle += idle;
}

static void add_check(builder *b, uint32_t max, int64_t size)
{
    if (b->run + (uint64_t)size > RUN_MAX) end_run(b);
    if (b->mode == MODE_CHECK)
        lc_vec_push(&b->l->checks, ((byte_check){(uint32_t)b->run, (uint8_t)max}));
    b->run += (uint64_t)size;
}

static void compile(builder *b, const lc_type *t, uint32_t depth);

static void compile_array(builder *b, const lc_type *t, uint32_t depth)
{
    end_run(b);
    shape element = shape_of(b, t->element, depth + 1);
    if (element.size >= 0 && (!element.checked || b->mode == MODE_SKIP)) {
        emit(b, OP_ITEMS, (uint32_t)element.size, element.idle, 0);
        return;
    }
    uint32_t at = emit(b, OP_ARRAY, 0, 0, 0);
    compile(b, t->element, depth + 1);
    end_run(b);
    emit(b, OP_RETURN, 0, 0, 0);
    b->l->ops.items[at].a = (uint32_t)b->l->ops.len;
}

static void compile_variants(builder *b, const lc_type *t, uint32_t depth)
{
    uint32_t tags = lc_sum_tags(t);
    uint32_t first = (uint32_t)b->l->targets.len;
    uint32_t *jumps = lc_alloc(tags * sizeof *jumps);
    end_run(b);
    emit(b, OP_SUM, tags, first, 0);
    for (uint32_t i = 0; i < tags; i++) lc_vec_push(&b->l->targets, 0);
    for (uint32_t i = 0; i < tags; i++) {
        b->l->targets.items[first + i] = (uint32_t)b->l->ops.len;
        if (!is_unit(t->members[i].type)) compile(b, t->members[i].type, depth + 1);
        end_run(b);
        jumps[i] = emit(b, OP_JUMP, 0, 0, 0);
    }
    for (uint32_t i = 0; i < tags; i++) b->l->ops.items[jumps[i]].a = (uint32_t)b->l->ops.len;
    lc_free(jumps);
}

static void compile_sum(builder *b, const lc_type *t, uint32_t depth)
{
    bool looked_at;
    shape s = sum_shape(b, t, depth, &looked_at);
    if (t->member_count == 0) {
        end_run(b);
        emit(b, OP_NEVER, 0, 0, 0);
    } else if (s.size >= 0 && !looked_at) {
        add_check(b, lc_sum_tags(t) - 1, s.size);
    } else {
        compile_variants(b, t, depth);
    }
}

static void compile_ref(builder *b, const lc_type *t, uint32_t depth)
{
    slot *s = slot_of(b, t->ref, depth);
    end_run(b);
    if (!s->target) {
        emit(b, OP_NEVER, 0, 0, 0);
        return;
    }
    s->wanted[b->mode] = true;
    /* The address is filled in when all programs have one. */
    emit(b, OP_CALL, t->ref, depth, b->mode);
}

static void compile(builder *b, const lc_type *t, uint32_t depth)
{
    shape s = shape_of(b, t, depth);
    if (s.size >= 0 && (!s.checked || b->mode == MODE_SKIP)) {
        add_run(b, s.size, s.idle);
        return;
    }
    switch (t->kind) {
    case LC_TYPE_REF:
        compile_ref(b, t, depth);
        break;
    case LC_TYPE_SUM:
        compile_sum(b, t, depth);
        break;
    case LC_TYPE_PRODUCT:
        for (uint32_t i = 0; i < t->member_count; i++) compile(b, t->members[i].type, depth + 1);
        break;
    case LC_TYPE_ARRAY:
        compile_array(b, t, depth);
        break;
    case LC_TYPE_STRING:
        end_run(b);
        if (b->mode == MODE_CHECK)
            emit(b, OP_STRING, 0, 0, 0);
        else
            emit(b, OP_ITEMS, 1, 0, 0);
        break;
    case LC_TYPE_BOOL:
        add_check(b, 1, 1);
        break;
    default:
        LC_BUG("scalar %s without a size", lc_type_kind_name(t->kind));
    }
}

/* A whole program for one type; returns its address. */
static uint32_t compile_program(builder *b, mode m, const lc_type *t, uint32_t depth)
{
    uint32_t pc = (uint32_t)b->l->ops.len;
    b->mode = m;
    compile(b, t, depth);
    end_run(b);
    emit(b, OP_RETURN, 0, 0, 0);
    return pc;
}

static void compile_columns(builder *b)
{
    lc_layout *l = b->l;
    size_t distance = 0;
    int64_t offset = 0;
    l->columns = lc_alloc_zero(l->column_count * sizeof *l->columns);
    for (uint32_t i = 0; i < l->column_count; i++) {
        column *c = &l->columns[i];
        c->type = l->type->members[i].type;
        c->size = shape_of(b, c->type, 1).size;
        c->offset = offset;
        c->distance = distance;
        c->varying_before = (uint32_t)l->varying.len;
        if (c->size >= 0) {
            distance += (size_t)c->size;
            if (offset >= 0) offset += c->size;
            continue;
        }
        varying v = {.distance = distance, .pc = compile_program(b, MODE_SKIP, c->type, 1)};
        const op *first = &l->ops.items[v.pc];
        if (first[0].code == OP_ITEMS && first[1].code == OP_RETURN) v.unit = first[0].a;
        lc_vec_push(&l->varying, v);
        distance = 0;
        offset = -1;
    }
    l->tail = distance;
}

/* Programs of the references that programs call, which may call further ones. */
static void compile_slots(builder *b)
{
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < b->slots.len; i++) {
            slot *s = b->slots.items[i];
            for (mode m = 0; m < MODES; m++) {
                if (!s->wanted[m] || s->done[m]) continue;
                s->done[m] = more = true;
                s->pc[m] = compile_program(b, m, s->target, 0);
            }
        }
    }
    LC_VEC_EACH (o, &b->l->ops) {
        if (o->code == OP_CALL) o->a = ((slot *)lc_u64map_get(&b->by_ref, o->a))->pc[o->c];
    }
}

lc_layout *lc_layout_create(const lc_type *product, const lc_typespace *ts)
{
    LC_ASSERT(product->kind == LC_TYPE_PRODUCT);
    lc_layout *l = lc_alloc_zero(sizeof *l);
    l->type = product;
    l->ts = ts;
    l->column_count = product->member_count;

    builder b = {.l = l};
    shape row = shape_of(&b, product, 0);
    l->size = row.size;
    l->free_form = row.size >= 0 && !row.checked && row.idle <= LC_BSATN_MAX_UNITS;
    compile_program(&b, MODE_CHECK, product, 0);
    compile_columns(&b);
    compile_slots(&b);

    for (size_t i = 0; i < b.slots.len; i++) lc_free(b.slots.items[i]);
    lc_vec_deinit(&b.slots);
    lc_u64map_deinit(&b.by_ref);
    return l;
}

void lc_layout_destroy(lc_layout *l)
{
    if (!l) return;
    lc_vec_deinit(&l->varying);
    lc_vec_deinit(&l->ops);
    lc_vec_deinit(&l->checks);
    lc_vec_deinit(&l->targets);
    lc_free(l->columns);
    lc_free(l);
}

uint32_t lc_layout_column_count(const lc_layout *l)
{
    return l->column_count;
}

int32_t lc_layout_fixed_size(const lc_layout *l)
{
    return (int32_t)l->size;
}

int32_t lc_layout_column_offset(const lc_layout *l, uint32_t i)
{
    return l->columns[i].offset <= INT32_MAX ? (int32_t)l->columns[i].offset : -1;
}

const lc_type *lc_layout_column_type(const lc_layout *l, uint32_t i)
{
    return l->columns[i].type;
}

/* -------------------------------------------------------------------- check */

typedef struct checker {
    const lc_layout *l;
    const uint8_t *start, *end;
    size_t idle;
} checker;

/* False when values without bytes outnumber the bytes too far (lc_sats.h). */
static inline bool count_idle(checker *k, const uint8_t *p, uint64_t idle)
{
    k->idle += idle;
    return k->idle <= (size_t)(p - k->start) + LC_BSATN_MAX_UNITS;
}

/* Validates from p on by the program at pc; the end of what it took, NULL when invalid. Calls
 * itself for elements and references only: types nest less than LC_TYPE_MAX_DEPTH, references are
 * counted. */
static const uint8_t *check_run(checker *k, uint32_t pc, const uint8_t *p, uint32_t depth)
{
    const lc_layout *l = k->l;
    for (;; pc++) {
        const op *o = &l->ops.items[pc];
        size_t left = (size_t)(k->end - p);
        switch (o->code) {
        case OP_FIXED:
            if (LC_UNLIKELY(left < o->a)) return NULL;
            for (uint32_t i = o->b, n = o->b + o->c; i < n; i++)
                if (LC_UNLIKELY(p[l->checks.items[i].offset] > l->checks.items[i].max)) return NULL;
            p += o->a;
            break;
        case OP_STRING: {
            if (LC_UNLIKELY(left < 4)) return NULL;
            uint32_t n = lc_load_u32(p);
            if (LC_UNLIKELY(left - 4 < n || !lc_utf8_valid(LC_SPAN(p + 4, n)))) return NULL;
            p += 4 + (size_t)n;
            break;
        }
        case OP_ITEMS: {
            if (LC_UNLIKELY(left < 4)) return NULL;
            uint32_t n = lc_load_u32(p);
            if (LC_UNLIKELY(left - 4 < (uint64_t)n * o->a)) return NULL;
            p += 4 + (size_t)n * o->a;
            if (o->b && !count_idle(k, p, (uint64_t)n * o->b)) return NULL;
            break;
        }
        case OP_ARRAY: {
            if (LC_UNLIKELY(left < 4)) return NULL;
            uint32_t n = lc_load_u32(p);
            p += 4;
            for (uint32_t i = 0; i < n; i++)
                if (!(p = check_run(k, pc + 1, p, depth))) return NULL;
            pc = o->a - 1;
            break;
        }
        case OP_SUM:
            if (LC_UNLIKELY(left < 1 || *p >= o->a)) return NULL;
            pc = l->targets.items[o->b + *p++] - 1;
            break;
        case OP_JUMP:
            pc = o->a - 1;
            break;
        case OP_CALL:
            if (LC_UNLIKELY(depth + o->b > LC_BSATN_MAX_DEPTH)) return NULL;
            p = check_run(k, o->a, p, depth + o->b + 1);
            if (!p) return NULL;
            break;
        case OP_IDLE:
            if (!count_idle(k, p, o->a)) return NULL;
            break;
        case OP_NEVER:
            return NULL;
        case OP_RETURN:
            return p;
        }
    }
}

bool lc_layout_check(const lc_layout *l, lc_span in, size_t *size)
{
    if (l->free_form) {
        *size = (size_t)l->size;
        return in.len >= *size;
    }
    checker k = {.l = l, .start = in.ptr ? in.ptr : (const uint8_t *)""};
    k.end = k.start + in.len;
    const uint8_t *end = check_run(&k, 0, k.start, 0);
    *size = end ? (size_t)(end - k.start) : 0;
    return end != NULL;
}

lc_status lc_layout_validate(const lc_layout *l, lc_span in, size_t *size, lc_error *err)
{
    if (LC_LIKELY(lc_layout_check(l, in, size))) return LC_OK;
    return lc_bsatn_validate(l->type, l->ts, in, size, err);
}

/* --------------------------------------------------------------------- skip */

/* The end of the valid value at p. */
static const uint8_t *skip_run(const lc_layout *l, uint32_t pc, const uint8_t *p)
{
    for (;; pc++) {
        const op *o = &l->ops.items[pc];
        switch (o->code) {
        case OP_FIXED:
            p += o->a;
            break;
        case OP_ITEMS:
            p += 4 + (size_t)lc_load_u32(p) * o->a;
            break;
        case OP_ARRAY: {
            uint32_t n = lc_load_u32(p);
            p += 4;
            while (n--) p = skip_run(l, pc + 1, p);
            pc = o->a - 1;
            break;
        }
        case OP_SUM:
            pc = l->targets.items[o->b + *p++] - 1;
            break;
        case OP_JUMP:
            pc = o->a - 1;
            break;
        case OP_CALL:
            p = skip_run(l, o->a, p);
            break;
        case OP_RETURN:
            return p;
        case OP_STRING:
        case OP_IDLE:
        case OP_NEVER:
            LC_BUG("instruction %d while skipping", (int)o->code);
        }
    }
}

static inline const uint8_t *skip_varying(const lc_layout *l, const varying *v, const uint8_t *p)
{
    if (v->unit) return p + 4 + (size_t)lc_load_u32(p) * v->unit;
    return skip_run(l, v->pc, p);
}

/* Where the bytes begin that follow the first n varying columns. */
static inline const uint8_t *behind_varying(const lc_layout *l, const uint8_t *row, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const varying *v = &l->varying.items[i];
        row = skip_varying(l, v, row + v->distance);
    }
    return row;
}

size_t lc_layout_row_size(const lc_layout *l, const uint8_t *row)
{
    if (l->size >= 0) return (size_t)l->size;
    const uint8_t *end = behind_varying(l, row, (uint32_t)l->varying.len) + l->tail;
    return (size_t)(end - row);
}

lc_span lc_layout_column(const lc_layout *l, const uint8_t *row, uint32_t i)
{
    const column *c = &l->columns[i];
    const uint8_t *at =
        c->offset >= 0 ? row + c->offset : behind_varying(l, row, c->varying_before) + c->distance;
    if (c->size >= 0) return LC_SPAN(at, (size_t)c->size);
    const uint8_t *end = skip_varying(l, &l->varying.items[c->varying_before], at);
    return LC_SPAN(at, (size_t)(end - at));
}

void lc_layout_offsets(const lc_layout *l, const uint8_t *row, uint32_t *offsets)
{
    const uint8_t *at = row;
    for (uint32_t i = 0; i < l->column_count; i++) {
        const column *c = &l->columns[i];
        offsets[i] = (uint32_t)(at - row);
        if (c->size >= 0)
            at += c->size;
        else
            at = skip_varying(l, &l->varying.items[c->varying_before], at);
    }
    offsets[l->column_count] = (uint32_t)(at - row);
}
