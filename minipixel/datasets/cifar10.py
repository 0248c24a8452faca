"""CIFAR-10 in its binary version: each record is one byte for the class, then 3,072 for the picture, by colours.

Format: https://www.cs.toronto.edu/~kriz/cifar.html (under "Binary version")
"""

import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.datasets.dataset import Dataset, Folder, Split
from minipixel.datasets.fetch import fetch, folders
from minipixel.errors import FormatError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE = "cifar-10-binary.tar.gz"
INSIDE = "cifar-10-batches-bin"
URLS = (f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",)

# SHA-256. Of the archive, from TensorFlow Datasets, tensorflow_datasets/url_checksums/cifar10.txt
# (https://github.com/tensorflow/datasets); the set's own page, https://www.cs.toronto.edu/~kriz/cifar.html, gives its
# MD5, c32a1d4ab5d03f1284b67883e8d87530. Of the files in it, from torchvision-ruby, lib/torchvision/datasets/cifar10.rb
# (https://github.com/ankane/torchvision-ruby), which has the same one for the archive.
DIGESTS = {
    ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
BATCHES = tuple(name for name in DIGESTS if name != ARCHIVE)
RECORD = 1 + 3 * 32 * 32
MAX_BYTES = 10_000 * RECORD  # of one batch
MAX_ARCHIVE = 1 << 28  # the original has 170 MB


def load(root: Folder | None = None) -> Dataset:
    """Load CIFAR-10: photographs of ten kinds of things, (32, 32, 3) with 256 levels.

    There are 45,000 images to train on, 5,000 to validate, and 10,000 to test. The validation images are every tenth of
    the original's 50,000 training images (index % 10 == 9).

    It reads either the archive, cifar-10-binary.tar.gz, or the six files that are in it, data_batch_1.bin and so on,
    which may be in their folder cifar-10-batches-bin. They are looked for in `root`/cifar10 and `root`; without `root`
    in `$MINIPIXEL_DATA`, its cifar10/ first, then in the user's cache, to which the archive is downloaded (170 MB). The
    archive is never unpacked on the disk: its members are read into memory.
    Raises FileNotFoundError if `root` has neither, FormatError if a file is not the original, ConnectionError if a
    download is needed and the server does not answer.
    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    return load_from(root, DIGESTS, URLS)


def load_from(root: Folder | None, digests: Mapping[str, str], urls: Sequence[str]) -> Dataset:
    """Load the files that have these digests, downloading the archive from these URLs; `load` says the rest."""
    places = [place for folder in folders("cifar10", root) for place in (folder / INSIDE, folder)]
    place = next((place for place in places if all((place / batch).is_file() for batch in BATCHES)), None)
    if place is None:
        instead = f", or the six files in it, {BATCHES[0]} and so on"
        parts = fetch((ARCHIVE,), "cifar10", root, urls, lambda path: _read_archive(path, digests[ARCHIVE]), instead)
    else:
        parts = {batch: read_cifar10(place / batch, sha256=digests[batch]) for batch in BATCHES}
    *train, test = (Split(images, labels) for images, labels in parts.values())
    joined = Split(np.concatenate([part.images for part in train]), np.concatenate([part.labels for part in train]))
    return Dataset.from_train_and_test("cifar10", joined, test, levels=256, classes=CLASSES)


def read_cifar10(
    path: str | os.PathLike[str], *, sha256: str | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a batch in the binary version of CIFAR-10: images (N, 32, 32, 3) and labels (N,) in 0..9.

    `sha256` is the hex digest that the file must have. Raises FormatError if the file is not a whole number of records,
    or has more than 10,000 of them, a class above 9, or another digest; FileNotFoundError if there is no such file.
    """
    return decode_cifar10(str(path), read_content(path, MAX_BYTES, sha256))


def decode_cifar10(name: str, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a batch that is in memory already; `name` is what to call it in an error. See `read_cifar10`."""
    if not content or len(content) % RECORD or len(content) > MAX_BYTES:
        raise FormatError(
            f"{name}: {len(content)} bytes, expected 1 to {MAX_BYTES // RECORD} records of {RECORD} (CIFAR-10, binary)"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0]
    if labels.max() >= len(CLASSES):
        first = int(np.argmax(labels >= len(CLASSES)))
        raise FormatError(f"{name}: record {first} is of class {labels[first]}, expected 0..{len(CLASSES) - 1}")
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images.copy(order="C"), labels.astype(np.int64)


def _read_archive(path: Path, sha256: str) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Read the six batches of the archive. Its digest is checked first, so `tarfile` only ever reads the original."""
    with tarfile.open(fileobj=io.BytesIO(read_content(path, MAX_ARCHIVE, sha256)), mode="r:gz") as archive:
        members = (archive.extractfile(f"{INSIDE}/{batch}") for batch in BATCHES)
        return {
            batch: decode_cifar10(f"{path}: {batch}", member.read(MAX_BYTES + 1) if member else b"")
            for batch, member in zip(BATCHES, members, strict=True)
        }
