// A host for WebAssembly modules in a few hundred lines: enough of a datastore to run reducers
// without a server, strict about everything that a module could get wrong (pointers, handles,
// lengths, undecodable rows). It knows nothing of speed, clients or disks.
import { codecOf, Reader, Writer } from '../../../sdk/web/lightcone.js';

const E = { NOT_IN_TRANSACTION: 2, DECODE: 3, NO_TABLE: 4, NO_INDEX: 5, NO_ITER: 6, NO_BYTES: 8, TOO_SMALL: 11,
    UNIQUE: 12, INDEX_NOT_UNIQUE: 14, NO_ROW: 15 };
const CHUNK = 32768;

export class Trap extends Error {}

export const databaseIdentity = new Uint8Array(32).map((_, i) => 0xc0 + i);

/* The official package's AlgebraicType -> the JSON form that lightcone.js reads. */
export function jsonType(t) {
    const member = m => ({ name: m.name == null ? { none: [] } : { some: m.name }, algebraic_type: jsonType(m.algebraicType) });
    switch (t.tag) {
    case 'Ref': return { Ref: t.value };
    case 'Array': return { Array: jsonType(t.value) };
    case 'Product': return { Product: { elements: t.value.elements.map(member) } };
    case 'Sum': return { Sum: { variants: t.value.variants.map(member) } };
    default: return { [t.tag]: [] };
    }
}

/* A value as something that < and === put in the order of the server. */
function comparable(v, type, types) {
    if (type.Ref !== undefined) return comparable(v, types[type.Ref], types);
    if (type.Sum) return type.Sum.variants.findIndex(x => x.name.some === (v?.tag ?? v));
    if (v instanceof Uint8Array) return Buffer.from(v).toString('hex');
    return v?.micros ?? v;
}

const hex = bytes => Buffer.from(bytes).toString('hex');

export class MockHost {
    tables = new Map();   /* name -> { id, name, columns, codec, indexes, sequences, rows: Map(hex -> { bytes, values }) } */
    reducers = new Map(); /* name -> { id, params } */
    logs = [];
    calls = {};           /* host calls since the last resetCalls(), by name */
    jwt = new Map();      /* connection id hex -> text */
    describeCount = 0;

    constructor(wasm, decodeDefinition) {
        this.module = new WebAssembly.Module(wasm);
        this.decodeDefinition = decodeDefinition;
        this.newInstance();
        this.readDefinition();
    }

    newInstance() {
        const imports = {};
        for (const { module, name } of WebAssembly.Module.imports(this.module)) {
            const run = this[name];
            (imports[module] ??= {})[name] = (...args) => {
                this.calls[name] = (this.calls[name] ?? 0) + 1;
                if (!run) throw new Trap(`host function ${name} is not mocked`);
                return run.apply(this, args);
            };
        }
        this.iters = new Map();
        this.nextIter = 1;
        this.sources = new Map();
        this.sinks = new Map();
        this.inTransaction = false;
        this.instance = new WebAssembly.Instance(this.module, imports);
        this.memory = this.instance.exports.memory;
        for (const name of Object.keys(this.instance.exports).filter(n => n.startsWith('__preinit__')).sort())
            this.instance.exports[name]();
        if (this.instance.exports.__setup__?.(this.newSink())) throw new Trap('setup failed');
        const sink = this.newSink();
        this.instance.exports.__describe_module__(sink);
        this.describeCount++;
        this.definitionBytes = this.sinks.get(sink);
        this.sources.clear();
        this.sinks.clear();
    }

    readDefinition() {
        this.definition = this.decodeDefinition(this.definitionBytes);
        const sections = Object.fromEntries(this.definition.value.sections.map(s => [s.tag, s.value]));
        this.sections = sections;
        this.types = (sections.Typespace?.types ?? []).map(jsonType);
        const codec = (type, cache = new Map()) => codecOf(type, this.types, cache);
        const explicit = new Map((sections.ExplicitNames?.entries ?? []).filter(e => e.tag === 'Table')
            .map(e => [e.value.sourceName, e.value.canonicalName]));
        for (const t of sections.Tables ?? []) {
            const elements = this.types[t.productTypeRef].Product.elements;
            const columns = elements.map(e => ({ name: e.name.some, type: e.algebraic_type, codec: codec(e.algebraic_type) }));
            const unique = t.constraints.map(c => [...c.data.value.columns].sort().join());
            const id = 4096 + this.tables.size;
            const indexes = t.indexes.map((x, i) => {
                const cols = x.algorithm.tag === 'Direct' ? [x.algorithm.value] : [...x.algorithm.value];
                return { id: id * 16 + i, name: x.sourceName, kind: x.algorithm.tag, columns: cols,
                    unique: unique.includes([...cols].sort().join()), byKey: new Map() }; /* if unique: key -> hex */
            });
            this.tables.set(t.sourceName, { id, name: t.sourceName, canonical: explicit.get(t.sourceName) ?? t.sourceName,
                columns, codec: codec({ Ref: t.productTypeRef }), indexes,
                sequences: t.sequences.map(s => ({ column: s.column, next: 1n })), rows: new Map() });
        }
        (sections.Reducers ?? []).forEach((r, id) => this.reducers.set(r.sourceName, { id, visibility: r.visibility.tag,
            params: r.params.elements.map(e => ({ name: e.name, codec: codec(jsonType(e.algebraicType)) })) }));
    }

    resetCalls() { this.calls = {}; }
    rows(table) { return [...this.tables.get(table).rows.values()].map(r => r.values); }
    rowBytes(table) { return [...this.tables.get(table).rows.keys()]; }
    encode(table, row) {
        const w = new Writer();
        this.tables.get(table).codec.write(w, row);
        return w.done();
    }

    /* Call a reducer: null if it committed, else its error text. Throws Trap. */
    call(name, args = [], { sender = '00'.repeat(31) + '01', connection = '00'.repeat(15) + '05', timestamp = 1000000n, raw } = {}) {
        const reducer = this.reducers.get(name);
        if (!reducer) throw new Error(`no reducer ${name}`);
        const w = new Writer();
        reducer.params.forEach((p, i) => raw || p.codec.write(w, args[i]));
        const bytes = raw ?? w.done();
        const before = new Map([...this.tables].map(([n, t]) => [n, new Map(t.rows)]));
        const rollback = () => before.forEach((rows, n) => this.setRows(this.tables.get(n), rows));
        const words = text => { /* big-endian hex -> little-endian 64-bit words */
            const out = [];
            for (let i = text.length; i > 0; i -= 16) out.push(BigInt.asIntN(64, BigInt(`0x${text.slice(i - 16, i)}`)));
            return out;
        };
        const sink = this.newSink();
        this.inTransaction = true;
        let code;
        try {
            code = this.instance.exports.__call_reducer__(reducer.id, ...words(sender), ...words(connection), timestamp,
                bytes.length ? this.newSource(bytes) : 0, sink);
        } catch (e) {
            rollback();
            this.newInstance();
            throw e instanceof Trap ? e : new Trap(e.message);
        }
        this.inTransaction = false;
        const text = Buffer.from(this.sinks.get(sink)).toString('utf8');
        this.sources.clear();
        this.sinks.clear();
        if (code === 0) return null;
        rollback();
        if (code !== 1) throw new Trap(`unknown return code ${code}`);
        return text;
    }

    /* ---- memory */
    range(ptr, len) {
        ptr >>>= 0; len >>>= 0;
        if (ptr === 0) throw new Trap('null pointer');
        if (ptr + len > this.memory.buffer.byteLength) throw new Trap('out of bounds pointer');
        return new Uint8Array(this.memory.buffer, ptr, len);
    }
    get(ptr, len) { return this.range(ptr, len).slice(); }
    text(ptr, len) { return new TextDecoder('utf-8', { fatal: true }).decode(this.range(ptr, len)); }
    getU32(ptr) { return new DataView(this.range(ptr, 4).buffer).getUint32(ptr >>> 0, true); }
    setU32(ptr, v) { new DataView(this.range(ptr, 4).buffer).setUint32(ptr >>> 0, v, true); }
    setU64(ptr, v) { new DataView(this.range(ptr, 8).buffer).setBigUint64(ptr >>> 0, BigInt(v), true); }

    newSink() { const id = this.sinks.size + 1; this.sinks.set(id, new Uint8Array()); return id; }
    newSource(bytes) { const id = this.sources.size + 1; this.sources.set(id, { bytes, at: 0 }); return id; }

    /* ---- datastore */
    tableById(id) { return [...this.tables.values()].find(t => t.id === id); }
    indexById(id) {
        for (const table of this.tables.values()) {
            const index = table.indexes.find(x => x.id === id);
            if (index) return { table, index };
        }
        return null;
    }
    keyOf(table, index, values) { return index.columns.map(c => comparable(values[table.columns[c].name], table.columns[c].type, this.types)); }
    decode(table, bytes) {
        try { return table.codec.read(new Reader(bytes)); } catch (e) { throw new Trap(`undecodable row of ${table.name}: ${e.message}`); }
    }

    generate(table, values) {
        const w = new Writer();
        for (const s of [...table.sequences].sort((a, b) => a.column - b.column)) {
            const c = table.columns[s.column];
            if (BigInt(values[c.name]) !== 0n) continue;
            const n = s.next++;
            values[c.name] = typeof values[c.name] === 'bigint' ? n : Number(n);
            c.codec.write(w, values[c.name]);
        }
        return w.done();
    }
    conflict(table, values, except) {
        return table.indexes.some(x => x.unique && ![undefined, except].includes(x.byKey.get(this.keyText(table, x, values))));
    }
    keyText(table, index, values) { return this.keyOf(table, index, values).join('\0'); }
    store(table, values) {
        const w = new Writer();
        table.codec.write(w, values);
        const bytes = w.done(), h = hex(bytes);
        table.rows.set(h, { bytes, values });
        for (const x of table.indexes) if (x.unique) x.byKey.set(this.keyText(table, x, values), h);
    }
    drop(table, h) {
        const row = table.rows.get(h);
        if (!row) return false;
        for (const x of table.indexes) if (x.unique) x.byKey.delete(this.keyText(table, x, row.values));
        return table.rows.delete(h);
    }
    setRows(table, rows) {
        table.rows = rows;
        for (const x of table.indexes.filter(i => i.unique))
            x.byKey = new Map([...rows].map(([h, r]) => [this.keyText(table, x, r.values), h]));
    }

    table_id_from_name(ptr, len, out) {
        const name = this.text(ptr, len);
        if (!this.inTransaction) return E.NOT_IN_TRANSACTION;
        const table = this.tables.get(name);
        if (!table) return E.NO_TABLE;
        this.setU32(out, table.id);
        return 0;
    }
    index_id_from_name(ptr, len, out) {
        const name = this.text(ptr, len);
        if (!this.inTransaction) return E.NOT_IN_TRANSACTION;
        for (const t of this.tables.values())
            for (const x of t.indexes)
                if (x.name === name) { this.setU32(out, x.id); return 0; }
        return E.NO_INDEX;
    }
    datastore_insert_bsatn(id, ptr, lenPtr) {
        const table = this.tableById(id);
        if (!table) throw new Trap('insert into an unknown table');
        const values = this.decode(table, this.get(ptr, this.getU32(lenPtr)));
        const generated = this.generate(table, values);
        const w = new Writer();
        table.codec.write(w, values);
        if (!table.rows.has(hex(w.done()))) {
            if (this.conflict(table, values)) return E.UNIQUE;
            this.store(table, values);
        }
        this.range(ptr, generated.length).set(generated);
        this.setU32(lenPtr, generated.length);
        return 0;
    }
    datastore_update_bsatn(id, indexId, ptr, lenPtr) {
        const table = this.tableById(id);
        if (!table) throw new Trap('update of an unknown table');
        const values = this.decode(table, this.get(ptr, this.getU32(lenPtr)));
        const generated = this.generate(table, values);
        const index = table.indexes.find(x => x.id === indexId);
        if (!index) return E.NO_INDEX;
        if (!index.unique) return E.INDEX_NOT_UNIQUE;
        const old = index.byKey.get(this.keyText(table, index, values));
        if (!old) return E.NO_ROW;
        if (this.conflict(table, values, old)) return E.UNIQUE;
        this.drop(table, old);
        this.store(table, values);
        this.range(ptr, generated.length).set(generated);
        this.setU32(lenPtr, generated.length);
        return 0;
    }
    datastore_delete_all_by_eq_bsatn(id, ptr, len, out) {
        const table = this.tableById(id);
        if (!table) return E.NO_TABLE;
        const r = new Reader(this.get(ptr, len));
        let n = 0;
        for (let i = r.u32(); i > 0; i--) {
            const w = new Writer();
            table.codec.write(w, table.codec.read(r));
            n += this.drop(table, hex(w.done())) ? 1 : 0;
        }
        this.setU32(out, n);
        return 0;
    }
    datastore_table_row_count(id, out) {
        const table = this.tableById(id);
        if (!table) return E.NO_TABLE;
        this.setU64(out, table.rows.size);
        return 0;
    }
    datastore_clear(id, out) {
        const table = this.tableById(id);
        if (!table) throw new Trap('clear of an unknown table');
        this.setU64(out, table.rows.size);
        this.setRows(table, new Map());
        return 0;
    }

    /* ---- scans */
    matching(found, keep) {
        const { table, index } = found;
        return [...table.rows].map(([h, row]) => [h, row, this.keyOf(table, index, row.values)])
            .filter(([, , key]) => keep(key))
            .sort((a, b) => {
                for (let i = 0; i < a[2].length; i++) if (a[2][i] !== b[2][i]) return a[2][i] < b[2][i] ? -1 : 1;
                return 0;
            });
    }
    point(indexId, ptr, len) {
        const found = this.indexById(indexId);
        if (!found) return E.NO_INDEX;
        const r = new Reader(this.get(ptr, len));
        const key = found.index.columns.map(c => {
            const { codec, type } = found.table.columns[c];
            return comparable(codec.read(r), type, this.types);
        });
        if (!r.done) return E.DECODE;
        if (found.index.unique) {
            const h = found.index.byKey.get(key.join('\0'));
            return { ...found, rows: h ? [[h, found.table.rows.get(h)]] : [] };
        }
        return { ...found, rows: this.matching(found, k => k.every((v, i) => v === key[i])) };
    }
    interval(indexId, prefix, prefixLen, equal, start, startLen, end, endLen) {
        const found = this.indexById(indexId);
        if (!found) return E.NO_INDEX;
        if (found.index.kind === 'Hash') throw new Trap('range scan on a hash index');
        const column = i => found.table.columns[found.index.columns[i]];
        if (equal >= found.index.columns.length) return E.DECODE;
        const r = equal ? new Reader(this.get(prefix, prefixLen)) : null;
        const head = Array.from({ length: equal }, (_, i) => comparable(column(i).codec.read(r), column(i).type, this.types));
        if (r && !r.done) return E.DECODE;
        const bound = (ptr, len) => {
            const b = new Reader(this.get(ptr, len)), tag = b.tag(3);
            const value = tag < 2 ? comparable(column(equal).codec.read(b), column(equal).type, this.types) : null;
            if (!b.done) throw new Trap('bytes after a bound');
            return { tag, value };
        };
        const lo = bound(start, startLen), hi = bound(end, endLen);
        const inside = k => (lo.tag === 2 || k > lo.value || (lo.tag === 0 && k === lo.value)) &&
            (hi.tag === 2 || k < hi.value || (hi.tag === 0 && k === hi.value));
        return { ...found, rows: this.matching(found, k => head.every((v, i) => v === k[i]) && inside(k[equal])) };
    }
    open(rows, out) {
        const chunks = []; /* [rows, their length] */
        for (const bytes of rows) {
            if (!chunks.length || chunks.at(-1)[1] > CHUNK) chunks.push([[], 0]);
            chunks.at(-1)[0].push(bytes);
            chunks.at(-1)[1] += bytes.length;
        }
        this.iters.set(this.nextIter, chunks);
        this.setU32(out, this.nextIter++);
        return 0;
    }
    remove(found, out) {
        for (const [h] of found.rows) this.drop(found.table, h);
        this.setU32(out, found.rows.length);
        return 0;
    }
    datastore_table_scan_bsatn(id, out) {
        const table = this.tableById(id);
        return table ? this.open([...table.rows.values()].map(r => r.bytes), out) : E.NO_TABLE;
    }
    datastore_index_scan_point_bsatn(id, ptr, len, out) {
        const found = this.point(id, ptr, len);
        return found.rows ? this.open(found.rows.map(([, r]) => r.bytes), out) : found;
    }
    datastore_delete_by_index_scan_point_bsatn(id, ptr, len, out) {
        const found = this.point(id, ptr, len);
        return found.rows ? this.remove(found, out) : found;
    }
    datastore_index_scan_range_bsatn(...args) {
        const out = args.pop(), found = this.interval(...args);
        return found.rows ? this.open(found.rows.map(([, r]) => r.bytes), out) : found;
    }
    datastore_delete_by_index_scan_range_bsatn(...args) {
        const out = args.pop(), found = this.interval(...args);
        return found.rows ? this.remove(found, out) : found;
    }
    row_iter_bsatn_advance(handle, ptr, lenPtr) {
        const chunks = this.iters.get(handle);
        if (!chunks) return E.NO_ITER;
        const buffer = this.range(ptr, this.getU32(lenPtr));
        let at = 0;
        while (chunks.length && at + chunks[0][1] <= buffer.length) {
            for (const bytes of chunks.shift()[0]) { buffer.set(bytes, at); at += bytes.length; }
        }
        if (!at && chunks.length) { this.setU32(lenPtr, chunks[0][1]); return E.TOO_SMALL; }
        this.setU32(lenPtr, at);
        if (chunks.length) return 0;
        this.iters.delete(handle);
        return -1;
    }
    row_iter_bsatn_close(handle) { return this.iters.delete(handle) ? 0 : E.NO_ITER; }

    /* ---- bytes and the rest */
    bytes_source_read(id, ptr, lenPtr) {
        const source = this.sources.get(id);
        if (!source) return E.NO_BYTES;
        const buffer = this.range(ptr, this.getU32(lenPtr));
        const part = source.bytes.subarray(source.at, source.at + buffer.length);
        buffer.set(part);
        source.at += part.length;
        this.setU32(lenPtr, part.length);
        if (source.at < source.bytes.length) return 0;
        this.sources.delete(id);
        return -1;
    }
    bytes_source_remaining_length(id, out) {
        const source = this.sources.get(id);
        if (!source) return E.NO_BYTES;
        this.setU32(out, source.bytes.length - source.at);
        return 0;
    }
    bytes_sink_write(id, ptr, lenPtr) {
        const sink = this.sinks.get(id);
        if (!sink) return E.NO_BYTES;
        this.sinks.set(id, Buffer.concat([sink, this.get(ptr, this.getU32(lenPtr))]));
        return 0;
    }
    console_log(level, target, targetLen, file, fileLen, line, msg, msgLen) {
        this.logs.push({ level, file: file ? this.text(file, fileLen) : null, line: line >>> 0,
            message: msgLen ? this.text(msg, msgLen) : '' });
    }
    get_jwt(ptr, out) {
        if (!this.inTransaction) return E.NOT_IN_TRANSACTION;
        const text = this.jwt.get(Buffer.from(this.get(ptr, 16)).reverse().toString('hex'));
        this.setU32(out, text ? this.newSource(Buffer.from(text)) : 0);
        return 0;
    }
    identity(out) { this.range(out, 32).set(databaseIdentity); }
}
