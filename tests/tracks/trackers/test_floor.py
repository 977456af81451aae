from __future__ import annotations

import json
from pathlib import Path

from motionloom.tracks.trackers import FLOOR, floor_of

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "trackers.json"


def test_the_floor_is_what_the_benchmark_measured():
    sizes = json.loads(RESULTS.read_text())["sizes"]
    for side, floor in FLOOR.items():
        measured = sizes[str(side)]["trackers"]["offline"]
        for name in ("median", "mean", "below_1px"):
            assert abs(getattr(floor, name) - measured[name]) < 1e-3


def test_the_floor_of_the_nearest_size():
    assert floor_of((96, 160)) is FLOOR[128]
    assert floor_of((480, 832)) is FLOOR[256]
