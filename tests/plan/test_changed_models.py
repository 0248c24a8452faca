"""A model that is changed after its first step: the next loss and its gradients are those of the changed model."""

import numpy as np
import pytest
from agreement import WAYS, compare, exact_limit, quietly, reference, reference_log_prob
from changes import CHANGES
from drawn_graphs import Graph
from drawn_models import Drawn, Family, drawn_models
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

SHAPE, TOLD = (4, 5, 1), {"num_classes": 3}
OWN = (("linear", 0, 0, 3), ("constant", 0, 0, 24), ("convolution_layer", 0, 0, 3), ("tanh", 0, 0, 0))
BEFORE = {  # models in which each of the changes changes something
    "pixelcnn": Family("pixelcnn", SHAPE, 3, {"hidden": 5, "blocks": 3, "dropout": 0.3, **TOLD}),
    "plain-pixelcnn": Family("pixelcnn", SHAPE, 2, {"hidden": 5, "blocks": 2}),
    "row-lstm": Family("row-lstm", SHAPE, 2, {"hidden": 5, "layers": 2, "learned_state": True, "skip": True}),
    "plain-row-lstm": Family("row-lstm", SHAPE, 2, {"hidden": 5, "layers": 2}),
    "diagonal-bilstm": Family("diagonal-bilstm", SHAPE, 2, {"hidden": 5, "layers": 2}),
    "gated": Family("gated", SHAPE, 2, {"filters": 5, "layers": 3}),
    "pixelcnnpp": Family("pixelcnnpp", SHAPE, 4, {"filters": 4, "resnets": 1, "mixtures": 2}),
    "multi-scale": Family("multi-scale", SHAPE, 2, {"hidden": 4, "layers": 2, "upsampled": 3}),
    "own": Graph(SHAPE, 2, OWN, {"head": "bernoulli"}),
}

QUICK = 2
"""How many models are changed in the quick suite."""

OF_ANY = [change for change in CHANGES if change.name != "another dtype"]
"""Of models at random float32 may keep no digit at all, after changes at random: that one is tried on those above."""


def applies(change, model, patch):
    """Make a change; False if there was nothing to be changed, or another one left the model without a state."""
    try:
        return change.change(model, patch) is not False
    except ValueError as error:
        if "in the place of" not in str(error):
            raise
        return False


def assert_followed(drawn, changes):
    """Loss, gradients and likelihoods after a first pass by every way, the changes, and another pass by every way.

    Returns the results of the definition, before and after, and whether anything was done.
    """
    model = drawn.model()
    for change in changes:
        change.before(model)
    batch = (*drawn.batch(model), drawn.rng)
    with quietly(), pytest.MonkeyPatch.context() as patch:
        before = reference(model, *batch)
        for way in WAYS.values():
            way(model, *batch)
        model.log_prob(*batch[:2])
        done = [change.name for change in changes if applies(change, model, patch)]
        after = reference(model, *batch)
        looser = 100 if model.dtype == "float64" else 1e7  # what is looked for is what is stale, not what is rounded
        limit = lambda *wanted: looser * exact_limit(*wanted)  # noqa: E731
        for name, way in WAYS.items():
            got = way(model, *batch)
            compare(got, after, limit, f"{name}, after {', '.join(done) or 'nothing'}")
            assert [g.dtype for g in got.gradients.values()] == [g.dtype for g in after.gradients.values()], name
        wanted = reference_log_prob(model, *batch[:2])
        np.testing.assert_allclose(model.log_prob(*batch[:2]), wanted, rtol=limit(after, None) / max(after.loss, 1))
    return before, after, done


def differ(before, after):
    """Whether a change can be told by its results, or by which weights there are."""
    if before.gradients.keys() != after.gradients.keys() or abs(before.loss - after.loss) > 1e-9:
        return True
    return any(np.abs(g - after.gradients[name]).max(initial=0) > 1e-9 for name, g in before.gradients.items())


@pytest.mark.parametrize("models", [QUICK, pytest.param(len(BEFORE), marks=pytest.mark.slow)])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_is_followed(change, models):
    """In each of the models that have something of the kind, or in so many, and there are some."""
    seen = []
    for name, made in BEFORE.items():
        before, after, done = assert_followed(Drawn(made, N=2, dropping=True, seed=1), [change])
        if done and differ(before, after):
            seen.append(name)
        if len(seen) == models:
            break
    assert seen


@seed(0)
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn_models(dtypes=["float64"]), st.lists(st.sampled_from(OF_ANY), min_size=1, max_size=3, unique=True))
def test_changes_of_any_model_are_followed(drawn, changes):
    assert_followed(drawn, changes)


@pytest.mark.slow
@seed(1)
@settings(max_examples=1000, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn_models(dtypes=["float64"]), st.lists(st.sampled_from(OF_ANY), min_size=1, max_size=3, unique=True))
def test_1000_changes_of_any_model_are_followed(drawn, changes):
    assert_followed(drawn, changes)
