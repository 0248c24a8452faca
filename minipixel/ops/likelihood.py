"""Log-probabilities of integer sub-pixels in nats, accurate for logits of any size."""

from minipixel.backend import array_module
from minipixel.tensor import op


@op(compiled=True)
def bernoulli_log_prob(logits, *, images):
    """log p of each sub-pixel under p(1) = sigmoid(logit): logits and images in {0, 1}, any one shape -> that shape."""
    xp = array_module(logits)
    sign = xp.where(images == 1, 1, -1).astype(logits.real.dtype)
    odds = sign * logits  # p = sigmoid(odds)
    decay = xp.exp(xp.where(odds.real > 0, -odds, odds))  # at most 1

    def vjp(g):
        return (g * sign * xp.where(odds > 0, decay, 1) / (1 + decay),)

    return xp.minimum(odds, 0) - xp.log1p(decay), vjp


@op(compiled=True)
def categorical_log_prob(logits, *, images):
    """log p of each sub-pixel under a softmax over Q levels: logits (..., C*Q), images (..., C) -> (..., C)."""
    xp = array_module(logits)
    scores = logits.reshape(*images.shape, -1)
    scores = scores - scores.max(axis=-1, keepdims=True)
    weights = xp.exp(scores)
    normaliser = weights.sum(axis=-1, keepdims=True)
    chosen = images[..., None] == xp.arange(scores.shape[-1])

    def vjp(g):
        return ((g[..., None] * (chosen - weights / normaliser)).reshape(logits.shape),)

    return (xp.where(chosen, scores, 0).sum(axis=-1, keepdims=True) - xp.log(normaliser))[..., 0], vjp
