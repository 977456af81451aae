"""Reports: several runs on one page that needs no network, with all its numbers as JSON and CSV beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from motionloom.errors import InputError
from motionloom.evaluate.run import Run

MEDIA_BYTES = 25_000_000
CASES = 12


def write_report(
    runs: Sequence[Run],
    out: str | os.PathLike[str],
    *,
    title: str | None = None,
    baseline: str | int | None = None,
    media_bytes: int = MEDIA_BYTES,
    cases: int = CASES,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write OUT.html and, beside it, OUT.json (everything), OUT.csv (every value) and OUT.summary.csv.

    Args:
        runs: what is compared; one is fine.
        out: the page, ending in .html. Files are replaced, each whole or not at all.
        baseline: the run, by name or number, that others are compared with at first; default the first.
        media_bytes: room for videos inside the page; 0 leaves them out.
        cases: most cases whose videos are shown.

    Raises:
        InputError: no run, an unknown baseline, another ending, or runs that contradict themselves.
    """
    from motionloom.evaluate.report import tables
    from motionloom.evaluate.report.columns import Results
    from motionloom.evaluate.report.data import page_data
    from motionloom.evaluate.report.html import page
    from motionloom.evaluate.report.media import players
    from motionloom.media.files import replacing

    target = Path(out)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{target}: cannot write a report as {target.suffix or 'a folder'}, expected .html")
    if media_bytes < 0 or cases < 0:
        raise InputError(f"media_bytes, cases: found {media_bytes}, {cases}, expected zero or more")
    results = Results(runs)
    media = players(results, max_bytes=media_bytes, cases=cases, on_progress=on_progress) if media_bytes else []
    name = title or " · ".join(results.labels)
    data = page_data(results, title=name, baseline=_number(results.labels, baseline), media=media)
    text = page(data)
    for path, write in companions(target).items():
        {
            "json": lambda path: tables.write_all_json(path, results, data),
            "values": lambda path: tables.write_values(path, results),
            "summary": lambda path: tables.write_summary(path, results),
        }[write](path)
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return target


def companions(page: Path) -> dict[Path, str]:
    """The files that `write_report` writes beside its page, and what is in them."""
    return {
        page.with_suffix(".json"): "json",
        page.with_suffix(".csv"): "values",
        page.with_name(f"{page.stem}.summary.csv"): "summary",
    }


def _number(labels: Sequence[str], baseline: str | int | None) -> int:
    if baseline is None:
        return 0
    if isinstance(baseline, str) and baseline in labels:
        return labels.index(baseline)
    if isinstance(baseline, int) and 0 <= baseline < len(labels):
        return baseline
    raise InputError(f"baseline: found {baseline!r}, expected a run: {', '.join(labels)}")
