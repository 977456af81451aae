"""The tiny base, its codec with CogVideoX's interface, the clips it is trained on, and what it predicts."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXImageToVideoPipeline, CogVideoXPipeline

from motionloom.errors import InputError
from motionloom.models.nano.codec import CogVideoXBlockCodec
from motionloom.prepare.procedural import dense_flow, render, sample_scene, trace
from motionloom.train.tora.base import build_base, build_scheduler, fit_codec, save_base
from motionloom.train.tora.denoising import Clips, denoising_loss, image_latents, rotary, video_latents
from motionloom.train.tora.pool import procedural_clips, procedural_pool, procedural_scene

tiny = runpy.run_path(str(Path(__file__).parents[2] / "methods" / "tora" / "tiny.py"))
SIZE = (32, 32)


@pytest.fixture(scope="module")
def codec():
    return fit_codec(12, seed=0, clips=4, side=32)


def test_codec_is_the_best_linear_one_and_tempered(codec):
    video = render(sample_scene(0, range(4), num_frames=9, resolution=16), SIZE).transpose(1, 2) * 2 - 1
    posterior = codec.encode(video).latent_dist
    assert posterior.mode().shape == (4, 12, 3, 8, 8)
    assert torch.equal(posterior.mode(), posterior.sample())
    decoded = codec.decode(posterior.mode()).sample
    assert float((decoded - video).square().mean()) < 0.1 * float(video.var())
    # Coarse channels stay larger than fine ones, and all together are of size one.
    deviation = posterior.mode().std((0, 2, 3, 4))
    assert deviation[0] > 1.5 * deviation[-1]
    assert float(posterior.mode().square().mean()) == pytest.approx(1, rel=0.25)
    whole = CogVideoXBlockCodec(192)
    torch.testing.assert_close(whole.decode(whole.encode(video).latent_dist.mode()).sample, video, atol=1e-5, rtol=0)


def test_codec_refuses_what_is_no_whole_number_of_blocks(codec):
    with pytest.raises(InputError, match="8 frames of 32x30"):
        codec.encode(torch.zeros(1, 3, 8, 30, 32))
    with pytest.raises(InputError, match="latent_channels: found 193"):
        CogVideoXBlockCodec(193)


@pytest.mark.parametrize("image", [True, False])
def test_base_saved_as_a_folder_loads_and_generates(tmp_path, codec, image):
    from motionloom.models.checkpoints.layouts import find_layout
    from motionloom.models.pipelines import pipeline_of_folder

    model = build_base(12, side=32, num_frames=9, heads=1, layers=1, image=image).eval()
    save_base(tmp_path / "base", model, codec)
    index = json.loads((tmp_path / "base" / "model_index.json").read_text())
    assert index["vae"] == ["motionloom.models.nano.codec", "CogVideoXBlockCodec"]
    pipe = pipeline_of_folder(find_layout(tmp_path / "base"))
    assert type(pipe) is (CogVideoXImageToVideoPipeline if image else CogVideoXPipeline)
    assert type(pipe.scheduler) is CogVideoXDDIMScheduler
    for name, value in model.state_dict().items():
        assert torch.equal(pipe.transformer.state_dict()[name], value)
    assert torch.equal(pipe.vae.basis, codec.basis)
    pipe.set_progress_bar_config(disable=True)
    given = {"image": torch.rand(1, 3, 32, 32)} if image else {}
    video = pipe(
        prompt_embeds=torch.zeros(1, 1, 16), height=32, width=32, num_frames=9, num_inference_steps=2,
        guidance_scale=1.0, output_type="np", **given,
    ).frames  # fmt: skip
    assert video.shape == (1, 9, 32, 32, 3)


@pytest.mark.parametrize("kind", ["t2v", "sincos", "i2v", "learned", "1.5"])
def test_positions_are_those_of_the_stock_pipelines(kind):
    pipe = tiny["t2v" if kind in ("t2v", "sincos") else "i2v"](kind)
    frames = 4 if kind == "1.5" else 3
    found = rotary(pipe.transformer, torch.zeros(1, frames, 4, 4, 4))
    if kind == "sincos":
        assert found is None
        return
    cell = pipe.vae_scale_factor_spatial
    expected = pipe._prepare_rotary_positional_embeddings(4 * cell, 4 * cell, frames, torch.device("cpu"))
    assert found is not None
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("newer", [False, True])
def test_latents_are_scaled_as_the_stock_pipeline_does(newer):
    pipe = tiny["i2v"]("1.5" if newer else "i2v")
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    _, expected = pipe.prepare_latents(
        image, 1, 4, 9, 32, 32, torch.float32, torch.device("cpu"), torch.Generator().manual_seed(0)
    )
    vae = pipe.vae
    mode = vae.encode(image.unsqueeze(2)).latent_dist.mode()
    factor = 1 / vae.config.scaling_factor if newer else vae.config.scaling_factor
    torch.testing.assert_close(image_latents(vae, image), (mode * factor).transpose(1, 2))
    assert expected[:, :1].shape == image_latents(vae, image).shape
    video = image.unsqueeze(2)
    torch.testing.assert_close(video_latents(vae, video), (mode * vae.config.scaling_factor).transpose(1, 2))


def test_a_network_that_knows_has_no_loss(codec):
    """A stand-in for the transformer that is told the noise; also what it is given."""
    model = build_base(12, side=32, num_frames=9, heads=1, layers=1)
    clips = procedural_clips(codec, 0, range(3), SIZE, 9, moving=False)
    clips = Clips(clips.latents.float(), clips.image.float(), torch.ones(3, 1, 16))
    alphas = build_scheduler().alphas_cumprod.float()
    seen = {}

    class Knowing:
        config = model.config

        def __call__(self, hidden_states, encoder_hidden_states, timestep, **rest):
            seen.update(hidden=hidden_states, text=encoder_hidden_states, time=timestep)
            signal = alphas[timestep].view(-1, 1, 1, 1, 1)
            noisy = hidden_states[:, :, :12]
            noise = (noisy - signal.sqrt() * clips.latents) / (1 - signal).sqrt()
            return (signal.sqrt() * noise - (1 - signal).sqrt() * clips.latents,)

    loss = denoising_loss(
        Knowing(), codec, clips, alphas, torch.Generator().manual_seed(0), text_dropout=0.0, image_dropout=0.0
    )
    assert float(loss) == pytest.approx(0, abs=1e-6)
    known = seen["hidden"][:, :, 12:]
    assert (known[:, 1:] == 0).all()
    # The photograph, with a little noise on it.
    error = (known[:, 0] - image_latents(codec, clips.image)[:, 0]).abs().mean()
    assert 0 < float(error) < 0.5
    assert (seen["text"] == 1).all()
    denoising_loss(
        Knowing(), codec, clips, alphas, torch.Generator().manual_seed(0), text_dropout=1.0, image_dropout=1.0
    )
    assert (seen["hidden"][:, :, 12:] == 0).all()
    assert (seen["text"] == 0).all()


def test_clips_move_as_their_flow_and_tracks_say(codec):
    clips = procedural_clips(codec, 3, range(2), SIZE, 5)
    assert clips.latents.shape == (2, 2, 12, 8, 8)
    assert clips.flow.shape == (2, 4, 2, 32, 32)
    scene = sample_scene(3, range(2), num_frames=5, resolution=16)
    centre = torch.tensor([[[10.5, 20.5]]]).expand(2, -1, -1)
    points, _ = trace(scene, centre, SIZE)
    moved = points[:, 1, 0] - points[:, 0, 0]
    torch.testing.assert_close(clips.flow[:, 0, :, 20, 10].float(), moved, atol=2e-2, rtol=1e-2)
    again = [procedural_pool(codec, SIZE, 5, 3, moving=False, capacity=32).batch(4, 3) for _ in range(2)]
    assert torch.equal(again[0].latents, again[1].latents)


@pytest.mark.slow
def test_worlds():
    free, grounded, sliding = (
        procedural_scene(3, range(12), SIZE, 5, world=world) for world in ("free", "grounded", "sliding")
    )
    in_front = [
        dense_flow(replace(scene, present=_ground_alone(scene)), SIZE).abs().amax() for scene in (free, grounded)
    ]
    assert in_front[0] > 0.5  # the camera moves
    assert in_front[1] < 1e-4
    # One thing, which slides: at any time what moves does so by one step; in many clips by pixels, in some not at all.
    assert int(sliding.present.sum(1).max()) == 2
    flow = dense_flow(sliding, SIZE)
    speed = flow.norm(dim=2)
    fastest = speed.flatten(2).amax(2)
    moves = speed > 0.05
    assert (torch.where(moves, fastest[..., None, None] - speed, 0.0) < 1e-3).all()
    assert (fastest.sum(1) > 2).float().mean() > 0.4


def _ground_alone(scene):
    return torch.arange(scene.present.shape[1]).expand_as(scene.present) < 1
