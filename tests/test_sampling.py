"""Every way to draw turns the same uniforms into the same images: each model, head, condition and shape."""

import numpy as np
import pytest
from draw_table import all_ways, cases, drawn
from model_table import KINDS, Case, shaken

import minipixel as mp
from minipixel import ops
from minipixel.heads import Bernoulli
from minipixel.kernels import numba_enabled
from minipixel.sampling import SAMPLERS, Cached, Naive, machine, program_of
from minipixel.sampling import program as programs
from minipixel.stand_in import counted


def check_all_draw_the_same(case, told, ways, batches):
    model = case.conditional(told)
    for n, temperature in batches:
        wanted = drawn(model, "naive", n, temperature)
        for method in ways:
            np.testing.assert_array_equal(drawn(model, method, n, temperature), wanted, err_msg=method)
    assert len(np.unique(wanted)) > 1


@cases(31)
def test_all_ways_draw_the_same(case, told, monkeypatch):
    check_all_draw_the_same(case, told, all_ways(monkeypatch), [(2, 0.0), (1, 1.0), (3, 1.0), (12, 4.0)])


@pytest.mark.slow
@cases(1)
def test_all_ways_draw_the_same_whatever_the_model(case, told, monkeypatch):
    check_all_draw_the_same(case, told, all_ways(monkeypatch), [(5, 0.0), (1, 1.0), (3, 0.5), (64, 4.0)])


@cases(40)
def test_what_is_known_stays_and_log_prob_is_that_of_the_result(case, told, monkeypatch):
    model, rng = case.conditional(told), np.random.default_rng(1)
    images = rng.integers(0, case.levels, (9, *case.shape)).astype(np.uint8)
    known = rng.random((9, *case.shape[:2])) < 0.4
    condition = model.conditions.random(9, rng)
    fast = model.complete(images, known, condition, rng=2)
    monkeypatch.setitem(SAMPLERS, "auto", SAMPLERS["naive"])
    np.testing.assert_array_equal(fast, model.complete(images, known, condition, rng=2))
    np.testing.assert_array_equal(fast[known], images[known])
    sampled, log_prob = model.sample(9, condition, rng=3, method="cached", temperature=0.7, return_log_prob=True)
    np.testing.assert_allclose(log_prob, model.log_prob(sampled, condition), rtol=1e-12)


@cases(40)
def test_on_a_device(case, told, played_gpu):
    """On the strict stand-in for a GPU: each method draws what it draws here, and completes what it is given.

    By "auto" the host draws, so that it reads each weight once, and nothing else goes either way. By the naive way,
    which is the definition, the device computes; by the others one kernel draws, where there is one for the head.
    """
    host, model, rng = case.conditional(told), case.conditional(told), np.random.default_rng(0)
    images, known = rng.integers(0, case.levels, (3, *case.shape)).astype(np.uint8), rng.random(case.shape[:2]) < 0.4
    condition = model.conditions.random(3, rng)
    model.to("cuda")
    assert isinstance(SAMPLERS["auto"](model), Cached)
    wave = ["wavefront"] * (program_of(model, True)[1] is not None)
    for method in ("auto", "cached", "naive", *wave):
        with counted() as counts:
            found = drawn(model, method, 3)
        np.testing.assert_array_equal(found, drawn(host, "naive", 3))
        if method == "auto":
            assert (counts.launches, counts.to_device.copies) == (0, 0)
        if method != "naive":
            assert counts.waits == counts.to_host.copies <= 2 + len(list(model.named_arrays()))
    completed = model.complete(images, known, condition, rng=1)
    np.testing.assert_array_equal(completed, host.complete(images, known, condition, rng=1))


@pytest.mark.parametrize("name", ["diagonal-bilstm", "multi-scale"])
def test_where_no_slope_holds_the_wavefront_says_so(name):
    model = Case(name, (4, 5, 1), 2, "bernoulli").conditional("")
    with pytest.warns(UserWarning, match=f"^wavefront: no slope below 5 is causal for this {type(model).__name__}"):
        found = model.sample(5, rng=0, method="wavefront")
    np.testing.assert_array_equal(found, model.sample(5, rng=0, method="cached"))


@pytest.mark.parametrize("name", ["pixelcnn", "row-lstm", "gated"])
def test_the_wavefront_takes_fewer_steps(name):
    model = Case(name, (6, 9, 1), 2, "bernoulli").model()
    program, slope = program_of(model, True)
    assert program.schedule.moments == 9 + 5 * slope < 6 * 9
    np.testing.assert_array_equal(drawn(model, "wavefront", 3), drawn(model, "naive", 3))


@pytest.mark.parametrize(
    ("name", "variant"), [pytest.param(*kind, marks=pytest.mark.slow if kind[1] else ()) for kind in KINDS]
)
def test_weights_are_those_of_now(name, variant, monkeypatch):
    """A program is kept, its weights are not: every single one that is changed, or loaded, counts at the next draw."""
    model = Case(name, (3, 4, 3), 4, "categorical", variant).conditional("class")
    ways = all_ways(monkeypatch)
    before = {method: drawn(model, method, 6) for method in ways}
    programs_before = program_of(model, False)[0], program_of(model, True)[0]
    for parameter in model.parameters():
        parameter.data *= -1
    wanted = drawn(model, "naive", 6)
    for method in ways:
        assert (wanted != before[method]).any()
        np.testing.assert_array_equal(drawn(model, method, 6), wanted)
    model.load_state_dict(shaken(model, seed=5).state_dict())
    wanted = drawn(model, "naive", 6)
    for method in ways:
        np.testing.assert_array_equal(drawn(model, method, 6), wanted)
    assert programs_before == (program_of(model, False)[0], program_of(model, True)[0])


@pytest.mark.parametrize("name", ["pixelcnnpp", "diagonal-bilstm"])
def test_batches_larger_than_a_shard(name, monkeypatch):
    """And shards as small as the memory asks for: one image at a time, if need be."""
    model = Case(name, (2, 3, 1), 2, "bernoulli").conditional("class")
    wanted = drawn(model, "naive", 150)
    ways = all_ways(monkeypatch)
    assert all(SAMPLERS[method](model).shard_size < 150 for method in ways)
    for method in ways:
        np.testing.assert_array_equal(drawn(model, method, 150), wanted)
        np.testing.assert_array_equal(drawn(model, method, 67), wanted[:67])
    program = program_of(model, False)[0]
    monkeypatch.setattr(programs, "MEMORY", 2 * program.numbers_an_image() * 8)
    assert program.most_images("float64", 64) == 2
    np.testing.assert_array_equal(drawn(model, "cached", 15), drawn(model, "naive", 15))
    monkeypatch.setattr(programs, "MEMORY", 1)
    assert program.most_images("float64", 64) == 1


@cases(40)
def test_without_numba_the_same(case, told, monkeypatch):
    model = case.conditional(told)
    wanted = drawn(model, "auto", 5)
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    assert isinstance(SAMPLERS["auto"](model), Cached)
    np.testing.assert_array_equal(drawn(model, "auto", 5), wanted)


@mp.op(local=ops.local.pointwise(ops.local.each))
def softsign(x):
    """An op of one's own."""
    return x / (1 + abs(x)), lambda g: (g / (1 + abs(x)) ** 2,)


class OfOnesOwn(mp.models.PixelCNN):
    """A PixelCNN with an op, and a scan with taps beside its own cell alone, that the library does not have."""

    def forward(self, x, condition=None, rng=None):
        z = ops.shift_right(ops.shift_down(x))
        weight = np.random.default_rng(0).standard_normal((2, self.image_shape[2], 4 * self.image_shape[2]))
        gates = ops.concat(ops.concat(z, z), ops.concat(z, z))
        states = ops.lstm_scan(gates, weight, None, None, taps=(-2, 1))
        return super().forward(ops.add(x, softsign(ops.shift_down(states))), condition, rng)


class Flipped(Bernoulli):
    """A head of one's own: the other end of the same CDF."""

    name = "flipped"

    def draw(self, parameters, pixel, channel, uniforms, temperature):
        return 1 - super().draw(-parameters, pixel, channel, uniforms, temperature)


@pytest.mark.parametrize("shape", [(5, 7, 1), (4, 7, 3)])
def test_an_op_and_a_scan_of_ones_own(shape):
    model = shaken(OfOnesOwn(shape, 2, hidden=6, blocks=1, dtype="float64"))
    assert isinstance(SAMPLERS["auto"](model), Cached)
    assert program_of(model, True)[1] is not None
    mp.assert_causal(model)
    for method in ("cached", "auto"):
        np.testing.assert_array_equal(drawn(model, method, 7), drawn(model, "naive", 7))


@pytest.mark.parametrize("shape", [(5, 4, 1), (3, 4, 3)])
def test_a_head_of_ones_own(shape):
    model = Case("gated", shape, 2, "bernoulli").conditional("class")
    plain = drawn(model, "naive", 7)
    model.head = Flipped(shape[2], 2, 1)
    assert isinstance(SAMPLERS["auto"](model), machine.Machine) or not numba_enabled()
    wanted = drawn(model, "naive", 7)
    assert (wanted != plain).any()
    for method in ("cached", "auto"):
        np.testing.assert_array_equal(drawn(model, method, 7), wanted)


def test_a_model_that_leaks_is_not_drawn_from():
    """The naive sampler draws from anything; the others ask for a proof."""
    model = Case("pixelcnn", (3, 3, 1), 2, "bernoulli").model()
    model.stem.mask = np.ones_like(model.stem.mask)
    assert model.sample(2, rng=0, method="naive").shape == (2, 3, 3, 1)
    for method in ("cached", "wavefront", "auto"):
        with pytest.raises(mp.CausalityError):
            model.sample(2, rng=0, method=method)


class WithAShutImage(mp.models.PixelCNN):
    """A PixelCNN that adds a 1x1 of the grey image under mask A, which shuts all of it: only the bias is left."""

    def forward(self, x, condition=None, rng=None):
        weight, bias = np.ones((1, 1), self.dtype), np.full(1, 0.3, self.dtype)
        return super().forward(x, condition, rng) + ops.linear(x, weight, bias, mask=np.zeros((1, 1), bool))


@pytest.mark.parametrize("executor", [Cached, machine.Machine] if numba_enabled() else [Cached])
def test_a_layer_that_reads_no_channel_of_one(executor):
    model = WithAShutImage((3, 4, 1), 2, hidden=4, blocks=1, dtype="float64")
    shape, uniforms = (5, 3, 4, 1), np.random.default_rng(0).random((5, 3, 4, 1))
    task = uniforms, None, 1.0, np.zeros(shape, np.uint8), np.zeros(shape[:3], bool)
    drawn = executor(program_of(model, False)[0], model)(*task)
    np.testing.assert_array_equal(drawn, Naive(model)(*task))
