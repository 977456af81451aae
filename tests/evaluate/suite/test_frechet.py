from __future__ import annotations

import numpy as np
import pytest
import torch
from slides import FPS, sliding
from torch import nn

from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.frechet import clip_frames, frechet_distance, frechet_distance_by_svd
from motionloom.evaluate.published_weights import WEIGHTS
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import METRICS, compare, features_of
from motionloom.evaluate.suite.frechet import METRICS as FRECHET
from motionloom.media import Clip

# The published file is TorchScript; that torch recommends other things for new ones is not the test's matter.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

OFFLINE = ("fvmd_tracks", "fvd_fallback_dct", "fid_fallback_dct")


class Brightness(nn.Module):
    """In place of I3D: 400 numbers that tell brightness of the first and last frame and the number of frames."""

    def forward(self, x: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False):
        ends = torch.stack([x[:, :, 0].float().mean(dim=[1, 2, 3]), x[:, :, -1].float().mean(dim=[1, 2, 3])], 1)
        count = torch.full((x.shape[0], 398), float(x.shape[2]))
        return torch.cat([ends, count], 1) * float(rescale and resize and return_features)


@pytest.fixture
def tools(tmp_path) -> Tools:
    torch.jit.script(Brightness()).save(tmp_path / "i3d_torchscript.pt")
    return Tools(weights={"i3d-torchscript": tmp_path / "i3d_torchscript.pt"})


def brightening(frames: int) -> np.ndarray:
    return np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, 8, 8, 3)).copy()


def evidence(video: np.ndarray, tools: Tools, reference: np.ndarray | None = None, name: str = "cat") -> Evidence:
    true = None if reference is None else Clip(reference, FPS)
    return Evidence(Sample(name, Clip(video, FPS), reference=true), tools)


def test_every_metric_says_what_it_needs_and_fallbacks_bear_no_official_name():
    for metric in FRECHET:
        assert metric.bundle == "distribution"
        assert metric.needs == ("reference",)
        assert bool(metric.weights) != (metric.name in OFFLINE)
        assert set(metric.weights) <= set(WEIGHTS)
        measurement = compare(metric, np.random.default_rng(0).normal(size=(6, 4)), np.zeros((6, 4)))[0]
        assert measurement.name == metric.name
        assert measurement.fallback == (metric.name in OFFLINE)


def test_one_clip_of_a_video_at_the_same_place_in_both(tools):
    both = evidence(brightening(60), tools, brightening(60))
    start = clip_frames(60, "cat")[0]
    for which in ("video", "reference"):
        rows, reason = features_of(both, METRICS["fvd"], which)
        assert reason is None
        assert rows[0, :3].tolist() == [start, start + 15, 16]
    assert clip_frames(60, "cat")[0] != clip_frames(60, "dog")[0]


def test_longer_protocols(tools):
    rows, _ = features_of(evidence(brightening(128), tools), METRICS["fvd_128"], "video")
    assert rows[0, :3].tolist() == [0, 127, 128]
    rows, _ = features_of(evidence(brightening(121), tools), METRICS["fvd_128_every_8"], "video")
    assert rows[0, :3].tolist() == [0, 120, 16]


def test_short_videos_are_left_out_and_no_reference_is_a_reason(tools):
    short = evidence(brightening(15), tools)
    assert features_of(short, METRICS["fvd"], "video")[0].shape == (0, 400)
    assert features_of(short, METRICS["fvd"], "reference") == (None, "no reference video")
    one = evidence(brightening(1), tools)
    assert features_of(one, METRICS["fvmd_tracks"], "video")[0].shape == (0, 256)
    assert features_of(one, METRICS["fvd_fallback_dct"], "video")[0].shape == (0, 64)
    assert features_of(one, METRICS["fid_fallback_dct"], "video")[0].shape == (1, 80)


@pytest.mark.parametrize("name", ["fid", "fvd", "fvd_tats", "fvd_movebench", "cd_fvd"])
def test_missing_weights_are_named(name, monkeypatch, tmp_path):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    metric = METRICS[name]
    values, reason = features_of(evidence(brightening(17), Tools()), metric, "video")
    assert values is None
    assert WEIGHTS[metric.weights[0]].file in reason


def test_protocols_differ_in_covariance_and_roots_and_say_so():
    generator = np.random.default_rng(1)
    real, made = generator.normal(size=(30, 12)), generator.normal(size=(26, 12)) + 0.3
    found = {name: compare(METRICS[name], real, made)[0] for name in ("fvd", "fvd_tats", "fvd_movebench", "fid")}
    assert found["fvd"].value == frechet_distance(real, made, covariance="biased")
    assert found["fvd_tats"].value == found["fid"].value == frechet_distance(real, made)
    assert found["fvd_movebench"].value == frechet_distance_by_svd(real, made)
    assert found["fvd"].n == 26
    assert found["fvd"].variant.endswith("; biased covariance")
    assert found["fvd"].note == "30 true and 26 generated samples"
    assert "drawn with seed 0" in found["fvd"].variant
    assert "roots by SVD" in found["fvd_movebench"].variant


@pytest.mark.parametrize(
    ("name", "own", "other"),
    [("fid", "unbiased", "biased"), ("fvd", "biased", "unbiased"), ("cd_fvd", "biased", "unbiased")],
)
def test_the_other_covariance_stands_beside_the_published_one(name, own, other):
    generator = np.random.default_rng(4)
    real, made = generator.normal(size=(30, 12)), generator.normal(size=(26, 12)) + 0.3
    first, second = compare(METRICS[name], real, made)
    assert (first.name, second.name) == (name, f"{name}_{other}")
    assert first.value == frechet_distance(real, made, covariance=own)
    assert second.value == frechet_distance(real, made, covariance=other)
    assert first.value != pytest.approx(second.value, rel=0.01)
    assert second.variant.endswith(f"; {other} covariance")


@pytest.mark.parametrize("name", ["fvd", "fid", "fvd_movebench", *OFFLINE])
def test_a_run_that_lost_a_video_is_of_the_same_variant(name):
    """Numbers of one metric stand in one column of a report, whatever the sizes of the sets."""
    generator = np.random.default_rng(3)
    real, made = generator.normal(size=(30, 12)), generator.normal(size=(26, 12))
    whole, less = (compare(METRICS[name], *sets)[0] for sets in ((real, made), (real[:9], made[:7])))
    assert whole.value is not None
    assert less.value is not None
    assert whole.variant == less.variant
    assert "9 true and 7 generated samples" in less.note
    assert "7 samples for" in less.note
    assert "too few" in less.note


def test_few_samples_are_said_and_one_has_no_distance():
    generator = np.random.default_rng(2)
    real = generator.normal(size=(20, 12))
    assert "20 samples for 12 dimensions: too few (below 24)" in compare(METRICS["fvd"], real, real)[0].note
    for name in ("fvd", "fvd_movebench", *OFFLINE):
        (measurement,) = compare(METRICS[name], real, real[:1])
        assert measurement.value is None
        assert measurement.reason == "needs at least two samples of each kind, found 20 true and 1 generated"
    (measurement,) = compare(METRICS["fvmd_tracks"], real[:0], real)
    assert measurement.value is None
    (measurement,) = compare(METRICS["fid"], real, np.full((5, 12), np.nan))
    assert measurement.value is None
    assert "generated: row 0 holds a value that is not finite" in measurement.reason


@pytest.mark.parametrize("name", OFFLINE)
def test_offline_distances_tell_a_set_from_its_like(name, picture):
    """Eight true clips; the same ones, and ones of another speed and darker."""
    metric, tools = METRICS[name], Tools()
    sets = {"true": [], "same": [], "other": []}
    for shift in range(8):
        base = np.roll(picture, shift * 11, axis=1)
        true, other = sliding(base, 2), (sliding(base, 5) * 0.7).astype(np.uint8)
        for key, video in (("same", true), ("other", other)):
            rows, reason = features_of(evidence(video, tools, true), metric, "video")
            assert reason is None
            sets[key].append(rows)
        sets["true"].append(features_of(evidence(true, tools, true), metric, "reference")[0])
    joined = {key: np.concatenate(rows) for key, rows in sets.items()}
    (same,), (other,) = (compare(metric, joined["true"], joined[key]) for key in ("same", "other"))
    scale = float(joined["true"].var(0).sum())
    assert same.value == pytest.approx(0, abs=1e-6 * scale)
    assert other.value > 0.5 * scale
    assert same.fallback
