"""Losses to MathML: well-formed, and grouped as the formula is."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from strategies import ANY_CONSTANT, full_losses, losses

from lossgen.codegen.load import load_argument, zoo_names
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import Loss
from lossgen.language.mathml import NAMESPACE, latex_to_mathml, loss_mathml, to_mathml
from lossgen.language.operators import OPERATORS, VARIABLES
from lossgen.language.parser import parse_loss
from lossgen.language.printer import loss_latex

TAGS = {"math", "mrow", "mi", "mn", "mo", "msup", "msub", "mfrac", "msqrt", "mover"}
COUNT = {"msup": 2, "msub": 2, "mfrac": 2, "mover": 2}
"""Elements that take a fixed number of arguments."""


def read(mathml: str) -> ElementTree.Element:
    """The element, after a look at every part of it."""
    root = ElementTree.fromstring(mathml)
    for element in root.iter():
        space, _, tag = element.tag.removeprefix("{").partition("}")
        assert space == NAMESPACE and tag in TAGS
        assert len(element) == COUNT.get(tag, len(element))
        assert bool(element.text) == (tag in ("mi", "mn", "mo"))
        assert element.text != "-", "a hyphen, and no minus sign"
        element.tag = tag
    return root


def structure(element: ElementTree.Element) -> str:
    """What a reader sees, with the elements that group in brackets: [a b] a row, (…) fences as they are."""
    if element.text:
        return element.text.replace("\u2061", "").replace("\u2212", "-")
    inside = [structure(part) for part in element]
    match element.tag:
        case "msup":
            return f"[{inside[0]}]^[{inside[1]}]"
        case "mfrac":
            return f"[{inside[0]}]/[{inside[1]}]"
        case "msqrt":
            return f"√[{''.join(inside)}]"
    return "".join(inside)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("(score + y_pred) * y_real", "(s+p)⋅y"),
        ("score + y_pred * y_real", "s+p⋅y"),
        ("-(score^y_pred)", "-[|s|]^[p]"),
        ("(-score)^y_pred", "[|-s|]^[p]"),
        ("(-3)^2", "[(-3)]^[2]"),
        ("(score / y_pred)^3", "[([s]/[p])]^[3]"),
        ("score - (y_pred - y_real)", "s-(p-y)"),
        ("score - y_pred - y_real", "s-p-y"),
        ("-(score - 1)", "-(s-1)"),
        ("score / (y_pred + 1)", "[s]/[p+1]"),
        ("square(exp(score + 1))", "[([e]^[s+1])]^[2]"),
        ("abs(log(y_pred) - 1)", "|log(p)-1|"),
        ("sqrt(score + 1) * 2", "√[|s+1|]⋅2"),
        ("(score^2)^3", "[([s]^[2])]^[3]"),
        ("score^2^3", "[s]^[[2]^[3]]"),
        ("relu(1 - score)", "max(0,1-s)"),
        ("-1.5e-9 * score", "(-1.5⋅[10]^[-9])⋅s"),
    ],
)
def test_grouped_as_the_formula_is(text: str, shown: str) -> None:
    label = parse_loss(text).label
    assert label is not None
    found = structure(read(to_mathml(label)))
    assert found == shown or found == shown.replace("(-1.5⋅[10]^[-9])", "-1.5⋅[10]^[-9]")


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator(name: str) -> None:
    operands = (apply("sub", variable("score"), constant(1.5)), apply("neg", variable("y_pred")))
    shown = structure(read(to_mathml(apply(name, *operands[: OPERATORS[name].arity]))))
    assert "s-1.5" in shown
    assert OPERATORS[name].arity == 1 or "-p" in shown


def test_every_variable_has_its_letter() -> None:
    assert len({to_mathml(variable(name)) for name in VARIABLES}) == len(VARIABLES)


@pytest.mark.parametrize("name", zoo_names())
def test_zoo(name: str) -> None:
    loss = load_argument(name).loss
    found = loss_mathml(loss)
    assert len(found) == len(loss_latex(loss))
    assert all(read(line) is not None for line in found)


@given(full_losses() | losses(constants=ANY_CONSTANT, max_leaves=25))
def test_any_loss_with_the_parentheses_and_numbers_of_its_latex(loss: Loss) -> None:
    for line, latex in zip(loss_mathml(loss), loss_latex(loss), strict=True):
        elements = list(read(line).iter())
        assert sum(e.text == "(" and "fence" in e.attrib for e in elements) == latex.count(r"\left(")
        assert sum(e.tag == "mfrac" for e in elements) == latex.count(r"\frac")
        numbers = re.findall(r"\d+(?:\.\d+)?", re.sub(r"\\mathrm\{.*?\}", "", latex))
        assert [e.text for e in elements if e.tag == "mn"] == numbers


def test_the_deepest_loss_is_set() -> None:
    expression: Expression = variable("score")
    for number in range(99):
        expression = apply("pow", expression, variable("y_pred")) if number % 2 else apply("sqrt", expression)
    assert structure(read(to_mathml(expression))).count("√") == 50


@pytest.mark.parametrize(
    "latex", [r"\unheard{s}", "s}", "{s", r"\left(s", r"s\right)", r"\left(s}", "^2", r"\frac{s}", "ß"]
)
def test_other_latex_is_refused(latex: str) -> None:
    with pytest.raises(ValueError, match=r"LaTeX"):
        latex_to_mathml(latex)
