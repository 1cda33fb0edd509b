"""What the suites say to a server themselves: HTTP, WebSocket frames, protocol v2. Standard library only."""
import base64
import json
import os
import socket
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from server import ROOT


def compile_module(folder):
    """Builds a C module by the recipe of sdk/module/README.md; the bytes of the .wasm."""
    folder = os.path.join(ROOT, folder)
    sources = [os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".c")]
    with tempfile.TemporaryDirectory() as out:
        target = os.path.join(out, "module.wasm")
        subprocess.run(
            ["clang-19", "--target=wasm32", "-std=c23", "-O2", "-mbulk-memory", "-ffreestanding", "-nostdlib",
             "-Wall", "-Wextra", "-I" + os.path.join(ROOT, "include"), "-Wl,--no-entry", "-Wl,--stack-first",
             "-Wl,-z,stack-size=1048576", "-o", target, *sources,
             os.path.join(ROOT, "sdk/module/lightcone_module.c")], check=True)
        with open(target, "rb") as f:
            return f.read()


class Http:
    """Requests with one identity."""

    def __init__(self, url):
        self.url = url
        self.token = None
        self.identity = None

    def request(self, method, path, body=None, headers=None, timeout=60):
        """(status, body)"""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read()

    def sign_in(self):
        status, body = self.request("POST", "/v1/identity")
        assert status == 200, (status, body)
        answer = json.loads(body)
        self.token, self.identity = answer["token"], answer["identity"]

    def publish(self, name, wasm, query="", timeout=120):
        return self.request("PUT", f"/v1/database/{name}{query}", wasm, {"Content-Type": "application/wasm"}, timeout)

    def call(self, name, reducer, *args, timeout=60):
        return self.request("POST", f"/v1/database/{name}/call/{reducer}", json.dumps(args).encode(),
                            {"Content-Type": "application/json"}, timeout)

    def sql(self, name, query, timeout=120):
        """The rows of the only statement."""
        status, body = self.request("POST", f"/v1/database/{name}/sql", query.encode(), timeout=timeout)
        assert status == 200, (status, body[:500])
        return json.loads(body)[0]["rows"]


def frame(first, payload=b"", key=b"\x12\x34\x56\x78", form=0):
    """A client's frame; form: bytes of the length (1, 2, 8), 0 the shortest."""
    n = len(payload)
    form = form or (1 if n < 126 else 2 if n < 65536 else 8)
    if form == 1:
        head = struct.pack(">BB", first, 0x80 | n)
    else:
        head = struct.pack(">BBH" if form == 2 else ">BBQ", first, 0xfe if form == 2 else 0xff, n)
    if key == b"\0\0\0\0":
        return head + key + payload
    mask = int.from_bytes((key * (n // 4 + 1))[:n], "big")
    return head + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(n, "big")


TEXT, BINARY, CLOSE, PING, PONG, FIN = 1, 2, 8, 9, 10, 0x80


class WebSocket:
    """A raw client; frames as they are."""

    def __init__(self, port, database, protocol="v2.bsatn.spacetimedb", query="compression=None", token=None,
                 receive_buffer=0, timeout=30):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        self.socket.sendall(
            f"GET /v1/database/{database}/subscribe?{query} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{authorization}"
            f"Sec-WebSocket-Protocol: {protocol}\r\n\r\n".encode())
        self.buffer = b""
        head = b""
        while b"\r\n\r\n" not in head:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError(f"no answer to the upgrade: {head!r}")
            head += part
        head, _, self.buffer = head.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        if self.status != 101:
            raise ConnectionError(f"the upgrade was refused: {head!r} {self.buffer!r}")

    def send(self, raw):
        self.socket.sendall(raw)

    def send_message(self, payload, op=BINARY):
        self.send(frame(FIN | op, payload))

    def _take(self, n):
        while len(self.buffer) < n:
            part = self.socket.recv(1 << 16)
            if not part:
                raise EOFError
            self.buffer += part
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken

    def receive(self):
        """(first byte, payload) of the next frame; None at the end of the connection."""
        try:
            first, n = self._take(2)
            if n == 126:
                n = struct.unpack(">H", self._take(2))[0]
            elif n == 127:
                n = struct.unpack(">Q", self._take(8))[0]
            return first, self._take(n)
        except (EOFError, ConnectionError):
            return None

    def next_message(self):
        """The next data message without its envelope byte; ("close", code, reason) or None at the end."""
        end = time.monotonic() + 60  # Pings must not keep a suite waiting for ever
        while True:
            got = self.receive()
            if got is None:
                return None
            if time.monotonic() > end:
                raise TimeoutError("no message for a minute")
            op = got[0] & 15
            if op == CLOSE:
                code = struct.unpack(">H", got[1][:2])[0] if got[1] else 0
                return "close", code, got[1][2:].decode()
            if op == PING:
                self.send(frame(FIN | PONG, got[1]))
            elif op in (TEXT, BINARY):
                return got[1] if op == TEXT else got[1][1:]

    def close(self):
        self.socket.close()


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<I", len(s)) + s


def call_v2(request, reducer, args=b""):
    return struct.pack("<BIB", 3, request, 0) + text(reducer) + text(args)


def subscribe_v2(request, query_set, *queries):
    return struct.pack("<BIII", 0, request, query_set, len(queries)) + b"".join(map(text, queries))


def query_v2(request, query):
    return struct.pack("<BI", 2, request) + text(query)


def result_v2(message):
    """Request id and outcome tag of a ReducerResult (0 ok, 2 error, 3 internal error)."""
    assert message[0] == 6, message[:50]
    request, _, outcome = struct.unpack_from("<IqB", message, 1)
    return request, outcome


def results_v3(payload):
    """(request id, outcome tag) of every ReducerResult in a payload; there may be an InitialConnection too."""
    results = []
    while payload:
        if payload[0] == 0:
            payload = payload[53 + struct.unpack_from("<I", payload, 49)[0]:]
            continue
        results.append(result_v2(payload))
        n = struct.unpack_from("<I", payload, 14)[0]
        payload = payload[18 + n + (4 if results[-1][1] == 0 else 0):]
    return results
