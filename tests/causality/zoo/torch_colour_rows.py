"""Nets for three colours in PyTorch: every layout of the output, colour masks, colours that a head joins."""

import numpy as np
from causality.zoo.convolution_rows import FIRST_B, RGB, Rows, rgb
from causality.zoo.torch_colour import (
    RED_SEES_BLUE,
    ColourMaskedConv2d,
    Colours,
    DepthIsColour,
    Planes,
    ShiftedStreams,
    colour_pixelcnn,
)
from causality.zoo.torch_forwards import Around
from causality.zoo.torch_grey import MaskedConv2d
from torch import nn

import minipixel as mp

ROWS = Rows()
add = ROWS.add

# --- colours ----------------------------------------------------------------------------------------------------------

COLOUR = "colour mask"
for leaks, sees in (({}, ()), ({"cause": COLOUR}, (RED_SEES_BLUE,))):
    leaky = ", red sees blue" if leaks else ""

    def laid_out(behind, sees=sees):
        return lambda: Colours(behind, *sees)

    add(f"(N, C, Q, H, W){leaky}", laid_out(lambda y: y), rgb, **leaks, shape=RGB, axes="NCQHW")
    add(f"(N, Q, C, H, W){leaky}", laid_out(lambda y: y.transpose(1, 2)), rgb, **leaks, shape=RGB, axes="NQCHW")
    add(f"(N, C, H, W, Q){leaky}", laid_out(lambda y: y.movedim(2, 4)), rgb, **leaks, shape=RGB, axes="NCHWQ")
    add(f"(N, H, W, C, Q){leaky}", laid_out(lambda y: y.permute(0, 3, 4, 1, 2)), rgb, **leaks, shape=RGB, axes="NHWCQ")
    add(
        f"(N, 3Q, H, W) in blocks{leaky}",
        laid_out(lambda y: y.flatten(1, 2)),
        rgb,
        **leaks,
        shape=RGB,
        axes="NCQHW",
        call=lambda net, x: net(x).unflatten(1, (3, 4)),
    )
    add(
        f"(N, 3Q, H, W) by turns{leaky}",
        laid_out(lambda y: y.transpose(1, 2).flatten(1, 2)),
        rgb if not leaks else lambda net: mp.check_causality(net, (3, 5, 6), layout="N(QC)HW"),
        **leaks,
        shape=RGB,
        axes="NQCHW",
        call=lambda net, x: net(x).unflatten(1, (4, 3)),
    )
    add(
        f"(N, C, H, W, Q) with Q = H = W{leaky}",
        lambda sees=sees: Colours(lambda y: y.movedim(2, 4), *(sees or ()), Q=4),
        lambda net: mp.check_causality(net, (3, 4, 4), layout="NCHWQ"),
        **leaks,
        shape=(3, 4, 4),
        axes="NCHWQ",
    )

add(
    "(N, 3Q, H, W) by turns, red sees blue, and nobody says so",
    lambda: Colours(lambda y: y.transpose(1, 2).flatten(1, 2), RED_SEES_BLUE),
    rgb,
    COLOUR,
    shape=RGB,
    axes="NQCHW",
    call=lambda net, x: net(x).unflatten(1, (4, 3)),
)
BLOCKS = {"shape": RGB, "axes": "NCQHW", "call": lambda net, x: net(x).unflatten(1, (3, 4))}
TURNS = {"shape": RGB, "axes": "NQCHW", "call": lambda net, x: net(x).unflatten(1, (4, 3))}
add("colour masks in blocks", colour_pixelcnn, rgb, **BLOCKS)
add("colour masks by turns", lambda: colour_pixelcnn(blocks=False), rgb, **TURNS)
add(
    "colour masks in blocks, the last layer by turns", lambda: colour_pixelcnn(last_blocks=False), rgb, COLOUR, **BLOCKS
)
add(
    "colour masks in blocks, B first",
    lambda: nn.Sequential(ColourMaskedConv2d("B", 3, 9, 3), *colour_pixelcnn()[1:]),
    rgb,
    FIRST_B,
    **BLOCKS,
)
PLANES = np.arange(90).reshape(3, 5, 6).transpose(1, 2, 0)
add(
    "plane after plane",
    Planes,
    lambda net: mp.check_causality(net, (3, 5, 6), order="rgb-planes"),
    shape=RGB,
    axes="NCQHW",
    order=PLANES,
)
add(
    "plane after plane, green sees blue",
    lambda: Planes((0, 2)),
    lambda net: mp.check_causality(net, (3, 5, 6), order="rgb-planes"),
    "another order",
    shape=RGB,
    axes="NCQHW",
    order=PLANES,
)
add(
    "no colour sees another of its pixel",
    lambda: MaskedConv2d("A", 3, 6, 3),
    rgb,
    shape=RGB,
    axes="NCQHW",
    call=lambda net, x: net(x).unflatten(1, (3, 2)),
)
add("colour is depth", DepthIsColour, rgb, shape=RGB, axes="NQCHW")
add("colour is depth, B first", lambda: DepthIsColour("B"), rgb, FIRST_B, shape=RGB, axes="NQCHW")
add(
    "colours viewed the other way round",
    lambda: Around(colour_pixelcnn(), behind=lambda y: y.reshape(len(y), 4, 3, 5, 6)),
    lambda net: mp.check_causality(net, (3, 5, 6), layout="NQCHW"),
    COLOUR,
    shape=RGB,
    axes="NQCHW",
)

# --- colours joined in a head -----------------------------------------------------------------------------------------

JOINED = {"shape": (3, 4, 6), "axes": "NQHW", "joined": True}


def mixture(net):
    return mp.check_causality(net, (3, 4, 6), head="logistic_mixture")


add("shifted streams, mixture head", ShiftedStreams, mixture, **JOINED)
add(
    "shifted streams, mixture head, green sees its own red",
    lambda: ShiftedStreams(own_red=True),
    mixture,
    "head",
    **JOINED,
)
add("shifted streams, one not shifted", lambda: ShiftedStreams(u_shift=None), mixture, "shift", **JOINED)
add(
    "shifted streams, zero last layer",
    lambda: ShiftedStreams(zeros=True),
    mixture,
    **JOINED,
    wake=lambda net: nn.init.normal_(net.out.weight),
)
add(
    "shifted streams, zero last layer, one not shifted",
    lambda: ShiftedStreams(u_shift=None, zeros=True),
    mixture,
    "shift",
    **JOINED,
    wake=lambda net: nn.init.normal_(net.out.weight),
)
add(
    "shifted streams, groups leave colours out",
    ShiftedStreams,
    lambda net: mp.check_causality(net, (3, 4, 6), groups=[0] * 20),
    **JOINED,
)
add(
    "shifted streams, ordered by pixels",
    ShiftedStreams,
    lambda net: mp.check_causality(net, (3, 4, 6), groups=[0] * 20, order="pixels"),
    **JOINED,
)
