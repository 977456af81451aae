"""ATI's ``.pth``: a torch file holding bytes, which are an npz archive with one array.

Facts: bytedance/ATI ``wan/utils/motion.py``, ``tools/trajectory_editor``. Array ``array`` [N, 121, 1, 3] (or
[121, N, 1, 3]) of (x, y, visible), all times 8, float32 or uint16; 121 frames at 24 fps; pixels of the image the tracks
were drawn on; hidden entries are (0, 0, 0). The program takes coordinates as continuous (its image spans [0, W]), so
no half-pixel shift happens here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.formats.base import Ask, Detection, Format, make_tracks, seen, shape_text, stretch
from motionloom.tracks.formats.pickled import load_plain
from motionloom.tracks.formats.source import Archive, Source, npz_bytes
from motionloom.tracks.tracks import Tracks

FRAMES = 121
FPS = 24.0
SCALE = 8
KEY = "array"
MODEL_FRAMES = 81
MODEL_FPS = 16.0
UINT16_MAX = np.iinfo(np.uint16).max
# First instruction of a torch file from before the zip container: its magic number as a pickled integer.
LEGACY_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def sniff(source: Source) -> Detection | None:
    needs = ("size",)
    if source.head.startswith(LEGACY_HEAD):
        return Detection("ati", "torch file of the older layout", needs)
    if source.head.startswith(b"PK\x03\x04"):
        with Archive(source) as archive:
            if _pickle_name(archive) is not None:
                return Detection("ati", "torch file (zip archive with data.pkl)", needs)
    return None


def read(source: Source, ask: Ask, *, ati_reference_frames: bool = False, scale: float = SCALE) -> Tracks:
    """Tracks of an ATI file.

    Args:
        ati_reference_frames: return the 81 frames at 16 fps the published program picks (frame floor(3k/2) for k =
            0..80), instead of the 121 at 24 fps in the file.
        scale: what the stored numbers are multiplied by.
    """
    array = _array(source)
    by_track = _track_first(source, array)[..., :3].astype(np.float32) / np.float32(scale)
    points = by_track[..., :2].transpose(1, 0, 2)
    tracks = make_tracks(
        source, points, seen(ask, by_track[..., 2].T), ask.need_size(source, "ATI tracks"), ask.fps or FPS
    )
    if ati_reference_frames:
        tracks = reference_frames(tracks)
    return stretch(tracks, ask.num_frames)


def reference_frames(tracks: Tracks) -> Tracks:
    """The 81 frames at 16 fps the published program selects from 121 at 24 fps: frame floor(3k/2), no interpolation.

    Raises:
        InputError: not 121 frames.
    """
    if tracks.num_frames != FRAMES:
        raise InputError(f"tracks: found {tracks.num_frames} frames, expected {FRAMES} for ATI's frame selection")
    return tracks.at(np.arange(MODEL_FRAMES) * 3 // 2, fps=tracks.fps * MODEL_FPS / FPS)


def write(
    tracks: Tracks,
    path: Path,
    *,
    dtype: str = "float32",
    compress: bool = False,
    timing: str = "true",
    after: str = "hold",
    layout: str = "tracks-first",
) -> dict[Path, bytes]:
    """Write an ATI file.

    Args:
        dtype: "float32", or "uint16" as in older files (1/8 pixel, no negative position, up to 8191 pixels).
        compress: deflate the npz archive inside; both kinds are published and read alike.
        timing: "true" keeps speeds: resampled to 24 fps, cut after 121 frames (5.04 s). "stretch" puts the whole
            motion on 121 frames.
        after: what a shorter motion does until frame 121 with true timing: "hold" its last position, or "vanish" as
            in ATI's own editor.
        layout: "tracks-first" [N, 121, 1, 3] as published, or "frames-first" [121, N, 1, 3].

    Raises:
        InputError: an unknown option value, or a position uint16 cannot hold.
    """
    _one_of("dtype", dtype, ("float32", "uint16"))
    _one_of("timing", timing, ("true", "stretch"))
    _one_of("after", after, ("hold", "vanish"))
    _one_of("layout", layout, ("tracks-first", "frames-first"))
    timed = _on_grid(tracks, timing, after)
    values = np.concatenate([timed.points, timed.visible[..., None]], axis=-1) * np.float32(SCALE)
    values[~timed.visible] = 0.0
    if dtype == "uint16":
        values = np.rint(values)
        if values.size and (values.min() < 0 or values.max() > UINT16_MAX):
            raise InputError(
                f"uint16 ATI files hold positions from 0 to {UINT16_MAX / SCALE:g} pixels, "
                f"found {values.min() / SCALE:g} to {values.max() / SCALE:g}; write dtype='float32'"
            )
    array = values[:, :, None, :].astype(dtype)
    if layout == "tracks-first":
        array = array.transpose(1, 0, 2, 3)
    return {path: _torch_file(npz_bytes({KEY: np.ascontiguousarray(array)}, compress=compress))}


def _on_grid(tracks: Tracks, timing: str, after: str) -> Tracks:
    if tracks.num_frames == FRAMES and (timing == "stretch" or tracks.fps == FPS):
        return tracks
    if timing == "stretch":
        return tracks.resample(FRAMES)
    timed = tracks.resample(FRAMES, fps=FPS)
    if after == "vanish":
        over = np.arange(FRAMES) / FPS > tracks.duration + 0.5 / FPS
        timed = Tracks(timed.points, timed.visible & ~over[:, None], timed.size, timed.fps)
    return timed


def _torch_file(content: bytes) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _array(source: Source) -> NDArray[Any]:
    content = _stored_bytes(source)
    with Archive(source, content) as archive:
        if KEY not in archive.array_names:
            raise source.error(f"the npz archive inside holds {archive.array_names[:5]}, expected {KEY!r}")
        return archive.arrays([KEY])[KEY]


def _stored_bytes(source: Source) -> bytes:
    # Read without torch: the same plain-data reader serves every pickle, and torch's own would allocate what a
    # hostile file declares. torch.load(weights_only=True) gives the same bytes (tested).
    if source.head.startswith(LEGACY_HEAD):
        content = load_plain(source, source.mapped(), skip=3)
    else:
        with Archive(source) as archive:
            name = _pickle_name(archive)
            if name is None:
                raise source.error("not a torch file: no data.pkl inside")
            content = load_plain(source, memoryview(archive.read(name)))
    if isinstance(content, (memoryview, bytearray)):
        content = bytes(content)
    if not isinstance(content, bytes):
        raise source.error(f"the torch file holds a {type(content).__name__}, expected bytes as ATI's tools store them")
    return content


def _pickle_name(archive: Archive) -> str | None:
    return next((name for name in archive.infos if name.count("/") == 1 and name.endswith("/data.pkl")), None)


def _track_first(source: Source, array: NDArray[Any]) -> NDArray[Any]:
    """[N, 121, >= 3]. An array with 121 tracks fits both layouts and is read tracks-first, as the program does."""
    if array.ndim == 4 and array.shape[2] == 1 and array.shape[3] >= 3 and array.dtype.kind in "fui":
        if array.shape[1] == FRAMES:
            return array[:, :, 0]
        if array.shape[0] == FRAMES:
            return array[:, :, 0].transpose(1, 0, 2)
    raise source.error(
        f"found {array.dtype} {shape_text(array.shape)}, expected numbers [N, {FRAMES}, 1, 3] or [{FRAMES}, N, 1, 3]"
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name}: found {value!r}, expected {' or '.join(map(repr, allowed))}")


FORMAT = Format(
    name="ati",
    title="ATI tracks",
    suffixes=(".pth",),
    units="pixels of the drawn-on image, times 8",
    frames=f"{FRAMES} at {FPS:g} fps",
    sniff=sniff,
    read=read,
    write=write,
)
