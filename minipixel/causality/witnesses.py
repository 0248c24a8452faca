"""Witnesses: independent ways to find out whether a model is causal. Each reports one line, and relies on no other.

A single witness may miss a mistake: gradients miss a leak through a dead rectifier, the clock one between two images of
a batch, and all witnesses that never draw one in the sampler. Together they are much harder to fool.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.causality import perturbation as perturb
from minipixel.causality.gradients import dependencies
from minipixel.causality.replay import replayed
from minipixel.causality.structure import structure
from minipixel.causality.subjects import subject_of
from minipixel.clock import Clock, prove
from minipixel.errors import CausalityError
from minipixel.heads import level_dtype
from minipixel.models import Model
from minipixel.shards import rows

METHODS = ("naive", "cached", "wavefront")
MOST_IMAGES = 2**16
"""How many images enumeration writes down at the most."""


@dataclass(frozen=True)
class Witness:
    """The result of one witness: its name, whether it found the model causal, and one line on what it did and saw.

    `holds` is None if the witness could not be asked; then the line says why.
    """

    name: str
    holds: bool | None
    line: str

    def __str__(self) -> str:
        return f"{self.name}: {self.line}"


def gradients(
    thing: Any, *, images: int = 4, outputs: Sequence[int] | np.ndarray | None = None, rng: Any = 0
) -> Witness:
    """The gradient of each output with respect to itself and to everything later is exactly zero."""
    subject = subject_of(thing)
    matrix = dependencies(subject, images=images, outputs=outputs, rng=rng)
    late = int((matrix & ~earlier(subject.order, outputs)).sum())
    tried = f"{len(matrix):,} outputs on {images} images"
    return Witness("gradients", not late, f"{tried}, {late:,} of them not zero where they have to be")


def reads(model: Model, *, outputs: Sequence[int] | np.ndarray | None = None) -> Witness:
    """No output reads itself or anything later, through any path, whatever the weights are."""
    late = int((structure(model, outputs=outputs) & ~earlier(model.order, outputs)).sum())
    return Witness("structure", not late, f"{late:,} pairs in which an output can see itself or what is drawn later")


def proof(model: Model, clock: Clock | None = None) -> Witness:
    """Every parameter is known before its sub-pixel is drawn; else the line names the layer with the mistake."""
    try:
        prove(Clock.of(model) if clock is None else clock, type(model).__name__)
    except CausalityError as error:
        return Witness("clock", False, str(error).partition("; ")[2])
    return Witness("clock", True, "every parameter is known before its sub-pixel is drawn")


def perturbation(thing: Any, *, images: int = 1, inputs: Sequence[int] | None = None, rng: Any = 0) -> Witness:
    """When one sub-pixel is changed by a lot, all outputs up to it stay the same to the bit, also in training mode."""
    subject = subject_of(thing)
    count = subject.size if inputs is None else len(inputs)
    found = {
        mode: perturb.perturbed(subject, images=images, inputs=inputs, rng=rng, seed=seed) & ~earlier(subject.order)
        for mode, seed in modes(subject)
    }
    late = {mode: int(matrix.sum()) for mode, matrix in found.items()}
    told = " and ".join(f"{number:,}{mode}" for mode, number in late.items())
    return Witness(
        "perturbation",
        not any(late.values()),
        f"{count:,} sub-pixels changed on {images} image{'s' * (images > 1)}, one at a time: {told} outputs moved that "
        "must not",
    )


def batch(thing: Any, *, images: int = 4, rng: Any = 0) -> Witness:
    """No image depends on another one of its batch, in evaluation or in training mode."""
    subject = subject_of(thing)
    mixing = [mode for mode, seed in modes(subject) if perturb.strangers(subject, images=images, rng=rng, seed=seed)]
    return batch_verdict(mixing)


def batch_verdict(mixing: list[str]) -> Witness:
    """The result for the modes in which images depend on each other."""
    if not mixing:
        return Witness("batch", True, "no image sees another one of its batch")
    return Witness("batch", False, f"the output of an image depends on another image of its batch{mixing[0]}")


def enumeration(model: Model) -> Witness:
    """The probabilities of all possible images sum to 1, as they must for any causal model.

    Raises ValueError for a model with more than MOST_IMAGES possible images.
    """
    S, Q = int(np.prod(model.image_shape)), model.levels
    if S * np.log(Q) > np.log(MOST_IMAGES) + 1e-9:
        raise ValueError(
            f"enumeration: got images of {S} sub-pixels with {Q} levels, {Q}**{S} of them, wanted "
            f"{MOST_IMAGES:,} at the most; make the same model for smaller images, or of fewer levels"
        )
    images = np.array(list(itertools.product(range(Q), repeat=S)), level_dtype(Q)).reshape(-1, *model.image_shape)
    condition = model.conditions.random(1, np.random.default_rng(0))
    told = rows(condition, np.zeros(len(images), int))
    total = float(np.exp(model.log_prob(images, told)).sum())
    tolerance = 1e-9 if model.dtype == "float64" else 1e-4
    return Witness(
        "enumeration", abs(total - 1) < tolerance, f"the probabilities of all {len(images):,} images sum to {total:.9f}"
    )


def replay(model: Model, n: int = 4, *, methods: Sequence[str] = METHODS, rng: Any = 0) -> Witness:
    """The log-probability that is summed while sampling equals the `log_prob` of the finished image.

    The two are compared up to rounding, since their sums have another order, and in float64 whatever the model's dtype,
    because sharp mixtures of 256 levels have only three exact digits in float32.
    """
    model, tolerance = _in_float64(model), 1e-9 * np.sqrt(np.prod(model.image_shape))
    holds, told = True, []
    for method in methods:
        try:
            gathered, finished = replayed(model, n, method, rng)
        except CausalityError:
            holds = False
            told.append(f"{method} refuses, since the proof fails")
            continue
        furthest = float(np.abs(gathered - finished).max())
        holds &= furthest <= tolerance
        told.append(f"{method} {furthest:.1e}")
    return Witness(
        "replay", holds, f"{n} samples, nats between drawing and scoring them at the most: {', '.join(told)}"
    )


def _in_float64(model: Model) -> Model:
    """The model, or a copy of it, that computes in float64."""
    if model.dtype == "float32":
        model = copy.deepcopy(model)
        model.dtype = "float64"
        for parameter in model.parameters():
            parameter.retype("float64")
    return model


def modes(subject: Any) -> list[tuple[str, int | None]]:
    """The modes in which to try a subject: words for each, and the seed. Training mode only if it is different."""
    found: list[tuple[str, int | None]] = [("", None)]
    return found + [(" in training mode", perturb.SEED)] * differs_in_training(subject)


def differs_in_training(subject: Any) -> bool:
    """Whether a subject has a training mode with other outputs."""
    if not subject.trains:
        return False
    draws = np.random.default_rng(0)
    images = np.stack([subject.random_image(draws) for _ in range(2)])
    context = subject.context(draws)
    evaluated, trained = (subject.parameters(images, context, seed) for seed in (None, perturb.SEED))
    return bool(perturb.differ(evaluated, trained).any())


def repeats(subject: Any, seed: int) -> bool:
    """Whether equal images give equal outputs in training mode with the same seed."""
    draws = np.random.default_rng(0)
    images = np.stack([subject.random_image(draws) for _ in range(2)])
    context = subject.context(draws)
    first, again = (subject.parameters(images, context, seed) for _ in range(2))
    return not perturb.differ(first, again).any()


def earlier(order: np.ndarray, outputs: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """[i, j]: whether sub-pixel j is drawn before output i, (rows, S)."""
    place = order.ravel()
    rows = place if outputs is None else place[np.asarray(outputs)]
    return place[None, :] < rows[:, None]


# The witnesses that need no more than a minipixel model, by name.
WITNESSES: dict[str, Callable[[Model], Witness]] = {
    "gradients": gradients,
    "structure": reads,
    "clock": proof,
    "perturbation": perturbation,
    "batch": batch,
    "enumeration": enumeration,
    "replay": replay,
}
