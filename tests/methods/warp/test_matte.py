import numpy as np
import pytest

from motionloom.methods.warp.matte import contact_shadow, matte, object_colours


def scene(object_colour, ground_colour):
    y, x = np.mgrid[0:240, 0:320]
    disc = np.hypot(x - 160, y - 120) < 60
    noise = np.random.default_rng(0).normal(0, 6, (240, 320, 3))
    image = np.where(disc[..., None], object_colour, ground_colour) + noise
    return np.clip(image, 0, 255).astype(np.uint8), disc, np.hypot(x - 160, y - 120)


def test_a_loose_outline_moves_to_the_edge():
    image, disc, radius = scene((200, 60, 40), (60, 120, 90))
    alpha = matte(image, radius < 63)
    assert np.abs((alpha > 0.5) ^ disc).mean() < 0.004  # 0.8 of the 3 pixels drawn too far out are left
    assert alpha[radius < 56].min() > 0.95
    assert alpha[radius > 66].max() < 0.02


def test_where_colours_say_nothing_the_drawn_outline_counts():
    image, _, radius = scene((90, 90, 90), (90, 90, 90))
    drawn = radius < 63
    assert ((matte(image, drawn) > 0.5) ^ drawn).mean() < 0.01


def test_feather_keeps_the_region():
    image, _, radius = scene((200, 60, 40), (60, 120, 90))
    drawn = radius < 63
    alpha = matte(image, drawn, matting="feather")
    assert np.array_equal(alpha > 0.5, drawn)
    assert set(np.unique(alpha[np.abs(radius - 63) > 4])) == {0.0, 1.0}


@pytest.mark.parametrize("value", [False, True])
def test_nothing_or_everything(value):
    image, _, _ = scene((200, 60, 40), (60, 120, 90))
    assert (matte(image, np.full(image.shape[:2], value)) == value).all()


def test_object_colours_carry_no_background():
    image, disc, radius = scene((200, 60, 40), (20, 220, 90))
    colours = object_colours(image, disc.astype(np.float32)).astype(int)
    rim = (radius > 58) & (radius < 64)
    assert np.abs(colours[rim] - [200, 60, 40]).max() < 40
    inside = radius < 55
    assert np.array_equal(colours[inside], image[inside])


def test_shadow_is_found_and_a_dark_neighbour_left_alone():
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
