"""A Python client of the studio's HTTP API, for scripts beside the page: same projects, same queue, same results.

Only the standard library and pydantic; the server may be another machine's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, TypeAdapter

from motionloom.studio.connection import Connection, StudioError
from motionloom.studio.schemas import (
    Event,
    Example,
    GenerationSettings,
    ImportedMotion,
    Job,
    JobList,
    Lora,
    ModelFacts,
    Project,
    ProjectSummary,
    ProjectVersion,
    Received,
    Result,
    ResultList,
    ServerFacts,
    TrackFormat,
    Trash,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from motionloom.tracks.motion import Motion

T = TypeVar("T")

FINISHED = ("done", "failed", "cancelled")


class StudioClient:
    """A studio server, as an object.

    Args:
        url: where it is; token: what it asks for, by default ``MOTIONLOOM_STUDIO_TOKEN``.
        timeout: seconds to wait for an answer; patience: seconds to go on trying while the server is away, in
            `events`, `watch` and `wait`.

    Every method raises `StudioError` where the server refuses, with its ``code`` (see `schemas.Problem`) and
    ``details``, and where it cannot be reached (``code`` "unreachable").
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:7860",
        *,
        token: str | None = None,
        timeout: float = 60.0,
        patience: float = 60.0,
    ) -> None:
        token = token if token is not None else os.environ.get("MOTIONLOOM_STUDIO_TOKEN") or None
        self._connection = Connection(url, token, timeout, patience)

    # ------------------------------------------------------------------------------------------------ what there is
    def server(self) -> ServerFacts:
        """Version, workers, limits."""
        return self._get("/server", ServerFacts)

    def models(self) -> list[ModelFacts]:
        """Models that jobs can name."""
        return self._get("/models", list[ModelFacts])

    def loras(self) -> list[Lora]:
        """LoRAs that jobs can name."""
        return self._get("/loras", list[Lora])

    def formats(self) -> list[TrackFormat]:
        """Formats of `import_motion` and `export_motion`."""
        return self._get("/formats", list[TrackFormat])

    def examples(self) -> list[Example]:
        """Photographs with motions to start from."""
        return self._get("/examples", list[Example])

    # ----------------------------------------------------------------------------------------------------- projects
    def projects(self) -> list[ProjectSummary]:
        """All projects, the one written last first."""
        return self._get("/projects", list[ProjectSummary])

    def project(self, id: str) -> Project:
        """A project with its motion and settings."""
        return self._get(f"/projects/{_part(id)}", Project)

    def create_project(
        self,
        image: str | os.PathLike[str] | bytes,
        motion: Motion | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
    ) -> Project:
        """A new project from a photograph (a file, or its bytes) and what is drawn on it."""
        content, filename = (image, "image") if isinstance(image, bytes) else _file(image)
        files = [("image", filename, content)]
        if motion is not None:
            files.append(("motion", "motion.motion.json", _json(_document(motion))))
        fields = {} if name is None else {"name": name}
        return self._parsed(self._connection.form("/projects", files, fields), Project)

    def start_example(self, name: str) -> Project:
        """A new project from one of `examples`."""
        return self._post(f"/examples/{_part(name)}", None, Project)

    def write_project(
        self,
        project: Project,
        *,
        motion: Motion | Mapping[str, Any] | None = None,
        settings: GenerationSettings | None = None,
        name: str | None = None,
        overwrite: bool = False,
    ) -> Project:
        """Saves a new version of a project, and returns it; what is not given stays.

        Raises:
            StudioError: ``conflict`` when somebody else has written it since it was read: read it again, or
                ``overwrite`` (what is replaced stays among its `versions`).
        """
        body = {
            "base_version": project.version,
            "name": name,
            "motion": project.motion if motion is None else _document(motion),
            "settings": (settings or project.settings).model_dump(mode="json"),
            "overwrite": overwrite,
        }
        self._parsed(self._connection.json("PUT", f"/projects/{_part(project.id)}", body), ProjectSummary)
        return self.project(project.id)

    def versions(self, project: str) -> list[ProjectVersion]:
        """What a project was before."""
        return self._get(f"/projects/{_part(project)}/versions", list[ProjectVersion])

    def restore_version(self, project: str, number: int) -> Project:
        """Makes what a project was its newest version; nothing is lost by it."""
        return self._post(f"/projects/{_part(project)}/versions/{number}/restore", None, Project)

    def delete_project(self, id: str) -> None:
        """Moves a project to the trash; `restore_project` takes it back."""
        self._connection.json("DELETE", f"/projects/{_part(id)}")

    def restore_project(self, id: str) -> Project:
        """Takes a project back from the trash."""
        return self._post(f"/projects/{_part(id)}/restore", None, Project)

    def duplicate_project(self, id: str) -> Project:
        """A copy of a project as it is now."""
        return self._post(f"/projects/{_part(id)}/duplicate", None, Project)

    # ------------------------------------------------------------------------------------------------------ motions
    def import_motion(
        self, *files: str | os.PathLike[str], width: int, height: int, **said: str | float
    ) -> ImportedMotion:
        """The motion in files of any format that belong together, on a canvas in pixels.

        Args:
            said: what the files do not say: ``num_frames``, ``fps`` of the motion, ``format``, ``units``,
                ``file_width`` and ``file_height``, ``file_fps``.

        Raises:
            StudioError: ``ambiguous``; ``details["needs"]`` names what has to be said.
        """
        parts = [("files", name, content) for content, name in map(_file, files)]
        fields = {"width": width, "height": height, **said}
        return self._parsed(self._connection.form("/imports", parts, fields), ImportedMotion)

    def export_motion(
        self, project: str, path: str | os.PathLike[str], format: str = "motion", *, options: Any = None, **wanted: Any
    ) -> Path:
        """Writes a project's motion to a file of another tool (a zip archive where the format has several).

        Args:
            options: of the format; wanted: ``width`` and ``height``, ``num_frames``, ``fps``.
        """
        query = [("format", format), *((name, str(value)) for name, value in wanted.items())]
        query += [("option", f"{name}={value}") for name, value in (options or {}).items()]
        return self._connection.download(f"/projects/{_part(project)}/export?{urlencode(query)}", Path(path))

    def preview(self, project: str, motion: Motion | Mapping[str, Any], *, key: str = "python", **wanted: int) -> bytes:
        """The instant preview of a motion as MP4; a newer one with the same key takes its place.

        Args:
            wanted: ``max_side`` in pixels, ``max_frames``; ``number``, which counts up with the requests of a key where
                several are under way at once.
        """
        body = {"project": project, "motion": _document(motion), "key": key, **wanted}
        return self._connection.json("POST", "/previews", body)

    def received(
        self, project: str, motion: Motion | Mapping[str, Any], settings: GenerationSettings | None = None
    ) -> Received:
        """What a model would receive of a motion, and what it will not do well with."""
        chosen = (settings or GenerationSettings()).model_dump(mode="json")
        return self._post("/received", {"project": project, "motion": _document(motion), "settings": chosen}, Received)

    # --------------------------------------------------------------------------------------------------------- jobs
    def submit(
        self,
        project: str,
        *,
        motion: Motion | Mapping[str, Any] | None = None,
        settings: GenerationSettings | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[Job]:
        """Queues videos of a project as it is now: one for each seed."""
        body = {
            "project": project,
            "motion": None if motion is None else _document(motion),
            "settings": None if settings is None else settings.model_dump(mode="json"),
            "seeds": None if seeds is None else list(seeds),
        }
        return self._post("/jobs", body, JobList).jobs

    def jobs(self, project: str | None = None) -> list[Job]:
        """All jobs, those that wait in the order in which they will run."""
        return self._get("/jobs" + _query(project=project), JobList).jobs

    def job(self, id: str) -> Job:
        """A job as it is now."""
        return self._get(f"/jobs/{_part(id)}", Job)

    def cancel(self, id: str) -> Job:
        """Stops a job within a step, or takes it out of the queue."""
        return self._post(f"/jobs/{_part(id)}/cancel", None, Job)

    def retry(self, id: str) -> Job:
        """Queues a failed or cancelled job again."""
        return self._post(f"/jobs/{_part(id)}/retry", None, Job)

    def move(self, id: str, before: str | None) -> Job:
        """Puts a waiting job before another; None: to the end."""
        return self._post(f"/jobs/{_part(id)}/move", {"before": before}, Job)

    def events(self, after: int | None = None) -> Iterator[Event]:
        """What happens on the server, without end; a lost connection is made again and nothing is missed.

        Args:
            after: the number of the last event that was heard; None: only new ones.
        """
        for event in self._connection.events(after):
            yield Event.model_validate(event)

    def watch(self, *jobs: Job | str) -> Iterator[Job]:
        """Jobs as they go on, each time one of them changes, until all are finished."""
        waiting = {job if isinstance(job, str) else job.id for job in jobs}
        seen: dict[str, Job] = {}
        if not waiting:
            return
        for event in self.events():
            changed: list[Job] = []
            if event.kind == "workers":
                # The first event of every connection: what happened before it is asked for.
                changed = [self.job(id) for id in sorted(waiting)]
            elif event.kind == "job" and event.job is not None and event.job.id in waiting:
                changed = [event.job]
            elif event.kind == "job_removed" and event.removed in waiting:
                raise StudioError("not_found", f"job {event.removed}: was removed while it was waited for")
            for job in changed:
                if seen.get(job.id) != job:
                    seen[job.id] = job
                    yield job
                if job.state in FINISHED:
                    waiting.discard(job.id)
            if not waiting:
                return

    def wait(self, *jobs: Job | str, on_progress: Callable[[Job], Any] | None = None) -> list[Result]:
        """The results of jobs, in order, when all are finished.

        Args:
            on_progress: called with a job whenever it changes; what it raises ends the waiting, not the jobs.

        Raises:
            StudioError: ``failed`` with the job's own reason, when one failed or was cancelled.
        """
        last: dict[str, Job] = {}
        for job in self.watch(*jobs):
            last[job.id] = job
            if on_progress is not None:
                on_progress(job)
        results: list[Result] = []
        for wanted in jobs:
            job = last[wanted if isinstance(wanted, str) else wanted.id]
            if job.state != "done" or job.result is None:
                raise StudioError("failed", f"job {job.id}: {job.error or f'was {job.state}'}", job=job.id)
            results.append(self.result(job.result))
        return results

    # ------------------------------------------------------------------------------------------------------ results
    def results(self, project: str | None = None) -> list[Result]:
        """Finished videos, the newest first."""
        return self._get("/results" + _query(project=project), ResultList).results

    def result(self, id: str) -> Result:
        """A finished video's facts and measures."""
        return self._get(f"/results/{_part(id)}", Result)

    def download(
        self, result: str, path: str | os.PathLike[str], *, kind: str = "video", format: str | None = None
    ) -> Path:
        """Writes a video to a file, whole or not at all, with its provenance inside.

        Args:
            kind: "video", "overlay" or "side_by_side"; format: "mp4", "webm", "gif" or "webp", by default the file's
                ending.
        """
        path = Path(path)
        query = _query(kind=kind, format=format or path.suffix.lstrip(".").lower() or "mp4")
        return self._connection.download(f"/results/{_part(result)}/download{query}", path)

    def delete_result(self, id: str) -> None:
        """Moves a result to the trash; `restore_result` takes it back."""
        self._connection.json("DELETE", f"/results/{_part(id)}")

    def restore_result(self, id: str) -> Result:
        """Takes a result back from the trash."""
        return self._post(f"/results/{_part(id)}/restore", None, Result)

    def edit_again(self, result: str) -> Project:
        """A new project with the picture, motion and settings a video was made from."""
        return self._post(f"/results/{_part(result)}/edit", None, Project)

    # -------------------------------------------------------------------------------------------------------- trash
    def trash(self) -> Trash:
        """Deleted projects and results, the one deleted last first."""
        return self._get("/trash", Trash)

    def empty_trash(self) -> None:
        """Removes all that is in the trash from the server's disk, for good; returns when its space is free."""
        self._connection.json("DELETE", "/trash")

    # -------------------------------------------------------------------------------------------------------- inside
    def _get(self, path: str, kind: type[T]) -> T:
        return self._parsed(self._connection.json("GET", path), kind)

    def _post(self, path: str, body: Any, kind: type[T]) -> T:
        return self._parsed(self._connection.json("POST", path, body), kind)

    def _parsed(self, content: bytes, kind: type[T]) -> T:
        try:
            return TypeAdapter(kind).validate_json(content)
        except ValueError as error:
            raise StudioError(
                "failed", f"{self._connection.url}: the answer is not that of a motionloom studio ({str(error)[:200]})"
            ) from None


def _part(id: str) -> str:
    return quote(id, safe="")


def _query(**values: str | None) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _file(path: str | os.PathLike[str]) -> tuple[bytes, str]:
    place = Path(path)
    try:
        return place.read_bytes(), place.name
    except OSError as error:
        raise StudioError("bad_request", f"{place}: cannot be read ({error.strerror or error})") from None


def _document(motion: Any) -> Any:
    """A motion as JSON values, its masks and depth maps inside."""
    if isinstance(motion, BaseModel):
        from motionloom.tracks.motion import Motion

        assert isinstance(motion, Motion)
        return motion.embedded().model_dump(mode="json", exclude_none=True)
    return dict(motion)


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()
