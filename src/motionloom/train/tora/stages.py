"""Tora's two-stage training of an adapter on a frozen CogVideoX: dense flow first, then sparse trajectories.

Source: paper, section 3.5, and ``sat/configs/tora/train_{dense,sparse}.yaml`` of the published program. The base does
not change; fusers and extractor are trained through it. The second stage goes on from the first one's last weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from motionloom.errors import InputError
from motionloom.media.files import replacing_folder
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.fuser import Design
from motionloom.methods.tora.hooks import Attachment, attach
from motionloom.methods.tora.motion_latents import motion_latents
from motionloom.models.seeding import seeded
from motionloom.train.state import TrainingState, adamw, mixed_precision
from motionloom.train.tora.conditions import Kind, MotionMix, draw_motion
from motionloom.train.tora.denoising import MovingClips, Vae, denoising_loss
from motionloom.train.tora.losses import IMAGE_DROPOUT, TEXT_DROPOUT


class ClipSource(Protocol):
    """Where clips come from. The same step must give the same clips, so that a training can be resumed."""

    def batch(self, step: int, size: int) -> MovingClips: ...


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        kind: what the clips are conditioned on: "dense" flow, or "sparse" trajectories.
        steps: its length.
        learning_rate: the highest; it is warmed up to and falls linearly from there.
    """

    kind: Kind
    steps: int
    learning_rate: float


PUBLISHED_STAGES = (Stage("dense", 15_000, 1e-4), Stage("sparse", 15_000, 5e-5))


@dataclass(frozen=True)
class AdapterRecipe:
    """How an adapter is trained. The defaults are those of the published program, where it has the thing.

    Attributes:
        seed: of all randomness.
        batch: clips per step; accumulation: batches whose gradients make one step.
        motion: how conditions are drawn.
        text_dropout, image_dropout: chances of a sample without text, and without photograph.
        warmup: share of a stage's steps in which the learning rate rises; final: what is left of it in the end.
        averaging: of the running average that is saved as the result.
    """

    seed: int = 1234
    batch: int = 1
    accumulation: int = 1
    stages: tuple[Stage, ...] = PUBLISHED_STAGES
    motion: MotionMix = field(default_factory=MotionMix)
    text_dropout: float = TEXT_DROPOUT
    image_dropout: float = IMAGE_DROPOUT
    weight_decay: float = 1e-4
    clip: float = 0.1
    warmup: float = 0.01
    final: float = 0.0
    averaging: float = 0.9999


@dataclass(frozen=True)
class Base:
    """What an adapter is trained on; nothing of it changes.

    Attributes:
        transformer: a `CogVideoXTransformer3DModel`; on the device that is trained on.
        vae: of the pipeline: encodes first frames, and motion if there is no ``motion_vae``.
        alphas_cumprod: of the pipeline's scheduler.
        motion_vae: encodes motion in its place.
        no_text: the embedding [L, D] that dropped text becomes; zeros when not given, as published.
    """

    transformer: Any
    vae: Vae
    alphas_cumprod: torch.Tensor
    motion_vae: Vae | None = None
    no_text: torch.Tensor | None = None


def train_adapter(
    out: str | Path,
    base: Base,
    clips: ClipSource,
    *,
    adapter: ToraAdapter | None = None,
    recipe: AdapterRecipe | None = None,
    resume: bool = True,
    gradient_checkpointing: bool = False,
    checkpoint_every: float = 300.0,
    seconds: Sequence[float] | None = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Train an adapter through the stages of a recipe.

    Args:
        out: folder of a checkpoint per stage (``0-dense.safetensors``, ``1-sparse.safetensors``), the log of losses
            (``log.jsonl``) and the result (``adapter/``).
        adapter: to start from, of any design; an untrained one as published when not given.
        resume: go on from the checkpoints in ``out``; otherwise such checkpoints are an error.
        gradient_checkpointing: less memory, a third more time.
        checkpoint_every: seconds.
        seconds: per stage: it ends after so long, if its steps are not done by then, and its learning rate follows the
            time instead.
        on_progress: called after each step with stage, step, steps, loss, elapsed; raise to stop (checkpoint and
            adapter are written first).

    Returns:
        The adapter's folder, with ``training.json`` in it, and ``motion_vae`` if it was trained with one.

    Raises:
        InputError: no stages, or an earlier training in ``out`` and ``resume`` off.
        CheckpointError: the checkpoint in ``out`` belongs to another recipe, or the loss is no longer a number.
    """
    recipe = recipe or AdapterRecipe()
    if not recipe.stages:
        raise InputError("stages: found none, expected at least one")
    names = [f"{index}-{stage.kind}" for index, stage in enumerate(recipe.stages)]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if not resume and any((out / f"{name}.safetensors").exists() for name in names):
        raise InputError(f"{out}: holds an earlier training; resume it, or choose another folder")
    with seeded(recipe.seed):
        adapter = adapter or untrained_adapter(base.transformer)
    adapter.to(base.transformer.device).float()
    state: TrainingState | None = None
    try:
        with _frozen(base.transformer, gradient_checkpointing), attach(base.transformer, adapter) as attachment:
            for index, (name, stage) in enumerate(zip(names, recipe.stages, strict=True)):
                checkpoint = out / f"{name}.safetensors"
                state = _state(adapter, stage, recipe)
                facts = {**asdict(recipe), "stage": index, "adapter": _settings(adapter)}
                if checkpoint.exists():
                    state.load(checkpoint, facts)
                limit = seconds[index] if seconds is not None else None
                steps = _steps(state, stage, index, base, clips, attachment, recipe, limit)
                state.run(steps, checkpoint, facts, save_every=checkpoint_every, log_to=out, on_progress=on_progress)
    finally:
        adapter.eval()
        if state is not None:
            _save_adapter(out / "adapter", adapter, state, recipe, base.motion_vae)
    return out / "adapter"


def untrained_adapter(transformer: Any, design: Design = "adaptive_norm") -> ToraAdapter:
    """An adapter that starts as the base; with CogVideoX 1.5 its motion is in time with the video."""
    pad = "end" if transformer.config.patch_size_t is None else "front"
    return ToraAdapter.for_transformer(transformer, design=design, pad=pad)


def _save_adapter(
    folder: Path, adapter: ToraAdapter, state: TrainingState, recipe: AdapterRecipe, motion_vae: Vae | None
) -> None:
    """The running average as a folder that `motionloom.load` takes; replaces an earlier one when complete."""
    averaged: Any = ToraAdapter.from_config(adapter.config)
    averaged.load_state_dict(state.average)
    with replacing_folder(folder) as draft:
        averaged.save_pretrained(draft)
        if motion_vae is not None:
            motion_vae.save_pretrained(draft / "motion_vae")
        facts = {"steps": state.step, "seconds": round(state.elapsed), "recipe": asdict(recipe)}
        (draft / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def stage_loss(
    base: Base,
    attachment: Attachment,
    clips: MovingClips,
    kind: Kind,
    rng: np.random.Generator,
    *,
    motion: MotionMix,
    text_dropout: float = TEXT_DROPOUT,
    image_dropout: float = IMAGE_DROPOUT,
) -> torch.Tensor:
    """The loss of one batch: clips with their motion shown through the adapter that is attached to the transformer.

    Take its gradients before the adapter is detached or shown something else: with gradient checkpointing the
    transformer runs again then. While the adapter is in training mode its batch norm takes its statistics from the
    frames of the batch.
    """
    device = base.transformer.device
    videos = draw_motion(clips, kind, rng, motion).to(device)
    coded = motion_latents(base.motion_vae or base.vae, list(videos))
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    with mixed_precision(device):
        attachment.features = [feature.float() for feature in attachment.adapter.features(coded.float())]
        return denoising_loss(
            base.transformer,
            base.vae,
            clips.to(device),
            base.alphas_cumprod,
            generator,
            no_text=0.0 if base.no_text is None else base.no_text.to(device),
            text_dropout=text_dropout,
            image_dropout=image_dropout,
        )


def _steps(
    state: TrainingState,
    stage: Stage,
    index: int,
    base: Base,
    clips: ClipSource,
    attachment: Attachment,
    recipe: AdapterRecipe,
    limit: float | None,
) -> Iterator[dict[str, Any]]:
    before = sum(earlier.steps for earlier in recipe.stages[:index])
    started = time.monotonic() - state.elapsed
    attachment.adapter.train()
    while state.step < stage.steps and (limit is None or state.elapsed < limit):
        rng = np.random.default_rng([recipe.seed, index, state.step, 17])
        losses = []
        for part in range(recipe.accumulation):
            batch = clips.batch((before + state.step) * recipe.accumulation + part, recipe.batch)
            loss = stage_loss(
                base,
                attachment,
                batch,
                stage.kind,
                rng,
                motion=recipe.motion,
                text_dropout=recipe.text_dropout,
                image_dropout=recipe.image_dropout,
            )
            state.add(loss / recipe.accumulation)
            losses.append(float(loss.detach()))
        share = (state.step + 1) / stage.steps if limit is None else max(state.elapsed / limit, 1e-3)
        warm = min(1.0, share / recipe.warmup) if recipe.warmup else 1.0
        falling = recipe.final + (1 - recipe.final) * (1 - share)
        state.update(learning_rate=stage.learning_rate * warm * max(falling, 0.0), clip=recipe.clip)
        state.elapsed = time.monotonic() - started
        yield {
            "stage": stage.kind,
            "step": state.step,
            "steps": stage.steps,
            "loss": round(float(np.mean(losses)), 6),
            "elapsed": round(state.elapsed, 1),
        }


def _state(adapter: ToraAdapter, stage: Stage, recipe: AdapterRecipe) -> TrainingState:
    optimizer = adamw(adapter.parameters(), stage.learning_rate, recipe.weight_decay)
    return TrainingState(adapter, optimizer, averaging=recipe.averaging)


def _settings(adapter: ToraAdapter) -> dict[str, Any]:
    return {name: value for name, value in dict(adapter.config).items() if not name.startswith("_")}


@contextmanager
def _frozen(transformer: Any, gradient_checkpointing: bool) -> Iterator[None]:
    """Without gradients for the base's own weights, and as it was afterwards."""
    wanted = [parameter.requires_grad for parameter in transformer.parameters()]
    training, checkpointing = transformer.training, transformer.gradient_checkpointing
    transformer.requires_grad_(False).eval()
    if gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    try:
        yield
    finally:
        for parameter, want in zip(transformer.parameters(), wanted, strict=True):
            parameter.requires_grad_(want)
        transformer.train(training)
        if gradient_checkpointing and not checkpointing:
            transformer.disable_gradient_checkpointing()
