"""Pictures, batches and results kept between calls, on tiny random models behind the stock pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from motionloom.errors import InputError
from motionloom.methods.published import PublishedInputsPipeline
from motionloom.methods.wan import clip_pixels, published_scheduler, resize_bicubic, resize_to_cover


def photograph(seed=0, height=40, width=70):
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def clip_base(base):
    """One expert with CLIP tokens, as Wan 2.1."""
    from diffusers import WanImageToVideoPipeline, WanTransformer3DModel
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(2)
    config = {**base.transformer.config, "image_dim": 16, "added_kv_proj_dim": 24}
    transformer = WanTransformer3DModel.from_config(config)
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, image_size=28, patch_size=14
    )
    pipe = WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=base.vae,
        scheduler=base.scheduler,
        transformer=transformer.eval(),
        image_encoder=CLIPVisionModel(vision).eval(),
        image_processor=CLIPImageProcessor(size={"height": 28, "width": 28}, crop_size=28),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pipe(base):
    pipe = PublishedInputsPipeline.from_pipe(base)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def clip_pipe(clip_base):
    pipe = PublishedInputsPipeline.from_pipe(clip_base)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def seen(monkeypatch):
    """The arguments of every transformer call."""
    from diffusers import WanTransformer3DModel

    calls = []
    forward = WanTransformer3DModel.forward
    monkeypatch.setattr(
        WanTransformer3DModel, "forward", lambda self, **kwargs: calls.append(kwargs) or forward(self, **kwargs)
    )
    return calls


@pytest.mark.parametrize("changes", [{}, {"last_image": True}, {"num_frames": 1}])
def test_without_preprocessing_it_is_the_stock_pipeline_bit_for_bit(pipe, base, inputs, changes):
    if changes.get("last_image"):
        changes = {"last_image": Image.fromarray(photograph(3))}
    assert torch.equal(pipe(**inputs(**changes)).frames, base(**inputs(**changes)).frames)


def test_several_videos_of_one_prompt_as_the_stock_pipeline(pipe, base, inputs):
    arguments = inputs(num_videos_per_prompt=2)
    stock = base(**inputs(num_videos_per_prompt=2)).frames  # broadcasts one text over both: other rounding
    torch.testing.assert_close(pipe(**arguments).frames, stock, atol=1e-5, rtol=1e-4)


def test_with_clip_too(clip_pipe, clip_base, inputs):
    assert torch.equal(clip_pipe(**inputs()).frames, clip_base(**inputs()).frames)


def test_the_published_condition(pipe, inputs, seen):
    """As `WanATI.generate`: bicubic without antialiasing, grey frames, the mean of the VAE, normalised; mask first."""
    picture = photograph(height=100, width=180)
    pipe(**inputs(image=Image.fromarray(picture)), preprocessing="published")
    pixels = resize_bicubic(picture, (32, 48))
    video = torch.zeros(1, 3, 9, 32, 48)
    video[0, :, 0] = pixels
    assert pixels.min() < -1 or pixels.max() > 1  # the overshoot is kept, which an image in between would cut
    vae = pipe.vae
    with torch.no_grad():
        latent = vae.encode(video).latent_dist.mode()
    mean, std = (torch.tensor(vae.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))
    condition = seen[0]["hidden_states"][:, 16:]
    torch.testing.assert_close(condition[:, 4:], (latent - mean) / std, atol=1e-6, rtol=0)
    assert condition[:, :4, 0].eq(1).all()
    assert condition[:, :4, 1:].eq(0).all()


def test_clip_sees_the_whole_photograph_at_its_own_size(clip_pipe, inputs, seen):
    picture = photograph(height=90, width=300)
    clip_pipe(**inputs(image=picture), preprocessing="published")
    with torch.no_grad():
        states = clip_pipe.image_encoder(clip_pixels(picture, 28), output_hidden_states=True).hidden_states
    assert len(states) == 4  # embeddings and three layers; the last layer is not used
    assert torch.equal(seen[0]["encoder_hidden_states_image"], states[-2])
    narrow = photograph(height=90, width=300)
    narrow[:, :20] = 0  # a centre crop would not notice
    clip_pipe(**inputs(image=narrow), preprocessing="published")
    assert not torch.equal(seen[-1]["encoder_hidden_states_image"], states[-2])


def test_clip_pixels_follow_the_published_formula():
    picture = photograph(height=448, width=448)
    picture[:] = (255, 0, 51)
    pixels = clip_pixels(picture)
    assert pixels.shape == (1, 3, 224, 224)
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    for channel, value in enumerate((1.0, 0.0, 0.2)):
        expected = (value - mean[channel]) / std[channel]
        assert abs(pixels[0, channel] - expected).max() < 1e-5


def test_cover_cuts_about_the_centre():
    picture = np.zeros((40, 120, 3), np.uint8)
    picture[:, 30:90] = 255  # the middle 3:2
    pixels = resize_to_cover(picture, (20, 30))
    assert pixels.shape == (3, 20, 30)
    assert pixels.min() == 1
    tall = resize_to_cover(np.ascontiguousarray(picture.transpose(1, 0, 2)), (30, 20))
    assert tall.shape == (3, 30, 20)
    assert tall.min() == 1


def test_every_prompt_its_own_picture_last_picture_and_noise(clip_pipe, inputs):
    """A batch gives what its videos give alone."""
    pictures, lasts = [photograph(1), photograph(2, 50, 60)], [photograph(3), photograph(4)]
    both = inputs(batch=2, image=pictures, last_image=lasts, num_videos_per_prompt=2)
    both["generator"] = [torch.Generator().manual_seed(seed) for seed in range(4)]
    together = clip_pipe(**both, preprocessing="published").frames
    for index in range(4):
        prompt = index // 2
        alone = {**both, "image": pictures[prompt], "last_image": lasts[prompt], "num_videos_per_prompt": 1}
        for name in ("prompt_embeds", "negative_prompt_embeds"):
            alone[name] = both[name][prompt : prompt + 1]
        alone["generator"] = torch.Generator().manual_seed(index)
        one = clip_pipe(**alone, preprocessing="published").frames
        torch.testing.assert_close(together[index : index + 1], one, atol=1e-5, rtol=1e-4)


def test_a_last_picture_marks_the_last_subframe_and_changes_only_the_end_of_the_condition(clip_pipe, inputs, seen):
    clip_pipe(**inputs(image=photograph(1)), preprocessing="published")
    clip_pipe(**inputs(image=photograph(1), last_image=photograph(2)), preprocessing="published")
    plain, ended = seen[0]["hidden_states"][:, 16:], seen[-1]["hidden_states"][:, 16:]
    assert torch.equal(plain[:, :, :2], ended[:, :, :2])  # causal
    assert ended[0, :4, 2, 0, 0].tolist() == [0, 0, 0, 1]
    # One picture's tokens, for a model that knows one.
    assert seen[-1]["encoder_hidden_states_image"].shape[1] == 5


def test_what_does_not_depend_on_the_seed_is_computed_once(clip_pipe, inputs, monkeypatch):
    counts = {"vae": 0, "clip": 0}
    encode, clip = clip_pipe.vae.encode, clip_pipe.image_encoder.forward
    monkeypatch.setattr(
        clip_pipe.vae, "encode", lambda *a, **k: counts.update(vae=counts["vae"] + 1) or encode(*a, **k)
    )
    monkeypatch.setattr(
        clip_pipe.image_encoder, "forward", lambda *a, **k: counts.update(clip=counts["clip"] + 1) or clip(*a, **k)
    )
    picture = photograph(1)
    results = [clip_pipe(**inputs(image=picture, seed=s), preprocessing="published").frames for s in (0, 1, 0)]
    assert counts == {"vae": 1, "clip": 1}
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])
    clip_pipe(**inputs(image=photograph(2)), preprocessing="published")
    assert counts == {"vae": 2, "clip": 2}
    clip_pipe(**inputs(image=picture, num_frames=5), preprocessing="published")
    assert counts == {"vae": 3, "clip": 2}
    clip_pipe.forget()
    clip_pipe(**inputs(image=picture), preprocessing="published")
    assert counts == {"vae": 4, "clip": 3}


def test_prompts_are_encoded_once(pipe, inputs, monkeypatch):
    calls = []

    def encode(self, prompt=None, num_videos_per_prompt=1, **options):
        calls.append(prompt)
        return torch.full((len(prompt), 512, 8), float(len(prompt[0]))).repeat_interleave(num_videos_per_prompt, 0)

    monkeypatch.setattr(type(pipe), "_get_t5_prompt_embeds", encode)
    monkeypatch.setattr(type(pipe), "text_encoder", object(), raising=False)
    arguments = inputs()
    del arguments["prompt_embeds"], arguments["negative_prompt_embeds"]
    arguments |= {"image": photograph(1), "prompt": "a cat", "negative_prompt": "blurry picture"}
    first = pipe(**arguments).frames
    assert len(calls) == 2
    arguments["generator"] = torch.Generator().manual_seed(0)
    assert torch.equal(first, pipe(**arguments).frames)
    assert len(calls) == 2
    arguments["generator"] = torch.Generator().manual_seed(0)
    assert not torch.equal(first, pipe(**{**arguments, "prompt": "a longer text"}).frames)
    assert len(calls) == 4


def test_counts_that_do_not_fit(pipe, inputs):
    with pytest.raises(InputError, match="image: found 2 for 3 prompts"):
        pipe(**inputs(batch=3, image=[photograph(1), photograph(2)]))
    with pytest.raises(InputError, match="generator: found 1 for 2 videos"):
        pipe(**{**inputs(batch=2), "generator": [torch.Generator()]})


def test_the_stock_checks_still_speak(pipe, inputs):
    with pytest.raises(ValueError, match="divisible by 16"):
        pipe(**inputs(height=40))
    with pytest.raises(ValueError, match="Provide either `image`"):
        pipe(**inputs(image=None))


def test_first_steps_that_round_to_the_same_timestep(pipe, inputs, seen):
    scheduler = published_scheduler("unipc", 12.0)
    scheduler.set_timesteps(100)
    assert [int(time) for time in scheduler.timesteps[:3]] == [999, 999, 998]
    pipe.scheduler = scheduler
    assert torch.isfinite(pipe(**inputs(num_inference_steps=100)).frames).all()
    assert scheduler.step_index == 100
    assert scheduler.begin_index is None  # as it was found
