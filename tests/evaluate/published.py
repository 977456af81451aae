"""Networks of published architectures with weights that are the same on every machine, and what they should give.

The golden file holds the key names and shapes of the published networks, and outputs of their own programs with these
weights: torch-fidelity 0.4 (Inception), cd-fvd 0.1.1 (I3D, VideoMAEv2).
"""

from __future__ import annotations

import gzip
import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

_GOLDEN = Path(__file__).parents[1] / "golden" / "metrics" / "networks" / "features.json.gz"


@cache
def published(name: str) -> dict[str, Any]:
    """keys: shape by name; output: 24 values spread over the output; mean, std: of all of it."""
    return json.loads(gzip.decompress(_GOLDEN.read_bytes()))[name]


def filled(name: str) -> dict[str, torch.Tensor]:
    """Weights of a network from the bits of a counter-based generator, keyed by the name of each tensor."""
    tensors = {}
    for key, shape in published(name)["keys"].items():
        size = int(np.prod(shape))
        share = _uniform(zlib.crc32(key.encode()), size)
        if key.endswith("running_var"):
            values = 0.5 + share
        elif key.endswith(("bn.weight", "norm.weight", "norm1.weight", "norm2.weight")):
            values = 0.75 + 0.5 * share
        elif len(shape) < 2:
            values = 0.2 * (share - 0.5)
        else:
            values = (share - 0.5) * 2 * np.sqrt(6 * shape[0] / size)
        tensors[key] = torch.from_numpy(values.astype(np.float32).reshape(shape))
    return tensors


def noise(*shape: int) -> np.ndarray:
    """uint8 pixels, the same on every machine."""
    return (_uniform(7, int(np.prod(shape))) * 256).astype(np.uint8).reshape(shape)


def assert_published(name: str, output: np.ndarray, tolerance: float) -> None:
    """That an output is that of the published program, relative to its spread."""
    golden, values = published(name), output.astype(np.float64)
    picked = values.reshape(-1)[:: max(1, values.size // 24)][:24]
    np.testing.assert_allclose(picked, golden["output"], atol=tolerance * golden["std"], rtol=0)
    np.testing.assert_allclose(values.mean(), golden["mean"], atol=tolerance * golden["std"])
    np.testing.assert_allclose(values.std(), golden["std"], rtol=tolerance)


def _uniform(key: int, size: int) -> np.ndarray:
    return (np.random.Philox(key=key).random_raw(size) >> np.uint64(11)).astype(np.float64) * 2.0**-53
