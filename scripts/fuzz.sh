#!/bin/sh
# scripts/fuzz.sh SECONDS [NAME]: builds every fuzz target tests/fuzz/fuzz_*.c (or fuzz_NAME.c) with
# clang's fuzzer and sanitizers, and runs each for so long, beginning with its corpus tests/fuzz/NAME/.
# New inputs stay in build/fuzz/NAME/; one that fails is left in build/fuzz/ and ends the run.
# (Pointer overflow is not looked for: LC_VEC_EACH adds 0 to NULL.) A target names what it needs in a comment line `build: FOLDERS FILES LIBRARIES`.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
mkdir -p build/fuzz
passed=0
for source in tests/fuzz/fuzz_${2:-*}.c; do
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    sources='' libraries=''
    for part in $(sed -n 's/^ \* build: //p' "$source"); do
        case $part in
        -*) libraries="$libraries $part" ;;
        *.c) sources="$sources $part" ;;
        *) sources="$sources $(find "$part" -name '*.c')" ;;
        esac
    done
    # shellcheck disable=SC2086
    clang-19 -std=gnu17 -D_GNU_SOURCE -DLC_VERSION='"fuzz"' -g -O1 -Wall -Wextra -Isrc -Iinclude \
        -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -fno-sanitize=pointer-overflow \
        -o "build/fuzz/$name.bin" "$source" $sources $libraries -lm
    mkdir -p "build/fuzz/$name"
    "build/fuzz/$name.bin" -max_total_time="$seconds" -max_len=16384 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" "build/fuzz/$name" "tests/fuzz/$name" \
        >"build/fuzz/$name.log" 2>&1 || {
        tail -n 60 "build/fuzz/$name.log"
        echo "$passed passed, 1 failed"
        exit 1
    }
    grep -E 'number_of_executed_units|new_units_added' "build/fuzz/$name.log" | sed "s/^/$name: /"
    passed=$((passed + 1))
done
echo "$passed passed, 0 failed"
