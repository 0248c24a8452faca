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
        for pixel in draws.integers(H * W, size=PIXELS):
            r, c = divmod(int(pixel), W)
            copies = np.repeat(image[None], C + 1, axis=0)
            colours = np.arange(C)
            copies[colours, r, c, colours] = subject.inputs.far(copies[colours, r, c, colours])
            parameters = np.concatenate([subject.parameters(copies[k : k + 1]) for k in range(C + 1)])[:, r, c]
            sees |= perturb.differ(parameters[:C], parameters[C:]).T
    same = all((sees[subject.groups == k] == sees[subject.groups == k][:1]).all() for k in range(C))
    later = np.arange(C) >= subject.groups[:, None]
    return same and not (sees & later).any() and bool(sees[subject.groups == C - 1].any())
