// A test program in a few lines: test(name, fn), then finish(), which prints "N passed, N failed".
import { inspect } from 'node:util';

let passed = 0, failed = 0;
const todo = [];

export function test(name, run) { todo.push({ name, run }); }

export async function finish() {
    for (const { name, run } of todo) {
        try {
            const began = performance.now();
            await run();
            if (process.env.TIMES) console.log(`${(performance.now() - began).toFixed(0)} ms  ${name}`);
            passed++;
        } catch (e) {
            failed++;
            console.log(`FAIL ${name}\n     ${(e.stack ?? String(e)).split('\n').slice(0, 6).join('\n     ')}`);
        }
    }
    console.log(`${passed} passed, ${failed} failed`);
    process.exit(failed ? 1 : 0);
}

export const show = v => inspect(v, { depth: 12, breakLength: 140 });
