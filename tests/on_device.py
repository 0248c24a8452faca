"""Models and arrays on the strict stand-in for a GPU."""

from minipixel.stand_in import DeviceArray, installed


def moved(model):
    """The model, moved there; it stays there after the block, since its arrays say what library they are of."""
    with installed():
        return model.to("cuda")


def is_there(model):
    """Whether every weight is there, frozen or not."""
    return all(isinstance(array, DeviceArray) for _, array in model.named_arrays())
