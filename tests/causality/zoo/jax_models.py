"""The JAX part of the zoo: models of flax and plain functions, right and leaky, each called as a stranger would."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from causality.zoo.animal import Animal
from causality.zoo.jax_nets import (
    Attention,
    Coloured,
    Dropped,
    NnxPixelCNN,
    Normalised,
    PixelCNN,
    Scan,
    Shifted,
    Strict,
    convolve,
    made,
    mask,
    tril,
)
from flax import linen

import minipixel as mp

GREY, CODES, COLOUR, WIDE = (4, 5, 1), (4, 5), (3, 4, 3), (3, 5, 3)

# --- the natural calls ------------------------------------------------------------------------------------------------


def grey(function):
    return mp.check_causality(function, (4, 5, 1))


def grey_first(function):
    return mp.check_causality(function, (1, 4, 5), channels_first=True)


def grey_double(function):
    with jax.enable_x64(True):
        return mp.check_causality(function, (4, 5, 1), inputs=("float64", -1.0, 1.0))


def grey_half(function):
    return mp.check_causality(function, (4, 5, 1), inputs=("float16", -1.0, 1.0))


def grey_of_four(function):
    return mp.check_causality(function, (4, 5, 1), batch_size=4)


def grey_tolerant(function):
    return mp.check_causality(function, (4, 5, 1), tolerance=1e-5)


def codes(function):
    return mp.check_causality(function, (4, 5), inputs=("int32", 0, 3))


def colour(function):
    return mp.check_causality(function, (3, 4, 3), layout="NHWCQ")  # four columns, and four levels: it fits twice


def wide(function):
    return mp.check_causality(function, (3, 5, 3))


def mixture(function):
    return mp.check_causality(function, (3, 4, 3), head="logistic_mixture")


def vector(function):
    return mp.check_causality(function, (9,))


def sequence(function):
    return mp.check_causality(function, (9,), inputs=("int32", 0, 3))


# --- how strangers hand a network over --------------------------------------------------------------------------------


def variables(net, shape=GREY, dtype=np.float32):
    """Weights of a network of flax.linen, drawn by NumPy: XLA takes seconds to compile flax's own initialisers."""
    rng = np.random.default_rng(0)

    def drawn(path, leaf):
        if path[-1].key in ("scale", "var"):
            return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), leaf.dtype)
        fan_in = np.prod(leaf.shape[:-1]) if path[-1].key == "kernel" else 1
        return jnp.asarray(rng.standard_normal(leaf.shape) / np.sqrt(fan_in), leaf.dtype)

    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    return jax.tree.map_with_path(drawn, jax.eval_shape(net.init, keys, np.zeros((1, *shape), dtype)))


def with_all(number, net, layer, leaf):
    """A network in a lambda, one array of whose weights is all the same number."""
    params = variables(net)
    params["params"][layer][leaf] = jnp.full_like(params["params"][layer][leaf], number)
    return lambda x: net.apply(params, x)


def in_lambda(net, shape=GREY, dtype=np.float32):
    params = variables(net, shape, dtype)
    return lambda x: net.apply(params, x)


def in_partial(net, shape=GREY, dtype=np.float32):
    return functools.partial(net.apply, variables(net, shape, dtype))


def jitted(net, shape=GREY, dtype=np.float32):
    return jax.jit(in_lambda(net, shape, dtype))


def double(kind):
    with jax.enable_x64(True):
        return jitted(PixelCNN((kind, "B"), dtype="float64"), dtype=np.float64)


def plain(kind, layout="NHWC"):
    """A convolution whose mask is multiplied in the function, so that it closes over weights and mask."""
    weights, taps = jax.random.normal(jax.random.key(0), (3, 3, 1, 2)), jnp.asarray(mask(kind, 1, 2))
    return jax.jit(lambda x: convolve(x, weights * taps, layout))


def zeros(kind):
    """A convolution that starts at zero behind one whose mask is multiplied in the function."""
    weights, taps = jax.random.normal(jax.random.key(0), (3, 3, 1, 2)), jnp.asarray(mask(kind, 1, 2))
    out = {"kernel": jnp.zeros((2, 3)), "bias": jnp.zeros(3)}
    return lambda x: jnp.tanh(convolve(x, weights * taps)) @ out["kernel"] + out["bias"]


def rezero(kind, alpha=0.0):
    """A residual branch that starts at zero beside one that is right."""
    right_, branch = PixelCNN(("A",)), PixelCNN((kind,))
    params = {"right": variables(right_), "branch": variables(branch), "alpha": jnp.asarray(alpha)}
    return jax.jit(lambda x: right_.apply(params["right"], x) + params["alpha"] * branch.apply(params["branch"], x))


def one_image_at_a_time(kind):
    function = plain(kind)
    return jax.jit(jax.vmap(lambda image: function(image[None])[0]))


def by_updates():
    """A shift that is written with what arrays of JAX have and those of NumPy have not."""
    return lambda x: x.at[:, :, 1:].set(x[:, :, :-1]).at[:, :, 0].set(0)


def compiled(kind):
    """Compiled ahead of time, for batches of four images."""
    return jitted(PixelCNN((kind,))).lower(jnp.zeros((4, *GREY))).compile()


def pixels(net):
    """Attention over the pixels of an image: (N, H, W, 1) -> (N, H*W, Q)."""
    params = variables(net, (20, 1))
    return jax.jit(lambda x: net.apply(params, x.reshape(len(x), -1, 1)))


def normalised(use_running_average):
    """Batch normalisation by the statistics of training, or by those of the batch that is there, as in training."""
    net = Normalised(functools.partial(linen.BatchNorm, use_running_average=use_running_average))
    learnt = variables(net)
    if use_running_average:
        return jax.jit(lambda x: net.apply(learnt, x))
    return jax.jit(lambda x: net.apply(learnt, x, mutable=["batch_stats"])[0])


def embedded(kind):
    """Integers (N, H, W), a vector for each of four levels."""
    net, table = PixelCNN((kind,), 4), linen.Embed(4, 5)
    params, vectors = variables(net, (*CODES, 5)), variables(table, CODES, np.int32)
    return jax.jit(lambda x: net.apply(params, table.apply(vectors, x)))


def one_hot(kind):
    net = PixelCNN((kind,), 4)
    params = variables(net, (*CODES, 4))
    return jax.jit(lambda x: net.apply(params, jax.nn.one_hot(x, 4)))


def dropped():
    net = Dropped()
    params = variables(net)
    return jax.jit(lambda x: net.apply(params, x, rngs={"dropout": jax.random.key(2)}))


def rolled(steps):
    return jax.jit(lambda x: jnp.roll(x, steps, axis=2) * jnp.asarray([1.0, 2.0]))


def transposed(S):
    return tril(S).T


ZOO = (
    Animal("lax: mask A, jitted", lambda: plain("A"), grey, True),
    Animal("lax: mask B, jitted", lambda: plain("B"), grey, False, "mask B"),
    Animal("lax: channels first", lambda: plain("A", "NCHW"), grey_first, True),
    Animal("lax: channels first, rows below open", lambda: plain("below", "NCHW"), grey_first, False, "rows below"),
    Animal("linen: PixelCNN in a lambda", lambda: in_lambda(PixelCNN()), grey, True),
    Animal("linen: mask B first, in a lambda", lambda: in_lambda(PixelCNN(("B", "B"))), grey, False, "mask B"),
    Animal("linen: PixelCNN in a partial", lambda: in_partial(PixelCNN()), grey, True),
    Animal("linen: rows below open, in a partial", lambda: in_partial(PixelCNN(("A", "below"))), grey, False, "below"),
    Animal("linen: PixelCNN, jitted", lambda: jitted(PixelCNN(("A", "B", "B"))), grey, True),
    Animal("linen: no mask, jitted", lambda: jitted(PixelCNN(("A", "none"))), grey, False, "without a mask"),
    Animal("nnx: a module", NnxPixelCNN, grey, True),
    Animal("nnx: a module, mask B", lambda: NnxPixelCNN("B"), grey, False, "mask B"),
    Animal("nnx: zero-initialised", lambda: NnxPixelCNN("A", jax.nn.initializers.zeros), grey, True),
    Animal("nnx: zero-initialised, mask B", lambda: NnxPixelCNN("B", jax.nn.initializers.zeros), grey, False, "mask B"),
    Animal("linen: colours in blocks", lambda: jitted(Coloured(), COLOUR), colour, True),
    Animal("linen: a colour sees itself", lambda: jitted(Coloured(("B", "B")), COLOUR), colour, False, "mask B"),
    Animal("linen: PixelCNN++", lambda: jitted(Shifted(20), COLOUR), mixture, True),
    Animal(
        "linen: PixelCNN++ without a shift",
        lambda: jitted(Shifted(20, lambda x: x), COLOUR),
        mixture,
        False,
        "shift",
    ),
    Animal("linen: zero-initialised", lambda: with_all(0, PixelCNN(), "Conv_2", "kernel"), grey, True),
    Animal(
        "linen: zero-initialised, mask B",
        lambda: with_all(0, PixelCNN(("B",)), "Conv_1", "kernel"),
        grey,
        False,
        "mask B",
    ),
    Animal("lax: zero-initialised, closes over its mask", lambda: zeros("A"), grey, True),
    Animal("lax: zero-initialised, mask B", lambda: zeros("B"), grey, False, "mask B"),
    Animal("linen: ReZero, jitted", lambda: rezero("A"), grey, True),
    Animal("linen: ReZero, jitted, rows below open", lambda: rezero("below"), grey, False, "below"),
    Animal("linen: dead rectifiers, mask B", lambda: with_all(-100, PixelCNN(("B",)), "Conv_0", "bias"), grey, False),
    Animal("attention over pixels", lambda: pixels(Attention()), grey, True),
    Animal("attention, transposed mask", lambda: pixels(Attention(transposed)), grey, False, "mask"),
    Animal("attention, first row zeroed", lambda: pixels(Strict()), grey, True),
    Animal("attention, first row all masked", lambda: pixels(Strict(zeroed=False)), grey, False, "softmax"),
    Animal("attention over codes", lambda: jitted(Attention(embed=True), (9,), np.int32), sequence, True),
    Animal(
        "attention over codes without a shift",
        lambda: jitted(Attention(embed=True, shift=False), (9,), np.int32),
        sequence,
        False,
        "shift",
    ),
    Animal("batch normalisation, running average", lambda: normalised(True), grey, True),
    Animal("batch normalisation by the batch", lambda: normalised(False), grey, False, "batch"),
    Animal(
        "layer normalisation over the image",
        lambda: jitted(Normalised(functools.partial(linen.LayerNorm, reduction_axes=(1, 2, 3)))),
        grey,
        False,
        "statistic",
    ),
    Animal("layer normalisation of a pixel", lambda: jitted(Normalised(linen.LayerNorm)), grey, True),
    Animal("float16", lambda: jitted(PixelCNN(dtype="float16"), dtype=np.float16), grey_half, True),
    Animal("float16, mask B", lambda: jitted(PixelCNN(("B",), dtype="float16")), grey_half, False, "mask B"),
    Animal("bfloat16", lambda: jitted(PixelCNN(dtype="bfloat16")), grey, True),
    Animal("bfloat16, mask B", lambda: jitted(PixelCNN(("B",), dtype="bfloat16")), grey, False, "mask B"),
    Animal("float64", lambda: double("A"), grey_double, True),
    Animal("float64, rows below open", lambda: double("below"), grey_double, False, "below"),
    Animal("codes, embedded", lambda: embedded("A"), codes, True),
    Animal("codes, embedded, mask B", lambda: embedded("B"), codes, False, "mask B"),
    Animal("codes, one-hot", lambda: one_hot("A"), codes, True),
    Animal("scan over rows", lambda: jitted(Scan()), grey, True),
    Animal("scan up the rows", lambda: jitted(Scan(True)), grey, False, "below"),
    Animal("one image at a time, vmapped", lambda: one_image_at_a_time("A"), grey, True),
    Animal("what only arrays of JAX have", by_updates, grey, True),
    Animal("compiled for four images", lambda: compiled("A"), grey_of_four, True),
    Animal("compiled for four images, mask B", lambda: compiled("B"), grey_of_four, False, "mask B"),
    Animal("a roll for a shift", lambda: rolled(1), grey, False, "roll"),
    Animal("cumsum minus itself", lambda: jax.jit(lambda x: x.cumsum(2) - x), grey, False, "rounding"),
    Animal("cumsum minus itself, tolerated", lambda: jax.jit(lambda x: x.cumsum(2) - x), grey_tolerant, True),
    Animal("dropout with a key", dropped, grey, True),
    Animal("MADE", lambda: made("right"), vector, True),
    Animal("MADE, outputs that see themselves", lambda: made("leaky"), vector, False, "mask"),
)

AWAKE = {
    "nnx: zero-initialised": NnxPixelCNN,
    "nnx: zero-initialised, mask B": lambda: NnxPixelCNN("B"),
    "linen: zero-initialised": lambda: in_lambda(PixelCNN()),
    "linen: zero-initialised, mask B": lambda: in_lambda(PixelCNN(("B",))),
    "lax: zero-initialised, closes over its mask": lambda: plain("A"),
    "lax: zero-initialised, mask B": lambda: plain("B"),
    "linen: ReZero, jitted": lambda: rezero("A", 1.0),
    "linen: ReZero, jitted, rows below open": lambda: rezero("below", 1.0),
    "linen: dead rectifiers, mask B": lambda: in_lambda(PixelCNN(("B",))),
}
"""The same networks once they have learnt something: what those that sleep would do."""
