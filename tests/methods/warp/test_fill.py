import numpy as np
import pytest

from motionloom.methods.warp.fill import fill, smooth_fill


def stripes(height=96, width=128, period=12):
    x = np.arange(width)[None] + 0 * np.arange(height)[:, None]
    wave = 127 + 90 * np.sin(2 * np.pi * x / period)
    return np.stack([wave, wave * 0.6 + 40, 255 - wave], -1).astype(np.uint8)


def test_texture_is_continued():
    image = stripes()
    hole = np.zeros(image.shape[:2], bool)
    hole[30:66, 45:85] = True
    broken = image.copy()
    broken[hole] = [255, 0, 255]
    filled = fill(broken, hole)
    error = np.abs(filled[hole].astype(int) - image[hole].astype(int))
    smooth = np.abs(smooth_fill(broken.astype(np.float32), hole)[hole] - image[hole])
    assert error.mean() < 4
    assert smooth.mean() > 30
    assert np.array_equal(filled[~hole], image[~hole])


def test_same_seed_same_pixels_and_avoided_pixels_are_not_copied():
    image = np.full((80, 120, 3), 90, np.uint8)
    image += np.random.default_rng(0).integers(0, 20, image.shape, dtype=np.uint8)
    image[20:60, 80:110] = [250, 20, 20]
    hole = np.zeros(image.shape[:2], bool)
    hole[20:60, 50:80] = True
    avoid = np.zeros_like(hole)
    avoid[20:60, 80:110] = True
    filled = fill(image, hole, avoid=avoid)
    assert np.array_equal(filled, fill(image, hole, avoid=avoid))
    assert filled[hole][:, 0].max() < 140
    assert filled[hole].std() > 2  # texture, not a flat colour


@pytest.mark.parametrize("box", [(0, 0, 9, 9), (0, 0, 0, 0), (0, 0, 40, 50)])
def test_corners_empty_holes_and_holes_without_surroundings(box):
    top, left, bottom, right = box
    image = np.full((40, 50, 3), 77, np.uint8)
    hole = np.zeros((40, 50), bool)
    hole[top:bottom, left:right] = True
    image[hole] = 3
    filled = fill(image, hole)
    assert (filled[~hole] == 77).all()
    if 0 < hole.sum() < hole.size:
        assert np.abs(filled[hole].astype(int) - 77).max() <= 1
    else:
        assert np.array_equal(filled, image)


def test_known_pixels_too_few_for_a_patch():
    image = np.zeros((12, 12, 3), np.uint8)
    image[0] = 200
    hole = np.ones((12, 12), bool)
    hole[0] = False
    filled = fill(image, hole)
    assert np.abs(filled.astype(int) - 200).max() <= 1
