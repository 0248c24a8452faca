"""A shard that goes through the plan in several passes: the same losses and gradients as in one."""

import numpy as np
import pytest

import minipixel as mp
from minipixel.models import PixelCNN

IMAGES = np.random.default_rng(0).integers(0, 3, (7, 5, 4, 2), dtype=np.uint8)
LABELS = np.arange(7) % 3
WEIGHTS = np.linspace(0.5, 2, 7)


def found(monkeypatch, images_of_pass, workers=1, dropout=0.0):
    """The loss and all gradients of a batch of 7 images in shards of 3, with so many images per pass."""
    model = PixelCNN((5, 4, 2), 3, hidden=6, blocks=2, dropout=dropout, num_classes=3, dtype="float64", rng=0)
    monkeypatch.setattr(PixelCNN, "shard_of_batch", lambda self, N: 3)
    monkeypatch.setattr(PixelCNN, "images_of_pass", lambda self, size: images_of_pass)
    rng = 5 if dropout else None
    return model.value_and_gradients(IMAGES, LABELS, weights=WEIGHTS, rng=rng, workers=workers)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("images_of_pass", [1, 2])
def test_several_passes_give_what_one_gives(monkeypatch, images_of_pass, dropout):
    loss, gradients = found(monkeypatch, 3, dropout=dropout)
    again, others = found(monkeypatch, images_of_pass, dropout=dropout)
    assert again == pytest.approx(loss, rel=1e-12)
    for name, g in gradients.items():
        np.testing.assert_allclose(others[name], g, rtol=1e-10, atol=1e-11 * max(1, np.abs(g).max()), err_msg=name)


def test_workers_agree_to_the_bit(monkeypatch):
    loss, gradients = found(monkeypatch, 1)
    for workers in (2, 3):
        again, others = found(monkeypatch, 1, workers)
        assert again == loss
        assert all(np.array_equal(others[name], g) for name, g in gradients.items())


def test_a_trained_map_gets_the_gradients_of_all_passes(monkeypatch):
    class WithMap(PixelCNN):
        """A PixelCNN with a map of its own, which the plan takes as an input that is trained."""

        def __init__(self, **options):
            super().__init__((5, 4, 2), 3, hidden=6, blocks=1, dtype="float64", rng=0, **options)
            self.map = mp.nn.Parameter(np.random.default_rng(1).standard_normal((5, 4, 1, 2)))

        def forward(self, x, condition=None, rng=None):
            """The output for images to which the map is added."""
            return super().forward(x + self.map, condition, rng)

    monkeypatch.setattr(WithMap, "shard_of_batch", lambda self, N: 3)
    gradients = []
    for images_of_pass in (3, 1):
        monkeypatch.setattr(WithMap, "images_of_pass", lambda self, size, few=images_of_pass: few)
        gradients.append(WithMap().value_and_gradients(IMAGES)[1]["map"])
    assert np.abs(gradients[0]).max() > 1e-3
    np.testing.assert_allclose(*gradients, rtol=1e-10)
