"""MagCache's magnitude ratios: a file of them, and fitting them to another number of steps. Measured by
`caches.calibrate`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from motionloom.errors import FileFormatError

Ratios = dict[str, dict[str, list[float]]]
"""MagCache's magnitude ratios, one per step: by expert ("transformer", "transformer_2") and branch ("cond", ...)."""

_FORMAT = "motionloom.mag-ratios"


def save_ratios(path: str | Path, ratios: Ratios, *, model: str = "") -> None:
    """Write ratios as JSON, with the name of the model they belong to."""
    record = {"format": _FORMAT, "version": 1, "model": model, "ratios": ratios}
    Path(path).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_ratios(path: str | Path) -> Ratios:
    """Read a file of `save_ratios`.

    Raises:
        FileFormatError: another file.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT or record["version"] != 1:
            raise ValueError(f"found {record['format']!r}, version {record['version']}")
        return {
            str(expert): {str(branch): [float(value) for value in values] for branch, values in branches.items()}
            for expert, branches in record["ratios"].items()
        }
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{path}: no magnitude ratios ({' '.join(str(error).split())[:120]}), expected a file that "
            "motionloom.models.caches.save_ratios wrote"
        ) from error


def fit_ratios(ratios: Sequence[float], steps: int) -> list[float]:
    """Ratios measured with one number of steps for another: the magnitudes they multiply up to, read at other places.

    The same number of steps gives the same ratios. More steps are closer to each other, hence ratios closer to 1.
    """
    if steps <= 1 or len(ratios) == 1:
        return [1.0] * steps
    if steps == len(ratios):
        return [float(value) for value in ratios]
    curve = np.cumsum(np.log(np.maximum(np.asarray(ratios, np.float64), 1e-6)))
    at = np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(ratios)), curve)
    return [1.0, *(math.exp(after - before) for before, after in pairwise(at))]
