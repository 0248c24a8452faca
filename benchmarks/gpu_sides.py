"""Training steps on a GPU, ours and PyTorch's: both are marked, counted and weighed through the same few methods."""

import contextlib
import gc
import time

import numpy as np

import minipixel as mp
from minipixel import backend, stand_in
from minipixel.draws import Draws
from minipixel.kernels.cuda import Kernels
from minipixel.models.step import Batch
from minipixel.shards import Workers
from minipixel.training.fit import _step


class Ours:
    """What `fit` does with a batch of the host: forward, backward, Adam, and the check that all is finite."""

    def __init__(self, model, images):
        self.taken = _in_use(backend.array_module(backend.to_device(np.zeros(1))))
        self.model, self.images = model.to("cuda"), images
        self.xp, self.optimizer, self.steps = model.xp, mp.optim.Adam(), 0
        self.pool = Workers(1, device="cuda")

    def step(self):
        """One step."""
        self.steps += 1
        batch = Batch(self.images, None, None, lambda part: Draws((self.steps, 0), part.start))
        _step(self.model, batch, self.optimizer, self.pool)

    def likelihoods(self):
        """log p of each image of the batch, as validation computes it."""
        self.model.log_prob(self.images)

    def mark(self):
        """A mark in the device's stream of work."""
        event = self.xp.cuda.Event()
        event.record()
        return event

    def between(self, start, end):
        """Milliseconds of the device from one mark to another."""
        return self.xp.cuda.get_elapsed_time(start, end)

    def wait(self):
        """Until all work is done."""
        self.xp.cuda.Device().synchronize()

    def memory(self):
        """MiB that CuPy has taken from the device since this was made; None on the stand-in."""
        pool = _pool(self.xp)
        return None if pool is None else (pool.total_bytes() - self.taken) / 2**20


def _pool(xp):
    return xp.get_default_memory_pool() if xp.__name__ == "cupy" else None


def _in_use(xp):
    """The bytes that CuPy holds once it has given back what is free; 0 on the stand-in."""
    gc.collect()
    if (pool := _pool(xp)) is None:
        return 0
    pool.free_all_blocks()
    return pool.total_bytes()


class Theirs:
    """A step of the twin (torch_training.py), on a batch that lies ready as floats; on the CPU a mark is a time."""

    def __init__(self, model, images, layout="contiguous_format", device="cuda", compiled=None):
        import torch
        import torch_training

        self.torch, self.twins, self.on_gpu = torch, torch_training, device != "cpu"
        if self.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self.of_step = torch_training.Step(model, images, layout, device, compiled)
        self.step = self.of_step

    def likelihoods(self):
        """The mean log p of the batch, read on the host."""
        step = self.of_step
        step.twin.eval()
        with self.torch.inference_mode():
            self.twins.nats(step.twin, step.x, step.levels, step.head).item()
        step.twin.train()

    def mark(self):
        """A mark in the device's stream of work."""
        if not self.on_gpu:
            return time.perf_counter()
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start, end):
        """Milliseconds of the device from one mark to another."""
        return start.elapsed_time(end) if self.on_gpu else 1e3 * (end - start)

    def wait(self):
        """Until all work is done."""
        if self.on_gpu:
            self.torch.cuda.synchronize()

    def memory(self):
        """MiB that its tensors have taken at the peak; None on the CPU."""
        return self.torch.cuda.max_memory_allocated() / 2**20 if self.on_gpu else None


def timed(side, steps):
    """Milliseconds of a step, by the device's marks and by the clock on the wall: the mean of so many in a row."""
    side.wait()
    began, start = time.perf_counter(), side.mark()
    for _ in range(steps):
        side.step()
    end = side.mark()
    side.wait()
    return side.between(start, end) / steps, 1e3 * (time.perf_counter() - began) / steps


def wall(call, times=5):
    """The median of seconds by the clock on the wall, after a call that compiles and traces."""
    call()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def counted(side):
    """Launches, kernels within graphs, waits and copies of one step; exact on the stand-in, else PyTorch's profiler's.

    The profiler sees all kernels and all calls of the CUDA runtime in this process, CuPy's as well. There `kernels`
    has those of graphs and others together.
    """
    if isinstance(side, Ours) and side.xp.__name__ != "cupy":
        with stand_in.counted() as counts:
            side.step()
        kernels = counts.launches + counts.graph_nodes
        found = {"launches": counts.launches, "kernels": kernels, "waits": counts.waits}
        return found | {"copies": counts.to_device.copies + counts.to_host.copies, "by": "the stand-in"}
    with contextlib.suppress(ImportError):
        import torch

        if not torch.cuda.is_available():
            return None
        kinds = torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA
        with torch.profiler.profile(activities=kinds) as profile:
            side.step()
            side.wait()
        events = profile.events()
        on_device = [event.name for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
        calls = [event.name for event in events if event.device_type == torch.autograd.DeviceType.CPU]
        moved = [name for name in on_device if name.startswith(("Memcpy", "Memset"))]
        return {
            "launches": sum("LaunchKernel" in name or "GraphLaunch" in name for name in calls),
            "kernels": len(on_device) - len(moved),
            "waits": sum(name.endswith(("StreamSynchronize", "EventSynchronize")) for name in calls),
            "copies": sum("HtoD" in name or "DtoH" in name for name in moved),
            "by": "PyTorch's profiler",
        }
    return None


def rounds_to_tf32(xp):
    """Whether our products of float32 lose the digits that TF32 has not."""
    odd = xp.full((256, 256), np.float32(1 + 2**-20), "float32")  # TF32 has ten bits after the point
    out = xp.empty((256, 256), "float32")
    Kernels(xp, "float32").product(odd, xp.ones_like(odd), out)()
    return bool(float(out[0, 0]) == 256.0)
