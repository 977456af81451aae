"""What ``training.json`` in a folder of nano says about how it is run; read without loading torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motionloom.errors import CheckpointError
from motionloom.models.nano.guidance import GUIDANCE, PUBLISHED, Guidance


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


def guidance(facts: Mapping[str, Any]) -> Guidance:
    """What the methods were told in training; the published numbers where nothing is said.

    Raises:
        CheckpointError: it says something that no method takes.
    """
    told = facts.get("guidance")
    if told is None:
        return PUBLISHED
    for method, options in told.items() if isinstance(told, Mapping) else [("guidance", told)]:
        known = GUIDANCE.get(method, {})
        wrong = sorted(set(options) - set(known)) if isinstance(options, Mapping) else [repr(options)]
        if wrong or not isinstance(options.get("temperature", 1.0), int | float):
            raise CheckpointError(
                f"training.json: guidance: found {wrong or options} for {method}, "
                f"expected {', '.join(known) or ' or '.join(GUIDANCE)}; train again, or leave guidance out"
            )
    return told
