"""Optimizers change all weights as one flat array: the same steps as weight by weight, and nobody else's array."""

import copy
import pickle
import re

import numpy as np
import pytest

import minipixel as mp
from minipixel.nn import Parameter
from minipixel.optim import OPTIMIZERS, Optimizer
from minipixel.optim import optimizer as module_of_optimizers

SETTINGS = [
    *((name, {}) for name in OPTIMIZERS),
    ("rmsprop", {"momentum": 0.7}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
]
every_setting = pytest.mark.parametrize(("name", "options"), SETTINGS)
SHAPES = {"w.0": (3, 4), "w.1": (), "w.2": (5,), "w.3": (2, 1, 3)}


def weights(*values):
    module = mp.nn.Module()
    module.w = [Parameter(value) for value in values]
    return module


def model(dtypes=("float32",) * 4):
    rng = np.random.default_rng(0)
    return weights(*(rng.standard_normal(s).astype(dtype) for s, dtype in zip(SHAPES.values(), dtypes, strict=True)))


def random_gradients(step, of=None):
    rng = np.random.default_rng(step)
    all_of_them = {name: np.asarray(rng.standard_normal(shape), np.float32) for name, shape in SHAPES.items()}
    return {name: all_of_them[name] for name in of or SHAPES}


def numbers(net):
    return {name: parameter.data.copy() for name, parameter in net.named_parameters()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def one_by_one(optimizer):
    """The same optimizer, which changes weight by weight."""
    kind = type(optimizer)
    optimizer.__class__ = type(kind.__name__, (kind,), {"elementwise": False})
    return optimizer


@every_setting
@pytest.mark.parametrize("piece", [2**16, 7])
def test_flat_and_weight_by_weight_are_the_same_to_the_bit(name, options, piece, monkeypatch):
    monkeypatch.setattr(module_of_optimizers, "PIECE", piece)
    flat, single = model(), model()
    optimizers = OPTIMIZERS[name](0.1, **options), one_by_one(OPTIMIZERS[name](0.1, **options))
    sizes = [], []
    for optimizer, own in zip(optimizers, sizes, strict=True):
        change = optimizer.change
        optimizer.change = lambda g, change=change, own=own, **memories: (own.append(g.size), change(g, **memories))[1]
    for step in range(4):
        for net, optimizer in zip((flat, single), optimizers, strict=True):
            optimizer.step(net, random_gradients(step))
        assert_same(numbers(flat), numbers(single))
    assert sizes[0] == ([24] if piece > 24 else [7, 7, 7, 3]) * 4 and sizes[1] == [12, 1, 5, 6] * 4
    states = [optimizer.state_dict() for optimizer in optimizers]
    assert_same(*states)


@every_setting
def test_gradients_by_name_are_those_in_grad(name, options):
    by_name, by_grad = model(), model()
    ours, theirs = (OPTIMIZERS[name](0.1, clip_norm=2.0, **options) for _ in range(2))
    for step in range(3):
        gradients = random_gradients(step)
        ours.step(by_name, dict(reversed(gradients.items())))
        for key, parameter in by_grad.named_parameters():
            parameter.grad = gradients[key]
        theirs.step(by_grad)
    assert_same(numbers(by_name), numbers(by_grad))
    assert all(parameter.grad is None for parameter in by_name.parameters())


@every_setting
def test_an_array_of_before_keeps_its_numbers(name, options):
    """Weights, gradients, and what was put into `data` by hand."""
    net, optimizer = model(), OPTIMIZERS[name](0.1, **options)
    mine = net.w[0].data = np.ones((3, 4), np.float32)
    for step in range(3):
        held, gradients = [p.data for p in net.parameters()], random_gradients(step)
        before, given = [array.copy() for array in held], copy.deepcopy(gradients)
        optimizer.step(net, gradients)
        for array, copied in zip(held, before, strict=True):
            np.testing.assert_array_equal(array, copied)
        assert_same(gradients, given)
    assert (mine == 1).all() and (net.w[0].data != 1).any()


def test_weights_are_views_of_one_array():
    net = model()
    mp.optim.Adam().step(net, random_gradients(0))
    ends = [p.data.__array_interface__["data"][0] for p in net.parameters()]
    assert [end - ends[0] for end in ends] == [0, 48, 52, 72]  # bytes
    assert {p.dtype for p in net.parameters()} == {np.dtype("float32")}
    assert [p.shape for p in net.parameters()] == list(SHAPES.values())


def test_weights_of_two_dtypes_keep_them():
    dtypes = "float32", "float64", "float64", "float32"
    mixed, plain = model(dtypes), model()
    optimizers = mp.optim.Adam(0.1), mp.optim.Adam(0.1)
    for step in range(3):
        for net, optimizer in zip((mixed, plain), optimizers, strict=True):
            optimizer.step(net, random_gradients(step))
    assert tuple(str(p.dtype) for p in mixed.parameters()) == dtypes
    assert [str(own["mean"].dtype) for own in optimizers[0].state.values()] == list(dtypes)
    for (name, a), b in zip(mixed.named_parameters(), plain.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-5, err_msg=name)
        if a.dtype == np.float32:
            np.testing.assert_array_equal(a.data, b.data)


# --- which weights there are may change -------------------------------------------------------------------------------


@every_setting
def test_frozen_and_thawed_between_steps(name, options):
    """A weight that is frozen for a while keeps its memories; the others go on as if it had never been there."""
    net, alone = model(), model()
    optimizer, of_others = OPTIMIZERS[name](0.1, **options), OPTIMIZERS[name](0.1, **options)
    others = ["w.0", "w.1", "w.3"]
    parameter = net.w[2]
    alone.w = {0: alone.w[0], 1: alone.w[1], 3: alone.w[3]}  # a dict is not looked into
    alone.named_parameters = lambda: ((f"w.{i}", p) for i, p in alone.w.items())
    for step in range(2):
        optimizer.step(net, random_gradients(step))
        of_others.step(alone, random_gradients(step, others))
    kept = {kind: array.copy() for kind, array in optimizer.state["w.2"].items()}
    value = parameter.data.copy()
    net.named_parameters = lambda: ((name, p) for name, p in weights_of(net) if name != "w.2")
    for step in range(2, 4):
        optimizer.step(net, random_gradients(step, others))
        of_others.step(alone, random_gradients(step, others))
    del net.named_parameters
    np.testing.assert_array_equal(parameter.data, value)
    assert_same(optimizer.state["w.2"], kept)
    optimizer.step(net, random_gradients(4))
    of_others.step(alone, random_gradients(4, others))
    assert (parameter.data != value).all()
    assert_same({name: w for name, w in numbers(net).items() if name in others}, numbers(alone))


def weights_of(net):
    return type(net).named_parameters(net)


def test_a_weight_that_is_added_starts_with_zeros():
    net, optimizer = model(), mp.optim.Adam(0.1)
    optimizer.step(net, random_gradients(0))
    before = optimizer.state["w.0"]["mean"].copy()
    net.w.append(Parameter(np.ones(2, np.float32)))
    optimizer.step(net, random_gradients(0) | {"w.4": np.zeros(2, np.float32)})
    np.testing.assert_array_equal(net.w[4].data, np.ones(2))
    assert not optimizer.state["w.4"]["mean"].any()
    np.testing.assert_allclose(optimizer.state["w.0"]["mean"], 1.9 * before, rtol=1e-6)


def test_tied_weights_take_one_step():
    """As PyTorch does: a weight in two places is one weight, with one gradient."""
    net = model()
    net.w[3] = net.w[0]
    before, optimizer = numbers(net), mp.optim.SGD(1.0, clip_norm=5.0)
    gradient = np.full((3, 4), 1.0, np.float32)  # of norm 3.46, and 4.9 if it counted twice with the others' 0
    gradients = {"w.0": gradient, "w.1": np.float32(0), "w.2": np.zeros(5), "w.3": gradient}
    optimizer.step(net, gradients)
    np.testing.assert_array_equal(net.w[0].data, before["w.0"] - 1)
    assert net.w[3] is net.w[0] and list(optimizer.state) == ["w.0", "w.1", "w.2"]
    again = mp.optim.SGD(1.0)
    again.load_state_dict(optimizer.state_dict(), net)
    again.step(net, gradients)
    np.testing.assert_allclose(net.w[0].data, before["w.0"] - 2, rtol=1e-6)


# --- memories ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_goes_on_by_itself(copied):
    net, optimizer = model(), mp.optim.Adam(0.1)
    optimizer.step(net, random_gradients(0))
    other, twin = copied(optimizer), model()
    for parameter, twins in zip(net.parameters(), twin.parameters(), strict=True):
        twins.data = parameter.data.copy()
    for step in (1, 2):
        optimizer.step(net, random_gradients(step))
    for step in (1, 2):
        other.step(twin, random_gradients(step))
    assert_same(numbers(net), numbers(twin))
    assert_same(optimizer.state_dict(), other.state_dict())


def test_what_is_put_into_the_state_counts():
    """An array in the place of another, all of it anew, or numbers written into the one that is there."""

    def forget(state):
        state["w.0"]["mean"] = np.zeros((3, 4), np.float32)

    def forget_in_place(state):
        state["w.0"]["mean"][...] = 0

    found = []
    for change in (forget, forget_in_place, lambda state: None, lambda state: state.clear()):
        net, optimizer = model(), mp.optim.Adam(0.1)
        for step in range(2):
            optimizer.step(net, random_gradients(step))
        change(optimizer.state)
        optimizer.step(net, random_gradients(2))
        found.append(numbers(net))
    assert_same(found[0], found[1])
    for i in (2, 3):
        assert (found[0]["w.0"] != found[i]["w.0"]).all()
    assert_same({"": found[0]["w.2"]}, {"": found[2]["w.2"]})
    assert (found[3]["w.2"] != found[2]["w.2"]).all()
    mine = optimizer.state["w.0"]["mean"] = np.ones((3, 4), np.float32)
    with pytest.raises(KeyboardInterrupt), optimizer.undone_on_error():
        optimizer.step(net, random_gradients(2))
        raise KeyboardInterrupt
    assert optimizer.state["w.0"]["mean"] is mine and (mine == 1).all()
    optimizer.state["w.0"]["mean"] = np.zeros(5)
    with pytest.raises(
        ValueError, match=r"^state: got mean of shape \(5,\) for w.0, wanted \(3, 4\), as the weight has$"
    ):
        optimizer.step(net, random_gradients(2))


@every_setting
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("dtypes", [("float32",) * 4, ("float32", "float64", "float32", "float32")], ids=["", "mixed"])
def test_undone_on_error(name, options, steps, dtypes):
    """The optimizer goes on as if the step that failed had never been begun."""
    optimizers = [OPTIMIZERS[name](0.1, **options) for _ in range(2)]
    nets = [model(dtypes), model(dtypes)]
    for step in range(steps):
        for net, optimizer in zip(nets, optimizers, strict=True):
            optimizer.step(net, random_gradients(step))
    before = numbers(nets[0])
    with pytest.raises(KeyboardInterrupt), optimizers[0].undone_on_error():
        optimizers[0].step(nets[0], random_gradients(99))
        raise KeyboardInterrupt
    assert_same(*(optimizer.state_dict() for optimizer in optimizers))
    for key, parameter in nets[0].named_parameters():
        parameter.data = before[key]
    for step in range(steps, steps + 2):
        for net, optimizer in zip(nets, optimizers, strict=True):
            optimizer.step(net, random_gradients(step))
    assert_same(numbers(nets[0]), numbers(nets[1]))


# --- an optimizer of one's own ----------------------------------------------------------------------------------------


class Normed(Optimizer):
    """Of each weight's gradient only the direction counts, so what the weights are makes a difference."""

    memories = ("seen",)

    def change(self, g, *, seen):
        seen += 1
        return -self.rate * g / np.sqrt((g * g).sum())


class OfAdam(mp.optim.Adam):
    """Another step from the same memories, which is not said to treat all numbers alike."""

    def change(self, g, **memories):
        return super().change(g, **memories) * np.float32(g.size)


class Signs(Optimizer):
    """Says of itself that all numbers are alike to it."""

    memories = ()
    elementwise = True

    def change(self, g):
        return -self.rate * np.sign(g)


def test_a_subclass_is_asked_weight_by_weight_unless_it_says_that_all_numbers_are_alike():
    net = model()
    before = numbers(net)
    optimizer = Normed(0.5)
    optimizer.step(net, random_gradients(0))
    for name, g in random_gradients(0).items():
        np.testing.assert_allclose(numbers(net)[name], before[name] - 0.5 * g / np.linalg.norm(g), rtol=1e-5)
        np.testing.assert_array_equal(optimizer.state[name]["seen"], np.ones(SHAPES[name]))
    assert not Optimizer.elementwise and not Normed.elementwise and not OfAdam.elementwise and Signs.elementwise
    assert all(kind.elementwise for kind in OPTIMIZERS.values())
    assert type("Named", (mp.optim.Adam,), {}).elementwise  # the same `change`
    moved, plain = model(), model()
    OfAdam(0.1).step(moved, random_gradients(0))
    mp.optim.Adam(0.1).step(plain, random_gradients(0))
    start = numbers(model())
    for name, weight in numbers(moved).items():
        wanted = (numbers(plain)[name] - start[name]) * weight.size
        np.testing.assert_allclose(weight - start[name], wanted, rtol=1e-4, atol=1e-6)
    seen, signs = [], Signs(0.1)
    signs.change = lambda g: (seen.append(g.shape), Signs.change(signs, g))[1]
    signs.step(net, random_gradients(0))
    assert seen == [(24,)]


# --- gradients that do not fit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.pop("w.2"), "gradients: got 3 without w.2, wanted those of all 4 weights that are trained; "),
        (
            lambda g: g.update({"w.22": g["w.2"]}),
            "gradients: got one for 'w.22', wanted only those of the 4 weights that are trained; did you mean 'w.2'?",
        ),
        (
            lambda g: g.update({"w.0": None}),
            "step: got no gradient for w.0, wanted one; model.value_and_gradients(",
        ),
        (
            lambda g: g.update({"w.0": np.ones((4, 3))}),
            "step: got a gradient of shape (4, 3) for w.0, wanted an array of shape (3, 4)",
        ),
        (
            lambda g: g.update({"w.2": [0.0] * 5}),
            "step: got [0.0, 0.0, 0.0, 0.0, 0.0] for w.2, wanted an array of shape ",
        ),
    ],
)
def test_gradients_that_do_not_fit(change, message):
    net, optimizer, gradients = model(), mp.optim.Adam(), random_gradients(0)
    before = numbers(net)
    change(gradients)
    with pytest.raises(ValueError, match="^" + re.escape(message)) as error:
        optimizer.step(net, gradients)
    assert "\n" not in str(error.value) and optimizer.steps == 0 and not optimizer.state
    assert_same(numbers(net), before)


@pytest.mark.parametrize("given", [(1.0, {}), [1, 2], 3.0, "w.0"])
def test_gradients_that_are_none(given):
    with pytest.raises(ValueError, match=r"^gradients: got .*, wanted a dict by the names of weights") as error:
        mp.optim.Adam().step(model(), given)
    assert "\n" not in str(error.value)
