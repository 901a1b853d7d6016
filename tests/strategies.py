"""Hypothesis strategies for expressions and losses, built from the operator table."""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hypothesis import strategies as st

from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import GENERATOR_REAL, NEEDS, ROLES, Loss, check_name
from lossgen.language.operators import BATCH_TERMS, OPERATORS

SURFACE = tuple(name for name, row in OPERATORS.items() if row.surface)
"""Operators that people write."""

ANY_CONSTANT = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 3.985, 1e22, -1e22, 1e-7, 5e-324, 1.7976931348623157e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)
TAME_CONSTANT = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.985, 1e-8, -1e-3]),
    st.floats(-4.0, 4.0).map(lambda value: round(value, 3)),
)
EXPONENT = st.sampled_from([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 0.5, -0.5, 1.5]).map(constant)


def expressions(
    variables: Iterable[str] = ("y_real", "y_pred", "score"),
    constants: st.SearchStrategy[float] = TAME_CONSTANT,
    operators: Iterable[str] = SURFACE,
    max_leaves: int = 10,
    named: Mapping[str, float] = MappingProxyType({}),
) -> st.SearchStrategy[Expression]:
    """Expressions with operators of the table; powers mostly with the exponents that lowering tells apart."""
    names = tuple(operators)
    leaves = [variable(name) for name in variables] + [constant(value, name) for name, value in named.items()]
    leaf = st.one_of(st.sampled_from(leaves), constants.map(constant))

    def node(operand: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        def with_operands(name: str) -> st.SearchStrategy[Expression]:
            return st.tuples(*[operand] * OPERATORS[name].arity).map(lambda operands: apply(name, *operands))

        built = st.sampled_from(names).flatmap(with_operands)
        if "pow" in names:
            powers = st.tuples(operand, EXPONENT).map(lambda operands: apply("pow", *operands))
            return st.one_of(built, built, built, powers)
        return built

    return st.recursive(leaf, node, max_leaves=max_leaves)


def _may_be_named(name: str) -> bool:
    try:
        check_name(name)
    except Exception:  # noqa: BLE001
        return False
    return True


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,12}", fullmatch=True).filter(_may_be_named)


def losses(
    constants: st.SearchStrategy[float] = TAME_CONSTANT,
    max_leaves: int = 10,
    names: st.SearchStrategy[str] | None = None,
    notes: st.SearchStrategy[str] | None = None,
) -> st.SearchStrategy[Loss]:
    """Losses of both forms."""
    names = st.just("Drawn") if names is None else names
    notes = st.just("") if notes is None else notes
    label = expressions(constants=constants, max_leaves=max_leaves)
    role = expressions(("y_pred", "score"), constants, max_leaves=max(1, max_leaves // 2))
    roles = st.fixed_dictionaries(dict.fromkeys(ROLES, role))
    return st.one_of(
        st.builds(lambda name, form, note: Loss(name, label=form, note=note), names, label, notes),
        st.builds(lambda name, forms, note: Loss(name, roles=forms, note=note), names, roles, notes),
    )


NAMED = MappingProxyType({"smooth": 0.9, "lower": -2.5, "zero": 0.0})
"""Named constants of `full_losses`."""


def full_losses(max_leaves: int = 8) -> st.SearchStrategy[Loss]:
    """Losses with all that people may write: named constants, batch terms, a clause generator_real, needs."""
    needs = st.dictionaries(st.sampled_from(list(NEEDS)), st.sampled_from([0.001, 1.0, 10.0]), max_size=2)
    label = expressions(max_leaves=max_leaves, named=NAMED)
    clause = expressions(("y_pred", "score", *BATCH_TERMS), max_leaves=max_leaves, named=NAMED)
    roles = st.fixed_dictionaries(dict.fromkeys(ROLES, clause), optional={GENERATOR_REAL: clause})
    return st.one_of(
        st.builds(lambda form, needs: Loss("Drawn", label=form, needs=needs), label, needs),
        st.builds(lambda forms, needs: Loss("Drawn", roles=forms, needs=needs), roles, needs),
    )


def total_value(expression: Expression, score: float, y_real: float) -> float:
    """The expression's value straight from the operators' total functions, as the language defines it.

    No lowering: y_pred is sigmoid(score), the logarithms of y_pred and 1 - y_pred are logsigmoid, a power with a
    constant whole exponent is the textbook's, also where that is worked out first: x^square(1) is x.
    """
    if expression.is_constant:
        return expression.value
    if expression.is_variable:
        return {"score": score, "y_real": y_real, "y_pred": OPERATORS["sigmoid"].function(score)}[expression.head]
    function = OPERATORS[expression.head].function
    try:
        if expression == apply("log", variable("y_pred")):
            return OPERATORS["logsigmoid"].function(score)
        if expression == apply("log", apply("sub", constant(1.0), variable("y_pred"))):
            return OPERATORS["logsigmoid"].function(-score)
        operands = [total_value(operand, score, y_real) for operand in expression.operands]
        if expression.head == "pow" and not expression.operands[1].variables() and operands[1].is_integer():
            power = float(math.pow(operands[0], abs(operands[1])))
            return power if operands[1] >= 0.0 else OPERATORS["div"].function(1.0, power)
        return function(*operands)
    except (OverflowError, ValueError):
        return math.nan
