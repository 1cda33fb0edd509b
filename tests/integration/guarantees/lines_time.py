"""Checklist 41, 43 to 48, 57: scheduled tables."""
import signal
import time

from store_kit import TOO_LONG, Client, Database, equal, schedule_table, table, until

TIMES = {"tables": [schedule_table("tick", "on_tick"), schedule_table("bad", "on_bad"), table("done", "n u32")],
         "reducers": [
             {"name": "on_tick", "params": [["row", "row:tick"]],
              "ops": [["ctx"], ["scan", "tick"], ["insert", "done", [1]]]},
             {"name": "on_bad", "params": [["row", "row:bad"]],
              "ops": [["ctx"], ["insert", "done", [2]], ["fail", "no luck"]]}]}
MILLI, SECOND, HOUR = 1000, 1_000_000, 3_600_000_000


def soon(micros):
    return {"Time": {"$now": micros}}


def context(trace):
    """Sender and connection as on the wire in hex, timestamp, the scheduled row's id and tag."""
    sender, connection, timestamp, args = next(t[2] for t in trace if t[0] == "ctx").split(",")
    row = bytes.fromhex(args)
    micros = int.from_bytes(bytes.fromhex(timestamp), "little")
    return sender, connection, micros, int.from_bytes(row[:8], "little"), int.from_bytes(row[17:21], "little")


def runs(db):
    """Contexts of the scheduled calls since the last look."""
    return [context(trace) for name, trace in db.traces() if name.startswith("on_")]


def tags(db):
    return [r[4] for r in runs(db)]


def collect(db, n, what):
    """The contexts of the next n scheduled calls."""
    out = []
    until(lambda: out.extend(runs(db)) or len(out) >= n, what)
    return out


def line_41_a_one_shot_sees_its_row_and_loses_it_in_an_update_of_its_own(server):
    db = Database(server, TIMES)
    client = Client(db)
    client.watch("tick", "bad", "done")
    db.ok(["insert", "tick", [5, {"Time": 1000}, 7]])
    row = (5, (("Time", 1000),), 7)
    until(lambda: db.count("tick") == 0, "the row to go")
    (_, trace), = [t for t in db.traces() if t[0] == "on_tick"]
    equal(db.rows("tick", bytes.fromhex(trace[1][2])), [row], "inside")
    equal(client.deltas(), [{"tick": ([], [row])}, {"done": ([], [(1,)])}, {"tick": ([row], [])}])
    db.ok(["insert", "bad", [6, {"Time": 1000}, 8]])
    row = (6, (("Time", 1000),), 8)
    until(lambda: db.count("bad") == 0, "the row of the failing one to go")
    equal(tags(db), [8], "no second try")
    equal(client.deltas(), [{"bad": ([], [row])}, {"bad": ([row], [])}])


def line_43_an_interval_keeps_its_phase_and_skips_what_it_missed(server):
    period = 200 * MILLI
    db = Database(server, TIMES)
    called, _ = db.ok(["ctx"], ["insert", "tick", [1, {"Interval": period}, 1]])
    called = int.from_bytes(bytes.fromhex(called.split(",")[2]), "little")
    times = [r[2] for r in collect(db, 3, "three calls")]
    base = called + min((t - called) % period for t in times)
    for _ in range(100):  # until it is woken in the middle between two ticks
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(0.7)
        server.process.send_signal(signal.SIGCONT)
        woken = len(times)
        while len(times) < woken + 10:
            times += [r[2] for r in collect(db, 1, "the next call")]
        late = (times[woken] - base) % period
        if period / 3 < late < period * 0.9:
            break
    base = called + min((t - called) % period for t in times)
    slots = [(t - base) // period for t in times]
    equal(slots, sorted(set(slots)), f"two calls for one tick: {times}")
    on_time = min((t - called) % period for t in times[:3])
    off = min((t - called - on_time + period // 12) % period for t in times[woken + 1:])
    assert off < period / 6, f"the phase has gone: {times}"
    equal(db.count("tick"), 1)


def line_44_a_deleted_row_does_not_fire(server):
    db = Database(server, TIMES)
    db.ok(["insert", "tick", [1, soon(150 * MILLI), 1]], ["insert", "tick", [2, soon(300 * MILLI), 2]])
    db.ok(["delete_point", "tick_id_idx_btree", [1]])
    equal([r[4] for r in collect(db, 1, "the other one")], [2])


def line_45_an_update_moves_the_time(server):
    db = Database(server, TIMES)
    db.ok(["insert", "tick", [1, soon(HOUR), 1]], ["insert", "tick", [2, soon(100 * MILLI), 2]])
    db.ok(["update", "tick_id_idx_btree", [1, soon(200 * MILLI), 11]],
          ["update", "tick_id_idx_btree", [2, soon(HOUR), 12]])
    equal([r[4] for r in collect(db, 1, "the one that was moved to now")], [11])
    db.ok(["update", "tick_id_idx_btree", [2, soon(0), 22]])
    equal([r[4] for r in collect(db, 1, "the one that was moved away, and back")], [22])


def line_46_after_a_restart(server):
    db = Database(server, TIMES)
    period = 1500 * MILLI
    db.ok(["insert", "tick", [1, soon(600 * MILLI), 1]], ["insert", "tick", [2, {"Interval": period}, 2]])
    db.count("tick")  # confirmed
    server.kill()
    time.sleep(1)
    started = int(time.time() * SECOND)
    server.start()
    db.count("tick")
    calls = collect(db, 3, "the overdue one and two of the interval")
    equal([c[4] for c in calls], [1, 2, 2])
    assert calls[1][2] >= started + period, (calls, started)
    equal(db.count("tick"), 1)


def line_47_three_years_are_too_long(server):
    db = Database(server, TIMES)
    years = 3 * 365 * 24 * HOUR
    equal(db.errnos(["insert", "tick", [1, soon(years), 1]], ["insert", "tick", [2, {"Interval": years}, 1]],
                    ["insert", "tick", [3, {"Interval": -years}, 1]],
                    ["insert", "tick", [4, soon(years * 6 // 10), 1]]),
          [TOO_LONG, TOO_LONG, TOO_LONG, 0])
    equal(sorted(r[0] for r in db.scan("tick")), [1, 2, 3, 4], "the rows stay")
    db.restart()
    db.ok(["insert", "tick", [9, soon(0), 9]])
    equal(tags(db) or [r[4] for r in collect(db, 1, "a call")], [9], "and do not fire")


def line_48_who_calls_and_when(server):
    db = Database(server, TIMES)
    intended = int(time.time() * SECOND) + 300 * MILLI
    db.ok(["insert", "tick", [1, {"Time": intended}, 1]])
    (sender, connection, timestamp, row_id, tag), = collect(db, 1, "the call")
    equal((bytes.fromhex(sender)[::-1].hex(), connection, row_id, tag), (db.identity, "0" * 32, 1, 1))
    assert timestamp >= intended, (timestamp, intended)


def line_57_a_publish_of_the_same_begins_the_schedule_anew(server):
    db = Database(server, TIMES)
    period = 3000 * MILLI
    db.ok(["insert", "tick", [1, soon(200 * MILLI), 1]], ["insert", "tick", [2, {"Interval": period}, 2]])
    equal(db.sql("UPDATE tick SET id = 5 WHERE id = 1"), [], "now its entry finds no row")
    time.sleep(0.5)
    equal(runs(db), [])
    began = int(time.time() * SECOND)
    equal(db.republish()[0], 200)
    calls = collect(db, 2, "the overdue one and one of the interval")
    equal([(c[3], c[4]) for c in calls], [(5, 1), (2, 2)])
    assert calls[1][2] >= began + period, (calls, began)
