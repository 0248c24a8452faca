"""Pixels that a scan does not compute hold its start state, for whoever reads them: by plan as it is written."""

import numpy as np
import pytest

import minipixel as mp
from minipixel import kernels, nn, ops

SPANS = [(1, 4), (0, 3), (2, 5), (0, 2), (1, 5)]


class Patchy(mp.models.Model):
    """A scan over parts of rows, whose learned start state the next layer sees."""

    name = "patchy"

    def __init__(self, then, dtype="float64"):
        super().__init__((5, 5, 1), 2, {}, dtype=dtype)
        self.features, self.then = 8, then
        wide, narrow = np.zeros(12, int), np.zeros(3, int)
        self.stem = nn.Conv2d(np.arange(1), wide, (3, 3), "A", self.init)
        self.weight = self.init.weight(2, 3, 12)
        self.h0, self.c0 = self.init.constant(0.3, 3), self.init.constant(-0.2, 3)
        self.look = nn.Conv2d(narrow, narrow, (3, 3), "B", self.init)
        self.out = nn.Pointwise(narrow, self.head.groups, self.init)

    def forward(self, x, condition=None, rng=None):
        h = ops.lstm_scan(self.stem(x), self.weight, self.h0, self.c0, taps=(-1, 0), spans=SPANS)
        if self.then == "a convolution":
            h = self.look(h) + h
        return self.out(ops.tanh(h) if self.then == "a function" else h)


@pytest.mark.parametrize("then", ["a product", "a convolution", "a function"])
def test_a_start_state_is_read(then):
    model, images = Patchy(then), np.random.default_rng(0).integers(2, size=(3, 5, 5, 1))
    with kernels.as_written():
        loss = model.loss(images)
        loss.backward()
    mp.plan.table_of(model, 3)  # or it is refused
    value, found = model.value_and_gradients(images)
    assert value == pytest.approx(float(loss.data), rel=1e-12)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            np.testing.assert_allclose(found[name], parameter.grad, rtol=1e-10, atol=1e-13)
