from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from motionloom.errors import InputError
from motionloom.evaluate.fidelity import decibels, mean_of, ms_ssim, psnr, squared_error, ssim, ssim_gray_cr, ssim_map

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "metrics" / "fidelity.safetensors")
A, B = GOLDEN["img_a"][None], GOLDEN["img_b"][None]


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two videos [3, 190, 178, 3]: blobs, and the same with noise."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (3, 3, 12, 12)))
    smooth = torch.nn.functional.interpolate(coarse, (190, 178), mode="bicubic").permute(0, 2, 3, 1).numpy()
    noisy = smooth + rng.normal(0, 25, smooth.shape)
    return tuple(np.clip(np.rint(each), 0, 255).astype(np.uint8) for each in (smooth, noisy))


def test_golden_values():
    assert psnr(A, B)[0] == pytest.approx(GOLDEN["cr_psnr"][0], abs=1e-8)
    assert psnr(A, B)[0] == pytest.approx(float(GOLDEN["tm_psnr_range1"]), abs=1e-4)
    assert ssim(A, B)[0] == pytest.approx(float(GOLDEN["tm_ssim_rgb_range1"]), abs=1e-4)
    assert ssim_gray_cr(A, B)[0] == pytest.approx(GOLDEN["cr_ssim_gray"][0], abs=1e-8)


def test_scikit_image_leaves_the_border_out():
    # Its mean is over what is 5 pixels inside: the same map, another average.
    inside = ssim_map(A[0].astype(float), B[0].astype(float))[5:-5, 5:-5].mean()
    assert inside == pytest.approx(GOLDEN["sk_ssim_rgb_gauss"][0], abs=1e-4)


@pytest.mark.slow  # importing torchmetrics takes seconds
def test_ssim_and_ms_ssim_are_those_of_torchmetrics(pair):
    image = pytest.importorskip("torchmetrics.functional.image")
    a, b = (torch.from_numpy(each).permute(0, 3, 1, 2).double() / 255 for each in pair)
    single = image.structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    several = image.multiscale_structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    np.testing.assert_allclose(ssim(*pair), single.numpy(), atol=1e-7)
    np.testing.assert_allclose(ms_ssim(*pair), several.numpy(), atol=1e-7)
    assert 0.3 < single.mean() < several.mean() < 0.99


def test_a_known_difference_and_identical_frames():
    video = np.full((3, 16, 16, 3), 100, np.uint8)
    other = video.copy()
    other[1] += 10
    other[2, :, :8] += 20
    assert psnr(video, other) == [None, pytest.approx(20 * np.log10(25.5)), pytest.approx(10 * np.log10(255**2 / 200))]
    totals, counts = squared_error(video, other)
    assert (totals.tolist(), counts.tolist()) == (pytest.approx([0, 76800, 153600]), [768] * 3)
    assert decibels(totals.sum(), counts.sum()) == pytest.approx(10 * np.log10(255**2 / 100))
    assert ssim(video, video).tolist() == [1, 1, 1]
    assert ssim_gray_cr(video, video).tolist() == [1, 1, 1]


@pytest.mark.parametrize("function", [psnr, ssim, ssim_gray_cr, ms_ssim])
def test_the_range_changes_nothing(function, pair):
    expected = function(*pair)
    as_float = [each.astype(np.float64) for each in pair]
    np.testing.assert_allclose(function(*as_float, data_range=255), expected, rtol=1e-9)
    np.testing.assert_allclose(function(*(each / 255 for each in as_float)), expected, rtol=1e-9)


def test_frames_are_measured_one_by_one(pair):
    a, b = (each[:, :40, :30] for each in pair)
    for function in (psnr, ssim, ssim_gray_cr):
        alone = [function(a[t : t + 1], b[t : t + 1])[0] for t in range(3)]
        assert list(function(a, b)) == alone
        np.testing.assert_allclose(function(b, a), alone, rtol=1e-12)  # symmetric


def test_a_mask_chooses_pixels():
    video = np.zeros((2, 4, 4, 3), np.uint8)
    other = video.copy()
    other[:, :2] = 50
    upper = np.zeros((4, 4), bool)
    upper[:2] = True
    fifty = 20 * np.log10(255 / 50)
    assert psnr(video, other, mask=upper) == [pytest.approx(fifty)] * 2
    assert psnr(video, other, mask=~upper) == [None, None]
    both = np.stack([upper, np.zeros_like(upper)])
    assert psnr(video / 255, other / 255, mask=both) == [pytest.approx(fifty), None]
    assert squared_error(video, other, mask=both)[1].tolist() == [24, 0]


def test_mean_of_leaves_none_out():
    assert mean_of([1.0, None, 3.0]) == 2
    assert mean_of([1.0, None, 4.0, 5.0], 2) == 1
    assert mean_of([None]) is None
    assert mean_of([]) is None
    with pytest.raises(InputError, match="no mean can hold"):
        mean_of([1.0, float("nan")])


@pytest.mark.parametrize("function", [psnr, ssim, ssim_gray_cr, ms_ssim])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a, b[:1]), r"found shapes \(2, 180, 180, 3\) and \(1, 180, 180, 3\)"),
        (lambda a, b: (a, b[:, :90]), "both"),
        (lambda a, b: (a[0], b[0]), r"\[T, H, W, C\]"),
        (lambda a, b: (a[:0], b[:0]), r"\[T, H, W, C\]"),
        (lambda a, b: (a / 255, b), "found float64 and uint8"),
        (lambda a, b: (a.astype(int), b.astype(int)), "found int64, expected uint8 or floats"),
        (lambda a, b: (a / 1.0, b / 1.0), "video: found values from 7 to 7.* data_range"),
        (lambda a, b: (a / 255, np.where(b == 9, np.nan, 0.0)), "reference: found values from nan to nan"),
        (lambda a, b: (a / 255, np.where(b == 9, np.inf, 0.0)), "reference: found values from inf to inf"),
    ],
)
def test_what_is_not_comparable_is_refused(function, change, message):
    a, b = np.full((2, 180, 180, 3), 7, np.uint8), np.full((2, 180, 180, 3), 9, np.uint8)
    with pytest.raises(InputError, match=message):
        function(*change(a, b))


def test_too_small_frames_wrong_channels_and_masks_are_refused():
    small = np.zeros((1, 10, 40, 3), np.uint8)
    with pytest.raises(InputError, match="found 10x40 pixels, expected at least 11"):
        ssim(small, small)
    medium = np.zeros((1, 175, 400, 3), np.uint8)
    with pytest.raises(InputError, match="found 175x400 pixels, expected at least 176"):
        ms_ssim(medium, medium)
    grey = np.zeros((1, 20, 20, 1), np.uint8)
    assert ssim(grey, grey).tolist() == [1]
    with pytest.raises(InputError, match="found 1 channels"):
        ssim_gray_cr(grey, grey)
    for mask in (np.ones((20, 20)), np.ones((2, 20, 20), bool), np.ones((20, 10), bool)):
        with pytest.raises(InputError, match="mask: found"):
            psnr(grey, grey, mask=mask)
