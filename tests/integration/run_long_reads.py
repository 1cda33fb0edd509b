#!/usr/bin/env python3
"""run_long_reads.py: queries over big tables while transfers go on: what each client is told must add up.

The sum of all balances is the same after every transfer, so any subset of transactions that a reader
sees shows at once. Last line: `N passed, N failed`.
"""
import os
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from server import Server  # noqa: E402
from wire import Http, WebSocket, call_v2, compile_module, query_v2, subscribe_v2  # noqa: E402

ACCOUNTS, BALANCE = 60000, 1000
SUM = ACCOUNTS * BALANCE
SUBSCRIBE_APPLIED, UNSUBSCRIBE_APPLIED, TRANSACTION_UPDATE, ONE_OFF, REDUCER_RESULT = 1, 2, 4, 5, 6
PERSISTENT = 0

passed = failed = 0


def check(what, is_good, detail=""):
    global passed, failed
    if is_good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {detail}", flush=True)


class Reader:
    """Takes a message apart."""

    def __init__(self, message, at=1):
        self.bytes, self.at = message, at

    def take(self, form):
        value = struct.unpack_from("<" + form, self.bytes, self.at)
        self.at += struct.calcsize("<" + form)
        return value[0]

    def block(self):
        n = self.take("I")
        self.at += n
        return self.bytes[self.at - n:self.at]

    def accounts(self):
        """A row list as [(id, balance)]."""
        if self.take("B") == 0:
            assert self.take("H") == 12
        else:
            count = self.take("I")
            self.at += 8 * count
        return list(struct.iter_unpack("<Iq", self.block()))

    def query_rows(self):
        rows = []
        for _ in range(self.take("I")):
            self.block()
            rows.append(self.accounts())
        return rows

    def query_sets(self):
        """[(set, inserts, deletes)]"""
        changes = []
        for _ in range(self.take("I")):
            set_id = self.take("I")
            for _ in range(self.take("I")):
                self.block()
                for _ in range(self.take("I")):
                    assert self.take("B") == PERSISTENT
                    changes.append((set_id, self.accounts(), self.accounts()))
        return changes


class Mirror:
    """A subscriber: its copy of the table, kept up by what it is told."""

    def __init__(self, server, token=None):
        self.socket = WebSocket(server.port, "bank", token=token)
        self.rows = None
        self.broken = None
        self.results = []
        self.early = 0  # updates before the initial rows
        self.socket.next_message()  # InitialConnection

    def apply(self, inserts, deletes):
        if self.rows is None:
            self.early += 1
            return
        for row in deletes:
            if self.rows.get(row[0]) != row[1]:
                self.broken = f"deleted {row}, had {self.rows.get(row[0])}"
            self.rows.pop(row[0], None)
        for row in inserts:
            if row[0] in self.rows:
                self.broken = f"inserted {row} twice"
            self.rows[row[0]] = row[1]
        if sum(self.rows.values()) != SUM:
            self.broken = f"the sum is {sum(self.rows.values())}"

    def read(self):
        """One message; its tag."""
        message = self.socket.next_message()
        assert message is not None and message[0] != "close", message
        tag, r = message[0], Reader(message)
        if tag == SUBSCRIBE_APPLIED:
            r.take("I"), r.take("I")
            self.rows = dict(row for rows in r.query_rows() for row in rows)
        elif tag == TRANSACTION_UPDATE:
            for _, inserts, deletes in r.query_sets():
                self.apply(inserts, deletes)
        elif tag == REDUCER_RESULT:
            request, _ = r.take("I"), r.take("q")
            outcome = r.take("B")
            self.results.append((request, outcome))
            if outcome == 0:
                r.block()
                for _, inserts, deletes in r.query_sets():
                    self.apply(inserts, deletes)
        return tag


def transfers(server, stop, seed):
    """Transfers, one after the other, until told to stop."""
    socket = WebSocket(server.port, "bank")
    socket.next_message()
    n = seed
    while not stop.is_set():
        n += 1
        a, b = (n * 7919) % ACCOUNTS, (n * 104729 + 1) % ACCOUNTS
        if a == b:
            continue
        socket.send_message(call_v2(n, "transfer", struct.pack("<IIq", a, b, 1)))
        if socket.next_message() is None:
            return
    socket.close()


def subscribers_see_whole_transactions(server):
    mirrors = [Mirror(server) for _ in range(6)]
    for m in mirrors:
        m.socket.send_message(subscribe_v2(1, 7, "SELECT * FROM accounts"))
        m.socket.send_message(call_v2(2, "transfer", struct.pack("<IIq", 1, 2, 1)))
    for i, m in enumerate(mirrors):
        first = m.read()
        check(f"subscriber {i}: the initial rows come first", first == SUBSCRIBE_APPLIED, str(first))
        check(f"subscriber {i}: all rows, the right sum",
              m.rows is not None and len(m.rows) == ACCOUNTS and sum(m.rows.values()) == SUM)
        updates = 0
        while updates < 40 or not m.results:
            updates += m.read() == TRANSACTION_UPDATE
        check(f"subscriber {i}: updates fit what is mirrored", not m.broken and not m.early, str(m.broken))
        check(f"subscriber {i}: its own call was answered", m.results == [(2, 0)], str(m.results))
        m.socket.close()


def filters_and_one_off_queries(server):
    m = Mirror(server)
    m.socket.send_message(query_v2(1, "SELECT * FROM accounts"))
    m.socket.send_message(query_v2(2, "SELECT * FROM accounts WHERE id = 3"))
    m.socket.send_message(query_v2(3, "SELECT * FROM accounts WHERE balance > 0"))
    seen = []
    for _ in range(3):
        message = m.socket.next_message()
        r = Reader(message)
        seen.append(r.take("I"))
        check(f"one-off query {seen[-1]} succeeds", message[0] == ONE_OFF and r.take("B") == 0)
        rows = r.query_rows()[0]
        if seen[-1] == 2:
            check("a short query behind a long one", len(rows) == 1)
        else:
            check(f"one-off query {seen[-1]} sees one moment", sum(b for _, b in rows) == SUM, str(len(rows)))
    check("answers come in the order of the questions", seen == [1, 2, 3], str(seen))
    m.socket.send_message(subscribe_v2(4, 1, "SELECT * FROM accounts WHERE balance >= 0", "SELECT * FROM accounts"))
    check("two long queries in one set", m.read() == SUBSCRIBE_APPLIED and len(m.rows) == ACCOUNTS)
    m.socket.close()


def clients_that_leave_early(server):
    for i in range(20):
        m = Mirror(server)
        m.socket.send_message(subscribe_v2(1, 1, "SELECT * FROM accounts"))
        m.socket.send_message(subscribe_v2(2, 2, "SELECT * FROM accounts WHERE balance > 1"))
        if i % 2:
            m.socket.send_message(query_v2(3, "SELECT * FROM accounts"))
        m.socket.close()
    m = Mirror(server)
    m.socket.send_message(subscribe_v2(1, 1, "SELECT * FROM accounts"))
    check("the next one is served", m.read() == SUBSCRIBE_APPLIED and sum(m.rows.values()) == SUM)
    m.socket.close()


def http_reads(server, owner):
    for i in range(4):
        rows = owner.sql("bank", "SELECT * FROM accounts")
        check(f"HTTP read {i} sees one moment", len(rows) == ACCOUNTS and sum(r[1] for r in rows) == SUM)
    rows = owner.sql("bank", "SELECT COUNT(*) AS n FROM accounts WHERE balance >= 0")
    check("a count with a condition", rows == [[ACCOUNTS]], str(rows))
    rows = owner.sql("bank", "SELECT id FROM accounts WHERE balance >= 0 LIMIT 5000")
    check("a projection with a limit", len(rows) == 5000 and len(rows[0]) == 1)


def updates_and_ends_meanwhile(server, owner, wasm):
    readers = [Mirror(server) for _ in range(4)]
    for m in readers:
        m.socket.send_message(subscribe_v2(1, 1, "SELECT * FROM accounts"))
    status, body = owner.publish("bank", wasm + b"\x00\x04\x03abc")  # another custom section: another program
    check("a publish while long reads are under way", status == 200, str(body[:200]))
    for i, m in enumerate(readers):
        check(f"reader {i} is answered all the same", m.read() == SUBSCRIBE_APPLIED and sum(m.rows.values()) == SUM)
        m.socket.close()
    late = [Mirror(server) for _ in range(4)]
    for m in late:
        m.socket.send_message(subscribe_v2(1, 1, "SELECT * FROM accounts"))
    thread = threading.Thread(target=lambda: owner.request("POST", "/v1/database/bank/sql", b"SELECT * FROM accounts"))
    thread.start()
    check("the server ends in order while long reads are under way", server.stop() == 0, server.log_text()[-500:])
    thread.join()


def main():
    server = Server()
    try:
        owner = Http(server.url)
        owner.sign_in()
        wasm = compile_module("examples/bank")
        status, body = owner.publish("bank", wasm)
        assert status == 200, body
        status, body = owner.call("bank", "seed", ACCOUNTS, BALANCE)
        assert status == 200, body
        stop = threading.Event()
        load = [threading.Thread(target=transfers, args=(server, stop, i * 1000000)) for i in range(2)]
        for thread in load:
            thread.start()
        try:
            subscribers_see_whole_transactions(server)
            filters_and_one_off_queries(server)
            clients_that_leave_early(server)
            http_reads(server, owner)
        finally:
            stop.set()
        for thread in load:
            thread.join()
        updates_and_ends_meanwhile(server, owner, wasm)
    finally:
        server.close()
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
