"""How different a video looks from its true video, its own beginning, and the photographs it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate import perceptual as maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Better, Measurement
from motionloom.evaluate.metric import Metric, Need
from motionloom.evaluate.suite.fidelity import FIRST_FRAMES, ONE_FRAME, beside_reference, first_and_last, over_frames

if TYPE_CHECKING:
    from motionloom.evaluate.networks.backbones import BackboneName
    from motionloom.evaluate.networks.lpips import LPIPS

Video = NDArray[np.uint8]

_WEIGHTS: dict[BackboneName, tuple[str, str]] = {"alex": ("alexnet", "lpips-alex"), "vgg": ("vgg16", "lpips-vgg")}
_TITLES: dict[BackboneName, str] = {"alex": "AlexNet", "vgg": "VGG-16"}
_GRADIENTS = "gradient magnitude similarity"


def _network(evidence: Evidence, name: BackboneName) -> LPIPS:
    from motionloom.evaluate.networks.lpips import load_lpips

    tools = evidence.tools
    backbone, heads = _WEIGHTS[name]
    path = tools.path(backbone)
    return tools.network(heads, lambda found: load_lpips(name, path, found).to(tools.device))


def _lpips(name: BackboneName) -> Callable[[Evidence], Iterator[Measurement]]:
    def compute(evidence: Evidence) -> Iterator[Measurement]:
        network = _network(evidence, name)
        values = np.concatenate([maths.lpips(video, true, network) for _, video, true in evidence.pairs()])
        for end, frames in (("", None), (f"_first{FIRST_FRAMES}", FIRST_FRAMES)):
            variant = f"{_TITLES[name]}, v0.1" + (f", first {frames} frames" if frames else "")
            yield over_frames(
                evidence,
                f"lpips_{name}{end}",
                values,
                frames=frames,
                better="lower",
                variant=beside_reference(evidence, variant),
                weights=evidence.tools.used(*_WEIGHTS[name]),
            )

    return compute


def _gms_dissim(evidence: Evidence) -> Measurement:
    values = np.concatenate([maths.gms_dissim(video, true) for _, video, true in evidence.pairs()])
    variant = beside_reference(evidence, _GRADIENTS)
    return over_frames(evidence, "gms_dissim", values, better="lower", variant=variant, fallback=True)


def _first_frames(evidence: Evidence) -> tuple[Video, Video] | None:
    assert evidence.first_image is not None
    return evidence.frames.read(0, 1), evidence.first_image[None]


def _last_frames(evidence: Evidence) -> tuple[Video, Video] | None:
    assert evidence.last_image is not None
    last = evidence.frames.num_frames - 1
    return evidence.frames.read(last, last + 1), evidence.last_image[None]


def _pair_metrics(
    prefix: str,
    title: str,
    variant: str,
    frames_of: Callable[[Evidence], tuple[Video, Video] | None],
    needs: tuple[Need, ...],
    better: Better | None,
) -> tuple[Metric, Metric]:
    """The two distances of one pair of pictures: by AlexNet, and its fallback."""

    def measured(evidence: Evidence, name: str, learned: bool) -> Measurement:
        network = _network(evidence, "alex") if learned else None
        pair = frames_of(evidence)
        if pair is None:
            return Measurement(name, None, better=better, fallback=not learned, reason=ONE_FRAME)
        values = maths.gms_dissim(*pair) if network is None else maths.lpips(*pair, network)
        return Measurement(
            name,
            float(values[0]),
            better=better,
            variant=f"{variant}, {'AlexNet, v0.1' if learned else _GRADIENTS}",
            n=1,
            frames=1 if needs else 2,
            resolution=evidence.frames.size,
            weights=evidence.tools.used(*_WEIGHTS["alex"]) if learned else None,
            fallback=not learned,
        )

    lpips, gms = f"{prefix}_lpips", f"{prefix}_gms_dissim"
    return (
        Metric(
            lpips,
            f"{title} (LPIPS, AlexNet)",
            lambda evidence: measured(evidence, lpips, True),
            "features",
            needs=needs,
            weights=_WEIGHTS["alex"],
            better=better,
        ),
        Metric(
            gms,
            f"{title} (gradients; where LPIPS has no weights)",
            lambda evidence: measured(evidence, gms, False),
            needs=needs,
            better=better,
        ),
    )


METRICS: tuple[Metric, ...] = (
    *(
        Metric(
            f"lpips_{name}",
            f"LPIPS beside the true video, {_TITLES[name]}",
            _lpips(name),
            "features",
            needs=("reference",),
            weights=_WEIGHTS[name],
            better="lower",
        )
        for name in _WEIGHTS
    ),
    Metric(
        "gms_dissim",
        "Difference of gradients beside the true video; where LPIPS has no weights",
        _gms_dissim,
        needs=("reference",),
        better="lower",
    ),
    *_pair_metrics(
        "first_last",
        "How different the last frame looks from the first",
        "first and last frame of the video",
        first_and_last,
        (),
        None,
    ),
    *_pair_metrics(
        "endpoint_first",
        "How different the first frame looks from the first image",
        "first frame and first image",
        _first_frames,
        ("first_image",),
        "lower",
    ),
    *_pair_metrics(
        "endpoint_last",
        "How different the last frame looks from the last image",
        "last frame and last image",
        _last_frames,
        ("last_image",),
        "lower",
    ),
)
