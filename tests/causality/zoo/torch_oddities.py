"""The zoo, sequences in PyTorch that are built, or handed over, in less usual ways."""

import numpy as np
import torch
from causality.zoo.attention_nets import Transformer, Turned
from causality.zoo.odd_nets import (
    ByLength,
    Categories,
    Experts,
    FrozenDegrees,
    LinearAttention,
    LongConvolution,
    OneSlip,
    Permuted,
    Pooled,
    StatefulLstm,
    ZeroIsPadding,
)
from causality.zoo.readings import Reading, as_it_is, leaky, right
from causality.zoo.recurrent_nets import RasterLstm
from torch import nn

import minipixel as mp

CODES = ("int64", 0, 3)
NUMBERS = Reading((16,), as_it_is)
TOKENS = Reading((16,), as_it_is, codes=True)
CHANNELS = Reading((16,), lambda net, x: net(x).transpose(1, 2))
DRAWN = np.random.default_rng(5).permutation(16)
PLACES = DRAWN.argsort()
PERMUTED = Reading((16,), lambda net, x: net(x)[:, DRAWN], True, DRAWN)


def on_sequences(net, **options):
    return mp.check_causality(net, (16,), **options)


def on_codes(net, **options):
    return mp.check_causality(net, (16,), inputs=CODES, **options)


def shifted(x):
    """The same, everything one place later."""
    return nn.functional.pad(x, (1, -1))


def one_hot(net, x):
    marks = nn.functional.one_hot(x, 4).to(net.weight_ih_l0.dtype)
    return net(nn.functional.pad(marks, (0, 0, 1, -1)))[0]


def step_by_step(net, x):
    return torch.stack([net(x)[:, place] for place in range(16)], dim=1)


def afresh(net, x):
    net.state = None
    return net(x)


def opened(net, x):
    nn.init.ones_(net.gate)
    return net(x)


OPENED = Reading((16,), opened)

ROWS = [
    right("linear-attention-shifted", lambda: LinearAttention(16, "shifted"), on_sequences, NUMBERS),
    right(
        "linear-attention-subtracted",
        lambda: LinearAttention(16, "subtracted"),
        lambda net: mp.check_causality(net, (16,), tolerance=1e-4),
        NUMBERS,
    ),
    leaky("linear-attention-own-left-in", lambda: LinearAttention(16, "left in"), on_sequences, NUMBERS, "mask"),
    right(
        "long-convolution-by-fft",
        lambda: LongConvolution(16),
        lambda net: mp.check_causality(net, (16,), tolerance=1e-4),
        CHANNELS,
    ),
    leaky(
        "long-convolution-round-the-end",
        lambda: LongConvolution(16, zeros=False),
        lambda net: mp.check_causality(net, (16,), tolerance=1e-4),
        CHANNELS,
        "comes in at the other",
    ),
    right("lstm-with-a-state-that-stays", StatefulLstm, on_sequences, Reading((16,), afresh)),
    right(
        "made-degrees-as-frozen-parameters",
        lambda: FrozenDegrees(12),
        lambda net: mp.check_causality(net, (12,)),
        Reading((12,), lambda net, x: net(x)[..., None]),
    ),
    right("transformer-permuted", lambda: Permuted(DRAWN), lambda net: on_codes(net, order=PLACES), PERMUTED),
    right(
        "transformer-permuted-grid",
        lambda: Permuted(DRAWN),
        lambda net: mp.check_causality(net, (4, 4), inputs=CODES, order=PLACES.reshape(4, 4)),
        PERMUTED,
    ),
    leaky(
        "transformer-permuted-and-not-back",
        lambda: Permuted(DRAWN, back=False),
        lambda net: on_codes(net, order=PLACES),
        PERMUTED,
        "other places",
    ),
    right("transformer-zero-is-padding", lambda: ZeroIsPadding(16), on_codes, TOKENS),
    leaky("transformer-scaled-by-length", lambda: ByLength(16), on_codes, TOKENS, "over the whole"),
    leaky("lstm-slips-at-one-place", lambda: OneSlip(RasterLstm(), 7), on_sequences, NUMBERS, "off by"),
    right("experts", lambda: Experts(10**6), on_sequences, NUMBERS),
    leaky("experts-with-a-capacity-for-the-batch", Experts, on_sequences, NUMBERS, "batch"),
    *(
        leaky(f"pooled-behind-a-{gate}-gate", lambda gate=gate: Pooled(gate), on_sequences, OPENED, "over the whole")
        for gate in ("zero", "shut", "dead")
    ),
    # layouts
    right(
        "transformer-as-many-codes-as-places",
        lambda: Transformer(16, Q=16),
        lambda net: mp.check_causality(net, (16,), inputs=("int64", 0, 15), layout="NSQ"),
        TOKENS,
    ),
    right(
        "transformer-sequence-first",
        lambda: Turned(Transformer(16), lambda out: out.transpose(0, 1)),
        lambda net: on_codes(net, layout="SNQ"),
        Reading((16,), lambda net, x: net(x).transpose(0, 1), codes=True),
    ),
    right(
        "lstm-sequence-first-twice",
        lambda: Turned(RasterLstm(), lambda out: out.transpose(0, 1)),
        lambda net: on_sequences(net, layout="SN->SNQ", call=lambda net, x: net(x.T)),
        Reading((16,), lambda net, x: net(x).transpose(0, 1)),
    ),
    # what a net is fed, and what it returns
    right(
        "lstm-one-hot",
        lambda: nn.LSTM(4, 4, batch_first=True),
        lambda net: on_codes(net, call=one_hot),
        Reading((16,), one_hot, codes=True),
    ),
    right(
        "transformer-distribution",
        lambda: Categories(16),
        lambda net: on_codes(net, call=lambda net, x: net(x).logits),
        Reading((16,), lambda net, x: net(x).logits, codes=True),
    ),
    right("lstm-step-by-step", RasterLstm, lambda net: on_sequences(net, call=step_by_step), NUMBERS),
    right(
        "transformer-next-code-shifted",
        lambda: Transformer(16, shift=False),
        lambda net: on_codes(net, call=lambda net, x: net(shifted(x))),
        Reading((16,), lambda net, x: net(shifted(x)), codes=True),
    ),
    right("transformer-codes-not-announced", lambda: Transformer(16), on_sequences, TOKENS),
]
