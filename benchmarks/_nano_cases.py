"""True videos with exact tracks that nano was never trained on: what its benchmarks measure against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import cached_property, partial
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.evaluate.categories import similarities
from motionloom.evaluate.make_bench import pick_tracks
from motionloom.evaluate.make_bench.things import MOVES, moving_things
from motionloom.evaluate.tracks import trackable
from motionloom.media import read_image
from motionloom.models.nano.codec import BLOCK
from motionloom.prepare.procedural import Scene, Style, render, sample_scene, trace, visible_before, with_photographs
from motionloom.prepare.procedural.sources import sources
from motionloom.tracks.trackers import track
from motionloom.tracks.tracks import Tracks
from motionloom.train.nano import VALIDATION_SEED

Kind = Literal["procedural", "photograph"]
Origin = Callable[[], tuple[torch.Tensor, torch.Tensor]]

SIZE = (128, 128)
FRAMES, FPS = 17, 8.0
PHOTOGRAPHS = ("cat.jpg", "coffee.jpg", "rocket.jpg", "galaxies.jpg")

_GRID = 32  # points a side that say what moves in a clip
_FIRST_ANCHORED = 200  # clips from this one on are looked through for anchors: none is also a case
_LOOKED_THROUGH, _BATCH = 96, 8
_ANCHORS, _LEAST = 8, 4  # pinned and moved points in a case, and how few will do
_SEEN = 0.5  # share of the frames in which a track has to be visible
_STILL, _GOES = 0.0005, 0.03  # of the short side: what counts as resting and as moving
_APART = 0.12  # of the diagonal: how far from what is moved a pin on something that would move has to be


class Case:
    """A true video with some of its tracks.

    Attributes:
        name: its kind and number.
        frames: uint8 [T, H, W, 3]; seen: bool [T, H, W], which pixels the first frame shows.
        tracks: what a model is told.
        several: whether at least two things move, each in its own way (the picture as a whole is one).
    """

    def __init__(
        self, name: str, video: torch.Tensor, seen: torch.Tensor, tracks: Tracks, several: bool, origin: Origin
    ) -> None:
        self.name, self.tracks, self.several, self._origin = name, tracks, several, origin
        self.frames = as_bytes(video)
        self.seen: NDArray[np.bool_] = seen.numpy()
        self._found: Tracks | None = None

    @cached_property
    def origin(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Where in the first frame the cells of nano's latents come from, and whether it shows them; see
        `motionloom.prepare.procedural.sources`."""
        return self._origin()

    @property
    def found(self) -> Tracks:
        """What the tracker finds of the tracks in the true video."""
        if self._found is None:
            self._found = followed(self.frames, self.tracks)
        return self._found

    @property
    def trackable(self) -> NDArray[np.bool_]:
        """Where the tracker finds the points in the true video, [T, N]: what it loses there says nothing of a model."""
        return trackable(self.found.points, self.tracks.points, self.tracks.visible, size=self.tracks.size)


class AnchorCase:
    """A first frame, and tracks of which some stay where they are.

    Attributes:
        frames: the true video [T, H, W, 3] of "still" anchors. Of "held" ones there is none, and the first frame is
            repeated: they are on things that move in the true video.
        pinned: bool [N].
    """

    def __init__(self, name: str, sort: str, frames: NDArray[np.uint8], tracks: Tracks, pinned: NDArray[np.bool_]):
        self.name, self.sort, self.frames, self.tracks, self.pinned = name, sort, frames, tracks, pinned


def make_cases(
    kind: Kind, count: int, num_tracks: int, size: tuple[int, int] = SIZE, style: Style = "natural"
) -> list[Case]:
    """``count`` cases of a kind; the same ones every time. Natural clips in which nothing moves far are passed over:
    of those `make_anchors` tells. Simple ones are the first, as they are.

    Args:
        size: (height, width) in pixels. num_tracks: each; half of them on what moves most.
    """
    cases: list[Case] = []
    for start in range(0, _LOOKED_THROUGH if count else 0, _BATCH if style == "natural" else count):
        indices = range(start, start + (_BATCH if style == "natural" else count))
        scene = _scene(kind, indices, size, style)
        everywhere = _grid_tracks(scene, size)
        if style == "simple":
            picked: list[Tracks | None] = [*pick_tracks(scene, num_tracks, size, FPS, seed=VALIDATION_SEED)]
        else:
            picked = [_picked(tracks, num_tracks) for tracks in everywhere]
        for clip, tracks in enumerate(picked):
            if tracks is None:
                continue
            alone = _one(scene, clip)
            video, seen = render(alone, size)[0], visible_before(alone, size)[0]
            origin = partial(sources, alone, size, block=BLOCK)
            cases.append(Case(f"{kind} {indices[clip]}", video, seen, tracks, _several(everywhere[clip]), origin))
            if len(cases) == count:
                return cases
    return cases


def make_anchors(kind: Kind, count: int, size: tuple[int, int] = SIZE, style: Style = "natural") -> list[AnchorCase]:
    """``count`` cases with "still" anchors and as many with "held" ones, fewer where the clips do not have them."""
    left = {"still": count, "held": count}
    cases: list[AnchorCase] = []
    for start in range(_FIRST_ANCHORED, _FIRST_ANCHORED + _LOOKED_THROUGH, _BATCH):
        if not any(left.values()):
            break
        indices = range(start, start + _BATCH)
        scene = _scene(kind, indices, size, style)
        for clip, tracks in enumerate(_grid_tracks(scene, size)):
            for sort, found in (("still", _with_still(tracks)), ("held", _with_held(tracks))):
                if found is None or not left[sort]:
                    continue
                left[sort] -= 1
                frames = as_bytes(render(_one(scene, clip), size)[0])
                if sort == "held":
                    frames = np.repeat(frames[:1], FRAMES, axis=0)
                cases.append(AnchorCase(f"{kind} {indices[clip]}, {sort}", sort, frames, *found))
                break
    return cases


def followed(frames: NDArray[np.uint8], tracks: Tracks) -> Tracks:
    """What the package's tracker finds in the frames of points that start as the tracks do."""
    start = tracks.points[0]
    return track(frames, np.concatenate([np.zeros((len(start), 1)), start], axis=1), fps=tracks.fps)


def photographs() -> Iterator[NDArray[np.uint8]]:
    """The photographs that no training sees, uint8 [H, W, 3]."""
    folder = resources.files("motionloom.examples_data")
    for name in PHOTOGRAPHS:
        yield read_image(Path(str(folder / name)))


def _scene(kind: Kind, indices: Sequence[int], size: tuple[int, int], style: Style) -> Scene:
    seed = VALIDATION_SEED + (kind == "photograph")
    scene = sample_scene(seed, indices, num_frames=FRAMES, resolution=min(size), style=style)
    if kind == "procedural":
        return scene
    return with_photographs(scene, list(photographs()), VALIDATION_SEED + indices[0])


def _one(scene: Scene, clip: int) -> Scene:
    """A clip of a batch by itself: what is rendered at once has to fit into memory."""
    return replace(scene, **{each.name: getattr(scene, each.name)[[clip]] for each in fields(scene)})


def as_bytes(video: torch.Tensor) -> NDArray[np.uint8]:
    """[T, 3, H, W] in [0, 1] to [T, H, W, 3]."""
    return (video.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


def _grid_tracks(scene: Scene, size: tuple[int, int]) -> list[Tracks]:
    """Of points all over the first frame, clip by clip."""
    y, x = ((torch.arange(_GRID) + 0.5) * (extent / _GRID) for extent in size)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2)
    points, visible = trace(scene, grid.expand(scene.num_clips, -1, -1), size)
    return [Tracks(p.numpy(), v.numpy(), size, FPS) for p, v in zip(points, visible, strict=True)]


def _picked(tracks: Tracks, count: int) -> Tracks | None:
    """``count`` of the tracks that are seen at the start and at least half of the time, half of them on what moves, the
    quarter that goes farthest; None where too few move."""
    rng = np.random.default_rng(VALIDATION_SEED)
    whole = rng.permutation(np.flatnonzero(tracks.visible[0] & (tracks.visible.mean(0) >= _SEEN)))
    way = _way(tracks)
    fastest = whole[np.argsort(-way[whole], kind="stable")][: max(count // 2, len(whole) // 4)]
    moving = fastest[way[fastest] >= _GOES * min(tracks.size)]
    if len(moving) < min(_LEAST, count):
        return None
    chosen = list(dict.fromkeys([*rng.permutation(moving)[: count // 2], *whole]))[:count]
    return tracks.select(chosen)


def _several(tracks: Tracks) -> bool:
    things = moving_things(tracks)
    if len(things) != 1:
        return len(things) > 1
    # One thing, and the picture behind it: where most points go.
    fit = similarities(tracks.points.astype(np.float64), tracks.visible)
    rest = np.setdiff1d(np.arange(tracks.num_tracks), things[0])
    moved = _way(tracks)[rest]
    return fit is not None and len(moved) > 0 and float(np.median(moved)) > MOVES * float(np.hypot(*tracks.size))


def _way(tracks: Tracks) -> NDArray[np.float64]:
    """How far from its start each track gets while it is visible, pixels [N]."""
    distance = np.linalg.norm(tracks.points - tracks.points[:1], axis=-1)
    return np.where(tracks.visible, distance, 0.0).max(0)


def _with_still(tracks: Tracks) -> tuple[Tracks, NDArray[np.bool_]] | None:
    """Points that go somewhere, and points that rest in the true video."""
    whole, way = tracks.visible.all(0), _way(tracks)
    goes = np.flatnonzero(whole & (way > _GOES * min(tracks.size)))
    rests = np.flatnonzero(whole & (way < _STILL * min(tracks.size)))
    return _told(tracks, goes, rests, hold=False)


def _with_held(tracks: Tracks) -> tuple[Tracks, NDArray[np.bool_]] | None:
    """Points of the thing that moves most, and points elsewhere that move too, told to stay."""
    things = moving_things(tracks)
    if not things:
        return None
    whole, way = tracks.visible.all(0), _way(tracks)
    goes = np.intersect1d(things[0], np.flatnonzero(whole))
    path = tracks.points[::4, goes].reshape(-1, 2)
    if not len(path):
        return None
    distance = np.linalg.norm(tracks.points[0][:, None] - path[None], axis=-1).min(1)
    far = distance > _APART * float(np.hypot(*tracks.size))
    pins = np.setdiff1d(np.flatnonzero(whole & far & (way > _GOES * min(tracks.size))), things[0])
    return _told(tracks, goes, pins, hold=True)


def _told(
    tracks: Tracks, goes: NDArray[np.int64], pins: NDArray[np.int64], *, hold: bool
) -> tuple[Tracks, NDArray[np.bool_]] | None:
    if min(len(goes), len(pins)) < _LEAST:
        return None
    rng = np.random.default_rng(VALIDATION_SEED)
    goes, pins = (rng.permutation(each)[:_ANCHORS] for each in (goes, pins))
    points = tracks.points[:, np.concatenate([goes, pins])].copy()
    if hold:
        points[:, len(goes) :] = points[:1, len(goes) :]
    told = Tracks(points, np.ones(points.shape[:2], np.bool_), tracks.size, tracks.fps)
    return told, np.arange(told.num_tracks) >= len(goes)
