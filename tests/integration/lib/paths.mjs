// Where things are, and what is fetched or built once and kept outside the checkout.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const cache = process.env.LIGHTCONE_CACHE ??
    path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'lightcone');

/** Folder whose node_modules holds the given npm packages ("name@version"). */
export function npm(...packages) {
    const folder = path.join(cache, 'npm', packages.join('+').replaceAll('/', '_'));
    if (!fs.existsSync(path.join(folder, 'complete'))) {
        fs.mkdirSync(folder, { recursive: true });
        fs.writeFileSync(path.join(folder, 'package.json'), '{"private": true}');
        execFileSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--silent', ...packages],
            { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
        fs.writeFileSync(path.join(folder, 'complete'), '');
    }
    return folder;
}

/**
 * The module-definition type of the official client package, as oracle. The package uses it inside
 * and does not export it, so a copy of its entry file gets one more export.
 */
export async function officialDefinitionType() {
    const dist = path.join(npm('spacetimedb@2.10.1', 'ws@8.18.3'), 'node_modules/spacetimedb/dist');
    const file = path.join(dist, 'definition-type.mjs');
    if (!fs.existsSync(file)) {
        const source = fs.readFileSync(path.join(dist, 'index.mjs'), 'utf8')
            .replace('\nt.enum("RawModuleDef", {', '\nvar RawModuleDef = t.enum("RawModuleDef", {');
        fs.writeFileSync(file, `${source}\nexport { RawModuleDef };\n`);
    }
    const { RawModuleDef, BinaryReader, BinaryWriter } = await import(pathToFileURL(file));
    return {
        decode: bytes => RawModuleDef.deserialize(new BinaryReader(bytes)),
        encode(value) {
            const w = new BinaryWriter(1024);
            RawModuleDef.serialize(w, value);
            return w.getBuffer();
        },
    };
}

process.setMaxListeners(100);

export const clang = ['clang-19', 'clang'].find(name => {
    try { execFileSync(name, ['--version'], { stdio: 'ignore' }); return true; } catch { return false; }
});

/** The recipe of sdk/module/README.md. */
export const clangFlags = [
    '--target=wasm32', '-std=c23', '-O2', '-mbulk-memory', '-ffreestanding', '-nostdlib',
    '-Wall', '-Wextra', '-fmacro-backtrace-limit=1', `-I${path.join(root, 'include')}`,
    '-Wl,--no-entry', '-Wl,--stack-first', '-Wl,-z,stack-size=1048576',
];

/** Compile the C module in a folder; returns the path of the .wasm, which lasts as long as this process. */
export function compileC(folder, extra = []) {
    const sources = fs.readdirSync(folder).filter(f => f.endsWith('.c')).sort().map(f => path.join(folder, f));
    const made = fs.mkdtempSync(path.join(os.tmpdir(), 'lightcone-c-'));
    process.on('exit', () => fs.rmSync(made, { recursive: true, force: true }));
    const out = path.join(made, 'module.wasm');
    execFileSync(clang, [...clangFlags, '-Werror', ...extra, '-o', out, ...sources,
        path.join(root, 'sdk/module/lightcone_module.c')], { stdio: ['ignore', 'inherit', 'inherit'] });
    return out;
}

/** Build a Rust module (once); returns the path of the .wasm. */
export function buildRust(name, ...features) {
    return execFileSync(path.join(root, 'tests/modules/build.sh'), [name, ...features],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}
