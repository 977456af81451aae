"""How tracks are drawn, frame by frame.

All sizes are shares of the picture's short side, so that drawings look alike on 128 and on 4000 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks

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


class Pen:
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
