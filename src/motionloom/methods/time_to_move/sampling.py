"""Dual-clock denoising around a stock diffusers pipeline: a mixin that any image-to-video pipeline can be given.

Three seams of the pipeline carry it; its own loop is untouched:

- `scheduler.set_timesteps`: the skipped steps are cut off the schedule, so they are never run;
- `prepare_latents`: the start is the motion cue under noise;
- `callback_on_step_end`: inside the mask the cue is put back, under the noise of the next step.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.latent_trajectory.calls import after_each_step, stock_argument
from motionloom.methods.time_to_move.dual_clock import (
    Clocks,
    NoiseLevels,
    aligned_sigmas,
    hold,
    latent_mask,
    noise_levels,
)
from motionloom.methods.wan import begin_at


@dataclass
class _Run:
    """One call: what it was given, and what it finds out on the way."""

    frames: Sequence[NDArray[np.uint8]]
    masks: Sequence[NDArray[np.bool_]]
    clocks: Clocks
    num_frames: int | None  # of the call; None: the pipeline's own
    skipped: int = 0
    strong: int = 0
    levels: NoiseLevels | None = None
    reference: Tensor | None = None  # clean latents of the cue, in the pipeline's layout
    noise: Tensor | None = None
    mask: Tensor | None = None

    def held(self, step: int) -> Tensor:
        """The cue as it is when ``step`` of the whole schedule begins."""
        assert self.levels is not None
        assert self.reference is not None
        assert self.noise is not None
        return self.levels.noised(self.reference, self.noise, step)


class TimeToMove:
    """Mixin: put it before a diffusers image-to-video pipeline class and say `encode_motion`.

    Attributes:
        clocks: of a call that names none.
        time_axis: of the pipeline's latents; 2 for [B, C, T, H, W], 1 for [B, T, C, H, W].
    """

    clocks: ClassVar[Clocks]
    time_axis: ClassVar[int] = 2
    _moved: _Run | None = None

    @abstractmethod
    def encode_motion(self, video: Tensor) -> Tensor:
        """Clean latents, as the denoising loop has them, of a clip float32 [1, 3, F, H, W] in [-1, 1]."""
        raise NotImplementedError

    def __call__(
        self,
        *args: Any,
        motion_frames: NDArray[np.uint8] | Sequence[NDArray[np.uint8]] | None = None,
        motion_mask: NDArray[np.bool_] | Sequence[NDArray[np.bool_]] | None = None,
        t_weak: float | None = None,
        t_strong: float | None = None,
        strength: float = 1.0,
        window: tuple[float, float] = (0.0, 1.0),
        **kwargs: Any,
    ) -> Any:
        """The stock `__call__`, moved by a cue. Steps before ``t_weak`` are not run, and not counted in callbacks.

        Args:
            *args, **kwargs: of the pipeline.
            motion_frames: the moved photograph, uint8 [F, H, W, 3], or one clip per prompt; see
                `motionloom.methods.time_to_move.cue.motion_cue`. Brought to the video's size and length.
            motion_mask: where it has to be followed, bool [F, H, W], or one per prompt. None or all empty: the base
                model.
            t_weak, t_strong: when the denoising begins outside and inside the mask, as fractions of the schedule. Later
                follows the cue more closely, and looks more like it. By default `clocks`.
            strength: factor on both clocks; 0 is the base model bit for bit.
            window: of the tracks, on a pipeline that is conditioned on tracks as well; the cue has its clocks.

        Raises:
            InputError: clocks out of order, frames and masks that do not belong together, too few steps.
        """
        if "tracks" in kwargs:
            kwargs.update(strength=strength, window=window)
        elif tuple(window) != (0.0, 1.0):
            raise InputError(
                f"window: found {window}; Time-to-Move has its own clocks, set t_weak and t_strong instead "
                "(t_strong is where the motion is let go)"
            )
        own = self.clocks
        if t_weak is None:
            t_weak = own.t_weak if t_strong is None else min(own.t_weak, t_strong)
        clocks = Clocks(t_weak, max(own.t_strong, t_weak) if t_strong is None else t_strong).scaled(strength)
        frames, masks = _clips(motion_frames, "motion_frames", 4), _clips(motion_mask, "motion_mask", 3)
        stock: Any = super()
        if clocks.t_strong == 0 or not frames or not any(mask.any() for mask in masks):
            return stock.__call__(*args, **kwargs)
        _check(frames, masks)
        run = _Run(frames, masks, clocks, self.shown_frames(stock_argument(self, "num_frames", args, kwargs)))

        def hold_mask(pipe: Any, step: int, latents: Tensor) -> Tensor | None:
            done = run.skipped + step + 1
            if done > run.strong or run.mask is None:
                return None
            # UniPC's corrector would go back behind what is put in place, to the sample of the step before.
            if getattr(pipe.scheduler, "last_sample", None) is not None:
                pipe.scheduler.last_sample = None
            return hold(latents, run.held(done), run.mask)

        before, self._moved = self._moved, run
        try:
            with self._shorter_schedule(run):
                return stock.__call__(*args, **after_each_step(kwargs, hold_mask))
        finally:
            self._moved = before

    def shown_frames(self, num_frames: int | None) -> int | None:
        """Frames of a call for ``num_frames`` (None: its default); None: all that the latents hold."""
        return num_frames

    def prepare_latents(self, *args: Any, **kwargs: Any) -> Any:
        """The stock latents and condition, the noise replaced by the cue under that noise."""
        stock: Any = super()
        outputs = stock.prepare_latents(*args, **kwargs)
        run = self._moved
        if run is None:
            return outputs
        given = inspect.signature(stock.prepare_latents).bind(*args, **kwargs).arguments
        latents, *rest = outputs if isinstance(outputs, tuple) else (outputs,)
        pipeline: Any = self
        run.noise = latents.float() / float(getattr(pipeline.scheduler, "init_noise_sigma", 1.0))
        self._place(run, latents, (given["height"], given["width"]))
        started = run.held(run.skipped).to(latents.dtype)
        return (started, *rest) if isinstance(outputs, tuple) else started

    def progress_bar(self, iterable: Any = None, total: int | None = None) -> Any:
        """The stock bar, as long as the steps that are run."""
        skipped = 0 if self._moved is None or total is None else self._moved.skipped
        stock: Any = super()
        return stock.progress_bar(iterable, total=None if total is None else max(1, total - skipped))

    def _place(self, run: _Run, latents: Tensor, size: tuple[int, int]) -> None:
        """Encode the cue and its mask for a batch of ``latents``."""
        pipeline: Any = self
        axis = self.time_axis
        length, cells = latents.shape[axis], (latents.shape[-2], latents.shape[-1])
        stride = getattr(pipeline, "vae_scale_factor_temporal", 1)
        if latents.shape[0] % len(run.frames):
            raise InputError(
                f"motion_frames: found {len(run.frames)} clips for {latents.shape[0]} videos; give one for all, or one "
                "for every prompt"
            )
        references: list[Tensor] = []
        masks: list[Tensor] = []
        for frames, mask in zip(run.frames, run.masks, strict=True):
            # Some pipelines put latent frames in front that are not shown (CogVideoX 1.5): the photograph, at rest.
            shown = length if run.num_frames is None else (run.num_frames - 1) // stride + 1
            fitted, kept = _fitted(frames, mask, size, (shown - 1) * stride + 1)
            video = torch.from_numpy(fitted).permute(3, 0, 1, 2)[None].float().div(127.5).sub(1)
            encoded = self.encode_motion(video.to(latents.device)).float()
            small = latent_mask(torch.from_numpy(kept)[None].to(latents.device), cells, stride)
            lead = length - encoded.shape[axis]
            encoded = torch.cat([encoded.narrow(axis, 0, 1)] * lead + [encoded], dim=axis)
            small = torch.cat([small[:, :1]] * lead + [small], dim=1)
            references.append(encoded)
            masks.append(small.unsqueeze(1 if axis == 2 else 2))
        repeats = latents.shape[0] // len(references)
        run.reference = torch.cat(references).repeat_interleave(repeats, 0)
        run.mask = torch.cat(masks).repeat_interleave(repeats, 0)
        if run.reference.shape != latents.shape:
            raise InputError(
                f"motion_frames: encoded to {tuple(run.reference.shape)}, expected {tuple(latents.shape)}; "
                "encode_motion must return latents as the denoising loop has them"
            )

    @contextmanager
    def _shorter_schedule(self, run: _Run) -> Iterator[None]:
        """While inside, the scheduler's steps before the weak clock are left out; afterwards it is as it was."""
        pipeline: Any = self
        scheduler = pipeline.scheduler
        stock = scheduler.set_timesteps

        def set_timesteps(*args: Any, **kwargs: Any) -> None:
            stock(*args, **kwargs)
            run.levels = noise_levels(scheduler)
            run.skipped, run.strong = run.clocks.steps(len(scheduler.timesteps))
            sigmas = aligned_sigmas(scheduler)
            if sigmas is not None:
                # A solver of several steps then begins as at any schedule's beginning: with no history, at first order.
                scheduler.sigmas = sigmas[run.skipped :]
            scheduler.timesteps = scheduler.timesteps[run.skipped :]
            begin_at(scheduler, 0)

        scheduler.set_timesteps = set_timesteps
        try:
            yield
        finally:
            del scheduler.set_timesteps
            begin_at(scheduler, None)


def _clips(given: Any, name: str, axes: int) -> list[NDArray[Any]]:
    if given is None:
        return []
    listed = [given] if isinstance(given, np.ndarray) and given.ndim == axes else list(given)
    for one in listed:
        kind = np.uint8 if axes == 4 else np.bool_
        if not isinstance(one, np.ndarray) or one.ndim != axes or one.dtype != kind:
            found = f"{one.dtype} {one.shape}" if isinstance(one, np.ndarray) else type(one).__name__
            expected = "uint8 [F, H, W, 3]" if axes == 4 else "bool [F, H, W]"
            raise InputError(f"{name}: found {found}, expected {expected}, or one such array per prompt")
    return listed


def _check(frames: Sequence[NDArray[Any]], masks: Sequence[NDArray[Any]]) -> None:
    if len(frames) != len(masks):
        raise InputError(f"motion_mask: found {len(masks)} for {len(frames)} motion_frames, expected one for each")
    for clip, mask in zip(frames, masks, strict=True):
        if clip.shape[-1] != 3 or mask.shape != clip.shape[:3]:
            raise InputError(
                f"motion_mask: found {mask.shape} for motion_frames {clip.shape}, expected the same frames, height and "
                "width"
            )


def _fitted(
    frames: NDArray[np.uint8], mask: NDArray[np.bool_], size: tuple[int, int], num_frames: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A cue at another size and length: the whole motion, fitted into ``num_frames``."""
    if len(frames) != num_frames:
        kept = np.rint(np.linspace(0, len(frames) - 1, num_frames)).astype(np.int64)
        frames, mask = frames[kept], mask[kept]
    if frames.shape[1:3] != size:
        way = cv2.INTER_AREA if size[0] * size[1] < frames.shape[1] * frames.shape[2] else cv2.INTER_CUBIC
        goal = (size[1], size[0])
        frames = np.stack([cv2.resize(frame, goal, interpolation=way) for frame in frames]).astype(np.uint8)
        small = [cv2.resize(one.astype(np.uint8), goal, interpolation=cv2.INTER_NEAREST) for one in mask]
        mask = np.stack(small).astype(np.bool_)
    return np.ascontiguousarray(frames), np.ascontiguousarray(mask)
