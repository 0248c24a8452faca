"""What shows when somebody types a name and Enter: one line that says what it is; in a notebook, a picture."""

import inspect
import re

import numpy as np
import pytest
from model_table import SMALL

import minipixel as mp
from minipixel.heads import HEADS, make_head
from minipixel.nn import Init
from minipixel.shown import as_made, short

M, SHAPE = mp.models, (4, 3, 3)


def init():
    return Init(0, "float32")


def model(name):
    return M.MODELS[name](SHAPE, 4, **SMALL[name])


def trained():
    net = M.PixelCNN((4, 3, 1), 2, hidden=2, blocks=1)
    return mp.fit(net, np.zeros((8, 4, 3, 1), int), validation=0.25, epochs=2, progress=False)


def stepped(optimizer):
    net = M.PixelCNN((4, 3, 1), 2, hidden=2, blocks=1)
    mp.fit(net, np.zeros((2, 4, 3, 1), int), epochs=1, optimizer=optimizer, progress=False)
    return optimizer


GROUPS, RGB = np.zeros(4, int), np.arange(3)

# What to write for an object of each public class, and what its line has to say besides the name of the class.
ROWS = {
    **{
        kind: (lambda name=name: model(name), "4x3x3 images of 4 levels, float32, ", " head, ", " weights")
        for name, kind in M.MODELS.items()
    },
    M.EmbeddingNet: (lambda: M.EmbeddingNet(SHAPE, 4), "4x3x3 images of 4 levels", " weights"),
    **{kind: (lambda name=name: make_head(name, 3, 2), " parameters per pixel") for name, kind in HEADS.items()},
    mp.optim.Adam: (lambda: stepped(mp.optim.Adam(beta1=0.95)), "learning_rate=0.001, beta1=0.95) after 1 step"),
    mp.optim.AdamW: (lambda: mp.optim.AdamW(exclude=("bias",)), "AdamW(learning_rate=0.001, exclude=('bias',))"),
    mp.optim.Adamax: (lambda: mp.optim.Adamax(clip_norm=1.0), "learning_rate=0.002, clip_norm=1.0"),
    mp.optim.Nadam: (mp.optim.Nadam, "learning_rate=0.002"),
    mp.optim.RMSProp: (lambda: mp.optim.RMSProp(mp.optim.piecewise([10], [0.1, 0.01])), "piecewise([10], [0.1, 0.01])"),
    mp.optim.SGD: (lambda: mp.optim.SGD(lambda step: 0.1, 0.9, True), "<lambda>, momentum=0.9, nesterov=True"),
    mp.optim.Schedule: (lambda: mp.optim.cosine_decay(1e-3, 100, warmup=5), "cosine_decay(0.001, 100, warmup=5)"),
    mp.callbacks.CSVLogger: (lambda: mp.callbacks.CSVLogger("log.csv"), "path='log.csv'"),
    mp.callbacks.EarlyStopping: (lambda: mp.callbacks.EarlyStopping(patience=3), "EarlyStopping(patience=3)"),
    mp.callbacks.EMA: (lambda: mp.callbacks.EMA(0.99), "decay=0.99"),
    mp.callbacks.LearningRate: (lambda: mp.callbacks.LearningRate(lambda epoch, rate: rate), "schedule=<lambda>"),
    mp.callbacks.ModelCheckpoint: (lambda: mp.callbacks.ModelCheckpoint("runs", keep=2), "path='runs', keep=2"),
    mp.callbacks.Progress: (lambda: mp.callbacks.Progress(3), "epochs=3"),
    mp.callbacks.SampleImages: (lambda: mp.callbacks.SampleImages("drawn", n=5), "folder='drawn', n=5"),
    mp.callbacks.TensorBoard: (lambda: mp.callbacks.TensorBoard("board", every=None), "folder='board', every=None"),
    mp.callbacks.TerminateOnNaN: (mp.callbacks.TerminateOnNaN, "TerminateOnNaN()"),
    mp.callbacks.Callback: (mp.callbacks.Callback, "Callback()"),
    mp.datasets.Dataset: (
        lambda: mp.datasets.load("digits"),
        "digits: 1295 train + 143 validation + 359 test images, 8x8x1, 17 levels",
    ),
    mp.datasets.Split: (lambda: mp.datasets.load("digits").train, "1295 images, 8x8x1"),
    M.Card: (lambda: M.cards()["mnist"], "mnist: DiagonalBiLSTM, 0.1", "bits/dim, draws digits of 28x28 pixels"),
    mp.History: (trained, "2 epochs: ", "val_bits_per_dim"),
    mp.distributions.PixelCNN: (
        lambda: mp.distributions.PixelCNN(SHAPE, num_resnet=1, num_hierarchies=1, num_filters=3),
        "event_shape=(4, 3, 3)",
    ),
    mp.nn.Parameter: (lambda: model("pixelcnn").stem.weight, "float32 of shape (7, 7, 3, 12)"),
    mp.nn.Init: (init, "float32"),
    mp.nn.Blank: (lambda: mp.nn.Blank(3), "3"),
    mp.nn.Module: (mp.nn.Module, "0 weights"),
    mp.nn.Gradients: (
        lambda: model("pixelcnn").value_and_gradients(np.zeros((1, *SHAPE), int))[1],
        "stem.weight, stem.bias, blocks.0.narrow.weight, ...: ",
        " arrays",
    ),
    mp.nn.Conv2d: (lambda: mp.nn.Conv2d(RGB, GROUPS, (3, 3), "B", init()), "3x3, mask B, 3 -> 4"),
    mp.nn.Pointwise: (lambda: mp.nn.Pointwise(GROUPS, GROUPS, init()), "4 -> 4"),
    mp.nn.UnmaskedConv2d: (lambda: mp.nn.UnmaskedConv2d(3, 4, (3, 3), init()), "3x3"),
    mp.nn.VerticalConv2d: (lambda: mp.nn.VerticalConv2d(RGB, GROUPS, (3, 3), "A", init()), "3x3, mask A"),
    mp.nn.GatedLayer: (lambda: mp.nn.GatedLayer(RGB, GROUPS, 3, "A", 0, init()), "vertical, link, horizontal, out: "),
    mp.nn.ShiftedConv2d: (lambda: mp.nn.ShiftedConv2d(3, 4, (2, 3), "down", init()), "2x3 down, 3 -> 4"),
    mp.nn.EnlargingConv2d: (
        lambda: mp.nn.EnlargingConv2d(3, 4, (2, 3), "down", init(), stride=2, size=(4, 3)),
        "2x3 down, stride 2",
    ),
    mp.nn.NormedPointwise: (lambda: mp.nn.NormedPointwise(3, 4, init()), "3 -> 4"),
    mp.nn.WeightNorm: (lambda: mp.nn.WeightNorm((3, 4), init()), "20 weights"),
    mp.nn.Encoding: (lambda: mp.nn.Encoding("embedding", 3, 512, 4, init()), "embedding, 3 of 512 -> 12"),
    mp.interop.Theirs: (lambda: mp.interop.Theirs("conv.weight"), "conv.weight", "ofig"),
    mp.nn.NotLoaded: (lambda: mp.nn.NotLoaded(["stem.bias"], [], {}), "missing=['stem.bias']"),
    mp.nn.Conditioning: (lambda: mp.nn.Conditioning(3, 4, init()), "3 -> 4"),
    mp.nn.Dropout: (lambda: mp.nn.Dropout(0.5), "0.5"),
    mp.nn.PReLU: (lambda: mp.nn.PReLU(4, init()), "4"),
    mp.nn.Top: (lambda: mp.nn.Top(RGB, 6, np.repeat(RGB, 4), init()), "layers: "),
    mp.Tensor: (lambda: mp.Tensor(np.zeros((3, 4, 5))), "float64 of shape (3, 4, 5)"),
    mp.ranks.Ranks: (lambda: mp.ranks.Ranks(), "rank 0 of 1"),
    mp.kernels.Kernel: (lambda: mp.kernels.im2col, "im2col"),
    mp.clock.Trace: (lambda: mp.clock.Trace(model("pixelcnn")), " nodes, from "),
    mp.clock.Clock: (lambda: mp.clock.Clock.of(model("pixelcnn")), " nodes, 36 steps, causal"),
    type(mp.check_causality(lambda x: x * 0, (2, 2, 1))): (
        lambda: mp.check_causality(model("pixelcnn")),
        "of PixelCNN: causal",
    ),
}
# What others derive from.
NO_ROW = {M.Model, mp.optim.Optimizer}


def public_classes():
    """Every class that a public module of the package offers, but for errors."""
    modules = [mp, *(getattr(mp, name) for name in mp.__all__ if inspect.ismodule(getattr(mp, name)))]
    offered = [getattr(module, name) for module in modules for name in getattr(module, "__all__", ())]
    return {kind for kind in offered if inspect.isclass(kind) and not issubclass(kind, Exception)}


def test_no_public_class_lacks_a_row():
    assert public_classes() - NO_ROW <= set(ROWS)


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_one_line(kind):
    make, *says = ROWS[kind]
    thing = make()
    line = repr(thing)
    assert isinstance(thing, kind)
    assert kind.__name__ in line or isinstance(thing, mp.optim.Schedule)  # that says which function made it
    assert all(part in line for part in says), line
    assert "\n" not in line and " at 0x" not in line and len(line) <= 200


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", ["", "class", "map"])
def test_every_part_of_every_model(name, kind):
    told = {"class": {"num_classes": 2}, "map": {"condition_shape": (4, 3, 2)}}.get(kind, {})
    parts = [M.MODELS[name](SHAPE, 4, **SMALL[name], **told)]
    for part in parts:
        for value in vars(part).values():
            parts += [item for item in (value if isinstance(value, list) else [value]) if hasattr(item, "__dict__")]
        line = repr(part)
        assert type(part).__name__ in line or inspect.isfunction(part)
        assert "\n" not in line and len(line) <= 200
        assert " at 0x" not in line or inspect.isfunction(part)


class Mine(mp.callbacks.Callback):
    def __init__(self, model, images, limit=3, hook=print):
        self.model, self._images, self.limit, self.hook = model, images, limit, hook


class Layer(mp.nn.Module):
    def __init__(self, init):
        self.weight = init.weight(3, 4)


def test_what_people_derive_shows_itself_too():
    line = repr(Mine(model("gated"), np.zeros((100, 28, 28, 1)), 4))
    assert re.fullmatch(
        r"Mine\(model=GatedPixelCNN: .{,60}, images=<float64 of shape \(100, 28, 28, 1\)>, limit=4\)", line
    )
    assert repr(Layer(init())) == "Layer(weight: 12 weights)"
    assert as_made(Mine(None, None, hook=short)) == "Mine(model=None, images=None, hook=short)"


def test_short():
    assert short("a" * 100) == f"'{'a' * 55} ..."
    assert short(np.float64(0.5)) == "0.5" and short(np.ones(3)) == "<float64 of shape (3,)>"
    assert short(object()) == "<object>"


PNG = b"\x89PNG\r\n"


def test_a_notebook_shows_pictures():
    history, ds = trained(), mp.datasets.load("digits")
    assert history._repr_png_().startswith(PNG) and ds._repr_png_().startswith(PNG)
    assert mp.History()._repr_png_() is None
    report = mp.check_causality(model("pixelcnn"))
    shown = report._repr_html_()
    assert shown.startswith("<pre>PixelCNN: causal") and 'src="data:image/png;base64,iVBOR' in shown
    assert str(report).count("\n") == shown.partition("</pre>")[0].count("\n")


def test_the_history_of_an_embedding():
    history = mp.History()
    history.append({"loss": 0.25})
    assert repr(history) == "History(1 step: loss 0.25)" and repr(mp.History()) == "History(0 steps)"
