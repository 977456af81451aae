"""Shipped weights, no condition on tracks: Time-to-Move has to make them follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from motionloom.evaluate.tracks import epe
from motionloom.methods.time_to_move import motion_cue
from motionloom.methods.time_to_move.dual_clock import NANO, NANO_STEPS
from motionloom.methods.time_to_move.pipeline import TimeToMoveWanPipeline
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.tracks.trackers import track
from motionloom.tracks.tracks import Tracks

SIZE, FRAMES, CLIPS = (128, 128), 17, 3


@pytest.fixture(scope="module")
def clips() -> list[tuple[np.ndarray, Tracks]]:
    """First frames and true tracks of held-out scenes, of points that stay visible."""
    from motionloom.train.nano import VALIDATION_SEED

    scene = sample_scene(VALIDATION_SEED, range(CLIPS), num_frames=FRAMES, resolution=SIZE[0])
    frames = (render(scene, SIZE)[:, 0].permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    spots = (torch.arange(8) + 0.5) * 16
    grid = torch.stack(torch.meshgrid(spots, spots, indexing="xy"), -1).reshape(1, -1, 2)
    points, visible = trace(scene, grid.expand(CLIPS, -1, -1), SIZE)
    found: list[tuple[np.ndarray, Tracks]] = []
    for clip in range(CLIPS):
        whole = visible[clip].all(0).nonzero()[:, 0][::2][:16]
        tracks = Tracks(points[clip][:, whole].numpy(), visible[clip][:, whole].numpy(), SIZE, 8.0)
        found.append((frames[clip], tracks))
    return found


def following_error(frames: np.ndarray, wanted: Tracks) -> float:
    queries = np.concatenate([np.zeros((wanted.num_tracks, 1)), wanted.points[0]], axis=1)
    error = epe(track(frames, queries, fps=8.0).points, wanted.points, wanted.visible)
    assert error is not None
    return error


@pytest.mark.slow
def test_nano_follows_without_being_told_of_tracks(clips):
    from motionloom.models.loading import load

    model: Any = load("nano")
    pipe = TimeToMoveWanPipeline.from_pipe(model.pipeline)
    pipe.set_progress_bar_config(disable=True)
    nothing = torch.zeros(1, 1, pipe.transformer.config.text_dim)

    def run(image: np.ndarray, steps: int, **cue: Any) -> np.ndarray:
        video = pipe(
            image=Image.fromarray(image),
            height=SIZE[0],
            width=SIZE[1],
            num_frames=FRAMES,
            num_inference_steps=steps,
            guidance_scale=1.0,
            generator=torch.Generator().manual_seed(0),
            prompt_embeds=nothing,
            negative_prompt_embeds=nothing,
            output_type="np",
            **cue,
        ).frames[0]
        return (video * 255).round().clip(0, 255).astype(np.uint8)

    errors: dict[str, list[float]] = {"unguided": [], "moved": []}
    for image, tracks in clips:
        frames, mask = motion_cue(image, tracks, None, SIZE, FRAMES)
        cue = {"motion_frames": frames, "motion_mask": mask, "t_weak": NANO.t_weak, "t_strong": NANO.t_strong}
        errors["unguided"].append(following_error(run(image, 1), tracks))
        errors["moved"].append(following_error(run(image, NANO_STEPS, **cue), tracks))
    assert np.mean(errors["moved"]) < 0.5 * np.mean(errors["unguided"]), errors
