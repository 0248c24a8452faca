"""Drawing images beside a GPU and on it: two of the phases of benchmarks/gpu.py, for gpu_work.py."""

import functools

import gpu_models
import numpy as np
from gpu_sides import wall

PLACES = 8
BATCHES = (1, 16, 256)


def sampling(names, settings):
    """Seconds to draw 1, 16 and 256 images: the machines of host and GPU, and naive loops, foretold from some pixels.

    A naive sampler makes a forward pass of the whole images for each pixel, always the same.
    """
    for name in names:
        yield "begin", name
        row, times = gpu_models.binary(settings.row(name)), settings.times
        model = None if "ours" in settings.lacking else row.model("cuda")
        twin = None
        if "PyTorch" not in settings.lacking:
            import torch_training

            twin = torch_training.twin_of(row.model()).eval().to(settings.torch_device)
        for n in BATCHES[:2] if settings.small else BATCHES:
            seconds = {}
            if model is not None:
                seconds["naive"] = _naive(model, n, times)
                few = times if n < BATCHES[-1] else 1
                seconds["host"] = wall(functools.partial(model.sample, n, rng=0), few)
                seconds["GPU"] = wall(functools.partial(model.sample, n, rng=0, method="cached"), few)
            if twin is not None:
                seconds["PyTorch naive"] = _naive_twin(twin, row, n, settings)
            yield name, {str(n): seconds}


def warm(names, settings):
    """Draw an image on the host, so that Numba has compiled its loops and stored them when they are timed."""
    for name in names:
        gpu_models.binary(settings.row(name)).model().sample(1, rng=0)
        yield name, {}


def _naive(model, n, times):
    """Seconds of the naive loop on the GPU, from those of some pixels."""
    H, W, C = model.image_shape
    known = np.ones(H * W, bool)
    known[np.linspace(0, H * W - 1, PLACES).astype(int)] = False
    blank, known = np.zeros((n, H, W, C), np.uint8), known.reshape(H, W)
    return wall(lambda: model.complete(blank, known, rng=0, method="naive"), times) * H * W / PLACES


def _naive_twin(twin, row, n, settings):
    """The same of the twin."""
    import torch
    import torch_twins
    from torch.nn.utils import parametrize

    H, W, _ = row.shape
    images = torch.zeros(n, 1, H, W, device=settings.torch_device)

    def some():
        for place in np.linspace(0, H * W - 1, PLACES).astype(int):
            torch_twins.naive_step(twin, images, *divmod(int(place), W))
        if settings.torch_device != "cpu":
            torch.cuda.synchronize()

    with torch.inference_mode(), parametrize.cached():
        return wall(some, settings.times) * H * W / PLACES
