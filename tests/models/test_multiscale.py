"""Multi-scale PixelRNN: its order, what each pixel sees, and that the pixels of the small image count once."""

import itertools

import numpy as np
import pytest
from model_table import Case

import minipixel as mp
from minipixel import ops
from minipixel.causality import dependencies
from minipixel.models import MultiScale
from minipixel.models.multiscale import BASES
from minipixel.nn import BLANK
from minipixel.tensor import op

GREY, RGB = Case("multi-scale", (3, 3, 1), 2, "bernoulli"), Case("multi-scale", (1, 3, 3), 2, "categorical")
cases = pytest.mark.parametrize("case", [GREY, RGB], ids=lambda case: case.id)


def wide(shape, **options):
    """A model in which no rectifier hides a dependency by chance."""
    settings = {"hidden": 24, "layers": 1, "upsampled": 16, "dtype": "float64"} | options
    return MultiScale(shape, 2, **settings)


def is_small(shape, factor):
    """Which sub-pixels belong to the small image: boolean (S,), in raster order."""
    small = np.zeros(shape, bool)
    small[::factor, ::factor] = True
    return small.ravel()


def total_probability(case, model):
    return np.exp(model.log_prob(case.every_image())).sum()


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "options", "order"),
    [
        ((4, 4), {}, [[0, 4, 1, 5], [6, 7, 8, 9], [2, 10, 3, 11], [12, 13, 14, 15]]),
        ((3, 2), {}, [[0, 2], [3, 4], [1, 5]]),
        ((2, 6), {"factor": 4}, [[0, 2, 3, 4, 1, 5], [6, 7, 8, 9, 10, 11]]),
        ((2, 3), {"factor": 4}, [[0, 1, 2], [3, 4, 5]]),
        ((1, 6), {"scales": 3}, [[0, 3, 2, 4, 1, 5]]),
        ((5, 2), {"scales": 4}, [[0, 3], [4, 5], [2, 6], [7, 8], [1, 9]]),
        ((3, 4), {"scales": 3}, [[0, 4, 1, 5], [6, 7, 8, 9], [2, 10, 3, 11]]),
        ((1, 1), {}, [[0]]),
    ],
    ids=str,
)
def test_order(shape, options, order):
    """Small images in raster order, the smallest first; each time what is missing, in raster order too."""
    assert MultiScale((*shape, 1), 2, layers=1, hidden=1, **options).order[:, :, 0].tolist() == order


def test_order_of_colours():
    """Red, green, blue of a pixel, then the next pixel."""
    order = MultiScale((2, 3, 3), 2, layers=1).order
    assert order.tolist() == [[[0, 1, 2], [6, 7, 8], [3, 4, 5]], [[9, 10, 11], [12, 13, 14], [15, 16, 17]]]


# --- what each pixel sees ---------------------------------------------------------------------------------------------


SHAPES = [(7, 9, 1), (5, 5, 1), (1, 6, 1), (6, 1, 1), (4, 3, 3), (1, 6, 3), (1, 1, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("factor", [2, 4])
def test_of_diagonal_bilstms_it_sees_its_whole_past(shape, factor):
    report = mp.check_causality(wide(shape, base="diagonal-bilstm", factor=factor))
    assert report.ok and len(report.blind) == 0, str(report)


@pytest.mark.parametrize("options", [{"factor": 2}, {"factor": 4}, {"scales": 4}], ids=str)
def test_and_so_do_the_pixels_of_a_large_image(options):
    shape, W = (28, 28, 1), 28
    model = wide(shape, base="diagonal-bilstm", **options)
    places = [0, 1, 16, W - 1, W, 12 * W + 16, 14 * W + 15, 24 * W + 24, 26 * W + 26, 27 * W, 28 * W - 1]
    order = model.order.ravel()
    earlier = order[None, :] < order[places, None]
    np.testing.assert_array_equal(dependencies(model, outputs=places, images=2), earlier)


@pytest.mark.parametrize(
    ("base", "shape", "factor"),
    [  # of the cross a diagonal is quick
        pytest.param(base, shape, factor, marks=pytest.mark.slow if i != j else ())
        for i, base in enumerate(BASES)
        for j, (shape, factor) in enumerate((((7, 9, 1), 2), ((9, 7, 1), 4), ((3, 9, 3), 2)))
    ],
    ids=str,
)
def test_what_each_base_leaves_out(base, shape, factor):
    """Each scale is as blind as its base, but of the small image a pixel that is not in it sees every sub-pixel."""
    model = wide(shape, base=base, factor=factor)

    def alone(of):
        return mp.check_causality(type(of)(of.image_shape, 2, hidden=24, rng=1, **depth)).dependencies

    depth = {BASES[base][1]: 1}
    small = is_small(shape, factor)
    expected = alone(model.large)
    expected[:, small] = True
    expected[small] = False
    expected[np.ix_(small, small)] = alone(model.small)
    report = mp.check_causality(model)
    assert report.ok
    np.testing.assert_array_equal(report.dependencies, expected)
    assert (len(report.blind) == 0) == (base == "diagonal-bilstm"), "a shape on which there is something to miss"


def test_of_row_lstms_it_misses_what_lies_outside_the_triangle():
    """As (3, 1) sees it: of the row k above, the columns up to 1 + k + 2; and of the small image all."""
    seen = dependencies(wide((5, 11, 1)), outputs=[3 * 11 + 1]).reshape(5, 11)
    assert ["".join(".x"[int(x)] for x in row) for row in seen] == [
        "xxxxxxx.x.x",
        "xxxxxx.....",
        "xxxxx.x.x.x",
        "x..........",
        "x.x.x.x.x.x",
    ]


# --- counted once -----------------------------------------------------------------------------------------------------


def two_parts(model, images, condition=None):
    """Each model asked by hand: log p of the small image (n,), and of all pixels given the small image (n, H, W, C)."""
    few = images[:, :: model.factor, :: model.factor]
    few_condition = condition
    if condition is not None and condition.ndim == 4:
        few_condition = condition[:, :: model.factor, :: model.factor]
    x = (2.0 * few / (model.levels - 1) - 1).transpose(1, 2, 0, 3)
    told = model.upsampling(x).data.transpose(2, 0, 1, 3)
    if condition is not None:
        if condition.ndim == 1:
            condition = np.eye(model.conditions.num_classes)[condition]
        if condition.ndim == 2:
            condition = np.broadcast_to(condition[:, None, None], (*told.shape[:3], condition.shape[-1]))
        told = np.concatenate([told, condition], axis=-1)
    return model.small.log_prob(few, few_condition), model.large.log_prob_map(images, told)


@cases
@pytest.mark.parametrize("scales", [2, 3])
@pytest.mark.parametrize("kind", ["none", "class", "vector", "map"])
def test_the_likelihood_is_the_product_of_its_two_parts(case, scales, kind):
    kinds = {"none": {}, "class": {"num_classes": 3}, "vector": {"condition_shape": (2,)}}
    model = case.model(scales=scales, **(kinds | {"map": {"condition_shape": (*case.shape[:2], 2)}})[kind])
    images = case.every_image()[::7]
    condition = model.conditions.random(len(images), np.random.default_rng(0))
    of_small, of_all = two_parts(model, images, condition)
    rest = of_all.reshape(len(images), -1)[:, ~is_small(case.shape, 2)].sum(axis=1)
    np.testing.assert_allclose(model.log_prob(images, condition), of_small + rest, rtol=1e-12)


@cases
def test_counted_twice_the_probabilities_do_not_sum_to_one(case):
    """The large model knows the small image, and may say so: each of its pixels again is a factor below 1."""
    model, images = case.model(), case.every_image()
    of_small, of_all = two_parts(model, images)
    assert total_probability(case, model) == pytest.approx(1, abs=1e-12)
    assert np.exp(of_small + of_all.sum(axis=(1, 2, 3))).sum() < 0.5


# --- planted mistakes -------------------------------------------------------------------------------------------------


@cases
def test_in_raster_order_it_would_leak(case, monkeypatch):
    """The first pixels know of the small image, which raster order says is still to come."""
    model = case.model()
    mp.assert_causal(model)
    monkeypatch.setattr(MultiScale, "order", mp.models.Model.order)
    report = mp.check_causality(model)
    assert not report.ok
    small = is_small(case.shape, 2).reshape(case.shape)
    assert all(small[tuple(read)] for _, read in report.leaks)


@op
def large_alone(x, y, *, stride):
    return x.copy(), lambda g: (g, np.zeros_like(y))


@op
def other_rows_and_columns(x, *, stride):
    H, W = x.shape[:2]
    r, c = np.arange(0, H, stride), np.arange(0, W, stride)
    r, c = np.minimum(r + 1, H - 1), np.minimum(c + 1, W - 1)

    def vjp(g):
        x_g = np.zeros_like(x)
        np.add.at(x_g, np.ix_(r, c), g)
        return (x_g,)

    return x[np.ix_(r, c)], vjp


@pytest.mark.filterwarnings("ignore:.*runs as it is written, slower:RuntimeWarning")
@cases
@pytest.mark.parametrize(
    ("name", "mistake"), [("overlay", large_alone), ("subsample", other_rows_and_columns)], ids=["overlay", "subsample"]
)
def test_a_wrong_place_leaks(case, name, mistake, monkeypatch):
    """What the large model says of a pixel it was told; and a small image that is not where the order has it."""
    model = case.model()
    monkeypatch.setattr(ops, name, mistake)
    with pytest.raises(mp.CausalityError):
        mp.assert_causal(model)
    mp.fit(model, case.every_image(), epochs=3, batch_size=64, optimizer=mp.optim.Adam(0.02), progress=False)
    assert abs(total_probability(case, model) - 1) > 0.1


def test_one_dilation_less_is_blind():
    """On 1x16 the small image is 8 wide: dilations 1, 2, 4 reach 7 to either side, and 1, 2 only 3."""
    model = wide((1, 16, 1), base="diagonal-bilstm")
    assert [layer.dilation for layer in model.upsampling.layers] == [1, 2, 4]
    assert len(mp.check_causality(model).blind) == 0
    del model.upsampling.layers[-1]
    report = mp.check_causality(model)
    assert report.ok and ([0, 1, 0], [0, 8, 0]) in [tuple(map(list, pair)) for pair in report.blind.tolist()]


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", BASES)
def test_right_gradients_at_three_scales(base):
    model = MultiScale(
        (5, 4, 3), 3, base=base, scales=3, hidden=5, layers=1, upsampled=4, condition_shape=(5, 4, 2), dtype="float64"
    )
    rng = np.random.default_rng(0)
    images, condition = rng.integers(0, 3, (3, 5, 4, 3)), model.conditions.random(3, rng)
    assert mp.gradcheck_model(model, images, condition, directions=3) <= 1e-10


def test_the_small_model_gets_every_other_row_and_column_of_a_map():
    model = MultiScale((4, 5, 1), 2, hidden=4, layers=1, condition_shape=(4, 5, 1))
    image, condition = np.zeros((1, 4, 5, 1), np.uint8), np.zeros((1, 4, 5, 1))
    before = model.log_prob_map(image, condition)[0, ::2, ::2]
    for r, c in np.ndindex(4, 5):
        other = condition.copy()
        other[0, r, c] = 1
        heard = (model.log_prob_map(image, other)[0, ::2, ::2] != before).any()
        assert heard == (r % 2 == 0 and c % 2 == 0)


def test_one_stream_of_weights_with_nested_names():
    model, again = (MultiScale((5, 5, 1), 2, hidden=4, layers=1, scales=3, rng=3) for _ in range(2))
    state = model.state_dict()
    assert {name.split(".")[0] for name in state} == {"small", "upsampling", "large"}
    assert "small.small.stem.weight" in state and "small.large.layers.0.lstm.told.weight" in state
    for name, weight in again.state_dict().items():
        np.testing.assert_array_equal(state[name], weight)
    stems = [state[f"{path}.stem.weight"] for path in ("small.small", "small.large", "large")]
    assert all((a != b).any() for a, b in itertools.pairwise(stems))


def test_to_be_loaded_it_takes_no_memory():
    model = MultiScale((64, 64, 1), 2, hidden=2**14, upsampled=2**14, factor=16, scales=2, rng=BLANK)
    assert model.num_parameters > 2**36
    assert all(set(parameter.data.strides) == {0} for parameter in model.parameters())


def test_a_factor_beyond_the_image_makes_no_taps_beyond_it():
    model = MultiScale((2, 3, 1), 2, hidden=4, layers=1, upsampled=5, factor=1000)
    assert model.small.image_shape == (1, 1, 1) and model.upsampling.weight.shape == (2, 3, 5, 5)


@pytest.mark.parametrize(
    ("shape", "options", "match"),
    [
        ((4, 4, 1), {"base": "gated"}, r"^base: got 'gated', wanted one of 'row-lstm', 'diagonal-bilstm', 'pixelcnn'$"),
        ((4, 4, 1), {"base": None}, r"^base: got None, wanted one of"),
        ((4, 4, 1), {"factor": 1}, r"^factor: got 1, wanted a whole number in 2\.\."),
        ((4, 4, 1), {"factor": 2.0}, r"^factor: got 2\.0, wanted a whole number in 2\.\."),
        ((4, 4, 1), {"scales": 1}, r"^scales: got 1, wanted a whole number in 2\.\.3$"),
        ((4, 4, 1), {"scales": 4}, r"^scales: got 4, wanted a whole number in 2\.\.3$"),
        ((4, 5, 1), {"scales": 5}, r"^scales: got 5, wanted a whole number in 2\.\.4$"),
        ((1, 1, 1), {"scales": 3}, r"^scales: got 3, wanted a whole number in 2\.\.2$"),
        ((4, 4, 1), {"hidden": 0}, r"^hidden: got 0, wanted a whole number in 1\.\."),
        ((4, 4, 3), {"hidden": 2}, r"^hidden: got 2, wanted a whole number in 3\.\."),
        ((4, 4, 1), {"layers": 0, "base": "pixelcnn"}, r"^layers: got 0, wanted a whole number in 1\.\."),
        ((4, 4, 1), {"upsampled": 0}, r"^upsampled: got 0, wanted a whole number in 1\.\."),
        ((4, 4), {}, r"^image_shape: got \(4, 4\), wanted \(H, W, C\)"),
        ((4, 4, 1), {"condition_shape": (2, 2, 1)}, r"^condition_shape: got \(2, 2, 1\), wanted .* or \(4, 4, K\)"),
    ],
)
def test_bad_arguments(shape, options, match):
    with pytest.raises(ValueError, match=match) as error:
        MultiScale(shape, 2, **options)
    assert "\n" not in str(error.value)
