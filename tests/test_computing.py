"""What holds in a thread while it computes: it is there wherever something is computed, and gone afterwards."""

import contextlib
import functools
import threading

import numpy as np
import pytest
import threadpoolctl
from model_table import SMALL

import minipixel as mp
from minipixel import denormals, kernels, models
from minipixel.causality.perturbation import perturbed
from minipixel.causality.subjects import subject_of
from minipixel.computing import computing
from minipixel.models import Model
from minipixel.sampling import SAMPLERS
from minipixel.shards import Workers

NO_MODE = "this processor, or this system, has no mode for denormal numbers that is known"
needs_mode = pytest.mark.skipif(denormals.mode() is None, reason=NO_MODE)
LEAST = {"float32": 2.0**-126, "float64": 2.0**-1022}
IMAGES = np.random.default_rng(0).integers(0, 2, (12, 6, 8, 1), dtype=np.uint8)


def flushes(dtype="float32"):
    """Whether in this thread results that are denormal, and operands that are, count as zero."""
    least = np.full(40, LEAST[dtype], dtype)
    denormal = (least.view(f"u{least.itemsize}") >> 1).view(dtype)  # without any arithmetic
    half, two = np.array([0.5, 2.0**40], dtype)
    with np.errstate(under="ignore"):
        found = {bool((least * half == 0).all()), bool((denormal * two == 0).all())}
    assert len(found) == 1
    return found.pop()


def blas_threads():
    """Numbers of threads that the BLAS libraries of this process take: a set."""
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


def state():
    """What of this thread's settings computing changes."""
    return {"flushes": flushes(), "underflow": np.geterr()["under"], "BLAS": blas_threads()}


def wanted():
    return {"flushes": denormals.mode() is not None, "underflow": "ignore", "BLAS": {1}}


# --- the block itself ------------------------------------------------------------------------------------------------


@needs_mode
@pytest.mark.parametrize("dtype", LEAST)
def test_denormal_numbers_are_zero_in_numpy_blas_and_numba(dtype):
    """A product whose result is denormal, in each of the three; and an operand that is."""
    a = np.full((16, 16), LEAST[dtype] ** 0.5 / 8, dtype)

    def products():
        yield a * a
        yield a @ a
        yield mp.ops.linear(a, a, np.zeros(16, dtype))
        with kernels.as_written():
            yield mp.ops.linear(a, a, np.zeros(16, dtype))

    with computing:
        assert all((product == 0).all() for product in products())
        assert flushes(dtype)
    assert all((product > 0).all() for product in products())
    assert not flushes(dtype)


@needs_mode
def test_it_is_put_back_whatever_happens():
    before = state()
    with pytest.raises(KeyError), computing:
        raise KeyError
    assert state() == before
    with computing:
        with computing, pytest.raises(KeyError), computing:
            raise KeyError
        assert state() == wanted()
    assert state() == before


def test_blocks_that_cross_each_other_end_together():
    before, blocks = state(), (computing, Workers(), computing)
    for block in blocks:
        block.__enter__()
    for block in blocks:  # the first to be entered is the first to be left
        assert state() == wanted()
        block.__exit__(None, None, None)
    assert state() == before


@needs_mode
def test_each_thread_has_its_own():
    """One computes while another one does not; what that one sees of it is BLAS alone."""
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        with computing:
            seen.append(flushes())
            inside.set()
            done.wait()
        seen.append(flushes())

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait()
    here = flushes()
    done.set()
    thread.join()
    assert (seen, here) == ([True, False], False)


@needs_mode
def test_a_thread_that_flushes_by_itself_goes_on_doing_so():
    exchange, bits = denormals.mode()
    before = exchange(bits)
    try:
        with computing:
            assert flushes()
        assert flushes()
    finally:
        exchange(before)
    assert not flushes()


def test_the_decorator_keeps_name_result_and_error():
    @computing
    def divide(a, b):
        """A quotient."""
        assert state() == wanted()
        return a / b

    before = state()
    assert divide(6, b=3) == 2 and divide.__name__ == "divide" and divide.__doc__ == "A quotient."
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    assert state() == before


@pytest.mark.parametrize("setting", ["raise", "warn", "call", "ignore"])
def test_of_numpys_settings_underflow_alone_changes(setting):
    with np.errstate(all="raise", under=setting, divide="print"):
        outside = np.geterr()
        with computing:
            assert np.geterr() == outside | {"under": "ignore"}
            np.seterr(over="warn")  # a setting of somebody within, who wants it to stay
        assert np.geterr() == outside | {"over": "warn"}


def test_numpys_own_limits_give_no_warning():
    """Looked up for the first time inside, they would; warnings are errors here."""
    np.finfo._finfo_cache.clear()
    denormals.mode.cache_clear()
    with computing:
        for dtype in (np.float32, np.float64):
            str(np.finfo(dtype))


# --- where there is no such mode --------------------------------------------------------------------------------------


@pytest.fixture
def without_mode(monkeypatch):
    """As on a processor that nobody has heard of."""
    monkeypatch.setattr(denormals, "PLACES", {})
    monkeypatch.setattr(denormals, "_on_windows", lambda: None)
    denormals.mode.cache_clear()
    yield
    denormals.mode.cache_clear()


def test_without_the_mode_all_else_is_the_same(without_mode):
    with computing:
        assert state() == {"flushes": False, "underflow": "ignore", "BLAS": {1}}
    model = models.PixelCNN((6, 8, 1), 2, hidden=4, blocks=1)
    mp.fit(model, IMAGES, epochs=1, progress=False)
    assert np.isfinite(model.log_prob(IMAGES)).all()


def nothing(word):
    """A register in which nothing can be set."""
    return 0


def stuck():
    """One that says what it was told, and changes nothing."""
    words = [0]

    def exchange(word):
        before, words[0] = words[0], word
        return before

    return exchange


def results_alone():
    """The real one, but for operands: half of the mode."""
    exchange, bits = denormals.mode()
    half = denormals.FLUSH_AND_ZERO & 0x8000
    return (lambda word: bits if exchange(word and half) else 0), bits


@pytest.mark.parametrize("fault", [nothing, stuck()])
def test_a_register_that_does_something_else_is_not_used(fault):
    assert not denormals._holds(fault, denormals.FLUSH_AND_ZERO)


@needs_mode
def test_a_mode_that_does_half_is_not_used():
    exchange, bits = denormals.mode()
    if bits != denormals.FLUSH_AND_ZERO:
        pytest.skip("on this processor one bit does both")
    assert denormals._holds(exchange, bits)
    assert not denormals._holds(*results_alone())
    assert not flushes()


# --- wherever something is computed -----------------------------------------------------------------------------------


class StopError(Exception):
    """What a probe raises, if it is to."""


class Probe:
    """Notes the state of each thread that passes, and its name; raises StopError if it is to `fail`."""

    def __init__(self):
        self.seen, self.fail, self.off = [], False, False

    def __call__(self, *ignored):
        if not self.off:
            self.seen.append((threading.current_thread().name, state()))
            if self.fail:
                raise StopError


probe = Probe()


@mp.op
def probed(x):
    """x, seen on its way forward and back."""
    probe()

    def vjp(g):
        probe()
        return (g,)

    return x, vjp


class Probed(models.PixelCNN):
    """A model that is seen whenever it computes; of several shards, so that worker threads take part."""

    shard_size = 3

    def __init__(self):
        super().__init__((6, 8, 1), 2, hidden=4, blocks=1)

    def forward(self, x, condition=None, rng=None):
        return probed(super().forward(x, condition, rng))


class ProbedNet(models.EmbeddingNet):
    shard_size = 3

    def __init__(self):
        super().__init__((6, 8, 1), 2, filters=2, layers=1)

    def forward(self, x):
        return probed(super().forward(x))


class Watcher(mp.callbacks.Callback):
    """Averages of weights, and the like, are computed in callbacks."""

    on_batch_end = on_epoch_end = on_evaluation_begin = probe


def plain():
    return models.PixelCNN((6, 8, 1), 2, hidden=4, blocks=1)


def backward():
    probe.off = True
    loss = Probed().loss(IMAGES)
    probe.off = False
    loss.backward()


def step(kind):
    """Of an optimizer."""
    model, optimizer = plain(), kind()
    model.loss(IMAGES).backward()
    change = optimizer.change
    optimizer.change = lambda g, **memories: (probe(), change(g, **memories))[1]
    optimizer.step(model)


def draw(method, call):
    """`call(model)`, which draws by a method, while that method's sampler is seen, whichever it is."""
    make = SAMPLERS[method]

    class Watched:
        def __init__(self, model):
            probe()
            self.sampler, self.shard_size = make(model), 2
            self.chances = self.sampler.chances

        def __call__(self, *arguments):
            probe()
            return self.sampler(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SAMPLERS, method, Watched)
        call(plain())


def fit(model, images=IMAGES, **options):
    mp.fit(model, images, **{"epochs": 1, "batch_size": 8, "workers": 2, "progress": False} | options)


LABELS = np.arange(len(IMAGES)) % 3
OPTIMIZERS = [getattr(mp.optim, name) for name in mp.optim.__all__]
OPTIMIZERS = [
    kind
    for kind in OPTIMIZERS
    if isinstance(kind, type) and issubclass(kind, mp.optim.Optimizer) and kind is not mp.optim.Optimizer
]
ENTRIES = {
    "loss": lambda: Probed().loss(IMAGES),
    "backward": backward,
    "predict": lambda: Probed().predict(IMAGES),
    "initialize": lambda: Probed().initialize(IMAGES),
    "log_prob": lambda: Probed().log_prob(IMAGES),
    "log_prob of one image": lambda: Probed().log_prob(IMAGES[:1]),
    "bits_per_dim": lambda: Probed().bits_per_dim(IMAGES),
    "complete": lambda: draw("auto", lambda model: model.complete(IMAGES, IMAGES[..., 0] > 0, rng=0)),
    "fit": lambda: fit(Probed(), validation=IMAGES),
    "fit, one worker": lambda: fit(Probed(), validation=IMAGES, workers=1),
    "callbacks": lambda: fit(plain(), callbacks=[Watcher()], validation=IMAGES),
    "fit_embedding": lambda: mp.fit_embedding(ProbedNet(), IMAGES, LABELS, steps=1, workers=2, progress=False),
    "loss of embeddings": lambda: ProbedNet().loss(IMAGES, LABELS),
    "embed": lambda: ProbedNet().embed(IMAGES),
    "points": lambda: ProbedNet().points(IMAGES),
    "gradients of a check": lambda: mp.causality.dependencies(Probed(), outputs=[0, 5]),
    "changes of a check": lambda: perturbed(subject_of(Probed()), images=1, inputs=[0, 5]),
}
for method in SAMPLERS:
    ENTRIES[f"sample, {method}"] = functools.partial(draw, method, functools.partial(Model.sample, n=5, method=method))
for kind in OPTIMIZERS:
    ENTRIES[f"step of {kind.__name__}"] = functools.partial(step, kind)


@pytest.mark.filterwarnings("ignore:.*runs as it is written, slower:RuntimeWarning")
@pytest.mark.parametrize("fail", [False, True], ids=["", "with an error"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_it_holds_wherever_something_is_computed(entry, fail, monkeypatch):
    """In worker threads and in the caller's own; it is put back there, also when an error is raised."""
    monkeypatch.setattr(probe, "seen", [])
    monkeypatch.setattr(probe, "fail", fail)
    before = state()
    with np.errstate(all="raise", over="warn"), pytest.raises(StopError) if fail else contextlib.nullcontext():
        ENTRIES[entry]()
    assert probe.seen and all(found == wanted() for _, found in probe.seen), probe.seen
    assert state() == before


def test_worker_threads_were_among_them(monkeypatch):
    """The test above can fail there, too."""
    monkeypatch.setattr(probe, "seen", [])
    ENTRIES["fit"]()
    assert any(name.startswith("minipixel") for name, _ in probe.seen)


def test_functions_of_others_compute_as_they_do_at_home():
    """A check of causality holds BLAS and nothing else: who asks whether a tiny number matters wants to see it."""
    seen = []

    def function(images):
        seen.append(state())
        with np.errstate(under="ignore"):
            return np.float32(2.0**-140) * np.roll(images, 1, axis=2)

    with np.errstate(under="raise"):
        report = mp.check_causality(function, (1, 3, 1))
    assert not report.ok
    assert all(found["flushes"] is False and found["underflow"] == "raise" for found in seen)


@needs_mode
@pytest.mark.parametrize("name", ["pixelcnn", "gated", "row-lstm"])
def test_the_same_bits_where_numbers_are_denormal(name, monkeypatch):
    """Of a model that is nearly certain: by one worker or three, and by a loop of one's own in the caller's thread."""
    images = np.zeros((6, 8, 8, 1), np.uint8)

    def certain():
        model = models.MODELS[name]((8, 8, 1), 2, **SMALL[name])
        last = [parameter for key, parameter in model.named_parameters() if key.endswith("bias")][-1]
        last.data = last.data - np.float32(84)
        return model

    def numbers(model):
        return {key: parameter.grad for key, parameter in model.named_parameters()} | model.state_dict()

    def trained(shard, workers):
        model = certain()
        monkeypatch.setattr(type(model), "shard_size", shard)
        fit(model, batch_size=6, workers=workers, optimizer=mp.optim.Adam(epsilon=1e-37), images=images)
        return numbers(model)

    with pytest.MonkeyPatch.context() as patch:  # or else there is nothing to be seen here
        patch.setattr(denormals, "mode", lambda: None)
        model = certain()
        model.loss(images).backward()
        assert any(((abs(p.grad) < LEAST["float32"]) & (p.grad != 0)).any() for p in model.parameters())
    alone = certain()
    optimizer = mp.optim.Adam(epsilon=1e-37)
    alone.loss(images).backward()
    optimizer.step(alone)
    for wanted_numbers, found in [(numbers(alone), trained(6, 1)), (trained(2, 1), trained(2, 3))]:
        for key, number in wanted_numbers.items():
            np.testing.assert_array_equal(found[key], number, err_msg=key)


# --- numpy.seterr(all="raise") ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, -60, -400])
@pytest.mark.parametrize("numba", [True, False])
@pytest.mark.parametrize("name", SMALL)
def test_no_model_trips_over_what_becomes_too_small(name, numba, shift, monkeypatch):
    """Fresh, nearly certain, and more certain than float32 can say: forward, back, a step, a draw, in any thread."""
    model = models.MODELS[name]((4, 4, 1), 3, **SMALL[name])
    last = [parameter for key, parameter in model.named_parameters() if key.endswith("bias")][-1]
    images = np.random.default_rng(0).integers(0, 3, (6, 4, 4, 1), dtype=np.uint8)
    model.initialize(images)
    last.data = last.data + np.float32(shift) * (np.arange(last.data.size) % 2 == 0)
    monkeypatch.setattr(type(model), "shard_size", 2)
    optimizer = mp.optim.Adam()
    with np.errstate(all="raise"), contextlib.nullcontext() if numba else kernels.as_written():
        loss = model.loss(images, rng=0)
        loss.backward()
        optimizer.step(model)
        assert np.isfinite(model.log_prob(images)).all()
        model.sample(3, rng=0)
        mp.fit(model, images, epochs=1, batch_size=6, workers=2, progress=False)
        mp.fit(model, images, epochs=1, batch_size=6, workers=1, progress=False)
