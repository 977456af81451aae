"""Tracks into any diffusers image-to-video pipeline, as a mixin. A model says one thing: where its first frame is.

    class TracksIntoMyModel(LatentTrajectory, MyModelImageToVideoPipeline):
        def first_frame(self, num_frames):
            return FirstFrame(channels=(16, 32), strides=(4, 8, 8))

Everything happens in a forward hook on the denoiser that is there for the length of a guided call, so it does not
matter what the pipeline's loop does to its condition on the way, and afterwards the pipeline is as it was.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from motionloom.errors import InputError
from motionloom.methods.branches import CfgMode
from motionloom.methods.guidance import TrackGuidance, batch_tracks
from motionloom.methods.latent_trajectory.calls import after_each_step, stock_argument
from motionloom.methods.latent_trajectory.latent_trajectory import FirstFrame, guide
from motionloom.tracks.tracks import Tracks


@dataclass
class GuidedCall:
    """One guided call, and where it is."""

    guidance: TrackGuidance
    place: FirstFrame
    seed: int
    step: int = 0
    calls: int = 0  # of the denoiser in this step
    videos: int = 1
    noise: Tensor | None = None  # the latents the call began with

    def see(self, steps: int) -> bool:
        """Whether the tracks are seen in the current step."""
        return self.guidance.in_window(self.step, steps)


class LatentTrajectory:
    """Mixin: put it before a diffusers image-to-video pipeline class and say `first_frame`."""

    _guided: GuidedCall | None = None

    @abstractmethod
    def first_frame(self, num_frames: int | None) -> FirstFrame:
        """Where the denoiser's input carries the first frame, in a call for ``num_frames`` (None: the default)."""
        raise NotImplementedError

    def __call__(
        self,
        *args: Any,
        tracks: Tracks | Sequence[Tracks] | None = None,
        strength: float = 1.0,
        window: tuple[float, float] = (0.0, 1.0),
        cfg_mode: CfgMode = "text",
        collision_seed: int = 0,
        **kwargs: Any,
    ) -> Any:
        """The stock `__call__`, shown the tracks.

        Args:
            *args, **kwargs: of the pipeline.
            tracks: for all prompts, or one per prompt. Brought to the video's size and number of frames. None or no
                track: the base model.
            strength: 1 copies, 0 is the base model bit for bit.
            window: (start, end) of the denoising, from 0 to 1, in which the tracks are seen.
            cfg_mode: "text": both branches of classifier-free guidance see the tracks; "joint": only the conditional
                one, so that guidance strengthens the motion too.
            collision_seed: of the order in which tracks that meet overwrite each other.

        Raises:
            InputError: options out of range, tracks that do not fit the batch, a `FirstFrame` that does not fit.
        """
        listed = [] if tracks is None else [tracks] if isinstance(tracks, Tracks) else list(tracks)
        guidance = TrackGuidance(listed, strength, window, cfg_mode)
        if cfg_mode == "split":
            raise InputError("cfg_mode: 'split' is for ATI and Wan-Move; use 'text' or 'joint' with this model")
        stock: Any = super()
        if not guidance.active:
            return stock.__call__(*args, **kwargs)
        run = GuidedCall(guidance, self.first_frame(stock_argument(self, "num_frames", args, kwargs)), collision_seed)

        def act(pipe: Any, step: int, latents: Tensor) -> Tensor | None:
            replaced = self.after_step(latents, run) if run.see(pipe.num_timesteps) else None
            run.step, run.calls = step + 1, 0
            return replaced

        before, self._guided = self._guided, run
        try:
            with self._hooked(run):
                return stock.__call__(*args, **after_each_step(kwargs, act))
        finally:
            self._guided = before

    def prepare_latents(self, *args: Any, **kwargs: Any) -> Any:
        """The stock latents; how many videos there are is noted."""
        stock: Any = super()
        outputs = stock.prepare_latents(*args, **kwargs)
        if self._guided is not None:
            latents: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
            self._guided.videos, self._guided.noise = latents.shape[0], latents
        return outputs

    def guide_input(self, inputs: dict[str, Any], points: Tensor, visible: Tensor, run: GuidedCall) -> dict[str, Any]:
        """The arguments of the denoiser, shown the tracks: points [B, F, N, 2] in pixels and visible bool [B, F, N]."""
        value = inputs[run.place.argument]
        return {
            **inputs,
            run.place.argument: guide(value, points, visible, run.place, strength=run.guidance.strength, seed=run.seed),
        }

    def after_step(self, latents: Tensor, run: GuidedCall) -> Tensor | None:
        """Latents to go on with after a step in the window; None for those of the scheduler."""
        return None

    @contextmanager
    def _hooked(self, run: GuidedCall) -> Iterator[None]:
        """While inside, every call of a denoiser is shown the tracks."""
        pipeline: Any = self
        fitted: dict[tuple[int, int, int], tuple[Tensor, Tensor]] = {}

        def show(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            run.calls += 1
            guidance, name = run.guidance, run.place.argument
            dropped = guidance.cfg_mode == "joint"
            value: Tensor = kwargs[name] if name in kwargs else args[0]
            branches = max(1, value.shape[0] // run.videos)  # 2 where both of classifier-free guidance come at once
            if not run.see(pipeline.num_timesteps) or (dropped and run.calls > branches == 1):
                return None
            size, frames = run.place.size(value), run.place.num_frames(value)
            key = (frames, *size)
            if key not in fitted:
                fitted[key] = batch_tracks(guidance.tracks, run.videos, frames, size)
            points, visible = (one.to(value.device).repeat(branches, *[1] * (one.ndim - 1)) for one in fitted[key])
            if dropped and branches > 1:
                visible[: run.videos] = False  # diffusers puts the unconditional branch first
            inputs = self.guide_input(kwargs if name in kwargs else {**kwargs, name: value}, points, visible, run)
            return (args, inputs) if name in kwargs else ((inputs.pop(name), *args[1:]), inputs)

        parts = [getattr(pipeline, name, None) for name in ("transformer", "transformer_2", "unet")]
        handles = [part.register_forward_pre_hook(show, with_kwargs=True) for part in parts if part is not None]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def lerp_where(mask: Tensor, base: Tensor, other: Tensor, share: float) -> Tensor:
    """``base`` moved to ``other`` by ``share`` where ``mask`` is true, and untouched elsewhere."""
    mixed = other if share >= 1 else torch.lerp(base, other.to(base), share)
    return torch.where(mask, mixed.to(base), base)
