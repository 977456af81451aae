"""LoRAs that distil a model, what the fast preset makes of them, and the notes of loading."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig

from motionloom.models.loading import load
from motionloom.models.lora import lora_of, save_lora

sys.path.append(str(Path(__file__).parent))
from tiny_wan import pipeline as tiny_pipeline
from tiny_wan import transformer as tiny_transformer


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A Wan 2.2 A14B of random weights, and a LoRA for each expert."""
    folder = tmp_path_factory.mktemp("a14b")
    tiny_pipeline(experts=2).save_pretrained(folder / "model")
    for seed, name in enumerate(("high", "low")):
        expert = tiny_transformer(1, clip=False)
        expert.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"]))
        torch.manual_seed(seed)
        for key, weight in expert.named_parameters():
            if "lora" in key:
                torch.nn.init.normal_(weight, std=0.3)
        save_lora(folder / f"steps4_{name}.safetensors", lora_of(expert, "default"), layout="diffusion_model")
    return folder


def photograph() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_few_step_loras_bring_their_own_defaults(folder: Path):
    loras = [f"{folder}/steps4_high.safetensors:1:high", f"{folder}/steps4_low.safetensors:1:low"]
    model = load(folder / "model", few_step_loras=loras, method="wan_move")
    plain = load(folder / "model", method="wan_move")
    calls = []
    for expert in (model.pipeline.transformer, model.pipeline.transformer_2):
        expert.register_forward_pre_hook(
            lambda module, args, kwargs: calls.append(float(kwargs["timestep"][0])), with_kwargs=True
        )
    options = {"size": (48, 64), "num_frames": 5, "prompt": "a cat"}
    clip = model.generate(photograph(), None, **options)
    details = clip.provenance["details"]
    assert (details["num_inference_steps"], details["guidance_scale"], details["solver"]) == (4, 1.0, "euler")
    shift = details["shift"]
    assert shift == 5.0  # what they were distilled with
    levels = np.array([1, 0.75, 0.5, 0.25])
    assert calls == pytest.approx(1000 * shift * levels / (1 + (shift - 1) * levels), abs=0.01)  # no second branch
    assert [facts["experts"] for facts in details["loras"]] == [["high"], ["low"]]
    assert clip.provenance["parameters"]["few_step_loras"] == loras
    same = {"num_inference_steps": 4, "guidance_scale": 1.0, "solver": "euler", "shift": shift}
    assert not np.array_equal(plain.generate(photograph(), None, **options, **same).frames, clip.frames)
    attached = load(folder / "model", loras=loras, method="wan_move")
    assert np.array_equal(attached.generate(photograph(), None, **options, **same).frames, clip.frames)
    with pytest.warns(UserWarning, match="distilled for 4 steps, found 6"):
        model.generate(photograph(), None, **options, num_inference_steps=6)


def test_the_shift_of_few_steps_does_not_follow_the_size(folder: Path):
    model = load(folder / "model", few_step_loras=[f"{folder}/steps4_high.safetensors:1:high"], method="wan_move")
    shifts = {
        model.generate(photograph(), None, size=size, num_frames=1).provenance["details"]["shift"]
        for size in ((48, 64), (96, 128))
    }
    assert len(shifts) == 1


def test_what_was_chosen_is_said(folder: Path):
    plain = load(folder / "model", method="wan_move")
    assert plain.notes[0].startswith("memory: ")
    fast = load(
        folder / "model", method="wan_move", fast=True, few_step_loras=[f"{folder}/steps4_high.safetensors:1:high"]
    )
    assert any("4 steps have nothing to spare" in note for note in fast.notes)
    assert any(note.startswith("attention") for note in fast.notes)
