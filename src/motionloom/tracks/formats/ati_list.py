"""ATI's YAML job list: image, text and track file per entry.

Facts: bytedance/ATI ``generate.py``, ``examples/test.yaml``. Paths are taken relative to the list first, then to the
working directory; ``text`` may be missing or null, as the published editor writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats.base import Ask, Detection, Format
from motionloom.tracks.formats.source import MIB, Source
from motionloom.tracks.tracks import Tracks

MAX_YAML_BYTES = 4 * MIB
MAX_DEPTH = 20
FIELDS = ("image", "text", "track")


@dataclass(frozen=True)
class AtiEntry:
    """One job: a picture, what to say about it, and how it moves. ``image`` and ``track`` are paths that exist."""

    image: Path
    text: str
    track: Path

    def tracks(self, **options: Any) -> Tracks:
        """The entry's tracks on the canvas of its image; options as of `read_tracks`."""
        from motionloom.tracks.formats.registry import read_tracks

        return read_tracks(self.track, **{"size": image_size(self.image), **options})


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file from its header alone."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, Image.DecompressionBombError) as problem:
        raise FileFormatError(f"{path}: not a readable image ({str(problem)[:80]})") from None


def sniff(source: Source) -> Detection | None:
    if not source.looks_like_text or source.size > MAX_YAML_BYTES or not source.head.lstrip().startswith((b"-", b"#")):
        return None
    if b"track:" not in source.text_bytes and b'"track"' not in source.text_bytes:
        return None
    return Detection("ati-list", "YAML list with image, text and track entries")


def read_ati_list(path: str | Path) -> list[AtiEntry]:
    """The entries of a job list.

    Raises:
        FileFormatError: not YAML, aliases (they can blow a small file up), not a list of entries, a field missing, or
            a file that exists neither beside the list nor from the working directory.
    """
    source = Source(path)
    entries = _parse(source)
    if not isinstance(entries, list) or not entries:
        raise source.error("expected a YAML list with the fields image, text and track per entry")
    return [_entry(source, index, entry) for index, entry in enumerate(entries)]


def write_ati_list(entries: Sequence[AtiEntry], path: str | Path) -> Path:
    """Write a job list. Paths below the list's folder are written relative to it, others in full."""
    import yaml

    from motionloom.tracks.formats.registry import replace_files

    path = Path(path)
    folder = path.resolve().parent

    def relative(file: Path) -> str:
        full = file.resolve()
        return full.relative_to(folder).as_posix() if full.is_relative_to(folder) else full.as_posix()

    rows = [{"image": relative(e.image), "text": e.text, "track": relative(e.track)} for e in entries]
    replace_files({path: yaml.safe_dump(rows, allow_unicode=True, sort_keys=False).encode()})
    return path


def read(source: Source, ask: Ask, *, entry: int | None = None) -> Tracks:
    """The tracks of one entry of a list (``entry`` counts from 0; not needed for a list of one)."""
    entries = read_ati_list(source.path)
    if entry is None and len(entries) > 1:
        raise source.error(
            f"a list of {len(entries)} jobs; choose one with entry=0 to {len(entries) - 1} "
            "(--option entry=... on the command line)"
        )
    index = entry or 0
    if not 0 <= index < len(entries):
        raise InputError(f"entry: found {index}, expected 0 to {len(entries) - 1} for {source.path}")
    chosen = entries[index]
    if chosen.track.resolve() == source.path.resolve():
        raise source.error(f"entry {index}: track names the list itself")
    if chosen.track.suffix.lower() in (".yaml", ".yml"):
        raise source.error(f"entry {index}: track names another list, expected a track file")
    said = {"fps": ask.fps, "units": ask.units, "num_frames": ask.num_frames}
    said |= {"size": ask.size, "visible_threshold": ask.visible_threshold}
    return chosen.tracks(**{name: value for name, value in said.items() if value is not None})


def _parse(source: Source) -> Any:
    import yaml

    if source.size > MAX_YAML_BYTES:
        raise source.error(f"found {source.size} bytes of YAML, expected at most {MAX_YAML_BYTES}")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(source.text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise source.error(f"line {event.start_mark.line + 1}: YAML aliases are not accepted in a job list")
            if depth > MAX_DEPTH:
                raise source.error(f"nested deeper than {MAX_DEPTH} levels; expected a list of entries")
        return yaml.load(source.text, Loader=loader)  # noqa: S506  a safe loader in both cases
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        if isinstance(problem, FileFormatError):
            raise
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise source.error(f"{where}not YAML ({getattr(problem, 'problem', None) or 'damaged'})") from None


def _entry(source: Source, index: int, entry: Any) -> AtiEntry:
    if not isinstance(entry, dict):
        raise source.error(f"entry {index}: expected the fields image, text and track, found {type(entry).__name__}")
    unknown = [str(name)[:40] for name in entry if name not in FIELDS]
    if unknown:
        raise source.error(f"entry {index}: unknown field {unknown[0]!r}, expected image, text and track")
    text = entry.get("text")
    if text is not None and not isinstance(text, str):
        raise source.error(f"entry {index}: text is a {type(text).__name__}, expected words (quote numbers)")
    return AtiEntry(_path(source, index, entry, "image"), (text or "").strip(), _path(source, index, entry, "track"))


def _path(source: Source, index: int, entry: dict[str, Any], field: str) -> Path:
    name = entry.get(field)
    if not isinstance(name, str) or not name or "\0" in name:
        raise source.error(f"entry {index}: {field} is missing, expected a path")
    for candidate in (source.path.parent / name, Path(name)):
        if candidate.is_file():
            return candidate
    raise source.error(f"entry {index}: {field} {name!r} exists neither beside the list nor from the working directory")


FORMAT = Format(
    name="ati-list",
    title="ATI job list",
    suffixes=(".yaml", ".yml"),
    units="as of the track files it names",
    frames="as of the track files it names",
    sniff=sniff,
    read=read,
    write=None,
)
