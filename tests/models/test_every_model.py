"""What every model must hold, on images so small that all of them can be written down."""

import contextlib
import functools

import numpy as np
import pytest
from model_table import CASES, CHANNELS, IMAGES, SMALL, VARIANTS, WIDE, diagonal, every_case, on_the_diagonal, shaken
from stand_in import launches

import minipixel as mp
from minipixel import kernels
from minipixel.heads import HEADS
from minipixel.stand_in import DeviceArray, counted
from minipixel.tensor import gradients


def total_probability(case, model):
    return np.exp(model.log_prob(case.every_image())).sum()


@functools.cache
def trained(case):
    """The model after a few steps on half of all images, which leave the start far behind.

    Made once for all tests of a case: they only read it.
    """
    model, images = case.model(), case.every_image()[::2]
    batch = -(-len(images) // 6)
    mp.fit(model, images, epochs=1, batch_size=batch, optimizer=mp.optim.Adam(0.02), progress=False)
    return model


def test_every_model_has_a_row():
    assert set(SMALL) == set(mp.models.MODELS)


def test_the_diagonal_meets_every_model_with_every_head_and_every_image_and_every_variant():
    quick = [case for case in CASES if on_the_diagonal(case)]
    several = [case for case in quick if (case.shape, case.levels, case.head) in CHANNELS]
    assert [case.name for case in several] == list(SMALL) and {case.shape[2] for case in several} == {2, 4}
    plain = [case for case in quick if not case.variant and case not in several]
    assert len(plain) == len({(case.name, case.head) for case in plain}) == len(SMALL) * len(HEADS)
    assert {(case.shape, case.levels, case.head) for case in plain} == set(IMAGES)
    assert len({(case.name, case.shape[2]) for case in plain}) == 2 * len(SMALL)
    assert {case.variant for case in quick} == {"", *VARIANTS}


@every_case
def test_probabilities_of_all_images_sum_to_one(case, tmp_path):
    at_the_start, model = case.model(), trained(case)
    log_prob = [each.log_prob(case.every_image()) for each in (at_the_start, model)]
    assert np.exp(log_prob).sum(axis=1) == pytest.approx([1, 1], abs=1e-9)
    assert np.abs(log_prob[1] - log_prob[0]).max() > 0.01
    model.save(tmp_path / "model.safetensors")
    assert total_probability(case, mp.load(tmp_path / "model.safetensors")) == pytest.approx(1, abs=1e-9)


@every_case
def test_no_weights_make_it_leak(case):
    """Masks are applied in every pass: random numbers in place of all weights, shut ones too, change nothing."""
    model = case.model()
    rng = np.random.default_rng(0)
    model.load_state_dict({name: rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
    assert total_probability(case, model) == pytest.approx(1, abs=1e-9)
    mp.assert_causal(model)


@every_case
def test_causal_and_not_blind(case):
    """On images this small nothing is out of reach: every sub-pixel sees all before it, and nothing else."""
    report = mp.check_causality(case.model(**WIDE[case.name]))
    assert report.ok and len(report.blind) == 0, str(report)


@every_case
def test_a_later_subpixel_changes_nothing_before_it(case):
    """The same by perturbation, independent of gradients: earlier log-probabilities stay the same to the bit."""
    model = trained(case)
    image = np.zeros(case.shape, np.uint8)
    order = model.order.ravel()
    base = model.log_prob_map(image[None]).ravel()
    for place in range(len(order)):
        changed = image.copy().ravel()
        changed[place] = case.levels - 1
        other = model.log_prob_map(changed.reshape(1, *case.shape)).ravel()
        np.testing.assert_array_equal(other[order < order[place]], base[order < order[place]])


@every_case
def test_gradients_of_the_whole_model(case):
    images = case.every_image()[3:8]
    if case.head == "normal_mixture":  # its special functions take no complex step
        assert mp.gradcheck_model(case.model(), images, method="central", directions=3) <= 1e-7
    else:
        assert mp.gradcheck_model(case.model(), images, directions=3) <= 1e-10


@diagonal
def test_likelihoods_agree_with_each_other(case):
    model = case.model()
    images = case.every_image()[:20]
    by_pixel = model.log_prob_map(images)
    assert by_pixel.shape == images.shape and by_pixel.dtype == np.float64
    np.testing.assert_allclose(by_pixel.sum(axis=(1, 2, 3)), model.log_prob(images), rtol=1e-13)
    assert float(model.loss(images).data) == pytest.approx(-model.log_prob(images).mean(), rel=1e-12)
    bits = -model.log_prob(images).mean() / np.log(2) / np.prod(case.shape)
    assert model.bits_per_dim(images) == pytest.approx(bits, rel=1e-12)


@every_case
def test_log_prob_map_is_the_chain_rule(case):
    """exp of an entry is p(sub-pixel | earlier ones): the share of p(all images with the same past) that it keeps."""
    model = case.model()
    images = case.every_image()
    p = np.exp(model.log_prob(images))
    order = model.order.ravel()
    flat = images.reshape(len(images), -1)
    image = flat[len(flat) // 3]
    conditional = np.exp(model.log_prob_map(image.reshape(1, *case.shape))).ravel()
    for place in range(len(order)):
        same_past = (flat[:, order < order[place]] == image[order < order[place]]).all(axis=1)
        same_now = same_past & (flat[:, place] == image[place])
        assert conditional[place] == pytest.approx(p[same_now].sum() / p[same_past].sum(), rel=1e-9)


@diagonal
def test_samples(case):
    """Reproducible, of the right kind, the same however the batch is cut, with the log-likelihood they claim."""
    model = trained(case)
    images, log_prob = model.sample(40, rng=3, return_log_prob=True)
    assert images.shape == (40, *case.shape) and images.dtype == np.uint8 and images.max() < case.levels
    np.testing.assert_array_equal(images, model.sample(40, rng=np.random.default_rng(3), method="naive"))
    np.testing.assert_array_equal(images[:7], model.sample(7, rng=3))
    np.testing.assert_allclose(log_prob, model.log_prob(images), rtol=1e-13)
    assert len(np.unique(images)) == case.levels


@diagonal
def test_samples_follow_the_probabilities(case):
    """Chi-square of 4,000 samples against exp(log_prob), rare cells pooled; test_normalised.py draws 20,000."""
    assert case.p_of_samples(trained(case), 4000) > 1e-4


@diagonal
def test_save_and_load_to_the_bit(case, tmp_path):
    exact, rounded, path = trained(case), case.model(dtype="float32"), tmp_path / "model.safetensors"
    rounded.load_state_dict(exact.state_dict())
    for model in (exact, rounded):
        model.save(path)
        again = mp.load(path)
        assert again.config == model.config and type(again) is type(model)
        state, wanted = again.state_dict(), model.state_dict()
        assert list(state) == list(wanted)
        for name, weight in wanted.items():
            np.testing.assert_array_equal(state[name], weight)
            assert state[name].dtype == weight.dtype == model.dtype
        np.testing.assert_array_equal(again.sample(3, rng=0), model.sample(3, rng=0))


@diagonal
def test_on_a_device(case, played_gpu):
    """Loss, gradients and samples on the strict stand-in for a GPU equal those on the host.

    A pass forward and back reads nothing on the host and waits for nothing, as it is written and by its plan. Images
    and the plan's random numbers go over; what a layer looks up, such as its taps, goes over once, or each time where
    the model runs as it is written.
    """
    model, images = case.model(), case.every_image()[:6]
    wanted = gradients(model.loss(images), model.parameters())
    wanted_log_prob, wanted_samples = model.log_prob(images), model.sample(3, rng=0)
    model.to("cuda")
    for way in ("as written", "planned", "by graphs"):
        with counted() as counts, kernels.as_written() if way == "as written" else contextlib.nullcontext():
            found = gradients(model.loss(images), model.parameters())
        assert all(isinstance(g, DeviceArray) for g in found)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a.get(), b, rtol=1e-11, atol=1e-13)
        if way != "planned":  # the first time, places go over and kernels are launched one by one
            assert_few(counts, case, way)
    model.log_prob(images)
    with counted() as counts:
        np.testing.assert_allclose(model.log_prob(images), wanted_log_prob, rtol=1e-12)
    assert counts.waits == counts.to_host.copies == 2  # whether weights are finite, and the answer
    np.testing.assert_array_equal(model.sample(3, rng=0), wanted_samples)
    mp.assert_causal(model, images=1)
    model.load_state_dict(model.state_dict())
    mp.optim.Adam().step(_with_gradients(model, found))
    assert all(isinstance(parameter.data, DeviceArray) for parameter in model.parameters())
    model.to("cpu")
    assert all(type(parameter.data) is np.ndarray for parameter in model.parameters())


def assert_few(counts, case, way):
    """No more launches than were counted before, no waits, and no copies but those that the pass needs."""
    kind = case.variant or case.name
    assert (counts.waits, counts.to_host.copies) == (0, 0)
    if way == "as written":
        assert counts.launches <= launches.AS_WRITTEN[kind]
        return
    assert counts.launches <= launches.BESIDE_GRAPHS[case.head]
    assert 0 < counts.graph_nodes <= launches.IN_GRAPHS[kind]
    assert counts.to_device.copies <= 2  # the images, and the share of each in the loss


def _with_gradients(model, found):
    for parameter, gradient in zip(model.parameters(), found, strict=True):
        parameter.grad = gradient
    return model


@diagonal
def test_float32_is_close_to_float64(case):
    exact, rounded = case.model(), case.model(dtype="float32")
    rounded.load_state_dict(exact.state_dict())
    images = case.every_image()
    np.testing.assert_allclose(rounded.log_prob(images), exact.log_prob(images), rtol=1e-4, atol=1e-4)
    assert rounded.loss(images).dtype == np.float32


@diagonal
def test_temperature(case):
    """Cold samples keep to the likely: their mean log-likelihood rises as the temperature falls.

    Cold mixtures keep to the means of their likely components; of few levels the tails may well be likelier than these.
    What is sure is that their images are less varied, in a model with a will of its own: six steps may well leave
    a PixelCNN++ with scales so large that every level is as likely as any other.
    """
    model = shaken(case.model()) if case.head.endswith("mixture") else trained(case)
    samples = [model.sample(300, rng=0, temperature=t) for t in (0.1, 1.0, 3.0)]
    if case.head.endswith("mixture"):
        alike = [(np.unique(images, axis=0, return_counts=True)[1] ** 2).sum() for images in samples]  # pairs of them
        assert alike[0] > alike[1]
    else:
        means = [model.log_prob(images).mean() for images in samples]
        assert means[0] > means[1] > means[2]
