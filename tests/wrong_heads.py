"""Mistakes in likelihoods: probabilities that do not sum to 1, or by which nothing is drawn; see mutant_catalogue.py.

Functions that break the head of a model. Nothing else of the model is touched, so nothing can be seen in its graph.
"""

import numpy as np

from minipixel import models
from minipixel.ops import mixture
from minipixel.tensor import Tensor


def _scored(log_prob):
    """The model's head with another `log_prob(head, parameters, images)` on plain arrays, which draws as before."""

    def mistake(model):
        kind = type(model.head)
        told = {"log_prob": lambda self, parameters, images: Tensor(log_prob(self, parameters.data, images))}
        model.head.__class__ = type(kind.__name__, (kind,), told)

    mistake.__name__, mistake.__doc__ = log_prob.__name__, log_prob.__doc__
    return mistake


def _of_masses(log_mass):
    """The head of a mixture with another mass for its bins."""

    def log_prob(head, parameters, images):
        return mixture._log_prob(parameters, images, head.Q, log_mass)[0]

    log_prob.__name__, log_prob.__doc__ = log_mass.__name__, log_mass.__doc__
    return _scored(log_prob)


def _log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _picked(log_p, images):
    return np.take_along_axis(log_p, images[..., None], axis=-1)[..., 0]


# --- mixtures ---------------------------------------------------------------------------------------------------------


@_of_masses
def edges_without_tails(m, d, lowest, highest):
    """The lowest and the highest level get a bin of the usual width, and nobody the tails."""
    return mixture.logistic_log_mass(m, d, np.zeros_like(lowest), np.zeros_like(highest))


@_of_masses
def tails_at_the_wrong_ends(m, d, lowest, highest):
    return mixture.logistic_log_mass(m, d, highest, lowest)


@_of_masses
def density_times_width(m, d, lowest, highest):
    """The naive formula, which is right for narrow bins alone."""
    return np.log(d) - np.abs(m) - 2 * np.log1p(np.exp(-np.abs(m))), None


@_of_masses
def bins_of_one_qth(m, d, lowest, highest):
    """Q bins of 2 / Q, where Q levels on [-1, 1] are 2 / (Q - 1) apart."""
    return mixture.logistic_log_mass(m, d * 2 / 3, lowest, highest)


@_of_masses
def mass_plus_epsilon(m, d, lowest, highest):
    """log(p + 1e-7), against the logarithm of zero."""
    return np.log(np.exp(mixture.logistic_log_mass(m, d, lowest, highest)[0]) + 1e-7), None


@_scored
def weights_left_as_logits(head, parameters, images):
    """Mixture weights that were never normalised."""
    logits = mixture.mixture_parts(parameters, images, head.Q)[0]
    log_p = mixture._log_prob(parameters, images, head.Q, mixture.logistic_log_mass)[0]
    log_p[..., 0] += mixture.log_normalise(logits)[1][..., 0]
    return log_p


@_scored
def mixture_summed_before_its_channels(head, parameters, images):
    """Each colour a mixture by itself, where a component is to describe all three: a distribution, but another one."""
    logits, means, log_scales, _ = mixture.mixture_parts(parameters, images, head.Q)
    m, d, lowest, highest, _ = mixture.bins(images, head.Q, means, log_scales)
    log_mass = mixture.logistic_log_mass(m, d, lowest, highest)[0]
    return mixture.log_normalise(_log_softmax(logits)[..., None, :] + log_mass)[1][..., 0]


# --- logits -----------------------------------------------------------------------------------------------------------


@_scored
def softmax_over_all_colours(head, parameters, images):
    """One softmax over the C * Q logits of a pixel."""
    return _picked(_log_softmax(parameters).reshape(*images.shape, head.Q), images)


@_scored
def levels_before_colours(head, parameters, images):
    """The logits read as (Q, C), where the masks were built for (C, Q)."""
    C = images.shape[-1]
    return _picked(_log_softmax(parameters.reshape(*images.shape[:-1], head.Q, C).swapaxes(-1, -2)), images)


@_scored
def one_level_off(head, parameters, images):
    """The logit of the next level, and of the highest once more."""
    return _picked(_log_softmax(parameters.reshape(*images.shape, head.Q)), np.minimum(images + 1, head.Q - 1))


@_scored
def only_ones_counted(head, parameters, images):
    """x log p, without (1 - x) log(1 - p)."""
    return np.where(images == 1, -np.logaddexp(0, -parameters), 0)


@_scored
def ones_for_zeros(head, parameters, images):
    """The logit of 0, where samples are drawn from the logit of 1."""
    return np.where(images == 0, -np.logaddexp(0, -parameters), -np.logaddexp(0, parameters))


# --- pixels -----------------------------------------------------------------------------------------------------------


def small_pixels_counted_twice(model):
    """The small image's own likelihood is added to that of the large one, which has it already."""

    class MultiScale(models.MultiScale):
        def _log_prob(self, images, condition, rng=None):
            log_p = super()._log_prob(images, condition, rng).data.copy()
            s = self.factor
            log_p[::s, ::s] += self.small._log_prob(images[:, ::s, ::s], None).data
            return Tensor(log_p)

    model.__class__ = MultiScale


def first_pixel_left_out(model):
    """The likelihood of what has no past is taken as 1."""

    class PixelCNN(models.PixelCNN):
        def _log_prob(self, images, condition, rng=None):
            log_p = super()._log_prob(images, condition, rng).data.copy()
            log_p[0, 0] = 0
            return Tensor(log_p)

    model.__class__ = PixelCNN
