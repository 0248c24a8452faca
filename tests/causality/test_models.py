"""The dependency matrix: right about causal models, loud about leaky ones."""

import numpy as np
import pytest

import minipixel as mp
from minipixel import nn
from minipixel.causality import dependencies


def pixelcnn(shape=(5, 4, 1), levels=2, **options):
    return mp.models.PixelCNN(shape, levels, **{"hidden": 24, "blocks": 2, "dtype": "float64"} | options)


def with_stem_b(model):
    """The best-known mistake: mask B where the image comes in."""
    stem = model.stem
    model.stem = nn.Conv2d(stem.groups_in, stem.groups_out, stem.kernel, "B", nn.Init(0, model.dtype))
    return model


def test_the_matrix_by_perturbation():
    """Entry [i, j] is true exactly where changing sub-pixel j changes the prediction of sub-pixel i."""
    model = pixelcnn((3, 2, 3), 3)
    S = 18
    found = np.zeros((S, S), bool)
    rng = np.random.default_rng(0)
    for _ in range(6):
        image = rng.integers(0, 3, (1, 3, 2, 3))
        base = model.predict(image)
        for j in range(S):
            changed = image.copy().reshape(-1)
            changed[j] = (changed[j] + 1) % 3
            moved = (model.predict(changed.reshape(image.shape)) != base)[:, :, 0].reshape(3, 2, 3, 3).any(axis=-1)
            found[:, j] |= moved.reshape(-1)
    np.testing.assert_array_equal(dependencies(model), found)


def test_a_leak_is_named_with_its_first_pair():
    model = with_stem_b(pixelcnn())
    report = mp.check_causality(model)
    assert not report.ok
    assert report.leaks.shape == (20, 2, 3)
    np.testing.assert_array_equal(report.leaks[0], [[0, 0, 0], [0, 0, 0]])
    assert "20 leaks, the first: (0, 0) depends on (0, 0)" in str(report)
    with pytest.raises(mp.CausalityError, match=r"sub-pixel \(0, 0\) depends on \(0, 0\) \(its own value\)") as error:
        mp.assert_causal(model)
    assert "\n" not in str(error.value)


def test_a_leaky_model_is_no_distribution():
    """The same mistake seen by enumeration: trained to copy, it gives every image a probability near 1."""
    images = np.indices((2,) * 6).reshape(6, -1).T.astype(np.uint8).reshape(-1, 2, 3, 1)
    model = with_stem_b(pixelcnn((2, 3, 1)))
    mp.fit(model, images, epochs=20, batch_size=8, progress=False, optimizer=mp.optim.Adam(0.02))
    assert np.exp(model.log_prob(images)).sum() > 7.5


def test_a_colour_that_sees_itself():
    """Groups all alike in one 1x1: red learns what green and blue are."""
    model = pixelcnn((2, 2, 3), 2)
    groups = np.zeros(48, int)
    model.top.layers[0] = nn.Pointwise(groups, groups, nn.Init(0, model.dtype))
    report = mp.check_causality(model)
    assert not report.ok
    with pytest.raises(mp.CausalityError, match=r"\(0, 0\) red depends on \(0, 0\) red"):
        mp.assert_causal(model)
    assert (report.leaks[:, 0, :2] == report.leaks[:, 1, :2]).all()  # all of them inside a pixel


def test_a_shifted_kernel_sees_a_later_pixel():
    model = pixelcnn()
    model.stem.mask = np.roll(model.stem.mask, 1, axis=1)  # every tap one column too far right
    rng = np.random.default_rng(0)  # weights that the right mask shuts are zero until something else fills them
    model.load_state_dict({name: rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
    with pytest.raises(mp.CausalityError, match=r"which is drawn later|its own value"):
        mp.assert_causal(model)


def test_too_strict_a_mask_is_blind():
    """Mask A in a 1x1 layer: no leak, but green no longer sees the red of its own pixel."""
    right, strict = pixelcnn((2, 2, 3)), pixelcnn((2, 2, 3))
    strict.top.layers[0].mask = strict.top.layers[0].groups_in[:, None] < strict.top.layers[0].groups_out
    report = mp.check_causality(strict)
    assert report.ok and mp.check_causality(right).ok
    assert len(mp.check_causality(right).blind) == 0
    assert ([0, 0, 1], [0, 0, 0]) in [tuple(map(list, pair)) for pair in report.blind.tolist()]


@pytest.mark.parametrize(("blocks", "share"), [(4, 0.132), (7, 0.249), (15, 463 / 770)])
def test_the_blind_spot_of_the_papers_model(blocks, share):
    """The bottom-centre pixel of a 28x28 image sees 13.2 % (4 blocks), 24.9 % (7), 463 of 770 (15) of its past."""
    model = mp.models.PixelCNN((28, 28, 1), 2, hidden=16, blocks=blocks)
    place = 27 * 28 + 14
    matrix = dependencies(model, images=3, outputs=[place])
    assert matrix.shape == (1, 784) and not matrix[0, place:].any()
    assert matrix[0, :place].mean() == pytest.approx(share, abs=0.0006)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"^check_causality: got a int, wanted a minipixel model, a PyTorch module"):
        mp.check_causality(3)
    with pytest.raises(ValueError, match=r"^groups: got one for a PixelCNN, wanted None; a minipixel model knows it$"):
        mp.check_causality(pixelcnn(), groups=[0, 0])
    with pytest.raises(
        ValueError, match=r"^outputs: got \[20\], wanted places in raster order, whole numbers in 0..19$"
    ):
        mp.check_causality(pixelcnn(), outputs=[20])
    with pytest.raises(ValueError, match=r"^image_shape: got \(3, 3, 1\), wanted \(5, 4, 1\)"):
        mp.check_causality(pixelcnn(), (3, 3, 1))
