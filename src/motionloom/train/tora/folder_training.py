"""Training an adapter for one's own CogVideoX on one's own videos: from two folders to a third."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from motionloom.errors import InputError
from motionloom.media.flow import optical_flow
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.fuser import Design
from motionloom.models.seeding import seeded
from motionloom.train.tora.conditions import MotionMix
from motionloom.train.tora.denoising import Vae
from motionloom.train.tora.own_videos import Camera, FlowFunction, VideoFolder, find_videos, refuse_unknown
from motionloom.train.tora.stages import (
    PUBLISHED_STAGES,
    AdapterRecipe,
    Base,
    Stage,
    train_adapter,
    untrained_adapter,
)


def train_on_folder(
    out: str | Path,
    data: str | Path,
    base: str | Path,
    *,
    steps: int | None = None,
    size: tuple[int, int] | None = None,
    num_frames: int | None = None,
    design: Design = "adaptive_norm",
    recipe: AdapterRecipe | None = None,
    motion: MotionMix | None = None,
    flow: FlowFunction = optical_flow,
    camera: Camera = "any",
    motion_vae: Vae | None = None,
    adapter: ToraAdapter | None = None,
    seed: int = 1234,
    resume: bool = True,
    gradient_checkpointing: bool = False,
    device: str | None = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Train an adapter for a CogVideoX folder on a folder of videos.

    Args:
        out: see `train_adapter`.
        data: see `own_videos`.
        base: a diffusers folder of CogVideoX, text-to-video or image-to-video.
        steps: of each stage; 15 000 as published when not given.
        size, num_frames: of the clips; what the base was trained on when not given.
        recipe, motion: by default as published; ``seed``, ``steps`` and ``motion`` take the place of the recipe's.
        flow, camera: see `FlowFunction` and `Camera`.
        motion_vae: encodes motion in place of the base's VAE.
        adapter: to go on from; an untrained one of ``design`` when not given.
        resume, gradient_checkpointing, on_progress: see `train_adapter`.
        device: "cpu", "cuda", ...; the fastest there is when not given.

    Returns:
        The adapter's folder.

    Raises:
        InputError: a size that the base cannot have; and see `find_videos`, `VideoFolder` and `train_adapter`.
        CheckpointError: the base does not load.
    """
    from motionloom.models.checkpoints.layouts import find_layout
    from motionloom.models.pipelines import pipeline_of_folder

    # Reading the base takes minutes; what is wrong with the rest is said before.
    refuse_unknown("design", design, Design)
    refuse_unknown("camera", camera, Camera)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    videos = find_videos(data)
    pipeline = pipeline_of_folder(find_layout(Path(base)), device=where)
    if not type(pipeline).__name__.startswith("CogVideoX"):
        raise InputError(f"base: {base} is a {type(pipeline).__name__}, expected a CogVideoX pipeline")
    if pipeline.text_encoder is not None:
        pipeline.text_encoder.to(where)
    text = encode_captions(pipeline, [video.caption for video in videos])
    pipeline.text_encoder = None  # several gigabytes that are not needed again
    transformer, vae = pipeline.transformer.to(where), pipeline.vae.to(where)
    if motion_vae is not None:
        motion_vae = motion_vae.to(where)
    config = transformer.config
    cell = pipeline.vae_scale_factor_spatial
    trained_size = (config.sample_height * cell, config.sample_width * cell)
    size = size or trained_size
    _check_size(size, trained_size, cell * config.patch_size, fixed=config.use_learned_positional_embeddings)
    motion = motion or (recipe.motion if recipe else MotionMix())
    clips = VideoFolder(
        videos,
        vae,
        text,
        size=size,
        num_frames=num_frames or config.sample_frames,
        seed=seed,
        flow=flow,
        tracked=motion.following == "tracks",
        camera=camera,
    )
    stages = recipe.stages if recipe else PUBLISHED_STAGES
    if steps is not None:
        stages = tuple(Stage(stage.kind, steps, stage.learning_rate) for stage in stages)
    settings = {**(vars(recipe) if recipe else {}), "stages": stages, "motion": motion, "seed": seed}
    with seeded(seed):
        adapter = adapter or untrained_adapter(transformer, design)
    return train_adapter(
        out,
        Base(transformer, vae, pipeline.scheduler.alphas_cumprod, motion_vae),
        clips,
        adapter=adapter,
        recipe=AdapterRecipe(**settings),
        resume=resume,
        gradient_checkpointing=gradient_checkpointing,
        on_progress=on_progress,
    )


@torch.no_grad()
def encode_captions(pipeline: Any, captions: list[str]) -> dict[str, torch.Tensor]:
    """The embedding [L, D] of every caption and of "", by a CogVideoX pipeline's text encoder, on the CPU.

    In the encoder's type: in bfloat16 CogVideoX's take 1.9 MB per caption. A pipeline without text encoder gives zeros.
    The encoder is not needed again afterwards.
    """
    config = pipeline.transformer.config
    found: dict[str, torch.Tensor] = {}
    for caption in dict.fromkeys(["", *captions]):
        if pipeline.text_encoder is None:
            found[caption] = torch.zeros(config.max_text_seq_length, config.text_embed_dim)
            continue
        embedding, _ = pipeline.encode_prompt(
            caption, do_classifier_free_guidance=False, max_sequence_length=config.max_text_seq_length
        )
        found[caption] = embedding[0].cpu()
    return found


def _check_size(size: tuple[int, int], trained: tuple[int, int], multiple: int, *, fixed: bool) -> None:
    found = f"size: found {size[1]}x{size[0]}, expected"
    if fixed and size != trained:
        raise InputError(f"{found} {trained[1]}x{trained[0]}, the only one that this base has learnt positions for")
    if min(size) < multiple or size[0] % multiple or size[1] % multiple:
        raise InputError(f"{found} multiples of {multiple}, as this base makes patches of so many pixels")
