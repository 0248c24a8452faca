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

        return torch_training


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
