"""The PyTorch target: a Loss to the source text of one self-contained module.

The text is what a person would write for the formula: no guard that cannot act, common parts named once, logs and
sigmoids of the score in stable form. It imports nothing but torch.
"""

from lossgen.codegen.docstring import MARKER, docstring
from lossgen.codegen.parts import EPS_LINE, body_of, check_free, join, role_functions
from lossgen.codegen.statements import Target
from lossgen.language.emission import ATOM, Dialect
from lossgen.language.loss import Loss
from lossgen.language.lower import lower_loss

__all__ = ["MARKER", "RESERVED", "body_of", "emit_torch"]

RESERVED = frozenset({"torch", "nn", "F", "Tensor", "EPS", "warnings", "divisor", "real", "fake", "generator", "loss"})
_FUNCTIONS = {
    **{name: f"torch.{name}" for name in ("abs", "exp", "log", "sqrt", "square", "sigmoid", "tanh", "sin", "cos")},
    **{name: f"F.{name}" for name in ("relu", "softplus", "logsigmoid")},
    "min": "torch.minimum",
    "max": "torch.maximum",
}
TORCH = Target(
    Dialect(
        _FUNCTIONS,
        at_least=lambda code, bound: f"{code.inside(ATOM)}.clamp(min={bound})",
        at_most=lambda code, bound: f"{code.inside(ATOM)}.clamp(max={bound})",
    ),
    tensor="Tensor",
    full=lambda number: f"torch.full_like(score, {number})",
    zeros="torch.zeros_like(score)",
    tensors_only=frozenset({"min", "max"}),
)


def emit_torch(loss: Loss) -> str:
    """Source text of a Python file with the loss as functions and as an `nn.Module` called `loss.name`.

    Raises:
        InputError: the name would hide something that the module uses, or a constant part is not finite.
    """
    check_free(loss.name, RESERVED)
    functions = "\n\n\n".join(role_functions(TORCH, loss, lower_loss(loss)))
    uses = [name for name in ("F.", "EPS", "divisor(") if name in functions]
    parts = [docstring(loss, "a GAN loss for PyTorch, in one file."), _imports("F." in uses)]
    if "EPS" in uses or "divisor(" in uses:
        parts.append(EPS_LINE)
    if "divisor(" in uses:
        parts.append(_DIVISOR)
    parts += [functions, _CLASS.replace("CLASS_NAME", loss.name)]
    return join(parts)


def _imports(functional: bool) -> str:
    lines = ["import warnings", "", "import torch"]
    if functional:
        lines.append("import torch.nn.functional as F")
    return "\n".join([*lines, "from torch import Tensor, nn"])


_DIVISOR = '''\
def divisor(b: Tensor) -> Tensor:
    """±max(|b|, EPS), with the sign of b."""
    return torch.where(b < 0.0, b.clamp(max=-EPS), b.clamp(min=EPS))'''

_CLASS = '''\
class CLASS_NAME(nn.Module):
    """CLASS_NAME on raw discriminator scores.

    Called as criterion(score, target) it stands in for nn.BCEWithLogitsLoss. Scores may have any shape, or be a list
    of tensors (one a discriminator scale), which gives the mean over the list. float16 and bfloat16 scores are
    computed in float32.

    Args:
        reduction: "mean", "sum", or "none" for the loss of every element.
        input: "score" for raw discriminator outputs; "probability" for those of a discriminator that ends in a sigmoid.
    """

    needs_real = False  # generator_loss makes no use of the real scores

    def __init__(self, reduction: str = "mean", input: str = "score") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
        if input not in ("score", "probability"):
            raise ValueError(f"input must be 'score' or 'probability', not {input!r}")
        self.reduction = reduction
        self.input = input
        self._unchecked_calls = 10 if input == "score" else 0
        self._reached_half = False

    def forward(self, score, target):
        """Loss of scores for a target: a float, or a tensor that broadcasts to the scores."""
        self._check(score)

        def of(s):
            return loss(s, torch.as_tensor(target, dtype=s.dtype, device=s.device).expand_as(s))

        return self._over_scales(of, score)

    def discriminator_loss(self, real_score, fake_score):
        """Loss of real plus loss of fake; with reduction "none" the pair (real, fake)."""
        self._check(real_score, fake_score)
        of_real, of_fake = self._over_scales(real, real_score), self._over_scales(fake, fake_score)
        return (of_real, of_fake) if self.reduction == "none" else of_real + of_fake

    def generator_loss(self, fake_score, real_score=None):
        """Loss of the generator for the scores of its images."""
        self._check(fake_score)
        return self._over_scales(generator, fake_score)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}, input={self.input!r}"

    def _over_scales(self, function, score):
        if isinstance(score, (list, tuple)):
            losses = [self._over_scales(function, scale) for scale in score]
            return losses if self.reduction == "none" else sum(losses) / len(losses)
        if score.dtype in (torch.float16, torch.bfloat16):
            score = score.float()
        if self.input == "probability":
            score = torch.logit(score, eps=1e-7)
        value = function(score)
        return value.mean() if self.reduction == "mean" else value.sum() if self.reduction == "sum" else value

    def _check(self, *scores) -> None:
        """Warn once when the first 10 eager calls look like probabilities: all in [0, 1], and not all below one half.

        Raw scores of an untrained discriminator may lie in [0, 1] too, but near 0; a sigmoid's start near one half.
        """
        if not self._unchecked_calls or torch.compiler.is_compiling():
            return
        tensors = [t for score in scores for t in (score if isinstance(score, (list, tuple)) else [score])]
        wrapped = getattr(getattr(torch._C, "_functorch", None), "is_functorch_wrapped_tensor", lambda tensor: False)
        if any(wrapped(tensor) for tensor in tensors):
            return  # inside torch.func: values are not to be looked at
        if all(bool(((tensor >= 0.0) & (tensor <= 1.0)).all()) for tensor in tensors):
            self._unchecked_calls -= 1
            self._reached_half |= any(bool((tensor >= 0.5).any()) for tensor in tensors)
            if self._reached_half and not self._unchecked_calls:
                warnings.warn(
                    "CLASS_NAME takes raw scores, but all it was given lies in [0, 1]: does the discriminator end in a"
                    " sigmoid? Remove it, or pass input='probability'.",
                    stacklevel=3,
                )
        else:
            self._unchecked_calls = 0'''
