#!/bin/sh
# scripts/build.sh TYPE [TARGET...]: configures build/TYPE if needed and builds the targets in it.
# TYPE is release, debug, asan, tsan or clang (debug with the other compiler). Configures again when
# C files came or went, because rooms are listed by looking. One build at a time per folder; others
# wait.
set -eu
cd "$(dirname "$0")/.."
type=$1
shift
dir=build/$type

# With the sanitizers' checks woven in gcc warns of paths nobody can take, so that warnings end only
# the other builds. A finding of the undefined-behaviour sanitizer ends the program.
sanitized="--buildtype=debugoptimized -Dwerror=false -Db_lundef=false"
case $type in
release) options="-Doptimization=3 -Ddebug=true -Db_lto=true -Db_lto_threads=2" ;;
debug) options="--buildtype=debug" ;;
asan) options="$sanitized -Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=undefined" ;;
tsan) options="$sanitized -Db_sanitize=thread" ;;
clang)
    options="--buildtype=debugoptimized"
    CC=${CC:-clang-19}
    export CC
    ;;
*)
    echo "build.sh: no build type '$type' (release, debug, asan, tsan, clang)" >&2
    exit 2
    ;;
esac
# Our static libraries go into our own programs only.
options="$options -Db_pie=true -Db_staticpic=false"

for tool in meson ninja pkg-config flock; do
    if ! command -v "$tool" >/dev/null; then
        echo "build.sh: $tool not found; scripts/setup.sh installs what is missing" >&2
        exit 1
    fi
done

# The archiver and linker that understand clang's intermediate code are clang's own.
case ${CC:-} in
clang*) export AR="llvm-ar${CC#clang}" CC_LD=lld ;;
esac

mkdir -p build
exec 9>"build/.$type.lock"
flock 9

engine=$(third_party/wasmtime/build.sh --where)
inputs="CC=${CC:-} CFLAGS=${CFLAGS:-} LDFLAGS=${LDFLAGS:-} $options
$engine
$(find src tests/unit tests/simulate bench -name '*.c' 2>/dev/null | LC_ALL=C sort)"
if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.inputs" 2>/dev/null)" != "$inputs" ]; then
    # Another compiler or other options mean another folder; the rest meson takes as a change.
    again=
    if [ "$(head -n 1 "$dir/.inputs" 2>/dev/null)" != "$(printf '%s\n' "$inputs" | head -n 1)" ]; then
        rm -rf "$dir"
    elif [ -f "$dir/build.ninja" ]; then
        again=--reconfigure
    fi
    # shellcheck disable=SC2086
    if ! meson setup $again $options -Dwasmtime="$engine" "$dir" . >"$dir.log" 2>&1; then
        cat "$dir.log" >&2
        exit 1
    fi
    printf '%s\n' "$inputs" >"$dir/.inputs"
fi

# `unit` goes on past what does not compile: the tests of the other rooms still run.
keep_going=
[ "${1:-}" != unit ] || keep_going="-k 0"
# shellcheck disable=SC2086
ninja --quiet -C "$dir" -j "${JOBS:-$(nproc)}" $keep_going "$@"

# Debug information goes into a file of its own, which debuggers and perf find beside the program.
program=$dir/lightcone
if [ "$type" = release ] && [ -f "$program" ] &&
    { [ ! -f "$program.debug" ] || [ "$program.debug" -ot "$program" ]; }; then
    objcopy --only-keep-debug "$program" "$program.debug"
    objcopy --strip-debug --add-gnu-debuglink="$program.debug" "$program"
    touch "$program.debug"
fi
