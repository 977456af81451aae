"""What motionloom writes into the metadata of a clip: its exact size and rate, and its provenance, as JSON.

Containers round: H.264 needs even sides, GIF counts hundredths of a second. The envelope says what was meant, so that
a clip reads back as it was written.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

FORMAT = "motionloom.clip"
VERSION = 1
MAX_CHARACTERS = 256 * 1024 * 1024


@dataclass(frozen=True)
class Envelope:
    """Facts about a clip that its container cannot hold. ``size`` is (height, width)."""

    size: tuple[int, int]
    num_frames: int
    fps: float
    provenance: dict[str, Any]

    def dumps(self) -> str:
        """JSON on one line, ASCII only (GIF comments and EXIF know nothing else)."""
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "size": list(self.size),
                "num_frames": self.num_frames,
                "fps": self.fps,
                "provenance": self.provenance,
            },
            allow_nan=False,
        )

    @classmethod
    def loads(cls, text: str | bytes | None) -> Envelope | None:
        """The envelope in a file's metadata, or None: other programs write other comments."""
        if not text or len(text) > MAX_CHARACTERS:
            return None
        try:
            data = json.loads(text)
            if data["format"] != FORMAT or int(data["version"]) > VERSION:
                return None
            height, width = (int(side) for side in data["size"])
            num_frames, fps = int(data["num_frames"]), float(data["fps"])
            provenance = data["provenance"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if (
            min(height, width, num_frames) < 1
            or not (math.isfinite(fps) and fps > 0)
            or not isinstance(provenance, dict)
        ):
            return None
        return cls((height, width), num_frames, fps, provenance)
