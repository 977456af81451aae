"""What a training sample is conditioned on: which tracks, how many, through which method, and with which frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from motionloom.errors import InputError
from motionloom.methods.ati import ati
from motionloom.methods.wan_move import wan_move
from motionloom.models.nano.codec import BLOCK
from motionloom.models.nano.guidance import guidance_options
from motionloom.train import drawn_tracks
from motionloom.train.drawn_tracks import Drawn

MOST_BOXES = 3


@dataclass(frozen=True)
class ConditionMix:
    """How often each kind of condition is drawn.

    Attributes:
        unguided: share of samples without any track.
        ati: share of the guided samples that go through ATI; the rest go through Wan-Move.
        dense, densified, boxes: shares of the guided samples with all exact tracks; with a few exact tracks spread over
            the image as the package does it for users; with tracks that fill boxes around moving things. The rest keep
            a few tracks as they are.
        beyond_boxes: share of the samples with boxes in which the exact tracks of what is in no box are there too.
        anchors: share of the samples with a few tracks, spread or not, of which some are anchors: put on what rests.
        last_frame: share of all samples that know the last frame as well as the first.
        most_tracks: a few means 1 to this many, uniform in the logarithm.
        least_spread: but at least this many where they are spread. Fewer would say things of the picture that are not
            true of the clip, and the network would learn not to trust its tracks.
        tail_dropout: chance of a sparse track losing its tail.
    """

    unguided: float = 0.1
    ati: float = 0.5
    dense: float = 0.5
    densified: float = 0.2
    boxes: float = 0.1
    beyond_boxes: float = 0.5
    anchors: float = 0.3
    last_frame: float = 0.1
    most_tracks: int = 200
    least_spread: int = 32
    tail_dropout: float = 0.2

    def __post_init__(self) -> None:
        shares = "unguided", "ati", "dense", "densified", "boxes", "beyond_boxes", "anchors", "last_frame"
        for name in (*shares, "tail_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: found {getattr(self, name)}, expected a share, from 0 to 1")
        for name in ("most_tracks", "least_spread"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: found {getattr(self, name)}, expected at least one track")
        kinds = self.dense + self.densified + self.boxes
        if kinds > 1 + 1e-9:
            raise InputError(f"dense, densified, boxes: found {kinds:g} in all, expected shares that sum to 1 at most")


def plain_condition(plain: torch.Tensor, ending: torch.Tensor | None = None) -> torch.Tensor:
    """The condition of image-to-video without tracks, [B, 4 + C, T, h, w]: mask, then latents.

    Args:
        plain: [B, C, T, h, w], the latents of the first frame followed by grey ones; the mask says that it is known.
        ending: [B, C, h, w], the last latent frame where the last frame is known too. As in the stock pipeline, the
            mask then knows the last of the frames that this latent frame stands for.
    """
    mask = torch.zeros(plain.shape[0], BLOCK, *plain.shape[2:], dtype=plain.dtype, device=plain.device)
    mask[:, :, 0] = 1
    condition = torch.cat([mask, plain], dim=1)
    if ending is not None:
        condition[:, BLOCK - 1, -1] = 1
        condition[:, BLOCK:, -1] = ending
    return condition


def draw_condition(
    plain: torch.Tensor,
    points: torch.Tensor,
    visible: torch.Tensor,
    rng: np.random.Generator,
    mix: ConditionMix | None = None,
    *,
    ending: torch.Tensor | None = None,
) -> torch.Tensor:
    """A random condition for every sample of a batch.

    Args:
        plain: normalised latents float32 [B, C, T, h, w] of the first frame followed by grey ones.
        points, visible: exact tracks [B, F, N, 2] in pixels and [B, F, N]; the first h * w start at the centres of the
            latent cells and serve as the dense ones, any others are those that a few are chosen from.
        rng: all randomness.
        ending: see `plain_condition`; without it no sample knows the last frame.

    Returns:
        [B, 4 + C, T, h, w].
    """
    mix = mix or ConditionMix()
    condition = plain_condition(plain)
    rows, columns = plain.shape[-2:]
    size = (rows * BLOCK, columns * BLOCK)
    points, visible = points.cpu(), visible.cpu()  # drawn there: from a GPU two transfers, not some for every sample
    kind = rng.random(len(plain))
    through_ati = rng.random(len(plain)) < mix.ati
    if ending is not None:
        ends = np.flatnonzero(rng.random(len(plain)) < mix.last_frame)
        condition[ends] = plain_condition(plain[ends], ending[ends])
    for method in (True, False):
        chosen = np.flatnonzero((kind >= mix.unguided) & (through_ati == method))
        if not len(chosen):
            continue
        drawn = [_draw_tracks(points[i], visible[i], size, rng, mix) for i in chosen]
        seed = int(rng.integers(2**31))
        condition[chosen] = guide_condition(condition[chosen], drawn, through_ati=method, seed=seed)
    return condition


def guide_condition(
    condition: torch.Tensor,
    drawn: Sequence[tuple[torch.Tensor, torch.Tensor]],
    *,
    through_ati: bool,
    seed: int = 0,
) -> torch.Tensor:
    """The condition guided by ATI, or by Wan-Move, as a pipeline does it for nano; a known last frame stays.

    Args:
        condition: [B, 4 + C, T, h, w].
        drawn: for each sample points [F, M, 2] in pixels and visibility [F, M]; M may differ.
        seed: of Wan-Move's order of tracks.
    """
    points, visible = _stacked(drawn, condition.device)
    size = (condition.shape[-2] * BLOCK, condition.shape[-1] * BLOCK)
    short_cells = min(condition.shape[-2:])
    if through_ati:
        return ati.guide(condition, points, visible, size, mask_mode="keep", **guidance_options("ati", short_cells))
    options = guidance_options("wan_move", short_cells)
    return wan_move.guide(condition, points, visible, size, strides=(BLOCK, BLOCK, BLOCK), seed=seed, **options)


def as_tensors(drawn: Drawn) -> tuple[torch.Tensor, torch.Tensor]:
    """Points float32 [F, M, 2] and visibility float32 [F, M]."""
    return torch.from_numpy(drawn[0].copy()), torch.from_numpy(drawn[1].copy()).float()


def _draw_tracks(
    points: torch.Tensor, visible: torch.Tensor, size: tuple[int, int], rng: np.random.Generator, mix: ConditionMix
) -> tuple[torch.Tensor, torch.Tensor]:
    """[F, M, 2] and float [F, M] of one sample, all on the CPU."""
    kind = rng.random()
    cells = (size[0] // BLOCK) * (size[1] // BLOCK)
    dense = points[:, :cells], visible[:, :cells]
    if kind < mix.dense:
        return dense[0], dense[1].float()
    if points.shape[1] > cells:
        points, visible = points[:, cells:], visible[:, cells:]
    exact = points.numpy(), visible.numpy()
    if kind >= 1 - mix.boxes:
        return _boxed(exact, (dense[0].numpy(), dense[1].numpy()), size, rng, mix)
    spread_out = kind < mix.dense + mix.densified
    count = round(float(np.exp(rng.uniform(0, np.log(mix.most_tracks + 0.5)))))
    count = max(count, mix.least_spread) if spread_out else count
    choose = drawn_tracks.with_anchors if rng.random() < mix.anchors else drawn_tracks.few
    drawn = choose(*exact, count, rng)
    if spread_out:
        return as_tensors(drawn_tracks.spread(drawn, size, BLOCK))
    few, seen = as_tensors(drawn)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return few, ati.tail_dropout(seen, mix.tail_dropout, generator=generator)


def _boxed(
    exact: Drawn, dense: Drawn, size: tuple[int, int], rng: np.random.Generator, mix: ConditionMix
) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes found among all exact tracks; around them nothing, or the dense ones."""
    every = np.concatenate([dense[0], exact[0]], axis=1)
    seen = np.concatenate([dense[1], exact[1]], axis=1)
    count = int(rng.integers(1, MOST_BOXES + 1))
    points, visible, taken = drawn_tracks.boxes(every, seen, size, count, BLOCK, rng)
    if rng.random() < mix.beyond_boxes:
        outside = ~taken[: dense[0].shape[1]]
        points = np.concatenate([points, dense[0][:, outside]], axis=1)
        visible = np.concatenate([visible, dense[1][:, outside]], axis=1)
    return as_tensors((points, visible))


def _stacked(
    drawn: Sequence[tuple[torch.Tensor, torch.Tensor]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, F, M, 2] and [B, F, M] of samples with different numbers of tracks; what is missing is hidden.

    Put together where they are, then moved in one piece.
    """
    frames, most = len(drawn[0][0]), max(part.shape[1] for part, _ in drawn)
    there = drawn[0][0].device
    points = torch.zeros(len(drawn), frames, most, 2, device=there)
    visible = torch.zeros(len(drawn), frames, most, device=there)
    for row, (part, seen) in enumerate(drawn):
        points[row, :, : part.shape[1]] = part
        visible[row, :, : part.shape[1]] = seen
    return points.to(device), visible.to(device)
