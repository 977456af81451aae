"""Options of a method: the arguments that its pipeline takes beyond the stock ones."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from motionloom.errors import InputError

_OF_THE_MODEL = {
    "tracks", "strength", "window", "motion_frames", "motion_mask", "preprocessing", "self", "args", "kwargs",
}  # fmt: skip

_PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
}


def options_of(pipeline: type[Any], stock: type[Any]) -> dict[str, str]:
    """What each option of a pipeline takes, as its annotation says, by name.

    Args:
        pipeline: with a `__call__` of its own, or several that hand on what they do not know.
        stock: the pipeline of diffusers under it.
    """
    known = set(inspect.signature(stock.__call__).parameters) | _OF_THE_MODEL
    own = [kind for kind in pipeline.__mro__ if "__call__" in vars(kind) and not issubclass(stock, kind)]
    parameters = [each for kind in reversed(own) for each in inspect.signature(kind.__call__).parameters.values()]
    return {parameter.name: str(parameter.annotation) for parameter in parameters if parameter.name not in known}


def check_options(options: Mapping[str, Any], known: Mapping[str, str], method: str) -> None:
    """Refuse options that a method does not know, and text or lists where it wants a number or true or false.

    Args:
        options: as given; known: see `options_of`. What takes anything else is checked by the method itself.

    Raises:
        InputError: names the option.
    """
    for name, value in options.items():
        if name not in known:
            raise InputError(
                f"options: {method} knows no {name!r}, expected one of {', '.join(sorted(known)) or 'none'}"
            )
        takes = known[name].split(" | ")
        kinds = [_PLAIN[kind] for kind in takes if kind in _PLAIN]
        if len(kinds) != len([kind for kind in takes if kind != "None"]) or (value is None and "None" in takes):
            continue
        fits = any(isinstance(value, types) and (bool in types or not isinstance(value, bool)) for types, _ in kinds)
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            raise InputError(f"{name}: found {value!r}, expected {' or '.join(words for _, words in kinds)}")
