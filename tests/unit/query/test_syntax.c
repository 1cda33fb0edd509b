/* Lexer and parser: what statements look like when they are quoted back, and what is wrong with
 * those that are not statements. */
#include "lc_test.h"
#include "query/ast.h"
#include "sql_kit.h"

/* The normalised text of one statement, or its error. */
static char *normalised(const char *sql)
{
    lc_arena a = LC_ARENA_INIT;
    lc_buf out = LC_BUF_INIT;
    lc_error err = LC_ERROR_INIT;
    lc_sql_statement s;
    uint32_t count = 0;
    if (lc_sql_parse(&a, lc_span_of_str(sql), &s, &count, &err))
        lc_buf_put_str(&out, lc_error_text(&err));
    else if (count != 1)
        lc_buf_printf(&out, "%u statements", count);
    else if (s.kind == LC_SQL_QUERY)
        lc_sql_query_print(s.query, &out);
    else
        lc_buf_put_span(&out, s.text);
    lc_error_clear(&err);
    lc_arena_deinit(&a);
    return lc_buf_give_cstr(&out);
}

typedef struct pair {
    const char *sql, *want;
} pair;

static void check(const pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *got = normalised(pairs[i].sql);
        if (strcmp(got, pairs[i].want) != 0)
            fail_msg("%s\n  got  %s\n  want %s", pairs[i].sql, got, pairs[i].want);
        lc_free(got);
    }
}
#define CHECK(pairs) check(pairs, LC_ARRAY_LEN(pairs))

LC_TEST(queries_are_quoted_with_capital_keywords)
{
    static const pair pairs[] = {
        {"select  *\n from t -- x\n where a==1", "SELECT * FROM t WHERE a = 1"},
        {"select t.*,a b, \"q\"\"r\" as \"x y\" from t",
         "SELECT t.*, a AS b, \"q\"\"r\" AS \"x y\" FROM t"},
        {"select a 'x' from t", "SELECT a AS 'x' FROM t"},
        {"select distinct on (a) b from t", "SELECT DISTINCT ON (a) b FROM t"},
        {"select top 5 percent with ties a from t", "SELECT TOP (5) PERCENT WITH TIES a FROM t"},
        {"select all a from t", "SELECT a FROM t"},
        {"select a into temp table x from t", "SELECT a INTO TEMPORARY TABLE x FROM t"},
        {"select a from t x join s on x.a=s.b cross join r",
         "SELECT a FROM t AS x JOIN s ON x.a = s.b CROSS JOIN r"},
        {"select a from t left outer join s using (a,b)",
         "SELECT a FROM t LEFT JOIN s USING(a, b)"},
        {"select * from t natural left join s", "SELECT * FROM t NATURAL LEFT JOIN s"},
        {"select * from (t join s) x", "SELECT * FROM (t JOIN s) AS x"},
        {"select * from ((select 1)) x (a, b)", "SELECT * FROM ((SELECT 1)) AS x (a, b)"},
        {"select * from f(1, a => 2, *)", "SELECT * FROM f(1, a => 2, *)"},
        {"select * from t group by a, rollup (b, c) having d > 1",
         "SELECT * FROM t GROUP BY a, ROLLUP (b, c) HAVING d > 1"},
        {"select * from t order by a desc nulls last limit 1 offset 2 rows",
         "SELECT * FROM t ORDER BY a DESC NULLS LAST LIMIT 1 OFFSET 2 ROWS"},
        {"select * from t fetch next 10 percent rows with ties",
         "SELECT * FROM t FETCH FIRST 10 PERCENT ROWS WITH TIES"},
        {"select a from t where a = 1 for share of t skip locked",
         "SELECT a FROM t WHERE a = 1 FOR SHARE OF t SKIP LOCKED"},
        {"with recursive x (a) as (select 1) select * from x union all values (1), (2)",
         "WITH RECURSIVE x (a) AS (SELECT 1) SELECT * FROM x UNION ALL VALUES (1), (2)"},
        {"select 1 intersect all (select 2) except select 3",
         "SELECT 1 INTERSECT ALL (SELECT 2) EXCEPT SELECT 3"},
        {"select a end from t", "SELECT a"},
    };
    CHECK(pairs);
}

LC_TEST(expressions_are_quoted)
{
    static const pair pairs[] = {
        {"select a and b or not c, a=b=c, a<>b, a!=b, a<=>b from t",
         "SELECT a AND b OR NOT c, a = b = c, a <> b, a <> b, a <=> b FROM t"},
        {"select -1, - 1, +a, - -a, -(1), +-1, @a, !!a, a!, ~a, |/a from t",
         "SELECT -1, -1, +a, --a, -(1), +-1, @a, !!a, a!, ~a, |/a FROM t"},
        {"select 1.50, .5, 1., 1e3, 1L, 0xAb, x'Ab', 'it''s', N'x', E'a\\nb', $$x$$, $t$x$t$, $1, "
         "?, :foo",
         "SELECT 1.50, .5, 1., 1e3, 1L, X'Ab', X'Ab', 'it''s', N'x', E'a\\nb', $$x$$, $t$x$t$, $1, "
         "?, :foo"},
        {"select a is not null, a is distinct from b, a not in (1,2), a in (select 1), a between 1 "
         "and 2",
         "SELECT a IS NOT NULL, a IS DISTINCT FROM b, a NOT IN (1, 2), a IN (SELECT 1), a BETWEEN "
         "1 AND 2"},
        {"select a like 'x' escape '!', a not ilike b, a similar to b",
         "SELECT a LIKE 'x' ESCAPE '!', a NOT ILIKE b, a SIMILAR TO b"},
        {"select a::int, cast(a as numeric(10,2)), a::timestamp with time zone, a::text[]",
         "SELECT CAST(a AS INT), CAST(a AS NUMERIC(10,2)), CAST(a AS TIMESTAMP WITH TIME ZONE), "
         "CAST(a AS "
         "TEXT[])"},
        {"select case a when 1 then 2 else 3 end, exists (select 1), (select 1), array[1,2], "
         "a[1][2]",
         "SELECT CASE a WHEN 1 THEN 2 ELSE 3 END, EXISTS (SELECT 1), (SELECT 1), ARRAY[1, 2], "
         "a[1][2]"},
        {"select sum(distinct a) over (partition by b order by c), f(a) filter (where b)",
         "SELECT sum(DISTINCT a) OVER (PARTITION BY b ORDER BY c), f(a) FILTER (WHERE b)"},
        {"select extract(year from a), position('a' in b), trim(both 'x' from a), substring(a, 1, "
         "2)",
         "SELECT EXTRACT(YEAR FROM a), POSITION('a' IN b), TRIM(BOTH 'x' FROM a), SUBSTRING(a FROM "
         "1 FOR 2)"},
        {"select date '2020', interval '1' day, user, current_timestamp, (a, b), (a).b, a -> b, a "
         "at time "
         "zone 'x'",
         "SELECT DATE '2020', INTERVAL '1' DAY, user, current_timestamp, (a, b), (a).b, a -> b, a "
         "AT TIME "
         "ZONE 'x'"},
        {"select a = any(b), a + b * c || d, a & b | c ^ d",
         "SELECT a = ANY(b), a + b * c || d, a & b | c ^ d"},
    };
    CHECK(pairs);
}

LC_TEST(other_statements_are_quoted)
{
    static const pair pairs[] = {
        {"create table x(id int primary key)", "CREATE TABLE x (id INT PRIMARY KEY)"},
        {"drop table if exists a, b cascade", "DROP TABLE IF EXISTS a, b CASCADE"},
        {"begin", "BEGIN TRANSACTION"},
        {"start transaction read write", "START TRANSACTION READ WRITE"},
        {"explain analyze select 1", "EXPLAIN ANALYZE SELECT 1"},
        {"insert into t(a) values (1) on conflict (a) do nothing",
         "INSERT INTO t (a) VALUES (1)  ON CONFLICT(a) DO NOTHING"},
        {"update t x set a = 1, (b, c) = (2, 3) from s where d returning *",
         "UPDATE t AS x SET a = 1, b.c = (2, 3) FROM s WHERE d RETURNING *"},
        {"delete a from t join s on x = y", "DELETE a FROM t JOIN s ON x = y"},
        {"set local a.b = 1, 2", "SET LOCAL a.b = 1, 2"},
        {"set time zone 'x'", "SET TIME ZONE 'x'"},
        {"show extended full columns from t like 'x'",
         "SHOW EXTENDED FULL COLUMNS FROM t LIKE 'x'"},
        {"fetch all from c", "FETCH ALL IN c"},
        {"with x as (select 1) insert into t select 1",
         "WITH x AS (SELECT 1) INSERT INTO t SELECT 1"},
    };
    CHECK(pairs);
}

LC_TEST(errors_name_what_was_found_and_where)
{
    static const pair pairs[] = {
        {"", "0 statements"},
        {" ;; -- x", "0 statements"},
        {"end select", "0 statements"},
        {"select 1;; select 2;", "2 statements"},
        {"select 1 select 2",
         "sql parser error: Expected end of statement, found: select at Line: 1, Column 10"},
        {"garbage",
         "sql parser error: Expected an SQL statement, found: garbage at Line: 1, Column 1"},
        {"select\n  *\nfrom é where )",
         "sql parser error: Expected an expression:, found: ) at Line: 3, Column 14"},
        {"select * from é é é",
         "sql parser error: Expected end of statement, found: é at Line: 1, Column 19"},
        {"select 'abc", "sql parser error: Unterminated string literal at Line: 1, Column 8"},
        {"select E'abc",
         "sql parser error: Unterminated encoded string literal at Line: 1, Column 8"},
        {"select $tag$abc",
         "sql parser error: Unterminated dollar-quoted, expected $ at Line: 1, Column 16"},
        {"select \"abc",
         "sql parser error: Expected close delimiter '\"' before EOF. at Line: 1, Column 8"},
        {"select /* /* */ 1",
         "sql parser error: Unexpected EOF while in a multi-line comment at Line: 1, Column 18"},
        {"select * from t where a = 1.2.3",
         "sql parser error: Expected end of statement, found: .3 at Line: 1, Column 30"},
        {"select * from 'it''s' 1",
         "sql parser error: Expected end of statement, found: 1 at Line: 1, Column 23"},
        {"select * from t where x != != 1",
         "sql parser error: Expected an expression:, found: <> at Line: 1, Column 28"},
        {"select * from t x join", "sql parser error: Expected identifier, found: EOF"},
        {"select * from t left", "sql parser error: expected OUTER, SEMI, ANTI or JOIN after LEFT"},
        {"select * from t where a between 1", "sql parser error: Expected AND, found: EOF"},
        {"select * from t where a is 1", "sql parser error: Expected [NOT] NULL or TRUE|FALSE or "
                                         "[NOT] DISTINCT FROM after IS, found: 1 at "
                                         "Line: 1, Column 28"},
        {"insert into t default values", "sql parser error: Expected SELECT, VALUES, or a subquery "
                                         "in the query body, found: default at "
                                         "Line: 1, Column 15"},
        {"update t set a == 1", "sql parser error: Expected =, found: EOF"},
        {"set x 1", "sql parser error: Expected equals sign or TO, found: 1 at Line: 1, Column 7"},
    };
    CHECK(pairs);
}

LC_TEST(words_are_reserved_only_where_they_must_be)
{
    static const pair pairs[] = {
        {"select order from order where end = 11", "SELECT order FROM order WHERE end = 11"},
        {"select left.id as left from left", "SELECT left.id AS left FROM left"},
        {"select * from values where values = 1", "SELECT * FROM values WHERE values = 1"},
        {"select key, type, timestamp, date, time, value, index, name from user",
         "SELECT key, type, timestamp, date, time, value, index, name FROM user"},
        {"select t.position, \"position\" from t", "SELECT t.position, \"position\" FROM t"},
        {"select position from t",
         "sql parser error: Expected (, found: from at Line: 1, Column 17"},
        {"select a.b.c.d, a . b from x.y.z", "SELECT a.b.c.d, a.b FROM x.y.z"},
        {"select id limit from t",
         "sql parser error: Expected end of statement, found: t at Line: 1, Column 22"},
        {"select * from t set",
         "sql parser error: Expected end of statement, found: set at Line: 1, Column 17"},
        {"select * from t as set", "SELECT * FROM t AS set"},
    };
    CHECK(pairs);
}

/* ------------------------------------------------------------------- limits */

static char *nested(const char *before, const char *open, const char *inside, const char *close,
                    int n, const char *after)
{
    lc_buf b = LC_BUF_INIT;
    lc_buf_put_str(&b, before);
    for (int i = 0; i < n; i++) lc_buf_put_str(&b, open);
    lc_buf_put_str(&b, inside);
    for (int i = 0; i < n; i++) lc_buf_put_str(&b, close);
    lc_buf_put_str(&b, after);
    char *sql = lc_buf_give_cstr(&b);
    char *result = normalised(sql);
    lc_free(sql);
    return result;
}

static void assert_too_deep(char *result, bool is_too_deep)
{
    bool is = strcmp(result, "sql parser error: recursion limit exceeded") == 0;
    if (is != is_too_deep) fail_msg("%.200s", result);
    lc_free(result);
}

LC_TEST(nesting_ends_at_the_recorded_depths)
{
    assert_too_deep(nested("select a from t where ", "(", "a = 1", ")", 47, ""), false);
    assert_too_deep(nested("select a from t where ", "(", "a = 1", ")", 48, ""), true);
    assert_too_deep(nested("delete from t where ", "(", "a = 1", ")", 48, ""), false);
    assert_too_deep(nested("delete from t where ", "(", "a = 1", ")", 49, ""), true);
    assert_too_deep(nested("", "(", "select 1", ")", 47, ""), false);
    assert_too_deep(nested("", "(", "select 1", ")", 48, ""), true);
    assert_too_deep(nested("select * from ", "(", "select 1", ")", 47, ""), false);
    assert_too_deep(nested("select * from ", "(", "t join s", ")", 60, ""), false);
    assert_too_deep(nested("select ", "f(", "1", ")", 48, ""), true);
}

/* Texts made to cost much: long chains of everything that repeats, and parentheses that could be
 * two things. None may take stack, memory or time out of proportion. */
LC_TEST(long_texts_stay_cheap)
{
    static const char *const chains[] = {
        "!",   "[1]",    "::int",   " is null",   " or a", " + a", " between 1 and 2",
        "->a", " and b", " in (1)", " collate c", " = a"};
    for (size_t i = 0; i < LC_ARRAY_LEN(chains); i++) {
        size_t n = 50000 / strlen(chains[i]);
        char *text = nested("select * from t where a", chains[i], "", "", (int)n, "");
        assert_true(strlen(text) < 1000000);
        lc_free(text);
    }
    lc_free(nested("select * from t where ", "not ", "a", "", 12000, ""));
    lc_free(nested("select * from t where ", "- ", "a", "", 25000, ""));
    lc_free(nested("select * from ", "((select * from ", "t", "))", 3000, ""));
    lc_free(nested("select * from ", "(", "t", ")", 25000, ""));
    lc_free(nested("select ", "a::array<", "int", ">", 5000, ""));
    lc_free(nested("", "with x as (", "select 1", ") select 1", 2000, ""));
}

/* Random damage to recorded statements: whatever comes out, nothing breaks (run under sanitizers).
 */
LC_TEST(damaged_statements_do_no_harm)
{
    lc_buf file = LC_BUF_INIT;
    kit_read_file("ad-hoc.jsonl", &file);
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        size_t at = lc_test_random(&seed) % file.len;
        const uint8_t *found = memmem(file.ptr + at, file.len - at, "\"sql\": \"", 8);
        if (!found) continue;
        const uint8_t *end = memchr(found + 8, '\n', (size_t)(file.ptr + file.len - found - 8));
        size_t len = (size_t)(end - found - 8);
        len = len > 200 ? 200 : len;
        uint8_t *text = lc_memdup(found + 8, len);
        for (uint64_t i = lc_test_random(&seed) % 6; i > 0 && len; i--) {
            static const char marks[] = "()[]'\"$:;,.*/-+=<>!@#x0e1 \n\\\xc3\xff";
            text[lc_test_random(&seed) % len] =
                (uint8_t)marks[lc_test_random(&seed) % (sizeof marks - 1)];
        }
        size_t start = lc_test_random(&seed) % (len + 1);
        uint8_t *exact = lc_memdup(text + start, len - start); /* no byte beyond */
        lc_arena a = LC_ARENA_INIT;
        lc_sql_statement s;
        uint32_t count;
        lc_sql_parse(&a, LC_SPAN(exact, len - start), &s, &count, NULL);
        lc_arena_deinit(&a);
        lc_free(exact);
        lc_free(text);
    }
    lc_buf_deinit(&file);
}

int main(void)
{
    return LC_TEST_RUN(
        cmocka_unit_test(queries_are_quoted_with_capital_keywords),
        cmocka_unit_test(expressions_are_quoted), cmocka_unit_test(other_statements_are_quoted),
        cmocka_unit_test(errors_name_what_was_found_and_where),
        cmocka_unit_test(words_are_reserved_only_where_they_must_be),
        cmocka_unit_test(nesting_ends_at_the_recorded_depths),
        cmocka_unit_test(long_texts_stay_cheap), cmocka_unit_test(damaged_statements_do_no_harm));
}
