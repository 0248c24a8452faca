"""The zoo, sequences in PyTorch: MADE, attention over pixels, Row and Diagonal LSTMs, the raster as a sequence."""

import warnings

import numpy as np
import torch
from causality.zoo import torch_oddities, torch_transformers
from causality.zoo.attention_nets import Snail
from causality.zoo.made_nets import Gaussian, Made
from causality.zoo.readings import Reading, as_it_is, leaky, pixels, right
from causality.zoo.recurrent_nets import (
    DiagonalLstm,
    FixedBatch,
    FromBelow,
    Labelled,
    RasterConvolution,
    RasterLstm,
    RowLstm,
    ToImage,
)

import minipixel as mp

LABEL = torch.tensor([3])
BACKWARDS = np.arange(12)[::-1]
FROM_BELOW = np.arange(16).reshape(4, 4)[::-1]
VECTOR = Reading((12,), lambda net, x: net(x).view(len(x), -1, 12).transpose(1, 2))
INTERLEAVED = Reading((12,), lambda net, x: net(x).view(len(x), 12, -1))
IMAGE = Reading((1, 4, 4), pixels)
NUMBERS = Reading((16,), as_it_is)
COLOURS = np.arange(27).reshape(3, 3, 3).transpose(1, 2, 0).ravel()  # (C, H, W), drawn pixel by pixel
COLOUR_PIXELS = Reading((3, 3, 3), lambda net, x: pixels(net, x).repeat_interleave(3, 1), order=COLOURS)
LABELLED = Reading((1, 4, 4), lambda net, x: net(x, LABEL)[0].flatten(2).transpose(1, 2))
SEQUENCE = Reading((16,), lambda net, x: net(x).transpose(1, 2))


def on_vectors(net, **options):
    return mp.check_causality(net, (12,), **options)


def on_images(net, **options):
    return mp.check_causality(net, (1, 4, 4), **options)


def on_sequences(net, **options):
    return mp.check_causality(net, (16,), **options)


def scripted(net):
    """What torch.jit.script makes of a net; PyTorch warns that it will go one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(net)


ROWS = [
    # MADE: vectors (N, D)
    right("made", lambda: Made(12), lambda net: mp.check_causality(net, (12,), inputs=("float32", 0, 1)), VECTOR),
    right("made-two-layers", lambda: Made(12, layers=2), on_vectors, VECTOR),
    leaky("made-degrees-equal", lambda: Made(12, strict=False), on_vectors, VECTOR, "mask"),
    right("made-blocks", lambda: Made(12, 3), lambda net: on_vectors(net, layout="N(QS)"), VECTOR),
    right(
        "made-interleaved", lambda: Made(12, 3, blocks=False), lambda net: on_vectors(net, layout="N(SQ)"), INTERLEAVED
    ),
    leaky(
        "made-interleaved-two-layers-degrees-equal",
        lambda: Made(12, 3, layers=2, blocks=False, strict=False),
        lambda net: on_vectors(net, layout="N(SQ)"),
        INTERLEAVED,
        "mask",
    ),
    right(
        "made-drawn-backwards",
        lambda: Made(12, drawn=BACKWARDS.copy()),
        lambda net: mp.check_causality(net, (12,), order=BACKWARDS),
        Reading((12,), lambda net, x: net(x).flip(1)[..., None], order=BACKWARDS),
    ),
    leaky(
        "made-drawn-backwards-checked-forwards",
        lambda: Made(12, drawn=BACKWARDS.copy()),
        on_vectors,
        Reading((12,), lambda net, x: net(x)[..., None]),
        "order",
    ),
    right("made-of-images", lambda: Made(16), on_images, IMAGE),
    right(
        "made-dict-of-mean-and-scale",
        lambda: Gaussian(12),
        lambda net: mp.check_causality(net, (12,), call=lambda net, x: torch.stack(list(net(x).values()), -1)),
        Reading((12,), lambda net, x: torch.stack(list(net(x).values()), -1)),
    ),
    leaky(
        "made-dict-degrees-equal",
        lambda: Gaussian(12, strict=False),
        lambda net: mp.check_causality(net, (12,), call=lambda net, x: net(x)["scale"]),
        Reading((12,), lambda net, x: net(x)["scale"][..., None]),
        "mask",
    ),
    # gated convolutions and attention over pixels
    right("snail", Snail, on_images, IMAGE),
    right("snail-nan-to-zero", lambda: Snail(opening="nan"), on_images, IMAGE),
    right("snail-float64", lambda: Snail().double(), on_images, IMAGE),
    right("snail-compiled", lambda: torch.compile(Snail(), backend="eager"), on_images, IMAGE),
    leaky("snail-diagonal-open", lambda: Snail(opening="diagonal"), on_images, IMAGE, "mask"),
    leaky("snail-first-row-uniform", lambda: Snail(opening="uniform"), on_images, IMAGE, "softmax"),
    leaky("snail-mask-too-weak", lambda: Snail(opening="weak"), on_images, IMAGE, "attention"),
    leaky(
        "snail-first-row-uniform-compiled",
        lambda: torch.compile(Snail(opening="uniform"), backend="eager"),
        on_images,
        IMAGE,
        "softmax",
    ),
    leaky(
        "snail-of-colours-diagonal-open",
        lambda: Snail(3, out=4, opening="diagonal"),
        lambda net: mp.check_causality(net, (3, 3, 3), groups=[0, 1, 2, 2]),
        COLOUR_PIXELS,
        "mask",
    ),
    right(
        "snail-of-colours-by-pixels",
        lambda: Snail(3, out=6),
        lambda net: mp.check_causality(net, (3, 3, 3), order="pixels"),
        COLOUR_PIXELS,
    ),
    right(
        "snail-tuple-in-a-lambda",
        lambda: Labelled(Snail()),
        lambda net: mp.check_causality(lambda x: net(x, LABEL)[0], (1, 4, 4), channels_first=True),
        LABELLED,
    ),
    leaky(
        "snail-tuple-in-a-lambda-diagonal-open",
        lambda: Labelled(Snail(opening="diagonal")),
        lambda net: mp.check_causality(lambda x: net(x, LABEL)[0], (1, 4, 4), channels_first=True),
        LABELLED,
        "mask",
    ),
    right(
        "row-lstm-labels-of-one-batch",
        lambda: Labelled(RowLstm()),
        lambda net: on_images(net, call=lambda net, x: net(x, torch.arange(6))[0], batch_size=6),
        LABELLED,
    ),
    # Row and Diagonal LSTMs
    right("row-lstm", RowLstm, on_images, IMAGE),
    leaky("row-lstm-runs-up-too", lambda: RowLstm(up=True), on_images, IMAGE, "runs up"),
    right("diagonal-lstm", lambda: DiagonalLstm(both=False), on_images, IMAGE),
    right("diagonal-lstm-both-ways", DiagonalLstm, on_images, IMAGE),
    leaky("diagonal-lstm-not-shifted-down", lambda: DiagonalLstm(down=False), on_images, IMAGE, "down"),
    leaky("diagonal-lstm-unskewed-wrongly", lambda: DiagonalLstm(both=False, late=1), on_images, IMAGE, "shift"),
    leaky("diagonal-lstm-unskewed-two-late", lambda: DiagonalLstm(both=False, late=2), on_images, IMAGE, "shift"),
    right(
        "row-lstm-from-below",
        lambda: FromBelow(RowLstm()),
        lambda net: mp.check_causality(net, (1, 4, 4), order=FROM_BELOW),
        Reading((1, 4, 4), lambda net, x: net(x).flip(2).flatten(2).transpose(1, 2), order=FROM_BELOW.ravel()),
    ),
    leaky(
        "row-lstm-from-above-checked-from-below",
        RowLstm,
        lambda net: mp.check_causality(net, (1, 4, 4), order=FROM_BELOW),
        Reading((1, 4, 4), lambda net, x: net(x).flip(2).flatten(2).transpose(1, 2), order=FROM_BELOW.ravel()),
        "order",
    ),
    # the raster as a sequence
    right("lstm", RasterLstm, on_sequences, NUMBERS),
    leaky(
        "lstm-without-a-shift",
        lambda: RasterLstm(shift=False),
        on_sequences,
        NUMBERS,
        "shift",
    ),
    right("lstm-scripted", lambda: scripted(RasterLstm()), on_sequences, NUMBERS),
    leaky("lstm-scripted-without-a-shift", lambda: scripted(RasterLstm(shift=False)), on_sequences, NUMBERS, "shift"),
    leaky("lstm-bidirectional", lambda: RasterLstm(both=True), on_sequences, NUMBERS, "recurrence"),
    right(
        "lstm-of-one-batch", lambda: FixedBatch(6), lambda net: mp.check_causality(net, (16,), batch_size=6), NUMBERS
    ),
    right("lstm-to-images", lambda: ToImage(RasterLstm(5), 4, 4), on_images, IMAGE),
    leaky("lstm-reshaped-wrongly", lambda: ToImage(RasterLstm(5), 4, 4, turned=False), on_images, IMAGE, "reshape"),
    right("convolutions-padded-in-front", RasterConvolution, on_sequences, SEQUENCE),
    leaky(
        "convolutions-padded-on-both-sides",
        lambda: RasterConvolution(causal=False),
        on_sequences,
        SEQUENCE,
        "convolution",
    ),
]
ZOO = [*ROWS, *torch_transformers.ROWS, *torch_oddities.ROWS]
ANIMALS = tuple(animal for animal, _ in ZOO)
