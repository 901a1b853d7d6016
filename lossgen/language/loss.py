"""Loss: a name, its clauses (label form or role form), what it needs, and a note on where it comes from."""

import dataclasses
import hashlib
import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lossgen.errors import InputError
from lossgen.language.expression import Expression
from lossgen.language.operators import BATCH_TERMS, VARIABLES

ROLES = ("real", "fake", "generator")
GENERATOR_REAL = "generator_real"
MAX_NAME = 64

NEEDS: Mapping[str, str] = {
    "gradient_penalty": "c * (|gradient of D| - 1)^2 between real and generated images (Gulrajani et al. 2017, eq. 3)",
    "r1": "c / 2 * |gradient of D|^2 at real images (Mescheder et al. 2018, eq. 9)",
    "drift": "c * D^2 at real images (Karras et al. 2018, appendix A.1)",
}
"""Regularisers that a loss may ask for: what is added to the discriminator's loss, as a mean over the batch, c being
the number beside the name."""


@dataclass(frozen=True)
class Loss:
    """A GAN loss.

    In label form one expression of `y_real`, `y_pred` and `score` serves all: the target is 1 for real and 0 for
    fake images, and the generator aims at 1. In role form each role has an expression of `y_pred`, `score` and the
    batch means `mean_real` and `mean_fake`. The discriminator minimises mean(real) + mean(fake), the generator
    mean(generator), and on the real images mean(generator_real) where there is such a clause.

    Attributes:
        name: a Python identifier; the emitted class is called so.
        label: the expression of the label form, or None.
        roles: expression by role ("real", "fake", "generator", perhaps "generator_real") of the role form, empty for
            the label form.
        needs: strength by regulariser (of NEEDS) that the loss is meant to be trained with.
        note: description and source, one or more lines; not part of the loss's identity.
    """

    name: str
    label: Expression | None = None
    roles: Mapping[str, Expression] = field(default_factory=dict)
    note: str = field(default="", compare=False)
    needs: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        if set(self.roles) - {GENERATOR_REAL} != (set(ROLES) if self.label is None else set()) or (
            self.label is not None and self.roles
        ):
            raise ValueError("a loss has either one label expression or one expression for each of the three roles")
        if self.label is not None and self.label.variables() & set(BATCH_TERMS):
            raise ValueError("batch means belong to the role form")
        named = [(node.name, node.value) for e in self.expressions() for node in e.walk() if node.name]
        if len(set(named)) != len(dict(named)):
            raise ValueError("a constant's name stands for one value")
        names = {name for name, _ in named}
        if names & set(VARIABLES) or not all(
            n.isascii() and n.isidentifier() and not keyword.iskeyword(n) for n in names
        ):
            raise ValueError("a constant's name is an identifier, and no variable's")
        if set(self.needs) - set(NEEDS):
            raise ValueError(f"a loss may need {', '.join(NEEDS)}")

    def __hash__(self) -> int:
        return hash((self.name, *self.expressions(), *sorted(self.needs.items())))

    @property
    def clauses(self) -> Mapping[str, Expression]:
        """Expression by clause: "L" alone for the label form, else the roles in their order."""
        if self.label is not None:
            return {"L": self.label}
        return {role: self.roles[role] for role in (*ROLES, GENERATOR_REAL) if role in self.roles}

    def expressions(self) -> tuple[Expression, ...]:
        """The label expression alone, or those of real, fake, generator and perhaps generator_real."""
        return tuple(self.clauses.values())

    @property
    def constants(self) -> Mapping[str, float]:
        """The named constants, in the order in which they first stand in the loss."""
        return {node.name: node.value for e in self.expressions() for node in e.walk() if node.name}

    @cached_property
    def size(self) -> int:
        """Number of nodes in all expressions."""
        return sum(expression.size for expression in self.expressions())

    @property
    def needs_real(self) -> bool:
        """Whether the generator's loss looks at the scores of real images."""
        return GENERATOR_REAL in self.roles or (
            self.label is None and "mean_real" in self.roles["generator"].variables()
        )

    def variables(self) -> frozenset[str]:
        return frozenset().union(*(expression.variables() for expression in self.expressions()))

    def digest(self) -> str:
        """Hash (hex) of what the loss is, whatever its name and the order of commutative operands."""
        parts = [e.digest() for e in self.expressions()] + [f"{n}({v!r})" for n, v in sorted(self.needs.items())]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def renamed(self, name: str, note: str | None = None) -> "Loss":
        return dataclasses.replace(self, name=name, note=self.note if note is None else note)

    def with_clauses(self, clauses: Mapping[str, Expression]) -> "Loss":
        """The loss with other expressions in place of those named, by the names of `clauses`."""
        if self.label is not None:
            return dataclasses.replace(self, label=clauses.get("L", self.label))
        return dataclasses.replace(self, roles={**self.roles, **clauses})


def check_name(name: str) -> None:
    """Raise InputError unless `name` can be the name of an emitted class."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name) or len(name) > MAX_NAME:
        shown = name if len(name) <= 40 else name[:40] + "…"
        raise InputError(
            f"name {shown!r}: not a class name; use letters, digits and _, not starting with a digit, "
            f"no Python keyword, at most {MAX_NAME} characters"
        )
