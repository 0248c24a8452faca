# %% [markdown]
# # 06 Trust, but check
#
# - *You will* measure a slope in three ways, see why small steps fail, find a way without that trouble, and catch
#   mistakes that you have planted.
# - *Reads* `minipixel/gradcheck.py`; W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real
#   functions", SIAM Review 40 (1998), two pages.
# - *Before* [lesson 05](05_a_tape_in_a_page.py).
# - *Takes* about 3 seconds to run (half a minute the first time, to compile a model), and 30 minutes to read.
#
# In lesson 05 we worked out the way back of each op on paper, and wrote it down beside the way forward. What if we
# made a mistake there? Nothing would crash. The loss might even fall, only more slowly, since a wrong gradient often
# points in roughly the right direction. So how can a program find out whether its own gradients are right, and how
# sure can it be?

# %%
import numpy as np
from drawings import lesson_06
from show import show

import minipixel as mp

# %% [markdown]
# ## Nudge it
#
# The slope of a function can be measured: move the input by a small step $h$, and see how far the output moves. We
# take $f = \tanh$ at $x = 0.5$. There we know the slope, $1 - \tanh^2(0.5)$, and can tell how far off each
# measurement is. Two well-known ways to measure it are called **finite differences**:
#
# $$\text{forward:}\quad \frac{f(x+h) - f(x)}{h}, \qquad\qquad \text{central:}\quad \frac{f(x+h) - f(x-h)}{2h}.$$


# %%
def forward(f, x, h):
    return (f(x + h) - f(x)) / h


def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


x = 0.5
exact = 1 - np.tanh(x) ** 2
for h in (1e-1, 1e-3, 1e-5, 1e-8, 1e-11, 1e-14):
    error_forward = abs(forward(np.tanh, x, h) / exact - 1)
    error_central = abs(central(np.tanh, x, h) / exact - 1)
    print(f"h = {h:.0e}: relative error {error_forward:.0e} forward, {error_central:.0e} central")

# %% [markdown]
# From top to bottom the step becomes smaller. At first the errors fall, as one would expect. Then they rise again,
# and at the smallest step hardly more than two digits are right. There must be two kinds of error.
#
# With a large step the curve bends away from its tangent. This is the **truncation error**. Taylor's series says how
# large it is:
#
# $$f(x+h) = f(x) + h f'(x) + \tfrac{h^2}{2} f''(x) + \tfrac{h^3}{6} f'''(x) + \dots$$
#
# In the forward difference the term with $h^2$ remains, and after the division by $h$ the error falls as $h$. In the
# central difference that term is the same in $f(x+h)$ and $f(x-h)$ and cancels; the term with $h^3$ remains, and the
# error falls as $h^2$.
#
# The other kind is **rounding error**. Look at the numbers that we subtract.

# %%
print("step     f(x + h)              f(x - h)              difference")
for h in (1e-3, 1e-8, 1e-13):
    ahead = np.tanh(x + h)
    behind = np.tanh(x - h)
    print(f"{h:.0e}  {ahead:.17f}  {behind:.17f}  {ahead - behind:.16e}")

# %% [markdown]
# A float64 holds about 16 decimal digits; what it cannot hold is lost. The closer two numbers are, the more of their
# leading digits are the same, and the subtraction throws these away. This is called **cancellation**. With a step of
# 1e-13 the two values agree in about 12 digits, so only 3 or 4 digits of the difference mean anything; the others
# are noise. The noise stays about as large whatever the step is, and then we divide it by $h$. So the rounding error
# rises as $1/h$.
#
# ## Step sideways
#
# Is there a way without a subtraction? There is, if the function can compute with complex numbers. We nudge $x$ along
# the imaginary axis, by $ih$ with $i^2 = -1$. Taylor's series becomes
#
# $$f(x+ih) = f(x) + i h f'(x) - \tfrac{h^2}{2} f''(x) - i \tfrac{h^3}{6} f'''(x) + \dots$$
#
# The value is in the real part, and the slope is in the imaginary part. So we take the imaginary part and divide it
# by $h$. This is the **complex step**. Nothing has been subtracted.


# %%
def complex_step(f, x, h):
    return f(x + 1j * h).imag / h


for h in (1e-1, 1e-3, 1e-5, 1e-8, 1e-30):
    error_complex = abs(complex_step(np.tanh, x, h) / exact - 1)
    print(f"h = {h:.0e}: relative error {error_complex:.0e}")

# %% [markdown]
# The truncation error falls as $h^2$, as for the central difference. But then the error does not rise again. We may
# take a step of 1e-30, for which the truncation error is far below anything that a float64 can hold, and there is no
# rounding error to pay for it. Here are all three ways in one figure, for 73 steps from 1 down to 1e-18.

# %%
steps = np.logspace(0, -18, 73)
errors = {}
for name, way in {"forward": forward, "central": central, "complex": complex_step}.items():
    slopes = np.array([way(np.tanh, x, h) for h in steps])
    errors[name] = np.abs(slopes / exact - 1)
show(
    lesson_06.steps(steps, errors),
    "06_steps",
    "Read each curve from right to left. The two differences have the form of a V: the right arm is truncation, the "
    "left one is rounding. The complex step lies on the central difference at the right, and has no left arm. (An "
    "error of 0 is drawn at 1e-17.)",
)

# %% [markdown]
# ## The promise
#
# The complex step has a price. Whoever uses it promises that the function is **analytic** (it has a Taylor series
# that holds for complex numbers too), *and so is the code that computes it*. Every operation has to carry the
# imaginary part along. Absolute values and `.real` drop it, a conjugate turns its sign, and no error is raised. A
# comparison is allowed, if it looks at the real part only and chooses between two analytic pieces. That is why you
# will find `x.real > 0` in `mp.ops.prelu`. (`np.maximum(x, 0)` keeps the promise as well: NumPy compares complex
# numbers by their real parts, and asks about imaginary parts only where the real ones are equal.)
#
# Let us break the promise on purpose. The second and the third function below are the same for real numbers.


# %%
def square(x):
    return x * x.real


def softsign(x):
    return x / (1 + np.abs(x))


def softsign_in_pieces(x):
    return x / (1 + np.where(x.real > 0, x, -x))


promises = {}
for function in (square, softsign, softsign_in_pieces):
    by_complex = complex_step(function, 2.0, 1e-30)
    by_central = central(function, 2.0, 1e-6)
    promises[function.__name__] = abs(by_complex - by_central) < 1e-6
    print(f"{function.__name__:20} at 2: complex step {by_complex:.6f}, central difference {by_central:.6f}")

# %% [markdown]
# Only in the last line do the two agree: there the absolute value is made of two analytic pieces. In the first two
# the complex step is wrong, and nothing in its result shows it. The central difference has fewer digits, but it
# needs no promise. So each of the two finds mistakes that the other cannot, and minipixel has both.
#
# ## One number for a whole model
#
# A model has thousands of weights. To nudge them one after the other would take at least one forward pass for each
# weight. So we nudge all of them at once, along a random **direction** $v$, which is one random number for each
# weight. The slope of the loss along that direction is the **directional derivative**; the gradient $g$ says what it
# must be. With $L$ for the loss and $w$ for all weights together,
#
# $$\left.\frac{d}{dh} L(w + h v)\right|_{h=0} = \langle g, v\rangle = \sum_k g_k v_k.$$
#
# Each element of $g$ has a share in this number, so a mistake in any of them shows. First the gradient, by the tape:

# %%
images = mp.datasets.load("digits").train.images[:4]
model = mp.models.PixelCNN((8, 8, 1), levels=17, hidden=8, blocks=2, rng=0, dtype="float64")
model.loss(images).backward()
weights = model.parameters()
values = [weight.data for weight in weights]
print(f"{model.num_parameters:,} weights in {len(weights)} arrays")

# %% [markdown]
# Then the loss as a function of how far we go along a direction. The distance may be a real or an imaginary number:
# the library's ops compute with complex numbers, too, and keep the promise.


# %%
def loss_along(direction, distance):
    """The loss after all weights have moved by `distance` along `direction`."""
    for weight, value, nudge in zip(weights, values, direction, strict=True):
        weight.data = value + distance * nudge
    loss = model.loss(images).data
    for weight, value in zip(weights, values, strict=True):
        weight.data = value
    return loss


def slope_by_tape(direction):
    return sum((weight.grad * nudge).sum() for weight, nudge in zip(weights, direction, strict=True))


# %%
rng = np.random.default_rng(0)
model_errors = []
directions = []
for number in range(3):
    direction = [rng.standard_normal(weight.shape) for weight in weights]
    directions.append(direction)
    tape = slope_by_tape(direction)
    by_complex = loss_along(direction, 1e-30j).imag / 1e-30
    by_large = (loss_along(direction, 1e-5) - loss_along(direction, -1e-5)) / 2e-5
    by_small = (loss_along(direction, 1e-7) - loss_along(direction, -1e-7)) / 2e-7
    row = [abs(tape / slope - 1) for slope in (by_complex, by_large, by_small)]
    model_errors.append(row)
    print(f"direction {number}: {tape:.6f} by the tape; errors: {row[0]:.0e} by the complex step,")
    print(f"    {row[1]:.0e} by a central difference with h = 1e-5, {row[2]:.0e} with h = 1e-7")

# %% [markdown]
# Each complex pass has checked all 3,361 weights, to 14 digits or more. `mp.gradcheck_model` does the same in one
# line.

# %%
by_library = mp.gradcheck_model(model, images, directions=3)
print(f"mp.gradcheck_model: the worst relative error is {by_library:.0e}")

# %% [markdown]
# The central differences hold a surprise: the *larger* step fails, by far more than its truncation error. To see why,
# we draw the loss along the first direction, and subtract its tangent.

# %%
distances = np.linspace(-2e-5, 2e-5, 81)
losses = np.array([loss_along(directions[0], distance) for distance in distances])
tangent = loss_along(directions[0], 0.0) + distances * slope_by_tape(directions[0])
show(
    lesson_06.kink(distances, losses, tangent, (1e-5, 1e-7)),
    "06_kink",
    "The loss turns a corner just left of 0. The two squares stand on different sides of it, so the line through "
    "them has another slope than the tangent. The two circles are so close together that no corner lies between "
    "them.",
)

# %% [markdown]
# The model is full of rectifiers, $\max(x, 0)$, and each has a **kink** at 0: a place where the slope jumps. If a
# nudge of all weights carries the input of one rectifier across 0, the two sides of the central difference measure
# two different slopes. A complex step of 1e-30 carries nothing across.
#
# ## Plant a mistake
#
# A check that has never caught anything is not yet a check. So we now break ops on purpose, in ways in which people
# do it by mistake, and give them to `mp.gradcheck`. It nudges each element of each input, one after the other, and
# compares with the vjp. It takes central differences with `method="central"` and the complex step otherwise. With
# `directions=1` it nudges all elements together, along one random direction, by the complex step. First five kinds
# of tanh:


# %%
def tanh_with(wrong):
    """tanh, as an op whose vjp is off: `wrong(right gradient, g, x)` is what it returns."""

    def arrays(x):
        def vjp(g):
            right = g * (1 - np.tanh(x) ** 2)
            return (wrong(right, g, x),)

        return np.tanh(x), vjp

    return mp.op(arrays)


corner = np.ones((6, 8))
corner[5, 7] = 1.1
planted = {
    "tanh, nothing wrong": tanh_with(lambda right, g, x: right),
    "tanh, 1 + t² for 1 - t²": tanh_with(lambda right, g, x: g * (1 + np.tanh(x) ** 2)),
    "tanh, too large by 1e-3": tanh_with(lambda right, g, x: 1.001 * right),
    "tanh, through float32": tanh_with(lambda right, g, x: right.astype("float32")),
    "tanh, wrong in one corner": tanh_with(lambda right, g, x: corner * right),
}

# %% [markdown]
# Three more ops are no tanh. The first is softsign, whose vjp treats the absolute value as a constant. The second
# forgets to sum the gradient of a bias over the rows that share it. The last gives a rectifier the slope 1 at 0,
# where the library says 0.


# %%
@mp.op
def softsign_held(x):
    return x / (1 + np.abs(x)), lambda g: (g / (1 + np.abs(x)),)


@mp.op
def add_careless(x, bias):
    return x + bias, lambda g: (g, g)


@mp.op
def relu_or_equal(x):
    return np.maximum(x, 0), lambda g: (g * (x >= 0),)


planted["softsign, |x| held fixed"] = softsign_held
planted["a bias, not summed over rows"] = add_careless
planted["relu, >= for >"] = relu_or_equal


# %%
def verdict(op, inputs, **how):
    """What a check says: the worst error if it passes, or who refused the op, and the message."""
    try:
        return f"{mp.gradcheck(op, *inputs, **how):.0e}", ""
    except AssertionError as error:
        return "CAUGHT", str(error)
    except ValueError as error:
        return "BY THE TAPE", str(error)


noise = np.random.default_rng(1).uniform(-3, 3, (6, 8))
verdicts = {}
messages = {}
print(f"{'':30}      central  1 direction      complex")
for name, op in planted.items():
    inputs = (noise, noise[0]) if op is add_careless else (noise,)
    by_central, _ = verdict(op, inputs, method="central")
    by_direction, _ = verdict(op, inputs, directions=1)
    by_complex, messages[name] = verdict(op, inputs)
    verdicts[name] = [by_central, by_direction, by_complex]
    print(f"{name:30}{by_central:>13}{by_direction:>13}{by_complex:>13}")

# %% [markdown]
# A number is the worst error of a check that passed; CAUGHT stands for a check that refused the op. Four lines need
# an explanation.
#
# - *Through float32*: the gradient was rounded to seven digits, which is an error of some 1e-8. Central differences
#   may have errors of that size themselves, so their limit has to be loose, 1e-6, and the mistake slips through. The
#   complex step has a limit of 1e-10.
# - *Softsign*: here the complex step is deceived. The absolute value drops the imaginary part, so to the complex
#   step $|x|$ is a constant, as it is to the wrong vjp. Only the central difference sees the mistake.
# - *The bias*: the tape compares shapes, and refuses before a check compares numbers.
# - *relu*: every check passes. `>=` differs from `>` at 0 alone, and no input is exactly 0. There any slope between
#   0 and 1 serves for training.
#
# And where a check refuses, its message says where: one wrong element out of 48 is named.

# %%
print(messages["tanh, wrong in one corner"])
print(messages["a bias, not summed over rows"])

# %% [markdown]
# ## What no check sees
#
# A check tells about the inputs that it was given, and about float64. There are three things about which it tells
# nothing.
#
# **Kinks.** At 0 the rectifier has no slope, and the three ways give three answers. (The complex step says 1, since
# the imaginary part decides where the real part is 0.)

# %%
relu = mp.ops.relu.arrays
_, relu_vjp = relu(0.0)
slope_vjp = relu_vjp(1.0)[0]
slope_central = (relu(1e-6)[0] - relu(-1e-6)[0]) / 2e-6
slope_complex = relu(1e-30j)[0].imag / 1e-30
print(f"the slope of relu at 0: {slope_vjp:.1f} by the vjp, {slope_central:.1f} central, {slope_complex:.1f} complex")

# %% [markdown]
# **Branches that were never taken.** This op cuts off whatever is above 2, but its vjp forgot that there the slope
# is 0. We check it with inputs up to 1.


# %%
@mp.op
def clip_at_2(x):
    return np.where(x.real > 2, 2, x), lambda g: (g,)


unvisited = mp.gradcheck(clip_at_2, noise.clip(-3, 1))
print(f"a wrong clip, for inputs up to 1: error {unvisited:.0e}; nobody looked above 2")

# %% [markdown]
# **Numbers in float32.** Models are trained in float32, and checks run in float64. The two lines below compute
# $\log(1 - \sigma(15))$, which is very nearly -15. In float32, $1 - \sigma(15)$ is a difference of two numbers that
# are almost the same, and cancellation leaves only two digits that are right. The gradient of such code is right,
# and the code is bad. (The library computes $\log(1 - \sigma(x))$ without that difference.)

# %%
in_precision = {}
for dtype in ("float64", "float32"):
    fifteen = mp.Tensor(np.full(1, 15, dtype))
    in_precision[dtype] = float(mp.ops.log(1 - mp.ops.sigmoid(fifteen)).data[0])
    print(f"log(1 - sigmoid(15)) in {dtype}: {in_precision[dtype]:.4f}")

# %% [markdown]
# ## What you should see
#
# From a step of 1e-2 to one of 1e-4 the error of the forward difference falls by a factor of about 100, that of the
# central one by 10,000. At tiny steps both are noise, and the complex step is exact.

# %%
gain_forward = errors["forward"][8] / errors["forward"][16]
gain_central = errors["central"][8] / errors["central"][16]
assert 50 < gain_forward < 200
assert 5e3 < gain_central < 2e4
assert np.median(errors["forward"][steps < 1e-13]) > 1e-4
assert np.median(errors["central"][steps < 1e-13]) > 1e-4
assert errors["complex"][steps < 1e-9].max() < 1e-14
assert promises == {"square": False, "softsign": False, "softsign_in_pieces": True}

# %% [markdown]
# The gradients of the model are right. A central difference with a step that crosses a kink is not.

# %%
worst_complex, worst_large, worst_small = np.max(model_errors, axis=0)
assert worst_complex < 1e-10
assert worst_large > 1e-6 > worst_small
assert by_library < 1e-10

# %% [markdown]
# How many of the three checks refused each planted mistake:

# %%
refused = {"CAUGHT", "BY THE TAPE"}
refusals = [sum(entry in refused for entry in row) for row in verdicts.values()]
assert refusals == [0, 3, 3, 2, 3, 1, 3, 0]
assert verdicts["tanh, through float32"][2] == "CAUGHT"
assert verdicts["softsign, |x| held fixed"][0] == "CAUGHT"
assert "(5, 7)" in messages["tanh, wrong in one corner"]
assert (slope_vjp, slope_central, slope_complex) == (0, 0.5, 1)
assert unvisited < 1e-10
assert abs(in_precision["float64"] + 15) < 1e-4
assert abs(in_precision["float32"] + 15) > 1e-2

# %% [markdown]
# ## Exercises
#
# 1. *easy* Show `mp.gradcheck` the op `clip_at_2` with `noise` as it is. What does its error message say?
# 2. *easy* Mend `softsign_held`, so that both the central difference and the complex step pass.
# 3. *medium* The central difference is best near a step of 1e-5, the forward one near 1e-8. Balance the two kinds of
#    error, and see why.
# 4. *medium* Along one direction, one wrong element weighs less in a larger array. Measure by how much, from 4x4 to
#    256x256. (`tolerance=np.inf` lets every error pass, so that `mp.gradcheck` returns it.)
# 5. *hard* Find the rectifier that turned the corner in the figure: for which of the model's rectifiers does an
#    input change its sign between the two central nudges? Compare with the errors of the three directions.
#    (`mp.tensor.inputs_first(loss)` lists the Tensors below a loss, and the `op` of each is its name. Make the loss
#    within `with mp.kernels.as_written():`, or the whole model is a single op.)
#
# Solutions: [solutions/06_trust_but_check.py](solutions/06_trust_but_check.py).
