import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from motionloom.cli import run
from motionloom.media import write_image
from motionloom.models.card import ModelCard
from motionloom.models.model import Model
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


class FakeModel(Model):
    """Noise that depends on the seed and the photograph; fails or stops on request."""

    card = ModelCard("fake", "", "", "", None, ("ati", "wan_move"), num_frames=5)
    name = "fake"
    method = "ati"
    reads_text = True

    def __init__(self, digest="d1" * 32):
        self.digest = digest
        self.calls = []
        self.fail = None

    def refuse(self, request):
        self.calls.append(request)

    def render(self, request):
        for step in range(3):
            if request.on_progress:
                request.on_progress(step + 1, 3)
            if self.fail and step == 1:
                raise self.fail
        request.details["note"] = "fake"
        rng = np.random.default_rng([request.seed, 0 if request.image is None else int(request.image.sum())])
        return rng.integers(0, 256, (request.num_frames, *request.size, 3), np.uint8)


class TextToVideo(FakeModel):
    """The same from no photograph, at 32x64 by default."""

    card = replace(
        FakeModel.card, name="dreamer", takes_image=False, reads_text=True, native_size=(32, 64), methods=("tora",)
    )
    name = "dreamer"


@pytest.fixture
def dreamer(monkeypatch):
    """A text-to-video model of the catalogue."""
    from motionloom.models.catalog import list_models

    model = TextToVideo()

    def load(name, *, device=None, on_progress=None, **options):
        assert name == "dreamer"
        return model

    monkeypatch.setattr("motionloom.models.before_loading.list_models", lambda: [*list_models(), model.card])
    monkeypatch.setattr("motionloom.models.loading.load", load)
    return model


@pytest.fixture
def fake(monkeypatch):
    model = FakeModel()

    def load(name, *, device=None, on_progress=None, **options):
        model.name = name
        model.loaded = {"name": name, "device": device, **options}
        return model

    monkeypatch.setattr("motionloom.models.loading.load", load)
    return model
