"""The random numbers of dropout in training, which are computed from counters.

Ordinary random numbers depend on all numbers drawn before them, and so on how a batch was split, and on the order of
the work. A counter-based generator is a function of a key and a counter, whose values look random. Here the counter
says for which image, layer, pixel and channels the numbers are. So they can be computed anywhere, in any order, and
again.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", SC11; Philox4x32 with 10 rounds.
"""

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from minipixel import kernels

WORD, LOW = np.uint64(32), np.uint64(2**32 - 1)
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)  # the golden ratio, and the square root of 3, less 1
ROUNDS = 10


def philox(counter: tuple[Any, Any, Any, Any], key: Any) -> tuple[Any, Any, Any, Any]:
    """Philox4x32-10: four random words of 32 bits from a counter of four such words and a key of two.

    Words are uint64 below 2**32, single numbers or arrays of shapes that broadcast.
    """
    a, b, c, d = counter
    first, second = np.uint64(key[0]), np.uint64(key[1])
    for turn in np.arange(ROUNDS, dtype=np.uint64):
        p, q = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        of_round = (first + turn * KEY_STEPS[0]) & LOW, (second + turn * KEY_STEPS[1]) & LOW
        a, b, c, d = (q >> WORD) ^ b ^ of_round[0], q & LOW, (p >> WORD) ^ d ^ of_round[1], p & LOW
    return a, b, c, d


def sixteen_bits(pixels: int, N: int, K: int, *, first: int, layer: int, key: Any) -> np.ndarray:
    """A random number of 16 bits for each pixel, image and channel: uint64 (pixels, N, K).

    The counter (pixel, channel // 8, layer, image) gives four words: the numbers of eight channels, the lower half of
    each word before its upper half. `first` is the number of the first image.
    """
    pixel, image, octet = (x.astype(np.uint64) for x in np.ogrid[:pixels, first : first + N, : -(-K // 8)])
    words = philox((pixel, octet, np.uint64(layer), image), key)
    halves = [half for word in words for half in (word & np.uint64(0xFFFF), word >> np.uint64(16))]
    return np.stack(halves, axis=-1).reshape(pixels, N, -1)[..., :K]


def threshold_of(rate: float) -> int:
    """The smallest number of 16 bits that means "kept"; the rate is met within 2 ** -17, and exactly at 0.5."""
    return round(rate * 2**16)


class Draws(np.random.Generator):
    """The `rng` of a forward pass in training, for N images of which the first is number `first` of its batch.

    The results of `keep` depend on the `key` (two uint32), and on the image, layer, pixel and channel, but not on how
    the batch is split into shards, on the thread, or on the time. A forward pass of your own may also draw from it as
    from any Generator; such numbers depend on the key and on `first`.
    """

    def __init__(self, key: Any, first: int = 0) -> None:
        self.key, self.first = np.array(key, np.uint32), first
        self.layers = 0
        """How many layers have drawn from it: the number of the next one."""
        super().__init__(np.random.PCG64(np.random.SeedSequence([*map(int, self.key), first])))

    @classmethod
    def of(cls, rng: np.random.Generator, first: int = 0) -> "Draws":
        """The given Draws itself, or for any other Generator a new one, whose key is drawn from that."""
        return rng if isinstance(rng, Draws) else cls(rng.integers(0, 2**32, size=2, dtype=np.uint32), first)

    def keep(self, rate: float, shape: tuple[int, ...]) -> np.ndarray:
        """Which numbers of a map (H, W, N, K) the next layer keeps: each is True with probability 1 - rate.

        In any shape the last axis is that of channels, the one before it that of images, and all others together are
        the pixels: (N, K) are N images of one pixel, and (K,) is one such image. Maps with other axes are possible, but
        their random numbers depend on how the batch is split.
        """
        layer, self.layers = self.layers, self.layers + 1
        *pixels, N, K = (1, 1, *shape)
        size = math.prod(pixels), N, K
        if kernels.numba_enabled():
            from minipixel.kernels.philox import kept

            drawn = np.empty(math.prod(size), bool)
            kept(drawn, *size, self.first, layer, self.key, threshold_of(rate))
        else:
            drawn = sixteen_bits(*size, first=self.first, layer=layer, key=self.key) >= threshold_of(rate)
        return drawn.reshape(shape)

    def spawn(self, n_children: int) -> list[np.random.Generator]:
        """New plain Generators, as every Generator can spawn them."""
        return [np.random.Generator(of_child) for of_child in self.bit_generator.spawn(n_children)]


class Kept:
    """A placeholder for the result of `keep` while a pass in training is traced: `layer` and `rate` define it.

    Two placeholders are equal if these two are, whatever the number of images. It has a shape, and for `ops.dropout`
    all of it is True; any other use of its values calls the `looked` of its TracedDraws.
    """

    def __init__(self, draws: "TracedDraws", layer: int, rate: float, shape: tuple[int, ...]) -> None:
        self.draws, self.layer, self.rate, self.shape = draws, layer, rate, tuple(shape)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        self.draws.looked()
        return np.ones(self.shape, dtype or bool)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Kept):
            return (self.layer, self.rate) == (other.layer, other.rate)
        self.draws.looked()
        return False

    def __hash__(self) -> int:
        return hash((self.layer, self.rate))

    def __repr__(self) -> str:
        return f"Kept(layer {self.layer}, rate {self.rate}, {'x'.join(map(str, self.shape))})"


class TracedDraws(np.random.Generator):
    """The `rng` of a traced pass in training, which returns placeholders and draws nothing.

    `refuse(what)` is called with the name of any other method of a Generator, and `looked()` before the values of a
    placeholder are used; both raise an error if that is not allowed.
    """

    def __init__(self, refuse: Callable[[str], NoReturn], looked: Callable[[], None]) -> None:
        self.refuse, self.looked, self.layers = refuse, looked, 0
        super().__init__(np.random.PCG64())  # who gets round this class sees other numbers in each pass

    def keep(self, rate: float, shape: tuple[int, ...]) -> Kept:
        """A placeholder for what the next layer keeps of a map: see Draws.keep."""
        self.layers += 1
        return Kept(self, self.layers - 1, rate, shape)

    def __getattribute__(self, name: str) -> Any:
        if name in OF_EVERY_GENERATOR:
            self.refuse(name)
        return super().__getattribute__(name)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self.refuse("copy")

    def __repr__(self) -> str:
        return f"TracedDraws({self.layers} layers so far)"

    __str__ = __repr__


OF_EVERY_GENERATOR = {name for name in dir(np.random.Generator) if not name.startswith("__")}
