"""Training an adapter: what is trained, what is not, resuming, and every fuser on every kind of base."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from motionloom.errors import Cancelled, CheckpointError, InputError
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.hooks import attach
from motionloom.train.tora.base import build_scheduler
from motionloom.train.tora.conditions import MotionMix
from motionloom.train.tora.denoising import MovingClips, video_latents
from motionloom.train.tora.stages import (
    PUBLISHED_STAGES,
    AdapterRecipe,
    Base,
    Stage,
    stage_loss,
    train_adapter,
    untrained_adapter,
)

tiny = runpy.run_path(str(Path(__file__).parents[2] / "methods" / "tora" / "tiny.py"))
STAGES = (Stage("dense", 3, 1e-3), Stage("sparse", 3, 5e-4))
RECIPE = AdapterRecipe(stages=STAGES, batch=2, motion=MotionMix(following="flow"), warmup=0.0)


class Clips:
    """Random clips of 32 x 32 pixels and 9 frames in which everything slides."""

    def __init__(self, vae):
        self.vae = vae

    def batch(self, step, size):
        generator = torch.Generator().manual_seed(step)
        video = torch.rand(size, 3, 9, 32, 32, generator=generator) * 2 - 1
        flow = torch.randn(size, 1, 2, 1, 1, generator=generator).expand(-1, 8, -1, 32, 32) * 3
        points = torch.zeros(size, 9, 0, 2)
        text = torch.randn(size, 4, 8, generator=generator)
        latents = video_latents(self.vae, video)
        return MovingClips(latents, video[:, :, 0], text, flow, points, points[..., 0].bool())


@pytest.fixture(scope="module")
def vae():
    return tiny["vae"]()


def base_of(kind, vae):
    return Base(tiny["transformer"](kind), vae, build_scheduler().alphas_cumprod)


def test_the_published_stages():
    assert [(s.kind, s.steps, s.learning_rate) for s in PUBLISHED_STAGES] == [
        ("dense", 15000, 1e-4),
        ("sparse", 15000, 5e-5),
    ]
    recipe = AdapterRecipe()
    assert (recipe.text_dropout, recipe.image_dropout, recipe.motion.motion_dropout) == (0.1, 0.05, 0.0)
    assert (recipe.weight_decay, recipe.clip, recipe.batch) == (1e-4, 0.1, 1)


def test_only_the_adapter_changes_and_it_changes_in_both_stages(tmp_path, vae):
    base = base_of("i2v", vae)
    before = {name: value.clone() for name, value in base.transformer.state_dict().items()}
    told = []
    adapter = tiny["adapter"](base.transformer, random=False)
    folder = train_adapter(tmp_path, base, Clips(vae), adapter=adapter, recipe=RECIPE, on_progress=told.append)
    assert [(facts["stage"], facts["step"]) for facts in told] == [
        (k, n) for k in ("dense", "sparse") for n in (1, 2, 3)
    ]
    assert all(torch.equal(before[name], value) for name, value in base.transformer.state_dict().items())
    assert all(parameter.requires_grad for parameter in base.transformer.parameters())
    assert not any(block.norm1._forward_hooks for block in base.transformer.transformer_blocks)
    first, second = (load_file(tmp_path / name) for name in ("0-dense.safetensors", "1-sparse.safetensors"))
    name = "model.fuser.0.flow_gamma_temporal.weight"
    assert first[name].abs().max() > 0
    assert not torch.equal(first[name], second[name])
    trained = ToraAdapter.from_pretrained(folder)
    assert torch.equal(trained.state_dict()[name[6:]], second["average." + name[6:]])
    # The statistics of batch norm come from the frames that were seen.
    assert int(trained.state_dict()["traj_extractor.body.0.bn1.num_batches_tracked"]) == 6
    assert json.loads((folder / "training.json").read_text())["steps"] == 3
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 6


@pytest.mark.slow
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path, vae):
    def stopping(at):
        def on_progress(facts):
            if (facts["stage"], facts["step"]) == at:
                raise Cancelled("stopped")

        return on_progress

    def run(folder, on_progress=None):
        base = base_of("i2v", vae)
        adapter = tiny["adapter"](base.transformer, random=False)
        torch.manual_seed(0)
        for parameter in adapter.parameters():
            torch.nn.init.normal_(parameter, 0, 0.1)
        train_adapter(folder, base, Clips(vae), adapter=adapter, recipe=RECIPE, on_progress=on_progress)

    run(tmp_path / "whole")
    for at in (("dense", 2), ("sparse", 1)):
        with pytest.raises(Cancelled):
            run(tmp_path / "parts", stopping(at))
        assert (tmp_path / "parts" / "adapter" / "config.json").exists()
    run(tmp_path / "parts")
    whole, parts = (load_file(tmp_path / name / "1-sparse.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


@pytest.mark.parametrize("design", ["adaptive_norm", "extra_channel", "cross_attention"])
@pytest.mark.parametrize("kind", ["t2v", "sincos", "learned", "1.5"])
def test_every_design_on_every_base_gets_gradients(kind, design, vae):
    base = base_of(kind, vae)
    adapter = tiny["adapter"](base.transformer, design=design, pad="front").train()
    batch = Clips(vae).batch(0, 2)
    with attach(base.transformer, adapter) as attachment:
        loss = stage_loss(base, attachment, batch, "dense", np.random.default_rng(0), motion=RECIPE.motion)
        loss.backward()
    assert torch.isfinite(loss)
    without = [name for name, p in adapter.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    # What a bias adds before a batch norm is taken out again.
    assert all(name.endswith("block1.bias") for name in without), without


def test_an_untrained_adapter_has_the_base_s_loss_and_checkpointing_the_same_gradients(vae):
    base = base_of("i2v", vae)
    batch = Clips(vae).batch(0, 2)

    def loss_of(adapter):
        with attach(base.transformer, adapter) as attachment:
            rng = np.random.default_rng(0)
            loss = stage_loss(base, attachment, batch, "sparse", rng, motion=RECIPE.motion)
            if not base.transformer.transformer_blocks[0].attn1.to_q.weight.requires_grad:
                loss.backward()
            return loss.detach()

    untrained = tiny["adapter"](base.transformer, random=False)
    other = tiny["adapter"](base.transformer, random=False, condition_channels=16)
    assert torch.equal(loss_of(untrained), loss_of(other))
    adapter = tiny["adapter"](base.transformer)
    assert not torch.equal(loss_of(untrained), loss_of(adapter))
    base.transformer.requires_grad_(False)
    gradients = []
    for _ in range(2):
        adapter.zero_grad()
        loss_of(adapter)
        gradients.append({name: p.grad.clone() for name, p in adapter.named_parameters()})
        base.transformer.enable_gradient_checkpointing()
    for name, value in gradients[0].items():
        torch.testing.assert_close(value, gradients[1][name], atol=1e-6, rtol=1e-5, msg=name)


def test_refuses_another_recipe_an_earlier_training_and_a_lost_loss(tmp_path, vae):
    base = base_of("i2v", vae)
    short = replace(RECIPE, stages=STAGES[:1])
    adapter = tiny["adapter"](base.transformer, random=False)
    train_adapter(tmp_path, base, Clips(vae), adapter=adapter, recipe=short)
    with pytest.raises(CheckpointError, match="different: batch"):
        train_adapter(tmp_path, base, Clips(vae), adapter=adapter, recipe=replace(short, batch=1))
    with pytest.raises(InputError, match="holds an earlier training"):
        train_adapter(tmp_path, base, Clips(vae), adapter=adapter, recipe=short, resume=False)
    with pytest.raises(InputError, match="stages"):
        train_adapter(tmp_path, base, Clips(vae), adapter=adapter, recipe=replace(short, stages=()))
    broken = tiny["adapter"](base.transformer)
    with torch.no_grad():
        broken.fuser[0].flow_beta_temporal.bias.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="loss became nan at step 0"):
        train_adapter(tmp_path / "other", base, Clips(vae), adapter=broken, recipe=short)
    damaged = tmp_path / "0-dense.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"0-dense\.safetensors: is damaged"):
        train_adapter(tmp_path, base, Clips(vae), adapter=adapter, recipe=short)


def test_gradients_that_are_no_numbers_change_nothing(tmp_path, vae):
    base = base_of("t2v", vae)
    adapter = tiny["adapter"](base.transformer)
    spoilt = adapter.fuser[0].flow_beta_temporal.bias
    handle = spoilt.register_hook(lambda gradient: gradient * torch.inf)
    before = {name: value.clone() for name, value in adapter.named_parameters()}
    with pytest.raises(CheckpointError, match=r"gradient became (inf|nan) at step 0"):
        train_adapter(tmp_path, base, Clips(vae), adapter=adapter, recipe=RECIPE)
    handle.remove()
    for name, value in adapter.named_parameters():
        assert torch.equal(before[name], value)


def test_the_motion_of_a_new_adapter_is_in_time_with_the_video():
    assert untrained_adapter(tiny["transformer"]("1.5")).config["pad"] == "front"
    assert untrained_adapter(tiny["transformer"]("t2v")).config["pad"] == "end"
