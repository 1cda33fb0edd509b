"""Auto-increment sequences: ranges, directions, wrap-around, blocks, restarts, and what must not be copied."""
from store_kit import INTERPRETER, Client, Database, equal, opvm, table

BLOCK = 4096
I128_MAX = 2 ** 127 - 1


class Sequence:
    """The rules: a counter, and how far of it is on record."""

    def __init__(self, start=1, low=1, high=I128_MAX, step=1):
        self.low, self.high, self.step = low, high, step
        self.value = self.allocated = start

    def after(self, value):
        value += self.step
        if self.step > 0 and value > self.high:
            value = self.low + (value - self.high - 1) % (self.high - self.low + 1)
        if self.step < 0 and value < self.low:
            value = self.high - (self.low - value - 1) % (self.high - self.low + 1)
        return value

    def draw(self):
        if self.value == self.allocated:
            for _ in range(BLOCK):
                after = self.after(self.allocated)
                if after == self.value:
                    break
                self.allocated = after
        value, self.value = self.value, self.after(self.value)
        return value

    def restart(self):
        self.value = self.allocated


# Column type and definition: start, min, max, increment. None = not given.
RANGES = {
    "block_plus_one": ("i64", 1, 1, 4097, 1),
    "block_exactly": ("i64", 1, 1, 4096, 1),
    "block_less_one": ("i64", 1, 1, 4095, 1),
    "down": ("i64", 10000, 1, 10000, -1),
    "down_below_zero": ("i64", 3, -5000, 5000, -7),
    "down_short": ("i16", -1, -9, -1, -4),
    "step_of_3": ("u16", 2, 1, 10000, 3),
    "three_values": ("u8", 6, 5, 7, 1),
    "far_start": ("u64", 2 ** 64 - 3, 1, None, 1),
    "i64_wraps": ("i64", 2 ** 63 - 2, 1, None, 1),
    "u16_wraps": ("u16", 65534, 1, None, 1),
    "i128_end": ("i128", I128_MAX - 2, 1, None, 1),
    "from_the_bottom": ("i64", -3, -3, None, 1),
}
WIDTH = {t: (opvm.INT_BYTES[t], t[0] == "i") for t in opvm.INT_BYTES}


def ranges_module():
    def sequence(name):
        kind, start, low, high, step = RANGES[name]
        given = {"start": start, "min": low, "max": high}
        return {"column": "id", "increment": step, **{k: v for k, v in given.items() if v is not None}}
    return {"tables": [table(name, f"id {RANGES[name][0]}, n u32", auto=[sequence(name)]) for name in RANGES]}


def cast(value, kind):
    size, signed = WIDTH[kind]
    return int.from_bytes((value % 2 ** (8 * size)).to_bytes(size, "little"), "little", signed=signed)


def draw(db, models, times):
    """Draws from every sequence and compares with the model, values and what is on record."""
    for name, model in models.items():
        kind = RANGES[name][0]
        size, signed = WIDTH[kind]
        want, ops = [], []
        for _ in range(times):
            value = model.draw()
            want.append(cast(value, kind))
            draw.serial += 1
            ops.append(["insert", name, [0, draw.serial]])
        got = [int.from_bytes(bytes.fromhex(x), "little", signed=signed) for x in db.ok(*ops)]
        equal(got, want, name)
    allocated = dict(db.sql("SELECT sequence_name, allocated FROM st_sequence"))
    for name, model in models.items():
        equal(int(allocated[f"{name}_id_seq"]), model.allocated, f"{name}: allocated")


draw.serial = 0


def rule_ranges_of_every_shape(server):
    db = Database(server, ranges_module())
    models = {name: Sequence(start, low, high if high is not None else I128_MAX, step)
              for name, (_, start, low, high, step) in RANGES.items()}
    for times in (1, 1, 2, 40):
        draw(db, models, times)
    for kill in (True, False):
        db.restart(kill)
        for m in models.values():
            m.restart()
        for times in (1, 3, 30):
            draw(db, models, times)


def rule_thousands_of_values_over_the_blocks(server):
    db = Database(server, ranges_module())
    names = ("block_plus_one", "block_exactly", "down", "down_below_zero", "step_of_3", "far_start")
    models = {name: Sequence(*[x if x is not None else I128_MAX for x in RANGES[name][1:]]) for name in names}
    for _ in range(6):
        draw(db, models, 1500)
    db.restart()
    for m in models.values():
        m.restart()
    for _ in range(4):
        draw(db, models, 1500)


AUTO = {"tables": [table("auto", "id u64, name string", key="id", auto=["id"]),
                   table("loose", "id u32, n u32", auto=["id"])]}


def u64(n):
    return n.to_bytes(8, "little").hex()


def rule_restarts_without_an_insert_do_not_jump(server):
    db = Database(server, AUTO)
    db.ok(["insert", "auto", [0, "a"]])
    for kill in (True, False, True):
        db.restart(kill)
        equal(db.count("auto"), 1)
    equal(db.ok(["insert", "auto", [0, "b"]]), [u64(4097)])


def rule_values_of_a_failed_call_are_not_given_out_again(server):
    """The reference persists the block in the failed transaction, and forgets it by a restart."""
    for kill in (True, False):
        db = Database(server, AUTO)
        equal(db.run(["insert", "auto", [0, "a"]], ["fail", "no"]).status, 530)
        equal(db.ok(["insert", "auto", [0, "b"]]), [u64(2)])
        equal(db.sql("SELECT allocated FROM st_sequence WHERE sequence_name = 'auto_id_seq'"), [(4097,)])
        db.restart(kill)
        equal(db.ok(["insert", "auto", [0, "c"]]), [u64(4097)])
        # The same at a later block: one call draws beyond it and fails.
        db.ok(*[["insert", "auto", [0, f"n{i}"]] for i in range(4090)])
        equal(db.run(*[["insert", "auto", [0, f"m{i}"]] for i in range(20)], ["trap"]).status, 530)
        taken, = db.ok(["insert", "auto", [0, "d"]])
        equal(taken, u64(4097 + 4090 + 20 + 1))
        db.restart(kill)
        equal(db.ok(["insert", "auto", [0, "e"]]), [u64(4097 + 2 * BLOCK)])


def rule_an_equal_row_through_a_drawn_value_is_no_row(server):
    db = Database(server, AUTO)
    db.ok(["insert", "loose", [1, 5]])
    equal(db.ok(["insert", "loose", [0, 5]], ["count", "loose"]), ["01000000", 1])
    equal(db.ok(["insert", "loose", [0, 5]], ["count", "loose"]), ["02000000", 2])


def rule_a_new_block_is_part_of_the_transaction(server):
    db = Database(server, AUTO)
    client = Client(db)
    client.subscribe("auto", "st_sequence", "mark")
    row = dict((r[1], r) for r in db.sql("SELECT * FROM st_sequence"))["auto_id_seq"]
    db.ok(["insert", "auto", [0, "a"]])
    db.ok(["insert", "auto", [0, "b"]])
    first, second = client.deltas()
    equal(first, {"auto": ([], [(1, "a")]), "st_sequence": ([row], [row[:-1] + (4097,)])})
    equal(second, {"auto": ([], [(2, "b")])})
    db.run(*[["insert", "auto", [0, f"n{i}"]] for i in range(BLOCK)], ["fail", "no"])
    equal(client.deltas(), [])


def rule_a_sequence_that_cannot_run_is_refused(server):
    """The reference takes some of them, and its process ends."""
    db = Database(server, AUTO)
    for step, start, low, high, text in ((0, 1, 1, 9, "its increment is 0"),
                                         (1, 5, 5, 5, "its range holds only one value"),
                                         (20, 4, 1, 20, "its increment is as large as its range"),
                                         (-25, 2, -3, 6, "its increment is as large as its range"),
                                         (1, 7, 1, 6, None), (1, 1, 5, 2, None)):
        bad = table("x", "id i32", auto=[{"column": "id", "increment": step, "start": start, "min": low, "max": high}])
        status, body = db.owner.publish(db.name + "-bad", opvm.build(INTERPRETER, {"tables": [bad]}))
        assert status >= 400 and b"x_id_seq" in body, (status, body)
        if text:
            assert f"sequence `x_id_seq` of table `x` cannot run: {text}" in body.decode(), body
    db.ok(["insert", "auto", [0, "a"]])
