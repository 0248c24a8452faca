"""Sequence models built in less usual ways: linear attention, an FFT, a state that stays, an order by chance."""

import torch
from causality.zoo.attention_nets import Transformer, later
from torch import nn


class LinearAttention(nn.Module):
    """Numbers (N, S) -> (N, S, Q): sums over earlier keys and values, kept by a running sum.

    `own` says how a place's own key and value are left out: "shifted", "subtracted" (which rounds), or "left in".
    """

    def __init__(self, S, own, Q=4, E=6):
        super().__init__()
        self.own, self.places = own, nn.Parameter(torch.randn(S, 2))
        self.query, self.key, self.value, self.head = (nn.Linear(*sizes) for sizes in ((2, E), (3, E), (3, E), (E, Q)))

    def forward(self, x):
        places = self.places.expand(len(x), -1, -1)
        seen = torch.cat([x[..., None], places], dim=-1)
        pairs = torch.einsum("nse,nsf->nsef", nn.functional.elu(self.key(seen)) + 1, self.value(seen))
        total = pairs.cumsum(1)
        if self.own == "subtracted":
            total = total - pairs
        if self.own == "shifted":
            total = nn.functional.pad(total, (0, 0, 0, 0, 1, -1))
        return self.head(torch.einsum("nse,nsef->nsf", self.query(places), total))


class LongConvolution(nn.Module):
    """Numbers (N, S) -> (N, Q, S): one kernel as long as the sequence, by FFT; without zeros it runs round the end."""

    def __init__(self, S, Q=4, zeros=True):
        super().__init__()
        self.kernel, self.size = nn.Parameter(torch.randn(Q, S)), 2 * S if zeros else S

    def forward(self, x):
        spectrum = torch.fft.rfft(nn.functional.pad(x, (1, -1)), self.size)[:, None]
        return torch.fft.irfft(spectrum * torch.fft.rfft(self.kernel, self.size), self.size)[..., : x.shape[1]]


class StatefulLstm(nn.Module):
    """Numbers (N, S) -> (N, S, Q): an LSTM that goes on from where the batch before has left it."""

    def __init__(self, Q=4, width=8):
        super().__init__()
        self.lstm, self.head, self.state = nn.LSTM(1, width, batch_first=True), nn.Linear(width, Q), None

    def forward(self, x):
        states, state = self.lstm(nn.functional.pad(x, (1, -1))[..., None], self.state)
        self.state = tuple(part.detach() for part in state)
        return self.head(states)


class FrozenDegrees(nn.Module):
    """MADE, (N, D) -> (N, D), whose degrees are parameters that are not trained, to be found in its files."""

    def __init__(self, D, width=24):
        super().__init__()
        self.inputs = nn.Parameter(torch.arange(D).float(), requires_grad=False)
        self.hidden = nn.Parameter((torch.arange(width) % (D - 1)).float(), requires_grad=False)
        self.first, self.last = nn.Linear(D, width), nn.Linear(width, D)

    def forward(self, x):
        linear = nn.functional.linear
        first = self.first.weight * (self.hidden[:, None] >= self.inputs)
        last = self.last.weight * (self.inputs[:, None] > self.hidden)
        return linear(linear(x, first, self.first.bias).relu(), last, self.last.bias)


class Permuted(nn.Module):
    """A transformer that draws in an order of its own: `drawn` (S,) says which place comes first, second ..."""

    def __init__(self, drawn, back=True):
        super().__init__()
        self.net, self.drawn, self.back = Transformer(len(drawn)), torch.as_tensor(drawn), back

    def forward(self, codes):
        out = self.net(codes.flatten(1)[:, self.drawn])
        return out[:, self.drawn.argsort()] if self.back else out


class ZeroIsPadding(Transformer):
    """Attention passes over the code 0, as over the padding of sentences."""

    def forward(self, codes):
        codes = torch.cat([torch.full_like(codes[:, :1], self.start), codes[:, :-1]], dim=1)
        x = self.tokens(codes) + self.places.weight
        return self.head(self.encoder(x, mask=later(self.S), src_key_padding_mask=codes == 0))


class ByLength(Transformer):
    """The mistake: what is said is scaled by how many codes are not 0, in the whole sequence."""

    def forward(self, codes):
        return super().forward(codes) * (1 + (codes != 0).sum(1))[:, None, None]


class Categories(Transformer):
    """Codes (N, S) -> a distribution of PyTorch's over each."""

    def forward(self, codes):
        return torch.distributions.Categorical(logits=super().forward(codes), validate_args=False)


class OneSlip(nn.Module):
    """A net for sequences whose output at one place sees the next one."""

    def __init__(self, net, place):
        super().__init__()
        self.net, self.place = net, place

    def forward(self, x):
        out = self.net(x).clone()
        out[:, self.place] += x[:, self.place + 1, None]
        return out


class Experts(nn.Module):
    """Numbers (N, S) -> (N, S, Q): those after a positive number go to an expert, who takes `capacity` in a batch."""

    def __init__(self, capacity=40, Q=4, width=8):
        super().__init__()
        self.lstm, self.capacity = nn.LSTM(1, width, batch_first=True), capacity
        self.usual, self.expert = nn.Linear(width, Q), nn.Linear(width, Q)

    def forward(self, x):
        before = nn.functional.pad(x, (1, -1))[..., None]
        states = self.lstm(before)[0]
        chosen = before > 0
        chosen &= chosen.flatten().cumsum(0).view_as(chosen) <= self.capacity
        return torch.where(chosen, self.expert(states), self.usual(states))


class Pooled(nn.Module):
    """An LSTM with the mean over all places added, the mistake: hidden by a gate at zero, a shut or a dead one.

    `gate` is a factor ("zero"), a factor behind a sigmoid ("shut"), or what is added in front of a rectifier ("dead").
    """

    def __init__(self, gate, width=8):
        super().__init__()
        self.lstm, self.head, self.kind = nn.LSTM(1, width, batch_first=True), nn.Linear(width, 4), gate
        self.gate = nn.Parameter(torch.tensor({"zero": 0.0, "shut": -200.0, "dead": -50.0}[gate]))

    def forward(self, x):
        states = self.lstm(nn.functional.pad(x, (1, -1))[..., None])[0]
        mean = states.mean(1, keepdim=True)
        gated = {"zero": mean * self.gate, "shut": mean * self.gate.sigmoid(), "dead": (mean + self.gate).relu()}
        return self.head(states + gated[self.kind])
