"""What help, completion and editors show: every argument by its name, the same everywhere, each with its effect."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
from model_table import SMALL

import minipixel as mp
from minipixel.cli import architecture
from minipixel.spelling import ELSEWHERE, Spelled, did_you_mean, spelled

M = mp.models
OF_ALL = ("head", "mixtures", "num_classes", "condition_shape", "rng", "dtype", "inputs", "embedding_width")


@pytest.mark.parametrize("name", M.MODELS)
def test_what_every_model_takes_stands_in_every_signature(name):
    """As Model has it: the same names, in the same order, with the same defaults and types, and last."""
    own, all_ = inspect.signature(M.MODELS[name]).parameters, inspect.signature(M.Model).parameters
    assert tuple(own)[-len(OF_ALL) :] == tuple(all_)[-len(OF_ALL) :] == OF_ALL
    for argument in OF_ALL:
        assert own[argument].kind is inspect.Parameter.KEYWORD_ONLY
        assert (own[argument].default, own[argument].annotation) == (all_[argument].default, all_[argument].annotation)


@pytest.mark.parametrize("name", M.MODELS)
def test_each_of_them_arrives(name):
    """No two of them are exchanged on the way to Model."""
    made = M.MODELS[name]((4, 3, 1), 4, **SMALL[name] | {"mixtures": 7, "num_classes": 3, "dtype": "float64"}, rng=5)
    config = made.config
    assert (config["mixtures"], config["num_classes"], config["condition_shape"]) == (7, 3, None)
    assert config["dtype"] == "float64" and made.parameters()[0].dtype == np.float64
    told = M.MODELS[name]((4, 3, 1), 4, **SMALL[name], head="normal_mixture", condition_shape=(2,), rng=6)
    assert (told.config["head"], told.config["condition_shape"]) == ("normal_mixture", [2])
    read = M.MODELS[name]((4, 3, 1), 4, **SMALL[name], inputs="embedding", embedding_width=5)
    assert (read.config["inputs"], read.config["embedding_width"]) == ("embedding", 5)
    again = M.MODELS[name]((4, 3, 1), 4, **SMALL[name], head="normal_mixture", condition_shape=(2,), rng=5)
    weights = [next(iter(model.state_dict().values())) for model in (told, again)]
    assert not np.array_equal(*weights)


@pytest.mark.parametrize("name", M.MODELS)
def test_the_command_line_knows_them(name):
    """All that a model takes of its own is an option, and stands in its configuration."""
    own = set(architecture.parameters(name))
    assert own == set(inspect.signature(M.MODELS[name]).parameters) - {"image_shape", "levels", *OF_ALL}
    assert own <= set(M.MODELS[name]((4, 4, 1), 2, **SMALL[name]).config)


def public_callables():
    """(name, callable) of all that the package offers, classes by their constructors."""
    modules = [mp, *(getattr(mp, name) for name in mp.__all__ if inspect.ismodule(getattr(mp, name)))]
    for module in modules:
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if (inspect.isclass(thing) and not issubclass(thing, Exception)) or inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing


HIDING = {"minipixel.op", "minipixel.gradcheck"}  # a decorator; and a function of as many inputs as the one it checks


@pytest.mark.parametrize(
    ("name", "thing"), list(public_callables()), ids=lambda value: value if type(value) is str else ""
)
def test_nothing_public_hides_its_arguments(name, thing):
    if name in HIDING or name.startswith("minipixel.ops."):  # ops: as many inputs as they have, lifted by @op
        return
    methods = (
        [method for key, method in vars(thing).items() if not key.startswith("_")] if inspect.isclass(thing) else ()
    )
    for function in (thing, *filter(inspect.isfunction, methods)):
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                assert function.__name__ == "change", f"{name} takes **{parameter.name}"  # of an optimizer's memories


def test_editors_that_only_read_the_source_see_the_same():
    """What is decorated is decorated by what keeps its signature, and written out in the class itself."""
    for kind in M.MODELS.values():
        owner = next(parent for parent in kind.__mro__ if "__init__" in vars(parent))
        tree = ast.parse(Path(inspect.getsourcefile(owner)).read_text())
        (node,) = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == owner.__name__]
        (written,) = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        names = [argument.arg for argument in (*written.args.args[1:], *written.args.kwonlyargs)]
        assert names == list(inspect.signature(kind).parameters) and written.args.kwarg is None


@spelled
def painted(image, colour="red", *, width=1):
    """Paint."""
    return image, colour, width


class Brush(Spelled):
    """The base of those below: a constructor of its own is not `spelled`, those of what is derived from it are."""


class Round(Brush):
    def __init__(self, width, *, soft=False):
        self.width, self.soft = width, soft


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: painted(), "painted: got no 'image', wanted painted(image, ...)"),
        (lambda: painted(1, color="x"), "painted: got an unknown argument 'color'; did you mean 'colour'?"),
        (lambda: painted(1, zzz=1), "painted: got an unknown argument 'zzz', wanted one of image, colour, width"),
        (
            lambda: painted(1, 2, 3),
            "painted: got 3 arguments by position, wanted at most 2, image, colour; name the others: width=",
        ),
        (lambda: Round(1, soft_=1), "Round: got an unknown argument 'soft_'; did you mean 'soft'?"),
        (lambda: Round(), "Round: got no 'width', wanted Round(width, ...)"),
        (lambda: Round(1, self=2), "Round: got an unknown argument 'self'"),
        (lambda: painted(1, **{"x" * 1000: 1}), "painted: got an unknown argument"),
    ],
)
def test_spelled(call, message):
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value).startswith(message) and len(str(error.value)) < 200


SPELLED = [
    *(mp.fit, mp.fit_embedding, mp.load, mp.check_causality, mp.assert_causal, mp.gradcheck_model),
    *(mp.datasets.load, mp.datasets.binarize, mp.datasets.quantize, mp.datasets.from_folder, mp.datasets.from_arrays),
    *(mp.datasets.shift, mp.datasets.crop, mp.datasets.nearest, mp.save_pictures, mp.plots.growing),
    *(mp.optim.exponential_decay, mp.optim.cosine_decay, mp.optim.piecewise, *mp.optim.OPTIMIZERS.values()),
    *(getattr(mp.callbacks, name) for name in mp.callbacks.__all__ if name not in ("Callback", "TerminateOnNaN")),
    *(*M.MODELS.values(), M.EmbeddingNet, mp.distributions.PixelCNN, mp.nn.Conv2d, mp.nn.GatedLayer),
    *(M.Model.loss, M.Model.log_prob, M.Model.log_prob_map, M.Model.bits_per_dim, M.Model.predict),
    *(M.Model.initialize, M.Model.sample, M.Model.complete, M.Model.load_state_dict, M.EmbeddingNet.embed),
]


@pytest.mark.parametrize("function", SPELLED, ids=lambda function: function.__qualname__)
def test_whatever_else_decorates_it(function):
    with pytest.raises(TypeError, match=rf"^{function.__name__}: got an unknown argument 'zzz', wanted one of "):
        function(zzz=1) if inspect.isclass(function) else function(None, zzz=1)


def test_spelled_changes_nothing_else():
    assert painted(1) == (1, "red", 1) and painted(image=1, width=2) == (1, "red", 2) and painted(1, "b") == (1, "b", 1)
    assert str(inspect.signature(painted)) == "(image, colour='red', *, width=1)" and painted.__doc__ == "Paint."
    with pytest.raises(TypeError, match="unsupported operand"):  # a TypeError of the function itself stays as it is
        spelled(lambda a: a + "x")(1)

    def anything(*any_, **more):
        return any_, more

    assert spelled(anything) is anything


def test_names_from_elsewhere_are_names_of_something():
    """Each row of the table leads, somewhere, to an argument that there is."""
    taken = set()
    for _, thing in public_callables():
        for function in (thing, *filter(inspect.isfunction, vars(thing).values() if inspect.isclass(thing) else ())):
            taken |= set(inspect.signature(function).parameters)
    assert {here for all_ in ELSEWHERE.values() for here in all_} <= taken


def test_did_you_mean():
    assert did_you_mean("Adamm", ("adam", "sgd")) == "; did you mean 'adam'?"
    assert did_you_mean("zzz", ("adam", "sgd")) == did_you_mean(None, ("adam",)) == ""
