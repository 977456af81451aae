"""Putting a case into the published layout: its files first, the line that names it last, each complete or not at all.

A crash in between leaves files that nothing names, never a case without its files. One process writes at a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError, MotionloomError
from motionloom.evaluate.movebench.layout import LANGUAGES, MODES, Layout, Part, check_id, find_layout, with_entry
from motionloom.evaluate.movebench.manifest import Manifest, read_manifest
from motionloom.media import Clip
from motionloom.media.files import replacing
from motionloom.tracks.formats.registry import replace_files
from motionloom.tracks.formats.source import Source, npy_bytes
from motionloom.tracks.tracks import Tracks


@dataclass(frozen=True, eq=False)
class NewCase:
    """What is to be written, everything of one size.

    Attributes:
        captions: by language.
        tracks: by mode, on the canvas of the first frame.
        first_frame, last_frame: uint8 [H, W, 3]; mask: bool [H, W].
        video: frames to encode, or an MP4 to copy as it is.
        annotations: for cases.jsonl; nothing is written there for none.
        keep_picture: the first frame is there already and stays as it is.
    """

    id: str
    captions: Mapping[str, str]
    tracks: Mapping[str, Tracks]
    first_frame: NDArray[np.uint8]
    video: Clip | Path | None = None
    last_frame: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    keep_picture: bool = False


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Held while a benchmark is being changed.

    Raises:
        MotionloomError: another process is at it, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".motionloom.lock", timeout=30)
        with lock:
            yield
    except Timeout:
        raise MotionloomError(f"{root}: another process is writing to this benchmark; wait for it, or end it") from None
    except OSError as error:
        raise MotionloomError(f"{error.filename or root}: cannot be written ({error.strerror})") from None


def layout_to_write(root: Path) -> Layout:
    """The layout of a benchmark, with a part for every language; that of a new one where there is nothing yet.

    Raises:
        FileFormatError: the folder holds something else.
    """
    if not root.exists() or not any(each for each in root.iterdir() if not each.name.startswith(".")):
        return Layout(root, {name: Part(root / name, name) for name in LANGUAGES})
    found = find_layout(root)
    if found.chosen is not None or found.parts["en" if "en" in found.parts else "zh"].folder == root:
        return found
    return Layout(root, {name: Part(root / name, name) for name in LANGUAGES})


def write_case(layout: Layout, manifest: Manifest, case: NewCase) -> None:
    """Write the files of a case, then its record, then its lines in the lists. The caller holds `writing`.

    An existing case of the same id is replaced in the languages and modes given.

    Raises:
        InputError: an id that cannot be one, or parts that do not fit each other.
    """
    check_id(case.id)
    _check(case)
    for language in case.captions:
        part = layout.part(language)
        for mode, tracks in case.tracks.items():
            replace_files(
                {
                    part.tracks(case.id, mode): npy_bytes(tracks.points[None]),
                    part.visibility(case.id, mode): npy_bytes(tracks.visible[None]),
                }
            )
        if not case.keep_picture:
            write_jpeg(part.folder / "first_frame" / f"{case.id}.jpg", case.first_frame)
        if case.last_frame is not None:
            write_jpeg(part.folder / "last_frame" / f"{case.id}.jpg", case.last_frame)
        if case.mask is not None:
            _write_mask(part.mask(case.id), case.mask)
    # Encoded once; the other languages get the same file.
    made: Path | None = None
    for language in case.captions:
        target = layout.part(language).video(case.id)
        source = made or case.video
        if isinstance(source, Path):
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
        elif source is not None:
            made = source.save(target, quality=100)
    if case.annotations or case.id in manifest.cases:
        manifest.annotate(case.id, case.annotations)
        manifest.save(layout.manifest)
    for language, caption in case.captions.items():
        for mode in case.tracks:
            put_in_list(layout.part(language).list_file(mode), case.id, caption)


def put_in_list(path: Path, id: str, caption: str) -> None:
    """Name a case in a list file; the other lines stay as they are."""
    text = Source(path).text if path.is_file() and path.stat().st_size else ""
    with replacing(path) as temporary:
        temporary.write_text(with_entry(text, id, caption), "utf-8", newline="\n")


def write_jpeg(path: Path, image: NDArray[np.uint8]) -> None:
    """A JPEG as near to the pixels as the format allows: quality 98, colour at full size."""
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, format="JPEG", quality=98, subsampling=0)


def annotate(root: Path, ids: list[str], values: Mapping[str, Any]) -> None:
    """Set values in the records of some cases; None takes one away.

    Raises:
        InputError: a category that is none, or an id that no list names.
    """
    from motionloom.evaluate.categories import CATEGORIES
    from motionloom.evaluate.movebench.layout import read_list

    if values.get("category") not in (None, *CATEGORIES):
        raise InputError(f"category: found {values['category']!r}, expected one of {', '.join(CATEGORIES)}")
    layout = find_layout(root)
    known = {id for part in layout.parts.values() for mode in part.modes for id in read_list(part.list_file(mode))}
    for id in ids:
        if id not in known:
            raise InputError(f"id: found {id!r}, which is not among the {len(known)} cases of {root}")
    with writing(layout.root):
        manifest = read_manifest(layout.manifest)
        for id in ids:
            manifest.annotate(id, values)
        manifest.save(layout.manifest)


def _check(case: NewCase) -> None:
    size = case.first_frame.shape[:2]
    if not case.captions or not case.tracks:
        raise InputError(f"{case.id}: expected a caption and tracks, found none")
    for mode, tracks in case.tracks.items():
        if mode not in MODES:
            raise InputError(f"mode: found {mode!r}, expected 'single' or 'multi'")
        if tracks.size != size:
            raise InputError(
                f"{case.id}: the tracks are on {tracks.width}x{tracks.height}, expected {size[1]}x{size[0]} "
                "as the first frame has"
            )
    frames = {tracks.num_frames for tracks in case.tracks.values()}
    if len(frames) > 1:
        raise InputError(f"{case.id}: tracks of {sorted(frames)} frames, expected one number")
    for name, picture in (("last_frame", case.last_frame), ("mask", case.mask)):
        if picture is not None and picture.shape[:2] != size:
            raise InputError(
                f"{name}: found {picture.shape[1]}x{picture.shape[0]}, expected {size[1]}x{size[0]} "
                "as the first frame has"
            )
    if isinstance(case.video, Clip) and (case.video.size != size or {case.video.num_frames} != frames):
        height, width = case.video.size
        raise InputError(
            f"video: found {case.video.num_frames} frames of {width}x{height}, expected {frames.pop()} of "
            f"{size[1]}x{size[0]} as tracks and first frame have"
        )


def _write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, format="PNG")
