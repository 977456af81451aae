"""What is measured of a clip that nano made, and how cases are put together: numbers only, no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from _nano_cases import AnchorCase, Case, followed
from numpy.typing import NDArray

from motionloom.evaluate.artifacts import blockiness, flicker, light, pulse, sharpness_kept
from motionloom.evaluate.fidelity import decibels, squared_error
from motionloom.evaluate.networks.lpips import LPIPS
from motionloom.evaluate.perceptual import gms_dissim, lpips
from motionloom.evaluate.statistics import Estimate, estimate, paired
from motionloom.evaluate.tracks import epe, median_error
from motionloom.tracks.tracks import Tracks

FOLLOWING = ("epe", "epe_trackable", "epe_median")
LIKENESS = ("psnr", "psnr_new", "psnr_all", "gms_new", "gms_all", "lpips_new", "lpips_all")
LOOKS = ("flicker", "pulse", "sharpness", "brightness", "contrast", "blocks_4", "blocks_8")
HIGHER = ("psnr", "psnr_new", "psnr_all")
"""What is better when it is higher; of the rest of `FOLLOWING` and `LIKENESS` less is better."""
NEW_PIXELS = 0.01
"""Share of a clip that has to be hidden or outside at the start for the numbers of those pixels to be given."""

Row = dict[str, Any]


def measured(frames: NDArray[np.uint8], case: Case, network: LPIPS | None = None) -> Row:
    """All numbers of one clip beside the true video of its case; None where there is nothing to measure.

    ``epe`` of the points that the tracker finds; ``epe_trackable`` only of those it finds in the true video too;
    ``psnr`` over the pixels that the first frame shows, ``_new`` over those it does not, ``_all`` over both (PSNR of
    the mean squared error over the clip, without the first frame); ``gms`` is `gms_dissim`, ``lpips`` needs its
    weights. Looks: see `motionloom.evaluate.artifacts`.
    """
    found, wanted = followed(frames, case.tracks), case.tracks
    row: Row = {
        "epe": epe(found.points, wanted.points, wanted.visible),
        "epe_trackable": epe(found.points, wanted.points, case.trackable),
        "epe_median": median_error(found.points, wanted.points, wanted.visible),
    }
    new = ~case.seen
    masks = {"": case.seen, "_new": new if new[1:].mean() > NEW_PIXELS else None, "_all": np.ones_like(new)}
    for name, mask in masks.items():
        row[f"psnr{name}"] = None if mask is None else psnr(frames, case.frames, mask)
        if name and mask is not None:
            made, true, within = frames[1:], case.frames[1:], mask[1:]
            row[f"gms{name}"] = _mean(gms_dissim(made, true, mask=within))
            if network is not None:
                # Outside the mask the true picture stands in, so that only the inside is looked at.
                row[f"lpips{name}"] = _mean(lpips(np.where(within[..., None], made, true), true, network))
    return row | looks(frames)


def looks(frames: NDArray[np.uint8]) -> Row:
    """Numbers of a clip that need no truth."""
    lit = light(frames)
    return {
        "flicker": flicker(frames),
        "pulse": pulse(frames),
        "sharpness": sharpness_kept(frames),
        "brightness": lit.shift,
        "contrast": lit.contrast,
        "blocks_4": blockiness(frames, 4),
        "blocks_8": blockiness(frames, 8),
    }


def psnr(made: NDArray[np.uint8], true: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float | None:
    """Of the mean squared error over the pixels [T, H, W] of ``mask`` in all frames together but the first, which is
    given; None where there are none, or no error."""
    totals, counts = squared_error(made[1:], true[1:], mask=mask[1:])
    return decibels(float(totals.sum()), int(counts.sum()))


def following_error(frames: NDArray[np.uint8], wanted: Tracks) -> float:
    """EPE of the tracks found in the frames."""
    error = epe(followed(frames, wanted).points, wanted.points, wanted.visible)
    assert error is not None
    return error


def drift(frames: NDArray[np.uint8], case: AnchorCase) -> Row:
    """How far pinned points stray from where they should stay, in pixels: mean, and share below half a pixel; and the
    end-point error of the points that were told to go."""
    found, told = followed(frames, case.tracks).points.astype(np.float64), case.tracks.points
    pins = np.linalg.norm(found[1:, case.pinned] - told[:1, case.pinned], axis=-1).mean(0)
    moved = np.linalg.norm(found[1:, ~case.pinned] - told[1:, ~case.pinned], axis=-1)
    return {"drift": float(pins.mean()), "stayed": float((pins < 0.5).mean()), "epe_moved": float(moved.mean())}


def interval(rows: Iterable[Row], name: str) -> dict[str, Any]:
    """Mean over cases, its 95 % bootstrap interval, and the number of cases."""
    values = by_case(rows, name)
    return _as_json(estimate(list(values.values()), [case for case, _ in values]))


def ratio(rows: Sequence[Row], base: Sequence[Row], name: str) -> dict[str, Any]:
    """Mean of the first over the mean of the second, over the cases both have, with its bootstrap interval."""
    first, second = by_case(rows, name), by_case(base, name)
    common = [case for case in first if second.get(case, 0.0) > 0]
    values = [first[case] / second[case] for case in common]
    return _as_json(estimate(values, [case for case, _ in common], [second[case] for case in common]))


def difference(rows: Sequence[Row], base: Sequence[Row], name: str) -> dict[str, Any]:
    """The first minus the second, paired by case, with its bootstrap interval and how often the first is better."""
    found = paired(by_case(base, name), by_case(rows, name), "higher" if name in HIGHER else "lower")
    entry = {"mean": found.mean, "low": found.low, "high": found.high, "win_rate": found.win_rate}
    return {**{key: _rounded(value) for key, value in entry.items()}, "n": found.n}


def by_case(rows: Iterable[Row], name: str) -> Mapping[tuple[str, int | None], float]:
    return {(row["case"], None): row[name] for row in rows if row.get(name) is not None}


def _as_json(found: Estimate) -> dict[str, Any]:
    return {"mean": _rounded(found.mean), "low": _rounded(found.low), "high": _rounded(found.high), "n": found.n}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _mean(values: NDArray[np.float64]) -> float | None:
    """Over the frames that have a value."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
