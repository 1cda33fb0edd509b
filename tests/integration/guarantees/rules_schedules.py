"""Scheduled tables over restarts, and when somebody sets the clock."""
import time

from lines_time import HOUR, MILLI, SECOND, TIMES, collect, runs, soon, tags
from store_kit import Database, equal, moody_server, until


def rule_what_is_due_later_survives_a_restart(server):
    for kill in (True, False):
        db = Database(server, TIMES)
        intended = int(time.time() * SECOND) + 1200 * MILLI
        db.ok(["insert", "tick", [1, {"Time": intended}, 1]], ["insert", "tick", [2, soon(HOUR), 2]])
        db.restart(kill)
        db.count("tick")
        (call,) = collect(db, 1, "the call")
        equal(call[3:], (1, 1))
        assert call[2] >= intended, (call, intended)
        until(lambda: db.count("tick") == 1, "the row to go")
        equal(tags(db), [])


def rule_several_overdue_ones_fire_once_each_in_their_order(server):
    db = Database(server, TIMES)
    now = int(time.time() * SECOND) + 400 * MILLI
    db.ok(*[["insert", "tick", [i, {"Time": now + i * MILLI}, i]] for i in (4, 1, 3, 5, 2)])
    db.count("tick")
    server.kill()
    time.sleep(0.6)
    server.start()
    equal(db.ok(["count", "done"]) and [c[4] for c in collect(db, 5, "all of them")], [1, 2, 3, 4, 5])
    until(lambda: db.count("tick") == 0, "the rows to go")
    db.restart()
    db.ok(["insert", "tick", [9, soon(0), 9]])
    equal([c[4] for c in collect(db, 1, "a new one")], [9], "what ran does not run again")


def rule_failing_ones_are_not_tried_again_after_a_restart(server):
    db = Database(server, TIMES)
    db.ok(["insert", "bad", [1, {"Time": 1000}, 1]], ["insert", "bad", [2, {"Interval": 100 * MILLI}, 2]])
    equal({c[4] for c in collect(db, 3, "the failing ones, the interval again and again")}, {1, 2})
    db.count("bad")
    db.restart()
    equal([c[4] for c in collect(db, 2, "the interval goes on")], [2, 2])
    equal(db.sql("SELECT id FROM bad"), [(2,)])
    equal(db.count("done"), 0, "what a failing one wrote")


def rule_the_tables_of_a_restart_have_no_row_of_a_rolled_back_call(server):
    db = Database(server, TIMES)
    equal(db.run(["insert", "tick", [1, soon(100 * MILLI), 1]], ["fail", "no"]).status, 530)
    db.ok(["insert", "tick", [2, soon(150 * MILLI), 2]])
    equal([c[4] for c in collect(db, 1, "the committed one")], [2])
    equal(db.run(["update", "tick_id_idx_btree", [2, soon(0), 7]], ["fail", "no"]).status, 530)
    db.restart()
    db.ok(["insert", "tick", [3, soon(100 * MILLI), 3]])
    equal([c[4] for c in collect(db, 1, "the next")], [3])


def rule_the_clock_put_forward(server):
    """What became due by it runs once; an interval runs once for all that it missed and goes on."""
    with moody_server() as (machine, mood):
        db = Database(machine, TIMES)
        db.ok(["insert", "tick", [1, soon(HOUR // 2), 1]], ["insert", "tick", [2, {"Interval": 300 * MILLI}, 2]],
              ["insert", "tick", [3, soon(2 * HOUR), 3]])
        collect(db, 1, "the interval")
        jump = int(time.time() * SECOND) + HOUR
        mood("clock", "3600")
        db.ok(["insert", "done", [9]])
        calls = []
        until(lambda: calls.extend(runs(db)) or sum(c[2] >= jump for c in calls) >= 5, "five calls after the jump")
        equal([c[4] for c in calls if c[4] != 2], [1])
        after = [c[2] for c in calls if c[4] == 2 and c[2] >= jump]
        assert all(b - a > 100 * MILLI for a, b in zip(after[1:], after[2:])), f"caught up on what was missed: {after}"
        equal(db.sql("SELECT id FROM tick WHERE id = 1"), [])


def rule_the_clock_put_back(server):
    """Intervals and new rows go on; what is meant for a certain time does not run before it."""
    with moody_server() as (machine, mood):
        db = Database(machine, TIMES)
        intended = int(time.time() * SECOND) + 1000 * MILLI
        db.ok(["insert", "tick", [1, {"Time": intended}, 1]], ["insert", "tick", [2, {"Interval": 300 * MILLI}, 2]])
        collect(db, 1, "the interval")
        mood("clock", "-3600")
        db.ok(["insert", "tick", [3, soon(200 * MILLI), 3]], ["insert", "tick", [4, {"Interval": 250 * MILLI}, 4]])
        calls = []
        until(lambda: calls.extend(runs(db)) or [c[4] for c in calls].count(2) > 3, "the interval")
        equal({c[4] for c in calls}, {2, 3, 4})
        mood("clock", None)
        until(lambda: calls.extend(runs(db)) or 1 in [c[4] for c in calls], "the time of the first")
        assert all(c[2] >= intended for c in calls if c[4] == 1), (calls, intended)
        stamps = [c[2] for c in calls]
        equal(stamps, sorted(set(stamps)), "timestamps rise")
        until(lambda: db.count("tick") == 2, "the rows to go")
        equal(sorted(db.sql("SELECT id FROM tick")), [(2,), (4,)])
