"""Orders, event tables, private tables, limits, system tables."""
import random

from store_kit import (OK, SYSTEM, UNIQUE, Client, Database, equal, mutations_of, opvm, table)

TABLES = {"tables": [
    table("first", "id u32, name string", key="id"),
    table("second", "k u32, v u32", indexes=["k", "k hash"]),
    table("ev", "id u32, text string", key="id", auto=["id"], event=True),
    table("secret", "a u32", public=False)]}


def encode(db, name, *rows):
    return [db.types.enc({"product": db.columns(name)}, row) for row in rows]


def id_of(db, name):
    return db.sql(f"SELECT table_id FROM st_table WHERE table_name = '{name}'")[0][0]


# -------------------------------------------------------------------------- orders

def rule_equal_keys_keep_the_order_of_insertion(server):
    """Through both kinds of index, with deletes in between, beyond the size at which the reference gives up,
    in a transaction, after it, after a restart."""
    db = Database(server, TABLES)
    order = {1: [], 2: []}
    rng = random.Random(7)

    def check(what):
        for k in order:
            for ask in (["point", "second_k_idx_btree", [k]], ["point", "second_k_idx_hash", [k]],
                        ["range", "second_k_idx_btree", [], ["in", k], ["in", k]]):
                equal([r[1] for r in db.ok(ask)[0]], order[k], f"{what}: {ask[:2]}")
    n = 0
    for _ in range(4):
        ops = []
        for _ in range(500):
            k = rng.choice((1, 2))
            n += 1
            order[k].append(n)
            ops.append(["insert", "second", [k, n]])
        for k in order:
            for gone in rng.sample(order[k], 60):
                order[k].remove(gone)
                ops.append(["delete", "second", [k, gone]])
        db.ok(*ops)
        check("after the call")
    for kill in (True, False):
        db.restart(kill)
        check("after a restart")
        ops = []
        for k in order:
            victim = order[k].pop(len(order[k]) // 2)
            n += 1
            order[k].append(n)
            ops += [["delete", "second", [k, victim]], ["insert", "second", [k, n]]]
        db.ok(*ops)
        check("and further writes")


def rule_the_log_lists_tables_by_id_and_rows_as_inserted(server):
    db = Database(server, TABLES)
    first, second = id_of(db, "first"), id_of(db, "second")
    assert first < second
    client = Client(db)
    rows = [(9, 1), (3, 2), (9, 0), (1, 7)]
    client.call(*[["insert", "second", list(r)] for r in rows], ["insert", "first", [8, "x"]],
                ["insert", "first", [2, "y"]])
    equal(db.log().commits()[-1].mutations,
          mutations_of([(first, encode(db, "first", (8, "x"), (2, "y"))), (second, encode(db, "second", *rows))]))
    client.call(["delete", "second", [3, 2]], ["delete", "first", [8, "x"]], ["insert", "second", [4, 4]])
    equal(db.log().commits()[-1].mutations,
          mutations_of([(second, encode(db, "second", (4, 4)))],
                       [(first, encode(db, "first", (8, "x"))), (second, encode(db, "second", (3, 2)))]))


# -------------------------------------------------------------------- event tables

def rule_events_are_logged_and_not_stored(server):
    db = Database(server, TABLES)
    ev = id_of(db, "ev")
    equal(db.sql(f"SELECT table_type FROM st_table WHERE table_id = {ev}"), [("user",)])
    equal(db.sql("SELECT * FROM st_event_table"), [(ev,)])
    client = Client(db)
    client.call(["insert", "ev", [7, "a"]])
    commits = db.log().commits()
    equal(commits[-1].mutations, mutations_of([(ev, encode(db, "ev", (7, "a")))]))
    client.call(["insert", "ev", [7, "a"]])
    equal(len(db.log().commits()), len(commits) + 1, "the same again is an event again")
    client.call(["insert", "ev", [8, "b"]], ["delete", "ev", [8, "b"]])
    equal(len(db.log().commits()), len(commits) + 1, "none inside a call that takes it back")
    for kill in (True, False):
        db.restart(kill)
        equal(db.ok(["count", "ev"], ["scan", "ev"]), [0, []])
        equal(db.errnos(["insert", "ev", [7, "z"]], ["insert", "ev", [7, "y"]]), [OK, UNIQUE])


def rule_events_draw_from_their_sequence(server):
    db = Database(server, TABLES)
    equal(db.ok(["insert", "ev", [0, "a"]], ["insert", "ev", [0, "b"]]), ["01000000", "02000000"])
    equal(db.ok(["insert", "ev", [0, "a"]]), ["03000000"])
    db.restart()
    equal(db.ok(["insert", "ev", [0, "a"]]), ["01100000"])


def rule_an_event_table_is_no_side_to_look_up_in(server):
    db = Database(server, TABLES)
    client = Client(db)
    try:
        rows = client.subscribe("SELECT first.* FROM first JOIN ev ON first.id = ev.id")
    except AssertionError as e:
        text = "Event tables cannot be used as the lookup table in subscription joins"
        assert text in str(e), e
    else:
        raise AssertionError(f"subscribed: {rows}")


# ------------------------------------------------------------------- private, limits

def rule_a_private_table_is_there_for_modules(server):
    db = Database(server, TABLES)
    equal(db.ok(["insert", "secret", [1]], ["scan", "secret"], as_=db.other)[1], [[1]])
    equal(db.sql("SELECT table_access FROM st_table WHERE table_name = 'secret'", as_=db.other), [("private",)])
    one = Client(db, as_=db.other)
    one.watch("first")
    db.ok(["insert", "secret", [2]], ["insert", "first", [1, "a"]])
    equal(one.deltas(), [{"first": ([], [(1, "a")])}])


def rule_a_long_reducer_name_is_cut_in_the_log(server):
    name = "\u00e4" * 200
    db = Database(server, {"tables": [table("t", "a u32")],
                           "reducers": [{"name": name, "params": [["ops", "bytes"]], "ops": [["insert", "t", [1]]]}]})
    client = Client(db)
    equal(client.call(reducer=name)[0], "result")
    last = db.log().commits()[-1]
    equal((last.record[5], last.reducer), (254, "\u00e4" * 127))
    db.restart()
    equal(db.scan("t"), [(1,)])


def rule_a_wide_and_a_long_row(server):
    db = Database(server, {"tables": [{"name": "wide", "columns_repeat": [2000, "u8"]},
                                      table("t", "id u32, text string", key="id")]})
    row = [i % 251 for i in range(2000)]
    long = {"$repeat": ["x", 900_000]}
    db.ok(["insert", "wide", row], ["insert", "wide", row], ["insert", "t", [1, long]], ["insert", "t", [2, long]])
    for _ in range(2):
        got, = db.sql("SELECT * FROM wide")
        equal(list(got), row)
        equal([len(r[1]) for r in db.sql("SELECT * FROM t")], [900_000] * 2)
        equal(db.ok(["delete", "t", [2, long]], ["insert", "t", [2, long]]), [1, ""])
        db.restart()


# ------------------------------------------------------------------- system tables

U128_MAX = 2 ** 127 - 1
# table id: [indexes as "columns" ("columns*" = not unique)], [constraints as "columns"], sequence column
OBJECTS = {
    1: (["table_id", "table_name"], ["table_id", "table_name"]),
    2: (["table_id col_pos"], ["table_id col_pos"]),
    3: (["sequence_id"], ["sequence_id"]),
    4: (["index_id"], ["index_id"]),
    5: (["constraint_id"], ["constraint_id"]),
    7: (["identity connection_id"], ["identity connection_id"]),
    8: (["name"], ["name"]),
    9: (["schedule_id", "table_id"], ["schedule_id", "table_id"]),
    10: (["table_id", "sql"], ["sql"]),
    11: (["connection_id"], ["connection_id"]),
    12: (["view_id", "view_name"], ["view_id", "view_name"]),
    13: (["view_id param_pos"], ["view_id param_pos"]),
    14: (["view_id col_pos"], ["view_id col_pos"]),
    15: (["identity", "has_subscribers", "view_id arg_id identity"], []),
    16: (["id", "bytes"], ["id", "bytes"]),
    17: (["table_id"], ["table_id"]),
    18: (["table_name", "accessor_name"], ["table_name", "accessor_name"]),
    19: (["index_name", "accessor_name"], ["index_name", "accessor_name"]),
    20: (["table_name col_name", "table_name accessor_name"], ["table_name col_name", "table_name accessor_name"]),
}
SEQUENCES = [(1, "table_id"), (4, "index_id"), (5, "constraint_id"), (9, "schedule_id"), (3, "sequence_id"),
             (12, "view_id"), (16, "id")]


def bootstrap():
    """Rows of a fresh database that concern the system tables, as values."""
    names, types = list(SYSTEM), opvm.Definition({})
    out = {name: [] for name in SYSTEM}

    def positions(table_id, columns):
        listed = [c[0] for c in SYSTEM[names[table_id - 1]][0]]
        return [listed.index(c) for c in columns.split()]

    for table_id, name in enumerate(names, 1):
        columns, key = SYSTEM[name]
        access = "private" if name == "st_connection_credentials" else "public"
        out["st_table"].append([table_id, name, "system", access, None if key is None else {"some": [key]}])
        out["st_column"] += [[table_id, i, c, types.at(t).hex()] for i, (c, t) in enumerate(columns)]
        indexes, constraints = OBJECTS.get(table_id, ([], []))
        for columns in indexes:
            out["st_index"].append([len(out["st_index"]) + 1, table_id, f"{name}_{columns.replace(' ', '_')}_idx_btree",
                                    {"BTree": positions(table_id, columns)}])
        for columns in constraints:
            out["st_constraint"].append([len(out["st_constraint"]) + 1, f"{name}_{columns.replace(' ', '_')}_key",
                                         table_id, {"Unique": positions(table_id, columns)}])
    for i, (table_id, column) in enumerate(SEQUENCES, 1):
        name = names[table_id - 1]
        out["st_sequence"].append([i, f"{name}_{column}_seq", table_id, 0, 1, 4097, 1, U128_MAX, 4096])
    return out


def rule_system_tables_of_a_fresh_database_to_the_byte(server):
    """Bytes of rows as the v2 protocol gives them, less those of what the module itself brings."""
    db = Database(server, {})
    client = Client(db)
    raw = {}
    decode, db.rows = db.rows, lambda name, data: raw.setdefault(name, data)
    client.subscribe(*SYSTEM)
    db.rows = decode
    want = bootstrap()
    own = {"st_module", "st_client", "st_connection_credentials", "st_table_accessor", "st_column_accessor"}
    for name in SYSTEM:
        columns = {"product": db.columns(name)}
        rows, at = [], 0
        while at < len(raw.get(name, b"")):
            values, end = db.types.dec(columns, raw[name], at)
            if name not in own and not any(isinstance(v, int) and 4096 <= v < 8192 for v in values[:3]):
                rows.append(raw[name][at:end])
            at = end
        wanted = [db.types.enc(columns, row) for row in want[name]]
        if name == "st_sequence":  # that of st_table has given out an id
            wanted[0] = db.types.enc(columns, want[name][0][:-1] + [8192])
        equal(sorted(rows), sorted(wanted), name)


def rule_sql_does_not_write_system_tables(server):
    db = Database(server, TABLES)
    before = {name: db.sql(f"SELECT * FROM {name}") for name in ("st_table", "st_module", "st_event_table", "st_index")}
    for query in ("DELETE FROM st_module", "UPDATE st_table SET table_access = 'public'", "DELETE FROM st_index",
                  "INSERT INTO st_event_table (table_id) VALUES (4096)", "DELETE FROM st_client",
                  "UPDATE st_sequence SET allocated = 1"):
        answer = db.sql(query)
        assert isinstance(answer, str) and answer.startswith("400 "), (query, answer)
    equal({name: db.sql(f"SELECT * FROM {name}") for name in before}, before)
    db.restart()
    equal({name: db.sql(f"SELECT * FROM {name}") for name in before}, before)


def rule_modules_do_not_write_system_tables(server):
    db = Database(server, TABLES)
    before = {name: sorted(db.sql(f"SELECT * FROM {name}")) for name in SYSTEM if name != "st_client"}
    del before["st_connection_credentials"]
    for op in (["clear", "st_event_table"], ["delete_point", "st_table_table_id_idx_btree", {"$hex": "00100000"}],
               ["clear", "st_sequence"], ["insert", "st_event_table", {"$hex": "00100000"}]):
        equal(db.run(op).status, 530, op)
    equal({name: sorted(db.sql(f"SELECT * FROM {name}")) for name in before}, before)
    db.ok(["insert", "first", [1, "a"]])
