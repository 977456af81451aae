"""Every track file format in one place: recognise, read, write."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import numpy as np

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats import (
    after_effects,
    anyi2v,
    ati,
    ati_list,
    blender,
    cotracker,
    kj_coordinates,
    kj_points,
    motion_file,
    native,
    realestate10k,
    tapvid,
    tora,
    trajectory_config,
    wan2gp,
    wan_move,
)
from motionloom.tracks.formats.base import NORMALISED, Ask, Detection, Format
from motionloom.tracks.formats.source import Source
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

PathLike = str | os.PathLike[str]

# In the order in which they are tried; the more particular ones first.
FORMATS: tuple[Format, ...] = tuple(
    module.FORMAT
    for module in (
        native,
        motion_file,
        ati,
        cotracker,
        wan2gp,
        wan_move,
        tapvid,
        anyi2v,
        trajectory_config,
        kj_points,
        kj_coordinates,
        after_effects,
        blender,
        tora,
        realestate10k,
        ati_list,
    )
)
_BY_NAME = {format.name: format for format in FORMATS}


def list_formats() -> list[Format]:
    """Every format, in the order in which they are tried."""
    return list(FORMATS)


def detect(path: PathLike) -> Detection:
    """What a file is, by its content.

    Raises:
        FileFormatError: no file, or content no format recognises.
    """
    return _detect(Source(path))


def read_tracks(
    path: PathLike | Sequence[PathLike],
    *,
    format: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    units: str | None = None,
    num_frames: int | None = None,
    visible_threshold: float | None = None,
    **options: Any,
) -> Tracks:
    """Tracks from any supported file.

    Args:
        path: a file, or several whose tracks belong together (Tora: one per track; Wan-Move: tracks and visibility).
        format: its name from `list_formats`; by default the content decides.
        size: (height, width) the file's coordinates refer to, where the file does not say.
        fps: frames per second of the file, where it does not say; overrides the format's usual rate.
        units: "pixels" or "normalised" (0 to 1), where both are possible.
        num_frames: for files of key points the number of frames to sample; for files of frames the whole motion is
            stretched onto this many (`Tracks.resample`).
        visible_threshold: visibility from which a point counts as visible, where the file has probabilities.
        options: further options of the format; see ``docs/formats.md``.

    Raises:
        AmbiguousUnitsError: the file does not say what is needed; the message names the argument and the flag.
        FileFormatError: unknown, damaged or hostile content.
        InputError: an argument that makes no sense, or an option the format does not have.
    """
    said = {"size": size, "fps": fps, "units": units, "num_frames": num_frames}
    ask, _ = make_ask({**said, "visible_threshold": visible_threshold})
    return read_with(path, ask, format=format, **options)


def make_ask(arguments: Mapping[str, Any]) -> tuple[Ask, dict[str, Any]]:
    """The named arguments of `read_tracks`, checked, and the options that remain.

    Raises:
        InputError: an argument that makes no sense.
    """
    options = dict(arguments)
    ask = Ask(
        size=_size(options.pop("size", None)),
        fps=_rate(options.pop("fps", None)),
        units=_units(options.pop("units", None)),
        num_frames=_count(options.pop("num_frames", None)),
        visible_threshold=options.pop("visible_threshold", None),
    )
    return ask, options


def read_with(path: PathLike | Sequence[PathLike], ask: Ask, *, format: str | None = None, **options: Any) -> Tracks:
    """`read_tracks` with its questions as one object, whose notes tell afterwards what was assumed."""
    if isinstance(path, str | os.PathLike):
        return _read_one(Source(path), ask, format, options)
    paths = [Path(item) for item in path]
    if not paths:
        raise InputError("path: found an empty list, expected at least one file")
    pair = _wan_move_pair(paths)
    if pair is not None:
        return _read_one(Source(pair[0]), ask, format, {**options, "visibility": pair[1]})
    tracks = [_read_one(Source(item), ask, format, options) for item in paths]
    return _together(tracks)


def read_motion(path: PathLike, **arguments: Any) -> Motion | Tracks:
    """A `Motion` from a ``*.motion.json`` file; tracks from every other, with the arguments of `read_tracks`."""
    source = Source(path)
    if motion_file.sniff(source) is not None:
        from motionloom.tracks.motion import Motion

        return Motion.load(source.path)
    return read_tracks(path, **arguments)


def write_tracks(
    tracks: Tracks, path: PathLike, *, format: str | None = None, overwrite: bool = True, **options: Any
) -> list[Path]:
    """Write tracks. Files appear complete or not at all (temporary name, then rename).

    Args:
        path: where to. Formats of several files (Tora, Wan-Move, Wan2GP) put the others beside it.
        format: a name from `list_formats`; by default the ending of ``path`` decides where it can.
        overwrite: False refuses when any of the files exists.
        options: of the format; see ``docs/formats.md``.

    Returns:
        The files written.

    Raises:
        InputError: something the format cannot hold (hidden points, negative positions, ...), or an unknown option.
    """
    path = Path(path)
    chosen = _named(format) if format is not None else _by_suffix(path)
    if chosen.write is None:
        raise InputError(f"format: {chosen.name!r} can be read only")
    _check_options(chosen, chosen.write, options)
    files: Mapping[Path, bytes] = chosen.write(tracks, path, **options)
    existing = [] if overwrite else [place for place in files if place.exists()]
    if existing:
        raise InputError(
            f"{existing[0]}: exists already; choose another name, or replace it with overwrite=True "
            "(--overwrite on the command line)"
        )
    replace_files(files)
    return list(files)


def replace_files(files: Mapping[Path, bytes]) -> None:
    """Write files under temporary names beside their places, then rename them all. Missing folders are made.

    Raises:
        FileFormatError: the system refuses; no temporary file stays behind.
        InputError: a place is a folder.
    """
    from motionloom.media.files import replacing

    place = next(iter(files))
    try:
        with ExitStack() as places:
            for place, content in files.items():
                places.enter_context(replacing(place)).write_bytes(content)
    except OSError as problem:
        raise FileFormatError(f"{place}: cannot be written ({problem.strerror})") from None


def _detect(source: Source) -> Detection:
    for format in FORMATS:
        found = format.sniff(source)
        if found is not None:
            return found
    if source.head.startswith(b"PK\x03\x04"):
        raise source.error(
            "a zip archive, but neither a torch file nor an npz with tracks; unpack it if it holds track files"
        )
    if source.looks_like_text and source.json_bytes:
        _ = source.json  # says where it stops being JSON, if that is the trouble
        raise source.error("JSON, but of no known track format")
    kind = "text" if source.looks_like_text else "content"
    raise source.error(f"unknown {kind}; name the format with format= (--format on the command line)")


def _read_one(source: Source, ask: Ask, name: str | None, options: dict[str, Any]) -> Tracks:
    format = _named(name) if name is not None else _BY_NAME[_detect(source).format]
    if format.read is None:
        raise InputError(f"format: {format.name!r} can be written only")
    if ask.units is not None and ask.units not in format.accepts_units:
        raise InputError(f"units: {format.title} are in {format.accepts_units[0]}, found units={ask.units!r}")
    _check_options(format, format.read, options)
    try:
        # Numbers that overflow are refused by what checks the result; numpy need not warn about them as well.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return format.read(source, ask, **options)
    except MemoryError:
        raise source.error("asks for more memory than there is") from None


def _together(tracks: list[Tracks]) -> Tracks:
    first, *others = tracks
    for other in others:
        if other.num_frames != first.num_frames:
            raise InputError(
                f"path: the files have {first.num_frames} and {other.num_frames} frames; "
                "give num_frames (--num-frames) to bring them together"
            )
    return first.concat(*others)


def _wan_move_pair(paths: list[Path]) -> tuple[Path, Path] | None:
    """(tracks, visibility) if the list is such a pair: of two npy files one holds visibility."""
    if len(paths) != 2 or any(path.suffix.lower() != ".npy" for path in paths):
        return None
    from motionloom.tracks.formats.source import npy_header

    facts = [npy_header(Source(path)) for path in paths]
    # Visibility is boolean, or has one axis less, or says so in its name.
    signs = [
        (dtype == np.bool_, -len(shape), path.stem.endswith(wan_move.VISIBILITY_END))
        for path, (shape, dtype) in zip(paths, facts, strict=True)
    ]
    if signs[0] == signs[1]:
        return None
    return (paths[1], paths[0]) if signs[0] > signs[1] else (paths[0], paths[1])


def _named(name: str) -> Format:
    try:
        return _BY_NAME[name]
    except KeyError:
        raise InputError(f"format: found {name!r}, expected one of {', '.join(_BY_NAME)}") from None


def _by_suffix(path: Path) -> Format:
    name = path.name.lower()

    def ending(format: Format) -> int:
        return max((len(suffix) for suffix in format.suffixes if name.endswith(suffix)), default=0)

    fitting = [format for format in FORMATS if format.write is not None and ending(format)]
    longest = max((ending(format) for format in fitting), default=0)
    fitting = [format for format in fitting if ending(format) == longest]
    if len(fitting) == 1:
        return fitting[0]
    choice = ", ".join(format.name for format in (fitting or [f for f in FORMATS if f.write is not None]))
    raise InputError(
        f"path: the ending of {path.name!r} does not decide the format; "
        f"give format= (--to on the command line), one of {choice}"
    )


def _check_options(format: Format, function: Any, options: dict[str, Any]) -> None:
    """Refuses options a reader or writer does not have, and values of another type than it takes."""
    if not options:
        return
    parameters = inspect.signature(function).parameters.values()
    allowed = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    hints = get_type_hints(function)
    for name, value in options.items():
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise InputError(f"{name}: {format.title} have no such option, expected one of: {known}")
        hint = hints[name]
        types = [get_origin(part) or part for part in (get_args(hint) if get_origin(hint) is UnionType else (hint,))]
        fits = isinstance(value, tuple(types)) or (float in types and isinstance(value, int))
        if not fits or (isinstance(value, bool) and bool not in types):
            expected = " or ".join("nothing" if kind is NoneType else kind.__name__ for kind in types)
            raise InputError(f"{name}: found {str(value)[:40]!r}, expected {expected}")


def _size(size: tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError):
        raise InputError(f"size: found {size!r}, expected (height, width)") from None
    if height < 1 or width < 1:
        raise InputError(f"size: found {size!r}, expected (height, width) above zero")
    return height, width


def _rate(fps: float | None) -> float | None:
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise InputError(f"fps: found {fps}, expected a number above zero")
    return fps


def _count(num_frames: int | None) -> int | None:
    if num_frames is not None and not 1 <= num_frames <= MAX_FRAMES:
        raise InputError(f"num_frames: found {num_frames}, expected 1 to {MAX_FRAMES}")
    return num_frames


def _units(units: str | None) -> str | None:
    if units == "normalized":
        return NORMALISED
    if units not in (None, "pixels", NORMALISED):
        raise InputError(f"units: found {units!r}, expected 'pixels' or 'normalised'")
    return units


__all__ = [
    "FORMATS",
    "detect",
    "list_formats",
    "make_ask",
    "read_motion",
    "read_tracks",
    "read_with",
    "replace_files",
    "write_tracks",
]
