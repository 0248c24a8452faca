"""`minipixel demo`: a picture by a model in the box within seconds, then a training on the bundled digits."""

import argparse
from pathlib import Path
from typing import Any

from minipixel import kernels, plots
from minipixel.cli.pictures import OF_A_FOLDER
from minipixel.cli.train import run
from minipixel.files import write_atomically
from minipixel.models import cards, pretrained

EPOCHS = 20
BOXED, DRAWN, PICTURE = "mnist", 20, "drawn-by-mnist.png"

NEXT = """next
  minipixel models                          # the trained models in the box, with their figures
  minipixel sample mnist -n 30              # draw with one of them; --temperature 0.8 plays safe
  minipixel complete digits --rows 4        # it sees the upper half of digits and draws the lower one
  minipixel check mnist                     # the proof that no pixel sees itself, or what comes after it
  minipixel train --data my-pictures/ --size 32    # learn from pictures of your own, a folder of them
  minipixel train --resume {folder} --epochs 60    # go on with the training of this demo"""


def demo(arguments: argparse.Namespace) -> int:
    """Draw some images, train a PixelCNN on the bundled digits for about a minute on two cores, and test it."""
    settings: dict[str, Any] = {
        **{"model": "pixelcnn", "data": "digits", "root": None, "levels": None, "binarize": "static", "head": None},
        **{"mixtures": 5, "inputs": "scaled", "embedding_width": 16},
        **{"hidden": 32, "blocks": 5, "conditional": False, "batch_size": 64},
        **{"optimizer": "adam", "learning_rate": 2e-3, "clip_norm": None, "weight_decay": None, "ema": None},
        **dict.fromkeys((*OF_A_FOLDER, "augment", "trainable", "sample_weight")),
        **{
            "resume": None,
            "from": None,
            "patience": None,
            "schedule": "constant",
            "save_freq": None,
            "sample_every": 5,
            "tensorboard": False,
            "device": "cpu",
            "made_with": {},
            "test": True,
            "default_out": "minipixel-demo",
        },
    }
    folders: list[Path] = []

    def first(folder: Path) -> None:
        folders.append(folder)
        _draw(folder / PICTURE)

    status = run(argparse.Namespace(**{**vars(arguments), **settings}), first)
    if status == 0:
        print(NEXT.format(folder=folders[0]))
    return status


def _draw(picture: Path) -> None:
    """Draw some digits with a model in the box, without compiled kernels: to compile them would take longer."""
    print(f"drawing {DRAWN} images with a model in the box, {BOXED}: {cards()[BOXED].shows}", flush=True)
    model = pretrained(BOXED)
    with kernels.uncompiled():
        images = model.sample(DRAWN, model.conditions.in_turn(DRAWN), rng=0, method="cached")
    write_atomically(picture, plots.png(plots.image_grid(images, model.levels)))
    print(f"picture {picture}", flush=True)
