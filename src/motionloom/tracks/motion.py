"""Motion: what a person edits. Instructions on a canvas with timing, saved as ``*.motion.json``."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.assets import MAX_PIXELS, Folder
from motionloom.tracks.compile import assemble, trace_motion
from motionloom.tracks.instructions import (
    AnyInstruction,
    Area,
    Box,
    Camera,
    Identifier,
    Instruction,
    Keyframe,
    Node,
    Number,
    Rotate,
    Route,
    Static,
)
from motionloom.tracks.migrations import FORMAT, VERSION, migrate
from motionloom.tracks.paths import legs
from motionloom.tracks.scene import Scene
from motionloom.tracks.tracks import MAX_FRAMES, MAX_SIDE, Tracks, timeline
from motionloom.tracks.validation import one_line, require_bounded_json

if TYPE_CHECKING:
    from motionloom.tracks.layers import Layer

MAX_DOCUMENT_BYTES = 64 * 2**20
MAX_INSTRUCTIONS = 10_000
# A control point takes about 600 bytes of memory.
MAX_LISTS = 1_000_000
MAX_VALUES = 5_000_000


class Canvas(Node):
    """The picture that was drawn on, in pixels."""

    width: Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE)]
    height: Annotated[int, Field(strict=True, ge=1, le=MAX_SIDE)]

    @model_validator(mode="after")
    def _bounded(self) -> Canvas:
        if self.width * self.height > MAX_PIXELS:
            raise ValueError(f"found {self.width}x{self.height}, expected at most {MAX_PIXELS} pixels in all")
        return self


class Pan(Node):
    """A constant velocity added to the points of some instructions, or of all, from frame 0 on."""

    velocity: tuple[Number, Number] = Field(description="(x, y) in canvas pixels per frame of the motion")
    instructions: tuple[Identifier, ...] | None = Field(None, description="ids; default: all")


class Motion(Node):
    """Instructions on a canvas, with timing.

    Args:
        canvas: the picture's size in pixels; all positions refer to it.
        num_frames, fps: length and rate; all times are frames of this timing, from 0 to num_frames - 1.
        image: the picture's file name, for editors; nothing is read from it.
        prompt: text for the model.
        instructions: in drawing order; areas later in the list are in front.
        pan: constant velocities.
        occlusion: points that an area in front covers become invisible.

    Raises:
        InputError: a field that is missing, unknown or out of range; the message names its place in the document.
    """

    model_config = ConfigDict(
        json_schema_extra={"required": ["format", "version", "canvas", "num_frames", "fps"]}, title="motionloom motion"
    )

    format: Literal["motionloom.motion"] = FORMAT
    version: Literal[1] = VERSION
    canvas: Canvas
    num_frames: Annotated[int, Field(strict=True, ge=1, le=MAX_FRAMES)]
    fps: Annotated[float, Field(strict=True, gt=0, le=1000, allow_inf_nan=False)]
    image: Annotated[str, Field(min_length=1)] | None = None
    prompt: str | None = None
    instructions: Annotated[tuple[AnyInstruction, ...], Field(max_length=MAX_INSTRUCTIONS)] = ()
    pan: Annotated[tuple[Pan, ...], Field(max_length=MAX_INSTRUCTIONS)] = ()
    occlusion: bool = True

    _folder: Folder = PrivateAttr(default_factory=Folder)

    # ------------------------------------------------------------------ facts
    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the canvas."""
        return self.canvas.height, self.canvas.width

    @property
    def folder(self) -> Folder:
        """Where the files of masks and depth maps are looked for."""
        return self._folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Motion) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    # ------------------------------------------------------------------ files
    @classmethod
    def load(cls, path: str | os.PathLike[str], *, allow_absolute: bool = False) -> Motion:
        """Reads a ``*.motion.json`` file.

        Args:
            allow_absolute: mask and depth files may be given by absolute names; without it they must lie in the
                folder of the motion file or below.

        Raises:
            FileFormatError: not a motion, of a newer version, or with a field that is wrong; names the place in it.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_DOCUMENT_BYTES:
                raise FileFormatError(f"{path}: larger than {MAX_DOCUMENT_BYTES} bytes, expected a motion document")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from None
        except UnicodeDecodeError:
            raise FileFormatError(f"{path}: is not UTF-8 text, expected a motion document in JSON") from None
        try:
            require_bounded_json(text, MAX_LISTS, MAX_VALUES)
        except ValueError as error:
            raise FileFormatError(f"{path}: {error}") from None
        try:
            data = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            reason = "too deeply nested" if isinstance(error, RecursionError) else str(error)
            raise FileFormatError(f"{path}: is not JSON ({reason})") from None
        return cls.parse(data, source=str(path), folder=path.parent, allow_absolute=allow_absolute)

    @classmethod
    def parse(
        cls,
        data: Any,
        *,
        source: str = "motion",
        folder: str | os.PathLike[str] | None = None,
        allow_absolute: bool = False,
    ) -> Motion:
        """A motion from parsed JSON, of this version or an older one. ``source`` names it in messages; see `load`."""
        try:
            motion = cls.model_validate(migrate(data, source))
        except ValidationError as error:
            raise FileFormatError(one_line(error, data, source)) from None
        return motion.with_folder(folder, allow_absolute=allow_absolute)

    def with_folder(self, folder: str | os.PathLike[str] | None, *, allow_absolute: bool = False) -> Motion:
        """The same motion, looking for its files in another folder."""
        motion = self.model_copy()
        motion._folder = Folder(None if folder is None else Path(folder), allow_absolute)
        return motion

    def dumps(self) -> str:
        """The document as JSON text; fields without a value are left out."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["instructions"] = [{"id": each["id"], "kind": each["kind"], **each} for each in data["instructions"]]
        text = json.dumps(data, indent=2, ensure_ascii=False)
        # Lists of numbers on one line: a path reads as a path. A line break cannot occur inside a JSON string.
        return re.sub(r"\[\n\s+([-+.\deE,\s]*?)\n\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes a ``*.motion.json`` file, whole or not at all.

        Raises:
            InputError: a mask or depth file would not be found from there (`embedded` carries them inside), or the
                name is that of a folder.
            FileFormatError: the system refuses to write there.
        """
        from motionloom.media.files import replacing

        path = Path(path)
        if self._folder.path is not None and path.parent.resolve() != self._folder.path.resolve():
            there = Folder(path.parent, self._folder.allow_absolute)
            for name in file_names(self):
                if not name.startswith("data:") and not there.locate(name).is_file():
                    raise InputError(
                        f"{path}: the motion's file {name!r} is not in this folder; "
                        "copy it there, or save motion.embedded(), which carries its files inside"
                    )
        content = self.dumps().encode("utf-8")
        if len(content) > MAX_DOCUMENT_BYTES:
            raise InputError(
                f"{path}: the motion takes {len(content)} bytes, expected at most {MAX_DOCUMENT_BYTES}; "
                "keep large masks and depth maps as files beside it"
            )
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(content)
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be written ({error.strerror or error})") from None
        return path

    def embedded(self) -> Motion:
        """The same motion with its mask and depth files inside, as data URLs: one document that needs no other file.

        Raises:
            FileFormatError, InputError: a file cannot be read.
        """
        data = self.model_dump(mode="json")
        for instruction in data["instructions"]:
            for node in _nodes(instruction):
                for key in ("mask", "file"):
                    if node.get(key):
                        node[key] = self._folder.data_url(node[key])
        return Motion.parse(data)

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of motion documents, as published in ``motion.schema.json``."""
        schema = Motion.model_json_schema(mode="validation")
        for part in schema["$defs"].values():
            if "const" in part.get("properties", {}).get("kind", {}):
                part["required"] = ["kind", *part.get("required", [])]
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

    # ----------------------------------------------------------------- points
    def compile(
        self, size: tuple[int, int] | None = None, num_frames: int | None = None, fps: float | None = None
    ) -> Tracks:
        """The points over time, instruction after instruction.

        Args:
            size: (height, width) to scale the canvas to, each axis by its own factor; default the canvas.
            num_frames, fps: as in `Tracks.resample`: ``fps`` keeps the speed, ``num_frames`` alone stretches the motion
                over that many frames, both play at ``fps`` and hold the end; default the motion's own.

        Raises:
            InputError, FileFormatError: an instruction that cannot be carried out; the message names it.
        """
        times, rate = timeline(self.num_frames, self.fps, num_frames, fps)
        traces = trace_motion(self, times, occlusion=self.occlusion)
        return assemble(traces, len(times), self.size, self._scaled(size), rate)

    def owners(self) -> list[str]:
        """The id of the instruction behind each track of `compile`."""
        traces = trace_motion(self, np.zeros(1), occlusion=False)
        return [str(found.instruction.id) for found in traces for _ in range(found.points.shape[1])]

    def layers(
        self, size: tuple[int, int] | None = None, num_frames: int | None = None, fps: float | None = None
    ) -> list[Layer]:
        """What moves as one thing, from back to front; see `motionloom.tracks.layers`. Arguments as in `compile`."""
        from motionloom.tracks.layers import split_layers

        times, rate = timeline(self.num_frames, self.fps, num_frames, fps)
        traces = trace_motion(self, times, occlusion=False)
        return split_layers(traces, len(times), self.size, self._scaled(size), rate)

    def _scaled(self, size: tuple[int, int] | None) -> tuple[int, int]:
        if size is None:
            return self.size
        if len(size) != 2 or min(size) < 1:
            raise InputError(f"size: found {size}, expected (height, width) above zero")
        return int(size[0]), int(size[1])

    # ------------------------------------------------------------- validation
    @model_validator(mode="after")
    def _consistent(self) -> Motion:
        object.__setattr__(self, "instructions", _with_ids(self.instructions))
        known: dict[str | None, Instruction] = {instruction.id: instruction for instruction in self.instructions}
        for place, pan in enumerate(self.pan):
            for wanted in pan.instructions or ():
                if wanted not in known:
                    raise ValueError(
                        f"pan[{place}]: no instruction has the id {wanted!r}, expected one of {list(known)}"
                    )
        cameras = [str(i.id) for i in self.instructions if isinstance(i, Camera) and not i.hidden]
        if len(cameras) > 1:
            raise ValueError(
                f"instructions: found {len(cameras)} cameras ({', '.join(cameras)}), expected one; "
                "combine them with keyframes, or hide all but one"
            )
        scene = Scene(self.size, np.zeros(1), float(self.num_frames - 1))
        for instruction in self.instructions:
            try:
                _check(instruction, scene, known)
            except InputError as error:
                raise ValueError(f"instruction {instruction.id!r}: {error}") from None
        return self


def _check(instruction: Instruction, scene: Scene, known: dict[str | None, Instruction]) -> None:
    """What can be said about an instruction without its files."""
    start, end = scene.span(instruction)
    route = instruction if isinstance(instruction, Route) else getattr(instruction, "path", None)
    if isinstance(route, Route):
        legs([point.frame for point in route.points], start, end)
    for name in type(instruction).model_fields:
        value = getattr(instruction, name)
        if isinstance(value, tuple) and value and isinstance(cast("tuple[Any, ...]", value)[0], Keyframe):
            try:
                scene.curve(cast("tuple[Keyframe, ...]", value), instruction, 0.0)
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
    if isinstance(instruction, Static) and instruction.grid is not None:
        for wanted in instruction.grid.outside or ():
            if isinstance(wanted, str):
                if wanted not in known:
                    raise InputError(
                        f"grid.outside: no instruction has the id {wanted!r}, expected one of {list(known)}"
                    )
                if not _has_area(known[wanted]):
                    raise InputError(f"grid.outside: {wanted!r} has no area; expected a box, a region or a polygon")


def _has_area(instruction: Instruction) -> bool:
    if isinstance(instruction, Rotate):
        return instruction.region is not None
    return isinstance(instruction, (Area, Box))


def _with_ids(instructions: tuple[AnyInstruction, ...]) -> tuple[AnyInstruction, ...]:
    """Every instruction with an id: ``kind-1``, ``kind-2``, ... for those without."""
    taken = [instruction.id for instruction in instructions if instruction.id is not None]
    if len(set(taken)) < len(taken):
        twice = next(name for name, count in Counter(taken).items() if count > 1)
        raise ValueError(f"instructions: found the id {twice!r} more than once, expected unique ids")
    used = set(taken)
    result: list[AnyInstruction] = []
    for instruction in instructions:
        if instruction.id is None:
            number = 1
            while f"{instruction.kind}-{number}" in used:
                number += 1
            instruction = instruction.model_copy(update={"id": f"{instruction.kind}-{number}"})
            used.add(str(instruction.id))
        result.append(instruction)
    return tuple(result)


def file_names(motion: Motion) -> list[str]:
    """The mask and depth files a motion refers to (data URLs included), in order."""
    return [
        node[key]
        for instruction in motion.model_dump(mode="json")["instructions"]
        for node in _nodes(instruction)
        for key in ("mask", "file")
        if node.get(key)
    ]


def _nodes(value: Any) -> list[dict[str, Any]]:
    """Every object inside a parsed JSON value, itself included; points, of which there are many, are passed over."""
    if isinstance(value, dict):
        node = cast("dict[str, Any]", value)
        inside = (inner for key, inner in node.items() if key not in ("points", "polygon"))
        return [node, *(found for inner in inside for found in _nodes(inner))]
    if isinstance(value, list):
        parts = cast("list[Any]", value)
        return [found for inner in parts if isinstance(inner, (dict, list)) for found in _nodes(inner)]
    return []


def _refuse_constant(name: str) -> float:
    raise ValueError(f"found {name}, expected numbers only")
