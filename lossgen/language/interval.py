"""Closed intervals of the extended reals, and how each operator maps them.

Every rule returns an enclosure: for operands inside the given intervals the operator's value, where it is a number,
lies inside the returned one. (What overflows to inf - inf is not a number; the screen rejects it by running it.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from lossgen.language.total import EPS, EXP_MAX

INF = math.inf


@dataclass(frozen=True)
class Interval:
    """The closed interval [lo, hi]; either end may be infinite."""

    lo: float
    hi: float

    def __contains__(self, value: float) -> bool:
        return self.lo <= value <= self.hi


REALS = Interval(-INF, INF)


def _hull(*values: float) -> Interval:
    """The interval of the values, and everything where one of them is undefined (inf - inf, 0 * inf)."""
    if any(math.isnan(v) for v in values):
        return REALS
    return Interval(min(values), max(values))


def _times(x: float, y: float) -> float:
    """Product of two ends, where an infinite end is a bound that finite values approach: 0 * inf is 0."""
    return 0.0 if x == 0.0 or y == 0.0 else x * y


def add(a: Interval, b: Interval) -> Interval:
    return _hull(a.lo + b.lo, a.hi + b.hi)


def sub(a: Interval, b: Interval) -> Interval:
    return _hull(a.lo - b.hi, a.hi - b.lo)


def mul(a: Interval, b: Interval) -> Interval:
    return _hull(*(_times(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)))


def div(a: Interval, b: Interval) -> Interval:
    """a / ±max(|b|, EPS)."""
    pieces = []
    if b.hi >= 0.0:
        pieces += [max(b.lo, EPS), max(b.hi, EPS)]
    if b.lo < 0.0:
        pieces += [min(b.lo, -EPS), min(b.hi, -EPS)]
    return _hull(*(0.0 if math.isinf(y) else x / y for x in (a.lo, a.hi) for y in pieces))


def neg(a: Interval) -> Interval:
    return Interval(-a.hi, -a.lo)


def absolute(a: Interval) -> Interval:
    if a.lo >= 0.0:
        return a
    if a.hi <= 0.0:
        return neg(a)
    return Interval(0.0, max(-a.lo, a.hi))


def _pow(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -INF if base < 0.0 and exponent % 2 == 1 else INF


def int_pow(a: Interval, n: Interval) -> Interval:
    exponent = n.lo
    if exponent == 0.0:
        return Interval(1.0, 1.0)
    if exponent % 2 == 1:
        return Interval(_pow(a.lo, exponent), _pow(a.hi, exponent))
    m = absolute(a)
    return Interval(_pow(m.lo, exponent), _pow(m.hi, exponent))


def magnitude(a: Interval) -> Interval:
    m = absolute(a)
    return Interval(max(m.lo, EPS), max(m.hi, EPS))


def real_pow(a: Interval, b: Interval) -> Interval:
    m = magnitude(a)
    return _hull(*(_pow(x, y) for x in (m.lo, m.hi, 1.0) if x in m for y in (b.lo, b.hi)))


def square(a: Interval) -> Interval:
    m = absolute(a)
    return Interval(m.lo * m.lo, m.hi * m.hi)


def sqrt(a: Interval) -> Interval:
    m = magnitude(a)
    return Interval(math.sqrt(m.lo), math.sqrt(m.hi))


def exp(a: Interval) -> Interval:
    return Interval(math.exp(min(a.lo, EXP_MAX)), math.exp(min(a.hi, EXP_MAX)))


def log(a: Interval) -> Interval:
    m = magnitude(a)
    return Interval(math.log(m.lo), math.log(m.hi))


def minimum(a: Interval, b: Interval) -> Interval:
    return Interval(min(a.lo, b.lo), min(a.hi, b.hi))


def maximum(a: Interval, b: Interval) -> Interval:
    return Interval(max(a.lo, b.lo), max(a.hi, b.hi))


def bounded_by(lo: float, hi: float) -> Callable[[Interval], Interval]:
    """Rule of an operator whose values lie in [lo, hi] whatever its operand."""
    return lambda a: Interval(lo, hi)


def increasing(f: Callable[[float], float], below: float, above: float) -> Callable[[Interval], Interval]:
    """Rule of an increasing operator with the limits `below` at -inf and `above` at +inf."""

    def at(x: float) -> float:
        return below if x == -INF else above if x == INF else f(x)

    def rule(a: Interval) -> Interval:
        return Interval(at(a.lo), at(a.hi))

    return rule


def bce_with_logits(a: Interval, t: Interval) -> Interval:
    """a * (1 - t) or -a * t, by the sign of a, plus log(1 + exp(-|a|)): linear in each operand on either side of 0."""
    linear = [_times(x, 1.0 - y) if x > 0.0 else -_times(x, y) for x in (a.lo, a.hi) for y in (t.lo, t.hi)]
    away = absolute(a)
    return add(_hull(*linear, *([0.0] if 0.0 in a else [])), Interval(_log1p_exp(-away.hi), _log1p_exp(-away.lo)))


def _log1p_exp(x: float) -> float:
    return math.log1p(math.exp(x))
