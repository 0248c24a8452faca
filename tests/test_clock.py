"""The clock against what values really depend on, found by changing every sub-pixel in turn."""

import numpy as np
import pytest
from model_table import CONDITIONS, KINDS, SMALL, WIDE, Case, shaken
from model_table import diagonal as diagonal_cases

import minipixel as mp
from minipixel import kernels
from minipixel.causality import dependencies
from minipixel.clock import Clock, Trace, prove, raster, smallest_slope
from minipixel.clock.times import walk
from minipixel.errors import TraceError
from minipixel.ops import OPS
from minipixel.shards import rows
from minipixel.tensor import Tensor, inputs_first

MOVES = {name for name, found in OPS.items() if found.local and found.local.__name__ == "moving"} - {"overlay"}
SHAPES = [((5, 4, 1), 2, "bernoulli"), ((3, 4, 3), 2, "categorical"), ((1, 6, 1), 3, "logistic_mixture")]
SHAPES += [((4, 1, 3), 3, "normal_mixture"), ((3, 3, 3), 3, "categorical"), ((3, 5, 1), 3, "categorical")]


def diagonal(kinds=KINDS, images=SHAPES, each=2):
    """Each kind of model on a few kinds of image and condition, all of which come up."""
    *alone, both = CONDITIONS
    found = [
        (Case(name, *images[(each * i + j) % len(images)], variant), alone[(2 * i + j) % len(alone)])
        for i, (name, variant) in enumerate(kinds)
        for j in range(each)
    ]
    found += [(Case(name, *images[0]), both) for name in SMALL]
    return pytest.mark.parametrize(("case", "told"), found, ids=[f"{case.id}-{told}" for case, told in found])


def computed(output, x):
    """The tensors that the image reaches, as a Trace lists them: those made by moving pixels left out."""
    reached, found = {id(x)}, []
    for tensor in inputs_first(output):
        if any(id(source) in reached for source in tensor.inputs):
            reached.add(id(tensor))
            if tensor.op not in MOVES:
                found.append(tensor)
    return found


def numbers(model, rng, size):
    """What the model may be given for sub-pixels: numbers in [-1, 1], or codes."""
    return rng.uniform(-1, 1, size) if model.inputs == "scaled" else rng.integers(model.levels, size=size).astype(float)


def what_values_depend_on(model, nodes, draws):
    """For each node, by changing every sub-pixel of random images under random weights: boolean (P, K, S)."""
    S, rng = int(np.prod(model.image_shape)), np.random.default_rng(0)
    found, start = [False] * len(nodes), model.state_dict()
    for seed in range(draws):
        model.load_state_dict(start)
        shaken(model, seed)
        images = np.repeat(numbers(model, rng, (1, S)), 1 + S, axis=0)
        images[1 + np.arange(S), np.arange(S)] = numbers(model, rng, S)
        x = Tensor(np.ascontiguousarray(images.reshape(-1, *model.image_shape).transpose(1, 2, 0, 3)))
        condition = model.conditions.random(1, rng)
        told = None if condition is None else model.condition_map(rows(condition, np.zeros(1 + S, int)))
        with kernels.as_written():
            tensors = computed(model.maps(x, told), x)
        assert [tensor.op for tensor in tensors] == [node.tensor.op for node in nodes]
        for i, tensor in enumerate(tensors):
            values = tensor.data.reshape(-1, 1 + S, tensor.shape[-1])
            moved = np.abs(values[:, 1:] - values[:, :1]) > 1e-11 * np.abs(values).max()
            found[i] = found[i] | moved.transpose(0, 2, 1)
    return found


@diagonal()
def test_values_are_known_when_the_last_thing_they_depend_on_is(case, told):
    """Every value of every node: not a step too late, not a step too early.

    A rectifier may shut in all of these images; of that it only matters that nothing comes early.
    """
    model = case.conditional(told)
    trace = Trace(model)
    clock = Clock(trace, model.head.groups, model.order)
    nodes = [node for node in trace.nodes if node is not trace.image and not node.constant]
    for node, reads in zip(nodes, what_values_depend_on(model, nodes, 24), strict=True):
        last = np.where(reads, model.order.ravel() + 1, 0).max(axis=2)  # (P, K)
        inside = slice(None) if node.own is None else node.own.inside
        ready = clock.ready[node].values[:, clock.ready[node].of]
        if node.tensor.op == "relu":
            last = np.where(last < ready, ready, last)
        np.testing.assert_array_equal(ready[inside], last[inside], err_msg=repr(node))


def declared(model, trace):
    """Which sub-pixels each is predicted from, by the reads of the graph alone: boolean (S, S)."""
    H, W, C = model.image_shape
    S = H * W * C
    known = walk(trace, np.eye(S, dtype=bool).reshape(H * W, C, S), np.bitwise_or)[trace.output.node]
    parameters = known.at(trace.output.index)[:, known.of]  # (P, parameters, S)
    belongs = np.less_equal if model.head.joins_colours else np.equal
    found = [parameters[:, belongs(model.head.groups, channel)].any(axis=1) for channel in range(C)]
    found = np.stack(found, axis=1).reshape(S, S)
    if model.head.joins_colours:
        t = np.arange(S)
        found |= (t[:, None] // C == t // C) & (t < t[:, None])
    return found


@diagonal_cases
def test_the_proof_agrees_with_gradients(case):
    """Wide models, in which no rectifier hides anything: the very same dependencies, and so the same verdict."""
    model = case.model(**WIDE[case.name])
    trace = Trace(model)
    found = dependencies(model)
    np.testing.assert_array_equal(declared(model, trace), found)
    clock = Clock(trace, model.head.groups, model.order)
    assert clock.causal and mp.check_causality(model).ok
    prove(clock, case.name)


def slope_by_gradients(model, found):
    """The smallest slope below W for which nothing is read that is not drawn earlier; None if there is none."""
    W = model.image_shape[1]
    for slope in range(1, W):
        times = raster(model.image_shape, slope).ravel()
        if (times[None] < times[:, None])[found].all():
            return slope
    return None


@pytest.mark.parametrize("name", [name for name in SMALL if name != "multi-scale"])
@pytest.mark.parametrize(("shape", "Q"), [((5, 9, 1), 2), ((3, 6, 3), 2), ((4, 4, 1), 3)])
def test_the_slope_agrees_with_gradients(name, shape, Q):
    head = "bernoulli" if Q == 2 else "categorical"
    model = Case(name, shape, Q, head).model(**WIDE[name])
    found = dependencies(model, images=3)
    assert smallest_slope(Trace(model), model.head.groups, shape) == slope_by_gradients(model, found)


SLOPES = {"pixelcnn": 4, "row-lstm": 4, "gated": 10, "diagonal-bilstm": None}


@pytest.mark.parametrize(("name", "slope"), SLOPES.items())
def test_slopes_on_28x28(name, slope):
    """At the published depth. PixelCNN: 27 + 4 * 27 + 1 = 136 steps."""
    depth = "blocks" if name == "pixelcnn" else "layers"
    shape = (28, 28, 1)
    model = mp.models.MODELS[name](shape, 2, **{depth: 7, "filters" if name == "gated" else "hidden": 2})
    trace, groups = Trace(model), model.head.groups
    assert smallest_slope(trace, groups, shape) == slope
    if slope is not None:
        assert Clock(trace, groups, raster(shape, slope)).causal
        assert not Clock(trace, groups, raster(shape, slope - 1)).causal
        assert raster(shape, slope).max() + 1 == 28 + 27 * slope
    else:
        assert not any(Clock(trace, groups, raster(shape, s)).causal for s in (20, 26, 27))
    assert Clock(trace, groups, model.order).causal


def test_without_the_phantom_column_there_is_a_slope():
    model = mp.models.DiagonalBiLSTM((28, 28, 1), 2, hidden=2, layers=2, phantom_column=False)
    assert smallest_slope(Trace(model), model.head.groups, model.image_shape) == 27


class Between(mp.models.PixelCNN):
    """A PixelCNN with some function of a map before its top."""

    between = staticmethod(lambda x: x)

    def forward(self, x, condition=None, rng=None):
        return self.between(super().forward(x, condition, rng))


def between(function, shape=(2, 3, 1)):
    model = Between(shape, 2, hidden=3, blocks=1)
    model.between = function
    return model


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda y: mp.ops.concat(y, y), r"^clock: got an output of 6 pixels of 2 channels, wanted 6 pixels, .*$"),
        (mp.ops.add_column, r"^clock: got an output of 8 pixels of 1 channels, wanted 6 pixels, .*$"),
    ],
)
def test_what_the_clock_cannot_read_is_refused(function, match):
    model = between(function)
    for method in ("auto", "cached", "wavefront"):
        with pytest.raises(ValueError, match=match) as error:
            model.sample(1, method=method)
        assert "\n" not in str(error.value)


def test_colours_are_told_apart():
    """What each colour of a pixel is drawn from is known when the colour before it is; given to another, it is late."""
    model = Case("pixelcnn", (2, 2, 3), 2, "categorical").model()
    trace = Trace(model)
    clock = Clock(trace, model.head.groups, model.order)
    ready = clock.ready[trace.output.node]
    np.testing.assert_array_equal(ready.values[:, ready.of], model.order.reshape(4, 3)[:, model.head.groups])
    with pytest.raises(mp.CausalityError):
        prove(Clock(trace, model.head.groups[::-1], model.order), "a model")


def test_an_order_that_the_model_was_not_made_for_is_refused():
    model = Case("pixelcnn", (3, 3, 1), 2, "bernoulli").model()
    clock = Clock(Trace(model), model.head.groups, model.order[:, ::-1])
    assert not clock.causal
    with pytest.raises(mp.CausalityError):
        prove(clock, "a model")


@pytest.mark.filterwarnings("ignore:.*runs as it is written, slower:RuntimeWarning")
def test_an_output_that_reads_nothing_is_drawn_naively():
    """A baseline of one number per pixel, say: there is nothing to schedule."""
    model = between(lambda y: Tensor(np.array([0.3, -2, 4, 0, -0.5, 1]).reshape(2, 3, 1, 1)))
    for method in ("cached", "wavefront"):
        with pytest.raises(
            TraceError, match=r"^clock: got a Between whose output does not depend on the image at all$"
        ):
            model.sample(1, method=method)
    with pytest.warns(UserWarning, match="draws naively"):
        np.testing.assert_array_equal(model.sample(4, rng=0), model.sample(4, rng=0, method="naive"))
        known = np.arange(6).reshape(2, 3) % 2 == 1
        completed = model.complete(np.ones((4, 2, 3, 1), int), known, rng=0, particles=8)
        assert (completed[:, known] == 1).all()
