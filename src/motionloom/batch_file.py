"""Batch files: a YAML list or JSONL of jobs, as ATI's examples use them and with more keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from motionloom.errors import FileFormatError
from motionloom.jobs import Parameters, parse_size, parse_window

SUFFIXES = (".yaml", ".yml", ".jsonl")
MAX_BYTES = 64 * 2**20
MAX_ITEMS = 100_000
# The published programs' words and ours for the same thing.
_ALIASES = {
    "text": "prompt",
    "track": "motion",
    "frames": "num_frames",
    "steps": "num_inference_steps",
    "lora": "loras",
    "few_step_lora": "few_step_loras",
    "set": "options",
}
_TEXTS = (
    "prompt",
    "negative_prompt",
    "method",
    "resolution",
    "solver",
    "post",
    "base",
    "memory",
    "settings",
    "transformer",
    "transformer_2",
)
_KEYS = {"image", "motion", "model", "name", "last_image", *Parameters.__dataclass_fields__}


@dataclass(frozen=True)
class Item:
    """One entry of a batch file, paths resolved; ``options`` are those it sets itself.

    ``image`` is None for a model that starts from no photograph.
    """

    name: str
    image: Path | None
    motion: Path
    last_image: Path | None
    model: str | None
    options: Mapping[str, Any]


def is_batch(path: Path) -> bool:
    """A path that is read as a batch file."""
    return path.suffix.lower() in SUFFIXES


def read_batch(path: Path, model: str | None = None) -> list[Item]:
    """The items of a YAML list or JSONL file.

    Each is a mapping with ``image`` and ``motion`` (or ``track``), and optionally ``prompt`` (or ``text``, may be
    null), ``model``, ``name``, ``last_image`` and any parameter of a run. Paths are relative to the batch file, or
    else to the working directory. Text-to-video models need no ``image``.

    Args:
        model: of items that name none.

    Raises:
        FileFormatError: not such a file; the message names the item and the key.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileFormatError(f"{path}: larger than {MAX_BYTES >> 20} MiB, expected a list of jobs")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: not UTF-8 text, expected a YAML list or JSONL") from None
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from None
    entries = list(_jsonl(path, text)) if path.suffix.lower() == ".jsonl" else _yaml(path, text)
    if not entries:
        raise FileFormatError(f"{path}: holds no item")
    if len(entries) > MAX_ITEMS:
        raise FileFormatError(f"{path}: {len(entries)} items, expected at most {MAX_ITEMS}")
    items: list[Item] = []
    taken: set[str] = set()
    for number, entry in enumerate(entries, 1):
        items.append(_item(path, number, entry, taken, model))
    return items


def _jsonl(path: Path, text: str) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise FileFormatError(f"{path}: line {number} is not JSON ({error})") from None


def _yaml(path: Path, text: str) -> list[Any]:
    # Aliases can multiply a small file into a huge one, and a list of jobs has no use for them.
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)):
            raise FileFormatError(f"{path}: holds YAML aliases (*name), write the items out instead")
        entries = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FileFormatError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(entries, list):
        raise FileFormatError(f"{path}: holds a {type(entries).__name__}, expected a list of items")
    return entries


def _item(path: Path, number: int, entry: Any, taken: set[str], default_model: str | None) -> Item:
    where = f"{path}: item {number}"
    if not isinstance(entry, dict):
        raise FileFormatError(f"{where} is a {type(entry).__name__}, expected a mapping with image and motion")
    values: dict[str, Any] = {}
    for key, value in entry.items():
        name = _ALIASES.get(str(key), str(key))
        if name not in _KEYS:
            raise FileFormatError(f"{where}: unknown key {key!r}, expected one of {', '.join(sorted(_KEYS))}")
        if name in values:
            raise FileFormatError(f"{where}: {key!r} says again what another key says")
        if value is not None:
            values[name] = value
    base = path.parent
    last = values.pop("last_image", None)
    model, wanted = values.pop("model", None), values.pop("name", None)
    for key, value in (("last_image", last), ("model", model), ("name", wanted)):
        if value is not None and not isinstance(value, str):
            raise FileFormatError(f"{where}: {key} is {value!r}, expected text")
    for key in ("image", "motion"):
        absent = key == "image" and key not in values and _needs_no_image(model or default_model)
        if not (absent or isinstance(values.get(key), str)):
            raise FileFormatError(f"{where}: {key} is missing, expected a path")
    image = _resolve(base, values.pop("image")) if "image" in values else None
    motion = _resolve(base, values.pop("motion"))
    options = {key: _option(where, key, value) for key, value in values.items()}
    parts = [motion.name.split(".")[0]] if image is None else [image.stem, motion.name.split(".")[0]]
    name = _unique(wanted or "-".join(parts), taken)
    return Item(name, image, motion, _resolve(base, last) if last else None, model, options)


def _needs_no_image(model: str | None) -> bool:
    """Whether a model may do without; one that is known only when it is loaded says so itself."""
    if model is None:
        return False
    from motionloom.models.before_loading import card_before_loading

    card = card_before_loading(model)
    return card is None or not card.takes_image


def _option(where: str, key: str, value: Any) -> Any:
    """One parameter of an item as its type; sizes as WIDTHxHEIGHT or [width, height] like on the command line."""
    try:
        if key in _TEXTS:
            if not isinstance(value, str):
                raise ValueError("expected text")
            return value.strip()
        if key in ("loras", "few_step_loras", "base"):
            listed = [value] if isinstance(value, str) else value
            if not (isinstance(listed, list) and all(isinstance(item, str) for item in listed)):
                raise ValueError("expected text, or a list of texts")
            return tuple(listed)
        if key == "options":
            if not isinstance(value, dict):
                raise ValueError("expected a mapping of names to values")
            return {str(name): item for name, item in value.items()}
        if key == "size":
            return parse_size(value if isinstance(value, str) else "x".join(str(side) for side in value))
        if key == "window":
            return parse_window(value if isinstance(value, str) else ":".join(str(end) for end in value))
        if key in ("densify", "fast"):
            if not isinstance(value, bool):
                raise ValueError("expected true or false")
            return value
        if isinstance(value, bool):
            raise ValueError("expected a number")
        if key in ("seed", "num_frames", "num_inference_steps"):
            if int(value) != float(value):
                raise ValueError("expected a whole number")
            return int(value)
        if not math.isfinite(float(value)):
            raise ValueError("expected a finite number")
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{where}: {key} is {value!r} ({error})") from None


def _resolve(base: Path, text: str) -> Path:
    path = Path(text).expanduser()
    beside = base / path
    return beside if beside.exists() or not path.exists() else path


def _unique(wanted: str, taken: set[str]) -> str:
    stem = re.sub(r"[^\w.-]+", "_", wanted).strip("._") or "item"
    name, count = stem[:120], 1
    while name.lower() in taken:
        count += 1
        name = f"{stem[:120]}-{count}"
    taken.add(name.lower())
    return name
