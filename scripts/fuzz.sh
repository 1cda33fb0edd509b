#!/bin/sh
# scripts/fuzz.sh SECONDS [NAME] | merge NAME: builds every fuzz target tests/fuzz/fuzz_*.c (or fuzz_NAME.c) with
# clang's fuzzer and sanitizers, and runs each for so long, one per processor at a time (JOBS=n: so
# many), beginning with its corpus tests/fuzz/NAME/. The last line is `N passed, N failed`.
# FUZZ_SEED=n has it try the same inputs again; without it they are new ones each time.
# New inputs stay in build/fuzz/NAME/ (merge puts those that reach new code into the corpus); one that
# fails is left in build/fuzz/ and ends that target.
#
# A target says in a comment what it needs: `build: FOLDERS FILES LIBRARIES`, and `length: N`, the
# longest input, if that is not 16384. (Pointer overflow is not looked for: LC_VEC_EACH adds 0 to
# NULL.)
set -eu
cd "$(dirname "$0")/.."

run() { # SECONDS NAME
    mkdir -p "build/fuzz/$2"
    # Half as long per run: shorter histories of blocks, fewer freed ones kept.
    export ASAN_OPTIONS="malloc_context_size=4:quarantine_size_mb=16:${ASAN_OPTIONS:-}"
    length=$(sed -n 's/^ \* length: //p' "tests/fuzz/fuzz_$2.c")
    if "build/fuzz/$2.bin" -max_total_time="$1" -max_len="${length:-16384}" -timeout=20 -print_final_stats=1 -seed="${FUZZ_SEED:-0}" \
        -artifact_prefix="build/fuzz/$2-" "build/fuzz/$2" "tests/fuzz/$2" >"build/fuzz/$2.log" 2>&1; then
        sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$2.log" | sed "s/^/ok $2: executions /"
    else
        tail -n 40 "build/fuzz/$2.log" | cut -c 1-1000
        echo "FAILED $2"
    fi
}

if [ "$1" = --run ]; then
    run "$2" "$3"
    exit
fi

mkdir -p build/fuzz
names=
{
    cat <<'END'
builddir = build/fuzz
flags = -std=gnu17 -D_GNU_SOURCE -DLC_VERSION='"fuzz"' -g -O1 -Wall -Wextra -Isrc -Iinclude -Itests/unit -Itests/fuzz $
  -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $
  -fno-sanitize=pointer-overflow
rule cc
  command = clang-19 $flags -MD -MF $out.d -c -o $out $in
  depfile = $out.d
  deps = gcc
rule link
  command = clang-19 $flags -o $out $in $libraries -lm
END
    all=
    for source in tests/fuzz/fuzz_${2:-*}.c; do
        name=$(basename "$source" .c)
        sources=$source libraries=
        for part in $(sed -n 's/^ \* build: //p' "$source"); do
            case $part in
            -*) libraries="$libraries $part" ;;
            *.c) sources="$sources $part" ;;
            *) sources="$sources $(find "$part" -name '*.c' | sort)" ;;
            esac
        done
        objects=
        for file in $sources; do
            objects="$objects build/fuzz/objects/${file%.c}.o"
            case " $all " in
            *" $file "*) ;;
            *)
                echo "build build/fuzz/objects/${file%.c}.o: cc $file"
                all="$all $file"
                ;;
            esac
        done
        echo "build build/fuzz/${name#fuzz_}.bin: link" $objects
        echo "  libraries =$libraries"
        names="$names ${name#fuzz_}"
    done
} >build/fuzz/build.ninja
jobs=${JOBS:-$(nproc)}
ninja --quiet -j "$jobs" -f build/fuzz/build.ninja

if [ "$1" = merge ]; then
    exec "build/fuzz/$2.bin" -merge=1 "tests/fuzz/$2" "build/fuzz/$2"
fi
results=build/fuzz/results
printf '%s\n' $names | xargs -P "$jobs" -n 1 "$0" --run "$1" | tee "$results"
passed=$(grep -c '^ok ' "$results") || true
failed=$(grep -c '^FAILED ' "$results") || true
# One that says nothing has failed, too.
set -- $names
failed=$((failed + $# - passed - failed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
