"""A prior over codes, from pictures to pictures: k-means makes the codes, a Gated PixelCNN learns which go together.

Run: python examples/codes.py          about two minutes on two cores; MINIPIXEL_QUICK=1 shortens it. No download.

A picture is cut into patches of 2x2 pixels, and k-means over those of the training pictures (scipy.cluster.vq) finds a
few hundred typical ones, the codebook. The number of the nearest is the code of a patch, so a 16x16 picture is an 8x8
grid of codes. That is what a VQ-VAE does with a learned encoder; its codes are modelled in the same way. A model of
such grids draws new ones, and the codebook turns them into pictures. Codes are names: a model that reads them as
brightness (inputs="scaled") is compared with one that looks them up (inputs="embedding").
"""

import os
from pathlib import Path

import numpy as np
from scipy.cluster import vq

import minipixel as mp
from minipixel import plots

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SIDE, CODES, EPOCHS, SHOWN = 2, 64 if QUICK else 384, 1 if QUICK else 30, 10
OUT = Path(os.environ.get("MINIPIXEL_OUT", ".")) / "codes.png"


def patches(images, side=SIDE):
    """Pictures cut into patches: (N, H, W, C) -> float64 (N, H/side, W/side, side*side*C)."""
    N, H, W, C = images.shape
    cut = images.reshape(N, H // side, side, W // side, side, C).transpose(0, 1, 3, 2, 4, 5)
    return cut.reshape(N, H // side, W // side, side * side * C).astype(float)


def pictures(cut, channels, side=SIDE):
    """And put together again: (N, h, w, side*side*C) -> uint8 (N, h*side, w*side, C)."""
    N, h, w, _ = cut.shape
    whole = cut.reshape(N, h, w, side, side, channels).transpose(0, 1, 3, 2, 4, 5)
    return np.rint(whole).reshape(N, h * side, w * side, channels).astype(np.uint8)


def learn_codebook(images, codes, rng):
    """The typical patches: (codes, D). One to which no patch is near any more is left out."""
    cut = patches(images)
    cut = cut.reshape(-1, cut.shape[-1])
    different = np.unique(cut, axis=0)
    start = different[rng.choice(len(different), codes, replace=False)]
    return vq.kmeans(cut, start, iter=1, thresh=0.1)[0]


def encode(images, codebook):
    """The number of the nearest patch of the codebook: integers (N, h, w, 1)."""
    cut = patches(images)
    codes, _ = vq.vq(cut.reshape(-1, cut.shape[-1]), codebook)
    return codes.reshape(*cut.shape[:3], 1).astype(np.uint16)


def decode(codes, codebook, channels):
    """Pictures of codes (N, h, w, 1)."""
    return pictures(codebook[codes[..., 0]], channels)


def main():
    """Codes, a model of each kind, and the picture."""
    ds = mp.datasets.load("emoji")
    codebook = learn_codebook(ds.train.images, CODES, np.random.default_rng(0))
    train, test = (encode(split.images, codebook) for split in (ds.train, ds.test))
    channels, levels = ds.image_shape[2], len(codebook)
    again = decode(test, codebook, channels)
    error = np.abs(again.astype(float) - ds.test.images).mean()
    print(f"{levels} codes; a picture that goes through them is {error:.1f} of 255 off, on average")

    models = {}
    for inputs in ("scaled", "embedding"):
        model = mp.models.GatedPixelCNN(train.shape[1:], levels, filters=32, layers=6, inputs=inputs)
        average = mp.callbacks.EMA(0.99)
        mp.fit(model, train, epochs=EPOCHS, optimizer=mp.optim.Adam(2e-3), callbacks=[average], progress=False)
        print(f"inputs={inputs!r:12} {-model.log_prob(test).mean():.1f} nats a grid of new pictures")
        models[inputs] = model

    drawn = decode(models["embedding"].sample(2 * SHOWN, rng=0), codebook, channels)
    some = np.linspace(0, len(test) - 1, SHOWN).astype(int)
    shown = np.concatenate([ds.test.images[some], again[some], drawn])
    title = f"real; the same through {levels} codes; two rows drawn"
    plots.image_grid(shown, ds.levels, columns=SHOWN, title=title).savefig(OUT)
    print(f"pictures in {OUT}")


if __name__ == "__main__":
    main()
