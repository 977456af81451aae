"""Tora in the stock pipelines of CogVideoX: text-to-video and image-to-video that follow trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from diffusers.pipelines.cogvideo.pipeline_cogvideox import CogVideoXPipeline
from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import CogVideoXImageToVideoPipeline

from motionloom.errors import InputError
from motionloom.methods.tora.call import WithTora

PositionTable = Literal["diffusers", "sat"]
"""Image-to-video of CogVideoX 1.0 has a learnt table of positions. diffusers adds it; in the program that Tora was
trained with it exists and is not added. Which of them the published image-to-video weights want is not established."""


class ToraPipeline(WithTora, CogVideoXPipeline):
    """`CogVideoXPipeline` that follows trajectories.

        pipeline = ToraPipeline(**CogVideoXPipeline.from_pretrained(folder).components, adapter=adapter)
        pipeline("a leaf drifts down", tracks=tracks, use_dynamic_cfg=True).frames[0]

    Args:
        tokenizer, text_encoder, vae, transformer, scheduler: of the stock pipeline.
        adapter: for the transformer; None: the stock pipeline.
        motion_vae: codes the motion instead of ``vae``.

    Raises:
        InputError: an adapter for another transformer.
    """


class ToraImageToVideoPipeline(WithTora, CogVideoXImageToVideoPipeline):
    """`CogVideoXImageToVideoPipeline` that follows trajectories; arguments as of `ToraPipeline`."""

    def __call__(self, *args: Any, position_table: PositionTable = "diffusers", **kwargs: Any) -> Any:
        """As of `ToraPipeline`.

        Args:
            *args, **kwargs: of `ToraPipeline` and of the stock pipeline.
            position_table: see `PositionTable`.

        Raises:
            InputError: see `ToraPipeline`.
        """
        if position_table not in ("diffusers", "sat"):
            raise InputError(f"position_table: found {position_table!r}, expected 'diffusers' or 'sat'")
        with _without_table(self.transformer) if position_table == "sat" else nullcontext():
            return super().__call__(*args, **kwargs)


@contextmanager
def _without_table(transformer: Any) -> Iterator[None]:
    """While inside, no learnt positions are added; rotary ones are not touched."""
    embed = transformer.patch_embed
    learned = embed.use_learned_positional_embeddings
    embed.use_learned_positional_embeddings = False
    try:
        yield
    finally:
        embed.use_learned_positional_embeddings = learned
