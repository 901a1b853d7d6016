"""Sums and products as chains of any length: numbers gathered, equal terms and factors collected, signs drawn out.

A chain reads as a person writes it: `a + b - c + 1`, `2 * a * b / c`. A guarded divisor stays apart from the others,
since the guard is its own; nothing is cancelled against it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from lossgen.language.domain import LARGEST_EXPONENT
from lossgen.language.expression import Expression, apply, constant
from lossgen.language.printer import to_text
from lossgen.language.total import EPS

_UNITS = 8
"""Numbers of a sum by which it is divided on trial."""


@dataclass
class Product:
    """number · factors / divisors, the divisors one by one."""

    number: float = 1.0
    factors: dict[Expression, int] = field(default_factory=dict)
    divisors: list[Expression] = field(default_factory=list)
    by: float = 1.0

    @classmethod
    def of(cls, node: Expression) -> "Product":
        found = cls()
        found._take(node)
        for base in [base for base in found.factors if base.head == "abs"]:
            (inner,) = base.operands
            if found.factors.get(inner, 1) % 2 == 0:  # |x| x^2 is |x|^3
                found.factors[base] += found.factors.pop(inner)
        return found

    def _take(self, node: Expression) -> None:
        if node.is_number:
            self.number *= node.value
        elif node.head == "neg":
            self.number = -self.number
            self._take(node.operands[0])
        elif node.head == "mul":
            for operand in node.operands:
                self._take(operand)
        elif node.head == "div":
            self._take(node.operands[0])
            self._divide(node.operands[1])
        else:
            base, exponent = power_of(node)
            self.factors[base] = self.factors.get(base, 0) + exponent

    def _divide(self, divisor: Expression) -> None:
        if divisor.is_number and abs(divisor.value) >= EPS:
            self.by *= divisor.value
        else:
            self.divisors.append(divisor)

    def expression(self) -> Expression:
        """The chain, the minus of a negative number in front of it."""
        number, by = self.number, self.by
        if number == 0.0:
            return constant(0.0)
        if by < 0.0:
            number, by = -number, -by
        factors = self.factors
        if number < 0.0 and (turned := _turned(factors)) is not None:
            number, factors = -number, turned
        parts = [to_power(base, exponent) for base, exponent in factors.items()]
        if abs(number) != 1.0 and by != 1.0:
            number, by = number / by, 1.0
        negative = number < 0.0 and (parts or self.divisors) and number == -1.0
        number = -number if negative else number
        if number != 1.0 or not parts:
            parts.insert(0, constant(number))
        result = chained("mul", parts)
        for divisor in [*([constant(by)] if by != 1.0 else []), *self.divisors]:
            result = apply("div", result, divisor)
        return apply("neg", result) if negative else result

    @property
    def body(self) -> "Product":
        """The product without its number."""
        return Product(1.0, self.factors, self.divisors, abs(self.by))

    @property
    def coefficient(self) -> float:
        return self.number if self.by > 0.0 else -self.number


def _turned(factors: dict[Expression, int]) -> dict[Expression, int] | None:
    """The factors with the first difference turned round, so that their product has the other sign."""
    for base, exponent in factors.items():
        if base.head == "sub" and exponent % 2:
            turned = apply("sub", base.operands[1], base.operands[0])
            if turned not in factors:
                return {turned if key == base else key: power for key, power in factors.items()}
    return None


def tidy_product(node: Expression) -> Expression:
    """The product, quotient or negative as a chain."""
    if node.head == "neg" and node.operands[0].head == "sub":
        return apply("sub", node.operands[0].operands[1], node.operands[0].operands[0])
    return _unit_term(Product.of(node))


def _unit_term(product: Product) -> Expression:
    """The product with its sum divided by one of the sum's own numbers, where that is shorter.

    (3 * x + 2 * y) / 4 is (1.5 * x + y) / 2: a form of whole numbers, as sympy likes it, back in decimals.
    """
    best = product.expression()
    if abs(product.number) == 1.0 and abs(product.by) == 1.0:
        return best
    for base, exponent in product.factors.items():
        if base.head not in ("add", "sub") or exponent != 1:
            continue
        numbers = dict.fromkeys(abs(Product.of(term).number) for _, term in _terms(base) if not term.is_number)
        for number in list(numbers)[:_UNITS]:
            if number in (0.0, 1.0):
                continue
            divided = _divided(base, number)
            if divided in product.factors:
                continue
            factors = {divided if key == base else key: power for key, power in product.factors.items()}
            turned = Product(product.number, factors, product.divisors, product.by)
            if abs(product.number) == 1.0:
                turned.by /= number
            else:
                turned.number *= number
            best = min(best, turned.expression(), key=_length)
    return best


def _divided(node: Expression, number: float) -> Expression:
    """node / number with the division done where a number stands."""
    if node.is_number:
        return constant(node.value / number)
    if node.head in ("neg", "add", "sub"):
        return apply(node.head, *(_divided(operand, number) for operand in node.operands))
    product = Product.of(node)
    if product.number in (1.0, -1.0):
        for base, exponent in product.factors.items():
            if base.head in ("add", "sub") and exponent == 1:
                inner = _divided(base, number)
                if inner.size <= base.size and inner not in product.factors:
                    product.factors = {inner if key == base else key: n for key, n in product.factors.items()}
                    return product.expression()
    product.number /= number
    return product.expression()


def _length(expression: Expression) -> tuple[int, int]:
    return expression.size, len(to_text(expression))


Terms = list[tuple[bool, Expression]]
"""Terms of a sum, each with whether it is subtracted."""


def tidy_sum(node: Expression) -> Expression:
    """The sum or difference as a chain: terms with a plus first, the number last, common factors drawn out."""
    terms = _collected(node)
    return _shared(terms) or _added(terms)


def _collected(node: Expression) -> Terms:
    """The terms of a sum, with those that differ by a number only in one."""
    coefficients: dict[Expression, float] = {}
    number = 0.0
    for sign, term in _terms(node):
        if term.is_number:
            number += sign * term.value
            continue
        product = Product.of(term)
        body = product.body.expression()
        coefficients[body] = coefficients.get(body, 0.0) + sign * product.coefficient
    terms = [(value < 0.0, _scaled(abs(value), body)) for body, value in coefficients.items() if value != 0.0]
    if number != 0.0 or not terms:
        terms.append((number < 0.0, constant(abs(number))))
    return terms


def _terms(node: Expression, sign: float = 1.0) -> list[tuple[float, Expression]]:
    if node.head == "neg":
        return _terms(node.operands[0], -sign)
    if node.head in ("add", "sub"):
        left, right = node.operands
        return _terms(left, sign) + _terms(right, sign if node.head == "add" else -sign)
    return [(sign, node)]


def _scaled(value: float, body: Expression) -> Expression:
    """value · body, in the form that a product has."""
    return body if value == 1.0 else Product.of(apply("mul", constant(value), body)).expression()


def _added(terms: Terms) -> Expression:
    """The terms as one chain."""
    plus = [term for minus, term in terms if not minus]
    total = chained("add", plus or [term for _, term in terms])
    if not plus:
        return apply("neg", total)
    for minus, term in terms:
        if minus:
            total = apply("sub", total, term)
    return total


def _shared(terms: Terms) -> Expression | None:
    """The sum with the factor, or divisor, drawn out that saves most, and so on; None where none saves any."""
    splits = [_splits(term) for _, term in terms]
    least, best = _added(terms).size, None
    for way, shared in dict.fromkeys(key for found in splits for key in found):
        inside = [(minus, s[way, shared]) for (minus, _), s in zip(terms, splits, strict=True) if (way, shared) in s]
        outside = [term for term, s in zip(terms, splits, strict=True) if (way, shared) not in s]
        if len(inside) < 2:
            continue
        gathered = _added(inside)
        size = _added([*outside, (False, apply(way, _added(_collected(gathered)), shared))]).size
        if size < least:
            least, best = size, (way, shared, gathered, outside)
    if best is None:
        return None
    way, shared, gathered, outside = best
    grouped = tidy_product(apply(way, tidy_sum(gathered), shared))
    return tidy_sum(_added([*outside, (False, grouped)])) if outside else grouped


def _splits(term: Expression) -> dict[tuple[str, Expression], Expression]:
    """The ways to take a term apart, as rest · shared or rest / shared: the rest by ("mul" or "div", shared)."""
    product = Product.of(term)
    found = {}
    if product.number not in (1.0, -1.0):
        number = constant(abs(product.number))
        rest = Product(product.number / number.value, product.factors, product.divisors, product.by)
        found["mul", number] = rest.expression()
    for base, exponent in product.factors.items():
        for taken in {1, exponent}:
            factors = {**product.factors, base: exponent - taken}
            if exponent == taken:
                del factors[base]
            rest = Product(product.number, factors, product.divisors, product.by)
            found["mul", to_power(base, taken)] = rest.expression()
    for i, divisor in enumerate(product.divisors):
        others = product.divisors[:i] + product.divisors[i + 1 :]
        rest = Product(product.number, product.factors, others, product.by)
        found.setdefault(("div", divisor), rest.expression())
    return found


def chained(head: str, parts: list[Expression]) -> Expression:
    """The parts joined from left to right."""
    first, *others = parts
    for part in others:
        first = apply(head, first, part)
    return first


def power_of(node: Expression) -> tuple[Expression, int]:
    """Base and exponent of a power with a positive whole exponent; otherwise the node itself and 1."""
    if node.head == "square":
        return node.operands[0], 2
    if node.head == "pow" and node.operands[1].is_number:
        n = node.operands[1].value
        if n == int(n) and 0 < n <= LARGEST_EXPONENT:
            return node.operands[0], int(n)
    return node, 1


def to_power(base: Expression, n: int) -> Expression:
    """base^n for a whole n > 0, as people write it."""
    if n == 1:
        return base
    return apply("square", base) if n == 2 else apply("pow", base, constant(float(n)))


def even(name: str) -> Callable[[Expression], Expression]:
    """Rule of a function that forgets its operand's sign."""

    def rule(a: Expression) -> Expression:
        return apply(name, unsigned(a))

    return rule


def unsigned(a: Expression) -> Expression:
    """An expression of the same magnitude, without the minus, the negative number or the abs in front of it."""
    if a.head in ("neg", "abs"):
        return a.operands[0]
    if a.head in ("mul", "div"):
        product = Product.of(a)
        if product.coefficient < 0.0:
            return Product(abs(product.number), product.factors, product.divisors, abs(product.by)).expression()
    return a
