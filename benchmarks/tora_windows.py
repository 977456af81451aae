"""What windows cost and do to a long clip: 52 latent frames (205 frames) in windows of 13, as CogVideoX was trained on.

Cost: one denoising step of a random CogVideoX transformer (256 wide, 2 blocks, 192 tokens a frame) over the whole clip
at once, and in windows; seconds are the best of several rounds that take turns, and memory is what a process of its own
needed at most beyond the model and its inputs. Attention grows with the square of the length, so windows are cheaper
than one pass although they repeat what they share; how much cheaper depends on the tokens per frame.

Likeness: clips of a world whose perfect denoiser is known in closed form, for every way of putting windows together;
see `_ideal_video.py`. "seam" is the largest squared jump at the borders of windows over the mean elsewhere.

    python benchmarks/tora_windows.py [--json FILE] [--rounds 3] [--seeds 3]
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
from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler
from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler

from motionloom.methods.tora.windows import plan_windows, windowed

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
    """Seconds of one call for the whole clip."""
    with torch.no_grad(), windowed(SimpleNamespace(transformer=model, scheduler=None), windows, order="joint"):
        begin = time.perf_counter()
        model(**given)
        return time.perf_counter() - begin


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
    """Seconds and memory of one step, whole and in windows."""
    plans = {"one pass": [slice(0, FRAMES)]}
    plans |= {f"overlap {overlap}": plan_windows(FRAMES, LENGTH, overlap) for overlap in OVERLAPS}
    model, given = transformer(), inputs()
    seconds: dict[str, list[float]] = {name: [] for name in plans}
    for _ in range(rounds):
        for name, plan in plans.items():
            seconds[name].append(one_step(model, given, plan))
    return [
        {
            "plan": name,
            "windows": len(plan),
            "frames_computed": sum(window.stop - window.start for window in plan) / FRAMES,
            "seconds": min(seconds[name]),
            "ratio": min(seconds[name]) / min(seconds["one pass"]),
            "megabytes": peak(plan),
        }
        for name, plan in plans.items()
    ]


def peak(plan: list[slice]) -> float:
    """Megabytes that a fresh process needs at most for one step, beyond its model and inputs."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    child = context.Process(target=_peak, args=(plan, torch.get_num_threads(), answer))
    child.start()
    found = answer.get()
    child.join()
    return found


def _peak(plan: list[slice], threads: int, answer: Any) -> None:
    torch.set_num_threads(threads)
    model, given = transformer(), inputs()
    one_step(model, {**given, "hidden_states": given["hidden_states"][:, :LENGTH]}, [slice(0, LENGTH)])
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak is forgotten
    before = _resident("VmRSS")
    one_step(model, given, plan)
    answer.put((_resident("VmHWM") - before) / 1024)


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
            found.append(likeness(denoised(model, scheduler, FRAMES, steps=50, seed=seed), edges))
    return {part: {name: sum(one[part][name] for one in found) / seeds for name in found[0][part]} for part in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(", ".join(f"{name} {value}" for name, value in header().items()), f"- {options.threads} thread(s)")
    rows = cost(options.rounds)
    print(f"{'one step':12} {'windows':>7} {'frames':>7} {'seconds':>8} {'ratio':>6} {'MB':>6}")
    for row in rows:
        print(
            f"{row['plan']:12} {row['windows']:7} {row['frames_computed']:6.2f}x {row['seconds']:8.2f} "
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
    write({"threads": options.threads, "rounds": options.rounds, "cost": rows, "likeness": results}, options.json)


if __name__ == "__main__":
    main()
