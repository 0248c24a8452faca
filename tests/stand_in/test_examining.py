"""The sanitizers find deliberately wrong kernels, and nothing in right ones."""

import numpy as np
import pytest
from model_table import KINDS, SMALL, Case
from stand_in.sources import MISTAKES, ROWS

from minipixel.stand_in import KernelError, device, examined, threads_in_a_block, to_device_array
from minipixel.tensor import gradients

RIGHT = "__syncthreads();"


def sum_rows(barrier=RIGHT, columns=9, told=None, grid=2, shared=None):
    x = np.random.default_rng(0).normal(size=(5, columns))
    sums, there = device.zeros(5), to_device_array(x)
    module = device.RawModule(code=ROWS, options=("-DREAL=double", f"-DBARRIER={barrier}"))
    given = there, sums, np.int32(5), np.int32(told or columns)
    module.get_function("sum_of_rows")((grid,), (64,), given, shared_mem=8 * columns if shared is None else shared)
    np.testing.assert_allclose(sums.get(), x.sum(1), rtol=1e-13)
    np.testing.assert_array_equal(there.get(), x)


@pytest.mark.parametrize("what", ["memory", "threads"])
def test_nothing_is_found_in_a_right_kernel(what):
    with examined(what, threads=3):
        sum_rows()


def test_a_missing_barrier():
    with examined("threads", threads=3), pytest.raises(KernelError, match=r"data race .*source\.cu:.* in sum_of_rows"):
        sum_rows(barrier="")


def test_shared_memory_that_is_too_small():
    with examined("memory", threads=3), pytest.raises(RuntimeError, match="outside its 64 bytes of shared memory"):
        sum_rows(shared=64)


WRONG = {
    "between_blocks": ("threads", "data race"),
    "write_behind": ("memory", "heap-buffer-overflow"),
    "read_before": ("memory", "heap-buffer-overflow"),
    "overflow": ("memory", "signed integer overflow"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_kernels(name):
    what, message = WRONG[name]
    kernel = device.RawModule(code=MISTAKES).get_function(name)
    with examined(what, threads=2), pytest.raises(KernelError, match=message) as caught:
        kernel((2,), (32,), (device.zeros(8, np.int32), np.int32(8)))
    assert "\n" not in str(caught.value)
    assert name in caught.value.report


def test_views_of_one_array_stay_views_of_one_array():
    both = to_device_array(np.arange(8, dtype=np.int32))
    with examined("memory", threads=2):
        device.RawModule(code=MISTAKES).get_function("move")((1,), (4,), (both[4:], both[:4], np.int32(4)))
    assert both.tolist() == [4, 5, 6, 7, 4, 5, 6, 7]


def test_an_unknown_sanitizer():
    with pytest.raises(ValueError, match="wanted one of"), examined("speed"):
        pass


def assert_plan_agrees(name, variant, around):
    """Loss and gradients of a model by its plan, each launch one by one, equal those on the host."""
    model = Case(name, (3, 3, 1), 2, "bernoulli", variant).model()
    images = np.random.default_rng(0).integers(0, 2, (3, 3, 3, 1))
    wanted = gradients(model.loss(images), model.parameters())
    model.to("cuda")
    with around:
        found = gradients(model.loss(images), model.parameters())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.get(), b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_plans_with_real_threads(name, played_gpu):
    assert_plan_agrees(name, "", threads_in_a_block(4))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["memory", "threads"])
@pytest.mark.parametrize(("name", "variant"), KINDS)
def test_nothing_is_found_in_the_kernels_of_plans(name, variant, what, played_gpu):
    assert_plan_agrees(name, variant, examined(what, threads=4))
