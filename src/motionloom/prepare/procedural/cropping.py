"""A part of the picture, enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from motionloom.errors import InputError
from motionloom.prepare.procedural.scene import SceneT


def cropped(scene: SceneT, centre: torch.Tensor | Sequence[float], share: float) -> SceneT:
    """The part of the picture around ``centre``, enlarged so that ``share`` of the short side fills it.

    Rendered at ``share`` of a size, it shows that part of the big clip pixel for pixel: small clips with the detail
    and the speeds of big ones.

    Args:
        centre: (x, y) in half short sides from the middle of the picture, for all clips; or one per clip, float
            [B, 2] or complex [B].
        share: of the short side, above 0; above 1 shows more than the picture.
    """
    if not 0 < share < float("inf"):
        raise InputError(f"share: found {share}, expected a number above 0, such as 0.5 for half of the picture")
    places = torch.as_tensor(centre, device=scene.device)
    if not places.is_complex():
        if places.shape not in ((2,), (scene.num_clips, 2)):
            raise InputError(
                f"centre: found shape {tuple(places.shape)}, expected (x, y) or one of them for each of the "
                f"{scene.num_clips} clips"
            )
        places = torch.view_as_complex(places.float().contiguous())
    elif places.shape not in ((), (scene.num_clips,)):
        raise InputError(f"centre: found shape {tuple(places.shape)}, expected one number for {scene.num_clips} clips")
    places = places.to(scene.shift.dtype).reshape(-1, 1, 1)
    return replace(scene, scale=scene.scale / share, shift=(scene.shift - places) / share)
