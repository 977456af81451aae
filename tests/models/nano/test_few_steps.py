"""The step token and the sampler of few steps, on the shipped weights and on copies that say they were distilled."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import motionloom as ml
from motionloom.errors import CheckpointError, InputError
from motionloom.methods.ati import ati
from motionloom.methods.wan_move import wan_move
from motionloom.models.catalog import find_model
from motionloom.models.nano.build import build_scheduler
from motionloom.models.nano.facts import default_steps, distilled_steps, guidance, takes_last_image
from motionloom.models.nano.few_steps import STEP_COUNTS, first_order, step_grid, step_token
from motionloom.models.parameters import Parameters
from motionloom.tracks.tracks import Tracks
from motionloom.train.conditions import plain_condition
from motionloom.train.latents import to_latents

SIZE = (32, 32)


def picture() -> np.ndarray:
    y, x = np.mgrid[0:32, 0:32]
    return np.stack([8 * x, 8 * y, 128 + 4 * (x - y)], -1).astype(np.uint8)


def slide() -> Tracks:
    start = np.array([[8, 8], [24, 20]], np.float32)
    tracks = Tracks(np.repeat(start[None], 5, 0), np.ones((5, 2), bool), SIZE, 8.0)
    return tracks.translate(per_frame=(1.0, 0.5))


def generate(model: Any, steps: int | None, **options: Any) -> Any:
    return model.generate(picture(), slide(), size=SIZE, num_frames=5, num_inference_steps=steps, **options)


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped weights in a folder that says they were distilled to one and four steps."""
    shipped = find_model("nano").folder
    assert shipped is not None
    folder = tmp_path_factory.mktemp("few") / "model"
    shutil.copytree(shipped, folder)
    facts = json.loads((folder / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps({**facts, "distilled_steps": [4, 1], "default_steps": None}))
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Arguments and result of every call of a transformer."""
    from motionloom.models.nano.transformer import NanoTransformer

    calls: list[dict[str, Any]] = []
    forward = NanoTransformer.forward

    def record(self: Any, **kwargs: Any) -> Any:
        result: Any = forward(self, **kwargs)
        calls.append({**kwargs, "clean": result[0]})
        return result

    monkeypatch.setattr(NanoTransformer, "forward", record)
    return calls


def test_many_steps_are_zeros():
    assert torch.equal(step_token(None), torch.zeros(1, 1, 16))


@given(st.integers(1, 16), st.integers(1, 16), st.sampled_from([8, 16, 32]))
def test_the_token_is_the_count(steps: int, other: int, width: int):
    """Read back by the nearest code; all are as far from zero as each other."""
    token = step_token(steps, width)
    assert token.shape == (1, 1, width)
    assert float(token.square().sum()) == pytest.approx(width / 2, rel=1e-5)
    distances = [float((step_token(each, width) - token).norm()) for each in range(1, 17)]
    assert int(np.argmin(distances)) + 1 == steps
    if other != steps:
        assert distances[other - 1] > 0.1


def test_distilled_counts_are_far_apart():
    codes = [step_token(None), *(step_token(steps) for steps in STEP_COUNTS)]
    apart = [float((a - b).norm()) for i, a in enumerate(codes) for b in codes[:i]]
    assert min(apart) > 1.5


@pytest.mark.parametrize(("steps", "width"), [(0, 16), (-1, 16), (2, 15)])
def test_refuses_no_step_and_odd_widths(steps: int, width: int):
    with pytest.raises(InputError, match="steps, width"):
        step_token(steps, width)


@pytest.mark.parametrize("steps", [1, 2, 4, 7])
def test_first_order_is_ddim_on_the_same_grid(steps: int):
    scheduler: Any = build_scheduler()
    few, (times, told) = first_order(scheduler, steps), step_grid(scheduler, steps)
    assert times[0] == pytest.approx(1.0, abs=1e-5)
    assert times[-1] == 0.0
    scheduler.set_timesteps(steps)
    few.set_timesteps(steps)
    assert torch.equal(few.sigmas, scheduler.sigmas)
    assert [float(t) / 1000 for t in few.timesteps] == pytest.approx(told)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, 2, 4, 4, generator=generator)
    expected = x.double()
    for at, (now, then) in zip(few.timesteps, pairwise(times), strict=True):
        clean = torch.randn(x.shape, generator=generator)
        x = few.step(clean, at, x, return_dict=False)[0]
        expected = clean + (expected - clean) * (then / now)
        torch.testing.assert_close(x.double(), expected, atol=2e-5, rtol=1e-4)
    assert scheduler.config.solver_order == 2
    assert list(scheduler.config.disable_corrector) == []


def test_the_token_is_where_the_model_runs(distilled: Path, monkeypatch: pytest.MonkeyPatch):
    """Stock pipelines leave embeddings that they are given where they are, and the transformer then refuses them."""
    model: Any = ml.load(distilled)
    monkeypatch.setattr(type(model.pipeline), "_execution_device", property(lambda self: torch.device("meta")))
    for steps in (4, 20):
        request = model._request(picture(), slide(), Parameters(num_inference_steps=steps), None, None)
        assert {each.device.type for each in model._text(request, "", steps).values()} == {"meta"}


def test_a_last_frame_is_for_weights_that_were_trained_with_one(tmp_path: Path, seen: list[dict[str, Any]]):
    assert [takes_last_image(facts) for facts in ({}, {"recipe": {"mix": {"last_frame": 0}}})] == [False, False]
    shipped = find_model("nano").folder
    assert shipped is not None
    shutil.copytree(shipped, tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "training.json").read_text())
    facts["recipe"] = {**facts.get("recipe", {}), "mix": {"last_frame": 0.1}}
    (tmp_path / "model" / "training.json").write_text(json.dumps(facts))
    model: Any = ml.load(tmp_path / "model")
    assert model.card.takes_last_image
    last = picture()[::-1].copy()
    model.generate(picture(), None, size=SIZE, num_frames=5, num_inference_steps=1, last_image=last)
    vae, channels = model.pipeline.vae, model.pipeline.vae.config.z_dim
    video = torch.zeros(1, 3, 5, *SIZE)
    video[0, :, -1] = torch.from_numpy(last).permute(2, 0, 1) / 127.5 - 1
    ending = to_latents(vae, video)[:, :, -1]
    wanted = plain_condition(torch.zeros(1, channels, 2, 8, 8), ending)
    torch.testing.assert_close(seen[0]["hidden_states"][:, channels:, -1], wanted[:, :, -1], atol=1e-4, rtol=1e-4)


def test_what_training_json_says():
    assert (distilled_steps({}), default_steps({})) == ((), 1)
    assert distilled_steps({"distilled_steps": [4, 1, 2]}) == (1, 2, 4)
    assert default_steps({"distilled_steps": [4, 1]}) == 4
    assert default_steps({"distilled_steps": [4, 1], "default_steps": 2}) == 2
    assert default_steps({"default_steps": 20}) == 20
    assert guidance({}) == {"ati": {"temperature": 220.0}}
    assert guidance({"guidance": {"ati": {"top_k": 8}}}) == {"ati": {"top_k": 8}}


@pytest.mark.parametrize(
    "told",
    [
        3,
        {"ati": 5},
        {"tora": {"x": 1}},
        {"ati": {"top_k": 8, "sigma": 2}},
        {"ati": {"temperature": "hot"}},
        {"wan_move": {"temperature": 1.0}},
        {"ati": {"top_k": "8"}},
        {"ati": {"grid": 3}},
        {"ati": {"temperature": -1}},
        {"wan_move": {"pooling": "x"}},
    ],
)
def test_guidance_that_no_method_takes_is_refused(told: Any):
    with pytest.raises(CheckpointError, match=r"training\.json: found .* under guidance"):
        guidance({"guidance": told})


@pytest.mark.parametrize(
    ("method", "own", "changed"),
    [
        ("ati", {"temperature": 99.0, "top_k": 3, "grid": "centres"}, {"top_k": 5}),
        ("wan_move", {"pooling": "average", "collision": "last"}, {"collision": "first"}),
    ],
)
def test_what_a_folder_was_trained_with_is_what_its_method_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, own: dict[str, Any], changed: dict[str, Any]
):
    shipped = find_model("nano").folder
    assert shipped is not None
    folder = tmp_path / "model"
    shutil.copytree(shipped, folder)
    facts = json.loads((folder / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps({**facts, "guidance": {method: own}}))
    kernel = {"ati": ati, "wan_move": wan_move}[method]
    seen: list[dict[str, Any]] = []
    guide = kernel.guide

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs)
        return guide(*args, **kwargs)

    monkeypatch.setattr(kernel, "guide", spy)
    model: Any = ml.load(folder, method=method)
    generate(model, 1)
    generate(model, 1, options=changed)
    wanted = dict(own)
    if method == "ati":
        wanted["temperature"] *= (8 / 32) ** 2  # as wide in cells as at the native 128 pixels
    for told, expected in zip(seen, (wanted, {**wanted, **changed}), strict=True):
        assert {name: told[name] for name in own} == pytest.approx(expected)


@pytest.mark.parametrize("method", ["ati", pytest.param("wan_move", marks=pytest.mark.slow)])
def test_steps_pick_the_token_and_the_sampler(distilled: Path, method: str, seen: list[dict[str, Any]]):
    model: Any = ml.load(distilled, method=method)
    assert model.card.distilled_steps == (1, 4)
    told = generate(model, None).provenance["details"]
    assert (told["num_inference_steps"], told["distilled_steps"]) == (4, 4)
    assert len(seen) == 4
    assert all(torch.equal(call["encoder_hidden_states"], step_token(4)) for call in seen)
    latent = seen[0]["hidden_states"][:, : model.pipeline.vae.config.z_dim]
    times, told_times = step_grid(model.pipeline.scheduler, 4)
    for call, (now, then), at in zip(seen, pairwise(times), told_times, strict=True):
        torch.testing.assert_close(call["hidden_states"][:, : latent.shape[1]], latent, atol=1e-4, rtol=1e-4)
        assert float(call["timestep"][0]) == pytest.approx(1000 * at)
        latent = call["clean"] + (latent - call["clean"]) * (then / now)
    seen.clear()
    generate(model, 1)
    assert torch.equal(seen[0]["encoder_hidden_states"], step_token(1))
    seen.clear()
    generate(model, 4, guidance_scale=2.0)  # the branch without tracks has to make the same step
    assert len(seen) == 8
    assert all(torch.equal(call["encoder_hidden_states"], step_token(4)) for call in seen)


@pytest.mark.parametrize(
    "options",
    [{"steps": 3}, {"steps": 4, "shift": 5.0}, pytest.param({"steps": 4, "solver": "dpm++"}, marks=pytest.mark.slow)],
)
def test_other_counts_and_other_grids_are_many_steps(
    distilled: Path, options: dict[str, Any], seen: list[dict[str, Any]]
):
    clip = generate(ml.load(distilled), **options)
    assert all(not call["encoder_hidden_states"].any() for call in seen)
    assert "distilled_steps" not in clip.provenance["details"]
    assert np.array_equal(clip.frames, generate(ml.load("nano"), **options).frames)


@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(4, marks=pytest.mark.slow)])
def test_weights_that_were_not_distilled_see_zeros_as_ever(steps: int, seen: list[dict[str, Any]], tmp_path: Path):
    """Bit for bit what the stock pipeline makes of a zero token."""
    shipped = find_model("nano").folder
    assert shipped is not None
    shutil.copytree(shipped, tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "training.json").read_text())
    facts.pop("distilled_steps", None)
    (tmp_path / "model" / "training.json").write_text(json.dumps(facts))
    model: Any = ml.load(tmp_path / "model")
    frames = generate(model, steps).frames
    assert all(torch.equal(call["encoder_hidden_states"], torch.zeros(1, 1, 16)) for call in seen)
    condition = seen[0]["hidden_states"][:, model.pipeline.vae.config.z_dim :]
    scheduler = build_scheduler()
    scheduler.set_timesteps(steps)
    shape = seen[0]["clean"].shape
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for at in scheduler.timesteps:
            said = model.pipeline.transformer(
                hidden_states=torch.cat([x, condition], 1),
                timestep=at.expand(1),
                encoder_hidden_states=torch.zeros(1, 1, 16),
                return_dict=False,
            )[0]
            x = scheduler.step(said, at, x, return_dict=False)[0]
        config = model.pipeline.vae.config
        std = torch.tensor(config.latents_std).view(1, -1, 1, 1, 1)
        video = model.pipeline.vae.pictures(x * std + torch.tensor(config.latents_mean).view(1, -1, 1, 1, 1))[0]
    expected = ((video / 2 + 0.5).clamp(0, 1) * 255).round().permute(1, 2, 3, 0).to(torch.uint8).numpy()
    difference = np.abs(frames.astype(int) - expected)
    assert difference.max() <= 1  # the pipeline divides by the reciprocal of the deviation
    assert (difference > 0).mean() < 0.001
