# %% [markdown]
# # 03 PixelCNN in 60 lines: solutions
#
# Each solution begins with its exercise. The solutions use the library's PixelCNN, which computes the same as ours:
# that is what [the lesson](../03_pixelcnn_in_60_lines.py) shows at its end.

# %%
import os

import numpy as np
from scipy.special import softmax

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
ds = mp.datasets.load("digits")
H, W, C = ds.image_shape
Q = ds.levels
train = ds.train.images[:256] if QUICK else ds.train.images
test = ds.test.images

# %% [markdown]
# ## Exercise 1
#
# > How many weights has our network, and how many of them do the masks leave open? Check with `model.summary()`.
#
# A layer has a weight for each tap, input feature and output feature, and a bias for each output feature. The masks
# open 24 of 49 taps in the stem, and 5 of 9 in the blocks.

# %%
stored = 49 * 64 + 64
opened = 24 * 64 + 64
for _ in range(5):
    around = (64 * 32 + 32) + (32 * 64 + 64)  # the two linear layers
    stored = stored + around + 9 * 32 * 32 + 32
    opened = opened + around + 5 * 32 * 32 + 32
top = 2 * (64 * 64 + 64) + 64 * Q + Q
stored = stored + top
opened = opened + top
print(f"{stored:,} weights, of which {opened:,} are open")

model = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
last_line = model.summary().splitlines()[-1]
print(last_line)
assert last_line.split() == ["total", f"{stored:,}", f"{opened:,}"]

# %% [markdown]
# ## Exercise 2
#
# > Compute by hand the softmax of the logits 0, ln 2 and ln 5, and the loss if the true level is the last one.
#
# $e^0 = 1$, $e^{\ln 2} = 2$, $e^{\ln 5} = 5$; their sum is 8. The probabilities are 1/8, 2/8 and 5/8. If the last level
# is the true one, the loss is $-\ln(5/8) = \ln 8 - \ln 5 = 0.47$ nats.

# %%
logits = np.log([1, 2, 5])
print(softmax(logits), -np.log(softmax(logits)[2]))
assert np.allclose(softmax(logits), [1 / 8, 2 / 8, 5 / 8])
by_library = mp.ops.categorical_log_prob(logits[None], images=np.array([[2]]))
assert np.isclose(by_library.item(), np.log(5 / 8))

# %% [markdown]
# ## Exercise 3
#
# > Show that the same constant may be added to all logits of a pixel. Then take away the line of `cross_entropy`
# > that does this, and find logits for which it fails.
#
# A constant $a$ comes out of the sum: $\ln \sum_j e^{\ell_j + a} = a + \ln \sum_j e^{\ell_j}$. It is added to both
# terms of $-\ln p(q)$, and cancels. Without the subtraction $e^{\ell}$ overflows: float32 cannot hold numbers above
# $3.4 \cdot 10^{38} = e^{88.7}$. A logit of 100 is enough for an infinite loss.


# %%
def minus_log_p(logits, level, subtract):
    logits = np.asarray(logits, "float32")
    if subtract:
        logits = logits - logits.max()
    return np.log(np.exp(logits).sum()) - logits[level]


assert np.isclose(minus_log_p([1, 2, 3], 0, True), minus_log_p([1, 2, 3], 0, False))
assert np.isclose(minus_log_p([1, 2, 3], 0, True), minus_log_p([11, 12, 13], 0, True))
with np.errstate(over="ignore"):
    careless = minus_log_p([100, 99], 0, subtract=False)
careful = minus_log_p([100, 99], 0, subtract=True)
print("logits 100 and 99:", careless, "without the subtraction,", careful, "with it")
assert np.isinf(careless)
assert np.isclose(careful, np.log(1 + np.exp(-1)))

# %% [markdown]
# ## Exercise 4
#
# > Give the stem mask B. Train for an epoch: what happens to the loss? What do the samples look like?
#
# The loss falls far below that of the honest model: the stem hands each pixel to its own prediction, and the network
# learns to copy. But when it draws, the pixel that it reads has not been drawn yet: there is a zero in the empty
# image. So it copies zeros, and its samples are nearly black. The better it has learnt to copy, the darker they are.


# %%
def draw(model, number):
    images = np.zeros((number, H, W, C), int)
    uniforms = np.random.default_rng(SEED).random((number, H, W, C))
    for r, c in np.ndindex(H, W):
        p = softmax(model.predict(images)[r, c].astype(float), axis=-1)
        images[:, r, c, 0] = (p.cumsum(axis=-1)[:, :-1] <= uniforms[:, r, c]).sum(axis=-1)
    return images


epochs = 2 if QUICK else 6
honest = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
leaky = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
start = mp.nn.Init(SEED, "float32")
leaky.stem = mp.nn.Conv2d(leaky.stem.groups_in, leaky.stem.groups_out, (7, 7), "B", start)
for model in (honest, leaky):
    mp.fit(model, train, epochs=epochs, rng=SEED, progress=False)
honest_bits = honest.bits_per_dim(test)
leaky_bits = leaky.bits_per_dim(test)
honest_ink = draw(honest, 10).mean()
leaky_ink = draw(leaky, 10).mean()
print(f"honest: {honest_bits:.3f} bits/dim, mean level of its samples {honest_ink:.2f}")
print(f"leaky:  {leaky_bits:.3f} bits/dim, mean level of its samples {leaky_ink:.2f}; of real digits {test.mean():.2f}")
assert leaky_bits < honest_bits
if not QUICK:
    assert leaky_bits < 1 < honest_bits
    assert leaky_ink < 1 < honest_ink

# %% [markdown]
# ## Exercise 5
#
# > Replace Adam by plain gradient descent, `weight.data = weight.data - rate * weight.grad`. Find the largest rate
# > that does not explode. How far does it get in three epochs, compared with Adam?
#
# The loss is a sum over 64 pixels, and its gradient is large. The library stops with an error as soon as the loss is
# no finite number; we write infinity for it. A rate of 0.05 explodes within a few steps, and 0.01 does well. Adam gets
# further in three epochs, and its rate hardly has to be searched for. Plain descent uses one rate for all weights,
# though their slopes are very different.

# %%
epochs = 1 if QUICK else 3
scores = {}
optimizers = {"Adam, 0.001": mp.optim.Adam(1e-3)}
for rate in (0.001, 0.003, 0.01, 0.05):
    optimizers[f"plain, {rate}"] = mp.optim.SGD(rate)
for name, optimizer in optimizers.items():
    model = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
    try:
        with np.errstate(all="ignore"):
            mp.fit(model, train, epochs=epochs, optimizer=optimizer, rng=SEED, progress=False)
        scores[name] = model.bits_per_dim(test)
    except mp.NonFiniteError:
        scores[name] = np.inf
    print(f"{name:14} {scores[name]:.3f} bits/dim")
assert np.isinf(scores["plain, 0.05"])
assert scores["plain, 0.01"] < scores["plain, 0.001"]
if not QUICK:
    assert scores["Adam, 0.001"] < min(score for name, score in scores.items() if name.startswith("plain"))

# %% [markdown]
# ## Exercise 6
#
# > Take the additions `x + y` out of the residual blocks, so that they return `y`. What changes with 5 blocks, and
# > with 15?
#
# Without the additions each block must hand on all that the later ones need, through three rectifiers, each of which
# drops what is negative. With 5 blocks the model learns more slowly, and with 15 more slowly still: the deeper it is,
# the less of the image arrives at the end, and the less of the gradient at the beginning. With the additions it is the
# other way round: 15 blocks do at least about as well as 5.


# %%
class Blocks(mp.models.Model):
    """A PixelCNN whose blocks add to what came in, or do not."""

    name = "blocks"

    def __init__(self, image_shape, levels, blocks, add, rng=0):
        super().__init__(image_shape, levels, {"blocks": blocks, "add": add}, rng=rng)
        network = mp.models.PixelCNN(image_shape, levels, hidden=16, blocks=blocks, rng=rng)
        self.features = network.features
        self.add = add
        self.stem = network.stem
        self.blocks = network.blocks
        self.top = network.top

    def forward(self, x, condition=None, rng=None):
        x = self.stem(x)
        for block in self.blocks:
            y = block.narrow(mp.ops.relu(x))
            y = block.look(mp.ops.relu(y))
            y = block.widen(mp.ops.relu(y))
            x = x + y if self.add else y
        return self.top(x)


scores = {}
for blocks in (5, 15):
    for add in (True, False):
        model = Blocks((H, W, C), Q, blocks, add, rng=SEED)
        mp.fit(model, train, epochs=1 if QUICK else 6, rng=SEED, progress=False)
        scores[blocks, add] = model.bits_per_dim(test)
        print(f"{blocks:2} blocks, {'with' if add else 'without'} additions: {scores[blocks, add]:.3f} bits/dim")
assert scores[15, True] < scores[15, False]
if not QUICK:
    assert scores[5, True] < scores[5, False] < scores[15, False]
    assert scores[15, True] < scores[5, False]
