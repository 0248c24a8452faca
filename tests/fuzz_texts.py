"""Small sound text files that a training leaves, and mutations that know them; as in `fuzz_seeds`."""

import json

SETTINGS = [
    b"# The settings of a training\n\nmodel = 'gated'\ndilations = [1, 2]\nepochs = 3\nema = 0.5\n"
    b'root = "some/where"\n\n[made_with]\nnumpy = "2.0"\nkernels = \'numba\'\n',
    b'data = "digits"\nlevels = 2\nlearning_rate = 1e-3\nconditional = true\nactivation = "relu"\nseed = 7\n',
]
LOGS = [
    b"epoch,loss,bits_per_dim,val_bits_per_dim\n1,200.5,4.125,3.5\n2,190.25,4.0,\n3,1e2,nan,3.25\n",
    b"epoch,loss\n1,0.1\n",
]
FIGURES = [
    json.dumps({"model": "gated", "epochs": 3, "seconds": 1.5, "interrupted": False, "none": None}, indent=2).encode(),
    b'{"test_bits_per_dim": 3.25}\n',
]

VALUES = [
    "0", "1", "-1", "2.5", "1e400", "1" + "0" * 400, "inf", "nan", "true", "'x'", '"\\u001b[31m"', "[1, 2]", "[[1]]",
    "{}", "{a = 1}", "0x1" + "0" * 4000, "1979-05-27", '"""a\nb"""', "[" * 50, "", "x.y",
]  # fmt: skip
NAMES = [
    "model", "data", "root", "epochs", "learning_rate", "hidden", "dilations", "made_with", '"\\u009b"', "a.b",
    "x" * 300, ".".join("x" * 30), "[made_with]", "[x]", "[[x]]", "seed", "levels",
]  # fmt: skip


def settings_again(rng, content):
    """Another value, another name, a line twice, a line of names with many parts."""
    lines = content.decode().splitlines()
    place = rng.randrange(len(lines))
    name, _, value = lines[place].partition(" = ")
    what = rng.randrange(5)
    if what == 0:
        lines[place] = f"{name} = {rng.choice(VALUES)}"
    elif what == 1:
        lines[place] = f"{rng.choice(NAMES)} = {value}"
    elif what == 2:
        lines.insert(place, rng.choice(lines))
    elif what == 3:
        lines.insert(place, f"{rng.choice(NAMES)} = {rng.choice(VALUES)}")
    else:
        lines.insert(place, ".".join("x" * rng.choice([3, 30, 1500])) + " = 1")
    return "\n".join(lines).encode()


CELLS = ["", "0", "-1", "2", "1e400", "9" * 300, "inf", "nan", "x", "\x1b[2J", '"', '"1,2"', "1_0", "\u0661", " 3", "é"]


def log_again(rng, content):
    """Another cell, a cell too many or too few, a row or a column twice, other ends of lines."""
    rows = [line.split(",") for line in content.decode().splitlines()]
    row = rng.choice(rows)
    what = rng.randrange(6)
    if what == 0:
        row[rng.randrange(len(row))] = rng.choice(CELLS)
    elif what == 1:
        row.insert(rng.randrange(len(row) + 1), rng.choice(CELLS))
    elif what == 2:
        row.pop(rng.randrange(len(row)))
    elif what == 3:
        rows.insert(rng.randrange(len(rows) + 1), list(row))
    elif what == 4:
        column = rng.randrange(40)
        for row in rows:
            row += row[:1] * column
    return rng.choice(["\n", "\n", "\r\n", "\n\n"]).join(",".join(row) for row in rows).encode() + b"\n"


def figures_again(rng, content):
    """Another value, an entry too many, one twice, one that is a list."""
    entries = [[json.dumps(name), json.dumps(value)] for name, value in json.loads(content).items()]
    entry = rng.choice(entries)
    values = ["1e400", "9" * 400, "9" * 5000, "NaN", "[]", "{}", '"\\u001b[2J"', '"\\ud800"', "null", "[" * 3000]
    what = rng.randrange(3)
    if what == 0:
        entry[1] = rng.choice(values)
    elif what == 1:
        entry[0] = rng.choice(['"a"', '""', '"\\u009b"', "3", '"' + "x" * 300 + '"'])
    else:
        entries.append([rng.choice([entry[0], '"x"']), rng.choice([entry[1], *values])])
    return ("{" + ", ".join(": ".join(entry) for entry in entries) + "}").encode()
