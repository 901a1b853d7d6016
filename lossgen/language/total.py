"""The total functions that the operators stand for, and their partial derivatives, one scalar at a time.

Each is defined, without exception, for all finite arguments. A guard clamps and never shifts: where it cannot act,
the function is exactly the textbook's. At kinks a derivative takes the value that torch's autograd gives: 0 where what
is clamped is the bound itself (as in torch 2.15; earlier ones pass a gradient there). The source text of these
functions is copied into `lossgen/kernel/_dispatch.py`, so they use `math` and each other only.
"""

import math

EPS = 1e-8
"""Smallest magnitude that a divisor, a logarithm's argument or a root's argument is clamped to."""

EXP_MAX = 60.0
"""Largest argument of the exponential."""


def divisor(b: float) -> float:
    """±max(|b|, EPS), with the sign of b, plus for zero."""
    if b < 0.0:
        return min(b, -EPS)
    return max(b, EPS) if b == b else b


def magnitude(a: float) -> float:
    """max(|a|, EPS)."""
    m = abs(a)
    return max(m, EPS) if m == m else m


def sign(a: float) -> float:
    """-1, 0 or 1."""
    return 1.0 if a > 0.0 else (-1.0 if a < 0.0 else 0.0)


def add(a: float, b: float) -> float:
    return a + b


def sub(a: float, b: float) -> float:
    return a - b


def mul(a: float, b: float) -> float:
    return a * b


def div(a: float, b: float) -> float:
    return a / divisor(b)


def d_div_a(a: float, b: float) -> float:
    return 1.0 / divisor(b)


def d_div_b(a: float, b: float) -> float:
    g = divisor(b)
    return -a / (g * g) if abs(b) > EPS else 0.0


def neg(a: float) -> float:
    return -a


def int_pow(a: float, n: float) -> float:
    """a^n for a constant integer n >= 0."""
    return float(math.pow(a, n))


def d_int_pow(a: float, n: float) -> float:
    return n * math.pow(a, n - 1.0) if n != 0.0 else 0.0


def real_pow(a: float, b: float) -> float:
    """max(|a|, EPS)^b."""
    return float(math.pow(magnitude(a), b))


def d_real_pow_a(a: float, b: float) -> float:
    return b * math.pow(magnitude(a), b - 1.0) * sign(a) if abs(a) > EPS else 0.0


def d_real_pow_b(a: float, b: float) -> float:
    g = magnitude(a)
    return math.pow(g, b) * math.log(g)


def square(a: float) -> float:
    return a * a


def d_square(a: float) -> float:
    return 2.0 * a


def sqrt(a: float) -> float:
    return math.sqrt(magnitude(a))


def d_sqrt(a: float) -> float:
    return 0.5 / math.sqrt(abs(a)) * sign(a) if abs(a) > EPS else 0.0


def exp(a: float) -> float:
    return math.exp(min(a, EXP_MAX)) if a == a else a


def d_exp(a: float) -> float:
    return math.exp(a) if a < EXP_MAX else 0.0


def log(a: float) -> float:
    return math.log(magnitude(a))


def d_log(a: float) -> float:
    return 1.0 / a if abs(a) > EPS else 0.0


def absolute(a: float) -> float:
    return abs(a)


def relu(a: float) -> float:
    return a if a > 0.0 or a != a else 0.0


def d_relu(a: float) -> float:
    return 1.0 if a > 0.0 else 0.0


def sigmoid(a: float) -> float:
    if a >= 0.0:
        return 1.0 / (1.0 + math.exp(-a))
    e = math.exp(a)
    return e / (1.0 + e)


def d_sigmoid(a: float) -> float:
    return sigmoid(a) * sigmoid(-a)


def softplus(a: float) -> float:
    return max(a, 0.0) + math.log1p(math.exp(-abs(a)))


def d_softplus(a: float) -> float:
    return sigmoid(a)


def logsigmoid(a: float) -> float:
    return -softplus(-a)


def d_logsigmoid(a: float) -> float:
    return sigmoid(-a)


def bce_with_logits(a: float, b: float) -> float:
    return (a * (1.0 - b) if a > 0.0 else -a * b) + math.log1p(math.exp(-abs(a)))


def d_bce_with_logits_a(a: float, b: float) -> float:
    return sigmoid(a) - b


def d_bce_with_logits_b(a: float, b: float) -> float:
    return -a


def tanh(a: float) -> float:
    return math.tanh(a)


def d_tanh(a: float) -> float:
    t = math.tanh(a)
    return 1.0 - t * t


def sin(a: float) -> float:
    return math.sin(a)


def d_sin(a: float) -> float:
    return math.cos(a)


def cos(a: float) -> float:
    return math.cos(a)


def d_cos(a: float) -> float:
    return -math.sin(a)


def minimum(a: float, b: float) -> float:
    return min(a, b) if a == a and b == b else a + b


def d_minimum_a(a: float, b: float) -> float:
    return 1.0 if a < b else (0.5 if a == b else 0.0)


def d_minimum_b(a: float, b: float) -> float:
    return d_minimum_a(b, a)


def maximum(a: float, b: float) -> float:
    return max(a, b) if a == a and b == b else a + b


def d_maximum_a(a: float, b: float) -> float:
    return 1.0 if a > b else (0.5 if a == b else 0.0)


def d_maximum_b(a: float, b: float) -> float:
    return d_maximum_a(b, a)


def one(a: float, b: float) -> float:
    return 1.0


def minus_one(a: float, b: float) -> float:
    return -1.0


def zero(a: float, b: float) -> float:
    return 0.0


def first(a: float, b: float) -> float:
    return a


def second(a: float, b: float) -> float:
    return b


def negative_unit(a: float) -> float:
    return -1.0
