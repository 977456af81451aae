from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from motionloom.errors import Cancelled, FileFormatError, InputError
from motionloom.jobs import again
from motionloom.models.card import ModelCard
from motionloom.models.loading import load
from motionloom.models.model import Model
from motionloom.models.wan import WanModel
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

STEPS = 3


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> WanModel:
    model = load(tiny_folder)
    assert isinstance(model, WanModel)
    return model


@pytest.fixture(scope="module")
def warp():
    return load("warp")


def slide(dx: float = 12.0, frames: int = 9) -> Tracks:
    """One point near the middle of a 48 x 64 canvas moves right; the corners stay."""
    start = np.array([[28, 24], [4, 4], [60, 4], [4, 44], [60, 44]], np.float32)
    points = np.repeat(start[None], frames, axis=0)
    points[:, 0, 0] += np.linspace(0, dx, frames)
    return Tracks(points, np.ones((frames, 5), bool), (48, 64), 8.0)


def test_defaults_follow_the_model_and_the_motion(tiny: WanModel, warp, picture: np.ndarray):
    clip = tiny.generate(picture, slide(frames=49), num_inference_steps=STEPS)
    assert clip.frames.shape == (17, 112, 144, 3)
    # 49 frames at 8 fps last 6 s; so do 17 frames.
    assert (clip.frames.shape[0] - 1) / clip.fps == pytest.approx(6.0)
    geometric = warp.generate(picture, slide())
    assert geometric.frames.shape == (9, 48, 64, 3)
    assert geometric.fps == 8.0
    assert np.array_equal(geometric.frames[0], picture)


def test_given_rate_keeps_the_speed(warp, picture: np.ndarray):
    clip = warp.generate(picture, slide(frames=9), num_frames=4, fps=4.0)
    assert clip.fps == 4.0
    assert clip.provenance["details"]["num_frames"] == 4
    # Frame 3 at 4 fps is frame 6 at 8 fps.
    same = warp.generate(picture, slide(frames=9))
    difference = np.abs(clip.frames[3].astype(int) - same.frames[6])
    assert difference.mean() < 0.5
    assert np.abs(clip.frames[3].astype(int) - same.frames[4]).mean() > 5 * difference.mean()


def test_same_seed_same_clip(tiny: WanModel, picture: np.ndarray):
    def run(seed: int) -> np.ndarray:
        return tiny.generate(picture, slide(), seed=seed, size=(48, 64), num_frames=5, num_inference_steps=STEPS).frames

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


@pytest.mark.parametrize("method", ["ati", "wan_move"])
def test_no_track_and_no_strength_are_the_base_model(tiny_folder: Path, picture: np.ndarray, method: str):
    model = load(tiny_folder, method=method)
    options = {"size": (48, 64), "num_frames": 5, "num_inference_steps": STEPS}
    base = model.generate(picture, None, **options).frames
    assert np.array_equal(model.generate(picture, Tracks.empty(9, (48, 64), 8.0), **options).frames, base)
    assert np.array_equal(model.generate(picture, slide(), strength=0.0, **options).frames, base)
    assert np.array_equal(model.generate(picture, slide(), window=(0.5, 0.5), **options).frames, base)
    assert not np.array_equal(model.generate(picture, slide(), **options).frames, base)


def test_untrained_model_moves_what_the_tracks_move(tiny_folder: Path, picture: np.ndarray):
    """The copy start: frames already resemble the picture shifted along, more than the picture at rest."""
    model = load(tiny_folder, method="wan_move")
    shift = 16
    everything = Tracks(
        np.repeat(np.array([[[8.0, 8], [56, 8], [8, 40], [56, 40]]], np.float32), 9, 0),
        np.ones((9, 4), bool),
        (48, 64),
        8,
    ).translate(per_frame=(shift / 8, 0))
    frames = model.generate(picture, everything, size=(48, 64), num_frames=9, num_inference_steps=8).frames
    moved, rest = np.roll(picture, shift, axis=1)[:, shift:].astype(float), picture[:, shift:].astype(float)
    last = frames[-1][:, shift:].astype(float)
    assert np.abs(last - moved).mean() < 0.6 * np.abs(last - rest).mean()


def test_progress_and_cancelling(tiny: WanModel, picture: np.ndarray):
    told: list[tuple[int, int]] = []
    options = {"size": (48, 64), "num_frames": 5, "num_inference_steps": STEPS}
    plain = tiny.generate(picture, slide(), **options, on_progress=lambda *at: told.append(at)).frames
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def stop(step: int, total: int) -> None:
        if step == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        tiny.generate(picture, slide(), **options, on_progress=stop)
    assert np.array_equal(tiny.generate(picture, slide(), **options).frames, plain)


def test_motion_guidance_without_text(tiny: WanModel, picture: np.ndarray):
    options = {"size": (48, 64), "num_frames": 5, "num_inference_steps": STEPS}
    assert not np.array_equal(
        tiny.generate(picture, slide(), guidance_scale=3.0, **options).frames,
        tiny.generate(picture, slide(), **options).frames,
    )


def test_densify_is_on_for_nano_and_can_be_switched(tiny: WanModel, picture: np.ndarray):
    options = {"size": (48, 64), "num_frames": 5, "num_inference_steps": STEPS}
    assert tiny.generate(picture, slide(), **options).provenance["details"]["tracks_seen"] == 12 * 16
    assert tiny.generate(picture, slide(), densify=False, **options).provenance["details"]["tracks_seen"] == 5


def test_provenance_is_json_and_complete(tiny: WanModel, picture: np.ndarray):
    clip = tiny.generate(picture, slide(), size=(48, 64), num_frames=5, num_inference_steps=STEPS, seed=7)
    facts = json.loads(json.dumps(clip.provenance))
    assert facts["parameters"]["seed"] == 7
    assert facts["model"]["digest"] == tiny.digest
    assert facts["details"]["method"] == "ati"
    assert facts["details"]["num_inference_steps"] == STEPS
    assert facts["frames_sha256"] == clip.digest()


def test_a_clip_made_in_python_can_be_made_again(warp, picture: np.ndarray, tmp_path: Path):
    Image.fromarray(picture).save(tmp_path / "photo.png")
    clip = warp.generate(tmp_path / "photo.png", slide())
    saved = clip.save(tmp_path / "clip.webp", lossless=True)
    job, record = again(saved)
    repeated = job.run()
    assert record["frames_sha256"] == repeated.digest() == clip.digest()


def test_a_clip_made_from_pixels_says_so(warp, picture: np.ndarray, tmp_path: Path):
    saved = warp.generate(picture, slide()).save(tmp_path / "clip.webp")
    with pytest.raises(FileFormatError, match="made from pixels in memory"):
        again(saved)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (50, 64)}, "found 64x50, expected multiples of 16; the nearest is 64x48"),
        ({"num_frames": 0}, "num_frames: found 0"),
        ({"seed": -1}, "seed: found -1"),
        ({"strength": float("nan")}, "strength: found nan"),
        ({"strength": -0.1}, "strength: found -0.1"),
        ({"window": (0.8, 0.2)}, "window: found"),
        ({"last_image": np.zeros((8, 8, 3), np.uint8)}, "last_image"),
        ({"size": (0, 64)}, "size: found 64x0"),
    ],
)
def test_bad_arguments_are_named(tiny: WanModel, picture: np.ndarray, options: dict, message: str):
    with pytest.raises(InputError, match=message):
        tiny.generate(picture, slide(), **{"num_frames": 5, "size": (48, 64), **options})


def test_ignored_text_is_said(tiny: WanModel, warp, picture: np.ndarray):
    with pytest.warns(UserWarning, match="reads no text"):
        tiny.generate(picture, slide(), prompt="a cat", size=(48, 64), num_frames=5, num_inference_steps=1)
    with pytest.warns(UserWarning, match="warp has no use for prompt"):
        warp.generate(picture, slide(), prompt="a cat")


def test_without_motion_warp_asks_for_a_length(warp, picture: np.ndarray):
    with pytest.raises(InputError, match="num_frames"):
        warp.generate(picture, None)
    still = warp.generate(picture, None, num_frames=3).frames
    assert all(np.array_equal(frame, picture) for frame in still)


def test_motion_file_and_motion_agree(warp, picture: np.ndarray, tmp_path: Path):
    motion = Motion.parse(
        {
            "format": "motionloom.motion",
            "version": 1,
            "canvas": {"width": 64, "height": 48},
            "num_frames": 5,
            "fps": 8,
            "instructions": [
                {
                    "kind": "region",
                    "polygon": [[20, 14], [40, 14], [40, 34], [20, 34]],
                    "path": {"points": [{"x": 30, "y": 24}, {"x": 42, "y": 24}]},
                }
            ],
        },
        source="test",
    )
    path = motion.save(tmp_path / "slide.motion.json")
    from_file, direct = warp.generate(picture, path).frames, warp.generate(picture, motion).frames
    assert np.array_equal(from_file, direct)
    assert not np.array_equal(direct[-1], picture)


def test_default_size_follows_the_picture(tiny: WanModel):
    assert tiny.default_size((100, 100)) == (128, 128)
    assert tiny.default_size((480, 832)) == (96, 176)
    assert tiny.default_size((832, 480)) == (176, 96)
    # Extreme shapes are held at 4:1 before rounding.
    assert tiny.default_size((10, 1000)) == (64, 256)


def test_base_pipeline_is_left_as_found(tiny: WanModel, picture: np.ndarray):
    weights = {name: value.clone() for name, value in tiny.pipeline.transformer.state_dict().items()}
    tiny.generate(picture, slide(), size=(48, 64), num_frames=5, num_inference_steps=1, window=(0.0, 0.5))
    for name, value in tiny.pipeline.transformer.state_dict().items():
        assert torch.equal(value, weights[name])
    assert not tiny.pipeline.transformer._forward_pre_hooks


def test_nano_is_moved_without_conditions_on_tracks(picture: np.ndarray):
    model = load("nano", method="time_to_move")
    told: list[tuple[int, int]] = []
    options = {"size": (48, 64), "num_frames": 9}
    clip = model.generate(picture, slide(), **options, on_progress=lambda *at: told.append(at))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]  # of the schedule's 80 steps the last four
    assert clip.provenance["details"]["num_inference_steps"] == 80
    assert 0 < clip.provenance["details"]["mask_covers"] <= 1
    # Without a motion to follow it is nano as it always is, in its one step.
    still = model.generate(picture, slide(), strength=0.0, **options)
    assert still.provenance["details"]["num_inference_steps"] == 1
    assert np.array_equal(still.frames, load("nano").generate(picture, slide(), strength=0.0, **options).frames)
    assert not np.array_equal(clip.frames, still.frames)


class Dreamer(Model):
    """Text to video at 32x64 by default: frames that count up from the seed."""

    card = ModelCard(
        "dreamer", "", "", "", None, ("tora",), native_size=(32, 64), num_frames=5, fps=8.0, takes_image=False
    )
    name, method, digest, reads_text = "dreamer", "tora", "0" * 64, True

    def refuse(self, request):
        pass

    def render(self, request):
        self.request = request
        return np.full((request.num_frames, *request.size, 3), request.seed, np.uint8)


def test_text_to_video_starts_from_the_motion_s_canvas(picture):
    model = Dreamer()
    assert not model.takes_image
    clip = model.generate(None, slide(), prompt="a boat", seed=3)
    assert (clip.size, clip.num_frames) == ((48, 64), 5)
    assert (model.request.image, model.request.tracks.size) == (None, (48, 64))
    assert clip.provenance["image"] is None
    assert model.generate(motion=slide(), prompt="").size == (48, 64)
    assert model.generate(prompt="a boat").size == (32, 64)  # its own
    assert model.generate(prompt="a boat", size=(16, 16)).size == (16, 16)
    assert model.generate(motion=slide(), prompt="a boat", resolution="480p").size == pytest.approx(
        (547, 730), rel=0.02
    )
    both = model.generate_videos(motion=slide(), prompt="a", num_videos_per_prompt=2, seed=5)
    assert [each.provenance["parameters"]["seed"] for each in both] == [5, 6]


def test_of_a_photograph_text_to_video_takes_the_shape_and_says_so_once(picture):
    model = Dreamer()
    with pytest.warns(UserWarning, match="of the photograph only the shape is used") as told:
        clip = model.generate(picture, None, prompt="a boat")
    assert len(told) == 1
    assert (clip.size, model.request.image) == (picture.shape[:2], None)
    # The clip is made again without it: its size is in the record, it is not.
    assert clip.provenance["image"] is None
    assert clip.provenance["parameters"]["size"] == list(picture.shape[:2])


def test_what_there_is_no_picture_without(warp):
    with pytest.raises(InputError, match="prompt: missing, dreamer makes its picture from it"):
        Dreamer().generate(None, slide())
    with pytest.raises(InputError, match="image: missing, warp starts from a photograph"):
        warp.generate(None, slide())
    with pytest.raises(InputError, match="image: missing, warp starts"):
        warp.generate(motion=slide())
    with pytest.raises(InputError, match=r"image: found Tracks, expected .* generate\(None, motion\)"):
        Dreamer().generate(slide(), prompt="a boat")
    sizeless = Dreamer()
    sizeless.card = replace(sizeless.card, native_size=None)
    with pytest.raises(InputError, match="size: missing, dreamer has no size of its own"):
        sizeless.generate(prompt="a boat")


def test_files_without_a_canvas_are_on_the_picture_to_be_made(tmp_path):
    model = Dreamer()
    (tmp_path / "path.txt").write_text("0,0\n128,64\n")
    clip = model.generate(None, tmp_path / "path.txt", prompt="a boat")
    # Tora's 256x256 canvas is stretched over it.
    assert clip.size == (32, 64)
    np.testing.assert_allclose(model.request.tracks.points[-1, 0], [32, 8], atol=0.5)
    np.save(tmp_path / "wan.npy", np.full((1, 9, 1, 2), 20.0, np.float32))
    model.generate(None, tmp_path / "wan.npy", prompt="a boat", size=(24, 40))
    assert model.request.tracks.size == (24, 40)
    np.testing.assert_allclose(model.request.tracks.points, 20.0, atol=1e-4)


def test_pixels_in_memory_are_no_missing_photograph(warp, picture, tmp_path):
    clip = warp.generate(picture, slide())
    assert clip.provenance["image"] == {"path": None, "sha256": None}
    with pytest.raises(FileFormatError, match="pixels in memory"):
        again(clip.save(tmp_path / "a.webp"))
