"""PixelCNN++ by TensorFlow Probability's names: what goes in, what comes out, and the script of docs/tfp.md."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from model_table import shaken

import minipixel as mp
from minipixel.nn.init import BLANK

SHAPE = (4, 3, 1)
PAGE = Path(__file__).parents[1] / "docs" / "tfp.md"
RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 8, (6, *SHAPE))


def small(shape=SHAPE, conditional_shape=None, **options):
    options = {"num_resnet": 1, "num_hierarchies": 2, "num_filters": 4, "num_logistic_mix": 2, "high": 7} | options
    return mp.distributions.PixelCNN(shape, conditional_shape, **options)


# --- what it is made of ---------------------------------------------------------------------------------------------


def test_the_defaults_are_the_papers():
    """And TFP's: the arguments in its order, with its defaults."""
    dist = mp.distributions.PixelCNN((4, 4, 3), rng=BLANK)
    config = dist.model.config
    wanted = {"resnets": 5, "hierarchies": 3, "filters": 160, "mixtures": 10, "dropout": 0.5, "levels": 256}
    wanted |= {"activation": "concat_elu", "weight_norm": True, "head": "logistic_mixture", "condition_shape": None}
    wanted |= {"vertical_kernel": [2, 3], "horizontal_kernel": [2, 2], "dtype": "float32", "model": "pixelcnnpp"}
    assert {name: config[name] for name in wanted} == wanted
    assert not dist.model.initialized and dist.name == "PixelCNN"


def test_arguments_in_their_order():
    dist = mp.distributions.PixelCNN(
        SHAPE, (2,), 1, 2, 4, 3, (4, 5), 0.25, "elu", False, False, 9, 2, "float64", "mine"
    )
    config = dist.model.config
    wanted = {"condition_shape": [2], "resnets": 1, "hierarchies": 2, "filters": 4, "mixtures": 3, "dropout": 0.25}
    wanted |= {"activation": "elu", "weight_norm": False, "levels": 8, "dtype": "float64"}
    assert {name: config[name] for name in wanted} == wanted
    assert (dist.low, dist.high, dist.name) == (2, 9, "mine")


@pytest.mark.parametrize("conditional_shape", [None, (), (2,), (4, 3, 2)])
def test_properties(conditional_shape):
    dist = small(conditional_shape=conditional_shape, dtype="float64")
    assert dist.event_shape == SHAPE and dist.batch_shape == () and dist.conditional_shape == conditional_shape
    assert dist.dtype == "float64" and "PixelCNN" in repr(dist)


@pytest.mark.parametrize(
    ("dims", "above", "left"), [((3, 3), (2, 3), (2, 2)), ((3, 5), (2, 5), (2, 3)), ((5, 3), (4, 3), (2, 2))]
)
def test_receptive_field_dims(dims, above, left):
    """`rows` counts the pixel's own: rows - 1 above it at the start; what is on the left has two rows in any case."""
    dist = small(receptive_field_dims=dims)
    weights = {name: array.shape[:2] for name, array in dist.model.state_dict().items()}
    assert weights["above.v"] == weights["level.way_in.0.u.first.v"] == above
    assert weights["up.v"] == (1, dims[1])
    assert weights["left.v"] == (2, dims[1] // 2)
    assert weights["level.way_in.0.ul.first.v"] == left


def test_the_first_weights_follow_rng():
    first, again, other = (small(rng=rng).model.state_dict() for rng in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["above.v"], other["above.v"])


@pytest.mark.parametrize("use_data_init", [True, False])
def test_use_data_init(use_data_init):
    """With it, fit sets gains by the first batch; without it, they move by an optimiser's step alone."""
    dist = small(use_data_init=use_data_init)
    before = dist.model.state_dict()["above.gain"].copy()
    assert (before == 1).all()
    mp.fit(dist.model, dist.levels_of(VALUES), epochs=1, optimizer=mp.optim.SGD(1e-12), progress=False)
    moved = np.abs(dist.model.state_dict()["above.gain"] - before).max()
    assert (moved > 0.1) == use_data_init


# --- likelihood -----------------------------------------------------------------------------------------------------


def test_log_prob_is_the_models():
    dist = small()
    np.testing.assert_array_equal(dist.log_prob(VALUES), dist.model.log_prob(VALUES))
    assert dist.log_prob(VALUES).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_values_of_any_dtype(dtype):
    dist = small()
    np.testing.assert_array_equal(dist.log_prob(VALUES.astype(dtype)), dist.log_prob(VALUES))


@pytest.mark.parametrize(("low", "high"), [(1, 4), (-2, 1), (0, 1), (300, 555)])
def test_low_and_high(low, high):
    """Only the names of the levels change: the model is one of as many levels."""
    dist, plain = small(low=low, high=high), small(high=high - low)
    levels = np.random.default_rng(1).integers(0, high - low + 1, (3, *SHAPE))
    assert dist.model.levels == high - low + 1
    np.testing.assert_array_equal(dist.levels_of((levels + low).astype(np.float32)), levels)
    assert dist.levels_of(levels + low).dtype == np.uint8
    np.testing.assert_array_equal(dist.log_prob(levels + low), plain.log_prob(levels))
    np.testing.assert_array_equal(dist.sample(5, seed=0), plain.sample(5, seed=0) + low)


@pytest.mark.parametrize(
    ("conditional_shape", "value_batch", "told_batch"),
    [
        (None, (), None),
        (None, (2, 3), None),
        ((), (), ()),
        ((), (), (3,)),
        ((), (2, 1), (3,)),
        ((2,), (3,), ()),
        ((2,), (3,), (3,)),
        ((2,), (1,), (2, 1)),
        ((4, 3, 2), (2,), ()),
        ((4, 3, 2), (), (2,)),
        ((4, 3, 2), (3, 1), (1, 2)),
    ],
)
def test_broadcasting(conditional_shape, value_batch, told_batch):
    """Against a loop over the batch, with the model itself."""
    dist = small(conditional_shape=conditional_shape, dtype="float64")
    rng = np.random.default_rng(2)
    value = rng.integers(0, 8, (*value_batch, *SHAPE))
    told = None if told_batch is None else rng.standard_normal((*told_batch, *conditional_shape))
    batch = np.broadcast_shapes(value_batch, told_batch or ())
    every_value = np.broadcast_to(value, (*batch, *SHAPE))
    every_told = None if told is None else np.broadcast_to(told, (*batch, *conditional_shape))
    wanted = np.zeros(batch)
    for index in np.ndindex(batch):
        one = None if every_told is None else every_told[index][None]
        wanted[index] = dist.model.log_prob(every_value[index][None], one)[0]
    found = dist.log_prob(value, conditional_input=told)
    assert found.shape == batch
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize(("shape", "low", "high"), [((2, 2, 1), 0, 2), ((1, 3, 1), 1, 4), ((1, 1, 3), 5, 8)])
def test_sums_to_1(shape, low, high):
    """Over all images there are, before any training, for one condition and for another."""
    dist = small(shape, (), low=low, high=high, dtype="float64", rng=3)
    images = np.array(list(itertools.product(range(low, high + 1), repeat=int(np.prod(shape))))).reshape(-1, *shape)
    totals = np.exp(dist.log_prob(images, conditional_input=[[-1.0], [2.0]])).sum(axis=1)
    np.testing.assert_allclose(totals, 1, rtol=1e-12)


# --- samples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch"), [((), ()), (3, (3,)), ((3,), (3,)), ((2, 3), (2, 3)), ([2, 1], (2, 1))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_of_samples(n, batch, dtype):
    samples = small(dtype=dtype, low=1).sample(n)
    assert samples.shape == (*batch, *SHAPE) and samples.dtype == dtype
    assert (samples == np.round(samples)).all() and samples.min() >= 1 and samples.max() <= 7


def test_seeds():
    dist = small()
    first = dist.sample(4, seed=5)
    np.testing.assert_array_equal(first, dist.sample(4, seed=5))
    np.testing.assert_array_equal(first, dist.sample((2, 2), seed=5).reshape(first.shape))
    np.testing.assert_array_equal(first, dist.sample(4, seed=np.random.default_rng(5)))
    assert not np.array_equal(first, dist.sample(4, seed=6))
    assert not np.array_equal(dist.sample(4), dist.sample(4))


@pytest.mark.parametrize(
    ("conditional_shape", "n", "batch", "repeats"),
    [
        ((), 4, (), 4),
        ((), (2, 2), (1,), 4),
        ((), 6, (3,), 2),
        ((), (2, 3), (3,), 2),
        ((2,), (), (), 1),
        ((2,), (2, 2, 3), (2, 3), 2),
        ((2,), 6, (2, 3), 1),
        ((4, 3, 2), 2, (), 2),
        ((4, 3, 2), (2, 2), (2,), 2),
    ],
)
def test_conditional_inputs_are_repeated(conditional_shape, n, batch, repeats):
    """Over and over, in order: sample i of all has condition i modulo b."""
    dist = small(conditional_shape=conditional_shape)
    told = np.random.default_rng(3).standard_normal((*batch, *conditional_shape))
    each = np.concatenate([told.reshape(-1, *conditional_shape)] * repeats)
    samples = dist.sample(n, conditional_input=told, seed=0)
    np.testing.assert_array_equal(samples.reshape(-1, *SHAPE), dist.model.sample(len(each), each, rng=0))


def two_kinds():
    """Dark images of label 0, bright ones of label 1: values 1..4."""
    rng = np.random.default_rng(4)
    labels = np.arange(128) % 2
    return (rng.integers(1, 3, (128, *SHAPE)) + 2 * labels[:, None, None, None]).astype(np.float32), labels


def shares_of_bright(dist, dark, bright):
    samples = dist.sample((32, 2), conditional_input=np.stack([dark, bright]), seed=0)
    return (samples > 2).mean(axis=(0, 2, 3, 4))


@pytest.mark.parametrize("conditional_shape", [(2,), (4, 3, 1)])
def test_samples_follow_their_condition_after_fit(conditional_shape):
    values, labels = two_kinds()
    as_maps = np.broadcast_to(labels[:, None, None, None], (128, 4, 3, 1))
    told = np.eye(2)[labels] if conditional_shape == (2,) else as_maps
    dist = small(conditional_shape=conditional_shape, num_filters=8, low=1, high=4, dropout_p=0.1)
    before, optimizer = shares_of_bright(dist, told[0], told[1]), mp.optim.Adam(0.01)
    mp.fit(dist.model, dist.levels_of(values), told, epochs=20, batch_size=32, optimizer=optimizer, progress=False)
    dark, bright = shares_of_bright(dist, told[0], told[1])
    assert abs(before[1] - before[0]) < 0.5
    assert dark < 0.1 and bright > 0.9
    right = dist.log_prob(values, conditional_input=told)
    assert (right > dist.log_prob(values, conditional_input=told[::-1])).all()  # the labels alternate: all wrong


def test_samples_follow_their_condition_after_a_loop_of_ones_own():
    values, labels = two_kinds()
    dist = small(conditional_shape=(), num_filters=8, low=1, high=4, dropout_p=0.1)
    images, optimizer, rng = dist.levels_of(values), mp.optim.Adam(0.01), np.random.default_rng(0)
    dist.model.initialize(images[:32], labels[:32])
    for _ in range(40):
        batch = rng.choice(len(images), 32, replace=False)
        dist.model.loss(images[batch], labels[batch], rng=rng).backward()
        optimizer.step(dist.model)
    dark, bright = shares_of_bright(dist, 0, 1)
    assert dark < 0.2 and bright > 0.8


# --- what TFP's own tests ask of it ---------------------------------------------------------------------------------


def as_in_tfp(shape=(8, 8, 3), conditional_shape=None, **options):
    """Their model: 11 levels, one filter, one component; here in float64, so that little is lost in sums."""
    sizes = {"num_resnet": 1, "num_hierarchies": 1, "num_filters": 1, "num_logistic_mix": 1, "dropout_p": 0.0}
    plain = {"use_weight_norm": False, "use_data_init": False, "high": 10, "dtype": "float64"}
    return mp.distributions.PixelCNN(shape, conditional_shape, **(sizes | plain | options))


@pytest.mark.parametrize("options", [{}, {"use_weight_norm": True, "use_data_init": True}, {"dtype": "float32"}])
@pytest.mark.parametrize("conditional_shape", [None, (5,), ()])
@pytest.mark.parametrize("C", [2, 3])
def test_one_filter_and_one_component(C, conditional_shape, options):
    """8x8 images of 11 levels: shapes of what comes out, batches, and a gradient for every weight."""
    dist = as_in_tfp((8, 8, C), conditional_shape, **options)
    value = RNG.integers(0, 11, (4, 8, 8, C))
    told = None if conditional_shape is None else RNG.standard_normal((4, *conditional_shape))
    nats = dist.log_prob(value, conditional_input=told)
    assert nats.shape == (4,) and np.isfinite(nats).all() and (nats < 0).all()
    batches = None if told is None else told.reshape(2, 2, *conditional_shape)
    np.testing.assert_allclose(dist.log_prob(value.reshape(2, 2, 8, 8, C), batches).ravel(), nats, rtol=1e-6)
    assert dist.log_prob(value[0], None if told is None else told[0]).shape == ()
    samples = dist.sample((2, 2), conditional_input=batches, seed=0)
    assert samples.shape == (2, 2, 8, 8, C) and np.isin(samples, np.arange(11)).all()
    assert dist.sample(conditional_input=None if told is None else told[0]).shape == (8, 8, C)
    shaken(dist.model)  # at the start some weights have no effect yet, since others are 0
    loss, gradients = dist.model.value_and_gradients(dist.levels_of(value), told)
    assert np.isfinite(loss) and set(gradients) == set(dict(dist.model.named_parameters()))
    for name, g in gradients.items():
        is_a_sign = name.endswith(".v") and g[..., 0].size == 1  # of a single number, normalised, the sign is left
        assert np.isfinite(g).all() and (np.any(g) or is_a_sign), name


@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 1, 2), (1, 1, 3), (1, 1, 5)])
def test_one_filter_sums_to_1(shape):
    """Over all images, of three levels, for one condition and another."""
    dist = as_in_tfp(shape, (), high=2)
    shaken(dist.model)
    images = np.array(list(itertools.product(range(3), repeat=int(np.prod(shape))))).reshape(-1, *shape)
    totals = np.exp(dist.log_prob(images, conditional_input=[[-1.0], [2.0]])).sum(axis=1)
    np.testing.assert_allclose(totals, 1, rtol=1e-12)


def test_one_filter_is_causal():
    """TFP's own check of this: no output moves with what is later; here by all witnesses, colours included."""
    mp.assert_causal(shaken(as_in_tfp().model))


def test_each_parameter_of_a_pixel_counts():
    """With three channels: that a channel follows those before it is in the likelihood, by each coefficient."""
    model = shaken(as_in_tfp((2, 2, 3)).model)
    out = dict(model.named_parameters())["top.out.bias"]
    images = RNG.integers(0, 11, (3, 2, 2, 3), dtype=np.uint8)
    before = model.log_prob(images)
    for parameter in range(1, len(model.head.groups)):  # of a single component, whose logit makes no difference
        out.data[parameter] += 0.1
        assert (np.abs(model.log_prob(images) - before) > 1e-6).all(), parameter
        out.data[parameter] -= 0.1


# --- one clear line for what cannot be meant ------------------------------------------------------------------------


def refused(match, call):
    with pytest.raises(ValueError, match=match) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"shape": (4, 3)}, r"image_shape: got \(4, 3\)"),
        ({"shape": (4, 3, 65)}, r"image_shape: got \(4, 3, 65\), wanted .* with C in 1\.\.64"),
        ({"conditional_shape": (2, 2)}, r"conditional_shape: got \(2, 2\), wanted"),
        ({"conditional_shape": (3, 4, 1)}, r"conditional_shape: got \(3, 4, 1\), wanted .*\(4, 3, K\)"),
        ({"conditional_shape": 10}, r"conditional_shape: got 10"),
        ({"num_resnet": 0}, r"num_resnet: got 0"),
        ({"num_hierarchies": 0}, r"num_hierarchies: got 0"),
        ({"num_filters": 1.5}, r"num_filters: got 1\.5"),
        ({"num_logistic_mix": 0}, r"num_logistic_mix: got 0"),
        ({"receptive_field_dims": 3}, r"receptive_field_dims: got 3, wanted \(rows, columns\)"),
        ({"receptive_field_dims": (3, 4)}, r"receptive_field_dims: got 4 columns, wanted an odd number; try 5"),
        ({"receptive_field_dims": (1, 3)}, r"receptive_field_dims: got 1"),
        ({"receptive_field_dims": (3, 1)}, r"receptive_field_dims: got 1"),
        ({"receptive_field_dims": (3.0, 3)}, r"receptive_field_dims: got 3\.0"),
        ({"dropout_p": 1}, r"dropout_p: got 1"),
        ({"resnet_activation": "gelu"}, r"resnet_activation: got 'gelu', wanted one of 'concat_elu'"),
        ({"use_weight_norm": "yes"}, r"use_weight_norm: got 'yes'"),
        ({"use_data_init": 1}, r"use_data_init: got 1"),
        ({"high": 65536}, r"high: got 65536, wanted a whole number in 1\.\.65535"),
        ({"low": 7}, r"high: got 7, wanted a whole number in 8\.\.65542"),
        ({"high": 0.5}, r"high: got 0\.5"),
        ({"low": None}, r"low: got None"),
        ({"dtype": "float16"}, r"dtype: got 'float16', wanted one of 'float32', 'float64'"),
        ({"dtype": "bfloat16"}, r"dtype: got 'bfloat16'"),
        ({"dtype": np.int32}, r"dtype: got 'int32'"),
    ],
)
def test_arguments_that_cannot_be_meant(options, match):
    refused(match, lambda: small(**options))


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (VALUES * 0.5, r"value: got \d\.5, wanted whole numbers in 0\.\.7 \(`low` to `high`\)"),
        (VALUES / 7, r"value: got 0\.\d+, wanted whole numbers"),
        (VALUES + 1, r"value: got 1\.\.8, wanted whole numbers in 0\.\.7"),
        (VALUES - 1.0, r"value: got -1\.0\.\.6\.0, wanted"),
        (np.where(VALUES == 3, np.nan, VALUES), r"value: got nan\.\.nan, wanted"),
        (np.where(VALUES == 3, np.inf, VALUES), r"value: got 0\.0\.\.inf, wanted"),
        (VALUES > 3, r"value: got bool of shape \(6, 4, 3, 1\), wanted"),
        (VALUES[..., 0], r"value: got int64 of shape \(6, 4, 3\), wanted .* of shape \(\.\.\., 4, 3, 1\)"),
        (VALUES.transpose(0, 2, 1, 3), r"value: got int64 of shape \(6, 3, 4, 1\), wanted"),
        (VALUES[:0], r"value: got int64 of shape \(0, 4, 3, 1\), wanted"),
        (None, r"value: got None, wanted an array"),
        ("digits", r"value: got 'digits', wanted an array"),
    ],
)
@pytest.mark.parametrize("method", ["log_prob", "levels_of"])
def test_values_that_cannot_be_meant(method, value, match):
    refused(match, lambda: getattr(small(), method)(value))


@pytest.mark.parametrize(
    ("conditional_shape", "told", "match"),
    [
        (None, 5.0, r"conditional_input: got one, wanted None"),
        ((), None, r"conditional_input: got None, wanted finite numbers of shape \(\)"),
        ((2,), None, r"conditional_input: got None, wanted finite numbers of shape \(2,\)"),
        ((2,), 5.0, r"conditional_input: got float64 of shape \(\), wanted finite numbers of shape \(2,\)"),
        ((2,), np.ones((6, 3)), r"conditional_input: got float64 of shape \(6, 3\)"),
        ((4, 3, 2), np.ones((6, 2)), r"conditional_input: got float64 of shape \(6, 2\)"),
        ((), "5", r"conditional_input: got '5', wanted an array"),
        ((), np.nan, r"conditional_input: got NaN or infinite numbers"),
        ((2,), np.ones((0, 2)), r"conditional_input: got float64 of shape \(0, 2\)"),
    ],
)
def test_conditional_inputs_that_cannot_be_meant(conditional_shape, told, match):
    dist = small(conditional_shape=conditional_shape)
    refused(match, lambda: dist.log_prob(VALUES, conditional_input=told))
    refused(match, lambda: dist.sample(6, conditional_input=told))


def test_batches_that_do_not_broadcast():
    refused(
        r"conditional_input: got a batch of shape \(4,\) beside values of batch shape \(6,\), wanted two that",
        lambda: small(conditional_shape=()).log_prob(VALUES, conditional_input=np.ones(4)),
    )


@pytest.mark.parametrize(
    ("n", "match"),
    [
        (0, r"n: got 0, wanted a whole number in 1\.\."),
        (2.0, r"n: got 2\.0"),
        (True, r"n: got True"),
        ((2, 0), r"n: got 0"),
        (None, r"n: got None"),
        ((2**20, 2**20), r"n: got 1099511627776"),
        (4, r"n: got 4 for 3 conditional inputs of batch shape \(3,\), wanted a multiple of 3, or a shape that ends"),
        ((), r"n: got \(\) for 3 conditional inputs"),
        ((3, 4), r"n: got \(3, 4\) for 3 conditional inputs"),
    ],
)
def test_numbers_of_samples_that_cannot_be_meant(n, match):
    refused(match, lambda: small(conditional_shape=()).sample(n, conditional_input=[1, 2, 3]))


@pytest.mark.parametrize("seed", [-1, 1.5, "one"])
def test_seeds_that_cannot_be_meant(seed):
    match = r"seed: got .*, wanted None, a whole number from 0, a SeedSequence or a Generator"
    refused(match, lambda: small().sample(seed=seed))


# --- the page -------------------------------------------------------------------------------------------------------


def blocks(whose):
    """The Python blocks of docs/tfp.md that begin with that comment."""
    return re.findall(rf"```python\n# {whose}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_every_step_has_both_versions():
    ours, theirs = blocks("minipixel"), blocks("TensorFlow Probability")
    assert len(ours) == len(theirs) == PAGE.read_text(encoding="utf-8").count("```python") / 2 > 0
    for block in theirs:
        compile(block, "docs/tfp.md", "exec")


def test_the_script_of_the_page_runs(tmp_path, monkeypatch, capsys):
    """As it stands there, but smaller and shorter."""
    script = "".join(blocks("minipixel"))
    shorter = {"num_filters=32": "num_filters=4", "epochs=10": "epochs=1", "batch_size=16": "batch_size=64"}
    for long, short in (shorter | {"range(100)": "range(2)"}).items():
        assert script.count(long) == 1, long
        script = script.replace(long, short)
    monkeypatch.chdir(tmp_path)
    page = {}
    exec(compile(script, "docs/tfp.md", "exec"), page)
    assert page["nats"].shape == (359,) and np.isfinite(page["nats"]).all()
    assert page["which"] in range(10)
    assert page["fives"].shape == (10, 8, 8, 1) and page["grid"].shape == (4, 3, 8, 8, 1)
    assert np.isfinite(page["dist"].log_prob(page["grid"], conditional_input=[1.0, 2.0, 3.0])).all()
    assert (tmp_path / "digits.safetensors").exists()
    assert "bits/dim" in capsys.readouterr().out
