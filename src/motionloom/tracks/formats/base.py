"""What a track file format is, and the pieces every format file shares.

A format file defines one :class:`Format` named ``FORMAT``: how to recognise it by content, how to read it, how to
write it. Shapes: T frames, N tracks; points are (x, y) in continuous pixels as in `motionloom.tracks.tracks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import AmbiguousUnitsError, InputError
from motionloom.tracks.formats.source import Source
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

PIXELS = "pixels"
NORMALISED = "normalised"

# Largest float32 positions that mean something; a file beyond it is damaged, and text could not hold it.
MAX_COORDINATE = 1e9
# Positions (frames x tracks) that a small file may turn into: key points sampled to frames, short tracks padded to the
# longest. Arrays that hold every position themselves are bounded by their own size.
MAX_POSITIONS = 20_000_000


@dataclass(frozen=True)
class Detection:
    """What a file is.

    Args:
        format: name of the format, as in `list_formats`.
        reason: what in the content says so, one line.
        needs: arguments of `read_tracks` the file cannot answer itself, such as ``("size", "fps")``.
    """

    format: str
    reason: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """One file format.

    Args:
        name: what ``format=`` accepts.
        title: for people.
        suffixes: usual file name endings; used to choose a writer, never to recognise a file.
        units: what the numbers in the file mean, one line.
        frames: frame count and rate of the format, one line.
        sniff: content -> `Detection`, or None if it is something else.
        read: ``read(source, ask, **options) -> Tracks``, or None.
        write: ``write(tracks, path, **options) -> {path: content}``, or None where writing makes no sense.
        accepts_units: values of ``units=`` the reader understands; the first one is what it means without.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    units: str
    frames: str
    sniff: Callable[[Source], Detection | None]
    read: Callable[..., Tracks] | None
    write: Callable[..., dict[Path, bytes]] | None
    accepts_units: tuple[str, ...] = (PIXELS,)


@dataclass(frozen=True)
class Ask:
    """What the caller of `read_tracks` said about a file. ``notes`` collects what the reader assumed or left out."""

    size: tuple[int, int] | None = None
    fps: float | None = None
    units: str | None = None
    num_frames: int | None = None
    visible_threshold: float | None = None
    notes: list[str] = field(default_factory=list[str])

    def need_size(self, source: Source, kind: str) -> tuple[int, int]:
        """(height, width) the coordinates refer to, or AmbiguousUnitsError naming the flag."""
        if self.size is None:
            raise AmbiguousUnitsError(
                f"{source.path}: {kind} do not say which image size their coordinates refer to; "
                "give size=(height, width), --size WxH on the command line"
            )
        return self.size

    def need_fps(self, source: Source, kind: str) -> float:
        """Frames per second, or AmbiguousUnitsError naming the flag."""
        if self.fps is None:
            raise AmbiguousUnitsError(
                f"{source.path}: {kind} do not say how many frames a second has; give fps, --fps on the command line"
            )
        return self.fps

    def need_num_frames(self, source: Source, kind: str) -> int:
        """Number of frames, or AmbiguousUnitsError naming the flag."""
        if self.num_frames is None:
            raise AmbiguousUnitsError(
                f"{source.path}: {kind} hold key points, not frames; give num_frames, --num-frames on the command line"
            )
        return self.num_frames


def make_tracks(
    source: Source, points: NDArray[Any], visible: NDArray[np.bool_] | None, size: tuple[int, int], fps: float
) -> Tracks:
    """Tracks from what a file held: points [T, N, 2] of any real type, visible [T, N] or None for all visible.

    Hidden entries that are not finite become (0, 0); visible ones are refused.

    Raises:
        FileFormatError: no frame or too many, or a visible point that is not a finite, sensible number.
    """
    frames = points.shape[0]
    if not 1 <= frames <= MAX_FRAMES:
        raise source.error(f"found {frames} frames, expected 1 to {MAX_FRAMES}")
    if visible is None:
        visible = np.ones(points.shape[:2], np.bool_)
    points = np.asarray(points, np.float64)
    wild = np.logical_not((np.abs(points) <= MAX_COORDINATE).all(axis=-1))
    if wild.any():
        if (wild & visible).any():
            frame, track = np.argwhere(wild & visible)[0]
            x, y = points[frame, track].tolist()
            raise source.error(
                f"found position ({x:g}, {y:g}) at frame {frame}, track {track}, "
                f"expected finite numbers up to {MAX_COORDINATE:g}"
            )
        points = np.where(np.expand_dims(wild, -1), 0.0, points)
    return Tracks(points.astype(np.float32), visible, size, fps)


def afford(source: Source, frames: int, tracks: int) -> None:
    """Refuse more positions than `MAX_POSITIONS`, before they are made.

    Raises:
        FileFormatError: too many.
    """
    if frames * tracks > MAX_POSITIONS:
        raise source.error(f"{tracks} tracks over {frames} frames are more than fit ({MAX_POSITIONS} positions)")


def seen(ask: Ask, values: NDArray[Any], default: float = 0.5) -> NDArray[np.bool_]:
    """Visibility from booleans, 0/1 numbers or probabilities: True from ``visible_threshold`` up; NaN is hidden."""
    if values.dtype == np.bool_:
        return values
    threshold = default if ask.visible_threshold is None else ask.visible_threshold
    return np.asarray(values >= threshold)


def require_visible(tracks: Tracks, kind: str, hidden: str) -> None:
    """Refuse hidden points where a format has no place for them, unless ``hidden="keep"`` (position without flag)."""
    if hidden not in ("error", "keep"):
        raise InputError(f"hidden: found {hidden!r}, expected 'error' or 'keep'")
    if hidden == "error" and not tracks.visible.all():
        frame, track = np.argwhere(~tracks.visible)[0]
        raise InputError(
            f"{kind} cannot say that a point is hidden (first one: frame {frame}, track {track}); "
            "write another format, or hidden='keep' (--to-option hidden=keep) to write the stored positions as visible"
        )


def require_tracks(tracks: Tracks, kind: str) -> None:
    """Refuse zero tracks where the file would keep nothing of them, not even the number of frames."""
    if tracks.num_tracks == 0:
        raise InputError(f"{kind} cannot hold zero tracks; write .tracks.safetensors or .npy instead")


def require_writable(tracks: Tracks, kind: str) -> None:
    """Refuse positions too large for a text format."""
    if tracks.points.size and float(np.abs(tracks.points).max()) > MAX_COORDINATE:
        raise InputError(f"{kind} hold positions up to {MAX_COORDINATE:g} pixels, found a larger one")


def stretch(tracks: Tracks, num_frames: int | None) -> Tracks:
    """The whole motion on ``num_frames`` frames, same duration; unchanged for None."""
    if num_frames is None or num_frames == tracks.num_frames:
        return tracks
    if num_frames * tracks.num_tracks > max(MAX_POSITIONS, tracks.visible.size):
        raise InputError(
            f"num_frames: {tracks.num_tracks} tracks over {num_frames} frames are more than fit "
            f"({MAX_POSITIONS} positions)"
        )
    return tracks.resample(num_frames)


def numbers(source: Source, value: object, where: str, *, columns: int = 2) -> NDArray[np.float64]:
    """A JSON list of equally long lists of numbers as float64 [rows, columns].

    Raises:
        FileFormatError: anything else, naming ``where`` in the file it is.
    """
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is not None and array.size == 0 and isinstance(value, list) and not any(cast("list[Any]", value)):
        return np.zeros((0, columns))
    if array is None or array.ndim != 2 or array.shape[1] != columns:
        raise source.error(f"{where}: expected a list of {columns} numbers per entry")
    return array


def key_paths(source: Source, value: object, where: str) -> list[NDArray[np.float64]]:
    """A JSON list of paths, each a list of [x, y], as one float64 [P, 2] per path. Fast where all are equally long.

    Raises:
        FileFormatError: anything else, naming the path.
    """
    if not isinstance(value, list):
        raise source.error(f"{where}: expected a list of paths")
    try:
        stacked = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        stacked = None
    if stacked is not None and stacked.ndim == 3 and stacked.shape[-1] == 2:
        return list(stacked)
    return [numbers(source, path, f"{where} {index}") for index, path in enumerate(cast("list[Any]", value))]


def shape_text(shape: Sequence[int]) -> str:
    return "[" + ", ".join(str(side) for side in shape) + "]"
