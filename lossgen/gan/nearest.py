"""Nearest images, pixel by pixel: how far each image of one set is from the closest of another, and which that is.

Distances are root mean squares over pixels and channels, in grey levels of 255: 0 for a copy.
"""

import numpy as np
import torch
from numpy.typing import NDArray

TILE = 1024


def nearest(
    images: NDArray[np.uint8], among: NDArray[np.uint8], itself: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(N,) distances to the closest of `among`, and (N,) which that is; the first among equals.

    Args:
        images, among: uint8 (N, C, H, W) and (M, C, H, W).
        itself: whether both are one set, in which no image is its own neighbour.
    """
    ours, theirs = (torch.from_numpy(part.reshape(len(part), -1)) for part in (images, among))
    pixels = ours.shape[1]
    best = torch.full((len(ours),), torch.inf, dtype=torch.float64)
    which = torch.zeros(len(ours), dtype=torch.int64)
    # Squares of bytes are whole numbers: in double precision a matrix product of them is exact.
    for first in range(0, len(ours), TILE):
        rows = slice(first, first + TILE)
        x = ours[rows].double()
        of_x = x.square().sum(1)
        for start in range(0, len(theirs), TILE):
            columns = slice(start, start + TILE)
            y = theirs[columns].double()
            squares = torch.addmm(y.square().sum(1)[None], x, y.T, alpha=-2) + of_x[:, None]
            if itself and start == first:
                squares.fill_diagonal_(torch.inf)
            found, at = squares.min(1)
            closer = found < best[rows]
            best[rows] = torch.where(closer, found, best[rows])
            which[rows] = torch.where(closer, at + start, which[rows])
    return (best / pixels).sqrt().numpy(), which.numpy()
