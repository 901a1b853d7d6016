"""The total functions in single precision, written so that a compiler turns each into vector instructions.

Straight-line arithmetic without a table or a call, for float32 alone: a literal of Python's is a float64 and would
widen all that it meets, so every constant is an `F`. A function is named as its double in `language/total.py` with an
f behind it, as C does, and gives the value and the partial derivatives at once, for they share most of their work; what
is not asked for a compiler leaves out.
exp, log, tanh, sin and cos follow the Cephes library (S. L. Moshier, 1984-1992: expf.c, logf.c, tanhf.c, sinf.c),
`tests/kernel/test_single.py` says how far each may be from the double: 0.5 units of the last place for arithmetic, at
most 1 for log, 1.6 for sin and cos, 3 for exp, sigmoid, softplus and tanh, all for results that are normal numbers. NaN
comes through everywhere: each comparison is written so that it does. The source text of these functions is copied into
`_dispatch.py`.
"""

import math

import numpy as np

F = np.float32
Pair = tuple[F, F]
Triple = tuple[F, F, F]

ZERO, HALF, ONE, TWO = F(0.0), F(0.5), F(1.0), F(2.0)
EPSF = F(1e-8)
EXP_MAXF = F(60.0)
EXP_MINF = F(-87.33)
"""Below, exp would leave the normal numbers; it is 0 there."""
INFF = F(math.inf)
ROUND = F(12582912.0)
"""1.5 * 2^23: adding it rounds to a whole number, which then stands in the lowest bits."""
ROUND64 = 6755399441055744.0
"""1.5 * 2^52, the same for a float64."""
LOG2E, LN2_HIGH, LN2_LOW = F(1.44269504088896341), F(0.693359375), F(-2.12194440e-4)
ROOT_HALF_BITS = 0x3F3504F3
PI_HALF, PI_HALF_REST = 1.5707963267948966, 6.123233995736766e-17


def divisorf(b: F) -> F:
    below = -EPSF if b > -EPSF else b
    above = EPSF if b < EPSF else b
    return below if b < ZERO else above


def magnitudef(a: F) -> F:
    m = abs(a)
    return EPSF if m < EPSF else m


def signf(a: F) -> F:
    return ONE if a > ZERO else (-ONE if a < ZERO else ZERO)


def exp_coref(a: F) -> F:
    """e^a for a <= 60."""
    x = EXP_MINF if a < EXP_MINF else a
    shifted = x * LOG2E + ROUND
    k = shifted - ROUND
    r = x - k * LN2_HIGH - k * LN2_LOW
    p = ((((F(1.9875691500e-4) * r + F(1.3981999507e-3)) * r + F(8.3334519073e-3)) * r + F(4.1665795894e-2)) * r
         + F(1.6666665459e-1)) * r + F(5.0000001201e-1)  # fmt: skip
    power = np.int32((F(shifted).view(np.int32) + 127) << 23).view(np.float32)
    return ZERO if a < EXP_MINF else (p * (r * r) + r + ONE) * power


def log_polynomialf(f: F) -> F:
    """log(1 + f) for sqrt(1/2) <= 1 + f <= sqrt(2)."""
    z = f * f
    p = ((((((((F(7.0376836292e-2) * f - F(1.1514610310e-1)) * f + F(1.1676998740e-1)) * f - F(1.2420140846e-1)) * f
            + F(1.4249322787e-1)) * f - F(1.6668057665e-1)) * f + F(2.0000714765e-1)) * f - F(2.4999993993e-1)) * f
         + F(3.3333331174e-1))  # fmt: skip
    return f + (p * f * z - HALF * z)


def log_coref(a: F) -> F:
    """log(a) for a normal number a > 0, and for infinity."""
    bits = F(a).view(np.int32)
    e = np.int32(np.int32(bits - ROOT_HALF_BITS) >> 23)
    f = np.int32(bits - np.int32(e << 23)).view(np.float32) - ONE
    k = F(e)
    result = log_polynomialf(f) + k * LN2_LOW + k * LN2_HIGH
    return result if a < INFF else a


def log1p_coref(u: F) -> F:
    """log(1 + u) for 0 <= u <= 1."""
    large = u > F(0.41421356)
    f = HALF * (u - ONE) if large else u
    return log_polynomialf(f) + (F(0.6931471805599453) if large else ZERO)


def addf(a: F, b: F) -> Triple:
    return a + b, ONE, ONE


def subf(a: F, b: F) -> Triple:
    return a - b, ONE, -ONE


def mulf(a: F, b: F) -> Triple:
    return a * b, b, a


def divf(a: F, b: F) -> Triple:
    r = ONE / divisorf(b)
    v = a / divisorf(b)
    return v, r, (-v * r if abs(b) > EPSF else ZERO)


def negf(a: F) -> Pair:
    return -a, -ONE


def int_powf(a: F, n: F) -> Triple:
    """For a whole n from 0 to 2048, by squaring."""
    bits = np.int32(n - ONE if n > ZERO else ZERO)
    below, square = ONE, a
    for _ in range(11):
        below = below * square if bits & 1 else below
        bits = np.int32(bits >> 1)
        square = square * square
    return (below * a if n > ZERO else ONE), n * below, ZERO


def real_powf(a: F, b: F) -> Triple:
    g = magnitudef(a)
    v = F(math.pow(g, b))
    return v, (b * F(math.pow(g, b - ONE)) * signf(a) if abs(a) > EPSF else ZERO), v * log_coref(g)


def squaref(a: F) -> Pair:
    return a * a, TWO * a


def sqrtf(a: F) -> Pair:
    v = F(math.sqrt(magnitudef(a)))
    return v, (HALF / v * signf(a) if abs(a) > EPSF else ZERO)


def expf(a: F) -> Pair:
    v = exp_coref(EXP_MAXF if a > EXP_MAXF else a)
    return v, (v if a < EXP_MAXF else ZERO)


def logf(a: F) -> Pair:
    return log_coref(magnitudef(a)), (ONE / a if abs(a) > EPSF else ZERO)


def absolutef(a: F) -> Pair:
    return abs(a), signf(a)


def reluf(a: F) -> Pair:
    return (ZERO if a <= ZERO else a), (ONE if a > ZERO else ZERO)


def sigmoidf(a: F) -> Pair:
    e = exp_coref(-abs(a))
    r = ONE / (ONE + e)
    return (r if a >= ZERO else e * r), e * r * r


def softplusf(a: F) -> Pair:
    e = exp_coref(-abs(a))
    return (ZERO if a < ZERO else a) + log1p_coref(e), (ONE if a >= ZERO else e) / (ONE + e)


def logsigmoidf(a: F) -> Pair:
    v, d = softplusf(-a)
    return -v, d


def bce_with_logitsf(a: F, b: F) -> Triple:
    e = exp_coref(-abs(a))
    s = (ONE if a >= ZERO else e) / (ONE + e)
    return (a * (ONE - b) if a > ZERO else -a * b) + log1p_coref(e), s - b, -a


def tanhf(a: F) -> Pair:
    m = abs(a)
    e = exp_coref(-TWO * m)
    r = ONE / (ONE + e)
    z = a * a
    small = ((((F(-5.70498872745e-3) * z + F(2.06390887954e-2)) * z - F(5.37397155531e-2)) * z
              + F(1.33314422036e-1)) * z - F(3.33332819422e-1)) * z * a + a  # fmt: skip
    large = (ONE - e) * r
    return (small if m < F(0.625) else (-large if a < ZERO else large)), F(4.0) * e * r * r


def waves(a: F) -> tuple[F, F]:
    """sin(a) and cos(a): exact to a few units where |a| < 1e9, and beyond some number within [-1, 1]."""
    x = np.float64(a)
    shifted = x * (2.0 / math.pi) + ROUND64
    k = shifted - ROUND64
    r = F(x - k * PI_HALF - k * PI_HALF_REST)
    r = ONE if r > ONE else (-ONE if r < -ONE else r)
    quarter = np.float64(shifted).view(np.int64) & 3
    z = r * r
    s = ((F(-1.9515295891e-4) * z + F(8.3321608736e-3)) * z - F(1.6666654611e-1)) * z * r + r
    c = ((F(2.443315711809948e-5) * z - F(1.388731625493765e-3)) * z + F(4.166664568298827e-2)) * z * z - HALF * z + ONE
    odd, back = quarter & 1, quarter & 2
    sin, cos = (c, -s) if odd else (s, c)
    return (-sin if back else sin), (-cos if back else cos)


def sinf(a: F) -> Pair:
    return waves(a)


def cosf(a: F) -> Pair:
    s, c = waves(a)
    return c, -s


def minimumf(a: F, b: F) -> Triple:
    left = ONE if a < b else (HALF if a == b else ZERO)
    right = ONE if b < a else (HALF if a == b else ZERO)
    return (a + b if a != a or b != b else (b if b < a else a)), left, right


def maximumf(a: F, b: F) -> Triple:
    left = ONE if a > b else (HALF if a == b else ZERO)
    right = ONE if b > a else (HALF if a == b else ZERO)
    return (a + b if a != a or b != b else (b if b > a else a)), left, right
