"""Any pipeline: what the denoiser sees, when, for which video, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.latent_trajectory.pipeline import (
    LatentTrajectoryCogVideoXPipeline,
    LatentTrajectoryWanPipeline,
)
from motionloom.tracks.tracks import Tracks


def make_tracks(start: tuple[float, float], end: tuple[float, float], size: tuple[int, int], frames: int = 9) -> Tracks:
    points = np.linspace(start, end, frames)[:, None].astype(np.float32)
    return Tracks(points, np.ones(points.shape[:2], np.bool_), size, 8.0)


@pytest.fixture
def guided(cogvideox):
    pipe = LatentTrajectoryCogVideoXPipeline(**cogvideox.components)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seen_by(module: torch.nn.Module, run) -> list[dict[str, Any]]:
    """The arguments of every forward while ``run()`` runs."""
    calls: list[dict[str, Any]] = []

    # The innermost hook sees what the guidance made of the arguments.
    def spy(*args: Any, **kwargs: Any) -> Any:
        calls.append({key: value.clone() for key, value in kwargs.items() if isinstance(value, torch.Tensor)})
        return forward(*args, **kwargs)

    forward = module.forward
    module.forward = spy
    try:
        run()
    finally:
        del module.forward
    return calls


TRACK = make_tracks((4.0, 4.0), (28.0, 20.0), (32, 32))


@pytest.mark.parametrize(
    "without",
    [
        {"tracks": None},
        {"tracks": Tracks.empty(9, (32, 32), 8.0)},
        {"tracks": TRACK, "strength": 0.0},
        {"tracks": TRACK, "window": (0.5, 0.5)},
    ],
    ids=["none", "empty", "strength 0", "no window"],
)
def test_without_motion_it_is_the_base_model_bit_for_bit(cogvideox, guided, tiny, without):
    base = cogvideox(**tiny.inputs("cogvideox")).frames
    assert torch.equal(guided(**tiny.inputs("cogvideox"), **without).frames, base)


def test_tracks_change_the_video_and_leave_the_base_as_it_was(cogvideox, guided, tiny):
    base = cogvideox(**tiny.inputs("cogvideox")).frames
    moved = guided(**tiny.inputs("cogvideox"), tracks=TRACK).frames
    assert (moved - base).abs().max() > 1e-4
    assert torch.equal(guided(**tiny.inputs("cogvideox"), tracks=TRACK).frames, moved)
    assert torch.equal(cogvideox(**tiny.inputs("cogvideox")).frames, base)
    assert not cogvideox.transformer._forward_pre_hooks


def test_an_error_in_the_run_leaves_nothing_behind(cogvideox, guided, tiny):
    def stop(*_: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guided(**tiny.inputs("cogvideox"), tracks=TRACK, callback_on_step_end=stop)
    assert guided._guided is None
    assert not cogvideox.transformer._forward_pre_hooks


def test_cogvideox_sees_the_first_frame_where_the_tracks_go(cogvideox, guided, tiny):
    lead = 1 if cogvideox.transformer.config.patch_size_t else 0
    calls = seen_by(cogvideox.transformer, lambda: guided(**tiny.inputs("cogvideox"), tracks=TRACK))
    assert len(calls) == 4
    for call in calls:
        image = call["hidden_states"][:, :, 4:]
        assert image.shape[:2] == (2, 3 + lead)  # both branches of classifier-free guidance
        assert torch.equal(image[:, 2 + lead, :, 2, 3], image[:, 0, :, 0, 0])  # (28, 20)
        assert torch.equal(image[:, 1 + lead, :, 1, 2], image[:, 0, :, 0, 0])  # (16, 12)
        # Everything else of the later frames is as empty as the pipeline left it.
        assert int((image[:, 1:] != 0).any(2).sum()) == 4


def test_only_the_conditional_branch_sees_tracks_in_joint_guidance(cogvideox, guided, tiny):
    run = lambda: guided(**tiny.inputs("cogvideox"), tracks=TRACK, cfg_mode="joint")  # noqa: E731
    for call in seen_by(cogvideox.transformer, run):
        image = call["hidden_states"][:, 1:, 4:]
        assert not image[0].any()
        assert int((image[1] != 0).any(1).sum()) == 2
    with pytest.raises(InputError, match="split"):
        guided(**tiny.inputs("cogvideox"), tracks=TRACK, cfg_mode="split")


def test_the_window_is_counted_in_steps(cogvideox, guided, tiny):
    run = lambda: guided(**tiny.inputs("cogvideox"), tracks=TRACK, window=(0.25, 0.75))  # noqa: E731
    calls = seen_by(cogvideox.transformer, run)
    assert [bool(call["hidden_states"][:, 1:, 4:].any()) for call in calls] == [False, True, True, False]


def test_every_prompt_has_its_own_tracks(cogvideox, guided, tiny):
    other = make_tracks((28.0, 28.0), (4.0, 28.0), (32, 32))
    pictures = tiny.inputs("cogvideox")["image"]
    arguments = tiny.inputs("cogvideox", batch=2) | {
        "image": [pictures, pictures],
        "generator": [torch.Generator().manual_seed(seed) for seed in (0, 1)],
    }
    calls = seen_by(cogvideox.transformer, lambda: guided(**arguments, tracks=[TRACK, other]))
    image = calls[0]["hidden_states"][:, :, 4:]
    for row, (cell, source) in {0: ((2, 3), (0, 0)), 1: ((3, 0), (3, 3))}.items():
        for branch in (0, 2):
            assert torch.equal(image[row + branch, -1, :, cell[0], cell[1]], image[row + branch, 0, :, *source])
    with pytest.raises(InputError, match="found 3 for 2 videos"):
        guided(**arguments, tracks=[TRACK] * 3)


# Wan 2.2 TI2V-5B


@pytest.fixture
def wan(ti2v):
    pipe = LatentTrajectoryWanPipeline.from_pipe(ti2v)
    pipe.set_progress_bar_config(disable=True)
    return pipe


ACROSS = make_tracks((24.0, 24.0), (72.0, 40.0), (64, 96))  # from cell (1, 1) to the token of cells (2..3, 4..5)


def test_ti2v_without_motion_is_the_base_model_bit_for_bit(ti2v, wan, tiny):
    base = ti2v(**tiny.inputs("ti2v")).frames
    for without in ({"tracks": None}, {"tracks": ACROSS, "strength": 0.0}):
        assert torch.equal(wan(**tiny.inputs("ti2v"), **without).frames, base)
    assert not torch.equal(wan(**tiny.inputs("ti2v"), tracks=ACROSS).frames, base)
    assert torch.equal(ti2v(**tiny.inputs("ti2v")).frames, base)


def test_ti2v_tokens_on_the_track_are_clean(ti2v, wan, tiny):
    calls = seen_by(ti2v.transformer, lambda: wan(**tiny.inputs("ti2v"), tracks=ACROSS, window=(0.0, 0.5)))
    assert len(calls) == 8
    first = calls[0]["hidden_states"][0, :, 0]
    for index, call in enumerate(calls):
        hidden, times = call["hidden_states"][0], call["timestep"].view(3, 2, 3)
        assert torch.equal(hidden[:, 0], first)
        assert not times[0].any()  # the first frame
        inside = index < 4  # two branches in each of the first two of four steps
        assert torch.equal(hidden[:, 2, 2:4, 4:6], first[:, 1:3, 1:3]) is inside
        assert bool(times[2, 1, 2] == 0) is inside
        assert int((times[1:] == 0).sum()) == (2 if inside else 0)


def test_ti2v_half_a_strength_is_half_the_noise(ti2v, wan, tiny):
    calls = seen_by(ti2v.transformer, lambda: wan(**tiny.inputs("ti2v"), tracks=ACROSS, strength=0.5))
    plain = seen_by(ti2v.transformer, lambda: ti2v(**tiny.inputs("ti2v")))
    hidden, noisy = (one[0]["hidden_states"][0] for one in (calls, plain))
    assert torch.allclose(hidden[:, 2, 2:4, 4:6], (noisy[:, 2, 2:4, 4:6] + noisy[:, 0, 1:3, 1:3]) / 2)
    times = calls[0]["timestep"].view(3, 2, 3)
    assert times[2, 1, 2] == times[2, 0, 0] / 2


def test_ti2v_goes_on_from_the_noise_level_the_rest_has(ti2v, wan, tiny):
    latents: list[torch.Tensor] = []

    def note(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        latents.append(tensors["latents"].clone())
        return {}

    calls = seen_by(
        ti2v.transformer,
        lambda: wan(**tiny.inputs("ti2v"), tracks=ACROSS, window=(0.0, 0.25), callback_on_step_end=note),
    )
    noise = torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    sigma = float(ti2v.scheduler.sigmas[1])
    clean = calls[0]["hidden_states"][0, :, 0, 1:3, 1:3]
    expected = (1 - sigma) * clean + sigma * noise[0, :, 2, 2:4, 4:6]
    assert torch.allclose(latents[0][0, :, 2, 2:4, 4:6], expected, atol=1e-6)
    assert torch.equal(calls[2]["hidden_states"][0, :, 2, 2:4, 4:6], latents[0][0, :, 2, 2:4, 4:6])


def test_a_wan_pipeline_with_an_image_condition_is_sent_to_its_own_methods(base, inputs):
    pipe = LatentTrajectoryWanPipeline.from_pipe(base)
    with pytest.raises(InputError, match="ati or wan_move"):
        pipe(**inputs(), tracks=ACROSS)
