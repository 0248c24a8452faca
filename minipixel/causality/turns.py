"""Whether the parameters of a pixel take turns among its colours: red, green, blue, red ..., and not in blocks."""

import numpy as np

from minipixel.causality import perturbation as perturb
from minipixel.causality.subjects import Subject

IMAGES, PIXELS = 4, 4


def takes_turns(subject: Subject) -> bool:
    """Whether the parameters of each colour see the same of their own pixel, and no more than the colours before.

    The subject's groups are those to be tried. Where a single parameter sees what the others of its colour do not, that
    is a leak in another arrangement, and not this one.
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
