"""How fast each instruction is, and what the model will not do well with, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from motionloom.studio.schemas import InstructionSpeed, TrackFlag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motionloom.studio.received import Seen
    from motionloom.tracks.scene import Trace

NEAR = 64.0
"""Pixels of the clip within which another moving point stands by a single one."""
WIDE = 6.0
"""Cells between the points of an area, from which on most of it is left to the model."""
SKIPS = 2.5
"""Frames of the motion from one of the clip to the next, above which turns are cut off."""
_STILL = 1e-3
"""Pixels of the canvas in one frame: less is rounding."""
_MOVES = 2.0
"""Pixels of the clip: less is no motion."""
_COPYING = ("wan_move", "latent_trajectory")
SLOW = 0.1
"""Share of the clip's fastest motion below which Tora, which sees no other speed, hardly sees one."""


def speeds_of(seen: Seen) -> list[InstructionSpeed]:
    """The speeds of every instruction that has points, in list order."""
    found: list[InstructionSpeed] = []
    gaps = np.diff(seen.times)
    for trace in seen.traces:
        steps, both = _steps(trace)
        # Where the clip goes on after the motion has ended, nothing moves.
        counted = both & (gaps > 0)[:, None]
        if not counted.any():
            found.append(_speed(trace, 0.0, 0.0, 0.0, 0.0))
            continue
        rate = np.where(counted, steps / np.where(gaps > 0, gaps, 1.0)[:, None], -1.0)
        frame, _ = np.unravel_index(int(rate.argmax()), rate.shape)
        share = float(np.where(counted, steps, 0.0).max()) / seen.motion.canvas.width
        found.append(_speed(trace, float(np.median(rate[counted])), float(rate.max()), float(seen.times[frame]), share))
    return found


def _speed(trace: Trace, median: float, largest: float, frame: float, share: float) -> InstructionSpeed:
    return InstructionSpeed(
        instruction=str(trace.instruction.id), median=median, largest=largest, largest_frame=frame, share=share
    )


def _steps(trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Pixels of the canvas that each point goes from one frame of the clip to the next [T - 1, N], and whether it is
    visible in both."""
    return (
        np.linalg.norm(np.diff(trace.points, axis=0), axis=-1),
        trace.visible[1:] & trace.visible[:-1],
    )


def flags_of(seen: Seen) -> list[TrackFlag]:
    """Everything worth a warning, the motion as a whole first."""
    found = [*_lengths(seen), *_counts(seen)]
    begins = _moving_begins(seen)
    shared = _shared_cells(seen)
    fastest = max((_fastest(trace) for trace in seen.traces), default=0.0)
    column = 0
    for trace in seen.traces:
        count = trace.points.shape[1]
        if count:
            found.extend(_of_trace(seen, trace, shared[column : column + count], begins))
            if seen.method == "tora":
                found.extend(_slow(trace, fastest))
        column += count
    return found


def _lengths(seen: Seen) -> Iterator[TrackFlag]:
    """The motion against the length of the clip."""
    last, frames = seen.motion.num_frames - 1, len(seen.times)
    if not seen.tracks.num_tracks or last == 0 or frames < 2:
        return
    step = float(seen.times[1] - seen.times[0])
    if seen.fps_given and seen.times[-1] < last - 1e-6:
        yield _flag(
            "too_short",
            f"The clip ends at frame {seen.times[-1]:.0f} of the motion's {last}: what comes later is not seen. Give "
            "it more frames, or leave its frame rate to the model.",
            frame=float(seen.times[-1]),
        )
    elif seen.fps_given and (np.diff(seen.times) < 1e-9).any():
        yield _flag(
            "too_short",
            f"The motion ends after {last / seen.motion.fps:.1f} s of the clip's "
            f"{(frames - 1) / seen.tracks.fps:.1f} s and holds still from there.",
            frame=float(last),
        )
    if step > SKIPS:
        yield _flag(
            "too_short",
            f"The clip has {frames} frames for the motion's {seen.motion.num_frames}: it sees about one in {step:.1f}. "
            "Quick turns in between are cut off.",
        )


def _counts(seen: Seen) -> Iterator[TrackFlag]:
    limits, count = seen.card.limits, seen.num_told
    if seen.dense or not count:
        return
    if limits.max_tracks is not None and count > limits.max_tracks:
        yield _flag(
            "too_many",
            f"{count} tracks; the model follows up to about {limits.max_tracks} well. {limits.source} Wider spacings "
            "of regions and grids make fewer.",
            count=count,
        )
    if limits.min_tracks is not None and count < limits.min_tracks:
        yield _flag(
            "too_few",
            f"{_tracks(count)}; the model needs at least {limits.min_tracks}. {limits.source} A region says more "
            "than a point.",
            count=count,
        )


def _of_trace(seen: Seen, trace: Trace, shared: NDArray[np.bool_], begins: NDArray[np.float64]) -> Iterator[TrackFlag]:
    name = str(trace.instruction.id)
    inside = _inside(seen, trace.points)
    visible = trace.visible
    ever = np.asarray(visible.any(axis=0))
    if not ever.any():
        yield _flag("hidden_at_start", "Is never visible: the model sees nothing of it.", name, count=len(ever))
        return
    start_hidden = ever & ~visible[0]
    if start_hidden.any():
        yield _flag("hidden_at_start", _hidden_words(seen.method), name, 0.0, int(start_hidden.sum()))
    outside_first = visible[0] & ~inside[0]
    if outside_first.any():
        yield _flag(
            "starts_outside",
            f"Starts outside the picture{_of(outside_first)}: there is nothing there to move.",
            name,
            0.0,
            int(outside_first.sum()),
        )
    out = visible & ~inside & inside[0][None]
    leaving = out.any(axis=0)
    if leaving.any():
        frame = float(seen.times[int(out.any(axis=1).argmax())])
        yield _flag(
            "leaves_frame",
            f"Leaves the picture at frame {frame:.0f}{_of(leaving)}: the model decides what becomes of it there.",
            name,
            frame,
            int(leaving.sum()),
        )
    yield from _fast(seen, trace, name)
    if seen.shape is not None and seen.method not in ("time_to_move", "circle_rotate"):
        yield from _in_cells(seen, trace, shared, begins, name)


def _hidden_words(method: str) -> str:
    if method in _COPYING:
        return (
            "Is hidden in the first frame: the model copies what lies under a track there, and leaves this one out. "
            "Let it hold before its start instead of vanishing."
        )
    if method == "ati":
        return "Is hidden in the first frame: the model moves what lies at its first point, from when it appears."
    return "Is hidden in the first frame: nothing moves before it appears."


def _fast(seen: Seen, trace: Trace, name: str) -> Iterator[TrackFlag]:
    limit = seen.card.limits.max_step
    if limit is None:
        return
    steps, both = _steps(trace)
    share = np.where(both, steps, 0.0) / seen.motion.canvas.width
    fast = share > limit
    if fast.any():
        frame = float(seen.times[int(fast.any(axis=1).argmax())])
        yield _flag(
            "too_fast",
            f"Goes up to {share.max():.0%} of the picture's width in one frame, from frame {frame:.0f} on; the model "
            f"fails above {limit:.0%}. {seen.card.limits.source}",
            name,
            frame,
            int(fast.any(axis=0).sum()),
        )


def _fastest(trace: Trace) -> float:
    """The largest step of an instruction, pixels of the canvas in a frame of the clip."""
    steps, both = _steps(trace)
    return float(np.where(both, steps, 0.0).max(initial=0.0))


def _slow(trace: Trace, fastest: float) -> Iterator[TrackFlag]:
    """What Tora does not see, since full colour is the clip's fastest motion and white is none."""
    own = _fastest(trace)
    count = trace.points.shape[1]
    if own < _STILL:
        yield _flag(
            "too_slow",
            "Stands still: Tora is shown only what moves, and leaves this to the prompt and the picture.",
            str(trace.instruction.id),
            count=count,
        )
    elif own < SLOW * fastest:
        yield _flag(
            "too_slow",
            f"Goes at most {own / fastest:.0%} as fast as the fastest thing of the clip: Tora sees speeds beside that "
            "one only, and this one hardly. Slow the fastest down, or make a clip of this alone.",
            str(trace.instruction.id),
            count=count,
        )


def _in_cells(
    seen: Seen, trace: Trace, shared: NDArray[np.bool_], begins: NDArray[np.float64], name: str
) -> Iterator[TrackFlag]:
    """What the size of latent cells and latent frames makes of an instruction."""
    assert seen.shape is not None
    time, pixels = seen.shape.strides
    frames = int(trace.visible.any(axis=1).sum())
    if frames <= time // 2 and len(seen.times) > time:
        yield _flag(
            "too_short",
            f"Is seen in {frames} of the clip's frames; the model tells apart {time} at a time. Let it last longer.",
            name,
            float(seen.times[int(trace.visible.any(axis=1).argmax())]),
        )
    if seen.dense or seen.method not in _COPYING:
        return
    if shared.any():
        yield _flag(
            "same_cell",
            f"Starts in the same {pixels}x{pixels} pixels as another track{_of(shared)}: the model sees one thing "
            "there, and follows one of them.",
            name,
            0.0,
            int(shared.sum()),
        )
    scale = np.array([seen.tracks.width / seen.motion.canvas.width, seen.tracks.height / seen.motion.canvas.height])
    ways = (trace.points - trace.points[0]) * scale
    if np.abs(ways).max() < _MOVES:
        return
    count = trace.points.shape[1]
    if trace.shape is not None:
        area = float(trace.shape.raster(seen.motion.size).sum()) * float(scale.prod())
        apart = np.sqrt(area / count)
        if apart > WIDE * pixels:
            yield _flag(
                "sparse",
                f"{_tracks(count)} for an area of {np.sqrt(area):.0f} pixels a side: most of it is left to the model. "
                f"Set its spacing to about {2 * pixels / scale.mean():.0f}.",
                name,
                count=count,
            )
    elif count == 1:
        distance = np.linalg.norm((begins - trace.points[0]) * scale, axis=-1)
        if (distance < NEAR).sum() < 2:
            yield _flag(
                "sparse",
                f"A single point moves one cell of {pixels}x{pixels} pixels, and users report that it does little. "
                "Draw the thing as a region, or put a second point on it.",
                name,
                count=1,
            )


def _moving_begins(seen: Seen) -> NDArray[np.float64]:
    """[M, 2] where points begin that move."""
    parts = [
        trace.points[0][np.abs(trace.points - trace.points[0]).max(axis=(0, 2)) > _MOVES]
        for trace in seen.traces
        if trace.points.shape[1]
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 2))


def _shared_cells(seen: Seen) -> NDArray[np.bool_]:
    """bool [N]: begins in the same latent cell as a track before it."""
    shared = np.zeros(seen.tracks.num_tracks, np.bool_)
    if seen.shape is None or seen.method not in _COPYING or not len(shared):
        return shared
    pixels = seen.shape.strides[1]
    valid = seen.tracks.visible[0] & seen.tracks.inside()[0]
    cells = np.floor(seen.tracks.points[0] / pixels).astype(np.int64)
    flat = np.where(valid, cells[:, 1] * 65_536 + cells[:, 0], -1 - np.arange(len(shared)))
    _, first = np.unique(flat, return_index=True)
    shared[:] = True
    shared[first] = False
    return shared


def _inside(seen: Seen, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    height, width = seen.motion.size
    x, y = points[..., 0], points[..., 1]
    return (x >= 0) & (x < width) & (y >= 0) & (y < height)


def _of(which: NDArray[np.bool_]) -> str:
    """Which part of an instruction with several tracks is meant."""
    return "" if len(which) == 1 else f" ({int(which.sum())} of {len(which)} tracks)"


def _tracks(count: int) -> str:
    return "1 track" if count == 1 else f"{count} tracks"


def _flag(
    kind: str, message: str, instruction: str | None = None, frame: float | None = None, count: int = 0
) -> TrackFlag:
    return TrackFlag.model_validate(
        {"kind": kind, "instruction": instruction, "message": message, "frame": frame, "num_tracks": count}
    )
