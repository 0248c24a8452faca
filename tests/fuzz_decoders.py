"""What the bytes of a file say, by decoders that share nothing with minipixel's: each a few lines, with no checks.

They are asked only about files that minipixel accepts, and an exception of theirs is then a failed test.
"""

import gzip
import hashlib
import io
import json
import tomllib
import warnings
import zlib

import numpy as np
import safetensors.numpy
from PIL import Image, ImageOps


def idx(content):
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    dims = content[3]
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    return {"": np.array(list(content[4 + 4 * dims :]), np.uint8).reshape(shape)}


def npy(content):
    stream = io.BytesIO(content)
    array = np.load(stream, allow_pickle=False)
    assert not stream.read(), "numbers are left over"
    return {"": array}


def npz(content):
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in ("a", "b")}


def bitmaps(content):
    return {"": npy(content)[""].reshape(-1, 28, 28, 1)}


def cifar10(content):
    records = [content[i : i + 3073] for i in range(0, len(content), 3073)]
    images = np.zeros((len(records), 32, 32, 3), np.uint8)
    for n, record in enumerate(records):
        assert len(record) == 3073 and record[0] < 10
        for colour in range(3):
            images[n, :, :, colour] = np.reshape(list(record[1 + 1024 * colour : 1025 + 1024 * colour]), (32, 32))
    return {"images": images, "labels": np.array([record[0] for record in records], np.int64)}


def png(content):
    """As `decode_png` should have it; None for what this page of Python does not know: what is odd, but no damage."""
    place, chunks = 8, []
    while not chunks or chunks[-1][0] != b"IEND":
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        kind, data = chunks[-1]
        assert kind == b"IEND" or zlib.crc32(kind + data).to_bytes(4, "big") == content[place + 8 + length :][:4]
        place += 12 + length
    kinds = [kind for kind, _ in chunks]
    header, first = chunks[0][1], kinds.index(b"IDAT")
    together = kinds[first : first + kinds.count(b"IDAT")] == [b"IDAT"] * kinds.count(b"IDAT")
    simple = (
        kinds.count(b"IHDR") == 1
        and kinds.count(b"PLTE") <= 1
        and b"tRNS" not in kinds
        and b"PLTE" not in kinds[first:]
    )
    W, H, depth, kind = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big"), header[8], header[9]
    if not simple or not together or header[10:13] != b"\0\0\0":
        return None
    C = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    unpack = zlib.decompressobj()
    packed = unpack.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    stride, near = -(-W * C * depth // 8), max(1, C * depth // 8)
    assert len(packed) >= H * (1 + stride)
    rows = [[0] * stride]
    for r in range(H):
        used, *row = packed[r * (1 + stride) : (r + 1) * (1 + stride)]
        for i in range(stride):
            left, up = row[i - near] if i >= near else 0, rows[-1][i]
            corner = rows[-1][i - near] if i >= near else 0
            closest = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
            row[i] = (row[i] + [0, left, up, (left + up) // 2, closest][used]) % 256
        rows.append(row)
    bits = "".join(f"{byte:08b}" for row in rows[1:] for byte in row)
    numbers = [
        [int(bits[start + i * depth :][:depth], 2) for i in range(W * C)]
        for start in range(0, 8 * stride * H, 8 * stride)
    ]
    pixels = np.array(numbers).reshape(H, W, C)
    if kind == 3:
        palette = next((data for name, data in chunks if name == b"PLTE"), b"")
        if len(palette) % 3 or pixels.max() >= len(palette) // 3:
            return None
        pixels = np.array([[list(palette[3 * i : 3 * i + 3]) for i in row] for row in pixels[..., 0].tolist()])
    else:
        top = 2**depth - 1
        pixels = pixels * (255 // top) if depth <= 8 else (pixels + 128) // 257
        if kind in (4, 6):
            assert (np.array(numbers).reshape(H, W, C)[..., -1] == top).all()
            pixels = pixels[..., :-1]
    whole = pixels[..., :1] if (pixels == pixels[..., :1]).all() else pixels
    return {"": whole.astype(np.uint8)}


def picture(content):
    """By Pillow alone, with its own way to turn a picture and to look up what it holds; None for 16 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(content))
        image.load()
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            return None
        pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
    colours = pixels[..., :3]
    colours = colours[..., :1] if (colours == colours[..., :1]).all() else colours
    return {"": colours if (pixels[..., 3] == 255).all() else np.concatenate([colours, pixels[..., 3:]], axis=2)}


def model(content):
    return safetensors.numpy.load(content)


def model_metadata(content):
    """The header of a model file, and the configuration and the digest in it."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    entry = json.loads(header["__metadata__"]["minipixel"])
    return header, entry["config"], entry["sha256"]


def model_digest(config, tensors):
    """As docs/decisions/0005-model-files.md has it: canonical JSON, then name, dtype, shape, bytes of each tensor."""
    parts = [json.dumps(config, sort_keys=True, separators=(",", ":")).encode()]
    for name, array in sorted(tensors.items()):
        parts += [json.dumps([name, array.dtype.str, list(array.shape)]).encode(), array.tobytes()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def texts(values):
    """Values of any kind as arrays, so that they are compared as numbers are: 1 is not 1.0, and not True."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: np.array(f"{type(value).__name__} {value!r}") for name, value in plain.items()}


def settings(content):
    values = tomllib.loads(content.decode("utf-8"))
    return texts({"made_with": {}} | values)


def log(content):
    """Letter by letter: a quote opens and closes, two are one; commas and line ends count outside."""
    rows, quoted, text = [[""]], False, content.decode("utf-8").replace("\r\n", "\n")
    for i, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
            rows[-1][-1] += '"' * (quoted and text[max(i - 1, 0)] == '"' and i > 0)
        elif quoted or letter not in ",\r\n":
            rows[-1][-1] += letter
        elif letter == ",":
            rows[-1].append("")
        else:
            rows.append([""])
    header, *rows = [row for row in rows if row != [""]] or [["epoch"]]
    return {str(number): np.array(list(zip(header, row, strict=True))) for number, row in enumerate(rows)}


def figures(content):
    return texts(json.loads(content.decode("utf-8")))
