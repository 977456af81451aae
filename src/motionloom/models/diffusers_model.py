"""What models around a diffusers video pipeline share: sizes, frames that fill a latent frame, progress."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from motionloom.errors import InputError
from motionloom.models.clip_shape import ClipShape
from motionloom.models.model import Model, Request
from motionloom.models.parameters import Parameters
from motionloom.models.preview_frames import PreviewFrames
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion


class DiffusersModel(Model):
    """A model with a diffusers ``pipeline`` whose VAE has strides in time and space."""

    pipeline: Any

    @property
    @abstractmethod
    def shape(self) -> ClipShape:
        """Which sizes and lengths its clips have."""

    @property
    def reads_text(self) -> bool:
        return self.pipeline.text_encoder is not None

    def default_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        return self.shape.default_size(image_size)

    def size_at(self, image_size: tuple[int, int], area: int) -> tuple[int, int]:
        return self.shape.size_at(image_size, area)

    def _canvas(
        self, picture: NDArray[np.uint8] | None, motion: Motion | Tracks | None, parameters: Parameters
    ) -> tuple[int, int]:
        own = self.shape.native_size
        if picture is None and motion is None and parameters.size is None and own is not None:
            return own
        return super()._canvas(picture, motion, parameters)

    def legal_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return self.shape.legal_size(super().legal_size(size))

    def legal_frames(self, num_frames: int) -> int:
        return self.shape.legal_frames(super().legal_frames(num_frames))

    def _refuse_window_of_clocks(self, request: Request) -> None:
        if self.method == "time_to_move" and tuple(request.window) != (0.0, 1.0):
            raise InputError("window: time_to_move has its own clocks; set the options t_weak and t_strong instead")

    def _motion_cue(self, request: Request, drawn_frames: int, more: int) -> dict[str, Any]:
        """The moved clip and mask of Time-to-Move, with ``more`` frames at the end in which nothing moves."""
        from motionloom.methods.time_to_move.cue import motion_cue

        frames, mask = motion_cue(request.photograph, request.tracks, request.layers, request.size, drawn_frames)
        request.details.update(mask_covers=round(float(mask.mean()), 4))
        return {"motion_frames": held(frames, more), "motion_mask": held(mask, more)}


def telling(
    request: Request, previews: PreviewFrames | None = None
) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    """``callback_on_step_end`` that tells the request's ``on_progress`` of each step, and its ``on_preview``."""

    def after_step(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if request.on_progress is not None:
            request.on_progress(step + 1, pipe.num_timesteps)
        if previews is not None:
            previews.after_step(step, tensors["latents"])
        return {}

    return after_step


def held(frames: NDArray[Any], more: int) -> NDArray[Any]:
    """Frames [T, ...] with the last one ``more`` times again."""
    return np.concatenate([frames, np.repeat(frames[-1:], more, axis=0)])


def held_tracks(tracks: Tracks, more: int) -> Tracks:
    """The tracks with ``more`` frames at the end in which nothing moves."""
    return Tracks(held(tracks.points, more), held(tracks.visible, more), tracks.size, tracks.fps)


def fitted(image: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """The photograph at (height, width), antialiased, so that the pipeline has nothing left to resize."""
    return Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.LANCZOS)


def in_bytes(video: NDArray[Any]) -> NDArray[np.uint8]:
    """Frames in [0, 1] as uint8."""
    return np.clip(np.round(video * 255), 0, 255).astype(np.uint8)
