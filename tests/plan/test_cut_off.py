"""Where a model cuts off the way back, its gradients stop there: by whatever way they are asked for."""

import numpy as np
import pytest

import minipixel as mp
from minipixel import kernels, ops


def of_data(model, y):
    return mp.Tensor(y.data)


def within_no_grad(model, y):
    with mp.no_grad():
        return model.blocks[0](y, None)


def beside(model, y):
    return ops.add(ops.multiply(y.data, 2.0), y)


def of_the_data_of_a_weight(model, y):
    y = ops.linear(y, model.blocks[0].narrow.weight.data, None)
    return ops.concat(y, y)


@pytest.mark.filterwarnings("ignore:.*runs as it is written, slower:RuntimeWarning")
@pytest.mark.parametrize("cut", [of_data, within_no_grad, beside, of_the_data_of_a_weight])
def test_gradients_stop_there(cut):
    class Cut(mp.models.PixelCNN):
        def forward(self, x, condition=None, rng=None):
            return self.top(cut(self, self.stem(x)))

    model = Cut((5, 5, 1), 2, hidden=4, blocks=1, dtype="float64")
    images = np.random.default_rng(0).integers(2, size=(3, 5, 5, 1))
    with kernels.as_written():
        loss = model.loss(images)
        loss.backward()
    model.predict(images)  # within no_grad itself: that is not the model's doing
    value, found = model.value_and_gradients(images)
    assert value == pytest.approx(float(loss.data), rel=1e-12)
    for name, parameter in model.named_parameters():
        wanted = np.zeros_like(parameter.data) if parameter.grad is None else parameter.grad
        np.testing.assert_allclose(found[name], wanted, rtol=1e-10, atol=1e-13)
