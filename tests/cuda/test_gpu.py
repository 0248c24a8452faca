"""On a real card, by `pytest -m gpu`: ops, kernels, plans and training give what the host gives.

A few rows of each table run without a card too, on the stand-in, so that these tests themselves are known to work.
"""

import contextlib

import numpy as np
import pytest
from hand_on_device import walk
from hand_tables import BUILD, Hand, Rows, agrees
from model_table import CASES, KINDS, SMALL, Case, on_the_diagonal, shaken
from op_table import TABLE, run

import minipixel as mp
from minipixel import backend, plan, stand_in
from minipixel.backend import to_cpu, to_device
from minipixel.errors import DeviceError
from minipixel.kernels import cuda, opcodes
from minipixel.plan.cuda import DeviceReady
from minipixel.stand_in.compiler import compiler

LIMITS = {"float64": 1e-10, "float32": 1e-4}
both = pytest.mark.parametrize("dtype", LIMITS)
MODELS = [case for case in CASES if on_the_diagonal(case)]
TRAINED = [
    Case(name, (2, 2, 1), 3, "categorical", variant)
    for name, variant in [*KINDS[: len(SMALL)], ("pixelcnn", "dropout")]
]


@pytest.fixture
def gpu(request):
    """The card, or the stand-in: within a test to("cuda") goes there. Returns the library."""
    if request.param == "card":
        try:
            backend.gpu()
        except (ImportError, DeviceError) as error:
            pytest.skip(str(error))
        yield backend.array_module(to_device(np.zeros(1)))
    else:
        try:
            compiler()
        except RuntimeError as error:
            pytest.skip(str(error))
        with stand_in.installed():
            yield stand_in.device


def on_a_gpu(name, rows, few):
    """All rows for the card, and a few of them for the stand-in."""
    named = [(row, getattr(row, "id", str(row))) for row in rows]
    card = [pytest.param("card", row, marks=pytest.mark.gpu, id=f"card-{i}") for row, i in named]
    host = [pytest.param("stand-in", row, id=f"stand-in-{i}") for row, i in named[:: -(-len(rows) // few)]]
    return pytest.mark.parametrize(("gpu", name), [*card, *host], indirect=["gpu"])


def near(got, wanted, limit, text=""):
    got, wanted = np.asarray(to_cpu(got), float), np.asarray(to_cpu(wanted), float)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=limit * max(1, np.abs(wanted).max(initial=0)), err_msg=text)


@both
@on_a_gpu("row", TABLE, 6)
def test_ops(gpu, row, dtype):
    inputs = row.inputs(dtype)
    value, found = run(row, [to_device(x) for x in inputs])
    wanted_value, wanted = run(row, inputs)
    assert all(backend.device_of(x) == "cuda" and x.dtype == dtype for x in [value, *found])
    for got, right in zip([value, *found], [wanted_value, *wanted], strict=True):
        near(got, right, LIMITS[dtype])


@both
@on_a_gpu("name", list(opcodes.OPCODES), 6)
def test_opcodes(gpu, name, dtype):
    """Each kernel beside the interpreter, on maps of one block and of several."""
    for shape, K, N in (([5], 3, 1), ([4, 4, 4], 17, 3), ([2, 6, 1], 16, 2), ([40] * 8, 40, 4)):
        hand = Hand(name, Rows(shape), N, np.random.default_rng((K, N)), whole=True)
        BUILD[name](hand, K)
        got = hand.seen(*hand.run(lambda *table: walk(*table, xp=gpu), dtype))
        agrees(hand, got, LIMITS[dtype], f"{name}, rows {shape}, K = {K}, N = {N}")


def images_of(case):
    images = case.every_image()
    return images[:: -(-len(images) // 24)]


@both
@on_a_gpu("case", MODELS, 6)
def test_plans_of_models(gpu, case, dtype):
    """Loss and gradients beside the host's; launched one by one, then as a graph, each time to the same bits."""
    images = images_of(case)
    weights = np.linspace(0.5, 2, len(images))
    host, there = shaken(case.model(dtype=dtype)), shaken(case.model(dtype=dtype)).to("cuda")
    wanted, wanted_g = host.value_and_gradients(images, weights=weights, rng=3)
    assert isinstance(plan.ready(there, len(images), back=True), DeviceReady)
    first, first_g = there.value_and_gradients(images, weights=weights, rng=3)
    near(first, wanted, LIMITS[dtype])
    for name, gradient in wanted_g.items():
        near(first_g[name], gradient, LIMITS[dtype], name)
    first_g = {name: to_cpu(gradient).copy() for name, gradient in first_g.items()}
    for _ in range(3):
        again, again_g = there.value_and_gradients(images, weights=weights, rng=3)
        assert again == first
        for name, gradient in first_g.items():
            np.testing.assert_array_equal(to_cpu(again_g[name]), gradient, err_msg=name)


@on_a_gpu("case", TRAINED, 2)
def test_training(gpu, case):
    """fit with averaged weights, then log p and samples, beside the host; and again, to the same bits."""
    images, trained = case.every_image(), []
    for device in ("cpu", "cuda", "cuda"):
        model = case.model().to(device)
        options = {"callbacks": [mp.callbacks.EMA(0.9)], "rng": 1, "progress": False}
        history = mp.fit(model, images, epochs=2, batch_size=18, **options)
        trained.append((history.history["loss"], model.state_dict(), model.log_prob(images), model.sample(20, rng=0)))
    (losses, weights, log_prob, samples), there, again = trained
    np.testing.assert_allclose(there[0], losses, rtol=1e-8)
    for name, weight in weights.items():
        near(there[1][name], weight, 1e-6, name)
        np.testing.assert_array_equal(to_cpu(there[1][name]), to_cpu(again[1][name]))
    near(there[2], log_prob, 1e-6)
    np.testing.assert_array_equal(there[3], samples)
    assert there[0] == again[0]


class OutOfMemoryError(MemoryError):
    """What CuPy raises, known by its name."""


@contextlib.contextmanager
def full(gpu, monkeypatch):
    """Within it there is no more memory on the GPU than was taken before."""
    if gpu is not stand_in.device:
        pool = gpu.get_default_memory_pool()
        pool.free_all_blocks()
        pool.set_limit(size=max(1, pool.used_bytes()))
        try:
            yield
        finally:
            pool.set_limit(size=0)
    else:

        def blocks(*arguments, **options):
            raise OutOfMemoryError("Out of memory allocating 1,024 bytes")

        monkeypatch.setattr(cuda.Kernels, "blocks", blocks)
        yield


@on_a_gpu("batch", [1000, 18], 2)
def test_out_of_memory_is_one_line(gpu, batch, monkeypatch):
    case = TRAINED[0]
    images, model = np.resize(case.every_image(), (batch, *case.shape)), case.model().to("cuda")
    model.value_and_gradients(images[:2])
    with full(gpu, monkeypatch), pytest.raises(MemoryError) as error:
        model.value_and_gradients(images)
    assert str(error.value).startswith(
        f"GPU: out of memory with a batch of {batch} images; try a batch of {batch // 2}"
    )
    assert "\n" not in str(error.value)
    if gpu is not stand_in.device:
        model.value_and_gradients(images)


def test_all_kinds_of_models_have_a_row():
    assert {(case.name, case.variant) for case in MODELS} == set(KINDS)
