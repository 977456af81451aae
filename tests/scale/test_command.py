"""The command line with several processes, from end to end."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.errors import InputError, MotionloomError
from motionloom.media import Clip, write_image
from motionloom.models.nano.files import save_nano
from motionloom.scale.launch import launch

FAILING = [str(Path(__file__).with_name("failing.py"))]
RUN = ["generate", "photo.png", "slide.motion.json", "-m", "./tiny", "--steps", "2", "--size", "48x32", "--frames", "9"]


@pytest.fixture
def folder(tmp_path, monkeypatch, cases):
    """A working directory with a photograph, a motion and a tiny model of two heads."""
    monkeypatch.chdir(tmp_path)
    pipeline = cases.nano_shaped()
    save_nano(tmp_path / "tiny", pipeline.transformer, pipeline.vae, facts={"steps": 0}, dtype=torch.float32)
    write_image(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8))
    document = {
        "format": "motionloom.motion", "version": 1, "canvas": {"width": 48, "height": 32}, "num_frames": 9, "fps": 8.0,
        "instructions": [{
            "kind": "region", "polygon": [[8.0, 10.0], [18.0, 10.0], [18.0, 20.0], [8.0, 20.0]], "spacing": 4.0,
            "path": {"points": [[13.0, 15.0], [29.0, 15.0]], "curve": "polyline"},
        }],
    }  # fmt: skip
    (tmp_path / "slide.motion.json").write_text(json.dumps(document))
    return tmp_path


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["1", "2"])
def test_two_processes_write_the_clip_of_one(folder, scale):
    """Without guidance they share the two heads, with it the two calls of a step."""
    command = [sys.executable, "-m", "motionloom", *RUN, "--guidance-scale", scale, "--seed", "3"]
    before = files(folder)
    found = []
    for more in (["-o", "one.webp"], ["-o", "two.webp", "-g", "2"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("9 frames") == 1
        found.append(Clip.load(more[1]))
    one, two = found
    assert files(folder) == sorted([*before, "one.webp", "two.webp"])
    assert one.provenance["frames_sha256"] == two.provenance["frames_sha256"]
    assert np.array_equal(one.frames, two.frames)
    assert np.abs(np.diff(one.frames.astype(int), axis=0)).max() > 0


@pytest.mark.slow
def test_two_processes_write_the_tora_clip_of_one(folder):
    """Text to video: a motion and a prompt, and no photograph."""
    saved = runpy.run_path(str(Path(__file__).parents[1] / "models" / "tiny_tora.py"))
    pipeline = saved["pipeline"]("t2v")
    saved["save_diffusers"](folder / "tora", pipeline, saved["adapter"](pipeline))
    run = ["generate", "slide.motion.json", "-m", "./tora", "-p", "a leaf", *RUN[5:], "--guidance-scale", "1"]
    found = []
    for more in (["-o", "one.webp"], ["-o", "two.webp", "-g", "2"]):
        command = [sys.executable, "-m", "motionloom", *run, "--seed", "3", "--device", "cpu", *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        found.append(Clip.load(more[1]))
    one, two = found
    assert one.provenance["details"]["tracks_seen"] > 0
    # The same numbers but for the last bits of float32, which may tip the rounding to 8 bits.
    assert np.abs(one.frames.astype(int) - two.frames).max() <= 1
    assert (one.frames != two.frames).mean() < 0.01
    assert np.abs(np.diff(one.frames.astype(int), axis=0)).max() > 0


@pytest.mark.slow
def test_a_process_that_fails_midway_leaves_nothing(folder, capfd):
    before = files(folder)
    with pytest.raises(MotionloomError, match=r"^process 2 of 2: MemoryError: the second GPU is full"):
        launch(2, [*RUN, "-g", "2", "-o", "out.mp4"], program=FAILING)
    assert files(folder) == before
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_nano_cannot_divide_its_six_heads_by_four(folder):
    before = files(folder)
    with pytest.raises(InputError, match=r"^gpus: 4 cannot share .* 6 attention heads cannot be divided by 4; 1 or 2"):
        launch(4, ["generate", "photo.png", "slide.motion.json", "-m", "nano", "-g", "4"])
    assert files(folder) == before
