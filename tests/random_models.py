"""Models of all kinds and sizes for Hypothesis to draw, and all that must be true of each of them."""

import numpy as np
from hypothesis import strategies as st
from model_table import shaken

from minipixel import models
from minipixel.causality import WITNESSES
from minipixel.heads import HEADS
from minipixel.models.multiscale import BASES

FEW_IMAGES = 4096
"""Enumeration is asked of models that have no more images than this."""


def odd(least, most):
    return st.integers(least // 2, most // 2).map(lambda half: 2 * half + 1)


SIZES = {
    "pixelcnn": {
        **{"hidden": st.integers(3, 9), "blocks": st.integers(1, 3), "head_width": st.none() | st.integers(3, 9)},
        **{"activation": st.sampled_from(["relu", "prelu"]), "dropout": st.sampled_from([0.0, 0.3])},
    },
    "row-lstm": {
        **{"hidden": st.integers(3, 8), "layers": st.integers(1, 3)},
        **{"learned_state": st.booleans(), "skip": st.booleans()},
    },
    "diagonal-bilstm": {
        **{"hidden": st.integers(3, 8), "layers": st.integers(1, 2)},
        **{"learned_state": st.booleans(), "skip": st.booleans()},
    },
    "gated": {
        **{"filters": st.integers(3, 8), "layers": st.integers(1, 3), "kernel": odd(3, 5), "first_kernel": odd(3, 7)},
        **{"dilations": st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple)},
    },
    "pixelcnnpp": {
        **{"filters": st.integers(3, 6), "resnets": st.integers(1, 2), "hierarchies": st.integers(1, 3)},
        **{"dropout": st.sampled_from([0.0, 0.3]), "weight_norm": st.booleans()},
        **{"vertical_kernel": st.tuples(st.integers(1, 3), odd(1, 5))},
        **{"horizontal_kernel": st.tuples(st.integers(2, 3), st.integers(2, 3))},
        **{"activation": st.sampled_from(["concat_elu", "elu", "relu"])},
    },
    "multi-scale": {
        **{"base": st.sampled_from(sorted(BASES)), "factor": st.integers(2, 3)},
        **{"hidden": st.integers(3, 6), "layers": st.integers(1, 2), "upsampled": st.integers(1, 5)},
    },
}
assert SIZES.keys() == models.MODELS.keys()


@st.composite
def configurations(draw):
    """A model's name, its image shape and levels, and its options."""
    name = draw(st.sampled_from(sorted(SIZES)))
    C = draw(st.sampled_from([1, 3, 2, 4]))
    H, W = draw(st.integers(1, 5)), draw(st.integers(1, 5 if C == 1 else 3))
    levels = draw(st.sampled_from([2, 2, 2, 3, 4, 17, 256]))
    options = {option: draw(values) for option, values in SIZES[name].items()}
    options |= {name: max(options[name], C) for name in ("hidden", "filters", "head_width") if options.get(name)}
    options["head"] = draw(st.sampled_from([None, *(head for head in HEADS if HEADS[head].fits(levels))]))
    options["mixtures"] = draw(st.integers(1, 3))
    options["inputs"] = draw(st.sampled_from(["scaled", "scaled", "one_hot", "embedding"]))
    options["embedding_width"] = draw(st.integers(2, 4))
    options["dtype"] = draw(st.sampled_from(["float32", "float64"]))
    told = draw(st.sampled_from(["", "", "class", "number", "vector", "map", "class vector", "class map"]))
    if "class" in told:
        options["num_classes"] = draw(st.integers(1, 4))
    told = told.removeprefix("class").strip()
    if told:
        options["condition_shape"] = {"number": (), "vector": (2,), "map": (H, W, 2)}[told]
    return name, (H, W, C), levels, options


def assert_all_witnesses_hold(model):
    for name, witness in WITNESSES.items():
        count = model.levels ** int(np.prod(model.image_shape))
        if name != "enumeration" or count <= FEW_IMAGES:
            verdict = witness(model)
            assert verdict.holds, verdict


def assert_causal_by_all(configuration):
    name, shape, levels, options = configuration
    assert_all_witnesses_hold(shaken(models.MODELS[name](shape, levels, **options)))
