#!/usr/bin/python3
"""Simulated crashes of store, journal and snapshots (tests/simulate): 500 seeds that are always the same,
those that once failed; the same seed twice; and whether the simulator can fail at all: every mutation must
be caught.

run_simulate.py [SEEDS]: so many instead of the 500.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/simulate"))
import mutate  # noqa: E402

TYPE = os.environ.get("LIGHTCONE_BUILD_TYPE", "release")
PROGRAM = os.path.join(ROOT, "build", TYPE, "tests/simulate/simulator")

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    passed += good
    failed += not good
    print(f"{'ok' if good else 'FAILED'} {name}{': ' + detail if detail else ''}", flush=True)


def simulate(*options):
    return subprocess.run([PROGRAM, *options], cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)


def run_seeds(name, first, count, *options):
    done = simulate("--first", str(first), "--seeds", str(count), *options)
    if done.returncode != 0:
        print(done.stderr + done.stdout)
    check(f"{name}: seeds {first} to {first + count - 1}", done.returncode == 0)


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    build = subprocess.run([os.path.join(ROOT, "scripts/build.sh"), TYPE, "simulate"], cwd=ROOT, check=False)
    if build.returncode != 0:
        print("0 passed, 1 failed")
        return 1
    run_seeds("always the same", 1, seeds)
    for seed in re.findall(r"^\d+", mutate.read("tests/simulate/seeds"), re.M):
        run_seeds("failed once", int(seed), 1)
    run_seeds("twice the same course", 501, 30, "--twice")
    # Another process has its memory elsewhere.
    hashes = [sorted(simulate("--first", "501", "--seeds", "30", "--hash", "--jobs", jobs).stdout.splitlines()[:30])
              for jobs in ("1", "2")]
    check("the same course in another process", hashes[0] == hashes[1] and len(hashes[0]) == 30)
    global passed, failed
    bad = mutate.main([])
    count = len([n for n in os.listdir(mutate.MUTATIONS) if n.endswith(".mutation")])
    passed += count - bad
    failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
