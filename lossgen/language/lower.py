"""The stable form that kernel and emitters share.

Lowering is part of the language's definition. It says what y_pred is (sigmoid(score), not clipped), that log(y_pred)
and log(1 - y_pred) *are* logsigmoid(±score), without a guard, and which of its two forms a power has. Binary
cross-entropy, however it is written, becomes the one operator that every framework has for it. It also folds
constants, so that no operator is left with constant operands only, unless they have names: those stay to be tuned,
and as exponents they are real ones. The target is put in afterwards, so that a loss means the same whether its target
is a number or a tensor.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from lossgen.errors import InputError
from lossgen.language.domain import LARGEST_EXPONENT, enclose, realistic
from lossgen.language.expression import Expression, apply, constant, variable
from lossgen.language.loss import Loss
from lossgen.language.operators import BATCH_TERMS, OPERATORS

REAL_TARGET, FAKE_TARGET = 1.0, 0.0
_FINITE = 1e30  # a bound that float32 holds, with room


Known = defaultdict[str, dict[Expression, Expression]]
"""What each step of lowering has made of expressions so far: losses that share most parts are lowered fast."""


class NotFiniteError(InputError):
    """A constant part of a loss overflows."""


@dataclass(frozen=True)
class LoweredLoss:
    """A loss in stable form.

    Attributes:
        roles: expression in `score` and the batch means, by role.
        label: expression in `score` and `y_real`; for a role-form loss y_real·real + (1 - y_real)·fake, and None
            where these compare the images of a batch with each other.
        has_batch_terms: whether a role looks at a batch mean.
    """

    roles: Mapping[str, Expression]
    label: Expression | None
    has_batch_terms: bool = False

    def at_means(self, mean_real: float = 0.0, mean_fake: float = 0.0) -> "LoweredLoss":
        """The loss with numbers in place of the batch means: roles in `score` alone."""
        if not self.has_batch_terms:
            return self
        means = {"mean_real": mean_real, "mean_fake": mean_fake}
        return LoweredLoss({role: put(e, means) for role, e in self.roles.items()}, self.label)


def lower_loss(loss: Loss, known: Known | None = None) -> LoweredLoss:
    """The stable form of a loss.

    Args:
        loss: the loss.
        known: `Known(dict)`, handed from one loss to the next like it.

    Raises:
        NotFiniteError: a constant part is not a finite number.
    """
    known = Known(dict) if known is None else known
    if loss.label is not None:
        label = loss.label.map(_lower_node, known["lower"])
        real, fake = (_put(label, {"y_real": at}, known[f"at {at}"]) for at in (REAL_TARGET, FAKE_TARGET))
        return LoweredLoss({"real": real, "fake": fake, "generator": real}, label)
    roles = {role: expression.map(_lower_node, known["lower"]) for role, expression in loss.clauses.items()}
    has_batch_terms = bool(loss.variables() & set(BATCH_TERMS))
    if (roles["real"].variables() | roles["fake"].variables()) & set(BATCH_TERMS):
        return LoweredLoss(roles, None, has_batch_terms)
    y_real = variable("y_real")
    label = apply(
        "add",
        apply("mul", y_real, roles["real"]),
        apply("mul", apply("sub", constant(1.0), y_real), roles["fake"]),
    )
    return LoweredLoss(roles, label.map(fold, known["fold"]), has_batch_terms)


def lower(expression: Expression) -> Expression:
    """The stable form of one expression."""
    return expression.map(_lower_node)


def at_target(lowered: Expression, target: float) -> Expression:
    """The lowered expression for one value of y_real, with its constants folded."""
    return put(lowered, {"y_real": target})


def put(lowered: Expression, values: Mapping[str, float]) -> Expression:
    """The lowered expression with numbers in place of variables, by name, and its constants folded."""
    return _put(lowered, values, {})


def _put(lowered: Expression, values: Mapping[str, float], known: dict[Expression, Expression]) -> Expression:
    if not lowered.variables() & set(values):
        return lowered
    return lowered.map(lambda node: constant(values[node.head]) if node.head in values else fold(node), known)


_ZERO, _ONE = constant(0.0), constant(1.0)
_PROBABILITY = apply("sigmoid", variable("score"))
_COMPLEMENT = apply("sigmoid", apply("neg", variable("score")))


def _lower_node(node: Expression) -> Expression:
    if node.head == "y_pred":
        return _PROBABILITY
    if node.head == "pow":
        return _lower_power(*node.operands)
    node = fold(node)
    if node.head == "sub" and node.operands == (_ONE, _PROBABILITY):
        return _COMPLEMENT
    if node.head == "log" and node.operands[0] in (_PROBABILITY, _COMPLEMENT):
        return apply("logsigmoid", *node.operands[0].operands)
    if node.head == "neg":
        return _negated_log(node.operands[0]) or node
    if node.head in ("add", "sub"):
        return _cross_entropy(node) or node
    return node


def _negated_log(node: Expression) -> Expression | None:
    """-node without the minus where that stands before logarithms of probabilities only: -logsigmoid(x) is
    softplus(-x), and so are sums of such, weighted or not; None for any other expression."""
    if node.head == "logsigmoid":
        return apply("softplus", fold(apply("neg", *node.operands)))
    if node.head == "mul":
        left, right = node.operands
        if (negated := _negated_log(right)) is not None:
            return apply("mul", left, negated)
        if (negated := _negated_log(left)) is not None:
            return apply("mul", negated, right)
    if node.head == "add":
        parts = [_negated_log(operand) for operand in node.operands]
        if all(part is not None for part in parts):
            return apply("add", *(part for part in parts if part is not None))
    return None


def _cross_entropy(node: Expression) -> Expression | None:
    """±(t·logsigmoid(x) + (1 - t)·logsigmoid(-x)), for a target t, as the one operator that frameworks have for it."""
    left, right = node.operands
    one, other = _weighted_log(left), _weighted_log(right)
    if one is None or other is None:
        return None
    sign = one[0]
    if other[0] != (sign if node.head == "add" else -sign):
        return None
    for (_, t, x), (_, rest, opposite) in ((one, other), (other, one)):
        mirrored = opposite == fold(apply("neg", x))
        if mirrored and rest == apply("sub", constant(1.0), t) and t.variables() == {"y_real"}:
            loss = apply("bce_with_logits", x, t)
            return loss if sign < 0 else apply("neg", loss)
    return None


def _weighted_log(node: Expression) -> tuple[int, Expression, Expression] | None:
    """Sign, weight and x of a term ±weight·logsigmoid(x), None for any other term."""
    sign = 1
    if node.head == "neg":
        sign, node = -1, node.operands[0]
    if node.head != "mul":
        return None
    for weight, log in (node.operands, node.operands[::-1]):
        if log.head == "logsigmoid":
            if weight.head == "neg":
                sign, weight = -sign, weight.operands[0]
            return sign, weight, log.operands[0]
        if log.head == "softplus":  # it is -logsigmoid(-x)
            return -sign, weight, fold(apply("neg", *log.operands))
    return None


def _lower_power(base: Expression, exponent: Expression) -> Expression:
    """Textbook power for a constant whole exponent (by division where it is negative), else that of max(|base|, ε)."""
    n = exponent.value
    if not exponent.is_number or n != int(n) or abs(n) > LARGEST_EXPONENT:
        return fold(apply("real_pow", base, exponent))
    power = fold(apply("int_pow", base, constant(abs(n))))
    return power if n >= 0.0 else fold(apply("div", constant(1.0), power))


def fold(node: Expression) -> Expression:
    """The node with constant operands evaluated and neutral elements dropped; a node that stays is returned as is."""
    if not node.operands:
        return node
    if all(operand.is_number for operand in node.operands):
        return constant(_evaluate(node))
    if node.head in ("sqrt", "real_pow", "abs") and node.operands[0].head == "neg":  # of a magnitude
        node = apply(node.head, *node.operands[0].operands, *node.operands[1:])
    return _without_neutral(node) if len(node.operands) == 2 else _without_double_negation(node)


def _evaluate(node: Expression) -> float:
    try:
        value = OPERATORS[node.head].function(*(operand.value for operand in node.operands))
    except (OverflowError, ValueError):
        value = float("inf")
    if value - value != 0.0:
        raise NotFiniteError(f"a constant part is not a finite number: {node!r}")
    return value


def _without_double_negation(node: Expression) -> Expression:
    inner = node.operands[0]
    return inner.operands[0] if node.head == inner.head == "neg" else node


def _without_neutral(node: Expression) -> Expression:
    left, right = node.operands
    zero, one = _ZERO, _ONE
    match node.head:
        case "add":
            return right if left == zero else left if right == zero else node
        case "sub":
            return left if right == zero else apply("neg", right) if left == zero else node
        case "mul" if left == one or right == one:
            return right if left == one else left
        case "mul" if zero in node.operands:
            return zero if _cannot_overflow(left) and _cannot_overflow(right) else node
        case "div" if right == one:
            return left
        case "div" if left == zero:
            return zero if _cannot_overflow(right) else node
        case "bce_with_logits" if right.is_number:
            return _at_number(left, right.value)
        case "int_pow" if right == one:
            return left
        case "int_pow" if right == zero:
            return one if _cannot_overflow(left) else node
    return node


def _at_number(score: Expression, target: float) -> Expression:
    """Binary cross-entropy for one target: of a score for 0, of its negative for 1, between them for others."""
    if target in (FAKE_TARGET, REAL_TARGET):
        return apply("softplus", score if target == FAKE_TARGET else fold(apply("neg", score)))
    rest = apply("mul", constant(target), score)
    return fold(apply("sub", apply("softplus", score), rest))


def _cannot_overflow(expression: Expression) -> bool:
    """Whether the value stays finite, in float32 too, in every realistic training."""
    interval = enclose(expression, realistic(expression))
    return interval.lo > -_FINITE and interval.hi < _FINITE
