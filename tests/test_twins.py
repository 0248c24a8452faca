"""The PyTorch models that benchmarks/sampling.py times compute the same function, of as many weights, as ours do."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from minipixel import models

torch = pytest.importorskip("torch")

OPTIONS = {
    "pixelcnn": {"hidden": 3, "blocks": 2},
    "gated": {"filters": 4, "layers": 3},
    "row-lstm": {"hidden": 3, "layers": 2},
    "diagonal-bilstm": {"hidden": 3, "layers": 2},
    "pixelcnnpp": {"filters": 3, "resnets": 1, "hierarchies": 2},
}
OURS_ALONE = {"diagonal-bilstm": {"phantom_column": False}}  # the twin is the model as published


@pytest.fixture(scope="module")
def twins():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
        import torch_twins

        return torch_twins.TWINS


def effective_weights(model):
    """Layer by layer, in order, the weight that multiplies the input, and the bias if there is one."""
    for _, named in itertools.groupby(model.named_parameters(), key=lambda item: item[0].rpartition(".")[0]):
        layer = {name.rpartition(".")[2]: parameter.data for name, parameter in named}
        weight = layer.pop("v") if "v" in layer else layer.pop("weight")
        if "gain" in layer:
            weight = weight * layer.pop("gain") / np.sqrt((weight**2).sum(axis=tuple(range(weight.ndim - 1))))
        yield weight, layer.pop("bias", None)
        assert not layer


def give(twin, model):
    """Copy our weights into the twin, whose layers are in the same order."""
    kinds = torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.ConvTranspose2d
    layers = [layer for layer in twin.modules() if isinstance(layer, kinds)]
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, effective_weights(model), strict=True):
            channels = (-2, -1) if isinstance(layer, torch.nn.ConvTranspose2d) else (-1, -2)
            theirs = np.moveaxis(weight, channels, (0, 1)).copy()
            if hasattr(layer, "parametrizations"):  # weight normalisation splits what it is given
                layer.weight = torch.tensor(theirs.reshape(layer.weight.shape))
            else:
                layer.weight.copy_(torch.tensor(theirs.reshape(layer.weight.shape)))
            assert (bias is None) == (layer.bias is None)
            if bias is not None:
                layer.bias.copy_(torch.tensor(bias))


@pytest.mark.parametrize("name", OPTIONS)
def test_twin(twins, name):
    options = OPTIONS[name]
    model = models.MODELS[name](
        (8, 6, 1), 2, **options, **OURS_ALONE.get(name, {}), head="bernoulli", dtype="float64", rng=1
    )
    rng = np.random.default_rng(0)
    for parameter in model.parameters():  # biases start at zero, gains at one: both would agree by chance
        parameter.data = parameter.data + rng.uniform(-0.1, 0.1, parameter.shape)
    twin = twins[name](**options).double().eval()
    assert sum(parameter.numel() for parameter in twin.parameters()) == model.num_parameters
    give(twin, model)

    images = rng.integers(0, 2, (3, 8, 6, 1), dtype=np.uint8)
    with torch.inference_mode():
        logits = twin(torch.tensor(images.transpose(0, 3, 1, 2) * 2.0 - 1)).numpy()
    ours = model.predict(images).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(logits, ours, rtol=1e-10, atol=1e-10)
