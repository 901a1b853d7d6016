"""The rules: equal by the total functions themselves, guards and all, and as people write."""

import time

import pytest
from hypothesis import assume, given, settings
from strategies import expressions, total_value

from lossgen.algebra.tidy import tidy
from lossgen.language.expression import Expression
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text

POINTS = [(s, y) for s in (-30.0, -8.0, -1.25, 0.0, 0.5, 3.0, 30.0) for y in (0.0, 0.1, 0.5, 1.0)]


def label(text: str) -> Expression:
    found = parse_loss(text).label
    assert found is not None
    return found


@settings(max_examples=120)
@given(expressions(max_leaves=8))
def test_a_tidied_expression_is_equal_and_no_larger(expression: Expression) -> None:
    tidied = tidy(expression)
    assert tidied.size <= expression.size
    assert tidy(tidied) == tidied
    for score, y_real in POINTS:
        expected = total_value(expression, score, y_real)
        parts = [abs(total_value(node, score, y_real)) for node in expression.walk()]
        assume(all(part == 0.0 or 1e-3 < part < 1e5 for part in parts))  # nothing overflows, nor cancels
        assert total_value(tidied, score, y_real) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y_pred * y_pred", "square(y_pred)"),
        ("square(y_pred) * y_pred", "y_pred^3"),
        ("((y_pred - y_real)^2)^4", "(y_pred - y_real)^8"),
        ("-(y_real - y_pred)", "y_pred - y_real"),
        ("-(-y_pred)", "y_pred"),
        ("y_pred + -y_real", "y_pred - y_real"),
        ("-y_real + y_pred", "y_pred - y_real"),
        ("y_pred - -2 * y_real", "y_pred + 2 * y_real"),
        ("y_pred + y_pred + y_pred", "3 * y_pred"),
        ("y_pred - y_pred + score", "score"),
        ("1 + y_pred + 2", "y_pred + 3"),
        ("2 * y_pred * 3 / 4", "1.5 * y_pred"),
        ("y_pred * (1 / y_real)", "y_pred / y_real"),
        ("y_pred / y_real + score / y_real", "(y_pred + score) / y_real"),
        ("y_pred * score - score * y_real", "(y_pred - y_real) * score"),
        ("2.5 * y_pred + 2.5 * y_real", "2.5 * (y_pred + y_real)"),
        ("-((y_real - y_pred) * score)", "(y_pred - y_real) * score"),
        ("(-score)^3", "-score^3"),
        ("abs(-score) + square(abs(score))", "abs(score) + square(score)"),
        ("sqrt(-3 * score)", "sqrt(3 * score)"),
        ("log(abs(score))", "log(score)"),
        ("max(score, score)", "score"),
        ("abs(score^4) + abs(y_pred - 1) + abs(y_real)", "score^4 + y_real + 1 - y_pred"),
        ("square(score) * abs(score)", "abs(score)^3"),
        ("sqrt(2) * exp(0)", "1.4142135623730951"),
        ("(3019 * y_pred - 5000 * y_real) / 6100", "(0.6038 * y_pred - y_real) / 1.22"),
        ("((1 - 4 * y_pred) * score + 2 * exp(score)) / 2.5", "((0.5 - 2 * y_pred) * score + exp(score)) / 1.25"),
        ("0.25 * (3 * y_pred + 2 * y_real + 1)", "0.5 * (1.5 * y_pred + y_real + 0.5)"),
        # what the guards keep apart
        ("log(-y_pred)", "log(-y_pred)"),
        ("score / score", "score / score"),
        ("score / -score", "score / -score"),
        ("y_real / (2 * y_pred)", "y_real / (2 * y_pred)"),
        ("score / 0", "score / 0"),
        ("sqrt(score)^2", "square(sqrt(score))"),
        ("sqrt(square(score))", "sqrt(square(score))"),
        ("1e300 * 1e300 * score", "1e+300 * 1e+300 * score"),
        ("const a = 1\nloss A(score) = a * score + a * -1", "a * score - a"),
    ],
)
def test_rules(text: str, expected: str) -> None:
    assert to_text(tidy(label(text))) == expected


def test_long_sums_take_no_longer_than_they_are() -> None:
    terms = [f"{i + j + 2} * y_pred^{i} * y_real^{j} * score" for i in range(2, 8) for j in range(2, 8)]
    start = time.monotonic()
    tidied = tidy(label(" + ".join(terms)))
    assert time.monotonic() - start < 5.0
    assert tidied.size < label(" + ".join(terms)).size / 1.5
