"""JSON documents from strangers: bounded before they are parsed, and one line out of pydantic's many errors: where in
the document, what was found, what was expected."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

MAX_SHOWN = 60


def require_bounded_json(text: str | bytes, max_lists: int, max_values: int) -> None:
    """Refuses JSON whose values would fill the memory: a list of two characters takes sixty bytes once it is parsed.

    Args:
        max_lists: lists and objects together.
        max_values: commas, of which there is at most one per value.

    Raises:
        ValueError: too many of either; marks inside texts count as well.
    """
    marks = (b"[", b"{", b",") if isinstance(text, bytes) else ("[", "{", ",")
    lists, objects, commas = (text.count(mark) for mark in marks)  # type: ignore[arg-type]
    if lists + objects > max_lists or commas > max_values:
        raise ValueError(
            f"found {lists + objects} JSON lists and {commas} commas, expected at most {max_lists} and {max_values}"
        )


def one_line(error: ValidationError, data: Any, source: str) -> str:
    """The first problem as ``source: place: message``, and how many more there are.

    Args:
        data: what was validated, to tell places in it from the names pydantic gives to alternatives.
        source: the file or argument.
    """
    problems = error.errors(include_url=False)
    # Among alternatives the one that was followed furthest is what the author meant.
    first = max(problems, key=lambda problem: len(problem["loc"]))
    place = json_path(first["loc"], data, missing=first["type"] in ("missing", "extra_forbidden"))
    more = len({json_path(problem["loc"], data) for problem in problems}) - 1
    others = f" (and {more} more)" if more > 0 else ""
    return f"{source}: {place + ': ' if place else ''}{_message(first)}{others}"


def json_path(loc: tuple[int | str, ...], data: Any, *, missing: bool = False) -> str:
    """A place such as ``instructions[0].points[2].x``.

    Pydantic's locations also name the alternative of a union that was tried; what is no key of the data is left out,
    except a last one that is ``missing`` from it.
    """
    place, here = "", data
    for k, part in enumerate(loc):
        if isinstance(here, BaseModel):
            here = here.__dict__
        if isinstance(here, dict):
            if part not in here and not (missing and k == len(loc) - 1):
                continue
            place += f".{part}" if place else str(part)
            here = here.get(part)
        elif isinstance(part, int):
            place += f"[{part}]"
            here = here[part] if isinstance(here, (list, tuple)) and part < len(here) else None
        # Short forms [x, y] are lists in the data, but their parts are reported by name.
        elif isinstance(here, (list, tuple)) and part in ("x", "y", "frame", "value"):
            place += f".{part}"
            here = None
    return place


def _message(problem: Any) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return "missing; expected a value here"
    if kind == "extra_forbidden":
        return "unknown field; expected only the fields this format names"
    if kind == "union_tag_not_found":
        return "found no kind, expected one that names the instruction"
    if kind == "union_tag_invalid":
        return f"found kind {context['tag']!r}, expected one of {context['expected_tags']}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"found {context['actual_length']} items, expected {bound}"
    message = problem["msg"].removeprefix("Input should be ").removeprefix("Input should ")
    return f"found {shown(problem['input'])}, expected {message[0].lower() + message[1:]}"


def shown(value: Any) -> str:
    """A value as JSON, cut short."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
