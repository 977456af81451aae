"""LAION's aesthetic head: one linear layer on CLIP ViT-L/14 features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionloom.models.checkpoints.assemble import check_fit
from motionloom.models.checkpoints.source import open_source

_WIDTH = 768


def load_head(path: str | Path) -> tuple[NDArray[np.float64], float]:
    """(weight [768], bias) from ``sa_0_4_vit_l_14_linear.pth`` of LAION-AI/aesthetic-predictor.

    Raises:
        CheckpointError: the file is missing, damaged, or another one.
    """
    source = open_source(path)
    check_fit({"weight": (1, _WIDTH), "bias": (1,)}, source.shapes, origin=str(path))
    return source.read("weight").double().numpy()[0], float(source.read("bias"))
