"""Levels that are names: any number of them, read by name, under a class and a map at once."""

import tracemalloc

import numpy as np
import pytest
from model_table import SMALL, shaken
from scipy.stats import chisquare

import minipixel as mp
from minipixel import checkpoint, cli
from minipixel.heads import make_head
from minipixel.nn import INPUTS
from minipixel.shards import rows

M = mp.models
SHAPES = (2, 2, 1), (1, 2, 3)
CROSS = [(name, inputs, shape) for name in SMALL for inputs in INPUTS for shape in SHAPES]


def on_the_diagonal(name, inputs, shape):
    """Each model by one kind of inputs, on one of the shapes; the rest of the cross is slow."""
    turn = list(SMALL).index(name)
    return inputs == INPUTS[1 + turn % 2] and shape == SHAPES[turn // 2 % 2]


cross = pytest.mark.parametrize(
    ("name", "inputs", "shape"),
    [pytest.param(*row, marks=() if on_the_diagonal(*row) else pytest.mark.slow) for row in CROSS],
)


def told_both(name, inputs, shape, **options):
    """A small model of 3 levels, told a class and a map."""
    sizes = SMALL[name] | {"head": "categorical", "dtype": "float64", "embedding_width": 3} | options
    return shaken(M.MODELS[name](shape, 3, **sizes, inputs=inputs, num_classes=3, condition_shape=(*shape[:2], 2)))


def every_image(shape, Q=3):
    digits = np.indices((Q,) * int(np.prod(shape))).reshape(int(np.prod(shape)), -1).T
    return digits.reshape(-1, *shape).astype(np.uint8)


@cross
def test_all_promises_with_class_and_map(name, inputs, shape, tmp_path):
    """Normalised, causal by all witnesses, right gradients, cached = naive, saved = loaded."""
    model, images, rng = told_both(name, inputs, shape), every_image(shape), np.random.default_rng(1)
    told = rows(model.conditions.random(1, rng), np.zeros(len(images), int))
    assert np.exp(model.log_prob(images, told)).sum() == pytest.approx(1, abs=1e-12)
    mp.assert_causal(model)
    for witness in mp.causality.WITNESSES.values():
        verdict = witness(model)
        assert verdict.holds, str(verdict)
    condition = model.conditions.random(6, rng)
    assert mp.gradcheck_model(model, images[3:9], condition, directions=2) <= 1e-9
    wanted = model.sample(6, condition, rng=2, method="naive")
    for method in ("cached", "auto"):
        np.testing.assert_array_equal(model.sample(6, condition, rng=2, method=method), wanted)
    model.save(tmp_path / "model.safetensors")
    again = mp.load(tmp_path / "model.safetensors")
    assert again.config == model.config and again.inputs == inputs
    np.testing.assert_array_equal(again.log_prob(images, told), model.log_prob(images, told))
    np.testing.assert_array_equal(again.sample(6, condition, rng=2), wanted)


@pytest.mark.parametrize("inputs", [pytest.param("scaled", marks=pytest.mark.slow), "one_hot", "embedding"])
def test_draws_of_512_levels_follow_their_probabilities(inputs):
    """Chi-square of 40,000 draws of the first code, and of the second one where the first is known."""
    model, n = shaken(M.GatedPixelCNN((1, 2, 1), 512, filters=4, layers=1, inputs=inputs), scale=0.6), 40_000
    codes = np.zeros((512, 1, 2, 1), np.uint16)
    codes[:, 0, 0, 0] = np.arange(512)
    first = np.exp(model.log_prob_map(codes)[:, 0, 0, 0])
    drawn = model.sample(n, rng=0)
    assert drawn.dtype == np.uint16
    assert p_value(drawn[:, 0, 0, 0], first) > 1e-3
    codes[:, 0] = [[300], [0]]
    codes[:, 0, 1, 0] = np.arange(512)
    second = np.exp(model.log_prob_map(codes)[:, 0, 1, 0])
    drawn = model.complete(np.repeat(codes[:1], n, axis=0), np.array([[True, False]]), rng=1)
    assert (drawn[:, 0, 0, 0] == 300).all() and drawn.dtype == np.uint16
    assert p_value(drawn[:, 0, 1, 0], second) > 1e-3
    assert p_value(drawn[:, 0, 1, 0], second[::-1]) < 1e-6  # the test tells distributions apart


def p_value(drawn, shares):
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    counts, expected = np.bincount(drawn, minlength=len(shares)), shares / shares.sum() * len(drawn)
    rare = expected < 5
    if rare.any():
        counts, expected = (np.append(cells[~rare], cells[rare].sum()) for cells in (counts, expected))
    return chisquare(counts, expected).pvalue


@pytest.mark.parametrize(("name", "levels"), [("gated", 1024), ("pixelcnnpp", 65_536)])
def test_many_levels_in_and_out(name, levels, tmp_path):
    """As any integers in; uint16 out, from every method; into a file and back."""
    model = M.MODELS[name]((3, 4, 1), levels, **SMALL[name], inputs="embedding")
    codes = np.random.default_rng(0).integers(0, levels, (5, 3, 4, 1))
    mp.fit(model, codes, epochs=1, progress=False)
    scores = model.log_prob(codes)
    for dtype in (np.uint16, np.int64, ">u4"):
        np.testing.assert_array_equal(model.log_prob(codes.astype(dtype)), scores)
    known = np.arange(12).reshape(3, 4) < 5
    found = [model.complete(codes, known, rng=0, method=method) for method in ("naive", "cached", "auto")]
    for drawn in found:
        assert drawn.dtype == np.uint16
        np.testing.assert_array_equal(drawn, found[0])
        np.testing.assert_array_equal(drawn[:, known], codes[:, known])
    assert found[0].max() > 255
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(mp.load(tmp_path / "model.safetensors").log_prob(codes), scores)


def test_files_of_before_there_were_inputs_load(tmp_path):
    model = M.PixelCNN((3, 3, 1), 4, hidden=2, blocks=1)
    config = {name: value for name, value in model.config.items() if name not in ("inputs", "embedding_width")}
    checkpoint.write(tmp_path / "old.safetensors", config, model.state_dict())
    again = mp.load(tmp_path / "old.safetensors")
    images = np.random.default_rng(0).integers(0, 4, (3, 3, 3, 1))
    assert again.inputs == "scaled"
    np.testing.assert_array_equal(again.log_prob(images), model.log_prob(images))


@pytest.mark.parametrize("inputs", ["one_hot", "embedding"])
def test_names_say_nothing(inputs):
    """Renamed codes, and the rows of weights that belong to them renamed alike: the same likelihoods."""
    model = M.GatedPixelCNN((3, 3, 1), 6, filters=4, layers=2, inputs=inputs, dtype="float64")
    rng = np.random.default_rng(0)
    codes, renamed = rng.integers(0, 6, (7, 3, 3, 1)), rng.permutation(6)
    before, back = model.log_prob(codes), np.argsort(renamed)
    state = model.state_dict()
    for name in ("top.layers.2.weight", "top.layers.2.bias"):
        state[name] = state[name][..., back]
    if inputs == "embedding":
        state["encoding.table"] = state["encoding.table"][:, back]
    else:
        for name in ("layers.0.vertical.weight", "layers.0.horizontal.weight"):
            state[name] = state[name][:, :, back]
    model.load_state_dict(state)
    np.testing.assert_allclose(model.log_prob(renamed[codes]), before, rtol=1e-12)


def test_a_class_and_a_map_train_and_validate_together(tmp_path):
    """fit shuffles both with the images, takes a validation pair or a share, and resumes."""
    model = told_both("gated", "one_hot", (2, 2, 1), dtype="float32")
    images = every_image((2, 2, 1))
    told = model.conditions.random(len(images), np.random.default_rng(0))
    options = {"epochs": 2, "batch_size": 16, "progress": False}
    history = mp.fit(model, images, told, validation=(images[:9], rows(told, slice(9))), **options)
    assert np.isfinite(history.history["val_loss"]).all()
    mp.fit(model, images, told, validation=0.2, callbacks=[mp.callbacks.ModelCheckpoint(tmp_path)], **options)
    history = mp.fit(model, images, told, validation=0.2, resume=tmp_path, **options | {"epochs": 3})
    assert history.epochs == 3
    other = told[0], told[1] + 1
    with pytest.raises(ValueError, match="resume: got condition"):
        mp.fit(model, images, other, validation=0.2, resume=tmp_path, **options | {"epochs": 4})
    with pytest.raises(ValueError, match="condition: got a single one"):
        mp.fit(model, images, (0, told[1]), **options)
    one_for_all = model.sample(3, (1, told[1][0]), rng=0)
    np.testing.assert_array_equal(one_for_all, model.sample(3, (np.ones(3, int), told[1][[0, 0, 0]]), rng=0))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: M.PixelCNN((4, 4, 1), 4, inputs="onehot"),
            r"^inputs: got 'onehot', wanted one of 'scaled', 'one_hot', .*",
        ),
        (
            lambda: M.PixelCNN((4, 4, 1), 5000),
            r"^head: got 'categorical' for 5000 levels, wanted 4096 at most; use log",
        ),
        (
            lambda: M.PixelCNN((4, 4, 1), 5000, inputs="one_hot", head="logistic_mixture"),
            r"^inputs: got 'one_hot' for 5000 levels, wanted 4096 at most; use 'embedding'$",
        ),
        (
            lambda: M.RowLSTM((4, 4, 1), 4, embedding_width=1),
            r"^embedding_width: got 1, wanted a whole number in 2\.\.4096",
        ),
        (
            lambda: M.PixelCNN((256, 256, 3), 4096, hidden=3, blocks=1),
            r"^levels: got 4096 with a categorical head for images of 256x256x3, 3\.0 GiB of parameters per image",
        ),
        (
            lambda: M.PixelCNN((8, 8, 3), 4096, inputs="one_hot", hidden=256),
            r"^weight: got one of shape \(7, 7, 12288, 512\), 1\.1 GiB, wanted 1 GiB at the most; .*embedding",
        ),
        (
            lambda: M.PixelCNN((2, 2, 1), 300, hidden=2, blocks=1).log_prob(np.zeros((1, 2, 2, 1))),
            r"^images: got dtype float64, wanted integers in 0\.\.299 \(uint16\); .*astype\(\"uint16\"\)",
        ),
    ],
)
def test_bad_input(make, match):
    with pytest.raises(ValueError, match=match) as error:
        make()
    assert "\n" not in str(error.value)


def test_shards_keep_wide_maps_small():
    """Many levels: fewer images at a time, so that no map of a shard has more than 64 MiB, unless one image has."""
    for levels, inputs in ((512, "embedding"), (4096, "embedding"), (1024, "one_hot")):
        model = M.GatedPixelCNN((32, 32, 1), levels, inputs=inputs)
        for size in (model.shard_size, model.wide_shard_size):
            assert size == 1 or size * 32 * 32 * levels * 4 <= 2**26


@pytest.mark.parametrize("name", ["logistic_mixture", "normal_mixture"])
def test_the_likeliest_of_65536_levels_takes_little_memory(name):
    head, rng = make_head(name, 1, 65_536, 3), np.random.default_rng(0)
    tracemalloc.start()
    drawn = head.draw(rng.standard_normal((200, 9)), np.zeros((200, 1), np.uint16), 0, np.zeros(200), 0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert drawn.dtype == np.uint16 and peak < 2**27


def test_on_the_command_line(tmp_path, capsys):
    out = str(tmp_path / "causality.png")
    options = ["--filters", "3", "--layers", "1", "--inputs", "embedding", "--embedding-width", "3", "--out", out]
    assert cli.main(["check", "--model", "gated", "--shape", "3", "3", "1", "--levels", "300", *options]) == 0
    assert "300 levels, float32, categorical head, embedding inputs" in capsys.readouterr().out
