"""How much memory a model takes: its weights part by part, one pass of the transformer, and the VAE's decoder.

Weights are counted. What a pass takes beside them is linear in the number of tokens, with factors read off a trace of
every allocation of the stock modules at their published size (`tests/models/test_footprint.py` repeats the trace): the
attention's rotary embedding or the feed-forward layer is the widest place, whichever is wider. A VAE decodes a few
frames at a time, so its peak depends on the frame's area and hardly on how many there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionloom.models.card import ModelCard

# Values per token that live at once in a pass: _ATTENTION * dim in the attention, or _HIDDEN * dim + 2 * ffn_dim in the
# feed-forward layer. The rotary embedding works in float32 whatever the weights are: a larger factor at 2 bytes.
_ATTENTION = {2: 11.4, 4: 8.4}
_HIDDEN = 4.4
_FRAME_CHANNELS = 3


@dataclass(frozen=True)
class Vae:
    """What a decoder holds at once: ``values`` per pixel of a frame, plus the clip; ``tile``: (height, width) of one
    tile in pixels, ``values_tiled`` per pixel of it; ``itemsize``: bytes of a value, as loaded."""

    weights: int
    values: float
    values_tiled: float
    tile: tuple[int, int] = (256, 256)
    stride: tuple[int, int] = (4, 8)  # frames, pixels per latent
    itemsize: int = 4


@dataclass(frozen=True)
class Shape:
    """An architecture, in the numbers its memory depends on. Encoders are counted in weights.

    Attributes:
        dim, ffn_dim, layers: of the transformer; weights: of one expert; cast: those that fp8 storage makes smaller.
        patch: pixels of a latent that make a token, along one side.
        branches: of guidance, that one pass of the transformer works on.
        text_leaf: the largest single layer of the text encoder, its table of words.
        adapter: weights of the modules beside the transformer that a method adds (Tora's extractor and fusers);
            adapter_leaf: of the largest layer of them; adapter_channels: of the features they keep for every block.
        window: frames that it makes at once at most, longer clips in windows that overlap by less than half; None: all.
    """

    dim: int
    ffn_dim: int
    layers: int
    weights: int
    cast: int
    vae: Vae
    experts: int = 1
    text_encoder: int = 5_680_910_336
    text_leaf: int = 256_384 * 4096
    image_encoder: int = 0
    patch: int = 2
    branches: int = 1
    adapter: int = 0
    adapter_leaf: int = 0
    adapter_channels: int = 0
    window: int | None = None


def wan_weights(
    dim: int,
    ffn_dim: int,
    layers: int,
    in_channels: int,
    out_channels: int,
    *,
    image_dim: int | None = None,
    text_dim: int = 4096,
    freq_dim: int = 256,
) -> tuple[int, int]:
    """Weights of a `WanTransformer3DModel`, and those of them in the linear layers of its blocks.

    The published shapes come out exactly: 16 394 878 784 for Wan2.1-I2V-14B, 14 288 901 184 for an expert of A14B.
    """  # fmt: skip

    def linear(rows: int, columns: int) -> int:
        return rows * columns + columns

    attention = 4 * linear(dim, dim)
    feed_forward = linear(dim, ffn_dim) + linear(ffn_dim, dim)
    image_keys = 2 * linear(dim, dim) if image_dim else 0
    cast = layers * (2 * attention + image_keys + feed_forward)
    norms_and_table = 4 * dim + 2 * dim + 6 * dim + (dim if image_dim else 0)
    outside = linear(4 * in_channels, dim) + linear(dim, 4 * out_channels) + 2 * dim
    outside += linear(freq_dim, dim) + linear(dim, dim) + linear(dim, 6 * dim) + linear(text_dim, dim)
    outside += linear(dim, dim)
    if image_dim:
        outside += 2 * image_dim + linear(image_dim, image_dim) + linear(image_dim, dim) + 2 * dim
    return cast + layers * norms_and_table + outside, cast


_WAN21_VAE = Vae(weights=126_892_531, values=4880, values_tiled=4880)
# It works on squares of 2 x 2 pixels, in tiles of 256 x 256 pixels.
_WAN22_VAE = Vae(weights=704_688_668, values=5400, values_tiled=5700, stride=(4, 16))
# In the transformer's type: the stock pipelines hand its latents over as they are.
_COGVIDEOX_VAE = Vae(weights=215_583_907, values=22_800, values_tiled=22_800, tile=(240, 360), itemsize=2)


def _wan(dim: int, ffn_dim: int, layers: int, channels: tuple[int, int], vae: Vae, image: bool, experts: int) -> Shape:
    weights, cast = wan_weights(dim, ffn_dim, layers, *channels, image_dim=1280 if image else None)
    return Shape(dim, ffn_dim, layers, weights, cast, vae, experts, image_encoder=632_076_800 if image else 0)


def _cogvideox(weights: int) -> Shape:
    return Shape(
        3072, 12_288, 42, weights, 4_759_337_984, _COGVIDEOX_VAE,
        text_encoder=4_762_310_656, text_leaf=32_128 * 4096, branches=2,
    )  # fmt: skip


# 42 fusers, the trajectory extractor, and the statistics of its norms.
_TORA_WEIGHTS = 669_441_024 + 24_910_976 + 43_008

SHAPES: Mapping[str, Shape] = {
    "wan2.1-i2v-14b": _wan(5120, 13_824, 40, (36, 16), _WAN21_VAE, True, 1),
    "wan2.2-i2v-a14b": _wan(5120, 13_824, 40, (36, 16), _WAN21_VAE, False, 2),
    "wan2.2-ti2v-5b": _wan(3072, 14_336, 30, (48, 48), _WAN22_VAE, False, 1),
    "cogvideox-5b": _cogvideox(5_570_283_072),
    "cogvideox-5b-i2v": _cogvideox(5_570_479_680),
}
"""By `ModelCard.architecture`."""


def shape_of(card: ModelCard) -> Shape | None:
    """The shape of a model's architecture, with what its method adds; None where it is not in `SHAPES`."""
    shape = SHAPES.get(card.architecture or "")
    if shape is None or "tora" not in card.methods:
        return shape
    return replace(shape, adapter=_TORA_WEIGHTS, adapter_leaf=3 * 768 * 3072, adapter_channels=128, window=49)


@dataclass(frozen=True)
class Need:
    """Bytes a run needs, by what they are for.

    Attributes:
        transformer: of one expert as loaded; transformer_fp8: with its blocks stored in fp8, the same where it is
            quantised already.
        experts: how many there are.
        block: of the largest block; outside: of what is in no block.
        encoders: text and image encoder together; largest_encoder; largest_layer: of any of their layers.
        vae: weights. decode, decode_tiled: what decoding takes beside them.
        activations: what one pass of the transformer takes beside its weights.
        at_once: frames of one pass; fewer than ``num_frames`` where a clip is made in windows.
        adapter: weights of what a method adds beside the transformer; adapter_layer: of its largest layer.
        size, num_frames, batch: of the run.
    """

    transformer: int
    transformer_fp8: int
    block: int
    outside: int
    encoders: int
    largest_encoder: int
    largest_layer: int
    vae: int
    decode: int
    decode_tiled: int
    activations: int
    size: tuple[int, int]
    num_frames: int
    at_once: int
    batch: int = 1
    experts: int = 1
    adapter: int = 0
    adapter_layer: int = 0

    @property
    def weights(self) -> int:
        """Bytes of all parts as loaded."""
        return self.experts * self.transformer + self.adapter + self.encoders + self.vae


def need_of_shape(
    shape: Shape, size: tuple[int, int], num_frames: int, *, batch: int = 1, itemsize: int = 2, caching: bool = False
) -> Need:
    """What an architecture needs before anything of it is loaded.

    Args:
        size: (height, width) of the clip. batch: videos made at once.
        itemsize: bytes per weight of transformer and encoders as loaded; the VAE's are those of its shape.
        caching: with a step cache (`models.caches`), which keeps three hidden states per branch of guidance.
    """
    at_once = min(num_frames, shape.window or num_frames)
    tokens, whole = (token_count(size, frames, shape.vae.stride, shape.patch) for frames in (at_once, num_frames))
    decode, tiled = decode_bytes(shape.vae, size, num_frames, shape.vae.itemsize)
    features = shape.layers * shape.adapter_channels * (tokens if at_once == num_frames else 2 * whole) * itemsize
    return Need(
        transformer=shape.weights * itemsize,
        transformer_fp8=(shape.weights - shape.cast) * itemsize + shape.cast,
        block=shape.cast // shape.layers * itemsize,
        outside=(shape.weights - shape.cast) * itemsize,
        experts=shape.experts,
        encoders=(shape.text_encoder + shape.image_encoder) * itemsize,
        largest_encoder=max(shape.text_encoder, shape.image_encoder) * itemsize,
        largest_layer=shape.text_leaf * itemsize,
        vae=shape.vae.weights * shape.vae.itemsize,
        decode=decode,
        decode_tiled=tiled,
        activations=features
        + activation_bytes(tokens, shape.dim, shape.ffn_dim, itemsize, batch=batch * shape.branches, caching=caching),
        size=size,
        num_frames=num_frames,
        at_once=at_once,
        batch=batch,
        adapter=shape.adapter * itemsize,
        adapter_layer=shape.adapter_leaf * itemsize,
    )


def need_of_card(card: ModelCard, *, itemsize: int = 2) -> Need | None:
    """What a model of the catalogue needs at its native size; None where its architecture is not in `SHAPES`."""
    shape = shape_of(card)
    if shape is None:
        return None
    return need_of_shape(shape, card.native_size or (480, 832), card.num_frames or 81, itemsize=itemsize)


def need_of(
    pipeline: Any,
    size: tuple[int, int],
    num_frames: int,
    *,
    windows: Sequence[slice] | None = None,
    batch: int = 1,
    caching: bool = False,
) -> Need:
    """What a loaded pipeline needs, from its own modules: any diffusers video pipeline with a ``transformer``.

    Args:
        windows: latent frames of each, where a clip is made in windows; by default those that the pipeline itself would
            choose.
    """
    from torch import nn

    parts: dict[str, Any] = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    experts = [parts[name] for name in ("transformer", "transformer_2") if name in parts]
    encoders = [parts[name] for name in ("text_encoder", "image_encoder") if name in parts]
    first, vae = experts[0], parts["vae"]
    sizes = [_transformer_bytes(expert) for expert in experts]
    whole, stored, block, outside = (max(column) for column in zip(*sizes, strict=True))
    dim, ffn_dim = _widths(first)
    stride = (int(pipeline.vae_scale_factor_temporal), int(pipeline.vae_scale_factor_spatial))
    patch = first.config.patch_size
    latents = (num_frames - 1) // stride[0] + 1
    if windows is None:
        windows = [slice(0, latents)] if not hasattr(pipeline, "windows") else list(pipeline.windows(num_frames))
    lengths = [window.stop - window.start for window in windows]
    at_once = min(num_frames, (lengths[0] - 1) * stride[0] + 1)
    per_latent = token_count(size, 1, stride, patch if isinstance(patch, int) else int(patch[-1]))
    tokens = per_latent * min(latents, lengths[0])
    decode, tiled = decode_bytes(_vae_of(vae, stride), size, num_frames, vae.dtype.itemsize)
    adapter = parts.get("adapter")
    kept = 0 if adapter is None else adapter.config.num_layers * adapter.config.condition_channels
    branches = 2 if type(first).__name__ == "CogVideoXTransformer3DModel" else 1
    return Need(
        transformer=whole,
        transformer_fp8=stored,
        block=block,
        outside=outside,
        experts=len(experts),
        encoders=sum(map(module_bytes, encoders)),
        largest_encoder=max(map(module_bytes, encoders), default=0),
        largest_layer=max((tensor_bytes(layer) for part in encoders for layer in part.modules()), default=0),
        vae=module_bytes(vae),
        decode=decode,
        decode_tiled=tiled,
        activations=kept * per_latent * sum(lengths) * first.dtype.itemsize
        + activation_bytes(tokens, dim, ffn_dim, first.dtype.itemsize, batch=batch * branches, caching=caching),
        size=size,
        num_frames=num_frames,
        at_once=at_once,
        batch=batch,
        adapter=0 if adapter is None else module_bytes(adapter),
        adapter_layer=0 if adapter is None else max(tensor_bytes(layer) for layer in adapter.modules()),
    )


def token_count(size: tuple[int, int], num_frames: int, stride: tuple[int, int], patch: int) -> int:
    """Tokens of a clip of (height, width): 32 760 for 81 frames at 480x832 of Wan 2.1."""
    frames = (num_frames - 1) // stride[0] + 1
    return frames * (size[0] // stride[1] // patch) * (size[1] // stride[1] // patch)


def activation_bytes(
    tokens: int, dim: int, ffn_dim: int, itemsize: int, *, batch: int = 1, caching: bool = False
) -> int:  # fmt: skip
    """What one pass holds beside weights: the widest place of a block, and with a cache what is kept between steps."""
    at_two = itemsize == 2
    widest = max(_ATTENTION[2 if at_two else 4] * dim, _HIDDEN * dim + 2 * ffn_dim)
    kept = 6 * dim if caching else 0
    return int(batch * tokens * (widest + kept) * itemsize)


def decode_bytes(vae: Vae, size: tuple[int, int], num_frames: int, itemsize: int) -> tuple[int, int]:
    """What decoding one clip holds beside weights: whole frames, and in tiles."""
    area = size[0] * size[1]
    clip = _FRAME_CHANNELS * num_frames * area
    tile = min(vae.tile[0], size[0]) * min(vae.tile[1], size[1])
    whole = vae.values * area + 1.2 * clip
    # Tiles overlap by a quarter and are kept until all are there; then rows, and the whole, are put together.
    tiled = max(vae.values_tiled * tile + 1.8 * clip, 4 * clip)
    return int(whole * itemsize), int(min(tiled, whole) * itemsize)


def module_bytes(module: Any) -> int:
    """Bytes of all parameters and buffers of a module; tied ones count once."""
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def tensor_bytes(module: Any) -> int:
    """Bytes of a module's own parameters and buffers, without those of its children."""
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return sum(tensor.numel() * tensor.element_size() for tensor in own)


def castable_layers(transformer: Any) -> dict[str, Any]:
    """The layers that fp8 storage makes smaller, by name: ordinary linear and convolution layers of 2 bytes or more per
    weight, outside of norms, embeddings and adapters. Quantised layers are not among them."""
    from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN
    from torch import nn

    patterns = (
        *DEFAULT_SKIP_MODULES_PATTERN,
        *(getattr(transformer, "_keep_in_fp32_modules", None) or ()),
        *(getattr(transformer, "_skip_layerwise_casting_patterns", None) or ()),
        "lora_",
    )
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)
    return {
        name: layer
        for name, layer in transformer.named_modules()
        if type(layer) in kinds
        and layer.weight.is_floating_point()
        and layer.weight.element_size() >= 2
        and not any(re.search(pattern, name) for pattern in patterns)
    }


def blocks_of(transformer: Any) -> list[Any]:
    """The repeated blocks of a transformer: the members of its own lists of modules."""
    from torch import nn

    return [block for child in transformer.children() if isinstance(child, nn.ModuleList) for block in child]


def _transformer_bytes(transformer: Any) -> tuple[int, int, int, int]:
    """Bytes as loaded, with fp8 storage, of the largest block, outside of blocks."""
    whole = module_bytes(transformer)
    saved = sum(
        tensor.numel() * (tensor.element_size() - 1)
        for layer in castable_layers(transformer).values()
        for tensor in layer.parameters(recurse=False)
    )
    blocks = [module_bytes(block) for block in blocks_of(transformer)]
    return whole, whole - saved, max(blocks, default=0), whole - sum(blocks)


def _widths(transformer: Any) -> tuple[int, int]:
    """Width of the hidden states, and of the feed-forward layer."""
    config = transformer.config
    dim = int(config.num_attention_heads) * int(config.attention_head_dim)
    return dim, int(getattr(config, "ffn_dim", None) or 4 * dim)


def _vae_of(vae: Any, stride: tuple[int, int]) -> Vae:
    """The published decoders, scaled to the width of this one; generous for others."""
    kind, config = type(vae).__name__, vae.config
    if kind == "AutoencoderKLWan":
        known = _WAN22_VAE if config.is_residual else _WAN21_VAE
        scale = (config.decoder_base_dim or config.base_dim) / (256 if config.is_residual else 96)
        tile = (int(vae.tile_sample_min_height), int(vae.tile_sample_min_width))
    elif kind == "AutoencoderKLCogVideoX":
        known, scale, tile = _COGVIDEOX_VAE, config.block_out_channels[0] / 128, _COGVIDEOX_VAE.tile
    else:
        known, scale, tile = Vae(0, 64, 64), 1.0, (1 << 30, 1 << 30)
    return Vae(0, known.values * scale, known.values_tiled * scale, tile, stride)
