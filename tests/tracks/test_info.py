"""What `describe` says about a file."""

import json

import numpy as np
import pytest

from motionloom.errors import FileFormatError
from motionloom.tracks.formats import write_tracks
from motionloom.tracks.info import describe
from motionloom.tracks.tracks import Tracks


@pytest.fixture
def file(tmp_path):
    points = np.zeros((5, 4, 2))
    points[:, 0, 0] = np.arange(5) * 3.0  # 3 pixels a frame
    points[:, 1] = 50.0
    points[:, 2] = [500.0, 20.0]  # off the canvas
    points[:, 3] = 10.0
    visible = np.ones((5, 4), bool)
    visible[:, 3] = [False, False, True, True, True]
    tracks = Tracks(points, visible, (100, 200), 16)
    return write_tracks(tracks, tmp_path / "a_tracks.npy")[0]


def test_numbers(file):
    info = describe(file, size=(100, 200))
    assert (info.detection.format, info.detection.needs) == ("wan-move", ("size",))
    assert info.visible_share == pytest.approx(18 / 20)
    assert info.outside_share == pytest.approx(5 / 18)
    assert info.hidden_first == 1
    assert info.bounds == (0.0, 0.0, 500.0, 50.0)
    # 14 steps between visible frames, four of them 3 pixels long.
    assert info.speeds is not None
    assert (info.speeds.median, info.speeds.largest) == (0.0, 3.0)
    assert any("first frame" in note for note in info.notes)


def test_lines_and_json(file):
    text = "\n".join(describe(file, size=(100, 200)).lines())
    for part in ("Wan-Move", "5 at 16 fps, 0.25 s", "200x100", "90.0% of points", "27.8% of visible", "largest 3.00"):
        assert part in text
    assert json.loads(json.dumps(describe(file, size=(100, 200)).as_dict()))["num_tracks"] == 4


def test_file_that_needs_more_is_described_as_far_as_it_goes(file):
    info = describe(file)
    assert info.tracks is None
    assert info.missing is not None
    assert "--size" in info.missing
    assert any(line.startswith("needed") for line in info.lines())
    assert info.as_dict()["num_frames"] is None


def test_doubts_are_voiced(tmp_path):
    tracks = Tracks(np.full((3, 2, 2), 0.5), np.ones((3, 2), bool), (100, 200), 16)
    np.save(tmp_path / "a.npy", tracks.points)
    assert any("units" in note for note in describe(tmp_path / "a.npy", size=(100, 200), units="pixels").notes)
    empty = write_tracks(Tracks.empty(5, (100, 200), 16), tmp_path / "b.tracks.safetensors")[0]
    info = describe(empty)
    assert info.speeds is None
    assert info.bounds is None
    assert any("no track" in note for note in info.notes)
    jump = np.zeros((2, 1, 2))
    jump[1] = 90
    file = write_tracks(Tracks(jump, np.ones((2, 1), bool), (100, 200), 16), tmp_path / "c.tracks.safetensors")[0]
    assert any("jumps" in note for note in describe(file).notes)


def test_notes_of_the_reader_come_along(tmp_path):
    (tmp_path / "a.txt").write_text("1,2\n3,4\n")
    notes = describe(tmp_path / "a.txt").notes
    assert any("49 frames" in note for note in notes)
    with pytest.raises(FileFormatError):
        describe(tmp_path / "none.txt")
