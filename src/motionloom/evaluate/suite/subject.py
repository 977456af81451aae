"""Where the subject is and how far it wanders: bindings of `motionloom.evaluate.subject`.

The same numbers three ways, told apart by name: from given masks (``subject_drift``), from a detector and a segmenter
(``..._detected``), and from a box on the first frame that is cut out and tracked (``..._tracked``, no network).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.evaluate import subject as maths
from motionloom.evaluate import tracks as track_maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Better, Measurement, UsedWeights
from motionloom.evaluate.metric import Metric
from motionloom.tracks.trackers import track

_DETECTOR, _SEGMENTER = "rt-detr", "sam"
_SEEDS = 25  # points that are tracked inside of the subject


def _from_masks(evidence: Evidence) -> Iterator[Measurement]:
    masks = evidence.masks
    if masks is None:
        reason = "no masks are given; subject_drift_tracked goes by the box, subject_drift_detected by networks"
        yield Measurement("subject_drift", None, "px", reason=reason)
        return
    numbers = maths.sample_frames(evidence.frames.num_frames)
    yield from _measurements(evidence, numbers, masks[numbers], variant="given masks")


def _from_networks(evidence: Evidence) -> Iterator[Measurement]:
    if evidence.sample.masks is not None:
        return
    from motionloom.evaluate.networks.detector import Detector
    from motionloom.evaluate.networks.segmenter import Segmenter

    tools = evidence.tools
    detector = tools.network(_DETECTOR, lambda path: Detector(path, tools.device))
    segmenter = tools.network(_SEGMENTER, lambda path: Segmenter(path, tools.device))
    numbers = maths.sample_frames(evidence.frames.num_frames)
    box = evidence.sample.box
    outlines: dict[int, NDArray[np.bool_]] = {}
    for number in dict.fromkeys(numbers.tolist()):  # a short video repeats some
        frame = evidence.frames.read(number, number + 1)
        (found,) = detector.detect(frame)
        parts = found.boxes, found.classes, found.confidence
        chosen = maths.choose_detection(*parts) if box is None else maths.choose_same(*parts, box)
        outlines[number] = np.zeros(frame.shape[1:3], np.bool_)
        if chosen is not None and (found.boxes[chosen][2:] > found.boxes[chosen][:2]).all():
            outlines[number] = segmenter.outline(frame[0], found.boxes[chosen])
            box = None if box is None else tuple(found.boxes[chosen].tolist())
    chosen_by = "Circle-Rotate's choice of the subject" if evidence.sample.box is None else "subject in the given box"
    yield from _measurements(
        evidence,
        numbers,
        np.stack([outlines[number] for number in numbers.tolist()]),
        suffix="_detected",
        variant=f"RT-DETR and SAM; {chosen_by}",
        weights=tools.used(_DETECTOR, _SEGMENTER),
    )


def _from_box(evidence: Evidence) -> Iterator[Measurement]:
    box, frames = evidence.sample.box, evidence.frames
    if evidence.sample.masks is not None:
        return
    if box is None:
        raise InputError("no box of the subject on the first frame is given")
    mask = maths.cut_out(frames.read(0, 1)[0], box)
    seeds = maths.points_inside(mask, _SEEDS)
    queries = np.concatenate([np.zeros((len(seeds), 1)), seeds], axis=1)
    followed = track(frames, queries, tracker=evidence.tools.tracker or "offline")
    numbers = maths.sample_frames(frames.num_frames)
    centres = maths.carried_centres(mask, followed.points, followed.visible)[numbers]
    yield from _measurements(
        evidence,
        numbers,
        maths.carried_masks(mask, centres),
        centres=centres,
        suffix="_tracked",
        variant="box on the first frame, median of the tracked points inside",
        fallback=True,
    )


# Neither direction is better by itself: on an orbit the subject should stay (Circle-Rotate), on a drawn path it should
# not.
def _measurements(
    evidence: Evidence,
    numbers: NDArray[np.int64],
    masks: NDArray[np.bool_],
    *,
    variant: str,
    suffix: str = "",
    centres: NDArray[np.float64] | None = None,
    weights: UsedWeights | None = None,
    fallback: bool = False,
) -> Iterator[Measurement]:
    frames = evidence.frames
    centres = maths.centres_of(masks) if centres is None else centres
    found = np.isfinite(centres).all(axis=1)
    drift = maths.subject_drift(centres, frames.size, numbers)
    few = f"the subject is found in {int(found.sum())} of {len(numbers)} sampled frames, and it takes 2"
    curve: list[float | None] = [None] * frames.num_frames
    if drift is not None:
        distances = np.linalg.norm(centres[found] - centres[found].mean(axis=0), axis=1)
        for number, distance in zip(numbers[found].tolist(), distances.tolist(), strict=True):
            curve[number] = distance

    def measurement(
        name: str, value: float | None, reason: str, unit: str = "", better: Better | None = None
    ) -> Measurement:
        return Measurement(
            name + suffix,
            value,
            unit,
            better,
            variant=variant,
            n=int(found.sum()),
            frames=len(numbers),
            resolution=frames.size,
            weights=weights,
            fallback=fallback,
            reason=None if value is not None else reason,
            curve=tuple(curve) if name == "subject_drift" and value is not None else None,
        )

    still = "the video has one frame" if frames.num_frames == 1 else None
    value = None if still else drift
    yield measurement("subject_drift", value and value.drift, still or few, "px")
    yield measurement("subject_drift_norm", value and value.drift_norm, still or few)
    yield measurement("subject_drift_per_frame", value and value.drift_per_frame, still or few, "px/frame")
    yield measurement("subject_detected_fraction", float(found.mean()), "", better="higher")
    samples = np.concatenate([frames.read(number, number + 1) for number in numbers.tolist()])
    inside, everywhere = (None, None) if still else maths.subject_flow(samples, masks)
    yield measurement("subject_flow", inside, still or few, "px")
    yield measurement("global_flow", everywhere, still or few, "px")


def _trajectory(evidence: Evidence) -> Iterator[Measurement]:
    """TrajError and ObjMC as Tora and DragAnything have them: of the centre of the subject's mask."""
    wanted, masks = evidence.wanted, evidence.masks
    assert wanted is not None
    if masks is None:
        return
    name = "trajectory_error_masks"
    if wanted.num_tracks != 1:
        reason = f"the motion has {wanted.num_tracks} tracks on the first frame, and the one subject's path is one"
        yield Measurement(name, None, "px", "lower", reason=reason)
        return
    points, visible = maths.centre_trajectory(masks)
    seen = wanted.visible
    lost = seen & ~visible
    common = {
        "n": int(seen.sum()),
        "frames": wanted.num_frames,
        "resolution": wanted.size,
    }
    rule = "centre of the mask; a lost subject stays where it was"
    for ending, summed in (("", False), ("_sum_xy", True)):
        value = track_maths.trajectory_error(points, wanted.points, seen, summed=summed)
        meaning = "|dx| + |dy|" if summed else "mean of |dx| and |dy|"
        yield Measurement(name + ending, value, "px", "lower", variant=f"{meaning}; {rule}", **common)
        if summed and value is not None:
            at_same, scaled = f"{meaning}, at 256 px on the longer side; {rule}", value * 256 / max(wanted.size)
            yield Measurement(f"{name}{ending}_256", scaled, "px", "lower", variant=at_same, **common)
    value = track_maths.objmc(points, wanted.points)
    yield Measurement("objmc_masks", value, "px", "lower", variant=rule, **common)
    yield Measurement("subject_lost_fraction", float(lost.sum() / seen.sum()), "", "lower", **common)


METRICS = (
    Metric(
        "subject_drift",
        "How far the subject's centre wanders, from given masks",
        _from_masks,
        needs=("subject",),
        unit="px",
    ),
    Metric(
        "subject_drift_detected",
        "How far the subject's centre wanders, by a detector and a segmenter",
        _from_networks,
        bundle="features",
        weights=(_DETECTOR, _SEGMENTER),
        unit="px",
    ),
    Metric(
        "subject_drift_tracked",
        "How far the subject's centre wanders, from a box on the first frame that is tracked",
        _from_box,
        needs=("subject",),
        unit="px",
    ),
    Metric(
        "trajectory_error_masks",
        "Distance of the centre of the subject's mask from its path (TrajError, ObjMC)",
        _trajectory,
        needs=("motion", "subject"),
        unit="px",
        better="lower",
    ),
)
