"""How much sooner several processes finish one step of denoising than one process does.

In each round process 0 first makes a run alone while the others wait, then all make it together; what counts is the
ratio of the medians of their steps, measured in one run. Guided runs have two branches a step and are shared by branch
first, unguided ones by tokens (Ulysses). The weights are random: time does not depend on them.

    python benchmarks/parallel.py [--json FILE] [--processes 2] [--shape SHAPE] [--rounds 5] [--steps 6]

On GPUs: --shape 14b, the transformer of Wan 2.1 14B on 832x480, 81 frames; --shape cogvideox-5b, that of CogVideoX-5B
on 720x480, 49 frames, without and with a Tora adapter. On a processor every process computes with one thread, alone or
together, and the exchange is by gloo; that shows that work is divided, not what GPUs gain. On a busy one several
processes seldom run at the same moment, and the ratio is too large; what process 0 itself computed (its processor time,
exchange and all) is therefore printed beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from _report import header, write

from motionloom.errors import MotionloomError
from motionloom.scale import launch

SHAPES: dict[str, dict[str, Any]] = {
    "small": {"heads": 4, "head": 64, "layers": 4, "ffn": 1024, "size": (128, 192), "frames": 17},
    "14b": {"heads": 40, "head": 128, "layers": 40, "ffn": 13824, "size": (480, 832), "frames": 81},
    "cogvideox-small": {"heads": 4, "head": 64, "layers": 4, "size": (128, 192), "frames": 17},
    "cogvideox-5b": {"heads": 48, "head": 64, "layers": 42, "size": (480, 720), "frames": 49},
}
RUNS = {"guided": 5.0, "unguided": 1.0}
TORA = "with Tora"


def is_cogvideox(shape: dict[str, Any]) -> bool:
    return "ffn" not in shape  # there it is always four times as wide as the model


def build(shape: dict[str, Any], device: str) -> Any:
    """A stock pipeline of a shape with random weights, in bfloat16 on a GPU."""
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            pipeline: Any = (cogvideox if is_cogvideox(shape) else wan)(shape)
    finally:
        torch.set_default_dtype(before)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def wan(shape: dict[str, Any]) -> Any:
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    model: Any = WanTransformer3DModel(
        num_attention_heads=shape["heads"], attention_head_dim=shape["head"], num_layers=shape["layers"],
        ffn_dim=shape["ffn"], in_channels=36, text_dim=4096, cross_attn_norm=True, image_dim=None,
    )  # fmt: skip
    with torch.device("cpu"):
        scheduler: Any = UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        )
    vae: Any = AutoencoderKLWan(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=1).float().eval()
    nothing: Any = None
    return WanImageToVideoPipeline(nothing, nothing, vae, scheduler, transformer=model.eval())


def cogvideox(shape: dict[str, Any]) -> Any:
    from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
    from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
    from diffusers.pipelines.cogvideo.pipeline_cogvideox import CogVideoXPipeline
    from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler

    model: Any = CogVideoXTransformer3DModel(
        num_attention_heads=shape["heads"], attention_head_dim=shape["head"], num_layers=shape["layers"],
        use_rotary_positional_embeddings=True,
    )  # fmt: skip
    settings: dict[str, Any] = {
        "snr_shift_scale": 1.0,
        "rescale_betas_zero_snr": True,
        "prediction_type": "v_prediction",
    }
    with torch.device("cpu"):
        scheduler: Any = CogVideoXDDIMScheduler(**settings)
    settings = {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 2, "layers_per_block": 1}
    vae: Any = AutoencoderKLCogVideoX(**settings)
    nothing: Any = None
    return CogVideoXPipeline(nothing, nothing, vae.eval(), model.eval(), scheduler)


@contextmanager
def moved_by_tora(pipeline: Any, shape: dict[str, Any]) -> Iterator[None]:
    """While inside, every block of the transformer has an untrained Tora fuser, which computes all that a trained one
    does."""
    from motionloom.methods.tora.adapter import ToraAdapter
    from motionloom.methods.tora.hooks import attach

    transformer = pipeline.transformer
    adapter = ToraAdapter.for_transformer(transformer).to(transformer.device, transformer.dtype)
    latents = torch.randn(
        1, 16, (shape["frames"] - 1) // 4 + 1, *(side // 8 for side in shape["size"]),
        device=transformer.device, dtype=transformer.dtype,
    )  # fmt: skip
    with torch.no_grad(), attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(latents)
        yield


def seconds_per_step(pipeline: Any, shape: dict[str, Any], guidance_scale: float, steps: int) -> list[list[float]]:
    """Seconds, and seconds of processor time, of every step of a run but the first, in which memory is found."""
    device = pipeline.transformer.device
    clock: list[tuple[float, float]] = []

    def after_step(*_: Any) -> dict[str, Any]:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        clock.append((time.perf_counter(), time.process_time()))
        return {}

    height, width = shape["size"]
    rows, picture = (226, {}) if is_cogvideox(shape) else (512, {"image": torch.zeros(1, 3, height, width)})
    text = torch.zeros(1, rows, 4096, device=device, dtype=pipeline.transformer.dtype)
    pipeline(
        **picture, height=height, width=width, num_frames=shape["frames"], num_inference_steps=steps,
        guidance_scale=guidance_scale, prompt_embeds=text, negative_prompt_embeds=text,
        generator=torch.Generator().manual_seed(0), output_type="latent", callback_on_step_end=after_step,
    )  # fmt: skip
    return [[late - early for early, late in zip(*step, strict=True)] for step in pairwise(clock)]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What process 0 finds; the others make the same calls."""
    shape = SHAPES[options.shape]
    pipeline = build(shape, launch.device() or "cpu")
    found: dict[str, Any] = {}
    for name, guidance_scale in RUNS.items():
        found[name] = compared(pipeline, shape, guidance_scale, options)
        if is_cogvideox(shape):
            with moved_by_tora(pipeline, shape):
                found[f"{name}, {TORA}"] = compared(pipeline, shape, guidance_scale, options)
    return found


def compared(
    pipeline: Any, shape: dict[str, Any], guidance_scale: float, options: argparse.Namespace
) -> dict[str, Any]:
    """Steps of one process and of all, in turns."""
    import torch.distributed as dist

    from motionloom.scale import parallel

    alone: list[list[float]] = []
    together: list[list[float]] = []
    run = {"size": shape["size"], "num_frames": shape["frames"], "guidance_scale": guidance_scale}
    shared_by = ""
    for number in range(options.rounds + 1):
        dist.barrier()
        one = seconds_per_step(pipeline, shape, guidance_scale, options.steps) if launch.rank() == 0 else []
        dist.barrier()
        with parallel.shared(pipeline, **run) as degrees:
            all_ = seconds_per_step(pipeline, shape, guidance_scale, options.steps)
        shared_by = str(degrees)
        if number:  # the first round does not count
            alone += one
            together += all_
    return {"degrees": shared_by, "alone": alone, "together": together}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shape", choices=list(SHAPES), default="small")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="of each run; the first is not counted")
    parser.add_argument("--found", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if launch.is_worker():
        torch.set_num_threads(1)
        with launch.worker():
            found = measure(options)
            if launch.rank() == 0:
                Path(options.found).write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        try:
            launch.launch(options.processes, [*sys.argv[1:], "--found", str(file)], program=[__file__])
        except MotionloomError as error:
            parser.exit(1, f"{error}\n")
        found = json.loads(file.read_text())
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU, one thread per process"
    print(", ".join(f"{name} {value}" for name, value in header().items()), f"- {device}")
    print(f"{'run':20} {'shared by':12} {'alone, s/step':>14} {'together':>10}  ratio  ratio of processor time")
    for name, each in found.items():
        (one, one_busy), (all_, all_busy) = (
            [median(values) for values in zip(*each[who], strict=True)] for who in ("alone", "together")
        )
        each |= {"ratio": all_ / one, "ratio_of_processor_time": all_busy / one_busy}
        print(f"{name:20} {each['degrees']:12} {one:14.3f} {all_:10.3f}  {all_ / one:.3f}  {all_busy / one_busy:.3f}")
    write({"device": device, "processes": options.processes, "shape": options.shape, "runs": found}, options.json)


if __name__ == "__main__":
    main()
