from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

from motionloom.studio.rescaled import rescaled
from motionloom.tracks.motion import Motion

EXAMPLES = resources.files("motionloom") / "examples_data"

EVERY_KIND = {
    "format": "motionloom.motion",
    "version": 1,
    "canvas": {"width": 400, "height": 300},
    "num_frames": 33,
    "fps": 16,
    "instructions": [
        {"id": "p", "kind": "path", "points": [[10, 20], {"x": 90, "y": 80, "frame": 20, "handle_in": [-5, 2]}]},
        {"id": "c", "kind": "circle", "center": [200, 150], "radius": 40, "radius_curve": [[0, 40], [32, 80]]},
        {"id": "s", "kind": "static", "points": [[5, 5]], "grid": {"spacing": 64, "margin": 10}},
        {"id": "b", "kind": "box", "source": {"x": 10, "y": 10, "width": 30, "height": 20}, "spacing": 8,
         "target": {"x": 100, "y": 50, "width": 60, "height": 40}},
        {"id": "r", "kind": "region", "polygon": [[300, 200], [360, 200], [330, 260]], "rotation": 40, "end": 20,
         "path": {"points": [[0, 0, 4], [30, 10, 20]], "curve": "polyline"}},
        {"id": "o", "kind": "rotate", "center": [50, 250], "angle": 90, "points": [[60, 250]], "start": 3},
    ],
    "pan": [{"velocity": [1.5, -0.5], "instructions": ["p"]}],
}  # fmt: skip


def test_a_motion_at_another_scale_and_rate_goes_the_same_way():
    motion = Motion.parse(EVERY_KIND)
    bigger, notes = rescaled(motion, (600, 800), fps=24.0)
    assert (bigger.size, bigger.fps, bigger.num_frames) == ((600, 800), 24.0, 49)
    assert notes == ["drawn on 400x300, scaled to 800x600"]
    # The grid's place depends on rounding of its distance transform; everything else is exact.
    known = [k for k, owner in enumerate(motion.owners()) if owner != "s"]
    there = [k for k, owner in enumerate(bigger.owners()) if owner != "s"]
    wanted = motion.compile((600, 800), 49, 24.0).points[:, known]
    found = bigger.compile().points[:, there]
    assert np.abs(found - wanted).max() < 2e-3


@pytest.mark.parametrize("name", ["cat", "coffee", "galaxies", "rocket"])
def test_the_same_canvas_is_the_same_motion_and_back_again_is_too(name):
    motion = Motion.parse(json.loads((EXAMPLES / f"{name}.motion.json").read_text(encoding="utf-8")))
    assert rescaled(motion, motion.size)[0] is motion
    double, _ = rescaled(motion, (motion.size[0] * 2, motion.size[1] * 2))
    back, _ = rescaled(double, motion.size)
    assert np.abs(back.compile().points - motion.compile().points).max() < 1e-3


def test_another_shape_is_said_and_keeps_circles_round():
    wide, notes = rescaled(Motion.parse(EVERY_KIND), (300, 800))
    circle = wide.instructions[1]
    assert circle.center == (400, 150)
    assert circle.radius == pytest.approx(40 * 2**0.5)
    assert "stretched to 800x300" in notes[0]


def test_a_longer_clip_keeps_the_times_that_its_length_used_to_say():
    motion = Motion.parse(EVERY_KIND)
    longer, _ = rescaled(motion, motion.size, num_frames=65)
    assert np.abs(longer.compile().points[:33] - motion.compile().points).max() < 1e-3
    shorter, notes = rescaled(motion, motion.size, num_frames=17)
    assert np.abs(shorter.compile().points - motion.compile().points[:17]).max() < 1e-3
    assert "lasts 33 frames and was given 17" in notes[0]
