"""Checklist 38, 42, 49 to 54, 58 to 60: views, procedures, migrations."""
from store_kit import Client, Database, equal, mutations_of, schedule_table, table, until

VIEWS = {"tables": [table("item", "id u32, n u32", key="id", indexes=["n"]),
                    table("poison", "a u32", key="a")],
         "views": [
             {"name": "v_all", "anonymous": True, "rows_of": "item", "ops": [["return_scan", "item", 8]]},
             {"name": "v_mine", "rows_of": "item", "ops": [["return_scan", "item", 8]]},
             {"name": "v_one", "anonymous": True, "rows_of": "item",
              "ops": [["return_point", "item_id_idx_btree", [1], 8]]},
             {"name": "v_count", "anonymous": True, "columns": [["n", "u64"]], "ops": [["return_count", "item"]]},
             {"name": "v_sql", "anonymous": True, "rows_of": "item", "query": True,
              "ops": [["return_sql", "SELECT * FROM item WHERE n = 5"]]},
             {"name": "v_over", "anonymous": True, "rows_of": "item", "query": True,
              "ops": [["return_sql", "SELECT * FROM v_all"]]},
             {"name": "v_poison", "anonymous": True, "columns": [["a", "u32"]],
              "ops": [["fail_if_count", "poison", 1, "poisoned"], ["return_rows", [["a", "u32"]], [[9]]]]}]}
PROCEDURES = {"tables": [schedule_table("pro", "on_pro"), table("t", "id u32", key="id")],
              "procedures": [{"name": "on_pro", "params": [["row", "row:pro"]],
                              "ops": [["start_tx"], ["count", "pro"], ["insert", "t", [1]], ["commit"]]}]}
OLD = {"tables": [table("t", "id u32, name string", key="id", auto=["id"]),
                  table("dup", "a u32, b u32", indexes=["a"])]}


def line_38_view_rows_are_not_logged(server):
    db = Database(server, VIEWS)
    client = Client(db)
    equal(client.subscribe("v_all"), {"v_all": []})
    changes = client.call(["insert", "item", [1, 5]])[2]
    equal(changes, {"v_all": ([], [(1, 5)])})
    item = db.sql("SELECT table_id FROM st_table WHERE table_name = 'item'")[0][0]
    last = [c for c in db.log().commits() if c.reducer == "run"][-1]
    equal(last.mutations, mutations_of([(item, [db.types.enc({"product": db.columns("item")}, [1, 5])])]))


def line_42_a_one_shot_procedure_finds_its_row_gone(server):
    db = Database(server, PROCEDURES)
    db.ok(["insert", "pro", [1, {"Time": 1000}, 1]])
    until(lambda: db.count("t") == 1, "the procedure", seconds=3)
    equal([t for name, t in db.traces() if name == "on_pro"][0][1], ["count", 0, "0"])


def line_49_one_run_for_all_or_one_per_identity(server):
    db = Database(server, VIEWS)
    one, two = Client(db), Client(db, as_=db.other)
    for c in (one, two):
        c.watch("v_all")
    db.view_runs()
    db.ok(["insert", "item", [1, 1]])
    equal(db.view_runs(), 1)
    for c in (one, two):
        equal(c.deltas(), [{"v_all": ([], [(1, 1)])}])
    db = Database(server, VIEWS)
    one, two = Client(db), Client(db, as_=db.other)
    for c in (one, two):
        c.watch("v_mine")
    db.view_runs()
    db.ok(["insert", "item", [1, 1]])
    equal(db.view_runs(), 2)


def line_50_what_runs_a_view_again(server):
    db = Database(server, VIEWS)
    client = Client(db)
    client.subscribe("v_one")
    db.view_runs()
    db.ok(["insert", "item", [2, 1]])
    equal(db.view_runs(), 0)
    db.ok(["insert", "item", [1, 1]])
    equal(db.view_runs(), 1)
    client.subscribe("v_count")
    db.view_runs()
    db.ok(["insert", "item", [3, 1]])
    equal(db.view_runs(), 1)


def line_51_an_unchanged_result_is_no_delta(server):
    db = Database(server, VIEWS)
    db.ok(["insert", "item", [1, 1]])
    client = Client(db)
    client.watch("v_count")
    db.ok(["update", "item_id_idx_btree", [1, 2]])
    equal(client.deltas(), [])


def line_52_a_failing_view_fails_the_reducer(server):
    db = Database(server, VIEWS)
    equal(Client(db).subscribe("v_poison"), {"v_poison": [(9,)]})
    done = db.run(["insert", "poison", [1]], ["insert", "item", [1, 1]])
    equal((done.status, done.body), (530, "The instance encountered a fatal error."))
    equal((db.count("poison"), db.count("item")), (0, 0))


def line_53_a_column_with_a_default(server):
    db = Database(server, OLD)
    db.ok(["insert", "t", [0, "a"]], ["insert", "t", [0, "b"]])
    before = db.sql("SELECT table_id FROM st_table WHERE table_name = 't'")
    client = Client(db)
    wider = table("t", "id u32, name string, score i32", key="id", auto=["id"], defaults={"score": 7})
    equal(db.publish_breaking({"tables": [wider, OLD["tables"][1]]})[0], 200)
    equal(client.next()[0], "closed")
    equal(sorted(db.sql("SELECT * FROM t")), [(1, "a", 7), (2, "b", 7)])
    after = db.sql("SELECT table_id FROM st_table WHERE table_name = 't'")
    assert after > before, (before, after)
    equal(db.ok(["insert", "t", [0, "c", 1]]), ["03000000"])


def line_54_a_a_reducer_has_no_transaction_to_end(server):
    db = Database(server, PROCEDURES)
    equal(db.errnos(["insert", "t", [1]], ["commit"], ["abort"], ["insert", "t", [2]]), [0, 18, 18, 0])
    equal(sorted(db.scan("t")), [(1,), (2,)])


def line_54_b_transactions_of_procedures(server):
    db = Database(server, PROCEDURES)
    done = db.run(["start_tx"], ["start_tx"], ["insert", "t", [1]], ["commit"], function="proc")
    equal(done.errnos, [0, 17, 0, 0])
    done = db.run(["insert", "t", [2]], function="proc")
    equal(done.errnos[-1], 2)
    equal(db.scan("t"), [(1,)])


def line_58_a_query_as_view(server):
    db = Database(server, VIEWS)
    client = Client(db)
    equal(client.subscribe("v_sql"), {"v_sql": []})
    db.view_runs()
    db.ok(["insert", "item", [1, 1]])
    equal(db.view_runs(), 1, "any write to the table runs it")
    db.sql("SELECT * FROM v_over")
    status, log = db.owner.request("GET", f"/v1/database/{db.name}/logs?num_lines=100")
    equal(status, 200)
    assert b"view definition cannot read from other views" in log, log


def line_59_a_table_with_rows_is_not_removed(server):
    db = Database(server, OLD)
    db.ok(["insert", "dup", [1, 1]])
    status, body = db.publish_breaking({"tables": OLD["tables"][:1]})
    equal(status, 400)
    text = ("Cannot remove table `dup`: table contains data. Clear the table's rows (e.g. via a reducer) before "
            "removing it from your schema.")
    assert text in body.decode(), body
    equal(db.scan("dup"), [(1, 1)])


def line_60_a_new_unique_constraint(server):
    unique = {"tables": [OLD["tables"][0], table("dup", "a u32, b u32", unique=["a"], indexes=["a"])]}
    db = Database(server, OLD)
    db.ok(["insert", "dup", [1, 1]], ["insert", "dup", [2, 2]])
    equal(db.publish(unique)[0], 200)
    equal(db.errnos(["insert", "dup", [1, 9]]), [12])
    db = Database(server, OLD)
    db.ok(*[["insert", "dup", [i % 12, i]] for i in range(24)])
    status, body = db.publish(unique)
    equal(status, 400)
    lines = body.decode().splitlines()
    table_id = db.sql("SELECT table_id FROM st_table WHERE table_name = 'dup'")[0][0]
    equal(lines[:2], ["Failed to create or update the database: DatastoreError: Cannot add unique constraint on table "
                      f"{table_id} column(s) [ColId(0)] (committed state):", "12 duplicate group(s) found."])
    equal((len(lines), lines[-1]), (13, "  ... and more"))
