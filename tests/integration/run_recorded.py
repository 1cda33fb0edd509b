#!/usr/bin/python3
"""Replays what the reference server was recorded to answer (tests/recorded/) against ours.

    run_recorded.py [AREA...]

Each area has its own runner; this suite gives each a server of its own, hands it the files, and
counts. Cases that differ on purpose, or need what is not built yet, are listed with their reason in
tests/recorded/differences.json: {"area": {"regex": "reason"}}. The regex is matched against what the
runner prints after FAIL, from its beginning; a reason's part before the first colon is its class. A
listed case that passes all the same is told, and no failure; an unlisted one that fails is a failure.

The runners need a newer `websockets` than Debian's; scripts/setup.sh test puts it into the cache.
"""
import collections
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from server import BINARY, ROOT, Server

RECORDED = os.path.join(ROOT, "tests/recorded")
CACHE = os.environ.get("LIGHTCONE_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "lightcone")
PYTHON = os.path.join(CACHE, "python/bin/python")
LIMIT = 1200  # seconds for one area


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def module(source, *features):
    """Builds one of the recorded Rust modules (cached outside the checkout)."""
    out = subprocess.run([os.path.join(ROOT, "tests/modules/build.sh"), source, *features],
                         capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError(f"{source} {features}: {out.stderr[-2000:]}")
    return out.stdout.strip().splitlines()[-1]


def ws_modules(folder):
    os.makedirs(folder, exist_ok=True)
    for feature in ["", "plus", "addcol", "rmview", "newlogic"]:
        name = f"wskit_{feature}.wasm" if feature else "wskit.wasm"
        path = module("tests/recorded/ws/module", *([feature] if feature else []))
        os.symlink(path, os.path.join(folder, name))


def area_ws(server):
    folder = os.path.join(server.data, "wasm")
    ws_modules(folder)
    files = sorted(f for f in os.listdir(os.path.join(RECORDED, "ws")) if f.endswith(".json") and f != "schema.json")
    return ["wsreplay.py", "--url", server.url, "--wasm-dir", folder, "-j", "4", "--advisory", *files]


def area_ws_stress(server):
    folder = os.path.join(server.data, "wasm")
    ws_modules(folder)
    return ["stress.py", "--url", server.url, "--wasm-dir", folder]


def area_abi(server):
    return ["abi_replay.py", server.url, "probe.wasm", "data-read.json", "data-write.json", "host-calls.json",
            "loading.json", "definitions.json", "calls.json", "schedules.json", "views.json"]


def area_abi_fails(server):
    return ["abi_replay.py", server.url, "probe.wasm", "reference-fails.json", "--crash"]


def store_cases(server, with_restarts):
    """The case files, less the cases that do or do not restart the server."""
    folder = os.path.join(server.data, "cases")
    os.makedirs(folder)
    out = []
    for name in sorted(os.listdir(os.path.join(RECORDED, "store/cases"))):
        with open(os.path.join(RECORDED, "store/cases", name)) as f:
            doc = json.load(f)
        doc["cases"] = [c for c in doc["cases"] if any("restart" in s for s in c["steps"]) == with_restarts]
        if doc["cases"]:
            out.append(os.path.join(folder, name))
            with open(out[-1], "w") as f:
                json.dump(doc, f)
    return out


def area_store(server):
    return ["run_store.py", "--url", server.url, *store_cases(server, False)]


def area_store_restart(server):
    """The runner starts, stops and kills the server itself."""
    server.stop()
    command = f"{BINARY} start --listen-addr 127.0.0.1:{server.port} --data-dir {server.data}/node --jwt-key-dir {server.data}/node/keys"
    return ["run_store.py", "--url", server.url, "--server", command, *store_cases(server, True)]


def area_http(server):
    keys = os.path.join(server.data, "node", "keys", "id_ecdsa")
    files = ["basics.json", "identity.json", "tokens.json", "call.json", "publish.json", "names.json", "info.json",
             "schema.json", "logs.json", "sql.json", "sockets.json"]
    return ["replay.py", "--priv-key", keys, "--issuer-port", str(free_port()), server.url, *files]


# Area: folder, its runner, does the runner itself end the server? Long ones first.
AREAS = {"store": ("store", area_store, False), "ws": ("ws", area_ws, False), "http": ("http", area_http, False),
         "abi": ("abi", area_abi, False), "store-restart": ("store", area_store_restart, True),
         "ws-stress": ("ws", area_ws_stress, False), "abi-fails": ("abi", area_abi_fails, False)}


# More unlisted failures than that are no matter of time.
SECOND_TRIES = 5


def failing_cases(output):
    """What the area's runner says of each failing case, beginning with the case id."""
    return re.findall(r"^FAIL (?:\S+\.json )?(.*)$", output, re.M)


def run_to_end(command, folder):
    """Exit code and output of a runner; nothing that it started is left behind."""
    run = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           start_new_session=True)
    try:
        output, note = run.communicate(timeout=LIMIT)[0], b""
    except subprocess.TimeoutExpired as e:
        output, note = e.stdout or b"", f"the runner took more than {LIMIT} seconds\n".encode()
    finally:
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return run.wait(), (output + note).decode(errors="replace")


def second_try(area, known, command, folder, output):
    """Unlisted failing cases that pass when they run alone: many wait for something to happen in time,
    and a busy machine may be late."""
    late = [c for c in failing_cases(output) if not any(re.match(p, c) for p in known)]
    passing = set()
    for case in late if len(late) <= SECOND_TRIES else []:
        case_id = case if area == "http" else case.split()[0]
        again = run_to_end([*command, "--only", case_id], folder)[1]
        if re.search(r"^[1-9]\d* passed, 0 failed\s*\Z", again, re.M):
            passing.add(case)
    return passing


def replay(area, known):
    """Runs one area; its exit code, output, seconds, whether its server lived to see the end, and the
    cases that passed at their second try."""
    folder, make, ends_server = AREAS[area]
    folder = os.path.join(RECORDED, folder)
    began = time.monotonic()
    server, code, output, alive, late = None, -1, "", True, set()
    try:
        server = Server()
        command = [PYTHON, *make(server)]
        code, output = run_to_end(command, folder)
        alive = ends_server or server.is_alive()
        if alive:
            late = second_try(area, known, command, folder, output)
    except Exception as e:
        output = f"{type(e).__name__}: {e}\n"
    finally:
        if server:
            if not alive:
                output += f"the server's last words: {server.log_text()[-2000:]}\n"
            server.close()
    return code, output, time.monotonic() - began, alive, late


def judge(area, known, code, output, seconds, alive, late):
    """Prints an area's result; (passed, failed)."""
    found = re.search(r"^(\d+) passed, (\d+) failed\s*\Z", output, re.M)
    good, bad = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
    cases = failing_cases(output)
    classes, met, unknown = collections.Counter(), set(), []
    for case in cases:
        patterns = [p for p in known if re.match(p, case)]
        met.update(patterns)
        if patterns:
            classes[known[patterns[0]].split(":")[0]] += 1
        elif case in late:
            classes["passed when run alone"] += 1
        else:
            unknown.append(case)
    troubles = [f"FAILED {c}" for c in unknown]
    if not found:
        troubles.append(f"FAILED the runner gave no count (exit code {code})")
    elif bad != len(cases):
        troubles.append(f"FAILED {bad} cases failed, but {len(cases)} are named")
    if not alive:
        troubles.append("FAILED the server died")
    if troubles:
        print(output[-200000:], end="" if output.endswith("\n") else "\n")
    print(f"== {area}: {good} as recorded, {len(cases)} different, {sum(classes.values())} of them known"
          f" ({seconds:.0f} s)")
    for reason, count in classes.most_common():
        print(f"   {count} {reason}")
    for line in re.findall(r"^\d+ skipped.*$", output, re.M):
        print(f"   {line}")
    for pattern in sorted(set(known) - met):
        print(f"   listed, but as recorded: {pattern}")
    for trouble in troubles:
        print(f"   {trouble}")
    sys.stdout.flush()
    return good, len(troubles)


def main():
    wanted = sys.argv[1:] or list(AREAS)
    if not os.path.exists(PYTHON):
        print(f"{PYTHON} is missing: scripts/setup.sh test installs it\n0 passed, 1 failed")
        return 1
    with open(os.path.join(RECORDED, "differences.json")) as f:
        differences = json.load(f)
    passed = failed = 0
    # Most of the time the runners wait; two of them at once load two cores.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {pool.submit(replay, area, differences.get(area, {})): area for area in wanted}
        for done in concurrent.futures.as_completed(running):
            good, bad = judge(running[done], differences.get(running[done], {}), *done.result())
            passed += good
            failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
