"""One row a planted mistake: the model, where it is broken and how, and which layer the proof has to name.

Each row buys the checks in tests/test_blame.py: that the mistake is a real leak, that the proof refuses the model, and
that it names the layer. Mistakes that leak nothing have a table of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import wrong_masks as masks
import wrong_models as wrong

from minipixel import models

SMALL = {
    "pixelcnn": {"hidden": 12, "blocks": 3},
    "row-lstm": {"hidden": 12, "layers": 3},
    "diagonal-bilstm": {"hidden": 12, "layers": 3},
    "gated": {"filters": 24, "layers": 3},
    "pixelcnnpp": {"filters": 6, "resnets": 1, "mixtures": 2},
    "multi-scale": {"hidden": 12, "layers": 2, "upsampled": 5},
}
GREY, RGB = (7, 5, 1), (3, 5, 3)
IN_COLOUR = {"head": "categorical"}
DILATED = {"dilations": (2,), "num_classes": 3}


@dataclass(frozen=True)
class Mutant:
    """A mistake planted in the layer at `at`; `guilty` is the layer that is to be named, that one if it is empty.

    `most` says how many names there may be: 1, or up to 3 neighbours where what is wrong could as well be mended next
    to it. A mistake in what a layer is given counts as named by any layer inside `guilty`.
    """

    model: str
    at: str
    mistake: Callable
    shape: tuple[int, int, int] = GREY
    guilty: str = ""
    most: int = 1
    options: dict = field(default_factory=dict)

    @property
    def id(self):
        where = f"{self.at}-" if self.at else ""
        return f"{self.model}-{where}{self.mistake.__name__}-{'x'.join(map(str, self.shape))}"

    def built(self):
        """The broken model, with random numbers in all weights: those that a mask shuts start as zeros."""
        options = SMALL[self.model] | {"dtype": "float64"} | self.options
        model = models.MODELS[self.model](self.shape, 2, **options)
        self.mistake(layer(model, self.at))
        rng = np.random.default_rng(0)
        model.load_state_dict({name: rng.normal(0, 0.5, w.shape) for name, w in model.state_dict().items()})
        return model


def layer(model, path):
    """The layer at a dotted path."""
    for name in filter(None, path.split(".")):
        model = model[int(name)] if name.isdigit() else getattr(model, name)
    return model


MUTANTS = [
    # PixelCNN
    Mutant("pixelcnn", "stem", masks.mask_b),
    Mutant("pixelcnn", "stem", masks.mask_b, RGB),
    Mutant("pixelcnn", "stem", masks.mask_b, (4, 4, 1), options={"num_classes": 3}),
    Mutant("pixelcnn", "stem", masks.green_sees_itself, RGB),
    Mutant("pixelcnn", "stem", masks.one_column_off),
    Mutant("pixelcnn", "stem", masks.one_row_off),
    Mutant("pixelcnn", "stem", masks.back_to_front),
    Mutant("pixelcnn", "blocks.1.look", masks.one_column_off),
    Mutant("pixelcnn", "blocks.0.look", masks.one_row_off, RGB),
    Mutant("pixelcnn", "blocks.2.look", masks.back_to_front),
    Mutant("pixelcnn", "blocks.2.look", masks.one_tap_more),
    Mutant("pixelcnn", "blocks.2.look", masks.one_column_off, options={"num_classes": 3}),
    Mutant("pixelcnn", "blocks.2.look", masks.one_row_off, RGB),
    Mutant("pixelcnn", "blocks.0.look", masks.a_row_below),
    Mutant("pixelcnn", "blocks.0.narrow", masks.blind_to_colours, RGB),
    Mutant("pixelcnn", "blocks.1.look", masks.blind_to_colours, RGB),
    Mutant("pixelcnn", "blocks.1.widen", masks.blind_to_colours, RGB),
    Mutant("pixelcnn", "top.layers.0", masks.blind_to_colours, RGB),
    Mutant("pixelcnn", "top.layers.2", masks.blind_to_colours, RGB),
    Mutant("pixelcnn", "", wrong.becomes(wrong.SkipFromTheImage), guilty="blocks.2.widen"),
    # Row LSTM
    Mutant("row-lstm", "stem", masks.mask_b),
    Mutant("row-lstm", "stem", masks.mask_b, RGB),
    Mutant("row-lstm", "stem", masks.mask_b, options={"skip": True, "num_classes": 3}),
    Mutant("row-lstm", "stem", masks.back_to_front),
    Mutant("row-lstm", "layers.1.lstm.see", masks.one_tap_more),
    Mutant("row-lstm", "layers.2.lstm.see", masks.one_column_off, options={"skip": True}),
    Mutant("row-lstm", "layers.0.lstm.see", masks.one_column_off),
    Mutant("row-lstm", "layers.2.lstm.see", masks.blind_to_colours, RGB),
    Mutant("row-lstm", "layers.1.lstm.see", masks.gates_dealt_out_at_once, RGB, most=2, options={"hidden": 13}),
    Mutant("row-lstm", "widen.1", masks.blind_to_colours, RGB),
    Mutant("row-lstm", "layers.1", wrong.becomes(wrong.FromBelow), guilty="layers.1.lstm"),
    # Diagonal BiLSTM
    Mutant("diagonal-bilstm", "stem", masks.mask_b),
    Mutant("diagonal-bilstm", "stem", masks.mask_b, RGB, options={"skip": True}),
    Mutant("diagonal-bilstm", "stem", masks.one_column_off, RGB),
    Mutant("diagonal-bilstm", "layers.0", wrong.becomes(wrong.WithoutShift), guilty="layers.0.right"),
    Mutant("diagonal-bilstm", "layers.1", wrong.becomes(wrong.WithoutShift), RGB, guilty="layers.1.right"),
    Mutant("diagonal-bilstm", "layers.2", wrong.becomes(wrong.WithoutShift), guilty="layers.2.right"),
    Mutant(
        *("diagonal-bilstm", "layers.2", wrong.becomes(wrong.WithoutShift), RGB),
        guilty="layers.2.right",
        options={"skip": True, "num_classes": 3},
    ),
    Mutant("diagonal-bilstm", "", wrong.all_become(wrong.WithoutShift), guilty="layers.*.right"),
    Mutant("diagonal-bilstm", "", wrong.becomes(wrong.FirstColumnDropped), guilty="widen.2"),
    Mutant("diagonal-bilstm", "", wrong.becomes(wrong.FirstColumnDropped), guilty="skips.2", options={"skip": True}),
    Mutant("diagonal-bilstm", "layers.1", wrong.becomes(wrong.WithWrap), guilty="layers.1.right", most=2),
    Mutant("diagonal-bilstm", "layers.1", wrong.becomes(wrong.LeftMirrored), guilty="layers.1.left", most=3),
    Mutant("diagonal-bilstm", "layers.1.left", wrong.taps_to_the_right),
    Mutant("diagonal-bilstm", "layers.0.left.see", masks.blind_to_colours, RGB),
    Mutant("diagonal-bilstm", "layers.2.left.see", masks.gates_dealt_out_at_once, RGB, most=2, options={"hidden": 13}),
    # Gated
    Mutant("gated", "layers.0.vertical", masks.mask_b),
    Mutant("gated", "layers.0.vertical", masks.mask_b, RGB),
    Mutant("gated", "layers.0.vertical", masks.one_row_off, options={"first_kernel": 3}),  # it reads but its own row
    Mutant("gated", "layers.0.horizontal", masks.mask_b),
    Mutant("gated", "layers.0.horizontal", masks.mask_b, RGB, options={"num_classes": 3}),
    Mutant("gated", "layers.0.horizontal", masks.back_to_front),
    Mutant("gated", "layers.0.horizontal", masks.green_sees_itself, RGB),
    Mutant("gated", "layers.1.vertical", masks.a_row_below),
    Mutant("gated", "layers.2.vertical", masks.one_row_off, most=2),  # and so it would be without a shift of its link
    Mutant("gated", "layers.2.horizontal", masks.one_column_off, RGB, options={"num_classes": 3}),
    Mutant("gated", "layers.1.horizontal", masks.one_column_off, options={"dilations": (2,)}),
    Mutant("gated", "layers.1.horizontal", masks.blind_to_colours, RGB),
    Mutant("gated", "layers.1.out", masks.blind_to_colours, RGB),
    Mutant("gated", "layers.1", wrong.becomes(wrong.VerticalReadsHorizontal), guilty="layers.1.vertical"),
    Mutant("gated", "", wrong.one_link(wrong.DoesNotShift, 0), guilty="layers.0.link"),
    Mutant("gated", "", wrong.one_link(wrong.DoesNotShift, 1), guilty="layers.1.link"),
    Mutant("gated", "", wrong.one_link(wrong.DoesNotShift, 1), RGB, guilty="layers.1.link", options=DILATED),
    Mutant("gated", "", wrong.one_link(wrong.DoesNotShift, 2), guilty="layers.2.link", most=2),
    Mutant("gated", "", wrong.one_link(wrong.DoesNotShift, 2), RGB, guilty="layers.2.link", most=2),
    Mutant("gated", "", wrong.one_link(wrong.DoesNotShift, 2), guilty="layers.2.link", most=2, options=DILATED),
    Mutant("gated", "", wrong.one_link(wrong.WrapsItsLink, 1), guilty="layers.1.link"),
    # PixelCNN++
    Mutant("pixelcnnpp", "above", masks.centred(0, 1)),
    Mutant("pixelcnnpp", "left", masks.centred(0, 0)),
    Mutant("pixelcnnpp", "", wrong.above_unshifted, guilty="above"),
    Mutant("pixelcnnpp", "", wrong.up_unshifted, guilty="up"),
    Mutant("pixelcnnpp", "", wrong.left_unshifted, guilty="left"),
    Mutant("pixelcnnpp", "", wrong.above_wrapped, guilty="above"),
    Mutant("pixelcnnpp", "", wrong.left_wrapped, guilty="left"),
    Mutant("pixelcnnpp", "level.way_in.0.u.first", masks.centred(0, 1), most=2),
    Mutant("pixelcnnpp", "level.way_in.0.u.second", masks.centred(0, 1)),
    Mutant("pixelcnnpp", "level.way_in.0.ul.first", masks.centred(0, 1), RGB),
    Mutant("pixelcnnpp", "level.way_in.0.ul.second", masks.centred(1, 0)),
    Mutant("pixelcnnpp", "level.way_back.1.ul.first", masks.centred(1, 0)),
    Mutant("pixelcnnpp", "level.halve.0", masks.centred(0, 1)),
    Mutant("pixelcnnpp", "level.halve.1", masks.centred(1, 0)),
    Mutant("pixelcnnpp", "level.enlarge.0", masks.centred(1, 1)),
    Mutant("pixelcnnpp", "level.enlarge.1", masks.centred(0, 1)),
    Mutant("pixelcnnpp", "level.enlarge.1", masks.centred(1, 0), RGB),
    Mutant("pixelcnnpp", "top.out", masks.blind_to_colours, RGB, options=IN_COLOUR),
    Mutant("pixelcnnpp", "top.colours", masks.blind_to_colours, RGB, options=IN_COLOUR),
    Mutant("pixelcnnpp", "top", wrong.becomes(wrong.TopReadsTheImage), guilty="level.way_back.1.ul.second"),
    Mutant("pixelcnnpp", "", wrong.becomes(wrong.SkipOverTheShift), guilty="up"),
    # MultiScale
    Mutant("multi-scale", "large.stem", masks.mask_b),
    Mutant("multi-scale", "large.stem", masks.mask_b, RGB),
    Mutant("multi-scale", "small.stem", masks.mask_b, RGB),
    Mutant("multi-scale", "small.stem", masks.mask_b, options={"base": "pixelcnn"}),
    Mutant("multi-scale", "large.layers.1.lstm.see", masks.one_tap_more),
    Mutant(
        *("multi-scale", "large.layers.0", wrong.becomes(wrong.WithoutShift)),
        guilty="large.layers.0.right",
        options={"base": "diagonal-bilstm"},
    ),
    Mutant("multi-scale", "small.top.layers.1", masks.blind_to_colours, RGB),
    Mutant("multi-scale", "", wrong.becomes(wrong.RasterOrder), guilty="upsampling"),
    Mutant("multi-scale", "", wrong.told_of_neighbours, guilty="upsampling"),
    Mutant("multi-scale", "", wrong.told_of_the_large_image, guilty="upsampling.layers.0"),
    Mutant("multi-scale", "", wrong.overlaid_one_further, guilty="small.top.layers.2"),
]

# Not as it was meant, or only written in another way, and nothing that is drawn later is read.
HARMLESS = [
    Mutant("gated", "", wrong.one_link(wrong.ShiftsItsLink, 1)),
    Mutant("pixelcnnpp", "", wrong.all_shifted),
    Mutant("multi-scale", "", wrong.two_scales_as_they_are),
    Mutant("pixelcnn", "blocks.1.look", masks.mask_a),
    Mutant("pixelcnn", "blocks.1.look", masks.mask_a, RGB),
    Mutant("row-lstm", "layers.1.lstm", wrong.taps_to_the_right),  # all of the row above is known
    Mutant("diagonal-bilstm", "layers.1", wrong.becomes(wrong.NotMirroredBack)),  # so it is here, whichever way round
    Mutant("diagonal-bilstm", "layers.1.right.see", masks.gates_dealt_out_at_once, RGB, options={"hidden": 13}),
    Mutant("pixelcnnpp", "up", masks.centred(0, 0)),  # and here
]
