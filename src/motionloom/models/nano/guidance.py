"""How tracks reach nano: what its training and its use must share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ATI: Mapping[str, Any] = {"temperature": 440.0, "top_k": 8, "grid": "centres"}
"""What ATI is told at nano's native size in place of the published numbers; see `motionloom.methods.ati.ati.guide`.

Cells are where they are, and all tracks around a cell write to it, within half a cell (sigma): what is copied then
comes from half a pixel off. By the published numbers, the two nearest tracks and cells shifted towards the border, it
comes from two pixels off: nothing to a picture of 832 pixels, much to one of 128.
"""

_NATIVE_CELLS = 32


def ati_options(short_cells: int, trained: Mapping[str, Any] = ATI) -> dict[str, Any]:
    """Options that keep the Gaussian as wide in latent cells as it was in training.

    Args:
        short_cells: the short side of the latent.
        trained: what ATI was told at the native size.
    """
    scale = ((short_cells - 1) / (_NATIVE_CELLS - 1)) ** 2
    return {**trained, "temperature": trained["temperature"] * scale}
