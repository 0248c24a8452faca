"""Which score finds odd pictures, busy or blank: the AUC of each score for each kind of odd picture.

Run: MINIPIXEL_DATA=DIR python benchmarks/odd_pictures.py              some minutes on two cores; DIR has MNIST
     MINIPIXEL_DATA=DIR python benchmarks/odd_pictures.py --write      and writes the table into docs/results.md

A model learns a data set, test pictures of that set are usual, and pictures of each kind are odd. The AUC is the share
of pairs, one usual and one odd picture, of which the score is higher for the odd one: 1/2 for a score that knows
nothing. Scores that need to know what is usual are told the validation pictures.

- nats: -log p(x).
- typicality: |nats - their mean over usual pictures| (Nalisnick et al. 2019, arXiv:1906.02994, with one picture).
- ratio: nats less those of a background model, which learns the same pictures with a share of the sub-pixels drawn anew
  (Ren et al. 2019, arXiv:1906.02845).
- nats - zlib, nats - PNG: less the compressed size (Serra et al. 2020, arXiv:1909.11480); the first is `mp.oddness`.
- nats and zlib: Mahalanobis' distance of both from usual pictures.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import rankdata

import minipixel as mp
from minipixel.oddness import complexity

RESULTS = Path(__file__).parent.parent / "docs" / "results.md"
START, END = "<!-- made by benchmarks/odd_pictures.py -->\n", "<!-- end of odd_pictures.py -->"
SHARES = 0.1, 0.3


def sets():
    """Name, levels, training, validation, test, pictures of another set, the model's sizes, epochs and rate."""
    digits, emoji, mnist = (mp.datasets.load(name) for name in ("digits", "emoji", "mnist"))

    def eight(images):
        return mp.datasets.quantize(images, 256, 8)

    numerals = mnist.test.images[:400]
    yield (
        *("digits", 17, digits.train.images, digits.validation.images, digits.test.images),
        *(like(numerals, (8, 8, 1), 17), {"hidden": 24, "blocks": 4}, 10, 2e-3),
    )
    yield (
        *(
            "MNIST, 8 levels",
            8,
            eight(mnist.train.images[:9000]),
            eight(mnist.validation.images[:400]),
            eight(numerals),
        ),
        *(like(emoji.test.images, (28, 28, 1), 8), {"hidden": 16, "blocks": 4}, 2, 3e-3),
    )
    yield (
        *("emoji, 8 levels", 8, *(eight(s.images) for s in (emoji.train, emoji.validation, emoji.test))),
        *(like(numerals, (16, 16, 3), 8), {"hidden": 24, "blocks": 4}, 8, 3e-3),
    )


def like(images, shape, levels):
    """Pictures with 256 levels as those of another set: resized, grey or coloured, with fewer levels."""
    mode = "L" if shape[2] == 1 else "RGB"
    pictures = [Image.fromarray(image.squeeze()).convert(mode).resize(shape[1::-1], Image.BOX) for image in images]
    return np.stack([np.asarray(picture).reshape(shape) for picture in pictures]).astype(int) * levels // 256


def odd_kinds(test, levels, other):
    rng, (N, H, W) = np.random.default_rng(0), test.shape[:3]
    flat = np.broadcast_to(rng.integers(levels, size=(N, 1, 1, 1)), test.shape)
    slopes = [np.linspace(0, 1, H)[:, None, None], np.linspace(0, 1, W)[:, None]]
    steep = rng.random((2, N, 1, 1, 1)) / 2
    gradients = np.broadcast_to(steep[0] * slopes[0] + steep[1] * slopes[1], test.shape) * (levels - 1)
    return {
        "all 0": np.zeros_like(test),
        "all Q-1": np.full_like(test, levels - 1),
        "one level": flat,
        "a gradient": gradients,
        "noise": rng.integers(levels, size=test.shape),
        "shuffled": rng.permuted(test.reshape(N, -1), axis=1).reshape(test.shape),
        "inverted": levels - 1 - test.astype(int),
        "upside down": test[:, ::-1],
        "other set": other,
    }


def fitted(images, levels, sizes, epochs, rate, transform=None):
    model = mp.models.PixelCNN(images.shape[1:], levels, **sizes)
    mp.fit(model, images, epochs=epochs, optimizer=mp.optim.Adam(rate), transform=transform, progress=False)
    return model


def drawn_anew(share, levels):
    def transform(images, rng):
        return np.where(rng.random(images.shape) < share, rng.integers(levels, size=images.shape), images).astype(
            np.uint8
        )

    return transform


def png_nats(images, levels):
    def size(image):
        content = io.BytesIO()
        Image.fromarray((image.astype(int) * 255 // (levels - 1)).astype(np.uint8).squeeze()).save(content, "PNG")
        return len(content.getvalue())

    return 8 * np.log(2) * np.array([size(image) for image in images])


def scores(numbers, usual):
    """Every score of pictures of which, as of usual ones, there are numbers: {name: (N,)} by name."""
    nats = numbers["nats"]
    table = {"nats": nats, "typicality": abs(nats - usual["nats"].mean())}
    for share in SHARES:
        table[f"ratio, {share:.0%} anew"] = nats - numbers[share]
    table |= {f"nats - {kind}": nats - numbers[kind] for kind in ("zlib", "PNG")}
    both, mean = (np.stack([which["nats"], which["zlib"]]) for which in (numbers, usual))
    apart = both - mean.mean(axis=1, keepdims=True)
    table["nats and zlib"] = np.sqrt((apart * np.linalg.solve(np.cov(mean), apart)).sum(axis=0))
    return table


def auc(usual, odd):
    ranks, n, m = rankdata(np.r_[usual, odd]), len(usual), len(odd)
    return (ranks[n:].sum() - m * (m + 1) / 2) / (n * m)


def table_of(levels, train, validation, test, other, sizes, epochs, rate):
    """The lines of a table: a score each, a column for each kind."""
    model = fitted(train, levels, sizes, epochs, rate)
    background = {share: fitted(train, levels, sizes, epochs, rate, drawn_anew(share, levels)) for share in SHARES}

    def numbers(images):
        images = images.astype(np.uint8)
        found = {"nats": -model.log_prob(images), "zlib": complexity(images, levels), "PNG": png_nats(images, levels)}
        return found | {share: -other.log_prob(images) for share, other in background.items()}

    usual = numbers(validation)
    of_test = scores(numbers(test), usual)
    of_kinds = {kind: scores(numbers(images), usual) for kind, images in odd_kinds(test, levels, other).items()}
    lines = [f"| score | {' | '.join(of_kinds)} | mean |", "|---" * (len(of_kinds) + 2) + "|"]
    for score, values in of_test.items():
        found = [auc(values, odd[score]) for odd in of_kinds.values()]
        lines.append(f"| {score} | {' | '.join(f'{value:.3f}' for value in [*found, np.mean(found)])} |")
    return lines


def main():
    lines = []
    for name, *given in sets():
        lines += [f"**{name}**", "", *table_of(*given), ""]
        print("\n".join(lines[-20:]), flush=True)
    if "--write" in sys.argv:
        before, rest = RESULTS.read_text().split(START)
        RESULTS.write_text(before + START + "\n".join(lines) + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
