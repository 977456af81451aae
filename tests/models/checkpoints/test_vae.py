"""The codec from every naming: values, and every key of the published files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from safetensors.torch import save_file

from motionloom.models.checkpoints.configs import published_config
from motionloom.models.checkpoints.vae import VaeNames, convert_vae, is_vae, latent_channels, load_vae, vae_config


def recode(vae: Any, side: int = 16) -> torch.Tensor:
    video = torch.randn(1, 3, 5, side, side, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        return vae.decode(vae.encode(video).latent_dist.mode()).sample


@pytest.mark.parametrize(("suffix", "prefix"), [(".pth", ""), (".safetensors", ""), (".safetensors", "vae.")])
def test_original_file_gives_the_same_video(tiny_parts, wan, tmp_path: Path, suffix: str, prefix: str):
    tensors = {prefix + key: value for key, value in tiny_parts.original_vae.items()}
    vae = load_vae(wan.save_weights(tensors, tmp_path / f"Wan2.1_VAE{suffix}"))
    assert torch.equal(recode(vae), recode(tiny_parts.vae))
    for name in ("base_dim", "z_dim", "dim_mult", "num_res_blocks", "temperal_downsample", "latents_mean"):
        assert vae.config[name] == tiny_parts.vae.config[name], name


@pytest.fixture(scope="module")
def wan22() -> AutoencoderKLWan:
    """The codec of Wan 2.2 TI2V-5B, narrow."""
    torch.manual_seed(5)
    config = {**published_config("wan2.2-ti2v-5b", "vae"), "base_dim": 8, "decoder_base_dim": 4, "num_res_blocks": 1}
    return AutoencoderKLWan.from_config(config).eval()


def original_wan22(vae: AutoencoderKLWan) -> dict[str, torch.Tensor]:
    """The names of Wan2.2_VAE.pth."""
    tensors = {}
    for name, tensor in vae.state_dict().items():
        name = re.sub(r"^encoder\.conv_in", "encoder.conv1", re.sub(r"^decoder\.conv_in", "decoder.conv1", name))
        name = name.replace("norm_out", "head.0").replace("conv_out", "head.2")
        name = re.sub("^quant_conv", "conv1", re.sub("^post_quant_conv", "conv2", name))
        name = re.sub(r"down_blocks\.(\d)\.downsampler\.", r"downsamples.\1.downsamples.1.", name)
        name = re.sub(r"up_blocks\.(\d)\.upsampler\.", r"upsamples.\1.upsamples.2.", name)
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"downsamples.\1.downsamples", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", r"upsamples.\1.upsamples", name)
        for new, old in (("resnets.0", "0"), ("attentions.0", "1"), ("resnets.1", "2")):
            name = name.replace(f"mid_block.{new}", f"middle.{old}")
        if re.search(r"middle\.[02]|samples\.\d\.\w+samples", name):
            for new, old in (("norm1", 0), ("conv1", 2), ("norm2", 3), ("conv2", 6)):
                name = re.sub(rf"(?<!encoder)(?<!decoder)\.{new}\.", f".residual.{old}.", name)
        tensors[name.replace("conv_shortcut", "shortcut")] = tensor.clone()
    return tensors


def test_codec_of_wan22_from_its_original_file_and_from_diffusers(wan22, wan, tmp_path: Path):
    tensors = original_wan22(wan22)
    for key in (
        "encoder.downsamples.1.downsamples.0.residual.2.weight",
        "decoder.upsamples.0.upsamples.2.time_conv.bias",
    ):
        assert key in tensors
    path = wan.save_weights(tensors, tmp_path / "Wan2.2_VAE.pth")
    wan22.save_pretrained(tmp_path / "vae")
    for vae in (load_vae(path), load_vae(tmp_path / "vae", config=dict(wan22.config))):
        assert torch.equal(recode(vae, 32), recode(wan22, 32))
        assert vae.config.latents_std == published_config("wan2.2-ti2v-5b", "vae")["latents_std"]
        assert vae.config.scale_factor_spatial == 16


def test_configuration_of_the_full_codec_of_wan22():
    published = published_config("wan2.2-ti2v-5b", "vae")
    with torch.device("meta"):
        vae = AutoencoderKLWan.from_config(published)
    shapes = {key: tuple(value.shape) for key, value in vae.state_dict().items()}
    assert vae_config(shapes, "vae") == {key: value for key, value in published.items() if key != "_class_name"}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_whatever_is_stored(tiny_parts, wan, tmp_path: Path, dtype: torch.dtype):
    tensors = {key: value.to(dtype) for key, value in tiny_parts.original_vae.items()}
    vae = load_vae(wan.save_weights(tensors, tmp_path / "vae.safetensors"))
    assert {parameter.dtype for parameter in vae.parameters()} == {torch.float32}
    assert torch.equal(vae.post_quant_conv.weight, tensors["conv2.weight"].float())


@pytest.mark.parametrize("manifest", ["wan21.vae.original", "wan21.vae.diffusers"])
def test_every_published_key_maps(wan, manifest: str):
    shapes = wan.manifest(manifest)
    assert len(shapes) == 194
    assert is_vae(shapes)
    assert latent_channels(shapes) == 16
    meta = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    converted = dict(convert_vae(meta.items(), shapes))
    assert {key: tuple(value.shape) for key, value in converted.items()} == wan.manifest("wan21.vae.diffusers")
    with torch.device("meta"):
        vae = AutoencoderKLWan(**vae_config(shapes, manifest))
    vae.load_state_dict(converted, strict=True, assign=True)
    assert vae_config(shapes, manifest)["dim_mult"] == [1, 2, 4, 4]
    assert vae_config(shapes, manifest)["temperal_downsample"] == [False, True, True]


def test_names_agree_with_the_converter_of_diffusers(wan):
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    keys = wan.manifest("wan21.vae.original")
    rename = VaeNames(keys)
    theirs = convert_wan_vae_to_diffusers({key: key for key in keys})
    assert {rename(key): key for key in keys} == theirs


def test_misfits_are_refused(tiny_parts, tmp_path: Path, refused):
    tensors = {key: value.clone() for key, value in tiny_parts.original_vae.items()}
    tensors["decoder.upsamples.3.residual.9.weight"] = tensors.pop("decoder.upsamples.3.residual.2.weight")
    save_file(tensors, tmp_path / "odd.safetensors")
    message = refused(load_vae, tmp_path / "odd.safetensors")
    assert "1 missing (decoder.up_blocks.1.resnets.0.conv1.weight)" in message
    assert "1 unexpected" in message
    assert "no video codec of Wan" in refused(vae_config, {"decoder.conv_in.weight": (512, 4, 3, 3)}, "sd.safetensors")
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    message = refused(vae_config, {**shapes, "conv2.weight": (32, 32, 1, 1, 1)}, "other.pth")
    assert "32 latent channels, expected 16" in message
