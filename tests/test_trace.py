"""What the clock takes for a constant is one: see trace_table.py; and it notices what was exchanged after a draw."""

import contextlib
import copy
import warnings

import numpy as np
import pytest
from draw_table import drawn
from model_table import KINDS, SMALL, Case, shaken
from trace_table import CONDITIONED, REFUSED, SEEN, Row

import minipixel as mp
from minipixel import nn, ops
from minipixel.causality import structure
from minipixel.clock import Trace
from minipixel.errors import TraceError
from minipixel.sampling import SAMPLERS, Naive, program_of

FAST = ("cached", "wavefront", "auto")


def each(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


@pytest.mark.parametrize("shape", [(3, 7, 1), (2, 6, 3)])
@each([row for row in SEEN if row.causal])
def test_what_is_seen_is_drawn_as_it_is_scored(row, shape):
    model = row.model(shape)
    wanted = drawn(model, "naive", 5)
    for method in FAST:
        np.testing.assert_array_equal(drawn(model, method, 5), wanted, err_msg=method)
    assert mp.check_causality(model).ok


def test_a_condition_is_seen():
    model = CONDITIONED.model((3, 7, 1), condition_shape=(2,))
    for method in FAST:
        np.testing.assert_array_equal(drawn(model, method, 5), drawn(model, "naive", 5), err_msg=method)


@each(SEEN)
def test_the_proof_knows_all_that_is_read(row):
    """By gradients it would not: these are cut off. By changing each sub-pixel in turn."""
    model = row.model((3, 3, 1), num_classes=None)
    matrix = structure(model)
    changed = mp.check_causality(model).dependencies
    assert not (changed & ~matrix).any()
    leaks = (matrix & ~np.tri(9, k=-1, dtype=bool)).any()
    assert leaks == (not row.causal)


@each([row for row in SEEN if not row.causal])
def test_what_leaks_without_a_tape_is_a_leak(row):
    model = row.model()
    for method in FAST:
        with pytest.raises(mp.CausalityError):
            model.sample(2, method=method)
    assert not mp.check_causality(model).ok


@each(REFUSED)
def test_what_is_not_seen_is_refused_by_name(row):
    """Those who ask for a fast sampler are told in one line; "auto" draws naively, and says why."""
    model = row.model()
    for method in ("cached", "wavefront"):
        with pytest.raises(TraceError, match=row.says) as error:
            model.sample(1, method=method)
        assert str(error.value).startswith("clock: got ") and "\n" not in str(error.value)
        assert "wanted " in str(error.value) and "; " in str(error.value)
    with pytest.raises(TraceError, match=row.says):
        structure(row.model())
    model = row.model()
    with pytest.warns(UserWarning, match=row.says) as notes:
        images = model.sample(3, rng=0)
    assert [str(note.message).count("draws naively") for note in notes] == [1]
    with pytest.warns(UserWarning, match="draws naively"):
        assert isinstance(SAMPLERS["auto"](row.model()), Naive)
    np.testing.assert_array_equal(images, row.model().sample(3, rng=0, method="naive"))


@each(REFUSED)
def test_what_is_not_seen_is_not_proved(row):
    """The check says that it has no proof; what it tries tells a leak all the same."""
    report = mp.check_causality(row.model())
    (found,) = [witness for witness in report.witnesses if witness.name == "structure"]
    assert found.holds is None and "nor a proof by the clock: clock: got " in found.line
    assert "clock" not in [witness.name for witness in report.witnesses]


HIDDEN = ("the image by another way", "a branch on the features")  # what no image that is tried need show


@each([row for row in REFUSED if not row.causal and row.name not in HIDDEN])
def test_what_is_not_seen_and_leaks_is_found_by_trying(row):
    assert not mp.check_causality(row.model()).ok


@each([*SEEN, *REFUSED])
def test_a_trace_leaves_the_model_as_it_was(row):
    model = row.model()
    before = {name: copy.deepcopy(value) for name, value in vars(model).items() if name in STATE}
    weights = model.state_dict()
    with contextlib.suppress(TraceError):
        Trace(model)
    for name, value in before.items():
        np.testing.assert_equal(vars(model)[name], value)
    assert not {"last", "numbers", "seen"} & vars(model).keys()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])


STATE = ("first", "mean", "calls", "cache")


def test_a_mistake_of_the_models_own_is_raised_as_it_is():
    model = Row("", lambda model, y, x, c: ops.concat(y, np.zeros((1, 2, 3, 4)))).model()
    for method in (*FAST, "naive"):
        with pytest.raises(ValueError, match="dimensions") as error:
            model.sample(1, method=method)
        assert not isinstance(error.value, TraceError)


def wide_top(model):
    model.top.layers[-1] = nn.Pointwise(np.zeros(8, int), model.head.groups, model.init)


def other_mask(model):
    mask = model.stem.mask.copy()
    mask[:, :3] = False
    model.stem.mask = mask


def mask_in_place(model):
    model.stem.mask[:2] = False


def mask_of_the_future(model):
    model.blocks[1].look.mask = np.ones_like(model.blocks[1].look.mask)


def fewer_blocks(model):
    del model.blocks[0]


def other_dilation(model):
    model.blocks[0].look.dilation = 2


def other_layer(model):
    model.blocks[1] = type("Silent", (nn.Module,), {"__call__": lambda self, x, condition, rng=None: ops.tanh(x)})()


def other_activation(model):
    model.blocks[0].activations[1] = ops.elu


def other_forward(model):
    model.forward = lambda x, condition=None, rng=None: type(model).forward(model, x, condition, rng) * 0.5


EXCHANGES = [other_mask, mask_in_place, fewer_blocks, other_dilation, other_layer, other_activation, other_forward]


@pytest.mark.parametrize("exchange", [*EXCHANGES, mask_of_the_future], ids=lambda exchange: exchange.__name__)
def test_what_is_exchanged_after_a_draw_counts(exchange):
    model = shaken(mp.models.PixelCNN((5, 6, 1), 3, hidden=6, blocks=3, dtype="float64"))
    model.stem.mask = model.stem.mask.copy()  # one that can be written to
    before = {method: drawn(model, method, 8) for method in FAST}
    kept = program_of(model, False)[0]
    assert program_of(model, False)[0] is kept
    exchange(model)
    if exchange is mask_of_the_future:
        for method in FAST:
            with pytest.raises(mp.CausalityError):
                drawn(model, method, 8)
        return
    wanted = drawn(model, "naive", 8)
    for method in FAST:
        assert (before[method] != wanted).any()
        np.testing.assert_array_equal(drawn(model, method, 8), wanted)


def test_a_constant_that_moved_on_counts():
    """A number that the model keeps, and an array in place: what they are when it draws."""
    model = Row("", lambda model, y, x, c: y * model.number + model.row).model()
    model.number, model.row = 1.0, np.zeros(8)
    drawn(model, "auto", 8)
    model.number = -2.0
    np.testing.assert_array_equal(drawn(model, "auto", 8), drawn(model, "naive", 8))
    model.row += np.arange(8) - 4
    np.testing.assert_array_equal(drawn(model, "auto", 8), drawn(model, "naive", 8))


@pytest.mark.parametrize(("name", "variant"), KINDS)
def test_a_program_is_kept_while_the_model_stays(name, variant):
    """Training and loading change weights alone, a copy has its own program, and neither asks for another trace."""
    model = Case(name, (3, 4, 1), 2, "bernoulli", variant).conditional("class")
    kept = program_of(model, True)
    shaken(model, seed=3)
    model.load_state_dict(shaken(copy.deepcopy(model)).state_dict())
    model.to_cpu()
    assert program_of(model, True)[0] is kept[0]
    assert Trace(copy.deepcopy(model)).holds(model) is False  # other parameters
    assert kept[0].trace.holds(model)


def test_no_warning_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SMALL:
            Case(name, (3, 4, 1), 2, "bernoulli").model().sample(1)
