"""Whether the parameters of a pixel alternate between its colours (red, green, blue, red ...), or come in blocks."""

import numpy as np

from minipixel.causality import perturbation as perturb
from minipixel.causality.subjects import Subject

IMAGES, PIXELS = 4, 4


def takes_turns(subject: Subject) -> bool:
    """Whether all parameters of a colour see the same of their own pixel, and only the colours before their own.

    The subject has the groups that are tried. If a single parameter sees more than the others of its colour, the
    arrangement of the parameters is another one, and this one must not hide the leak.
    """
    H, W, C = subject.image_shape
    draws = np.random.default_rng(0)
    sees = np.zeros((len(subject.groups), C), bool)
    for _ in range(IMAGES):
        image = subject.random_image(draws)
        before = subject.parameters(np.repeat(image[None], C, axis=0))
        for pixel in draws.integers(H * W, size=PIXELS):
            r, c = divmod(int(pixel), W)
            changed, colours = np.repeat(image[None], C, axis=0), np.arange(C)
            changed[colours, r, c, colours] = subject.inputs.far(changed[colours, r, c, colours])
            sees |= perturb.differ(subject.parameters(changed)[:, r, c], before[:, r, c]).T
    same = all((sees[subject.groups == k] == sees[subject.groups == k][:1]).all() for k in range(C))
    later = np.arange(C) >= subject.groups[:, None]
    return same and not (sees & later).any() and bool(sees[subject.groups == C - 1].any())
