from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.models.card import ModelCard
from motionloom.models.cogvideox import CogVideoXModel
from motionloom.tracks.tracks import Tracks

_tiny = runpy.run_path(str(Path(__file__).parents[1] / "methods" / "latent_trajectory" / "tiny.py"))

CARD = ModelCard(
    name="tiny-cogvideox",
    title="",
    description="",
    licence="",
    commercial_use=None,
    methods=("time_to_move", "latent_trajectory"),
    native_size=(32, 32),
    num_frames=9,
    fps=8.0,
    default_steps=4,
)
PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def make_tracks(frames: int = 9) -> Tracks:
    """A camera move on a canvas of 60 x 40."""
    grid = np.stack(np.meshgrid([5.0, 30.0, 55.0], [5.0, 20.0, 35.0]), -1).reshape(1, -1, 2)
    points = grid + np.linspace((0, 0), (20, 0), frames)[:, None]
    return Tracks(points.astype(np.float32), np.ones(points.shape[:2], np.bool_), (40, 60), 8.0)


def model(version: str = "1.0", method: str = "time_to_move", **changes: Any) -> CogVideoXModel:
    return CogVideoXModel(_tiny["cogvideox"](version), CARD, name="tiny", method=method, digest="0" * 64, **changes)


@pytest.fixture(scope="module", params=["time_to_move", "latent_trajectory"])
def old(request: pytest.FixtureRequest) -> CogVideoXModel:
    return model(method=request.param)


@pytest.fixture(scope="module", params=["time_to_move", "latent_trajectory"])
def new(request: pytest.FixtureRequest) -> CogVideoXModel:
    return model("1.5", request.param)


OPTIONS: dict[str, dict[str, Any]] = {"time_to_move": {"t_weak": 0.25, "t_strong": 0.75}, "latent_trajectory": {}}


def generate(made: CogVideoXModel, motion: Tracks | None, **changes: Any):
    return made.generate(PICTURE, motion, options=OPTIONS[made.method], **changes)


def test_one_call_makes_a_clip_that_the_motion_changes(old):
    progress: list[tuple[int, int]] = []
    clip = generate(old, make_tracks(), seed=3, on_progress=lambda *at: progress.append(at))
    assert clip.frames.shape == (9, 32, 32, 3)  # the one size of CogVideoX 1.0
    assert clip.fps == 8.0
    steps = 3 if old.method == "time_to_move" else 4
    assert progress[1:] == [(step + 1, steps) for step in range(steps)]
    assert np.array_equal(generate(old, make_tracks(), seed=3).frames, clip.frames)
    base = generate(old, None, seed=3).frames
    assert not np.array_equal(base, clip.frames)
    assert np.array_equal(generate(old, make_tracks(), seed=3, strength=0.0).frames, base)
    assert clip.provenance["parameters"]["method"] == old.method


def test_fewer_frames_are_cut_from_what_it_makes(old, new):
    assert generate(old, make_tracks(), num_frames=6).frames.shape[0] == 6
    assert generate(new, make_tracks(), num_frames=6, size=(32, 48)).frames.shape == (6, 32, 48, 3)
    with pytest.raises(InputError, match="found 13, expected at most 9"):
        generate(old, make_tracks(), num_frames=13)


def test_sizes(old, new):
    with pytest.raises(InputError, match="found 48x32, expected 32x32"):
        generate(old, None, size=(32, 48))
    with pytest.raises(InputError, match="multiples of 16; the nearest is 48x32"):
        generate(new, None, size=(32, 50))
    with pytest.raises(InputError, match="found 112x32, expected at most 96x96"):
        generate(new, None, size=(32, 112))
    assert old.default_size((40, 60)) == (32, 32)
    assert new.default_size((40, 60)) == (32, 32)  # 26 x 39, to the nearest multiple of 16
    assert new.default_size((20, 60)) == (16, 48)


def test_the_published_program_is_the_default():
    from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler

    published, plain = model(), model(settings="diffusers")
    assert isinstance(published.pipeline.scheduler, CogVideoXDPMScheduler)
    assert published.pipeline.scheduler.config["timestep_spacing"] == "trailing"
    assert isinstance(plain.pipeline.scheduler, CogVideoXDDIMScheduler)
    for made, dynamic in ((published, True), (plain, False)):
        clip = generate(made, None)
        assert clip.provenance["details"]["use_dynamic_cfg"] is dynamic
        assert clip.provenance["details"]["guidance_scale"] == 6.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"last_image": PICTURE}, "last_image"),
        ({"guidance_scale_2": 3.0}, "one expert"),
        ({"shift": 3.0}, "shift: is for the Wan models"),
        ({"solver": "unipc"}, "solver: is for the Wan models"),
        ({"window": (0.0, 0.5)}, "t_weak and t_strong"),
        (
            {"options": {"temperature": 1.0}},
            "knows no 'temperature', expected one of t_strong, t_weak, use_dynamic_cfg",
        ),
    ],
)
def test_what_it_has_no_use_for_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        model().generate(PICTURE, make_tracks(), **wrong)


def test_methods_and_pipelines_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="found 'ati', expected one of time_to_move, latent_trajectory"):
        model(method="ati")
    pipe = _tiny["cogvideox"]()
    pipe.transformer.register_to_config(in_channels=4)
    with pytest.raises(InputError, match="takes 4 channels, expected 8"):
        CogVideoXModel(pipe, CARD, name="tiny", method="time_to_move", digest="")


def test_the_base_pipeline_is_left_as_it_was():
    pipe = _tiny["cogvideox"]()
    before = pipe(**_tiny["inputs"]("cogvideox")).frames
    made = CogVideoXModel(pipe, CARD, name="tiny", method="time_to_move", digest="")
    generate(made, make_tracks())
    assert torch.equal(pipe(**_tiny["inputs"]("cogvideox")).frames, before)


def test_a_run_that_its_plan_has_no_memory_for_is_refused(monkeypatch):
    from motionloom.models.memory_plans import Budget, Plan

    made = model()
    made.plan = Plan("balanced")
    monkeypatch.setattr(Budget, "measure", lambda *_, **__: Budget(None, None, 1000, 0))
    with pytest.raises(InputError, match=r"memory: balanced needs .* for 32x32, 9 frames"):
        generate(made, make_tracks())
