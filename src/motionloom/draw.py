"""Showing motion on pictures: trails on a video, paths on a photograph, clips side by side, contact sheets.

All sizes are shares of the picture's short side, so that drawings look alike on 128 and on 4000 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.media import Clip
    from motionloom.tracks.motion import Motion

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (255, 92, 87),
    (54, 197, 240),
    (255, 200, 61),
    (124, 214, 92),
    (199, 125, 255),
    (255, 145, 77),
    (46, 214, 175),
    (255, 119, 200),
    (120, 144, 255),
    (196, 224, 60),
)
"""RGB of the first tracks, far apart in hue and bright enough for any picture; more tracks take a rainbow."""
ANCHOR: Colour = (240, 240, 240)
OUTLINE: Colour = (16, 18, 24)
MANY = 300
"""More tracks than this are drawn as fine points and thin trails."""
FEW = 40
"""Up to this many moving tracks are drawn at full size with their starts marked; more get smaller."""
STATIC = 0.002
"""A track that never leaves its place by more than this share of the short side is drawn as an anchor."""
FADES = 8
"""Steps in which a trail fades."""
SUB = 4
"""Bits of sub-pixel precision in OpenCV's drawing."""


@dataclass(frozen=True)
class Style:
    """How tracks look.

    Args:
        radius: of a point. width: of a line. Both as shares of the picture's short side.
        opacity: of everything, 0 to 1.
        outline: a dark edge around all shapes, for contrast on any picture.
        hidden: "dim" draws hidden points as faint rings, "none" leaves them out.
        start: mark where a track begins.
        dim: darkens the picture below, 0 (as it is) to 1 (black).
    """

    radius: float = 0.012
    width: float = 0.0055
    opacity: float = 1.0
    outline: bool = True
    hidden: Literal["dim", "none"] = "dim"
    start: bool = True
    dim: float = 0.0


def draw(
    picture: Clip | NDArray[np.uint8],
    motion: Motion | Tracks,
    *,
    trail: float | None = 1.25,
    colours: Sequence[Colour] | None = None,
    style: Style | None = None,
) -> Clip:
    """Motion drawn over a clip, or over a photograph that stands still.

    Args:
        picture: a clip, or an image uint8 [H, W, 3], or frames uint8 [T, H, W, 3].
        motion: a motion, compiled for the clip; or tracks, scaled to it and resampled onto its frames.
        trail: seconds that a point leaves a fading trail for; None keeps the whole way, 0 draws points alone.
        colours: RGB per track; default `PALETTE`, beyond it a rainbow across the places where tracks begin.
        style: see `Style`.

    Returns:
        A clip as long as the one given (as the motion, for a photograph). What its provenance tells about the clip
        below it is kept under "drawn_on".

    Raises:
        InputError: the picture, colours or trail are not usable.
    """
    frames, tracks, below = _prepare(picture, motion)
    if trail is not None and not (np.isfinite(trail) and trail >= 0):
        raise InputError(f"trail: found {trail}, expected seconds, zero or more, or None for the whole way")
    length = tracks.num_frames if trail is None else round(trail * tracks.fps)
    pen = _Pen(tracks, style or Style(), colours)
    drawn = np.empty((tracks.num_frames, *frames.shape[1:]), np.uint8)
    for t in range(tracks.num_frames):
        drawn[t] = pen.frame(frames[min(t, len(frames) - 1)], t, length)
    from motionloom.media import Clip

    return Clip(drawn, tracks.fps, {"drawn_on": below} if below else {})


def draw_paths(
    image: NDArray[np.uint8],
    motion: Motion | Tracks,
    *,
    colours: Sequence[Colour] | None = None,
    style: Style | None = None,
) -> NDArray[np.uint8]:
    """The whole way of every track on one picture, a dot at its start and an arrow head at its end: uint8 [H, W, 3].

    Args, Raises: see `draw`.
    """
    image = np.asarray(image)
    if image.ndim != 3:
        raise InputError(f"image: found shape {image.shape}, expected [H, W, 3]")
    frames, tracks, _ = _prepare(image, motion)
    return _Pen(tracks, style or Style(), colours).still(frames[0])


def side_by_side(*clips: Clip, labels: Sequence[str] | None = None, height: int | None = None) -> Clip:
    """Clips next to each other, each below its label.

    They are brought to one height (that of the tallest, or ``height``) and to the first one's rate; a clip that ends
    early shows its last frame.

    Raises:
        InputError: no clip, or another number of labels than clips.
    """
    from motionloom.media import Clip

    if not clips:
        raise InputError("clips: found none, expected at least one")
    if labels is not None and len(labels) != len(clips):
        raise InputError(f"labels: found {len(labels)}, expected {len(clips)}, one for each clip")
    tall = height or max(clip.frames.shape[1] for clip in clips)
    fps = clips[0].fps
    count = max(max(1, round(len(clip.frames) * fps / clip.fps)) for clip in clips)
    gap = max(2, tall // 120)
    columns = []
    for place, clip in enumerate(clips):
        width = max(1, round(clip.frames.shape[2] * tall / clip.frames.shape[1]))
        index = np.minimum((np.arange(count) * clip.fps / fps + 1e-6).astype(int), len(clip.frames) - 1)
        column = np.stack([_resize(frame, (tall, width)) for frame in clip.frames])[index]
        if labels is not None:
            bar = _label_bar(labels[place], width, _bar_height(tall))
            column = np.concatenate([np.broadcast_to(bar, (count, *bar.shape)), column], axis=1)
        columns += [column, np.full((count, column.shape[1], gap, 3), OUTLINE, np.uint8)]
    return Clip(np.concatenate(columns[:-1], axis=2), fps)


def contact_sheet(
    clip: Clip, columns: int = 4, *, rows: int | None = None, width: int = 1600, labels: bool = True
) -> NDArray[np.uint8]:
    """Frames of a clip at even distances on one picture, first and last included: uint8 [H, W, 3].

    Args:
        columns: pictures in a row. rows: default as many as make about three rows, fewer for a short clip.
        width: pixels of the whole sheet, at most.
        labels: the time of each frame in its corner.

    Raises:
        InputError: columns or rows below one, or no room for a picture.
    """
    if columns < 1 or (rows is not None and rows < 1):
        raise InputError(f"columns, rows: found {columns}, {rows}, expected one or more")
    total = len(clip.frames)
    columns = min(columns, total)
    rows = min(rows or 3, -(-total // columns))
    gap = max(2, width // 300)
    cell = min((width - gap * (columns + 1)) // columns, 2 * clip.frames.shape[2])
    if cell < 8:
        raise InputError(f"width: found {width}, expected at least {columns * 10 + gap * (columns + 1)} pixels")
    size = (max(1, round(cell * clip.frames.shape[1] / clip.frames.shape[2])), cell)
    sheet = np.full((gap + rows * (size[0] + gap), gap + columns * (size[1] + gap), 3), OUTLINE, np.uint8)
    chosen = np.rint(np.linspace(0, total - 1, min(rows * columns, total))).astype(int)
    for place, frame in enumerate(chosen):
        picture = _resize(clip.frames[frame], size)
        if labels:
            _stamp(picture, f"{frame / clip.fps:.2f} s")
        top = gap + place // columns * (size[0] + gap)
        left = gap + place % columns * (size[1] + gap)
        sheet[top : top + size[0], left : left + size[1]] = picture
    return sheet


def _prepare(
    picture: Clip | NDArray[np.uint8], motion: Motion | Tracks
) -> tuple[NDArray[np.uint8], Tracks, dict[str, Any]]:
    """Frames [T, H, W, 3] (one for a photograph), tracks that fit them, and the clip's provenance."""
    frames = np.asarray(getattr(picture, "frames", picture))
    still = frames.ndim == 3
    if still:
        frames = frames[None]
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise InputError(f"picture: found {frames.dtype} {frames.shape}, expected uint8 [H, W, 3] or [T, H, W, 3]")
    size = (frames.shape[1], frames.shape[2])
    fps = getattr(picture, "fps", None)
    if isinstance(motion, Tracks):
        tracks = motion.resize(size)
        if not still and tracks.num_frames != len(frames):
            tracks = tracks.resample(len(frames))
        if fps is not None:
            tracks = Tracks(tracks.points, tracks.visible, size, fps)
    else:
        tracks = motion.compile(size=size, num_frames=None if still else len(frames), fps=fps)
    return frames, tracks, dict(getattr(picture, "provenance", {}))


class _Pen:
    """Draws tracks, frame by frame, on two layers: colours (dark where nothing is) and how much of them shows.

    Since the colour layer is dark to begin with, the smooth edges of a shape blend into its own dark outline.
    """

    def __init__(self, tracks: Tracks, style: Style, colours: Sequence[Colour] | None) -> None:
        self.tracks, self.style = tracks, style
        side = min(tracks.size)
        way = tracks.points - tracks.points[:1] if tracks.num_tracks else tracks.points
        self.anchor = np.hypot(way[..., 0], way[..., 1]).max(axis=0, initial=0.0) <= STATIC * side
        moving = int((~self.anchor).sum())
        self.few, many = moving <= FEW, tracks.num_tracks > MANY
        smaller = 1.0 if self.few else max(0.35, (FEW / moving) ** 0.5)
        self.radius = max(1.2 if many else 1.8, side * style.radius * smaller)
        self.width = max(1.0, side * style.width * smaller)
        self.edge = max(0.8, 0.45 * self.width) if style.outline else 0.0
        self.edge_trails = self.edge if not many else 0.0
        self.colours = _colours(tracks, self.anchor, colours)
        # Far outside, OpenCV's fixed-point coordinates would overflow; nothing there is seen anyway.
        limit = 8.0 * max(tracks.size)
        self.points = np.clip(tracks.points.astype(np.float64), -limit, limit)
        self.first = np.where(tracks.visible.any(axis=0), tracks.visible.argmax(axis=0), tracks.num_frames)

    def frame(self, picture: NDArray[np.uint8], t: int, length: int) -> NDArray[np.uint8]:
        layers = _Layers(self.tracks.size)
        moving = np.flatnonzero(~self.anchor)
        begin = max(0, t - length)
        if t > begin:
            self._trails(layers, moving, begin, t, t - length)
        if self.style.start and self.few:
            begun = moving[(self.first[moving] < t)]
            self._rings(layers, self.points[self.first[begun], begun], begun, 0.75 * self.radius, 0.7)
        shown = self.tracks.visible[t]
        if self.style.hidden == "dim":
            hidden = moving[~shown[moving] & (self.first[moving] <= t)]
            self._rings(layers, self.points[t, hidden], hidden, 0.8 * self.radius, 0.45)
        still = np.flatnonzero(self.anchor & shown)
        self._dots(layers, self.points[t, still], still, 0.5 * self.radius)
        now = moving[shown[moving]]
        self._dots(layers, self.points[t, now], now, self.radius)
        return layers.over(picture, self.style.opacity, self.style.dim)

    def still(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        layers = _Layers(self.tracks.size)
        moving = np.flatnonzero(~self.anchor)
        last = self.tracks.num_frames - 1
        self._trails(layers, moving, 0, last, -int(0.6 * last) - 1)
        begun = moving[self.first[moving] <= last]
        if self.style.start:
            self._dots(layers, self.points[self.first[begun], begun], begun, 0.6 * self.radius)
        if len(self.anchor) <= MANY:
            for track in begun:
                self._arrow(layers, track)
        anchors = np.flatnonzero(self.anchor)
        self._dots(layers, self.points[0, anchors], anchors, 0.5 * self.radius)
        return layers.over(picture, self.style.opacity, self.style.dim)

    def _trails(self, layers: _Layers, tracks: NDArray[np.int64], begin: int, end: int, fade_from: int) -> None:
        """Ways from frame ``begin`` to ``end``, fading to nothing towards frame ``fade_from``."""
        if not len(tracks) or end <= begin:
            return
        points = _fixed(self.points[begin : end + 1, tracks])
        seen = self.tracks.visible[begin:end, tracks] & self.tracks.visible[begin + 1 : end + 1, tracks]
        begun = np.arange(begin, end)[:, None] >= self.first[tracks][None]
        groups: dict[Colour, list[NDArray[np.int32]]] = {}
        for place, track in enumerate(tracks):
            line = points[:, place]
            if not begun[0, place]:
                line = line[np.r_[begun[:, place], True]]
            groups.setdefault(self.colours[track], []).append(line)
        for colour, lines in groups.items():
            layers.lines(None, lines, self.width, colour=colour)
        age = (np.arange(begin, end) - fade_from + 1.0) / (end - fade_from)
        step = np.clip(np.ceil(age * FADES).astype(int), 1, FADES)
        for thickness, strength in ((self.width + 2 * self.edge_trails, 0.55), (self.width, 1.0)):
            if strength < 1.0 and not self.edge_trails:
                continue
            for fade in range(1, FADES + 1):
                frames = np.flatnonzero(step == fade)
                if not len(frames):
                    continue
                run = slice(frames[0], frames[-1] + 1)
                pieces = np.stack([points[:-1][run], points[1:][run]], axis=2)
                full = seen[run]
                value = strength * fade / FADES
                if self.style.hidden == "dim":
                    layers.lines(0.3 * value, list(pieces[~full & begun[run]]), thickness)
                layers.lines(value, list(pieces[full]), thickness)

    def _dots(self, layers: _Layers, points: NDArray[np.float64], tracks: NDArray[np.int64], radius: float) -> None:
        rim = radius >= 3.5
        for point, track in zip(points, tracks, strict=True):
            if self.edge:
                layers.circle(point, radius + self.edge, OUTLINE, 0.8)
            if rim:
                layers.circle(point, radius, (255, 255, 255), 1.0)
            layers.circle(point, radius * 0.72 if rim else radius, self.colours[track], 1.0)

    def _rings(
        self, layers: _Layers, points: NDArray[np.float64], tracks: NDArray[np.int64], radius: float, value: float
    ) -> None:
        width = max(1.0, 0.45 * radius)
        for point, track in zip(points, tracks, strict=True):
            if self.edge:
                layers.ring(point, radius, width + self.edge, OUTLINE, 0.5 * value)
            layers.ring(point, radius, width, self.colours[track], value)

    def _arrow(self, layers: _Layers, track: int) -> None:
        """A head at the end of the way, pointing where it was going."""
        way = self.points[self.first[track] :, track][self.tracks.visible[self.first[track] :, track]]
        size = 2.6 * self.radius
        distance = np.hypot(*(way - way[-1]).T)
        before = np.flatnonzero(distance > 0.6 * size)
        if len(before):
            direction = (way[-1] - way[before[-1]]) / distance[before[-1]]
        elif distance.max() > 0:
            direction = (way[-1] - way[distance.argmax()]) / distance.max()
        else:
            return
        across = np.array([-direction[1], direction[0]])
        for grow, colour, value in ((self.edge, OUTLINE, 0.8), (0.0, self.colours[track], 1.0)):
            tip = way[-1] + direction * (0.6 * size + 1.6 * grow)
            back = way[-1] - direction * (0.4 * size + grow)
            half = across * (0.45 * size + 1.4 * grow)
            layers.polygon(np.array([tip, back + half, back + direction * 0.2 * size, back - half]), colour, value)


class _Layers:
    def __init__(self, size: tuple[int, int]) -> None:
        self.colour = np.full((*size, 3), OUTLINE, np.uint8)
        self.alpha = np.zeros(size, np.uint8)

    def lines(
        self, value: float | None, lines: list[NDArray[np.int32]], width: float, colour: Colour | None = None
    ) -> None:
        if not lines:
            return
        thickness = max(1, round(width))
        if colour is not None:
            cv2.polylines(self.colour, lines, False, colour, thickness, cv2.LINE_AA, SUB)
        if value is not None:
            cv2.polylines(self.alpha, lines, False, (round(255 * value),), thickness, cv2.LINE_AA, SUB)

    def circle(self, point: NDArray[np.float64], radius: float, colour: Colour, value: float) -> None:
        centre, size = _fixed(point).tolist(), round(radius * 2**SUB)
        cv2.circle(self.colour, centre, size, colour, -1, cv2.LINE_AA, SUB)
        cv2.circle(self.alpha, centre, size, (round(255 * value),), -1, cv2.LINE_AA, SUB)

    def ring(self, point: NDArray[np.float64], radius: float, width: float, colour: Colour, value: float) -> None:
        centre, size, thickness = _fixed(point).tolist(), round(radius * 2**SUB), max(1, round(width))
        cv2.circle(self.colour, centre, size, colour, thickness, cv2.LINE_AA, SUB)
        cv2.circle(self.alpha, centre, size, (round(255 * value),), thickness, cv2.LINE_AA, SUB)

    def polygon(self, corners: NDArray[np.float64], colour: Colour, value: float) -> None:
        cv2.fillPoly(self.colour, [_fixed(corners)], colour, cv2.LINE_AA, SUB)
        cv2.fillPoly(self.alpha, [_fixed(corners)], (round(255 * value),), cv2.LINE_AA, SUB)

    def over(self, picture: NDArray[np.uint8], opacity: float, dim: float) -> NDArray[np.uint8]:
        result = picture.copy() if dim == 0 else (picture * np.float32(1.0 - dim)).astype(np.uint8)
        rows, columns = np.flatnonzero(self.alpha.any(axis=1)), np.flatnonzero(self.alpha.any(axis=0))
        if not len(rows):
            return result
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        part = self.alpha[box].astype(np.float32) * np.float32(opacity / 255)
        result[box] = cv2.blendLinear(self.colour[box], result[box], part, 1 - part)
        return result


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Positions as OpenCV draws them: pixel centres at whole numbers, with `SUB` bits below the point."""
    return np.rint((points - 0.5) * 2**SUB).astype(np.int32)


def _colours(tracks: Tracks, anchor: NDArray[np.bool_], given: Sequence[Colour] | None) -> list[Colour]:
    if given is not None:
        if len(given) != tracks.num_tracks:
            raise InputError(f"colours: found {len(given)}, expected {tracks.num_tracks}, one for each track")
        return [tuple(int(channel) for channel in colour) for colour in given]  # type: ignore[misc]
    moving = np.flatnonzero(~anchor)
    chosen: list[Colour] = [ANCHOR] * tracks.num_tracks
    if len(moving) <= len(PALETTE):
        for place, track in enumerate(moving):
            chosen[track] = PALETTE[place]
        return chosen
    # A rainbow over the places where tracks begin: neighbours are alike, so what moves together reads as one.
    start = tracks.points[tracks.visible.argmax(axis=0), np.arange(tracks.num_tracks)][moving]
    place = start @ np.array([1.0 / tracks.width, 0.6 / tracks.height])
    rank = (place - place.min()) / max(float(np.ptp(place)), 1e-9)
    ramp = cv2.applyColorMap(np.rint(20 + 215 * rank).astype(np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1]
    for track, colour in zip(moving, ramp.tolist(), strict=True):
        chosen[track] = (int(colour[0]), int(colour[1]), int(colour[2]))
    return chosen


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[Any]:
    if image.shape[:2] == size:
        return image.copy()
    shrinks = size[0] < image.shape[0]
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _bar_height(height: int) -> int:
    return max(14, round(height * 0.075))


@lru_cache(maxsize=64)
def _text(words: str, height: int, width: int) -> NDArray[np.float32]:
    """[height, w] in [0, 1]: a line of text, made smaller until it fits into ``width``."""
    from PIL import Image, ImageDraw, ImageFont

    size = 0.6 * height
    font = ImageFont.load_default(size)
    while size > 6 and font.getlength(words) > width:
        size *= 0.9
        font = ImageFont.load_default(size)
    canvas = Image.new("L", (max(1, min(width, int(font.getlength(words)) + 2)), height))
    ImageDraw.Draw(canvas).text((0, height / 2), words, fill=255, font=font, anchor="lm")
    return np.asarray(canvas, np.float32) / 255.0


def _label_bar(words: str, width: int, height: int) -> NDArray[np.uint8]:
    bar = np.full((height, width, 3), OUTLINE, np.float32)
    margin = max(2, height // 3)
    text = _text(words, height, max(1, width - 2 * margin))
    here = bar[:, margin : margin + text.shape[1]]
    here += (np.array([238.0, 240, 245]) - here) * text[:, : here.shape[1], None]
    return np.rint(bar).astype(np.uint8)


def _stamp(picture: NDArray[np.uint8], words: str) -> None:
    """A small dark tag with text in the lower left corner, in place."""
    height = max(10, round(0.09 * picture.shape[0]))
    text = _text(words, height, max(1, picture.shape[1] - height))
    pad = height // 3
    tag = picture[-height:, : text.shape[1] + 2 * pad].astype(np.float32)
    tag += (np.array(OUTLINE) - tag) * 0.65
    inner = tag[:, pad : pad + text.shape[1]]
    text = text[-inner.shape[0] :]
    inner += (255.0 - inner) * text[..., None]
    picture[-height:, : text.shape[1] + 2 * pad] = np.rint(tag).astype(np.uint8)
