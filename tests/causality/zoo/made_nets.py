"""MADE, as people write it in PyTorch: masked linear layers over vectors (N, D), with the mistakes that they make."""

import torch
from torch import nn


class MaskedLinear(nn.Linear):
    """A linear layer with a buffer of zeros and ones, (out, in), that is multiplied in."""

    def __init__(self, mask):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())

    def forward(self, x):
        return nn.functional.linear(x, self.weight * self.mask, self.bias)


class Made(nn.Module):
    """Vectors (N, D) -> (N, D * Q), blocks (all first parameters, then all second ones) or interleaved.

    `drawn` (D,) says which place each input has in the order of drawing. `strict=False` is the mistake: an output may
    use hidden units of its own degree. Images (N, 1, H, W) are flattened, and get their shape back.
    """

    def __init__(self, D, Q=1, layers=1, blocks=True, strict=True, drawn=None, width=24):
        super().__init__()
        degrees = torch.arange(D) if drawn is None else torch.as_tensor(drawn).clone()
        stack, seen = [], degrees
        for _ in range(layers):
            hidden = torch.arange(width) % (D - 1)
            stack += [MaskedLinear(hidden[:, None] >= seen[None, :]), nn.ELU()]
            seen = hidden
        outputs = degrees.repeat(Q) if blocks else degrees.repeat_interleave(Q)
        open_to = outputs[:, None] > seen[None, :] if strict else outputs[:, None] >= seen[None, :]
        self.net = nn.Sequential(*stack, MaskedLinear(open_to))

    def forward(self, x):
        return self.net(x.flatten(1)).view(len(x), -1, *x.shape[2:])


class Gaussian(nn.Module):
    """Vectors (N, D) -> a dict of the mean and the log-scale of each number, (N, D) both."""

    def __init__(self, D, strict=True):
        super().__init__()
        self.made = Made(D, Q=2, strict=strict)

    def forward(self, x):
        mean, scale = self.made(x).chunk(2, dim=1)
        return {"mean": mean, "scale": scale}
