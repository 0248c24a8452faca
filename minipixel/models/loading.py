"""The table of all models by name, and `load`, which reads any of them from a file."""

import os
from collections.abc import Sequence
from typing import Any

from minipixel import checkpoint
from minipixel.errors import FormatError
from minipixel.models.base import Model
from minipixel.models.embedding import EmbeddingNet
from minipixel.models.gated_pixelcnn import GatedPixelCNN
from minipixel.models.multiscale import MultiScale
from minipixel.models.own import by_name, make
from minipixel.models.pixelcnn import PixelCNN
from minipixel.models.pixelcnnpp import PixelCNNpp
from minipixel.models.pixelrnn import DiagonalBiLSTM, RowLSTM
from minipixel.models.remembered import check_pictures
from minipixel.nn import Blank
from minipixel.spelling import spelled

# The one table of models, by the name used in files and on the command line.
MODELS: dict[str, type[Model]] = {
    model.name: model for model in (PixelCNN, RowLSTM, DiagonalBiLSTM, MultiScale, GatedPixelCNN, PixelCNNpp)
}


@spelled
def load(path: str | os.PathLike[str], *, classes: Sequence[type[Model] | type[EmbeddingNet]] = ()) -> Any:
    """Load the model, or the embedding network, that `save(path)` wrote, with its weights.

    A file only names the class of its model, and nothing that a file names is ever imported. So a model of a class of
    your own is read only if `classes` has that class: mp.load(path, classes=[Mine]).
    A checkpoint of training gives the model as it was then, with the averaged weights if there are any (callbacks.EMA).
    Raises FormatError for a file that is damaged or holds no such model; FileNotFoundError if there is no file.
    """
    family: dict[str, type[Model] | type[EmbeddingNet]] = {**MODELS, EmbeddingNet.name: EmbeddingNet}
    own = by_name(classes, family, (Model, EmbeddingNet))
    config, tensors = checkpoint.read(path)
    arguments = dict(config)
    if arguments.pop("training", None) is not None:
        tensors = checkpoint.weights(tensors)
    initialized = arguments.pop("initialized", True)
    pictures = arguments.pop("pictures", None)
    name = arguments.get("model")
    if name not in (*family, *own):
        hint = "; of a class of your own, give the class that wrote it: mp.load(path, classes=[...])"
        raise FormatError(f"{path}: got a model named {name!r:.60}, expected one of {', '.join((*family, *own))}{hint}")
    model: Any
    try:
        if name in own:
            model = make(path, own[name], arguments)
        else:
            del arguments["model"]
            model = family[name](**arguments, rng=Blank(len(tensors)))  # no memory before the shapes are right
        model.load_state_dict(tensors)
        model.pictures = None if pictures is None else check_pictures(pictures)
    except FormatError:
        raise
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: its configuration does not fit: {error!s:.300}") from error
    stored = {str(tensor.dtype) for tensor in tensors.values()}
    if stored not in ({model.dtype}, {"float16"}):  # of 16 bits they are with `save(path, half=True)`
        raise FormatError(f"{path}: got weights of {', '.join(sorted(stored))}, expected {model.dtype}")
    if initialized is False and isinstance(model, Model):  # weights that no first batch has met yet: `fit` will do that
        model.initialized = False
    return model
