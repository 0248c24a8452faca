"""Gradient descent, with or without momentum."""

from typing import Any

from minipixel.optim.optimizer import LearningRate, Optimizer, check_fraction


class SGD(Optimizer):
    """Gradient descent, which takes steps against the gradient: w += v, v = momentum * v - rate * g.

    Momentum is that of Sutskever, Martens, Dahl and Hinton 2013, "On the importance of initialization and momentum in
    deep learning", equations 1 and 2. With `nesterov` the step is w += momentum * v - rate * g with the same v: these
    are their equations 3 and 4, in which w stores the weights of the look-ahead point (Bengio, Boulanger-Lewandowski
    and Pascanu 2012, arXiv:1212.0901).
    """

    elementwise = True

    def __init__(
        self,
        learning_rate: LearningRate = 1e-2,
        momentum: float = 0.0,
        nesterov: bool = False,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm)
        check_fraction("momentum", momentum)
        if nesterov and momentum == 0:
            raise ValueError("nesterov: got True without momentum, wanted momentum above 0 with it, such as 0.9")
        self.momentum, self.nesterov = momentum, nesterov
        self.memories = ("velocity",) if momentum else ()

    def change(self, g: Any, *, velocity: Any = None) -> Any:  # type: ignore[override]
        """The step for the weights of these gradients."""
        if velocity is None:
            return -self.rate * g
        velocity *= self.momentum
        velocity -= self.rate * g
        return self.momentum * velocity - self.rate * g if self.nesterov else velocity
