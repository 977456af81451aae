"""Every format: round trips within its precision, detection by content, what it refuses."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from motionloom.errors import AmbiguousUnitsError, FileFormatError, InputError
from motionloom.tracks.formats import detect, list_formats, read_motion, read_tracks, write_tracks
from motionloom.tracks.formats.registry import replace_files
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

SIZE = (240, 416)
FPS = 12.5

# name: (file, what it holds beside visible points inside the image, arguments of the reader, precision in pixels)
CASES = {
    "motionloom": ("x.tracks.safetensors", {"hidden", "outside", "zero"}, {}, 0.0),
    "wan-move": ("x_tracks.npy", {"hidden", "outside", "zero"}, {"size": SIZE, "fps": FPS, "units": "pixels"}, 0.0),
    "wan2gp": ("x.npy", {"hidden", "outside", "zero"}, {"units": "normalised", "format": "wan2gp"}, 1e-4),
    "cotracker": ("x.npz", {"hidden", "outside", "zero"}, {"units": "pixels"}, 1e-4),
    "tapvid": ("x.pkl", {"hidden", "outside", "zero"}, {}, 1e-4),
    "blender": ("x.csv", {"hidden", "outside"}, {}, 1e-4),
    "after-effects": ("x.ae.txt", {"outside"}, {}, 1.2e-4),
    "trajectory-config": ("x.json", {"outside"}, {}, 6e-4),
    "kj-points": ("x.json", {"outside"}, {"size": SIZE, "fps": FPS, "sampling": "points"}, 6e-4),
    "kj-coordinates": ("x.json", {"outside"}, {"size": SIZE, "fps": FPS}, 0.5),
    "tora": ("x.txt", set(), {"size": SIZE, "fps": FPS}, 416 / 256),
    "anyi2v": ("x.json", {"outside"}, {}, 1e-3),
}


@st.composite
def tracks_for(draw, abilities):
    frames, count = draw(st.integers(1, 6)), draw(st.integers(0 if "zero" in abilities else 1, 4))
    low, high = (-200.0, 900.0) if "outside" in abilities else (0.0, 239.0)
    floats = st.floats(low, high, width=32)
    points = draw(hnp.arrays(np.float32, (frames, count, 2), elements=floats))
    visible = draw(hnp.arrays(np.bool_, (frames, count))) if "hidden" in abilities else np.ones((frames, count), bool)
    return Tracks(points, visible, SIZE, FPS)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trip(name, data, tmp_path):
    file, abilities, arguments, precision = CASES[name]
    tracks = data.draw(tracks_for(abilities))
    written = write_tracks(tracks, tmp_path / file, format=name)
    if name in ("tora", "kj-points"):
        arguments = {**arguments, "num_frames": tracks.num_frames}
    read = read_tracks(written if name == "tora" else written[0], **arguments)
    expected = tracks.resize((512, 512)) if name == "anyi2v" else tracks
    assert read.size == expected.size
    assert read.fps == (8.0 if name == "anyi2v" else pytest.approx(FPS))
    np.testing.assert_array_equal(read.visible, tracks.visible)
    # Hidden positions mean nothing and several formats cannot keep them.
    np.testing.assert_allclose(read.points[tracks.visible], expected.points[tracks.visible], rtol=0, atol=precision)


@pytest.mark.parametrize("name", [n for n in CASES if n != "wan2gp"])
def test_detected_by_content_under_any_name(name, tmp_path):
    points = np.random.default_rng(0).uniform(10, 200, (7, 3, 2))
    tracks = Tracks(points, np.ones((7, 3), bool), SIZE, FPS)
    written = write_tracks(tracks, tmp_path / CASES[name][0], format=name)[0]
    anonymous = tmp_path / "file"
    written.rename(anonymous)
    found = detect(anonymous)
    assert found.format == name
    if name in ("wan-move", "kj-coordinates", "kj-points"):
        assert "size" in found.needs
    else:
        assert "size" not in found.needs


def test_every_format_is_listed_once_and_documented():
    names = [format.name for format in list_formats()]
    assert len(names) == len(set(names)) == 16
    page = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "flag"),
    [("wan-move", "--size"), ("kj-coordinates", "--size"), ("kj-points", "--size"), ("wan2gp", "--units")],
)
def test_missing_units_are_asked_for(name, flag, tmp_path):
    tracks = Tracks(np.full((3, 2, 2), 20.0), np.ones((3, 2), bool), SIZE, FPS)
    written = write_tracks(tracks, tmp_path / CASES[name][0], format=name)[0]
    with pytest.raises(AmbiguousUnitsError, match=flag):
        read_tracks(written)


def test_missing_rate_and_frames_are_asked_for(tmp_path):
    tracks = Tracks(np.full((3, 2, 2), 20.0), np.ones((3, 2), bool), SIZE, FPS)
    file = write_tracks(tracks, tmp_path / "a.json", format="kj-points")[0]
    with pytest.raises(AmbiguousUnitsError, match="--fps"):
        read_tracks(file, size=SIZE)
    with pytest.raises(AmbiguousUnitsError, match="--num-frames"):
        read_tracks(file, size=SIZE, fps=16)


@pytest.mark.parametrize("name", ["tora", "anyi2v", "kj-points", "trajectory-config", "after-effects"])
def test_hidden_points_are_refused_where_they_would_become_visible(name, tmp_path):
    visible = np.ones((4, 2), bool)
    visible[2, 1] = False
    tracks = Tracks(np.full((4, 2, 2), 20.0), visible, SIZE, FPS)
    with pytest.raises(InputError, match="frame 2, track 1"):
        write_tracks(tracks, tmp_path / "x", format=name)
    assert list(tmp_path.iterdir()) == []
    written = write_tracks(tracks, tmp_path / CASES[name][0], format=name, hidden="keep")
    assert len(written) == (2 if name == "tora" else 1)


@pytest.mark.parametrize("name", ["tora", "anyi2v", "kj-points", "kj-coordinates", "trajectory-config", "blender"])
def test_zero_tracks_are_refused_where_nothing_would_be_left(name, tmp_path):
    with pytest.raises(InputError, match="zero tracks"):
        write_tracks(Tracks.empty(5, SIZE, FPS), tmp_path / "x", format=name)


def test_writer_chosen_by_ending_or_asked_for(tmp_path):
    tracks = Tracks(np.full((2, 1, 2), 20.0), np.ones((2, 1), bool), SIZE, FPS)
    assert detect(write_tracks(tracks, tmp_path / "a.tracks.safetensors")[0]).format == "motionloom"
    assert detect(write_tracks(tracks, tmp_path / "a.pth")[0]).format == "ati"
    assert [p.name for p in write_tracks(tracks, tmp_path / "a_tracks.npy")] == ["a_tracks.npy", "a_visibility.npy"]
    with pytest.raises(InputError, match=r"anyi2v.*kj-coordinates"):
        write_tracks(tracks, tmp_path / "a.json")
    with pytest.raises(InputError, match="wan2gp, wan-move"):
        write_tracks(tracks, tmp_path / "a.npy")
    with pytest.raises(InputError, match="can be read only"):
        write_tracks(tracks, tmp_path / "a", format="realestate10k")


def test_no_file_beside_is_replaced_unless_wanted(tmp_path):
    tracks = Tracks(np.full((2, 2, 2), 20.0), np.ones((2, 2), bool), SIZE, FPS)
    for name, beside in (("a.npy", "a.json"), ("b.txt", "b_1.txt")):
        (tmp_path / beside).write_text("mine")
        format = "wan2gp" if beside == "a.json" else "tora"
        with pytest.raises(InputError, match=rf"{beside}: exists already"):
            write_tracks(tracks, tmp_path / name, format=format, overwrite=False)
        assert sorted(file.name for file in tmp_path.iterdir() if file.name[0] == name[0]) == [beside]
        assert (tmp_path / beside).read_text() == "mine"
        assert tmp_path / beside in write_tracks(tracks, tmp_path / name, format=format)


def test_unknown_option_and_format_name_the_choices(tmp_path):
    tracks = Tracks(np.full((2, 1, 2), 20.0), np.ones((2, 1), bool), SIZE, FPS)
    file = write_tracks(tracks, tmp_path / "a.pth")[0]
    with pytest.raises(InputError, match=r"speling.*ati_reference_frames"):
        read_tracks(file, size=SIZE, speling=1)
    with pytest.raises(InputError, match=r"scale: found 'big', expected float"):
        read_tracks(file, size=SIZE, scale="big")
    with pytest.raises(InputError, match=r"ati_reference_frames: found '1', expected bool"):
        read_tracks(file, size=SIZE, ati_reference_frames=1)
    with pytest.raises(InputError, match=r"dtype: found '3', expected str"):
        write_tracks(tracks, file, dtype=3)
    assert read_tracks(file, size=SIZE, scale=4).points[0, 0, 0] == 40
    with pytest.raises(InputError, match="wan-move"):
        read_tracks(file, format="wanmove")
    with pytest.raises(InputError, match="units"):
        read_tracks(file, size=SIZE, units="normalised")
    with pytest.raises(InputError, match="height, width"):
        read_tracks(file, size=640)  # type: ignore[arg-type]


def test_num_frames_stretches_the_motion_and_keeps_its_duration(tmp_path):
    line = np.linspace(0, 100, 11)[:, None, None] * np.ones((1, 1, 2))
    file = write_tracks(Tracks(line, np.ones((11, 1), bool), SIZE, 10.0), tmp_path / "a.tracks.safetensors")[0]
    read = read_tracks(file, num_frames=21)
    assert (read.num_frames, read.fps) == (21, 20.0)
    np.testing.assert_allclose(read.points[:, 0, 0], np.linspace(0, 100, 21), atol=1e-5)


def test_several_files_need_the_same_frames(tmp_path):
    for index, frames in enumerate((4, 6)):
        tracks = Tracks(np.full((frames, 1, 2), 9.0), np.ones((frames, 1), bool), SIZE, FPS)
        write_tracks(tracks, tmp_path / f"{index}.tracks.safetensors")
    files = [tmp_path / "0.tracks.safetensors", tmp_path / "1.tracks.safetensors"]
    with pytest.raises(InputError, match="4 and 6 frames"):
        read_tracks(files)
    with pytest.raises(InputError, match="empty list"):
        read_tracks([])


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    old = tmp_path / "a.tracks.safetensors"
    old.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device", "a")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FileFormatError, match="No space left"):
        replace_files({old: b"new", tmp_path / "b": b"new"})
    assert [p.name for p in tmp_path.iterdir()] == [old.name]
    assert old.read_bytes() == b"old"


def test_motion_files_are_motions_or_their_compiled_tracks(tmp_path):
    content = {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 416, "height": 240},
        "num_frames": 5,
        "fps": 16,
        "instructions": [{"kind": "static", "id": "a", "points": [[10, 20]]}],
    }
    file = tmp_path / "anything"
    file.write_text(json.dumps(content))
    loaded = Motion.load(file)
    assert detect(file).format == "motion"
    assert read_motion(file) == loaded
    assert read_tracks(file) == loaded.compile()
    assert read_tracks(file, size=(480, 832)).points[0, 0].tolist() == [20, 40]


def test_unknown_content_says_so(tmp_path):
    for name, content, message in [
        ("a.json", b'{"a": 1}', "no known track format"),
        ("b.json", b'[{"a" 1}]', "not JSON"),
        ("c.txt", b"hello\n", "unknown text"),
        ("d.bin", b"\0\1\2", "unknown content"),
        ("e.txt", b"", "empty"),
    ]:
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(FileFormatError, match=message) as caught:
            read_tracks(file)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileFormatError, match="no such file"):
        read_tracks(tmp_path / "none")
    with pytest.raises(FileFormatError, match="not a file"):
        read_tracks(tmp_path)
