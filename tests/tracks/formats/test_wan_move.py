"""The Wan-Move pair: both spellings, missing visibility, MoveBench folders."""

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import AmbiguousUnitsError, FileFormatError
from motionloom.tracks.formats import detect, read_tracks, write_tracks
from motionloom.tracks.formats.base import Ask
from motionloom.tracks.formats.registry import read_with
from motionloom.tracks.tracks import Tracks

POINTS = np.random.default_rng(0).uniform(-20, 900, (9, 4, 2)).astype(np.float32)
VISIBLE = np.random.default_rng(1).random((9, 4)) < 0.5


@pytest.mark.parametrize("lead", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_published_shapes(lead, dtype, tmp_path):
    extend = (lambda a: a[None]) if lead else (lambda a: a)
    np.save(tmp_path / "a_tracks.npy", extend(POINTS.astype(dtype)))
    np.save(tmp_path / "a_visibility.npy", extend(VISIBLE))
    tracks = read_tracks(tmp_path / "a_tracks.npy", size=(480, 832))
    np.testing.assert_array_equal(tracks.points, POINTS)
    np.testing.assert_array_equal(tracks.visible, VISIBLE)
    assert tracks.fps == 16.0
    pair = [tmp_path / "a_visibility.npy", tmp_path / "a_tracks.npy"]
    assert read_tracks(pair, size=(480, 832)) == tracks


def test_pair_given_in_any_order_and_under_any_name(tmp_path):
    np.save(tmp_path / "p.npy", POINTS[:, :2])
    np.save(tmp_path / "v.npy", VISIBLE[None, :, :2])
    for pair in (["p.npy", "v.npy"], ["v.npy", "p.npy"]):
        assert (
            read_tracks([tmp_path / name for name in pair], size=(480, 832)).visible.tolist() == VISIBLE[:, :2].tolist()
        )


def test_missing_visibility_means_all_visible_and_is_noted(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    ask = Ask(size=(480, 832))
    assert read_with(tmp_path / "a.npy", ask).visible.all()
    assert "a_visibility.npy" in ask.notes[0]


def test_visibility_as_probability(tmp_path):
    np.save(tmp_path / "a_tracks.npy", POINTS)
    np.save(tmp_path / "a_visibility.npy", np.linspace(0, 1, 36).reshape(9, 4))
    assert read_tracks(tmp_path / "a_tracks.npy", size=(9, 9)).visible.sum() == 18
    assert read_tracks(tmp_path / "a_tracks.npy", size=(9, 9), visible_threshold=0.9).visible.sum() == 4


def test_swapped_axes_are_noticed(tmp_path):
    np.save(tmp_path / "a_tracks.npy", POINTS)
    np.save(tmp_path / "a_visibility.npy", VISIBLE.T)
    with pytest.raises(FileFormatError, match="look swapped"):
        read_tracks(tmp_path / "a_tracks.npy", size=(9, 9))


def test_visibility_half_alone_names_the_other(tmp_path):
    np.save(tmp_path / "a_visibility.npy", VISIBLE)
    with pytest.raises(FileFormatError, match=r"a_tracks\.npy"):
        detect(tmp_path / "a_visibility.npy")


def test_movebench_size_comes_from_the_first_frame(tmp_path):
    for part in ("track/single", "first_frame"):
        (tmp_path / part).mkdir(parents=True)
    Image.new("RGB", (832, 480)).save(tmp_path / "first_frame" / "cat.jpg")
    file = write_tracks(Tracks(POINTS, VISIBLE, (480, 832), 16), tmp_path / "track" / "single" / "cat_tracks.npy")[0]
    assert detect(file).needs == ()
    assert read_tracks(file).size == (480, 832)


def test_normalised_values_are_not_guessed(tmp_path):
    np.save(tmp_path / "a.npy", POINTS / 900)
    with pytest.raises(AmbiguousUnitsError, match="--units"):
        read_tracks(tmp_path / "a.npy", size=(480, 832))
    as_parts = read_tracks(tmp_path / "a.npy", size=(480, 832), fps=16, units="normalised")
    np.testing.assert_allclose(as_parts.points, POINTS / 900 * [832, 480], rtol=1e-5)
    np.testing.assert_allclose(read_tracks(tmp_path / "a.npy", size=(480, 832), units="pixels").points, POINTS / 900)


def test_wan2gp_is_known_by_its_absent_mark(tmp_path):
    points = (POINTS + 20) / 1000
    points[:3, 1] = -1
    np.save(tmp_path / "a.npy", points)
    assert detect(tmp_path / "a.npy").format == "wan2gp"
    assert detect(tmp_path / "a.npy").needs == ("size", "fps")
    tracks = read_tracks(tmp_path / "a.npy", size=(500, 1000), fps=24)
    assert tracks.visible.sum() == 33
    np.testing.assert_allclose(tracks.points[:3, 1], np.repeat(tracks.points[3:4, 1], 3, axis=0))
    (tmp_path / "a.json").write_text('{"metadata": {"width": 1000, "height": 500, "fps": 24, "totalFrames": 9}}')
    assert read_tracks(tmp_path / "a.npy") == tracks


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e20])
def test_visible_points_have_to_be_numbers(bad, tmp_path):
    points = POINTS.copy()
    points[3, 1, 0] = bad
    np.save(tmp_path / "a_tracks.npy", points)
    with pytest.raises(FileFormatError, match="frame 3, track 1"):
        read_tracks(tmp_path / "a_tracks.npy", size=(9, 9))
    np.save(tmp_path / "none_tracks.npy", np.full_like(POINTS, np.nan))
    with pytest.raises(FileFormatError, match="frame 0, track 0, expected finite numbers"):
        read_tracks(tmp_path / "none_tracks.npy", size=(9, 9))
    visible = np.ones((9, 4), bool)
    visible[3, 1] = False
    np.save(tmp_path / "a_visibility.npy", visible)
    assert read_tracks(tmp_path / "a_tracks.npy", size=(9, 9)).points[3, 1].tolist() == [0, 0]


@pytest.mark.parametrize("array", [np.zeros((9, 4, 3)), np.zeros((2, 9, 4, 2)), np.zeros(5), np.array(["a"])])
def test_other_arrays_are_refused(array, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(FileFormatError, match="expected"):
        read_tracks(tmp_path / "a.npy", size=(9, 9))
