#!/usr/bin/env node
// lightcone.js without a server: its codec against the golden vectors, its connection against a
// server that exists only in memory.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { AuthError, CallError, codecOf, connect, ConnectionError, Duration, LightconeError, QueryError, Reader, ReducerError,
    rowList, Timestamp, Writer } from '../../sdk/web/lightcone.js';
import * as fake from './lib/fake_server.mjs';
import { finish, test } from './lib/harness.mjs';
import { root } from './lib/paths.mjs';

const hex = b => Buffer.from(b).toString('hex');
const unhex = s => new Uint8Array(Buffer.from(s, 'hex'));
const turn = () => new Promise(done => setTimeout(done, 2));

/* ------------------------------------------------------------------- codec */

/* JSON whose integers keep all their digits: as BigInt where a number would not do. */
function exactJson(text) {
    const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, token =>
        /^-?\d{16,}$/.test(token) ? `{"$big":"${token}"}` : token);
    return JSON.parse(marked, (_, v) => v?.$big === undefined ? v : BigInt(v.$big));
}
const vectors = exactJson(fs.readFileSync(path.join(root, 'tests/vectors/bsatn.json'), 'utf8'));

/* SATS-JSON of the vectors -> the values of lightcone.js */
function toJs(type, v, types, special) {
    const [kind] = Object.keys(type);
    if (kind === 'Ref') return toJs(types[type.Ref], v, types);
    if (/^[IU](64|128)$/.test(kind)) return BigInt(v);
    if (/^[IU]256$/.test(kind)) return v.startsWith('-') ? -BigInt(v.slice(1)) : BigInt(v);
    if (kind[0] === 'F') return special ? { inf: Infinity, '-inf': -Infinity, nan: NaN }[special] : kind === 'F32' ? Math.fround(Number(v)) : Number(v);
    if (kind === 'Array') {
        if (type.Array.U8) return Array.isArray(v) ? Uint8Array.from(v) : unhex(v);
        return v.map(x => toJs(type.Array, x, types));
    }
    if (kind === 'Product') {
        const { elements } = type.Product;
        const name = i => elements[i].name.some ?? String(i);
        const inner = i => Array.isArray(v) ? v[i] : v[name(i)];
        const is = (key, t) => elements.length === 1 && name(0) === key && elements[0].algebraic_type[t];
        if (is('__identity__', 'U256')) return BigInt(inner(0)).toString(16).padStart(64, '0');
        if (is('__connection_id__', 'U128')) return BigInt(inner(0)).toString(16).padStart(32, '0');
        if (is('__uuid__', 'U128')) return BigInt(inner(0)).toString(16).padStart(32, '0').replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
        if (is('__timestamp_micros_since_unix_epoch__', 'I64')) return new Timestamp(BigInt(inner(0)));
        if (is('__time_duration_micros__', 'I64')) return new Duration(BigInt(inner(0)));
        return Object.fromEntries(elements.map((e, i) => [name(i), toJs(e.algebraic_type, inner(i), types)]));
    }
    if (kind === 'Sum') {
        const { variants } = type.Sum;
        const [key, payload] = v === null ? ['none'] : Array.isArray(v) ? v : Object.entries(v)[0];
        const i = typeof key === 'number' ? key : variants.findIndex(x => x.name.some === key);
        const isUnit = t => t.Product && !t.Product.elements.length;
        const value = isUnit(variants[i].algebraic_type) ? null : toJs(variants[i].algebraic_type, payload, types);
        const option = t => t.Sum?.variants.length === 2 && t.Sum.variants[0].name.some === 'some' && t.Sum.variants[1].name.some === 'none';
        if (option(type)) return i ? null : option(variants[0].algebraic_type) ? { some: value } : value;
        const tag = variants[i].name.some ?? String(i);
        return variants.every(x => isUnit(x.algebraic_type)) ? tag : { tag, value };
    }
    return v;
}

for (const c of vectors.value_cases) test(`vector ${c.id}`, () => {
    const types = c.typespace?.types ?? [];
    const codec = codecOf(c.type, types), value = toJs(c.type, c.value, types, c.float_special);
    const w = new Writer();
    codec.write(w, value);
    assert.equal(hex(w.done()), c.bsatn);
    const r = new Reader(unhex(c.bsatn));
    assert.deepEqual(codec.read(r), value);
    assert.ok(r.done);
    if (codec.size !== undefined) assert.equal(codec.size, c.bsatn.length / 2);
});
for (const c of vectors.decode_error_cases) test(`vector ${c.id} is refused`, () => {
    assert.throws(() => codecOf(c.type, c.typespace?.types ?? []).read(new Reader(unhex(c.bsatn))));
});

test('values that do not fit their type are refused', () => {
    const bad = [[{ U8: [] }, 256], [{ U8: [] }, -1], [{ U8: [] }, 1.5], [{ U8: [] }, '1'], [{ U8: [] }, null], [{ I16: [] }, 2 ** 15],
        [{ U64: [] }, -1n], [{ U64: [] }, 2n ** 64n], [{ U64: [] }, 2 ** 60], [{ I128: [] }, 2n ** 127n], [{ Bool: [] }, 1],
        [{ String: [] }, 5], [{ F64: [] }, '1'], [{ Array: { U8: [] } }, 'ff'], [{ Array: { U16: [] } }, 5],
        [{ Product: { elements: [{ name: { some: 'a' }, algebraic_type: { U8: [] } }] } }, {}],
        [{ Product: { elements: [{ name: { some: 'a' }, algebraic_type: { U8: [] } }] } }, null],
        [{ Product: { elements: [{ name: { some: '__identity__' }, algebraic_type: { U256: [] } }] } }, 'abc'],
        [{ Sum: { variants: [{ name: { some: 'A' }, algebraic_type: { U8: [] } }] } }, 'B']];
    for (const [type, value] of bad) assert.throws(() => codecOf(type, []).write(new Writer(), value), `${JSON.stringify(type)} ${value}`);
    const w = new Writer();
    codecOf({ U64: [] }, []).write(w, 5); /* a number is accepted where it is exact */
    assert.equal(hex(w.done()), '0500000000000000');
});

test('row lists', () => {
    const list = h => rowList(new Reader(unhex(h))).map(hex);
    assert.deepEqual(list('00020004000000aabbccdd'), ['aabb', 'ccdd']);
    assert.deepEqual(list('010000000000000000'), []);
    assert.deepEqual(list('0102000000' + '0000000000000000' + '0100000000000000' + '03000000aabbcc'), ['aa', 'bbcc']);
    assert.deepEqual(list('0101000000' + '0000000000000000' + '00000000'), [''], 'a row of no bytes');
});

/* -------------------------------------------------------------- connection */

const some = name => ({ some: name });
const field = (name, t) => ({ name: some(name), algebraic_type: typeof t === 'string' ? { [t]: [] } : t });
const schema = {
    typespace: { types: [
        { Product: { elements: [field('id', 'U32'), field('text', 'String')] } },
        { Product: { elements: [field('n', 'U8')] } },
        { Sum: { variants: [field('Red', { Product: { elements: [] } }), field('Green', { Product: { elements: [] } })] } },
    ] },
    tables: [
        { name: 'note', product_type_ref: 0, primary_key: [0] },
        { name: 'loose', product_type_ref: 1, primary_key: [] },
        { name: 'ping', product_type_ref: 1, primary_key: [] },
    ],
    reducers: [
        { name: 'say', params: { elements: [field('text', 'String'), field('times', 'U8')] }, lifecycle: { none: [] } },
        { name: 'paint', params: { elements: [field('color', { Ref: 2 })] }, lifecycle: { none: [] } },
        { name: 'nop', params: { elements: [] }, lifecycle: { none: [] } },
    ],
    types: [],
    misc_exports: [
        { Procedure: { name: 'add', params: { elements: [field('a', 'U32'), field('b', 'U32')] }, return_type: { U32: [] } } },
        { View: { name: 'mine', index: 0, is_public: true, is_anonymous: false, params: { elements: [] }, return_type: { Array: { Ref: 0 } } } },
        { View: { name: 'one', index: 1, is_public: true, is_anonymous: false, params: { elements: [] },
            return_type: { Sum: { variants: [field('some', { Ref: 0 }), field('none', { Product: { elements: [] } })] } } } },
        { ColumnDefaultValue: { table: 'note', col_id: 1, value: '00' } },
    ],
    row_level_security: [],
};
const note = (id, text) => { const w = new Writer(); w.u32(id).string(text); return Buffer.from(w.done()); };
const loose = n => Buffer.from([n]);

class Storage extends Map {
    getItem(k) { return this.get(k) ?? null; }
    setItem(k, v) { this.set(k, v); }
    removeItem(k) { this.delete(k); }
}
async function open(options = {}, prepare = () => {}) {
    const server = new fake.FakeServer();
    server.schema = schema;
    prepare(server);
    const statuses = [];
    const db = await connect('my-db', { uri: 'http://server:3000', fetch: server.fetch, WebSocket: server.WebSocket, storage: null,
        onStatus: s => statuses.push(s), ...options });
    return { server, db, statuses };
}
/* every event of the tables as a line */
function watch(db, ...names) {
    const seen = [];
    const text = r => r.text === undefined ? `${r.n}` : `${r.id}:${r.text}`;
    for (const name of names) {
        const t = db.tables[name];
        t.onInsert((r, c) => seen.push(`${name}+${text(r)} ${c.type}`));
        t.onDelete((r, c) => seen.push(`${name}-${text(r)} ${c.type}`));
        t.onUpdate((o, r, c) => seen.push(`${name}=${text(o)}>${text(r)} ${c.type}`));
    }
    return { take: () => seen.splice(0) };
}
/* subscribe and let the server answer with these rows */
async function subscribed(server, db, queries, tables) {
    const done = db.subscribe(queries);
    await turn();
    const m = server.received.at(-1);
    server.socket.deliver(fake.applied(m.request, m.set, tables));
    const handle = await done;
    return { set: m.set, handle };
}

test('opening: token, short token, protocol, names', async () => {
    const { server, db, statuses } = await open();
    assert.deepEqual(server.requests, ['GET /v1/database/my-db/schema?version=9', 'POST /v1/identity', 'POST /v1/identity/websocket-token']);
    const { url } = server.socket;
    assert.equal(url.protocol, 'ws:');
    assert.equal(url.pathname, '/v1/database/my-db/subscribe');
    assert.deepEqual(Object.fromEntries(url.searchParams), { compression: 'Gzip', token: 'short-of-long-1' });
    assert.equal(db.token, 'long-1', 'the token that lasts is kept');
    assert.equal(db.identity, '11'.repeat(32));
    assert.equal(db.connectionId, '22'.repeat(16));
    assert.deepEqual(Object.keys(db.tables), ['note', 'loose', 'ping', 'mine', 'one']);
    assert.deepEqual(statuses, ['connected']);
    db.close();
});

test('opening: options reach the server', async () => {
    const { server, db } = await open({ uri: 'https://host/prefix', confirmed: false, compression: 'None', token: 'mine' },
        s => s.tokens.add('mine'));
    assert.equal(server.socket.url.href, 'wss://host/prefix/v1/database/my-db/subscribe?compression=None&confirmed=false&token=short-of-mine');
    assert.ok(!server.requests.includes('POST /v1/identity'));
    db.close();
});

test('opening: a token is kept, used again, and replaced when the server does not know it', async () => {
    const storage = new Storage();
    let { server, db } = await open({ storage });
    assert.equal(storage.get('lightcone:server:3000'), 'long-1');
    db.close();
    ({ server, db } = await open({ storage }, s => s.tokens.add('long-1')));
    assert.equal(db.token, 'long-1');
    db.close();
    ({ server, db } = await open({ storage }, s => s.tokens.add('other')));
    assert.equal(db.token, 'long-2');
    assert.equal(storage.get('lightcone:server:3000'), 'long-2');
    assert.ok(server);
    db.close();
});

test('opening: what can go wrong', async () => {
    await assert.rejects(open({ token: 'forged' }), e => e instanceof AuthError && /InvalidSignature/.test(e.message));
    await assert.rejects(open({}, s => { s.schema = null; }), e => e.code === 'schema' && /not found/.test(e.message));
    await assert.rejects(open({}, s => { s.reachable = false; }), ConnectionError);
    await assert.rejects(open({}, s => { s.refuse = 1; }), ConnectionError);
    await assert.rejects(connect('x', {}), LightconeError);
});

test('rows: initial, inserted, updated, deleted, found', async () => {
    const { server, db } = await open();
    const seen = watch(db, 'note', 'loose');
    const { set } = await subscribed(server, db, ['SELECT * FROM note', 'SELECT * FROM loose'], { note: [note(1, 'a'), note(2, 'bb')], loose: [loose(9)] });
    assert.deepEqual(server.received.at(-1).queries, ['SELECT * FROM note', 'SELECT * FROM loose']);
    assert.deepEqual(seen.take(), ['note+1:a subscribe', 'note+2:bb subscribe', 'loose+9 subscribe']);
    assert.equal(db.tables.note.count, 2);
    assert.deepEqual(db.tables.note.find(2), { id: 2, text: 'bb' });
    assert.equal(db.tables.note.find(3), undefined);
    assert.throws(() => db.tables.loose.find(9), LightconeError);
    let during;
    db.tables.note.onUpdate(() => { during = [db.tables.note.find(1).text, db.tables.note.count, db.tables.loose.count]; });
    server.socket.deliver(fake.transaction({ [set]: { loose: { insert: [loose(8)], delete: [loose(9)] },
        note: { insert: [note(1, 'A'), note(3, 'c')], delete: [note(1, 'a'), note(2, 'bb')] } } }));
    await turn();
    assert.deepEqual(seen.take().sort(), ['loose+8 transaction', 'loose-9 transaction', 'note+3:c transaction', 'note-2:bb transaction',
        'note=1:a>1:A transaction']);
    assert.deepEqual(during, ['A', 2, 1], 'callbacks see the state after the whole transaction');
    assert.deepEqual([...db.tables.note].map(r => r.id).sort(), [1, 3]);
    db.close();
});

test('rows held by several query sets are one row, and go when the last set goes', async () => {
    const { server, db } = await open();
    const seen = watch(db, 'note');
    const one = await subscribed(server, db, 'q1', { note: [note(1, 'a')] });
    const two = await subscribed(server, db, 'q2', { note: [note(1, 'a'), note(2, 'b')] });
    assert.deepEqual(seen.take(), ['note+1:a subscribe', 'note+2:b subscribe']);
    const update = { note: { insert: [note(1, 'A')], delete: [note(1, 'a')] } };
    server.socket.deliver(fake.transaction({ [one.set]: update, [two.set]: update }));
    await turn();
    assert.deepEqual(seen.take(), ['note=1:a>1:A transaction']);
    const gone = one.handle.unsubscribe();
    await turn();
    const m = server.received.at(-1);
    assert.deepEqual([m.type, m.set, m.flags], ['Unsubscribe', one.set, 1]);
    server.socket.deliver(fake.unapplied(m.request, m.set, { note: [note(1, 'A')] }));
    await gone;
    assert.deepEqual(seen.take(), []);
    const gone2 = two.handle.unsubscribe();
    await turn();
    server.socket.deliver(fake.unapplied(server.received.at(-1).request, two.set, { note: [note(1, 'A'), note(2, 'b')] }));
    await gone2;
    assert.deepEqual(seen.take(), ['note-1:A unsubscribe', 'note-2:b unsubscribe']);
    assert.equal(db.tables.note.find(1), undefined);
    db.close();
});

test('event tables: seen, not kept', async () => {
    const { server, db } = await open();
    const seen = watch(db, 'ping');
    const { set } = await subscribed(server, db, 'SELECT * FROM ping', {});
    server.socket.deliver(fake.transaction({ [set]: { ping: { event: [loose(3), loose(3)] } } }));
    await turn();
    assert.deepEqual(seen.take(), ['ping+3 transaction', 'ping+3 transaction']);
    assert.equal(db.tables.ping.count, 0);
    db.close();
});

test('a listener can be taken away, and one that throws harms nobody', async () => {
    const { server, db } = await open();
    const seen = [], log = console.error;
    console.error = () => seen.push('logged');
    const off = db.tables.note.onInsert(() => seen.push('gone'));
    db.tables.note.onInsert(() => { throw new Error('mine'); });
    db.tables.note.onInsert(() => seen.push('here'));
    off();
    await subscribed(server, db, 'q', { note: [note(1, 'a')] });
    console.error = log;
    assert.deepEqual(seen, ['logged', 'here']);
    db.close();
});

test('calls: arguments, own changes before the answer, errors by kind', async () => {
    const { server, db } = await open();
    const seen = watch(db, 'note');
    const { set } = await subscribed(server, db, 'q', {});
    const answers = {
        'ok': m => fake.reducerOk(m.request, { [set]: { note: { insert: [note(1, 'ok')] } } }),
        'empty': m => fake.reducerOkEmpty(m.request),
        'err': m => fake.reducerErr(m.request, 'not so'),
        'fault': m => fake.reducerFault(m.request, 'The instance encountered a fatal error.'),
    };
    server.onMessage = (m, socket) => {
        const r = new Reader(m.args);
        assert.deepEqual([m.reducer, m.flags], ['say', 0]);
        socket.deliver(answers[r.string()](m));
        assert.equal(r.u8(), 7);
        assert.ok(r.done);
    };
    await db.call('say', 'ok', 7);
    assert.deepEqual(seen.take(), ['note+1:ok call']);
    await db.call('say', 'empty', 7);
    await assert.rejects(db.call('say', 'err', 7), e => e instanceof ReducerError && e.message === 'not so' && e.reducer === 'say');
    await assert.rejects(db.call('say', 'fault', 7), e => e instanceof CallError && e.code === 'failed' && /fatal/.test(e.message));
    await assert.rejects(db.call('say', 'x'), e => e.code === 'arguments' && /takes 2 arguments, not 1/.test(e.message));
    await assert.rejects(db.call('say', 'x', 300), e => e.code === 'arguments' && /say, argument times: u8 expected, got 300/.test(e.message));
    await assert.rejects(db.call('paint', 'Blue'), e => e.code === 'arguments');
    const before = server.requests.length;
    await assert.rejects(db.call('missing'), e => e instanceof CallError && e.code === 'no_such_function');
    assert.equal(server.requests.length, before + 1, 'the schema is read again: a newer module may have it');
    db.close();
});

test('calls of one turn travel in one frame with v3, in one each with v2', async () => {
    for (const [protocol, frames] of [['v3.bsatn.spacetimedb', 1], ['v2.bsatn.spacetimedb', 50]]) {
        const { server, db } = await open({}, s => { s.protocol = protocol; });
        server.onMessage = (m, socket) => socket.deliver(fake.reducerOk(m.request));
        await Promise.all(Array.from({ length: 50 }, () => db.call('nop')));
        assert.equal(server.frames, frames);
        assert.ok(server.received.every((m, i) => i === 0 || m.request > server.received[i - 1].request), 'in order');
        db.close();
    }
});

test('procedures and one-off queries', async () => {
    const { server, db } = await open();
    server.onMessage = (m, socket) => {
        if (m.type === 'CallProcedure') {
            const r = new Reader(m.args), sum = r.u32() + r.u32(), w = new Writer().u32(sum);
            socket.deliver(sum ? fake.procedureOk(m.request, w.done()) : fake.procedureFault(m.request, 'zero'));
        } else socket.deliver(m.query === 'bad' ? fake.oneOffError(m.request, 'no such thing') : fake.oneOff(m.request, 'note', [note(4, 'd')]));
    };
    assert.equal(await db.procedure('add', 2, 3), 5);
    await assert.rejects(db.procedure('add', 0, 0), e => e instanceof CallError && e.message === 'zero');
    assert.deepEqual(await db.query('SELECT * FROM note'), [{ id: 4, text: 'd' }]);
    await assert.rejects(db.query('bad'), e => e instanceof QueryError && e.message === 'no such thing' && e.sql === 'bad');
    assert.equal(db.tables.note.count, 0, 'rows of a query are not mirrored');
    db.close();
});

test('several messages in a frame; a gzip frame does not overtake or get overtaken', async () => {
    const { server, db } = await open();
    const seen = watch(db, 'note');
    const { set } = await subscribed(server, db, 'q', {});
    const plus = (...ids) => ids.map(i => fake.transaction({ [set]: { note: { insert: [note(i, 'x'.repeat(i))] } } }));
    const gzip = (...m) => Buffer.concat([Buffer.from([2]), zlib.gzipSync(Buffer.concat(m))]);
    server.socket.deliver(...plus(1, 2));
    server.socket.raw(gzip(...plus(3, 4)));
    server.socket.deliver(...plus(5));
    server.socket.raw(gzip(...plus(6)));
    server.socket.deliver(...plus(7));
    await new Promise(done => setTimeout(done, 50));
    assert.deepEqual(seen.take().map(s => Number(/\+(\d+)/.exec(s)[1])), [1, 2, 3, 4, 5, 6, 7]);
    db.close();
});

test('subscriptions: refused, ended later', async () => {
    const { server, db, statuses } = await open();
    const refused = db.subscribe('SELECT nonsense');
    await turn();
    server.socket.deliver(fake.subscriptionError(server.received.at(-1).request, server.received.at(-1).set, 'bad SQL'));
    await assert.rejects(refused, e => e instanceof QueryError && e.message === 'bad SQL');

    const errors = [];
    const lost = db.subscribe('lost', { onError: e => errors.push(e.message) });
    await turn();
    const m = server.received.at(-1);
    server.socket.deliver(fake.applied(m.request, m.set, { note: [note(1, 'lost')] }));
    await lost;
    await subscribed(server, db, 'kept', { note: [note(2, 'kept')] });
    const seen = watch(db, 'note');
    server.onMessage = (x, socket) => socket.deliver(fake.applied(x.request, x.set, { note: [note(2, 'kept')] }));
    server.socket.deliver(fake.subscriptionError(null, m.set, 'view failed'));
    while (!statuses.includes('reconnecting') || db.status !== 'connected') await turn();
    await turn(); await turn();
    assert.deepEqual(errors, ['view failed']);
    assert.deepEqual(db.tables.note.rows(), [{ id: 2, text: 'kept' }], 'rows of the lost set are gone');
    assert.deepEqual(seen.take(), ['note-1:lost resync']);
    db.close();
});

test('reconnect: subscriptions come back, only differences are told, old rows stay until then', async () => {
    const { server, db, statuses } = await open();
    const a = await subscribed(server, db, 'a', { note: [note(1, 'one'), note(2, 'two'), note(3, 'three')] });
    await subscribed(server, db, 'b', { loose: [loose(1)] });
    const seen = watch(db, 'note', 'loose');
    const call = db.call('nop');
    await turn();
    server.refuse = 2;
    server.socket.end(1006);
    await assert.rejects(call, e => e instanceof ConnectionError);
    assert.equal(db.status, 'reconnecting');
    await assert.rejects(db.call('nop'), ConnectionError);
    const early = db.subscribe('c'); /* made while there is no connection */
    const known = server.received.length;
    while (db.status !== 'connected') await turn();
    await turn();
    const made = server.received.slice(known);
    assert.deepEqual(made.map(m => [m.type, m.queries[0]]), [['Subscribe', 'a'], ['Subscribe', 'b'], ['Subscribe', 'c']]);
    assert.equal(made[0].set, a.set);
    server.socket.deliver(fake.applied(made[0].request, made[0].set, { note: [note(1, 'one'), note(2, 'TWO'), note(4, 'four')] }));
    await turn();
    assert.equal(db.tables.note.count, 3);
    assert.equal(db.tables.note.find(3).text, 'three', 'nothing changes before everything is here');
    assert.deepEqual(seen.take(), []);
    server.socket.deliver(fake.transaction({ [a.set]: { note: { insert: [note(5, 'five')], delete: [note(4, 'four')] } } }));
    server.socket.deliver(fake.applied(made[1].request, made[1].set, { loose: [loose(1)] }));
    server.socket.deliver(fake.applied(made[2].request, made[2].set, {}));
    await early;
    assert.deepEqual(seen.take(), ['note=2:two>2:TWO resync', 'note+5:five resync', 'note-3:three resync']);
    assert.deepEqual(db.tables.note.rows().map(r => r.id).sort(), [1, 2, 5]);
    assert.equal(db.tables.note.find(1).text, 'one');
    server.socket.deliver(fake.transaction({ [a.set]: { note: { delete: [note(1, 'one')] } } }));
    await turn();
    assert.deepEqual(seen.take(), ['note-1:one transaction']);
    assert.deepEqual(statuses, ['connected', 'reconnecting', 'connected']);
    db.close();
    await turn();
    assert.equal(db.status, 'closed');
});

test('reconnect: a newer module with other columns', async () => {
    const { server, db } = await open();
    await subscribed(server, db, 'a', { note: [note(1, 'one')] });
    const newer = structuredClone(schema);
    newer.typespace.types[0].Product.elements.push(field('done', 'Bool'));
    server.schema = newer;
    const updates = [];
    db.tables.note.onUpdate((o, n) => updates.push([o, n]));
    server.onMessage = (m, socket) => socket.deliver(fake.applied(m.request, m.set, { note: [Buffer.concat([note(1, 'one'), Buffer.from([1])])] }));
    server.socket.end(1001, 'module exited');
    while (db.tables.note.find(1)?.done !== true) await turn();
    assert.deepEqual(updates, [[{ id: 1, text: 'one' }, { id: 1, text: 'one', done: true }]]);
    db.close();
});

test('no reconnect when it is not wanted, and after close', async () => {
    const { server, db, statuses } = await open({ reconnect: false });
    const never = db.subscribe('x');
    await turn();
    server.socket.end(1001, 'module exited');
    await assert.rejects(never, e => e instanceof ConnectionError && /module exited/.test(e.message));
    assert.equal(db.status, 'closed');
    assert.deepEqual(statuses, ['connected', 'closed']);
    await assert.rejects(db.subscribe('y'), ConnectionError);

    const again = await open();
    again.db.close();
    await turn(); await turn();
    assert.equal(again.db.status, 'closed');
    assert.equal(again.server.sockets.length, 0);
    await assert.rejects(again.db.call('nop'), ConnectionError);
});

test('nonsense from the server ends the connection and it comes back', async () => {
    const { server, db, statuses } = await open();
    const log = console.error;
    console.error = () => {};
    server.socket.deliver(Buffer.from([99]));
    while (statuses.length < 3) await turn();
    console.error = log;
    assert.deepEqual(statuses, ['connected', 'reconnecting', 'connected']);
    db.close();
});

await finish();
