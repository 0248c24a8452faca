# %% [markdown]
# # 13 An LSTM step, then a whole row
#
# - *You will* run one LSTM cell by hand, then a whole row of cells at once, follow its gradients back through the rows,
#   see the triangle that a Row LSTM reads, and train one beside a PixelCNN.
# - *Reads* `minipixel/ops/scan.py`, `minipixel/models/pixelrnn.py`; van den Oord et al. 2016, arXiv:1601.06759,
#   sections 2 and 3.1; Hochreiter and Schmidhuber 1997, *Long Short-Term Memory*.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks, [lesson 03](03_pixelcnn_in_60_lines.py) for the model that is
#   trained beside, [lesson 05](05_a_tape_in_a_page.py) for gradients on a tape, [lesson 06](06_trust_but_check.py) for
#   checking them, [lesson 09](09_the_blind_spot_and_two_stacks.py) for gates and for the blind spot.
# - *Takes* about half a minute on two cores; 25 minutes to read.
#
# A convolution looks a few pixels far. To look further, PixelCNN needs more layers: with each 3x3 layer it sees one row
# more. **Is there a layer that can look back as far as it likes, all by itself?** There is, if the layer may read *its
# own results* of the row above. They were computed from the row above that one, and so on up to the top of the image.
# This lesson builds such a layer from a single cell, and then asks what it sees, what it forgets and what it is worth.

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
# A layer that reads its own earlier results is called a **recurrence**. What it hands on from one step to the next is
# its **state**. The simplest recurrence multiplies its state by a matrix at each step; after twenty steps little of the
# first one is left, or far too much. The **LSTM** (long short-term memory) is a recurrence that is built to keep
# things. Each of its units has a **memory** $m$, a single number. (The papers and the library call it $c$, but that is
# a column in this course.) Three gates stand around the memory. A gate is a number between 0 (shut) and 1 (open) that
# multiplies what passes through it, as in lesson 09.
#
# $$m = f \cdot m_{before} + i \cdot g, \qquad h = o \cdot \tanh(m)$$
#
# - The **forget gate** $f$ says how much of the memory stays. Its name is unlucky: open means *keep*.
# - The **input gate** $i$ says whether to write. What is written is $g$, a number between -1 and 1.
# - The **output gate** $o$ says how much of the memory the others get to see. They see the state $h$.
#
# Each of the four comes from a number of its own, its **pre-activation**: any real number, which is then squeezed.
# The gates use the **sigmoid** $\sigma(z) = 1 / (1 + e^{-z})$, which is `expit` in SciPy and ends up between 0 and 1.
# The value to write uses the hyperbolic tangent:
#
# $$o = \sigma(z_o), \quad f = \sigma(z_f), \quad i = \sigma(z_i), \quad g = \tanh(z_g)$$

# %%
caption = "One step of one cell. Follow the memory along the top: it is multiplied once, and something is added once"
show(lesson_13.cell_diagram(), "13_cell", caption)

# %% [markdown]
# In code, for any number of cells at once. The pre-activations of K units stand side by side in one array: K numbers
# for all output gates, then K for all forget gates, and so on.


# %%
def step(z, m_before):
    """One step of K units: pre-activations (..., 4K), memories (..., K) -> states h (..., K), memories m (..., K)."""
    z_o, z_f, z_i, z_g = np.split(z, 4, axis=-1)
    m = expit(z_f) * m_before + expit(z_i) * np.tanh(z_g)
    h = expit(z_o) * np.tanh(m)
    return h, m


# %% [markdown]
# Let us turn the knobs ourselves. Four cells get a 1 written into their memory at step 2, and nothing ever again. They
# differ in their forget gate only. `logit` is the inverse of the sigmoid: `expit(logit(0.9))` is 0.9. A pre-activation
# of 20 opens a gate entirely, and -20 shuts it.

# %%
OPEN = 20.0
SHUT = -20.0
STEPS = 20
rates = np.array([0.99, 0.9, 0.5, 0.1])

z = np.full((STEPS, 4, 4), SHUT)  # steps, cells, and the pre-activations of o, f, i, g
z[:, :, 1] = logit(rates)
z[:, :, 3] = OPEN  # g = 1: this is what would be written,
z[2, :, 2] = OPEN  # but only at step 2 does the input gate open
m = np.zeros((4, 1))
memories = np.zeros((STEPS, 4))
for t in range(STEPS):
    h, m = step(z[t], m)
    memories[t] = m[:, 0]
for k, rate in enumerate(rates):
    print(
        f"f = {rate:4}: memory {memories[2, k]:.3f} at step 2, {memories[12, k]:.3f} at step 12; f^10 = {rate**10:.3f}"
    )
show(lesson_13.forgetting(memories, rates), "13_forgetting", "A 1 is written at step 2. How long it stays is up to f")

# %% [markdown]
# With $f$ near 1 the memory is a shelf; with $f$ near 0 each step wipes it. In between it fades as $f^t$.
#
# The gates need not stay as they are. A fifth cell follows a script: write at step 2, hold, show the value at steps 9
# to 11, and forget it at step 15.

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
gates = expit(z[:, 0, [2, 1, 0]])
show(lesson_13.script(gates, held, shown), "13_script", "The state shows the memory only while the output gate is open")

# %% [markdown]
# Here we wrote the script. In a network the pre-activations come from the pixels, through weights, and training finds
# out when it pays to write, to show and to forget.
#
# ## The rows are the steps
# An image has no time. But it is drawn row by row, so let the rows be the steps. For a first look take an image that is
# a single column. What the pixels say to the gates stands in an array `z` of shape (H, W, N, 4K): H rows, W = 1 column,
# N images, four pre-activations for each of K units. (Maps of features lie in this order throughout minipixel.) The
# state of the row above comes back in through a matrix, K numbers in and 4K numbers out:
#
# $$z_r^{all} = z_r + h_{r-1} \, K^{ss}$$
#
# where *ss* stands for **state to state**. Above the first row, state and memory are zero. The library calls this whole
# loop `lstm_scan`. A **scan** runs down the rows and computes each from the row before.

# %%
rng = np.random.default_rng(13)
H = 5
W = 7
N = 2
K = 3
z = rng.normal(size=(H, W, N, 4 * K))
weight = rng.normal(size=(3, K, 4 * K))  # three taps; the column needs only the middle one

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
# A **Row LSTM** has a cell at every pixel and computes a whole row of them in one step. Two convolutions feed it.
#
# - **State to state**: a cell reads the states straight above and at both sides of that, at offsets -1, 0 and 1. All
#   of these pixels are in the row above, which is past. So this convolution **needs no mask**.
# - **Input to state**, $K^{is}$: a cell reads the features $x$ of its own row, again at offsets -1, 0 and 1. There the
#   right neighbour is future, so mask B shuts the tap at offset 1. This convolution reads no state. Hence it is
#   computed for the whole map beforehand, and only the other one has to go row by row.
#
# $$z_r^{all} = K^{is} * x_r + K^{ss} * h_{r-1}$$
#
# The star stands for a convolution along the row.

# %%
caption = "One step: all of row r is computed at once, from its own features and from the states of the row above"
show(lesson_13.row_scan(), "13_row_scan", caption)

# %% [markdown]
# By hand it is the same loop, now with arrays of shape (W, N, K) for the states of a row. To read the neighbours we put
# a column of zeros at either end, so that column c of the row above stands at c + 1 of `h_wide`.

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
# ## Who reads whom?
# As ever in this course, we do not trust the drawing; we ask the gradients. Take an output, walk back, and see where
# the gradient is not zero: those cells are read. This function asks for the output at column 4 of the last row.


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
# We ask three layers with one unit each: the input convolution alone, one step of the scan alone (a map of two rows is
# a single step), and both together over four rows. `Conv2d` is the library's masked convolution. Its first argument are
# the colours of its inputs, its second those of its outputs; with one colour they are all 0. `Init` draws its weights.

# %%
init = mp.nn.Init(13, "float64")
one_input = np.zeros(1, int)
four_gates = np.zeros(4, int)
see = mp.nn.Conv2d(one_input, four_gates, (1, 3), "B", init)
state_weight = rng.normal(size=(3, 1, 4))


def scan(z):
    return mp.ops.lstm_scan(z, state_weight, None, None, taps=(-1, 0, 1))


def see_and_scan(x):
    return scan(see(x))


one_step = np.zeros((4, 9), bool)
one_step[2:] = read_by_last_row(scan, (2, 9, 1, 4))
read = {
    "input to state": read_by_last_row(see, (4, 9, 1, 1)),
    "state to state, one step": one_step,
    "both, row after row": read_by_last_row(see_and_scan, (4, 9, 1, 1)),
}
caption = "What the orange cell at row 3, column 4 reads. A dot: it reads its own features, too"
show(fields.fields(read, (3, 4)), "13_reads", caption)

# %% [markdown]
# The first two figures are the two convolutions, tap by tap. The third is what comes out when the step is repeated:
# with each row above there is one column more at either side, and on the left one further, which the input convolution
# adds. The orange cell reads its own features too. That is no leak: a cell's features come out of a layer with mask A,
# which leaves the pixel itself out, so mask B may read them.
#
# ## Back through time
# The gradient of a scan walks back the same way, from the last row to the first. This is called **backpropagation
# through time**, even where time is rows. Is the library's version right? Lesson 06 knows how to ask: `gradcheck`
# compares it with the complex step, for every argument; `h0` and `c0` are the state and the memory above the first row.

# %%
h0 = rng.normal(size=K)
c0 = rng.normal(size=K)


def whole_scan(z, weight, h0, c0):
    return mp.ops.lstm_scan(z, weight, h0, c0, taps=(-1, 0, 1))


error = mp.gradcheck(whole_scan, z[:3, :4], weight, h0, c0)
print(f"gradcheck of lstm_scan, by z, weight, h0 and c0: worst relative error {error:.0e}")

# %% [markdown]
# It is right. But *how much* of the gradient arrives at the first rows? This question is what the LSTM was invented
# for. In simple recurrences the gradient is multiplied by about the same number at each step, and after many steps it
# has vanished: the **vanishing gradient**. Then nothing can be learnt about what happened long ago.
#
# We set the state weights to zero, so that only the memory carries anything. The gates are the same at each of 20 rows:
# the output gate rather open (its pre-activation is 1), the input gate half open (0), the forget gate as we choose. We
# ask what the last state would gain from a little more of $g$, the value to write, at each row before.

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
    print(f"f = {rate:4}: {arrives[rate][0]:.2g} of it is left 19 rows up; f^19 = {rate**19:.2g}")
show(lesson_13.arrivals(arrives), "13_arrivals", "What reaches each row of the gradient at row 19: a factor f per row")

# %% [markdown]
# Each row costs a factor $f$, and nothing else. A cell that keeps its forget gate open learns from all rows; one that
# shuts it learns from the last few. So what it *can* learn is itself something that it learns.
#
# ## A triangle, and what depth does to it
# Now whole models. minipixel's `RowLSTM` is built like PixelCNN: a first convolution of 7x7 under mask A (its
# **stem**), then layers with residuals around them, then a head. Only the layers are Row LSTMs. We compare what one
# pixel sees: the orange one, at row 8, column 7 of an image of 9x15 pixels. `mp.causality.dependencies` asks the
# gradients for us, and answers with a True for each pixel that is read.

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
caption = "What the orange pixel sees. A Row LSTM reaches the top row; on the right a bite remains, whatever the depth"
show(fields.fields(sight, (r, c)), "13_triangle", caption)

# %% [markdown]
# A single Row LSTM reaches the top row of any image, where two blocks of PixelCNN end five rows up. More layers fill
# the left side, since each looks one pixel further left in its own row. The right side stays as it is. The only way to
# the right is through the row above: one column for one row, in whatever layer. The stem alone adds a step of its own.
# So of the row $k$ above, the columns up to $c + k + 2$ are in sight, and no depth adds one.
#
# It is the same bite that PixelCNN has, however deep. The Diagonal BiLSTM of
# [lesson 14](14_the_diagonal_bilstm.py) closes it.
#
# ## Train it
# A Row LSTM of two layers beside a PixelCNN of about as many weights: the same digits, the same number of epochs, two
# seeds for each. For comparison we use the validation images, so that the test images stay unseen (lesson 04).

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
show(lesson_13.training(curves), "13_training", "Validation bits/dim: low is good. Two seeds for each model")

# %% [markdown]
# No victory for the LSTM: PixelCNN leads by some hundredths of a bit per pixel, and neither has finished training. Look
# at the sizes, though. A stem of 7x7 and $n$ blocks look $3 + n$ rows up, here 6 rows, and a digit has only 8. There is
# hardly any height left to win. On the larger images of CIFAR-10 (32x32) the Row LSTM of the paper does beat its
# PixelCNN, with 3.07 against 3.14 bits/dim.
#
# And there is a price that bits/dim does not show: the rows must wait for each other. PixelCNN trains all rows of an
# image at once; a Row LSTM cannot.
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
# Solutions: [solutions/13_an_lstm_step_then_a_whole_row.py](solutions/13_an_lstm_step_then_a_whole_row.py).
#
# 1. *Easy.* Write a script for a cell that counts: each time its input gate opens, the memory grows by 1. What does the
#    state show after 1, 2 and 5 openings, and why does it not count?
# 2. *Easy.* Open the right tap of the input convolution in a whole model. What does `mp.check_causality` say?
# 3. *Medium.* Shut the right tap of the state convolution: zero its weights. Which columns of the row $k$ above are
#    still in sight?
# 4. *Medium.* In "Back through time", take f = 0.5 and give the scan state weights of 1.0 and of 3.0 instead of zeros.
#    Is what arrives still $f^k$? Which way does it go wrong?
# 5. *Hard.* The start state `h0`, `c0` above the first row can be learned instead of zero. How much does `c0` change in
#    the first row, and how much in the tenth? Find a forget gate for which the tenth row still knows the start, and one
#    for which it does not.
