"""The causal video codecs of Wan as every program stores them, into `diffusers.AutoencoderKLWan`.

The original file of Wan 2.1 numbers the residual and resampling blocks of each half one after the other. diffusers
keeps that for the encoder and groups the decoder by resolution; where a group ends is read off the names, so that any
number of blocks converts. The file of Wan 2.2 (TI2V-5B) groups both halves itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.configs import published_config

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

_PREFIX = re.compile(r"^(?:first_stage_model\.|vae\.|model\.|module\.)")
_TOP = {
    "conv1": "quant_conv",
    "conv2": "post_quant_conv",
    "encoder.conv1": "encoder.conv_in",
    "decoder.conv1": "decoder.conv_in",
    "encoder.head.0": "encoder.norm_out",
    "decoder.head.0": "decoder.norm_out",
    "encoder.head.2": "encoder.conv_out",
    "decoder.head.2": "decoder.conv_out",
}
_RESIDUAL = {
    "residual.0": "norm1",
    "residual.2": "conv1",
    "residual.3": "norm2",
    "residual.6": "conv2",
    "shortcut": "conv_shortcut",
}
_MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}


def is_vae(shapes: Shapes) -> bool:
    """Whether these are the tensors of a causal video codec of the Wan family, of any naming."""
    names = {_PREFIX.sub("", key) for key in shapes}
    if not {"encoder.conv1.weight", "decoder.conv1.weight", "conv2.weight"} <= names:
        return {"encoder.conv_in.weight", "post_quant_conv.weight", "decoder.norm_out.gamma"} <= names
    return True


def latent_channels(shapes: Shapes) -> int | None:
    """Channels of the latents, None if these tensors are of no such codec."""
    for key, shape in shapes.items():
        if _PREFIX.sub("", key) in ("conv2.weight", "post_quant_conv.weight"):
            return shape[0]
    return None


class VaeNames:
    """From the names of a file to those of `diffusers.AutoencoderKLWan`; diffusers' own pass.

    Args:
        keys: all keys of the file; the numbers of its resampling blocks say where a resolution ends.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        ends = {
            int(found[1])
            for key in keys
            if (found := re.match(r"decoder\.upsamples\.(\d+)\.(?:resample|time_conv)\.", _PREFIX.sub("", key)))
        }
        self._ends = sorted(ends)

    def __call__(self, key: str) -> str:
        bare = _PREFIX.sub("", key)
        stem, _, leaf = bare.rpartition(".")
        if stem in _TOP:
            return f"{_TOP[stem]}.{leaf}"
        half, _, rest = stem.partition(".")
        kind, _, rest = rest.partition(".")
        number, _, inner = rest.partition(".")
        if kind == "middle" and number in _MIDDLE:
            return f"{half}.mid_block.{_MIDDLE[number]}.{_RESIDUAL.get(inner, inner)}.{leaf}"
        if inner.startswith(("downsamples.", "upsamples.")):
            sampler, _, rest = inner.partition(".")
            place, _, inner = rest.partition(".")
            blocks, single = ("down_blocks", "downsampler") if sampler == "downsamples" else ("up_blocks", "upsampler")
            one = single if inner.startswith(("resample", "time_conv")) else f"resnets.{place}"
            return f"{half}.{blocks}.{number}.{one}.{_RESIDUAL.get(inner, inner)}.{leaf}"
        if kind == "downsamples":
            return f"{half}.down_blocks.{number}.{_RESIDUAL.get(inner, inner)}.{leaf}"
        if kind == "upsamples":
            return f"{half}.up_blocks.{self._grouped(int(number))}.{_RESIDUAL.get(inner, inner)}.{leaf}"
        return bare

    def _grouped(self, number: int) -> str:
        group = sum(end < number for end in self._ends)
        start = self._ends[group - 1] + 1 if group else 0
        return f"{group}.upsamplers.0" if number in self._ends else f"{group}.resnets.{number - start}"


def convert_vae(named: Iterable[tuple[str, Tensor]], keys: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    """Tensors under their diffusers names, as they come; ``keys`` are all there are."""
    rename = VaeNames(keys)
    for key, tensor in named:
        yield rename(key), tensor


def vae_config(shapes: Shapes, where: str | Path) -> dict[str, Any]:
    """The configuration of the codec that these shapes have: that of Wan 2.1 (and of Wan 2.2 A14B), 16 channels, or of
    Wan 2.2 TI2V-5B, 48. What shapes do not show, the statistics of the latents above all, is as published.

    Raises:
        CheckpointError: no such codec, or one with other latents.
    """
    rename = VaeNames(shapes)
    named = {rename(key): tuple(shape) for key, shape in shapes.items()}
    channels = latent_channels(shapes)
    if channels is None or not {"encoder.conv_in.weight", "decoder.conv_out.weight"} <= named.keys():
        raise CheckpointError(
            f"{where}: is no video codec of Wan: its convolutions were not found; expected Wan2.1_VAE.pth, "
            "wan_2.1_vae.safetensors, or the vae folder of a diffusers repository"
        )
    if channels not in _PUBLISHED:
        raise CheckpointError(
            f"{where}: a codec with {channels} latent channels, expected 16 (Wan 2.1, Wan 2.2 A14B) or 48 (Wan 2.2 "
            "TI2V-5B); the statistics of other latents have to be in a config.json beside it"
        )
    base = named["encoder.conv_in.weight"][0]
    levels = _levels(named)
    multiples = [width / base for width, _, _ in levels]
    if not levels or any(multiple % 1 for multiple in multiples):
        raise CheckpointError(f"{where}: a codec without its resolutions; the file is incomplete")
    return {
        **{key: value for key, value in published_config(_PUBLISHED[channels], "vae").items() if key[0] != "_"},
        "base_dim": base,
        "decoder_base_dim": named["decoder.conv_out.weight"][1],
        "dim_mult": [int(multiple) for multiple in multiples],
        "num_res_blocks": levels[0][1],
        "temperal_downsample": [in_time for _, _, in_time in levels[:-1]],
    }


_PUBLISHED = {16: "wan2.1-i2v-14b", 48: "wan2.2-ti2v-5b"}


def _levels(named: Shapes) -> list[tuple[int, int, bool]]:
    """(channels, residual blocks, whether time is halved after it) of every resolution of the encoder."""
    grouped: dict[int, dict[str, int]] = {}  # block: what is in it, and its channels
    for name, shape in named.items():
        found = re.match(
            r"encoder\.down_blocks\.(\d+)\.(?:resnets\.(\d+)\.|downsampler\.)?(conv2|resample|time_conv)", name
        )
        if found and name.endswith(".weight"):
            grouped.setdefault(int(found[1]), {})[f"{found[3]}{found[2] or ''}"] = shape[0]
    levels: list[tuple[int, int, bool]] = []
    widths: list[int] = []
    for number in sorted(grouped):
        inside = grouped[number]
        widths += [width for kind, width in inside.items() if kind.startswith("conv2")]
        # Grouped files have a resolution in each block, the others one part of it.
        if "resample" in inside or "conv21" in inside or number == max(grouped):
            if widths:
                levels.append((widths[-1], len(widths), "time_conv" in inside))
            widths = []
    return levels


def load_vae(
    paths: str | Path | Sequence[str | Path],
    *,
    config: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Any:
    """A `diffusers.AutoencoderKLWan` in float32: its errors would be seen in every frame.

    Args:
        paths: one file, or the vae folder of a diffusers repository.
        config: the config.json beside it; read off the tensors when not given.
        on_progress: called with the number of tensors done and in all.

    Raises:
        CheckpointError: another kind of model, or keys are missing, left over, or of another shape.
    """
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    from motionloom.models.checkpoints.fill import fill
    from motionloom.models.checkpoints.source import open_source

    source = open_source(paths)
    settings = dict(config) if config else vae_config(source.shapes, source.name)
    build: Any = AutoencoderKLWan.from_config
    model: Any = fill(
        lambda: build(settings),
        source,
        lambda named: convert_vae(named, source.shapes),
        dtype=torch.float32,
        device=device,
        on_progress=on_progress,
    )
    return model.eval()
