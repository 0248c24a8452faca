"""What the clock takes for a constant is one: see trace_table.py; and it notices what was exchanged after a draw."""

import contextlib
import copy
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from draw_table import drawn
from model_table import KINDS, SMALL, Case, shaken
from trace_table import CONDITIONED, DRAWING, RAW, REFUSED, SEEN, Between, Row

import minipixel as mp
from minipixel import kernels, nn, ops
from minipixel.causality import structure
from minipixel.clock import Trace
from minipixel.draws import Draws, Kept, TracedDraws
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


@pytest.mark.filterwarnings("ignore:.*runs as it is written, slower:RuntimeWarning")  # there is no plan of it either
@each([*REFUSED, *RAW])
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
    (note,) = [note for note in notes if issubclass(note.category, UserWarning)]
    assert str(note.message).count("draws naively") == 1 and note.filename == __file__
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


def test_a_weight_of_another_shape_counts():
    """A layer without a mask, whose taps are as many as its weight has."""
    model = Case("multi-scale", (5, 6, 1), 2, "bernoulli").conditional("")
    before, layer = drawn(model, "auto", 8), model.upsampling.layers[0]
    layer.weight.data = np.random.default_rng(0).normal(size=(5, 5, *layer.weight.shape[2:]))
    wanted = drawn(model, "naive", 8)
    assert (before != wanted).any()
    np.testing.assert_array_equal(drawn(model, "auto", 8), wanted)


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
    model.to("cpu")
    assert program_of(model, True)[0] is kept[0]
    assert Trace(copy.deepcopy(model)).holds(model) is False  # other parameters
    assert kept[0].trace.holds(model)


def test_no_warning_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SMALL:
            Case(name, (3, 4, 1), 2, "bernoulli").model().sample(1)


def test_other_threads_see_their_numbers():
    """A trace is seen by the thread that makes it, and by no other: one scores while another is traced."""
    scoring = Case("pixelcnn", (3, 4, 1), 2, "bernoulli").conditional("")
    images = np.zeros((2, 3, 4, 1), int)
    wanted, found = scoring.log_prob(images), []

    def meanwhile(model, y, x, condition):
        with ThreadPoolExecutor(1) as pool:
            found.append(pool.submit(scoring.log_prob, images).result())
        return y

    Trace(Row("", meanwhile).model())
    assert len(found) >= 3
    for scores in found:
        np.testing.assert_array_equal(scores, wanted)


# --- passes in training -----------------------------------------------------------------------------------------------

DROPPING = {
    "pixelcnn": lambda: mp.models.PixelCNN((5, 4, 1), 3, hidden=4, blocks=3, dropout=0.3, num_classes=2),
    "pixelcnnpp": lambda: mp.models.PixelCNNpp((5, 4, 1), 3, filters=4, resnets=1, dropout=0.25),
    "one's own": lambda: with_rng(lambda model, y, rng: twice_dropped(y, rng)),
}


def twice_dropped(y, rng):
    """What is drawn for one map, dropped from two."""
    if rng is None:
        return ops.tanh(y) + y
    keep = rng.keep(0.5, y.shape)
    return ops.dropout(ops.tanh(y), keep=keep, rate=0.5) + ops.dropout(y, keep=keep, rate=0.5)


def with_rng(between):
    """A PixelCNN whose features meet `between(model, y, rng)`."""

    def forward(self, x, condition=None, rng=None):
        return self.blocks_and_top(between(self, self.stem(x), rng))

    model = type("Drawing", (Between,), {"forward": forward})((3, 4, 1), 3, hidden=4, blocks=1, dtype="float64")
    model.cache = {}
    return model


class Noted(Draws):
    """Draws that take down what they are asked for."""

    def keep(self, rate, shape):
        self.asked = [*getattr(self, "asked", []), (self.layers, rate, shape)]
        return super().keep(rate, shape)


@pytest.mark.parametrize("name", DROPPING)
def test_what_is_dropped_in_training_is_traced(name):
    """Each dropout is a node, which says what `Draws` would draw for it; that of any other pass is not changed."""
    model = DROPPING[name]()
    trace, plain = Trace(model, dropping=True), Trace(model)
    nodes = [node for node in trace.nodes if node.local is not None and node.local.kind == "dropout"]
    assert len(plain.nodes) == len(trace.nodes) - len(nodes)
    assert not [node for node in plain.nodes if node.local is not None and node.local.kind == "dropout"]
    draws, labels = Noted((1, 2)), np.zeros(1, int) if model.conditions.num_classes else None
    with kernels.as_written():
        model.loss(np.zeros((1, *model.image_shape), int), labels, rng=draws)
    said = {(keep.layer, keep.rate, keep.shape) for keep in (node.tensor.call[1]["keep"] for node in nodes)}
    assert sorted(said) == draws.asked and draws.asked
    for node in nodes:
        ((source, look),) = node.reads
        assert source.size == node.size and source.K == node.K == node.tensor.call[1]["keep"].shape[-1]
        np.testing.assert_array_equal(look.index, np.arange(node.pixels)[:, None])
        np.testing.assert_array_equal(look.channels, np.eye(node.K, dtype=bool))
        rate = node.tensor.call[1]["rate"]
        gathered = np.random.default_rng(0).normal(size=(node.pixels, 2, node.K))
        np.testing.assert_array_equal(node.local.compute(gathered), gathered * (1 / (1 - rate)))
    assert trace.holds(model) and plain.holds(model)


def test_another_rate_counts_in_training_alone():
    model = DROPPING["pixelcnn"]()
    trace, plain = Trace(model, dropping=True), Trace(model)
    model.blocks[1].drop.rate = 0.4
    assert plain.holds(model) and not trace.holds(model)
    model.blocks[1].drop.rate = 0.3
    assert trace.holds(model)
    model.blocks[1].drop.rate = 0
    assert plain.holds(model) and not trace.holds(model)


@pytest.mark.parametrize("name", DRAWING)
def test_what_is_drawn_otherwise_is_refused_by_name(name):
    between, says = DRAWING[name]
    model = with_rng(lambda model, y, rng: y if rng is None else between(model, y, rng))
    with pytest.raises(TraceError, match=says) as error:
        Trace(model, dropping=True)
    assert str(error.value).startswith("clock: got ") and "\n" not in str(error.value)
    assert "wanted " in str(error.value) and "; " in str(error.value)
    assert not model.cache
    Trace(model)


def test_all_that_a_generator_has_is_refused():
    """So that what a later NumPy adds to it is, too."""

    def refuse(what):
        raise TraceError(what)

    draws = TracedDraws(refuse, lambda: None)
    names = [name for name in dir(np.random.Generator) if not name.startswith("_")]
    assert len(names) > 40 and isinstance(draws, np.random.Generator)
    for name in names:
        with pytest.raises(TraceError, match=rf"^{name}$"):
            getattr(draws, name)


def test_what_stands_for_what_is_kept():
    draws = TracedDraws(print, lambda: None)
    first, second = draws.keep(0.5, (2, 3, 1, 4)), draws.keep(0.5, (2, 3, 1, 4))
    other = TracedDraws(print, lambda: None).keep(0.5, (2, 3, 7, 4))
    assert first == other and hash(first) == hash(other) and first != second and first != Kept(draws, 0, 0.4, (1,))
    assert (first.layer, second.layer, first.shape) == (0, 1, (2, 3, 1, 4))
    assert np.asarray(first).all() and np.asarray(first).shape == (2, 3, 1, 4) and np.asarray(first).dtype == bool
