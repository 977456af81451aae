"""What the benchmarks of the studio share with its tests: a server as a process, and a browser."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motionloom.studio.client import StudioClient

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "studio" / "browser"))

from studio_driver import CHROMIUM_FLAGS, Server, find_chromium, until

__all__ = ["CHROMIUM_FLAGS", "Server", "find_chromium", "quantile", "small_project", "until"]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def small_project(server: Server, picture: Path) -> dict[str, Any]:
    """A project of a picture of 96 x 64 pixels, with one path on it."""
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8)
    Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC).save(picture)
    project = StudioClient(server.url).create_project(picture).model_dump(mode="json")
    path = {"kind": "path", "id": "path-1", "points": [{"x": 20.0, "y": 30.0}, {"x": 60.0, "y": 34.0}]}
    project["motion"]["instructions"] = [path]
    body = {"base_version": project["version"], "motion": project["motion"], "settings": project["settings"]}
    server.request("PUT", f"/projects/{project['id']}", body)
    return server.get(f"/projects/{project['id']}")
