"""Picture files of all kinds, made by the test: what people have lying about, and what Pillow does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def smooth(H, W, rng):
    """A gradient of two colours: uint8 (H, W, 3)."""
    one, other = rng.integers(40, 216, size=(2, 3))
    across = np.linspace(0, 1, W)[None, :, None] * rng.random() + np.linspace(0, 1, H)[:, None, None] * rng.random()
    return np.rint(one + (other - one) * across / 2).astype(np.uint8)


def saved(values, kind, **options):
    """A picture as the bytes of a file; values are an array or a picture of Pillow's."""
    content = io.BytesIO()
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(content, kind, **options)
    return content.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(values, *notes, interlaced=0):
    """uint16 (H, W, C) as a PNG, which Pillow writes for C = 1 alone; with chunks (name, data) before the pixels."""
    H, W, C = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">2I5B", W, H, 16, {1: 0, 2: 4, 3: 2, 4: 6}[C], 0, 0, interlaced)
    chunks = [(b"IHDR", header), *notes, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*both) for both in chunks)


def turned(values):
    """A JPEG that lies on its side, and says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(np.rot90(values), "JPEG", quality=95, exif=exif)


def with_alpha(values):
    return np.concatenate([values, np.full((*values.shape[:2], 1), 128, np.uint8)], axis=2)


KINDS = {
    "jpeg": lambda values: (saved(values, "JPEG"), ".JPG"),
    "16-bit": lambda values: (png16(values.astype(np.uint16) * 257 + 3), ".png"),
    "16-bit-grey": lambda values: (png16(values[..., :1].astype(np.uint16) * 256), ".png"),
    "palette": lambda values: (saved(Image.fromarray(values).quantize(30), "PNG"), ".png"),
    "alpha": lambda values: (saved(with_alpha(values), "PNG"), ".png"),
    "grey": lambda values: (saved(values[..., 0], "PNG"), ".png"),
    "exif": lambda values: (turned(values), ".jpg"),
    "gif": lambda values: (saved(values, "GIF"), ".gif"),
    "bmp": lambda values: (saved(values, "BMP"), ".bmp"),
    "webp": lambda values: (saved(values, "WEBP"), ".webp"),
    "tiff": lambda values: (saved(values, "TIFF"), ".tif"),
    "cmyk": lambda values: (saved(Image.fromarray(values).convert("CMYK"), "JPEG"), ".jpg"),
    "1-bit": lambda values: (saved(Image.fromarray(values).convert("1"), "PNG"), ".png"),
    "misnamed": lambda values: (saved(values, "PNG"), ".dat"),
}
