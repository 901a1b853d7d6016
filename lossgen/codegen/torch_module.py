"""The PyTorch target: a Loss to the source text of one self-contained module.

The text is what a person would write for the formula: no guard that cannot act, common parts named once, logs and
sigmoids of the score in stable form. It imports nothing but torch.
"""

import ast
import builtins
from collections.abc import Iterator

from lossgen.codegen.card import card
from lossgen.codegen.dag import shared
from lossgen.errors import InputError
from lossgen.language.domain import enclosures
from lossgen.language.expression import Expression, apply, variable
from lossgen.language.loss import Loss
from lossgen.language.lower import LoweredLoss, lower_loss
from lossgen.language.operators import ATOM, OPERATORS, UNARY, Code
from lossgen.language.printer import loss_latex, print_loss

WIDTH = 100
MARKER = "The loss, in the language of lossgen::"
RESERVED = frozenset({"torch", "nn", "F", "Tensor", "EPS", "warnings", "divisor", "real", "fake", "generator", "loss"})
_PROBABILITY = apply("sigmoid", variable("score"))


def emit_torch(loss: Loss) -> str:
    """Source text of a Python file with the loss as functions and as an `nn.Module` called `loss.name`.

    Raises:
        InputError: the name would hide something that the module uses, or a constant part is not finite.
    """
    if loss.name in RESERVED or hasattr(builtins, loss.name):
        raise InputError(f"name {loss.name!r}: the emitted module uses this name itself; choose another with --name")
    lowered = lower_loss(loss)
    functions = "\n\n\n".join(_functions(loss, lowered))
    uses = [name for name in ("F.", "EPS", "divisor(") if name in functions]
    parts = [_docstring(loss), _imports("F." in uses)]
    if "EPS" in uses or "divisor(" in uses:
        parts.append("EPS = 1e-8  # divisors, roots and logarithms are guarded below this magnitude, nowhere else")
    if "divisor(" in uses:
        parts.append(_DIVISOR)
    parts += [functions, _CLASS.replace("CLASS_NAME", loss.name)]
    return _join(parts)


def body_of(source: str) -> str:
    """The source after the module's docstring: what runs. All of it where there is no docstring.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: not Python.
    """
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    body = ast.parse(text).body
    if not (body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)):
        return text.strip()
    lines = text.split("\n")
    last, column = body[0].end_lineno or 0, body[0].end_col_offset or 0
    return "\n".join([lines[last - 1].encode()[column:].decode(), *lines[last:]]).strip()


def _join(parts: list[str]) -> str:
    text = parts[0] + "\n\n" + parts[1]
    for part in parts[2:]:
        gap = "\n\n" if part.startswith("EPS") else "\n\n\n"
        text += gap + part
    return text.rstrip() + "\n"


def _functions(loss: Loss, lowered: LoweredLoss) -> Iterator[str]:
    roles = lowered.roles
    yield _function("real", "score", "Loss of the discriminator on real images, elementwise.", roles["real"])
    yield _function("fake", "score", "Loss of the discriminator on generated images, elementwise.", roles["fake"])
    about = "Loss of the generator, elementwise."
    if loss.label is not None:
        yield f'def generator(score: Tensor) -> Tensor:\n    """{about}"""\n    return real(score)'
    else:
        yield _function("generator", "score", about, roles["generator"])
    about = "Loss for any target, elementwise: 1 for real, 0 for fake, or soft."
    if loss.label is not None:
        yield _function("loss", "score, y_real", about, lowered.label)
    else:
        yield (
            f'def loss(score: Tensor, y_real: Tensor) -> Tensor:\n    """{about}"""\n'
            "    return y_real * real(score) + (1.0 - y_real) * fake(score)"
        )


def _function(name: str, parameters: str, about: str, expression: Expression) -> str:
    annotated = ", ".join(f"{parameter}: Tensor" for parameter in parameters.split(", "))
    lines = [f"def {name}({annotated}) -> Tensor:", f'    """{about}"""']
    intervals = enclosures(expression)
    named: dict[Expression, Code] = {}
    common = shared(expression)
    if _PROBABILITY in intervals and _PROBABILITY not in common and expression != _PROBABILITY:
        common.insert(0, _PROBABILITY)

    def code(node: Expression) -> Code:
        if node in named:
            return named[node]
        if node.is_constant:
            return Code(repr(node.value), UNARY if node.value < 0.0 else ATOM, node.value)
        if node.is_variable:
            return Code(node.head)
        operands = [code(operand) for operand in node.operands]
        if node.head in ("min", "max"):  # these take tensors only
            operands = [
                Code(f"torch.full_like(score, {text.text})") if operand.is_constant else text
                for operand, text in zip(node.operands, operands, strict=True)
            ]
        return OPERATORS[node.head].torch(operands, [intervals[operand] for operand in node.operands])

    def statements() -> list[str]:
        named.clear()
        found = []
        for node in common:
            if node != expression:
                name = "y_pred" if node == _PROBABILITY else f"t{len(named)}"
                found.append(f"    {name} = {code(node).text}")
                named[node] = Code(name)
        result = code(expression).text
        if expression.is_constant:
            result = f"torch.full_like(score, {result})"
        elif "score" not in expression.variables():
            result += " + torch.zeros_like(score)"
        return [*found, f"    return {result}"]

    while max(map(len, lines + statements())) > WIDTH and (part := _next_to_name(expression, common)):
        common = _in_order(expression, [*common, part])
    return "\n".join(lines + statements())


def _next_to_name(expression: Expression, named: list[Expression]) -> Expression | None:
    """The part to name when a line is too long: the largest one within half of the longest statement."""
    leaves = set(named)

    def weight(node: Expression) -> int:
        return 1 + sum(1 if operand in leaves else weight(operand) for operand in node.operands)

    statement = max([*named, expression], key=weight)
    half = weight(statement) // 2
    parts: list[Expression] = []
    waiting = list(statement.operands)
    while waiting:
        node = waiting.pop()
        if node.operands and node not in leaves:
            parts.append(node)
            waiting += node.operands
    return max((node for node in parts if weight(node) <= half), key=weight, default=None)


def _in_order(expression: Expression, parts: list[Expression]) -> list[Expression]:
    order = {node: place for place, node in reversed(list(enumerate(expression.walk())))}
    return sorted(parts, key=order.__getitem__)


def _docstring(loss: Loss) -> str:
    lines = [f"{loss.name}: a GAN loss for PyTorch, in one file.", "", MARKER, ""]
    lines += [f"    {line}" for line in print_loss(loss).splitlines()]
    lines += [""]
    if loss.note:
        lines += [*_safe(loss.note), ""]
    lines += ["In LaTeX, with y the target, p = sigmoid(s) and s the raw score::", ""]
    lines += [f"    {line}" for line in loss_latex(loss)]
    lines += ["", "Its card, for scores from -8 to 8 (p is where gradient descent on the score ends)::", ""]
    lines += [f"    {line.rstrip()}" for line in card(loss).lines()]
    lines += ["", "Written by lossgen. Terms: CC0-1.0, use it without conditions."]
    return 'r"""' + "\n".join(lines) + '\n"""'


def _safe(note: str) -> Iterator[str]:
    """The note's lines with nothing in them that could end a docstring."""
    for line in note.splitlines():
        yield "".join(c if c.isprintable() else " " for c in line).replace('"""', "'''").replace("\\", "/").rstrip()


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
