import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import gamma

from motionloom.errors import InputError
from motionloom.evaluate import niqe as module
from motionloom.evaluate.niqe import luma, niqe

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "metrics" / "niqe.safetensors")


def test_golden_values():
    # The reference computes in float32.
    sharp, blurred = niqe(np.stack([GOLDEN["gray"], GOLDEN["gray_blur"]]))
    assert sharp == pytest.approx(GOLDEN["niqe_basicsr"][0], abs=1e-3)
    assert blurred == pytest.approx(GOLDEN["niqe_blur_basicsr"][0], abs=1e-3)


def test_colour_is_looked_at_as_luma():
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert luma(colours).tolist() == [[16, 235, 81, 145, 41]]  # BT.601 in studio range
    noise = np.random.default_rng(0).integers(0, 256, (1, 192, 192, 3)).astype(np.uint8)
    assert niqe(noise) == niqe(luma(noise[0]).astype(np.uint8)[None])


def test_what_does_not_fill_a_block_is_cut_off():
    picture = GOLDEN["gray"][None]
    changed = picture.copy()
    changed[:, 192:], changed[:, :, 192:] = 0, 255
    assert niqe(changed) == niqe(picture)


def test_half_size_is_that_of_imresize():
    """Against the definition: each output pixel weighs inputs by the cubic kernel stretched twofold."""
    image = np.random.default_rng(1).uniform(0, 255, (12, 8))

    def cubic(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    def matrix(length: int) -> np.ndarray:
        result = np.zeros((length // 2, length))
        for out in range(length // 2):
            centre = 2 * out + 0.5
            for place in range(-8, length + 8):
                mirrored = -1 - place if place < 0 else 2 * length - 1 - place if place >= length else place
                result[out, mirrored] += 0.5 * cubic((place - centre) / 2)
        return result / result.sum(1, keepdims=True)

    np.testing.assert_allclose(module._halved(image), matrix(12) @ image @ matrix(8).T, atol=1e-9)


def test_the_fitted_distribution_is_the_one_values_come_from():
    rng = np.random.default_rng(2)
    gauss, laplace = rng.normal(0, 2, (1, 400, 400)), rng.laplace(0, 1, (1, 400, 400))
    shape, left, right = (float(each[0]) for each in module._fitted(gauss))
    # For a normal distribution the shape is 2 and the width sigma * sqrt(2).
    assert (shape, left, right) == (
        pytest.approx(2, abs=0.05),
        pytest.approx(2 * 2**0.5, rel=0.02),
        pytest.approx(2 * 2**0.5, rel=0.02),
    )
    assert float(module._fitted(laplace)[0][0]) == pytest.approx(1, abs=0.03)
    lopsided = np.where(gauss > 0, 3 * gauss, gauss)
    _, left, right = module._fitted(lopsided)
    assert right[0] / left[0] == pytest.approx(3, rel=0.03)


def by_the_definition(block: np.ndarray) -> tuple[float, float, float]:
    """The published fit of one block, shape by shape: the first of the table where there is no ratio."""
    shapes = np.arange(0.2, 10.001, 0.001)
    table = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        left, right = (np.sqrt(np.mean(side**2)) for side in (block[block < 0], block[block > 0]))
        skew, ratio = left / right, np.mean(np.abs(block)) ** 2 / np.mean(block**2)
        wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = shapes[np.argmin((table - wanted) ** 2)]
    width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * width, right * width


def test_flat_blocks_and_those_of_one_sign_are_fitted_as_published():
    noise = np.random.default_rng(6).normal(size=(16, 16))
    for block in (noise, np.zeros((16, 16)), np.abs(noise), -np.abs(noise)):
        found = [float(each[0]) for each in module._fitted(block[None])]
        np.testing.assert_allclose(found, by_the_definition(block), rtol=1e-9)


def test_black_bars_count_as_published(monkeypatch):
    """The mean takes the shapes of flat blocks in, the covariance leaves such blocks out."""
    barred = np.random.default_rng(7).integers(0, 256, (1, 384, 288)).astype(np.uint8)
    barred[:, :96] = 0
    (found,) = niqe(barred)

    def slowly(blocks: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.array(each) for each in zip(*map(by_the_definition, blocks), strict=True))

    monkeypatch.setattr(module, "_fitted", slowly)
    assert niqe(barred)[0] == pytest.approx(found, rel=1e-9)


def test_noise_and_blur_are_less_natural(picture_200):
    natural, blurred, noisy = niqe(
        np.stack(
            [
                picture_200,
                cv2.GaussianBlur(picture_200, (0, 0), 4),
                np.random.default_rng(3).integers(0, 256, picture_200.shape).astype(np.uint8),
            ]
        )
    )
    assert natural < blurred
    assert natural < noisy


@pytest.fixture(scope="module")
def picture_200() -> np.ndarray:
    """1/f noise [200, 200, 3], whose statistics are near those of nature."""
    rng = np.random.default_rng(4)
    y, x = np.meshgrid(np.fft.fftfreq(200), np.fft.fftfreq(200), indexing="ij")
    spectrum = np.fft.fft2(rng.normal(size=(200, 200))) / np.maximum(np.hypot(x, y), 1 / 200)
    grey = np.real(np.fft.ifft2(spectrum))
    grey = 127 + 45 * (grey - grey.mean()) / grey.std()
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, -1)


def test_small_and_empty_pictures_have_none():
    rng = np.random.default_rng(5)
    assert niqe(rng.integers(0, 256, (2, 191, 400, 3)).astype(np.uint8)) == [None, None]
    assert niqe(np.stack([np.zeros((200, 200, 3), np.uint8), np.full((200, 200, 3), 255, np.uint8)])) == [None, None]
    one_block = np.zeros((1, 192, 192, 3), np.uint8)
    one_block[:, 20:76, 20:76] = rng.integers(0, 256, (56, 56, 3))
    assert niqe(one_block) == [None]
    assert niqe(np.zeros((0, 200, 200, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "frames",
    [np.zeros((1, 200, 200, 3)), np.zeros((200, 200), np.uint8), np.zeros((1, 200, 200, 4), np.uint8)],
)
def test_other_arrays_are_refused(frames):
    with pytest.raises(InputError, match="frames: found"):
        niqe(frames)
