"""Grey convolutional nets in PyTorch: where the mask is kept, and what stands between the layers."""

import torch
from causality.zoo.convolution_rows import FIRST_B, GREY, Rows, grey
from causality.zoo.torch_forwards import (
    Around,
    NoiseInTraining,
    Untied,
    impossible_level,
    noise_by_numpy,
    noise_by_random,
    noise_of_its_own,
)
from causality.zoo.torch_grey import (
    Cropped,
    FrozenMask,
    LayerNormOverChannels,
    MaskedConv2d,
    MaskedOnce,
    PooledBlocks,
    Residual,
    SqueezeAndExcite,
    WritesItsWeights,
    pixelcnn,
)
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

ROWS = Rows()
add = ROWS.add

# --- where the mask is kept -------------------------------------------------------------------------------------------

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


# --- what stands between the layers -----------------------------------------------------------------------------------

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
add("log-probabilities, one of them -inf", lambda: Around(pixelcnn(), behind=impossible_level), grey)
add(
    "log-probabilities, one of them -inf, B first",
    lambda: Around(pixelcnn(first="B"), behind=impossible_level),
    grey,
    FIRST_B,
)
add(
    "images scaled by their maximum",
    lambda: Around(pixelcnn(), before=lambda x: x / x.amax((1, 2, 3), True)),
    grey,
    IMAGE,
)
add(
    "images centred by their batch",
    lambda: Around(pixelcnn(), before=lambda x: x - x.mean(0)),
    grey,
    "batch",
)
add("images centred by a constant", lambda: Around(pixelcnn(), before=lambda x: x - 0.3), grey)
add("noise by NumPy in training", lambda: NoiseInTraining(noise_by_numpy), grey, noisy=True)
add("noise by Python in training", lambda: NoiseInTraining(noise_by_random), grey, noisy=True)
add("noise of its own generator in training", lambda: NoiseInTraining(noise_of_its_own), grey, noisy=True)
add("noise by NumPy in training, B first", lambda: NoiseInTraining(noise_by_numpy, "B"), grey, FIRST_B, noisy=True)
add("noise by PyTorch in training", lambda: NoiseInTraining(torch.rand_like), grey)
add("spectral normalisation", lambda: spectrally(pixelcnn()), grey)
add("spectral normalisation, B first", lambda: spectrally(pixelcnn(first="B")), grey, FIRST_B)
add("biases for each place", Untied, grey)
add("biases for each place, B first", lambda: Untied("B"), grey, FIRST_B)
add("DataParallel", lambda: nn.DataParallel(pixelcnn()), grey)
add("one number for a pixel", lambda: pixelcnn(Q=1), grey)
add(
    "one number for a pixel, without an axis", lambda: Around(pixelcnn(Q=1), behind=lambda y: y[:, 0]), grey, axes="NHW"
)
add(
    "one number for a pixel, without an axis, B first",
    lambda: Around(pixelcnn(first="B", Q=1), behind=lambda y: y[:, 0]),
    grey,
    FIRST_B,
    axes="NHW",
)
add("a dilated kernel", lambda: dilated(True), grey)
add("a dilated kernel, centred, unmasked", lambda: dilated(False), grey, UNMASKED)


def spectrally(net):
    for layer in net[::2]:
        spectral_norm(layer)
    return net


def dilated(masked):
    """Two taps apart."""
    net = pixelcnn()
    conv = MaskedConv2d("B" if masked else "none", 8, 8, 3, dilation=2)
    conv.padding = (2, 2)
    return nn.Sequential(net[0], net[1], conv, net[3], net[4])
