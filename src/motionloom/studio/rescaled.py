"""A motion on another canvas and at another frame rate: the same drawing, still editable."""

from __future__ import annotations

import math
from typing import Any

from motionloom.tracks.motion import Motion

_LENGTHS = frozenset({"spacing", "margin", "focal"})
_TIMES = frozenset({"start", "end", "frame"})


def rescaled(
    motion: Motion, size: tuple[int, int], *, fps: float | None = None, num_frames: int | None = None
) -> tuple[Motion, list[str]]:
    """The motion on a canvas of (height, width), and notes on what could not be kept.

    Positions are scaled along each axis, radii and spacings by the mean of both. Another rate changes frame numbers,
    never speeds in pixels per second.

    Args:
        fps: its new rate; num_frames: its new length; None: as they are (the length in seconds).
    """
    x, y = size[1] / motion.canvas.width, size[0] / motion.canvas.height
    ratio = 1.0 if fps is None else fps / motion.fps
    length = num_frames or max(1, round((motion.num_frames - 1) * ratio) + 1)
    notes: list[str] = []
    if (x, y, ratio, length) == (1.0, 1.0, 1.0, motion.num_frames):
        return motion, notes
    document = motion.model_dump(mode="json", exclude_none=True)
    document["canvas"] = {"width": size[1], "height": size[0]}
    document["num_frames"] = length
    if fps is not None:
        document["fps"] = float(fps)
    document["instructions"] = [_instruction(each, x, y, ratio) for each in document["instructions"]]
    for pan in document["pan"]:
        pan["velocity"] = [pan["velocity"][0] * x / ratio, pan["velocity"][1] * y / ratio]
    if abs(x / y - 1) > 0.005:
        notes.append(
            f"drawn on {motion.canvas.width}x{motion.canvas.height}, stretched to {size[1]}x{size[0]}: circles "
            "and turns stay round"
        )
    elif (x, y) != (1.0, 1.0):
        notes.append(f"drawn on {motion.canvas.width}x{motion.canvas.height}, scaled to {size[1]}x{size[0]}")
    if num_frames is not None and (motion.num_frames - 1) * ratio > num_frames - 1 + 1e-6:
        notes.append(
            f"the motion lasts {(motion.num_frames - 1) * ratio + 1:g} frames and was given {num_frames}: what comes "
            "later is kept and seen once it is made longer"
        )
    if length != motion.num_frames:
        document["instructions"] = [
            _with_end(each, (motion.num_frames - 1) * ratio) for each in document["instructions"]
        ]
    return Motion.parse(document, source="motion"), notes


def _with_end(instruction: dict[str, Any], last: float) -> dict[str, Any]:
    """Its end said where the length of the motion used to say it."""
    route = instruction if instruction["kind"] == "path" else instruction.get("path")
    timed = route is not None and len(route["points"]) > 1 and _frame_of(route["points"][-1]) is not None
    if instruction.get("end") is not None or timed or instruction["kind"] == "static":
        return instruction
    return {**instruction, "end": max(last, instruction.get("start") or 0.0)}


def _frame_of(point: Any) -> float | None:
    if isinstance(point, dict):
        return point.get("frame")
    return point[2] if len(point) > 2 else None


def _instruction(node: Any, x: float, y: float, ratio: float) -> Any:
    """An instruction, or a part of one, by the names of its fields."""
    mean = math.sqrt(x * y)
    result: dict[str, Any] = {}
    for name, value in node.items():
        if name == "points":
            result[name] = [_point(each, x, y, ratio) for each in value]
        elif name == "polygon":
            result[name] = [[each[0] * x, each[1] * y] for each in value]
        elif name in ("center", "pivot", "handle_in", "handle_out"):
            result[name] = [value[0] * x, value[1] * y]
        elif name in ("source", "target"):
            result[name] = {
                "x": value["x"] * x,
                "y": value["y"] * y,
                "width": value["width"] * x,
                "height": value["height"] * y,
            }
        elif name == "radius":
            result[name] = value * mean
        elif name in _LENGTHS:
            # Grids may not be finer than a pixel.
            result[name] = max(value * mean, 1.0) if name == "spacing" else value * mean
        elif name in _TIMES:
            result[name] = value * ratio
        elif name in _CURVES:
            result[name] = _curve(value, mean if name == "radius_curve" else 1.0, ratio)
        elif name in ("path", "region", "grid"):
            result[name] = _instruction(value, x, y, ratio)
        elif name == "outside":
            result[name] = [each if isinstance(each, str) else _instruction(each, x, y, ratio) for each in value]
        else:
            result[name] = value
    return result


_CURVES = frozenset(
    "radius_curve rotation scale angle pan tilt roll zoom dolly truck pedestal orbit".split()  # noqa: SIM905
)


def _point(point: Any, x: float, y: float, ratio: float) -> Any:
    if isinstance(point, dict):
        moved = _instruction({key: value for key, value in point.items() if key not in ("x", "y")}, x, y, ratio)
        return {"x": point["x"] * x, "y": point["y"] * y, **moved}
    return [point[0] * x, point[1] * y, *(frame * ratio for frame in point[2:])]


def _curve(value: Any, scale: float, ratio: float) -> Any:
    """A number, or keyframes [frame, value] or with an easing."""
    if not isinstance(value, list):
        return value * scale
    keys: list[Any] = []
    for key in value:
        if isinstance(key, dict):
            keys.append({**key, "frame": key["frame"] * ratio, "value": key["value"] * scale})
        else:
            keys.append([key[0] * ratio, key[1] * scale])
    return keys
