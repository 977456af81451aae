"""The transformer of nano: a Wan transformer that corrects what guidance copied.

What a method copied along the tracks is the first guess at the clip, exact where it is right; the network says what has
to be added to it. A small network that had to pass it on itself would blur it.

Latents say which place of the first frame a cell shows (`motionloom.models.nano.provenance`). Copied along tracks, that
has to be the place itself. Within the network the step from the cell to that place is the better number: a surface that
moves as one has one step for all its cells, so what attention finds at one cell is true of its neighbours as it is, and
what rests is a constant. Going from one to the other turns each pair of phases by the cell's own, which leaves noise
noise and lengths lengths.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from motionloom.models.nano import provenance


class NanoTransformer(WanTransformer3DModel):
    """A `WanTransformer3DModel` in the image-to-video layout, for latents with provenance.

    Input channels are C noisy latents, 4 mask, C condition latents. All arguments but the last are the stock ones.

    Args:
        wavelengths: of the provenance, in pixels; none for latents of pictures alone, which pass as they are.
    """

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, ...] = (1, 2, 2),
        num_attention_heads: int = 6,
        attention_head_dim: int = 64,
        in_channels: int = 108,
        out_channels: int = 52,
        text_dim: int = 16,
        freq_dim: int = 64,
        ffn_dim: int = 768,
        num_layers: int = 4,
        cross_attn_norm: bool = False,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        wavelengths: tuple[float, ...] = (),
    ) -> None:
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=num_layers,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim,
            rope_max_seq_len=rope_max_seq_len,
            pos_embed_seq_len=pos_embed_seq_len,
        )
        self._wavelengths = tuple(wavelengths)

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """As `WanTransformer3DModel.forward`: [B, 2 C + 4, T, h, w] in, [B, C, T, h, w] out."""
        channels = (hidden_states.shape[1] - provenance.CELL) // 2
        noisy, mask, condition = hidden_states.split([channels, provenance.CELL, channels], dim=1)
        guess = condition / mask.mean(1, keepdim=True).clamp_min(1)  # where several tracks wrote, their mean
        own = None
        if self._wavelengths:
            own = provenance.own_phases(hidden_states.shape[-2:], self._wavelengths, hidden_states.device)
            own = own.movedim(-1, 0)[:, None]
            noisy, guess = (provenance.turn_phases(part, own, back=True) for part in (noisy, guess))
        stock: Any = super()
        correction = stock.forward(
            torch.cat([noisy, mask, guess], dim=1),
            timestep,
            encoder_hidden_states,
            encoder_hidden_states_image,
            return_dict=False,
            attention_kwargs=attention_kwargs,
        )[0]
        predicted = guess + correction
        if own is not None:
            predicted = provenance.turn_phases(predicted, own)
        return Transformer2DModelOutput(sample=predicted) if return_dict else (predicted,)
