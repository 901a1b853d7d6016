"""The NumPy target: a Loss to the source text of plain functions, without gradients. It imports nothing but numpy.

For evaluation, plots and tests: an independent statement of what the loss is.
"""

import re

from lossgen.codegen import classes
from lossgen.codegen.docstring import docstring
from lossgen.codegen.parts import Calls, Parts, check_names, guards, join, loss_parts
from lossgen.codegen.statements import signature
from lossgen.language.emission import Dialect
from lossgen.language.loss import GENERATOR_REAL, Loss

TITLE = "a GAN loss in NumPy, in one file."
_HELPERS = {
    "sigmoid": '''\
def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, e) / (1.0 + e)''',
    "softplus": '''\
def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)), without overflow."""
    return np.logaddexp(0.0, x)''',
    "logsigmoid": '''\
def logsigmoid(x: np.ndarray) -> np.ndarray:
    """log(sigmoid(x)), without overflow."""
    return -np.logaddexp(0.0, -x)''',
    "bce_with_logits": '''\
def bce_with_logits(score: np.ndarray, y_real: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of a score and a target, with all digits where it is small."""
    return y_real * np.logaddexp(0.0, -score) + (1.0 - y_real) * np.logaddexp(0.0, score)''',
    "divisor": '''\
def divisor(b: np.ndarray) -> np.ndarray:
    """±max(|b|, EPS), with the sign of b."""
    return np.where(b < 0.0, np.minimum(b, -EPS), np.maximum(b, EPS))''',
}
RESERVED = frozenset(
    {"np", "EPS", "real", "fake", "generator", "generator_real", "loss", *_HELPERS}
    | {"discriminator_loss", "generator_loss", "mean_over_scales"}
)
NUMPY = Dialect(
    {
        **{name: f"np.{name}({{}})" for name in ("abs", "exp", "log", "sqrt", "square", "tanh", "sin", "cos")},
        **{name: f"{name}({{}})" for name in ("sigmoid", "softplus", "logsigmoid", "bce_with_logits")},
        "relu": "np.maximum({}, 0.0)",
        "min": "np.minimum({})",
        "max": "np.maximum({})",
    },
    at_least=lambda code, bound: f"np.maximum({code.text}, {bound})",
    at_most=lambda code, bound: f"np.minimum({code.text}, {bound})",
    full=lambda number: f"np.full(np.shape(score), {number})",
    zeros="np.zeros(np.shape(score))",
    tensor="np.ndarray",
    numbers=True,
)
_CALLS = Calls(over_scales="mean_over_scales", constant="{}")


def emit_numpy(loss: Loss) -> str:
    """Source text of a Python file with the loss as functions of arrays, and the means that the players minimise.

    Raises:
        InputError: a constant's name would hide something that the file uses, or a constant part is not finite.
    """
    check_names(loss, RESERVED, has_class=False)
    parts = loss_parts(NUMPY, loss)
    helpers = [text for name, text in _HELPERS.items() if name != "divisor" and re.search(rf"\b{name}\(", parts.source)]
    text = [docstring(loss, TITLE), "import numpy as np", *guards(parts.source, _HELPERS["divisor"]), *helpers]
    return join([*text, parts.source, _discriminator(loss, parts), _generator(loss, parts), _OVER_SCALES])


def _discriminator(loss: Loss, parts: Parts) -> str:
    about = "What the discriminator minimises: mean loss of real plus mean loss of fake."
    lines = [
        *classes.docstring_lines(about, _SCORES),
        *classes.discriminator_lines(parts, _CALLS),
        "return of_real + of_fake",
    ]
    head = signature("", "discriminator_loss", ("real_score", "fake_score"), parts.constants("real", "fake"))
    return f"{head}\n    {classes.indent(lines, 4)}"


def _generator(loss: Loss, parts: Parts) -> str:
    what = "mean loss of its images" + (" plus mean loss of the real ones" if GENERATOR_REAL in parts else "")
    lines = [
        f'"""What the generator minimises: {what}."""',
        *classes.generator_lines(loss, parts, _CALLS, "return of_fake + of_real"),
    ]
    scores = ("fake_score", "real_score=None")
    head = signature("", "generator_loss", scores, parts.constants("generator", GENERATOR_REAL))
    return f"{head}\n    {classes.indent(lines, 4)}"


_SCORES = """\
Scores are arrays of any shape, or lists of them (one a discriminator scale), which give the mean over
    the list."""
_OVER_SCALES = '''\
def mean_over_scales(function, *scores):
    """The mean of a role's loss in float64, and over the scales where the scores are lists."""
    if isinstance(scores[0], (list, tuple)):
        losses = [mean_over_scales(function, *scales) for scales in zip(*scores, strict=True)]
        return sum(losses) / len(losses)
    return np.mean(function(*(np.asarray(score, dtype=np.float64) for score in scores)))'''
