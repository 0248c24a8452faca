"""The product of two matrices on the stand-in: as NumPy's, and each mistake is refused."""

import importlib

import numpy as np
import pytest

from minipixel.stand_in import counted, device, to_device_array

gemm = importlib.import_module(f"{device.__name__}.cublas").gemm
rng = np.random.default_rng(0)


def up(*shape, dtype=np.float64):
    return to_device_array(rng.normal(size=shape).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transa", "NT")
@pytest.mark.parametrize("transb", "NT")
@pytest.mark.parametrize(("alpha", "beta"), [(1, 0), (0.5, 1), (2, -0.5)])
def test_product(dtype, transa, transb, alpha, beta):
    a = up(*((3, 4) if transa == "N" else (4, 3)), dtype=dtype)
    b = up(*((4, 2) if transb == "N" else (2, 4)), dtype=dtype)
    out = up(3, 2, dtype=dtype)
    left, right = a.get() if transa == "N" else a.get().T, b.get() if transb == "N" else b.get().T
    wanted = alpha * (left @ right) + beta * out.get()
    with counted() as counts:
        assert gemm(transa, transb, a, b, out=out, alpha=alpha, beta=beta) is out
    np.testing.assert_allclose(out.get(), wanted, rtol=1e-5, atol=1e-6)
    assert counts.launches == 1
    assert (counts.waits, counts.to_device.copies, counts.to_host.copies) == (0, 0, 0)


def test_a_new_result_and_one_that_held_nothing():
    a, b = up(3, 4), up(4, 2)
    np.testing.assert_allclose(gemm("N", "N", a, b).get(), a.get() @ b.get())
    out = device.full((3, 2), device.nan)
    np.testing.assert_allclose(gemm("N", "N", a, b, out=out).get(), a.get() @ b.get())


MISTAKES = {
    "a letter": (lambda a, b, out: gemm("n", "N", a, b, out=out), ValueError),
    "the shapes": (lambda a, b, out: gemm("T", "N", a, b, out=out), ValueError),
    "a host array": (lambda a, b, out: gemm("N", "N", a.get(), b, out=out), TypeError),
    "a host array for the result": (lambda a, b, out: gemm("N", "N", a, b, out=out.get()), TypeError),
    "three dimensions": (lambda a, b, out: gemm("N", "N", a[None], b, out=out), ValueError),
    "two types": (lambda a, b, out: gemm("N", "N", a, b.astype("f"), out=out), TypeError),
    "the type of the result": (lambda a, b, out: gemm("N", "N", a, b, out=out.astype("f")), TypeError),
    "whole numbers": (lambda a, b, out: gemm("N", "N", a.astype(int), b.astype(int)), TypeError),
    "the shape of the result": (lambda a, b, out: gemm("N", "N", a, b, out=out.reshape(2, 3)), ValueError),
    "Fortran's order of the result": (lambda a, b, out: gemm("N", "N", a, b, out=out.reshape(2, 3).T), ValueError),
    "some columns": (lambda a, b, out: gemm("N", "N", up(3, 8)[:, :4], b, out=out), ValueError),
    "a device array as a number": (lambda a, b, out: gemm("N", "N", a, b, out=out, alpha=a[0, 0]), TypeError),
    "a result in an operand": (lambda a, b, out: gemm("N", "N", a, up(4, 4), out=a), ValueError),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_refused(mistake):
    call, error = MISTAKES[mistake]
    with pytest.raises(error, match=r"cublas\.gemm"):
        call(up(3, 4), up(4, 2), up(3, 2))
