import json
from types import SimpleNamespace

import numpy as np
import pytest

from motionloom.cli import run
from motionloom.media import Clip, read_image, write_image
from motionloom.tracks.motion import Motion


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with photo.png (48x32) and slide.motion.json (9 frames, a square that slides)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOTIONLOOM_DEBUG", raising=False)
    y, x = np.mgrid[0:32, 0:48]
    picture = np.stack([x * 5, y * 7, 255 - x * 5], -1).astype(np.uint8)
    picture[10:20, 8:18] = (250, 240, 20)
    write_image(tmp_path / "photo.png", picture)
    document = {
        "format": "motionloom.motion", "version": 1, "canvas": {"width": 48, "height": 32}, "num_frames": 9, "fps": 8.0,
        "prompt": "a square slides",
        "instructions": [
            {
                "kind": "region", "polygon": [[8.0, 10.0], [18.0, 10.0], [18.0, 20.0], [8.0, 20.0]], "spacing": 4.0,
                "path": {"points": [[13.0, 15.0], [29.0, 15.0]], "curve": "polyline"},
            },
            {"kind": "static", "points": [[40.0, 4.0], [4.0, 28.0]]},
        ],
    }  # fmt: skip
    (tmp_path / "slide.motion.json").write_text(json.dumps(document))
    Motion.load(tmp_path / "slide.motion.json")
    return tmp_path


@pytest.fixture
def call(capsys):
    """Run the command line; returns its exit code, lines on standard output, and text on standard error."""

    def call(*arguments):
        code = run([str(argument) for argument in arguments])
        found = capsys.readouterr()
        return SimpleNamespace(code=code, lines=found.out.splitlines(), out=found.out, err=found.err)

    return call


class FakeModel:
    """Noise that depends on the seed and the photograph; fails or stops on request."""

    card = SimpleNamespace(name="fake")

    def __init__(self, digest="d1" * 32):
        self.digest = digest
        self.calls = []
        self.fail = None

    def generate(self, image, motion, *, seed, on_progress=None, **options):
        self.calls.append({"image": image, "motion": motion, "seed": seed, **options})
        picture = read_image(image)
        for step in range(3):
            if on_progress:
                on_progress(step + 1, 3)
            if self.fail and step == 1:
                raise self.fail
        rng = np.random.default_rng([seed, int(picture.sum())])
        frames = options.get("num_frames") or 5
        height, width = options.get("size") or picture.shape[:2]
        return Clip(rng.integers(0, 256, (frames, height, width, 3), np.uint8), 8.0, {"details": {"note": "fake"}})


@pytest.fixture
def fake(monkeypatch):
    model = FakeModel()

    def load(name, *, method=None, dtype=None, device=None):
        model.loaded = {"name": name, "method": method, "device": device}
        return model

    monkeypatch.setattr("motionloom.models.loading.load", load)
    return model
