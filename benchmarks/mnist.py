"""A class-conditional PixelCNN++ on MNIST at all 256 levels: test bits/dim, and real digits above generated ones.

Run: MINIPIXEL_DATA=DIR python benchmarks/mnist.py      under 20 minutes on two idle cores
Half of the training images, each once; then the whole test set, and 20 pictures, both with averaged weights.
Writes the figure into docs/images/ and the row into docs/results.md.
"""

import time
from pathlib import Path

import numpy as np

import minipixel as mp

DOCS = Path(__file__).parent.parent / "docs"
START, END = "<!-- made by benchmarks/mnist.py -->\n", "<!-- end of mnist.py -->"
SIZES = {"filters": 24, "resnets": 1, "hierarchies": 2, "dropout": 0.0, "mixtures": 5}
BATCH, STEPS, RATE = 16, 1900, 3e-3


def main():
    ds = mp.datasets.load("mnist")
    model = mp.models.PixelCNNpp(ds.image_shape, ds.levels, num_classes=len(ds.classes), **SIZES)
    chosen = np.random.default_rng(0).permutation(len(ds.train.images))[: BATCH * STEPS]
    start = time.perf_counter()
    mp.fit(
        model,
        ds.train.images[chosen],
        ds.train.labels[chosen],
        epochs=1,
        batch_size=BATCH,
        optimizer=mp.optim.Adam(mp.optim.cosine_decay(RATE, STEPS, warmup=50)),
        callbacks=[mp.callbacks.EMA(0.99)],
    )
    trained = time.perf_counter()
    bits = model.bits_per_dim(ds.test.images, ds.test.labels)
    tested = time.perf_counter()
    real = ds.test.images[[np.flatnonzero(ds.test.labels == label)[0] for label in range(10)]]
    drawn = model.sample(20, np.tile(np.arange(10), 2), rng=0)
    figure = mp.plots.sample_grid(real, drawn, ds.levels, title="Asked for 0, 1, 2 ... 9")
    figure.savefig(DOCS / "images" / "mnist-classes.png")
    seconds = trained - start, tested - trained, time.perf_counter() - tested
    described = ", ".join(f"{key} {value}" for key, value in SIZES.items())
    print(f"{bits:.4f} bits/dim; seconds to train, test, draw: {', '.join(f'{part:.0f}' for part in seconds)}")
    what = f"PixelCNN++ told the class ({described}; {BATCH * STEPS:,} images, once)"
    lines = [
        "| model | test bits/dim | weights | seconds to train, test, draw 20 |",
        "|---|---|---|---|",
        f"| {what} | {bits:.3f} | {model.num_parameters:,} | {', '.join(f'{part:.0f}' for part in seconds)} |",
        "",
    ]
    page = DOCS / "results.md"
    before, rest = page.read_text().split(START)
    page.write_text(before + START + "\n".join(lines) + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
