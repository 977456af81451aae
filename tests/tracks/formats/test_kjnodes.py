"""KJNodes spline editor: coordinates in every spelling, control points with handles."""

import json

import numpy as np
import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats import detect, read_tracks, write_tracks
from motionloom.tracks.tracks import Tracks

SAID = {"size": (480, 832), "fps": 16}
TWO = [[{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 6}], [{"x": 7, "y": 8}, {"x": 9, "y": 10}]]


@pytest.mark.parametrize(
    ("text", "tracks"),
    [
        (json.dumps(TWO[0]), 1),
        (json.dumps(TWO), 2),
        (json.dumps(TWO).replace('"', "'"), 2),
        (json.dumps([json.dumps(track) for track in TWO]), 2),
        (json.dumps([json.dumps(track).replace('"', "'") for track in TWO]), 2),
        (json.dumps(TWO, indent=2), 2),
        (json.dumps([[{"y": p["y"], "x": p["x"]} for p in t] for t in TWO]), 2),
        (json.dumps(TWO).replace("3", "3.0e0"), 2),
    ],
)
def test_spellings(text, tracks, tmp_path):
    file = tmp_path / "a.json"
    file.write_text(text)
    if "{'y'" not in text and '{"y"' not in text:
        assert detect(file).format == "kj-coordinates"
    read = read_tracks(file, format="kj-coordinates", **SAID)
    assert read.num_tracks == tracks
    assert read.points[:, 0].tolist() == [[1, 2], [3, 4], [5, 6]]
    if tracks == 2:
        assert read.visible[:, 1].tolist() == [True, True, False]
        held = read_tracks(file, format="kj-coordinates", short="hold", **SAID)
        assert held.visible.all()
        assert held.points[2, 1].tolist() == [9, 10]


@pytest.mark.parametrize(
    "text",
    ['[[{"x":1,"y":2}],[{"x":1}]]', '[{"x":1,"y":"a"}]', '[[{"x":1,"y":2}]', '[{"x":1,"y":2}, 3]', '[{"x":1,"y":1-2}]'],
)
def test_wrong_points_are_refused(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FileFormatError) as caught:
        read_tracks(tmp_path / "a.json", **SAID)
    assert "\n" not in str(caught.value)


def test_tracks_that_end_early_round_trip(tmp_path):
    visible = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0]], bool)
    points = np.arange(18.0).reshape(3, 3, 2)
    file = write_tracks(Tracks(points, visible, SAID["size"], 16), tmp_path / "a.json", format="kj-coordinates")[0]
    assert json.loads(file.read_text())[2] == []
    read = read_tracks(file, **SAID)
    assert read.visible.tolist() == visible.tolist()
    assert read.points[visible].tolist() == points[visible].tolist()
    with pytest.raises(InputError, match="ends early"):
        write_tracks(Tracks(points, ~visible, SAID["size"], 16), tmp_path / "b.json", format="kj-coordinates")


def spline(points, **more):
    return {"points": points, "color": "#fff", "name": "a", **more}


def test_bezier_handles(tmp_path):
    start = {"x": 0, "y": 0, "h1x": 0, "h1y": 0, "h2x": 0, "h2y": 40}
    end = {"x": 100, "y": 0, "h1x": 100, "h1y": 40, "h2x": 100, "h2y": 0}
    file = tmp_path / "a.json"
    file.write_text(json.dumps([spline([start, end])]))
    assert detect(file).format == "kj-points"
    read = read_tracks(file, num_frames=33, sampling="points", **SAID)
    t = np.linspace(0, 1, 33)
    np.testing.assert_allclose(read.points[:, 0, 0], 100 * (3 * (1 - t) * t**2 + t**3), atol=1e-4)
    np.testing.assert_allclose(read.points[:, 0, 1], 40 * 3 * t * (1 - t), atol=1e-4)
    even = read_tracks(file, num_frames=65, **SAID).points[:, 0]
    steps = np.hypot(*np.diff(even, axis=0).T)
    assert steps.max() / steps.min() < 1.01


def test_cardinal_and_linear_without_handles(tmp_path):
    keys = [{"x": 0, "y": 0}, {"x": 30, "y": 60}, {"x": 90, "y": 0}]
    file = tmp_path / "a.json"
    file.write_text(json.dumps([spline(keys)]))
    line = read_tracks(file, num_frames=5, interpolation="linear", sampling="points", **SAID)
    assert line.points[:, 0].tolist() == [[0, 0], [15, 30], [30, 60], [60, 30], [90, 0]]
    curve = read_tracks(file, num_frames=5, sampling="points", **SAID).points[:, 0]
    # First segment: quadratic with control point p1 - 2/3 * (1 - 0.5) / 2 * (p2 - p0) = (15, 60); middle at t = 1/2.
    np.testing.assert_allclose(curve[1], [0.25 * 0 + 0.5 * 15 + 0.25 * 30, 0.25 * 0 + 0.5 * 60 + 0.25 * 60], atol=1e-4)
    straight = read_tracks(file, num_frames=5, interpolation="cardinal", tension=1.0, **SAID).points[:, 0]
    assert (np.diff(straight[:, 0]) > 0).all()


def test_bare_point_list_with_handles_is_one_spline(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps([{"x": 1, "y": 2, "h1x": 1, "h1y": 2, "h2x": 1, "h2y": 2}]))
    assert detect(file).format == "kj-points"
    assert read_tracks(file, num_frames=3, **SAID).points[:, 0].tolist() == [[1, 2]] * 3
