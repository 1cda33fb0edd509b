"""A database whose reducers run any operation of the module ABI, seen from outside: HTTP, SQL, both WebSocket
generations, its log on disk.

The module is the interpreter of tests/recorded/store (opvm): a description in JSON becomes a module, and the
operations of one call are its argument. tests/recorded/store/README.md lists descriptions and operations.
"""
import contextlib
import glob
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import uuid

from server import ROOT, Server
from wire import Http, WebSocket, call_v2, subscribe_v2

sys.path.insert(0, os.path.join(ROOT, "tests/recorded/store"))
import opvm  # noqa: E402

with open(os.path.join(ROOT, "tests/recorded/store/opvm.wasm"), "rb") as f:
    INTERPRETER = f.read()

OK = 0
NO_INDEX, WRONG_INDEX_ALGO, UNIQUE, TOO_LONG, NOT_UNIQUE, NO_ROW = 5, 10, 12, 13, 14, 15

COLUMNS, OPTION_COLUMNS = {"array": "u16"}, {"option": {"array": "u16"}}
INDEX_ALGORITHM = {"sum": [["Unused", "u128"], ["BTree", COLUMNS], ["Direct", "u16"], ["Hash", COLUMNS]]}
CONSTRAINT = {"sum": [["Unused", "u128"], ["Unique", COLUMNS]]}
VARIABLE = {"sum": [["Bool", "bool"], ["I8", "i8"], ["U8", "u8"], ["I16", "i16"], ["U16", "u16"], ["I32", "i32"],
                    ["U32", "u32"], ["I64", "i64"], ["U64", "u64"], ["I128", "i128"], ["U128", "u128"],
                    ["F32", "f32"], ["F64", "f64"], ["String", "string"]]}
# The system tables in the order of their ids: columns, primary key.
SYSTEM = {
    "st_table": ([["table_id", "u32"], ["table_name", "string"], ["table_type", "string"],
                  ["table_access", "string"], ["table_primary_key", OPTION_COLUMNS]], 0),
    "st_column": ([["table_id", "u32"], ["col_pos", "u16"], ["col_name", "string"], ["col_type", "bytes"]], None),
    "st_sequence": ([["sequence_id", "u32"], ["sequence_name", "string"], ["table_id", "u32"], ["col_pos", "u16"],
                     ["increment", "i128"], ["start", "i128"], ["min_value", "i128"], ["max_value", "i128"],
                     ["allocated", "i128"]], 0),
    "st_index": ([["index_id", "u32"], ["table_id", "u32"], ["index_name", "string"],
                  ["index_algorithm", INDEX_ALGORITHM]], 0),
    "st_constraint": ([["constraint_id", "u32"], ["constraint_name", "string"], ["table_id", "u32"],
                       ["constraint_data", CONSTRAINT]], 0),
    "st_module": ([["database_identity", "u256"], ["owner_identity", "u256"], ["program_kind", "u8"],
                   ["program_hash", "u256"], ["program_bytes", "bytes"], ["module_version", "string"]], None),
    "st_client": ([["identity", "u256"], ["connection_id", "u128"]], None),
    "st_var": ([["name", "string"], ["value", VARIABLE]], 0),
    "st_scheduled": ([["schedule_id", "u32"], ["table_id", "u32"], ["reducer_name", "string"],
                      ["schedule_name", "string"], ["at_column", "u16"]], 0),
    "st_row_level_security": ([["table_id", "u32"], ["sql", "string"]], 1),
    "st_connection_credentials": ([["connection_id", "u128"], ["jwt_payload", "string"]], 0),
    "st_view": ([["view_id", "u32"], ["view_name", "string"], ["table_id", {"option": "u32"}],
                 ["is_public", "bool"], ["is_anonymous", "bool"]], 0),
    "st_view_param": ([["view_id", "u32"], ["param_pos", "u16"], ["param_name", "string"],
                       ["param_type", "bytes"]], None),
    "st_view_column": ([["view_id", "u32"], ["col_pos", "u16"], ["col_name", "string"], ["col_type", "bytes"]], None),
    "st_view_sub": ([["view_id", "u32"], ["arg_id", "u64"], ["identity", "u256"], ["num_subscribers", "u64"],
                     ["has_subscribers", "bool"], ["last_called", "i64"]], None),
    "st_view_arg": ([["id", "u64"], ["bytes", "bytes"]], 0),
    "st_event_table": ([["table_id", "u32"]], 0),
    "st_table_accessor": ([["table_name", "string"], ["accessor_name", "string"]], None),
    "st_index_accessor": ([["index_name", "string"], ["accessor_name", "string"]], None),
    "st_column_accessor": ([["table_name", "string"], ["col_name", "string"], ["accessor_name", "string"]], None),
}


def equal(got, want, about=""):
    if got != want:
        raise AssertionError(f"{about}\n  got  {short(got)}\n  want {short(want)}")


def short(value):
    text = repr(value)
    return text if len(text) < 1500 else text[:1500] + "..."


def until(condition, what, seconds=60):
    """Waits for something that must come to pass; its (true) value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.01)
    return value


def table(name, columns, *, key=None, unique=(), indexes=(), auto=(), **more):
    """A table description; columns as "id u32, name string" or a list, an index as "a b" or "a b hash"."""
    if isinstance(columns, str):
        columns = [c.split() for c in columns.split(", ")]
    listed = []
    for index in ([key] if key else []) + list(indexes):
        *names, last = index.split()
        listed.append({"columns": names, "kind": last} if last in ("hash", "direct", "btree") and names
                      else {"columns": names + [last]})
    out = {"name": name, "columns": columns, "indexes": listed, "auto_inc": list(auto),
           "unique": ([key] if key else []) + list(unique), **more}
    if key:
        out["primary_key"] = key
    return out


def schedule_table(name, function):
    return table(name, "id u64, at schedule_at, tag u32", key="id", auto=["id"],
                 schedule={"at": "at", "function": function})


# ------------------------------------------------------------------------- database

class Outcome:
    """What a call came to: HTTP status and body, and [op, errno, result] of each operation."""

    def __init__(self, status, body, trace):
        self.status, self.body, self.trace = status, body, trace

    @property
    def errnos(self):
        return [t[1] for t in self.trace]

    @property
    def results(self):
        return [t[2] if len(t) > 2 else None for t in self.trace]


class Database:
    """One module description, published under a name of its own, with its owner and a stranger."""

    def __init__(self, server, module):
        self.server = server
        self.name = "g" + uuid.uuid4().hex[:12]
        self.owner, self.other = Http(server.url), Http(server.url)
        self.owner.sign_in()
        self.other.sign_in()
        self.seen = 0  # lines of the module's log
        self.marks = 0
        self.pending = []  # (function, trace) not yet looked at
        before = set(self.folders())
        status, body = self.publish(module)
        assert status == 200, (status, body)
        self.identity = json.loads(body)["Success"]["database_identity"]
        self.folder = next(iter(set(self.folders()) - before))

    def folders(self):
        return glob.glob(self.server.data + "/node/replicas/*")

    def publish(self, module, query=""):
        module = opvm.expand({**module, "tables": module.get("tables", []) + [table("mark", "n u32")]})
        wasm = opvm.build(INTERPRETER, module)
        status, body = self.owner.publish(self.name, wasm, query)
        if status == 200:
            self.module = module
            self.assembler = opvm.Assembler(module)
            self.types = self.assembler.types
        return status, body

    def republish(self, query=""):
        return self.publish({**self.module, "tables": self.module["tables"][:-1]}, query)

    def publish_breaking(self, module):
        """With the policy that lets clients break."""
        listed = {**module, "tables": module.get("tables", []) + [table("mark", "n u32")]}
        status, body = self.owner.request("POST", f"/v1/database/{self.name}/pre_publish?host_type=Wasm",
                                          opvm.build(INTERPRETER, opvm.expand(listed)))
        assert status == 200, (status, body)
        plan = json.loads(body)
        token = plan.get("token") or next(v["token"] for v in plan.values() if isinstance(v, dict) and "token" in v)
        return self.publish(module, f"?policy=BreakClients&token={token}")

    def columns(self, name):
        if name in SYSTEM:
            return SYSTEM[name][0]
        views = {v["name"]: v for v in self.module.get("views", [])}
        if name in views:
            return views[name].get("columns") or self.columns(views[name]["rows_of"])
        return [c[:2] for c in self.assembler.columns[name]]

    def rows(self, name, data):
        """Rows as tuples of values."""
        return [tuple(map(frozen, row)) for row in self.types.rows({"product": self.columns(name)}, data)]

    # ---- calls

    def run(self, *ops, as_=None, function="run"):
        status, body = (as_ or self.owner).call(self.name, function, self.assembler.ops(ops).hex())
        # A call that the host ended has no trace.
        trace = self.take_trace(function, is_sure=status == 200)
        return Outcome(status, body.decode(), self.assembler.readable(ops, trace) if trace else [])

    def ok(self, *ops, as_=None):
        """The results of the operations, all of which must succeed."""
        done = self.run(*ops, as_=as_)
        if done.status != 200 or any(done.errnos):
            raise AssertionError(f"{ops}: {done.status} {done.body} {short(done.trace)}")
        return done.results

    def errnos(self, *ops):
        done = self.run(*ops)
        equal(done.status, 200, done.body)
        return done.errnos

    def scan(self, name):
        return [tuple(map(frozen, row)) for row in self.ok(["scan", name])[0]]

    def pull(self):
        status, body = self.owner.request("GET", f"/v1/database/{self.name}/logs?num_lines=100000")
        assert status == 200, (status, body)
        lines = [json.loads(line) for line in body.decode().splitlines()]
        lines = [x for x in lines if x["level"] == "Info" and re.match(r"[a-zA-Z_]+[=|]", x.get("message", ""))]
        self.pending += [(x.get("function"), x["message"]) for x in lines[self.seen:]]
        self.seen = len(lines)

    def take_trace(self, function, is_sure):
        """The last trace of that function; waits for it if there must be one."""
        def look():
            self.pull()
            return [text for name, text in self.pending if name == function]
        found = until(look, f"a trace of {function}") if is_sure else look()
        self.pending = [p for p in self.pending if p[0] != function]
        return found[-1] if found else None

    def traces(self):
        """(function, trace) of everything that ran since the last look."""
        self.pull()
        out, self.pending = self.pending, []
        return [(name, self.assembler.trace(text)) for name, text in out]

    def view_runs(self):
        """How many view programs ran since the last look."""
        return sum(trace[0][0] == "VIEW" for _, trace in self.traces())

    def functions(self):
        return [name for name, _ in self.traces()]

    def sql(self, query, as_=None):
        """Rows as tuples; an error's text."""
        status, body = (as_ or self.owner).request("POST", f"/v1/database/{self.name}/sql", query.encode())
        if status != 200:
            return f"{status} {body.decode()}"
        return [tuple(map(frozen, row)) for row in json.loads(body)[0]["rows"]]

    def count(self, name):
        return self.sql(f"SELECT COUNT(*) AS n FROM {name}")[0][0]

    # ---- the server

    def restart(self, kill=True):
        if kill:
            self.server.kill()
        else:
            equal(self.server.stop(), 0, "exit code")
        self.server.start()

    def log(self):
        return Log(self.folder + "/clog", self.types)

    def mark(self):
        """A row that subscribers of `mark` see after all before."""
        self.marks += 1
        self.ok(["insert", "mark", [self.marks]])
        return self.marks


def frozen(value):
    if isinstance(value, list):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return tuple((k, frozen(v)) for k, v in value.items())
    return value


# ------------------------------------------------------------------------- v2 client

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0]

    def bytes(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def counted(self):
        return self.bytes(self.take("I"))

    def text(self):
        return self.counted().decode()

    def row_list(self):
        if self.take("B") == 0:
            self.take("H")
        else:
            self.bytes(8 * self.take("I"))
        return self.counted()


class Client:
    """A connection of protocol v2."""

    def __init__(self, db, as_=None, confirmed=None):
        self.db = db
        query = "compression=None" + (f"&confirmed={confirmed}" if confirmed else "")
        self.ws = WebSocket(db.server.port, db.name, query=query, token=(as_ or db.owner).token, timeout=60)
        self.requests = 0
        kind, self.identity, self.connection = self.next()
        equal(kind, "connected")

    def close(self):
        self.ws.close()

    def next(self):
        """The next message: (kind, ...)."""
        message = self.ws.next_message()
        if message is None or isinstance(message, tuple):
            return "closed", message
        r = Reader(message)
        kind = r.take("B")
        if kind == 0:
            return "connected", r.bytes(32), r.bytes(16)
        if kind == 1:
            r.take("I"), r.take("I")
            return "applied", dict(self.tables(r))
        if kind == 3:
            if r.take("B") == 0:
                r.take("I")
            r.take("I")
            return "refused", r.text()
        if kind == 4:
            return "update", self.changes(r)
        if kind == 5:
            r.take("I")
            return ("answer", dict(self.tables(r))) if r.take("B") == 0 else ("error", r.text())
        if kind == 6:
            r.take("I")
            timestamp, outcome = r.take("q"), r.take("B")
            if outcome == 0:
                r.counted()
                return "result", timestamp, self.changes(r)
            return ("result", timestamp, None) if outcome == 1 else ("failed", timestamp, r.text())
        raise AssertionError(f"message {message[:50]!r}")

    def tables(self, r):
        for _ in range(r.take("I")):
            name, data = r.text(), r.row_list()
            yield name, self.db.rows(name, data)

    def changes(self, r):
        """{table: (deletes, inserts)}"""
        out = {}
        for _ in range(r.take("I")):
            r.take("I")
            for _ in range(r.take("I")):
                name = r.text()
                deletes, inserts = out.setdefault(name, ([], []))
                for _ in range(r.take("I")):
                    is_event = r.take("B")
                    inserts += self.db.rows(name, r.row_list())
                    if not is_event:
                        deletes += self.db.rows(name, r.row_list())
        return out

    def subscribe(self, *tables):
        """Whole tables, or queries; the rows that are there."""
        queries = [t if " " in t else f"SELECT * FROM {t}" for t in tables]
        self.requests += 1
        self.ws.send_message(subscribe_v2(self.requests, self.requests, *queries))
        message = self.next()
        if message[0] != "applied":
            raise AssertionError(message)
        return message[1]

    def watch(self, *tables):
        """Subscribes to tables and to the marks."""
        return self.subscribe(*tables, "mark")

    def call(self, *ops, reducer="run"):
        """What comes back of a call: a "result" or "failed" message."""
        self.requests += 1
        args = self.db.assembler.ops(ops)
        self.ws.send_message(call_v2(self.requests, reducer, struct.pack("<I", len(args)) + args))
        return self.next()

    def deltas(self):
        """The updates of everything that happened before now, in order."""
        mark = self.db.mark()
        out = []
        while True:
            message = self.next()
            if message[0] != "update":
                raise AssertionError(message)
            if message[1].get("mark") == ([], [(mark,)]):
                return out
            out.append(message[1])

    def is_silent(self, seconds):
        """Nothing comes for so long. Of use only while something keeps it from coming for ever."""
        self.ws.socket.settimeout(seconds)
        try:
            return not self.ws.buffer and not self.ws.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.ws.socket.settimeout(60)


class TextClient:
    """A connection of protocol v1 in JSON."""

    def __init__(self, db, as_=None, query=""):
        self.ws = WebSocket(db.server.port, db.name, protocol="v1.json.spacetimedb",
                            query="compression=None" + query, token=(as_ or db.owner).token, timeout=60)
        equal(self.next()[0], "IdentityToken")

    def next(self):
        message = self.ws.next_message()
        if message is None or isinstance(message, tuple):
            return "closed", message
        (kind, content), = json.loads(message).items()
        return kind, content

    def ask(self, kind, **content):
        self.ws.send_message(json.dumps({kind: content}).encode(), op=1)
        return self.next()

    is_silent = Client.is_silent

    def close(self):
        self.ws.close()


# ------------------------------------------------------------------------------- log

HEADER = b"(ds)^2\x01\x00\x00\x00"
FRAME_HEADER = 22


def crc32c_table():
    out = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        out.append(n)
    return out


CRC_TABLE = crc32c_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xffffffff


def frame_of(offset, record, epoch=0):
    """One commit as the format says it is written."""
    body = struct.pack("<QQHI", offset, epoch, 1, len(record)) + record
    return body + struct.pack("<I", crc32c(body))


def record_of(mutations, name=None, identity=b"", connection=b"", timestamp=0, args=b""):
    if name is None:
        return b"\x20" + mutations
    inputs = bytes([len(name)]) + name.encode() + identity + connection + struct.pack("<q", timestamp) + args
    return b"\xa0" + struct.pack("<I", len(inputs)) + inputs + mutations


def mutations_of(inserts=(), deletes=(), truncates=()):
    """inserts, deletes: (table id, rows as bytes)."""
    out = bytearray()
    for groups in (inserts, deletes):
        out += opvm.uleb(len(groups))
        for table_id, rows in groups:
            out += struct.pack("<I", table_id) + opvm.uleb(len(rows)) + b"".join(rows)
    return bytes(out + opvm.uleb(len(truncates)) + b"".join(struct.pack("<I", t) for t in truncates))


class Commit:
    def __init__(self, path, at, data):
        self.path, self.at = path, at
        self.offset, self.epoch, self.count, length = struct.unpack_from("<QQHI", data, at)
        self.end = at + FRAME_HEADER + length + 4
        self.frame = data[at:self.end]
        self.record = self.frame[FRAME_HEADER:-4]

    @property
    def has_inputs(self):
        return self.record[0] == 0xa0

    @property
    def reducer(self):
        return self.record[6:6 + self.record[5]].decode() if self.has_inputs else None

    @property
    def mutations(self):
        return self.record[5 + struct.unpack_from("<I", self.record, 1)[0]:] if self.has_inputs else self.record[1:]


class Log:
    """The segments of a database as they lie on disk now."""

    def __init__(self, folder, types):
        self.folder, self.types = folder, types

    def segments(self):
        return sorted(glob.glob(self.folder + "/*.stdb.log"))

    def commits(self):
        out = []
        for path in self.segments():
            with open(path, "rb") as f:
                data = f.read()
            equal(data[:10], HEADER, path)
            at = len(HEADER)
            while at + FRAME_HEADER <= len(data):
                commit = Commit(path, at, data)
                if len(commit.frame) != commit.end - at or \
                        struct.unpack("<I", commit.frame[-4:])[0] != crc32c(commit.frame[:-4]):
                    break
                out.append(commit)
                at = commit.end
        return out


# ------------------------------------------------------------- a machine with moods

def machine(folder):
    """Builds lib/machine.c; the environment for a server under it: syncs wait while FOLDER/hold is there,
    the wall clock is off by the seconds in FOLDER/clock."""
    library = os.path.join(folder, "machine.so")
    subprocess.run(["gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library,
                    os.path.join(ROOT, "tests/integration/lib/machine.c")], check=True)
    return {"LD_PRELOAD": library, "MACHINE_FOLDER": folder,
            "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}


@contextlib.contextmanager
def moody_server():
    """(server under machine.c, function that sets or takes away a mood: set("hold", "") ... set("hold", None))"""
    folder = tempfile.mkdtemp(prefix="lightcone-test-")

    def set_mood(name, text):
        path = os.path.join(folder, name)
        if text is not None:
            with open(path + ".new", "w") as f:
                f.write(text)
            os.rename(path + ".new", path)
        elif os.path.exists(path):
            os.unlink(path)

    server = Server(data=folder, environment=machine(folder))
    try:
        yield server, set_mood
    finally:
        set_mood("hold", None)
        server.close()
