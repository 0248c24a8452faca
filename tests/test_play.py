"""The arithmetic of the page to play with (docs/play): its JavaScript and Python draw the same pictures.

What is asked of JavaScript runs in Node where that is installed, and, slower, in headless Chromium.
"""

import base64
import json
import runpy
import shutil
import subprocess
from pathlib import Path

import headless
import numpy as np
import pytest
from scipy.optimize import minimize

import minipixel as mp

PLAY = Path(__file__).parents[1] / "docs" / "play"
SCRIPTS = ("data.js", "sampler.js", "leak.js")
MAKE = runpy.run_path(str(PLAY / "make.py"), run_name="make")

TAPS = [(dr, dc) for dr in range(-2, 3) for dc in range(-2, 3)]
CAUSAL = TAPS[:12]


@pytest.fixture(scope="module", params=["node", pytest.param("chromium", marks=pytest.mark.slow)])
def javascript(request):
    """A function that runs the body of a function of `argument`, with the scripts of the page, and gives its value."""
    if request.param == "node":
        node = shutil.which("node")
        if not node:
            pytest.skip("no Node to run JavaScript in")
        scripts = "".join((PLAY / name).read_text(encoding="utf-8") for name in SCRIPTS)
        ask = "const argument = JSON.parse(require('fs').readFileSync(0, 'utf8'));"

        def run(body, argument):
            code = f"{scripts}{ask}process.stdout.write(JSON.stringify((() => {{{body}}})()));"
            result = subprocess.run(
                [node, "-e", code], input=json.dumps(argument), capture_output=True, text=True, check=False
            )
            assert result.returncode == 0, result.stderr
            return json.loads(result.stdout)

        yield run
    else:
        with headless.browser() as driver:
            driver.get((PLAY / "index.html").as_uri())
            yield lambda body, argument: driver.execute_script(f"const argument = arguments[0];{body}", argument)


def test_the_page_is_small_and_its_data_are_those_of_make():
    made = MAKE["files"]()
    own = [path for path in PLAY.iterdir() if path.suffix in (".html", ".js") and path.name not in made]
    assert {path.name for path in own} == {"index.html", "play.js", "sampler.js", "leak.js"}
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in own) < 600
    for name, text in made.items():
        assert (PLAY / name).read_text(encoding="utf-8") == text, f"run docs/play/make.py: {name} is out of date"


# --- the sampler


def shaken(model):
    """The same model with weights in which nothing is zero, so that no term can be forgotten."""
    rng = np.random.default_rng(5)
    model.load_state_dict({k: rng.normal(0, 0.4, v.shape).astype(v.dtype) for k, v in model.state_dict().items()})
    return model


MODELS = {
    "pixelcnn": lambda: mp.models.PixelCNN((5, 4, 1), 2, hidden=3, blocks=2),
    "pixelcnn, wide kernels": lambda: mp.models.PixelCNN(
        (4, 6, 1), 5, hidden=2, blocks=1, kernel=5, first_kernel=3, head_width=3
    ),
    "gated": lambda: mp.models.GatedPixelCNN((5, 6, 1), 3, filters=3, layers=3),
    "gated, dilated": lambda: mp.models.GatedPixelCNN(
        (6, 5, 1), 17, filters=2, layers=4, first_kernel=5, dilations=(1, 2), head_width=5
    ),
    "gated, one layer": lambda: mp.models.GatedPixelCNN((3, 3, 1), 2, filters=2, layers=1, head="categorical"),
    "diagonal": lambda: mp.models.DiagonalBiLSTM((5, 4, 1), 2, hidden=3, layers=2),
    "diagonal, as published": lambda: mp.models.DiagonalBiLSTM((4, 5, 1), 4, hidden=2, layers=2, phantom_column=False),
}

DRAW = """
const file = Uint8Array.from(atob(argument.file), (byte) => byte.charCodeAt(0)).buffer;
const model = modelOf(readModel(file));
return argument.uniforms.map((uniforms, n) => {
  const picture = new Picture(model, argument.start[n], argument.known, uniforms, argument.temperature);
  while (!picture.done) picture.step();
  const levels = Array.from(picture.levels);
  return [levels, picture.said.reduce((sum, shares, p) => sum + Math.log(shares[levels[p]]), 0)];
});
"""


def compare(javascript, path, *, N, known_rows, seed, temperature, method):
    """Pictures whose first rows are known, drawn here and there from the same uniforms."""
    model = mp.load(path)
    H, W, _ = model.image_shape
    uniforms = np.random.default_rng(seed).random((N, H, W, 1))
    start = np.random.default_rng(seed + 1).integers(0, model.levels, (N, H, W, 1))
    known = np.zeros((N, H, W), bool)
    known[:, :known_rows] = True
    wanted = model.complete(start, known, rng=seed, temperature=temperature, method=method)
    argument = {
        "file": base64.b64encode(Path(path).read_bytes()).decode(),
        "uniforms": uniforms.reshape(N, -1).tolist(),
        "start": start.reshape(N, -1).tolist(),
        "known": known_rows * W,
        "temperature": temperature,
    }
    drawn = javascript(DRAW, argument)
    assert [levels for levels, _ in drawn] == wanted.reshape(N, -1).tolist()
    if temperature == 1:
        np.testing.assert_allclose([nats for _, nats in drawn], model.log_prob(wanted), rtol=1e-4)
    return wanted


def test_numbers_of_16_bits_are_read(javascript):
    said = javascript("return Array.from({ length: 65536 }, (_, bits) => String(half(bits)));", None)
    wanted = np.arange(65536).astype("<u2").view("<f2").astype(float)
    np.testing.assert_array_equal([float(text.replace("Infinity", "inf")) for text in said], wanted)


@pytest.mark.parametrize(("name", "half"), [(name, n % 2 == 1) for n, name in enumerate(MODELS)])
def test_models_drawn_at_random_draw_as_in_python(javascript, tmp_path, name, half):
    path = tmp_path / "model.safetensors"
    shaken(MODELS[name]()).save(path, half=half)
    drawn = [
        compare(javascript, path, N=4, known_rows=rows, seed=rows, temperature=temperature, method="naive")
        for rows, temperature in ((0, 1), (2, 1), (1, 0.5), (0, 0))
    ]
    assert len({picture.tobytes() for picture in drawn[0]}) > 1


@pytest.mark.parametrize("name", ["digits-gated", "digits-pixelcnn", "digits-diagonal-bilstm"])
def test_the_small_models_of_the_box_draw_as_in_python(javascript, name):
    path = mp.models.cards()[name].path
    compare(javascript, path, N=8, known_rows=0, seed=0, temperature=1, method="cached")
    compare(javascript, path, N=8, known_rows=4, seed=1, temperature=1.5, method="cached")


def test_the_model_of_the_page_draws_as_in_python(javascript):
    compare(javascript, mp.models.cards()["mnist"].path, N=2, known_rows=14, seed=2, temperature=1, method="cached")


# --- files that are no model for the page


def altered(content, change, tail=None):
    """A model file whose header was changed by `change(header, config)`, and whose numbers by `tail(bytes)`."""
    length = int.from_bytes(content[:8], "little")
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    ours = json.loads(header["__metadata__"]["minipixel"])
    change(header, ours["config"])
    if "__metadata__" in header:
        header["__metadata__"]["minipixel"] = json.dumps(ours)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + (tail(numbers) if tail else numbers)


def setting(name, **changes):
    """A change of one tensor's entry."""
    return lambda header, config: header[name].update(changes)


def saying(**changes):
    """A change of the configuration."""
    return lambda header, config: config.update(changes)


def nothing(header, config):
    pass


BROKEN = {
    "empty": (lambda c: b"", "0 bytes that are no safetensors file"),
    "noise": (lambda c: b"\xff" * 64, "64 bytes that are no safetensors file"),
    "a header longer than the file": (
        lambda c: (len(c)).to_bytes(8, "little") + c[8:],
        "bytes that are no safetensors",
    ),
    "a header of no text": (lambda c: c[:8] + b"\xff" + c[9:], "a header that minipixel has not written"),
    "another writer": (lambda c: altered(c, lambda h, _: h.pop("__metadata__")), "that minipixel has not written"),
    "a last byte that is missing": (lambda c: c[:-1], "in the file"),
    "a byte too many": (lambda c: c + b"x", "bytes, wanted"),
    "another kind": (lambda c: altered(c, setting("stem.bias", dtype="BF16")), "wanted F16 or F32"),
    "a kind of every object": (lambda c: altered(c, setting("stem.bias", dtype="toString")), "wanted F16 or F32"),
    "an entry that is none": (lambda c: altered(c, lambda h, _: h.update(x=None)), "x: got null"),
    "half a pixel": (lambda c: altered(c, setting("stem.bias", shape=[0.5])), "stem.bias: got"),
    "fewer than none": (lambda c: altered(c, setting("stem.bias", shape=[-4, -1])), "stem.bias: got"),
    "another size": (lambda c: altered(c, setting("stem.bias", shape=[5])), "wanted 20 from"),
    "a huge size": (lambda c: altered(c, setting("stem.bias", shape=[2**52])), "stem.bias: got bytes"),
    "another place": (lambda c: altered(c, setting("stem.bias", data_offsets=[0, 16])), "got bytes 0-"),
    "NaN": (lambda c: altered(c, nothing, lambda n: b"\xff" * len(n)), "got NaN or infinite weights"),
    "a tensor that is missing": (
        lambda c: altered(c, saying(blocks=2)),
        "blocks.1.narrow.weight: got shape (nothing), wanted (4,2)",
    ),
    "another shape": (lambda c: altered(c, saying(first_kernel=5)), "stem.weight: got shape (7,7,1,4), wanted (5,5"),
    "another model": (lambda c: altered(c, saying(model="pixelcnnpp")), "model: got pixelcnnpp, wanted pixelcnn or"),
    "colour": (lambda c: altered(c, saying(image_shape=[4, 4, 3])), "channels: got 3, wanted 1"),
    "a photograph": (lambda c: altered(c, saying(image_shape=[4096, 4096, 1])), "at most 4096 pixels: got false"),
    "a mixture": (lambda c: altered(c, saying(head="logistic_mixture")), "head: got logistic_mixture"),
    "codes": (lambda c: altered(c, saying(inputs="one_hot")), "inputs: got one_hot"),
    "classes": (lambda c: altered(c, saying(num_classes=10)), "condition: got 10"),
    "prelu": (lambda c: altered(c, saying(activation="prelu")), "activation: got prelu"),
    "skips": (lambda c: altered(c, saying(skip=True)), "skip: got true"),
    "a learned state": (lambda c: altered(c, saying(learned_state=True)), "learned_state: got true"),
}

REFUSE = """
return argument.map((text) => {
  const file = Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)).buffer;
  try { modelOf(readModel(file)); } catch (error) { return error.message; }
  return "accepted";
});
"""


def test_files_that_are_no_model_for_the_page_are_refused(javascript, tmp_path):
    path = tmp_path / "model.safetensors"
    mp.models.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1).save(path)
    content = path.read_bytes()
    files = [content, altered(content, nothing), *(change(content) for change, _ in BROKEN.values())]
    intact, again, *said = javascript(REFUSE, [base64.b64encode(file).decode() for file in files])
    assert intact == again == "accepted"
    for (name, (_, words)), message in zip(BROKEN.items(), said, strict=True):
        assert words in message and "got" in message and "\n" not in message, f"{name}: {message}"


# --- receptive fields and leaks


def reads(taps, depth, size):
    """What each pixel reads through a layer with open taps and `depth` layers of 3x3, mask B: boolean (S, S)."""

    def matrix(taps):
        r, c = np.divmod(np.arange(size**2), size)
        offsets = np.stack([r[None] - r[:, None], c[None] - c[:, None]], axis=-1)
        return (offsets[:, :, None] == np.array(taps).reshape(-1, 2)).all(-1).any(-1)

    mask_b = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)]
    return np.linalg.multi_dot([*[matrix(mask_b).astype(int)] * depth, matrix(taps), np.eye(size**2, dtype=int)]) > 0


def test_a_pixel_reads_through_the_taps_what_it_should(javascript):
    body = "return argument.map(([taps, depth]) => Array.from({length: 49}, (_, p) => readThrough(taps, depth, 7, p)));"
    rng = np.random.default_rng(0)
    cases = [(CAUSAL, 1), (CAUSAL, 2), (TAPS, 0), ([], 1)]
    cases += [([tap for tap in TAPS if rng.random() < 0.3], depth) for depth in (0, 1, 2)]
    for (taps, depth), found in zip(cases, javascript(body, cases), strict=True):
        assert (np.array(found) == reads(taps, depth, 7)).all(), (taps, depth)
    for depth in (1, 2):  # the same of a real model
        model = mp.models.PixelCNN((7, 7, 1), 2, hidden=2, blocks=depth, first_kernel=5)
        assert (mp.causality.structure(model) == reads(CAUSAL, depth, 7)).all()


def test_roles_are_those_of_the_course(javascript):
    roles_of = runpy.run_path(str(PLAY.parents[1] / "lessons" / "drawing.py"))["roles_of"]
    found = np.random.default_rng(0).random((16, 4, 4)) < 0.5
    body = "return argument.map((reads, p) => rolesOf(reads, p));"
    said = javascript(body, found.reshape(16, -1).tolist())
    for place, roles in enumerate(said):
        assert roles == roles_of(found[place], divmod(place, 4)).ravel().tolist()


def questions(pictures, taps):
    """(numbers that the layer reads, and a 1; the answer) for every pixel of pictures (N, 8, 8) of 0 and 1."""
    padded = np.pad(2.0 * pictures - 1, [(0, 0), (2, 2), (2, 2)])
    columns = [padded[:, 2 + dr : 10 + dr, 2 + dc : 10 + dc].ravel() for dr, dc in taps]
    return np.stack([*columns, np.ones(pictures.size)], axis=-1), pictures.ravel()


def bits(weights, x, y):
    return np.logaddexp(0, (1 - 2 * y) * (x @ weights)).mean() / np.log(2)


FIT = """
const [train, test] = [DIGITS.train, DIGITS.test].map((part) => part.map(unpacked));
return argument.taps.map((taps) => {
  const weights = fitted(train, taps, 8);
  return [Array.from(weights), bitsOf(weights, test, taps, 8), drawnWith(weights, taps, 8, argument.uniforms)];
});
"""


def test_the_model_of_the_taps_is_the_likeliest_and_a_leak_is_a_leak(javascript):
    images = (mp.datasets.load("digits").train.images[..., 0] >= 8).astype(int)
    train, test = images[MAKE["DIGITS"]["train"]], images[MAKE["DIGITS"]["test"]]
    masks = [CAUSAL, CAUSAL[5:], [*CAUSAL, (0, 1)], [], [*CAUSAL, (0, 0)]]
    uniforms = np.random.default_rng(1).random(64)
    found = javascript(FIT, {"taps": masks, "uniforms": uniforms.tolist()})
    for taps, (weights, score, drawn) in zip(masks, found, strict=True):
        x, y = questions(train, taps)
        best = minimize(lambda w: bits(w, x, y), np.zeros(len(taps) + 1), method="L-BFGS-B").fun  # noqa: B023
        assert bits(weights, x, y) < best + 0.003
        assert abs(score - bits(weights, *questions(test, taps))) < 1e-9
        picture = np.zeros((1, 8, 8), int)
        for p, uniform in enumerate(uniforms):
            ink = 1 / (1 + np.exp(-questions(picture, taps)[0][p] @ weights))
            picture[0, p // 8, p % 8] = uniform >= 1 - ink
        assert drawn == picture.ravel().tolist()
    causal, _, right, _, centre = (score for _, score, _ in found)
    assert right < causal - 0.01 and centre < 0.01  # a leak pays on paper,
    assert sum(found[-1][2]) <= 2 < sum(found[0][2])  # and draws nothing
