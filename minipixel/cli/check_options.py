"""The options of `minipixel check`."""

from typing import Any

from minipixel.causality.check import MODES
from minipixel.cli import architecture, check
from minipixel.cli.options import LEARNED, MODEL_FILE, SEED, add_class
from minipixel.heads import HEADS
from minipixel.models import MODELS
from minipixel.nn import INPUTS

CHECK = (
    "Check that no output of a model depends on itself or on anything that is drawn later, and list the earlier "
    "sub-pixels that it never sees, with a picture. The exit status is 0 if the model is causal, 1 if it leaks or if "
    "the check cannot decide, and 2 after an error. A model of PyTorch or JAX, or any function of images, is given by "
    "its file: net.py:make_model means the name make_model in net.py, which is a model, a function of images, or a "
    "class or function without arguments that returns one of these. Its code is run, and may do everything that you "
    "may do: name no file that you do not trust."
)


def add_check(commands: Any) -> None:
    """Add the command that checks causality."""
    causal = commands.add_parser(
        "check", help="check that a model is causal, and find its blind spots", description=CHECK
    )
    causal.add_argument(
        "file",
        nargs="?",
        metavar="MODEL",
        help=f"{MODEL_FILE}; or FILE.py:NAME or MODULE:NAME, code of your own, which is run; or use --model",
    )
    causal.add_argument("--model", choices=MODELS, help="check a new model of this kind, before any training")
    causal.add_argument(
        "--shape",
        type=int,
        nargs="+",
        metavar="SIZE",
        help="the shape of an image: H W C for --model and for a function of your own; C H W, channels first, for a "
        "PyTorch module; H W without an axis of channels, S for sequences",
    )
    causal.add_argument("--levels", type=int, help="the number of levels for --model (default: 2)")
    causal.add_argument(
        "--head",
        choices=HEADS,
        help="the head of --model (default: bernoulli for 2 levels, else categorical); for code of your own, "
        "logistic_mixture means that the head joins the colours, as in PixelCNN++",
    )
    causal.add_argument("--mixtures", type=int, help="number of components of a mixture head for --model (default: 5)")
    causal.add_argument(
        "--inputs",
        nargs="+",
        metavar="WORD",
        help=f"for --model: how it reads a level, {', '.join(INPUTS)} (default: scaled); for code of your own: DTYPE "
        "LOWEST HIGHEST, the kind of images that it takes, such as int64 0 255 for codes (default: float32 -1 1)",
    )
    causal.add_argument("--embedding-width", type=int, help=LEARNED)
    causal.add_argument(
        "--order",
        choices=("raster", "pixels", "rgb-planes"),
        help="the order of drawing: sub-pixel by sub-pixel, all colours of a pixel at once, or all of red before green "
        "(default: raster, or the model's own order)",
    )
    causal.add_argument(
        "--layout",
        help="the axes of the output of your own code, where its shape is not enough: NCHWQ, N(QC)HW, ...; "
        "docs/causality.md explains the letters",
    )
    channels = causal.add_mutually_exclusive_group()
    for first, where in ((True, "first"), (False, "last")):
        channels.add_argument(
            f"--channels-{where}",
            dest="channels_first",
            action="store_const",
            const=first,
            help=f"images of your own code, and --shape, have their channels {where}",
        )
    causal.add_argument("--batch-size", type=int, metavar="N", help="call your own code with so many images each time")
    causal.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="changes up to this share of the largest legal change, such as 1e-6, are no leak (default: every bit "
        "counts)",
    )
    causal.add_argument("--modes", nargs="+", choices=MODES, help="the modes to check (default: both)")
    causal.add_argument(
        "--images", type=int, default=4, help="try at least so many random images (default: %(default)s)"
    )
    causal.add_argument("--seed", type=int, default=0, help=SEED)
    causal.add_argument(
        "--out", "--plot", default="causality.png", metavar="PNG", help="the figure, .png (default: %(default)s)"
    )
    architecture.add_arguments(causal)
    add_class(causal)
    causal.set_defaults(command=check.check)
