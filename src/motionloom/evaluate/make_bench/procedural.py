"""A benchmark from the procedural generator: textured layers that move, with exact tracks and visibility."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.evaluate.categories import categorise
from motionloom.evaluate.make_bench.made import LEAST_TRACKS, Made, Progress, check_format, check_new, encoded
from motionloom.evaluate.movebench.layout import LANGUAGES, Layout, Part
from motionloom.evaluate.movebench.manifest import Manifest
from motionloom.evaluate.movebench.write import NewCase, write_case
from motionloom.media import Clip
from motionloom.media.files import replacing_folder
from motionloom.prepare.procedural import Scene, render, sample_scene, trace, with_photographs
from motionloom.tracks.tracks import Tracks
from motionloom.tracks.words import describe

PROCEDURAL_SEED = 2_000_003
"""Added to the seed of a procedural benchmark: nano's training draws from seeds below 1,000,003, and is validated on
that one and the next."""
KINDS = ("translation", "rotation", "zoom", "curve")
_CANDIDATES, _BATCH = 60, 12  # clips looked at per case wanted; clips sampled together
_SPOTS = 1024  # points of the grid among which tracks are chosen
_BLOCK = 8  # frames rendered at once
_TIMED = ("scale", "shift", "bend_phase", "bend_gain")  # what of a scene has frames, on the last axis
_FAR = 1e4  # half short sides; tells layers apart


def make_procedural(
    out: str | os.PathLike[str],
    *,
    cases: int = 24,
    seed: int = 0,
    num_frames: int = 17,
    size: tuple[int, int] = (128, 128),
    fps: float = 16.0,
    tracks: int = 16,
    languages: Sequence[str] = ("en",),
    photographs: Sequence[NDArray[np.uint8]] | None = None,
    overwrite: bool = False,
    on_progress: Progress | None = None,
) -> Made:
    """A benchmark of textured layers that move, with exact tracks and visibility.

    Translations, rotations, zooms and curves are equally many as far as the generator's clips allow. Single: tracks on
    one layer; multi: on two or more that move, for clips that have them. The mask is that of the single layer. The
    first frame is the decoded video's. The same arguments make the same files on one machine.

    Args:
        seed: of the benchmark; nano has not been trained on any.
        size: (height, width); both even.
        tracks: of each case at most.
        languages: of the captions, which describe the motion; each holds all files.
        photographs: uint8 [H, W, 3], for textures.
        overwrite: replace ``out``, all of it, if it exists.

    Raises:
        InputError: ``out`` exists, or arguments that make no sense.
    """
    target = Path(out)
    check_new(target, overwrite)
    _check(cases, num_frames, size, fps, tracks, languages)
    picks = _balanced(seed, cases, num_frames, size, fps, tracks)
    made, manifest = Made(), Manifest()
    manifest.facts = {
        "name": target.name,
        "fps": fps,
        "num_frames": num_frames,
        "made": {"from": "procedural", "seed": seed, "size": [size[1], size[0]], "photographs": len(photographs or ())},
    }
    with replacing_folder(target) as folder, tempfile.TemporaryDirectory() as scratch:
        layout = Layout(folder, {name: Part(folder / name, name) for name in LANGUAGES})
        for number, pick in enumerate(picks):
            scene = sample_scene(PROCEDURAL_SEED + seed, [pick.index], num_frames=num_frames, resolution=min(size))
            if photographs:
                chosen = [photographs[(number + step) % len(photographs)] for step in range(len(photographs))]
                scene = with_photographs(scene, chosen, PROCEDURAL_SEED + pick.index)
            video, first = encoded(Clip(_frames(scene, size), fps), Path(scratch))
            motions = {"single": pick.tracks} | ({"multi": pick.multi} if pick.multi else {})
            case = NewCase(
                id=f"procedural_{pick.category}_{made.categories[pick.category]:03d}",
                captions={name: _described(pick.tracks, name) for name in languages},
                tracks=motions,
                first_frame=first,
                video=video,
                mask=_mask(scene, pick.layer, size) if pick.layer else None,
                annotations={
                    "category": pick.category,
                    "content": "textured layers",
                    "exact": True,
                    "clip": [seed, pick.index],
                    "layer": pick.layer,
                },
            )
            write_case(layout, manifest, case)
            made.ids.append(case.id)
            made.multi += pick.multi is not None
            made.categories[pick.category] += 1
            if on_progress:
                on_progress(number + 1, len(picks))
    return made


def pick_tracks(scene: Scene, count: int, size: tuple[int, int], fps: float, *, seed: int) -> list[Tracks]:
    """For every clip of a scene, ``count`` points that stay visible throughout, half of them on whatever moves most.

    Where fewer stay visible, among those that are at the start. Deterministic in ``seed`` and the clip's place.
    """
    side = 24
    y, x = ((torch.arange(side) + 0.5) * (extent / side) for extent in size)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2)
    points, visible = trace(scene, grid.expand(scene.scale.shape[0], -1, -1), size)
    picked: list[Tracks] = []
    for clip in range(points.shape[0]):
        rng = np.random.default_rng([seed, clip])
        whole = np.flatnonzero(visible[clip].all(0).numpy())
        whole = rng.permutation(whole if len(whole) >= count else np.flatnonzero(visible[clip, 0].numpy()))
        length = (points[clip, :, whole] - points[clip, :1, whole]).norm(dim=-1).amax(0).numpy()
        fastest = whole[np.argsort(-length)[: len(whole) // 4]]
        chosen = list(dict.fromkeys([*fastest[rng.permutation(len(fastest))][: count // 2], *whole]))[:count]
        picked.append(Tracks(points[clip][:, chosen].numpy(), visible[clip][:, chosen].numpy(), size, fps))
    return picked


# ------------------------------------------------------------------------------------------- what a clip is taken for
@dataclass(frozen=True, eq=False)
class _Pick:
    """A clip of the generator, the layer that is followed, and what follows from them."""

    index: int
    layer: int
    category: str
    tracks: Tracks
    multi: Tracks | None


def _balanced(seed: int, cases: int, num_frames: int, size: tuple[int, int], fps: float, tracks: int) -> list[_Pick]:
    """As many picks as cases, their categories as equally many as possible, in the order of the clips."""
    wanted = Counter({kind: cases // len(KINDS) + (place < cases % len(KINDS)) for place, kind in enumerate(KINDS)})
    picks: list[_Pick] = []
    spare: list[_Pick] = []
    for start in range(0, _CANDIDATES * cases, _BATCH):
        indices = range(start, start + _BATCH)
        scene = sample_scene(PROCEDURAL_SEED + seed, indices, num_frames=num_frames, resolution=min(size))
        for options in _options(scene, indices, seed, size, fps, tracks):
            # What is still wanted most; among equals the nearest layer.
            best = max(options, key=lambda pick: (wanted[pick.category], pick.layer), default=None)
            if best is None:
                continue
            if wanted[best.category] > 0:
                wanted[best.category] -= 1
                picks.append(best)
            else:
                spare.append(best)
        if wanted.total() <= 0:
            break
    picks += spare[: cases - len(picks)]
    if len(picks) < cases:
        raise InputError(
            f"cases: found {len(picks)} clips that move, expected {cases}; try another seed, or longer or larger clips"
        )
    return sorted(picks, key=lambda pick: pick.index)


def _options(
    scene: Scene, indices: Sequence[int], seed: int, size: tuple[int, int], fps: float, count: int
) -> list[list[_Pick]]:
    """For each clip what it could be taken for: a pick for every layer that moves and has enough points."""
    spacing = (size[0] * size[1] / _SPOTS) ** 0.5
    y, x = (torch.arange(spacing / 2, extent, spacing) for extent in size)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2)
    grid = grid.expand(len(indices), -1, -1)
    points, visible = trace(scene, grid, size)
    owner = layer_of(scene, grid, size)
    found: list[list[_Pick]] = []
    for clip, index in enumerate(indices):
        layers: dict[int, tuple[str, Tracks]] = {}
        for layer in range(scene.scale.shape[1]):
            # Of a point that is hidden most of the time little can be measured.
            good = (owner[clip] == layer) & visible[clip, 0] & (visible[clip].float().mean(0) >= 0.5)
            places = np.flatnonzero(good.numpy())
            if len(places) < LEAST_TRACKS:
                continue
            places = np.random.default_rng([seed, index, layer]).permutation(places)[:count]
            chosen = Tracks(points[clip][:, places].numpy(), visible[clip][:, places].numpy(), size, fps)
            category = categorise(chosen)
            if category != "static":
                layers[layer] = (category, chosen)
        things = [tracks for layer, (_, tracks) in layers.items() if layer > 0]
        multi = None
        if len(things) >= 2:
            each = max(LEAST_TRACKS, count // len(things))
            first, *others = (tracks.select(np.arange(min(each, tracks.num_tracks))) for tracks in things)
            multi = first.concat(*others)
        found.append([_Pick(index, layer, kind, tracks, multi) for layer, (kind, tracks) in layers.items()])
    return found


def layer_of(scene: Scene, points: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Which layer is seen at points [B, N, 2] of the first frame: int64 [B, N], 0 is the background."""
    # A second frame like the first, but with every layer moved to a place of its own far away: points show by where
    # they go which layer they belong to.
    layers = scene.scale.shape[1]
    still = {name: getattr(scene, name)[..., [0, 0]] for name in _TIMED}
    still["shift"] = still["shift"].clone()
    still["shift"][..., 1] += _FAR * torch.arange(layers)
    moved, _ = trace(replace(scene, **still), points, size)
    return ((moved[:, 1, :, 0] - moved[:, 0, :, 0]) / (_FAR * min(size) / 2)).round().long()


def _frames(scene: Scene, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Frames uint8 [T, H, W, 3] of a scene of one clip, a few at a time: at full size they take gigabytes at once."""
    blocks: list[NDArray[np.uint8]] = []
    for start in range(0, scene.num_frames, _BLOCK):
        part = replace(scene, **{name: getattr(scene, name)[..., start : start + _BLOCK] for name in _TIMED})
        blocks.append((render(part, size)[0].permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8))
    return np.concatenate(blocks)


def _mask(scene: Scene, layer: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a layer is seen on the first frame, bool [H, W]."""
    y, x = (torch.arange(extent) + 0.5 for extent in size)
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2)
    return (layer_of(scene, centres, size)[0] == layer).reshape(size).numpy()


def _described(tracks: Tracks, language: str) -> str:
    words = describe(tracks, "zh" if language == "zh" else "en")
    return words or ("有纹理的形状在移动。" if language == "zh" else "Textured shapes move.")


def _check(
    cases: int, num_frames: int, size: tuple[int, int], fps: float, tracks: int, languages: Sequence[str]
) -> None:
    check_format(num_frames, size, fps, tracks, languages)
    if cases < 1:
        raise InputError(f"cases: found {cases}, expected at least 1")
