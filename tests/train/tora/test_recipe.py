"""The recipe from nothing to a model that follows, at the smallest scale."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.errors import Cancelled, InputError
from motionloom.tracks.tracks import Tracks
from motionloom.train.tora import recipe as module
from motionloom.train.tora.recipe import ToraRecipe, train

TINY = ToraRecipe(
    side=32, num_frames=5, heads=1, layers=1, latent_channels=8, condition_channels=8, codec_clips=4, batch=2
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """A clock that moves by a second whenever it is read, so that tests do not depend on the machine's speed."""
    now = [0.0]

    def read() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(module.time, "monotonic", read)


@pytest.mark.usefixtures("clock")
@pytest.mark.slow
def test_trains_stops_resumes_and_writes_what_loads(tmp_path: Path):
    from motionloom.models.loading import load

    def stop(facts):
        if facts["stage"] == "dense":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        train(tmp_path, budget=16.0, recipe=TINY, on_progress=stop)
    assert (tmp_path / "base" / "model_index.json").exists()
    with pytest.raises(InputError, match="holds an earlier training"):
        train(tmp_path, budget=16.0, recipe=TINY, resume=False)
    told = []
    folder = train(tmp_path, budget=16.0, recipe=TINY, on_progress=told.append)
    assert {facts["stage"] for facts in told} == {"dense", "sparse"}
    elapsed = [facts["elapsed"] for facts in told]
    assert elapsed == sorted(elapsed)
    facts = json.loads((folder / "training.json").read_text())
    assert facts["recipe"]["motion"]["following"] == "tracks"
    model = load(folder, base=tmp_path / "base")
    assert model.method == "tora"
    picture = np.full((32, 32, 3), 90, np.uint8)
    clip = model.generate(picture, None, size=(32, 32), num_frames=5, num_inference_steps=1, guidance_scale=1.0)
    assert clip.frames.shape == (5, 32, 32, 3)


@pytest.mark.parametrize(
    ("changes", "budget", "match"),
    [
        ({}, 0.0, "budget"),
        ({"seed": -1}, 1.0, "seed"),
        ({"base_share": 0.0}, 1.0, "shares"),
        ({"dense_share": 0.0, "sparse_share": 0.0}, 1.0, "shares"),
        ({"design": "foo", "heads": 1, "layers": 1}, 1.0, "design: found 'foo'"),
    ],
)
def test_refuses_what_trains_nothing(tmp_path: Path, changes, budget, match):
    with pytest.raises(InputError, match=match):
        train(tmp_path, budget=budget, recipe=ToraRecipe(**changes))
    assert not (tmp_path / "base.safetensors").exists()


@pytest.mark.slow
def test_loss_falls_and_guided_clips_follow_better_than_the_untrained_adapter_s(tmp_path: Path):
    """A world of one thing that slides over a still ground in one of four directions, all at one speed."""
    from motionloom.methods.tora.adapter import ToraAdapter
    from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline
    from motionloom.train.tora.base import build_base, build_scheduler, fit_codec
    from motionloom.train.tora.conditions import MotionMix
    from motionloom.train.tora.denoising import Clips, MovingClips, denoising_loss, video_latents
    from motionloom.train.tora.stages import AdapterRecipe, Base, Stage, train_adapter

    torch.manual_seed(0)
    vae = fit_codec(12, seed=0, clips=16, side=32)

    def clips(seed: int, count: int) -> tuple[torch.Tensor, MovingClips]:
        generator = torch.Generator().manual_seed(seed)
        where = torch.randint(10, 22, (count, 2), generator=generator).float() + 0.5
        way = torch.tensor([[2.0, 0], [-2, 0], [0, 2], [0, -2]])[torch.randint(4, (count,), generator=generator)]
        place = where[:, None] + torch.arange(5)[None, :, None] * way[:, None]  # [B, T, 2]
        y, x = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")
        near = torch.exp(-((x - place[..., 0, None, None]) ** 2 + (y - place[..., 1, None, None]) ** 2) / 18)
        video = (near * 1.8 - 0.9)[:, None].expand(-1, 3, -1, -1, -1)
        flow = near[:, :-1, None] * way[:, None, :, None, None]
        seen = torch.ones(count, 5, 1, dtype=torch.bool)
        text = torch.zeros(count, 1, 16)
        return video, MovingClips(video_latents(vae, video), video[:, :, 0], text, flow, place[:, :, None], seen)

    class Source:
        def batch(self, step: int, size: int) -> MovingClips:
            return clips(step, size)[1]

    base = build_base(12, side=32, num_frames=5, heads=1, layers=3)
    alphas = build_scheduler().alphas_cumprod
    optimizer = torch.optim.AdamW(base.parameters(), 2e-3)
    losses = []
    for step in range(500):
        batch = clips(step, 8)[1]
        plain = Clips(batch.latents, batch.image, batch.text)
        loss = denoising_loss(base, vae, plain, alphas, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-40:]) < 0.5 * np.mean(losses[:40])

    adapter = ToraAdapter.for_transformer(base, condition_channels=32)
    told = []
    recipe = AdapterRecipe(
        seed=0,
        batch=8,
        stages=(Stage("dense", 250, 2e-3), Stage("sparse", 250, 1e-3)),
        motion=MotionMix(following="tracks", normalisation="inference"),
        clip=1.0,
        warmup=0.05,
        averaging=0.99,
    )
    folder = train_adapter(
        tmp_path, Base(base, vae, alphas), Source(), adapter=adapter, recipe=recipe, on_progress=told.append
    )
    dense, sparse = ([facts["loss"] for facts in told if facts["stage"] == kind] for kind in ("dense", "sparse"))
    assert np.mean(dense[-60:]) < 0.9 * np.mean(dense[:30])
    assert np.mean(sparse[-60:]) < np.mean(dense[:30])

    held, truth = clips(10**6, 16)
    centres: dict[str, float] = {}
    trained = ToraAdapter.from_pretrained(folder)
    for name, one in (("untrained", ToraAdapter.for_transformer(base, condition_channels=32)), ("trained", trained)):
        parts = {"vae": vae, "transformer": base.eval(), "scheduler": build_scheduler()}
        pipe = ToraImageToVideoPipeline(tokenizer=None, text_encoder=None, **parts, adapter=one)
        pipe.set_progress_bar_config(disable=True)
        tracks = [Tracks(p.numpy(), v.numpy(), (32, 32), 8.0) for p, v in zip(truth.points, truth.visible, strict=True)]
        video = pipe(
            image=held[:, :, 0], prompt_embeds=torch.zeros(16, 1, 16), height=32, width=32, num_frames=5,
            num_inference_steps=10, guidance_scale=1.0, generator=torch.Generator().manual_seed(0), output_type="np",
            tracks=tracks,
        ).frames  # fmt: skip
        # The thing is bright: its centre is that of the light.
        light = np.clip(video.mean(-1) - 0.3, 0, None) ** 2 + 1e-9
        weight = light / light.sum((2, 3), keepdims=True)
        grid = np.arange(32) + 0.5
        centre = np.stack([(weight.sum(2) * grid).sum(-1), (weight.sum(3) * grid).sum(-1)], -1)
        centres[name] = float(np.linalg.norm(centre - truth.points[:, :, 0].numpy(), axis=-1)[:, 1:].mean())
    assert centres["trained"] < 0.6 * centres["untrained"], centres
