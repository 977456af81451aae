"""What all metrics have in common, whatever the video: names, titles, units, variants, and no number that is none."""

from __future__ import annotations

import json
import math
from collections import defaultdict

import numpy as np
import pytest
from slides import FPS, sliding, sliding_tracks

from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import METRICS, measure
from motionloom.media import Clip
from motionloom.tracks.tracks import Tracks

CORE = [name for name, metric in METRICS.items() if isinstance(metric, Metric) and metric.bundle == "core"]
BOX = (22.0, 12.0, 46.0, 36.0)


def sample(name: str, video: np.ndarray, tracks: Tracks | None, fps: float = FPS, **known) -> Sample:
    image = np.ascontiguousarray(video[0, ::-1])
    return Sample(name, Clip(video, fps), tracks, "a cat", image, image, **known)


@pytest.fixture(scope="module")
def every(picture_of_the_module) -> dict[str, dict[str, Measurement]]:
    """All offline metrics of videos as they come and as they should not."""
    picture = picture_of_the_module
    large = np.kron(picture, np.ones((3, 3, 1), np.uint8))
    hidden = sliding_tracks(3).visible.copy()
    hidden[:] = False
    subject = np.zeros((5, 64, 96), bool)
    subject[:, 12:36, 22:46] = True
    moved, flat = sliding(picture, 3), np.full((5, 64, 96, 3), 90, np.uint8)
    tall, short = sliding_tracks(3, 9), sliding_tracks(3, 1)
    samples = [
        sample("plain", moved, sliding_tracks(3), reference=Clip(sliding(picture, 2), FPS), box=BOX),
        sample("masks", moved, sliding_tracks(3).select([0]), reference=Clip(moved, FPS), masks=subject),
        sample(
            "large",
            sliding(large, 6),
            sliding_tracks(3),
            reference=Clip(sliding(large, 5), FPS),
            box=(60, 30, 140, 110),
        ),
        sample("fast", sliding(picture, 3, 9), tall, 24.0, reference=Clip(sliding(large, 5, 9), 24.0), box=BOX),
        sample("one frame", picture[None], short, reference=Clip(picture[None] ^ 8, FPS), box=BOX),
        sample("two frames", moved[:2], sliding_tracks(3, 2), reference=Clip(moved[1:3], FPS), masks=subject[:2]),
        sample("flat", flat, sliding_tracks(3), reference=Clip(flat, FPS), masks=~subject & subject),
        sample("nothing visible", moved, Tracks(sliding_tracks(3).points, hidden, (64, 96), FPS), box=BOX),
        sample("no track", moved, Tracks.empty(5, (64, 96), FPS), masks=subject),
        sample(
            "tiny", moved[:, :1, :1], Tracks(np.zeros((5, 1, 2)), np.ones((5, 1), bool), (1, 1), FPS), box=(0, 0, 1, 1)
        ),
        sample("odd", moved[:, :17, :33], sliding_tracks(3), reference=Clip(moved[:, :17, :33] // 2, FPS), box=BOX),
        sample("other length", moved, sliding_tracks(3), reference=Clip(moved[:3], FPS), masks=subject[:2]),
        sample("box of nothing", moved, sliding_tracks(3), box=(200, 200, 300, 300)),
        sample("box of nan", moved, sliding_tracks(3), box=(math.nan, 0, 9, 9)),
    ]
    found = {}
    for each in samples:
        measured = measure(each, Tools(), metrics=CORE)
        found[each.name] = {one.name: one for one in measured}
        assert len(found[each.name]) == len(measured), f"{each.name}: a name is there twice"
    return found


@pytest.fixture(scope="module")
def picture_of_the_module() -> np.ndarray:
    import cv2

    blurred = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (64, 96, 3), np.uint8), (0, 0), 1.5)
    return np.asarray(cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def test_titles_are_sentences_without_a_full_stop():
    for name, metric in METRICS.items():
        assert metric.title[:1].isupper(), f"{name}: {metric.title}"
        assert not metric.title.endswith("."), name


@pytest.mark.slow
def test_no_video_makes_a_number_that_is_none(every):
    for where, found in every.items():
        for name, each in found.items():
            told = f"{where}: {name}"
            assert (each.value is None) == (each.reason is not None), told
            assert each.value is None or math.isfinite(each.value), told
            assert each.value is not None or each.curve is None, told
            assert not (each.reason or "").startswith("broke"), told
            assert Measurement.from_record(json.loads(json.dumps(each.record(), allow_nan=False))) == each, told


def test_a_number_is_called_and_read_as_its_metric_says(every):
    for found in every.values():
        for name in CORE:
            if name in found:
                metric, first = METRICS[name], found[name]
                assert (first.unit, first.better) == (metric.unit, metric.better), name


def test_unit_and_direction_do_not_depend_on_whether_there_is_a_value(every):
    known = defaultdict(set)
    for found in every.values():
        for name, each in found.items():
            known[name].add((each.unit, each.better))
    assert {name: kinds for name, kinds in known.items() if len(kinds) > 1} == {}


def test_variants_are_those_of_the_metric_and_not_of_the_video(every):
    """One column of a report holds one variant: sizes, rates, lengths and counts of a case are no part of it."""
    known = defaultdict(set)
    for found in every.values():
        for name, each in found.items():
            if each.value is not None:
                known[name].add(each.variant.replace(", true video resized", "").replace("true video resized", ""))
    assert {name: variants for name, variants in known.items() if len(variants) > 1} == {}


def test_fallbacks_bear_a_name_of_their_own(every):
    official = {name for name, metric in METRICS.items() if metric.weights} | {"motion_smoothness"}
    for found in every.values():
        for name, each in found.items():
            if each.fallback:
                assert name not in official
