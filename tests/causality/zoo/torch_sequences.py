"""The zoo, sequences in PyTorch: MADE, attention, transformers over codes, Row and Diagonal LSTMs, raster sequences.

Every animal has a `Reading` beside it, by which the test proves what the table says without the help of the library:
how the bare net is fed, and which of its outputs stands for which sub-pixel, in the order of drawing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import minipixel as mp
from causality.zoo.animal import Animal
from causality.zoo.attention_nets import (
    AcrossTheBatch,
    BatchNormOverTokens,
    Snail,
    SubPixelTransformer,
    Transformer,
    Turned,
    later,
)
from causality.zoo.made_nets import Gaussian, Made
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

CODES, BINARY = ("int64", 0, 3), ("float32", 0, 1)
LABEL = torch.tensor([3])
BACKWARDS = np.arange(12)[::-1]
FROM_BELOW = np.arange(16).reshape(4, 4)[::-1]


class Reading(NamedTuple):
    """How a net is fed images of a `shape`, and (N, S, ...) outputs, for S sub-pixels in the order of drawing."""

    shape: tuple[int, ...]
    outputs: Callable[[Any, Any], Any]
    codes: bool = False
    order: Any = None
    """Which number of the flattened image is drawn first, second ...; None for one after the other."""


def as_it_is(net, x):
    return net(x)


def pixels(net, x):
    return net(x).flatten(2).transpose(1, 2)


def outputs_in_the_end(net, x):
    """What a net with its last layer at zero says as soon as that has moved."""
    nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(3))
    return net(x)


VECTOR = Reading((12,), lambda net, x: net(x).view(len(x), -1, 12).transpose(1, 2))
INTERLEAVED = Reading((12,), lambda net, x: net(x).view(len(x), 12, -1))
IMAGE = Reading((1, 4, 4), pixels)
NUMBERS = Reading((16,), as_it_is)
TOKENS = Reading((16,), as_it_is, codes=True)
GRID = Reading((4, 4), as_it_is, codes=True)
AT_ZERO = Reading((16,), outputs_in_the_end, codes=True)
COLOURS = np.arange(27).reshape(3, 3, 3).transpose(1, 2, 0).ravel()  # (C, H, W), drawn pixel by pixel


def seeded(make):
    """`make`, with the weights of seed 0."""

    def made():
        torch.manual_seed(0)
        return make()

    return made


def on_vectors(net, **options):
    return mp.check_causality(net, (12,), **options)


def on_images(net, **options):
    return mp.check_causality(net, (1, 4, 4), **options)


def on_codes(net, **options):
    return mp.check_causality(net, (16,), inputs=CODES, **options)


def logits_first(out):
    return out.transpose(1, 2)


def head_at_zero(net):
    """The net, its last layer at zero, as training often begins: no output moves yet."""
    nn.init.zeros_(net.head.weight)
    return net


ZOO: list[tuple[Animal, Reading]] = []


def right(name, make, check, reading, **more):
    """A row for what is causal."""
    ZOO.append((Animal(name, seeded(make), check, True, **more), reading))


def leaky(name, make, check, reading, cause):
    """A row for what leaks; the named cause has to contain `cause`."""
    ZOO.append((Animal(name, seeded(make), check, False, cause), reading))


# --- MADE: vectors (N, D) ---------------------------------------------------------------------------------------------

right("made", lambda: Made(12), lambda net: mp.check_causality(net, (12,), inputs=BINARY), VECTOR)
right("made-two-layers", lambda: Made(12, layers=2), on_vectors, VECTOR)
leaky("made-degrees-equal", lambda: Made(12, strict=False), on_vectors, VECTOR, "mask")
right("made-blocks", lambda: Made(12, 3), lambda net: on_vectors(net, layout="N(QS)"), VECTOR)
right("made-interleaved", lambda: Made(12, 3, blocks=False), lambda net: on_vectors(net, layout="N(SQ)"), INTERLEAVED)
leaky(
    "made-interleaved-two-layers-degrees-equal",
    lambda: Made(12, 3, layers=2, blocks=False, strict=False),
    lambda net: on_vectors(net, layout="N(SQ)"),
    INTERLEAVED,
    "mask",
)
right(
    "made-drawn-backwards",
    lambda: Made(12, drawn=BACKWARDS.copy()),
    lambda net: mp.check_causality(net, (12,), order=BACKWARDS),
    Reading((12,), lambda net, x: net(x).flip(1)[..., None], order=BACKWARDS),
)
leaky(
    "made-drawn-backwards-checked-forwards",
    lambda: Made(12, drawn=BACKWARDS.copy()),
    on_vectors,
    Reading((12,), lambda net, x: net(x)[..., None]),
    "order",
)
right("made-of-images", lambda: Made(16), on_images, IMAGE)
right(
    "made-dict-of-mean-and-scale",
    lambda: Gaussian(12),
    lambda net: mp.check_causality(net, (12,), call=lambda net, x: torch.stack(list(net(x).values()), -1)),
    Reading((12,), lambda net, x: torch.stack(list(net(x).values()), -1)),
)
leaky(
    "made-dict-degrees-equal",
    lambda: Gaussian(12, strict=False),
    lambda net: mp.check_causality(net, (12,), call=lambda net, x: net(x)["scale"]),
    Reading((12,), lambda net, x: net(x)["scale"][..., None]),
    "mask",
)

# --- gated convolutions and attention over pixels ---------------------------------------------------------------------

right("snail", Snail, on_images, IMAGE)
right("snail-nan-to-zero", lambda: Snail(opening="nan"), on_images, IMAGE)
right("snail-float64", lambda: Snail().double(), on_images, IMAGE)
right("snail-compiled", lambda: torch.compile(Snail(), backend="eager"), on_images, IMAGE)
leaky("snail-diagonal-open", lambda: Snail(opening="diagonal"), on_images, IMAGE, "mask")
leaky("snail-first-row-uniform", lambda: Snail(opening="uniform"), on_images, IMAGE, "softmax")
leaky("snail-mask-too-weak", lambda: Snail(opening="weak"), on_images, IMAGE, "attention")
leaky(
    "snail-first-row-uniform-compiled",
    lambda: torch.compile(Snail(opening="uniform"), backend="eager"),
    on_images,
    IMAGE,
    "softmax",
)
COLOUR_PIXELS = Reading((3, 3, 3), lambda net, x: pixels(net, x).repeat_interleave(3, 1), order=COLOURS)
leaky(
    "snail-of-colours-by-sub-pixels",  # all that a pixel says is of all its colours: only by pixels would it be right
    lambda: Snail(3, opening="diagonal"),
    lambda net: mp.check_causality(net, (3, 3, 3), groups=[0, 1, 2, 2]),
    COLOUR_PIXELS,
    "mask",
)
right(
    "snail-of-colours-by-pixels",
    lambda: Snail(3, out=6),
    lambda net: mp.check_causality(net, (3, 3, 3), order="pixels"),
    COLOUR_PIXELS,
)

# --- transformers over codes ------------------------------------------------------------------------------------------

right("transformer", lambda: Transformer(16), lambda net: mp.check_causality(net, (16,), inputs=CODES), TOKENS)
right("transformer-of-a-grid", lambda: Transformer(16), lambda n: mp.check_causality(n, (4, 4), inputs=CODES), GRID)
right("transformer-two-layers", lambda: Transformer(16, layers=2), on_codes, TOKENS)
right("transformer-dropout", lambda: Transformer(16, dropout=0.3), on_codes, TOKENS)
right("transformer-float64", lambda: Transformer(16).double(), on_codes, TOKENS)
right("transformer-sequence-first-inside", lambda: Transformer(16, batch_first=False), on_codes, TOKENS)
right(
    "transformer-logits-first",
    lambda: Turned(Transformer(16, Q=5), logits_first),
    on_codes,
    Reading((16,), lambda net, x: net(x).transpose(1, 2), codes=True),
)
leaky("transformer-without-a-shift", lambda: Transformer(16, shift=False), on_codes, TOKENS, "shift")
leaky("transformer-mask-transposed", lambda: Transformer(16, mask="transposed"), on_codes, TOKENS, "mask")
leaky("transformer-mask-off-by-one", lambda: Transformer(16, mask="off by one"), on_codes, TOKENS, "mask")
leaky("transformer-no-mask-in-evaluation", lambda: Transformer(16, mask="in training"), on_codes, TOKENS, "mask")
leaky("transformer-no-mask-in-training", lambda: Transformer(16, mask="in evaluation"), on_codes, TOKENS, "mask")
leaky(
    "transformer-of-a-grid-without-a-mask",
    lambda: Transformer(16, mask="none", dropout=0.1),
    lambda net: mp.check_causality(net, (4, 4), inputs=CODES),
    GRID,
    "attention",
)
leaky("transformer-across-the-batch", lambda: AcrossTheBatch(16, batch_first=False), on_codes, TOKENS, "batch")
right("transformer-norm-per-token", lambda: Transformer(16, norm=nn.LayerNorm(8)), on_codes, TOKENS)
leaky(
    "transformer-norm-over-the-sequence",
    lambda: Transformer(16, norm=nn.LayerNorm([16, 8])),
    on_codes,
    TOKENS,
    "normalisation",
)
right(
    "transformer-batch-norm",
    lambda: Transformer(16, norm=BatchNormOverTokens(8)),
    on_codes,
    TOKENS,
    batch_statistics=True,
)
right("transformer-head-at-zero", lambda: head_at_zero(Transformer(16)), on_codes, AT_ZERO)
leaky(
    "transformer-head-at-zero-without-a-shift",
    lambda: head_at_zero(Transformer(16, shift=False)),
    on_codes,
    AT_ZERO,
    "shift",
)
COLOUR_CODES = Reading((3, 3, 3), lambda net, x: net(x).flatten(1, 3), True, COLOURS)
right(
    "transformer-of-colours",
    lambda: SubPixelTransformer(3, 3, 3),
    lambda net: mp.check_causality(net, (3, 3, 3), inputs=CODES, layout="NHWCQ"),
    COLOUR_CODES,
)
leaky(
    "transformer-of-colours-without-a-shift",
    lambda: SubPixelTransformer(3, 3, 3, shift=False),
    lambda net: mp.check_causality(net, (3, 3, 3), inputs=CODES, layout="NHWCQ"),
    COLOUR_CODES,
    "mask",
)
right(
    "transformer-of-a-sequence-of-colours",
    lambda: Transformer(27, Q=5),
    lambda net: mp.check_causality(net, (27,), inputs=("int64", 0, 4)),
    Reading((27,), as_it_is, codes=True),
)

# --- wrappers ---------------------------------------------------------------------------------------------------------

right(
    "transformer-lambda-with-a-label",
    lambda: Transformer(16, dropout=0.2),
    lambda net: mp.check_causality(lambda x: net(x, LABEL), (16,), inputs=CODES),
    TOKENS,
)
right("transformer-bound-method", lambda: Transformer(16), lambda net: on_codes(net.logits), TOKENS)
leaky(
    "transformer-bound-method-no-mask-in-evaluation",
    lambda: Transformer(16, mask="in training"),
    lambda net: on_codes(net.logits),
    TOKENS,
    "mask",
)
right(
    "transformer-partial-with-a-mask",
    lambda: Transformer(16, mask="none"),
    lambda net: mp.check_causality(partial(net, mask=later(16)), (16,), inputs=CODES),
    Reading((16,), lambda net, x: net(x, mask=later(16)), codes=True),
)
leaky(
    "transformer-call-with-a-mask-off-by-one",
    lambda: Transformer(16, mask="none"),
    lambda net: on_codes(net, call=lambda net, x: net(x, mask=later(16, 2))),
    Reading((16,), lambda net, x: net(x, mask=later(16, 2)), codes=True),
    "mask",
)
right(
    "transformer-call-from-one-channel",
    lambda: Transformer(16),
    lambda net: mp.check_causality(
        net, (1, 4, 4), inputs=CODES, call=lambda net, x: net(x[:, 0], LABEL).mT.unflatten(2, (4, 4))
    ),
    TOKENS,
)
LABELLED = Reading((1, 4, 4), lambda net, x: net(x, LABEL)[0].flatten(2).transpose(1, 2))
right(
    "snail-tuple-in-a-lambda",
    lambda: Labelled(Snail()),
    lambda net: mp.check_causality(lambda x: net(x, LABEL)[0], (1, 4, 4), channels_first=True),
    LABELLED,
)
leaky(
    "snail-tuple-in-a-lambda-diagonal-open",
    lambda: Labelled(Snail(opening="diagonal")),
    lambda net: mp.check_causality(lambda x: net(x, LABEL)[0], (1, 4, 4), channels_first=True),
    LABELLED,
    "mask",
)
right(
    "row-lstm-labels-of-one-batch",
    lambda: Labelled(RowLstm()),
    lambda net: on_images(net, call=lambda net, x: net(x, torch.arange(6))[0], batch_size=6),
    LABELLED,
)

# --- Row and Diagonal LSTMs -------------------------------------------------------------------------------------------

right("row-lstm", RowLstm, on_images, IMAGE)
leaky("row-lstm-runs-up-too", lambda: RowLstm(up=True), on_images, IMAGE, "rows below")
right("diagonal-lstm", lambda: DiagonalLstm(both=False), on_images, IMAGE)
right("diagonal-lstm-both-ways", DiagonalLstm, on_images, IMAGE)
leaky("diagonal-lstm-not-shifted-down", lambda: DiagonalLstm(down=False), on_images, IMAGE, "shift")
leaky("diagonal-lstm-unskewed-wrongly", lambda: DiagonalLstm(both=False, late=1), on_images, IMAGE, "mask")
leaky("diagonal-lstm-unskewed-two-late", lambda: DiagonalLstm(both=False, late=2), on_images, IMAGE, "shift")
right(
    "row-lstm-from-below",
    lambda: FromBelow(RowLstm()),
    lambda net: mp.check_causality(net, (1, 4, 4), order=FROM_BELOW),
    Reading((1, 4, 4), lambda net, x: net(x).flip(2).flatten(2).transpose(1, 2), order=FROM_BELOW.ravel()),
)
leaky(
    "row-lstm-from-above-checked-from-below",
    RowLstm,
    lambda net: mp.check_causality(net, (1, 4, 4), order=FROM_BELOW),
    Reading((1, 4, 4), lambda net, x: net(x).flip(2).flatten(2).transpose(1, 2), order=FROM_BELOW.ravel()),
    "order",
)

# --- the raster as a sequence -----------------------------------------------------------------------------------------

right("lstm", RasterLstm, lambda net: mp.check_causality(net, (16,)), NUMBERS)
leaky(
    "lstm-without-a-shift",
    lambda: RasterLstm(shift=False),
    lambda net: mp.check_causality(net, (16,)),
    NUMBERS,
    "shift",
)
leaky("lstm-bidirectional", lambda: RasterLstm(both=True), lambda net: mp.check_causality(net, (16,)), NUMBERS, "")
right("lstm-of-one-batch", lambda: FixedBatch(6), lambda net: mp.check_causality(net, (16,), batch_size=6), NUMBERS)
right("lstm-to-images", lambda: ToImage(RasterLstm(), 4, 4), on_images, IMAGE)
leaky("lstm-reshaped-wrongly", lambda: ToImage(RasterLstm(), 4, 4, turned=False), on_images, IMAGE, "reshape")
SEQUENCE = Reading((16,), lambda net, x: net(x).transpose(1, 2))
right("convolutions-padded-in-front", RasterConvolution, lambda net: mp.check_causality(net, (16,)), SEQUENCE)
leaky(
    "convolutions-padded-on-both-sides",
    lambda: RasterConvolution(causal=False),
    lambda net: mp.check_causality(net, (16,)),
    SEQUENCE,
    "convolution",
)

ANIMALS = tuple(animal for animal, _ in ZOO)
