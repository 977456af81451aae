"""Means over videos with intervals, and comparisons of two sets of them: pure functions on numbers.

A mean is over cases, as papers have it: what belongs to one case (its seeds) is averaged first, so that a case counts
once however often it was run. Intervals are percentile bootstrap intervals over cases (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 13): few cases give intervals that are too narrow, and one case gives
none. Everything random is seeded and does not depend on the order of its input.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError
from motionloom.evaluate.measurement import Better

BOOT = 2000
"""Resamples of a bootstrap."""

LEVEL = 0.95
"""Share of resamples an interval covers."""

FLIPS = 4999
"""Random sign patterns of the permutation test where there are too many to try all."""

_EXACT = 12  # pairs up to which all 2^n sign patterns are tried

Pair = tuple[str, int | None]
"""(case, seed): what two runs are paired by."""


@dataclass(frozen=True)
class Estimate:
    """A mean over cases and how sure it is.

    Attributes:
        mean: None where there is no value.
        low, high: the bootstrap interval; None below two cases.
        sd: sample standard deviation over cases; None below two.
        n: cases; videos: values they were averaged from.
    """

    mean: float | None
    low: float | None
    high: float | None
    sd: float | None
    n: int
    videos: int


@dataclass(frozen=True)
class Difference:
    """Second minus first, over the cases both have.

    Attributes:
        mean, low, high, sd, n, videos: as `Estimate`; ``videos`` counts pairs of (case, seed).
        first, second: means of both over the same pairs.
        wins, ties, losses: cases in which the second is better, equal, worse; None where neither direction is better.
        p: two-sided, permutation of signs: how often differences without a direction would have so large a mean.
        p_sign: two-sided, sign test: the same of the numbers of wins and losses alone.
    """

    mean: float | None
    low: float | None
    high: float | None
    sd: float | None
    n: int
    videos: int
    first: float | None = None
    second: float | None = None
    wins: int | None = None
    ties: int | None = None
    losses: int | None = None
    p: float | None = None
    p_sign: float | None = None

    @property
    def win_rate(self) -> float | None:
        """Share of cases in which the second is better; a tie counts half."""
        if self.wins is None or self.ties is None or not self.n:
            return None
        return (self.wins + 0.5 * self.ties) / self.n


@dataclass(frozen=True)
class CurveEstimate:
    """A mean over cases for each frame.

    Attributes:
        mean, low, high: per frame, None where no case has a value (below two cases, for the interval).
        n: cases that have a value, per frame.
    """

    mean: tuple[float | None, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    n: tuple[int, ...]


def estimate(
    values: ArrayLike,
    cases: Sequence[Hashable] | None = None,
    weights: ArrayLike | None = None,
    *,
    boot: int = BOOT,
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """The mean over cases with its bootstrap interval.

    Args:
        values: one per video, [V]. What is missing is left out before, never a NaN.
        cases: the case of each video; None where every video is a case of its own.
        weights: of each video, [V], zero or more; None weighs all cases alike. Frames or points per video pool what the
            values are means of: sum(w v) / sum(w) over all videos, resampled by cases.
        boot, level, seed: of the bootstrap.

    Raises:
        InputError: shapes that disagree, values that are not finite, weights below zero or all zero.
    """
    v, w = _checked(values, weights)
    if not len(v):
        return Estimate(None, None, None, None, 0, 0)
    totals, sizes = _by_case(v, w, cases)
    mean = float(totals.sum() / sizes.sum())
    n = len(totals)
    if n < 2:
        return Estimate(mean, None, None, None, n, len(v))
    counts = _counts(n, boot, seed)
    # Centred, so that single precision is enough.
    resampled = counts @ (totals - mean * sizes).astype(np.float32) / _above_zero(counts @ sizes.astype(np.float32))
    low, high = np.quantile(mean + resampled.astype(np.float64), _tails(level))
    per_case = totals[sizes > 0] / sizes[sizes > 0]
    sd = float(per_case.std(ddof=1)) if len(per_case) > 1 else None
    return Estimate(mean, float(low), float(high), sd, n, len(v))


def paired(
    first: Mapping[Pair, float],
    second: Mapping[Pair, float],
    better: Better | None = None,
    *,
    boot: int = BOOT,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Second minus first over the (case, seed) both have: differences within a case are averaged first.

    Raises:
        InputError: a value is not finite.
    """
    common = sorted(set(first) & set(second), key=_order)
    if not common:
        return Difference(None, None, None, None, 0, 0)
    cases = [case for case, _ in common]
    a, b = (np.array([side[pair] for pair in common], np.float64) for side in (first, second))
    found = estimate(b - a, cases, boot=boot, level=level, seed=seed)
    per_case = _by_case(b - a, None, cases)[0]
    # Averaging several seeds leaves dust where all of them are equal.
    per_case = np.where(np.abs(per_case) <= 1e-12 * max(1.0, float(np.abs([a, b]).max())), 0.0, per_case)
    up, down = int((per_case > 0).sum()), int((per_case < 0).sum())
    wins, losses = (None, None) if better is None else (up, down) if better == "higher" else (down, up)
    return Difference(
        found.mean,
        found.low,
        found.high,
        found.sd,
        found.n,
        found.videos,
        float(_by_case(a, None, cases)[0].mean()),
        float(_by_case(b, None, cases)[0].mean()),
        wins,
        None if better is None else len(per_case) - up - down,
        losses,
        sign_flip_test(per_case, seed=seed),
        sign_test(up, down),
    )


def sign_flip_test(differences: ArrayLike, *, flips: int = FLIPS, seed: int = 0) -> float | None:
    """Two-sided p of a mean of zero when every difference [n] could as well have the other sign.

    All 2^n sign patterns are tried up to n = 12; beyond, ``flips`` random ones and the one found, so that p is never
    zero (Phipson and Smyth, 2010). None below two differences.
    """
    d, _ = _checked(differences, None)
    found, n = abs(float(d.sum())), len(d)
    # The signs are drawn, so only the sizes matter; sorted, the order does not.
    d = np.sort(np.abs(d))
    if n < 2:
        return None
    scale = float(d.sum())
    if scale == 0.0:
        return 1.0
    exact = n <= _EXACT
    sums = np.abs(_signs(n, 0 if exact else flips, seed) @ (d / scale).astype(np.float32)) * scale
    extreme = int((sums >= found - 1e-5 * scale).sum())
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)


def sign_test(up: int, down: int) -> float | None:
    """Two-sided p of ``up`` against ``down`` under a fair coin; None where all are ties."""
    if up + down == 0:
        return None
    from scipy.stats import binomtest

    return float(binomtest(min(up, down), up + down).pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for their number (Holm, 1979); None stays None and is not counted."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[place] = largest
    return corrected


def over_time(
    curves: Sequence[Sequence[float | None]],
    cases: Sequence[Hashable] | None = None,
    *,
    boot: int = BOOT,
    level: float = LEVEL,
    seed: int = 0,
) -> CurveEstimate:
    """The mean over cases for each frame, with its bootstrap interval; curves may end early and have gaps (None).

    Raises:
        InputError: another number of cases than curves, or a value that is not finite.
    """
    if cases is not None and len(cases) != len(curves):
        raise InputError(f"cases: found {len(cases)}, expected {len(curves)}, one for each curve")
    frames = max((len(curve) for curve in curves), default=0)
    if not frames:
        return CurveEstimate((), (), (), ())
    values, known = np.zeros((len(curves), frames)), np.zeros((len(curves), frames), np.bool_)
    for row, curve in enumerate(curves):
        known[row, : len(curve)] = [value is not None for value in curve]
        values[row, : len(curve)] = [0.0 if value is None else value for value in curve]
    if not np.isfinite(values).all():
        raise InputError("curves: found a value that is not finite, expected numbers or None")
    names = list(range(len(curves))) if cases is None else list(cases)
    numbers = {name: number for number, name in enumerate(sorted(set(names), key=repr))}
    place = np.array([numbers[name] for name in names])
    total, count = np.zeros((len(numbers), frames)), np.zeros((len(numbers), frames))
    np.add.at(total, place, values)
    np.add.at(count, place, known)
    has = count > 0
    per_case = np.where(has, total / np.maximum(count, 1), 0.0)
    n = has.sum(0)
    mean = per_case.sum(0) / np.maximum(n, 1)
    counts = _counts(len(numbers), boot, seed) if len(numbers) > 1 else np.ones((1, 1), np.float32)
    resampled = counts @ np.where(has, per_case - mean, 0.0).astype(np.float32)
    # A resample without a single case that has this frame says nothing about it: the mean stands in.
    resampled = resampled / _above_zero(counts @ has.astype(np.float32)) + mean
    low, high = np.quantile(resampled, _tails(level), axis=0)
    return CurveEstimate(
        _listed(mean, n >= 1), _listed(low, n >= 2), _listed(high, n >= 2), tuple(int(value) for value in n)
    )


def _order(pair: Pair) -> tuple[str, int]:
    return pair[0], -1 if pair[1] is None else pair[1]


def _checked(values: ArrayLike, weights: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    v = np.asarray(values, np.float64)
    if v.ndim != 1:
        raise InputError(f"values: found shape {v.shape}, expected [V]")
    if not np.isfinite(v).all():
        raise InputError("values: found one that is not finite; leave out what is missing and count it")
    if weights is None:
        return v, None
    w = np.asarray(weights, np.float64)
    if w.shape != v.shape or not np.isfinite(w).all() or (w < 0).any() or (len(w) and not w.any()):
        raise InputError(f"weights: found {w.shape}, expected {v.shape} of finite numbers, zero or more, not all zero")
    return v, w


def _by_case(
    values: NDArray[np.float64], weights: NDArray[np.float64] | None, cases: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted sum and weight of each case, [n] each, in an order that does not depend on that of the videos."""
    w = np.ones_like(values) if weights is None else weights
    if cases is None:
        order = np.lexsort((w, values))
        return values[order] * w[order], w[order]
    if len(cases) != len(values):
        raise InputError(f"cases: found {len(cases)}, expected {len(values)}, one for each value")
    numbers = {case: number for number, case in enumerate(sorted(set(cases), key=repr))}
    place = np.array([numbers[case] for case in cases])
    # Floating-point sums depend on their order: within a case, too, it is the values' own.
    order = np.lexsort((w, values, place))
    total = np.bincount(place[order], (values * w)[order], len(numbers)).astype(np.float64)
    size = np.bincount(place[order], w[order], len(numbers)).astype(np.float64)
    return (total / size, np.ones_like(size)) if weights is None else (total, size)


@lru_cache(maxsize=8)
def _counts(n: int, boot: int, seed: int) -> NDArray[np.float32]:
    """How often each of n cases is drawn, float32 [boot, n]: rows sum to n."""
    return np.random.default_rng([seed, n]).multinomial(n, np.full(n, 1 / n), size=boot).astype(np.float32)


@lru_cache(maxsize=2)
def _signs(n: int, flips: int, seed: int) -> NDArray[np.float32]:
    if not flips:
        return np.array(list(itertools.product((-1.0, 1.0), repeat=n)), np.float32)
    return np.random.default_rng([seed, n]).integers(0, 2, (flips, n), np.int8).astype(np.float32) * 2 - 1


def _tails(level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise InputError(f"level: found {level}, expected a share between 0 and 1")
    return (1 - level) / 2, (1 + level) / 2


def _above_zero(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(values > 0, values, 1)


def _listed(values: NDArray[np.float64], where: NDArray[np.bool_]) -> tuple[float | None, ...]:
    return tuple(float(value) if known else None for value, known in zip(values, where, strict=True))
