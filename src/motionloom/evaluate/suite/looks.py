"""What CLIP and DINO make of a sample's frames: features [T, D], computed once for all metrics that look alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.features import colour_histograms
from motionloom.media.stream import Frames, windows

if TYPE_CHECKING:
    from motionloom.evaluate.networks.clip import ClipEncoder, Preparation
    from motionloom.evaluate.networks.dino import DinoEncoder

Features = NDArray[np.float32]

BASE, LARGE, DINO = "clip-vit-base-patch32", "clip-vit-large-patch14", "dino-vitb16"


def clip_features(evidence: Evidence, name: str, preparation: Preparation = "processor") -> Features:
    """Of all frames of the video, by the CLIP of this name.

    Raises:
        WeightsMissing: it is not here.
    """
    encoder = clip_encoder(evidence, name)
    return _kept(evidence, (name, preparation), evidence.frames, lambda block: encoder.images(block, preparation))


def reference_features(evidence: Evidence, name: str) -> Features:
    """Of all frames of the true video, by the CLIP of this name.

    Raises:
        WeightsMissing: it is not here.
        InputError: the true video has another number of frames.
    """
    assert evidence.reference is not None
    encoder = clip_encoder(evidence, name)
    if evidence.reference.num_frames != evidence.frames.num_frames:
        raise InputError(
            f"reference: found {evidence.reference.num_frames} frames, expected {evidence.frames.num_frames} as the "
            "video has; cut or resample one of them"
        )
    return _kept(evidence, (name, "reference"), evidence.reference, encoder.images)


def dino_features(evidence: Evidence) -> Features:
    """Of all frames of the video, whole as VBench sees them.

    Raises:
        WeightsMissing: DINO is not here.
    """
    return _kept(evidence, (DINO,), evidence.frames, dino_encoder(evidence).images)


def histograms(evidence: Evidence) -> Features:
    """Colours of all frames of the video, what stands in for features offline."""
    return _kept(evidence, ("histograms",), evidence.frames, colour_histograms)


def clip_encoder(evidence: Evidence, name: str) -> ClipEncoder:
    """The CLIP of this name, loaded once."""
    from motionloom.evaluate.networks.clip import ClipEncoder

    return evidence.tools.network(name, lambda folder: ClipEncoder(folder, evidence.tools.device))


def dino_encoder(evidence: Evidence) -> DinoEncoder:
    """DINO, loaded once."""
    from motionloom.evaluate.networks.dino import DinoEncoder

    return evidence.tools.network(DINO, lambda folder: DinoEncoder(folder, evidence.tools.device))


def picked(frames: Frames, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Some frames of a video, [n, H, W, 3]."""
    return np.stack([frames.read(int(number), int(number) + 1)[0] for number in numbers])


_KEPT: WeakKeyDictionary[Evidence, dict[tuple[str, ...], Features]] = WeakKeyDictionary()


def _kept(
    evidence: Evidence, key: tuple[str, ...], frames: Frames, look: Callable[[NDArray[np.uint8]], NDArray[Any]]
) -> Features:
    """Features of all frames, window by window; kept for as long as the evidence is."""
    kept = _KEPT.setdefault(evidence, {})
    if key not in kept:
        kept[key] = np.concatenate([np.asarray(look(block), np.float32) for _, block in windows(frames)])
    return kept[key]
