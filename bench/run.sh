#!/bin/bash
# bench/run.sh: measures build/release/lightcone and prints Markdown tables for docs/performance.md on
# stdout, progress on stderr. Every repeat has a fresh server, on a free port, with data in a temporary
# folder; what is compared runs back to back. Four minutes; docs/performance.md explains the figures.
#
#   BENCH_REPEATS=3     how often everything is measured; medians are printed
#   BENCH_SECONDS=1.5   of each transfer run; fan-out and keys take two thirds of it
#   BENCH_ROWS=1000000  rows of the table whose bytes are counted
#   BENCH_SNAPSHOT_ROWS=10000000  rows of the table that snapshots are taken of
#   BENCH_ONLY="transfer fan keys storage snapshot peers"   parts to measure
#   BENCH_KEEP=FILE     where the single measurements go, too
set -u
cd "$(dirname "$0")/.." || exit
export LC_ALL=C

repeats=${BENCH_REPEATS:-3}
seconds=${BENCH_SECONDS:-1.5}
short=$(awk "BEGIN { print $seconds * 2 / 3 }")
rows=${BENCH_ROWS:-1000000}
snapshot_rows=${BENCH_SNAPSHOT_ROWS:-10000000}
only=${BENCH_ONLY:-transfer fan keys storage snapshot peers}
accounts=100000
built=build/release
work=$(mktemp -d "${TMPDIR:-/tmp}/lightcone-bench-XXXXXX")
lightcone=$work/lightcone # copies: a build may come and go meanwhile
tools=$work/bench
export LIGHTCONE_SDK=$PWD
results=$work/results
export XDG_CONFIG_HOME=$work/config # our identity, not the user's
server=
echo_server=
broadcaster=
failures=0

say() { echo "bench: $*" >&2; }
die() { say "$*"; exit 1; }
cleanup() {
    # shellcheck disable=SC2086
    kill -9 $server $echo_server $broadcaster 2>/dev/null
    wait 2>/dev/null
    [[ -z ${BENCH_KEEP:-} ]] || cp "$results" "$BENCH_KEEP"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
: >"$results"

# ------------------------------------------------------------------------------------- servers

# start DATA: a server; sets server, port, and boot, the seconds until it listens.
start() {
    local began=$EPOCHREALTIME
    : >"$work/out"
    "$lightcone" start --listen-addr 127.0.0.1:0 --data-dir "$1" >"$work/out" 2>"$work/log" &
    server=$!
    until port=$(sed -n 's/^Starting .* on .*:\([0-9]*\)$/\1/p' "$work/out") && [[ -n $port ]]; do
        kill -0 "$server" 2>/dev/null || die "the server does not start: $(cat "$work/log")"
        sleep 0.002
    done
    boot=$(since "$began")
}

# stop SIGNAL DATA...: ends the server and removes the folders.
stop() {
    kill "-$1" "$server"
    wait "$server" 2>/dev/null
    server=
    shift
    rm -rf "$@"
}

since() { awk "BEGIN { printf \"%.4f\", $EPOCHREALTIME - $1 }"; }

# publish NAME SOURCE: a folder of C files, or a .wasm file.
publish() {
    "$lightcone" publish "$1" -p "$2" -s "127.0.0.1:$port" --yes >"$work/publish" 2>&1 ||
        die "publishing $1: $(cat "$work/publish")"
}

# post PATH BODY: a request; sets took, the seconds until it was answered.
post() {
    local began=$EPOCHREALTIME status
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'POST /v1/database/%s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' "$1" ${#2} "$2" >&3
    IFS= read -r -t 120 status <&3
    took=$(since "$began")
    exec 3<&-
    [[ ${status:-} == *" 200 "* ]] || die "POST $1: ${status:-no answer}"
}

# One number of /proc/PID/status.
status_of() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$server/status"; }

# measure KEY PROGRAM ARGUMENT...: one run; a line of results is a key, then names and values.
measure() {
    local key=$1 program=$2 line
    shift 2
    if line=$(timeout 60 "$tools-$program" "$@" 2>"$work/err"); then
        echo "$key $line" >>"$results"
    else
        failures=$((failures + 1))
        say "$key failed: $(head -n 3 "$work/err")"
    fi
}

# --------------------------------------------------------------------------------------- parts

# Calls of `transfer`: what is compared stands in neighbouring lines.
transfers() {
    local shape c d protocol confirmed alpha module
    for module in $modules; do
        publish "bank-$module" "${bank[$module]}"
        post "bank-$module/call/seed" "[$accounts,1000000000]"
        "$tools-load" -n $accounts -s 0.5 "$port" "bank-$module" >/dev/null # to warm up
    done
    for shape in "64 40 v2 true 0" "64 40 v2 false 0" "64 40 v3 true 0" "64 40 v3 false 0" \
        "64 40 v2 true 1.5" "64 1 v2 true 0" "1 1 v2 true 0" "1 1 v2 false 0"; do
        read -r c d protocol confirmed alpha <<<"$shape"
        for module in $modules; do
            measure "transfer/$module/$c/$d/$protocol/$confirmed/$alpha" load -c "$c" -d "$d" \
                -p "$protocol" -f "$confirmed" -a "$alpha" -n $accounts -s "$seconds" \
                --pid "$server" "$port" "bank-$module"
        done
        [[ $confirmed/$alpha == true/0 ]] || continue
        measure "echo/$c/$d/$protocol" load --echo -c "$c" -d "$d" -p "$protocol" -s "$seconds" \
            --pid "$echo_server" "$echo_port" echo
    done
}

fans() {
    local n rows
    for n in 100 1000; do
        for rows in 1 100 1000; do
            measure "fan/$n/$rows" fan -s "$short" --pid "$server" "$port" tick "$n" "$rows"
            measure "broadcast/$n/$rows" fan --echo -s "$short" --pid "$broadcaster" \
                "$broadcast_port" echo "$n" "$rows"
        done
    done
}

keys() {
    local mode each
    for mode in "none 0" "eq 100" "eq 1000" "eq 5000" "range 10" "range 100" "range 1000"; do
        read -r mode each <<<"$mode"
        measure "keys/$mode/$((each * 10))" keys -s "$short" --pid "$server" "$port" tick 10 \
            "$each" "$mode"
    done
}

# Memory at rest, bytes per row, inserts, scan, and what a restart after kill -9 takes.
storage() {
    local data=$work/storage empty idle full before inserted scanned wakeups answered replayed
    start "$data"
    publish tick "$tick"
    sleep 4 # idle threads leave
    switches >"$work/before"
    sleep 2
    wakeups=$(switches | awk 'NR == FNR { before[$1] = $2; next }
        $1 in before { n += $2 - before[$1] } END { print n / 2 }' "$work/before" -)
    idle=$(status_of VmRSS)
    echo "idle threads $(status_of Threads) wakeups $wakeups" >>"$results"
    stop TERM
    start "$data"
    empty=$(status_of VmRSS)
    post tick/sql 'SELECT COUNT(*) AS n FROM tick'
    echo "memory empty_mb $((empty / 1024)) published_mb $((idle / 1024))" \
        "opened_mb $(($(status_of VmRSS) / 1024))" >>"$results"

    publish rows bench/modules/rows
    idle=$(status_of VmRSS)
    for _ in {1..100}; do post rows/call/fill "[$((rows / 100))]"; done
    full=$(status_of VmRSS)
    post rows/call/fill "[$rows]"
    inserted=$took
    post rows/call/scan '[]'
    scanned=$took

    publish bank examples/bank
    post bank/call/seed "[$accounts,1000000000]"
    answered=$("$tools-load" -n $accounts -s "$seconds" "$port" bank | sed 's/.*answered //')
    stop KILL
    start "$data"
    before=$(status_of VmRSS)
    post rows/sql 'SELECT COUNT(*) AS n FROM rows'
    replayed=$took
    before=$(($(status_of VmRSS) - before))
    post bank/sql "SELECT balance FROM accounts WHERE id = 1"
    awk -v rows="$rows" -v kb="$((full - idle))" -v again="$before" -v inserted="$inserted" \
        -v scanned="$scanned" -v boot="$boot" -v replayed="$replayed" -v answered="$answered" \
        -v took="$took" 'BEGIN {
            printf "storage bytes_per_row %.1f replayed_per_row %.1f inserts/s %.0f scanned/s %.0f ",
                kb * 1024 / rows, again * 1024 / rows / 2, rows / inserted, 2 * rows / scanned
            printf "boot_s %.3f rows_s %.3f rows/s %.0f tx_s %.3f replayed %d tx/s %.0f\n",
                boot, replayed, 2 * rows / replayed, took, answered, answered / took }' >>"$results"
    stop TERM "$data"
}

# Each thread of the server and how often it was switched to or from.
switches() {
    cat "/proc/$server/task/"*/status 2>/dev/null |
        awk '$1 == "Pid:" { pid = $2 } /_ctxt_switches:/ { n[pid] += $2 } END { for (pid in n) print pid, n[pid] }'
}

# How many threads of other programs run or want to, on average of half a second: noise.
elsewhere() {
    local running sum=0
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.05
        read -r _ _ _ running _ </proc/loadavg
        sum=$((sum + ${running%/*} - 1)) # but for this one
    done
    echo "elsewhere threads $((sum / 10)).$((sum % 10))" >>"$results"
}

# ---------------------------------------------------------------------------------------- run

flock $built/../.release.lock cp $built/lightcone $built/bench/bench-{load,echo,fan,keys,storage_bench} "$work"
for program in "$lightcone" "$tools"-{load,echo,fan,keys,storage_bench,peers}; do
    [[ -x $program ]] || die "build them first: scripts/build.sh release lightcone bench"
done

version=$(git describe --always --dirty 2>/dev/null)

declare -A bank=([c]=examples/bank)
modules=c
tick=tests/modules/tick
if rust=$(tests/modules/build.sh bank 2>"$work/err") && tick_rust=$(tests/modules/build.sh tick 2>>"$work/err"); then
    bank[rust]=$rust
    modules="c rust"
    tick=$tick_rust # as in the reference's figures
else
    say "without Rust modules: $(tail -n 1 "$work/err")"
fi

: >"$work/echo"
: >"$work/broadcast"
"$tools-echo" >"$work/echo" &
echo_server=$!
"$tools-echo" --broadcast >"$work/broadcast" &
broadcaster=$!
until echo_port=$(awk '{ print $3 }' "$work/echo") && broadcast_port=$(awk '{ print $3 }' "$work/broadcast") &&
    [[ -n $echo_port && -n $broadcast_port ]]; do sleep 0.01; done

for ((repeat = 1; repeat <= repeats; repeat++)); do
    elsewhere
    for part in $only; do
        say "repeat $repeat of $repeats: $part"
        if [[ $part == storage ]]; then
            storage
            continue
        fi
        if [[ $part == snapshot ]]; then
            measure snapshot storage_bench "$snapshot_rows" "$work"
            measure snapshot_text storage_bench "$((snapshot_rows / 10))" "$work" 200
            continue
        fi
        [[ $part != peers ]] || continue # takes turns by itself, below
        start "$work/data"
        case $part in
        transfer) transfers ;;
        fan) publish tick "$tick" && fans ;;
        keys) publish tick "$tick" && keys ;;
        *) die "no part '$part'" ;;
        esac
        stop TERM "$work/data"
    done
done

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
awk -f bench/report.awk -v cores="$(nproc)" -v model="$model" -v repeats="$repeats" -v date="$(date -u +%F)" \
    -v version="$version" -v rows="$rows" "$results"
if [[ " $only " == *" peers "* ]]; then
    say "SQLite and LMDB beside it"
    printf '\n'
    "$tools-peers" "$rows" "$repeats" "$work" 2>"$work/err" || die "peers: $(tail -n 1 "$work/err")"
fi
[[ $failures -eq 0 ]] || die "$failures runs failed"
