import json
import sys
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from motionloom.cli.train import parse_budget
from motionloom.errors import InputError
from motionloom.media import Clip, read_image
from motionloom.tracks.formats import read_tracks
from motionloom.tracks.motion import Motion


def test_tracks_info_explains(folder, call):
    done = call("tracks", "info", "slide.motion.json")
    assert done.code == 0, done.err
    assert "motion" in done.out
    assert "slide.motion.json" in done.out
    assert call("tracks", "info", "none.json").code == 2
    assert call("tracks", "info", "photo.png").code == 2


@pytest.mark.slow
def test_tracks_info_draws_a_preview(folder, call):
    done = call("tracks", "info", "slide.motion.json", "--preview", "plain.png")
    assert done.code == 0, done.err
    assert done.lines[-1].split() == ["preview", "plain.png"]
    plain = read_image("plain.png")
    assert plain.shape == (32, 48, 3)
    assert tuple(plain[31, 47]) == (40, 40, 40)
    assert (plain != 40).any(axis=-1).sum() > 20
    assert call("tracks", "info", "slide.motion.json", "--preview", "plain.png").code == 2

    # A file that names no canvas is taken to be made for the photograph.
    assert call("tracks", "convert", "slide.motion.json", "a.pth").code == 0
    assert "--size" in call("tracks", "info", "a.pth", "--preview", "none.png").err
    done = call("tracks", "info", "a.pth", "--image", "photo.png", "--preview", "on_photo.png")
    assert done.code == 0, done.err
    assert "48x32" in done.out
    changed = (read_image("on_photo.png") != read_image("photo.png")).any(axis=-1)
    assert 20 < changed.sum() < changed.size / 2
    assert call("tracks", "info", "a.pth", "a.pth", "--preview", "two.png").code == 2
    assert call("tracks", "info", "slide.motion.json", "--image", "photo.png").code == 2


def test_tracks_in_several_files_are_one_motion(folder, call):
    done = call("tracks", "convert", "slide.motion.json", "t.txt", "--to", "tora")
    assert done.code == 0, done.err
    count = Motion.load("slide.motion.json").compile().num_tracks
    files = sorted(path.name for path in folder.glob("t_*.txt"))
    assert len(files) == count
    assert f"{files[0]} and {count - 1} more" in done.out
    # Files beside the target are not replaced unasked either.
    assert call("tracks", "convert", "slide.motion.json", "t.txt", "--to", "tora").code == 2
    done = call("tracks", "convert", *files, "back.tracks.safetensors", "--size", "48x32", "--frames", 9)
    assert done.code == 0, done.err
    assert read_tracks("back.tracks.safetensors").num_tracks == count
    done = call("tracks", "info", "--together", *files, "--preview", "all.png")
    assert done.code == 0, done.err
    assert any(line.split() == ["tracks", str(count)] for line in done.lines)
    assert call("tracks", "draw", *files, "--image", "photo.png", "-o", "drawn.png").code == 0


@pytest.mark.slow
def test_options_of_formats(folder, call):
    assert call("tracks", "convert", "slide.motion.json", "a.pth", "--to-option", "dtype=uint16").code == 0
    said = ("--size", "48x32", "--option", "ati_reference_frames=true")
    done = call("tracks", "info", "a.pth", *said)
    assert "81 at 16 fps" in done.out
    for flag, words in (
        ("speed=3", "speed: ATI tracks have no such option"),
        ("scale", "expected NAME=VALUE"),
        ("scale=big", "scale: found 'big', expected float"),
        ("size=3", "--option: size has a flag of its own"),
    ):
        done = call("tracks", "info", "a.pth", "--size", "48x32", "--option", flag)
        assert done.code == 2
        assert words in done.err


def test_tracks_convert(folder, call):
    done = call("tracks", "convert", "slide.motion.json", "a.npz", "--to", "cotracker", "--to-fps", 16)
    assert done.code == 0, done.err
    expected = Motion.load("slide.motion.json").compile(fps=16.0)
    found = read_tracks("a.npz", size=(32, 48), fps=16)
    assert np.allclose(found.points, expected.points, atol=1e-3)
    assert call("tracks", "convert", "slide.motion.json", "a.npz", "--to", "cotracker").code == 2
    assert call("tracks", "convert", "slide.motion.json", "a.npz", "--to", "cotracker", "--overwrite").code == 0
    assert call("tracks", "convert", "slide.motion.json", "b.npz", "--to", "nonsense").code == 2
    assert "fps: found 0" in call("tracks", "convert", "slide.motion.json", "b.pth", "--to-fps", 0).err


def test_tracks_draw(folder, call):
    for out in ("still.png", "moving.mp4"):
        done = call("tracks", "draw", "slide.motion.json", "--image", "photo.png", "-o", out)
        assert done.code == 0, done.err
    still = read_image("still.png")
    assert still.shape == (32, 48, 3)
    assert (still != read_image("photo.png")).any(axis=-1).sum() > 20
    assert Clip.load("moving.mp4").num_frames == 9
    done = call("tracks", "draw", "slide.motion.json", "--image", "moving.mp4", "-o", "twice.mp4")
    assert done.code == 0, done.err


@pytest.mark.slow
def test_tracks_extract_follows_what_moves(folder, call):
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 256, (24, 32, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    frames = np.stack([texture[10:74, 10 + t : 106 + t] for t in range(6)])
    Clip(frames, 12).save("video.webp", lossless=True)
    done = call("tracks", "extract", "video.webp", "found.tracks.safetensors", "--spacing", 16)
    assert done.code == 0, done.err
    tracks = read_tracks("found.tracks.safetensors")
    assert (tracks.num_frames, tracks.size, tracks.fps) == (6, (64, 96), 12)
    inner = tracks.select(lambda t: (t.points[0] > 16).all(-1) & (t.points[0, :, 0] < 80) & (t.points[0, :, 1] < 48))
    steps = np.diff(inner.points, axis=0)
    assert np.median(np.abs(steps - (-1, 0))) < 0.1


def test_tracks_formats(call):
    done = call("tracks", "formats")
    assert done.code == 0
    for name in ("ati", "tora", "cotracker"):
        assert name in done.out


def test_models_list_and_show(call):
    done = call("models", "list")
    assert done.code == 0
    assert "warp" in done.out
    assert "nano" in done.out
    cards = json.loads(call("models", "list", "--json").out)
    assert {"name", "licence", "installed"} <= set(cards[0])
    shown = call("models", "show", "warp")
    assert shown.code == 0
    assert "Apache-2.0" in shown.out
    assert json.loads(call("models", "show", "nano", "--json").out)["name"] == "nano"
    unknown = call("models", "show", "dream")
    assert unknown.code == 2
    assert "expected one of warp, nano" in unknown.err


def test_cards_have_what_the_commands_print():
    from motionloom.models.catalog import ModelCard

    needed = {
        "name",
        "title",
        "description",
        "licence",
        "commercial_use",
        "methods",
        "native_size",
        "num_frames",
        "fps",
    }
    assert needed <= {field.name for field in fields(ModelCard)}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("0.5h", 1800), ("1d", 86400)]
)
def test_budgets(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "m", "20x", "1h 30", "0m", "-5m", "1h,30m"])
def test_budgets_that_are_none(text):
    with pytest.raises(InputError, match="--budget"):
        parse_budget(text)


def test_train_nano_passes_its_options(folder, call, monkeypatch):
    given = {}

    def train(out, *, on_progress, **options):
        on_progress({"elapsed": 1.0, "budget": 2.0})
        given.update(options, out=out)
        return out / "nano"

    # Stands in for the real recipe, whose import alone takes seconds.
    recipe = SimpleNamespace(
        train=train,
        NanoRecipe=lambda **values: SimpleNamespace(**values),
        training_device=lambda name: SimpleNamespace(type="cpu"),
    )
    monkeypatch.setitem(sys.modules, "motionloom.train.nano", recipe)
    done = call("train", "nano", "--budget", "2m", "--out", "there", "--resume", "--seed", 5)
    assert done.code == 0, done.err
    assert (given["budget"], given["resume"], given["recipe"].seed, str(given["out"])) == (120, True, 5, "there")
    assert "motionloom generate -m there/nano" in done.out
    assert call("train", "nano", "--budget", "soon").code == 2
