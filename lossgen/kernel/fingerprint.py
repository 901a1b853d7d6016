"""Fingerprints: losses with equal ones train alike.

Under Adam a positive factor on a loss changes nothing, and discriminator and generator have an optimiser each; so
the gradient curves of real and fake are normalised together, those of the generator apart, and rounded to a cell.

A curve is known up to its rounding errors. Where one of its values lies on the step between two roundings, a loss
that is equal, but written in another way, may be recorded in the neighbouring cell; `probes` names that one, too.
"""

import hashlib
import itertools

import numpy as np
from numpy.typing import NDArray

from lossgen.kernel.screen import Curves

DIGITS = 3
STEP = 0.5 * (5.0**0.5 - 1.0)
"""Where, between two whole numbers, rounding steps. It is irrational: curves are full of round numbers, and one on a
step would be rounded up or down by the last bit, which a factor on the loss changes."""

NEAR = 1e-4
"""How near to a step, in cells, a value may have crossed it. Of 18 600 random losses of the four spaces, multiplied
out, reordered and scaled, half moved by 1e-13 of a cell, and none by more than 3e-10 (benchmarks/fingerprint.py); where
terms cancel, 1e-6 was seen. A wide margin costs little: 1 loss in 33 has a value that is as near as this."""

MOST_STEPS = 6
"""Steps that `probes` goes over to both sides: 2^6 cells."""


def fingerprint(curves: Curves, scale_free: bool = True) -> str:
    """Hash (hex, 32 digits) of the rounded gradient curves.

    Args:
        curves: from the screen, finite.
        scale_free: whether a positive factor on the loss changes nothing in training; otherwise the scale of the
            gradients belongs to the fingerprint.
    """
    return probes(curves, scale_free)[0]


def probes(curves: Curves, scale_free: bool = True) -> tuple[str, ...]:
    """The fingerprint, and those of the cells that an equal loss, written in another way, may have been recorded in.

    All values that are near the same step are on the same side of it, in each of the cells: a constant curve has 129
    values that are equal but for their rounding errors. Where values are near more than MOST_STEPS steps, the steps
    that are nearest are gone over, since those are crossed most easily.

    Args:
        curves: as for `fingerprint`.
        scale_free: as for `fingerprint`.

    Returns:
        1 to 64 fingerprints, all different; the first is that of `fingerprint`, the others go over few steps first.
    """
    place = normalised(curves, scale_free) * 10**DIGITS + STEP
    cell = np.floor(place).astype(np.int32)
    distance = np.abs(place - np.rint(place))
    near = np.flatnonzero(distance < NEAR)
    if not len(near):
        return (_hash(cell),)
    steps: dict[int, list[int]] = {}
    for i in near.tolist():
        steps.setdefault(round(place[i]), []).append(i)
    for values in steps.values():
        cell[values] = cell[values[0]]
    nearest = sorted(steps, key=lambda step: min(distance[steps[step]]))[:MOST_STEPS]
    found = []
    for count in range(len(nearest) + 1):
        for crossed in itertools.combinations(nearest, count):
            other = cell.copy()
            for step in crossed:
                values = steps[step]
                other[values] = 2 * step - 1 - cell[values[0]]
            found.append(_hash(other))
    return tuple(found)


def normalised(curves: Curves, scale_free: bool) -> NDArray[np.float64]:
    """The gradients, the largest of an optimiser's being 1; and the logarithms of the scales where they count."""
    discriminator, generator = curves.gradient[:2], curves.gradient[2]
    scales = [float(np.max(np.abs(part))) or 1.0 for part in (discriminator, generator)]
    normalised = np.concatenate([discriminator.ravel() / scales[0], generator / scales[1]])
    return normalised if scale_free else np.concatenate([normalised, np.log(scales)])


def _hash(cell: NDArray[np.int32]) -> str:
    return hashlib.blake2b(cell.tobytes(), digest_size=16).hexdigest()
