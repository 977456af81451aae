"""A look at a clip while it is sampled: it shows the clip, costs nothing unasked, and changes nothing."""

import types

import numpy as np
import pytest
import torch

import motionloom as ml
from motionloom.models import preview_frames
from motionloom.models.model import Request
from motionloom.models.preview_frames import PreviewFrames, previewing
from motionloom.tracks.tracks import Tracks


@pytest.fixture(scope="module")
def nano():
    return ml.load("nano", device="cpu")


@pytest.fixture(autouse=True)
def every_step(monkeypatch):
    monkeypatch.setattr(preview_frames, "SECONDS_BETWEEN", 0.0)


def photograph(size=(64, 64)):
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    return cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)


def still(frames=9):
    return Tracks(np.full((frames, 1, 2), 32, np.float32), np.ones((frames, 1), np.bool_), (64, 64), 8.0)


def test_the_clip_is_the_same_bit_for_bit_and_the_frames_become_it(nano):
    options = {"size": (64, 64), "num_frames": 9, "num_inference_steps": 4, "seed": 3}
    frames = []
    plain = nano.generate(photograph(), still(), **options)
    looked = nano.generate(photograph(), still(), **options, on_preview=frames.append)
    assert np.array_equal(plain.frames, looked.frames)
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 4
    assert all(frame.dtype == np.uint8 for frame in frames)
    assert np.abs(frames[-1].astype(int) - plain.frames[2]).max() <= 1  # of the middle one of three latent frames
    # The first look is a picture already, not noise.
    assert np.abs(frames[0].astype(int) - plain.frames[2]).mean() < 40


def test_a_pipeline_is_left_as_found_and_untouched_when_nobody_looks(nano):
    pipeline = nano.pipeline
    assert "prepare_latents" not in vars(pipeline)
    with pytest.raises(RuntimeError, match="enough"):
        nano.generate(photograph(), still(), size=(64, 64), num_frames=5, num_inference_steps=2, on_preview=enough)
    assert "prepare_latents" not in vars(pipeline)
    with previewing(pipeline, make_request(None)) as frames:
        assert frames is None
        assert "prepare_latents" not in vars(pipeline)


def test_what_others_replaced_stays_replaced(nano):
    pipeline = nano.pipeline

    def others(*args, **kwargs):
        return type(pipeline).prepare_latents(pipeline, *args, **kwargs)

    pipeline.prepare_latents = others
    frames = []
    nano.generate(photograph(), still(), size=(64, 64), num_frames=5, num_inference_steps=2, on_preview=frames.append)
    assert len(frames) == 2
    assert vars(pipeline).pop("prepare_latents") is others
    assert "step" not in vars(pipeline.scheduler)


def enough(frame):
    raise RuntimeError("enough")


def test_looks_are_a_second_apart(nano, monkeypatch):
    clock = iter(np.arange(0, 100, 0.4))
    monkeypatch.setattr(preview_frames, "SECONDS_BETWEEN", 1.0)
    monkeypatch.setattr(preview_frames.time, "monotonic", lambda: next(clock))
    frames = []
    nano.generate(photograph(), still(), size=(64, 64), num_frames=5, num_inference_steps=6, on_preview=frames.append)
    assert len(frames) == 2  # at 0 and 1.2 of 2.0 seconds


def test_several_videos_show_the_first(nano):
    frames = []
    options = {"size": (64, 64), "num_frames": 5, "num_inference_steps": 2, "seed": 3}
    nano.generate_videos(photograph(), still(5), num_videos_per_prompt=2, on_preview=frames.append, **options)
    alone = []
    nano.generate(photograph(), still(5), on_preview=alone.append, **options)
    assert np.abs(frames[-1].astype(int) - alone[-1].astype(int)).max() <= 1


def test_warp_has_nothing_to_show():
    frames = []
    ml.load("warp").generate(photograph(), still(), on_preview=frames.append)
    assert frames == []


# ------------------------------------------------------------------------------------- latents without a cheap decoder
def make_request(on_preview, image=None):
    return Request(
        image=photograph((48, 80)) if image is None else image,
        tracks=still(),
        layers=[],
        size=(48, 80),
        num_frames=9,
        seed=0,
        strength=1.0,
        window=(0.0, 1.0),
        prompt=None,
        negative_prompt=None,
        num_inference_steps=None,
        guidance_scale=None,
        last_image=None,
        densify=None,
        on_progress=None,
        on_preview=on_preview,
    )


def make_pipeline(scheduler, kind="WanTransformer3DModel", **config):
    transformer, vae = type(kind, (), {})(), types.SimpleNamespace(config=types.SimpleNamespace(**config))
    return types.SimpleNamespace(transformer=transformer, scheduler=scheduler, vae=vae, num_timesteps=4)


def latents_of(pictures, channels=16):
    """A code in which colours are mixed into all channels: latents [1, C, T, h, w] of pictures [T, h, w, 3]."""
    mixing = np.random.default_rng(1).normal(size=(3, channels))
    cells = (pictures / 255) @ mixing - mixing.mean(0)
    return torch.from_numpy(cells.transpose(3, 0, 1, 2)[None]).float()


def small(image):
    import cv2

    return cv2.resize(image, (10, 6), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("kind", "config", "scale"),
    [
        ("WanTransformer3DModel", {}, 1),
        ("CogVideoXTransformer3DModel", {"invert_scale_latents": False}, 1),
        ("CogVideoXTransformer3DModel", {"invert_scale_latents": True, "scaling_factor": 0.7}, 1 / 0.49),  # 1.5
    ],
)
def test_colours_are_found_from_the_photograph_alone(kind, config, scale):
    """The middle frame shows other colours than the photograph; the map fitted to that gives them all the same."""
    request = make_request((found := []).append)
    other = 255 - small(request.image)[::-1]
    video = np.stack([small(request.image), other, other])
    latents = latents_of(video)
    condition = torch.cat([torch.ones(1, 4, 3, 6, 10), latents], dim=1)
    if kind.startswith("CogVideoX"):
        latents, condition = latents.transpose(1, 2), latents.transpose(1, 2) * scale
    frames = PreviewFrames(make_pipeline(types.SimpleNamespace(config={}), kind, **config), request)
    frames.start((latents, condition))
    frames.after_step(0, latents)
    assert found[0].shape == (6, 10, 3)
    assert np.abs(found[0].astype(int) - other).max() <= 3


def test_without_the_photographs_latents_nothing_is_shown():
    found = []
    frames = PreviewFrames(make_pipeline(types.SimpleNamespace(config={})), make_request(found.append))
    latents = latents_of(np.zeros((3, 6, 10, 3)))
    for outputs in (latents, (latents,), (latents, None), (latents, latents[:, :3])):
        frames.start(outputs)
        frames.after_step(0, latents)
    assert found == []


def test_a_grey_photograph_and_broken_latents_do_no_harm():
    found = []
    request = make_request(found.append, np.full((48, 80, 3), 128, np.uint8))
    frames = PreviewFrames(make_pipeline(types.SimpleNamespace(config={})), request)
    latents = latents_of(np.full((3, 6, 10, 3), 128.0))
    frames.start((latents, latents))
    frames.after_step(0, latents)
    frames.after_step(1, latents * float("nan"))
    assert len(found) == 1
    assert np.abs(found[0].astype(int) - 128).max() <= 1


@pytest.mark.parametrize("solver", ["unipc", "dpm++", "euler"])
def test_the_clip_to_come_is_shown_not_the_noise_of_now(solver):
    """A model that knows the answer: whatever the solver, the first look shows it."""
    from motionloom.methods.wan import published_scheduler

    scheduler = published_scheduler(solver, 3.0)
    scheduler.set_timesteps(4)
    request = make_request((found := []).append)
    other = small(request.image)[:, ::-1]
    clean = latents_of(np.stack([small(request.image), other, other]))
    frames = PreviewFrames(make_pipeline(scheduler), request)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    latents = noise
    frames.start((latents, clean))
    for step, timestep in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[step])
        latents = scheduler.step((latents - clean) / sigma, timestep, latents, return_dict=False)[0]
        frames.after_step(step, latents)
    assert len(found) == 4
    for frame in found:
        assert np.abs(frame.astype(int) - other).max() <= 3


def test_a_run_goes_on_where_no_frame_can_be_made(nano, monkeypatch, caplog):
    tries = []

    def broken(self, step, latents):
        tries.append(step)
        raise IndexError("a scheduler that nobody foresaw")

    monkeypatch.setattr(PreviewFrames, "_clean", broken)
    options = {"size": (64, 64), "num_frames": 5, "num_inference_steps": 3, "seed": 3}
    looked = nano.generate(photograph(), still(), **options, on_preview=lambda frame: pytest.fail("no frame"))
    assert np.array_equal(looked.frames, nano.generate(photograph(), still(), **options).frames)
    assert tries == [0]
    assert "no frames of this run can be shown" in caplog.text
