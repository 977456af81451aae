"""Who is compared: a model with a method and parameters, or videos that somebody made already."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from motionloom.errors import FileFormatError, InputError
from motionloom.models.parameters import Parameters

UNGUIDED = "unguided"
"""In the place of a method: the base model's own motion, no track is shown to it."""

_TAKEN = ("benchmark.json", "reference-features", "report.html", "report.json", "report.csv", "report.summary.csv")
"""What stands beside the candidates' folders."""

_LABEL = re.compile(r"[^\W_][\w .+-]*")
_METHOD = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Candidate:
    """One column of the comparison.

    Attributes:
        label: its name in tables; model: a name, folder, file or hub id, as `motionloom.load` takes it; empty where
            ``videos`` are only measured.
        parameters: of every run; ``parameters.method`` is how tracks guide it. Prompt and seed are the case's.
        guided: False shows it no track.
        videos: a folder of <id>.mp4 made elsewhere.

    Raises:
        InputError: a label that cannot name a folder, or neither model nor videos.
    """

    label: str
    model: str = ""
    parameters: Parameters = field(default_factory=Parameters)
    guided: bool = True
    videos: Path | None = None

    def __post_init__(self) -> None:
        if not self.label.strip() or not self.folder_name:
            raise InputError(f"label: found {self.label!r}, expected letters or digits")
        if self.folder_name.lower() in _TAKEN:
            raise InputError(f"label: found {self.label!r}, as a file of the results is called; choose another one")
        if bool(self.model) == (self.videos is not None):
            raise InputError(f"{self.label}: expected a model, or a folder of videos as LABEL=@FOLDER")

    @classmethod
    def parse(cls, text: str, parameters: Parameters | None = None) -> Candidate:
        """``[LABEL=]MODEL[:METHOD]`` or ``[LABEL=]@FOLDER``.

        METHOD may be "unguided", or METHOD:unguided for the base run of a model loaded for another method than its
        first. Colons of drives and of paths that exist stay in MODEL.

        Args:
            parameters: of every run; the method is put in.

        Raises:
            InputError: an empty text.
        """
        given = parameters or Parameters()
        label, model = _split_label(text.strip())
        if model.startswith("@"):
            folder = Path(model[1:]).expanduser()
            return cls(label or folder.resolve().name, videos=folder)
        name, method, guided = _split_method(model)
        if not name:
            raise InputError(f"model: found {text!r}, expected MODEL, MODEL:METHOD, LABEL=MODEL or LABEL=@FOLDER")
        shown = Path(name).name if _is_path(name) else name
        words = [shown, *([method] if method else []), *([] if guided else [UNGUIDED])]
        chosen = given if method is None else replace(given, method=method)
        return cls(label or ":".join(words), name, chosen, guided)

    @property
    def folder_name(self) -> str:
        """Its folder among the results."""
        return re.sub(r"[^\w.+-]+", "-", self.label).strip("-.")

    def video(self, case: str, seed: int) -> Path | None:
        """Where the video of a case lies that somebody made; None for a model."""
        if self.videos is None:
            return None
        of_seed = self.videos / f"seed-{seed}"
        return (of_seed if of_seed.is_dir() else self.videos) / f"{case}.mp4"

    def seeds(self, wanted: Sequence[int]) -> list[int]:
        """The seeds there are: a folder of videos has one, unless it holds seed-S folders.

        Raises:
            InputError: no such folder.
        """
        if self.videos is None:
            return list(wanted)
        if not self.videos.is_dir():
            raise InputError(f"{self.label}: found no folder at {self.videos}, expected one with <id>.mp4 files")
        there = [seed for seed in wanted if (self.videos / f"seed-{seed}").is_dir()]
        return there or list(wanted[:1])

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "label": self.label,
            "model": self.model,
            "parameters": self.parameters.record(),
            "guided": self.guided,
            "videos": None if self.videos is None else os.fspath(self.videos),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Candidate:
        """The inverse of `record`.

        Raises:
            FileFormatError: damaged.
        """
        try:
            return cls(
                str(record["label"]),
                str(record["model"]),
                Parameters.from_record(record["parameters"]),
                bool(record["guided"]),
                Path(record["videos"]) if record.get("videos") else None,
            )
        except (KeyError, TypeError, AttributeError, InputError) as error:
            raise FileFormatError(f"candidate: damaged ({error})") from None

    def settings(self) -> dict[str, Any]:
        """What decides its videos beside the case, the seed and the weights: parameters that are not as usual."""
        usual, found = Parameters().record(), self.parameters.record()
        chosen = {name: value for name, value in found.items() if value != usual[name]}
        if self.videos is not None:
            return {"videos": os.fspath(self.videos)}
        return {"model": self.model, "guided": self.guided, **chosen}


def refuse_twins(candidates: Sequence[Candidate]) -> None:
    """Refuse candidates that would share a folder.

    Raises:
        InputError: names them.
    """
    if not candidates:
        raise InputError("candidates: found none, expected at least one model")
    seen: dict[str, Candidate] = {}
    for candidate in candidates:
        key = candidate.folder_name.lower()  # file systems that do not tell cases apart
        if key in seen:
            raise InputError(
                f"candidates: {seen[key].label!r} and {candidate.label!r} would share a folder; give one a name of its "
                "own with LABEL=MODEL"
            )
        seen[key] = candidate


def weights_signature(candidate: Candidate) -> str | None:
    """What the weights are, as far as it can be told in a moment, without loading them; None where it cannot.

    As long as it has not changed, neither have the weights. Names, sizes and times of files, digests of small ones.
    """
    import hashlib

    from motionloom.errors import MotionloomError
    from motionloom.models.catalog import find_model
    from motionloom.models.loading import load
    from motionloom.models.store import present

    given = candidate.parameters
    files = [
        path
        for name in (candidate.model, given.transformer, given.transformer_2, *given.base)
        if name and (path := Path(name))
    ]
    if given.loras or given.few_step_loras:
        from motionloom.models.lora import LoraSpec

        files += [Path(LoraSpec.parse(spec).path) for spec in (*given.loras, *given.few_step_loras)]
    try:
        card = find_model(candidate.model)
    except MotionloomError:
        card = None
    if card is not None:
        if card.name == "warp":
            return load("warp").digest
        files = files[1:] + ([card.folder] if card.folder else [])
        files += [path for file in card.files for path in present(file)]
    if any(not path.exists() for path in files) or not files:
        return None  # a hub id, or a base by its name
    lines = []
    for path in files:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                found = file.stat()
                lines.append(f"{file} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _split_label(text: str) -> tuple[str | None, str]:
    label, equals, rest = text.partition("=")
    if equals and rest and _LABEL.fullmatch(label) and not Path(text).exists():
        return label.strip(), rest.strip()
    return None, text


def _split_method(text: str) -> tuple[str, str | None, bool]:
    """(model, method, guided) of MODEL[:METHOD][:unguided]."""
    guided, method = True, None
    for _ in range(2):
        name, colon, last = text.rpartition(":")
        # One letter before the colon is a drive; a file may have a colon in its name.
        if not colon or len(name) < 2 or not _METHOD.fullmatch(last) or Path(text).exists():
            break
        if last == UNGUIDED and guided and method is None:
            text, guided = name, False
        elif method is None:
            text, method = name, last
        else:
            break
    return text, method, guided


def _is_path(text: str) -> bool:
    return Path(text).exists() or "\\" in text or text.startswith((".", "/", "~")) or bool(re.match(r"[A-Za-z]:", text))
