"""After Effects, Blender and RealEstate10K text files."""

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import AmbiguousUnitsError, FileFormatError, InputError
from motionloom.tracks.formats import detect, read_tracks, write_tracks
from motionloom.tracks.tracks import Tracks

AE = """Adobe After Effects 8.0 Keyframe Data

\tUnits Per Second\t29.97
\tSource Width\t1920
\tSource Height\t1080
\tSource Pixel Aspect Ratio\t1
\tComp Pixel Aspect Ratio\t1

Transform\tAnchor Point
\tFrame\tX pixels\tY pixels\tZ pixels\t
\t\t960\t540\t0\t

Transform\tPosition
\tFrame\tX pixels\tY pixels\tZ pixels\t
\t2\t100.5\t200\t0\t
\t4\t110.5\t220\t0\t

Effects\tADBE Point Control #2\tADBE Point Control-0001 #2
\tFrame\tX pixels\tY pixels\t
\t0\t1\t2\t
\t5\t11\t-8\t

End of Keyframe Data
"""


def test_after_effects_keys_hold_and_interpolate(tmp_path):
    file = tmp_path / "a.txt"
    only_position = AE.split("Effects\t")[0] + "End of Keyframe Data\n"
    file.write_text(only_position.replace("\n", "\r\n"), newline="")
    assert detect(file).format == "after-effects"
    tracks = read_tracks(file)
    assert (tracks.size, tracks.fps, tracks.num_tracks) == ((1080, 1920), pytest.approx(29.97), 1)
    assert tracks.points[:, 0].tolist() == [[100.5, 200], [100.5, 200], [100.5, 200], [105.5, 210], [110.5, 220]]


def test_after_effects_blocks_of_other_widths(tmp_path):
    (tmp_path / "a.txt").write_text(AE)
    tracks = read_tracks(tmp_path / "a.txt")
    assert tracks.points.shape == (6, 2, 2)
    assert tracks.points[:, 1].tolist() == [[1, 2], [3, 0], [5, -2], [7, -4], [9, -6], [11, -8]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\t4\t110.5", "\t1\t110.5", "rising"),
        ("\t4\t110.5", "\t2.5\t110.5", "whole"),
        ("29.97", "0", "Units Per Second"),
        ("\t1920", "\tx", "Source Width"),
        ("110.5", "1e", "number"),
        ("Transform\tPosition\n\tFrame\tX", "Transform\tPosition\n\tFrame\tQ", "no position rows"),
    ],
)
def test_after_effects_errors(old, new, message, tmp_path):
    text = AE.split("Effects\t")[0].replace(old, new)
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_tracks(tmp_path / "a.txt")


BLENDER = """track,frame,x,y,mute
Corner.001,10,0.5,1.0,0
Corner.001,11,0.25,0.0,0
"nose, left",11,0.75,0.5,1
Corner.001,13,0.0,0.5,False
"""


def test_blender_flips_y_and_hides_muted_and_missing(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(BLENDER)
    assert detect(file).needs == ("size", "fps")
    tracks = read_tracks(file, size=(100, 200), fps=24)
    assert tracks.points[:, 0].tolist() == [[100, 0], [50, 100], [0, 0], [0, 50]]
    assert tracks.visible.T.tolist() == [[True, True, False, True], [False] * 4]
    assert read_tracks(file, size=(100, 200), fps=24, first_frame=1).num_frames == 13
    file.write_text("# width=200 height=100 fps=24\n" + BLENDER)
    assert read_tracks(file) == tracks
    assert detect(file).needs == ()
    with pytest.raises(FileFormatError, match="whole numbers from 11"):
        read_tracks(file, first_frame=11)


def test_blender_tracks_may_be_interleaved(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("track,frame,x,y,mute\n7,1,0.5,0.5,0\n9,1,0.1,0.5,0\n7,2,0.5,0.5,0\n9,2,0.2,0.5,0\n")
    tracks = read_tracks(file, size=(10, 10), fps=24)
    np.testing.assert_allclose(tracks.points[..., 0], [[5, 1], [5, 2]], atol=1e-6)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_in_other_encodings_and_line_ends(encoding, tmp_path):
    (tmp_path / "a.csv").write_bytes(
        ("# width=200 height=100 fps=24\n" + BLENDER).replace("\n", "\r\n").encode(encoding)
    )
    (tmp_path / "b.csv").write_text("# width=200 height=100 fps=24\n" + BLENDER)
    assert read_tracks(tmp_path / "a.csv", format="blender", size=(100, 200), fps=24) == read_tracks(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_bytes(BLENDER.replace("nose", "n\xe4se").encode("latin1"))
    with pytest.raises(FileFormatError, match=r"c\.csv: not utf-8 text \(byte 72\)"):
        read_tracks(tmp_path / "c.csv", size=(100, 200), fps=24)


@pytest.mark.parametrize("row", ["a,1,0,0", "a,b,0,0,0", "a,1.5,0,0,0", 'a,"1,0,0,0', "a,1,0,0,0,9"])
def test_blender_wrong_rows(row, tmp_path):
    (tmp_path / "a.csv").write_text("track,frame,x,y,mute\nq,1,0,0,0\n" + row + "\n")
    with pytest.raises(FileFormatError):
        read_tracks(tmp_path / "a.csv", size=(9, 9), fps=24)


def poses(*translations, stamp=33333, focal=(0.5, 0.5 * 16 / 9)):
    rows = ["https://example.org/watch?v=1"]
    for index, (x, y, z) in enumerate(translations):
        rows.append(f"{index * stamp} {focal[0]} {focal[1]} 0.5 0.5 0 0 1 0 0 {x} 0 1 0 {y} 0 0 1 {z}")
    return "\n".join(rows) + "\n"


def test_camera_path_moves_a_plane(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text(poses((0, 0, 0), (0.1, 0, 0), (0, 0, -0.5)))
    assert detect(file).format == "realestate10k"
    with pytest.raises(AmbiguousUnitsError, match="--size"):
        read_tracks(file)
    points = np.array([[160.0, 90.0], [200.0, 90.0]])
    tracks = read_tracks(file, size=(180, 320), points=points, depth=2.0)
    assert tracks.fps == pytest.approx(30, abs=0.01)
    # f = 0.5 * 320 = 160 pixels: a shift of 0.1 at depth 2 is 8 pixels; moving half a unit nearer scales by 2 / 1.5.
    np.testing.assert_allclose(tracks.points[1], points + np.array([8, 0]), atol=1e-4)
    np.testing.assert_allclose(tracks.points[2, 1], [160 + 40 * 2 / 1.5, 90], atol=1e-3)


def test_camera_path_starts_at_the_picture_whatever_the_world(tmp_path):
    (tmp_path / "a.txt").write_text(poses((3, 1, 2), (3.1, 1, 2)))
    tracks = read_tracks(tmp_path / "a.txt", size=(180, 320), spacing=40)
    assert tracks.num_tracks == 8 * 4  # round(180 / 40) = 4 rows
    assert tracks.visible[0].all()
    np.testing.assert_allclose(tracks.points[0, 0], [20, 22.5], atol=1e-4)
    np.testing.assert_allclose(tracks.points[1] - tracks.points[0], np.tile([16.0, 0], (32, 1)), atol=1e-3)


def test_camera_intrinsics_follow_the_crop(tmp_path):
    (tmp_path / "a.txt").write_text(poses((0, 0, 0), (0.1, 0, 0)))
    square = read_tracks(tmp_path / "a.txt", size=(180, 180), points=np.array([[90.0, 90.0]]))
    plain = read_tracks(tmp_path / "a.txt", size=(180, 180), points=np.array([[90.0, 90.0]]), source_aspect=None)
    assert square.points[1, 0, 0] == pytest.approx(90 + 16, abs=1e-3)  # as cut from 320x180
    assert plain.points[1, 0, 0] == pytest.approx(90 + 9, abs=1e-3)


def test_camera_depth_map_and_its_errors(tmp_path):
    (tmp_path / "a.txt").write_text(poses((0, 0, 0), (0.1, 0, 0)))
    depth = np.full((180, 320), 2.0)
    depth[:, :100] = 1.0
    np.save(tmp_path / "depth.npy", depth)
    points = np.array([[50.0, 90.0], [250.0, 90.0]])
    tracks = read_tracks(tmp_path / "a.txt", size=(180, 320), points=points, depth=tmp_path / "depth.npy")
    np.testing.assert_allclose(tracks.points[1, :, 0], [66, 258], atol=1e-3)
    with pytest.raises(InputError, match="depth"):
        read_tracks(tmp_path / "a.txt", size=(90, 160), depth=tmp_path / "depth.npy")
    with pytest.raises(InputError, match="above zero"):
        read_tracks(tmp_path / "a.txt", size=(90, 160), depth=-1.0)


def test_camera_depth_map_as_an_image(tmp_path):
    """White at depth 2, black at depth 4; a shift of 0.1 with a focal length of 160 pixels is 8 or 4 pixels."""
    (tmp_path / "a.txt").write_text(poses((0, 0, 0), (0.1, 0, 0)))
    grey = np.zeros((180, 320), np.uint8)
    grey[:, :100] = 255
    Image.fromarray(grey).save(tmp_path / "depth.png")
    said = {"size": (180, 320), "points": np.array([[50.0, 90.0], [250.0, 90.0]]), "depth": str(tmp_path / "depth.png")}
    tracks = read_tracks(tmp_path / "a.txt", encoding="disparity", near=2.0, far=4.0, **said)
    np.testing.assert_allclose(tracks.points[1, :, 0], [58, 254], atol=1e-3)
    with pytest.raises(InputError, match="encoding: found 'inverse', expected one of depth, disparity, metric"):
        read_tracks(tmp_path / "a.txt", encoding="inverse", **said)
    with pytest.raises(InputError, match="expected 0 < near < far"):
        read_tracks(tmp_path / "a.txt", encoding="depth", near=5.0, far=2.0, **said)
    with pytest.raises(FileFormatError, match="every depth above zero"):
        read_tracks(tmp_path / "a.txt", **said)


def test_camera_path_without_times_asks_for_the_rate(tmp_path):
    (tmp_path / "a.txt").write_text(poses((0, 0, 0), (0.1, 0, 0), stamp=1))
    with pytest.raises(AmbiguousUnitsError, match="--fps"):
        read_tracks(tmp_path / "a.txt", size=(90, 160))


def test_camera_rows_have_to_be_poses(tmp_path):
    text = poses((0, 0, 0), (0, 0, 0)).replace("0 0 1 0 0 0", "0 0 1 2 0 0", 1)
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FileFormatError, match="not a rotation"):
        read_tracks(tmp_path / "a.txt", size=(90, 160))


def test_after_effects_precision(tmp_path):
    tracks = Tracks(np.array([[[0.12345, -7.5]]]), np.ones((1, 1), bool), (10, 10), 23.976)
    file = write_tracks(tracks, tmp_path / "a.ae.txt")[0]
    assert "\t0\t0.1235\t-7.5000\t0\t\n" in file.read_text()
    assert read_tracks(file).fps == pytest.approx(23.976)
