"""Consistency and similarity as CLIP and DINO see them: bindings of `motionloom.evaluate.features`.

Names are one per published definition, since the same words ("CLIP-I", "subject consistency") stand for several.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate import features as maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Measurement, UsedWeights
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.suite.looks import (
    BASE,
    DINO,
    LARGE,
    clip_encoder,
    clip_features,
    dino_encoder,
    dino_features,
    histograms,
    picked,
    reference_features,
)

Curve = tuple[float | None, ...]

HEAD = "laion-aesthetic"

_ONE_FRAME = "the video has one frame"
_ALL = "all frames"
_SAMPLED = f"{maths.SAMPLES} frames at int(linspace(0, T - 1, {maths.SAMPLES}))"
_B32, _L14 = "CLIP ViT-B/32", "CLIP ViT-L/14"


def _clip_i_temporal(evidence: Evidence) -> Iterator[Measurement]:
    numbers = maths.sampled_frames(evidence.frames.num_frames)
    values = maths.clip_i_temporal(clip_features(evidence, BASE)[numbers])
    yield from _temporal(evidence, values, "clip_i_temporal", f"{_B32}, {_SAMPLED}", numbers, evidence.tools.used(BASE))


def _clip_i_temporal_fallback(evidence: Evidence) -> Iterator[Measurement]:
    numbers = maths.sampled_frames(evidence.frames.num_frames)
    values = maths.clip_i_temporal(histograms(evidence)[numbers])
    yield from _temporal(evidence, values, "clip_i_temporal_fallback_hist", f"{_HISTOGRAM}, {_SAMPLED}", numbers, None)


def _temporal(
    evidence: Evidence,
    values: dict[str, float | None],
    name: str,
    how: str,
    numbers: NDArray[np.int64],
    weights: UsedWeights | None,
) -> Iterator[Measurement]:
    """Four numbers of a clip against itself; the mean over neighbours bears the name of the metric."""
    for part, suffix, what in (
        ("frame_acc", "", "neighbouring samples"),
        ("first_last", "_first_last", "first and last sample"),
        ("global_avg", "_global_avg", "each sample to the first, itself counted"),
        ("global_avg_without_first", "_global_avg_without_first", "each later sample to the first"),
    ):
        # 16 samples of a single frame are all the same picture: a one would look like a result.
        value = values[part] if evidence.frames.num_frames > 1 else None
        yield _measurement(
            evidence,
            name + suffix,
            value,
            f"{what}; {how}",
            frames=len(numbers),
            weights=weights,
            fallback=weights is None,
        )


def _clip_smooth(evidence: Evidence) -> Measurement:
    value = maths.smoothness(clip_features(evidence, BASE))
    return _measurement(
        evidence,
        "clip_smooth",
        None if value is None else 100 * value,
        f"100 x cosine of neighbouring frames, {_B32}, {_ALL}",
        n=evidence.frames.num_frames - 1,
        weights=evidence.tools.used(BASE),
    )


def _clip_domain(evidence: Evidence) -> Measurement:
    image = evidence.first_image
    assert image is not None
    value, terms = maths.domain_similarity(
        clip_features(evidence, BASE), clip_encoder(evidence, BASE).images(image[None])
    )
    return _measurement(
        evidence,
        "clip_domain",
        None if value is None else 100 * value,
        f"100 x cosine to the given first image (AnimateDiff: to pictures of the same model), {_B32}, {_ALL}",
        curve=_curve(100 * terms),
        weights=evidence.tools.used(BASE),
    )


def _clipsim(evidence: Evidence) -> Iterator[Measurement]:
    prompt = evidence.sample.prompt
    assert prompt is not None
    text = clip_encoder(evidence, BASE).texts([prompt])[0]
    value, terms = maths.text_similarity(clip_features(evidence, BASE), text)
    how = f"{_B32}, {_ALL}, first 77 tokens of the prompt"
    weights = evidence.tools.used(BASE)
    yield _measurement(evidence, "clipsim", value, f"{how}; not clamped", curve=_curve(terms), weights=weights)
    yield _measurement(
        evidence, "clip_text", None if value is None else 100 * value, f"100 x clipsim; {how}", weights=weights
    )


def _clip_i(evidence: Evidence) -> Measurement:
    true = reference_features(evidence, LARGE)
    value, terms = maths.frame_similarity(clip_features(evidence, LARGE), true)
    return _measurement(
        evidence,
        "clip_i",
        value,
        f"each frame to the true one, {_L14}, {_ALL}",
        curve=_curve(terms),
        weights=evidence.tools.used(LARGE),
    )


def _clip_i_fallback(evidence: Evidence) -> Measurement:
    blocks = [
        maths.frame_similarity(maths.colour_histograms(video), maths.colour_histograms(true))[1]
        for _, video, true in evidence.pairs()
    ]
    terms = np.concatenate(blocks)
    return _measurement(
        evidence,
        "clip_i_fallback_hist",
        float(terms.mean()) if len(terms) else None,
        f"each frame to the true one, {_HISTOGRAM}, {_ALL}",
        curve=_curve(terms),
        fallback=True,
    )


def _subject_consistency(evidence: Evidence) -> Measurement:
    value, terms = maths.consistency(dino_features(evidence))
    return _measurement(
        evidence,
        "subject_consistency",
        value,
        f"VBench: DINO ViT-B/16, whole frames at 224 px without blur, {_ALL}; n weighs it per frame",
        n=len(terms),
        curve=(None, *_curve(terms)) if len(terms) else None,
        weights=evidence.tools.used(DINO),
    )


def _subject_consistency_cr(evidence: Evidence) -> Measurement:
    numbers = maths.sampled_frames(evidence.frames.num_frames)
    frames = picked(evidence.frames, numbers)
    value, terms = maths.consistency(dino_encoder(evidence).images(frames, "crop"))
    return _measurement(
        evidence,
        "subject_consistency_cr",
        value if evidence.frames.num_frames > 1 else None,
        f"Circle-Rotate: DINO ViT-B/16, middle square at 224 px, {_SAMPLED}",
        n=len(terms),
        frames=len(numbers),
        weights=evidence.tools.used(DINO),
    )


def _background_consistency(evidence: Evidence) -> Measurement:
    value, terms = maths.consistency(clip_features(evidence, BASE, "vbench"))
    return _measurement(
        evidence,
        "background_consistency",
        value,
        f"VBench: {_B32}, middle square at 224 px without blur, {_ALL}, subject not masked; n weighs it per frame",
        n=len(terms),
        curve=(None, *_curve(terms)) if len(terms) else None,
        weights=evidence.tools.used(BASE),
    )


def _aesthetic(evidence: Evidence) -> Measurement:
    from motionloom.evaluate.networks.aesthetic import load_head

    weight, bias = evidence.tools.network(HEAD, load_head)
    value, terms = maths.aesthetic(clip_features(evidence, LARGE, "vbench"), weight, bias)
    return _measurement(
        evidence,
        "aesthetic",
        value,
        f"VBench: LAION's linear head on {_L14}, / 10, {_ALL}",
        curve=_curve(terms),
        weights=evidence.tools.used(LARGE, HEAD),
    )


_HISTOGRAM = "colour histograms of 8x8x8 bins in 2x2 cells; not comparable with any CLIP number"


METRICS = (
    Metric(
        "clip_i_temporal_fallback_hist",
        "Colours over time, where CLIP is not here: neighbouring frames, first and last, each to the first",
        _clip_i_temporal_fallback,
        better="higher",
    ),
    Metric(
        "clip_i_fallback_hist",
        "Colours against those of the true video, where CLIP is not here",
        _clip_i_fallback,
        needs=("reference",),
        better="higher",
    ),
    Metric(
        "clip_i_temporal",
        "CLIP-I of Circle-Rotate: a clip against itself over time",
        _clip_i_temporal,
        bundle="features",
        weights=(BASE,),
        better="higher",
    ),
    Metric(
        "clip_i",
        "CLIP-I of MoveBench: each frame against the true one",
        _clip_i,
        bundle="features",
        needs=("reference",),
        weights=(LARGE,),
        better="higher",
    ),
    Metric(
        "clipsim",
        "CLIPSIM: how well frames fit the prompt; AnimateDiff's CLIP text with it",
        _clipsim,
        bundle="features",
        needs=("prompt",),
        weights=(BASE,),
        better="higher",
    ),
    Metric(
        "clip_smooth",
        "AnimateDiff's CLIP smoothness of neighbouring frames",
        _clip_smooth,
        bundle="features",
        weights=(BASE,),
        better="higher",
    ),
    Metric(
        "clip_domain",
        "AnimateDiff's CLIP domain similarity, to the first image",
        _clip_domain,
        bundle="features",
        needs=("first_image",),
        weights=(BASE,),
        better="higher",
    ),
    Metric(
        "subject_consistency",
        "VBench's subject consistency",
        _subject_consistency,
        bundle="features",
        weights=(DINO,),
        better="higher",
        pooled={"subject_consistency": "subject_consistency_per_frame"},
    ),
    Metric(
        "subject_consistency_cr",
        "Subject consistency as Circle-Rotate samples and crops it",
        _subject_consistency_cr,
        bundle="features",
        weights=(DINO,),
        better="higher",
    ),
    Metric(
        "background_consistency",
        "VBench's background consistency",
        _background_consistency,
        bundle="features",
        weights=(BASE,),
        better="higher",
        pooled={"background_consistency": "background_consistency_per_frame"},
    ),
    Metric(
        "aesthetic",
        "VBench's aesthetic quality (LAION's linear head)",
        _aesthetic,
        bundle="features",
        weights=(LARGE, HEAD),
        better="higher",
    ),
)


def _curve(terms: NDArray[np.float64]) -> Curve:
    return tuple(float(value) for value in terms)


def _measurement(
    evidence: Evidence,
    name: str,
    value: float | None,
    variant: str,
    *,
    n: int | None = None,
    frames: int | None = None,
    curve: Curve | None = None,
    weights: UsedWeights | None = None,
    fallback: bool = False,
) -> Measurement:
    return Measurement(
        name,
        value,
        better="higher",
        variant=variant,
        n=n,
        frames=evidence.frames.num_frames if frames is None else frames,
        resolution=evidence.frames.size,
        weights=weights,
        fallback=fallback,
        reason=None if value is not None else _ONE_FRAME,
        curve=curve,
    )
