/*
 * lightcone.js - a client of a Lightcone database for browsers (and Node from version 20 on).
 * One file, no dependencies, no generated code: the schema is read from the server.
 *
 *     import { connect } from '/sdk/lightcone.js';
 *
 *     const db = await connect('chat');
 *     await db.subscribe('SELECT * FROM message');
 *     db.tables.message.onInsert(m => console.log(m.text));
 *     await db.call('send_message', 'hello');          // rejects with a ReducerError if refused
 *
 * Values in JavaScript:
 *     bool, string, f32, f64, integers to 32 bits    boolean, string, number
 *     integers of 64 bits and more                   BigInt (numbers are accepted as arguments)
 *     array of u8                                    Uint8Array
 *     other arrays                                   Array
 *     product                                        object
 *     option                                         the value or null (an option of an option is
 *                                                    null or { some: inner })
 *     plain enum                                     name of the variant
 *     other sums                                     { tag: name, value }
 *     identity, connection id                        hex text; uuid: text with hyphens
 *     timestamp, duration                            Timestamp, Duration: { micros: BigInt }
 */

/* ------------------------------------------------------------------ errors */

/** Base of all errors of this client; `code` says which kind it is. */
export class LightconeError extends Error {
    constructor(code, message, more) {
        super(message);
        this.name = new.target.name;
        this.code = code;
        Object.assign(this, more);
    }
}
/** The reducer ran and refused: its own text. Nothing was changed. */
export class ReducerError extends LightconeError {}
/** The call could not be carried out: no such reducer, bad arguments, a fault in the module. */
export class CallError extends LightconeError {}
/** The server refused a subscription or a query. */
export class QueryError extends LightconeError {}
/** Not connected, or the connection ended before the answer: what was asked may have happened. */
export class ConnectionError extends LightconeError {}
/** The server refused the token. */
export class AuthError extends LightconeError {}

/* ------------------------------------------------------- values and BSATN */

export class Timestamp {
    constructor(micros) { this.micros = BigInt(micros); }
    static now() { return Timestamp.from(new Date()); }
    static from(date) { return new Timestamp(BigInt(date.getTime()) * 1000n); }
    toDate() { return new Date(Number(this.micros / 1000n)); }
}
export class Duration {
    constructor(micros) { this.micros = BigInt(micros); }
    static millis(n) { return new Duration(Math.round(n * 1000)); }
}

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class Reader {
    constructor(bytes) {
        this.bytes = bytes;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        this.at = 0;
    }
    get done() { return this.at >= this.bytes.length; }
    take(n) {
        if (n > this.bytes.length - this.at) throw new RangeError('data too short');
        return this.bytes.subarray(this.at, this.at += n);
    }
    step(n) {
        if (n > this.bytes.length - this.at) throw new RangeError('data too short');
        return (this.at += n) - n;
    }
    u8() { return this.view.getUint8(this.step(1)); }
    u16() { return this.view.getUint16(this.step(2), true); }
    u32() { return this.view.getUint32(this.step(4), true); }
    u64() { return this.view.getBigUint64(this.step(8), true); }
    i64() { return this.view.getBigInt64(this.step(8), true); }
    blob() { return this.take(this.u32()); }
    string() { return text.decode(this.blob()); }
    list(item) {
        const out = [];
        for (let n = this.u32(); n > 0; n--) out.push(item());
        return out;
    }
    option(item) { return this.tag(2) === 0 ? item() : null; }
    tag(count) {
        const t = this.u8();
        if (t >= count) throw new RangeError(`unknown tag 0x${t.toString(16)}`);
        return t;
    }
    big(bytes, signed) {
        let v = 0n;
        for (let at = this.step(bytes) + bytes, i = 0; i < bytes; i += 8)
            v = v << 64n | this.view.getBigUint64(at -= 8, true);
        return signed ? BigInt.asIntN(bytes * 8, v) : v;
    }
}

export class Writer {
    constructor() {
        this.bytes = new Uint8Array(256);
        this.view = new DataView(this.bytes.buffer);
        this.at = 0;
    }
    step(n) {
        if (this.at + n > this.bytes.length) {
            const bigger = new Uint8Array(Math.max(this.bytes.length * 2, this.at + n));
            bigger.set(this.bytes.subarray(0, this.at));
            this.bytes = bigger;
            this.view = new DataView(bigger.buffer);
        }
        return (this.at += n) - n;
    }
    done() { return this.bytes.slice(0, this.at); }
    /* set: name of a DataView method. Room is made first, because that may replace the view. */
    put(set, size, v) {
        const at = this.step(size);
        this.view[set](at, v, true);
        return this;
    }
    u8(v) { return this.put('setUint8', 1, v); }
    u32(v) { return this.put('setUint32', 4, v); }
    raw(bytes) { const at = this.step(bytes.length); this.bytes.set(bytes, at); return this; }
    blob(bytes) { return this.u32(bytes.length).raw(bytes); }
    string(s) { return this.blob(utf8.encode(s)); }
    big(v, bytes) {
        for (let at = this.step(bytes), i = 0; i < bytes; i += 8, v >>= 64n)
            this.view.setBigUint64(at + i, BigInt.asUintN(64, v), true);
        return this;
    }
}

const wrong = (type, v) => {
    let shown;
    try { shown = typeof v === 'bigint' ? `${v}` : JSON.stringify(v); } catch { shown = String(v); }
    return new TypeError(`${type} expected, got ${shown}`);
};

/* Integers to 32 bits by the DataView, wider ones as BigInt. */
function integer(name, bytes, signed) {
    const bits = BigInt(bytes * 8);
    const low = signed ? -(1n << bits - 1n) : 0n;
    const high = (signed ? 1n << bits - 1n : 1n << bits) - 1n;
    if (bytes <= 4) {
        const kind = `${signed ? 'Int' : 'Uint'}${bytes * 8}`;
        const [get, set, min, max] = [`get${kind}`, `set${kind}`, Number(low), Number(high)];
        return {
            size: bytes,
            read: r => r.view[get](r.step(bytes), true),
            write(w, v) {
                const n = typeof v === 'bigint' ? Number(v) : v;
                if (!Number.isInteger(n) || n < min || n > max) throw wrong(name, v);
                w.put(set, bytes, n);
            },
        };
    }
    return {
        size: bytes,
        read: r => r.big(bytes, signed),
        write(w, v) {
            if (typeof v !== 'bigint' && !Number.isSafeInteger(v)) throw wrong(name, v);
            const n = BigInt(v);
            if (n < low || n > high) throw wrong(name, v);
            w.big(n, bytes);
        },
    };
}

const PRIMITIVE = {
    Bool: {
        size: 1,
        read: r => r.tag(2) === 1,
        write(w, v) { if (typeof v !== 'boolean') throw wrong('bool', v); w.u8(v ? 1 : 0); },
    },
    String: {
        read: r => r.string(),
        write(w, v) { if (typeof v !== 'string') throw wrong('string', v); w.string(v); },
    },
    F32: {
        size: 4,
        read: r => r.view.getFloat32(r.step(4), true),
        write(w, v) { if (typeof v !== 'number') throw wrong('f32', v); w.put('setFloat32', 4, v); },
    },
    F64: {
        size: 8,
        read: r => r.view.getFloat64(r.step(8), true),
        write(w, v) { if (typeof v !== 'number') throw wrong('f64', v); w.put('setFloat64', 8, v); },
    },
};
for (const bytes of [1, 2, 4, 8, 16, 32]) {
    PRIMITIVE[`I${bytes * 8}`] = integer(`i${bytes * 8}`, bytes, true);
    PRIMITIVE[`U${bytes * 8}`] = integer(`u${bytes * 8}`, bytes, false);
}

/* 128 and 256 bit numbers that are shown as text. */
function hexText(name, digits, shape = s => s) {
    const number = PRIMITIVE[`U${digits * 4}`];
    return {
        size: digits / 2,
        read: r => shape(number.read(r).toString(16).padStart(digits, '0')),
        write(w, v) {
            const hex = typeof v === 'string' ? v.replace(/^0x/i, '').replaceAll('-', '') : '';
            if (hex.length !== digits || !/^[0-9a-f]*$/i.test(hex)) throw wrong(name, v);
            number.write(w, BigInt(`0x${hex}`));
        },
    };
}
function time(name, Class) {
    return {
        size: 8,
        read: r => new Class(r.i64()),
        write(w, v) {
            if (v instanceof Date && Class === Timestamp) v = Timestamp.from(v);
            if (!v || v.micros === undefined) throw wrong(name, v);
            PRIMITIVE.I64.write(w, v.micros);
        },
    };
}
const SPECIAL = {
    __identity__: ['U256', hexText('identity', 64)],
    __connection_id__: ['U128', hexText('connection id', 32)],
    __uuid__: ['U128', hexText('uuid', 32, s =>
        `${s.slice(0, 8)}-${s.slice(8, 12)}-${s.slice(12, 16)}-${s.slice(16, 20)}-${s.slice(20)}`)],
    __timestamp_micros_since_unix_epoch__: ['I64', time('timestamp', Timestamp)],
    __time_duration_micros__: ['I64', time('duration', Duration)],
};

const nameOf = (member, i) => member.name?.some ?? String(i);
const isUnit = t => t.Product !== undefined && t.Product.elements.length === 0;

/**
 * The codec { read(Reader), write(Writer, value), size? } of a type in the JSON of the schema route;
 * `size` is there if all values take that many bytes.
 */
export function codecOf(type, types, cache = new Map()) {
    const [kind] = Object.keys(type);
    if (PRIMITIVE[kind]) return PRIMITIVE[kind];
    if (kind === 'Ref') {
        const known = cache.get(type.Ref);
        if (known) return known;
        if (!types[type.Ref]) throw new LightconeError('schema', `no type &${type.Ref}`);
        const made = { read: r => made.real.read(r), write: (w, v) => made.real.write(w, v) };
        cache.set(type.Ref, made); /* before it is complete: a type may contain itself */
        made.real = codecOf(types[type.Ref], types, cache);
        if (made.real.size !== undefined) made.size = made.real.size;
        return made;
    }
    if (kind === 'Array') {
        if (type.Array.U8) return {
            read: r => r.blob().slice(),
            write(w, v) {
                if (!(v instanceof Uint8Array) && !Array.isArray(v)) throw wrong('bytes', v);
                w.blob(v);
            },
        };
        const item = codecOf(type.Array, types, cache);
        return {
            read: r => r.list(() => item.read(r)),
            write(w, v) {
                if (!Array.isArray(v)) throw wrong('array', v);
                w.u32(v.length);
                for (const x of v) item.write(w, x);
            },
        };
    }
    if (kind === 'Product') {
        const { elements } = type.Product;
        const [want, special] = (elements.length === 1 && SPECIAL[nameOf(elements[0], 0)]) || [];
        if (special && elements[0].algebraic_type[want]) return special;
        const fields = elements.map((e, i) =>
            ({ name: nameOf(e, i), codec: codecOf(e.algebraic_type, types, cache) }));
        const sizes = fields.map(f => f.codec.size);
        return {
            size: sizes.includes(undefined) ? undefined : sizes.reduce((a, b) => a + b, 0),
            read(r) {
                const v = {};
                for (const f of fields) v[f.name] = f.codec.read(r);
                return v;
            },
            write(w, v) {
                if (fields.length && (typeof v !== 'object' || v === null)) throw wrong('object', v);
                for (const f of fields) f.codec.write(w, v[f.name]);
            },
        };
    }
    if (kind === 'Sum') {
        const { variants } = type.Sum;
        const names = variants.map(nameOf);
        const codecs = variants.map(v => codecOf(v.algebraic_type, types, cache));
        const unit = variants.map(v => isUnit(v.algebraic_type));
        if (names.length === 2 && names[0] === 'some' && names[1] === 'none' && unit[1])
            return optionOf(variants[0].algebraic_type, codecs[0]);
        const plain = unit.every(Boolean);
        return {
            size: plain ? 1 : undefined,
            read(r) {
                const t = r.tag(names.length);
                return plain ? names[t] : { tag: names[t], value: unit[t] ? null : codecs[t].read(r) };
            },
            write(w, v) {
                const t = names.indexOf(typeof v === 'string' ? v : v?.tag);
                if (t < 0) throw wrong(names.join(' | '), v);
                w.u8(t);
                if (!unit[t]) codecs[t].write(w, v.value);
            },
        };
    }
    throw new LightconeError('schema', `unknown type ${JSON.stringify(type)}`);
}

function optionOf(inner, codec) {
    const variants = inner.Sum?.variants;
    const nested = variants?.length === 2 && nameOf(variants[0], 0) === 'some' && nameOf(variants[1], 1) === 'none';
    return {
        read: r => r.option(() => nested ? { some: codec.read(r) } : codec.read(r)),
        write(w, v) {
            if (v === null || v === undefined) { w.u8(1); return; }
            w.u8(0);
            codec.write(w, nested ? v.some : v);
        },
    };
}

/* ---------------------------------------------------------------- mirror */

/* Rows are told apart by their bytes: equal rows are one row that several queries may hold. */
function keyOf(bytes) {
    let s = '';
    for (let i = 0; i < bytes.length; i += 8192) s += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return s;
}

/** The rows of one table or view that the subscriptions of this client hold. */
export class Table {
    #entries = new Map(); /* key -> { row, count, pk } */
    #byPk = new Map();    /* key of the primary key -> entry */
    #next = null;         /* the same, while subscriptions are made again */
    #codec;
    #pk = null;           /* { name, codec } */
    #listeners = { insert: new Set(), delete: new Set(), update: new Set() };

    constructor(name) { this.name = name; }

    /* A reconnect may find another version of the module. */
    define(codec, pk) {
        this.#codec = codec;
        this.#pk = pk;
    }

    get count() { return this.#entries.size; }
    rows() { return Array.from(this.#entries.values(), e => e.row); }
    [Symbol.iterator]() { return this.rows()[Symbol.iterator](); }
    /** The row with this primary key, or undefined. */
    find(key) {
        if (!this.#pk) throw new LightconeError('argument', `table ${this.name} has no primary key`);
        return this.#byPk.get(this.#pkKey(key))?.row;
    }
    /** Each returns a function that ends it. Callbacks run when a whole transaction is applied. */
    onInsert(f) { return this.#listen('insert', f); }
    onDelete(f) { return this.#listen('delete', f); }
    /** f(old, new): a row was replaced by one with the same primary key. */
    onUpdate(f) { return this.#listen('update', f); }

    #listen(kind, f) {
        this.#listeners[kind].add(f);
        return () => this.#listeners[kind].delete(f);
    }
    #pkKey(value) {
        const w = new Writer();
        this.#pk.codec.write(w, value);
        return keyOf(w.bytes.subarray(0, w.at));
    }

    /* Add (sign 1) or take away (sign -1) the rows of a list; `changes` collects the sums by key. */
    gather(rows, sign, changes) {
        for (const bytes of rows) {
            const key = keyOf(bytes);
            const c = changes.get(key);
            if (c) c.by += sign;
            else changes.set(key, { by: sign, bytes });
        }
    }

    /* Apply sums; returns what became visible. */
    apply(changes) {
        const entries = this.#next ?? this.#entries, inserted = [], deleted = [];
        for (const [key, { by, bytes }] of changes) {
            if (by === 0) continue;
            const old = entries.get(key), count = (old?.count ?? 0) + by;
            if (old && count > 0) {
                old.count = count;
            } else if (old) {
                entries.delete(key);
                deleted.push(old);
            } else if (count > 0) {
                const row = this.#codec.read(new Reader(bytes));
                const entry = { row, count, pk: this.#pk && this.#pkKey(row[this.#pk.name]) };
                entries.set(key, entry);
                inserted.push(entry);
            }
        }
        return this.#next ? [] : this.#shown(inserted, deleted);
    }
    #shown(inserted, deleted) {
        const events = [], gone = new Map();
        for (const e of deleted) {
            if (e.pk === null) events.push(['delete', e.row]);
            else {
                gone.set(e.pk, e);
                this.#byPk.delete(e.pk);
            }
        }
        for (const e of inserted) {
            if (e.pk === null) { events.push(['insert', e.row]); continue; }
            const old = gone.get(e.pk);
            gone.delete(e.pk);
            this.#byPk.set(e.pk, e);
            events.push(old ? ['update', old.row, e.row] : ['insert', e.row]);
        }
        for (const e of gone.values()) events.push(['delete', e.row]);
        return events.map(e => [this, ...e]);
    }
    /* Rows of an event table: seen once, not kept. */
    passing(rows) { return rows.map(b => [this, 'insert', this.#codec.read(new Reader(b))]); }

    fire(kind, args, context) {
        for (const f of this.#listeners[kind]) {
            try { f(...args, context); } catch (e) { console.error(e); }
        }
    }

    /* After a reconnect the old rows stay visible until the new ones are complete. */
    beginResync() { this.#next = new Map(); }
    endResync() {
        const old = this.#entries, now = this.#next ?? old;
        this.#entries = now;
        this.#next = null;
        const inserted = [], deleted = [];
        for (const [key, e] of old) if (!now.has(key)) deleted.push(e);
        for (const [key, e] of now) {
            if (!old.has(key)) inserted.push(e);
            else if (e.pk !== null) this.#byPk.set(e.pk, e);
        }
        return this.#shown(inserted, deleted);
    }
}

/* ------------------------------------------------------------ connection */

const PROTOCOLS = ['v3.bsatn.spacetimedb', 'v2.bsatn.spacetimedb'];
const FRAME_TARGET = 256 * 1024;
const sleep = ms => new Promise(done => setTimeout(done, ms));

/**
 * Connect to a database. Options, all of them optional:
 *     uri          address of the server; default: where the page came from
 *     token        who you are; default: the one kept in `storage`, else a new identity
 *     storage      { getItem, setItem, removeItem } that keeps the token; default: localStorage if
 *                  there is one; null keeps nothing
 *     confirmed    false: do not wait until changes are on disk
 *     compression  'Gzip' (default) or 'None'
 *     reconnect    false: end with the first connection
 *     onStatus     called with 'connected', 'reconnecting' (and the error) or 'closed'
 *     WebSocket, fetch   implementations, where the platform has none
 * Resolves when the server has accepted the connection.
 */
export async function connect(database, options = {}) {
    const db = new Database(database, options);
    await db._open();
    return db;
}

export class Database {
    identity = null;
    connectionId = null;
    token = null;
    /** 'connecting', 'connected', 'reconnecting' or 'closed' */
    status = 'connecting';
    /** Tables and views by name. */
    tables = {};

    #name; #uri; #options; #storage; #storageKey;
    #socket = null; #v3 = false; #outbox = []; #outboxBytes = 0;
    #inbox = Promise.resolve(); #inboxBusy = 0;
    #reducers = new Map(); #procedures = new Map();
    #nextId = 1; #pending = new Map(); /* request id -> { done, fail, ... } */
    #sets = new Map();                 /* query set id -> subscription */
    #resync = null;                    /* ids of the sets that are still to come, while there are any */
    #afterResync = [];
    #closed = false; #wake = () => {};

    constructor(database, options) {
        const here = globalThis.location?.origin;
        const uri = options.uri ?? (here?.startsWith('http') ? here : undefined);
        if (!uri) throw new LightconeError('argument', 'the option uri is missing');
        this.#name = database;
        this.#uri = new URL(uri.replace(/^ws/, 'http'));
        if (!this.#uri.pathname.endsWith('/')) this.#uri.pathname += '/';
        this.#options = options;
        this.#storage = options.storage === undefined ? safeStorage() : options.storage;
        this.#storageKey = `lightcone:${this.#uri.host}`;
    }

    /** Subscribe to one or several queries. Resolves to { unsubscribe() } when their rows are here. */
    subscribe(queries, { onError } = {}) {
        const set = { queries: [queries].flat(), onError, id: this.#nextId++ };
        this.#sets.set(set.id, set);
        const handle = { unsubscribe: () => this.#unsubscribe(set) };
        return new Promise((done, fail) => {
            set.done = () => done(handle);
            set.fail = e => { this.#sets.delete(set.id); fail(e); };
            if (this.status === 'connected') {
                this.#resync?.add(set.id);
                this.#sendSubscribe(set);
            }
            if (this.#closed) set.fail(new ConnectionError('connection', 'the connection is closed'));
        });
    }

    /** Call a reducer. Resolves when it is committed (on disk, unless confirmed is false). */
    async call(reducer, ...args) {
        const params = await this.#params(this.#reducers, reducer, 'reducer');
        return this.#request(w => { w.u8(3); }, w => {
            w.u8(0).string(reducer).blob(encodeArgs(reducer, params.args, args));
        }, { reducer });
    }

    /** Call a procedure; resolves to what it returns. */
    async procedure(name, ...args) {
        const params = await this.#params(this.#procedures, name, 'procedure');
        return this.#request(w => { w.u8(4); }, w => {
            w.u8(0).string(name).blob(encodeArgs(name, params.args, args));
        }, { reducer: name, returns: params.returns });
    }

    /** One answer to one SELECT: an array of rows. They are not mirrored. */
    query(sql) {
        return this.#request(w => { w.u8(2); }, w => { w.string(sql); }, { sql });
    }

    /** End the connection for good. */
    close() {
        this.#closed = true;
        this.#wake();
        this.#socket?.close(1000);
        if (!this.#socket) this.#setStatus('closed');
    }

    /* ---- opening */

    async _open() {
        await this.#connectOnce();
        if (this.#options.reconnect !== false) globalThis.addEventListener?.('online', () => this.#wake());
    }

    #http(path, init) { return (this.#options.fetch ?? globalThis.fetch)(new URL(path, this.#uri), init); }
    #path(rest) { return `v1/database/${encodeURIComponent(this.#name)}/${rest}`; }

    async #connectOnce() {
        await this.#loadSchema();
        const short = await this.#shortToken();
        if (this.#closed) throw new ConnectionError('connection', 'the connection is closed');
        const url = new URL(this.#path('subscribe'), this.#uri);
        url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
        const gzip = (this.#options.compression ?? 'Gzip') === 'Gzip' && globalThis.DecompressionStream;
        url.searchParams.set('compression', gzip ? 'Gzip' : 'None');
        if (this.#options.confirmed !== undefined) url.searchParams.set('confirmed', String(this.#options.confirmed));
        url.searchParams.set('token', short);
        const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
        if (!Socket) throw new LightconeError('argument', 'there is no WebSocket here: pass one as option');
        const socket = new Socket(url.href, PROTOCOLS);
        socket.binaryType = 'arraybuffer';
        this.#socket = socket;
        this.#inbox = Promise.resolve();
        this.#inboxBusy = 0;
        await new Promise((done, fail) => {
            this.#pending.set('hello', { done, fail });
            socket.addEventListener('open', () => { this.#v3 = socket.protocol === PROTOCOLS[0]; });
            socket.addEventListener('message', m => this.#receive(socket, m.data));
            socket.addEventListener('error', () => {}); /* a close event follows */
            socket.addEventListener('close', e => this.#ended(socket, e));
        });
        this.#setStatus('connected');
        this.#startResync();
    }

    async #loadSchema() {
        const answer = await this.#http(this.#path('schema?version=9')).catch(e => {
            throw new ConnectionError('connection', `the server cannot be reached: ${e.message}`);
        });
        if (!answer.ok) throw new LightconeError('schema', (await answer.text()) || `schema: ${answer.status}`);
        const def = await answer.json();
        const { types } = def.typespace, cache = new Map();
        const table = (name, rowType, pk) => {
            const t = this.tables[name] ??= new Table(name);
            const column = pk === undefined ? undefined : types[rowType.Ref].Product.elements[pk];
            t.define(codecOf(rowType, types, cache), column === undefined ? null
                : { name: nameOf(column, pk), codec: codecOf(column.algebraic_type, types, cache) });
        };
        const params = p => p.elements.map((e, i) => ({ name: nameOf(e, i), codec: codecOf(e.algebraic_type, types, cache) }));
        for (const t of def.tables) table(t.name, { Ref: t.product_type_ref }, t.primary_key[0]);
        this.#reducers = new Map(def.reducers.map(r => [r.name, { args: params(r.params) }]));
        this.#procedures = new Map();
        for (const { View: v, Procedure: p } of def.misc_exports) {
            if (p) this.#procedures.set(p.name, { args: params(p.params), returns: codecOf(p.return_type, types, cache) });
            const row = v && (v.return_type.Array ?? v.return_type.Sum?.variants[0].algebraic_type);
            if (row) table(v.name, row);
        }
    }

    /* The long-lived token stays here; only one that ends within a minute travels in the URL. */
    async #shortToken() {
        this.token ??= this.#options.token ?? this.#storage?.getItem(this.#storageKey) ?? null;
        for (let again = false; ; again = true) {
            if (!this.token) {
                const made = await this.#http('v1/identity', { method: 'POST' });
                if (!made.ok) throw new AuthError('auth', `no identity: ${made.status} ${await made.text()}`);
                this.token = (await made.json()).token;
                this.#storage?.setItem(this.#storageKey, this.token);
            }
            const answer = await this.#http('v1/identity/websocket-token',
                { method: 'POST', headers: { Authorization: `Bearer ${this.token}` } });
            if (answer.ok) return (await answer.json()).token;
            const reason = await answer.text();
            /* A kept token of a server that has been set up anew is worth nothing. */
            if (answer.status !== 401 || this.#options.token || again)
                throw new (answer.status === 401 ? AuthError : ConnectionError)(
                    answer.status === 401 ? 'auth' : 'connection', reason || `token: ${answer.status}`);
            this.token = null;
            this.#storage?.removeItem(this.#storageKey);
        }
    }

    #setStatus(status, error) {
        if (this.status === status) return;
        this.status = status;
        try { this.#options.onStatus?.(status, error); } catch (e) { console.error(e); }
    }

    /* ---- ending and coming back */

    #ended(socket, event) {
        if (socket !== this.#socket) return;
        this.#socket = null;
        this.#outbox = [];
        this.#outboxBytes = 0;
        const why = event.reason || (event.code && event.code !== 1006 ? `code ${event.code}` : 'lost or refused');
        const error = new ConnectionError('connection', `the connection ended: ${why}`, { closeCode: event.code });
        const starting = this.#pending.has('hello');
        const pending = [...this.#pending.values()];
        this.#pending.clear();
        for (const p of pending) p.fail(error);
        if (starting) return; /* whoever is connecting decides what next */
        if (this.#closed || this.#options.reconnect === false) this.#giveUp(error);
        else this.#comeBack(error);
    }

    #giveUp(error) {
        const wanted = this.#closed;
        this.#closed = true;
        for (const set of [...this.#sets.values()]) set.fail?.(error);
        this.#setStatus('closed', wanted ? undefined : error);
    }

    async #comeBack(error) {
        this.#setStatus('reconnecting', error);
        for (let wait = 250; !this.#closed; wait = Math.min(wait * 2, 10000)) {
            /* Not all clients at the same moment. */
            await Promise.race([sleep(wait * (0.5 + Math.random())), new Promise(w => { this.#wake = w; })]);
            if (this.#closed) break;
            try {
                return await this.#connectOnce();
            } catch (e) {
                if (e instanceof AuthError) return this.#giveUp(e);
            }
        }
        this.#giveUp(error);
    }

    #startResync() {
        this.#resync = new Set(this.#sets.keys());
        this.#afterResync = [];
        for (const t of Object.values(this.tables)) t.beginResync();
        for (const set of this.#sets.values()) this.#sendSubscribe(set);
        this.#setArrived(null);
    }
    /* A set has its rows or has failed. During a resync nothing is shown before all have. */
    #setArrived(id, then = () => {}) {
        if (!this.#resync) { then(); return; }
        this.#resync.delete(id);
        this.#afterResync.push(then);
        if (this.#resync.size) return;
        const all = this.#afterResync;
        this.#resync = null;
        this.#afterResync = [];
        this.#fire(Object.values(this.tables).flatMap(t => t.endResync()), { type: 'resync' });
        for (const f of all) f();
    }

    /* ---- sending */

    /* In v3 the messages of one turn travel in one frame. */
    #send(message) {
        const flush = () => {
            if (!this.#outbox.length || !this.#socket) return;
            const all = new Uint8Array(this.#outboxBytes);
            let at = 0;
            for (const m of this.#outbox) { all.set(m, at); at += m.length; }
            this.#outbox = [];
            this.#outboxBytes = 0;
            this.#socket.send(all);
        };
        if (!this.#v3) { this.#socket.send(message); return; }
        if (this.#outboxBytes + message.length > FRAME_TARGET) flush();
        if (!this.#outbox.length) queueMicrotask(flush);
        this.#outbox.push(message);
        this.#outboxBytes += message.length;
    }

    #request(head, rest, what) {
        if (this.status !== 'connected') return Promise.reject(new ConnectionError('connection', 'not connected'));
        const id = this.#nextId++;
        const w = new Writer();
        head(w);
        w.u32(id);
        rest(w);
        return new Promise((done, fail) => {
            this.#pending.set(id, { done, fail, ...what });
            this.#send(w.done());
        });
    }

    async #params(map, name, kind) {
        if (!map.has(name) && this.status === 'connected') { /* a newer module may have it */
            await this.#loadSchema();
            map = kind === 'reducer' ? this.#reducers : this.#procedures;
        }
        const found = map.get(name);
        if (!found) throw new CallError('no_such_function', `no ${kind} "${name}"`, { reducer: name });
        return found;
    }

    #sendSubscribe(set) {
        const id = this.#nextId++;
        const w = new Writer().u8(0).u32(id).u32(set.id).u32(set.queries.length);
        for (const q of set.queries) w.string(q);
        /* A lost connection is no failure of the subscription: it is made again. */
        this.#pending.set(id, { set, done() {}, fail() {} });
        this.#send(w.done());
    }

    #unsubscribe(set) {
        if (!this.#sets.delete(set.id) || this.status !== 'connected') return Promise.resolve();
        return this.#request(w => { w.u8(1); }, w => { w.u32(set.id).u8(1); }, { set });
    }

    /* ---- receiving */

    /* Decompression is asynchronous: what comes after a compressed frame must wait for it. */
    #receive(socket, data) {
        const frame = new Uint8Array(data);
        const handle = body => {
            if (socket !== this.#socket) return;
            try {
                for (const r = new Reader(body); !r.done;) this.#message(r);
            } catch (e) {
                console.error('lightcone: undecodable message', e);
                socket.close(4000, 'undecodable message');
            }
        };
        if (frame[0] === 0 && !this.#inboxBusy) { handle(frame.subarray(1)); return; }
        this.#inboxBusy++;
        this.#inbox = this.#inbox
            .then(() => frame[0] === 0 ? frame.subarray(1) : inflate(frame))
            .then(handle)
            .catch(e => { console.error('lightcone:', e); socket.close(4000, 'undecodable message'); })
            .finally(() => { this.#inboxBusy--; });
    }

    #message(r) {
        switch (r.tag(8)) {
        case 0: { /* InitialConnection */
            this.identity = SPECIAL.__identity__[1].read(r);
            this.connectionId = SPECIAL.__connection_id__[1].read(r);
            r.string(); /* the short-lived token */
            this.#answer('hello')?.done();
            break;
        }
        case 1: { /* SubscribeApplied */
            const { set } = this.#answer(r.u32()) ?? {};
            const id = r.u32();
            this.#fire(this.#apply(tableRows(r).map(([name, rows]) => [name, rows, [], []])), { type: 'subscribe' });
            if (set) set.fail = undefined;
            this.#setArrived(id, () => set?.done());
            break;
        }
        case 2: { /* UnsubscribeApplied */
            const asked = this.#answer(r.u32());
            r.u32();
            const dropped = r.option(() => tableRows(r)) ?? [];
            this.#fire(this.#apply(dropped.map(([name, rows]) => [name, [], rows, []])), { type: 'unsubscribe' });
            asked?.done();
            break;
        }
        case 3: { /* SubscriptionError */
            const asked = this.#answer(r.option(() => r.u32()));
            const id = r.u32(), error = new QueryError('query', r.string());
            const set = this.#sets.get(id);
            this.#sets.delete(id);
            if (asked && asked.set === set && set?.fail) {
                set.fail(error);
                this.#setArrived(id);
            } else if (set) {
                /* It ended later on. Which rows were its own is not known: fetch all anew. */
                set.onError?.(error);
                this.#socket.close(4001, 'resync');
            } else {
                asked?.fail(error);
            }
            break;
        }
        case 4: /* TransactionUpdate */
            this.#fire(this.#apply(querySets(r)), { type: 'transaction' });
            break;
        case 5: { /* OneOffQueryResult */
            const asked = this.#answer(r.u32());
            if (r.tag(2) === 0) {
                const [[name, rows] = ['', []]] = tableRows(r);
                const events = this.tables[name]?.passing(rows) ?? [];
                asked?.done(events.map(([, , row]) => row));
            } else asked?.fail(new QueryError('query', r.string(), { sql: asked.sql }));
            break;
        }
        case 6: { /* ReducerResult */
            const asked = this.#answer(r.u32());
            const timestamp = new Timestamp(r.i64());
            const name = asked?.reducer;
            switch (r.tag(4)) {
            case 0:
                r.blob(); /* reducers return nothing */
                this.#fire(this.#apply(querySets(r)), { type: 'call', reducer: name, timestamp });
                asked?.done();
                break;
            case 1: asked?.done(); break;
            case 2:
                asked?.fail(new ReducerError('refused', new Reader(r.blob()).string(), { reducer: name, timestamp }));
                break;
            case 3: asked?.fail(new CallError('failed', r.string(), { reducer: name, timestamp })); break;
            }
            break;
        }
        case 7: { /* ProcedureResult */
            const ok = r.tag(2) === 0, value = ok ? r.blob() : r.string();
            r.i64();
            r.i64();
            const asked = this.#answer(r.u32());
            if (ok) asked?.done(asked.returns.read(new Reader(value)));
            else asked?.fail(new CallError('failed', value, { reducer: asked.reducer }));
            break;
        }
        }
    }

    #answer(id) {
        const p = this.#pending.get(id);
        this.#pending.delete(id);
        return p;
    }

    /* All tables first, callbacks afterwards: they see the state after the transaction. */
    #apply(updates) {
        const changes = new Map(), passing = [];
        for (const [name, inserts, deletes, events] of updates) {
            const table = this.tables[name];
            if (!table) { console.warn(`lightcone: rows of the unknown table ${name} are ignored`); continue; }
            let sums = changes.get(table);
            if (!sums) changes.set(table, sums = new Map());
            table.gather(inserts, 1, sums);
            table.gather(deletes, -1, sums);
            passing.push(...table.passing(events));
        }
        const out = [];
        for (const [table, sums] of changes) out.push(...table.apply(sums));
        return out.concat(passing);
    }
    #fire(events, context) {
        for (const [table, kind, ...args] of events) table.fire(kind, args, context);
    }
}

function safeStorage() {
    try { return globalThis.localStorage ?? null; } catch { return null; } /* forbidden by the browser */
}

function encodeArgs(name, params, args) {
    if (args.length !== params.length)
        throw new CallError('arguments', `${name} takes ${params.length} arguments, not ${args.length}`, { reducer: name });
    const w = new Writer();
    params.forEach((p, i) => {
        try { p.codec.write(w, args[i]); } catch (e) {
            throw new CallError('arguments', `${name}, argument ${p.name}: ${e.message}`, { reducer: name });
        }
    });
    return w.done();
}

async function inflate(frame) {
    if (frame[0] !== 2) throw new LightconeError('protocol', `unknown compression ${frame[0]}`);
    const stream = new Blob([frame.subarray(1)]).stream().pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/* A row list: one size for all, or the offset of each. */
export function rowList(r) {
    const rows = [];
    if (r.tag(2) === 0) {
        const size = r.u16(), data = r.blob();
        for (let at = 0; size > 0 && at < data.length; at += size) rows.push(data.subarray(at, at + size));
    } else {
        const starts = r.list(() => Number(r.u64())), data = r.blob();
        starts.forEach((at, i) => rows.push(data.subarray(at, starts[i + 1] ?? data.length)));
    }
    return rows;
}
const tableRows = r => r.list(() => [r.string(), rowList(r)]);

/* -> [table, inserts, deletes, events] ... of all query sets */
function querySets(r) {
    return r.list(() => {
        r.u32();
        return r.list(() => {
            const name = r.string();
            return r.list(() => r.tag(2) === 0 ? [name, rowList(r), rowList(r), []] : [name, [], [], rowList(r)]);
        }).flat();
    }).flat();
}
