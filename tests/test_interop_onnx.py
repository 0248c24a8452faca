"""A forward pass in ONNX: onnxruntime gives the parameters that `predict` gives, of every model of the family.

What it is compared with is the model as it is written, op by op. One bound holds for all: 1e-5, of the largest number.
"""

import json
import re
import sys

import numpy as np
import pytest
from drawn_graphs import Graph, cube
from drawn_models import Drawn, drawn_models, families, graphs
from hypothesis import HealthCheck, given, seed, settings
from model_table import CONDITIONS, KINDS, SMALL, VARIANTS, shaken

import minipixel as mp
from minipixel.cli import main
from minipixel.interop import ROWS, to_onnx

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

M, ops = mp.models, mp.ops
CALM = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
IMAGES = [((5, 6, 1), 2), ((4, 5, 3), 7)]


def small(name, variant="", told="", image=IMAGES[0], **options):
    (shape, levels) = image
    shapes = {"number": (), "vector": (2,), "map": (*shape[:2], 2), "class and map": (*shape[:2], 2)}
    conditions = {"condition_shape": shapes[told]} if told in shapes else {}
    conditions |= {"num_classes": 3} if told.startswith("class") else {}
    of_variant = VARIANTS[variant][1] if variant else {}
    return shaken(M.MODELS[name](shape, levels, **SMALL[name] | of_variant | conditions | options), scale=0.2)


def feed(model, images, condition):
    """What onnxruntime is given for a batch."""
    given = {"images": images}
    if condition is not None:
        parts = condition if isinstance(condition, tuple) else (condition,)
        names = [("labels", np.int64)] * bool(model.conditions.num_classes) + [("condition", np.float32)]
        given |= {name: np.asarray(part, dtype) for part, (name, dtype) in zip(parts, names, strict=False)}
    return given


def run(path, given):
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, given)


def assert_same(model, path, N=3):
    rng = np.random.default_rng(N)
    images = rng.integers(model.levels, size=(N, *model.image_shape)).astype(np.uint8)
    condition = model.conditions.random(N, rng)
    (found,) = run(path, feed(model, images, condition))
    with mp.kernels.as_written():
        wanted = model.predict(images, condition)
    assert found.dtype == np.float32 and found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * max(1.0, np.abs(wanted).max())


ROWS_OF_MODELS = [
    pytest.param(name, variant, told, image, marks=() if (i + j) % 5 == 0 and i % 2 == k else pytest.mark.slow)
    for i, (name, variant) in enumerate(KINDS)
    for j, told in enumerate(CONDITIONS)
    for k, image in enumerate(IMAGES)
]


@pytest.mark.parametrize(("name", "variant", "told", "image"), ROWS_OF_MODELS)
def test_the_family(tmp_path, name, variant, told, image):
    """Every model and variant under every condition, grey and in colours; for one image, and for several."""
    model = small(name, variant, told, image)
    to_onnx(model, tmp_path / "model.onnx")
    for N in (1, 4):
        assert_same(model, tmp_path / "model.onnx", N)


@pytest.mark.parametrize("head", ["categorical", "logistic_mixture", "normal_mixture"])
def test_every_head_and_float64_weights(tmp_path, head):
    model = small("gated", image=IMAGES[1], head=head, dtype="float64")
    to_onnx(model, tmp_path / "model.onnx")
    assert_same(model, tmp_path / "model.onnx")


def test_what_is_in_the_file(tmp_path):
    """Names, types, sizes, the free number of images; and the configuration, from which the head is known."""
    model = small("pixelcnn", told="class", image=IMAGES[1])
    to_onnx(model, tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    assert json.loads(proto.metadata_props[0].value) == json.loads(json.dumps(model.config))
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 17)]
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    taken = [(i.name, i.type, i.shape) for i in session.get_inputs()]
    assert taken == [("images", "tensor(uint8)", ["N", 4, 5, 3]), ("labels", "tensor(int64)", ["N"])]
    (made,) = session.get_outputs()
    assert (made.name, made.type, made.shape) == ("parameters", "tensor(float)", [4, 5, "N", 21])
    used = {name for node in proto.graph.node for name in node.input}
    assert {constant.name for constant in proto.graph.initializer} <= used


def test_every_op_on_the_way_has_a_row():
    """An op that says what it reads may stand between image and parameters; only those that move pixels leave no node.

    Dropout is off in a forward pass.
    """
    moves = {op for op in ops.OPS.values() if op.local is ops.local.moving} - {ops.overlay}
    assert {op for op in ops.OPS.values() if op.local is not None} - moves - {ops.dropout} == set(ROWS)


def _cube(graph, node, x):
    return graph.add("Mul", x, graph.add("Mul", x, x))


@pytest.mark.parametrize("drawn_from", [families, graphs], ids=["family", "own"])
def test_models_drawn_at_random(tmp_path, monkeypatch, drawn_from):
    """Of the family with all options drawn; and of any ops in any order, as far as there is a row."""
    monkeypatch.setitem(ROWS, cube, _cube)
    exported = []

    @seed(0)
    @settings(max_examples=25, **CALM)
    @given(drawn_models(drawn_from()))
    def check(drawn):
        model = drawn.model("float64" if isinstance(drawn.made, Graph) else "float32")
        try:
            to_onnx(model, tmp_path / "model.onnx")
        except ValueError as error:
            assert isinstance(drawn.made, Graph), error
            assert "\n" not in str(error)
            assert str(error).startswith(("clock: ", "to_onnx: got ")), error
            return
        exported.append(drawn)
        assert_same(model, tmp_path / "model.onnx", drawn.N)

    check()
    assert len(exported) >= 12 and all(isinstance(drawn, Drawn) for drawn in exported)


class Patchy(M.Model):
    """A scan over parts of rows, whose learned start state, and the border, the next layer sees."""

    def __init__(self, image_shape=(5, 5, 1), levels=2):
        super().__init__(image_shape, levels, {})
        self.features = 8
        narrow = np.zeros(3, int)
        self.stem = mp.nn.Conv2d(np.arange(1), np.zeros(12, int), (3, 3), "A", self.init)
        self.weight = self.init.weight(2, 3, 12)
        self.h0, self.c0 = self.init.constant(0.3, 3), self.init.constant(-0.2, 3)
        self.look = mp.nn.Conv2d(narrow, narrow, (3, 3), "B", self.init)
        self.out = mp.nn.Pointwise(narrow, self.head.groups, self.init)

    def forward(self, x, condition=None, rng=None):
        spans = [(1, 4), (0, 3), (2, 5), (0, 2), (1, 5)]
        h = ops.lstm_scan(self.stem(x), self.weight, self.h0, self.c0, taps=(-1, 0), spans=spans)
        return self.out(self.look(h) + h)


class Chain(M.Model):
    """The ops that no model of the family uses, one after the other; and a map that was learned, added to all."""

    def __init__(self, image_shape=(4, 5, 1), levels=3):
        super().__init__(image_shape, levels, {})
        self.features = 6
        self.look = mp.nn.Conv2d(np.arange(1), np.zeros(6, int), (3, 3), "A", self.init)
        self.everywhere = self.init.uniform((4, 5, 1, 6), 1.0)
        self.out = mp.nn.Pointwise(np.zeros(6, int), self.head.groups, self.init)

    def forward(self, x, condition=None, rng=None):
        y = self.look(x) + self.everywhere
        y = ops.log(ops.exp(ops.sigmoid(y)) + 1.0) / 3.0 - ops.tanh(y)
        return ops.mirror(self.out(2.0 - (y * y) ** 1.5))


@pytest.mark.parametrize("kind", [Patchy, Chain])
def test_a_model_of_ones_own(tmp_path, kind):
    to_onnx(kind(), tmp_path / "model.onnx")
    assert_same(kind(), tmp_path / "model.onnx")


class Softer(M.PixelCNN):
    def forward(self, x, condition=None, rng=None):
        return super().forward(cube(x), condition, rng)


@pytest.mark.parametrize("colours", [1, 3])
def test_ops_over_all_channels_of_a_pixel(tmp_path, colours):
    class Across(M.Model):
        name = "across"

        def __init__(self, image_shape, levels):
            super().__init__(image_shape, levels, {})
            image, wide = mp.nn.colour_groups(3, 3), mp.nn.colour_groups(12, 3)
            self.features = 12
            self.look = mp.nn.Conv2d(image, wide, (3, 3), "A", self.init)
            self.gain, self.bias = self.init.constant(0.7, 12), self.init.constant(0.2, 12)
            self.out = mp.nn.Pointwise(wide, self.head.groups, self.init)

        def forward(self, x, condition=None, rng=None):
            y = ops.layer_norm(ops.gelu(self.look(x)), self.gain, self.bias, colours=colours)
            return self.out(y + ops.softmax(ops.layer_norm(y, None, None, colours=colours), colours=colours))

    model, path = shaken(Across((4, 5, 3), 7)), tmp_path / "across.onnx"
    to_onnx(model, path)
    assert_same(model, path)


def test_an_op_without_a_row_is_named(tmp_path, monkeypatch):
    model = Softer((4, 4, 1), 3, hidden=3, blocks=1)
    with pytest.raises(ValueError, match=r"^to_onnx: got cube after the image, an op without a row.*ROWS\[cube\]") as e:
        to_onnx(model, tmp_path / "model.onnx")
    assert "\n" not in str(e.value) and not list(tmp_path.iterdir())
    monkeypatch.setitem(ROWS, cube, _cube)
    to_onnx(model, tmp_path / "model.onnx")
    assert_same(model, tmp_path / "model.onnx")


def test_what_is_no_model(tmp_path):
    net = M.EmbeddingNet((4, 4, 1), 3, filters=2, layers=1)
    with pytest.raises(ValueError, match=r"^model: got EmbeddingNet.*, wanted a model of minipixel"):
        to_onnx(net, tmp_path / "net.onnx")
    model = small("pixelcnn")
    with pytest.raises(FileNotFoundError):
        to_onnx(model, tmp_path / "nowhere" / "model.onnx")
    model.stem.weight.data[...] = np.nan
    with pytest.raises(ValueError, match=r"^stem\.weight: got weights that are NaN"):
        to_onnx(model, tmp_path / "model.onnx")


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=re.escape('to_onnx: onnx is missing; pip install "minipixel[onnx]"')):
        to_onnx(small("pixelcnn"), tmp_path / "model.onnx")


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = small("row-lstm")
    model.save("model.safetensors")
    assert main(["export", "model.safetensors"]) == 0
    assert capsys.readouterr().out == "model.onnx: images -> parameters (H, W, N, 1) of a bernoulli head\n"
    assert_same(model, "model.onnx")
    assert main(["export", "model.safetensors", "--out", "model.pt"]) == 2
    assert "--out: got model.pt, wanted a name ending in .onnx" in capsys.readouterr().err
