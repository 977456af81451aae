"""Tiny models in every layout, end to end: the same weights give the same frames, and what is wrong is named."""

from __future__ import annotations

import dataclasses
import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from motionloom.errors import InputError
from motionloom.models.checkpoints.layouts import find_layout
from motionloom.models.digest import WHOLE, digest_of_file
from motionloom.models.loading import load

WIDE = {"num_attention_heads": 1, "attention_head_dim": 128, "ffn_dim": 64, "num_layers": 1, "rope_max_seq_len": 64}
CLIP = {"image_dim": 160, "added_kv_proj_dim": 128}
PICTURE = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "fetched"))


@pytest.fixture(scope="session")
def model(wan) -> Any:
    return wan.tiny("wan2.1-i2v-14b", **WIDE, **CLIP)


@pytest.fixture(scope="session")
def experts(wan) -> tuple[Any, Any]:
    return wan.tiny("wan2.2-i2v-a14b", seed=1, **WIDE), wan.tiny("wan2.2-i2v-a14b", seed=2, **WIDE)


@pytest.fixture(scope="session")
def write(wan, tiny_parts) -> SimpleNamespace:
    """Writers of the layouts."""

    def companions(folder: Path, *, clip: bool = True, tokenizer: bool = True) -> Path:
        """The files beside the transformer of an original repository."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(tiny_parts.original_text_encoder, folder / "models_t5_umt5-xxl-enc-bf16.pth")
        torch.save(tiny_parts.original_vae, folder / "Wan2.1_VAE.pth")
        if clip:
            name = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
            torch.save(tiny_parts.original_image_encoder, folder / name)
        if tokenizer:
            tiny_parts.tokenizer.save_pretrained(folder / "google" / "umt5-xxl")
        return folder

    def diffusers(folder: Path, transformer: Any, transformer_2: Any = None) -> Path:
        from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline
        from transformers import CLIPImageProcessorPil

        clip = transformer.config.image_dim is not None
        WanImageToVideoPipeline(
            tokenizer=tiny_parts.tokenizer,
            text_encoder=tiny_parts.text_encoder,
            vae=tiny_parts.vae,
            scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
            image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=28) if clip else None,
            image_encoder=tiny_parts.image_encoder if clip else None,
            transformer=transformer,
            transformer_2=transformer_2,
            boundary_ratio=0.9 if transformer_2 is not None else None,
        ).save_pretrained(folder)
        return folder

    def comfyui(
        root: Path, transformers: dict[str, Any], *, dtype: torch.dtype = torch.float32, words: bytes | None = None
    ) -> Path:
        for name in ("diffusion_models/wan", "text_encoders", "vae", "clip_vision", "loras"):
            (root / name).mkdir(parents=True)
        for name, transformer in transformers.items():
            tensors = wan.weights(transformer, prefix="model.diffusion_model.", dtype=dtype)
            save_file(tensors, root / "diffusion_models" / "wan" / name)
        text = {key: value for key, value in tiny_parts.text_encoder.state_dict().items() if "embed_tokens" not in key}
        if words is not None:
            text["spiece_model"] = torch.frombuffer(bytearray(words), dtype=torch.uint8)
        save_file(text, root / "text_encoders" / "umt5.safetensors")
        save_file(tiny_parts.original_vae, root / "vae" / "wan_2.1_vae.safetensors")
        clip = {f"vision_model.{key}": value for key, value in tiny_parts.image_encoder.state_dict().items()}
        save_file(clip, root / "clip_vision" / "clip_vision_h.safetensors")
        return root

    return SimpleNamespace(companions=companions, diffusers=diffusers, comfyui=comfyui)


def run(name: str | Path, **options: Any) -> np.ndarray:
    """Frames of two steps on the CPU."""
    loaded = load(name, device="cpu", **options)
    clip = loaded.generate(
        PICTURE, None, prompt="a cat looks up", seed=3, size=(32, 48), num_frames=5, num_inference_steps=2
    )
    return clip.frames


@pytest.fixture(scope="session")
def expected(write, model, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The frames of the diffusers folder, which stock diffusers writes."""
    folder = write.diffusers(tmp_path_factory.mktemp("stock") / "Wan2.1-I2V", model)
    frames = run(folder)
    assert frames.shape == (5, 32, 48, 3)
    return SimpleNamespace(folder=folder, frames=frames)


@pytest.fixture(scope="session")
def expected_a14b(write, experts, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = write.diffusers(tmp_path_factory.mktemp("stock") / "Wan2.2-A14B", *experts)
    return SimpleNamespace(folder=folder, frames=run(folder))


@pytest.mark.slow
def test_original_folder_with_torch_files(expected, write, wan, model, tmp_path: Path):
    folder = write.companions(wan.save_original(model, tmp_path / "Wan2.1-I2V-14B-480P"))
    loaded = load(folder, device="cpu")
    assert loaded.card.architecture == "wan2.1-i2v-14b"
    assert loaded.card.num_frames == 81
    assert np.array_equal(run(folder), expected.frames)


@pytest.mark.slow
def test_transformer_alone_and_the_base_it_was_trained_from(expected, write, wan, model, tmp_path: Path):
    tuned = wan.save_original(model, tmp_path / "Wan2.1-tuned")
    assert np.array_equal(run(tuned, base=expected.folder), expected.frames)
    original = write.companions(tmp_path / "base")
    loaded = load(tuned.rename(tmp_path / "Wan2.1-ATI-14B-480P"), base=str(original), device="cpu")
    assert (loaded.method, loaded.card.sampling.shift) == ("ati", 5.0)  # what the weights do not tell, the name does
    assert loaded.loaded_with["base"] == (str(original),)


@pytest.mark.slow
def test_transformer_folder_of_diffusers_and_bases_in_pieces(expected, write, model, tmp_path: Path, tiny_parts):
    model.save_pretrained(tmp_path / "transformer")
    pieces = write.companions(tmp_path / "pieces", tokenizer=False)
    tiny_parts.tokenizer.save_pretrained(tmp_path / "words")
    frames = run(tmp_path / "transformer", base=[pieces / "Wan2.1_VAE.pth", tmp_path / "words", pieces])
    assert np.array_equal(frames, expected.frames)


@pytest.mark.slow
def test_another_transformer_in_a_whole_model(expected, wan, model, tmp_path: Path):
    other = wan.tiny("wan2.1-i2v-14b", seed=9, **WIDE, **CLIP)
    path = wan.save_weights(wan.weights(model), tmp_path / "fine.safetensors")
    folder = Path(shutil.copytree(expected.folder, tmp_path / "whole"))
    other.save_pretrained(folder / "transformer")
    assert not np.array_equal(run(folder), expected.frames)
    assert np.array_equal(run(folder, transformer=path), expected.frames)


@pytest.mark.slow
def test_comfyui_files_with_a_tokenizer_from_elsewhere(expected, write, model, tmp_path: Path, tiny_parts):
    root = write.comfyui(tmp_path / "ComfyUI" / "models", {"wan2.1_i2v_480p.safetensors": model})
    tiny_parts.tokenizer.save_pretrained(tmp_path / "tokenizer")
    assert np.array_equal(run(root, base=tmp_path / "tokenizer"), expected.frames)
    assert np.array_equal(run(root.parent, base=tmp_path / "tokenizer"), expected.frames)
    tiny_parts.tokenizer.save_pretrained(root / "text_encoders" / "umt5-xxl")
    file = root / "diffusion_models" / "wan" / "wan2.1_i2v_480p.safetensors"
    assert np.array_equal(run(file, base=root), expected.frames)


@pytest.mark.slow
def test_comfyui_files_with_the_tokenizer_in_the_text_encoder(expected, write, model, tmp_path: Path, tiny_parts):
    root = write.comfyui(tmp_path / "models", {"wan.safetensors": model}, words=tiny_parts.spiece_model)
    assert np.array_equal(run(root), expected.frames)


@pytest.mark.slow
def test_what_lies_around_a_transformer_is_found(expected, write, wan, model, tmp_path: Path, tiny_parts):
    root = write.comfyui(tmp_path / "models", {"wan.safetensors": model}, words=tiny_parts.spiece_model)
    assert np.array_equal(run(root / "diffusion_models" / "wan" / "wan.safetensors"), expected.frames)
    assert np.array_equal(run(expected.folder / "transformer"), expected.frames)
    folder = write.companions(tmp_path / "flat")
    file = wan.save_weights(wan.weights(model), folder / "wan.safetensors")
    assert np.array_equal(run(file), expected.frames)
    assert np.array_equal(run(folder), expected.frames)


@pytest.mark.slow
def test_scaled_float8_file_and_a_base(expected, wan, model, tmp_path: Path):
    path = tmp_path / "Wan2_1-I2V-ATI-14B_fp8_scaled.safetensors"
    meant = wan.save_float8(model, path, style="scaled", rest=torch.float32)
    whole = wan.save_weights(wan.weights(meant), tmp_path / "meant" / "ATI.safetensors")
    reference = run(whole, base=expected.folder).astype(int)
    kept = load(path, base=expected.folder, device="cpu")
    weight = kept.pipeline.transformer.blocks[0].attn1.to_q.weight
    assert weight.dtype == torch.float8_e4m3fn
    assert np.abs(run(path, base=expected.folder).astype(int) - reference).max() <= 1
    widened = load(path, base=expected.folder, device="cpu", memory="max-speed")
    assert widened.pipeline.transformer.blocks[0].attn1.to_q.weight.dtype == torch.float32
    assert np.abs(expected.frames.astype(int) - reference).max() > 0
    assert kept.method == "ati"


def test_gguf_file_and_a_base(expected, wan, model, tmp_path: Path):
    pytest.importorskip("gguf")
    path = wan.save_gguf(model, tmp_path / "wan-Q8_0.gguf")
    difference = np.abs(run(path, base=expected.folder).astype(int) - expected.frames)
    assert difference.mean() < 3


@pytest.mark.slow
def test_two_experts(expected_a14b, write, wan, experts, tmp_path: Path):
    high, low = experts
    folder = tmp_path / "Wan2.2-I2V-A14B"
    wan.save_original(high, folder / "high_noise_model")
    wan.save_original(low, folder / "low_noise_model")
    write.companions(folder, clip=False)
    loaded = load(folder, device="cpu")
    assert loaded.pipeline.config.boundary_ratio == 0.9
    assert loaded.card.architecture == "wan2.2-i2v-a14b"
    assert np.array_equal(run(folder), expected_a14b.frames)
    assert np.array_equal(run(folder / "low_noise_model"), expected_a14b.frames)
    swapped = run(folder, transformer=folder / "low_noise_model", transformer_2=folder / "low_noise_model")
    assert swapped.shape == expected_a14b.frames.shape


@pytest.mark.slow
def test_two_experts_in_files(expected_a14b, write, wan, experts, tmp_path: Path, tiny_parts):
    names = ("wan2.2_i2v_high_noise_14B.safetensors", "wan2.2_i2v_low_noise_14B.safetensors")
    root = write.comfyui(tmp_path / "models", dict(zip(names, experts, strict=True)))
    tiny_parts.tokenizer.save_pretrained(root / "tokenizer")
    folder = root / "diffusion_models" / "wan"
    assert np.array_equal(run(root), expected_a14b.frames)
    assert np.array_equal(run(folder / names[0], base=root), expected_a14b.frames)
    shutil.copy(folder / names[1], tmp_path / "second.safetensors")
    (folder / names[1]).unlink()
    frames = run(folder / names[0], base=root, transformer_2=tmp_path / "second.safetensors")
    assert np.array_equal(frames, expected_a14b.frames)


def test_wan22_5b_in_the_folder_of_diffusers(wan, tiny_parts, tmp_path: Path):
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline

    torch.manual_seed(5)
    vae = AutoencoderKLWan(
        base_dim=8, decoder_base_dim=8, z_dim=48, dim_mult=[1, 1, 1, 1], num_res_blocks=1, is_residual=True,
        temperal_downsample=[False, True, True], in_channels=12, out_channels=12, patch_size=2,
        scale_factor_spatial=16, latents_mean=[0.0] * 48, latents_std=[1.0] * 48,
    ).eval()  # fmt: skip
    WanImageToVideoPipeline(
        tokenizer=tiny_parts.tokenizer,
        text_encoder=tiny_parts.text_encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0),
        transformer=wan.tiny("wan2.2-ti2v-5b", **WIDE),
        expand_timesteps=True,
    ).save_pretrained(tmp_path / "Wan2.2-TI2V-5B")
    loaded = load(tmp_path / "Wan2.2-TI2V-5B", device="cpu")
    assert loaded.card.architecture == "wan2.2-ti2v-5b"
    assert loaded.method == "time_to_move"
    assert loaded.pipeline.config.expand_timesteps
    clip = loaded.generate(
        PICTURE, None, prompt="a cat", size=(32, 64), num_frames=5, num_inference_steps=2, guidance_scale=1.0
    )
    assert clip.frames.shape == (5, 32, 64, 3)


@pytest.mark.slow
def test_files_fetched_for_another_model_are_found(expected, write, wan, model, tmp_path: Path, monkeypatch):
    """The parts of Wan2.1-I2V-14B-480P on this disk serve a transformer that comes alone."""
    store = tmp_path / "fetched" / "Wan-AI--Wan2.1-I2V-14B-480P"
    write.companions(store)
    for name in ("special_tokens_map.json", "spiece.model"):  # the repository has them, the tokenizer does without
        (store / "google" / "umt5-xxl" / name).write_bytes(b"{}")
    monkeypatch.setattr("motionloom.models.store._is_whole", lambda path, size=0: path.is_file())
    tuned = wan.save_original(model, tmp_path / "tuned")
    assert np.array_equal(run(tuned), expected.frames)
    assert "vae" in load(tuned, base="ati-14b", device="cpu").pipeline.components


# What is wrong is named, with what would do.


def test_missing_parts_are_listed_with_the_remedy(wan, model, write, tmp_path: Path, refused):
    ati = wan.save_original(model, tmp_path / "ATI")
    message = refused(load, ati, device="cpu")
    for wanted in (
        "umT5-xxl text encoder", "umT5-xxl tokenizer", "CLIP ViT-H/14", "(VAE)", "models_t5_umt5-xxl-enc-bf16.pth",
        "Wan2.1_VAE.pth", "google/umt5-xxl/", "--base", "motionloom models fetch wan2.1-i2v-14b-480p --only",
        "vae,text_encoder,tokenizer,image_encoder", str(ati),
    ):  # fmt: skip
        assert wanted in message, wanted
    (write.companions(tmp_path / "base") / "Wan2.1_VAE.pth").unlink()
    message = refused(load, ati, base=tmp_path / "base", device="cpu")
    assert "(VAE): expected Wan2.1_VAE.pth" in message
    assert "--only vae" in message
    assert str(tmp_path / "base") in message
    assert "text encoder:" not in message


def test_arguments_are_checked_before_anything_is_read(wan, model, write, tmp_path: Path, refused):
    with pytest.raises(InputError, match="memory: found 'lots', expected one of auto"):
        load(wan.save_original(model, tmp_path / "ATI"), memory="lots")
    message = refused(load, "wan2.2-i2v-a14b", transformer=tmp_path / "ATI", base=write.companions(tmp_path / "base"))
    assert "wan2.2-i2v-a14b: needs a transformer of the architecture wan2.2-i2v-a14b" in message


def test_parts_that_do_not_fit_say_why(wan, write, tmp_path: Path, refused):
    other = wan.tiny("wan2.1-i2v-14b", **WIDE, **{**CLIP, "image_dim": 96}, text_dim=40)
    path = wan.save_original(other, tmp_path / "other")
    message = refused(load, path, base=write.companions(tmp_path / "base"), device="cpu")
    assert "has 32 channels, the transformer needs 40" in message
    assert "has 160 channels, the transformer needs 96" in message


def test_one_expert_of_two(wan, experts, write, tmp_path: Path, refused):
    path = wan.save_weights(wan.weights(experts[0]), tmp_path / "wan2.2_high_noise.safetensors")
    message = refused(load, path, base=write.companions(tmp_path / "base", clip=False), device="cpu")
    assert "one of the two experts" in message
    assert "transformer_2=" in message
    wan.save_original(experts[0], tmp_path / "A14B" / "high_noise_model")
    assert "low_noise_model" in refused(load, tmp_path / "A14B", device="cpu")
    single = wan.save_original(wan.tiny("wan2.1-i2v-14b", **WIDE, **CLIP), tmp_path / "one")
    assert "leave transformer_2 out" in refused(load, single, transformer_2=path, device="cpu")


def test_shards_that_are_missing_or_cut_short(wan, model, tmp_path: Path, refused):
    folder = wan.save_original(model, tmp_path / "ATI")
    second = folder / "diffusion_pytorch_model-00002-of-00003.safetensors"
    data = second.read_bytes()
    second.write_bytes(data[: len(data) // 2])
    assert "cut short" in refused(load, folder, device="cpu")
    second.rename(second.with_name(f"{second.name}.incomplete"))
    message = refused(load, folder, device="cpu")
    assert "1 of the 3 files" in message
    assert second.name in message


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3)}, "Stable Diffusion or SDXL"),
        ({"double_blocks.0.img_attn.qkv.weight": (8, 8)}, "Flux"),
        ({"blocks.0.self_attn.q.lora_down.weight": (4, 8), "patch_embedding.weight": (8, 36, 1, 2, 2)}, "holds a LoRA"),
        ({"lora_unet_blocks_0_self_attn_q.lora_down.weight": (4, 8)}, "--lora"),
        ({"some.thing": (3,)}, "expected a part of a Wan image-to-video model"),
    ],
)
def test_other_models_are_named(tmp_path: Path, keys: dict[str, tuple[int, ...]], message: str, refused):
    path = tmp_path / "file.safetensors"
    save_file({key: torch.zeros(shape) for key, shape in keys.items()}, path)
    assert message in refused(load, path, device="cpu")


def test_text_to_video_and_control_variants(wan, tmp_path: Path, refused):
    text = wan.tiny("wan2.2-i2v-a14b", **{**WIDE, "in_channels": 16})
    path = wan.save_weights(wan.weights(text), tmp_path / "t2v.safetensors")
    assert "text-to-video" in refused(load, path, device="cpu")
    tensors = wan.weights(wan.tiny("wan2.2-i2v-a14b", **WIDE))
    tensors["vace_blocks.0.before_proj.weight"] = torch.zeros(4, 4)
    assert "VACE" in refused(load, wan.save_weights(tensors, tmp_path / "vace.safetensors"), device="cpu")


def test_configuration_of_another_model(wan, model, tmp_path: Path, refused):
    folder = wan.save_original(model, tmp_path / "ATI")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "ffn_dim": 13824}))
    message = refused(load, folder, device="cpu")
    assert "13824" in message
    assert "64" in message


def test_folders_that_are_two_things_or_nothing(expected, wan, model, tmp_path: Path, refused):
    both = Path(shutil.copytree(expected.folder, tmp_path / "both"))
    wan.save_original(model, both)
    message = refused(load, both, device="cpu")
    assert "at once" in message
    assert "folder of its own" in message
    (tmp_path / "empty").mkdir()
    assert "it holds nothing" in refused(load, tmp_path / "empty")
    (tmp_path / "empty" / "config.json").write_text('{"_class_name": "FluxTransformer2DModel"}')
    assert "holds a FluxTransformer2DModel" in refused(load, tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("hello")
    assert "is no weight file" in refused(load, tmp_path / "notes.txt")
    parts = tmp_path / "parts"
    parts.mkdir()
    save_file({"shared.weight": torch.zeros(4, 4)}, parts / "odd.safetensors")
    assert "no transformer in it" in refused(load, parts)


def test_several_transformers_in_comfyui_are_for_the_person_to_choose(write, model, tmp_path: Path, refused):
    root = write.comfyui(tmp_path / "models", {"one.safetensors": model, "two.safetensors": model})
    message = refused(load, root, device="cpu")
    assert "holds 2 video transformers (one.safetensors, two.safetensors)" in message


def test_a_file_that_cannot_be_read_is_passed_over_where_another_will_do(
    expected, write, model, tmp_path: Path, tiny_parts
):
    root = write.comfyui(tmp_path / "models", {"wan.safetensors": model})
    tiny_parts.tokenizer.save_pretrained(root / "tokenizer")
    (root / "vae" / "broken.safetensors").write_bytes(b"123")
    save_file({"decoder.conv_in.weight": torch.zeros(4, 4, 3, 3)}, root / "vae" / "sdxl_vae.safetensors")
    text = load_file(root / "text_encoders" / "umt5.safetensors")
    half = {key: value.half() for key, value in text.items()}
    save_file(half, root / "text_encoders" / "b.safetensors")  # the larger, float32, is taken
    assert np.array_equal(run(root), expected.frames)


# Layouts and digests.


def test_kinds(expected, write, wan, model, experts, tmp_path: Path):
    original = write.companions(wan.save_original(model, tmp_path / "original"))
    shard = original / "diffusion_pytorch_model-00001-of-00003.safetensors"
    file = wan.save_weights(wan.weights(model), tmp_path / "file" / "wan.safetensors")
    kinds = {
        expected.folder: "diffusers",
        expected.folder / "transformer": "transformer",
        original: "original",
        shard: "file",
        original / "google" / "umt5-xxl": "tokenizer",
        file: "file",
        file.parent: "loose",
        write.comfyui(tmp_path / "models", {"a.safetensors": model}): "comfyui",
    }
    assert {path: find_layout(path).kind for path in kinds} == kinds
    assert find_layout(original).places["tokenizer"].path == original / "google" / "umt5-xxl"
    assert list(find_layout(original / "Wan2.1_VAE.pth").places) == ["vae"]


@pytest.mark.slow
def test_digest_follows_weights_and_not_where_they_lie(expected, wan, model, write, tmp_path: Path):
    ati = wan.save_original(model, tmp_path / "ATI")
    base = write.companions(tmp_path / "base")
    first = load(ati, base=base, device="cpu").digest
    moved = Path(shutil.move(ati, tmp_path / "elsewhere"))
    assert load(moved, base=base, device="cpu").digest == first
    path = moved / "diffusion_pytorch_model-00003-of-00003.safetensors"
    tensors = load_file(path)
    name = next(iter(tensors))
    save_file({**tensors, name: tensors[name] + 1}, path)
    assert load(moved, base=base, device="cpu").digest != first


def test_large_files_are_sampled(tmp_path: Path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2 * WHOLE)
    first = digest_of_file(path)
    assert digest_of_file(path) == first
    with path.open("r+b") as file:
        file.seek(2 * WHOLE - 1)
        file.write(b"x")
    last = digest_of_file(path)
    assert last != first
    with path.open("r+b") as file:  # as fine-tuning does: everywhere
        for place in range(0, 2 * WHOLE, 50_000):
            file.seek(place)
            file.write(b"y")
    assert digest_of_file(path) not in (first, last)


@pytest.mark.slow
def test_loras_of_the_command_line(expected, wan, model, tmp_path: Path):
    from motionloom.models.lora import save_lora
    from motionloom.models.lora.lora import Lora, LoraLayer

    generator = torch.Generator().manual_seed(1)
    layer = LoraLayer(torch.randn(4, 128, generator=generator), torch.randn(128, 4, generator=generator) * 0.1, 4.0)
    path = save_lora(tmp_path / "style.safetensors", Lora({"blocks.0.attn1.to_q": layer}))
    plain = load(expected.folder, device="cpu")
    loaded = load(expected.folder, device="cpu", loras=[f"{path}:0.5"])
    assert loaded.loaded_with["loras"] == (f"{path}:0.5",)
    assert loaded.digest != plain.digest
    assert not np.array_equal(run(expected.folder, loras=[str(path)]), expected.frames)
    assert np.array_equal(run(expected.folder, loras=[f"{path}:0"]), expected.frames)


# Models of the catalogue, and of other families.


def test_circle_rotate_from_the_files_of_three_repositories(
    expected_a14b, wan, experts, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused
):
    from motionloom.models.card import HubFile
    from motionloom.models.catalog import find_model
    from motionloom.models.lora import save_lora
    from motionloom.models.lora.lora import Lora, LoraLayer

    store = tmp_path / "fetched"
    base = store / "Wan-AI--Wan2.2-I2V-A14B"
    for folder, transformer in zip(("high_noise_model", "low_noise_model"), experts, strict=True):
        wan.save_original(transformer, base / folder, shards=1)
    write.companions(base, clip=False)
    names = ("a", "b")
    for name in names:
        layer = LoraLayer(torch.randn(4, 128), torch.randn(128, 4) * 0.1, 4.0)
        save_lora(store / "some--lora" / f"{name}.safetensors", Lora({"blocks.0.attn1.to_q": layer}))

    def files(*paths: tuple[str, str], repo: str = "Wan-AI/Wan2.2-I2V-A14B") -> tuple[HubFile, ...]:
        return tuple(HubFile(repo, path, part) for path, part in paths)  # pyright: ignore[reportArgumentType]

    card = dataclasses.replace(
        find_model("circle-rotate"),
        files=(
            *files(
                ("high_noise_model/config.json", "transformer"),
                ("high_noise_model/diffusion_pytorch_model.safetensors", "transformer"),
                ("low_noise_model/config.json", "transformer_2"),
                ("low_noise_model/diffusion_pytorch_model*.safetensors", "transformer_2"),
                ("models_t5_umt5-xxl-enc-bf16.pth", "text_encoder"),
                ("google/umt5-xxl/tokenizer.json", "tokenizer"),
                ("google/umt5-xxl/tokenizer_config.json", "tokenizer"),
                ("Wan2.1_VAE.pth", "vae"),
            ),
            *files(("a.safetensors", "lora"), ("b.safetensors", "lora_2"), repo="some/lora"),
            *files(("c.safetensors", "lora_fast"), ("d.safetensors", "lora_fast_2"), repo="some/fast"),
        ),
    )
    monkeypatch.setattr("motionloom.models.lookup.list_models", lambda: [card])
    monkeypatch.setattr("motionloom.models.installed.list_models", lambda: [card])
    loaded: Any = load("circle-rotate", device="cpu")
    assert [facts["experts"] for facts in loaded.adapters] == [["high"], ["low"]]
    assert loaded.sampling.num_inference_steps == 40  # without the four-step LoRAs it runs as the base does
    frames = loaded.generate(
        PICTURE, prompt="a cat looks up", seed=3, size=(32, 48), num_frames=5, num_inference_steps=2
    ).frames
    assert frames.shape == (5, 32, 48, 3)
    (store / "some--lora" / "b.safetensors").unlink()
    assert "b.safetensors" in refused(load, "circle-rotate", device="cpu")
    shutil.rmtree(base / "high_noise_model")
    message = refused(load, "circle-rotate", device="cpu")
    assert "motionloom models fetch circle-rotate" in message
    assert "high_noise_model/config.json" in message


def test_original_folder_of_wan22_5b(wan, tiny_parts, write, tmp_path: Path):
    from diffusers import AutoencoderKLWan

    from motionloom.models.checkpoints.configs import published_config

    folder = wan.save_original(wan.tiny("wan2.2-ti2v-5b", **WIDE), tmp_path / "Wan2.2-TI2V-5B")
    write.companions(folder, clip=False)
    torch.manual_seed(5)
    config = {**published_config("wan2.2-ti2v-5b", "vae"), "base_dim": 8, "decoder_base_dim": 8}
    vae = AutoencoderKLWan.from_config({**config, "num_res_blocks": 1}).eval()
    (folder / "Wan2.1_VAE.pth").unlink()
    vae.save_pretrained(tmp_path / "vae")
    shutil.copy(tmp_path / "vae" / "diffusion_pytorch_model.safetensors", folder / "Wan2.2_VAE.safetensors")
    loaded: Any = load(folder, device="cpu")
    assert loaded.pipeline.config.expand_timesteps
    assert loaded.pipeline.vae.config.z_dim == 48
    clip = loaded.generate(
        PICTURE, None, prompt="a cat", size=(32, 64), num_frames=5, num_inference_steps=2, guidance_scale=1.0
    )
    assert clip.frames.shape == (5, 32, 64, 3)


def test_cogvideox_folder(tmp_path: Path):
    tiny = runpy.run_path(str(Path(__file__).parents[2] / "methods" / "latent_trajectory" / "tiny.py"))
    tiny["cogvideox"]("1.0").save_pretrained(tmp_path / "CogVideoX-5b-I2V")
    loaded: Any = load(tmp_path / "CogVideoX-5b-I2V", device="cpu")
    assert type(loaded).__name__ == "CogVideoXModel"
    assert loaded.card.methods == ("time_to_move", "latent_trajectory")
    assert loaded.card.architecture == "cogvideox-5b-i2v"
    stored = load_file(tmp_path / "CogVideoX-5b-I2V" / "transformer" / "diffusion_pytorch_model.safetensors")
    for name, tensor in loaded.pipeline.transformer.state_dict().items():
        assert torch.equal(tensor, stored[name].to(tensor.dtype)), name


def test_memory_and_speed_are_carried_out(expected):
    plain: Any = load(expected.folder, device="cpu")
    assert plain.plan.preset == "balanced" or plain.plan.reason
    low: Any = load(expected.folder, device="cpu", memory="low")
    assert low.plan.preset == "low"
    assert low.loaded_with["memory"] == "low"
    fast: Any = load(expected.folder, device="cpu", fast=True)
    assert len(fast.notes) > len(low.notes)
    assert fast.loaded_with["fast"] is True


def test_progress_counts_the_bytes_of_all_parts(expected, write, wan, model, tmp_path: Path):
    folder = write.companions(wan.save_original(model, tmp_path / "wan"))
    for path in (folder, expected.folder):
        seen: list[tuple[int, int]] = []
        load(path, device="cpu", on_progress=lambda done, total, seen=seen: seen.append((done, total)))
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1][0] == seen[-1][1] == max(total for _, total in seen)
        assert seen[-1][1] > sum(parameter.nbytes for parameter in model.parameters())


@pytest.mark.slow
def test_transformers_are_read_last(expected, write, wan, model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By then a plan has put the encoders elsewhere: RAM never holds both."""
    from motionloom.models import pipelines

    order: list[str] = []
    stock = pipelines.load_part

    def noted(place, **options):
        order.append(place.part)
        return stock(place, **options)

    monkeypatch.setattr(pipelines, "load_part", noted)
    for path in (write.companions(wan.save_original(model, tmp_path / "wan")), expected.folder):
        order.clear()
        load(path, device="cpu")
        assert {"text_encoder", "image_encoder", "vae", "tokenizer"} <= set(order)
        assert [part for part in order if part.startswith("transformer")] == [order[-1]]


def test_no_part_is_wider_than_it_is_stored(wan, model, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As for a model of a billion parameters: bfloat16 stays bfloat16 in the whole pipeline, norms and codec aside."""
    monkeypatch.setattr("motionloom.models.checkpoints.fill.LARGE", 1000)
    monkeypatch.setattr("motionloom.models.checkpoints.image_encoder.HALVED", 1000)
    folder = wan.save_original(model, tmp_path / "wan", dtype=torch.bfloat16)
    write.companions(folder)
    pipeline: Any = load(folder, device="cpu").pipeline
    types = {
        name: {parameter.dtype for parameter in getattr(pipeline, name).parameters()}
        for name in ("text_encoder", "image_encoder", "vae")
    }
    assert types["text_encoder"] == {torch.bfloat16}  # float32 in the file, and large
    assert types["image_encoder"] == {torch.float16}  # as the published programs compute it
    assert types["vae"] == {torch.float32}
    kept = set(pipeline.transformer._keep_in_fp32_modules)
    for name, parameter in pipeline.transformer.named_parameters():
        assert parameter.dtype == (torch.float32 if kept & set(name.split(".")) else torch.bfloat16), name
