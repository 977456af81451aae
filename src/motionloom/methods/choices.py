"""Choices that methods offer by name; read without torch, so that what a folder says can be checked early."""

from __future__ import annotations

from typing import Literal

MaskMode = Literal["reference", "max", "keep"]
Grid = Literal["reference", "centres"]
"""Of ATI; see `motionloom.methods.ati.ati.guide`."""

Pooling = Literal["sample", "average", "window"]
Collision = Literal["random", "last", "first", "nearest"]
"""Of Wan-Move; see `motionloom.methods.wan_move.wan_move.guide`."""
