# %% [markdown]
# # 03 Trust, but check: how to know that a gradient is right
#
# *You will* measure a slope in three ways, see why small steps fail, step around the trouble, and catch planted mistakes.
#
# *Reads* `minipixel/gradcheck.py`; W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real
# functions", SIAM Review 40 (1998).
#
# *Before* lesson 02.
#
# *Takes* about 3 seconds.
#
# Every op in the library carries a gradient that a person worked out on paper. A wrong one does not crash. The loss
# still falls, only less far, and nobody knows why. So we ask the function itself.

# %%
import numpy as np
from show import show

import minipixel as mp

# %% [markdown]
# ## Nudge it
#
# Take one binary pixel with logit x. The log-probability of ink is f(x) = -log(1 + e^-x), and its slope is known on
# paper: 1 / (1 + e^x). Now pretend that it is not, and measure it.


# %%
def f(x):
    return -np.log1p(np.exp(-x))


x, exact = 0.5, 1 / (1 + np.exp(0.5))
ways = {
    "forward": lambda h: (f(x + h) - f(x)) / h,
    "central": lambda h: (f(x + h) - f(x - h)) / (2 * h),
    "complex": lambda h: f(x + 1j * h).imag / h,
}
steps = np.logspace(0, -18, 73)
errors = {name: np.array([abs(way(h) / exact - 1) for h in steps]) for name, way in ways.items()}
tiny = abs(ways["complex"](1e-30) / exact - 1)

fig = mp.plots.figure(6.6, 3.9)
ax = fig.subplots()
colours = {"forward": "#8a5a83", "central": mp.plots.CENTRE, "complex": mp.plots.OPEN}
for name, error in errors.items():
    ax.loglog(steps, np.maximum(error, 1e-17), ".-", color=colours[name], linewidth=1.2, markersize=4)
ax.text(1e-4, 3e-4, "forward: falls as h", color=colours["forward"], ha="right")
ax.text(1e-4, 3e-12, "central: falls as h²", color=colours["central"])
ax.text(1e-13, 4e-15, "complex: falls as h², then stays", color=colours["complex"], ha="center")
ax.text(1e-16, 1e-5, "rounding:\nrises as 1/h", color=mp.plots.INK, ha="center")
ax.set(xlabel="step h", ylabel="relative error of the slope", title="A smaller step is not always a better one")
ax.grid(alpha=0.25)
ax.spines[["top", "right"]].set_visible(False)
show(fig, "03_steps")

print("step     f(x + h)              f(x - h)              difference")
for h in (1e-3, 1e-8, 1e-13):
    print(f"{h:.0e}  {f(x + h):.17f}  {f(x - h):.17f}  {f(x + h) - f(x - h):.16e}")

# %% [markdown]
# Read each V from the right. With a large step the curve bends away from its tangent: the *truncation* error. It falls
# with h for the forward difference. For the central one the even terms cancel, and it falls with h squared.
# Then comes the other arm, *rounding*. Each value of f has 16 digits or so. The closer two values are, the more digits
# they share, and a subtraction throws these away: see the table. What is left is noise, and it is divided by h.
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
liars = {
    "x * x.real": lambda x: x * x.real,
    "x / (1 + np.abs(x))": lambda x: x / (1 + np.abs(x)),
    "x / (1 + np.where(x.real > 0, x, -x))": lambda x: x / (1 + np.where(x.real > 0, x, -x)),
}
slopes = {}
print(f"{'at x = 2':40}complex step   central difference")
for name, g in liars.items():
    slopes[name] = np.imag(g(2 + 1e-30j)) / 1e-30, (g(2 + 1e-6) - g(2 - 1e-6)) / 2e-6
    print(f"{name:40}{slopes[name][0]:12.6f}{slopes[name][1]:21.6f}")

# %% [markdown]
# Only in the last line do the two agree: there the absolute value is made of analytic pieces. In the others the complex
# step lies, and does not know it. A central difference has fewer digits, but it knows no drawers to lose them in.
#
# ## One number for a whole model
#
# A model has thousands of weights, and a nudge a weight is a forward pass a weight. So nudge all of them at once, along
# a random direction v. The slope must be <g, v>, the inner product with the gradient g. Every element of g has a share.

# %%
digits = mp.datasets.load("digits")
images = digits.train.images[:4]
model = mp.models.PixelCNN(digits.image_shape, digits.levels, hidden=8, blocks=2, rng=0, dtype="float64")
model.loss(images).backward()
weights = model.parameters()
kept = [w.data for w in weights]
rng = np.random.default_rng(0)


def loss_at(step, v):
    for w, data, nudge in zip(weights, kept, v, strict=True):
        w.data = data + step * nudge
    return model.loss(images).data


print(f"{'direction':12}{'<g, v>':>12}{'complex step':>16}{'its error':>12}{'central 1e-5':>15}{'central 1e-7':>15}")
checked = []
for number in range(3):
    v = [rng.standard_normal(w.shape) for w in weights]
    along = sum((w.grad * nudge).sum() for w, nudge in zip(weights, v, strict=True))
    sideways = loss_at(1e-30j, v).imag / 1e-30
    central = [(loss_at(h, v) - loss_at(-h, v)) / (2 * h) for h in (1e-5, 1e-7)]
    checked.append([abs(along - slope) / abs(slope) for slope in (sideways, *central)])
    print(
        f"{number:<12}{along:12.6f}{sideways:16.6f}{checked[-1][0]:12.0e}{checked[-1][1]:15.0e}{checked[-1][2]:15.0e}"
    )
loss_at(0, v)  # puts the weights back
library = mp.gradcheck_model(model, images, directions=3)
print(f"mp.gradcheck_model: worst error {library:.0e}, in 3 complex passes for {model.num_parameters:,} weights")

# %% [markdown]
# The last two columns hold a surprise: errors of central differences, often huge for the *larger* step. The model is
# full of relus, each with a kink at 0, and a nudge of all weights carries some across. A step of 1e-30 crosses nothing.
#
# ## Plant a mistake
#
# A check that has never caught anything is not yet a check. So we break ops on purpose, as people do, and put them
# before `mp.gradcheck`. It nudges element by element, or along random directions with `directions=k`.


# %%
def broken(value, gradient):
    return mp.op(lambda x, *bias: (value(x, *bias), lambda g: gradient(g, x)))


def tanh_but(change):
    return broken(np.tanh, lambda g, x: (change(g * (1 - np.tanh(x) ** 2)),))


at_corner = np.ones((6, 8))
at_corner[-1, -1] = 1.1
noise = np.random.default_rng(1).uniform(-3, 3, (6, 8))
planted = {
    "tanh, nothing wrong": tanh_but(lambda right: right),
    "tanh, 1 + t² for 1 - t²": broken(np.tanh, lambda g, x: (g * (1 + np.tanh(x) ** 2),)),
    "tanh, too large by 1e-3": tanh_but(lambda right: 1.001 * right),
    "tanh, through float32": tanh_but(np.float32),
    "tanh, wrong in one corner": tanh_but(lambda right: right * at_corner),
    "softsign, |x| held fixed": broken(liars["x / (1 + np.abs(x))"], lambda g, x: (g / (1 + np.abs(x)),)),
    "a bias, not summed over rows": broken(np.add, lambda g, x: (g, g)),
    "relu, >= for >": broken(lambda x: np.maximum(x, 0), lambda g, x: (g * (x >= 0),)),
}
checks = {"central": {"method": "central"}, "complex": {}, "1 direction": {"directions": 1}}
seen, lines = {}, {}
print(f"{'':30}" + "".join(f"{check:>13}" for check in checks))
for name, op in planted.items():
    for check, how in checks.items():
        inputs = (noise, noise[0]) if "bias" in name else (noise,)
        try:
            seen[name, check] = f"{mp.gradcheck(op, *inputs, **how):.0e}"
        except (AssertionError, ValueError) as error:
            seen[name, check] = "CAUGHT" if isinstance(error, AssertionError) else "BY THE TAPE"
            lines[name, check] = str(error)
    print(f"{name:30}" + "".join(f"{seen[name, check]:>13}" for check in checks))
for case in (("tanh, wrong in one corner", "complex"), ("a bias, not summed over rows", "complex")):
    print(f"\n{case[0]}:\n  {lines[case]}")

# %% [markdown]
# A number is the worst error of a check that passed. Central differences pass what is below their own noise. The
# complex step passes a lie that the code tells twice. One direction sees the corner, but the elements say *where*.
# A gradient of the wrong shape never gets as far as a number. And `>=` is harmless: it differs from `>` at 0 alone,
# where relu has no slope, and any number from 0 to 1 serves. The library says 0.
#
# ## What no check sees
#
# A check speaks of the points it was shown, in float64. It says nothing of a kink, an unvisited branch, or float32.


# %%
@mp.op
def clipped(x):
    return np.where(x.real > 2, 2, x), lambda g: (g,)  # beyond 2 the slope is 0; the vjp forgot


def log_shut(x):
    return mp.ops.log(1 - mp.ops.sigmoid(x))  # fine on paper: at 15 it is -15.0000003


relu = mp.ops.relu.arrays
kink = {"the vjp": relu(0.0)[1](1.0)[0], "central": (relu(1e-6)[0] - relu(-1e-6)[0]) / 2e-6}
kink |= {f"complex, {side:+d}": (relu(side * 1e-30j)[0].imag / (side * 1e-30)) for side in (1, -1)}
print("the slope of relu at 0:", ", ".join(f"{name} {slope:.1f}" for name, slope in kink.items()))
unvisited = mp.gradcheck(clipped, noise.clip(-1, 1))
print(f"a branch not visited:   error {unvisited:.0e}")
high = np.array([15.0])
log64 = mp.gradcheck(log_shut, high, tolerance=1e-6)
low = log_shut(mp.Tensor(high.astype(np.float32))).data[0]
print(f"float32:                error {log64:.0e} in float64, yet in float32 the value is {low:.4f}, not -15")

# %% [markdown]
# ## What you should see

# %%
at = {h: np.abs(steps - h).argmin() for h in (1e-2, 1e-4)}
fall = {name: error[at[1e-2]] / error[at[1e-4]] for name, error in errors.items()}
assert 50 < fall["forward"] < 200 and 5e3 < fall["central"] < 2e4  # as h, as h squared
assert errors["forward"].min() > 10 * errors["central"].min() > 100 * tiny
assert all(np.median(errors[name][steps < 1e-13]) > 1e-4 for name in ("forward", "central"))  # the other arm
assert errors["complex"][steps < 1e-9].max() < 1e-14 and tiny < 1e-14
assert [abs(a - b) < 1e-6 for a, b in slopes.values()] == [False, False, True]
errors_complex, large, small = np.transpose(checked)
assert errors_complex.max() == library < 1e-10 and large.max() > 1e-6
assert [name for name in planted if "CAUGHT" not in [seen[name, check] for check in checks]] == [
    "tanh, nothing wrong",
    "a bias, not summed over rows",
    "relu, >= for >",
]
assert seen["tanh, through float32", "central"] != "CAUGHT" == seen["tanh, through float32", "complex"]
assert seen["softsign, |x| held fixed", "complex"] != "CAUGHT" == seen["softsign, |x| held fixed", "central"]
assert (
    "(5, 7)" in lines["tanh, wrong in one corner", "complex"]
    and seen["a bias, not summed over rows", "complex"] == "BY THE TAPE"
)
assert list(kink.values()) == [0, 0.5, 1, 0] and unvisited < 1e-10 and abs(low + 15) > 0.01
try:
    mp.gradcheck(clipped, noise)
    raise SystemExit("the wrong branch went unseen")
except AssertionError as error:
    print(error)

# %% [markdown]
# ## Exercises
#
# 1. The best step of the central difference lies near the cube root of 1e-16, that of the forward difference near the
#    square root. Balance the two arms of each V on paper, and find out why.
# 2. Use (f(x - 2h) - 8 f(x - h) + 8 f(x + h) - f(x + 2h)) / (12 h). Add its V to the figure. How steep is its right arm?
# 3. The error of one wrong element, seen along one direction, shrinks as the array grows. Measure it for maps of 4x4 up
#    to 256x256. From which size on would a tolerance of 1e-3 let the corner through?
# 4. Count the relus whose input changes sign between the two central nudges of the model. Compare with the table.
# 5. Train the tanh with 1 + t² in a small network of your own. How long does the loss keep falling?
