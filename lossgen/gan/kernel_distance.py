"""The kernel distance between two sets of features: KID, after Bińkowski et al. (2018, "Demystifying MMD GANs").

    MMD² = mean over i ≠ j of k(x_i, x_j) + mean over i ≠ j of k(y_i, y_j) - 2 · mean over i, j of k(x_i, y_j)
    k(x, y) = (x·y / d + 1)³

in float64. The estimator is unbiased: for equal distributions it is 0 in the mean at any number of samples, below 0 as
often as above, and it asks for no more samples than features. It is taken on random subsets, whose spread is reported
beside their mean; the subsets overlap, so that the spread is no interval of the mean.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossgen.gan.metrics import checked_features

SUBSET, SUBSETS = 1000, 100
TILE = 512
"""Rows and columns of the kernel matrix that are in memory at a time: 2 MiB."""
_ELEMENTWISE = 30
"""What an entry of the kernel matrix costs beside its products, in multiplications; it was measured."""


@dataclass(frozen=True)
class KernelDistance:
    """Mean and standard deviation of MMD² over subsets.

    Attributes:
        mean: may be negative.
        std: over the subsets (divided by their number).
        subset: samples of each set in a subset.
        subsets: their number.
    """

    mean: float
    std: float
    subset: int
    subsets: int


def kernel_distance(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    seed: int = 0,
    subset: int = SUBSET,
    subsets: int = SUBSETS,
    tile: int = TILE,
) -> KernelDistance:
    """Unbiased MMD² of features (N, d) and (M, d) over random subsets of min(subset, N, M) of each.

    Args:
        seed: of the subsets, which are drawn without replacement, of each set apart.
        tile: bounds the memory: beside the features it takes some 25 · tile² bytes, and 8 a sample and subset.

    Raises:
        ValueError: fewer than two samples, other dimensions, or a value that is not finite.
    """
    x, y = (torch.from_numpy(checked_features(values)) for values in (first, second))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of {x.shape[1]} dimensions against features of {y.shape[1]}")
    size = min(subset, len(x), len(y))
    of_first, of_second = (
        np.stack([np.sort(rng.choice(len(values), size, replace=False)) for _ in range(subsets)])
        for rng, values in zip(_streams(seed), (x, y))
    )
    pairs_of_all, pairs_of_each = (len(x) + len(y)) ** 2 / 2, 3 * subsets * size**2
    entry = x.shape[1] + _ELEMENTWISE
    if pairs_of_all * (entry + subsets) < pairs_of_each * entry:
        values = _mmd(x, y, _members(of_first, len(x)), _members(of_second, len(y)), tile)
    else:
        ones = torch.ones(1, size, dtype=torch.float64)
        values = torch.cat([_mmd(x[one], y[other], ones, ones, tile) for one, other in zip(of_first, of_second)])
    return KernelDistance(float(values.mean()), float(values.std(correction=0)), size, subsets)


def _streams(seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(2)]


def _members(drawn: NDArray[np.int64], count: int) -> Tensor:
    """(subsets, count): 1 where a sample is in a subset."""
    members = torch.zeros(len(drawn), count, dtype=torch.float64)
    return members.scatter_(1, torch.from_numpy(drawn), 1.0)


def _mmd(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, tile: int) -> Tensor:
    """MMD² of each subset, (subsets,); all subsets are of one size."""
    size = float(of_x[0].sum())
    within = _sums(x, x, of_x, of_x, tile) - of_x @ _kernel_of_itself(x)
    within += _sums(y, y, of_y, of_y, tile) - of_y @ _kernel_of_itself(y)
    return within / (size * (size - 1)) - 2 * _sums(x, y, of_x, of_y, tile) / size**2


def _kernel_of_itself(x: Tensor) -> Tensor:
    norms = torch.empty(len(x), dtype=torch.float64)
    for first in range(0, len(x), TILE):
        rows = x[first : first + TILE].double()
        torch.linalg.vector_norm(rows, dim=1, out=norms[first : first + TILE])
    return (norms.square_() / x.shape[1] + 1) ** 3


def _sums(x: Tensor, y: Tensor, of_x: Tensor, of_y: Tensor, tile: int) -> Tensor:
    """(subsets,): the sum of the kernel over the pairs of each subset; a tile and its mirror image are made once."""
    total = torch.zeros(len(of_x), dtype=torch.float64)
    mirrored = x is y
    for top in range(0, len(x), tile):
        rows, chosen = x[top : top + tile].double(), of_x[:, top : top + tile]
        for left in range(top if mirrored else 0, len(y), tile):
            base = (rows @ y[left : left + tile].double().T).mul_(1 / x.shape[1]).add_(1)
            kernel = base.square().mul_(base)
            if len(of_x) == 1:  # then it is all of x and y
                part = kernel.sum().reshape(1)
            else:
                part = ((chosen @ kernel) * of_y[:, left : left + tile]).sum(dim=1)
            total += part * (2 if mirrored and left > top else 1)
    return total
