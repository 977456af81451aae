"""cases.jsonl: what is known of a benchmark beyond the published layout. One JSON object per line, one per case.

The first line is about the benchmark: "format": "motionloom.benchmark", "version": 1, "name", "fps", "num_frames", ...
Every other has an "id" and what people noted: "category", "content", "tags", "notes", and any key of their own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionloom.errors import FileFormatError
from motionloom.evaluate.categories import CATEGORIES
from motionloom.evaluate.movebench.layout import FPS, why_no_id
from motionloom.media.files import replacing
from motionloom.tracks.formats.source import Source

FORMAT, VERSION = "motionloom.benchmark", 1


@dataclass
class Manifest:
    """Facts of the benchmark, and annotations by id."""

    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    cases: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def fps(self) -> float:
        return float(self.facts.get("fps", FPS))

    def annotate(self, id: str, values: Mapping[str, Any]) -> None:
        """Set values of a case; None takes one away."""
        record = self.cases.setdefault(id, {"id": id})
        record.update(values)
        for name in [name for name, value in record.items() if value is None]:
            del record[name]

    def save(self, path: Path) -> None:
        """Write it; complete or not at all."""
        lines = [{"format": FORMAT, "version": VERSION, **self.facts}, *self.cases.values()]
        with replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file; an empty one where there is no file.

    Raises:
        FileFormatError: damaged, of a newer version, or a record that says something impossible.
    """
    manifest = Manifest()
    if not path.exists():
        return manifest
    for number, line in enumerate(Source(path).text.split("\n"), 1):  # not splitlines: U+2028 may stand in notes
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileFormatError(f"{path}: line {number} is not JSON ({error})") from None
        if not isinstance(record, dict):
            raise FileFormatError(f"{path}: line {number} is a {type(record).__name__}, expected an object")
        if "format" in record:
            manifest.facts = _facts(path, number, record)
            continue
        id, category = record.get("id"), record.get("category")
        if not isinstance(id, str) or why_no_id(id):
            raise FileFormatError(f"{path}: line {number}: id is {id!r}, expected the name of a case")
        if id in manifest.cases:
            raise FileFormatError(f"{path}: line {number}: {id!r} comes a second time")
        if category is not None and category not in CATEGORIES:
            raise FileFormatError(
                f"{path}: line {number}: category is {category!r}, expected one of {', '.join(CATEGORIES)}"
            )
        tags, content = record.get("tags", []), record.get("content", "")
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise FileFormatError(f"{path}: line {number}: tags is {tags!r:.80}, expected a list of words")
        if not isinstance(content, str):
            raise FileFormatError(f"{path}: line {number}: content is {content!r:.80}, expected text")
        manifest.cases[id] = record
    return manifest


def _facts(path: Path, number: int, record: dict[str, Any]) -> dict[str, Any]:
    if record["format"] != FORMAT or not isinstance(record.get("version"), int):
        raise FileFormatError(f"{path}: line {number}: found format {record['format']!r}, expected {FORMAT!r}")
    if record["version"] > VERSION:
        raise FileFormatError(f"{path}: version {record['version']} is newer than this motionloom; update it")
    facts = {name: value for name, value in record.items() if name not in ("format", "version")}
    fps, frames = facts.get("fps", FPS), facts.get("num_frames", 1)
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not (math.isfinite(fps) and fps > 0):
        raise FileFormatError(f"{path}: line {number}: fps is {fps!r}, expected a number above zero")
    if isinstance(frames, bool) or not isinstance(frames, int) or frames < 1:
        raise FileFormatError(f"{path}: line {number}: num_frames is {frames!r}, expected a whole number above zero")
    return facts
