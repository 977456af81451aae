"""JSON from outside, bounded before it is parsed: a list of two characters takes sixty bytes of memory."""

from __future__ import annotations

import re

from motionloom.studio.problems import Refused
from motionloom.studio.settings import Limits
from motionloom.tracks.validation import require_bounded_json

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_NEITHER = re.compile(rb"[^\[\]{}]+")


def require_bounded(content: bytes, limits: Limits, what: str = "body") -> None:
    """Refuses JSON that is too large, holds too many values, or is nested too deeply.

    Raises:
        Refused: ``too_large``; ``bad_request`` for another encoding than UTF-8.
    """
    if len(content) > limits.max_json_bytes:
        raise Refused("too_large", f"{what}: found more than {limits.max_json_bytes} bytes of JSON")
    if b"\0" in content or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        # Python's parser also reads UTF-16 and UTF-32, in which brackets cannot be counted like this.
        raise Refused("bad_request", f"{what}: is not UTF-8 text, expected JSON")
    try:
        require_bounded_json(content, limits.max_json_lists, limits.max_json_values)
    except ValueError as error:
        raise Refused("too_large", f"{what}: {error}") from None
    if nesting(content, limits.max_json_depth) > limits.max_json_depth:
        raise Refused("too_large", f"{what}: nested more deeply than {limits.max_json_depth} levels")


def nesting(content: bytes, limit: int) -> int:
    """How deeply lists and objects are nested, counted no further than just above ``limit``."""
    if content.count(b"[") + content.count(b"{") <= limit:
        return 0
    marks = _NEITHER.sub(b"", _STRING.sub(b"", content))
    depth = deepest = 0
    for mark in marks:
        if mark in b"[{":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > limit:
                    break
        else:
            depth -= 1
    return deepest
