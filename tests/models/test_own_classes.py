"""Model classes of one's own: saved, loaded by whoever gives the class, resumed; what goes wrong is one line."""

import json
import re
import sys

import numpy as np
import pytest

import minipixel as mp
from minipixel import checkpoint
from minipixel.cli import main

M, nn, ops = mp.models, mp.nn, mp.ops
IMAGES = np.random.default_rng(0).integers(3, size=(8, 4, 4, 1)).astype(np.uint8)


class Squared(M.Model):
    """A mask A, a nonlinearity, squared: a model with an argument of its own, and all that every model takes."""

    name = "squared"

    def __init__(self, image_shape, levels, *, width=8, bent="tanh", head=None, num_classes=None, rng=0):
        architecture = {"width": width, "bent": bent}
        super().__init__(image_shape, levels, architecture, head, num_classes=num_classes, rng=rng)
        C = image_shape[2]
        wide = nn.colour_groups(width, C)
        self.features, self.bent = width, bent
        self.look = nn.Conv2d(np.arange(C), wide, (5, 5), "A", self.init)
        self.told = nn.Conditioning(self.conditions.width, width, self.init)
        self.out = nn.Pointwise(wide, self.head.groups, self.init)

    def forward(self, x, condition=None, rng=None):
        y = getattr(ops, self.bent)(self.told(self.look(x), condition))
        return self.out(y * y)


class Plain(M.Model):
    """The shortest one, as README has it: no name, no option."""

    def __init__(self, image_shape, levels):
        super().__init__(image_shape, levels, {})
        self.features = 4
        self.look = nn.Conv2d(np.arange(1), np.zeros(4, int), (3, 3), "A", self.init)
        self.out = nn.Pointwise(np.zeros(4, int), self.head.groups, self.init)

    def forward(self, x, condition=None, rng=None):
        return self.out(ops.relu(self.look(x)))


class Deeper(M.PixelCNN):
    """A member of the family with another forward pass, which takes what that one takes."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)

    def forward(self, x, condition=None, rng=None):
        return super().forward(-x, condition, rng)


class Forgetful(Squared):
    """It passes nothing on: what no shape shows would be lost."""

    name = "forgetful"

    def __init__(self, image_shape, levels, slope=1.0, *, scales=(1, 2)):
        super().__init__(image_shape, levels)
        self.slope, self.scales = slope, tuple(scales)

    def forward(self, x, condition=None, rng=None):
        return super().forward(x * self.slope, condition, rng)


class Starred(M.PixelCNN):
    """One argument of its own beside all those of its parent."""

    def __init__(self, *arguments, slope=1.0, **options):
        super().__init__(*arguments, **options)
        self.slope = slope

    def forward(self, x, condition=None, rng=None):
        return super().forward(x * self.slope, condition, rng)


OWN = [
    (Squared, {"width": np.int64(6)}),
    (Forgetful, {"slope": 0.25, "scales": (np.float64(2.5), 3)}),
    (Starred, {"hidden": 3, "blocks": 1, "slope": np.float32(0.5)}),
    (Squared, {"width": 6, "bent": "sigmoid"}),
    (Squared, {"num_classes": 3, "head": "logistic_mixture"}),
    (Plain, {}),
    (Deeper, {"hidden": 3, "blocks": 1, "dtype": "float64"}),
]


def saved(tmp_path, model):
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(("kind", "options"), OWN)
def test_saved_and_loaded(tmp_path, kind, options):
    model = kind((4, 4, 1), 3, **options)
    labels = np.arange(8) % 3 if model.conditions.num_classes else None
    again = mp.load(saved(tmp_path, model), classes=[Squared, Plain, Deeper, Forgetful, Starred])
    assert type(again) is kind and again.config == model.config == json.loads(json.dumps(model.config))
    for name in {"slope", "scales"} & vars(model).keys():
        assert getattr(again, name) == getattr(model, name)
    np.testing.assert_array_equal(again.log_prob(IMAGES, labels), model.log_prob(IMAGES, labels))
    np.testing.assert_array_equal(again.sample(8, labels, rng=1), model.sample(8, labels, rng=1))


@pytest.mark.parametrize(("kind", "options"), OWN)
def test_trained_stopped_and_resumed(tmp_path, kind, options):
    """A checkpoint is a model file of that class, too; what goes on from it comes to the same bits."""
    whole, first = (kind((4, 4, 1), 3, **options) for _ in range(2))
    labels = np.arange(8) % 3 if whole.conditions.num_classes else None
    given = {"batch_size": 4, "progress": False}
    mp.fit(whole, IMAGES, labels, epochs=3, **given)
    mp.fit(first, IMAGES, labels, epochs=1, callbacks=[mp.callbacks.ModelCheckpoint(tmp_path)], **given)
    (file,) = tmp_path.glob("checkpoint-*")
    again = mp.load(file, classes=[kind])
    for name, weight in first.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], weight)
    mp.fit(again, IMAGES, labels, epochs=3, resume=tmp_path, **given)
    for name, weight in whole.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], weight)
    with pytest.raises(ValueError, match=r"^resume: got the model's "):
        other = M.PixelCNN((4, 4, 1), 3, hidden=3, blocks=1, num_classes=None if labels is None else 3)
        mp.fit(other, IMAGES, labels, epochs=3, resume=tmp_path, **given)


def test_a_class_without_a_name_has_its_own():
    """Were the name inherited, a file of it would be taken for the family's."""
    assert (Plain.name, Deeper.name, M.PixelCNN.name) == ("Plain", "Deeper", "pixelcnn")
    assert Deeper((4, 4, 1), 2, hidden=3, blocks=1).config["model"] == "Deeper"


class Named(M.PixelCNN):
    name = "pixelcnn"


class Twice(M.PixelCNN):
    name = "Plain"


class WithoutWidth(Squared):
    """What a class may have become since the file was written: it takes less than the file says."""

    name = "squared"

    def __init__(self, image_shape, levels):
        super().__init__(image_shape, levels)


class Smaller(Plain):
    name = "Plain"

    def __init__(self, image_shape, levels):
        super().__init__(image_shape, levels)
        self.out = nn.Conv2d(np.zeros(4, int), self.head.groups, (1, 3), "B", self.init)


class MoreToTell(Plain):
    name = "Plain"

    def __init__(self, image_shape, levels, *, depth):
        super().__init__(image_shape, levels)


@pytest.mark.parametrize(
    ("classes", "error", "said"),
    [
        ([], mp.FormatError, "got a model named 'squared', expected one of pixelcnn, row-lstm"),
        ([], mp.FormatError, "give the class that wrote it: mp.load(path, classes=[...])"),
        ([Plain], mp.FormatError, "got a model named 'squared', expected one of pixelcnn"),
        ([Named], ValueError, "classes: got Named named 'pixelcnn', as PixelCNN is, wanted a name of its own"),
        ([Plain, Twice], ValueError, "classes: got Twice named 'Plain', as Plain is, wanted a name of its own"),
        (
            [WithoutWidth],
            mp.FormatError,
            "got width 6, and a WithoutWidth made with 8; its constructor has to take 'wi",
        ),
        ([Squared, M.PixelCNN, Squared], None, ""),  # a member of the family is known already, and may be named
        ([dict], ValueError, "classes: got dict, wanted classes derived from mp.models.Model, in a list"),
        (5, ValueError, "classes: got 5, wanted classes derived from mp.models.Model, in a list"),
        (Squared, ValueError, "in a list; say [Squared]"),
    ],
)
def test_which_class(tmp_path, classes, error, said):
    path = saved(tmp_path, Squared((4, 4, 1), 3, width=6))
    if error is None:
        assert mp.load(path, classes=classes).config["width"] == 6
        return
    with pytest.raises(error, match=re.escape(said)) as e:
        mp.load(path, classes=classes)
    assert "\n" not in str(e.value) and type(e.value) is error


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Smaller, "its configuration does not fit: state: got out.weight of shape (4, 3), wanted (1, 3, 4, 3)"),
        (MoreToTell, "got no 'depth', which MoreToTell takes; when the model is made, pass it on as a part of"),
    ],
)
def test_a_class_that_has_changed(tmp_path, kind, said):
    path = saved(tmp_path, Plain((4, 4, 1), 3))
    with pytest.raises(mp.FormatError, match=re.escape(said)) as e:
        mp.load(path, classes=[kind])
    assert "\n" not in str(e.value)


def test_what_a_file_could_not_say_is_said_when_it_is_written(tmp_path):
    with pytest.warns(
        UserWarning, match=r"^save: got a .*MoreToTell whose argument 'depth' no file can hold"
    ) as warned:
        MoreToTell((4, 4, 1), 3, depth=ops.tanh).save(tmp_path / "model")
    assert warned[0].filename == __file__
    with pytest.raises(mp.FormatError, match=r"got no 'depth', which MoreToTell takes"):
        mp.load(tmp_path / "model", classes=[MoreToTell])
    odd = Squared((4, 4, 1), 3)
    odd.config["bent"] = ops.tanh
    with pytest.raises(ValueError, match=r"model: got a configuration that JSON has no form for .*; say int"):
        odd.save(tmp_path / "model")


def test_nothing_that_a_file_names_is_imported(tmp_path):
    """Not by any name: a dotted one is a name like others."""
    path = saved(tmp_path, Plain((4, 4, 1), 3))
    config, tensors = checkpoint.read(path)
    for name in ("antigravity", "antigravity.Model", "antigravity:Model", ["antigravity"], None, 5):
        checkpoint.write(path, json.loads(json.dumps({**config, "model": name})), tensors)
        with pytest.raises(mp.FormatError, match="got a model named"):
            mp.load(path, classes=[Plain])
    assert "antigravity" not in sys.modules


MINE = """
import numpy as np
import minipixel as mp

class Mine(mp.models.PixelCNN):
    def forward(self, x, condition=None, rng=None):
        return super().forward(-x, condition, rng)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with mine.py and a model of the class in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine_of_a_test.py").write_text(MINE)
    exec(MINE, names := {})
    names["Mine"]((8, 8, 1), 2, hidden=2, blocks=1).save("model.safetensors")
    yield tmp_path
    sys.modules.pop("mine_of_a_test", None)


@pytest.mark.parametrize("command", ["sample -n 2", "complete -n 1 --times 1", "evaluate", "check --images 1", "info"])
def test_on_the_command_line(here, command, capsys):
    name, *options = command.split()
    words = [name, "model.safetensors", *options]
    assert main([*words, "--class", "mine_of_a_test:Mine"]) == 0
    assert main(words) == 2
    assert "got a model named 'Mine', expected one of pixelcnn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Mine", "--class: got Mine, wanted MODULE:NAME, mine:Squared for the class Squared in mine.py"),
        ("no_such_module:Mine", "importing no_such_module failed: No module named 'no_such_module'"),
        ("mine_of_a_test:Mien", "mine_of_a_test has no Mien, wanted one of its classes: Mine"),
        ("mine_of_a_test:np", "classes: got <module"),
    ],
)
def test_a_class_that_is_not_there(here, name, said, capsys):
    assert main(["info", "model.safetensors", "--class", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
