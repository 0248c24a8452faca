"""Random numbers by key: they depend on the seed and on their purpose, and not on which thread draws them, or when."""

from typing import Any

import numpy as np

from minipixel.randomness import seed_sequence

SHUFFLE, TRANSFORM, DROPOUT, TRIPLETS, VALIDATION = range(5)
"""What a stream is for: the first part of its key."""


class Streams:
    """Generators keyed by (purpose, epoch, step, ...), all from one `rng`: None, int, SeedSequence or Generator."""

    def __init__(self, rng: Any) -> None:
        self._root = seed_sequence(rng)

    @property
    def root(self) -> dict[str, Any]:
        """The seed of all streams as plain values: `Streams(SeedSequence(**root))` has the same streams."""
        entropy: Any = self._root.entropy
        whole = int(entropy) if isinstance(entropy, (int, np.integer)) else [int(word) for word in entropy]
        return {"entropy": whole, "spawn_key": [int(key) for key in self._root.spawn_key]}

    def __call__(self, *key: int) -> np.random.Generator:
        """The generator of a key. Each call gives a new generator that starts at the beginning."""
        root = self._root
        return np.random.default_rng(np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *key)))
