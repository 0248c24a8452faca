"""Models drawn at random: every way to a loss and its gradients agrees with the tape as it is written."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from agreement import (
    CONTEXTS,
    PLAN,
    WAYS,
    assert_agree,
    assert_same_bits,
    by_backward,
    by_values,
    compare,
    exact_limit,
    needs_plan,
    needs_values,
    quietly,
    reference,
    reference_log_prob,
    result_of,
    scale,
    slope,
    within,
)
from drawn_graphs import Graph
from drawn_layers import INSTRUCTIONS
from drawn_models import Drawn, drawn_models, families, graphs, modules
from hypothesis import HealthCheck, example, given, seed, settings

import minipixel as mp
from minipixel import nn, ops
from minipixel.errors import TraceError
from minipixel.nn.flat import distinct
from minipixel.plan import engine
from minipixel.tensor import inputs_first, no_grad

CALM = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
exact = drawn_models(dtypes=["float64"])


def few(examples, number=0):
    """So many examples, the same ones each time."""
    return lambda test: seed(number)(settings(max_examples=examples, **CALM)(test))


# --- agreement --------------------------------------------------------------------------------------------------------


@few(30)
@given(drawn_models(families()))
def test_models_of_the_family_agree(drawn):
    assert_agree(drawn)


@few(30)
@given(drawn_models(graphs()))
def test_models_of_ones_own_agree(drawn):
    assert_agree(drawn)


@pytest.mark.parametrize("kind", [families, graphs])
def test_models_agree_one_row_of_pixels_at_a_time(kind, monkeypatch):
    monkeypatch.setattr(engine, "STEP", 1)  # images as small as these would go through their table in one step

    @few(15, number=2)
    @given(drawn_models(kind()))
    def agree(drawn):
        assert_agree(drawn)

    agree()


@pytest.mark.slow
@few(1000, number=1)
@given(drawn_models(families()))
def test_1000_models_of_the_family_agree(drawn):
    assert_agree(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [families, graphs])
def test_1000_models_agree_one_row_of_pixels_at_a_time(kind, monkeypatch):
    monkeypatch.setattr(engine, "STEP", 1)

    @few(1000, number=3)
    @given(drawn_models(kind()))
    def agree(drawn):
        assert_agree(drawn)

    agree()


@pytest.mark.slow
@few(1000, number=1)
@given(drawn_models(graphs()))
def test_1000_models_of_ones_own_agree(drawn):
    assert_agree(drawn)


def analytic(drawn):
    """Whether a complex step sees the derivative: not where a way back is cut, nor through the error function."""
    cut = isinstance(drawn.made, Graph) and any(name == "bent" for name, *_ in drawn.made.program)
    return not cut and drawn.made.options["head"] != "normal_mixture"


@few(30)
@given(exact.filter(analytic))
def test_the_definition_itself(drawn):
    """A complex step through the whole forward pass, exact to rounding, against the tape as it is written."""
    model = drawn.model()
    batch, rng = (*drawn.batch(model), drawn.rng), np.random.default_rng(1)
    once = distinct(model.named_parameters())  # a weight with two names goes one way
    ways = {id(parameter): rng.standard_normal(parameter.shape) for parameter in once.values()}
    directions = [ways[id(parameter)] for parameter in model.parameters()]
    gradients = reference(model, *batch).gradients
    found = [(gradients[name], ways[id(parameter)]) for name, parameter in once.items()]
    got, size = sum((g * v).sum() for g, v in found), sum(np.abs(g * v).sum() for g, v in found)
    assert abs(got - slope(model, batch, directions)) <= 1e-10 * max(size, 1e-3)


@few(20)
@given(exact)
def test_log_prob(drawn):
    model = drawn.model()
    images, condition, _ = drawn.batch(model)
    wanted = reference_log_prob(model, images, condition)
    with quietly():
        for _ in range(2):
            np.testing.assert_allclose(model.log_prob(images, condition), wanted, rtol=1e-12, atol=1e-12)
        with no_grad():
            loss = model.loss(images, condition)
        assert loss.data == pytest.approx(-wanted.mean(), rel=1e-12, abs=1e-12)


# --- more than one pass, and more than one thread ---------------------------------------------------------------------


def batches(drawn, model):
    """Two batches, the second of one image more."""
    more = Drawn(drawn.made, drawn.N + 1, seed=drawn.seed + 1)
    return drawn.batch(model)[:2], more.batch(model)[:2]


@few(15)
@given(exact)
def test_one_pass_after_the_other(drawn):
    model = drawn.model()
    batch = (*drawn.batch(model), drawn.rng)
    wanted = reference(model, *batch)
    with quietly():
        for name, way in WAYS.items():
            first, second = way(model, *batch), way(model, *batch)
            compare(first, wanted, exact_limit, f"{name}, read after another pass")
            assert_same_bits(second, first, f"{name}, once more")


@few(15)
@given(exact)
def test_two_forwards_before_the_first_way_back(drawn):
    model = drawn.model()
    one, two = batches(drawn, model)
    wanted = [reference(model, *batch) for batch in (one, two, one)]
    with quietly():
        losses = [model.loss(*batch) for batch in (one, two, one)]
        for number in (1, 0, 2):
            compare(result_of(model, losses[number]), wanted[number], exact_limit, f"loss {number} of three")


@few(15)
@given(exact)
def test_losses_inside_a_larger_graph(drawn):
    """Twice one batch, less the other, and a term on the last weight: one tape, one way back, with a seed."""

    def sum_of(model):
        one, two = batches(drawn, model)
        *_, last = model.parameters()
        return 2.0 * model.loss(*one) - model.loss(*two) + ops.total(last * last)

    model = drawn.model()
    with mp.kernels.as_written():
        wanted = result_of(model, 3.0 * sum_of(model))
    with quietly():
        loss = sum_of(model)
        loss.backward(seed=3.0)
    reached = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert {name for name, g in wanted.gradients.items() if g.any()} <= reached.keys()
    for name, gradient in reached.items():
        most = 1e-10 * max(scale(wanted, name), 1e-3)  # a difference of losses: what cancels is not in the scale
        assert np.abs(gradient - wanted.gradients[name]).max(initial=0) <= most, name


@few(10)
@given(exact)
def test_threads_share_a_model(drawn):
    model = drawn.model()
    both = [(*batch, None, None) for batch in batches(drawn, model)] * 3
    wanted = [reference(model, *batch) for batch in both]

    def one(batch):
        return result_of(model, model.loss(*batch[:2]))

    with quietly(), ThreadPoolExecutor(3) as threads:
        for number, got in enumerate(threads.map(one, both)):
            compare(got, wanted[number], exact_limit, f"thread {number}")


# --- to the bit -------------------------------------------------------------------------------------------------------


@needs_values
@few(20)
@given(drawn_models())
def test_any_number_of_workers_gives_the_same_bits(drawn):
    model = drawn.model()
    batch = (*drawn.batch(model), drawn.rng)
    with quietly():
        alone = by_values(model, *batch)
        for workers in (2, 3, 5):
            assert_same_bits(by_values(model, *batch, workers=workers), alone, f"{workers} workers")
    assert all(parameter.grad is None for parameter in model.parameters())


@needs_plan
@pytest.mark.parametrize("context", [name for name in CONTEXTS if name != "interpreted"])
@few(20)
@given(drawn=drawn_models())
def test_the_same_bits_within(context, drawn):
    """Map by map as row by row; and nobody reads memory that was not written to before."""
    model = drawn.model()
    batch = (*drawn.batch(model), drawn.rng)
    with quietly():
        assert_same_bits(within(context, by_backward)(model, *batch), by_backward(model, *batch), context)


# --- tables -----------------------------------------------------------------------------------------------------------


@needs_plan
@few(20)
@given(drawn_models(families()))
def test_every_model_of_the_family_has_tables(drawn):
    for back, dropping in ((True, False), (True, True), (False, False)):
        assert PLAN.table_of(drawn.model(), N=drawn.N, back=back, dropping=dropping).show().strip()


@needs_plan
@few(30)
@given(drawn_models(graphs()))
def test_a_model_of_ones_own_has_a_table_or_is_told_why_not(drawn):
    model = drawn.model()
    try:
        assert PLAN.table_of(model, N=drawn.N, back=True, dropping=drawn.dropping).show().strip()
    except (PLAN.UnplannedError, TraceError) as error:
        assert "\n" not in str(error)
        assert any(word in str(error) for word in {*ops.OPS, "silent", "cube", "no_grad"})


# --- what is drawn ----------------------------------------------------------------------------------------------------


def drawn_by(instruction):
    """The ops and the kinds of layers in models with this instruction, by its first choices, after two others."""
    ops_met, kinds = set(), set()
    for before, n in itertools.product([(), (("subsample", 0, 0, 0),)], range(40)):
        program = (("conv2d", 0, 0, 0), *before, (instruction, 0, 0, n))
        model = Graph((3, 3, 1), 2, program, {"num_classes": 2}).build("float64")
        loss = model.loss(np.zeros((1, 3, 3, 1), np.uint8), [1], rng=0)
        ops_met |= {node.op for node in inputs_first(loss)}
        kinds |= {type(part) for part in modules(model)}
    return ops_met, kinds


def test_every_op_and_every_layer_is_drawn():
    """A new one has to have an instruction, too."""
    with mp.kernels.as_written():
        ops_met, kinds = (set().union(*sets) for sets in zip(*map(drawn_by, INSTRUCTIONS), strict=True))
    of_losses = {"flatten", "unit", "triplet_loss", "total", "mean", *(op for op in ops.OPS if op.endswith("log_prob"))}
    of_inputs = {"one_hot", "embedding"}  # the first op of models of the family, and of many of these
    assert ops.OPS.keys() - of_losses - of_inputs <= ops_met
    layers = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    assert layers - {nn.Module, nn.WeightNorm, nn.EnlargingConv2d} <= kinds  # the last is in every PixelCNN++


@example(Drawn(Graph((2, 3, 1), 2, (("bent", 0, 0, 5),), {"head": "bernoulli"})))
@few(1)
@given(drawn_models(graphs()))
def test_what_was_drawn_can_be_read(drawn):
    assert eval(repr(drawn)) == drawn
    assert repr(drawn) in drawn.text()
