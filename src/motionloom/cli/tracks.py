"""motionloom tracks info, convert, draw, extract, formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionloom.cli.console import progress, refuse_existing, say, show_table
from motionloom.errors import InputError

if TYPE_CHECKING:
    from motionloom.tracks.tracks import Tracks

app = typer.Typer(no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(help="Motion or track files.", show_default=False)]
Format = Annotated[str | None, typer.Option("--format", help="Format of the file; default: found by content.")]
Size = Annotated[str | None, typer.Option("--size", help="Canvas of a file that does not say it.", metavar="WxH")]
Fps = Annotated[float | None, typer.Option("--fps", help="Frames per second of a file that does not say it.")]
Units = Annotated[
    str | None, typer.Option("--units", help="Units of a file that does not say them: pixels, normalised.")
]
Frames = Annotated[
    int | None, typer.Option("--frames", "--num-frames", help="Frames to read, for formats that leave it open.", min=1)
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


@app.command()
def info(
    files: Files, format: Format = None, size: Size = None, fps: Fps = None, units: Units = None, frames: Frames = None
) -> None:
    """Explain a file: format and why, units, frames, rate, tracks, how much is visible or out of frame."""
    from motionloom.tracks.info import describe

    for number, file in enumerate(files):
        if number:
            say("")
        found = describe(file, **_options(format, size, fps, units, frames))
        for line in found.lines():
            say(line)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Motion or track file.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="File to write; its ending chooses the format.", show_default=False)],
    to: Annotated[str | None, typer.Option("--to", help="Format to write; see motionloom tracks formats.")] = None,
    format: Format = None,
    size: Size = None,
    fps: Fps = None,
    units: Units = None,
    frames: Frames = None,
    to_size: Annotated[str | None, typer.Option("--to-size", help="Scale to this canvas.", metavar="WxH")] = None,
    to_fps: Annotated[float | None, typer.Option("--to-fps", help="Play at this rate; speeds are kept.")] = None,
    to_frames: Annotated[int | None, typer.Option("--to-frames", help="Stretch over this many frames.", min=1)] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a motion in another format. An existing file is not replaced unless told so."""
    from motionloom.jobs import parse_size
    from motionloom.tracks.formats import write_tracks

    refuse_existing([target], overwrite)
    tracks = _read(source, _options(format, size, fps, units, frames))
    if to_size:
        tracks = tracks.resize(parse_size(to_size))
    if to_fps or to_frames:
        tracks = tracks.resample(to_frames, fps=to_fps)
    write_tracks(tracks, target, format=to)
    say(f"{target}: {tracks!r}")


@app.command()
def draw(
    file: Annotated[Path, typer.Argument(help="Motion or track file.", show_default=False)],
    image: Annotated[Path, typer.Option("--image", "-i", help="Photograph or clip to draw on.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help=".png .jpg for a still, .mp4 .webm .gif .webp for a clip.")],
    format: Format = None,
    size: Size = None,
    fps: Fps = None,
    units: Units = None,
    frames: Frames = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw the tracks on a photograph (still or moving) or on a clip."""
    from motionloom.draw import draw as draw_on
    from motionloom.draw import draw_paths
    from motionloom.media import Clip, read_image, write_image

    refuse_existing([out], overwrite)
    clip = Clip.load(image) if image.suffix.lower() in (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif") else None
    picture = clip.frames[0] if clip else read_image(image)
    options = _options(format, size, fps, units, frames)
    # A file that names no canvas was most likely made for this picture.
    tracks = _read(file, options, canvas=(picture.shape[0], picture.shape[1]))
    tracks = tracks.resize((picture.shape[0], picture.shape[1]))
    if out.suffix.lower() in (".png", ".jpg", ".jpeg"):
        write_image(out, draw_paths(picture, tracks))
    else:
        if clip:
            tracks = tracks.resample(clip.num_frames)
        draw_on(clip or picture, tracks).save(out)
    say(f"{out}: {tracks!r}")


@app.command()
def extract(
    video: Annotated[Path, typer.Argument(help="Video to follow points in.", show_default=False)],
    out: Annotated[
        Path, typer.Argument(help="Track file to write; its ending chooses the format.", show_default=False)
    ],
    spacing: Annotated[
        float, typer.Option("--spacing", help="Pixels between the points on the first frame.", min=1)
    ] = 32.0,
    to: Annotated[str | None, typer.Option("--to", help="Format to write; see motionloom tracks formats.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Follow a grid of points through a video and write how they move."""
    from motionloom.media import Clip
    from motionloom.tracks.formats import write_tracks
    from motionloom.tracks.trackers import track

    refuse_existing([out], overwrite)
    with progress(video.name):
        tracks = track(Clip.load(video), spacing)
    write_tracks(tracks, out, format=to)
    say(f"{out}: {tracks!r}")


@app.command()
def formats() -> None:
    """List the formats motionloom reads and writes."""
    from rich.table import Table

    from motionloom.tracks.formats import list_formats

    table = Table("format", "files", "reads", "writes", "units", "what", box=None, pad_edge=False)
    for entry in list_formats():
        table.add_row(
            entry.name, " ".join(entry.suffixes), "yes" if entry.read else "", "yes" if entry.write else "",
            entry.units, entry.title,
        )  # fmt: skip
    show_table(table)


def _options(
    format: str | None, size: str | None, fps: float | None, units: str | None, frames: int | None
) -> dict[str, Any]:
    from motionloom.jobs import parse_size

    if fps is not None and not fps > 0:
        raise InputError(f"--fps: found {fps:g}, expected a number above zero")
    return {
        "format": format,
        "size": parse_size(size) if size else None,
        "fps": fps,
        "units": units,
        "num_frames": frames,
    }


def _read(file: Path, options: dict[str, Any], canvas: tuple[int, int] | None = None) -> Tracks:
    from motionloom.errors import AmbiguousUnitsError
    from motionloom.tracks.formats import read_tracks

    try:
        return read_tracks(file, **options)
    except AmbiguousUnitsError:
        if canvas is None or options["size"]:
            raise
        return read_tracks(file, **{**options, "size": canvas})
