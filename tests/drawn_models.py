"""Whole models for Hypothesis to draw, with everything that it takes to run them: images, conditions, weights, dropout.

A model is one of the family with every option drawn, or one of somebody's own, put together at random (drawn_graphs).
What is drawn is a small value that builds the same model again and again, that prints as the expression that makes it,
and that shrinks towards one pixel, one layer, one image.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from drawn_graphs import Graph, programs
from hypothesis import strategies as st
from model_table import shaken
from random_models import SIZES, odd

from minipixel import Tensor, models, nn
from minipixel.heads import HEADS
from minipixel.models.multiscale import _most_scales

WIDTHS = st.integers(3, 6) | st.sampled_from([7, 9, 12, 15, 16, 17, 20, 25])
"""Features: few, odd numbers, and both sides of 16, where the gates of an LSTM come in another order."""

HEAD_WIDTHS = st.none() | st.integers(3, 17)
OF_RECURRENT = {"hidden": WIDTHS, "layers": st.integers(1, 3), "head_width": HEAD_WIDTHS}
# what random_models draws for proofs of causality, and here what a body or a table could get wrong besides
OPTIONS = {
    "pixelcnn": {"hidden": WIDTHS, "kernel": odd(3, 5), "first_kernel": odd(3, 7)},
    "row-lstm": OF_RECURRENT,
    "diagonal-bilstm": {**OF_RECURRENT, "phantom_column": st.booleans()},
    "gated": {"filters": WIDTHS, "head_width": HEAD_WIDTHS},
    "pixelcnnpp": {"filters": st.integers(3, 9) | st.just(17)},
    "multi-scale": {"scales": st.integers(2, 3), "upsampled": st.integers(1, 5) | st.just(17)},
}
assert OPTIONS.keys() == SIZES.keys()
NAMES = tuple(sorted(SIZES))


@dataclass(frozen=True)
class Family:
    """A model of the family: its name, images and options."""

    name: str
    shape: tuple[int, int, int]
    levels: int
    options: dict[str, Any] = field(default_factory=dict)

    def build(self, dtype):
        return models.MODELS[self.name](self.shape, self.levels, dtype=dtype, **self.options)


@dataclass(frozen=True)
class Drawn:
    """A model, and a batch of N images for it.

    `weighted`: the images have weights. `dropping`: dropout is on. `frozen`: which weights are none any more, by number
    (the last weight always stays one); an even number makes an array of it, an odd one a plain Tensor. `bystander`: it
    owns a layer that its forward pass does not use.
    """

    made: Family | Graph
    N: int = 1
    dtype: str = "float64"
    seed: int = 0
    weighted: bool = False
    dropping: bool = False
    frozen: tuple[int, ...] = ()
    bystander: bool = False

    def model(self, dtype=None):
        """The model, its weights moved away from where they began; of another dtype the very same numbers."""
        if dtype not in (None, self.dtype):
            twin = self._built(dtype)
            twin.load_state_dict(self.model().state_dict())
            return freeze(twin, self.frozen)
        model = self._built(self.dtype)
        if not model.initialized:
            model.initialize(*self.batch(model)[:2])
        return freeze(shaken(model, self.seed, scale=0.1), self.frozen)

    def _built(self, dtype):
        model = self.made.build(dtype)
        if self.bystander:
            model.bystander = nn.Pointwise(np.zeros(2, int), np.zeros(3, int), model.init)
        return model

    def batch(self, model):
        """Images, conditions, and weights of images or None."""
        rng = np.random.default_rng(self.seed)
        images = rng.integers(model.levels, size=(self.N, *model.image_shape)).astype(np.uint8)
        condition = model.conditions.random(self.N, rng)
        weights = rng.integers(0, 9, self.N) / 4 if self.weighted else None
        return images, condition, weights

    def text(self):
        """The model as somebody would read it: its summary, and the forward pass where that was drawn, too."""
        model = self.model()
        return "\n".join([str(self), model.summary(), *(model.lines() if isinstance(self.made, Graph) else ())])

    @property
    def rng(self):
        """The seed of dropout, or None where nothing is dropped."""
        return self.seed if self.dropping else None


def freeze(model, numbers):
    """Some weights as plain arrays or plain Tensors, never the last one that the forward pass uses."""
    names = [name for name, _ in model.named_parameters() if not name.startswith("bystander")][:-1]
    for number in numbers if names else ():
        layer, attribute = holder(model, names[number // 2 % len(names)])
        weight = getattr(layer, attribute)
        setattr(layer, attribute, Tensor(array_of(weight)) if number % 2 else array_of(weight))
    return model


def array_of(weight):
    return weight.data if isinstance(weight, Tensor) else weight


def holder(model, name):
    """The layer that a weight of that dotted name is an attribute of, and the name of the attribute."""
    *path, attribute = name.split(".")
    for step in path:
        model = model[int(step)] if step.isdecimal() else getattr(model, step)
    return model, attribute


def modules(part):
    """A module and all those in it, the outer ones first."""
    if isinstance(part, nn.Module):
        yield part
    inside = vars(part).values() if isinstance(part, nn.Module) else part if isinstance(part, list) else ()
    for item in inside:
        yield from modules(item)


@st.composite
def families(draw, names=NAMES, largest=(9, 7)):
    """A model of the family, with every option drawn."""
    name, shape, levels, common = draw(st.sampled_from(names)), *draw(images(largest))
    options = {option: draw(values) for option, values in (SIZES[name] | OPTIONS[name]).items()}
    options |= {name: max(options[name], shape[2]) for name in ("hidden", "filters", "head_width") if options.get(name)}
    if "scales" in options:
        options["scales"] = min(options["scales"], _most_scales(max(shape[:2]), options["factor"]))
    return Family(name, shape, levels, options | common)


@st.composite
def graphs(draw, largest=(6, 5)):
    """A model of somebody's own."""
    inputs = "scaled", "scaled", "embedding"  # of one-hot levels the plan knows products alone
    shape, levels, common = draw(images(largest, inputs))
    return Graph(shape, levels, draw(programs()), common)


@st.composite
def images(draw, largest, inputs=("scaled", "scaled", "one_hot", "embedding")):
    """An image shape, levels, and the options that every model takes."""
    H, W = (draw(st.integers(1, most)) for most in largest)
    C, levels = draw(st.sampled_from([1, 1, 3, 2, 4])), draw(st.sampled_from([2, 2, 3, 5, 17, 256]))
    options = {"head": draw(st.sampled_from([head for head in HEADS if HEADS[head].fits(levels)]))}
    options |= {"inputs": draw(st.sampled_from(inputs)), "embedding_width": draw(st.integers(2, 4))}
    if "mixture" in options["head"]:
        options["mixtures"] = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["", "class", "number", "vector", "map", "class vector", "class map"]))
    if "class" in kind:
        options["num_classes"] = draw(st.integers(1, 4))
    kind = kind.removeprefix("class").strip()
    if kind:
        options["condition_shape"] = {"number": (), "vector": (draw(st.integers(1, 3)),), "map": (H, W, 2)}[kind]
    return (H, W, C), levels, options


@st.composite
def drawn_models(draw, made=None, dtypes=("float64", "float32")):
    """Models of all kinds, and the batch to run each with."""
    return Drawn(
        made=draw(families() | graphs() if made is None else made),
        N=draw(st.integers(1, 5)),
        dtype=draw(st.sampled_from(dtypes)),
        seed=draw(st.integers(0, 3)),
        weighted=draw(st.booleans()),
        dropping=draw(st.booleans()),
        frozen=tuple(draw(st.lists(st.integers(0, 40), max_size=3, unique=True))),
        bystander=draw(st.sampled_from([False, False, False, True])),
    )
