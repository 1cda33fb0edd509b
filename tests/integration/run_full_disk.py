#!/usr/bin/python3
"""Fills the disk under load, for real, and looks at what is left.

A database whose log cannot be written any more must tell its clients, confirm nothing, and then be there
for reading, with every confirmed transfer and nothing by half; what would write is refused with the reason.
With space again it takes writes after a restart of that database, or of the server.

The disk is a small tmpfs, in a mount namespace of our own. Where that is not allowed the server's files are
kept from growing (RLIMIT_FSIZE), which ends a write in the middle, too.

run_full_disk.py [files]: files = in the second way.
"""
import ctypes
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from server import BINARY, Server
from wire import Http, WebSocket, call_v2, compile_module, subscribe_v2

ACCOUNTS = 50
BALANCE = 1_000_000
DISK = 48 << 20
ROOM = 2 << 20  # what the load may fill
LOADS = [(4, 16), (64, 40), (1, 1)]
REFUSED = b"the database is read-only since its commit log cannot be written: "

passed = failed = 0


def check(what, is_good, detail=""):
    global passed, failed
    if is_good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {detail}", flush=True)
    return is_good


class SmallDisk:
    """A tmpfs, filled by a file of ours."""
    reason = b"No space left on device"

    def __init__(self, folder):
        self.folder = folder
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", folder], check=True)

    def leave(self, room, _server):
        free = os.statvfs(self.folder)
        with open(os.path.join(self.folder, "ballast"), "wb") as f:
            f.truncate(0)
            left = free.f_bavail * free.f_frsize - room
            while left > 0:
                left -= f.write(bytes(min(left, 1 << 20)))

    def give_space(self, _server):
        os.unlink(os.path.join(self.folder, "ballast"))

    def close(self):
        subprocess.run(["umount", self.folder], check=True)


class ShortFiles:
    """No file of the server may be larger than it is now, and a little."""
    reason = b"File too large"

    def __init__(self, folder):
        self.folder = folder

    def leave(self, room, server):
        largest = max(os.path.getsize(os.path.join(at, name))
                      for at, _, names in os.walk(self.folder) for name in names if name.endswith(".stdb.log"))
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest + room, resource.RLIM_INFINITY))

    def give_space(self, server):
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self):
        pass


def own_mounts():
    """Puts this process into a mount namespace of its own; False where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
        return False
    return libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None) == 0  # MS_PRIVATE | MS_REC


def make_disk(folder):
    if sys.argv[1:] != ["files"] and own_mounts():
        try:
            return SmallDisk(folder)
        except (subprocess.CalledProcessError, OSError) as e:
            print(f"cannot mount a small disk ({e})")
    print("files that may not grow instead of a small disk")
    return ShortFiles(folder)


class Bank:
    def __init__(self, server, loader):
        self.server = server
        self.loader = loader
        self.http = Http(server.url)
        self.http.sign_in()
        self.module = compile_module("tests/modules/ledger")
        status, body = self.http.publish("ledger", self.module)
        assert status == 200, (status, body)
        status, body = self.http.call("ledger", "seed", ACCOUNTS, BALANCE)
        assert status == 200, (status, body)
        self.confirmed = {}  # client -> seqs, of all rounds
        self.sent = {}

    def load(self, first, shape):
        """Runs the load until the server hangs up."""
        out = os.path.join(self.server.data, "outcomes")
        done = subprocess.run([self.loader, str(self.server.port), "ledger", str(shape[0]), str(shape[1]),
                               str(ACCOUNTS), str(first), "60000", out], capture_output=True, text=True)
        check(f"{shape}: what the server said", done.returncode == 0, done.stderr)
        with open(out, "rb") as f:
            while head := f.read(8):
                client, n = struct.unpack("<II", head)
                outcomes = f.read(n)
                check(f"{shape}: nothing refused before", 2 not in outcomes)
                self.sent[client] = n
                self.confirmed[client] = {i for i, o in enumerate(outcomes) if o == 1}
        return sum(len(s) for c, s in self.confirmed.items() if c >= first)

    def fill(self, what, client):
        """Calls one after the other until they are refused: there may be a little room left, and what was torn
        off the end of the log gives a little back."""
        self.sent[client], self.confirmed[client] = 0, set()
        for seq in range(1 << 20):
            status, body = self.http.call("ledger", "transfer", client, seq, 0, 1, 1)
            if status == 503:
                return body
            self.sent[client] += 1
            if status == 200:
                self.confirmed[client].add(seq)
            elif not check(f"{what}: an outcome unknown", status == 500 and b"stopped" in body, (status, body)):
                return b""

    def examine(self, what):
        there, delta = {}, [0] * ACCOUNTS
        for _, client, seq, source, target, amount in self.http.sql("ledger", "SELECT * FROM ledger", timeout=300):
            there.setdefault(client, set()).add(seq)
            delta[source] -= amount
            delta[target] += amount
        lost = [c for c, seqs in self.confirmed.items() if seqs - there.get(c, set())]
        check(f"{what}: every confirmed transfer is there", not lost, lost[:5])
        strange = [c for c, seqs in there.items() if max(seqs) >= self.sent.get(c, 0)]
        check(f"{what}: nothing that was not sent", not strange, strange[:5])
        balances = dict(self.http.sql("ledger", "SELECT * FROM accounts"))
        check(f"{what}: balances agree with the ledger",
              balances == {a: BALANCE + delta[a] for a in range(ACCOUNTS)})
        return sum(map(len, there.values()))

    def refused(self, what, status, body, reason):
        check(f"{what}: refused with the reason",
              status == 503 and body.startswith(REFUSED) and reason in body and b"restart" in body, (status, body))

    def check_reading(self, what, reason):
        """Everything that reads works, what writes is refused and leaves nothing."""
        before = self.http.sql("ledger", "SELECT * FROM sessions")
        clients = self.http.sql("ledger", "SELECT * FROM st_client")
        count = self.examine(what)
        self.refused(f"{what}: call", *self.http.call("ledger", "transfer", 999999, 0, 0, 1, 1), reason)
        self.refused(f"{what}: SQL", *self.http.request("POST", "/v1/database/ledger/sql", b"DELETE FROM ledger"),
                     reason)
        self.refused(f"{what}: publish", *self.http.publish("ledger", self.module), reason)
        for path in ("/v1/database/ledger", "/v1/database/ledger/schema?version=9", "/v1/database/ledger/logs"):
            status, body = self.http.request("GET", path)
            check(f"{what}: GET {path}", status == 200, (status, body[:300]))
        status, body = self.http.call("ledger", "nosuch")
        check(f"{what}: what does not exist is still that", status == 404, (status, body))
        ws = WebSocket(self.server.port, "ledger", token=self.http.token)
        first = ws.next_message()
        check(f"{what}: a client connects", first and first[0] == 0, first)
        ws.send_message(subscribe_v2(1, 1, "SELECT * FROM ledger"))
        rows = ws.next_message()
        check(f"{what}: a client subscribes", rows and rows[0] == 1 and len(rows) > 32 * count, rows and rows[:100])
        ws.send_message(call_v2(2, "transfer", struct.pack("<IIIIq", 999999, 0, 0, 1, 1)))
        answer = ws.next_message()
        check(f"{what}: a client's call is refused", answer and answer[0] == 6 and REFUSED in answer and reason in answer, answer)
        ws.close()
        check(f"{what}: clients leave no trace", self.http.sql("ledger", "SELECT * FROM sessions") == before and
              self.http.sql("ledger", "SELECT * FROM st_client") == clients)

    def check_writing(self, what, number):
        client = 900000 + number
        status, body = self.http.call("ledger", "transfer", client, 0, 0, 1, 1)
        check(f"{what}: writes", status == 200, (status, body))
        self.sent[client], self.confirmed[client] = 1, {0}
        self.examine(what)
        rows = self.http.sql("ledger", "SELECT * FROM sessions")
        check(f"{what}: rows of lost connections are gone", len(rows) <= 1, rows[:3])


def lightcone(bank, *args):
    environment = {**os.environ, "XDG_CONFIG_HOME": os.path.join(bank.server.data, "config")}
    return subprocess.run([BINARY, *args, "-s", bank.server.url], capture_output=True, text=True, env=environment)


def restart_command(bank, what):
    """`lightcone restart`, as the owner."""
    said = lightcone(bank, "login", "--token=" + bank.http.token)
    check(f"{what}: login", said.returncode == 0, said.stderr)
    said = lightcone(bank, "restart", "ledger")
    check(f"{what}: lightcone restart", said.returncode == 0 and "is open again" in said.stdout, said)


def restart_server(bank, what):
    code = bank.server.stop(signal.SIGTERM)
    check(f"{what}: SIGTERM", code == 0, code)
    bank.server.start()
    bank.http.url = bank.server.url


def full_round(bank, disk, number, shape):
    what = f"round {number} {shape}"
    idle = WebSocket(bank.server.port, "ledger", token=bank.http.token)
    idle.next_message()
    disk.leave(ROOM, bank.server)
    confirmed = bank.load(number * 1000, shape)
    check(f"{what}: something was confirmed before", confirmed > 0)
    last = idle.next_message()
    check(f"{what}: clients are told",
          last == ("close", 1011, "the database stopped: its commit log cannot be written"), last)
    check(f"{what}: the server lives", bank.server.is_alive())
    bank.check_reading(what, disk.reason)

    stranger = Http(bank.server.url)
    stranger.sign_in()
    status, body = stranger.request("POST", "/v1/database/ledger/restart")
    check(f"{what}: restart is the owner's", status == 403, (status, body))
    status, body = bank.http.request("POST", "/v1/database/ledger/restart")
    if status == 200:
        status, body = 503, bank.fill(what, 700000 + number)
    bank.refused(f"{what}: restart without space", status, body, disk.reason)
    bank.check_reading(f"{what}, still full", disk.reason)
    if isinstance(disk, SmallDisk):
        restart_server(bank, f"{what}, still full")
        bank.fill(what, 800000 + number)
        bank.check_reading(f"{what}, started with a full disk", disk.reason)

    disk.give_space(bank.server)
    if number % 2:
        status, body = bank.http.call("ledger", "transfer", 999999, 0, 0, 1, 1)
        bank.refused(f"{what}: until it is restarted", status, body, disk.reason)
        restart_command(bank, what)
    else:
        restart_server(bank, what)
    bank.check_writing(what, number)
    print(f"{what}: {confirmed} confirmed before the disk was full", flush=True)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory(prefix="lightcone-full-disk-") as data:
        os.mkdir(os.path.join(data, "node"))
        disk = make_disk(os.path.join(data, "node"))
        loader = os.path.join(data, "ledger_client")
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-o", loader,
                        os.path.join(here, "lib/ledger_client.c")], check=True)
        server = Server(data=data)
        try:
            bank = Bank(server, loader)
            for number, shape in enumerate(LOADS, 1):
                full_round(bank, disk, number, shape)
            check("the last end", server.stop() == 0)
        finally:
            if failed:
                print(server.log_text()[-5000:])
            if server.is_alive():
                server.kill()
            disk.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
