"""LoRAs that jobs may name: the safetensors files in the folder ``loras`` of the data folder."""

from __future__ import annotations

import re
from pathlib import Path

from motionloom.studio.problems import Refused
from motionloom.studio.schemas import Lora

_FEW_STEP = re.compile(r"lightning|lightx2v|causvid|distill|turbo|accvid|fastwan|dmd|lcm|[248][-_ ]?steps?", re.I)


def list_loras(data: Path) -> list[Lora]:
    """The LoRAs of a data folder by name. ``few_step`` is a guess from the name; a job may say otherwise."""
    return [
        Lora(name=path.stem, size=path.stat().st_size, few_step=_FEW_STEP.search(path.stem) is not None)
        for path in _files(data)
    ]


def find_lora(data: Path, name: str) -> Path:
    """The file of a LoRA.

    Raises:
        Refused: ``bad_request``, with the names there are.
    """
    for path in _files(data):
        if path.stem == name:
            return path
    names = ", ".join(path.stem for path in _files(data)) or "none; put *.safetensors files in the folder loras"
    raise Refused("bad_request", f"lora: found {name[:80]!r}, this server has {names}")


def _files(data: Path) -> list[Path]:
    folder = data / "loras"
    if not folder.is_dir():
        return []
    inside = folder.resolve()
    # A link that leads elsewhere would let a job read any file of this machine.
    return sorted(
        path
        for path in folder.glob("*.safetensors")
        if path.is_file() and not path.name.startswith(".") and path.resolve().is_relative_to(inside)
    )
