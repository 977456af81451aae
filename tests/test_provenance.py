import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from motionloom import provenance
from motionloom.errors import FileFormatError
from motionloom.examples_data import NAMES, example
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

coordinates = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(1, 7), st.integers(0, 5), st.floats(0.1, 120))
def test_tracks_survive_bit_for_bit(data, num_frames, num_tracks, fps):
    points = data.draw(arrays.arrays(np.float32, (num_frames, num_tracks, 2), elements=coordinates))
    visible = data.draw(arrays.arrays(np.bool_, (num_frames, num_tracks)))
    tracks = Tracks(points, visible, (48, 64), fps)
    record = json.loads(json.dumps(provenance.motion_record(tracks)))
    assert provenance.read_motion_record(record) == tracks


@pytest.mark.parametrize("name", NAMES)
def test_motions_survive(name):
    motion = Motion.load(example(name)[1])
    record = json.loads(json.dumps(provenance.motion_record(motion)))
    assert provenance.read_motion_record(record) == motion


def test_a_motion_with_a_mask_carries_it_inside(tmp_path):
    from motionloom.media import write_image

    mask = np.zeros((20, 30, 3), np.uint8)
    mask[5:15, 10:20] = 255
    write_image(tmp_path / "mask.png", mask)
    document = {
        "format": "motionloom.motion", "version": 1, "canvas": {"width": 30, "height": 20}, "num_frames": 5, "fps": 8.0,
        "instructions": [{"kind": "region", "mask": "mask.png", "path": {"points": [[15.0, 10.0], [20.0, 10.0]]}}],
    }  # fmt: skip
    motion = Motion.parse(document, folder=tmp_path)
    expected = motion.compile()
    record = provenance.motion_record(motion)
    (tmp_path / "mask.png").unlink()
    assert provenance.read_motion_record(record).compile() == expected


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "dance"},
        {"num_tracks": 3},
        {"num_tracks": 10**9},
        {"num_frames": -1},
        {"points": "!!"},
        {"points": None},
        {"size": [1]},
        {"fps": 0},
    ],
)
def test_damaged_records_are_refused(change):
    record = provenance.motion_record(
        Tracks.empty(4, (8, 8), 16).concat(Tracks(np.zeros((4, 2, 2)), np.ones((4, 2), bool), (8, 8), 16))
    )
    with pytest.raises((FileFormatError, ValueError)) as caught:
        provenance.read_motion_record({**record, **change})
    assert isinstance(caught.value, ValueError)


def test_a_compressed_bomb_is_not_inflated():
    import base64
    import tracemalloc
    import zlib

    bomb = base64.b64encode(zlib.compress(bytes(200_000_000), 9)).decode()
    record = provenance.motion_record(Tracks.empty(4, (8, 8), 16))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="damaged"):
        provenance.read_motion_record({**record, "points": bomb})
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_files_are_found_by_their_bytes(tmp_path, monkeypatch):
    home = tmp_path / "project"
    (home / "photos").mkdir(parents=True)
    (home / "clips").mkdir()
    photo = home / "photos" / "a.jpg"
    photo.write_bytes(b"picture")
    clip = home / "clips" / "a.mp4"
    monkeypatch.chdir(home)
    record = provenance.file_record(photo.relative_to(home), clip.parent)
    assert provenance.find_file(record, clip, option="--image") == photo.relative_to(home)
    # From another working directory, and after the project moved as a whole, it is found from the clip.
    monkeypatch.chdir(tmp_path)
    home.rename(tmp_path / "moved")
    clip = tmp_path / "moved" / "clips" / "a.mp4"
    found = provenance.find_file(record, clip, option="--image")
    assert found.read_bytes() == b"picture"
    found.write_bytes(b"another picture")
    with pytest.raises(FileFormatError, match=r"has changed.*--image"):
        provenance.find_file(record, clip, option="--image")
    found.unlink()
    with pytest.raises(FileFormatError, match=r"not there.*--image"):
        provenance.find_file(record, clip, option="--image")


def test_fingerprint_follows_inputs_and_not_names():
    record = {
        "image": {"path": "a.jpg", "sha256": "1"},
        "last_image": None,
        "motion": {"name": "m", "record": {"kind": "motion"}},
        "model": {"name": "warp", "digest": "2"},
        "parameters": {"seed": 0, "size": None},
        "created": "today",
    }
    same = {**record, "image": {"path": "b.jpg", "sha256": "1"}, "created": "tomorrow"}
    assert provenance.fingerprint(record) == provenance.fingerprint(same)
    for change in (
        {"image": {"path": "a.jpg", "sha256": "3"}},
        {"last_image": {"path": "a.jpg", "sha256": "1"}},
        {"motion": {"name": "m", "record": {"kind": "tracks"}}},
        {"model": {"name": "warp", "digest": "3"}},
        {"parameters": {"seed": 1, "size": None}},
    ):
        assert provenance.fingerprint({**record, **change}) != provenance.fingerprint(record)


def test_a_clip_from_no_photograph_is_told_from_one_of_pixels(tmp_path):
    motion = Tracks.empty(4, (8, 8), 16)
    given = {"motion": motion, "model": "m", "digest": "d", "parameters": {}}
    (tmp_path / "a.png").write_bytes(b"picture")
    none = provenance.run_record(image=None, **given)
    pixels = provenance.run_record(image=None, from_pixels=True, **given)
    file = provenance.run_record(image=tmp_path / "a.png", from_pixels=True, **given)
    assert (none["image"], pixels["image"]) == (None, {"path": None, "sha256": None})
    assert file["fingerprint"] != none["fingerprint"]
    for record in (none, file):
        provenance.check_record({**record, "versions": {}}, tmp_path / "a.mp4")
    with pytest.raises(FileFormatError, match="pixels in memory"):
        provenance.check_record({**pixels, "versions": {}}, tmp_path / "a.mp4")


def test_versions_and_their_changes():
    found = provenance.versions()
    assert {"motionloom", "python", "torch", "numpy"} <= set(found)
    assert provenance.changed_versions(found) == []
    assert provenance.changed_versions({**found, "torch": "1.0"}) == [f"torch 1.0 -> {found['torch']}"]


def test_records_that_cannot_be_repeated_are_named(tmp_path):
    for record, word in (
        ({}, "no provenance"),
        ({"model": "warp", "seed": 0}, "provenance of version None"),
        ({"version": 99}, "update"),
        ({"version": "x"}, "version"),
        ({"version": 1}, "lacks image"),
    ):
        with pytest.raises(ValueError, match=word):
            provenance.check_record(record, tmp_path / "a.mp4")
