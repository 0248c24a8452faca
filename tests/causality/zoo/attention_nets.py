"""Attention over pixels in PyTorch: transformers over codes, and gated convolutions with attention."""

import torch
from torch import nn


def later(S, diagonal=1):
    """A mask (S, S): True where attention must not look, `diagonal` places after itself and on."""
    return torch.ones(S, S, dtype=torch.bool).triu(diagonal)


class Transformer(nn.Module):
    """Codes (N, S) or (N, H, W) -> logits (N, S, Q): a start token, a shift, and attention to what was before.

    Each option but `dropout`, `batch_first`, `labels` is a mistake, or another place where the same thing may stand.
    """

    def __init__(self, S, Q=4, E=8, layers=1, shift=True, mask="causal", norm=None, dropout=0.0, batch_first=True):
        super().__init__()
        self.S, self.shift, self.mask, self.batch_first = S, shift, mask, batch_first
        self.tokens, self.places, self.labels = nn.Embedding(Q + 1, E), nn.Embedding(S, E), nn.Embedding(10, E)
        layer = nn.TransformerEncoderLayer(E, 2, 2 * E, dropout=dropout, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm, self.head = norm or nn.Identity(), nn.Linear(E, Q)
        self.start = Q

    def attention_mask(self):
        if self.mask == "off by one":
            return later(self.S, 2)
        if self.mask == "transposed":
            return later(self.S).T
        if self.mask == "none" or (self.mask == "in training" and not self.training):
            return None
        return None if self.mask == "in evaluation" and self.training else later(self.S)

    def forward(self, codes, labels=None, mask=None):
        codes = codes.flatten(1)
        if self.shift:
            codes = torch.cat([torch.full_like(codes[:, :1], self.start), codes[:, :-1]], dim=1)
        x = self.tokens(codes) + self.places.weight
        if labels is not None:
            x = x + self.labels(labels)[:, None]
        x = x if self.batch_first else x.transpose(0, 1)
        x = self.encoder(x, mask=self.attention_mask() if mask is None else mask)
        x = x if self.batch_first else x.transpose(0, 1)
        return self.head(self.norm(x))

    def logits(self, codes):
        return self(codes)


class Turned(nn.Module):
    """What a transformer says, its axes in another place: `turn` takes the output (N, S, Q)."""

    def __init__(self, net, turn):
        super().__init__()
        self.net, self.turn = net, turn

    def forward(self, *arguments):
        return self.turn(self.net(*arguments))


class AcrossTheBatch(Transformer):
    """The mistake: an encoder for (S, N, E) is handed (N, S, E), and attends to earlier images of the batch."""

    def forward(self, codes):
        x = self.tokens(codes) + self.places.weight
        return self.head(self.encoder(x, mask=later(len(codes))))


class BatchNormOverTokens(nn.BatchNorm1d):
    """Features (N, S, E), normalised over the batch and all places."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class SubPixelTransformer(nn.Module):
    """Colour images (N, C, H, W) of codes -> logits (N, H, W, C, Q): a sequence of sub-pixels, red, green, blue."""

    def __init__(self, C, H, W, Q=4, **options):
        super().__init__()
        self.net = Transformer(C * H * W, Q, **options)

    def forward(self, x):
        N, C, H, W = x.shape
        return self.net(x.permute(0, 2, 3, 1).reshape(N, -1)).view(N, H, W, C, -1)


class Shifted(nn.Module):
    """A gated convolution that reads the rows above, and the pixels to the left: shifted, then centred on nothing."""

    def __init__(self, channels, width):
        super().__init__()
        self.above = nn.Conv2d(channels, 2 * width, (2, 3))
        self.left = nn.Conv2d(channels, 2 * width, (1, 2))

    def forward(self, x):
        pad = nn.functional.pad
        above = self.above(pad(x, (1, 1, 2, 0)))[:, :, : x.shape[2]]
        left = self.left(pad(x, (2, 0, 0, 0)))[..., : x.shape[3]]
        value, gate = (above + left).chunk(2, dim=1)
        return value.tanh() * gate.sigmoid()


class Attention(nn.Module):
    """Queries (N, width, H, W) look at keys made of earlier pixels; `opening` says what the mask does.

    "strict": nothing for the first pixel, and it gets zeros. "nan": the same, its NaN put right afterwards.
    "diagonal": a pixel's key, which holds the pixel itself, is open to it. "uniform": the first row is wholly masked,
    and the softmax of equal numbers is a mean over all. "weak": later pixels are closed with too small a number.
    """

    def __init__(self, channels, width, opening):
        super().__init__()
        self.query, self.key = nn.Conv2d(width, 4, 1), nn.Conv2d(channels + width, 4, 1)
        self.value, self.opening = nn.Conv2d(channels + width, width, 1), opening

    def forward(self, x, features):
        N, _, H, W = x.shape
        seen = torch.cat([x, features], dim=1)
        query, key, value = (part.flatten(2) for part in (self.query(features), self.key(seen), self.value(seen)))
        closed = later(H * W, 1 if self.opening == "diagonal" else 0)
        scores = torch.einsum("nei,nej->nij", query, key) / 2
        fill = {"nan": -torch.inf, "weak": -8.0}.get(self.opening, -1e9)
        weights = scores.masked_fill(closed, fill).softmax(-1)
        if self.opening == "nan":
            weights = torch.nan_to_num(weights)
        if self.opening == "strict":
            weights = weights * ~closed
        return torch.einsum("nij,nej->nei", weights, value).view(N, -1, H, W)


class Snail(nn.Module):
    """Images (N, C, H, W) -> (N, out, H, W): gated convolutions, attention to all earlier pixels, a head."""

    def __init__(self, channels=1, width=8, out=5, opening="strict"):
        super().__init__()
        self.gated, self.attention = Shifted(channels, width), Attention(channels, width, opening)
        self.head = nn.Sequential(nn.ELU(), nn.Conv2d(2 * width, out, 1))

    def forward(self, x):
        features = self.gated(x)
        return self.head(torch.cat([features, self.attention(x, features)], dim=1))
