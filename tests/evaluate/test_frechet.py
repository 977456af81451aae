from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from motionloom.errors import InputError
from motionloom.evaluate.frechet import (
    FeatureStatistics,
    clip_frames,
    frechet_distance,
    frechet_distance_by_svd,
    frechet_distance_of,
    shortage,
)

GOLDEN = Path(__file__).parents[1] / "golden"


def features(rows: int, dimensions: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, dimensions)) @ generator.normal(size=(dimensions, dimensions)) + seed


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "metrics" / "frechet.safetensors")


@pytest.mark.parametrize(
    ("covariance", "expected"),
    [("biased", "fd_biased_cov"), ("unbiased", "fd_unbiased_cov"), ("unbiased", "fd_unbiased_torchmetrics")],
)
def test_both_conventions_of_the_published_programs(golden, covariance, expected):
    value = frechet_distance(golden["feat_real"], golden["feat_fake"], covariance=covariance)
    assert value == pytest.approx(float(golden[expected].ravel()[0]), rel=1e-6)


def test_published_statistics(golden):
    statistics = FeatureStatistics.of(golden["feat_real"])
    np.testing.assert_allclose(statistics.mean, golden["mu_real"], atol=1e-6)
    np.testing.assert_allclose(statistics.covariance("biased"), golden["cov_real_biased"], atol=1e-5)


def test_torchmetrics_agrees(golden):
    fid = pytest.importorskip("torchmetrics.image.fid")
    import torch

    real, fake = (FeatureStatistics.of(golden[name]) for name in ("feat_real", "feat_fake"))
    theirs = fid._compute_fid(
        *(torch.from_numpy(each) for s in (real, fake) for each in (s.mean, s.covariance("unbiased")))
    )
    assert frechet_distance(golden["feat_real"], golden["feat_fake"]) == pytest.approx(float(theirs), rel=1e-9)


@pytest.mark.parametrize("case", ["f0", "f1"])
def test_roots_by_svd_as_wan_move_and_tats_have_them(case):
    tensors = load_file(GOLDEN / "wan-move" / "frechet.safetensors")
    a, b = tensors[f"{case}.x1"], tensors[f"{case}.x2"]
    assert frechet_distance_by_svd(a, b) == pytest.approx(float(tensors[f"{case}.distance"][0]), rel=1e-3)
    assert frechet_distance_by_svd(a, b) == pytest.approx(frechet_distance(a, b), rel=1e-6)


def test_gaussians_in_one_dimension_and_with_commuting_covariances():
    # (m1 - m2)^2 + (s1 - s2)^2
    assert frechet_distance_of([1.0], [[4.0]], [4.0], [[25.0]]) == pytest.approx(9 + 9)
    assert frechet_distance_of([0.0, 0], np.diag([4.0, 9]), [0.0, 0], np.diag([1.0, 1])) == pytest.approx(1 + 4)
    # With (S1 S2)^1/2 = 0 nothing is taken off.
    assert frechet_distance_of([0.0, 0], np.diag([4.0, 0]), [0.0, 0], np.diag([0, 9.0])) == pytest.approx(13)


@pytest.mark.parametrize("rows", [2, 5, 12, 13, 40])
@pytest.mark.parametrize("covariance", ["biased", "unbiased"])
def test_fewer_samples_than_dimensions_give_the_same_as_covariances_would(rows, covariance):
    a, b = features(rows, 12), features(rows + 1, 12, seed=1)
    by_covariance = FeatureStatistics.of(a).distance(FeatureStatistics.of(b), covariance=covariance)
    assert frechet_distance(a, b, covariance=covariance) == pytest.approx(by_covariance, rel=1e-5)


@given(seed=st.integers(0, 1000), rows=st.integers(2, 30), dimensions=st.integers(1, 12))
def test_what_a_distance_is(seed, rows, dimensions):
    a, b = features(rows, dimensions, seed), features(rows + 3, dimensions, seed + 1)
    scale = (a**2).sum() + (b**2).sum()
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * scale)
    distance = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-6, abs=1e-6 * scale)
    assert frechet_distance(a[::-1], b) == pytest.approx(distance, rel=1e-6, abs=1e-6 * scale)
    assert frechet_distance(a, a + 2.0) == pytest.approx(4 * dimensions, rel=1e-6, abs=1e-6 * scale)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * distance, rel=1e-6, abs=1e-5 * scale)


@given(parts=st.lists(st.integers(0, 7), min_size=1, max_size=6))
def test_statistics_come_in_parts(parts):
    rows = features(sum(parts), 4) + 1e6  # far from zero, where sums of squares lose all digits
    cuts = np.cumsum(parts)[:-1]
    joined = FeatureStatistics.of(np.zeros((0, 4)))
    for part in np.split(rows, cuts):
        joined += FeatureStatistics.of(part)
    whole = FeatureStatistics.of(rows)
    assert joined.count == whole.count == len(rows)
    if len(rows):
        np.testing.assert_allclose(joined.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(joined.scatter, whole.scatter, atol=1e-6)


def test_many_rows_are_taken_in_blocks():
    rows = features(10_000, 3)
    statistics = FeatureStatistics.of(rows.astype(np.float32))
    np.testing.assert_allclose(statistics.covariance("unbiased"), np.cov(rows, rowvar=False), rtol=1e-5)
    rows[9000, 1] = np.inf
    with pytest.raises(InputError, match="generated: row 9000 holds"):
        frechet_distance(rows[:50], rows)


def test_too_few_samples_have_no_distance_and_say_how_many_are_wanted():
    a = features(5, 3)
    assert frechet_distance(a[:1], a) is None
    assert frechet_distance_by_svd(a, a[:1]) is None
    assert FeatureStatistics.of(a[:1]).distance(FeatureStatistics.of(a)) is None
    assert FeatureStatistics.of(a[:1]).covariance("unbiased") is None
    np.testing.assert_array_equal(FeatureStatistics.of(a[:1]).covariance("biased"), np.zeros((3, 3)))
    assert shortage(1, 50, 3) == "needs at least two samples of each kind, found 1 true and 50 generated"
    assert "5 samples for 3 dimensions: too few (below 6)" in str(shortage(5, 100, 3))
    assert shortage(6, 6, 3) is None


def test_what_is_not_a_set_of_features_is_refused():
    a = features(5, 3)
    broken = a.copy()
    broken[3, 1] = np.nan
    with pytest.raises(InputError, match="generated: row 3 holds a value that is not finite"):
        frechet_distance(a, broken)
    with pytest.raises(InputError, match=r"cat\.mp4: row 3"):
        FeatureStatistics.of(broken, "cat.mp4")
    with pytest.raises(InputError, match="found 3 and 2 dimensions"):
        frechet_distance(a, a[:, :2])
    with pytest.raises(InputError, match=r"real: found float64 \(3,\), expected numbers of features \[N, D\]"):
        frechet_distance(a[0], a)
    with pytest.raises(InputError, match=r"second: found mean \(2,\) and covariance \(3, 3\)"):
        frechet_distance_of(np.zeros(3), np.eye(3), np.zeros(2), np.eye(3))


def test_clips_are_drawn_by_name_and_seed_alone():
    assert clip_frames(15, "cat") is None
    assert clip_frames(16, "cat").tolist() == list(range(16))
    assert clip_frames(120, "cat", every=8) is None
    assert clip_frames(121, "cat", every=8).tolist() == list(range(0, 121, 8))
    assert clip_frames(81, "cat", seed=None)[0] == 0
    assert clip_frames(81, "cat").tolist() == clip_frames(81, "cat").tolist()
    assert clip_frames(81, "cat", seed=1)[0] != clip_frames(81, "cat")[0]
    starts = np.array([clip_frames(81, f"case {number}")[0] for number in range(2000)])
    assert (starts.min(), starts.max()) == (0, 65)  # every place, the last one included
    assert abs(starts.mean() - 32.5) < 1.5
