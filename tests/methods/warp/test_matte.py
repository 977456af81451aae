import numpy as np
import pytest

from motionloom.methods.warp.matte import matte, object_colours


def test_a_loose_outline_moves_to_the_edge(scene):
    image, disc, radius = scene((200, 60, 40), (60, 120, 90))
    alpha = matte(image, radius < 63)
    assert np.abs((alpha > 0.5) ^ disc).mean() < 0.004  # 0.8 of the 3 pixels drawn too far out are left
    assert alpha[radius < 56].min() > 0.95
    assert alpha[radius > 66].max() < 0.02


def test_where_colours_say_nothing_the_drawn_outline_counts(scene):
    image, _, radius = scene((90, 90, 90), (90, 90, 90))
    drawn = radius < 63
    assert ((matte(image, drawn) > 0.5) ^ drawn).mean() < 0.01


def test_feather_keeps_the_region(scene):
    image, _, radius = scene((200, 60, 40), (60, 120, 90))
    drawn = radius < 63
    alpha = matte(image, drawn, matting="feather")
    assert np.array_equal(alpha > 0.5, drawn)
    assert set(np.unique(alpha[np.abs(radius - 63) > 4])) == {0.0, 1.0}


@pytest.mark.parametrize("value", [False, True])
def test_nothing_or_everything(scene, value):
    image, _, _ = scene((200, 60, 40), (60, 120, 90))
    assert (matte(image, np.full(image.shape[:2], value)) == value).all()


def test_object_colours_carry_no_background(scene):
    image, disc, radius = scene((200, 60, 40), (20, 220, 90))
    colours = object_colours(image, disc.astype(np.float32)).astype(int)
    rim = (radius > 58) & (radius < 64)
    assert np.abs(colours[rim] - [200, 60, 40]).max() < 40
    inside = radius < 55
    assert np.array_equal(colours[inside], image[inside])


def test_an_outline_that_lies_on_the_edge_is_left_there(scene):
    image, disc, radius = scene((200, 60, 40), (60, 120, 90))
    # Ground that looks like the thing in places, and spots on the thing that look like the ground.
    angle = np.arctan2(*(np.mgrid[0:240, 0:320] - np.array([120, 160])[:, None, None]))
    image[(radius >= 60) & (radius < 64) & (np.sin(9 * angle) > 0.8)] = (200, 60, 40)
    image[(radius >= 55) & (radius < 58) & (np.sin(7 * angle) > 0.7)] = (60, 120, 90)
    assert np.array_equal(matte(image, disc) > 0.5, disc)
    assert ((matte(image, radius < 63) > 0.5) ^ disc).mean() < 0.01  # a loose one is moved as before


@pytest.mark.slow
def test_large_photographs_are_cut_out_at_full_size():
    y, x = np.mgrid[0:1200, 0:1600]
    radius = np.hypot(x - 800, y - 600)
    rng = np.random.default_rng(1)
    image = np.where((radius < 300)[..., None], (200, 60, 40), (60, 120, 90)) + rng.normal(0, 6, (1200, 1600, 1))
    image = np.clip(image, 0, 255).astype(np.uint8)
    alpha = matte(image, radius < 312)
    assert ((alpha > 0.5) ^ (radius < 300)).sum() < 2 * np.pi * 300 * 2.5  # 2.5 of 12 pixels too many are left
    assert alpha[radius < 290].min() > 0.95
    assert alpha[radius > 316].max() < 0.02
