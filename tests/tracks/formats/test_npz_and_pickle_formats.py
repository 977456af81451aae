"""TAP-Vid pickles and CoTracker archives."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import AmbiguousUnitsError, FileFormatError, InputError
from motionloom.tracks.formats import clip_names, detect, read_tracks, write_tracks
from motionloom.tracks.tracks import Tracks

DRAW = np.random.default_rng(0)
POINTS = DRAW.random((3, 7, 2)).astype(np.float32)
OCCLUDED = DRAW.random((3, 7)) < 0.4


def entry(**more):
    return {"points": POINTS, "occluded": OCCLUDED, "video": np.zeros((7, 48, 64, 3), np.uint8), **more}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tapvid_dict_of_clips(protocol, tmp_path):
    file = tmp_path / "davis.pkl"
    file.write_bytes(pickle.dumps({"cat": entry(), "dog": entry(points=POINTS * 0.5)}, protocol))
    assert detect(file).needs == ("fps",)
    assert clip_names(file) == ["cat", "dog"]
    tracks = read_tracks(file, name="dog", fps=25)
    assert (tracks.size, tracks.fps) == ((48, 64), 25)
    np.testing.assert_allclose(tracks.points, POINTS.transpose(1, 0, 2) * [32, 24], rtol=1e-6)
    np.testing.assert_array_equal(tracks.visible, ~OCCLUDED.T)
    with pytest.raises(InputError, match=r"2 clips.*cat, dog"):
        read_tracks(file, fps=25)
    with pytest.raises(InputError, match="no clip 'cow'"):
        read_tracks(file, fps=25, name="cow")
    with pytest.raises(AmbiguousUnitsError, match="--fps"):
        read_tracks(file, name="cat")


def test_tapvid_list_and_jpeg_frames(tmp_path):
    frame = io.BytesIO()
    Image.new("RGB", (100, 50)).save(frame, "JPEG")
    file = tmp_path / "stacking.pkl"
    file.write_bytes(pickle.dumps([entry(), entry(video=[frame.getvalue()] * 7)]))
    assert read_tracks(file, name=1, fps=10).size == (50, 100)
    assert read_tracks(file, name="1", fps=10, size=(9, 9)).size == (9, 9)


def test_tapvid_without_video_asks_for_the_size_and_takes_pixels(tmp_path):
    file = tmp_path / "a.pkl"
    content = entry()
    del content["video"]
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(AmbiguousUnitsError, match="--size"):
        read_tracks(file, fps=10)
    tracks = read_tracks(file, fps=10, size=(48, 64), units="pixels")
    np.testing.assert_array_equal(tracks.points, POINTS.transpose(1, 0, 2))


def test_tapvid_written_file_is_the_published_layout(tmp_path):
    tracks = Tracks(POINTS.transpose(1, 0, 2) * 40, ~OCCLUDED.T, (48, 64), 24)
    video = np.zeros((7, 48, 64, 3), np.uint8)
    file = write_tracks(tracks, tmp_path / "a.pkl", name="cat", video=video)[0]
    content = pickle.loads(file.read_bytes())["cat"]
    assert content["points"].shape == (3, 7, 2)
    assert content["points"].dtype == np.float32
    assert (content["occluded"] == OCCLUDED).all()
    assert content["video"].shape == video.shape
    with pytest.raises(InputError, match="video"):
        write_tracks(tracks, tmp_path / "b.pkl", video=video[:3])


@pytest.mark.parametrize(
    "change", [{"points": POINTS[0]}, {"points": [1]}, {"occluded": OCCLUDED.T}, {"occluded": None}]
)
def test_tapvid_wrong_entries(change, tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"a": entry(**change)}))
    with pytest.raises(FileFormatError, match=r"points|occluded"):
        read_tracks(tmp_path / "a.pkl", fps=10)


PIXELS = (POINTS.transpose(1, 0, 2) * 60).astype(np.float32)


@pytest.mark.parametrize(("tracks", "visibility"), [("tracks", "visibility"), ("pred_tracks", "pred_visibility")])
@pytest.mark.parametrize("batched", [True, False])
def test_cotracker_counts_from_pixel_centres(tracks, visibility, batched, tmp_path):
    lead = (None,) if batched else ()
    np.savez(tmp_path / "a.npz", **{tracks: PIXELS[(*lead, ...)], visibility: (~OCCLUDED.T)[(*lead, ..., None)]})
    read = read_tracks(tmp_path / "a.npz", size=(48, 64), fps=30)
    np.testing.assert_array_equal(read.points, PIXELS + np.float32(0.5))
    np.testing.assert_array_equal(read.visible, ~OCCLUDED.T)
    assert detect(tmp_path / "a.npz").needs == ("size", "fps")


def test_cotracker_threshold_axes_and_centres(tmp_path):
    shares = np.linspace(0, 1, 21).reshape(3, 7)
    np.savez(tmp_path / "a.npz", tracks=PIXELS.transpose(1, 0, 2), visibles=shares)
    said = {"size": (48, 64), "fps": 30, "axes": "NT", "pixel_centres": "half"}
    read = read_tracks(tmp_path / "a.npz", visible_threshold=0.9, **said)
    np.testing.assert_array_equal(read.points, PIXELS)
    np.testing.assert_array_equal(read.visible, shares.T >= 0.9)
    assert read_tracks(tmp_path / "a.npz", **said).visible.sum() == 11


def test_cotracker_near_zero_is_ambiguous(tmp_path):
    np.savez(tmp_path / "a.npz", tracks=POINTS)
    with pytest.raises(AmbiguousUnitsError, match="--units"):
        read_tracks(tmp_path / "a.npz", size=(48, 64), fps=30)
    read = read_tracks(tmp_path / "a.npz", size=(48, 64), fps=30, units="normalised")
    np.testing.assert_allclose(read.points, POINTS * [64, 48], rtol=1e-6)


def test_cotracker_several_clips_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", tracks=np.ones((2, 7, 3, 2)))
    with pytest.raises(FileFormatError, match="expected one clip"):
        read_tracks(tmp_path / "a.npz", size=(48, 64), fps=30)
