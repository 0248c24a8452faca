"""What people type when they come from elsewhere: each mistake is one line with a way out, or is taken as it is meant.

The mistakes are in mistake_table.py.
"""

import numpy as np
import pytest
from mistake_table import KNOWN, LABELS, REFUSED, TAKEN, H, M, Made, Q, W, X

import minipixel as mp

HABITS = {"progress": False, "epochs": 1}


@pytest.fixture(scope="module")
def made():
    return Made()


@pytest.mark.parametrize("case", REFUSED)
def test_one_line_with_a_way_out(made, case):
    call, wanted = REFUSED[case]
    with pytest.raises((ValueError, TypeError, AttributeError)) as error:
        call(made)
    message = str(error.value)
    assert wanted in message
    assert "\n" not in message and " at 0x" not in message
    assert len(message) <= 400


@pytest.mark.parametrize("case", TAKEN)
def test_taken_as_it_is_meant(made, case):
    got, wanted = TAKEN[case](made)
    np.testing.assert_array_equal(got, wanted)


def test_tensors_of_pytorch(made):
    torch = pytest.importorskip("torch")
    images, labels = torch.from_numpy(X), torch.from_numpy(LABELS)
    np.testing.assert_array_equal(made.of_class.log_prob(images, labels), made.of_class.log_prob(X, LABELS))
    told = torch.ones(6, 2, requires_grad=True)
    np.testing.assert_array_equal(made.of_vector.log_prob(images, told), made.of_vector.log_prob(X, np.ones((6, 2))))
    np.testing.assert_array_equal(
        made.m.complete(images, torch.from_numpy(KNOWN), rng=0), made.m.complete(X, KNOWN, rng=0)
    )
    with pytest.raises(ValueError, match="a Tensor that NumPy cannot hold, wanted an array; Got unsupported Scalar"):
        made.m.log_prob(images.to(torch.bfloat16))
    with pytest.raises(ValueError, match="optimizer: got a Adam, wanted one of"):
        mp.fit(made.m, X, optimizer=torch.optim.Adam([torch.zeros(1, requires_grad=True)]))
    dataset = torch.utils.data.TensorDataset(images, labels)
    for given in (dataset, torch.utils.data.DataLoader(dataset)):
        with pytest.raises(ValueError, match=f"images: got a {type(given).__name__}, wanted an array"):
            mp.fit(made.m, given)


def trained(**options):
    model = M.PixelCNN((H, W, 1), Q, hidden=3, blocks=1, num_classes=3)
    history = mp.fit(model, X, LABELS, batch_size=3, **HABITS | options)
    return model.state_dict(), history.history


def same(one, other):
    for name, weight in one[0].items():
        np.testing.assert_array_equal(weight, other[0][name])
    assert {**one[1], "seconds": 0} == {**other[1], "seconds": 0}


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ({"optimizer": "sgd"}, {"optimizer": mp.optim.SGD()}),
        ({"optimizer": "Adam"}, {}),
        ({"callbacks": mp.callbacks.EMA(0.5)}, {"callbacks": [mp.callbacks.EMA(0.5)]}),
        ({"callbacks": None}, {}),
        ({"validation": [X, LABELS]}, {"validation": (X, LABELS)}),
        ({"validation": (X.tolist(), LABELS[:, None])}, {"validation": (X, LABELS)}),
        ({"validation": [X, 1]}, {"validation": (X, np.ones(6, int))}),
    ],
)
def test_fit_takes_what_can_mean_one_thing(short, full):
    same(trained(**short), trained(**full))


def test_a_list_of_two_images_is_no_pair():
    model = M.PixelCNN((H, W, 1), Q, hidden=3, blocks=1)
    histories = [mp.fit(model, X, validation=v, **HABITS).history["val_loss"] for v in ([X[0], X[1]], X[:2])]
    assert np.isfinite(histories).all()
    assert histories[1] == [-model.log_prob([X[0], X[1]]).mean()]


def test_the_first_message_is_no_error_of_python(made):
    """A property of a user's model in which a name is missing says which name, not that there is no such property."""

    class Mine(M.PixelCNN):
        @property
        def order(self):
            return self.no_such_thing

    with pytest.raises(AttributeError, match="Mine has no 'no_such_thing'"):
        Mine((H, W, 1), 2, hidden=1, blocks=1).sample(1)
