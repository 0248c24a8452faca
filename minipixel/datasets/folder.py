"""A folder of pictures as a data set: its subfolders are classes, and a hash of each file decides its split."""

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minipixel import console
from minipixel.datasets.dataset import Dataset, Folder
from minipixel.datasets.pictures import MAX_BYTES, decode_picture, format_of
from minipixel.datasets.places import check_split, key_of, place_of, random_of
from minipixel.datasets.preparation import Preparation, check_preparation
from minipixel.datasets.splits import dataset
from minipixel.datasets.store import Bad, Rows, stored
from minipixel.errors import FormatError, visible
from minipixel.files import open_regular
from minipixel.models.checks import check_flag
from minipixel.spelling import spelled

VERSION = 2  # of what is in the cache: a higher one makes all of it anew
NAMED = 20  # bad files that are named, before the rest is only counted
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}  # they are no classes

# Names by which a file claims to be a picture: one of them that is none is a bad file, and any other no picture at all.
PICTURES = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".apng"),
    *(".heic", ".heif", ".avif", ".jp2", ".psd", ".ico", ".tga", ".ppm", ".pgm", ".exr", ".dng", ".raw"),
}

T = TypeVar("T")


@dataclass(frozen=True)
class _File:
    path: str
    name: str  # below the folder, with its class
    digest: bytes = b""

    @property
    def of_class(self) -> str:
        """The name of its subfolder, or "." without one; accents are written alike on all file systems."""
        first, separator, _ = self.name.partition("/")
        return unicodedata.normalize("NFC", first) if separator else "."


@spelled
def from_folder(
    path: Folder,
    size: int | tuple[int, int] | None = None,
    *,
    channels: int | None = None,
    levels: int = 256,
    crop: str = "centre",
    background: Any = None,
    split: float = 0.1,
    strict: bool = False,
    rng: Any = 0,
) -> Dataset:
    """Read a folder of pictures as a data set of images (N, H, W, C) in 0..levels-1.

    PNG, JPEG, GIF, BMP, WebP and TIFF files are recognised by their content, not by their names.

    - `size` is the size to which each picture is scaled, one number or (H, W); None if all have one size already.
      `crop` says what happens to pictures of another shape: "centre" and "random" cut off parts of them, and "stretch"
      distorts them.
    - `channels` is 1 (grey), 3 (colours) or 4 (with alpha). None stands for 1 if all pictures are grey, for 4 if one is
      transparent and `background` is None, and else for 3. `background` is the colour that shows through transparent
      pictures: "white", (255, 128, 0) or 0, for example.
    - `levels` is Q. Up to 256 levels are uint8, cut evenly from 8 bits; up to 65,536 are uint16, cut evenly from 16.
    - Subfolders are classes, numbered in alphabetical order; they may have subfolders of their own. Pictures directly
      in the folder have the class ".". Hidden files and folders, and files that are no pictures, are left out.
    - `split` is the share of test pictures. A hash of a file's content decides its split, so adding files does not
      move others to another split, and copies of a file are in the same one. Another `rng`, a number say, gives another
      split, and other random crops.
    - A damaged file is left out, with a warning that names it; `strict=True` raises a FormatError instead.

    The prepared images are stored in the user's cache, so a second call is fast; more than 256 MB of them stay on the
    disk as a read-only memory map. The images are in the order of their hashes. The set's `pictures` says how it was
    prepared; after `model.pictures = ds.pictures` a model file has it too.
    Raises ValueError for arguments of another kind or range, for pictures of several sizes without `size`, for
    transparent ones with `channels` 1 or 3 and no `background`, and for a folder without pictures; FileNotFoundError
    or NotADirectoryError if there is no such folder.
    """
    return read_folder(
        path,
        check_preparation(size, channels, levels, crop, background),
        check_split(split),
        key_of(rng),
        check_flag("strict", strict),
    )


def pictures_in(path: Folder) -> list[str]:
    """The paths of all pictures below a folder, in the order of their names, damaged ones too; ValueError for none."""
    bad: dict[str, str] = {}
    files = [file.path for file in _walked(Path(path)) if _looked_at(file, bad, strict=False) or file.path in bad]
    if not files:
        raise ValueError(_no_pictures(path))
    return files


def read_folder(path: Folder, preparation: Preparation, split: float, key: bytes, strict: bool = False) -> Dataset:
    """The same as `from_folder` with arguments that were checked, and with the key of the hash."""
    folder = Path(path).expanduser()
    bad: dict[str, str] = {}
    looked_at = (_looked_at(file, bad, strict) for file in _progress(_walked(folder), "reading"))
    found = [file for file in looked_at if file is not None]
    if not found and not bad:
        raise ValueError(_no_pictures(folder))
    found.sort(key=lambda file: (place_of(file.digest, key), file.digest, file.name))

    def write(rows: Rows) -> Bad:
        return _prepared(found, preparation, key, strict, rows)

    images, unreadable = stored(_cache_key(found, preparation, key), preparation.levels - 1, write)
    for file in found:
        if reason := unreadable.get(file.digest.hex()):
            _note_bad(file, reason, bad, strict)
    good = [file for file in found if file.digest.hex() not in unreadable]
    _warn(folder, bad, len(good) + len(bad))
    if not good:
        raise ValueError(f"{visible(folder)}: got {len(bad)} pictures, none of which can be read, wanted one at least")
    classes = tuple(sorted({file.of_class for file in good}))
    if len(classes) > 1 and {name.casefold() for name in classes} <= SPLITS:
        console.warn(
            f"{visible(folder)}: got subfolders {visible(', '.join(classes))}, which are read as classes, since the "
            "content of pictures decides their split; if they are splits, pass one of them",
            stacklevel=4,
        )
    number = {name: label for label, name in enumerate(classes)}
    return dataset(
        folder.resolve().name or str(folder),
        images,
        np.array([number[file.of_class] for file in good], np.int64),
        np.array([place_of(file.digest, key) for file in good]),
        split,
        preparation.levels,
        classes,
        files=tuple(file.path for file in good),
        pictures={**_prepared_as(preparation, images.shape), "split": split, "key": key.hex()},
    )


def _no_pictures(folder: Folder) -> str:
    return f"{visible(folder)}: got a folder without pictures, wanted PNG, JPEG, GIF, BMP, WebP or TIFF"


def _prepared_as(preparation: Preparation, shape: tuple[int, ...]) -> dict[str, Any]:
    """The preparation in the types of JSON, with the size and the number of channels that the images have."""
    told = {"size": list(shape[1:3]), "channels": shape[3]}
    return {**asdict(preparation), **told, "background": preparation.background and list(preparation.background)}


def _walked(folder: Path) -> Iterator[_File]:
    """All files below a folder that are not hidden, in order of names; a folder with several links comes once.

    Raises FileNotFoundError, NotADirectoryError and PermissionError for the folder itself.
    """
    waiting, seen = [(os.fspath(folder), "")], set[tuple[int, int]]()
    while waiting:
        place, name = waiting.pop()
        try:
            status = Path(place).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                inside = sorted((entry for entry in entries if not _hidden(entry.name)), key=lambda entry: entry.name)
        except OSError as error:
            if not name:
                if isinstance(error, NotADirectoryError):
                    raise NotADirectoryError(
                        error.errno, "got a file, wanted a folder of pictures; unpack an archive first", place
                    ) from None
                raise
            console.warn(f"{visible(place)}: {error.strerror}; the folder is left out", stacklevel=6)
            continue
        below = []
        for entry in inside:
            inner = f"{name}{entry.name}"
            if _is_folder(entry):
                below.append((entry.path, f"{inner}/"))
            else:
                yield _File(entry.path, inner)
        waiting += reversed(below)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: what claims to be a picture is then named as a bad file
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _looked_at(file: _File, bad: dict[str, str], strict: bool) -> _File | None:
    """The file with the digest of its content; None if it is no picture, or if it cannot be read, noted in `bad`."""
    claims = Path(file.path).suffix.lower() in PICTURES
    try:
        opened, size = open_regular(file.path, 1 << 62)
        with opened:
            if format_of(opened.read(16)) is None and not claims:
                return None
            if size > MAX_BYTES:
                raise FormatError(f"{file.path}: got a file of {size} bytes, expected at most {MAX_BYTES}")
            opened.seek(0)
            return _File(file.path, file.name, hashlib.file_digest(opened, "sha256").digest())  # type: ignore[arg-type]
    except (OSError, FormatError) as error:
        if claims or isinstance(error, OSError):
            _note_bad(file, _reason(file, error), bad, strict)
        return None


def _reason(file: _File, error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.removeprefix(f"{visible(file.path)}: ")


def _note_bad(file: _File, reason: str, bad: dict[str, str], strict: bool) -> None:
    if strict:
        raise FormatError(f"{file.path}: {reason}")
    bad[file.path] = reason


def _prepared(found: list[_File], preparation: Preparation, key: bytes, strict: bool, rows: Rows) -> Bad:
    """Write the images of all files that can be read; returns why the others cannot be read."""
    bad: Bad = {}
    first: tuple[_File, tuple[int, ...]] | None = None
    for file in _progress(found, "preparing"):
        try:
            pixels = decode_picture(file.path, _content(file))
        except (OSError, FormatError) as error:
            if strict:
                raise
            bad[file.digest.hex()] = _reason(file, error)
            continue
        first = first or (file, pixels.shape[:2])
        if preparation.size is None and pixels.shape[:2] != first[1]:
            raise ValueError(_several_sizes(first, (file, pixels.shape[:2])))
        try:
            image = preparation.of(pixels, random_of(file.digest, key))
        except ValueError as error:
            raise ValueError(f"{visible(file.path)}: {error}") from None
        rows.append(image)
    return bad


def _content(file: _File) -> bytes:
    opened, size = open_regular(file.path, MAX_BYTES)
    with opened:
        content = opened.read(size)
    if hashlib.sha256(content).digest() != file.digest:
        raise FormatError(f"{file.path}: got other bytes than a moment ago, expected a file that nobody writes to")
    return content


def _several_sizes(one: tuple[_File, tuple[int, ...]], other: tuple[_File, tuple[int, ...]]) -> str:
    (a, (h, w)), (b, (H, W)) = one, other
    return (
        f"size: got None for pictures of several sizes, {visible(a.name)} of {h}x{w} and {visible(b.name)} of {H}x{W} "
        f"(height x width), wanted one; size={min(h, w, H, W)}, say, scales all to that"
    )


def _warn(folder: Path, bad: dict[str, str], count: int) -> None:
    """Warn of the damaged files by name, and of how many there are."""
    for path, reason in list(bad.items())[:NAMED]:
        console.warn(f"{visible(path)}: {reason}; left out", stacklevel=5)
    if bad:
        some = f", of which {NAMED} are named" * (len(bad) > NAMED)
        console.warn(f"{visible(folder)}: {len(bad)} of {count} pictures are left out{some}", stacklevel=5)


def _cache_key(found: list[_File], preparation: Preparation, key: bytes) -> str:
    """A key for all that the images depend on: the files' content, the preparation, and the library's versions."""
    import PIL

    digest = hashlib.sha256(json.dumps([VERSION, PIL.__version__, asdict(preparation), key.hex()]).encode())
    for file in found:
        digest.update(file.digest)
    return digest.hexdigest()


def _progress(things: Any, what: str) -> Any:
    """A bar on a terminal, if it takes longer than a second."""
    from tqdm import tqdm

    quiet = not console.stderr.isatty()
    return tqdm(
        things, what, file=console.stderr, disable=quiet, leave=False, delay=1, unit=" pictures", dynamic_ncols=True
    )
