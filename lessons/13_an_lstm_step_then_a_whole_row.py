# %% [markdown]
# # 13 An LSTM step, then a whole row
#
# - *You will* run one LSTM cell by hand, then a whole row of cells at once, follow its gradients back through the rows,
#   see the triangle that a Row LSTM reads, and train one beside a PixelCNN.
# - *Reads* `minipixel/ops/scan.py`, `minipixel/models/pixelrnn.py`; van den Oord et al. 2016, arXiv:1601.06759,
#   sections 2 and 3.1; Hochreiter and Schmidhuber 1997, *Long Short-Term Memory*.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks, [lesson 03](03_pixelcnn_in_60_lines.py) for PixelCNN, [lesson
#   05](05_a_tape_in_a_page.py) for gradients on a tape, [lesson 06](06_trust_but_check.py) for checking them, [lesson
#   09](09_the_blind_spot_and_two_stacks.py) for gates and for the blind spot.
# - *Takes* about half a minute to run on two cores, and 30 minutes to read.
#
# A convolution reads a few pixels around its own. To see further, PixelCNN needs more layers: with each 3x3 layer it
# sees one row more. Is there a layer that sees all rows above by itself? There is, if the layer may read *its own
# results* of the row above. These were computed from the row above that one, and so on up to the top of the image. This
# lesson builds such a layer from a single cell. Then it asks what the layer sees, what it forgets, and whether it
# predicts better than PixelCNN.

# %%
import os

import numpy as np
from drawings import fields, lesson_13
from scipy.special import expit, logit
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
IMAGES = 160 if QUICK else 1295
EPOCHS = 1 if QUICK else 10

# %% [markdown]
# ## A value to keep
#
# A layer that reads its own earlier results is called a **recurrence**. What it hands on from one step to the next is
# its **state**. The simplest recurrence multiplies its state by a matrix at each step. After twenty steps little of the
# first state is left, or it has grown far too large. The **LSTM** (long short-term memory) is a recurrence that can
# keep a value unchanged. Each of its units has a **memory** $m$, a single number. (The papers and the library call it
# $c$, but in this course $c$ is a column.) Three gates control the memory. A gate is a number between 0 (shut) and 1
# (open) that multiplies what passes through it.
#
# $$m = f \cdot m_{before} + i \cdot g, \qquad h = o \cdot \tanh(m)$$
#
# - The **forget gate** $f$ says how much of the memory stays. Its name is unlucky: open means *keep*.
# - The **input gate** $i$ says whether to write. What is written is $g$, a number between -1 and 1.
# - The **output gate** $o$ says how much of the memory the others get to see. They see the state $h$.
#
# Each of the four is computed from a number of its own, its **pre-activation**, which may be any real number. The gates
# use the sigmoid $\sigma(z) = 1 / (1 + e^{-z})$, which lies between 0 and 1 and is called `expit` in SciPy. The value
# to write uses the hyperbolic tangent:
#
# $$o = \sigma(z_o), \quad f = \sigma(z_f), \quad i = \sigma(z_i), \quad g = \tanh(z_g)$$

# %%
caption = "One step of one cell. Follow the memory along the top: it is multiplied by f, and then i g is added."
show(lesson_13.cell_diagram(), "13_cell", caption)

# %% [markdown]
# A group of K units is called a cell. In code we compute any number of cells at once. The pre-activations of the K
# units stand side by side in one array: K numbers for all output gates, then K for all forget gates, and so on.


# %%
def step(z, m_before):
    """One step of K units: pre-activations (..., 4K), memories (..., K) -> states h (..., K), memories m (..., K)."""
    z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)
    m = expit(z_f) * m_before + expit(z_i) * np.tanh(z_g)
    h = expit(z_o) * np.tanh(m)
    return h, m


# %% [markdown]
# First we set the gates ourselves. Four cells of one unit each get a 1 written into their memory at step 2, and nothing
# after that. They differ in their forget gate only. `logit` is the inverse of the sigmoid: `expit(logit(0.9))` is 0.9.
# A pre-activation of 20 opens a gate, and -20 shuts it, up to a few billionths.

# %%
OPEN = 20.0
SHUT = -20.0
STEPS = 20
rates = np.array([0.99, 0.9, 0.5, 0.1])

z = np.full((STEPS, 4, 4), SHUT)  # steps, cells, and the pre-activations of o, f, i, g
z[:, :, 1] = logit(rates)
z[:, :, 3] = OPEN  # g = 1, the value to write
z[2, :, 2] = OPEN  # the input gate is open at step 2 only
m = np.zeros((4, 1))
memories = np.zeros((STEPS, 4))
for t in range(STEPS):
    h, m = step(z[t], m)
    memories[t] = m[:, 0]
for k, rate in enumerate(rates):
    print(f"f = {rate:4}: memory {memories[2, k]:.3f}, ten steps later {memories[12, k]:.3f}; f^10 = {rate**10:.3f}")
caption = "A 1 is written at step 2. How long it stays depends on f."
show(lesson_13.forgetting(memories, rates), "13_forgetting", caption)

# %% [markdown]
# After $t$ more steps the factor $f^t$ of the value is left. With $f$ near 1 the memory keeps nearly all of it, and
# with $f$ near 0 it loses nearly all of it in one step.
#
# The gates need not stay the same. In a fifth cell we write at step 2, hold the value, show it at steps 9 to 11, and
# forget it at step 15.

# %%
z = np.full((STEPS, 1, 4), SHUT)
z[:, :, 1] = OPEN  # hold
z[:, :, 3] = OPEN
z[2, :, 2] = OPEN  # write
z[9:12, :, 0] = OPEN  # show
z[15, :, 1] = SHUT  # forget
m = np.zeros((1, 1))
held = np.zeros(STEPS)
shown = np.zeros(STEPS)
for t in range(STEPS):
    h, m = step(z[t], m)
    held[t] = m[0, 0]
    shown[t] = h[0, 0]
gates = expit(z[:, 0, [2, 1, 0]])  # i, f, o
caption = "The state shows the memory only while the output gate is open."
show(lesson_13.script(gates, held, shown), "13_script", caption)

# %% [markdown]
# Here we chose the gates. In a network the pre-activations are computed from the pixels, with weights, and training
# finds out when to write, to show and to forget.
#
# ## The rows are the steps
#
# An image has no time. But it is drawn row by row, so the rows can be the steps. We begin with a single column of an
# image. The pre-activations that come from the pixels stand in an array `z` of shape (H, W, N, 4K): H rows, W columns,
# of which we take one, N images, and four pre-activations for each of K units. (Maps of features lie in this order
# throughout minipixel.) The state of the row above is multiplied by a matrix, K numbers in and 4K numbers out, and is
# added:
#
# $$z_r^{all} = z_r + h_{r-1} \, K^{ss}$$
#
# This matrix of weights is called $K^{ss}$ in the paper, where *ss* stands for **state to state**. Above the first row,
# state and memory are zero. A **scan** is a loop that runs down the rows and computes each from the row before. The
# library calls this one `lstm_scan`.

# %%
rng = np.random.default_rng(13)
H = 5
W = 7
N = 2
K = 3
z = rng.normal(size=(H, W, N, 4 * K))
weight = rng.normal(size=(3, K, 4 * K))  # three matrices, one per tap; the column needs only the middle one

column = z[:, 0]
h = np.zeros((N, K))
m = np.zeros((N, K))
states = []
for r in range(H):
    h, m = step(column[r] + h @ weight[1], m)
    states.append(h)

scanned = mp.ops.lstm_scan(z[:, :1], weight[1:2], None, None, taps=(0,))
assert np.allclose(states, scanned[:, 0], rtol=0, atol=1e-13)
print("our loop down a column, and lstm_scan: the same")

# %% [markdown]
# The two `None` stand for the state and the memory above the first row: zeros. `taps=(0,)` says which cells of the row
# above are read: the one straight above, at offset 0.
#
# ## A whole row at once
#
# A **Row LSTM** has a cell at every pixel and computes a whole row of cells in one step. The pre-activations of a row
# are the sum of two convolutions along the row:
#
# $$z_r^{all} = K^{is} * x_r + K^{ss} * h_{r-1}$$
#
# - State to state, $K^{ss}$: a cell reads the states $h$ of three cells of the row above, at offsets -1, 0 and 1. All
#   of these belong to the past. So this convolution needs *no mask*.
# - **Input to state**, $K^{is}$: a cell reads the features $x$ of its own row, again at offsets -1, 0 and 1. There the
#   right neighbour is future, so mask B shuts the tap at offset 1. This convolution reads no state. So it is computed
#   for the whole map beforehand, and only the other one has to go row by row.

# %%
caption = "One step: all of row r is computed at once, from its own features and from the states of the row above."
show(lesson_13.row_scan(), "13_row_scan", caption)

# %% [markdown]
# By hand it is the same loop, now with arrays of shape (W, N, K) for the states of a row. The array `z` takes the place
# of the input-to-state convolution, which has been computed beforehand. To read the neighbours we put a column of zeros
# at either end, so that column c of the row above stands at c + 1 of `h_wide`.

# %%
h = np.zeros((W, N, K))
m = np.zeros((W, N, K))
states = []
for r in range(H):
    h_wide = np.pad(h, ((1, 1), (0, 0), (0, 0)))
    from_left = h_wide[0:W] @ weight[0]
    from_above = h_wide[1 : W + 1] @ weight[1]
    from_right = h_wide[2 : W + 2] @ weight[2]
    h, m = step(z[r] + from_left + from_above + from_right, m)
    states.append(h)

scanned = mp.ops.lstm_scan(z, weight, None, None, taps=(-1, 0, 1))
assert np.allclose(states, scanned, rtol=0, atol=1e-13)
print("our loop down whole rows, and lstm_scan: the same")

# %% [markdown]
# ## Which cell reads which?
#
# We check the drawing with gradients: we start at one output, walk back, and see where the gradient is not zero. Those
# cells are read. The function below does this for the output at column 4 of the last row.


# %%
def read_by_last_row(layer, shape):
    """Which cells of a map of that shape (H, W, 1, K) the output at (H-1, 4) of `layer` reads: boolean (H, W)."""
    x = mp.Tensor(rng.normal(size=shape))
    y = layer(x)
    only_one = np.zeros(y.shape)
    only_one[-1, 4] = 1
    y.backward(only_one)
    return (x.grad != 0).any(axis=(2, 3))


# %% [markdown]
# We look at three layers with one unit each: the input-to-state convolution alone, one step of the scan alone (so its
# map has two rows), and both together over four rows. `Conv2d` is the library's masked convolution. Its first two
# arguments are the colours of its inputs and of its outputs. With a single colour they are all 0. `Init` draws the
# first weights.

# %%
init = mp.nn.Init(13, "float64")
one_input = np.zeros(1, int)
four_gates = np.zeros(4, int)
input_to_state = mp.nn.Conv2d(one_input, four_gates, (1, 3), "B", init)
state_weight = rng.normal(size=(3, 1, 4))


def scan(z):
    return mp.ops.lstm_scan(z, state_weight, None, None, taps=(-1, 0, 1))


def both(x):
    return scan(input_to_state(x))


one_step = np.zeros((4, 9), bool)
one_step[2:] = read_by_last_row(scan, (2, 9, 1, 4))
read = {
    "input to state": read_by_last_row(input_to_state, (4, 9, 1, 1)),
    "state to state, one step": one_step,
    "both, row after row": read_by_last_row(both, (4, 9, 1, 1)),
}
caption = "What the orange cell at row 3, column 4 reads. The dot means that it reads its own features, too."
show(fields.fields(read, (3, 4)), "13_reads", caption)

# %% [markdown]
# The first two maps show the open taps of the two convolutions. The third map shows what is read when the step is
# repeated. With each row further up, one more column is read at either side. On the left there is one column more
# still, which the input-to-state convolution adds. The orange cell reads its own features, too. That is no leak: in a
# model the features come from a layer with mask A, which leaves the pixel itself out.
#
# ## Back through time
#
# The gradient of a scan goes the same way back, from the last row to the first. This is called **backpropagation
# through time**, even where the steps are rows. Is the library's version of it right? As in lesson 06, `gradcheck`
# compares it with the complex step, for every argument. `h0` and `c0` are the state and the memory above the first row.

# %%
h0 = rng.normal(size=K)
c0 = rng.normal(size=K)


def whole_scan(z, weight, h0, c0):
    return mp.ops.lstm_scan(z, weight, h0, c0, taps=(-1, 0, 1))


error = mp.gradcheck(whole_scan, z[:3, :4], weight, h0, c0)
print(f"gradcheck of lstm_scan, by z, weight, h0 and c0: worst relative error {error:.0e}")

# %% [markdown]
# It is right. But *how much* of the gradient arrives at the first rows? The LSTM was invented because of this question.
# In simple recurrences the gradient is multiplied by about the same number at each step. If this number is below 1, the
# gradient is nearly 0 after many steps: this is the **vanishing gradient**. Then the network cannot learn from what
# happened many steps ago. If the number is above 1, the gradient grows without limit: this is the **exploding
# gradient**.
#
# We set the state weights to zero, so that only the memory connects the rows. The gates are the same in each of 20
# rows: the output gate has the pre-activation 1, the input gate has 0, which means half open, and the forget gate is as
# we choose. The gradient then says how much the last state changes if the pre-activation of $g$ in an earlier row
# changes a little. We divide by the gradient of the last row itself.

# %%
last_row_only = np.zeros((STEPS, 1, 1, 1))
last_row_only[-1] = 1
no_state_weight = np.zeros((1, 1, 4))
arrives = {}
for rate in (0.99, 0.9, 0.5):
    pre_activations = np.array([1.0, logit(rate), 0.0, 0.0])
    z_rows = mp.Tensor(np.tile(pre_activations, (STEPS, 1, 1, 1)))
    h_rows = mp.ops.lstm_scan(z_rows, no_state_weight, None, None, taps=(0,))
    h_rows.backward(last_row_only)
    gradient_of_g = z_rows.grad[:, 0, 0, 3]
    arrives[rate] = gradient_of_g / gradient_of_g[-1]
    print(f"f = {rate:4}: the gradient 19 rows up is {arrives[rate][0]:.2g}; f^19 = {rate**19:.2g}")
caption = "How much of the gradient at row 19 arrives at each row: a factor f per row."
show(lesson_13.arrivals(arrives), "13_arrivals", caption)

# %% [markdown]
# Each row multiplies the gradient by $f$, and by nothing else. With an open forget gate a cell can learn from all rows
# above. With a nearly shut one it can learn from the last few rows only. The forget gate itself is computed with
# learned weights, so training can open it where far rows matter.
#
# ## A triangle, and what depth does to it
#
# Now we look at whole models. The library's `RowLSTM` is built like PixelCNN: a stem of 7x7 with mask A, then layers
# with residual connections around them, then a head. The layers are Row LSTMs. We compare what is seen by models of one
# and of four such layers, and by a PixelCNN of two blocks. The predicted pixel lies at row 8, column 7 of an image of
# 9x15 pixels. As in lesson 09, `mp.causality.dependencies` follows the gradients for us.

# %%
H = 9
W = 15
r = 8
c = 7
shape = (H, W, 1)
networks = {
    "PixelCNN, 2 blocks": mp.models.PixelCNN(shape, 2, hidden=4, blocks=2),
    "Row LSTM, 1 layer": mp.models.RowLSTM(shape, 2, hidden=4, layers=1),
    "Row LSTM, 4 layers": mp.models.RowLSTM(shape, 2, hidden=4, layers=4),
}
place = np.arange(H * W).reshape(H, W)
past = place < place[r, c]
sight = {}
for name, network in networks.items():
    field = mp.causality.dependencies(network, outputs=[place[r, c]]).reshape(H, W)
    blind = (past & ~field).sum()
    sight[f"{name}:\nblind to {blind} of {past.sum()}"] = field
caption = "What the orange pixel sees. A Row LSTM reaches the top row. On the right a blind spot remains at any depth."
show(fields.fields(sight, (r, c)), "13_triangle", caption)

# %% [markdown]
# A single Row LSTM reaches the top row of an image of any height, where two blocks of PixelCNN end five rows up. More
# layers fill the left side, since each reads one pixel further to the left in its own row. The right side stays as it
# is. As with PixelCNN, a layer can get one column to the right only by going one row up. Only the stem can go three
# columns to the right for one row up. So $k$ rows above the pixel, the columns up to $c + 3 + (k - 1) = c + k + 2$ are
# seen, at any depth. This is the rule of lesson 09, and the blind spot is the same as that of a deep PixelCNN. The
# Diagonal BiLSTM of [lesson 14](14_the_diagonal_bilstm.py) has none.
#
# ## Train it
#
# We train a Row LSTM of two layers and a PixelCNN with about as many weights, on the same digits, for the same number
# of epochs, with two seeds each. We compare them on the validation images, so that the test images stay unseen (lesson
# 04).

# %%
digits = mp.datasets.load("digits")
train = digits.train.images[:IMAGES]
held_out = digits.validation.images
scores = {"PixelCNN": [], "Row LSTM": []}
curves = {"PixelCNN": [], "Row LSTM": []}
for seed in (SEED, SEED + 1):
    models = {
        "PixelCNN": mp.models.PixelCNN(digits.image_shape, digits.levels, hidden=16, blocks=3, rng=seed),
        "Row LSTM": mp.models.RowLSTM(digits.image_shape, digits.levels, hidden=12, layers=2, rng=seed),
    }
    for name, model in models.items():
        history = mp.fit(model, train, validation=held_out, epochs=EPOCHS, rng=seed, progress=False)
        curves[name].append(history.history["val_bits_per_dim"])
        scores[name].append(model.bits_per_dim(held_out))
        weights = model.num_parameters
        print(f"{name}: {weights:6,} weights, seed {seed}: {scores[name][-1]:.3f} bits/dim")
caption = "Two seeds for each model. Compare the curves at the right: lower is better."
show(lesson_13.training(curves), "13_training", caption)

# %% [markdown]
# Here the Row LSTM is no better: PixelCNN leads by some hundredths of a bit per pixel, and both curves still fall. But
# the images are small. A stem of 7x7 and $n$ blocks see $3 + n$ rows up. That makes 6 rows here, and a digit has only
# 8. So there is little left to gain by seeing further up. On the larger images of CIFAR-10 (32x32) the Row LSTM of the
#    paper does beat its PixelCNN, with 3.07 against 3.14 bits/dim.
#
# The Row LSTM also has a price that bits/dim do not show: its rows must wait for each other. In training, PixelCNN
# computes all rows of an image at once, and a Row LSTM cannot.
#
# ## What you should see

# %%
assert np.argwhere(read["input to state"]).tolist() == [[3, 3], [3, 4]]
assert np.argwhere(read["state to state, one step"]).tolist() == [[2, 3], [2, 4], [2, 5], [3, 4]]
assert np.allclose(memories[12], rates**10)
assert np.allclose(held[[14, 15]], [1, 0], atol=1e-6)
assert (shown > 0.1).nonzero()[0].tolist() == [9, 10, 11]
assert error < 1e-10
for rate, size in arrives.items():
    assert np.allclose(size, rate ** np.arange(19, -1, -1))

cnn, one_layer, four_layers = sight.values()
assert cnn.any(axis=1).argmax() == r - (3 + 2)  # the highest row in sight
for field in (one_layer, four_layers):
    assert not (field & ~past).any()
    for k in range(1, r + 1):
        assert field[r - k].nonzero()[0].max() == min(W - 1, c + k + 2)
assert four_layers[:, :c].all()  # the left side is whole
if not QUICK:
    lead = np.mean(scores["Row LSTM"]) - np.mean(scores["PixelCNN"])
    assert max(scores["PixelCNN"] + scores["Row LSTM"]) < 2.2
    assert 0 < lead < 0.1

# %% [markdown]
# ## Exercises
# 1. *easy* Set the gates of a cell so that it counts: each time its input gate opens, the memory grows by 1. What is
#    the state after 1, 2 and 5 openings, and why does the state not count?
# 2. *easy* Open the right tap of the input-to-state convolution in a whole model: its mask is
#    `model.layers[0].lstm.see.mask`. What does `mp.check_causality` say?
# 3. *medium* Shut the right tap of the state-to-state convolution: set its weights to zero, in
#    `model.layers[0].lstm.weight`. Which columns of the row that lies $k$ rows above are still seen?
# 4. *medium* In "Back through time", take f = 0.5 and give the scan state weights of 1.0 and of 3.0 instead of zeros.
#    Is the gradient $k$ rows up still $f^k$? What happens to it?
# 5. *hard* The state `h0` and the memory `c0` above the first row can be learned, and need not be zero. If `c0` is 1 in
#    place of 0, how much does the state of the first row change, and that of the tenth? Find a forget gate for which
#    the tenth row still depends on `c0`, and one for which it hardly does.
#
# Solutions: [solutions/13_an_lstm_step_then_a_whole_row.py](solutions/13_an_lstm_step_then_a_whole_row.py).
