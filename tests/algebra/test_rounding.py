"""Rounding: fewer digits, the same fingerprint, the same structure."""

import pytest
from hypothesis import assume, given, settings
from strategies import full_losses

from lossgen.algebra.kept import Kept
from lossgen.algebra.numbers import digits
from lossgen.algebra.rounding import WORK, round_constants
from lossgen.algebra.simplify import MEANS
from lossgen.kernel.fingerprint import fingerprint
from lossgen.kernel.screen import Rejection, screen
from lossgen.language.expression import Expression
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text


def rounded(text: str) -> str:
    return to_text(round_constants(parse_loss(text)).expressions()[0])


def heads(loss: Loss) -> list[str]:
    return [node.head for e in loss.expressions() for node in e.walk()]


def numbers(loss: Loss) -> list[Expression]:
    return [node for e in loss.expressions() for node in e.walk() if node.is_number]


@settings(max_examples=25)
@given(full_losses(max_leaves=6))
def test_rounding_keeps_the_fingerprint_and_the_structure(loss: Loss) -> None:
    try:
        lowered = lower_loss(loss)
    except NotFiniteError:
        assume(False)
    assume(screen([lowered])[0].rejection is not Rejection.NOT_FINITE)
    found = round_constants(loss)
    assert round_constants(found) == found
    assert heads(found) == heads(loss)
    assert (found.constants, found.needs, found.name) == (loss.constants, loss.needs, loss.name)
    for before, after in zip(numbers(loss), numbers(found), strict=True):
        assert digits(after.value) <= digits(before.value)
        assert (after.value == 0.0) == (before.value == 0.0)
    for means in MEANS:
        one, other = (screen([lower_loss(each).at_means(*means)])[0] for each in (loss, found))
        if one.rejection is not Rejection.NOT_FINITE:
            assert one.rejection == other.rejection
            for scale_free in (False, True):
                assert fingerprint(one.curves, scale_free) == fingerprint(other.curves, scale_free)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y_pred^3 + sqrt(3.985 * y_real / y_pred) + 7.1234", "y_pred^3 + sqrt(3.985 * y_real / y_pred) + 7"),
        ("score + 0.0004321", "score + 0.0004"),
        ("score - 123456.789", "score - 100000"),
        ("1.0000001 * score", "1.0000001 * score"),  # a factor of 1 would be no factor
        ("square(score)^1.0000001", "square(score)^1.0000001"),  # a whole exponent is of another kind
        ("square(score + 0.00000001234 * y_pred)", "square(score + 1e-08 * y_pred)"),
        ("const a = 3.9851234\nloss A(score) = a * score + 3.9851234", "a * score + 4"),  # names are left alone
        ("5 * score", "5 * score"),
        ("score / (y_pred - y_pred) * 1.2345678e300", "score / (y_pred - y_pred) * 1.2345678e+300"),  # not finite
        ("1e300 * 1e300 * score * 1.2345", "1e+300 * 1e+300 * score * 1.2345"),
    ],
)
def test_known_roundings(text: str, expected: str) -> None:
    assert rounded(text) == expected


def test_soft_targets_count() -> None:
    plain = "score * y_real - score * (1 - y_real)"
    assert rounded(f"{plain} + 0.00000001234 * score * sin(y_real * 3.141592653589793)").endswith("y_real * 3)")
    assert rounded(f"{plain} + 0.1234567 * score * sin(y_real * 3.141592653589793)").startswith(f"{plain} + 0.12")


def test_a_constant_that_occurs_twice_is_rounded_alike() -> None:
    loss = parse_loss("loss A(score):\n real: -1.23456789 * score\n fake: score + 3.33333\n generator: 3.33333 - score")
    found = round_constants(loss)
    assert [to_text(found.roles[role]) for role in ("fake", "generator")] == ["score + 3", "3 - score"]


@pytest.mark.parametrize(
    ("value", "count"),
    [(0.0, 1), (1.0, 1), (-0.125, 3), (1e22, 1), (3.985, 4), (0.1 + 0.2, 17), (120.0, 2), (5e-324, 1)],
)
def test_digits(value: float, count: int) -> None:
    assert digits(value) == count


def test_many_constants_are_rounded_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    by = Kept.by
    monkeypatch.setattr(Kept, "by", lambda kept, loss: tried.append(loss.size) or by(kept, loss))
    terms = [f"{0.1 + 0.8765432109876543 * (i * 0.618034 % 1)!r} * sin({1 + i / 7!r} * score)" for i in range(100)]
    while len(terms) > 1:
        terms = [" + ".join(f"({term})" for term in terms[i : i + 2]) for i in range(0, len(terms), 2)]
    loss = parse_loss(f"loss Big(score):\n real: {terms[0]} - 99 * score\n fake: score\n generator: -score")
    found = round_constants(loss)
    assert sum(tried) <= WORK
    assert len(numbers(found)) == 201
    assert sum(digits(node.value) for node in numbers(found)) < 201 * 5
    before, after = (screen([lower_loss(each)])[0] for each in (loss, found))
    assert fingerprint(before.curves, scale_free=False) == fingerprint(after.curves, scale_free=False)
