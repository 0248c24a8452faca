"""The zoo, transformers over codes in PyTorch, and the ways in which people hand them over."""

from functools import partial

import numpy as np
import torch
from causality.zoo.attention_nets import (
    AcrossTheBatch,
    BatchNormOverTokens,
    SubPixelTransformer,
    Transformer,
    Turned,
    later,
)
from causality.zoo.readings import Reading, as_it_is, leaky, right
from torch import nn

import minipixel as mp

CODES = ("int64", 0, 3)
LABEL = torch.tensor([3])
TOKENS = Reading((16,), as_it_is, codes=True)
GRID = Reading((4, 4), as_it_is, codes=True)
COLOURS = np.arange(27).reshape(3, 3, 3).transpose(1, 2, 0).ravel()  # (C, H, W), drawn pixel by pixel
COLOUR_CODES = Reading((3, 3, 3), lambda net, x: net(x).flatten(1, 3), True, COLOURS)


def on_codes(net, **options):
    return mp.check_causality(net, (16,), inputs=CODES, **options)


def logits_first(out):
    return out.transpose(1, 2)


def head_at_zero(net):
    """The net, its last layer at zero, as training often begins: no output moves yet."""
    nn.init.zeros_(net.head.weight)
    return net


def outputs_in_the_end(net, x):
    """What a net with its last layer at zero says as soon as that has moved."""
    nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(3))
    return net(x)


AT_ZERO = Reading((16,), outputs_in_the_end, codes=True)

ROWS = [
    # transformers over codes
    right("transformer", lambda: Transformer(16), lambda net: mp.check_causality(net, (16,), inputs=CODES), TOKENS),
    right(
        "transformer-of-a-grid", lambda: Transformer(16), lambda n: mp.check_causality(n, (4, 4), inputs=CODES), GRID
    ),
    right("transformer-two-layers", lambda: Transformer(16, layers=2), on_codes, TOKENS),
    right("transformer-dropout", lambda: Transformer(16, dropout=0.3), on_codes, TOKENS),
    right("transformer-float64", lambda: Transformer(16).double(), on_codes, TOKENS),
    right("transformer-sequence-first-inside", lambda: Transformer(16, batch_first=False), on_codes, TOKENS),
    right(
        "transformer-logits-first",
        lambda: Turned(Transformer(16, Q=5), logits_first),
        on_codes,
        Reading((16,), lambda net, x: net(x).transpose(1, 2), codes=True),
    ),
    leaky("transformer-without-a-shift", lambda: Transformer(16, shift=False), on_codes, TOKENS, "shift"),
    leaky("transformer-mask-transposed", lambda: Transformer(16, mask="transposed"), on_codes, TOKENS, "transposed"),
    leaky("transformer-mask-off-by-one", lambda: Transformer(16, mask="off by one"), on_codes, TOKENS, "mask"),
    leaky(
        "transformer-no-mask-in-evaluation", lambda: Transformer(16, mask="in training"), on_codes, TOKENS, "attention"
    ),
    leaky(
        "transformer-no-mask-in-training", lambda: Transformer(16, mask="in evaluation"), on_codes, TOKENS, "attention"
    ),
    leaky(
        "transformer-of-a-grid-without-a-mask",
        lambda: Transformer(16, mask="none", dropout=0.1),
        lambda net: mp.check_causality(net, (4, 4), inputs=CODES),
        GRID,
        "attention",
    ),
    leaky(
        "transformer-across-the-batch",
        lambda: AcrossTheBatch(16, batch_first=False),
        on_codes,
        TOKENS,
        "batch",
    ),
    right("transformer-norm-per-token", lambda: Transformer(16, norm=nn.LayerNorm(8)), on_codes, TOKENS),
    leaky(
        "transformer-norm-over-the-sequence",
        lambda: Transformer(16, norm=nn.LayerNorm([16, 8])),
        on_codes,
        TOKENS,
        "normalisation",
    ),
    right(
        "transformer-batch-norm",
        lambda: Transformer(16, norm=BatchNormOverTokens(8)),
        on_codes,
        TOKENS,
        batch_statistics=True,
    ),
    right("transformer-head-at-zero", lambda: head_at_zero(Transformer(16)), on_codes, AT_ZERO),
    leaky(
        "transformer-head-at-zero-without-a-shift",
        lambda: head_at_zero(Transformer(16, shift=False)),
        on_codes,
        AT_ZERO,
        "shift",
    ),
    right(
        "transformer-of-colours",
        lambda: SubPixelTransformer(3, 3, 3),
        lambda net: mp.check_causality(net, (3, 3, 3), inputs=CODES, layout="NHWCQ"),
        COLOUR_CODES,
    ),
    leaky(
        "transformer-of-colours-without-a-shift",
        lambda: SubPixelTransformer(3, 3, 3, shift=False),
        lambda net: mp.check_causality(net, (3, 3, 3), inputs=CODES, layout="NHWCQ"),
        COLOUR_CODES,
        "shift",
    ),
    right(
        "transformer-of-a-sequence-of-colours",
        lambda: Transformer(27, Q=5),
        lambda net: mp.check_causality(net, (27,), inputs=("int64", 0, 4)),
        Reading((27,), as_it_is, codes=True),
    ),
    # wrappers
    right(
        "transformer-lambda-with-a-label",
        lambda: Transformer(16, dropout=0.2),
        lambda net: mp.check_causality(lambda x: net(x, LABEL), (16,), inputs=CODES),
        TOKENS,
    ),
    right("transformer-bound-method", lambda: Transformer(16), lambda net: on_codes(net.logits), TOKENS),
    leaky(
        "transformer-bound-method-no-mask-in-evaluation",
        lambda: Transformer(16, mask="in training"),
        lambda net: on_codes(net.logits),
        TOKENS,
        "attention",
    ),
    right(
        "transformer-partial-with-a-mask",
        lambda: Transformer(16, mask="none"),
        lambda net: mp.check_causality(partial(net, mask=later(16)), (16,), inputs=CODES),
        Reading((16,), lambda net, x: net(x, mask=later(16)), codes=True),
    ),
    leaky(
        "transformer-call-with-a-mask-off-by-one",
        lambda: Transformer(16, mask="none"),
        lambda net: on_codes(net, call=lambda net, x: net(x, mask=later(16, 2))),
        Reading((16,), lambda net, x: net(x, mask=later(16, 2)), codes=True),
        "mask",
    ),
    right(
        "transformer-call-from-one-channel",
        lambda: Transformer(16, Q=5),
        lambda net: mp.check_causality(
            net, (1, 4, 4), inputs=CODES, call=lambda net, x: net(x[:, 0], LABEL).mT.unflatten(2, (4, 4))
        ),
        TOKENS,
    ),
]
