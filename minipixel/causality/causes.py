"""The usual cause of a leak, found from the positions that outputs depend on: a sentence that helps to mend it."""

from collections.abc import Callable

import numpy as np

from minipixel.causality.patterns import Pattern

BATCH = "batch normalisation, or another statistic over the batch; normalise each image, or each pixel, by itself"
"""The usual cause if an image sees another one of its batch."""

Table = tuple[tuple[Callable[[Pattern], bool], str], ...]

ANOTHER_ORDER = "masks made for another order than the one that is checked"
UP_THE_ROWS = "a recurrence that runs up the rows, or a mask that leaves all rows below open: let it run down alone"
RESHAPE = "a wrong reshape: a view where a permutation of axes was meant, so that pixels end up at other places"

SEQUENCES: Table = (
    (
        Pattern.but_for_the_last_column,
        "a mask that is off by a place, its diagonal open behind a shift, or a kernel a tap too wide there: each "
        "place but the last sees itself",
    ),
    (
        Pattern.within_a_pixel,
        "a start token and a shift that are missing, or the diagonal of a mask, of attention say, that is open: a "
        "place may see those before it alone",
    ),
    (
        Pattern.first_row_sees_all,
        "an attention softmax whose first row is wholly masked: it becomes a mean over all places; set that row to "
        "zero, or put a start token in front",
    ),
    (
        Pattern.comes_in_at_the_other_side,
        "a roll instead of a shift: what leaves at one end comes in at the other; put zeros there",
    ),
    (Pattern.shifted_back, "zeros appended at the wrong end: shift the other way, so that they stand in front"),
    (Pattern.right_for_another_order, f"{ANOTHER_ORDER}, backwards say, or one that is transposed; or pass order="),
    (Pattern.slow, RESHAPE),
    (
        Pattern.all,
        "attention without a mask, a normalisation or a pooling over the whole sequence, a recurrence in both "
        "directions, or a convolution by FFT without zeros behind, so that the end comes in at the other side: only "
        "what comes before may take part",
    ),
    (Pattern.all_later, "an attention mask that is transposed, or a recurrence that runs backwards: turn it round"),
    (
        Pattern.blocks,
        "a pooling, or a stride, without a shift: a place sees the block that it lies in; shift by a block",
    ),
    (Pattern.scattered, RESHAPE),
    (
        Pattern.anything,
        "a convolution that is centred, its kernel a column too wide, or an attention mask that is off by some "
        "places: put all zeros in front, and mask what comes after",
    ),
)
"""For sequences: the cause is that of the first row whose pattern holds."""

IMAGES: Table = (
    (
        Pattern.but_for_the_last_column,
        "a later kernel that is a column too wide, or has no mask in its own row, or a shift that is a column short "
        "behind the first layer: each pixel but those at the right sees itself",
    ),
    (
        Pattern.each_colour_itself,
        "mask B, or none, where the image comes in (there mask A), a shift to the right that is missing, or the "
        "diagonal of an attention mask that is open",
    ),
    (
        Pattern.within_a_pixel,
        "a colour mask: a colour may see those before it alone, and none where the head joins the colours; look at "
        "the groups of channels of every layer",
    ),
    (Pattern.in_no_raster, ANOTHER_ORDER),
    (
        Pattern.first_row_sees_all,
        "an attention softmax whose first row is wholly masked: it becomes a mean over the whole image; set that row "
        "to zero",
    ),
    (
        Pattern.comes_in_at_the_other_side,
        "a roll instead of a shift, or a kernel that wraps around: what leaves at one side of the image comes in at "
        "the other; put zeros there",
    ),
    (
        Pattern.shifted_back,
        "zeros appended at the wrong end: shift down, or to the right, so that they stand in front",
    ),
    (
        Pattern.from_below,
        "a recurrence that runs up the rows, or masks made for another order than the one that is checked: what comes"
        " from the rows below has to go",
    ),
    (Pattern.right_for_another_order, f"{ANOTHER_ORDER}; or pass order="),
    (Pattern.slow, RESHAPE),
    (
        Pattern.all,
        "a statistic over the whole image: a normalisation, a pooling, attention without a mask; let only what comes "
        "before take part",
    ),
    (Pattern.all_later, "an attention mask that is transposed, or a recurrence that runs backwards: turn it round"),
    (Pattern.all_rows_below, UP_THE_ROWS),
    (Pattern.own_column_down, UP_THE_ROWS),
    (
        Pattern.blocks,
        "a pooling, or a stride, without a shift: a pixel sees the block that it lies in; shift by a block before it",
    ),
    (
        Pattern.own_row_whole,
        "a softmax, a normalisation, or a recurrence from the right, over the whole axis of the columns: leave it "
        "out, or shift it down by a row",
    ),
    (Pattern.one_column, "a kernel one column too wide, or a shift to the right that is missing"),
    (
        Pattern.own_row_alone,
        "a vertical stack whose shift down is missing, or kernels one column too wide, or centred without a mask",
    ),
    (Pattern.scattered, RESHAPE),
    (Pattern.rows_below_open, "a mask that leaves the rows below open: set its rows behind the centre to zero"),
    (
        Pattern.first_row_alone_is_right,
        "a vertical stack that sees the rows below, or its own, further down than its shift makes good",
    ),
    (
        Pattern.anything,
        "a convolution without a mask, or with one that leaves the rows below open: a centred kernel sees what is to "
        "the right and below",
    ),
)
"""For images: the cause is that of the first row whose pattern holds."""


def usual_cause(order: np.ndarray, pairs: np.ndarray, dependencies: np.ndarray, outputs: np.ndarray) -> str:
    """The usual cause of these leaks, in words.

    `order` is (H, W, C); `pairs` are the leaks, positions (pairs, 2, 3) with the output's first; `dependencies`
    (rows, S) is all that the `outputs` (rows,) depend on. All leaks together decide the cause: where outputs see only
    their own pixel the mistake is another one than where they also see the row below.
    """
    pattern = Pattern(order, pairs, dependencies, outputs)
    table = SEQUENCES if pattern.sequence else IMAGES
    return next(sentence for applies, sentence in table if applies(pattern))
