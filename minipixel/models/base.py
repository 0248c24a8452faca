"""The class Model: what every model of the family can do. It gives likelihoods, draws images and completes them."""

from typing import Any

import numpy as np

from minipixel import ops, plan
from minipixel.backend import explained, to_cpu
from minipixel.computing import computing
from minipixel.draws import Draws
from minipixel.heads import level_dtype, make_head
from minipixel.models.checks import (
    MANY,
    as_images,
    check_choice,
    check_count,
    check_images,
    check_known,
    check_temperature,
    check_weights,
)
from minipixel.models.conditions import Conditions
from minipixel.models.gathering import drawn, gathered
from minipixel.models.host_copy import on_host
from minipixel.models.network import Network
from minipixel.models.probabilities import accuracy, probabilities
from minipixel.models.step import Batch, as_defined, planned_log_prob, value_and_gradients
from minipixel.nn import Encoding, Gradients, check_inputs, fitting_scales
from minipixel.progress import advance
from minipixel.randomness import generator
from minipixel.ranks import now
from minipixel.sampling import MOST_PARTICLES, SAMPLERS, LookingAhead, MachineOnGPU, Sampler, in_order, on_gpu
from minipixel.shards import Workers, rows
from minipixel.spelling import spelled
from minipixel.tensor import Tensor, no_grad, recording

MOST_BYTES = 2**30
"""The most bytes that the head's parameters of one image may take; a model with more is refused."""


class Model(Network):
    """A distribution over images of one shape. All models derive from it; a subclass says how features are computed.

    `image_shape` is (H, W, C) with C in 1..64, and `levels` is Q in 2..65,536. Images are integers in 0..Q-1 of shape
    (N, H, W, C). Those that a model draws are uint8, or uint16 above 256 levels.
    Besides the arguments of its architecture every model takes these:

    - `head`: "bernoulli", "categorical", "logistic_mixture" or "normal_mixture". None stands for Bernoulli with 2
      levels, and for categorical with more. `mixtures` is the number of components of a mixture head, M in 1..1000.
    - `inputs`: how the model reads a level. "scaled" reads it as a number in [-1, 1], for levels of brightness. For
      codes, which are names rather than amounts, "one_hot" reads it as a one-hot vector (up to 4,096 levels), and
      "embedding" as `embedding_width` learned numbers.
    - `num_classes`: the model is conditioned on labels (N,) in 0..num_classes-1.
    - `condition_shape`: the model is conditioned on vectors (N, K) if this is (K,), on maps (N, H, W, K) if it is
      (H, W, K), and on one number per image, (N,), if it is (). With `num_classes` as well, a condition is a pair, such
      as (labels, maps).
    - `rng` (None, int, SeedSequence or Generator) draws the first weights. `dtype` is "float32" or "float64".

    Constructors raise ValueError for arguments out of their range.

    A subclass sets `features` (how many channels most of its feature maps have) and may set `name` (its name in files;
    by default that of the class). Its constructor passes on, as `architecture`, whatever is needed to build the same
    layers again, in the types of JSON: numbers, words, lists. It builds its layers with `self.init`, and the class
    defines `forward`. The constructor should name all arguments above, so that help and editors show them, and so that
    `mp.load(path, classes=[...])` can pass them.
    """

    initialized: bool = True

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        architecture: dict[str, Any],
        head: str | None = None,
        mixtures: int = 5,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        rng: Any = 0,
        dtype: str = "float32",
        inputs: str = "scaled",
        embedding_width: int = 16,
    ) -> None:
        super().__init__(image_shape, levels, rng, dtype)
        self.inputs = check_inputs(inputs, self.levels)
        self.embedding_width = check_count("embedding_width", embedding_width, 2, 4096)
        self.mixtures = check_count("mixtures", mixtures, 1, 1000)
        self.head = make_head(head, self.image_shape[2], self.levels, self.mixtures)
        self._check_memory()
        self.encoding = Encoding(self.inputs, self.image_shape[2], self.levels, self.embedding_width, self.init)
        self.conditions = Conditions(num_classes, condition_shape, self.image_shape, self.dtype)
        self.config = {
            "model": self.name,
            "image_shape": list(self.image_shape),
            "levels": self.levels,
            "head": self.head.name,
            "mixtures": self.mixtures,
            "inputs": self.inputs,
            "embedding_width": self.embedding_width,
            "num_classes": self.conditions.num_classes,
            "condition_shape": None if self.conditions.shape is None else list(self.conditions.shape),
            "dtype": self.dtype,
            **architecture,
        }

    def _check_memory(self) -> None:
        """Raise ValueError if the head's parameters of a single image take over 1 GiB; several such maps are needed."""
        H, W, C = self.image_shape
        size = H * W * len(self.head.groups) * np.dtype(self.dtype).itemsize
        if size > MOST_BYTES:
            way_out = "smaller images" if self.head.joins_colours else "smaller images, fewer levels or a mixture head"
            raise ValueError(
                f"levels: got {self.levels} with a {self.head.name} head for images of {H}x{W}x{C}, {size / 2**30:.1f} "
                f"GiB of parameters per image, wanted 1 GiB at the most; take {way_out}"
            )

    @property
    def widest(self) -> int:
        """How many channels the widest of its maps has: of the features, the head's parameters and the encoded input.

        One-hot inputs count several times, since a convolution that runs as it is written lays several taps of its
        input side by side.
        """
        taps = 8 if self.inputs == "one_hot" else 1
        return max(self.features, len(self.head.groups), taps * len(self.encoding.groups))

    # --- the part that a subclass defines ---------------------------------------------------------------------------

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from encoded images: (H, W, N, C*E) -> (H, W, N, P).

        Images are encoded as `inputs` says, with E numbers per sub-pixel: E is 1 for levels that are scaled to [-1, 1]
        (see nn.Encoding). `condition` is None, (1, 1, N, K) or (H, W, N, K): see Conditions.pixels_first. Dropout is on
        if there is an `rng`, from which each layer draws in turn; in training that is the Draws of these images.
        """
        raise NotImplementedError

    def maps(self, x: Any, condition: Any = None, rng: Any = None) -> Tensor:
        """The encoding and all of `forward`: the part of a model that is traced, and that a plan computes."""
        x = self.encoding(x)
        return self.forward(x, condition) if rng is None else self.forward(x, condition, rng)

    # --- likelihood -------------------------------------------------------------------------------------------------

    def checked(self, images: Any, condition: Any) -> tuple[np.ndarray, Any]:
        """Images and conditions as arrays. Raises ValueError if they are not of the kind that this model describes."""
        images = check_images(images, self.image_shape, self.levels)
        return images, self.conditions.checked(condition, len(images))

    @spelled
    @computing
    def loss(
        self,
        images: Any,
        condition: Any = None,
        *,
        weights: Any = None,
        reduction: str = "mean",
        rng: Any = None,
    ) -> Tensor:
        """The mean negative log-likelihood of integer images (N, H, W, C), in nats per image, differentiable.

        `weights` (N,) say how much each image counts: the loss is then the sum of weight * -log p, divided by N. With
        `reduction` "none" nothing is summed, and the result has weight * -log p of each image, (N,).
        `rng` (int, SeedSequence or Generator) turns dropout on, in models that have it; without `rng` it is off. Only a
        key is drawn from it: which features of an image are dropped depends on this key and on the image's place in
        the batch.
        Raises ValueError for images of another shape, dtype or range, and for weights that are not N finite numbers.
        """
        images, condition = self.checked(images, condition)
        weights = check_weights("weights", weights, len(images), self.dtype)
        check_choice("reduction", reduction, ("mean", "none"))
        log_prob = self._log_prob(images, condition, None if rng is None else Draws.of(generator(rng)))
        if weights is None and reduction == "mean":
            return -ops.total(log_prob) / len(images)
        each = -ops.total(log_prob, axes=(0, 1, 3))  # (H, W, N, C) -> (N,)
        if weights is not None:
            each = each * self.xp.asarray(weights)
        return each if reduction == "none" else ops.total(each) / len(images)

    @spelled
    def value_and_gradients(
        self,
        images: Any,
        condition: Any = None,
        *,
        weights: Any = None,
        rng: Any = None,
        workers: int | None = None,
    ) -> tuple[float, Gradients]:
        """The loss of integer images (N, H, W, C), in nats per image, and its gradients, as `fit` computes them.

        The gradients are a dict of arrays by the dotted names of `state_dict`, in the same order, without frozen
        weights; pass them to `optimizer.step(model, gradients)`. `weights` and `rng` are those of `loss`. `workers` is
        the number of threads, by default one per core; the result is the same to the bit for any number. No
        parameter's `.grad` is read or written. The gradients are where the weights are: on a GPU they are CuPy arrays.
        Raises ValueError for images, conditions or weights of another kind than the model's.
        """
        images, condition = self.checked(images, condition)
        weights = check_weights("weights", weights, len(images), self.dtype)
        key = None if rng is None else Draws.of(generator(rng)).key

        def draws(part: slice) -> Draws | None:
            return None if key is None else Draws(key, part.start)

        self._same_on_all_ranks(images=images, condition=condition, weights=weights, rng=key)
        with Workers(workers, device=self.device) as pool, explained(len(images)):
            losses, gradients = value_and_gradients(self, Batch(images, condition, weights, draws), pool)
        return float(losses.weighted), gradients

    @spelled
    def log_prob_map(self, images: Any, condition: Any = None) -> np.ndarray:
        """log p(sub-pixel | all earlier ones) in nats: integers (N, H, W, C) -> float64 (N, H, W, C).

        Earlier means earlier in the model's `order`. The sum over an image is its `log_prob`. Raises ValueError for
        images or conditions of another kind than the model's, and for a model with weights that are not finite.
        """
        images, condition = self.checked(images, condition)
        self.check_finite()
        self._same_on_all_ranks(images=images, condition=condition)

        together = min(len(images), self.wide_shard_size)
        with explained(together):
            able = plan.ready(self, together, back=False) if as_defined(self) else None

        def shard(part: slice) -> np.ndarray:
            given = images[part], rows(condition, part)
            with no_grad():
                log_prob = self._log_prob(*given) if able is None else planned_log_prob(self, able, *given)[2]
                advance(part.stop - part.start)
                return to_cpu(log_prob.data).transpose(2, 0, 1, 3)

        return gathered(shard, len(images), self.wide_shard_size, self.device).astype(np.float64, copy=False)

    @spelled
    def log_prob(self, images: Any, condition: Any = None) -> np.ndarray:
        """The log-likelihood of each image in nats: integers (N, H, W, C) -> float64 (N,).

        Raises ValueError for images or conditions of another kind than the model's.
        """
        return self.log_prob_map(images, condition).sum(axis=(1, 2, 3))

    @spelled
    def bits_per_dim(self, images: Any, condition: Any = None) -> float:
        """The mean negative log-likelihood of integer images (N, H, W, C), in bits per sub-pixel."""
        return self.bits(-self.log_prob(images, condition).mean())

    def bits(self, nats: float) -> float:
        """Nats per image as bits per sub-pixel: the number divided by H * W * C * ln 2."""
        return float(nats / (np.prod(self.image_shape) * np.log(2)))

    @spelled
    def probabilities(self, images: Any, condition: Any = None) -> np.ndarray:
        """p(sub-pixel = q | all earlier ones) for every level q: integers (N, H, W, C) -> float64 (N, H, W, C, Q).

        Earlier means earlier in the model's `order`, and the earlier sub-pixels have the levels that they have in the
        image. `log_prob_map` has the log of one of these probabilities for each sub-pixel, that of the image's own
        level. Raises ValueError if the result would take more than 1 GiB.
        """
        images, condition = self.checked(images, condition)
        self._same_on_all_ranks(images=images, condition=condition)
        return probabilities(self, images, condition)

    @spelled
    def accuracy(self, images: Any, condition: Any = None) -> float:
        """The share of sub-pixels that have their likeliest level given all earlier ones: images (N, H, W, C) -> float.

        The likeliest level is the one that `sample` takes at temperature 0: of several that tie, the lowest.
        """
        images, condition = self.checked(images, condition)
        self._same_on_all_ranks(images=images, condition=condition)
        return accuracy(self, images, condition)

    @spelled
    @computing
    def predict(self, images: Any, condition: Any = None) -> np.ndarray:
        """The head's parameters at every pixel: integers (N, H, W, C) -> array (H, W, N, P), without gradients.

        What the P numbers of a pixel mean depends on the head: see mp.heads. Raises ValueError for images or conditions
        of another kind than the model's.
        """
        images, condition = self.checked(images, condition)
        with no_grad(), explained(len(images)):
            return to_cpu(self._parameters(self._pixels_first(images), condition).data)

    @spelled
    def initialize(self, images: Any, condition: Any = None) -> None:
        """Scale the weights of weight-normalised layers by a first batch of integer images (N, H, W, C).

        Afterwards the outputs of these layers have mean 0 and variance 1 on this batch (see nn.WeightNorm). If
        `model.initialized` is False, `fit` does this with its first batch, or with 128 images of it; a training loop of
        your own should do the same. Raises ValueError for images of another kind than the model's.
        """
        with fitting_scales():
            self.predict(images, condition)
        self.initialized = True

    # --- sampling ---------------------------------------------------------------------------------------------------

    @property
    def order(self) -> np.ndarray:
        """The order in which sub-pixels are drawn: integers (H, W, C), 0 for the first. By default raster order."""
        return np.arange(np.prod(self.image_shape)).reshape(self.image_shape)

    @spelled
    def sample(
        self,
        n: int,
        condition: Any = None,
        *,
        rng: Any = None,
        temperature: float = 1.0,
        method: str = "auto",
        return_log_prob: bool = False,
    ) -> Any:
        """Draw n images: integers (n, H, W, C), uint8, or uint16 above 256 levels.

        With `return_log_prob` the result is a pair: the images, and their log-likelihoods in nats, float64 (n,). These
        are the log-likelihoods at temperature 1, whatever the `temperature`.

        All randomness is one uniform number per sub-pixel, drawn from `rng` (None, int, SeedSequence or Generator)
        before the first pixel. So the same `rng` gives the same images with every method. `temperature` divides the
        logits, and multiplies the scales of mixtures. At 0 each sub-pixel takes its likeliest level given those before
        it; of several that tie, it takes the lowest.

        The methods draw the same images, and differ in speed. "naive" runs one whole forward pass per sub-pixel.
        "cached" computes each value of each layer once. "wavefront" does so for all pixels of a slanted line at once,
        where the model allows it; elsewhere it warns, and goes pixel by pixel. "auto" takes the fastest that works.
        A model on a GPU draws there by "cached" and "wavefront", in one launch for up to 1024 images, and by "naive";
        for "auto" its weights come to the host, whose loops draw a few images sooner.
        All but "naive" first prove that the model is causal, and raise CausalityError if it is not; they repeat the
        proof when layers or masks have been exchanged. For some models the proof cannot be made (an op does not say
        what it reads, or a number is taken out of the graph): then "auto" warns and draws naively, and the other two
        raise TraceError. The caches take a few rows of each map, which are a few hundred KB per image of 28x28; the
        batch is split so that no part takes more than 256 MiB.

        A terminal shows a progress bar after two seconds. After Ctrl-C the parts at hand are left, and a
        KeyboardInterrupt is raised whose `images` are the first of the images, as many as are finished, or None.
        """
        method = check_choice("method", method, tuple(SAMPLERS))
        n = check_count("n", n, 1, MANY)
        temperature = check_temperature(temperature)
        condition = self.conditions.checked(condition, n)
        nothing = np.zeros((n, *self.image_shape), level_dtype(self.levels))
        nowhere = np.zeros(nothing.shape[:3], bool)
        images = self._draw(method, nothing, nowhere, condition, rng, temperature)
        return (images, self.log_prob(images, condition)) if return_log_prob else images

    @spelled
    def complete(
        self,
        images: Any,
        known: Any,
        condition: Any = None,
        *,
        rng: Any = None,
        temperature: float = 1.0,
        method: str = "auto",
        particles: int = 1,
        return_log_prob: bool = False,
    ) -> Any:
        """Keep the known pixels of integer images (N, H, W, C) and draw all others: uint8 or uint16 (N, H, W, C).

        `known` is boolean, (H, W) or (N, H, W). Where it is False, `images` may hold any number, such as -1. Pixels are
        drawn one by one in the model's `order`, each given all pixels before it, known or drawn. So with one particle
        only *earlier* pixels influence a drawn one: a known pixel that comes later is kept, but nothing was drawn to
        fit it.

        With several `particles` (64, say; at most 1024) so many versions of each image are drawn side by side. Versions
        that make the known pixels unlikely are replaced by copies of others, and in the end one version is chosen. The
        result is approximate: with more particles it comes closer to the distribution of the unknown pixels given *all*
        known ones, under the model at that temperature, which must be above 0. Time and memory grow with their number.

        `rng`, `temperature` and `method` are those of `sample`, with the same uniform numbers if there is one particle;
        several particles are drawn pixel by pixel, whatever the method. With `return_log_prob` the result is a pair:
        the images, and the log-likelihoods in nats of the whole images, known and drawn pixels, at temperature 1,
        float64 (N,).
        Raises ValueError for arguments of another shape or range.
        """
        method, temperature = check_choice("method", method, tuple(SAMPLERS)), check_temperature(temperature)
        particles = check_count("particles", particles, 1, MOST_PARTICLES)
        if temperature == 0 and particles > 1:
            raise ValueError(
                f"temperature: got 0 with particles={particles}, wanted more than 0; at 0 all particles are drawn alike"
            )
        images = as_images(images)
        known = check_known(known, len(images) if images.ndim else 0, self.image_shape)
        if images.shape == (*known.shape, self.image_shape[2]):
            images = np.where(known[..., None], images, np.zeros((), images.dtype))
        images, condition = self.checked(images, condition)
        start = images.astype(level_dtype(self.levels))
        completed = self._draw(method, start, known, condition, rng, temperature, particles)
        return (completed, self.log_prob(completed, condition)) if return_log_prob else completed

    def _same_on_all_ranks(self, **arguments: Any) -> None:
        """RankError if ranks that share out a call of this model have other arguments, or other weights."""
        if now().size > 1:
            now().alike(arguments | {"parameters": list(self.state_dict().values())})

    @computing
    def _draw(
        self,
        method: str,
        start: np.ndarray,
        known: np.ndarray,
        condition: Any,
        rng: Any,
        temperature: float,
        particles: int = 1,
    ) -> np.ndarray:
        """Draw the unknown pixels of N images, shard by shard: integers (N, H, W, C) -> integers of that shape."""
        model, device = self if method == "naive" else on_host(self), self.device
        model.check_finite()
        sampler: Sampler = (
            SAMPLERS[method](model) if particles == 1 else LookingAhead(in_order(method)(model), self.order, particles)
        )
        if device != "cpu" and method in ("cached", "wavefront"):  # "auto" stays on the host: see decision 24
            sampler = on_gpu(sampler, self.xp)
        device = device if isinstance(sampler, MachineOnGPU) else model.device
        chances = sampler.chances(generator(rng), start.shape)
        self._same_on_all_ranks(images=start, known=known, condition=condition, rng=chances)

        def shard(part: slice) -> np.ndarray:
            return sampler(chances[part], rows(condition, part), temperature, start[part], known[part])

        return drawn(shard, len(start), sampler.shard_size, device)

    def describe(self) -> str:
        """A description in one line: class, images, dtype, head and inputs."""
        read = "" if self.inputs == "scaled" else f", {self.inputs.replace('_', '-')} inputs"
        return f"{super().describe()}, {self.head.name} head{read}"

    # --- the first and the last line of every pass ------------------------------------------------------------------

    def as_numbers(self, levels: Any) -> Any:
        """Integers 0..Q-1 in the model's dtype, as `maps` reads them: scaled to [-1, 1], or as they are if codes."""
        return self.scaled(levels) if self.inputs == "scaled" else levels.astype(self.dtype)

    def condition_map(self, condition: Any) -> Any:
        """Checked conditions as `forward` wants them: None, (1, 1, N, K) or (H, W, N, K)."""
        return self.conditions.pixels_first(condition, self.xp, self.dtype)

    def _parameters(self, levels: Any, condition: Any, rng: Any = None) -> Tensor:
        """The head's parameters, by the model's plan where it has one: integers (H, W, N, C) -> (H, W, N, P)."""
        x, told = self.as_numbers(levels), self.condition_map(condition)
        able = plan.ready(self, x.shape[2], back=recording(), rng=rng)
        found = self.maps(x, told, rng) if able is None else able.on_tape(x, told, rng)
        return found if isinstance(found, Tensor) else Tensor(found)  # an array where all weights are frozen

    def _log_prob(self, images: np.ndarray, condition: Any, rng: Any = None) -> Tensor:
        """log p of each sub-pixel: integers (N, H, W, C) -> (H, W, N, C)."""
        levels = self._pixels_first(images)
        return self.head.log_prob(self._parameters(levels, condition, rng), levels)
