#!/bin/sh
# scripts/simulate.sh TYPE SEEDS FIRST [OPTION...]: builds the simulator (tests/simulate) and runs so
# many seeds from the first on, on all processors. A failing one is printed with its trace; the last
# line is `N seeds, N failed`.
set -eu
cd "$(dirname "$0")/.."
type=$1
seeds=$2
first=$3
shift 3
scripts/build.sh "$type" simulate
exec "build/$type/tests/simulate/simulator" --seeds "$seeds" --first "$first" "$@"
