"""motionloom generate and motionloom preview."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionloom.cli.console import byte_progress, progress, refuse_existing, say, warn
from motionloom.errors import InputError, MotionloomError

if TYPE_CHECKING:
    from motionloom.jobs import Job, Parameters
    from motionloom.media import Clip
    from motionloom.tracks.tracks import Tracks

DEFAULT_MODEL = "nano"

Out = Annotated[
    str | None,
    typer.Option("-o", "--out", help="Clip to write: .mp4 .webm .gif .webp, or a folder of PNGs (ending in /)."),
]
Overlay = Annotated[
    bool | None, typer.Option("--overlay/--no-overlay", help="Also write the clip with paths drawn on it.")
]
SideBySide = Annotated[bool, typer.Option("--side-by-side", help="Also write the drawn photograph beside the clip.")]
ContactSheet = Annotated[bool, typer.Option("--contact-sheet", help="Also write one PNG with frames of the clip.")]
Size = Annotated[str | None, typer.Option("--size", help="WIDTHxHEIGHT of the clip.", metavar="WxH")]
Frames = Annotated[int | None, typer.Option("--frames", help="Number of frames.", min=1)]
Fps = Annotated[float | None, typer.Option("--fps", help="Frames per second.")]
Strength = Annotated[float, typer.Option("--strength", help="How strongly the motion guides; 0 is not at all.")]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same clip; -1 draws one.", min=-1)]
Quality = Annotated[int, typer.Option("--quality", help="1 (small) to 100 (best).", min=1, max=100)]
Resolution = Annotated[
    str | None, typer.Option("--resolution", help="480p, 720p or 1080p, in the photograph's shape.", metavar="P")
]
Post = Annotated[
    str | None,
    typer.Option("--post", help="What is done to the finished frames: sharpen,denoise,interpolate=2.", metavar="STEPS"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


def generate(
    image: Annotated[
        Path | None, typer.Argument(help="Photograph; or a batch file (.yaml, .jsonl).", show_default=False)
    ] = None,
    motion: Annotated[
        Path | None,
        typer.Argument(help="*.motion.json, any track file, or a video to take the motion from.", show_default=False),
    ] = None,
    model: Annotated[
        str, typer.Option("-m", "--model", help="Name, folder, file or hub id; see motionloom models list.")
    ] = DEFAULT_MODEL,
    prompt: Annotated[str | None, typer.Option("-p", "--prompt", help="Text; default: the motion's own.")] = None,
    out: Out = None,
    overlay: Overlay = None,
    side_by_side: SideBySide = False,
    contact_sheet: ContactSheet = False,
    seed: Seed = 0,
    size: Size = None,
    frames: Frames = None,
    fps: Fps = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.", min=1)] = None,
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance-scale", help="How strongly the prompt guides.")
    ] = None,
    guidance_scale_2: Annotated[
        float | None, typer.Option("--guidance-scale-2", help="The same for the second expert of Wan 2.2.")
    ] = None,
    resolution: Resolution = None,
    shift: Annotated[float | None, typer.Option("--shift", help="Of the noise levels; default: as published.")] = None,
    solver: Annotated[
        str | None, typer.Option("--solver", help="unipc, dpm++ or euler; default: as published.")
    ] = None,
    strength: Strength = 1.0,
    window: Annotated[
        str, typer.Option("--window", help="Part of the denoising the motion guides.", metavar="A:B")
    ] = "0:1",
    negative_prompt: Annotated[str | None, typer.Option("--negative-prompt", help="What to keep away from.")] = None,
    last_image: Annotated[Path | None, typer.Option("--last-image", help="Photograph the clip should end on.")] = None,
    method: Annotated[
        str | None, typer.Option("--method", help="Way of guiding, for models that know several.")
    ] = None,
    densify: Annotated[
        bool | None,
        typer.Option("--densify/--no-densify", help="Spread the motion over the picture first; default: as trained."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--set", help="Option of the method, such as cfg_mode=split; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    post: Post = None,
    transfer_points: Annotated[
        int | None, typer.Option("--transfer-points", help="Of a video as MOTION: how many points to take over.", min=1)
    ] = None,
    transfer_fit: Annotated[
        str | None, typer.Option("--transfer-fit", help="Its frames onto the photograph: cover, contain or stretch.")
    ] = None,
    transfer_follow: Annotated[
        str | None, typer.Option("--transfer-follow", help="What of it: tracks (all that moves) or camera.")
    ] = None,
    extend_prompt: Annotated[
        str | None,
        typer.Option("--extend-prompt", help="Have the prompt written out by: motion, or transformers:FOLDER."),
    ] = None,
    num_videos: Annotated[
        int, typer.Option("--num-videos", help="Videos made together; their seeds follow each other.", min=1)
    ] = 1,
    lora: Annotated[
        list[str] | None,
        typer.Option("--lora", help="LoRA to load; repeatable.", metavar="FILE[:STRENGTH[:EXPERT]]"),
    ] = None,
    few_step_lora: Annotated[
        list[str] | None,
        typer.Option("--few-step-lora", help="LoRA that distils the model to 4 steps.", metavar="FILE[:...]"),
    ] = None,
    transformer_2: Annotated[
        str | None, typer.Option("--transformer-2", help="File of the second expert, where MODEL is that of the first.")
    ] = None,
    base: Annotated[
        list[str] | None,
        typer.Option("--base", help="Folder or model for the parts that MODEL's files lack; repeatable."),
    ] = None,
    memory: Annotated[str, typer.Option("--memory", help="auto, max-speed, balanced, low or minimal.")] = "auto",
    fast: Annotated[bool, typer.Option("--fast", help="Compiled blocks, best attention, caches.")] = False,
    settings: Annotated[
        str, typer.Option("--settings", help="published: as the method's program; diffusers: as the stock pipeline.")
    ] = "published",
    gpus: Annotated[int, typer.Option("-g", "--gpus", help="GPUs to share one video.", min=1)] = 1,
    device: Annotated[
        str | None, typer.Option("--device", help="cpu, cuda, cuda:1 ...; default: the best there is.")
    ] = None,
    quality: Quality = 90,
    again: Annotated[
        Path | None, typer.Option("--again", help="Make this clip again from the record inside it.", show_default=False)
    ] = None,
    moved_image: Annotated[
        Path | None, typer.Option("--image", help="With --again: where the photograph is now.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --again: go on though model or frames differ.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Make a video in which the things on IMAGE move as MOTION says.

    IMAGE may be a batch file instead: a YAML list or JSONL of items with image, motion (or track), prompt (or text)
    and any option of this command by its long name. Every item runs; finished ones are skipped on the next run.
    """
    plain = {"--model": DEFAULT_MODEL, "--window": "0:1", "--memory": "auto", "--settings": "published"}
    given = {
        "IMAGE": image, "MOTION": motion, "--prompt": prompt, "--size": size, "--frames": frames, "--fps": fps,
        "--steps": steps, "--guidance-scale": guidance_scale, "--negative-prompt": negative_prompt, "--method": method,
        "--seed": seed or None, "--strength": None if strength == 1.0 else strength, "--densify": densify,
        "--guidance-scale-2": guidance_scale_2, "--resolution": resolution, "--shift": shift, "--solver": solver,
        "--set": option or None, "--post": post, "--extend-prompt": extend_prompt, "--lora": lora or None,
        "--few-step-lora": few_step_lora or None, "--transformer-2": transformer_2,
        "--base": base or None, "--fast": fast or None, "--num-videos": None if num_videos == 1 else num_videos,
        "--transfer-points": transfer_points, "--transfer-fit": transfer_fit, "--transfer-follow": transfer_follow,
        "--window": window, "--model": model, "--memory": memory, "--settings": settings,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None and value != plain.get(name)}
    extras = Extras(bool(overlay), side_by_side, contact_sheet, quality, overwrite)
    if again is not None:
        for name in given:
            raise InputError(f"{name}: cannot be given with --again, which repeats the recorded run as it was")
        with _processes(gpus, device) as here:
            if here is not None:
                _again(again, moved_image, last_image, here, out, force, extras)
        return
    if moved_image is not None or force:
        raise InputError(
            "--image and --force: belong to --again CLIP; the photograph of a new clip is the first argument"
        )
    if image is None:
        raise InputError("IMAGE: missing, expected a photograph and a motion, a batch file, or --again CLIP")
    from motionloom.jobs import Parameters, parse_option, parse_size, parse_window

    parameters = Parameters(
        prompt=prompt, negative_prompt=negative_prompt, seed=seed, size=parse_size(size) if size else None,
        resolution=resolution, num_frames=frames, fps=fps, num_inference_steps=steps, guidance_scale=guidance_scale,
        guidance_scale_2=guidance_scale_2, shift=shift, solver=solver, strength=strength,  # pyright: ignore
        window=parse_window(window), method=method, densify=densify, options=dict(map(parse_option, option or ())),
        post=post, base=tuple(base or ()), loras=tuple(lora or ()),
        few_step_loras=tuple(few_step_lora or ()), transformer_2=transformer_2,
        memory=memory, fast=fast, settings=settings,  # pyright: ignore
    )  # fmt: skip
    from motionloom.batch_file import is_batch

    batch = motion is None and is_batch(image)
    transfer = {"points": transfer_points, "fit": transfer_fit, "follow": transfer_follow}
    transfer = {name: value for name, value in transfer.items() if value is not None}
    if motion is None and not batch and last_image is None and not (lora or _moves_by_itself(model)):
        raise InputError(f"MOTION: missing beside {image}, expected a *.motion.json, a track file or a video")
    if batch and (side_by_side or contact_sheet or last_image or extend_prompt or num_videos > 1 or gpus > 1):
        raise InputError(
            "--side-by-side, --contact-sheet, --last-image, --extend-prompt, --num-videos, --gpus: not for batches; "
            "name last_image per item, and start one command per GPU"
        )
    with _processes(gpus, device) as here:
        if here is None:
            return
        if not batch:
            _one(image, motion, model, parameters, last_image, here, out, extras, num_videos, extend_prompt, transfer)
            return
        _batch(image, out, model, parameters, here.device, overlay is not False, overwrite)


def preview(
    image: Annotated[Path, typer.Argument(help="Photograph.", show_default=False)],
    motion: Annotated[Path, typer.Argument(help="*.motion.json or any track file.", show_default=False)],
    out: Out = None,
    overlay: Overlay = None,
    side_by_side: SideBySide = False,
    contact_sheet: ContactSheet = False,
    size: Size = None,
    frames: Frames = None,
    fps: Fps = None,
    resolution: Resolution = None,
    strength: Strength = 1.0,
    post: Post = None,
    quality: Quality = 90,
    overwrite: Overwrite = False,
) -> None:
    """Bend the photograph along the motion: no network, seconds on any CPU, full resolution."""
    from motionloom.jobs import Parameters, parse_size

    parameters = Parameters(
        size=parse_size(size) if size else None, resolution=resolution, num_frames=frames, fps=fps, strength=strength,
        post=post,
    )  # fmt: skip
    out = out or f"{image.stem}.preview.mp4"
    extras = Extras(bool(overlay), side_by_side, contact_sheet, quality, overwrite)
    _one(image, motion, "warp", parameters, None, _Process(None, True), out, extras)


def _moves_by_itself(model: str) -> bool:
    """Whether a model of the catalogue takes no motion: its weights and the prompt say what happens."""
    from motionloom.models.catalog import list_models

    named = [card for card in list_models() if model.strip().lower() in (card.name, *card.aliases)]
    return any(card.methods == ("circle_rotate",) for card in named)


@dataclass(frozen=True)
class _Process:
    """This process of the run: where it computes, and whether it is the one that writes."""

    device: str | None
    writes: bool


@contextmanager
def _processes(gpus: int, device: str | None) -> Iterator[_Process | None]:
    """One process per GPU where several are asked for; None in the one that started them, when they are done."""
    from motionloom.scale import launch

    if gpus > 1 and not launch.is_worker():
        launch.launch(gpus, sys.argv[1:], device=device)
        yield None
        return
    with launch.worker(device):
        yield _Process(launch.device(device), launch.rank() == 0)


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
class _Run:
    """What one run of the command makes and where it says so."""

    process: _Process
    out: str
    extras: Extras

    def targets(self, seeds: list[int]) -> list[str]:
        """The clip's name for every seed; of several, the seed is in the name."""
        if len(seeds) == 1:
            return [self.out]
        path = Path(self.out.rstrip("/"))
        ending = "/" if self.out.endswith("/") else ""
        return [f"{path.with_name(f'{path.stem}.seed{seed}{path.suffix}')}{ending}" for seed in seeds]


def _one(
    image: Path, motion_file: Path | None, model: str, parameters: Parameters, last_image: Path | None,
    process: _Process, out: str | None, extras: Extras, num_videos: int = 1, extend_prompt: str | None = None,
    transfer: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    from motionloom.jobs import Job, read_motion
    from motionloom.media import read_image
    from motionloom.scale.launch import agreed

    run = _Run(process, out or f"{image.stem}.{Path(model).name}.mp4", extras)
    # Read here as well, so that a bad file is refused before a large model is loaded.
    for file in (image, last_image):
        if file is not None:
            read_image(file)
    motion = None if motion_file is None else read_motion(motion_file, image, transfer=transfer)
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
    with progress(f"{image.name} ({model})") as on_progress:
        clips = job.run_videos(
            num_videos, model=loaded, on_progress=on_progress, command=_command(), beside=Path(run.out).parent
        )
    if process.writes:
        for clip, name in zip(clips, clip_names, strict=True):
            extras.write(job, clip, name)


def _again(
    source: Path, image: Path | None, last_image: Path | None, process: _Process, out: str | None, force: bool,
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
    with progress(f"{job.image.name} ({job.model})") as on_progress:
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


def _batch(
    file: Path, out: str | None, model: str, parameters: Parameters, device: str | None, overlays: bool, overwrite: bool
) -> None:
    from motionloom.batch import Batch
    from motionloom.batch_file import read_batch

    items = read_batch(file)
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
