"""gelu, softmax and layer_norm: beside PyTorch, in models trained by a plan, in the compiled sampler, with colours."""

import numpy as np
import pytest

import minipixel as mp
from minipixel import kernels, nn, ops
from minipixel.sampling import machine, program_of
from minipixel.tensor import gradients

needs_numba = pytest.mark.skipif(not kernels.numba_enabled(), reason="Numba is missing, or switched off")


class Attends(mp.models.Model):
    """A model with all three, whose weights of a softmax choose among features."""

    name = "attends"

    def __init__(self, image_shape, levels, *, colours=None, biased=True, **options):
        super().__init__(image_shape, levels, {}, **options)
        C = image_shape[2]
        self.features, self.colours = 6 * C, C if colours is None else colours
        image, wide = nn.colour_groups(C, C), nn.colour_groups(6 * C, C)
        self.stem = nn.Conv2d(image, wide, (3, 3), "A", self.init)
        self.gain = self.init.weight(6 * C, fan_in=3)
        self.bias = self.init.weight(6 * C, fan_in=3) if biased else None
        self.look = nn.Conv2d(wide, wide, (3, 3), "B", self.init)
        self.choose = nn.Pointwise(wide, wide, self.init)
        self.out = nn.Pointwise(wide, self.head.groups, self.init)

    def forward(self, x, condition=None, rng=None):
        y = ops.gelu(self.stem(x))
        y = y + self.look(ops.layer_norm(y, self.gain, self.bias, colours=self.colours, epsilon=0.01))
        y = ops.layer_norm(y, None, self.bias, colours=self.colours)
        return self.out(y + self.choose(ops.softmax(y, colours=self.colours)))


def pictures(shape, N=5):
    return np.random.default_rng(0).integers(0, 3, (N, *shape), dtype=np.uint8)


SHAPES = [(4, 3, 1), (3, 4, 3), (3, 3, 2)]


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_is_causal_and_normalised(shape, biased):
    model = Attends(shape, 3, biased=biased)
    assert mp.check_causality(model).ok
    tiny = Attends((1, 2, shape[2]), 2, dtype="float64", biased=biased)
    sizes = 1, 2, shape[2]
    every = np.indices((2,) * np.prod(sizes)).reshape(np.prod(sizes), -1).T.reshape(-1, *sizes)
    assert np.exp(tiny.log_prob(every)).sum() == pytest.approx(1, abs=1e-12)


@needs_numba
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_trains_by_a_plan(shape, biased):
    """`table_of` raises where it does not."""
    model = Attends(shape, 3, dtype="float64", biased=biased)
    table = mp.plan.table_of(model, 5).show()
    assert all(f"{name}  " in table for name in ("GELU_X", "SOFTMAX_X", "LAYER_NORM_X", "SCALE_X"))
    loss, found = model.value_and_gradients(pictures(shape))
    with mp.kernels.as_written():
        wanted_loss, wanted = model.value_and_gradients(pictures(shape))
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-8, atol=1e-10, err_msg=name)


@needs_numba
@pytest.mark.parametrize("method", ["cached", "wavefront"])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_compiled_sampler_draws_what_the_model_says(shape, biased, method):
    model = Attends(shape, 3, dtype="float64", biased=biased)
    assert machine.suits(program_of(model, wave=method == "wavefront")[0], model)
    np.testing.assert_array_equal(model.sample(6, rng=1, method=method), model.sample(6, rng=1, method="naive"))


def test_the_plain_sampler_draws_the_same(monkeypatch):
    model = Attends((3, 4, 3), 3, dtype="float64")
    wanted = model.sample(6, rng=1, method="naive")
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    np.testing.assert_array_equal(model.sample(6, rng=1, method="cached"), wanted)


def test_all_channels_together_are_a_leak_in_colour():
    report = mp.check_causality(Attends((3, 3, 3), 3, colours=1))
    assert not report.ok
    with pytest.raises(mp.CausalityError, match="red is drawn from parameters that know"):
        Attends((3, 3, 3), 3, colours=1).sample(1, rng=0)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gelu", "softmax", "layer_norm", "layer_norm-colours"])
def test_parity_with_pytorch(name):
    """Values and gradients to 1e-10; a layer_norm of colours is PyTorch's group norm of channels put in order."""
    torch = pytest.importorskip("torch")
    functional, rng, K = torch.nn.functional, np.random.default_rng(0), 6
    x, gain, bias = rng.uniform(-9, 9, (3, 4, 2, K)), rng.standard_normal(K), rng.standard_normal(K)
    order = np.argsort(np.arange(K) % 3, kind="stable")
    back = np.argsort(order)

    def grouped(x, gain, bias):
        flat = functional.group_norm(x[..., order].reshape(-1, K), 3, eps=1e-5)[:, back].reshape(x.shape)
        return flat * gain + bias

    ours, theirs = {
        "gelu": (lambda x, gain, bias: ops.gelu(x), lambda x, gain, bias: functional.gelu(x, approximate="tanh")),
        "softmax": (lambda x, gain, bias: ops.softmax(x), lambda x, gain, bias: functional.softmax(x, -1)),
        "layer_norm": (ops.layer_norm, lambda x, gain, bias: functional.layer_norm(x, (K,), gain, bias)),
        "layer_norm-colours": (lambda *x: ops.layer_norm(*x, colours=3), grouped),
    }[name]
    tensors, twins = (
        [mp.Tensor(a) for a in (x, gain, bias)],
        [torch.tensor(a, requires_grad=True) for a in (x, gain, bias)],
    )
    value, wanted = ours(*tensors), theirs(*twins)
    np.testing.assert_allclose(value.data, wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    seed = rng.standard_normal(value.shape)
    wanted.backward(torch.tensor(seed))
    for found, twin in zip(gradients(value, tensors, seed), twins, strict=True):
        if twin.grad is not None:
            np.testing.assert_allclose(found, twin.grad.numpy(), rtol=1e-10, atol=1e-10)


def test_gelu_is_near_the_form_with_erf():
    special = pytest.importorskip("scipy.special")
    x = np.linspace(-12, 12, 10_001)
    assert np.abs(ops.gelu(x) - x * special.ndtr(x)).max() < 5e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_of_any_size(dtype):
    """Nothing overflows, which would be a warning and so an error; what is sure is exact."""
    large = np.finfo(dtype).max / 4
    x = mp.Tensor(np.array([-large, -1e4, -30, 0, 30, 1e4, large], dtype))
    (slope,) = gradients(y := ops.gelu(x), [x], np.ones(7, dtype))
    np.testing.assert_array_equal(y.data[3:], x.data[3:])
    np.testing.assert_allclose(y.data[1:3], 0, atol=1e-30)
    np.testing.assert_allclose(slope, [0, 0, 0, 0.5, 1, 1, 1], atol=1e-12)
    np.testing.assert_array_equal(ops.softmax(x).data, [0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(ops.layer_norm(np.full((2, 5), 7.0, dtype), None, None), 0)  # no spread, and no NaN


@pytest.mark.parametrize("name", ["softmax", "layer_norm"])
@pytest.mark.parametrize("colours", [3, 0, -2])
def test_channels_that_are_no_multiple_of_the_colours(name, colours):
    wholes = [] if name == "softmax" else [None, None]
    with pytest.raises(ValueError, match=rf"^{name}: got 4 channels and colours={colours}, wanted K to be a multiple"):
        getattr(ops, name)(np.zeros((2, 2, 1, 4)), *wholes, colours=colours)
