"""Areas of the canvas: polygons and masks, what they contain, their pixels, and grids of points that fill them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError

MAX_GRID_POINTS = 65_536


class Shape(Protocol):
    """An area of a canvas, in canvas pixels."""

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """bool [...] for points [..., 2]."""
        ...

    def raster(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """The pixels [H, W] whose centre is inside, on a canvas scaled to ``size``."""
        ...

    def bounds(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in canvas pixels."""
        ...

    def centroid(self) -> NDArray[np.float64]:
        """The centre of mass [2] in canvas pixels."""
        ...


@dataclass(frozen=True, eq=False)
class Polygon:
    """A closed polygon, filled by the even-odd rule: ``vertices`` float64 [P, 2] on a ``canvas`` (height, width)."""

    vertices: NDArray[np.float64]
    canvas: tuple[int, int]

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        x, y = points[..., 0], points[..., 1]
        inside = np.zeros(x.shape, np.bool_)
        for (x1, y1), (x2, y2) in zip(self.vertices, np.roll(self.vertices, -1, axis=0), strict=True):
            if y1 == y2:
                continue
            crosses = ((y1 <= y) != (y2 <= y)) & (x >= x1 + (y - y1) * ((x2 - x1) / (y2 - y1)))
            inside ^= crosses
        return inside

    def raster(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        height, width = size
        corners = self.vertices * [width / self.canvas[1], height / self.canvas[0]]
        flips = np.zeros((height, width + 1), np.int32)
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y1 == y2:
                continue
            # Rows whose centre lies between the ends; each edge flips inside and outside to its right.
            low, high = sorted((y1, y2))
            rows = np.arange(max(0, int(np.ceil(low - 0.5))), min(height, int(np.ceil(high - 0.5))))
            x = x1 + (rows + 0.5 - y1) * ((x2 - x1) / (y2 - y1))
            np.add.at(flips, (rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
        return (np.cumsum(flips, axis=1)[:, :width] & 1).astype(np.bool_)

    def bounds(self) -> tuple[float, float, float, float]:
        (left, top), (right, bottom) = self.vertices.min(axis=0), self.vertices.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def centroid(self) -> NDArray[np.float64]:
        middle = self.vertices.mean(axis=0, dtype=np.float64)
        here = self.vertices - middle
        there = np.roll(here, -1, axis=0)
        cross = here[:, 0] * there[:, 1] - there[:, 0] * here[:, 1]
        area = cross.sum() / 2
        if abs(area) < 1e-9:
            return middle
        return middle + ((here + there) * cross[:, None]).sum(axis=0) / (6 * area)


@dataclass(frozen=True, eq=False)
class Mask:
    """The True pixels of ``mask`` bool [h, w], stretched over a ``canvas`` (height, width)."""

    mask: NDArray[np.bool_]
    canvas: tuple[int, int]

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        height, width = self.mask.shape
        column = np.floor(points[..., 0] * (width / self.canvas[1]))
        row = np.floor(points[..., 1] * (height / self.canvas[0]))
        on = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        rows = np.where(on, row, 0).astype(np.int64)
        columns = np.where(on, column, 0).astype(np.int64)
        return on & self.mask[rows, columns]

    def raster(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        height, width = size
        rows = ((np.arange(height) + 0.5) * (self.mask.shape[0] / height)).astype(np.int64)
        columns = ((np.arange(width) + 0.5) * (self.mask.shape[1] / width)).astype(np.int64)
        return self.mask[rows[:, None], columns]

    def bounds(self) -> tuple[float, float, float, float]:
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        down, across = self.canvas[0] / self.mask.shape[0], self.canvas[1] / self.mask.shape[1]
        return columns[0] * across, rows[0] * down, (columns[-1] + 1) * across, (rows[-1] + 1) * down

    def centroid(self) -> NDArray[np.float64]:
        rows, columns = np.nonzero(self.mask)
        down, across = self.canvas[0] / self.mask.shape[0], self.canvas[1] / self.mask.shape[1]
        return np.array([(columns.mean() + 0.5) * across, (rows.mean() + 0.5) * down], np.float64)


def rectangle(x: float, y: float, width: float, height: float, canvas: tuple[int, int]) -> Polygon:
    """The axis-parallel rectangle with its top left corner at (x, y)."""
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return Polygon(np.array(corners, np.float64), canvas)


def lattice(left: float, top: float, right: float, bottom: float, spacing: float) -> NDArray[np.float64]:
    """Grid points [N, 2] about ``spacing`` pixels apart, centred in a rectangle, half a step from its edges.

    Raises:
        InputError: more than `MAX_GRID_POINTS` points.
    """
    across = max(1, round((right - left) / spacing))
    down = max(1, round((bottom - top) / spacing))
    if across * down > MAX_GRID_POINTS:
        raise InputError(
            f"spacing: {spacing:g} px makes {across * down} grid points, expected at most {MAX_GRID_POINTS}; "
            "choose a wider spacing"
        )
    x = left + (np.arange(across) + 0.5) * ((right - left) / across)
    y = top + (np.arange(down) + 0.5) * ((bottom - top) / down)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float64)


def fill(shape: Shape, spacing: float, canvas: tuple[int, int]) -> NDArray[np.float64]:
    """Grid points [N, 2] about ``spacing`` apart inside a shape and on the canvas; at least one.

    Raises:
        InputError: the shape covers no pixel of the canvas, or would take too many points.
    """
    left, top, right, bottom = shape.bounds()
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, float(canvas[1])), min(bottom, float(canvas[0]))
    if right > left and bottom > top:
        points = lattice(left, top, right, bottom, spacing)
        points = points[shape.contains(points)]
        if len(points):
            return points
        rows, columns = np.nonzero(shape.raster(canvas))
        if len(rows):
            # A shape too thin for the grid: the pixel of it that is nearest to its middle stands for all.
            pixels = np.stack([columns, rows], axis=1).astype(np.float64) + 0.5
            return pixels[[np.argmin(np.square(pixels - shape.centroid()).sum(axis=1))]]
    raise InputError(f"region: covers no pixel of the {canvas[1]}x{canvas[0]} canvas; expected an area on it")
