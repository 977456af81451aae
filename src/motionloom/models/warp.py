"""The geometric model as a `Model`; what it does is in `motionloom.methods.warp`."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.models.card import ModelCard
from motionloom.models.model import Model, Request

_WARP_DIGEST = hashlib.sha256(b"motionloom warp 2").hexdigest()
"""The warp model has no weights; the number goes up when its pictures change."""


class WarpModel(Model):
    """The geometric model; see `motionloom.methods.warp`."""

    def __init__(self, card: ModelCard) -> None:
        from motionloom.methods.warp import WarpPipeline

        self.card, self.name, self.method, self.digest = card, card.name, "warp", _WARP_DIGEST
        self._pipeline = WarpPipeline()

    def refuse(self, request: Request) -> None:
        if request.last_image is not None:
            raise InputError("last_image: warp starts from one photograph only; leave it out or choose another model")
        without_use = ("prompt", "negative_prompt", "num_inference_steps", "guidance_scale", "guidance_scale_2")
        ignored = [name for name in (*without_use, "shift", "solver") if getattr(request, name) is not None]
        ignored += sorted(request.options)
        if ignored:
            warnings.warn(f"warp has no use for {', '.join(ignored)}: ignored", stacklevel=4)

    def render(self, request: Request) -> NDArray[np.uint8]:
        return self._pipeline(
            request.photograph,
            request.tracks,
            request.layers or None,
            num_frames=request.num_frames,
            height=request.size[0],
            width=request.size[1],
            strength=request.strength,
            on_progress=request.on_progress,
        )
