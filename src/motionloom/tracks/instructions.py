"""The instructions a motion is made of: what a person draws, as data. `compile.py` turns them into points.

Positions are canvas pixels, times are frames of the motion (fractions allowed), angles are degrees, clockwise as seen
on the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)

from motionloom.errors import InputError
from motionloom.tracks.assets import DepthEncoding
from motionloom.tracks.paths import CurveKind
from motionloom.tracks.validation import one_line

MAX_COORDINATE = 1_000_000.0
MAX_KEYS = 20_000

Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MAX_COORDINATE, le=MAX_COORDINATE)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1e-6, le=MAX_COORDINATE)]
Frame = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=100_000)]
Spacing = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=1, le=65_536, description="pixels")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
FileName = Annotated[str, Field(min_length=1, description="relative to the motion file, or a data: URL (base64)")]


class Node(BaseModel):
    """Part of a motion document: unknown fields are refused, and nothing changes after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise InputError(one_line(error, data, type(self).__name__)) from None

    # Says to pydantic that this is the plain constructor, so that nested values are validated without calling it and
    # their errors keep their place in the document.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------- values over time
def _is_text(value: Any) -> str:
    return "numbers" if isinstance(value, (list, tuple)) else "name"


Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Easing = Annotated[
    Annotated[Literal["linear", "ease-in", "ease-out", "ease-in-out", "hold"], Tag("name")]
    | Annotated[tuple[Share, Number, Share, Number], Tag("numbers")],
    Discriminator(_is_text),
    Field(description="a name, or the four numbers of a CSS cubic-bezier"),
]


def _named(*names: str) -> Any:
    """Accepts a list as the short form of an object with these fields, in order; the first two are needed."""

    def expand(value: Any) -> Any:
        parts = _items(value)
        return dict(zip(names, parts, strict=False)) if 2 <= len(parts) <= len(names) else value

    return expand


class Keyframe(Node):
    """A value at a frame. ``easing`` shapes the way from here to the next keyframe."""

    frame: Frame
    value: Number
    easing: Easing = "linear"

    @model_serializer(mode="wrap")
    def _short(self, handler: Any) -> Any:
        return [self.frame, self.value] if self.easing == "linear" else handler(self)


def _items(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else ()


def _is_list(value: Any) -> str:
    return "keyframes" if isinstance(value, (list, tuple)) else "number"


KeyframeOrPair = Annotated[
    Keyframe, BeforeValidator(_named("frame", "value"), json_schema_input_type=Keyframe | tuple[Frame, Number])
]
ValueCurve = Annotated[
    Annotated[Number, Tag("number")]
    | Annotated[tuple[KeyframeOrPair, ...], Field(min_length=1, max_length=MAX_KEYS), Tag("keyframes")],
    Discriminator(_is_list),
    Field(description="the value at the end, reached with the instruction's easing; or keyframes [frame, value]"),
]


# ---------------------------------------------------------------------------------------------------------- geometry
Point = tuple[Number, Number]
Points = Annotated[tuple[Point, ...], Field(min_length=1, max_length=MAX_KEYS)]


class PathPoint(Node):
    """A control point. ``frame``: when it is passed. ``handle_in``/``handle_out``: Bézier handles, as offsets."""

    x: Number
    y: Number
    frame: Frame | None = None
    handle_in: Point | None = None
    handle_out: Point | None = None

    @model_serializer(mode="wrap")
    def _short(self, handler: Any) -> Any:
        if self.handle_in is None and self.handle_out is None:
            return [self.x, self.y] if self.frame is None else [self.x, self.y, self.frame]
        return handler(self)


PathPoints = Annotated[
    tuple[
        Annotated[
            PathPoint,
            BeforeValidator(
                _named("x", "y", "frame"), json_schema_input_type=PathPoint | Point | tuple[Number, Number, Frame]
            ),
        ],
        ...,
    ],
    Field(min_length=1, max_length=MAX_KEYS),
]


class Route(Node):
    """A curve through control points, travelled over time."""

    points: PathPoints
    curve: CurveKind = "catmull-rom"


class Rectangle(Node):
    """A rectangle by its top left corner and its size."""

    x: Number
    y: Number
    width: Positive
    height: Positive


class Area(Node):
    """A polygon, or a mask image (opaque or bright pixels) stretched over the canvas. Exactly one of the two."""

    polygon: Annotated[tuple[Point, ...], Field(min_length=3, max_length=10_000)] | None = None
    mask: FileName | None = None

    @model_validator(mode="after")
    def _one(self) -> Area:
        if (self.polygon is None) == (self.mask is None):
            raise ValueError("found both polygon and mask or neither, expected exactly one of them")
        return self


class DepthMap(Node):
    """A depth map image (8 or 16 bit grey, or .npy), stretched over the canvas.

    ``encoding``: ``depth`` black is near and white is far; ``disparity`` white is near and black is far, linear in
    1/depth; ``metric`` the value times ``scale``.
    """

    file: FileName
    encoding: DepthEncoding = "depth"
    near: Positive = 1.0
    far: Positive = 5.0
    scale: Positive = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> DepthMap:
        if self.encoding != "metric" and self.far <= self.near:
            raise ValueError(f"found near {self.near:g} and far {self.far:g}, expected far above near")
        return self


# ------------------------------------------------------------------------------------------------------ instructions
class Instruction(Node):
    """What all instructions share."""

    id: Identifier | None = Field(None, description="unique in the motion; made up from the kind when left out")
    name: str = ""
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = Field(None, description="#rrggbb, for display")
    hidden: bool = Field(False, description="left out, as if it were not there")
    start: Frame | None = Field(None, description="frame where it begins; default: its first timed point, or 0")
    end: Frame | None = Field(None, description="frame where it is done; default: its last timed point, or the last")
    easing: Easing = "linear"
    before: Literal["hold", "vanish"] = Field("hold", description="before start: stay in place, or not visible")
    after: Literal["hold", "vanish"] = Field("hold", description="after end: stay in place, or not visible")

    @model_validator(mode="after")
    def _in_order(self):
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError(f"found end {self.end:g} before start {self.start:g}")
        return self


class FreePath(Route, Instruction):
    """One point that travels a drawn path."""

    kind: Literal["path"] = "path"


class Circle(Instruction):
    """Points on a circle that grows or shrinks: a zoom of the camera as drawn in ATI."""

    kind: Literal["circle"] = "circle"
    center: Point
    radius: Positive
    radius_curve: ValueCurve
    count: Annotated[int, Field(strict=True, ge=1, le=4096)] = Field(8, description="points, evenly spaced")
    angles: Annotated[tuple[Number, ...], Field(min_length=1, max_length=4096)] | None = Field(
        None, description="instead of count: the angle of each point, 0 is to the right"
    )

    @model_validator(mode="after")
    def _no_negative(self) -> Circle:
        values = self.radius_curve if isinstance(self.radius_curve, tuple) else (self.radius_curve,)
        for value in values:
            radius = value.value if isinstance(value, Keyframe) else value
            if radius < 0:
                raise ValueError(f"radius_curve: found radius {radius:g}, expected zero or more")
        return self


IdentifierOrArea = Annotated[
    Annotated[Identifier, Tag("id")] | Annotated[Area, Tag("area")],
    Discriminator(lambda value: "id" if isinstance(value, str) else "area"),
]


class AnchorGrid(Node):
    """Static points all over the canvas, except on and near what moves.

    ``outside``: ids of instructions with an area, or areas, to keep clear of; default: every area of the motion.
    ``margin``: distance in pixels to keep from them and from where other paths begin; default: half the spacing.
    """

    spacing: Spacing = 64.0
    outside: tuple[IdentifierOrArea, ...] | None = None
    margin: Annotated[float, Field(strict=True, ge=0, le=65_536)] | None = None


class Static(Instruction):
    """Points that stay where they are: single ones, a grid that pins everything else, or both."""

    kind: Literal["static"] = "static"
    points: Annotated[tuple[Point, ...], Field(max_length=MAX_KEYS)] = ()
    grid: AnchorGrid | None = None

    @model_validator(mode="after")
    def _something(self) -> Static:
        if not self.points and self.grid is None:
            raise ValueError("found neither points nor grid, expected at least one of them")
        return self


class Box(Instruction):
    """A rectangle that moves and scales, as a grid of points.

    Its centre goes straight to that of ``target``; with ``path`` it follows the path's displacement instead, and
    ``target`` gives the size alone. Without ``spacing``: the four corners and the centre; with it also points between.
    """

    kind: Literal["box"] = "box"
    source: Rectangle
    target: Rectangle | None = None
    path: Route | None = None
    spacing: Spacing | None = None


class Region(Area, Instruction):
    """An area that moves as one rigid thing: along a path, turning and scaling about a pivot."""

    kind: Literal["region"] = "region"
    spacing: Spacing = 16.0
    path: Route | None = None
    rotation: ValueCurve = Field(0.0, description="degrees, clockwise")
    scale: ValueCurve = Field(1.0, description="factor")
    pivot: Point | None = Field(None, description="default: the area's centre of mass")


class Rotate(Instruction):
    """Points, or an area, turning about a centre."""

    kind: Literal["rotate"] = "rotate"
    center: Point
    angle: ValueCurve = Field(description="degrees, clockwise")
    points: Annotated[tuple[Point, ...], Field(max_length=MAX_KEYS)] = ()
    region: Area | None = None
    spacing: Spacing = 16.0

    @model_validator(mode="after")
    def _something(self) -> Rotate:
        if bool(self.points) == (self.region is not None):
            raise ValueError("found both points and region or neither, expected exactly one of them")
        return self


PlaneOrMap = Annotated[
    Annotated[Positive, Tag("plane")] | Annotated[DepthMap, Tag("map")],
    Discriminator(lambda value: "map" if isinstance(value, (dict, DepthMap)) else "plane"),
]


class Camera(Instruction):
    """A camera move, as a grid of points of the scene: a plane facing the camera, or a depth map.

    Angles in degrees, distances in units of depth. Moves combine in the order orbit, truck/pedestal/dolly, pan, tilt,
    roll, zoom.
    """

    kind: Literal["camera"] = "camera"
    pan: ValueCurve = Field(0.0, description="turn to the right; the picture moves left")
    tilt: ValueCurve = Field(0.0, description="turn up; the picture moves down")
    roll: ValueCurve = Field(0.0, description="turn clockwise; the picture turns the other way")
    zoom: ValueCurve = Field(1.0, description="focal length factor, above zero; the picture grows by it")
    dolly: ValueCurve = Field(0.0, description="move forward")
    truck: ValueCurve = Field(0.0, description="move to the right")
    pedestal: ValueCurve = Field(0.0, description="move up")
    orbit: ValueCurve = Field(0.0, description="move to the right around the point ahead at orbit_depth, facing it")
    orbit_depth: Positive | None = Field(None, description="default: depth in the middle of the picture")
    depth: PlaneOrMap = Field(1.0, description="distance of the plane, or a depth map")
    focal: Positive | None = Field(None, description="focal length in pixels, or")
    fov: Annotated[float, Field(strict=True, ge=0.01, lt=180)] | None = Field(
        None, description="horizontal field of view; default 50"
    )
    spacing: Spacing = 32.0
    tolerance: Annotated[float, Field(strict=True, ge=0, le=10)] = Field(
        0.05, description="share of its depth by which something must be nearer to hide a point"
    )
    include_objects: bool = Field(False, description="the camera moves what other instructions draw as well")

    @model_validator(mode="after")
    def _sensible(self) -> Camera:
        if self.focal is not None and self.fov is not None:
            raise ValueError("found both focal and fov, expected one of them")
        for value in self.zoom if isinstance(self.zoom, tuple) else (self.zoom,):
            zoom = value.value if isinstance(value, Keyframe) else value
            if zoom <= 0:
                raise ValueError(f"zoom: found {zoom:g}, expected a factor above zero")
        return self


AnyInstruction = Annotated[FreePath | Circle | Static | Box | Region | Rotate | Camera, Field(discriminator="kind")]
