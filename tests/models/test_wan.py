"""Wan models run as the published programs run them, on tiny random pipelines with all their parts."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from motionloom.errors import InputError
from motionloom.methods.ati import ati
from motionloom.methods.wan import clip_pixels, published_scheduler, resize_bicubic, size_for_area
from motionloom.methods.wan_move import wan_move
from motionloom.models.card import ModelCard, Sampling
from motionloom.models.parameters import Parameters
from motionloom.models.wan import WanModel
from motionloom.tracks.tracks import Tracks

sys.path.append(str(Path(__file__).parent))
from tiny_wan import pipeline as tiny_pipeline

NEGATIVE = "blurry"
SAMPLING = Sampling(
    num_inference_steps=3,
    guidance_scale=5.0,
    shift=3.0,
    area=48 * 64,
    known_shifts=((96 * 128, 5.0),),
    negative_prompt=NEGATIVE,
)
CARD = ModelCard(
    "tiny", "", "", "", None, ("ati", "wan_move"), native_size=(48, 64), num_frames=9, fps=16.0, sampling=SAMPLING
)


@pytest.fixture(scope="module")
def one_expert():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def two_experts():
    return tiny_pipeline(experts=2)


@pytest.fixture
def model(one_expert) -> WanModel:
    return WanModel(one_expert, CARD, name="tiny", method="ati", digest="0" * 64)


def photograph(seed: int = 0, height: int = 90, width: int = 130) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def slide(frames: int = 9, dx: float = 12.0) -> Tracks:
    points = np.repeat(np.array([[[30, 24], [8, 8]]], np.float32), frames, 0)
    points[:, 0, 0] += np.linspace(0, dx, frames)
    return Tracks(points, np.ones((frames, 2), bool), (90, 130), 16.0)


@pytest.fixture
def calls(monkeypatch) -> list[dict[str, Any]]:
    """The arguments of every transformer call."""
    from diffusers import WanTransformer3DModel

    seen: list[dict[str, Any]] = []
    forward = WanTransformer3DModel.forward

    def record(self, **kwargs):
        seen.append({**kwargs, "self": self})
        return forward(self, **kwargs)

    monkeypatch.setattr(WanTransformer3DModel, "forward", record)
    return seen


@pytest.mark.parametrize(("method", "solver"), [("ati", "unipc"), ("wan_move", "unipc"), ("wan_move", "dpm++")])
def test_a_run_is_the_published_program_step_by_step(one_expert, method, solver):
    """The whole of `WanATI.generate` and `WanMove.generate` written down again: condition, both branches, solver, in
    plain tensors."""
    model = WanModel(one_expert, CARD, name="tiny", method=method, digest="0" * 64)
    picture, tracks, size, frames, seed = photograph(), slide(), size_for_area((90, 130), 48 * 64), 9, 4
    clip = model.generate(picture, tracks, prompt="a cat looks up", seed=seed, solver=solver)
    assert clip.frames.shape == (frames, *size, 3)

    pipe = one_expert
    vae = pipe.vae
    with torch.no_grad():
        video = torch.zeros(1, 3, frames, *size)
        video[0, :, 0] = resize_bicubic(picture, size)
        mean, std = (torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
        latent = (vae.encode(video).latent_dist.mode() - mean) / std
        mask = torch.zeros(1, 4, *latent.shape[2:])
        mask[:, :, 0] = 1
        fitted = tracks.resize(size).resample(frames)
        points, visible = (torch.from_numpy(np.array(each))[None] for each in (fitted.points, fitted.visible))
        guide = ati.guide if method == "ati" else wan_move.guide
        condition = guide(torch.cat([mask, latent], 1), points, visible, size)
        text, negative = pipe.encode_prompt("a cat looks up", NEGATIVE, max_sequence_length=512)
        vision = pipe.image_encoder(clip_pixels(picture, 28), output_hidden_states=True).hidden_states[-2]
        scheduler = published_scheduler(solver, 3.0)
        scheduler.set_timesteps(3, device="cpu")
        sample = torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed))
        for time in scheduler.timesteps:
            seen, at = torch.cat([sample, condition], 1), time.expand(1)
            both = [pipe.transformer(seen, at, words, vision, return_dict=False)[0] for words in (text, negative)]
            velocity = both[1] + 5.0 * (both[0] - both[1])
            sample = scheduler.step(velocity, time, sample, return_dict=False)[0]
        decoded = vae.decode(sample * std + mean, return_dict=False)[0][0].permute(1, 2, 3, 0)
    expected = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    # Rounding may fall to either side of a half.
    assert np.abs(clip.frames.astype(int) - expected).max() <= 1
    assert (clip.frames == expected).mean() > 0.99


def test_defaults_are_the_cards(model: WanModel, calls):
    clip = model.generate(photograph(), slide(), prompt="a cat")
    details = clip.provenance["details"]
    assert details["num_inference_steps"] == 3
    assert details["guidance_scale"] == 5.0
    assert details["solver"] == "unipc"
    assert details["shift"] == 3.0
    assert len(calls) == 6
    levels = np.array([0.999, 0.666, 0.333])
    assert [call["timestep"].item() for call in calls[::2]] == (3000 * levels / (1 + 2 * levels)).astype(int).tolist()
    empty, _ = model.pipeline.encode_prompt(NEGATIVE, do_classifier_free_guidance=False, max_sequence_length=512)
    assert torch.equal(calls[1]["encoder_hidden_states"], empty)
    calls.clear()
    model.generate(photograph(), slide(), prompt="a cat", negative_prompt="dog")
    assert not torch.equal(calls[1]["encoder_hidden_states"], empty)


def test_the_shift_follows_the_size(model: WanModel):
    def shift(**options):
        details = model.generate(photograph(), None, num_inference_steps=1, num_frames=1, **options).provenance[
            "details"
        ]
        return details["shift"]

    assert shift(size=(48, 64)) == 3.0
    assert shift(size=(96, 128)) == 5.0
    assert shift(size=(192, 256)) == pytest.approx(10.0)  # four times the pixels, twice the shift
    assert shift(size=(192, 256), shift=4.0) == 4.0
    assert SAMPLING.shift_at((48, 80)) == pytest.approx(3.0 * (80 / 64) ** 0.5)


def test_diffusers_settings_are_the_stock_pipeline(one_expert):
    model = WanModel(one_expert, CARD, name="tiny", method="ati", digest="0" * 64, settings="diffusers")
    picture, size = photograph(), (48, 64)
    clip = model.generate(picture, slide(), prompt="a cat", size=size, num_inference_steps=2, strength=0.0)
    stock = one_expert(
        image=Image.fromarray(picture).resize((64, 48), Image.Resampling.LANCZOS),
        prompt="a cat",
        height=48,
        width=64,
        num_frames=9,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(0),
    ).frames[0]
    assert np.array_equal(clip.frames, np.clip(np.round(stock * 255), 0, 255).astype(np.uint8))
    published = WanModel(one_expert, CARD, name="tiny", method="ati", digest="0" * 64)
    other = published.generate(picture, slide(), prompt="a cat", size=size, num_inference_steps=2, strength=0.0)
    assert not np.array_equal(other.frames, clip.frames)
    assert one_expert.scheduler.config.flow_shift == 3.0  # left as found


@pytest.mark.parametrize("method", ["ati", "wan_move"])
def test_nothing_to_follow_is_the_base_model(one_expert, method):
    model = WanModel(one_expert, CARD, name="tiny", method=method, digest="0" * 64)
    options = {"prompt": "a cat", "last_image": photograph(3)}
    base = model.generate(photograph(), None, **options).frames
    assert np.array_equal(model.generate(photograph(), slide(), strength=0.0, **options).frames, base)
    assert not np.array_equal(model.generate(photograph(), slide(), **options).frames, base)


@pytest.mark.parametrize("frames", [1, 2, 6, 9, 12])
def test_any_number_of_frames(model: WanModel, calls, frames: int):
    clip = model.generate(photograph(), slide(), num_frames=frames, num_inference_steps=1)
    assert clip.num_frames == frames
    latent_frames = -(-(frames - 1) // 4) + 1
    assert calls[0]["hidden_states"].shape[2] == latent_frames


def test_frames_that_fill_up_a_latent_frame_hold_the_motion(one_expert, calls):
    """Six frames are made as nine of which the motion takes six, not as nine that are slower."""
    model = WanModel(one_expert, CARD, name="tiny", method="wan_move", digest="0" * 64)
    model.generate(photograph(), slide(6), size=(48, 64), num_frames=6, num_inference_steps=1)
    six = calls[0]["hidden_states"][:, 16:]
    calls.clear()
    held = slide(6)
    held = Tracks(
        np.concatenate([held.points, held.points[-1:].repeat(3, 0)]), np.ones((9, 2), bool), held.size, held.fps
    )
    model.generate(photograph(), held, size=(48, 64), num_frames=9, num_inference_steps=1)
    assert torch.equal(six, calls[0]["hidden_states"][:, 16:])


def test_a_last_image_with_tracks(model: WanModel, calls):
    model.generate(photograph(), slide(), last_image=photograph(1), size=(48, 64), num_inference_steps=1)
    masks = calls[0]["hidden_states"][0, 16:20]
    assert masks[3, -1].eq(1).all()  # the last picture's frame is known; the tracks did not take that away
    assert masks[:, 0].eq(1).all()
    assert ((masks[0, 1] > 0) & (masks[0, 1] < 1)).any()  # and the tracks are there
    with pytest.raises(InputError, match="found 6 with a last image"):
        model.generate(photograph(), slide(), last_image=photograph(1), num_frames=6)


def test_several_videos_are_what_their_seeds_give_alone(model: WanModel, calls):
    options = {"prompt": "a cat", "size": (48, 64), "num_frames": 5}
    together = model.generate_videos(photograph(), slide(), num_videos_per_prompt=3, seed=5, **options)
    assert len(calls) == 6  # one batch
    assert [clip.provenance["parameters"]["seed"] for clip in together] == [5, 6, 7]
    for index, clip in enumerate(together):
        alone = model.generate(photograph(), slide(), seed=5 + index, **options)
        assert np.abs(clip.frames.astype(int) - alone.frames).max() <= 1
        assert clip.provenance["fingerprint"] == alone.provenance["fingerprint"]
    assert not np.array_equal(together[0].frames, together[1].frames)
    with pytest.raises(InputError, match="num_videos_per_prompt: found 0"):
        model.generate_videos(photograph(), None, num_videos_per_prompt=0)


def test_two_experts_and_their_guidance(two_experts, calls):
    card = replace(CARD, sampling=replace(SAMPLING, guidance_scale=3.5, guidance_scale_2=2.5, shift=8.0))
    model = WanModel(two_experts, card, name="tiny", method="ati", digest="0" * 64)
    clip = model.generate(photograph(), slide(), prompt="a cat", size=(48, 64), num_inference_steps=4)
    details = clip.provenance["details"]
    assert (details["guidance_scale"], details["guidance_scale_2"]) == (3.5, 2.5)
    high = [call["self"] is two_experts.transformer for call in calls]
    assert high == [time.item() >= 900 for call in calls for time in call["timestep"]]
    assert True in high
    assert False in high
    given = model.generate(
        photograph(), slide(), prompt="a cat", size=(48, 64), num_inference_steps=4, guidance_scale=3
    )
    assert given.provenance["details"]["guidance_scale_2"] is None  # then both have the one that was given


@pytest.mark.slow
def test_resolutions_keep_the_shape(model: WanModel):
    assert model.size_at((90, 130), 720 * 1280) == size_for_area((90, 130), 720 * 1280)
    request = Parameters(resolution="480p", num_frames=1, num_inference_steps=1)
    height, width = model.run(photograph(), None, request)[0].size
    assert (height, width) == size_for_area((90, 130), 480 * 832)
    with pytest.raises(InputError, match="resolution: found '4k', expected one of 480p, 720p, 1080p"):
        model.generate(photograph(), None, resolution="4k")
    with pytest.raises(InputError, match="beside a size"):
        model.generate(photograph(), None, resolution="480p", size=(48, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"options": {"sparkle": 1}}, "ati knows no 'sparkle', expected one of adaptive, "),
        ({"guidance_scale_2": 2.0}, "has one expert"),
        ({"size": (50, 64)}, "expected multiples of 16; the nearest is 64x48"),
        ({"shift": 0.0}, "shift: found 0.0"),
        ({"solver": "magic"}, "solver: found 'magic', expected one of unipc, dpm\\+\\+, euler"),
    ],
)
def test_bad_arguments_are_named(model: WanModel, options, message):
    with pytest.raises(InputError, match=message):
        model.generate(photograph(), slide(), **options)


def test_sizes_and_frames_end_where_the_rotary_embedding_does(model: WanModel, one_expert):
    rope, channels = one_expert.transformer.rope, one_expert.transformer.config.in_channels
    assert one_expert.transformer.config.rope_max_seq_len == 64
    rope(torch.zeros(1, channels, 64, 2, 2))
    with pytest.raises(RuntimeError):
        rope(torch.zeros(1, channels, 65, 2, 2))
    assert model.legal_frames(253) == 253  # 64 latent frames
    with pytest.raises(InputError, match="num_frames: found 254, expected up to 253"):
        model.legal_frames(254)
    assert model.legal_size((32, 1024)) == (32, 1024)
    with pytest.raises(InputError, match="size: found 1040x32, expected sides up to 1024"):
        model.legal_size((32, 1040))


def test_noise_is_drawn_on_the_cpu_or_where_the_program_draws_it(model: WanModel, monkeypatch):
    devices: list[str] = []
    real = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": devices.append(str(device)) or real("cpu"))
    monkeypatch.setattr(type(model.pipeline), "_execution_device", property(lambda self: torch.device("cuda:1")))
    request = model._request(photograph(), slide(), Parameters(), None, None)
    for options, expected in (({}, "cpu"), ({"noise": "cpu"}, "cpu"), ({"noise": "device"}, "cuda:1")):
        model._generators(replace(request, options=options), [3, 4])
        assert devices[-2:] == [expected] * 2
    with pytest.raises(InputError, match="noise: found 'gpu', expected one of cpu, device"):
        model.generate(photograph(), slide(), options={"noise": "gpu"})


def test_noise_of_one_video_is_the_programs(model: WanModel, calls):
    """`torch.randn(16, T, h, w)` of one generator; here a batch axis is in front."""
    model.generate(photograph(), slide(), seed=11, num_inference_steps=1, options={"noise": "device"})
    latents = calls[0]["hidden_states"][0, :16]
    assert torch.equal(latents, torch.randn(latents.shape, generator=torch.Generator().manual_seed(11)))


def test_method_options_reach_the_method(model: WanModel, calls):
    model.generate(photograph(), slide(), num_inference_steps=2, options={"cfg_mode": "joint"})
    assert not torch.equal(calls[0]["hidden_states"], calls[1]["hidden_states"])
    calls.clear()
    model.generate(photograph(), slide(), num_inference_steps=2, options={"cfg_mode": "split"})
    assert len(calls) == 6


def test_a_prompt_is_encoded_once_for_all_seeds(model: WanModel, monkeypatch):
    counted = []
    encoder = model.pipeline.text_encoder
    forward = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda *a, **k: counted.append(1) or forward(*a, **k))
    for seed in range(3):
        model.generate(photograph(), slide(), prompt="a dog looks up", seed=seed, num_inference_steps=1, num_frames=5)
    assert len(counted) == 2  # the prompt and the negative prompt
