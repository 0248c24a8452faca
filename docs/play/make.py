"""Write the files that the page to play with reads: models of the box, receptive fields, and some digits.

Run: python docs/play/make.py [NAME ...]    NAME: models in the box that the page can draw from (sampler.js)

Each model becomes NAME.js, the safetensors file in base64, since a page that is opened from a disk may load scripts and
nothing else. data.js has what minipixel.causality.structure finds in small models of each architecture, and digits of
8x8 pixels, made black and white, for the part about leaks.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np

import minipixel as mp

PLAY = Path(__file__).parent
MODELS = ("mnist", "digits-gated")

SIZE, DEPTHS = 11, (1, 2, 3, 4, 5)
"""The receptive fields are those of images of SIZE x SIZE pixels, for so many layers after the first."""

ARCHITECTURES = {
    "PixelCNN": lambda shape, depth: mp.models.PixelCNN(shape, 2, hidden=2, blocks=depth),
    "Gated PixelCNN": lambda shape, depth: mp.models.GatedPixelCNN(shape, 2, filters=2, layers=1 + depth),
    "Row LSTM": lambda shape, depth: mp.models.RowLSTM(shape, 2, hidden=2, layers=depth),
    "Diagonal BiLSTM": lambda shape, depth: mp.models.DiagonalBiLSTM(shape, 2, hidden=2, layers=depth),
}
DIGITS = {"train": slice(0, 250), "test": slice(250, 400)}


def packed(bits):
    """Booleans of any shape, eight to a byte, as base64."""
    return base64.b64encode(np.packbits(np.asarray(bits, bool)).tobytes()).decode()


def of_model(name):
    """The script that hands a model of the box to the page."""
    card = mp.models.cards()[name]
    about = {key: getattr(card, key) for key in ("name", "architecture", "licence", "credit")}
    content = base64.b64encode(card.path.read_bytes()).decode()
    return f"// Written by make.py: a model file in base64.\nboxed({json.dumps(about)},\n{json.dumps(content)});\n"


def of_data():
    """The script with the receptive fields and the digits."""
    fields = {
        name: [packed(mp.causality.structure(make((SIZE, SIZE, 1), depth))) for depth in DEPTHS]
        for name, make in ARCHITECTURES.items()
    }
    images = mp.datasets.load("digits").train.images[..., 0]
    digits = {part: [packed(image >= 8) for image in images[which]] for part, which in DIGITS.items()}
    return (
        "// Written by make.py. FIELDS: (pixel that asks, pixel that it reads) for 1, 2, ... layers after the first.\n"
        f"const SIZE = {SIZE}, FIELDS = {json.dumps(fields, indent=1)};\n"
        f"const DIGITS = {json.dumps(digits)};\n"
    )


def files(names=MODELS):
    """What to write: a name -> a text."""
    return {"data.js": of_data()} | {f"{name}.js": of_model(name) for name in names}


if __name__ == "__main__":
    for name, text in files(sys.argv[1:] or MODELS).items():
        (PLAY / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text) / 1000:,.0f} KB")
