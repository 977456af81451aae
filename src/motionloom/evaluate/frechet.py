"""Fréchet distance of two sets of features, and which frames of a video the published protocols look at.

d = |m₁ - m₂|² + tr(S₁ + S₂ - 2 (S₁ S₂)^½) of the Gaussians with the means m and covariances S of the two sets (Dowson
and Landau 1982; FID: Heusel et al. 2017; FVD: Unterthiner et al. 2018). The literature has two covariances and does not
say which beside its numbers: divided by N ("biased": StyleGAN-V, cd-fvd) and by N - 1 ("unbiased": pytorch-fid, TATS,
torchmetrics). With few samples they differ by several percent.

Everything is float64. The distance is defined from two samples per set on; below twice as many samples as dimensions
it is dominated by their number, and only compares sets of the same size (`shortage` words that).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

Covariance = Literal["biased", "unbiased"]
Array = NDArray[np.float64]

_BLOCK = 4096  # rows that are looked at together
_UNROOTED = 1e-10  # singular values below it stay as they are in TATS' root (tensorflow_gan's classifier_metrics.py)


def frechet_distance(real: ArrayLike, generated: ArrayLike, *, covariance: Covariance = "unbiased") -> float | None:
    """Distance of two sets of features.

    Args:
        real, generated: finite [N, D] and [M, D]; the order of the rows does not matter.
        covariance: divided by N, or by N - 1.

    Returns:
        The distance, never below zero; None where a set has fewer than two rows.

    Raises:
        InputError: not such arrays, other numbers of dimensions, or values that are not finite.
    """
    a, b = _checked(real, "real"), _checked(generated, "generated")
    _check_same(a.shape[1], b.shape[1])
    if max(len(a), len(b)) > a.shape[1]:
        statistics = FeatureStatistics.of(a, "real"), FeatureStatistics.of(b, "generated")
        return statistics[0].distance(statistics[1], covariance=covariance)
    a, b = _features(a, "real"), _features(b, "generated")
    if min(len(a), len(b)) < 2:
        return None
    # With fewer rows than dimensions tr (S₁ S₂)^½ is the sum of the singular values of X₁ X₂ᵀ of the centred rows,
    # a small matrix, and free of the noise that rooting its zero eigenvalues would add.
    less = covariance == "unbiased"
    x, y = (rows - rows.mean(0) for rows in (a, b))
    n, m = len(a) - less, len(b) - less
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum() / np.sqrt(n * m)
    means = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return _positive(means + (x**2).sum() / n + (y**2).sum() / m - 2 * root)


def frechet_distance_of(
    mean_a: ArrayLike, covariance_a: ArrayLike, mean_b: ArrayLike, covariance_b: ArrayLike
) -> float:
    """Distance of two Gaussians given by their means [D] and covariances [D, D].

    tr (S₁ S₂)^½ is the sum of the roots of the eigenvalues of S₁ S₂, which are those of the symmetric S₁^½ S₂ S₁^½.

    Raises:
        InputError: shapes that do not belong together, or values that are not finite.
    """
    mean_a, covariance_a = _gaussian(mean_a, covariance_a, "first")
    mean_b, covariance_b = _gaussian(mean_b, covariance_b, "second")
    _check_same(len(mean_a), len(mean_b))
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root @ covariance_b @ root
    trace = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(0)).sum()
    return _positive(((mean_a - mean_b) ** 2).sum() + np.trace(covariance_a) + np.trace(covariance_b) - 2 * trace)


def frechet_distance_by_svd(real: ArrayLike, generated: ArrayLike) -> float | None:
    """Distance as TATS' FVD and MoveBench compute it: unbiased covariances, roots by singular value decomposition.

    Singular values below 1e-10 are left unrooted, so that for fewer rows than dimensions the result is not quite that
    of `frechet_distance`. Source: `frechet_distance` of tats/fvd/fvd.py, after tensorflow_gan.

    Returns, Raises:
        As `frechet_distance`; the result may be below zero by rounding.
    """
    a, b = _features(real, "real"), _features(generated, "generated")
    _check_same(a.shape[1], b.shape[1])
    if min(len(a), len(b)) < 2:
        return None
    covariance_a, covariance_b = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (a, b))
    root = _root_by_svd(covariance_a)
    trace = np.trace(_root_by_svd(root @ covariance_b @ root))
    means = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(means + np.trace(covariance_a) + np.trace(covariance_b) - 2 * trace)


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Number, mean and scatter of features: all that the distance needs, however many there are.

    Statistics of parts are joined with ``+`` (Chan, Golub and LeVeque 1979, stable where sums of squares are not), so
    that they may come block by block or from several processes.

    Attributes:
        count: rows seen.
        mean: [D]; scatter: [D, D], sum of (x - mean)(x - mean)ᵀ.
    """

    count: int
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, features: ArrayLike, origin: str = "features") -> FeatureStatistics:
        """Statistics of [N, D], taken block by block: nothing of the size of the features is made.

        Raises:
            InputError: not such an array, or values that are not finite; the message begins with ``origin``.
        """
        rows = _checked(features, origin)
        width = rows.shape[1]
        whole = cls(0, np.zeros(width), np.zeros((width, width)))
        for start in range(0, len(rows), _BLOCK):
            block = _features(rows[start : start + _BLOCK], origin, start)
            mean = block.mean(0)
            centred = block - mean
            whole += cls(len(block), mean, centred.T @ centred)
        return whole

    def __add__(self, other: FeatureStatistics) -> FeatureStatistics:
        _check_same(len(self.mean), len(other.mean))
        count = self.count + other.count
        if count == 0:
            return self
        between = other.mean - self.mean
        share = other.count / count
        scatter = self.scatter + other.scatter + np.outer(between, between) * self.count * share
        return FeatureStatistics(count, self.mean + between * share, scatter)

    def covariance(self, convention: Covariance) -> Array | None:
        """[D, D]; None where there are too few rows: none, or one for the unbiased convention."""
        divisor = self.count - (convention == "unbiased")
        return self.scatter / divisor if divisor > 0 else None

    def distance(self, other: FeatureStatistics, *, covariance: Covariance = "unbiased") -> float | None:
        """Fréchet distance of the two sets; None where one has fewer than two rows."""
        if min(self.count, other.count) < 2:
            return None
        a, b = self.covariance(covariance), other.covariance(covariance)
        assert a is not None
        assert b is not None
        return frechet_distance_of(self.mean, a, other.mean, b)


def shortage(real: int, generated: int, dimensions: int) -> str | None:
    """What to say of a distance of sets of these numbers of rows; None where they are large enough."""
    fewest = min(real, generated)
    if fewest < 2:
        return f"needs at least two samples of each kind, found {real} true and {generated} generated"
    if fewest < 2 * dimensions:
        return (
            f"{fewest} samples for {dimensions} dimensions: too few (below {2 * dimensions}) for a number to stand on "
            "its own, compare with sets of the same size only"
        )
    return None


def clip_frames(
    num_frames: int, name: str, *, length: int = 16, every: int = 1, seed: int | None = 0
) -> NDArray[np.int64] | None:
    """Which frames of a video a clip-based protocol looks at: one clip, [length] frame numbers.

    StyleGAN-V draws one clip per video at random and leaves out videos that are too short. The place drawn depends on
    ``seed`` and ``name`` alone, so that it is the same in every run and in whatever order videos come; a generated
    video and its true one of the same length are cut at the same place.

    Args:
        name: of the video.
        length: frames of the clip; every: their distance in frames.
        seed: None takes the beginning.

    Returns:
        Frame numbers, or None where the video is too short.
    """
    span = (length - 1) * every + 1
    if num_frames < span:
        return None
    start = 0 if seed is None else int(_share(f"{seed}/{name}") * (num_frames - span + 1))
    return start + np.arange(length) * every


def _share(text: str) -> float:
    """A number in [0, 1) that depends on the text alone, on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


def _root_by_svd(matrix: Array) -> Array:
    u, s, vt = np.linalg.svd(matrix)
    return (u * np.where(s < _UNROOTED, s, np.sqrt(s))) @ vt


def _checked(values: ArrayLike, name: str) -> NDArray[Any]:
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.shape[1] == 0 or rows.dtype.kind not in "fiu":
        raise InputError(f"{name}: found {rows.dtype} {rows.shape}, expected numbers of features [N, D]")
    return rows


def _features(values: ArrayLike, name: str, first: int = 0) -> Array:
    """Finite float64 [N, D]; ``first`` is the number of its first row, for the message."""
    rows = _checked(values, name).astype(np.float64)
    wrong = ~np.isfinite(rows).all(1)
    if wrong.any():
        raise InputError(
            f"{name}: row {first + int(np.argmax(wrong))} holds a value that is not finite, expected numbers; look at "
            "the video it comes from"
        )
    return rows


def _gaussian(mean: Any, covariance: Any, name: str) -> tuple[Array, Array]:
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise InputError(f"{name}: found mean {mean.shape} and covariance {covariance.shape}, expected [D] and [D, D]")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise InputError(f"{name}: mean or covariance holds a value that is not finite")
    return mean, (covariance + covariance.T) / 2


def _check_same(first: int, second: int) -> None:
    if first != second:
        raise InputError(f"features: found {first} and {second} dimensions, expected the same network for both sets")


def _positive(distance: Any) -> float:
    """Rounding may take the distance of a set to itself below zero."""
    return max(0.0, float(distance))
