// The unmodified npm clients of both generations behind one face, with bindings for the recorded
// `wskit` module written by hand. The packages are kept outside the checkout.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { npm } from './paths.mjs';

/* Node before 22 has neither. */
Promise.withResolvers ??= function () {
    let resolve, reject;
    const promise = new Promise((a, b) => { resolve = a; reject = b; });
    return { promise, resolve, reject };
};

/* What the clients complain of: warnings and errors they print. */
export const complaints = [];
const print = console.log;
console.log = (first, ...rest) => {
    const level = /^%c\S+ ([A-Z]+)%c (.*)/s.exec(first);
    if (!level) print(first, ...rest);
    else if (level[1] === 'WARN' || level[1] === 'ERROR') complaints.push(level[2]);
};

const camel = s => s.replace(/_(\w)/g, (_, c) => c.toUpperCase());
export const text = v => JSON.stringify(v, (_, x) => typeof x === 'bigint' ? `${x}n` : x);

/** Waits until f() is true. */
export async function until(f, what, millis = 20000) {
    for (const end = Date.now() + millis; !f();) {
        if (Date.now() > end) throw new Error(`waited in vain until ${what ?? f}`);
        await new Promise(done => setTimeout(done, 3));
    }
}

export function sdkFolder(version) { return npm(`spacetimedb@${version}`, 'ws@8.18.3'); }

/** The client of that version. */
export async function load(version) {
    const folder = sdkFolder(version);
    const require = createRequire(path.join(folder, 'x.js'));
    const { version: found } = JSON.parse(fs.readFileSync(path.join(folder, 'node_modules/spacetimedb/package.json')));
    if (found !== version) throw new Error(`spacetimedb ${found} instead of ${version}`);
    globalThis.WebSocket = require('ws').WebSocket;
    const sdk = await import(pathToFileURL(path.join(folder, 'node_modules/spacetimedb/dist/index.mjs')));
    return new Sdk(version, sdk);
}

class Sdk {
    constructor(version, sdk) {
        const { t } = sdk, isV2 = version.startsWith('2.');
        const rows = {
            fix_pk: t.row({ id: t.u32().primaryKey(), n: t.i32(), b: t.u8() }),
            var_pk: t.row({ id: t.u32().primaryKey(), name: t.string() }),
            fix_nopk: t.row({ a: t.u16(), b: t.u16() }),
            var_nopk: t.row({ s: t.string() }),
            sess: t.row({ seq: t.u64().primaryKey(), kind: t.string(), who: t.identity(), conn: t.option(t.connectionId()) }),
        };
        const keys = { fix_pk: 'id', var_pk: 'id', sess: 'seq' };
        const tables = Object.entries(rows).map(([name, row]) => {
            const key = keys[name];
            const index = isV2 ? { name: `${name}_${key}_idx_btree`, accessor: key } : { name: key };
            return [name, sdk.table({ name, indexes: key ? [{ ...index, algorithm: 'btree', columns: [key] }] : [],
                constraints: key ? [{ name: `${name}_${key}_key`, constraint: 'unique', columns: [key] }] : [] }, row)];
        });
        const reducers = {
            nop: {}, fail: { msg: t.string() }, fail_after: { id: t.u32() }, boom: {},
            ins_fix: { id: t.u32(), n: t.i32(), b: t.u8() }, upd_fix: { id: t.u32(), n: t.i32(), b: t.u8() }, del_fix: { id: t.u32() },
            ins_var: { id: t.u32(), name: t.string() }, upd_var: { id: t.u32(), name: t.string() }, del_var: { id: t.u32() },
            many_var: { from: t.u32(), count: t.u32(), len: t.u32() },
            ins_fixn: { a: t.u16(), b: t.u16() }, ins_varn: { s: t.string() }, del_varn: { s: t.string() },
        };
        const schema = isV2 ? sdk.schema(Object.fromEntries(tables)) : sdk.schema(...tables.map(([, x]) => x));
        const calls = sdk.reducers(...Object.entries(reducers).map(([name, params]) => sdk.reducerSchema(name, params)));
        this.isV2 = isV2;
        this.sdk = sdk;
        this.module = { versionInfo: { cliVersion: isV2 ? '2.8.3' : '1.12.0' }, tables: schema.schemaType.tables,
            reducers: calls.reducersType.reducers, ...sdk.procedures() };
    }
    /** Connects; options: token, compression, light, confirmed. */
    async connect(url, database, options = {}) {
        const client = new Client(this);
        const { promise, resolve, reject } = Promise.withResolvers();
        let b = new this.sdk.DbConnectionBuilder(this.module, c => new this.sdk.DbConnectionImpl(c)).withUri(url);
        b = this.isV2 ? b.withDatabaseName(database) : b.withModuleName(database);
        if (options.token) b = b.withToken(options.token);
        if (options.compression) b = b.withCompression(options.compression);
        if (options.light) b = b.withLightMode(true);
        if (options.confirmed !== undefined) b = b.withConfirmedReads(options.confirmed);
        b.onConnect((_, identity, token) => { client.connects++; resolve(Object.assign(client, { identity, token })); })
            .onConnectError((_, e) => reject(e ?? new Error('no connection')))
            .onDisconnect(() => { client.disconnects++; });
        client.connection = b.build();
        setTimeout(() => reject(new Error('no connection within 15 s')), 15000).unref();
        return promise;
    }
}

class Client {
    connects = 0;
    disconnects = 0;
    failures = []; /* v1: what failed calls were answered */

    constructor(sdk) { this.sdk = sdk; }
    table(name) { return this.connection.db[camel(name)] ?? this.connection.db[name]; }
    rows(name) { return [...this.table(name).iter()]; }
    count(name) { return Number(this.table(name).count()); }
    /** Resolves with the handle when the rows are there. */
    subscribe(...queries) {
        return new Promise((done, fail) => {
            const handle = this.connection.subscriptionBuilder().onApplied(() => done(handle))
                .onError(context => fail(context.event ?? context)).subscribe(queries);
        });
    }
    unsubscribe(handle) { return new Promise(done => handle.unsubscribeThen(done)); }
    call(name, args = {}) { return this.connection.reducers[camel(name)](args); }
    /** The text with which a call is refused; both generations tell it in their own way. */
    async failure(name, args = {}) {
        if (this.sdk.isV2) {
            const e = await this.call(name, args).then(() => null, x => x);
            return e && String(e.message ?? e);
        }
        const answered = Promise.withResolvers();
        const listen = context => answered.resolve(context.event.status);
        const on = camel(`on_${name}`), off = camel(`remove_on_${name}`);
        this.connection.reducers[on](listen);
        this.call(name, args);
        const status = await answered.promise;
        this.connection.reducers[off]?.(listen);
        return status.tag === 'Failed' ? status.value : null;
    }
    /** Calls, and waits until the effect can be seen: v1 calls have no promise. */
    async does(name, args, effect) {
        const answer = this.call(name, args);
        if (this.sdk.isV2) await answer;
        await until(effect, `the effect of ${name}`);
    }
    async disconnect() {
        this.connection.disconnect();
        await until(() => this.disconnects === 1, 'the connection has ended');
    }
}
