"""ATI, Any Trajectory Instruction (Wang et al. 2025, arXiv 2505.22944): the rewriting of the image condition.

Source: `patch_motion` in `wan/modules/motion_patch.py` of bytedance/ATI. No parameter is learnt here: for every later
latent frame the first-frame feature under each track's start is splatted, with a Gaussian, at the track's place.

Shape suffixes: B batch, C all channels of the condition, F pixel frames, T latent frames, S = T - 1 latent frames that
can be written, N tracks, H and W latent rows and columns, P = H * W cells, D channels of the latent.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import get_args

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from motionloom.errors import InputError
from motionloom.methods.ati.choices import Grid, MaskMode

TEMPERATURE = 220.0  # patch_motion's default: sigma is 1.41 cells where the short edge has 60
TOP_K = 2  # patch_motion's default
TIME_STRIDE = 4  # frames per latent frame of the Wan VAE, and mask channels of the condition
# Weights below exp(-16.2) = 9.2e-8 are left out: with two tracks per cell the result moves by less than 2e-7 |feature|.
_NEGLIGIBLE = 16.2
# Cells touched at once (at least one latent frame): some 30 bytes each, and small enough to stay in the cache.
_CHUNK = 1 << 18


def guide(
    condition: Tensor,
    points: Tensor,
    visible: Tensor,
    size: tuple[int, int],
    *,
    temperature: float = TEMPERATURE,
    top_k: int = TOP_K,
    mask_mode: MaskMode = "reference",
    grid: Grid = "reference",
    strength: float | Tensor = 1.0,
    time_stride: int = TIME_STRIDE,
) -> Tensor:
    """The image condition, rewritten so that the model moves things along the tracks.

    Args:
        condition: [B, time_stride + D, T, H, W], mask channels first, then normalised latents of the first frame
            followed by blank frames. Not changed.
        points: [F, N, 2] for all samples or [B, F, N, 2], (x, y) in pixels of ``size``; F = time_stride (T - 1) + 1.
        visible: [F, N] or [B, F, N], bool, or a number from 0 (hidden) to 1 (visible); values outside are clamped.
        size: (height, width) in pixels of the video the condition belongs to.
        temperature: sharpness of the Gaussian, exp(-temperature d²) with d in halves of the short edge.
        top_k: tracks that may write to one cell; the ones with the largest weight do.
        mask_mode: "reference" sets the mask to 1 on the first latent frame and to the weights elsewhere, whatever it
            was. "keep" leaves what the mask already marks as known (a given last frame) as it is, latents and mask;
            "max" does so too, but raises the mask there to the weights where those are higher. All give the same for a
            condition that knows the first frame only.
        grid: where cells lie that tracks write to. "reference": the first and last on the border of the picture, as
            published, so that what is copied lands up to half a cell nearer to the middle; networks trained with it
            undo that. "centres": where they are.
        strength: factor on all weights, zero or more, or a factor for each latent frame and track, [T, N] or [B, T, N]
            (see `motionloom.methods.adaptive`), of which the first latent frame's are not used. 0 returns the condition
            as it is.
        time_stride: pixel frames per latent frame after the first.

    Returns:
        [B, time_stride + D, T, H, W] of the condition's dtype. With N = 0 the condition's values, unchanged.

    Raises:
        InputError: shapes that do not belong together, points that are not finite, options out of range.
    """
    return patch(
        condition,
        normalise(points, size),
        visible,
        temperature=temperature,
        top_k=top_k,
        mask_mode=mask_mode,
        grid=grid,
        strength=strength,
        time_stride=time_stride,
    )


def normalise(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixels of ``size`` (height, width) to ATI's units: the centre is 0, the short edge goes from -1 to 1.

    [..., 2] (x, y) to [..., 2]. Source: `process_tracks` in `wan/utils/motion.py`.
    """
    height, width = size
    centre = points.new_tensor([width / 2, height / 2])
    return (points - centre) * (2 / min(height, width))


def normalise_as_published(points: Tensor, size: tuple[int, int], image_size: tuple[int, int]) -> Tensor:
    """`normalise` as the published program has it: by the size of the photograph, whatever shape the video got.

    The splat that follows counts in the video's shape. Where the two differ (832x480 becomes 832x464) a point at the
    edge is off by some 14 pixels. The same as `normalise` where the shapes are the same.

    Args:
        points: [..., 2] (x, y) in pixels of ``size``, the (height, width) of the video.
        image_size: (height, width) of the photograph.
    """
    scale = points.new_tensor([image_size[1] / size[1], image_size[0] / size[0]])
    return normalise(points * scale, image_size)


@torch.no_grad()
def patch(
    condition: Tensor,
    points: Tensor,
    visible: Tensor,
    *,
    temperature: float = TEMPERATURE,
    top_k: int = TOP_K,
    mask_mode: MaskMode = "reference",
    grid: Grid = "reference",
    strength: float | Tensor = 1.0,
    time_stride: int = TIME_STRIDE,
) -> Tensor:
    """`guide` for points that are already in the units of `normalise`."""
    if condition.ndim != 5 or condition.shape[1] <= time_stride:
        raise InputError(
            f"condition: found shape {tuple(condition.shape)}, "
            f"expected [B, {time_stride} mask + latent channels, T, H, W]"
        )
    if not (isinstance(temperature, Real) and math.isfinite(temperature) and temperature > 0):
        raise InputError(f"temperature: found {temperature!r}, expected a number above zero")
    if not (isinstance(top_k, Integral) and top_k >= 1):
        raise InputError(f"top_k: found {top_k!r}, expected a whole number, 1 or more")
    if mask_mode not in get_args(MaskMode):
        raise InputError(f"mask_mode: found {mask_mode!r}, expected 'reference', 'max' or 'keep'")
    if grid not in get_args(Grid):
        raise InputError(f"grid: found {grid!r}, expected 'reference' or 'centres'")
    points_BFN2, visible_BFN = _per_sample(condition, points, visible, time_stride)
    B, C, T, H, W = condition.shape
    N = points_BFN2.shape[2]
    factor, each = _factors(strength, (B, T, N), condition.device)
    if N == 0 or factor == 0:
        return condition.clone()

    latents = condition[:, time_stride:].float()
    features_BDN = start_features(latents[:, :, 0], points_BFN2[:, 0])
    places_BSN2, amount_BSN = latent_places(points_BFN2, visible_BFN, time_stride)
    if each is not None:
        amount_BSN = amount_BSN * each[:, 1:]
    inset = 0.5 if grid == "centres" else 0.0
    weights_BSKP, tracks_BSKP = strongest(places_BSN2, amount_BSN, (H, W), temperature, min(top_k, N), inset=inset)

    total = weights_BSKP.sum(2).mul_(factor).view(B, 1, T - 1, H, W)
    splat = torch.zeros(B, C - time_stride, (T - 1) * H * W, device=condition.device)
    for weight, track in zip(weights_BSKP.unbind(2), tracks_BSKP.unbind(2), strict=True):
        index = track.reshape(B, 1, -1).expand(-1, C - time_stride, -1)
        splat.addcmul_(features_BDN.gather(2, index), weight.reshape(B, 1, -1), value=factor)
    moved = splat.view(B, C - time_stride, T - 1, H, W).addcmul_(latents[:, :, 1:], 1 - total.clamp(max=1))

    out = torch.empty_like(condition)
    out[:, time_stride:, 0] = condition[:, time_stride:, 0]
    if mask_mode == "reference":
        out[:, :time_stride, 0] = 1
        out[:, :time_stride, 1:] = total
        out[:, time_stride:, 1:] = moved
    else:
        mask = condition[:, :time_stride]
        out[:, :time_stride, 0] = mask[:, :, 0]
        given = mask[:, :, 1:].float()
        known = given.amax(1, keepdim=True) >= 1
        told = torch.maximum(given, total)
        if mask_mode == "keep":
            told = torch.where(known, given, told)
        out[:, :time_stride, 1:] = told
        out[:, time_stride:, 1:] = torch.where(known, latents[:, :, 1:], moved)
    return out


def tail_dropout(
    visible: Tensor,
    probability: float = 0.2,
    *,
    keep: Tensor | None = None,
    cut: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """ATI's regulariser for training: with ``probability`` a track is hidden from a random frame on.

    Args:
        visible: [..., F, N], as `guide` takes it.
        probability: of a track losing its tail; 0.2 in the published program.
        keep: [..., N] in [0, 1); the track stays whole where it is above ``probability``. Drawn when not given.
        cut: [..., N] in [0, F - 1); the tail starts at the first frame that is not below it. Drawn when not given.
        generator: for the draws, ``keep`` first.

    Returns:
        float [..., F, N] in [0, 1].
    """
    frames = visible.shape[-2]
    shape = (*visible.shape[:-2], visible.shape[-1])
    if keep is None:
        keep = torch.rand(shape, generator=generator).to(visible.device)
    if cut is None:
        cut = torch.rand(shape, generator=generator).to(visible.device) * (frames - 1)
    frame = torch.arange(frames, device=visible.device).unsqueeze(-1)
    alive = (keep > probability).unsqueeze(-2) | (frame < cut.unsqueeze(-2))
    return visible.float().clamp(0, 1) * alive


def start_features(latent_BDHW: Tensor, start_BN2: Tensor) -> Tensor:
    """The first-frame feature under each start point, [B, D, N].

    Bilinear with zeros beyond the edge, from positions clamped onto the image: a start on the border keeps half.
    """
    H, W = latent_BDHW.shape[-2:]
    short = min(H, W)
    uv = torch.stack([start_BN2[..., 0] * (short / W), start_BN2[..., 1] * (short / H)], dim=-1).clamp(-1, 1)
    return grid_sample(latent_BDHW, uv.unsqueeze(1), mode="bilinear", padding_mode="zeros", align_corners=False)[
        :, :, 0
    ]


def latent_places(points_BFN2: Tensor, visible_BFN: Tensor, time_stride: int) -> tuple[Tensor, Tensor]:
    """Where each track is during each later latent frame, and how much it counts.

    Latent frame t covers pixel frames time_stride (t - 1) + 1 to time_stride t.

    Returns:
        positions [B, S, N, 2], the mean over the visible frames (shrunk a little towards the centre by the 1e-5 of the
        published program), and amounts [B, S, N] in [0, 1], 1 from one fully visible frame on.
    """
    chunks = ((visible_BFN.shape[1] - 1) // time_stride, time_stride)
    seen = visible_BFN[:, 1:].unflatten(1, chunks)
    count = seen.sum(2)
    place = (points_BFN2[:, 1:].unflatten(1, chunks) * seen.unsqueeze(-1)).sum(2)
    return place / (count + 1e-5).unsqueeze(-1), count.clamp(0, 1)


def strongest(
    places_BSN2: Tensor,
    amount_BSN: Tensor,
    grid: tuple[int, int],
    temperature: float,
    top_k: int,
    *,
    inset: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """The ``top_k`` largest Gaussian weights at every cell and the tracks they come from, both [B, S, top_k, P].

    ``inset`` is how far the first cell lies inside the border, in cells.

    Each track only looks at the window of cells where its weight is not negligible. Weight and track are packed into
    one integer that sorts by weight, so that one scatter with maximum finds winner and weight of every cell at once;
    taking the winners out and repeating gives the next rank. Where fewer tracks reach a cell the weight is 0.
    """
    H, W = grid
    B, S, N = amount_BSN.shape
    device = amount_BSN.device
    short = min(H, W)
    frames = B * S
    x = places_BSN2[..., 0].reshape(frames, N)
    y = places_BSN2[..., 1].reshape(frames, N)
    amount = amount_BSN.reshape(frames, N)
    column, weight_x = _window(x, W, short, temperature, inset)
    row, weight_y = _window(y, H, short, temperature, inset)
    weight_y = weight_y * amount.unsqueeze(-1)

    keys = torch.zeros(frames, top_k, H * W, dtype=torch.int64, device=device)
    track = torch.arange(N, device=device).view(1, N, 1, 1)
    step = max(1, _CHUNK // max(1, N * row.shape[-1] * column.shape[-1]))
    for first in range(0, frames, step):
        part = slice(first, first + step)
        weight = weight_y[part].unsqueeze(-1) * weight_x[part].unsqueeze(-2)
        key = weight.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).bitwise_or_(track).flatten(1)
        cell = (row[part].unsqueeze(-1) * W + column[part].unsqueeze(-2)).flatten(1)
        for rank in range(top_k):
            best = keys[part, rank]
            best.scatter_reduce_(1, cell, key, "amax")
            if rank + 1 < top_k:
                key = key.masked_fill_(key == best.gather(1, cell), 0)
    weights = keys.bitwise_right_shift(32).to(torch.int32).view(torch.float32)
    tracks = keys.bitwise_and_(0xFFFFFFFF)
    return weights.view(B, S, top_k, H * W), tracks.view(B, S, top_k, H * W)


def _window(place: Tensor, cells: int, short: int, temperature: float, inset: float) -> tuple[Tensor, Tensor]:
    """Cells of one axis near each place [..., N]: indices and weights, both [..., N, window].

    Windows are pushed inside the grid, so that a place beyond the edge still leaks its tail in.
    """
    edge = cells / short  # the border lies here and at its negative
    half = edge * (1 - 2 * inset / cells)  # the outermost cells do
    per_unit = (cells - 1) / (2 * half)
    reach = math.sqrt(_NEGLIGIBLE / temperature) * per_unit
    window = min(cells, math.floor(2 * reach) + 1)
    start = ((place + half) * per_unit - reach).clamp(-1, cells).ceil().clamp(0, cells - window).long()
    index = start.unsqueeze(-1) + torch.arange(window, device=place.device)
    centres = torch.linspace(-half, half, cells, device=place.device)
    return index, torch.exp(-temperature * (place.unsqueeze(-1) - centres[index]) ** 2)


def _factors(
    strength: float | Tensor, shape: tuple[int, int, int], device: torch.device
) -> tuple[float, Tensor | None]:
    """A factor on everything, and factors [B, T, N] where the strength has one for each track."""
    if not isinstance(strength, Tensor) or strength.ndim == 0:
        factor = float(strength)
        if not (math.isfinite(factor) and factor >= 0):
            raise InputError(f"strength: found {factor}, expected zero or more")
        return factor, None
    if tuple(strength.shape) not in (shape, shape[1:]):
        raise InputError(f"strength: found shape {tuple(strength.shape)}, expected {list(shape[1:])} or {list(shape)}")
    if not bool((torch.isfinite(strength) & (strength >= 0)).all()):
        raise InputError("strength: found a factor below zero or not finite, expected zero or more for every track")
    return 1.0, strength.to(device, torch.float32).expand(shape)


def _per_sample(condition: Tensor, points: Tensor, visible: Tensor, time_stride: int) -> tuple[Tensor, Tensor]:
    """Points float32 [B, F, N, 2] and visibility float32 [B, F, N] in [0, 1], checked against the condition."""
    batch, latent_frames = condition.shape[0], condition.shape[2]
    if points.ndim == 3:
        points = points.unsqueeze(0)
    if visible.ndim == 2:
        visible = visible.unsqueeze(0)
    if points.ndim != 4 or points.shape[-1] != 2 or points.shape[0] not in (1, batch):
        raise InputError(f"points: found shape {tuple(points.shape)}, expected [F, N, 2] or [{batch}, F, N, 2]")
    if visible.ndim != 3 or visible.shape[1:] != points.shape[1:3] or visible.shape[0] not in (1, batch):
        raise InputError(
            f"visible: found shape {tuple(visible.shape)}, expected {tuple(points.shape[:3])} as points has"
        )
    expected = time_stride * (latent_frames - 1) + 1
    if points.shape[1] != expected:
        raise InputError(
            f"points: found {points.shape[1]} frames, expected {expected} for {latent_frames} latent frames; "
            f"resample the tracks to {expected} frames"
        )
    if not bool(torch.isfinite(points).all()):
        raise InputError("points: found a value that is not finite; give hidden points any finite position")
    # Far outside is far outside: the bound only keeps sums of absurd positions finite.
    points = points.to(condition.device, torch.float32).clamp(-1e6, 1e6).expand(batch, -1, -1, -1)
    visible = visible.to(condition.device, torch.float32).clamp(0, 1).expand(batch, -1, -1)
    return points, visible
