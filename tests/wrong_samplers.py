"""Mistakes in what samplers keep: classes to draw with in place of Naive or Cached; see mutant_catalogue.py.

The model is right in all of them, so only who watches it draw can see that something is wrong.
"""

import numpy as np

from minipixel.clock.schedule import RING, START_SLOT
from minipixel.sampling import Cached, Naive
from minipixel.sampling.canvas import Canvas


class Told(Cached):
    """The cached sampler, its loop cut into the parts that those below get wrong."""

    def __call__(self, uniforms, condition, temperature, start, known):
        program, model = self.program, self.model
        canvas = Canvas(start, known, uniforms)
        maps, cells = self._maps(len(start), condition)
        image, output = maps[program.trace.image], maps[program.trace.output.node]
        for moment, (steps, pixels, channel, slots) in enumerate(program.moments):
            parameters = self.parameters(moment, steps, maps, cells, output, slots)
            levels = canvas.draw(model.head, temperature, parameters, pixels, channel)
            self.write(image, pixels, channel, levels)
        return self.finished(canvas.images())

    def compute(self, steps, maps, cells):
        for unit, first, last in steps:
            self.units[unit].compute(maps, cells, slice(first, last))

    def parameters(self, moment, steps, maps, cells, output, slots):
        self.compute(steps, maps, cells)
        return output[slots]

    def write(self, image, pixels, channel, levels):
        image[pixels + RING, :, channel] = self.model.scaled(levels)

    def finished(self, images):
        return images


class ReadsTooEarly(Told):
    """The parameters are read before they are computed."""

    def parameters(self, moment, steps, maps, cells, output, slots):
        early = output[slots]
        self.compute(steps, maps, cells)
        return early


class SkipsAValue(Told):
    """One value of all is left out: the first that is due at the second moment."""

    def parameters(self, moment, steps, maps, cells, output, slots):
        self.compute(steps[1:] if moment == 1 else steps, maps, cells)
        return output[slots]


class ForgetsToWriteBack(Told):
    """What was drawn is not put where the first layer looks for it."""

    def write(self, image, pixels, channel, levels):
        pass


class WritesOnePixelFurther(Told):
    """What was drawn is put into the slot next to its own."""

    def write(self, image, pixels, channel, levels):
        image[(pixels + RING + 1) % len(image), :, channel] = self.model.scaled(levels)


class WritesTheFirstColour(Told):
    """Each colour is put into the channel of red."""

    def write(self, image, pixels, channel, levels):
        super().write(image, pixels, 0, levels)


class OffTheGrid(Told):
    """The model goes on from a real number near the level, which is snapped to the grid only in the end."""

    def write(self, image, pixels, channel, levels):
        image[pixels + RING, :, channel] = self.model.scaled(levels + 0.3)


class ScalesByQ(Told):
    """Levels are scaled by Q, where training scales them by Q - 1."""

    def write(self, image, pixels, channel, levels):
        image[pixels + RING, :, channel] = levels.astype(self.model.dtype) * (2 / self.model.levels) - 1


class Truncates(Told):
    """[-1, 1] turned back into levels by cutting off what is behind the point, where rounding is wanted."""

    def finished(self, images):
        scaled = self.model.scaled(images)
        return ((scaled + 1) / 2 * (self.model.levels - 1)).astype(np.uint8)


class ForgetsStartStates(Told):
    """Recurrences start from zeros, whatever the model has learned that they start from."""

    def _maps(self, N, condition):
        maps, cells = super()._maps(N, condition)
        for node, kept in cells.items():
            maps[node][START_SLOT] = kept[START_SLOT] = 0
        return maps, cells


class ForgetsConditions(Told):
    """All images are drawn under the condition of the first one."""

    def _maps(self, N, condition):
        return super()._maps(N, np.repeat(condition[:1], N, axis=0))


class AllColoursAtOnce(Naive):
    """The colours of a pixel drawn from one forward pass: green never hears of red."""

    def __call__(self, uniforms, condition, temperature, start, known):
        model, images = self.model, start.copy()
        for r, c in np.ndindex(model.image_shape[:2]):
            parameters = model.predict(images, condition)[r, c]
            for channel in range(model.image_shape[2]):
                drawn = model.head.draw(parameters, images[:, r, c], channel, uniforms[:, r, c, channel], temperature)
                images[:, r, c, channel] = drawn
        return images


class ColumnByColumn(Naive):
    """Drawn down the columns, by a model of rows."""

    def __call__(self, uniforms, condition, temperature, start, known):
        model, images = self.model, start.copy()
        H, W, C = model.image_shape
        for c, r, channel in np.ndindex(W, H, C):
            parameters = model.predict(images, condition)[r, c]
            drawn = model.head.draw(parameters, images[:, r, c], channel, uniforms[:, r, c, channel], temperature)
            images[:, r, c, channel] = drawn
        return images


class OneImageForAll(Naive):
    """Every image is drawn from the parameters of the first one of the batch."""

    def __call__(self, uniforms, condition, temperature, start, known):
        model, images = self.model, start.copy()
        for place in np.argsort(model.order, axis=None):
            r, c, channel = np.unravel_index(place, model.order.shape)
            parameters = np.repeat(model.predict(images, condition)[r, c][:1], len(images), axis=0)
            drawn = model.head.draw(parameters, images[:, r, c], int(channel), uniforms[:, r, c, channel], temperature)
            images[:, r, c, channel] = drawn
        return images
