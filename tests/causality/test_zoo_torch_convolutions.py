"""Convolutional nets of PyTorch, as strangers write them: the first call is right about each, and names the cause."""

import copy
import random
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the zoo of PyTorch needs PyTorch: pip install 'minipixel[parity]'")

from causality.zoo.torch_colour import Colours, ShiftedStreams  # noqa: E402
from causality.zoo.torch_convolutions import ROWS  # noqa: E402
from causality.zoo.torch_forwards import (  # noqa: E402
    Around,
    KeepsTheFirstBatch,
    NoiseInTraining,
    WithLabel,
    noise_by_numpy,
    noise_by_random,
    noise_of_its_own,
)
from causality.zoo.torch_grey import pixelcnn  # noqa: E402

import minipixel as mp  # noqa: E402 - not without PyTorch

ANIMALS = {animal.name: animal for animal, _ in ROWS}
READINGS = {animal.name: reading for animal, reading in ROWS}
LEAKY = [name for name, animal in ANIMALS.items() if not animal.causal and not animal.undecided]


@cache
def outcome(name):
    """(the report of an animal, or what was raised instead; whether the animal is still what it was before)."""
    animal = ANIMALS[name]
    net = animal.make()
    before = state(net)
    try:
        found = animal.check(net)
    except Exception as error:  # anything at all: the test says which animal it was
        found = error
    return found, all(torch.equal(a, b) for a, b in zip(before, state(net), strict=True))


def state(net):
    """Weights and buffers, what needs a gradient, what has one, and the mode of each module."""
    weights, modules = list(net.parameters()), list(net.modules())
    flags = [*(w.requires_grad for w in weights), *(w.grad is None for w in weights), *(m.training for m in modules)]
    return [*(value.clone() for value in net.state_dict().values()), torch.tensor(flags)]


def test_names_are_no_repeated_ones_and_there_are_enough():
    assert len(ANIMALS) == len(ROWS) >= 28
    assert 20 < len(LEAKY) < len(ROWS) - 20


@pytest.mark.parametrize("name", ANIMALS)
def test_the_first_call_is_right(name):
    animal, (found, unchanged) = ANIMALS[name], outcome(name)
    assert not isinstance(found, Exception), f"raised {type(found).__name__}: {found}"
    assert found.ok == animal.causal, str(found)
    assert bool(found.batch_statistics) == animal.batch_statistics, str(found)
    assert found.undecided == animal.undecided, str(found)
    assert unchanged, "the check has changed the model"


def test_the_right_cause_is_named_in_nine_of_ten():
    found = {name: outcome(name)[0] for name in LEAKY}
    missed = {name: getattr(report, "why", report) for name, report in found.items()}
    missed = {name: why for name, why in missed.items() if ANIMALS[name].cause not in str(why)}
    listed = "\n".join(f"{name}: wanted {ANIMALS[name].cause!r} in: {why}" for name, why in missed.items())
    assert len(missed) <= len(LEAKY) / 10, f"{len(missed)} of {len(LEAKY)} missed\n{listed}"


@pytest.mark.parametrize("name", [name for name in ANIMALS if not ANIMALS[name].undecided])
def test_the_table_is_true(name):
    """By brute force that shares nothing with the checker, in float64, with nothing left that zeros could hide."""
    animal, reading = ANIMALS[name], READINGS[name]
    net = animal.make().double()
    if reading.wake is not None:
        reading.wake(net)
    seen, late = brute_force(net.eval(), reading)
    assert seen > 1e-4, "hardly anything moves: the proof would be empty"
    if reading.rounding:
        assert 0 < late < 1e-9 * seen
    else:
        assert (late == 0) if animal.causal else (late > 1e-7 * seen), f"moved by {late}, by the past {seen}"
    if not reading.noisy:  # where images see each other in evaluation, too, that is a leak and no statistic apart
        assert batch_matters(net.train(), reading) == (animal.batch_statistics or animal.cause == "batch")


def brute_force(net, reading):
    """Each number of an image changes -> by how much outputs behind it move, and by how much any others do."""
    C, H, W = reading.shape
    order = np.arange(H * W * C).reshape(H, W, C) if reading.order is None else reading.order
    order = order // C * C if reading.joined else order
    images, seen, late = drawn(reading), 0.0, 0.0
    before = outputs(net, reading, images)
    for r, c, k in np.ndindex(H, W, C):
        changed = images.clone()
        changed[0, k, r, c] = (changed[0, k, r, c] + 1) % reading.levels if reading.levels else 0.5 - images[0, k, r, c]
        moved = np.abs(outputs(net, reading, changed) - before).max(axis=-1)
        behind = (order > order[r, c, k])[..., : moved.shape[-1]]
        seen = max(seen, moved[0][behind].max(initial=0))
        late = max(late, moved[0][~behind].max(initial=0), moved[1:].max(initial=0))
    return seen, late


def batch_matters(net, reading):
    """Whether the other images move when the first one changes."""
    images = drawn(reading)
    changed = images.clone()
    changed[0] = changed[0].flip(2)
    buffers = copy.deepcopy(net.state_dict())
    before = outputs(net, reading, images)
    net.load_state_dict(buffers)  # some are written in training
    after = outputs(net, reading, changed)
    return bool((before[1:] != after[1:]).any())


def drawn(reading):
    shape, draws = (reading.batch, *reading.shape), torch.Generator().manual_seed(1)
    if reading.levels is not None:
        return torch.randint(reading.levels, shape, generator=draws)
    return torch.rand(shape, generator=draws, dtype=torch.float64) * 2 - 1


def outputs(net, reading, images):
    """(N, H, W, C, Q), with axes of 1 for letters that the output lacks."""
    torch.manual_seed(0)
    with torch.no_grad():
        y = reading.call(net, images.clone()).clamp(min=-1e9)  # no -inf, whose differences are NaN
    missing = sorted(set("NHWCQ") - set(reading.axes))
    letters = reading.axes + "".join(missing)
    return y[(..., *[None] * len(missing))].permute(*(letters.index(letter) for letter in "NHWCQ")).numpy()


FIVE_LABELS = torch.tensor([0, 1, 2, 0, 1])
REFUSED = {
    "labels are missing": (lambda: mp.check_causality(WithLabel(), (1, 5, 6)), "call"),
    "labels for another number of images": (
        lambda: mp.check_causality(WithLabel(), (1, 5, 6), call=lambda net, x: net(x, FIVE_LABELS)),
        "batch_size",
    ),
    "a tuple": (lambda: mp.check_causality(Around(pixelcnn(), behind=lambda y: (y, y)), (1, 5, 6)), "call"),
    "two readings": (
        lambda: mp.check_causality(Colours(lambda y: y.movedim(2, 4)), (3, 4, 4)),
        "layout",
    ),
    "more colours than it takes": (lambda: mp.check_causality(pixelcnn(), (3, 5, 6)), "float32"),
    "of another size": (
        lambda: mp.check_causality(Around(torch.nn.Linear(7, 7), before=lambda x: x.flatten(1)), (1, 5, 6)),
        "float32",
    ),
    "noise in evaluation": (
        lambda: mp.check_causality(Around(pixelcnn(), before=lambda x: x + noise_of_its_own(x)), (1, 5, 6)),
        "two different",
    ),
    "not a mixture": (lambda: mp.check_causality(Colours(lambda y: y), (3, 5, 6), head="logistic_mixture"), "head"),
    "mixtures without a head": (lambda: mp.check_causality(ShiftedStreams(), (3, 4, 6)), "groups"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_call_that_cannot_be_meant_is_refused_in_one_line(mistake):
    call, way_out = REFUSED[mistake]
    with pytest.raises(ValueError, match=way_out) as error:
        call()
    assert "\n" not in str(error.value)


def test_the_generators_of_a_run_under_way_stay_their_own():
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - what layers draw from
    for noise in (noise_by_numpy, noise_by_random):
        report = mp.check_causality(NoiseInTraining(noise), (1, 5, 6))
        assert "in training mode" in str(report)  # it is repeated, so it can be asked
    assert before == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


def test_noise_that_no_seed_repeats_is_no_statistic_over_the_batch():
    report = mp.check_causality(NoiseInTraining(noise_of_its_own), (1, 5, 6))
    assert report.ok and not report.batch_statistics
    assert "not asked in training mode" in str(report)


def test_a_model_that_keeps_its_first_batch_is_judged_or_told_of_batch_size():
    """Nobody knows beforehand that it does."""
    try:
        report = mp.check_causality(KeepsTheFirstBatch("B"), (1, 5, 6))
    except ValueError as error:
        assert "batch_size" in str(error) and "\n" not in str(error)
    else:
        assert not report.ok, str(report)
