"""Row LSTM and Diagonal BiLSTM: what each sees, the same in PyTorch, and the mistakes that others have made."""

import itertools

import numpy as np
import pytest
from model_table import Case

import minipixel as mp
from minipixel import kernels, ops
from minipixel.models import DiagonalBiLSTM, RowLSTM, pixelrnn
from minipixel.tensor import gradients, op

both = pytest.mark.parametrize("name", ["row-lstm", "diagonal-bilstm"])
RGB = ((1, 2, 3), 2, "bernoulli")
GREY = ((2, 3, 1), 2, "bernoulli")


def randomised(model, scale=0.5):
    """The same model with other weights, start states and biases included."""
    rng = np.random.default_rng(5)
    model.load_state_dict({name: scale * rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
    return model


def total_probability(model, case):
    return np.exp(model.log_prob(case.every_image())).sum()


def pairs(array):
    """(pairs, 2, 3) positions as a set of ((r, c, channel), (r, c, channel))."""
    return {(tuple(output), tuple(read)) for output, read in array.tolist()}


def earlier_pairs(shape):
    """Every output with everything before it in raster order."""
    places = list(np.ndindex(*shape))
    return {(a, b) for a, b in itertools.product(places, places) if b < a}


# --- what they see ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 6, 1), (4, 4, 3), (2, 9, 1), (2, 6, 3), (1, 7, 1), (7, 1, 1), (1, 1, 3)])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_diagonal_bilstm_sees_its_whole_past(shape, layers):
    model = DiagonalBiLSTM(shape, 2, hidden=18, layers=layers, dtype="float64")
    report = mp.check_causality(model)
    assert report.ok and len(report.blind) == 0, str(report)


@pytest.mark.parametrize("shape", [(5, 6, 1), (3, 9, 1), (6, 5, 1), (4, 4, 3), (3, 6, 3)])
@pytest.mark.parametrize("layers", [1, 3])
def test_as_published_it_misses_the_last_pixel_of_the_row_above(shape, layers):
    """From all columns but the last four, where the 7x7 reaches it; of its colours the last, which mask A shuts out."""
    H, W, C = shape
    model = DiagonalBiLSTM(shape, 2, hidden=18, layers=layers, phantom_column=False, dtype="float64")
    report = mp.check_causality(model)
    starts = itertools.product(range(1, H), range(max(0, W - 4)), range(C))
    assert report.ok and pairs(report.blind) == {((r, c, k), (r - 1, W - 1, C - 1)) for r, c, k in starts}


@pytest.mark.parametrize("shape", [(6, 11, 1), (3, 12, 1), (7, 2, 1), (3, 9, 3), (1, 9, 1), (6, 1, 1)])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_row_lstm_sees_a_triangle(shape, layers):
    """A row up is a column out on either side; the 7x7 adds 3 below that, and on the left each layer's 1x3 adds 1."""
    report = mp.check_causality(RowLSTM(shape, 2, hidden=18, layers=layers, dtype="float64"))

    def sees(output, read):
        (r, c, channel), (from_r, from_c, from_channel) = output, read
        k = r - from_r
        if k == 0 and from_c == c:
            return from_channel < channel
        return c - k - layers - 3 <= from_c <= (c + k + 2 if k else c - 1)

    blind = {pair for pair in earlier_pairs(shape) if not sees(*pair)}
    assert report.ok and pairs(report.blind) == blind
    assert blind or min(shape[:2]) <= 2, "a shape on which there is something to miss"


# --- planted mistakes -------------------------------------------------------------------------------------------------


SHIFT_DOWN = ops.shift_down.arrays


@op
def unmoved(x):
    return x, lambda g: (g,)


@op
def rolled_down(x):
    return np.roll(x, 1, axis=0), lambda g: (np.roll(g, -1, axis=0),)


@op
def shifted_up(x):
    y, vjp = SHIFT_DOWN(x[::-1])
    return y[::-1], lambda g: (vjp(g[::-1])[0][::-1],)


@pytest.mark.parametrize("phantom_column", [True, False])
@pytest.mark.parametrize("mistake", [unmoved, rolled_down, shifted_up], ids=lambda mistake: mistake.__name__)
def test_a_wrong_shift_of_the_right_half_leaks(mistake, phantom_column, monkeypatch):
    case = Case("diagonal-bilstm", *GREY)
    model = case.model(phantom_column=phantom_column)
    monkeypatch.setattr(ops, "shift_down", mistake)
    with kernels.as_written():  # or the mistake would not be met by a plan
        assert_caught(model, case)


def test_zeros_at_the_bottom_of_the_state_convolution_leak():
    """Rows (r, r + 1) of the skewed column before, in place of (r - 1, r)."""
    case = Case("diagonal-bilstm", (3, 3, 1), 2, "bernoulli")
    model = case.model()
    for layer in model.layers:
        layer.left.taps = layer.right.taps = (0, 1)
    assert_caught(model, case)


def test_a_scan_up_the_rows_leaks(monkeypatch):
    case = Case("row-lstm", *GREY)
    model = case.model()
    scan = ops.lstm_scan
    monkeypatch.setattr(ops, "lstm_scan", lambda z, *rest, **static: upside_down(scan(upside_down(z), *rest, **static)))
    with kernels.as_written():
        assert_caught(model, case)


@op
def upside_down(x):
    return x[::-1], lambda g: (g[::-1],)


@both
def test_gates_in_another_order_of_colours_leak(name, monkeypatch):
    """Colours dealt out over all 4h gates at once: where 3 does not divide h, units meet gates of another colour."""
    case = Case(name, *RGB)
    monkeypatch.setattr(pixelrnn, "gate_groups", lambda h, C: mp.nn.colour_groups(4 * h, C))
    assert_caught(case.model(hidden=7), case)


def test_an_open_tap_in_the_row_leaks():
    case = Case("row-lstm", *GREY)
    model = case.model()
    see = model.layers[0].lstm.see
    see.mask = np.ones_like(see.mask)
    randomised(model)
    assert_caught(model, case)


def assert_caught(model, case):
    """By the check of causality, and by enumeration, which knows nothing of gradients."""
    with pytest.raises(mp.CausalityError):
        mp.assert_causal(model)
    assert abs(total_probability(randomised(model), case) - 1) > 1e-5


# --- options ----------------------------------------------------------------------------------------------------------

OPTIONS = [
    {"skip": True},
    {"learned_state": True},
    {"skip": True, "learned_state": True, "head_width": 5},
    {"num_classes": 3},
    {"condition_shape": (2,), "learned_state": True},
    {"condition_shape": "map"},
]


def with_options(name, options, images):
    """A case, a model with these options and other weights than at the start, and conditions for n images."""
    case = Case(name, *images)
    if options.get("condition_shape") == "map":
        options = options | {"condition_shape": (*case.shape[:2], 2)}
    model = randomised(case.model(**options))
    return case, model, lambda n: model.conditions.random(n, np.random.default_rng(1))


@both
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("images", [GREY, RGB, ((3, 1, 1), 3, "categorical")], ids=lambda images: str(images[0]))
def test_options(name, options, images, tmp_path):
    """Probabilities sum to 1, nothing leaks, gradients are right, files keep it all."""
    case, model, conditions = with_options(name, options, images)
    every = case.every_image()
    condition = conditions(1)
    same = None if condition is None else np.repeat(condition, len(every), axis=0)
    log_prob = model.log_prob(every, same)
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-9)
    mp.assert_causal(model)
    assert mp.gradcheck_model(model, every[3:8], conditions(5)) <= 1e-10
    model.save(tmp_path / "model.safetensors")
    again = mp.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.log_prob(every, same), log_prob)


@both
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_weight_matters(name, options):
    """No weight is left out of the forward pass, and a condition changes the likelihood."""
    case, model, conditions = with_options(name, options, ((3, 4, 1), 2, "bernoulli"))
    images = np.random.default_rng(0).integers(0, 2, (6, *case.shape))
    for (weight, _), gradient in zip(
        model.named_parameters(), gradients(model.loss(images, conditions(6)), model.parameters()), strict=True
    ):
        assert np.abs(gradient).max() > 0, weight


@both
def test_a_learned_state_of_zero_is_the_plain_model(name):
    plain, learned = (Case(name, *GREY).model(learned_state=learned) for learned in (False, True))
    images = Case(name, *GREY).every_image()
    np.testing.assert_array_equal(plain.log_prob(images), learned.log_prob(images))
    h, layers = 6, 2
    assert learned.num_parameters - plain.num_parameters == layers * 2 * h * (1 if name == "row-lstm" else 2)


@both
def test_the_summary_counts_every_weight(name):
    model = Case(name, *RGB).model(skip=True, learned_state=True, num_classes=3)
    total = model.summary().splitlines()[-1].split()
    assert int(total[1].replace(",", "")) == model.num_parameters > int(total[2].replace(",", ""))


@both
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"hidden": 0}, r"^hidden: got 0, wanted a whole number in 1\.\."),
        ({"layers": 0}, r"^layers: got 0, wanted a whole number in 1\.\."),
        ({"head_width": 0}, r"^head_width: got 0"),
        ({"skip": 1}, r"^skip: got 1, wanted True or False$"),
        ({"learned_state": None}, r"^learned_state: got None, wanted True or False$"),
    ],
)
def test_bad_arguments(name, options, match):
    with pytest.raises(ValueError, match=match):
        Case(name, *GREY).model(**options)


def test_phantom_column_is_a_flag():
    with pytest.raises(ValueError, match=r"^phantom_column: got 'no', wanted True or False$"):
        DiagonalBiLSTM((2, 3, 1), 2, phantom_column="no")


def test_as_many_weights_with_the_phantom_column_as_without():
    with_, without = (DiagonalBiLSTM((4, 6, 1), 2, phantom_column=phantom) for phantom in (True, False))
    assert with_.num_parameters == without.num_parameters
    image = np.random.default_rng(0).integers(0, 2, (1, 4, 6, 1))
    assert np.abs(with_.log_prob_map(image) - without.log_prob_map(image)).max() > 1e-3


@both
def test_training_improves_the_likelihood(name):
    ds = mp.datasets.load("digits")
    images = mp.datasets.binarize(ds.train.images[:128], ds.levels, how="threshold")
    model = mp.models.MODELS[name](ds.image_shape, 2, hidden=8, layers=2)
    before = model.bits_per_dim(images)
    mp.fit(model, images, epochs=4, batch_size=32, optimizer=mp.optim.Adam(0.01), progress=False)
    assert model.bits_per_dim(images) < 0.75 * before
