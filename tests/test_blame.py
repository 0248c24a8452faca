"""The static proof: it passes every model, refuses planted mistakes, and says in which layer they lie."""

import itertools
import re

import numpy as np
import pytest
from model_table import SMALL, Case, every_case
from mutant_table import HARMLESS, MUTANTS, Mutant
from quick import first_of_each
from wrong_masks import mask_b
from wrong_models import nothing_shifted

import minipixel as mp
from minipixel.clock import Clock, Trace, prove

CONDITIONS = {
    "class": {"num_classes": 3},
    "vector": {"condition_shape": (2,)},
    "number": {"condition_shape": ()},
    "map": {"condition_shape": "map"},
}
ODD = [((1, 1, 1), 2), ((1, 9, 1), 2), ((8, 1, 1), 2), ((7, 5, 1), 3), ((6, 9, 1), 2), ((5, 3, 3), 4), ((1, 1, 3), 2)]

PLACE = r"(\(\d+, \d+\)(?: red| green| blue)?)"
MESSAGE = re.compile(
    rf"(?P<model>\w+): sub-pixel {PLACE} is drawn from parameters that know {PLACE}( itself|, which is drawn later); "
    r"the future comes in at (?P<layers>[^:]+): at \((?P<at>\d+, \d+)\) it reads \((?P<there>\d+, \d+)\) of "
    r"(?P<source>[^;]+); look at its mask, its taps, and the shifts around it"
)


def clock_of(model):
    return Clock(Trace(model), model.head.groups, model.order)


def refusal(model):
    """The message with which the proof refuses a model."""
    with pytest.raises(mp.CausalityError) as error:
        prove(clock_of(model), type(model).__name__)
    return str(error.value)


def layers_named(message):
    """The layers that it accuses, each without the op that is meant in it, or after it."""
    names = MESSAGE.fullmatch(message)["layers"].split(" or ")
    return [re.sub(r" \(\w+\)$|^\w+ after ", "", name) for name in names]


def is_named(mutant, layers):
    guilty = mutant.guilty or mutant.at
    return any(layer == guilty or layer.startswith(f"{guilty}.") for layer in layers)


def assert_passes(model):
    """The proof holds, and so say the gradients."""
    clock = clock_of(model)
    prove(clock, type(model).__name__)
    assert clock.causal and mp.check_causality(model, images=1).ok


# --- models that are right --------------------------------------------------------------------------------------------


@every_case
def test_every_model_passes(case):
    assert_passes(case.model())


@pytest.mark.parametrize(("shape", "levels"), ODD, ids=str)
@pytest.mark.parametrize("name", SMALL)
def test_every_shape_passes(name, shape, levels):
    assert_passes(Case(name, shape, levels, None).model())


@pytest.mark.parametrize("shape", [(3, 4, 1), (2, 3, 3)], ids=str)
@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("name", SMALL)
def test_every_condition_passes(name, kind, shape):
    options = dict(CONDITIONS[kind])
    if kind == "map":
        options["condition_shape"] = (*shape[:2], 2)
    assert_passes(Case(name, shape, 2, None).model(**options))


@pytest.mark.parametrize("mutant", HARMLESS, ids=lambda mutant: mutant.id)
def test_what_leaks_nothing_passes(mutant):
    assert_passes(mutant.built())


# --- planted mistakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", first_of_each(MUTANTS, lambda mutant: mutant.mistake.__name__))
def test_a_planted_mistake_is_found_and_named(mutant):
    model = mutant.built()
    report = mp.check_causality(model)
    assert not report.ok  # a real leak, by gradients
    message = refusal(model)
    layers = layers_named(message)
    assert is_named(mutant, layers) and len(layers) <= mutant.most <= 3, message
    assert on_one_way(model, message)

    found = MESSAGE.fullmatch(message)
    assert found["model"] == type(model).__name__
    pair = found[2], found[3]
    assert pair in [tuple(map(report.describe, leak)) for leak in report.leaks]
    assert (found[4] == " itself") == (pair[0] == pair[1])


def on_one_way(model, message):
    """Whether each of the nodes that are named reads what the one before it says, if through others."""
    nodes = Trace(model).nodes
    names = MESSAGE.fullmatch(message)["layers"].split(" or ")
    named = [node for name in names for node in nodes if node.name == name]
    for before, after in itertools.pairwise(named):
        reached = {before}
        for node in nodes:
            if any(source in reached for source, _ in node.reads):
                reached.add(node)
        if after not in reached:
            return False
    return True


def test_mistakes_in_several_places_are_not_laid_on_one():
    """No start shift at all: each stream leaks by itself."""
    assert refusal(Mutant("pixelcnnpp", "", nothing_shifted).built()).endswith(
        "no single layer explains it: look for several masks, shifts or crops that let the future in"
    )


def test_the_message_in_full():
    assert refusal(Mutant("pixelcnn", "stem", mask_b).built()) == (
        "PixelCNN: sub-pixel (0, 0) is drawn from parameters that know (0, 0) itself; the future comes in at stem "
        "(conv2d): at (0, 0) it reads (0, 0) of the image; look at its mask, its taps, and the shifts around it"
    )


ONE_EACH = [next(mutant for mutant in MUTANTS if mutant.model == name) for name in SMALL]


@pytest.mark.parametrize("mutant", ONE_EACH, ids=lambda mutant: mutant.id)
def test_a_model_that_is_refused_is_drawn_by_the_naive_sampler_alone(mutant):
    model = mutant.built()
    message = re.escape(refusal(model))
    for method in ("cached", "wavefront", "auto"):
        with pytest.raises(mp.CausalityError, match=message):
            model.sample(2, rng=0, method=method)
    with pytest.raises(mp.CausalityError, match=message):
        model.complete(np.zeros((1, *model.image_shape), int), np.zeros(model.image_shape[:2], bool))
    assert model.sample(2, rng=0, method="naive").shape == (2, *model.image_shape)
