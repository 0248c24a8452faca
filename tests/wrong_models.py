"""Mistakes to plant where layers are put together: functions that break a layer or a model; see mutant_table.py.

A shift that is missing or that wraps around, a half that is not mirrored, a skip or a map from the wrong place.
"""

import numpy as np
from wrong_masks import mask_b
from wrong_ops import (
    neighbours_of_every,
    overlay_one_further,
    upside_down,
    without_first_column,
    wrapped_down,
    wrapped_right,
)

from minipixel import models, nn, ops
from minipixel.models import pixelcnnpp, pixelrnn


def becomes(kind):
    """The layer, as one of another class that does something else with the same weights."""

    def mistake(layer):
        layer.__class__ = kind

    mistake.__name__ = kind.__name__
    return mistake


def all_become(kind):
    def mistake(model):
        for layer in model.layers:
            layer.__class__ = kind

    mistake.__name__ = f"all_{kind.__name__}"
    return mistake


def halves_of(bilstm, x, condition):
    """From the left; and from the right, still mirrored."""
    halves = (bilstm.left, x, lambda y: y), (bilstm.right, x, ops.mirror)
    return [pixelrnn._along_diagonals(lstm, turn(lstm.gates(x, condition))) for lstm, x, turn in halves]


class WithoutShift(pixelrnn.DiagonalLayer):
    def __call__(self, x, condition):
        left, right = halves_of(self, x, condition)
        return left + ops.mirror(right)


class WithWrap(pixelrnn.DiagonalLayer):
    def __call__(self, x, condition):
        left, right = halves_of(self, x, condition)
        return left + wrapped_down(ops.mirror(right))


class NotMirroredBack(pixelrnn.DiagonalLayer):
    def __call__(self, x, condition):
        left, right = halves_of(self, x, condition)
        return left + ops.shift_down(right)


class LeftMirrored(pixelrnn.DiagonalLayer):
    """The half from the left reads a mirrored map, and is not mirrored back."""

    def __call__(self, x, condition):
        _, right = halves_of(self, x, condition)
        left = pixelrnn._along_diagonals(self.left, ops.mirror(self.left.gates(x, condition)))
        return left + ops.shift_down(ops.mirror(right))


class FromBelow(pixelrnn.RowLayer):
    """The states run up the map."""

    def __call__(self, x, condition):
        return upside_down(self.lstm.scan(upside_down(self.lstm.gates(x, condition))))


def taps_to_the_right(lstm):
    lstm.taps = tuple(tap + 1 for tap in lstm.taps)


class FirstColumnDropped(models.DiagonalBiLSTM):
    """The phantom column stays, and each pixel is drawn from the features of the one to its right."""

    def forward(self, x, condition=None, rng=None):
        return self.top(without_first_column(self.below_top(ops.add_column(x), condition)))


class ShiftsItsLink(nn.GatedLayer):
    """The other way to build it: a vertical stack that includes its own row, and a link one row up."""

    def __call__(self, v, h, condition):
        above = self.told_vertical(self.vertical(v), condition)
        row = self.told_horizontal(self.horizontal(h) + self.linked(above), condition)
        y = self.out(ops.gate(row))
        return above, y if self.kind == "A" else h + y

    def linked(self, above):
        return ops.shift_down(self.link(above))


class DoesNotShift(ShiftsItsLink):
    def linked(self, above):
        return self.link(above)


class WrapsItsLink(ShiftsItsLink):
    def linked(self, above):
        return wrapped_down(self.link(above))


def one_link(kind, position):
    """All vertical stacks include their row, as in figure 2, and all links are shifted but one."""

    def mistake(model):
        mask_b(model.layers[0].vertical)
        all_become(ShiftsItsLink)(model)
        model.layers[position].__class__ = kind

    mistake.__name__ = f"{kind.__name__}_in_layer_{position}"
    return mistake


class VerticalReadsHorizontal(nn.GatedLayer):
    """The way that figure 2 forbids: the vertical stack is told what the horizontal one knows."""

    def __call__(self, v, h, condition):
        return super().__call__(h, h, condition)


class SkipFromTheImage(models.PixelCNN):
    """The top is told the image itself, as if it were a feature."""

    def forward(self, x, condition=None, rng=None):
        image, y = x, self.stem(x)
        for block in self.blocks:
            y = block(y, condition, rng)
        return self.top(y + image)


class TopReadsTheImage(pixelcnnpp.PlainTop):
    def __call__(self, ul, x):
        return self.out(ops.elu(ul + x))


class PixelCNNpp(models.PixelCNNpp):
    """The model with its three start shifts named, for those below to leave one out."""

    down = staticmethod(ops.shift_down)
    up_down = staticmethod(ops.shift_down)
    right = staticmethod(ops.shift_right)

    def forward(self, x, condition=None, rng=None):
        pixels = ops.concat(x, np.ones((*x.shape[:-1], 1), self.dtype))
        u = self.down(self.above(pixels))
        ul = self.up_down(self.up(pixels)) + self.right(self.left(pixels))
        u, ul = self.level(u, ul, condition, rng)
        return self.top(ul, x)


def stays(x):
    return x


def starts_with(model, **shifts):
    model.__class__ = type("PixelCNNpp", (PixelCNNpp,), {name: staticmethod(shift) for name, shift in shifts.items()})


def all_shifted(model):
    starts_with(model)


def nothing_shifted(model):
    starts_with(model, down=stays, up_down=stays, right=stays)


def above_unshifted(model):
    starts_with(model, down=stays)


def up_unshifted(model):
    starts_with(model, up_down=stays)


def left_unshifted(model):
    starts_with(model, right=stays)


def above_wrapped(model):
    starts_with(model, down=wrapped_down)


def left_wrapped(model):
    starts_with(model, right=wrapped_right)


class SkipOverTheShift(PixelCNNpp):
    """The top is told what there was before the start shift."""

    def forward(self, x, condition=None, rng=None):
        pixels = ops.concat(x, np.ones((*x.shape[:-1], 1), self.dtype))
        u, ul = ops.shift_down(self.above(pixels)), ops.shift_right(self.left(pixels))
        up = self.up(pixels)
        _, ul = self.level(u, ul + ops.shift_down(up), condition, rng)
        return self.top(ul + up, x)


class RasterOrder(models.MultiScale):
    """As if the small image were not drawn first."""

    order = models.Model.order


def of_two_scales(told_of, overlay, model):
    """MultiScale.forward with another small image for the upsampling, or another overlay."""

    def forward(self, x, condition=None, rng=None):
        few = ops.subsample(x, stride=2)
        told = self.upsampling(told_of(x, stride=2))
        return overlay(self.large.forward(x, told, rng), self.small.forward(few), stride=2)

    model.__class__ = type("MultiScale", (models.MultiScale,), {"forward": forward})


def two_scales_as_they_are(model):
    of_two_scales(ops.subsample, ops.overlay, model)


def told_of_neighbours(model):
    """The upsampling is given pixels of the large image, for those of the small one."""
    of_two_scales(neighbours_of_every, ops.overlay, model)


def told_of_the_large_image(model):
    """The first convolution of the upsampling steps over the large image, and reads what lies in between."""
    of_two_scales(lambda x, stride: x, ops.overlay, model)
    model.upsampling.layers[0].stride = 2


def overlaid_one_further(model):
    of_two_scales(ops.subsample, overlay_one_further, model)
