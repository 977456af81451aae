"""Time-to-Move on stock pipelines of random weights: what starts where, what is held until when, and nothing wasted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.time_to_move.pipeline import (
    TimeToMoveCogVideoXPipeline,
    TimeToMoveWan,
    TimeToMoveWanPipeline,
)
from motionloom.tracks.tracks import Tracks

CLOCKS = {"t_weak": 0.25, "t_strong": 0.75}  # of four steps: the first is skipped, the mask let go before the last


def moved(pipe: Any, kind: Any = TimeToMoveWanPipeline) -> Any:
    made = kind(**pipe.components)
    made.register_to_config(
        **{name: pipe.config[name] for name in ("boundary_ratio", "expand_timesteps") if name in pipe.config}
    )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture
def cue() -> dict[str, Any]:
    """A clip of noise for 32 x 48 and 9 frames; the left half has to be followed."""
    frames = np.random.default_rng(1).integers(0, 255, (9, 32, 48, 3), dtype=np.uint8)
    mask = np.zeros((9, 32, 48), np.bool_)
    mask[:, :, :24] = True
    return {"motion_frames": frames, "motion_mask": mask}


@pytest.fixture
def wan(base):
    return moved(base)


def encoded(pipe: Any, frames: np.ndarray) -> torch.Tensor:
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    return pipe.encode_motion(video)


def states(run: Any) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Latents after each step, and the result, of ``run(callback_on_step_end=...)``."""
    found: list[torch.Tensor] = []

    def note(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        assert step == len(found)
        assert pipe.num_timesteps >= step + 1
        found.append(tensors["latents"].clone())
        return {}

    return found, run(callback_on_step_end=note).frames


@pytest.mark.parametrize(
    "without",
    [
        {"strength": 0.0},
        {"motion_frames": None},
        {"motion_mask": None},
        {"motion_mask": np.zeros((9, 32, 48), np.bool_)},
        {"t_weak": 0.0, "t_strong": 0.0},
    ],
    ids=["strength 0", "no frames", "no mask", "empty mask", "clocks at 0"],
)
def test_without_motion_it_is_the_base_model_bit_for_bit(base, wan, inputs, cue, without):
    assert torch.equal(wan(**inputs(), **{**cue, **CLOCKS, **without}).frames, base(**inputs()).frames)


def test_the_base_is_left_as_it_was(base, wan, inputs, cue):
    before = base(**inputs()).frames
    first = wan(**inputs(), **cue, **CLOCKS).frames
    assert (first - before).abs().max() > 0.01
    assert torch.equal(wan(**inputs(), **cue, **CLOCKS).frames, first)
    assert "set_timesteps" not in vars(base.scheduler)
    assert torch.equal(base(**inputs()).frames, before)


def test_skipped_steps_are_not_run_and_not_counted(base, wan, inputs, cue):
    calls: list[float] = []
    handle = base.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: calls.append(float(kwargs["timestep"][0])), with_kwargs=True
    )
    try:
        found, _ = states(lambda **note: wan(**inputs(), **cue, **CLOCKS, **note))
    finally:
        handle.remove()
    assert len(found) == 3
    assert wan.num_timesteps == 3
    base.scheduler.set_timesteps(4)
    assert calls == [float(t) for t in base.scheduler.timesteps[1:] for _ in range(2)]


def test_the_two_clocks(base, wan, inputs, cue):
    """Inside the mask the cue, under the noise of the moment, until the strong clock; outside from the weak one on."""
    seen: list[torch.Tensor] = []
    handle = base.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["hidden_states"][:, :16].clone()), with_kwargs=True
    )
    try:
        wan(**inputs(guidance_scale=1.0), **cue, **CLOCKS)
    finally:
        handle.remove()
    base.scheduler.set_timesteps(4)
    sigmas = base.scheduler.sigmas
    clean = encoded(wan, cue["motion_frames"])
    noise = torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(0))

    def under(step: int) -> torch.Tensor:
        return (1 - sigmas[step]) * clean + sigmas[step] * noise

    assert torch.allclose(seen[0], under(1), atol=1e-5)  # everywhere, when the first step begins
    for place, step in ((1, 2), (2, 3)):
        assert torch.allclose(seen[place][..., :3], under(step)[..., :3], atol=1e-5)
        assert (seen[place][..., 3:] - under(step)[..., 3:]).abs().max() > 0.01


def test_held_to_the_end_the_mask_is_the_cue(wan, inputs, cue):
    result = wan(**inputs(), **cue, t_weak=0.25, t_strong=1.0).frames
    clean = encoded(wan, cue["motion_frames"])
    assert torch.equal(result[..., :3], clean[..., :3])
    assert (result[..., 3:] - clean[..., 3:]).abs().max() > 0.01


@pytest.mark.parametrize("steps", [4, 7])
@pytest.mark.parametrize("solver", ["unipc", "dpm", "euler"])
def test_the_solver_arrives_where_the_model_points(base, inputs, cue, monkeypatch, solver, steps):
    """A model that always knows the answer leads there exactly, whatever was put in place on the way."""
    from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

    flow: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 5.0}
    scheduler = {
        "unipc": lambda: UniPCMultistepScheduler(**flow),
        "dpm": lambda: DPMSolverMultistepScheduler(**flow),
        "euler": lambda: FlowMatchEulerDiscreteScheduler(shift=5.0),
    }[solver]()
    pipe = TimeToMoveWanPipeline(**{**base.components, "scheduler": scheduler})
    pipe.set_progress_bar_config(disable=True)
    answer = encoded(pipe, cue["motion_frames"])
    step = [0]

    def towards_the_answer(hidden_states: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        sigma = pipe.scheduler.sigmas[step[0]]
        step[0] += 1
        return ((hidden_states[:, :16] - answer) / sigma,)

    monkeypatch.setattr(pipe.transformer, "forward", towards_the_answer)
    run = pipe(**inputs(guidance_scale=1.0, num_inference_steps=steps), **cue, **CLOCKS)
    assert step[0] == steps - round(0.25 * steps + 1e-9)
    assert torch.allclose(run.frames, answer, atol=1e-4)


def test_the_solver_goes_on_from_what_was_put_in_place(wan, inputs, cue, monkeypatch):
    """UniPC's corrector would start again from before it was."""
    step = [0]

    def towards_nothing(hidden_states: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        sigma = wan.scheduler.sigmas[step[0]]
        step[0] += 1
        return (hidden_states[:, :16] / sigma,)

    monkeypatch.setattr(wan.transformer, "forward", towards_nothing)
    arguments = inputs(guidance_scale=1.0, num_inference_steps=5)
    found, _ = states(lambda **note: wan(**arguments, **cue, t_weak=0.2, t_strong=0.6, **note))
    sigmas = wan.scheduler.sigmas  # of the steps that were run: 1 to 4
    noise = torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    held = (1 - sigmas[2]) * encoded(wan, cue["motion_frames"]) + sigmas[2] * noise
    assert torch.allclose(found[1][..., :3], held[..., :3], atol=1e-5)
    assert torch.allclose(found[2][..., :3], (held * sigmas[3] / sigmas[2])[..., :3], atol=1e-4)


def test_half_a_strength_is_half_the_clocks(wan, inputs, cue):
    half = wan(**inputs(), **cue, t_weak=0.5, t_strong=1.0, strength=0.5).frames
    assert torch.equal(half, wan(**inputs(), **cue, t_weak=0.25, t_strong=0.5).frames)


def test_clips_of_another_size_and_length_are_fitted(wan, inputs, cue):
    large = {
        "motion_frames": cue["motion_frames"][::2].repeat(2, 1).repeat(2, 2),
        "motion_mask": cue["motion_mask"][::2].repeat(2, 1).repeat(2, 2),
    }
    result = wan(**inputs(), **large, t_weak=0.25, t_strong=1.0).frames
    nearest = cue["motion_frames"][::2][np.rint(np.linspace(0, 4, 9)).astype(int)]
    assert torch.allclose(result[..., :3], encoded(wan, nearest)[..., :3], atol=1e-3)


def test_every_prompt_has_its_own_cue(wan, inputs, cue):
    frames = [cue["motion_frames"], cue["motion_frames"][::-1].copy()]
    masks = [cue["motion_mask"], cue["motion_mask"][:, :, ::-1].copy()]
    arguments = inputs(batch=2) | {"generator": [torch.Generator().manual_seed(seed) for seed in (0, 1)]}
    result = wan(**arguments, motion_frames=frames, motion_mask=masks, t_weak=0.25, t_strong=1.0).frames
    for row, part in ((0, slice(0, 3)), (1, slice(3, 6))):
        assert torch.allclose(result[row, ..., part], encoded(wan, frames[row])[0, ..., part], atol=1e-6)
    with pytest.raises(InputError, match="found 3 clips for 2 videos"):
        wan(**arguments, motion_frames=[*frames, frames[0]], motion_mask=[*masks, masks[0]], **CLOCKS)


def test_both_experts_take_their_share(base_two_experts, inputs, cue):
    pipe = moved(base_two_experts)
    calls: list[str] = []
    handles = [
        getattr(pipe, name).register_forward_pre_hook(lambda *_, name=name: calls.append(name))
        for name in ("transformer", "transformer_2")
    ]
    try:
        pipe(**inputs(guidance_scale=1.0), **cue, **CLOCKS)
    finally:
        for handle in handles:
            handle.remove()
    base_two_experts.scheduler.set_timesteps(4)
    high = [bool(t >= 800) for t in base_two_experts.scheduler.timesteps[1:]]
    assert calls == ["transformer" if one else "transformer_2" for one in high]
    assert len(set(calls)) == 2


@pytest.mark.slow
def test_on_top_of_a_track_condition(base, inputs, cue):
    class Both(TimeToMoveWan, ATIWanImageToVideoPipeline):
        pass

    both, ati, alone = moved(base, Both), moved(base, ATIWanImageToVideoPipeline), moved(base)
    points = np.linspace((4, 4), (40, 28), 9)[:, None].astype(np.float32)
    tracks = Tracks(points, np.ones((9, 1), np.bool_), (32, 48), 8.0)
    assert torch.equal(both(**inputs(), tracks=tracks).frames, ati(**inputs(), tracks=tracks).frames)
    assert torch.equal(both(**inputs(), tracks=None, **cue, **CLOCKS).frames, alone(**inputs(), **cue, **CLOCKS).frames)
    together = both(**inputs(), tracks=tracks, **cue, **CLOCKS).frames
    assert not torch.equal(together, alone(**inputs(), **cue, **CLOCKS).frames)
    assert torch.equal(both(**inputs(), tracks=tracks, **cue, **CLOCKS, strength=0.0).frames, base(**inputs()).frames)


def test_ti2v(ti2v, tiny):
    pipe = moved(ti2v)
    frames = np.random.default_rng(1).integers(0, 255, (9, 64, 96, 3), dtype=np.uint8)
    mask = np.zeros((9, 64, 96), np.bool_)
    mask[:, :, :48] = True
    result = pipe(**tiny.inputs("ti2v"), motion_frames=frames, motion_mask=mask, t_weak=0.25, t_strong=1.0).frames
    plain = ti2v(**tiny.inputs("ti2v")).frames
    assert torch.equal(result[:, :, 0], plain[:, :, 0])  # the photograph
    assert torch.equal(result[:, :, 1:, :, :3], encoded(pipe, frames)[:, :, 1:, :, :3])
    assert torch.equal(pipe(**tiny.inputs("ti2v"), motion_frames=frames, motion_mask=mask, strength=0.0).frames, plain)


def test_cogvideox(cogvideox, tiny):
    pipe = moved(cogvideox, TimeToMoveCogVideoXPipeline)
    lead = 1 if cogvideox.transformer.config.patch_size_t else 0
    frames = np.random.default_rng(1).integers(0, 255, (9, 32, 32, 3), dtype=np.uint8)
    mask = np.zeros((9, 32, 32), np.bool_)
    mask[:, :, :16] = True
    cue = {"motion_frames": frames, "motion_mask": mask}
    plain = cogvideox(**tiny.inputs("cogvideox")).frames
    found, result = states(lambda **note: pipe(**tiny.inputs("cogvideox"), **cue, t_weak=0.25, t_strong=1.0, **note))
    clean = encoded(pipe, frames)
    assert len(found) == 3
    assert result.shape == (1, 3 + lead, 4, 4, 4)
    assert torch.equal(result[:, lead:, ..., :2], clean[..., :2])
    assert (result[:, lead:, ..., 2:] - clean[..., 2:]).abs().max() > 0.01
    assert torch.equal(pipe(**tiny.inputs("cogvideox"), **cue, strength=0.0).frames, plain)
    decoded = pipe(**tiny.inputs("cogvideox", output_type="pt"), **cue, t_weak=0.25, t_strong=0.75).frames
    assert decoded.shape == (1, 9, 3, 32, 32)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"t_weak": 0.8, "t_strong": 0.4}, "t_weak <= t_strong"),
        ({"strength": -1.0}, "strength: found -1"),
        ({"window": (0.0, 0.5)}, "set t_weak and t_strong"),
        ({"motion_frames": np.zeros((9, 32, 48, 3), np.float32)}, r"motion_frames: found float32"),
        ({"motion_mask": np.zeros((9, 32, 48), np.uint8)}, r"motion_mask: found uint8"),
        ({"motion_mask": np.ones((5, 32, 48), np.bool_)}, r"found \(5, 32, 48\) for motion_frames"),
        ({"t_weak": 0.0, "t_strong": 0.05}, "4 are too few"),
    ],
)
def test_what_cannot_work_is_refused(wan, inputs, cue, wrong, message):
    with pytest.raises(InputError, match=message):
        wan(**inputs(), **{**cue, **CLOCKS, **wrong})
    assert wan._moved is None
    assert "set_timesteps" not in vars(wan.scheduler)
