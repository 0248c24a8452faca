"""What benchmarks/gpu.py has done in processes of their own: a line of JSON for each model, before it and after it.

A process that ends early, or that a GPU's error has spoilt, costs one line; see gpu.py.
"""

import contextlib
import gc
import importlib.metadata
import json
import platform
import subprocess
import sys
import time
import traceback

import gpu_models
import numpy as np
from gpu_sampling import sampling, warm
from gpu_sides import Ours, Theirs, counted, rounds_to_tf32, timed, wall

import minipixel as mp
from minipixel import backend, stand_in
from minipixel.backend import to_cpu
from minipixel.errors import DeviceError

CLOSE = {"float64": 1e-10, "float32": 1e-4}
ROUND = 30  # milliseconds that the steps of a round are meant to take together
LAYOUTS = ("contiguous_format", "channels_last")


class Settings:
    """Sizes, and which libraries are there: `lacking` says for "ours" and "PyTorch" what is missing, in a line."""

    def __init__(self, on_stand_in, rounds):
        self.small, self.rounds, self.lacking = on_stand_in, rounds, {}
        self.times = 1 if on_stand_in else 5  # that what is timed by the clock on the wall is repeated
        self.torch_device = "cpu" if on_stand_in else "cuda"
        try:
            self.gpu = backend.gpu()
        except (ImportError, DeviceError) as error:
            self.lacking["ours"] = f"ours: left out, {error}"
        try:
            import torch
        except ImportError:
            self.lacking["PyTorch"] = "PyTorch: left out, since it is not installed; pip install torch"
        else:
            if not on_stand_in and not torch.cuda.is_available():
                self.lacking["PyTorch"] = (
                    f"PyTorch: left out, since {torch.__version__} sees no GPU; install its build for CUDA"
                )
            torch.backends.cudnn.benchmark = True
            if on_stand_in:
                torch.set_num_threads(1)  # tiny models, and other tests on the same cores

    def row(self, name):
        """A row, or a small one like it."""
        row = gpu_models.ROWS[name]
        return gpu_models.small(row) if self.small else row


def machine(names, settings):
    """What is measured on, and what cannot be."""
    versions = {"python": platform.python_version(), "minipixel": mp.__version__, "numpy": np.__version__}
    for name in ("cupy-cuda12x", "cupy-cuda13x", "cupy", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    found = {"gpu": getattr(settings, "gpu", ""), "versions": versions, "lacking": settings.lacking}
    if "PyTorch" not in settings.lacking:
        import torch

        found["versions"] |= {"CUDA of PyTorch": torch.version.cuda or "none", "cudnn": torch.backends.cudnn.version()}
        found["gpu"] = found["gpu"] or torch.cuda.get_device_name()
    if "ours" not in settings.lacking and not settings.small:
        import cupy

        found["versions"] |= {"CUDA of CuPy": cupy.cuda.runtime.runtimeGetVersion()}
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
            told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout
            found["versions"] |= {"driver": told.splitlines()[0]}
    yield "machine", found


def check(names, settings):
    """Loss and gradients of each model on the GPU beside the host, and three steps repeated to the bit."""
    for name in names:
        yield "begin", name
        row = gpu_models.CHECKED[name]
        apart = {dtype: _apart(row, dtype) for dtype in CLOSE}
        same = all(np.array_equal(*pair) for pair in zip(_trained(row), _trained(row), strict=True))
        good = same and all(apart[dtype] <= CLOSE[dtype] for dtype in CLOSE)
        yield name, {"apart": apart, "repeats": same, "good": good}


def _apart(row, dtype):
    """The largest difference of loss and gradients between the devices, as a share of the loss or largest gradient."""
    images, found = row.images(), []
    for device in ("cpu", "cuda"):
        model = row.model(device, dtype=dtype)
        for _ in range(2 if device == "cuda" else 1):  # the second time by graphs
            loss, gradients = model.value_and_gradients(images, rng=1)
        found.append((loss, np.concatenate([to_cpu(g).ravel() for g in gradients.values()])))
    (loss, host), (other, there) = found
    return float(max(abs(other - loss) / abs(loss), np.abs(there - host).max() / np.abs(host).max()))


def _trained(row, steps=3):
    """The weights after some steps on the GPU."""
    side = Ours(row.model(), row.images())
    for _ in range(steps):
        side.step()
    return list(side.model.state_dict().values())


def steps(names, settings, tf32=False):
    """Training steps of ours and of PyTorch in turns; then likelihoods, and what a step costs besides time."""
    if "PyTorch" not in settings.lacking:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    xp = None if "ours" in settings.lacking else backend.array_module(backend.to_device(np.zeros(1)))
    rounded = None if xp is None else rounds_to_tf32(xp)
    for name in names:
        yield "begin", name
        row, sides, found = settings.row(name), {}, {"rounded to TF32": rounded}
        if "PyTorch" not in settings.lacking:
            sides["PyTorch"], found["layout"] = _faster_layout(row, settings)
        if xp is not None:
            sides["ours"] = Ours(row.model(), row.images())
        many = {who: _warm(side) for who, side in sides.items()}
        found |= {"steps of a round": many, "MiB": {who: side.memory() for who, side in sides.items()}}
        rounds = {who: [] for who in sides}
        for _ in range(settings.rounds):
            for who, side in sides.items():
                rounds[who].append(timed(side, many[who]))
        found["ms"] = {who: [device for device, _ in times] for who, times in rounds.items()}
        found["wall ms"] = {who: [clock for _, clock in times] for who, times in rounds.items()}
        yield name, found
        if not tf32:
            seconds = {who: wall(side.likelihoods, settings.times) for who, side in sides.items()}
            yield name, {"images a second": {who: row.batch / s for who, s in seconds.items()}}
            yield name, {"a step": {who: counted(side) for who, side in sides.items()}}
        sides, side = {}, None  # their memory is free for the next row
        gc.collect()


def _warm(side):
    """Take steps until all is compiled, captured and chosen; how many of them make a round."""
    timed(side, 3)
    return int(np.clip(ROUND / max(timed(side, 1)[0], 1e-3), 1, 10))


def _faster_layout(row, settings):
    """The twin in the memory layout in which a step is faster, and that layout's name."""
    found = {}
    for layout in LAYOUTS:
        side = Theirs(row.model(), row.images(), layout, settings.torch_device)
        timed(side, 3)
        found[layout] = timed(side, 3)[0]
        del side
    layout = min(found, key=found.get)
    return Theirs(row.model(), row.images(), layout, settings.torch_device), layout


def compiled(names, settings):
    """The twin's step by torch.compile, which captures CUDA graphs as well."""
    for name in names if "PyTorch" not in settings.lacking else ():
        yield "begin", name
        row, began = settings.row(name), time.perf_counter()
        mode = {"mode": "reduce-overhead"}
        side = Theirs(row.model(), row.images(), device=settings.torch_device, compiled=mode)
        many = _warm(side)
        seconds = time.perf_counter() - began
        rounds = [timed(side, many) for _ in range(settings.rounds)]
        yield name, {"ms": [device for device, _ in rounds], "seconds to compile": seconds}


def counts(names, settings):
    """Launches, waits and copies of a step, exact, on the stand-in: of a model as deep, and one image as large.

    Neither depends on how many channels or images there are. A C++ compiler builds the kernels.
    """
    with contextlib.nullcontext() if settings.small else stand_in.installed():
        for name in names:
            yield "begin", name
            row = settings.row(name) if settings.small else gpu_models.narrow(gpu_models.ROWS[name])
            side = Ours(row.model(), row.images(1))
            for _ in range(2):
                side.step()
            yield name, counted(side)


def tf32(names, settings):
    """Steps with products in TF32 on both sides."""
    return steps(names, settings, tf32=True)


PHASES = {phase.__name__: phase for phase in (machine, check, steps, tf32, counts, warm, sampling, compiled)}


def main():
    """Do a phase for some models: PHASE ROUNDS stand-in|card NAME ..."""
    phase, rounds, where, *names = sys.argv[1:]
    out, sys.stdout = sys.stdout, sys.stderr  # nothing but findings goes out

    def say(*finding):
        print(json.dumps(finding), file=out, flush=True)

    at = phase
    with stand_in.installed() if where == "stand-in" else contextlib.nullcontext():
        try:
            for name, found in PHASES[phase](names, Settings(where == "stand-in", int(rounds))):
                at = found if name == "begin" else at
                say(name, found)
        except Exception as error:  # also in another library: the next model has a process without it
            traceback.print_exc()
            say(at, {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]})
            sys.exit(1)


if __name__ == "__main__":
    main()
