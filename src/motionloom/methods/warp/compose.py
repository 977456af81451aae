"""Putting the frames together: the background through its field, the things that move over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.methods.warp.field import ONE_MAP, scale_of, similarities, upsample, whole_field

STILL = 0.02
"""Pixels: less than this is no motion (cv2.remap itself resolves 1/32 pixel)."""
UNVEIL = 0.02
"""How far a thing has moved, as a share of the short side, when the filled picture behind it is seen as it is."""
MIN_SCALE = 0.01
"""A thing shrunk to less than this share of its size is drawn at this share."""
BEYOND = ((0.012, 0.02, 0.12), (0.04, 0.1, 0.35))
"""Blurs of the continued picture: (sigma, distance from the rim where it begins, where it is full) / short side."""


@dataclass(frozen=True)
class Scene:
    """A photograph in pieces: the background with its field, and the things in front of it."""

    image: NDArray[np.uint8]
    plate: NDArray[np.uint8]
    hole: NDArray[np.bool_]
    field: NDArray[np.float64]
    sprites: list[Sprite]
    veils: Sequence[Veil | None] = ()

    @property
    def num_frames(self) -> int:
        return len(self.field)

    def frames(self, with_mask: bool) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_] | None]]:
        """Frame by frame: uint8 [H, W, 3], and bool [H, W] where the photograph itself is seen, if asked for."""
        size = self.hole.shape
        pad = self._padding()
        wide = _continue_beyond(self.plate, pad)
        hidden = self.hole.astype(np.uint8) * 255
        unknown = cv2.copyMakeBorder(hidden, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(255,))
        columns, rows = np.meshgrid(
            np.arange(size[1], dtype=np.float32) + pad, np.arange(size[0], dtype=np.float32) + pad
        )
        scale = scale_of(self.field, (size[0], size[1]))
        for t in range(self.num_frames):
            moved = bool(np.abs(self.field[t]).max() > STILL)
            if not moved and not any(sprite.moved(t) for sprite in self.sprites):
                yield self.image, np.ones(size, np.bool_) if with_mask else None
                continue
            mask = ~self.hole if with_mask else None
            if not moved:
                frame = self._veiled(self.plate, 0, t, None)
            else:
                fine = upsample(self.field[t], size)
                from_x, from_y = fine[..., 0] + columns, fine[..., 1] + rows
                source = _prefilter(self._veiled(wide, pad, t, fine), scale[t])
                frame = cv2.remap(source, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
                if with_mask:
                    mask = cv2.remap(unknown, from_x, from_y, cv2.INTER_LINEAR, borderValue=(255,)) < 128
            for sprite in self.sprites:
                sprite.put(frame, mask, t)
            yield frame, mask

    def _veiled(self, plate: NDArray[Any], pad: int, t: int, backward: NDArray[Any] | None) -> NDArray[Any]:
        """A copy of the plate (with ``pad`` pixels around it) under the veils of things that have hardly moved yet."""
        plate = plate.copy()
        for sprite, veil in zip(self.sprites, self.veils, strict=False):
            if veil is not None:
                veil.lay(plate, pad, 1.0 - sprite.apart(t, backward) / (UNVEIL * min(self.hole.shape)))
        return plate

    def _padding(self) -> int:
        """How far outside the photograph its pixels are asked for; at most once its own size."""
        beyond = float(np.abs(self.field).max()) + 2 if self.field.size else 0.0
        return int(min(np.ceil(beyond), max(self.hole.shape), (32_000 - max(self.hole.shape)) // 2))


@dataclass(frozen=True)
class Veil:
    """What the photograph shows around a thing where the plate is filled, so that nothing jumps when it starts.

    Attributes:
        box: of the photograph, rows and columns. difference: float32 [h, w, 3], to be added to the plate there.
    """

    box: tuple[slice, slice]
    difference: NDArray[Any]

    @classmethod
    def over(
        cls,
        image: NDArray[np.uint8],
        plate: NDArray[np.uint8],
        hole: NDArray[np.bool_],
        shade: NDArray[Any] | None,
        open_: NDArray[np.bool_],
    ) -> Veil | None:
        """The veil over a thing's ``hole`` and all of its ``shade``, in the ``open_`` (where no thing is).

        Without the shade, which is drawn with the thing: both together make the photograph.
        """
        part = hole if shade is None else hole | ((shade.min(axis=-1) < 0.999) & open_)
        rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        if not len(rows):
            return None
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        lit = image[box].astype(np.float32) / (1.0 if shade is None else shade[box])
        return cls(box, (np.minimum(lit, 255.0) - plate[box]) * part[box][..., None])

    def lay(self, plate: NDArray[Any], pad: int, share: float) -> None:
        """Lay it over a plate with ``pad`` pixels around it, in place; not at all for a ``share`` of 0 or less."""
        if share > 0.0:
            rows, columns = self.box
            under = plate[rows.start + pad : rows.stop + pad, columns.start + pad : columns.stop + pad]
            under[...] = np.rint(np.clip(under + np.float32(min(share, 1.0)) * self.difference, 0.0, 255.0))


class Sprite:
    """A thing cut out of the photograph, and how it moves."""

    def __init__(
        self,
        colours: NDArray[np.uint8],
        alpha: NDArray[np.float32],
        shade: NDArray[Any] | None,
        paths: NDArray[np.float64],
        seen: NDArray[np.bool_],
        *,
        rigid: bool,
        size: tuple[int, int],
    ) -> None:
        self.paths = paths
        self.turn, self.shift, error = similarities(paths, seen)
        self.turn = np.where(np.abs(self.turn) < MIN_SCALE, MIN_SCALE, self.turn)
        self.still = np.abs(paths - paths[0]).reshape(len(paths), -1).max(axis=1) <= STILL
        self.field = None if rigid or error <= ONE_MAP else whole_field(paths, seen, size)
        # Where the photograph's rim cuts the thing off, it goes on straight outwards; else moving would show the cut.
        pad = int(min(np.ceil(extent(paths)) + 2, *size))
        around = (pad, pad, pad, pad)
        wide = cv2.copyMakeBorder(alpha, *around, cv2.BORDER_REPLICATE)
        cast = None if shade is None else cv2.copyMakeBorder(shade, *around, cv2.BORDER_REPLICATE)
        seen_in = wide > 0 if cast is None else (wide > 0) | (cast.min(axis=-1) < 0.999)
        rows, columns = np.flatnonzero(seen_in.any(axis=1)), np.flatnonzero(seen_in.any(axis=0))
        top, bottom = max(0, rows[0] - 2), rows[-1] + 3
        left, right = max(0, columns[0] - 2), columns[-1] + 3
        own = cv2.copyMakeBorder(np.ones(alpha.shape, np.uint8), *around, cv2.BORDER_CONSTANT, value=(0,))
        self.alpha = np.ascontiguousarray(wide[top:bottom, left:right])
        self.shade = None if cast is None else np.ascontiguousarray(cast[top:bottom, left:right])
        self.known = np.ascontiguousarray(own[top:bottom, left:right])
        self.colours = np.ascontiguousarray(
            cv2.copyMakeBorder(colours, *around, cv2.BORDER_REFLECT)[top:bottom, left:right]
        )
        self.corner = complex(left - pad, top - pad)

    def moved(self, t: int) -> bool:
        return not self.still[t]

    def apart(self, t: int, backward: NDArray[Any] | None) -> float:
        """Pixels: how far the thing has moved from what was behind it; ``backward`` [H, W, 2] moves the background."""
        way = self.paths[t] - self.paths[0]
        if backward is not None:
            height, width = backward.shape[:2]
            column = np.clip(self.paths[0, :, 0].astype(int), 0, width - 1)
            row = np.clip(self.paths[0, :, 1].astype(int), 0, height - 1)
            way = way + backward[row, column]
        return float(np.hypot(way[:, 0], way[:, 1]).max())

    def put(self, frame: NDArray[Any], mask: NDArray[np.bool_] | None, t: int) -> None:
        """Composite over ``frame`` [H, W, 3] in place; ``mask`` [H, W] becomes what is seen of the photograph there."""
        source = self._source(t, (frame.shape[0], frame.shape[1]))
        if source is None:
            return
        box, from_x, from_y, scale = source
        colours = _sample(_prefilter(self.colours, scale), from_x, from_y, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        alpha = _sample(_prefilter(self.alpha, scale), from_x, from_y, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        below = frame[box].astype(np.float32)
        if self.shade is not None:
            below *= cv2.remap(self.shade, from_x, from_y, cv2.INTER_LINEAR, borderValue=(1.0, 1.0, 1.0))
        frame[box] = np.rint(below + alpha[..., None] * (colours - below)).astype(np.uint8)
        if mask is not None:
            own = _sample(self.known * np.float32(1), from_x, from_y, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
            mask[box] = np.where(alpha > 0.5, own > 0.5, mask[box])

    def _source(
        self, t: int, size: tuple[int, int]
    ) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32], float] | None:
        """The box of the frame that the thing can cover, and where in the cut-out its pixels come from."""
        height, width = self.alpha.shape
        if self.field is not None:
            fine = upsample(self.field[t], size)
            from_x = fine[..., 0] + np.arange(size[1], dtype=np.float32) - np.float32(self.corner.real)
            from_y = fine[..., 1] + np.arange(size[0], dtype=np.float32)[:, None] - np.float32(self.corner.imag)
            covered = (from_x > -1) & (from_x < width) & (from_y > -1) & (from_y < height)
            if not covered.any():
                return None
            rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
            box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            scale = float(scale_of(self.field[t : t + 1], size)[0])
            return box, np.ascontiguousarray(from_x[box]), np.ascontiguousarray(from_y[box]), scale
        turn, shift = complex(self.turn[t]), complex(self.shift[t])
        corners = self.corner + np.array([0, width, 1j * height, width + 1j * height])
        moved = turn * corners + shift
        left, right = max(0, int(moved.real.min()) - 1), min(size[1], int(moved.real.max()) + 2)
        top, bottom = max(0, int(moved.imag.min()) - 1), min(size[0], int(moved.imag.max()) + 2)
        if left >= right or top >= bottom:
            return None
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        place = (x + 1j * y - shift) / turn - self.corner
        box = (slice(top, bottom), slice(left, right))
        return box, (place.real - 0.5).astype(np.float32), (place.imag - 0.5).astype(np.float32), 1.0 / abs(turn)


def _continue_beyond(image: NDArray[np.uint8], pad: int) -> NDArray[Any]:
    """The photograph with ``pad`` pixels around it: its mirror image, out of focus further out.

    No black border and no seam; and a mirrored face, once blurred, is not taken for a second one.
    """
    wide = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REFLECT)
    side = min(image.shape[:2])
    outside = np.ones(wide.shape[:2], np.uint8)
    outside[pad : pad + image.shape[0], pad : pad + image.shape[1]] = 0
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5) / side
    for blur, near, far in BEYOND:
        if distance.max() <= near:
            break
        # A strong blur needs no more pixels than it leaves details.
        shrink = max(1, int(blur * side / 2))
        size = (-(-wide.shape[1] // shrink), -(-wide.shape[0] // shrink))
        small = cv2.GaussianBlur(cv2.resize(wide, size, interpolation=cv2.INTER_AREA), (0, 0), blur * side / shrink)
        soft = cv2.resize(small, (wide.shape[1], wide.shape[0]), interpolation=cv2.INTER_LINEAR)
        share = np.clip((distance - near) / (far - near), 0.0, 1.0)
        wide = cv2.blendLinear(wide, soft, 1.0 - share, share)
    return wide


def _sample(
    source: NDArray[Any], from_x: NDArray[np.float32], from_y: NDArray[np.float32], interpolation: int, border: int
) -> NDArray[np.float32]:
    return cv2.remap(source, from_x, from_y, interpolation, borderMode=border).astype(np.float32)


def _prefilter(source: NDArray[Any], scale: float) -> NDArray[Any]:
    """The source without what is too fine for the target when it shrinks by ``scale``; else moiré would shimmer."""
    if scale <= 1.05:
        return source
    return cv2.GaussianBlur(source, (0, 0), 0.5 * float(np.sqrt(scale * scale - 1.0)))


def extent(paths: NDArray[np.float64]) -> float:
    """Pixels: how far complete paths [T, N, 2] lead from their first positions, along either axis."""
    return float(np.abs(paths - paths[0]).max())
