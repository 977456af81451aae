"""motionloom bench report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motionloom.cli.console import progress, refuse_existing, say, warn
from motionloom.errors import InputError


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Results of bench run or evaluate: files, folders, or a folder of several.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page; JSON and CSV go beside it.")] = Path(
        "report.html"
    ),
    title: Annotated[str | None, typer.Option("--title", help="Heading of the page; default: the runs' names.")] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="Run that others are compared with at first; default: the first.")
    ] = None,
    cases: Annotated[int, typer.Option("--cases", help="Most cases whose videos are shown.", min=0)] = 12,
    media: Annotated[float, typer.Option("--media", help="Room for videos in the page, MB; 0: none.", min=0)] = 25.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Compare runs on one page that needs no network: means, paired differences, cases, videos."""
    from motionloom.evaluate.report import companions, write_report
    from motionloom.evaluate.report.sources import read_runs

    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out: found {out}, expected a name that ends in .html")
    refuse_existing([out, *companions(out)], overwrite)
    found = read_runs(runs)
    with progress("videos") as on_progress:
        write_report(
            found,
            out,
            title=title,
            baseline=baseline,
            media_bytes=round(media * 1e6),
            cases=cases,
            on_progress=on_progress,
        )
    rows = [row for run in found for row in run.rows]
    failed = sum(row.status == "failed" for row in rows)
    if failed:
        warn(f"{failed} of {len(rows)} videos failed; the page lists them")
    cases_in = len({row.case for row in rows})
    say(
        f"{out}: {len(found)} run{'s' * (len(found) != 1)}, {cases_in} case{'s' * (cases_in != 1)}, "
        f"{out.stat().st_size / 1e6:.1f} MB"
    )
    for path in companions(out):
        say(str(path))
