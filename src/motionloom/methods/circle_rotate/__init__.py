"""Circle-Rotate: orbit shots by a pair of LoRAs on Wan 2.2 A14B; see `circle_rotate` and `pipeline`.

`CircleRotateInference` is the published program's interface; it loads models, so it is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionloom.models.circle_rotate import CircleRotateInference

__all__ = ["CircleRotateInference"]


def __getattr__(name: str) -> Any:
    if name != "CircleRotateInference":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from motionloom.models.circle_rotate import CircleRotateInference

    return CircleRotateInference
