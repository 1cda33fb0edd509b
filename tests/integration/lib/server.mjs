// Starts the built server for a suite: a port of its own, data in a temporary folder. The same
// convention as server.py: $LIGHTCONE is the binary.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './paths.mjs';

const binary = process.env.LIGHTCONE ?? path.join(root, 'build/release/lightcone');
const running = new Set();
process.on('exit', () => {
    for (const server of running) {
        server.process.kill('SIGKILL');
        fs.rmSync(server.data, { recursive: true, force: true });
    }
});

/** A server process; `data` is kept across restarts and removed by close(). */
export class Server {
    static async start(...options) {
        const server = new Server();
        server.options = options;
        server.data = fs.mkdtempSync(path.join(os.tmpdir(), 'lightcone-test-'));
        server.port = 0;
        await server.start();
        return server;
    }
    async start() {
        const log = fs.openSync(path.join(this.data, 'server.log'), 'a');
        this.process = spawn(binary, ['start', '--listen-addr', `127.0.0.1:${this.port}`,
            '--data-dir', path.join(this.data, 'node'), ...this.options], { stdio: ['ignore', 'pipe', log] });
        fs.closeSync(log);
        running.add(this);
        this.ended = new Promise(done => this.process.on('exit', (code, signal) => done(signal ?? code)));
        this.port = await this.listening();
        this.url = `http://127.0.0.1:${this.port}`;
    }
    listening() {
        return new Promise((done, fail) => {
            let text = '';
            this.process.on('error', fail);
            this.process.stdout.on('data', chunk => {
                text += chunk;
                const found = /listening on .*:(\d+)/.exec(text);
                if (found) done(Number(found[1]));
            });
            this.ended.then(how => fail(new Error(`the server did not start (${how}): ${text}${this.log()}`)));
        });
    }
    log() { return fs.readFileSync(path.join(this.data, 'server.log'), 'utf8').slice(-2000); }
    get isAlive() { return this.process.exitCode === null && this.process.signalCode === null; }
    /** Sends the signal and waits; the exit code, or the signal that ended it. */
    stop(signal = 'SIGTERM') {
        this.process.kill(signal);
        return this.ended;
    }
    async close() {
        if (this.isAlive) await this.stop('SIGKILL');
        running.delete(this);
        fs.rmSync(this.data, { recursive: true, force: true });
    }
    /** [status, text] of an HTTP request. */
    async request(method, where, { token, body, type } = {}) {
        const headers = {};
        if (token) headers.authorization = `Bearer ${token}`;
        if (type) headers['content-type'] = type;
        const r = await fetch(this.url + where, { method, headers, body });
        return [r.status, await r.text()];
    }
}
