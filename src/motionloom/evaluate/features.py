"""Consistency and similarity of frames as a network sees them: pure functions of features.

Features are one vector per frame, float [T, D], as the network gives them; they are made unit vectors here, and every
similarity is a cosine. Where a clip has too few frames for a number it is None. A clip that does not move scores best
in all of the numbers over time: report them beside how much it moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

Array = NDArray[np.float64]

SAMPLES = 16
"""Frames Circle-Rotate looks at."""


def sampled_frames(num_frames: int, samples: int = SAMPLES) -> NDArray[np.int64]:
    """Frame numbers spread over a clip, int(linspace(0, T - 1, samples)); short clips have some of them repeatedly.

    Source: Circle-Rotate, circle_rotate/metrics.
    """
    return np.linspace(0, num_frames - 1, samples).astype(np.int64)


def clip_i_temporal(features: ArrayLike) -> dict[str, float | None]:
    """Circle-Rotate's "CLIP-I" of a clip against itself, f₀ ... fₙ₋₁ being unit features of sampled frames.

    Source: Circle-Rotate, circle_rotate/metrics (CLIP ViT-B/32, 16 frames).

    Returns:
        first_last: f₀·fₙ₋₁; frame_acc: mean of fᵢ·fᵢ₊₁; global_avg: mean of fᵢ·f₀ as published, with the first frame
        itself, which adds 1/n; global_avg_without_first: without. None for clips of one frame, but for global_avg.
    """
    f = _unit(features, "features")
    if len(f) == 0:
        return dict.fromkeys(("first_last", "frame_acc", "global_avg", "global_avg_without_first"))
    to_first = f @ f[0]
    return {
        "first_last": float(to_first[-1]) if len(f) > 1 else None,
        "frame_acc": _mean((f[1:] * f[:-1]).sum(1)),
        "global_avg": _mean(to_first),
        "global_avg_without_first": _mean(to_first[1:]),
    }


def consistency(features: ArrayLike) -> tuple[float | None, Array]:
    """Subject and background consistency of VBench: mean over i ≥ 1 of (max(0, fᵢ₋₁·fᵢ) + max(0, f₀·fᵢ)) / 2.

    With DINO ViT-B/16 features it is called subject consistency, with CLIP ViT-B/32 background consistency (whole
    frames in both cases, in spite of the names). Source: VBench, subject_consistency.py, background_consistency.py.

    Returns:
        The mean, None for clips of one frame; and its terms [T - 1].
    """
    f = _unit(features, "features")
    terms = ((f[1:] * f[:-1]).sum(1).clip(0) + (f[1:] @ f[0]).clip(0)) / 2 if len(f) > 1 else np.zeros(0)
    return _mean(terms), terms


def over_videos(values: Sequence[float | None], terms: Sequence[int]) -> dict[str, float | None]:
    """A consistency over a set of videos, both ways VBench takes it.

    Args:
        values: of each video; None is left out.
        terms: how many terms each one is the mean of (its frames less one).

    Returns:
        per_video: the mean of the values, VBench when run on several processes; per_frame: weighted by terms, VBench
        on one process, where long videos count more.
    """
    if len(values) != len(terms):
        raise InputError(f"terms: found {len(terms)}, expected one for each of the {len(values)} values")
    known = [(value, number) for value, number in zip(values, terms, strict=True) if value is not None]
    total = sum(number for _, number in known)
    return {
        "per_video": float(np.mean([value for value, _ in known])) if known else None,
        "per_frame": float(sum(value * number for value, number in known) / total) if total else None,
    }


def smoothness(features: ArrayLike) -> float | None:
    """AnimateDiff's "smooth": mean cosine of neighbouring frames (times 100 in its table); None for one frame."""
    f = _unit(features, "features")
    return _mean((f[1:] * f[:-1]).sum(1))


def text_similarity(features: ArrayLike, text: ArrayLike) -> tuple[float | None, Array]:
    """CLIPSIM: mean cosine of each frame to the prompt, neither clamped nor times 100 (torchmetrics' CLIPScore is).

    Args:
        features: of the frames, [T, D]; text: of the prompt by the same network, [D].

    Returns:
        The mean, and the similarity of each frame [T].
    """
    f = _unit(features, "features")
    prompt = _unit(np.atleast_2d(np.asarray(text, np.float64)), "text")
    if len(prompt) != 1:
        raise InputError(f"text: found {len(prompt)} prompts, expected the features of one")
    _check_width(f, prompt, "text")
    terms = f @ prompt[0]
    return _mean(terms), terms


def domain_similarity(features: ArrayLike, images: ArrayLike) -> tuple[float | None, Array]:
    """AnimateDiff's "domain": mean cosine of each frame to reference images [R, D], mean over these.

    Returns:
        The mean, and the similarity of each frame [T].
    """
    f, references = _unit(features, "features"), _unit(images, "images")
    _check_width(f, references, "images")
    terms = (f @ references.T).mean(1) if len(references) else np.zeros(0)
    return _mean(terms), terms


def frame_similarity(features: ArrayLike, reference: ArrayLike) -> tuple[float | None, Array]:
    """CLIP-I to a true video: mean cosine of each frame to the true frame of the same number.

    Source: the evaluation program MoveBench shares with YinHan-Zhang/VideoGen_Metric (CLIP ViT-L/14).

    Returns:
        The mean, and the similarity of each frame [T].

    Raises:
        InputError: another number of frames.
    """
    f, true = _unit(features, "features"), _unit(reference, "reference")
    _check_width(f, true, "reference")
    if len(f) != len(true):
        raise InputError(f"reference: found features of {len(true)} frames, expected {len(f)} as the video has")
    terms = (f * true).sum(1)
    return _mean(terms), terms


def aesthetic(features: ArrayLike, weight: ArrayLike, bias: float) -> tuple[float | None, Array]:
    """LAION's aesthetic score as VBench reports it: (w·f + b) / 10 of unit CLIP ViT-L/14 features, mean over frames.

    Args:
        weight: of the linear head, [D] or [1, D]; bias: of it.

    Returns:
        The mean, mostly within 0 to 1, and the score of each frame [T].
    """
    f = _unit(features, "features")
    head = np.asarray(weight, np.float64).reshape(-1)
    if f.shape[1] != len(head):
        raise InputError(f"weight: found {len(head)} values, expected {f.shape[1]} as the features have")
    terms = (f @ head + float(bias)) / 10
    return _mean(terms), terms


def colour_histograms(frames: NDArray[np.uint8], bins: int = 8, grid: int = 2) -> Array:
    """Colours by place, what stands in for a network's features offline: the root of an RGB histogram per cell.

    The cosine of two of them is the Bhattacharyya coefficient of the histograms, 0 to 1. They know of colours and
    roughly of places, nothing of what is shown.

    Args:
        frames: uint8 [T, H, W, 3]; bins: per channel; grid: cells along each side.

    Returns:
        [T, grid² bins³].
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or min(frames.shape[1:3]) < 1:
        raise InputError(f"frames: found {frames.dtype} {frames.shape}, expected uint8 [T, H, W, 3]")
    count, height, width = frames.shape[:3]
    levels = frames.astype(np.int32) * bins // 256
    colour = (levels[..., 0] * bins + levels[..., 1]) * bins + levels[..., 2]
    row, column = np.arange(height) * grid // height, np.arange(width) * grid // width
    place = (row[:, None] * grid + column) * bins**3
    size = grid**2 * bins**3
    histograms = [np.bincount((place + one).ravel(), minlength=size) for one in colour]
    return np.sqrt(np.asarray(histograms, np.float64).reshape(count, size) / (height * width))


def _unit(features: ArrayLike, name: str) -> Array:
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2:
        raise InputError(f"{name}: found shape {rows.shape}, expected one vector per frame, [T, D]")
    wrong = ~np.isfinite(rows).all(1)
    if wrong.any():
        raise InputError(f"{name}: row {int(np.argmax(wrong))} holds a value that is not finite, expected numbers")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if (length == 0).any():
        raise InputError(f"{name}: row {int(np.argmax(length == 0))} is zero and has no direction")
    return rows / length


def _check_width(first: Array, second: Array, name: str) -> None:
    if first.shape[1] != second.shape[1]:
        raise InputError(f"{name}: found {second.shape[1]} dimensions, expected {first.shape[1]}, of the same network")


def _mean(terms: Array) -> float | None:
    return float(terms.mean()) if len(terms) else None
