"""Finding a data set's files: in a folder the user names, in the cache, or on the network."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from minipixel.datasets.dataset import Folder
from minipixel.errors import FormatError

T = TypeVar("T")


# Where else the files of a set may lie: as torchvision leaves them below its root.
LAYOUTS = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}


def fetch(
    names: Sequence[str],
    dataset: str,
    root: Folder | None,
    urls: Sequence[str],
    read: Callable[[Path], T],
    instead: str = "",
) -> T:
    """Find or download a file of a data set, which may have any of these names, and return `read` of its path.

    The file is looked for in the folders of `folders`. If it is in none of them, and no `root` is given, it is
    downloaded to the cache from the first of the `urls` that serves it, under the last of the names. `instead` is for
    the error message: other files that would do.
    `read` raises FormatError for a file that is not the right one. Raises FileNotFoundError if `root` lacks the file,
    ConnectionError if no server answers, FormatError if those that do answer serve something else.
    """
    places = folders(dataset, root)
    path = next((place / name for place in places for name in names if (place / name).is_file()), None)
    if path is not None:
        return read(path)
    missing = f"{' or '.join(names)} in {' or '.join(map(str, places))}"
    if root is not None:
        wanted = ("it" if len(names) == 1 else "one of them") + instead
        source = f" from {urls[0]}" if urls else ""
        there = "" if Path(root).expanduser().is_dir() else f", and {root} is no folder"
        raise FileNotFoundError(
            f"{dataset}: no {missing}{there}, wanted {wanted}; without root= it is downloaded{source}"
        )
    return _download(names[-1], dataset, cache_folder(dataset), urls, read, missing)


def folders(dataset: str, root: Folder | None) -> list[Path]:
    """List the folders in which a data set's files are looked for, in order.

    They are the subfolders of `root` that are named after the set, or as in LAYOUTS, then `root` itself. Without `root`
    they are the same folders of `$MINIPIXEL_DATA`, then the cache. Subfolders come first, because some sets have files
    of the same name.
    """
    given = root if root is not None else os.environ.get("MINIPIXEL_DATA") or None
    below = [dataset, *([LAYOUTS[dataset]] if dataset in LAYOUTS else []), "."]
    places = [] if given is None else [Path(given).expanduser() / folder for folder in below]
    return places if root is not None else [*places, cache_folder(dataset)]


def cache_folder(dataset: str) -> Path:
    """Return the folder of the user's cache (the system's usual place) in which a data set's files are kept."""
    import pooch

    return Path(pooch.os_cache("minipixel")) / dataset


def _download(file: str, dataset: str, cache: Path, urls: Sequence[str], read: Callable[[Path], T], missing: str) -> T:
    """Download a file from the first URL that works. Only a file that `read` accepts gets its name in the cache.

    `missing` is for the error message: which file was not found, and where.
    """
    import pooch

    cache.mkdir(parents=True, exist_ok=True)
    temporary = cache / f".{file}.{os.getpid()}.part"
    failures: list[tuple[str, OSError | FormatError]] = []
    for url in urls:
        pooch.get_logger().info("Downloading %s to %s", url, cache)
        try:
            # The downloader alone: pooch.retrieve wants the digest of the file as it is sent, and MNIST's gzip differs
            # between mirrors. Unstreamed, for it leaves a streamed answer open when that is an error; the largest file
            # has 267 MB and fits in memory.
            pooch.HTTPDownloader(stream=False)(url, str(temporary), None)
            content = read(temporary)
            temporary.replace(cache / file)
            return content
        except (OSError, FormatError) as error:  # the errors of requests are OSErrors
            failures.append((url, error))
        finally:
            temporary.unlink(missing_ok=True)
    kind = FormatError if any(isinstance(error, FormatError) for _, error in failures) else ConnectionError
    tried = " or ".join(f"{url} ({_reason(error)})" for url, error in failures)
    raise kind(
        f"{dataset}: could not get {file} from {tried}; expected the original file, which can be put in {cache} by "
        f"hand; there is no {missing}"
    ) from failures[-1][1]


def _reason(error: OSError | FormatError) -> str:
    """Say in a word or two why a download failed; the whole story is in the exception's __cause__."""
    if isinstance(error, FormatError):
        return "another file"
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    return error.strerror or type(error).__name__  # "No space left on device", "ConnectionError"
