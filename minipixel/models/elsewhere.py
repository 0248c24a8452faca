"""Names that other libraries use, and what minipixel has in their place; only messages use this table."""

from typing import Any

from minipixel.spelling import did_you_mean

MODES = "there are no modes: dropout is on in fit, and in loss(..., rng=), and off everywhere else"
MOVING = "to('cuda') and to('cpu') move the weights, and device says where they are"

# A name that a network lacks, and the way to what was meant.
INSTEAD: dict[str, str] = {
    "__call__": "predict(images) gives its parameters for integer images, forward(x) those for scaled ones",
    "init": "call super().__init__(...) first, which makes it",
    "fit": "mp.fit(model, images) trains it",
    "train": MODES,
    "eval": MODES,
    "training": MODES,
    "compile": "mp.fit(model, images, optimizer=...) is all it takes",
    "zero_grad": "backward() replaces every .grad, so there is nothing to set to zero",
    "cuda": MOVING,
    "gpu": MOVING,
    "cpu": MOVING,
    "evaluate": "log_prob(images) and bits_per_dim(images) say how good it is",
    "score": "log_prob(images) and bits_per_dim(images) say how good it is",
    "score_samples": "log_prob(images) is what it gives each image",
    "log_likelihood": "log_prob(images) is what it gives each image",
    "nll": "loss(images) is differentiable, log_prob(images) is not",
    "predict_proba": "probabilities(images) gives those of all levels, predict(images) the head's parameters",
    "generate": "sample(n) draws images",
    "draw": "sample(n) draws images",
    "inpaint": "complete(images, known) draws what is not known",
    "impute": "complete(images, known) draws what is not known",
    "load": "mp.load(path) reads one from a file",
    "load_weights": "load_state_dict(state) takes weights, mp.load(path) reads a model",
    "set_weights": "load_state_dict(state) takes weights",
    "save_weights": "save(path) writes it",
    "get_weights": "state_dict() has the weights",
    "weights": "state_dict() has the weights",
    "count_params": "num_parameters is how many there are",
    "history": "mp.fit returns it",
    "num_classes": "conditions.num_classes is how many there are",
    "condition_shape": "conditions.shape is that",
}


def instead(network: Any, name: str) -> str:
    """The end of a message about a name that a network lacks: what to use instead, or a similar name, or ""."""
    if name in INSTEAD:
        return f"; {INSTEAD[name]}"
    if name.startswith("_"):
        return ""
    return did_you_mean(name, (known for known in dir(network) if not known.startswith("_")))
