"""Provenance: what has to be known to make a clip again, as plain JSON.

A record holds the command, the versions, the photograph (by the SHA-256 of its file), the motion itself, the model with
the digest of its weights, and every parameter. It travels inside the clip (see `motionloom.media`).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import math
import os
import platform
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motionloom.errors import FileFormatError, InputError, MotionloomError
from motionloom.media import image_digest
from motionloom.tracks.tracks import MAX_FRAMES, Tracks
from motionloom.version import __version__

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

VERSION = 1
MAX_POINTS = 50_000_000
_PACKAGES = ("torch", "diffusers", "numpy", "opencv-python-headless", "pillow", "scipy")


def versions() -> dict[str, str]:
    """Versions of motionloom, Python and the packages that decide what pixels come out; absent ones are left out."""
    return {"motionloom": __version__, "python": platform.python_version(), **_installed()}


@cache
def _installed() -> Mapping[str, str]:
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def changed_versions(recorded: Mapping[str, str]) -> list[str]:
    """'torch 2.12.0 -> 2.13.0' for each package that is not what it was."""
    now = versions()
    return [
        f"{name} {recorded.get(name, 'absent')} -> {now.get(name, 'absent')}"
        for name in (*recorded, *(name for name in now if name not in recorded))
        if recorded.get(name) != now.get(name)
    ]


def file_record(path: Path, beside: Path | None = None) -> dict[str, str]:
    """A file by its digest and by where it lies seen from the folder ``beside`` (the clip's), else as it was named.

    Absolute paths are recorded only where there is no relative one: clips are passed on, folder names are private.
    """
    record = {"path": os.fspath(path), "sha256": image_digest(path)}
    if beside is not None:
        with contextlib.suppress(ValueError):  # another drive
            record["path_from_clip"] = os.path.relpath(path, beside)
    return record


def find_file(record: Mapping[str, Any], clip: Path, *, option: str) -> Path:
    """The file that a record names, recognised by its bytes, as named from here or from the clip's folder.

    Raises:
        FileFormatError: it is gone or has changed; ``option`` is the flag that says where it is.
    """
    candidates = [Path(record["path"])]
    if "path_from_clip" in record:
        candidates.append(clip.parent / record["path_from_clip"])
    changed = None
    for candidate in candidates:
        if candidate.is_file():
            if image_digest(candidate) == record["sha256"]:
                return candidate
            changed = candidate
    if changed:
        raise FileFormatError(
            f"{changed}: has changed since {clip.name} was made (sha256 {record['sha256'][:12]}... expected); "
            f"give the original with {option}"
        )
    raise FileFormatError(f"{record['path']}: the file {clip.name} was made from is not there; say where with {option}")


def motion_record(motion: Motion | Tracks) -> dict[str, Any]:
    """The motion itself: a Motion as its own JSON with its masks and depth maps inside, tracks as packed numbers."""
    if not isinstance(motion, Tracks):
        return {"kind": "motion", "document": motion.embedded().model_dump(mode="json", exclude_none=True)}
    return {
        "kind": "tracks",
        "size": list(motion.size),
        "fps": motion.fps,
        "num_frames": motion.num_frames,
        "num_tracks": motion.num_tracks,
        "points": _pack(motion.points.astype("<f4").tobytes()),
        "visible": _pack(np.packbits(motion.visible).tobytes()),
    }


def read_motion_record(record: Mapping[str, Any]) -> Motion | Tracks:
    """The motion of a record.

    Raises:
        FileFormatError: the record is damaged.
    """
    try:
        if record["kind"] == "motion":
            from motionloom.tracks.motion import Motion

            return Motion.parse(record["document"], source="provenance")
        if record["kind"] != "tracks":
            raise ValueError(f"kind {record['kind']!r}")
        num_frames, num_tracks = int(record["num_frames"]), int(record["num_tracks"])
        total = num_frames * num_tracks
        if not (1 <= num_frames <= MAX_FRAMES and 0 <= total <= MAX_POINTS):
            raise ValueError(f"{num_frames} frames of {num_tracks} tracks")
        points = np.frombuffer(_unpack(record["points"], total * 8), "<f4").reshape(num_frames, num_tracks, 2)
        bits = np.frombuffer(_unpack(record["visible"], math.ceil(total / 8)), np.uint8)
        visible = np.unpackbits(bits, count=total).astype(bool).reshape(num_frames, num_tracks)
        height, width = record["size"]
        return Tracks(points, visible, (height, width), record["fps"])
    except MotionloomError:
        raise
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise FileFormatError(f"provenance: the motion inside is damaged ({error})") from error


def run_record(
    *,
    image: Path | None,
    motion: Motion | Tracks,
    model: str,
    digest: str,
    parameters: Mapping[str, Any],
    last_image: Path | None = None,
    motion_name: str | None = None,
    beside: Path | None = None,
    from_pixels: bool = False,
) -> dict[str, Any]:
    """What is known before a run.

    Args:
        image: the photograph's file; None where there was none (text to video).
        from_pixels: there was a photograph, but only its pixels: such a clip cannot be made again from a file.
        model, digest: its name and that of its weights.
        parameters: as in `motionloom.jobs.Parameters`, JSON values.
        beside: the folder the clip will lie in.
    """
    record: dict[str, Any] = {
        "version": VERSION,
        "image": file_record(image, beside) if image else {"path": None, "sha256": None} if from_pixels else None,
        "last_image": file_record(last_image, beside) if last_image else None,
        "motion": {"name": motion_name, "record": motion_record(motion)},
        "model": {"name": model, "digest": digest},
        "parameters": dict(parameters),
    }
    return {**record, "fingerprint": fingerprint(record)}


def finished(
    record: Mapping[str, Any], *, frames_sha256: str, seconds: float, details: Mapping[str, Any], command: Sequence[str]
) -> dict[str, Any]:
    """A record completed after its run: digest of the raw frames, date, versions, how long it took."""
    return {
        **record,
        "command": list(command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "seconds": round(seconds, 3),
        "frames_sha256": frames_sha256,
        "details": dict(details),
    }


def fingerprint(record: Mapping[str, Any]) -> str:
    """Hex SHA-256 over what decides the frames: picture, motion, model and parameters; not names, dates or versions."""
    essence = {
        "image": (record["image"] or {}).get("sha256"),
        "last_image": (record.get("last_image") or {}).get("sha256"),
        "motion": record["motion"]["record"],
        "model": record["model"],
        "parameters": record["parameters"],
    }
    return hashlib.sha256(json.dumps(essence, sort_keys=True, allow_nan=False).encode()).hexdigest()


def check_record(record: Mapping[str, Any], source: Path) -> None:
    """Refuse what `motionloom generate` did not write.

    Raises:
        FileFormatError: no provenance, parts missing, or of a newer version.
        InputError: the version is not a number.
    """
    if not record:
        raise FileFormatError(f"{source}: holds no provenance; only clips that motionloom generated can be made again")
    version = record.get("version")
    if not isinstance(version, int):
        raise InputError(f"{source}: provenance of version {version!r}, expected a number up to {VERSION}")
    if version > VERSION:
        raise FileFormatError(
            f"{source}: provenance of version {version}, expected at most {VERSION}; update motionloom"
        )
    missing = [key for key in ("image", "motion", "model", "parameters", "versions") if key not in record]
    if missing:
        raise FileFormatError(f"{source}: the provenance lacks {', '.join(missing)}; the clip cannot be made again")
    if record["image"] is not None and not record["image"].get("path"):
        raise FileFormatError(
            f"{source}: was made from pixels in memory; only clips made from an image file can be made again"
        )


def _pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 6)).decode("ascii")


def _unpack(text: str, length: int) -> bytes:
    """The bytes, refused when they are not exactly ``length``; never inflates more than that."""
    inflate = zlib.decompressobj()
    data = inflate.decompress(base64.b64decode(text, validate=True), length + 1)
    if len(data) != length:
        raise ValueError(f"{len(data)} bytes, expected {length}")
    return data
