"""Indexes over every type that can be a key: order, points, and ranges with every shape of bounds."""
import random

from store_kit import Database, equal, table


def number(bits, signed):
    top = 1 << (bits - 1)
    return [-top, -2, -1, 0, 1, 2, top - 1] if signed else [0, 1, 2, 255 % (2 * top - 1), top - 1, top, 2 * top - 2]


FLOATS = ["-inf", -1e30, -1.5, 0.0, 1e-30, 2.0, "inf", "nan"]
TYPES = {"color": {"sum": [["Red", {"product": []}], ["Green", {"product": []}], ["Blue", {"product": []}]]},
         "shape": {"sum": [["None", {"product": []}], ["Circle", "i32"], ["Name", "string"]]}}
# Values of each type in ascending order.
KEYS = {
    "bool": [False, True],
    **{f"{'i' if signed else 'u'}{bits}": sorted(set(number(bits, signed)))
       for bits in (8, 16, 32, 64, 128, 256) for signed in (True, False)},
    "f32": FLOATS,
    "f64": FLOATS,
    "string": ["", "\u0001", "A", "a", "aa", "ab", "b", "\u00e9", "\u65e5", "\U0001f600"],
    "bytes": ["", "00", "0000", "00ff", "01", "7f", "80", "ff"],
    "identity": ["0" * 64, "0" * 63 + "1", "0" * 32 + "1" + "0" * 31, "f" * 64],
    "connection_id": ["0" * 32, "0" * 31 + "1", "1" + "0" * 31, "f" * 32],
    "timestamp": [-(1 << 63), -1, 0, 1, (1 << 63) - 1],
    "duration": [-(1 << 63), -5, 0, 7, (1 << 63) - 1],
    "uuid": [0, 1, 1 << 64, (1 << 128) - 1],
    "color": [{"Red": []}, {"Green": []}, {"Blue": []}],
    "shape": [{"None": []}, {"Circle": -1}, {"Circle": 5}, {"Name": ""}, {"Name": "x"}],
    "maybe": [{"some": -3}, {"some": 0}, {"some": 9}, None],
    "list": [[], [0], [0, 1], [0, 2], [1], [7, 7, 7]],
    "texts": [[], [""], ["", "a"], ["a"], ["b", ""]],
}
SPELLED = {"maybe": {"option": "i32"}, "list": {"array": "u32"}, "texts": {"array": "string"}}
DIRECT = ["u8", "u16", "u32", "u64", "color"]
DIRECT_KEYS = {**{name: [0, 1, 2, 77, 200, 255] for name in DIRECT}, "color": KEYS["color"]}


def module():
    tables = []
    for name in KEYS:
        columns = [["k", SPELLED.get(name, name)], ["n", "u32"]]
        tables.append(table(f"o_{name}", columns, indexes=["k", "k n", "n k", "k hash"]))
    for name in DIRECT:
        tables.append(table(f"d_{name}", [["k", name], ["n", "u32"]], unique=["k"], indexes=["k direct"]))
    return {"tables": tables, "types": TYPES}


def bounds(values):
    return [(["all"], None)] + [([how, v], i) for i, v in enumerate(values) for how in ("in", "ex")]


def within(i, low, high):
    """Is the i-th value inside?"""
    (lo, at), (hi, to) = low, high
    return (at is None or i > at or (i == at and lo[0] == "in")) and \
           (to is None or i < to or (i == to and hi[0] == "in"))


def every_range(values):
    return [(low, high) for low in bounds(values) for high in bounds(values)]


def look(db, ops, want, about):
    """Runs reads that give rows (k, n) and compares the numbers n."""
    for at in range(0, len(ops), 100):
        got = db.ok(*ops[at:at + 100])
        for op, rows, numbers in zip(ops[at:], got, want[at:]):
            equal([r[1] for r in rows], numbers, f"{about}: {op}")


def check_ordered(db, name, rows):
    """rows: numbers of the rows with the i-th value, in the order of insertion."""
    values = KEYS[name]
    ops, want = [], []

    def expect(op, numbers):
        ops.append(op)
        want.append(numbers)
    for low, high in every_range(values):
        inside = [rows[i] for i in range(len(values)) if within(i, low, high)]
        expect(["range", f"o_{name}_k_idx_btree", [], low[0], high[0]], sum(inside, []))
        expect(["range", f"o_{name}_k_n_idx_btree", [], low[0], high[0]], sum(map(sorted, inside), []))
    for i, v in enumerate(values):
        expect(["point", f"o_{name}_k_idx_btree", [v]], rows[i])
        expect(["point", f"o_{name}_k_idx_hash", [v]], rows[i])
        expect(["point", f"o_{name}_k_n_idx_btree", [v, rows[i][0]]], rows[i][:1])
        expect(["point", f"o_{name}_k_n_idx_btree", [v, 999]], [])
        expect(["range", f"o_{name}_k_n_idx_btree", [v], ["ex", min(rows[i])], ["all"]], sorted(rows[i])[1:])
        expect(["range", f"o_{name}_n_k_idx_btree", [rows[i][0]], ["in", v], ["all"]], rows[i][:1])
        expect(["range", f"o_{name}_n_k_idx_btree", [rows[i][0]], ["ex", v], ["all"]], [])
    look(db, ops, want, name)


def fill(db, rng, as_one_call):
    """Rows of three numbers for each value, shuffled; {type: [numbers of the i-th value]}."""
    out = {}
    for name, values in KEYS.items():
        order = [i for i in range(len(values)) for _ in range(3)]
        rng.shuffle(order)
        rows = [[] for _ in values]
        ops = []
        for n, i in enumerate(order):
            rows[i].append(n + 1)
            ops.append(["insert", f"o_{name}", [values[i], n + 1]])
        half = len(ops) if as_one_call else len(ops) // 2
        db.ok(*ops[:half])
        if ops[half:]:
            db.ok(*ops[half:])
        out[name] = rows
    return out


def rule_ordered_and_hash_indexes_over_every_type(server):
    db = Database(server, module())
    rng = random.Random(11)
    rows = fill(db, rng, as_one_call=False)
    for name in KEYS:
        check_ordered(db, name, rows[name])
    for name, values in KEYS.items():  # some rows go
        ops = []
        for i, v in enumerate(values):
            gone = rows[name][i].pop(rng.randrange(3))
            ops.append(["delete", f"o_{name}", [v, gone]])
        equal(db.ok(*ops), [1] * len(ops), name)
    db.restart()
    for name in KEYS:
        check_ordered(db, name, rows[name])


def rule_deletes_by_range_over_every_type(server):
    db = Database(server, module())
    rng = random.Random(12)
    for _ in range(3):
        rows = fill(db, rng, as_one_call=True)
        for name, values in KEYS.items():
            low, high = rng.choice(every_range(values))
            inside = [i for i in range(len(values)) if within(i, low, high)]
            gone, = db.ok(["delete_range", f"o_{name}_k_idx_btree", [], low[0], high[0]])
            equal(gone, 3 * len(inside), f"{name} {low} {high}")
            left = sorted(sum((r for i, r in enumerate(rows[name]) if i not in inside), []))
            equal(sorted(r[1] for r in db.scan(f"o_{name}")), left, f"{name} {low} {high}")
            db.ok(["clear", f"o_{name}"])


def rule_direct_indexes(server):
    db = Database(server, module())
    for name, values in DIRECT_KEYS.items():
        order = list(range(len(values)))
        random.Random(13).shuffle(order)
        db.ok(*[["insert", f"d_{name}", [values[i], i]] for i in order])
    for restarted in (False, True):
        for name, values in DIRECT_KEYS.items():
            index = f"d_{name}_k_idx_direct"
            ops = [["range", index, [], low[0], high[0]] for low, high in every_range(values)]
            want = [[i for i in range(len(values)) if within(i, low, high)] for low, high in every_range(values)]
            ops += [["point", index, [v]] for v in values]
            want += [[i] for i in range(len(values))]
            look(db, ops, want, name)
            equal(db.errnos(["insert", f"d_{name}", [values[1], 9]]), [12])
            if name != "color":
                look(db, [["point", index, [100]]], [[]], name)
        if not restarted:
            db.restart()
