"""Adaptive optimisers: they divide a gradient by the size of those before it, so all weights change at a similar pace.

In all of them `epsilon` prevents a division by zero for a weight that never had a gradient, under a mask for example.
"""

from typing import Any

from minipixel.backend import array_module
from minipixel.kernels.cuda import Kernels
from minipixel.optim.optimizer import LearningRate, Optimizer, check_above_0, check_fraction, check_from_0
from minipixel.shown import short

LEAST_EPSILON = 2.0**-126
"""Float32's smallest number that is not denormal: anything less counts as zero (computing.py), and 0 / 0 is NaN."""


class RMSProp(Optimizer):
    """RMSProp divides each gradient by the root of a running mean of its squares.

    w -= rate * g / (sqrt(s) + epsilon), s = rho * s + (1 - rho) * g * g.
    With `momentum` a velocity accumulates these steps, as in Graves 2013, arXiv:1308.0850, equations 38 to 45 (which
    also subtract the square of the mean gradient from s, which this class does not).
    Source: Tieleman and Hinton 2012, "Neural Networks for Machine Learning", lecture 6.5, which has no epsilon.
    """

    elementwise = True

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm)
        check_fraction("rho", rho)
        check_fraction("momentum", momentum)
        _check_epsilon(epsilon)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon
        self.memories = ("square", "velocity") if momentum else ("square",)

    def change(self, g: Any, *, square: Any, velocity: Any = None) -> Any:  # type: ignore[override]
        """The step for the weights of these gradients."""
        square += (1 - self.rho) * (g * g - square)
        step = -self.rate * g / (array_module(g).sqrt(square) + self.epsilon)
        if velocity is None:
            return step
        velocity *= self.momentum
        velocity += step
        return velocity


class _WithMoments(Optimizer):
    """The common part of Adam and its variants: `beta1` and `beta2` are the decays of two averages of gradients."""

    def __init__(
        self, learning_rate: LearningRate, beta1: float, beta2: float, epsilon: float, clip_norm: float | None
    ) -> None:
        super().__init__(learning_rate, clip_norm)
        check_fraction("beta1", beta1)
        check_fraction("beta2", beta2)
        _check_epsilon(epsilon)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon


class Adam(_WithMoments):
    """Adam takes steps of about `learning_rate`, however large gradients are (Kingma and Ba 2015, arXiv:1412.6980).

    w -= rate * m' / (sqrt(v') + epsilon), where m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g * g,
    and m' = m / (1 - beta1**t), v' = v / (1 - beta2**t) correct for the start of both averages at zero (algorithm 1).
    """

    memories = ("mean", "square")
    elementwise = True

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, clip_norm)

    def change(self, g: Any, *, mean: Any, square: Any) -> Any:  # type: ignore[override]
        """The step for the weights of these gradients."""
        mean += (1 - self.beta1) * (g - mean)
        square += (1 - self.beta2) * (g * g - square)
        corrected = mean / (1 - self.beta1**self.steps)
        spread = array_module(g).sqrt(square / (1 - self.beta2**self.steps))
        return -self.rate * corrected / (spread + self.epsilon)

    def change_on_device(self, weight: Any, g: Any, *, mean: Any, square: Any) -> None:
        """The same step for flat arrays on a GPU, in one launch."""
        kernels, t = Kernels(array_module(weight), str(weight.dtype)), self.steps
        numbers = kernels.real(
            *(self.rate, 1 - self.beta1, 1 - self.beta2, 1 - self.beta1**t, 1 - self.beta2**t, self.epsilon)
        )
        kernels.each("adam", weight.size, weight, g, mean, square, weight.size, *numbers)()


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2).

    Before each step of Adam, w *= 1 - rate * weight_decay. This is no part of the gradient, so it is not divided by the
    size of earlier gradients. All weights decay, biases too, as in torch.optim.AdamW, except those whose dotted name
    ends in one of `exclude`: ("bias",) excludes biases, ("top.out.weight",) a single weight. In a weight-normalised
    layer `gain` decides how large the weights are; the length of `v` has no influence, so the decay of `v` only makes
    its direction change faster.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 1e-2,
        exclude: tuple[str, ...] = (),
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, clip_norm)
        self.weight_decay = check_from_0("weight_decay", weight_decay, "0.01")
        if isinstance(exclude, str) or not all(isinstance(name, str) and name for name in exclude):
            raise ValueError(f"exclude: got {short(exclude)}, wanted a list of names of weights, such as ('bias',)")
        self.exclude = tuple(exclude)

    def decays(self, name: str) -> bool:
        """Whether the weight of that dotted name decays."""
        return not f".{name}".endswith(tuple(f".{end}" for end in self.exclude))


class Adamax(_WithMoments):
    """Adam with the largest recent gradient in place of the mean square (arXiv:1412.6980, section 7.1, algorithm 2).

    w -= rate / (1 - beta1**t) * m / u, where m is Adam's and u = max(beta2 * u, |g| + epsilon); the paper has no
    epsilon.
    """

    memories = ("mean", "largest")
    elementwise = True

    def __init__(
        self,
        learning_rate: LearningRate = 2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, clip_norm)

    def change(self, g: Any, *, mean: Any, largest: Any) -> Any:  # type: ignore[override]
        """The step for the weights of these gradients."""
        mean += (1 - self.beta1) * (g - mean)
        largest[...] = array_module(g).maximum(self.beta2 * largest, abs(g) + self.epsilon)
        return -self.rate / (1 - self.beta1**self.steps) * mean / largest


class Nadam(_WithMoments):
    """Adam with Nesterov momentum (Dozat 2016, "Incorporating Nesterov Momentum into Adam").

    w -= rate * m' / (sqrt(v') + epsilon), with m, v and v' as in Adam, and a momentum mu that warms up:

        mu_t = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        m' = mu_(t+1) * m / (1 - mu_1 mu_2 ... mu_(t+1)) + (1 - mu_t) * g / (1 - mu_1 mu_2 ... mu_t)

    This is the Nadam of Keras and PyTorch: m itself decays by beta1, while Dozat's algorithm 8 has mu_t there.
    `momentum_decay` is 0.004 in Dozat's experiments, in PyTorch and in earlier versions of Keras; Keras 3 has 1.
    """

    memories = ("mean", "square")
    elementwise = True

    def __init__(
        self,
        learning_rate: LearningRate = 2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 4e-3,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, clip_norm)
        check_above_0("momentum_decay", momentum_decay, "0.004")
        self.momentum_decay = momentum_decay
        self._products = [1.0]  # of mu_1 ... mu_t, at place t: a function of t alone, kept to save time

    def change(self, g: Any, *, mean: Any, square: Any) -> Any:  # type: ignore[override]
        """The step for the weights of these gradients."""
        t = self.steps
        mean += (1 - self.beta1) * (g - mean)
        square += (1 - self.beta2) * (g * g - square)
        ahead = self._momentum(t + 1) / (1 - self._product(t + 1)) * mean
        here = (1 - self._momentum(t)) / (1 - self._product(t)) * g
        spread = array_module(g).sqrt(square / (1 - self.beta2**t))
        return -self.rate * (ahead + here) / (spread + self.epsilon)

    def _momentum(self, t: int) -> float:
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def _product(self, t: int) -> float:
        while len(self._products) <= t:
            self._products.append(self._products[-1] * self._momentum(len(self._products)))
        return self._products[t]


def _check_epsilon(epsilon: Any) -> None:
    """Raise ValueError if it is too small to prevent a division by zero in float32."""
    check_above_0("epsilon", epsilon, "1e-8")
    if epsilon < LEAST_EPSILON:
        raise ValueError(f"epsilon: got {epsilon!r}, wanted at least {LEAST_EPSILON:.2g}, such as 1e-8; less is zero")
