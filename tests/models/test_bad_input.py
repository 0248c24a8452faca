"""One clear line for every argument that cannot be meant."""

import numpy as np
import pytest

import minipixel as mp

IMAGES = np.zeros((2, 4, 3, 1), np.uint8)


@pytest.fixture(scope="module")
def model():
    return mp.models.PixelCNN((4, 3, 1), 4, hidden=2, blocks=1)


def refused(match, call):
    with pytest.raises(ValueError, match=match) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (IMAGES.astype(np.float32), r"images: got dtype float32, wanted integers in 0\.\.3"),
        (IMAGES.astype(bool), r"images: got dtype bool, wanted integers .*images \* np\.uint8\(3\)"),
        (IMAGES + 4, r"images: got levels 4\.\.4, wanted 0\.\.3; see minipixel.datasets.quantize"),
        (IMAGES.astype(int) - 1, r"images: got levels -1\.\.-1, wanted 0\.\.3"),
        (IMAGES[0], r"images: got shape \(4, 3, 1\), wanted \(N, 4, 3, 1\) .*images\[None\]"),
        (IMAGES[..., 0], r"images: got shape \(2, 4, 3\), wanted \(N, 4, 3, 1\)"),
        (IMAGES.transpose(0, 2, 1, 3), r"images: got shape \(2, 3, 4, 1\), wanted \(N, 4, 3, 1\)"),
        (IMAGES[:0], r"images: got shape \(0, 4, 3, 1\), wanted .* N >= 1"),
        (np.array([["a"]]), r"images: got shape \(1, 1\)"),
        (None, r"images: got None, wanted an array"),
    ],
)
@pytest.mark.parametrize("method", ["loss", "log_prob", "log_prob_map", "bits_per_dim", "predict", "initialize"])
def test_images(model, method, images, match):
    refused(match, lambda: getattr(model, method)(images))


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (((4, 3), 2), {}, r"image_shape: got \(4, 3\), wanted \(H, W, C\)"),
        (((4, 3, 65), 2), {}, r"image_shape: got \(4, 3, 65\), wanted .* with C in 1\.\.64"),
        (((0, 3, 1), 2), {}, r"image_shape: got \(0, 3, 1\)"),
        (((4.0, 3, 1), 2), {}, r"image_shape"),
        (((10**6, 10**6, 1), 2), {}, r"image_shape"),
        ((7, 2), {}, r"image_shape: got 7"),
        (((4, 3, 1), 1), {}, r"levels: got 1, wanted a whole number in 2\.\.65536"),
        (((4, 3, 1), 65537), {}, r"levels: got 65537"),
        (((4, 3, 1), 2.5), {}, r"levels: got 2\.5"),
        (((4, 3, 1), 2), {"hidden": 0}, r"hidden: got 0, wanted a whole number in 1\.\."),
        (((4, 3, 3), 2), {"hidden": 2}, r"hidden: got 2, wanted a whole number in 3\.\."),
        (((4, 3, 1), 2), {"hidden": 10**9}, r"hidden: got 1000000000"),
        (((4, 3, 1), 2), {"hidden": True}, r"hidden: got True"),
        (((4, 3, 1), 2), {"blocks": 0}, r"blocks: got 0, wanted a whole number in 1\.\."),
        (((4, 3, 3), 2), {"head_width": 2}, r"head_width: got 2, wanted a whole number in 3\.\."),
        (((4, 3, 1), 2), {"activation": "gelu"}, r"activation: got 'gelu', wanted one of 'relu', 'prelu'"),
        (((4, 3, 1), 2), {"dropout": 1.0}, r"dropout: got 1\.0, wanted a number in \[0, 1\); 0 drops nothing"),
        (((4, 3, 1), 2), {"dropout": -0.1}, r"dropout: got -0\.1"),
        (((4, 3, 1), 2), {"dropout": float("nan")}, r"dropout: got nan"),
        (((4, 3, 1), 2), {"dropout": "half"}, r"dropout: got 'half'"),
        (((4, 3, 1), 2), {"head": "gaussian"}, r"head: got 'gaussian', wanted one of bernoulli, categorical"),
        (((4, 3, 1), 3), {"head": "bernoulli"}, r"head: got 'bernoulli' for 3 levels, wanted 2"),
        (((4, 3, 1), 2), {"mixtures": 0}, r"mixtures: got 0, wanted a whole number in 1\.\.1000"),
        (((4, 3, 1), 2), {"mixtures": 1001}, r"mixtures: got 1001"),
        (((4, 3, 1), 2), {"dtype": "float16"}, r"dtype: got 'float16', wanted one of 'float32', 'float64'"),
        (((4, 3, 1), 2), {"dtype": "no such type"}, r"dtype: got 'no such type', wanted one of"),
    ],
)
def test_configurations(arguments, options, match):
    refused(match, lambda: mp.models.PixelCNN(*arguments, **options))


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        ((0,), {}, r"n: got 0, wanted a whole number in 1\.\."),
        ((-3,), {}, r"n: got -3"),
        ((1.5,), {}, r"n: got 1\.5"),
        ((1,), {"temperature": -0.5}, r"temperature: got -0.5, wanted a number from 0 up"),
        ((1,), {"temperature": "cold"}, r"temperature: got 'cold', wanted a number"),
        ((1,), {"temperature": True}, r"temperature: got True"),
        ((1,), {"temperature": float("nan")}, r"temperature: got nan"),
        ((1,), {"method": "magic"}, r"method: got 'magic', wanted one of 'auto', 'naive'"),
        ((1, np.array([3])), {}, r"condition: got one, wanted None"),
    ],
)
def test_sampling(model, arguments, options, match):
    refused(match, lambda: model.sample(*arguments, **options))


def test_condition(model):
    refused("condition: got one, wanted None", lambda: model.log_prob(IMAGES, np.zeros(2, int)))


def test_state_dict(model):
    state = model.state_dict()
    before = model.log_prob(IMAGES)
    some = dict(list(state.items())[1:])
    refused(r"state: got 13 arrays, wanted the 14 .* missing: stem\.weight; unknown: none", lambda: load(model, some))
    refused(
        r"state: .*missing: none; unknown: extra", lambda: load(model, state | {"extra": state["top.layers.2.bias"]})
    )
    wrong = state | {"stem.weight": np.zeros((7, 7, 1, 5))}
    refused(r"state: got stem\.weight of shape \(7, 7, 1, 5\), wanted \(7, 7, 1, 4\)", lambda: load(model, wrong))
    np.testing.assert_array_equal(model.log_prob(IMAGES), before)


def load(model, state):
    model.load_state_dict(state)
