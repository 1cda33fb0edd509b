#!/usr/bin/python3
"""Can the simulator fail? Breaks one thing at a time in a copy of the sources and runs it.

Each mutations/NAME.mutation says in its first line what is broken, then per place a line `--- FILE`,
the lines to take out (`-`) and those to put in (`+`). The lines taken out must be in the file exactly
once; a mutation that does not fit any more is a failure. A mutant is caught when a run breaks a
promise within MAX_SEEDS seeds.

mutate.py [NAME...]: all, or those. Ends with `N passed, N failed`. Objects are kept in
build/simulate/objects by what they were made from, so only mutated files are compiled anew.
"""
import concurrent.futures
import hashlib
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MUTATIONS = os.path.join(ROOT, "tests/simulate/mutations")
WORK = os.path.join(ROOT, "build/simulate")
ROOMS = ["base", "sats", "schema", "store", "journal", "storage"]
COMPILE = [os.environ.get("CC", "gcc"), "-std=gnu17", "-D_GNU_SOURCE", '-DLC_VERSION="mutant"', "-O1",
           "-Isrc", "-Iinclude", "-Itests/simulate", "-w", "-c"]
LINK = ["-lzstd", "-lunistring", "-lm", "-lpthread"]
FIRST_SEED = 1
MAX_SEEDS = 6000
JOBS = os.cpu_count() or 1


def sources():
    folders = ["src/" + room for room in ROOMS] + ["tests/simulate"]
    return [os.path.join(f, n) for f in folders for n in sorted(os.listdir(os.path.join(ROOT, f))) if n.endswith(".c")]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def headers_hash():
    h = hashlib.sha256(" ".join(COMPILE).encode())
    for folder in ["src", "include", "tests/simulate"]:
        for where, _, names in sorted(os.walk(os.path.join(ROOT, folder))):
            for name in sorted(names):
                if name.endswith(".h"):
                    with open(os.path.join(where, name), "rb") as f:
                        h.update(name.encode() + f.read())
    return h.digest()


def compile_one(path, text, headers):
    """Returns the object made from the text as if it lay at the path."""
    key = hashlib.sha256(headers + path.encode() + text.encode()).hexdigest()[:32]
    made = os.path.join(WORK, "objects", key + ".o")
    if not os.path.exists(made):
        copy = os.path.join(WORK, "objects", key + ".c")
        with open(copy, "w", encoding="utf-8") as f:
            f.write(text)
        aside = f"{made}.{os.getpid()}"
        try:
            subprocess.run(COMPILE + ["-iquote", os.path.dirname(path), copy, "-o", aside], cwd=ROOT, check=True,
                           capture_output=True, text=True)
        except subprocess.CalledProcessError as e:
            raise ValueError(f"{path} does not compile:\n{e.stderr}") from e
        finally:
            os.remove(copy)
        os.rename(aside, made)
    return made


def parse(name):
    """(what is broken, [(file, old, new)])"""
    lines = read(os.path.join(MUTATIONS, name + ".mutation")).splitlines()
    places = []
    for line in lines[1:]:
        if line.startswith("--- "):
            places.append((line[4:], [], []))
        elif line.startswith("-"):
            if places[-1][2]:  # another place in the same file
                places.append((places[-1][0], [], []))
            places[-1][1].append(line[1:])
        elif line.startswith("+"):
            places[-1][2].append(line[1:])
    if not places:
        raise ValueError("changes nothing")
    return lines[0], [(f, "\n".join(o) + "\n", "\n".join(n) + "\n") for f, o, n in places]


def mutated(places):
    texts = {}
    for path, old, new in places:
        text = texts.get(path) or read(path)
        found = text.count(old)
        if found != 1:
            raise ValueError(f"{path}: the lines to take out are there {found} times")
        texts[path] = text.replace(old, new)
    return texts


def build(name, texts, headers, paths):
    """The simulator with these texts instead of the files."""
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        objects = list(pool.map(lambda p: compile_one(p, texts.get(p) or read(p), headers), paths))
    program = os.path.join(WORK, "mutant-" + name)
    subprocess.run([COMPILE[0], "-o", program] + objects + LINK, cwd=ROOT, check=True)
    return program


def run(program):
    """(caught, after how many seeds, by what)"""
    done = subprocess.run([program, "--first", str(FIRST_SEED), "--seeds", str(MAX_SEEDS), "--failures", "1"],
                          cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    found = re.search(r"seed (\d+), violated: (.*)", done.stderr)
    if found:
        return True, int(found[1]) - FIRST_SEED + 1, found[2][:110]
    return done.returncode != 0, MAX_SEEDS, (done.stderr or done.stdout)[-110:]


def check(name, headers, paths):
    """None when the mutant is caught, else the complaint."""
    try:
        what, places = parse(name)
        program = build(name, mutated(places), headers, paths)
    except ValueError as e:
        return f"{name}: {e}"
    caught, seeds, how = run(program)
    os.remove(program)
    if not caught:
        return f"{name}: not caught in {MAX_SEEDS} seeds: {what}"
    print(f"ok {name}: caught at seed {seeds}: {how}", flush=True)
    return None


def main(names):
    os.makedirs(os.path.join(WORK, "objects"), exist_ok=True)
    names = names or sorted(n[:-9] for n in os.listdir(MUTATIONS) if n.endswith(".mutation"))
    headers, paths = headers_hash(), sources()
    failed = 0
    for name in names:
        complaint = check(name, headers, paths)
        if complaint:
            failed += 1
            print("FAILED " + complaint, flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
