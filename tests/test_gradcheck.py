"""The checker itself: right gradients pass to rounding, wrong ones fail, and it says where."""

import numpy as np
import pytest

from minipixel import Tensor, gradcheck, gradcheck_model, kernels, models, op, ops


@op
def cube(x, *, wrong_at=None, factor=1.0):
    """x ** 3, with a mistake on request."""

    def vjp(g):
        gradient = 3 * g * x * x
        if wrong_at is not None:
            gradient[wrong_at] *= factor
        return (gradient,)

    return x**3, vjp


X = np.linspace(-2, 2, 12).reshape(3, 4)


@pytest.mark.parametrize(("method", "limit"), [("complex", 1e-13), ("central", 1e-7)])
@pytest.mark.parametrize("directions", [None, 5])
def test_a_right_gradient(method, limit, directions):
    assert gradcheck(cube, X, method=method, directions=directions) < limit


@pytest.mark.parametrize(("method", "factor"), [("complex", 1 + 1e-8), ("central", 1 + 1e-4), ("complex", -1)])
def test_one_wrong_element(method, factor):
    with pytest.raises(AssertionError, match=rf"^gradcheck: input 0 at \(2, 1\): .* the {method} step says"):
        gradcheck(lambda x: cube(x, wrong_at=(2, 1), factor=factor), X, method=method)


def test_random_directions_notice_a_wrong_element():
    with pytest.raises(AssertionError, match="input 0 along direction 0"):
        gradcheck(lambda x: cube(x, wrong_at=(2, 1), factor=1.001), X, directions=1)


def test_an_input_that_is_not_used():
    with pytest.raises(AssertionError, match="got no gradient for input 1"):
        gradcheck(lambda x, y: cube(x), X, X)


def test_nan_never_passes():
    @op
    def nan_gradient(x):
        return x * 1.0, lambda g: (g * np.nan,)

    with pytest.raises(AssertionError):
        gradcheck(nan_gradient, X)


def test_an_unknown_method():
    with pytest.raises(ValueError, match=r"^method: got 'forward', wanted 'complex' or 'central'$"):
        gradcheck(cube, X, method="forward")
    with pytest.raises(ValueError, match=r"^method: got 'forward', wanted 'complex' or 'central'$"):
        gradcheck_model(None, None, method="forward")


def test_a_model_with_a_planted_mistake(monkeypatch):
    """The bias gradient of every 1x1 layer a thousandth too large: one number shows it."""
    model = models.PixelCNN((3, 3, 1), 2, hidden=4, blocks=1, dtype="float64")
    images = np.random.default_rng(0).integers(0, 2, (4, 3, 3, 1))
    before = model.state_dict()
    assert gradcheck_model(model, images) < 1e-12
    assert gradcheck_model(model, images, method="central") < 1e-7

    right = ops.linear.arrays

    @op
    def wrong_linear(x, weight, bias, *, mask):
        value, vjp = right(x, weight, bias, mask=mask)
        return value, lambda g: (*vjp(g)[:2], vjp(g)[2]() * 1.001)

    monkeypatch.setattr(ops, "linear", wrong_linear)
    for method in ("complex", "central"):
        with (
            kernels.as_written(),  # or the mistake would not be met by a plan
            pytest.raises(AssertionError, match=f"the weights along direction 0: backward says .* the {method} step"),
        ):
            gradcheck_model(model, images, method=method)
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])


def test_the_mean_is_a_plain_op_too():
    x = Tensor(X)
    ops.mean(x).backward()
    np.testing.assert_allclose(x.grad, np.full(X.shape, 1 / 12))
