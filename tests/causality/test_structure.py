"""The matrix without values: what gradients find, and what a dead unit hides from them."""

import numpy as np
import pytest
from model_table import WIDE, diagonal, every_case

import minipixel as mp
from minipixel.causality import dependencies, structure


@every_case
def test_all_that_gradients_find_and_nothing_more(case):
    model = case.model(**WIDE[case.name])
    np.testing.assert_array_equal(structure(model), dependencies(model))


@diagonal
def test_a_superset_where_units_are_few(case):
    model = case.model()
    assert (dependencies(model, images=1) <= structure(model)).all()


@pytest.mark.parametrize("model", [mp.models.PixelCNN, mp.models.GatedPixelCNN, mp.models.DiagonalBiLSTM])
def test_larger_images(model):
    """Wider than the kernels, and more sub-pixels than are followed at a time."""
    grey = model((11, 9, 1), 2)
    np.testing.assert_array_equal(structure(grey), dependencies(grey))
    colour = model((20, 18, 3), 2)
    rows = [0, 500, 1079]
    np.testing.assert_array_equal(structure(colour, outputs=rows), structure(colour)[rows])
    np.testing.assert_array_equal(structure(colour, outputs=rows), dependencies(colour, outputs=rows))


def test_dead_units_hide_nothing():
    """All rectifiers dead, and weights of zero: no gradient sees the leak, and the check finds it."""
    model = mp.models.PixelCNN((4, 3, 1), 2, hidden=4, blocks=1)
    stem = model.stem
    model.stem = mp.nn.Conv2d(stem.groups_in, stem.groups_out, stem.kernel, "B", mp.nn.Init(0, model.dtype))
    model.load_state_dict({name: np.zeros_like(weights) for name, weights in model.state_dict().items()})
    assert not dependencies(model).any() and np.diag(structure(model)).all()
    report = mp.check_causality(model)
    assert len(report.leaks) == 12
    assert {w.name: w.holds for w in report.witnesses} == {
        **{"structure": False, "clock": False},
        **{"perturbation": True, "batch": True, "gradients": None},
    }
    with pytest.raises(
        mp.CausalityError, match=r"\(its own value\); 12 .*the future comes in at stem \(conv2d\).*mask B"
    ):
        mp.assert_causal(model)
