"""What a pass in training draws: which numbers of a map dropout keeps, by counter and not in turn.

Numbers that are drawn in turn depend on all that was drawn before: on how a batch was cut, on the order of the work. A
counter-based generator is a function instead, of a key and a counter, which looks random. The counter here says which
numbers are meant: of which image, layer, pixel and channels. So they can be drawn anywhere, in any order, and twice.

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
    """Philox4x32-10: four words of 32 bits for a counter of four such words, and a key of two.

    Words are uint64 below 2**32, single or arrays of shapes that broadcast.
    """
    a, b, c, d = counter
    first, second = np.uint64(key[0]), np.uint64(key[1])
    for turn in np.arange(ROUNDS, dtype=np.uint64):
        p, q = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        of_round = (first + turn * KEY_STEPS[0]) & LOW, (second + turn * KEY_STEPS[1]) & LOW
        a, b, c, d = (q >> WORD) ^ b ^ of_round[0], q & LOW, (p >> WORD) ^ d ^ of_round[1], p & LOW
    return a, b, c, d


def sixteen_bits(pixels: int, N: int, K: int, *, first: int, layer: int, key: Any) -> np.ndarray:
    """A number of 16 bits for each pixel, image and channel: uint64 (pixels, N, K).

    The counter (pixel, channel // 8, layer, image) gives four words: the numbers of eight channels, the lower half of
    each word before its upper half. `first` is the number of the first image.
    """
    pixel, image, octet = (x.astype(np.uint64) for x in np.ogrid[:pixels, first : first + N, : -(-K // 8)])
    words = philox((pixel, octet, np.uint64(layer), image), key)
    halves = [half for word in words for half in (word & np.uint64(0xFFFF), word >> np.uint64(16))]
    return np.stack(halves, axis=-1).reshape(pixels, N, -1)[..., :K]


def threshold_of(rate: float) -> int:
    """The numbers of 16 bits from this one on are kept: the rate is met to 2 ** -17, at 0.5 exactly."""
    return round(rate * 2**16)


class Draws(np.random.Generator):
    """The `rng` of a pass in training, for N images of which the first is number `first` of its batch.

    What `keep` draws depends on the `key` (two uint32), and on the image, layer, pixel and channel that it is for: not
    on how the batch was cut into shards, nor on which thread asks, or when. A forward pass of one's own may draw from
    it as from any Generator, too: then it depends on the key and on `first`.
    """

    def __init__(self, key: Any, first: int = 0) -> None:
        self.key, self.first = np.array(key, np.uint32), first
        self.layers = 0
        """How many layers have drawn from it: the number of the next one."""
        super().__init__(np.random.PCG64(np.random.SeedSequence([*map(int, self.key), first])))

    @classmethod
    def of(cls, rng: np.random.Generator, first: int = 0) -> "Draws":
        """The one that is given, or a new one, whose key is drawn from the Generator that is given."""
        return rng if isinstance(rng, Draws) else cls(rng.integers(0, 2**32, size=2, dtype=np.uint32), first)

    def keep(self, rate: float, shape: tuple[int, ...]) -> np.ndarray:
        """What the next layer keeps of a map (H, W, N, K): True with probability 1 - rate, each number alone.

        Of any shape the last axis are the channels, the one before it the images, and all others together the pixels:
        (N, K) are N images of one pixel, and (K,) is one of them. Maps that are not laid out so have numbers of their
        own, too, but ones that depend on how the batch was cut.
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
        """Plain Generators, as every Generator spawns them."""
        return [np.random.Generator(of_child) for of_child in self.bit_generator.spawn(n_children)]


class Kept:
    """Stands for what a layer keeps of a map while a pass in training is traced: `layer` and `rate` say how to draw it.

    Two are equal if these two are, whatever the number of images. It shows its shape, and to `ops.dropout` that all is
    kept; whoever else wants to know what is kept meets the `looked` of its TracedDraws.
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
    """The `rng` of a traced pass in training: it tells what would be kept, and draws nothing.

    `refuse(what)` is called with the name of anything that a Generator has and this has not, `looked()` before somebody
    sees what is kept; both raise if that must not be.
    """

    def __init__(self, refuse: Callable[[str], NoReturn], looked: Callable[[], None]) -> None:
        self.refuse, self.looked, self.layers = refuse, looked, 0
        super().__init__(np.random.PCG64())  # who gets round this class sees other numbers in each pass

    def keep(self, rate: float, shape: tuple[int, ...]) -> Kept:
        """What stands for what the next layer keeps of a map: see Draws.keep."""
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
