"""Whether arrays go together, and whether a compiled loop can take them: what stands at the door of every body.

A compiled loop reads memory by plain numbers. Of an array of another size, order or dtype it would read, and write,
what belongs to others. So nothing comes in that is not as the loops expect it.
"""

import functools
import re

import numpy as np


def _shapes(arrays):
    return tuple([None if array is None else tuple(getattr(array, "shape", ())) for array in arrays])


@functools.lru_cache(4096)
def _misfit(letters, shapes):
    """What of these shapes does not go together, in words; None if all does.

    `letters` say one axis for each name, one array after each ";". Of "... K_in; K_in K_out; K_out" the first may have
    any axes before its last. The same name has the same size everywhere; 4K is four times K; None in place of a shape
    goes with everything.
    """
    sizes = {}
    for place, ((open_, axes), shape) in enumerate(zip(_parsed(letters), shapes, strict=True)):
        if shape is None:
            continue
        if len(shape) < len(axes) or (len(shape) > len(axes) and not open_):
            return f"input {place} has {len(shape)} axes"
        for (times, name), size in zip(axes, shape[len(shape) - len(axes) :], strict=True):
            whole, rest = divmod(size, times)
            if rest:
                return f"{times}{name} is {size}"
            if sizes.setdefault(name, whole) != whole:
                return f"{name} is {sizes[name]} and {whole}"
    return None


def _parsed(letters):
    """For each array whether it may have more axes before those that are named, and (factor, name) of these."""
    arrays = []
    for axes in letters.split(";"):
        names = axes.split()
        open_ = names[:1] == ["..."]
        matches = [re.fullmatch(r"(\d*)(\w*)", name) for name in names[open_:]]
        arrays.append((open_, [(int(match[1] or 1), match[2]) for match in matches]))
    return arrays


def check(name, letters, inputs):
    """ValueError with the name of an op, unless its inputs go together as `letters` say."""
    wrong = _misfit(letters, _shapes(inputs))
    if wrong is not None:
        got = ", ".join(map(str, _shapes(inputs)))
        wanted = ", ".join(f"({axes.strip().replace(' ', ', ')})" for axes in letters.split(";"))
        raise ValueError(f"{name}: got inputs of shapes {got}, of which {wrong}; wanted {wanted}")


def plain(array):
    """The array as compiled loops want it: row after row, aligned, and writable; a copy of it unless it is so."""
    return array if array is None or array.flags.carray else np.array(array, order="C")


def guarded(body):
    """A body `(*arrays, **static) -> (value, vjp)`, or None, that is only ever given arrays as loops want them."""

    @functools.wraps(body)
    def enter(*arrays, **static):
        value_and_vjp = body(*map(plain, arrays), **static)
        if value_and_vjp is None:
            return None
        value, vjp = value_and_vjp
        return value, lambda g: vjp(plain(g if g.dtype == value.dtype else g.astype(value.dtype)))

    return enter
