# %% [markdown]
# # Solutions of lesson 05: a tape in a page
#
# Each solution begins with its exercise. First comes the page, as in [the lesson](../05_a_tape_in_a_page.py).

# %%
import numpy as np

import minipixel as mp


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


# %%
def inputs_first(node, order):
    """Append to `order` all Nodes that `node` was made of, and then `node` itself."""
    if node in order:
        return
    for x in node.inputs:
        if isinstance(x, Node):
            inputs_first(x, order)
    order.append(node)


def gradients(output, wanted, list_nodes=inputs_first):
    """The gradient of the number `output` with respect to each Node in `wanted`."""
    total = {output: np.ones_like(output.data)}
    order = []
    list_nodes(output, order)
    for node in reversed(order):
        parts = node.vjp(total[node])
        for x, part in zip(node.inputs, parts, strict=True):
            if isinstance(x, Node) and x in total:
                total[x] = total[x] + part
            elif isinstance(x, Node):
                total[x] = part
    return [total[x] for x in wanted]


# %%
def add_arrays(x, y):
    return x + y, lambda g: (g, g)


def multiply_arrays(x, y):
    return x * y, lambda g: (g * y, g * x)


add = op(add_arrays)
multiply = op(multiply_arrays)

# %% [markdown]
# ## Exercise 1
#
# > Write `exp` as an op. Check its vjp by nudging, and then by `mp.gradcheck(mp.op(exp_arrays), x)`, which lesson 06
# > explains.
#
# The exponential function is its own slope: $(e^x)' = e^x$. So the vjp multiplies by the value, which has been
# computed already.


# %%
def exp_arrays(x):
    y = np.exp(x)
    return y, lambda g: (g * y,)


exp = op(exp_arrays)
x = Node(0.7)
by_tape = gradients(exp(x), [x])[0]
by_nudging = (np.exp(0.7 + 1e-6) - np.exp(0.7 - 1e-6)) / 2e-6
error = mp.gradcheck(mp.op(exp_arrays), np.linspace(-2, 2, 12).reshape(3, 4))
print(f"by the tape {by_tape:.8f}, by nudging {by_nudging:.8f}; the worst relative error of gradcheck: {error:.0e}")
assert abs(by_tape - by_nudging) < 1e-8
assert error < 1e-10

# %% [markdown]
# ## Exercise 2
#
# > Compute w*w*w on the page. How many arrows leave w, and what does each of them bring back?
#
# Two products are computed, w*w and then (w*w)*w. The first reads w twice and the second once: three arrows leave w.
# With w = 2 the second product has the value 8. It sends $w^2 = 4$ straight to w, and $w = 2$ to the first product.
# The first product sends 2 times w, which is 4, along each of its two arrows. So three times $w^2$ arrives, and the
# sum is the well-known $3 w^2$.

# %%
w = Node(2.0)
square = multiply(w, w)
cube = multiply(square, w)

[to_square] = gradients(cube, [square])
straight = cube.vjp(np.ones(()))[1]
first, second = square.vjp(to_square)
print("the three arrows bring back:", straight, first, second)
assert [straight, first, second] == [4, 4, 4]
assert gradients(cube, [w])[0] == 3 * 2.0**2

# %% [markdown]
# ## Exercise 3
#
# > Lift `add_arrays` with `mp.op`, and add a row to a matrix. What does the library notice that the page does not?
# > Mend the vjp.
#
# NumPy adds the row to each row of the matrix, and `add_arrays` hands the whole gradient on to the row: a gradient
# of the wrong shape. The page does not notice. The library compares shapes, and names the op and the
# input.

# %%
matrix = np.arange(6.0).reshape(2, 3)
row = np.ones(3)
row_node = Node(row)
wrong_shape = gradients(add(Node(matrix), row_node), [row_node])[0].shape
print("the page says that the gradient of a row of 3 has the shape", wrong_shape)
assert wrong_shape == (2, 3)

try:
    mp.ops.mean(mp.op(add_arrays)(mp.Tensor(matrix), mp.Tensor(row))).backward()
    message = ""
except ValueError as error:
    message = str(error)
print("the library says:", message)
assert "(2, 3)" in message
assert "(3,)" in message


# %% [markdown]
# The row is used once in each row of the result, so its gradient is the sum over the rows.


# %%
def add_row_arrays(x, row):
    return x + row, lambda g: (g, g.sum(axis=0))


error = mp.gradcheck(mp.op(add_row_arrays), matrix, row)
print(f"mended: {error:.0e}")
assert error < 1e-10

# %% [markdown]
# ## Exercise 4
#
# > Ask for the gradient of the mean logit with respect to the test *pictures* in the place of the weights. At which
# > pixels does more ink make the network lean towards an 8?
#
# We train the network of the lesson, on the tape of the library. Then the weights are constants, and the pictures are
# what we ask the gradient of.


# %%
def gate_arrays(x):
    a, b = np.split(x, 2, axis=-1)
    t = np.tanh(a)
    s = 1 / (1 + np.exp(-b))

    def vjp(g):
        return (np.concatenate([g * s * (1 - t * t), g * t * s * (1 - s)], axis=-1),)

    return t * s, vjp


gate = mp.op(gate_arrays)


def logits_of(pixels, w1, b1, w2, b2):
    return mp.ops.linear(gate(mp.ops.linear(pixels, w1, b1)), w2, b2)


def threes_and_eights(split):
    chosen = np.isin(split.labels, (3, 8))
    return split.images[chosen].reshape(-1, 64) / 8 - 1, split.labels[chosen, None] == 8


# %%
digits = mp.datasets.load("digits")
train_x, train_is_8 = threes_and_eights(digits.train)
test_x, test_is_8 = threes_and_eights(digits.test)
rng = np.random.default_rng(0)
weights = [rng.normal(size=(64, 16)) / 8, np.zeros(16), rng.normal(size=(8, 1)) / 3, np.zeros(1)]
for _ in range(60):
    leaves = [mp.Tensor(weight) for weight in weights]
    score = mp.ops.mean(mp.ops.bernoulli_log_prob(logits_of(train_x, *leaves), images=train_is_8))
    slopes = mp.tensor.gradients(score, leaves)
    weights = [weight + 0.5 * slope for weight, slope in zip(weights, slopes, strict=True)]

pictures = mp.Tensor(test_x)
mean_logit = mp.ops.mean(logits_of(pictures, *weights))
gradient = mp.tensor.gradients(mean_logit, [pictures])[0].sum(axis=0)
print(np.round(100 * gradient.reshape(8, 8)).astype(int))

# %% [markdown]
# A positive number means: more ink here, and the network is more inclined to say 8. The largest ones lie at the left,
# where the two loops of an 8 close and those of a 3 stay open. The mean gradient of the left half is positive, and
# larger than that of the right half.

# %%
left = gradient.reshape(8, 8)[:, :4].mean()
right = gradient.reshape(8, 8)[:, 4:].mean()
print(f"left half {left:.4f}, right half {right:.4f}")
assert left > 0
assert left > right

# %% [markdown]
# ## Exercise 5
#
# > Write `inputs_first` without recursion, so that the page can walk back over 5,000 steps.
#
# A list of our own, `waiting`, takes the place of Python's calls. Each Node is put on it twice. When it is taken off
# for the first time, its inputs are put on the list above it. When it is taken off for the second time, its inputs
# are done, and it is appended to the order. A set remembers which Nodes have been seen; `node in order` would search
# a list of thousands each time.


# %%
def inputs_first_by_a_list(output, order):
    seen = set()
    waiting = [(output, False)]
    while waiting:
        node, inputs_are_done = waiting.pop()
        if inputs_are_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting.extend((x, False) for x in node.inputs if isinstance(x, Node))


start = Node(0.5)
end = start
for _ in range(5000):
    end = add(end, start)
[slope] = gradients(end, [start], list_nodes=inputs_first_by_a_list)
print("the slope of 5,001 times a number:", slope)
assert slope == 5001
assert gradients(cube, [w], list_nodes=inputs_first_by_a_list) == gradients(cube, [w])
