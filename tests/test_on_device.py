"""What a user does with a model on a GPU, op by op on the strict stand-in: the numbers are those of the host."""

import contextlib
import copy
import functools
import shutil
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
from model_table import CONDITIONS, SMALL, Case, diagonal
from on_device import is_there, moved
from ranks_in_threads import on_ranks

import minipixel as mp
from minipixel import backend, kernels, ops
from minipixel.backend import DEVICES, gpu, gpu_of, played_by, to_cpu, use_gpu_of
from minipixel.cli import main
from minipixel.errors import DeviceError
from minipixel.models.host_copy import on_host
from minipixel.optim import OPTIMIZERS
from minipixel.stand_in import DeviceArray, device, installed, to_device_array
from minipixel.training import EMA, EarlyStopping, ModelCheckpoint

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 4, (12, 3, 4, 1)).astype(np.uint8), RNG.integers(0, 3, 12)


KERNELS = [pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler to build the kernels")]


@pytest.fixture(autouse=True, params=["as written", pytest.param("planned", marks=[pytest.mark.slow, *KERNELS])])
def way(request):
    """Planned, it runs by CUDA kernels, as quick tests have it in tests/models/ and tests/plan/test_on_device.py."""
    with kernels.as_written() if request.param == "as written" else contextlib.nullcontext():
        yield


def small(kind=mp.models.PixelCNN, **options):
    sizes = next(SMALL[name] for name, model in mp.models.MODELS.items() if model is kind)
    return kind((3, 4, 1), 4, **{**sizes, "num_classes": 3, "dtype": "float64", **options})


def close(found, wanted, rtol=1e-9, atol=1e-11):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(to_cpu(found[name]), to_cpu(array), rtol, atol, err_msg=name)


# --- where a model is -------------------------------------------------------------------------------------------------


def test_there_and_back():
    """Weights, frozen ones and gradients; tied weights stay one array, and names, dtypes and numbers what they were."""
    model = small(dtype="float32")
    model.blocks[1].widen.weight = model.blocks[0].widen.weight
    model.stem.bias = model.stem.bias.data
    model.loss(IMAGES, LABELS).backward()
    before, frozen = model.state_dict(), model.frozen_names()
    assert model.device == "cpu" and moved(model) is model and model.device == "cuda" == model.blocks[0].device
    assert is_there(model) and all(isinstance(p.grad, DeviceArray) for p in model.parameters())
    assert model.blocks[1].widen.weight is model.blocks[0].widen.weight and model.frozen_names() == frozen
    assert moved(model).device == "cuda"
    assert model.to("cpu").device == "cpu" and all(type(p.grad) is np.ndarray for p in model.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
        assert array.dtype == np.float32
    assert mp.nn.Module().device == "cpu"


def test_weights_after_training_move_too():
    """They are views of one long array then."""
    model = small()
    mp.fit(model, IMAGES, LABELS, epochs=1, progress=False)
    before = model.state_dict()
    close(moved(model).state_dict(), before, 0, 0)
    close(model.to("cpu").state_dict(), before, 0, 0)


def test_loading_keeps_the_device():
    host, there = small(rng=1), moved(small())
    there.load_state_dict(host.state_dict())
    assert is_there(there)
    close(there.state_dict(), host.state_dict(), 0, 0)
    host.load_state_dict(dict(moved(small(rng=2)).named_arrays()))
    assert host.device == "cpu"


# --- every model and every public method ------------------------------------------------------------------------------

KNOWN = np.arange(6) % 2 == 0


def known_of(model):
    return np.resize(KNOWN, model.image_shape[:2])


METHODS = {
    "predict": lambda m, x, c: m.predict(x, c),
    "loss": lambda m, x, c: to_cpu(m.loss(x, c, weights=np.arange(len(x)), rng=3).data),
    "losses": lambda m, x, c: to_cpu(m.loss(x, c, reduction="none").data),
    "log_prob": lambda m, x, c: m.log_prob(x, c),
    "log_prob_map": lambda m, x, c: m.log_prob_map(x, c),
    "probabilities": lambda m, x, c: m.probabilities(x, c),
    "accuracy": lambda m, x, c: m.accuracy(x, c),
    "bits_per_dim": lambda m, x, c: m.bits_per_dim(x, c),
    "sample": lambda m, x, c: m.sample(len(x), c, rng=0),
    "sample, naive": lambda m, x, c: m.sample(len(x), c, rng=0, method="naive"),
    "sample, cached": lambda m, x, c: m.sample(len(x), c, rng=0, method="cached"),
    "complete": lambda m, x, c: m.complete(x, known_of(m), c, rng=0),
    "complete, particles": lambda m, x, c: m.complete(x, known_of(m), c, rng=0, particles=3),
    "summary": lambda m, x, c: m.summary(),
}


def agree(model, there, images, condition):
    for name, method in METHODS.items():
        wanted, found = method(model, images, condition), method(there, images, condition)
        assert type(found) is type(wanted), name
        if isinstance(wanted, str) or np.asarray(wanted).dtype.kind == "u":
            np.testing.assert_array_equal(found, wanted, name)
        else:
            np.testing.assert_allclose(found, wanted, 1e-9, 1e-11, err_msg=name)
    (value, found), (other, wanted) = (m.value_and_gradients(images, condition, rng=1) for m in (there, model))
    assert value == pytest.approx(other, rel=1e-11) and isinstance(found.flat, DeviceArray)
    close(found, wanted)
    assert is_there(there)


@diagonal
def test_every_model(case):
    model = case.model()
    there = moved(copy.deepcopy(model))
    agree(model, there, case.every_image()[:5], None)
    assert mp.check_causality(there, images=1).ok


@pytest.mark.parametrize(("name", "told"), [(name, told) for name in SMALL for told in CONDITIONS if told])
def test_every_condition(name, told):
    """One of each kind quickly for each model: labels, numbers, vectors, maps and pairs go over with the batch."""
    model = Case(name, (3, 4, 1), 2, "bernoulli").conditional(told)
    there, rng = moved(copy.deepcopy(model)), np.random.default_rng(0)
    images, condition = rng.integers(0, 2, (4, 3, 4, 1)), model.conditions.random(4, rng)
    np.testing.assert_allclose(there.log_prob(images, condition), model.log_prob(images, condition), rtol=1e-11)
    np.testing.assert_array_equal(there.sample(4, condition, rng=0), model.sample(4, condition, rng=0))


def test_arrays_of_the_gpu_are_taken_as_data():
    """Images and conditions may be device arrays, for a model anywhere: they come to the host to be checked."""
    for model in (small(), moved(small())):
        wanted = model.log_prob(IMAGES, LABELS)
        np.testing.assert_array_equal(model.log_prob(to_device_array(IMAGES), to_device_array(LABELS)), wanted)


def test_a_causal_and_a_leaking_model_have_the_same_verdicts():
    leaking = small(num_classes=None)
    leaking.stem.mask = np.ones_like(leaking.stem.mask)
    for model in (leaking, small(num_classes=None)):
        here = mp.check_causality(model, images=1)
        there = mp.check_causality(moved(copy.deepcopy(model)), images=1)
        assert str(there) == str(here)
    with pytest.raises(mp.CausalityError):
        moved(leaking).sample(1, rng=0)


def test_the_host_draws_with_the_present_weights_and_layers():
    """One copy for as long as the layers stay, and another when one of them is exchanged."""
    model, there = small(), moved(small())
    first = on_host(there)
    assert on_host(model) is model and first.device == "cpu" and on_host(there) is first
    for m in (model, there):
        mp.fit(m, IMAGES, LABELS, epochs=2, optimizer=mp.optim.Adam(0.05), progress=False)
    np.testing.assert_array_equal(there.sample(6, LABELS[:6], rng=0), model.sample(6, LABELS[:6], rng=0))
    assert on_host(there) is first
    for m in (model, there):
        m.blocks.pop()
    np.testing.assert_array_equal(there.sample(6, LABELS[:6], rng=0), model.sample(6, LABELS[:6], rng=0))
    assert on_host(there) is not first and len(on_host(there).blocks) == 1
    there.stem.bias = there.stem.bias.data  # frozen
    model.stem.bias = model.stem.bias.data
    np.testing.assert_array_equal(there.sample(3, LABELS[:3], rng=1), model.sample(3, LABELS[:3], rng=1))


def test_a_model_that_cannot_be_copied_says_what_to_do():
    there = moved(small())
    there.lock = threading.Lock()
    with pytest.raises(
        DeviceError, match=r"^PixelCNN: got a model on the GPU that cannot be copied .* method='naive'$"
    ):
        there.sample(1, LABELS[:1])
    assert there.sample(1, LABELS[:1], method="naive").shape == (1, 3, 4, 1)


def test_one_weight_left_behind_is_named():
    """By itself, where weights are looked at before a pass, and else by the op that meets it."""
    there = moved(small())
    there.stem.bias.data = np.zeros(there.stem.bias.shape)
    with pytest.raises(DeviceError, match=r"^stem.bias: got a weight on the device 'cpu' in a model on 'cuda', wanted"):
        there.log_prob(IMAGES, LABELS)
    with (
        kernels.as_written(),
        pytest.raises(DeviceError, match=r"^conv2d: got bias on the host and x, weight on the GPU"),
    ):
        there.loss(IMAGES, LABELS)
    moved(there).log_prob(IMAGES, LABELS)


def test_a_model_whose_weights_are_all_frozen_goes_on():
    """It has no parameters, and is somewhere all the same."""
    model, wanted = small(), small().log_prob(IMAGES, LABELS)
    freeze(model)
    np.testing.assert_allclose(model.log_prob(IMAGES, LABELS), wanted, rtol=1e-12)
    assert not model.parameters() and moved(model).device == "cuda" and is_there(model)
    np.testing.assert_allclose(model.log_prob(IMAGES, LABELS), wanted, rtol=1e-12)
    assert model.sample(2, LABELS[:2], rng=0).shape == (2, 3, 4, 1)


def freeze(value):
    """Put plain arrays in the place of all parameters, in layers and lists of layers."""
    for name, part in list(vars(value).items()):
        if isinstance(part, mp.nn.Parameter):
            setattr(value, name, part.data)
        for layer in part if isinstance(part, list) else [part]:
            if isinstance(layer, mp.nn.Module):
                freeze(layer)


def test_gradients_are_checked_there():
    assert mp.gradcheck_model(moved(small()), IMAGES[:2], LABELS[:2]) < 1e-7


# --- training ---------------------------------------------------------------------------------------------------------


def train(model, folder=None, **options):
    options = {"epochs": 2, "batch_size": 5, "rng": 3, "progress": False, "optimizer": mp.optim.Adam(0.01)} | options
    callbacks = [ModelCheckpoint(folder)] if folder else []
    callbacks += options.pop("callbacks", ())
    return mp.fit(model, IMAGES, LABELS, **options, callbacks=callbacks)


OPTIONS = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    "adamw": {"weight_decay": 0.1},
    "rmsprop": {"momentum": 0.5},
}


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_with_every_optimizer(name, clip):
    """With EMA, and images held out: the same losses and the same weights at the end."""
    models = [small(dropout=0.3), moved(small(dropout=0.3))]
    histories = []
    for model in models:
        optimizer = OPTIMIZERS[name](0.01, clip_norm=clip, **OPTIONS.get(name, {}))
        histories.append(train(model, optimizer=optimizer, validation=0.2, callbacks=[EMA(0.9)]).history)
    for key in set(histories[0]) - {"seconds"}:
        np.testing.assert_allclose(histories[1][key], histories[0][key], rtol=1e-8, err_msg=key)
    close(models[1].state_dict(), models[0].state_dict(), 1e-6, 1e-8)
    assert is_there(models[1])


def test_one_shard_a_step(monkeypatch):
    """Whatever `workers` says; the whole batch goes through each op at once."""
    seen, log_prob = [], mp.models.PixelCNN._log_prob
    monkeypatch.setattr(
        mp.models.PixelCNN,
        "_log_prob",
        lambda self, images, *rest: seen.append(len(images)) or log_prob(self, images, *rest),
    )
    train(moved(small()), workers=3, epochs=1, batch_size=12)
    assert seen == [12]


def test_weights_of_images_and_frozen_layers():
    models = [small(), moved(small())]
    for model in models:
        train(model, sample_weight=np.arange(12.0), trainable=["top"])
    close(models[1].state_dict(), models[0].state_dict())


def test_early_stopping_restores_the_best():
    models = [small(), moved(small())]
    for model in models:
        stop = EarlyStopping(patience=1, restore_best_weights=True)
        train(model, optimizer=mp.optim.SGD(0.5), validation=(IMAGES[:4], LABELS[:4]), epochs=6, callbacks=[stop])
    close(models[1].state_dict(), models[0].state_dict(), 1e-6, 1e-8)
    assert is_there(models[1])


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("first", "then"), [DEVICES, DEVICES[::-1]])
def test_checkpoints_move_between_devices(tmp_path, name, first, then):
    """Saved on one device and resumed on the other, by the middle of an epoch, with averages: as if never moved."""
    on = {"cpu": lambda model: model, "cuda": moved}
    optimizer = functools.partial(OPTIMIZERS[name], 0.01, clip_norm=1.0, **OPTIONS.get(name, {}))
    whole, resumed = small(dropout=0.3), on[then](small(dropout=0.3))
    history = train(whole, optimizer=optimizer(), callbacks=[EMA(0.9)])

    class Stop(mp.callbacks.Callback):
        def on_batch_end(self, epoch, images, logs):
            self.stop_training = epoch == 1

    saved = [ModelCheckpoint(tmp_path, save_freq=1), EMA(0.9), Stop()]
    train(on[first](small(dropout=0.3)), optimizer=optimizer(), callbacks=saved)
    found = train(resumed, resume=tmp_path, optimizer=optimizer(), callbacks=[EMA(0.9)])
    np.testing.assert_allclose(found.history["loss"], history.history["loss"], rtol=1e-8)
    close(resumed.state_dict(), whole.state_dict(), 1e-6, 1e-8)
    assert resumed.device == then


def test_files_are_the_same_for_both(tmp_path):
    for folder, model in (("here", small()), ("there", moved(small()))):
        model.save(tmp_path / f"{folder}.safetensors")
        train(model, tmp_path / folder, epochs=1, callbacks=[EMA(0.9)])
    assert (tmp_path / "here.safetensors").read_bytes() == (tmp_path / "there.safetensors").read_bytes()
    files = [next((tmp_path / folder).iterdir()) for folder in ("here", "there")]
    (config, tensors), (other, found) = map(mp.checkpoint.read, files)
    assert config["training"]["same"] == other["training"]["same"] and files[0].name == files[1].name
    assert {n: (a.dtype, a.shape) for n, a in found.items()} == {n: (a.dtype, a.shape) for n, a in tensors.items()}
    assert mp.load(files[1]).device == "cpu"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_model_may_move_between_steps(name):
    """The optimizer's memories follow it at the next step, and numbers are those of a model that stayed."""
    models = small(), small()
    optimizers = [OPTIMIZERS[name](0.01, **OPTIONS.get(name, {})) for _ in models]
    for step in range(6):
        if step % 2:
            moved(models[1]) if step % 4 == 1 else models[1].to("cpu")
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.step(model, model.value_and_gradients(IMAGES, LABELS)[1])
    close(models[1].state_dict(), models[0].state_dict())
    there, here = (optimizer.state_dict() for optimizer in optimizers[::-1])
    close(there | {"rate": 0}, here | {"rate": 0})
    fresh = OPTIMIZERS[name](0.01, **OPTIONS.get(name, {}))
    fresh.load_state_dict(here, moved(models[1]))
    fresh.step(models[1], models[1].value_and_gradients(IMAGES, LABELS)[1])
    assert is_there(models[1])


def test_gradients_left_by_backward_move_too():
    model, other = small(), small()
    for m in (model, other):
        m.loss(IMAGES, LABELS).backward()
    for m in (model, moved(other)):
        mp.optim.Adam().step(m)
    close(other.state_dict(), model.state_dict())


def test_an_anomaly_is_found_there():
    class Odd(mp.models.PixelCNN):
        def forward(self, x, condition=None, rng=None):
            return ops.log(super().forward(x, condition) * 0.0) * 1.0

    model = moved(Odd((3, 4, 1), 4, hidden=4, blocks=1, num_classes=3, dtype="float64"))
    with np.errstate(all="ignore"), pytest.raises(mp.NonFiniteError, match="first in log") as error:
        train(model, anomaly=True)
    assert error.value.first.startswith("log") and is_there(model)


def test_embedding_networks():
    host, there = (mp.models.EmbeddingNet((3, 4, 1), 4, filters=4, dimensions=3, dtype="float64") for _ in range(2))
    moved(there)
    np.testing.assert_allclose(there.embed(IMAGES), host.embed(IMAGES), rtol=1e-11)
    options = {"steps": 3, "classes_per_batch": 3, "images_per_class": 2, "progress": False}
    losses = [mp.fit_embedding(net, IMAGES, np.arange(12) % 3, **options).history["loss"] for net in (host, there)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)
    assert type(there.embed(IMAGES)) is np.ndarray and is_there(there)


# --- ranks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("R", [2, 3])
def test_ranks_share_a_batch_and_sum_over_the_host(R):
    """Each rank takes its part of the batch, also where a batch has fewer images than there are ranks."""
    alone = small()
    history = train(alone)
    models = [moved(small()) for _ in range(R)]

    def rank(comm):
        with kernels.as_written():
            return train(models[comm.rank], ranks=comm)

    for found, model in zip(on_ranks(R, rank), models, strict=True):
        if isinstance(found, BaseException):
            raise found
        np.testing.assert_allclose(found.history["loss"], history.history["loss"], rtol=1e-9)
        close(model.state_dict(), alone.state_dict(), 1e-6, 1e-8)
        assert is_there(model)


def test_each_rank_takes_the_gpu_of_its_place():
    assert [gpu_of(place, 2) for place in range(5)] == [0, 1, 0, 1, 0] and gpu_of(3, 8) == 3
    used = []
    with played_by(fake(getDeviceCount=lambda: 2, use=used.append)):
        for place in range(4):
            use_gpu_of(place)
    assert used == [1, 0, 1]  # the first keeps the current one


def test_places_are_counted_on_each_machine(monkeypatch):
    machines = {}
    monkeypatch.setattr("platform.node", lambda: machines[threading.get_ident()])

    def rank(comm):
        machines[threading.get_ident()] = "ab"[comm.rank % 2]
        return mp.ranks.Ranks(comm).place()

    assert on_ranks(5, rank) == [0, 0, 1, 1, 2]


# --- what is refused, and what CUDA says ------------------------------------------------------------------------------

MIXED = {
    "linear": lambda a, b: ops.linear(a, b, None),
    "add": lambda a, b: ops.add(mp.Tensor(a), b),
    "operators": lambda a, b: mp.Tensor(a) * mp.Tensor(b),
    "concat": lambda a, b: ops.concat(a, b),
}


@pytest.mark.parametrize("name", MIXED)
def test_arrays_of_two_devices_are_refused_by_name(name):
    host = np.ones((3, 3))
    for a, b in ((host, to_device_array(host)), (to_device_array(host), host)):
        with pytest.raises(DeviceError) as error:
            MIXED[name](a, b)
        said = str(error.value)
        assert "\n" not in said and "on the host and" in said and "model.to('cuda')" in said
    first = {
        "operators": "multiply: got y on the host and x on the GPU",
        "linear": "linear: got weight on the host and x on",
    }
    assert said.startswith(first.get(name, f"{name}: got ")), said


def test_numbers_are_at_home_anywhere():
    x = mp.Tensor(to_device_array(np.ones(3)))
    for number in (2, 2.0, np.float32(2), np.float64(2)):
        np.testing.assert_array_equal(to_cpu((x * number).data), 2 * np.ones(3))


def test_host_gradients_go_to_the_weights_and_not_the_reverse():
    model, there = small(), moved(small())
    _, gradients = model.value_and_gradients(IMAGES, LABELS)
    _, on_gpu = there.value_and_gradients(IMAGES, LABELS)
    mp.optim.Adam().step(there, gradients)
    assert is_there(there)
    with pytest.raises(DeviceError, match=r"^step: got a gradient on the GPU for encoding|stem.*model.to\('cuda'\)"):
        mp.optim.Adam().step(model, on_gpu)


@pytest.mark.parametrize("word", ["gpu", "CUDA", "mps", "cuda:1", "", 0, None, "cp"])
def test_another_word_for_a_device_is_refused(word):
    with pytest.raises(ValueError, match=r"^device: got .*, wanted 'cpu' or 'cuda'"):
        small().to(word)


class CUDARuntimeError(RuntimeError):
    """What CuPy raises, known by its name."""


class OutOfMemoryError(MemoryError):
    pass


class DynamicLibNotFoundError(RuntimeError):
    pass


def without(library):
    """What CuPy raises when it imports a module for a library of CUDA that is not there."""
    error = ImportError(f'Failure finding "lib{library}.so.12": No such file: lib{library}.so.12\n')
    error.__cause__ = DynamicLibNotFoundError(str(error))
    return error


def fake(error=None, driver=0, use=None, **runtime):
    """A CuPy whose every transfer raises an error, with a driver for that version of CUDA."""

    def asarray(array, *rest):
        raise error

    def properties(number):
        if error is not None:
            raise error
        return {"name": b"NVIDIA H100"}

    calls = {"driverGetVersion": lambda: driver, "getDevice": lambda: 0, "getDeviceProperties": properties}
    cuda = types.SimpleNamespace(
        runtime=types.SimpleNamespace(**calls | runtime),
        Device=lambda number: types.SimpleNamespace(use=lambda: use(number)),
    )
    return types.SimpleNamespace(asarray=asarray, cuda=cuda)


SAID = {
    "no device": (fake(CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device")), "GPU: got none", "nvidia-smi"),
    "no driver": (
        fake(CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version")),
        "GPU: got none",
        "driver",
    ),
    "old driver": (
        fake(CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version"), driver=11080),
        "GPU: got a driver for CUDA 11.8, which is too old",
        "minipixel[cuda12]",
    ),
    "another": (fake(CUDARuntimeError("cudaErrorECCUncorrectable: ECC")), "GPU: cudaErrorECCUncorrectable: ECC", ""),
    "no cuBLAS": (fake(without("cublasLt")), "GPU: CuPy found no libcublasLt", "minipixel[cuda12]"),
    "no NVRTC": (fake(without("nvrtc").__cause__), "GPU: CuPy found no libnvrtc", "minipixel[cuda12]"),
    "full": (fake(OutOfMemoryError("Out of memory allocating 1 bytes")), "GPU: out of memory", "smaller model"),
    "full, said by CUDA": (fake(CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")), "GPU: out of mem", ""),
}


@pytest.mark.parametrize("name", SAID)
def test_what_cuda_says_is_one_line_and_nothing_has_moved(name):
    library, begins, way_out = SAID[name]
    model = small()
    with played_by(library), pytest.raises(MemoryError if "full" in name else DeviceError) as error:
        model.to("cuda")
    said = str(error.value)
    assert said.startswith(begins) and way_out in said and "\n" not in said
    assert model.device == "cpu" and model.log_prob(IMAGES, LABELS).shape == (12,)


def test_out_of_memory_names_the_batch_and_what_to_try(monkeypatch):
    def full(*arguments, **options):
        raise OutOfMemoryError("Out of memory allocating 1,073,741,824 bytes (allocated so far: 0 bytes).")

    there = moved(small())
    monkeypatch.setattr(type(there), "forward", full)
    for call, batch in {
        lambda: train(there, batch_size=6): "a batch of 6 images; try a batch of 3 (batch_size=3)",
        lambda: there.log_prob(IMAGES, LABELS): "a batch of 12 images; try a batch of 6",
        lambda: there.predict(IMAGES[:1], LABELS[:1]): "a batch of 1 images; try a smaller model",
        lambda: there.value_and_gradients(IMAGES, LABELS): "a batch of 12 images",
    }.items():
        with pytest.raises(MemoryError) as error:
            call()
        assert str(error.value).startswith("GPU: out of memory with a batch of") and batch in str(error.value)


def test_the_gpu_in_words(monkeypatch):
    with played_by(fake(driver=12090)):
        assert gpu() == "NVIDIA H100, driver for CUDA 12.9"
    with installed():
        assert gpu() == "no GPU but its stand-in, driver for CUDA 12.8"


def test_who_plays_is_known_in_every_thread_and_put_back():
    assert backend._player is None
    with pytest.raises(ZeroDivisionError), played_by(device):
        found = on_ranks(2, lambda comm: backend.to_device(np.ones(1)))
        assert [type(array) for array in found] == [DeviceArray] * 2
        1 / 0  # noqa: B018
    assert backend._player is None


# --- what needs the host ----------------------------------------------------------------------------------------------


def test_an_onnx_file_is_the_same(tmp_path):
    pytest.importorskip("onnx")
    model = small(dtype="float32")
    mp.interop.to_onnx(model, tmp_path / "here.onnx")
    mp.interop.to_onnx(moved(model), tmp_path / "there.onnx")
    assert (tmp_path / "here.onnx").read_bytes() == (tmp_path / "there.onnx").read_bytes()


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


TRAIN = ["train", "--data", "digits", "--model", "pixelcnn", "--hidden", "2", "--blocks", "1", "--levels", "2"]


def on_the_command_line(*words):
    with installed():
        return main([str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one epoch there."""
    folder = tmp_path_factory.mktemp("there")
    with kernels.as_written():
        assert on_the_command_line(*TRAIN, "--device", "cuda", "--epochs", 1, "--out", folder / "run") == 0
    return folder / "run"


def test_train_and_resume_on_the_other_device(run, here, capsys):
    run = shutil.copytree(run, here / "run")
    assert 'device = "cuda"' in (run / "config.toml").read_text()
    assert 'device = "no GPU but its stand-in, driver for CUDA 12.8"' in (run / "config.toml").read_text()
    assert main(["train", "--resume", str(run), "--epochs", "2", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "device: was no GPU but its stand-in, driver for CUDA 12.8 then, is cpu now; the bits may differ" in said.err
    assert main([*TRAIN, "--epochs", "2", "--out", "whole"]) == 0
    (_, whole), (_, found) = (mp.checkpoint.read(Path(f) / "model.safetensors") for f in ("whole", run))
    close(found, whole, 1e-3, 1e-4)


def test_the_other_commands_give_the_same_there(here, capsys):
    ds = mp.datasets.load("digits")
    mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=2, blocks=1).save("model.safetensors")
    for command in (
        "evaluate model.safetensors --split validation",
        "sample model.safetensors -n 2 --out OUT.npy",
        "sample model.safetensors -n 1 --method naive --out OUT.npy",
        "complete model.safetensors -n 2 --out OUT.npy",
    ):
        said = {}
        for place in DEVICES:
            assert on_the_command_line(*command.replace("OUT", place).split(), "--device", place) == 0
            said[place] = capsys.readouterr().out.replace(place, "")
        assert said["cuda"] == said["cpu"]
        if "OUT" in command:
            np.testing.assert_array_equal(np.load("cuda.npy"), np.load("cpu.npy"))


@pytest.mark.parametrize("command", ["train", "sample mnist", "complete mnist", "evaluate mnist"])
def test_a_gpu_that_is_not_there_is_one_line(command, here, capsys):
    for library, said in ((SAID["no device"][0], "GPU: got none"), (SAID["old driver"][0], "GPU: got a driver")):
        with played_by(library):
            assert main([*command.split(), "--device", "cuda"]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"minipixel: error: {said}") and error.count("\n") == 1
    assert not [*here.iterdir()]


def test_without_cupy_one_line_says_what_to_install(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert main(["sample", "mnist", "--device", "cuda"]) == 2
    assert capsys.readouterr().err.startswith(
        "minipixel: error: GPU: CuPy is not installed; pip install 'minipixel[cuda1"
    )
    assert main(["info"]) == 0
    assert "\ngpu           no GPU: CuPy is not installed; " in capsys.readouterr().out
    with played_by(fake(driver=12090)):
        assert main(["info"]) == 0
    assert "\ngpu           NVIDIA H100, driver for CUDA 12.9\n" in capsys.readouterr().out
