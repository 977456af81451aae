"""The weights in the package: do they do what nano is for?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

import motionloom as ml
from motionloom.errors import CheckpointError, InputError
from motionloom.examples_data import example
from motionloom.models.catalog import find_model
from motionloom.models.wan import WanModel
from motionloom.tracks.tracks import Tracks

SIZE = (128, 128)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """The middle of a photograph that nano was never trained on."""
    whole = ml.read_image(example("coffee")[0])
    return whole[60:316, 170:426][::2, ::2].copy()


def shift(dx: float, dy: float) -> Tracks:
    """The whole picture moves by (dx, dy) pixels over 17 frames."""
    y, x = np.mgrid[24:105:27, 24:105:27]
    start = np.stack([x.ravel(), y.ravel()], -1).astype(np.float32)
    tracks = Tracks(np.repeat(start[None], 17, 0), np.ones((17, len(start)), bool), SIZE, 8.0)
    return tracks.translate(per_frame=(dx / 16, dy / 16))


def test_package_budget_and_storage():
    card = find_model("nano")
    assert card.folder is not None
    assert card.size_on_disk < 24_000_000
    with safe_open(card.folder / "transformer" / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"torch.float16"}  # noqa: SIM118
    facts = json.loads((card.folder / "training.json").read_text())
    assert facts["steps"] > 1000
    assert (card.folder / "README.md").is_file()


def test_codec_keeps_a_moving_photograph(picture: np.ndarray):
    model = ml.load("nano")
    assert isinstance(model, WanModel)
    frames = ml.load("warp").generate(picture, shift(20, 10), num_frames=17).frames
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
    codec = model.pipeline.vae
    error = (codec.pictures(codec.codes(video)) - video).square().mean() / 4
    assert -10 * torch.log10(error) > 28


@pytest.mark.parametrize("method", ["ati", pytest.param("wan_move", marks=pytest.mark.slow)])
def test_guidance_moves_the_photograph(picture: np.ndarray, method: str):
    """Nearer to the photograph moved by geometry, and to the tracks, than the same model without tracks."""
    model, wanted = ml.load("nano", method=method), shift(20, 10)
    guided, unguided = model.generate(picture, wanted, size=SIZE), model.generate(picture, None, size=SIZE)
    moved = ml.load("warp").generate(picture, wanted, num_frames=17).frames[:, 20:108, 24:108].astype(int)
    error, without = (np.abs(clip.frames[:, 20:108, 24:108] - moved).mean() for clip in (guided, unguided))
    assert error < 0.65 * without
    distance, without_tracks = (ml.evaluate(clip, wanted)["epe"] for clip in (guided, unguided))
    assert distance is not None
    assert without_tracks is not None
    assert distance < 0.75 * without_tracks


@pytest.mark.slow
def test_static_tracks_hold_the_picture(picture: np.ndarray):
    wanted = shift(0, 0)
    drift = ml.evaluate(ml.load("nano", method="wan_move").generate(picture, wanted, size=SIZE), wanted)["epe"]
    assert drift is not None
    assert drift < 1.0


@pytest.mark.slow
def test_nano_with_another_solver_still_makes_the_picture_and_forgets_it_afterwards():
    """nano predicts clean frames; solvers made for models of the flow would give noise."""
    image, motion = example("rocket")
    model = ml.load("nano")
    plain = model.generate(image, motion, num_inference_steps=2).frames.astype(int)
    for chosen in ({"solver": "unipc"}, {"solver": "dpm++"}, {"shift": 5.0}):
        frames = model.generate(image, motion, num_inference_steps=2, **chosen).frames
        assert 0 < np.abs(frames - plain).mean() < 8, chosen
    np.testing.assert_array_equal(model.generate(image, motion, num_inference_steps=2).frames, plain)
    with pytest.raises(InputError, match="nano predicts clean frames"):
        model.generate(image, motion, solver="euler")


@pytest.mark.parametrize("told", [None, 3, ["a"], [-4.0], {}])
def test_wavelengths_that_make_no_sense_are_refused(tmp_path: Path, told: object):
    card = find_model("nano")
    assert card.folder is not None
    shutil.copytree(card.folder, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "transformer" / "config.json").read_text())
    (tmp_path / "model" / "transformer" / "config.json").write_text(json.dumps({**config, "wavelengths": told}))
    with pytest.raises(CheckpointError, match=r"transformer: found wavelengths .*, expected a list of lengths"):
        ml.load(tmp_path / "model")


def test_the_network_knows_the_wavelengths_of_the_codec():
    pipeline = ml.load("nano").pipeline
    assert tuple(pipeline.transformer.config["wavelengths"]) == tuple(pipeline.vae.config["wavelengths"]) != ()
