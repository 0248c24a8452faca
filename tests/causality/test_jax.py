"""A JAX function: by gradients and by change, recognised by what it returns."""

import numpy as np
import pytest

import minipixel as mp

jax = pytest.importorskip("jax", reason="the adapter for JAX needs JAX: pip install 'minipixel[jax]'")
MASK = np.zeros((3, 3, 1, 2), np.float32)
MASK[0], MASK[1, 0] = 1, 1


def masked(mask, padding=((1, 1), (1, 1))):
    weights = jax.random.normal(jax.random.key(0), mask.shape) * mask

    @jax.jit
    def function(images):
        return jax.lax.conv_general_dilated(
            images, weights, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    return function


def test_causal_and_with_gradients():
    report = mp.check_causality(masked(MASK), (4, 5, 1))
    assert report.ok and "gradients" in {witness.name for witness in report.witnesses}
    subject = mp.causality.subject_of(masked(MASK), (4, 5, 1))
    np.testing.assert_array_equal(mp.causality.dependencies(subject), report.dependencies)
    np.testing.assert_array_equal(mp.causality.perturbed(subject), report.dependencies)


def test_a_leak_is_refused():
    centre = MASK.copy()
    centre[1, 1] = 1
    with pytest.raises(mp.CausalityError, match=r"sub-pixel \(0, 0\) depends on \(0, 0\) .*mask B"):
        mp.assert_causal(masked(centre), (4, 5, 1))


def test_channels_first():
    function = masked(MASK)

    def first(images):
        return function(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    report = mp.check_causality(first, (1, 4, 5), channels_first=True)
    assert report.ok and "gradients" in {witness.name for witness in report.witnesses}


@pytest.mark.parametrize("k", range(3))
def test_a_large_image_is_asked_about_each_of_its_colours(k):
    """Of 3,072 sub-pixels 32 are looked at: each 99th would nearly always be a red or a green one."""
    own = np.zeros((32, 32, 3), np.float32)
    own[:-1, :, k] = 1  # in the last row nothing leaks

    @jax.jit
    def function(images):
        return jax.numpy.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1] + images * own

    report = mp.check_causality(function, (32, 32, 3))
    assert not report.ok and {output[2] for output, _ in report.leaks.tolist()} == {k}
