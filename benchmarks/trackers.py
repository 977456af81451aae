"""How well points are followed, on procedural videos whose tracks are known exactly.

Held-out clips of two sizes, a grid of 81 points on the first frame each. Errors count points that can be seen, frames
after the first. For the default tracker as it is, without its parts, and a chain of plain DIS flow; and for a learned
tracker where one is given.

    python benchmarks/trackers.py [--json FILE] [--clips N] [--tracker NAME --checkpoint FILE --code DIR --device D]

Prints one row per tracker and size: median and mean error in px; the share below 1 px; <d>avg, average Jaccard and
occlusion accuracy of TAP-Vid; precision and recall of "hidden"; the share of visible points that was lost; seconds.
Then where the default tracker's error comes from, and what it adds to an EPE: measured on the true videos against the
true tracks (the floor), and against tracks that are off by a known distance (the bias).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import torch
from _report import header, write
from numpy.typing import NDArray

from motionloom.evaluate.tracks import tap_vid
from motionloom.media.stream import Frames, open_frames
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.tracks.trackers import Tracker, load_tracker
from motionloom.tracks.trackers.offline import OfflineTracker
from motionloom.tracks.tracks import Tracks

SEED = 303  # thresholds were tuned on 101, and 202 was looked at
FRAMES, ALONG = 17, 9
FLAT = 5.0  # standard deviation of grey levels within 9 px below which there is little to hold on to
OFFSETS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass
class Case:
    """A video uint8 [T, H, W, 3], exact tracks [T, N, 2], what can be seen of them, and texture at the start [N]."""

    video: NDArray[np.uint8]
    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    contrast: NDArray[np.float64]


@dataclass(frozen=True)
class DisChain:
    """The baseline: flow from frame to frame, added up."""

    name: str = "DIS chain"
    licence: str = "Apache-2.0"

    def track(self, frames: Frames, queries: NDArray[np.float64], *, on_progress: Any = None) -> Tracks:
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        grey = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames.read(0, frames.num_frames)]
        places, seen = [queries[:, 1:]], [np.ones(len(queries), bool)]
        for before, after in pairwise(grey):
            there, back = dis.calc(before, after, None), dis.calc(after, before, None)  # pyright: ignore
            step = _at(there, places[-1])
            moved = places[-1] + step
            inside = ((moved >= 0) & (moved < frames.size[::-1])).all(-1)
            seen.append(seen[-1] & inside & (np.linalg.norm(step + _at(back, moved), axis=-1) < 1))
            places.append(moved)
        return Tracks(np.float32(places), np.array(seen), frames.size, frames.fps)  # pyright: ignore[reportArgumentType]


def make_cases(size: int, count: int, noise: float = 0.0) -> list[Case]:
    cases = []
    axis = (np.arange(ALONG) + 0.5) * size / ALONG
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2).astype(np.float32)
    for index in range(count):
        scene = sample_scene(SEED, [index], num_frames=FRAMES, resolution=size)
        frames = render(scene, (size, size))[0].permute(0, 2, 3, 1).numpy() * 255
        if noise:
            frames = frames + np.random.default_rng([SEED, index]).normal(0, noise, frames.shape)
        video = np.clip(np.round(frames), 0, 255).astype(np.uint8)
        points, visible = trace(scene, torch.from_numpy(grid)[None], (size, size))
        grey = video[0].mean(-1)
        mean, square = (cv2.blur(each, (9, 9)) for each in (grey, grey * grey))
        x, y = grid.astype(int).T
        contrast = np.sqrt(np.maximum(square - mean * mean, 0))[y, x]
        cases.append(Case(video, points[0].numpy(), visible[0].numpy(), contrast))
    return cases


def follow(tracker: Tracker, cases: list[Case]) -> tuple[list[Tracks], float]:
    """Tracks of every case, and seconds a case."""
    started = time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()
    found = []
    for case in cases:
        queries = np.column_stack([np.zeros(case.points.shape[1]), case.points[0]])
        found.append(tracker.track(open_frames(case.video), queries.astype(np.float64)))
    ended = time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()
    return found, (ended - started) / len(cases)


def summary(cases: list[Case], found: list[Tracks], seconds: float) -> dict[str, float]:
    error, seen = errors(cases, found)
    said = np.concatenate([tracks.visible[1:].ravel() for tracks in found])
    scores = [
        tap_vid(tracks.points, tracks.visible, case.points, case.visible, size=tracks.size)
        for case, tracks in zip(cases, found, strict=True)
    ]

    def mean(name: str) -> float:
        return float(np.mean([value for score in scores if (value := score[name]) is not None]))

    hidden, wrongly = (~seen & ~said).sum(), (seen & ~said).sum()
    values = {
        "median": np.median(error[seen]),
        "mean": error[seen].mean(),
        "below_1px": (error[seen] < 1).mean(),
        "d_avg": mean("average_pts_within_thresh"),
        "average_jaccard": mean("average_jaccard"),
        "occlusion_accuracy": (seen == said).mean(),
        "hidden_precision": hidden / max(1, hidden + wrongly),
        "hidden_recall": hidden / max(1, (~seen).sum()),
        "lost": wrongly / seen.sum(),
        "seconds": seconds,
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def errors(cases: list[Case], found: list[Tracks], offset: float = 0.0) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Distance to tracks that are off by ``offset`` px, of every point and later frame; and what can be seen."""
    rng = np.random.default_rng(0)
    distance, seen = [], []
    for case, tracks in zip(cases, found, strict=True):
        angle = rng.uniform(0, 2 * np.pi, case.points.shape[1])
        wanted = case.points + offset * np.stack([np.cos(angle), np.sin(angle)], -1)
        distance.append(np.linalg.norm(tracks.points - wanted, axis=-1)[1:].ravel())
        seen.append(case.visible[1:].ravel())
    return np.concatenate(distance), np.concatenate(seen)


def kinds(cases: list[Case], found: list[Tracks]) -> dict[str, dict[str, float]]:
    """The error of the default tracker by texture and by speed."""
    error, seen = errors(cases, found)
    contrast = np.concatenate([np.tile(case.contrast, FRAMES - 1) for case in cases])
    speed = np.concatenate([np.linalg.norm(np.diff(case.points, axis=0), axis=-1).ravel() for case in cases])
    speed = speed * 128 / cases[0].video.shape[1]
    groups = {
        "textured": contrast >= FLAT,
        "flat": contrast < FLAT,
        "below 1 px a frame at 128": speed < 1,
        "1 to 3 px": (speed >= 1) & (speed < 3),
        "above 3 px": speed >= 3,
    }
    return {
        name: {
            "median": round(float(np.median(error[group & seen])), 4),
            "mean": round(float(error[group & seen].mean()), 4),
            "below_1px": round(float((error[group & seen] < 1).mean()), 4),
            "points": int((group & seen).sum()),
        }
        for name, group in groups.items()
        if (group & seen).any()
    }


def bias(cases: list[Case], found: list[Tracks]) -> dict[str, dict[str, float]]:
    """Measured minus true error, where the tracks asked for are off by a known distance."""
    rows = {}
    for offset in OFFSETS:
        error, seen = errors(cases, found, offset)
        rows[f"{offset:g}"] = {
            "mean": round(float(error[seen].mean() - offset), 4),
            "median": round(float(np.median(error[seen]) - offset), 4),
        }
    return rows


def measure(clips: int, extra: Tracker | None) -> dict[str, Any]:
    trackers: dict[str, Tracker] = {
        "DIS chain": DisChain(),
        "without refinement": OfflineTracker(refine=False, occlusion=False),
        "without occlusion estimate": OfflineTracker(occlusion=False),
        "offline": OfflineTracker(),
    }
    if extra is not None:
        trackers[extra.name] = extra
    result: dict[str, Any] = {}
    for size, count, noise in ((128, clips, 0.0), (256, max(1, clips // 3), 0.0), (128, max(1, clips // 2), 6.0)):
        cases = make_cases(size, count, noise)
        name = f"{size}" + (f", noise {noise:g}" if noise else "")
        hidden = 1 - np.mean([case.visible[1:].mean() for case in cases])
        part: dict[str, Any] = {"clips": count, "hidden": round(float(hidden), 4), "trackers": {}}
        for label, tracker in trackers.items():
            found, seconds = follow(tracker, cases)
            part["trackers"][label] = summary(cases, found, seconds)
            show(name, label, part["trackers"][label])
            if label == "offline":
                part["kinds"], part["bias"] = kinds(cases, found), bias(cases, found)
        result[name] = part
    return result


def show(size: str, label: str, row: dict[str, float]) -> None:
    print(f"  {size:13} {label:27}" + " ".join(f"{name} {value:.3f}" for name, value in row.items()), flush=True)


def _at(flow: NDArray[Any], places: NDArray[np.float64]) -> NDArray[np.float64]:
    at = (places - 0.5).astype(np.float32)
    found = cv2.remap(
        flow, np.ascontiguousarray(at[:, :1]), np.ascontiguousarray(at[:, 1:]), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(found[:, 0], np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--clips", type=int, default=24, help="clips at 128 px; a third as many at 256")
    parser.add_argument("--tracker", help="a learned tracker to measure too")
    parser.add_argument("--checkpoint")
    parser.add_argument("--code")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    extra = None
    if options.tracker:
        extra = load_tracker(options.tracker, checkpoint=options.checkpoint, code=options.code, device=options.device)
    print(header())
    result = measure(options.clips, extra)
    for name, part in result.items():
        print(f"\n{name}: {part['clips']} clips, {part['hidden']:.1%} hidden")
        for kind, row in part["kinds"].items():
            print(f"  {kind:27} median {row['median']:.3f} mean {row['mean']:.2f} below 1 px {row['below_1px']:.3f}")
        for offset, row in part["bias"].items():
            print(f"  off by {offset:>4} px: EPE reads {row['mean']:+.2f} (median {row['median']:+.3f})")
    write({"seed": SEED, "frames": FRAMES, "points": ALONG**2, "sizes": result}, options.json)


if __name__ == "__main__":
    main()
