"""PixelCNN++: what it sees, on maps of any size; how a first batch brings it into range; leaks planted and caught."""

import contextlib

import numpy as np
import pytest
from model_table import Case
from quick import every

import minipixel as mp
from minipixel import kernels, nn, ops
from minipixel.causality import dependencies
from minipixel.stand_in import DeviceArray
from minipixel.tensor import Tensor, gradients

SIZES = [(7, 9), (5, 5), (1, 6)]
levels_of_hierarchy = pytest.mark.parametrize("hierarchies", [1, 2, 3])


def build(shape, levels=4, **options):
    options = {"filters": 6, "resnets": 2, "dtype": "float64"} | options
    return mp.models.PixelCNNpp(shape, levels, **options)


def normed_layers(module):
    """Every weight-normalised layer below."""
    for value in vars(module).values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, nn.WeightNorm):
                yield item
            elif isinstance(item, nn.Module):
                yield from normed_layers(item)


@contextlib.contextmanager
def heard(model, monkeypatch):
    """What is computed while the model runs: lists of what layers give, (layer, output), and of what gates are given.

    The layers are the weight-normalised ones. Both are pre-activations, with what is told of a condition.
    """
    outputs, before_gates, call, gate = [], [], nn.WeightNorm.__call__, ops.linear_gate

    def listen(layer, *inputs):
        y = call(layer, *inputs)
        outputs.append((layer, y.data))
        return y

    def listen_before(y):
        before_gates.append(y.data)
        return gate(y)

    with kernels.as_written(), monkeypatch.context() as patch:
        patch.setattr(nn.WeightNorm, "__call__", listen)
        patch.setattr(ops, "linear_gate", listen_before)
        yield outputs, before_gates


# --- what it sees ---------------------------------------------------------------------------------------------------


IN_AND_OUT = [(1, "logistic_mixture"), (3, "normal_mixture"), (3, "categorical")]
WHOLE_PAST = [  # of the cross of the three a diagonal is quick
    pytest.param(H, W, C, head, hierarchies, marks=pytest.mark.slow if (i + j + hierarchies) % 3 else ())
    for i, (H, W) in enumerate(SIZES)
    for j, (C, head) in enumerate(IN_AND_OUT)
    for hierarchies in (1, 2, 3)
]


@pytest.mark.parametrize(("H", "W", "C", "head", "hierarchies"), WHOLE_PAST)
def test_sees_its_whole_past(H, W, C, head, hierarchies):
    """Nothing else, and no pixel missing: at the start, and with random numbers in every weight."""
    model = build((H, W, C), hierarchies=hierarchies, head=head)
    report = mp.check_causality(model, images=1)
    assert report.ok and len(report.blind) == 0, str(report)
    rng = np.random.default_rng(0)
    model.load_state_dict({name: rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
    mp.assert_causal(model, images=1)


def rows_of_dependencies(model, places):
    """What those places depend on, and what they should: boolean (len(places), S) twice."""
    past = np.arange(np.prod(model.image_shape)) < np.array(places)[:, None]
    return dependencies(model, images=1, outputs=places), past


@levels_of_hierarchy
def test_sees_its_whole_past_in_28x28(hierarchies):
    """With kernels wide enough for a row: nine or ten layers on the finest level reach 3 columns each.

    And 3 rows, where no smaller map helps to look up.
    """
    rows = 4 if hierarchies == 1 else 2
    kernels = {"vertical_kernel": (rows, 7), "horizontal_kernel": (rows, 4)}
    model = build((28, 28, 1), filters=4, hierarchies=hierarchies, **kernels)
    corners_and_middle = [0, 27, 28, 29, 55, 13 * 28, 13 * 28 + 14, 27 * 28, 27 * 28 + 14, 783]
    seen, past = rows_of_dependencies(model, corners_and_middle)
    np.testing.assert_array_equal(seen, past)


@levels_of_hierarchy
@pytest.mark.parametrize(("resnets", "columns"), [(1, 1), (2, 1), (1, 2)])
def test_how_far_an_odd_row_sees(resnets, columns, hierarchies):
    """Published as a model of the whole past; of what is near, an odd row sees what its finest level reaches.

    Row 2k enters u one row further down, and row 2k + 1 is in ul: half the size, both are in the row of pixels 2k + 2
    and 2k + 3, too late for row 2k + 1. What is left are the convolutions of the finest level, and how far these reach:
    to the right in the row above, to the left in the row itself.
    """
    kernels = {"vertical_kernel": (2, 2 * columns + 1), "horizontal_kernel": (2, columns + 1)}
    model = build((4, 28, 1), filters=4, resnets=resnets, hierarchies=hierarchies, **kernels)
    reach = columns * (4 * resnets + (1 if hierarchies == 1 else 2))
    seen, past = rows_of_dependencies(model, [3 * 28, 3 * 28 + 27])
    at_the_left, at_the_right = (past & ~seen).reshape(2, 4, 28)
    assert np.flatnonzero(at_the_left[2]).tolist() == list(range(reach + 1, 28))
    assert np.flatnonzero(at_the_right[3]).tolist() == list(range(27 - reach))


def test_mixtures_join_colours_and_others_see_them():
    """Under a mixture no stream knows a colour of the pixel itself; under other heads green must know red."""
    for head, joins in (("logistic_mixture", True), ("categorical", False)):
        model = build((2, 2, 3), head=head)
        assert model.head.joins_colours == joins
        x = Tensor(np.random.default_rng(0).uniform(-1, 1, (2, 2, 1, 3)))
        parameters = model.forward(x)
        seed = np.zeros(parameters.shape)
        seed[1, 1, 0, model.head.groups == 1] = np.random.default_rng(1).uniform(0.5, 1, (model.head.groups == 1).sum())
        (gradient,) = gradients(parameters, [x], seed)
        assert (gradient[1, 1, 0] != 0).tolist() == [not joins, False, False]
        assert mp.check_causality(model).ok


def test_odd_sizes_are_still_distributions():
    for shape, hierarchies in (((1, 6, 1), 3), ((3, 3, 1), 2), ((5, 1, 1), 3), ((1, 1, 1), 3)):
        case = Case("pixelcnnpp", shape, 2, "logistic_mixture")
        model, every = case.model(hierarchies=hierarchies), case.every_image()
        mp.fit(model, every[::2], epochs=1, batch_size=32, optimizer=mp.optim.Adam(0.01), progress=False)
        assert np.exp(model.log_prob(every)).sum() == pytest.approx(1, abs=1e-9)


@levels_of_hierarchy
@pytest.mark.parametrize(("H", "W"), [*SIZES, (28, 28)])
def test_gradients_and_samples_on_all_sizes(H, W, hierarchies):
    model = build((H, W, 1), hierarchies=hierarchies, filters=3, resnets=1, num_classes=3)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 4, (3, H, W, 1)), np.arange(3)
    assert mp.gradcheck_model(model, images, labels, directions=1) <= 1e-10
    if H < 28:
        drawn, log_prob = model.sample(3, labels, rng=1, return_log_prob=True)
        np.testing.assert_allclose(log_prob, model.log_prob(drawn, labels), rtol=1e-12)
        np.testing.assert_array_equal(drawn[:1], model.sample(1, labels[:1], rng=1))


# --- weight normalisation and the first batch -------------------------------------------------------------------------

FIRST_BATCHES = {
    "grey": ((8, 8, 1), 17, {}),
    "odd": ((7, 9, 1), 4, {"hierarchies": 3}),
    "rgb": ((6, 5, 3), 8, {}),
    "rgb-categorical": ((6, 5, 3), 8, {"head": "categorical", "hierarchies": 1}),
    "classes": ((8, 8, 1), 17, {"num_classes": 10}),
    "number": ((8, 8, 1), 17, {"condition_shape": ()}),
    "vector": ((6, 5, 3), 8, {"condition_shape": (7,)}),
    "map": ((7, 9, 1), 4, {"condition_shape": (7, 9, 2), "hierarchies": 3}),
    "elu": ((8, 8, 1), 17, {"activation": "elu"}),
}


@pytest.mark.parametrize("name", FIRST_BATCHES)
def test_a_first_batch_gives_every_layer_mean_0_and_variance_1(name, monkeypatch):
    shape, levels, options = FIRST_BATCHES[name]
    model = build(shape, levels, **options)
    rng = np.random.default_rng(0)
    images, condition = rng.integers(0, levels, (40, *shape)), model.conditions.random(40, rng)
    model.initialize(images, condition)
    model.log_prob(images[:1], None if condition is None else condition[:1])  # this one sets nothing
    with heard(model, monkeypatch) as (outputs, before_gates):
        model.predict(images, condition)
    assert {id(layer) for layer, _ in outputs} == {id(layer) for layer in normed_layers(model)}
    shut = 0
    for layer, y in outputs:
        y = y.reshape(-1, y.shape[-1])
        alive = layer.mask.any(axis=0) if hasattr(layer, "mask") else np.ones(y.shape[1], bool)  # red reads no colour
        shut += (~alive).sum()
        np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-10)
        np.testing.assert_allclose(y[:, alive].std(axis=0), 1, atol=1e-10)
        np.testing.assert_array_equal(y[:, ~alive], 0)
    assert shut == (2 if name == "rgb-categorical" else 0)
    pairs = 5 * model.config["hierarchies"] - 1  # 2 resnets in and 3 back, on the smallest maps 2 back
    assert len(before_gates) == 2 * pairs
    for y in before_gates:
        np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-10)
        np.testing.assert_allclose(y.std(axis=(0, 1, 2)), 1, atol=1e-10)


@pytest.mark.parametrize("name", ["grey", "classes", "map"])
def test_a_first_batch_given_twice_changes_nothing_more(name):
    shape, levels, options = FIRST_BATCHES[name]
    model = build(shape, levels, **options)
    rng = np.random.default_rng(0)
    images, condition = rng.integers(0, levels, (40, *shape)), model.conditions.random(40, rng)
    model.initialize(images, condition)
    state = model.state_dict()
    model.initialize(images, condition)
    for key, weight in model.state_dict().items():
        np.testing.assert_allclose(weight, state[key], rtol=1e-10, atol=1e-12)


def test_of_conditions_only_the_length_is_set():
    """V of a gate has one gain an output with W, so its columns keep their directions."""
    model = build((8, 8, 1), 17, num_classes=10)
    before, layer = model.state_dict(), "level.way_in.0.ul"
    model.initialize(np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1)), np.arange(40) % 10)
    after = model.state_dict()
    gain = after[f"{layer}.second.gain"]
    assert (gain != 1).all()
    np.testing.assert_allclose(after[f"{layer}.told.weight"], before[f"{layer}.told.weight"] * gain, rtol=1e-12)


def test_a_map_of_zeros_stays_one_and_starves_nothing(monkeypatch):
    """On one row of pixels u knows no row above: its layers put out zeros, and the gains stay finite."""
    model = build((1, 6, 1))
    model.initialize(np.random.default_rng(0).integers(0, 4, (40, 1, 6, 1)))
    assert all(np.isfinite(layer.gain.data).all() and layer.gain.data.max() <= 20 for layer in normed_layers(model))
    with heard(model, monkeypatch) as (outputs, _):
        model.predict(np.zeros((2, 1, 6, 1), int))
    assert any((y == 0).all() for _, y in outputs) and (outputs[-1][1] != 0).all()


def test_fit_initializes_once_and_never_what_was_loaded(tmp_path):
    images = np.random.default_rng(0).integers(0, 4, (32, 5, 5, 1))
    model = build((5, 5, 1))
    assert not model.initialized and (model.above.gain.data == 1).all()
    still = mp.optim.SGD(1e-30)
    mp.fit(model, images, epochs=1, batch_size=32, optimizer=still, progress=False)
    state = model.state_dict()
    assert model.initialized and (state["above.gain"] != 1).all()
    mp.fit(model, 3 - images, epochs=1, batch_size=32, optimizer=still, progress=False)
    np.testing.assert_allclose(model.state_dict()["above.gain"], state["above.gain"], rtol=1e-12)
    model.save(tmp_path / "model")
    again = mp.load(tmp_path / "model")
    assert again.initialized
    mp.fit(again, 3 - images, epochs=1, batch_size=32, optimizer=mp.optim.SGD(1e-30), progress=False)
    np.testing.assert_allclose(again.state_dict()["above.gain"], state["above.gain"], rtol=1e-12)


def test_of_a_large_first_batch_some_images_are_enough(monkeypatch):
    images, taken = np.random.default_rng(0).integers(0, 4, (300, 5, 5, 1)), []
    model = build((5, 5, 1), resnets=1)
    monkeypatch.setattr(type(model), "initialize", lambda model, images, condition: taken.append(len(images)))
    mp.fit(model, images, epochs=1, batch_size=300, progress=False)
    assert taken == [128]


def test_the_first_batch_is_the_transformed_one():
    """With `transform` the model is initialized on what the transform makes of the batch, not on what it is given."""
    grey = np.random.default_rng(0).integers(0, 256, (32, 5, 5, 1))
    seen = []

    def halve(images, rng):
        seen.append((images > 128).astype(np.uint8))
        return seen[-1]

    model, by_hand = build((5, 5, 1), 2), build((5, 5, 1), 2)
    mp.fit(model, grey, epochs=1, batch_size=16, transform=halve, optimizer=mp.optim.SGD(1e-30), progress=False)
    by_hand.initialize(seen[0])
    np.testing.assert_array_equal(seen[0], seen[1])  # once to initialize, once to train
    np.testing.assert_allclose(model.state_dict()["above.gain"], by_hand.state_dict()["above.gain"], rtol=1e-12)


def test_without_weight_normalisation_there_is_nothing_to_fit():
    model = build((5, 5, 1), weight_norm=False)
    before = model.state_dict()
    assert model.initialized and not any("gain" in name for name in before)
    model.initialize(np.zeros((2, 5, 5, 1), int))
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])


@pytest.mark.parametrize(("H", "W", "filters"), [(6, 5, 6), pytest.param(12, 11, 64, marks=pytest.mark.slow)])
def test_training_is_the_same_for_any_number_of_workers(H, W, filters, monkeypatch):
    """Initialization, dropout and averages included, with several shards to a batch; large products are slow."""
    monkeypatch.setattr(mp.models.PixelCNNpp, "shard_size", 9)
    images = np.random.default_rng(0).integers(0, 4, (40, H, W, 1))
    states = []
    for workers in (1, 2, 3):
        model = build((H, W, 1), dtype="float32", filters=filters, resnets=1, dropout=0.5)
        averages = mp.callbacks.EMA(0.9)
        mp.fit(model, images, epochs=1, batch_size=40, workers=workers, callbacks=[averages], progress=False)
        states.append(model.state_dict())
    for name, weight in states[0].items():
        for other in states[1:]:
            np.testing.assert_array_equal(weight, other[name])


def test_dropout_is_off_and_averages_are_on_in_evaluation_and_sampling():
    images = np.random.default_rng(0).integers(0, 4, (40, 5, 5, 1))
    model, kept = build((5, 5, 1), dropout=0.5), []

    class Look(mp.callbacks.Callback):
        def on_batch_end(self, epoch, images, logs):
            kept.append(model.state_dict())

    options = {"batch_size": 10, "optimizer": mp.optim.Adam(0.01), "progress": False, "validation": images[:10]}
    history = mp.fit(model, images, epochs=1, callbacks=[mp.callbacks.EMA(0.5), Look()], **options).history
    assert model.bits_per_dim(images[:10]) == pytest.approx(history["val_bits_per_dim"][-1], rel=1e-12)
    weight = "level.way_in.0.u.first.gain"
    assert (model.state_dict()[weight] != kept[-1][weight]).all()  # an average, not the last step's
    mean_of_drops = np.mean([float(model.loss(images, rng=seed).data) for seed in range(3)])
    assert mean_of_drops != pytest.approx(-model.log_prob(images).mean(), rel=1e-6)
    np.testing.assert_array_equal(model.log_prob(images), model.log_prob(images))
    assert float(model.loss(images).data) == pytest.approx(-model.log_prob(images).mean(), rel=1e-12)
    drawn, log_prob = model.sample(5, rng=0, return_log_prob=True)
    np.testing.assert_allclose(log_prob, model.log_prob(drawn), rtol=1e-12)


def test_initialize_on_a_device(played_gpu):
    images = np.random.default_rng(0).integers(0, 4, (6, 3, 5, 3))
    host, device = (build((3, 5, 3), head="categorical", num_classes=2) for _ in range(2))
    device.to("cuda")
    host.initialize(images, np.arange(6) % 2)
    device.initialize(images, np.arange(6) % 2)
    for name, parameter in device.named_parameters():
        assert isinstance(parameter.data, DeviceArray)
        np.testing.assert_allclose(parameter.data.get(), dict(host.named_parameters())[name].data, rtol=1e-9, atol=1e-9)


# --- leaks, planted ---------------------------------------------------------------------------------------------------


def wrap_right(x):
    return ops.concat(x, x) if x is None else Tensor(np.roll(x.data, 1, axis=1), (x,), lambda g: (np.roll(g, -1, 1),))


PLANTED = {
    "no shift down": lambda patch, model: patch.setattr(ops, "shift_down", lambda x: x),
    "no shift right": lambda patch, model: patch.setattr(ops, "shift_right", lambda x: x),
    "wrapped round": lambda patch, model: patch.setattr(ops, "shift_right", wrap_right),
    "ul reads right": lambda patch, model: patch.setattr(model.level.way_in[0].ul.first, "centre", (1, 0)),
    "u reads below": lambda patch, model: patch.setattr(model.level.way_in[0].u.first, "centre", (0, 1)),
    "halved too late": lambda patch, model: patch.setattr(model.level.halve[0], "centre", (0, 1)),
    "enlarged too early": lambda patch, model: patch.setattr(model.level.enlarge[0], "centre", (1, 1)),
    "enlarged to the left": lambda patch, model: patch.setattr(model.level.enlarge[1], "centre", (0, 1)),
    "u told of ul": lambda patch, model: patch.setattr(
        type(model.level), "__call__", lambda level, u, ul, condition, rng: (u, ul + ops.mirror(ul))
    ),
    "top with mask B": lambda patch, model: patch.setattr(
        model.top.colours, "mask", nn.causal_mask((1, 1), np.arange(3), nn.colour_groups(6, 3), "B")[0, 0]
    ),
}


@pytest.mark.parametrize("name", every(3, PLANTED))
def test_planted_leaks_are_caught(name, monkeypatch):
    model = build((5, 6, 3), head="categorical", resnets=1)
    # shut weights are zero until something is put there
    model.top.colours.v.data = np.random.default_rng(0).standard_normal(model.top.colours.v.shape)
    assert mp.check_causality(model, images=1).ok
    PLANTED[name](monkeypatch, model)
    assert not mp.check_causality(model, images=1).ok


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"filters": 0}, r"filters: got 0, wanted a whole number in 1\.\."),
        ({"resnets": 0}, r"resnets: got 0, wanted a whole number in 1\.\.256"),
        ({"hierarchies": 0}, r"hierarchies: got 0, wanted a whole number in 1\.\.16"),
        ({"dropout": 1}, r"dropout: got 1, wanted a number in \[0, 1\)"),
        ({"vertical_kernel": 3}, r"vertical_kernel: got 3, wanted \(rows, columns\), such as \(2, 3\)"),
        ({"vertical_kernel": (2, 4)}, r"vertical_kernel: got 4 columns, wanted an odd number.*try 5"),
        ({"vertical_kernel": (0, 3)}, r"vertical_kernel: got 0, wanted a whole number in 1\.\."),
        ({"horizontal_kernel": (2, 1)}, r"horizontal_kernel: got 1, wanted a whole number in 2\.\."),
        ({"horizontal_kernel": (2, 2, 2)}, r"horizontal_kernel: got \(2, 2, 2\), wanted \(rows, columns\)"),
        ({"activation": "prelu"}, r"activation: got 'prelu', wanted one of 'concat_elu', 'elu', 'relu'"),
        ({"weight_norm": 1}, r"weight_norm: got 1, wanted True or False"),
        ({"head": "bernoulli"}, r"head: got 'bernoulli' for 4 levels"),
    ],
)
def test_configurations(options, match):
    with pytest.raises(ValueError, match=match) as error:
        build((4, 4, 1), **options)
    assert "\n" not in str(error.value)


def test_initialize_refuses_what_is_no_image():
    with pytest.raises(ValueError, match=r"images: got levels 4\.\.4, wanted 0\.\.3"):
        build((4, 4, 1)).initialize(np.full((2, 4, 4, 1), 4))
    with pytest.raises(ValueError, match="condition: got None, wanted 2 labels"):
        build((4, 4, 1), num_classes=2).initialize(np.zeros((2, 4, 4, 1), int))
