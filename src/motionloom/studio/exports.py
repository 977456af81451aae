"""A motion as files of every tool in the field, and what those formats are."""

from __future__ import annotations

import inspect
import io
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import InputError, MotionloomError
from motionloom.studio.imports import without_flags
from motionloom.studio.schemas import TrackFormat

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

_UNSAFE = re.compile(r"[^\w.-]+|\.{2,}")


@dataclass(frozen=True)
class Exported:
    """A file to download: its name, its content and its media type."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


def track_formats() -> list[TrackFormat]:
    """Every format that a browser can bring or take away."""
    from motionloom.tracks.formats import list_formats

    found = [
        TrackFormat(
            name=each.name,
            title=each.title,
            suffixes=list(each.suffixes),
            units=each.units,
            frames=each.frames,
            readable=each.read is not None,
            writable=each.write is not None or each.name == "motion",
            options=_options(each.write),
        )
        # A job list names files of the machine that reads it.
        for each in list_formats()
        if each.name != "ati-list"
    ]
    clip = TrackFormat(
        name="clip",
        title="Clip made by motionloom",
        suffixes=[".mp4", ".webm", ".gif", ".webp", ".png"],
        units="as its motion",
        frames="as its motion",
        readable=True,
        writable=False,
    )
    return [*found, clip]


def export(
    motion: Motion,
    format: str,
    *,
    name: str = "motion",
    size: tuple[int, int] | None = None,
    num_frames: int | None = None,
    fps: float | None = None,
    options: Mapping[str, str] | None = None,
) -> Exported:
    """A motion in a format, on a canvas of ``size`` (height, width) and at the frames wanted.

    Args:
        name: of the project; what is no letter, digit, dot or dash in it is replaced.
        options: of the format's writer, as text: ``{"hidden": "keep"}``.

    Raises:
        InputError: an unknown format, or something the format cannot hold, such as hidden points.
    """
    from motionloom.studio.rescaled import rescaled
    from motionloom.tracks.formats import list_formats, write_tracks

    stem = safe_stem(name)
    if format == "motion":
        if options:
            raise InputError(f"{next(iter(options))}: motion documents have no such option")
        whole = motion.embedded()
        if size or num_frames or fps:
            whole, _ = rescaled(whole, size or whole.size, fps=fps, num_frames=num_frames)
        return Exported(f"{stem}.motion.json", whole.dumps().encode(), "application/json")
    known = {each.name: each for each in list_formats() if each.write is not None}
    if format not in known:
        raise InputError(f"format: found {format!r}, expected one of {', '.join(['motion', *known])}")
    chosen = known[format]
    tracks = motion.compile(size, num_frames, fps)
    given = {key: _value(value) for key, value in (options or {}).items()}
    with tempfile.TemporaryDirectory(prefix="motionloom-export-") as folder:
        path = Path(folder) / f"{stem}{_ending(chosen.name, chosen.suffixes[0])}"
        try:
            written = write_tracks(tracks, path, format=format, **given)
        except MotionloomError as error:
            raise type(error)(without_flags(str(error).replace(f"{folder}/", ""))) from None
        contents = [(each.name, each.read_bytes()) for each in sorted(written)]
    if len(contents) == 1:
        return Exported(*contents[0])
    return Exported(f"{stem}.{format}.zip", _zipped(contents), "application/zip")


def _ending(format: str, suffix: str) -> str:
    """The usual ending, with the format's name where several share it."""
    return f".{format}{suffix}" if suffix in (".json", ".txt", ".npy", ".csv", ".pkl", ".npz") else suffix


def safe_stem(name: str) -> str:
    """A project's name as the beginning of a file name, on every system: letters, digits, dots and dashes."""
    stem = _UNSAFE.sub("-", name).strip("-._")[:80].strip("-._")
    return stem or "motion"


def _zipped(contents: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents:
            # One date for all: the same motion gives the same archive.
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _value(text: str) -> Any:
    """The value of an option: a number, true or false, or a text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _options(write: Any) -> dict[str, str]:
    """What the docstring of a writer says about its options, and their defaults."""
    if write is None:
        return {}
    said: dict[str, str] = {}
    name = None
    for line in (inspect.getdoc(write) or "").partition("Args:\n")[2].splitlines():
        if not line.startswith("    "):
            break
        found = re.match(r"    ([a-z_, ]+): (.*)", line)
        if found:
            name = found[1]
            said[name] = found[2]
        elif name is not None:
            said[name] += f" {line.strip()}"
    meanings = {each.strip(): text for names, text in said.items() for each in names.split(",")}
    options: dict[str, str] = {}
    for each in inspect.signature(write).parameters.values():
        # Pictures are no text that a form could take.
        if each.kind is inspect.Parameter.KEYWORD_ONLY and "NDArray" not in str(each.annotation):
            meaning = meanings.get(each.name, "").strip()
            if each.name == "hidden" and (not meaning or meaning.startswith("see ")):
                meaning = 'what to do with hidden points: "error" refuses them, "keep" writes where they are'
            options[each.name] = f"{meaning} (default: {each.default})".strip()
    return options
