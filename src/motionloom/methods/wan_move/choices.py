"""What Wan-Move lets one choose by name (see `motionloom.methods.wan_move.wan_move.guide`); read without torch, so that
what a folder says can be checked before anything is loaded."""

from __future__ import annotations

from typing import Literal

Pooling = Literal["sample", "average", "window"]
Collision = Literal["random", "last", "first", "nearest"]
