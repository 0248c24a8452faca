"""Optimisers: a step is taken by a model whose parameters hold gradients."""

from typing import Any

from minipixel.backend import array_module


class Optimizer:
    """Changes a model's weights along their gradients.

    A subclass names in `memories` the arrays, of each weight's shape and zero at first, that it keeps between steps,
    and says in `change` what to add to a weight.
    """

    memories: tuple[str, ...]

    def __init__(self, learning_rate: float) -> None:
        if not learning_rate > 0:
            raise ValueError(f"learning_rate: got {learning_rate!r}, wanted a number above 0, such as 0.001")
        self.learning_rate = learning_rate
        self.steps = 0
        self.state: dict[str, dict[str, Any]] = {}

    def step(self, model: Any) -> None:
        """Change every weight of the model by its `.grad`. Raises ValueError if a gradient is missing."""
        missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        if missing:
            raise ValueError(f"step: got no gradient for {missing[0]}, wanted one; call loss.backward() first")
        self.steps += 1
        for name, parameter in model.named_parameters():
            if name not in self.state:
                zeros = array_module(parameter.data).zeros_like
                self.state[name] = {kind: zeros(parameter.data) for kind in self.memories}
            parameter.data = parameter.data + self.change(parameter.grad, **self.state[name])

    def change(self, g: Any, **memories: Any) -> Any:
        """What to add to a weight, from its gradient and its memories, which are updated in place."""
        raise NotImplementedError


class Adam(Optimizer):
    """Steps of about `learning_rate` however large the gradients (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    `beta1` and `beta2` say how slowly the means of gradients and of squared gradients forget.
    """

    memories = ("mean", "square")

    def __init__(
        self, learning_rate: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        for name, beta in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= beta < 1:
                raise ValueError(f"{name}: got {beta!r}, wanted a number in [0, 1)")
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def change(self, g: Any, *, mean: Any, square: Any) -> Any:  # type: ignore[override]
        """The step for one weight array; both means start at zero, which the two corrections undo."""
        mean += (1 - self.beta1) * (g - mean)
        square += (1 - self.beta2) * (g * g - square)
        corrected = mean / (1 - self.beta1**self.steps)
        spread = array_module(g).sqrt(square / (1 - self.beta2**self.steps))
        return -self.learning_rate * corrected / (spread + self.epsilon)
