"""Optimisers, against their papers' equations."""

import numpy as np
import pytest

import minipixel as mp


def one_weight(value):
    module = mp.nn.Module()
    module.w = mp.nn.Parameter(np.array(value))
    return module


def test_adam_is_algorithm_1():
    """Written out once more, with the symbols of the paper, on a few steps of made-up gradients."""
    module, adam = one_weight([1.0, -2.0, 3.0]), mp.optim.Adam(0.1, beta1=0.8, beta2=0.95, epsilon=1e-6)
    theta, m, v = np.array([1.0, -2.0, 3.0]), 0.0, 0.0
    for t, g in enumerate(np.random.default_rng(0).standard_normal((5, 3)), start=1):
        module.w.grad = g
        adam.step(module)
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        theta = theta - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-6)
        np.testing.assert_allclose(module.w.data, theta, rtol=1e-13)


def test_adam_keeps_the_dtype():
    module = one_weight(np.ones(3, np.float32))
    module.w.grad = np.ones(3, np.float32)
    adam = mp.optim.Adam()
    adam.step(module)
    assert module.w.dtype == np.float32
    assert all(array.dtype == np.float32 for array in adam.state["w"].values())


def test_a_step_without_gradients_is_refused():
    with pytest.raises(ValueError, match=r"^step: got no gradient for w, wanted one; call loss.backward\(\) first$"):
        mp.optim.Adam().step(one_weight([1.0]))


@pytest.mark.parametrize("options", [{"learning_rate": 0}, {"learning_rate": -1}, {"beta1": 1.0}, {"beta2": -0.1}])
def test_bad_settings(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"^{name}: got "):
        mp.optim.Adam(**options)
