"""motionloom demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionloom.cli.console import progress, say


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder to write to; earlier demo files are replaced.")
    ] = Path("out"),
    only: Annotated[str | None, typer.Option("--only", help="One example by name, such as rocket.")] = None,
    nano: Annotated[
        bool, typer.Option("--nano/--no-nano", help="Show the small diffusion model beside the warp.")
    ] = True,
) -> None:
    """Set the example photographs in motion: video, overlay and contact sheet of each."""
    from motionloom.demo import run_demo

    with progress("demo") as on_progress:
        page = run_demo(out, only=only, nano=nano, on_progress=on_progress, on_line=say)
    say(f"look at {page}")
