# %% [markdown]
# # Solutions of lesson 13: an LSTM step, then a whole row
#
# The lesson is [13 An LSTM step, then a whole row](../13_an_lstm_step_then_a_whole_row.py). Each solution begins with
# its exercise. First comes the lesson's step.

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
#
# > Set the gates of a cell so that it counts: each time its input gate opens, the memory grows by 1. What is the state
# > after 1, 2 and 5 openings, and why does the state not count?
#
# The forget gate stays open, so that the memory is kept. The value to write is 1. The output gate stays open, too. In
# each of the five steps the input gate opens once.

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
# The memory counts, but the state does not. The state is the tanh of the memory: 0.7616 after one opening, 0.9640 after
# two, 0.9999 after five. Two large counts have almost the same state. The states stay apart if less is written each
# time: with $z_g = 0.1$ five openings give a state of about 0.46.

# %%
memory = np.zeros(1)
for _ in range(5):
    state, memory = step(np.array([OPEN, OPEN, OPEN, 0.1]), memory)
assert 0.45 < state[0] < 0.47

# %% [markdown]
# ## Exercise 2
#
# > Open the right tap of the input-to-state convolution in a whole model. What does `mp.check_causality` say?
#
# The input-to-state convolution of the first layer is `model.layers[0].lstm.see`. Its mask is an array of booleans, the
# taps first: 1 row and 3 columns. We open all of them.

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
# Every pixel but the last of each row is predicted from itself, since the features of its right neighbour know it. Read
# the report closely: the structure and the clock find the leak, but the gradients find none. The weights behind a shut
# tap begin at zero, so at first nothing passes the tap that we have opened. After one step of training these weights
# are not zero any more, and the gradients find the leak, too.

# %%
images = np.random.default_rng(0).integers(0, 2, (8, 4, 6, 1)).astype(np.uint8)
every_output = mp.causality.dependencies(model)
assert not every_output.diagonal().any()
mp.fit(model, images, epochs=1, batch_size=8, rng=0, progress=False)
every_output = mp.causality.dependencies(model)
assert every_output.diagonal().sum() == 4 * 5

# %% [markdown]
# ## Exercise 3
#
# > Shut the right tap of the state-to-state convolution: set its weights to zero. Which columns of the row that lies
# > $k$ rows above are still seen?

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
# The columns up to $c + 3$ are seen, in every row above. No step of the scan leads to the right any more. What is left
# on the right are the three columns that the stem of 7x7 sees. The triangle has lost its right half.
#
# ## Exercise 4
#
# > In "Back through time", take f = 0.5 and give the scan state weights of 1.0 and of 3.0 instead of zeros. Is the
# > gradient $k$ rows up still $f^k$? What happens to it?
#
# All four pre-activations read the state with the same weight. The state is zero in every row, since nothing is
# written. But the gradient says what *would* happen if something were written.

# %%
STEPS = 20
f = 0.5
last_row_only = np.zeros((STEPS, 1, 1, 1))
last_row_only[-1] = 1
arrives = {}
for w in (0.0, 1.0, 3.0):
    z = mp.Tensor(np.tile([1.0, logit(f), 0.0, 0.0], (STEPS, 1, 1, 1)))
    h = mp.ops.lstm_scan(z, np.full((1, 1, 4), w), None, None, taps=(0,))
    h.backward(last_row_only)
    g = z.grad[:, 0, 0, 3]
    arrives[w] = g[0] / g[-1]
    per_row = arrives[w] ** (1 / 19)
    print(f"state weights {w}: {arrives[w]:.3g} arrives at the top row, a factor {per_row:.3f} per row")
    assert np.isclose(per_row, f + expit(1.0) * expit(0.0) * w)

# %% [markdown]
# It is not $f^k$ any more. There is now a second way from row to row: from the memory through the output gate to the
# state $h$, through the weight $w$ to the pre-activation of $g$, and through the input gate into the next memory. Per
# row it adds $o \cdot i \cdot w$ to the factor $f$, which becomes $0.5 + 0.73 \cdot 0.5 \cdot w$. With weights of 1
# more arrives than through the memory alone. With weights of 3 the factor is 1.6, and after 19 rows the gradient has
# grown more than 7000-fold. This is an exploding gradient. The gates of an LSTM limit what goes through its memory, but
# not what goes through its weights. Therefore recurrences are often trained with a limit on the gradient:
# `mp.optim.Adam(clip_norm=1.0)`.

# %%
assert arrives[0.0] < 1e-5 < arrives[1.0] < 0.1
assert arrives[3.0] > 7000

# %% [markdown]
# ## Exercise 5
#
# > The state `h0` and the memory `c0` above the first row can be learned, and need not be zero. If `c0` is 1 in place
# > of 0, how much does the state of the first row change, and that of the tenth? Find a forget gate for which the tenth
# > row still depends on `c0`, and one for which it hardly does.
#
# We set the state weights to zero and write nothing. If rows are counted from 0, the memory of row $r$ is then $f^{r+1}
# c_0$, and with an open output gate the state is the tanh of that.

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
# With f = 0.9 the tenth row still depends on `c0`, and with f = 0.3 it hardly does. `h0` reaches the first row only
# through the state weights. With these at zero it changes nothing at all.

# %%
weight = np.zeros((1, 1, 4))
without = mp.ops.lstm_scan(z, weight, np.array([0.0]), None, taps=(0,))
with_h0 = mp.ops.lstm_scan(z, weight, np.array([5.0]), None, taps=(0,))
assert np.array_equal(without, with_h0)
