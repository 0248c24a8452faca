"""Foreign sequence models in PyTorch, right and leaky twins: each is judged rightly, and the right cause is named."""

import functools

import numpy as np
import pytest

pytest.importorskip("torch", reason="the adapter for PyTorch needs PyTorch: pip install 'minipixel[parity]'")

import torch
from causality.zoo.torch_sequences import ANIMALS, ZOO


@functools.cache
def report(animal):
    return animal.check(animal.make())


def moved(animal, reading, training):
    """[i, j]: whether output i moves with sub-pixel j, both in the order of drawing; and whether images mix.

    Each is changed alone, on six images, in float64. Nothing of the library is used.
    """
    net = animal.make().double().train(training)
    S, rng = int(np.prod(reading.shape)), np.random.default_rng(1)
    order = np.arange(S) if reading.order is None else np.asarray(reading.order)

    def outputs(flat):
        x = torch.as_tensor(flat, dtype=torch.int64 if reading.codes else torch.float64)
        torch.manual_seed(2)  # dropout falls on the same places
        with torch.no_grad():
            return reading.outputs(net, x.reshape(-1, *reading.shape)).reshape(6, S, -1)

    def drawn():
        return rng.integers(0, 4, (6, S)) if reading.codes else rng.normal(size=(6, S))

    flat, found = drawn(), np.zeros((S, S), bool)
    before = outputs(flat)
    for j in range(S):
        other = flat.copy()
        other[:, order[j]] = (flat[:, order[j]] + 1) % 4 if reading.codes else drawn()[:, 0]
        found[:, j] = ((outputs(other) - before).abs().amax((0, 2)) > 1e-11).numpy()
    mixing = False
    for n in (0, 5):
        other = flat.copy()
        other[n] = (flat[n] + 1) % 4 if reading.codes else drawn()[n]
        others = np.delete((outputs(other) - before).abs().amax((1, 2)).numpy(), n)
        mixing |= bool(others.max() > 1e-11)
    return found, mixing


@pytest.mark.parametrize(("animal", "reading"), ZOO, ids=[animal.name for animal in ANIMALS])
def test_the_table_is_true(animal, reading):
    leaks = []
    for training in (False, True):
        found, mixing = moved(animal, reading, training)
        assert found.any()  # it does look at something
        if not (animal.batch_statistics and training):
            leaks.append(bool(np.triu(found).any()) or mixing)
        else:
            assert mixing
    assert animal.causal != any(leaks)


@pytest.mark.parametrize("animal", ANIMALS, ids=[animal.name for animal in ANIMALS])
def test_the_verdict_is_right(animal):
    seen = report(animal)
    assert seen.ok == animal.causal, str(seen)
    assert bool(seen.batch_statistics) == animal.batch_statistics, str(seen)
    assert seen.undecided == animal.undecided
    assert bool(seen.why) != animal.causal and "\n" not in seen.why


def test_the_right_cause_is_named_in_nine_of_ten():
    leaky = [animal for animal in ANIMALS if not animal.causal]
    causes = {animal: report(animal).why.partition("the usual cause: ")[2] for animal in leaky}
    misses = [
        f"{animal.name}: {animal.cause!r} not in {causes[animal]!r}"
        for animal in leaky
        if animal.cause not in causes[animal]
    ]
    assert len(misses) <= len(leaky) / 10, "\n".join(misses)


def test_names_are_all_different():
    assert len({animal.name for animal in ANIMALS}) == len(ANIMALS) >= 24
