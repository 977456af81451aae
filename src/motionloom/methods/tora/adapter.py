"""What Tora adds to a CogVideoX transformer, as one model beside it: the trajectory extractor and a fuser per block."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.normalization import CogVideoXLayerNormZero
from torch import Tensor, nn

from motionloom.errors import InputError
from motionloom.methods.tora.extractor import Pad, TrajectoryExtractor
from motionloom.methods.tora.fuser import Design, make_fuser

# Width and blocks of the published transformers (their config.json).
FAMILIES = {(1920, 30): "CogVideoX-2B", (3072, 42): "CogVideoX-5B"}


class ToraAdapter(ModelMixin, ConfigMixin):
    """Trajectory extractor and motion fusers, under the key names of the published checkpoints.

    Saved and loaded as any diffusers model. It shares nothing with the transformer; `motionloom.methods.tora.hooks`
    attaches it to one.

    Args:
        hidden_size, num_layers, num_attention_heads, patch_size, patch_size_t: of the transformer.
        condition_channels: width of the features, 128 as published.
        latent_channels: of the motion latents.
        blocks_per_layer: residual blocks of the extractor per transformer block.
        design: of the fusers: "adaptive_norm" as published, or the paper's "extra_channel" or "cross_attention".
        pad: where motion latents get zero frames to fill pairs (CogVideoX 1.5): at the "end" as published, which puts
            the motion one latent frame, 4 frames of video, too early; or in "front", where the video gets its own.

    Raises:
        InputError: sizes that a design cannot have.
    """

    _skip_layerwise_casting_patterns: ClassVar = ["conv_in"]
    _no_split_modules: ClassVar = ["ResidualBlock", "MotionFuser", "ChannelFuser", "AttentionFuser"]

    @register_to_config
    def __init__(
        self,
        hidden_size: int = 3072,
        num_layers: int = 42,
        condition_channels: int = 128,
        latent_channels: int = 16,
        patch_size: int = 2,
        patch_size_t: int | None = None,
        blocks_per_layer: int = 2,
        design: Design = "adaptive_norm",
        num_attention_heads: int = 48,
        pad: Pad = "end",
    ) -> None:
        super().__init__()
        if pad not in ("end", "front"):
            raise InputError(f"pad: found {pad!r}, expected 'end' or 'front'")
        self.traj_extractor = TrajectoryExtractor(
            latent_channels, condition_channels, num_layers, patch_size, patch_size_t or 1, blocks_per_layer, pad
        )
        self.fuser = nn.ModuleList(
            make_fuser(design, hidden_size, condition_channels, num_attention_heads) for _ in range(num_layers)
        )

    @classmethod
    def for_transformer(
        cls,
        transformer: Any,
        *,
        design: Design = "adaptive_norm",
        condition_channels: int = 128,
        latent_channels: int | None = None,
        blocks_per_layer: int = 2,
        pad: Pad = "end",
    ) -> ToraAdapter:
        """An untrained adapter, with which a `CogVideoXTransformer3DModel` predicts exactly what it does without.

        In evaluation mode and float32; call `train` for training. ``latent_channels`` is for a motion VAE with another
        number than the video's.

        Raises:
            InputError: not a CogVideoX transformer, or one of a width that the design cannot have.
        """
        width, layers = _family(transformer)
        config = transformer.config
        return cls(
            hidden_size=width,
            num_layers=layers,
            condition_channels=condition_channels,
            latent_channels=latent_channels or config.out_channels,
            patch_size=config.patch_size,
            patch_size_t=config.patch_size_t,
            blocks_per_layer=blocks_per_layer,
            design=design,
            num_attention_heads=config.num_attention_heads,
            pad=pad,
        ).eval()

    def check_fits(self, transformer: Any) -> None:
        """Refuse a transformer that this adapter is not for.

        Raises:
            InputError: another width, number of blocks or patch size; the message names both families.
        """
        found, own = _family(transformer), (self.config["hidden_size"], self.config["num_layers"])
        if found != own:
            raise InputError(
                f"transformer: found {_describe(*found)}; this adapter is for {_describe(*own)}. Use the base model "
                "that the adapter was trained for"
            )
        theirs = (transformer.config.patch_size_t or 1, transformer.config.patch_size)
        ours = (self.config["patch_size_t"] or 1, self.config["patch_size"])
        if theirs != ours:
            raise InputError(
                f"transformer: its patches are {theirs[0]} latent frames and {theirs[1]} x {theirs[1]} latent pixels, "
                f"this adapter's {ours[0]} and {ours[1]} x {ours[1]} (CogVideoX has 1 and 2 x 2, CogVideoX 1.5 has 2 "
                "and 2 x 2); use the base model that the adapter was trained for"
            )

    def features(self, motion_latents: Tensor) -> list[Tensor]:
        """The features of a motion: one [B, T, c, h / 2, w / 2] per transformer block.

        They depend on neither the step nor the prompt: compute them once per run.

        Args:
            motion_latents: [B, latent_channels, T', h, w] as the VAE gives them, times its scaling factor; in the
                adapter's dtype and on its device.

        Raises:
            InputError: another shape, number of channels or dtype.
        """
        return self(motion_latents)

    def forward(self, motion_latents: Tensor) -> list[Tensor]:
        channels = self.traj_extractor.latent_channels
        if motion_latents.ndim != 5 or motion_latents.shape[1] != channels:
            raise InputError(
                f"motion_latents: found a shape of {'x'.join(map(str, motion_latents.shape))}, expected videos x "
                f"{channels} channels x frames x height x width"
            )
        if motion_latents.dtype != self.dtype and not torch.is_autocast_enabled(motion_latents.device.type):
            raise InputError(
                f"motion_latents: found {motion_latents.dtype}, but the adapter is {self.dtype}; convert them first"
            )
        return self.traj_extractor(motion_latents)


def _family(transformer: Any) -> tuple[int, int]:
    """Width and number of blocks of a CogVideoX transformer."""
    blocks = getattr(transformer, "transformer_blocks", None)
    if not blocks or not all(isinstance(getattr(b, "norm1", None), CogVideoXLayerNormZero) for b in blocks):
        raise InputError(
            f"transformer: found a {type(transformer).__name__}, expected a CogVideoXTransformer3DModel; Tora adds to "
            "CogVideoX models"
        )
    return transformer.config.num_attention_heads * transformer.config.attention_head_dim, len(blocks)


def _describe(width: int, layers: int) -> str:
    size = f"{width} wide, {layers} blocks"
    family = FAMILIES.get((width, layers))
    return f"{size}: {family}" if family else size
