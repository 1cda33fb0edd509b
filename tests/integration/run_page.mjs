#!/usr/bin/env node
// The chat page in headless Chromium: what is typed in one page appears in the other.
//
//     run_page.mjs                  starts $LIGHTCONE with the chat module and its page
//     run_page.mjs --url URL        against a server that serves both already
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Chromium } from './lib/chromium.mjs';
import { finish, test } from './lib/harness.mjs';
import { compileC, root } from './lib/paths.mjs';

const given = process.argv[process.argv.indexOf('--url') + 1];
let url, server, data;
async function startServer() {
    const port = 20000 + process.pid % 20000;
    data = fs.mkdtempSync(path.join(os.tmpdir(), 'lightcone-page-'));
    server = spawn(process.env.LIGHTCONE ?? path.join(root, 'build/release/lightcone'), ['start', `--listen-addr=127.0.0.1:${port}`,
        `--data-dir=${data}`, `--serve=/chat/=${path.join(root, 'examples/chat/web')}`], { stdio: ['ignore', 'ignore', 'inherit'] });
    server.on('error', e => { throw e; });
    url = `http://127.0.0.1:${port}`;
    for (let i = 0; ; i++) {
        if (await fetch(`${url}/v1/ping`).then(r => r.ok, () => false)) break;
        assert.ok(i < 100, 'the server did not start');
        await new Promise(done => setTimeout(done, 100));
    }
    const r = await fetch(`${url}/v1/database/chat`, { method: 'PUT', body: fs.readFileSync(compileC(path.join(root, 'examples/chat'))) });
    assert.ok(r.ok, await r.text());
}

if (process.argv.includes('--url')) url = given;
else await startServer();
const browser = await Chromium.start();
process.on('exit', () => {
    browser.process.kill('SIGKILL');
    server?.kill('SIGKILL');
    if (data) fs.rmSync(data, { recursive: true, force: true });
});

const connected = 'document.getElementById("status").className === "connected" && !document.getElementById("text").disabled';
const says = text => `[...document.querySelectorAll("#talk .text")].filter(e => e.textContent === ${JSON.stringify(text)}).length === 1`;
const people = 'document.querySelector("#people ul").innerText';
const unique = `${Date.now()}`;
let ann, bob, tab;

test('two people open the page and see each other', async () => {
    ann = await browser.open(`${url}/chat/`);
    bob = await browser.open(`${url}/chat/`);
    await ann.until(connected);
    await bob.until(connected);
    await ann.until('document.querySelectorAll("#people li.here").length >= 2');
    await bob.until('document.querySelectorAll("#people li.here").length >= 2');
});

test('what one says, both see, once', async () => {
    await ann.type('#text', `hello ${unique}`);
    await ann.until(says(`hello ${unique}`));
    await bob.until(says(`hello ${unique}`));
    assert.equal(await ann.eval('document.getElementById("text").value'), '');
    assert.equal(await ann.eval(`[...document.querySelectorAll("#talk li.mine .text")].some(e => e.textContent === "hello ${unique}")`), true);
    assert.equal(await bob.eval(`[...document.querySelectorAll("#talk li.mine .text")].some(e => e.textContent === "hello ${unique}")`), false);
    await bob.type('#text', `<b>hi</b> & größe ${unique}`);
    await ann.until(says(`<b>hi</b> & größe ${unique}`));
});

test('a name is seen by the other, beside old messages too', async () => {
    await ann.type('#name', `Ann ${unique}`);
    await bob.until(`${people}.includes("Ann ${unique}")`);
    await bob.until(`[...document.querySelectorAll("#talk .by")].some(e => e.textContent.startsWith("Ann ${unique},"))`);
});

test('a refused name is told', async () => {
    await bob.eval('document.getElementById("name").removeAttribute("maxlength")');
    await bob.type('#name', 'x'.repeat(65));
    await bob.until('document.getElementById("error").textContent === "names may have at most 64 bytes"');
});

test('a second tab of the same browser is the same person and sees everything', async () => {
    tab = await browser.open(`${url}/chat/`, ann.context);
    await tab.until(connected);
    await tab.until(says(`hello ${unique}`));
    await tab.until(`document.getElementById("name").value === "Ann ${unique}"`);
    await tab.type('#text', `from the tab ${unique}`);
    await ann.until(says(`from the tab ${unique}`));
    await bob.until(says(`from the tab ${unique}`));
});

test('closing one of the tabs leaves the person online, closing both does not', async () => {
    await tab.close();
    await new Promise(done => setTimeout(done, 300));
    assert.ok((await bob.eval(people)).includes(`Ann ${unique}`));
    const here = `[...document.querySelectorAll("#people li.here")].some(e => e.textContent.includes("Ann ${unique}"))`;
    assert.equal(await bob.eval(here), true);
    await ann.close();
    await bob.until(`!${here}`);
});

test('a page that loads later shows what was said', async () => {
    ann = await browser.open(`${url}/chat/`);
    await ann.until(says(`hello ${unique}`));
    await ann.until(says(`from the tab ${unique}`));
    if (process.env.SCREENSHOTS) {
        await ann.screenshot(path.join(process.env.SCREENSHOTS, 'wide.png'));
        await bob.screenshot(path.join(process.env.SCREENSHOTS, 'phone.png'), { width: 390, height: 800, mobile: true });
    }
});

test('a database that does not exist is told', async () => {
    const lost = await browser.open(`${url}/chat/?db=no-such-database`);
    await lost.until('document.getElementById("status").className === "failed" && /not found|No such/.test(document.getElementById("status").textContent)');
});

if (server) test('the server goes away and comes back: the page does too', async () => {
    server.kill('SIGTERM');
    await bob.until('document.getElementById("status").className === "reconnecting"');
    const args = server.spawnargs.slice(1);
    await new Promise(done => server.exitCode !== null ? done() : server.on('exit', done));
    server = spawn(server.spawnfile, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    await bob.until(connected, 30000);
    await bob.type('#text', `back ${unique}`);
    await ann.until(says(`back ${unique}`), 30000);
    await bob.until(says(`hello ${unique}`));
});

test('stop', async () => { await browser.stop(); });

await finish();
