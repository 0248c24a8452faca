"""Finding a data set's files: in a folder the user names, in the cache, or on the network."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from minipixel.datasets.dataset import Folder
from minipixel.errors import FormatError

T = TypeVar("T")


def fetch(name: str, dataset: str, root: Folder | None, mirrors: Sequence[str], read: Callable[[Path], T]) -> T:
    """Find or download the file `name` (or `name`.gz) of a data set and return `read` of its path.

    Looks in `root` and its subfolder `dataset`, and nowhere else if `root` is given; else in `$MINIPIXEL_DATA` and its
    subfolder; else in the user's cache, to which the file is downloaded if it is not there.
    `read` raises FormatError for a file that is not the right one. Raises FileNotFoundError if `root` lacks the file,
    ConnectionError if no mirror answers, FormatError if those that do answer serve something else.
    """
    given = root if root is not None else os.environ.get("MINIPIXEL_DATA") or None
    if given is not None:
        folder = Path(given).expanduser()
        if path := _find(name, folder, folder / dataset):
            return read(path)
        if root is not None:
            raise FileNotFoundError(
                f"{dataset}: no {name} or {name}.gz in {folder} or {folder / dataset}, wanted one of them; "
                "without root= it is downloaded"
            )
    cache = cache_folder(dataset)
    if path := _find(name, cache):
        return read(path)
    return _download(f"{name}.gz", dataset, cache, mirrors, read)


def cache_folder(dataset: str) -> Path:
    """Return the folder of the user's cache (the system's usual place) in which a data set's files are kept."""
    import pooch

    return Path(pooch.os_cache("minipixel")) / dataset


def _find(name: str, *folders: Path) -> Path | None:
    """Find the file, plain or gzipped, in the first folder that has it."""
    paths = (folder / file for folder in folders for file in (name, f"{name}.gz"))
    return next((path for path in paths if path.is_file()), None)


def _download(file: str, dataset: str, cache: Path, mirrors: Sequence[str], read: Callable[[Path], T]) -> T:
    """Try the mirrors in turn; only a file that `read` accepts ever gets its name in the cache."""
    import pooch

    cache.mkdir(parents=True, exist_ok=True)
    temporary = cache / f".{file}.{os.getpid()}.part"
    failures: list[tuple[str, OSError | FormatError]] = []
    for mirror in mirrors:
        url = mirror + file
        pooch.get_logger().info("Downloading %s to %s", url, cache)
        try:
            # The downloader alone: pooch.retrieve wants the digest of the gzip file, which differs between mirrors.
            # Unstreamed, for it leaves a streamed answer open when that is an error; 10 MB fit in memory.
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
        f"{dataset}: could not get {file} from {tried}; expected the original file, which can be put in {cache} by hand"
    ) from failures[-1][1]


def _reason(error: OSError | FormatError) -> str:
    """Say in a word or two why a download failed; the whole story is in the exception's __cause__."""
    if isinstance(error, FormatError):
        return "another file"
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    return error.strerror or type(error).__name__  # "No space left on device", "ConnectionError"
