"""Trees, canonical order, digests; losses as values."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import ANY_CONSTANT, expressions

from lossgen.errors import InputError
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import Loss, check_name
from lossgen.language.operators import OPERATORS
from lossgen.language.parser import parse_loss


def swapped(expression: Expression, choice: int) -> Expression:
    """The expression with operands of commutative operators swapped, by the bits of `choice`."""
    bits = iter(f"{choice:b}" * expression.size)

    def swap(node: Expression) -> Expression:
        if node.operands and OPERATORS[node.head].commutative and next(bits) == "1":
            return Expression(node.head, node.operands[::-1])
        return node

    return expression.map(swap)


@given(expressions(constants=ANY_CONSTANT, max_leaves=15), st.integers(1, 2**20))
def test_canonical_form_and_digest_do_not_depend_on_the_order_of_operands(expression: Expression, choice: int) -> None:
    other = swapped(expression, choice)
    assert other.canonical() == expression.canonical()
    assert other.digest() == expression.digest()
    assert expression.canonical().canonical() == expression.canonical()
    assert expression.canonical().size == expression.size


@given(expressions(max_leaves=6), expressions(max_leaves=6))
def test_digests_of_different_canonical_forms_differ(one: Expression, other: Expression) -> None:
    assert (one.digest() == other.digest()) == (one.canonical() == other.canonical())


@given(st.sampled_from([row for row in OPERATORS.values() if row.arity == 2 and row.surface]), expressions())
def test_operands_of_other_operators_stay_where_they_are(row: object, expression: Expression) -> None:
    assume(not row.commutative)  # type: ignore[attr-defined]
    one = apply(row.name, expression, constant(0.25))  # type: ignore[attr-defined]
    other = apply(row.name, constant(0.25), expression)  # type: ignore[attr-defined]
    assume(one != other)
    assert one.digest() != other.digest()


@given(expressions())
def test_walk_size_depth_and_variables(expression: Expression) -> None:
    nodes = list(expression.walk())
    assert len(nodes) == expression.size
    assert nodes[-1] is expression
    seen: list[Expression] = []
    for node in nodes:  # operands come before their operator
        assert all(any(operand is earlier for earlier in seen) for operand in node.operands)
        seen.append(node)
    assert expression.depth == 1 + max((operand.depth for operand in expression.operands), default=0)
    assert expression.variables() == {node.head for node in nodes if node.is_variable}


@given(expressions())
def test_map_and_substitute(expression: Expression) -> None:
    assert expression.map(lambda node: node) is expression
    replaced = expression.substitute("score", constant(2.0))
    assert "score" not in replaced.variables()
    assert replaced.size == expression.size
    if "score" not in expression.variables():
        assert replaced is expression


def test_zero_has_one_sign_and_structure_decides_equality() -> None:
    assert constant(-0.0) == constant(0.0)
    assert hash(constant(-0.0)) == hash(constant(0.0))
    assert constant(1.0) != constant(2.0)
    assert constant(1.0) != 1.0
    assert apply("add", variable("score"), constant(1.0)) != apply("sub", variable("score"), constant(1.0))
    assert apply("square", variable("score")) != apply("sqrt", variable("score"))


def test_what_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="max takes 2 operands, not 1"):
        apply("max", variable("score"))
    with pytest.raises(KeyError):
        variable("x")


@pytest.mark.parametrize(
    "name",
    ["", " ", "2nd", "a-b", "class", "None", "A.b", "A b", "A\n", "A;import os", "A:\n    pass", "Ä", "ﬁ", "a" * 65],
)
def test_names_that_no_class_can_have(name: str) -> None:
    with pytest.raises(InputError, match="not a class name") as caught:
        check_name(name)
    assert "\n" not in str(caught.value).replace(repr(name), "")
    with pytest.raises(InputError):
        Loss(name, label=variable("score"))


@pytest.mark.parametrize("name", ["A", "_", "_a1", "match", "a" * 64])
def test_names_that_a_class_can_have(name: str) -> None:
    assert Loss(name, label=variable("score")).name == name


def test_a_loss_has_one_form() -> None:
    score = variable("score")
    for label, roles in [
        (None, {}),
        (None, {"real": score, "fake": score}),
        (score, {"real": score}),
        (score, {"real": score, "fake": score, "generator": score}),
        (None, {"real": score, "fake": score, "generator": score, "judge": score}),
    ]:
        with pytest.raises(ValueError, match="either one label expression or one expression for each"):
            Loss("A", label=label, roles=roles)


def test_identity_of_a_loss() -> None:
    loss = parse_loss("# a note\nloss A(y_pred, y_real) = y_pred * y_real + 1")
    assert loss.renamed("A", "another note") == loss
    assert loss.renamed("B") != loss
    assert loss.renamed("B").note == loss.note
    assert loss.renamed("B").digest() == loss.digest()
    assert parse_loss("1 + y_real * y_pred").digest() == loss.digest()
    assert parse_loss("1 - y_real * y_pred").digest() != loss.digest()
    assert loss.size == 5
    assert loss.variables() == {"y_real", "y_pred"}
