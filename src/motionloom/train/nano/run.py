"""The training of nano: steps, checkpoints, scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

from motionloom.errors import InputError
from motionloom.models.nano.build import NUM_FRAMES, build_transformer, like
from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.files import save_nano
from motionloom.prepare.procedural import render, sample_scene
from motionloom.train.conditions import ConditionMix, draw_condition, plain_condition
from motionloom.train.latents import Codec, to_video
from motionloom.train.nano.objectives import Lesson, objective, predict_clean
from motionloom.train.nano.recipe import VALIDATION_SEED, NanoRecipe, Stage
from motionloom.train.pool import Batch, ClipPool, encode_clips
from motionloom.train.state import TrainingState, adamw, log, mixed_precision
from motionloom.train.vae import train_vae


def train(
    out: str | Path,
    *,
    budget: float = 1200.0,
    recipe: NanoRecipe | None = None,
    resume: bool = True,
    device: str | None = None,
    checkpoint_every: float = 120.0,
    validate_every: float = 300.0,
    compile: bool = False,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Train nano for a time and write it as a diffusers folder.

    Args:
        out: folder for checkpoints, the log (``log.jsonl``) and the result (``nano/``).
        budget: seconds of training, summed over all resumed runs.
        recipe: what to train; must be the same when resuming.
        resume: go on from the checkpoint in ``out`` if there is one; otherwise such a checkpoint is an error.
        device: "cpu", "cuda", ...; the fastest there is when not given.
        checkpoint_every: seconds between checkpoints.
        validate_every: seconds between scores on held-out clips, written to the log.
        compile: run the network through ``torch.compile``: a minute to start (needs a C++ compiler on the CPU), then
            faster steps.
        on_progress: called about once a second with step, elapsed, budget, loss, stage; raise to stop (checkpoint
            and model are written first).

    Returns:
        The folder of the trained model, loadable with ``motionloom.load``.

    Raises:
        InputError: a budget that is not positive, or an earlier training in ``out`` and ``resume`` off.
        CheckpointError: the checkpoint in ``out`` belongs to another recipe.
    """
    recipe = recipe or NanoRecipe()
    if not budget > 0:
        raise InputError(f"budget: found {budget} s, expected a time above zero")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    run = _Run(out, recipe, budget, where, compile)
    if run.checkpoint.exists():
        if not resume:
            raise InputError(f"{out}: holds an earlier training; resume it, or choose another folder")
        run.load()
    last_saved = last_scored = last_told = time.monotonic()
    try:
        for facts in run.steps():
            now = time.monotonic()
            if on_progress and now - last_told >= 1.0:
                last_told = now
                on_progress(facts)
            if now - last_saved >= checkpoint_every:
                run.save()
                last_saved = time.monotonic()
            if now - last_scored >= validate_every:
                log(out, {**facts, **run.validate()})
                last_scored = time.monotonic()
    finally:
        run.save()
        folder = run.export()
    log(out, {"step": run.state.step, "elapsed": run.state.elapsed, **run.validate()})
    return folder


class _Run:
    """State of one training: weights, their average, optimiser, position in time."""

    def __init__(self, out: Path, recipe: NanoRecipe, budget: float, device: torch.device, compile: bool) -> None:
        self.out, self.recipe, self.budget, self.device = out, recipe, budget, device
        self.codec = self._codec()
        self.model = build_transformer(
            self.codec, width=recipe.width, layers=recipe.layers, expansion=recipe.expansion, seed=recipe.seed
        ).to(device)
        self.model.train()
        self._network: Any = torch.compile(self.model, dynamic=False) if compile else self.model
        optimizer = adamw(self.model.parameters(), recipe.learning_rate, recipe.weight_decay)
        self.state = TrainingState(self.model, optimizer, averaging=recipe.averaging)
        self._pool: tuple[Stage, ClipPool] | None = None

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def _codec(self) -> Codec:
        """The codec of an earlier run, or a new one: fitted, or trained for its share of the budget."""
        recipe, folder = self.recipe, self.out / "codec"
        kind = AutoencoderKLWan if recipe.codec == "vae" else BlockCodec
        if (folder / "config.json").exists():
            return kind.from_pretrained(folder)
        if recipe.codec == "vae":
            seconds = recipe.vae_share * self.budget
            codec = train_vae(recipe.latent_channels, seed=recipe.seed, seconds=seconds, device=self.device)
        else:
            starts = range(0, recipe.codec_clips, 16)
            groups = [range(start, min(start + 16, recipe.codec_clips)) for start in starts]
            videos = [render(sample_scene(recipe.seed, group, resolution=128), (128, 128)) for group in groups]
            codec = BlockCodec.fit([video.transpose(1, 2) * 2 - 1 for video in videos], recipe.latent_channels)
        codec.save_pretrained(folder)
        return codec

    # ------------------------------------------------------------------ steps
    def steps(self) -> Iterator[dict[str, Any]]:
        started = time.monotonic() - self.state.elapsed
        recent: float | None = None
        while self.state.elapsed < self.budget:
            share = self.state.elapsed / self.budget
            stage = self.recipe.stage(share)
            loss = self._one_step(stage, share)
            recent = loss if recent is None else 0.98 * recent + 0.02 * loss
            self.state.elapsed = time.monotonic() - started
            yield {
                "step": self.state.step,
                "elapsed": round(self.state.elapsed, 1),
                "budget": self.budget,
                "side": stage.side,
                "loss": round(recent, 5),
            }

    def _one_step(self, stage: Stage, share: float) -> float:
        recipe = self.recipe
        if self._pool is None or self._pool[0].side != stage.side:
            pool_seed = recipe.seed * 1009 + stage.side
            self._pool = stage, ClipPool(self.codec, (stage.side, stage.side), NUM_FRAMES, pool_seed)
        rng = np.random.default_rng([recipe.seed, self.state.step, 11])
        batch = self._pool[1].batch(self.state.step, stage.batch)
        condition = draw_condition(batch.plain, batch.points, batch.visible, rng)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        lesson = Lesson(
            self._network,
            self._network,
            batch.latents.to(self.device),
            condition.to(self.device),
            stage,
            recipe,
            generator,
        )
        warm = min(1.0, (self.state.step + 1) / recipe.warmup_steps)
        cosine = 0.5 * (1 + np.cos(np.pi * min(share, 1.0)))
        rate = recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * cosine
        with mixed_precision(self.device):
            loss = objective(stage.kind)(lesson)
        self.state.add(loss)
        self.state.update(learning_rate=rate * warm, clip=1.0)
        return float(loss.detach())

    @torch.no_grad()
    def validate(self, clips: int = 8, steps: int = 8) -> dict[str, Any]:
        """PSNR against the truth of held-out clips sampled with dense tracks and without any."""
        stage = self.recipe.stage(min(self.state.elapsed / self.budget, 0.999))
        size = (stage.side, stage.side)
        held = encode_clips(self.codec, VALIDATION_SEED, range(clips), size, NUM_FRAMES)
        model = like(self.model).to(self.device)
        model.load_state_dict(self.state.average)
        scores = {}
        for name, condition in self._validation_conditions(held).items():
            latents = self._sample(model, condition.to(self.device), steps).cpu()
            error = (to_video(self.codec, latents) - to_video(self.codec, held.latents.float())).square().flatten(
                1
            ).mean(1) / 4
            scores[f"psnr_{name}"] = round(float(-10 * torch.log10(error).mean()), 3)
        return scores

    def _validation_conditions(self, held: Batch) -> dict[str, torch.Tensor]:
        conditions = {"unguided": plain_condition(held.plain.float())}
        for name, ati in (("ati", 1.0), ("wan_move", 0.0)):
            mix = ConditionMix(unguided=0, ati=ati, dense=1, densified=0)
            rng = np.random.default_rng(0)
            conditions[name] = draw_condition(held.plain.float(), held.points, held.visible, rng, mix)
        return conditions

    def _sample(self, model: torch.nn.Module, condition: torch.Tensor, steps: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(condition[:, 4:].shape, generator=generator).to(condition.device)
        uniform, shift = torch.linspace(1, 0, steps + 1), self.recipe.time_shift
        times = shift * uniform / (1 + (shift - 1) * uniform)
        for now, then in pairwise(times):
            with mixed_precision(self.device):
                clean = predict_clean(model, x, condition, now.expand(len(x)).to(x.device))
            x = clean + (x - clean) * (then / now)
        return x

    # ------------------------------------------------------------------ files
    def save(self) -> None:
        self.state.save(self.checkpoint, asdict(self.recipe))

    def load(self) -> None:
        self.state.load(self.checkpoint, asdict(self.recipe), asdict(NanoRecipe()))

    def export(self) -> Path:
        """The averaged weights as a diffusers folder."""
        model = like(self.model)
        model.load_state_dict({k: v.cpu() for k, v in self.state.average.items()})
        facts = {
            "steps": self.state.step,
            "seconds": round(self.state.elapsed),
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
            "torch": torch.__version__,
            "recipe": asdict(self.recipe),
        }
        return save_nano(self.out / "nano", model, self.codec, facts=facts)
