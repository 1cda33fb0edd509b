/*
 * The module definitions among the golden vectors, read with nothing but this room's types: some
 * forty types that refer to each other, one to itself. What the schema room makes of them is its
 * own affair; here they are large values that must be read, told and written without a byte's
 * difference.
 */
#include "vectors.h"

/* 01 section 8. ?T is option, [T] array, {} product, <> sum; other names are scalars or lines here.
 */
static const char *const definitions[][2] = {
    {"Type",
     "<Ref:U32|Sum:{variants:[Member]}|Product:ProductType|Array:Type|String|Bool|I8|U8|I16|"
     "U16|I32|U32|I64|U64|I128|U128|I256|U256|F32|F64>"},
    {"ProductType", "{elements:[Member]}"},
    {"Member", "{name:?String,algebraic_type:Type}"},
    {"Typespace", "{types:[Type]}"},
    {"RawModuleDef", "<V8BackCompat:V8|V9:V9|V10:V10>"},
    /* version 10 */
    {"V10", "{sections:[RawModuleDefV10Section]}"},
    {"RawModuleDefV10Section",
     "<Typespace:Typespace|Types:[TypeDef]|Tables:[TableDef]|Reducers:[ReducerDef]|"
     "Procedures:[ProcedureDef]|Views:[ViewDef]|Schedules:[ScheduleDef]|"
     "LifeCycleReducers:[{lifecycle_spec:Lifecycle,function_name:String}]|RowLevelSecurity:[Rls]|"
     "CaseConversionPolicy:<None|SnakeCase>|"
     "ExplicitNames:{entries:[<Table:Mapping|Function:Mapping|Index:Mapping>]}|"
     "HttpHandlers:[{source_name:String}]|"
     "HttpRoutes:[{handler_function:String,method:<Any|Method:HttpMethod>,path:String}]|"
     "ViewPrimaryKeys:[{view_source_name:String,columns:[String]}]|"
     "Submodules:[{namespace:String,module:V10}]>"},
    {"TypeDef", "{source_name:{scope:[String],source_name:String},ty:U32,custom_ordering:Bool}"},
    {"TableDef",
     "{source_name:String,product_type_ref:U32,primary_key:[U16],"
     "indexes:[{source_name:?String,accessor_name:?String,algorithm:Algorithm}],"
     "constraints:[{source_name:?String,data:Unique}],"
     "sequences:[{source_name:?String,column:U16,start:?I128,min_value:?I128,max_value:?I128,"
     "increment:I128}],table_type:TableType,table_access:TableAccess,"
     "default_values:[{col_id:U16,value:[U8]}],is_event:Bool}"},
    {"Algorithm", "<BTree:[U16]|Hash:[U16]|Direct:U16>"},
    {"Unique", "<Unique:{columns:[U16]}>"},
    {"TableType", "<System|User>"},
    {"TableAccess", "<Public|Private>"},
    {"Visibility", "<Private|ClientCallable>"},
    {"Lifecycle", "<Init|OnConnect|OnDisconnect>"},
    {"Rls", "{sql:String}"},
    {"Mapping", "{source_name:String,canonical_name:String}"},
    {"HttpMethod", "<Get|Head|Post|Put|Delete|Connect|Options|Trace|Patch|Extension:String>"},
    {"ReducerDef", "{source_name:String,params:ProductType,visibility:Visibility,"
                   "ok_return_type:Type,err_return_type:Type}"},
    {"ProcedureDef",
     "{source_name:String,params:ProductType,return_type:Type,visibility:Visibility}"},
    {"ViewDef", "{source_name:String,index:U32,is_public:Bool,is_anonymous:Bool,"
                "params:ProductType,return_type:Type}"},
    {"ScheduleDef", "{source_name:?String,table_name:String,schedule_at_col:U16,"
                    "function_name:String}"},
    /* version 9 */
    {"V9", "{typespace:Typespace,tables:[TableV9],reducers:[{name:String,params:ProductType,"
           "lifecycle:?Lifecycle}],types:[{name:{scope:[String],name:String},ty:U32,"
           "custom_ordering:Bool}],misc_exports:[MiscV9],row_level_security:[Rls]}"},
    {"TableV9",
     "{name:String,product_type_ref:U32,primary_key:[U16],"
     "indexes:[{name:?String,accessor_name:?String,algorithm:Algorithm}],"
     "constraints:[{name:?String,data:Unique}],"
     "sequences:[{name:?String,column:U16,start:?I128,min_value:?I128,max_value:?I128,"
     "increment:I128}],schedule:?{name:?String,reducer_name:String,scheduled_at_column:U16},"
     "table_type:TableType,table_access:TableAccess}"},
    {"MiscV9", "<ColumnDefaultValue:{table:String,col_id:U16,value:[U8]}|"
               "Procedure:{name:String,params:ProductType,return_type:Type}|"
               "View:{name:String,index:U32,is_public:Bool,is_anonymous:Bool,params:ProductType,"
               "return_type:Type}>"},
    /* version 8 */
    {"V8", "{typespace:Typespace,tables:[{schema:TableV8,data:U32}],"
           "reducers:[{name:String,args:[Member]}],"
           "misc_exports:[<TypeAlias:{name:String,ty:U32}>]}"},
    {"TableV8",
     "{table_name:String,columns:[{col_name:String,col_type:Type}],"
     "indexes:[{index_name:String,is_unique:Bool,index_type:<BTree|Hash>,columns:[U16]}],"
     "constraints:[{constraint_name:String,constraints:U8,columns:[U16]}],"
     "sequences:[{sequence_name:String,col_pos:U16,increment:I128,start:?I128,min_value:?I128,"
     "max_value:?I128,allocated:I128}],table_type:String,table_access:String,scheduled:?String}"},
};

#define COUNT LC_ARRAY_LEN(definitions)
static const lc_type *types[COUNT];
static const lc_typespace space = {types, COUNT};

/* ------------------------------------------------------------ the notation */

static lc_span word(const char **at)
{
    size_t n = strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    lc_span s = LC_SPAN(*at, n);
    *at += n;
    return s;
}

static const lc_type *parse(lc_arena *a, const char **at);

static const lc_type *parse_members(lc_arena *a, const char **at)
{
    bool sum = *(*at)++ == '<';
    lc_type_member members[32];
    uint32_t n = 0;
    do {
        assert_true(n < LC_ARRAY_LEN(members));
        members[n] = (lc_type_member){word(at), lc_type_unit()};
        if (**at == ':') {
            ++*at;
            members[n].type = parse(a, at);
        }
        n++;
    } while (*(*at)++ == (sum ? '|' : ','));
    return sum ? lc_type_new_sum(a, members, n) : lc_type_new_product(a, members, n);
}

static const lc_type *parse(lc_arena *a, const char **at)
{
    const lc_type *inner;
    switch (**at) {
    case '{':
    case '<':
        return parse_members(a, at);
    case '?':
        ++*at;
        return lc_type_new_option(a, parse(a, at));
    case '[':
        ++*at;
        inner = parse(a, at);
        assert_int_equal(*(*at)++, ']');
        return lc_type_new_array(a, inner);
    default:
        break;
    }
    lc_span name = word(at);
    for (uint32_t i = 0; i < COUNT; i++)
        if (lc_span_equal_str(name, definitions[i][0])) return lc_type_new_ref(a, i);
    for (lc_type_kind k = LC_TYPE_STRING; k <= LC_TYPE_F64; k++) {
        lc_buf text = LC_BUF_INIT;
        lc_type_print(lc_type_scalar(k), &text);
        bool same = lc_span_equal(lc_buf_span(&text), name);
        lc_buf_deinit(&text);
        if (same) return lc_type_scalar(k);
    }
    fail_msg("no type %.*s", LC_SPAN_ARG(name));
    return NULL;
}

/* --------------------------------------------------------- the description */

/* The vectors tell values in a way of their own: fields in camelCase, sums as {tag, value}, options
 * as null or what they hold, types in SATS-JSON. Returns the end of the value. */
static const uint8_t *describe(const lc_type *t, const uint8_t *value, lc_buf *out);

static void put_camel_case(lc_span name, lc_buf *out)
{
    for (size_t i = 0; i < name.len; i++) {
        bool up = name.ptr[i] == '_' && i + 1 < name.len;
        if (up) i++;
        lc_buf_put_u8(out, up ? (uint8_t)(name.ptr[i] - 'a' + 'A') : name.ptr[i]);
    }
}

static const uint8_t *describe_sum(const lc_type *t, const uint8_t *value, lc_buf *out)
{
    const lc_type_member *m = &t->members[*value++];
    if (t->special == LC_SPECIAL_OPTION) {
        if (m == t->members) return describe(m->type, value, out);
        lc_buf_put_str(out, "null");
        return value;
    }
    lc_buf_printf(out, "{\"tag\":\"%.*s\",\"value\":", LC_SPAN_ARG(m->name));
    value = describe(m->type, value, out);
    lc_buf_put_u8(out, '}');
    return value;
}

static const uint8_t *describe(const lc_type *t, const uint8_t *value, lc_buf *out)
{
    if (t->kind == LC_TYPE_REF && t->ref == 0) {
        size_t size = lc_bsatn_size(t, &space, value);
        lc_arena a = LC_ARENA_INIT;
        lc_reader r = lc_reader_of(LC_SPAN(value, size), NULL);
        const lc_type *type = lc_read_type(&r, &a);
        assert_non_null(type);
        assert_ptr_equal(r.at, r.end);
        lc_type_to_json(type, out);
        lc_arena_deinit(&a);
        return value + size;
    }
    t = lc_type_resolve(&space, t);
    if (t->kind == LC_TYPE_SUM) return describe_sum(t, value, out);
    if (t->kind == LC_TYPE_PRODUCT) {
        for (uint32_t i = 0; i < t->member_count; i++) {
            lc_buf_put_str(out, i ? ",\"" : "{\"");
            put_camel_case(t->members[i].name, out);
            lc_buf_put_str(out, "\":");
            value = describe(t->members[i].type, value, out);
        }
        lc_buf_put_str(out, t->member_count ? "}" : "{}");
        return value;
    }
    if (t->kind == LC_TYPE_ARRAY && t->element->kind != LC_TYPE_U8) {
        uint32_t n = lc_load_u32(value);
        value += 4;
        lc_buf_put_u8(out, '[');
        for (uint32_t i = 0; i < n; i++) {
            if (i) lc_buf_put_u8(out, ',');
            value = describe(t->element, value, out);
        }
        lc_buf_put_u8(out, ']');
        return value;
    }
    return value + lc_json_write(t, &space, value, LC_JSON_NATIVE, out);
}

static void check_definition(lc_arena *a, const vector_case *c, void *arg)
{
    (void)arg;
    const char *root = vector_text(a, c, "root");
    const lc_type *t = parse(a, &root);
    lc_span bsatn = hex(a, vector_text(a, c, "bsatn"));
    lc_error err = LC_ERROR_INIT;
    size_t size;
    assert_ok(lc_bsatn_validate(t, &space, bsatn, &size, &err), &err);
    assert_int_equal(size, bsatn.len);

    lc_buf got = LC_BUF_INIT, want = LC_BUF_INIT;
    assert_ptr_equal(describe(t, bsatn.ptr, &got), bsatn.ptr + bsatn.len);
    json_compact(vector_json(c, "described"), &want);
    assert_span_equal(lc_buf_span(&got), lc_buf_span(&want));

    /* As JSON and back. */
    lc_buf_reset(&got);
    lc_buf_reset(&want);
    assert_int_equal(lc_json_write(t, &space, bsatn.ptr, LC_JSON_NATIVE, &got), bsatn.len);
    assert_ok(lc_json_to_bsatn(t, &space, lc_buf_span(&got), &want, &err), &err);
    assert_span_equal(lc_buf_span(&want), bsatn);
    lc_buf_deinit(&got);
    lc_buf_deinit(&want);

    /* As an argument, cut at every place. */
    lc_type_member column = {LC_STR("x"), t};
    lc_layout *l = lc_layout_create(lc_type_new_product(a, &column, 1), &space);
    assert_ok(lc_layout_validate(l, bsatn, &size, &err), &err);
    assert_int_equal(lc_layout_row_size(l, bsatn.ptr), bsatn.len);
    for (size_t n = 0; n < bsatn.len; n++)
        assert_int_equal(lc_layout_validate(l, LC_SPAN(bsatn.ptr, n), &size, NULL), LC_E_INVALID);
    lc_layout_destroy(l);
}

LC_TEST(definitions_are_values)
{
    lc_arena a = LC_ARENA_INIT;
    for (uint32_t i = 0; i < COUNT; i++) {
        const char *text = definitions[i][1];
        types[i] = parse(&a, &text);
        assert_string_equal(text, "");
    }
    assert_int_equal(vectors_each("module_def_cases", check_definition, NULL), 22);
    lc_arena_deinit(&a);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(definitions_are_values));
}
