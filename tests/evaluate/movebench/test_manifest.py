import pytest

from motionloom.errors import FileFormatError
from motionloom.evaluate.movebench.manifest import Manifest, read_manifest


def test_round_trip_keeps_what_others_wrote(tmp_path):
    manifest = Manifest({"name": "mine", "fps": 8.0, "num_frames": 17}, {"a": {"id": "a", "who": "猫", "n": [1, 2]}})
    manifest.annotate("a", {"category": "zoom"})
    manifest.annotate("b", {"notes": "x\u2028y\nz\x85", "tags": None})
    manifest.save(tmp_path / "cases.jsonl")
    found = read_manifest(tmp_path / "cases.jsonl")
    assert found == manifest
    assert found.cases == {
        "a": {"id": "a", "who": "猫", "n": [1, 2], "category": "zoom"},
        "b": {"id": "b", "notes": "x\u2028y\nz\x85"},
    }
    assert read_manifest(tmp_path / "none.jsonl") == Manifest()
    assert Manifest().fps == 16.0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "line 1 is not JSON"),
        ("[]", "line 1 is a list"),
        ('{"id": "../a"}', "expected the name of a case"),
        ('{"id": 3}', "expected the name of a case"),
        ('{"id": "a"}\n\n{"id": "a"}', "line 3: 'a' comes a second time"),
        ('{"id": "a", "category": "spin"}', "category is 'spin'"),
        ('{"id": "a", "tags": 5}', "tags is 5, expected a list of words"),
        ('{"id": "a", "tags": [5]}', "tags is"),
        ('{"id": "a", "content": {}}', "content is {}, expected text"),
        ('{"format": "other", "version": 1}', "expected 'motionloom.benchmark'"),
        ('{"format": "motionloom.benchmark", "version": 2}', "newer than this motionloom"),
        ('{"format": "motionloom.benchmark", "version": 1, "fps": 0}', "fps is 0"),
        ('{"format": "motionloom.benchmark", "version": 1, "num_frames": true}', "num_frames is True"),
    ],
)
def test_damage_is_refused(tmp_path, text, why):
    path = tmp_path / "cases.jsonl"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=why):
        read_manifest(path)
