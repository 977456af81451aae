"""Names of modules of a Wan transformer: the original program's, those of flat LoRA keys, and diffusers'."""

from __future__ import annotations

import re

from motionloom.models.checkpoints.wan_keys import BLOCK_MODULES, IMAGE_MODULES, OUTER_MODULES

# `modulation` is a parameter of the block, or of the head, not of a module below it.
_TABLES = {"head": "", "head.modulation": ""}

_BLOCK_BACK = {new: old for old, new in BLOCK_MODULES.items()}
_TOP_BACK = {new: old for old, new in OUTER_MODULES.items()}
_BLOCK_FLAT = {name.replace(".", "_"): new for new, old in _BLOCK_BACK.items() for name in (old, new)}
_TOP_FLAT = {name.replace(".", "_"): new for new, old in _TOP_BACK.items() for name in (old, new)}

TARGETS = tuple(new for old, new in BLOCK_MODULES.items() if "norm" not in old)
"""The linear layers of a block that a LoRA of musubi-tuner changes, by diffusers' names: 12 with the image branch."""

IMAGE_TARGETS = tuple(f"attn2.{new}" for old, new in IMAGE_MODULES.items())
"""Modules of a block that only models with a CLIP image branch have."""


def module_name(name: str) -> str | None:
    """diffusers' name of a module by its original, its flat or its own diffusers name; None if there is none such.

    "blocks.3.self_attn.q", "blocks_3_self_attn_q" and "blocks.3.attn1.to_q" all give the last.
    """
    if name in OUTER_MODULES or name in _TOP_BACK:
        return OUTER_MODULES.get(name, name)
    if name in _TOP_FLAT:
        return _TOP_FLAT[name]
    match = re.fullmatch(r"blocks([._])(\d+)[._](.+)", name)
    if match is None:
        return None
    rest = match[3]
    inside = (
        _BLOCK_FLAT.get(rest) if match[1] == "_" else BLOCK_MODULES.get(rest, rest if rest in _BLOCK_BACK else None)
    )
    return None if inside is None else f"blocks.{int(match[2])}.{inside}"


def table_name(name: str) -> str | None:
    """diffusers' name of the modulation of a block ("blocks.3" or "blocks.3.modulation") or of the head."""
    if name in _TABLES:
        return "scale_shift_table"
    match = re.fullmatch(r"blocks\.(\d+)(\.modulation)?", name)
    return f"blocks.{match[1]}.scale_shift_table" if match else None


def original_name(name: str) -> str:
    """The original name of a module by diffusers'; of ``scale_shift_table``: the block's or the head's."""
    if name in _TOP_BACK:
        return _TOP_BACK[name]
    if name == "scale_shift_table":
        return "head"
    _, index, rest = name.split(".", 2)
    return f"blocks.{index}" if rest == "scale_shift_table" else f"blocks.{index}.{_BLOCK_BACK[rest]}"


def block_of(name: str) -> int | None:
    """The number of the block a module or parameter of diffusers' name is in."""
    match = re.match(r"blocks\.(\d+)\.", name)
    return int(match[1]) if match else None
