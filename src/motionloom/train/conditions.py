"""What a training sample is conditioned on: which tracks, how many, through which method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from motionloom.methods.ati import ati
from motionloom.methods.wan_move import wan_move
from motionloom.models.nano.codec import BLOCK
from motionloom.models.nano.guidance import ati_temperature
from motionloom.tracks.interpolate import densify
from motionloom.tracks.tracks import Tracks


@dataclass(frozen=True)
class ConditionMix:
    """How often each kind of condition is drawn.

    Attributes:
        unguided: share of samples without any track.
        ati: share of the guided samples that go through ATI; the rest go through Wan-Move.
        dense, densified: shares of the guided samples with all exact tracks, and with a few exact tracks spread over
            the image as the package does it for users. The rest keep a few tracks as they are.
        most_tracks: a few means 1 to this many, uniform in the logarithm.
        least_spread: but at least this many where they are spread. Fewer would say things of the picture that are not
            true of the clip, and the network would learn not to trust its tracks.
        tail_dropout: chance of a sparse track losing its tail.
    """

    unguided: float = 0.1
    ati: float = 0.5
    dense: float = 0.65
    densified: float = 0.15
    most_tracks: int = 200
    least_spread: int = 32
    tail_dropout: float = 0.2


def plain_condition(plain: torch.Tensor) -> torch.Tensor:
    """The condition of image-to-video without tracks, [B, 4 + C, T, h, w]: mask, then ``plain`` [B, C, T, h, w].

    ``plain`` holds the latents of the first frame followed by grey ones; the mask says that the first is known.
    """
    mask = torch.zeros(plain.shape[0], BLOCK, *plain.shape[2:], dtype=plain.dtype)
    mask[:, :, 0] = 1
    return torch.cat([mask, plain], dim=1)


def draw_condition(
    plain: torch.Tensor,
    points: torch.Tensor,
    visible: torch.Tensor,
    rng: np.random.Generator,
    mix: ConditionMix | None = None,
) -> torch.Tensor:
    """A random condition for every sample of a batch.

    Args:
        plain: normalised latents float32 [B, C, T, h, w] of the first frame followed by grey ones.
        points, visible: exact tracks [B, F, N, 2] in pixels and [B, F, N]; the first h * w start at the centres of the
            latent cells and serve as the dense ones, any others are those that a few are chosen from.
        rng: all randomness.

    Returns:
        [B, 4 + C, T, h, w].
    """
    mix = mix or ConditionMix()
    condition = plain_condition(plain)
    rows, columns = plain.shape[-2:]
    size = (rows * BLOCK, columns * BLOCK)
    kind = rng.random(len(plain))
    through_ati = rng.random(len(plain)) < mix.ati
    for method in (True, False):
        chosen = np.flatnonzero((kind >= mix.unguided) & (through_ati == method))
        if not len(chosen):
            continue
        tracks = [_draw_tracks(points[i], visible[i], size, rng, mix) for i in chosen]
        most = max(part.shape[1] for part, _ in tracks)
        batch_points = torch.zeros(len(chosen), points.shape[1], most, 2)
        batch_visible = torch.zeros(len(chosen), points.shape[1], most)
        for row, (part, seen) in enumerate(tracks):
            batch_points[row, :, : part.shape[1]] = part
            batch_visible[row, :, : part.shape[1]] = seen
        if method:
            guided = ati.guide(
                condition[chosen], batch_points, batch_visible, size, temperature=ati_temperature(min(rows, columns))
            )
        else:
            guided = wan_move.guide(
                condition[chosen],
                batch_points,
                batch_visible,
                size,
                strides=(BLOCK, BLOCK, BLOCK),
                seed=int(rng.integers(2**31)),
            )
        condition[chosen] = guided
    return condition


def _draw_tracks(
    points: torch.Tensor, visible: torch.Tensor, size: tuple[int, int], rng: np.random.Generator, mix: ConditionMix
) -> tuple[torch.Tensor, torch.Tensor]:
    """[F, N', 2] and float [F, N'] of one sample."""
    kind = rng.random()
    cells = (size[0] // BLOCK) * (size[1] // BLOCK)
    if kind < mix.dense:
        return points[:, :cells], visible[:, :cells].float()
    if points.shape[1] > cells:
        points, visible = points[:, cells:], visible[:, cells:]
    seen_at_start = np.flatnonzero(visible[0].numpy())
    spread_out = kind < mix.dense + mix.densified
    count = round(float(np.exp(rng.uniform(0, np.log(mix.most_tracks + 0.5)))))
    count = min(len(seen_at_start), max(count, mix.least_spread) if spread_out else count)
    chosen = rng.choice(seen_at_start, max(count, 1), replace=False) if len(seen_at_start) else np.arange(1)
    few, seen = points[:, chosen], visible[:, chosen]
    if spread_out:
        spread = densify(Tracks(few.numpy(), seen.numpy(), size, 8.0), spacing=BLOCK, keep=False)
        return torch.from_numpy(spread.points.copy()), torch.from_numpy(spread.visible.copy()).float()
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return few, ati.tail_dropout(seen, mix.tail_dropout, generator=generator)
