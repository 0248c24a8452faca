"""What the bytes of a file say, by decoders that share nothing with minipixel's: each a few lines, with no checks.

They are asked only about files that minipixel accepts, and an exception of theirs is then a failed test.
"""

import gzip
import hashlib
import io
import json
import tomllib
import zlib

import numpy as np
import safetensors.numpy


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
    place, chunks = 8, []
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        assert zlib.crc32(b"".join(chunks[-1])).to_bytes(4, "big") == content[place + 8 + length : place + 12 + length]
        place += 12 + length
    header = chunks[0][1]
    W, H, kind = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big"), header[9]
    C = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    packed = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    assert len(packed) == H * (1 + W * C)
    rows = [[0] * (W * C)]
    for r in range(H):
        used, *row = packed[r * (1 + W * C) : (r + 1) * (1 + W * C)]
        for i in range(W * C):
            left, up = row[i - C] if i >= C else 0, rows[-1][i]
            corner = rows[-1][i - C] if i >= C else 0
            near = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
            row[i] = (row[i] + [0, left, up, (left + up) // 2, near][used]) % 256
        rows.append(row)
    pixels = np.array(rows[1:], np.uint8).reshape(H, W, C)
    if kind == 3:
        palette = next(data for name, data in chunks if name == b"PLTE")
        pixels = np.array([[list(palette[3 * i : 3 * i + 3]) for i in row] for row in pixels[..., 0]], np.uint8)
    if kind in (4, 6):
        assert (pixels[..., -1] == 255).all()
        pixels = pixels[..., :-1]
    return {"": pixels}


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
