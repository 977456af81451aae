"""Distances of the generated videos from the true ones as two sets: bindings of `motionloom.evaluate.frechet`.

The published protocols differ in the network, in which frames they look at and in the covariance; each has a name of
its own here. The numbers of a set mean little below twice as many samples as the features have dimensions, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate import motion_features
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.frechet import (
    Covariance,
    clip_frames,
    frechet_distance,
    frechet_distance_by_svd,
    shortage,
)
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.metric import DistributionMetric, Which
from motionloom.media.stream import Frames, windows

Rows = NDArray[np.float32]

SEED = 0
"""Which clip of a video is drawn depends on this and on the name of the case."""

MOVEBENCH_FRAMES = 81
"""Frames of a clip of MoveBench."""

_INCEPTION, _STYLEGAN_V, _TATS, _VIDEOMAE = "inception-fid", "i3d-torchscript", "i3d-tats", "videomae-ssv2"
_DRAWN = f"one per video drawn with seed {SEED}, shorter videos left out"


def _inception(evidence: Evidence, which: Which) -> Rows:
    from motionloom.evaluate.networks.inception import frame_features, load_inception

    device = evidence.tools.device
    network = evidence.tools.network(_INCEPTION, lambda path: load_inception(path, device))
    return np.concatenate([frame_features(network, block) for _, block in windows(_frames(evidence, which))])


def _drawn_clip(
    evidence: Evidence, which: Which, *, weights: str, dimensions: int, length: int = 16, every: int = 1
) -> Rows:
    """Features [1, D] of one clip of a video; [0, D] where it is too short."""
    network = _clip_network(evidence, weights)  # first: missing weights are the reason that helps
    frames = _frames(evidence, which)
    numbers = clip_frames(frames.num_frames, evidence.sample.name, length=length, every=every, seed=SEED)
    if numbers is None:
        return np.zeros((0, dimensions), np.float32)
    return network(frames.read(int(numbers[0]), int(numbers[-1]) + 1)[None, ::every])


def _beginning(evidence: Evidence, which: Which) -> Rows:
    """Features [1, 400] of a video from its start; [0, 400] where the network has too little to pool over."""
    from motionloom.evaluate.networks.i3d import DIMENSIONS, SHORTEST

    network = _clip_network(evidence, _TATS)
    frames = _frames(evidence, which)
    if frames.num_frames < SHORTEST:
        return np.zeros((0, DIMENSIONS), np.float32)
    return network(frames.read(0, min(frames.num_frames, MOVEBENCH_FRAMES))[None])


def _clip_network(evidence: Evidence, weights: str) -> Callable[[NDArray[np.uint8]], Rows]:
    from motionloom.evaluate.networks.i3d import load_i3d, load_i3d_torchscript
    from motionloom.evaluate.networks.videomae import load_videomae

    load: Any = {_STYLEGAN_V: load_i3d_torchscript, _TATS: load_i3d, _VIDEOMAE: load_videomae}[weights]
    return evidence.tools.network(weights, lambda path: load(path, evidence.tools.device))


def _motion(evidence: Evidence, which: Which) -> Rows:
    return _by_window(evidence, which, motion_features.motion_of_frames, 256)


def _spectrum(evidence: Evidence, which: Which) -> Rows:
    return _by_window(evidence, which, motion_features.spectrum, 64)


def _by_window(
    evidence: Evidence, which: Which, look: Callable[[NDArray[np.uint8]], NDArray[Any]], dimensions: int
) -> Rows:
    frames = _frames(evidence, which)
    found = [look(frames.read(*window)) for window in motion_features.windows_of(frames.num_frames)]
    return np.asarray(found, np.float32).reshape(len(found), dimensions)


def _appearance(evidence: Evidence, which: Which) -> Rows:
    return np.concatenate([motion_features.appearance(block) for _, block in windows(_frames(evidence, which))])


def _frames(evidence: Evidence, which: Which) -> Frames:
    frames = evidence.frames if which == "video" else evidence.reference
    assert frames is not None
    return frames


def _compare(
    real: NDArray[Any], generated: NDArray[Any], *, name: str, how: str, covariance: Covariance
) -> Iterator[Measurement]:
    """The distance by the published program's covariance under the name, that by the other one beside it."""
    other: Covariance = "unbiased" if covariance == "biased" else "biased"
    both: tuple[tuple[str, Covariance], ...] = ((name, covariance), (f"{name}_{other}", other))
    for named, convention in both:
        value = frechet_distance(real, generated, covariance=convention)
        yield _measurement(named, value, f"{how}; {convention} covariance", real, generated)
        if value is None:
            return


def _compare_by_svd(real: NDArray[Any], generated: NDArray[Any], *, name: str, how: str) -> Measurement:
    value = frechet_distance_by_svd(real, generated)
    return _measurement(name, value, f"{how}; unbiased covariance, roots by SVD", real, generated)


def _compare_reduced(real: NDArray[Any], generated: NDArray[Any], *, name: str, how: str) -> Measurement:
    how = f"{how}; on principal axes of the true set and the rest; unbiased covariance"
    if min(len(real), len(generated)) < 2:
        return _measurement(name, None, how, real, generated, fallback=True)
    a, b = motion_features.reduce(real, generated)
    return _measurement(name, frechet_distance(a, b), how, a, b, fallback=True, said=f"{a.shape[1] - 1} axes")


def _measurement(
    name: str,
    value: float | None,
    how: str,
    real: NDArray[Any],
    generated: NDArray[Any],
    *,
    fallback: bool = False,
    said: str = "",
) -> Measurement:
    # The numbers of samples stand beside the variant: a run that lost a video is still of the same protocol.
    doubt = shortage(len(real), len(generated), real.shape[1])
    counts = f"{len(real)} true and {len(generated)} generated samples"
    return Measurement(
        name,
        value,
        better="lower",
        variant=how,
        note="; ".join(filter(None, (counts, said, doubt if value is not None else None))),
        n=min(len(real), len(generated)),
        fallback=fallback,
        reason=None if value is not None else doubt or "the distance is not defined for these sets",
    )


def _fallbacks() -> Iterator[DistributionMetric]:
    window = f"windows of {motion_features.WINDOW} frames, all of a shorter video"
    for name, title, features, how in (
        (
            "fvmd_tracks",
            "How differently the two sets move: Fréchet distance of histograms of velocity and acceleration",
            _motion,
            f"8x8 points followed by the offline tracker, {window}",
        ),
        (
            "fvd_fallback_dct",
            "Spectra over space and time, where I3D is not here; comparable within one report only",
            _spectrum,
            f"amplitude per frequency, {window}",
        ),
        (
            "fid_fallback_dct",
            "Colours and spectra of frames, where Inception is not here; comparable within one report only",
            _appearance,
            "colours by place and 8x8 cosine spectra, all frames",
        ),
    ):
        yield DistributionMetric(name, title, features, partial(_compare_reduced, name=name, how=how))


def _fvd(
    name: str, title: str, weights: str, dimensions: int, covariance: Covariance, **clip: int
) -> DistributionMetric:
    length, every = clip.get("length", 16), clip.get("every", 1)
    which = f"clips of {length} frames, every {every}th" if every > 1 else f"clips of {length} consecutive frames"
    return DistributionMetric(
        name,
        title,
        partial(_drawn_clip, weights=weights, dimensions=dimensions, **clip),
        partial(_compare, name=name, how=f"{weights}, {which}, {_DRAWN}", covariance=covariance),
        weights=(weights,),
    )


METRICS = (
    *_fallbacks(),
    DistributionMetric(
        "fid",
        "FID of all frames, as pytorch-fid computes it",
        _inception,
        partial(_compare, name="fid", how=f"{_INCEPTION}, 2048 features at 299 px, all frames", covariance="unbiased"),
        weights=(_INCEPTION,),
    ),
    _fvd("fvd", "FVD by StyleGAN-V's protocol, 16 frames", _STYLEGAN_V, 400, "biased"),
    _fvd("fvd_128", "FVD by StyleGAN-V's protocol, 128 frames", _STYLEGAN_V, 400, "biased", length=128),
    _fvd("fvd_128_every_8", "FVD by StyleGAN-V's protocol, 16 of 128 frames", _STYLEGAN_V, 400, "biased", every=8),
    _fvd("fvd_tats", "FVD as TATS computes it", _TATS, 400, "unbiased"),
    DistributionMetric(
        "fvd_movebench",
        "FVD as MoveBench computes it: TATS' network and roots, whole videos",
        _beginning,
        partial(_compare_by_svd, name="fvd_movebench", how=f"{_TATS}, the first {MOVEBENCH_FRAMES} frames or fewer"),
        weights=(_TATS,),
    ),
    _fvd("cd_fvd", "Content-debiased FVD: more sensitive to motion than to looks", _VIDEOMAE, 1408, "biased"),
)
