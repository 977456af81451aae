"""The codec from every naming: values, and every key of the published files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from safetensors.torch import save_file

from motionloom.models.checkpoints.vae import VaeNames, convert_vae, is_vae, latent_channels, load_vae, vae_config


def recode(vae) -> torch.Tensor:
    video = torch.randn(1, 3, 5, 16, 16, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        return vae.decode(vae.encode(video).latent_dist.mode()).sample


@pytest.mark.parametrize(("suffix", "prefix"), [(".pth", ""), (".safetensors", ""), (".safetensors", "vae.")])
def test_original_file_gives_the_same_video(tiny_parts, wan, tmp_path: Path, suffix: str, prefix: str):
    tensors = {prefix + key: value for key, value in tiny_parts.original_vae.items()}
    vae = load_vae(wan.save_weights(tensors, tmp_path / f"Wan2.1_VAE{suffix}"))
    assert torch.equal(recode(vae), recode(tiny_parts.vae))
    # "block_out_channels" and the like do not exist here: all that shapes the model is in these.
    for name in ("base_dim", "z_dim", "dim_mult", "num_res_blocks", "temperal_downsample", "latents_mean"):
        assert vae.config[name] == tiny_parts.vae.config[name], name


def test_folder_of_diffusers_with_48_channels(tmp_path: Path):
    torch.manual_seed(5)
    stock = AutoencoderKLWan(
        base_dim=8, decoder_base_dim=8, z_dim=48, dim_mult=[1, 1, 1, 1], num_res_blocks=1, is_residual=True,
        temperal_downsample=[False, True, True], in_channels=12, out_channels=12, patch_size=2,
        scale_factor_spatial=16, latents_mean=[0.1] * 48, latents_std=[2.0] * 48,
    ).eval()  # fmt: skip
    stock.save_pretrained(tmp_path)
    vae = load_vae(tmp_path / "diffusion_pytorch_model.safetensors", config=dict(stock.config))
    video = torch.randn(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        expected = stock.decode(stock.encode(video).latent_dist.mode()).sample
        found = vae.decode(vae.encode(video).latent_dist.mode()).sample
    assert torch.equal(found, expected)
    assert vae.config.latents_std == [2.0] * 48


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
    message = refused(vae_config, {"conv2.weight": (48, 48, 1, 1, 1), "encoder.conv1.weight": (1,)}, "Wan2.2_VAE.pth")
    assert "48 latent channels" in message
    assert "Wan-AI/Wan2.2-TI2V-5B-Diffusers" in message
