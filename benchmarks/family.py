"""Every model of the family on the bundled digits, held-out bits/dim; and figures of what they draw.

Run: python benchmarks/family.py            some minutes a model on two cores
     python benchmarks/family.py gated      one row only: a model's name, classes, or emoji
Writes the figures into docs/images/ and, when all rows were asked for, the table into docs/results.md.
"""

import sys
import time
from pathlib import Path

import numpy as np

import minipixel as mp

DOCS = Path(__file__).parent.parent / "docs"
START, END = "<!-- made by benchmarks/family.py -->\n", "<!-- end -->"

# name on the command line -> (model, its options, epochs, Adam's rate); sizes at which a model takes a minute or two
FAMILY = {
    "pixelcnn": (mp.models.PixelCNN, {"hidden": 32, "blocks": 5}, 20, 2e-3),
    "row-lstm": (mp.models.RowLSTM, {"hidden": 24, "layers": 3}, 15, 2e-3),
    "diagonal-bilstm": (mp.models.DiagonalBiLSTM, {"hidden": 20, "layers": 3}, 12, 3e-3),
    "gated": (mp.models.GatedPixelCNN, {"filters": 32, "layers": 5}, 15, 3e-3),
    "multi-scale": (mp.models.MultiScale, {"base": "row-lstm", "hidden": 24, "layers": 3}, 15, 2e-3),
}


def train(model, split, held_out, epochs, rate, labels=(None, None)):
    """Seconds and test bits/dim after training."""
    start = time.perf_counter()
    optimizer = mp.optim.Adam(rate)
    mp.fit(model, split, labels[0], epochs=epochs, optimizer=optimizer)
    return time.perf_counter() - start, model.bits_per_dim(held_out, labels[1])


def row(name, model, seconds, bits):
    print(f"{name:32}{bits:8.3f} bits/dim{model.num_parameters:10,} weights{seconds:7.0f} s", flush=True)
    return f"| {name} | {bits:.3f} | {model.num_parameters:,} | {seconds:.0f} |"


def digits(only):
    ds = mp.datasets.load("digits")
    lines = []
    for name, (kind, options, epochs, rate) in FAMILY.items():
        if only and name not in only:
            continue
        model = kind(ds.image_shape, ds.levels, **options)
        seconds, bits = train(model, ds.train.images, ds.test.images, epochs, rate)
        described = ", ".join(f"{key} {value}" for key, value in options.items())
        lines.append(row(f"{kind.__name__} ({described}; {epochs} epochs)", model, seconds, bits))
        figure = mp.plots.sample_grid(ds.test.images, model.sample(30, rng=0), ds.levels)
        figure.savefig(DOCS / "images" / f"digits-{name}.png")
    return lines


def classes():
    """A class-conditional PixelCNN, ten draws of each class: a column a class."""
    ds = mp.datasets.load("digits")
    model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=32, blocks=5, num_classes=len(ds.classes))
    labels = (ds.train.labels, ds.test.labels)
    seconds, bits = train(model, ds.train.images, ds.test.images, 20, 2e-3, labels)
    images = model.sample(60, np.arange(60) % 10, rng=0)
    figure = mp.plots.image_grid(images, ds.levels, title="A column a class, 0 to 9: none of these was ever written")
    figure.savefig(DOCS / "images" / "digits-classes.png")
    return [row("PixelCNN told the class (hidden 32, blocks 5; 20 epochs)", model, seconds, bits)]


def emoji():
    """An RGB PixelCNN on emoji of 8 levels a channel."""
    ds = mp.datasets.load("emoji")
    train_images, test_images = (mp.datasets.quantize(s.images, ds.levels, to=8) for s in (ds.train, ds.test))
    model = mp.models.PixelCNN(ds.image_shape, 8, hidden=24, blocks=4)
    seconds, bits = train(model, train_images, test_images, 10, 3e-3)
    figure = mp.plots.sample_grid(test_images, model.sample(20, rng=0), 8)
    figure.savefig(DOCS / "images" / "emoji.png")
    return [row("PixelCNN, RGB emoji of 8 levels (hidden 24, blocks 4; 10 epochs)", model, seconds, bits)]


def main(only):
    lines = digits(only)
    for part in (classes, emoji):
        if not only or part.__name__ in only:
            lines += part()
    if only:
        return
    table = "\n".join(["| model | test bits/dim | weights | seconds |", "|---|---|---|---|", *lines, ""])
    page = DOCS / "results.md"
    before, rest = page.read_text().split(START)
    page.write_text(before + START + table + END + rest.split(END)[1])


if __name__ == "__main__":
    main(sys.argv[1:])
