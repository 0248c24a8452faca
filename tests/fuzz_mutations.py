"""Ways to break a file: blind ones, that know only where its fields are, and the tools for those that know the format.

Everything is drawn from one `random.Random`, so a mutation can be made again from its number.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

NUMBERS = [
    0,
    1,
    2,
    3,
    127,
    128,
    255,
    256,
    32767,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**63 - 1,
    2**64 - 1,
]


class Field(NamedTuple):
    """A number in a file: where, how many bytes, in which order."""

    place: int
    size: int
    order: str = "big"


def flip(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """One to eight bits."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """One to four neighbouring bytes."""
    place, size = rng.randrange(len(content)), rng.randint(1, 4)
    new = bytes(rng.choice([0, 1, 10, 32, 48, 57, 127, 128, 255, rng.randrange(256)]) for _ in range(size))
    return content[:place] + new + content[place + size :]


def cut(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """The end is missing, often from a field on."""
    places = [field.place + rng.choice([0, 1, field.size]) for field in fields]
    return content[: rng.choice([rng.randrange(len(content)), len(content) - 1, *places])]


def extend(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """Something follows, or precedes: zeros, noise, the file itself."""
    more = rng.choice([b"\0", bytes(rng.randint(1, 64)), rng.randbytes(rng.randint(1, 64)), content, content[-22:]])
    return rng.choice([content + more, content + more, more + content])


def renumber(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """A length, a size or a code is another number."""
    if not fields:
        return flip(rng, content, fields)
    place, size, order = rng.choice(fields)
    old = int.from_bytes(content[place : place + size], order)
    new = rng.choice([rng.choice(NUMBERS), old + rng.choice([-8, -1, 1, 8]), old * 2, old // 2, len(content)])
    return content[:place] + (new % 256**size).to_bytes(size, order) + content[place + size :]


def swap(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """Two fields, or two stretches, change places."""
    if len(fields) > 1 and rng.random() < 0.5:
        (a, b), (c, d) = sorted((field.place, field.place + field.size) for field in rng.sample(list(fields), 2))
    else:
        a, b, c, d = sorted(rng.randrange(len(content) + 1) for _ in range(4))
    b = min(b, c)
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def repeat(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """A stretch comes twice."""
    a, b = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[:b] + content[a:]


def drop(rng: random.Random, content: bytes, fields: Sequence[Field]) -> bytes:
    """A stretch is missing."""
    a = rng.randrange(len(content))
    return content[:a] + content[a + rng.randint(1, 16) :]


BLIND: list[Callable[[random.Random, bytes, Sequence[Field]], bytes]] = [
    flip, flip, overwrite, cut, extend, renumber, renumber, swap, repeat, drop,
]  # fmt: skip


def blindly(rng: random.Random, content: bytes, fields: Sequence[Field] = ()) -> bytes:
    """One blind mutation, sometimes two or three, one after the other."""
    changed = content
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if changed:
            known = [field for field in fields if field.place + field.size <= len(changed)]
            changed = rng.choice(BLIND)(rng, changed, known)
    return changed
