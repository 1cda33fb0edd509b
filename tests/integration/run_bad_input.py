#!/usr/bin/python3
"""Everything a server must not be moved by: broken frames, garbage, half-open connections, storms of them,
modules that are none, wrong arguments, absurd SQL and paths, endless loops. After each the server must be
the same process, answer at once, do what it did before, and hold no more open files than before.
"""
import json
import os
import random
import re
import socket
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from server import ROOT, Server
from wire import (BINARY, CLOSE, FIN, PING, PONG, TEXT, Http, WebSocket, call_v2, compile_module, frame, query_v2,
                  result_v2, results_v3, subscribe_v2, text)

PROTOCOLS = ["v1.json.spacetimedb", "v1.bsatn.spacetimedb", "v2.bsatn.spacetimedb", "v3.bsatn.spacetimedb"]
LIMIT_SECONDS = 0.7  # of a reducer, see config()
IDLE_SECONDS = 3  # of a WebSocket
IS_SLOW = os.environ.get("LIGHTCONE_BUILD_TYPE", "") in ("asan", "tsan", "debug")

passed = failed = 0


def check(what, is_good, detail=""):
    global passed, failed
    if is_good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {str(detail)[:1500]}", flush=True)
    return is_good


def config(folder):
    os.makedirs(folder + "/node", exist_ok=True)
    with open(folder + "/node/config.toml", "w") as f:
        f.write(f'[websocket]\nidle-timeout = "{IDLE_SECONDS}s"\nping-interval = "1s"\n'
                f'[wasm]\nreducer-time-limit = "{int(LIMIT_SECONDS * 1000)}ms"\n')


class Suite:
    def __init__(self):
        folder = tempfile.mkdtemp(prefix="lightcone-test-")
        config(folder)
        self.server = Server(data=folder)
        self.http = Http(self.server.url)
        self.http.sign_in()
        self.bank = compile_module("examples/bank")
        self.trouble = compile_module("tests/modules/trouble")
        with open(os.path.join(ROOT, "tests/recorded/abi/probe.wasm"), "rb") as f:
            self.probe = f.read()
        for name, wasm in ("bank", self.bank), ("trouble", self.trouble), ("probe", self.probe):
            status, body = self.http.publish(name, wasm)
            assert status == 200, (name, status, body)
        assert self.http.call("bank", "seed", 10, 1000)[0] == 200
        self.pid = self.server.pid
        self.transfers = 0
        self.files = None
        self.is_well("at the beginning")
        self.files = self.open_files()

    # ------------------------------------------------------------------ is it well?

    def open_files(self):
        """Sockets and anonymous files; databases may open and close their logs as they like."""
        n = 0
        folder = f"/proc/{self.pid}/fd"
        for name in os.listdir(folder):
            try:
                n += os.readlink(f"{folder}/{name}").startswith("socket:")
            except OSError:
                pass
        return n

    def is_well(self, after):
        """Alive, quick, right, and nothing leaked."""
        if not check(f"{after}: alive", self.server.is_alive(), self.server.log_text()[-3000:]):
            raise SystemExit(finish(self.server))
        try:
            started = time.monotonic()
            status, _ = self.http.request("GET", "/v1/ping", timeout=20)
            took = time.monotonic() - started
            good = status == 200 and took < (10 if IS_SLOW else 3)
            detail = f"ping {status} in {took:.2f} s"
            ws = WebSocket(self.server.port, "bank", token=self.http.token)
            ws.send(frame(FIN | PING, b"are you there"))
            ws.send_message(call_v2(1, "transfer", struct.pack("<IIq", self.transfers % 10,
                                                               (self.transfers + 1) % 10, 1)))
            pongs = results = 0
            while not (pongs and results):
                got = ws.receive()
                if got is None:
                    good, detail = False, "the WebSocket ended"
                    break
                if got[0] & 15 == PONG:
                    pongs += got[1] == b"are you there"
                elif got[0] & 15 == BINARY and got[1][1] == 6:
                    results += 1
                    good = good and result_v2(got[1][1:]) == (1, 0)
                    self.transfers += 1
            ws.close()
            total = sum(row[1] for row in self.http.sql("bank", "SELECT * FROM accounts"))
            if total != 10000:
                good, detail = False, f"sum {total}"
        except (OSError, AssertionError) as e:
            good, detail = False, repr(e)
        check(f"{after}: well", good, detail)
        if self.files is None:
            return
        end = time.monotonic() + 15
        while (now := self.open_files()) > self.files and time.monotonic() < end:
            time.sleep(0.05)
        check(f"{after}: no sockets left", now <= self.files, f"{self.files} before, {now} now")

    def raw(self, data, half_close=False, timeout=20):
        """Sends bytes to the port; everything that comes back until the end, or what came by then."""
        got = b""
        with socket.socket() as s:
            s.settimeout(timeout)
            s.connect(("127.0.0.1", self.server.port))
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
                while part := s.recv(65536):
                    got += part
            except OSError:
                pass
        return got

    # ------------------------------------------------------------------------ HTTP

    def http_garbage(self):
        cases = {
            "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
            "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "words": b"hello there\r\n\r\n",
            "zeros": bytes(10000),
            "ones": b"\xff" * 10000,
            "lower case": b"get / http/1.1\r\n\r\n",
            "no version": b"GET /\r\n\r\n\r\n",
            "no colon": b"GET / HTTP/1.1\r\nhost\r\n\r\n",
            "negative length": b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
            "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "smuggling": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "bad chunk": b"POST /v1/identity HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "huge chunk": b"POST /v1/identity HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
            "NUL in header": b"GET /v1/ping HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        }
        for name, data in cases.items():
            got = self.raw(data, half_close=True)
            check(f"garbage {name}: refused", got[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 431"), got[:100])
        self.is_well("garbage")
        rng = random.Random(1)
        for _ in range(300):
            self.raw(rng.randbytes(rng.randrange(1, 400)), half_close=True)
        good = b"POST /v1/database/bank/call/seed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" \
               b"Content-Length: 9\r\nConnection: close\r\n\r\n[10,1000]"
        for _ in range(300):
            bad = bytearray(good)
            for _ in range(rng.randrange(1, 4)):
                bad[rng.randrange(len(bad) - 9)] = rng.randrange(256)
            self.raw(bytes(bad), half_close=True)
        self.http.call("bank", "seed", 10, 1000)
        self.is_well("random requests")

    def http_large(self):
        def head(extra):
            return b"GET /v1/ping HTTP/1.1\r\nHost: a\r\n" + extra + b"\r\n"
        check("header of 50 KB is taken", self.raw(head(b"x: " + b"y" * 50000 + b"\r\nConnection: close\r\n"))[:12]
              == b"HTTP/1.1 200")
        for name, data in {
            "header of 1 MB": head(b"x: " + b"y" * 1000000 + b"\r\n"),
            "10000 headers": head(b"".join(b"h%d: x\r\n" % i for i in range(10000))),
            "header name of 1 MB": head(b"z" * 1000000 + b": y\r\n"),
            "target of 1 MB": b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\n\r\n",
            "method of 1 MB": b"G" * 1000000 + b" / HTTP/1.1\r\n\r\n",
        }.items():
            got = self.raw(data)
            check(f"{name}: refused", got[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400"), got[:100])
        self.is_well("huge headers")
        for path in "/v1/database/bank/sql", "/v1/database/bank/call/seed":
            status, body = self.http.request("POST", path, b"x" * (2 * 1024 * 1024 + 1),
                                             {"Content-Type": "application/json"})
            check(f"body of 2 MiB + 1 to {path}", status == 413, (status, body[:100]))
        got = self.raw(b"POST /v1/database/bank/sql HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                       b"Content-Length: 999999999999\r\n\r\n")
        check("a length of 1 TB is refused before it comes", got[:12] == b"HTTP/1.1 413", got[:100])
        self.is_well("huge bodies")

    def http_paths(self):
        paths = ["/", "//", "/v1", "/v1/", "/v1//", "/v1/database", "/v1/database/", "/v1/database//", "/../../etc/passwd",
                 "/v1/../v1/ping", "/%2e%2e/%2e%2e/etc/passwd", "/v1/database/%00", "/v1/database/%ff/sql",
                 "/v1/database/bank/call/", "/v1/database/bank/call/%00", "/v1/database/bank/call/%ff",
                 "/v1/database/" + "a" * 60000, "/v1/database/" + "0" * 64, "/v1/database/" + "f" * 64 + "/sql",
                 "/v1/database/bank/" + "x/" * 5000, "/v1/identity/zz/verify", "/v1/identity/" + "0" * 63 + "/databases",
                 "/v1/database/bank/schema", "/v1/database/bank/schema?version=", "/v1/database/bank/schema?version=99999999999999999999",
                 "/v1/database/bank/logs?num_lines=-1", "/v1/database/bank/logs?num_lines=18446744073709551616",
                 "/v1/database/bank/logs?follow=maybe", "/v1/database/bank/subscribe", "/v1/database/bank/subscribe?compression=x",
                 "/v1/database/bank/schema?" + "a=b&" * 10000, "/v1/database/bank/schema?" + "&" * 50000,
                 "/v1/database/bank/schema?version=9&version=10", "/%", "/v1/ping?%", "*", "/chat/..%2f..%2fsecret",
                 "/v1/database/bank/call/transfer?%ff=%fe", "/v1/energy/xyz", "/internal/heap", "/v1/prometheus/sd_config"]
        for method in "GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "CONNECT", "PROPFIND":
            for path in paths:
                if method == "CONNECT":
                    path = "host:80"
                got = self.raw(f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
                # An answer, and no fault of ours. (An empty body is no module: 500, as by the reference.)
                publishes = method in ("POST", "PUT") and b"failed to parse WebAssembly module" in got
                if not re.match(rb"HTTP/1.1 [2345]\d\d ", got) or (got[9:12] in (b"500", b"503") and not publishes):
                    check(f"{method} {path[:60]}", False, got[:400])
        check("absurd paths are answered", True)
        self.is_well("absurd paths")

    def half_open(self):
        starts = [b"", b"G", b"GET /v1/ping HTTP/1.1\r\n", b"POST /v1/database/bank/sql HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf",
                  b"GET /v1/database/bank/subscribe HTTP/1.1\r\nUpgrade: websocket\r\n"]
        sockets = []
        for i in range(500):
            s = socket.create_connection(("127.0.0.1", self.server.port))
            s.sendall(starts[i % len(starts)])
            sockets.append(s)
        files, self.files = self.files, None
        self.is_well("with 500 half-open connections")
        self.files = files
        for i, s in enumerate(sockets):
            if i % 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self.is_well("after them")
        # A client that never reads a long answer, and one that reads it slowly.
        self.http.call("trouble", "note", "x" * 100000)
        greedy = socket.socket()
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.connect(("127.0.0.1", self.server.port))
        greedy.settimeout(1)
        request = b"POST /v1/database/trouble/sql HTTP/1.1\r\nContent-Length: 19\r\n\r\nSELECT * FROM notes"
        try:
            for _ in range(20000):
                greedy.sendall(request)
        except OSError:
            pass
        memory = self.memory()
        check("unread answers are not hoarded", memory < 1500, f"{memory} MB")
        greedy.close()
        self.http.request("POST", "/v1/database/trouble/sql", b"DELETE FROM notes")
        self.is_well("greedy pipelining")

    def memory(self):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) // 1024

    def storms(self):
        def connect_only(n):
            for i in range(n):
                s = socket.create_connection(("127.0.0.1", self.server.port))
                if i % 3 == 0:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()

        def upgrade_and_go(n):
            for i in range(n):
                ws = WebSocket(self.server.port, "bank", PROTOCOLS[i % 4])
                if i % 4 == 2:
                    ws.send_message(call_v2(i, "transfer", struct.pack("<IIq", 1, 2, 1)))
                if i % 5 == 0:
                    ws.send(frame(FIN | CLOSE, b"\x03\xe8"))
                ws.close()

        for what, fn, n in ("connects", connect_only, 1000), ("sockets", upgrade_and_go, 150 if IS_SLOW else 400):
            errors = []

            def guarded():
                try:
                    fn(n)
                except OSError as e:
                    errors.append(e)
            threads = [threading.Thread(target=guarded) for _ in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            check(f"a storm of {4 * n} {what}", not errors, errors[:3])
            self.is_well(f"a storm of {what}")
        clients = self.http.sql("bank", "SELECT * FROM st_client")
        check("no rows of clients are left", len(clients) <= 1, clients[:3])

    # ------------------------------------------------------------------- WebSocket

    def expect_drop(self, what, raw, protocol="v2.bsatn.spacetimedb"):
        ws = WebSocket(self.server.port, "bank", protocol)
        try:
            ws.send(raw)
        except OSError:
            pass
        closes = []
        while (got := ws.receive()) is not None:
            if got[0] & 15 == CLOSE:
                closes.append(got[1])
        ws.close()
        check(f"{what} ({protocol[:7]}): dropped without a Close", not closes, closes)

    def frames(self):
        cases = {
            "unmasked": b"\x82\x01a",
            "unmasked Close": b"\x88\x02\x03\xe8",
            "reserved bit": frame(FIN | 0x40 | BINARY, b"a"),
            "reserved opcode 3": frame(FIN | 3, b"a"),
            "reserved opcode 11": frame(FIN | 11, b"a"),
            "continuation of nothing": frame(FIN, b"a"),
            "start in the middle": frame(BINARY, b"a") + frame(FIN | BINARY, b"b"),
            "long Ping": frame(FIN | PING, bytes(126)),
            "fragmented Ping": frame(PING, b"a"),
            "text that is not UTF-8": frame(FIN | TEXT, b"\xff\xfe"),
            "length of 2^63": b"\x82\xff" + struct.pack(">Q", 1 << 63) + b"abcd",
            "length of 32 MiB + 1": b"\x82\xff" + struct.pack(">Q", (32 << 20) + 1) + b"abcd" + bytes(100),
            "fragments of 32 MiB + 1": frame(BINARY, bytes(16 << 20), b"\0\0\0\0") + frame(0, bytes(16 << 20), b"\0\0\0\0")
                                       + frame(FIN, b"a"),
        }
        for protocol in PROTOCOLS:
            for what, raw in cases.items():
                if len(raw) > 1000000 and protocol != PROTOCOLS[2]:
                    continue
                self.expect_drop(what, raw, protocol)
        self.is_well("bad frames")

        rng = random.Random(2)
        for i in range(200):
            ws = WebSocket(self.server.port, "bank", PROTOCOLS[i % 4])
            try:
                if i % 2:
                    ws.send(rng.randbytes(rng.randrange(1, 2000)))
                else:
                    ws.send(frame(FIN | (TEXT if i % 8 == 0 else BINARY), rng.randbytes(rng.randrange(1, 200))))
                if i % 3:
                    ws.send(frame(FIN | CLOSE))
                    while ws.receive() is not None:
                        pass
            except OSError:
                pass
            ws.close()
        self.is_well("random frames and messages")

        # A slow trickle: a message of one byte at a time is still a message.
        ws = WebSocket(self.server.port, "bank", token=self.http.token)
        for byte in frame(FIN | BINARY, query_v2(5, "SELECT * FROM accounts")):
            ws.send(bytes([byte]))
        while (got := ws.next_message()) is not None and got[0] != 5:
            pass
        check("a message byte by byte", got is not None and got[:5] == b"\x05\x05\0\0\0", got)
        ws.close()

    def closes_with(self, what, protocol, payload, op=BINARY):
        """A message that must end the connection with 1011, after anything else the server had to say."""
        ws = WebSocket(self.server.port, "trouble", protocol, token=self.http.token)
        ws.send_message(payload, op)
        got = ws.next_message()
        while got is not None and not isinstance(got, tuple):
            got = ws.next_message()
        ws.close()
        return check(f"{what} ({protocol[:7]})", got is not None and got[1] == 1011, got)

    def messages(self):
        good = {"call": call_v2(7, "note", text("hello")), "subscribe": subscribe_v2(1, 2, "SELECT * FROM notes"),
                "query": query_v2(3, "SELECT * FROM notes"), "unsubscribe": struct.pack("<BIIB", 1, 1, 2, 0)}
        for name, message in good.items():
            for n in range(len(message)):
                for protocol in PROTOCOLS[2:]:
                    if not self.closes_with(f"{name} cut at {n}", protocol, message[:n]):
                        break
        self.is_well("messages cut at every byte")
        for protocol in PROTOCOLS[2:]:
            self.closes_with("text", protocol, b"{}", TEXT)
            self.closes_with("unknown tag", protocol, b"\x63" + bytes(20))
            self.closes_with("unknown flags", protocol, struct.pack("<BIB", 3, 1, 9) + text("note") + text(""))
            self.closes_with("name not UTF-8", protocol, struct.pack("<BIB", 3, 1, 0) + text(b"\xff") + text(""))
            self.closes_with("absurd length", protocol, struct.pack("<BIBI", 3, 1, 0, 0xffffffff) + b"note")
            self.closes_with("absurd count", protocol, struct.pack("<BIII", 0, 1, 1, 0xffffffff))
        for data in b"", b"{", b"null", b"[]", b'{"CallReducer":{}}', b"[" * 100000, b'{"a":' * 100000, b'"' + b"a" * 1000000, \
                b"\x00", b'{"CallReducer":{"reducer":"note","args":"[1,","request_id":1e99,"flags":0}}':
            self.closes_with(f"JSON {data[:30]!r}", PROTOCOLS[0], data, TEXT)
        self.is_well("wrong messages")

        # Many subscriptions, unsubscribes of nothing, the same set twice, queries that are none.
        ws = WebSocket(self.server.port, "trouble", token=self.http.token)
        for i in range(500):
            ws.send_message(subscribe_v2(i, i % 50, ["SELECT * FROM notes", "nonsense", "", "SELECT * FROM nothing"][i % 4]))
            ws.send_message(struct.pack("<BIIB", 1, i, i % 70, i % 2))
        ws.send_message(query_v2(99999, "SELECT * FROM notes"))
        while (got := ws.next_message()) is not None and got[:5] != b"\x05" + struct.pack("<I", 99999):
            if isinstance(got, tuple):
                break
        check("a mess of subscriptions", got is not None and not isinstance(got, tuple), got)
        ws.close()
        self.is_well("a mess of subscriptions")

        # Pipelined more than the queue's limit by a client that reads: all are answered.
        ws = WebSocket(self.server.port, "trouble", token=self.http.token)
        count = 10000 if IS_SLOW else 60000
        burst = b"".join(frame(FIN | BINARY, call_v2(i, "fail")) for i in range(count))
        sender = threading.Thread(target=ws.send, args=(burst,))
        sender.start()
        answered = 0
        while answered < count and (got := ws.next_message()) is not None and not isinstance(got, tuple):
            answered += got[0] == 6
        sender.join()
        ws.close()
        check(f"{count} calls in one go are all answered", answered == count, answered)
        self.is_well("a burst of calls")

    def slow_reader(self):
        """One that subscribes and never reads does not hold up the others, and is let go."""
        ws = WebSocket(self.server.port, "trouble", token=self.http.token, receive_buffer=4096)
        ws.send_message(subscribe_v2(1, 1, "SELECT * FROM notes"))
        ws.next_message()
        for _ in range(60):
            self.http.call("trouble", "note", "y" * 200000)
        started = time.monotonic()
        while time.monotonic() - started < IDLE_SECONDS + 10:
            if len(self.http.sql("trouble", "SELECT * FROM st_client")) <= 1:
                break
            time.sleep(0.2)
        clients = self.http.sql("trouble", "SELECT * FROM st_client")
        check("a silent slow reader is let go", len(clients) <= 1, clients)
        ws.close()
        self.http.request("POST", "/v1/database/trouble/sql", b"DELETE FROM notes")
        self.is_well("a slow reader")

    # --------------------------------------------------------------------- modules

    def modules(self):
        def section(number, *parts):
            body = b"".join(parts)
            return bytes([number]) + leb(len(body)) + body

        def leb(n):
            out = b""
            while True:
                out += bytes([n & 0x7f | (0x80 if n > 0x7f else 0)])
                n >>= 7
                if not n:
                    return out

        def name(s):
            return leb(len(s)) + s.encode()

        magic = b"\0asm\x01\0\0\0"
        types = section(1, leb(1), b"\x60\x00\x00")
        memory = section(5, leb(1), b"\x00\x01")
        export_memory = section(7, leb(1), name("memory"), b"\x02\x00")
        unknown_import = section(2, leb(1), name("spacetime_10.0"), name("no_such_function"), b"\x00\x00")
        foreign_import = section(2, leb(1), name("env"), name("abort"), b"\x00\x00")
        wrong_type = section(2, leb(1), name("spacetime_10.0"), name("console_log"), b"\x00\x00")
        future = section(2, leb(1), name("spacetime_99.0"), name("console_log"), b"\x00\x00")
        rng = random.Random(3)
        cases = {
            "empty": b"",
            "random bytes": rng.randbytes(5000),
            "magic alone": magic[:4],
            "magic and version": magic,
            "wrong version": b"\0asm\x02\0\0\0",
            "component": b"\0asm\x0d\0\x01\0",
            "magic and random bytes": magic + rng.randbytes(5000),
            "no exports": magic + types + memory,
            "memory alone": magic + types + memory + export_memory,
            "unknown import": magic + types + unknown_import + memory + export_memory,
            "import of another module": magic + types + foreign_import + memory + export_memory,
            "import of another type": magic + types + wrong_type + memory + export_memory,
            "import of another ABI version": magic + types + future + memory + export_memory,
            "section of absurd length": magic + b"\x01\xff\xff\xff\xff\x0f",
            "memory of 4 GiB": magic + types + section(5, leb(1), b"\x00" + leb(65536)) + export_memory,
            "a million types": magic + section(1, leb(1000000), b"\x60\x00\x00" * 1000000),
            "JavaScript": b"export default {};",
            "text": b"(module)",
            "zeros": bytes(100000),
        }
        for what, wasm in cases.items():
            status, body = self.http.publish("broken", wasm)
            check(f"module {what}: refused", 400 <= status < 600 and status != 503, (status, body[:200]))
            check(f"module {what}: says why", len(body) > 0, status)
        status, body = self.http.request("GET", "/v1/database/broken")
        check("no database is left of them", status == 404, (status, body))
        self.is_well("broken modules")
        whole = self.trouble
        for i in range(40):
            self.http.publish("broken", whole[:len(whole) * i // 40])
        for i in range(80):
            bad = bytearray(whole)
            for _ in range(1 + i % 5):
                bad[rng.randrange(8, len(bad))] = rng.randrange(256)
            # It may be a good module by chance, so nothing is said of the answer.
            self.http.publish(f"mutant-{i % 8}", bytes(bad), "?clear=true")
            if i % 20 == 19:
                self.is_well(f"mutated modules {i}")
        for i in range(8):
            self.http.request("DELETE", f"/v1/database/mutant-{i}")
        self.http.request("DELETE", "/v1/database/broken")
        self.is_well("cut and mutated modules")
        # A bad update leaves the running module as it is.
        status, body = self.http.publish("trouble", whole[:5000])
        check("a bad update is refused", status >= 400, (status, body[:100]))
        check("the module goes on", self.http.call("trouble", "note", "still here")[0] == 200)
        self.is_well("a bad update")

    # ------------------------------------------------------------------- arguments

    GOOD_KINDS = [True, 200, -5, "text", "0102", [{"circle": 1.5}, {"dot": {"x": 1, "y": 2.5}}, {"nothing": []}],
                  {"some": {"x": 3, "y": 4}}, 12345678901234567890123456789, {"__identity__": "0x" + "ab" * 32}, ["a", "b"]]

    def arguments(self):
        status, body = self.http.call("trouble", "kinds", *self.GOOD_KINDS)
        check("good arguments", status == 200, (status, body))

        def raw_call(data, reducer="kinds", kind="application/json"):
            return self.http.request("POST", f"/v1/database/trouble/call/{reducer}", data, {"Content-Type": kind})
        good = json.dumps(self.GOOD_KINDS, separators=(",", ":")).encode()
        bad = [n for n in range(len(good)) if raw_call(good[:n])[0] != 400]
        check("JSON cut at every byte", not bad, bad)
        wrong = [1, -1, 256, 1.5, 1e300, "x", None, True, [], {}, [1], {"some": 1}, {"none": []}, "0x", "zz"]
        answers = set()
        for i in range(len(self.GOOD_KINDS)):
            for value in wrong:
                args = list(self.GOOD_KINDS)
                args[i] = value
                answers.add(raw_call(json.dumps(args).encode())[0])
        check("wrong values are refused or taken", answers <= {200, 400}, answers)
        odd = [b"", b" ", b"null", b"1", b'"x"', b"[", b"]", b"[]", b"{}", b"[1]", good + b"x", good + good, b"\xff", b"[\x00]",
               b'{"a":1,"a":2}', b"[" * 1000000, b"[" * 1000000 + b"]" * 1000000, b'{"a":' * 300000 + b"1" + b"}" * 300000,
               b'[{"a":' * 100000, b"[" + b"1," * 500000 + b"1]", b"[" + b"9" * 100000 + b"]", b"[1e" + b"9" * 1000 + b"]",
               b'["\\ud800"]', b'["\\u12"]', b'["' + b"a" * 1000000, b"[-]", b"[01]", b"[.5]", b"[1.]", b"[NaN]", b"[1,]", b"[,1]",
               b'[' + good[1:-1] + b',' + b"[" * 10000 + b"]" * 10000 + b"]"]
        bad = [(o[:20], raw_call(o)[0]) for o in odd if raw_call(o)[0] != 400]
        check("odd JSON is refused", not bad, bad)
        for reducer in "none", "", "init", "kinds%00", "x" * 1000:
            status, _ = raw_call(b"[]", reducer)
            check(f"reducer {reducer[:20]!r}", status in (400, 404, 405), status)
        check("another content type", raw_call(good, kind="text/plain")[0] == 415)
        self.is_well("wrong arguments over HTTP")

        bsatn = (b"\x01" + b"\xc8" + struct.pack("<q", -5) + text("text") + text(b"\x01\x02") + struct.pack("<I", 3)
                 + b"\x00" + struct.pack("<f", 1.5) + b"\x01" + struct.pack("<id", 1, 2.5) + b"\x02"
                 + b"\x00" + struct.pack("<id", 3, 4) + bytes(16) + bytes(32) + struct.pack("<I", 2) + text("a") + text("b"))
        ws = WebSocket(self.server.port, "trouble", "v3.bsatn.spacetimedb", token=self.http.token)
        cases = [bsatn[:n] for n in range(len(bsatn))]
        for i in range(len(bsatn)):
            for value in 0xff, 0x80, 0x7f, 0x02:
                cases.append(bsatn[:i] + bytes([value]) + bsatn[i + 1:])
        cases.append(bsatn)
        for i, args in enumerate(cases):
            ws.send_message(call_v2(i, "kinds", args))
        outcomes = {}
        while len(outcomes) < len(cases):
            got = ws.next_message()
            if got is None or isinstance(got, tuple):
                break
            outcomes.update(results_v3(got))
        ws.close()
        check("BSATN wrong at every byte is answered", len(outcomes) == len(cases), len(outcomes))
        bad = [i for i in range(len(bsatn)) if outcomes.get(i) != 3]
        check("BSATN cut at every byte is refused", not bad, bad)
        check("good BSATN is taken", outcomes.get(len(cases) - 1) == 0, outcomes.get(len(cases) - 1))
        self.http.request("POST", "/v1/database/trouble/sql", b"DELETE FROM notes")
        self.is_well("wrong arguments over WebSocket")

    # ------------------------------------------------------------------------- SQL

    def sql(self):
        cases = ["", " ", ";", ";;;", "\0", "SELECT", "SELECT *", "SELECT * FROM", "SELECT * FROM notes WHERE", "SELECT * FROM \"",
                 "SELECT * FROM 'notes", "SELECT * FROM notes WHERE id = 999999999999999999999999999999999999999",
                 "SELECT * FROM notes WHERE id = -1", "SELECT * FROM notes WHERE text = 0x", "SELECT * FROM notes -- comment",
                 "SELECT * FROM notes LIMIT -1", "SELECT * FROM notes LIMIT 99999999999999999999", "DROP TABLE notes",
                 "SELECT * FROM " + "a" * 10000, "SELECT * FROM notes WHERE " + "(" * 5000 + "id = 1" + ")" * 5000,
                 "SELECT * FROM notes WHERE " + " AND ".join(["id = 1"] * 2000), "SELECT * FROM notes WHERE " + "NOT " * 5000 + "id = 1",
                 "SELECT * FROM notes WHERE " + " OR ".join(f"id = {i}" for i in range(2000)),
                 "SELECT " + ",".join(["id"] * 5000) + " FROM notes", "SELECT * FROM notes; " * 2000,
                 "SELECT a.* FROM notes a JOIN notes b ON a.id = b.id" + " JOIN notes c ON a.id = c.id" * 300,
                 "SELECT * FROM notes WHERE text = '" + "x" * 40000 + "'", "INSERT INTO notes VALUES (1)",
                 "INSERT INTO notes (id, text) VALUES " + ",".join(["(1,'a')"] * 3000), "UPDATE notes SET nothing = 1",
                 "DELETE FROM st_table", "INSERT INTO st_table (table_id) VALUES (1)", "SELECT * FROM notes WHERE id = :sender",
                 "SELECT * FROM notes WHERE " + "-" * 20000 + "1 = id", "((((((((((", "SELECT * FROM notes WHERE id = 'x'",
                 "\u202eSELECT", "SELECT * FROM nötes", "EXPLAIN EXPLAIN", "SET x TO y", "SHOW z", "select count(*) from"]
        statuses = {}
        for query in cases:
            status, _ = self.http.request("POST", "/v1/database/trouble/sql", query.encode())
            statuses.setdefault(status, []).append(query[:40])
        check("absurd SQL is answered with 200 or 400", set(statuses) <= {200, 400}, {s: q for s, q in statuses.items()
                                                                                   if s not in (200, 400)})
        status, _ = self.http.request("POST", "/v1/database/trouble/sql", b"SELECT \xff")
        check("SQL that is not UTF-8", status == 400, status)
        ws = WebSocket(self.server.port, "trouble", token=self.http.token)
        for i, query in enumerate(cases):
            ws.send_message(query_v2(i, query))
            ws.send_message(subscribe_v2(1000 + i, i, query))
        count = 0
        while count < 2 * len(cases) and (got := ws.next_message()) is not None and not isinstance(got, tuple):
            count += got[0] in (1, 3, 5)
        check("absurd SQL over WebSocket", count == 2 * len(cases), (count, len(cases)))
        ws.close()
        self.http.request("POST", "/v1/database/trouble/sql", b"DELETE FROM notes")
        self.is_well("absurd SQL")

    # ---------------------------------------------------------------- bad behaviour

    def notes(self):
        return sorted(row[1] for row in self.http.sql("trouble", "SELECT * FROM notes"))

    def behaviour(self):
        self.http.request("POST", "/v1/database/trouble/sql", b"DELETE FROM notes")
        for reducer in "fail", "trap", "panic", "wild", "recurse", "hog", "spin", "flood":
            started = time.monotonic()
            others = []

            def others_go_on():
                while not others or others[-1] is not None:
                    begun = time.monotonic()
                    status, _ = self.http.call("bank", "transfer", 3, 4, 1)
                    if others and others[-1] is None:
                        return
                    others.append((status, time.monotonic() - begun))
                    time.sleep(0.02)
            if reducer == "spin":
                thread = threading.Thread(target=others_go_on)
                thread.start()
            status, body = self.http.call("trouble", reducer)
            took = time.monotonic() - started
            if reducer == "spin":
                slow = [o for o in others if o[0] != 200 or o[1] > (LIMIT_SECONDS / 2 if not IS_SLOW else 5)]
                n = len(others)
                others.append(None)
                thread.join()
                check("another database goes on beside an endless loop", n >= 3 and not slow, (n, slow[:3]))
                check("the endless loop runs into its limit", LIMIT_SECONDS * 0.5 < took < LIMIT_SECONDS + (20 if IS_SLOW else 3), took)
            check(f"{reducer}: told to the caller", status in (530, 402), (status, body[:200]))
            check(f"{reducer}: undone", self.notes() == [], self.notes()[:3])
            check(f"{reducer}: the next call works", self.http.call("trouble", "note", "after")[0] == 200
                  and self.notes() == ["after"], self.notes()[:3])
            self.http.request("POST", "/v1/database/trouble/sql", b"DELETE FROM notes")
            self.is_well(reducer)
        # The same over WebSocket, in one message with good calls around: each for itself.
        ws = WebSocket(self.server.port, "trouble", "v3.bsatn.spacetimedb", token=self.http.token)
        ws.send_message(call_v2(1, "note", text("one")) + call_v2(2, "trap") + call_v2(3, "note", text("two"))
                        + call_v2(4, "fail") + call_v2(5, "spin") + call_v2(6, "note", text("three")))
        outcomes = {}
        while len(outcomes) < 6 and (got := ws.next_message()) is not None and not isinstance(got, tuple):
            outcomes.update(results_v3(got))
        ws.close()
        check("good calls among bad ones", outcomes == {1: 0, 2: 3, 3: 0, 4: 2, 5: 3, 6: 0}, outcomes)
        check("and their rows", self.notes() == ["one", "three", "two"], self.notes())
        self.is_well("bad calls over WebSocket")
        # The client leaves while its call hangs.
        ws = WebSocket(self.server.port, "trouble", token=self.http.token)
        ws.send_message(call_v2(1, "spin"))
        ws.close()
        self.is_well("a client that leaves its loop behind")


def finish(server):
    log = server.log_text()
    bad = re.findall(r".*(?:assertion failed|AddressSanitizer|ThreadSanitizer|runtime error|bug:).*", log, re.I)
    check("nothing bad in the log", not bad, bad[:5])
    if server.is_alive():
        code = server.stop()
        check("the server ends when asked", code == 0, f"exit code {code}: {server.log_text()[-2000:]}")
    if failed:
        print(log[-3000:])
    server.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def main():
    suite = Suite()
    parts = [suite.http_garbage, suite.http_large, suite.http_paths, suite.half_open, suite.storms, suite.frames,
             suite.messages, suite.slow_reader, suite.modules, suite.arguments, suite.sql, suite.behaviour]
    for part in parts:
        if len(sys.argv) > 1 and part.__name__ not in sys.argv[1:]:
            continue
        started = time.monotonic()
        try:
            part()
        except (OSError, AssertionError, EOFError) as e:
            check(part.__name__, False, repr(e))
        print(f"{part.__name__}: {time.monotonic() - started:.1f} s, {passed} passed, {failed} failed", flush=True)
    return finish(suite.server)


if __name__ == "__main__":
    sys.exit(main())
