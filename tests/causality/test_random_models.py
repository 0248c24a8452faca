"""No false alarm: models of sizes drawn at random are causal by every witness that can be asked of them."""

import pytest
from hypothesis import HealthCheck, given, seed, settings
from random_models import assert_causal_by_all, configurations

EXAMPLES = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}


@seed(0)
@settings(max_examples=30, **EXAMPLES)
@given(configurations())
def test_a_random_model_is_causal(configuration):
    assert_causal_by_all(configuration)


@pytest.mark.slow
@seed(1)
@settings(max_examples=500, **EXAMPLES)
@given(configurations())
def test_500_random_models_are_causal(configuration):
    assert_causal_by_all(configuration)
