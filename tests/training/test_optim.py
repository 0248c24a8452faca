"""Optimisers, against their papers' equations written out once more and against PyTorch's."""

import numpy as np
import pytest

import minipixel as mp
from minipixel.optim import OPTIMIZERS
from minipixel.stand_in import DeviceArray, to_device_array

START = np.array([1.0, -2.0, 3.0])
GRADIENTS = np.random.default_rng(0).standard_normal((12, 3)) * [1, 1e-3, 1e3]
SETTINGS = [
    ("adam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6}),
    ("adamw", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.3}),
    ("adamw", {}),
    ("adamw", {"weight_decay": 0}),
    ("nadam", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "momentum_decay": 0.1}),
    ("nadam", {}),
    ("adamax", {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6}),
    ("rmsprop", {"rho": 0.8, "epsilon": 1e-6}),
    ("rmsprop", {"rho": 0.95, "momentum": 0.7}),
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
]
every_setting = pytest.mark.parametrize(("name", "options"), SETTINGS)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


def weights(*values):
    module = mp.nn.Module()
    module.w = [mp.nn.Parameter(np.array(value)) for value in values]
    return module


def path(optimizer, gradients=GRADIENTS, start=START):
    """Where the weight is after each step."""
    module, places = weights(start), []
    for g in gradients:
        module.w[0].grad = g
        optimizer.step(module)
        places.append(module.w[0].data)
    return np.array(places)


def equations(
    name,
    rate,
    beta1=0.9,
    beta2=0.999,
    epsilon=1e-8,
    momentum_decay=0.004,
    rho=0.9,
    momentum=0,
    nesterov=False,
    weight_decay=0.01,
):
    """The same from the papers, with their symbols; t counts from 1."""
    theta, m, n, v, u, delta = START, 0, 0, 0, 0, 0
    for t, g in enumerate(GRADIENTS, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        if name == "adam":
            theta = theta - rate * m_hat / (np.sqrt(v_hat) + epsilon)
        if name == "adamw":
            theta = theta - rate * (m_hat / (np.sqrt(v_hat) + epsilon) + weight_decay * theta)
        if name == "nadam":
            mu = [beta1 * (1 - 0.5 * 0.96 ** (i * momentum_decay)) for i in range(1, t + 2)]
            looking = mu[t] * m / (1 - np.prod(mu)) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
            theta = theta - rate * looking / (np.sqrt(v_hat) + epsilon)
        if name == "adamax":
            u = np.maximum(beta2 * u, np.abs(g) + epsilon)
            theta = theta - rate / (1 - beta1**t) * m / u
        if name == "rmsprop":
            n = rho * n + (1 - rho) * g**2
            delta = momentum * delta - rate * g / (np.sqrt(n) + epsilon)
            theta = theta + delta
        if name == "sgd":
            delta = momentum * delta - rate * g
            theta = theta + (momentum * delta - rate * g if nesterov else delta)
        yield theta


@every_setting
def test_the_papers_equations(name, options):
    np.testing.assert_allclose(path(OPTIMIZERS[name](0.1, **options)), [*equations(name, 0.1, **options)], rtol=1e-12)


@pytest.fixture
def torch():
    """PyTorch with float64 for all numbers: its Nadam otherwise multiplies momenta in float32."""
    from torch_parity import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


@every_setting
def test_pytorch_takes_the_same_steps(torch, name, options):
    theirs = {
        "adam": "Adam",
        "adamw": "AdamW",
        "nadam": "NAdam",
        "adamax": "Adamax",
        "rmsprop": "RMSprop",
        "sgd": "SGD",
    }[name]
    options = {"beta1": 0.9, "beta2": 0.999} | options if name in ("adam", "adamw", "nadam", "adamax") else options
    renamed = {{"epsilon": "eps", "rho": "alpha"}.get(key, key): value for key, value in options.items()}
    if "beta1" in renamed:
        renamed["betas"] = renamed.pop("beta1"), renamed.pop("beta2")
    w = torch.tensor(START, requires_grad=True)
    optimizer, places = getattr(torch.optim, theirs)([w], lr=0.1, **renamed), []
    for g in GRADIENTS:
        w.grad = torch.tensor(g)
        optimizer.step()
        places.append(w.detach().numpy().copy())
    np.testing.assert_allclose(path(OPTIMIZERS[name](0.1, **options)), places, rtol=1e-12)


def test_nesterov_looks_ahead():
    """On a parabola, f = c w w / 2: the weights are those of Sutskever's equations 3 and 4, seen from ahead."""
    c, rate, mu = np.array([1.0, 3.0, 7.0]), 0.05, 0.8
    module, sgd = weights(START), mp.optim.SGD(rate, momentum=mu, nesterov=True)
    theta, v = START, np.zeros(3)
    for _ in range(8):
        np.testing.assert_allclose(module.w[0].data, theta + mu * v, rtol=1e-12)
        module.w[0].grad = c * module.w[0].data
        sgd.step(module)
        v = mu * v - rate * c * (theta + mu * v)
        theta = theta + v


@every_optimizer
def test_a_weight_that_never_had_a_gradient_stays(optimizer):
    """As one under a mask: not a bit changes, and nothing is divided by zero (warnings are errors).

    But for one that decays, by just that.
    """
    ours, without = optimizer(), np.zeros((3, 3))
    kept = 1 - ours.learning_rate * ours.weight_decay
    wanted = [START * kept, START * kept * kept, START * kept * kept * kept]
    np.testing.assert_array_equal(path(ours, without), wanted)


@every_optimizer
def test_the_dtype_is_kept(optimizer):
    """Whatever kind of number the learning rate is."""
    options = {"momentum": 0.9} if optimizer in (mp.optim.SGD, mp.optim.RMSProp) else {}
    for rate in (0.1, np.float64(0.1), lambda step: np.float64(0.1)):
        ours = optimizer(rate, clip_norm=1.0, **options)
        assert path(ours, np.ones((2, 3), np.float32), START.astype(np.float32)).dtype == np.float32
        assert [array.dtype for array in ours.state["w.0"].values()] == [np.float32] * len(ours.memories)


@every_setting
def test_on_a_device(name, options):
    """The strict stand-in for a GPU: the same steps, and nothing leaves it but the norm."""
    ours, module = OPTIMIZERS[name](0.1, clip_norm=0.5, **options), weights(START)
    module.w[0].data = to_device_array(START)
    for g in GRADIENTS:
        module.w[0].grad = to_device_array(g)
        ours.step(module)
    assert isinstance(module.w[0].data, DeviceArray)
    wanted = path(OPTIMIZERS[name](0.1, clip_norm=0.5, **options))[-1]
    np.testing.assert_allclose(module.w[0].data.get(), wanted, rtol=1e-12)


def test_a_step_without_gradients_is_refused():
    with pytest.raises(ValueError, match=r"^step: got no gradient for w.0, wanted one; call loss.backward\(\) first$"):
        mp.optim.Adam().step(weights([1.0]))


def test_clip_norm_is_that_of_all_weights_together():
    def step(optimizer, scale):
        module = weights([0.0, 0.0], [[0.0]])
        module.w[0].grad, module.w[1].grad = scale * np.array([2.0, -3.0]), scale * np.array([[6.0]])  # norm 7 scale
        optimizer.step(module)
        np.testing.assert_array_equal(module.w[1].grad, [[6.0 * scale]])  # what the model holds is left alone
        return np.array([*module.w[0].data, *module.w[1].data[0]])

    direction = -np.array([2.0, -3.0, 6.0])
    np.testing.assert_allclose(step(mp.optim.SGD(1.0, clip_norm=1.4), 1), 0.2 * direction, rtol=1e-15)
    np.testing.assert_allclose(step(mp.optim.SGD(1.0, clip_norm=1.4), 1e100), 0.2 * direction, rtol=1e-15)
    np.testing.assert_array_equal(step(mp.optim.SGD(1.0, clip_norm=7.0), 1), direction)
    np.testing.assert_array_equal(step(mp.optim.SGD(1.0), 1e3), 1e3 * direction)
    np.testing.assert_array_equal(step(mp.optim.SGD(1.0, clip_norm=1.0), 0), np.zeros(3))


def test_clipping_large_float32_gradients_does_not_overflow():
    large = np.full((1, 3), 1e30, np.float32)
    moved = path(mp.optim.SGD(1.0, clip_norm=3.0), large, np.zeros(3, np.float32))
    np.testing.assert_allclose(moved, [[-np.sqrt(3)] * 3], rtol=1e-6)


def test_a_schedule_is_asked_at_every_step_from_0():
    asked = []

    def schedule(step):
        asked.append(step)
        return [0.5, 0.25, 0.0][step]

    places = path(mp.optim.SGD(schedule), np.ones((3, 3)))
    assert asked == [0, 1, 2]
    np.testing.assert_array_equal(places, START - np.array([[0.5], [0.75], [0.75]]))


def test_schedules():
    optim = mp.optim
    decay = optim.exponential_decay(1e-3, 0.999995)
    assert decay(0) == 1e-3 and decay(10**6) == pytest.approx(1e-3 * np.exp(10**6 * np.log(0.999995)))
    cosine = optim.cosine_decay(0.2, 10)
    np.testing.assert_allclose([cosine(0), cosine(5), cosine(10), cosine(11)], [0.2, 0.1, 0, 0], atol=1e-17)
    warm = optim.cosine_decay(0.2, 10, warmup=4)
    np.testing.assert_allclose([warm(i) for i in (0, 1, 3, 4, 7, 10)], [0.05, 0.1, 0.2, 0.2, 0.1, 0], atol=1e-17)
    steps = optim.piecewise([2, 5], [0.3, 0.2, 0.1])
    assert [steps(i) for i in (0, 1, 2, 4, 5, 99)] == [0.3, 0.3, 0.2, 0.2, 0.1, 0.1]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda o: o.Adam(0), "learning_rate: got 0, wanted a number above 0, such as 0.001, or a schedule"),
        (lambda o: o.SGD(-1), "learning_rate: got -1"),
        (lambda o: o.RMSProp(float("nan")), "learning_rate: got nan"),
        (lambda o: o.Nadam("fast"), "learning_rate: got 'fast'"),
        (lambda o: o.Adam(clip_norm=0), "clip_norm: got 0, wanted a number above 0"),
        (lambda o: o.Adam(beta1=1.0), r"beta1: got 1.0, wanted a number in \[0, 1\)"),
        (lambda o: o.Adamax(beta2=-0.1), "beta2: got -0.1"),
        (lambda o: o.Nadam(momentum_decay=0), "momentum_decay: got 0"),
        (lambda o: o.Adam(epsilon=0), "epsilon: got 0"),
        (lambda o: o.RMSProp(epsilon=1e-40), "epsilon: got 1e-40, wanted at least 1.2e-38"),
        (lambda o: o.RMSProp(rho=1), "rho: got 1"),
        (lambda o: o.RMSProp(momentum=1), "momentum: got 1"),
        (lambda o: o.SGD(momentum=None), "momentum: got None"),
        (lambda o: o.SGD(nesterov=True), "nesterov: got True without momentum"),
        (
            lambda o: path(o.Adam(lambda step: -1.0)),
            "learning_rate: got -1.0 for step 0, wanted a number of at least 0",
        ),
        (lambda o: path(o.Adam(lambda step: None)), "learning_rate: got None for step 0"),
        (lambda o: o.exponential_decay(0, 0.9), "rate: got 0"),
        (lambda o: o.exponential_decay(0.1, 0), "factor: got 0"),
        (lambda o: o.cosine_decay(0.1, 0), "steps: got 0, wanted a whole number, 1 or more"),
        (lambda o: o.cosine_decay(0.1, 5, warmup=5), "warmup: got 5 of 5 steps"),
        (lambda o: o.piecewise([3, 3], [1, 2, 3]), r"boundaries: got \[3, 3\], wanted rising"),
        (lambda o: o.piecewise([3], [1]), "rates: got 1 for 1 boundaries, wanted one more"),
        (lambda o: o.piecewise([3], [1, 0]), "rates: got 0"),
    ],
)
def test_bad_settings(make, match):
    with pytest.raises(ValueError, match=f"^{match}") as error:
        make(mp.optim)
    assert "\n" not in str(error.value)


# --- weight decay ---------------------------------------------------------------------------------------------------


def test_pytorch_decays_a_whole_model_alike(torch):
    """All weights of a model, biases and gains of weight-normalised layers, or all but those that are excluded."""
    for exclude in ((), ("bias",), ("bias", "level.start_u.gain", "gain")):
        model = mp.models.PixelCNNpp((4, 4, 1), 3, filters=4, resnets=1, dtype="float64")
        images = np.random.default_rng(0).integers(0, 3, (6, 4, 4, 1))
        model.initialize(images)
        names = [name for name, _ in model.named_parameters()]
        theirs = {name: torch.tensor(weight, requires_grad=True) for name, weight in model.state_dict().items()}
        left = [name for name in names if f".{name}".endswith(tuple(f".{end}" for end in exclude))]
        groups = [
            {"params": [theirs[name] for name in names if name not in left], "weight_decay": 0.2},
            {"params": [theirs[name] for name in left], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=0.01)
        ours = mp.optim.AdamW(0.01, weight_decay=0.2, exclude=exclude)
        for _ in range(5):
            _, gradients = model.value_and_gradients(images)
            for name, weight in theirs.items():
                weight.grad = torch.tensor(gradients[name])
            optimizer.step()
            ours.step(model, gradients)
        for name, weight in model.state_dict().items():
            np.testing.assert_allclose(weight, theirs[name].detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=name)
        assert len(left) == sum(not ours.decays(name) for name in names) and bool(left) == bool(exclude)


def test_weights_shrink_by_the_rate_of_a_schedule_and_frozen_ones_do_not():
    model = mp.models.PixelCNN((4, 4, 1), 3, hidden=4, blocks=1, dtype="float64")
    before = model.state_dict()
    model.stem.weight = model.stem.weight.data
    nothing = {name: np.zeros_like(parameter.data) for name, parameter in model.named_parameters()}
    optimizer = mp.optim.AdamW(mp.optim.piecewise([2], [0.1, 0.01]), weight_decay=0.5)
    for _ in range(3):
        optimizer.step(model, nothing)
    for name, weight in model.state_dict().items():
        shrunk = 1.0 if name == "stem.weight" else (1 - 0.05) * (1 - 0.05) * (1 - 0.005)
        np.testing.assert_allclose(weight, before[name] * shrunk, rtol=1e-14, err_msg=name)


def test_adam_without_decay_is_adam():
    np.testing.assert_array_equal(path(mp.optim.AdamW(0.1, weight_decay=0)), path(mp.optim.Adam(0.1)))


def test_the_length_of_a_normalised_weight_has_no_influence():
    """What the docstring of AdamW says of `v`: the same distribution, however short it is."""
    model = mp.models.PixelCNNpp((4, 4, 1), 3, filters=4, resnets=1, dtype="float64")
    images = np.random.default_rng(0).integers(0, 3, (6, 4, 4, 1))
    before, state = model.log_prob(images), model.state_dict()
    for part in ("v", "gain"):
        ends = f".{part}"
        model.load_state_dict({name: weight / (1 + name.endswith(ends)) for name, weight in state.items()})
        assert np.allclose(model.log_prob(images), before, rtol=1e-12) == (part == "v")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight_decay": -0.1}, "weight_decay: got -0.1, wanted a number of at least 0, such as 0.01"),
        ({"weight_decay": np.nan}, "weight_decay: got nan, wanted a number of at least 0"),
        ({"weight_decay": "0.1"}, "weight_decay: got '0.1', wanted a number of at least 0"),
        ({"exclude": "bias"}, r"exclude: got 'bias', wanted a list of names of weights, such as \('bias',\)"),
        ({"exclude": [1]}, r"exclude: got \[1\], wanted a list of names of weights"),
    ],
)
def test_bad_decay(options, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        mp.optim.AdamW(**options)
