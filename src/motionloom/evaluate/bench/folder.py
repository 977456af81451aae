"""The folder of a benchmark run: where everything lies, and who may write to it.

OUT/benchmark.json                          what is measured, and how
OUT/report.html, .json, .csv                the comparison
OUT/reference-features/METRIC/...           what metrics of sets keep of the true videos, once for all candidates
OUT/LABEL/candidate.json                    model, method, parameters, digest of the weights
OUT/LABEL/run.json                          all rows and totals, as `Run.load` reads them
OUT/LABEL/videos/seed-S/ID.mp4              named as the published program names them: seed-S is its save path
OUT/LABEL/rows/ID.seed-S.json               one row
OUT/LABEL/tracks/, features/                see `motionloom.evaluate.measuring`

S is the seed as it was asked for; under the published rule the one used grows with the number of the case. Every file
is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.bench.candidate import Candidate
from motionloom.evaluate.run import Row, read_json, row_key, write_json

FORMAT, VERSION = "motionloom.benchmark-run", 1
FIXED = ("benchmark", "language", "mode", "seed_rule", "tracker")
"""Of the settings, those that all rows of a folder share; seeds and metrics may be added."""


@dataclass(frozen=True)
class CandidateFolder:
    """The part of one candidate."""

    root: Path

    @property
    def record(self) -> Path:
        return self.root / "candidate.json"

    @property
    def run(self) -> Path:
        return self.root / "run.json"

    def video(self, case: str, seed: int) -> Path:
        return self.root / "videos" / f"seed-{seed}" / f"{case}.mp4"

    def row(self, case: str, seed: int) -> Path:
        return self.root / "rows" / f"{row_key(case, seed)}.json"

    def read_row(self, case: str, seed: int) -> Row | None:
        """The row of a case and seed; None where there is none. A damaged one is put aside: it counts as not done."""
        path = self.row(case, seed)
        if not path.exists():
            return None
        try:
            return Row.from_record(read_json(path))
        except FileFormatError:
            with suppress(FileNotFoundError):  # another process may have been quicker
                os.replace(path, path.with_suffix(".json.damaged"))
            return None

    def write_row(self, row: Row, seed: int) -> None:
        write_json(self.row(row.case, seed), row.record())

    def read_record(self) -> dict[str, Any]:
        """candidate.json; empty where there is none, or it is damaged: then it is not known what the rows are of."""
        try:
            return read_json(self.record)
        except FileFormatError:
            return {}

    def settle(self, candidate: Candidate, *, overwrite: bool) -> None:
        """Refuse to mix the rows of different settings under one label.

        Raises:
            InputError: names what differs.
        """
        record = self.read_record()
        if "settings" not in record or overwrite:
            return
        before, now = record["settings"], json.loads(json.dumps(candidate.settings()))
        _refuse_difference(f"{self.root}: was made", before, now, "LABEL=MODEL gives it a folder of its own")

    def keep_settings(self, candidate: Candidate) -> None:
        """Note the settings in candidate.json where no model is loaded that would."""
        record = self.read_record()
        if record.get("settings") != json.loads(json.dumps(candidate.settings())):
            write_json(self.record, {**record, **candidate.record(), "settings": candidate.settings()})


def settle(folder: Path, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Keep what is measured in OUT/benchmark.json; seeds and metrics join those of earlier calls.

    Raises:
        InputError: what is there was measured otherwise; names what differs.
        FileFormatError: benchmark.json is something else.
    """
    path = folder / "benchmark.json"
    merged = {"format": FORMAT, "version": VERSION, **settings}
    if path.exists():
        before = read_json(path)
        if before.get("format") != FORMAT or before.get("version") != VERSION:
            raise FileFormatError(
                f"{path}: is not that of a benchmark run of version {VERSION}; choose another folder with -o"
            )
        if not overwrite:
            fixed = [{name: each.get(name) for name in FIXED} for each in (before, settings)]
            _refuse_difference(f"{folder}: was measured", fixed[0], fixed[1], "choose another folder with -o")
        for name in ("seeds", "metrics"):
            merged[name] = list(dict.fromkeys([*before.get(name, []), *settings[name]]))
        if merged == before:
            return
    elif folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise InputError(f"{folder}: holds other things and no benchmark.json; choose an empty or a new folder with -o")
    write_json(path, merged)


@contextmanager
def locked(folder: Path, shard: str | None) -> Iterator[bool]:
    """Keep a second process from working on the same part of a folder.

    The parts of shards go side by side, on one machine or on several; the whole excludes them and every other whole.
    Yields whether this process has the folder for itself. A lock ends with its process, however that ends. On a file
    system without locks nothing is refused: every file is written whole, so that two processes do the same work twice
    and harm nothing.

    Raises:
        InputError: another process is at it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = shard.replace("/", "-of-") if shard else None
    wanted = [
        (".lock", fcntl.LOCK_SH if part else fcntl.LOCK_EX),
        *([(f".lock-{part}", fcntl.LOCK_EX)] if part else []),
    ]
    held: list[int] = []
    alone = part is None
    try:
        for name, kind in wanted:
            handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o666)
            held.append(handle)
            try:
                fcntl.flock(handle, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                who = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
                what = f"shard {shard} of {folder}" if name != ".lock" else str(folder)
                raise InputError(
                    f"{what}: {who} is working there; wait for it, or divide the work with --shard 1/2 and 2/2"
                ) from None
            except OSError:
                alone = False
                continue
            with suppress(OSError):  # held all the same; what is written there matters to others alone
                os.truncate(handle, 0)  # who held it before says nothing, nor do several who share it
                if kind == fcntl.LOCK_EX:
                    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield alone
    finally:
        for handle in held:
            os.close(handle)


def sweep(folders: Sequence[Path]) -> None:
    """Remove what killed workers left half-written; only where no other process writes."""
    for folder in folders:
        for path in folder.rglob(".*.part*"):
            with suppress(OSError):
                path.unlink()


def _refuse_difference(what: str, before: Mapping[str, Any], now: Mapping[str, Any], remedy: str) -> None:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        found = ", ".join(f"{name} {_shown(before.get(name))}, now {_shown(now.get(name))}" for name in names)
        raise InputError(f"{what} with {found}; {remedy}, or make again what differs with --overwrite")


def _shown(value: Any) -> str:
    return "as usual" if value is None else json.dumps(value, ensure_ascii=False)
