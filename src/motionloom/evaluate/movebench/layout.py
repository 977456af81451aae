"""The folder layout of MoveBench: which files there are, and the lists that name the cases.

    MoveBench/{en,zh}/single_track.txt, multi_track.txt     one "<id>.mp4,<caption>" per line, split at the first comma
    MoveBench/{en,zh}/first_frame/<id>.jpg
    MoveBench/{en,zh}/video/<id>.mp4
    MoveBench/{en,zh}/track/{single,multi}/<id>_tracks.npy, <id>_visibility.npy         [1, T, N, 2], [1, T, N]

Source: the dataset card of Ruihang/MoveBench and `generate.py` of ali-vilab/Wan-Move. Beside it stand, where they
exist: mask/<id>.png (the object on the first frame), last_frame/<id>.jpg, and cases.jsonl in the root; the published
programs do not look at them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats.source import Source

LANGUAGES, MODES = ("en", "zh"), ("single", "multi")
FPS, NUM_FRAMES = 16.0, 81  # of the published clips
LONGEST_ID = 150
_PICTURES = (".jpg", ".png", ".jpeg")
# The published masks were added later; the folder's name has changed.
_MASK_FOLDERS = ("mask", "masks", "first_frame_mask")


@dataclass(frozen=True)
class Part:
    """The part of a benchmark in one language: a folder, and where in it things are."""

    folder: Path
    language: str

    def list_file(self, mode: str) -> Path:
        return self.folder / f"{mode}_track.txt"

    def first_frame(self, id: str) -> Path:
        return _picture(self.folder / "first_frame", id)

    def last_frame(self, id: str) -> Path:
        return _picture(self.folder / "last_frame", id)

    def video(self, id: str) -> Path:
        return self.folder / "video" / f"{id}.mp4"

    def tracks(self, id: str, mode: str) -> Path:
        return self.folder / "track" / mode / f"{id}_tracks.npy"

    def visibility(self, id: str, mode: str) -> Path:
        return self.folder / "track" / mode / f"{id}_visibility.npy"

    def mask(self, id: str) -> Path:
        places = [self.folder / name / f"{id}.png" for name in _MASK_FOLDERS]
        return next((place for place in places if place.is_file()), places[0])

    @property
    def modes(self) -> tuple[str, ...]:
        return tuple(mode for mode in MODES if self.list_file(mode).is_file())


@dataclass(frozen=True)
class Layout:
    """A benchmark's root and its languages. ``chosen`` is the language whose folder was given instead of the root."""

    root: Path
    parts: Mapping[str, Part]
    chosen: str | None = None

    @property
    def manifest(self) -> Path:
        return self.root / "cases.jsonl"

    def there(self) -> str:
        """What there is, for messages: "en single, en multi"."""
        return ", ".join(f"{name} {mode}" for name, part in self.parts.items() for mode in part.modes) or "nothing"

    def part(self, language: str | None) -> Part:
        """The part of a language; by default that of the folder given, English, or the only one there is.

        Raises:
            InputError: no such language, here or at all.
        """
        if language is None:
            language = self.chosen or ("en" if "en" in self.parts else next(iter(self.parts)))
        if language not in self.parts:
            above = f"; {self.root} may hold it" if self.chosen else ""
            raise InputError(f"language: found {language!r}, but there is {self.there()}{above}")
        return self.parts[language]


def find_layout(root: Path) -> Layout:
    """The layout in a folder: a whole benchmark, or the part of it in one language.

    Raises:
        FileFormatError: no such folder, or no benchmark.
    """
    if root.is_file():
        what = "an archive; unpack it and give the folder" if ".tar" in root.name or root.suffix == ".zip" else "a file"
        raise FileFormatError(f"{root}: is {what}, expected the folder of a benchmark")
    if not root.is_dir():
        raise FileFormatError(f"{root}: no such folder, expected a benchmark; motionloom bench make makes one")
    whole = {name: Part(root / name, name) for name in LANGUAGES if Part(root / name, name).modes}
    if whole:
        return Layout(root, whole)
    if Part(root, "en").modes:
        name = root.resolve().name
        if name in LANGUAGES:
            return Layout(root.resolve().parent, {name: Part(root, name)}, chosen=name)
        return Layout(root, {"en": Part(root, "en")})
    raise FileFormatError(
        f"{root}: holds no benchmark, expected en/single_track.txt or another of {{en,zh}}/{{single,multi}}_track.txt"
    )


def read_list(path: Path) -> dict[str, str]:
    """Captions by id, in the order of a list file. Empty lines and lines that begin with # are skipped.

    Raises:
        FileFormatError: not text, a line without a comma, an id that is no plain file name, or one that comes twice.
    """
    captions: dict[str, str] = {}
    lines: dict[str, int] = {}
    if path.stat().st_size == 0:
        return {}
    for number, line in enumerate(_lines(Source(path).text), 1):
        entry = _entry(line)
        if entry is None:
            continue
        name, comma, caption = entry
        if not comma:
            raise FileFormatError(f"{path}: line {number} holds no comma, expected '<id>.mp4,<caption>'")
        trouble = why_no_id(name)
        if trouble:
            raise FileFormatError(f"{path}: line {number} names {name[:80]!r}, which {trouble}")
        if name in captions:
            raise FileFormatError(f"{path}: {name!r} stands in line {lines[name]} and again in line {number}")
        captions[name], lines[name] = caption, number
    return captions


def with_entry(text: str, id: str, caption: str) -> str:
    """The text of a list file with a case put in the place of one of the same id, or at the end; the rest stays."""
    caption = " ".join(caption.split())
    lines = _lines(text.removeprefix("\ufeff").rstrip("\r\n")) if text.strip() else []
    for number, line in enumerate(lines):
        entry = _entry(line)
        if entry is not None and entry[0] == id:
            lines[number] = f"{id}.mp4,{caption}"
            break
    else:
        lines.append(f"{id}.mp4,{caption}")
    return "\n".join(lines) + "\n"


def check_id(id: str) -> str:
    """The id itself.

    Raises:
        InputError: it could not be the name of a file beside others, or of a case in a list.
    """
    trouble = why_no_id(id)
    if trouble is None and ("," in id or id.startswith("#") or id != id.strip() or id.lower().endswith(".mp4")):
        trouble = "holds a comma, begins with #, ends in .mp4 or has blanks around it"
    if trouble:
        raise InputError(f"id: found {id[:80]!r}, which {trouble}; choose letters, digits, '_' and '-'")
    return id


def why_no_id(id: str) -> str | None:
    """Why an id must not become part of a path; None where it may."""
    if not id or id.startswith("."):
        return "is empty or begins with a dot"
    if re.search(r"[/\\:\x00-\x1f]", id):
        return "is not a plain file name"
    if len(id.encode(errors="replace")) > LONGEST_ID:
        return f"is longer than {LONGEST_ID} bytes"
    return None


def content_of(id: str) -> str | None:
    """The subject that a published name holds: "3C product" of "Pexels_3C_product_0"; None for other names."""
    found = re.fullmatch(r"[A-Za-z]+_(.*\D)_\d+", id)
    return found[1].replace("_", " ").strip() or None if found else None


def _lines(text: str) -> list[str]:
    # Not str.splitlines, which also ends a line at characters that captions may hold.
    return re.split(r"\r\n|\r|\n", text)


def _entry(line: str) -> tuple[str, str, str] | None:
    """(id, comma, caption) of a line; None where it says nothing."""
    line = line.strip().lstrip("\ufeff")
    if not line or line.startswith("#"):
        return None
    name, comma, caption = line.partition(",")
    name = name.strip()
    return name[:-4] if name.lower().endswith(".mp4") else name, comma, caption.strip()


def _picture(folder: Path, id: str) -> Path:
    places = [folder / f"{id}{suffix}" for suffix in _PICTURES]
    return next((place for place in places if place.is_file()), places[0])
