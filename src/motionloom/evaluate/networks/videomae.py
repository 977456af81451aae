"""VideoMAEv2 ViT-g/14 fine-tuned on Something-Something v2, the network of content-debiased FVD.

Source: `VisionTransformer` of OpenGVLab/VideoMAEv2 as cd-fvd 0.1.1 uses it (Ge et al. 2024, "On the Content Bias in
Fréchet Video Distance"); file ``vit_g_hybrid_pt_1200e_ssv2_ft.pth``, about one billion parameters, the tensors in its
``module`` entry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from motionloom.errors import InputError
from motionloom.evaluate.networks.files import load_network
from motionloom.evaluate.networks.i3d import ClipNetwork, checked_clips, resized_clips
from motionloom.evaluate.networks.preprocess import batches

DIMENSIONS = 1408
FRAMES = 16
"""Frames of a clip; positions are of this number alone."""


@dataclass(frozen=True)
class VideoMAEConfig:
    """Sizes of the network; the defaults are the published ones."""

    width: int = 1408
    depth: int = 40
    heads: int = 16
    hidden: int = 6144
    patch: int = 14
    tubelet: int = 2
    side: int = 224
    frames: int = FRAMES
    classes: int = 174


def load_videomae(
    path: str | Path,
    device: str = "cpu",
    *,
    config: VideoMAEConfig | None = None,
    dtype: torch.dtype = torch.float32,
    batch: int = 1,
) -> ClipNetwork:
    """Clips to features [B, 1408]: every frame bilinear to 224x224, scaled to [0, 1], no mean or deviation taken off.

    Args:
        config: of a scaled-down network; None is the published one.
        dtype: float16 halves the memory, as cd-fvd offers.

    Raises:
        CheckpointError: see `files.load_network`.
    """
    sizes = config or VideoMAEConfig()
    network = load_network(lambda: VideoMAE(sizes), path, device=device, dtype=dtype)

    def features(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = [np.zeros((0, sizes.width), np.float32)]
        with torch.inference_mode():
            for block in batches(checked_clips(clips, sizes.frames), batch):
                # cd-fvd divides by 255 before it resizes; resizing is linear, so that only rounding tells.
                pixels = resized_clips(block, sizes.side) / 255
                found.append(network(pixels.to(device, dtype)).float().cpu().numpy())
        return np.concatenate(found)

    return features


class VideoMAE(nn.Module):
    """From pixels [B, 3, 16, 224, 224] in [0, 1] to the normalised mean of the tokens, [B, width]."""

    def __init__(self, config: VideoMAEConfig | None = None) -> None:
        super().__init__()
        self.config = config or VideoMAEConfig()
        c = self.config
        self.patch_embed = _Patches(c)
        self.blocks = nn.ModuleList(_Block(c) for _ in range(c.depth))
        self.fc_norm = nn.LayerNorm(c.width, eps=1e-6)
        self.head = nn.Linear(c.width, c.classes)  # behind the features; here because the file has it

    def forward(self, x: Tensor) -> Tensor:
        c = self.config
        if x.shape[2:] != (c.frames, c.side, c.side):
            raise InputError(f"clips: found {list(x.shape)}, expected [B, 3, {c.frames}, {c.side}, {c.side}]")
        x = self.patch_embed(x)
        x = x + sinusoids(x.shape[1], c.width).to(x)
        for block in self.blocks:
            x = block(x)
        return self.fc_norm(x.mean(1))


def sinusoids(positions: int, width: int) -> Tensor:
    """[positions, width]: sine in the even and cosine in the odd places of position / 10000^(2 floor(i/2) / width)."""
    place = np.arange(positions)[:, None] / np.power(10000, 2 * (np.arange(width) // 2) / width)
    place[:, 0::2], place[:, 1::2] = np.sin(place[:, 0::2]), np.cos(place[:, 1::2])
    return torch.from_numpy(place.astype(np.float32))


class _Patches(nn.Module):
    """Tokens [B, N, width] of blocks of 2 frames and 14x14 pixels, time first."""

    def __init__(self, c: VideoMAEConfig) -> None:
        super().__init__()
        block = (c.tubelet, c.patch, c.patch)
        self.proj = nn.Conv3d(3, c.width, block, stride=block)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, c: VideoMAEConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(c.width, eps=1e-6)
        self.attn = _Attention(c.width, c.heads)
        self.norm2 = nn.LayerNorm(c.width, eps=1e-6)
        self.mlp = _MLP(c.width, c.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Attention(nn.Module):
    """Queries and values have biases, keys none, since a bias of the keys would not change the softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        q, k, v = F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=1 / math.sqrt(q.shape[-1]))
        return self.proj(mixed.transpose(1, 2).flatten(2))


class _MLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))
