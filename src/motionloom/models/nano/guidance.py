"""How tracks reach nano: the constants that its training and its use must share."""

from __future__ import annotations

from motionloom.methods.ati.ati import TEMPERATURE

_NATIVE_CELLS = 32


def ati_temperature(short_cells: int) -> float:
    """The ATI temperature that keeps the Gaussian as wide in latent cells as at nano's native size.

    At 32 cells (128 pixels) it is the published 220, where sigma is 0.74 cells; ``short_cells`` is the short side of
    the latent.
    """
    return TEMPERATURE * ((short_cells - 1) / (_NATIVE_CELLS - 1)) ** 2
