from __future__ import annotations

import numpy as np
import pytest
import torch

from motionloom.methods.ati import ati
from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.guidance import TrackGuidance
from motionloom.methods.wan import resize_bicubic
from motionloom.tracks.tracks import Tracks

FRAMES = 3 * np.arange(81) // 2  # the published choice of 81 of 121 frames


@pytest.fixture(scope="module")
def pipe(golden):
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler

    weights, config = golden("ati/tiny_vae")
    vae = AutoencoderKLWan(**config)
    vae.load_state_dict(weights)
    return ATIWanImageToVideoPipeline(
        tokenizer=None, text_encoder=None, vae=vae.eval(), scheduler=UniPCMultistepScheduler()
    )


@torch.no_grad()
def condition(pipe, image, size, guidance=None):
    pipe._guidance = guidance
    try:
        return pipe.prepare_latents(
            image[None],
            1,
            16,
            *size,
            81,
            torch.float32,
            torch.device("cpu"),
            torch.Generator().manual_seed(0),
            None,
            None,
        )[1][0]
    finally:
        pipe._guidance = None


@pytest.mark.parametrize("number", ["00", *(pytest.param(n, marks=pytest.mark.slow) for n in ("01", "02"))])
def test_published_condition_from_image_and_tracks(golden, pipe, number):
    tensors, params = golden(f"ati/ycond_{number}")
    size = (params["out_height"], params["out_width"])
    image = resize_bicubic(tensors["image"].numpy(), size)
    assert (image - tensors["resized_image"]).abs().max() < 1e-5
    plain = condition(pipe, image, size)
    assert (plain - tensors["cond_plain"]).abs().max() < 1e-4

    # The published geometry: normalised by the image's own size.
    processed = tensors["processed"]
    strict = ati.patch(plain[None], processed[..., 1:3], processed[..., 3])
    assert (strict[0] - tensors["cond_ati"]).abs().max() < 1e-4

    # Ours: the pipeline's, from the file's pixels to the video's. The same where the aspect is kept.
    pixels = tensors["quantised"].numpy()[:, FRAMES, 0].transpose(1, 0, 2) / 8
    tracks = Tracks(pixels[..., :2], pixels[..., 2] > 0.5, (params["image_height"], params["image_width"]), 16.0)
    options = {"temperature": 220.0, "top_k": 2, "mask_mode": "auto"}
    ours = condition(pipe, image, size, TrackGuidance([tracks], options=options))
    difference = (ours - tensors["cond_ati"]).abs().max()
    if number == "02":
        assert 0.01 < difference < 2
    else:
        assert difference < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("number", ["00", "02"])
@pytest.mark.slow
def test_strict_reference_is_the_published_condition_from_photograph_and_file(
    golden, pipe, base, inputs, number, monkeypatch
):
    """The whole pipeline with the published resize; in "02" the video has another shape than the photograph."""
    from diffusers import WanTransformer3DModel

    tensors, params = golden(f"ati/ycond_{number}")
    pixels = tensors["quantised"].numpy()[:, FRAMES, 0].transpose(1, 0, 2) / 8
    tracks = Tracks(pixels[..., :2], pixels[..., 2] > 0.5, (params["image_height"], params["image_width"]), 16.0)
    full = ATIWanImageToVideoPipeline.from_pipe(base, vae=pipe.vae)
    full.set_progress_bar_config(disable=True)
    seen = []

    def stop(self, **kwargs):
        seen.append(kwargs["hidden_states"][0, 16:])
        raise StopIteration

    monkeypatch.setattr(WanTransformer3DModel, "forward", stop)
    sizes = {"height": params["out_height"], "width": params["out_width"], "num_frames": 81}
    arguments = inputs(**sizes, image=tensors["image"].numpy(), num_inference_steps=1)
    for strict in (True, False):
        with pytest.raises((StopIteration, RuntimeError)):
            full(**arguments, tracks=tracks, preprocessing="published", strict_reference=strict)
    errors = [float((each - tensors["cond_ati"]).abs().max()) for each in seen]
    assert errors[0] < 1e-4
    assert (errors[1] > 0.01) == (number == "02")


def test_options_reach_the_kernel(base, inputs):
    pipe = ATIWanImageToVideoPipeline.from_pipe(base)
    pipe.set_progress_bar_config(disable=True)
    points = np.full((9, 3, 2), 20.0) + np.arange(9)[:, None, None] + 4 * np.arange(3)[None, :, None]
    tracks = Tracks(points, np.ones((9, 3), np.bool_), (32, 48), 16.0)
    seen = []
    original = ati.guide
    try:
        ati.guide = lambda *args, **kwargs: seen.append(kwargs) or original(*args, **kwargs)
        for changes in (
            {},
            {"temperature": 50.0, "top_k": 1, "strength": 0.5, "grid": "centres"},
            {"last_image": inputs()["image"]},
        ):
            pipe(**inputs(num_inference_steps=1), tracks=tracks, **changes)
    finally:
        ati.guide = original
    expected = {"temperature": 220.0, "top_k": 2, "mask_mode": "reference", "grid": "reference"}
    expected |= {"strength": 1.0, "time_stride": 4}
    assert seen[0] == expected
    assert seen[1] == {**expected, "temperature": 50.0, "top_k": 1, "strength": 0.5, "grid": "centres"}
    assert seen[2] == {**expected, "mask_mode": "keep"}
