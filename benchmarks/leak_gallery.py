"""The field guide of docs/causality.md: leaks of the kinds found in public code, as a report draws them.

    python benchmarks/leak_gallery.py

Writes a figure for each kind into docs/images/ and the table into docs/causality.md. Needs PyTorch.
"""

import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
import minipixel as mp

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- the field guide: made by benchmarks/leak_gallery.py -->\n", "<!-- the end of the field guide -->\n"
SIZE = 8


class Masked(nn.Conv2d):
    """A convolution that sees the rows above, and of its own row what is to the left, and `more` columns of it."""

    def __init__(self, inputs, outputs, size, more=0, below=False):
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = torch.ones(size, size)
        mask[size // 2, size // 2 + more :] = 0
        if not below:
            mask[size // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


def pixelcnn(first=0, later=1, below=False, norm=nn.Identity):
    """Mask A, mask B, an output layer; the arguments plant a mistake."""
    return nn.Sequential(
        Masked(1, 6, 5, first), norm(), nn.ELU(), Masked(6, 6, 3, later, below), nn.ELU(), nn.Conv2d(6, 4, 1)
    )


def starts_at_zero():
    """Rows below left open, behind an output layer whose weights are zero as long as it is not trained."""
    net = pixelcnn(below=True)
    nn.init.zeros_(net[-1].weight)
    return net


class TwoStacks(nn.Module):
    """A Gated PixelCNN's: rows above and its own one for the vertical stack, whose result is handed on unshifted."""

    def __init__(self):
        super().__init__()
        self.vertical, self.horizontal = nn.Conv2d(1, 4, (2, 3)), nn.Conv2d(1, 4, (1, 2))

    def forward(self, x):
        pad = nn.functional.pad
        return self.vertical(pad(x, (1, 1, 1, 0))) + self.horizontal(pad(x, (2, 0, 0, 0))[..., :-1])


class Rolled(nn.Module):
    """The image moved by one pixel, so that each sees those before it; the last column comes in at the first."""

    def __init__(self):
        super().__init__()
        self.see = pixelcnn(first=1)

    def forward(self, x):
        return self.see(torch.roll(x, 1, dims=3))


class Attention(nn.Module):
    """Each pixel asks those before it; the first one has none, and a softmax of equal numbers is uniform."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(1, 4), nn.Linear(1, 4), nn.Linear(1, 4)

    def forward(self, x):
        pixels = x.flatten(2).transpose(1, 2)
        query = self.query(nn.functional.pad(pixels, (0, 0, 1, -1)))  # from the pixel before
        before = torch.ones(pixels.shape[1], pixels.shape[1]).tril(-1).bool()
        scores = (query @ self.key(pixels).transpose(1, 2)).masked_fill(~before, -1e9)
        return (scores.softmax(dim=2) @ self.value(pixels)).transpose(1, 2).unflatten(2, x.shape[2:])


class Reshaped(nn.Module):
    """A sequence (N, H*W, K) made (N, K, H, W) by a reshape, without a transpose before."""

    def __init__(self):
        super().__init__()
        self.read = nn.Linear(1, 4)

    def forward(self, x):
        before = nn.functional.pad(x.flatten(2), (1, -1)).cumsum(dim=2).transpose(1, 2)
        return self.read(before).reshape(len(x), 4, *x.shape[2:])


class BothWays(nn.Module):
    """An LSTM down the rows of each column, and another one up, for symmetry's sake."""

    def __init__(self):
        super().__init__()
        self.rows = nn.LSTM(1, 3, bidirectional=True)

    def forward(self, x):
        N, _, H, W = x.shape
        rows_first = nn.functional.pad(x, (0, 0, 1, -1)).permute(2, 0, 3, 1).reshape(H, N * W, 1)
        return self.rows(rows_first)[0].reshape(H, N, W, -1).permute(1, 3, 0, 2)


class Colours(nn.Module):
    """Mask B between colours where there has to be mask A: green sees itself."""

    def __init__(self):
        super().__init__()
        self.above, self.here = Masked(3, 6, 5), nn.Conv2d(3, 6, 1, bias=False)
        groups = torch.tensor([0, 0, 1, 1, 2, 2])[:, None] > torch.arange(3)
        groups[2:4, 1] = True
        self.register_buffer("groups", groups[:, :, None, None])

    def forward(self, x):
        return self.above(x) + nn.functional.conv2d(x, self.here.weight * self.groups)


class Transposed(nn.Module):
    """Right in itself, but rows and columns have been exchanged."""

    def __init__(self):
        super().__init__()
        self.see = pixelcnn()

    def forward(self, x):
        return self.see(x.transpose(2, 3)).transpose(2, 3)


class Quantised(nn.Module):
    """Mask B first, where what comes in is 0 or 1."""

    def __init__(self):
        super().__init__()
        self.see = pixelcnn(first=1)

    def forward(self, x):
        return self.see((x > 0).float())


class Cancelled(nn.Module):
    """What is added up to a pixel, less the pixel: in real numbers that is the sum of those before it."""

    def forward(self, x):
        return x.flatten(2).cumsum(dim=2).unflatten(2, x.shape[2:]) - x


def over_the_batch():
    """Batch normalisation that keeps no running statistics: evaluation takes those of the batch, too."""
    return pixelcnn(norm=lambda: nn.BatchNorm2d(6, track_running_stats=False))


def over_the_image():
    """Group normalisation: its statistics are those of the whole image."""
    return pixelcnn(norm=lambda: nn.GroupNorm(2, 6))


# What it is, how it looks in the matrix, and what makes it; figures are named by the first.
KINDS = {
    "mask B first": ("the diagonal is red, all of it", lambda: pixelcnn(first=1)),
    "a tap too wide": ("the diagonal is red, but for the last column of the image", lambda: pixelcnn(later=2)),
    "rows below left open": (
        "red to the right of the diagonal, and a red band a row further",
        lambda: pixelcnn(below=True),
    ),
    "no shift between two stacks": ("a red band on the diagonal, half a kernel wide", TwoStacks),
    "a roll for a shift": ("red dots apart from the diagonal, one for each row of the image", Rolled),
    "a softmax row all masked": ("the first row is red, nothing else is", Attention),
    "a reshape for a transpose": ("a red wedge, wide at the top and narrow below", Reshaped),
    "a backward LSTM": ("red lines parallel to the diagonal, an image's width apart", BothWays),
    "a statistic over the image": ("all above the diagonal is red, and the diagonal", over_the_image),
    "a colour mask": ("red dots on the diagonal, of one colour alone", Colours),
    "rows and columns exchanged": ("what is seen is mirrored at the diagonal, in red", Transposed),
    "rounding": ("a diagonal with holes, by chance", Cancelled),
    "behind a quantiser": ("as the kind that is behind it", Quantised),
    "behind weights of zero": ("as the kind that is behind them", starts_at_zero),
    "a statistic over the batch": ("there is none: images see each other", over_the_batch),
}
SAME_AS_ANOTHER = (
    "behind a quantiser",
    "behind weights of zero",
)


def report(kind):
    """The report on a model of that kind."""
    torch.manual_seed(0)
    net = KINDS[kind][1]()
    return mp.check_causality(net, (3, 5, 5) if kind == "a colour mask" else (1, SIZE, SIZE))


def image(kind):
    return f"leak-{anchor(kind)}.png"


def anchor(kind):
    return kind.replace(" ", "-").lower()


def table(reports):
    """Markdown: what each kind looks like, who sees it, and what the report says of it."""
    lines = ["", "| kind | in the matrix | seen by | first seen in | the usual cause, as the report says it |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for kind, found in reports.items():
        seen_by = ", ".join(witness.name for witness in found.witnesses if witness.holds is False)
        cause = found.why.partition("the usual cause: ")[2]
        layer = found.layer.replace("'", "`") or "-"
        shown = f"[{kind}](#{anchor(kind)})"
        lines.append(f"| {shown} | {KINDS[kind][0]} | {seen_by} | {layer} | {cause} |")
    return "\n".join([*lines, "", ""])


def with_table(text, reports):
    """The page with the table of these reports."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table(reports) + END + rest.split(END)[1]


if __name__ == "__main__":
    reports = {kind: report(kind) for kind in KINDS}
    for kind, found in reports.items():
        print(f"{kind}: {found}\n")
        if len(found.leaks) and kind not in SAME_AS_ANOTHER:
            found.plot().savefig(DOCS / "images" / image(kind), dpi=80)
    page = DOCS / "causality.md"
    page.write_text(with_table(page.read_text(encoding="utf-8"), reports), encoding="utf-8")
