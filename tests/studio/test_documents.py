"""Motions off the wire: what is taken, and how it is kept."""

import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.studio.documents import document_of, normalised, parse_motion
from motionloom.studio.problems import Refused
from motionloom.studio.settings import Limits
from motionloom.tracks.motion import Motion


def small(**more):
    return {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 640, "height": 427},
        "num_frames": 9,
        "fps": 8,
        "instructions": [{"kind": "path", "points": [[200, 200], [300, 220]]}],
        **more,
    }


def test_motions_off_the_wire_name_no_files_and_errors_name_the_instruction():
    region = {"kind": "region", "id": "cup", "mask": "/etc/passwd"}
    with pytest.raises(InputError, match="names the file '/etc/passwd'"):
        parse_motion(small(instructions=[region]))
    broken = {"kind": "path", "id": "leaf", "points": [[0, 0, 1], [1, 1, 5], [2, 2, 3], [3, 3, 9]]}
    with pytest.raises(FileFormatError, match=r"instruction 'leaf': points\[2\]: found frame 3 after frame 5"):
        parse_motion(small(instructions=[broken]))


def test_depth_maps_inside_cameras_are_files_too():
    camera = {"kind": "camera", "zoom": 1.2, "depth": {"file": "../depth.png"}}
    with pytest.raises(InputError, match=r"names the file '\.\./depth\.png'"):
        parse_motion(small(instructions=[camera]))


def test_motions_longer_than_a_project_takes_are_refused_before_anything_is_made_of_them():
    parse_motion(small(num_frames=2_000))
    for check in (parse_motion, normalised):
        with pytest.raises(Refused, match="found 2001 frames, expected at most 2000") as caught:
            check(small(num_frames=2_001))
        assert caught.value.code == "too_large"
    with pytest.raises(Refused, match="at most 5"):
        parse_motion(small(), Limits(max_frames=5))


def test_a_document_is_kept_with_ids_and_reads_as_the_same_motion():
    kept = normalised(small())
    assert list(kept["instructions"][0])[:2] == ["id", "kind"]
    assert Motion.parse(kept) == parse_motion(small())
    assert document_of(Motion.parse(kept)) == kept
