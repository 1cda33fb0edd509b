#!/usr/bin/env node
// The C module API without a server: C modules are compiled by the documented recipe and run in a
// mock host; their definitions are decoded with the official package's own types; their behaviour is
// compared with Rust twins; wrong programs must not compile.
//
//     node run_module_sdk.mjs [--no-rust]
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Duration, Timestamp } from '../../sdk/web/lightcone.js';
import { finish, test } from './lib/harness.mjs';
import { databaseIdentity, MockHost, Trap } from './lib/mock_host.mjs';
import { buildRust, clang, clangFlags, compileC, officialDefinitionType, root } from './lib/paths.mjs';

const withRust = !process.argv.includes('--no-rust');
const official = await officialDefinitionType();
const load = file => new MockHost(fs.readFileSync(file), official.decode);
const hex = bytes => Buffer.from(bytes).toString('hex');
const plain = v => JSON.parse(JSON.stringify(v, (_, x) => typeof x === 'bigint' ? `${x}n` : x));

const files = {
    ckit: compileC(path.join(root, 'tests/modules/ckit')),
    chat: compileC(path.join(root, 'examples/chat')),
    bank: compileC(path.join(root, 'examples/bank')),
    tick: compileC(path.join(root, 'tests/modules/tick')),
};
const ckit = () => load(files.ckit);
const lines = host => host.logs.map(l => l.message);
const last = host => host.logs.at(-1).message;
const ok = (host, name, args = [], options) => assert.equal(host.call(name, args, options), null, name);

/* ------------------------------------------------------------- definitions */

test('the definition is V10, is read to its end, and writing it again gives the same bytes', () => {
    for (const file of Object.values(files)) {
        const host = load(file);
        assert.equal(host.definition.tag, 'V10');
        assert.equal(hex(official.encode(host.definition)), hex(host.definitionBytes));
    }
});

test('definition of ckit: types', () => {
    const { sections, types } = ckit();
    const named = new Map(sections.Types.map(t => [t.sourceName.sourceName, types[t.ty]]));
    assert.ok(sections.Types.every(t => t.customOrdering && t.sourceName.scope.length === 0));
    assert.equal(new Set(sections.Types.map(t => t.ty)).size, types.length);
    const unit = { Product: { elements: [] } };
    const member = (name, algebraic_type) => ({ name: { some: name }, algebraic_type });
    assert.deepEqual(named.get('Color'),
        { Sum: { variants: [member('Red', unit), member('Green', unit), member('Blue', unit)] } });
    const ref = name => ({ Ref: sections.Types.find(t => t.sourceName.sourceName === name).ty });
    assert.deepEqual(named.get('Shape'), { Sum: { variants: [
        member('Circle', { F32: [] }), member('Dot', ref('Point')), member('Label', { String: [] }),
        member('Nothing', unit), member('Poly', { Array: { U32: [] } })] } });
    const columns = Object.fromEntries(named.get('Everything').Product.elements.map(e => [e.name.some, e.algebraic_type]));
    const option = inner => ({ Sum: { variants: [member('some', inner), member('none', unit)] } });
    const special = (name, inner) => ({ Product: { elements: [member(name, { [inner]: [] })] } });
    const want = { id: 'U64', b: 'Bool', i8_: 'I8', u8_: 'U8', i16_: 'I16', u16_: 'U16', i32_: 'I32', u32_: 'U32',
        i64_: 'I64', i128_: 'I128', u128_: 'U128', i256_: 'I256', u256_: 'U256', f32_: 'F32', f64_: 'F64', s: 'String' };
    for (const [c, t] of Object.entries(want)) assert.deepEqual(columns[c], { [t]: [] }, c);
    assert.deepEqual(columns.raw, { Array: { U8: [] } });
    assert.deepEqual(columns.who, special('__identity__', 'U256'));
    assert.deepEqual(columns.conn, special('__connection_id__', 'U128'));
    assert.deepEqual(columns.at, special('__timestamp_micros_since_unix_epoch__', 'I64'));
    assert.deepEqual(columns.dur, special('__time_duration_micros__', 'I64'));
    assert.deepEqual(columns.uid, special('__uuid__', 'U128'));
    assert.deepEqual(columns.plan, { Sum: { variants: [member('Interval', special('__time_duration_micros__', 'I64')),
        member('Time', special('__timestamp_micros_since_unix_epoch__', 'I64'))] } });
    assert.deepEqual(columns.oas, option({ Array: { String: [] } }));
    assert.deepEqual(columns.aou, { Array: option({ U32: [] }) });
    assert.deepEqual(columns.oou, option(option({ U8: [] })));
    assert.deepEqual(columns.u, unit);
});

test('definition of ckit: tables', () => {
    const { sections } = ckit();
    const tables = Object.fromEntries(sections.Tables.map(t => [t.sourceName, t]));
    assert.deepEqual(Object.keys(tables).sort(), ['appointment', 'counter', 'everything', 'fixed', 'grown', 'ids', 'note',
        'pair', 'rung', 'wide'], 'a table in a header that two files include is declared once');
    assert.equal(tables.pair.tableAccess.tag, 'Private');
    assert.equal(tables.note.tableAccess.tag, 'Public');
    assert.equal(tables.note.tableType.tag, 'User');
    const indexes = t => t.indexes.map(x => [x.sourceName, x.accessorName, x.algorithm.tag, plain(x.algorithm.value)]);
    assert.deepEqual(indexes(tables.pair), [
        ['pair_a_b_n_idx_btree', 'by_abn', 'BTree', [0, 1, 2]], ['pair_b_n_idx_btree', 'bn', 'BTree', [1, 2]],
        ['pair_a_b_idx_hash', 'ab', 'Hash', [0, 1]], ['pair_n_idx_btree', 'n', 'BTree', [2]]]);
    assert.deepEqual(plain(tables.pair.constraints.map(c => c.data.value.columns)), [[1, 2]]);
    assert.deepEqual(plain(tables.pair.primaryKey), []);
    assert.deepEqual(indexes(tables.counter), [
        ['counter_id_idx_btree', 'id', 'BTree', [0]], ['counter_label_idx_hash', 'label', 'Hash', [1]]]);
    assert.deepEqual(plain(tables.counter.constraints.map(c => c.data.value.columns)), [[0], [1]]);
    assert.deepEqual(plain(tables.counter.primaryKey), [0]);
    assert.deepEqual(plain(tables.counter.sequences.map(s => [s.column, s.increment, s.start, s.minValue, s.maxValue])),
        plain([0, 2, 3].map(c => [c, 1n, undefined, undefined, undefined])));
    assert.deepEqual(indexes(tables.fixed)[0], ['fixed_id_idx_direct', 'id', 'Direct', 0]);
    assert.deepEqual(tables.grown.defaultValues.map(d => [d.colId, hex(d.value)]),
        [[1, 'f9ff'], [2, '0c000000' + hex(Buffer.from('none, so far'))], [3, '02'], [4, '0005000000']]);
    assert.deepEqual(sections.Tables.filter(t => t.isEvent).map(t => t.sourceName), ['rung']);
    assert.equal(sections.CaseConversionPolicy.tag, 'None');
});

test('definition of ckit: reducers', () => {
    const { sections, reducers, types } = ckit();
    assert.deepEqual(plain(sections.LifeCycleReducers.map(l => [l.lifecycleSpec.tag, l.functionName])),
        [['Init', 'init'], ['OnConnect', 'here'], ['OnDisconnect', 'gone']]);
    assert.deepEqual(plain(sections.Schedules.map(s => [s.tableName, s.scheduleAtCol, s.functionName])), [['appointment', 1, 'ring']]);
    const hidden = [...reducers].filter(([, r]) => r.visibility === 'Private').map(([name]) => name).sort();
    assert.deepEqual(hidden, ['gone', 'here', 'init', 'ring', 'secret']);
    const appoint = sections.Reducers.find(r => r.sourceName === 'appoint');
    assert.deepEqual(appoint.params.elements.map(e => [e.name, e.algebraicType.tag]),
        [['millis', 'I64'], ['repeat', 'Bool'], ['what', 'String']]);
    assert.ok(sections.Reducers.every(r => r.okReturnType.tag === 'Product' && r.okReturnType.value.elements.length === 0 &&
        r.errReturnType.tag === 'String'));
    const ring = sections.Reducers.find(r => r.sourceName === 'ring').params.elements[0].algebraicType;
    assert.equal(ring.value, sections.Tables.find(t => t.sourceName === 'appointment').productTypeRef,
        'a scheduled reducer takes the very type of the rows');
    assert.equal(types[ring.value].Product.elements.length, 3);
});

/* A module of the given files, by name. */
function compileText(files) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'lightcone-module-'));
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), `#include <lightcone/module.h>\n${text}`);
    try { return compileC(folder); } finally { fs.rmSync(folder, { recursive: true }); }
}

test('a module without tables and reducers', () => {
    const host = load(compileText({ 'empty.c': '' }));
    assert.deepEqual([host.tables.size, host.reducers.size, host.types.length], [0, 0, 0]);
});

test('three hundred columns, arguments and variants; twenty indexes', () => {
    const many = (n, f) => Array.from({ length: n }, (_, i) => f(i)).join(', ');
    const host = load(compileText({ 'wide.c': `
        LC_STRUCT(Wide, ${many(300, i => `(u32, c${i})`)})
        LC_TABLE(wide, Wide, PUBLIC, (primary_key, c0), ${many(20, i => `(index, c${i + 1})`)}, (index_on, last, ${many(20, i => `c${i + 100}`)}))
        LC_ENUM(Many, ${many(256, i => `V${i}`)})
        LC_SUM(Sum, ${many(256, i => `(u16, V${i})`)})
        LC_REDUCER(put, (Many, last), (Sum, s), ${many(290, i => `(u32, a${i})`)})
        {
            LC_TRY(wide_insert(&(Wide){ .c0 = a0, .c299 = a289, .c1 = last, .c2 = s.tag, .c3 = s.V255 }));
            return LC_OK;
        }` }));
    ok(host, 'put', ['V255', { tag: 'V255', value: 7 }, ...Array.from({ length: 290 }, (_, i) => i * 2)]);
    const [row] = host.rows('wide');
    assert.deepEqual([row.c0, row.c1, row.c2, row.c3, row.c298, row.c299], [0, 255, 255, 7, 0, 578]);
    assert.equal(host.sections.Tables[0].indexes.length, 22);
});

test('reducers of several files call each other; a schedule may name one of another file', () => {
    const shared = `
        LC_STRUCT(Timer, (u64, id), (schedule_at, at))
        LC_TABLE(timer, Timer, PRIVATE, (primary_key, id, auto_inc), (schedule, at, fire))`;
    const host = load(compileText({
        'a.c': `${shared}
            LC_REDUCER(start) { LC_TRY(timer_insert(&(Timer){ .at = lc_every(lc_seconds(1)) })); return LC_OK; }`,
        'b.c': `${shared}
            lc_result start(const lc_ctx *ctx);
            LC_REDUCER(fire, (Timer, row)) { if (row.id < 3) LC_TRY(start(ctx)); return LC_OK; }`,
    }));
    assert.equal(host.sections.Tables.length, 1);
    assert.equal(host.sections.Schedules.length, 1);
    ok(host, 'start');
    ok(host, 'fire', [host.rows('timer')[0]]);
    assert.equal(host.rows('timer').length, 2);
});

test('one name for two types, or for two tables, is noticed', () => {
    assert.throws(() => load(compileText({
        'a.c': 'LC_STRUCT(T, (u32, a)) LC_TABLE(one, T, PUBLIC)',
        'b.c': 'LC_STRUCT(T, (u32, b)) LC_TABLE(two, T, PUBLIC)' })));
    const host = load(compileText({
        'a.c': 'LC_STRUCT(T, (u32, a)) LC_TABLE(one, T, PUBLIC)',
        'b.c': 'LC_STRUCT(U, (u32, b)) LC_TABLE(one, U, PUBLIC)' }));
    assert.deepEqual(host.sections.Tables.map(t => t.sourceName), ['one', 'one'], 'both are declared, so that the server refuses them');
});

/* ---------------------------------------------------------------- encoding */

const everything = (id, more) => ({ id, b: true, i8_: -128, u8_: 255, i16_: -32768, u16_: 65535, i32_: -(2 ** 31),
    u32_: 2 ** 32 - 1, i64_: -(2n ** 63n), i128_: -(2n ** 127n), u128_: 2n ** 128n - 1n, i256_: -(2n ** 255n),
    u256_: 2n ** 256n - 1n, f32_: 1.5, f64_: -0.1, s: 'größe €', raw: new Uint8Array([0, 1, 255]),
    who: 'c200' + '0123456789abcdef'.repeat(4).slice(4), conn: '000102030405060708090a0b0c0d0e0f', at: new Timestamp(-5n),
    dur: new Duration(2n ** 62n), uid: '01234567-89ab-7def-8123-456789abcdef', plan: { tag: 'Interval', value: new Duration(7n) },
    color: 'Blue', point: { x: 0.25, y: 1e300 }, shape: { tag: 'Poly', value: [1, 2, 2 ** 32 - 1] }, os: 'some', oshape:
    { tag: 'Label', value: 'l' }, oas: ['a', '', 'ccc'], ai: [1n, -1n], as: ['x', 'yy'], ap: [{ x: 1, y: 2 }, { x: 3, y: 4 }],
    aou: [1, null, 3], oou: { some: null }, ab: [new Uint8Array([9]), new Uint8Array()], u: {}, ...more });

test('every type survives argument, row, lookup and row again, byte for byte', () => {
    const host = ckit();
    const rows = [
        everything(1n),
        everything(2n, { b: false, s: '', raw: new Uint8Array(), os: null, oshape: null, oas: null, ai: [], as: [], ap: [],
            aou: [], oou: null, ab: [], color: 'Red', shape: { tag: 'Nothing' }, plan: { tag: 'Time', value: new Timestamp(1n) } }),
        everything(3n, { shape: { tag: 'Circle', value: -0 }, oshape: { tag: 'Dot', value: { x: 1, y: 2 } }, oou: { some: 4 },
            f64_: NaN, f32_: Infinity, s: 'x'.repeat(70000), raw: new Uint8Array(70000).fill(7), as: Array(3000).fill('abc') }),
    ];
    for (const row of rows) {
        ok(host, 'put_everything', [row]);
        assert.ok(host.rowBytes('everything').includes(hex(host.encode('everything', row))), `row ${row.id}`);
        ok(host, 'copy_everything', [row.id, row.id + 100n]);
        assert.ok(host.rowBytes('everything').includes(hex(host.encode('everything', { ...row, id: row.id + 100n }))), `copy ${row.id}`);
    }
    assert.equal(host.call('copy_everything', [99n, 1n]), 'no row 99');
});

test('arguments that do not have the declared type trap and do not read beyond their end', () => {
    const host = ckit();
    for (const raw of ['01', '0100000000000000', '01000000000000000200000000000000ff']) {
        const bytes = Buffer.from(raw, 'hex');
        if (bytes.length < 16) assert.throws(() => host.call('copy_everything', [], { raw: bytes }), Trap);
        else assert.equal(host.call('copy_everything', [], { raw: bytes }), 'no row 1', 'more bytes are ignored');
    }
    assert.throws(() => host.call('refuse', [], { raw: Buffer.from('ffffffff41', 'hex') }), Trap);
    assert.throws(() => host.call('refuse', [], { raw: Buffer.alloc(0) }), Trap);
    assert.throws(() => host.call('by_color', [], { raw: Buffer.from('03', 'hex') }), Trap);
    assert.match(last(host), /no such variant/);
    assert.ok(host.logs.every(l => l.level === 101));
});

/* -------------------------------------------------------------------- rows */

test('generated numbers come back into the row, given ones stay', () => {
    const host = ckit();
    ok(host, 'count_up', ['a', 0n, 0]);
    ok(host, 'count_up', ['b', 500n, 0]);
    ok(host, 'count_up', ['c', 0n, 9]);
    assert.deepEqual(lines(host), ['1 1 1', '500 2 2', '2 9 3']);
    assert.deepEqual(host.rows('counter').map(r => [r.id, r.label, r.small, r.wide]),
        [[1n, 'a', 1, 1n], [500n, 'b', 2, 2n], [2n, 'c', 9, 3n]]);
});

test('errors of table functions: as values, and as texts through LC_TRY', () => {
    const host = ckit();
    ok(host, 'errors');
    assert.equal(host.rows('counter').length, 0);
    ok(host, 'count_up', ['a', 0n, 0]);
    ok(host, 'count_up', ['b', 0n, 0]);
    assert.equal(host.call('rename', ['a', 'b']), 'counter: another row has this unique value');
    assert.equal(host.call('rename', ['zzz', 'b']), 'no counter zzz');
    ok(host, 'rename', ['a', 'aa']);
    assert.deepEqual(host.rows('counter').map(r => r.label).sort(), ['aa', 'b']);
});

test('an error undoes everything and its text arrives, long or empty', () => {
    const host = ckit();
    ok(host, 'count_up', ['a', 0n, 0]);
    assert.equal(host.call('refuse', ['größer', 1]), 'größer!');
    assert.equal(host.call('refuse', ['größer', 3]), 'größer!', 'LC_TRY passes the inner error on');
    assert.equal(host.call('refuse', ['x'.repeat(100000), 1]), 'x'.repeat(100000) + '!');
    assert.equal(host.call('refuse_silently'), '');
    assert.equal(host.rows('counter').length, 1);
});

test('scans of many chunks, of big rows, nested, recycled', () => {
    for (const [n, length] of [[0, 10], [1, 10], [3000, 100], [20, 40000], [3, 400000]]) {
        const host = ckit();
        ok(host, 'fill', [n, length]);
        host.resetCalls();
        ok(host, 'sums');
        const even = Math.ceil(n / 2), group3 = Array.from({ length: n }, (_, i) => i).filter(i => i % 7 === 3).length;
        assert.equal(last(host), `${even} ${even * (even - 1)} ${n * length} ${group3} ${n}`);
        ok(host, 'recycled');
        const letters = Array.from({ length }, (_, i) => 97 + i % 26).reduce((a, b) => a + b, 0);
        assert.match(last(host), new RegExp(`^${n} ${n * letters} `));
        ok(host, 'nested');
        assert.equal(last(host), `${n} of ${n}`);
        assert.ok(host.rows('note').every(r => r.text === 'changed'));
        assert.equal(host.iters.size, 0);
    }
});

test('a recycled scan needs little memory', () => {
    const host = ckit();
    for (let i = 0; i < 2; i++) ok(host, 'fill', [i ? 0 : 10000, 1000]);
    const before = host.memory.buffer.byteLength;
    ok(host, 'recycled');
    assert.ok(host.memory.buffer.byteLength - before <= 2 * 2 ** 20, `${host.memory.buffer.byteLength - before}`);
    ok(host, 'sums');
    assert.ok(host.memory.buffer.byteLength - before > 8 * 2 ** 20, 'a scan that keeps its rows needs as much as they do');
});

test('loops that are left early leave no iterator open', () => {
    const host = ckit();
    ok(host, 'fill', [2000, 1000]);
    for (const how of [0, 1, 2, 4]) {
        ok(host, 'leave_early', [how]);
        assert.equal(host.iters.size, 0, `way ${how}`);
    }
    assert.throws(() => host.call('leave_early', [3]), Trap);
    assert.match(last(host), /64 iterators are open/);
});

test('deleting by index, range, row; clear; count', () => {
    const host = ckit();
    ok(host, 'fill', [30, 0]);
    ok(host, 'delete_some');
    assert.deepEqual(lines(host).slice(-2), [`4 8 1 0 17`, '17 0']);
});

test('ranges of one column, every kind of bound', () => {
    const host = ckit();
    ok(host, 'fill', [20, 0]);
    for (const lower of [0, 1, 2])
        for (const upper of [0, 1, 2])
            for (const [lo, hi] of [[3, 9], [9, 3], [5, 5], [0, 100], [19, 2 ** 32 - 1]]) {
                ok(host, 'range', [lower, lo, upper, hi]);
                const want = host.rows('fixed').map(r => r.id).filter(i =>
                    (lower === 0 || i > lo || (lower === 1 && i === lo)) && (upper === 0 || i < hi || (upper === 1 && i === hi)));
                assert.equal(last(host), want.map(i => ` ${i}`).join(''), `${lower} ${lo} ${upper} ${hi}`);
            }
});

test('several columns: points, prefixes, ranges, unique combinations', () => {
    const host = ckit();
    ok(host, 'pairs');
    const all = host.rows('pair').sort((p, q) => p.a - q.a || (p.b < q.b ? -1 : p.b > q.b ? 1 : p.n - q.n));
    ok(host, 'pair_ranges');
    const got = Object.fromEntries(lines(host).filter(l => l.includes(':')).map(l => l.split(/:/)));
    const want = filter => all.filter(filter).map(p => ` ${p.a}${p.b}${p.n}`).join('');
    assert.equal(got.point, want(p => p.a === 1 && p.b === 'y' && p.n === -99));
    assert.equal(got.hash, want(p => p.a === 2 && p.b === 'z'));
    assert.equal(got['prefix 1'], want(p => p.a === 1));
    assert.equal(got['prefix 2'], want(p => p.a === 1 && p.b === 'y'));
    assert.equal(got['range 0'], want(p => p.a > 1));
    assert.equal(got['range 1'], want(p => p.a === 0 && p.b === 'y'));
    assert.equal(got['range 2'], want(p => p.a === 2 && p.b === 'x' && p.n > -98 && p.n <= 102));
    assert.equal(got.single, want(p => p.n >= 202));
    /* 45 rows, one deleted; 5 of a=0, b=x; 10 of a=1, b<=y */
    assert.equal(last(host), '5 10 29');
    assert.throws(() => host.call('bad_range'), Trap);
    assert.match(last(host), /not fixed/);
});

test('an enum as key of a direct index', () => {
    const host = ckit();
    ok(host, 'grow', [1, 'Blue']);
    ok(host, 'grow', [2, 'Red']);
    ok(host, 'grow', [4, 'Blue']);
    ok(host, 'by_color', ['Blue']);
    assert.equal(last(host), '5');
});

test('appointments and events', () => {
    const host = ckit();
    ok(host, 'appoint', [1500n, true, 'tea'], { timestamp: 7_000_000n });
    ok(host, 'appoint', [1500n, false, 'cake'], { timestamp: 7_000_000n });
    const [tea, cake] = host.rows('appointment');
    assert.deepEqual(plain(tea), plain({ id: 1n, at: { tag: 'Interval', value: { micros: 1_500_000n } }, what: 'tea' }));
    assert.deepEqual(plain(cake.at), plain({ tag: 'Time', value: { micros: 8_500_000n } }));
    ok(host, 'ring', [tea], { connection: '0'.repeat(32), timestamp: 9n });
    assert.deepEqual(plain(host.rows('rung')), plain([{ what: 'tea', when: { micros: 9n }, alone: true }]));
    assert.equal(last(host), 'every 1500000');
});

/* ---------------------------------------------------------------- services */

test('formats', () => {
    const host = ckit();
    ok(host, 'formats');
    assert.deepEqual(host.logs.map(l => [l.level, l.message]), [
        [2, '42|   42|42   |00042|+42| 42|-42'],
        [2, '4000000000|beef|BEEF|10|000000ff|007||     -0012|005     x'],
        [2, '-9223372036854775808|18446744073709551615|ffffffffffffffff|7|5|6'],
        [2, 'text|      text|text      |te|x|%|     1|1     |abc'],
        [2, '3.141593|-2.00|   1.500|2.4     x|-0003.14|+2|1000000000000000.000000|0.000000'],
        [2, 'inf|-nan|1.0|1.000e+20'],
        [2, '(null)||'],
        [0, 'error'], [1, 'warn'], [3, 'debug'], [4, 'trace'],
    ]);
    assert.ok(host.logs.every(l => l.file === 'more.c' && l.line > 50 && l.line < 200));
});

test('panic: logged with its place, the call is undone, a new instance goes on', () => {
    const host = ckit();
    ok(host, 'count_up', ['a', 0n, 0]);
    assert.throws(() => host.call('panic', ['tired']), Trap);
    assert.deepEqual([host.logs.at(-1).level, host.logs.at(-1).message, host.logs.at(-1).file], [101, 'because: tired', 'more.c']);
    assert.equal(host.describeCount, 2);
    ok(host, 'count_up', ['b', 0n, 0]);
    assert.equal(host.rows('counter').length, 2);
});

test('128-bit arithmetic', () => {
    const host = ckit();
    const wrap = n => BigInt.asIntN(128, n), uns = n => BigInt.asUintN(128, n);
    const interesting = [1n, -1n, 2n, 7n, -10n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 64n), 2n ** 100n + 12345n, 2n ** 127n - 1n,
        -(2n ** 127n), 0x123456789abcdef0fedcba9876543210n];
    for (const a of [0n, ...interesting])
        for (const b of interesting)
            for (const shift of [0, 1, 63, 64, 65, 127]) {
                if (a === -(2n ** 127n) && b === -1n) continue; /* does not fit */
                host.setRows(host.tables.get('wide'), new Map());
                ok(host, 'arithmetic', [a, b, shift]);
                const s = BigInt(shift);
                assert.deepEqual(host.rows('wide')[0], { sum: wrap(a + b), product: wrap(a * b), quotient: a / b, rest: a % b,
                    uquotient: uns(a) / uns(b), urest: uns(a) % uns(b), left: wrap(uns(a) << s), right: a >> s,
                    uright: uns(a) >> s }, `${a} ${b} ${shift}`);
            }
    assert.throws(() => host.call('arithmetic', [1n, 0n, 0]), Trap);
    assert.equal(last(host), 'division by zero');
});

test('random numbers: in range, repeatable for one time, different for another', () => {
    const host = ckit();
    const at = timestamp => { ok(host, 'dice', [], { timestamp }); return last(host); };
    assert.match(at(5n), /^1 3f 1 \d+$/);
    assert.equal(at(5n), at(5n));
    assert.notEqual(at(5n), at(6n));
});

test('identities, uuids, token, time', () => {
    const host = ckit();
    const sender = 'c2000102' + '03'.repeat(28), connection = 'aa' + '00'.repeat(14) + 'bb';
    host.jwt.set(connection, '{"sub":"me"}');
    ok(host, 'make_ids', [], { sender, connection, timestamp: 1_700_000_000_123_456n });
    const [row] = host.rows('ids');
    assert.equal(row.sender, sender);
    assert.equal(row.conn, connection);
    assert.equal(row.db, hex(Uint8Array.from(databaseIdentity).reverse()));
    assert.equal(row.now.micros, 1_700_000_000_123_456n);
    assert.match(row.v4, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    for (const v of [row.v7, row.v7b]) {
        assert.match(v, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        assert.equal(parseInt(v.replaceAll('-', '').slice(0, 12), 16), 1_700_000_000_123);
    }
    assert.ok(row.v7 < row.v7b);
    assert.equal(last(host), `{"sub":"me"} ${sender} 1`);
    host.jwt.clear();
    ok(host, 'make_ids', [], { sender, connection, timestamp: 1_700_000_000_123_457n });
    assert.equal(last(host), ` ${sender} 1`);
});

test('memory: aligned, given back, emptied between calls, bounded', () => {
    const host = ckit();
    const big = 'pq'.repeat(500_000);
    ok(host, 'memory', [big, 2000]);
    const [checks, letters, pages] = last(host).split(' ').map(Number);
    assert.equal(checks, 2001);
    assert.equal(letters, 500_000);
    for (let i = 0; i < 20; i++) ok(host, 'memory', [big, 2000]);
    assert.equal(Number(last(host).split(' ')[2]), pages, 'memory of a call is used again by the next');
    assert.throws(() => host.call('too_much_memory'), Trap);
    assert.match(last(host), /out of memory/);
});

/* ------------------------------------------------------------- the examples */

test('bank: transfer makes seven host calls, two of them lookups and two updates', () => {
    const host = load(files.bank);
    ok(host, 'seed', [10, 100n]);
    ok(host, 'transfer', [1, 2, 5n]); /* ids of table and index are cached from here on */
    host.resetCalls();
    ok(host, 'transfer', [2, 1, 5n]);
    assert.deepEqual(host.calls, { bytes_source_read: 1, datastore_index_scan_point_bsatn: 2, row_iter_bsatn_advance: 2,
        datastore_update_bsatn: 2 });
});

const A = 'aa'.repeat(32), B = 'bb'.repeat(32), conn = n => String(n).padStart(32, '0');
const scripts = {
    chat: [
        ['client_connected', [], { sender: A, connection: conn(1) }], ['client_connected', [], { sender: B, connection: conn(2) }],
        ['client_connected', [], { sender: A, connection: conn(3) }],
        ['set_name', [' \t'], { sender: A }], ['set_name', ['x'.repeat(65)], { sender: A }], ['set_name', ['Ada'], { sender: A }],
        ['set_name', ['nobody'], { sender: 'cc'.repeat(32) }],
        ['send_message', ['hello'], { sender: A, timestamp: 5n }], ['send_message', [''], { sender: B }],
        ['send_message', ['größe €\n'], { sender: B, timestamp: 6n }], ['send_message', ['y'.repeat(4097)], { sender: B }],
        ['send_message', ['y'.repeat(4096)], { sender: B }],
        ['client_disconnected', [], { sender: A, connection: conn(1) }], ['client_disconnected', [], { sender: A, connection: conn(3) }],
        ['client_connected', [], { sender: A, connection: conn(4) }], ['client_disconnected', [], { sender: B, connection: conn(2) }],
        ['client_disconnected', [], { sender: 'cc'.repeat(32), connection: conn(9) }],
    ],
    bank: [
        ['transfer', [0, 1, 1n]], ['seed', [20, 1000n]], ['transfer', [0, 1, 400n]], ['transfer', [0, 1, 400n]],
        ['transfer', [0, 1, 201n]], ['transfer', [0, 1, 200n]], ['transfer', [3, 3, 1n]], ['transfer', [3, 4, 0n]],
        ['transfer', [3, 4, -5n]], ['transfer', [3, 20, 5n]], ['transfer', [20, 3, 5n]],
        ['seed', [3, 2n ** 63n - 1n]], ['transfer', [1, 2, 1n]], ['transfer', [1, 2, 2n ** 63n - 1n]], ['seed', [0, 0n]], ['seed', [5, -3n]],
        ['transfer', [1, 2, 1n]],
    ],
    tick: [
        ['init', []], ['step', [10, 7]], ['mv', [3, -9]], ['mv', [5000, 1]], ['step', [1005, 2]], ['mv', [1004, 3]], ['step', [0, 1]],
    ],
};

function run(host, script) {
    return script.map(([name, args, options]) => {
        let outcome;
        try { outcome = host.call(name, args, options) ?? 'committed'; } catch (e) { outcome = `trap: ${e.message}`; }
        const tables = Object.fromEntries([...host.tables].map(([n, t]) => [n, [...t.rows.keys()].sort()]));
        return { call: `${name}(${args.map(String).join(', ').slice(0, 60)})`, outcome, tables };
    });
}

test('the scripts reach every answer of chat and bank', () => {
    const outcomes = name => run(load(files[name]), scripts[name]).map(s => s.outcome);
    assert.deepEqual(outcomes('bank').slice(0, 11), ['no account 0', 'committed', 'committed', 'committed',
        'account 0 has 200, which does not cover 201', 'committed', 'account 3 cannot pay itself',
        'the amount must be positive, not 0', 'the amount must be positive, not -5', 'no account 20', 'no account 20']);
    assert.equal(outcomes('bank')[12], 'account 2 cannot hold 1 more');
    assert.equal(outcomes('chat')[3], 'names must not be empty');
    assert.equal(outcomes('chat').filter(o => o === 'committed').length, 12);
});

test('chat: a user is online as long as one of the connections is there', () => {
    const host = load(files.chat);
    const online = () => host.rows('user').map(u => u.online);
    ok(host, 'client_connected', [], { sender: A, connection: conn(1) });
    ok(host, 'client_connected', [], { sender: A, connection: conn(2) });
    ok(host, 'client_disconnected', [], { sender: A, connection: conn(1) });
    assert.deepEqual(online(), [true]);
    ok(host, 'client_disconnected', [], { sender: A, connection: conn(2) });
    assert.deepEqual(online(), [false]);
});

/* Everything about a definition that a client, SQL or the store can see, in an order of its own. */
function visible(host) {
    const { sections, types } = host;
    const inline = t => t.Ref === undefined ? JSON.stringify(t, (_, x) => x?.Ref === undefined ? x : inlineObject(x)) : inline(types[t.Ref]);
    const inlineObject = t => JSON.parse(inline(types[t.Ref]));
    const byName = (a, b) => a.name < b.name ? -1 : 1;
    return {
        tables: (sections.Tables ?? []).map(t => ({ name: t.sourceName, row: inline({ Ref: t.productTypeRef }),
            key: plain(t.primaryKey), access: t.tableAccess.tag,
            indexes: t.indexes.map(x => [x.sourceName, x.algorithm.tag, plain(x.algorithm.value)]).sort(),
            unique: plain(t.constraints.map(c => c.data.value.columns)).sort(),
            sequences: t.sequences.map(s => s.column) })).sort(byName),
        reducers: (sections.Reducers ?? []).map(r => ({ name: r.sourceName, visibility: r.visibility.tag,
            params: plain(r.params) })).sort(byName),
        lifecycle: (sections.LifeCycleReducers ?? []).map(l => [l.lifecycleSpec.tag, l.functionName]).sort(),
        types: (sections.Types ?? []).map(t => t.sourceName.sourceName).sort(),
    };
}

if (withRust) for (const name of ['chat', 'bank', 'tick']) {
    test(`${name}: the Rust twin has the same tables and reducers`, () => {
        assert.deepEqual(visible(load(files[name])), visible(load(buildRust(name))));
    });
    test(`${name}: the Rust twin answers alike and leaves the same rows`, () => {
        const c = run(load(files[name]), scripts[name]), rust = run(load(buildRust(name)), scripts[name]);
        c.forEach((step, i) => assert.deepEqual(step, rust[i], `step ${i}: ${step.call}`));
    });
}

/* ---------------------------------------------------------- wrong programs */

/* Each file of compile-fail holds cases: a line "// case: NAME => EXPECTED ERROR" and the lines up to
 * the next one; the lines before the first case belong to all. */
const failing = path.join(root, 'tests/modules/compile-fail/wrong.c');
const [common, ...cases] = fs.readFileSync(failing, 'utf8').split(/^\/\/ case: /m);
const compile = source => spawnSync(clang, [...clangFlags.filter(f => !f.startsWith('-Wl')), '-fsyntax-only', '-x', 'c', '-'],
    { input: source, encoding: 'utf8' });
test('compile-fail: what all cases share does compile, without a warning', () => {
    const r = compile(common);
    assert.equal(r.stderr, '');
    assert.equal(r.status, 0);
});
for (const c of cases) {
    const [head, ...body] = c.split('\n');
    const [name, expected] = head.split(' => ');
    test(`compile-fail: ${name}`, () => {
        const r = compile(common + body.join('\n'));
        assert.notEqual(r.status, 0, 'it compiled');
        const errors = r.stderr.split('\n').filter(l => l.includes('error:')).join('\n');
        assert.match(errors, new RegExp(expected), 'another error');
    });
}

await finish();
