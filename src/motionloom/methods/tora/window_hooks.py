"""What runs around a CogVideoX transformer and its scheduler while a clip is made window by window.

See `motionloom.methods.tora.windows`. Latents are [B, T', C, h, w] as the pipelines have them, time before channels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from diffusers.hooks.hooks import BaseState, CacheContext, ModelHook, StateManager, _set_cache_context
from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.replaced import replaced

ImageCondition = Literal["first", "carry", "repeat"]


class WindowHook(ModelHook):
    """Around the transformer's forward: one window of a clip.

    Args:
        windows: latent frames of the clip.
        on_window: called with the window's number before the transformer is.
        config: the transformer's.
        scale: of latents that stand where the photograph does in the first window; see `photograph_scale`.
    """

    _is_stateful = True

    def __init__(self, windows: Sequence[slice], on_window: Callable[[int], None], config: Any, scale: float) -> None:
        super().__init__()
        self.windows, self.on_window, self.scale = windows, on_window, scale
        self.unit, self.patch = config.patch_size_t or 1, config.patch_size
        self.channels = config.out_channels
        self.takes_image = config.in_channels > config.out_channels
        self.names: Any = StateManager(_STATE)  # found by cache_context, which tells it the name of the call

    def new_forward(self, module: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        if hidden_states.shape[1] != self.windows[-1].stop:
            raise InputError(
                f"windows: are for {self.windows[-1].stop} latent frames, found a clip of {hidden_states.shape[1]}; "
                "plan them for the clip that is made"
            )
        return self.predict(module, hidden_states, args, kwargs)

    def predict(self, module: Any, hidden: Tensor, args: Any, kwargs: dict[str, Any]) -> Any:
        """The transformer's output for the whole clip; here for a clip of one window."""
        return self.run(module, 0, hidden, args, kwargs)

    def run(self, module: Any, k: int, part: Tensor, args: Any, kwargs: dict[str, Any]) -> Any:
        """The transformer's output for the latents of window ``k``."""
        self.on_window(k)
        rotary = kwargs.get("image_rotary_emb")
        if rotary is not None:
            # Rows are ordered by time first, and every window begins at the position a clip begins at.
            rows = part.shape[1] // self.unit * (part.shape[3] // self.patch) * (part.shape[4] // self.patch)
            kwargs = {**kwargs, "image_rotary_emb": tuple(table[:rows] for table in rotary)}
        with self._own_state(module, k):
            forward: Any = self.fn_ref.original_forward
            return forward(part, *args, **kwargs)

    def reset_state(self, module: Any) -> Any:
        self.names.reset()
        return module

    @contextmanager
    def _own_state(self, module: Any, k: int) -> Iterator[None]:
        """Step caches compare a call with the same window's call of the step before."""
        outer = self.names._context
        if outer is None:
            yield
            return
        _set_cache_context(module, CacheContext(f"{outer.name}, window {k}"))
        try:
            yield
        finally:
            _set_cache_context(module, outer)


class JointWindows(WindowHook):
    """Runs every window in each call, and blends what they predict.

    Args:
        weights: of every window's latent frames in the whole.
        condition: what an image-to-video model is shown at the beginning of later windows.
    """

    def __init__(
        self,
        windows: Any,
        on_window: Any,
        config: Any,
        scale: float,
        weights: list[Tensor],
        condition: ImageCondition,
    ) -> None:
        super().__init__(windows, on_window, config, scale)
        self.weights = weights
        self.condition: ImageCondition = condition
        self.clean: Tensor | None = None

    @contextmanager
    def listening(self, scheduler: Any) -> Iterator[None]:
        """Keep the clean clip [B, T', C, h, w] that every step of the scheduler estimates."""
        step = scheduler.step

        @functools.wraps(step)
        def listened(*args: Any, **kwargs: Any) -> Any:
            output = step(*args, **kwargs)
            self.clean = output[1]
            return output

        with replaced(scheduler, step=listened):
            yield

    def predict(self, module: Any, hidden: Tensor, args: Any, kwargs: dict[str, Any]) -> Any:
        output, blended = None, torch.empty(0)
        for k, window in enumerate(self.windows):
            output = self.run(module, k, self._part(hidden, k), args, kwargs)
            predicted = output[0]
            if k == 0:
                blended = _whole(predicted, hidden.shape[1], torch.float32)
            blended[:, window] += self.weights[k].to(predicted.device)[:, None, None, None] * predicted
        return _like(output, blended.to(output[0].dtype))  # pyright: ignore[reportOptionalSubscript]

    def _part(self, hidden: Tensor, k: int) -> Tensor:
        part = hidden[:, self.windows[k]]
        if k == 0 or not self.takes_image or self.condition == "first":
            return part
        image = part.new_zeros(part.shape)[:, :, self.channels :]
        if self.condition == "repeat":
            image = hidden[:, : part.shape[1], self.channels :]
        elif self.clean is not None and self.windows[k].start < self.windows[k - 1].stop:
            # Only what another window makes: shown its own, a window would believe its first guess ever more.
            image[:, 0] = self.scale * _for_each_branch(self.clean[:, self.windows[k].start], part)
        return torch.cat([part[:, :, : self.channels], image], dim=2)


class WindowsInTurn(WindowHook):
    """Runs one window in each call, the next one when the last step of the one before is done.

    The scheduler's timesteps are repeated for every window, and its steps change the latents of the current one alone.
    What a window shares with those before starts from its first noise again, and is drawn towards what was made of it:
    the prediction there is a blend of the model's and of the one that leads to the finished latents.
    """

    def __init__(self, windows: Any, on_window: Any, config: Any, scale: float, scheduler: Any) -> None:
        super().__init__(windows, on_window, config, scale)
        if scheduler.config.prediction_type != "v_prediction":
            raise InputError(
                f"order: sequential windows are for models that predict v, as all of CogVideoX do; found a scheduler "
                f"for {scheduler.config.prediction_type!r}; use joint windows"
            )
        self.scheduler = scheduler
        self.steps = self.done = 0
        self.noise = self.finished = torch.empty(0)

    @property
    def current(self) -> int:
        return min(self.done // self.steps, len(self.windows) - 1)

    @contextmanager
    def scheduling(self) -> Iterator[None]:
        """While inside, the scheduler goes from window to window."""
        scheduler = self.scheduler
        set_timesteps, step = scheduler.set_timesteps, scheduler.step

        @functools.wraps(set_timesteps)
        def repeated(*args: Any, **kwargs: Any) -> None:
            set_timesteps(*args, **kwargs)
            self.steps, self.done = len(scheduler.timesteps), 0
            scheduler.timesteps = scheduler.timesteps.repeat(len(self.windows))

        @functools.wraps(step)
        def partly(prediction: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            window = self.windows[self.current]
            if isinstance(scheduler, CogVideoXDPMScheduler):
                estimate, timestep, earlier, sample, *rest = args
                if self.done % self.steps == 0:
                    estimate = earlier = None  # a multistep solver starts anew with every window
                elif estimate is not None:
                    estimate = estimate[:, window]
                args = (estimate, timestep, earlier, sample[:, window], *rest)
            else:
                timestep, sample, *rest = args
                args = (timestep, sample[:, window], *rest)
            if self.done == 0:
                self.noise = sample
            parts = step(prediction[:, window], *args, **kwargs)
            latents, clean = (sample.to(part.dtype, copy=True) for part in parts)
            latents[:, window], clean[:, window] = parts
            self.done += 1
            if self.done % self.steps == 0 and self.done < self.steps * len(self.windows):
                shared = self._shared(self.current)
                self.finished = latents[:, shared].clone()
                latents[:, shared] = self.noise[:, shared]
            return latents, clean

        with replaced(scheduler, set_timesteps=repeated, step=partly):
            try:
                yield
            finally:
                if self.steps:
                    scheduler.timesteps = scheduler.timesteps[: self.steps]

    def predict(self, module: Any, hidden: Tensor, args: Any, kwargs: dict[str, Any]) -> Any:
        k = self.current
        window, known = self.windows[k], self._shared(k)
        part = hidden[:, window]
        finished = _for_each_branch(self.finished, part) if known.stop > known.start else None
        if k > 0 and self.takes_image:
            image = part.new_zeros(part.shape)[:, :, self.channels :]
            if finished is not None:
                image[:, 0] = self.scale * finished[:, 0]
            part = torch.cat([part[:, :, : self.channels], image], dim=2)
        output = self.run(module, k, part, args, kwargs)
        predicted = output[0]
        blended = _whole(predicted, hidden.shape[1], predicted.dtype)
        blended[:, window] = predicted
        if finished is not None:
            length = known.stop - known.start
            kept = self.scheduler.alphas_cumprod.to(part.device)[kwargs["timestep"]][:, None, None, None, None]
            leading = (kept.sqrt() * part[:, :length, : self.channels] - finished) / (1 - kept).sqrt()
            ramp = torch.arange(length, device=part.device).div(self.unit, rounding_mode="floor") * self.unit / length
            ramp = ramp[:, None, None, None]
            blended[:, known] = (ramp * predicted[:, :length] + (1 - ramp) * leading).to(blended.dtype)
        return _like(output, blended)

    def _shared(self, k: int) -> slice:
        """The latent frames of window ``k`` that earlier windows have made."""
        start = self.windows[k].start
        return slice(start, max(start, self.windows[k - 1].stop) if k else start)


def _whole(predicted: Tensor, latent_frames: int, dtype: torch.dtype) -> Tensor:
    return predicted.new_zeros((predicted.shape[0], latent_frames, *predicted.shape[2:]), dtype=dtype)


def _for_each_branch(latents: Tensor, part: Tensor) -> Tensor:
    """Latents of B videos for every branch of guidance in ``part``, in its dtype."""
    return latents.repeat(len(part) // len(latents), *[1] * (latents.ndim - 1)).to(part.dtype)


def _like(output: Any, sample: Tensor) -> Any:
    return (sample,) if isinstance(output, tuple) else type(output)(sample=sample)


class _NoState(BaseState):
    def reset(self, *args: Any, **kwargs: Any) -> None: ...


_STATE: Any = _NoState  # diffusers asks for a class, and annotates an instance
