"""Convolutional nets in PyTorch, right and leaky twins: a table, and how a proof of its truth reads each of them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from causality.zoo.animal import Animal
from causality.zoo.torch_colour import (
    RED_SEES_BLUE,
    ColourMaskedConv2d,
    Colours,
    DepthIsColour,
    ShiftedStreams,
    colour_pixelcnn,
)
from causality.zoo.torch_grey import (
    Around,
    Codes,
    Cropped,
    Fourier,
    FrozenMask,
    GatedByABuffer,
    GatedPixelCNN,
    KeepsTheFirstBatch,
    LayerNormOverChannels,
    MaskedConv2d,
    MaskedOnce,
    OneDimensional,
    PooledBlocks,
    Quantises,
    Residual,
    Shifted,
    SqueezeAndExcite,
    SumsMinusItself,
    TakesAMask,
    WithLabel,
    WithoutATape,
    WritesItsInput,
    WritesItsWeights,
    pixelcnn,
    raster_mask,
)
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import minipixel as mp

GREY, RGB = (1, 5, 6), (3, 5, 6)
LABELS = torch.tensor([0, 1, 2, 1])


@dataclass(frozen=True)
class Reading:
    """How the proof reads an animal by itself: what it feeds, how it calls, and what the axes of the output are."""

    shape: tuple[int, ...] = GREY
    axes: str = "NQHW"
    """Letters of the output's axes, each of N C H W Q at the most once."""
    call: Callable[[Any, Any], Any] = lambda net, x: net(x)
    """(net, x) -> the output, x (N, C, H, W)."""
    levels: int | None = None
    """How many integer codes there are; None: numbers in -1..1."""
    wake: Callable[[Any], Any] | None = None
    """Draws anew, in place, what is zero and hides something."""
    rounding: bool = False
    """Whether it leaks by rounding alone, so by nothing that is larger than 1e-9 of what moves."""
    joined: bool = False
    """Whether a head joins the colours, so no output may see its own pixel."""
    order: Any = None
    """The place in line of each sub-pixel, (H, W, C)."""
    batch: int = 2


ROWS: list[tuple[Animal, Reading]] = []


def add(name, make, check, cause=None, *, statistics=False, undecided=False, **reading):
    """A row: it leaks if a `cause` is given, a word of the cause that the report must name."""
    ROWS.append((Animal(name, make, check, cause is None, cause or "", statistics, undecided), Reading(**reading)))


def grey(net):
    return mp.check_causality(net, (1, 5, 6))


def rgb(net):
    return mp.check_causality(net, (3, 5, 6))


# --- where the mask is kept ------------------------------------------------------------------------------------------

FIRST_B = "image comes in"
UNMASKED = "without a mask"

add("mask in a buffer", pixelcnn, grey)
add("mask in a buffer, B first", lambda: pixelcnn(first="B"), grey, FIRST_B)
add("mask in a buffer, of no effect", lambda: pixelcnn(first="none", later="none"), grey, UNMASKED)
add("mask in a buffer, rows below open", lambda: pixelcnn(later="below"), grey, "below")
add("mask written into the weights", lambda: used(pixelcnn(WritesItsWeights)), grey)
add("mask written into the weights, B first", lambda: used(pixelcnn(WritesItsWeights, first="B")), grey, FIRST_B)
add("mask applied once", lambda: pixelcnn(MaskedOnce), grey)
add("mask applied once, weights drawn anew", lambda: drawn_anew(pixelcnn(MaskedOnce)), grey, UNMASKED)
add("mask a frozen Parameter", lambda: pixelcnn(FrozenMask), grey)
add("mask a frozen Parameter, rows below open", lambda: pixelcnn(FrozenMask, later="below"), grey, "below")
add("no mask, cropped kernels", lambda: pixelcnn(Cropped), grey)
add("no mask, cropped kernels, B first", lambda: pixelcnn(Cropped, first="B"), grey, FIRST_B)
add("weight_norm over a mask in forward", lambda: normed(pixelcnn()), grey)
add("weight_norm undoes the mask that is written", lambda: normed(pixelcnn(WritesItsWeights)), grey, UNMASKED)
add("kernel wraps around", lambda: wrapping(pixelcnn()), grey, "comes in at the other")
add(
    "last kernel centred, unmasked",
    lambda: nn.Sequential(*pixelcnn()[:-1], nn.Conv2d(8, 4, 3, padding=1)),
    grey,
    UNMASKED,
)


def used(net):
    """After a forward pass, as a net that was trained is."""
    net(torch.zeros(1, *GREY))
    return net


def drawn_anew(net):
    for layer in net[::2]:
        nn.init.kaiming_normal_(layer.weight)
    return net


def normed(net):
    for layer in net[::2]:
        weight_norm(layer)
    return net


def wrapping(net):
    """`padding_mode` and `_reversed_padding_repeated_twice` are what PyTorch reads when a convolution wraps around."""
    circular = MaskedConv2d("B", 8, 8, 3, padding_mode="circular")
    return nn.Sequential(net[0], net[1], circular, net[3], net[4])


# --- what stands between the layers ----------------------------------------------------------------------------------

IMAGE = "statistic over the whole image"

add("residual blocks", Residual, grey)
add("residual blocks, the image added last", lambda: Residual(image_too=True), grey, FIRST_B)
add("residual blocks, rows below open", lambda: Residual(later="below"), grey, "below")
add("batch normalisation", lambda: pixelcnn(between=lambda: nn.BatchNorm2d(8)), grey, statistics=True)
add(
    "batch normalisation, B first",
    lambda: pixelcnn(first="B", between=lambda: nn.BatchNorm2d(8)),
    grey,
    FIRST_B,
    statistics=True,
)
add(
    "batch normalisation without running statistics",
    lambda: pixelcnn(between=lambda: nn.BatchNorm2d(8, track_running_stats=False)),
    grey,
    "batch",
    statistics=True,
)
add("group normalisation", lambda: pixelcnn(between=lambda: nn.GroupNorm(2, 8)), grey, IMAGE)
add("instance normalisation", lambda: pixelcnn(between=lambda: nn.InstanceNorm2d(8)), grey, IMAGE)
add("squeeze and excite", lambda: pixelcnn(between=SqueezeAndExcite), grey, IMAGE)
add("pooled blocks", lambda: pixelcnn(between=PooledBlocks), grey, "pool")
add("layer normalisation over channels", lambda: pixelcnn(between=LayerNormOverChannels), grey)
add("layer normalisation over the image", lambda: pixelcnn(between=lambda: nn.LayerNorm([8, 5, 6])), grey, IMAGE)
add("dropout", lambda: pixelcnn(between=lambda: nn.Dropout(0.3)), grey)
add("dropout of channels", lambda: pixelcnn(between=lambda: nn.Dropout2d(0.3)), grey)
add("dropout, B first", lambda: pixelcnn(first="B", between=lambda: nn.Dropout(0.3)), grey, FIRST_B)
add("softmax over the columns", lambda: Around(pixelcnn(), behind=lambda y: y.softmax(3)), grey, "axis")
add("softmax over the levels", lambda: Around(pixelcnn(), behind=lambda y: y.softmax(1)), grey)

# --- stacks and shifts -----------------------------------------------------------------------------------------------

add("gated stacks", GatedPixelCNN, grey)
add("gated stacks, the vertical one unshifted", lambda: GatedPixelCNN(shifted=False), grey, "shift")
add("gated stacks, rows below open", lambda: GatedPixelCNN(open_below=True), grey, "below")
add("shifted right", lambda: Shifted(lambda x: nn.functional.pad(x, (1, -1))), grey)
add("rolled right", lambda: Shifted(lambda x: x.roll(1, 3)), grey, "roll")
add("shifted left", lambda: Shifted(lambda x: nn.functional.pad(x, (-1, 1))), grey, "wrong end")
add("not shifted", lambda: Shifted(lambda x: x), grey, FIRST_B)
add(
    "shifted down, zeros at the wrong end",
    lambda: Around(pixelcnn(Cropped), before=lambda x: nn.functional.pad(x, (0, 0, -1, 1))),
    grey,
    "wrong end",
)
add(
    "sequences, causal",
    OneDimensional,
    lambda net: mp.check_causality(net, (12,)),
    shape=(1, 1, 12),
    axes="NWQ",
    call=lambda net, x: net(x[:, 0, 0]),
)
add(
    "sequences, centred",
    lambda: OneDimensional(1, 1),
    lambda net: mp.check_causality(net, (12,)),
    "column",
    shape=(1, 1, 12),
    axes="NWQ",
    call=lambda net, x: net(x[:, 0, 0]),
)
add(
    "sequences, channels first",
    lambda: OneDimensional(channels_last=False),
    lambda net: mp.check_causality(net, (12,)),
    shape=(1, 1, 12),
    axes="NQW",
    call=lambda net, x: net(x[:, 0, 0]),
)
add(
    "pixels in a line, causal",
    lambda: Around(OneDimensional(), before=lambda x: x.flatten(1)),
    lambda net: mp.check_causality(net, (1, 5, 6), layout="N(HW)P"),
    axes="NHWQ",
    call=lambda net, x: net(x).unflatten(1, (5, 6)),
)
add(
    "pixels in a line, wrong reshape",
    lambda: Around(OneDimensional(), before=lambda x: x.flatten(1), behind=lambda y: y.reshape(-1, 4, 5, 6)),
    grey,
    "reshape",
)
add(
    "channels last viewed as first",
    lambda: Around(pixelcnn(), behind=lambda y: y.permute(0, 2, 3, 1).reshape(y.shape)),
    grey,
    "reshape",
)
columns_first = np.arange(30).reshape(6, 5).T
add(
    "column after column",
    lambda: Around(pixelcnn(), before=lambda x: x.mT, behind=lambda y: y.mT),
    lambda net: mp.check_causality(net, (1, 5, 6), order=columns_first),
    order=columns_first[..., None],
)
add(
    "column after column, checked row after row",
    lambda: Around(pixelcnn(), before=lambda x: x.mT, behind=lambda y: y.mT),
    grey,
    "order",
)

# --- what hides behind zeros -----------------------------------------------------------------------------------------


def last_layer(net):
    nn.init.normal_(net[-1].weight)


def alphas(net):
    nn.init.ones_(net.alphas)


def dead(net):
    """The stem's rectifiers never fire, whatever the image."""
    nn.init.constant_(net[0].bias, -50.0)
    return net


def alive(net):
    nn.init.zeros_(net[0].bias)


ZERO = {"last": nn.init.zeros_}
add("zero last layer", lambda: pixelcnn(**ZERO), grey, wake=last_layer)
add("zero last layer, B first", lambda: pixelcnn(first="B", **ZERO), grey, FIRST_B, wake=last_layer)
add("zero last layer, rows below open", lambda: pixelcnn(later="below", **ZERO), grey, "below", wake=last_layer)
add("zero last layer, mask a frozen Parameter", lambda: pixelcnn(FrozenMask, **ZERO), grey, wake=last_layer)
add("zero last layer, mask applied once", lambda: pixelcnn(MaskedOnce, **ZERO), grey, wake=last_layer)
add("ReZero", lambda: Residual(alpha=0), grey, wake=alphas)
add("ReZero, rows below open", lambda: Residual(later="below", alpha=0), grey, "below", wake=alphas)
add("layer scale of 1e-4, rows below open", lambda: Residual(later="below", alpha=1e-4), grey, "below", wake=alphas)
add("layer scale of 1e-6, rows below open", lambda: Residual(later="below", alpha=1e-6), grey, "below", wake=alphas)
add("dead rectifiers", lambda: dead(pixelcnn()), grey, wake=alive)
add("dead rectifiers, B first", lambda: dead(pixelcnn(first="B")), grey, FIRST_B, wake=alive)
add("closed by a buffer", GatedByABuffer, grey, "", undecided=True)

# --- colours ---------------------------------------------------------------------------------------------------------

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

# --- colours joined in a head ----------------------------------------------------------------------------------------

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

# --- rounding --------------------------------------------------------------------------------------------------------

add("FFT within a tolerance", Fourier, lambda net: mp.check_causality(net, (1, 5, 6), tolerance=1e-5), rounding=True)
add("FFT to the bit", Fourier, grey, "rounding", rounding=True)
add(
    "FFT that sees itself, within a tolerance",
    lambda: Fourier(leaks=True),
    lambda net: mp.check_causality(net, (1, 5, 6), tolerance=1e-5),
    FIRST_B,
)
add(
    "sums less itself within a tolerance",
    SumsMinusItself,
    lambda net: mp.check_causality(net, (1, 5, 6), tolerance=1e-5),
    rounding=True,
)
add("sums less itself to the bit", SumsMinusItself, grey, "rounding", rounding=True)

# --- channels last, codes, precisions, compilers ---------------------------------------------------------------------


def scripted(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch would like to see it no more; people still do it
        return torch.jit.script(net)


def traced(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(net, torch.zeros(2, *GREY))


LAST = {"before": lambda x: x.permute(0, 3, 1, 2), "behind": lambda y: y.permute(0, 2, 3, 1)}
add("output channels last", lambda: Around(pixelcnn(), behind=LAST["behind"]), grey, axes="NHWQ")
add(
    "output channels last, B first",
    lambda: Around(pixelcnn(first="B"), behind=LAST["behind"]),
    grey,
    FIRST_B,
    axes="NHWQ",
)
for first in "AB":
    leaks = {"cause": FIRST_B} if first == "B" else {}
    leaky = ", B first" if leaks else ""
    add(
        f"channels last{leaky}",
        lambda first=first: Around(pixelcnn(first=first), **LAST),
        lambda net: mp.check_causality(net, (5, 6, 1), channels_first=False),
        **leaks,
        axes="NHWQ",
        call=lambda net, x: net(x.permute(0, 2, 3, 1)),
    )
    add(
        f"codes{leaky}",
        lambda first=first: Codes(first),
        lambda net: mp.check_causality(net, (5, 6), inputs=("int64", 0, 6)),
        **leaks,
        levels=7,
        call=lambda net, x: net(x[:, 0]),
    )
    add(f"quantises its input{leaky}", lambda first=first: Quantises(first), grey, **leaks)
    add(
        f"writes its input{leaky}",
        lambda first=first: WritesItsInput(first),
        grey,
        **leaks,
        call=lambda net, x: net(x.clone()),
    )
    add(f"without a tape{leaky}", lambda first=first: WithoutATape(first), grey, **leaks)
    add(f"frozen weights{leaky}", lambda first=first: pixelcnn(first=first).requires_grad_(False), grey, **leaks)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        add(f"{str(dtype)[6:]}{leaky}", lambda first=first, dtype=dtype: pixelcnn(first=first).to(dtype), grey, **leaks)
    add(f"compiled{leaky}", lambda first=first: torch.compile(pixelcnn(first=first), backend="eager"), grey, **leaks)
    add(f"scripted{leaky}", lambda first=first: scripted(pixelcnn(first=first)), grey, **leaks)
    add(f"traced{leaky}", lambda first=first: traced(pixelcnn(first=first).eval()), grey, **leaks)

    # --- what has to be called in its own way ---

    add(
        f"labels{leaky}",
        lambda first=first: WithLabel(first),
        lambda net: mp.check_causality(net, (1, 5, 6), call=lambda net, x: net(x, LABELS), batch_size=4),
        **leaks,
        batch=4,
        call=lambda net, x: net(x, LABELS),
    )
    add(
        f"labels, batch normalisation, in a lambda{leaky}",
        lambda first=first: WithLabel(first, lambda: nn.BatchNorm2d(8)),
        lambda net: mp.check_causality(lambda x: net(x, LABELS), GREY, channels_first=True, batch_size=4),
        **leaks,
        statistics=True,
        batch=4,
        call=lambda net, x: net(x, LABELS),
    )
    add(
        f"a tuple{leaky}",
        lambda first=first: Around(pixelcnn(first=first), behind=lambda y: (y, y.sum())),
        lambda net: mp.check_causality(net, (1, 5, 6), call=lambda net, x: net(x)[0]),
        **leaks,
        call=lambda net, x: net(x)[0],
    )
    add(
        f"a mask argument{leaky}",
        TakesAMask,
        lambda net, first=first: mp.check_causality(net, (1, 5, 6), call=lambda net, x: net(x, raster_mask(first))),
        **leaks,
        call=lambda net, x, first=first: net(x, raster_mask(first)),
    )
    add(
        f"keeps the first batch's size{leaky}",
        lambda first=first: KeepsTheFirstBatch(first),
        lambda net: mp.check_causality(net, (1, 5, 6), batch_size=4),
        **leaks,
    )
    add(
        f"a lambda around a zero last layer{leaky}",
        lambda first=first: pixelcnn(first=first, **ZERO),
        lambda net: mp.check_causality(lambda x: net(x), (1, 5, 6), channels_first=True),
        **leaks,
        wake=last_layer,
    )
    add(
        f"a method, batch normalisation{leaky}",
        lambda first=first: Around(pixelcnn(first=first, between=lambda: nn.BatchNorm2d(8))),
        lambda net: mp.check_causality(net.logits, (1, 5, 6), channels_first=True),
        **leaks,
        statistics=True,
    )

ANIMALS = tuple(animal for animal, _ in ROWS)
