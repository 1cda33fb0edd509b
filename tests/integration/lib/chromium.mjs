// Headless Chromium by its debugging protocol: open pages, evaluate in them, wait for what they show.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { npm } from './paths.mjs';

export class Chromium {
    static async start() {
        const { WebSocket } = createRequire(path.join(npm('spacetimedb@2.10.1', 'ws@8.18.3'), 'x.js'))('ws');
        const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'lightcone-chromium-'));
        const c = new Chromium();
        c.profile = profile;
        c.process = spawn('chromium', ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
            '--no-first-run', '--no-proxy-server', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'],
        { stdio: ['ignore', 'ignore', 'pipe'] });
        const address = await new Promise((done, fail) => {
            let text = '';
            c.process.stderr.on('data', d => {
                text += d;
                const found = /DevTools listening on (\S+)/.exec(text);
                if (found) done(found[1]);
            });
            c.process.on('exit', code => fail(new Error(`chromium ended with code ${code}: ${text.slice(-500)}`)));
            c.process.on('error', fail);
        });
        c.socket = new WebSocket(address);
        c.next = 1;
        c.waiting = new Map();
        c.socket.on('message', text => {
            const m = JSON.parse(text);
            const w = c.waiting.get(m.id);
            c.waiting.delete(m.id);
            if (m.error) w?.fail(new Error(m.error.message));
            else w?.done(m.result);
        });
        await new Promise((done, fail) => { c.socket.on('open', done); c.socket.on('error', fail); });
        return c;
    }
    send(method, params = {}, sessionId) {
        const id = this.next++;
        return new Promise((done, fail) => {
            this.waiting.set(id, { done, fail });
            this.socket.send(JSON.stringify({ id, method, params, sessionId }));
        });
    }
    /* A page with storage of its own, as of another person; or in the given context. */
    async open(url, context) {
        context ??= (await this.send('Target.createBrowserContext')).browserContextId;
        const { targetId } = await this.send('Target.createTarget', { url, browserContextId: context });
        const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
        return new Page(this, sessionId, targetId, context);
    }
    async stop() {
        const ended = new Promise(done => this.process.once('exit', done));
        this.send('Browser.close').catch(() => {});
        setTimeout(() => this.process.kill('SIGKILL'), 3000).unref();
        await ended;
        /* Its helpers end a moment later than it does. */
        fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
}

class Page {
    constructor(browser, session, target, context) { Object.assign(this, { browser, session, target, context }); }
    send(method, params) { return this.browser.send(method, params, this.session); }
    async eval(expression) {
        const r = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
        if (r.exceptionDetails) throw new Error(r.exceptionDetails.exception?.description ?? r.exceptionDetails.text);
        return r.result.value;
    }
    /* Until the expression is true. */
    async until(expression, ms = 10000) {
        const end = Date.now() + ms;
        for (;;) {
            let last;
            try { if (last = await this.eval(expression)) return last; } catch (e) { last = e.message; }
            if (Date.now() > end) throw new Error(`not within ${ms} ms: ${expression} (last: ${last}); page: ${await this.eval('document.body.innerText').catch(e => e.message)}`);
            await new Promise(done => setTimeout(done, 20));
        }
    }
    /* As a person would: type into a field and press Enter. */
    async type(selector, text) {
        await this.eval(`{ const e = document.querySelector(${JSON.stringify(selector)}); e.focus(); e.select(); }`);
        await this.send('Input.insertText', { text });
        for (const type of ['keyDown', 'keyUp'])
            await this.send('Input.dispatchKeyEvent', { type, key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: type === 'keyDown' ? '\r' : undefined });
    }
    async screenshot(file, { width = 1000, height = 700, mobile = false } = {}) {
        await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile });
        fs.writeFileSync(file, Buffer.from((await this.send('Page.captureScreenshot')).data, 'base64'));
    }
    close() { return this.browser.send('Target.closeTarget', { targetId: this.target }); }
}
