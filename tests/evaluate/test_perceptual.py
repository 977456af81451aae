import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.evaluate import perceptual
from motionloom.evaluate.networks.backbones import Backbone
from motionloom.evaluate.networks.lpips import LPIPS, Heads
from motionloom.evaluate.perceptual import gms_dissim, lpips


@pytest.fixture(scope="module")
def videos() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (5, 20, 24, 3)).astype(np.uint8) for _ in range(2))


@pytest.fixture(scope="module")
def network() -> LPIPS:
    """Of two small convolutions."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 6, 3, stride=2), torch.nn.ReLU()
    )
    whole = LPIPS(Backbone(layers, (1, 3), (4, 6), 8), Heads((4, 6)))
    for head in whole.heads.parameters():
        head.data.uniform_()
    return whole.requires_grad_(False)


def test_lpips_is_the_sum_over_layers_written_out(videos, network):
    expected = []
    for frame, other in zip(*videos, strict=True):
        total = 0.0
        activations = []
        for image in (frame, other):
            scaled = np.moveaxis(image / 127.5 - 1, -1, 0)
            scaled = (scaled - np.array([-0.030, -0.088, -0.188])[:, None, None]) / np.array([0.458, 0.448, 0.450])[
                :, None, None
            ]
            first = network.backbone.features[:2](torch.from_numpy(scaled).float()[None])
            second = network.backbone.features[2:](first)
            activations.append([first[0].numpy(), second[0].numpy()])
        for number, (a, b) in enumerate(zip(*activations, strict=True)):
            weights = network.heads[f"lin{number}"].model[1].weight.numpy().ravel()
            for y in range(a.shape[1]):
                for x in range(a.shape[2]):
                    u = a[:, y, x] / (np.linalg.norm(a[:, y, x]) + 1e-10)
                    v = b[:, y, x] / (np.linalg.norm(b[:, y, x]) + 1e-10)
                    total += (weights * (u - v) ** 2).sum() / (a.shape[1] * a.shape[2])
        expected.append(total)
    np.testing.assert_allclose(lpips(*videos, network), expected, rtol=1e-5)
    assert min(expected) > 0.05


def test_lpips_batch_by_batch_and_identical(videos, network, monkeypatch):
    whole = lpips(*videos, network)
    monkeypatch.setattr(perceptual, "_BATCH_PIXELS", 2 * 20 * 24)
    np.testing.assert_allclose(lpips(*videos, network), whole, rtol=1e-6)
    np.testing.assert_allclose(lpips(videos[1], videos[0], network), whole, rtol=1e-5)
    assert lpips(videos[0], videos[0], network) == pytest.approx(np.zeros(5), abs=1e-9)


def test_gms_dissim_is_its_formula_written_out():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 1, 8, 11, 3)).astype(np.uint8)

    def gradient(image: np.ndarray) -> np.ndarray:
        grey = image @ np.array([0.299, 0.587, 0.114])
        half = np.array([[grey[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(5)] for y in range(4)])
        rim = np.pad(half, 1, mode="edge")
        length = np.zeros((4, 5))
        for y in range(4):
            for x in range(5):
                patch = rim[y : y + 3, x : x + 3]
                across = (patch[:, 2] - patch[:, 0]).sum() / 3
                down = (patch[2] - patch[0]).sum() / 3
                length[y, x] = np.hypot(across, down)
        return length

    x, y = gradient(a[0]), gradient(b[0])
    expected = 1 - np.mean((2 * x * y + 170) / (x**2 + y**2 + 170))
    assert gms_dissim(a, b)[0] == pytest.approx(expected, abs=1e-5)
    assert expected > 0.1


def test_a_mask_chooses_the_pixels_of_gms_dissim(videos):
    a, b = videos
    whole = np.ones(a.shape[:3], np.bool_)
    np.testing.assert_allclose(gms_dissim(a, b, mask=whole), gms_dissim(a, b), atol=1e-12)
    # Two halves, along borders of 2x2 pixels, make the whole; a gradient reaches two pixels across.
    left = whole.copy()
    left[:, :, 12:] = False
    halves = (gms_dissim(a, b, mask=left) + gms_dissim(a, b, mask=~left)) / 2
    np.testing.assert_allclose(halves, gms_dissim(a, b), atol=1e-12)
    changed = a.copy()
    changed[:, :, 16:] = b[:, :, 16:]
    assert gms_dissim(a, changed, mask=left).max() < 1e-12 < 0.05 < gms_dissim(a, changed, mask=~left).min()
    left[2] = False
    assert np.isnan(gms_dissim(a, b, mask=left)).tolist() == [False, False, True, False, False]
    with pytest.raises(InputError, match="mask: found bool of shape \\(5, 20\\)"):
        gms_dissim(a, b, mask=left[..., 0])


def test_gms_dissim_sees_structure_not_brightness(videos):
    frames = videos[0] // 2
    assert gms_dissim(frames, frames).tolist() == [0] * 5
    np.testing.assert_allclose(gms_dissim(frames, frames + np.uint8(60)), 0, atol=1e-4)
    assert (gms_dissim(*videos) > 0.1).all()


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((2, 9, 9, 3), np.uint8), np.zeros((1, 9, 9, 3), np.uint8), r"reference: found shape \(1, 9, 9, 3\)"),
        (np.zeros((1, 9, 9, 3)), np.zeros((1, 9, 9, 3)), "video: found float64"),
        (np.full((1, 9, 9, 3), np.nan), np.zeros((1, 9, 9, 3), np.uint8), "video: found float64"),
        (np.zeros((1, 9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8), "reference: found uint8 of shape"),
        (np.zeros((0, 9, 9, 3), np.uint8), np.zeros((0, 9, 9, 3), np.uint8), "video: found uint8 of shape"),
        (np.zeros((1, 3, 9, 3), np.uint8), np.zeros((1, 3, 9, 3), np.uint8), "found 3x9 pixels"),
    ],
)
def test_other_arrays_are_refused(a, b, message, network):
    with pytest.raises(InputError, match=message):
        gms_dissim(a, b)
    with pytest.raises(InputError, match=message):
        lpips(a, b, network)
