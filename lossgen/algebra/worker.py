"""`python -m lossgen.algebra.worker`: one expression in, candidates for its simplification out, a line each.

A process of its own, because sympy has no time limit: whoever started it kills it.
"""

import sys

import sympy

from lossgen.algebra.bridge import NotInLanguageError, from_sympy, to_sympy
from lossgen.language.parser import parse_loss
from lossgen.language.printer import to_text

METHODS = (
    lambda e: e,
    sympy.expand,
    sympy.factor_terms,
    sympy.factor,
    sympy.together,
    sympy.cancel,
    lambda e: sympy.simplify(e, ratio=1.0),
    lambda e: sympy.simplify(sympy.expand(e), ratio=1.0),
)


def main() -> int:
    """Read an expression from standard input, print what each method makes of it."""
    loss = parse_loss(sys.stdin.read())
    assert loss.label is not None
    start = to_sympy(loss.label)
    for method in METHODS:
        try:
            print(to_text(from_sympy(method(start))), flush=True)
        except (NotInLanguageError, TypeError, ValueError, OverflowError, ZeroDivisionError, AttributeError):
            continue  # this method has no answer that the language can say; the others may
        except (NotImplementedError, RecursionError, sympy.PolynomialError):
            continue
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
