"""A benchmark and its cases: a photograph, a caption, a motion, and the true video."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.categories import categorise
from motionloom.evaluate.movebench.layout import MODES, Layout, Part, content_of, find_layout, read_list
from motionloom.evaluate.movebench.manifest import Manifest, read_manifest
from motionloom.evaluate.sample import Sample, VideoSource
from motionloom.evaluate.subject import box_of
from motionloom.media import Clip, video_size
from motionloom.tracks.tracks import Tracks


@dataclass(frozen=True, eq=False)
class Case:
    """One case in one language and mode.

    Attributes:
        id: its name; caption: what is to be seen.
        first_frame: the photograph to begin with; last_frame: the one to end with, where there is one.
        video: the true video; None where there is none.
        tracks_file: positions [1, T, N, 2] in pixels of the first frame; visibility_file: bool [1, T, N], None where
            it is missing and every point counts as visible.
        category: kind of motion as annotated; None where nobody said, see `motion_category`.
        mask: the object on the first frame, a grey PNG.
        content: what the case shows, such as "3C product".
        annotations: the rest of its record in cases.jsonl.
        fps: of the motion and the video.
    """

    id: str
    caption: str
    language: str
    mode: str
    first_frame: Path
    video: Path | None
    tracks_file: Path
    visibility_file: Path | None
    category: str | None = None
    mask: Path | None = None
    last_frame: Path | None = None
    content: str | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fps: float = 16.0

    def read_motion(self) -> Tracks:
        """The tracks, on the canvas of the first frame.

        Raises:
            FileFormatError: a file is missing or damaged, or the halves of the pair disagree.
        """
        from motionloom.tracks.formats.ati_list import image_size
        from motionloom.tracks.formats.base import Ask
        from motionloom.tracks.formats.registry import read_with

        ask = Ask(size=image_size(self.first_frame), fps=self.fps, units="pixels")
        chosen = {} if self.visibility_file is None else {"visibility": self.visibility_file}
        return read_with(self.tracks_file, ask, format="wan-move", **chosen)

    def motion_category(self) -> str:
        """The kind of motion: as annotated, or else as the tracks show."""
        return self.category or categorise(self.read_motion())

    def read_mask(self) -> NDArray[np.bool_] | None:
        """The object on the first frame, bool [H, W]; None where there is no mask.

        Raises:
            FileFormatError: not a readable picture.
        """
        if self.mask is None:
            return None
        from motionloom.media.images import read_image

        return read_image(self.mask).max(-1) > 127

    def sample(self, video: VideoSource, *, seed: int | None = None, by_frame: bool = False) -> Sample:
        """What is needed to measure a video that was generated for this case.

        Args:
            video: a clip or a file.
            by_frame: see `Sample`; True for files of other programs.

        Raises:
            FileFormatError: a file of the case, or the header of the video, cannot be read.
        """
        motion = self.read_motion()
        mask = self.read_mask()
        return Sample(
            name=self.id,
            video=video,
            motion=motion,
            prompt=self.caption or None,
            first_image=self.first_frame,
            last_image=self.last_frame,
            reference=self.video,
            box=None if mask is None else _box(mask, video),
            category=self.category or categorise(motion),
            seed=seed,
            by_frame=by_frame,
        )

    def files(self) -> Iterator[tuple[str, Path]]:
        """(what, where) of every file the case has."""
        for name in ("first_frame", "tracks_file", "visibility_file", "video", "mask", "last_frame"):
            path = getattr(self, name)
            if path is not None:
                yield name, path


@dataclass(frozen=True, eq=False)
class Benchmark:
    """The cases of one language and mode.

    Attributes:
        root: the folder with the languages; name: of the benchmark.
        fps: of its motions and videos.
        left_out: why cases of the list are not among ``cases``, by id; empty unless opened with ``strict=False``.
    """

    root: Path
    name: str
    language: str
    mode: str
    cases: tuple[Case, ...]
    fps: float
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __getitem__(self, id: str) -> Case:
        for case in self.cases:
            if case.id == id:
                return case
        raise InputError(f"id: found {id!r}, which is not among the {len(self.cases)} cases of {self.root}")

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of everything that is measured: ids, captions, categories and the contents of all files."""
        total = hashlib.sha256()
        for case in sorted(self.cases, key=lambda case: case.id):
            facts = [case.id, case.caption, case.mode, case.category, case.fps]
            facts += [[what, _digest(path)] for what, path in case.files()]
            total.update(json.dumps(facts).encode())
        return total.hexdigest()


def open_benchmark(
    root: str | os.PathLike[str], *, language: str | None = None, mode: str = "single", strict: bool = True
) -> Benchmark:
    """The cases of a benchmark in the published layout.

    Args:
        root: the folder with en/ and zh/, or one of these.
        language: "en" or "zh"; by default that of the folder given, English, or the only one there.
        mode: "single" (tracks of one object) or "multi" (of several).
        strict: refuse where a file of a case is missing; otherwise these cases are left out and ``left_out`` says why.

    Raises:
        FileFormatError: no benchmark, a damaged list, or a missing file.
        InputError: a language or mode that is not there; the message says what is.
    """
    if mode not in MODES:
        raise InputError(f"mode: found {mode!r}, expected 'single' or 'multi'")
    layout = find_layout(Path(root))
    part = layout.part(language)
    if mode not in part.modes:
        raise InputError(f"mode: {part.list_file(mode)} is missing; there is {layout.there()}")
    manifest = read_manifest(layout.manifest)
    cases: list[Case] = []
    missing: dict[str, str] = {}
    for id, caption in read_list(part.list_file(mode)).items():
        case = case_at(part, mode, id, caption, manifest)
        absent = [path for path in (case.first_frame, case.tracks_file) if not path.is_file()]
        if absent:
            missing[id] = "no " + " and no ".join(path.relative_to(part.folder).as_posix() for path in absent)
        else:
            cases.append(case)
    if missing and strict:
        id, why = next(iter(missing.items()))
        raise FileFormatError(
            f"{part.folder}: {len(missing)} of {len(missing) + len(cases)} cases are incomplete, the first one {id}: "
            f"{why}. motionloom bench check lists them all; strict=False leaves them out"
        )
    if not cases:
        raise FileFormatError(f"{part.list_file(mode)}: names no case" + (" that is complete" if missing else ""))
    name = str(manifest.facts.get("name") or layout.root.resolve().name)
    return Benchmark(layout.root, name, part.language, mode, tuple(cases), manifest.fps, missing)


def case_at(part: Part, mode: str, id: str, caption: str, manifest: Manifest) -> Case:
    """The case of an id, whether its files are there or not."""
    known = dict(manifest.cases.get(id, {}))
    known.pop("id", None)
    category, content = known.pop("category", None), known.pop("content", None)

    def there(path: Path) -> Path | None:
        return path if path.is_file() else None

    return Case(
        id=id,
        caption=caption,
        language=part.language,
        mode=mode,
        first_frame=part.first_frame(id),
        video=there(part.video(id)),
        tracks_file=part.tracks(id, mode),
        visibility_file=there(part.visibility(id, mode)),
        category=category,
        mask=there(part.mask(id)),
        last_frame=there(part.last_frame(id)),
        content=str(content) if content else content_of(id),
        annotations=known,
        fps=manifest.fps,
    )


def all_parts(layout: Layout, language: str | None = None, mode: str | None = None) -> list[tuple[Part, str]]:
    """Every language and mode there is, or those asked for.

    Raises:
        InputError: one that is not there.
    """
    if mode not in (None, *MODES):
        raise InputError(f"mode: found {mode!r}, expected 'single' or 'multi'")
    parts = list(layout.parts.values()) if language is None else [layout.part(language)]
    found = [(part, each) for part in parts for each in part.modes if mode in (None, each)]
    if not found:
        raise InputError(f"mode: found {mode!r}, but there is {layout.there()}")
    return found


def _box(mask: NDArray[np.bool_], video: VideoSource) -> tuple[float, float, float, float] | None:
    """(x0, y0, x1, y1) around a mask, in pixels of a video of another size; None around nothing."""
    box = box_of(mask)
    if box is None:
        return None
    height, width = video.size if isinstance(video, Clip) else video_size(video)
    y, x = height / mask.shape[0], width / mask.shape[1]
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror})") from None
