"""What windows cost and do to a long clip: 52 latent frames (205 frames) in windows of 13, as CogVideoX was trained on.

Cost: one denoising step of a random CogVideoX transformer (256 wide, 2 blocks, 192 tokens a frame) over the whole clip
at once, and in windows: processor seconds on one thread, the least of several rounds, and what a process of its own
needed at most beyond the model and its inputs (Linux). Attention grows with the square of the length, so windows are
cheaper than one pass although they repeat what they share; how much cheaper depends on the tokens per frame.

Likeness: clips of a world whose perfect denoiser is known in closed form, for every way of putting windows together;
see `_ideal_video.py`. "seam" is the largest squared jump at the borders of windows over the mean elsewhere.

Trained, with --base FOLDER (the base of ``motionloom train tora``): clips of 9 latent frames from photographs of moving
shapes, in windows of the 3 that the model knows. "contrast" is the deviation of the last frame's latents over the real
clips', "likeness" the cosine of first and last frame, beside that of the real clips.

    python benchmarks/tora_windows.py [--json FILE] [--rounds 3] [--seeds 3] [--base FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from _ideal_video import IdealTransformer, denoised, likeness
from _report import header, write
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import CogVideoXImageToVideoPipeline
from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler
from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler

from motionloom.methods.tora.windows import plan_windows, windowed
from motionloom.models.nano.codec import CogVideoXBlockCodec
from motionloom.prepare.procedural import render, sample_scene

FRAMES, LENGTH = 52, 13
OVERLAPS = (0, 2, 4, 6)
SIZE = (24, 32)  # latents: 192 tokens a frame
SCHEDULE: dict[str, Any] = {
    "snr_shift_scale": 1.0,
    "rescale_betas_zero_snr": True,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
}  # of CogVideoX-5B


def transformer() -> Any:
    torch.manual_seed(0)
    made: Any = CogVideoXTransformer3DModel(
        num_attention_heads=4, num_layers=2, text_embed_dim=64, max_text_seq_length=32,
        sample_height=SIZE[0], sample_width=SIZE[1], use_rotary_positional_embeddings=True,
    )  # fmt: skip
    return made.eval()


def one_step(model: Any, given: dict[str, Any], windows: list[slice]) -> float:
    """Processor seconds of one call for the whole clip."""
    with torch.no_grad(), windowed(SimpleNamespace(transformer=model, scheduler=None), windows, order="joint"):
        begin = time.process_time()
        model(**given)
        return time.process_time() - begin


def inputs() -> dict[str, Any]:
    angles = torch.rand(FRAMES * SIZE[0] * SIZE[1] // 4, 32).repeat_interleave(2, 1)
    return {
        "hidden_states": torch.randn(1, FRAMES, 16, *SIZE),
        "encoder_hidden_states": torch.randn(1, 32, 64),
        "timestep": torch.tensor([500]),
        "image_rotary_emb": (angles.cos(), angles.sin()),
        "return_dict": False,
    }


def cost(rounds: int) -> list[dict[str, Any]]:
    """Processor seconds and memory of one step, whole and in windows; each in a process of its own."""
    plans = {"one pass": [slice(0, FRAMES)]}
    plans |= {f"overlap {overlap}": plan_windows(FRAMES, LENGTH, overlap) for overlap in OVERLAPS}
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    found: list[dict[str, Any]] = []
    for name, plan in plans.items():
        child = context.Process(target=_cost, args=(plan, rounds, answers))
        child.start()
        seconds, megabytes = answers.get()
        child.join()
        computed = sum(window.stop - window.start for window in plan) / FRAMES
        found.append(
            {"plan": name, "windows": len(plan), "computed": computed, "seconds": seconds, "megabytes": megabytes}
        )
        found[-1]["ratio"] = seconds / found[0]["seconds"]
    return found


def _cost(plan: list[slice], rounds: int, answers: Any) -> None:
    torch.set_num_threads(1)
    model, given = transformer(), inputs()
    one_step(model, {**given, "hidden_states": given["hidden_states"][:, :LENGTH]}, [slice(0, LENGTH)])
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak so far is forgotten
    before = _resident("VmRSS")
    seconds = min(one_step(model, given, plan) for _ in range(rounds))
    answers.put((seconds, (_resident("VmHWM") - before) / 1024))


def _resident(which: str) -> int:
    return int(Path("/proc/self/status").read_text().split(f"{which}:")[1].split()[0])


def ways() -> list[tuple[str, bool, dict[str, Any]]]:
    """(name, image to video, how) of every way of putting windows together."""
    found: list[tuple[str, bool, dict[str, Any]]] = [("text: joint", False, {}), ("text: in turn", False, IN_TURN)]
    found += [(f"image: joint, {shown}", True, {"condition": shown}) for shown in ("first", "carry", "repeat")]
    return [*found, ("image: in turn", True, IN_TURN)]


IN_TURN: dict[str, Any] = {"order": "sequential"}


def measured(scheduler: Any, windows: list[slice], takes_image: bool, how: dict[str, Any], seeds: int) -> Any:
    """Mean over seeds of what `likeness` finds."""
    edges = sorted({edge for window in windows for edge in (window.start, window.stop) if 0 < edge < FRAMES})
    found = []
    for seed in range(seeds):
        model = IdealTransformer(scheduler.alphas_cumprod, takes_image)
        with windowed(SimpleNamespace(transformer=model, scheduler=scheduler), windows, **{"order": "joint", **how}):
            found.append(likeness(denoised(model, scheduler, FRAMES, steps=50, seed=seed, size=16), edges))
    return {part: {name: sum(one[part][name] for one in found) / seeds for name in found[0][part]} for part in found[0]}


def trained(folder: Path) -> list[dict[str, Any]]:
    """What windows do to clips of a trained image-to-video model; 12 steps, no guidance, overlap of one latent."""
    parts: dict[str, Any] = {
        "vae": CogVideoXBlockCodec.from_pretrained(folder / "vae"),
        "transformer": CogVideoXTransformer3DModel.from_pretrained(folder / "transformer"),
        "scheduler": CogVideoXDDIMScheduler.from_pretrained(folder / "scheduler"),
    }
    pipe: Any = CogVideoXImageToVideoPipeline(**parts, tokenizer=None, text_encoder=None)  # pyright: ignore
    pipe.set_progress_bar_config(disable=True)
    config: Any = pipe.transformer.config
    side, scale = config.sample_width * pipe.vae_scale_factor_spatial, pipe.vae.config.scaling_factor
    latents, length = 9, (config.sample_frames - 1) // pipe.vae_scale_factor_temporal + 1
    frames = (latents - 1) * pipe.vae_scale_factor_temporal + 1
    videos = render(sample_scene(5, range(8), num_frames=frames, resolution=side), (side, side))
    with torch.no_grad():
        real = pipe.vae.encode(videos.transpose(1, 2) * 2 - 1).latent_dist.mode().transpose(1, 2) * scale

    def made(windows: list[slice], **how: Any) -> torch.Tensor:
        nothing = torch.zeros(len(videos), config.max_text_seq_length, config.text_embed_dim)
        with windowed(pipe, windows, **how):
            return pipe(
                image=videos[:, 0], prompt_embeds=nothing, height=side, width=side, num_frames=frames,
                num_inference_steps=12, guidance_scale=1.0, generator=torch.Generator().manual_seed(0),
                output_type="latent",
            ).frames  # fmt: skip

    windows = plan_windows(latents, length, 1)
    clips = {"real": real, "one pass": made([slice(0, latents)])}
    clips |= {name: made(windows, **{"order": "joint", **how}) for name, takes_image, how in ways() if takes_image}
    edges = sorted({edge for window in windows for edge in (window.start, window.stop) if 0 < edge < latents})
    found = []
    for name, clip in clips.items():
        jumps = clip.diff(dim=1).pow(2).mean((0, 2, 3, 4))
        elsewhere = [float(jump) for i, jump in enumerate(jumps, 1) if i not in edges]
        first, last = clip[:, 0].flatten(1), clip[:, -1].flatten(1)
        row = {
            "way": name,
            "seam": max(float(jumps[edge - 1]) for edge in edges) / (sum(elsewhere) / len(elsewhere)),
            "contrast": float(last.std() / real[:, -1].std()),
            "likeness": float(torch.nn.functional.cosine_similarity(first, last).mean()),
        }
        found.append(row)
        print(f"{name:22} seam {row['seam']:5.2f}  contrast {row['contrast']:.2f}  likeness {row['likeness']:.2f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--base", type=Path, metavar="FOLDER", help="a trained base as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(", ".join(f"{name} {value}" for name, value in header().items()), "- one thread")
    rows = cost(options.rounds)
    print(f"{'one step':12} {'windows':>7} {'frames':>7} {'seconds':>8} {'ratio':>6} {'MB':>6}")
    for row in rows:
        print(
            f"{row['plan']:12} {row['windows']:7} {row['computed']:6.2f}x {row['seconds']:8.2f} "
            f"{row['ratio']:6.2f} {row['megabytes']:6.0f}"
        )
    results = []
    for solver, kind in (("ddim", CogVideoXDDIMScheduler), ("dpm", CogVideoXDPMScheduler)):
        print(f"{solver:22} {'overlap':>7}   scene: seam   variance  kept  error   moving: seam   variance  error")
        for overlap in (None, *OVERLAPS):
            windows = [slice(0, FRAMES)] if overlap is None else plan_windows(FRAMES, LENGTH, overlap)
            for name, takes_image, how in ways():
                if overlap is None and how and how.get("condition") != "carry":
                    continue
                found = measured(kind(**SCHEDULE), windows, takes_image, how, options.seeds)
                name = name if overlap is not None else name.split(":")[0] + ": one pass"
                results.append({"solver": solver, "way": name, "overlap": overlap, **found})
                scene, moving = found["scene"], found["moving"]
                print(
                    f"{name:22} {'-' if overlap is None else overlap:>7} {scene['seam']:13.2f} "
                    f"{scene['variance']:10.2f} {scene['kept']:5.2f} {scene['error']:6.2f} {moving['seam']:14.2f} "
                    f"{moving['variance']:10.2f} {moving['error']:6.2f}",
                    flush=True,
                )
    measurements = {"rounds": options.rounds, "cost": rows, "likeness": results}
    if options.base is not None:
        measurements["trained"] = trained(options.base)
    write(measurements, options.json)


if __name__ == "__main__":
    main()
