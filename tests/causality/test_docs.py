"""What docs/causality.md shows of a check runs as it stands there, and prints what it shows.

To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/causality/test_docs.py
"""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minipixel as mp

sys.path.insert(0, str(Path(__file__).parents[1]))
from pages import assert_as_printed

ROOT = Path(__file__).parents[2]
PAGE, README = ROOT / "docs" / "causality.md", ROOT / "README.md"


def test_the_page_shows_what_its_code_prints():
    torch = pytest.importorskip("torch", reason="most of it is about PyTorch modules")
    torch.manual_seed(0)
    assert_as_printed(PAGE, "tests/causality/test_docs.py", models(torch), blocks=5)


def test_what_the_readme_shows_of_it(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="it is about PyTorch modules")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(
        r"```python\n(report = mp.check_causality.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    names = models(torch)
    exec(code, {"mp": mp, **names, "net": names["of_colours"]})
    assert (tmp_path / "causality.png").exists()


def models(torch):
    """The models that the page speaks of, as small as they can be."""
    nn, F = torch.nn, torch.nn.functional

    class Left(nn.Module):
        """Sees the pixel to the left: (N, C, H, W) -> (N, P, H, W)."""

        def __init__(self, C, P):
            super().__init__()
            self.see = nn.Conv2d(C, P, 1)

        def forward(self, x):
            return self.see(F.pad(x, (1, -1)))

    class Conditional(Left):
        def forward(self, x, label):
            return super().forward(x) + label.reshape(-1, 1, 1, 1)

    class TwoResults(Left):
        def forward(self, x):
            return super().forward(x), x

    class Attention(nn.Module):
        """Sequences (N, S, 1) -> (N, S, 1), seeing what the mask opens."""

        def __init__(self):
            super().__init__()
            self.key, self.start = nn.Linear(1, 1), nn.Parameter(torch.ones(64))

        def forward(self, x, mask):
            return (mask * self.start) @ self.key(x)

    class OfCodes(nn.Module):
        """Codes (N, H, W) -> (N, 16, H, W)."""

        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(16, 16)

        def forward(self, x):
            return F.pad(self.table(x), (0, 0, 1, -1)).permute(0, 3, 1, 2)

    class OfSequences(nn.Module):
        """Codes (N, S) -> (N, S, 16): of place i, from those before it, or of place i + 1."""

        def __init__(self, of_the_next):
            super().__init__()
            self.table, self.of_the_next = nn.Embedding(16, 16), of_the_next

        def forward(self, x):
            seen = self.table(x).cumsum(dim=1)
            return seen if self.of_the_next else F.pad(seen, (0, 0, 1, -1))

    class Prior(OfCodes):
        """Codes (N, H, W) and a label -> a tuple, the first of it (N, 512, H, W)."""

        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(512, 512)

        def forward(self, x, label):
            return super().forward(x) + label, None

    class InColour(nn.Module):
        """(N, C, H, W) -> (N, C, H, W, 3)."""

        def forward(self, x):
            return F.pad(x, (1, -1))[..., None] * torch.arange(1.0, 4.0)

    class Masked(nn.Conv2d):
        def forward(self, x):
            mask = torch.ones(3, 3)
            mask[1, 2 - (self.in_channels == 1) :], mask[2] = 0, 0  # mask A for the image, B for features
            return F.conv2d(x, self.weight * mask, self.bias, padding=1)

    class PixelCNN(nn.Module):
        """With batch normalisation, and a layer behind a factor that starts at zero."""

        def __init__(self):
            super().__init__()
            self.stem, self.norm, self.further = Masked(1, 6, 3), nn.BatchNorm2d(6), Masked(6, 6, 3)
            self.alpha, self.out = nn.Parameter(torch.zeros(1)), nn.Conv2d(6, 2, 1)

        def forward(self, x):
            y = F.elu(self.norm(self.stem(x)))
            return self.out(y + self.alpha * self.further(y))

    try:
        import jax.numpy as xp
    except ImportError:
        xp = np

    def before(images):
        return np.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]

    def apply(params, images):
        return params * xp.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]

    return {
        "torch": torch,
        "net": PixelCNN(),
        "function": before,
        "flax_net": SimpleNamespace(apply=apply),
        "params": 2.0,
        "conditional": Conditional(1, 2),
        "labels": torch.arange(5),
        "two_results": TwoResults(1, 2),
        "with_mask": Attention(),
        "of_codes": OfCodes(),
        "prior": Prior(),
        "transformer": OfSequences(of_the_next=False),
        "of_the_next": OfSequences(of_the_next=True),
        "of_colours": Left(3, 6),
        "in_colour": InColour(),
        "pixelcnnpp": Left(3, 100),
    }
