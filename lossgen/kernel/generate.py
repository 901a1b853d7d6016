"""Writes `_dispatch.py` from the operator table: `python -m lossgen.kernel.generate [--check]`.

Numba caches only functions that live in a file, and a cached function does not notice that a function which it calls
from another file has changed. So all that is compiled is generated into one file: the functions of one number, the
instructions for a block of them, and the loops over blocks and programs; all but the linking twice, for double and
for single precision. What is not called is not compiled.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from lossgen.kernel import program, single
from lossgen.kernel.program import BOTH, FORMS, LEFT_ACTIVE, LEFT_CONSTANT, OPCODES, RIGHT_ACTIVE, RIGHT_CONSTANT, UNARY
from lossgen.kernel.templates import HEAD, LINK, LOOP, SLOPE_STEP, STEP
from lossgen.language import total
from lossgen.language.operators import OPERATORS, Operator

TARGET_FILE = Path(__file__).with_name("_dispatch.py")

DECORATORS = {
    "": '@njit(error_model="numpy")',
    "_single": '@njit(error_model="numpy", fastmath={"contract"}, forceinline=True)',
}
"""By suffix of the precision. Single precision may round a * b + c once; what is inlined becomes vectors. Nothing may
take it that there are no NaN and no infinities: they flag failures."""

PLACES = {
    "constant": program.CONSTANT, "score": program.SCORE, "score_at": program.SCORE_AT, "target_at": program.TARGET_AT,
    "out_at": program.OUT_AT, "work_at": program.WORK_AT, "fill": program.FILL, "copy": program.COPY, "unary": UNARY,
    "both": BOTH, "right": RIGHT_CONSTANT, "left": LEFT_CONSTANT,
}  # fmt: skip
BLOCKS = {"": program.BLOCK, "_single": program.BLOCK_SINGLE}
NUMBERS = {"": "float", "_single": "np.float32"}

_OPERANDS = {
    UNARY: ("flat[a + j]",),
    BOTH: ("flat[a + j]", "flat[b + j]"),
    RIGHT_CONSTANT: ("flat[a + j]", "c"),
    LEFT_CONSTANT: ("c", "flat[b + j]"),
}
_ACTIVE = {
    UNARY: (LEFT_ACTIVE,),
    BOTH: (LEFT_ACTIVE + RIGHT_ACTIVE, LEFT_ACTIVE, RIGHT_ACTIVE),
    RIGHT_CONSTANT: (LEFT_ACTIVE,),
    LEFT_CONSTANT: (RIGHT_ACTIVE,),
}


def render() -> str:
    """The text of `_dispatch.py`."""
    used = {"divisor", "magnitude", "sign"}
    used |= {function.__name__ for row in OPERATORS.values() for function in (row.function, *row.partials)}
    parts = [HEAD.format(eps=total.EPS, exp_max=total.EXP_MAX), *_functions(total, DECORATORS[""], used)]
    parts += [_constants(single), *_functions(single, DECORATORS["_single"])]
    parts += [_table(), LINK.format(**PLACES)]
    for suffix, decorator in DECORATORS.items():
        names = {"suffix": suffix, "decorator": decorator, "number": NUMBERS[suffix]}
        cases = "\n".join(line for form in FORMS for line in _case(*form, suffix))
        slope_cases = "\n".join(line for form in FORMS for line in _slope_cases(*form, suffix))
        parts.append(STEP.format(**names, fill=program.FILL, copy=program.COPY, cases=cases))
        parts.append(SLOPE_STEP.format(**names, copy=4 * program.COPY + LEFT_ACTIVE, cases=slope_cases))
        parts.append(LOOP.format(suffix=suffix, block=BLOCKS[suffix], line=program.LINE, **PLACES))
    return "\n".join(parts)


def _functions(module: ModuleType, decorator: str, names: set[str] | None = None) -> Iterator[str]:
    found = [function for _, function in inspect.getmembers(module, inspect.isfunction)]
    for function in sorted(found, key=lambda function: function.__code__.co_firstlineno):
        if names is None or function.__name__ in names:
            yield f"\n{decorator}\n{inspect.getsource(function)}"


def _constants(module: ModuleType) -> str:
    """The lines between a module's imports and its first function, without comments."""
    body = inspect.getsource(module).partition("import numpy as np\n")[2].partition("\n\n\n")[0]
    return "\n" + "\n".join(line for line in body.splitlines() if "=" in line) + "\n"


def _table() -> str:
    """The instruction by operator's code and form, -1 where there is none."""
    rows = [[FORMS.get((name, form), -1) for form in (UNARY, BOTH, RIGHT_CONSTANT, LEFT_CONSTANT)] for name in OPCODES]
    lines = "\n".join(f"    {row},  # {name}" for name, row in zip(OPCODES, rows, strict=True))
    return f"\nFORM_OF = np.array([\n{lines}\n])\n"


def _case(name: str, form: int, suffix: str) -> Iterator[str]:
    """The branch of `step` for one instruction."""
    row = OPERATORS[name]
    yield f"    elif op == {FORMS[name, form]}:  # {name}"
    yield "        for j in range(n):"
    yield f"            flat[d + j] = {_name(row, suffix)}({', '.join(_OPERANDS[form])}){'[0]' if suffix else ''}"


def _slope_cases(name: str, form: int, suffix: str) -> Iterator[str]:
    """The branches of `slope_step` for one instruction: one for each way in which it may depend on the score."""
    row = OPERATORS[name]
    for active in _ACTIVE[form]:
        yield f"    elif op == {4 * FORMS[name, form] + active}:  # {name}"
        yield "        for j in range(n):"
        for operand, place in zip("xy", _OPERANDS[form], strict=False):
            yield f"            {operand} = {place}"
        operands = "x, y"[: 3 * row.arity - 2]
        if suffix:
            slopes = ["by_x", "by_y"][: row.arity]
            yield f"            flat[d + j], {', '.join(slopes)} = {_name(row, suffix)}({operands})"
        else:
            slopes = [f"{partial.__name__}({operands})" for partial in row.partials]
            yield f"            flat[d + j] = {_name(row, suffix)}({operands})"
        terms = [f"{slope} * slopes[{at} + j]" for bit, at, slope in zip((1, 2), "ab", slopes) if active & bit]
        yield f"            slopes[d + j] = {' + '.join(terms)}"


def _name(row: Operator, suffix: str) -> str:
    name = row.function.__name__
    return getattr(single, f"{name}f").__name__ if suffix else name


def main() -> int:
    """Write the file, or with --check say whether it is up to date (exit 1 when not)."""
    text = render()
    if "--check" in sys.argv[1:]:
        if not TARGET_FILE.exists() or TARGET_FILE.read_text(encoding="utf-8") != text:
            print(f"{TARGET_FILE.name} is not what the operator table says; run: python -m lossgen.kernel.generate")
            return 1
        return 0
    TARGET_FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
