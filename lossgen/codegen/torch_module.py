"""The PyTorch target: a Loss to the source text of one self-contained module.

The text is what a person would write for the formula: no guard that cannot act, common parts named once, logs and
sigmoids of the score in stable form. It imports nothing but torch.
"""

from collections.abc import Iterator
from dataclasses import replace
from string import Template

from lossgen.codegen import classes
from lossgen.codegen.docstring import MARKER, docstring
from lossgen.codegen.parts import ABOUT, Calls, Parts, body_of, check_names, guards, join, loss_parts
from lossgen.language.emission import ATOM, Dialect
from lossgen.language.loss import Loss

__all__ = ["MARKER", "RESERVED", "body_of", "emit_torch"]

TITLE = "a GAN loss for PyTorch, in one file."
RESERVED = frozenset(
    {"torch", "nn", "F", "Tensor", "EPS", "warnings", "divisor", "real", "fake", "generator", "generator_real", "loss"}
)
_FUNCTIONS = {
    **{
        name: f"torch.{name}({{}})" for name in ("abs", "exp", "log", "sqrt", "square", "sigmoid", "tanh", "sin", "cos")
    },
    **{name: f"F.{name}({{}})" for name in ("relu", "softplus", "logsigmoid")},
    "min": "torch.minimum({})",
    "max": "torch.maximum({})",
    "bce_with_logits": 'F.binary_cross_entropy_with_logits({}, reduction="none")',
}
TORCH = Dialect(
    _FUNCTIONS,
    at_least=lambda code, bound: f"{code.inside(ATOM)}.clamp(min={bound})",
    at_most=lambda code, bound: f"{code.inside(ATOM)}.clamp(max={bound})",
    full=lambda number: f"torch.full_like(score, {number})",
    zeros="torch.zeros_like(score)",
    tensor="Tensor",
    tensors_only=frozenset({"min", "max", "bce_with_logits"}),
)
_CALLS = Calls(check="self._check", checks_while="self._unchecked_calls")


def emit_torch(loss: Loss) -> str:
    """Source text of a Python file with the loss as functions and as an `nn.Module` called `loss.name`.

    Raises:
        InputError: a name would hide something that the module uses, or a constant part is not finite.
    """
    check_names(loss, RESERVED)
    parts = loss_parts(TORCH, loss)
    if parts.source.endswith(_CROSS_ENTROPY):
        parts = replace(parts, source=parts.source.removesuffix(_CROSS_ENTROPY) + _REDUCED_CROSS_ENTROPY)
    imports = ["import warnings", "", "import torch", "from torch import Tensor, nn"]
    if "F." in parts.source:
        imports.insert(3, "import torch.nn.functional as F")
    text = [docstring(loss, TITLE), "\n".join(imports), *guards(parts.source, _DIVISOR), parts.source]
    return join([*text, _class(loss, parts)])


def _class(loss: Loss, parts: Parts) -> str:
    constants = [f"{name}: float = {value!r}" for name, value in loss.constants.items()]
    return Template(_CLASS).substitute(
        name=loss.name,
        about=_ABOUT if "loss" in parts else _ABOUT_OF_BATCHES,
        arguments=classes.indent([*_ARGUMENTS, *classes.argument_lines(loss, parts)]),
        attributes=classes.indent(classes.attribute_lines(loss), 4),
        signature=classes.init(['reduction: str = "mean"', 'input: str = "score"'], constants, " -> None"),
        constants=classes.added(classes.constant_lines(loss, parts)),
        forward=classes.indent(_forward(loss, parts)),
        discriminator=classes.indent(_discriminator(parts)),
        generator=classes.indent(_generator(loss, parts)),
        extra_repr=classes.indent(_extra_repr(loss)),
        over_scales=_OVER_BATCHES if classes.compares(parts) else _OVER_SCALES,
    )


def _forward(loss: Loss, parts: Parts) -> Iterator[str]:
    if "loss" not in parts:
        yield '"""Not defined for this loss: it looks at real and generated images together."""'
        yield "raise TypeError("
        yield f'    "{loss.name} looks at real and generated images together: in place of criterion(score, target) "'
        yield '    "call discriminator_loss(real_score, fake_score) and generator_loss(fake_score, real_score)"'
        yield ")"
        return
    yield '"""Loss of scores for a target: a float, or a tensor that broadcasts to the scores."""'
    yield from classes.check_lines(_CALLS, "score")
    yield ""
    yield "def of(s):"
    yield "    alike = isinstance(target, Tensor) and target.shape == s.shape and target.dtype == s.dtype"
    yield "    y_real = target if alike else torch.as_tensor(target, dtype=s.dtype, device=s.device).expand_as(s)"
    reduced = parts.source.endswith(_REDUCED_CROSS_ENTROPY)
    yield f"    return {parts['loss'].called('s, y_real, self.reduction' if reduced else 's, y_real', (), 'self.{}')}"
    yield ""
    yield "return self._over_scales(of, score)"


def _discriminator(parts: Parts) -> Iterator[str]:
    yield from classes.docstring_lines(
        'Loss of real plus loss of fake; with reduction "none" the pair (real, fake).',
        classes.MEANS if parts["real"].means or parts["fake"].means else "",
    )
    yield from classes.discriminator_lines(parts, _CALLS)
    yield 'return (of_real, of_fake) if self.reduction == "none" else of_real + of_fake'


def _generator(loss: Loss, parts: Parts) -> Iterator[str]:
    yield from classes.docstring_lines(*classes.about_generator(parts))
    both = 'return (of_fake, of_real) if self.reduction == "none" else of_fake + of_real'
    yield from classes.generator_lines(loss, parts, _CALLS, both)


def _extra_repr(loss: Loss) -> Iterator[str]:
    shown = [f"{name}={{self.{name}!r}}" for name in ("reduction", "input", *loss.constants)]
    line = f'return f"{", ".join(shown)}"'
    if len(line) <= classes.WIDTH:
        yield line
        return
    yield "return ("
    yield f'    f"{", ".join(shown[:2])}"'
    yield from (f'    f", {part}"' for part in shown[2:])
    yield ")"


_ARGUMENTS = (
    'reduction: "mean", "sum", or "none" for the loss of every element.',
    'input: "score" for raw discriminator outputs; "probability" for those of a discriminator that ends in a sigmoid,',
    "    in float32 or wider: half precision cannot tell probabilities near 1 from 1.",
)

_DIVISOR = '''\
def divisor(b: Tensor) -> Tensor:
    """±max(|b|, EPS), with the sign of b."""
    return torch.where(b < 0.0, b.clamp(max=-EPS), b.clamp(min=EPS))'''

_CROSS_ENTROPY = """\
def loss(score: Tensor, y_real: Tensor) -> Tensor:
    \"""{}\"""
    return F.binary_cross_entropy_with_logits(score, y_real, reduction="none")""".format(ABOUT["loss"])
_REDUCED_CROSS_ENTROPY = """\
def loss(score: Tensor, y_real: Tensor, reduction: str = "none") -> Tensor:
    \"""{}\"""
    return F.binary_cross_entropy_with_logits(score, y_real, reduction=reduction)""".format(ABOUT["loss"])
"""With its reduction in the one call, as torch has it: a mean of its own would be a fifth of the time at n = 100."""

_ABOUT = """\
Called as criterion(score, target) it stands in for nn.BCEWithLogitsLoss. Scores may have any shape, or be a list
    of tensors (one a discriminator scale), which gives the mean over the list. float16 and bfloat16 scores are
    computed in float32."""

_ABOUT_OF_BATCHES = """\
The loss of an image depends on the scores of the whole batch, so that there is no criterion(score, target): call
    discriminator_loss and generator_loss. Scores may have any shape, or be a list of tensors (one a discriminator
    scale), which gives the mean over the list. float16 and bfloat16 scores are computed in float32."""

_OVER_SCALES = """\
def _over_scales(self, function, score):
        if isinstance(score, (list, tuple)):
            losses = [self._over_scales(function, scale) for scale in score]
            return losses if self.reduction == "none" else sum(losses) / len(losses)
        if score.dtype in (torch.float16, torch.bfloat16):
            score = score.float()
        if self.input == "probability":
            score = torch.logit(score, eps=1e-7)
        value = function(score)
        if self.reduction == "none" or value.ndim == 0:
            return value
        return value.mean() if self.reduction == "mean" else value.sum()"""

_OVER_BATCHES = """\
def _over_scales(self, function, *scores):
        if isinstance(scores[0], (list, tuple)):
            losses = [self._over_scales(function, *scales) for scales in zip(*scores, strict=True)]
            return losses if self.reduction == "none" else sum(losses) / len(losses)
        value = function(*map(self._raw, scores))
        if self.reduction == "none" or value.ndim == 0:
            return value
        return value.mean() if self.reduction == "mean" else value.sum()

    def _raw(self, score):
        if score.dtype in (torch.float16, torch.bfloat16):
            score = score.float()
        return torch.logit(score, eps=1e-7) if self.input == "probability" else score"""

_CLASS = '''\
class $name(nn.Module):
    """$name on raw discriminator scores.

    $about

    Args:
        $arguments
    """

    $attributes

    $signature
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
        if input not in ("score", "probability"):
            raise ValueError(f"input must be 'score' or 'probability', not {input!r}")
        self.reduction = reduction
        self.input = input$constants
        self._unchecked_calls = 10 if input == "score" else 0
        self._reached_half = False

    def forward(self, score, target):
        $forward

    def discriminator_loss(self, real_score, fake_score):
        $discriminator

    def generator_loss(self, fake_score, real_score=None):
        $generator

    def extra_repr(self) -> str:
        $extra_repr

    $over_scales

    def _check(self, *scores) -> None:
        """Warn once when the first 10 eager calls look like probabilities: all in [0, 1], and not all below one half.

        Raw scores of an untrained discriminator may lie in [0, 1] too, but near 0; a sigmoid's start near one half.
        """
        if torch.compiler.is_compiling():
            return
        tensors = scores
        while any(isinstance(t, (list, tuple)) for t in tensors):
            tensors = [s for t in tensors for s in (t if isinstance(t, (list, tuple)) else [t])]
        if not all(isinstance(t, Tensor) for t in tensors):
            raise TypeError("scores must be tensors, or lists of tensors (one a discriminator scale)")
        try:
            in_range = all(bool(((tensor >= 0.0) & (tensor <= 1.0)).all()) for tensor in tensors)
            reaches_half = any(bool((tensor >= 0.5).any()) for tensor in tensors)
        except RuntimeError:
            return  # no values to look at: under vmap, in a trace, on the meta device
        if in_range:
            self._unchecked_calls -= 1
            self._reached_half |= reaches_half
            if self._reached_half and not self._unchecked_calls:
                warnings.warn(
                    f"{type(self).__name__} takes raw scores, but all it was given lies in [0, 1]: does the"
                    " discriminator end in a sigmoid? Remove it, or pass input='probability'.",
                    stacklevel=3,
                )
        else:
            self._unchecked_calls = 0'''
