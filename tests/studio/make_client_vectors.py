"""Writes the motions on which the browser's code and `Motion.compile` have to agree.

Run it after a change of what a motion means: ``python tests/studio/make_client_vectors.py``. The files hold documents
and what `motionloom.tracks` makes of them today; the client's tests read them (client/tests/motion/vectors.test.ts).
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motionloom.errors import FileFormatError
from motionloom.tracks.compile import trace_motion
from motionloom.tracks.easing import ease
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import timeline

FOLDER = Path(__file__).parents[2] / "src/motionloom/studio/client/tests/vectors"
Document = dict[str, Any]
EASINGS = ["linear", "ease-in", "ease-out", "ease-in-out", "hold", [0.3, -0.6, 0.7, 1.8], [0.0, 1.0, 1.0, 0.0]]


def vectors() -> dict[str, Any]:
    """The content of every file, by its name."""
    files = {"easing.json": _easings(), "masks.json": {name: _mask_answer(name) for name in MASKS}}
    for name, cases in _motions().items():
        files[f"{name}.json"] = [_answer(label, document, fps) for label, document, fps in cases]
    return files | {"refused.json": _refused()}


def _answer(label: str, document: Document, fps: float | None) -> Document:
    motion = Motion.parse(document)
    times, _ = timeline(motion.num_frames, motion.fps, None, fps)
    # Few moments and few points of each instruction keep the files small; the first moment decides what hides what.
    keep = np.unique(np.linspace(0, len(times) - 1, min(len(times), 7)).round().astype(int))
    times = times[keep]
    traces = trace_motion(motion, times, occlusion=motion.occlusion)
    return {
        "label": label,
        "document": document,
        "times": [float(time) for time in times],
        "traces": [
            {
                "id": found.instruction.id,
                "count": found.points.shape[1],
                "points": [_number(value) for value in found.points[:, :: _stride(found.points.shape[1])].ravel()],
                "stride": _stride(found.points.shape[1]),
                "visible": ["".join("1" if on else "0" for on in row) for row in found.visible],
            }
            for found in traces
        ],
    }


def _stride(count: int) -> int:
    return max(1, count // 24)


def _number(value: float) -> float:
    rounded = round(float(value), 5)
    return int(rounded) if rounded == int(rounded) else rounded


def _easings() -> list[Document]:
    shares = np.linspace(-0.1, 1.1, 25)
    return [
        {"easing": easing, "at": shares.tolist(), "eased": ease(shares, _easing(easing)).tolist()} for easing in EASINGS
    ]


def _easing(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------------------- masks
def _blob() -> np.ndarray:
    """A ring and a bar, 40 x 24, in opacity."""
    y, x = np.mgrid[:24, :40] + 0.5
    ring = np.abs(np.hypot(x - 12, y - 12) - 7) < 3
    return ring | ((x > 26) & (x < 37) & (y > 5) & (y < 19))


def _data_url(image: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _masks() -> dict[str, str]:
    from PIL import Image

    bits = _blob()
    rgba = np.zeros((*bits.shape, 4), np.uint8)
    rgba[..., :3] = 255
    rgba[..., 3] = np.where(bits, 200, 40)
    return {
        "opacity": _data_url(Image.fromarray(rgba)),
        "brightness": _data_url(Image.fromarray(np.where(bits[::-1], 140, 100).astype(np.uint8))),
    }


MASKS = _masks()


def _mask_answer(name: str) -> Document:
    from motionloom.tracks.assets import Folder, read_mask

    bits = read_mask(MASKS[name], Folder())
    rows = ["".join("1" if on else "0" for on in row) for row in bits]
    return {"url": MASKS[name], "width": bits.shape[1], "height": bits.shape[0], "rows": rows}


# ----------------------------------------------------------------------------------------------------------- motions
class Maker:
    """Random parts of a motion on a canvas, from one seed."""

    def __init__(self, seed: int, width: int, height: int, frames: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.width, self.height, self.frames = width, height, frames

    def number(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 3)

    def place(self) -> list[float]:
        return [self.number(-0.1 * self.width, 1.1 * self.width), self.number(-0.1 * self.height, 1.1 * self.height)]

    def inside(self) -> list[float]:
        return [self.number(0.2 * self.width, 0.8 * self.width), self.number(0.2 * self.height, 0.8 * self.height)]

    def easing(self) -> Any:
        return EASINGS[self.rng.integers(len(EASINGS))]

    def frames_of(self, count: int) -> list[float]:
        picked = np.sort(self.rng.choice(4 * self.frames, count, replace=False)) / 4
        return [float(frame) for frame in picked]

    def route(self, count: int | None = None, curve: str | None = None, timed: bool | None = None) -> Document:
        count = int(self.rng.integers(1, 7)) if count is None else count
        curve = str(self.rng.choice(["polyline", "catmull-rom", "bezier"])) if curve is None else curve
        points: list[Any] = [dict(zip("xy", self.place(), strict=True)) for _ in range(count)]
        timed = bool(self.rng.integers(2)) if timed is None else timed
        if timed:
            for point, frame in zip(points, self.frames_of(count), strict=True):
                if self.rng.random() < 0.6:
                    point["frame"] = frame
        if curve == "bezier":
            for point in points:
                for side in ("handle_in", "handle_out"):
                    if self.rng.random() < 0.7:
                        point[side] = [self.number(-80, 80), self.number(-80, 80)]
        return {"points": points, "curve": curve}

    def curve(self, low: float, high: float) -> Any:
        if self.rng.random() < 0.5:
            return self.number(low, high)
        frames = self.frames_of(int(self.rng.integers(1, 5)))
        return [{"frame": frame, "value": self.number(low, high), "easing": self.easing()} for frame in frames]

    def timing(self) -> Document:
        start, end = self.frames_of(2)
        timing: Document = {"easing": self.easing()}
        if self.rng.random() < 0.5:
            timing["start"] = start
        if self.rng.random() < 0.5:
            timing["end"] = end
        for name in ("before", "after"):
            timing[name] = str(self.rng.choice(["hold", "vanish"]))
        return timing

    def polygon(self, count: int | None = None) -> list[list[float]]:
        count = int(self.rng.integers(3, 9)) if count is None else count
        middle, reach = np.array(self.inside()), self.number(30, 120)
        angles = np.sort(self.rng.uniform(0, 2 * np.pi, count))
        far = self.rng.uniform(0.5, 1.0, count) * reach
        corners = middle + far[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.round(corners, 3).tolist()

    def rectangle(self) -> Document:
        x, y = self.inside()
        return {"x": x, "y": y, "width": self.number(20, 160), "height": self.number(20, 120)}

    # ------------------------------------------------------------------------------------------------- instructions
    def path(self) -> Document:
        return {"kind": "path", **self.route(), **self.timing()}

    def circle(self) -> Document:
        made = {"kind": "circle", "center": self.place(), "radius": self.number(5, 90), **self.timing()}
        made["radius_curve"] = self.curve(0, 150)
        if self.rng.random() < 0.5:
            made["count"] = int(self.rng.integers(1, 12))
        else:
            made["angles"] = [self.number(-400, 400) for _ in range(3)]
        return made

    def static(self) -> Document:
        return {"kind": "static", "points": [self.place() for _ in range(3)], **self.timing()}

    def box(self) -> Document:
        made = {"kind": "box", "source": self.rectangle(), **self.timing()}
        if self.rng.random() < 0.7:
            made["target"] = self.rectangle()
        if self.rng.random() < 0.5:
            made["path"] = self.route()
        if self.rng.random() < 0.5:
            made["spacing"] = self.number(12, 60)
        return made

    def region(self) -> Document:
        made = {"kind": "region", "polygon": self.polygon(), "spacing": self.number(8, 40), **self.timing()}
        made["rotation"], made["scale"] = self.curve(-200, 200), self.curve(0.2, 2.5)
        if self.rng.random() < 0.7:
            made["path"] = self.route()
        if self.rng.random() < 0.4:
            made["pivot"] = self.place()
        return made

    def rotate(self) -> Document:
        made = {"kind": "rotate", "center": self.inside(), "angle": self.curve(-360, 360), **self.timing()}
        if self.rng.random() < 0.5:
            return {**made, "points": [self.place() for _ in range(4)]}
        return {**made, "region": {"polygon": self.polygon()}, "spacing": self.number(10, 40)}

    def camera(self) -> Document:
        ranges = {
            "pan": (-20, 20), "tilt": (-15, 15), "roll": (-40, 40), "zoom": (0.5, 2.0), "dolly": (-0.6, 0.6),
            "truck": (-0.3, 0.3), "pedestal": (-0.3, 0.3), "orbit": (-25, 25),
        }  # fmt: skip
        made = {"kind": "camera", "spacing": self.number(40, 90), **self.timing()}
        for name, (low, high) in ranges.items():
            if self.rng.random() < 0.5:
                made[name] = self.curve(low, high)
        if self.rng.random() < 0.5:
            made["fov"] = self.number(30, 100)
        elif self.rng.random() < 0.5:
            made["focal"] = self.number(200, 900)
        if self.rng.random() < 0.5:
            made["depth"] = self.number(0.5, 4)
        if self.rng.random() < 0.3:
            made["orbit_depth"] = self.number(0.5, 4)
        return made

    def document(self, instructions: list[Document], **more: Any) -> Document:
        return {
            "format": "motionloom.motion",
            "version": 1,
            "canvas": {"width": self.width, "height": self.height},
            "num_frames": self.frames,
            "fps": 16.0,
            "instructions": instructions,
            **more,
        }


Case = tuple[str, Document, float | None]


def _valid(make: Callable[[Maker], Document], seed: int, label: str, fps: float | None = None) -> Case:
    """The first of the seeds from here on that makes a motion `Motion` accepts: times may come in the wrong order."""
    from motionloom.errors import MotionloomError

    for attempt in range(seed * 1000, seed * 1000 + 1000):
        rng = np.random.default_rng(attempt)
        maker = Maker(attempt, *[(320, 180, 13), (641, 359, 25), (200, 300, 9)][rng.integers(3)])
        document = make(maker)
        try:
            _answer(label, document, fps)
        except MotionloomError:
            continue
        return label, document, fps
    raise AssertionError(f"{label}: no seed makes a valid motion")


def _motions() -> dict[str, list[Case]]:
    kinds = ("path", "circle", "static", "box", "region", "rotate", "camera")
    random = [
        _valid(
            lambda maker, kind=kind: maker.document([getattr(maker, kind)()]),
            10 * number + place,
            f"{kind} {number}",
            fps,
        )
        for place, kind in enumerate(kinds)
        for number, fps in enumerate([None, 16.0, 24.0, 7.5, None, 30.0][: 2 if kind == "static" else 6])
    ]
    scenes = [
        _valid(_scene, 900 + number, f"everything {number}", fps)
        for number, fps in enumerate([None, 24.0, 5.0, None] * 2)
    ]
    return {"kinds": random, "scenes": scenes, "edges": _edges()}


def _scene(maker: Maker) -> Document:
    made = [maker.path(), maker.region(), maker.path(), maker.box(), maker.circle(), maker.rotate(), maker.static()]
    made += [{"kind": "static", "grid": {"spacing": maker.number(20, 50)}}, maker.camera(), maker.region()]
    made[-2]["include_objects"] = bool(maker.rng.integers(2))
    for number, each in enumerate(made):
        each["id"] = f"{each['kind']}-{chr(97 + number)}"
        each["hidden"] = bool(maker.rng.random() < 0.15)
    pan = [{"velocity": [maker.number(-3, 3), maker.number(-3, 3)]}]
    pan += [{"velocity": [maker.number(-3, 3), 0], "instructions": [made[1]["id"], made[4]["id"]]}]
    return maker.document(made, pan=pan, occlusion=bool(maker.rng.random() < 0.8))


def _edges() -> list[Case]:
    """What goes wrong first."""
    maker = Maker(4, 320, 180, 13)
    square = [[100.3, 50.2], [180.7, 50.2], [180.7, 120.9], [100.3, 120.9]]
    line = [[20.5, 30.5], [120.5, 90.5], [300.5, 40.5]]
    grid = {"kind": "static", "grid": {"spacing": 18}}
    way = {"points": [[0, 0], [90.3, 20.4]], "curve": "polyline"}
    cover = {"kind": "region", "polygon": square, "path": way}

    def one(label: str, *instructions: Document, fps: float | None = None, **more: Any) -> Case:
        return label, maker.document(list(instructions), **more), fps

    def path(points: list[Any], **more: Any) -> Document:
        return {"kind": "path", "points": points, "curve": "polyline", **more}

    return [
        one("nothing"),
        one("one point", path([[5, 7]])),
        one("one point with a frame, vanishing", path([[5, 7, 4]], before="vanish", after="vanish")),
        one("no length", path([[5, 7], [5, 7], [5, 7]], curve="catmull-rom")),
        one("repeated points", path([[5, 7], [5, 7], [90, 60], [90, 60], [20, 100]], curve="catmull-rom")),
        one("start is end", path(line, start=6, end=6, before="vanish"), fps=24.0),
        one("one moment", {"kind": "circle", "center": [50, 60], "radius": 9, "radius_curve": 40, "start": 5,
            "end": 5}),
        one("frames beyond the end", path([[5, 7, 8], [100, 90, 40]])),
        one("starts beyond the end", path(line, start=30)),
        one("vanishes at both ends", path(line, start=3, end=8, before="vanish", after="vanish"), fps=24.0),
        one("held keyframes", {"kind": "rotate", "center": [90, 80], "points": [[120, 80], [60, 30]],
            "angle": [{"frame": 2, "value": 30, "easing": "hold"}, {"frame": 6, "value": -60, "easing": "ease-in"},
            [9, 10]]}),
        one("one keyframe", {"kind": "region", "polygon": square, "rotation": [[5, 40]], "scale": [[0, 0.5]]}),
        one("overshoots its ends", path(line, easing=[0.3, -0.8, 0.7, 1.9])),
        one("legs of their own pace", path([[0, 0, 2], [60, 10], [100, 80, 5], [40, 120], [200, 20, 11]],
            curve="catmull-rom", easing="ease-in-out"), fps=24.0),
        one("ends without frames", path([[0, 0], [100, 80, 5], [200, 20]], start=1, end=10)),
        one("far away", path([[-1e6, 3], [1e6, -5]]), {"kind": "circle", "center": [9e5, -9e5], "radius": 5,
            "radius_curve": 9e5}),
        one("long bezier", {"kind": "path", "curve": "bezier", "points": [
            {"x": 0, "y": 0, "handle_out": [4000, 0]}, {"x": 300, "y": 150, "handle_in": [0, -5000]}]}),
        one("hidden", path(line, hidden=True), cover, grid | {"hidden": True}),
        one("grid outside everything", grid, cover, path(line), {"kind": "circle", "center": [250, 120],
            "radius": 25, "radius_curve": 50}),
        one("grid outside one area", {"kind": "static", "points": [[1.5, 2.5]], "grid": {
            "spacing": 15, "outside": ["box-1", {"polygon": [[10, 10], [60, 20], [20, 70]]}], "margin": 21.3}},
            cover, {"kind": "box", "source": {"x": 200.4, "y": 30.6, "width": 50.5, "height": 70.5}}, path(line)),
        one("grid outside nothing", {"kind": "static", "grid": {"spacing": 30, "outside": []}}, cover),
        one("grid without margin", {"kind": "static", "grid": {"spacing": 14, "margin": 0}}, cover, path(line)),
        one("dense grid far from a corner", {"kind": "static", "grid": {"spacing": 4, "margin": 61.3}},
            {"kind": "region", "polygon": [[150.3, 80.4], [170.2, 84.1], [158.9, 99.7]]}, num_frames=1),
        one("grid around a mask", grid, {"kind": "region", "mask": MASKS["opacity"], "path": way, "rotation": 20}),
        one("mask by brightness", {"kind": "region", "mask": MASKS["brightness"], "spacing": 9, "scale": 0.5},
            path(line)),
        one("thin as a hair", {"kind": "region", "polygon": [[10.2, 10.2], [300.9, 170.1], [301.5, 170.3]],
            "spacing": 400}),
        one("half off the canvas", {"kind": "region", "polygon": [[-50, 20], [90, -40], [60, 400]], "spacing": 12,
            "rotation": 90}),
        one("crosses itself", {"kind": "region", "polygon": [[20, 20], [150, 140], [150, 20], [20, 140]],
            "spacing": 10}),
        one("a frame and an island, joined by bridges", {"kind": "region", "spacing": 11, "polygon": [
            [20.5, 20.5], [120, 20], [120, 120], [20, 120], [20.5, 20.5], [40, 40], [40, 90], [90, 90], [150, 60],
            [150, 80], [170, 70], [150, 60], [90, 90], [90, 40], [40, 40]], "rotation": 30}, path(line)),
        one("covered on the way", path([[20.5, 85.3], [290.5, 88.1]]), cover),
        one("begins on the area", path([[140.5, 85.3], [290.5, 88.1]]), cover),
        one("areas in front of each other", cover, {"kind": "box", "source": {"x": 30.1, "y": 40.2, "width": 60.3,
            "height": 70.4}, "path": {"points": [[0, 0], [120.7, 10.3]], "curve": "polyline"}, "spacing": 20},
            {"kind": "rotate", "center": [240.1, 90.2], "angle": 180,
                "region": {"polygon": [[190.3, 60.4], [260.1, 70.2], [220.6, 140.7]]}}),
        one("an area that vanishes covers no more", path([[20.5, 85.3], [290.5, 88.1]]), cover | {"path": None,
            "end": 6, "after": "vanish"}),
        one("scaled to nothing", path([[20.5, 85.3], [290.5, 88.1]]), cover | {"path": None, "scale": 0.0}),
        one("no occlusion", path([[20.5, 85.3], [290.5, 88.1]]), cover, occlusion=False),
        one("pan", path(line), cover, grid, {"kind": "camera", "zoom": 1.2, "spacing": 60}, pan=[
            {"velocity": [1.25, -2.5]}, {"velocity": [0, 4.5], "instructions": ["path-1", "region-1"]}], fps=24.0),
        one("pans that cancel", path(line), pan=[{"velocity": [2, 1]}, {"velocity": [-2, -1]}]),
        one("camera moves all", cover, path(line), grid, {"kind": "camera", "pan": 12, "roll": 20, "zoom": 1.4,
            "dolly": 0.2, "include_objects": True, "spacing": 50}, occlusion=True),
        one("camera passes the plane", path(line), {"kind": "camera", "dolly": 1.5, "include_objects": True,
            "spacing": 60}),
        one("camera turns away", {"kind": "camera", "pan": 170, "spacing": 60}, path(line)),
        one("grid of halves", {"kind": "camera", "orbit": 15, "spacing": 128}, canvas={"width": 320, "height": 192}),
        one("two frames", path(line), cover, num_frames=2),
        one("one frame", path(line), cover, num_frames=1),
    ]  # fmt: skip


def _refused() -> list[Document]:
    """Documents of the right types that `Motion` refuses, so that the editor must not make them."""
    maker = Maker(5, 320, 180, 13)
    line = [[20.5, 30.5], [120.5, 90.5, 6], [300.5, 40.5]]
    square = [[100.3, 50.2], [180.7, 50.2], [180.7, 120.9]]
    box = {"kind": "box", "source": {"x": 1, "y": 2, "width": 30, "height": 40}}
    turn = {"kind": "rotate", "center": [5, 5], "angle": 10, "points": [[9, 9]]}

    def path(points: Any = line, **more: Any) -> Document:
        return maker.document([{"kind": "path", "points": points, **more}])

    def one(**instruction: Any) -> Document:
        return maker.document([instruction])

    refused = {
        "end before start": path(start=9, end=3),
        "a point before the start": path(start=7),
        "a point at the end": path(end=6),
        "points back in time": path([[1, 1, 5], [2, 2, 4], [3, 3, 9]]),
        "points at one time": path([[1, 1, 5], [2, 2, 5], [3, 3, 9]]),
        "an end that comes too early": path([[1, 1], [2, 2, 20], [3, 3]]),
        "a negative frame": path([[1, 1, -1], [2, 2, 5]]),
        "too far away": path([[1e7, 0]]),
        "no points": path([]),
        "easing out of bounds": path(easing=[1.5, 0, 0, 0]),
        "a colour by name": path(color="red"),
        "radius zero": one(kind="circle", center=[1, 2], radius=0, radius_curve=4),
        "radius below zero": one(kind="circle", center=[1, 2], radius=3, radius_curve=[[0, 1], [4, -1]]),
        "half a point on a circle": one(kind="circle", center=[1, 2], radius=3, radius_curve=4, count=1.5),
        "no static points": one(kind="static", points=[]),
        "spacing zero": one(kind="static", grid={"spacing": 0}),
        "margin below zero": one(kind="static", grid={"spacing": 9, "margin": -1}),
        "a flat box": one(**box | {"source": {"x": 1, "y": 2, "width": 0, "height": 4}}),
        "a flat target": one(**box | {"target": {"x": 1, "y": 2, "width": 5, "height": -4}}),
        "dense box": one(**box | {"spacing": 0.5}),
        "two corners": one(kind="region", polygon=square[:2]),
        "keyframes back in time": one(kind="region", polygon=square, rotation=[[5, 1], [3, 2]]),
        "no keyframes": one(kind="region", polygon=square, scale=[]),
        "points and an area": one(**turn | {"region": {"polygon": square}}),
        "neither points nor an area": one(**turn | {"points": []}),
        "zoom zero": one(kind="camera", zoom=0),
        "focal length and field of view": one(kind="camera", focal=300, fov=50),
        "a field of view behind one's back": one(kind="camera", fov=190),
        "depth zero": one(kind="camera", depth=0),
        "a tolerance below zero": one(kind="camera", tolerance=-1),
        "two cameras": maker.document([{"kind": "camera"}, {"kind": "camera"}]),
        "one id twice": maker.document([box | {"id": "a"}, box | {"id": "a"}]),
        "a pan of nobody": maker.document([box], pan=[{"velocity": [1, 1], "instructions": ["nobody"]}]),
        "a pan too fast": maker.document([box], pan=[{"velocity": [1e7, 1]}]),
        "a grid outside nobody": one(kind="static", grid={"outside": ["nobody"]}),
        "a grid outside a point": maker.document(
            [{"kind": "static", "grid": {"outside": ["static-2"]}}, {"kind": "static", "points": [[1, 2]]}]
        ),
        "no frames": maker.document([], num_frames=0),
        "half a frame": maker.document([], num_frames=2.5),
        "no rate": maker.document([], fps=0.0),
    }
    for label, document in refused.items():
        try:
            Motion.parse(document)
        except FileFormatError:
            continue
        raise AssertionError(f"{label}: expected Motion to refuse it")
    return [{"label": label, "document": document} for label, document in refused.items()]


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in vectors().items():
        (FOLDER / name).write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{name}: {(FOLDER / name).stat().st_size / 1000:.0f} kB")
