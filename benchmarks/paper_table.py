"""The family trained to the end, beside the figures of the papers: a command per row, and the table of all rows.

Run: MINIPIXEL_DATA=DIR python benchmarks/paper_table.py ROW ...       train rows, or go on where they were stopped
     MINIPIXEL_DATA=DIR python benchmarks/paper_table.py --test ROW    score the test pictures with what there is
     python benchmarks/paper_table.py                                  list the rows, and how far each has come
     python benchmarks/paper_table.py --write                          write the table into docs/results.md

A row is a call of `minipixel train`, whose folder benchmarks/runs/ROW says all that it depends on: seed, schedule,
averages, protocol. It goes on to the same bits after any stop, so let it run at low priority (nice) for as many
sittings as it takes. Two hours on two idle cores are meant for a row, four for the best; hours are those of its steps.

Binary digits are drawn anew for every batch in training, and for the test: the mean over DRAWS draws of the 10,000
test digits, with its spread over these (the dynamic protocol). The papers' own figures for binary MNIST belong to one
fixed file of drawn digits, another protocol, and stand in a column of their own.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import minipixel as mp
from minipixel.training.checkpoints import in_folder

RESULTS = Path(__file__).parent.parent / "docs" / "results.md"
START, END = "<!-- made by benchmarks/paper_table.py -->\n", "<!-- end of paper_table.py -->"
FOLDER = Path(__file__).parent / "runs"
CURVES = RESULTS.parent / "images" / "paper-curves.png"
DRAWS = 5


@dataclass(frozen=True)
class Row:
    """What is trained, and what others have measured: nats per image, or bits/dim, by protocol."""

    arguments: str
    dynamic: str = ""  # the figure of others for digits drawn anew
    fixed: str = ""  # the paper's, for its fixed file
    box: str = ""  # the name in the box of what comes out
    shows: str = ""  # what that model draws


BINARY = "--data mnist --levels 2 --binarize dynamic --batch-size 50 --schedule cosine --ema 0.999 "
DIGITS = "--data digits --batch-size 32 --schedule cosine --ema 0.998 --patience 12 "
EIGHT = "digits of 8x8 pixels, 17 greys"
BINARY_DIGITS = "digits of 28x28 pixels, black and white"

ROWS = {
    "digits": Row("--data digits --batch-size 32 --schedule cosine --ema 0.999 --model pixelcnnpp --filters 32 "
                  "--resnets 2 --dropout 0.5 --learning-rate 2e-3 --epochs 60 --conditional",
                  box="digits", shows=f"{EIGHT}, by class"),
    "digits-pixelcnn": Row(DIGITS + "--model pixelcnn --hidden 32 --blocks 7 --dropout 0.2 --learning-rate 2e-3 "
                           "--epochs 40", box="digits-pixelcnn", shows=EIGHT),
    "digits-row-lstm": Row(DIGITS + "--model row-lstm --hidden 20 --layers 4 --learning-rate 3e-3 --epochs 30",
                           box="digits-row-lstm", shows=EIGHT),
    "digits-diagonal-bilstm": Row(DIGITS + "--model diagonal-bilstm --hidden 20 --layers 3 --learning-rate 3e-3 "
                                  "--epochs 25", box="digits-diagonal-bilstm", shows=EIGHT),
    "digits-gated": Row(DIGITS + "--model gated --filters 32 --layers 5 --learning-rate 2e-3 --epochs 30",
                        box="digits-gated", shows=EIGHT),
    "digits-multi-scale": Row(DIGITS + "--model multi-scale --hidden 20 --layers 3 --learning-rate 3e-3 --epochs 25",
                              box="digits-multi-scale", shows=f"{EIGHT}, the small image first"),
    "emoji": Row("--data emoji --model pixelcnnpp --filters 40 --resnets 2 --dropout 0.25 --epochs 120 "
                 "--batch-size 16 --learning-rate 2e-3 --schedule cosine --ema 0.999 --conditional --augment flip",
                 box="emoji", shows="emoji of 16x16 pixels in colour, by group"),
    "mnist-diagonal": Row(BINARY + "--model diagonal-bilstm --layers 7 --hidden 24 --learning-rate 3e-3 --epochs 24",
                          fixed="79.20", box="mnist", shows=BINARY_DIGITS),
    "mnist-pixelcnn": Row(BINARY + "--model pixelcnn --hidden 32 --blocks 12 --learning-rate 2e-3 --epochs 24",
                          dynamic="81.45", fixed="81.30"),
    "mnist-gated": Row(BINARY + "--model gated --filters 32 --layers 10 --learning-rate 2e-3 --epochs 12",
                       dynamic="81.50"),
    "mnist-gated-classes": Row(BINARY + "--model gated --filters 32 --layers 10 --learning-rate 2e-3 --epochs 12 "
                               "--conditional", dynamic="81.50", box="mnist-classes",
                               shows=f"{BINARY_DIGITS}, by class"),
    "mnist-row": Row(BINARY + "--model row-lstm --layers 7 --hidden 16 --learning-rate 3e-3 --epochs 24",
                     fixed="80.54"),
    "mnist-pixelcnnpp": Row(BINARY + "--model pixelcnnpp --filters 32 --resnets 3 --learning-rate 1e-3 --epochs 16"),
    "mnist-256": Row("--data mnist --model gated --filters 40 --layers 8 --dilations 1 2 1 4 --batch-size 50 "
                     "--learning-rate 1e-3 --schedule cosine --ema 0.999 --epochs 8 --conditional", box="mnist-256",
                     shows="digits of 28x28 pixels, 256 greys, by class"),
    "fashion-mnist": Row("--data fashion_mnist --model gated --filters 40 --layers 8 --dilations 1 2 1 4 "
                         "--batch-size 50 --learning-rate 1e-3 --schedule cosine --ema 0.999 --epochs 8 --conditional"),
    "cifar10": Row("--data cifar10 --model pixelcnnpp --filters 32 --resnets 2 --dropout 0.1 --augment flip "
                   "--batch-size 16 --learning-rate 1e-3 --schedule cosine --ema 0.999 --epochs 6"),
}  # fmt: skip


def of(name, option):
    """What a row says of an option of `minipixel train`; None if it says nothing."""
    words = ROWS[name].arguments.split()
    return words[words.index(option) + 1] if option in words else None


def train(name):
    """Train a row, or go on with it."""
    folder = FOLDER / name
    begun = (folder / "config.toml").exists()
    how = (
        ["--resume", str(folder)]
        if begun
        else [*ROWS[name].arguments.split(), "--save-freq", "200", "--out", str(folder)]
    )
    subprocess.run([sys.executable, "-m", "minipixel", "train", *how], check=True)


def model_of(name):
    """The model that a row has come to: the finished one, or that of its last checkpoint, averages and all."""
    folder = FOLDER / name
    finished = folder / "model.safetensors"
    return mp.load(finished if finished.exists() else in_folder(folder / "checkpoints")[0])


def score(model, name, draws=None):
    """Nats per test image of a model, of each draw of the test digits where they are drawn anew, and of one else."""
    ds = mp.datasets.load(of(name, "--data"))
    labels = ds.test.labels if model.conditions.num_classes else None
    if of(name, "--binarize") != "dynamic":
        return [float(-model.log_prob(ds.test.images, labels).mean())]
    nats = []
    for draw in range(DRAWS if draws is None else draws):
        images = mp.datasets.binarize(ds.test.images, ds.levels, rng=draw)
        nats.append(float(-model.log_prob(images, labels).mean()))
    return nats


def test(name):
    """Nats per test picture, and the spread of its mean over draws: they stay beside the model as test.json."""
    model = model_of(name)
    nats = score(model, name)
    mean = float(np.mean(nats))
    print(f"{name}: {', '.join(f'{draw:.3f}' for draw in nats)} nats per test image", flush=True)
    epochs, hours, _ = progress(name)  # by now: the row may be trained further before the table is made
    figures = {
        "epochs": epochs,
        "hours": hours,
        "nats": mean,
        "spread": float(np.std(nats)),
        "bits_per_dim": model.bits(mean),
    }
    (FOLDER / name / "test.json").write_text(json.dumps(figures | {"weights": model.num_parameters}))
    return mean


def progress(name):
    """Epochs done, hours, and the last row of the log of a run; None if its first epoch is not over."""
    log = FOLDER / name / "log.csv"
    rows = list(csv.DictReader(log.read_text().splitlines())) if log.exists() else []
    return (len(rows), sum(float(row["seconds"]) for row in rows) / 3600, rows[-1]) if rows else None


def curves():
    """Validation loss by epoch of each row of binary MNIST, as far as it has come -> Figure."""
    figure = mp.plots.figure(7.2, 3.8)
    ax = figure.subplots()
    for name in ROWS:
        if of(name, "--binarize") != "dynamic" or progress(name) is None:
            continue
        rows = list(csv.DictReader((FOLDER / name / "log.csv").read_text().splitlines()))
        nats = [float(row["val_loss"]) for row in rows]
        ax.plot(
            np.arange(1, len(rows) + 1),
            nats,
            marker=".",
            label=f"{name}, {len(rows)} of {of(name, '--epochs')} epochs: {nats[-1]:.2f}",
        )
    ax.set(xlabel="epochs", ylabel="nats per validation image", ylim=(78, 92))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if ax.lines:
        ax.legend(frameon=False, fontsize=8)
    return figure


def table():
    """The table in Markdown: a line per row that has been tested."""
    lines = [
        "| row | weights | nats per image | bits/dim | others, drawn anew | paper, fixed file | epochs | hours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        file = FOLDER / name / "test.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text())
        epochs, hours = found["epochs"], found["hours"]
        if not (FOLDER / name / "model.safetensors").exists():
            epochs = f"{epochs} of {of(name, '--epochs')}"
        told = ", by class" if "--conditional" in row.arguments else ""
        spread = f" ± {found['spread']:.2f}" if found["spread"] else ""
        lines.append(
            f"| `{name}`{told} | {found['weights']:,} | {found['nats']:.2f}{spread} | {found['bits_per_dim']:.3f} | "
            f"{row.dynamic} | {row.fixed} | {epochs} | {hours:.1f} |"
        )
    return "\n".join([*lines, ""])


def write():
    """Put the table into docs/results.md."""
    text = RESULTS.read_text()
    before, after = text.partition(START)[0], text.partition(END)[2]
    RESULTS.write_text(before + START + table() + END + after)
    curves().savefig(CURVES)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--test", action="store_true", help="score the test pictures, and do not train")
    parser.add_argument("--write", action="store_true", help="write the table into docs/results.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - set(ROWS):
        parser.error(f"got {', '.join(sorted(unknown))}, wanted some of {', '.join(ROWS)}")
    os.nice(5)
    for name in arguments.rows:
        if not arguments.test:
            train(name)
        test(name)
    if arguments.write:
        write()
    elif not arguments.rows:
        for name in ROWS:
            print(f"{name:20} {progress(name) or 'not begun'}")
