"""`minipixel check FILE.py:NAME`: code of one's own, run and checked, and one clear line for what goes wrong."""

import sys

import pytest

import minipixel as mp
from minipixel.cli import main

NUMPY = """
import numpy as np


def left(images):
    return np.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]


def itself(images):
    return images * 2


def planes(images):  # all red before green: green sees all of red
    red = images[..., :1]
    return np.concatenate([left(red), left(images[..., 1:]) + red.sum((1, 2), keepdims=True)], axis=-1)


def blocks_or_not(images):
    return np.repeat(left(images)[..., None], images.shape[-1], axis=-1)


def constant(images):
    return np.zeros_like(images)


def noisy(images):
    return left(images) + 1e-9 * images


def codes(images):
    return left(np.eye(4)[images[..., 0]])


def made():
    return left


def small_batches_alone(images):
    assert len(images) == 3
    return left(images)
"""

TORCH = """
import torch
from torch import nn


class Masked(nn.Conv2d):
    def forward(self, x):
        mask = torch.zeros_like(self.weight)
        mask[:, :, :1] = 1
        mask[:, :, 1, : self.width] = 1
        return nn.functional.conv2d(x, self.weight * mask, self.bias, padding=1)


class Net(nn.Module):
    def __init__(self, width=1):
        super().__init__()
        torch.manual_seed(0)
        self.first = Masked(1, 4, 3)
        self.first.width = width

    def forward(self, x):
        return self.first(x)


class Conditional(Net):
    def forward(self, x, labels):
        return super().forward(x) + labels[:, None, None, None], None


def leaky():
    return Net(width=2)


ready = Net()
conditional = Conditional()


def seven(x):
    return conditional(x, torch.full((len(x),), 7.0))[0]
"""

JAX = """
import jax
import jax.numpy as jnp

weights = {"w": jnp.ones(2)}


def net(x):
    return jnp.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1] * weights["w"]


def make():
    return jax.jit(net)


def leaky(x):
    return x * weights["w"]
"""

MISTAKES = '''"""Errors of many kinds."""

import numpy as np


def raises():
    return np.zeros(3) @ np.zeros(4)


def fails(images):
    images = images + 1
    return images @ np.zeros((7, 7))


def leaves():
    raise SystemExit(3)


def nothing():
    pass


number = 3
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, and afterwards none of the modules that were imported from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("minipixel.plots.png", lambda figure: b"a picture")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def check(capsys, *words):
    """Exit status, stdout, and the error, which is one line or none."""
    status = main(["check", *words])
    out, error = capsys.readouterr()
    assert error.count("minipixel: error: ") == (status == 2) and error.count("\n") == (status == 2), error
    return status, out, error


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("left --shape 3 4 2", 0, "left: causal"),
        ("made --shape 3 4 2", 0, "left: causal"),
        ("left --shape 3 4 2 --channels-last", 0, "left: causal"),
        ("itself --shape 3 4 1", 1, "the usual cause: mask B"),
        ("planes --shape 3 4 2 --order rgb-planes", 0, "planes: causal"),
        ("planes --shape 3 4 2", 1, "leaks, the first: (0, 0) channel 1 depends on (0, 1) channel 0"),
        ("blocks_or_not --shape 3 2 2 --layout NHWCQ", 0, "causal"),
        ("noisy --shape 3 4 1", 1, "leaks"),
        ("noisy --shape 3 4 1 --tolerance 1e-6", 0, "causal"),
        ("noisy --shape 3 4 1 --inputs float64 -1 1", 1, "leaks"),
        ("codes --shape 3 4 1 --inputs int64 0 3", 0, "causal"),
        ("codes --shape 3 4 1", 0, "fed int64"),
        ("constant --shape 3 4 1", 1, "nothing can be told"),
        ("small_batches_alone --shape 3 4 1 --batch-size 3", 0, "causal"),
        ("left --shape 3 4 1 --modes evaluation --images 1 --seed 3", 0, "causal"),
    ],
)
def test_functions_of_arrays(here, capsys, words, status, said):
    (here / "net.py").write_text(NUMPY)
    found, out, _ = check(capsys, *f"net.py:{words}".split())
    assert found == status and said in out, out
    assert out.startswith(f"net.py:{words.split()[0]}: its code runs now, with all that you may do yourself\n")
    assert (here / "causality.png").exists() and out.endswith("picture causality.png\n")


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("Net", 0, "Net: causal"),
        ("ready", 0, "Net: causal"),
        ("leaky", 1, "first seen in 'first' (Masked)"),
        ("seven", 0, "Conditional: causal"),
    ],
)
def test_pytorch(here, capsys, name, status, said):
    pytest.importorskip("torch")
    (here / "my-net.py").write_text(TORCH)
    found, out, _ = check(capsys, f"my-net.py:{name}", "--shape", "1", "5", "6", "--plot", "net.png")
    assert found == status and said in out, out
    assert (here / "net.png").exists()


@pytest.mark.parametrize(("name", "status"), [("net", 0), ("make", 0), ("leaky", 1)])
def test_jax(here, capsys, name, status):
    pytest.importorskip("jax")
    (here / "net.py").write_text(JAX)
    found, out, _ = check(capsys, f"net.py:{name}", "--shape", "3", "4", "2")
    assert found == status and "gradients: " in out, out


def test_a_module_by_its_name_and_a_neighbour(here, capsys):
    (here / "layers.py").write_text(NUMPY)
    (here / "mine.py").write_text("from layers import left\n\n\ndef twice(x):\n    return left(left(x))\n")
    status, out, _ = check(capsys, "mine:twice", "--shape", "3", "4", "1")
    assert status == 0 and "twice: causal" in out
    (here / "folder").mkdir()
    (here / "folder" / "theirs.py").write_text("from beside import left\n")
    (here / "folder" / "beside.py").write_text(NUMPY)
    status, out, _ = check(capsys, "folder/theirs.py:left", "--shape", "3", "4", "1")
    assert status == 0 and "left: causal" in out


def test_a_minipixel_model_of_a_file_of_ones_own(here, capsys):
    (here / "net.py").write_text(
        "import minipixel as mp\n\n\ndef make(width=4):\n"
        "    return mp.models.PixelCNN((4, 5, 1), 2, hidden=width, blocks=1)\n"
    )
    status, out, _ = check(capsys, "net.py:make")
    assert status == 0 and "4x5x1 images of 2 levels" in out and "clock: " in out
    for words, said in (
        ("--shape 4 5 1", "--shape: got one beside net.py:make, wanted one of the two"),
        ("--layout NHWP", "layout: got one for a PixelCNN, wanted None"),
    ):
        status, _, error = check(capsys, "net.py:make", *words.split())
        assert status == 2 and said in error


def test_a_model_file_in_another_order(here, capsys):
    mp.models.PixelCNN((3, 4, 3), 2, hidden=6, blocks=1).save("model.safetensors")
    assert check(capsys, "model.safetensors")[0] == 0
    assert check(capsys, "model.safetensors", "--order", "rgb-planes")[0] == 1


SHAPE = "--shape 3 4 1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"none.py:net {SHAPE}", "none.py: No such file or directory"),
        (f"folder.py:net {SHAPE}", "folder.py: Is a directory"),
        (f"nowhere:net {SHAPE}", "nowhere: importing it raised ModuleNotFoundError (No module named 'nowhere')"),
        (f"net.py {SHAPE}", "net.py: got no name in it, wanted net.py:NAME, one of its raises, fails, leaves, nothing"),
        (f"net.py:other {SHAPE}", "net.py:other: got other, which net.py does not have, wanted one of its raises, "),
        (f"net.py:raises {SHAPE}", "raises() raised ValueError (matmul: "),
        (f"net.py:raises {SHAPE}", ", in line 7 of net.py\n"),
        (f"net.py:leaves {SHAPE}", "leaves() raised SystemExit (3), in line 16 of net.py\n"),
        (f"net.py:fails {SHAPE}", "model: raised ValueError (matmul: "),
        (f"net.py:fails {SHAPE}", ", in line 12 of net.py\n"),
        (f"net.py:nothing {SHAPE}", "check_causality: got None, wanted a minipixel model, a PyTorch module, or"),
        (f"net.py:number {SHAPE}", "check_causality: got a int, wanted a minipixel model"),
        (
            f"broken.py:net {SHAPE}",
            "broken.py: importing it raised SyntaxError (invalid syntax), in line 2 of broken.py",
        ),
        (f"divides.py:net {SHAPE}", "importing it raised ZeroDivisionError (division by zero), in line 3 of deeper.py"),
        ("right.py:left", "--shape: got none, wanted that of an image in the layout of what is checked: 1 28 28"),
        ("right.py:left --shape 3 0 1", "image_shape: got (3, 0, 1), wanted (H, W, C), channels last"),
        ("right.py:left --shape 1 2 3 4", "image_shape: got (1, 2, 3, 4), wanted (H, W, C)"),
        ("right.py:blocks_or_not --shape 3 3 3 --layout NHW", "layout: got 'NHW'"),
        ("right.py:codes --shape 3 4 1 --inputs int64 0 9", "called with int64 "),
        (f"right.py:left {SHAPE} --inputs int64", "--inputs: got int64, wanted DTYPE LOWEST HIGHEST, int64 0 255 say"),
        (f"right.py:left {SHAPE} --inputs int64 a b", "--inputs: got int64 a b, wanted DTYPE LOWEST HIGHEST"),
        (f"right.py:left {SHAPE} --inputs words 0 1", "inputs: got ('words', 0.0, 1.0), wanted (dtype, lowest, high"),
        (f"right.py:left {SHAPE} --levels 3", "--levels: got one beside right.py:left, wanted one of the two"),
        (f"right.py:left {SHAPE} --hidden 3", "--hidden: got one beside right.py:left, wanted one of the two"),
        (f"right.py:left {SHAPE} --head categorical", "head: got 'categorical', wanted None or"),
        (f"right.py:left {SHAPE} --tolerance -1", "tolerance: got -1.0"),
        (f"right.py:left {SHAPE} --batch-size 0", "batch_size: got 0"),
        (f"right.py:left {SHAPE} --order columns", "argument --order: invalid choice: 'columns'"),
        (f"right.py:left {SHAPE} --modes drawing", "argument --modes: invalid choice: 'drawing'"),
        (f"right.py:left {SHAPE} --plot net.jpg", "--out: got net.jpg, wanted a name ending in .png"),
        ("--model pixelcnn --shape 3 4", "--shape: got 3 4, wanted H W C, three whole numbers"),
        ("--model pixelcnn --shape 3 4 1 --inputs float32 0 1", "--inputs: got float32 0 1 for a minipixel model"),
    ],
)
def test_mistakes(here, capsys, words, said):
    (here / "net.py").write_text(MISTAKES)
    (here / "right.py").write_text(NUMPY)
    (here / "broken.py").write_text("import numpy\nnet = = 3\n")
    (here / "divides.py").write_text("import deeper\n")
    (here / "deeper.py").write_text("import numpy\n\nnet = 1 / 0\n")
    (here / "folder.py").mkdir()
    status, _, error = check(capsys, *words.split())
    assert status == 2 and said in error, error
    assert not list(here.glob("*.png"))


def test_a_wrong_size_for_pytorch_names_what_it_was_fed_and_the_line(here, capsys):
    pytest.importorskip("torch")
    (here / "net.py").write_text(TORCH)
    status, _, error = check(capsys, "net.py:ready", "--shape", "3", "5", "6")
    assert status == 2 and "called with float32 (" in error and ", 3, 5, 6) in -1..1" in error, error
    assert ", in line 11 of net.py" in error, error


def test_where_images_see_each_other_there_is_no_picture(here, capsys):
    (here / "net.py").write_text("def net(images):\n    return images - images.mean(0, keepdims=True)\n")
    status, out, _ = check(capsys, "net.py:net", "--shape", "3", "4", "1")
    assert status == 1 and "depends on another image of its batch" in out and "picture" not in out


def test_the_help_says_what_it_runs_and_how_images_are_laid_out(capsys):
    assert main(["check", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in ("Its code is run", "code of your own, which is run", "C H W, channels first, for a PyTorch module"):
        assert part in said
