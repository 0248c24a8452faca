"""In float32 sums in another order move an edge of a CDF by an ulp or so: only there may ways to draw differ."""

import numpy as np
import pytest
from draw_table import all_ways, cases, drawn
from model_table import Case

from minipixel.shards import rows


def first_differences(model, wanted, found, condition, uniforms):
    """How many images differ, each of which must differ first where its uniform lies within 1e-5 of an edge of the CDF.

    That is where the draw for a uniform 1e-5 lower is another than for one 1e-5 higher.
    """
    differing = np.flatnonzero((wanted != found).any(axis=(1, 2, 3)))
    for n in differing:
        places = np.where(wanted[n] != found[n], model.order, model.order.size)
        r, c, channel = np.unravel_index(places.argmin(), places.shape)
        told = rows(condition, slice(n, n + 1))
        parameters = model.predict(wanted[n : n + 1], told)[r, c]
        near = np.clip(uniforms[n, r, c, channel] + np.array([-1e-5, 1e-5]), 0, 1 - 2**-53)
        lower, higher = (
            model.head.draw(parameters, wanted[n : n + 1, r, c], int(channel), near[i : i + 1], 1.0)[0] for i in (0, 1)
        )
        assert lower != higher, f"image {n} differs at {(r, c, channel)}, where no edge of the CDF is near"
    return len(differing)


def check_float32(model, n, monkeypatch, record_property):
    condition = model.conditions.random(n, np.random.default_rng(0))
    uniforms = np.random.default_rng(0).random((n, *model.image_shape))
    wanted, counts = drawn(model, "naive", n), {}
    for method in all_ways(monkeypatch)[2:]:
        counts[method] = first_differences(model, wanted, drawn(model, method, n), condition, uniforms)
    record_property("images that differ", counts)
    print(f"{model.describe()}: of {n} images differ {counts}")
    assert max(counts.values()) <= n // 5


@cases(40)
def test_differences_are_at_edges(case, told, monkeypatch, record_property):
    check_float32(case.conditional(told, dtype="float32"), 20, monkeypatch, record_property)


@pytest.mark.slow
@cases(1)
def test_differences_are_at_edges_whatever_the_model(case, told, monkeypatch, record_property):
    check_float32(case.conditional(told, dtype="float32"), 64, monkeypatch, record_property)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pixelcnn", "gated", "row-lstm", "diagonal-bilstm", "multi-scale", "pixelcnnpp"])
def test_differences_are_at_edges_of_large_images(name, monkeypatch, record_property):
    """64 x 16 x 16 sub-pixels of 256 levels: enough that some of the uniforms do lie at an edge."""
    model = Case(name, (16, 16, 1), 256, "categorical").conditional("", dtype="float32")
    check_float32(model, 64, monkeypatch, record_property)


def test_what_counts_as_an_edge():
    """A level drawn wrong counts only where the uniform lies that near to where the right one would change."""
    model = Case("pixelcnn", (2, 3, 1), 2, "bernoulli").conditional("", dtype="float32")
    image, uniforms = np.zeros((1, 2, 3, 1), np.uint8), np.zeros((1, 2, 3, 1))
    logit = float(model.predict(image)[1, 2, 0, 0])
    uniforms[0, 1, 2] = 1 / (1 + np.exp(logit)) - 5e-6  # of which the right draw makes 0
    wrong = image.copy()
    wrong[0, 1, 2] = 1
    assert first_differences(model, image, image, None, uniforms) == 0
    assert first_differences(model, image, wrong, None, uniforms) == 1
    uniforms[0, 1, 2] -= 2e-5
    with pytest.raises(AssertionError, match=r"image 0 differs at \(.*1.*2.*0.*\), where no edge of the CDF is near"):
        first_differences(model, image, wrong, None, uniforms)
