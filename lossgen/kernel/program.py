"""Programs: one expression, and a population of them, in flat arrays.

An expression is encoded in postfix order. What the kernel runs are instructions made of that: an operator with two
registers, or with a register and a constant, to a register. So leaves cost nothing, and no value is copied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lossgen.language.expression import Expression
from lossgen.language.operators import OPERATORS

CONSTANT, SCORE, TARGET = -1, -2, -3
"""Codes of the leaves. The code of an operator is its row in the operator table."""

OPCODES = {name: code for code, name in enumerate(OPERATORS)}
_CODES = {**OPCODES, "constant": CONSTANT, "score": SCORE, "y_real": TARGET, "pow": OPCODES["real_pow"]}
"""Until lowering knows better a power is a real one."""

BLOCK, BLOCK_SINGLE = 256, 512
"""Points that an instruction works on at once, in double and in single precision: registers of 2 KiB, so that those of
a program stay in a core's first cache."""

LINE = 16
"""Numbers that rows are padded to: a cache line of float32, two of float64."""

SCORE_AT, TARGET_AT, OUT_AT, WORK_AT = 0, 1, 2, 3
"""Registers: the scores, the targets, the result, and from WORK_AT on those that programs work in."""

FILL, COPY = 0, 1
"""Instructions that are no operator's: a register becomes a constant, or a copy of another one."""

UNARY, BOTH, RIGHT_CONSTANT, LEFT_CONSTANT = range(4)
"""Forms of an operator: with one register, two, or a register and a constant on one side."""


_RIGHT_CONSTANT, _LEFT_CONSTANT = ("add", "sub", "mul", "div", "int_pow"), ("sub", "div")
"""Operators that have forms with a constant; for the others, rarer or slower by far, it goes to a register first."""


def _number_forms() -> dict[tuple[str, int], int]:
    forms = [(name, UNARY) for name, row in OPERATORS.items() if row.arity == 1]
    forms += [(n, BOTH) for n, row in OPERATORS.items() if row.arity == 2 and n not in ("pow", "int_pow")]
    forms += [(name, RIGHT_CONSTANT) for name in _RIGHT_CONSTANT]
    forms += [(name, LEFT_CONSTANT) for name in _LEFT_CONSTANT]
    return {form: COPY + 1 + number for number, form in enumerate(sorted(forms))}


FORMS: Mapping[tuple[str, int], int] = _number_forms()
"""Number of the instruction, by operator and form; a commutative one's constant is always on the right."""

LEFT_ACTIVE, RIGHT_ACTIVE = 1, 2
"""Which registers of an instruction depend on the score; their sum where both do."""


@dataclass(frozen=True)
class Population:
    """Programs laid end to end.

    Attributes:
        codes: int16 (L,), all programs one after another.
        constants: float64 (L,), the value beside each CONSTANT code.
        offsets: int64 (P + 1,); program i is codes[offsets[i]:offsets[i + 1]].
        stack: the largest number of values that any program holds at once.
    """

    codes: NDArray[np.int16]
    constants: NDArray[np.float64]
    offsets: NDArray[np.int64]
    stack: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def instructions(self) -> "Instructions":
        """What the kernel runs.

        Raises:
            ValueError: an exponent of int_pow that is no constant.
        """
        from lossgen.kernel import _dispatch

        steps = np.empty((len(self.codes), 5), np.int16)
        beside = np.empty(len(self.codes))
        offsets = np.zeros(len(self.offsets), np.int64)
        registers = _dispatch.link(self.codes, self.constants, self.offsets, self.stack, steps, beside, offsets)
        steps = steps[: offsets[-1]]
        if np.any(steps[:, 0] < 0):
            raise ValueError("the exponent of int_pow is a constant")
        return Instructions(steps, beside[: offsets[-1]], offsets, int(registers))


@dataclass(frozen=True)
class Instructions:
    """Instructions of programs laid end to end.

    Attributes:
        steps: int16 (K, 5): number of the instruction, which registers depend on the score, left and right operand's
            register, and the register of the result.
        constants: float64 (K,), for instructions with a constant.
        offsets: int64 (P + 1,), as in `Population`.
        registers: how many registers from WORK_AT on the programs use.
    """

    steps: NDArray[np.int16]
    constants: NDArray[np.float64]
    offsets: NDArray[np.int64]
    registers: int


def encode(expressions: Sequence[Expression]) -> Population:
    """The population of lowered expressions (variables `score` and `y_real` only)."""
    codes: list[int] = []
    constants: list[float] = []
    offsets = [0]
    stack = 1
    for expression in expressions:
        held = 0
        for node in expression.walk():
            codes.append(_CODES[node.head])
            constants.append(node.value)
            held += 1 - len(node.operands)
            stack = max(stack, held)
        offsets.append(len(codes))
    return Population(np.array(codes, np.int16), np.array(constants, np.float64), np.array(offsets, np.int64), stack)
