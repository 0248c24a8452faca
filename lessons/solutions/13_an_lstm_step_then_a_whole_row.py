# %% [markdown]
# # Solutions of lesson 13: an LSTM step, then a whole row

# %%
import numpy as np
from scipy.special import expit, logit

import minipixel as mp

OPEN = 20.0
SHUT = -20.0


def step(z, m_before):
    """One step of K units: pre-activations (..., 4K), memories (..., K) -> states h (..., K), memories m (..., K)."""
    z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)
    m = expit(z_f) * m_before + expit(z_i) * np.tanh(z_g)
    h = expit(z_o) * np.tanh(m)
    return h, m


# %% [markdown]
# ## Exercise 1
# The forget gate stays open (keep), the value to write is 1, and the output gate stays open. Only the input gate moves.

# %%
memory = np.zeros(1)
states = []
for _ in range(5):
    state, memory = step(np.array([OPEN, OPEN, OPEN, OPEN]), memory)
    states.append(state[0])
print(f"memory after 5 openings: {memory[0]:.3f}")
print("states:", np.round(states, 4))
assert np.isclose(memory[0], 5, atol=1e-6)
assert np.allclose(states, np.tanh([1, 2, 3, 4, 5]), atol=1e-6)

# %% [markdown]
# The memory counts; the state does not. It is the tanh of the memory: 0.7616 after one opening, 0.9640 after two,
# 0.9999 after five. A large count and a larger one look almost the same from outside. To count in steps that stay
# apart, write less each time: with $z_g = 0.1$ five openings give a state of about 0.46.

# %%
memory = np.zeros(1)
for _ in range(5):
    state, memory = step(np.array([OPEN, OPEN, OPEN, 0.1]), memory)
assert 0.45 < state[0] < 0.47

# %% [markdown]
# ## Exercise 2
# The input convolution of the first layer is `model.layers[0].lstm.see`. Its mask is an array of booleans, the taps
# first: 1 row and 3 columns. We open all of them.

# %%
model = mp.models.RowLSTM((4, 6, 1), 2, hidden=3, layers=1)
see = model.layers[0].lstm.see
assert see.mask.shape[:2] == (1, 3)
assert mp.check_causality(model).ok
see.mask = np.ones_like(see.mask)
report = mp.check_causality(model)
print(report)
assert not report.ok
assert len(report.leaks) == 4 * 5  # each pixel that has a right neighbour

# %% [markdown]
# Every pixel but the last of each row depends on itself: the features of its right neighbour know it. Read the report
# closely: only the structure and the clock find the leak, and the gradients find none! The weights behind a shut tap
# begin at zero, so at first nothing flows through the tap that we opened. One step of training wakes the leak up.

# %%
images = np.random.default_rng(0).integers(0, 2, (8, 4, 6, 1)).astype(np.uint8)
every_output = mp.causality.dependencies(model)
assert not every_output.diagonal().any()
mp.fit(model, images, epochs=1, batch_size=8, rng=0, progress=False)
every_output = mp.causality.dependencies(model)
assert every_output.diagonal().sum() == 4 * 5

# %% [markdown]
# ## Exercise 3

# %%
H = 9
W = 15
r = 8
c = 7
model = mp.models.RowLSTM((H, W, 1), 2, hidden=4, layers=1)
model.layers[0].lstm.weight.data[2] = 0  # the taps are -1, 0, 1: this is the right one
field = mp.causality.dependencies(model, outputs=[r * W + c]).reshape(H, W)
print(field.astype(int))
for k in range(1, r + 1):
    assert field[r - k].nonzero()[0].max() == c + 3

# %% [markdown]
# Now no step leads to the right any more. What is left on the right is what the stem of 7x7 sees: three columns, in
# each row above. The triangle has lost its right half.
#
# ## Exercise 4
# All four gates read the state through the same weight. The state is zero in every row, since nothing is written; but
# the gradient asks what *would* happen.

# %%
STEPS = 20
f = 0.5
last_row_only = np.zeros((STEPS, 1, 1, 1))
last_row_only[-1] = 1
top_row_gets = {}
for w in (0.0, 1.0, 3.0):
    z = mp.Tensor(np.tile([1.0, logit(f), 0.0, 0.0], (STEPS, 1, 1, 1)))
    h = mp.ops.lstm_scan(z, np.full((1, 1, 4), w), None, None, taps=(0,))
    h.backward(last_row_only)
    g = z.grad[:, 0, 0, 3]
    top_row_gets[w] = g[0] / g[-1]
    per_row = top_row_gets[w] ** (1 / 19)
    print(f"state weights {w}: {top_row_gets[w]:.3g} arrives at the top row, a factor {per_row:.3f} per row")
    assert np.isclose(per_row, f + expit(1.0) * expit(0.0) * w)

# %% [markdown]
# There is a second way back now: from the state $h$ through the weight to the pre-activation of $g$, and on into the
# memory. Per row it adds $o \cdot i \cdot w$ to the factor $f$: $0.5 + 0.73 \cdot 0.5 \cdot w$. With weights of 1 more
# arrives than the memory alone would carry. With weights of 3 the factor is 1.6, and after 19 rows the gradient has
# grown more than 7000-fold: it *explodes*. An LSTM protects what goes through its memory, not what goes through its
# weights. Therefore recurrences are often trained with a limit on the gradient: `mp.optim.Adam(clip_norm=1.0)`.

# %%
assert top_row_gets[0.0] < 1e-5 < top_row_gets[1.0] < 0.1
assert top_row_gets[3.0] > 7000

# %% [markdown]
# ## Exercise 5
# With the state weights at zero and nothing written, the memory of row $t$ (from 0) is $f^{t+1} c_0$.

# %%
changes = {}
for f in (0.9, 0.3):
    z = np.tile([OPEN, logit(f), SHUT, 0.0], (10, 1, 1, 1))
    weight = np.zeros((1, 1, 4))
    from_zero = mp.ops.lstm_scan(z, weight, None, np.array([0.0]), taps=(0,))
    from_one = mp.ops.lstm_scan(z, weight, None, np.array([1.0]), taps=(0,))
    changes[f] = (from_one - from_zero)[:, 0, 0, 0]
    print(f"f = {f}: the first row changes by {changes[f][0]:.2f}, the tenth by {changes[f][9]:.1e}")
    assert np.allclose(changes[f], np.tanh(f ** np.arange(1, 11)), atol=1e-6)
assert changes[0.9][9] > 0.3
assert changes[0.3][9] < 1e-5

# %% [markdown]
# With 0.9 the tenth row still knows where the scan began; with 0.3 it does not. `h0` reaches the first row through the
# state weights alone; with these at zero it changes nothing at all.

# %%
weight = np.zeros((1, 1, 4))
without = mp.ops.lstm_scan(z, weight, np.array([0.0]), None, taps=(0,))
with_h0 = mp.ops.lstm_scan(z, weight, np.array([5.0]), None, taps=(0,))
assert np.array_equal(without, with_h0)
