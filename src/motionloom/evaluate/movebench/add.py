"""One's own cases: a photograph and a motion, or a video, put into a benchmark beside the others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.categories import CATEGORIES, categorise
from motionloom.evaluate.movebench.benchmark import Case, case_at
from motionloom.evaluate.movebench.layout import FPS, LANGUAGES, MODES, NUM_FRAMES, Layout, check_id, read_list
from motionloom.evaluate.movebench.manifest import Manifest, read_manifest
from motionloom.evaluate.movebench.write import NewCase, layout_to_write, write_case, writing
from motionloom.media import Clip, read_image
from motionloom.tracks.formats.source import Source, npy_header
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

SAME_PICTURE = 3.0
"""Grey levels that first frames of one case may differ by on average."""
MAX_LIST_BYTES, MAX_ITEMS = 64 * 2**20, 100_000
_KEYS = (
    "image", "motion", "caption", "id", "language", "mode", "video", "last_image", "mask", "category", "tags", "notes"
)  # fmt: skip
# What other lists call the same things.
_ALIASES = {"prompt": "caption", "text": "caption", "track": "motion", "name": "id"}
_FILES = ("image", "motion", "video", "last_image", "mask")


def add_case(
    root: str | os.PathLike[str],
    *,
    motion: Motion | Tracks | str | os.PathLike[str],
    image: NDArray[np.uint8] | str | os.PathLike[str] | None = None,
    caption: str = "",
    id: str | None = None,
    language: str | None = None,
    mode: str = "single",
    video: Clip | str | os.PathLike[str] | None = None,
    last_image: NDArray[np.uint8] | str | os.PathLike[str] | None = None,
    mask: NDArray[np.bool_] | str | os.PathLike[str] | None = None,
    category: str | None = None,
    tags: Sequence[str] = (),
    notes: str | None = None,
    num_frames: int | None = None,
    fps: float | None = None,
    overwrite: bool = False,
) -> Case:
    """Put a case of one's own into a benchmark; the published programs read it like any other.

    Args:
        root: the benchmark; a folder that does not exist becomes one.
        motion: a motion, tracks, or a file of any supported format. The whole motion is stretched onto the frames of
            the benchmark and scaled onto the image.
        image: the first frame; by default that of ``video``.
        id: its name; by default that of the image or video file.
        language: of the caption; by default that of the folder, or English.
        mode: "single" or "multi". The same id may have both, with the same image.
        video: the true video, of the image's size; stretched onto the frames of the benchmark like the motion.
        last_image, mask: the photograph to end with; the object on the first frame, light on dark. Of the image's size.
        category: kind of motion; by default what the tracks show.
        num_frames, fps: of a benchmark that has no case yet; 81 and 16.
        overwrite: replace an existing case of this id; with another image, its video, mask and last frame go too.

    Raises:
        InputError: the id exists or cannot be one, sizes that differ, frames other than those of the benchmark.
        FileFormatError: a file that is missing or damaged.
    """
    if category not in (None, *CATEGORIES):
        raise InputError(f"category: found {category!r}, expected one of {', '.join(CATEGORIES)}")
    if image is None and video is None:
        raise InputError("image: give a photograph, or a video whose first frame it is")
    clip = Clip.load(video) if isinstance(video, (str, os.PathLike)) else video
    picture = read_image(image) if image is not None else clip.frames[0] if clip else None
    assert picture is not None
    name = check_id(id if id is not None else _name_of(image if image is not None else video))
    with writing(layout_to_write(Path(root)).root):
        layout = layout_to_write(Path(root))
        part = layout.part(language or layout.chosen or "en")
        manifest = read_manifest(layout.manifest)
        frames, rate = _time_of(layout, manifest, num_frames, fps)
        other = _refuse_existing(layout, name, part.language, mode, picture, overwrite)
        tracks = _compiled(motion, (picture.shape[0], picture.shape[1]), frames, rate)
        kind = category or manifest.cases.get(name, {}).get("category") or categorise(tracks)
        noted = {"category": kind, "own": True, "tags": list(tags) or None, "notes": notes}
        case = NewCase(
            id=name,
            captions={part.language: caption},
            tracks={mode: tracks},
            first_frame=picture,
            video=_fitting(video, clip, frames, rate),
            last_frame=None if last_image is None else read_image(last_image),
            mask=_mask(mask),
            annotations={key: value for key, value in noted.items() if value is not None},
            keep_picture=part.first_frame(name).is_file() and not overwrite,
        )
        manifest.facts = {"name": layout.root.resolve().name, "num_frames": frames, "fps": rate, **manifest.facts}
        write_case(layout, manifest, case)
        if other:
            # What belonged to the picture that was there before.
            for path, new in ((part.video(name), video), (part.mask(name), mask), (part.last_frame(name), last_image)):
                if new is None:
                    path.unlink(missing_ok=True)
        return case_at(part, mode, name, " ".join(caption.split()), manifest)


def read_case_list(path: Path) -> list[dict[str, Any]]:
    """The entries of a YAML list or JSONL file, each the arguments of `add_case`; paths relative to the file.

    Raises:
        FileFormatError: not such a file; a key that is unknown, a file that is missing, an id that comes twice.
    """
    entries = _entries(path)
    taken: dict[str, int] = {}
    found: list[dict[str, Any]] = []
    for number, entry in enumerate(entries, 1):
        where = f"{path}: item {number}"
        if not isinstance(entry, dict):
            raise FileFormatError(f"{where} is a {type(entry).__name__}, expected a mapping with image and motion")
        values: dict[str, Any] = {}
        for key, value in entry.items():
            known = _ALIASES.get(str(key), str(key))
            if known not in _KEYS or known in values:
                why = "comes twice" if known in values else f"is unknown, expected one of {', '.join(_KEYS)}"
                raise FileFormatError(f"{where}: {key!r} {why}")
            if value is not None:
                values[known] = _value(where, path.parent, known, value)
        if "motion" not in values or not ("image" in values or "video" in values):
            raise FileFormatError(f"{where}: expected motion, and image or video")
        values.setdefault("id", _name_of(values.get("image", values.get("video"))))
        _refuse_impossible(where, values)
        place = f"{values['id']} {values.get('language')} {values.get('mode')}"
        if place in taken:
            raise FileFormatError(f"{where}: is called {values['id']!r} like item {taken[place]}; give each an id")
        taken[place] = number
        found.append(values)
    if not found:
        raise FileFormatError(f"{path}: holds no item")
    return found


def add_cases(
    root: str | os.PathLike[str],
    entries: Sequence[Mapping[str, Any]],
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    **common: Any,
) -> list[Case]:
    """`add_case` for each entry of `read_case_list`; ``common`` is for those that do not say it themselves."""
    added: list[Case] = []
    for number, entry in enumerate(entries, 1):
        try:
            added.append(add_case(root, **{**common, **entry}, overwrite=overwrite))
        except InputError as error:
            raise InputError(f"item {number} ({entry.get('id')}): {error}; {len(added)} were added before it") from None
        if on_progress:
            on_progress(number, len(entries))
    return added


# ----------------------------------------------------------------------------------------------------------- the parts
def _time_of(layout: Layout, manifest: Manifest, num_frames: int | None, fps: float | None) -> tuple[int, float]:
    """Frames and rate of the benchmark; those asked for where it has no case yet."""
    frames, rate = manifest.facts.get("num_frames"), manifest.facts.get("fps")
    lists = [(part, mode, read_list(part.list_file(mode))) for part in layout.parts.values() for mode in part.modes]
    first = next(((part.tracks(id, mode)) for part, mode, ids in lists for id in ids), None)
    if first is not None:
        shape, _ = npy_header(Source(first))
        frames = frames or (shape[-3] if len(shape) >= 3 else None)
        rate = rate or FPS
    for name, known, wanted in (("num_frames", frames, num_frames), ("fps", rate, fps)):
        if known is not None and wanted is not None and known != wanted:
            raise InputError(f"{name}: found {wanted:g}, expected {known:g} as the cases of {layout.root} have")
    return int(frames or num_frames or NUM_FRAMES), float(rate or fps or FPS)


def _refuse_existing(
    layout: Layout, id: str, language: str, mode: str, picture: NDArray[np.uint8], overwrite: bool
) -> bool:
    """Refuse to replace unasked, and to give a case two first frames; True where the one there is another one."""
    another = False
    for part in layout.parts.values():
        for each in part.modes:
            if id not in read_list(part.list_file(each)):
                continue
            same = (part.language, each) == (language, mode)
            if same and not overwrite:
                raise InputError(
                    f"id: {id!r} exists already in {part.list_file(each)}; choose another with --id, or replace it "
                    "with --overwrite"
                )
            # JPEG changes pixels a little; another picture is far off.
            old = read_image(part.first_frame(id))
            if old.shape == picture.shape and np.abs(old.astype(np.int16) - picture).mean() <= SAME_PICTURE:
                continue
            if not same:
                raise InputError(
                    f"id: {id!r} exists already as {part.language} {each} with another first frame "
                    f"({part.first_frame(id)}); choose another with --id"
                )
            another = True
    return another


def _compiled(
    motion: Motion | Tracks | str | os.PathLike[str], size: tuple[int, int], frames: int, fps: float
) -> Tracks:
    """The whole motion on the frames of the benchmark."""
    from motionloom.models.inputs import read_motion_for

    found = read_motion_for(motion, size) if isinstance(motion, (str, os.PathLike)) else motion
    if isinstance(found, Motion):
        found = found.compile(size=size)
    tracks = found.resize(size).resample(frames)
    if tracks.num_tracks == 0:
        raise InputError("motion: holds no track, expected at least one to measure")
    return Tracks(tracks.points, tracks.visible, size, fps)


def _fitting(
    source: Clip | str | os.PathLike[str] | None, clip: Clip | None, frames: int, fps: float
) -> Clip | Path | None:
    """The video on the frames of the benchmark; the file itself where nothing has to change."""
    if clip is None:
        return None
    if clip.num_frames == frames and clip.fps == fps and isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.suffix.lower() == ".mp4":
            return path
    order = np.rint(np.linspace(0, clip.num_frames - 1, frames)).astype(np.int64)
    return Clip(clip.frames[order], fps)


def _mask(mask: NDArray[np.bool_] | str | os.PathLike[str] | None) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    found = read_image(mask).max(-1) > 127 if isinstance(mask, (str, os.PathLike)) else np.asarray(mask, np.bool_)
    if found.ndim != 2 or not found.any():
        raise InputError("mask: shows nothing; expected the object light on dark")
    return found


def _name_of(source: object) -> str:
    if not isinstance(source, (str, os.PathLike)):
        raise InputError("id: needed where the image is not a file")
    return re.sub(r"[^\w.-]+", "_", Path(source).stem).strip("._") or "case"


# ------------------------------------------------------------------------------------------------------ lists of cases
def _entries(path: Path) -> list[Any]:
    import yaml

    source = Source(path)
    if source.size > MAX_LIST_BYTES:
        raise source.error(f"larger than {MAX_LIST_BYTES >> 20} MiB, expected a list of cases")
    try:
        if path.suffix.lower() == ".jsonl":
            entries: Any = [
                _json(source, number, line) for number, line in enumerate(source.text.split("\n"), 1) if line.strip()
            ]
        else:
            if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(source.text, Loader=yaml.SafeLoader)):
                raise source.error("holds YAML aliases (*name), write the items out instead")
            entries = yaml.safe_load(source.text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise source.error(f"neither a YAML list nor JSONL ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(entries, list) or len(entries) > MAX_ITEMS:
        raise source.error(f"expected a list of up to {MAX_ITEMS} cases")
    return entries


def _json(source: Source, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise source.error(f"line {number} is not JSON ({error})") from None


def _refuse_impossible(where: str, values: Mapping[str, Any]) -> None:
    """What `add_case` would refuse is known before the first case is added."""
    try:
        check_id(values["id"])
    except InputError as error:
        raise FileFormatError(f"{where}: {error}") from None
    for name, known in (("category", CATEGORIES), ("mode", MODES), ("language", LANGUAGES)):
        if values.get(name) not in (None, *known):
            raise FileFormatError(f"{where}: {name}: found {values[name]!r}, expected one of {', '.join(known)}")


def _value(where: str, folder: Path, key: str, value: Any) -> Any:
    if key == "tags":
        tags = [value] if isinstance(value, str) else value
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise FileFormatError(f"{where}: tags is {value!r}, expected a list of words")
        return tags
    if not isinstance(value, str):
        raise FileFormatError(f"{where}: {key} is {value!r}, expected text")
    if key not in _FILES:
        return value
    path = folder / Path(value).expanduser()
    if not path.exists():
        raise FileFormatError(f"{where}: {key}: no file {path}")
    return path
