"""Configurations of the published models, shipped with the package: nothing is asked of a hub for them."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

from motionloom.errors import InputError

ARCHITECTURES = ("wan2.1-i2v-14b", "wan2.2-i2v-a14b", "wan2.2-ti2v-5b", "cogvideox-5b", "cogvideox-5b-i2v")
"""What ``models/configs`` has a file of."""


def published_config(architecture: str, part: str) -> dict[str, Any]:
    """The configuration of a part, as diffusers or transformers write it.

    Args:
        architecture: one of `ARCHITECTURES`. ATI and Wan-Move are ``wan2.1-i2v-14b``.
        part: "model_index", "transformer", "transformer_2", "vae", "text_encoder", "image_encoder", "image_processor"
            or "scheduler"; of CogVideoX no encoder's.

    Raises:
        InputError: no such architecture, or one without that part.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"architecture: found {architecture!r}, expected one of {', '.join(ARCHITECTURES)}")
    parts = json.loads(_text(architecture))
    if part not in parts:
        raise InputError(f"part: {architecture} has {', '.join(parts)}; found {part!r}")
    return parts[part]


@lru_cache
def _text(architecture: str) -> str:
    return (resources.files("motionloom.models") / "configs" / f"{architecture}.json").read_text(encoding="utf-8")
