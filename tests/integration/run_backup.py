#!/usr/bin/python3
"""Backup, restore, and the tools that look into logs and snapshots on disk.

A server under load is backed up and comes back under other names, through the server and without it,
at earlier moments, too; what is torn or foreign is refused with nothing left behind. `log` and
`snapshot` are tried on the logs of the reference server, on every damaged variant of them, and on the
folder of a database that is running.

run_backup.py [WORD...]: only tests with one of the words in their name.
"""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from server import BINARY, ROOT, Server
from wire import Http, compile_module

RECORDED = os.path.join(ROOT, "tests/recorded/commitlog")
ACCOUNTS, BALANCE = 50, 1_000_000
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def equal(got, want, about=""):
    if got != want:
        raise AssertionError(f"{about}\ngot  {str(got)[:1500]}\nwant {str(want)[:1500]}")


class Run:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


class World:
    """A server with the ledger in it, a user with the command line, and a folder for files."""

    def __init__(self, tools):
        self.server = Server()
        self.loader = os.path.join(tools, "ledger_client")
        self.files = os.path.join(self.server.data, "files")
        config = os.path.join(self.server.data, "config")
        os.makedirs(self.files)
        os.makedirs(os.path.join(config, "lightcone"))
        self.http = Http(self.server.url)
        self.http.sign_in()
        with open(os.path.join(config, "lightcone/cli.toml"), "w") as f:
            f.write(f'token = "{self.http.token}"\n')
        self.env = {**os.environ, "XDG_CONFIG_HOME": config, "NO_COLOR": "1"}
        status, body = self.http.publish("ledger", compile_module("tests/modules/ledger"))
        assert status == 200, (status, body)
        self.call("ledger", "seed", ACCOUNTS, BALANCE)
        self.clients = 0

    def path(self, name):
        return os.path.join(self.files, name)

    def call(self, *words):
        status, body = self.http.call(*words)
        assert status == 200, (words, status, body)

    def run(self, *words, server=True, stdin=b"", env=None):
        argv = [BINARY, *words]
        if server:
            argv[2:2] = ["-s", self.server.url]
        return Run(subprocess.run(argv, input=stdin, capture_output=True, timeout=600, env={**self.env, **(env or {})}))

    def ok(self, *words, **more):
        done = self.run(*words, **more)
        if done.code != 0:
            raise AssertionError(f"{words}: exit {done.code}\n{done.out[-2000:]}{done.err.decode()}")
        return done.out

    def json(self, *words, **more):
        return json.loads(self.ok(*words, **more))

    def fails(self, *words, code=1, says="", **more):
        done = self.run(*words, **more)
        said = done.err.decode()
        equal(done.code, code, f"{words}: {done.out[-500:]}{said}")
        if not re.match(r"Error: \S", said) or says not in said:
            raise AssertionError(f"{words}: wanted {says!r} in\n{said}")
        return said

    def load(self, millis, connections=16, in_flight=32):
        """Transfers by clients of their own numbers, in the background."""
        self.clients += 1000
        out = self.path(f"outcomes-{self.clients}")
        process = subprocess.Popen([self.loader, str(self.server.port), "ledger", str(connections), str(in_flight),
                                    str(ACCOUNTS), str(self.clients), str(millis), out], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        return process, out

    def exists(self, name):
        return self.http.request("GET", f"/v1/database/{name}/identity")[0] == 200

    def replicas(self):
        return sorted(os.listdir(os.path.join(self.server.data, "node/replicas")), key=int)

    def folder(self, name):
        """Of the database: the one whose log names its identity. New ones have the highest number."""
        return os.path.join(self.server.data, "node/replicas", self.replicas()[-1] if name != "ledger" else
                            self.replicas()[0])

    def restart(self):
        self.server.start()
        self.http.url = self.server.url


def sums(world, name):
    """Balances agree with the ledger to the unit; the number of transfers."""
    balances = dict(world.http.sql(name, "SELECT * FROM accounts"))
    rows = world.http.sql(name, "SELECT * FROM ledger")
    expected = {a: BALANCE for a in range(ACCOUNTS)}
    for _, _, _, source, target, amount in rows:
        expected[source] -= amount
        expected[target] += amount
    equal(balances, expected, f"{name}: balances and ledger")
    return len(rows)


def read_confirmed(path):
    confirmed = set()
    with open(path, "rb") as f:
        while head := f.read(8):
            client, n = struct.unpack("<II", head)
            confirmed |= {(client, i) for i, o in enumerate(f.read(n)) if o == 1}
    return confirmed


def flip(path, to, at, mask=1):
    data = bytearray(open(path, "rb").read())
    data[at] ^= mask
    open(to, "wb").write(data)


# ------------------------------------------------------------- backup and restore

@test
def moments(w):
    """Every offset and time between calls comes back as it was."""
    counts, times = {}, []
    for n in range(6):
        w.call("ledger", "transfer", 900_000, n, n, n + 1, 10)
        made = w.json("backup", "ledger", w.path("moments"), "--json", "--since", "0")
        counts[made["to"]] = sums(w, "ledger")
        time.sleep(0.05)
        times.append((time.time(), counts[made["to"]]))
        time.sleep(0.05)
        if n == 2:
            assert json.loads(w.ok("snapshot", "take", "ledger", "--json"))["offset"] >= made["to"]
    equal(made["from"], 0)
    for offset, count in counts.items():
        done = w.json("restore", w.path("moments"), f"at-{offset}", "--at", str(offset), "--json")
        equal(done["offset"], offset)
        equal(sums(w, f"at-{offset}"), count, f"offset {offset}")
    for n, (moment, count) in enumerate(times[:-1]):
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1e6):06}Z"
        w.ok("restore", w.path("moments"), f"time-{n}", "--at", text)
        equal(sums(w, f"time-{n}"), count, f"time {text}")
        w.ok("restore", w.path("moments"), f"micros-{n}", "--at", f"@{int(moment * 1e6)}")
        equal(sums(w, f"micros-{n}"), count, f"time {text}")
    # Without --since the file begins with the snapshot, and reaches no further back.
    made = w.json("backup", "ledger", w.path("short"), "--json")
    assert made["from"] > 0, made
    equal(w.json("restore", w.path("short"), "short-ok", "--at", str(made["from"]), "--json")["offset"], made["from"])
    w.fails("restore", w.path("short"), "short", "--at", str(made["from"] - 1), says="before the earliest state")
    w.fails("restore", w.path("short"), "short", "--at", str(made["to"] + 1), says="behind the latest state")
    w.fails("restore", w.path("short"), "short", "--at", "2020-01-01T00:00:00Z", says="before the earliest state")
    w.fails("restore", w.path("short"), "short", "--at", "2099-01-01T00:00:00Z", says="after the backup was taken")
    w.fails("restore", w.path("short"), "short", "--at", "yesterday", code=2, says="neither an offset")
    assert not w.exists("short")


@test
def under_load_it_is_one_moment(w):
    load, out = w.load(4000, 4, 16)
    time.sleep(0.5)
    made = []
    while load.poll() is None and len(made) < 4:
        made.append(w.json("backup", "ledger", w.path(f"load-{len(made)}"), "--json"))
    said, complaint = load.communicate(timeout=60)
    equal(load.returncode, 0, complaint)
    assert len(made) >= 2, "no time for two backups"
    counts = []
    for n, info in enumerate(made):
        equal(info["bytes"], os.path.getsize(w.path(f"load-{n}")))
        assert not os.path.exists(w.path(f"load-{n}.part"))
        done = w.json("restore", w.path(f"load-{n}"), f"load-{n}", "--json")
        equal((done["name"], done["offset"]), (f"load-{n}", info["to"]))
        counts.append(sums(w, f"load-{n}"))
    confirmed = read_confirmed(out)
    assert 0 < counts[0] < counts[1] and counts == sorted(counts), counts
    print(f"  {counts} of {len(confirmed)} transfers in the backups under load", flush=True)

    w.ok("backup", "ledger", w.path("after"))
    w.ok("restore", w.path("after"), "after")
    there = {(c, s) for _, c, s, *_ in w.http.sql("after", "SELECT * FROM ledger")}
    assert not confirmed - there, "confirmed transfers are not in a backup made afterwards"
    identity = {n: w.http.request("GET", f"/v1/database/{n}/identity")[1] for n in ("ledger", "after")}
    assert identity["ledger"] != identity["after"]
    w.call("after", "transfer", 7, 0, 1, 2, 5)  # it lives
    equal(sums(w, "after"), len(there) + 1)


@test
def pipes_and_files(w):
    whole = w.ok("backup", "ledger", "-", "--since", "0")
    done = json.loads(w.ok("restore", "-", "piped", "--json", stdin=whole))
    sums(w, "piped")
    equal(done["offset"], struct.unpack_from("<Q", whole, 24)[0])
    w.fails("restore", w.path("nowhere"), "none", says="nowhere")
    w.fails("backup", "no-such-database", w.path("none"), says="failed to find database")
    w.fails("backup", "ledger", w.path("no/such/folder"), says="no/such/folder")
    w.ok("backup", "ledger", w.path("piped"))
    w.fails("restore", w.path("piped"), "Not A Name", says="invalid characters")
    w.fails("restore", w.path("piped"), "ledger", says="a database named ledger exists already")
    before = sums(w, "ledger")
    equal(sums(w, "ledger"), before)
    done = w.run("restore", "-", "x", "--at")
    equal(done.code, 2)


@test
def what_is_damaged_is_refused_whole(w):
    w.ok("backup", "ledger", w.path("good"), "--since", "0")
    size = os.path.getsize(w.path("good"))
    replicas = w.replicas()
    for at in [0, 9, 17, 50, 60, size // 3, size // 2, size - 60, size - 1]:
        flip(w.path("good"), w.path("bad"), at)
        w.fails("restore", w.path("bad"), "bad", says="backup")
        assert not w.exists("bad"), at
    for cut in [0, 1, 51, 52, 60, size // 2, size - 1]:
        with open(w.path("bad"), "wb") as f:
            f.write(open(w.path("good"), "rb").read()[:cut])
        w.fails("restore", w.path("bad"), "bad", says="torn" if cut else "it is empty")
        w.fails("restore", w.path("bad"), "bad", "--data-dir", w.path("fresh"), says="torn" if cut else "it is empty",
                server=False)
    for foreign in [BINARY, os.path.join(RECORDED, "basics/clog/00000000000000000000.stdb.log"), __file__]:
        w.fails("restore", foreign, "bad", says="this is no backup")
    equal(os.listdir(w.path("fresh/replicas")), [])
    for _ in range(100):  # folders of failed attempts go in the background
        if w.replicas() == replicas:
            break
        time.sleep(0.05)
    equal(w.replicas(), replicas, "folders left behind")
    assert not w.exists("bad")
    w.ok("restore", w.path("good"), "bad")  # the name is still free


@test
def only_the_owner(w):
    other = Http(w.server.url)
    other.sign_in()
    for method, path in [("GET", "backup"), ("POST", "snapshot")]:
        status, body = other.request(method, f"/v1/database/ledger/{path}", b"" if method == "POST" else None)
        equal(status, 403, body)
        assert b"is not authorized" in body, body
        equal(other.request(method, f"/v1/database/nobody/{path}", b"" if method == "POST" else None)[0], 404)
    status, body = other.request("POST", "/v1/database/ledger/restore", b"x" * 100)
    equal(status, 409, body)
    for query in ["at-offset=x", "at-time=soon", "at-offset=1&at-time=2026-01-01T00:00:00Z"]:
        equal(other.request("POST", f"/v1/database/new/restore?{query}", b"")[0], 400, query)
    equal(other.request("GET", "/v1/database/ledger/backup?since=x")[0], 400)
    whole = w.ok("backup", "ledger", "-")
    status, body = other.request("POST", "/v1/database/theirs/restore", whole)
    equal(status, 200, body)
    assert json.loads(body)["database_identity"]
    equal(other.request("GET", "/v1/database/theirs/backup")[0], 200)
    equal(w.http.request("GET", "/v1/database/theirs/backup")[0], 403)
    status, body = w.http.request("HEAD", "/v1/database/ledger/backup")
    equal((status, body), (200, b""))


@test
def a_slow_reader_costs_no_memory(w):
    """The server does not gather what the client does not take, nor what it has not sent in full."""
    load, _ = w.load(2000)
    load.communicate(timeout=60)
    size = len(w.ok("backup", "ledger", "-", "--since", "0"))

    def rss():
        with open(f"/proc/{w.server.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096

    readers = []
    before = rss()
    for _ in range(8):
        s = socket.create_connection(("127.0.0.1", w.server.port))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(f"GET /v1/database/ledger/backup?since=0 HTTP/1.1\r\nHost: a\r\n"
                  f"Authorization: Bearer {w.http.token}\r\n\r\n".encode())
        readers.append(s)
    time.sleep(2)
    grown = rss() - before
    print(f"  8 slow readers of {size >> 20} MiB: {grown >> 20} MiB more", flush=True)
    if size > 16 << 20 and os.environ.get("LIGHTCONE_BUILD_TYPE", "release") == "release":
        assert grown < 8 * 8 << 20, (grown, size)
    for s in readers[:4]:
        s.close()  # some go away, some come to their senses
    for s in readers[4:]:
        got = b""
        while not got.endswith(b"\r\n0\r\n\r\n"):
            part = s.recv(1 << 20)
            assert part, "the answer broke off"
            got = got[-16:] + part
        s.close()
    sums(w, "ledger")


@test
def a_restore_that_breaks_off(w):
    whole = w.ok("backup", "ledger", "-", "--since", "0")
    replicas = w.replicas()
    s = socket.create_connection(("127.0.0.1", w.server.port))
    s.sendall(f"POST /v1/database/half/restore HTTP/1.1\r\nHost: a\r\nContent-Length: {len(whole)}\r\n"
              f"Authorization: Bearer {w.http.token}\r\n\r\n".encode() + whole[:len(whole) // 2])
    time.sleep(0.3)
    equal(len(w.replicas()), len(replicas) + 1)
    s.close()
    for _ in range(200):
        if w.replicas() == replicas:
            break
        time.sleep(0.05)
    equal(w.replicas(), replicas)
    assert not w.exists("half")
    # A server that ends in the middle of one does not wait for it.
    s = socket.create_connection(("127.0.0.1", w.server.port))
    s.sendall(f"POST /v1/database/half/restore HTTP/1.1\r\nHost: a\r\nContent-Length: {len(whole)}\r\n"
              f"Authorization: Bearer {w.http.token}\r\n\r\n".encode() + whole[:len(whole) // 2])
    reader = socket.create_connection(("127.0.0.1", w.server.port))
    reader.sendall(f"GET /v1/database/ledger/backup?since=0 HTTP/1.1\r\nHost: a\r\n"
                   f"Authorization: Bearer {w.http.token}\r\n\r\n".encode())
    time.sleep(0.5)
    started = time.monotonic()
    stopping = threading.Thread(target=w.server.stop)
    stopping.start()
    stopping.join(30)
    equal(stopping.is_alive(), False, "the server does not leave")
    print(f"  left after {time.monotonic() - started:.1f} s", flush=True)
    s.close()
    reader.close()
    w.restart()
    assert not w.exists("half")
    sums(w, "ledger")


@test
def offline(w):
    w.ok("backup", "ledger", w.path("offline"))
    count = sums(w, "ledger")
    data = os.path.join(w.server.data, "node")
    w.fails("restore", w.path("offline"), "cold", "--data-dir", data, says="is running on this data folder", server=False)
    w.fails("restore", w.path("offline"), "cold", "--owner", w.http.identity, code=2, says="--owner needs --data-dir")
    equal(w.server.stop(), 0)
    done = w.json("restore", w.path("offline"), "cold", "--data-dir", data, "--json", server=False)
    w.fails("restore", w.path("offline"), "cold", "--data-dir", data, says="exists already", server=False)
    w.ok("restore", w.folder("ledger"), "cold-folder", "--data-dir", data, server=False)
    nobody = {"XDG_CONFIG_HOME": w.path("nobody")}
    w.fails("restore", w.path("offline"), "cold-2", "--data-dir", data, says="--owner", server=False, env=nobody)
    w.ok("restore", w.path("offline"), "cold-2", "--data-dir", data, "--owner", w.http.identity, server=False, env=nobody)
    w.restart()
    equal(w.http.request("GET", "/v1/database/cold/identity")[1].decode(), done["identity"])
    for name in ("cold", "cold-folder", "cold-2"):
        equal(sums(w, name), count, name)
        w.call(name, "transfer", 7, 0, 1, 2, 5)
    equal(w.server.stop(), 0)
    w.restart()
    equal(sums(w, "cold"), count + 1)


@test
def a_folder_through_the_server(w):
    folder = w.folder("ledger")
    count = sums(w, "ledger")
    w.ok("restore", folder, "from-folder")
    assert sums(w, "from-folder") >= count
    w.fails("restore", w.files, "from-files", says="no such folder of a commit log")
    assert not w.exists("from-files")


# ------------------------------------------------------------ the reference's logs

def recorded_tables(name):
    """{table name: rows as hex}"""
    tables = {}
    for line in open(os.path.join(RECORDED, name, "tables.txt")):
        if line.startswith("table "):
            rows = tables.setdefault(line.split()[2], [])
        else:
            rows.append(line.strip())
    return tables


@test
def logs_of_the_reference_restore(w):
    """Opening runs what is due: left-over connections end and schedules fire, so those tables may differ."""
    for name in ("auto", "basics", "crash", "empty", "events", "migration", "segments", "v9"):
        database = f"recorded-{name}"
        w.ok("restore", os.path.join(RECORDED, name), database)
        views = {row[1] for row in w.http.sql(database, "SELECT * FROM st_view")}
        for table, rows in recorded_tables(name).items():
            if table in ("st_client", "st_connection_credentials") or table in views:
                continue
            status, body = w.http.request("POST", f"/v1/database/{database}/sql", f"SELECT * FROM {table}".encode())
            equal(status, 200, f"{name} {table}: {body}")
            equal(len(json.loads(body)[0]["rows"]), len(rows), f"{name}: rows of {table}")


def normal(value):
    """Floats (texts) by value; how types are written is our affair."""
    if isinstance(value, dict) and set(value) == {"hex", "type"}:
        return value["hex"]
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items()}
    if isinstance(value, list):
        return [normal(v) for v in value]
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", value):
        number = float(value)
        try:  # a 32-bit one may be written with more digits than it needs
            number = struct.unpack("<f", struct.pack("<f", number))[0]
        except OverflowError:
            pass
        return f"float {number!r}"
    return value


@test
def dumps_are_what_is_in_the_log(w):
    for name in sorted(os.listdir(RECORDED)):
        path = os.path.join(RECORDED, name)
        if not os.path.exists(os.path.join(path, "dump.jsonl")):
            continue
        want = [json.loads(line) for line in open(os.path.join(path, "dump.jsonl"))]
        got = [json.loads(line) for line in w.ok("log", "dump", path, server=False).splitlines()]
        equal(len(got), len(want), name)
        for g, c in zip(got, want):
            equal(normal(g), normal(c), f"{name}: commit {c['min_tx_offset']}")
        raw = [json.loads(line) for line in w.ok("log", "dump", path, "--raw", server=False).splitlines()]
        equal([(c["crc"], len(c["records"])) for c in raw], [(c["crc"], 2 * c["length"]) for c in want], name)
        some = [json.loads(line) for line in
                w.ok("log", "dump", path, "--from", "2", "--to", "4", server=False).splitlines()]
        equal(some, got[2:4], f"{name}: a part")
        stat = w.json("log", "stat", path + "/clog", "--format", "json", server=False)
        equal((stat["commits"], stat["first_offset"], stat["last_offset"]), (len(want), 0, want[-1]["min_tx_offset"]))
        files = {}
        for c in want:
            files[c["segment"]] = files.get(c["segment"], 0) + 1
        equal({s["file"]: s["commits"] for s in stat["segments"] if s["commits"]}, files, name)
        equal(w.json("log", "verify", path, "--json", server=False)["ok"], True)


def variants(folder):
    name, opens, changes = None, None, []
    for line in open(os.path.join(RECORDED, folder, "variants.txt")):
        words = line.split()
        if words[0] == "variant":
            if name:
                yield name, opens, changes
            name, opens, changes = words[1], words[2:], []
        else:
            changes.append(words)
    yield name, opens, changes


def apply(change, folder):
    op, file, *rest = change
    path = os.path.join(folder, file)
    data = bytearray(open(path, "rb").read()) if os.path.exists(path) else bytearray()
    if op == "truncate":
        data = data[:int(rest[0])]
    elif op == "flip":
        data[int(rest[0])] ^= int(rest[1], 0)
    elif op == "set":
        data[int(rest[0]):int(rest[0]) + len(rest[1]) // 2] = bytes.fromhex(rest[1])
    elif op == "append":
        data += bytes.fromhex(rest[0])
    elif op == "zeros":
        data += bytes(int(rest[0]))
    elif op == "duplicate":
        data += data[int(rest[0]):int(rest[0]) + int(rest[1])]
    elif op == "create":
        data = bytearray.fromhex(rest[0] if rest else "")
    elif op == "rename":
        os.rename(path, os.path.join(folder, rest[0]))
        return
    elif op == "delete":
        os.unlink(path)
        return
    else:
        raise AssertionError(f"unknown change {change}")
    open(path, "wb").write(data)


def fingerprint(folder):
    return {f: hashlib.sha256(open(os.path.join(folder, f), "rb").read()).hexdigest() for f in os.listdir(folder)}


@test
def damaged_logs_are_told_and_left_alone(w):
    """verify, stat and dump on every damaged variant: an exit code and one clear error, never a crash; what the
    reference refuses is refused, what it opens is readable, and no file changes."""
    told = {}
    for base in ("damaged_single", "damaged_multi"):
        for name, opens, changes in variants(base):
            folder = w.path("damaged/clog")
            shutil.rmtree(w.path("damaged"), ignore_errors=True)
            shutil.copytree(os.path.join(RECORDED, base, "clog"), folder)
            for change in changes:
                apply(change, folder)
            before = fingerprint(folder)
            codes = set()
            for words in (["verify"], ["verify", "--json"], ["stat"], ["stat", "--json"], ["dump"], ["dump", "--raw"]):
                done = w.run("log", words[0], w.path("damaged"), *words[1:], server=False)
                assert done.code in (0, 1), f"{base} {name} {words}: exit {done.code} {done.err}"
                if words != ["verify", "--json"] and done.code:
                    assert re.match(rb"Error: \S", done.err), (base, name, words, done.err)
                codes.add((words[0], done.code))
            equal(fingerprint(folder), before, f"{base} {name}: files")
            assert ("verify", 0) not in codes or ("verify", 1) not in codes, (name, codes)
            is_good = ("verify", 0) in codes
            if opens[0] == "opens" and not is_good:
                told[f"{base} {name}"] = w.run("log", "verify", folder, server=False).err.decode().strip()
            # A log whose beginning is gone is whole: a snapshot may stand in for what is missing.
            if opens[0] == "refused" and name != "missing-first":
                assert not is_good, f"{base} {name}: the reference refuses it, verify does not"
    for name, text in told.items():
        print(f"  stricter than the reference: {name}: {text}", flush=True)


# ------------------------------------------------------------------ a live database

@test
def tools_beside_a_running_server(w):
    folder = w.folder("ledger")
    load, _ = w.load(3000, 4, 4)
    time.sleep(0.3)
    for _ in range(3):
        equal(w.json("log", "verify", folder, "--json", server=False)["ok"], True)
        w.json("log", "stat", folder, "--json", server=False)
        w.ok("snapshot", "take", "ledger")
    load.communicate(timeout=60)
    transfers = sums(w, "ledger")
    stat = w.json("log", "stat", folder, "--format=json", server=False)
    seen, last = 0, stat["first_offset"] - 1
    dump = subprocess.Popen([BINARY, "log", "dump", folder], stdout=subprocess.PIPE, env=w.env)
    for line in dump.stdout:
        commit = json.loads(line)
        equal(commit["min_tx_offset"], last + 1, "offsets without a gap")
        last += commit["n"]
        for tx in commit["txs"]:
            for table, rows in tx.get("inserts", {}).items():
                seen += len(rows) if table.endswith(" ledger") else 0
    equal(dump.wait(), 0)
    equal(last, w.json("log", "stat", folder, "--json", server=False)["last_offset"])
    equal(seen, transfers, "transfers in the dump")

    listed = w.json("snapshot", "list", folder, "--json", server=False)
    assert len(listed) >= 2 and all(s["readable"] for s in listed), listed
    equal([s["offset"] for s in listed], sorted((s["offset"] for s in listed), reverse=True))
    verified = w.json("snapshot", "verify", folder + "/snapshots", "--json", server=False)
    assert all(s["valid"] and s["rows"] > ACCOUNTS for s in verified), verified
    assert b"good: " in w.ok("snapshot", "verify", folder, server=False)
    copy = w.path("snapshots")
    shutil.copytree(folder + "/snapshots", copy)
    victim = os.path.join(copy, verified[0]["file"])
    flip(victim, victim, os.path.getsize(victim) // 2)
    w.fails("snapshot", "verify", copy, says="1 of ", server=False)
    answer = json.loads(w.run("snapshot", "verify", copy, "--json", server=False).out)
    equal([s["valid"] for s in answer], [False] + [True] * (len(answer) - 1))
    assert "checksum" in answer[0]["problem"], answer[0]
    w.fails("snapshot", "verify", w.path("nowhere"), says="nowhere", server=False)
    os.makedirs(w.path("empty"), exist_ok=True)
    equal(w.ok("snapshot", "list", w.path("empty"), server=False), b"There are no snapshots.\n")
    w.fails("snapshot", "take", "no-such-database", says="failed to find database")


@test
def usage(w):
    for words in (["backup"], ["backup", "a"], ["backup", "a", "b", "c"], ["restore", "a"], ["log"], ["log", "look", "."],
                  ["log", "verify"], ["log", "verify", ".", "."], ["log", "stat", ".", "--format", "csv"], ["snapshot"],
                  ["snapshot", "list"], ["snapshot", "give", "x"], ["backup", "a", "b", "--since", "x"]):
        w.fails(*words, code=2, server=False)
    w.fails("log", "verify", "/nonexistent", says="/nonexistent", server=False)
    w.fails("log", "verify", w.files, says="neither the folder of a commit log", server=False)


def main():
    words = sys.argv[1:]
    passed = failed = 0
    with tempfile.TemporaryDirectory() as tools:
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-o", os.path.join(tools, "ledger_client"),
                        os.path.join(ROOT, "tests/integration/lib/ledger_client.c")], check=True)
        world = World(tools)
        try:
            for function in TESTS:
                if words and not any(word in function.__name__ for word in words):
                    continue
                started = time.monotonic()
                try:
                    function(world)
                    assert world.server.is_alive(), "the server is gone"
                    passed += 1
                    print(f"ok {function.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
                except Exception as e:
                    failed += 1
                    print(f"FAILED {function.__name__}: {type(e).__name__}: {e}", flush=True)
                    if not world.server.is_alive():
                        print(world.server.log_text()[-3000:])
                        break
        finally:
            world.server.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
