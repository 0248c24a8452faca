r"""PixelCNN++: two streams of gated residual layers, through maps that shrink and grow again, and a mixture head.

Source: T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++: Improving the PixelCNN with Discretized Logistic
Mixture Likelihood and Other Modifications", 2017, arXiv:1701.05517, section 2 and figure 2.

The stream u reads the rows above a pixel. The stream ul reads the pixels above and to the left, and every one of its
layers also reads the features of u. Both streams start with a shift, after which their features do not depend on the
pixel itself; so later kernels may read the features at their own pixel, and need no mask. On the way in the maps are
halved from level to level; on the way back they are enlarged again. Each layer on the way back also reads the features
of its twin, the layer at the same place on the way in, so that no detail is lost:

    start - pair - pair .................... pair - pair - pair - top        pair: a layer of u, then one of ul
                      \ halve                 / enlarge                      ...: skips, from twin to twin
                       pair - pair ... pair - pair

No colour of the pixel itself enters either stream. Mixture heads make a colour depend on the earlier colours of its
pixel by themselves; for the other heads ColourTop does that.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.models.base import Model
from minipixel.models.checks import check_choice, check_count, check_features, check_flag, check_rate, check_shape
from minipixel.nn import (
    Conditioning,
    Dropout,
    EnlargingConv2d,
    Init,
    Module,
    NormedPointwise,
    NotLoaded,
    ShiftedConv2d,
    colour_groups,
)
from minipixel.shown import short
from minipixel.tensor import Tensor

# By the names of TensorFlow Probability: the activation, and how many channels it makes of one.
ACTIVATIONS: dict[str, tuple[Callable[[Any], Tensor], int]] = {
    "concat_elu": (ops.concat_elu, 2),
    "elu": (ops.elu, 1),
    "relu": (ops.relu, 1),
}


class Shared:
    """The settings that all layers share: F features, two kernels, the activation, dropout, the condition's width."""

    def __init__(
        self, F: int, u_kernel: Any, ul_kernel: Any, activation: str, dropout: float, K_condition: int, normed: bool
    ) -> None:
        self.F, self.dropout, self.K_condition, self.normed = F, dropout, K_condition, normed
        self.kernels = {"down": u_kernel, "down-right": ul_kernel}
        self.activate, self.widening = ACTIVATIONS[activation]

    def conv(self, K_in: int, K_out: int, shift: str, init: Init, **options: Any) -> ShiftedConv2d:
        """A convolution of one of the two streams."""
        kind = EnlargingConv2d if "size" in options else ShiftedConv2d
        return kind(K_in, K_out, self.kernels[shift], shift, init, self.normed, **options)


class GatedResidual(Module):
    """A gated residual layer: x + a * sigmoid(b), where a and b come from x by two convolutions.

    y = conv(act(x)) + 1x1(act(skip)), [a, b] = conv(dropout(act(y))) + V h. The skip is a map of `K_skip` channels from
    another layer, and h is the condition.
    """

    def __init__(self, shared: Shared, shift: str, K_skip: int, init: Init) -> None:
        F, wide = shared.F, shared.widening
        self.activate = shared.activate
        self.first = shared.conv(wide * F, F, shift, init)
        self.skip = NormedPointwise(wide * K_skip, F, init, shared.normed) if K_skip else None
        self.drop = Dropout(shared.dropout)
        self.second = shared.conv(wide * F, 2 * F, shift, init)
        self.told = Conditioning(shared.K_condition, 2 * F, init)

    def __call__(self, x: Tensor, skips: tuple[Any, ...], condition: Any, rng: np.random.Generator | None) -> Tensor:
        """(H, W, N, F), and no skip, or one or two maps that together have K_skip channels -> (H, W, N, F)."""
        y = self.first(self.activate(x))
        if self.skip is not None:
            skip = ops.concat(*skips) if len(skips) == 2 else skips[0]
            y = y + self.skip(self.activate(skip))
        y = self.drop(self.activate(y), rng)
        return x + ops.linear_gate(self.second(y, self.told, condition))


class Pair(Module):
    """A residual layer for each stream: that of u is computed first, and that of ul reads its output."""

    def __init__(self, shared: Shared, on_the_way_back: bool, init: Init) -> None:
        self.u = GatedResidual(shared, "down", shared.F if on_the_way_back else 0, init)
        self.ul = GatedResidual(shared, "down-right", 2 * shared.F if on_the_way_back else shared.F, init)

    def __call__(
        self, u: Tensor, ul: Tensor, twin: tuple[Any, ...] = (), condition: Any = None, rng: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Both streams after one more layer, (H, W, N, F) each.

        `twin`, on the way back, has the maps of both streams at the same place on the way in.
        """
        u = self.u(u, twin[:1], condition, rng)
        return u, self.ul(ul, (u, *twin[1:]), condition, rng)


class Level(Module):
    """All layers at one size of map, and the level of half that size inside it.

    These are the pairs on the way in, the next smaller level if there is one, and the pairs on the way back. Each map
    of the way in is the skip of one pair on the way back; at the smallest level, the way back begins with the last map.
    """

    def __init__(self, shared: Shared, size: tuple[int, int], resnets: int, levels_below: int, init: Init) -> None:
        self.way_in = [Pair(shared, False, init) for _ in range(resnets)]
        self.below: Level | None = None
        if levels_below:
            H, W = size
            shifts = ("down", "down-right")
            self.halve = [shared.conv(shared.F, shared.F, shift, init, stride=2) for shift in shifts]
            self.below = Level(shared, (-(-H // 2), -(-W // 2)), resnets, levels_below - 1, init)
            self.enlarge = [shared.conv(shared.F, shared.F, shift, init, stride=2, size=size) for shift in shifts]
        self.way_back = [Pair(shared, True, init) for _ in range(resnets + 1 if levels_below else resnets)]

    def __call__(self, u: Tensor, ul: Tensor, condition: Any = None, rng: Any = None) -> tuple[Tensor, Tensor]:
        """Both streams after this level and all smaller ones: (H, W, N, F) twice -> (H, W, N, F) twice."""
        seen = [(u, ul)]
        for pair in self.way_in:
            seen.append(pair(*seen[-1], (), condition, rng))
        if self.below is None:
            u, ul = seen.pop()
        else:
            halve_u, halve_ul = self.halve
            enlarge_u, enlarge_ul = self.enlarge
            u, ul = seen[-1]
            coarser = None if condition is None else ops.subsample(condition, stride=2)
            u, ul = self.below(halve_u(u), halve_ul(ul), coarser, rng)
            u, ul = enlarge_u(u), enlarge_ul(ul)
        for pair, twin in zip(self.way_back, reversed(seen), strict=True):
            u, ul = pair(u, ul, twin, condition, rng)
        return u, ul


class PlainTop(Module):
    """elu and a 1x1 layer to the parameters of the head, where that joins the colours itself or images are grey."""

    def __init__(self, F: int, P: int, init: Init, normed: bool) -> None:
        self.out = NormedPointwise(F, P, init, normed)

    def __call__(self, ul: Tensor, x: Any) -> Tensor:
        """(H, W, N, F) -> (H, W, N, P)."""
        return self.out(ops.elu(ul))


class ColourTop(Module):
    """The last layers where each of C colours depends on the earlier colours of its pixel: they also read the image.

    A 1x1 layer of the features and a 1x1 layer of the image, with mask A, are added; concat_elu and a 1x1 layer with
    mask B follow.
    """

    def __init__(self, C: int, F: int, image: np.ndarray, head_groups: np.ndarray, init: Init, normed: bool) -> None:
        groups = colour_groups(F, C)
        self.features = NormedPointwise(F, F, init, normed)
        self.colours = NormedPointwise(len(image), F, init, normed, groups=(image, groups), kind="A")
        both = np.concatenate([groups, groups])  # concat_elu doubles the channels
        self.out = NormedPointwise(2 * F, len(head_groups), init, normed, groups=(both, head_groups))

    def __call__(self, ul: Tensor, x: Any) -> Tensor:
        """(H, W, N, F), the encoded image (H, W, N, C*E) -> (H, W, N, P)."""
        return self.out(ops.concat_elu(self.features(ops.elu(ul)) + self.colours(x)))


class PixelCNNpp(Model):
    """PixelCNN++ (1701.05517) for images (H, W, C) of Q levels, C in 1..64.

    The model works at `hierarchies` sizes of map, each half as high and wide as the one before (rounded up). At each
    size there are `resnets` pairs of gated residual layers of `filters` features on the way in, and as many, or one
    more, on the way back. The paper has 3 sizes, 5 pairs and 160 features. In training the share `dropout` of the
    features inside a residual layer is set to zero. `vertical_kernel` (kh, kw), kw odd, is the kernel of the stream u,
    which covers a pixel's row and those above it; `horizontal_kernel` is that of ul, which covers what is above and to
    the left, the pixel itself included. `activation` is "concat_elu", "elu" or "relu". A condition is added in every
    gate; if it is a map, smaller levels read every second row and column of it.

    With `weight_norm` all weights but those of conditions are weight-normalised; `initialize`, which `fit` calls, then
    sets gains and biases, and scales the weights of conditions, from a first batch. The arguments from `head` on are
    explained in Model, but None stands for "logistic_mixture" here. The paper trains with Adam (beta1 0.95, beta2
    0.9995) at the learning rate optim.exponential_decay(1e-3, 0.999995), and tests and samples with averaged weights:
    callbacks.EMA(0.9995). Raises ValueError for arguments out of their range.

    How far it sees: a pixel reads the rows above it as far as the smallest map reaches, with one exception. For a pixel
    in an odd row (rows count from 0), the smaller maps hold neither its own row nor what lies to the right in the row
    above. Of these it reads only as many columns as the layers at full size reach: 4 * `resnets` + 2 with the paper's
    kernels, or 4 * `resnets` + 1 if there is no smaller map. In the paper's model these are 22 of 32 columns. With the
    default `resnets=2` the context is complete up to 11 columns. Wider kernels reach further, kw // 2 columns per layer
    to the right and kw - 1 to the left: for 28x28 images kernels of (2, 7) and (2, 4) give the complete context.
    """

    name = "pixelcnnpp"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        filters: int = 64,
        resnets: int = 2,
        hierarchies: int = 2,
        dropout: float = 0.5,
        vertical_kernel: tuple[int, int] = (2, 3),
        horizontal_kernel: tuple[int, int] = (2, 2),
        activation: str = "concat_elu",
        weight_norm: bool = True,
        head: str | None = None,
        mixtures: int = 5,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        rng: Any = 0,
        dtype: str = "float32",
        inputs: str = "scaled",
        embedding_width: int = 16,
    ) -> None:
        H, W, C = check_shape(image_shape)
        architecture = {
            "filters": check_count("filters", filters, 1),
            "resnets": check_count("resnets", resnets, 1, 256),
            "hierarchies": check_count("hierarchies", hierarchies, 1, 16),
            "dropout": check_rate("dropout", dropout),
            "vertical_kernel": _check_kernel("vertical_kernel", vertical_kernel, 1, odd=True),
            "horizontal_kernel": _check_kernel("horizontal_kernel", horizontal_kernel, 2, odd=False),
            "activation": check_choice("activation", activation, tuple(ACTIVATIONS)),
            "weight_norm": check_flag("weight_norm", weight_norm),
        }
        head = "logistic_mixture" if head is None else head
        common = head, mixtures, num_classes, condition_shape, rng, dtype, inputs, embedding_width
        super().__init__(image_shape, levels, architecture, *common)

        knows_colours = C == 1 or self.head.joins_colours  # else they are told apart in the top, and only there
        F, init = filters if knows_colours else check_features("filters", filters, C), self.init
        shared = Shared(F, vertical_kernel, horizontal_kernel, activation, dropout, self.conditions.width, weight_norm)
        (_, kw), (kh, k_left) = vertical_kernel, horizontal_kernel
        self.initialized = not weight_norm
        self.features = shared.widening * F
        image = self.encoding.groups
        K = len(image) + self._marks_the_border
        self.above = ShiftedConv2d(K, F, vertical_kernel, "down", init, weight_norm)
        self.up = ShiftedConv2d(K, F, (1, kw), "down", init, weight_norm)
        self.left = ShiftedConv2d(K, F, (kh, k_left - 1), "down-right", init, weight_norm)
        self.level = Level(shared, (H, W), resnets, hierarchies - 1, init)
        self.top: PlainTop | ColourTop = (
            PlainTop(F, len(self.head.groups), init, weight_norm)
            if knows_colours
            else ColourTop(C, F, image, self.head.groups, init, weight_norm)
        )

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from encoded images: (H, W, N, C*E) -> (H, W, N, P)."""
        pixels = x
        if self._marks_the_border:
            pixels = ops.concat(x, self.xp.ones((*x.shape[:-1], 1), self.dtype))
        u = ops.shift_down(self.above(pixels))
        ul = ops.shift_down(self.up(pixels)) + ops.shift_right(self.left(pixels))
        u, ul = self.level(u, ul, condition, rng)
        return self.top(ul, x)

    @property
    def _marks_the_border(self) -> bool:
        """Whether the image gets a channel of ones, which shows where it ends, as one-hot levels do by themselves."""
        return self.inputs != "one_hot"

    def load_state_dict(self, state: Any, strict: bool = True) -> NotLoaded:
        """Copy weights in, as Module does. `fit` then starts from these weights, and does not call `initialize`."""
        left = super().load_state_dict(state, strict)
        self.initialized = True
        return left


def _check_kernel(name: str, kernel: Any, narrowest: int, odd: bool) -> list[int]:
    """A kernel (kh, kw) as a list, if it is one that its stream can use; else ValueError."""
    if not isinstance(kernel, (tuple, list)) or len(kernel) != 2:
        raise ValueError(f"{name}: got {short(kernel)}, wanted (rows, columns), such as (2, {3 if odd else 2})")
    kh, kw = check_count(name, kernel[0], 1, 255), check_count(name, kernel[1], narrowest, 255)
    if odd and kw % 2 == 0:
        raise ValueError(f"{name}: got {kw} columns, wanted an odd number, so that there is a middle one; try {kw + 1}")
    return [kh, kw]
