"""Videos to be made: ask for them, follow them, change their order, end them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from motionloom.studio.api.shared import AnId, TheStudio, errors, picture
from motionloom.studio.documents import normalised
from motionloom.studio.jobs.running import parameters_of
from motionloom.studio.jobs.store import NewJob, new_id
from motionloom.studio.models_facts import find
from motionloom.studio.parts import Studio
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import ID_PATTERN, GenerationSettings, Job, JobList, JobMove, JobRequest, JobState

router = APIRouter(tags=["jobs"])

MAX_WAITING = 1_000
"""Jobs that may wait at the same time."""

MAX_LISTED = 2_000
"""Jobs in one answer: all that run or wait, and the latest of those that are over."""

AProject = Annotated[str | None, Query(pattern=ID_PATTERN, description="only those of this project")]


@router.post("/jobs", status_code=201, operation_id="createJobs", responses=errors(400, 404, 503, 507))
def create_jobs(studio: TheStudio, wanted: JobRequest) -> JobList:
    """Puts videos of a project into the queue, one for every seed."""
    project = studio.projects.get(wanted.project)
    settings = wanted.settings or project.settings
    motion = project.motion if wanted.motion is None else normalised(wanted.motion, studio.settings.limits)
    seeds = wanted.seeds or [settings.seed + index for index in range(settings.count)]
    _check(studio, settings, seeds, motion.get("prompt"))
    waiting = studio.jobs.count("queued")
    if waiting + len(seeds) > MAX_WAITING:
        raise Refused("busy", f"jobs: {waiting} wait already, expected at most {MAX_WAITING} with these {len(seeds)}")
    jobs = [
        NewJob(
            id=new_id(),
            project=project.id,
            project_name=project.name,
            seed=seed,
            settings=settings,
            size=(project.height, project.width),
        )
        for seed in seeds
    ]
    snapshots = studio.jobs.snapshots
    snapshots.write([job.id for job in jobs], studio.projects.image_path(project.id), motion)
    try:
        added = studio.jobs.add(jobs)
    except BaseException:
        for job in jobs:
            snapshots.remove(job.id)
        raise
    studio.supervisor.wake()
    return JobList(jobs=added)


@router.get("/jobs", operation_id="listJobs")
def list_jobs(
    studio: TheStudio,
    project: AProject = None,
    state: Annotated[list[JobState] | None, Query(description="only those in one of these states")] = None,
) -> JobList:
    """What runs, then what waits in its order, then what is over, the latest first; 2000 jobs at most."""
    return JobList(jobs=studio.jobs.list(project, state or (), most=MAX_LISTED))


@router.get("/jobs/{id}", operation_id="getJob", responses=errors(404))
def get_job(studio: TheStudio, id: AnId) -> Job:
    """One job."""
    return studio.jobs.get(id)


@router.post("/jobs/{id}/cancel", operation_id="cancelJob", responses=errors(404))
def cancel_job(studio: TheStudio, id: AnId) -> Job:
    """Ends a job: at once if it waits, within a step if it runs. One that is over stays as it is."""
    return studio.jobs.cancel(id)


@router.post("/jobs/{id}/retry", operation_id="retryJob", responses=errors(404, 409))
def retry_job(studio: TheStudio, id: AnId) -> Job:
    """Puts a job that failed or was cancelled at the end of the queue."""
    job = studio.jobs.retry(id)
    studio.supervisor.wake()
    return job


@router.post("/jobs/{id}/move", operation_id="moveJob", responses=errors(404, 409))
def move_job(studio: TheStudio, id: AnId, wanted: JobMove) -> Job:
    """Changes the order of what waits."""
    return studio.jobs.move(id, wanted.before)


@router.delete("/jobs/{id}", status_code=204, operation_id="deleteJob", responses=errors(404, 409))
def delete_job(studio: TheStudio, id: AnId) -> Response:
    """Takes a job that does not run off the list; its result stays."""
    studio.jobs.remove(id)
    return Response(status_code=204)


@router.get(
    "/jobs/{id}/preview",
    operation_id="getJobPreview",
    response_class=FileResponse,
    responses={200: {"content": {"image/webp": {}}, "description": "a WebP picture"}, **errors(404)},
)
def get_preview(
    studio: TheStudio,
    id: AnId,
    n: Annotated[int | None, Query(ge=0, description="number of the frame, so that browsers see a new address")] = None,
) -> FileResponse:
    """The newest frame of a video that is being made."""
    job = studio.jobs.get(id)
    path = studio.jobs.snapshots.preview_path(job.id)
    if not path.is_file():
        raise Refused("not_found", "preview: there is none yet; the first one comes after a step or two")
    return picture(path, immutable=False)


def _check(studio: Studio, settings: GenerationSettings, seeds: list[int], motions_prompt: str | None) -> None:
    """Refuse at once what the worker would refuse after minutes."""
    model = find(studio.settings, settings.model)
    if settings.method is not None and settings.method not in model.card.methods:
        raise Refused(
            "bad_request", f"method: {model.name} knows {', '.join(model.card.methods)}, found {settings.method!r}"
        )
    if not model.card.takes_image and model.card.reads_text and not (settings.prompt or motions_prompt or "").strip():
        raise Refused(
            "bad_request",
            f"prompt: missing, {model.name} makes its picture from it; say what is to be seen and how it moves",
        )
    if max(seeds) >= 2**53:
        raise Refused("bad_request", f"seed: found {max(seeds)}, expected 0 to 2^53 - 1")
    if len(set(seeds)) < len(seeds):
        raise Refused("bad_request", "seeds: found one twice; it would give the same video again")
    parameters = parameters_of(settings, seeds[0], studio.settings.data)
    if parameters.post:
        from motionloom.media.post import parse_post

        parse_post(parameters.post)
    if not model.card.installed:
        raise Refused(
            "bad_request",
            f"model: {model.name} is not on this disk; motionloom models fetch {model.name} brings it",
        )
