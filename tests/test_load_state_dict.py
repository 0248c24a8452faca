"""Weights from a dictionary: all of them, or what fits; and never half of them."""

import re

import numpy as np
import pytest
from model_table import SMALL

import minipixel as mp

PLAIN = {"hidden": 4, "blocks": 2}


def build(seed=0, **options):
    return mp.models.PixelCNN((4, 4, 1), 3, **PLAIN | options, rng=seed)


def test_what_fits_is_taken_and_the_rest_is_told():
    """From a model with more blocks, another head and an array too many: by name and shape, as PyTorch does."""
    other, model = build(1, blocks=3, head="logistic_mixture", mixtures=3), build(2)
    before, state = model.state_dict(), {**other.state_dict(), "moving_average": np.ones(3)}
    del state["stem.bias"]
    left = model.load_state_dict(state, strict=False)
    assert left.missing == ["stem.bias"]
    assert set(left.unexpected) == {name for name in state if name not in before} and "moving_average" in state
    last = "top.layers.2"
    assert left.other_shape == {f"{last}.weight": ((8, 9), (8, 3)), f"{last}.bias": ((9,), (3,))}
    missing, _, other_shape = left  # a named tuple
    for name, weight in model.state_dict().items():
        stays = name in (*missing, *other_shape)
        np.testing.assert_array_equal(weight, before[name] if stays else state[name], err_msg=name)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("strict", [True, False])
def test_nothing_is_left_of_its_own(name, strict):
    """Of every model; and a weight keeps its dtype, and stays frozen."""
    model, again = (mp.models.MODELS[name]((4, 4, 1), 3, **SMALL[name], rng=seed) for seed in (0, 1))
    first = next(iter(model.state_dict()))
    state = {name: weight.astype(np.float64) for name, weight in model.state_dict().items()}
    assert again.load_state_dict(state, strict) == ([], [], {})
    for weight, loaded in zip(state.values(), again.state_dict().values(), strict=True):
        assert loaded.dtype == np.float32
        np.testing.assert_array_equal(loaded, weight)
    assert again.load_state_dict({first: state[first]}, strict=False).missing == list(state)[1:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"top.layers.2.bias": np.array(["a", "b", "c"])}, "state: got top.layers.2.bias of dtype <U1, wanted real"),
        ({"top.layers.2.bias": np.zeros(3, complex)}, "state: got top.layers.2.bias of dtype complex128, wanted real"),
        ({"top.layers.2.bias": [None, None, None]}, "state: got top.layers.2.bias of dtype object, wanted real"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_an_error_changes_no_weight(change, said, strict):
    """The last weight is the one that is wrong: by then all others would have been written."""
    model = build()
    before = model.state_dict()
    assert list(before)[-1] == "top.layers.2.bias"
    with pytest.raises(ValueError, match=re.escape(said)):
        model.load_state_dict({**build(5).state_dict(), **change}, strict=strict)
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])


def test_plain_lists_are_arrays():
    model = build()
    model.load_state_dict({name: weight.tolist() for name, weight in build(3).state_dict().items()})
    np.testing.assert_array_equal(model.stem.weight.data, build(3).stem.weight.data)


def test_a_first_batch_leaves_loaded_scales_alone():
    """PixelCNN++, from one with another head: `fit` would fit gains and biases anew, and lose what was loaded."""
    options = {"filters": 4, "resnets": 1, "hierarchies": 1}
    images = np.random.default_rng(0).integers(3, size=(8, 4, 4, 1)).astype(np.uint8)
    other = mp.models.PixelCNNpp((4, 4, 1), 3, **options, mixtures=3)
    other.initialize(images)
    model = mp.models.PixelCNNpp((4, 4, 1), 3, **options, mixtures=2, rng=1)
    assert set(model.load_state_dict(other.state_dict(), strict=False).other_shape) == {
        "top.out.v",
        "top.out.bias",
        "top.out.gain",
    }
    assert model.initialized
