"""Copying weights between a PyTorch model and a minipixel model that computes the same."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minipixel.interop.layouts import GATES, LAYOUTS, Place, flattened, in_words, place_of
from minipixel.models.arrays import as_array
from minipixel.models.embedding import EmbeddingNet
from minipixel.models.multiscale import Upsampling
from minipixel.models.network import Network
from minipixel.nn import Conditioning, Encoding, EnlargingConv2d
from minipixel.shown import short
from minipixel.spelling import did_you_mean, spelled


class Theirs(NamedTuple):
    """The name of a weight in PyTorch together with its layout there, if that is not the usual one.

    `layout` is "conv", "transposed" or "embedding" (see interop/layouts.py); None means the one that fits the layer.
    `gates` is the order of an LSTM's gates: "ifgo" in torch.nn.LSTM; here, and in the papers, "ofig".
    """

    name: str
    layout: str | None = None
    gates: str = GATES


Names = Mapping[str, Any] | Callable[[str], Any] | None


@spelled
def from_torch(model: Network, state_dict: Any, names: Names = None) -> list[str]:
    """Copy the weights of a PyTorch model into a minipixel model; returns the PyTorch names that were not used.

    `state_dict` is that of a torch.nn.Module, or the module itself. `names` maps each dotted name of
    `model.state_dict()` to the name in PyTorch, or to a Theirs; it is a dict, or a function of our name. None means
    that the names are the same.

    It converts kernels (K_out, K_in, kh, kw), transposed ones, 1x1 layers and nn.Linear, nn.Embedding, the
    state-to-state weights of an LSTM (nn.Conv1d), biases and slopes. `v` and `gain` of a weight-normalised layer are
    PyTorch's `original1` and `original0` (or `weight_v` and `weight_g`). Weights that a mask shuts become 0, and
    kernels in PyTorch may be cropped to their open taps.
    Raises ValueError, with no weight changed, if a name is missing or if shapes do not fit.
    """
    state = _state(state_dict)
    places = _places(model, state, names)
    own = dict(model.named_arrays())
    arrays = {name: place.ours(_numbers(theirs, state[theirs])) for name, (theirs, place) in places.items()}
    model.load_state_dict({name: array.reshape(own[name].shape) for name, array in arrays.items()})
    used = {theirs for theirs, _ in places.values()}
    return [name for name in state if name not in used]


@spelled
def to_torch(model: Network, state_dict: Any, names: Names = None) -> dict[str, Any]:
    """A PyTorch state dict with the weights of a minipixel model, for `load_state_dict` of the PyTorch model.

    `state_dict`, or the module, gives shapes, dtypes and devices; other entries in it, such as buffers, are copied.
    Weights that a mask shuts are 0. `names` and the errors are those of `from_torch`.
    """
    state = _state(state_dict)
    weights, given = model.state_dict(), dict(state)
    for name, (theirs, place) in _places(model, state, names).items():
        given[theirs] = _like(state[theirs], place.to_theirs(weights[name]))
    return given


def _state(given: Any) -> Mapping[str, Any]:
    """A state dict, from a state dict or from a module; else ValueError."""
    state = given.state_dict() if callable(getattr(given, "state_dict", None)) else given
    if not isinstance(state, Mapping):
        raise ValueError(
            f"state_dict: got {short(given)}, wanted one, or a torch.nn.Module; of a file, what "
            "torch.load(path, weights_only=True) reads"
        )
    return state


def _places(model: Network, state: Mapping[str, Any], names: Names) -> dict[str, tuple[str, Place]]:
    """For each weight of the model its name in the state dict, and its conversion; else ValueError."""
    if not isinstance(model, Network):
        raise ValueError(f"model: got {short(model)}, wanted one of minipixel; make it with the sizes of the other")
    own = dict(model.named_arrays())
    if isinstance(names, Mapping) and (unknown := [name for name in names if name not in own]):
        raise ValueError(
            f"names: got one for {unknown[0]!r}, wanted names of model.state_dict(){did_you_mean(unknown[0], own)}"
        )
    places: dict[str, tuple[str, Place]] = {}
    for name, array in own.items():
        theirs = _theirs(name, names)
        if theirs.name not in state:
            hint = did_you_mean(theirs.name, state) or f"; it has {', '.join(map(str, list(state)[:3]))} ..."
            raise ValueError(f"state_dict: got no {theirs.name!r}, wanted one for {name} of this model{hint}")
        before = next((other for other, (there, _) in places.items() if there == theirs.name), None)
        if before is not None:
            raise ValueError(f"names: got {theirs.name!r} for both {before} and {name}, wanted another for each")
        there = tuple(np.shape(state[theirs.name]))
        places[name] = theirs.name, _place(model, name, tuple(array.shape), theirs, there)
    return places


def _theirs(name: str, names: Names) -> Theirs:
    """The entry of `names` for a weight of the minipixel model."""
    if names is None:
        return Theirs(name)
    said = names.get(name) if isinstance(names, Mapping) else names(name)
    if isinstance(said, str):
        return Theirs(said)
    if not isinstance(said, Theirs) or not isinstance(said.name, str):
        raise ValueError(
            f"names: got {short(said)} for {name}, wanted its name in state_dict, or a mp.interop.Theirs(name, ...)"
        )
    if said.layout not in (None, *LAYOUTS) or sorted(said.gates) != sorted(GATES):
        raise ValueError(
            f"names: got {said} for {name}, wanted a layout of {', '.join(map(repr, LAYOUTS))}, and as gates the "
            f"letters {GATES!r} in some order"
        )
    return said


def _place(model: Network, name: str, shape: tuple[int, ...], theirs: Theirs, there: tuple[int, ...]) -> Place:
    """The conversion of one weight. Raises ValueError, with both names, if the shapes do not fit."""
    layer, attribute = _holder(model, name)
    enlarges = isinstance(layer, (EnlargingConv2d, Upsampling))
    layouts = ["transposed" if enlarges else "conv", *(["embedding"] if isinstance(layer, Conditioning) else [])]
    layouts = ["embedding"] if isinstance(layer, Encoding) else layouts
    layouts = layouts if theirs.layout is None else [theirs.layout]
    mask = getattr(layer, "mask", None) if attribute == "weight" else None  # in the length of `v` all counts
    mask = mask if getattr(mask, "shape", None) == shape else None
    found = [place for layout in layouts if (place := place_of(shape, there, layout, mask, theirs.gates))]
    if isinstance(model, EmbeddingNet) and layer is model.last and len(shape) == 2:
        found = [place for place in [flattened(shape, model.layers[-1].weight.shape[-1], there)] if place]
    if attribute == "gain" and len(there) > 1 and there[enlarges] != shape[0]:
        found = []  # one for each input, as weight_norm(nn.ConvTranspose2d(...)) has it if it is not told dim=1
    if not found or (theirs.gates != GATES and shape[-1] % 4):
        hint = "; make it by weight_norm(layer, dim=1)" if attribute == "gain" and enlarges else ""
        raise ValueError(
            f"state_dict: got {theirs.name} of shape {there}, wanted {in_words(shape, layouts[0])} for {name}, which "
            f"is of shape {shape}{hint}"
        )
    if len(found) > 1 and len(there) == 2:
        raise ValueError(
            f"names: got {theirs.name!r} of shape {there} for {name}, which may be nn.Linear's or nn.Embedding's; say "
            f'mp.interop.Theirs({theirs.name!r}, layout=...), "conv" or "embedding"'
        )
    return found[0]


def _holder(model: Network, name: str) -> tuple[Any, str]:
    """The layer that has the weight of that dotted name, and the weight's name in this layer."""
    *path, attribute = name.split(".")
    layer: Any = model
    for step in path:
        layer = layer[int(step)] if isinstance(layer, list) else getattr(layer, step)
    return layer, attribute


def _numbers(name: str, value: Any) -> np.ndarray:
    """An entry of a state dict as an array; precisions that NumPy lacks, such as bfloat16, become float64."""
    return as_array(name, value.double() if hasattr(value, "detach") and hasattr(value, "double") else value)


def _like(entry: Any, array: np.ndarray) -> Any:
    """An array as an entry of a state dict, with the library, dtype and device of the present entry."""
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    return entry.new_tensor(array) if hasattr(entry, "new_tensor") else array.astype(entry.dtype)
