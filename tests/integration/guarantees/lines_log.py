"""Checklist 32 to 37, 39, 40: the log on disk, and what is held until it is there."""
import os
import struct

from store_kit import (Client, Database, TextClient, equal, frame_of, moody_server, mutations_of, record_of, table)

PLAIN = {"tables": [table("t", "id u32, name string", key="id")]}
# A worked example of the format: offset 5, add("Alice") by 0x11.. over 0x22.., one row in, one out.
EXAMPLE = ("0500000000000000" "0000000000000000" "0100" "6f000000" "a0" "45000000" "03" "616464" + "11" * 32 + "22" * 16
           + "00401e18240a0600" "05000000416c696365" "01" "00100000" "01" "0700000005000000416c696365"
             "01" "00100000" "01" "0300000003000000426f62" "00" "ac971a74")


def row(db, *values):
    return db.types.enc({"product": db.columns("t")}, values)


def table_id(db, name):
    return db.sql(f"SELECT table_id FROM st_table WHERE table_name = '{name}'")[0][0]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def line_32_header_frame_and_checksum_to_the_byte(server):
    name, alice = struct.pack("<I", 5) + b"Alice", struct.pack("<I", 3) + b"Bob"
    mutations = mutations_of([(4096, [struct.pack("<I", 7) + name])], [(4096, [struct.pack("<I", 3) + alice])])
    equal(frame_of(5, record_of(mutations, "add", b"\x11" * 32, b"\x22" * 16, 1700000000000000, name)).hex(), EXAMPLE)

    db = Database(server, PLAIN)
    table = table_id(db, "t")
    client = Client(db)
    client.call(["insert", "t", [3, "Bob"]])
    ops = ["insert", "t", [7, "Alice"]], ["delete", "t", [3, "Bob"]]
    timestamp = client.call(*ops)[1]
    last = db.log().commits()[-1]
    args = db.assembler.ops(ops)
    mutations = mutations_of([(table, [row(db, 7, "Alice")])], [(table, [row(db, 3, "Bob")])])
    want = record_of(mutations, "run", client.identity, client.connection, timestamp,
                     struct.pack("<I", len(args)) + args)
    equal(last.frame.hex(), frame_of(last.offset, want).hex())
    equal(os.path.basename(last.path), "0" * 20 + ".stdb.log")
    equal([c.offset for c in db.log().commits()], list(range(last.offset + 1)))
    equal(db.log().commits()[0].has_inputs, False, "creation")


def line_33_garbage_behind_the_end_is_cut_off(server):
    for garbage in (b"\x07", b"\0" * 21, bytes(range(1, 22))):
        db = Database(server, PLAIN)
        db.ok(["insert", "t", [1, "a"]])
        equal(server.stop(), 0)
        path, = db.log().segments()
        good = read(path)
        write(path, good + garbage)
        server.start()
        equal(db.sql("SELECT * FROM t"), [(1, "a")])
        db.ok(["insert", "t", [2, "b"]])
        equal(server.stop(), 0)
        equal(db.log().segments(), [path])
        assert read(path).startswith(good), "what was there has changed"
        equal(db.log().commits()[-1].end, os.path.getsize(path), "nothing behind the last commit")
        server.start()
        equal(sorted(db.sql("SELECT * FROM t")), [(1, "a"), (2, "b")])


def line_34_a_flipped_byte_in_the_last_commit_loses_just_that(server):
    for place in (0, 9, 18, 22, -5, -1):  # offset, epoch, length, record, its end, checksum
        db = Database(server, PLAIN)
        client = Client(db)
        client.call(["insert", "t", [1, "a"]])
        client.call(["insert", "t", [2, "b"]])
        server.kill()
        path, = db.log().segments()
        last = db.log().commits()[-1]
        data = bytearray(read(path)[:last.end])
        data[last.at + place if place >= 0 else last.end + place] ^= 0x10
        write(path, data)
        server.start()
        equal(db.sql("SELECT * FROM t"), [(1, "a")], f"byte {place}")
        equal([os.path.basename(p) for p in db.log().segments()],
              ["0" * 20 + ".stdb.log", f"{last.offset:020}.stdb.log"])
        equal(read(path), bytes(data), "bad bytes are not written over")
        db.restart()
        equal(db.sql("SELECT * FROM t"), [(1, "a")])


def line_35_a_flipped_byte_in_the_middle_is_refused(server):
    for damage in (0, 22, -5, -1):
        db, bystander = Database(server, PLAIN), Database(server, PLAIN)
        bystander.ok(["insert", "t", [9, "z"]])
        db.ok(["insert", "t", [1, "a"]])
        db.ok(["insert", "t", [2, "b"]])
        equal(server.stop(), 0)
        path, = db.log().segments()
        victim = db.log().commits()[3]
        good = read(path)
        data = bytearray(good)
        data[victim.at + damage if damage >= 0 else victim.end + damage] ^= 0x10
        write(path, data)
        server.start()
        answer = db.sql("SELECT * FROM t")
        assert isinstance(answer, str) and answer.startswith("500 "), answer
        assert os.path.basename(path) in answer, f"the file is not named: {answer}"
        equal(bystander.sql("SELECT * FROM t"), [(9, "z")], "other databases work")
        equal(server.stop(), 0)
        equal(read(path), bytes(data), "a refused log is left as it is")
        write(path, good)
        server.start()
        equal(sorted(db.sql("SELECT * FROM t")), [(1, "a"), (2, "b")])


def line_36_what_changes_nothing_is_not_logged(server):
    db = Database(server, PLAIN)
    client = Client(db)
    client.call(["insert", "t", [1, "a"]])
    before = db.log().commits()
    for ops in ([], [["insert", "t", [1, "a"]]], [["insert", "t", [2, "b"]], ["delete", "t", [2, "b"]]],
                [["delete", "t", [1, "a"]], ["insert", "t", [1, "a"]]], [["update", "t_id_idx_btree", [1, "a"]]],
                [["scan", "t"]]):
        equal(client.call(*ops)[0], "result")
    equal(client.call(["insert", "t", [3, "c"]], ["fail", "no"])[0], "failed")
    equal([c.frame for c in db.log().commits()], [c.frame for c in before])
    client.call(["insert", "t", [4, "d"]])
    equal([c.offset for c in db.log().commits()[len(before):]], [len(before)])


def line_37_clearing_is_a_truncate(server):
    db = Database(server, PLAIN)
    table = table_id(db, "t")
    client = Client(db)
    client.call(["insert", "t", [1, "a"]], ["insert", "t", [2, "b"]])
    client.call(["clear", "t"])
    equal(db.log().commits()[-1].mutations, mutations_of(truncates=[table]))
    client.call(["insert", "t", [1, "a"]])
    client.call(["delete", "t", [1, "a"]])
    equal(db.log().commits()[-1].mutations, mutations_of(truncates=[table]), "the last row deleted by value")
    client.call(["insert", "t", [1, "a"]])
    client.call(["clear", "t"], ["insert", "t", [5, "e"]])
    equal(db.log().commits()[-1].mutations,
          mutations_of([(table, [row(db, 5, "e")])], [(table, [row(db, 1, "a")])]), "rows came in again")
    db.restart()
    equal(db.sql("SELECT * FROM t"), [(5, "e")])


def line_39_confirmed_updates_wait_for_the_disk(server):
    with moody_server() as (slow, mood):
        db = Database(slow, PLAIN)
        caller = Client(db, confirmed="false")
        waits, waits_too, at_once = Client(db), Client(db, confirmed="true"), Client(db, confirmed="false")
        for c in (waits, waits_too, at_once):
            c.subscribe("t")
        mood("hold", "")
        equal(caller.call(["insert", "t", [1, "a"]])[0], "result", "an unconfirmed call does not wait")
        update = "update", {"t": ([], [(1, "a")])}
        equal(at_once.next(), update)
        equal([c.is_silent(0.2) for c in (waits, waits_too)], [True, True])
        mood("hold", None)
        equal([c.next() for c in (waits, waits_too)], [update, update])


def line_40_v1_is_not_confirmed(server):
    with moody_server() as (slow, mood):
        db = Database(slow, PLAIN)
        caller = Client(db, confirmed="false")
        at_once, waits = TextClient(db), TextClient(db, query="&confirmed=true")
        for c in (at_once, waits):
            equal(c.ask("Subscribe", query_strings=["SELECT * FROM t"], request_id=1)[0], "InitialSubscription")
        mood("hold", "")
        equal(caller.call(["insert", "t", [1, "a"]])[0], "result")
        equal(at_once.next()[0], "TransactionUpdateLight")
        assert waits.is_silent(0.2)
        mood("hold", None)
        equal(waits.next()[0], "TransactionUpdateLight")
