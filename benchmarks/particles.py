"""Completion that looks ahead: how near to the exact conditional K particles come, and what they do for a hole.

Run: python benchmarks/particles.py            some minutes on two cores; prints both tables
     python benchmarks/particles.py --write    and puts them into docs/results.md, and the figure into docs/images/
     python benchmarks/particles.py --few 0 0.5 1.1      the hole alone, by when particles are replaced: never; where
                                               fewer than half of them count; at each known pixel

The first table: 3x3 binary pictures under random models whose weights are large, five pixels known and four unknown,
between one another in raster order. The exact distribution comes from all 16 pictures; the distance is the total
variation to 20,000 completions. The noise is the distance that so many draws from the exact distribution have.

The second: a model of binary digits is trained for a minute; of each test picture a hole of 4x4 pixels is completed.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np

import minipixel as mp
from minipixel.sampling import particles

DOCS = Path(__file__).parent.parent / "docs"
START, END = "<!-- made by benchmarks/particles.py -->\n", "<!-- end of particles.py -->"
PARTICLES = (1, 4, 16, 64)
DRAWS = 20_000
SEEDS = (8, 9, 12, 14)
"""Of the models 1 to 20 some whose completion by one particle is far from the exact conditional: 0.2 and more."""
KNOWN = np.array([[False, True, False], [False, True, False], [True, True, True]])
HOLE = np.s_[2:6, 2:6]


def large_weights(seed, scale=0.8):
    """A model of 3x3 binary pictures whose pixels say much about one another."""
    model = mp.models.GatedPixelCNN((3, 3, 1), 2, filters=5, layers=2, dtype="float64")
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data = parameter.data + scale * rng.standard_normal(parameter.data.shape)
    return model


def conditional(model, picture, known):
    """All pictures that agree with what is known, and the probability of each, given that."""
    every = np.array(list(itertools.product(range(2), repeat=picture.size)), np.uint8).reshape(-1, *picture.shape)
    agreeing = every[(every[:, known] == picture[known]).all(axis=(1, 2))]
    log_p = model.log_prob(agreeing)
    p = np.exp(log_p - log_p.max())
    return agreeing, p / p.sum()


def distance(pictures, agreeing, p):
    """The total variation between pictures drawn and the probabilities of all that there can be."""
    powers = 2 ** np.arange(agreeing[0].size)
    drawn, codes = pictures.reshape(len(pictures), -1) @ powers, agreeing.reshape(len(agreeing), -1) @ powers
    return 0.5 * np.abs((drawn[:, None] == codes).mean(axis=0) - p).sum()


def noise(p, draws, rng):
    """That distance of as many draws from the exact distribution: the mean, and what 1 of 100 exceed."""
    of_exact = [0.5 * np.abs(rng.multinomial(draws, p) / draws - p).sum() for _ in range(1000)]
    return np.mean(of_exact), np.quantile(of_exact, 0.99)


def tiny(seed, draws=DRAWS, counts=PARTICLES, known=KNOWN):
    """The distance for each K, and the noise, for a picture that the model has drawn."""
    model = large_weights(seed)
    picture = model.sample(1, rng=seed)[0]
    agreeing, p = conditional(model, picture, known)
    tiled = np.repeat(picture[None], draws, axis=0)
    found = [distance(model.complete(tiled, known, rng=1, particles=K), agreeing, p) for K in counts]
    return found, noise(p, draws, np.random.default_rng(0))


def digits():
    """A model of binary digits, and test pictures."""
    ds = mp.datasets.load("digits")
    train, test = (mp.datasets.binarize(split.images, ds.levels, "threshold") for split in (ds.train, ds.test))
    model = mp.models.GatedPixelCNN(ds.image_shape, 2, filters=32, layers=5)
    mp.fit(model, train, epochs=15, optimizer=mp.optim.Adam(3e-3), progress=False)
    return model, test


def hole(model, pictures, K, times=3):
    """Of completions of a hole: the share of its pixels that are right, nats per picture, seconds; the pictures."""
    known = np.ones(pictures.shape[1:3], bool)
    known[HOLE] = False
    tiled, start = np.tile(pictures, (times, 1, 1, 1)), time.perf_counter()
    completed = model.complete(tiled, known, rng=0, particles=K)
    seconds = (time.perf_counter() - start) / len(tiled)
    right = (completed == tiled)[:, ~known].mean()
    return right, model.log_prob(completed).mean(), seconds, completed


def table():
    """The lines of both tables, printed on the way; the figure is written."""
    lines = [
        "| distance to the exact conditional | "
        + " | ".join(f"K = {K}" for K in PARTICLES)
        + " | noise | 99 % below |",
        "|---" * (len(PARTICLES) + 3) + "|",
    ]
    for seed in SEEDS:
        found, (mean, most) = tiny(seed)
        lines.append("| ".join([f"| model {seed} ", *(f"{d:.4f} " for d in found), f"{mean:.4f} ", f"{most:.4f} |"]))
        print(lines[-1], flush=True)
    model, test = digits()
    lines += [
        "",
        "| particles | right pixels in the hole | nats per picture | ms per completion |",
        "|---|---|---|---|",
    ]
    shown = []
    for K in PARTICLES:
        right, nats, seconds, completed = hole(model, test, K)
        shown.append(completed[:10])
        lines.append(f"| {K} | {right:.1%} | {nats:.2f} | {1e3 * seconds:.1f} |")
        print(lines[-1], flush=True)
    lines.append(f"| the true pictures | 100 % | {model.log_prob(test).mean():.2f} | |")
    print(lines[-1])
    known = np.ones(test.shape[1:3], bool)
    known[HOLE] = False
    figure = mp.plots.completion_grid(test[:10], known, np.stack(shown), 2)
    return lines, figure


def main():
    """Print the tables; with --write, also put them into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--few", type=float, nargs="+")
    options = parser.parse_args()
    if options.few:
        model, test = digits()
        for few, K in itertools.product(options.few, PARTICLES[1:]):
            particles.FEW = few
            right, nats, seconds, _ = hole(model, test, K)
            print(f"few {few:g}, K = {K}: {right:.1%} right, {nats:.2f} nats, {1e3 * seconds:.1f} ms", flush=True)
        return
    lines, figure = table()
    if options.write:
        figure.savefig(DOCS / "images" / "particles.png")
        page = (DOCS / "results.md").read_text()
        before, rest = page.split(START)
        (DOCS / "results.md").write_text(before + START + "\n".join(lines) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
