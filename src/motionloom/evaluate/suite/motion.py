"""How much and how smoothly a video moves: bindings of `motionloom.evaluate.motion`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate import motion as maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Better, Measurement, UsedWeights
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.suite.fidelity import ONE_FRAME
from motionloom.evaluate.suite.flow import too_small_for_flow
from motionloom.media.flow import optical_flow
from motionloom.media.stream import windows

_RAFT = "raft-things"


def _magnitude(evidence: Evidence) -> Iterator[Measurement]:
    values = _over_pairs(evidence, maths.flow_magnitudes)
    value = maths.mean(values)
    scaled = None if value is None else maths.normalised(value, evidence.frames.size)
    flow = "Farneback (Circle-Rotate)"
    yield _measurement(evidence, "motion_magnitude", value, values, "px/frame", variant=flow)
    yield _measurement(
        evidence, "motion_magnitude_norm", scaled, values, "px/frame", variant=f"{flow}; 256 px on the shorter side"
    )


def _changed(evidence: Evidence) -> Iterator[Measurement]:
    for name, threshold in (("dynamic_degree_cr", 10), ("dynamic_degree_cr_25", 25)):
        values = _over_pairs(evidence, partial(maths.changed_shares, threshold=threshold))
        variant = f"share of pixels whose grey value changes by more than {threshold} (Circle-Rotate)"
        yield _measurement(evidence, name, maths.mean(values), values, variant=variant, curve=True)


def _flickering(evidence: Evidence) -> Measurement:
    values = _over_pairs(evidence, maths.differences)
    value = maths.temporal_flickering(values.astype(np.float32))
    curve = 1 - values / 255
    return _measurement(evidence, "temporal_flickering", value, curve, better="higher", variant="VBench", curve=True)


def _dynamic_by_raft(evidence: Evidence) -> Iterator[Measurement]:
    from motionloom.evaluate.networks.raft import load_raft, raft_flow

    tools = evidence.tools
    raft = tools.network(_RAFT, lambda path: load_raft(path, tools.device))
    pairs = pairwise(_sampled(evidence, maths.sampling_step(evidence.frames.fps)))
    flows = (raft_flow(raft, first[None], second[None])[0] for first, second in pairs)
    return _dynamic(evidence, flows, "", "RAFT, 20 updates", tools.used(_RAFT))


def _dynamic_by_dis(evidence: Evidence) -> Iterator[Measurement]:
    step = maths.sampling_step(evidence.frames.fps)
    if step == 1:  # other metrics look at the same pairs
        flows = (there for _, there, _ in evidence.flows())
    else:
        flows = (optical_flow(first, second) for first, second in pairwise(_sampled(evidence, step)))
    return _dynamic(evidence, flows, "_dis", "DIS medium", None, too_small_for_flow(evidence))


def _dynamic(
    evidence: Evidence,
    flows: Iterator[NDArray[np.float32]],
    suffix: str,
    network: str,
    weights: UsedWeights | None,
    reason: str | None = None,
) -> Iterator[Measurement]:
    """VBench's yes or no, and the speed it goes by."""
    frames = evidence.frames
    step = maths.sampling_step(frames.fps)
    numbers = range(0, frames.num_frames, step)
    speeds: list[float] = []
    for flow in flows if reason is None else ():
        speed = maths.fastest_flow(flow)
        if speed is None:
            reason = f"5 % of {frames.size[1]}x{frames.size[0]} pixels is less than one"
            break
        speeds.append(speed)
    moving = None if reason else maths.is_dynamic(speeds, frames.size)
    if moving is None and reason is None:
        reason = f"{len(numbers)} of {frames.num_frames} frames are sampled at {frames.fps:g} fps, and it takes 3"
    variant = f"{network}; sampled about 8 times a second (VBench 0.1.5)"
    speed = maths.mean(speeds)
    curve: list[float | None] = [None] * frames.num_frames
    for number, value in zip(numbers[1:], speeds, strict=False):
        curve[number] = value
    for name, number, unit, meaning, why in (
        ("dynamic_degree", None if moving is None else float(moving), "", "1 moves, 0 does not", reason),
        ("fastest_flow", speed, "px", "mean of the fastest 5 %, between samples", reason or ONE_FRAME),
    ):
        yield Measurement(
            name + suffix,
            number,
            unit,
            variant=f"{meaning}; {variant}",
            n=len(speeds),
            frames=len(numbers),
            resolution=frames.size,
            weights=weights,
            fallback=bool(suffix),
            reason=None if number is not None else why,
            curve=tuple(curve) if name == "fastest_flow" and speed is not None else None,
            note=f"every {step}th frame" if step > 1 else "",
        )


def _smoothness_by_network(evidence: Evidence) -> Measurement:
    return Measurement(
        "motion_smoothness",
        None,
        better="higher",
        reason="VBench's frames in between come from the network AMT-S (MCG-NKU/AMT, amt-s.pth, CC BY-NC 4.0), which "
        "motionloom does not hold; motionloom.evaluate.motion.motion_smoothness takes any interpolator, and "
        "motion_smoothness_flowinterp needs none",
    )


def _smoothness_by_flow(evidence: Evidence) -> Iterator[Measurement]:
    frames = evidence.frames
    fallbacks = (
        ("motion_smoothness_flowinterp", maths.halfway, "in between by DIS flow"),
        ("motion_smoothness_average", maths.average, "in between by averaging, for orientation"),
    )
    for name, interpolate, variant in fallbacks:
        small = too_small_for_flow(evidence) if interpolate is maths.halfway else None
        if small:
            yield Measurement(name, None, better="higher", fallback=True, reason=small)
            continue
        errors: list[float] = []
        # Blocks of an odd length that share a frame all begin with an even one.
        for _, block in windows(frames, 33, overlap=1):
            smooth = maths.motion_smoothness(block, interpolate)
            errors += [] if smooth is None else list(smooth.error)
        curve: list[float | None] = [None] * frames.num_frames
        for index, error in enumerate(errors):
            curve[2 * index + 1] = (255 - error) / 255
        yield Measurement(
            name,
            (255 - float(np.mean(errors))) / 255 if errors else None,
            better="higher",
            variant=f"{variant} (arithmetic of VBench)",
            n=len(errors),
            frames=frames.num_frames,
            resolution=frames.size,
            fallback=True,
            reason=None if errors else _too_short(frames.num_frames),
            curve=tuple(curve) if errors else None,
        )


def _too_short(frames: int) -> str:
    return ONE_FRAME if frames == 1 else f"the video has {frames} frames, and it takes 3"


def _over_pairs(evidence: Evidence, of: Callable[[NDArray[np.uint8]], NDArray[np.floating]]) -> NDArray[np.float64]:
    """A number for every pair of neighbouring frames [T - 1], of functions that want a block of frames."""
    parts = [of(block).astype(np.float64) for _, block in windows(evidence.frames, overlap=1)]
    return np.concatenate(parts)


def _sampled(evidence: Evidence, step: int) -> Iterator[NDArray[np.uint8]]:
    for start, block in windows(evidence.frames):
        yield from block[-start % step :: step]


def _measurement(
    evidence: Evidence,
    name: str,
    value: float | None,
    values: NDArray[np.float64],
    unit: str = "",
    *,
    variant: str,
    better: Better | None = None,
    curve: bool = False,
) -> Measurement:
    """Of a mean over pairs; a pair's own value stands at the later of its frames."""
    frames = evidence.frames
    return Measurement(
        name,
        value,
        unit,
        better,
        variant=variant,
        n=len(values),
        frames=frames.num_frames,
        resolution=frames.size,
        reason=None if value is not None else ONE_FRAME,
        curve=(None, *values.tolist()) if curve and value is not None else None,
    )


METRICS = (
    Metric("motion_magnitude", "How far pixels move from frame to frame", _magnitude, unit="px/frame"),
    Metric("dynamic_degree_cr", "Share of pixels that change from frame to frame", _changed),
    Metric("temporal_flickering", "Steadiness of a scene that stands still", _flickering, better="higher"),
    Metric("dynamic_degree", "Whether a video moves, by RAFT", _dynamic_by_raft, bundle="features", weights=(_RAFT,)),
    Metric("dynamic_degree_dis", "Whether a video moves, by DIS flow", _dynamic_by_dis),
    Metric(
        "motion_smoothness",
        "Whether every other frame follows from its neighbours, by AMT-S",
        _smoothness_by_network,
        bundle="features",
        better="higher",
    ),
    Metric(
        "motion_smoothness_flowinterp",
        "Whether every other frame follows from its neighbours, by DIS flow and by averaging",
        _smoothness_by_flow,
        better="higher",
    ),
)
