"""Tracks: where points are, frame by frame. What every method consumes.

Shapes use T frames and N tracks. Coordinates are pixels of a canvas of ``size`` (height, width), x to the right and
y down, continuous: the image spans [0, W] x [0, H] and the centre of the top left pixel is at (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FRAMES = 100_000
MAX_SIDE = 65_536


@dataclass(frozen=True, eq=False)
class Tracks:
    """Points over time on a canvas. Immutable: every operation returns new tracks.

    Args:
        points: float32 [T, N, 2], (x, y) in pixels of ``size``. Points may lie outside the canvas.
        visible: bool [T, N]. Where False, the position is kept but means nothing.
        size: (height, width) of the canvas in pixels.
        fps: frames per second, above zero.

    Raises:
        InputError: not finite, shapes that disagree, no frame, or a size or rate that makes no sense.
    """

    points: NDArray[np.float32]
    visible: NDArray[np.bool_]
    size: tuple[int, int]
    fps: float

    def __post_init__(self) -> None:
        try:
            # A number beyond float32 becomes infinite here and is refused below.
            with np.errstate(over="ignore"):
                points = np.array(self.points, dtype=np.float32, copy=True, order="C")
        except (TypeError, ValueError) as error:
            raise InputError(f"points: found values that are not an array of numbers ({error})") from None
        visible = np.array(self.visible, copy=True, order="C")
        if points.ndim != 3 or points.shape[-1] != 2:
            raise InputError(f"points: found shape {points.shape}, expected [T, N, 2]")
        if visible.shape != points.shape[:2]:
            raise InputError(f"visible: found shape {visible.shape}, expected {points.shape[:2]} to match points")
        if visible.dtype != np.bool_:
            raise InputError(f"visible: found dtype {visible.dtype}, expected bool")
        if points.shape[0] < 1:
            raise InputError("points: found no frame, expected at least one")
        if not np.isfinite(points).all():
            frame, track, _ = np.argwhere(~np.isfinite(points))[0]
            raise InputError(
                f"points: found a value that is not finite at frame {frame}, track {track}; "
                "mark points you do not know as not visible and give them any finite position"
            )
        size, fps = _checked_size(self.size), _checked_fps(self.fps)
        points.setflags(write=False)
        visible.setflags(write=False)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "visible", visible)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "fps", fps)

    # ------------------------------------------------------------------ facts
    @classmethod
    def empty(cls, num_frames: int, size: tuple[int, int], fps: float) -> Tracks:
        """Tracks with ``num_frames`` frames and no track: the base model's own motion."""
        return cls(np.zeros((num_frames, 0, 2), np.float32), np.zeros((num_frames, 0), np.bool_), size, fps)

    @property
    def num_frames(self) -> int:
        return self.points.shape[0]

    @property
    def num_tracks(self) -> int:
        return self.points.shape[1]

    @property
    def height(self) -> int:
        return self.size[0]

    @property
    def width(self) -> int:
        return self.size[1]

    @property
    def duration(self) -> float:
        """Seconds from the first to the last frame: (T - 1) / fps."""
        return (self.num_frames - 1) / self.fps

    def inside(self) -> NDArray[np.bool_]:
        """bool [T, N]: the position lies on the canvas (0 <= x < W and 0 <= y < H)."""
        x, y = self.points[..., 0], self.points[..., 1]
        return (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tracks):
            return NotImplemented
        return (
            self.size == other.size
            and self.fps == other.fps
            and np.array_equal(self.points, other.points)
            and np.array_equal(self.visible, other.visible)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        share = float(self.visible.mean()) if self.visible.size else 0.0
        count = "1 track" if self.num_tracks == 1 else f"{self.num_tracks} tracks"
        return (
            f"Tracks({count}, {self.num_frames} frames at {self.fps:g} fps, "
            f"{self.width}x{self.height}, {share:.0%} visible)"
        )

    def _replace(self, **changes: Any) -> Tracks:
        return replace(self, **changes)

    # ------------------------------------------------------------------ space
    def resize(self, size: tuple[int, int]) -> Tracks:
        """The same motion on a canvas of another (height, width); each axis is scaled by its own factor."""
        size = _checked_size(size)
        scale = np.array([size[1] / self.width, size[0] / self.height], np.float64)
        return self._replace(points=(self.points * scale).astype(np.float32), size=size)

    def crop(self, left: int, top: int, size: tuple[int, int]) -> Tracks:
        """The motion seen through a window of (height, width) whose corner is at (left, top), in pixels.

        Points outside the window keep their position (now negative or beyond the size) and their visibility.
        """
        return self._replace(points=self.points - np.array([left, top], np.float32), size=size)

    def translate(self, dx: float = 0.0, dy: float = 0.0, *, per_frame: tuple[float, float] = (0.0, 0.0)) -> Tracks:
        """Shift all points by (dx, dy) pixels, plus ``per_frame`` pixels for every frame after the first (a pan)."""
        steps = np.arange(self.num_frames, dtype=np.float64)[:, None, None]
        shift = np.array([dx, dy], np.float64) + steps * np.array(per_frame, np.float64)
        return self._replace(points=(self.points + shift).astype(np.float32))

    # ------------------------------------------------------------------- time
    def resample(self, num_frames: int | None = None, *, fps: float | None = None) -> Tracks:
        """The same motion on another time grid. Speeds in pixels per second are kept when ``fps`` is given.

        Args:
            num_frames: stretch or squeeze the whole motion onto this many frames (first and last frame kept). With
                ``fps`` too: play at ``fps`` for ``num_frames`` frames; beyond the end the last position holds.
            fps: play the same motion at another rate; without ``num_frames`` the duration is kept as closely as
                whole frames allow and never exceeds the original.

        Positions are linear between frames, except beside a hidden frame, where the visible neighbour counts alone;
        visibility is that of the nearest frame (the earlier one in the middle).

        Raises:
            InputError: neither argument, or one that is not positive.
        """
        if num_frames is None and fps is None:
            raise InputError("resample: give num_frames, fps, or both")
        times, rate = timeline(self.num_frames, self.fps, num_frames, fps)
        return self.at(times, fps=rate)

    def at(self, frames: ArrayLike, *, fps: float | None = None) -> Tracks:
        """Tracks sampled at fractional frame indices [S], clamped to the first and last frame. See `resample`."""
        times = np.asarray(frames, np.float64)
        if times.ndim != 1 or not 1 <= len(times) <= MAX_FRAMES or np.isnan(times).any():
            raise InputError(f"frames: found shape {times.shape}, expected 1 to {MAX_FRAMES} frame numbers [S]")
        times = np.clip(times, 0.0, self.num_frames - 1)
        low = np.floor(times).astype(np.int64)
        high = np.minimum(low + 1, self.num_frames - 1)
        part = (times - low)[:, None]
        seen_low, seen_high = self.visible[low], self.visible[high]
        weight = np.where(seen_low & ~seen_high, 0.0, np.where(seen_high & ~seen_low, 1.0, part))
        weight = np.where(part == 0.0, 0.0, weight)[..., None]
        points = self.points[low] * (1.0 - weight) + self.points[high] * weight
        visible = np.where(part > 0.5, seen_high, seen_low)
        return self._replace(points=points.astype(np.float32), visible=visible, fps=self.fps if fps is None else fps)

    def reverse(self) -> Tracks:
        """The motion played backwards."""
        return self._replace(points=self.points[::-1], visible=self.visible[::-1])

    def smooth(self, sigma: float) -> Tracks:
        """Gaussian smoothing over time with ``sigma`` in frames; only visible frames count, visibility is kept.

        Hidden frames keep their position. At the ends the kernel is cut, not padded, so a static point stays put.
        """
        if not (np.isfinite(sigma) and sigma >= 0):
            raise InputError(f"sigma: found {sigma}, expected frames, zero or more")
        # Below an eighth of a frame the kernel, cut at four sigma, is its middle alone.
        if sigma < 0.125 or self.num_frames == 1 or self.num_tracks == 0:
            return self
        # Wider than this it is flat over all frames; the bound keeps the kernel small.
        sigma = min(sigma, 16.0 * self.num_frames)
        from scipy import ndimage  # pyright: ignore[reportMissingTypeStubs]

        blur: Callable[..., NDArray[np.float64]] = ndimage.gaussian_filter1d  # pyright: ignore
        seen = self.visible.astype(np.float64)[..., None]
        total = blur(self.points * seen, sigma, axis=0, mode="constant")
        weight = blur(seen, sigma, axis=0, mode="constant")
        smoothed = np.where(seen > 0, total / np.maximum(weight, 1e-12), self.points)
        return self._replace(points=smoothed.astype(np.float32))

    # ---------------------------------------------------------------- density
    def densify(self, spacing: float = 8.0, region: NDArray[np.bool_] | None = None) -> Tracks:
        """Few tracks as many: a grid ``spacing`` pixels apart that moves as these tracks say, by interpolation.

        Args:
            region: bool [H, W], the part of the first frame to fill; default the whole canvas.
        """
        from motionloom.tracks.interpolate import densify

        return densify(self, spacing=spacing, region=region)

    # -------------------------------------------------------------- selection
    def select(self, tracks: Iterable[int] | NDArray[Any] | Callable[[Tracks], NDArray[np.bool_]]) -> Tracks:
        """Some of the tracks: indices, a bool mask [N], or a function from tracks to such a mask."""
        found = tracks(self) if callable(tracks) else tracks
        chosen = np.asarray(found if hasattr(found, "shape") else list(found))
        if chosen.size == 0 and chosen.dtype != np.bool_:
            chosen = np.zeros(0, np.int64)
        if chosen.dtype == np.bool_:
            if chosen.shape != (self.num_tracks,):
                raise InputError(f"tracks: found a mask of shape {chosen.shape}, expected ({self.num_tracks},)")
        elif chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise InputError(f"tracks: found {chosen.dtype} {chosen.shape}, expected a list of indices or a bool mask")
        else:
            wrong = chosen[(chosen < -self.num_tracks) | (chosen >= self.num_tracks)]
            if len(wrong):
                raise InputError(f"tracks: found index {wrong[0]}, expected 0 to {self.num_tracks - 1}")
        return self._replace(points=self.points[:, chosen], visible=self.visible[:, chosen])

    def concat(self, *others: Tracks) -> Tracks:
        """These tracks and the others', in order.

        Raises:
            InputError: canvas, rate or number of frames differ (`resize` and `resample` first).
        """
        for other in others:
            for name in ("size", "fps", "num_frames"):
                mine, theirs = getattr(self, name), getattr(other, name)
                if mine != theirs:
                    raise InputError(f"concat: {name} differs, {mine} and {theirs}; resize or resample first")
        return self._replace(
            points=np.concatenate([self.points, *(other.points for other in others)], axis=1),
            visible=np.concatenate([self.visible, *(other.visible for other in others)], axis=1),
        )


def timeline(
    num_frames: int, fps: float, wanted_frames: int | None, wanted_fps: float | None
) -> tuple[NDArray[np.float64], float]:
    """The moments at which a motion of ``num_frames`` frames is sampled, in its frames [T], and the new rate.

    The rules of `Tracks.resample`; without any wish the motion's own frames.

    Raises:
        InputError: a wish that is not positive, or more than `MAX_FRAMES` frames.
    """
    last = num_frames - 1
    if wanted_frames is not None and not (1 <= wanted_frames <= MAX_FRAMES and wanted_frames % 1 == 0):
        raise InputError(f"num_frames: found {wanted_frames}, expected a whole number from 1 to {MAX_FRAMES}")
    if wanted_frames is not None:
        wanted_frames = int(wanted_frames)
    if wanted_fps is None:
        if wanted_frames is None or wanted_frames == num_frames:
            return np.arange(num_frames, dtype=np.float64), fps
        if last == 0 or wanted_frames == 1:
            return np.zeros(wanted_frames), fps
        # Same duration on another number of frames: the rate that keeps pixels per second.
        return np.linspace(0.0, last, wanted_frames), fps * (wanted_frames - 1) / last
    wanted_fps = _checked_fps(wanted_fps)
    step = fps / wanted_fps
    if not np.isfinite(step):
        raise InputError(f"fps: found {wanted_fps:g} for a motion at {fps:g}, expected a rate it can be played at")
    if wanted_frames is None:
        exact = last / fps * wanted_fps
        if not exact < MAX_FRAMES:
            raise InputError(f"fps: {wanted_fps:g} makes {exact + 1:.0f} frames, expected at most {MAX_FRAMES}")
        # Rates that are no binary fractions give frames such as 23.999999999.
        wanted_frames = min(int(exact + 1e-6) + 1, MAX_FRAMES)
    return np.minimum(np.arange(wanted_frames) * step, float(last)), wanted_fps


def _checked_size(size: Any) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in size)
        whole = (height, width) == tuple(size)
    except (TypeError, ValueError, OverflowError):
        height, width, whole = 0, 0, False
    if not (whole and 1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise InputError(f"size: found {size}, expected (height, width) in whole pixels between 1 and {MAX_SIDE}")
    return height, width


def _checked_fps(fps: Any) -> float:
    try:
        rate = float(fps)
    except (TypeError, ValueError):
        rate = float("nan")
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"fps: found {fps}, expected a number above zero")
    return rate
