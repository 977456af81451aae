import numpy as np
import pytest
from slides import FPS

from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.niqe import niqe
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.evaluate.suite import niqe as suite
from motionloom.media import Clip


def video(frames: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, 192, 200, 3)).astype(np.uint8)


def test_eight_frames_evenly():
    made = video(17)
    (found,) = measure(Sample("a", Clip(made, FPS)), Tools(), metrics=["niqe"])
    looked_at = [0, 2, 4, 6, 9, 11, 13, 16]
    expected = niqe(made[looked_at])
    assert [t for t, value in enumerate(found.curve) if value is not None] == looked_at
    assert [found.curve[t] for t in looked_at] == expected
    assert found.value == pytest.approx(np.mean(expected))
    assert (found.n, found.frames, found.better, len(found.curve)) == (8, 8, "lower", 17)


def test_short_videos_wholly_and_small_ones_not_at_all():
    (short,) = measure(Sample("a", Clip(video(3), FPS)), Tools(), metrics=["niqe"])
    assert None not in short.curve
    (small,) = measure(Sample("a", Clip(video(2)[:, :150], FPS)), Tools(), metrics=["niqe"])
    assert (small.value, small.reason) == (None, "found 150x200 pixels, expected at least 192 on each side")
    (black,) = measure(Sample("a", Clip(np.zeros_like(video(2)), FPS)), Tools(), metrics=["niqe"])
    assert (black.value, black.reason) == (None, "no sampled frame has enough structure")


def test_computed_once_per_video(monkeypatch):
    calls = []
    monkeypatch.setattr(suite.maths, "niqe", lambda frames: calls.append(1) or [5.0])
    evidence = Evidence(Sample("a", Clip(video(1), FPS)), Tools())
    values = {each.name: each for each in measure(evidence, Tools(), metrics=["niqe", "qs"])}
    assert calls == [1]
    assert values["niqe"].value == 5
    assert values["qs"].value == pytest.approx(100 * np.exp(-0.4))
    assert values["qs_reciprocal"].value == pytest.approx(1 / 1.5)
