"""The tape: what it records, what it refuses, what it lets go."""

import gc
import threading
import weakref

import numpy as np
import pytest

from minipixel import Tensor, no_grad, op, ops
from minipixel.tensor import gradients


def test_a_value_used_twice_gets_the_sum():
    x = Tensor(np.array(3.0))
    (x * x + x).backward()
    assert x.grad == 7.0


def test_backward_replaces_and_gradients_writes_nothing():
    x = Tensor(np.array(3.0))
    (2 * x).backward()
    (5 * x).backward()
    assert x.grad == 5.0
    (gradient,) = gradients(7 * x, [x])
    assert gradient == 7.0 and x.grad == 5.0


def test_depth_is_no_limit():
    x = y = Tensor(np.array(1.0))
    for _ in range(20_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1.0


def test_what_the_output_does_not_depend_on_has_no_gradient():
    x, y = Tensor(np.array(1.0)), Tensor(np.array(1.0))
    assert gradients(2 * x, [y]) == [None]


def test_gradients_of_a_value_in_the_middle():
    x = Tensor(np.array(2.0))
    y = x * x
    by_x, by_y = gradients(3 * y, [x, y])
    assert (by_x, by_y) == (12.0, 3.0)


def test_constants_are_not_differentiated():
    """A costly gradient given as a function is called only where the input is a Tensor."""
    called = []

    @op
    def product(x, y):
        return x * y, lambda g: (lambda: called.append("x") or g * y, lambda: called.append("y") or g * x)

    y = Tensor(np.array(3.0))
    product(np.array(2.0), y).backward()
    assert called == ["y"] and y.grad == 2.0


def test_a_wrong_shape_is_named():
    @op
    def careless(x, bias):
        return x + bias, lambda g: (g, g)

    output = ops.total(careless(Tensor(np.zeros((2, 3))), Tensor(np.zeros(3))))
    with pytest.raises(ValueError, match=r"^careless: .* input 1 a gradient of shape \(2, 3\), wanted \(3,\)"):
        output.backward()


def test_a_wrong_number_of_gradients_is_named():
    @op
    def forgetful(x, y):
        return x * y, lambda g: (g * y,)

    with pytest.raises(ValueError, match=r"^forgetful: its vjp gave 1 gradients, wanted 2"):
        forgetful(Tensor(np.array(1.0)), Tensor(np.array(2.0))).backward()


def test_an_error_in_a_vjp_carries_the_name_of_its_op():
    @op
    def broken(x):
        return x * 1.0, lambda g: 1 / 0

    with pytest.raises(ZeroDivisionError) as error:
        broken(Tensor(np.array(1.0))).backward()
    assert error.value.__notes__ == ["in the backward pass of broken"]


def test_backward_of_many_numbers_wants_a_seed():
    x = Tensor(np.ones(3))
    with pytest.raises(ValueError, match=r"^backward: got a multiply of shape \(3,\) and no seed"):
        (2 * x).backward()
    with pytest.raises(ValueError, match=r"^backward: got a seed of shape \(2,\), wanted \(3,\)"):
        (2 * x).backward(np.ones(2))
    (2 * x).backward(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(x.grad, [2, 4, 6])


def test_a_graph_is_used_once():
    x = Tensor(np.array(1.0))
    y = x * x
    y.backward()
    with pytest.raises(ValueError, match=r"^backward: this graph has been used"):
        y.backward()


def test_memory_is_freed_by_backward():
    """What an op kept for its backward pass is let go, though the loss itself is still held."""
    x = Tensor(np.ones(4))
    middle = ops.exp(x)
    kept = weakref.ref(middle.vjp)
    loss = ops.total(middle * 2.0)
    del middle
    assert kept() is not None
    loss.backward()
    gc.collect()
    assert kept() is None


def test_no_grad_is_for_this_thread_alone():
    x = Tensor(np.array(1.0))
    inputs = []
    with no_grad():
        inputs.append((x * 2).inputs)
        thread = threading.Thread(target=lambda: inputs.append((x * 2).inputs))
        thread.start()
        thread.join()
    inputs.append((x * 2).inputs)
    assert [len(i) for i in inputs] == [0, 2, 2]


def test_no_grad_ends_with_an_error():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (Tensor(np.array(1.0)) * 2).inputs


def test_a_numpy_array_on_the_left():
    x = Tensor(np.array([1.0, 2.0]))
    y = np.array([3.0, 4.0]) * x
    assert isinstance(y, Tensor) and y.shape == (2,)
