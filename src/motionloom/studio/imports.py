"""Files that somebody drops on the page, as a motion: of every track format, a motion with its masks, or a clip that
motionloom made, with the motion inside.

The files come from strangers: they are put into a folder of their own under names made here, and read by the readers
of `motionloom.tracks.formats`, which run nothing and allocate nothing a file merely claims.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from motionloom.errors import AmbiguousUnitsError, FileFormatError, MotionloomError
from motionloom.studio.documents import self_contained
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import ImportedMotion
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    from motionloom.tracks.formats import Detection
    from motionloom.tracks.motion import Motion
    from motionloom.tracks.tracks import Tracks

MAX_FILES = 1_000
MAX_UNPACKED = 256 * 2**20
"""Bytes in all archives of an import together."""
_CLIPS = frozenset({".mp4", ".webm", ".mov", ".mkv", ".gif", ".webp", ".png"})
SUFFIXES = _CLIPS | {".json", ".npy", ".npz", ".pkl", ".pt", ".pth", ".safetensors", ".txt", ".csv", ".yaml", ".yml"}
"""Endings that a file keeps; any other is read by its content alone."""
_PAIRED = ("_tracks", "_visibility")
_FLAGS = re.compile(r"\s*\(--[^)]*\)|,? --[a-z][\w-]*(?: [A-Z]\S*)? on the command line")


@dataclass(frozen=True)
class Upload:
    """A file as it came.

    Args:
        name: what its owner calls it; never used as a path.
        content: its bytes.
    """

    name: str
    content: bytes = field(repr=False)

    @property
    def base(self) -> str:
        """The last part of its name, whichever system it comes from."""
        return PurePosixPath(self.name.replace("\\", "/")).name or "file"


@dataclass(frozen=True)
class Wanted:
    """What an import is for, and what its owner says about the files.

    Args:
        size: (height, width) of the canvas; num_frames, fps: of the motion there, None: those of the file.
        format: its name; None: by content.
        units: "pixels" or "normalised"; file_size: (height, width) that the file's positions refer to; file_fps: its
            rate. Only for files that do not say.
    """

    size: tuple[int, int]
    num_frames: int | None = None
    fps: float | None = None
    format: str | None = None
    units: str | None = None
    file_size: tuple[int, int] | None = None
    file_fps: float | None = None


def import_files(files: Sequence[Upload], wanted: Wanted, limits: Limits | None = None) -> ImportedMotion:
    """The motion in files that belong together.

    Raises:
        Refused: ``ambiguous`` where the files do not say enough (``needs`` names what), ``unsupported`` for what is no
            motion, ``too_large`` for one that no project would take.
        MotionloomError: damaged or hostile content; messages name the files as their owner does.
    """
    if not files:
        raise Refused("bad_request", "files: found none, expected at least one file with a motion")
    files = _unpacked(files)
    if len(files) > MAX_FILES:
        raise Refused("too_large", f"files: found {len(files)}, expected at most {MAX_FILES}")
    for file in files:
        if not file.content:
            raise Refused("bad_request", f"{file.base}: the file is empty")
    documents = [file for file in files if _is_motion(file.content)]
    if documents:
        return _within(_motion_document(documents, files, wanted), limits or Limits())
    with tempfile.TemporaryDirectory(prefix="motionloom-import-") as folder:
        places = _placed(files, Path(folder))
        try:
            return _within(_from_places(places, wanted), limits or Limits())
        except MotionloomError as error:
            message = _for_owner(str(error), places, Path(folder))
            if isinstance(error, Refused):
                raise Refused(error.code, message, status=error.status, **error.details) from None
            if isinstance(error, AmbiguousUnitsError):
                raise Refused("ambiguous", message, needs="units", suggested=["pixels", "normalised"]) from None
            raise type(error)(message) from None


def _within(found: ImportedMotion, limits: Limits) -> ImportedMotion:
    frames = found.motion["num_frames"]
    if frames > limits.max_frames:
        raise Refused(
            "too_large",
            f"{found.title}: has {frames} frames, expected at most {limits.max_frames}; give a smaller number of "
            "frames, or a lower frame rate",
        )
    return found


# --------------------------------------------------------------------------------------------------- motion documents
def _is_motion(content: bytes) -> bool:
    return content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and b'"motionloom.motion"' in content


def _motion_document(documents: Sequence[Upload], files: Sequence[Upload], wanted: Wanted) -> ImportedMotion:
    """A motion, with the masks and depth maps that came with it put inside."""
    from motionloom.tracks.motion import MAX_LISTS, MAX_VALUES, Motion
    from motionloom.tracks.validation import require_bounded_json

    if len(documents) > 1:
        names = ", ".join(file.base for file in documents)
        raise Refused("bad_request", f"files: found {len(documents)} motions ({names}), expected one at a time")
    document = documents[0]
    beside = {file.base: file.content for file in files if file is not document}
    try:
        require_bounded_json(document.content, MAX_LISTS, MAX_VALUES)
        data = json.loads(document.content)
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise FileFormatError(f"{document.base}: is not JSON ({reason[:200]})") from None
    missing: list[str] = []
    _embed(data, beside, missing)
    if missing:
        raise Refused(
            "bad_request",
            f"{document.base}: names {', '.join(missing[:5])}, which did not come with it; drop the motion together "
            "with its masks and depth maps",
            missing=missing[:100],
        )
    try:
        motion = self_contained(Motion.parse(data, source="motion"))
    except MotionloomError as error:
        raise type(error)(f"{document.base}: {str(error).removeprefix('motion: ')}") from None
    return _answer("motion", "motionloom motion", motion, [], wanted)


def _embed(value: Any, beside: dict[str, bytes], missing: list[str]) -> None:
    """Files named in a parsed document become data URLs, in place."""
    import base64
    import mimetypes

    if isinstance(value, list):
        for each in value:
            if isinstance(each, (list, dict)):
                _embed(each, beside, missing)
        return
    for key, inner in value.items():
        if key in ("mask", "file") and isinstance(inner, str) and not inner.startswith("data:"):
            name = PurePosixPath(inner.replace("\\", "/")).name
            if name not in beside:
                missing.append(name[:200])
                continue
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            value[key] = f"data:{kind};base64,{base64.b64encode(beside[name]).decode('ascii')}"
        elif isinstance(inner, (list, dict)):
            _embed(inner, beside, missing)


# -------------------------------------------------------------------------------------------------------- track files
def _from_places(places: dict[Path, Upload], wanted: Wanted) -> ImportedMotion:
    from motionloom.tracks.formats import detect, list_formats

    paths = list(places)
    clips = [path for path in paths if path.suffix in _CLIPS]
    if clips:
        if len(paths) > 1:
            raise Refused("bad_request", "files: found a clip among others, expected it alone")
        return _clip(clips[0], wanted)
    if wanted.format is None and any(_has_scene_facts(path, paths) for path in paths):
        wanted = replace(wanted, format="wan2gp")
    found: dict[Path, Detection] = {}
    for path in paths:
        if wanted.format is None and not _is_companion(path, paths):
            found[path] = detect(path)
    names = {wanted.format} if wanted.format else {each.format for each in found.values()}
    if "ati-list" in names:
        # It names files of the machine that reads it.
        raise Refused("unsupported", "an ATI job list names other files; drop the track files that it names instead")
    titles = {each.name: each.title for each in list_formats()}
    name = sorted(names)[0]
    if name == "motion":
        raise FileFormatError(f"{paths[0]}: is not a motion document of motionloom")
    tracks, notes = _tracks([path for path in paths if not _is_companion(path, paths)], wanted, notes=[])
    return _answer(name, titles.get(name, name), tracks, notes, wanted)


def _tracks(paths: list[Path], wanted: Wanted, notes: list[str]) -> tuple[Tracks, list[str]]:
    from motionloom.tracks.formats.base import Ask
    from motionloom.tracks.formats.registry import make_ask, read_with

    class AskThem(Ask):
        """Questions that the canvas or the owner of the file can answer."""

        def need_size(self, source: Any, kind: str) -> tuple[int, int]:
            if self.size is not None:
                return self.size
            raise Refused(
                "ambiguous",
                f"{source.path}: does not say which picture size its positions refer to; give its width and height in "
                "pixels",
                needs="size",
                suggested={"width": wanted.size[1], "height": wanted.size[0]},
            )

        def need_fps(self, source: Any, kind: str) -> float:
            if self.fps is not None:
                return self.fps
            if wanted.fps is not None:
                self.notes.append(f"does not say its frame rate: taken as that of the canvas, {wanted.fps:g}")
                return wanted.fps
            message = f"{source.path}: does not say how many frames a second has; give its frame rate"
            raise Refused("ambiguous", message, needs="fps", suggested=16)

        def need_num_frames(self, source: Any, kind: str) -> int:
            if wanted.num_frames is not None:
                return wanted.num_frames
            message = f"{source.path}: holds key points, not frames; give the number of frames they are passed in"
            raise Refused("ambiguous", message, needs="num_frames", suggested=49)

    said, _ = make_ask({"size": wanted.file_size, "fps": wanted.file_fps, "units": wanted.units})
    ask = AskThem(size=said.size, fps=said.fps, units=said.units, notes=notes)
    tracks = read_with(paths[0] if len(paths) == 1 else paths, ask, format=wanted.format)
    return tracks, notes


def _clip(path: Path, wanted: Wanted) -> ImportedMotion:
    """The motion inside a clip that motionloom made."""
    from motionloom.media import read_provenance
    from motionloom.provenance import read_motion_record
    from motionloom.tracks.tracks import Tracks

    record = read_provenance(path)
    if not isinstance(record, dict) or not record.get("motion"):
        raise Refused(
            "unsupported",
            f"{path}: holds no motion; expected a video made by motionloom, which carries it inside (the motion of any "
            "other video: motionloom tracks extract)",
        )
    try:
        motion = read_motion_record(record["motion"]["record"])
    except (KeyError, TypeError):
        raise FileFormatError(f"{path}: the motion inside is damaged") from None
    if not isinstance(motion, Tracks):
        motion = self_contained(motion)
    return _answer("clip", "Clip made by motionloom", motion, [], wanted)


def _answer(name: str, title: str, found: Motion | Tracks, notes: list[str], wanted: Wanted) -> ImportedMotion:
    from motionloom.studio.drawn import motion_of_tracks
    from motionloom.studio.rescaled import rescaled
    from motionloom.tracks.tracks import Tracks

    if isinstance(found, Tracks):
        count = found.num_tracks
        motion, more = motion_of_tracks(found, wanted.size, fps=wanted.fps, num_frames=wanted.num_frames)
    else:
        motion, more = rescaled(found, wanted.size, fps=wanted.fps, num_frames=wanted.num_frames)
        count = len(motion.owners())
    return ImportedMotion(
        format=name,
        title=title,
        motion=motion.model_dump(mode="json", exclude_none=True),
        num_tracks=count,
        notes=[*notes, *more],
    )


# ------------------------------------------------------------------------------------------------------ files on disk
def _placed(files: Sequence[Upload], folder: Path) -> dict[Path, Upload]:
    """The files in a folder, under names that keep their ending and what pairs them, and nothing else of theirs."""
    stems: dict[str, int] = {}
    places: dict[Path, Upload] = {}
    for file in files:
        stem, _, suffix = file.base.rpartition(".") if "." in file.base else (file.base, "", "")
        suffix = f".{suffix.lower()}"
        role = next((end for end in _PAIRED if stem.endswith(end)), "")
        number = stems.setdefault(stem.removesuffix(role), len(stems))
        path = folder / f"file{number:04d}{role}{suffix if suffix in SUFFIXES else ''}"
        if path in places:
            path = folder / f"file{len(stems) + len(places):04d}_{len(places)}{suffix if suffix in SUFFIXES else ''}"
        path.write_bytes(file.content)
        places[path] = file
    return places


def _is_companion(path: Path, paths: Sequence[Path]) -> bool:
    """Visibility beside tracks, or the facts of a scene beside its array: read with the other, not by itself."""
    if path.suffix == ".json":
        return path.with_suffix(".npy") in paths
    if path.suffix == ".npy" and path.stem.endswith(_PAIRED[1]):
        return any(
            path.with_name(path.stem.removesuffix(_PAIRED[1]) + end + ".npy") in paths for end in (_PAIRED[0], "")
        )
    return False


def _has_scene_facts(path: Path, paths: Sequence[Path]) -> bool:
    """An array of the Motion Designer with its scene beside it, which no other tool writes."""
    from motionloom.tracks.formats.wan2gp import scene_facts

    return path.suffix == ".npy" and path.with_suffix(".json") in paths and "size" in scene_facts(path)


def _for_owner(message: str, places: dict[Path, Upload], folder: Path) -> str:
    """A message with the owner's names of files, and without advice for the command line."""
    for path in sorted(places, key=lambda each: -len(str(each))):
        shown = "".join(char for char in places[path].base if char.isprintable())[:100]
        message = message.replace(str(path), shown).replace(path.name, shown)
    return without_flags(message.replace(f"{folder}/", ""))


def without_flags(message: str) -> str:
    """A message without advice for the command line."""
    return _FLAGS.sub("", message)


def _unpacked(files: Sequence[Upload]) -> list[Upload]:
    """The same files with archives (.zip, such as those the export makes) taken apart."""
    found: list[Upload] = []
    left = MAX_UNPACKED
    for file in files:
        if not file.base.lower().endswith(".zip"):
            found.append(file)
            continue
        members = _members(file, MAX_FILES - len(found), left)
        left -= sum(len(member.content) for member in members)
        found.extend(members)
    return found


def _members(file: Upload, most_files: int, most_bytes: int) -> list[Upload]:
    from motionloom.tracks.formats.source import Archive, Source

    with tempfile.TemporaryDirectory(prefix="motionloom-import-") as folder:
        path = Path(folder) / "archive.zip"
        path.write_bytes(file.content)
        try:
            with Archive(Source(path)) as archive:
                names = [name for name in archive.infos if not name.endswith("/") and not _is_litter(name)]
                if len(names) > most_files:
                    raise Refused("too_large", f"{path}: found {len(names)} files, expected {MAX_FILES} in all at most")
                total = sum(archive.check(name).file_size for name in names)
                if total > most_bytes:
                    limit = f"{MAX_UNPACKED // 2**20} MiB in all archives"
                    raise Refused("too_large", f"{path}: holds {total} bytes, expected at most {limit}")
                return [Upload(name, archive.read(name)) for name in names]
        except MotionloomError as error:
            message = str(error).replace(str(path), file.base)
            if isinstance(error, Refused):
                raise Refused(error.code, message) from None
            raise type(error)(message) from None


def _is_litter(name: str) -> bool:
    """What file managers add to archives."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith(".")
