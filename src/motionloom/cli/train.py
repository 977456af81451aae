"""motionloom train."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

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
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of checkpoints, log, and the model.")] = Path("runs"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same training data.", min=0)] = 0,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda ...; default: the best there is.")] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Through torch.compile: slow start, faster steps.")
    ] = False,
) -> None:
    """Train the small embedded model on procedural videos made on the fly."""
    seconds = parse_budget(budget)
    from motionloom.train.nano import NanoRecipe, train

    with progress("training nano, seconds") as on_progress:
        folder = train(
            out,
            budget=seconds,
            recipe=NanoRecipe(seed=seed),
            resume=resume,
            device=device,
            compile=compile,
            on_progress=lambda facts: on_progress(round(facts["elapsed"]), round(facts["budget"])),
        )
    say(f"{folder}: trained; use it with motionloom generate -m {folder}")


def parse_budget(text: str) -> float:
    """'1h30m' as seconds.

    Raises:
        InputError: not such a text, or nothing.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise InputError(f"--budget: found {text!r}, expected a time such as 90s, 20m or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise InputError(f"--budget: found {text!r}, expected more than nothing")
    return seconds
