"""The whole of Tora's training at a size that a CPU can do: a tiny CogVideoX on procedural videos, then its adapter.

First the base learns to make clips from their first frame, unguided, as CogVideoX did before there was a Tora. Then it
is frozen and the adapter is trained in two stages. All data are made on the fly; motion is exact.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionloom.errors import InputError
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.fuser import Design
from motionloom.models.nano.codec import CogVideoXBlockCodec
from motionloom.models.seeding import seeded
from motionloom.train.nano import VALIDATION_SEED
from motionloom.train.state import TrainingState, adamw, mixed_precision
from motionloom.train.tora.base import Transformer, build_base, build_scheduler, fit_codec, save_base
from motionloom.train.tora.conditions import MotionMix
from motionloom.train.tora.denoising import denoising_loss
from motionloom.train.tora.pool import World, procedural_pool
from motionloom.train.tora.stages import AdapterRecipe, Base, Stage, train_adapter

_ENDLESS = 1 << 40  # steps of a stage that ends by the clock


@dataclass(frozen=True)
class ToraRecipe:
    """What is trained and how long each part of it takes.

    Attributes:
        side, num_frames: of the square clips, in pixels and frames.
        heads, layers, latent_channels: size of the base; 64 channels per head.
        image: a base that starts from a photograph; otherwise one that makes its own.
        design, condition_channels: of the adapter.
        world: what clips show; see `World`.
        base_share, dense_share, sparse_share: of the budget.
        base_rate, dense_rate, sparse_rate: learning rates. The published ones, 1e-4 and 5e-5, are for ten thousands of
            steps.
        motion: by default exact tracks, and colours as they are used later: each of these is one of the mismatches of
            the published training less.
    """

    seed: int = 0
    side: int = 32
    num_frames: int = 9
    heads: int = 3
    layers: int = 4
    latent_channels: int = 16
    image: bool = True
    design: Design = "adaptive_norm"
    condition_channels: int = 64
    codec_clips: int = 96
    world: World = "sliding"
    batch: int = 32
    base_share: float = 0.5
    dense_share: float = 0.25
    sparse_share: float = 0.25
    base_rate: float = 1e-3
    dense_rate: float = 1e-3
    sparse_rate: float = 5e-4
    averaging: float = 0.998
    motion: MotionMix = MotionMix(following="tracks", apart=8.0, normalisation="inference")  # noqa: RUF009 - frozen

    @property
    def size(self) -> tuple[int, int]:
        return self.side, self.side


def train(
    out: str | Path,
    *,
    budget: float = 1200.0,
    recipe: ToraRecipe | None = None,
    resume: bool = True,
    device: str | None = None,
    checkpoint_every: float = 120.0,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Train base and adapter for a time.

    Args:
        out: folder of checkpoints, the log (``log.jsonl``) and the results: ``base/``, a diffusers folder, and
            ``adapter/``.
        budget: seconds of training, summed over all resumed runs.
        recipe: what to train; must be the same when resuming.
        resume: go on from the checkpoints in ``out``; otherwise such checkpoints are an error.
        device: "cpu", "cuda", ...; the fastest there is when not given.
        checkpoint_every: seconds.
        on_progress: called after each step with stage, step, loss, elapsed and budget; raise to stop (checkpoints are
            written first).

    Returns:
        The adapter's folder, loadable with ``motionloom.load(adapter, base=out / "base")``.

    Raises:
        InputError: a budget that is not positive, shares that leave a part without time, a design or widths that cannot
            be, or an earlier training in ``out`` and ``resume`` off.
        CheckpointError: a checkpoint in ``out`` belongs to another recipe.
    """
    recipe = recipe or ToraRecipe()
    shares = {"base": recipe.base_share, "dense": recipe.dense_share, "sparse": recipe.sparse_share}
    if not budget > 0:
        raise InputError(f"budget: found {budget} s, expected a time above zero")
    if not 0 <= recipe.seed < VALIDATION_SEED:
        raise InputError(f"seed: found {recipe.seed}, expected 0 to {VALIDATION_SEED - 1}")
    if min(shares.values()) < 0 or not recipe.base_share or not recipe.dense_share + recipe.sparse_share:
        raise InputError(f"shares: found {shares}, expected parts of the budget for the base and for a stage at least")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if not resume and (out / "base.safetensors").exists():
        raise InputError(f"{out}: holds an earlier training; resume it, or choose another folder")
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    seconds = {name: share / sum(shares.values()) * budget for name, share in shares.items()}
    begins = {"base": 0.0, "dense": seconds["base"], "sparse": seconds["base"] + seconds["dense"]}

    def tell(facts: dict[str, Any]) -> None:
        if on_progress:
            spent = min(facts["elapsed"], seconds[facts["stage"]])  # a last step may take longer
            on_progress({**facts, "elapsed": begins[facts["stage"]] + spent, "budget": budget})

    # Before the base is trained, which is long: it refuses what cannot be.
    with seeded(recipe.seed):
        adapter = ToraAdapter.for_transformer(
            _untrained(recipe), design=recipe.design, condition_channels=recipe.condition_channels
        )
    transformer, vae = train_base(
        out, recipe, seconds["base"], device=where, checkpoint_every=checkpoint_every, on_progress=tell
    )
    stages = [Stage("dense", _ENDLESS, recipe.dense_rate), Stage("sparse", _ENDLESS, recipe.sparse_rate)]
    stages = [stage for stage in stages if shares[stage.kind]]

    return train_adapter(
        out,
        Base(transformer, vae, build_scheduler().alphas_cumprod),
        procedural_pool(vae, recipe.size, recipe.num_frames, recipe.seed * 1009 + 1, world=recipe.world),
        adapter=adapter,
        recipe=AdapterRecipe(
            seed=recipe.seed,
            batch=recipe.batch,
            stages=tuple(stages),
            motion=recipe.motion,
            clip=1.0,
            warmup=0.05,
            averaging=recipe.averaging,
        ),
        checkpoint_every=checkpoint_every,
        seconds=[seconds[stage.kind] for stage in stages],
        on_progress=tell,
    )


def train_base(
    out: Path,
    recipe: ToraRecipe,
    seconds: float,
    *,
    device: torch.device,
    checkpoint_every: float = 120.0,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> tuple[Transformer, CogVideoXBlockCodec]:
    """The base, trained for so long and saved as ``out/base``: its averaged transformer, and its codec."""
    place = out / "base" / "vae"
    vae: Any
    if (place / "config.json").exists():
        vae = CogVideoXBlockCodec.from_pretrained(place)
    else:
        vae = fit_codec(recipe.latent_channels, seed=recipe.seed, clips=recipe.codec_clips, side=recipe.side)
    vae.to(device)
    model = _untrained(recipe).to(device).train()
    optimizer = adamw(model.parameters(), recipe.base_rate, 1e-4)
    state = TrainingState(model, optimizer, averaging=recipe.averaging)
    checkpoint, facts = out / "base.safetensors", asdict(recipe)
    if checkpoint.exists():
        state.load(checkpoint, facts)
    pool = procedural_pool(vae, recipe.size, recipe.num_frames, recipe.seed * 1009, world=recipe.world, moving=False)
    alphas = build_scheduler().alphas_cumprod

    def steps() -> Iterator[dict[str, Any]]:
        started = time.monotonic() - state.elapsed
        while state.elapsed < seconds:
            generator = torch.Generator().manual_seed(state.step * 7919 + recipe.seed)
            clips = pool.batch(state.step, recipe.batch).to(device)
            with mixed_precision(device):
                loss = denoising_loss(model, vae, clips, alphas, generator)
            state.add(loss)
            share = state.elapsed / seconds
            cosine = 0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi * min(share, 1.0)))
            state.update(learning_rate=recipe.base_rate * min(1.0, (state.step + 1) / 100) * cosine, clip=1.0)
            state.elapsed = time.monotonic() - started
            yield {
                "stage": "base",
                "step": state.step,
                "loss": round(float(loss.detach()), 6),
                "elapsed": round(state.elapsed, 1),
            }

    state.run(steps(), checkpoint, facts, save_every=checkpoint_every, log_to=out, on_progress=on_progress)
    averaged = _untrained(recipe)
    averaged.load_state_dict(state.average)
    save_base(out / "base", averaged, vae)
    note = {"steps": state.step, "seconds": round(state.elapsed), "device": device.type, "recipe": facts}
    (out / "base.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return averaged.to(device).eval(), vae


def _untrained(recipe: ToraRecipe) -> Transformer:
    return build_base(
        recipe.latent_channels,
        side=recipe.side,
        num_frames=recipe.num_frames,
        heads=recipe.heads,
        layers=recipe.layers,
        image=recipe.image,
        seed=recipe.seed,
    )
