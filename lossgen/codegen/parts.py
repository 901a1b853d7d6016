"""What the files of all targets have in common: the functions of the roles, how they are called, the names in use."""

import ast
import builtins
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lossgen.codegen.statements import free_name, function, signature, wrapped
from lossgen.errors import InputError
from lossgen.language.emission import Dialect
from lossgen.language.expression import Expression
from lossgen.language.interval import REALS
from lossgen.language.loss import GENERATOR_REAL, Loss
from lossgen.language.lower import LoweredLoss, lower_loss
from lossgen.language.operators import BATCH_TERMS

EPS_LINE = "EPS = 1e-8  # divisors, roots and logarithms are guarded below this magnitude, nowhere else"
OWN = {"real": "real_score", "fake": "fake_score", "generator": "fake_score", GENERATOR_REAL: "real_score"}
"""The scores that each role's loss is the loss of."""
_MEANS = {"mean_real": "real_score", "mean_fake": "fake_score"}
ABOUT = {
    "real": "Loss of the discriminator on real images, elementwise.",
    "fake": "Loss of the discriminator on generated images, elementwise.",
    "generator": "Loss of the generator, elementwise.",
    GENERATOR_REAL: "Loss of the generator on real images, elementwise; its mean is added to the generator's.",
    "loss": "Loss for any target, elementwise: 1 for real, 0 for fake, or soft.",
}
_LOCAL = frozenset(
    {
        "self",
        "score",
        "target",
        "real_score",
        "fake_score",
        "reduction",
        "input",
        "name",
        "dtype",
        "EPS",
        "key",
        "value",
    }
    | {"of_real", "of_fake", "discriminator_loss", "generator_loss", "needs_real", "recommended"}
)
"""What a file of any target calls its own, so that a constant's name is free in all of them or in none."""


@dataclass(frozen=True)
class Part:
    """A function of an emitted file.

    Attributes:
        name: "real", "fake", "generator", "generator_real" or "loss".
        means: batch means that it takes behind its score.
        constants: named constants that it takes as keywords, with their values.
    """

    name: str
    means: tuple[str, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)

    @property
    def scores(self) -> tuple[str, ...]:
        """The raw scores that it is computed from: its own first, then those whose mean it takes."""
        own = OWN[self.name]
        return (own, *(_MEANS[mean] for mean in self.means if _MEANS[mean] != own))

    @property
    def is_plain(self) -> bool:
        """Whether it is a function of its own scores alone."""
        return not self.means and not self.constants

    def called(self, score: str, means: tuple[str, ...], of_constant: str = "{}") -> str:
        """Its call, from the texts of its arguments; `of_constant` is the template of a named constant's value."""
        keywords = [f"{key}={of_constant.format(key)}" for key in self.constants]
        return f"{self.name}({', '.join([score, *means, *keywords])})"


@dataclass(frozen=True)
class Parts:
    """A loss's functions.

    Attributes:
        by_name: the functions, by name.
        source: their text.
        signed: named constants that must keep their sign, since a guard is left out because of it.
    """

    by_name: Mapping[str, Part]
    source: str
    signed: frozenset[str]

    def __getitem__(self, name: str) -> Part:
        return self.by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def constants(self, *names: str) -> dict[str, float]:
        """The named constants that the functions called so take, with their values."""
        return {key: v for name in names if name in self for key, v in self[name].constants.items()}


def check_names(loss: Loss, reserved: frozenset[str], has_class: bool = True) -> None:
    """Raise InputError where the class or a constant would hide something that the file uses."""
    if has_class and (loss.name in reserved or hasattr(builtins, loss.name)):
        raise InputError(f"name {loss.name!r}: the emitted module uses this name itself; choose another with --name")
    for name in loss.constants:
        if name in reserved | _LOCAL or hasattr(builtins, name) or keyword.iskeyword(name) or _is_attribute(name):
            raise InputError(f"constant {name!r}: the emitted module uses this name itself; choose another")


def _is_attribute(name: str) -> bool:
    """Whether an `nn.Module` has something of this name, which a constant of the loss would hide."""
    from torch import nn

    return name.startswith("_") or hasattr(nn.Module(), name)


def loss_parts(dialect: Dialect, loss: Loss) -> Parts:
    """The functions real, fake, generator, generator_real where there is one, and loss where it is defined.

    Raises:
        NotFiniteError: a constant part of the loss is not a finite number.
    """
    lowered = lower_loss(loss)
    parts: dict[str, Part] = {}
    sources = []

    def written(name: str, expression: Expression, *more: str) -> None:
        means = tuple(mean for mean in BATCH_TERMS if mean in expression.variables())
        parts[name] = Part(name, means, {node.name: node.value for node in expression.walk() if node.name})
        sources.append(function(dialect, _head(dialect, parts[name], *more), ABOUT[name], expression))

    for name, expression in lowered.roles.items():
        if name == "generator" and loss.label is not None:
            parts[name] = Part(name, (), parts["real"].constants)
            sources.append(_forwarding(dialect, parts[name], parts["real"].called("score", ())))
        else:
            written(name, expression)
    if loss.label is not None and lowered.label is not None:
        written("loss", lowered.label, "y_real")
    elif lowered.label is not None:
        of_real, of_fake = parts["real"], parts["fake"]
        parts["loss"] = Part("loss", (), {**of_real.constants, **of_fake.constants})
        mixture = f"y_real * {of_real.called('score', ())} + (1.0 - y_real) * {of_fake.called('score', ())}"
        sources.append(_forwarding(dialect, parts["loss"], mixture, "y_real"))
    signed = frozenset(name for name in loss.constants if _spares_a_guard(dialect, lowered, name))
    return Parts(parts, "\n\n\n".join(sources), signed)


def _spares_a_guard(dialect: Dialect, lowered: LoweredLoss, name: str) -> bool:
    """Whether the text would be another one if nothing were known of the sign of a named constant."""
    forms = [*lowered.roles.values(), *([lowered.label] if lowered.label is not None else [])]
    return any(function(dialect, "", "", form) != function(dialect, "", "", form, {name: REALS}) for form in forms)


def _head(dialect: Dialect, part: Part, *more: str) -> str:
    return signature(dialect.tensor, part.name, ("score", *more, *part.means), part.constants)


def _forwarding(dialect: Dialect, part: Part, returned: str, *more: str) -> str:
    line = wrapped(f"    return {returned}")
    return f'{_head(dialect, part, *more)}\n    """{ABOUT[part.name]}"""\n{line}'


@dataclass(frozen=True)
class Calls:
    """How a target's file calls things.

    Attributes:
        over_scales: what applies a role's function to raw scores or to lists of them, and reduces.
        mean: template of the mean of a tensor.
        constant: template of a named constant's value.
        check: what looks at the scores that were given, "" if nothing does.
        checks_while: the condition under which it does.
    """

    over_scales: str = "self._over_scales"
    mean: str = "{}.mean()"
    constant: str = "self.{}"
    check: str = ""
    checks_while: str = ""


def over_scales(part: Part, calls: Calls, width: int) -> str:
    """The text that applies a role's function to raw scores, or to lists of them; in four lines where it is long."""
    if part.is_plain:
        return f"{calls.over_scales}({part.name}, {OWN[part.name]})"
    short = {score: free_name(letter, part.constants) for score, letter in (("real_score", "r"), ("fake_score", "f"))}
    means = tuple(calls.mean.format(short[_MEANS[name]]) for name in part.means)
    letters = ", ".join(short[score] for score in part.scores)
    inner = f"lambda {letters}: {part.called(short[OWN[part.name]], means, calls.constant)}"
    text = f"{calls.over_scales}({inner}, {', '.join(part.scores)})"
    if len(text) <= width:
        return text
    return f"{calls.over_scales}(\n    {inner},\n    {', '.join(part.scores)},\n)"


def guards(functions: str, divisor: str) -> list[str]:
    """The constant EPS and the function `divisor`, each only where the functions use it."""
    divided = "divisor(" in functions
    found = [EPS_LINE] if divided or re.search(r"\bEPS\b", functions) else []
    return [*found, divisor] if divided else found


def join(parts: list[str]) -> str:
    """One file: docstring, imports, the constant EPS where it is used, then definitions two lines apart."""
    text = parts[0] + "\n\n" + parts[1]
    for part in parts[2:]:
        gap = "\n\n" if part.startswith("EPS") else "\n\n\n"
        text += gap + part
    return text.rstrip() + "\n"


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
