"""Post-processing on procedural clips whose true frames are known: PSNR before and after, time per frame.

python benchmarks/post_processing.py [--clips 4] [--height 240] [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from fractions import Fraction
from typing import Any

import av
import av.error
import av.filter
import cv2
import numpy as np
import torch
from _report import header, write
from numpy.typing import NDArray

from motionloom.media.post import PostStep, postprocess
from motionloom.prepare.procedural import render, sample_scene

Frames = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    scenes = sample_scene(0, range(arguments.clips), num_frames=9, resolution=arguments.height, motion=0.5)
    shown = render(scenes, (arguments.height, arguments.height * 16 // 9))
    clips = [np.ascontiguousarray((clip.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)) for clip in shown]
    facts = {"clips": len(clips), "frames": len(clips[0]), "size": list(clips[0].shape[1:3]), "threads": 1}
    print(", ".join(f"{key} {value}" for key, value in {**header(), **facts}.items()))
    steps = [denoising(clips, noise) for noise in (0, 2, 4, 8)]
    frames = [interpolation(clips, times) for times in (2, 4)]
    write({**facts, "denoise": steps, "interpolate": frames}, arguments.json)


def denoising(clips: list[Frames], noise: float) -> dict[str, Any]:
    """PSNR in dB before and after taking noise of so many grey levels out, and milliseconds per frame."""
    rng = np.random.default_rng(0)
    before, after, spent = [], [], 0.0
    for clip in clips:
        noisy = np.clip(clip + rng.normal(0, noise, clip.shape), 0, 255).round().astype(np.uint8)
        started = time.perf_counter()
        found, _ = postprocess(noisy, [PostStep("denoise", noise or 4.0)], 16.0)
        spent += time.perf_counter() - started
        before.append(psnr(noisy, clip) if noise else np.inf)
        after.append(psnr(found, clip))
    first = f"{np.mean(before):.1f} dB" if noise else "no noise"
    per_frame = spent / sum(map(len, clips)) * 1000
    print(f"denoise={noise or 4.0:g}: {first} -> {np.mean(after):.1f} dB, {per_frame:.0f} ms a frame")
    found = {"before": float(np.mean(before)) if noise else None, "after": float(np.mean(after))}
    return {"noise": noise, "amount": noise or 4.0, **found, "milliseconds": per_frame}


def interpolation(clips: list[Frames], times: int) -> dict[str, Any]:
    """PSNR in dB of the new frames and milliseconds for each, of ours and of two others."""
    scores: dict[str, list[float]] = {"ours": [], "blend": [], "FFmpeg minterpolate": []}
    spent = dict.fromkeys(scores, 0.0)
    for clip in clips:
        given, new = clip[::times], [index for index in range(len(clip)) if index % times]
        started = time.perf_counter()
        found, _ = postprocess(given, [PostStep("interpolate", times)], 16.0)
        spent["ours"] += time.perf_counter() - started
        assert np.array_equal(found[::times], given)
        scores["ours"].append(psnr(found[new], clip[new]))
        part = np.array([index % times / times for index in new])[:, None, None, None]
        before = np.array([clip[index - index % times] for index in new])
        after = np.array([clip[index - index % times + times] for index in new])
        scores["blend"].append(psnr(np.rint(before * (1 - part) + after * part), clip[new]))
        started = time.perf_counter()
        theirs = minterpolate(given, times)
        spent["FFmpeg minterpolate"] += time.perf_counter() - started
        there = [index for index in new if index < len(theirs)]  # it leaves out the last ones
        scores["FFmpeg minterpolate"].append(psnr(theirs[there], clip[there]))
    frames = len(clips) * (len(clips[0]) - len(clips[0][::times]))
    found = {
        name: {"psnr": float(np.mean(score)), "milliseconds": spent[name] / frames * 1000}
        for name, score in scores.items()
    }
    told = [f"{name} {each['psnr']:.1f} dB {each['milliseconds']:.0f} ms" for name, each in found.items()]
    print(f"interpolate={times}: {', '.join(told)} a new frame")
    return {"times": times, **found}


def minterpolate(frames: Frames, times: int, fps: int = 16) -> Frames:
    """FFmpeg's motion compensated interpolation, at its best settings."""
    graph = av.filter.Graph()
    height, width = frames.shape[1:3]
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("yuv444p"), time_base=Fraction(1, fps))
    options = f"fps={fps * times}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"
    middle, sink = graph.add("minterpolate", options), graph.add("buffersink")
    source.link_to(middle)
    middle.link_to(sink)
    graph.configure()
    found: list[Frames] = []
    for number, frame in enumerate([*frames, None]):
        if frame is None:
            graph.push(None)
        else:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv444p")
            picture.pts, picture.time_base = number, Fraction(1, fps)
            graph.push(picture)
        while True:
            try:
                found.append(graph.pull().to_ndarray(format="rgb24"))  # pyright: ignore
            except (av.error.BlockingIOError, av.error.EOFError):
                break
    return np.stack(found)


def psnr(found: NDArray[np.generic], expected: Frames) -> float:
    return float(10 * np.log10(255**2 / np.mean((np.asarray(found, np.float64) - expected) ** 2)))


if __name__ == "__main__":
    main()
