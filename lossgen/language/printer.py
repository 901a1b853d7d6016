"""Expressions and losses to text that parses back to the same, and to LaTeX."""

from collections.abc import Mapping

from lossgen.language.domain import enclosures
from lossgen.language.emission import ATOM, POWER, PRODUCT, UNARY, Code
from lossgen.language.expression import Expression, constant
from lossgen.language.interval import Interval
from lossgen.language.loss import Loss
from lossgen.language.lower import NotFiniteError, lower
from lossgen.language.operators import OPERATORS, VARIABLES


def format_constant(value: float) -> str:
    """The shortest text that reads back as `value`; whole numbers without a trailing .0."""
    text = repr(value)
    return text.removesuffix(".0")


def to_text(expression: Expression) -> str:
    """The expression in the loss language: `parse(to_text(x)) == x`."""
    return _text(expression).text


def _text(node: Expression) -> Code:
    if node.is_number:
        return Code(format_constant(node.value), UNARY if node.value < 0.0 else ATOM)
    if node.is_constant or node.is_variable:
        return Code(node.name or node.head)
    row = OPERATORS[node.head]
    operands = [_text(operand) for operand in node.operands]
    if row.symbol is None:
        return Code(f"{row.name}({', '.join(operand.text for operand in operands)})")
    if row.arity == 1:
        literal = node.operands[0].is_number  # -3 is a constant, -(3) its negation
        return Code("-" + (f"({operands[0].text})" if literal else operands[0].inside(UNARY)), UNARY)
    left, right = operands
    if row.precedence == POWER:
        return Code(f"{left.inside(ATOM)}^{right.inside(UNARY)}", POWER)
    return Code(f"{left.inside(row.precedence)} {row.symbol} {right.inside(row.precedence + 1)}", row.precedence)


def print_loss(loss: Loss) -> str:
    """The loss as a definition: a line a named constant, one for the label form or each role; no newline at its end."""
    lines = [f"const {name} = {format_constant(value)}" for name, value in loss.constants.items()]
    used = loss.variables()
    parameters = ", ".join(name for name in VARIABLES if name in used)
    head = f"loss {loss.name}({parameters})"
    if loss.label is not None:
        lines.append(f"{head} = {to_text(loss.label)}")
    else:
        lines += [f"{head}:", *(f"    {role}: {to_text(clause)}" for role, clause in loss.clauses.items())]
    if loss.needs:
        needs = ", ".join(f"{name}({format_constant(value)})" for name, value in loss.needs.items())
        lines.append(f"    needs: {needs}")
    return "\n".join(lines)


def formula(loss: Loss | str) -> str:
    """A loss, or a printed one, on one line and without its name."""
    text = loss if isinstance(loss, str) else print_loss(loss)
    lines = [line.strip() for line in text.splitlines()]
    head = next(i for i, line in enumerate(lines) if line.startswith("loss "))
    label = lines[head].partition(" = ")[2]
    return "; ".join([*([label] if label else []), *lines[head + 1 :], *lines[:head]])


def to_latex(expression: Expression) -> str:
    """The expression in LaTeX, with p for y_pred, y for y_real, s for score.

    Roots, logarithms and powers that are not whole are of magnitudes; the bars are left out where they say nothing.
    """
    return _latex(expression, enclosures(expression)).text


def _latex(node: Expression, intervals: Mapping[Expression, Interval]) -> Code:
    if node.name:
        return Code(_upright(node.name))
    if node.is_constant:
        mantissa, _, exponent = format_constant(node.value).partition("e")
        if exponent:
            return Code(rf"{mantissa} \cdot 10^{{{int(exponent)}}}", PRODUCT)
        return Code(mantissa, UNARY if node.value < 0.0 else ATOM)
    if node.is_variable:
        return Code(VARIABLES[node.head].latex)
    row = OPERATORS[node.head]
    codes = [_latex(operand, intervals) for operand in node.operands]
    if _of_magnitude(node) and intervals[node.operands[0]].lo < 0.0:
        codes[0] = Code(rf"\left|{codes[0].text}\right|")
    operands = []
    for code, inside in zip(codes, row.latex_inside, strict=False):
        operands.append(code.text if code.precedence >= inside else rf"\left({code.text}\right)")
    return Code(row.latex.format(*operands), row.latex_precedence or row.precedence)


def _of_magnitude(node: Expression) -> bool:
    if node.head == "pow":
        return not _is_whole(node.operands[1])
    return node.head in ("sqrt", "log", "real_pow")


def _is_whole(exponent: Expression) -> bool:
    """Whether lowering finds a whole number."""
    if any(node.is_variable or node.name for node in exponent.walk()):
        return False
    try:
        value = lower(exponent).value
    except NotFiniteError:
        return False
    return value == int(value)


def loss_latex(loss: Loss) -> list[str]:
    """One LaTeX equation for the label form, or one a role; then one a named constant."""
    if loss.label is not None:
        used = loss.label.variables()
        letters = ", ".join(row.latex for name, row in VARIABLES.items() if name in used)
        lines = [f"{f'L({letters})' if letters else 'L'} = {to_latex(loss.label)}"]
    else:
        lines = [rf"L_{_upright(role)} = {to_latex(clause)}" for role, clause in loss.clauses.items()]
    return lines + [f"{_upright(name)} = {to_latex(constant(value))}" for name, value in loss.constants.items()]


def _upright(name: str) -> str:
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"
