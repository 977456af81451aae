from __future__ import annotations

import cv2
import numpy as np
import pytest

from motionloom.errors import InputError
from motionloom.media.post import PostStep, parse_post, postprocess
from motionloom.prepare.procedural import render, sample_scene


def psnr(found, expected):
    return 10 * np.log10(255**2 / np.mean((found.astype(float) - expected) ** 2))


@pytest.fixture(scope="module")
def clip():
    """Nine frames of textured layers that move over each other."""
    scene = sample_scene(0, [5], num_frames=9, resolution=120, motion=0.5)
    return (render(scene, (120, 160))[0].permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def edge():
    """A soft vertical edge from 60 to 190 and a stripe, in colour."""
    row = np.full(64, 60.0)
    row[32:] = 190
    row[10:13] = 120
    row = cv2.GaussianBlur(row[None], (0, 0), 1.2)[0]
    picture = np.stack([row, row * 0.8, row * 0.6 + 40], -1)
    return np.rint(np.broadcast_to(picture, (2, 48, 64, 3))).astype(np.uint8)


def test_steps_from_a_text():
    assert parse_post("sharpen=0.3, denoise ,interpolate=4") == (
        PostStep("sharpen", 0.3),
        PostStep("denoise", 4.0),
        PostStep("interpolate", 4),
    )
    assert parse_post("") == ()
    assert [str(step) for step in parse_post("interpolate,sharpen")] == ["interpolate=2", "sharpen=0.5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blur", "found 'blur' in 'blur', expected denoise, sharpen, interpolate"),
        ("sharpen,,denoise", "found ''"),
        ("sharpen=much", "expected a number after sharpen="),
        ("sharpen=", "expected a number after sharpen="),
        ("sharpen=9", "sharpen=9, expected 0 to 3"),
        ("denoise=nan", "denoise=nan, expected 0.5 to 50"),
        ("interpolate=2.5", "expected a whole number"),
        ("interpolate=1", "interpolate=1, expected 2 to 8"),
        ("denoise,denoise=3", "denoise is given twice"),
    ],
)
def test_texts_that_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_post(text)


def test_nothing_to_do_returns_the_frames_themselves(clip):
    frames, fps = postprocess(clip, (), 16.0)
    assert frames is clip
    assert fps == 16.0


@pytest.mark.parametrize("noise", [4, 10])
def test_denoising_gains_and_keeps_edges(clip, noise):
    noisy = np.clip(clip + np.random.default_rng(0).normal(0, noise, clip.shape), 0, 255).round().astype(np.uint8)
    before = noisy.copy()
    found, fps = postprocess(noisy, [PostStep("denoise", noise)], 16.0)
    assert fps == 16.0
    assert np.array_equal(noisy, before)
    assert psnr(found, clip) > psnr(noisy, clip) + 6
    # A Gaussian as wide as the bilateral filter loses to it where the edges are.
    gradient = np.hypot(*np.gradient(clip.astype(float).mean(-1), axis=(1, 2)))
    edges = gradient > np.quantile(gradient, 0.95)
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in noisy])
    assert psnr(found[edges], clip[edges]) > psnr(blurred[edges], clip[edges]) + 3
    assert psnr(found[edges], clip[edges]) > psnr(noisy[edges], clip[edges]) + 1.5


def test_denoising_calms_flicker(clip):
    still = np.repeat(clip[:1], 9, axis=0)
    noisy = np.clip(still + np.random.default_rng(0).normal(0, 6, still.shape), 0, 255).round().astype(np.uint8)
    found, _ = postprocess(noisy, [PostStep("denoise", 6)], 16.0)
    assert found.astype(float).std(0).mean() < 0.4 * noisy.astype(float).std(0).mean()


def test_sharpening_steepens_edges_without_halo(edge):
    light = edge[0, 24].astype(float).mean(-1)
    found, _ = postprocess(edge, [PostStep("sharpen", 1.0)], 16.0)
    sharp = found[0, 24].astype(float).mean(-1)
    assert np.abs(np.diff(sharp)).max() > 1.2 * np.abs(np.diff(light)).max()
    around = np.lib.stride_tricks.sliding_window_view(np.pad(edge[0, 24].astype(float), ((1, 1), (0, 0)), "edge"), 3, 0)
    assert (found[0, 24] <= around.max(-1) + 5).all()
    assert (found[0, 24] >= around.min(-1) - 5).all()
    # Colours: what is added is grey.
    shift = found.astype(int) - edge
    assert np.ptp(shift, axis=-1).max() <= 1
    assert np.array_equal(postprocess(edge, [PostStep("sharpen", 0.0)], 16.0)[0], edge)


@pytest.mark.parametrize("times", [2, 4])
def test_frames_between_are_right_and_given_ones_untouched(clip, times):
    found, fps = postprocess(clip[::times], [PostStep("interpolate", times)], 16.0)
    assert fps == 16.0 * times
    assert found.shape == clip.shape
    assert np.array_equal(found[::times], clip[::times])
    new = [index for index in range(9) if index % times]
    blend = np.stack(
        [
            np.rint(clip[i - i % times] * (1 - i % times / times) + clip[i - i % times + times] * (i % times / times))
            for i in new
        ]
    )
    assert psnr(found[new], clip[new]) > psnr(blend, clip[new]) + 6


def test_a_still_clip_stays_still(clip):
    still = np.repeat(clip[:1], 4, axis=0)
    found, _ = postprocess(still, parse_post("denoise,sharpen,interpolate=3"), 16.0)
    assert found.shape[0] == 10
    assert (found == found[:1]).all()


@pytest.mark.parametrize("shape", [(1, 40, 40, 3), (3, 1, 1, 3), (2, 9, 33, 3)])
def test_any_size_and_number_of_frames(shape):
    frames = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    found, fps = postprocess(frames, parse_post("sharpen,denoise,interpolate"), 8.0)
    assert found.shape == (2 * shape[0] - 1, *shape[1:])
    assert fps == 16.0


def test_progress_counts_all_steps_and_can_stop(clip):
    seen = []
    postprocess(clip[:3], parse_post("interpolate,sharpen"), 16.0, on_progress=lambda *at: seen.append(at))
    assert seen == [(n, 10) for n in range(1, 11)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        postprocess(clip, parse_post("sharpen"), 16.0, on_progress=stop)


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3)), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_frames_that_are_refused(frames):
    with pytest.raises(InputError, match="frames: found"):
        postprocess(frames, parse_post("sharpen"), 16.0)
