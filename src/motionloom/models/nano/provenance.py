"""Provenance: the part of nano's latents that says which place of the first frame a cell shows.

A place is written as phases of waves across the picture: cosine and sine of x and y for a few wavelengths. That form
suits what happens to latents. A method that copies first-frame latents along tracks copies where they come from with
them. Weighted sums of latents (ATI splats them) give the weighted mean place, whatever the weights sum to, as a phase
does not depend on the length. And where a network hesitates between places, its mean is short: the length says how
certain the place is, zero meaning that a cell shows nothing of the first frame.

Decoding is motion compensation, as in a video codec: every cell carries a patch of the first frame. Cells of
neighbouring latent frames that show the same place give the speed between them.

Shape letters: B clips, S latent frames after the first, h w cells, N = h * w, H W pixels. Places are (x, y) in pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WAVELENGTHS = (512.0, 128.0, 32.0)
"""In pixels. The longest tells places apart that are less than half of it away from the cell that shows them; each
following one has to be found within half of itself by the one before."""

CELL = 4  # pixels in height and width of a cell, and frames of a latent frame after the first
WHISPER = 0.15
"""Length at which frames that are only encoded say that they come from where they are: too short to be decoded, long
enough for a network to see where a cell is that nothing has been said of."""
_SURE = 0.2, 0.6  # lengths below show nothing of the first frame, lengths above do; in between both are mixed
_NEAR = 6.0  # pixels: cells whose places are farther apart do not show the same thing
_SMOOTH = 4.0  # pixels by which the place of a neighbour may differ from the step between cells on one surface
_PAIRS = 1 << 24  # distances held at once
_PARTS = 1 << 20  # of one, in which colours are added up


def cell_centres(rows: int, columns: int, device: torch.device | None = None) -> Tensor:
    """[h, w, 2]: the middles of the cells, in pixels."""
    y = (torch.arange(rows, device=device) + 0.5) * CELL
    x = (torch.arange(columns, device=device) + 0.5) * CELL
    return torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], dim=-1)


def phases(places: Tensor, size: tuple[int, int], wavelengths: tuple[float, ...] = WAVELENGTHS) -> Tensor:
    """Places [..., 2] in a picture of (height, width) as numbers [..., 4 * wavelengths], each pair of length one.

    For each wavelength: cos x, cos y, sin x, sin y of the distance from the middle of the picture.
    """
    middle = places.new_tensor([size[1] / 2, size[0] / 2])
    angles = [(places - middle) * (2 * math.pi / wavelength) for wavelength in wavelengths]
    return torch.cat([part for angle in angles for part in (angle.cos(), angle.sin())], dim=-1)


def own_phases(
    grid: torch.Size | tuple[int, ...],
    wavelengths: tuple[float, ...] = WAVELENGTHS,
    device: torch.device | None = None,
) -> Tensor:
    """[h, w, 4 * wavelengths]: what the cells of a grid (h, w) say that show themselves."""
    rows, columns = grid
    return phases(cell_centres(rows, columns, device), (rows * CELL, columns * CELL), wavelengths)


def turn_phases(latents: Tensor, own: Tensor, *, back: bool = False) -> Tensor:
    """Latents whose last channels, the phases, are turned on by ``own``, or back by it.

    Turned back by what cells say that show themselves (`own_phases`), phases say how far from the cell a place is.

    Args:
        latents: [B, C, T, h, w].
        own: [4 * wavelengths, 1, h, w].
    """
    pictures, turned = latents.split([latents.shape[1] - len(own), len(own)], dim=1)
    cosine, sine = turned.unflatten(1, (-1, 2, 2)).unbind(2)  # [B, wavelengths, x or y, T, h, w] each
    own_cosine, own_sine = own.to(latents).unflatten(0, (-1, 2, 2)).unbind(1)
    own_sine = -own_sine if back else own_sine
    parts = [cosine * own_cosine - sine * own_sine, cosine * own_sine + sine * own_cosine]
    return torch.cat([pictures, torch.stack(parts, dim=2).flatten(1, 3)], dim=1)


def places(
    phases: Tensor, near: Tensor, size: tuple[int, int], wavelengths: tuple[float, ...] = WAVELENGTHS
) -> tuple[Tensor, Tensor]:
    """What `phases` wrote: (places [..., 2], lengths [...] of the shortest wave, the least of both axes).

    Args:
        phases: [..., 4 * wavelengths].
        near: [..., 2]; of the places that have these phases, the one closest to this is meant.
    """
    middle = phases.new_tensor([size[1] / 2, size[0] / 2])
    pairs = phases.unflatten(-1, (len(wavelengths), 2, 2))
    found = near - middle
    for wavelength, pair in zip(wavelengths, pairs.unbind(-3), strict=True):
        exact = torch.atan2(pair[..., 1, :], pair[..., 0, :]) * (wavelength / (2 * math.pi))
        found = exact + ((found - exact) / wavelength).round() * wavelength
    return found + middle, pairs[..., -1, :, :].norm(dim=-2).amin(-1)


def compensate(first: Tensor, places: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The frames that follow from where their cells come from.

    Args:
        first: the first frame [B, 3, H, W].
        places: [B, S, h, w, 2], what each cell shows at the middle of the four frames of its latent frame.
        lengths: [B, S, h, w], see `places`.

    Returns:
        (pictures [B, 3, 4 S, H, W], share [B, 1, 4 S, H, W] from 0 to 1 of each pixel that the first frame shows).
    """
    sure = ((lengths - _SURE[0]) / (_SURE[1] - _SURE[0])).clamp(0, 1)
    rows, columns = places.shape[2:4]
    centres = cell_centres(rows, columns, device=places.device).flatten(0, 1)
    slopes = torch.stack([_slope(places, axis) for axis in (3, 2)], dim=-1).flatten(2, 3)  # [B, S, N, 2, x or y]
    places, sure = places.flatten(2, 3), sure.flatten(2)
    clips, latent_frames, _ = sure.shape
    sums = first.new_empty(clips, 4, latent_frames * CELL, *first.shape[2:])
    for clip in range(clips):
        before, after = _speeds(places[clip], sure[clip], centres)
        for step in range(latent_frames):
            for frame in range(CELL):
                time = frame - (CELL - 1) / 2
                now = centres + time * (before if time < 0 else after)[step]
                sums[clip, :, step * CELL + frame] = _splat(
                    first[clip], now, places[clip, step], slopes[clip, step], sure[clip, step]
                )
    colour, weight = sums.split([3, 1], dim=1)
    # Half a cell inside the border no cell beyond it takes part.
    whole = _covered(rows, sums)[:, None] * _covered(columns, sums)
    return colour / weight.clamp_min(1e-4), (weight / whole).clamp(0, 1)


def _covered(cells: int, like: Tensor) -> Tensor:
    """The weights that patches at rest add up to, for each pixel along an axis of so many cells."""
    pixels = torch.arange(cells * CELL, dtype=like.dtype, device=like.device) + 0.5
    beside = torch.minimum(pixels, cells * CELL - pixels)  # distance from the border
    return (1 - (CELL / 2 - beside) / CELL).clamp_max(1)


def _slope(places: Tensor, axis: int) -> Tensor:
    """How places change per pixel along an axis of [B, S, h, w, 2]; the calmer side where both sides differ.

    Where neither neighbour lies on the same surface the surface is taken to face the camera as it did.
    """
    still = places.new_tensor([1.0, 0.0] if axis == 3 else [0.0, 1.0]) * CELL
    if places.shape[axis] == 1:
        return (still / CELL).expand_as(places)
    step = places.diff(dim=axis)
    first, last = step.narrow(axis, 0, 1), step.narrow(axis, step.shape[axis] - 1, 1)
    left, right = torch.cat([first, step], axis), torch.cat([step, last], axis)
    left_odd, right_odd = ((side - still).norm(dim=-1, keepdim=True) for side in (left, right))
    calmer = torch.where(left_odd < right_odd, left, right)
    return torch.where(torch.minimum(left_odd, right_odd) < _SMOOTH, calmer, still) / CELL


def _speeds(places: Tensor, sure: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels per frame [S, N, 2] at which what a cell shows came to it, and at which it goes on.

    Args:
        places: [S, N, 2].
        sure: [S, N].
        centres: [N, 2].
    """
    # The middle of the first latent frame after the first is two and a half frames after the first frame.
    came = [(centres - places[0]) / ((CELL + 1) / 2)]
    goes: list[Tensor] = []
    for step in range(1, len(places)):
        back, found = _where(places[step], places[step - 1], sure[step - 1], centres)
        came.append(torch.where(found, (centres - back) / CELL, torch.nan))
        forth, found = _where(places[step - 1], places[step], sure[step], centres)
        goes.append(torch.where(found, (forth - centres) / CELL, torch.nan))
    goes.append(came[-1])
    before, after = torch.stack(came), torch.stack(goes)
    before = torch.where(before.isnan(), after, before).nan_to_num()
    return before, torch.where(after.isnan(), before, after)


def _where(wanted: Tensor, places: Tensor, sure: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Where cells [N] show the wanted places [N, 2]: (position [N, 2], whether one does [N, 1])."""
    at, found = [], []
    known = places.masked_fill(sure[:, None] < 1, torch.inf)
    for part in wanted.split(max(1, _PAIRS // len(places))):
        # Not by matrix products, which at a thousand pixels are off by a cell where they run in TF32.
        distance, cell = torch.cdist(part, known, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
        at.append(centres[cell] + (part - places[cell]))
        found.append(distance[:, None] < _NEAR)
    return torch.cat(at), torch.cat(found)


def _splat(first: Tensor, now: Tensor, places: Tensor, slopes: Tensor, sure: Tensor) -> Tensor:
    """Patches of the first frame [3, H, W], each faded out linearly over a cell around its middle ``now`` [N, 2].

    Returns:
        [4, H, W]: the sum of the weighted colours, and of the weights. Whole numbers are added up, whose sum is the
        same in whatever order a GPU does it.
    """
    height, width = first.shape[1:]
    reach = torch.arange(-CELL, CELL, device=first.device)
    window = torch.stack(torch.meshgrid(reach, reach, indexing="xy"), dim=-1).flatten(0, 1)  # [64, 2], (x, y)
    pixel = now.round().long()[:, None] + window  # [N, 64, 2]
    apart = pixel + 0.5 - now[:, None]
    inside = (pixel >= 0).all(-1) & (pixel[..., 0] < width) & (pixel[..., 1] < height)
    weight = (1 - apart.abs() / CELL).clamp_min(0).prod(-1) * sure[:, None] * inside
    source = places[:, None] + torch.einsum("nij,npj->npi", slopes, apart)
    grid = torch.stack([source[..., 0] / width, source[..., 1] / height], dim=-1) * 2 - 1
    # Between pixels by cubics: straight lines would blur what moves.
    colour = F.grid_sample(first[None], grid[None], mode="bicubic", padding_mode="border", align_corners=False)[0]
    index = (pixel[..., 1] * width + pixel[..., 0]).clamp(0, height * width - 1).flatten()
    parts = (torch.cat([colour * weight, weight[None]]).flatten(1) * _PARTS).round().long()
    total = torch.zeros(4, height * width, dtype=torch.long, device=first.device).index_add_(1, index, parts)
    return (total.to(first) / _PARTS).unflatten(1, (height, width))
