"""What ``training.json`` in a folder of nano says about how it is run; read without loading torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from motionloom.errors import CheckpointError
from motionloom.methods.ati.choices import Grid
from motionloom.methods.wan_move.choices import Collision, Pooling
from motionloom.models.nano.guidance import GUIDANCE, UNSAID, Guidance

_TAKEN: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "ati": {
        "temperature": lambda value: type(value) in (int, float) and 0 < value < float("inf"),
        "top_k": lambda value: type(value) is int and value >= 1,
        "grid": lambda value: value in get_args(Grid),
    },
    "wan_move": {
        "pooling": lambda value: value in get_args(Pooling),
        "collision": lambda value: value in get_args(Collision),
    },
}


def distilled_steps(facts: Mapping[str, Any]) -> tuple[int, ...]:
    """The step counts the weights were distilled to; none where nothing is said."""
    return tuple(sorted(int(steps) for steps in facts.get("distilled_steps", ())))


def takes_last_image(facts: Mapping[str, Any]) -> bool:
    """The weights were trained with a last frame now and then."""
    mix = facts.get("recipe", {}).get("mix") or {}
    return mix.get("last_frame", 0) > 0


def default_steps(facts: Mapping[str, Any]) -> int:
    """``default_steps`` if it is said, otherwise the most steps the weights were distilled to, otherwise one."""
    return int(facts.get("default_steps") or max(distilled_steps(facts), default=1))


def guidance(facts: Mapping[str, Any], folder: Path | None = None) -> Guidance:
    """What the methods were told in training; `UNSAID` where nothing is said.

    Args:
        folder: of the facts, for the error.

    Raises:
        CheckpointError: it says something that no method takes.
    """
    told = facts.get("guidance")
    if told is None:
        return UNSAID
    entries = told.items() if isinstance(told, Mapping) else [("guidance", {"": told})]
    for method, options in entries:
        for name, value in options.items() if isinstance(options, Mapping) else [("", options)]:
            allowed = _TAKEN.get(method, {}).get(name)
            if allowed is None or not allowed(value):
                where = folder / "training.json" if folder else "training.json"
                raise CheckpointError(
                    f"{where}: found {value!r} for {name or 'the options'} of {method} under guidance, which no "
                    f"training writes; expected something like {GUIDANCE}; fetch the folder again, or train again"
                )
    return told
