"""The training of nano: steps, checkpoints, scores."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.errors import InputError, MissingDependencyError
from motionloom.models.nano.build import NUM_FRAMES, build_transformer, like
from motionloom.models.nano.few_steps import STEP_COUNTS
from motionloom.models.nano.files import save_nano
from motionloom.models.nano.guidance import GUIDANCE
from motionloom.train.conditions import draw_condition
from motionloom.train.latents import Codec, latent_weights, picture_channels
from motionloom.train.nano.codecs import codec_seconds, has_codec, load_codec, make_codec
from motionloom.train.nano.curves import draw_curves, rewind_log
from motionloom.train.nano.objectives import Lesson, objective
from motionloom.train.nano.recipe import VALIDATION_SEED, NanoRecipe, Stage
from motionloom.train.nano.team import Team
from motionloom.train.nano.validation import HeldOut, hold_out, make_videos, scores, write_videos
from motionloom.train.pool import ClipPool
from motionloom.train.state import TrainingState, adamw, log, mixed_precision

VALIDATION_STEPS = 4
_GROUP = 16  # clips made at once
_LOG_EVERY = 5.0  # seconds
_VALIDATION_SHARE = 0.05  # of the time, at most


def train(
    out: str | Path,
    *,
    budget: float = 1200.0,
    steps: int | None = None,
    recipe: NanoRecipe | None = None,
    resume: bool = True,
    device: str | None = None,
    checkpoint_every: float = 120.0,
    validate_every: float = 300.0,
    validation_clips: int = 4,
    compile: bool = False,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Train nano for a time and write it as a diffusers folder.

    Started by ``accelerate launch``, all processes train one model together: every one calls this with the same
    arguments and a folder that all of them see.

    Args:
        out: folder of what is written: ``checkpoint.safetensors``, the log (``log.jsonl``), its plot (``curves.png``),
            held-out clips (``validation/STEP/``) and the model (``nano/``), which is there from before the first step.
        budget: seconds of training, summed over all resumed runs; the codec is part of it, the last scores come after.
        steps: train for this many steps in all instead. Stages and learning rate then follow the steps, not the clock:
            the same recipe gives the same weights on one machine, however often it was interrupted.
        recipe: what to train; must be the same when resuming.
        resume: go on from the checkpoint in ``out`` if there is one; otherwise such a checkpoint is an error.
        device: "cpu", "cuda", ...; the fastest there is when not given.
        checkpoint_every: seconds between checkpoints; the model is written with each.
        validate_every: seconds between scores on held-out clips; more where they would take more than a twentieth of
            the time.
        validation_clips: how many; 0 leaves scores and videos out.
        compile: run the network through ``torch.compile``: a minute to start (needs a C++ compiler on the CPU), then
            faster steps.
        on_progress: called after every step with step, elapsed, budget, share, loss, rate, stage, side and kind, and
            after scores with those; raise to stop (checkpoint and model are written first).

    Returns:
        The folder of the trained model, loadable with ``motionloom.load``.

    Raises:
        InputError: a budget that is not positive, a device that is not there, or an earlier training in ``out`` and
            ``resume`` off.
        CheckpointError: the checkpoint or the codec in ``out`` belongs to another recipe.
    """
    recipe = recipe or NanoRecipe()
    if not budget > 0:
        raise InputError(f"budget: found {budget} s, expected a time above zero")
    if steps is not None and steps < 1:
        raise InputError(f"steps: found {steps}, expected one or more")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if not resume and (out / "checkpoint.safetensors").exists():
        raise InputError(f"{out}: holds an earlier training; resume it, or choose another folder")

    run = _Run(out, recipe, budget, steps, Team(device), compile)
    judge = _Judge(run, validate_every, validation_clips)
    saved = logged = time.monotonic()
    begun = run.state.step
    try:
        for facts in run.steps():
            if not run.team.leads:
                continue
            try:
                if time.monotonic() - logged >= _LOG_EVERY:
                    log(out, facts)
                    logged = time.monotonic()
                if time.monotonic() - saved >= checkpoint_every:
                    run.save()
                    saved = time.monotonic()
                if judge.is_due():
                    facts = {**facts, **judge.validate(facts)}
                if on_progress:
                    on_progress(facts)
            except Exception:
                run.dismiss()
                raise
    finally:
        run.close()
        if run.team.leads and run.state.step > begun:
            run.save()
    if run.team.leads and validation_clips:
        facts = judge.validate(run.facts())
        if on_progress:
            on_progress(facts)
    if not run.is_dismissed:
        run.team.wait()
    return out / "nano"


class _Run:
    """State of one training: weights, their average, optimiser, position in time."""

    def __init__(
        self, out: Path, recipe: NanoRecipe, budget: float, steps: int | None, team: Team, compile: bool
    ) -> None:
        self.out, self.recipe, self.budget, self.total, self.team = out, recipe, budget, steps, team
        self._photographs = _photographs(recipe, team)
        # All of them now: what cannot be imported should not be found out hours into a training.
        self._objectives = {stage.kind: objective(stage.kind) for stage in recipe.stages}
        self.codec = self._codec().to(team.device)
        self._time = max(budget - codec_seconds(out), 0.1 * budget)
        self.model = build_transformer(
            self.codec, width=recipe.width, layers=recipe.layers, expansion=recipe.expansion, seed=recipe.seed
        ).to(team.device)
        self.model.train()
        self._network: Any = torch.compile(self.model, dynamic=False) if compile else self.model
        optimizer = adamw(self.model.parameters(), recipe.learning_rate, recipe.weight_decay)
        self.state = TrainingState(self.model, optimizer, averaging=recipe.averaging)
        # The same numbers as the running average, wherever that is updated.
        self.average = like(self.model).to(team.device).eval().requires_grad_(False)
        self.average.load_state_dict(self.state.average, assign=True)
        self._teacher: Any = torch.compile(self.average, dynamic=False) if compile else self.average
        self._pool: tuple[tuple[int, float], ClipPool] | None = None
        self._loss: tuple[int, float] | None = None  # running mean within a stage
        self.is_dismissed = False
        if self.checkpoint.exists():
            self.state.load(self.checkpoint, asdict(recipe), asdict(NanoRecipe()))
            if team.leads:
                rewind_log(out, self.state.step)
        elif team.leads:
            self.export()
        self._started = time.monotonic() - self.state.elapsed

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def _codec(self) -> Codec:
        if self.team.leads and not has_codec(self.out):
            seconds = self.recipe.vae_share * self.budget
            make_codec(self.out, self.recipe, self._photographs, seconds=seconds, device=self.team.device)
        self.team.wait()
        return load_codec(self.out, self.recipe)

    # ------------------------------------------------------------------ steps
    def steps(self) -> Iterator[dict[str, Any]]:
        """Make steps until the budget is spent; yields the facts of each."""
        while (share := self.team.agree(self.share)) < 1:
            number = self.recipe.stage_number(share)
            loss = self._one_step(self.recipe.stages[number], share)
            if self._loss is not None and self._loss[0] == number:
                loss = 0.98 * self._loss[1] + 0.02 * loss
            self._loss = number, loss
            self.state.elapsed = time.monotonic() - self._started
            yield self.facts()
        self.is_dismissed = share == float("inf")

    @property
    def share(self) -> float:
        """Of the budget that is spent."""
        return self.state.elapsed / self._time if self.total is None else self.state.step / self.total

    def facts(self) -> dict[str, Any]:
        number, loss = self._loss or (self.recipe.stage_number(self.share), None)
        stage = self.recipe.stages[number]
        return {
            "step": self.state.step,
            "elapsed": round(self.state.elapsed, 1),
            "budget": self.budget,
            "share": round(min(self.share, 1.0), 5),
            "stage": number,
            "side": stage.side,
            "kind": stage.kind,
            "loss": None if loss is None else round(loss, 5),
            "rate": round(self._rate(self.share), 8),
        }

    def dismiss(self) -> None:
        """Tell the other processes, which wait for the next step, that there is none."""
        self.team.agree(float("inf"))

    def close(self) -> None:
        if self._pool is not None:
            self._pool[1].close()

    def _one_step(self, stage: Stage, share: float) -> float:
        recipe, team, step = self.recipe, self.team, self.state.step
        rng = np.random.default_rng([recipe.seed, step, 11, team.rank])
        batch = self._clips(stage).batch(step, stage.batch * recipe.batch_scale)
        condition = draw_condition(batch.plain, batch.points, batch.visible, rng, recipe.mix, ending=batch.ending)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        lesson = Lesson(
            self._network,
            self._teacher,
            batch.latents,
            condition,
            latent_weights(self.codec, batch.uncovered),
            picture_channels(self.codec),
            stage,
            recipe,
            generator,
        )
        with mixed_precision(team.device):
            loss = self._objectives[stage.kind](lesson)
        self.state.add(loss)
        team.average(self.model.parameters())
        self.state.update(learning_rate=self._rate(share), clip=1.0)
        return float(loss.detach())

    def _rate(self, share: float) -> float:
        recipe = self.recipe
        warm = min(1.0, (self.state.step + 1) / recipe.warmup_steps)
        cosine = 0.5 * (1 + np.cos(np.pi * min(share, 1.0)))
        return float(warm * (recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * cosine))

    def _clips(self, stage: Stage) -> ClipPool:
        """The clips of a stage; those of the stage before, where they look the same."""
        wanted = (stage.side, stage.view)
        if self._pool is None or self._pool[0] != wanted:
            self.close()
            recipe = self.recipe
            pool = ClipPool(
                self.codec,
                (stage.side, stage.side),
                NUM_FRAMES,
                (recipe.seed * 1009 + stage.side + round(101 * (1 - stage.view))) % VALIDATION_SEED,
                style=recipe.style,
                photographs=self._photographs,
                view=stage.view,
                rank=self.team.rank,
                processes=self.team.size,
                capacity=recipe.pool * recipe.batch_scale,
                group=_GROUP * recipe.batch_scale,
                ahead=2,
            )
            self._pool = wanted, pool
        return self._pool[1]

    # ------------------------------------------------------------------ files
    def save(self) -> None:
        """Write the checkpoint and the model."""
        self.state.save(self.checkpoint, asdict(self.recipe))
        self.export()

    def export(self) -> Path:
        """The averaged weights as a diffusers folder."""
        device = self.team.device
        facts = {
            "steps": self.state.step,
            "seconds": round(self.state.elapsed),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "processes": self.team.size,
            "torch": torch.__version__,
            "photographs": len(self._photographs or ()),
            "guidance": GUIDANCE,
            "recipe": asdict(self.recipe),
        }
        if self.recipe.is_distilled(self.share):
            facts["distilled_steps"] = list(STEP_COUNTS)
        model = like(self.model)
        model.load_state_dict({name: value.cpu() for name, value in self.state.average.items()})
        codec = load_codec(self.out, self.recipe)
        return save_nano(self.out / "nano", model, codec, facts=facts)


class _Judge:
    """Scores, videos and curves of a run, made now and then."""

    def __init__(self, run: _Run, every: float, clips: int) -> None:
        self._run, self._every, self._clips = run, every, clips
        self._held: HeldOut | None = None
        self._last, self._took = time.monotonic(), 0.0
        self._draws = True

    def is_due(self) -> bool:
        every = max(self._every, self._took / _VALIDATION_SHARE)
        return self._clips > 0 and time.monotonic() - self._last >= every

    def validate(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The facts with scores in them; clips, log and curves are written."""
        run, begun = self._run, time.monotonic()
        if self._held is None:
            self._held = hold_out(run.codec, run.recipe, self._clips)
        told = run.recipe.is_distilled(run.share)
        videos = make_videos(run.average, run.codec, self._held, steps=VALIDATION_STEPS, told=told)
        folder = run.out / "validation" / f"{run.state.step:06d}"
        write_videos(folder, self._held, videos)
        facts = {**facts, **scores(self._held, videos), "clips": str(folder.relative_to(run.out))}
        log(run.out, facts)
        self._draw()
        self._last = time.monotonic()
        self._took = self._last - begun
        return facts

    def _draw(self) -> None:
        if not self._draws:
            return
        try:
            draw_curves(self._run.out)
        except MissingDependencyError as error:
            self._draws = False
            warnings.warn(str(error), stacklevel=2)


def _photographs(recipe: NanoRecipe, team: Team) -> list[NDArray[np.uint8]] | None:
    """Those shown in natural clips; without scikit-image there are none, which is said once."""
    if not recipe.photographs or recipe.style != "natural":
        return None
    from motionloom.prepare.photographs import training_photographs

    try:
        return [photograph.pixels for photograph in training_photographs()]
    except MissingDependencyError as error:
        if team.leads:
            warnings.warn(f"training without photographs: {error}", stacklevel=3)
        return None
