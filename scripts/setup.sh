#!/bin/sh
# scripts/setup.sh [run|test|bench]: installs the Debian 12 packages that are missing and builds the pinned
# WebAssembly engine. `run` (the default) is what building, running and publishing modules takes;
# `test` adds what the test run uses, with a Python of its own in the cache (python/bin/python) for
# packages that Debian 12 has too old; `bench` adds the databases it is compared with. When all is there it asks nothing of the network.
set -eu
cd "$(dirname "$0")/.."
what=${1:-run}

libraries="libuv1-dev libhttp-parser-dev libssl-dev libcurl4-openssl-dev libbrotli-dev
    zlib1g-dev libzstd-dev libyajl-dev libunistring-dev libc6-dev"
# command:package; the command may come from elsewhere
tools="meson:meson ninja:ninja-build gcc:gcc pkg-config:pkg-config flock:util-linux objcopy:binutils
    clang-19:clang-19 wasm-ld-19:lld-19"
case $what in
run) ;;
bench) libraries="$libraries libsqlite3-dev liblmdb-dev" ;;
test)
    libraries="$libraries libcmocka-dev libclang-rt-19-dev rustc-web cargo-web rust-web-src python3-venv"
    tools="$tools node:nodejs npm:npm python3:python3 chromium:chromium curl:curl clang-format-19:clang-format-19 llvm-ar-19:llvm-19"
    ;;
*)
    echo "usage: scripts/setup.sh [run|test|bench]" >&2
    exit 2
    ;;
esac

engine=$(third_party/wasmtime/build.sh --where)
if [ -z "$engine" ]; then
    tools="$tools cmake:cmake"
    third_party/wasmtime/build.sh --toolchain >/dev/null || libraries="$libraries rustc-web cargo-web"
fi

missing=
for tool in $tools; do
    command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
if command -v dpkg-query >/dev/null; then
    # shellcheck disable=SC2086
    there=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' $libraries 2>/dev/null | sed -n 's/^ii *//p')
    for package in $libraries; do
        printf '%s\n' "$there" | grep -qx "$package" || missing="$missing $package"
    done
fi

if [ -n "$missing" ]; then
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        sudo=sudo
        if ! command -v sudo >/dev/null; then
            echo "setup.sh: these packages are missing; install them as root:" >&2
            echo "  apt-get install --no-install-recommends$missing" >&2
            exit 1
        fi
    fi
    if ! command -v apt-get >/dev/null; then
        echo "setup.sh: missing (by their Debian 12 names):$missing" >&2
        exit 1
    fi
    echo "Installing:$missing"
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi

third_party/wasmtime/build.sh

if [ "$what" = test ]; then
    cache=${LIGHTCONE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lightcone}
    modules="websockets>=13 brotli"
    made_of="$(python3 --version) $modules"
    mkdir -p "$cache"
    exec 9>"$cache/python.lock"
    flock 9
    if [ "$(cat "$cache/python/.made-of" 2>/dev/null)" != "$made_of" ]; then
        echo "Installing Python packages: $modules"
        python3 -m venv --clear "$cache/python"
        # shellcheck disable=SC2086
        "$cache/python/bin/pip" install --quiet --disable-pip-version-check $modules
        echo "$made_of" >"$cache/python/.made-of"
    fi
fi
