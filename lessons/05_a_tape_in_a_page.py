# %% [markdown]
# # 05 A tape in a page
#
# - *You will* write reverse-mode differentiation by hand, train a network with it, and find your way in the real one.
# - *Reads* `minipixel/tensor.py`, `minipixel/ops/`; D. Rumelhart, G. Hinton and R. Williams, Nature 323 (1986); A.
#   Baydin and others, "Automatic differentiation in machine learning: a survey",
#   [arXiv:1502.05767](https://arxiv.org/abs/1502.05767), section 3.2.
# - *Before* [lesson 03](03_pixelcnn_in_60_lines.py).
# - *Takes* about 3 seconds to run, and 35 minutes to read.
#
# In lesson 03 one line, `loss.backward()`, found the derivative of the loss with respect to each of thousands of
# weights. Nobody had written down a formula for these derivatives. So where do they come from? We were told that a
# record of all steps, the tape, is walked once from its end to its beginning. This lesson builds such a tape in
# about 40 lines, and shows that the tape of the library is the same, made safe.

# %%
import os
from types import SimpleNamespace

import numpy as np
from drawings import lesson_05
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))

# %% [markdown]
# ## The chain rule on one number
#
# We begin with one number, $z = \tanh(w x + b)$. We compute it one step at a time, and give each step a name:
#
# $$u = w\,x, \qquad v = u + b, \qquad z = \tanh(v).$$

# %%
w = 0.5
x = 1.6
b = -0.3

u = w * x
v = u + b
z = np.tanh(v)
print(f"u = {u:.4f}, v = {v:.4f}, z = {z:.4f}")

# %% [markdown]
# Now we ask: if w is made a little larger, how fast does z grow? This rate is the derivative of z with respect to w,
# $\partial z / \partial w$. In this lesson we call it the gradient of w for short, since we shall soon have arrays
# in the place of numbers. A change of w changes u, which changes v, which changes z. The **chain rule of calculus**
# says that the rates of these steps are multiplied. (It has only the name in common with the chain rule of
# probability in lesson 01.)
#
# We multiply from the end. Let $g_v$ stand for $\partial z / \partial v$, and so on for each letter. Then each line
# needs only lines above it, and the slope of a single step:
#
# - the slope of $\tanh$ at $v$ is $1 - \tanh^2(v) = 1 - z^2$, so $g_v = 1 - z^2$;
# - a sum hands its gradient on to both of its parts, so $g_u = g_v$ and $g_b = g_v$;
# - in a product each factor is the slope of the other, so $g_w = g_u\,x$ and $g_x = g_u\,w$.

# %%
g_z = 1.0  # z grows exactly as fast as z
g_v = g_z * (1 - z * z)
g_u = g_v
g_b = g_v
g_w = g_u * x
g_x = g_u * w

# %% [markdown]
# Can we trust these lines? We can measure the same rates without any calculus: nudge one of the three numbers by a
# millionth, once up and once down, and see how far z moves.


# %%
def z_of(w, x, b):
    return np.tanh(w * x + b)


h = 1e-6
measured_w = (z_of(w + h, x, b) - z_of(w - h, x, b)) / (2 * h)
measured_x = (z_of(w, x + h, b) - z_of(w, x - h, b)) / (2 * h)
measured_b = (z_of(w, x, b + h) - z_of(w, x, b - h)) / (2 * h)

by_rule = np.array([g_w, g_x, g_b])
by_nudging = np.array([measured_w, measured_x, measured_b])
for name, rule, nudging in zip("wxb", by_rule, by_nudging, strict=True):
    print(f"gradient of {name}: {rule:.6f} by the chain rule, {nudging:.6f} by nudging")

# %% [markdown]
# They agree. But look at what each way costs. Nudging computes z twice for each input, and a network has as many
# inputs as it has weights. The chain rule, walked from the end, gave all three gradients in one pass. Walking from
# the end to the inputs is called **reverse-mode differentiation**; in neural networks it is also called
# **backpropagation**. One pass back costs about as much as two passes forward (lesson 08 counts it), whether there
# are three weights or three million. That is why networks can be trained at all.
#
# ## An op: a value, and the way back
#
# The lines above were written for one formula. We would rather write such a line once for each kind of step. Let a
# step be an **op**: a function on plain arrays that returns two things, its value and a second function, its
# **vjp**.
#
# The vjp is the way back through this one step. Let us call the last number of the whole computation the *output*;
# above it was z. The vjp takes g, the gradient of the output with respect to the value of this step. It returns the
# gradients of the output with respect to the inputs of this step, one for each. Here are three ops. Compare them
# with the list of rules above.


# %%
def add_arrays(x, y):
    return x + y, lambda g: (g, g)


def multiply_arrays(x, y):
    return x * y, lambda g: (g * y, g * x)


def tanh_arrays(x):
    t = np.tanh(x)
    return t, lambda g: (g * (1 - t * t),)


value, vjp = multiply_arrays(3.0, 5.0)
print("3 * 5 =", value, "and from a gradient of 1 its vjp makes", vjp(1.0))

# %% [markdown]
# The name vjp is short for *vector-Jacobian product*. If an op turns an array $x$ into an array $y$, then each
# element of $y$ has a slope for each element of $x$. The table of all these slopes,
# $J_{ij} = \partial y_i / \partial x_j$, is called the **Jacobian**. The chain rule for arrays is then a product of a
# vector with this table:
#
# $$g_{x_j} = \sum_i g_{y_i}\, J_{ij}, \qquad\text{or in short}\qquad g_x = g_y J.$$
#
# Nobody ever builds the table. For the tanh of a million numbers it would have a million times a million entries,
# all zero except on the diagonal. The vjp multiplies by that diagonal, and is done. For a matrix product $Y = X W$
# the rule is two more matrix products, $g_X = g_Y W^\top$ and $g_W = X^\top g_Y$. Find both transposes in this code.


# %%
def linear_arrays(x, weight, bias):
    def vjp(g):
        return g @ weight.T, x.T @ g, g.sum(axis=0)

    return x @ weight + bias, vjp


# %% [markdown]
# The bias is a row that is added to every row of the product. It is used once in each row, and its gradient is the
# sum over the rows. We shall soon see why gradients are summed.
#
# ## The tape
#
# Who calls all these vjps, and in which order? For this we keep a record of what has been computed. A **Node** is a
# value that remembers where it came from: the inputs of its op, and its vjp. A Node that no op made, such as a
# weight, is called a **leaf**; its vjp returns nothing. All Nodes together, with their inputs, are the tape. Another
# word for it is the **graph**.
#
# The function `op` turns a function on arrays into one on Nodes. It takes the arrays out of the Nodes, calls the
# function, and wraps the result. (`settings` are all other arguments, given by name; they have no gradient.)


# %%
class Node:
    def __init__(self, data, inputs=(), vjp=lambda g: ()):
        self.data = np.asarray(data)
        self.inputs = inputs
        self.vjp = vjp


def op(function):
    def on_nodes(*inputs, **settings):
        arrays = [x.data if isinstance(x, Node) else x for x in inputs]
        value, vjp = function(*arrays, **settings)
        return Node(value, inputs, vjp)

    return on_nodes


add = op(add_arrays)
multiply = op(multiply_arrays)
tanh = op(tanh_arrays)
linear = op(linear_arrays)

# %% [markdown]
# An input that is a plain array and not a Node is a *constant*: a picture, for example. Nobody asks for its
# gradient.
#
# Next comes the order. A Node can send its gradient back only when that gradient is complete. So all Nodes that were
# made from it have to send theirs first. We therefore make a list in which the inputs of a Node always stand before
# the Node itself, and later read this list backwards.


# %%
def inputs_first(node, order):
    """Append to `order` all Nodes that `node` was made of, and then `node` itself."""
    if node in order:
        return
    for x in node.inputs:
        if isinstance(x, Node):
            inputs_first(x, order)
    order.append(node)


# %% [markdown]
# Now the walk itself. The output has a gradient of 1 with respect to itself. Then, Node by Node, the vjp says what
# each input receives. `total` holds, for each Node, the sum of what it has received so far. If an input has received
# something before, the new part is added to it. (`strict=True` makes `zip` complain if a vjp returns too many
# gradients, or too few.)


# %%
def gradients(output, wanted, combine=np.add):
    """The gradient of the number `output` with respect to each Node in `wanted`."""
    total = {output: np.ones_like(output.data)}
    order = []
    inputs_first(output, order)
    for node in reversed(order):
        parts = node.vjp(total[node])
        for x, part in zip(node.inputs, parts, strict=True):
            if not isinstance(x, Node):
                continue
            if x in total:
                total[x] = combine(total[x], part)
            else:
                total[x] = part
    return [total[x] for x in wanted]


# %% [markdown]
# That is the whole engine. (`combine` is there for one experiment below.) We run our first formula through it.

# %%
w = Node(0.5)
x = Node(1.6)
b = Node(-0.3)
u = multiply(w, x)
v = add(u, b)
z = tanh(v)
by_tape = gradients(z, [w, x, b])
print("by the tape:", np.round(by_tape, 6))

names = {"w": w, "x": x, "b": b, "*": u, "+": v, "tanh": z}
show(
    lesson_05.tape("z = tanh(w * x + b)", names, gradients),
    "05_tape",
    "The tape of z = tanh(w*x + b). Follow the dark arrows to the right: each carries a value. Then follow the "
    "plum-coloured ones back: each carries a gradient. A box multiplies what comes in from the right by its own slope.",
)

# %% [markdown]
# ## A value that is used twice
#
# Now let us use w in the place of b, and compute $z = \tanh(w x + w)$. A change of w reaches z by two roads: through
# the product, and straight into the sum. What arrives by the two roads adds up. This is why `gradients` *adds* a new
# part to what an input has received before, and why the bias above had a sum: it was used once per row. In the next
# cell `combine` replaces this sum, to show what happens without it.

# %%
v_twice = add(u, w)
z_twice = tanh(v_twice)
added = gradients(z_twice, [w])[0]
overwritten = gradients(z_twice, [w], combine=lambda old, new: new)[0]
print(f"dz/dw: {added:.3f} if the two parts are added, {overwritten:.3f} if the second one replaces the first")

h = 1e-6
by_nudging_twice = (z_of(0.5 + h, 1.6, 0.5 + h) - z_of(0.5 - h, 1.6, 0.5 - h)) / (2 * h)
print(f"dz/dw by nudging: {by_nudging_twice:.3f}")

names = {"w": w, "x": x, "*": u, "+": v_twice, "tanh": z_twice}
show(
    lesson_05.tape("z = tanh(w * x + w)", names, gradients),
    "05_used_twice",
    "Two arrows leave w, so two gradients come back to it. The gradient that is written in the box of w is their sum.",
)

# %% [markdown]
# To forget this sum is the most common mistake of those who write a tape for the first time. The residual connections
# of lesson 03 use a value twice in each block; without the sum, one of its two gradients would be lost.
#
# ## An op may be as large as you like
#
# [Lesson 09](09_the_blind_spot_and_two_stacks.py) needs a **gate**, $\tanh(a) \cdot \sigma(b)$, where
# $\sigma(b) = 1 / (1 + e^{-b})$ is the sigmoid of lesson 04, which runs from 0 to 1. The second factor decides how
# much of the first gets through. We could build it of three ops. We can also write it as one op, forward and then
# its vjp. With $t = \tanh(a)$ and $s = \sigma(b)$ the product rule gives
#
# $$g_a = g\, s\, (1 - t^2), \qquad g_b = g\, t\, s\, (1 - s).$$


# %%
def gate_arrays(x):
    """x holds a and b side by side: (N, 2K) -> (N, K)."""
    a, b = np.split(x, 2, axis=-1)
    t = np.tanh(a)
    s = 1 / (1 + np.exp(-b))

    def vjp(g):
        g_a = g * s * (1 - t * t)
        g_b = g * t * s * (1 - s)
        return (np.concatenate([g_a, g_b], axis=-1),)

    return t * s, vjp


# %% [markdown]
# ## A network on two tapes
#
# The functions above have the same form as the ops of minipixel, and `mp.op` lifts them just as our `op` does. So we
# can train one network twice and compare: once on *the page*, which is our tape from above, and once on the tape of
# the library.
#
# The task is to tell a 3 from an 8 in pictures of 64 pixels. We take all such digits, scaled to about -1 to 1.


# %%
def threes_and_eights(split):
    """Pictures (N, 64) with values from -1 to 1, and whether each is an 8: (N, 1)."""
    chosen = np.isin(split.labels, (3, 8))
    pixels = split.images[chosen].reshape(-1, 64) / 8 - 1
    is_8 = split.labels[chosen, None] == 8
    return pixels, is_8


digits = mp.datasets.load("digits")
train_x, train_is_8 = threes_and_eights(digits.train)
test_x, test_is_8 = threes_and_eights(digits.test)
print(f"{len(train_x)} pictures to train with, {len(test_x)} to test with, {train_is_8.mean():.0%} of them are an 8")

# %% [markdown]
# The network has two layers. The first maps 64 pixels to 16 numbers, of which a gate makes 8. The second maps these 8
# to one logit $\ell$, from which the sigmoid makes a probability: $p(8) = \sigma(\ell)$. A positive logit is an
# answer "8", a negative one is an answer "3".
#
# The score is the mean of $\log p(\text{right answer})$ over all pictures; with a minus sign it is the cross-entropy
# of lesson 03, in nats per answer. Two ops of the library, `bernoulli_log_prob` and `mean`, compute it. (The right
# answers go in under the name `images`, since elsewhere they are pixels that are black or white.) Each op of the
# library keeps, as `.arrays`, the function on arrays that it was made of. We lift these functions to our page.
#
# Both sets of functions are put under the same names into an object, `page` and `library`. Then the network has to
# be written only once: `tape.linear` is one function or the other.

# %%
page = SimpleNamespace(
    linear=linear,
    gate=op(gate_arrays),
    log_prob=op(mp.ops.bernoulli_log_prob.arrays),
    mean=op(mp.ops.mean.arrays),
    leaf=Node,
    gradients=gradients,
)
library = SimpleNamespace(
    linear=mp.ops.linear,
    gate=mp.op(gate_arrays),
    log_prob=mp.ops.bernoulli_log_prob,
    mean=mp.ops.mean,
    leaf=mp.Tensor,
    gradients=mp.tensor.gradients,
)


# %%
def logits_of(tape, pixels, w1, b1, w2, b2):
    hidden = tape.gate(tape.linear(pixels, w1, b1))
    return tape.linear(hidden, w2, b2)


def score_of(tape, weights):
    logits = logits_of(tape, train_x, *weights)
    return tape.mean(tape.log_prob(logits, images=train_is_8))


# %% [markdown]
# Training is **gradient ascent**: the gradient says which way is up, and each weight takes a step of half its
# gradient in that direction. (Lesson 03 went down a loss with Adam. Here we go up a score, the loss with its sign
# turned, and the length of a step is up to the gradient.) A new tape is made for each step, since the values are
# new.


# %%
def train(tape, steps):
    """The loss after each step, and the weights in the end."""
    rng = np.random.default_rng(SEED)
    weights = [rng.normal(size=(64, 16)) / 8, np.zeros(16), rng.normal(size=(8, 1)) / 3, np.zeros(1)]
    losses = []
    for _ in range(steps):
        leaves = [tape.leaf(weight) for weight in weights]
        score = score_of(tape, leaves)
        slopes = tape.gradients(score, leaves)
        weights = [weight + 0.5 * slope for weight, slope in zip(weights, slopes, strict=True)]
        losses.append(float(-score.data))
    return losses, weights


steps = 60 if QUICK else 400
page_losses, page_weights = train(page, steps)
library_losses, library_weights = train(library, steps)

# %%
test_leaves = [Node(weight) for weight in page_weights]
says_8 = logits_of(page, test_x, *test_leaves).data > 0
wrong = int((says_8 != test_is_8).sum())
print(f"{steps} steps: from {page_losses[0]:.3f} to {page_losses[-1]:.3f} nats per answer")
print(f"of {len(test_x)} pictures that it never saw, {wrong} are named wrongly")

show(
    lesson_05.curves(page_losses, library_losses),
    "05_training",
    "The loss on both tapes, on a logarithmic axis. Look for a place where the thin line leaves the broad one: "
    "there is none.",
)

# %% [markdown]
# The first loss is close to $\ln 2 = 0.693$, the price of a guess between two answers. Then the curve falls, and it
# is the same curve on both tapes: the weights agree to twelve digits at the end.
#
# ## What the real tape adds
#
# `minipixel/tensor.py` is this page with more care for mistakes, memory and time. What is called Node here is called
# `Tensor` there. The differences are easiest to see where the page fails. The first is length. `inputs_first` calls
# itself once for each step, and Python allows about a thousand such calls inside each other. The library keeps a
# list of its own, as exercise 5 does. In the next cell the number 1 is added five thousand times.


# %%
def outcome(action):
    """What comes of it: "works", or the error as text."""
    try:
        action()
    except (RecursionError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "works"


long_by_hand = Node(0.0)
long_library = mp.Tensor(np.zeros(()))
for _ in range(5000):
    long_by_hand = add(long_by_hand, 1.0)
    long_library = mp.ops.add(long_library, 1.0)

deep_by_hand = outcome(lambda: gradients(long_by_hand, []))
deep_library = outcome(long_library.backward)
print("5,000 steps, the page:  ", deep_by_hand)
print("5,000 steps, minipixel: ", deep_library)

# %% [markdown]
# The second is that it refuses what has no meaning, in one line that says what was given, what was wanted, and a way
# out. A gradient belongs to one number: from many numbers there is no way back until they are summed, or summed with
# weights. (The message calls such weights a `seed`.)

# %%
many_numbers = mp.ops.tanh(mp.Tensor(train_x))
not_one_number = outcome(many_numbers.backward)
print(not_one_number)

# %% [markdown]
# The third is memory. A vjp holds on to the arrays that it needs, which for a large model are gigabytes. The library
# drops each step as soon as it has been used. The price is that a graph can be used only once.

# %%
leaves = [mp.Tensor(weight) for weight in library_weights]
score = score_of(library, leaves)
score.backward()
second_time = outcome(score.backward)
print(second_time)

# %% [markdown]
# Two more differences save time. Within `mp.no_grad()` nothing is remembered at all: sampling needs no gradients.
# And a vjp may return a function in the place of a gradient. The library calls it to get the gradient, unless the
# input is a constant. You will find both in `tensor.py`, which you can now read from top to bottom.

# %%
with mp.no_grad():
    forgetful = mp.ops.tanh(mp.Tensor(train_x))
print("inputs that a Tensor made within no_grad remembers:", forgetful.inputs)

# %% [markdown]
# ## What you should see
#
# The tape, the chain rule and the nudges agree on one formula, and gradients that meet in one Node are added.

# %%
assert np.allclose(by_rule, by_nudging, rtol=0, atol=1e-9)
assert np.allclose(by_tape, by_rule, rtol=0, atol=1e-14)
assert np.isclose(added, by_nudging_twice, rtol=0, atol=1e-9)
assert np.allclose([added, overwritten], [0.669, 0.412], atol=5e-4)

# %% [markdown]
# Both tapes train the same network to the same weights, and it has learnt its task.

# %%
for ours, theirs in zip(page_weights, library_weights, strict=True):
    assert np.allclose(ours, theirs, rtol=0, atol=1e-12)
assert 0.6 < page_losses[0] < 0.8
assert page_losses[-1] < 0.04
assert wrong <= 2

# %% [markdown]
# The library works where the page fails, and refuses what has no meaning.

# %%
assert deep_by_hand.startswith("RecursionError")
assert deep_library == "works"
assert not_one_number.startswith("ValueError")
assert second_time.startswith("ValueError")
assert forgetful.inputs == ()
assert score.inputs == ()  # used, and dropped

# %% [markdown]
# ## Exercises
#
# 1. *easy* Write `exp` as an op. Check its vjp by nudging, and then by `mp.gradcheck(mp.op(exp_arrays), x)`, which
#    lesson 06 explains.
# 2. *easy* Compute w*w*w on the page. How many arrows leave w, and what does each of them bring back?
# 3. *medium* Lift `add_arrays` with `mp.op`, and add a row to a matrix. What does the library notice that the page
#    does not? Mend the vjp.
# 4. *medium* Ask for the gradient of the mean logit with respect to the test *pictures* in the place of the weights.
#    At which pixels does more ink make the network lean towards an 8?
# 5. *hard* Write `inputs_first` without recursion, so that the page can walk back over 5,000 steps.
#
# Solutions: [solutions/05_a_tape_in_a_page.py](solutions/05_a_tape_in_a_page.py).
