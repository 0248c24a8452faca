"""PixelCNN++ in PyTorch, the usual way: padding, cropping, one list of skips. Losses and gradients agree to 1e-10."""

import numpy as np
import pytest
from torch_parity import Twin, assert_parity, functional, kernel, randomised, torch

import minipixel as mp


class PixelCNNpp(Twin):
    def weight(self, path):
        """gain * v / |v| as (K_out, K_in, kh, kw), and the bias; v alone where there is no gain."""
        v, gain = self.weights[f"{path}.v"], self.weights.get(f"{path}.gain")
        if gain is not None:
            v = functional.normalize(v.flatten(0, -2), dim=0).reshape(v.shape) * gain
        return kernel(v), self.weights[f"{path}.bias"]

    def nin(self, path, x, mask=None):
        weight, bias = self.weight(path)
        return functional.conv2d(x, weight if mask is None else weight * kernel(torch.tensor(mask)), bias)

    def conv(self, path, x, shift, stride=1):
        """Pad above (and left), then a convolution that does not pad."""
        weight, bias = self.weight(path)
        kh, kw = weight.shape[2:]
        left, right = (kw // 2, kw // 2) if shift == "down" else (kw - 1, 0)
        return functional.conv2d(functional.pad(x, (left, right, kh - 1, 0)), weight, bias, stride)

    def deconv(self, path, x, shift, size):
        """A transposed convolution that does not pad, cropped: the first rows; the centred columns, or the first."""
        weight, bias = self.weight(path)
        y = functional.conv_transpose2d(x, weight.permute(1, 0, 2, 3), bias, stride=2)
        first = weight.shape[3] // 2 if shift == "down" else 0
        missing = max(0, first + size[1] - y.shape[3]), max(0, size[0] - y.shape[2])
        y = functional.pad(y - bias[:, None, None], (0, missing[0], 0, missing[1])) + bias[:, None, None]
        return y[:, :, : size[0], first : first + size[1]]

    def activate(self, x):
        name = self.model.config["activation"]
        return functional.elu(torch.cat([x, -x], 1)) if name == "concat_elu" else getattr(functional, name)(x)

    def residual(self, path, x, skip, shift, condition):
        y = self.conv(f"{path}.first", self.activate(x), shift)
        if skip is not None:
            y = y + self.nin(f"{path}.skip", self.activate(skip))
        y = self.conv(f"{path}.second", self.activate(y), shift)
        if condition is not None:
            y = y + functional.conv2d(condition, kernel(self.weights[f"{path}.told.weight"]))
        a, b = y.chunk(2, dim=1)
        return x + a * torch.sigmoid(b)

    def forward(self, x, condition):
        resnets, levels = (self.model.config[key] for key in ("resnets", "hierarchies"))
        padded = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        down = lambda y: functional.pad(y, (0, 0, 1, 0))[:, :, :-1]  # noqa: E731
        right = lambda y: functional.pad(y, (1, 0))[:, :, :, :-1]  # noqa: E731
        us = [down(self.conv("above", padded, "down"))]
        uls = [down(self.conv("up", padded, "down")) + right(self.conv("left", padded, "down-right"))]
        path, told, sizes = "level", [condition], [x.shape[2:]]
        for level in range(levels):
            if level:
                us.append(self.conv(f"{path}.halve.0", us[-1], "down", 2))
                uls.append(self.conv(f"{path}.halve.1", uls[-1], "down-right", 2))
                path += ".below"
                told.append(None if told[-1] is None else told[-1][:, :, ::2, ::2])
                sizes.append(us[-1].shape[2:])
            for i in range(resnets):
                us.append(self.residual(f"{path}.way_in.{i}.u", us[-1], None, "down", told[-1]))
                uls.append(self.residual(f"{path}.way_in.{i}.ul", uls[-1], us[-1], "down-right", told[-1]))
        u, ul = us.pop(), uls.pop()
        for level in reversed(range(levels)):
            for i in range(resnets + (level < levels - 1)):
                u = self.residual(f"{path}.way_back.{i}.u", u, us.pop(), "down", told[level])
                skip = torch.cat([u, uls.pop()], dim=1)
                ul = self.residual(f"{path}.way_back.{i}.ul", ul, skip, "down-right", told[level])
            if level:
                path = path.removesuffix(".below")
                u = self.deconv(f"{path}.enlarge.0", u, "down", sizes[level - 1])
                ul = self.deconv(f"{path}.enlarge.1", ul, "down-right", sizes[level - 1])
        assert not us and not uls
        if "top.colours.v" not in self.weights:
            return self.nin("top.out", functional.elu(ul))
        top = self.model.top
        y = self.nin("top.features", functional.elu(ul)) + self.nin("top.colours", x, top.colours.mask)
        return self.nin("top.out", functional.elu(torch.cat([y, -y], 1)), top.out.mask)

    def nats(self, P, levels):
        return -self.mixture(P, levels) if self.model.head.name == "logistic_mixture" else super().nats(P, levels)

    def mixture(self, P, levels):
        """The paper's likelihood, joint over the colours of a pixel, in the plain difference of two sigmoids."""
        (N, C, H, W), Q, M = levels.shape, self.model.levels, self.model.mixtures
        rows = P.reshape(N, -1, M, H, W)
        x = (levels.double() * (2 / (Q - 1)) - 1)[:, :, None]
        means, scales = rows[:, 1 : 1 + C], torch.exp(rows[:, 1 + C : 1 + 2 * C].clamp(min=-7))
        if C == 3:
            c = torch.tanh(rows[:, 7:])
            moved = [means[:, 0], means[:, 1] + c[:, 0] * x[:, 0]]
            moved.append(means[:, 2] + c[:, 1] * x[:, 0] + c[:, 2] * x[:, 1])
            means = torch.stack(moved, dim=1)
        upper = torch.sigmoid((x + 1 / (Q - 1) - means) / scales)
        lower = torch.sigmoid((x - 1 / (Q - 1) - means) / scales)
        upper = torch.where(levels[:, :, None] == Q - 1, 1.0, upper)
        lower = torch.where(levels[:, :, None] == 0, 0.0, lower)
        scores = torch.log(upper - lower).sum(dim=1) + torch.log_softmax(rows[:, 0], dim=1)
        return torch.logsumexp(scores, dim=1).sum()


@pytest.mark.parametrize(
    ("shape", "levels", "options"),
    [
        ((8, 8, 1), 4, {"hierarchies": 2}),
        ((7, 9, 1), 3, {"hierarchies": 3, "resnets": 2}),
        ((5, 5, 3), 2, {"hierarchies": 3, "num_classes": 3}),
        ((1, 6, 1), 3, {"hierarchies": 3, "condition_shape": (2,)}),
        ((6, 1, 3), 4, {"hierarchies": 2, "head": "categorical"}),
        ((5, 7, 3), 2, {"hierarchies": 2, "head": "bernoulli", "condition_shape": (5, 7, 2)}),
        ((5, 6, 1), 4, {"hierarchies": 1, "head": "categorical", "resnets": 3}),
        ((7, 8, 1), 4, {"vertical_kernel": (3, 5), "horizontal_kernel": (3, 4), "activation": "elu"}),
        ((7, 6, 1), 4, {"vertical_kernel": (1, 1), "horizontal_kernel": (1, 2), "activation": "relu"}),
        ((5, 5, 3), 4, {"weight_norm": False, "hierarchies": 3}),
    ],
    ids=str,
)
def test_parity(shape, levels, options):
    model = mp.models.PixelCNNpp(shape, levels, **({"filters": 6, "resnets": 1, "dtype": "float64"} | options))
    rng = np.random.default_rng(0)
    size = 0.5 if model.config["weight_norm"] else 0.15
    twin = PixelCNNpp(randomised(model, size, rng))
    assert_parity(twin, rng.integers(0, levels, (3, *shape)), model.conditions.random(3, rng), floor=1e-3)
