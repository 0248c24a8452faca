"""From a data set and a number of levels to the images that a model of that many levels is trained and tested on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import datasets

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def prepare(images: np.ndarray, levels: int, to: int, binarize: str) -> np.ndarray:
    """Images with `to` levels: integers (N, H, W, C) in 0..levels-1 -> uint8 in 0..to-1.

    Random draws are always the same, so a test set is too: "dynamic" then means "static".
    """
    if to == levels:
        return images
    if to == 2:
        return datasets.binarize(images, levels, "static" if binarize == "dynamic" else binarize)
    return datasets.quantize(images, levels, to)


def read_pictures(paths: Sequence[str], image_shape: tuple[int, int, int]) -> np.ndarray:
    """Pictures of one's own, from PNG files and folders of them, in that order: uint8 (N, H, W, C) in 0..255.

    A grey picture serves a model of colours, and one whose colours are all grey a model of greys. Raises FormatError
    for a file that is no such picture, ValueError for one of another size or a folder without any.
    """
    files = [file for path in paths for file in _png_files(Path(path))]
    return np.stack([_fitted(file, datasets.read_png(file), image_shape) for file in files])


def _png_files(path: Path) -> list[Path]:
    """The file itself, or the PNG files of a folder, by name."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".png")
    if not files:
        raise ValueError(f"{path}: got a folder without PNG files, wanted at least one")
    return files


def _fitted(file: Path, picture: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """A picture with as many channels as the model has, if that changes no colour; else ValueError."""
    H, W, C = image_shape
    if picture.shape[:2] != (H, W):
        raise ValueError(
            f"{file}: got a picture of {picture.shape[0]}x{picture.shape[1]} pixels (height x width), wanted {H}x{W}, "
            "as the model draws; scale it first"
        )
    if C == 4:  # the last of them is alpha, and a picture here is opaque
        opaque = np.full((H, W, 1), 255, np.uint8)
        return np.concatenate([np.broadcast_to(picture, (H, W, 3)), opaque], axis=2)
    if C not in (1, 3):
        got = f"{picture.shape[2]} channel{'s' * (picture.shape[2] != 1)}"
        raise ValueError(
            f"{file}: got a picture of {got}, wanted {C}, as the model draws; in Python, give the model an array"
        )
    if C == 3:
        return np.broadcast_to(picture, image_shape)
    if (picture != picture[..., :1]).any():
        raise ValueError(f"{file}: got a picture with colours, wanted shades of grey, as the model draws")
    return picture[..., :1]


def batch_transform(levels: int, to: int, binarize: str) -> Transform | None:
    """What has to happen to every batch anew: drawing it, for dynamic binarisation; None for all else."""
    if to != 2 or to == levels or binarize != "dynamic":
        return None

    def draw(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return datasets.binarize(images, levels, "dynamic", rng)

    return draw


def histogram_bits_per_dim(train: np.ndarray, test: np.ndarray, levels: int) -> float:
    """Bits/dim of the test images under the histogram of the training images: what a model has to beat."""
    counts = np.bincount(train.ravel(), minlength=levels) + 1.0
    return float(-np.log2(counts / counts.sum())[test.ravel()].mean())


def describe(ds: Any, levels: int) -> str:
    """One line on a data set as it is used: "digits: 1438 train + 359 test images, 8x8x1, 17 levels"."""
    H, W, C = ds.image_shape
    return f"{ds.name}: {len(ds.train.images)} train + {len(ds.test.images)} test images, {H}x{W}x{C}, {levels} levels"
