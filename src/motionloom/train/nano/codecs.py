"""The codec that nano is trained through: that of an earlier run, or a new one."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from numpy.typing import NDArray

from motionloom.errors import CheckpointError
from motionloom.models.nano.codec import BlockCodec
from motionloom.prepare.procedural import render, sample_scene
from motionloom.train.latents import Codec
from motionloom.train.nano.recipe import NanoRecipe
from motionloom.train.vae import train_vae

_AT_ONCE = 16
_FACTS = "training.json"


def has_codec(out: Path) -> bool:
    """A run's folder has its codec."""
    return (out / "codec" / "config.json").exists()


def load_codec(out: Path, recipe: NanoRecipe) -> Codec:
    """The codec that `make_codec` wrote.

    Raises:
        CheckpointError: it was made for another recipe.
    """
    kind = AutoencoderKLWan if recipe.codec == "vae" else BlockCodec
    folder = out / "codec"
    made = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = made.get("_class_name"), made.get("z_dim"), tuple(made.get("wavelengths", ()))
    wanted = kind.__name__, _channels(recipe), () if recipe.codec == "vae" else tuple(recipe.wavelengths)
    if found != wanted:
        raise CheckpointError(
            f"{folder}: made for another recipe: a {found[0]} of {found[1]} channels with wavelengths {found[2]}, "
            f"expected a {wanted[0]} of {wanted[1]} with {wanted[2]}; use the same options, or another folder"
        )
    return kind.from_pretrained(folder)


def _channels(recipe: NanoRecipe) -> int:
    """Of the latents: those of the pictures, and those of the provenance where the codec tells it."""
    return recipe.latent_channels + (0 if recipe.codec == "vae" else 4 * len(recipe.wavelengths))


def codec_seconds(out: Path) -> float:
    """How long `make_codec` took for the codec of a run."""
    return float(json.loads((out / "codec" / _FACTS).read_text(encoding="utf-8"))["seconds"])


def make_codec(
    out: Path,
    recipe: NanoRecipe,
    photographs: Sequence[NDArray[np.uint8]] | None,
    *,
    seconds: float,
    device: torch.device,
) -> None:
    """Fit the closed-form codec to pictures of the last stage, or train a small `AutoencoderKLWan`; into ``out/codec``.

    Args:
        seconds: of training; one that was stopped goes on where its checkpoint in ``out`` says.
    """
    started = time.monotonic()
    if recipe.codec == "vae":
        codec: Codec = train_vae(
            recipe.latent_channels,
            seconds=seconds,
            seed=recipe.seed,
            style=recipe.style,
            photographs=photographs,
            device=device,
            checkpoint=out / "codec.safetensors",
        )
    else:
        last = recipe.stages[-1]
        side = round(last.side / last.view)
        groups = [range(s, min(s + _AT_ONCE, recipe.codec_clips)) for s in range(0, recipe.codec_clips, _AT_ONCE)]
        videos = []
        for group in groups:
            scene = sample_scene(
                recipe.seed, group, resolution=side, style=recipe.style, photographs=photographs, device=device
            )
            videos.append(render(scene, (side, side)).transpose(1, 2).cpu() * 2 - 1)
        codec = BlockCodec.fit(videos, _channels(recipe), wavelengths=recipe.wavelengths)
    draft = out / ".codec.partial"
    codec.save_pretrained(draft)
    spent = seconds if recipe.codec == "vae" else time.monotonic() - started
    (draft / _FACTS).write_text(json.dumps({"seconds": round(spent, 1)}) + "\n", encoding="utf-8")
    draft.replace(out / "codec")
