"""Checklist 21 to 31: who may read and write, system tables, connections."""
from store_kit import Client, Database, TextClient, equal, table, until
from wire import WebSocket

SECRETS = {"tables": [
    table("open", "id u32, n i32", key="id", auto=["id"]),
    table("hidden", "a u32", public=False),
    table("another", "a u32, b u32", unique=["a"], indexes=["a", "a b"])],
    "views": [{"name": "look", "anonymous": True, "rows_of": "open", "ops": [["return_scan", "open", 8]]}]}
TICKING = {"tables": [table("tick", "id u64, at schedule_at", key="id", schedule={"at": "at", "function": "on_tick"})],
           "reducers": [{"name": "on_tick", "params": [["row", "row:tick"]], "ops": [["ctx"]]}]}
GUESTS = {"tables": [table("seen", "what string, who identity")],
          "reducers": [{"name": "hello", "lifecycle": "connect", "ops": [["ctx"], ["scan", "st_client"]]},
                       {"name": "bye", "lifecycle": "disconnect",
                        "ops": [["ctx"], ["scan", "st_client"], ["insert", "seen", ["bye", {"$sender": 0}]]]}]}
NO_SUCH_TABLE = "no such table: `{}`. If the table exists, it may be marked private."


def clients_in(db, trace):
    """Connections that the scan of st_client in a trace saw."""
    hexes = next(t[2] for t in trace if t[0] == "scan")
    return sorted(row[1] for row in db.rows("st_client", bytes.fromhex(hexes)))


def number(connection):
    return int.from_bytes(connection, "little")


def line_21_private_tables_are_the_owners(server):
    db = Database(server, SECRETS)
    db.ok(["insert", "hidden", [7]])
    text = NO_SUCH_TABLE.format("hidden")
    equal(db.sql("SELECT * FROM hidden", as_=db.other), "400 " + text)
    stranger = TextClient(db, as_=db.other)
    kind, content = stranger.ask("SubscribeSingle", query="SELECT * FROM hidden", request_id=1, query_id={"id": 1})
    equal(kind, "SubscriptionError")
    assert text in content["error"], content
    try:
        rows = Client(db, as_=db.other).subscribe("hidden")
    except AssertionError as e:
        assert NO_SUCH_TABLE.format("hidden") in str(e), e
    else:
        raise AssertionError(f"a stranger subscribed to a private table: {rows}")
    equal(db.sql("SELECT * FROM hidden"), [(7,)])
    equal(Client(db).subscribe("hidden"), {"hidden": [(7,)]})


def line_22_only_the_owner_writes_by_sql(server):
    db = Database(server, SECRETS)
    db.ok(["insert", "open", [1, 1]])
    text = f"400 Caller {db.other.identity} is not authorized to run SQL DML statements"
    for query in ("INSERT INTO open (id, n) VALUES (2, 2)", "UPDATE open SET n = 5", "DELETE FROM open"):
        equal(db.sql(query, as_=db.other), text)
    equal(db.sql("SELECT * FROM open"), [(1, 1)])
    equal(db.sql("INSERT INTO open (id, n) VALUES (2, 2)"), [])
    equal(db.sql("DELETE FROM open WHERE id = 1"), [])
    equal(db.sql("UPDATE open SET n = 5"), [])
    equal(db.sql("SELECT * FROM open"), [(2, 5)])


def line_23_st_table_shows_20_system_rows_and_user_tables_from_4096(server):
    db = Database(server, SECRETS)
    rows = {r[0]: r for r in db.sql("SELECT * FROM st_table")}
    equal([rows[i][2] for i in range(1, 21)], ["system"] * 20)
    equal({i: rows[i][1:4] for i in rows if i > 20},
          {4096: ("another", "user", "public"), 4097: ("hidden", "user", "private"), 4098: ("mark", "user", "public"),
           4099: ("open", "user", "public"), 4100: ("look", "user", "public")})


def line_24_credentials_are_the_owners(server):
    db = Database(server, SECRETS)
    equal(db.sql("SELECT * FROM st_connection_credentials", as_=db.other),
          "400 " + NO_SUCH_TABLE.format("st_connection_credentials"))
    client = Client(db, as_=db.other)
    rows = dict(db.sql("SELECT * FROM st_connection_credentials"))
    assert f'"{db.other.identity}"' in rows[number(client.connection)], rows
    equal(len(rows), 2, "the client's and the query's own")


def line_25_first_ids_are_4096(server):
    db = Database(server, SECRETS)
    for name, column in (("st_index", "index_id"), ("st_constraint", "constraint_id"), ("st_sequence", "sequence_id"),
                         ("st_view", "view_id")):
        ids = sorted(r[0] for r in db.sql(f"SELECT {column} FROM {name}") if r[0] >= 30)
        equal(ids, list(range(4096, 4096 + len(ids))), name)
        assert ids, name
    timed = Database(server, TICKING)
    equal(timed.sql("SELECT schedule_id FROM st_scheduled"), [(4096,)])


def line_26_allocated_is_4097_after_the_first_insert(server):
    db = Database(server, SECRETS)
    query = "SELECT allocated FROM st_sequence WHERE sequence_name = 'open_id_seq'"
    equal(db.sql(query), [(1,)])
    db.ok(["insert", "open", [0, 1]])
    equal(db.sql(query), [(4097,)])
    db.ok(*[["insert", "open", [0, i]] for i in range(4096)])
    equal(db.sql(query), [(8193,)])


def line_27_st_module_has_one_row(server):
    """Programs of kind 1 (js) are not run by this server."""
    db = Database(server, SECRETS)
    for _ in range(2):
        rows = db.sql("SELECT * FROM st_module")
        equal(len(rows), 1)
        database, owner, kind = rows[0][:3]
        equal((f"{int(str(database), 0):064x}", f"{int(str(owner), 0):064x}", kind),
              (db.identity, db.owner.identity, 0))
        equal(db.republish()[0], 200)


def line_28_st_client_during_connect_and_disconnect_and_after(server):
    db = Database(server, GUESTS)
    one, two = Client(db), Client(db, as_=db.other)
    both = sorted([number(one.connection), number(two.connection)])
    seen = [(name, clients_in(db, trace)) for name, trace in db.traces()]
    equal(seen, [("hello", [number(one.connection)]), ("hello", both)])
    two.close()
    until(lambda: db.pull() or db.pending, "the disconnect")
    equal([(name, clients_in(db, trace)) for name, trace in db.traces()], [("bye", both)])
    kind, _, _ = one.call(["scan", "st_client"])
    equal(kind, "result")
    equal(clients_in(db, db.traces()[-1][1]), [number(one.connection)])
    one.close()
    until(lambda: db.pull() or db.pending, "the disconnect")
    rows = db.sql("SELECT * FROM st_client")
    equal(len(rows), 1, "the query's own")


def line_29_a_refused_connection_leaves_no_row(server):
    db = Database(server, {"tables": [table("x", "a u32")],
                           "reducers": [{"name": "hello", "lifecycle": "connect",
                                         "ops": [["insert", "x", [1]], ["fail_if_count", "st_client", 2, "full"]]}]})
    inside = Client(db)
    socket = WebSocket(server.port, db.name, token=db.other.token)
    got = socket.next_message()
    assert got is None or got[0] == "close", got
    equal(db.sql("SELECT * FROM x", as_=db.other), "403 full")
    status, body = db.owner.call(db.name, "run", "")
    equal((status, body.decode()), (403, "full"))
    equal(inside.call(["scan", "st_client"], ["count", "x"])[0], "result")
    trace = next(t for name, t in db.traces() if name == "run")
    equal(clients_in(db, trace), [number(inside.connection)])


def line_30_a_failing_disconnect_removes_the_rows_all_the_same(server):
    for last in (["fail", "stay"], ["trap"]):
        db = Database(server, {"tables": [table("x", "a u32")],
                               "reducers": [{"name": "bye", "lifecycle": "disconnect",
                                             "ops": [["insert", "x", [1]], last]}]})
        client = Client(db)
        gone = number(client.connection)
        client.close()
        until(lambda: gone not in [r[1] for r in db.sql("SELECT * FROM st_client")], "the row to go")
        equal(len(db.sql("SELECT * FROM st_connection_credentials")), 1, "the query's own")
        equal(db.sql("SELECT * FROM x"), [], "the failed reducer's writes")


def line_31_disconnects_of_a_crash_run_once_before_anything_new(server):
    db = Database(server, GUESTS)
    clients = [Client(db), Client(db, as_=db.other), Client(db)]
    left = {number(c.connection) for c in clients}
    equal(db.functions(), ["hello"] * 3)
    clients[0].call(["count", "seen"])  # confirmed: the connections are in the log
    db.traces()
    db.restart()
    for restart in (1, 2):
        client = Client(db)
        equal(client.call(["scan", "st_client"], ["scan", "seen"])[0], "result")
        traces = db.traces()
        byes = [t for name, t in traces if name == "bye"]
        if restart == 1:
            equal([name for name, _ in traces], ["bye"] * 3 + ["hello", "run"])
            equal(sorted(len(clients_in(db, t)) for t in byes), [1, 2, 3])
            senders = sorted(t[0][2].split(",")[0] for t in byes)
            ids = [bytes.fromhex(h.identity)[::-1].hex() for h in (db.owner, db.owner, db.other)]
            equal(senders, sorted(ids))
            equal({int.from_bytes(bytes.fromhex(t[0][2].split(",")[1]), "little") for t in byes}, left)
        else:
            equal([name for name, _ in traces], ["bye", "hello", "run"], "only the one of the last run")
        equal(clients_in(db, traces[-1][1]), [number(client.connection)])
        db.restart()
    equal(db.count("seen"), 2, "a set: owner and other")
