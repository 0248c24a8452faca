"""A folder of 300 pictures as people have them: formats, depths, alpha, turned, broken, of three sizes, one odd."""

import numpy as np
from PIL import Image

SIZES = (24, 32, 40)
ODD = "sky/odd.png"


def smooth(rng, size, shade):
    """A picture (size, size, 3) that is brighter on one side."""
    across = np.linspace(0, 60, size)
    grey = shade + across[None, :] * rng.choice([-1, 1]) + 10 * rng.standard_normal()
    return np.repeat(np.repeat(grey, size, axis=0)[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)


def make_folder(path, count=300, rng=0):
    """Fill a folder with subfolders `sea`, dark, and `sky`, bright; two files are broken, one is a patchwork."""
    rng = np.random.default_rng(rng)
    for name in ("sea", "sky", ".hidden"):
        (path / name).mkdir(parents=True)
    (path / "notes.txt").write_text("no picture")
    (path / ".hidden" / "a.png").write_bytes(b"passed over")
    for n in range(count - 3):
        kind, size = n % 6, SIZES[n % len(SIZES)]
        folder, shade = (("sea", 70), ("sky", 170))[n % 2]
        pixels = smooth(rng, size, shade)
        image = Image.fromarray(pixels)
        stem = path / folder / f"{n:03}"
        if kind == 0:
            image.save(stem.with_suffix(".jpg"), quality=92)
        elif kind == 1:
            Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(stem.with_suffix(".png"))  # 16 bits
        elif kind == 2:
            image.convert("P").save(stem.with_suffix(".gif"))
        elif kind == 3:
            alpha = np.full((size, size, 1), 255, np.uint8)
            alpha[0, 0] = 128
            Image.fromarray(np.concatenate([pixels, alpha], axis=2)).save(stem.with_suffix(".png"))
        elif kind == 4:
            image.convert("L").save(stem.with_suffix(".tif"))
        else:
            turned = Image.Exif()
            turned[0x0112] = 6  # the camera lay on its side
            Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(
                stem.with_suffix(".JPG"), exif=turned, quality=92
            )
    (path / "sea" / "broken.png").write_bytes((path / "sky" / "001.png").read_bytes()[:60])
    (path / "sky" / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    blocks = rng.choice(np.uint8([0, 255]), (4, 4, 3))
    Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1)).save(path / ODD)
    return path
