"""What a batch of procedural clips is made of, before any pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self, TypeVar

import torch

MAX_LAYERS = 5
BACKGROUND_REACH = 2.0  # half short sides that the background texture covers before it is mirrored
WAVES = 3  # sines in the bending field of a layer


@dataclass(frozen=True)
class Scene:
    """A batch of clips before rendering. Layer 0 is the background; later layers are in front.

    Attributes:
        scale, shift: complex64 [B, L, T], the similarity x = scale * u + shift of every layer.
        bend_wave: float32 [B, L, WAVES, 2], spatial frequency of each sine, radians per half short side.
        bend_phase: float32 [B, L, WAVES, T], phase over time.
        bend_gain: complex64 [B, L, WAVES, T], direction and size of each sine over time; zero at the first frame.
        background: float32 [B, 3, h, w] in [0, 1], spans [-2, 2] squared and is mirrored beyond.
        sprites: float32 [B, L - 1, 4, s, s], RGB and alpha in [0, 1], each spans [-1, 1] squared.
        present: bool [B, L], False for layers a clip does not have.
    """

    timed: ClassVar[tuple[str, ...]] = ("scale", "shift", "bend_phase", "bend_gain")
    """Fields whose last axis is the frames."""

    scale: torch.Tensor
    shift: torch.Tensor
    bend_wave: torch.Tensor
    bend_phase: torch.Tensor
    bend_gain: torch.Tensor
    background: torch.Tensor
    sprites: torch.Tensor
    present: torch.Tensor

    @property
    def num_clips(self) -> int:
        return self.scale.shape[0]

    @property
    def num_frames(self) -> int:
        return self.scale.shape[-1]

    @property
    def device(self) -> torch.device:
        return self.scale.device

    def of_clips(self, clips: slice | Sequence[int]) -> Self:
        """Some clips of the batch."""
        return replace(self, **{f.name: getattr(self, f.name)[clips] for f in fields(self)})

    def to(self, device: torch.device | str) -> Self:
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


SceneT = TypeVar("SceneT", bound=Scene)


def at_frames(scene: SceneT, frames: Sequence[int]) -> SceneT:
    """The scene at some of its frames, in that order."""
    chosen = torch.tensor(list(frames), device=scene.device)
    return replace(scene, **{name: getattr(scene, name).index_select(-1, chosen) for name in scene.timed})


def pixel_centres(size: tuple[int, int], device: torch.device) -> torch.Tensor:
    height, width = size
    half = min(size) / 2
    y = (torch.arange(height, device=device) + 0.5 - height / 2) / half
    x = (torch.arange(width, device=device) + 0.5 - width / 2) / half
    return torch.complex(x.expand(height, width), y[:, None].expand(height, width))
