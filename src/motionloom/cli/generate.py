"""motionloom generate and motionloom preview."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionloom.cli.runs import DEFAULT_MODEL, Extras, Process, processes, run_again, run_batch, run_one
from motionloom.errors import InputError

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
        Path | None,
        typer.Argument(
            help="Photograph; or a batch file (.yaml, .jsonl); left out for text-to-video models.", show_default=False
        ),
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

    Text-to-video models make their own picture: motionloom generate MOTION -m tora-t2v -p "...".

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
        with processes(gpus, device) as here:
            if here is not None:
                run_again(again, moved_image, last_image, here, out, force, extras)
        return
    if moved_image is not None or force:
        raise InputError(
            "--image and --force: belong to --again CLIP; the photograph of a new clip is the first argument"
        )
    if image is None:
        raise InputError(
            "IMAGE: missing, expected a photograph and a motion (for text-to-video models the motion alone), a batch "
            "file, or --again CLIP"
        )
    from motionloom.batch_file import is_batch
    from motionloom.jobs import Parameters, is_picture, parse_option, parse_size, parse_window

    if motion is not None and is_picture(motion) and not is_picture(image):
        raise InputError(f"IMAGE: found {image}, and the photograph {motion} after it; the photograph comes first")
    batch = motion is None and is_batch(image)
    photograph: Path | None = image
    enough = last_image is not None or lora or _moves_by_itself(model)
    if motion is None and not batch and not (enough and is_picture(image)):
        photograph, motion = None, _motion_alone(image, model)
    parameters = Parameters(
        prompt=prompt, negative_prompt=negative_prompt, seed=seed, size=parse_size(size) if size else None,
        resolution=resolution, num_frames=frames, fps=fps, num_inference_steps=steps, guidance_scale=guidance_scale,
        guidance_scale_2=guidance_scale_2, shift=shift, solver=solver, strength=strength,  # pyright: ignore
        window=parse_window(window), method=method, densify=densify, options=dict(map(parse_option, option or ())),
        post=post, base=tuple(base or ()), loras=tuple(lora or ()),
        few_step_loras=tuple(few_step_lora or ()), transformer_2=transformer_2,
        memory=memory, fast=fast, settings=settings,  # pyright: ignore
    )  # fmt: skip
    transfer = {"points": transfer_points, "fit": transfer_fit, "follow": transfer_follow}
    transfer = {name: value for name, value in transfer.items() if value is not None}
    if batch and (side_by_side or contact_sheet or last_image or extend_prompt or num_videos > 1 or gpus > 1):
        raise InputError(
            "--side-by-side, --contact-sheet, --last-image, --extend-prompt, --num-videos, --gpus: not for batches; "
            "name last_image per item, and start one command per GPU"
        )
    with processes(gpus, device) as here:
        if here is None:
            return
        if not batch:
            run_one(
                photograph, motion, model, parameters, last_image, here, out, extras, num_videos, extend_prompt,
                transfer,
            )  # fmt: skip
            return
        run_batch(image, out, model, parameters, here.device, overlay is not False, overwrite)


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
    run_one(image, motion, "warp", parameters, None, Process(None, True), out, extras)


def _motion_alone(file: Path, model: str) -> Path:
    """The only file that was named, where it is a motion and the model starts from no photograph."""
    from motionloom.jobs import is_picture
    from motionloom.models.before_loading import card_before_loading

    if is_picture(file):
        raise InputError(f"MOTION: missing beside {file}, expected a *.motion.json, a track file or a video")
    card = card_before_loading(model)
    if card is not None and card.takes_image:
        raise InputError(
            f"IMAGE: missing, {model} starts from a photograph: motionloom generate IMAGE {file} -m {model}; "
            "text-to-video models such as tora-t2v need none"
        )
    return file


def _moves_by_itself(model: str) -> bool:
    """Whether a model of the catalogue takes no motion: its weights and the prompt say what happens."""
    from motionloom.models.catalog import list_models

    named = [card for card in list_models() if model.strip().lower() in (card.name, *card.aliases)]
    return any(card.methods == ("circle_rotate",) for card in named)
