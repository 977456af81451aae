"""motionloom bench make, add, annotate, check, export, info."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from motionloom.cli.console import progress, say, show_table, warn
from motionloom.errors import InputError

app = typer.Typer(no_args_is_help=True)

Bench = Annotated[Path, typer.Argument(metavar="BENCH", help="Folder of the benchmark.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")]
OneLanguage = Annotated[str | None, typer.Option("--language", help="en or zh; default all there are.")]
OneMode = Annotated[str | None, typer.Option("--mode", help="single or multi; default both.")]
KINDS = "translation, rotation, zoom, curve or static"


@app.command()
def make(
    out: Annotated[Path, typer.Argument(help="Folder of the new benchmark.", show_default=False)],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder of videos; without it clips are drawn by the procedural generator."),
    ] = None,
    cases: Annotated[int | None, typer.Option("--cases", help="How many; default 24, or every video.", min=1)] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which clips are drawn, which points are taken.", min=0)] = 0,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Default 128x128, or the videos' own up to 832x480.")
    ] = None,
    frames: Annotated[int | None, typer.Option("--frames", help="Default 17, or 81 of videos.", min=2)] = None,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second.")] = 16.0,
    tracks: Annotated[int, typer.Option("--tracks", help="Of each case at most.", min=4)] = 16,
    language: Annotated[list[str] | None, typer.Option("--language", help="en or zh; may be repeated.")] = None,
    photographs: Annotated[
        Path | None, typer.Option("--photographs", help="Folder of pictures that the generator takes for textures.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a benchmark in MoveBench's layout: with exact tracks from the generator, or from any folder of videos."""
    from motionloom.evaluate.make_bench import make_from_videos, make_procedural
    from motionloom.jobs import parse_size

    if source is not None and photographs is not None:
        raise InputError("--photographs: is for the generator, not for videos (--from)")
    common: dict[str, Any] = {
        "seed": seed, "fps": fps, "tracks": tracks, "languages": tuple(language or ("en",)), "overwrite": overwrite
    }  # fmt: skip
    wished = {"num_frames": frames, "cases": cases, "size": parse_size(size) if size else None}
    common |= {name: value for name, value in wished.items() if value is not None}
    with progress(out.name) as bar:
        if source is not None:
            made = make_from_videos(source, out, on_progress=bar, **common)
        else:
            pictures = _pictures(photographs) if photographs is not None else None
            made = make_procedural(out, photographs=pictures, on_progress=bar, **common)
    for name, why in made.skipped.items():
        warn(f"skipped {name}: {why}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(made.categories.items()))
    say(f"{out}: {_many(len(made.ids), 'case')} ({kinds or 'none new'}), {made.multi} of them with several objects")
    if made.skipped and not made.ids and not any("already" in why for why in made.skipped.values()):
        raise InputError(f"{out}: none of {len(made.skipped)} videos became a case; the lines above say why")


@app.command()
def add(
    bench: Bench,
    source: Annotated[
        Path | None, typer.Option("--from", help="YAML list or JSONL of cases with the keys of the options below.")
    ] = None,
    image: Annotated[Path | None, typer.Option("--image", "-i", help="First frame; default that of --video.")] = None,
    motion: Annotated[Path | None, typer.Option("--motion", help="Motion or tracks in any supported format.")] = None,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="Caption.")] = "",
    video: Annotated[Path | None, typer.Option("--video", help="The true video, of the image's size.")] = None,
    last_image: Annotated[Path | None, typer.Option("--last-image", help="Photograph to end with.")] = None,
    mask: Annotated[Path | None, typer.Option("--mask", help="Object on the first frame, light on dark.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Name; default that of the image.")] = None,
    category: Annotated[str | None, typer.Option("--category", help=f"{KINDS}; default found from the tracks.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Word to find it by; may be repeated.")] = None,
    notes: Annotated[str | None, typer.Option("--notes", help="Anything worth knowing.")] = None,
    language: Annotated[str | None, typer.Option("--language", help="Of the caption; default en.")] = None,
    mode: Annotated[str, typer.Option("--mode", help="single or multi.")] = "single",
    frames: Annotated[int | None, typer.Option("--frames", help="Of a new benchmark; default 81.", min=1)] = None,
    fps: Annotated[float | None, typer.Option("--fps", help="Of a new benchmark; default 16.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Put cases of your own into a benchmark; a folder that does not exist becomes one."""
    from motionloom.evaluate.movebench import add_case, add_cases, read_case_list

    common: dict[str, Any] = {"language": language, "num_frames": frames, "fps": fps}
    if source is not None:
        if image is not None or motion is not None or video is not None:
            raise InputError("--from: holds whole cases; leave --image, --motion and --video out")
        with progress(source.name) as bar:
            entries = read_case_list(source)
            added = add_cases(bench, entries, overwrite=overwrite, on_progress=bar, **{**common, "mode": mode})
        say(f"{bench}: {_many(len(added), 'case')} added from {source}")
        return
    if motion is None or (image is None and video is None):
        raise InputError("expected --motion and --image or --video, or a list of cases with --from")
    case = add_case(
        bench, image=image, motion=motion, caption=prompt, id=id, mode=mode, video=video, last_image=last_image,
        mask=mask, category=category, tags=tuple(tag or ()), notes=notes, overwrite=overwrite, **common,
    )  # fmt: skip
    say(f"{bench}: {case.id} ({case.language} {case.mode}, {case.category}): {case.read_motion()!r}")


@app.command()
def annotate(
    bench: Bench,
    ids: Annotated[list[str], typer.Argument(help="Cases.", show_default=False)],
    category: Annotated[str | None, typer.Option("--category", help=f"{KINDS}; empty: as the tracks show.")] = None,
    content: Annotated[str | None, typer.Option("--content", help="What is to be seen; empty takes it away.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Replaces all tags; may be repeated.")] = None,
    notes: Annotated[str | None, typer.Option("--notes", help="Empty takes them away.")] = None,
) -> None:
    """Write down what is known of cases, the published ones too; it is kept in cases.jsonl beside the layout."""
    from motionloom.evaluate.movebench import annotate as write_down

    said: Mapping[str, Any] = {"category": category, "content": content, "notes": notes, "tags": tag}
    values = {name: value or None for name, value in said.items() if value is not None}
    if values.get("tags") == [""]:
        values["tags"] = None
    if not values:
        raise InputError("expected --category, --content, --tag or --notes")
    write_down(bench, ids, values)
    say(f"{bench}: {', '.join(values)} of {_many(len(ids), 'case')}")


@app.command()
def check(
    bench: Bench,
    language: OneLanguage = None,
    mode: OneMode = None,
    videos: Annotated[bool, typer.Option(help="Decode the videos.")] = True,
) -> None:
    """Look for what is missing, damaged or odd: files, shapes, frames, sizes, tracks. Ends with 2 on errors."""
    from rich.table import Table

    from motionloom.evaluate.movebench import check as look
    from motionloom.evaluate.movebench import contents

    with progress(bench.name) as bar:
        findings = look(bench, language=language, mode=mode, videos=videos, on_progress=bar)
    errors = [each for each in findings if each.level == "error"]
    if findings:
        from rich.text import Text

        table = Table("", "where", "case", "what", box=None, pad_edge=False)
        for each in [*errors, *(each for each in findings if each.level != "error")]:
            # As text: names in brackets would be taken for styles.
            place = f"{each.language} {each.mode}".strip()
            table.add_row(each.level, place, Text(each.case, overflow="fold"), Text(each.what, overflow="fold"))
        show_table(table)
    if errors:
        others = _many(len(findings) - len(errors), "warning")
        raise InputError(f"{bench}: {_many(len(errors), 'error')} and {others}, listed above")
    total = sum(each.cases for each in contents(bench, language=language, mode=mode))
    odd = f", {_many(len(findings), 'warning')}" if findings else ""
    say(f"{bench}: {_many(total, 'motion')}, nothing wrong{odd}")


@app.command()
def export(
    bench: Bench,
    out: Annotated[Path, typer.Argument(help="Folder of the new benchmark.", show_default=False)],
    id: Annotated[list[str] | None, typer.Option("--id", help="Case to take; may be repeated.")] = None,
    category: Annotated[list[str] | None, typer.Option("--category", help=f"{KINDS}; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    language: OneLanguage = None,
    mode: OneMode = None,
    annotations: Annotated[bool, typer.Option("--annotations", help="Write cases.jsonl too.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Copy chosen cases into a new folder, in the pure published layout."""
    from motionloom.evaluate.movebench import export_cases

    count = export_cases(
        bench, out, ids=id, categories=category, tags=tag, language=language, mode=mode, annotations=annotations,
        overwrite=overwrite,
    )  # fmt: skip
    say(f"{out}: {_many(count, 'case')}")


@app.command()
def info(bench: Bench, language: OneLanguage = None, mode: OneMode = None) -> None:
    """What is in a benchmark: cases, categories, contents, sizes, frames, tracks."""
    from motionloom.evaluate.movebench import contents

    for number, each in enumerate(contents(bench, language=language, mode=mode)):
        if number:
            say("")
        say(f"{each.language} {each.mode}")
        own = f", {each.own} of one's own" if each.own else ""
        say(f"  {'cases':<12}{each.cases} ({each.videos} with video, {each.masks} with mask{own})")
        for name, counts in (("categories", each.categories), ("sizes", each.sizes), ("frames", each.frames)):
            say(f"  {name:<12}" + ", ".join(f"{value}: {count}" for value, count in counts.most_common()))
        if each.tracks:
            low, high = min(each.tracks), max(each.tracks)
            say(f"  {'tracks':<12}{low if low == high else f'{low} to {high}'} per case, {sum(each.tracks)} in all")
        shown = each.contents.most_common(12)
        more = f", and {len(each.contents) - len(shown)} more" if len(each.contents) > len(shown) else ""
        say(f"  {'contents':<12}" + ", ".join(f"{value}: {count}" for value, count in shown) + more)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _pictures(folder: Path) -> list[Any]:
    from motionloom.media import read_image

    endings = (".jpg", ".jpeg", ".png", ".webp")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings) if folder.is_dir() else []
    if not files:
        raise InputError(f"--photographs: found no picture in {folder}, expected a folder of .jpg, .png or .webp")
    return [read_image(path) for path in files]
