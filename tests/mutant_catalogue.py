"""Every planted mistake there is, and what each witness says of it: a row buys the check in causality/test_mutants.py.

Those of mutant_table.py, which the clock must name, and those that the clock need not see at all: statistics, hidden
gradients, likelihoods, samplers. What walks through all images, or draws some, does so on small ones.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import wrong_heads as heads
import wrong_samplers as samplers
import wrong_statistics as hidden
from mutant_table import IN_COLOUR, MUTANTS, SMALL
from pytest import MonkeyPatch

from minipixel import models
from minipixel.causality import replay as replaying
from minipixel.causality import witnesses
from minipixel.causality.witnesses import METHODS, Witness, batch, enumeration, gradients, perturbation, proof, reads
from minipixel.tensor import Tensor

WITNESSES = ("structure", "clock", "gradients", "perturbation", "batch", "enumeration", "replay", "drawing")
FEW = {1: (3, 3, 1), 3: (2, 2, 3)}  # 512 images of two levels, or 4096
GREY3, RGB3 = (2, 2, 1), (1, 2, 3)
MIXED = {"head": "logistic_mixture", "mixtures": 2}


@dataclass(frozen=True)
class Planted:
    """A mistake: where it belongs, what it is called, the broken model, and the same for `few` images.

    `sampler` is drawn with in place of the class that it is derived from.
    """

    family: str
    name: str
    built: Callable
    few: Callable
    sampler: type | None = None

    @property
    def id(self):
        return f"{self.family}: {self.name}"


@dataclass(frozen=True)
class Recipe:
    """How to build a model with a mistake in it: the mistake comes after random weights, unless they stay `fresh`."""

    model: str
    mistake: Callable
    levels: int = 2
    options: dict = field(default_factory=dict)
    scale: float = 0.2
    fresh: bool = False

    def __call__(self, shape):
        options = SMALL[self.model] | {"dtype": "float64"} | self.options
        model = models.MODELS[self.model](shape, self.levels, **options)
        if not self.fresh:
            rng = np.random.default_rng(0)
            model.load_state_dict({name: rng.normal(0, self.scale, w.shape) for name, w in model.state_dict().items()})
        self.mistake(model)
        return model


def planted(family, mistake, model="pixelcnn", shape=(4, 3, 1), few=None, sampler=None, **recipe):
    """A row of the catalogue from a function that breaks a model."""
    build = Recipe(model, mistake, **recipe)
    return Planted(
        *(family, (sampler or mistake).__name__),
        functools.partial(build, shape),
        functools.partial(build, few or shape),
        sampler,
    )


def nothing(model):
    """The model stays as it is."""


def in_the_graph(mutant):
    """A row of mutant_table.py."""
    smaller = dataclasses.replace(mutant, shape=FEW[mutant.shape[2]])
    kind = "grey" if mutant.shape[2] == 1 else "colour"
    at = f" in {mutant.at}" if mutant.at else ""
    told = "".join(f", {name} {value}" for name, value in mutant.options.items() if name != "hidden")
    family = models.MODELS[mutant.model].__name__
    return Planted(family, f"{mutant.mistake.__name__}{at}, {kind}{told}", mutant.built, smaller.built)


HIDDEN = [
    planted("normalisation", hidden.batch_normalisation),
    planted("normalisation", hidden.batch_normalisation_in_training),
    planted("normalisation", hidden.normalised_over_the_batch),
    planted("normalisation", hidden.instance_normalisation),
    planted("normalisation", hidden.layer_normalisation_over_colours, shape=(2, 2, 3)),
    planted("normalisation", hidden.running_mean_of_the_image),
    planted("hidden", hidden.leak_without_a_gradient),
    planted("hidden", hidden.leak_that_an_op_does_not_tell),
    planted("hidden", hidden.leak_in_training_mode),
    planted("hidden", hidden.mask_b_behind_a_dead_rectifier),
    planted("hidden", hidden.mask_that_is_never_applied, fresh=True),
    planted("hidden", hidden.mask_that_is_never_applied_after_a_step, fresh=True),
    planted("hidden", hidden.mask_that_wakes_up_after_a_step, fresh=True),
    planted("hidden", hidden.gate_of_alternate_channels_in_one_layer, "gated", (2, 2, 3)),
]
LIKELIHOOD = [
    planted("likelihood", heads.edges_without_tails, shape=GREY3, levels=3, options=MIXED),
    planted("likelihood", heads.tails_at_the_wrong_ends, shape=GREY3, levels=3, options=MIXED),
    planted("likelihood", heads.density_times_width, shape=GREY3, levels=3, options=MIXED),
    planted("likelihood", heads.bins_of_one_qth, shape=GREY3, levels=3, options=MIXED),
    planted("likelihood", heads.mass_plus_epsilon, shape=GREY3, levels=3, options=MIXED),
    planted("likelihood", heads.weights_left_as_logits, shape=GREY3, levels=3, options=MIXED),
    planted("likelihood", heads.mixture_summed_before_its_channels, shape=RGB3, levels=3, options=MIXED),
    planted("likelihood", heads.softmax_over_all_colours, shape=RGB3, levels=3),
    planted("likelihood", heads.levels_before_colours, shape=RGB3, levels=3),
    planted("likelihood", heads.one_level_off, shape=GREY3, levels=3),
    planted("likelihood", heads.only_ones_counted),
    planted("likelihood", heads.ones_for_zeros),
    planted("likelihood", heads.small_pixels_counted_twice, "multi-scale", (3, 3, 1)),
    planted("likelihood", heads.first_pixel_left_out),
]
SAMPLERS = [
    planted("sampler", nothing, sampler=samplers.ReadsTooEarly),
    planted("sampler", nothing, "gated", sampler=samplers.SkipsAValue),
    planted("sampler", nothing, sampler=samplers.ForgetsToWriteBack),
    planted("sampler", nothing, "row-lstm", sampler=samplers.WritesOnePixelFurther),
    planted("sampler", nothing, shape=(2, 2, 3), sampler=samplers.WritesTheFirstColour, options=IN_COLOUR),
    planted("sampler", nothing, "pixelcnnpp", (2, 2, 1), levels=3, options=MIXED, sampler=samplers.OffTheGrid),
    planted("sampler", nothing, sampler=samplers.ScalesByQ),
    planted(
        *("sampler", nothing, "pixelcnn", (1, 2, 1)),
        levels=256,
        options=IN_COLOUR | {"dtype": "float32"},
        sampler=samplers.Truncates,
    ),
    planted("sampler", nothing, "row-lstm", sampler=samplers.ForgetsStartStates, options={"learned_state": True}),
    planted("sampler", nothing, "gated", sampler=samplers.ForgetsConditions, options={"num_classes": 3}),
    planted("sampler", nothing, shape=(2, 2, 3), sampler=samplers.AllColoursAtOnce),
    planted("sampler", nothing, sampler=samplers.ColumnByColumn),
    planted("sampler", nothing, sampler=samplers.OneImageForAll),
]
CATALOGUE = [in_the_graph(mutant) for mutant in MUTANTS] + HIDDEN + LIKELIHOOD + SAMPLERS


# --- the witnesses ----------------------------------------------------------------------------------------------------


def replay(model, sampler, proved):
    """By every sampler that takes the model: a refusal is the clock's word, not that of a replay."""
    with MonkeyPatch.context() as patch:
        if sampler is not None:
            patch.setattr(replaying, sampler.__mro__[-3].__name__, sampler)
        return witnesses.replay(model, 16 if sampler else 4, methods=METHODS if proved else METHODS[:1])


def drawing(model, n=600):
    """Of n uniforms evenly spread over [0, 1), each level gets the share that `log_prob` gives it, at every sub-pixel.

    The last of the witnesses, and the only one that asks whether a head draws from the distribution that it scores.
    """
    rng = np.random.default_rng(0)
    image = rng.integers(0, model.levels, (1, *model.image_shape))
    condition = model.conditions.random(1, rng)
    uniforms, furthest = (np.arange(n) + 0.5) / n, 0.0
    for r, c, channel in np.ndindex(model.image_shape):
        parameters = model.predict(image, condition)[r, c]
        levels = np.repeat(image[:, r, c], model.levels, axis=0)
        levels[:, channel] = np.arange(model.levels)
        rows = Tensor(np.repeat(parameters, model.levels, axis=0)[None, None])
        wanted = np.exp(model.head.log_prob(rows, levels[None, None]).data[0, 0, :, channel])
        drawn = model.head.draw(
            np.repeat(parameters, n, axis=0), np.repeat(image[:, r, c], n, axis=0), channel, uniforms, 1.0
        )
        share = np.bincount(drawn, minlength=model.levels) / n
        furthest = max(furthest, float(np.abs(share - wanted).max()))
    return Witness("drawing", furthest < 1.5 / n, f"shares of {n} draws are up to {furthest:.1e} from probabilities")


@functools.cache
def verdicts(mutant):
    """What each of WITNESSES says of a mutant: True if it is caught, False if not, None if it cannot be asked."""
    model, small = mutant.built(), mutant.few()
    asked = {
        "structure": lambda: reads(model),
        "clock": lambda: proof(model),
        "gradients": lambda: gradients(model, images=2),
        "perturbation": lambda: perturbation(model),
        "batch": lambda: batch(model),
        "enumeration": lambda: enumeration(small),
        "replay": lambda: replay(small, mutant.sampler, found["clock"] is False),
        "drawing": lambda: drawing(small),
    }
    found = {}
    for name in WITNESSES:
        found[name] = None
        with contextlib.suppress(ValueError):  # an op does not say what it reads
            found[name] = not asked[name]().holds
    return found
