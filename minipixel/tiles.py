"""Many images as one picture: the channels of an image as colours or side by side, and images row by row.

Arrays in, arrays out; plots.py makes Figures of them.
"""

import math
from typing import Any

import numpy as np

BETWEEN = 0.85
"""The grey between the images of a mosaic."""
CHEQUERED = 0.78, 0.97
"""The two greys under an image with an alpha channel."""


def colours(images: np.ndarray, levels: int) -> np.ndarray:
    """Integers (N, H, W, C) in 0..Q-1 -> colours in 0..1, (N, H, W, 3), or larger if channels are shown one by one."""
    x, C = images / (levels - 1), images.shape[3]
    if not in_one_picture(C):
        x = group(x, BETWEEN)[..., None]
    elif C == 4:
        square = max(1, images.shape[1] // 8)
        r, c = np.indices(images.shape[1:3]) // square
        under = np.where((r + c) % 2, *CHEQUERED)[..., None]
        x = under + x[..., 3:] * (x[..., :3] - under)
    return np.broadcast_to(x, (*x.shape[:3], 3))


def in_one_picture(C: int) -> bool:
    """Whether C channels are shown as one picture, in grey, in colour, or in colour with alpha."""
    return C in (1, 3, 4)


def group(channels: np.ndarray, between: Any) -> np.ndarray:
    """The channels of each image as pictures row by row, a gap between them and around: (N, H, W, C) -> (N, h, w)."""
    N, H, W, C = channels.shape
    across = _across(C)
    group = np.full((N, -(-C // across) * (H + 1) + 1, across * (W + 1) + 1), between, channels.dtype)
    for channel in range(C):
        r, c = channel // across * (H + 1) + 1, channel % across * (W + 1) + 1
        group[:, r : r + H, c : c + W] = channels[..., channel]
    return group


def _across(C: int) -> int:
    """How many of C channels stand side by side in the group of an image."""
    return 1 if in_one_picture(C) else math.ceil(math.sqrt(C))


def abreast(columns: int, C: int) -> int:
    """How many images of C channels stand side by side, if there were `columns` with one picture per image."""
    return math.ceil(columns / math.sqrt(_across(C)))


def side_by_side(colours: np.ndarray, columns: int, between: float = BETWEEN) -> np.ndarray:
    """Images side by side, a gap between them: colours, or other numbers, (N, H, W, K) -> (height, width, K)."""
    N, H, W, K = colours.shape
    mosaic = np.full((*size((N, H, W), columns), K), between)
    for n, image in enumerate(colours):
        r, c = _corner(n, columns, H, W)
        mosaic[r : r + H, c : c + W] = image
    return mosaic


def size(shape: tuple[int, int, int], columns: int) -> tuple[int, int]:
    """The height and width of images (N, H, W) side by side, in pixels."""
    N, H, W = shape
    bottom, right = _corner(-(-N // columns) * columns - 1, columns, H, W)
    return bottom + H, right + W


def size_of(shape: tuple[int, ...], columns: int) -> tuple[int, int]:
    """The same for images (N, H, W, C), if there were `columns` side by side with one picture per image."""
    _, H, W, _ = colours(np.zeros((1, *shape[1:]), np.uint8), 2).shape
    return size((shape[0], H, W), abreast(columns, shape[3]))


def _corner(n: int, columns: int, H: int, W: int) -> tuple[int, int]:
    """Where in a mosaic the upper left pixel of image n stands: its row and column."""
    gap = max(1, H // 12)
    return n // columns * (H + gap), n % columns * (W + gap)


def seams(known: np.ndarray, columns: int) -> list[np.ndarray]:
    """The lines between known (1) and unknown (0) pixels of a mosaic: integers (N, H, W) -> pairs of points (x, y)."""
    lines = []
    for n, here in enumerate(known):
        y, x = _corner(n, columns, *here.shape)
        for r, c in np.argwhere(here[1:] + here[:-1] == 1):
            lines.append(np.array([[x + c - 0.5, y + r + 0.5], [x + c + 0.5, y + r + 0.5]]))
        for r, c in np.argwhere(here[:, 1:] + here[:, :-1] == 1):
            lines.append(np.array([[x + c + 0.5, y + r - 0.5], [x + c + 0.5, y + r + 0.5]]))
    return lines
