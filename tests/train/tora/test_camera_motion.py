from __future__ import annotations

import numpy as np
import pytest

from motionloom.errors import InputError
from motionloom.train.tora.camera_motion import (
    CameraLimits,
    CameraMotion,
    accepts,
    detected,
    fit_camera,
    flow_score,
    keep_probability,
    published_accepts,
)

SIZE = (96, 128)
STILL = CameraMotion(1.0, 0.0, (0.0, 0.0), 1.0)


def seen(camera, noise=0.05, thing=0.0, seed=0):
    """The flow of a camera with noise, and a share of the picture that moves on its own."""
    flow = camera.flow(SIZE).astype(np.float64)
    flow += np.random.default_rng(seed).normal(0, noise, flow.shape)
    flow[:, :, : round(thing * SIZE[1])] += [[[9.0]], [[-4.0]]]
    return flow


@pytest.mark.parametrize("thing", [0.0, 0.4])
@pytest.mark.parametrize(
    "camera",
    [
        STILL,
        CameraMotion(1.0, 0.0, (3.0, -1.5), 1.0),
        CameraMotion(1.03, 0.0, (0.0, 0.0), 1.0),
        CameraMotion(0.98, -0.02, (-2.0, 1.0), 1.0),
    ],
)
def test_the_camera_is_found_behind_things_that_move(camera, thing):
    found = fit_camera(seen(camera, thing=thing))
    assert found.zoom == pytest.approx(camera.zoom, abs=2e-3)
    assert found.turn == pytest.approx(camera.turn, abs=2e-3)
    assert found.shift == pytest.approx(camera.shift, abs=0.1)
    assert found.share == pytest.approx(1 - thing, abs=0.03)
    assert fit_camera(seen(camera, thing=thing)) == found


def test_zoom_moves_the_corners_and_keeps_the_centre():
    flow = CameraMotion(1.1, 0.0, (0.0, 0.0), 1.0).flow((3, 5))
    assert flow[:, 1, 2].tolist() == [0, 0]
    assert flow[:, 0, 4] == pytest.approx([0.2, -0.1])
    quarter = CameraMotion(1.0, np.pi / 2, (0.0, 0.0), 1.0).flow((3, 5))
    assert quarter[:, 1, 4] == pytest.approx([-2, 2], abs=1e-6)  # from the right edge down: clockwise
    assert CameraMotion(1.0, 0.0, (3.0, 4.0), 1.0).reach((6, 8)) == pytest.approx(0.5)


def test_clips_are_kept_while_the_camera_is_still():
    still, zooming = seen(STILL, thing=0.3), seen(CameraMotion(1.05, 0.0, (0.0, 0.0), 1.0))
    assert accepts([still, still])
    assert not accepts([still, zooming])
    assert accepts([still, zooming], CameraLimits(reach=0.1))
    nobody_knows = np.random.default_rng(0).normal(0, 20, (2, *SIZE))
    assert not accepts([nobody_knows], CameraLimits(reach=10))
    assert accepts(np.zeros((0, 2, *SIZE)))


def test_the_published_filter():
    assert detected(np.full((2, 8, 8), [[[0.0]], [[2.0]]]))[0] == pytest.approx(90)
    angle, outward = detected(CameraMotion(1.05, 0.0, (0.0, 0.0), 1.0).flow(SIZE))
    assert outward == 1.0
    assert detected(CameraMotion(0.95, 0.0, (0.0, 0.0), 1.0).flow(SIZE))[1] == 0.0
    pan = CameraMotion(1.0, 0.0, (-3.0, 0.2), 1.0).flow(SIZE)
    angle, outward = detected(pan)
    assert angle == pytest.approx(180 - np.degrees(np.arctan2(0.2, 3.0)), abs=1e-3)
    assert outward == pytest.approx(0.5, abs=0.03)
    assert published_accepts(pan)
    assert not published_accepts(pan[::-1])  # up and down
    assert not published_accepts(CameraMotion(1.05, 0.0, (0.5, 0.0), 1.0).flow(SIZE))
    # Where nothing moves at all, all of it counts as outward.
    assert not published_accepts(np.zeros((2, *SIZE)))


def test_the_less_it_moves_the_likelier_a_clip_is_kept():
    assert flow_score(np.full((3, 2, 4, 4), [[[3.0]], [[4.0]]])) == pytest.approx(5.0)
    assert flow_score(np.zeros((0, 2, 4, 4))) == 0.0
    assert [keep_probability(score) for score in (0, 25, 100, 400)] == [1.0, 0.75, 0.0, 0.0]


def test_tiny_pictures_and_bad_flow():
    assert fit_camera(np.full((2, 1, 2), 0.5)).shift == (0.5, 0.5)
    with pytest.raises(InputError, match=r"flow: found shape \(8, 8, 2\)"):
        fit_camera(np.zeros((8, 8, 2)))
    with pytest.raises(InputError, match="not finite"):
        detected(np.full((2, 8, 8), np.nan))
