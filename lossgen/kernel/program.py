"""Postfix programs: one expression, and a population of them, in flat arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossgen.language.expression import Expression
from lossgen.language.operators import OPERATORS

CONSTANT, SCORE, TARGET = -1, -2, -3
"""Codes of the leaves. The code of an operator is its row in the operator table."""

OPCODES = {name: code for code, name in enumerate(OPERATORS)}
_LEAVES = {"constant": CONSTANT, "score": SCORE, "y_real": TARGET}


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


def encode(expressions: Sequence[Expression]) -> Population:
    """The population of lowered expressions (variables `score` and `y_real` only)."""
    codes: list[int] = []
    constants: list[float] = []
    offsets = [0]
    stack = 1
    for expression in expressions:
        held = 0
        for node in expression.walk():
            codes.append(_LEAVES[node.head] if not node.operands else OPCODES[node.head])
            constants.append(node.value)
            held += 1 - len(node.operands)
            stack = max(stack, held)
        offsets.append(len(codes))
    return Population(np.array(codes, np.int16), np.array(constants, np.float64), np.array(offsets, np.int64), stack)
