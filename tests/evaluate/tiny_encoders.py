"""Folders of transformers with a CLIP and a DINO of random weights, a few thousand parameters each."""

from __future__ import annotations

import json
from pathlib import Path

import torch


def make_clip(folder: Path, *, image_size: int = 32, projection: int = 12) -> Path:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": 60, "max_position_embeddings": 77, "bos_token_id": 58, "eos_token_id": 59}
    vision = {"image_size": image_size, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=size | text, vision_config=size | vision, projection_dim=projection))
    model.save_pretrained(folder)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(letter + "</w>" for letter in letters), "ca", "cat</w>", "x1", "x2", "x3", "x4"]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    return folder


def make_dino(folder: Path, *, pooler: bool = True) -> Path:
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        patch_size=16,
    )
    ViTModel(config, add_pooling_layer=pooler).save_pretrained(folder)
    return folder
