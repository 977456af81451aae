import cv2
import numpy as np
import pytest
from slides import FPS, sliding

from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.fidelity import mean_of, psnr, ssim, ssim_gray_cr
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.media import Clip

BESIDE = ("psnr", "ssim", "ssim_gray_cr", "ms_ssim", "psnr_subject")
ALONE = ("first_last_psnr", "endpoint_first_psnr", "endpoint_last_psnr")


def found(video: np.ndarray, metrics=(*BESIDE, *ALONE), **known) -> dict[str, Measurement]:
    if "reference" in known:
        known["reference"] = Clip(known["reference"], FPS)
    sample = Sample("a", Clip(video, FPS), **known)
    return {each.name: each for each in measure(sample, Tools(), metrics=metrics)}


def test_beside_the_true_video(picture):
    made, true = sliding(picture, 2, 20), sliding(picture, 3, 20)
    values = found(made, reference=true)
    frames = psnr(made, true)
    assert frames[0] is None  # the first frames are the same
    overall = values["psnr"]
    assert overall.value == pytest.approx(mean_of(frames))
    assert (overall.n, overall.frames, overall.resolution, overall.unit) == (19, 20, (64, 96), "dB")
    assert overall.curve == (None, *map(pytest.approx, frames[1:]))
    assert values["psnr_first16"].value == pytest.approx(mean_of(frames, 16))
    assert (values["psnr_first16"].frames, values["psnr_first16"].curve) == (16, None)
    error = np.square(made.astype(float) - true).mean()
    assert values["psnr_video"].value == pytest.approx(10 * np.log10(255**2 / error))
    assert values["ssim"].value == pytest.approx(ssim(made, true).mean())
    assert values["ssim_first16"].value == pytest.approx(ssim(made, true)[:16].mean())
    assert values["ssim_gray_cr"].value == pytest.approx(ssim_gray_cr(made, true).mean())
    assert values["ms_ssim"].value is None
    assert "expected at least 176" in values["ms_ssim"].reason
    assert "psnr_subject" not in values  # no masks were given


def test_long_videos_window_by_window(picture):
    made, true = sliding(picture, 2, 40), sliding(picture, 3, 40)
    values = found(made, reference=true)
    assert values["ssim"].curve == tuple(ssim(made, true))
    assert values["psnr_video"].n == made.size


def test_an_identical_video_has_a_reason(picture):
    made = sliding(picture, 3)
    values = found(made, reference=made, masks=np.ones((5, 64, 96), bool))
    for name in ("psnr", "psnr_first16", "psnr_video", "psnr_subject"):
        assert values[name].value is None
        assert "identical" in values[name].reason
    assert (values["ssim"].value, values["ssim_gray_cr"].value) == (1, 1)
    assert values["psnr_background"].reason == "no pixel counts"


def test_inside_and_outside_the_masks(picture):
    true = sliding(picture, 3)
    made = true.copy()
    masks = np.zeros((5, 64, 96), bool)
    masks[:, 10:30, 20:50] = True
    made[masks] ^= 1
    made[~masks] ^= 4
    values = found(made, reference=true, masks=masks)
    assert values["psnr_subject"].value == pytest.approx(20 * np.log10(255))
    assert values["psnr_background"].value == pytest.approx(20 * np.log10(255 / 4))
    assert values["psnr_subject"].n == masks.sum() * 3
    boxed = found(made, reference=true, box=(20, 10, 50, 30))
    assert boxed["psnr_subject"].reason == boxed["psnr_background"].reason == "no masks of the subject are given"


def test_as_movebench_the_video_is_brought_to_the_true_size(picture):
    true = sliding(picture, 3)
    small = np.stack([cv2.resize(frame, (48, 32), interpolation=cv2.INTER_AREA) for frame in sliding(picture, 2)])
    enlarged = np.stack([cv2.resize(frame, (96, 64), interpolation=cv2.INTER_LINEAR) for frame in small])
    values = found(small, reference=true)
    assert values["psnr_movebench"].value == pytest.approx(mean_of(psnr(enlarged, true)))
    assert values["ssim_movebench"].value == pytest.approx(ssim(enlarged, true).mean())
    assert abs(values["psnr"].value - values["psnr_movebench"].value) > 1
    assert values["psnr_movebench"].resolution == (64, 96)
    same = found(enlarged, reference=true)
    assert same["psnr_movebench"].value == same["psnr"].value == values["psnr_movebench"].value
    assert same["psnr_movebench"].variant == values["psnr_movebench"].variant, "one column for models of any size"


def test_another_size_is_said_and_another_length_refused(picture):
    made = sliding(picture, 3)
    larger = found(made, reference=np.repeat(np.repeat(made, 2, axis=1), 2, axis=2))
    assert larger["psnr"].variant.endswith(", true video resized")
    assert larger["ssim"].value == 1  # twice the size and back
    assert (larger["ssim"].resolution, larger["ssim_movebench"].resolution) == ((64, 96), (128, 192))
    shorter = found(made, reference=made[:4])
    for name in ("psnr", "ssim", "ssim_gray_cr"):
        assert shorter[name].value is None
        assert "found 4 frames, expected 5" in shorter[name].reason


def test_the_first_and_the_last_frame(picture):
    made = sliding(picture, 3)
    values = found(made)
    first, last = made[:1], made[-1:]
    assert values["first_last_psnr"].value == pytest.approx(psnr(first, last)[0])
    assert values["first_last_ssim"].value == pytest.approx(ssim(first, last)[0])
    assert values["first_last_ssim_gray_cr"].value == pytest.approx(ssim_gray_cr(first, last)[0])
    assert {each.better for each in values.values()} == {None}
    still = found(sliding(picture, 0))
    assert (still["first_last_psnr"].value, still["first_last_psnr"].reason) == (None, "identical: the two frames")
    assert still["first_last_ssim"].value == 1
    one = found(made[:1], metrics=["first_last_psnr"])
    assert [each.reason for each in one.values()] == ["the video has one frame"] * 3


def test_ends_beside_the_photographs(picture):
    made = sliding(picture, 3)
    values = found(made, first_image=picture, last_image=picture)
    assert values["endpoint_first_psnr"].reason == "identical: the frame is the image"
    assert values["endpoint_first_ssim"].value == 1
    assert values["endpoint_last_psnr"].value == pytest.approx(psnr(made[-1:], picture[None])[0])
    assert values["endpoint_last_ssim"].value == pytest.approx(ssim(made[-1:], picture[None])[0])
    one = found(made[:1], first_image=picture, last_image=picture)
    assert one["endpoint_last_ssim"].value == 1


def test_frames_too_small_for_a_window_have_a_reason():
    tiny = np.zeros((2, 8, 8, 3), np.uint8)
    values = found(tiny, reference=tiny + np.uint8(5), metrics=["psnr", "ssim"])
    assert values["psnr"].value == pytest.approx(20 * np.log10(51))
    assert "found 8x8 pixels, expected at least 11" in values["ssim"].reason
