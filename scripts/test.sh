#!/bin/bash
# scripts/test.sh [TYPE]: the whole test run; the very last line is `N passed, N failed`.
#
#   1  the unit tests of all rooms, with the address and undefined-behaviour sanitizers
#   2  the unit tests of the rooms that have threads, with the thread sanitizer
#   3  every executable tests/integration/run_*.{sh,py,mjs} against the release build
#   4  those of them that talk to a server all the time, against the sanitized build
#   5  the fuzz targets, SECONDS_EACH seconds each (60), one per processor at a time
#
# With TYPE (debug, release, asan, tsan) only 1 and 3, both on that build. See tests/README.md.
set -u
cd "$(dirname "$0")/.."
only=${1:-}
passed=0
failed=0

# Adds up a `N passed, N failed` line; a run without one, or that fails without saying what, counts
# as one failure.
count() { # name, exit code, last line
    local good=0 bad=1
    if [[ $3 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        good=${BASH_REMATCH[1]}
        bad=${BASH_REMATCH[2]}
        [[ $2 -eq 0 || $bad -gt 0 ]] || bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    [[ $bad -eq 0 ]] || echo "FAILED: $1 (exit code $2)"
}

# Nothing of the tests lands in the user's own configuration.
export XDG_CONFIG_HOME=$PWD/build/test-config
logs=build/test-logs
mkdir -p "$logs"

# run NAME COMMAND...: shows the output as it comes and counts its last line.
run() {
    local name=$1
    shift
    echo "== $name"
    timeout --kill-after=10 "${SUITE_TIMEOUT:-1800}" "$@" 2>&1 | tee "$logs/$name.log"
    count "$name" "${PIPESTATUS[0]}" "$(tail -n 1 "$logs/$name.log")"
}

# suites TYPE FILE...: the integration suites on that build.
suites() {
    local type=$1
    shift
    if ! scripts/build.sh "$type" lightcone; then
        echo "FAILED: the $type build"
        failed=$((failed + 1))
        return
    fi
    export LIGHTCONE=$PWD/build/$type/lightcone LIGHTCONE_BUILD_TYPE=$type
    local suite
    for suite in "$@"; do
        [[ ! -x $suite ]] || run "$(basename "$suite") ($type)" "$suite"
    done
}

all=(tests/integration/run_*.{sh,py,mjs})
if [[ -n $only ]]; then
    run "unit ($only)" scripts/unit.sh "$only"
    suites "$only" "${all[@]}"
else
    run "unit (asan)" scripts/unit.sh asan
    for room in journal storage net database server; do
        run "unit $room (tsan)" scripts/unit.sh tsan "$room"
    done
    suites release "${all[@]}"
    suites asan tests/integration/run_{recorded,bad_input}.py
    FUZZ_SEED=1 run fuzz scripts/fuzz.sh "${SECONDS_EACH:-60}"
fi

echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
