from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from motionloom.errors import Cancelled, CheckpointError, InputError
from motionloom.train.nano import run as nano
from motionloom.train.nano import NanoRecipe, Stage, step_loss, train

TINY = NanoRecipe(width=64, layers=1, latent_channels=8, codec_clips=4, warmup_steps=2, stages=(Stage(32, 2, 1.0),))


def stop_after(steps: int):
    def on_progress(facts):
        if facts["step"] >= steps:
            raise Cancelled("stopped")

    return on_progress


@pytest.fixture(autouse=True)
def _tell_every_step(monkeypatch: pytest.MonkeyPatch):
    """A clock that moves by two seconds whenever it is read, so that tests do not depend on the machine's speed."""
    now = [0.0]

    def clock() -> float:
        now[0] += 2.0
        return now[0]

    monkeypatch.setattr(nano.time, "monotonic", clock)


def test_trains_resumes_and_writes_a_loadable_model(tmp_path: Path):
    with pytest.raises(Cancelled):
        train(tmp_path, budget=1e6, recipe=TINY, on_progress=stop_after(3))
    step = json.loads(_metadata(tmp_path))["step"]
    assert step >= 3
    before = load_file(tmp_path / "checkpoint.safetensors")
    with pytest.raises(Cancelled):
        train(tmp_path, budget=1e6, recipe=TINY, on_progress=stop_after(step + 3))
    after = load_file(tmp_path / "checkpoint.safetensors")
    assert json.loads(_metadata(tmp_path))["step"] == step + 3
    moments = [name for name in before if name.endswith(".exp_avg")]
    assert moments
    assert any(not torch.equal(before[name], after[name]) for name in moments)

    folder = train(tmp_path, budget=1.0, recipe=TINY)
    assert folder == tmp_path / "nano"
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert {"psnr_unguided", "psnr_ati", "psnr_wan_move", "step"} <= set(last)
    assert json.loads((folder / "training.json").read_text())["steps"] == step + 3


@pytest.mark.slow
def test_resumed_run_equals_uninterrupted_run(tmp_path: Path):
    for name, stops in (("whole", [6]), ("parts", [2, 6])):
        for stop in stops:
            with pytest.raises(Cancelled):
                train(tmp_path / name, budget=1e9, recipe=TINY, on_progress=stop_after(stop))
    whole, parts = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.slow
def test_stopping_leaves_a_model(tmp_path: Path):
    with pytest.raises(Cancelled):
        train(tmp_path, budget=1e6, recipe=TINY, on_progress=stop_after(2))
    from motionloom.models.loading import load

    assert load(tmp_path / "nano").card.num_frames == 17


@pytest.mark.slow
def test_learned_codec_trains_and_loads(tmp_path: Path):
    """The same recipe with a small AutoencoderKLWan: same layout, same loading."""
    from motionloom.models.loading import load

    recipe = replace(TINY, codec="vae", vae_share=1e-9)
    with pytest.raises(Cancelled):
        train(tmp_path, budget=1e3, recipe=recipe, on_progress=stop_after(1))
    model = load(tmp_path / "nano", method="wan_move")
    assert type(model.pipeline.vae).__name__ == "AutoencoderKLWan"  # type: ignore[attr-defined]
    assert model.pipeline.vae_scale_factor_spatial == 4  # type: ignore[attr-defined]
    picture = np.full((32, 32, 3), 90, np.uint8)
    clip = model.generate(picture, None, size=(32, 32), num_frames=5, num_inference_steps=1)
    assert clip.frames.shape == (5, 32, 32, 3)


def test_loss_falls():
    """A few steps on one batch, straight through the public loss."""
    from motionloom.models.nano.build import build_transformer
    from motionloom.models.nano.codec import BlockCodec
    from motionloom.train.conditions import plain_condition

    generator = torch.Generator().manual_seed(0)
    model = build_transformer(BlockCodec(z_dim=8), width=64, layers=1)
    latents = torch.randn(2, 8, 2, 8, 8, generator=generator)
    noise = torch.randn(latents.shape, generator=generator)
    condition, t = plain_condition(latents), torch.tensor([0.3, 0.8])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = step_loss(model, latents, condition, t, noise)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_perfect_network_has_no_loss_and_errors_count_by_time():
    latents = torch.ones(1, 2, 1, 4, 4)

    def says(value: float):
        return lambda x, t, text, return_dict: (torch.full_like(latents, value),)

    at = [torch.tensor([t]) for t in (0.1, 0.2, 0.5, 1.0)]
    condition, noise = torch.zeros(1, 6, 1, 4, 4), torch.zeros_like(latents)
    assert step_loss(says(1.0), latents, condition, at[0], noise) == 0  # type: ignore[arg-type]
    losses = [float(step_loss(says(2.0), latents, condition, t, noise)) for t in at]  # type: ignore[arg-type]
    assert losses == pytest.approx([10.0, 5.0, 2.0, 1.0])


@pytest.mark.slow
def test_refuses_another_recipe_and_earlier_training(tmp_path: Path):
    with pytest.raises(Cancelled):
        train(tmp_path, budget=1e6, recipe=TINY, on_progress=stop_after(1))
    with pytest.raises(CheckpointError, match="different: learning_rate"):
        train(tmp_path, budget=1e6, recipe=replace(TINY, learning_rate=0.5))
    with pytest.raises(InputError, match="holds an earlier training"):
        train(tmp_path, budget=1e6, recipe=TINY, resume=False)


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_refuses_no_budget(tmp_path: Path, budget: float):
    with pytest.raises(InputError, match="budget"):
        train(tmp_path, budget=budget)


def _metadata(folder: Path) -> str:
    from safetensors import safe_open

    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        return file.metadata()["training"]
