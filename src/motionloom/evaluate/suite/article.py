"""ME, IC and QS: bindings of `motionloom.evaluate.article`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate import article as maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.suite.fidelity import ONE_FRAME, over_frames
from motionloom.evaluate.suite.flow import too_small_for_flow
from motionloom.evaluate.suite.niqe import measure_niqe
from motionloom.evaluate.suite.tracks import tracker_name
from motionloom.media.stream import Frames, windows

_OURS = "motionloom's definition"
_UNITS = {"me": "px", "me_256": "px", "me_norm": ""}
_VARIANTS = {"me": "", "me_256": ", 256 px on the longer side", "me_norm": ", share of the diagonal"}


def _me(evidence: Evidence) -> Iterator[Measurement]:
    measured, wanted = evidence.measured, evidence.wanted
    assert measured is not None
    assert wanted is not None
    count = int(wanted.visible[1:].sum())
    reason = "no track is visible on the first frame and on a later one" if wanted.num_frames > 1 else ONE_FRAME
    definition = f"{_OURS}: visible points, first frame left out"
    for name, value in maths.motion_error(measured, wanted).items():
        yield Measurement(
            name,
            value,
            _UNITS[name],
            "lower",
            variant=f"{definition}{_VARIANTS[name]}; tracker {tracker_name(evidence)}",
            n=count,
            frames=wanted.num_frames,
            resolution=wanted.size,
            reason=None if value is not None else reason,
        )


def _ic(evidence: Evidence) -> Iterator[Measurement]:
    frames, names = evidence.frames, ("ic", "ic_coverage")
    reason = ONE_FRAME if frames.num_frames < 2 else None
    reason = reason or too_small_for_flow(evidence)
    if reason:
        yield from (Measurement(name, None, better="higher" if name == "ic" else None, reason=reason) for name in names)
        return
    # A value belongs to the later of its two frames: the first has none.
    values: list[float | None] = [None]
    shares: list[float | None] = [None]
    for (frame, following), (_, there, back) in zip(_neighbours(frames), evidence.flows(), strict=True):
        value, share = maths.image_consistency(frame, following, there, back)
        values.append(value)
        shares.append(share)
    variant = f"{_OURS}: SSIM along DIS flow where the way back agrees within 1 px"
    nothing = "the flow there and back agrees nowhere"
    yield over_frames(evidence, "ic", values, better="higher", variant=variant, reason=nothing)
    yield over_frames(evidence, "ic_coverage", shares, variant="share of pixels that ic looks at")


def _neighbours(frames: Frames) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    for _, block in windows(frames, overlap=1):
        yield from pairwise(block)


def _qs(evidence: Evidence) -> Iterator[Measurement]:
    niqe = measure_niqe(evidence)
    for name, score, formula in (
        ("qs", maths.quality_score, "100 exp(-max(0, NIQE - 3) / 5)"),
        ("qs_reciprocal", maths.quality_score_reciprocal, "1 / (1 + NIQE / 10)"),
    ):
        value = None if niqe.value is None else score(niqe.value)
        variant = f"{_OURS}: {formula} of the mean NIQE, {niqe.variant}"
        yield replace(niqe, name=name, value=value, better="higher", variant=variant, curve=None)


METRICS: tuple[Metric, ...] = (
    Metric(
        "me", "ME: distance of points from where they were wanted", _me, needs=("motion",), unit="px", better="lower"
    ),
    Metric("ic", "IC: how well each frame continues the one before", _ic, better="higher"),
    Metric("qs", "QS: quality score from NIQE", _qs, better="higher"),
)
