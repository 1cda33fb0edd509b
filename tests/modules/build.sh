#!/bin/sh
# build.sh NAME|DIR [FEATURE...]
#
# Builds a Rust module to WebAssembly, once, and prints the path of the .wasm.
# NAME is a folder beside this script; DIR any folder with a Cargo.toml and a
# Cargo.lock. The result is kept outside the checkout under a hash of everything
# that goes into it, so a second run (or a second clone) answers at once.
#
# Needs Debian's rustc-web, cargo-web, rust-web-src and lld-19. That toolchain
# ships no prebuilt wasm standard library, hence -Zbuild-std; the target folder
# is shared between modules, so only the first build pays for it.
set -eu

RUST_BIN=${LIGHTCONE_RUST_BIN:-/usr/bin}
WASM_LD=${LIGHTCONE_WASM_LD:-/usr/bin/wasm-ld-19}

here=$(cd "$(dirname "$0")" && pwd)
die() { echo "build.sh: $*" >&2; exit 1; }

[ $# -ge 1 ] || die "usage: build.sh NAME|DIR [FEATURE...]"
case $1 in */*) dir=$1 ;; *) dir=$here/$1 ;; esac
shift
features=$*
[ -f "$dir/Cargo.toml" ] || die "$dir: no Cargo.toml"
[ -f "$dir/Cargo.lock" ] || die "$dir: no Cargo.lock (a build must be repeatable)"
dir=$(cd "$dir" && pwd)
[ -x "$RUST_BIN/cargo" ] || die "$RUST_BIN/cargo not found: install rustc-web cargo-web rust-web-src"
[ -x "$WASM_LD" ] || die "$WASM_LD not found: install lld-19"
[ -d /usr/src/rustc-"$("$RUST_BIN/rustc" --version | cut -d' ' -f2)" ] ||
  [ -d "$("$RUST_BIN/rustc" --print sysroot)/lib/rustlib/src" ] ||
  die "the sources of the Rust standard library are missing: install rust-web-src"

name=$(sed -n 's/^name *= *"\(.*\)"/\1/p' "$dir/Cargo.toml" | head -n 1)
file=$(echo "$name" | tr - _).wasm
for f in $features; do file=${file%.wasm}_$f.wasm; done

cache=${LIGHTCONE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lightcone}/modules
hash=$( { "$RUST_BIN/rustc" --version; echo "$features"
          cd "$dir"
          find Cargo.toml Cargo.lock src build.rs -type f 2>/dev/null | LC_ALL=C sort |
            xargs sha256sum; } | sha256sum | cut -c1-16)
out=$cache/$hash/$file
if [ -f "$out" ]; then echo "$out"; exit 0; fi

mkdir -p "$cache/$hash"
log=$cache/$hash/build.log
# All builds write to the same target folder: one at a time.
exec 9> "$cache/lock"
flock 9
if [ -f "$out" ]; then echo "$out"; exit 0; fi
if ! (cd "$dir" && RUSTC_BOOTSTRAP=1 PATH="$RUST_BIN:$PATH" CARGO_TARGET_DIR="$cache/target" \
        "$RUST_BIN/cargo" build --locked --release -j "${LIGHTCONE_JOBS:-2}" \
        -Zbuild-std=std,panic_abort --target wasm32-unknown-unknown \
        --features "$features" \
        --config "target.wasm32-unknown-unknown.linker=\"$WASM_LD\"" \
        --config 'profile.release.panic="abort"') > "$log" 2>&1
then
  tail -n 40 "$log" >&2
  die "building $name failed (whole log: $log)"
fi
# By rename, so that the file is there whole or not at all.
cp "$cache/target/wasm32-unknown-unknown/release/$(echo "$name" | tr - _).wasm" "$out.$$"
mv "$out.$$" "$out"
echo "$out"
