"""FD∞: the Fréchet distance without the bias of few samples (Chong & Forsyth 2020, "Effectively Unbiased FID and IS").

The bias is close to c₁/N + c₂/M. So the distance is taken of random parts of both sets, each part the same share of
either, and a straight line over 1/share is followed to 0, which is where N and M would be infinite. Chong & Forsyth
leave the real images whole, of which they have 50 000; where they are few their part of the bias is as large. It may
come out a little below 0. The line is straight only where a part holds a few times more samples than there are
features: below that there is no FD∞.
"""

import numpy as np
from numpy.typing import NDArray

from lossgen.gan.metrics import checked_features, frechet_distance, moments

PARTS = 10
"""Shares from 1/2 to 1 that a distance is taken at."""
_PER_FEATURE = 2


def fewest_samples(dimension: int) -> int:
    """Samples of each set that FD∞ takes at least: half of them are twice as many as there are features."""
    return 2 * _PER_FEATURE * dimension


def extrapolated_distance(
    first: NDArray[np.floating], second: NDArray[np.floating], seed: int = 0, parts: int = PARTS
) -> float:
    """FD∞ of features (N, d) and (M, d), N and M at least `fewest_samples(d)`.

    Args:
        seed: of the parts, which are drawn of each set apart.
        parts: distances that the line is laid through, 2 or more.

    Raises:
        ValueError: fewer samples, other dimensions, or a value that is not finite.
    """
    sets = [checked_features(features, fewest_samples(features.shape[-1])) for features in (first, second)]
    streams = [np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(2)]
    shares = np.linspace(0.5, 1.0, parts)
    distances = [
        frechet_distance(
            *(moments(x[np.sort(rng.choice(len(x), round(share * len(x)), replace=False))])
              for x, rng in zip(sets, streams))
        )
        for share in shares
    ]  # fmt: skip
    _, at_infinity = np.polyfit(1 / shares, distances, 1)
    return float(at_infinity)
