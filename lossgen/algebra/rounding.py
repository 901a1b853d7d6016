"""Constants rounded to as few digits as leave the fingerprint unchanged.

Rounding changes a loss, if only by what no training would notice, so it is a step of its own, apart from
simplification: what it keeps is not the values but the fingerprint (scale included), the gradients for soft targets
and at several batch means in the same resolution, the screen's verdict, and the structure once lowered.
"""

from collections.abc import Iterator, Mapping, Sequence

from lossgen.algebra.kept import Kept
from lossgen.algebra.numbers import digits
from lossgen.algebra.simplify import MEANS
from lossgen.language.expression import Expression, constant
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError
from lossgen.language.operators import BATCH_TERMS

WORK = 60_000
"""Nodes that are looked at in one rounding, all forms that are tried together: a second or two."""
FORMS = 8
"""Forms that a batch of constants is allowed in the first pass."""


def round_constants(loss: Loss) -> Loss:
    """The loss with its unnamed constants rounded; the loss itself where no digit can be spared, or it is not finite.

    One constant after another, that with most digits first (of equals, the one that stands first in the loss), gets
    the fewest significant digits that leave all that is kept unchanged; a constant that occurs more than once is
    rounded everywhere alike. That is repeated until no digit more can be spared, so rounding twice changes nothing.
    No constant becomes 0.

    Only so many forms are tried as have WORK nodes together (counted at each batch mean). Where the constants are too
    many for that, as 60 are in a loss of 240 nodes, they are first rounded in batches, all of a batch to as many
    digits, which are halved from pass to pass. Such a loss may be left with digits that could be spared.
    """
    try:
        kept = Kept(loss)
    except NotFiniteError:
        return loss
    settings = len(MEANS) if loss.variables() & set(BATCH_TERMS) else 1
    search = _Search(loss, kept, max(1, WORK // (settings * loss.size)))
    batch = 1 + len(search.values()) * FORMS // search.left
    while search.shorten(batch) or batch > 1:
        batch = -(-batch // 2)
    return search.loss


class _Search:
    """A loss whose constants get shorter, and how many forms of it may still be tried."""

    def __init__(self, loss: Loss, kept: Kept, forms: int) -> None:
        self.loss, self.left = loss, forms
        self._kept = kept

    def values(self) -> list[float]:
        """The constants, those with most digits first."""
        found = dict.fromkeys(n.value for e in self.loss.expressions() for n in e.walk() if n.is_number)
        return sorted(found, key=lambda value: -digits(value))  # the sort is stable

    def shorten(self, batch: int) -> bool:
        """Round batch after batch as far as can be; whether any could."""
        start = self.loss
        values = self.values()
        for together in (values[i : i + batch] for i in range(0, len(values), batch)):
            if batch == 1:
                any(self._take(form) for form in _forms(together))
            else:
                self._halve(list(_forms(together)))
        return self.loss is not start

    def _halve(self, forms: Sequence[Mapping[float, float]]) -> None:
        """Take a form of few digits, found by bisection: as if all forms with more digits than a good one were good."""
        low, high = 0, len(forms)
        start, best = self.loss, self.loss
        while low < high:
            middle = (low + high) // 2
            self.loss = start
            if self._take(forms[middle]):
                best, high = self.loss, middle
            else:
                low = middle + 1
        self.loss = best

    def _take(self, rounded: Mapping[float, float]) -> bool:
        """Put rounded constants in the place of others, if that keeps what is kept."""
        if self.left == 0:
            return False
        self.left -= 1
        form = self.loss.with_clauses({clause: _replaced(e, rounded) for clause, e in self.loss.clauses.items()})
        if self._kept.by(form):
            self.loss = form
            return True
        return False


def _forms(values: Sequence[float]) -> Iterator[Mapping[float, float]]:
    """The constants that have more digits, rounded to one, to two, and so on; each set of roundings once."""
    before: Mapping[float, float] = {}
    for count in range(1, max(map(digits, values))):
        longer = {value: float(f"{value:.{count}g}") for value in values if digits(value) > count}
        rounded = {value: short for value, short in longer.items() if short != 0.0 and short - short == 0.0}
        if rounded and rounded != before:
            before = rounded
            yield rounded


def _replaced(expression: Expression, rounded: Mapping[float, float]) -> Expression:
    return expression.map(
        lambda node: constant(rounded[node.value]) if node.is_number and node.value in rounded else node
    )
