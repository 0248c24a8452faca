# %% [markdown]
# # 22 Your own pictures
#
# - *You will* make a data set of a folder of pictures, train a PixelCNN on it, draw new pictures of each kind into a
#   folder, and find the pictures of another folder that do not belong.
# - *Reads* `minipixel/datasets/folder.py`, `minipixel/oddness.py`, [docs/pictures.md](../docs/pictures.md); J. Serrà
#   and others, "Input complexity and out-of-distribution detection with likelihood-based generative models", 2020,
#   [arXiv:1909.11480](https://arxiv.org/abs/1909.11480), section 3.
# - *Before* [lesson 04](04_train_sample_look.py) for training and drawing, [lesson 10](10_conditions.py) for classes.
# - *Takes* about half a minute to run on two cores, and 25 minutes to read.
#
# The digits of the earlier lessons came with the package, and somebody else had prepared them. Now take a folder of
# pictures of your own. What has to happen to them before a model can read them? And once a model has learnt what they
# look like, can you give it another folder and ask which of those pictures do not belong? A model that knows the
# probability of every picture should be good at that. It is, but not in the way that first comes to mind, and the
# reason for this is the idea of the lesson.

# %%
import math
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
from drawings import lesson_22
from PIL import Image, ImageDraw
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn
EPOCHS = 3 if QUICK else 24
PER_CLASS = 60 if QUICK else 300

workplace = tempfile.TemporaryDirectory()  # it is removed at the end of the lesson
place = Path(workplace.name)

# %% [markdown]
# ## A folder of pictures
#
# So that this lesson runs anywhere, it draws its own folder of pictures: discs, squares and triangles, in one of six
# colours, on one of three dark grounds, of any size and at any place. Each is a picture of 48 x 48 pixels. When you
# have read to the end, you can put a folder of yours in its place.

# %%
GROUNDS = [(20, 30, 60), (40, 20, 50), (10, 50, 50)]
COLOURS = [(230, 70, 60), (250, 200, 60), (90, 200, 110), (90, 160, 250), (240, 240, 240), (240, 130, 200)]


def draw_shape(kind, rng, ground=None, colour=None):
    """A picture of 48 x 48 pixels: a shape of a kind, at a place and of a size that chance decides."""
    ground = GROUNDS[rng.integers(3)] if ground is None else ground
    colour = COLOURS[rng.integers(6)] if colour is None else colour
    picture = Image.new("RGB", (48, 48), ground)
    pen = ImageDraw.Draw(picture)
    size = rng.uniform(10, 17)
    x, y = rng.uniform(size, 48 - size, 2)
    box = (x - size, y - size, x + size, y + size)
    if kind == "disc":
        pen.ellipse(box, fill=colour)
    if kind == "square":
        pen.rectangle(box, fill=colour)
    if kind == "triangle":
        pen.polygon([(x, y - size), (x - size, y + size), (x + size, y + size)], fill=colour)
    if kind == "ring":
        pen.ellipse(box, outline=colour, width=5)
    if kind == "cross":
        pen.line(box, fill=colour, width=8)
        pen.line((x - size, y + size, x + size, y - size), fill=colour, width=8)
    return picture


# %%
rng = np.random.default_rng(0)
for kind in ("disc", "square", "triangle"):
    (place / "shapes" / kind).mkdir(parents=True)
    for number in range(PER_CLASS):
        draw_shape(kind, rng).save(place / "shapes" / kind / f"{number:03}.png")
print(*sorted(path.relative_to(place) for path in place.glob("shapes/*/000.png")))

# %% [markdown]
# ## From shades to levels
#
# One call reads the folder. The subfolders are the classes, and their names are kept. Two more numbers have to be
# chosen, and both decide how hard the model has to work.
#
# - The *size*. All pictures are scaled to 12 x 12 pixels here. A PixelCNN decides about every sub-pixel, one after
#   the other, and a picture of 12 x 12 x 3 sub-pixels asks for 432 decisions.
# - The *levels* Q. A picture file has 256 shades for each colour. Each decision is a choice among Q levels, and 8 of
#   them are enough for clear shapes. A shade from 0 to 255 becomes the level
#   $\lfloor \text{shade} \cdot Q / 256 \rfloor$, so that all levels cover about equally many shades. This is called
#   **quantisation**.

# %%
ds = mp.datasets.from_folder(place / "shapes", size=12, levels=8)
print(ds)
print("classes:", ds.classes)
show(mp.plots.image_grid(ds.train.images[:40], ds.levels), "22_folder", "What the model will see: 12 x 12 pixels.")

# %% [markdown]
# When a picture is written to a file, each level becomes a shade again. It does not matter which shade stands for a
# level, as long as reading it gives the level back. We check this for several numbers of levels: we write all levels
# to a file, and read them back.

# %%
for levels in (2, 8, 17, 256):
    every_level = np.arange(levels).reshape(1, 1, levels, 1)
    path = mp.save_pictures(every_level, place / f"levels-{levels}.png", levels)[0]
    shades = np.asarray(Image.open(path)).astype(int)
    assert np.array_equal(shades[0] * levels // 256, np.arange(levels))

# %% [markdown]
# ## Which pictures are for the test?
#
# Test pictures must never be trained on. If the split were drawn anew each time the folder is read, a picture that
# was for the test would sooner or later be trained on. So the content of each file decides. A **hash** turns the file
# into a number that looks random, but is always the same for the same file, and a tenth of all these numbers stand
# for "test". Therefore a new file moves no old one, and copies of one picture always go together. We check this: we
# add some pictures, and read the folder again.

# %%
before = {Path(name).read_bytes() for name in ds.test.files}
for number in range(30):
    draw_shape("disc", rng).save(place / "shapes" / "disc" / f"new-{number:03}.png")
grown = mp.datasets.from_folder(place / "shapes", size=12, levels=8)
after = {Path(name).read_bytes() for name in grown.test.files}
print(f"test pictures before: {len(before)}, after: {len(after)}; all old ones are still there: {before <= after}")

# %% [markdown]
# ## Training and drawing
#
# From here on the training is that of earlier lessons. The model is told the class, as in [lesson
# 10](10_conditions.py), and it learns to predict each sub-pixel from those before it. Mirror images of these shapes
# are shapes of the same kind, so each time a picture is used, chance decides whether it is mirrored. Such changes are
# called **augmentation**; they are the cheapest way to get more pictures. The learning rate falls during training,
# along a cosine, from 0.004 to 0.

# %%
model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=24, blocks=3, num_classes=3, rng=SEED)
model.pictures = ds.pictures  # the model file then says how pictures are prepared, and what the classes are called
steps_per_epoch = math.ceil(len(ds.train.images) / 16)
rate = mp.optim.cosine_decay(4e-3, EPOCHS * steps_per_epoch)
optimizer = mp.optim.Adam(rate)
history = mp.fit(
    model,
    ds.train.images,
    ds.train.labels,
    validation=(ds.validation.images, ds.validation.labels),
    transform=mp.datasets.flip(),
    epochs=EPOCHS,
    batch_size=16,
    optimizer=optimizer,
    rng=SEED,
    progress=False,
)
bits = model.bits_per_dim(ds.test.images, ds.test.labels)
print(f"test pictures: {bits:.3f} bits/dim; without a model they cost log2(8) = 3")

# %% [markdown]
# Now the model draws ten pictures of each class. `mp.save_pictures` writes each into a file of its own. The figure
# shows them below real pictures.

# %%
asked = np.repeat(np.arange(3), 10)
drawn = model.sample(30, asked, rng=SEED)
caption = "Ten discs, ten squares and ten triangles that nobody has drawn. The model is small: not all are well shaped."
show(mp.plots.sample_grid(ds.test.images, drawn, ds.levels), "22_drawn", caption)
paths = mp.save_pictures(drawn, place / "drawn", ds.levels)
model.save(place / "shapes.safetensors")
print(f"{len(paths)} files: {paths[0].name} ... {paths[-1].name}")

# %% [markdown]
# The model file holds the weights, the names of the classes, and how pictures are prepared. That is all that another
# program needs. The next cell reads it. It also reads the pictures that were drawn, as anybody would read a folder of
# pictures; the asserts at the end compare both with what was written.

# %%
again = mp.load(place / "shapes.safetensors")
from_files = mp.datasets.from_folder(place / "drawn", levels=8).everything()
by_name = np.argsort(from_files.files)  # a data set is in the order of its hashes: back to the order of drawing
print("the file says:", again.pictures["classes"])

# %% [markdown]
# ## A folder with strangers
#
# The second folder has 20 new pictures of each class, and some that do not belong: rings, crosses, empty pictures,
# noise, dark shapes on a bright ground, and triangles that somebody put into the folder of the squares. The file
# names say which is which, but the model is not shown the names.

# %%
STRANGERS = 8
rng = np.random.default_rng(1)
pictures = {}
for folder in ("disc", "square", "triangle"):
    for number in range(20):
        pictures[f"{folder}/usual-{number}"] = draw_shape(folder, rng)
for number in range(STRANGERS):
    pictures[f"disc/ring-{number}"] = draw_shape("ring", rng)
    pictures[f"square/cross-{number}"] = draw_shape("cross", rng)
    pictures[f"square/misplaced-{number}"] = draw_shape("triangle", rng)
    pictures[f"triangle/empty-{number}"] = Image.new("RGB", (48, 48), GROUNDS[rng.integers(3)])
    noise = rng.integers(0, 256, size=(12, 12, 3)).astype(np.uint8)
    pictures[f"triangle/noise-{number}"] = Image.fromarray(noise).resize((48, 48), Image.Resampling.NEAREST)
    pictures[f"disc/bright-{number}"] = draw_shape("disc", rng, ground=(240, 240, 240), colour=GROUNDS[0])
for name, picture in pictures.items():
    path = place / "second" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)

# %%
second_folder = mp.datasets.from_folder(place / "second", size=12, levels=8).everything()
kinds = np.array([Path(name).name.split("-")[0] for name in second_folder.files])
examples = np.concatenate([second_folder.images[kinds == kind][:5] for kind in lesson_22.KINDS])
caption = "What the second folder holds: usual pictures, and six kinds of strangers."
show(lesson_22.examples(examples, ds.levels), "22_second", caption)

# %% [markdown]
# ## First try: the least likely are the strangers
#
# Our first score is $-\ln p(x \mid \text{class})$ of each picture, which we call its **surprise**. For each kind of
# stranger we look at all pairs of a stranger and a usual picture, and count in which share of them the stranger is
# the more surprising one. This share is called **AUC**. (The letters stand for "area under the curve", after another
# way to compute it.) If it is 1, the score separates the kind perfectly from the usual pictures; if it is 0.5, the
# score knows nothing; if it is 0, the score is wrong in every pair.

# %%
surprise = -model.log_prob(second_folder.images, second_folder.labels)


def auc(score, kind):
    """The share of pairs in which a picture of this kind has a higher score than a usual one."""
    strange = score[kinds == kind]
    usual = score[kinds == "usual"]
    return (strange[:, None] > usual).mean()


stranger_kinds = lesson_22.KINDS[1:]
by_surprise = {kind: auc(surprise, kind) for kind in stranger_kinds}
print(f"usual      {surprise[kinds == 'usual'].mean():8.1f} nats on average")
for kind in stranger_kinds:
    mean = surprise[kinds == kind].mean()
    print(f"{kind:10} {mean:8.1f} nats on average, AUC {by_surprise[kind]:.3f}")

# %% [markdown]
# Most strangers are found at once. But look at the empty pictures: their AUC is about 0. The model finds them *less*
# surprising than nearly every usual picture, although it was never shown an empty one. This is not a bug. Each of
# their pixels continues what was before it, and that is the safest guess at nearly every pixel of a usual picture,
# too.
#
# ## The likeliest picture is not a usual one
#
# A model that can be written in two lines shows the reason exactly. Let a picture have 4 x 4 pixels, each of which is
# white with probability 0.2 and black otherwise, independently. There are $2^{16} = 65{,}536$ such pictures, and we
# can list them all: the 16 binary digits of the numbers from 0 to 65,535 are their pixels.

# %%
numbers = np.arange(2**16)
tiny_pictures = (numbers[:, None] >> np.arange(16)) & 1  # (65536, 16): digit k of each number
white = tiny_pictures.sum(axis=1)
probability = 0.2**white * 0.8 ** (16 - white)
assert np.isclose(probability.sum(), 1)
print(f"the likeliest picture is all black: {tiny_pictures[probability.argmax()].sum() == 0}")
print(f"it is drawn once in {1 / probability.max():.0f} times; its surprise is {-np.log(probability.max()):.2f} nats")
mean_surprise = -(probability * np.log(probability)).sum()
print(f"the mean surprise of a draw is {mean_surprise:.2f} nats")
share_of_count = np.array([probability[white == count].sum() for count in range(17)])
caption = "Left: a single picture is the likelier, the fewer white pixels it has. Right: yet most draws have 2 to 4."
show(lesson_22.single_and_all(share_of_count), "22_likeliest", caption)

# %% [markdown]
# No single picture is likelier than the black one. And yet hardly any draw is black, because there are 560 pictures
# with three white pixels and only one with none. To be *likely* is a property of a single picture. To be *usual* is a
# property of the many pictures of its kind, taken together. Among pictures of 432 sub-pixels each kind has far more
# members. So a low surprise does not say that a picture is usual. The picture may just be simple.
#
# ## Second try: subtract what a picture's detail costs
#
# How simple is a picture? We need a second opinion, by something that has never seen shapes: a file compressor.
# `zlib` makes long runs and repetitions short, in pictures of anything. A compressed length is a cost in bits, as
# $-\log_2 p$ is. So we can subtract one from the other, and we call the difference **oddness**:
#
# $$\text{oddness}(x) = -\ln p(x) - \text{compressed length of } x \text{, in nats}$$
#
# It says how much more the model pays for this picture than a general compressor does. For a usual picture the model
# pays much less, since it knows such pictures well, and its oddness is low. An empty picture is cheap for both, so
# its oddness is not low. The figure shows all pictures of the second folder, with both costs as their coordinates.


# %%
def compressed_nats(image):
    """The length of a picture in nats, once zlib has compressed it."""
    content = image.tobytes()
    return 8 * np.log(2) * len(zlib.compress(content, 9))


length = np.array([compressed_nats(image) for image in second_folder.images])
oddness = surprise - length
by_oddness = {kind: auc(oddness, kind) for kind in stranger_kinds}
print("AUC         surprise  oddness")
for kind in stranger_kinds:
    print(f"{kind:10} {by_surprise[kind]:9.3f} {by_oddness[kind]:8.3f}")
caption = (
    "All points of the dotted line are equally odd; above it are the pictures that are odder than 95 % of the usual."
)
show(lesson_22.two_costs(length, surprise, kinds), "22_two_costs", caption)

# %% [markdown]
# The empty pictures are found now. For other kinds oddness can be a little worse than the plain surprise: a cross has
# more detail than a square, so `zlib` needs more nats for it, and these are subtracted. The usual pictures form two
# groups for the same reason: squares are cheap for `zlib`, as many of their rows are alike. That is the price of one
# score for all kinds of strangers. [docs/results.md](../docs/results.md#odd-pictures) compares seven scores on three
# sets of pictures: no score is the best on all three, and this one is near the best on each. In the library it is
# `mp.oddness(model, images, labels)`.
#
# The misplaced triangles are hard to find by their oddness. They are good triangles, and only their label is wrong;
# that costs the model some nats, but the usual pictures differ by as much among themselves. Whether a label is wrong
# is another question, and lesson 10 has its answer: ask the model under which class a picture is likeliest. You will
# do it in exercise 4.
#
# With a folder of your own you would sort the pictures by oddness, and look at the first ones.

# %%
order = oddness.argsort()[::-1]
caption = "The second folder, sorted: the oddest picture comes first, the most usual one last. A dot marks strangers."
show(lesson_22.ranking(second_folder.images[order], kinds[order], ds.levels), "22_ranking", caption)
first = kinds[order][: 6 * STRANGERS]
print(f"of the {len(first)} oddest pictures {(first != 'usual').sum()} are strangers")

# %%
workplace.cleanup()

# %% [markdown]
# With pictures of your own, the same steps are three commands, which [docs/pictures.md](../docs/pictures.md) explains:
#
# ```sh
# minipixel train --data FOLDER --size 12 --levels 8 --conditional --out run
# minipixel sample run/model.safetensors -n 10 --label disc --out discs/
# minipixel evaluate run/model.safetensors --data SECOND --split all --score --csv scores.csv
# ```
#
# ## What you should see

# %%
assert ds.classes == ("disc", "square", "triangle")
assert before <= after
assert np.array_equal(from_files.images[by_name], drawn)  # the files hold exactly the levels that were drawn
assert again.pictures["classes"] == ["disc", "square", "triangle"]
assert np.array_equal(again.sample(3, np.arange(3), rng=SEED), model.sample(3, np.arange(3), rng=SEED))
assert white[probability.argmax()] == 0 and share_of_count.argmax() == 3
assert np.isclose(probability.max(), 0.8**16) and (white == 3).sum() == 560
assert np.allclose(oddness, mp.oddness(model, second_folder.images, second_folder.labels))
assert by_surprise["noise"] > 0.99
assert by_surprise["empty"] < 0.3
if not QUICK:
    mp.assert_causal(model)
    assert bits < 0.35
    assert by_surprise["empty"] < 0.02 and by_oddness["empty"] > 0.85
    assert min(by_oddness[kind] for kind in ("ring", "cross", "bright", "noise")) > 0.8
    assert by_oddness["misplaced"] < by_surprise["misplaced"]
    assert (first != "usual").mean() > 0.65

# %% [markdown]
# ## Exercises
#
# Solutions: [solutions/22_your_own_pictures.py](solutions/22_your_own_pictures.py).
#
# 1. *easy* Put two bad files into a folder: a text file that is called `note.png`, and a picture file of which the
#    second half is missing. What happens when the folder is read, and what happens with `strict=True`?
# 2. *easy* In the model of two lines, let each pixel be white with probability 0.5. Which picture is the likeliest
#    now? Can surprise tell any picture from any other?
# 3. *medium* Read a folder with one picture, which has every shade from 0 to 255, with 2, 4, 8 and 256 levels. Give a
#    bound for how far a shade can move when it becomes a level and then a shade again, and show that no shade moves
#    further.
# 4. *medium* Find misplaced pictures in another way: by Bayes, as in lesson 10. Under which class is each picture of
#    a folder likeliest, and which pictures lie in the folder of another class?
# 5. *hard* **Typicality** is the distance of a picture's surprise from the mean surprise of usual pictures, to either
#    side. Take the model of two lines, and a limit within which at least 90 % of the draws fall. Work out by
#    enumeration which of the 65,536 pictures lie beyond it. Which odd pictures can typicality never find?
