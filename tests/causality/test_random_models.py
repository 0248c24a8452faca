"""No false alarm: models of sizes drawn at random are causal by every witness that can be asked of them."""

import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from random_models import assert_causal_by_all, configurations

EXAMPLES = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}

SHARP_OPTIONS = {"vertical_kernel": (1, 3), "horizontal_kernel": (2, 2), "weight_norm": False, "dropout": 0.0}
SHARP = "pixelcnnpp", (1, 2, 3), 256, {"filters": 6, "resnets": 1, "hierarchies": 2, "mixtures": 3, **SHARP_OPTIONS}
"""So narrow are its mixtures that in float32 the log-probability of some images is right to three digits only."""


@seed(0)
@settings(max_examples=10, **EXAMPLES)
@example(SHARP)
@given(configurations())
def test_a_random_model_is_causal(configuration):
    assert_causal_by_all(configuration)


@pytest.mark.slow
@seed(1)
@settings(max_examples=500, **EXAMPLES)
@given(configurations())
def test_500_random_models_are_causal(configuration):
    assert_causal_by_all(configuration)
