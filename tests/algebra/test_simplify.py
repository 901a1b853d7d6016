"""Simplification: never another loss, never a larger one, never late."""

from typing import Any, cast

import pytest
from hypothesis import HealthCheck, assume, given, settings
from strategies import full_losses

from lossgen.algebra import simplify as room
from lossgen.algebra.process import Answer
from lossgen.algebra.simplify import agrees, derivatives, derived_by, simplification, simplify
from lossgen.kernel.evaluate import values
from lossgen.language.expression import Expression, constant
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss, to_text


def simplified(text: str) -> str:
    return to_text(simplify(parse_loss(text)).label or constant(0.0))


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(full_losses(max_leaves=6))
def test_the_simplified_loss_is_equal_and_not_larger(loss: Loss) -> None:
    try:
        lower_loss(loss)
    except NotFiniteError:
        assume(False)
    found = simplify(loss.renamed("Kept", "its note"), time_limit=20.0)
    assert (found.name, found.note, found.needs) == ("Kept", "its note", loss.needs)
    assert found.size <= loss.size
    assert found == loss.renamed("Kept") or agrees(loss, found)
    assert {*found.constants.items()} <= {*loss.constants.items()}
    assert parse_loss(print_loss(found)) == found
    assert simplify(found, time_limit=20.0).size == found.size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y_pred - y_pred + score", "score"),
        ("score / score + y_pred", "score / score + y_pred"),
        ("2 * score + 3 * score", "5 * score"),
        ("(y_pred + 1)^2 - y_pred^2 - 2 * y_pred - 1 + score", "score"),
        ("score", "score"),
    ],
)
def test_known_simplifications(text: str, expected: str) -> None:
    found = simplified(text)
    assert parse_loss(found).size == parse_loss(expected).size
    assert agrees(parse_loss(found), parse_loss(expected))


def test_clauses_are_simplified_one_by_one() -> None:
    text = "# note\nloss A(score):\n real: relu(1 - score + score - score)\n fake: score + score\n generator: -score"
    found = simplify(parse_loss(text))
    assert to_text(found.roles["real"]) == "relu(1 - score)"
    assert to_text(found.roles["fake"]) == "2 * score" or found.roles["fake"] == parse_loss(text).roles["fake"]
    assert to_text(found.roles["generator"]) == "-score"
    assert (found.name, found.note) == ("A", "note")


def with_forms(monkeypatch: pytest.MonkeyPatch, *texts: str, ended: str = "answered") -> None:
    forms = tuple(("method", parse_loss(text).expressions()[0]) for text in texts)
    monkeypatch.setattr(room.shared(), "ask", lambda *_: Answer(forms, cast(Any, ended)))


def test_a_smaller_form_that_is_another_loss_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = parse_loss("square(y_pred - y_real) + score * 0.001")
    with_forms(monkeypatch, "score", "square(y_pred - y_real)", "y_pred", "1e308 * 1e308")
    found = simplification(loss)
    assert found.loss is loss
    assert {attempt.verdict for attempt in found.attempts} == {"unequal"}
    with_forms(monkeypatch, "0.001 * score + square(y_pred - y_real)")
    assert simplify(loss) is loss  # equal, but no smaller
    with_forms(monkeypatch, "square(y_real - y_pred) + score / 1e3")
    assert to_text(simplify(loss).expressions()[0]).endswith("score / 1000")  # as many nodes, fewer characters


def test_a_form_with_another_guard_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = parse_loss("square(y_pred) + 3 * y_pred + 1e-9 * y_pred * y_pred * y_pred")
    with_forms(monkeypatch, "y_pred / (1 / (3 + y_pred + 1e-9)) - 1 / square(1e12 + square(y_pred))", "score / score")
    assert simplification(loss).loss is loss
    with_forms(monkeypatch, "y_pred * y_pred * y_pred / y_pred + 3 * y_pred")
    (attempt,) = simplification(parse_loss("square(y_pred) + 3 * y_pred + y_pred - y_pred + y_pred - y_pred")).attempts
    assert attempt.verdict in ("unequal", "gains a guard")
    with_forms(monkeypatch, "log(y_pred + 0)")
    (attempt,) = simplification(parse_loss("log(y_pred - score + score)")).attempts
    assert attempt.verdict in ("unequal", "gains a guard")


def test_what_lowers_to_more_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = parse_loss("-(y_real * log(y_pred) + (1 - y_real) * log(1 - y_pred))")
    with_forms(monkeypatch, "(y_real - 1) * log(1 - y_pred) - y_real * log(y_pred)")
    assert simplify(loss) is loss  # fewer nodes, but no longer the one operator that cross-entropy is


@pytest.mark.parametrize("ended", ["late", "broken"])
def test_whoever_asks_is_told_that_another_try_could_end_otherwise(ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    with_forms(monkeypatch, "score", ended=ended)
    assert to_text(simplify(LOSS, on_late=lambda: told.append(True)).expressions()[0]) == "score"
    assert told == [True]


@pytest.mark.parametrize(
    ("text", "shortcut"),
    [
        ("y_pred * (1 / y_pred)", "1"),
        ("score * (1 / score)", "1"),
        ("y_pred / y_pred", "1"),
        ("sqrt(score)^2 * y_real", "score * y_real"),
        ("log(exp(score))", "score"),
        ("exp(log(score))", "score"),
        ("exp(log(y_real)) / 1e-7", "y_real / 1e-7"),
        ("abs(score) / score", "score / abs(score)"),
        ("score^0.5 * score^0.5", "score"),
        ("sqrt(square(score))", "score"),
        ("sqrt(square(y_pred))", "y_pred"),
        ("log(-y_pred)", "log(y_pred)"),
        ("max(score, 8.5)", "8.5"),  # not so at 30
        ("min(score, max(y_pred, -9))", "min(score, y_pred)"),
        ("min(1 / y_real, 1e7) * score", "score / y_real"),
        ("y_real * y_real * score - y_real * score", "0"),  # not so for soft targets
    ],
)
def test_corners_are_not_cut(text: str, shortcut: str) -> None:
    """What textbooks say of these is not so of the total functions, or not of soft targets, or not far out."""
    loss, cut = parse_loss(text), parse_loss(shortcut)
    found = simplify(loss, 30.0)
    assert found == loss or agrees(loss, found)
    if agrees(loss, cut):
        assert text in ("min(score, max(y_pred, -9))", "abs(score) / score")  # these may be cut
        assert found.size <= cut.size
    else:
        assert found.expressions() != cut.expressions()


def test_losses_of_batch_means_are_compared_at_several() -> None:
    text = "loss A(score, mean_real):\n real: {}\n fake: score\n generator: -score"
    one = parse_loss(text.format("score + mean_real * mean_real"))
    assert agrees(one, parse_loss(text.format("square(mean_real) + score")))
    assert not agrees(one, parse_loss(text.format("score + 0 * mean_real")))
    more = "\n generator_real: square(mean_real - score + mean_real - mean_real)"
    loss = parse_loss(text.format("score + mean_real - score") + more)
    found = simplify(loss, 30.0)
    assert [to_text(e) for e in found.expressions()] == ["mean_real", "score", "-score", "square(mean_real - score)"]
    assert not agrees(loss, parse_loss(text.format("mean_real")))  # without its fourth clause


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("score + score", "2 * score", True),
        ("score", "score + 1e-9", True),
        ("score", "score * 1.00001", False),
        ("score", "score + 0.001", False),
        ("y_real * score", "y_real^2 * score", False),  # equal at 0 and 1, not between
        ("relu(score)", "relu(score - 20) + relu(min(score, 20))", True),
        ("score", "min(score, 20)", False),  # equal on the grid, not at 30
        ("score", "score + 0.0002 * sin(1000 * score)", False),
        ("1e308 * 10 * score", "score", False),
        ("square(square(square(square(exp(9 * score)))))", "square(square(square(square(exp(9 * score)))))", False),
    ],
)
def test_agreement_is_by_value_and_gradient_everywhere(one: str, other: str, equal: bool) -> None:
    assert agrees(parse_loss(one), parse_loss(other)) is equal


LOSS = parse_loss("y_pred - y_pred + score")


def test_a_limit_too_short_for_anything_leaves_the_loss_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []
    assert simplify(LOSS, 0.0, lambda: told.append(True)) is LOSS
    assert told == [True]
    monkeypatch.setattr(room.shared(), "ask", lambda *_: Answer((), "late"))
    assert simplify(LOSS) is LOSS
    assert derivatives(LOSS) == {"L": None}


@pytest.mark.parametrize(
    ("text", "by", "expected"),
    [
        ("y_pred^3 + sqrt(3.985 * y_real / y_pred)", "y_pred", None),
        ("-log(y_pred)", "y_pred", "-1 / y_pred"),
        ("square(score - 1)", "score", "2 * score - 2"),
        ("y_pred * y_real", "y_pred", "y_real"),
    ],
)
def test_derivatives(text: str, by: str, expected: str | None) -> None:
    loss = parse_loss(text)
    assert loss.label is not None
    assert derived_by(loss.label) == by
    found = derivatives(loss, time_limit=20.0)["L"]
    assert found is not None
    if expected is not None:
        assert at_points(found) == pytest.approx(at_points(parse_loss(expected).label or constant(0.0)), rel=1e-9)
        return
    p = 1.0 / (1.0 + 2.718281828459045**-0.3)  # GANetic's, by hand
    slope = 3.0 * p**2 - 0.5 * (3.985 * 0.5) ** 0.5 * p**-1.5
    assert values([lower(found)], [0.3], 0.5)[0, 0] == pytest.approx(slope, rel=1e-9)


def at_points(expression: Expression) -> list[float]:
    return list(map(float, values([lower(expression)], [-2.0, 0.3, 1.7], 0.5)[0]))


def test_derivatives_of_clauses() -> None:
    found = derivatives(parse_loss("loss A(score):\n real: relu(1 - score)\n fake: score\n generator: -score"), 20.0)
    assert list(found) == ["real", "fake", "generator"]
    assert [to_text(found[role] or constant(9.0)) for role in ("fake", "generator")] == ["1", "-1"]
    assert at_points(found["real"] or constant(9.0)) == [-1.0, -1.0, 0.0]
