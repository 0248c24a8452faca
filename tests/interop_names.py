"""Which weight of the twins in benchmarks/torch_twins.py is which of ours."""

import re

PARTS = {  # of our dotted names, and what stands there in their place, for each model
    "pixelcnn": [
        (r"^stem\.", "0."),
        (r"^blocks\.(\d+)\.", lambda found: f"{int(found[1]) + 1}."),
        (r"^top\.layers\.(\d)\.", lambda found: f"{{last}}.{2 * int(found[1]) + 1}."),
    ],
    "gated": [(r"^top\.layers\.(\d)\.", lambda found: f"top.{2 * int(found[1]) + 1}.")],
    "row-lstm": [
        (r"^top\.layers\.(\d)\.", lambda found: f"top.{2 * int(found[1]) + 1}."),
        (r"\.lstm\.see\.", ".see."),
        (r"\.lstm\.weight$", ".state.weight"),
    ],
    "diagonal-bilstm": [
        (r"^top\.layers\.(\d)\.", lambda found: f"top.{2 * int(found[1]) + 1}."),
        (r"(left|right)\.weight$", r"\1.state.weight"),
    ],
    "pixelcnnpp": [
        (r"^top\.out\.", "out."),
        (r"\.v$", ".parametrizations.weight.original1"),
        (r"\.gain$", ".parametrizations.weight.original0"),
    ],
}
CONVS = r"(above|up|left|first|second|halve\.\d)\.(bias|parametrizations)"


def names_of(model):
    """A function from our name of a weight to the twin's."""

    def theirs(name):
        for pattern, to in PARTS[model.name]:
            name = re.sub(pattern, to, name)
        if model.name == "pixelcnnpp":  # a layer of theirs that pads holds its convolution
            name = re.sub(CONVS, r"\1.conv.\2", name)
        return name.format(last=model.config.get("blocks", 0) + 1)

    return theirs
