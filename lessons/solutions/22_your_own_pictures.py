# %% [markdown]
# # Solutions of lesson 22, your own pictures
#
# The lesson is [22 Your own pictures](../22_your_own_pictures.py). Each solution begins with its exercise. The first
# two cells repeat what they need from the lesson.

# %%
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
workplace = tempfile.TemporaryDirectory()
place = Path(workplace.name)


# %%
def draw_shape(kind, rng):
    """A disc, a square or a triangle of one colour on a dark ground: 48 x 48 pixels."""
    picture = Image.new("RGB", (48, 48), (20, 30, 60))
    pen = ImageDraw.Draw(picture)
    size = rng.uniform(10, 17)
    x, y = rng.uniform(size, 48 - size, 2)
    if kind == "disc":
        pen.ellipse((x - size, y - size, x + size, y + size), fill=(250, 200, 60))
    if kind == "square":
        pen.rectangle((x - size, y - size, x + size, y + size), fill=(250, 200, 60))
    if kind == "triangle":
        pen.polygon([(x, y - size), (x - size, y + size), (x + size, y + size)], fill=(250, 200, 60))
    return picture


# %% [markdown]
# ## Exercise 1
# > Put two bad files into a folder: a text file that is called `note.png`, and a picture file of which the second
# > half is missing. What happens when the folder is read, and what happens with `strict=True`?
#
# Each bad file is named in a warning and left out, and the good pictures are read. With `strict=True` the first bad
# file is an error.

# %%
rng = np.random.default_rng(0)
folder = place / "with bad files"
folder.mkdir()
for number in range(12):
    draw_shape("disc", rng).save(folder / f"{number}.png")
whole = (folder / "0.png").read_bytes()
(folder / "half.png").write_bytes(whole[: len(whole) // 2])
(folder / "note.png").write_text("not a picture")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    ds = mp.datasets.from_folder(folder, levels=8)
for warning in caught:
    print(str(warning.message).replace(str(place), ""))
said = " ".join(str(warning.message) for warning in caught)
assert len(ds.everything().images) == 12
assert "half.png" in said and "note.png" in said
try:
    mp.datasets.from_folder(folder, levels=8, strict=True)
except mp.FormatError as error:
    print("strict:", str(error).replace(str(place), ""))
else:
    raise AssertionError("a bad file was read")

# %% [markdown]
# ## Exercise 2
# > In the model of two lines, a picture has 4 x 4 pixels, each of them white with probability 0.2. Let this be 0.5.
# > Which picture is the likeliest now? Can surprise tell any picture from any other?
#
# Every picture now has the probability $2^{-16}$. All are equally likely, and the surprise of each is $16 \ln 2$: it
# tells no picture from any other. A compressor still finds some of them simple, and these have the highest oddness.
# Among coin flips the black picture would catch our eye, although it is as likely as any other picture.

# %%
numbers = np.arange(2**16)
pictures = (numbers[:, None] >> np.arange(16)) & 1
white = pictures.sum(axis=1)
probability = 0.5**white * 0.5 ** (16 - white)
assert np.allclose(probability, 2.0**-16)
assert np.allclose(-np.log(probability), 16 * np.log(2))

# %% [markdown]
# ## Exercise 3
# > Read a folder with one picture, which has every shade from 0 to 255, with 2, 4, 8 and 256 levels. Give a bound for
# > how far a shade can move when it becomes a level and then a shade again, and show that no shade moves further.
#
# A level is a band of $256 / Q$ shades. When a level becomes a shade again, it becomes one of its own band, since
# reading that shade gives the level back. So a shade moves by less than the width of a band: by at most
# $256 / Q - 1$. With 256 levels nothing moves.

# %%
shades = np.arange(256, dtype=np.uint8).reshape(16, 16)
(place / "shades").mkdir()
Image.fromarray(shades).save(place / "shades" / "all.png")
for levels in (2, 4, 8, 256):
    images = mp.datasets.from_folder(place / "shades", levels=levels).everything().images
    path = mp.save_pictures(images, place / f"{levels}.png", levels)[0]
    back = np.asarray(Image.open(path)).astype(int)
    moved = np.abs(back - shades).max()
    print(f"{levels:3} levels: a shade moves by up to {moved}, the bound is {256 // levels - 1}")
    assert moved <= 256 // levels - 1

# %% [markdown]
# ## Exercise 4
# > Find misplaced pictures by Bayes, as in lesson 10. Under which class is each picture of a folder likeliest, and
# > which pictures lie in the folder of another class?
#
# The class under which a picture is likeliest is what the model reads in it. A picture is suspected if this is not
# the name of its folder. Here ten triangles lie among the squares.

# %%
rng = np.random.default_rng(1)
PER_CLASS = 60 if QUICK else 200
for folder in ("disc", "square", "triangle"):
    for part, count in (("train", PER_CLASS), ("second", 20)):
        (place / part / folder).mkdir(parents=True)
        for number in range(count):
            draw_shape(folder, rng).save(place / part / folder / f"usual-{number}.png")
for number in range(10):
    draw_shape("triangle", rng).save(place / "second" / "square" / f"misplaced-{number}.png")

ds = mp.datasets.from_folder(place / "train", size=8, levels=4, channels=1)
second = mp.datasets.from_folder(place / "second", size=8, levels=4, channels=1).everything()
model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=16, blocks=2, num_classes=3, rng=SEED)
optimizer = mp.optim.Adam(4e-3)
options = {"epochs": 4 if QUICK else 20, "batch_size": 16, "optimizer": optimizer, "rng": SEED, "progress": False}
mp.fit(model, ds.train.images, ds.train.labels, **options)

# %%
N = len(second.images)
log_p = np.stack([model.log_prob(second.images, np.full(N, label)) for label in range(3)])
read = log_p.argmax(axis=0)
suspected = read != second.labels
misplaced = np.array(["misplaced" in name for name in second.files])
caught_share = suspected[misplaced].mean()
false_alarms = suspected[~misplaced].mean()
print(f"{caught_share:.0%} of the misplaced pictures are suspected, and {false_alarms:.0%} of the others")
assert caught_share > false_alarms
if not QUICK:
    assert caught_share > 0.7 and false_alarms < 0.2

# %% [markdown]
# ## Exercise 5
# > **Typicality** is the distance of a picture's surprise from the mean surprise of usual pictures, to either side.
# > Take the model of two lines, and a limit within which at least 90 % of the draws fall. Work out by enumeration
# > which of the 65,536 pictures lie beyond it. Which odd pictures can typicality never find?
#
# In this model the surprise depends on the number of white pixels only: a black picture has $-16 \ln 0.8$, and each
# white pixel adds $\ln 4$. The mean number of white pixels is 3.2, so the distance from the mean surprise is $\ln 4$
# times the distance of the number of white pixels from 3.2. The limit cuts off both ends: pictures with no white
# pixel, or with more than six. So the black picture is found.
#
# What typicality can never find is a picture with the right number of white pixels in an unusual arrangement: three
# white pixels in a row are as typical as any three. To this model they are not odd, since all arrangements are
# equally likely. But the same holds for every model: a strange picture passes if its surprise happens to be that of
# usual pictures.

# %%
probability = 0.2**white * 0.8 ** (16 - white)
surprise = -np.log(probability)
mean_surprise = (probability * surprise).sum()
distance = np.abs(surprise - mean_surprise)
assert np.isclose(mean_surprise, -16 * np.log(0.8) + 3.2 * np.log(4))
assert np.allclose(distance, np.log(4) * np.abs(white - 3.2))

nearest_first = distance.argsort(kind="stable")
passing = probability[nearest_first].cumsum()
limit = distance[nearest_first][np.searchsorted(passing, 0.9)]
odd = distance > limit + 1e-9
for count in range(17):
    print(f"{count:2} white pixels: {'odd' if odd[white == count].all() else 'usual'}")
print(f"{probability[~odd].sum():.1%} of the draws pass")
assert probability[~odd].sum() >= 0.9
assert odd[white == 0].all() and odd[white >= 7].all()
assert not odd[(white >= 1) & (white <= 6)].any()
three_in_a_row = pictures[:, :3].all(axis=1) & (white == 3)
assert three_in_a_row.sum() == 1 and not odd[three_in_a_row].any()

# %%
workplace.cleanup()
