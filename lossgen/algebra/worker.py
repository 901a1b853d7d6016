"""`python -m lossgen.algebra.worker [VARIABLE]`: one expression in, equal forms of it out, a line each.

With a variable it is the derivative, of the textbook's functions, that has the forms.

A process of its own, because sympy has no time limit: whoever started it kills it.
"""

import sys

import sympy

from lossgen.algebra.bridge import SYMBOLS, NotInLanguageError, from_sympy, to_sympy, to_textbook
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
    """Read an expression from standard input, print what each method makes of it (or of its derivative)."""
    loss = parse_loss(sys.stdin.read())
    assert loss.label is not None
    if len(sys.argv) > 1:
        start = sympy.diff(to_textbook(loss.label), SYMBOLS[sys.argv[1]])
    else:
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
