"""Checks of causality: that no output of a model depends on the value that it predicts, or on later values."""

from minipixel.causality import of_function, of_jax, of_model, of_torch  # noqa: F401 - adapters register themselves
from minipixel.causality.check import assert_causal, check_causality
from minipixel.causality.gradients import dependencies
from minipixel.causality.perturbation import perturbed
from minipixel.causality.report import CausalityReport
from minipixel.causality.structure import structure
from minipixel.causality.subjects import subject_of
from minipixel.causality.witnesses import WITNESSES, Witness

__all__ = [
    "WITNESSES",
    "CausalityReport",
    "Witness",
    "assert_causal",
    "check_causality",
    "dependencies",
    "perturbed",
    "structure",
    "subject_of",
]
