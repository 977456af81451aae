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
    out: Annotated[Path, typer.Option("-o", "--out", help=".png .jpg for a still, .mp4 .webm .gif .webp for a clip.")],
    image: Annotated[
        Path | None,
        typer.Option(
            "--image", "-i", help="Photograph or clip to draw on; --flow draws on white without.", show_default=False
        ),
    ] = None,
    flow: Annotated[
        bool, typer.Option("--flow", help="Flow colours, which Tora is given, instead of paths: hue is the direction.")
    ] = False,
    format: Format = None,
    size: Size = None,
    fps: Fps = None,
    units: Units = None,
    frames: Frames = None,
    option: Option = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw the tracks on a photograph (still or moving) or on a clip."""
    import numpy as np

    from motionloom.draw import draw as draw_on
    from motionloom.draw import draw_flow, draw_flow_paths
    from motionloom.media import Clip, read_image, write_image

    refuse_existing([out], overwrite)
    still = out.suffix.lower() in (".png", ".jpg", ".jpeg")
    options = _options(format, size, fps, units, frames, option)
    if image is None:
        if not flow:
            raise InputError("--image: found none, expected a photograph or clip to draw on; --flow draws without")
        tracks = _read(files, options)
        if still:
            write_image(out, draw_flow_paths(np.full((*tracks.size, 3), 255, np.uint8), tracks))
        else:
            draw_flow(tracks).save(out)
        say(f"{out}: {tracks!r}")
        return
    clip = Clip.load(image) if image.suffix.lower() in VIDEOS else None
    picture = clip.frames[0] if clip else read_image(image)
    canvas = (picture.shape[0], picture.shape[1])
    # A file that names no canvas was most likely made for this picture.
    tracks = _read(files, options, canvas=canvas).resize(canvas)
    if still and flow:
        write_image(out, draw_flow_paths(picture, tracks))
    elif still:
        _draw_preview(out, tracks, picture)
    else:
        if clip:
            tracks = tracks.resample(clip.num_frames)
        on = clip or picture
        (draw_flow(tracks, on, legend=True) if flow else draw_on(on, tracks)).save(out)
    say(f"{out}: {tracks!r}")


@app.command()
def extract(
    video: Annotated[Path, typer.Argument(help="Video to follow points in.", show_default=False)],
    target: Annotated[
        Path | None, typer.Argument(help="Track file to write; its ending chooses the format.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The same as TARGET.", show_default=False)] = None,
    spacing: Annotated[float, typer.Option("--spacing", help="Pixels between the points of a grid.", min=1)] = 32.0,
    grid: Annotated[
        int | None,
        typer.Option("--grid", help="Points along the longer side, instead of --spacing.", min=1),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(
            "--points",
            metavar="FILE|x,y;x,y",
            help="These points instead of a grid; a file has one x,y (or frame,x,y) a line, or is a JSON list of them.",
        ),
    ] = None,
    frame: Annotated[
        int, typer.Option("--frame", help="Frame on which the points are; they are followed both ways.", min=0)
    ] = 0,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Picture that is white where points of the grid are wanted.")
    ] = None,
    part: Annotated[str | None, typer.Option("--range", metavar="a:b", help="Only frames a to b - 1.")] = None,
    tracker: Annotated[str, typer.Option("--tracker", help="offline, tapir, tapnext or cotracker3.")] = "offline",
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Weights of a learned tracker.", show_default=False)
    ] = None,
    code: Annotated[
        Path | None, typer.Option("--code", help="Clone of a learned tracker's repository.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option("--device", help="What a learned tracker runs on: cpu, cuda.")] = "cpu",
    to: Annotated[str | None, typer.Option("--to", help="Format to write; see motionloom tracks formats.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Follow points through a video and write how they move. Videos of any length; nothing is downloaded."""
    from motionloom.media.stream import PartFrames, open_frames
    from motionloom.tracks.formats import write_tracks
    from motionloom.tracks.trackers import load_tracker, track
    from motionloom.tracks.trackers.catalog import tracker_card

    if (target is None) == (out is None):
        raise InputError("-o: found no file to write, or two; name one, after the video or with -o")
    file = out or target
    assert file is not None
    refuse_existing([file], overwrite)
    card = tracker_card(tracker)
    if card.repository:
        say(card.notice)
    chosen = load_tracker(tracker, checkpoint=checkpoint, code=code, device=device)
    frames = open_frames(video)
    if part is not None:
        frames = PartFrames(frames, *_range(part))
    queries = _queries(frames.size, spacing, grid, points, frame, mask)
    with progress(video.name) as on_progress:
        tracks = track(frames, queries, tracker=chosen, on_progress=on_progress)
    write_tracks(tracks, file, format=to, overwrite=overwrite)
    say(f"{file}: {tracks!r}")


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


def _range(text: str) -> tuple[int, int | None]:
    """a:b as frame numbers; either may be left out."""
    first, colon, last = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(first or 0), int(last) if last else None
    except ValueError:
        raise InputError(f"--range: found {text!r}, expected a:b, such as 0:48 or 24:") from None


def _queries(
    size: tuple[int, int], spacing: float, along: int | None, points: str | None, frame: int, mask: Path | None
) -> NDArray[np.float64]:
    """[N, 3] of (frame, x, y)."""
    import numpy as np

    from motionloom.media import read_image
    from motionloom.tracks.trackers import grid

    if points is not None:
        if along is not None or mask is not None:
            raise InputError("--points: goes without --grid and --mask")
        return _points(points, frame)
    queries = grid(size, max(size) / along if along else spacing, frame)
    if mask is not None:
        picture = read_image(mask)
        if picture.shape[:2] != size:
            raise InputError(
                f"{mask}: found {picture.shape[1]}x{picture.shape[0]}, expected the size of the video, "
                f"{size[1]}x{size[0]}"
            )
        x, y = np.floor(queries[:, 1:]).astype(np.int64).T
        queries = queries[picture[y, x].mean(-1) >= 128]
        if not len(queries):
            raise InputError(f"{mask}: no point of the grid is inside; use a smaller --spacing or another mask")
    return queries


def _points(text: str, frame: int) -> NDArray[np.float64]:
    """x,y;x,y or a file of points, each x,y or frame,x,y."""
    import numpy as np

    source = "--points"
    if Path(text).is_file():
        source, text = text, Path(text).read_text(encoding="utf-8", errors="replace")
    try:
        if text.lstrip().startswith("["):
            rows = [[float(value) for value in row] for row in json.loads(text)]
        else:
            lines = [line for line in text.replace(";", "\n").splitlines() if line.strip()]
            rows = [[float(value) for value in line.replace(",", " ").split()] for line in lines]
        if not rows or any(len(row) not in (2, 3) for row in rows):
            raise ValueError
    except (ValueError, TypeError):
        raise InputError(
            f"{source}: found {text[:40]!r}, expected x,y;x,y, or a file with x,y or frame,x,y in each line"
        ) from None
    return np.array([row if len(row) == 3 else [frame, *row] for row in rows], np.float64)


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
