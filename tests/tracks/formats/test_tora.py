"""Tora's trajectories against the published program's own resampling."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats import detect, read_tracks, write_tracks
from motionloom.tracks.formats.tora import program_frames
from motionloom.tracks.tracks import Tracks

CASES = json.loads((Path(__file__).parents[2] / "golden" / "tora" / "program_points.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_program_frames(name):
    case = CASES[name]
    for given, expected in zip(case["points_in"], case["points_256"], strict=True):
        np.testing.assert_array_equal(program_frames(np.array(given), case["frames"]), expected)


def test_tail_is_lost_by_the_program_and_kept_by_default(tmp_path):
    case = CASES["tailloss14"]
    file = tmp_path / "a.txt"
    file.write_text("\n".join(f"{x}, {y}" for x, y in case["points_in"][0]))
    program = read_tracks(file, num_frames=case["frames"], timing="program")
    kept = read_tracks(file, num_frames=case["frames"])
    assert program.points[-1, 0].tolist() != case["points_in"][0][-1]
    assert kept.points[-1, 0].tolist() == case["points_in"][0][-1]
    np.testing.assert_array_equal(program.points[:, 0], case["points_256"][0])


def test_canvas_is_stretched_over_the_image(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("0,0\r\n128, 64\r\n\r\n255.5,256\r\n")
    tracks = read_tracks(file, size=(480, 720), num_frames=3)
    np.testing.assert_allclose(tracks.points[:, 0], [[0, 0], [360, 120], [718.59375, 480]])
    assert read_tracks(file).points.shape == (49, 1, 2)
    assert read_tracks(file).fps == 8.0


def test_point_density_is_speed_or_not(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("0,0\n10,0\n100,0\n")
    by_index = read_tracks(file, num_frames=5).points[:, 0, 0]
    by_length = read_tracks(file, num_frames=5, timing="length").points[:, 0, 0]
    assert by_index.tolist() == [0, 5, 10, 55, 100]
    assert by_length.tolist() == [0, 25, 50, 75, 100]


def test_several_files_are_several_tracks(tmp_path):
    points = np.stack([np.tile(np.arange(4.0)[:, None], 2) * (k + 1) for k in range(12)], axis=1)
    tracks = Tracks(points, np.ones((4, 12), bool), (256, 256), 8)
    written = write_tracks(tracks, tmp_path / "t.txt")
    assert [p.name for p in written[:2]] == ["t_00.txt", "t_01.txt"]
    assert written[11].read_text() == "0,0\n12,12\n24,24\n36,36\n"
    assert read_tracks(written, num_frames=4) == tracks


def test_outside_is_refused_or_clipped(tmp_path):
    tracks = Tracks(np.array([[[-1.0, 5.0]], [[300.0, 255.9]]]), np.ones((2, 1), bool), (256, 256), 8)
    with pytest.raises(InputError, match="frame 0, track 0"):
        write_tracks(tracks, tmp_path / "a.txt", format="tora")
    file = write_tracks(tracks, tmp_path / "a.txt", format="tora", outside="clip")[0]
    assert file.read_text() == "0,5\n255,255\n"  # 256 would stop the program


def test_one_frame_is_two_points_as_the_program_needs(tmp_path):
    tracks = Tracks(np.full((1, 1, 2), 7.0), np.ones((1, 1), bool), (256, 256), 8)
    assert write_tracks(tracks, tmp_path / "a.txt", format="tora")[0].read_text() == "7,7\n7,7\n"


def test_wrong_line_is_named_and_long_digits_are_quick(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("1,2\n" * 2000 + "3;4\n")
    assert detect(file).format == "tora"
    with pytest.raises(FileFormatError, match="point 2001: found '3;4'"):
        read_tracks(file)
    file.write_text("1,2\n" + "1" * 3_000_000)
    start = time.perf_counter()
    with pytest.raises(FileFormatError):
        read_tracks(file, format="tora")
    assert time.perf_counter() - start < 2
