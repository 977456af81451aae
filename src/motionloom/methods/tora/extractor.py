"""Tora's trajectory extractor: motion latents to the features that each block of a transformer is moved by.

Zhang et al., "Tora: Trajectory-oriented Diffusion Transformer for Video Generation" (arXiv 2407.21705), "Trajectory
Extractor"; layers and names are those of the published checkpoints (traj_module.py).
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Pad = Literal["end", "front"]


class TrajectoryExtractor(nn.Module):
    """Motion latents to one feature map per transformer block, each made from the one before.

    Args:
        latent_channels: of the motion latents, 16 for CogVideoX.
        condition_channels: width of the features, 128 as published.
        num_layers: blocks of the transformer.
        patch_size, patch_size_t: latent pixels and latent frames in a patch of the transformer, 2 and 1 (1.5: 2 and 2).
        blocks_per_layer: residual blocks from one feature map to the next, 2 as published.
        pad: where motion latents get zero frames when patch_size_t does not divide them. "end" is what the published
            code does; CogVideoX 1.5 itself adds frames in "front" of a video, so that "end" is one latent frame off.
    """

    def __init__(
        self,
        latent_channels: int,
        condition_channels: int,
        num_layers: int,
        patch_size: int = 2,
        patch_size_t: int = 1,
        blocks_per_layer: int = 2,
        pad: Pad = "end",
    ) -> None:
        super().__init__()
        self.latent_channels, self.blocks_per_layer, self.pad = latent_channels, blocks_per_layer, pad
        self.patch = (patch_size_t, patch_size, patch_size)
        patched = latent_channels * patch_size_t * patch_size**2
        self.conv_in = nn.Conv2d(patched, condition_channels, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(condition_channels) for _ in range(num_layers * blocks_per_layer))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, latents: Tensor) -> list[Tensor]:
        """Motion latents [B, channels, T', h, w] to num_layers times [B, T, c, y, x].

        Sizes that are no multiple of the patch are filled up with zeros, right, below and, as ``pad`` says, in time.
        """
        patches, batch = self._patches(latents), latents.shape[0]
        features: list[Tensor] = []
        state = self.conv_in(patches)
        for index, block in enumerate(self.body, start=1):
            state = block(state)
            if index % self.blocks_per_layer == 0:
                features.append(state.unflatten(0, (batch, -1)))
        return features

    def _patches(self, latents: Tensor) -> Tensor:
        """[B, channels, T', h, w] to [B T, channels patches, y, x], in a channel the patch's frame, row and column."""
        lacking, below, beside = (-size % step for size, step in zip(latents.shape[2:], self.patch, strict=True))
        before, after = (lacking, 0) if self.pad == "front" else (0, lacking)
        latents = functional.pad(latents, (0, beside, 0, below, before, after))
        batch, channels, time, height, width = latents.shape
        step_t, step, _ = self.patch
        cut = latents.reshape(batch, channels, time // step_t, step_t, height // step, step, width // step, step)
        return cut.permute(0, 2, 1, 3, 5, 7, 4, 6).flatten(2, 5).flatten(0, 1)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, each after batch norm and ReLU, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.block2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.block1(functional.relu(self.bn1(x)))
        return x + self.block2(functional.relu(self.bn2(hidden)))
