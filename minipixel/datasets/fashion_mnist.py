"""Fashion-MNIST: clothes in place of digits, in the image shape and the four files of MNIST."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.datasets.dataset import Dataset, Folder
from minipixel.datasets.fetch import fetch
from minipixel.datasets.idx import decode_idx
from minipixel.datasets.mnist import spellings, splits

# SHA-256 of the packed files, as published by TensorFlow Datasets in tensorflow_datasets/url_checksums/
# fashion_mnist.txt (https://github.com/tensorflow/datasets). The set's own page, https://github.com/zalandoresearch/
# fashion-mnist, gives their MD5: 8d4fb7e6c68d591d4c3dfef9ec88bf0d, 25c81989df183df01b3e8a0aad5dffbe,
# bef4ecab320f06d8554ea6380940ec79, bb300cfdad3c16e7a12a480ee83cd310. Nobody publishes one of what is inside.
DIGESTS = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
)
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
MAX_BYTES = 1 << 25  # of a packed file; the largest has 26 MB


def load(root: Folder | None = None) -> Dataset:
    """Load Fashion-MNIST: grey pictures of clothes, (28, 28, 1) with 256 levels.

    There are 54,000 images to train on, 6,000 to validate, and 10,000 to test. The validation images are every tenth of
    the original's 60,000 training images (index % 10 == 9).

    The four files have the names of MNIST's, always with `.gz`, because the published digests are of the packed files.
    They are looked for in `root`/fashion_mnist, `root`/FashionMNIST/raw (torchvision's) and `root`; without `root` in
    `$MINIPIXEL_DATA`, its fashion_mnist/ first, then in the user's cache, to which missing files are downloaded (31 MB
    in all).
    Raises FileNotFoundError if `root` lacks a file, FormatError if a file is not the original, ConnectionError if a
    download is needed and no mirror answers.
    Source: H. Xiao, K. Rasul, R. Vollgraf, https://github.com/zalandoresearch/fashion-mnist (MIT).
    """
    return load_from(root, DIGESTS, MIRRORS)


def load_from(root: Folder | None, digests: Mapping[str, str], mirrors: Sequence[str]) -> Dataset:
    """Load the four files that have these digests, downloading from these mirrors; `load` says the rest."""

    def array(name: str, dims: int) -> NDArray[np.uint8]:
        file = f"{name}.gz"
        return fetch(
            [f"{spelt}.gz" for spelt in spellings(name)],
            "fashion_mnist",
            root,
            [mirror + file for mirror in mirrors],
            lambda path: decode_idx(str(path), read_content(path, MAX_BYTES, digests[file]), dims),
        )

    return Dataset.from_train_and_test("fashion_mnist", *splits(array), levels=256, classes=CLASSES)
