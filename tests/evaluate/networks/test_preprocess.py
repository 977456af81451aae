import numpy as np
import pytest
import torch
from PIL import Image
from published import noise

from motionloom.evaluate.networks.preprocess import (
    CLIP_MEAN,
    CLIP_STD,
    centre_crop,
    normalised,
    resize_pil,
    resize_without_blur,
    shorter_side,
)


@pytest.mark.parametrize("size", [(240, 387), (97, 64), (225, 224), (30, 30)])
def test_clip_sees_what_its_own_processor_makes(size):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    frames = noise(2, *size, 3)
    expected = CLIPImageProcessorPil()([Image.fromarray(frame) for frame in frames], return_tensors="pt")
    found = normalised(centre_crop(resize_pil(frames, 224, "bicubic"), 224, floor=True), CLIP_MEAN, CLIP_STD)
    assert torch.equal(found, expected["pixel_values"])


def test_the_longer_side_is_cut_to_a_whole_number():
    assert shorter_side((480, 832), 224) == (224, 388)
    assert shorter_side((832, 480), 224) == (388, 224)
    assert shorter_side((100, 100), 224) == (224, 224)


def test_without_blur_a_pattern_of_single_pixels_survives_and_is_rounded():
    stripes = np.zeros((1, 6, 12, 3), np.uint8)
    stripes[:, :, 1::3] = 201
    # Every third pixel, at its centre: interpolation never sees its neighbours. Pillow averages all three.
    np.testing.assert_array_equal(resize_without_blur(stripes, 2, "bilinear"), np.full((1, 2, 4, 3), 201))
    assert resize_pil(stripes, 2, "bilinear").max() < 100
    halves = np.array([[[0, 1], [0, 1]]], np.uint8)[..., None].repeat(3, -1)  # 0.5 is rounded to even
    assert resize_without_blur(halves, 1, "bilinear").max() == 0
    overshoot = resize_without_blur(noise(1, 9, 9, 3) // 128 * 255, 23, "bicubic")
    assert (overshoot.min(), overshoot.max()) == (0, 255)  # clamped, not wrapped around


def test_half_a_pixel_of_a_crop():
    row = np.arange(7, dtype=np.uint8)[None, None, :, None].repeat(4, 1).repeat(3, -1)
    assert centre_crop(row, 4)[0, 0, :, 0].tolist() == [2, 3, 4, 5]  # 1.5 to even, as torchvision
    assert centre_crop(row, 4, floor=True)[0, 0, :, 0].tolist() == [1, 2, 3, 4]
