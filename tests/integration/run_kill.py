#!/usr/bin/python3
"""Ends the server in the middle of load, again and again, and looks at what is left.

Clients move money with confirmed reads and write down what was confirmed. After each restart every
confirmed transfer must be there, no transfer by half (balances agree with the ledger, to the unit), no
seq twice or beyond what was sent, a client's transfers without a gap, and the rows of the connections
that the server never saw end cleaned up. First by kill -9, then by SIGTERM and SIGINT (exit code 0),
then HTTP calls with kill -9.

Then the same with small segments, snapshots every moment and a short memory: kill -9 at random moments, among
them while a snapshot is being written, and while an old segment is being packed; from time to time the newest
snapshot is damaged before the restart.

run_kill.py [ROUNDS]: rounds of kill -9 over WebSocket (default 20), and as many with snapshots.
"""
import http.client
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from server import Server
from wire import Http, compile_module

ACCOUNTS = 50
BALANCE = 1_000_000
CLIENTS_PER_ROUND = 1000  # numbers set apart for one round
BUSY = """[logs]
level = "info"
[commitlog]
max-segment-size = 65536
[snapshots]
log-bytes = 262144
[retention]
keep = "1s"
"""

passed = failed = 0
caught = {}  # folder -> ends in the middle of writing a file aside in it


def check(what, is_good, detail=""):
    global passed, failed
    if is_good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {detail}", flush=True)


class Bank:
    """The database, and what we know must be in it."""

    def __init__(self, server):
        self.server = server
        self.http = Http(server.url)
        self.http.sign_in()
        self.delta = [0] * ACCOUNTS
        self.rows = 0
        status, body = self.http.publish("ledger", compile_module("tests/modules/ledger"))
        assert status == 200, (status, body)
        status, body = self.http.call("ledger", "seed", ACCOUNTS, BALANCE)
        assert status == 200, (status, body)

    def restart(self, what):
        """Starts the server again; false when it does not come up."""
        log_from = len(self.server.log_text())
        try:
            self.server.start()
        except RuntimeError as e:
            check(f"{what}: restart", False, str(e)[-1500:])
            return False
        self.http.url = self.server.url
        status, body = self.http.request("POST", "/v1/database/ledger/sql", b"SELECT * FROM sessions", timeout=300)
        log = self.server.log_text()[log_from:]
        check(f"{what}: replay", status == 200 and not re.search(r"panick|corrupt|assertion|bug:", log, re.I),
              f"{status} {body[:300]!r} {log[-800:]}")
        if status == 200:
            # The query itself runs as a connection of its own; those of before must be gone.
            rows = json.loads(body)[0]["rows"]
            check(f"{what}: rows of lost connections are gone", len(rows) <= 1, rows[:3])
        return status == 200

    def examine(self, what, first_client, sent, confirmed):
        """sent: client -> calls sent; confirmed: client -> set of seqs."""
        rows = self.http.sql("ledger", f"SELECT * FROM ledger WHERE client >= {first_client} "
                                       f"AND client < {first_client + CLIENTS_PER_ROUND}", timeout=300)
        there = {}
        for _, client, seq, source, target, amount in rows:
            there.setdefault(client, set()).add(seq)
            self.delta[source] -= amount
            self.delta[target] += amount
        self.rows += len(rows)
        lost = [(c, sorted(seqs - there.get(c, set()))[:3]) for c, seqs in confirmed.items()
                if seqs - there.get(c, set())]
        check(f"{what}: every confirmed transfer is there", not lost, lost[:5])
        strange = [c for c, seqs in there.items() if max(seqs) >= sent.get(c, 0)]
        check(f"{what}: nothing that was not sent", not strange, strange[:5])
        balances = dict(self.http.sql("ledger", "SELECT * FROM accounts"))
        wrong = [(a, balances.get(a), BALANCE + self.delta[a]) for a in range(ACCOUNTS)
                 if balances.get(a) != BALANCE + self.delta[a]]
        check(f"{what}: balances agree with the ledger", not wrong, wrong[:5])
        check(f"{what}: the sum is unchanged", sum(balances.values()) == ACCOUNTS * BALANCE, sum(balances.values()))
        count = self.http.sql("ledger", "SELECT COUNT(*) AS n FROM ledger")[0][0]
        check(f"{what}: earlier rows are still there", count == self.rows, (count, self.rows))
        return there

    def check_no_gap(self, what, there):
        """Calls of one connection run in the order sent: what is there is a beginning of it."""
        gaps = [(c, len(seqs), max(seqs)) for c, seqs in there.items() if max(seqs) + 1 != len(seqs)]
        check(f"{what}: no gap", not gaps, gaps[:5])


def read_outcomes(path):
    sent, confirmed = {}, {}
    with open(path, "rb") as f:
        while head := f.read(8):
            client, n = struct.unpack("<II", head)
            outcomes = f.read(n)
            sent[client] = n
            confirmed[client] = {i for i, o in enumerate(outcomes) if o == 1}
            assert 2 not in outcomes, f"a transfer of client {client} was refused"
    return sent, confirmed


def at_random(bank, rng):
    time.sleep(0.05 + rng.random() * 0.8)


class Folder:
    """The files of the only database."""

    def __init__(self, server):
        replicas = os.path.join(server.data, "node/replicas")
        self.path = os.path.join(replicas, os.listdir(replicas)[0])

    def names(self, folder, suffix):
        try:
            return sorted(n for n in os.listdir(os.path.join(self.path, folder)) if n.endswith(suffix))
        except FileNotFoundError:
            return []

    def damage_newest(self, rng):
        """Flips a bit of the newest snapshot; its name, None when there are less than two."""
        names = self.names("snapshots", ".lcsnap")
        if len(names) < 2:
            return None
        with open(os.path.join(self.path, "snapshots", names[-1]), "r+b") as f:
            at = rng.randrange(36, os.fstat(f.fileno()).st_size)  # behind the header
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << rng.randrange(8)]))
        return names[-1]


def while_writing(folder):
    """A moment when a file of that folder is being written aside."""
    def wait(bank, rng):
        at_random(bank, rng)
        files = Folder(bank.server)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if files.names(folder, ".tmp"):
                caught[folder] = caught.get(folder, 0) + 1
                return
    return wait


def socket_round(bank, loader, number, sig, rng, moment=at_random, between=None):
    """moment: waits for the time to end it; between: what happens until the restart, gives its check."""
    what = f"round {number} ({signal.Signals(sig).name})"
    first = number * CLIENTS_PER_ROUND
    out = os.path.join(bank.server.data, "outcomes")
    connections, in_flight = rng.choice([(1, 1), (4, 16), (16, 64), (40, 8), (64, 40)])
    load = subprocess.Popen([loader, str(bank.server.port), "ledger", str(connections), str(in_flight), str(ACCOUNTS),
                             str(first), "60000", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    moment(bank, rng)
    started = time.monotonic()
    code = bank.server.stop(sig)
    took = time.monotonic() - started
    said, complaint = load.communicate(timeout=60)
    check(f"{what}: what the server said", load.returncode == 0, complaint)
    if sig != signal.SIGKILL:
        check(f"{what}: exit code 0", code == 0, f"{code} {bank.server.log_text()[-1500:]}")
        check(f"{what}: leaves soon", took < 10, f"{took:.1f} s")
    check_more = between(bank, what, rng) if between else None
    if load.returncode != 0 or not bank.restart(what):
        return
    if check_more:
        check_more()
    sent, confirmed = read_outcomes(out)
    there = bank.examine(what, first, sent, confirmed)
    bank.check_no_gap(what, there)
    print(f"{what}: {connections} x {in_flight}, {said.strip()} confirmed, "
          f"{sum(map(len, there.values()))} found", flush=True)


def http_round(bank, number, rng):
    what = f"round {number} (HTTP)"
    first = number * CLIENTS_PER_ROUND
    sent, confirmed = {}, {}

    def work(client):
        sent[client], confirmed[client] = 0, set()
        connection = http.client.HTTPConnection("127.0.0.1", bank.server.port, timeout=30)
        for seq in range(1 << 20):
            source = (seq * 3 + client) % ACCOUNTS
            args = [client, seq, source, (source + 1) % ACCOUNTS, 1 + seq % 5]
            sent[client] = seq + 1
            try:
                connection.request("POST", "/v1/database/ledger/call/transfer", json.dumps(args),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                return
            if answer.status != 200:
                return
            confirmed[client].add(seq)

    threads = [threading.Thread(target=work, args=(first + i,)) for i in range(8)]
    for t in threads:
        t.start()
    time.sleep(0.3 + rng.random())
    bank.server.kill()
    for t in threads:
        t.join()
    if not bank.restart(what):
        return
    bank.examine(what, first, sent, confirmed)
    print(f"{what}: {sum(map(len, confirmed.values()))} confirmed", flush=True)


def damage_snapshot(bank, what, rng):
    files = Folder(bank.server)
    name = files.damage_newest(rng)
    log_from = len(bank.server.log_text())

    def check_damage():
        log = bank.server.log_text()[log_from:]
        check(f"{what}: the damaged snapshot is set aside, with a warning",
              name is None or name + ".invalid" in files.names("snapshots", ".invalid")
              and re.search(rf"WARN.*{name}", log), (name, files.names("snapshots", ""), log[-800:]))
    return check_damage


def busy_rounds(loader, rounds, rng):
    """With snapshots, packing and removal going on all the time."""
    data = tempfile.mkdtemp(prefix="lightcone-test-")
    os.mkdir(os.path.join(data, "node"))
    with open(os.path.join(data, "node/config.toml"), "w") as f:
        f.write(BUSY)
    server = Server(data=data)
    try:
        bank = Bank(server)
        moments = [at_random, while_writing("snapshots"), while_writing("clog")]
        for number in range(1, rounds + 1):
            socket_round(bank, loader, number, signal.SIGKILL if number % 7 else signal.SIGTERM, rng,
                         moments[number % 3], damage_snapshot if number % 4 == 0 else None)
            if not server.is_alive():
                return
        time.sleep(2)  # what is kept for a second is old now, and the next snapshot removes it
        socket_round(bank, loader, rounds + 1, signal.SIGKILL, rng, lambda *_: time.sleep(2))
        files = Folder(server)
        print(f"caught while writing: {caught}", flush=True)
        check("some ends came while a snapshot was written", rounds < 6 or caught.get("snapshots"), caught)
        check("snapshots are there", files.names("snapshots", ".lcsnap"), files.names("snapshots", ""))
        check("the log was pruned", files.names("clog", ".stdb.log")[0] != "0" * 20 + ".stdb.log",
              files.names("clog", "")[:5])
        check("old snapshots go", len(files.names("snapshots", ".lcsnap")) < rounds, files.names("snapshots", ""))
        check("the last end", server.is_alive() and server.stop() == 0, server.log_text()[-1500:])
    finally:
        if failed:
            print(server.log_text()[-3000:])
        server.close()
        shutil.rmtree(data, ignore_errors=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as tools:
        loader = os.path.join(tools, "ledger_client")
        subprocess.run(["gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-o", loader,
                        os.path.join(here, "lib/ledger_client.c")], check=True)
        server = Server()
        try:
            bank = Bank(server)
            plan = [signal.SIGKILL] * rounds + [signal.SIGTERM, signal.SIGINT] * 3
            for number, sig in enumerate(plan, 1):
                socket_round(bank, loader, number, sig, rng)
                if not server.is_alive():
                    break
            for number in range(len(plan) + 1, len(plan) + 5):
                if server.is_alive():
                    http_round(bank, number, rng)
            check("the last end", server.is_alive() and server.stop() == 0, server.log_text()[-1500:])
        finally:
            if failed:
                print(server.log_text()[-3000:])
            server.close()
        busy_rounds(loader, rounds, rng)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
