from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.tora.hooks import attach
from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline, ToraPipeline
from motionloom.methods.tora.windows import blend_weights, plan_windows, usual_order, windowed
from motionloom.tracks.tracks import Tracks

tiny = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny.py"))))

KINDS = ["t2v", "sincos", "i2v", "learned", "1.5"]
LONG = 33  # frames, 9 latents: with windows of 3 the tiny models' own length


def pipeline(kind: str, solver: str = "ddim") -> Any:
    made = tiny.t2v(kind) if kind in ("t2v", "sincos") else tiny.i2v(kind)
    if solver == "dpm":
        made.scheduler = CogVideoXDPMScheduler.from_config(made.scheduler.config, timestep_spacing="trailing")
    return made


def make(pipe: Any, kind: str = "t2v", **changes: Any) -> Tensor:
    return pipe(**tiny.inputs(kind, **changes)).frames


class Calls:
    """What a pipeline's transformer is called with, and what it answers."""

    def __init__(self, pipe: Any) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.predicted: list[Tensor] = []
        forward = pipe.transformer.forward

        def record(hidden_states: Tensor, **kwargs: Any) -> Any:
            self.inputs.append({"hidden_states": hidden_states.clone(), **kwargs})
            output = forward(hidden_states=hidden_states, **kwargs)
            self.predicted.append(output[0])
            return output

        pipe.transformer.forward = record


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, int, int]:
    unit = draw(st.integers(1, 3))
    length = unit * draw(st.integers(1, 20))
    return unit * draw(st.integers(1, 80)), length, draw(st.integers(0, length - unit)), unit


@given(plans())
def test_plans_cover_the_clip_with_equal_windows(plan):
    latent_frames, length, overlap, unit = plan
    windows = plan_windows(latent_frames, length, overlap, unit=unit)
    assert windows[0].start == 0
    assert windows[-1].stop == latent_frames
    assert {window.stop - window.start for window in windows} == {min(length, latent_frames)}
    assert all(b.start > a.start for a, b in itertools.pairwise(windows))
    shared = [a.stop - b.start for a, b in itertools.pairwise(windows)]
    assert all(found >= overlap for found in shared)
    assert max(shared, default=0) - min(shared, default=0) <= unit
    assert all(window.start % unit == 0 for window in windows)
    if overlap % unit == 0:  # one window less would not reach the end
        assert len(windows) == 1 or (len(windows) - 1) * (length - overlap) + overlap < latent_frames


@settings(max_examples=50)
@given(plans())
def test_weights_sum_to_one(plan):
    latent_frames, length, overlap, unit = plan
    assume(latent_frames > length)
    windows = plan_windows(latent_frames, length, overlap, unit=unit)
    weights = blend_weights(windows, unit=unit)
    total = torch.zeros(latent_frames)
    for window, weight in zip(windows, weights, strict=True):
        assert weight.min() >= 0
        assert torch.equal(weight, weight.view(-1, unit)[:, :1].expand(-1, unit).flatten())
        total[window] += weight
    torch.testing.assert_close(total, torch.ones(latent_frames), atol=1e-6, rtol=0)
    # What the model takes for a single frame counts only where nothing else is there.
    for before, window, weight in zip(windows, windows[1:], weights[1:], strict=False):
        assert (weight[0] == 0) == (before.stop > window.start)


def test_204_frames_of_480_lines():
    windows = plan_windows(52, 13, 4)
    assert [window.start for window in windows] == [0, 7, 15, 23, 31, 39]
    weights = blend_weights(windows)
    torch.testing.assert_close(weights[0][7:], 1 - torch.arange(6) / 6)
    torch.testing.assert_close(weights[1][:7], torch.arange(7) / 6)
    torch.testing.assert_close(weights[5], (torch.arange(13) / 5).clamp(max=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 13, 4), "latent_frames: found 0"),
        ((52, 0, 0), "windows of 0 latent frames, expected a positive multiple of 1"),
        ((52, 13, 13), "overlap: found 13 latent frames for windows of 13, expected 0 to 12"),
        ((52, 13, -1), "overlap: found -1"),
    ],
)
def test_plans_that_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        plan_windows(*arguments)
    with pytest.raises(InputError, match="latent_frames: found 7, expected a positive multiple of 2"):
        plan_windows(7, 4, 2, unit=2)


@pytest.mark.parametrize("windows", [[], [slice(0, 3), slice(4, 7)], [slice(1, 4)], [slice(0, 6), slice(2, 5)]])
def test_windows_that_are_refused(windows):
    with pytest.raises(InputError, match="windows: found latent frames"), windowed(pipeline("t2v"), windows):
        pass


def test_windows_for_another_clip():
    pipe = pipeline("t2v")
    with windowed(pipe, plan_windows(9, 3, 1)), pytest.raises(InputError, match="9 latent frames, found a clip of 3"):
        make(pipe)
    pair = pipeline("1.5")
    with pytest.raises(InputError, match="on multiples of 2"), windowed(pair, plan_windows(7, 3, 1)):
        pass


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["joint", "sequential"])
def test_one_window_is_the_stock_call(kind, order):
    pipe = pipeline(kind, "dpm")
    seen = []
    expected = make(pipe, kind)
    with windowed(pipe, [slice(0, expected.shape[1])], order=order, on_window=seen.append):
        assert torch.equal(make(pipe, kind), expected)
    assert seen == [0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["ddim", "dpm"])
@pytest.mark.parametrize("order", ["joint", "sequential"])
@pytest.mark.slow
def test_a_run_calls_every_window_as_a_short_clip_and_leaves_nothing_behind(kind, solver, order):
    pipe = pipeline(kind, solver)
    before = make(pipe, kind)
    length, latents = (4, 10) if kind == "1.5" else (3, 9)
    windows = plan_windows(latents, length, 1, unit=2 if kind == "1.5" else 1)
    short = Calls(pipe)
    make(pipe, kind, num_frames=4 * length - 3)
    calls, numbers = Calls(pipe), []
    with windowed(pipe, windows, on_window=numbers.append, order=order):
        clip = make(pipe, kind, num_frames=LONG)
    assert clip.shape[1] == latents
    assert torch.isfinite(clip).all()
    each = [0, 1, 2, 3]
    assert numbers == (each * 3 if order == "joint" else sorted(each * 3))
    assert len(calls.inputs) == len(windows) * 3
    for call in calls.inputs:
        expected = short.inputs[0]
        assert call["hidden_states"].shape == expected["hidden_states"].shape
        for table, of_short in zip(call["image_rotary_emb"] or (), expected["image_rotary_emb"] or (), strict=True):
            torch.testing.assert_close(table, of_short, atol=1e-6, rtol=0)
    del pipe.transformer.forward
    assert "step" not in vars(pipe.scheduler)
    assert "set_timesteps" not in vars(pipe.scheduler)
    assert len(pipe.scheduler.timesteps) == 3
    assert torch.equal(make(pipe, kind), before)


@pytest.mark.parametrize("order", ["joint", "sequential"])
def test_a_failure_leaves_nothing_behind(order):
    pipe = pipeline("i2v")
    before = make(pipe, "i2v")

    def stop(k: int) -> None:
        if k == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), windowed(pipe, plan_windows(9, 3, 1), on_window=stop, order=order):
        make(pipe, "i2v", num_frames=LONG)
    assert torch.equal(make(pipe, "i2v"), before)


@pytest.mark.parametrize(("kind", "overlap"), [("t2v", 0), ("t2v", 1), ("sincos", 2), ("1.5", 2)])
def test_predictions_are_blended_by_their_weights(kind, overlap):
    pipe = pipeline(kind)
    unit = pipe.transformer.config.patch_size_t or 1
    windows = plan_windows(8, 4, overlap, unit=unit)
    clip = Calls(pipe)
    with windowed(pipe, windows, order="joint"):
        whole = Calls(pipe)
        make(pipe, kind, num_frames=29, num_inference_steps=1)
    weights = blend_weights(windows, unit=unit)
    expected = torch.zeros_like(whole.predicted[0])
    for window, weight, predicted in zip(windows, weights, clip.predicted, strict=True):
        expected[:, window] += weight[:, None, None, None] * predicted
    torch.testing.assert_close(whole.predicted[0], expected, atol=1e-6, rtol=0)


@settings(max_examples=20)
@given(st.integers(4, 30), st.integers(0, 2), st.booleans())
def test_a_constant_prediction_stays_constant(latent_frames, overlap, return_dict):
    from diffusers.models.modeling_outputs import Transformer2DModelOutput

    pipe = constant()
    hidden = torch.randn(2, latent_frames, 4, 4, 4, dtype=torch.bfloat16)
    value = torch.randn(1, 1, 4, 4, 4, dtype=torch.bfloat16)
    sample = value.expand(2, 3, 4, 4, 4)
    pipe.transformer.answer = Transformer2DModelOutput(sample=sample) if return_dict else (sample,)
    with windowed(pipe, plan_windows(latent_frames, 3, overlap)):
        output = pipe.transformer(hidden)
    assert type(output) is type(pipe.transformer.answer)
    assert output[0].dtype == torch.bfloat16
    torch.testing.assert_close(output[0], value.expand_as(hidden))


def constant() -> Any:
    class Constant(torch.nn.Module):
        config = SimpleNamespace(in_channels=4, out_channels=4, patch_size=2, patch_size_t=None)
        answer: Any

        def forward(self, hidden_states: Tensor) -> Any:
            return self.answer

    return SimpleNamespace(transformer=Constant(), scheduler=tiny.scheduler())


@pytest.mark.parametrize("order", ["joint", "sequential"])
def test_photographs_of_1_5_are_scaled_the_other_way_round(order):
    pipe, estimates = pipeline("1.5"), []
    assert pipe.vae.config.invert_scale_latents
    step = pipe.scheduler.step

    def keep(*args: Any, **kwargs: Any) -> Any:
        found = step(*args, **kwargs)
        estimates.append(found[1])
        return found

    pipe.scheduler.step = keep
    calls = Calls(pipe)
    windows = plan_windows(8, 4, 2)
    with windowed(pipe, windows, order=order):
        make(pipe, "1.5", num_frames=29, num_inference_steps=2)
    # The photograph is divided by the scaling factor, latents of a video are multiplied by it.
    at, known = (len(windows) + 1, estimates[0][:, 2]) if order == "joint" else (2, estimates[1][:, 2])
    found = calls.inputs[at]["hidden_states"][0, 0, 4:]
    torch.testing.assert_close(found, known[0] / pipe.vae.config.scaling_factor**2)


def shown(condition: Any) -> tuple[list[Tensor], list[Tensor]]:
    """What stands in the place of the photograph, [windows, L, C, h, w] for each step; and each step's estimate."""
    pipe = pipeline("i2v")
    estimates: list[Tensor] = []
    step = pipe.scheduler.step

    def keep(*args: Any, **kwargs: Any) -> Any:
        found = step(*args, **kwargs)
        estimates.append(found[1])
        return found

    pipe.scheduler.step = keep
    calls = Calls(pipe)
    with windowed(pipe, plan_windows(9, 3, 1), order="joint", condition=condition):
        make(pipe, "i2v", num_frames=LONG)
    assert pipe.scheduler.step is keep
    images = [call["hidden_states"][:, :, 4:] for call in calls.inputs]
    assert all(torch.equal(image[:1], image[1:]) for image in images)  # both branches of guidance
    return [torch.cat([image[:1] for image in images[i : i + 4]]) for i in (0, 4, 8)], estimates


def test_what_later_windows_are_shown():
    (first, _), (repeated, _), (carried, estimates) = shown("first"), shown("repeat"), shown("carry")
    photograph = first[0][0]
    assert photograph[0].abs().sum() > 0
    for step in range(3):
        assert torch.equal(first[step][0], photograph)
        assert not first[step][1:].any()
        assert torch.equal(repeated[step], photograph.expand(4, *photograph.shape))
        assert torch.equal(carried[step][0], photograph)
        assert not carried[step][1:, 1:].any()
    assert not carried[0][1:].any()  # nothing is known before the first step
    for step in (1, 2):
        assert torch.equal(carried[step][1:, 0], estimates[step - 1][0][[2, 4, 6]])


@pytest.mark.parametrize("kind", ["t2v", "i2v"])
@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_sequential_windows_begin_with_what_was_made(kind, overlap):
    pipe = pipeline(kind)
    noise = torch.randn(1, 9, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    windows = plan_windows(9, 3, overlap)
    calls = Calls(pipe)
    with windowed(pipe, windows, order="sequential"):
        clip = make(pipe, kind, num_frames=LONG, latents=noise)
    begin, end = windows[1].start, windows[0].stop
    alone = make(pipe, kind, latents=noise[:, windows[0]])
    assert torch.equal(clip[:, :begin], alone[:, :begin])
    if overlap:  # the latent both windows share first is only steered, and arrives
        torch.testing.assert_close(clip[:, begin], alone[:, begin], atol=2e-3, rtol=0)
    assert torch.equal(calls.inputs[3]["hidden_states"][0, :, :4], noise[0, windows[1]])
    if kind == "i2v":
        image = calls.inputs[3]["hidden_states"][0, :, 4:]
        assert torch.equal(image[0], alone[0, begin] if begin < end else torch.zeros_like(image[0]))
        assert not image[1:].any()


def test_sequential_windows_need_models_that_predict_v():
    pipe = pipeline("t2v")
    pipe.scheduler.register_to_config(prediction_type="epsilon")
    with pytest.raises(InputError, match="'epsilon'; use joint windows"):
        windowed(pipe, plan_windows(9, 3, 1), order="sequential").__enter__()


def test_step_caches_do_not_mix_windows():
    pipe = pipeline("t2v")
    pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold=1e9))
    blocks = []
    pipe.transformer.transformer_blocks[1].norm1.register_forward_hook(lambda *_: blocks.append(1))
    with windowed(pipe, plan_windows(9, 3, 1)):
        make(pipe, num_frames=LONG)
    assert len(blocks) == 4  # every window computes its first step, and none of the others


@pytest.mark.parametrize("changes", [{"guidance_scale": 1.0}, {"batch": 2}])
@pytest.mark.parametrize("order", ["joint", "sequential"])
def test_any_batch(changes, order):
    pipe = pipeline("i2v", "dpm")
    batch = 1 if "guidance_scale" in changes else 2
    images = [tiny.inputs("i2v")["image"]] * batch
    with windowed(pipe, plan_windows(9, 3, 1), order=order):
        clips = make(pipe, "i2v", num_frames=LONG, image=images, **changes)
    assert clips.shape == (batch, 9, 4, 4, 4)
    assert torch.isfinite(clips).all()


ideal = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "_ideal_video.py")))


def likeness(overlap: int, solver: str = "ddim", takes_image: bool = False, length: int = 13, **how: Any):
    scheduler: Any = tiny.scheduler()
    if solver == "dpm":
        scheduler = CogVideoXDPMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    pipe = SimpleNamespace(
        transformer=ideal.IdealTransformer(scheduler.alphas_cumprod, takes_image), scheduler=scheduler
    )
    windows = plan_windows(39, length, overlap)
    with windowed(pipe, windows, **{"order": "joint", **how}):
        clip = ideal.denoised(pipe.transformer, scheduler, 39, steps=20, seed=0, size=16)
    return ideal.likeness(clip, sorted({edge for w in windows for edge in (w.start, w.stop) if 0 < edge < 39}))


@pytest.mark.parametrize("solver", ["ddim", "dpm"])
def test_seams_of_a_perfect_denoiser(solver):
    whole, cut, joint = likeness(0, solver, length=39), likeness(0, solver), likeness(4, solver)
    assert whole["moving"]["error"] < 0.2
    assert whole["moving"]["variance"] > 0.85
    # Squared jumps of neighbouring frames at the borders over those elsewhere.
    assert cut["moving"]["seam"] > 15
    assert cut["scene"]["seam"] > 100
    assert joint["moving"]["seam"] < 1.8
    assert joint["scene"]["seam"] < 4
    assert joint["moving"]["error"] < 0.25 < 0.3 < cut["moving"]["error"]
    assert abs(joint["moving"]["variance"] - whole["moving"]["variance"]) < 0.1


@pytest.mark.parametrize("solver", ["ddim", "dpm"])
@pytest.mark.slow
def test_what_is_carried_keeps_the_scene_and_lets_things_move(solver):
    found = {how: likeness(4, solver, True, condition=how) for how in ("first", "carry", "repeat")}
    found["in turn"] = likeness(4, solver, True, order="sequential")
    assert found["first"]["scene"]["kept"] < 0.35
    assert found["carry"]["scene"]["kept"] > 0.85
    assert found["in turn"]["scene"]["kept"] > 0.75
    assert found["carry"]["moving"]["error"] < 0.25 < 0.3 < found["repeat"]["moving"]["error"]
    assert found["in turn"]["scene"]["variance"] > 0.9
    for how, most in {"first": 1.8, "carry": 1.8, "repeat": 1.8, "in turn": 3}.items():
        assert found[how]["moving"]["seam"] < most
        assert found[how]["scene"]["seam"] < 2 * most


@pytest.mark.parametrize("kind", ["t2v", "i2v"])
@pytest.mark.slow
def test_204_frames_with_motion(kind):
    pipe = pipeline(kind, "dpm")
    assert usual_order(pipe.transformer.config) == ("joint" if kind == "t2v" else "sequential")
    adapter = tiny.adapter(pipe.transformer)
    windows = plan_windows(52, 3, 1)
    flows = [tiny.motion_latents(seed=k) for k in range(len(windows))]
    features = [adapter.features(flow) for flow in flows]
    tokens = set()
    pipe.transformer.transformer_blocks[0].register_forward_pre_hook(
        lambda _, __, kwargs: tokens.add(kwargs["hidden_states"].shape[1]), with_kwargs=True
    )

    def clip(given: Any, steps: int = 1) -> Tensor:
        with attach(pipe.transformer, adapter) as attachment:

            def next_window(k: int) -> None:
                attachment.features = given[k]

            def next_step(*_: Any) -> dict[str, Any]:
                attachment.features = None  # an attachment refuses a whole clip with the features of a window
                return {}

            with windowed(pipe, windows, on_window=next_window, order="joint"):
                return make(pipe, kind, num_frames=205, num_inference_steps=steps, callback_on_step_end=next_step)

    guided = clip(features)
    assert guided.shape[1] == 52
    changed = clip([*features[:10], adapter.features(tiny.motion_latents(seed=99)), *features[11:]])
    differs = ((changed - guided).abs().amax((0, 2, 3, 4)) > 1e-6).nonzero().flatten()
    counts = blend_weights(windows)[10].nonzero().flatten() + windows[10].start
    assert differs.tolist() == counts.tolist()
    assert torch.isfinite(clip(features, steps=2)).all()
    assert tokens == {3 * 2 * 2}  # attention never sees more than one window


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t2v", "learned"])
def test_204_frames_by_the_pipeline(kind):
    stock = pipeline(kind, "dpm")
    made = ToraPipeline if kind == "t2v" else ToraImageToVideoPipeline
    pipe: Any = made(**{**stock.components, "adapter": tiny.adapter(stock.transformer)})
    pipe.set_progress_bar_config(disable=True)
    x = 16 + 12 * np.sin(np.linspace(0, 20, 205))
    tracks = Tracks(
        np.stack([x, np.full(205, 16)], -1)[:, None].astype(np.float32), np.ones((205, 1), bool), (32, 32), 8.0
    )
    calls = Calls(pipe)
    given = tiny.inputs(kind, num_frames=205, num_inference_steps=1, output_type="np", guidance_scale=1.0)
    video = pipe(**given, tracks=tracks).frames[0][:204]
    assert video.shape == (204, 32, 32, 3)
    assert np.isfinite(video).all()
    assert len(calls.inputs) == len(plan_windows(52, 3, 2))
    assert not np.array_equal(video, pipe(**{**given, "generator": torch.Generator().manual_seed(0)}).frames[0][:204])
