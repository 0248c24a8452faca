"""The networks of the JAX zoo, as small as networks of their kind can be: linen, nnx, and plain functions of JAX."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

COLOURS = 3


def mask(kind, inputs, outputs, size=3):
    """A mask (k, k, inputs, outputs) of zeros and ones: "A", "B", with the rows below open, or with everything."""
    m = np.zeros((size, size, inputs, outputs), np.float32)
    m[: size // 2], m[size // 2, : size // 2] = 1, 1
    if kind != "A":
        m[size // 2, size // 2] = 1
    if kind == "below":
        m[size // 2 + 1 :] = 1
    if kind == "none":
        m[:] = 1
    return m


def colour_mask(kind, inputs, outputs):
    """Mask A or B (3, 3, inputs, outputs) of three colours, whose channels come in blocks: red, green, blue."""
    m = mask("A", inputs, outputs)
    colour_in, colour_out = np.repeat(range(3), inputs // 3)[:, None], np.repeat(range(3), outputs // 3)
    m[1, 1] = colour_in < colour_out if kind == "A" else colour_in <= colour_out
    return m


def convolve(x, weights, layout="NHWC"):
    return jax.lax.conv_general_dilated(x, weights, (1, 1), "SAME", dimension_numbers=(layout, "HWIO", layout))


# --- flax.linen -------------------------------------------------------------------------------------------------------


class PixelCNN(linen.Module):
    """(N, H, W, C) -> (N, H, W, P); `kinds` are the masks of its layers, the first that of the image."""

    kinds: tuple = ("A", "B")
    levels: int = 3
    make_mask: callable = mask
    dtype: str = "float32"

    @linen.compact
    def __call__(self, x):
        conv = functools.partial(linen.Conv, dtype=self.dtype, param_dtype=self.dtype)
        for kind in self.kinds:
            inputs = x.shape[-1]
            x = linen.relu(conv(6, (3, 3), mask=self.make_mask(kind, inputs, 6))(x))
        return conv(self.levels, (1, 1), mask=self.make_mask("B", 6, self.levels)[1:2, 1:2])(x)


class Coloured(linen.Module):
    """(N, H, W, 3) -> (N, H, W, 3, Q): colours in blocks, each sees those before it in its own pixel."""

    kinds: tuple = ("A", "B")

    @linen.compact
    def __call__(self, x):
        y = PixelCNN(self.kinds, COLOURS * 4, colour_mask)(x)
        return y.reshape(*y.shape[:3], COLOURS, 4)


def down(x):
    """One row down: each pixel gets what stood above it."""
    return jnp.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]


def right(x):
    """One column to the right: each pixel gets what stood to the left of it."""
    return jnp.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]


def concat_elu(x):
    return linen.elu(jnp.concatenate([x, -x], axis=-1))


class Shifted(linen.Module):
    """PixelCNN++ in small: (N, H, W, C) -> (N, H, W, P), a stream of what is above and one of what is to the left."""

    outputs: int
    shift: callable = right
    filters: int = 4

    @linen.compact
    def __call__(self, x):
        above = functools.partial(linen.Conv, self.filters, (2, 3), padding=((1, 0), (1, 1)))
        left = functools.partial(linen.Conv, self.filters, (2, 2), padding=((1, 0), (1, 0)))
        u = down(above()(x))
        ul = u + self.shift(linen.Conv(self.filters, (2, 1), padding=((1, 0), (0, 0)))(x))
        u = u + above()(concat_elu(u))
        a, b = jnp.split(linen.Dense(2 * self.filters)(concat_elu(left()(ul) + linen.Dense(self.filters)(u))), 2, -1)
        return linen.Dense(self.outputs)(linen.elu(ul + a * jax.nn.sigmoid(b)))


def tril(S):
    """Position i sees those up to i."""
    return np.tril(np.ones((S, S), bool))


class Attention(linen.Module):
    """A sequence (N, S) or (N, S, C) -> (N, S, Q): one head of attention; the input is shifted by one if `shift`."""

    allowed: callable = tril
    shift: bool = True
    levels: int = 4
    embed: bool = False

    @linen.compact
    def __call__(self, x):
        S, K = x.shape[1], 8
        x = linen.Embed(self.levels, K)(x) if self.embed else linen.Dense(K)(x)
        if self.shift:
            x = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        x = x + self.param("places", linen.initializers.normal(1.0), (S, K))
        q, k, v = (linen.Dense(K)(x) for _ in range(3))
        scores = jnp.where(self.allowed(S), q @ k.transpose(0, 2, 1) / np.sqrt(K), -1e9)
        seen = jax.nn.softmax(scores) @ v
        return linen.Dense(self.levels)(linen.gelu(seen + x if self.shift else seen))


class Strict(linen.Module):
    """Attention to earlier positions alone, (N, S, C) -> (N, S, Q); the first has none, and a softmax must sum to 1."""

    zeroed: bool = True

    @linen.compact
    def __call__(self, x):
        S, K = x.shape[1], 8
        allowed = np.tril(np.ones((S, S), bool), -1)
        before = jnp.pad(linen.Dense(K)(x), ((0, 0), (1, 0), (0, 0)))[:, :-1]
        q, k, v = linen.Dense(K)(before), linen.Dense(K)(x), linen.Dense(K)(x)
        weights = jax.nn.softmax(jnp.where(allowed, q @ k.transpose(0, 2, 1), -1e9))
        seen = (weights * allowed if self.zeroed else weights) @ v
        return linen.Dense(4)(linen.gelu(before + seen))


class Normalised(linen.Module):
    """Mask A, a normalisation, two channels mixed: (N, H, W, 1) -> (N, H, W, 2)."""

    norm: callable

    @linen.compact
    def __call__(self, x):
        x = self.norm()(linen.Conv(4, (3, 3), mask=mask("A", 1, 4))(x))
        return linen.Dense(2)(linen.relu(x))


class Scan(linen.Module):
    """A state that runs down the rows: (N, H, W, 1) -> (N, H, W, Q); row by row it sees all above, and what is left."""

    reverse: bool = False

    @linen.compact
    def __call__(self, x):
        K = 4
        into, along, out = (self.param(name, linen.initializers.normal(0.5), (n, K)) for name, n in SCANNED)

        def step(state, row):
            new = jnp.tanh(state @ along + row @ into)
            return new, state

        rows = x.transpose(1, 0, 2, 3)
        _, before = jax.lax.scan(step, jnp.zeros((*rows.shape[1:3], K), x.dtype), rows, reverse=self.reverse)
        row = linen.Conv(K, (1, 3), mask=mask("A", 1, K)[1:2])(x)
        return linen.Dense(3)(jnp.tanh(before.transpose(1, 0, 2, 3) @ out + row))


SCANNED = ("into", 1), ("along", 4), ("out", 4)


class Dropped(linen.Module):
    """Mask A and dropout."""

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(8, (3, 3), mask=mask("A", 1, 8))(x))
        return linen.Dense(2)(linen.Dropout(0.3, deterministic=False)(x))


# --- flax.nnx, whose modules hold their weights -----------------------------------------------------------------------


class NnxPixelCNN(nnx.Module):
    """(N, H, W, 1) -> (N, H, W, 3)."""

    def __init__(self, kind="A", last=None):
        rngs = nnx.Rngs(0)
        self.look = nnx.Conv(1, 6, (3, 3), mask=jnp.asarray(mask(kind, 1, 6)), rngs=rngs)
        self.out = nnx.Linear(6, 3, rngs=rngs, **({} if last is None else {"kernel_init": last}))

    def __call__(self, x):
        return self.out(nnx.relu(self.look(x)))


# --- plain functions of JAX -------------------------------------------------------------------------------------------


def made(kind):
    """A masked autoencoder of vectors: (N, D) -> (N, D)."""
    D, K = 9, 18
    rng = np.random.default_rng(0)
    degrees = np.arange(K) % (D - 1)
    first, second = rng.standard_normal((D, K)), rng.standard_normal((K, D))
    first_mask = np.arange(D)[:, None] <= degrees
    second_mask = degrees[:, None] < np.arange(D) if kind == "right" else degrees[:, None] <= np.arange(D)
    first, second = jnp.asarray(first * first_mask, jnp.float32), jnp.asarray(second * second_mask, jnp.float32)
    return jax.jit(lambda x: jnp.tanh(x @ first) @ second)
