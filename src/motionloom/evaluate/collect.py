"""What there is to measure: a video, a folder of videos, or a manifest, as samples.

A clip that motionloom made knows what was asked of it; only what it does not know has to be said.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from motionloom import provenance
from motionloom.errors import FileFormatError, InputError, MotionloomError
from motionloom.evaluate.run import row_key
from motionloom.evaluate.sample import Sample, VideoSource
from motionloom.media import Clip, read_provenance, video_size
from motionloom.media.scaled import is_video
from motionloom.models.inputs import read_motion_for
from motionloom.tracks.tracks import Tracks

MANIFESTS = (".jsonl", ".yaml", ".yml", ".json")
_MAX_BYTES = 64 * 2**20
_LONGEST_NAME = 150  # bytes; most file systems allow 255, and endings are added
_FILES = ("video", "motion", "first_image", "last_image", "reference", "masks")
_KEYS = (*_FILES, "name", "prompt", "box", "category", "seed")
_ALIASES = {"tracks": "motion", "track": "motion", "image": "first_image", "text": "prompt"}


def collect(
    source: Path,
    *,
    motion: Path | None = None,
    reference: Path | None = None,
    masks: Path | None = None,
    **known: Any,
) -> list[Sample]:
    """Samples of a video, of all videos in a folder, or of a manifest.

    Args:
        source: a video; a folder of videos (PNG sequences count); or a manifest, .jsonl or a YAML or JSON list, whose
            entries have ``video`` and any of ``motion``, ``prompt``, ``first_image``, ``last_image``, ``reference``,
            ``masks``, ``box``, ``category``, ``seed``, ``name``; files relative to the manifest.
        motion, reference, masks: for a video the file, for a folder the folder whose files are called as the videos.
        **known: other attributes of `Sample`, for a single video.

    Raises:
        FileFormatError: missing or unreadable, naming the entry.
        InputError: nothing to measure, two of the same name, or an option that does not go with ``source``.
    """
    if not source.exists():
        raise FileFormatError(f"{source}: no such file or folder; expected a video, a folder of videos or a manifest")
    beside = {"motion": motion, "reference": reference, "masks": masks}
    if is_single(source):
        return [sample_of(source.stem, source, {**known, **_present(beside)})]
    for name, value in known.items():
        if value is not None:
            raise InputError(f"--{name.replace('_', '-')}: is for a single video, {source} is none; use a manifest")
    if source.is_file():
        for name, value in beside.items():
            if value is not None:
                raise InputError(f"{name}: is for a video or a folder; {source} names its own")
        samples = _from_manifest(source)
    else:
        samples = _from_folder(source, _present(beside))
    _refuse_same_names(samples, source)
    return samples


def is_single(source: Path) -> bool:
    """Whether a source is one video."""
    return source.suffix.lower() not in MANIFESTS and is_video(source)


def _refuse_same_names(samples: Sequence[Sample], source: Path) -> None:
    seen: set[str] = set()
    for sample in samples:
        key = row_key(sample.name, sample.seed)
        # Features of a true video are kept as those of KEY.true.
        if not seen.isdisjoint((key, f"{key}.true", key.removesuffix(".true"))):
            raise InputError(
                f"{source}: two videos are called {sample.name!r} with seed {sample.seed}, or nearly so; give them "
                "names of their own"
            )
        seen.add(key)


def _from_folder(folder: Path, beside: Mapping[str, Path]) -> list[Sample]:
    videos = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_video(path))
    if not videos:
        raise InputError(f"{folder}: found no video in it")
    called = {name: _by_stem(place) for name, place in beside.items()}
    for name, files in called.items():
        if not any(video.stem in files for video in videos):
            raise InputError(
                f"{beside[name]}: none of its files is called as a video of {folder} is; expected {videos[0].stem}.* "
                f"as the {name} of {videos[0].name}"
            )
    return [
        sample_of(video.stem, video, _present({name: files.get(video.stem) for name, files in called.items()}))
        for video in videos
    ]


def _by_stem(place: Path) -> dict[str, Path]:
    """Files of a folder by the names of the videos they are for: cat.npz, cat.motion.json and cat_tracks.npy of cat."""
    if not place.is_dir():
        raise InputError(f"{place}: found {'a file' if place.exists() else 'nothing'}, expected a folder of files")
    found: dict[str, Path] = {}
    for path in sorted(place.iterdir()):
        for stem in (path.name.split(".")[0], path.stem, path.stem.removesuffix("_tracks")):
            found.setdefault(stem, path)
    return found


def _from_manifest(path: Path) -> list[Sample]:
    samples = []
    for number, entry in enumerate(_entries(path), 1):
        where = f"{path}, entry {number}"
        if not isinstance(entry, Mapping):
            raise FileFormatError(f"{where}: found {type(entry).__name__}, expected names with values")
        values: dict[str, Any] = {_ALIASES.get(str(key), str(key)): v for key, v in entry.items() if v is not None}
        unknown = sorted(set(values) - set(_KEYS))
        if unknown:
            raise FileFormatError(f"{where}: unknown key {unknown[0]!r}, expected some of {', '.join(_KEYS)}")
        if "video" not in values:
            raise FileFormatError(f"{where}: has no video")
        for name in _FILES:
            if name in values:
                if not isinstance(values[name], str):
                    raise FileFormatError(f"{where}: {name}: found {values[name]!r}, expected a file's name")
                values[name] = path.parent / values[name]
        video = values.pop("video")
        name = str(values.pop("name", video.stem))
        try:
            _check_values(name, values)
            samples.append(sample_of(name, video, values))
        except MotionloomError as error:
            raise FileFormatError(f"{where}: {error}") from None
    if not samples:
        raise InputError(f"{path}: found no entry in it")
    return samples


def _check_values(name: str, values: Mapping[str, Any]) -> None:
    """Refuse what a manifest says in another type, and names that are no names of files."""
    if not name.strip() or name.startswith(".") or len(name.encode()) > _LONGEST_NAME or not name.isprintable():
        raise InputError(f"name: found {name!r}, expected the name of a video, up to {_LONGEST_NAME} letters")
    if set(name) & set('/\\:*?"<>|'):
        raise InputError(f'name: found {name!r}, expected no path and none of : * ? " < > |; files are called by it')
    seed = values.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InputError(f"seed: found {seed!r}, expected a whole number")
    for key in ("prompt", "category"):
        if not isinstance(values.get(key, ""), str):
            raise InputError(f"{key}: found {values[key]!r}, expected text")


def _entries(path: Path) -> Sequence[Any]:
    if path.suffix.lower() not in MANIFESTS:
        raise FileFormatError(f"{path}: not a video motionloom knows, nor a manifest ({', '.join(MANIFESTS)})")
    if path.stat().st_size > _MAX_BYTES:
        raise FileFormatError(f"{path}: larger than {_MAX_BYTES >> 20} MB, too much for a manifest")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        entries = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise FileFormatError(f"{path}: not readable ({' '.join(str(error).split())})") from None
    if not isinstance(entries, list):
        raise FileFormatError(f"{path}: found no list in it, expected one entry for each video")
    return entries


def sample_of(name: str, video: VideoSource, values: Mapping[str, Any]) -> Sample:
    """A sample from what is said of a video and from what it knows itself.

    Args:
        video: a file, or a clip in memory.
        values: attributes of `Sample`; ``motion`` may be a file of any format. Frame i of a file's tracks belongs to
            frame i of the video, since files of other programs hold no rate.

    Raises:
        FileFormatError: a file is missing, or not a motion.
        InputError: a box that is none.
    """
    what = "the clip" if isinstance(video, Clip) else Path(video).name
    if not isinstance(video, Clip) and not Path(video).exists():
        raise FileFormatError(f"{video}: no such file, expected a video")
    for key in _FILES:
        value = values.get(key)
        if isinstance(value, str | os.PathLike) and not Path(value).exists():
            raise FileFormatError(f"{value}: no such file, expected the {key.replace('_', ' ')} of {what}")
    made = Sample(name, video) if isinstance(video, Clip) else _from_provenance(name, Path(video))
    said = {key: value for key, value in values.items() if value is not None}
    from_file = isinstance(said.get("motion"), str | os.PathLike)
    if from_file:
        try:
            size = video.size if isinstance(video, Clip) else video_size(video)
        except FileFormatError:
            return made  # measuring will say what is wrong with it; the others are not concerned
        said["motion"] = read_motion_for(Path(said["motion"]), size)
    if isinstance(said.get("masks"), str):
        said["masks"] = Path(said["masks"])
    box = said.get("box")
    if box is not None:
        if not (isinstance(box, Sequence) and len(box) == 4 and all(map(_is_number, box))):
            raise InputError(f"box: found {box!r}, expected [x0, y0, x1, y1] in pixels of the video")
        said["box"] = tuple(float(x) for x in box)
    sample = replace(made, **said)
    return replace(sample, by_frame=from_file and made.motion is None and isinstance(sample.motion, Tracks))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _from_provenance(name: str, video: Path) -> Sample:
    plain = Sample(name, video)
    try:
        record = read_provenance(video)
        provenance.check_record(record, video)
    except MotionloomError:
        return plain
    images: dict[str, Path] = {}
    for key, attribute in (("image", "first_image"), ("last_image", "last_image")):
        try:
            if record.get(key):
                images[attribute] = provenance.find_file(record[key], video, option=f"--{attribute}")
        except MotionloomError:
            continue  # the photograph has moved: what needs it is left out
    parameters = record["parameters"]
    return replace(
        plain,
        motion=provenance.read_motion_record(record["motion"]["record"]),
        prompt=parameters.get("prompt"),
        seed=parameters.get("seed"),
        **images,
    )


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
