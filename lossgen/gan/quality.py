"""All that is said of generated images beside the Fréchet distance itself: the same for a training and for two folders.

What too few samples do not allow is left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossgen.gan.extrapolation import extrapolated_distance, fewest_samples
from lossgen.gan.kernel_distance import KernelDistance, kernel_distance
from lossgen.gan.metrics import Array
from lossgen.gan.neighbours import K, Neighbourhoods, neighbourhoods


@dataclass(frozen=True)
class Quality:
    """Metrics of two sets of features.

    Attributes:
        at_infinity: FD∞; None below `extrapolation.fewest_samples` in either set.
        kernel: KID.
        near: precision, recall, density and coverage; None where a set holds k samples or fewer.
    """

    at_infinity: float | None
    kernel: KernelDistance
    near: Neighbourhoods | None

    def values(self) -> dict[str, float]:
        """By the names that `Extractor.title` takes, in the order of a table."""
        found = {} if self.at_infinity is None else {"FD∞": self.at_infinity}
        return {**found, "KID": self.kernel.mean, **({} if self.near is None else vars(self.near))}


def quality(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    k: int = K,
    seed: int = 0,
    real_radii: Array | None = None,
) -> Quality:
    """Metrics of features (N, d) of real and (M, d) of generated images.

    Args:
        k: of the neighbourhoods.
        seed: of the random subsets of KID and FD∞.
        real_radii: `neighbours.radii(real, k)`, where it is known already.

    Raises:
        ValueError: fewer than two samples, other dimensions, or a value that is not finite.
    """
    fewest = min(len(real), len(fake))
    at_infinity = extrapolated_distance(real, fake, seed) if fewest >= fewest_samples(real.shape[1]) else None
    near = neighbourhoods(real, fake, k, real_radii=real_radii) if fewest > k else None
    return Quality(at_infinity, kernel_distance(real, fake, seed), near)
