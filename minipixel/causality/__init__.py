"""Proof that a model never reads what it is about to draw."""

from minipixel.causality.check import assert_causal, check_causality
from minipixel.causality.gradients import dependencies
from minipixel.causality.report import CausalityReport

__all__ = ["CausalityReport", "assert_causal", "check_causality", "dependencies"]
