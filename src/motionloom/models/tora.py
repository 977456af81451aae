"""Tora as a model: CogVideoX, text-to-video or image-to-video, with an adapter that was trained on trajectories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diffusers.pipelines.cogvideo.pipeline_cogvideox import CogVideoXPipeline
from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import CogVideoXImageToVideoPipeline

from motionloom.errors import InputError
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.flow import TRAINED_SPACING
from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline, ToraPipeline
from motionloom.models.card import ModelCard
from motionloom.models.clip_shape import ClipShape
from motionloom.models.cogvideox import CogVideoXBase
from motionloom.models.diffusers_model import held_tracks
from motionloom.models.model import Request
from motionloom.models.options import options_of
from motionloom.models.parameters import Settings
from motionloom.tracks.dense import dense_tracks

METHODS = ("tora",)


class ToraModel(CogVideoXBase):
    """A stock CogVideoX pipeline whose transformer has a Tora adapter beside it.

    With "published" settings it runs as the published program: 49 frames of 480x720 at 8 per second, 50 steps of the
    stochastic DPM solver, guidance 6 that grows with the number of the step. Longer clips are made in windows.

    Args:
        pipeline: unmodified, `CogVideoXPipeline` or `CogVideoXImageToVideoPipeline`; its components are shared, it is
            left as it is.
        adapter: for its transformer.
        digest: hex SHA-256 of the weights, of the adapter's too.
        settings: see `CogVideoXBase`.
        loaded_with: see `Model`.
        motion_vae: codes the motion instead of the pipeline's VAE.

    Raises:
        InputError: another pipeline, or an adapter for another transformer.
    """

    method = "tora"

    def __init__(
        self,
        pipeline: Any,
        adapter: ToraAdapter,
        card: ModelCard,
        *,
        name: str,
        digest: str,
        settings: Settings = "published",
        loaded_with: Mapping[str, Any] | None = None,
        motion_vae: Any = None,
    ) -> None:
        stock = {CogVideoXPipeline: ToraPipeline, CogVideoXImageToVideoPipeline: ToraImageToVideoPipeline}
        self._stock = next((kind for kind in stock if isinstance(pipeline, kind)), None)
        if self._stock is None:
            raise InputError(
                f"pipeline: found a {type(pipeline).__name__}, expected a CogVideoXPipeline or a "
                "CogVideoXImageToVideoPipeline, which Tora was made for"
            )
        self.card, self.name, self.digest = card, name, digest
        self.loaded_with = {"method": self.method, **(loaded_with or {})}
        components = {**pipeline.components, "adapter": adapter, "motion_vae": motion_vae}
        self._prepare(stock[self._stock](**components), settings)

    @property
    def takes_image(self) -> bool:
        return self._stock is CogVideoXImageToVideoPipeline

    @property
    def shape(self) -> ClipShape:
        return replace(super().shape, most_frames=None)

    def refuse(self, request: Request) -> None:
        super().refuse(request)
        # Numbers that make no windows are refused before the text is encoded.
        windows = self._windows(request, self._frames_made(request.num_frames))
        config = self.pipeline.transformer.config
        added = config.use_learned_positional_embeddings and request.options.get("position_table") != "sat"
        if added and windows[0] != self.pipeline.windows(config.sample_frames)[0]:
            raise InputError(
                f"window_frames: found {request.options['window_frames']}, but {self.name} has learnt its positions "
                f'for {config.sample_frames} frames; leave it out, or leave the positions out (position_table="sat")'
            )

    def _motion(self, request: Request, frames_made: int) -> dict[str, Any]:
        tracks = request.tracks
        if request.densify and tracks.num_tracks:
            tracks = dense_tracks(request.layers, TRAINED_SPACING)
        request.details.update(tracks_seen=tracks.num_tracks)
        windows = self._windows(request, frames_made)
        if len(windows) > 1:
            request.details.update(windows=len(windows))
        return {"tracks": held_tracks(tracks, frames_made - request.num_frames), "window": request.window}

    def _pictures(self, request: Request) -> dict[str, Any]:
        return super()._pictures(request) if self.takes_image else {}

    def _frames_made(self, num_frames: int) -> int:
        # A learnt table of positions has one length.
        config = self.pipeline.transformer.config
        least = config.sample_frames if config.use_learned_positional_embeddings else 1
        return max(least, self.shape.whole_latents(num_frames))

    def _windows(self, request: Request, frames_made: int) -> list[slice]:
        chosen = {key: request.options[key] for key in ("window_frames", "window_overlap") if key in request.options}
        return self.pipeline.windows(frames_made, **chosen)

    def _known_options(self) -> Mapping[str, str]:
        # A caller's own flow cannot be written into a clip's record.
        known = options_of(type(self.pipeline), self._stock or CogVideoXPipeline)
        return {name: kind for name, kind in known.items() if name != "flow"} | {"use_dynamic_cfg": "bool"}
