"""Grey nets in PyTorch that are laid out, compiled or called in their own way, each once right and once leaky."""

import warnings

import torch
from causality.zoo.convolution_rows import FIRST_B, GREY, ZERO, Rows, grey, last_layer
from causality.zoo.torch_forwards import (
    Around,
    Codes,
    KeepsItsFeatures,
    KeepsTheFirstBatch,
    Quantises,
    TakesAMask,
    Trainer,
    WithLabel,
    WithoutATape,
    WritesItsInput,
)
from causality.zoo.torch_grey import pixelcnn, raster_mask
from torch import nn

import minipixel as mp

ROWS = Rows()
add = ROWS.add
LABELS = torch.tensor([0, 1, 2, 1])

# --- channels last, codes, precisions, compilers ----------------------------------------------------------------------


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


def trained_by_an_object(net):
    trainer = Trainer(net)
    return mp.check_causality(lambda x: trainer.net(x), GREY, channels_first=True)


def in_a_table(net):
    nets = {"grey": net}
    return mp.check_causality(lambda x: nets["grey"](x), GREY, channels_first=True)


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
    add(
        f"codes, and nobody says so{leaky}",
        lambda first=first: Codes(first),
        lambda net: mp.check_causality(net, (5, 6)),
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

    add(
        f"an object around a net, batch normalisation{leaky}",
        lambda first=first: pixelcnn(first=first, between=lambda: nn.BatchNorm2d(8)),
        lambda net: mp.check_causality(Trainer(net), (1, 5, 6), channels_first=True),
        **leaks,
        statistics=True,
    )
    add(
        f"a method of an object around a net, zero last layer{leaky}",
        lambda first=first: pixelcnn(first=first, **ZERO),
        lambda net: mp.check_causality(Trainer(net).logits, (1, 5, 6), channels_first=True),
        **leaks,
        wake=last_layer,
    )
    add(
        f"a lambda around an object around a net, zero last layer, batch normalisation{leaky}",
        lambda first=first: pixelcnn(first=first, between=lambda: nn.BatchNorm2d(8), **ZERO),
        trained_by_an_object,
        **leaks,
        statistics=True,
        wake=last_layer,
    )
    add(
        f"a lambda around a table of nets, zero last layer{leaky}",
        lambda first=first: pixelcnn(first=first, **ZERO),
        in_a_table,
        **leaks,
        wake=last_layer,
    )
    add(
        f"cannot be copied, weight_norm of old, zero last layer{leaky}",
        lambda first=first: with_old_weight_norm(pixelcnn(first=first, **ZERO)),
        grey,
        **leaks,
        wake=last_layer,
    )
    add(
        f"cannot be copied, keeps its last features, zero last layer{leaky}",
        lambda first=first: KeepsItsFeatures(first),
        grey,
        **leaks,
        wake=lambda net: last_layer(net.net),
    )


def with_old_weight_norm(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(net[2])
    return net
