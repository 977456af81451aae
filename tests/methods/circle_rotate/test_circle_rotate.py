from __future__ import annotations

import numpy as np
import pytest

from motionloom.errors import InputError
from motionloom.methods.circle_rotate.circle_rotate import BOUNDARY, DISTILLED, PLAIN, orbit_prompt, unshifted


def test_published_noise_levels():
    assert unshifted(4).tolist() == [1, 0.75, 0.5, 0.25]
    assert unshifted(1).tolist() == [1]
    sigmas = DISTILLED.shift * unshifted(4) / (1 + (DISTILLED.shift - 1) * unshifted(4))
    assert np.abs(sigmas - [1, 0.96, 0.888889, 0.727273]).max() < 5e-7
    # The published graph gives the first two of four steps to the high-noise expert; so does the boundary.
    assert (sigmas >= BOUNDARY).tolist() == [True, True, False, False]
    with pytest.raises(InputError, match="found 0, expected at least 1"):
        unshifted(0)


def test_schedules_of_the_reference():
    assert (DISTILLED.steps, DISTILLED.shift, DISTILLED.guidance_scale, DISTILLED.solver) == (4, 8.0, 1.6, "euler")
    assert (PLAIN.steps, PLAIN.shift, PLAIN.guidance_scale, PLAIN.guidance_scale_2) == (40, 5.0, 3.5, 3.5)


def test_prompt_in_the_words_of_the_captions():
    # The example of the published workflow, translated.
    assert orbit_prompt("a car", view="side", scene="building exterior") == (
        "static side view of a car, camera orbits left and right, medium shot, building exterior"
    )
    assert "camera circles right to left" in orbit_prompt("a vase", direction="left")
    with pytest.raises(InputError, match="view: found 'top', expected one of front, side"):
        orbit_prompt("a car", view="top")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="subject: found nothing"):
        orbit_prompt(" ")
