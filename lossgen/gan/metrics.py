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
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features must be (N ≥ 2, d), not {features.shape}")
    values = np.asarray(features, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("features must be finite")
    mean = values.mean(axis=0)
    centred = values - mean
    return Moments(mean, centred.T @ centred / (len(values) - 1), len(values))


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
