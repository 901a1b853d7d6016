"""The Fréchet distance between two sets of features, taken as Gaussians (Dowson & Landau 1982; Heusel et al. 2017).

    d² = |μ₁ - μ₂|² + Tr(Σ₁ + Σ₂ - 2 (Σ₁^½ Σ₂ Σ₁^½)^½)

in float64, by symmetric eigendecompositions: Σ₁^½ Σ₂ Σ₁^½ has the same eigenvalues as Σ₁ Σ₂ but is symmetric, so no
imaginary part appears that would have to be thrown away. The distance is biased upwards by the number of samples;
two values compare only at the same numbers.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
CHUNK = 4096
"""Samples whose centred features are in memory at a time."""


@dataclass(frozen=True)
class Moments:
    """Mean (d,) and covariance (d, d) of features, float64, and the number of samples they were taken from."""

    mean: Array
    covariance: Array
    count: int


def moments(features: NDArray[np.floating]) -> Moments:
    """Mean and covariance (divided by N - 1) of features (N, d).

    Raises:
        ValueError: fewer than two samples, not a matrix, or a value that is not finite.
    """
    values = checked_features(features)
    mean = np.asarray(values.mean(axis=0, dtype=np.float64))
    products = np.zeros((values.shape[1], values.shape[1]))
    for first in range(0, len(values), CHUNK):
        centred = values[first : first + CHUNK] - mean
        products += centred.T @ centred
    return Moments(mean, products / (len(values) - 1), len(values))


def checked_features(features: NDArray[np.floating], least: int = 2) -> NDArray[np.floating]:
    """Features (N, d) as they are, in one piece of memory.

    Raises:
        ValueError: fewer than `least` samples, not a matrix, no numbers, or a value that is not finite.
    """
    if features.ndim != 2 or len(features) < least or features.shape[1] == 0:
        raise ValueError(f"features must be (N ≥ {least}, d), not {features.shape}")
    if features.dtype.kind != "f" or not np.isfinite(features).all():
        raise ValueError("features must be finite floating-point numbers")
    return np.ascontiguousarray(features)


def frechet_distance(first: Moments, second: Moments) -> float:
    """Squared Fréchet distance between the Gaussians of two moments, ≥ 0.

    Raises:
        ValueError: the dimensions differ, or a covariance is not positive semi-definite.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(f"features of {first.mean.shape} against features of {second.mean.shape}")
    shift = first.mean - second.mean
    root = _square_root(first.covariance)
    overlap = np.sqrt(_spectrum(root @ second.covariance @ root)).sum()
    distance = shift @ shift + np.trace(first.covariance) + np.trace(second.covariance) - 2 * overlap
    return max(float(distance), 0.0)  # equal Gaussians may come out at -1e-15


def _square_root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    _check(values)
    root: Array = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def _spectrum(matrix: Array) -> Array:
    values = np.asarray(np.linalg.eigvalsh((matrix + matrix.T) / 2), dtype=np.float64)
    _check(values)
    clipped: Array = np.maximum(values, 0.0)
    return clipped


def _check(eigenvalues: Array) -> None:
    """Rounding may push the eigenvalue of a singular covariance a little below zero; more than that is an error."""
    if eigenvalues[0] < -1e-8 * max(float(eigenvalues[-1]), 1e-12):
        raise ValueError(f"covariance is not positive semi-definite: smallest eigenvalue {eigenvalues[0]:.3g}")
