"""Leaks planted in a layer of a PyTorch model that is known: the report names it, or the next one, or none at all."""

import numpy as np
import pytest

import minipixel as mp

torch = pytest.importorskip("torch", reason="the adapter for PyTorch needs PyTorch: pip install 'minipixel[parity]'")
nn = torch.nn
F = nn.functional


class Masked(nn.Conv2d):
    """Mask A, B, B with the rows below open, or none."""

    def __init__(self, kind, inputs, outputs, size=3):
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = torch.ones(size, size)
        if kind != "none":
            mask[size // 2, size // 2 + (kind != "A") :] = 0
        if kind in "AB":
            mask[size // 2 + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class Blocks(nn.Module):
    """A stem and residual blocks of a masked convolution each; `wrong` says which mask one of them has instead."""

    def __init__(self, kinds=("A", "B", "B", "B"), width=6, between=nn.Identity, colours=1):
        super().__init__()
        self.stem = Masked(kinds[0], colours, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Tanh(), nn.Conv2d(width, 4, 1), Masked(kind, 4, 4), nn.Conv2d(4, width, 1))
            for kind in kinds[1:]
        )
        self.between, self.head = between(), nn.Conv2d(width, 4 * colours, 1)

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = h + block(h)
        return self.head(torch.tanh(self.between(h)))


class Gated(nn.Module):
    """Vertical stacks that know their own row, shifted down by a row where they are handed over; horizontal ones."""

    def __init__(self, wrong=None, width=5):
        super().__init__()
        self.wrong = wrong
        first = [True, False, False]
        self.vertical = nn.ModuleList(
            nn.Conv2d(1 if f else width, width, (2 + self.open(i), 3)) for i, f in enumerate(first)
        )
        self.horizontal = nn.ModuleList(nn.Conv2d(1 if f else width, width, (1, 2)) for f in first)
        self.across = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in first)
        self.head = nn.Conv2d(width, 3, 1)

    def open(self, i):
        """How many rows below it reads."""
        return 2 if self.wrong == f"vertical {i}" else 0

    def forward(self, x):
        v = h = x
        for i, (vertical, horizontal, across) in enumerate(
            zip(self.vertical, self.horizontal, self.across, strict=True)
        ):
            v = torch.tanh(vertical(F.pad(v, (1, 1, 1, self.open(i)))))
            left = 2 if i == 0 else 1
            beside = (left - 1, 1) if self.wrong == f"horizontal {i}" else (left, 0)
            h = horizontal(F.pad(h, beside))[..., : x.shape[3]]
            h = torch.tanh(h + across(F.pad(v, (0, 0, 1, -1))))
        return self.head(h)


class Layer(nn.Module):
    """Attention over pixels or places, features (N, S, E) or (S, N, E); `ahead` is how far it may look."""

    def __init__(self, E, ahead, batch_first):
        super().__init__()
        self.attention = nn.MultiheadAttention(E, 2, batch_first=batch_first)
        self.norm, self.mlp = nn.LayerNorm(E), nn.Sequential(nn.Linear(E, 2 * E), nn.GELU(), nn.Linear(2 * E, E))
        self.ahead, self.batch_first = ahead, batch_first

    def forward(self, x):
        S = x.shape[1 if self.batch_first else 0]
        mask = torch.ones(S, S, dtype=torch.bool).triu(1 + self.ahead)
        x = x + self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.norm(x))


class Transformer(nn.Module):
    def __init__(self, wrong=None, ahead=20, E=8, batch_first=True, embedded_first=False):
        super().__init__()
        self.tokens, self.embedded_first, self.batch_first = nn.Linear(1, E), embedded_first, batch_first
        self.places = nn.Parameter(torch.randn(20, E))
        self.layers = nn.ModuleList(Layer(E, ahead if i == wrong else 0, batch_first) for i in range(3))
        self.head = nn.Linear(E, 3)

    def forward(self, x):
        N, *shape = x.shape
        x = x.reshape(N, -1, 1)
        x = F.pad(self.tokens(x), (0, 0, 1, -1)) if self.embedded_first else self.tokens(F.pad(x, (0, 0, 1, -1)))
        x = x + self.places[: x.shape[1]]
        x = x if self.batch_first else x.transpose(0, 1)
        for layer in self.layers:
            x = layer(x)
        x = self.head(x if self.batch_first else x.transpose(0, 1))
        return x if len(shape) == 1 else x.transpose(1, 2).reshape(N, 3, *shape[1:])


class Recurrent(nn.Module):
    """An LSTM that returns a tuple, behind a masked embedding; `both`: it runs backwards, too."""

    def __init__(self, both):
        super().__init__()
        self.inside, self.head = nn.Linear(1, 4), nn.Linear(6 * (1 + both), 3)
        self.lstm = nn.LSTM(4, 6, batch_first=True, bidirectional=both)

    def forward(self, x):
        return self.head(self.lstm(self.inside(F.pad(x, (1, -1))[..., None]))[0])


class ChannelsLast(nn.Module):
    """Features (N, H, W, E) inside, normalised over the image by one of the layers, or by none."""

    def __init__(self, over_the_image):
        super().__init__()
        self.stem, self.mix, self.head = Masked("A", 1, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.norm = nn.LayerNorm([5, 6, 6] if over_the_image else 6)

    def forward(self, x):
        h = self.stem(x).permute(0, 2, 3, 1)
        return self.head(torch.tanh(self.norm(self.mix(h)))).permute(0, 3, 1, 2)


class Between(nn.Module):
    """A leak in what is done between two layers, before the head or behind it."""

    def __init__(self, behind=False):
        super().__init__()
        self.stem, self.head, self.behind = Masked("A", 1, 6), nn.Conv2d(6, 3, 1), behind

    def forward(self, x):
        h = self.stem(x)
        return self.head(h) + self.mean(x) if self.behind else self.head(h + self.mean(h))

    @staticmethod
    def mean(h):
        return h.mean((1, 2, 3), keepdim=True)


class Strided(nn.Module):
    """Down to half the size and up again: the small level knows more than it hands on, or as much."""

    def __init__(self, shifted):
        super().__init__()
        self.stem, self.down = Masked("A", 1, 6), nn.Conv2d(6, 6, 2, stride=2)
        self.up, self.head, self.shifted = nn.ConvTranspose2d(6, 6, 2, stride=2), nn.Conv2d(6, 3, 1), shifted

    def forward(self, x):
        h = self.stem(x)
        up = self.up(F.pad(self.down(h), (0, 0, 1, -1)) if self.shifted else self.down(h))
        return self.head(torch.tanh(h + up))


def asleep(net):
    nn.init.zeros_(net.head.weight)
    return net


GREY, LINE, WIDE = (1, 5, 6), (16,), (1, 6, 6)
PLANTED = {
    "mask B first": (lambda: Blocks(("B", "B", "B")), GREY, "'stem' (Masked)"),
    "no mask at all": (lambda: Blocks(("none",) * 3), GREY, "'stem' (Masked)"),
    "the third convolution, rows below": (lambda: Blocks(("A", "B", "below", "B")), GREY, "'blocks.1.2' (Masked)"),
    "the third convolution, no mask": (lambda: Blocks(("A", "B", "none", "B")), GREY, "'blocks.1.2' (Masked)"),
    "the last convolution": (lambda: Blocks(("A", "B", "B", "none")), GREY, "'blocks.2.2' (Masked)"),
    "behind a head of zeros": (lambda: asleep(Blocks(("A", "B", "below", "B"))), GREY, "'blocks.1.2' (Masked)"),
    "a norm over the image": (lambda: Blocks(between=lambda: nn.GroupNorm(1, 6)), GREY, "'between' (GroupNorm)"),
    "batch normalisation of each batch": (
        lambda: Blocks(between=lambda: nn.BatchNorm2d(6, track_running_stats=False)),
        GREY,
        "'between' (BatchNorm2d)",
    ),
    "as many channels as pixels": (lambda: Blocks(("A", "B", "none", "B"), width=36), WIDE, "'blocks.1.2' (Masked)"),
    "as many channels as rows and columns": (
        lambda: Blocks(("A", "B", "none", "B"), width=6),
        WIDE,
        "'blocks.1.2' (Masked)",
    ),
    "vertical stack open below, the first": (lambda: Gated("vertical 0"), GREY, "'vertical.0' (Conv2d)"),
    "vertical stack open below, the second": (lambda: Gated("vertical 1"), GREY, "'vertical.1' (Conv2d)"),
    "vertical stack open below, the third": (lambda: Gated("vertical 2"), GREY, "'vertical.2' (Conv2d)"),
    "horizontal stack, a column too far": (lambda: Gated("horizontal 1"), GREY, "'horizontal.1' (Conv2d)"),
    "attention without a mask": (lambda: Transformer(1), LINE, "'layers.1.attention' (MultiheadAttention)"),
    "attention off by one": (lambda: Transformer(2, ahead=1), LINE, "'layers.2.attention' (MultiheadAttention)"),
    "attention without a mask, (S, N, E)": (
        lambda: Transformer(1, batch_first=False),
        LINE,
        "'layers.1.attention' (MultiheadAttention)",
    ),
    "attention off by one, embedded before the shift": (
        lambda: Transformer(1, ahead=1, embedded_first=True),
        LINE,
        "'layers.1.attention' (MultiheadAttention)",
    ),
    "attention over pixels without a mask": (
        lambda: Transformer(0, embedded_first=True),
        (1, 3, 6),
        "'layers.0.attention' (MultiheadAttention)",
    ),
    "as many features as places": (lambda: Transformer(1, E=16), LINE, "'layers.1.attention' (MultiheadAttention)"),
    "an LSTM in both directions": (lambda: Recurrent(True), LINE, "'lstm' (LSTM)"),
    "channels last, a norm over the image": (lambda: ChannelsLast(True), GREY, "'norm' (LayerNorm)"),
    "between two layers": (lambda: Between(), GREY, "'head' (Conv2d)"),
    "behind all layers": (lambda: Between(behind=True), GREY, "the forward pass of Between"),
    "half the size and up again": (lambda: Strided(False), (1, 6, 6), "'up' (ConvTranspose2d)"),
}


@pytest.mark.parametrize("leak", PLANTED)
def test_the_layer_is_named(leak):
    make, shape, named = PLANTED[leak]
    torch.manual_seed(0)
    report = mp.check_causality(make(), shape)
    assert not report.ok and report.layer == named and f"first seen in {named}" in report.why, report.why


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (Blocks, GREY),
        (Gated, GREY),
        (Transformer, LINE),
        (lambda: Transformer(embedded_first=True), LINE),
        (lambda: Recurrent(False), LINE),
        (lambda: ChannelsLast(False), GREY),
        (lambda: Strided(True), (1, 6, 6)),
    ],
)
def test_where_nothing_leaks_no_layer_is_named(make, shape):
    torch.manual_seed(0)
    report = mp.check_causality(make(), shape)
    assert report.ok and report.layer == "", str(report)


@pytest.mark.parametrize("batch_size", [5, 6, 16])
def test_batches_as_large_as_an_image_has_places(batch_size):
    torch.manual_seed(0)
    first = mp.check_causality(Transformer(1, batch_first=False), LINE, batch_size=batch_size)
    assert first.layer == "'layers.1.attention' (MultiheadAttention)"
    grey = mp.check_causality(Blocks(("A", "B", "none", "B")), (1, 6, 5), batch_size=batch_size)
    assert grey.layer == "'blocks.1.2' (Masked)"


def test_large_images_and_compiled_nets():
    torch.manual_seed(0)
    assert mp.check_causality(Gated("vertical 1"), (1, 20, 20), images=1).layer == "'vertical.1' (Conv2d)"
    compiled = torch.compile(Blocks(("A", "B", "below")), backend="eager")
    assert mp.check_causality(compiled, GREY).layer == "'blocks.1.2' (Masked)"


def test_within_a_pixel_of_a_colour_image_no_layer_is_named():
    torch.manual_seed(0)
    report = mp.check_causality(Masked("B", 3, 6), (3, 4, 5))
    assert not report.ok and report.layer == ""
    below = mp.check_causality(Blocks(("A", "none"), colours=3), (3, 4, 5))
    assert below.layer == "'blocks.0.2' (Masked)"


def test_hooks_and_outputs_are_as_they_were():
    torch.manual_seed(0)
    net = Blocks(("A", "none"))
    x = torch.randn(2, *GREY)
    before = net(x)
    assert mp.check_causality(net, GREY).layer
    assert torch.equal(net(x), before) and not any(layer._forward_hooks for layer in net.modules())


class LastBits(nn.Module):
    """Its last bits depend on the batch: a sum over the whole batch, which is taken away again."""

    def __init__(self, norm=nn.Identity, scale=1.0):
        super().__init__()
        self.stem, self.norm, self.head, self.scale = Masked("A", 1, 6), norm(), nn.Conv2d(6, 3, 1), scale

    def forward(self, x):
        h = self.norm(self.stem(x))
        total = self.scale * h.sum((0, 2, 3), keepdim=True)
        return self.head((h + total) - total)


@pytest.mark.parametrize("modes", ["evaluation", "training", ("evaluation", "training")])
@pytest.mark.parametrize("net", [LastBits, lambda: LastBits(scale=0.1), lambda: LastBits(nn.Dropout)])
def test_rounding_is_no_batch_normalisation(net, modes):
    torch.manual_seed(0)
    report = mp.check_causality(net(), GREY, modes=modes)
    assert report.batch_statistics == () and "batch normalisation" not in str(report), str(report)
    assert not report.ok and report.rounding and "rounding, as where sums cancel" in report.why
    torch.manual_seed(0)
    assert mp.check_causality(net(), GREY, modes=modes, tolerance=1e-4).ok


@pytest.mark.parametrize(("dtype", "size"), [("float64", 1e-8), ("float32", 3e-7)])
def test_noise_of_the_last_bits_that_goes_by_the_batch_is_rounding(dtype, size):
    def function(x):
        past = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
        return (past * (1 + size * np.sin(1e3 * x.astype(np.float64).sum()))).astype(dtype)

    report = mp.check_causality(function, (4, 5, 1))
    assert not report.ok and report.rounding and "batch normalisation" not in str(report)
    assert mp.check_causality(function, (4, 5, 1), tolerance=1e-5).ok


def test_a_branch_of_a_millionth_is_no_rounding():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.right, self.wrong = Masked("A", 1, 3), Masked("B", 1, 3)

        def forward(self, x):
            return self.right(x) + 1e-6 * self.wrong(x)

    torch.manual_seed(0)
    report = mp.check_causality(Scaled(), GREY)
    assert not report.ok and report.illegal < 1e-5 and not report.rounding and "mask B" in report.why
