import numpy as np
import pytest


@pytest.fixture
def scene():
    """A disc of radius 60 in the middle of 240x320, in two colours with noise: image, disc, distance to its centre."""

    def make(object_colour, ground_colour):
        y, x = np.mgrid[0:240, 0:320]
        disc = np.hypot(x - 160, y - 120) < 60
        noise = np.random.default_rng(0).normal(0, 6, (240, 320, 3))
        image = np.where(disc[..., None], object_colour, ground_colour) + noise
        return np.clip(image, 0, 255).astype(np.uint8), disc, np.hypot(x - 160, y - 120)

    return make
