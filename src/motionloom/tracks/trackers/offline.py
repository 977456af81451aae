"""The default tracker: sparse and dense optical flow, refined against the frame a point was given on; no network.

Pyramidal Lucas-Kanade follows a point while its forward and backward flow agree, a chain of DIS flow takes over where
it fails, and an affine registration (ECC) to the frame the point was given on removes the drift of both. What surrounds
the point is compared with what surrounded it on that frame: where it looks like something else, the point is hidden and
waits where its companions say until it looks like itself again.

Frames are read once in each direction, in windows, and of a point only its state is kept, so memory does not grow with
the length of the video. Inside this file positions have integer pixel centres, as OpenCV has; at its border they are
ours (centre at +0.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.media.stream import WINDOW, BackwardFrames, Frames
from motionloom.tracks.trackers.appearance import Appearance, noise_of
from motionloom.tracks.trackers.registration import Registration, Template
from motionloom.tracks.tracks import Tracks

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Grey = NDArray[np.uint8]
Image = NDArray[np.float32]

_LK = {
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01),
    "minEigThreshold": 1e-4,
}
_AGREEMENT = 1.0  # px between where a point started and where its way there and back ends
# Sides of Lucas-Kanade's window, of the patch that is registered and of the one whose look decides what is hidden, for
# videos of 256 px and more. Smaller videos have smaller objects: windows shrink with them to half, or a point near an
# object's edge is pulled along by what is behind.
_LK_WINDOW, _TEMPLATE, _APPEARANCE = 21, 31, 11
_FULL_SIZE = 256
_SMALL_WINDOW = (7, 7)
_SMOOTHING = 0.375  # of white noise that is left of it after `_smooth`
_COMPLEX = np.array([1, 1j])
_ACCEPT, _REACQUIRE = 0.8, 0.9  # correlation to believe a registration; to bring back a point that had left
_LARGEST_CORRECTION = 3.0  # px
# Differences in look (see `Appearance`), tuned on procedural videos of seed 101.
_DOUBT = 0.05  # above, see whether a smaller patch does better
_DOUBT_APART = 0.01  # the same where both flows lie more than `_AGREEMENT` apart
_BETTER, _BETTER_FAR = 0.01, 0.03  # by how much it has to, and for every px away from where flow says
_LIKE = 0.1  # below, where a point is and how it moves is believed
_HIDE = 0.5  # above, a point is hidden
_HIDE_SUDDEN = 0.15  # above, a point is hidden that at the same time leaves its course
_SUDDEN = (1.0, 0.3)  # px per frame, and share of its speed, that a course may change by
_STEADY = 2  # frames after which a point has a course
# Where a video is cut, this share of the points goes astray or has no flow at once, and this one looks different.
_CUT, _CUT_SEEN = 0.6, 0.1
_FARTHEST = 8  # px around where it should be that a hidden point is looked for
_AT_ONCE = 4  # px around where it should be that a doubtful point is looked for


@dataclass(frozen=True)
class _Sight:
    """What it takes to see a hidden point again: correlation of the registration, and difference in look."""

    correlation: float
    difference: float


_WHOLE, _SMALL, _AFTER_CUT = _Sight(0.85, 0.2), _Sight(0.95, 0.08), _Sight(0.95, 0.06)
# How far the linear part of a registration may be from that of the last one (Frobenius norm): a small patch can be bent
# to look like almost anything.
_BEND, _BEND_SMALL = 1.0, 0.6
_COMPANIONS = 8
_TOGETHER = 1.0  # px per frame between the steps of companions


@dataclass(frozen=True)
class OfflineTracker:
    """Follows points on the processor, exactly where there is texture, and notices most of what gets hidden.

    Args:
        refine: register each point to its own frame; off is faster and drifts under rotation and zoom.
        occlusion: notice that a point is hidden; off, a hidden point takes on the motion of what hides it.
    """

    refine: bool = True
    occlusion: bool = True
    name: str = "offline"
    licence: str = "Apache-2.0"

    def track(self, frames: Frames, queries: Array, *, on_progress: Callable[[int, int], None] | None = None) -> Tracks:
        """Tracks of queries [N, 3] of (frame, x, y), each followed to both ends of the video.

        A point that is lost or hidden is not visible. One that has left keeps its last position. A hidden one goes
        where the flow takes what is in its place: a generated video may just have changed its looks.
        """
        query = np.asarray(queries, np.float64).reshape(-1, 3) - np.array([0.0, 0.5, 0.5])
        start = query[:, 0].astype(np.int64)
        count = frames.num_frames
        position = np.repeat(query[None, :, 1:], count, axis=0)
        visible = np.zeros((count, len(query)), np.bool_)
        visible[start, np.arange(len(query))] = True
        passes = [(frames, start)]
        if len(query) and start.max():
            passes.append((BackwardFrames(frames), count - 1 - start))
        total, done = sum(count - int(begin.min(initial=count)) for _, begin in passes), 0
        for direction, (pictures, begin) in enumerate(passes):
            chain = _Chain(self, query, frames.size)
            for number, picture in _pictures(pictures, int(begin.min(initial=count))):
                here = count - 1 - number if direction else number
                chain.advance(picture, position[here], visible[here], begin == number)
                done += 1
                if on_progress:
                    on_progress(done, total)
        return Tracks((position + 0.5).astype(np.float32), visible, frames.size, frames.fps)


class _Chain:
    """All points on their way in one direction; arrays have one row per query, [N, ...]."""

    def __init__(self, options: OfflineTracker, query: Array, size: tuple[int, int]) -> None:
        self.options, self.query, self.size = options, query, size
        self.window, self.template = (_window(side, size) for side in (_LK_WINDOW, _TEMPLATE))
        self.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        count = len(query)
        self.place = query[:, 1:].copy()  # (x, y) now, refined
        self.flow = self.place.copy()  # of the DIS chain
        self.lk = self.place.copy()  # of the Lucas-Kanade chain
        self.by_lk = np.ones(count, np.bool_)  # Lucas-Kanade has held since the start
        self.shape = np.repeat(np.eye(2)[None], count, 0)  # linear part of the last registration
        self.started, self.left, self.hidden = (np.zeros(count, np.bool_) for _ in range(3))
        self.shown = self.started.copy()  # visible on the frame before
        self.step = np.zeros((count, 2))  # px from frame to frame when last believed
        self.age, self.away = np.zeros(count, np.int64), np.zeros(count, np.int64)  # frames shown, frames not shown
        self.cut = np.zeros(count, np.bool_)  # lost where the video is cut
        self.companions: dict[int, NDArray[np.int64]] = {}  # of hidden points: who moved alike, the nearest
        self.offset = np.zeros((count, 2))  # from where companions carry a point to where it was
        self.templates: list[Template | None] = [None] * count
        self.small: list[Template | None] = [None] * count  # for where the others hold an edge
        self.look = Appearance(count, _window(_APPEARANCE, size))
        self.like = np.ones(count, np.bool_)  # it looked like itself
        self.believed = self.place.copy()  # where it was then, and has gone since on its course
        self.shadow = self.place.copy()  # of hidden points: where flow takes what is seen in their place
        self.before: Grey | None = None
        self.forward: NDArray[Any] | None = None

    def advance(self, picture: Grey, position: Array, visible: Bools, arriving: Bools) -> None:
        """Take all points that have started to the next picture, note where they are, and start others on it."""
        keep = self.options.refine or self.options.occlusion
        smooth = _smooth(picture) if keep else None
        if self.before is not None and self.started.any():
            self._move(self.before, picture, smooth)
            visible[self.started] = self.shown[self.started]
            position[self.started] = np.where(self.hidden[:, None], self.shadow, self.place)[self.started]
        new = np.flatnonzero(arriving)
        self.started |= arriving
        self.shown |= arriving
        if smooth is not None and len(new):
            for number in new:
                self.small[number] = Template.cut(smooth, self.place[number], max(7, self.template // 4 * 2 + 1))
                self.templates[number] = Template.cut(smooth, self.place[number], self.template)
            self.look.noise = _SMOOTHING * noise_of(picture)
            self.look.remember(smooth, new, self.place[new])
        self.before = picture

    def _move(self, before: Grey, picture: Grey, smooth: Image | None) -> None:
        old = self.place.copy()
        going = np.flatnonzero(self.started & ~self.left & ~self.hidden)
        consistent = np.zeros(len(self.query), np.bool_)
        if (self.started & ~self.left).any():
            consistent[going] = self._follow(before, picture, going)
        self._shade()
        if smooth is not None and self.options.refine:
            for number in np.flatnonzero(self.started & ~self.hidden).tolist():
                self._refine(smooth, number)
        if smooth is not None and self.options.occlusion:
            if self.options.refine:
                self._repair(before, picture, smooth, old)
            self._judge(smooth, old, consistent)
        self.left |= self.started & ~self.hidden & ~self._inside(self.place)
        self.shown = self.started & consistent & ~self.left & ~self.hidden
        sure = self.shown & self.like
        self.step[sure] = (self.place - old)[sure]
        self.believed = np.where(sure[:, None], self.place, self.believed + self.step)
        self.age = np.where(self.shown, self.age + 1, 0)
        self.away = np.where(self.shown, 0, self.away + 1)

    def _follow(self, before: Grey, after: Grey, going: NDArray[np.int64]) -> Bools:
        """Move points by their own flow to the next frame; True for those whose flow is consistent."""
        forward = backward = None
        if min(before.shape) >= 16:  # below, there is no room for DIS' patches
            # The stubs do not know that no flow to start from is allowed.
            forward = self.dis.calc(before, after, None)  # pyright: ignore[reportArgumentType, reportCallIssue]
            backward = self.dis.calc(after, before, None)  # pyright: ignore[reportArgumentType, reportCallIssue]
        self.forward = forward
        if not len(going):
            return np.zeros(0, np.bool_)
        options = {"winSize": (self.window, self.window), **_LK}
        start = self.lk[going].astype(np.float32)[:, None]
        moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, start, start.copy(), **options)
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, moved.copy(), **options)
        residual = np.linalg.norm((back - start)[:, 0], axis=1)
        lk_ok = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (residual < _AGREEMENT)
        lk_step = moved[:, 0].astype(np.float64) - self.lk[going]
        if forward is not None and backward is not None:
            step = _sample(forward, self.flow[going])
            flow_ok = np.linalg.norm(step + _sample(backward, self.flow[going] + step), axis=1) < _AGREEMENT
        else:
            step, flow_ok = (moved - start)[:, 0].astype(np.float64), lk_ok
        by_lk = self.by_lk[going] & lk_ok
        self.place[going] += np.where(by_lk[:, None], lk_step, step)
        self.flow[going] += step
        self.lk[going] = np.where(by_lk[:, None], self.lk[going] + lk_step, self.flow[going])
        self.by_lk[going] = by_lk
        return by_lk | flow_ok

    def _shade(self) -> None:
        """Take the shadows of hidden points along with the flow, as far as the border."""
        hidden = np.flatnonzero(self.hidden)
        if len(hidden) and self.forward is not None:
            height, width = self.size
            moved = self.shadow[hidden] + _sample(self.forward, self.shadow[hidden])
            self.shadow[hidden] = np.clip(moved, -0.5, [width - 0.5, height - 0.5])

    def _refine(self, smooth: Image, number: int) -> None:
        """Replace the predicted place by that of a registration, if it is believable."""
        template = self.templates[number]
        found = template.register(smooth, self.place[number], self.shape[number]) if template else None
        if found is None:
            return
        if self.left[number]:
            if found.correlation > _REACQUIRE and self._inside(found.place[None])[0]:
                self._settle(number, found.place, self.shape[number])
                self.left[number] = False
        elif found.correlation > _ACCEPT and np.linalg.norm(found.place - self.place[number]) < _LARGEST_CORRECTION:
            self.place[number], self.shape[number] = found.place, found.shape

    def _repair(self, before: Grey, picture: Grey, smooth: Image, old: Array) -> None:
        """Where a point's patch holds an edge of what the point is on, see whether a small one does better."""
        there = np.flatnonzero(self.started & ~self.left & ~self.hidden)
        unlike = self.look.difference(smooth, there, self.place[there], self.shape[there])
        dense = old[there] + (_sample(self.forward, old[there]) if self.forward is not None else self.step[there])
        apart = np.linalg.norm(dense - self.place[there], axis=1) > _AGREEMENT
        doubtful = (unlike > _DOUBT) | (apart & (unlike > _DOUBT_APART))
        there, unlike, dense = there[doubtful], unlike[doubtful], dense[doubtful]
        if not len(there):
            return
        start = old[there].astype(np.float32)[:, None]
        moved, _, _ = cv2.calcOpticalFlowPyrLK(before, picture, start, start.copy(), winSize=_SMALL_WINDOW, **_LK)
        for index, number in enumerate(there):
            template = self.small[number]
            if template is None:
                continue
            course = old[number] + self.step[number]
            guesses = [moved[index, 0].astype(np.float64), dense[index], self.place[number].copy(), course]
            searched = template.search(smooth, course, self.shape[number], _AT_ONCE)
            if searched is not None:
                guesses.append(searched)
            best, flowed = unlike[index], self.place[number].copy()
            for guess in guesses:
                found = template.register(smooth, guess, self.shape[number])
                if found is None or np.linalg.norm(found.place - guess) > _LARGEST_CORRECTION:
                    continue
                if np.linalg.norm(found.shape - self.shape[number]) > _BEND_SMALL:
                    continue
                now = self._difference(smooth, number, found)
                far = np.linalg.norm(found.place - flowed)
                if now < best - _BETTER - _BETTER_FAR * far:
                    best = now
                    self._settle(number, found.place, self.shape[number].copy())  # a small patch says little of it

    def _difference(self, smooth: Image, number: int, found: Registration) -> float:
        return float(self.look.difference(smooth, np.array([number]), found.place[None], found.shape[None])[0])

    def _settle(self, number: int, place: Array, shape: Array) -> None:
        """A point is where it was not followed to: chains begin anew."""
        self.place[number] = self.flow[number] = self.lk[number] = place
        self.shape[number], self.by_lk[number] = shape, False

    def _judge(self, smooth: Image, old: Array, consistent: Bools) -> None:
        """Hide points that look like something else, and find hidden ones again. Changes ``consistent`` for those."""
        there = np.flatnonzero(self.started & ~self.left & ~self.hidden)
        if len(there):
            unlike = self.look.difference(smooth, there, self.place[there], self.shape[there])
            self.like[there] = unlike < _LIKE
            turn = np.linalg.norm(self.place[there] - old[there] - self.step[there], axis=1)
            speed = np.linalg.norm(self.step[there], axis=1)
            sudden = (self.age[there] >= _STEADY) & (turn > _SUDDEN[0] + _SUDDEN[1] * speed)
            astray = unlike > _HIDE
            if astray.mean() > _CUT_SEEN and (~consistent[there] | astray).mean() > _CUT and len(there) >= 4:
                lost = there  # what still looks alike does so by chance
                self.cut[lost] = True
            else:
                lost = there[unlike > np.where(sudden, _HIDE_SUDDEN, _HIDE)]
                consistent[there[unlike < _WHOLE.difference]] = True
            self.hidden[lost] = True
            self.away[lost] = 0
            for number in lost.tolist():
                self._part(number, old)
        for number in np.flatnonzero(self.hidden).tolist():
            guess = self._guess(number, old)
            if self._find(smooth, number, guess):
                self.hidden[number] = False
                consistent[number] = True
            else:
                self.flow[number] = guess

    def _part(self, number: int, old: Array) -> None:
        """A point gets hidden: note who moved with it, and put it back to where it was last seen."""
        alike = np.linalg.norm(self.step - self.step[number], axis=1) < _TOGETHER
        near = np.linalg.norm(old - old[number], axis=1)
        others = self.shown & alike & (self.query[:, 0] == self.query[number, 0]) & ~self.hidden
        others[number] = False
        order = np.argsort(np.where(others, near, np.inf))[: min(_COMPANIONS, int(others.sum()))]
        self.companions[number] = order
        back = self.believed[number]
        self.shadow[number] = self.place[number]
        self.place[number] = self.flow[number] = back
        self.offset[number] = back - self._carried(number, order, old) if len(order) >= 3 else 0.0

    def _guess(self, number: int, old: Array) -> Array:
        """Where a hidden point should be by now."""
        companions = self.companions[number]
        order = companions[self.shown[companions] & ~self.hidden[companions] & ~self.left[companions]]
        if len(order) >= max(3, len(companions) / 2):
            return self._carried(number, order, self.place) + self.offset[number]
        if len(order):
            return self.flow[number] + np.median(self.place[order] - old[order], axis=0)
        return self.flow[number] + self.step[number]

    def _carried(self, number: int, order: NDArray[np.int64], places: Array) -> Array:
        """Where a similarity, fitted to the way of others from their query to ``places``, takes a point's query."""
        a, b = self.query[order, 1:] @ _COMPLEX, places[order] @ _COMPLEX
        spread = np.square(np.abs(a - a.mean())).sum()
        turn = (np.conj(a - a.mean()) * (b - b.mean())).sum() / spread if spread > 1e-6 else 1.0
        z = (self.query[number, 1:] @ _COMPLEX - a.mean()) * turn + b.mean()
        return np.array([z.real, z.imag])

    def _find(self, smooth: Image, number: int, guess: Array) -> bool:
        """Look for a hidden point around a place; True where it is seen again."""
        if not self._inside(guess[None])[0]:
            return False
        shape = self.shape[number]
        radius = min(3 + int(self.away[number]), _FARTHEST)
        ways = ((self.templates[number], _WHOLE), (self.small[number], _SMALL))
        if self.cut[number]:
            radius, ways = 1, ((self.templates[number], _AFTER_CUT),)
        for template, sight in ways:
            place = template.search(smooth, guess, shape, radius) if template else None
            found = template.register(smooth, place, shape) if template and place is not None else None
            if found is None or found.correlation < sight.correlation:
                continue
            if np.linalg.norm(found.shape - shape) > (_BEND_SMALL if sight is _SMALL else _BEND):
                continue
            if np.linalg.norm(found.place - guess) > radius + 2 or not self._inside(found.place[None])[0]:
                continue
            if self._difference(smooth, number, found) <= sight.difference:
                self._settle(number, found.place, found.shape)
                self.cut[number] = False
                return True
        return False

    def _inside(self, places: Array) -> Bools:
        height, width = self.size
        return np.asarray((places >= -0.5).all(-1) & (places < [width - 0.5, height - 0.5]).all(-1))


def _pictures(frames: Frames, start: int) -> Iterator[tuple[int, Grey]]:
    """(number, grey picture) from a frame to the last."""
    for first in range(start, frames.num_frames, WINDOW):
        for offset, frame in enumerate(frames.read(first, min(first + WINDOW, frames.num_frames))):
            yield first + offset, _grey(frame)


def _window(side: int, size: tuple[int, ...]) -> int:
    """An odd side, scaled to a video of (height, width)."""
    return int(side * min(1.0, max(0.5, min(size) / _FULL_SIZE))) // 2 * 2 + 1


def _sample(flow: NDArray[Any], places: Array) -> Array:
    """Flow [H, W, 2] at (x, y) [N, 2], bilinear, held beyond the border."""
    height, width = flow.shape[:2]
    at = np.clip(places, 0, [width - 1, height - 1])
    low = np.minimum(np.floor(at).astype(np.int64), [max(width - 2, 0), max(height - 2, 0)])
    x, y = low.T
    fx, fy = (at - low).T[..., None]
    x1, y1 = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
    top = flow[y, x] * (1 - fx) + flow[y, x1] * fx
    return top * (1 - fy) + (flow[y1, x] * (1 - fx) + flow[y1, x1] * fx) * fy


def _grey(frame: NDArray[np.uint8]) -> Grey:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), np.uint8)


def _smooth(image: Grey) -> Image:
    """What is registered: pixel noise would otherwise fake gradients."""
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (3, 3), 0), np.float32)
