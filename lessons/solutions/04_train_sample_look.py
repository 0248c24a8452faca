# %% [markdown]
# # 04 Train, sample, look: solutions
#
# Each solution begins with its exercise. First comes what they need: a model of 17 levels and one of two, as in [the
# lesson](../04_train_sample_look.py).

# %%
import os

import numpy as np
from scipy.special import softmax

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
EPOCHS = 1 if QUICK else 12
ds = mp.datasets.load("digits")
train = ds.train.images[:512] if QUICK else ds.train.images
test = ds.test.images
H, W, C = ds.image_shape
Q = ds.levels


def trained(images, levels=Q, blocks=5, **options):
    model = mp.models.PixelCNN((H, W, C), levels, hidden=32, blocks=blocks, rng=SEED)
    history = mp.fit(model, images, rng=SEED, progress=False, **{"epochs": EPOCHS, **options})
    return model, history


model, _ = trained(train)
binary, _ = trained(mp.datasets.binarize(train, Q, "threshold"), levels=2)

# %% [markdown]
# ## Exercise 1
#
# > Sample at temperature 0.01 with two values of `rng`. Why are the images alike? Why are they dull?
#
# At a temperature near 0 only the likeliest level is ever drawn, whatever the uniform number. So there is nothing left
# to chance, and all images are (almost) one and the same. It is dull: at each pixel the likeliest level is what most
# digits have there, which is blank more often than not.

# %%
first = model.sample(10, rng=1, temperature=0.01)
second = model.sample(10, rng=2, temperature=0.01)
warm = model.sample(10, rng=1)
print("pixels that are equal in the two draws:", (first == second).mean())
print("mean bits/dim of what is drawn:", model.bits_per_dim(first), "; at temperature 1:", model.bits_per_dim(warm))
assert (first == second).mean() > 0.9
assert model.bits_per_dim(first) < model.bits_per_dim(warm)

# %% [markdown]
# ## Exercise 2
#
# > Measure the binary model on digits that are turned upside down. What do the bits/dim say?
#
# The model has never seen such images: their strokes begin and turn where none did before. It is more surprised, by
# about a tenth of a bit per pixel. This is how a likelihood model can tell that an image is odd.

# %%
binary_test = mp.datasets.binarize(test, Q, "threshold")
upright = binary.bits_per_dim(binary_test)
upside_down = binary.bits_per_dim(binary_test[:, ::-1])
print(f"upright {upright:.3f}, upside down {upside_down:.3f} bits/dim")
assert upside_down > upright + (0 if QUICK else 0.05)

# %% [markdown]
# ## Exercise 3
#
# > Train with `blocks=1`, then with `blocks=10`. What changes in the receptive field of the last pixel, and what in
# > the bits/dim? (Row t of the matrix `mp.causality.dependencies(model)` says which pixels the pixel at place t
# > reads.)
#
# A stem of 7 x 7 and one block see 4 rows up. The last pixel of an 8 x 8 image sees its whole past only with 4 blocks.
# More blocks see nothing more, but they compute more from it. The step from 1 to 5 pays; that to 10 hardly does on
# these small images.

# %%
fields = {}
scores = {}
for blocks in (1, 5, 10):
    deep, _ = trained(train, blocks=blocks)
    fields[blocks] = int(mp.causality.dependencies(deep)[H * W - 1].sum())
    scores[blocks] = deep.bits_per_dim(test)
    print(f"{blocks:2} blocks: the last pixel reads {fields[blocks]} of 63 earlier ones; {scores[blocks]:.3f} bits/dim")
assert fields[1] < fields[5] == fields[10] == H * W - 1
if not QUICK:
    assert scores[5] < scores[1]

# %% [markdown]
# ## Exercise 4
#
# > Which digit is the most expensive? Average the bits per image over each class of the test images.
#
# The 8 is the most expensive: two loops and a crossing leave much to decide. The 1 is by far the cheapest, since most
# of its pixels are blank, and most of the others lie on one stroke.

# %%
bits = -model.log_prob(test) / np.log(2)  # per image
means = np.array([bits[ds.test.labels == digit].mean() for digit in range(10)])
for digit in np.argsort(means)[::-1]:
    print(f"{digit}: {means[digit]:.1f} bits per image")
assert means.argmin() == 1
if not QUICK:
    assert means.argmax() == 8

# %% [markdown]
# ## Exercise 5
#
# > Train on the first 200 training images only, for 40 epochs, with the validation images watched. Where should
# > training have stopped? (`mp.callbacks.EarlyStopping` does it.)
#
# With 200 images the training curve falls and falls, while the validation curve turns and rises: the model learns these
# images by heart. The best epoch is where the validation curve is lowest. `EarlyStopping` stops some epochs after it,
# and with `restore_best_weights` the model gets back the weights of the best one.

# %%
few = ds.train.images[:200]
epochs = 15 if QUICK else 40
_, history = trained(few, epochs=epochs, batch_size=32, validation=ds.validation.images)
curve = np.array(history.history["val_bits_per_dim"])
best = int(curve.argmin())
print(f"the best of {epochs} epochs: number {best + 1} with {curve[best]:.3f}; the last one has {curve[-1]:.3f}")

stopping = mp.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
stopped, short = trained(few, epochs=epochs, batch_size=32, validation=ds.validation.images, callbacks=[stopping])
restored = stopped.bits_per_dim(ds.validation.images)
print(f"with EarlyStopping: {short.epochs} epochs, {restored:.3f} bits/dim on the validation images")
assert np.isclose(restored, min(short.history["val_bits_per_dim"]), atol=1e-4)
if not QUICK:
    assert best + 1 < epochs
    assert short.epochs < epochs
    assert curve[-1] > curve[best] + 0.05
    assert history.history["bits_per_dim"][-1] < curve[-1] - 0.3  # overfitting

# %% [markdown]
# ## Exercise 6
#
# > Take level 8 away in the lower half of the training images only. What does the upper half teach the lower?
#
# The weights of the last layer are the same at every pixel, so what the upper half teaches about level 8 reaches the
# lower half, too. But the model can tell, at least in part, in which half a pixel lies: beyond the border every tap
# reads zero. So it learns both: in the lower half level 8 is less likely than in the upper half, and far more likely
# than to a model that has never seen an 8.

# %%
seven_or_nine = np.random.default_rng(2).choice([7, 9], train.shape)
lower = np.zeros(train.shape, bool)
lower[:, H // 2 :] = True
half_without, _ = trained(np.where((train == 8) & lower, seven_or_nine, train).astype(np.uint8))
all_without, _ = trained(np.where(train == 8, seven_or_nine, train).astype(np.uint8))

is_8 = test.transpose(1, 2, 0, 3)[..., 0] == 8  # (H, W, N)
in_lower_half = np.broadcast_to((np.arange(H) >= H // 2)[:, None, None], is_8.shape)


def p_of_8(model, where):
    p = softmax(model.predict(test).astype(float), axis=-1)
    return p[is_8 & where][:, 8].mean()


upper_half = p_of_8(half_without, ~in_lower_half)
lower_half = p_of_8(half_without, in_lower_half)
without = p_of_8(all_without, in_lower_half)
print(f"mean probability of 8 where it is true: upper half {upper_half:.4f}, lower half {lower_half:.4f}")
print(f"in the lower half of a model that never saw an 8: {without:.4f}")
if not QUICK:
    assert without < lower_half < upper_half
