"""How alike a video is to its true video, to its own beginning, and to the photographs it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate import fidelity as maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Better, Measurement, UsedWeights
from motionloom.evaluate.metric import Metric

Values = Sequence[float | None] | NDArray[np.float64]
Pairs = Iterable[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]

FIRST_FRAMES = 16
"""Frames that the public sibling of MoveBench's evaluation looks at; ``*_first16`` are over those."""

ONE_FRAME = "the video has one frame"
_IDENTICAL = "identical: every frame equals that of the true video"

_TRUE_SIZE = "at the true video's size"
"""As MoveBench's programs do, which makes models of different sizes comparable; the other metrics are taken at the
size of the video."""


def over_frames(
    evidence: Evidence,
    name: str,
    values: Values,
    *,
    frames: int | None = None,
    reason: str = "no frame has a value",
    unit: str = "",
    better: Better | None = None,
    variant: str = "",
    weights: UsedWeights | None = None,
    fallback: bool = False,
) -> Measurement:
    """The mean of one value per frame; over all frames with the curve, or over the first ``frames`` without."""
    known = [None if value is None else float(value) for value in values][:frames]
    value, curve = maths.mean_of(known), None
    if frames is None and value is not None:
        curve = (*known, *[None] * (evidence.frames.num_frames - len(known)))
    return Measurement(
        name,
        value,
        unit,
        better,
        variant=variant,
        n=len([each for each in known if each is not None]),
        frames=len(known),
        resolution=evidence.frames.size,
        weights=weights,
        fallback=fallback,
        reason=reason if value is None else None,
        curve=curve,
    )


def beside_reference(evidence: Evidence, variant: str = "") -> str:
    """A variant with, where it is so, that the true video was resized."""
    reference = evidence.reference
    if reference is None or tuple(reference.size) == tuple(evidence.frames.size):
        return variant
    # Without the size it had: cases of a set may have true videos of many sizes, and one mean.
    return f"{variant}, true video resized" if variant else "true video resized"


def first_and_last(evidence: Evidence) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """The first and the last frame, uint8 [1, H, W, 3] each; None where they are the same one."""
    last = evidence.frames.num_frames - 1
    return (evidence.frames.read(0, 1), evidence.frames.read(last, last + 1)) if last > 0 else None


def _psnr(evidence: Evidence) -> Iterator[Measurement]:
    total, count, values = _decibels_of(evidence.pairs())
    settings: dict[str, Any] = {"unit": "dB", "better": "higher", "reason": _IDENTICAL}
    variant = "mean over frames, identical ones left out"
    yield over_frames(evidence, "psnr", values, variant=beside_reference(evidence, variant), **settings)
    first = beside_reference(evidence, f"{variant}, first {FIRST_FRAMES} frames")
    yield over_frames(evidence, f"psnr_first{FIRST_FRAMES}", values, frames=FIRST_FRAMES, variant=first, **settings)
    pooled = beside_reference(evidence, "one mean squared error for all frames")
    yield _pooled(evidence, "psnr_video", total, count, pooled, _IDENTICAL)
    at_true_size = _at_true_size(evidence, values, lambda pairs: _decibels_of(pairs)[2])
    variant = f"{variant}, {_TRUE_SIZE}"
    yield _of_true_size(evidence, over_frames(evidence, "psnr_movebench", at_true_size, variant=variant, **settings))


def _decibels_of(pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.int64], list[float | None]]:
    """Squared errors, numbers of values, and PSNR of each frame."""
    totals, counts = zip(*(maths.squared_error(video, reference) for _, video, reference in pairs), strict=True)
    total, count = np.concatenate(totals), np.concatenate(counts)
    return total, count, [maths.decibels(each, number) for each, number in zip(total, count, strict=True)]


def _at_true_size(evidence: Evidence, values: Values, look: Callable[[Pairs], Values]) -> Values:
    """``values`` where the video has the true one's size; else those of the video brought to it."""
    assert evidence.reference is not None
    size = evidence.reference.size
    return values if tuple(size) == tuple(evidence.frames.size) else look(evidence.pairs(size=size))


def _of_true_size(evidence: Evidence, measurement: Measurement) -> Measurement:
    assert evidence.reference is not None
    return replace(measurement, resolution=evidence.reference.size)


def _ssim(evidence: Evidence) -> Iterator[Measurement]:
    values = _ssim_of(evidence.pairs())
    for name, frames in (("ssim", None), (f"ssim_first{FIRST_FRAMES}", FIRST_FRAMES)):
        variant = beside_reference(evidence, "RGB channels" + (f", first {frames} frames" if frames else ""))
        yield over_frames(evidence, name, values, frames=frames, better="higher", variant=variant)
    at_true_size, variant = _at_true_size(evidence, values, _ssim_of), f"RGB channels, {_TRUE_SIZE}"
    measured = over_frames(evidence, "ssim_movebench", at_true_size, better="higher", variant=variant)
    yield _of_true_size(evidence, measured)


def _ssim_of(pairs: Pairs) -> NDArray[np.float64]:
    return np.concatenate([maths.ssim(video, reference) for _, video, reference in pairs])


def _ssim_gray_cr(evidence: Evidence) -> Measurement:
    values = np.concatenate([maths.ssim_gray_cr(video, reference) for _, video, reference in evidence.pairs()])
    variant = beside_reference(evidence, "grey, as Circle-Rotate")
    return over_frames(evidence, "ssim_gray_cr", values, better="higher", variant=variant)


def _ms_ssim(evidence: Evidence) -> Measurement:
    values = np.concatenate([maths.ms_ssim(video, reference) for _, video, reference in evidence.pairs()])
    variant = beside_reference(evidence, "RGB channels, five scales")
    return over_frames(evidence, "ms_ssim", values, better="higher", variant=variant)


def _psnr_parts(evidence: Evidence) -> Iterator[Measurement]:
    masks, parts = evidence.masks, ("psnr_subject", "psnr_background")
    if masks is None:
        for name in parts:
            yield Measurement(name, None, "dB", "higher", reason="no masks of the subject are given")
        return
    sums: dict[str, list[tuple[NDArray[np.float64], NDArray[np.int64]]]] = {name: [] for name in parts}
    for start, video, reference in evidence.pairs():
        inside = masks[start : start + len(video)]
        for name, mask in zip(parts, (inside, ~inside), strict=True):
            sums[name].append(maths.squared_error(video, reference, mask=mask))
    for name, where in zip(parts, ("inside", "outside"), strict=True):
        total, count = (np.concatenate(each) for each in zip(*sums[name], strict=True))
        variant = beside_reference(evidence, f"one mean squared error {where} the masks")
        yield _pooled(evidence, name, total, count, variant, f"identical {where} the masks")


def _pooled(
    evidence: Evidence, name: str, total: NDArray[np.float64], count: NDArray[np.int64], variant: str, identical: str
) -> Measurement:
    value = maths.decibels(float(total.sum()), int(count.sum()))
    return Measurement(
        name,
        value,
        "dB",
        "higher",
        variant=variant,
        n=int(count.sum()),
        frames=int((count > 0).sum()),
        resolution=evidence.frames.size,
        reason=None if value is not None else identical if count.any() else "no pixel counts",
    )


def _first_last(evidence: Evidence) -> Iterator[Measurement]:
    pair = first_and_last(evidence)
    for name, unit, compute in (
        ("first_last_psnr", "dB", maths.psnr),
        ("first_last_ssim_gray_cr", "", maths.ssim_gray_cr),
        ("first_last_ssim", "", maths.ssim),
    ):
        if pair is None:
            yield Measurement(name, None, unit, reason=ONE_FRAME)
        else:
            value = compute(*pair)[0]
            yield Measurement(
                name,
                None if value is None else float(value),
                unit,
                variant="first and last frame of the video",
                n=1,
                frames=2,
                resolution=evidence.frames.size,
                reason="identical: the two frames" if value is None else None,
            )


def _endpoint_first(evidence: Evidence) -> Iterator[Measurement]:
    assert evidence.first_image is not None
    yield from _endpoint(evidence, "first", evidence.frames.read(0, 1), evidence.first_image[None])


def _endpoint_last(evidence: Evidence) -> Iterator[Measurement]:
    assert evidence.last_image is not None
    last = evidence.frames.num_frames - 1
    yield from _endpoint(evidence, "last", evidence.frames.read(last, last + 1), evidence.last_image[None])


def _endpoint(
    evidence: Evidence, which: str, frame: NDArray[np.uint8], image: NDArray[np.uint8]
) -> Iterator[Measurement]:
    for name, unit, compute in (("psnr", "dB", maths.psnr), ("ssim", "", maths.ssim)):
        value = compute(frame, image)[0]
        yield Measurement(
            f"endpoint_{which}_{name}",
            None if value is None else float(value),
            unit,
            "higher",
            variant=f"{which} frame and {which} image",
            n=1,
            frames=1,
            resolution=evidence.frames.size,
            reason="identical: the frame is the image" if value is None else None,
        )


METRICS: tuple[Metric, ...] = (
    Metric("psnr", "PSNR beside the true video", _psnr, needs=("reference",), unit="dB", better="higher"),
    Metric("ssim", "SSIM beside the true video", _ssim, needs=("reference",), better="higher"),
    Metric(
        "ssim_gray_cr",
        "SSIM of the grey pictures beside the true video, as Circle-Rotate has it",
        _ssim_gray_cr,
        needs=("reference",),
        better="higher",
    ),
    Metric("ms_ssim", "Multi-scale SSIM beside the true video", _ms_ssim, needs=("reference",), better="higher"),
    Metric(
        "psnr_subject",
        "PSNR inside and outside the masks of the subject, beside the true video",
        _psnr_parts,
        needs=("reference", "subject"),
        unit="dB",
        better="higher",
    ),
    # Circle-Rotate's: neither direction is better, since a video that stands still has the highest value.
    Metric("first_last_psnr", "How alike the last frame is to the first", _first_last, unit="dB"),
    Metric(
        "endpoint_first_psnr",
        "How alike the first frame is to the first image",
        _endpoint_first,
        needs=("first_image",),
        unit="dB",
        better="higher",
    ),
    Metric(
        "endpoint_last_psnr",
        "How alike the last frame is to the last image",
        _endpoint_last,
        needs=("last_image",),
        unit="dB",
        better="higher",
    ),
)
