import numpy as np
import pytest
from slides import FPS, sliding, sliding_tracks

from motionloom.evaluate.article import image_consistency
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.media import Clip


def found(video: np.ndarray, metrics=("me", "ic", "qs"), **known) -> dict[str, Measurement]:
    sample = Sample("a", Clip(video, FPS), **known)
    return {each.name: each for each in measure(sample, Tools(), metrics=metrics)}


def test_motion_error_of_a_clip_that_stays(picture):
    values = found(sliding(picture, 0), motion=sliding_tracks(3))
    # 3, 6, 9 and 12 px.
    assert values["me"].value == pytest.approx(7.5, abs=0.2)
    assert values["me_256"].value == pytest.approx(values["me"].value * 256 / 96)
    assert values["me_norm"].value == pytest.approx(values["me"].value / np.hypot(64, 96))
    assert (values["me"].n, values["me"].unit, values["me_norm"].unit) == (12, "px", "")
    assert found(sliding(picture, 3), motion=sliding_tracks(3))["me"].value < 0.3
    assert all(values[name].variant.endswith("; tracker offline") for name in ("me", "me_256", "me_norm"))
    assert "me" not in found(sliding(picture, 3))


def test_motion_error_without_a_visible_track(picture):
    tracks = sliding_tracks(3)
    hidden = tracks.visible.copy()
    hidden[0] = False
    values = found(sliding(picture, 3), motion=type(tracks)(tracks.points, hidden, tracks.size, FPS))
    assert values["me"].value is None
    assert "no track is visible" in values["me"].reason


def test_consistency_over_time(picture):
    video = sliding(picture, 3, 40)  # two windows
    evidence = Evidence(Sample("a", Clip(video, FPS)), Tools())
    values = {each.name: each for each in measure(evidence, Tools(), metrics=["ic"])}
    expected = [image_consistency(video[t], video[t + 1], there, back) for t, there, back in evidence.flows()]
    assert values["ic"].curve == (None, *(value for value, _ in expected))
    assert values["ic_coverage"].curve == (None, *(share for _, share in expected))
    assert values["ic"].value > 0.9
    assert values["ic"].n == 39
    flicker = video.copy()
    flicker[1::2] = 255 - flicker[1::2]
    broken = found(flicker, metrics=["ic"])["ic"]
    assert broken.value is None or broken.value < 0.5


def test_one_frame_and_small_frames(picture):
    values = found(picture[None])
    assert values["ic"].reason == values["ic_coverage"].reason == "the video has one frame"
    small = found(np.zeros((3, 12, 40, 3), np.uint8))
    assert small["ic"].reason == "found 12x40 pixels, expected at least 16 on each side for optical flow"
    assert small["qs"].reason == small["qs_reciprocal"].reason
    assert "expected at least 192" in small["qs"].reason
