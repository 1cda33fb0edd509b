"""Rows of connections when the server ends in all its ways."""
import threading

from lines_system import GUESTS, clients_in, number
from store_kit import Client, Database, equal, table, until


def rule_every_connection_is_disconnected_once_whatever_ends_the_server(server):
    """Connects and disconnects in the log are pairs: by a clean stop, by kill -9, by both in turn."""
    db = Database(server, {"tables": [table("log", "n u64, what string, conn connection_id", key="n", auto=["n"])],
                           "reducers": [{"name": name, "lifecycle": kind,
                                         "ops": [["insert", "log", [0, kind, {"$connection": 0}]]]}
                                        for name, kind in (("hello", "connect"), ("bye", "disconnect"))]})
    for kill in (True, False, True, True, False):
        clients = [Client(db, as_=who) for who in (db.owner, db.other, db.owner)]
        clients[1].close()
        clients[0].call(["count", "log"])
        db.restart(kill)
        client = Client(db)
        client.call(["count", "log"])
        here = number(client.connection)
        equal([r[1] for r in client.subscribe("st_client")["st_client"]], [here])
        equal([r[0] for r in client.subscribe("st_connection_credentials")["st_connection_credentials"]], [here])
        times = {}
        for row in client.subscribe("log")["log"]:
            times.setdefault(row[2], []).append((row[0], row[1]))
        for conn, entries in times.items():
            entries = [what for _, what in sorted(entries)]
            want = ["connect"] if int(str(conn), 16) == here else ["connect", "disconnect"]
            equal(entries, want, f"connection {conn}")
        client.close()


def rule_a_disconnect_that_fails_at_the_start_does_not_hinder_it(server):
    for last in (["fail", "stay"], ["trap"]):
        db = Database(server, {"tables": [table("t", "a u32")],
                               "reducers": [{"name": "bye", "lifecycle": "disconnect",
                                             "ops": [["insert", "t", [1]], last]}]})
        client = Client(db)
        client.call(["insert", "t", [2]])
        db.restart()
        equal(db.sql("SELECT * FROM t"), [(2,)])
        equal(db.count("st_client"), 1, "the query's own")
        db.restart()
        equal(db.sql("SELECT * FROM t"), [(2,)])


def rule_disconnects_of_a_crash_come_before_schedules(server):
    db = Database(server, {"tables": [table("tick", "id u64, at schedule_at", key="id",
                                            schedule={"at": "at", "function": "on_tick"})],
                           "reducers": [{"name": "on_tick", "params": [["row", "row:tick"]],
                                         "ops": [["ctx"], ["scan", "st_client"]]},
                                        {"name": "bye", "lifecycle": "disconnect",
                                         "ops": [["ctx"], ["scan", "st_client"]]}]})
    clients = [Client(db) for _ in range(4)]
    db.ok(["insert", "tick", [1, {"Time": {"$now": 700_000}}]])
    clients[0].call(["count", "tick"])
    db.traces()
    server.kill()
    threading.Event().wait(0.9)
    server.start()
    client = Client(db)
    client.call(["count", "tick"])
    names = []
    until(lambda: names.extend(db.traces()) or "on_tick" in [n for n, _ in names], "the overdue call")
    equal([name for name, _ in names if name != "run"], ["bye"] * 4 + ["on_tick"])
    left = {number(c.connection) for c in clients}
    assert not left & set(clients_in(db, next(t for n, t in names if n == "on_tick")))


def rule_a_crash_while_connections_come_and_go(server):
    db = Database(server, GUESTS)
    for _ in range(3):
        over = threading.Event()

        def storm():
            while not over.is_set():
                try:
                    client = Client(db)
                    client.call(["count", "seen"])
                    client.close()
                except (OSError, AssertionError, ValueError):
                    return
        threads = [threading.Thread(target=storm) for _ in range(4)]
        for t in threads:
            t.start()
        threading.Event().wait(0.3)
        server.kill()
        over.set()
        for t in threads:
            t.join()
        server.start()
        equal(db.count("st_client"), 1, "the query's own")
        equal(db.count("st_connection_credentials"), 1, "the query's own")
    equal(db.sql("SELECT what FROM seen"), [("bye",)])
