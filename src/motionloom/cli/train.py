"""motionloom train."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from motionloom.cli.console import progress, say
from motionloom.errors import InputError

app = typer.Typer(no_args_is_help=True)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@app.callback()
def _train() -> None: ...


@app.command()
def nano(
    budget: Annotated[str, typer.Option("--budget", help="Time to train for: 90s, 20m, 1h30m.")] = "20m",
    steps: Annotated[
        int | None, typer.Option("--steps", help="Train for this many steps instead of a time.", min=1)
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of checkpoints, log, clips and model.")] = Path(
        "runs"
    ),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's checkpoint, if there is one.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same training data.", min=0)] = 0,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda ...; default: the best there is.")] = None,
    checkpoint_every: Annotated[
        str, typer.Option("--checkpoint-every", help="Time between checkpoints; the model is written with each.")
    ] = "2m",
    validate_every: Annotated[
        str, typer.Option("--validate-every", help="Time between scores and videos of held-out clips.")
    ] = "5m",
    batch_scale: Annotated[
        int | None,
        typer.Option("--batch-scale", help="Clips per step, times the recipe's; default: 1, on a GPU 8.", min=1),
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Through torch.compile: slow start, faster steps.")
    ] = False,
) -> None:
    """Train the small embedded model on procedural videos made on the fly.

    Stop it at any time; the model is in OUT/nano, and --resume goes on. Several GPUs: accelerate launch -m motionloom
    train nano ...
    """
    seconds = parse_budget(budget)
    saved = parse_budget(checkpoint_every, "--checkpoint-every")
    validated = parse_budget(validate_every, "--validate-every")
    from motionloom.train.nano import NanoRecipe, train, training_device

    if batch_scale is None:
        batch_scale = (_earlier_scale(out) if resume else None) or (1 if training_device(device).type == "cpu" else 8)
    leads = os.environ.get("RANK", "0") == "0"  # the others of several processes have nothing of their own to tell
    bar = progress("training nano, steps" if steps else "training nano, seconds") if leads else nullcontext(_nothing)
    with bar as on_progress:

        def tell(facts: dict[str, Any]) -> None:
            if steps:
                on_progress(facts["step"], steps)
            else:
                on_progress(round(facts["elapsed"]), round(facts["budget"]))
            if "clips" in facts:
                say(_scores(facts, out))

        folder = train(
            out,
            budget=seconds,
            steps=steps,
            recipe=NanoRecipe(seed=seed, batch_scale=batch_scale),
            resume=resume,
            device=device,
            checkpoint_every=saved,
            validate_every=validated,
            compile=compile,
            on_progress=tell,
        )
    if leads:
        say(f"{folder}: trained; use it with motionloom generate -m {folder}")


def _earlier_scale(out: Path) -> int | None:
    """The --batch-scale of the training in a folder; resuming does not need it again."""
    try:
        return int(json.loads((out / "nano" / "training.json").read_text(encoding="utf-8"))["recipe"]["batch_scale"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@app.command()
def tora(
    budget: Annotated[str, typer.Option("--budget", help="Time to train for: 90s, 20m, 1h30m.")] = "20m",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of checkpoints, log, base and adapter.")] = Path(
        "runs/tora"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoints.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same training data.", min=0)] = 0,
    design: Annotated[
        str, typer.Option("--design", help="Of the fuser: adaptive_norm, extra_channel or cross_attention.")
    ] = "adaptive_norm",
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda ...; default: the best there is.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of videos/ and labels/; without it, procedural videos made on the fly."),
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", help="With --data: a CogVideoX folder to train an adapter for.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="With --data: steps of each stage; default 15000.", min=1)
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", help="With --data: of the clips; default the base's.", metavar="WxH")
    ] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", help="With --data: 4n + 1; default the base's.", min=1)
    ] = None,
    raft: Annotated[
        Path | None, typer.Option("--raft", help="With --data: RAFT's weights; without them flow is OpenCV's DIS.")
    ] = None,
    camera: Annotated[
        str, typer.Option("--camera", help="With --data: clips to keep: any, still, or published, the paper's filter.")
    ] = "any",
    motion_vae: Annotated[
        Path | None, typer.Option("--motion-vae", help="With --data: a vae/ tuned for motion, to code it with.")
    ] = None,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option("--gradient-checkpointing", help="With --data: less memory, slower; for CogVideoX-5B on one GPU."),
    ] = False,
) -> None:
    """Train a Tora adapter: a tiny CogVideoX and its adapter on procedural videos, or one for your base and videos."""
    if (data is None) != (base is None):
        raise InputError("--data, --base: go together; leave both out to train on procedural videos")
    if data is not None and base is not None:
        from motionloom.jobs import parse_size
        from motionloom.media.flow import optical_flow
        from motionloom.train.tora.folder_training import train_on_folder
        from motionloom.train.tora.motion_vae import load_vae

        with progress("training tora, steps") as on_progress:
            folder = train_on_folder(
                out,
                data,
                base,
                steps=steps,
                size=None if size is None else parse_size(size),
                num_frames=frames,
                design=design,  # pyright: ignore[reportArgumentType] - refused by name where it is unknown
                flow=optical_flow if raft is None else _raft(raft, device),
                camera=camera,  # pyright: ignore[reportArgumentType]
                motion_vae=None if motion_vae is None else load_vae(motion_vae),
                gradient_checkpointing=gradient_checkpointing,
                seed=seed,
                resume=resume,
                device=device,
                on_progress=lambda facts: on_progress(facts["step"], facts["steps"]),
            )
        say(f"{folder}: trained; use it with motionloom generate -m {folder} --base {base}")
        return
    given = (steps, size, frames, raft, motion_vae, camera, gradient_checkpointing)
    if given != (None, None, None, None, None, "any", False):
        raise InputError(
            "--steps, --size, --frames, --raft, --camera, --motion-vae, --gradient-checkpointing: are for training "
            "with --data and --base"
        )
    seconds = parse_budget(budget)
    from motionloom.train.tora.recipe import ToraRecipe, train

    with progress("training tora, seconds") as on_progress:
        folder = train(
            out,
            budget=seconds,
            recipe=ToraRecipe(seed=seed, design=design),  # pyright: ignore[reportArgumentType]
            resume=resume,
            device=device,
            on_progress=lambda facts: on_progress(round(facts["elapsed"]), round(facts["budget"])),
        )
    say(f"{folder}: trained; use it with motionloom generate -m {folder} --base {folder.parent / 'base'}")


@app.command(name="motion-vae")
def motion_vae(
    vae: Annotated[Path, typer.Argument(help="Folder of an AutoencoderKLCogVideoX: a CogVideoX model's vae/.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the checkpoint and the tuned vae/.")] = Path(
        "runs/motion-vae"
    ),
    steps: Annotated[int, typer.Option("--steps", help="Steps of one clip.", min=1)] = 2000,
    size: Annotated[str, typer.Option("--size", help="Of the clips.", metavar="WxH")] = "64x64",
    frames: Annotated[int, typer.Option("--frames", help="Of the clips, 8n + 1.", min=1)] = 9,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same training data.", min=0)] = 0,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda ...; default: the best there is.")] = None,
) -> None:
    """Tune a CogVideoX VAE to code motion, on procedural motion made on the fly."""
    import json

    from motionloom.jobs import parse_size
    from motionloom.train.tora.motion_vae import MotionVaeRecipe, load_vae, tune_motion_vae

    recipe = MotionVaeRecipe(seed=seed, size=parse_size(size), num_frames=frames, steps=steps)
    with progress("tuning the VAE, steps") as on_progress:
        folder = tune_motion_vae(
            out,
            load_vae(vae),
            recipe=recipe,
            resume=resume,
            device=device,
            on_progress=lambda facts: on_progress(facts["step"], facts["steps"]),
        )
    facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    before, after = facts["psnr_before"], facts["psnr_after"]
    say(f"{folder}: PSNR of motion " + ", ".join(f"{kind} {before[kind]} to {after[kind]} dB" for kind in before))


def _nothing(step: int, total: int) -> None: ...


def _raft(path: Path, device: str | None) -> Callable[[Any, Any], Any]:
    """Flow from one frame to another by RAFT."""
    import torch

    from motionloom.evaluate.networks.raft import load_raft, raft_flow

    network = load_raft(path, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return lambda frame, other: raft_flow(network, frame[None], other[None])[0]


def _scores(facts: dict[str, Any], out: Path) -> str:
    """One line on a training as it goes."""
    found = {name[5:]: value for name, value in facts.items() if name.startswith("psnr_")}
    told = ", ".join(f"{kind.replace('_', ' ')} {value:.1f}" for kind, value in found.items())
    loss = "" if facts.get("loss") is None else f", loss {facts['loss']:.4f}"
    so_far = f"step {facts['step']}, {facts['elapsed'] / 60:.0f} min{loss}"
    return f"{so_far}; PSNR, dB: {told}; clips in {out / facts['clips']}"


def parse_budget(text: str, option: str = "--budget") -> float:
    """'1h30m' as seconds.

    Args:
        option: what it was given for, for the message.

    Raises:
        InputError: not such a text, or nothing.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise InputError(f"{option}: found {text!r}, expected a time such as 90s, 20m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise InputError(f"{option}: found {text!r}, expected more than nothing")
    return seconds
