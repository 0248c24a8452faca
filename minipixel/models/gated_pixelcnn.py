"""Gated PixelCNN: two stacks of convolutions, which together leave no blind spot.

Source: A. van den Oord, N. Kalchbrenner, O. Vinyals, L. Espeholt, A. Graves, K. Kavukcuoglu, "Conditional Image
Generation with PixelCNN Decoders", 2016, arXiv:1606.05328, section 2 and figure 2.

The vertical stack reads the rows above a pixel, on the left and on the right alike. The horizontal stack reads the
pixel's own row, to its left, and in every layer it also reads the features of the vertical stack. The vertical stack
never reads the horizontal one: it also looks to the right, where the horizontal stack has read pixels that are still
to be drawn.

No feature map is shifted here. Other implementations let the vertical stack read the pixel's own row, and therefore
shift its maps down by one row before the horizontal stack reads them. Here the first mask of the vertical stack leaves
the pixel's own row out, and no later mask looks further down.
"""

import itertools
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.models.base import Model
from minipixel.models.checks import check_count, check_features, check_kernel, check_shape
from minipixel.nn import GatedLayer, Top, colour_groups
from minipixel.shown import short
from minipixel.tensor import Tensor


class GatedPixelCNN(Model):
    """Gated PixelCNN (1606.05328, figure 2) for images (H, W, C) of Q levels, C in 1..64.

    The model has `layers` gated layers, each of two stacks with `filters` features; two 1x1 layers of `head_width`
    features (`filters` if None) that read the horizontal stack; and the head. The first layer's kernel is
    `first_kernel` wide and high, the other layers' is `kernel`; both sizes are odd. `dilations` has the dilation of
    each layer after the first; a list that is shorter is repeated. A condition is added in every gate of both stacks.
    The arguments from `head` on are explained in Model. Raises ValueError for arguments out of their range.
    """

    name = "gated"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        filters: int = 32,
        layers: int = 7,
        kernel: int = 3,
        first_kernel: int = 7,
        dilations: tuple[int, ...] = (1,),
        head_width: int | None = None,
        head: str | None = None,
        mixtures: int = 5,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        rng: Any = 0,
        dtype: str = "float32",
        inputs: str = "scaled",
        embedding_width: int = 16,
    ) -> None:
        C = check_shape(image_shape)[2]
        filters = check_features("filters", filters, C)
        layers = check_count("layers", layers, 1)
        kernel, first_kernel = check_kernel("kernel", kernel), check_kernel("first_kernel", first_kernel)
        spacing = _check_dilations(dilations)
        head_width = filters if head_width is None else check_features("head_width", head_width, C)
        architecture = {
            **{"filters": filters, "layers": layers, "kernel": kernel, "first_kernel": first_kernel},
            **{"dilations": spacing, "head_width": head_width},
        }
        common = head, mixtures, num_classes, condition_shape, rng, dtype, inputs, embedding_width
        super().__init__(image_shape, levels, architecture, *common)

        self.features = 2 * filters
        K_condition, init = self.conditions.width, self.init
        image, groups = self.encoding.groups, colour_groups(filters, C)
        self.layers = [GatedLayer(image, groups, first_kernel, "A", K_condition, init)] + [
            GatedLayer(groups, groups, kernel, "B", K_condition, init, dilation)
            for dilation in itertools.islice(itertools.cycle(spacing), layers - 1)
        ]
        self.top = Top(groups, head_width, self.head.groups, init)

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from encoded images: (H, W, N, C*E) -> (H, W, N, P)."""
        first, *later = self.layers
        above, h = first(x, x, condition)
        for layer in later:
            above, h = layer(ops.gate(above), h, condition)
        return self.top(h)


def _check_dilations(dilations: Any) -> list[int]:
    """Dilations as a list, if they are a sequence of whole numbers from 1 on; else ValueError."""
    if not isinstance(dilations, (tuple, list)) or not dilations:
        raise ValueError(
            f"dilations: got {short(dilations)}, wanted one per layer after the first, such as (1, 2, 1, 4)"
        )
    return [check_count("dilations", dilation, 1) for dilation in dilations]
