"""Models to draw from: rows of kinds of model x heads x conditions x shapes; and all the ways to do it."""

import itertools

import numpy as np
import pytest
from model_table import CONDITIONS, KINDS, Case

from minipixel.heads import HEADS
from minipixel.kernels import numba_enabled
from minipixel.sampling import SAMPLERS, Cached, machine, program_of

GREY, RGB = ((5, 4, 1), (3, 5, 1), (1, 6, 1), (6, 1, 1), (4, 4, 1)), ((3, 4, 3), (1, 5, 3), (5, 1, 3), (3, 3, 3))
LEVELS = {"bernoulli": (2,), "categorical": (3, 5), "logistic_mixture": (2, 6, 256), "normal_mixture": (4, 2)}


def cases(step):
    """Each kind of model with every step-th of heads x conditions x shapes, each kind from another one on."""
    found = []
    for i, (name, variant) in enumerate(KINDS):
        cross = list(itertools.product(HEADS, CONDITIONS, (GREY, RGB)))
        for j, (head, told, shapes) in list(enumerate(cross))[11 * i % step :: step]:
            Q = LEVELS[head][(i + j) % len(LEVELS[head])]
            found.append((Case(name, shapes[(i + j // 2) % len(shapes)], Q, head, variant), told))
    return pytest.mark.parametrize(("case", "told"), found, ids=[f"{case.id}-{told}" for case, told in found])


def all_ways(monkeypatch):
    """The names of all ways to draw but the naive one, those of each executor by itself put into the table, too."""
    executors = {"plain": Cached} | ({"compiled": machine.Machine} if numba_enabled() else {})
    for (name, executor), wave in itertools.product(executors.items(), (False, True)):

        def sampler(model, executor=executor, wave=wave):
            return executor(program_of(model, wave)[0], model)

        monkeypatch.setitem(SAMPLERS, f"{name}, {'in waves' if wave else 'in order'}", sampler)
    return [name for name in SAMPLERS if name not in ("naive", "wavefront")]


def drawn(model, method, n, temperature=1.0, seed=0):
    """n samples, under conditions and by uniforms that depend on the seed alone."""
    condition = model.conditions.random(n, np.random.default_rng(seed))
    return model.sample(n, condition, rng=seed, temperature=temperature, method=method)
