"""The operator table: one row an operator, and everything that any room wants to know of it.

Parser, printer, kernel, emitters, sympy bridge and tests are driven by this table; nothing about an operator is
said anywhere else. To add an operator: its total function and partial derivatives in `total.py`, the same in single
precision in `kernel/single.py`, its enclosure in `interval.py`, a row here, and `make dispatch`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lossgen.language import emission, interval, total
from lossgen.language.emission import ATOM, POWER, PRODUCT, SUM, UNARY, Emit, call, infix, of_magnitude
from lossgen.language.interval import INF, REALS, Interval
from lossgen.language.total import EPS, EXP_MAX


@dataclass(frozen=True)
class Operator:
    """One row of the table.

    Attributes:
        name: as the loss language calls it (unless `symbol` is set) and as search spaces name it.
        arity: number of operands.
        function: the total function, on floats.
        partials: its derivative with respect to each operand.
        enclose: interval rule, from the operands' intervals to the value's.
        emit: rule for source text, the same for every target (see `emission.py`).
        latex: template with {0}, {1} for the operands; `latex_inside` is the precedence that operands need, and
            `latex_precedence` that of the result where it differs from the printed form's.
        sympy: the textbook's function in sympy, given the module and the operands.
        textbook: whether, for operands in these intervals, the total function is exactly the textbook's.
        symbol: infix or prefix symbol, None for a named function.
        precedence: of the printed form.
        commutative: whether the operands may be swapped.
        surface: False for the forms that lowering introduces and nobody writes.
    """

    name: str
    arity: int
    function: Callable[..., float]
    partials: tuple[Callable[..., float], ...]
    enclose: Callable[..., Interval]
    emit: Emit
    latex: str
    sympy: Callable[..., Any]
    textbook: Callable[..., bool] = lambda *operands: True
    latex_inside: tuple[int, ...] = (SUM, SUM)
    latex_precedence: int | None = None
    symbol: str | None = None
    precedence: int = ATOM
    commutative: bool = False
    surface: bool = True


def _above_eps(*operands: Interval) -> bool:
    return operands[0].lo >= EPS


_ROWS = (
    Operator(
        "add", 2, total.add, (total.one, total.one), interval.add, infix("+", SUM), "{0} + {1}",
        lambda s, a, b: a + b, latex_inside=(SUM, PRODUCT), symbol="+", precedence=SUM, commutative=True,
    ),
    Operator(
        "sub", 2, total.sub, (total.one, total.minus_one), interval.sub, infix("-", SUM), "{0} - {1}",
        lambda s, a, b: a - b, latex_inside=(SUM, PRODUCT), symbol="-", precedence=SUM,
    ),
    Operator(
        "mul", 2, total.mul, (total.second, total.first), interval.mul, infix("*", PRODUCT), r"{0} \cdot {1}",
        lambda s, a, b: a * b, latex_inside=(PRODUCT, UNARY), symbol="*", precedence=PRODUCT, commutative=True,
    ),
    Operator(
        "div", 2, total.div, (total.d_div_a, total.d_div_b), interval.div, emission.div, r"\frac{{{0}}}{{{1}}}",
        lambda s, a, b: a / b, textbook=lambda a, b: b.lo >= EPS or b.hi <= -EPS, symbol="/", precedence=PRODUCT,
        latex_precedence=POWER,
    ),
    Operator(
        "neg", 1, total.neg, (total.negative_unit,), interval.neg, emission.neg, "-{0}",
        lambda s, a: -a, latex_inside=(POWER,), symbol="-", precedence=UNARY,
    ),
    Operator(
        # Lowering decides which of the two forms below a power is; until then it is known to be nothing more.
        "pow", 2, total.real_pow, (total.d_real_pow_a, total.d_real_pow_b), lambda a, b: REALS, emission.real_pow,
        "{{{0}}}^{{{1}}}", lambda s, a, b: a**b, textbook=_above_eps, latex_inside=(ATOM, SUM), symbol="^",
        precedence=POWER,
    ),
    Operator(
        "int_pow", 2, total.int_pow, (total.d_int_pow, total.zero), interval.int_pow, emission.int_pow,
        "{{{0}}}^{{{1}}}", lambda s, a, b: a**b, latex_inside=(ATOM, SUM), surface=False,
    ),
    Operator(
        "real_pow", 2, total.real_pow, (total.d_real_pow_a, total.d_real_pow_b), interval.real_pow, emission.real_pow,
        "{{{0}}}^{{{1}}}", lambda s, a, b: a**b, textbook=_above_eps, latex_inside=(ATOM, SUM), surface=False,
    ),
    Operator(
        "square", 1, total.square, (total.d_square,), interval.square, call("square"), "{{{0}}}^{{2}}",
        lambda s, a: a**2, latex_inside=(ATOM,), latex_precedence=POWER,
    ),
    Operator(
        "sqrt", 1, total.sqrt, (total.d_sqrt,), interval.sqrt, of_magnitude("sqrt"), r"\sqrt{{{0}}}",
        lambda s, a: s.sqrt(a), textbook=_above_eps,
    ),
    Operator(
        "exp", 1, total.exp, (total.d_exp,), interval.exp, emission.exp, "e^{{{0}}}",
        lambda s, a: s.exp(a), textbook=lambda a: a.hi <= EXP_MAX, latex_precedence=POWER,
    ),
    Operator(
        "log", 1, total.log, (total.d_log,), interval.log, of_magnitude("log"), r"\log\left({0}\right)",
        lambda s, a: s.log(a), textbook=_above_eps,
    ),
    Operator(
        "abs", 1, total.absolute, (total.sign,), interval.absolute, call("abs"), r"\left|{0}\right|",
        lambda s, a: s.Abs(a),
    ),
    Operator(
        "relu", 1, total.relu, (total.d_relu,), lambda a: Interval(max(a.lo, 0.0), max(a.hi, 0.0)), call("relu"),
        r"\max\left(0, {0}\right)", lambda s, a: s.Max(0, a),
    ),
    Operator(
        "sigmoid", 1, total.sigmoid, (total.d_sigmoid,), interval.increasing(total.sigmoid, 0.0, 1.0),
        call("sigmoid"), r"\sigma\left({0}\right)", lambda s, a: 1 / (1 + s.exp(-a)),
    ),
    Operator(
        "softplus", 1, total.softplus, (total.d_softplus,), interval.increasing(total.softplus, 0.0, INF),
        call("softplus"), r"\operatorname{{softplus}}\left({0}\right)", lambda s, a: s.log(1 + s.exp(a)),
    ),
    Operator(
        "logsigmoid", 1, total.logsigmoid, (total.d_logsigmoid,), interval.increasing(total.logsigmoid, -INF, 0.0),
        call("logsigmoid"), r"\log\sigma\left({0}\right)", lambda s, a: -s.log(1 + s.exp(-a)),
    ),
    Operator(
        "tanh", 1, total.tanh, (total.d_tanh,), interval.increasing(total.tanh, -1.0, 1.0), call("tanh"),
        r"\tanh\left({0}\right)", lambda s, a: s.tanh(a),
    ),
    Operator(
        "sin", 1, total.sin, (total.d_sin,), interval.bounded_by(-1.0, 1.0), call("sin"),
        r"\sin\left({0}\right)", lambda s, a: s.sin(a),
    ),
    Operator(
        "cos", 1, total.cos, (total.d_cos,), interval.bounded_by(-1.0, 1.0), call("cos"),
        r"\cos\left({0}\right)", lambda s, a: s.cos(a),
    ),
    Operator(
        "min", 2, total.minimum, (total.d_minimum_a, total.d_minimum_b), interval.minimum, call("min"),
        r"\min\left({0}, {1}\right)", lambda s, a, b: s.Min(a, b), commutative=True,
    ),
    Operator(
        "max", 2, total.maximum, (total.d_maximum_a, total.d_maximum_b), interval.maximum, call("max"),
        r"\max\left({0}, {1}\right)", lambda s, a, b: s.Max(a, b), commutative=True,
    ),
    Operator(
        "bce_with_logits", 2, total.bce_with_logits, (total.d_bce_with_logits_a, total.d_bce_with_logits_b),
        interval.bce_with_logits, call("bce_with_logits"), r"\operatorname{{BCE}}\left({0}, {1}\right)",
        lambda s, a, b: s.log(1 + s.exp(a)) - a * b, surface=False,
    ),
)  # fmt: skip

OPERATORS: Mapping[str, Operator] = MappingProxyType({row.name: row for row in _ROWS})
INFIX: Mapping[str, Operator] = MappingProxyType({row.symbol: row for row in _ROWS if row.symbol and row.arity == 2})
FUNCTIONS: Mapping[str, Operator] = MappingProxyType(
    {row.name: row for row in _ROWS if row.surface and row.symbol is None}
)


@dataclass(frozen=True)
class Variable:
    """A variable of the loss language: its domain, its LaTeX, and what it is."""

    name: str
    domain: Interval
    latex: str
    meaning: str


VARIABLES: Mapping[str, Variable] = MappingProxyType(
    {
        "y_real": Variable("y_real", Interval(0.0, 1.0), "y", "the target: 1 for real, 0 for fake"),
        "y_pred": Variable("y_pred", Interval(0.0, 1.0), "p", "the discriminator's probability, sigmoid(score)"),
        "score": Variable("score", REALS, "s", "the raw discriminator output"),
        "mean_real": Variable(
            "mean_real", REALS, r"\bar{s}_\mathrm{real}", "mean of the raw scores of the batch's real images"
        ),
        "mean_fake": Variable(
            "mean_fake", REALS, r"\bar{s}_\mathrm{fake}", "mean of the raw scores of the batch's generated images"
        ),
    }
)
BATCH_TERMS = ("mean_real", "mean_fake")
"""Variables that belong to a whole batch: for losses that people write; they are not searched."""
