"""Which LoRA, how strongly, on which expert: as a value, and as the command line says it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

from motionloom.errors import InputError

Expert = Literal["high", "low", "both"]
"""Of the two transformers of Wan 2.2 A14B: "high" denoises first (``transformer``), "low" last (``transformer_2``)."""

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]?")


@dataclass(frozen=True)
class LoraSpec:
    """A LoRA to load.

    Attributes:
        path: the file, or a folder with one LoRA in it.
        strength: factor on the change of the weights; 1 as trained, 0 the base model exactly, negative the opposite.
        expert: of a model that has two; None: as the file's header or its name says, else both.
        name: of the adapter, by which its strength can be changed later; by default made from the file's name.

    Raises:
        InputError: a strength that is no finite number, or an unknown expert.
    """

    path: Path
    strength: float = 1.0
    expert: Expert | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not math.isfinite(self.strength):
            raise InputError(f"lora {self.path.name}: found strength {self.strength}, expected a finite number")
        if self.expert is not None and self.expert not in get_args(Expert):
            raise InputError(f"lora {self.path.name}: found expert {self.expert!r}, expected high, low or both")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A spec from ``FILE[:strength[:expert]]``; ``FILE:expert`` alone is understood too.

        Colons inside FILE are kept: drive letters, and anything in front of the suffix of a weights file.

        Raises:
            InputError: nothing that could be a file, a strength that is no number, an unknown expert, or more parts.
        """
        file, options = _split(text.strip())
        if not file or _DRIVE.fullmatch(file):
            raise InputError(
                f"lora: found {text!r}, expected FILE[:strength[:expert]], as in orbit.safetensors:0.8:high"
            )
        strength, expert = 1.0, None
        if len(options) == 1 and options[0].lower() in get_args(Expert):
            options = ["", *options]
        if len(options) > 2:
            raise InputError(f"lora {text!r}: found {len(options)} parts after the file, expected strength and expert")
        if options and options[0]:
            try:
                strength = float(options[0])
            except ValueError:
                raise InputError(
                    f"lora {text!r}: found {options[0]!r}, expected a strength such as 0.8, or high, low or both"
                ) from None
        if len(options) == 2:
            expert = options[1].lower() or None
        return cls(Path(file), strength, expert)  # pyright: ignore[reportArgumentType]

    def __str__(self) -> str:
        """What `parse` takes for the same spec, but for the name."""
        strength = f"{self.strength:g}" if float(f"{self.strength:g}") == self.strength else repr(self.strength)
        return f"{self.path}:{strength}" + (f":{self.expert}" if self.expert else "")


def _split(text: str) -> tuple[str, list[str]]:
    """The file, and what follows it after colons."""
    ends = [text.lower().rfind(suffix) + len(suffix) for suffix in _SUFFIXES if suffix in text.lower()]
    ends = [end for end in ends if end == len(text) or text[end] == ":"]
    if ends:
        end = max(ends)
        return text[:end], text[end + 1 :].split(":") if end < len(text) else []
    # A folder: the last parts are options as long as they look like some; a drive letter never does.
    drive = _DRIVE.match(text)
    start = drive.end() if drive else 0
    file, *options = text[start:].split(":")
    while len(options) > 2:
        file, options = f"{file}:{options[0]}", options[1:]
    return text[:start] + file, options
