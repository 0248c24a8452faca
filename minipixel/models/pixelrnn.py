"""PixelRNN: Row LSTM and Diagonal BiLSTM, whose states carry the past of a pixel across the whole image.

Source: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759,
sections 3.1 to 3.3 and table 1. Both are a PixelCNN that has LSTMs in place of its convolutions. The part of each
cell's gates that depends on the layer's input is computed for the whole map at once; then a scan computes the states,
each from states of earlier pixels:

    Row LSTM        Diagonal BiLSTM, from the left and from the right

    1 2 3             1               1
      x             2 x               . 2        x takes the state at ".", which was computed from 1 and 2
                                      x
"""

from typing import Any, ClassVar

import numpy as np

from minipixel import ops
from minipixel.models.base import Model
from minipixel.models.checks import check_count, check_features, check_flag, check_shape
from minipixel.nn import Conditioning, Conv2d, Init, Module, Parameter, Pointwise, Top, colour_groups
from minipixel.tensor import Tensor


class LSTM(Module):
    """An LSTM of h units (equation 3). It reads a map, a condition, and the states at `taps` in the row before.

    It reads the map through `see`, a causal layer to 4h channels in the order of `gate_groups`. The state-to-state
    weight needs no mask: it reads earlier pixels only, all colours of which are known. Inside a cell colours do not
    mix either, since each channel of the state is computed from its own four gates. The states beyond the border,
    from which a scan starts, are zero, or learned if `learned_state` is True.
    """

    def __init__(
        self, see: Module, h: int, taps: tuple[int, ...], K_condition: int, learned_state: bool, init: Init
    ) -> None:
        self.see: Any = see
        self.told = Conditioning(K_condition, 4 * h, init)
        self.taps = taps
        self.weight = init.weight(len(taps), h, 4 * h)
        self.h0: Parameter | None = init.zeros(h) if learned_state else None
        self.c0: Parameter | None = init.zeros(h) if learned_state else None

    def gates(self, x: Tensor, condition: Any) -> Tensor:
        """The part of every cell's gates that input and condition give: (H, W, N, 2h) -> (H, W, N, 4h)."""
        return self.told(self.see(x), condition)

    def scan(self, gates: Tensor, spans: Any = None) -> Tensor:
        """The states, row after row: (H, W, N, 4h) -> (H, W, N, h)."""
        return ops.lstm_scan(gates, self.weight, self.h0, self.c0, taps=self.taps, spans=spans)

    def __repr__(self) -> str:
        T, h, _ = self.weight.shape
        return f"LSTM({T} states, {h} -> 4x{h})"


def gate_groups(h: int, C: int) -> np.ndarray:
    """The colours of the four gates o, f, i, g of h units: (4h,). Each gate has the colours of the units it serves."""
    return np.concatenate([colour_groups(h, C)] * 4)


class RowLayer(Module):
    """A Row LSTM (section 3.1): 2h features -> h, from a 1x3 kernel on its row and three states of the row above."""

    def __init__(self, h: int, C: int, K_condition: int, learned_state: bool, init: Init) -> None:
        see = Conv2d(colour_groups(2 * h, C), gate_groups(h, C), (1, 3), "B", init)
        self.lstm = LSTM(see, h, (-1, 0, 1), K_condition, learned_state, init)

    def __call__(self, x: Tensor, condition: Any) -> Tensor:
        """(H, W, N, 2h) -> (H, W, N, h)."""
        return self.lstm.scan(self.lstm.gates(x, condition))


class DiagonalLayer(Module):
    """A Diagonal BiLSTM (section 3.2): 2h features -> h, by two LSTMs that read the cells above and beside their own.

    Both scan the skewed map. Its row d is a diagonal of the image, which has the pixel of image row r at position r.
    For that pixel the cell above it stands in row d - 1 at position r - 1, and the cell beside it in row d - 1 at r.
    """

    def __init__(self, h: int, C: int, K_condition: int, learned_state: bool, init: Init) -> None:
        def half() -> LSTM:
            see = Pointwise(colour_groups(2 * h, C), gate_groups(h, C), init)
            return LSTM(see, h, (-1, 0), K_condition, learned_state, init)

        self.left, self.right = half(), half()

    def __call__(self, x: Tensor, condition: Any) -> Tensor:
        """(H, W, N, 2h) -> (H, W, N, h)."""
        from_left = _along_diagonals(self.left, self.left.gates(x, condition))
        from_right = ops.mirror(_along_diagonals(self.right, ops.mirror(self.right.gates(x, condition))))
        return from_left + ops.shift_down(from_right)  # to the right there is future, but not in the row above


def _along_diagonals(lstm: LSTM, gates: Tensor) -> Tensor:
    """Skew, scan, un-skew: (H, W, N, 4h) -> (H, W, N, h)."""
    H, W = gates.shape[:2]
    return ops.unskew(lstm.scan(ops.skew(gates), spans=ops.diagonal_spans(H, W)))


class PixelRNN(Model):
    """The common part of RowLSTM and DiagonalBiLSTM, which differ in the class of their layers."""

    layer_class: ClassVar[Any]

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        hidden: int = 16,
        layers: int = 7,
        head_width: int | None = None,
        skip: bool = False,
        learned_state: bool = False,
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
        hidden = check_features("hidden", hidden, C)
        layers = check_count("layers", layers, 1)
        head_width = 2 * hidden if head_width is None else check_features("head_width", head_width, C)
        skip, learned_state = check_flag("skip", skip), check_flag("learned_state", learned_state)
        architecture = {"hidden": hidden, "layers": layers, "head_width": head_width}
        architecture |= {"skip": skip, "learned_state": learned_state}
        common = head, mixtures, num_classes, condition_shape, rng, dtype, inputs, embedding_width
        super().__init__(image_shape, levels, architecture, *common)

        self.features = 2 * hidden
        image, wide, state = self.encoding.groups, colour_groups(2 * hidden, C), colour_groups(hidden, C)
        self.stem = Conv2d(image, wide, (7, 7), "A", self.init)
        self.layers = [
            self.layer_class(hidden, C, self.conditions.width, learned_state, self.init) for _ in range(layers)
        ]
        self.widen = [Pointwise(state, wide, self.init) for _ in range(layers)]
        self.skips = [Pointwise(state, wide, self.init) for _ in range(layers if skip else 0)]
        self.top = Top(wide, head_width, self.head.groups, self.init)

    def below_top(self, x: Any, condition: Any) -> Tensor:
        """Stem and layers, the output of each layer added to its input: (H, W, N, C*E) -> (H, W, N, 2h)."""
        x = self.stem(x)
        states = []
        for layer, widen in zip(self.layers, self.widen, strict=True):
            states.append(layer(x, condition))
            x = x + widen(states[-1])
        for skip, state in zip(self.skips, states, strict=False):  # there is one for each layer, or none
            x = x + skip(state)
        return x

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from encoded images: (H, W, N, C*E) -> (H, W, N, P)."""
        return self.top(self.below_top(x, condition))


class RowLSTM(PixelRNN):
    """Row LSTM (1601.06759, section 3.1) for images (H, W, C) of Q levels, C in 1..64.

    The layers are, in this order: a 7x7 convolution with mask A to 2 * `hidden` features; `layers` Row LSTMs of
    `hidden` units, each followed by a 1x1 layer to 2 * `hidden` features, whose output is added to the LSTM's input;
    two 1x1 layers of `head_width` features (2 * `hidden` if None); and the head. With `skip` a 1x1 layer of every
    LSTM's output is also added to the input of the last layers (section 3.3). With `learned_state` the states beyond
    the border are learned; without it they are zero. A condition is added in all gates. The arguments from `head` on
    are explained in Model. Raises ValueError for arguments out of their range.

    A pixel in column c is predicted from a triangle above it: in the k-th row above its own, the model reads the
    columns up to c + k + 2, however many layers it has.
    """

    name = "row-lstm"
    layer_class = RowLayer


class DiagonalBiLSTM(PixelRNN):
    """Diagonal BiLSTM (1601.06759, section 3.2) for images (H, W, C) of Q levels, C in 1..64.

    It is built as the Row LSTM and has the same arguments, but its layers see the whole past of every pixel. In the
    paper it is the best model of MNIST.

    `phantom_column` (one more argument) mends a blind spot of the published model, in which the last pixel of a row is
    invisible to the next row, except to that row's last four pixels, however many layers there are. The LSTM that runs
    from right to left starts there at the features of a row's last pixel, and by mask A these do not depend on that
    pixel itself. With `phantom_column` that LSTM starts one column further to the right: the image gets a column of
    zeros there, and the features of this column are dropped before the last layers. They may depend on the whole row,
    since only the rows below read them. With `phantom_column=False` the model is the published one.
    """

    name = "diagonal-bilstm"
    layer_class = DiagonalLayer

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        hidden: int = 16,
        layers: int = 7,
        head_width: int | None = None,
        skip: bool = False,
        learned_state: bool = False,
        phantom_column: bool = True,
        head: str | None = None,
        mixtures: int = 5,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        rng: Any = 0,
        dtype: str = "float32",
        inputs: str = "scaled",
        embedding_width: int = 16,
    ) -> None:
        super().__init__(
            image_shape,
            levels,
            hidden=hidden,
            layers=layers,
            head_width=head_width,
            skip=skip,
            learned_state=learned_state,
            head=head,
            mixtures=mixtures,
            inputs=inputs,
            embedding_width=embedding_width,
            num_classes=num_classes,
            condition_shape=condition_shape,
            rng=rng,
            dtype=dtype,
        )
        self.phantom_column = self.config["phantom_column"] = check_flag("phantom_column", phantom_column)

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from encoded images: (H, W, N, C*E) -> (H, W, N, P)."""
        if not self.phantom_column:
            return super().forward(x, condition)
        if condition is not None and condition.shape[1] > 1:  # a map; anything else is the same in every column
            condition = ops.add_column(condition)
        return self.top(ops.drop_column(self.below_top(ops.add_column(x), condition)))
