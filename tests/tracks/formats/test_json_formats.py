"""AnyI2V boxes against the published program's boxes, and the article's trajectory_config."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from motionloom.errors import AmbiguousUnitsError, FileFormatError
from motionloom.tracks.formats import detect, read_tracks

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "anyi2v" / "box_trajectory.safetensors")


@pytest.mark.parametrize("case", ["case0", "case1", "case2"])
def test_anyi2v_points_move_as_the_published_boxes(case, tmp_path):
    boxes = GOLDEN[f"{case}.bounding_box"]
    content = {
        "bounding_box": boxes.tolist(),
        "target_box": GOLDEN[f"{case}.target_box"].tolist(),
        "center_traj": GOLDEN[f"{case}.center_traj"].tolist(),
        "query_point": [GOLDEN[f"{case}.query_point.{k}"].tolist() for k in range(len(boxes))],
    }
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    assert detect(file).format == "anyi2v"
    top_left_bottom_right = GOLDEN[f"{case}.box_trajectory"]
    corners = read_tracks(file, points="box")
    assert corners.size == (512, 512)
    for k in range(len(boxes)):
        found = corners.points[:, 4 * k : 4 * k + 4]
        np.testing.assert_allclose(found[:, 0], top_left_bottom_right[k][:, [1, 0]], atol=1e-3)
        np.testing.assert_allclose(found[:, 2], top_left_bottom_right[k][:, [3, 2]], atol=1e-3)
    query = read_tracks(file)
    start = 0
    for k, box in enumerate(boxes):
        relative = GOLDEN[f"{case}.query_rel.{k}"]  # y, x within the box
        found = query.points[0, start : start + len(relative)]
        np.testing.assert_allclose(found, relative[:, ::-1] + box[:2], atol=1e-3)
        start += len(relative)
    assert query.num_tracks == start


def test_anyi2v_without_query_points_takes_the_centre_and_resamples(tmp_path):
    content = {"bounding_box": [[10, 20, 30, 60]], "center_traj": [[[0, 0], [10, 0], [20, 0]]]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    tracks = read_tracks(tmp_path / "a.json", num_frames=5)
    assert tracks.points[:, 0].tolist() == [[20, 40], [25, 40], [30, 40], [35, 40], [40, 40]]
    both = read_tracks(tmp_path / "a.json", points="both")
    assert both.num_tracks == 5


@pytest.mark.parametrize(
    "change",
    [{"bounding_box": [[30, 20, 10, 60]]}, {"center_traj": []}, {"center_traj": [[]]}, {"bounding_box": [[1, 2, 3]]}],
)
def test_anyi2v_refuses(change, tmp_path):
    content = {"bounding_box": [[10, 20, 30, 60]], "center_traj": [[[0, 0], [10, 0]]], **change}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(FileFormatError):
        read_tracks(tmp_path / "a.json")


def test_trajectory_config_duration_and_start(tmp_path):
    content = {"points": [[0, 0], [5, 5]], "trajectories": [[[8, 0], [16, 0]], [[5, 5]]], "duration": 2.0}
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content))
    assert detect(file).needs == ("size",)
    tracks = read_tracks(file, size=(100, 100))
    assert (tracks.num_frames, tracks.fps) == (33, 16.0)
    np.testing.assert_allclose(tracks.points[:, 0, 0], np.linspace(0, 16, 33), atol=1e-5)
    assert (tracks.points[:, 1] == 5).all()
    assert read_tracks(file, size=(100, 100), fps=8).num_frames == 17
    del content["duration"]
    file.write_text(json.dumps(content))
    with pytest.raises(AmbiguousUnitsError, match="--num-frames"):
        read_tracks(file, size=(100, 100))


@pytest.mark.parametrize("value", ['"long"', "1e12", "-1"])
def test_trajectory_config_refuses_durations(value, tmp_path):
    (tmp_path / "a.json").write_text('{"points": [[0, 0]], "trajectories": [[[1, 1]]], "duration": ' + value + "}")
    with pytest.raises(FileFormatError, match="duration"):
        read_tracks(tmp_path / "a.json", size=(9, 9))
