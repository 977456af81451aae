"""What ATI lets one choose by name (see `motionloom.methods.ati.ati.guide`); read without torch, so that what a folder
says can be checked before anything is loaded."""

from __future__ import annotations

from typing import Literal

MaskMode = Literal["reference", "max", "keep"]
Grid = Literal["reference", "centres"]
