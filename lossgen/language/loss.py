"""Loss: a name, its clauses (label form or role form), and a note on where it comes from."""

import hashlib
import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field

from lossgen.errors import InputError
from lossgen.language.expression import Expression

ROLES = ("real", "fake", "generator")
MAX_NAME = 64


@dataclass(frozen=True)
class Loss:
    """A GAN loss.

    In label form one expression of `y_real`, `y_pred` and `score` serves all: the target is 1 for real and 0 for
    fake images, and the generator aims at 1. In role form each role has an expression of `y_pred` and `score`.
    The discriminator minimises mean(real) + mean(fake), the generator mean(generator).

    Attributes:
        name: a Python identifier; the emitted class is called so.
        label: the expression of the label form, or None.
        roles: expression by role ("real", "fake", "generator") of the role form, empty for the label form.
        note: description and source, one or more lines; not part of the loss's identity.
    """

    name: str
    label: Expression | None = None
    roles: Mapping[str, Expression] = field(default_factory=dict)
    note: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if set(self.roles) != (set(ROLES) if self.label is None else set()):
            raise ValueError("a loss has either one label expression or one expression for each of the three roles")

    def __hash__(self) -> int:
        return hash((self.name, *self.expressions()))

    def expressions(self) -> tuple[Expression, ...]:
        """The label expression alone, or those of real, fake and generator."""
        return (self.label,) if self.label is not None else tuple(self.roles[role] for role in ROLES)

    @property
    def size(self) -> int:
        """Number of nodes in all expressions."""
        return sum(expression.size for expression in self.expressions())

    def variables(self) -> frozenset[str]:
        return frozenset().union(*(expression.variables() for expression in self.expressions()))

    def digest(self) -> str:
        """Hash (hex) of what the loss is, whatever its name and the order of commutative operands."""
        return hashlib.sha256(" ".join(e.digest() for e in self.expressions()).encode()).hexdigest()

    def renamed(self, name: str, note: str | None = None) -> "Loss":
        return Loss(name, self.label, self.roles, self.note if note is None else note)


def check_name(name: str) -> None:
    """Raise InputError unless `name` can be the name of an emitted class."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name) or len(name) > MAX_NAME:
        shown = name if len(name) <= 40 else name[:40] + "…"
        raise InputError(
            f"name {shown!r}: not a class name; use letters, digits and _, not starting with a digit, "
            f"no Python keyword, at most {MAX_NAME} characters"
        )
