"""A motion file that comes with a new project's photograph."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from motionloom.studio.problems import Refused
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion


def read_upload(name: str, content: bytes, image: bytes, limits: Limits) -> Motion:
    """The motion in an uploaded ``*.motion.json``.

    Raises:
        Refused, FileFormatError: it is none.
    """
    from motionloom.studio.json_bounds import require_bounded
    from motionloom.tracks.motion import Motion

    require_bounded(content, limits, "motion")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(
            "bad_request",
            f"motion: {name[:80]!r} is not a motion file (*.motion.json); POST /imports reads the other track formats",
        ) from None
    return Motion.parse(data, source="motion")
