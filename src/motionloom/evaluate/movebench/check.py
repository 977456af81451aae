"""What is wrong with a benchmark, and what is in it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from motionloom.errors import FileFormatError, MotionloomError
from motionloom.evaluate.categories import categorise
from motionloom.evaluate.movebench.benchmark import Case, all_parts, case_at
from motionloom.evaluate.movebench.layout import Part, find_layout, read_list
from motionloom.evaluate.movebench.manifest import Manifest, read_manifest
from motionloom.media import read_image
from motionloom.media.stream import open_frames
from motionloom.tracks.formats.source import Source, npy_header
from motionloom.tracks.tracks import Tracks

Level = Literal["error", "warning"]
ALIKE = 25.0
"""PSNR in dB between the first frame and that of the video, below which they are not the same picture."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error) or odd (warning). ``case`` is empty for what is not about one case."""

    level: Level
    language: str
    mode: str
    case: str
    what: str


@dataclass
class Contents:
    """What is in one language and mode: counts by value."""

    language: str
    mode: str
    cases: int = 0
    videos: int = 0
    masks: int = 0
    own: int = 0
    categories: Counter[str] = field(default_factory=Counter[str])
    contents: Counter[str] = field(default_factory=Counter[str])
    sizes: Counter[str] = field(default_factory=Counter[str])
    frames: Counter[int] = field(default_factory=Counter[int])
    tracks: list[int] = field(default_factory=list[int])


def check(
    root: str | os.PathLike[str],
    *,
    language: str | None = None,
    mode: str | None = None,
    videos: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Everything that is wrong or odd with a benchmark.

    Args:
        language, mode: look at these alone; default all there are.
        videos: decode them; without, only their presence is checked.

    Raises:
        FileFormatError: no benchmark at all.
        InputError: a language or mode that is not there.
    """
    layout = find_layout(Path(root))
    findings: list[Finding] = []
    try:
        manifest = read_manifest(layout.manifest)
    except FileFormatError as error:
        findings.append(Finding("error", "", "", "", str(error)))
        manifest = Manifest()
    lists: list[tuple[Part, str, dict[str, str]]] = []
    for part, each in all_parts(layout, language, mode):
        try:
            lists.append((part, each, read_list(part.list_file(each))))
        except FileFormatError as error:
            findings.append(Finding("error", part.language, each, "", str(error)))
    total, done = sum(len(ids) for _, _, ids in lists), 0
    looked_at: set[Path] = set()
    for part, each, ids in lists:
        if not ids:
            findings.append(Finding("error", part.language, each, "", f"{part.list_file(each)}: names no case"))
        frames: Counter[int] = Counter()
        counted: dict[str, int] = {}
        for id, caption in ids.items():
            case = case_at(part, each, id, caption, manifest)
            decode = videos and case.video is not None and case.video not in looked_at
            looked_at.update([case.video] if case.video else [])
            for level, what in _of_case(case, decode):
                findings.append(Finding(level, part.language, each, id, what))
            count = _num_frames(case)
            if count:
                frames[count] += 1
                counted[id] = count
            done += 1
            if on_progress:
                on_progress(done, total)
        usual = manifest.facts.get("num_frames") or (frames.most_common(1)[0][0] if frames else None)
        for id, count in counted.items():
            if count != usual:
                text = f"{count} frames, the others have {usual}"
                findings.append(Finding("warning", part.language, each, id, text))
        findings += _alike(part, each, list(ids))
        findings += _unnamed(part, each, set(ids))
    known = {id for _, _, ids in lists for id in ids}
    if language is None and mode is None and len(lists) == len(all_parts(layout)):
        for id in manifest.cases.keys() - known:
            findings.append(Finding("warning", "", "", id, f"{layout.manifest.name} has a record of it, but no list"))
    return findings


def contents(root: str | os.PathLike[str], *, language: str | None = None, mode: str | None = None) -> list[Contents]:
    """What is in each language and mode. Cases with damaged files are counted as far as they can be read.

    Raises:
        FileFormatError: no benchmark, or a damaged list.
        InputError: a language or mode that is not there.
    """
    layout = find_layout(Path(root))
    manifest = read_manifest(layout.manifest)
    found: list[Contents] = []
    for part, each in all_parts(layout, language, mode):
        here = Contents(part.language, each)
        for id, caption in read_list(part.list_file(each)).items():
            case = case_at(part, each, id, caption, manifest)
            here.cases += 1
            here.videos += case.video is not None
            here.masks += case.mask is not None
            here.own += bool(case.annotations.get("own"))
            here.contents[case.content or "other"] += 1
            try:
                tracks = case.read_motion()
            except MotionloomError:
                here.categories["unreadable"] += 1
                continue
            here.categories[case.category or categorise(tracks)] += 1
            here.sizes[f"{tracks.width}x{tracks.height}"] += 1
            here.frames[tracks.num_frames] += 1
            here.tracks.append(tracks.num_tracks)
        found.append(here)
    return found


# ------------------------------------------------------------------------------------------------------------ one case
def _of_case(case: Case, decode: bool) -> Iterator[tuple[Level, str]]:
    if not case.caption:
        yield "warning", "no caption"
    if case.video is None:
        yield "warning", "no video: nothing can be compared with the truth"
    if not case.first_frame.is_file():
        yield "error", f"no first_frame/{case.first_frame.name}"
        return
    picture = None
    try:
        picture = read_image(case.first_frame)
    except MotionloomError as error:
        yield "error", str(error)
    tracks = None
    if not case.tracks_file.is_file():
        yield "error", f"no track/{case.mode}/{case.tracks_file.name}"
    elif picture is not None:
        try:
            tracks = case.read_motion()
        except MotionloomError as error:
            yield "error", str(error)
        if case.visibility_file is None:
            yield "warning", "no visibility file: every point counts as visible"
    if tracks is not None:
        yield from _of_tracks(tracks)
    if picture is None:
        return
    size = picture.shape[:2]
    for name, path in (("mask", case.mask), ("last frame", case.last_frame)):
        if path is None:
            continue
        try:
            other = read_image(path)
        except MotionloomError as error:
            yield "error", str(error)
            continue
        if other.shape[:2] != size:
            yield "error", f"the {name} is {_text(other.shape)}, the first frame {_text(size)}"
        elif name == "mask" and other.max() <= 127:
            yield "error", "the mask shows nothing"
    if case.video is None or not decode:
        return
    try:
        frames = open_frames(case.video)
        first = frames.read(0, 1)[0]
    except MotionloomError as error:
        yield "error", str(error)
        return
    if frames.size != size:
        yield "error", f"the video is {_text(frames.size)}, the first frame {_text(size)}"
    else:
        psnr = 10 * np.log10(255**2 / max(float(np.mean((first.astype(np.float64) - picture) ** 2)), 1e-3))
        if psnr < ALIKE:
            yield "warning", f"the video begins with another picture than the first frame ({psnr:.0f} dB)"
    if tracks is not None and frames.num_frames != tracks.num_frames:
        yield "error", f"the video has {frames.num_frames} frames, the tracks {tracks.num_frames}"


def _of_tracks(tracks: Tracks) -> Iterator[tuple[Level, str]]:
    if tracks.num_tracks == 0:
        yield "error", "no track"
        return
    if not tracks.visible[0].any():
        yield "error", "no track is visible on the first frame"
        return
    out = (tracks.visible & ~tracks.inside())[0].sum()
    if out == tracks.visible[0].sum():
        yield "error", f"all visible tracks begin outside the picture ({_text(tracks.size)}); other units or size?"
    elif out:
        yield "warning", f"{out} visible tracks begin outside the picture and will be left out"
    later = tracks.visible[1:] & ~tracks.inside()[1:]
    if later.any():
        yield "warning", f"{later.mean():.0%} of the positions are marked visible outside the picture"
    if tracks.num_frames > 1 and not tracks.visible[1:].any():
        yield "error", "no track is visible after the first frame"


def _num_frames(case: Case) -> int | None:
    try:
        shape, _ = npy_header(Source(case.tracks_file))
    except MotionloomError:
        return None
    return shape[-3] if len(shape) >= 3 else None


# ----------------------------------------------------------------------------------------------------------- all cases
def _alike(part: Part, mode: str, ids: list[str]) -> Iterator[Finding]:
    """Cases whose first frame and tracks are byte for byte those of another."""
    seen: dict[bytes, str] = {}
    for id in ids:
        files = part.first_frame(id), part.tracks(id, mode)
        if not all(path.is_file() for path in files):  # a pipe would be waited for
            continue
        try:
            content = files[0].read_bytes() + files[1].read_bytes()
        except OSError:
            continue
        other = seen.setdefault(hashlib.sha256(content).digest(), id)
        if other != id:
            yield Finding("warning", part.language, mode, id, f"the same first frame and tracks as {other}")


def _unnamed(part: Part, mode: str, ids: set[str]) -> Iterator[Finding]:
    """Tracks that no list names."""
    folder = part.tracks("x", mode).parent
    files = folder.glob("*_tracks.npy") if folder.is_dir() else ()
    unnamed = sorted(path.name.removesuffix("_tracks.npy") for path in files)
    unnamed = [id for id in unnamed if id not in ids]
    if unnamed:
        more = f" and {len(unnamed) - 1} more" if len(unnamed) > 1 else ""
        where = f"track/{mode} holds {unnamed[0]}{more}, which {part.list_file(mode).name} does not name"
        yield Finding("warning", part.language, mode, "", where)


def _text(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[0]}"
