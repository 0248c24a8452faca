"""What every model of the family is to the people who use it: likelihoods out, samples out, weights in and out."""

from typing import Any

import numpy as np

from minipixel import ops, plan
from minipixel.backend import to_cpu
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
from minipixel.models.network import Network
from minipixel.models.probabilities import accuracy, probabilities
from minipixel.models.step import Batch, as_defined, planned_log_prob, value_and_gradients
from minipixel.nn import Encoding, Gradients, check_inputs, fitting_scales
from minipixel.progress import advance
from minipixel.randomness import generator
from minipixel.ranks import now
from minipixel.sampling import MOST_PARTICLES, SAMPLERS, LookingAhead, Sampler, in_order
from minipixel.shards import Workers, rows
from minipixel.spelling import spelled
from minipixel.tensor import Tensor, no_grad, recording

MOST_BYTES = 2**30
"""What the parameters of one image's head may take: more is refused."""


class Model(Network):
    """A distribution over images of one shape, written once: a subclass says only how features are computed.

    `image_shape` is (H, W, C) with C in 1..64, `levels` is Q in 2..65,536. Images are integers in 0..Q-1,
    (N, H, W, C): uint8 as they are drawn, of more than 256 levels uint16.
    Every model takes, besides what its architecture needs:

    - `head`: "bernoulli", "categorical", "logistic_mixture" or "normal_mixture"; None picks Bernoulli for 2 levels,
      categorical above; `mixtures`: the components of a mixture head, M in 1..1000;
    - `inputs`: what it reads of a level. "scaled": a number in [-1, 1], for brightness; "one_hot", up to 4,096 levels,
      or "embedding", `embedding_width` learned numbers: for codes, which are names;
    - `num_classes`: the model is conditioned on labels (N,) in 0..num_classes-1; or `condition_shape`: on vectors
      (N, K) if it is (K,), on maps (N, H, W, K) if it is (H, W, K), on one number per image, (N,), if it is (); with
      both of them a condition is a pair, (labels, maps) say;
    - `rng` for the first weights: None, int, SeedSequence or Generator; `dtype`: "float32" or "float64".

    A subclass sets `name` (its name in files; that of the class if it has none) and `features` (how many channels most
    of its feature maps have), passes on as `architecture` what its constructor needs to build the same layers again
    (numbers, words, lists: what JSON has), makes its layers with `self.init`, defines `forward`. It writes these
    arguments out, so that help and editors show them, and so that `mp.load(path, classes=[...])` can give them.
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
        """ValueError if the head's parameters of a single image, of which several maps are wanted, take over 1 GiB."""
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
        """How many channels the widest of its maps has: features, the parameters of its head, or what it reads.

        Of one-hot levels a kernel lays several taps side by side, where it runs as it is written.
        """
        taps = 8 if self.inputs == "one_hot" else 1
        return max(self.features, len(self.head.groups), taps * len(self.encoding.groups))

    # --- what a subclass writes -------------------------------------------------------------------------------------

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from encoded images: (H, W, N, C*E) -> (H, W, N, P).

        Images are encoded as `inputs` says, E numbers a sub-pixel: scaled to [-1, 1] there is one (see nn.Encoding).
        `condition` is None, (1, 1, N, K) or (H, W, N, K): see Conditions.pixels_first. Dropout is on if there is an
        `rng`, from which each layer draws in turn: in training the Draws of these images.
        """
        raise NotImplementedError

    def maps(self, x: Any, condition: Any = None, rng: Any = None) -> Tensor:
        """What is traced of a network, and planned: what stands for the levels, and all of `forward`."""
        x = self.encoding(x)
        return self.forward(x, condition) if rng is None else self.forward(x, condition, rng)

    # --- likelihood -------------------------------------------------------------------------------------------------

    def checked(self, images: Any, condition: Any) -> tuple[np.ndarray, Any]:
        """Images and conditions as arrays, if they are ones that this model describes; else ValueError."""
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

        With `weights` (N,), which say what each image counts, it is the sum of weight * -log p, divided by N. With
        `reduction` "none" it is not summed: (N,), of each image its weight * -log p.
        `rng` (int, SeedSequence or Generator) turns dropout on, in models that have it; without one it is off. It draws
        a key alone: what is kept of each image depends on that, and on the image's place in the batch.
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
        """The loss of integer images (N, H, W, C), in nats per image, and its gradients: what `fit` does in each step.

        Gradients are arrays by the dotted names of `state_dict`, in its order, without the weights that are frozen;
        `optimizer.step(model, gradients)` takes them. `weights` and `rng` are those of `loss`. `workers`: threads, one
        a core if None; the result does not depend on it, to the bit. No parameter's `.grad` is read or written.
        Raises ValueError for arguments that cannot be meant.
        """
        images, condition = self.checked(images, condition)
        weights = check_weights("weights", weights, len(images), self.dtype)
        key = None if rng is None else Draws.of(generator(rng)).key

        def draws(part: slice) -> Draws | None:
            return None if key is None else Draws(key, part.start)

        self._same_on_all_ranks(images=images, condition=condition, weights=weights, rng=key)
        with Workers(workers) as pool:
            losses, gradients = value_and_gradients(self, Batch(images, condition, weights, draws), pool)
        return losses.weighted, gradients

    @spelled
    def log_prob_map(self, images: Any, condition: Any = None) -> np.ndarray:
        """log p(sub-pixel | all earlier ones) in nats: integers (N, H, W, C) -> float64 (N, H, W, C)."""
        images, condition = self.checked(images, condition)
        self.check_finite()
        self._same_on_all_ranks(images=images, condition=condition)

        able = plan.ready(self, min(len(images), self.wide_shard_size), back=False) if as_defined(self) else None

        def shard(part: slice) -> np.ndarray:
            given = images[part], rows(condition, part)
            with no_grad():
                log_prob = self._log_prob(*given) if able is None else planned_log_prob(self, able, *given)[2]
                advance(part.stop - part.start)
                return to_cpu(log_prob.data).transpose(2, 0, 1, 3)

        return gathered(shard, len(images), self.wide_shard_size).astype(np.float64, copy=False)

    @spelled
    def log_prob(self, images: Any, condition: Any = None) -> np.ndarray:
        """The log-likelihood of each image in nats: integers (N, H, W, C) -> float64 (N,)."""
        return self.log_prob_map(images, condition).sum(axis=(1, 2, 3))

    @spelled
    def bits_per_dim(self, images: Any, condition: Any = None) -> float:
        """The mean negative log-likelihood of integers (N, H, W, C), in bits a sub-pixel."""
        return self.bits(-self.log_prob(images, condition).mean())

    def bits(self, nats: float) -> float:
        """Nats an image as bits a sub-pixel, that is divided by H*W*C * ln 2."""
        return float(nats / (np.prod(self.image_shape) * np.log(2)))

    @spelled
    def probabilities(self, images: Any, condition: Any = None) -> np.ndarray:
        """p(sub-pixel = q | all earlier ones) for every level q: integers (N, H, W, C) -> float64 (N, H, W, C, Q).

        Earlier in the model's `order`, and as the images have them: what `log_prob_map` says of the level that is
        there, this says of all levels. Raises ValueError for what would take more than 1 GiB.
        """
        images, condition = self.checked(images, condition)
        self._same_on_all_ranks(images=images, condition=condition)
        return probabilities(self, images, condition)

    @spelled
    def accuracy(self, images: Any, condition: Any = None) -> float:
        """The share of sub-pixels that show their likeliest level given all earlier ones: integers (N, H, W, C).

        The likeliest is what `sample` takes at temperature 0: the lowest of several that tie.
        """
        images, condition = self.checked(images, condition)
        self._same_on_all_ranks(images=images, condition=condition)
        return accuracy(self, images, condition)

    @spelled
    @computing
    def predict(self, images: Any, condition: Any = None) -> Any:
        """The head's parameters at every pixel, without a tape: integers (N, H, W, C) -> (H, W, N, P)."""
        images, condition = self.checked(images, condition)
        with no_grad():
            return self._parameters(self._pixels_first(images), condition).data

    @spelled
    def initialize(self, images: Any, condition: Any = None) -> None:
        """Let a first batch of integer images (N, H, W, C) bring the weights into range, in layers that ask for it.

        Those are weight-normalised (see nn.WeightNorm). `fit` does this for a model that is not `initialized`, with its
        first batch, or 128 images of it; a training loop of one's own should, too. Raises ValueError for images of
        another kind.
        """
        with fitting_scales():
            self.predict(images, condition)
        self.initialized = True

    # --- sampling ---------------------------------------------------------------------------------------------------

    @property
    def order(self) -> np.ndarray:
        """The place in line of every sub-pixel, from 0: integers (H, W, C). Raster order, unless overridden."""
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
        """Draw n images: uint8, or uint16 above 256 levels, (n, H, W, C).

        With `return_log_prob` also their log-likelihoods, float64 (n,) nats.

        All randomness is one uniform a sub-pixel, drawn from `rng` (None, int, SeedSequence or Generator) beforehand,
        so the same rng gives the same images whatever the method. `temperature` divides the logits, and multiplies the
        scales of mixtures; at 0 each sub-pixel takes its likeliest level given those before it, the lowest of several
        that tie. The log-likelihoods are the untempered ones.

        Methods: "naive", a forward pass a sub-pixel; "cached", each value of each layer computed once; "wavefront", the
        same for all pixels of a slanted line at once, where the model allows it (else it warns, and goes pixel by
        pixel); "auto", the fastest that holds. The last three first prove the model causal, and raise CausalityError if
        it is not; they see it where layers or masks were exchanged since, and prove it again. Where the clock cannot
        tell what a model reads (an op that does not say, a number read off the tape), "auto" warns and draws naively,
        and the other two raise TraceError. Memory: a few rows of each map, a few hundred KB per image for images of
        28x28; batches are cut so that no shard takes more than 256 MiB.

        After two seconds a terminal shows a bar. Ctrl-C ends it within about a shard, by a KeyboardInterrupt whose
        `images` are those that were drawn until then, the first ones, or None.
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

        `known` is boolean (H, W), or (N, H, W); what images hold at other pixels makes no difference, -1 say. Pixels
        are drawn one by one in the model's `order`, each given all before it, known or drawn: only *earlier* pixels
        steer a drawn one. A known pixel further on is kept, but nothing was drawn to suit it, unless there are several
        `particles`, 64 say, up to 1024. So many pictures of each image are then drawn side by side; those that known
        pixels speak against give way to the others, and in the end one is left. What comes out is approximate. The more
        particles, the nearer it comes to the distribution of the unknown pixels given all known ones, under the model
        at that temperature, which has to be above 0. Time and memory grow with their number.

        `rng`, `temperature` and `method` are those of `sample`, with the same uniforms if there is one particle;
        several are drawn pixel by pixel, in the model's order, by any method. With `return_log_prob` it returns the
        log-likelihoods of the whole pictures, too, known pixels and drawn ones, untempered: float64 (N,) nats.
        Raises ValueError for arguments that cannot be meant.
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
            now().alike(**arguments, parameters=list(self.state_dict().values()))

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
        """Shard by shard, what is not known of N images: integers (N, H, W, C) -> such integers."""
        self.check_finite()
        sampler: Sampler = (
            SAMPLERS[method](self) if particles == 1 else LookingAhead(in_order(method)(self), self.order, particles)
        )
        chances = sampler.chances(generator(rng), start.shape)
        self._same_on_all_ranks(images=start, known=known, condition=condition, rng=chances)

        def shard(part: slice) -> np.ndarray:
            return sampler(chances[part], rows(condition, part), temperature, start[part], known[part])

        return drawn(shard, len(start), sampler.shard_size)

    def describe(self) -> str:
        """What it is, in one line."""
        read = "" if self.inputs == "scaled" else f", {self.inputs.replace('_', '-')} inputs"
        return f"{super().describe()}, {self.head.name} head{read}"

    # --- the first and the last line of every pass ------------------------------------------------------------------

    def as_numbers(self, levels: Any) -> Any:
        """Integers 0..Q-1 as the numbers that `maps` is given: scaled to [-1, 1], or codes as they are."""
        return self.scaled(levels) if self.inputs == "scaled" else levels.astype(self.dtype)

    def condition_map(self, condition: Any) -> Any:
        """Checked conditions as `forward` wants them: None, (1, 1, N, K) or (H, W, N, K)."""
        return self.conditions.pixels_first(condition, self.xp, self.dtype)

    def _parameters(self, levels: Any, condition: Any, rng: Any = None) -> Tensor:
        """What `forward` makes of integers (H, W, N, C), by the model's plan where there is one: (H, W, N, P)."""
        x, told = self.as_numbers(levels), self.condition_map(condition)
        able = plan.ready(self, x.shape[2], back=recording(), rng=rng)
        return self.maps(x, told, rng) if able is None else able.on_tape(x, told, rng)

    def _log_prob(self, images: np.ndarray, condition: Any, rng: Any = None) -> Tensor:
        """log p of each sub-pixel: integers (N, H, W, C) -> (H, W, N, C)."""
        levels = self._pixels_first(images)
        return self.head.log_prob(self._parameters(levels, condition, rng), levels)
