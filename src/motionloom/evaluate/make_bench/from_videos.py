"""A benchmark from a folder of videos: what moves in them is found and followed by the offline tracker."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError, MotionloomError
from motionloom.evaluate.categories import categorise
from motionloom.evaluate.make_bench.made import LEAST_TRACKS, Made, Progress, check_format, encoded
from motionloom.evaluate.make_bench.things import LEAST_SEEN, moving_things, same_look
from motionloom.evaluate.movebench.layout import FPS, NUM_FRAMES, Layout, read_list
from motionloom.evaluate.movebench.manifest import Manifest, read_manifest
from motionloom.evaluate.movebench.write import NewCase, layout_to_write, write_case, writing
from motionloom.media import Clip, read_image
from motionloom.media.scaled import is_video
from motionloom.media.stream import open_frames
from motionloom.tracks.formats.source import Source
from motionloom.tracks.tracks import Tracks
from motionloom.tracks.transfer import transfer

AREA = 480 * 832
"""Pixels of a frame at most where no size is given: those of the published clips."""
POINTS = 400
"""Points that are followed to find out what moves."""
MOST_THINGS = 4


def make_from_videos(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    num_frames: int = NUM_FRAMES,
    fps: float = FPS,
    size: tuple[int, int] | None = None,
    tracks: int = 16,
    languages: Sequence[str] = ("en",),
    cases: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Made:
    """Turn the videos of a folder into cases, one each: the first ``num_frames`` frames at ``fps``.

    Beside ``name.mp4`` may stand ``name.txt`` (or ``name.en.txt``, ``name.zh.txt``) with its caption, and
    ``name.mask.png`` with the object of its first frame, light on dark; or one ``captions.csv`` with the columns
    ``video`` and ``caption`` (or ``en``, ``zh``). Without, the file's name is the English caption.

    Single: tracks of the object in the mask; without one, of the group of points that moves farthest against the camera
    while keeping its distances, or of the whole picture where the camera alone moves. Multi: of two such groups or
    more. Visibility is the tracker's. Videos that are too short, do not move, or cannot be read are skipped.

    Args:
        out: a new benchmark, or one to add to; ids that are there already are skipped, so that a stopped run goes on.
        size: (height, width) to scale and cut to; default the video's shape in at most 480x832 pixels.
        tracks: of each case at most.
        languages: that captions are looked for in; "zh" is made for videos with a Chinese caption alone.
        cases: stop after so many.
        seed: of the choice among the points of an object.
        overwrite: make cases again that are there already.

    Raises:
        InputError: no folder, no video, or arguments that make no sense.
        FileFormatError: a damaged captions.csv, or ``out`` is something else than a benchmark.
    """
    folder, target = Path(source), Path(out)
    check_format(num_frames, size, fps, tracks, languages)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder, expected one with videos")
    videos = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_video(path))
    if not videos:
        raise InputError(f"{folder}: holds no video")
    captions = Captions(folder)
    made = Made()
    layout = layout_to_write(target)
    with writing(layout.root), tempfile.TemporaryDirectory() as scratch:
        manifest = read_manifest(layout.manifest)
        _agree(manifest, layout, num_frames, fps)
        there = _ids(layout)
        for number, video in enumerate(videos):
            if cases is not None and len(made.ids) >= cases:
                break
            id = re.sub(r"[^\w.-]+", "_", video.stem).strip("._") or f"video_{number}"
            if id in made.ids:
                id = f"{id}_{number}"
            try:
                if id in there and not overwrite:
                    raise InputError("is in the benchmark already; --overwrite makes it again")
                case = _case(
                    video, id, captions.of(video, languages), num_frames, fps, size, tracks, seed, Path(scratch)
                )
            except MotionloomError as error:
                made.skipped[video.name] = str(error)
            else:
                write_case(layout, manifest, case)
                made.ids.append(id)
                made.multi += "multi" in case.tracks
                made.categories[str(case.annotations["category"])] += 1
            if on_progress:
                on_progress(number + 1, len(videos))
    return made


def _case(
    video: Path,
    id: str,
    captions: Mapping[str, str],
    num_frames: int,
    fps: float,
    size: tuple[int, int] | None,
    count: int,
    seed: int,
    scratch: Path,
) -> NewCase:
    frames, mask = _cut(video, num_frames, fps, size)
    # Tracked as it will be decoded, so that the tracks belong to the pixels everybody sees.
    file, first = encoded(Clip(frames, fps), scratch)
    clip = Clip.load(file)
    rng = np.random.default_rng([seed, *id.encode()])
    motions: dict[str, Tracks] = {}
    if mask is not None:
        found = transfer(clip, clip.size, points=4 * count, region=mask).tracks
        motions["single"] = _some(found, same_look(clip.frames, found, np.arange(found.num_tracks)), count, rng)
    everything = transfer(clip, clip.size, points=POINTS).tracks
    things = moving_things(everything, MOST_THINGS, clip.frames)
    if not things and mask is None:
        raise InputError("nothing moves that could be followed")
    if mask is None:
        motions["single"] = _some(everything, things[0], count, rng)
    if len(things) >= 2:
        each = max(LEAST_TRACKS, count // len(things))
        parts = [_some(everything, thing, each, rng) for thing in things]
        motions["multi"] = parts[0].concat(*parts[1:])
    if motions["single"].num_tracks < LEAST_TRACKS:
        raise InputError(f"found {motions['single'].num_tracks} points on the object that can be followed, expected 4")
    annotations = {"category": categorise(motions["single"]), "source": video.name, "tracker": "offline"}
    return NewCase(id, captions, motions, first, file, None, mask, annotations)


def _cut(
    video: Path, num_frames: int, fps: float, size: tuple[int, int] | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Frames uint8 [T, H, W, 3] at a rate, scaled and cut to a size, and the mask beside the video."""
    frames = open_frames(video)
    order = np.floor(np.arange(num_frames) * (frames.fps / fps) + 0.5).astype(np.int64)
    if order[-1] >= frames.num_frames:
        raise InputError(
            f"lasts {frames.num_frames / frames.fps:.1f} s ({frames.num_frames} frames at {frames.fps:g} fps), "
            f"expected {num_frames / fps:.1f} s; ask for fewer frames with --frames"
        )
    wanted = size or _size_within(frames.size)
    cut = np.stack([_cover(frames.read(int(number), int(number) + 1)[0], wanted) for number in order])
    place = video.with_suffix(".mask.png")
    if not place.is_file():
        return cut, None
    mask = read_image(place)
    if mask.shape[:2] != frames.size:
        raise InputError(
            f"{place.name} is {mask.shape[1]}x{mask.shape[0]}, the video {frames.size[1]}x{frames.size[0]}"
        )
    region = _cover(mask, wanted).max(-1) > 127
    if not region.any():
        raise InputError(f"{place.name} shows nothing within the part that is used")
    return cut, region


def _size_within(size: tuple[int, int]) -> tuple[int, int]:
    """The shape of a video in at most `AREA` pixels, in multiples of 16, never larger than it is."""
    scale = min(1.0, (AREA / (size[0] * size[1])) ** 0.5)
    height, width = (max(16, int(side * scale / 16 + 0.5) * 16) for side in size)
    return height, width


def _cover(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image [h, w, 3] scaled to cover a size, what is over cut off on both sides alike."""
    height, width = image.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    if (height, width) != size:
        scaled = (max(size[1], round(width * scale)), max(size[0], round(height * scale)))
        image = np.asarray(
            cv2.resize(image, scaled, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC), np.uint8
        )
    top, left = (image.shape[0] - size[0]) // 2, (image.shape[1] - size[1]) // 2
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])


def _some(tracks: Tracks, members: NDArray[np.int64], count: int, rng: np.random.Generator) -> Tracks:
    """Up to ``count`` of some tracks, at random among those that are seen long enough."""
    seen = tracks.visible[:, members]
    good = members[seen[0] & (seen.mean(0) >= LEAST_SEEN)]
    return tracks.select(np.sort(rng.permutation(good)[:count]))


def _agree(manifest: Manifest, layout: Layout, num_frames: int, fps: float) -> None:
    for name, value in (("num_frames", num_frames), ("fps", fps)):
        known = manifest.facts.setdefault(name, value)
        if known != value:
            raise InputError(f"{name}: found {value:g}, expected {known:g} as the cases of {layout.root} have")
    manifest.facts.setdefault("name", layout.root.resolve().name)


def _ids(layout: Layout) -> set[str]:
    return {id for part in layout.parts.values() for mode in part.modes for id in read_list(part.list_file(mode))}


@dataclass
class Captions:
    """Captions of the videos in a folder: text files beside them, captions.csv, or their names."""

    folder: Path
    rows: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def __post_init__(self) -> None:
        path = self.folder / "captions.csv"
        if not path.is_file():
            return
        reader = csv.DictReader(io.StringIO(Source(path).text))
        columns = {str(name).strip().lower(): name for name in reader.fieldnames or ()}
        key = next((columns[name] for name in ("video", "file", "name") if name in columns), None)
        english = next((columns[name] for name in ("en", "caption", "prompt", "text") if name in columns), None)
        if key is None or (english is None and "zh" not in columns):
            raise FileFormatError(
                f"{path}: found the columns {', '.join(columns) or 'none'}, expected video and caption (or en, zh)"
            )
        for row in reader:
            name = Path((row[key] or "").strip()).name
            said = {"en": row.get(english or "") or "", "zh": row.get(columns.get("zh", "")) or ""}
            self.rows[name] = self.rows[Path(name).stem] = {
                language: " ".join(text.split()) for language, text in said.items() if text.strip()
            }

    def of(self, video: Path, languages: Sequence[str]) -> dict[str, str]:
        """Captions by language.

        Raises:
            InputError: there is none in the languages asked for.
        """
        found = dict(self.rows.get(video.name) or self.rows.get(video.stem) or {})
        for language, ending in (("en", ".txt"), ("en", ".en.txt"), ("zh", ".zh.txt")):
            path = video.with_suffix(ending)
            if path.is_file() and path.stat().st_size:
                found[language] = " ".join(Source(path).text.split())
        if "en" not in found:
            found["en"] = re.sub(r"[\W_]+", " ", video.stem).strip()
        chosen = {language: found[language] for language in languages if language in found}
        if not chosen:
            raise InputError(f"has no caption in {', '.join(languages)}; put one into {video.stem}.zh.txt")
        return chosen
