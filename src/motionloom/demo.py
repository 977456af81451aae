"""The demo: the example photographs set in motion by what ships in the package, and a page that shows them."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import Cancelled, MotionloomError
from motionloom.examples_data import NAMES, example
from motionloom.jobs import Job, Parameters, Progress, compiled
from motionloom.media import Clip, write_image
from motionloom.media.files import replacing
from motionloom.tracks.motion import Motion

_STYLE = (
    "body{background:#16181d;color:#e8e6e1;font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1100px;"
    "padding:0 1rem}video,img{max-width:100%;border-radius:6px}a{color:#f4a259}"
)


@dataclass(frozen=True)
class Shown:
    """The files of one example, and what there is to say about them."""

    name: str
    title: str
    files: dict[str, Path]
    facts: str


def run_demo(
    out: Path,
    *,
    only: str | None = None,
    nano: bool = True,
    num_frames: int | None = None,
    on_progress: Progress | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Path:
    """Write video, overlay, side by side and contact sheet of every example to ``out``, and a page; return the page.

    Args:
        only: one example by name.
        nano: also run the small diffusion model. It is shown beside the geometric warp, which leads.
        num_frames: of the clips of the warp; None takes those of the motions.
        on_progress: called with (steps done, steps in all) over the whole demo.
        on_line: called with one line of text per example.

    Raises:
        InputError: no example of that name.
    """
    names = [only] if only else list(NAMES)
    shown: list[Shown] = []
    for place, name in enumerate(names):

        def advance(part: float, place: int = place) -> None:
            if on_progress:
                on_progress(round(1000 * (place + part)), 1000 * len(names))

        shown.append(_show(name, out, nano, num_frames, advance))
        if on_line:
            on_line(f"{name}: {shown[-1].facts}")
    advance_end = on_progress or (lambda step, total: None)
    advance_end(1000 * len(names), 1000 * len(names))
    page = out / "index.html"
    with replacing(page) as temporary:
        temporary.write_text(_page(shown), encoding="utf-8")
    return page


def _show(name: str, out: Path, nano: bool, num_frames: int | None, advance: Callable[[float], None]) -> Shown:
    from motionloom.draw import contact_sheet, draw, draw_paths, side_by_side

    image, motion_file = example(name)
    motion = Motion.load(motion_file)
    started = time.perf_counter()
    warp = _run(
        Job(image, motion, "warp", Parameters(num_frames=num_frames), motion_file=motion_file),
        out,
        lambda part: advance(0.5 * part),
    )
    facts = [f"warp {warp.size[1]}x{warp.size[0]}, {warp.num_frames} frames in {time.perf_counter() - started:.1f} s"]
    tracks = compiled(motion, warp)
    still = draw_paths(warp.frames[0], tracks)
    columns = [(_still(still, warp), "drawn"), (warp, "warp (geometry)")]
    if nano:
        started = time.perf_counter()
        try:
            small = _run(
                Job(image, motion, "nano", Parameters(), motion_file=motion_file),
                out,
                lambda part: advance(0.5 + 0.4 * part),
            )
        except Cancelled:
            raise
        except MotionloomError as error:
            # The warp does not depend on it; the page says what is missing.
            facts.append(f"nano did not run: {error}")
        else:
            size = f"{small.size[1]}x{small.size[0]}"
            facts.append(f"nano {size}, {small.num_frames} frames in {time.perf_counter() - started:.1f} s")
            small.save(out / f"{name}.nano.mp4")
            columns.append((_matched(small, warp), f"nano (tiny diffusion model, {size})"))
    overlay = draw(warp, tracks)
    files = {
        "clip": warp.save(out / f"{name}.mp4"),
        "overlay": overlay.save(out / f"{name}.overlay.mp4"),
        "side_by_side": side_by_side(*(clip for clip, _ in columns), labels=[label for _, label in columns]).save(
            out / f"{name}.side_by_side.mp4"
        ),
        "contact_sheet": write_image(out / f"{name}.contact_sheet.png", contact_sheet(overlay)),
    }
    return Shown(name, motion.prompt or name, files, "; ".join(facts))


def _run(job: Job, out: Path, advance: Callable[[float], None]) -> Clip:
    return job.run(
        on_progress=lambda step, total: advance(step / max(total, 1)),
        command=["motionloom", "demo", "--only", Path(job.title).stem],
        beside=out,
    )


def _still(image: NDArray[np.uint8], like: Clip) -> Clip:
    return Clip(np.repeat(image[None], like.num_frames, axis=0), like.fps)


def _matched(clip: Clip, like: Clip) -> Clip:
    """A clip enlarged to another's size, its frames held so that both show the same moment of the motion."""
    import cv2

    height, width = like.size
    moments = np.rint(np.linspace(0, clip.num_frames - 1, like.num_frames)).astype(int)
    large = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in clip.frames])
    return Clip(large.astype(np.uint8)[moments], like.fps)


def _page(shown: Sequence[Shown]) -> str:
    parts = ["<!doctype html><meta charset=utf-8><title>motionloom demo</title>", f"<style>{_STYLE}</style>"]
    parts.append(
        "<h1>motionloom demo</h1><p>Each row: the photograph with the drawn motion, and what became of it.</p>"
    )
    for item in shown:
        links = " &middot; ".join(
            f"<a href={file.name!r}>{html.escape(kind.replace('_', ' '))}</a>" for kind, file in item.files.items()
        )
        parts.append(
            f"<h2>{html.escape(item.title)}</h2>"
            f"<video src={item.files['side_by_side'].name!r} autoplay loop muted playsinline controls></video>"
            f"<p>{html.escape(item.facts)}<br>{links}</p>"
        )
    return "\n".join(parts) + "\n"
