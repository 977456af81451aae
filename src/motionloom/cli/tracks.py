"""motionloom tracks info, convert, draw, extract, formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionloom.cli.console import progress, refuse_existing, say, show_table
from motionloom.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motionloom.tracks.tracks import Tracks

app = typer.Typer(no_args_is_help=True)

VIDEOS = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
PREVIEW_SIDE = 1024
CANVAS_GREY = 40

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
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="Option of the format when reading, such as name=dog; see docs/formats.md.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


@app.command()
def info(
    files: Files,
    together: Annotated[
        bool, typer.Option("--together", help="The files are one motion, such as Tora's one file per track.")
    ] = False,
    preview: Annotated[Path | None, typer.Option("--preview", help="Draw the tracks into this .png or .jpg.")] = None,
    image: Annotated[Path | None, typer.Option("--image", "-i", help="Photograph to draw the preview on.")] = None,
    format: Format = None,
    size: Size = None,
    fps: Fps = None,
    units: Units = None,
    frames: Frames = None,
    option: Option = None,
    overwrite: Overwrite = False,
) -> None:
    """Explain a file: format and why, units, frames, rate, tracks, how much is visible or out of frame."""
    from motionloom.tracks.info import describe

    if image is not None and preview is None:
        raise InputError("--image: is what --preview is drawn on, and no --preview was asked for")
    if preview is not None and len(files) > 1 and not together:
        raise InputError(f"--preview: found {len(files)} files, expected one, or --together if they are one motion")
    refuse_existing([preview], overwrite)
    picture = _picture(image) if image is not None else None
    said = _options(format, size, fps, units, frames, option)
    for number, file in enumerate([files] if together else files):
        if number:
            say("")
        found = describe(file, **said)
        if found.tracks is None and picture is not None and said["size"] is None:
            # A file that names no canvas was most likely made for this picture.
            found = describe(file, **{**said, "size": picture.shape[:2]})
        for line in found.lines():
            say(line)
        if preview is not None:
            if found.tracks is None:
                raise InputError(f"--preview: {found.missing}")
            _draw_preview(preview, found.tracks, picture)
            say(f"{'preview':<11}{preview}")


@app.command()
def convert(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Motion or track file, or several whose tracks belong together.", show_default=False),
    ],
    target: Annotated[Path, typer.Argument(help="File to write; its ending chooses the format.", show_default=False)],
    to: Annotated[str | None, typer.Option("--to", help="Format to write; see motionloom tracks formats.")] = None,
    format: Format = None,
    size: Size = None,
    fps: Fps = None,
    units: Units = None,
    frames: Frames = None,
    option: Option = None,
    to_size: Annotated[str | None, typer.Option("--to-size", help="Scale to this canvas.", metavar="WxH")] = None,
    to_fps: Annotated[float | None, typer.Option("--to-fps", help="Play at this rate; speeds are kept.")] = None,
    to_frames: Annotated[int | None, typer.Option("--to-frames", help="Stretch over this many frames.", min=1)] = None,
    to_option: Annotated[
        list[str] | None,
        typer.Option("--to-option", metavar="NAME=VALUE", help="Option of the format when writing: dtype=uint16 ..."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a motion in another format. An existing file is not replaced unless told so."""
    from motionloom.jobs import parse_size
    from motionloom.tracks.formats import write_tracks

    refuse_existing([target], overwrite)
    tracks = _read(sources, _options(format, size, fps, units, frames, option))
    if to_size:
        tracks = tracks.resize(parse_size(to_size))
    if to_fps is not None or to_frames is not None:
        tracks = tracks.resample(to_frames, fps=to_fps)
    written = write_tracks(tracks, target, format=to, overwrite=overwrite, **_values("--to-option", to_option))
    more = f" and {len(written) - 1} more" if len(written) > 1 else ""
    say(f"{written[0]}{more}: {tracks!r}")


@app.command()
def draw(
    files: Annotated[
        list[Path],
        typer.Argument(help="Motion or track file, or several whose tracks belong together.", show_default=False),
    ],
    image: Annotated[Path, typer.Option("--image", "-i", help="Photograph or clip to draw on.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help=".png .jpg for a still, .mp4 .webm .gif .webp for a clip.")],
    format: Format = None,
    size: Size = None,
    fps: Fps = None,
    units: Units = None,
    frames: Frames = None,
    option: Option = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw the tracks on a photograph (still or moving) or on a clip."""
    from motionloom.draw import draw as draw_on
    from motionloom.media import Clip, read_image

    refuse_existing([out], overwrite)
    clip = Clip.load(image) if image.suffix.lower() in VIDEOS else None
    picture = clip.frames[0] if clip else read_image(image)
    canvas = (picture.shape[0], picture.shape[1])
    options = _options(format, size, fps, units, frames, option)
    # A file that names no canvas was most likely made for this picture.
    tracks = _read(files, options, canvas=canvas).resize(canvas)
    if out.suffix.lower() in (".png", ".jpg", ".jpeg"):
        _draw_preview(out, tracks, picture)
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
    format: str | None,
    size: str | None,
    fps: float | None,
    units: str | None,
    frames: int | None,
    option: Sequence[str] | None,
) -> dict[str, Any]:
    from motionloom.jobs import parse_size

    if fps is not None and not fps > 0:
        raise InputError(f"--fps: found {fps:g}, expected a number above zero")
    return {
        **_values("--option", option),
        "format": format,
        "size": parse_size(size) if size else None,
        "fps": fps,
        "units": units,
        "num_frames": frames,
    }


def _values(flag: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """NAME=VALUE as keyword arguments: numbers, true, false and null as such, everything else as text."""
    values: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"{flag}: found {pair!r}, expected NAME=VALUE")
        if name in ("format", "size", "fps", "units", "num_frames", "overwrite"):
            raise InputError(f"{flag}: {name} has a flag of its own")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        values[name] = text if isinstance(value, list | dict | str) else value
    return values


def _read(files: Sequence[Path], options: dict[str, Any], canvas: tuple[int, int] | None = None) -> Tracks:
    from motionloom.errors import AmbiguousUnitsError
    from motionloom.tracks.formats import read_tracks

    motion = files[0] if len(files) == 1 else files
    try:
        return read_tracks(motion, **options)
    except AmbiguousUnitsError:
        if canvas is None or options["size"]:
            raise
        return read_tracks(motion, **{**options, "size": canvas})


def _picture(path: Path) -> NDArray[np.uint8]:
    from motionloom.media import Clip, read_image

    return Clip.load(path).frames[0] if path.suffix.lower() in VIDEOS else read_image(path)


def _draw_preview(out: Path, tracks: Tracks, picture: NDArray[np.uint8] | None) -> None:
    """The paths on a picture, or on an empty canvas of their own shape."""
    import numpy as np

    from motionloom.draw import draw_paths
    from motionloom.media import write_image

    if picture is None:
        shrink = min(1.0, PREVIEW_SIDE / max(tracks.size))
        height, width = (max(1, round(side * shrink)) for side in tracks.size)
        picture = np.full((height, width, 3), CANVAS_GREY, np.uint8)
    write_image(out, draw_paths(picture, tracks.resize((picture.shape[0], picture.shape[1]))))
