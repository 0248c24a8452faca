"""The cache of folders: its files are whole, are removed when nobody uses them, and are mapped, not copied."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from picture_files import saved, smooth

import minipixel as mp
from minipixel.datasets import from_folder, store

rng = np.random.default_rng(0)
COLOURS = [rng.integers(256, size=(6, 6, 3), dtype=np.uint8) for _ in range(12)]


@pytest.fixture(autouse=True)
def cache(caches):
    return caches / "pictures"


def fill(folder, *files):
    """Write files (name, content) into a folder."""
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def numbered(pictures, kind="PNG"):
    return [(f"{n:02}.png", saved(picture, kind)) for n, picture in enumerate(pictures)]


def test_the_header_leaves_every_pixel_alone(tmp_path):
    """Of the largest set that there may be it has the length that was left for it."""
    for shape in [(1, 1, 1, 1), (10**10, 65535, 65535, 4)]:
        file = io.BytesIO()
        rows = store.Rows(file, 255)
        rows.count, rows.shape, rows.dtype = shape[0], shape[1:], np.dtype(np.uint16)
        rows.finish()
        assert len(file.getvalue()) == store.HEADER


def test_a_disk_that_fills_up(tmp_path, monkeypatch, cache):
    """In the middle of writing: nothing is left behind, and the pictures are there."""
    append = store.Rows.append

    def full(rows, image):
        if rows.count == 5 and hasattr(rows.file, "fileno") and not isinstance(rows.file, io.BytesIO):
            raise OSError(28, "No space left on device")
        append(rows, image)

    monkeypatch.setattr(store.Rows, "append", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        ds = from_folder(fill(tmp_path / "set", *numbered(COLOURS)))
    assert len(ds.everything().images) == 12 and not list(cache.iterdir())


def test_what_is_not_used_is_removed(tmp_path, cache):
    from_folder(fill(tmp_path / "set", *numbered(COLOURS)))
    (old,) = cache.glob("*.json")
    os.utime(old, (0, 0))
    from_folder(tmp_path / "set", 3)
    assert not old.exists() and len(list(cache.iterdir())) == 2
    (kept,) = cache.glob("*.json")
    os.utime(kept, (0, 0))
    from_folder(tmp_path / "set", 3)  # use makes it young again
    from_folder(tmp_path / "set", 2)
    assert kept.exists()


def test_what_a_killed_process_had_begun_is_removed(tmp_path, cache):
    """After a day: a younger one may be another process's, which is writing it."""
    cache.mkdir(parents=True, exist_ok=True)
    abandoned, fresh = cache / ".x.npy.0123abcd.part", cache / ".y.npy.0123abcd.part"
    for part in (abandoned, fresh):
        part.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    from_folder(fill(tmp_path / "set", *numbered(COLOURS)))
    assert fresh.exists() and not abandoned.exists()


PROGRAM = """
import sys
import numpy as np
import minipixel as mp
from minipixel.datasets import store
store.IN_MEMORY = 1 << 20
ds = mp.datasets.from_folder(sys.argv[1], 256)
assert not ds.train.images.flags.writeable and len(ds.train.images) > 200
model = mp.models.PixelCNN((256, 256, 3), 256, hidden=3, blocks=1, head="logistic_mixture", mixtures=1)


from minipixel.training.training import _fingerprint
from minipixel.training.chosen import Chosen
anonymous = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1])
start = anonymous()
images = ds.train.images
assert np.shares_memory(model.checked(images, None)[0], images)
chosen = Chosen(images, np.arange(len(images))[::-1])
_fingerprint(images), _fingerprint(chosen), chosen[[3, 5]]
print(anonymous() - start, images.nbytes // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_folder_is_never_in_memory(tmp_path):
    """It is mapped, and what a training does with all of it at once copies none of it."""
    for n in range(300):
        fill(tmp_path / "set", (f"{n}.bmp", saved(smooth(16, 16, rng), "BMP")))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "set")]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "own")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    grown, size = map(int, done.stdout.split())
    assert size > 40_000 and grown < size / 2


@pytest.mark.parametrize("validation", [None, 0.2])
def test_a_mapped_set_trains_to_the_same_bits(tmp_path, monkeypatch, validation):
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    images = from_folder(fill(tmp_path, *numbered([picture[..., 0] for picture in COLOURS])), levels=4).train.images
    assert not images.flags.owndata and not images.flags.writeable

    def trained(images):
        model = mp.models.PixelCNN((6, 6, 1), 4, hidden=2, blocks=1)
        history = mp.fit(model, images, validation=validation, epochs=2, batch_size=4, progress=False)
        return model.state_dict(), history.history["loss"]

    (mapped, losses), (copied, wanted) = trained(images), trained(images.copy())
    assert losses == wanted and all(np.array_equal(mapped[name], copied[name]) for name in mapped)
