from __future__ import annotations

import re
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from motionloom.models.nano.build import build_transformer
from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.files import save_nano
from motionloom.prepare.procedural import render, sample_scene


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained nano with 12 latent channels and one small block: its guesses are what guidance copied."""
    torch.set_num_threads(1)
    videos = render(sample_scene(0, range(3), num_frames=5, resolution=32), (32, 32)).transpose(1, 2) * 2 - 1
    codec = BlockCodec.fit([videos], 12)
    return save_nano(
        tmp_path_factory.mktemp("model") / "tiny",
        build_transformer(codec, width=64, layers=1, seed=3),
        codec,
        facts={"steps": 0},
        dtype=torch.float32,
    )


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A 48 x 64 picture, uint8."""
    frame = render(sample_scene(4, [2], num_frames=1, resolution=48), (48, 64))[0, 0]
    return (frame.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def _text_encoder() -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(1)
    config = UMT5Config(
        vocab_size=150, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
    )
    return UMT5EncoderModel(config).eval()


def _image_encoder() -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(2)
    config = CLIPVisionConfig(
        hidden_size=160,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        hidden_act="gelu",
    )
    return CLIPVisionModel(config).eval().requires_grad_(False)


def _vae() -> Any:
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    torch.manual_seed(3)
    return AutoencoderKLWan(base_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=1).eval().requires_grad_(False)


_WORDS = ["<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz", "▁a", "▁cat", "▁looks", "▁up"]


def _score(piece: str) -> float:
    return -20.0 if len(piece) == 1 else -1.0


def _tokenizer() -> Any:
    from transformers import T5Tokenizer

    return T5Tokenizer(vocab=[(piece, _score(piece)) for piece in _WORDS], extra_ids=0)


def _spiece_model() -> bytes:
    """The same words as a SentencePiece model, with the fields around them that such files have."""

    def field(number: int, value: bytes) -> bytes:
        size = bytes([len(value) & 127 | 128, len(value) >> 7]) if len(value) > 127 else bytes([len(value)])
        return bytes([number << 3 | 2]) + size + value

    pieces = [
        field(1, field(1, piece.encode()) + b"\x15" + struct.pack("<f", _score(piece)) + b"\x18\x01")
        for piece in _WORDS
    ]
    trainer = field(2, field(1, b"corpus.txt" * 20) + b"\x18\x01")
    return b"".join(pieces) + trainer + field(3, field(1, b"identity"))


_T5_NAMES = {
    "layer.0.layer_norm": "norm1",
    "layer.0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
    "layer.0.SelfAttention.": "attn.",
    "layer.1.layer_norm": "norm2",
    "layer.1.DenseReluDense.wi_0": "ffn.gate.0",
    "layer.1.DenseReluDense.wi_1": "ffn.fc1",
    "layer.1.DenseReluDense.wo": "ffn.fc2",
    "encoder.block.": "blocks.",
    "shared.": "token_embedding.",
    "encoder.final_layer_norm.": "norm.",
}


def _original_text_encoder(model: Any) -> dict[str, torch.Tensor]:
    """The names of models_t5_umt5-xxl-enc-bf16.pth."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name == "encoder.embed_tokens.weight":
            continue
        for new, old in _T5_NAMES.items():
            name = name.replace(new, old)
        tensors[name] = tensor.clone()
    return tensors


def _original_image_encoder(model: Any) -> dict[str, torch.Tensor]:
    """Names and shapes of models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth, with a bit of its text tower."""
    state = model.state_dict()
    tensors = {
        "visual.cls_embedding": state["embeddings.class_embedding"][None, None],
        "visual.pos_embedding": state["embeddings.position_embedding.weight"][None],
        "visual.patch_embedding.weight": state["embeddings.patch_embedding.weight"],
        "visual.head": torch.zeros(160, 8),
        "textual.token_embedding.weight": torch.zeros(7, 5),
        "textual.blocks.0.attn.to_qkv.weight": torch.zeros(15, 5),
        "log_scale": torch.tensor(2.0),
    }
    for leaf in ("weight", "bias"):
        tensors[f"visual.pre_norm.{leaf}"] = state[f"pre_layrnorm.{leaf}"]
        tensors[f"visual.post_norm.{leaf}"] = state[f"post_layernorm.{leaf}"]
        for number in range(model.config.num_hidden_layers):
            old, new = f"visual.transformer.{number}", f"encoder.layers.{number}"
            attention = [state[f"{new}.self_attn.{kind}_proj.{leaf}"] for kind in "qkv"]
            tensors[f"{old}.attn.to_qkv.{leaf}"] = torch.cat(attention)
            for source, target in (
                ("self_attn.out_proj", "attn.proj"),
                ("layer_norm1", "norm1"),
                ("layer_norm2", "norm2"),
                ("mlp.fc1", "mlp.0"),
                ("mlp.fc2", "mlp.2"),
            ):
                tensors[f"{old}.{target}.{leaf}"] = state[f"{new}.{source}.{leaf}"]
    return {key: tensor.clone() for key, tensor in tensors.items()}


def _original_vae(model: Any) -> dict[str, torch.Tensor]:
    """The names of Wan2.1_VAE.pth."""
    names = {
        "quant_conv.": "conv1.",
        "encoder.conv_in": "encoder.conv1",
        "decoder.conv_in": "decoder.conv1",
        "norm_out": "head.0",
        "conv_out": "head.2",
        "mid_block.resnets.0": "middle.0",
        "mid_block.attentions.0": "middle.1",
        "mid_block.resnets.1": "middle.2",
        "down_blocks": "downsamples",
    }
    residual = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6"}
    blocks = model.config.num_res_blocks + 1
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("post_quant_conv."):
            tensors[name.replace("post_quant_conv", "conv2")] = tensor.clone()
            continue
        if re.search(r"resnets\.\d|down_blocks\.\d+\.(norm|conv)\d", name):
            for new, old in residual.items():
                name = name.replace(f".{new}.", f".{old}.")
        name = name.replace("conv_shortcut", "shortcut")
        for new, old in names.items():
            name = name.replace(new, old) if new != "quant_conv." else re.sub("^quant_conv", "conv1", name)
        found = re.match(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.(.*)", name)
        if found:
            inside = int(found[3]) if found[2] == "resnets" else blocks
            name = f"decoder.upsamples.{int(found[1]) * (blocks + 1) + inside}.{found[4]}"
        tensors[name] = tensor.clone()
    return tensors


@pytest.fixture(scope="session")
def tiny_parts() -> SimpleNamespace:
    """Random text encoder, image encoder, codec and tokenizer of the architectures of Wan, and the tensors of each
    under the names of the original files."""
    torch.set_num_threads(1)
    text_encoder, image_encoder, vae = _text_encoder(), _image_encoder(), _vae()
    return SimpleNamespace(
        text_encoder=text_encoder,
        image_encoder=image_encoder,
        vae=vae,
        tokenizer=_tokenizer(),
        spiece_model=_spiece_model(),
        original_text_encoder=_original_text_encoder(text_encoder),
        original_image_encoder=_original_image_encoder(image_encoder),
        original_vae=_original_vae(vae),
    )
