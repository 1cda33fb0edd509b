// A server that exists only in memory, as seen by lightcone.js: a fetch and a WebSocket to pass as
// options. The test says what it answers; messages of the client are collected, decoded.
import { Reader, Writer } from '../../../sdk/web/lightcone.js';

export class FakeServer {
    schema = null;         /* what the schema route answers */
    protocol = 'v3.bsatn.spacetimedb';
    refuse = 0;            /* refuse that many connections */
    reachable = true;
    tokens = new Set();
    sockets = [];
    requests = [];         /* HTTP */
    received = [];         /* decoded client messages */
    frames = 0;
    onMessage = () => {};

    fetch = async (url, init = {}) => {
        const { pathname, search } = new URL(url);
        this.requests.push(`${init.method ?? 'GET'} ${pathname}${search}`);
        if (!this.reachable) throw new TypeError('fetch failed');
        const json = body => new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } });
        if (pathname.endsWith('/schema')) return this.schema ? json(this.schema) : new Response('`nope` not found', { status: 404 });
        if (pathname === '/v1/identity') {
            const token = `long-${this.tokens.size + 1}`;
            this.tokens.add(token);
            return json({ identity: '00', token });
        }
        const token = init.headers?.Authorization?.slice('Bearer '.length);
        if (!this.tokens.has(token)) return new Response('Invalid token: InvalidSignature', { status: 401 });
        return json({ token: `short-of-${token}` });
    };

    get WebSocket() {
        const server = this;
        return class FakeSocket extends EventTarget {
            constructor(url, protocols) {
                super();
                this.url = new URL(url);
                this.readyState = 0;
                setTimeout(() => {
                    if (!server.reachable || server.refuse-- > 0) { this.end(1006); return; }
                    this.protocol = protocols.includes(server.protocol) ? server.protocol : '';
                    this.readyState = 1;
                    server.sockets.push(this);
                    this.dispatchEvent(new Event('open'));
                    this.deliver(hello());
                });
            }
            send(bytes) {
                if (this.readyState !== 1) throw new Error('not open');
                server.frames++;
                const r = new Reader(bytes);
                while (!r.done) {
                    const m = clientMessage(r);
                    server.received.push(m);
                    server.onMessage(m, this);
                    if (server.protocol.startsWith('v2') && !r.done) throw new Error('v2: one message a frame');
                }
            }
            close(code = 1000) { setTimeout(() => this.end(code)); }
            /* the server's side */
            deliver(...messages) {
                const body = Buffer.concat(messages);
                this.raw(Buffer.concat([Buffer.from([0]), body]));
            }
            raw(frame) {
                const copy = Uint8Array.from(frame).buffer;
                setTimeout(() => {
                    if (this.readyState !== 1) return;
                    this.dispatchEvent(Object.assign(new Event('message'), { data: copy }));
                });
            }
            end(code, reason = '') {
                if (this.readyState === 3) return;
                this.readyState = 3;
                server.sockets = server.sockets.filter(s => s !== this);
                this.dispatchEvent(Object.assign(new Event('close'), { code, reason }));
            }
        };
    }
    get socket() { return this.sockets.at(-1); }
}

function clientMessage(r) {
    const tag = r.u8(), request = r.u32();
    switch (tag) {
    case 0: return { type: 'Subscribe', request, set: r.u32(), queries: r.list(() => r.string()) };
    case 1: return { type: 'Unsubscribe', request, set: r.u32(), flags: r.u8() };
    case 2: return { type: 'OneOffQuery', request, query: r.string() };
    case 3: return { type: 'CallReducer', request, flags: r.u8(), reducer: r.string(), args: r.blob().slice() };
    case 4: return { type: 'CallProcedure', request, flags: r.u8(), procedure: r.string(), args: r.blob().slice() };
    }
    throw new Error(`unknown client message ${tag}`);
}

/* ---- server messages */

const bytes = build => { const w = new Writer(); build(w); return Buffer.from(w.done()); };
const list = (w, items, put) => { w.u32(items.length); for (const i of items) put(i); };

export const hello = () => bytes(w => w.u8(0).raw(new Uint8Array(32).fill(0x11)).raw(new Uint8Array(16).fill(0x22)).string('short'));

function rows(w, list_) {
    if (list_.length && list_.every(r => r.length === list_[0].length && r.length)) w.u8(0).put('setUint16', 2, list_[0].length);
    else {
        w.u8(1).u32(list_.length);
        let at = 0;
        for (const r of list_) { w.big(BigInt(at), 8); at += r.length; }
    }
    w.blob(Buffer.concat(list_));
}
const tables = (w, all) => list(w, Object.entries(all), ([name, r]) => { w.string(name); rows(w, r); });

/* sets: { setId: { table: { insert: [rows], delete: [rows] } or { event: [rows] } } } */
function updates(w, sets) {
    list(w, Object.entries(sets), ([id, all]) => {
        w.u32(Number(id));
        list(w, Object.entries(all), ([name, u]) => {
            w.string(name).u32(1);
            if (u.event) { w.u8(1); rows(w, u.event); } else { w.u8(0); rows(w, u.insert ?? []); rows(w, u.delete ?? []); }
        });
    });
}

export const applied = (request, set, all) => bytes(w => { w.u8(1).u32(request).u32(set); tables(w, all); });
export const unapplied = (request, set, all) => bytes(w => { w.u8(2).u32(request).u32(set).u8(0); tables(w, all); });
export const subscriptionError = (request, set, text) => bytes(w => {
    w.u8(3);
    if (request === null) w.u8(1); else w.u8(0).u32(request);
    w.u32(set).string(text);
});
export const transaction = sets => bytes(w => { w.u8(4); updates(w, sets); });
export const oneOff = (request, name, r) => bytes(w => { w.u8(5).u32(request).u8(0); tables(w, { [name]: r }); });
export const oneOffError = (request, text) => bytes(w => w.u8(5).u32(request).u8(1).string(text));
const result = (request, build) => bytes(w => { w.u8(6).u32(request).big(77n, 8); build(w); });
export const reducerOk = (request, sets = {}) => result(request, w => { w.u8(0).u32(0); updates(w, sets); });
export const reducerOkEmpty = request => result(request, w => w.u8(1));
export const reducerErr = (request, text) => result(request, w => w.u8(2).blob(bytes(x => x.string(text))));
export const reducerFault = (request, text) => result(request, w => w.u8(3).string(text));
export const procedureOk = (request, value) => bytes(w => w.u8(7).u8(0).blob(value).big(0n, 8).big(0n, 8).u32(request));
export const procedureFault = (request, text) => bytes(w => w.u8(7).u8(1).string(text).big(0n, 8).big(0n, 8).u32(request));
