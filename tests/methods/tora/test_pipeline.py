from __future__ import annotations

import functools
import itertools
import runpy
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler

from motionloom.errors import InputError
from motionloom.methods.tora.guidance_scale import scale_at_step
from motionloom.methods.tora.hooks import attach
from motionloom.methods.tora.motion_latents import motion_latents, part_of, tracks_videos
from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline, ToraPipeline
from motionloom.tracks.tracks import Tracks

_tiny = runpy.run_path(str(Path(__file__).with_name("tiny.py")))
KINDS = ("t2v", "sincos", "learned", "1.5")
TEXT_KINDS = ("t2v", "sincos")


def make_tracks(count: int = 2, frames: int = 9, seed: int = 0) -> Tracks:
    steps = np.random.default_rng(seed).normal(0, 3, (frames, count, 2))
    points = np.clip(16 + np.cumsum(steps, axis=0), 0, 31).astype(np.float32)
    return Tracks(points, np.ones((frames, count), np.bool_), (32, 32), 8.0)


HIDDEN = Tracks(make_tracks().points, np.zeros((9, 2), np.bool_), (32, 32), 8.0)


class Made:
    """A pipeline with a random adapter, and the stock one of the same components."""

    def __init__(self, kind: str, **components: Any) -> None:
        self.kind = kind
        text = kind in TEXT_KINDS
        self.stock = _tiny["t2v" if text else "i2v"](kind)
        self.adapter = _tiny["adapter"](self.stock.transformer)
        made = ToraPipeline if text else ToraImageToVideoPipeline
        self.pipeline = made(**{**self.stock.components, "adapter": self.adapter, **components})
        self.pipeline.set_progress_bar_config(disable=True)

    def inputs(self, **changes: Any) -> dict[str, Any]:
        return _tiny["inputs"](self.kind, **changes)

    def base(self, **changes: Any) -> torch.Tensor:
        return self.stock(**self.inputs(**changes)).frames

    def __call__(self, of: dict[str, Any] | None = None, **changes: Any) -> torch.Tensor:
        """With the arguments ``of`` Tora and changed stock ones."""
        return self.pipeline(**self.inputs(**changes), **(of or {})).frames


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest) -> Made:
    return Made(request.param)


@pytest.fixture(scope="module")
def t2v() -> Made:
    return Made("t2v")


@pytest.fixture(scope="module")
def i2v() -> Made:
    return Made("learned")


def test_without_motion_it_is_the_stock_pipeline_bit_for_bit(made):
    base = made.base()
    for of in (
        {},
        {"tracks": []},
        {"tracks": make_tracks(0)},
        {"tracks": HIDDEN},
        {"tracks": make_tracks(), "strength": 0.0},
        {"tracks": make_tracks(), "window": (0.4, 0.4)},
    ):
        assert torch.equal(made(of), base), of
    moved = made({"tracks": make_tracks()})
    assert moved.isfinite().all()
    assert (moved - base).abs().max() > 0.01
    assert torch.equal(made(), base)
    assert torch.equal(made.base(), base)


def test_guidance_as_in_diffusers_is_the_stock_pipeline_too(t2v):
    t2v.pipeline.scheduler = CogVideoXDPMScheduler.from_config(t2v.stock.scheduler.config, timestep_spacing="trailing")
    before, t2v.stock.scheduler = t2v.stock.scheduler, t2v.pipeline.scheduler
    changes: dict[str, Any] = {"use_dynamic_cfg": True, "num_inference_steps": 5, "guidance_scale": 6.0}
    base = t2v.base(**changes)
    assert torch.equal(t2v({"dynamic_guidance": "legacy"}, **changes), base)
    assert not torch.allclose(t2v({"dynamic_guidance": "steps"}, **changes), base, atol=1e-3)
    t2v.stock.scheduler = t2v.pipeline.scheduler = before


@pytest.mark.parametrize("order", ["joint", "sequential"])
@pytest.mark.parametrize("kind", ["steps", None])
def test_the_scale_of_every_step(t2v, order, kind, monkeypatch):
    found, step = [], CogVideoXDDIMScheduler.step

    @functools.wraps(step)
    def watched(*args: Any, **kwargs: Any) -> Any:
        found.append(t2v.pipeline.guidance_scale)
        return step(*args, **kwargs)

    monkeypatch.setattr(CogVideoXDDIMScheduler, "step", watched)
    of = {"window_order": order, "dynamic_guidance": kind or "steps"}
    t2v(of, num_frames=25, num_inference_steps=4, use_dynamic_cfg=kind is not None, guidance_scale=6.0)
    turns = len(t2v.pipeline.windows(25)) if order == "sequential" else 1
    assert found == turns * [scale_at_step(index, 4, 6.0) if kind else 6.0 for index in range(4)]


def test_without_guidance_there_is_nothing_to_grow(t2v):
    assert torch.equal(t2v(guidance_scale=1.0, use_dynamic_cfg=True), t2v.base(guidance_scale=1.0))


def test_it_shows_the_transformer_the_features_of_the_flow(made):
    """The same by hand: the stock pipeline with an attached adapter."""
    tracks = make_tracks(3)
    latents = motion_latents(made.stock.vae, tracks_videos([tracks], (32, 32), 9)[0])
    with torch.no_grad(), attach(made.stock.transformer, made.adapter) as attachment:
        attachment.features, attachment.strength = made.adapter.features(latents), 0.7
        expected = made.base()
    assert torch.equal(made({"tracks": tracks, "strength": 0.7}), expected)
    video = tracks_videos([tracks], (32, 32), 9)[0][0].transpose(0, 1)
    assert torch.equal(made({"flow": video, "strength": 0.7}), expected)
    longer = torch.cat([video, video]).numpy()
    assert torch.equal(made({"flow": [longer], "strength": 0.7}), expected)


def test_the_motion_is_computed_once(made, monkeypatch):
    coded, features = [], []
    vae, adapter = made.pipeline.vae, made.adapter
    monkeypatch.setattr(vae, "encode", _counting(vae.encode, coded))
    monkeypatch.setattr(adapter, "features", _counting(adapter.features, features))
    made({"tracks": make_tracks()}, num_inference_steps=3)
    assert len(features) == 1
    assert sum(video.shape[2] > 1 for video in coded) == 1


def test_the_motion_is_let_go_before_the_video_is_decoded(made, monkeypatch):
    held: list[Any] = []
    features = made.adapter.features
    decode = made.pipeline.vae.decode

    def keep(*args: Any) -> Any:
        found = features(*args)
        held.extend(weakref.ref(each) for each in found)
        return found

    def decoding(*args: Any, **kwargs: Any) -> Any:
        assert held
        assert all(each() is None for each in held)
        return decode(*args, **kwargs)

    monkeypatch.setattr(made.adapter, "features", keep)
    monkeypatch.setattr(made.pipeline.vae, "decode", decoding)
    for cache in ("features", "modulation"):
        for frames in (9, 17):
            of = {"tracks": make_tracks(), "motion_cache": cache}
            assert made(of, num_frames=frames, num_inference_steps=1, output_type="np").shape[1] >= frames


@pytest.mark.parametrize(("window", "seen"), [((0.0, 1.0), 4), ((0.0, 0.5), 2), ((0.25, 0.5), 1), ((0.9, 1.0), 0)])
def test_it_is_seen_in_a_part_of_the_steps(t2v, window, seen, monkeypatch):
    calls: list[Any] = []
    fuser = t2v.adapter.fuser[0]
    monkeypatch.setattr(fuser, "forward", _counting(fuser.forward, calls))
    moved = t2v({"tracks": make_tracks(), "window": window}, num_inference_steps=4)
    assert len(calls) == seen
    assert torch.equal(moved, t2v.base(num_inference_steps=4)) == (seen == 0)
    for order in ("joint", "sequential"):
        calls.clear()
        t2v({"tracks": make_tracks(), "window": window, "window_order": order}, num_inference_steps=4, num_frames=17)
        assert len(calls) == seen * len(t2v.pipeline.windows(17))


def test_every_prompt_has_its_own_tracks(t2v):
    tracks = [make_tracks(seed=1), make_tracks(0), make_tracks(seed=2)]
    noise = torch.randn(3, 3, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    together = t2v({"tracks": tracks}, batch=3, latents=noise)
    text = t2v.inputs(batch=3)
    for index, one in enumerate(tracks):
        own = {key: text[key][index : index + 1] for key in ("prompt_embeds", "negative_prompt_embeds")}
        alone = t2v({"tracks": one}, latents=noise[index : index + 1], **own)
        assert torch.allclose(together[index], alone[0], atol=1e-4)
    assert torch.equal(together[1], t2v.base(batch=3, latents=noise)[1])  # nothing moves: bit for bit
    shared = t2v({"tracks": tracks[0]}, batch=3, latents=noise)
    assert torch.allclose(shared, t2v({"tracks": [tracks[0]] * 3}, batch=3, latents=noise), atol=1e-5)


@pytest.mark.slow
def test_any_number_of_frames_and_any_size(t2v):
    tracks = make_tracks(frames=5)
    for frames, latents in ((1, 1), (2, 1), (4, 1), (5, 2), (7, 2), (8, 2), (9, 3)):
        moved = t2v({"tracks": tracks}, num_frames=frames)
        assert moved.shape[1] == latents
        # Fewer than five are one latent frame, a picture: the base model's.
        assert torch.equal(moved, t2v.base(num_frames=frames)) == (latents == 1)
    assert t2v({"tracks": tracks}, height=48, width=16).shape == (1, 3, 4, 6, 2)


def test_points_far_outside_and_on_the_border(t2v):
    places = np.float32([[-1e6, 5], [1e6, 5], [32, 32], [31.999, 0], [0, 0]])
    points = places + np.arange(9)[:, None, None].astype(np.float32) * 0.5
    tracks = Tracks(points, np.ones((9, 5), np.bool_), (32, 32), 8.0)
    assert t2v({"tracks": tracks}).isfinite().all()
    assert torch.equal(t2v({"tracks": tracks.select([0, 1, 2])}), t2v.base())


def test_negative_prompts_of_zeros(t2v):
    zeros = torch.zeros_like(t2v.inputs()["negative_prompt_embeds"])
    assert torch.equal(t2v({"negative": "zero"}), t2v.base(negative_prompt_embeds=zeros))


def test_positions_as_the_published_program_has_them(i2v):
    embed = i2v.stock.transformer.patch_embed
    i2v_table = embed.pos_embedding.clone()
    with_table = i2v.base()
    embed.pos_embedding.zero_()
    without = i2v.base()
    embed.pos_embedding.copy_(i2v_table)
    assert not torch.equal(with_table, without)
    assert torch.equal(i2v({"position_table": "sat"}), without)
    assert torch.equal(i2v({"position_table": "diffusers"}), with_table)
    with pytest.raises(InputError, match="window_frames: found 0"):
        i2v({"position_table": "sat", "window_frames": 0})
    assert torch.equal(i2v.base(), with_table)


def test_another_vae_for_the_motion():
    motion_vae = _tiny["vae"]()
    with torch.no_grad():
        for parameter in motion_vae.parameters():
            parameter.mul_(0.5)
    motion_vae.register_to_config(scaling_factor=0.3)
    made = Made("t2v", motion_vae=motion_vae)
    latents = motion_latents(motion_vae, tracks_videos([make_tracks()], (32, 32), 9)[0])
    with torch.no_grad(), attach(made.stock.transformer, made.adapter) as attachment:
        attachment.features = made.adapter.features(latents)
        expected = made.base()
    assert torch.equal(made({"tracks": make_tracks()}), expected)


def test_motion_latents_may_be_drawn(t2v):
    tracks = make_tracks()
    drawn = [t2v({"tracks": tracks, "motion_posterior": "sample", "motion_seed": seed}) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("frames", [9, 17])
def test_what_is_cached_changes_nothing_but_time(t2v, frames):
    expected = t2v({"tracks": make_tracks()}, num_frames=frames)
    for cache in ("spatial", "modulation"):
        found = t2v({"tracks": make_tracks(), "motion_cache": cache}, num_frames=frames)
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("order", ["joint", "sequential"])
@pytest.mark.slow
def test_longer_clips_are_made_in_windows(made, order, monkeypatch):
    frames, tracks = 25, make_tracks(frames=25)
    windows = made.pipeline.windows(frames)
    seen: list[Any] = []
    monkeypatch.setattr(made.adapter, "features", _counting(made.adapter.features, seen))
    found = made({"tracks": tracks, "window_order": order}, num_frames=frames)
    assert len(windows) > 1
    assert found.shape[1] == windows[-1].stop
    # Each window is shown its own frames, in the colours of the whole. 1.5 fills up to pairs of latents in front.
    lead = windows[-1].stop - 7
    video = tracks_videos([tracks], (32, 32), frames)[0][0]
    for window, latents in zip(windows, seen, strict=True):
        first, stop = max(0, window.start - lead), window.stop - lead
        part = part_of(video, 4 * first, 4 * (stop - first - 1) + 1)
        assert torch.equal(latents, motion_latents(made.pipeline.vae, [part]))
    steps = 3 * (len(windows) if order == "sequential" else 1)
    assert made.pipeline.num_timesteps == steps


@pytest.mark.slow
def test_the_usual_order_of_windows(made):
    takes_image = made.pipeline.transformer.config.in_channels > made.pipeline.transformer.config.out_channels
    usual, other = ("sequential", "joint") if takes_image else ("joint", "sequential")
    tracks = make_tracks(frames=25)
    clips = {order: made({"tracks": tracks, "window_order": order}, num_frames=25) for order in (None, usual, other)}
    assert torch.equal(clips[None], clips[usual])
    assert not torch.equal(clips[None], clips[other])


def test_in_one_piece_if_asked_for(t2v):
    assert torch.equal(t2v({"window_frames": 25}, num_frames=25), t2v.base(num_frames=25))
    unmoved = t2v(num_frames=25)
    assert not torch.equal(unmoved, t2v.base(num_frames=25))
    assert torch.equal(t2v({"tracks": make_tracks(), "strength": 0.0}, num_frames=25), unmoved)


def test_windows_are_counted_in_frames(t2v):
    assert t2v.pipeline.windows(9) == [slice(0, 3)]
    long = t2v.pipeline.windows(205, 49, 16)
    assert {window.stop - window.start for window in long} == {13}
    assert all(before.stop - after.start >= 4 for before, after in itertools.pairwise(long))
    assert (long[0].start, long[-1].stop, len(long)) == (0, 52, 6)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ({"strength": -1.0}, "strength: found -1.0"),
        ({"window": (0.5, 0.2)}, "window: found"),
        ({"flow_normalisation": "mean"}, "flow_normalisation: found 'mean', expected 'inference' or 'training'"),
        ({"motion_posterior": "mean"}, "motion_posterior: found 'mean'"),
        ({"dynamic_guidance": "fast"}, "dynamic_guidance: found 'fast', expected 'steps' or 'legacy'"),
        ({"negative": "none"}, "negative: found 'none'"),
        ({"tracks": make_tracks(), "flow": np.zeros((9, 32, 32, 2))}, "flow: takes the place of tracks"),
        ({"tracks": [make_tracks()] * 3}, "tracks: found 3 for 2 videos"),
        ({"flow": [np.zeros((9, 32, 32, 2))] * 3}, "flow: found 3 for 2 videos"),
        ({"flow": np.zeros((9, 16, 32, 2))}, "flow: found 32x16, expected 32x32"),
        ({"window_frames": 5, "window_overlap": 5}, "window_overlap: found 5, expected 0 to 4 frames"),
        ({"window_overlap": -1}, "window_overlap: found -1, expected 0 to 8 frames"),
        ({"tracks": make_tracks(), "motion_cache": "all"}, "cache"),
        ({"window_frames": 5, "window_order": "random"}, "order"),
        ({"window_frames": 5, "window_condition": "random"}, "condition"),
    ],
)
def test_what_it_cannot_work_with_is_refused(t2v, of, message):
    base = t2v.base()
    with pytest.raises(InputError, match=message):
        t2v(of, batch=2)
    assert t2v.pipeline._run is None
    assert torch.equal(t2v.base(), base)


def test_an_adapter_is_needed_for_tracks_and_has_to_fit(t2v):
    without = Made("t2v", adapter=None)
    assert torch.equal(without(), without.base())
    with pytest.raises(InputError, match="has no adapter"):
        without({"tracks": make_tracks()})
    with pytest.raises(InputError, match="this adapter is for"):
        Made("t2v", adapter=_tiny["adapter"](_tiny["transformer"]("t2v", layers=1)))


def test_whatever_happens_the_pipeline_is_left_as_it_was(made):
    class StoppedError(Exception):
        pass

    def stop(*args: Any) -> Any:
        raise StoppedError

    base = made.base()
    with pytest.raises(StoppedError):
        made({"tracks": [make_tracks()], "window_frames": 5}, num_frames=17, callback_on_step_end=stop)
    transformer = made.stock.transformer
    assert not transformer._forward_hooks
    assert not transformer._forward_pre_hooks
    assert not any(block.norm1._forward_hooks for block in transformer.transformer_blocks)
    assert torch.equal(made.base(), base)
    assert torch.equal(made(), base)


def test_a_caller_s_callback_is_asked_too(t2v):
    steps: list[int] = []

    def note(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        assert set(tensors) == {"prompt_embeds"}
        return {}

    t2v({"tracks": make_tracks()}, callback_on_step_end=note, callback_on_step_end_tensor_inputs=["prompt_embeds"])
    assert steps == [0, 1, 2]


def test_saved_and_loaded_with_its_adapter(t2v, tmp_path):
    t2v.pipeline.save_pretrained(tmp_path)
    again = ToraPipeline.from_pretrained(tmp_path, tokenizer=None, text_encoder=None)
    again.set_progress_bar_config(disable=True)
    expected = t2v({"tracks": make_tracks()})
    assert torch.equal(again(**t2v.inputs(), tracks=make_tracks()).frames, expected)
    derived = ToraPipeline.from_pipe(t2v.stock, adapter=t2v.adapter)
    assert torch.equal(derived(**t2v.inputs(), tracks=make_tracks()).frames, expected)


def _counting(call: Any, calls: list[Any]) -> Any:
    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args[0] if args else None)
        return call(*args, **kwargs)

    return counted
