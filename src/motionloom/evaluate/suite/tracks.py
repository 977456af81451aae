"""How well a video follows its tracks: bindings of `motionloom.evaluate.tracks`."""

from __future__ import annotations

from collections.abc import Iterator

from motionloom.evaluate import tracks as maths
from motionloom.evaluate.categories import camera_similarity
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Better, Measurement
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.suite.fidelity import ONE_FRAME
from motionloom.tracks.tracks import Tracks

_NOTHING = "no track is visible and inside on the first frame and on a later one"
_TOO_FEW = {
    "translation": "no point is seen on the first frame and later",
    "rotation": "fewer than two points apart from each other are seen on the first frame and later",
    "scale": "fewer than two points apart from each other are seen on the first frame and later",
}
_WORSE = "as epe, lost points where they were or where they began, whichever is farther off"
_SAME = "256 px on the longer side"
_KINDS: dict[str, tuple[str, Better, str]] = {
    "epe": ("px", "lower", "visible points, first frame left out"),
    "epe_256": ("px", "lower", f"as epe, at {_SAME}"),
    "epe_median": ("px", "lower", "median over visible points, first frame left out"),
    "epe_with_first": ("px", "lower", "visible points, first frame counted"),
    "epe_pessimistic": ("px", "lower", _WORSE),
    "final_error": ("px", "lower", "last visible frame of each track"),
    "objmc": ("px", "lower", "all points and frames, hidden ones too"),
    "trajectory_error_mean_xy": ("px", "lower", "mean of |dx| and |dy|"),
    "trajectory_error_sum_xy": ("px", "lower", "|dx| + |dy|"),
    "trajectory_error_sum_xy_256": ("px", "lower", f"|dx| + |dy|, at {_SAME}"),
    "velocity_error": ("px/frame", "lower", ""),
    "displacement_correlation": ("", "higher", ""),
    "pck_02": ("", "higher", "within 2 % of the diagonal"),
    "pck_05": ("", "higher", "within 5 % of the diagonal"),
    "pck_10": ("", "higher", "within 10 % of the diagonal"),
    "pck_4px": ("", "higher", "within 4 px at 480x832"),
    "pck_8px": ("", "higher", "within 8 px at 480x832"),
    "pck_16px": ("", "higher", "within 16 px at 480x832"),
    "lost_fraction": ("", "lower", "of visible points"),
}


def _following(evidence: Evidence) -> Iterator[Measurement]:
    wanted, measured = evidence.wanted, evidence.measured
    assert wanted is not None
    assert measured is not None
    found, counts = maths.score(measured, wanted), _counts(wanted)
    by_tracker = f"tracker {tracker_name(evidence)}"
    for name, (unit, better, variant) in _KINDS.items():
        value = found[name]
        curve = None
        if name == "epe" and value is not None:
            curve = tuple(maths.epe_over_time(measured.points, wanted.points, wanted.visible))
        yield Measurement(
            name,
            value,
            unit,
            better,
            variant="; ".join(filter(None, (variant, by_tracker))),
            n=counts.get(name, counts["epe"]),
            frames=wanted.num_frames,
            resolution=wanted.size,
            reason=None if value is not None else _why(wanted.num_tracks, wanted.num_frames),
            curve=curve,
        )


def _counts(wanted: Tracks) -> dict[str, int]:
    """How many values each number is a mean of; those of ``epe`` where it is not said."""
    seen = wanted.visible
    all_frames = dict.fromkeys(
        ("epe_with_first", *(name for name in _KINDS if name.startswith("trajectory_error"))), int(seen.sum())
    )
    return {
        "epe": int(seen[1:].sum()),
        **all_frames,
        "objmc": seen.size,
        "final_error": int(seen[1:].any(0).sum()),
        "velocity_error": int((seen[1:] & seen[:-1]).sum()),
    }


def tracker_name(evidence: Evidence) -> str:
    """What the variant of a number that stands on a tracker calls it."""
    tracker = evidence.tools.tracker
    return "offline" if tracker is None else tracker.name


def _why(tracks: int, frames: int) -> str:
    if frames < 2:
        return ONE_FRAME
    return _NOTHING if tracks == 0 else "nothing that can be compared: no visible point, or nothing moves"


def _beside_floor(evidence: Evidence) -> Iterator[Measurement]:
    """EPE without what the tracker cannot see: the same tracker on the true video tells what that is."""
    wanted, measured, floor = evidence.wanted, evidence.measured, evidence.measured_in_reference
    assert wanted is not None
    assert measured is not None
    assert floor is not None
    seen = maths.trackable(floor.points, wanted.points, wanted.visible, size=wanted.size)
    counted, asked = int(seen[1:].sum()), int(wanted.visible[1:].sum())
    rule = f"where the tracker is within {maths.TRACKABLE:.0%} of the diagonal in the true video"
    curve = tuple(maths.epe_over_time(measured.points, wanted.points, seen))
    numbers: tuple[tuple[str, float | None, str, Better | None, str], ...] = (
        ("epe_trackable", maths.epe(measured.points, wanted.points, seen), "px", "lower", rule),
        ("trackable_fraction", counted / asked if asked else None, "", None, f"of visible points, {rule}"),
        ("epe_of_reference", maths.epe(floor.points, wanted.points, wanted.visible), "px", None, "of the true video"),
    )
    for name, value, unit, better, variant in numbers:
        yield Measurement(
            name,
            value,
            unit,
            better,
            variant=f"{variant}; tracker {tracker_name(evidence)}",
            n=counted if name == "epe_trackable" else asked,
            frames=wanted.num_frames,
            resolution=wanted.size,
            reason=None if value is not None else _why(wanted.num_tracks, wanted.num_frames),
            curve=curve if name == "epe_trackable" and value is not None else None,
        )


def _camera(evidence: Evidence) -> Iterator[Measurement]:
    """The motion of all points together as shift, turn and zoom, which is what a camera move is made of."""
    wanted, measured = evidence.wanted, evidence.measured
    assert wanted is not None
    assert measured is not None
    seen = wanted.visible & measured.visible
    found = camera_similarity(measured.points, wanted.points, seen)
    variant = f"similarity fitted to all points; tracker {tracker_name(evidence)}"
    for name, unit in (("translation", "px"), ("rotation", "degrees"), ("scale", "")):
        value = None if found is None else getattr(found, name)
        yield Measurement(
            f"camera_{name}_error",
            value,
            unit,
            "lower",
            variant=variant,
            n=None if found is None else found.frames,
            frames=wanted.num_frames,
            resolution=wanted.size,
            reason=None if value is not None else ONE_FRAME if wanted.num_frames < 2 else _TOO_FEW[name],
            curve=None if value is None else getattr(found, f"{name}_curve"),
        )


METRICS = (
    Metric(
        "epe",
        "Distance in pixels between where points should be and where they are; PCK, ObjMC, TrajError with it",
        _following,
        needs=("motion",),
        unit="px",
        better="lower",
        pooled={"objmc": "objmc_pooled"},
    ),
    Metric(
        "epe_trackable",
        "EPE where the tracker works: it finds these points in the true video; and its error there",
        _beside_floor,
        needs=("motion", "reference"),
        unit="px",
        better="lower",
    ),
    Metric(
        "camera_translation_error",
        "How far shift, turn and zoom of all points together are from those wanted",
        _camera,
        needs=("motion",),
        unit="px",
        better="lower",
    ),
)
