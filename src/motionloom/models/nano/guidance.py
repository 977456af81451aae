"""How tracks reach nano: what its training and its use must share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Guidance = Mapping[str, Mapping[str, Any]]
"""By method, what it is told at nano's native size in place of the published numbers."""

GUIDANCE: Guidance = {
    "ati": {"temperature": 440.0, "top_k": 8, "grid": "centres"},
    "wan_move": {"pooling": "window", "collision": "nearest"},
}
"""Of new trainings; see `motionloom.methods.ati.ati.guide` and `motionloom.methods.wan_move.wan_move.guide`.

ATI: cells are where they are, and all tracks around a cell write to it, within half a cell (sigma). What is copied
then comes from half a pixel off; by the published numbers, the two nearest tracks and a grid with its outermost cells
on the border, from two: nothing to a picture of 832 pixels, much to one of 128. Wan-Move: a track is where it is on
average during the frames that a latent frame stands for, not where it is at their end.
"""

UNSAID: Guidance = {"ati": {"temperature": 220.0}}
"""Of weights that say nothing of it: the published program's numbers, with the Gaussian as wide as at 32 cells."""

_NATIVE_CELLS = 32


def guidance_options(method: str, short_cells: int, trained: Guidance = GUIDANCE) -> dict[str, Any]:
    """What a method is told; ATI's Gaussian stays as wide in latent cells as it was in training.

    Args:
        short_cells: the short side of the latent.
        trained: what the weights were trained with.
    """
    told = dict(trained.get(method, {}))
    if "temperature" in told:
        inset = 0 if told.get("grid") == "centres" else 1  # the published grid has its outermost cells on the border
        told["temperature"] *= ((short_cells - inset) / (_NATIVE_CELLS - inset)) ** 2
    return told
