"""A motion in words: what moves where, how fast, and what the camera does. English and Chinese.

Lengths are in diagonals of the canvas, so that the words do not depend on its size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

Language = Literal["en", "zh"]

MOST_THINGS = 4  # more make a list nobody pictures
MOST_NAMES = 3

_STILL = 0.01  # diagonals: less than this is no motion
_SLOW, _FAST = 0.05, 0.3  # diagonals per second
_NO_ZOOM, _NO_TURN = 0.03, 2.0  # share of the size; degrees
_CAMERA_TRACKS, _CAMERA_SPREAD, _CAMERA_SHARE = 6, 0.25, 0.6  # least number, part of the canvas, part that agrees
_AGREE = 0.015  # diagonals by which a track may miss the camera's motion
_NEAR, _ALIKE = 0.25, 0.25  # of one thing: how far apart, and how different in motion, tracks may be
_BACK = 0.3  # part of the way out that is left at the end of a motion that returns
_BENT, _ROUND = 1.25, 3.0  # way travelled over way gained


@dataclass(frozen=True)
class Move:
    """What something does between its start and the moment it is farthest from there.

    Attributes:
        place: of its middle at the start, in 0..1 of width and height.
        shift: (x, y) in diagonals, y down; zoom: factor on its size; turn: degrees, clockwise.
        speed: diagonals per second; bend: way travelled over way gained.
        returns: whether it ends near its start.
        names: of what belongs to it, where the motion gives them.
    """

    place: tuple[float, float]
    shift: tuple[float, float]
    zoom: float
    turn: float
    speed: float
    bend: float
    returns: bool
    names: tuple[str, ...] = ()

    @property
    def still(self) -> bool:
        length = float(np.hypot(*self.shift))
        return length < _STILL and abs(self.zoom - 1) < _NO_ZOOM and abs(self.turn) < _NO_TURN and self.bend < _ROUND


@dataclass(frozen=True)
class Summary:
    """The motion of a picture: of all of it (seen, not the camera's own), and of things; None where nothing says."""

    picture: Move | None
    things: tuple[Move, ...]


def summarise(motion: Motion | Tracks) -> Summary:
    """What moves, the largest motion first.

    Every instruction with an area is a thing. Among all other tracks those that share one shift, turn and zoom over
    much of the canvas are the picture's, and neighbours that move alike are a thing.
    """
    if isinstance(motion, Tracks):
        picture, things = _split(motion, [None] * motion.num_tracks)
    else:
        from motionloom.tracks.instructions import Area, Box, FreePath

        known = {str(each.id): each for each in motion.instructions}
        tracks, owners = motion.compile(), [known[name] for name in motion.owners()]
        area = np.array([isinstance(owner, (Area, Box)) for owner in owners], np.bool_)
        names = [owner.name if isinstance(owner, FreePath) else None for owner in owners]
        rest = np.flatnonzero(~area)
        picture, things = _split(tracks.select(rest), [names[place] for place in rest])
        for each in known.values():
            mine = np.array([owner is each for owner in owners], np.bool_) & area
            used = tracks.select(mine & _said(tracks))
            if used.num_tracks:
                things.append(_move(_held(used), _peak(_held(used)), (each.name,) if each.name else ()))
    return Summary(picture, tuple(sorted(things, key=_amount, reverse=True)))


def describe(motion: Motion | Tracks, language: Language = "en") -> str:
    """The motion in one to five sentences; empty where there is none to speak of.

    Raises:
        InputError: another language.
    """
    if language not in ("en", "zh"):
        raise InputError(f"language: found {language!r}, expected 'en' or 'zh'")
    summary = summarise(motion)
    wording = _english if language == "en" else _chinese
    return wording(summary)


# ------------------------------------------------------------------------------------------------------- what moves
def _split(tracks: Tracks, names: list[str | None]) -> tuple[Move | None, list[Move]]:
    """The motion of the picture as a whole, and of the things in the tracks."""
    kept = np.flatnonzero(_said(tracks))
    names = [names[place] for place in kept]
    tracks = tracks.select(kept)
    if tracks.num_tracks == 0:
        return None, []
    picture = None
    camera = _camera(tracks)
    held = _held(tracks)
    if camera is not None:
        agrees, frame = camera
        there = agrees & tracks.visible[frame]
        picture = _move(held.select(there), frame, (), centre=(tracks.width / 2, tracks.height / 2))
        held, names = held.select(~agrees), [name for name, of_it in zip(names, agrees, strict=True) if not of_it]
    groups = _groups(held)
    things: list[Move] = []
    for number in np.unique(groups):
        part = held.select(groups == number)
        known = dict.fromkeys(name for name, group in zip(names, groups, strict=True) if group == number and name)
        things.append(_move(part, _peak(part), tuple(known)))
    return picture, things


def _said(tracks: Tracks) -> NDArray[np.bool_]:
    """bool [N]: tracks seen on two frames or more; others say nothing."""
    return tracks.visible.sum(0) >= 2


def _held(tracks: Tracks) -> Tracks:
    """The same tracks, hidden frames at the last place seen, or the first to come."""
    index = np.where(tracks.visible, np.arange(tracks.num_frames)[:, None], -1)
    held = np.maximum.accumulate(index, axis=0)
    held = np.where(held < 0, tracks.visible.argmax(0)[None], held)
    points = np.take_along_axis(tracks.points, held[..., None], axis=0)
    return Tracks(points, tracks.visible, tracks.size, tracks.fps)


def _camera(tracks: Tracks) -> tuple[NDArray[np.bool_], int] | None:
    """bool [N], the tracks that move as the whole picture does, and the frame that shows it; None where none do."""
    low, high = tracks.points[0].min(0), tracks.points[0].max(0)
    if tracks.num_tracks < _CAMERA_TRACKS or np.prod(high - low) < _CAMERA_SPREAD * tracks.width * tracks.height:
        return None
    # Zooming in, most points leave the picture: the last frame that still has enough of them.
    seen = tracks.visible.sum(1)
    enough = np.flatnonzero(seen >= max(_CAMERA_TRACKS, _CAMERA_SHARE * tracks.num_tracks))
    if len(enough) == 0:
        return None
    part = Tracks(tracks.points[: enough[-1] + 1], tracks.visible[: enough[-1] + 1], tracks.size, tracks.fps)
    frame = _peak(_held(part))
    there = tracks.visible[frame] & tracks.visible[0]
    if there.sum() < _CAMERA_TRACKS:
        return None
    matrix = _similarity(tracks.select(there), frame)
    if matrix is None:
        return None
    missed = np.linalg.norm(tracks.points[0] @ matrix[:, :2].T + matrix[:, 2] - tracks.points[frame], axis=-1)
    agrees = missed < _AGREE * _diagonal(tracks)
    if agrees[there].mean() < _CAMERA_SHARE:
        return None
    # Of points that have left nothing else is known.
    return agrees | ~there, frame


def _groups(tracks: Tracks) -> NDArray[np.int64]:
    """int [N]: the thing each track belongs to. Neighbours belong together where one shift, turn and zoom moves them
    all, or else where they move alike."""
    if tracks.num_tracks == 0:
        return np.zeros(0, np.int64)
    diagonal, frame = _diagonal(tracks), _peak(tracks)
    start = tracks.points[0] / diagonal
    near = np.linalg.norm(start[:, None] - start[None], axis=-1) < _NEAR
    shift = (tracks.points[frame] - tracks.points[0]) / diagonal
    length = np.linalg.norm(shift, axis=-1)
    unlike = np.linalg.norm(shift[:, None] - shift[None], axis=-1)
    alike = unlike < _ALIKE * np.maximum(length[:, None], length[None]) + _STILL
    groups = _connected(near)
    for number in np.unique(groups):
        mine = groups == number
        part = tracks.select(mine)
        matrix = _similarity(part, frame) if part.num_tracks >= 3 else None
        if matrix is not None:
            missed = np.linalg.norm(part.points[0] @ matrix[:, :2].T + matrix[:, 2] - part.points[frame], axis=-1)
            if missed.max() < _AGREE * diagonal:
                continue
        groups[mine] = groups.max() + 1 + _connected((near & alike)[np.ix_(mine, mine)])
    return groups


def _connected(same: NDArray[np.bool_]) -> NDArray[np.int64]:
    from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]
    from scipy.sparse.csgraph import connected_components  # pyright: ignore[reportMissingTypeStubs]

    found: Any = connected_components(csr_matrix(same), directed=False)
    return np.asarray(found[1], np.int64)


def _move(tracks: Tracks, peak: int, names: tuple[str, ...], centre: tuple[float, float] | None = None) -> Move:
    """What these tracks do together up to a frame; the shift is that of ``centre``, or of the tracks' own middle."""
    diagonal = _diagonal(tracks)
    matrix = _similarity(tracks, peak) if tracks.num_tracks >= 3 else None
    start = tracks.points[0].mean(0) if centre is None else np.array(centre)
    middle = tracks.points.mean(1)
    shift = middle[peak] - middle[0]
    zoom, turn = 1.0, 0.0
    if matrix is not None:
        zoom = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        turn = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
        shift = matrix[:, :2] @ start + matrix[:, 2] - start
    steps = np.linalg.norm(np.diff(middle[: peak + 1], axis=0), axis=-1).sum()
    gained = float(np.linalg.norm(middle[peak] - middle[0]))
    seconds = peak / tracks.fps
    reach = np.linalg.norm(tracks.points[[peak, -1]] - tracks.points[0], axis=-1).mean(-1)
    return Move(
        place=(float(start[0]) / tracks.width, float(start[1]) / tracks.height),
        shift=(float(shift[0] / diagonal), float(shift[1] / diagonal)),
        zoom=zoom,
        turn=turn,
        speed=float(reach[0]) / diagonal / seconds if seconds else 0.0,
        bend=float(steps) / max(gained, _STILL * diagonal),
        returns=bool(reach[1] < _BACK * reach[0]),
        names=names,
    )


def _similarity(tracks: Tracks, frame: int) -> NDArray[np.float64] | None:
    """The shift, turn and zoom [2, 3] from the first frame that most tracks share; None where they share none."""
    found, _ = cv2.estimateAffinePartial2D(
        tracks.points[0], tracks.points[frame], ransacReprojThreshold=_AGREE * _diagonal(tracks)
    )
    return None if found is None or not np.isfinite(found).all() else np.asarray(found, np.float64)


def _peak(tracks: Tracks) -> int:
    """The first frame on which the tracks are farthest from their start, or nearly so."""
    reach = np.linalg.norm(tracks.points - tracks.points[:1], axis=-1).mean(-1)
    return int(np.argmax(reach >= 0.98 * reach.max()))


def _diagonal(tracks: Tracks) -> float:
    return float(np.hypot(tracks.width, tracks.height))


def _amount(move: Move) -> float:
    return float(np.hypot(*move.shift)) + abs(move.zoom - 1) / 4 + abs(move.turn) / 360


# ------------------------------------------------------------------------------------------------------------- words
_EN_WAYS = ("right", "lower right", "down", "lower left", "left", "upper left", "up", "upper right")
_ZH_WAYS = ("右", "右下", "下", "左下", "左", "左上", "上", "右上")
_EN_PLACES = (
    ("in the upper left", "at the top", "in the upper right"),
    ("on the left", "in the middle", "on the right"),
    ("in the lower left", "at the bottom", "in the lower right"),
)
_ZH_PLACES = (
    ("画面左上方", "画面上方", "画面右上方"),
    ("画面左侧", "画面中央", "画面右侧"),
    ("画面左下方", "画面下方", "画面右下方"),
)


def _english(summary: Summary) -> str:
    sentences: list[str] = []
    if summary.picture is not None:
        move = summary.picture
        parts: list[str] = []
        if abs(move.zoom - 1) >= _NO_ZOOM:
            parts.append("zooms in" if move.zoom > 1 else "zooms out")
        if np.hypot(*move.shift) >= _STILL:
            # The picture moves against the camera.
            parts.append(_toward("pans", _way((-move.shift[0], -move.shift[1]))))
        if abs(move.turn) >= _NO_TURN:
            parts.append("rolls counterclockwise" if move.turn > 0 else "rolls clockwise")
        pace = _pick(move.speed, "slowly ", "", "quickly ")
        back = " and returns" if move.returns else ""
        sentences.append(f"The camera {pace}{_and(parts)}{back}." if parts else "The camera stays still.")
    for move in _worth_words(summary):
        # A name with a capital is somebody's; others are things.
        called = [name if name[0].isupper() else f"the {name}" for name in move.names[:MOST_NAMES]]
        what, many = _and(called) or "the object", len(called) > 1
        where = _place(move, _EN_PLACES)
        pace = _pick(move.speed, " slowly", "", " quickly")
        if move.still:
            sentences.append(f"{_capital(what)} {where} {'stay' if many else 'stays'} still.")
            continue
        parts = []
        if move.bend >= _ROUND:
            parts.append(f"moves{pace} in a circle")
        elif np.hypot(*move.shift) >= _STILL:
            curve = " in a curve" if move.bend >= _BENT else ""
            parts.append(_toward(f"moves{pace}{curve}", _way(move.shift)))
        if abs(move.turn) >= _NO_TURN * 3:
            parts.append("turns clockwise" if move.turn > 0 else "turns counterclockwise")
        if abs(move.zoom - 1) >= _NO_ZOOM * 3:
            parts.append("comes closer" if move.zoom > 1 else "moves away")
        back = " and back again" if move.returns else ""
        parts = parts or [f"moves{pace} a little"]
        if many:
            parts = [re.sub(r"^(\w+)s\b", r"\1", part) for part in parts]
        sentences.append(f"{_capital(what)} {where} {_and(parts)}{back}.")
    return " ".join(sentences)


def _chinese(summary: Summary) -> str:
    sentences: list[str] = []
    if summary.picture is not None:
        move = summary.picture
        parts: list[str] = []
        if abs(move.zoom - 1) >= _NO_ZOOM:
            parts.append("推近" if move.zoom > 1 else "拉远")
        if np.hypot(*move.shift) >= _STILL:
            parts.append(f"向{_ZH_WAYS[_way((-move.shift[0], -move.shift[1]))]}移动")
        if abs(move.turn) >= _NO_TURN:
            parts.append("逆时针旋转" if move.turn > 0 else "顺时针旋转")
        pace = _pick(move.speed, "缓慢", "", "快速")
        back = "，随后回到原处" if move.returns else ""
        sentences.append(f"镜头{pace}{'并'.join(parts)}{back}。" if parts else "镜头保持静止。")
    for move in _worth_words(summary):
        what = f"{_place(move, _ZH_PLACES)}的{'、'.join(move.names[:MOST_NAMES]) or '物体'}"
        pace = _pick(move.speed, "缓慢", "", "快速")
        if move.still:
            sentences.append(f"{what}保持静止。")
            continue
        parts = []
        if move.bend >= _ROUND:
            parts.append(f"{pace}绕圈移动")
        elif np.hypot(*move.shift) >= _STILL:
            curve = "沿弧线" if move.bend >= _BENT else ""
            parts.append(f"{pace}{curve}向{_ZH_WAYS[_way(move.shift)]}移动")
        if abs(move.turn) >= _NO_TURN * 3:
            parts.append("顺时针转动" if move.turn > 0 else "逆时针转动")
        if abs(move.zoom - 1) >= _NO_ZOOM * 3:
            parts.append("逐渐靠近" if move.zoom > 1 else "逐渐远离")
        back = "，随后回到原处" if move.returns else ""
        sentences.append(f"{what}{'，'.join(parts) or f'{pace}轻微移动'}{back}。")
    return "".join(sentences)


def _worth_words(summary: Summary) -> list[Move]:
    """The things to speak of; those at rest only where nothing moves more, or where they have a name."""
    moving = [move for move in summary.things if not move.still]
    resting = [move for move in summary.things if move.still and (move.names or not (moving or summary.picture))]
    return (moving + resting)[:MOST_THINGS]


def _way(shift: tuple[float, float]) -> int:
    """0 to 7: which of eight directions, from the right clockwise."""
    return round(float(np.degrees(np.arctan2(shift[1], shift[0]))) / 45) % 8


def _toward(verb: str, way: int) -> str:
    name = _EN_WAYS[way]
    return f"{verb} {name}" if name in ("up", "down") else f"{verb} to the {name}"


def _place(move: Move, words: tuple[tuple[str, str, str], ...]) -> str:
    column, row = (min(2, max(0, int(share * 3))) for share in move.place)
    return words[row][column]


def _pick(speed: float, slow: str, usual: str, fast: str) -> str:
    return slow if speed < _SLOW else fast if speed > _FAST else usual


def _and(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
