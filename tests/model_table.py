"""One row a model: how to make a small one. A row buys every check in tests/models/.

Proofs of causality and of likelihood are cheap, and the quick suite has them for `every_case`. What takes longer it has
for a `diagonal` of cases; the rest of them are slow: pytest -m slow. Of numbers of channels other than 1 and 3 it has
one image a model in either.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import chisquare

from minipixel import models
from minipixel.heads import HEADS

SMALL = {
    "pixelcnn": {"hidden": 6, "blocks": 2},
    "row-lstm": {"hidden": 6, "layers": 2},
    "diagonal-bilstm": {"hidden": 6, "layers": 2},
    "gated": {"filters": 5, "layers": 2},
    "pixelcnnpp": {"filters": 4, "resnets": 1, "mixtures": 3},
    "multi-scale": {"hidden": 6, "layers": 1, "upsampled": 5},
}
# the same, wide enough that no rectifier hides a dependency by chance
WIDE = {
    "pixelcnn": {"hidden": 24},
    "row-lstm": {"hidden": 24},
    "diagonal-bilstm": {"hidden": 24},
    "gated": {"filters": 24},
    "pixelcnnpp": {"filters": 12, "dropout": 0.2},
    "multi-scale": {"hidden": 24, "upsampled": 16},
}
VARIANTS = {  # options that change what a model computes or how it trains, each tried on two kinds of image
    "prelu": ("pixelcnn", {"activation": "prelu"}),
    "dropout": ("pixelcnn", {"dropout": 0.3}),
    "wider-kernels": ("pixelcnn", {"kernel": 5, "first_kernel": 5}),
    "three-levels": ("pixelcnnpp", {"hierarchies": 3, "vertical_kernel": (3, 5), "horizontal_kernel": (1, 3)}),
    "plain-weights": ("pixelcnnpp", {"weight_norm": False, "activation": "elu", "hierarchies": 1}),
    "of-pixelcnns": ("multi-scale", {"base": "pixelcnn"}),
    "of-bilstms": ("multi-scale", {"base": "diagonal-bilstm"}),
    "factor-4": ("multi-scale", {"factor": 4}),
    "3-scales": ("multi-scale", {"scales": 3}),
    "of-one-hot": ("pixelcnn", {"inputs": "one_hot"}),
    "of-embeddings": ("gated", {"inputs": "embedding", "embedding_width": 3}),
    "scales-of-one-hot": ("multi-scale", {"inputs": "one_hot"}),
    "from-learned-states": ("row-lstm", {"learned_state": True, "skip": True}),
    "both-from-learned-states": ("diagonal-bilstm", {"learned_state": True, "skip": True}),
}
KINDS = [(name, "") for name in SMALL] + [(name, variant) for variant, (name, _) in VARIANTS.items()]


@dataclass(frozen=True)
class Case:
    """A small model, and images small enough to write down every one of them."""

    name: str
    shape: tuple[int, int, int]
    levels: int
    head: str
    variant: str = ""

    @property
    def id(self):
        name = f"{self.name}-{self.variant}" if self.variant else self.name
        return f"{name}-{'x'.join(map(str, self.shape))}-Q{self.levels}-{self.head}"

    def model(self, **options):
        of_variant = VARIANTS[self.variant][1] if self.variant else {}
        options = SMALL[self.name] | {"dtype": "float64", "head": self.head} | of_variant | options
        return models.MODELS[self.name](self.shape, self.levels, **options)

    def conditional(self, kind, **options):
        """The same model under a kind of condition: one of CONDITIONS."""
        shapes = {"number": (), "vector": (2,), "map": (*self.shape[:2], 2)}
        shapes |= {"class and map": shapes["map"], "class and vector": shapes["vector"]}
        told = {"condition_shape": shapes[kind]} if kind in shapes else {}
        told |= {"num_classes": 3} if kind.startswith("class") else {}
        return shaken(self.model(**told, **options))

    def every_image(self):
        """All Q ** (H*W*C) images, uint8."""
        digits = itertools.product(range(self.levels), repeat=int(np.prod(self.shape)))
        return np.array(list(digits), np.uint8).reshape(-1, *self.shape)

    def p_of_samples(self, model, n):
        """The p-value of n samples against exp(log_prob) of all images, by chi-square, rare cells pooled."""
        weights = self.levels ** np.arange(np.prod(self.shape))[::-1]
        drawn = np.bincount(model.sample(n, rng=0).reshape(n, -1) @ weights, minlength=self.levels ** len(weights))
        expected = np.exp(model.log_prob(self.every_image())) * n
        rare = expected < 5
        if rare.any():
            drawn, expected = (np.append(cells[~rare], cells[rare].sum()) for cells in (drawn, expected))
        return chisquare(drawn, expected * n / expected.sum()).pvalue


CONDITIONS = ("", "class", "number", "vector", "map", "class and map")


def shaken(model, seed=0, scale=0.4):
    """The model, its weights moved away from where they began, so that pictures are neither alike nor empty."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        moved = parameter.data + scale * rng.standard_normal(parameter.data.shape)
        parameter.data = moved.astype(parameter.data.dtype)
    return model


IMAGES = [
    ((2, 3, 1), 2, "bernoulli"),
    ((3, 2, 1), 2, "categorical"),
    ((2, 2, 1), 3, "categorical"),
    ((1, 5, 1), 3, "categorical"),
    ((1, 2, 3), 2, "bernoulli"),
    ((1, 2, 3), 3, "categorical"),
    ((2, 1, 3), 3, "categorical"),
    ((2, 3, 1), 2, "logistic_mixture"),
    ((2, 2, 1), 3, "normal_mixture"),
    ((1, 2, 3), 3, "logistic_mixture"),
    ((1, 2, 3), 2, "normal_mixture"),
]
CHANNELS = [  # other numbers of channels; the quick suite tries each model on one of them, in the order of SMALL
    ((1, 2, 2), 3, "logistic_mixture"),
    ((1, 2, 4), 2, "categorical"),
    ((2, 1, 2), 3, "categorical"),
    ((1, 2, 4), 2, "normal_mixture"),
    ((2, 1, 4), 2, "logistic_mixture"),
    ((2, 2, 2), 2, "bernoulli"),
]
OF_VARIANTS = {  # where those two are too small to show what the option does: the smallest that do
    "of-bilstms": [((3, 3, 1), 2, "bernoulli"), ((1, 3, 3), 2, "categorical")],
    "factor-4": [((1, 5, 1), 3, "categorical")],
    "3-scales": [((3, 3, 1), 2, "bernoulli"), ((1, 3, 3), 2, "categorical")],
}
CASES = [Case(name, *images) for name in SMALL for images in IMAGES + CHANNELS]
CASES += [
    Case(name, *images, variant)
    for variant, (name, _) in VARIANTS.items()
    for images in OF_VARIANTS.get(variant, (IMAGES[0], IMAGES[5]))
]


def on_the_diagonal(case):
    """Whether the quick suite tries everything on a case: each model with each head, on one of its images in turn.

    In turn, so that each of IMAGES has its model, and each model grey and RGB images; and each variant once. Besides,
    each model with one of CHANNELS.
    """
    if (case.shape, case.levels, case.head) in CHANNELS:
        return (case.shape, case.levels, case.head) == CHANNELS[list(SMALL).index(case.name)]
    if case.variant:
        alike, turn = [c for c in CASES if c.variant == case.variant], list(VARIANTS).index(case.variant)
    else:
        alike = [Case(case.name, *images) for images in IMAGES if images[2] == case.head]
        turn = list(SMALL).index(case.name) + list(HEADS).index(case.head)
    return case == alike[turn % len(alike)]


def _quick_where(quick):
    parameters = [pytest.param(case, marks=() if quick(case) else pytest.mark.slow) for case in CASES]
    return pytest.mark.parametrize("case", parameters, ids=lambda case: case.id)


every_case = _quick_where(lambda case: case.shape[2] in (1, 3) or on_the_diagonal(case))
diagonal = _quick_where(on_the_diagonal)
