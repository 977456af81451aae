"""What a video codec calls motion search: where in the first frame the cells of a whole video come from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from motionloom.models.nano.provenance import CELL, cell_centres

_FLAT = 0.02  # of the range from -1 to 1: frames with less contrast are placeholders, not pictures


def is_video(clip: Tensor) -> bool:
    """Every frame of [3, T, H, W] in [-1, 1] shows something: it is not a first frame followed by grey ones."""
    spread = clip.amax((0, 2, 3)) - clip.amin((0, 2, 3))
    return clip.shape[1] > 1 and bool((spread > _FLAT).all())


def search(clip: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the middles of all cells back to the first frame, with the tracker that needs no network.

    Args:
        clip: [3, 1 + 4n, H, W] in [-1, 1].

    Returns:
        (places float32 [n, h, w, 2] in pixels of the first frame, seen bool [n, h, w]), for the middle of each latent
        frame; what `motionloom.prepare.procedural.sources` gives for scenes whose motion is known.
    """
    from motionloom.tracks.trackers import track

    frames = ((clip.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).cpu().numpy()
    rows, columns = clip.shape[-2] // CELL, clip.shape[-1] // CELL
    centres = cell_centres(rows, columns).reshape(-1, 2).numpy()
    befores = np.arange(CELL // 2, clip.shape[1] - 1, CELL)  # the middles lie half a frame after these
    queries = [np.concatenate([np.full((len(centres), 1), frame), centres], axis=1) for frame in befores]
    found = track(frames, np.concatenate(queries), refine=False)
    points = torch.from_numpy(found.points.copy()).unflatten(1, (len(befores), -1))
    visible = torch.from_numpy(found.visible.copy()).unflatten(1, (len(befores), -1))
    places, seen = [], []
    for step, frame in enumerate(befores.tolist()):
        places.append(points[0, step] - (points[frame + 1, step] - points[frame, step]) / 2)
        seen.append(visible[0, step])
    shape = len(befores), rows, columns
    return torch.stack(places).reshape(*shape, 2).to(clip.device), torch.stack(seen).reshape(shape).to(clip.device)
