"""A plan on a device, played by the stand-in: the losses and gradients of the definition, for models drawn at random.

The stand-in builds the CUDA kernels with a C++ compiler, and refuses whatever a GPU would not take.
"""

import gc
import shutil
import sys
import weakref

import numpy as np
import pytest
from agreement import (
    Result,
    assert_same_bits,
    compare,
    exact_limit,
    quietly,
    readable,
    reference,
    result_of,
    weighted_loss,
)
from drawn_models import drawn_models, families, graphs
from hypothesis import HealthCheck, given, seed, settings

import minipixel as mp
from minipixel import models, plan, stand_in
from minipixel.errors import DeviceError
from minipixel.plan import cuda
from minipixel.plan.cuda import DeviceReady
from minipixel.stand_in import to_host
from minipixel.tensor import gradients

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler to build the kernels")
CALM = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@pytest.fixture(autouse=True)
def _gpu():
    with stand_in.installed():
        yield


def few(examples, number=0):
    return lambda test: seed(number)(settings(max_examples=examples, **CALM)(test))


def on_device(model, *batch):
    result = result_of(model, weighted_loss(model, *batch))
    return Result(result.loss, {name: to_host(g) for name, g in result.gradients.items()})


def has_host_arrays(drawn):
    """Whether a drawn graph adds an array of the host to a map, which a GPU refuses."""
    try:
        drawn.model().to("cuda").loss(*drawn.batch(drawn.model())[:2])
    except DeviceError:
        return True
    return False


def assert_agree_on_device(drawn):
    batch = (*drawn.batch(drawn.model()), drawn.rng)
    with readable(drawn), quietly():
        wanted, model = reference(drawn.model(), *batch), drawn.model().to("cuda")
        assert isinstance(plan.ready(model, len(batch[0]), back=True), DeviceReady | None)
        with plan.poisoned():
            first = on_device(model, *batch)
            compare(first, wanted, exact_limit, "launch by launch")
            assert_same_bits(on_device(model, *batch), first, "as a graph")
        loss, found = model.value_and_gradients(*batch[:2], weights=batch[2], rng=batch[3])
        compare(Result(loss, {name: to_host(g) for name, g in found.items()}), wanted, exact_limit, "values")


@few(25)
@given(drawn_models(families(), dtypes=["float64"]))
def test_models_of_the_family_agree(drawn):
    assert_agree_on_device(drawn)


@few(25)
@given(drawn_models(graphs(), dtypes=["float64"]))
def test_models_of_ones_own_agree(drawn):
    with quietly():
        if has_host_arrays(drawn):
            return
    assert_agree_on_device(drawn)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [families, graphs])
def test_500_models_agree(kind):
    @few(500, number=1)
    @given(drawn_models(kind(), dtypes=["float64"]))
    def agree(drawn):
        with quietly():
            if kind is graphs and has_host_arrays(drawn):
                return
        assert_agree_on_device(drawn)

    agree()


# --- what a step costs ------------------------------------------------------------------------------------------------

SMALL = {
    "pixelcnn": {"hidden": 6, "blocks": 2, "dropout": 0.3},
    "gated": {"filters": 5, "layers": 2},
    "row-lstm": {"hidden": 6, "layers": 2},
    "diagonal-bilstm": {"hidden": 6, "layers": 2},
    "pixelcnnpp": {"filters": 4, "resnets": 1, "mixtures": 3},
}
OUTSIDE = {"pixelcnnpp": 180}
"""The most launches outside of a step's two graphs: the loss of a head and its gradient, optimizer, checks. A mixture
takes more of them than other heads."""


@pytest.mark.parametrize("name", SMALL)
def test_a_step_of_fit_waits_once_and_copies_its_batch(name, monkeypatch):
    model = models.MODELS[name]((6, 6, 1), 5, rng=0, num_classes=3, **SMALL[name]).to("cuda")
    images = np.random.default_rng(0).integers(5, size=(32, 6, 6, 1), dtype=np.uint8)
    labels = np.arange(32) % 3
    steps, training = [], sys.modules["minipixel.training.fit"]
    step = training._step

    def counted(*arguments):
        with stand_in.counted() as counts:
            result = step(*arguments)
        steps.append(counts)
        return result

    monkeypatch.setattr(training, "_step", counted)
    mp.fit(model, images, labels, epochs=1, batch_size=8, rng=0, progress=False, optimizer=mp.optim.Adam(clip_norm=1.0))
    table = plan.table_of(model, 8, dropping=model.config.get("dropout", 0) > 0)
    for counts in steps[1:]:  # the first one uploads the table's places, and is captured as a graph after it
        assert (counts.waits, counts.to_host.copies) == (1, 1)
        assert counts.to_device.copies == 2, "the images, and their classes"
        assert counts.to_device.bytes <= 8 * 36 + 8 * 3 * 4 + 64
        assert counts.graph_nodes <= 2 * len(table.rows) + 1
        assert counts.launches <= OUTSIDE.get(name, 80)


def test_training_on_a_device_is_that_on_the_host():
    images = np.random.default_rng(0).integers(5, size=(40, 6, 6, 1), dtype=np.uint8)
    found = {}
    for device in ("cpu", "cuda"):
        model = models.GatedPixelCNN((6, 6, 1), 5, filters=5, layers=2, rng=0, dtype="float64").to(device)
        history = mp.fit(model, images, epochs=2, batch_size=16, rng=0, progress=False, validation=images[:10])
        found[device] = history.history, model.state_dict()
    for name in ("loss", "val_loss", "gradient_norm"):
        np.testing.assert_allclose(found["cuda"][0][name], found["cpu"][0][name], rtol=1e-12)
    for name, weight in found["cpu"][1].items():
        np.testing.assert_allclose(found["cuda"][1][name], weight, rtol=1e-9, atol=1e-12, err_msg=name)


# --- memory -----------------------------------------------------------------------------------------------------------


def test_passes_that_overlap_have_memory_of_their_own():
    """The first pass goes back after a second one has gone there, and after the weights have changed."""
    model = models.PixelCNN((5, 5, 1), 3, hidden=4, blocks=1, rng=0, dtype="float64")
    images = np.random.default_rng(0).integers(3, size=(2, 4, 5, 5, 1))
    wanted = [reference(model, some) for some in images]
    model.to("cuda")
    losses = [model.loss(some) for some in images]
    before = [parameter.data.copy() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.data = parameter.data * 2
    model.loss(images[0])
    for parameter, data in zip(model.parameters(), before, strict=True):
        parameter.data = data
    for loss, result in zip(losses, wanted, strict=True):
        found = gradients(loss, model.parameters())
        for (name, _), g in zip(model.named_parameters(), found, strict=True):
            np.testing.assert_allclose(to_host(g), result.gradients[name], rtol=1e-10, atol=1e-12)


def test_memory_is_kept_for_a_few_batch_sizes_only():
    model = models.PixelCNN((4, 4, 1), 2, hidden=3, blocks=1, rng=0).to("cuda")
    images = np.zeros((12, 4, 4, 1), int)
    for n in (*range(1, 13), 3):
        gradients(model.loss(images[:n]), model.parameters())
    on = cuda._known[plan.table_of(model, 1)]
    assert len(on._free) == cuda.MOST_PROGRAMS
    assert all(len(programs) == 1 for programs in on._free.values())


def test_memory_goes_with_the_model():
    model = models.PixelCNN((4, 4, 1), 2, hidden=3, blocks=1, rng=0).to("cuda")
    for _ in range(2):
        gradients(model.loss(np.zeros((2, 4, 4, 1), int)), model.parameters())
    ((program,),) = cuda._known[plan.table_of(model, 2)]._free.values()
    program = weakref.ref(program)
    del model
    gc.collect()
    assert program() is None


def test_too_large_a_batch_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr("minipixel.kernels.cuda.MOST_NUMBERS", 1000)
    model = models.PixelCNN((8, 8, 1), 2, hidden=8, blocks=1, rng=0).to("cuda")
    with pytest.raises(ValueError, match=r"^cuda: got a map of [\d,]+ numbers, wanted 1,000 at the most; take a smal"):
        model.loss(np.zeros((16, 8, 8, 1), int))
