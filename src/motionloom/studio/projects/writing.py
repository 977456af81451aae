"""How a project gets onto the disk: whole or not at all, whenever the server is killed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from motionloom.studio.projects import versions
from motionloom.studio.projects.facts import Facts, described
from motionloom.studio.projects.versions import State

log = logging.getLogger("motionloom.studio")


def commit(folder: Path, facts: Facts, state: State) -> None:
    """Makes ``state`` the newest version of the project in ``folder``."""
    motion = json.dumps(state.motion, ensure_ascii=False).encode("utf-8", "replace")
    shown = json.dumps(asdict(replace(described(facts, state), damaged=False)), ensure_ascii=False)
    with contextlib.ExitStack() as files:
        # All are written before the first gets its name: a full disk changes nothing.
        parts = [
            (path, files.enter_context(_part(path, content)))
            for path, content in (
                (versions.path_of(folder, state.version), state.dumps()),
                (folder / "project.motion.json", motion),
                (folder / "project.json", shown.encode("utf-8", "replace")),
            )
        ]
        (target, temporary), *others = parts
        os.replace(temporary, target)
        try:
            for target, temporary in others:
                os.replace(temporary, target)
            versions.thin(folder)
        except OSError:
            log.warning(
                "project %s: version %d is written, but not all that follows from it",
                facts.id,
                state.version,
                exc_info=True,
            )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder for a new project, with one for its versions; it becomes ``target`` once it is complete."""
    temporary = target.with_name(f".{target.name}.part")
    (temporary / "versions").mkdir(parents=True)
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sweep(projects: Path) -> None:
    """Removes what a killed server left half-written in the folder of all projects. Only for the one server of a data
    folder, at its start.
    """
    for path in projects.glob(".*.part"):
        shutil.rmtree(path, ignore_errors=True)
    for pattern in ("*/.*.part*", "*/versions/.*.part*"):
        for path in projects.glob(pattern):
            path.unlink(missing_ok=True)


@contextmanager
def _part(path: Path, content: bytes) -> Iterator[Path]:
    """A written temporary file beside ``path``; gone at the end unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
