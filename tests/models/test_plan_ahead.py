"""Models of a published shape: the memory plan is made before a weight is read, and the parts come as it has them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig

from motionloom.models import footprint, offload
from motionloom.models.loading import load
from motionloom.models.lora import lora_of, save_lora

sys.path.append(str(Path(__file__).parent))
from tiny_wan import pipeline as tiny_pipeline
from tiny_wan import transformer as tiny_transformer


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("a14b")
    tiny_pipeline(experts=2).save_pretrained(folder / "model")
    expert = tiny_transformer(1, clip=False)
    expert.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"]))
    torch.manual_seed(3)
    for key, weight in expert.named_parameters():
        if "lora" in key:
            torch.nn.init.normal_(weight, std=0.3)
    save_lora(folder / "high.safetensors", lora_of(expert, "default"), layout="diffusion_model")
    return folder


@pytest.fixture
def published(monkeypatch):
    """The tiny model counts as the published one; what parts are given to `place`, and with which weights, is noted."""
    weights = sum(parameter.numel() for parameter in tiny_transformer(1, clip=False).parameters())
    shape = footprint.SHAPES["wan2.2-i2v-a14b"]
    tiny = replace(shape, weights=weights, cast=weights // 2, text_encoder=1000, image_encoder=0, text_leaf=100)
    shapes = {**footprint.SHAPES, "wan2.2-i2v-a14b": tiny}
    monkeypatch.setattr("motionloom.models.footprint.SHAPES", shapes)
    placed: list[tuple[str, str]] = []
    place = offload.place

    def note(plan, name, part, device):
        linear = getattr(part, "blocks", [None])[0]
        placed.append((name, "" if linear is None else str(linear.ffn.net[2].weight.dtype)))
        return place(plan, name, part, device)

    monkeypatch.setattr("motionloom.models.offload.place", note)
    return placed


def frames(model) -> np.ndarray:
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return model.generate(picture, None, prompt="a cat", size=(48, 64), num_frames=5, num_inference_steps=2).frames


@pytest.mark.parametrize("memory", ["auto", "low", "minimal"])
@pytest.mark.parametrize("lora", [False, True], ids=["plain", "lora"])
@pytest.mark.slow
def test_the_clip_is_that_of_a_model_placed_when_complete(folder: Path, memory: str, lora: bool, request):
    loras = [f"{folder}/high.safetensors:1:high"] if lora else []
    options = {"memory": memory, "loras": loras, "method": "wan_move", "dtype": torch.float32}
    complete = frames(load(folder / "model", **options))
    placed = request.getfixturevalue("published")
    ahead = load(folder / "model", **options)
    assert np.array_equal(frames(ahead), complete)
    # Encoders and VAE first, each once; the transformers after their LoRAs.
    assert [name for name, _ in placed[-2:]] == ["transformer", "transformer_2"]
    assert sorted(name for name, _ in placed[:-2]) == ["text_encoder", "vae"]
    stored = "torch.float8_e4m3fn" if ahead.plan.transformer_storage == "fp8" else "torch.float32"
    assert {dtype for name, dtype in placed if name.startswith("transformer")} == {stored}  # before they are placed


def test_models_of_another_size_are_measured_when_loaded(folder: Path, published, monkeypatch):
    monkeypatch.setattr("motionloom.models.footprint.SHAPES", {})
    model = load(folder / "model", memory="low", method="wan_move")
    assert model.plan.preset == "low"
    assert len(published) == 4


def test_what_was_planned_is_what_was_needed(folder: Path, published):
    """Up to the parts that the estimate takes from the published encoders and VAE."""
    ahead = load(folder / "model", memory="low", method="wan_move").plan
    assert "low" in ahead.reason
    assert ahead.transformer_storage == "fp8"


def test_memory_is_planned_for_the_clips_to_come(folder: Path, published, monkeypatch):
    """A larger clip on the same machine: `auto` takes a smaller preset for it before anything is loaded."""
    from motionloom.models.memory_plans import GIB, Budget, peak_bytes, plans_of

    shape = footprint.SHAPES["wan2.2-i2v-a14b"]
    monkeypatch.setitem(
        footprint.SHAPES, "wan2.2-i2v-a14b", replace(shape, dim=5120, ffn_dim=13_824, text_encoder=5 * 10**9)
    )
    need = footprint.need_of_shape(footprint.SHAPES["wan2.2-i2v-a14b"], (480, 832), 81)
    room = peak_bytes(plans_of("max-speed", need)[0], need) + 1
    monkeypatch.setattr(Budget, "measure", lambda *_, **__: Budget(room, room, 100 * GIB, 100 * GIB))
    plans = []

    class Planned(Exception):
        pass

    def stop(*_, plan, **__):
        plans.append(plan)
        raise Planned

    monkeypatch.setattr("motionloom.models.pipelines.pipeline_of_folder", stop)
    for run in ({"size": (480, 832)}, {"size": (720, 1280)}, {"size": (480, 832), "num_videos": 2}):
        with pytest.raises(Planned):
            load(folder / "model", method="wan_move", num_frames=81, **run)
    small, large, several = plans
    assert small.preset == "max-speed"
    assert "1280x720, 81 frames" in large.reason
    assert "max-speed needs" in large.reason
    assert "2 videos at once" in several.reason
    assert "max-speed needs" in several.reason
