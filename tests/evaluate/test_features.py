from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from motionloom.errors import InputError
from motionloom.evaluate import features as maths


@pytest.fixture(scope="module")
def golden():
    return load_file(Path(__file__).parents[1] / "golden" / "metrics" / "feature_consistency.safetensors")


def test_published_values(golden):
    features, expected = golden["features"], {name: float(v.ravel()[0]) for name, v in golden.items() if v.size == 1}
    temporal = maths.clip_i_temporal(features)
    for name in ("first_last", "global_avg", "frame_acc"):
        assert temporal[name] == pytest.approx(expected[f"clip_i_{name}"], abs=1e-6)
    consistency, terms = maths.consistency(features)
    for name in ("cr_vbench_sc", "vbench_subject_consistency", "vbench_background_consistency"):
        assert consistency == pytest.approx(expected[name], abs=1e-6)
    assert terms.shape == (7,)
    assert maths.smoothness(features) == pytest.approx(expected["clip_i_frame_acc"], abs=1e-6)


def test_the_first_frame_adds_one_over_n(golden):
    temporal = maths.clip_i_temporal(golden["features"])
    assert temporal["global_avg"] == pytest.approx((1 + 7 * temporal["global_avg_without_first"]) / 8)


def test_consistency_counts_an_opposite_as_nothing():
    right, up, left = [1.0, 0], [0.0, 1], [-1.0, 0]
    # right -> up: (0 + 0) / 2; up -> left: (0 + 0) / 2 although left is opposite to the first
    assert maths.consistency([right, up, left])[0] == 0
    # right -> left: 0; left -> left: (1 + 0) / 2
    assert maths.consistency([right, left, left])[0] == pytest.approx(0.25)


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_length_of_features_does_not_matter(scale, seed):
    features = np.random.default_rng(seed).normal(size=(5, 6))
    assert maths.consistency(features * scale)[0] == pytest.approx(maths.consistency(features)[0])
    assert maths.clip_i_temporal(features * scale) == pytest.approx(maths.clip_i_temporal(features))


def test_over_videos_both_ways():
    both = maths.over_videos([0.5, None, 0.8], [10, 3, 20])
    assert both == {"per_video": pytest.approx(0.65), "per_frame": pytest.approx((5 + 16) / 30)}
    assert maths.over_videos([], []) == {"per_video": None, "per_frame": None}
    with pytest.raises(InputError, match="terms: found 1, expected one for each of the 2 values"):
        maths.over_videos([0.1, 0.2], [3])


def test_clipsim_is_a_cosine_that_may_be_negative():
    value, terms = maths.text_similarity([[2.0, 0], [0, 3.0], [-1.0, 0]], [5.0, 0])
    assert terms.tolist() == [1, 0, -1]
    assert value == 0
    with pytest.raises(InputError, match="text: found 3 dimensions, expected 2"):
        maths.text_similarity([[1.0, 0]], [1.0, 0, 0])
    with pytest.raises(InputError, match="found 2 prompts, expected the features of one"):
        maths.text_similarity([[1.0, 0]], [[1.0, 0], [0, 1.0]])


def test_domain_is_the_mean_over_pictures_and_frames():
    value, terms = maths.domain_similarity([[1.0, 0], [0, 1.0]], [[1.0, 0], [1.0, 0], [0, 1.0]])
    np.testing.assert_allclose(terms, [2 / 3, 1 / 3])
    assert value == pytest.approx(0.5)


def test_similarity_to_true_frames_goes_frame_by_frame():
    a, b = [[1.0, 0], [0, 1.0]], [[0.0, 1], [0, 2.0]]
    value, terms = maths.frame_similarity(a, b)
    assert (value, terms.tolist()) == (0.5, [0, 1])
    with pytest.raises(InputError, match="reference: found features of 1 frames, expected 2 as the video has"):
        maths.frame_similarity(a, b[:1])


def test_aesthetic_head():
    value, terms = maths.aesthetic([[3.0, 4.0], [0, 1.0]], [[10.0, 5.0]], 2.0)
    np.testing.assert_allclose(terms, [(0.6 * 10 + 0.8 * 5 + 2) / 10, (5 + 2) / 10])
    assert value == pytest.approx((1.2 + 0.7) / 2)
    with pytest.raises(InputError, match="weight: found 3 values, expected 2"):
        maths.aesthetic([[1.0, 0]], [1.0, 2, 3], 0)


def test_one_frame_and_none():
    one = np.ones((1, 4))
    temporal = maths.clip_i_temporal(one)
    assert temporal.pop("global_avg") == 1
    assert set(temporal.values()) == {None}
    assert maths.smoothness(one) is None
    assert maths.consistency(one)[0] is None
    none = np.ones((0, 4))
    assert set(maths.clip_i_temporal(none).values()) == {None}
    assert maths.text_similarity(none, np.ones(4))[0] is None
    assert maths.domain_similarity(one, none)[0] is None


def test_numbers_that_are_none_are_refused():
    features = np.ones((3, 4))
    features[1, 2] = np.inf
    with pytest.raises(InputError, match="features: row 1 holds a value that is not finite"):
        maths.consistency(features)
    features[1] = 0
    with pytest.raises(InputError, match="features: row 1 is zero and has no direction"):
        maths.clip_i_temporal(features)
    with pytest.raises(InputError, match=r"features: found shape \(3,\)"):
        maths.smoothness(np.ones(3))


def test_sampled_frames_are_those_of_the_published_program():
    assert maths.sampled_frames(81).tolist() == [0, 5, 10, 16, 21, 26, 32, 37, 42, 48, 53, 58, 64, 69, 74, 80]
    assert maths.sampled_frames(3, 5).tolist() == [0, 0, 1, 1, 2]
    assert maths.sampled_frames(1).tolist() == [0] * 16


def test_histograms_overlap_where_colours_do():
    frames = np.zeros((3, 4, 6, 3), np.uint8)
    frames[1, :2, :3] = 200  # one of the four cells has another colour
    frames[2] = 31  # the same bin as black
    histograms = maths.colour_histograms(frames)
    assert histograms.shape == (3, 4 * 512)
    np.testing.assert_allclose((histograms**2).sum(1), 1)
    np.testing.assert_allclose(histograms @ histograms[0], [1, 0.75, 1])
    half = frames[:1].copy()
    half[0, :, ::2] = 255  # in each cell of 2x3 pixels some are white: sqrt overlaps
    expected = 0.25 * 2 * (np.sqrt(1 / 3) + np.sqrt(2 / 3))
    assert maths.colour_histograms(half)[0] @ histograms[0] == pytest.approx(expected)
    with pytest.raises(InputError, match="frames: found float64"):
        maths.colour_histograms(np.zeros((1, 2, 2, 3)))  # pyright: ignore[reportArgumentType]
