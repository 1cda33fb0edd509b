#!/bin/sh
# scripts/unit.sh TYPE [ROOM]: builds and runs the unit tests of one room or of all, in the project's
# root. A failing program's output is shown; the last line is `N passed, N failed`.
set -u
cd "$(dirname "$0")/.."
type=$1
room=${2:-}

scripts/build.sh "$type" "unit${room:+-$room}"
built=$?
[ $built -eq 0 ] || [ -z "$room" ] || exit $built

passed=0
failed=0
logs=build/$type/unit-logs
mkdir -p "$logs"
for source in tests/unit/${room:-*}/test_*.c; do
    [ -f "$source" ] || continue
    name=unit-$(basename "$(dirname "$source")")-$(basename "$source" .c)
    program=build/$type/tests/unit/$name
    log=$logs/$name.log
    # One that was not built this time must not pass as what it was before.
    if [ ! -x "$program" ] || { [ $built -ne 0 ] && [ "$program" -ot "$source" ]; }; then
        echo "FAILED $name: did not build"
        failed=$((failed + 1))
        continue
    fi
    # Written aside: another run may be under way.
    timeout "${UNIT_TIMEOUT:-600}" "$program" >"$log.$$" 2>&1
    rc=$?
    good=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\.$/\1/p' "$log.$$" | awk '{n += $1} END {print n + 0}')
    bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s), listed below:$/\1/p' "$log.$$" | awk '{n += $1} END {print n + 0}')
    # Dead before it could count, or nothing counted at all.
    [ "$bad" -gt 0 ] || { [ $rc -eq 0 ] && [ "$good" -gt 0 ]; } || bad=1
    passed=$((passed + good))
    failed=$((failed + bad))
    mv "$log.$$" "$log"
    if [ "$bad" -gt 0 ]; then
        cat "$log"
        echo "FAILED $name (exit code $rc)"
    else
        echo "ok $name: $good"
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $built -eq 0 ]
