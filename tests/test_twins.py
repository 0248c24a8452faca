"""The PyTorch models that the benchmarks time compute the same function, of as many weights, as ours do."""

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
        import torch_training

        yield torch_training


@pytest.mark.parametrize(
    ("name", "by_index"), [*((name, False) for name in OPTIONS), ("row-lstm", True), ("diagonal-bilstm", True)]
)
def test_twin(twins, monkeypatch, name, by_index):
    monkeypatch.setattr(twins.torch_twins.LSTM, "by_index", by_index)
    options = OPTIONS[name]
    model = models.MODELS[name](
        (8, 6, 1), 2, **options, **OURS_ALONE.get(name, {}), head="bernoulli", dtype="float64", rng=1
    )
    rng = np.random.default_rng(0)
    for parameter in model.parameters():  # biases start at zero, gains at one: both would agree by chance
        parameter.data = parameter.data + rng.uniform(-0.1, 0.1, parameter.shape)
    twin = twins.twin_of(model).eval()
    assert sum(parameter.numel() for parameter in twin.parameters()) == model.num_parameters

    images = rng.integers(0, 2, (3, 8, 6, 1), dtype=np.uint8)
    with torch.inference_mode():
        logits = twin(torch.tensor(images.transpose(0, 3, 1, 2) * 2.0 - 1)).numpy()
    ours = model.predict(images).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(logits, ours, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["pixelcnn", "gated", "row-lstm", "diagonal-bilstm"])
def test_the_twin_of_colours_has_our_loss_and_gradients(twins, name):
    """Its masks are ours, those of its 1x1 layers included: a closed weight has no gradient in either."""
    model = models.MODELS[name]((5, 4, 3), 7, **OPTIONS[name] | OURS_ALONE.get(name, {}), dtype="float64", rng=1)
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.data = parameter.data + rng.uniform(-0.1, 0.1, parameter.shape)
    images = rng.integers(0, 7, (3, 5, 4, 3), dtype=np.uint8)
    twin = twins.twin_of(model)
    theirs = twins.nats(twin, twins.scaled(model, images), 7, "categorical")
    theirs.backward()
    loss, gradients = model.value_and_gradients(images)
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-12)
    mine = np.sort([float((g**2).sum()) for g in gradients.values()])
    others = np.sort([float((p.grad**2).sum()) for p in twin.parameters()])
    np.testing.assert_allclose(mine, others, rtol=1e-8)


def test_the_twin_of_codes_has_our_loss_and_gradients(twins):
    """The one that reads codes by nn.Embedding, and is told a class (benchmarks/torch_codes.py)."""
    import torch_codes

    options = {"filters": 4, "layers": 3, "inputs": "embedding", "embedding_width": 3, "num_classes": 3}
    model = models.GatedPixelCNN((5, 4, 1), 7, **options, dtype="float64")
    rng = np.random.default_rng(0)
    codes, labels = rng.integers(0, 7, (6, 5, 4, 1)), rng.integers(0, 3, 6)
    twin = torch_codes.twin_of(model)
    assert sum(parameter.numel() for parameter in twin.parameters()) == model.num_parameters
    theirs = torch_codes.nats(twin, torch.tensor(codes[..., 0]), torch.tensor(labels))
    theirs.backward()
    loss, gradients = model.value_and_gradients(codes, labels)
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-12)
    np.testing.assert_allclose(gradients["encoding.table"][0], twin.table.weight.grad.numpy(), rtol=1e-9, atol=1e-12)
    told = twin.layers[1].told_horizontal.weight.grad.numpy()
    np.testing.assert_allclose(gradients["layers.1.told_horizontal.weight"], told, rtol=1e-9, atol=1e-12)
