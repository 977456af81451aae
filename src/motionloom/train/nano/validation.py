"""What a training run is judged by on the way: held-out clips made again from their first frame, as numbers and videos.

Clips are sampled by plain first-order steps on the grid of nano's own scheduler.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.draw import draw, side_by_side
from motionloom.media import Clip, write_image
from motionloom.models.nano.build import FPS, NUM_FRAMES, build_scheduler
from motionloom.models.nano.codec import BLOCK
from motionloom.models.nano.few_steps import step_grid, step_token
from motionloom.tracks.tracks import Tracks
from motionloom.train import drawn_tracks
from motionloom.train.conditions import ConditionMix, as_tensors, draw_condition, guide_condition, plain_condition
from motionloom.train.latents import Codec, to_video
from motionloom.train.nano.objectives import Network, predict_clean
from motionloom.train.nano.recipe import VALIDATION_SEED, NanoRecipe
from motionloom.train.pool import Batch, encode_clips
from motionloom.train.state import mixed_precision

TRACKS = 16
"""Drawn on each clip: spread over the picture as the package spreads a user's."""

_SHOWN = ("unguided", "ati", "wan_move")
_LABELS = {"unguided": "unguided", "ati": "ATI", "wan_move": "Wan-Move"}
_TALL = 192  # pixels of a clip in a video


@dataclass(frozen=True)
class HeldOut:
    """Clips that are never trained on, and what the network is told about them.

    Attributes:
        truth: the clips as the codec shows them, [B, 3, F, H, W] in [-1, 1].
        conditions: by kind, [B, 4 + C, T, h, w] each: "unguided"; "ati" and "wan_move" with the same `TRACKS` tracks
            spread; "dense" with all exact tracks and "boxes", both through ATI; "last_frame" without tracks.
        tracks: the drawn ones of each clip.
    """

    truth: torch.Tensor
    conditions: Mapping[str, torch.Tensor]
    tracks: list[Tracks]


def hold_out(codec: Codec, recipe: NanoRecipe, clips: int) -> HeldOut:
    """Clips of the recipe's style at the size of its last stage."""
    stage = recipe.stages[-1]
    size = (stage.side, stage.side)
    batch = encode_clips(codec, VALIDATION_SEED, range(clips), size, NUM_FRAMES, style=recipe.style, view=stage.view)
    plain, ending = batch.plain.float(), batch.ending.float()
    tracks = _pick_tracks(batch, size)
    spread = [as_tensors(drawn_tracks.spread((each.points, each.visible), size, BLOCK)) for each in tracks]
    unguided = plain_condition(plain)

    def through_ati(**shares: float) -> torch.Tensor:
        mix = replace(ConditionMix(0, 1, 0, 0, 0, last_frame=0), **shares)
        rng = np.random.default_rng(VALIDATION_SEED)
        return draw_condition(plain, batch.points, batch.visible, rng, mix, ending=ending)

    conditions = {
        "unguided": unguided,
        "ati": guide_condition(unguided, spread, through_ati=True),
        "wan_move": guide_condition(unguided, spread, through_ati=False),
        "dense": through_ati(dense=1),
        "boxes": through_ati(boxes=1),
        "last_frame": plain_condition(plain, ending),
    }
    return HeldOut(to_video(codec, batch.latents.float()), conditions, tracks)


def make_videos(
    network: Network, codec: Codec, held: HeldOut, *, steps: int, told: bool = False
) -> dict[str, torch.Tensor]:
    """The held-out clips by kind of condition, each [B, 3, F, H, W] in [-1, 1].

    Args:
        told: the network hears in how many steps, see `motionloom.models.nano.few_steps`.
    """
    return {
        kind: to_video(codec, sample(network, condition, steps=steps, told=told))
        for kind, condition in held.conditions.items()
    }


@torch.no_grad()
def sample(network: Network, condition: torch.Tensor, *, steps: int, told: bool = False, seed: int = 0) -> torch.Tensor:
    """Latents [B, C, T, h, w] for conditions [B, 4 + C, T, h, w]; the same noise whatever the condition."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(condition[:, BLOCK:].shape, generator=generator).to(condition.device)
    token = step_token(steps).to(condition.device) if told else None
    times, heard = step_grid(build_scheduler(), steps)
    for (now, then), hear in zip(pairwise(times), heard, strict=True):
        with mixed_precision(condition.device):
            clean = predict_clean(network, x, condition, torch.full((len(x),), hear, device=x.device), token)
        x = clean + (x - clean) * (then / now)
    return x


def scores(held: HeldOut, videos: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """PSNR in dB of each kind of clip, ``psnr_KIND``: mean over clips, the first frame left out."""
    found = {}
    for kind, video in videos.items():
        error = (video - held.truth)[:, :, 1:].square().flatten(1).mean(1) / 4
        found[f"psnr_{kind}"] = round(float(-10 * torch.log10(error.clamp_min(1e-10)).mean()), 3)
    return found


def write_videos(folder: Path, held: HeldOut, videos: Mapping[str, torch.Tensor]) -> None:
    """``NN.mp4``: truth with its tracks, and what was made of its first frame; ``sheet.png``: frames of all of them.

    The folder is there complete, or not at all; an earlier one of the name is replaced.
    """
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    tall, pictures = max(_TALL, held.truth.shape[-2]), []
    for place, tracks in enumerate(held.tracks):
        truth = side_by_side(Clip(_frames(held.truth[place]), FPS), height=tall)
        made = [Clip(_frames(videos[kind][place]), FPS) for kind in _SHOWN]
        labels = [f"truth, {tracks.num_tracks} tracks", *(_LABELS[kind] for kind in _SHOWN)]
        joined = side_by_side(draw(truth, tracks), *made, labels=labels, height=tall)
        joined.save(draft / f"{place:02d}.mp4")
        times = np.linspace(0, joined.num_frames - 1, 4).round().astype(int)
        pictures.append(np.concatenate(list(joined.frames[times]), axis=0))
    if len(pictures) % 2:
        pictures.append(np.zeros_like(pictures[0]))
    columns = [np.concatenate(pictures[side::2], axis=0) for side in (0, 1)]
    write_image(draft / "sheet.png", np.concatenate(columns, axis=1))
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _pick_tracks(batch: Batch, size: tuple[int, int]) -> list[Tracks]:
    """`TRACKS` of each clip's scattered tracks, the same ones every time."""
    first = (size[0] // BLOCK) * (size[1] // BLOCK)
    picked = []
    for row in range(len(batch.points)):
        points, visible = batch.points[row, :, first:].cpu().numpy(), batch.visible[row, :, first:].cpu().numpy()
        drawn = drawn_tracks.few(points, visible, TRACKS, np.random.default_rng([VALIDATION_SEED, row]))
        picked.append(Tracks(*drawn, size, float(FPS)))
    return picked


def _frames(video: torch.Tensor) -> NDArray[Any]:
    """uint8 [F, H, W, 3] of [3, F, H, W] in [-1, 1]."""
    return ((video.permute(1, 2, 3, 0).float().cpu() + 1) * 127.5).round().clamp(0, 255).byte().numpy()
