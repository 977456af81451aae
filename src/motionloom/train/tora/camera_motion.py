"""How the camera moves, so that clips in which it moves too much can be left out.

Tora's authors advise to filter camera motion strictly (the paper, appendix on data). Their filter is
antiboredom/camera-motion-detector: the median direction of the flow, and the share of pixels that move away from the
centre (`detected`, `published_accepts`). Both are fooled by large things that move, and by clips in which nothing does.
`fit_camera` is the better measure: one similarity (zoom, turn, shift) that most of the picture agrees with.

Flow is (x, y) in pixels from a frame to the next, [2, H, W]; y points down, so that 90 degrees is downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

ANGLES = ((0.0, 20.0), (160.0, 200.0), (340.0, 360.0))
"""Degrees of background motion that the paper keeps: sideways."""
OUTWARD = (0.4, 0.6)
"""Share of pixels moving outward that the paper keeps: neither zooming in nor out."""
PROBES = 2000
"""Places of a frame that the camera is fitted to."""


@dataclass(frozen=True)
class CameraMotion:
    """What the camera does from a frame to the next: x' - c = zoom * R(turn) (x - c) + shift, c the centre.

    Attributes:
        zoom: above 1 the picture grows. turn: radians, clockwise as seen. shift: (x, y) in pixels.
        share: of the picture that moves like this.
    """

    zoom: float
    turn: float
    shift: tuple[float, float]
    share: float

    def flow(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """The flow [2, H, W] of the camera alone; flow minus this is what things do themselves."""
        x, y = _centred(size)
        change = self.zoom * np.exp(1j * self.turn) - 1.0
        moved = change * (x + 1j * y) + complex(*self.shift)
        return np.stack([moved.real, moved.imag]).astype(np.float32)

    def reach(self, size: tuple[int, int]) -> float:
        """The farthest that the camera moves any pixel, as a share of the picture's diagonal."""
        return float(np.linalg.norm(self.flow(size), axis=0).max() / np.hypot(*size))


@dataclass(frozen=True)
class CameraLimits:
    """What a clip's camera may do.

    Attributes:
        reach: from a frame to the next, as a share of the diagonal; see `CameraMotion.reach`.
        share: of the picture that has to agree on one camera; below it, nobody knows what the camera does.
    """

    reach: float = 0.004
    share: float = 0.3


def fit_camera(flow: ArrayLike, *, tolerance: float = 0.5) -> CameraMotion:
    """The similarity that most of the flow [2, H, W] agrees with, up to ``tolerance`` pixels (and 5 % of the speed).

    Found by RANSAC (OpenCV's, the same result each time) on `PROBES` places. Where things that move fill most of the
    picture, it is their motion that is found: one flow alone cannot tell the two apart.
    """
    values = _checked(flow)
    size = (values.shape[1], values.shape[2])
    x, y = _centred(size)
    every = max(1, round((x.size / PROBES) ** 0.5))
    part = (slice(every // 2, None, every), slice(every // 2, None, every))
    here = np.stack([x[part].ravel(), y[part].ravel()], 1)
    moved = values[:, part[0], part[1]].reshape(2, -1).T.astype(np.float64)
    if len(here) < 3:
        shift = moved.mean(0)
        return CameraMotion(1.0, 0.0, (float(shift[0]), float(shift[1])), 1.0)
    matrix, _ = cv2.estimateAffinePartial2D(
        here, here + moved, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=2000, confidence=0.999
    )
    if matrix is None:
        return CameraMotion(1.0, 0.0, (0.0, 0.0), 0.0)
    zoom = complex(matrix[0, 0], matrix[1, 0])
    fitted = CameraMotion(float(abs(zoom)), float(np.angle(zoom)), (float(matrix[0, 2]), float(matrix[1, 2])), 0.0)
    gap = np.linalg.norm(values - fitted.flow(size), axis=0)
    agrees = gap <= tolerance + 0.05 * np.linalg.norm(values, axis=0)
    return CameraMotion(fitted.zoom, fitted.turn, fitted.shift, float(agrees.mean()))


def accepts(flows: ArrayLike, limits: CameraLimits | None = None) -> bool:
    """Whether the camera of a clip with flow [T - 1, 2, H, W] stays within limits in every frame."""
    limits = limits or CameraLimits()
    for flow in np.asarray(flows, np.float32):
        camera = fit_camera(flow)
        if camera.share < limits.share or camera.reach((flow.shape[1], flow.shape[2])) > limits.reach:
            return False
    return True


def detected(flow: ArrayLike) -> tuple[float, float]:
    """As the published filter measures flow [2, H, W]: median direction in degrees, 0 to 360, and outward share."""
    values = _checked(flow)
    angle = np.degrees(np.arctan2(values[1], values[0])) % 360.0
    x, y = _centred((values.shape[1], values.shape[2]))
    outward = np.hypot(x + values[0], y + values[1]) >= np.hypot(x, y)
    return float(np.median(angle)), float(outward.mean())


def published_accepts(flow: ArrayLike) -> bool:
    """The paper's filter on flow [2, H, W], as its text has it: `ANGLES` and `OUTWARD`."""
    angle, outward = detected(flow)
    return any(low <= angle <= high for low, high in ANGLES) and OUTWARD[0] <= outward <= OUTWARD[1]


def flow_score(flows: ArrayLike) -> float:
    """Mean speed in pixels over the frames and pixels of flow [..., 2, H, W].

    The paper does not say how it computes the score that it drops clips by; this is the plain reading.
    """
    values = np.asarray(flows, np.float64)
    return float(np.hypot(values[..., 0, :, :], values[..., 1, :, :]).mean()) if values.size else 0.0


def keep_probability(score: float) -> float:
    """The paper keeps a clip with probability 1 - flow score / 100."""
    return float(np.clip(1.0 - score / 100.0, 0.0, 1.0))


def _centred(size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y [H, W] of the pixels' centres from the picture's."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    return x + 0.5 - size[1] / 2, y + 0.5 - size[0] / 2


def _checked(flow: ArrayLike) -> NDArray[np.float32]:
    values = np.asarray(flow, np.float32)
    if values.ndim != 3 or values.shape[0] != 2 or 0 in values.shape:
        raise InputError(f"flow: found shape {values.shape}, expected [2, H, W]")
    if not np.isfinite(values).all():
        raise InputError("flow: found values that are not finite numbers")
    return values
