"""Grey convolutional nets in PyTorch: stacks and shifts, what hides behind zeros, what rounding does."""

import numpy as np
from causality.zoo.convolution_rows import FIRST_B, ZERO, Rows, grey, last_layer
from causality.zoo.torch_forwards import (
    Around,
    Fourier,
    GatedByABuffer,
    OneDimensional,
    Shifted,
    SumsMinusItself,
)
from causality.zoo.torch_grey import (
    Cropped,
    FrozenMask,
    GatedPixelCNN,
    MaskedOnce,
    Residual,
    pixelcnn,
)
from torch import nn

import minipixel as mp

ROWS = Rows()
add = ROWS.add

# --- stacks and shifts ------------------------------------------------------------------------------------------------

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

# --- what hides behind zeros ------------------------------------------------------------------------------------------


def alphas(net):
    nn.init.ones_(net.alphas)


def dead(net):
    """The stem's rectifiers never fire, whatever the image."""
    nn.init.constant_(net[0].bias, -50.0)
    return net


def alive(net):
    nn.init.zeros_(net[0].bias)


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

# --- rounding ---------------------------------------------------------------------------------------------------------

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
