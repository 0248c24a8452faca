"""Of a tower of residual blocks every second map is kept for the way back; the others are computed once more."""

import numpy as np
import pytest

import minipixel as mp


def kept_maps(model, N=4):
    """How many whole maps of 2 * hidden channels live from the way there to the way back."""
    table = mp.plan.table_of(model, N)
    turn = int(table.forward[-1, 1])
    buffers = {id(b): b for line in table.code for b in line.touched()}.values()
    features = model.features
    return sum(b.first < turn <= b.last for b in buffers if (b.K, b.ring) == (features, 0))


@pytest.mark.parametrize("model", [mp.models.PixelCNN, mp.models.RowLSTM])
@pytest.mark.parametrize("depth", [3, 6, 9])
def test_every_second_residual_map_is_kept(model, depth):
    size = {"blocks": depth} if model is mp.models.PixelCNN else {"layers": depth}
    image_shape, levels = (6, 6, 1), 2
    kept = kept_maps(model(image_shape, levels, hidden=12, **size))
    assert depth // 2 + 1 <= kept <= depth // 2 + 3, kept  # and the first and last maps, and one of the top


def test_what_is_computed_again_has_the_bits_of_what_is_kept(monkeypatch):
    images = np.random.default_rng(0).integers(0, 2, (5, 6, 6, 1))

    def gradients(kind):
        model = kind((6, 6, 1), 2, hidden=12, rng=1)
        return model.value_and_gradients(images)[1]

    kinds = (mp.models.PixelCNN, mp.models.RowLSTM)
    again = [gradients(kind) for kind in kinds]
    monkeypatch.setattr("minipixel.plan.groups._is_cheap", lambda value: False)
    for kind, found in zip(kinds, again, strict=True):
        kept = gradients(kind)
        assert all(np.array_equal(found[name], kept[name]) for name in kept)
