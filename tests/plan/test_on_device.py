"""A plan on a device, played by the stand-in: the losses and gradients of the definition, for models drawn at random.

The stand-in builds the CUDA kernels with a C++ compiler and refuses what a GPU would not take.
"""

import shutil

import pytest
from agreement import Result, compare, exact_limit, quietly, readable, reference, result_of, weighted_loss
from drawn_models import drawn_models, families
from hypothesis import HealthCheck, given, seed, settings

from minipixel import plan, stand_in
from minipixel.plan.cuda import DeviceReady
from minipixel.stand_in import to_host

pytestmark = pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler to build the kernels")
CALM = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@pytest.fixture(autouse=True)
def gpu():
    with stand_in.installed():
        yield


def few(examples, number=0):
    return lambda test: seed(number)(settings(max_examples=examples, **CALM)(test))


def on_device(model, *batch):
    loss = weighted_loss(model, *batch)
    result = result_of(model, loss)
    return Result(result.loss, {name: to_host(g) for name, g in result.gradients.items()})


def assert_agree_on_device(drawn):
    batch = (*drawn.batch(drawn.model()), drawn.rng)
    with readable(drawn), quietly():
        wanted, model = reference(drawn.model(), *batch), drawn.model().to("cuda")
        assert isinstance(plan.ready(model, len(batch[0]), back=True), DeviceReady | None)
        for time in ("the first time", "by graphs"):
            compare(on_device(model, *batch), wanted, exact_limit, time)


@few(30)
@given(drawn_models(families(), dtypes=["float64"]))
def test_models_of_the_family_agree(drawn):
    assert_agree_on_device(drawn)


@pytest.mark.slow
@few(500, number=1)
@given(drawn_models(families(), dtypes=["float64"]))
def test_500_models_of_the_family_agree(drawn):
    assert_agree_on_device(drawn)
