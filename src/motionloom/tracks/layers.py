"""Layers: what moves as one thing, from back to front. The geometric model moves each with its own tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.compile import assemble
from motionloom.tracks.instructions import Box, FreePath, Static
from motionloom.tracks.scene import Trace
from motionloom.tracks.tracks import Tracks


@dataclass(frozen=True, eq=False)
class Layer:
    """Part of the picture that moves together.

    Args:
        tracks: its points, on the layer's canvas; visible as long as the instruction is there, occlusion left aside.
        region: bool [H, W], the part of the picture; None for the background, which is all the rest.
        rigid: the region moves by a similarity or a projection of it, not by bending.
        name: the instruction's name, or its id.
        order: 0 is the back.
    """

    tracks: Tracks
    region: NDArray[np.bool_] | None
    rigid: bool
    name: str
    order: int


def split_layers(
    traces: Sequence[Trace], num_frames: int, canvas: tuple[int, int], size: tuple[int, int], fps: float
) -> list[Layer]:
    """The background first, then one layer for each instruction with an area, in list order.

    Paths and single static points that begin on an area belong to the foremost such layer, which then bends with them;
    all others, cameras and circles are the background's.
    """
    areas = [found for found in traces if found.shape is not None]
    members: dict[int, list[Trace]] = {place: [found] for place, found in enumerate(areas)}
    background: list[Trace] = []
    for found in traces:
        if found.shape is not None:
            continue
        if not isinstance(found.instruction, (FreePath, Static)):
            background.append(found)
            continue
        owner = _owner(found, areas)
        for place in np.unique(owner):
            mine = owner == place
            part = Trace(found.instruction, found.points[:, mine], found.visible[:, mine])
            (background if place < 0 else members[int(place)]).append(part)
    layers = [Layer(assemble(background, num_frames, canvas, size, fps), None, False, "background", 0)]
    for place, found in enumerate(areas):
        assert found.shape is not None
        layers.append(
            Layer(
                tracks=assemble(members[place], num_frames, canvas, size, fps),
                region=found.shape.raster(size),
                rigid=len(members[place]) == 1 and not _stretches(found),
                name=found.instruction.name or str(found.instruction.id),
                order=place + 1,
            )
        )
    return layers


def _owner(found: Trace, areas: Sequence[Trace]) -> NDArray[np.int64]:
    """int [N]: the foremost area each point begins on, or -1."""
    owner = np.full(found.points.shape[1], -1, np.int64)
    for place, area in enumerate(areas):
        assert area.shape is not None
        owner[area.shape.contains(found.points[0])] = place
    return owner


def _stretches(found: Trace) -> bool:
    """A box whose target has another aspect ratio changes its form."""
    box = found.instruction
    if not isinstance(box, Box) or box.target is None:
        return False
    across, down = box.target.width / box.source.width, box.target.height / box.source.height
    return abs(across - down) > 1e-6 * max(across, down)
