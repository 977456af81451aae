from __future__ import annotations

import json
import zipfile
from io import BytesIO

import pytest

from motionloom.errors import InputError
from motionloom.studio.exports import export, safe_stem
from motionloom.tracks.motion import Motion

MOTION = Motion.parse(
    {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 256, "height": 256},
        "num_frames": 17,
        "fps": 8,
        "instructions": [
            {"kind": "path", "points": [[10, 10, 4], [90, 40, 12]], "before": "vanish", "id": "late"},
            {"kind": "path", "points": [[100, 100], [120, 140]]},
        ],
    }
)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("a..b", "a-b"),
        ("Katze 猫 🐈", "Katze-猫"),
        ("", "motion"),
        ("...", "motion"),
        ("a" * 300, "a" * 80),
        ('x"; rm -rf', "x-rm--rf"),
        ("con\n\0", "con"),
    ],
)
def test_names_are_safe_everywhere(name, stem):
    assert safe_stem(name) == stem


def test_what_a_format_cannot_hold_is_refused_with_what_to_do():
    with pytest.raises(InputError, match="cannot say that a point is hidden") as caught:
        export(MOTION, "tora")
    assert "hidden='keep'" in str(caught.value)
    assert "--" not in str(caught.value)
    kept = export(MOTION, "tora", name="two", options={"hidden": "keep"})
    with zipfile.ZipFile(BytesIO(kept.content)) as archive:
        assert archive.namelist() == ["two.tora_0.txt", "two.tora_1.txt"]


def test_unknown_formats_and_options_name_those_there_are():
    with pytest.raises(InputError, match="format: found 'svg', expected one of motion, "):
        export(MOTION, "svg")
    with pytest.raises(InputError, match=r"colour: .* have no such option"):
        export(MOTION, "ati", options={"colour": "red"})
    with pytest.raises(InputError, match="hidden: found '3', expected str"):
        export(MOTION, "tora", options={"hidden": "3"})


def test_a_motion_is_one_document_at_any_scale():
    whole = export(MOTION, "motion", name="two")
    assert (whole.name, whole.media_type) == ("two.motion.json", "application/json")
    assert Motion.parse(json.loads(whole.content)) == MOTION
    double = Motion.parse(json.loads(export(MOTION, "motion", size=(512, 512), fps=16).content))
    assert (double.size, double.num_frames) == ((512, 512), 33)


def test_the_same_motion_gives_the_same_bytes():
    options = {"hidden": "keep"}
    assert export(MOTION, "tora", options=options).content == export(MOTION, "tora", options=options).content
