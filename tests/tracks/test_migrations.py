import json

import numpy as np
import pytest

from motionloom.errors import FileFormatError
from motionloom.tracks.instructions import FreePath
from motionloom.tracks.migrations import MIGRATIONS, migrate
from motionloom.tracks.motion import Motion

HEAD = {
    "format": "motionloom.motion",
    "version": 1,
    "canvas": {"width": 320, "height": 160},
    "num_frames": 11,
    "fps": 10.0,
}


def test_a_newer_version_says_to_update():
    with pytest.raises(
        FileFormatError, match=r"a\.json: version: found 2, this release reads up to 1; update motionloom"
    ):
        Motion.parse({**HEAD, "version": 2, "whatever": 1}, source="a.json")


def test_version_0_is_read():
    old = {
        "format": "motionloom.motion",
        "version": 0,
        "size": [160, 320],
        "num_frames": 11,
        "fps": 10.0,
        "instructions": [
            {"kind": "path", "id": "a", "points": [[0, 0], [100, 0], [100, 50]], "vanish": True, "end": 5},
            {"kind": "static", "points": [[1, 1]]},
        ],
    }
    before = json.dumps(old)
    motion = Motion.parse(old)
    assert json.dumps(old) == before
    assert (motion.version, motion.size) == (1, (160, 320))
    path = motion.instructions[0]
    assert isinstance(path, FreePath)
    assert (path.easing, path.after, path.curve) == ("linear", "vanish", "polyline")
    tracks = motion.compile()
    np.testing.assert_allclose(tracks.points[4, 0], [100, 20], atol=1e-4)
    assert tracks.visible[:, 0].tolist() == [True] * 6 + [False] * 5
    with pytest.raises(FileFormatError, match="size: found null"):
        Motion.parse({**old, "size": None})


def test_migrations_run_one_after_another(monkeypatch):
    monkeypatch.setitem(MIGRATIONS, -1, lambda data: {**data, "size": data["shape"]})
    data = migrate({"format": "motionloom.motion", "version": -1, "shape": [1, 2], "instructions": []})
    assert (data["version"], data["canvas"]) == (1, {"height": 1, "width": 2})
