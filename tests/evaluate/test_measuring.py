import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slides import FPS, sliding, sliding_tracks

from motionloom.errors import InputError
from motionloom.evaluate import suite
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.measuring import distances, measured_row
from motionloom.evaluate.metric import DistributionMetric, Metric
from motionloom.evaluate.run import Row, load_tracks
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import METRICS, choose, measure
from motionloom.media import Clip


def mean_colour(evidence: Evidence, which: str) -> np.ndarray:
    frames = evidence.frames if which == "video" else evidence.reference
    return frames.read(0, frames.num_frames).reshape(frames.num_frames, -1, 3).mean(1)


def distance(real: np.ndarray, made: np.ndarray) -> Measurement:
    return Measurement("toy", float(np.abs(real.mean(0) - made.mean(0)).sum()), n=len(made))


TOY = DistributionMetric("toy", "", mean_colour, distance)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(METRICS, "toy", TOY)
    return TOY


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.title, name
        assert metric.bundle in suite.BUNDLES
    assert choose(["core", "epe"]) == tuple(name for name, metric in METRICS.items() if metric.bundle == "core")
    assert choose() == tuple(METRICS)
    with pytest.raises(InputError, match="found 'nope', expected core"):
        choose(["core", "nope"])


def test_what_a_sample_does_not_bring_is_not_asked(picture):
    found = measure(Sample("a", Clip(sliding(picture, 3), FPS)), Tools(), metrics=["core"])
    assert not {"epe", "psnr", "endpoint_psnr"} & {each.name for each in found}
    assert {each.name for each in found} & {"motion_magnitude", "temporal_flickering", "first_last_psnr"}


def test_a_metric_that_fails_says_why_and_the_others_run(picture, monkeypatch):
    def fail(evidence):
        raise InputError("no\n luck")

    monkeypatch.setitem(METRICS, "bad", Metric("bad", "", fail))
    found = {
        each.name: each for each in measure(Sample("a", Clip(sliding(picture, 3), FPS)), Tools(), metrics=["core"])
    }
    assert (found["bad"].value, found["bad"].reason) == (None, "no luck")
    assert len(found) > 3


def test_weights_that_are_missing_are_named_and_cost_nothing(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    clip = Clip(sliding(picture, 3), FPS)
    sample = Sample("a", clip, sliding_tracks(3), prompt="a", reference=clip, first_image=picture, last_image=picture)
    found = {each.name: each for each in measure(sample, Tools(), metrics=["features"])}
    assert found
    for name, each in found.items():
        assert each.value is None, name
        assert "--weights" in each.reason or name == "motion_smoothness", name  # whose network is not ours to load
    for metric in METRICS.values():
        if isinstance(metric, DistributionMetric) and metric.weights:
            values, reason = suite.features_of(Evidence(sample, Tools()), metric, "video")
            assert values is None
            assert "--weights" in reason


def test_every_file_that_is_missing_is_named_and_a_damaged_one_stops_nothing(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    clip = Clip(sliding(picture, 3), FPS)
    sample = Sample("a", clip, sliding_tracks(3), reference=clip)
    row, _ = measured_row(sample, Tools(), tmp_path, metrics=["lpips_alex"])
    (lpips,) = row.measurements
    assert "wants alexnet-owt-7be5be79.pth" in lpips.reason
    assert "wants alex.pth" in lpips.reason
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "alexnet-owt-7be5be79.pth").write_bytes(b"cut short")
    (tmp_path / "metrics" / "alex.pth").write_bytes(b"cut short")
    row, warnings = measured_row(sample, Tools(), tmp_path, metrics=["epe", "lpips_alex", "lpips_vgg"])
    assert (row.status, warnings) == ("done", [])
    assert row.value("epe") < 0.3
    reasons = {each.name: each.reason for each in row.measurements}
    assert "is not the published alexnet-owt-7be5be79.pth" in reasons["lpips_alex"]
    assert "wants vgg16-397923af.pth" in reasons["lpips_vgg"]
    assert row.facts["missing_weights"] == {"lpips_alex": ["alexnet"], "lpips_vgg": ["vgg16", "lpips-vgg"]}


def test_devices_that_are_not_here_are_refused_at_once():
    for device in ("gpu", "cuda:99"):
        with pytest.raises(InputError, match=f"device: found '{device}'"):
            Tools(device=device)


def test_a_row_keeps_its_tracks_and_features(picture, tmp_path, toy):
    clip, true = Clip(sliding(picture, 2), FPS), Clip(sliding(picture, 3), FPS)
    clip.save(tmp_path / "videos" / "a.mp4", quality=100)
    true.save(tmp_path / "true" / "a.mp4", quality=100)
    sample = Sample(
        "a", tmp_path / "videos" / "a.mp4", sliding_tracks(3), reference=tmp_path / "true" / "a.mp4", seed=4
    )
    row, warnings = measured_row(sample, Tools(), tmp_path / "videos", metrics=["epe", "toy"])
    assert warnings == []
    assert (row.status, row.video, row.tracks) == ("done", "a.mp4", "tracks/a.seed-4.safetensors")
    assert Path(row.reference).is_absolute()
    # One pixel per frame too slow, over frames 1 to 4: 2.5 px in the mean.
    assert row.value("epe") == pytest.approx(2.5, abs=0.2)
    epe = next(each for each in row.measurements if each.name == "epe")
    assert epe.curve == pytest.approx((0, 1, 2, 3, 4), abs=0.25)
    wanted, measured = load_tracks(tmp_path / "videos" / row.tracks)
    assert np.allclose(wanted.points, sliding_tracks(3).points)
    assert np.abs(measured.points - sliding_tracks(2).points).mean() < 0.2
    pooled, total = distances(tmp_path / "videos", [row], metrics=["epe", "toy"])
    assert (pooled.name, pooled.value, pooled.n) == ("objmc_pooled", row.value("objmc"), 15)
    assert total.value < 0.5  # the same colours in another order
    assert (total.n, total.resolution) == (5, (64, 96))


def test_a_video_that_cannot_be_read_is_a_failed_row(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\0" * 100)
    row, _ = measured_row(Sample("a", tmp_path / "a.mp4"), Tools(), tmp_path)
    assert (row.status, row.measurements) == ("failed", ())
    assert "a.mp4" in row.error
    json.dumps(row.record(), allow_nan=False)


def test_a_set_is_compared_whole_or_not_at_all(picture, tmp_path, toy):
    clip = Clip(sliding(picture, 2), FPS)
    rows = []
    for name, reference in (("a", clip), ("b", None)):
        rows.append(measured_row(Sample(name, clip, reference=reference), Tools(), tmp_path, metrics=["toy"])[0])
    (total,) = distances(tmp_path, rows, metrics=["toy"])
    assert (total.value, total.reason) == (None, "no reference video")
    (total,) = distances(tmp_path, rows[:1], metrics=["toy"])
    assert total.value == 0
    (tmp_path / "features" / "toy" / "a.safetensors").write_bytes(b"half")
    (total,) = distances(tmp_path, rows[:1], metrics=["toy"])
    assert "features of a are missing" in total.reason
    assert distances(tmp_path, [], metrics=["toy"])[0].reason == "no video was measured"


def test_a_set_of_videos_that_are_all_too_short_says_so(picture, tmp_path, monkeypatch):
    nothing = replace(TOY, features=lambda evidence, which: np.zeros((0, 3), np.float32))
    monkeypatch.setitem(METRICS, "toy", nothing)
    clip = Clip(sliding(picture, 3), FPS)
    row, _ = measured_row(Sample("a", clip, reference=clip), Tools(), tmp_path, metrics=["toy"])
    assert distances(tmp_path, [row], metrics=["toy"])[0].reason == "every video is too short for it"


def test_features_that_are_no_numbers_are_refused(picture, monkeypatch):
    bad = DistributionMetric("bad", "", lambda evidence, which: np.full((1, 2), np.nan), TOY.compare)
    clip = Clip(sliding(picture, 2), FPS)
    values, reason = suite.features_of(Evidence(Sample("this one", clip, reference=clip), Tools()), bad, "video")
    assert values is None
    assert "this one" in reason


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_one_and_two_frames_have_defined_results(picture, frames):
    clip = Clip(sliding(picture, 3, frames), FPS)
    sample = Sample(
        "a", clip, sliding_tracks(3, frames), reference=Clip(sliding(picture, 2, frames), FPS), first_image=picture,
        last_image=picture, box=(30, 20, 60, 50), masks=None,
    )  # fmt: skip
    found = measure(sample, Tools(), metrics=["core"])
    for each in found:
        assert each.value is not None or each.reason, each.name
    assert (next(each for each in found if each.name == "epe").value is None) == (frames == 1)


def test_no_visible_track_is_a_reason(picture):
    tracks = sliding_tracks(3)
    hidden = type(tracks)(tracks.points, np.zeros_like(tracks.visible), tracks.size, tracks.fps)
    for motion in (hidden, type(tracks).empty(5, tracks.size, tracks.fps)):
        found = measure(Sample("a", Clip(sliding(picture, 3), FPS), motion), Tools(), metrics=["epe"])
        assert all(each.value is None and each.reason for each in found)


def test_a_metric_that_breaks_says_where_and_the_others_run(picture, tmp_path, monkeypatch):
    def crash(evidence, *which):
        return 1 / 0

    monkeypatch.setitem(METRICS, "bad", Metric("bad", "", crash))
    monkeypatch.setitem(METRICS, "worse", DistributionMetric("worse", "", crash, TOY.compare))
    clip = Clip(sliding(picture, 3), FPS)
    row, warnings = measured_row(
        Sample("a", clip, sliding_tracks(3), reference=clip), Tools(), tmp_path, metrics=["epe", "bad", "worse"]
    )
    assert row.value("epe") < 0.3
    assert "ZeroDivisionError" in next(each.reason for each in row.measurements if each.name == "bad")
    assert [line.split(":")[0] for line in warnings] == ["bad", "worse"]
    assert row.facts["broken"] == ["bad", "worse"]
    assert "ZeroDivisionError" in distances(tmp_path, [row], metrics=["worse"])[0].reason


def test_sets_seen_through_different_networks_are_not_compared(picture, tmp_path, monkeypatch):
    monkeypatch.setitem(METRICS, "toy", DistributionMetric("toy", "", mean_colour, distance, weights=("i3d-tats",)))
    clip = Clip(sliding(picture, 3), FPS)
    rows = []
    for name in "ab":
        (tmp_path / f"{name}.pt").write_bytes(name.encode())
        tools = Tools(weights={"i3d-tats": tmp_path / f"{name}.pt"})
        rows.append(measured_row(Sample(name, clip, reference=clip), tools, tmp_path, metrics=["toy"])[0])
    (one,) = distances(tmp_path, rows[:1], metrics=["toy"])
    assert one.value == 0
    assert one.weights.name == "i3d-tats"
    (both,) = distances(tmp_path, rows, metrics=["toy"])
    assert "different networks" in both.reason


def test_means_over_all_frames_beside_those_over_videos(tmp_path):
    rows = [
        Row("a", None, "done", measurements=(Measurement("subject_consistency", 0.5, n=10),)),
        Row("b", None, "done", measurements=(Measurement("subject_consistency", 0.8, n=30),)),
    ]
    (total,) = distances(tmp_path, rows, metrics=["subject_consistency"])
    assert (total.name, total.n) == ("subject_consistency_per_frame", 40)
    assert total.value == pytest.approx(0.725)


def test_objmc_pools_all_points_and_frames_beside_the_mean_over_videos(tmp_path):
    """DragAnything's program has no means of videos: one of four times as many pairs counts four times."""
    rows = [
        Row("a", None, "done", measurements=(Measurement("objmc", 2.0, "px", "lower", "all points", n=20),)),
        Row("b", None, "done", measurements=(Measurement("objmc", 12.0, "px", "lower", "all points", n=80),)),
        Row("c", None, "done", measurements=(Measurement("objmc", None, "px", "lower", reason="one frame"),)),
    ]
    (total,) = distances(tmp_path, rows, metrics=["epe"])
    assert (total.name, total.n, total.unit, total.better) == ("objmc_pooled", 100, "px", "lower")
    assert total.value == pytest.approx(10.0)
    assert total.variant == "all points; all values of all videos together"
