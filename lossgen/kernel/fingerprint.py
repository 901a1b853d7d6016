"""Fingerprints: losses with equal ones train alike.

Under Adam a positive factor on a loss changes nothing, and discriminator and generator have an optimiser each; so
the gradient curves of real and fake are normalised together, those of the generator apart, and rounded.
"""

import hashlib

import numpy as np

from lossgen.kernel.screen import Curves

DIGITS = 3
STEP = 0.5 * (5.0**0.5 - 1.0)
"""Where, between two whole numbers, rounding steps. It is irrational: curves are full of round numbers, and one on a
step would be rounded up or down by the last bit, which a factor on the loss changes."""


def fingerprint(curves: Curves, scale_free: bool = True) -> str:
    """Hash (hex, 32 digits) of the rounded gradient curves.

    Args:
        curves: from the screen, finite.
        scale_free: whether a positive factor on the loss changes nothing in training; otherwise the scale of the
            gradients belongs to the fingerprint.
    """
    discriminator, generator = curves.gradient[:2], curves.gradient[2]
    scales = [float(np.max(np.abs(part))) or 1.0 for part in (discriminator, generator)]
    normalised = np.concatenate([discriminator.ravel() / scales[0], generator / scales[1]])
    key = normalised if scale_free else np.concatenate([normalised, np.log(scales)])
    rounded = np.floor(key * 10**DIGITS + STEP).astype(np.int32)
    return hashlib.blake2b(rounded.tobytes(), digest_size=16).hexdigest()
