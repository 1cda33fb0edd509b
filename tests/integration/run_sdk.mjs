#!/usr/bin/env node
// The unmodified npm clients, 2.10.1 (protocols v2, v3) and 1.12.0 (protocol v1), against the built
// server: first the recorded scenario (tests/recorded/ws/sdk), then what an application relies on.
//
//     run_sdk.mjs [VERSION...]
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { finish, test } from './lib/harness.mjs';
import { buildRust, root } from './lib/paths.mjs';
import { complaints, load, sdkFolder, text, until } from './lib/sdk.mjs';
import { Server } from './lib/server.mjs';

const wanted = process.argv.slice(2);
const versions = { '2.10.1': 62, '1.12.0': 58 }; /* checks of the scenario */
const wasm = buildRust(path.join(root, 'tests/recorded/ws/module'));
const server = await Server.start();
const owner = JSON.parse((await server.request('POST', '/v1/identity'))[1]);
const publish = async name => {
    const [status, answer] = await server.request('PUT', `/v1/database/${name}`,
        { token: owner.token, body: fs.readFileSync(wasm), type: 'application/wasm' });
    assert.equal(status, 200, answer);
};

/* ---------------------------------------------------------------- scenario
 * Views and procedures come with a later version of the server. As long as it answers so, the scenario
 * runs without what needs them; each cut says how many checks go with it. */

await publish('features');
const lacks = {
    views: (await server.request('POST', '/v1/database/features/sql', { body: 'SELECT * FROM v_count' }))[1],
    procedures: (await server.request('POST', '/v1/database/features/call/p_add', { body: '[1,2]', type: 'application/json' }))[1],
};
const cuts = [
    ['views', `, 'SELECT * FROM v_hot', 'SELECT * FROM v_count'`, 0],
    ['views', /^eq\('view row'.*$/m, 1],
    ['views', /^await did\(a, 'ins_grp'.*$/m, 1],
    ['views', /^await did\(b, 'ins_member'.*$/m, 1],
    ['procedures', /^eq\('procedure result'.*$/m, 1],
    ['procedures', /^eq\('procedure product'.*$/m, 1],
    ['procedures', /^ {2}const p = a\.conn\.procedures\.pWrite.*\n.*$/m, 1],
];

function scenario(version) {
    let source = fs.readFileSync(path.join(root, 'tests/recorded/ws/sdk/scenario.mjs'), 'utf8');
    let checks = versions[version];
    for (const [feature, what, count] of cuts) {
        if (!/^not supported/.test(lacks[feature])) continue;
        const found = typeof what === 'string' ? what : what.exec(source)?.[0];
        assert.ok(found && source.split(found).length === 2, `${what} is in the scenario once`);
        source = source.replace(found, '');
        checks -= count;
        if (count) console.log(`left out of the scenario (${feature}): ${found.trim().split('\n').at(-1).trim().slice(0, 90)}`);
    }
    const file = path.join(server.data, `scenario-${version}.mjs`);
    fs.writeFileSync(file, source);
    return { file, checks };
}

for (const version of Object.keys(versions)) {
    if (wanted.length && !wanted.includes(version)) continue;
    test(`${version}: the recorded scenario`, async () => {
        const { file, checks } = scenario(version);
        const output = await new Promise(done => execFile(process.execPath,
            [file, '--url', server.url, '--wasm', wasm, '--modules', sdkFolder(version)], { timeout: 300000 },
            (e, out, err) => done(out + err)));
        assert.match(output, new RegExp(`: ${checks} passed, 0 failed`), output);
        console.log(`${version}: ${checks} of the scenario's ${versions[version]} checks`);
    });
    applicationTests(version);
}

/* -------------------------------------------------------------- application */

function applicationTests(version) {
    const database = `app-${version.replaceAll('.', '-')}`;
    const it = (name, run) => test(`${version}: ${name}`, run);
    const clients = [];
    let sdk, ann, bob;
    const open = async options => {
        const client = await sdk.connect(server.url, database, options);
        clients.push(client);
        return client;
    };

    it('connect: an identity, a token that names it, one row of the session', async () => {
        sdk = await load(version);
        await publish(database);
        ann = await open();
        assert.equal(ann.connects, 1);
        const claims = JSON.parse(Buffer.from(ann.token.split('.')[1], 'base64url'));
        assert.equal(claims.hex_identity, ann.identity.toHexString().replace(/^0x/, ''));
        await ann.subscribe('SELECT * FROM sess');
        assert.deepEqual(ann.rows('sess').map(r => r.kind), ['connected']);
        assert.ok(ann.rows('sess')[0].who.isEqual(ann.identity));
        assert.ok(ann.rows('sess')[0].conn.isEqual(ann.connection.connectionId));
    });

    it('subscribe: the rows are there when it is applied', async () => {
        await ann.does('many_var', { from: 0, count: 100, len: 20 }, () => true);
        const handle = await ann.subscribe('SELECT * FROM var_pk WHERE id < 40', 'SELECT * FROM fix_pk');
        assert.equal(ann.count('var_pk'), 40);
        assert.ok(handle.isActive());
        assert.equal(ann.table('var_pk').id.find(7).name.length, 20);
        await ann.unsubscribe(handle);
        assert.ok(handle.isEnded());
        assert.equal(ann.count('var_pk'), 0);
    });

    it('call: a row that is inserted, updated, deleted', async () => {
        const seen = [];
        const handle = await ann.subscribe('SELECT * FROM fix_pk');
        const t = ann.table('fix_pk');
        const note = [(_, r) => seen.push(['+', r.id, r.n]), (_, o, r) => seen.push(['=', r.id, o.n, r.n]), (_, r) => seen.push(['-', r.id, r.n])];
        t.onInsert(note[0]), t.onUpdate(note[1]), t.onDelete(note[2]);
        await ann.does('ins_fix', { id: 1, n: 10, b: 1 }, () => seen.length === 1);
        await ann.does('upd_fix', { id: 1, n: 20, b: 1 }, () => seen.length === 2);
        await ann.does('del_fix', { id: 1 }, () => seen.length === 3);
        assert.deepEqual(seen, [['+', 1, 10], ['=', 1, 10, 20], ['-', 1, 20]]);
        t.removeOnInsert(note[0]), t.removeOnUpdate(note[1]), t.removeOnDelete(note[2]);
        await ann.unsubscribe(handle);
    });

    it('error: what a reducer refuses is told and undone; a panic hurts nobody', async () => {
        const handle = await ann.subscribe('SELECT * FROM fix_pk');
        assert.match(await ann.failure('fail', { msg: 'not today, "ü"' }), /not today, "ü"/);
        assert.ok(await ann.failure('fail_after', { id: 500 }));
        assert.match(await ann.failure('boom'), /fatal error/);
        await ann.does('ins_fix', { id: 501, n: 0, b: 0 }, () => ann.count('fix_pk') === 1);
        assert.equal(ann.table('fix_pk').id.find(500) ?? null, null);
        await assert.rejects(ann.subscribe('SELECT * FROM no_such_table'));
        await assert.rejects(ann.subscribe('SELECT * FROM fix_pk', 'SELECT nothing'));
        await assert.rejects(ann.subscribe('SELECT * FROM secret'), 'a private table');
        await ann.does('del_fix', { id: 501 }, () => ann.count('fix_pk') === 0);
        await ann.unsubscribe(handle);
    });

    it('two clients see one order', async () => {
        bob = await open();
        const orders = [ann, bob].map(client => {
            const order = [];
            client.table('fix_pk').onInsert((_, r) => order.push(r.id));
            return order;
        });
        const handles = await Promise.all([ann, bob].map(c => c.subscribe('SELECT * FROM fix_pk')));
        const calls = [];
        for (let i = 0; i < 300; i++) {
            calls.push(ann.call('ins_fix', { id: 1000 + i, n: i, b: 0 }), bob.call('ins_fix', { id: 2000 + i, n: i, b: 1 }));
            if (i % 50 === 0) await new Promise(done => setTimeout(done, 1));
        }
        await Promise.all(calls);
        await until(() => orders.every(o => o.length === 600), 'both have 600 rows');
        assert.deepEqual(orders[0], orders[1]);
        for (const first of [1000, 2000])
            assert.deepEqual(orders[0].filter(id => id >= first && id < first + 1000), Array.from({ length: 300 }, (_, i) => first + i),
                'the calls of one client keep their order');
        await Promise.all([ann, bob].map((c, i) => c.unsubscribe(handles[i])));
    });

    it('two clients hold the same rows while both change them', async () => {
        await Promise.all([ann, bob].map(c => c.subscribe('SELECT * FROM var_pk', 'SELECT * FROM var_nopk')));
        const calls = [];
        for (let i = 0; i < 200; i++) {
            const client = i % 2 ? ann : bob, id = i % 100; /* rows 0 to 99 are there */
            calls.push(client.call('upd_var', { id, name: `v${i}` }), client.call('ins_varn', { s: `s${i % 7}` }),
                client.call('del_varn', { s: `s${(i + 3) % 7}` }));
        }
        await Promise.all(calls);
        const last = Array.from({ length: 100 }, (_, i) => `v${100 + i}`).sort();
        for (const client of [ann, bob]) await until(() => text(client.rows('var_pk').map(r => r.name).sort()) === text(last), 'all updates are there');
        const [, answer] = await server.request('POST', `/v1/database/${database}/sql`, { body: 'SELECT * FROM var_nopk' });
        const want = JSON.parse(answer)[0].rows.map(r => r[0]).sort();
        for (const client of [ann, bob]) await until(() => text(client.rows('var_nopk').map(r => r.s).sort()) === text(want), `the rows are ${want}`);
    });

    it('overlapping subscriptions: a row stays while one of them has it', async () => {
        const one = await bob.subscribe('SELECT * FROM fix_pk WHERE n < 10'), two = await bob.subscribe('SELECT * FROM fix_pk WHERE n < 5');
        assert.equal(bob.count('fix_pk'), 20);
        await bob.unsubscribe(one);
        assert.equal(bob.count('fix_pk'), 10);
        await ann.does('del_fix', { id: 1000 }, () => bob.count('fix_pk') === 9);
        await bob.unsubscribe(two);
        assert.equal(bob.count('fix_pk'), 0);
        await ann.does('ins_fix', { id: 1000, n: 0, b: 0 }, () => true);
        await bob.does('nop', {}, () => true);
        assert.equal(bob.count('fix_pk'), 0, 'no rows after unsubscribe');
    });

    it('every compression, and answers too large for one frame', async () => {
        for (const compression of ['gzip', 'none']) {
            const client = await open({ compression });
            await ann.does('many_var', { from: compression === 'gzip' ? 10000 : 20000, count: 3000, len: 100 }, () => true);
            const handle = await client.subscribe('SELECT * FROM var_pk WHERE id >= 10000');
            await until(() => client.count('var_pk') >= 3000 && client.count('var_pk') % 3000 === 0, 'all rows are there');
            await client.unsubscribe(handle);
            await client.disconnect();
        }
    });

    it('reconnect with the token: the same identity on a new connection', async () => {
        const { token, identity } = bob, old = bob.connection.connectionId;
        await bob.disconnect();
        await until(() => ann.rows('sess').some(r => r.kind === 'disconnected' && r.conn.isEqual(old)), 'the module heard of it');
        bob = await open({ token });
        assert.ok(bob.identity.isEqual(identity));
        assert.ok(!bob.connection.connectionId.isEqual(old));
        assert.equal(bob.token, token);
        const handle = await bob.subscribe('SELECT * FROM fix_pk');
        assert.equal(bob.count('fix_pk'), 600);
        await bob.unsubscribe(handle);
        await assert.rejects(open({ token: 'not.a.token' }));
        await assert.rejects(sdk.connect(server.url, 'no-such-database'));
    });

    it('light mode and unconfirmed reads change nothing but what is left out', async () => {
        for (const [i, options] of [{ light: true }, { confirmed: false }, { confirmed: true }, { light: true, confirmed: true }].entries()) {
            const client = await open(options);
            await client.subscribe('SELECT * FROM fix_nopk');
            await client.does('ins_fixn', { a: i, b: 1 }, () => client.count('fix_nopk') === i + 1);
            await ann.does('ins_fixn', { a: i, b: 2 }, () => client.count('fix_nopk') === i + 2);
            const [, answer] = await server.request('POST', `/v1/database/${database}/sql`, { token: owner.token, body: `DELETE FROM fix_nopk WHERE b = 2` });
            assert.match(answer, /"rows_deleted":1/);
            await until(() => client.count('fix_nopk') === i + 1, 'the row is gone');
            await client.disconnect();
        }
    });

    it('confirmed reads: what was seen is there after kill -9', async () => {
        const client = await open({ confirmed: true });
        await client.subscribe('SELECT * FROM fix_pk WHERE b = 77');
        const seen = new Set();
        client.table('fix_pk').onInsert((_, r) => seen.add(r.id));
        const { token } = client;
        let id = 50000;
        const load = setInterval(() => {
            for (let i = 0; i < 20; i++) Promise.resolve(client.call('ins_fix', { id: id++, n: 0, b: 77 })).catch(() => {});
        }, 1);
        await until(() => seen.size >= 500, 'rows were seen');
        await server.stop('SIGKILL');
        clearInterval(load);
        await until(() => client.disconnects === 1, 'the client knows that the server is gone');
        await server.start();
        const again = await open({ token });
        await again.subscribe('SELECT * FROM fix_pk WHERE b = 77');
        const there = new Set(again.rows('fix_pk').map(r => r.id));
        assert.deepEqual([...seen].filter(x => !there.has(x)), [], 'rows that were seen and lost');
        const [, answer] = await server.request('POST', `/v1/database/${database}/sql`, { body: 'SELECT * FROM st_client' });
        assert.equal(JSON.parse(answer)[0].rows.length, 2, 'connections that the crash ended are cleaned up');
        await again.disconnect();
    });

    it('deleting the database ends the connections', async () => {
        const client = await open();
        const [status] = await server.request('DELETE', `/v1/database/${database}`, { token: owner.token });
        assert.equal(status, 200);
        await until(() => client.disconnects === 1, 'the client knows');
        for (const c of clients) if (!c.disconnects) c.connection.disconnect();
    });

    it('the client had nothing to complain of', () => {
        const found = complaints.splice(0).filter(x => !/^Error connecting to SpacetimeDB WS/.test(x)); /* done on purpose above */
        assert.deepEqual(found, []);
    });
}

test('the server is still there and goes when told', async () => {
    assert.ok(server.isAlive);
    assert.equal(await server.stop(), 0);
    await server.close();
});

await finish();
