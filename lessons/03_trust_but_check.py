# %% [markdown]
# # 03 Trust, but check
#
# - *You will* measure a slope in three ways, see why small steps fail, step around the trouble, catch planted mistakes.
# - *Reads* `minipixel/gradcheck.py`; W. Squire and G. Trapp, SIAM Review 40 (1998), on the complex step.
# - *Before* lesson 02.
# - *Takes* about 3 seconds.

# %%
import numpy as np
from show import show

import minipixel as mp

# %% [markdown]
# ## Nudge it
#
# Every op carries a gradient worked out on paper. A wrong one does not crash, and the loss may still fall. So we ask
# the function itself. Take tanh, whose slope is known: 1 - tanh². Pretend that it is not, and measure it.

# %%
f, x = np.tanh, 0.5
exact = 1 - np.tanh(0.5) ** 2
ways = {
    "forward": lambda h: (f(x + h) - f(x)) / h,
    "central": lambda h: (f(x + h) - f(x - h)) / (2 * h),
    "complex": lambda h: f(x + 1j * h).imag / h,
}
steps = np.logspace(0, -18, 73)
errors = {name: np.array([abs(way(h) / exact - 1) for h in steps]) for name, way in ways.items()}

fig = mp.plots.figure(6.6, 3.9)
ax = fig.subplots()
colours = {"forward": "#8a5a83", "central": mp.plots.CENTRE, "complex": mp.plots.OPEN}
for name, error in errors.items():
    ax.loglog(steps, np.maximum(error, 1e-17), ".-", color=colours[name], linewidth=1.2, markersize=4)
ax.text(1e-4, 3e-4, "forward: falls as h", color=colours["forward"], ha="right")
ax.text(1e-4, 3e-12, "central: falls as h²", color=colours["central"])
ax.text(1e-13, 2e-15, "complex: falls as h², then stays", color=colours["complex"], ha="center")
ax.text(1e-16, 1e-5, "rounding:\nrises as 1/h", color=mp.plots.INK, ha="center")
ax.set(xlabel="step h", ylabel="relative error of the slope", title="A smaller step is not always a better one")
ax.grid(alpha=0.25)
show(fig, "03_steps")

print("step     f(x + h)              f(x - h)              difference")
for h in (1e-3, 1e-8, 1e-13):
    print(f"{h:.0e}  {f(x + h):.17f}  {f(x - h):.17f}  {f(x + h) - f(x - h):.16e}")

# %% [markdown]
# Read each V from the right. With a large step the curve bends away from its tangent: the *truncation* error. It falls
# with h for the forward difference. For the central one the even terms cancel, and it falls with h squared.
# The other arm is *rounding*. The closer two values are, the more of their 16 digits they share, and the subtraction
# throws these away: see the table. What is left is noise, and it is divided by h. (An error of 0 is drawn at 1e-17.)
#
# ## Step sideways
#
# Now nudge along the imaginary axis. Taylor says f(x + ih) = f(x) + ih f'(x) - h²/2 f''(x) - ... The imaginary part is
# h f'(x), and then a term in h cubed. Nothing was subtracted: the slope travels in a drawer of its own. So h may be
# 1e-30. Truncation is then far below rounding, and there is no cancellation to pay for it.
#
# The price is a promise: *the function is analytic, and so is the code*. Every operation must carry the imaginary part
# along. `abs`, `.real` and a conjugate drop it without a word. A comparison must look at real parts only, and choose
# between analytic pieces; that is why `mp.ops.sigmoid` says `x.real > 0`. Break the promise, and see:

# %%
functions = {
    "x * x.real": lambda x: x * x.real,
    "x / (1 + np.abs(x))": lambda x: x / (1 + np.abs(x)),
    "x / (1 + np.where(x.real > 0, x, -x))": lambda x: x / (1 + np.where(x.real > 0, x, -x)),
}
slopes = {}
print(f"{'at x = 2':40}complex step   central difference")
for name, g in functions.items():
    slopes[name] = np.imag(g(2 + 1e-30j)) / 1e-30, (g(2 + 1e-6) - g(2 - 1e-6)) / 2e-6
    print(f"{name:40}{slopes[name][0]:12.6f}{slopes[name][1]:21.6f}")

# %% [markdown]
# Only in the last line do the two agree: there the absolute value is made of analytic pieces. In the others the complex
# step lies, and does not know it. A central difference has fewer digits, but no drawer to lose them from.
#
# ## One number for a whole model
#
# A model has thousands of weights, and a nudge a weight is a forward pass a weight. So nudge all of them at once, along
# a random direction v. The slope must be <g, v>, the inner product with the gradient g. Every element of g has a share.

# %%
images = mp.datasets.load("digits").train.images[:4]
model = mp.models.PixelCNN((8, 8, 1), levels=17, hidden=8, blocks=2, rng=0, dtype="float64")
model.loss(images).backward()
weights = model.parameters()
kept = [w.data for w in weights]
rng = np.random.default_rng(0)


def loss_at(step, v):
    for w, data, nudge in zip(weights, kept, v, strict=True):
        w.data = data + step * nudge
    return model.loss(images).data


checked = []
print("direction      <g, v>   complex step   its error   central 1e-5   central 1e-7")
for number in range(3):
    v = [rng.standard_normal(w.shape) for w in weights]
    along = sum((w.grad * nudge).sum() for w, nudge in zip(weights, v, strict=True))
    found = [loss_at(1e-30j, v).imag / 1e-30] + [(loss_at(h, v) - loss_at(-h, v)) / (2 * h) for h in (1e-5, 1e-7)]
    checked.append([abs(along - slope) / abs(slope) for slope in found])
    print(f"{number:9}{along:12.6f}{found[0]:15.6f}{checked[-1][0]:12.0e}{checked[-1][1]:15.0e}{checked[-1][2]:15.0e}")
loss_at(0, v)  # puts the weights back
library = mp.gradcheck_model(model, images, directions=3)
print(f"mp.gradcheck_model: worst error {library:.0e}, in 3 complex passes for {model.num_parameters:,} weights")

# %% [markdown]
# The last two columns are the errors of central differences, and they hold a surprise: the *larger* step fails. The
# model is full of relus, each with a kink at 0. A nudge of all weights carries some across; one of 1e-30 carries none.
#
# ## Plant a mistake
#
# A check that has never caught anything is not yet a check. So we break ops on purpose, as people do, and put them
# before `mp.gradcheck`. It nudges element by element or, with `directions=k`, along k random directions.


# %%
def broken(value, gradient):
    return mp.op(lambda x: (value(x), lambda g: (gradient(g, x),)))


@mp.op
def careless_add(x, bias):
    return x + bias, lambda g: (g, g)


noise = np.random.default_rng(1).uniform(-3, 3, (6, 8))
corner = np.pad([[1.1]], ((5, 0), (7, 0)), constant_values=1)
planted = {
    "tanh, nothing wrong": (broken(np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2)), noise),
    "tanh, 1 + t² for 1 - t²": (broken(np.tanh, lambda g, x: g * (1 + np.tanh(x) ** 2)), noise),
    "tanh, too large by 1e-3": (broken(np.tanh, lambda g, x: 1.001 * g * (1 - np.tanh(x) ** 2)), noise),
    "tanh, through float32": (broken(np.tanh, lambda g, x: np.float32(g * (1 - np.tanh(x) ** 2))), noise),
    "tanh, wrong in one corner": (broken(np.tanh, lambda g, x: corner * g * (1 - np.tanh(x) ** 2)), noise),
    "softsign, |x| held fixed": (broken(functions["x / (1 + np.abs(x))"], lambda g, x: g / (1 + np.abs(x))), noise),
    "a bias, not summed over rows": (careless_add, noise, noise[0]),
    "relu, >= for >": (broken(lambda x: np.maximum(x, 0), lambda g, x: g * (x >= 0)), noise),
}
seen, said = {}, {}
print(f"{'':30}      central  1 direction      complex")
for name, case in planted.items():
    for how in ({"method": "central"}, {"directions": 1}, {"method": "complex"}):
        try:
            result = f"{mp.gradcheck(*case, **how):.0e}"
        except (AssertionError, ValueError) as error:
            result, said[name] = "CAUGHT" if isinstance(error, AssertionError) else "BY THE TAPE", str(error)
        seen.setdefault(name, []).append(result)
    print(f"{name:30}{seen[name][0]:>13}{seen[name][1]:>13}{seen[name][2]:>13}")
print("", said["tanh, wrong in one corner"], said["a bias, not summed over rows"], sep="\n")

# %% [markdown]
# A number is the worst error of a check that passed. Central differences need a loose limit, 1e-6: float32 slips
# through. The complex step believes code that drops its drawer. One direction sees the corner; elements say *where*.
# And `>=` is harmless: it differs from `>` at 0 alone, where any slope from 0 to 1 serves. The library says 0.
#
# ## What no check sees
#
# A check speaks of the points it was shown, in float64. It says nothing of a kink, an unvisited branch, or float32.

# %%
relu = mp.ops.relu.arrays
kink = relu(0.0)[1](1.0)[0], (relu(1e-6)[0] - relu(-1e-6)[0]) / 2e-6, relu(1e-30j)[0].imag / 1e-30
print("the slope of relu at 0: vjp {:.1f}, central {:.1f}, complex {:.1f}".format(*kink))
clipped = broken(lambda x: np.where(x.real > 2, 2, x), lambda g, x: g)  # above 2 the slope is 0; the vjp forgot
print(f"a clip, for x up to 1:  error {mp.gradcheck(clipped, noise.clip(-3, 1)):.0e}, and nobody looked above 2")
logs = [mp.ops.log(1 - mp.ops.sigmoid(mp.Tensor(np.full(1, 15, kind)))).data[0] for kind in ("float64", "float32")]
print("log(1 - sigmoid(15)):   {:.4f} in float64, {:.4f} in float32".format(*logs))

# %% [markdown]
# ## What you should see

# %%
fall = {name: error[8] / error[16] for name, error in errors.items()}  # from a step of 1e-2 to one of 1e-4
assert 50 < fall["forward"] < 200 and 5e3 < fall["central"] < 2e4
assert all(np.median(errors[name][steps < 1e-13]) > 1e-4 for name in ("forward", "central"))
assert errors["complex"][steps < 1e-9].max() < 1e-14
assert [abs(a - b) < 1e-6 for a, b in slopes.values()] == [False, False, True]
assert max(row[0] for row in checked) < 1e-10 < 1e-6 < max(row[1] for row in checked)
assert np.isclose(max(row[0] for row in checked), library, atol=1e-12)
assert [sum(map(str.isupper, row)) for row in seen.values()] == [0, 3, 3, 2, 3, 1, 3, 0]  # how many checks refused it
assert seen["tanh, through float32"][2] == seen["softsign, |x| held fixed"][0] == "CAUGHT"
assert kink == (0, 0.5, 1) and abs(logs[0] + 15) < 1e-4 < 1e-2 < abs(logs[1] + 15)

# %% [markdown]
# ## Exercises
#
# 1. The central difference is best near a step of 1e-5, the forward one near 1e-8. Balance the two arms and see why.
# 2. Show `mp.gradcheck` the clip with `noise` as it is. What does its error line say?
# 3. Seen along one direction, one wrong element weighs less in a larger array. Measure it, from 4x4 to 256x256.
# 4. Count the relus of the model whose input changes sign between the two central nudges. Compare with the table.
