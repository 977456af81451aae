"""Results: one row for each video, many rows and the distances of the whole set in one run. Files of both."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from motionloom.errors import FileFormatError, MotionloomError
from motionloom.evaluate.measurement import Measurement
from motionloom.media.files import replacing
from motionloom.tracks.tracks import Tracks

FORMAT, VERSION = "motionloom.evaluation", 1


def row_key(case: str, seed: int | None) -> str:
    """The name under which files of a row are kept."""
    return case if seed is None else f"{case}.seed-{seed}"


@dataclass(frozen=True)
class Row:
    """What became of one case with one seed.

    Attributes:
        case: its name; seed: None where the video has none.
        status: "failed" where there is no video, or it could not be measured; ``error`` says why.
        video, reference, tracks: files, relative to the run's folder where they lie inside; tracks as `save_tracks`.
        prompt, category: of the case.
        seconds: that making the video took.
        facts: what else is known of how the video was made (JSON values).
    """

    case: str
    seed: int | None
    status: Literal["done", "failed"]
    category: str | None = None
    prompt: str | None = None
    video: str | None = None
    reference: str | None = None
    tracks: str | None = None
    seconds: float | None = None
    measurements: tuple[Measurement, ...] = ()
    error: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        values = {name: value for name, value in self.__dict__.items() if value not in (None, (), {})}
        if self.measurements:
            values["measurements"] = [each.record() for each in self.measurements]
        return {"case": self.case, "seed": self.seed, **values}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Row:
        """The inverse of `record`.

        Raises:
            FileFormatError: the record is damaged.
        """
        values = dict(record)
        try:
            values["measurements"] = tuple(Measurement.from_record(each) for each in values.get("measurements", ()))
            row = cls(**values)
            row._refuse_what_makes_no_sense()
            return row
        except FileFormatError as error:
            raise FileFormatError(f"row {record.get('case')!r}: {error}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(f"row {record.get('case')!r}: damaged ({error})") from None

    def _refuse_what_makes_no_sense(self) -> None:
        if self.status not in ("done", "failed"):
            raise ValueError(f"status: found {self.status!r}, expected done or failed")
        if not isinstance(self.case, str):
            raise ValueError(f"case: found {self.case!r}, expected a name")
        for name in ("category", "prompt", "video", "reference", "tracks", "error"):
            if not isinstance(text := getattr(self, name), str | None):
                raise ValueError(f"{name}: found {text!r}, expected text")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int | None):
            raise ValueError(f"seed: found {self.seed!r}, expected a whole number or null")
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float | None):
            raise ValueError(f"seconds: found {self.seconds!r}, expected a number")
        if not isinstance(self.facts, Mapping):
            raise ValueError(f"facts: found {self.facts!r}, expected an object")

    def value(self, name: str) -> float | None:
        """The value of one measurement; None where there is none."""
        return next((each.value for each in self.measurements if each.name == name), None)


@dataclass(frozen=True)
class Run:
    """What one model, or one folder of videos, made of a set of cases.

    Attributes:
        name: of the run in tables.
        totals: metrics of the whole set, such as FID.
        facts: model, method, digest, parameters, tracker, date, machine, command, ... (JSON values).
        folder: that the files of the rows are relative to.
    """

    name: str
    rows: tuple[Row, ...]
    totals: tuple[Measurement, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all of it as JSON; relative files are relative to the folder of ``path``."""
        target = Path(path)
        here = self.relative_to(target.parent)
        record = {
            "format": FORMAT,
            "version": VERSION,
            "name": here.name,
            "facts": dict(here.facts),
            "totals": [each.record() for each in here.totals],
            "rows": [row.record() for row in here.rows],
        }
        write_json(target, record)
        return target

    def relative_to(self, folder: Path) -> Run:
        """The same run with its files named from another folder."""
        if self.folder is None or self.folder.resolve() == folder.resolve():
            return Run(self.name, self.rows, self.totals, self.facts, folder)

        def named(text: str | None) -> str | None:
            if text is None or os.path.isabs(text):
                return text
            return Path(os.path.relpath((self.folder or Path()) / text, folder)).as_posix()

        rows = tuple(
            Row(**{**row.__dict__, **{name: named(getattr(row, name)) for name in ("video", "reference", "tracks")}})
            for row in self.rows
        )
        return Run(self.name, rows, self.totals, self.facts, folder)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Run:
        """The run in a file.

        Raises:
            FileFormatError: missing, damaged, or of a later version.
        """
        source = Path(path)
        record = read_json(source)
        if record.get("format") != FORMAT:
            raise FileFormatError(f"{source}: found no results of motionloom evaluate or bench")
        if record.get("version") != VERSION:
            raise FileFormatError(f"{source}: is of version {record.get('version')!r}, expected {VERSION}")
        try:
            return cls(
                name=str(record["name"]),
                rows=tuple(Row.from_record(row) for row in record["rows"]),
                totals=tuple(Measurement.from_record(each) for each in record.get("totals", ())),
                facts=dict(record.get("facts", {})),
                folder=source.parent,
            )
        except FileFormatError as error:
            raise FileFormatError(f"{source}: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{source}: damaged ({error})") from None

    def file(self, text: str | None) -> Path | None:
        """A row's file as a path; None where there is none."""
        return None if text is None else (self.folder or Path()) / text


def save_tracks(path: str | os.PathLike[str], wanted: Tracks, measured: Tracks) -> None:
    """Keep the tracks asked for beside those found, for curves and overlays."""
    with replacing(path) as temporary:
        save_file(
            {
                "wanted": wanted.points,
                "wanted_visible": wanted.visible,
                "measured": measured.points,
                "measured_visible": measured.visible,
                "size_fps": np.array([*wanted.size, wanted.fps], np.float64),
            },
            os.fspath(temporary),
        )


def load_tracks(path: str | os.PathLike[str]) -> tuple[Tracks, Tracks]:
    """The tracks asked for and those found.

    Raises:
        FileFormatError: not such a file.
    """
    try:
        found = load_file(os.fspath(path))
        height, width, fps = found["size_fps"].tolist()
        size = (int(height), int(width))
        return (
            Tracks(found["wanted"], found["wanted_visible"], size, fps),
            Tracks(found["measured"], found["measured_visible"], size, fps),
        )
    except (OSError, KeyError, ValueError, SafetensorError, MotionloomError) as error:
        raise FileFormatError(f"{os.fspath(path)}: not a pair of tracks ({error})") from None


def write_json(path: Path, value: Any) -> None:
    """A JSON file that is there whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        FileFormatError: missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path}: not readable ({error})") from None
    if not isinstance(value, dict):
        raise FileFormatError(f"{path}: found no object in it")
    return value


def _refuse_constant(text: str) -> float:
    raise ValueError(f"found {text}, which is no JSON")
