#!/bin/sh
# third_party/wasmtime/build.sh: builds the WebAssembly engine pinned by Cargo.toml and Cargo.lock
# here as one static archive with its C headers, unless that was done before. The result lies outside
# the checkout, keyed by everything that goes into it, so that all checkouts share it:
#   ${LIGHTCONE_CACHE:-~/.cache/lightcone}/wasmtime-<key>/{lib/libwasmtime.a,include/}
# Needs cargo and rustc >= 1.95 (on PATH, or Debian's rustc-web and cargo-web), cmake and a network.
#   --where      only prints that folder if it is complete, and nothing otherwise
#   --toolchain  only prints the folder of the rustc it would use; fails if there is none
set -eu
cd "$(dirname "$0")"

cache=${LIGHTCONE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lightcone}
flags="build --release --locked"
key=$({
    cat Cargo.toml Cargo.lock src/lib.rs
    echo "$flags $(uname -m)"
} | sha256sum | cut -c 1-16)
dir=$cache/wasmtime-$key

complete() {
    [ -f "$dir/lib/libwasmtime.a" ] && [ -f "$dir/include/wasmtime.h" ]
}

# The first folder whose rustc is new enough; its cargo belongs to it.
toolchain() {
    echo "$PATH:/usr/bin" | tr : '\n' | while read -r bin; do
        [ -x "$bin/rustc" ] && [ -x "$bin/cargo" ] || continue
        version=$("$bin/rustc" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
        if [ "${version:-0}" -ge 95 ]; then
            echo "$bin"
            break
        fi
    done
}

case ${1:-} in
--where)
    ! complete || printf '%s\n' "$dir"
    exit 0
    ;;
--toolchain)
    toolchain | grep .
    exit
    ;;
esac
! complete || exit 0

bin=$(toolchain)
if [ -z "$bin" ]; then
    echo "wasmtime: no rustc >= 1.95 with cargo found; install the packages rustc-web and cargo-web" >&2
    exit 1
fi
if ! command -v cmake >/dev/null; then
    echo "wasmtime: cmake not found; install the package cmake" >&2
    exit 1
fi

mkdir -p "$cache"
exec 9>"$dir.lock"
flock 9
! complete || exit 0 # another checkout did it meanwhile

echo "Building the WebAssembly engine, once for all checkouts (3 minutes on 2 cores): $dir"
target=$dir.target # stays when interrupted, so that the next run goes on from there
# shellcheck disable=SC2086
RUSTC=$bin/rustc CARGO_TARGET_DIR=$target "$bin/cargo" $flags

rm -rf "$dir.part" "$dir"
mkdir -p "$dir.part/lib"
cp "$target/release/libwasmtime.a" "$dir.part/lib/"
# The build script of the C API leaves the headers in its output folder.
headers=$(find "$target/release/build" -path '*/wasmtime-c-api-impl-*/out/include' -type d | head -n 1)
cp -R "$headers" "$dir.part/include"
mv "$dir.part" "$dir"
rm -rf "$target"
