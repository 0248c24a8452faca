"""Any number of channels, 1 to 64: what the table of models does not say, and numbers that it does not have.

The table (tests/model_table.py) tries 1 to 4 channels; here are 5, 17 and 64, and what is refused.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from model_table import SMALL, WIDE, Case, shaken
from PIL import Image

import minipixel as mp
from minipixel.cli import main
from minipixel.heads import HEADS
from minipixel.nn.init import BLANK

M = mp.models
RNG = np.random.default_rng(0)


def a_model(name, C, head, shape=(3, 3), Q=2, **options):
    wide = {"filters": max(2 * C, 6)} if name in ("gated", "pixelcnnpp") else {"hidden": max(2 * C, 6)}
    return shaken(Case(name, (*shape, C), Q, head).model(**(wide | options)), scale=0.2)


CROSS = [
    pytest.param(name, C, head, Q, marks=() if (i + j) % 4 == 0 and C == 5 else pytest.mark.slow)
    for i, name in enumerate(SMALL)
    for j, head in enumerate(HEADS)
    for C in (5, 17)
    for Q in ((2,) if head == "bernoulli" else (3,))
]


@pytest.mark.parametrize(("name", "C", "head", "Q"), CROSS)
def test_five_and_seventeen(name, C, head, Q, tmp_path):
    """Causal by all witnesses, cached = naive, saved = loaded, by its plan as it is written."""
    model = a_model(name, C, head, Q=Q)
    mp.assert_causal(model)
    naive = model.sample(2, rng=1, method="naive")
    for method in ("cached", "auto"):
        np.testing.assert_array_equal(model.sample(2, rng=1, method=method), naive)
    known = np.indices((3, 3))[0] < 1
    completed = model.complete(naive, known, rng=2)
    np.testing.assert_array_equal(completed[:, :1], naive[:, :1])
    np.testing.assert_array_equal(model.complete(naive, known, rng=2, method="naive"), completed)
    by_place = model.log_prob_map(naive)
    with mp.kernels.as_written():
        np.testing.assert_allclose(model.log_prob_map(naive), by_place, rtol=1e-10, atol=1e-12)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(mp.load(tmp_path / "model").log_prob_map(naive), by_place)


@pytest.mark.parametrize("head", ["bernoulli", "logistic_mixture"])
@pytest.mark.parametrize("name", SMALL)
def test_five_channels_sum_to_one(name, head):
    """Over all 2 ** 10 images of two pixels."""
    case = Case(name, (1, 2, 5), 2, head)
    model = a_model(name, 5, head, (1, 2))
    assert np.exp(model.log_prob(case.every_image())).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["bernoulli", "categorical", "logistic_mixture"])
@pytest.mark.parametrize("name", ["gated", "pixelcnnpp"])
def test_seventeen_channels_sum_to_one(name, head):
    """Over all 2 ** 17 images of one pixel."""
    images = (np.arange(2**17)[:, None] >> np.arange(17) & 1).astype(np.uint8).reshape(-1, 1, 1, 17)
    model = a_model(name, 17, head, (1, 1))
    assert np.exp(model.log_prob(images)).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", SMALL)
def test_the_most_there_can_be(name):
    """64 channels of a pixel: all but the first depend on those before them, and none on itself or on a later one."""
    model = Case(name, (1, 2, 64), 3, "categorical").model(**{"hidden" if "hidden" in SMALL[name] else "filters": 64})
    structure = mp.causality.structure(model, outputs=np.arange(64, 128, 9))
    places = model.order.ravel()
    for row, place in zip(structure, np.arange(64, 128, 9), strict=True):
        np.testing.assert_array_equal(row, places < places[place])


@pytest.mark.parametrize("C", [2, 4, 17])
def test_no_channel_is_blind(C):
    """With one feature for each channel, the fewest that there may be, every sub-pixel can see its whole past."""
    for model in (
        M.PixelCNN((2, 2, C), 2, hidden=C, blocks=1),
        M.GatedPixelCNN((2, 2, C), 2, filters=C, layers=2),
        M.RowLSTM((2, 2, C), 2, hidden=C, layers=1),
        M.DiagonalBiLSTM((2, 2, C), 2, hidden=C, layers=1),
        M.PixelCNNpp((2, 2, C), 2, filters=C, resnets=1, head="bernoulli"),
    ):
        np.testing.assert_array_equal(mp.causality.structure(model), np.tri(4 * C, k=-1) > 0, err_msg=model.name)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: M.PixelCNN((4, 4, 17), 2, hidden=8),
            r"hidden: got 8, wanted .* for each of the 17 channels; say hidden=17",
        ),
        (lambda: M.PixelCNN((4, 4, 17), 2, head_width=9), r"head_width: got 9, wanted a whole number in 17\.\."),
        (lambda: M.GatedPixelCNN((4, 4, 40), 2), r"filters: got 32, wanted .*; say filters=40, or more"),
        (lambda: M.RowLSTM((4, 4, 17), 2), r"hidden: got 16, wanted"),
        (lambda: M.DiagonalBiLSTM((4, 4, 17), 2), r"hidden: got 16, wanted"),
        (lambda: M.MultiScale((4, 4, 17), 2), r"hidden: got 16, wanted"),
        (lambda: M.PixelCNNpp((4, 4, 3), 2, filters=2, head="categorical"), r"filters: got 2, wanted"),
        (lambda: M.PixelCNN((4, 4, 65), 2), r"image_shape: got \(4, 4, 65\), wanted .* C in 1\.\.64"),
        (lambda: M.EmbeddingNet((4, 4, 65), 2), r"image_shape: got \(4, 4, 65\)"),
        (lambda: M.PixelCNN((4, 4, 0), 2), r"image_shape: got \(4, 4, 0\)"),
    ],
)
def test_what_is_refused(make, match):
    with pytest.raises(ValueError, match=match) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_mixture_of_pixelcnnpp_needs_no_feature_for_each_channel():
    """No colour is split there: the head joins them. Under other heads the top splits them, and says so: see above."""
    model = shaken(M.PixelCNNpp((2, 2, 5), 4, filters=1, resnets=1, dtype="float64"))
    mp.assert_causal(model)
    assert len(mp.check_causality(model).dependencies) == 20


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (4, 8, 8)])
def test_a_shape_that_looks_like_channels_first_is_taken_with_a_warning(shape, tmp_path):
    C, H, W = shape
    with pytest.warns(UserWarning, match=rf"^image_shape: got \({C}, {H}, {W}\), .* say \({H}, {W}, {C}\)$") as warned:
        model = M.PixelCNN(shape, 2, hidden=W, blocks=1)
    assert warned[0].filename == __file__ and len(warned) == 1
    model.save(tmp_path / "model")
    mp.load(tmp_path / "model")  # whoever wrote it has been told
    M.PixelCNN((*shape[1:], C), 2, hidden=8, blocks=1)
    M.PixelCNN((2, 8, 8), 2, hidden=8, blocks=1, rng=BLANK)


def test_an_embedding_of_several_channels():
    net = M.EmbeddingNet((5, 4, 4), 7, filters=4, dimensions=3)
    points = net.embed(RNG.integers(0, 7, (6, 5, 4, 4), dtype=np.uint8))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("mode", "C"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_pictures_of_pil(mode, C):
    images = RNG.integers(0, 256, (2, 4, 3, C), dtype=np.uint8)
    pictures = [Image.fromarray(image[..., 0] if C == 1 else image, mode) for image in images]
    model = M.PixelCNN((4, 3, C), 256, hidden=4, blocks=1)
    np.testing.assert_array_equal(model.log_prob(pictures), model.log_prob(images))
    if C == 4:
        with pytest.raises(ValueError, match=r"leave the alpha channel out: np\.asarray\(images\)\[\.\.\., :3\]$"):
            M.PixelCNN((4, 3, 3), 256, hidden=4, blocks=1).log_prob(pictures)


@pytest.mark.parametrize("C", [2, 4, 5])
def test_fit_and_go_on_to_the_same_bits(C, tmp_path):
    """Training of images of two phases, or of codes; stopped after three epochs, and resumed."""
    images = np.random.default_rng(C).integers(0, 2, (160, 4, 4, C), dtype=np.uint8)
    images[..., 1] = 1 - images[..., 0]  # what the second channel is, the first one says
    whole, stopped, resumed = (M.PixelCNN((4, 4, C), 2, hidden=16, blocks=1) for _ in range(3))
    options = {"batch_size": 8, "progress": False}
    history = mp.fit(whole, images, epochs=20, optimizer=mp.optim.Adam(0.02), **options)
    assert history.history["loss"][-1] < history.history["loss"][0]
    keep = [mp.callbacks.ModelCheckpoint(tmp_path)]
    mp.fit(stopped, images, epochs=3, optimizer=mp.optim.Adam(0.02), callbacks=keep, **options)
    mp.fit(resumed, images, epochs=20, optimizer=mp.optim.Adam(0.02), resume=tmp_path, **options)
    for name, weight in whole.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name], weight)
    by_channel = -whole.log_prob_map(images).mean(axis=(0, 1, 2))
    assert by_channel[1] < 0.6 * by_channel[0], by_channel


@pytest.mark.parametrize("C", [2, 4, 17])
def test_on_the_command_line(C, tmp_path, capsys):
    """A model of so many channels is drawn from, completes, and is checked; a picture is one of all channels."""
    path = tmp_path / "model.safetensors"
    model = M.PixelCNN((4, 4, C), 256, hidden=24, blocks=1, head="logistic_mixture", mixtures=2)
    model.save(path)
    for out in ("drawn.npy", "drawn.png"):
        assert main(["sample", str(path), "-n", "3", "--out", str(tmp_path / out)]) == 0
    assert np.load(tmp_path / "drawn.npy").shape == (3, 4, 4, C)
    shape = ["--shape", "3", "3", str(C)]
    size = ["--hidden", "20", "--blocks", "1", "--out", str(tmp_path / "check.png")]
    assert main(["check", "--model", "pixelcnn", *shape, *size]) == 0
    assert "causal, no output depends on itself" in capsys.readouterr().out
    Image.fromarray(RNG.integers(0, 256, (4, 4), dtype=np.uint8)).save(tmp_path / "grey.png")
    code = main(["evaluate", str(path), "--images", str(tmp_path / "grey.png")])
    said = capsys.readouterr()
    assert code == (0 if C == 4 else 2)  # an opaque picture; nobody knows what else there would be in others
    assert ("nats per image" in said.out) if C == 4 else (f"got a model of {C} channels, wanted 1, 3 or 4" in said.err)


@pytest.mark.parametrize("name", SMALL)
def test_a_wide_model_sees_all_colours(name):
    """RGBA: alpha sees red, green and blue of its own pixel."""
    report = mp.check_causality(Case(name, (2, 2, 4), 2, "bernoulli").model(**WIDE[name]))
    assert report.ok and len(report.blind) == 0, str(report)


def test_the_page(tmp_path, monkeypatch, capsys):
    """docs/channels.md, all blocks in turn, with the lines that it says are printed."""
    page = Path(__file__).parents[2] / "docs" / "channels.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    said = capsys.readouterr().out
    first, second = -names["model"].log_prob_map(names["images"]).mean(axis=(0, 1, 2))
    assert second < 0.8 * first and (tmp_path / "phases.png").exists()
    assert "hidden: got 16, wanted a whole number in 17..65536" in said and "say hidden=17, or more" in said
    assert "LogisticMixture(105 parameters per pixel of 5 channels)" in said
