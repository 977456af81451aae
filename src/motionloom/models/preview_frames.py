"""A look at a clip while it is sampled: the frame in its middle, small, without the VAE's decoder.

What is shown is the clip as the model expects it to be at that step (the predicted clean sample), where the scheduler
tells; in the first steps that is a blur, not noise. Latents become colours by the linear map that does it best for the
photograph, whose latents and pixels are both known: least squares over its latent cells. Text-to-video models, which
have none, code a small chart of colours instead. nano's own decoder is quick enough to be used as it is.

Nothing here touches the latents, a random generator or the order of steps: the clip is the same, bit for bit.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionloom.methods.replaced import replaced
from motionloom.methods.tora.motion_latents import photograph_scale
from motionloom.models.model import Request

log = logging.getLogger("motionloom")

SECONDS_BETWEEN = 1.0
"""Between two frames, at least; see `PreviewFrames`."""
_CHART = 128  # pixels of a side


@contextlib.contextmanager
def previewing(pipeline: Any, request: Request) -> Iterator[PreviewFrames | None]:
    """What makes frames of a run inside; None where nobody asked for them, and then nothing is done at all.

    The photograph's latents are taken from what the pipeline's ``prepare_latents`` returns.
    """
    if request.on_preview is None:
        yield None
        return
    frames = PreviewFrames(pipeline, request)
    scheduler = pipeline.scheduler
    stock, step = pipeline.prepare_latents, scheduler.step

    def watched(*args: Any, **kwargs: Any) -> Any:
        outputs = stock(*args, **kwargs)
        frames.start(outputs)
        return outputs

    @functools.wraps(step)
    def listened(*args: Any, **kwargs: Any) -> Any:
        outputs = step(*args, **kwargs)
        frames.listen(outputs)
        return outputs

    with replaced(pipeline, prepare_latents=watched), replaced(scheduler, step=listened):
        yield frames


class PreviewFrames:
    """Makes the frames of one run and hands them to the request's ``on_preview``.

    Args:
        pipeline: with latents [B, C, T, h, w] (Wan), or [B, T, C, h, w] (CogVideoX).
        request: its photograph, if there is one, is the clip's first frame.
    """

    def __init__(self, pipeline: Any, request: Request) -> None:
        self._pipeline, self._request = pipeline, request
        # CogVideoX keeps time in front of the channels.
        self._time_first = "CogVideoX" in type(pipeline.transformer).__name__
        self._picture = request.image
        self._known: Tensor | None = None
        self._map: NDArray[np.float32] | None = None
        self._before: tuple[int, Tensor] | None = None
        self._predicted: Tensor | None = None
        self._due = 0.0

    def start(self, outputs: Any) -> None:
        """Remember the photograph's latents among what ``prepare_latents`` returned: (latents, condition, ...).

        Without a photograph the chart's are computed; now, while the VAE is in no one's way.
        """
        if isinstance(outputs, Tensor) and self._picture is None:
            self._picture, self._known = self._chart(outputs.device)
            return
        if not isinstance(outputs, tuple) or len(outputs) < 2 or outputs[1] is None:
            return
        self._before = (-1, outputs[0])
        latents, condition = self._by_time(outputs[0]), self._by_time(outputs[1])
        channels = latents.shape[1]
        if condition.ndim == 5 and condition.shape[1] >= channels:
            self._known = condition[0, -channels:, 0].detach()
            if self._time_first:
                self._known = self._known / photograph_scale(self._pipeline.vae)

    def listen(self, outputs: Any) -> None:
        """Remember what a step of the scheduler expects the clean latents to be, if it returns (latents, clean)."""
        if isinstance(outputs, tuple) and len(outputs) == 2 and all(isinstance(each, Tensor) for each in outputs):
            self._predicted = outputs[1]

    def after_step(self, step: int, latents: Tensor) -> None:
        """Hand out a frame, if a second has gone by since the last one.

        Args:
            step: that has just ended, from 0; latents: as they are now, of the whole batch.
        """
        moment = time.monotonic()
        if moment >= self._due:
            self._due = moment + SECONDS_BETWEEN
            try:
                frame = self._frame(self._clean(step, latents))
            except Exception:  # a scheduler or a codec that nobody foresaw; a look at the run is not worth failing for
                log.warning("no frames of this run can be shown", exc_info=True)
                frame, self._due = None, float("inf")
            assert self._request.on_preview is not None
            if frame is not None:
                self._request.on_preview(frame)
        self._before = (step, latents)

    def _clean(self, step: int, latents: Tensor) -> Tensor:
        """The predicted clean latents [C, T, h, w] of the first video, else the present ones."""
        if self._predicted is not None:
            predicted, present = self._by_time(self._predicted)[0], self._by_time(latents)[0]
            # Tora's windows in turn predict one window of the clip after the other.
            if predicted[:, :0].shape == present[:, :0].shape:
                return predicted
        scheduler = self._pipeline.scheduler
        config = getattr(scheduler, "config", {})
        outputs = [each for each in getattr(scheduler, "model_outputs", None) or () if isinstance(each, Tensor)]
        predicts_clean = config.get("predict_x0") or str(config.get("algorithm_type", "")).startswith("dpmsolver++")
        if outputs and predicts_clean and outputs[-1].shape == latents.shape:
            return self._by_time(outputs[-1])[0]
        sigmas = getattr(scheduler, "sigmas", None)
        if self._before is not None and self._before[0] == step - 1 and self._is_flow(scheduler) and sigmas is not None:
            # One Euler step of a flow: x' = x + (s' - s) v, and clean = x' - s' v.
            first = len(sigmas) - 1 - self._pipeline.num_timesteps
            start, end = float(sigmas[first + step]), float(sigmas[first + step + 1])
            earlier = self._by_time(self._before[1])[0].float()
            later = self._by_time(latents)[0].float()
            if start > end:
                return later - end * (later - earlier) / (end - start)
        return self._by_time(latents)[0]

    @staticmethod
    def _is_flow(scheduler: Any) -> bool:
        return "Euler" in type(scheduler).__name__ and not hasattr(scheduler, "alphas_cumprod")

    def _frame(self, clean: Tensor) -> NDArray[np.uint8] | None:
        """The middle frame, uint8 [h, w, 3] or a few times that."""
        middle = clean.shape[1] // 2
        codec = getattr(self._pipeline, "vae", None)
        if hasattr(codec, "pictures"):
            return self._decoded(codec, clean[:, : middle + 1])
        if self._map is None:
            self._map = self._fitted()
        if self._map is None:
            return None
        cells = clean[:, middle].float().cpu().numpy()
        if not np.isfinite(cells).all():
            return None
        colours = np.einsum("chw,cd->hwd", cells, self._map[:-1]) + self._map[-1]
        return np.clip(np.rint(colours * 255), 0, 255).astype(np.uint8)

    def _decoded(self, codec: Any, latents: Tensor) -> NDArray[np.uint8]:
        """A frame of the last of some latent frames, with a codec whose decoder is quick."""
        shape = (1, -1, 1, 1, 1)
        mean = torch.tensor(codec.config.latents_mean).view(shape)
        std = torch.tensor(codec.config.latents_std).view(shape)
        with torch.no_grad():
            codes = latents[None].float().cpu() * std + mean
            video = codec.pictures(codes.to(codec.device, codec.dtype))[0, :, -3 if latents.shape[1] > 1 else 0]
        pixels = (video.float().cpu().numpy().transpose(1, 2, 0) + 1) / 2
        return np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)

    def _fitted(self) -> NDArray[np.float32] | None:
        """[C + 1, 3]: colours in [0, 1] of a latent cell, the last row for a cell of zeros."""
        if self._known is None or self._picture is None:
            return None
        known = self._known.float().cpu().numpy()
        channels, height, width = known.shape
        picture = cv2.resize(self._picture, (width, height), interpolation=cv2.INTER_AREA)
        cells = np.concatenate([known.reshape(channels, -1).T, np.ones((height * width, 1), np.float32)], axis=1)
        colours = picture.reshape(-1, 3).astype(np.float32) / 255
        if not np.isfinite(cells).all():
            return None
        # A touch of damping: photographs of one colour leave most directions open.
        damping = 1e-3 * height * width * np.eye(channels + 1, dtype=np.float32)
        damping[-1, -1] = 0
        return np.linalg.solve(cells.T @ cells + damping, cells.T @ colours).astype(np.float32)

    def _chart(self, device: torch.device) -> tuple[NDArray[np.uint8], Tensor]:
        """Smooth colours of all kinds, uint8 [H, W, 3], and their latents [C, h, w]."""
        colours = np.random.default_rng(0).integers(0, 256, (_CHART // 8, _CHART // 8, 3), np.uint8)
        chart = np.asarray(cv2.resize(colours, (_CHART, _CHART), interpolation=cv2.INTER_CUBIC), np.uint8)
        vae = self._pipeline.vae
        pixels = torch.from_numpy(chart).permute(2, 0, 1)[None, :, None].to(device).float() / 127.5 - 1
        with torch.no_grad():
            latents = vae.encode(pixels.to(dtype=vae.dtype)).latent_dist.mode()
        return chart, latents[0, :, 0] * vae.config.scaling_factor

    def _by_time(self, latents: Tensor) -> Tensor:
        """[B, C, T, h, w], whatever the pipeline's order."""
        return latents.transpose(1, 2) if self._time_first and latents.ndim == 5 else latents
