"""Fine-tuning a video VAE to code motion: clips of flow colours instead of pictures.

Source: paper, section 3.3 and appendix: a video VAE is tuned on ground-truth flow with its reconstruction loss, and
codes trajectories better than before (PSNR 27.34 to 28.76 dB, TrajError 17.09 to 14.25). Theirs was never released.
This tunes any `AutoencoderKLCogVideoX`, on procedural motion, which is exact: half of the clips show all of it, half a
few trajectories.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX

from motionloom.errors import InputError
from motionloom.media.files import replacing_folder
from motionloom.prepare.procedural import dense_flow, sample_scene, trace
from motionloom.train.state import TrainingState, adamw, mixed_precision
from motionloom.train.tora.conditions import Kind, MotionMix, draw_motion
from motionloom.train.tora.denoising import MovingClips, Vae
from motionloom.train.vae import KL_WEIGHT

_HELD_OUT_SEED = 1_000_003  # no data set has this seed
_TRACKS = 128


@dataclass(frozen=True)
class MotionVaeRecipe:
    """How a VAE is tuned.

    Attributes:
        size, num_frames: of the clips; frames are 1 + 8n.
        batch, steps: clips per step, and steps; 1 and 200 000 in the paper.
        sparse: share of the clips that show a few trajectories; the others show all flow.
        kl_weight: keeps latents near where they were.
        held_out: clips that PSNR is measured on, before and after.
    """

    seed: int = 0
    size: tuple[int, int] = (64, 64)
    num_frames: int = 9
    batch: int = 1
    steps: int = 2000
    learning_rate: float = 1e-4
    sparse: float = 0.5
    kl_weight: float = KL_WEIGHT
    clip: float = 1.0
    averaging: float = 0.99
    held_out: int = 4
    motion: MotionMix = field(default_factory=lambda: MotionMix(following="tracks", normalisation="inference"))


def tune_motion_vae(
    out: str | Path,
    vae: Vae,
    *,
    recipe: MotionVaeRecipe | None = None,
    resume: bool = True,
    device: str | None = None,
    checkpoint_every: float = 300.0,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Tune a VAE on motion and save it as ``out/vae``; give it to a pipeline as ``motion_vae``.

    ``vae`` itself is left as it was.

    Args:
        out: folder of the checkpoint and the result. ``vae/training.json`` has the PSNR on held-out motion before and
            after.
        vae: an `AutoencoderKLCogVideoX`.
        resume: go on from the checkpoint in ``out``; otherwise such a checkpoint is an error.
        on_progress: called after each step with step, steps, loss, elapsed; raise to stop (a checkpoint is written
            first, and the result as far as it is).

    Raises:
        InputError: frames that are not 1 + 8n, sides that are no whole number of the VAE's cells, or an earlier
            training in ``out`` and ``resume`` off.
        CheckpointError: the checkpoint in ``out`` belongs to another recipe.
    """
    recipe = recipe or MotionVaeRecipe()
    if recipe.num_frames % 8 != 1:
        # The VAE decodes the latents after the first in pairs.
        raise InputError(f"num_frames: found {recipe.num_frames}, expected 1 + a multiple of 8")
    cell = 2 ** (len(vae.config.block_out_channels) - 1)
    if any(side < cell or side % cell for side in recipe.size):
        raise InputError(f"size: found {recipe.size[1]}x{recipe.size[0]}, expected multiples of {cell}")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "vae.safetensors"
    if checkpoint.exists() and not resume:
        raise InputError(f"{out}: holds an earlier training; resume it, or choose another folder")
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    tuned: Any = type(vae).from_config(vae.config)
    tuned.load_state_dict(vae.state_dict())
    tuned.to(where).float().train()
    before = motion_psnr(tuned, recipe)
    state = TrainingState(
        tuned, adamw(tuned.parameters(), recipe.learning_rate, weight_decay=0.0), averaging=recipe.averaging
    )
    if checkpoint.exists():
        state.load(checkpoint, asdict(recipe))

    def steps() -> Iterator[dict[str, Any]]:
        started = time.monotonic() - state.elapsed
        while state.step < recipe.steps:
            rng = np.random.default_rng([recipe.seed, state.step, 29])
            kind: Kind = "sparse" if rng.random() < recipe.sparse else "dense"
            indices = range(state.step * recipe.batch, (state.step + 1) * recipe.batch)
            video = motion_clips(recipe, recipe.seed, indices, kind, rng).to(where)
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            with mixed_precision(where):
                loss = reconstruction_loss(tuned, video, generator, kl_weight=recipe.kl_weight)
            state.add(loss)
            state.update(learning_rate=recipe.learning_rate * min(1.0, (state.step + 1) / 20), clip=recipe.clip)
            state.elapsed = time.monotonic() - started
            yield {
                "step": state.step,
                "steps": recipe.steps,
                "loss": round(float(loss.detach()), 6),
                "elapsed": round(state.elapsed, 1),
            }

    try:
        state.run(steps(), checkpoint, asdict(recipe), save_every=checkpoint_every, on_progress=on_progress)
    finally:
        tuned.load_state_dict(state.average)
        facts = {"psnr_before": before, "psnr_after": motion_psnr(tuned, recipe)}
        with replacing_folder(out / "vae") as draft:
            tuned.save_pretrained(draft)
            facts |= {"steps": state.step, "seconds": round(state.elapsed), "recipe": asdict(recipe)}
            (draft / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return out / "vae"


def load_vae(folder: str | Path) -> Vae:
    """The VAE in a CogVideoX model's ``vae`` folder, or a tuned one; nothing is fetched.

    Raises:
        InputError: another folder.
    """
    try:
        kind = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8")).get("_class_name")
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind != AutoencoderKLCogVideoX.__name__:
        raise InputError(
            f"{folder}: found {kind or 'no model'}, expected the folder of an AutoencoderKLCogVideoX, as vae/ of a "
            "CogVideoX model"
        )
    return AutoencoderKLCogVideoX.from_pretrained(folder, local_files_only=True)


def reconstruction_loss(
    vae: Vae, video: torch.Tensor, generator: torch.Generator, *, kl_weight: float = KL_WEIGHT
) -> torch.Tensor:
    """Mean absolute error of videos [B, 3, T, H, W] in [-1, 1] through a sampled code, plus the weighted KL term."""
    posterior = vae.encode(video).latent_dist
    noise = torch.randn(posterior.mean.shape, generator=generator).to(video.device)
    decoded = vae.decode(posterior.mean + posterior.std * noise).sample
    return (decoded.float() - video).abs().mean() + kl_weight * posterior.kl().float().mean()


def motion_clips(
    recipe: MotionVaeRecipe, seed: int, indices: range, kind: Kind, rng: np.random.Generator
) -> torch.Tensor:
    """Flow colours of procedural clips, float32 [B, 3, T, H, W] in [-1, 1]."""
    scene = sample_scene(seed, indices, num_frames=recipe.num_frames, resolution=max(12, min(recipe.size) // 2))
    start = rng.uniform(0, 1, (len(indices), _TRACKS, 2)) * [recipe.size[1], recipe.size[0]]
    points, visible = trace(scene, torch.from_numpy(start).float(), recipe.size)
    nothing = torch.empty(0)
    clips = MovingClips(nothing, nothing, nothing, dense_flow(scene, recipe.size), points, visible)
    return draw_motion(clips, kind, rng, recipe.motion).float() / 127.5 - 1


@torch.no_grad()
def motion_psnr(vae: Vae, recipe: MotionVaeRecipe) -> dict[Kind, float]:
    """PSNR in dB (peak 255) of coded and decoded held-out motion, of all flow and of a few trajectories."""
    scores: dict[Kind, float] = {}
    with _evaluating(vae):
        for kind in ("dense", "sparse"):
            video = motion_clips(recipe, _HELD_OUT_SEED, range(recipe.held_out), kind, np.random.default_rng(31))
            errors = []
            for one in video.to(vae.device, vae.dtype).split(1):
                decoded = vae.decode(vae.encode(one).latent_dist.mode()).sample
                errors.append(((decoded.clamp(-1, 1) - one).float() / 2).square().mean())
            scores[kind] = round(float(-10 * torch.log10(torch.stack(errors).mean())), 3)
    return scores


@contextmanager
def _evaluating(vae: Vae) -> Iterator[None]:
    training = vae.training
    vae.eval()
    try:
        yield
    finally:
        vae.train(training)
