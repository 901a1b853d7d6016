"""Precision, recall, density and coverage: how two sets of features lie in each other's neighbourhoods.

A sample's radius is its distance to its k-th nearest neighbour in its own set, itself left out. Then

    precision = share of fakes within the radius of some real         (Kynkäänniemi et al. 2019)
    recall    = share of reals within the radius of some fake
    density   = mean over fakes of the number of reals within whose radius it lies, divided by k   (Naeem et al. 2020)
    coverage  = share of reals with a fake within their radius

all with a strict <, as Naeem et al. have it. Density is not bounded by 1. A real image that occurs k + 1 times has the
radius 0 and nothing lies within.

Squared distances come out of a matrix product, whose rounding would decide ties by chance: those of a set with itself
or with copies. So wherever rounding could matter, the difference of the two features is taken instead.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lossgen.gan.metrics import Array, checked_features

K = 5
TILE = 1024
"""Rows and columns of the distances that are in memory at a time: 8 MiB each."""
_PAIRS = 4096
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Neighbourhoods:
    """How the fakes lie among the reals; see the module's text."""

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    k: int = K,
    tile: int = TILE,
    real_radii: Array | None = None,
) -> Neighbourhoods:
    """Precision, recall, density and coverage of features (N, d) of real and (M, d) of generated images.

    Args:
        tile: bounds the memory: beside the features it takes some 40 · tile² bytes.
        real_radii: what `radii(real, k)` gave, where it is known already.

    Raises:
        ValueError: k or fewer samples in a set, other dimensions, or a value that is not finite.
    """
    reals, fakes = _tensors(real, k), _tensors(fake, k)
    if reals.shape[1] != fakes.shape[1]:
        raise ValueError(f"features of {reals.shape[1]} dimensions against features of {fakes.shape[1]}")
    of_reals = torch.from_numpy(radii(real, k, tile) if real_radii is None else real_radii)
    of_fakes = torch.from_numpy(radii(fake, k, tile))
    around = torch.zeros(len(fakes), dtype=torch.int64)  # reals within whose radius a fake lies
    covered, recalled = (torch.zeros(len(reals), dtype=torch.bool) for _ in range(2))
    for rows, columns, within in _pairs(reals, fakes, tile):
        near_real = within(of_reals[rows, None])
        near_fake = within(of_fakes[None, columns])
        around[columns] += near_real.sum(dim=0)
        covered[rows] |= near_real.any(dim=1)
        recalled[rows] |= near_fake.any(dim=1)
    return Neighbourhoods(
        precision=float((around > 0).double().mean()),
        recall=float(recalled.double().mean()),
        density=float(around.double().mean()) / k,
        coverage=float(covered.double().mean()),
    )


def near(
    real: NDArray[np.floating], fake: NDArray[np.floating], real_radii: Array, tile: int = TILE
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(M,): within the radius of how many reals (N, d) each fake (M, d) lies; (N,): whether a real has a fake within.

    Raises:
        ValueError: other dimensions, or a value that is not finite.
    """
    reals, fakes = (torch.from_numpy(checked_features(values, 1)) for values in (real, fake))
    if reals.shape[1] != fakes.shape[1]:
        raise ValueError(f"features of {reals.shape[1]} dimensions against features of {fakes.shape[1]}")
    of_reals = torch.from_numpy(real_radii)
    around = torch.zeros(len(fakes), dtype=torch.int64)
    found = torch.zeros(len(reals), dtype=torch.bool)
    for rows, columns, within in _pairs(reals, fakes, tile):
        close = within(of_reals[rows, None])
        around[columns] += close.sum(dim=0)
        found[rows] |= close.any(dim=1)
    return around.numpy(), found.numpy()


def radii(features: NDArray[np.floating], k: int = K, tile: int = TILE) -> Array:
    """(N,): the distance of each of the features (N, d) to its k-th nearest neighbour, itself left out.

    Raises:
        ValueError: k or fewer samples, or a value that is not finite.
    """
    x = _tensors(features, k)
    centre = _mean(x)
    kept = min(2 * k, len(x) - 1)  # by rounding, the k-th nearest may not be the k-th in the matrix product
    nearest = torch.full((len(x), kept), torch.inf, dtype=torch.float64)
    which = torch.zeros(len(x), kept, dtype=torch.int64)

    def compete(rows: slice, squares: Tensor, first: int) -> None:
        """Let the columns of `squares`, numbered from `first`, be among the nearest of the rows."""
        found, columns = squares.topk(min(kept, squares.shape[1]), dim=1, largest=False)
        both, numbers = torch.cat([nearest[rows], found], dim=1), torch.cat([which[rows], columns + first], dim=1)
        nearest[rows], order = both.topk(kept, dim=1, largest=False)
        which[rows] = numbers.gather(1, order)

    for rows in _tiles(len(x), tile):
        for columns in _tiles(len(x), tile, rows.start):
            squares, _ = _squares(x[rows], x[columns], centre)
            if columns.start == rows.start:
                squares.fill_diagonal_(torch.inf)
            else:
                compete(columns, squares.T, rows.start)
            compete(rows, squares, columns.start)
    found = np.empty(len(x))
    for rows in _tiles(len(x), tile):
        exact = np.stack([_distances(x[rows], x[numbers]) for numbers in which[rows].T])
        found[rows] = np.partition(exact, k - 1, axis=0)[k - 1]
    return found


def _tiles(count: int, tile: int, first: int = 0) -> Iterator[slice]:
    return (slice(start, min(start + tile, count)) for start in range(first, count, tile))


def _pairs(reals: Tensor, fakes: Tensor, tile: int) -> Iterator[tuple[slice, slice, Callable[[Tensor], Tensor]]]:
    """Rows and columns of each tile, and what says which of its distances are within radii (n, 1) or (1, m)."""
    centre = _mean(reals)
    for rows in _tiles(len(reals), tile):
        for columns in _tiles(len(fakes), tile):
            pair = reals[rows], fakes[columns]
            squares, error = _squares(*pair, centre)
            yield rows, columns, partial(_within, squares=squares, error=error, x=pair[0], y=pair[1])


def _tensors(values: NDArray[np.floating], k: int) -> Tensor:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return torch.from_numpy(checked_features(values, k + 1))


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=0, dtype=torch.float64)


def _squares(x: Tensor, y: Tensor, centre: Tensor) -> tuple[Tensor, float]:
    """Squared distances (n, m) by a matrix product, and a bound of their rounding errors.

    The bound is the usual one of a product of d terms, (d + 1) · ε/2 · Σ |x_i y_i|, twice over, and holds the error of
    taking the centre away, too.
    """
    x, y = x.double() - centre, y.double() - centre
    of_x, of_y = x.square().sum(dim=1), y.square().sum(dim=1)
    squares = torch.addmm(of_y[None, :], x, y.T, alpha=-2).add_(of_x[:, None])
    return squares, 2 * (x.shape[1] + 8) * _EPS * float(of_x.max() + of_y.max())


def _within(radius: Tensor, squares: Tensor, error: float, x: Tensor, y: Tensor) -> Tensor:
    """(n, m): whether a distance is below a radius, (n, 1) or (1, m); where `error` leaves that open, by difference."""
    limit = radius.square()
    within = squares < limit - error
    open_ = torch.nonzero((squares <= limit + error) ^ within)
    if len(open_):
        wide = radius.expand_as(squares)
        for rows, columns in (part.unbind(1) for part in torch.split(open_, _PAIRS)):
            decided = _distances(x[rows], y[columns]) < wide[rows, columns].numpy()
            within[rows, columns] = torch.from_numpy(decided)
    return within


def _distances(x: Tensor, y: Tensor) -> Array:
    """(n,): the distance of each row of `x` to the same row of `y`; the same bits for the same two rows, anywhere."""
    return np.asarray(np.sqrt(np.square(x.double().numpy() - y.double().numpy()).sum(axis=1)))
