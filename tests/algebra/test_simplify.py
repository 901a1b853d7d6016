"""Simplification: never another loss, never a larger one, never late."""

import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from strategies import losses

from lossgen.algebra import simplify as room
from lossgen.algebra.simplify import agrees, derivatives, derived_by, simplify
from lossgen.kernel.evaluate import values
from lossgen.language.expression import Expression, constant
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower, lower_loss
from lossgen.language.parser import parse_loss
from lossgen.language.printer import print_loss, to_text


def simplified(text: str) -> str:
    return to_text(simplify(parse_loss(text)).label or constant(0.0))


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(losses(max_leaves=7))
def test_the_simplified_loss_is_equal_and_not_larger(loss: Loss) -> None:
    try:
        lower_loss(loss)
    except NotFiniteError:
        assume(False)
    found = simplify(loss.renamed("Kept", "its note"), time_limit=20.0)
    assert (found.name, found.note) == ("Kept", "its note")
    assert found.size <= loss.size
    assert found == loss.renamed("Kept") or agrees(loss, found)
    assert parse_loss(print_loss(found)) == found


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


def with_candidates(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    found = [parse_loss(text).label for text in texts]
    monkeypatch.setattr(room, "_candidates", lambda *arguments: found)


def test_a_smaller_form_that_is_another_loss_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = parse_loss("square(y_pred - y_real) + score * 0.001")
    with_candidates(monkeypatch, "score", "square(y_pred - y_real)", "y_pred", "1e308 * 1e308")
    assert simplify(loss) is loss
    with_candidates(monkeypatch, "score", "0.001 * score + square(y_pred - y_real)", "y_pred")
    assert simplify(loss) is loss  # equal, but no smaller


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


def slow(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A worker that runs `code` in place of the real one."""
    real = subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        return real([sys.executable, "-c", code], **options)

    monkeypatch.setattr(room.subprocess, "Popen", start)


LOSS = parse_loss("y_pred - y_pred + score")


def test_a_worker_that_hangs_is_killed_and_what_it_had_said_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, "import time; print('score', flush=True); print('sco', end='', flush=True); time.sleep(60)")
    start = time.monotonic()
    assert simplify(LOSS, time_limit=1.0).label == parse_loss("score").label
    assert time.monotonic() - start < 10.0


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "raise SystemExit(3)",
        "import os; os.abort()",
        "print('no loss at all(')",
        "print('loss A(score):\\n real: 1')",
        "import sys; sys.stdin.close(); print('1' * 100_000)",
        "while True: print('y_pred', flush=True)",
    ],
    ids=["hangs", "fails", "aborts", "prints noise", "prints lines of noise", "prints too much", "never stops"],
)
def test_a_worker_that_misbehaves_is_no_error(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch, code)
    start = time.monotonic()
    assert simplify(LOSS, time_limit=0.5) is LOSS
    assert time.monotonic() - start < 10.0


def test_a_limit_too_short_for_anything_leaves_the_loss_as_it_is() -> None:
    assert simplify(LOSS, time_limit=0.001) is LOSS
    assert derivatives(LOSS, time_limit=0.001) == {"L": None}


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
