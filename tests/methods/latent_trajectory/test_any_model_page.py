"""The worked example of ``docs/any-model.md``, as it stands there, on a tiny Stable Video Diffusion."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from motionloom.tracks.tracks import Tracks

PAGE = Path(__file__).parents[3] / "docs" / "any-model.md"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """The names that the page's example defines."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (code,) = [block for block in blocks if "class MovedSVD" in block]
    assert len(code.splitlines()) < 40
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


@pytest.fixture(scope="module")
def svd():
    from diffusers import (
        AutoencoderKLTemporalDecoder,
        EulerDiscreteScheduler,
        StableVideoDiffusionPipeline,
        UNetSpatioTemporalConditionModel,
    )
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        cross_attention_dim=16,
        num_attention_heads=4,
        projection_class_embeddings_input_dim=96,
        addition_time_embed_dim=32,
    )
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        layers_per_block=1,
    )
    clip = CLIPVisionConfig(
        hidden_size=16,
        projection_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=224,
        intermediate_size=16,
        patch_size=56,
    )
    pipe = StableVideoDiffusionPipeline(
        vae=vae.eval(),
        image_encoder=CLIPVisionModelWithProjection(clip).eval(),
        unet=unet.eval(),
        scheduler=EulerDiscreteScheduler(
            prediction_type="v_prediction", timestep_type="continuous", use_karras_sigmas=True, sigma_max=700.0
        ),
        feature_extractor=CLIPImageProcessor(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipe: Any, **arguments: Any) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    return pipe(
        Image.fromarray(pixels),
        height=32,
        width=48,
        num_frames=3,
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        noise_aug_strength=0.0,
        **arguments,
    ).frames


@pytest.mark.slow
def test_tracks_into_another_model(svd, example):
    pipe = example["TracksIntoSVD"](**svd.components)
    points = np.array([[[4.0, 4.0]], [[20.0, 12.0]], [[36.0, 20.0]]], np.float32)
    tracks = Tracks(points, np.ones((3, 1), np.bool_), (32, 48), 7.0)
    base = run(svd)
    assert torch.equal(run(pipe, tracks=None), base)
    assert torch.equal(run(pipe, tracks=tracks, strength=0.0), base)
    seen: list[torch.Tensor] = []
    forward = svd.unet.forward

    def spy(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(sample.clone())
        return forward(sample, *args, **kwargs)

    svd.unet.forward = spy
    try:
        guided = run(pipe, tracks=tracks)
        plain = run(svd)
    finally:
        del svd.unet.forward
    assert torch.equal(plain, base)
    assert not torch.equal(guided, base)
    image, before = seen[0][1, :, 4:], seen[4][1, :, 4:]  # the conditional half
    assert torch.equal(image[2, :, 2, 4], before[0, :, 0, 0])
    assert torch.equal(image[1, :, 1, 2], before[0, :, 0, 0])
    assert (image != before).any(1).nonzero().tolist() == [[1, 1, 2], [2, 2, 4]]
    assert not seen[0][0, :, 4:].any()  # the unconditional half is empty, and stays so


def test_another_model_moved_without_training(svd, example):
    pipe = example["MovedSVD"](**svd.components)
    frames = np.random.default_rng(1).integers(0, 255, (3, 32, 48, 3), dtype=np.uint8)
    mask = np.zeros((3, 32, 48), np.bool_)
    mask[:, :, :24] = True
    base = run(svd)
    assert torch.equal(run(pipe, motion_frames=frames, motion_mask=mask, strength=0.0), base)
    held = run(pipe, motion_frames=frames, motion_mask=mask, t_weak=0.25, t_strong=1.0)
    assert pipe.num_timesteps == 3
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    clean = pipe.encode_motion(video)
    assert torch.equal(held[..., :3], clean[..., :3])
    assert not torch.allclose(held[..., 3:], clean[..., 3:], atol=0.01)
    assert torch.equal(run(svd), base)


@pytest.mark.slow
def test_the_page_says_how_to_use_them(svd, example, monkeypatch, tmp_path):
    from motionloom.examples_data import example as files
    from motionloom.media import Clip

    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (code,) = [block for block in blocks if "MovedSVD(**" in block]
    assert "(576, 1024), 14, 7.0" in code
    code = code.replace("(576, 1024), 14, 7.0", "(32, 48), 3, 7.0")
    image, motion = files("cat")
    (tmp_path / "cat.jpg").write_bytes(image.read_bytes())
    (tmp_path / "cat.motion.json").write_bytes(motion.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {**example, "folder": "svd"}
    monkeypatch.setattr(names["StableVideoDiffusionPipeline"], "from_pretrained", lambda folder: svd)
    exec(compile(code, str(PAGE), "exec"), names)
    clip = Clip.load(tmp_path / "cat.mp4")
    assert (clip.num_frames, clip.size, clip.fps) == (3, (32, 48), 7.0)
    assert names["moved"].num_timesteps == 17  # of 25, from 16/50 on
    assert names["video"].shape == (3, 32, 48, 3)
    assert names["shown"].num_timesteps == 25
