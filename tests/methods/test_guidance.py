"""The promises of every condition method, on tiny random models behind the stock pipeline."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.adaptive import AdaptiveWeight
from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.guidance import TrackGuidance, batch_tracks, check_pipeline
from motionloom.methods.wan_move.pipeline import WanMoveImageToVideoPipeline
from motionloom.tracks.tracks import Tracks

METHODS = [ATIWanImageToVideoPipeline, WanMoveImageToVideoPipeline]


def make_tracks(count=5, frames=9, size=(32, 48), seed=0):
    rng = np.random.default_rng(seed)
    start = rng.uniform(4, 28, (1, count, 2))
    step = rng.uniform(-2, 2, (1, count, 2))
    points = start + np.arange(frames)[:, None, None] * step
    return Tracks(points.astype(np.float32), np.ones((frames, count), np.bool_), size, 16.0)


@pytest.fixture(params=METHODS, ids=["ati", "wan_move"])
def pipe(request, base):
    pipe = request.param.from_pipe(base)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def hooks(pipeline):
    models = [m for m in (pipeline.transformer, pipeline.transformer_2) if m is not None]
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in models)


def run(pipeline, arguments, **changes):
    return pipeline(**arguments, **changes).frames


def test_tracks_change_the_result_and_repeat_with_the_seed(pipe, base, inputs):
    plain = run(base, inputs())
    guided = run(pipe, inputs(), tracks=make_tracks())
    assert (guided - plain).abs().max() > 1e-4
    assert torch.equal(guided, run(pipe, inputs(), tracks=make_tracks()))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tracks": Tracks.empty(9, (32, 48), 16.0)},
        {"tracks": make_tracks(), "strength": 0.0},
        {"tracks": make_tracks(), "window": (0.5, 0.5)},
        {"tracks": []},
    ],
    ids=["none", "zero", "strength", "window", "empty list"],
)
def test_nothing_to_do_is_the_base_model_bit_for_bit(pipe, base, inputs, changes):
    assert torch.equal(run(pipe, inputs(), **changes), run(base, inputs()))


@pytest.mark.parametrize("frames", [1, 5, 10, 13])
def test_any_frame_count_and_canvas_of_tracks(pipe, inputs, frames):
    tracks = make_tracks(frames=7, size=(64, 96))
    out = run(pipe, inputs(num_frames=frames, num_inference_steps=2), tracks=tracks)
    assert out.shape == (1, 16, (frames - 1) // 4 + 1, 4, 6)
    assert torch.isfinite(out).all()


def test_the_canvas_of_the_tracks_does_not_matter(pipe, inputs):
    tracks = make_tracks()
    larger = tracks.resize((320, 480))
    torch.testing.assert_close(run(pipe, inputs(), tracks=tracks), run(pipe, inputs(), tracks=larger))


def test_every_sample_of_a_batch_follows_its_own_tracks(pipe, inputs):
    first, second = make_tracks(3, seed=1), make_tracks(7, seed=2)
    noise = torch.randn(2, 16, 3, 4, 6, generator=torch.Generator().manual_seed(3))
    both = inputs(batch=2, latents=noise)
    together = run(pipe, dict(both), tracks=[first, second])
    for index, tracks in enumerate((first, second)):
        alone = {**both, "latents": noise[index : index + 1]}
        for name in ("prompt_embeds", "negative_prompt_embeds"):
            alone[name] = both[name][index : index + 1]
        torch.testing.assert_close(together[index : index + 1], run(pipe, alone, tracks=tracks), atol=1e-5, rtol=1e-4)


def test_several_videos_per_prompt_share_the_tracks_of_their_prompt(pipe):
    tracks = [make_tracks(2, seed=1), make_tracks(4, seed=2)]
    points, visible = batch_tracks(tracks, 4, 9, (32, 48))
    assert points.shape == (4, 9, 4, 2)
    assert torch.equal(points[0], points[1])
    assert torch.equal(points[2], points[3])
    assert visible.sum((1, 2)).tolist() == [18, 18, 36, 36]


def test_two_videos_of_one_prompt(pipe, inputs):
    out = run(pipe, inputs(num_videos_per_prompt=2), tracks=make_tracks())
    assert out.shape[0] == 2


def test_windows_add_up(pipe, base, inputs, monkeypatch):
    """Each transformer call sees the guided condition inside the window, the plain one outside."""
    seen = []
    forward = type(pipe.transformer).forward
    monkeypatch.setattr(
        type(pipe.transformer),
        "forward",
        lambda self, **kwargs: seen.append(kwargs["hidden_states"][:, 16:].clone()) or forward(self, **kwargs),
    )

    def conditions(**changes):
        seen.clear()
        run(pipe, inputs(), **changes)
        return list(seen)

    plain, guided = conditions()[0], conditions(tracks=make_tracks())[0]
    assert not torch.equal(plain, guided)

    def pattern(**changes):
        found = conditions(tracks=make_tracks(), **changes)
        assert all(torch.equal(c, plain) or torch.equal(c, guided) for c in found)
        return "".join("g" if torch.equal(c, guided) else "p" for c in found)

    assert pattern() == "gg gg gg gg".replace(" ", "")
    assert pattern(window=(0.0, 0.5)) == "gg gg pp pp".replace(" ", "")
    assert pattern(window=(0.5, 1.0)) == "pp pp gg gg".replace(" ", "")
    assert pattern(window=(0.25, 0.3)) == "pp gg pp pp".replace(" ", "")
    assert pattern(drop_tracks_in_uncond=True) == "gp gp gp gp".replace(" ", "")
    assert pattern(drop_tracks_in_uncond=True, window=(0.0, 0.5)) == "gp gp pp pp".replace(" ", "")


def test_weights_by_speed_reach_the_condition(pipe, inputs):
    """Strength times weight, once as one number and once for every track."""
    tracks = make_tracks(3)
    strengths = []
    original = pipe.guide_condition

    def spy(*arguments, **options):
        strengths.append(options["strength"])
        return original(*arguments, **options)

    pipe.guide_condition = spy
    plain = run(pipe, inputs(), tracks=tracks)
    fixed = run(pipe, inputs(), tracks=tracks, strength=2.0, fusion_weight=0.25)
    half = run(pipe, inputs(), tracks=tracks, strength=0.5)
    adaptive = run(pipe, inputs(), tracks=tracks, strength=0.5, adaptive=True)
    whole = run(pipe, inputs(), tracks=tracks, adaptive=AdaptiveWeight(1.0, 1.0))
    del pipe.guide_condition
    assert strengths[:3] == [1.0, 0.5, 0.5]
    assert torch.equal(fixed, half)
    assert not torch.equal(plain, half)
    cells = tracks.points[4, :, :] / 8 - tracks.points[0] / 8
    expected = 0.5 * (0.8 - 0.3 * np.exp(-np.hypot(cells[:, 0], cells[:, 1])))
    assert strengths[3].shape == (1, 3, 3)
    np.testing.assert_allclose(strengths[3][0, 1], expected, rtol=1e-5)
    assert (adaptive - half).abs().max() > 1e-5
    torch.testing.assert_close(whole, plain, atol=1e-5, rtol=1e-4)
    off = run(pipe, inputs(), tracks=tracks, fusion_weight=0.0)
    assert torch.equal(off, run(pipe, inputs()))


def test_window_and_dropping_reach_both_experts(pipe, base_two_experts, inputs, monkeypatch):
    two = type(pipe).from_pipe(base_two_experts)
    two.set_progress_bar_config(disable=True)
    names, masks = [], []
    forward = type(pipe.transformer).forward

    def spy(self, **kwargs):
        names.append("12"[self is two.transformer_2])
        masks.append(kwargs["hidden_states"][:, 20:].clone())
        return forward(self, **kwargs)

    monkeypatch.setattr(type(pipe.transformer), "forward", spy)
    run(two, inputs())
    plain = masks[0]
    names.clear()
    masks.clear()
    run(two, inputs(), tracks=make_tracks(), window=(0.0, 0.75), drop_tracks_in_uncond=True)
    assert "1" in names
    assert "2" in names
    assert ["p" if torch.equal(mask, plain) else "g" for mask in masks] == list("gpgpgppp")
    assert hooks(two) == 0


def test_without_guidance_scale_every_call_is_conditional(pipe, inputs):
    arguments = {"guidance_scale": 1.0, "negative_prompt_embeds": None}
    dropped = run(pipe, inputs(**arguments), tracks=make_tracks(), drop_tracks_in_uncond=True)
    assert torch.equal(dropped, run(pipe, inputs(**arguments), tracks=make_tracks()))


def test_the_base_pipeline_is_left_as_found(pipe, base, inputs):
    before = run(base, inputs())
    weights = {name: value.clone() for name, value in base.transformer.state_dict().items()}

    def stop(pipeline, step, timestep, tensors):
        raise KeyboardInterrupt

    assert type(base).__name__ == "WanImageToVideoPipeline"
    run(pipe, inputs(), tracks=make_tracks(), window=(0.0, 0.5))
    with pytest.raises(KeyboardInterrupt):
        run(pipe, inputs(callback_on_step_end=stop), tracks=make_tracks(), window=(0.0, 0.5))
    with pytest.raises(ValueError, match="divisible by 16"):
        run(pipe, inputs(height=30), tracks=make_tracks(), drop_tracks_in_uncond=True)
    assert hooks(base) == 0
    assert pipe._guidance is None
    assert all(torch.equal(value, weights[name]) for name, value in base.transformer.state_dict().items())
    assert torch.equal(before, run(base, inputs()))
    assert torch.equal(before, run(pipe, inputs()))


def test_from_pipe_shares_components_as_they_are(pipe, base):
    from diffusers import WanImageToVideoPipeline

    class OtherVAE(type(base.vae)):
        pass

    transformer = type(base.transformer).from_config(base.transformer.config).to(torch.bfloat16)
    vae = OtherVAE.from_config(base.vae.config)
    stock = WanImageToVideoPipeline(None, None, vae, base.scheduler, transformer=transformer, boundary_ratio=None)
    guided = type(pipe).from_pipe(stock)
    assert guided.transformer is transformer
    assert guided.vae is vae
    assert transformer.dtype == torch.bfloat16
    other = type(pipe).from_pipe(stock, transformer=base.transformer, boundary_ratio=0.5)
    assert other.transformer is base.transformer
    assert other.config["boundary_ratio"] == 0.5
    assert stock.config["boundary_ratio"] is None
    assert type(pipe).from_pipe(stock, dtype=torch.float32).transformer.dtype == torch.float32


def test_a_saved_stock_pipeline_loads_as_a_guided_one(pipe, base, inputs, tmp_path):
    base.save_pretrained(tmp_path)
    loaded = type(pipe).from_pretrained(tmp_path, text_encoder=None, tokenizer=None)
    loaded.set_progress_bar_config(disable=True)
    found, expected = (run(one, inputs(), tracks=make_tracks()) for one in (loaded, pipe))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_last_image_is_honoured(pipe, inputs):
    last = inputs()["image"].rotate(180)
    tracks = make_tracks()
    arguments = (torch.zeros(1, 3, 32, 48), 1, 16, 32, 48, 9, torch.float32, torch.device("cpu"))
    frame = torch.rand(1, 3, 32, 48) * 2 - 1
    _, plain = pipe.prepare_latents(*arguments, None, None, frame)
    seen = {}
    original = pipe.guide_condition

    def spy(condition, *rest, **options):
        seen["out"] = original(condition, *rest, **options)
        seen["has_last_image"] = options["has_last_image"]
        return seen["out"]

    pipe.guide_condition = spy
    run(pipe, inputs(last_image=last), tracks=tracks)
    del pipe.guide_condition
    assert seen["has_last_image"]
    assert (plain[:, 3, -1] == 1).all()
    assert (seen["out"][:, 3, -1] >= 1).all()


def test_refused_models(pipe, base):
    from diffusers import WanImageToVideoPipeline

    components = {**base.components, "expand_timesteps": True}
    with pytest.raises(InputError, match="expand_timesteps"):
        check_pipeline(WanImageToVideoPipeline(**components))
    from diffusers import WanTransformer3DModel

    text_only = WanTransformer3DModel.from_config({**base.transformer.config, "in_channels": 16})
    refused = type(pipe)(**{**base.components, "transformer": text_only})
    with pytest.raises(InputError, match="transformer takes 16 channels, expected 36"):
        refused(image=None, tracks=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tracks": [make_tracks(), make_tracks()]}, "found 2 for 1 videos"),
        ({"tracks": make_tracks(), "strength": -0.5}, "strength: found -0.5"),
        ({"tracks": make_tracks(), "window": (0.5, 0.2)}, r"window: found \(0.5, 0.2\)"),
        ({"tracks": make_tracks(), "window": (0.5, 1.2)}, "window"),
        ({"tracks": make_tracks(), "window": (0.5,)}, r"expected \(start, end\)"),
    ],
)
def test_refused_arguments(pipe, inputs, changes, message):
    with pytest.raises(InputError, match=message):
        run(pipe, inputs(), **changes)


@pytest.mark.parametrize("steps", [1, 3, 7, 10, 50])
def test_neighbouring_windows_share_no_step_and_miss_none(steps):
    cuts = [0.0, 0.1, 0.3, 0.5, 0.7, 1.0]
    windows = [TrackGuidance([], window=(a, b)) for a, b in itertools.pairwise(cuts)]
    for step in range(steps):
        assert sum(window.in_window(step, steps) for window in windows) == 1
    assert TrackGuidance([], window=(0.3, 1.0)).in_window(3, 10)
    assert not TrackGuidance([], window=(0.0, 0.3)).in_window(3, 10)
