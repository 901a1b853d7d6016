"""Values, and values with score-gradients, of a population of expressions at many points."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from lossgen.kernel.program import BLOCK, BLOCK_SINGLE, LINE, Population, encode
from lossgen.language.expression import Expression

Array = NDArray[np.float64]

ENOUGH = 200_000
"""Instructions times points that pay for one more thread."""


def values(
    expressions: Sequence[Expression] | Population,
    scores: ArrayLike,
    targets: ArrayLike = 0.0,
    dtype: DTypeLike = np.float64,
) -> NDArray[Any]:
    """Values of P lowered expressions at n points, (P, n).

    Args:
        expressions: lowered expressions, or their encoded population.
        scores: (n,) raw discriminator outputs.
        targets: (n,) or one number: y_real.
        dtype: float64 or float32, of the arithmetic and of the result.
    """
    return _run(expressions, scores, targets, dtype, gradients=False)[0]


def values_and_gradients(
    expressions: Sequence[Expression] | Population,
    scores: ArrayLike,
    targets: ArrayLike = 0.0,
    dtype: DTypeLike = np.float64,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values and derivatives with respect to the score (forward mode), each (P, n); arguments as for `values`."""
    found, slopes = _run(expressions, scores, targets, dtype, gradients=True)
    return found, slopes


def _run(
    expressions: Sequence[Expression] | Population,
    scores: ArrayLike,
    targets: ArrayLike,
    dtype: DTypeLike,
    gradients: bool,
) -> list[NDArray[Any]]:
    """One call of the kernel. It takes one array for all numbers, which holds the results (P, n), then from `base` on
    scores, targets (each n, padded), and registers for each thread; and another one for their derivatives."""
    from lossgen.kernel import _dispatch

    population = expressions if isinstance(expressions, Population) else encode(expressions)
    program, at = population.instructions, np.asarray(scores)
    programs, points = len(population), len(at)
    shares = _shares(program.offsets, points)
    number = np.dtype(dtype)
    block, run = {"f8": (BLOCK, _dispatch.run), "f4": (BLOCK_SINGLE, _dispatch.run_single)}[number.str[1:]]
    row, base = _padded(points), _padded(programs * points)
    size = _padded(base + 2 * row + (len(shares) - 1) * program.registers * block)
    both = _aligned(2 * size if gradients else size, number)
    flat, slopes = both[:size], both[size:]
    flat[base : base + points] = at
    flat[base + row : base + row + points] = targets
    if gradients:
        slopes[base : base + points] = 1.0
    run(program.steps, program.constants, program.offsets, program.registers, shares, points, base, flat, slopes)
    return [array[: programs * points].reshape(programs, points) for array in (flat, slopes)[: 1 + gradients]]


def _shares(offsets: NDArray[np.int64], points: int) -> NDArray[np.int64]:
    """Where the programs of each thread begin, (threads + 1,): about as many instructions for each."""
    total = int(offsets[-1])
    threads = max(1, min(_most_threads(), total * points // ENOUGH))
    found: NDArray[np.int64] = np.searchsorted(offsets, np.arange(threads + 1) * total // threads).astype(np.int64)
    return found


def _most_threads() -> int:
    """Numba's number of threads. Numba starts them when it is first asked, and tells OpenMP how many there are; PyTorch
    asks OpenMP, so what the user has set there is set again."""
    import numba

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    count = int(numba.get_num_threads())
    if torch and torch.get_num_threads() != before:
        torch.set_num_threads(before)
    return count


def _padded(count: int) -> int:
    """The next multiple of LINE."""
    return -(-count // LINE) * LINE


def _aligned(count: int, dtype: DTypeLike) -> NDArray[Any]:
    """An array that begins where a cache line does: no vector that is read lies across two of them."""
    item = np.dtype(dtype).itemsize
    found = np.empty(count + LINE, dtype)
    first = -found.ctypes.data % (LINE * item) // item
    return found[first : first + count]
