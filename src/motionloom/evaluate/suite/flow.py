"""Dense flow against that of the true video: bindings of `motionloom.evaluate.flow`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate import flow as maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Measurement, UsedWeights
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.suite.fidelity import ONE_FRAME
from motionloom.media.flow import SMALLEST, optical_flow

_RAFT = "raft-large"
_TOGETHER = 4  # frames that are held at RAFT's size, and pairs that an accelerator looks at together


def _by_raft(evidence: Evidence) -> Measurement:
    from motionloom.evaluate.networks.raft import load_raft, raft_flow

    tools = evidence.tools
    raft = tools.network(_RAFT, lambda path: load_raft(path, tools.device))
    errors: list[float] = []
    last: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
    for _, video, true in evidence.pairs(_TOGETHER):
        made, real = (maths.resized(block, maths.SIZE) for block in (video, true))
        if last is not None:
            made, real = np.concatenate([last[0], made]), np.concatenate([last[1], real])
        last = made[-1:], real[-1:]
        together = 1 if tools.device == "cpu" else _TOGETHER
        for index in range(0, len(made) - 1, together):
            now = slice(index, min(index + together, len(made) - 1))
            after = slice(now.start + 1, now.stop + 1)
            flows = [raft_flow(raft, each[now], each[after], updates=maths.UPDATES) for each in (made, real)]
            errors += maths.flow_errors(*flows).tolist()
    variant = f"RAFT, {maths.UPDATES} updates, both videos at {maths.SIZE[0]}x{maths.SIZE[1]} (MoveBench)"
    return _measurement(evidence, "epe_flow", errors, maths.SIZE, variant, weights=tools.used(_RAFT))


def _by_dis(evidence: Evidence) -> Iterator[Measurement]:
    size = evidence.frames.size
    reason = too_small_for_flow(evidence)
    if reason:
        yield Measurement("epe_flow_dis", None, "px", "lower", fallback=True, reason=reason)
        return
    # In step with the kept flow of the video, of which a second copy would be computed otherwise.
    errors = [
        float(maths.flow_errors(made[None], real[None])[0])
        for (_, made, _), real in zip(evidence.flows(), _true_flows(evidence), strict=True)
    ]
    yield _measurement(evidence, "epe_flow_dis", errors, size, "DIS medium at the video's size")
    scaled = [error * 256 / max(size) for error in errors]
    yield _measurement(evidence, "epe_flow_dis_256", scaled, size, "DIS medium, 256 px on the longer side")


def too_small_for_flow(evidence: Evidence) -> str | None:
    """The reason why there is no DIS flow of a video; None where there is."""
    height, width = evidence.frames.size
    if min(height, width) >= SMALLEST:
        return None
    return f"found {height}x{width} pixels, expected at least {SMALLEST} on each side for optical flow"


def _true_flows(evidence: Evidence) -> Iterator[NDArray[np.float32]]:
    before: NDArray[np.uint8] | None = None
    for _, _, block in evidence.pairs():
        for frame in block:
            if before is not None:
                yield optical_flow(before, frame)
            before = frame


def _measurement(
    evidence: Evidence,
    name: str,
    errors: list[float],
    size: tuple[int, int],
    variant: str,
    weights: UsedWeights | None = None,
) -> Measurement:
    return Measurement(
        name,
        float(np.mean(errors)) if errors else None,
        "px",
        "lower",
        variant=variant,
        n=len(errors),
        frames=evidence.frames.num_frames,
        resolution=size,
        weights=weights,
        fallback=weights is None,
        reason=None if errors else ONE_FRAME,
        curve=(None, *errors) if errors else None,
    )


METRICS = (
    Metric(
        "epe_flow",
        "Distance of dense flow from that of the true video, by RAFT",
        _by_raft,
        bundle="features",
        needs=("reference",),
        weights=(_RAFT,),
        unit="px",
        better="lower",
    ),
    Metric(
        "epe_flow_dis",
        "Distance of dense flow from that of the true video, by DIS flow",
        _by_dis,
        needs=("reference",),
        unit="px",
        better="lower",
    ),
)
