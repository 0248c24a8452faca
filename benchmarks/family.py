"""Every model of the family on the bundled digits, held-out bits/dim; and figures of what they draw.

Run: python benchmarks/family.py            some minutes a model on two cores
     python benchmarks/family.py gated      one row only: a model's name, classes, walk, or emoji
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
    "pixelcnnpp": (mp.models.PixelCNNpp, {"filters": 24, "resnets": 1, "dropout": 0.1}, 12, 3e-3),
    "multi-scale": (mp.models.MultiScale, {"base": "row-lstm", "hidden": 24, "layers": 3}, 15, 2e-3),
}


def train(model, split, held_out, epochs, rate, labels=(None, None), batch_size=64):
    """Seconds and test bits/dim after training."""
    start = time.perf_counter()
    optimizer = mp.optim.Adam(rate)
    mp.fit(model, split, labels[0], epochs=epochs, batch_size=batch_size, optimizer=optimizer)
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
    """A class-conditional PixelCNN, ten draws of each class: a column per class."""
    ds = mp.datasets.load("digits")
    model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=32, blocks=5, num_classes=len(ds.classes))
    labels = (ds.train.labels, ds.test.labels)
    seconds, bits = train(model, ds.train.images, ds.test.images, 20, 2e-3, labels)
    images = model.sample(60, np.arange(60) % 10, rng=0)
    figure = mp.plots.image_grid(images, ds.levels, title="A column per class, 0 to 9: none of these was ever written")
    figure.savefig(DOCS / "images" / "digits-classes.png")
    return [row("PixelCNN told the class (hidden 32, blocks 5; 20 epochs)", model, seconds, bits)]


def walk():
    """A Gated PixelCNN told embeddings, and what it draws on the way from one embedding to another."""
    ds = mp.datasets.load("digits")
    images, labels = ds.test.images, ds.test.labels
    net = mp.models.EmbeddingNet(ds.image_shape, ds.levels)
    start = time.perf_counter()
    mp.fit_embedding(net, ds.train.images, ds.train.labels, steps=150)
    seconds = time.perf_counter() - start
    told, points = net.embed(ds.train.images), net.embed(images)
    model = mp.models.GatedPixelCNN(ds.image_shape, ds.levels, filters=32, layers=5, condition_shape=(net.dimensions,))
    rate = mp.optim.cosine_decay(3e-3, 12 * -(-len(told) // 32))
    more, bits = train(model, ds.train.images, images, 12, rate, (told, points), batch_size=32)

    # the ends: of each class the test digit whose embedding lies nearest to the mean of its class
    typical = [np.where(labels == k, points @ points[labels == k].mean(axis=0), -1).argmax() for k in range(10)]
    a, b = np.take(typical, [[0, 1, 2, 3, 4, 5, 8], [6, 4, 7, 5, 9, 6, 3]])
    drawn = walks(model, points[a], points[b], rng=0)
    rows = np.concatenate([images[a][:, None], drawn, images[b][:, None]], axis=1)
    title = "Drawn on the straight line between the embeddings of two test digits"
    figure = mp.plots.image_grid(rows.reshape(-1, *ds.image_shape), ds.levels, columns=rows.shape[1], title=title)
    figure.axes[0].set_xticks([3.5, 9 * rows.shape[1] - 5.5], ["test digit", "test digit"])
    figure.savefig(DOCS / "images" / "digits-walk.png")
    judge(ds, np.stack([walks(model, points[a], points[b], rng) for rng in range(8)]), labels[a], labels[b])
    return [row("GatedPixelCNN told an embedding (filters 32, layers 5; 12 epochs)", model, seconds + more, bits)]


def walks(model, start, end, rng, steps=11):
    """Walks between embeddings (R, K): images (R, steps, H, W, C), the same uniforms at every step of a walk.

    Points of the straight line are scaled to length 1, as all embeddings are that the model was ever told.
    """
    line = [(1 - t) * start + t * end for t in np.linspace(0, 1, steps)]
    line = [points / np.linalg.norm(points, axis=1, keepdims=True) for points in line]
    return np.stack([model.sample(len(points), points, rng=rng) for points in line], axis=1)


def judge(ds, drawn, a, b):
    """Print how gradual walks (S, R, steps, H, W, C) are, and how their images are read by the nearest training one."""
    known = ds.train.images.reshape(len(ds.train.images), -1).astype(float)
    pixels = drawn.reshape(*drawn.shape[:3], -1).astype(float)
    distances = (known**2).sum(axis=1) - 2 * pixels @ known.T  # but for a term that they share
    read = ds.train.labels[distances.argmin(axis=-1)]
    steps = abs(np.diff(pixels, axis=2)).mean(axis=(1, 3))
    ends = abs(pixels[:, :, -1] - pixels[:, :, 0]).mean()
    print(f"  a step changes a pixel by {steps.mean():.2f} levels, both ends differ by {ends:.2f}")
    print(
        f"  read as its class: the start {(read[:, :, 0] == a).mean():.0%}, the end {(read[:, :, -1] == b).mean():.0%}"
    )
    share = (read == b[:, None]).mean(axis=(0, 1))
    either = ((read == a[:, None]) | (read == b[:, None])).mean()
    print("  read as the class of the end, step by step:", *(f"{part:.0%}" for part in share), f"; either {either:.0%}")


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
    for part in (classes, walk, emoji):
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
