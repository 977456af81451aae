"""What motionloom generate and preview do: one clip or several, a clip again, a batch; on one process or more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from motionloom.cli.console import byte_progress, progress, refuse_existing, say, warn
from motionloom.errors import InputError, MotionloomError

if TYPE_CHECKING:
    from motionloom.jobs import Job, Parameters
    from motionloom.media import Clip
    from motionloom.tracks.tracks import Tracks

DEFAULT_MODEL = "nano"


@dataclass(frozen=True)
class Process:
    """This process of the run: where it computes, and whether it is the one that writes."""

    device: str | None
    writes: bool


@contextmanager
def processes(gpus: int, device: str | None) -> Iterator[Process | None]:
    """One process per GPU where several are asked for; None in the one that started them, when they are done."""
    from motionloom.scale import launch

    if gpus > 1 and not launch.is_worker():
        launch.launch(gpus, sys.argv[1:], device=device)
        yield None
        return
    with launch.worker(device):
        yield Process(launch.device(device), launch.rank() == 0)


@dataclass(frozen=True)
class Extras:
    """What is written beside the clip, and how."""

    overlay: bool
    side_by_side: bool
    contact_sheet: bool
    quality: int
    overwrite: bool

    def targets(self, out: str) -> dict[str, Path]:
        """File by kind; the clip itself is "clip". CLIP.mp4 gets CLIP.overlay.mp4 and so on beside it."""
        clip = Path(out)
        folder = out.endswith("/") or not clip.suffix
        stem, suffix = (clip.name, ".mp4") if folder else (clip.stem, clip.suffix)
        found = {"clip": clip}
        if self.overlay:
            found["overlay"] = clip.with_name(f"{stem}.overlay{suffix}")
        if self.side_by_side:
            found["side_by_side"] = clip.with_name(f"{stem}.side_by_side{suffix}")
        if self.contact_sheet:
            found["contact_sheet"] = clip.with_name(f"{stem}.contact_sheet.png")
        return found

    def check(self, out: str) -> None:
        from motionloom.media.clip import check_target

        check_target(out)
        refuse_existing(self.targets(out).values(), self.overwrite)

    def write(self, job: Job, clip: Clip, out: str) -> None:
        """Save the clip and all that was asked for beside it, and say so."""
        targets = self.targets(out)
        height, width = clip.size
        clip.save(out, quality=self.quality)
        seconds = clip.provenance.get("seconds", 0.0)
        seed = clip.provenance.get("parameters", {}).get("seed", job.parameters.seed)  # of several clips, its own
        say(
            f"{out}: {clip.num_frames} frames at {clip.fps:g} fps, {width}x{height}, {job.model}, "
            f"seed {seed}, {seconds:.1f} s"
        )
        if len(targets) == 1:
            return
        from motionloom.draw import contact_sheet, draw
        from motionloom.jobs import compiled
        from motionloom.media import write_image

        tracks = compiled(job.motion, clip)
        overlay = draw(clip, tracks)
        if "overlay" in targets:
            say(str(overlay.save(targets["overlay"], quality=self.quality)))
        if "side_by_side" in targets:
            say(str(beside(clip, tracks, job.model).save(targets["side_by_side"], quality=self.quality)))
        if "contact_sheet" in targets:
            say(str(write_image(targets["contact_sheet"], contact_sheet(overlay))))


def beside(clip: Clip, tracks: Tracks, label: str) -> Clip:
    """The first frame with the whole motion drawn on it, beside the clip."""
    import numpy as np

    from motionloom.draw import draw_paths, side_by_side
    from motionloom.media import Clip

    still = draw_paths(clip.frames[0], tracks)
    drawn = Clip(np.repeat(still[None], clip.num_frames, axis=0), clip.fps)
    return side_by_side(drawn, clip, labels=["drawn", label])


@dataclass(frozen=True)
class Run:
    """What one run of the command makes and where it says so."""

    process: Process
    out: str
    extras: Extras

    def targets(self, seeds: list[int]) -> list[str]:
        """The clip's name for every seed; of several, the seed is in the name."""
        if len(seeds) == 1:
            return [self.out]
        path = Path(self.out.rstrip("/"))
        ending = "/" if self.out.endswith("/") else ""
        return [f"{path.with_name(f'{path.stem}.seed{seed}{path.suffix}')}{ending}" for seed in seeds]


def run_one(
    image: Path | None, motion_file: Path | None, model: str, parameters: Parameters, last_image: Path | None,
    process: Process, out: str | None, extras: Extras, num_videos: int = 1, extend_prompt: str | None = None,
    transfer: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    from motionloom.jobs import Job, blank_size, read_motion
    from motionloom.media import read_image
    from motionloom.scale.launch import agreed

    named = (image or motion_file or Path(model)).name.removesuffix(".motion.json")
    run = Run(process, out or f"{Path(named).stem}.{Path(model).name}.mp4", extras)
    # Read here as well, so that a bad file is refused before a large model is loaded.
    for file in (image, last_image):
        if file is not None:
            read_image(file)
    canvas = image or blank_size(model, parameters)
    motion = None if motion_file is None else read_motion(motion_file, canvas, transfer=transfer)
    job = Job(image, motion, model, parameters, last_image, motion_file, process.device)
    seed = agreed(job.drawn_seed())
    for target in run.targets([seed + index for index in range(num_videos)]):
        extras.check(target)
    if extend_prompt:
        # One process asks: a language model may answer each differently, and takes memory in each.
        extended = job.with_extended_prompt(extend_prompt) if process.writes else job
        job = job.with_prompt(agreed(extended.parameters.prompt))
    with byte_progress(f"loading {model}") as on_bytes:
        loaded = job.load_model(on_bytes, num_videos=num_videos)
    if model != DEFAULT_MODEL or parameters.fast or parameters.memory != "auto":
        for note in loaded.notes:
            warn(note)
    job = job.settled(loaded, seed=seed)
    clip_names = run.targets([seed + index for index in range(num_videos)])
    with progress(f"{job.title} ({model})") as on_progress:
        clips = job.run_videos(
            num_videos, model=loaded, on_progress=on_progress, command=_command(), beside=Path(run.out).parent
        )
    if process.writes:
        for clip, name in zip(clips, clip_names, strict=True):
            extras.write(job, clip, name)


def run_again(
    source: Path, image: Path | None, last_image: Path | None, process: Process, out: str | None, force: bool,
    extras: Extras,
) -> None:  # fmt: skip
    from motionloom import provenance
    from motionloom.jobs import again, check_model

    if out is None and source.is_dir():
        out = f"{source}.again/"
    out = out or str(source.with_name(f"{source.stem}.again{source.suffix}"))
    extras.check(out)
    job, record = again(source, image=image, last_image=last_image, device=process.device)
    with byte_progress(f"loading {job.model}") as on_bytes:
        model = job.load_model(on_bytes, num_videos=1)
    note = check_model(model, record, force=force)
    if note:
        warn(note)
    with progress(f"{job.title} ({job.model})") as on_progress:
        clip = job.run(model=model, on_progress=on_progress, command=_command(), beside=Path(out).parent)
    if not process.writes:
        return
    extras.write(job, clip, out)
    if clip.digest() == record.get("frames_sha256"):
        say(f"the frames are those of {source}, bit for bit")
        return
    changes = ", ".join(provenance.changed_versions(record["versions"])) or "another machine or device"
    text = f"{out}: the frames differ from those of {source} ({changes})"
    if not force:
        raise MotionloomError(f"{text}; --force accepts that")
    warn(text)


def run_batch(
    file: Path, out: str | None, model: str, parameters: Parameters, device: str | None, overlays: bool, overwrite: bool
) -> None:
    from motionloom.batch import Batch
    from motionloom.batch_file import read_batch

    items = read_batch(file, model)
    folder = Path(out or f"{file.stem}_out")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder for the batch's output")
    batch = Batch(folder, model, parameters, device, overlays, overwrite, _command())
    with progress(f"{len(items)} items") as on_progress:
        # One bar for all items: each counts as much as its share of steps that are done.
        place = 0

        def begin(number: int, item: object) -> None:
            nonlocal place
            place = number
            on_progress(number * 1000, len(items) * 1000)

        results = batch.run(
            items,
            on_item=begin,
            on_progress=lambda step, total: on_progress(place * 1000 + 1000 * step // max(total, 1), len(items) * 1000),
        )
    width = max(len(result.name) for result in results)
    for result in results:
        what = result.error or f"{result.video}  ({result.seconds:.1f} s, seed {result.seed})"
        say(f"{result.name:{width}}  {result.status:7}  {what}")
    counts = {status: sum(result.status == status for result in results) for status in ("done", "skipped", "failed")}
    say(f"{', '.join(f'{count} {status}' for status, count in counts.items())}; see {folder}/results.jsonl")
    if counts["failed"]:
        raise typer.Exit(1)


def _command() -> list[str]:
    return ["motionloom", *sys.argv[1:]]
