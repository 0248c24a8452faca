"""Weights of PyTorch models in ours and back: the twins of benchmarks/ say the same of an image, to 1e-10."""

import re
from pathlib import Path

import numpy as np
import pytest
from interop_names import names_of
from model_table import shaken
from on_device import is_there, moved

import minipixel as mp
from minipixel.interop import Theirs, from_torch, to_torch

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn.utils.parametrizations import weight_norm  # noqa: E402

M = mp.models
TWINS = [
    ("pixelcnn", 1, {"hidden": 3, "blocks": 2}),
    ("gated", 1, {"filters": 4, "layers": 3}),
    ("row-lstm", 1, {"hidden": 3, "layers": 2}),
    ("diagonal-bilstm", 1, {"hidden": 3, "layers": 2, "phantom_column": False}),
    ("pixelcnnpp", 1, {"filters": 3, "resnets": 1, "hierarchies": 2}),
    ("pixelcnnpp", 3, {"filters": 3, "resnets": 2, "hierarchies": 1}),
]


@pytest.fixture(scope="module")
def training():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
        import torch_training

        return torch_training


def ours(name, C, options, rng=1, dtype="float64"):
    levels, head = (2, "bernoulli") if C == 1 else (7, "logistic_mixture")
    return shaken(M.MODELS[name]((8, 6, C), levels, **options, head=head, dtype=dtype, rng=rng), rng, 0.1)


def strange(twin):
    """The twin with random weights of its own, and junk in what its masks shut."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return twin.eval()


def said_by(training, twin, model, images):
    """The log-likelihoods of images under a twin: (N,), nats.

    That of mixtures is our head's, of the twin's parameters: the reference code's formula is another at the edges.
    """
    with torch.no_grad():
        if model.levels == 2:
            return [-float(training.nats(twin, training.scaled(model, image[None]), 2)) for image in images]
        parameters = twin(training.scaled(model, images)).numpy().transpose(2, 3, 0, 1)
    levels = images.transpose(1, 2, 0, 3)
    return model.head.log_prob(mp.Tensor(parameters), levels).data.sum(axis=(0, 1, 3))


@pytest.mark.parametrize(("name", "C", "options"), TWINS)
def test_a_twin_and_back(training, name, C, options):
    model = ours(name, C, options)
    twin, names = strange(training.twin_of(model)), names_of(model)
    images = np.random.default_rng(0).integers(0, model.levels, (5, 8, 6, C), dtype=np.uint8)
    theirs = said_by(training, twin, model, images)
    assert np.abs(model.log_prob(images) - theirs).min() > 1e-3  # another model before
    unused = from_torch(model, twin, names)
    assert all(name.endswith("mask") for name in unused)
    np.testing.assert_allclose(model.log_prob(images), theirs, rtol=1e-10, atol=1e-10)

    state = to_torch(model, twin, names)
    for key, value in twin.state_dict().items():
        mask = twin.state_dict().get(re.sub("weight$", "mask", key)) if key.endswith("weight") else None
        wanted = value if mask is None else value * mask
        assert state[key].dtype == value.dtype and torch.equal(state[key], wanted), key

    there = moved(ours(name, C, options, rng=2))
    assert from_torch(there, twin, names) == unused and is_there(there)
    again = to_torch(there, twin, names)
    assert all(torch.equal(again[key], value) for key, value in state.items())
    twin.load_state_dict(state)
    weights, again = model.state_dict(), ours(name, C, options, rng=2)
    from_torch(again, twin.state_dict(), names)
    for key, weight in again.state_dict().items():
        np.testing.assert_array_equal(weight, weights[key], err_msg=key)


def test_a_dictionary_of_names_and_another_precision(training):
    """float64 weights in a float32 model, bfloat16 ones in a float64 model, by names in a dict."""
    name, C, options = TWINS[0]
    model = ours(name, C, options, dtype="float32")
    names = {own: names_of(model)(own) for own in model.state_dict()}
    twin = training.twin_of(model)
    from_torch(model, twin.double(), names)
    from_torch(ours(*TWINS[0]), twin.to(torch.bfloat16), names)
    assert model.stem.weight.dtype == np.float32
    assert to_torch(model, twin, names)["0.weight"].dtype == torch.bfloat16


class Layers(nn.Module):
    """Layers as PyTorch has them, by name."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer.double())


def of_condition(layer):
    """What it adds to a map of zeros for the classes 0..3, and what ours adds after from_torch: (4, 5) each."""
    model = M.PixelCNN((2, 2, 1), 2, hidden=5, blocks=1, num_classes=4, dtype="float64")
    state = {**torch_like(model), "told.weight": layer.weight.detach()}
    from_torch(model, state, lambda name: "told.weight" if name == "blocks.0.told.weight" else name)
    return model.blocks[0].told.weight.data


def torch_like(model):
    """Our weights as a state dict of PyTorch's, under our names."""
    moved = {}
    for name, weight in model.state_dict().items():
        order = (*range(weight.ndim)[-2:][::-1], *range(weight.ndim)[:-2]) if weight.ndim > 1 else (0,)
        moved[name] = torch.tensor(weight.transpose(order).copy())
    return moved


@pytest.mark.parametrize("kind", ["linear", "1x1", "embedding"])
def test_conditions(kind):
    layer = {"linear": nn.Linear(4, 5, False), "1x1": nn.Conv2d(4, 5, 1, bias=False), "embedding": nn.Embedding(4, 5)}
    layer = layer[kind].double()
    labels = torch.arange(4)
    hot = nn.functional.one_hot(labels).double()
    with torch.no_grad():
        added = {
            "linear": lambda: layer(hot),
            "1x1": lambda: layer(hot[:, :, None, None])[:, :, 0, 0],
            "embedding": lambda: layer(labels),
        }[kind]()
    np.testing.assert_allclose(of_condition(layer), added.numpy())


def test_a_square_table_of_classes_has_to_say_what_it_is():
    model = M.PixelCNN((2, 2, 1), 2, hidden=4, blocks=1, num_classes=4, dtype="float64")
    state, table = torch_like(model), torch.randn(4, 4, dtype=torch.float64)
    state["blocks.0.told.weight"] = table
    with pytest.raises(ValueError, match=r"which may be nn\.Linear's or nn\.Embedding's; say mp\.interop\.Theirs"):
        from_torch(model, state)
    for layout, wanted in (("embedding", table), ("conv", table.T)):
        from_torch(model, state, lambda name, layout=layout: Theirs(name, layout if "told" in name else None))
        np.testing.assert_array_equal(model.blocks[0].told.weight.data, wanted)


def test_kernels_that_are_cropped_to_their_open_taps():
    """As many people write a Gated PixelCNN: 3x7 for 7x7 with mask A, 2x3 for 3x3, 1x3 for 1x7 and so on."""
    model = M.GatedPixelCNN((5, 5, 1), 2, filters=3, layers=2, dtype="float64")
    state = torch_like(model)
    rows = {"0.vertical": (3, 7), "1.vertical": (2, 3), "0.horizontal": (1, 3), "1.horizontal": (1, 2)}
    for name, (kh, kw) in rows.items():
        key = f"layers.{name}.weight"
        state[key] = state[key][:, :, :kh, :kw].contiguous()
    before, again = model.state_dict(), M.GatedPixelCNN((5, 5, 1), 2, filters=3, layers=2, dtype="float64", rng=5)
    from_torch(again, state)
    for name, weight in again.state_dict().items():
        np.testing.assert_array_equal(weight, before[name], err_msg=name)
    back = to_torch(again, state)
    assert all(torch.equal(back[name], state[name]) for name in state)
    state["layers.0.vertical.weight"] = state["layers.0.vertical.weight"][:, :, :2]
    with pytest.raises(ValueError, match=r"of shape \(6, 1, 2, 7\), wanted \(6, 1, 7, 7\) for layers\.0\.vertical"):
        from_torch(again, state)


def test_gates_in_the_order_of_torch():
    name, C, options = TWINS[2]
    model = ours(name, C, options)
    ofig = torch_like(model)
    ifgo = dict(ofig)
    of_gates = [key for key in ofig if ".lstm." in key]
    for key in of_gates:
        o, f, i, g = ofig[key].chunk(4)
        ifgo[key] = torch.cat([i, f, g, o])
    wanted, again = model.state_dict(), ours(name, C, options, rng=4)

    def names(key):
        return Theirs(key, gates="ifgo") if key in of_gates else key

    from_torch(again, ifgo, names)
    for key, weight in again.state_dict().items():
        np.testing.assert_array_equal(weight, wanted[key] * getattr(mask_of(again, key), "data", 1), err_msg=key)
    back = to_torch(again, ifgo, names)
    assert all(torch.equal(back[key], ifgo[key]) for key in of_gates if "see.weight" not in key)


def mask_of(model, name):
    """The mask of a weight, as an array in something that has `.data`; None if there is none."""
    from minipixel.interop.torch_weights import _holder

    layer, attribute = _holder(model, name)
    return mp.Tensor(layer.mask) if attribute == "weight" and hasattr(layer, "mask") else None


def test_an_embedding_network():
    """Whose last layer reads a flattened map, there with its channels first."""
    net = M.EmbeddingNet((6, 5, 1), 9, filters=3, layers=2, dimensions=4, dtype="float64")
    twin = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(54, 4)
    ).double()
    own = {"layers.0": "0", "layers.1": "2", "last": "5"}
    from_torch(net, twin, lambda name: f"{own[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}")
    images = np.random.default_rng(0).integers(9, size=(3, 6, 5, 1))
    with torch.no_grad():
        points = nn.functional.normalize(twin(torch.tensor(images.transpose(0, 3, 1, 2) / 4.0 - 1)))
    np.testing.assert_allclose(net.embed(images), points.numpy(), atol=1e-12)
    back = to_torch(net, twin, lambda name: f"{own[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}")
    assert all(torch.equal(back[key], value) for key, value in twin.state_dict().items())


def test_an_enlarging_layer_of_several_scales():
    """It is transposed there: nn.ConvTranspose2d has its inputs first."""
    model = M.MultiScale((4, 4, 1), 2, base="pixelcnn", hidden=2, layers=1, upsampled=3, dtype="float64")
    layer = nn.ConvTranspose2d(3, 3, 2, 2).double()
    state = {**torch_like(model), "upsampling.weight": layer.weight.detach(), "upsampling.bias": layer.bias.detach()}
    from_torch(model, state)
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 3))
    given = model.upsampling.weight.data, model.upsampling.bias.data
    y = mp.ops.transposed_conv2d(mp.Tensor(x), *given, size=(4, 4), stride=2, centre=(0, 0)).data
    with torch.no_grad():
        theirs = layer(torch.tensor(x.transpose(2, 3, 0, 1).copy())).numpy()
    np.testing.assert_allclose(y.transpose(2, 3, 0, 1), theirs, atol=1e-12)


def bad(change, names=None, **options):
    def call():
        model = M.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1, **options)
        state = torch_like(model)
        change(state)
        from_torch(model, state, names)

    return call


def nothing(state):
    pass


WRONG = {
    "a missing one": (
        bad(lambda s: s.pop("stem.bias")),
        "state_dict: got no 'stem.bias', wanted one for stem.bias of th",
    ),
    "its shape": (
        bad(lambda s: s.update({"stem.weight": torch.zeros(4, 1, 5, 5)})),
        "got stem.weight of shape (4, 1, 5, 5), wanted (4, 1, 7, 7) for stem.weight, which is of shape (7, 7, 1, 4)",
    ),
    "ours": (
        bad(lambda s: s.update({"stem.weight": torch.zeros(7, 7, 1, 4)})),
        "got stem.weight of shape (7, 7, 1, 4), wanted (4, 1, 7, 7) for stem.weight",
    ),
    "a 1x1": (
        bad(lambda s: s.update({"blocks.0.narrow.weight": torch.zeros(4, 2, 1, 1)})),
        "got blocks.0.narrow.weight of shape (4, 2, 1, 1), wanted (2, 4) for blocks.0.narrow.weight",
    ),
    "a bias": (
        bad(lambda s: s.update({"stem.bias": torch.zeros(2, 2)})),
        "stem.bias of shape (2, 2), wanted (4,) for stem",
    ),
    "nobody": (
        bad(nothing, {"stem.weight": "stem.weight"}),
        "names: got None for stem.bias, wanted its name in state_dict",
    ),
    "somebody else": (
        bad(nothing, {"stem.wieght": "x"}),
        "names: got one for 'stem.wieght', wanted names of model.state_d",
    ),
    "all the same": (
        bad(nothing, lambda name: "stem.bias"),
        "got stem.bias of shape (4,), wanted (4, 1, 7, 7) for stem.w",
    ),
    "twice": (
        bad(nothing, lambda name: name.replace("layers.1", "layers.0")),
        "names: got 'top.layers.0.weight' for both top.layers.0.weight and top.layers.1.weight, wanted another",
    ),
    "a layout": (
        bad(nothing, lambda name: Theirs(name, "NCHW")),
        "wanted a layout of 'conv', 'transposed', 'embedding'",
    ),
    "gates": (bad(nothing, lambda name: Theirs(name, gates="ifog" * 2)), "as gates the letters 'ofig' in some order"),
    "a path": (
        lambda: from_torch(M.PixelCNN((4, 4, 1), 2), "net.pt"),
        "state_dict: got 'net.pt', wanted one, or a torch",
    ),
    "a module": (
        lambda: from_torch(nn.Linear(2, 2), {}),
        "model: got Linear(in_features=2, out_features=2, bias=True), wan",
    ),
    "words": (bad(lambda s: s.update({"stem.bias": "abcd"})), "got stem.bias of shape (), wanted (4,) for stem.bias"),
}


@pytest.mark.parametrize("row", WRONG)
def test_what_does_not_go_together(row):
    call, said = WRONG[row]
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_length_for_each_input():
    """What weight_norm makes of nn.ConvTranspose2d unless it is told which axis is that of outputs."""
    model = M.PixelCNNpp((4, 4, 1), 2, filters=2, resnets=1, dtype="float64")
    wrong, right = (weight_norm(nn.ConvTranspose2d(2, 2, (2, 3)).double(), dim=dim) for dim in (0, 1))
    state = torch_like(model)
    for layer in (right, wrong):
        v, gain = layer.parametrizations.weight.original1.detach(), layer.parametrizations.weight.original0.detach()
        state |= {"level.enlarge.0.v": v, "level.enlarge.0.gain": gain}
        if layer is wrong:
            with pytest.raises(ValueError, match=r"got level\.enlarge\.0\.gain of shape \(2, 1, 1, 1\).*dim=1"):
                from_torch(model, state | transposed(state))
        else:
            from_torch(model, state | transposed(state))


def transposed(state):
    """The other enlarging layer, as ConvTranspose2d has it: `torch_like` takes all for convolutions."""
    return {"level.enlarge.1.v": state["level.enlarge.1.v"].transpose(0, 1).contiguous()}


def test_a_table_of_codes():
    """nn.Embedding in front of a model of codes, there and back."""
    model = M.PixelCNN((3, 3, 1), 7, hidden=2, blocks=1, inputs="embedding", embedding_width=4, dtype="float64")
    state, table = torch_like(model), nn.Embedding(7, 4).double()
    state["encoding.table"] = table.weight.detach()
    from_torch(model, state)
    np.testing.assert_array_equal(model.encoding.table.data[0], table.weight.detach().numpy())
