"""Runs of CogVideoX pipelines that one process makes alone and several make together, and the program of the several.

python cogvideox_cases.py OUT.safetensors NAME...      under `motionloom.scale.launch`
"""

from __future__ import annotations

import runpy
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.hooks.group_offloading import apply_group_offloading
from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler
from safetensors.torch import save_file
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.latent_trajectory.pipeline import LatentTrajectoryCogVideoXPipeline
from motionloom.methods.tora.hooks import attach
from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline, ToraPipeline
from motionloom.methods.tora.windows import plan_windows, windowed
from motionloom.scale import launch
from motionloom.scale.cogvideox import SharedAttention
from motionloom.tracks.tracks import Tracks

TINY = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "methods" / "tora" / "tiny.py")))
UNEVEN = {"prompt_embeds": torch.ones(1, 3, 8), "negative_prompt_embeds": -torch.ones(1, 3, 8)}
"""Text of 3 tokens, so that the 12 of the video and these are an odd number together."""


def build(kind: str = "t2v", **of: Any) -> Any:
    return (TINY.t2v if kind in ("t2v", "sincos") else TINY.i2v)(kind, **of)


def call(pipeline: Any, kind: str = "t2v", **changes: Any) -> Tensor:
    return pipeline(**TINY.inputs(kind, **changes)).frames


def run(
    share: Any,
    kind: str = "t2v",
    *,
    guidance_scale: float = 1.0,
    tora: Any = None,
    cache: Any = "features",
    **changes: Any,
) -> Tensor:
    """Latents of a run; with a Tora adapter of random weights where its options are given."""
    pipeline = build(kind)
    with ExitStack() as stack:
        if tora is not None:
            adapter = TINY.adapter(pipeline.transformer, **tora)
            attachment = stack.enter_context(attach(pipeline.transformer, adapter, cache=cache))
            attachment.features = adapter.features(TINY.motion_latents(frames=4 if kind == "1.5" else 3))
        stack.enter_context(share(pipeline, guidance_scale=guidance_scale))
        return call(pipeline, kind, guidance_scale=guidance_scale, **changes)


def ulysses_t2v(share: Any) -> Tensor:
    return run(share)


def ulysses_sincos(share: Any) -> Tensor:
    return run(share, "sincos")


def ulysses_learned(share: Any) -> Tensor:
    return run(share, "learned")


def ulysses_15(share: Any) -> Tensor:
    return run(share, "1.5")


def ulysses_uneven(share: Any) -> Tensor:
    return run(share, **UNEVEN)


def ulysses_two_videos(share: Any) -> Tensor:
    return run(share, batch=2)


def ulysses_tora(share: Any) -> Tensor:
    return run(share, tora={}, **UNEVEN)


def ulysses_tora_image(share: Any) -> Tensor:
    return run(share, "learned", tora={})


def ulysses_tora_15(share: Any) -> Tensor:
    return run(share, "1.5", tora={})


def ulysses_tora_spatial(share: Any) -> Tensor:
    return run(share, tora={}, cache="spatial")


def ulysses_tora_modulation(share: Any) -> Tensor:
    return run(share, tora={}, cache="modulation")


def ulysses_tora_streamed(share: Any) -> Tensor:
    """The adapter layer by layer, as plans for little memory have it."""
    pipeline, here = build(), torch.device("cpu")
    adapter = TINY.adapter(pipeline.transformer)
    apply_group_offloading(adapter, here, here, offload_type="leaf_level")
    with share(pipeline, guidance_scale=1.0), attach(pipeline.transformer, adapter) as attachment:
        attachment.features = adapter.features(TINY.motion_latents())
        return call(pipeline, guidance_scale=1.0)


def ulysses_tora_four_heads(share: Any) -> Tensor:
    """In four processes the first has text alone; and all skip the same blocks of the same steps."""
    pipeline = build(heads=4, layers=3)
    adapter = TINY.adapter(pipeline.transformer)
    pipeline.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    with share(pipeline, guidance_scale=1.0), attach(pipeline.transformer, adapter) as attachment:
        attachment.features = adapter.features(TINY.motion_latents())
        return call(pipeline, guidance_scale=1.0, num_inference_steps=6)


def ulysses_tora_extra_channel(share: Any) -> Tensor:
    return run(share, tora={"design": "extra_channel"}, **UNEVEN)


def ulysses_tora_cross_attention(share: Any) -> Tensor:
    return run(share, tora={"design": "cross_attention"}, **UNEVEN)


def ulysses_tora_attached_in_the_call(share: Any) -> Tensor:
    """As pipelines do: sharing begins before there is an adapter, and the adapter is gone before it ends."""
    pipeline = build()
    adapter = TINY.adapter(pipeline.transformer)
    features = adapter.features(TINY.motion_latents())
    with share(pipeline, guidance_scale=1.0), attach(pipeline.transformer, adapter) as attachment:
        attachment.features, attachment.strength = features, 0.5
        return call(pipeline, guidance_scale=1.0)


def ulysses_windows(share: Any) -> Tensor:
    """17 frames, 5 latent ones, in windows of 3, each with a motion of its own."""
    return _windows(share, 1.0)


def cfg_windows(share: Any) -> Tensor:
    return _windows(share, 2.0)


def _windows(share: Any, guidance_scale: float) -> Tensor:
    pipeline = build("i2v")
    adapter = TINY.adapter(pipeline.transformer)
    features = [adapter.features(TINY.motion_latents(seed=seed)) for seed in range(2)]
    windows = plan_windows(5, 3, 1)
    assert len(windows) == 2
    with share(pipeline, guidance_scale=guidance_scale), attach(pipeline.transformer, adapter) as attachment:

        def on_window(k: int) -> None:
            attachment.features = features[k]

        def after_step(*_: Any) -> dict[str, Any]:
            attachment.features = None  # they would be found not to fit the whole clip
            return {}

        with windowed(pipeline, windows, on_window=on_window):
            changes = {"num_frames": 17, "callback_on_step_end": after_step}
            return call(pipeline, "i2v", guidance_scale=guidance_scale, **changes)


def ulysses_pipeline(share: Any) -> Tensor:
    """Tora's own pipeline: 17 frames in windows of 9, the motion seen in a part of the steps."""
    return _pipeline(share, "t2v", 1.0, window=(0.0, 0.7))


def cfg_pipeline_in_turn(share: Any) -> Tensor:
    """The same from a photograph, one window after the other, with guidance that grows."""
    return _pipeline(share, "learned", 2.0, window_order="sequential", use_dynamic_cfg=True)


def _pipeline(share: Any, kind: str, guidance_scale: float, **options: Any) -> Tensor:
    parts = TINY.components(kind)
    of = ToraPipeline if kind == "t2v" else ToraImageToVideoPipeline
    pipeline = of(**parts, adapter=TINY.adapter(parts["transformer"]))
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = CogVideoXDPMScheduler.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    with share(pipeline, guidance_scale=guidance_scale):
        options |= {"num_frames": 17, "window_frames": 9, "window_overlap": 4, "tracks": tracks(17)}
        return call(pipeline, kind, guidance_scale=guidance_scale, **options)


def tracks(frames: int) -> Tracks:
    """A point that crosses the picture."""
    points = np.linspace([4, 4], [28, 20], frames, dtype=np.float32)[:, None]
    return Tracks(points, np.ones((frames, 1), np.bool_), (32, 32), 8.0)


def ulysses_fused(share: Any) -> Tensor:
    pipeline = build()
    pipeline.transformer.fuse_qkv_projections()
    with share(pipeline, guidance_scale=1.0):
        return call(pipeline, guidance_scale=1.0)


def ulysses_half_precision(share: Any) -> Tensor:
    pipeline = build()
    pipeline.transformer.to(torch.bfloat16)
    text = {"prompt_embeds": torch.ones(1, 4, 8, dtype=torch.bfloat16)}
    with share(pipeline, guidance_scale=1.0):
        return call(pipeline, guidance_scale=1.0, negative_prompt_embeds=None, **text).float()


def ulysses_offloaded(share: Any) -> Tensor:
    return _offloaded(share, 1.0)


def cfg_offloaded(share: Any) -> Tensor:
    return _offloaded(share, 2.0)


def _offloaded(share: Any, guidance_scale: float) -> Tensor:
    pipeline, here = build("i2v"), torch.device("cpu")
    pipeline.transformer.enable_group_offload(here, here, offload_type="block_level", num_blocks_per_group=1)
    with share(pipeline, guidance_scale=guidance_scale):
        return call(pipeline, "i2v", guidance_scale=guidance_scale)


def ulysses_first_block_cache(share: Any) -> Tensor:
    return _cached(share, 1.0)


def cfg_first_block_cache(share: Any) -> Tensor:
    return _cached(share, 2.0)


def _cached(share: Any, guidance_scale: float) -> Tensor:
    """The latents, and after them how often the last block ran (process 0)."""
    pipeline = build(layers=3)
    ran = []
    pipeline.transformer.transformer_blocks[2].attn1.register_forward_hook(lambda *_: ran.append(1))
    pipeline.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.2))
    with share(pipeline, guidance_scale=guidance_scale):
        latents = call(pipeline, guidance_scale=guidance_scale, num_inference_steps=12)
    return torch.cat([latents.flatten(), torch.tensor([float(len(ran))])])


def cfg_t2v(share: Any) -> Tensor:
    return run(share, guidance_scale=2.0)


def cfg_learned(share: Any) -> Tensor:
    return run(share, "learned", guidance_scale=2.0)


def cfg_15(share: Any) -> Tensor:
    return run(share, "1.5", guidance_scale=2.0)


def cfg_tora(share: Any) -> Tensor:
    return run(share, guidance_scale=2.0, tora={}, batch=2)


def cfg_tora_15(share: Any) -> Tensor:
    return run(share, "1.5", guidance_scale=2.0, tora={})


def cfg_dynamic(share: Any) -> Tensor:
    """diffusers' dynamic guidance, whose scale is 1 or next to it in some steps."""
    return run(share, "i2v", guidance_scale=6.0, use_dynamic_cfg=True)


def cfg_tracks_in_one_branch(share: Any) -> Tensor:
    """A hook that changes the doubled batch before it is divided."""
    pipeline = LatentTrajectoryCogVideoXPipeline(**TINY.components("learned"))
    pipeline.set_progress_bar_config(disable=True)
    with share(pipeline):
        return call(pipeline, "learned", tracks=tracks(9), cfg_mode="joint")


def cfg_without_guidance(share: Any) -> Tensor:
    """Shared as if there were two branches, but there is one."""
    pipeline = build()
    with share(pipeline):
        return call(pipeline, guidance_scale=1.0)


def noise_of_the_first(share: Any) -> Tensor:
    """The solver of the published programs draws noise in every step."""
    pipeline = build("i2v")
    pipeline.scheduler = CogVideoXDPMScheduler.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    with share(pipeline):
        return call(pipeline, "i2v", seed=launch.rank())


def everything_left_as_found(share: Any) -> Tensor:
    """A run alone after shared ones: nothing of them is left behind."""
    pipeline = build()
    transformer = pipeline.transformer
    adapter = TINY.adapter(transformer)
    before = dict(transformer.attn_processors)
    with attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(TINY.motion_latents())
        for scale in (1.0, 2.0):
            with share(pipeline, guidance_scale=scale):
                call(pipeline, guidance_scale=scale)
        assert attachment.tokens is None
    assert all(transformer.attn_processors[name] is processor for name, processor in before.items())
    assert not any(isinstance(processor, SharedAttention) for processor in before.values())
    for module in transformer.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
    assert "prepare_latents" not in vars(pipeline)
    assert "step" not in vars(pipeline.scheduler)
    return call(pipeline)


def work_with_guidance(share: Any) -> Tensor:
    return _work(share, 2.0)


def work_without_guidance(share: Any) -> Tensor:
    return _work(share, 1.0)


def _work(share: Any, guidance_scale: float) -> Tensor:
    """How often a block runs in all processes together, and on how many tokens of how many videos at a time."""
    pipeline = build()
    tokens = []
    pipeline.transformer.transformer_blocks[1].ff.register_forward_hook(
        lambda _, inputs, __: tokens.append(inputs[0].shape[:2].numel())
    )
    with share(pipeline, guidance_scale=guidance_scale):
        call(pipeline, guidance_scale=guidance_scale)
    counts = torch.tensor([len(tokens), sum(tokens)])
    if dist.is_initialized():
        dist.all_reduce(counts)
    return counts


def different_videos(share: Any) -> Tensor:
    """1 where the processes are refused."""
    pipeline, message = build(), ""
    try:
        with share(pipeline):
            call(pipeline, num_inference_steps=2 + launch.rank())
    except InputError as error:
        message = str(error)
    return torch.tensor([float("asked for different videos" in message)])


CASES: dict[str, Any] = {
    name: case
    for name, case in list(globals().items())
    if name.startswith(("ulysses_", "cfg_", "work_")) or name in ("noise_of_the_first", "everything_left_as_found")
} | {"different_videos": different_videos}


def alone(pipeline: Any, **options: Any) -> Any:
    """The context of a run that is not shared."""
    return nullcontext()


def together(pipeline: Any, *, guidance_scale: float = 2.0) -> Any:
    from motionloom.scale import parallel

    return parallel.shared(pipeline, size=(32, 32), num_frames=9, guidance_scale=guidance_scale)


def main() -> None:
    torch.set_num_threads(1)
    with launch.worker(), torch.no_grad():
        found = {name: CASES[name](together).contiguous() for name in sys.argv[2:]}
        if launch.rank() == 0:
            save_file(found, sys.argv[1])


if __name__ == "__main__":
    main()
