"""A prior over codes: milliseconds of a training step, and of drawing, ours beside the same model in PyTorch.

Run: python benchmarks/codes.py               two idle cores, since others spoil it; --help for other sizes

A class-conditional Gated PixelCNN over grids of 16x16 codes of 512 levels, batches of 64 grids, ten classes. Ours reads
the codes by inputs="embedding" and by inputs="one_hot"; the twin (torch_codes.py) by nn.Embedding as wide as ours.
Both start from the same weights, and before anything is timed their losses must agree. Ours is `mp.fit` itself, with a
worker a core; the twin's step is zero_grad, forward, loss, backward and PyTorch's fused Adam, in both memory layouts,
of which the faster counts. All take turns; a figure is the median of all rounds. Drawing is measured in forward passes
of the twin, under inference mode, of as many grids: the usual loop makes one for each of the 256 codes.
"""

import argparse
import functools
import os
import time

import numpy as np
import torch
import torch_codes
from training_models import fit

import minipixel as mp

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
LAYOUTS = ("contiguous_format", "channels_last")
CLASSES = 10


def ours(inputs, side, levels, filters, layers, width, dtype="float32"):
    """Our model of that size."""
    sizes = {"filters": filters, "layers": layers, "embedding_width": width}
    shape = side, side, 1
    return mp.models.GatedPixelCNN(shape, levels, inputs=inputs, num_classes=CLASSES, dtype=dtype, **sizes)


def grids(n, side, levels):
    """Codes that are drawn at random, no time depends on them: uint16 (n, side, side, 1); and labels (n,)."""
    rng = np.random.default_rng(0)
    return rng.integers(0, levels, (n, side, side, 1)).astype(np.uint16), rng.integers(0, CLASSES, n)


def given(codes, labels):
    """The same as PyTorch wants them: (n, side, side) and (n,), int64."""
    return torch.tensor(codes[..., 0].astype(np.int64)), torch.tensor(labels)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def stepping(twin, codes, labels):
    """A training step of the twin, to be taken again and again."""
    optimizer = torch.optim.Adam(twin.parameters(), fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        torch_codes.nats(twin, codes, labels).backward()
        optimizer.step()

    return step


def measure(options):
    """Seconds by what was timed, a list each."""
    sizes = options.side, options.levels, options.filters, options.layers, options.width
    codes, labels = grids(options.batch, options.side, options.levels)
    models = {inputs: ours(inputs, *sizes) for inputs in ("embedding", "one_hot")}
    theirs = float(torch_codes.nats(torch_codes.twin_of(models["embedding"]), *given(codes[:4], labels[:4])).detach())
    mine = float(models["embedding"].loss(codes[:4], labels[:4]).data)
    if abs(mine - theirs) > 1e-4 * mine:
        raise ValueError(f"codes: got losses of {mine} and {theirs}, wanted the same, of the same model")
    twins = {}
    for layout in LAYOUTS:
        twin = torch_codes.twin_of(models["embedding"]).to(memory_format=getattr(torch, layout))
        twins[layout] = twin, stepping(twin, *given(codes, labels))
    several = np.tile(codes, (options.steps, 1, 1, 1)), np.tile(labels, options.steps)
    found = {}

    def note(what, values):
        found.setdefault(what, []).extend(values)

    for round_ in range(options.rounds + 1):
        if round_ == 1:
            found.clear()  # the first one compiled, and filled caches
        for inputs, model in models.items():
            note(f"step, {inputs}", fit(model, several[0], options.batch, mp.optim.Adam(), condition=several[1]))
            draw = functools.partial(model.sample, options.batch, labels, rng=round_)
            note(f"draw, {inputs}", [seconds(draw) for _ in range(2)])
        torch.set_num_threads(options.threads)
        for layout, (twin, step) in twins.items():
            note(f"step, PyTorch {layout}", [seconds(step) for _ in range(options.steps)])
            with torch.inference_mode():
                forward = functools.partial(twin, *given(codes, labels))
                note(f"forward, PyTorch {layout}", [seconds(forward) for _ in range(options.steps)])
    return found


def lines(found):
    """The table."""
    median = {what: float(np.median(values)) for what, values in found.items()}
    step, forward = (min(median[f"{what}, PyTorch {layout}"] for layout in LAYOUTS) for what in ("step", "forward"))
    yield f"{'':12}{'step, ms':>10}{'of PyTorch':>12}{'draw, ms':>10}{'in its forward passes':>24}"
    for inputs in ("embedding", "one_hot"):
        mine, draw = median[f"step, {inputs}"], median[f"draw, {inputs}"]
        yield f"{inputs:12}{1e3 * mine:>10.0f}{mine / step:>12.2f}{1e3 * draw:>10.0f}{draw / forward:>24.1f}"
    yield f"{'PyTorch':12}{1e3 * step:>10.0f}{1:>12.2f}{'':10}{1:>24.1f}    a forward pass {1e3 * forward:.0f} ms"


def main():
    parser = argparse.ArgumentParser(description="A prior over codes, ours and PyTorch's, side by side.")
    for name, default in (("side", 16), ("levels", 512), ("filters", 32), ("layers", 7), ("width", 16), ("batch", 64)):
        parser.add_argument(f"--{name}", type=int, default=default, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps of each in a round")
    parser.add_argument("--threads", type=int, default=CORES, help="of PyTorch")
    print(*lines(measure(parser.parse_args())), sep="\n")


if __name__ == "__main__":
    main()
