import numpy as np
import pytest

from motionloom.methods.warp import warp
from motionloom.methods.warp.shadow import contact_shadow, shade
from motionloom.tracks.layers import Layer
from motionloom.tracks.tracks import Tracks


def test_shadow_is_found_and_a_dark_neighbour_left_alone(scene):
    image, disc, radius = scene((200, 60, 40), (150, 170, 110))
    x = np.mgrid[0:240, 0:320][1]
    shadow = (radius >= 60) & (radius < 70) & (x > 170)
    neighbour = (radius >= 60) & (radius < 70) & (x < 120)
    image[shadow] = image[shadow] * 0.45
    image[neighbour] = (10, 20, 130)
    found = contact_shadow(image, disc, disc)
    assert found[shadow].mean() > 0.9
    assert found[neighbour].mean() < 0.05
    assert found[radius > 80].sum() == 0
    assert not (found & disc).any()
    plain, _, _ = scene((200, 60, 40), (150, 170, 110))
    assert contact_shadow(plain, disc, disc).sum() == 0


def test_shade_is_how_dark_the_shadow_is_and_goes_on_below_the_thing(scene):
    lit, disc, radius = scene((200, 60, 40), (150, 170, 110))
    x = np.mgrid[0:240, 0:320][1]
    shadow = (radius >= 60) & (radius < 76) & (x > 170)
    image = np.where(shadow[..., None], lit * 0.4, lit).astype(np.uint8)
    light = shade(image, lit, shadow, disc)
    core = (radius > 64) & (radius < 72) & (x > 180)
    assert np.abs(light[core] - 0.4).max() < 0.06
    assert (light[(radius > 90) | ((radius > 62) & (x < 150))] == 1.0).all()
    assert light[(radius > 50) & (radius < 58) & (x > 205)].max() < 0.6
    assert light[(radius > 50) & (radius < 58) & (x < 110)].min() > 0.9


def sliding(scene, shift, frames=9):
    """A disc with a shadow on its right, on a plain ground with noise, and the clip warp makes of it."""
    image, _, radius = scene((200, 60, 40), (150, 170, 110))
    x = np.mgrid[0:240, 0:320][1]
    shadow = (radius >= 60) & (radius < 70) & (x > 170)
    image[shadow] = image[shadow] * 0.45
    points = np.array([[140, 120], [180, 120]]) + np.linspace(0, 1, frames)[:, None, None] * np.asarray(shift, float)
    tracks = Tracks(points.astype(np.float32), np.ones((frames, 2), bool), (240, 320), 16.0)
    layer = Layer(tracks, radius < 62, True, "disc", 1)
    return image, shadow, warp(image, layers=[layer], return_mask=False)


@pytest.mark.slow
def test_the_shadow_goes_along(scene):
    image, shadow, frames = sliding(scene, (-40, 0))
    last = frames[-1].astype(float).mean(-1)
    core = shadow & np.roll(shadow, 3, 1) & np.roll(shadow, -3, 1)
    ground = image[20:40].astype(float).mean()
    assert abs(last[np.roll(core, -40, 1)].mean() / ground - 0.45) < 0.1
    old = core & ~np.roll(core, -40, 1)
    old[:, :262] &= False  # the disc and its new shadow end there
    assert last[shadow & (np.mgrid[0:240, 0:320][1] > 195)].mean() > 0.9 * ground


@pytest.mark.slow
def test_nothing_jumps_when_a_thing_starts_to_move(scene):
    image, _, frames = sliding(scene, (-0.8, 0))
    assert np.array_equal(frames[0], image)
    change = np.abs(frames[1:].astype(float) - frames[:-1]).mean(-1)
    assert change.mean(axis=(1, 2)).max() < 1.0
    assert np.quantile(change, 0.999) < 40


def test_shadows_in_large_photographs(scene):
    image, disc, radius = scene((200, 60, 40), (150, 170, 110))
    x = np.mgrid[0:240, 0:320][1]
    shadow = (radius >= 60) & (radius < 70) & (x > 170)
    image[shadow] = image[shadow] * 0.45
    large, hole, truth = (np.repeat(np.repeat(one, 5, 0), 5, 1) for one in (image, disc, shadow))
    found = contact_shadow(large, hole, hole)
    assert found.shape == hole.shape
    assert found[truth].mean() > 0.99  # no dark seam beside the hole
    assert not (found & hole).any()
    assert found[np.repeat(np.repeat(radius > 82, 5, 0), 5, 1)].sum() == 0
