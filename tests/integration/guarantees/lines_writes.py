"""Checklist 1 to 20, 55, 56: sets, updates, sequences, order, event tables."""
from store_kit import (NO_INDEX, NO_ROW, NOT_UNIQUE, OK, UNIQUE, WRONG_INDEX_ALGO, Client, Database, TextClient,
                       equal, table)

BASIC = {"tables": [
    table("t", "id u32, name string", key="id"),
    table("two", "id u32, email string, n i32", key="id", unique=["email"], indexes=["email", "n"]),
    table("many", "id u32, a u32, b string, c i32", key="id", indexes=["a b c", "b hash"]),
    table("opt", [["id", "u32"], ["v", {"option": "u32"}]], key="id", indexes=["v"]),
    table("floats", "v f64, n u32"),
    table("one_float", "v f64, n u32", unique=["v"], indexes=["v"]),
    table("ev", "id u32, text string", key="id", event=True)]}
EVENTS_NEED_V2 = ("Subscribing to event tables requires WebSocket v2. "
                  "Please upgrade your client SDK and regenerate your module bindings.")
AUTO = {"tables": [
    table("auto", "id u64, name string", key="id", auto=["id"]),
    table("small", "id u8, n u32", key="id", auto=["id"]),
    table("several", "a u64, x string, b u32, c i16", key="a", auto=["c", "a", "b"]),
    table("side", "id u32, seq u32, s string", key="id", auto=["seq"])]}
BY_ID = "t_id_idx_btree"


def u64(n):
    return n.to_bytes(8, "little").hex()


def line_01_the_same_row_twice_is_one_row_and_one_insert(server):
    db = Database(server, BASIC)
    client = Client(db)
    client.watch("t")
    db.ok(["insert", "t", [1, "a"]], ["insert", "t", [1, "a"]])
    equal(db.scan("t"), [(1, "a")])
    equal(client.deltas(), [{"t": ([], [(1, "a")])}])


def line_02_a_committed_equal_row_is_no_delta_and_no_offset(server):
    db = Database(server, BASIC)
    client = Client(db)
    client.watch("t")
    equal(client.call(["insert", "t", [1, "a"]])[2], {"t": ([], [(1, "a")])})
    commits = db.log().commits()
    equal(commits[-1].reducer, "run")
    kind, _, changes = client.call(["insert", "t", [1, "a"]], ["check"])
    equal((kind, changes), ("result", {}))
    equal(client.call(["insert", "t", [2, "b"]])[2], {"t": ([], [(2, "b")])})
    later = db.log().commits()
    equal(later[:-1], later[:len(commits)], "one more commit, not two")
    equal(later[-1].offset, commits[-1].offset + 1)


def line_03_delete_and_insert_of_an_equal_row_is_no_delta(server):
    db = Database(server, BASIC)
    db.ok(["insert", "t", [1, "a"]])
    client = Client(db)
    client.watch("t")
    equal(db.ok(["delete", "t", [1, "a"]], ["insert", "t", [1, "a"]])[0], 1)
    equal(client.deltas(), [])
    equal(db.scan("t"), [(1, "a")])


def line_04_insert_and_delete_of_a_new_row_is_no_delta(server):
    db = Database(server, BASIC)
    client = Client(db)
    client.watch("t")
    equal(db.ok(["insert", "t", [1, "a"]], ["delete", "t", [1, "a"]])[1], 1)
    equal(client.deltas(), [])
    equal(db.scan("t"), [])


def line_05_a_clash_is_12_and_earlier_writes_survive(server):
    db = Database(server, BASIC)
    db.ok(["insert", "t", [1, "a"]])
    equal(db.errnos(["insert", "t", [2, "b"]], ["insert", "t", [1, "z"]], ["insert", "t", [3, "c"]]), [OK, UNIQUE, OK])
    equal(sorted(db.scan("t")), [(1, "a"), (2, "b"), (3, "c")])


def line_06_a_deleted_key_can_be_taken(server):
    db = Database(server, BASIC)
    db.ok(["insert", "t", [1, "a"]])
    client = Client(db)
    client.watch("t")
    db.ok(["delete", "t", [1, "a"]], ["insert", "t", [1, "z"]])
    equal(client.deltas(), [{"t": ([(1, "a")], [(1, "z")])}])


def line_07_update_that_finds_nothing_15_not_unique_14_unknown_5(server):
    db = Database(server, BASIC)
    equal(db.errnos(["update", BY_ID, [9, "z"]], ["update", "two_n_idx_btree", [1, "e", 2]],
                    ["update", "no_such_index", [9, "z"], "t"]),
          [NO_ROW, NOT_UNIQUE, NO_INDEX, NO_INDEX])  # the last: the lookup of the name, then the update
    equal(db.scan("t"), [])


def line_08_update_to_the_same_is_no_delta(server):
    db = Database(server, BASIC)
    db.ok(["insert", "t", [1, "a"]])
    client = Client(db)
    client.watch("t")
    db.ok(["update", BY_ID, [1, "a"]])
    equal(client.deltas(), [])


def line_09_update_that_clashes_elsewhere_is_12_and_changes_nothing(server):
    db = Database(server, BASIC)
    db.ok(["insert", "two", [1, "x", 1]], ["insert", "two", [2, "y", 2]])
    client = Client(db)
    client.watch("two")
    equal(db.errnos(["update", "two_id_idx_btree", [1, "y", 5]]), [UNIQUE])
    equal(sorted(db.scan("two")), [(1, "x", 1), (2, "y", 2)])
    equal(client.deltas(), [])


def line_10_first_three_values_and_those_after_restarts(server):
    for kill in (True, False):
        db = Database(server, AUTO)
        equal(db.ok(*[["insert", "auto", [0, x]] for x in "abc"]), [u64(1), u64(2), u64(3)])
        db.sql("SELECT * FROM auto")  # waits until it is durable
        db.restart(kill)
        equal(db.ok(["insert", "auto", [0, "d"]]), [u64(4097)])
        db.sql("SELECT * FROM auto")
        db.restart(kill)
        equal(db.ok(["insert", "auto", [0, "e"]]), [u64(8193)])


def line_11_an_explicit_value_does_not_move_the_sequence(server):
    db = Database(server, AUTO)
    equal(db.ok(["insert", "auto", [42, "x"]]), [""])
    equal(db.ok(*[["insert", "auto", [0, f"n{i}"]] for i in range(1, 42)]), [u64(i) for i in range(1, 42)])
    equal(db.errnos(["insert", "auto", [0, "clash"]]), [UNIQUE])
    equal(db.ok(["insert", "auto", [0, "on"]]), [u64(43)])


def line_12_a_failed_call_leaves_a_gap(server):
    db = Database(server, AUTO)
    db.ok(["insert", "auto", [0, "a"]])
    equal(db.run(["insert", "auto", [0, "b"]], ["fail", "no"]).status, 530)
    equal(db.ok(["insert", "auto", [0, "c"]]), [u64(3)])


def line_13_u8_key_255_values_then_0_then_a_clash(server):
    db = Database(server, AUTO)
    got = db.ok(*[["insert", "small", [0, i]] for i in range(256)])
    equal([int(x, 16) for x in got], [*range(1, 256), 0])
    equal(db.errnos(["insert", "small", [0, 999]]), [UNIQUE])
    equal(len(db.scan("small")), 256)


def line_14_write_back_is_the_generated_columns_in_column_order(server):
    db = Database(server, AUTO)
    equal(db.ok(["insert", "several", [0, "x", 0, 0]])[0], "0100000000000000" "01000000" "0100")
    equal(db.ok(["insert", "several", [7, "y", 0, 5]])[0], "02000000")
    equal(db.ok(["insert", "several", [8, "z", 3, 4]])[0], "")
    equal(sorted(db.scan("several")), [(1, "x", 1, 1), (7, "y", 2, 5), (8, "z", 3, 4)])


def line_15_update_with_zero_draws(server):
    db = Database(server, AUTO)
    db.ok(["insert", "side", [1, 50, "a"]])
    equal(db.ok(["update", "side_id_idx_btree", [1, 0, "b"]]), ["01000000"])
    equal(db.scan("side"), [(1, 1, "b")])


def line_16_ranges_come_in_key_order(server):
    db = Database(server, BASIC)
    keys = [(2, "b", 1), (1, "b", 5), (2, "a", -3), (1, "a", 9), (2, "b", -7), (1, "b", -5), (2, "", 0)]
    db.ok(*[["insert", "many", [i, *k]] for i, k in enumerate(keys)])
    index = "many_a_b_c_idx_btree"

    def order(prefix, lo, hi):
        return [row[1:] for row in map(tuple, db.ok(["range", index, prefix, lo, hi])[0])]
    everything = sorted(keys)
    equal(order([], ["all"], ["all"]), everything)
    equal(order([2], ["all"], ["all"]), [k for k in everything if k[0] == 2])
    equal(order([1, "b"], ["all"], ["all"]), [(1, "b", -5), (1, "b", 5)])
    equal(order([2, "b"], ["ex", -7], ["in", 1]), [(2, "b", 1)])
    equal(order([2], ["in", ""], ["ex", "b"]), [(2, "", 0), (2, "a", -3)])


def line_17_a_range_over_a_hash_index_is_10(server):
    db = Database(server, BASIC)
    db.ok(["insert", "many", [1, 1, "x", 1]])
    equal(db.errnos(["range", "many_b_idx_hash", [], ["all"], ["all"]],
                    ["range", "many_b_idx_hash", [], ["in", "a"], ["ex", "z"]],
                    ["delete_range", "many_b_idx_hash", [], ["all"], ["all"]]), [WRONG_INDEX_ALGO] * 3)
    equal(db.ok(["point", "many_b_idx_hash", ["x"]]), [[[1, 1, "x", 1]]])


def line_18_some_sorts_before_none(server):
    db = Database(server, BASIC)
    db.ok(["insert", "opt", [1, None]], ["insert", "opt", [2, {"some": 7}]], ["insert", "opt", [3, {"some": 0}]],
          ["insert", "opt", [4, None]])
    equal([r[0] for r in db.ok(["range", "opt_v_idx_btree", [], ["all"], ["all"]])[0]], [3, 2, 1, 4])


def line_19_event_table(server):
    db = Database(server, BASIC)
    client = Client(db)
    equal(client.watch("ev"), {})
    equal(db.ok(["insert", "ev", [1, "a"]], ["count", "ev"], ["scan", "ev"])[1:], [1, [[1, "a"]]])
    equal(db.ok(["count", "ev"], ["scan", "ev"]), [0, []])
    equal(db.sql("SELECT * FROM ev"), [])
    equal(db.errnos(["insert", "ev", [1, "b"]], ["insert", "ev", [1, "c"]]), [OK, UNIQUE])
    equal(client.deltas(), [{"ev": ([], [(1, "a")])}, {"ev": ([], [(1, "b")])}])
    equal(Client(db).subscribe("ev"), {}, "a later subscriber")


def line_20_event_table_over_v1(server):
    db = Database(server, BASIC)
    client = TextClient(db)
    kind, content = client.ask("SubscribeSingle", query="SELECT * FROM ev", request_id=1, query_id={"id": 1})
    equal((kind, content["error"]), ("SubscriptionError", EVENTS_NEED_V2))
    kind, content = client.ask("SubscribeMulti", query_strings=["SELECT * FROM t", "SELECT * FROM ev"], request_id=2,
                               query_id={"id": 2})
    equal((kind, content["error"]), ("SubscriptionError", EVENTS_NEED_V2))
    kind, content = client.ask("Subscribe", query_strings=["SELECT * FROM ev"], request_id=3)
    equal(kind, "InitialSubscription")
    equal([u for t in content["database_update"]["tables"] for u in t["updates"] if u["inserts"] or u["deletes"]], [])


def line_55_an_iterator_yields_the_rows_of_its_opening(server):
    db = Database(server, BASIC)
    rows = [[i, "x" * (i % 97)] for i in range(3000)]
    db.ok(*[["insert", "t", r] for r in rows])
    done = db.ok(["open", 0, "t"], ["clear", "t"], *[["insert", "t", [i, "new"]] for i in range(50)],
                 ["drain", 0], ["count", "t"])
    equal(done[1], 3000)
    equal([list(r) for r in done[-2]], rows)
    equal(done[-1], 50)


def line_56_zero_and_minus_zero(server):
    db = Database(server, BASIC)
    equal(db.errnos(["insert", "floats", [0.0, 1]], ["insert", "floats", ["-0.0", 1]]), [OK, OK])
    equal(sorted(str(r[0]) for r in db.scan("floats")), ["-0.0", "0.0"])
    equal(db.errnos(["insert", "one_float", [0.0, 1]], ["insert", "one_float", ["-0.0", 1]]), [OK, UNIQUE])
