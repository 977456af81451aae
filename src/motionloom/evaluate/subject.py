"""Where the subject of a video is over time, and how far it wanders: pure functions of masks, boxes and frames.

Masks are bool [T, H, W]; centres (x, y) in pixels, continuous as everywhere (a pixel's centre is at +0.5); boxes
(x0, y0, x1, y1). A frame in which the subject was not found has an empty mask.

Source of drift and of the choice among detections: Circle-Rotate (Jklaity/Circle-Rotate,
``circle_rotate/metrics/subject_drift.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError
from motionloom.evaluate.motion import farneback, mean

SAMPLES = 16
"""Frames that Circle-Rotate looks at."""

VEHICLES = (2, 5, 7)
"""Car, bus, truck among COCO's 80 classes: what Circle-Rotate takes for the subject first."""

_VEHICLE_CONFIDENCE, _ANY_CONFIDENCE = 0.25, 0.2  # Circle-Rotate
_SAME_OBJECT = 0.3  # overlap of two boxes to be of one object in neighbouring samples
_GRABCUT_ROUNDS = 4


@dataclass(frozen=True)
class Drift:
    """How far a subject wanders.

    Attributes:
        drift: sqrt(var(x) + var(y)) of its centre, px; the number of Circle-Rotate.
        drift_norm: as a share of the diagonal.
        drift_per_frame: mean distance between neighbouring centres divided by the frames between them, px/frame; None
            where no two of them are of different frames.
        detected_fraction: share of the samples in which there is a subject, 0 to 1.
        centres: (x, y) of every sample, [S, 2], NaN where there is none.
    """

    drift: float
    drift_norm: float
    drift_per_frame: float | None
    detected_fraction: float
    centres: NDArray[np.float64]


def sample_frames(num_frames: int, samples: int = SAMPLES) -> NDArray[np.int64]:
    """Numbers of the frames that are looked at, evenly spread with both ends; short videos repeat some [samples]."""
    if num_frames < 1:
        raise InputError(f"num_frames: found {num_frames}, expected at least 1")
    return np.linspace(0, num_frames - 1, samples).astype(np.int64)


def centres_of(masks: ArrayLike) -> NDArray[np.float64]:
    """Mean (x, y) of every mask [T, H, W], [T, 2]; NaN where it is empty."""
    mask = _masks(masks)
    area = mask.sum((1, 2)).astype(np.float64)
    x = mask.sum(1) @ (np.arange(mask.shape[2]) + 0.5)
    y = mask.sum(2) @ (np.arange(mask.shape[1]) + 0.5)
    with np.errstate(invalid="ignore"):
        return np.stack([x, y], axis=1) / area[:, None]


def subject_drift(centres: ArrayLike, size: tuple[int, int], frame_numbers: ArrayLike | None = None) -> Drift | None:
    """Drift of Circle-Rotate with what makes it comparable across sizes and lengths.

    Args:
        centres: [S, 2] of the samples, NaN where there is no subject; of `centres_of` or of detections.
        size: (height, width) of the video.
        frame_numbers: which frame each sample is, [S]; one after the other unless given.

    Returns:
        None with fewer than two centres: a subject that was found once has no drift, not a drift of zero.
    """
    centre = np.asarray(centres, np.float64)
    if centre.ndim != 2 or centre.shape[1] != 2:
        raise InputError(f"centres: found shape {centre.shape}, expected [S, 2]")
    number = np.arange(len(centre)) if frame_numbers is None else np.asarray(frame_numbers)
    if number.shape != (len(centre),):
        raise InputError(f"frame_numbers: found shape {number.shape}, expected [{len(centre)}]")
    found = np.isfinite(centre).all(1)
    if found.sum() < 2:
        return None
    seen = centre[found]
    drift = float(np.hypot(*seen.std(0)))
    gaps = np.diff(number[found])
    steps = np.linalg.norm(np.diff(seen, axis=0), axis=1)[gaps > 0] / gaps[gaps > 0]
    return Drift(
        drift=drift,
        drift_norm=drift / float(np.hypot(*size)),
        drift_per_frame=float(steps.mean()) if len(steps) else None,
        detected_fraction=float(found.mean()),
        centres=centre,
    )


def subject_flow(frames: NDArray[np.uint8], masks: ArrayLike) -> tuple[float | None, float | None]:
    """Mean length of Farneback's flow from each sample to the next: (inside the subject, in the whole picture), px.

    Inside, only samples that show the subject count. The samples are some frames apart, and the flow is over all of
    that time.

    Args:
        frames: the samples uint8 [S, H, W, 3]; masks: bool [S, H, W].

    Returns:
        None for the first where no sample but the last shows the subject, for both where there is one sample.
    """
    mask = _masks(masks)
    if frames.shape[:3] != mask.shape:
        raise InputError(f"masks: found shape {mask.shape}, expected {frames.shape[:3]} as the frames have")
    grey = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames]
    inside, everywhere = [], []
    for now, after, where in zip(grey[:-1], grey[1:], mask[:-1], strict=True):
        length = np.linalg.norm(farneback(now, after), axis=-1)
        everywhere.append(float(length.mean()))
        if where.any():
            inside.append(float(length[where].mean()))
    return mean(inside), mean(everywhere)


def choose_detection(boxes: ArrayLike, classes: ArrayLike, confidence: ArrayLike) -> int | None:
    """Which detection is the subject (Circle-Rotate): the surest vehicle above 0.25; else the box of largest area, if
    it is surer than 0.2; else none.

    Args:
        boxes: [K, 4]; classes: [K] among COCO's 80, -1 for others; confidence: [K], 0 to 1.
    """
    box, kind, sure = _detections(boxes, classes, confidence)
    if not len(box):
        return None
    vehicle = np.isin(kind, VEHICLES) & (sure > _VEHICLE_CONFIDENCE)
    if vehicle.any():
        return int(np.where(vehicle, sure, -1.0).argmax())
    largest = int(((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])).argmax())
    return largest if sure[largest] > _ANY_CONFIDENCE else None


def choose_same(boxes: ArrayLike, classes: ArrayLike, confidence: ArrayLike, box: ArrayLike) -> int | None:
    """Which detection is what ``box`` showed a moment ago: the one that overlaps it most, if by 0.3 or more."""
    found, _, sure = _detections(boxes, classes, confidence)
    box = _box(box)
    ious = np.array([box_iou(each, box) or 0.0 for each in found])
    overlap = np.where(sure > _ANY_CONFIDENCE, ious, 0.0)
    return int(overlap.argmax()) if len(found) and overlap.max() >= _SAME_OBJECT else None


def centre_trajectory(masks: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A subject's centre as one track: points [T, 1, 2], visible [T, 1], as Tora's TrajError and ObjMC have it.

    Where the subject is lost, the centre stays where it last was and is not visible; before it is first seen, where it
    will be.

    Raises:
        InputError: every mask is empty.
    """
    centre = centres_of(masks)
    visible = np.isfinite(centre[:, 0])
    if not visible.any():
        raise InputError("masks: the subject is in no frame, and has no trajectory")
    last = np.maximum.accumulate(np.where(visible, np.arange(len(centre)), -1))
    points = centre[np.where(last < 0, int(visible.argmax()), last)]
    return points[:, None].astype(np.float32), visible[:, None]


def mask_iou(masks: ArrayLike, others: ArrayLike) -> list[float | None]:
    """Intersection over union of every pair of masks [T, H, W]; None where both are empty."""
    a, b = _masks(masks), _masks(others)
    if a.shape != b.shape:
        raise InputError(f"masks: found shapes {a.shape} and {b.shape}, expected the same twice")
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    return [float(i / u) if u else None for i, u in zip(both, either, strict=True)]


def box_iou(box: ArrayLike, other: ArrayLike) -> float | None:
    """Intersection over union of two boxes; None where both have no area."""
    a, b = _box(box), _box(other)
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    areas = np.prod(np.clip(a[2:] - a[:2], 0, None)) + np.prod(np.clip(b[2:] - b[:2], 0, None))
    return float(sides.prod() / (areas - sides.prod())) if areas else None


def box_of(mask: ArrayLike) -> tuple[float, float, float, float] | None:
    """The smallest box around a mask [H, W]; None where it is empty."""
    inside = np.asarray(mask, np.bool_)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def cut_out(frame: NDArray[np.uint8], box: ArrayLike) -> NDArray[np.bool_]:
    """The subject in a box of a frame uint8 [H, W, 3], bool [H, W]: by GrabCut where that finds something, else all of
    the box.

    Raises:
        InputError: the box has no area inside of the frame.
    """
    height, width = frame.shape[:2]
    edges = _box(box)
    x0, y0, x1, y1 = (round(float(each)) for each in np.clip(edges, 0, [width, height, width, height]))
    if x1 <= x0 or y1 <= y0:
        raise InputError(f"box: {tuple(edges.tolist())} has no area inside of the {width}x{height} video")
    whole = np.zeros((height, width), np.bool_)
    whole[y0:y1, x0:x1] = True
    labels = np.where(whole, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its colour clusters start from random centres
    try:
        picture = np.ascontiguousarray(frame[..., ::-1])
        cv2.grabCut(picture, labels, (0, 0, 1, 1), *models, _GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # a box that is all of the picture leaves no background to learn from
        return whole
    found = whole & ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
    return found if found.sum() >= 0.05 * whole.sum() else whole


def points_inside(mask: ArrayLike, count: int = 25) -> NDArray[np.float64]:
    """About ``count`` points (x, y) spread evenly over a mask [H, W], at pixel centres [N, 2]; at least one."""
    inside = np.asarray(mask, np.bool_)
    if not inside.any():
        raise InputError("mask: it is empty, and holds no point")
    # Away from the rim, where a tracker's window would also see what is behind.
    depth = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    core = depth >= min(3.0, float(depth.max()))
    rows, columns = np.nonzero(core)
    spacing = max(1.0, float(np.sqrt(len(rows) / count)))
    cell = (rows // spacing).astype(np.int64) * inside.shape[1] + (columns // spacing).astype(np.int64)
    _, first = np.unique(cell, return_index=True)
    return np.stack([columns[first], rows[first]], axis=1).astype(np.float64) + 0.5


def carried_centres(mask: ArrayLike, points: ArrayLike, visible: ArrayLike) -> NDArray[np.float64]:
    """Centres [T, 2] of a mask [H, W] of the first frame that moves by the median displacement of tracked points.

    Args:
        points: [T, N, 2], inside of the mask on the first frame; visible: [T, N].

    Returns:
        NaN where no point is visible.
    """
    place, seen = np.asarray(points, np.float64), np.asarray(visible, np.bool_)
    start = centres_of(np.asarray(mask, np.bool_)[None])[0]
    centres = np.full((len(place), 2), np.nan)
    for index, by in enumerate(seen):
        if by.any():
            centres[index] = start + np.median((place[index] - place[0])[by], axis=0)
    return centres


def carried_masks(mask: ArrayLike, centres: ArrayLike) -> NDArray[np.bool_]:
    """A mask [H, W] moved so that its centre is at each of (x, y) [T, 2], to whole pixels: bool [T, H, W].

    What leaves the picture is cut off; a centre that is NaN gives an empty mask.
    """
    inside, centre = np.asarray(mask, np.bool_), np.asarray(centres, np.float64)
    height, width = inside.shape
    rows, columns = np.nonzero(inside)
    moved = np.zeros((len(centre), height, width), np.bool_)
    for index, shift in enumerate(centre - centres_of(inside[None])[0]):
        if np.isfinite(shift).all():
            x, y = columns + round(float(shift[0])), rows + round(float(shift[1]))
            stays = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            moved[index, y[stays], x[stays]] = True
    return moved


def _box(box: ArrayLike) -> NDArray[np.float64]:
    edges = np.asarray(box, np.float64)
    if edges.shape != (4,) or not np.isfinite(edges).all():
        raise InputError(f"box: found {box}, expected (x0, y0, x1, y1) in pixels")
    return edges


def _masks(masks: ArrayLike) -> NDArray[np.bool_]:
    mask = np.asarray(masks)
    if mask.ndim != 3 or 0 in mask.shape:
        raise InputError(f"masks: found shape {mask.shape}, expected bool [T, H, W]")
    return mask.astype(np.bool_)


def _detections(
    boxes: ArrayLike, classes: ArrayLike, confidence: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    box = np.asarray(boxes, np.float64).reshape(-1, 4)
    kind, sure = np.asarray(classes).astype(np.int64).ravel(), np.asarray(confidence, np.float64).ravel()
    if not len(box) == len(kind) == len(sure):
        raise InputError(f"boxes: found {len(box)}, with {len(kind)} classes and {len(sure)} confidences")
    return box, kind, sure
