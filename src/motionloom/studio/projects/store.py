"""Projects on the disk, one folder each.

``projects/<id>/``: ``image.<suffix>`` as it was uploaded, ``versions/``, and what is made from these two:
``project.json`` (facts for the list), ``project.motion.json`` (for other programs), ``display.webp``,
``thumbnail.webp``. Deleted projects lie in ``trash/`` until somebody empties it.

A write is complete once its file in ``versions/`` has its name; whatever is killed before leaves the old state, and
what is killed after leaves the new one. The other files are brought up to date by the next write.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from motionloom.studio.deleting import into_trash
from motionloom.studio.documents import document_of, normalised
from motionloom.studio.problems import Refused
from motionloom.studio.projects import pictures, versions
from motionloom.studio.projects.facts import Facts, described, now, read_facts, recovered
from motionloom.studio.projects.versions import DamagedVersion, State
from motionloom.studio.projects.words import MAX_NAME, clean_name, read_settings
from motionloom.studio.projects.writing import commit, new_folder
from motionloom.studio.schemas import (
    GenerationSettings,
    Project,
    ProjectSummary,
    ProjectVersion,
    ProjectWrite,
)
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

log = logging.getLogger("motionloom.studio")

_ID = re.compile(r"[0-9a-f]{16}")


class Announce(Protocol):
    """Is told of every change: of a project that was written, or of one that is gone."""

    def __call__(self, *, project: ProjectSummary | None, removed: str | None, tab: str | None) -> None: ...


class ProjectStore:
    """The projects of a data folder; safe to use from several threads.

    Args:
        data: the folder that holds ``projects`` and ``trash``.
        announce: is called after each change, by the thread that made it.
        num_results: of each project that has any.
    """

    def __init__(self, data: Path, limits: Limits | None = None) -> None:
        self.folder = data / "projects"
        self.trash = data / "trash" / "projects"
        self.limits = limits or Limits()
        self.announce: Announce | None = None
        self.num_results: Any = None
        # Those in use only: ids that nobody made leave nothing behind.
        self._locks: WeakValueDictionary[str, threading.RLock] = WeakValueDictionary()
        self._guard = threading.Lock()
        self.folder.mkdir(parents=True, exist_ok=True)

    # ---------------------------------------------------------------------------------------------------- everything
    def list(self) -> list[ProjectSummary]:
        """All projects, the one written last first. One that cannot be read is there as ``damaged``."""
        counts = self._counts()
        found = [self._summary(facts, counts) for facts in map(self._facts, self._ids()) if facts is not None]
        return sorted(found, key=lambda each: (each.updated, each.id), reverse=True)

    def create(
        self,
        name: str | None,
        image_bytes: bytes,
        motion: Motion | None = None,
        settings: GenerationSettings | None = None,
        *,
        tab: str | None = None,
    ) -> Project:
        """A new project.

        Args:
            name: default "Untitled".
            image_bytes: a picture file, kept as it is.
            motion: what is drawn on it already; default nothing, 49 frames at 16 fps.

        Raises:
            Refused: the picture is none, too large or damaged; there are too many projects.
            InputError: the motion refers to files.
        """
        from motionloom.tracks.motion import Canvas, Motion

        if len(self._ids()) >= self.limits.max_projects:
            raise Refused(
                "bad_request",
                f"The studio keeps at most {self.limits.max_projects} projects; delete some that are done with.",
            )
        picture = pictures.read_picture(image_bytes, self.limits)
        if motion is None:
            motion = Motion(canvas=Canvas(width=picture.width, height=picture.height), num_frames=49, fps=16.0)
        state = State(
            1,
            now(),
            clean_name(name),
            document_of(motion, self.limits),
            (settings or GenerationSettings()).model_dump(mode="json"),
        )
        id = self._free_id()
        image = f"image{picture.suffix}"
        facts = Facts(id, state.written, image, picture.width, picture.height)
        with new_folder(self._folder(id)) as folder:
            (folder / image).write_bytes(image_bytes)
            pictures.write_shown(picture, folder)
            commit(folder, facts, state)
        return self._created(id, tab)

    def duplicate(self, id: str, *, tab: str | None = None) -> Project:
        """A copy with the same picture, motion and settings; older versions stay with the original."""
        with self._lock(id):
            facts, state = self._state(id)
            source = self._folder(id)
            new = self._free_id()
            copied = replace(state, version=1, written=now(), name=clean_name(f"{state.name[: MAX_NAME - 5]} copy"))
            with new_folder(self._folder(new)) as folder:
                for name in (facts.image, "display.webp", "thumbnail.webp"):
                    if (source / name).is_file():
                        shutil.copyfile(source / name, folder / name)
                commit(folder, replace(facts, id=new, created=copied.written, damaged=False), copied)
        return self._created(new, tab)

    # ------------------------------------------------------------------------------------------------------ one of them
    def get(self, id: str) -> Project:
        """The project as it is now.

        Raises:
            Refused: ``not_found``; ``failed`` when nothing of it can be read any more.
        """
        with self._lock(id):
            return self._project(*self._state(id))

    def image_path(self, id: str) -> Path:
        """The picture as it was uploaded."""
        facts = self._facts(self._checked(id))
        if facts is None:
            raise _not_found(id)
        path = self._folder(id) / facts.image
        if not facts.image or not path.is_file():
            raise Refused("failed", "The picture of this project is gone from the data folder.")
        return path

    def display_path(self, id: str) -> Path:
        """The picture as browsers get it: encoded anew, at most 4096 pixels on its long side."""
        return self._shown(id, "display.webp")

    def thumbnail_path(self, id: str) -> Path:
        """A small picture, at most 480 pixels on its long side."""
        return self._shown(id, "thumbnail.webp")

    def write(self, id: str, wanted: ProjectWrite) -> ProjectSummary:
        """Makes a new version; what is the same as the newest one changes nothing and is answered with that.

        Raises:
            Refused: ``conflict`` when it was made from another version than the newest; ``not_found``.
            InputError, FileFormatError: the motion is none, or refers to files.
        """
        document = normalised(wanted.motion, self.limits)
        settings = wanted.settings.model_dump(mode="json")
        with self._lock(id):
            facts, state = self._state(id)
            name = state.name if wanted.name is None else clean_name(wanted.name)
            new = State(versions.numbers(self._folder(id))[-1] + 1, now(), name, document, settings)
            if new.same_content(state):
                return self._summary(described(facts, state), self._counts())
            if wanted.base_version != state.version and not wanted.overwrite:
                raise Refused(
                    "conflict",
                    f"The project was changed elsewhere: this was made from version {wanted.base_version}, the newest "
                    f"is {state.version}. Load that, or write again with overwrite; the other one stays as a version.",
                    version=state.version,
                )
            return self._written(id, facts, new, wanted.tab)

    # --------------------------------------------------------------------------------------------------------- versions
    def versions(self, id: str) -> list[ProjectVersion]:
        """What the project was, newest first; see `motionloom.studio.projects.versions` for which are kept."""
        self._require(id)
        return versions.headers(self._folder(id))

    def version(self, id: str, number: int) -> Project:
        """The project as it was.

        Raises:
            Refused: ``not_found``, also when that version is damaged.
        """
        self._require(id)
        facts, _ = self._state(id)
        try:
            return self._project(facts, versions.read(self._folder(id), number))
        except DamagedVersion:
            raise Refused(
                "not_found", f"There is no version {number} of this project; GET /projects/{id}/versions lists them."
            ) from None

    def restore_version(self, id: str, number: int, *, tab: str | None = None) -> Project:
        """Makes what the project was its newest version; the one before stays as an older one."""
        old = self.version(id, number)
        with self._lock(id):
            facts, state = self._state(id)
            new = replace(
                state,
                version=versions.numbers(self._folder(id))[-1] + 1,
                written=now(),
                name=old.name,
                motion=old.motion,
                settings=old.settings.model_dump(mode="json"),
            )
            if not new.same_content(state):
                self._written(id, facts, new, tab)
            return self._project(*self._state(id))

    # ------------------------------------------------------------------------------------------------------- the trash
    def delete(self, id: str, *, tab: str | None = None) -> None:
        """Moves the project to the trash."""
        with self._lock(id):
            self._require(id)
            into_trash(self._folder(id), self.trash)
        self._announce(removed=id, tab=tab)

    def restore(self, id: str, *, tab: str | None = None) -> Project:
        """Takes a project back from the trash; one that is not there but in use is answered as it is."""
        with self._lock(id):
            if not self._folder(id).is_dir():
                try:
                    os.replace(self.trash / id, self._folder(id))
                except FileNotFoundError:
                    raise Refused("not_found", f"There is no project {id}, and none in the trash.") from None
        return self._created(id, tab)

    # ---------------------------------------------------------------------------------------------------------- reading
    def _ids(self) -> list[str]:
        with os.scandir(self.folder) as entries:
            return [entry.name for entry in entries if _ID.fullmatch(entry.name) and entry.is_dir()]

    def _checked(self, id: str) -> str:
        if not _ID.fullmatch(id):
            raise Refused("not_found", "There is no such project: an id has 16 hexadecimal digits.")
        return id

    def _folder(self, id: str) -> Path:
        return self.folder / self._checked(id)

    def _require(self, id: str) -> None:
        if not self._folder(id).is_dir():
            raise _not_found(id)

    @contextmanager
    def _lock(self, id: str) -> Iterator[None]:
        self._checked(id)
        with self._guard:
            lock = self._locks.setdefault(id, threading.RLock())
        with lock:
            yield

    def _facts(self, id: str) -> Facts | None:
        """The facts of a project, corrected where a write was cut short; None when there is none."""
        folder = self._folder(id)
        numbers = versions.numbers(folder)
        facts = read_facts(folder, id)
        if facts is not None and facts.version and numbers and facts.version == numbers[-1]:
            return facts
        if not folder.is_dir():
            return None
        facts = facts or recovered(folder, id)
        try:
            state, skipped = versions.newest(folder)
        except DamagedVersion:
            return replace(facts, damaged=True, name=facts.name or "Damaged project", updated=facts.updated)
        return replace(described(facts, state), damaged=facts.damaged or bool(skipped))

    def _state(self, id: str) -> tuple[Facts, State]:
        folder = self._folder(id)
        self._require(id)
        facts = read_facts(folder, id) or recovered(folder, id)
        try:
            state, skipped = versions.newest(folder)
        except DamagedVersion:
            raise Refused(
                "failed",
                "This project cannot be read: every version of it is damaged. Its picture is still in the data folder, "
                f"under projects/{id}.",
            ) from None
        return replace(facts, damaged=facts.damaged or bool(skipped)), state

    def _project(self, facts: Facts, state: State) -> Project:
        summary = self._summary(described(facts, state), self._counts())
        return Project(**summary.model_dump(), motion=state.motion, settings=read_settings(state.settings))

    def _summary(self, facts: Facts, counts: Mapping[str, int]) -> ProjectSummary:
        shown = asdict(facts)
        del shown["image"]
        return ProjectSummary(**shown, num_results=counts.get(facts.id, 0))

    def _counts(self) -> Mapping[str, int]:
        return {} if self.num_results is None else self.num_results()

    def _shown(self, id: str, name: str) -> Path:
        path = self._folder(id) / name
        if not path.is_file():
            # Lost, or written by a server that was killed meanwhile.
            with self._lock(id):
                original = self.image_path(id)
                pictures.write_shown(pictures.read_picture(original.read_bytes(), self.limits), path.parent)
        return path

    # ---------------------------------------------------------------------------------------------------------- writing
    def _written(self, id: str, facts: Facts, state: State, tab: str | None) -> ProjectSummary:
        commit(self._folder(id), facts, state)
        summary = self._summary(replace(described(facts, state), damaged=False), self._counts())
        self._announce(project=summary, tab=tab)
        return summary

    def _created(self, id: str, tab: str | None) -> Project:
        project = self.get(id)
        summary = ProjectSummary(**{name: getattr(project, name) for name in ProjectSummary.model_fields})
        self._announce(project=summary, tab=tab)
        return project

    def _announce(
        self, *, project: ProjectSummary | None = None, removed: str | None = None, tab: str | None = None
    ) -> None:
        if self.announce is None:
            return
        try:
            self.announce(project=project, removed=removed, tab=tab)
        except Exception:
            # What was written stays written, whether others hear of it at once or not.
            log.warning("a change of project %s could not be announced", removed or project, exc_info=True)

    def _free_id(self) -> str:
        while (id := secrets.token_hex(8)) and (self._folder(id).exists() or (self.trash / id).exists()):
            pass
        return id


def _not_found(id: str) -> Refused:
    return Refused("not_found", f"There is no project {id}; it may be in the trash: POST /projects/{id}/restore.")
