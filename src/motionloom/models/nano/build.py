"""The shape of nano: a Wan transformer and a stock scheduler, small enough to train on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from motionloom.errors import InputError
from motionloom.models.nano.codec import BLOCK
from motionloom.models.nano.transformer import NanoTransformer
from motionloom.models.seeding import seeded

Transformer = Any
"""A `NanoTransformer`; what diffusers decorates cannot be followed by a type checker."""

NATIVE_SIZE = (128, 128)
NUM_FRAMES = 17
FPS = 8
TEXT_DIM = 16
"""nano has no text encoder; its transformer gets one all-zero text token of this width."""
ANCHOR_CHANNELS = 4
ANCHOR_VALUE = 30.0
NOISY_GAIN = 0.3
"""Noisy latents enter quietly: what the network does not use yet should not leak into what it predicts."""
HEAD_DIM = 64
NEIGHBOURS = ((0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0))
"""Steps in latent frames, rows and columns of tokens, one for each attention head, from which the heads start."""
_SHARPNESS = 6.0  # of a head's look, by axis and wave: a token beside the one looked at gets 4 % of its weight
_WAVES = (1, 3, 3)  # rotary frequencies in use by axis; the five latent frames need one, longer axes must not repeat
_STARTING_NOISE = 0.3  # of the usual weights of queries and keys: what tokens show matters little at first


def build_transformer(
    codec: ModelMixin, *, width: int = 384, layers: int = 4, expansion: int = 2, seed: int = 0
) -> Transformer:
    """A `NanoTransformer` in the image-to-video layout of Wan 2.1 for the codec's latents.

    Input channels: C noisy latents, 4 mask, C condition latents. What guidance copied along the tracks is the first
    guess, to which the network adds a correction, at first next to none. The embedding keeps condition and noisy
    latents apart, and every block adds nothing yet. Each attention head starts looking at one neighbour of its token in
    time or space, so that the first steps learn what to make of neighbours and not where they are.

    Raises:
        InputError: a width that does not hold a token's condition.
    """
    latent = int(codec.config["z_dim"])  # type: ignore[index]
    least = 4 * latent + ANCHOR_CHANNELS
    if width % HEAD_DIM or width < least:
        raise InputError(
            f"width: found {width}, expected a multiple of {HEAD_DIM} that holds four cells of {latent} channels: "
            f"{-(-least // HEAD_DIM) * HEAD_DIM} or more"
        )
    with seeded(seed):
        model = NanoTransformer(
            patch_size=(1, 2, 2),
            num_attention_heads=width // HEAD_DIM,
            attention_head_dim=HEAD_DIM,
            in_channels=2 * latent + BLOCK,
            out_channels=latent,
            text_dim=TEXT_DIM,
            freq_dim=64,
            ffn_dim=expansion * width,
            num_layers=layers,
            cross_attn_norm=False,
            qk_norm="rms_norm_across_heads",
            image_dim=None,
            rope_max_seq_len=1024,
            wavelengths=tuple(getattr(codec, "wavelengths", ())),
        )
        _start_from_guess(model, latent, width)
        _start_at_neighbours(model, width // HEAD_DIM)
    return model


def like(transformer: Transformer) -> Transformer:
    """A new transformer of the same configuration."""
    return type(transformer).from_config(transformer.config)


def build_scheduler() -> UniPCMultistepScheduler:
    """The stock UniPC sampler on flow sigmas for a network that predicts the clean latent.

    The shift puts a second step at time 0.95, the end of what the last stage of the recipe trains.
    """
    return UniPCMultistepScheduler(
        prediction_type="sample", use_flow_sigmas=True, flow_shift=20.0, num_train_timesteps=1000
    )


@torch.no_grad()
def _start_from_guess(model: Transformer, latent: int, width: int) -> None:
    corners = 4  # latent cells of one 2 x 2 token
    embed, out = model.patch_embedding, model.proj_out
    weight = embed.weight  # [width, 2 latent + 4, 1, 2, 2]
    target = corners * latent
    spare = width - target - ANCHOR_CHANNELS
    weight.mul_(0.1)
    weight[: target + spare].mul_(0.1)
    for corner in range(corners):
        row, column = divmod(corner, 2)
        for channel in range(latent):
            weight[corner * latent + channel, latent + BLOCK + channel, 0, row, column] = 1.0
            # Fine channels come last; where the width does not hold all noisy values, those are mixed in elsewhere.
            place = channel * corners + corner
            if place < spare - BLOCK * corners:
                weight[target + place, channel, 0, row, column] = NOISY_GAIN
        for channel in range(BLOCK):
            weight[target + spare - 1 - corner * BLOCK - channel, latent + channel, 0, row, column] = 0.5
    embed.bias.zero_()
    # Layer norm divides every token by its own deviation. A few large constants make that deviation nearly the same
    # for all tokens, so that amplitudes survive to the output.
    weight[-ANCHOR_CHANNELS:] = 0
    embed.bias[-ANCHOR_CHANNELS:] = ANCHOR_VALUE * torch.tensor([1.0, -1.0, 1.0, -1.0])
    deviation = (1.0 + ANCHOR_CHANNELS * ANCHOR_VALUE**2 / width) ** 0.5
    out.weight.mul_(0.1)
    out.bias.zero_()
    model.condition_embedder.time_proj.weight.mul_(0.1)
    model.condition_embedder.time_proj.bias.zero_()
    undo = torch.full((width,), deviation - 1)
    undo[-ANCHOR_CHANNELS:] = -1
    # Rows of the tables. Blocks: shift, scale, gate of the attention, then of the feed-forward. Output: shift, scale.
    model.scale_shift_table.copy_(torch.stack([torch.zeros(width), undo])[None])
    for block in model.blocks:
        rows = [torch.zeros(width), undo, torch.ones(width)] * 2
        block.scale_shift_table.copy_(torch.stack(rows)[None])
        block.attn1.to_out[0].weight.mul_(0.1)
        block.attn2.to_out[0].weight.mul_(0.1)
        block.ffn.net[2].weight.mul_(0.1)


@torch.no_grad()
def _start_at_neighbours(model: Transformer, heads: int) -> None:
    """Constant queries and keys whose rotary positions agree best one step apart; see `NEIGHBOURS`.

    Rotary positions turn pair i of an axis with d numbers by position * 10000^(-2 i / d): a query and a key that are
    turned against each other by -step times that frequency match where the key lies ``step`` further on.
    """
    along = 2 * (HEAD_DIM // 6)
    axes = (HEAD_DIM - 2 * along, along, along)  # numbers of a head for time, rows and columns, as in WanRotaryPosEmbed
    size = (_SHARPNESS * HEAD_DIM**0.5) ** 0.5
    for number, block in enumerate(model.blocks):
        query, key = torch.zeros(heads, HEAD_DIM), torch.zeros(heads, HEAD_DIM)
        for head in range(heads):
            place = 0
            neighbour = NEIGHBOURS[(head + number * heads) % len(NEIGHBOURS)]
            for axis, step, waves in zip(axes, neighbour, _WAVES, strict=True):
                turn = -step * 10000.0 ** (-2 * torch.arange(waves) / axis)
                pairs = slice(place, place + 2 * waves)
                query[head, pairs] = size * torch.tensor([1.0, 0.0]).repeat(waves)
                key[head, pairs] = size * torch.stack([turn.cos(), turn.sin()], dim=-1).flatten()
                place += axis
        attention = block.attn1
        for linear, norm, wanted in (
            (attention.to_q, attention.norm_q, query.flatten()),
            (attention.to_k, attention.norm_k, key.flatten()),
        ):
            linear.bias.copy_(wanted)
            linear.weight.mul_(_STARTING_NOISE)
            norm.weight.fill_(float(wanted.square().mean().sqrt()))  # which the norm divides by
