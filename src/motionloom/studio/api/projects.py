"""Projects: make, write, read, delete, and what they were before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, Response, UploadFile
from fastapi.responses import FileResponse

from motionloom.studio.api.shared import AnId, TheStudio, errors, picture
from motionloom.studio.problems import Refused
from motionloom.studio.projects.motions import read_upload
from motionloom.studio.schemas import Project, ProjectSummary, ProjectVersion, ProjectWrite

router = APIRouter(tags=["projects"])

Number = Annotated[int, Path(ge=1, lt=10**9)]
Tab = Annotated[str | None, Query(max_length=64, description="who does it, for the event stream")]


@router.get("/projects", operation_id="listProjects")
def list_projects(studio: TheStudio) -> list[ProjectSummary]:
    """All projects, the one written last first."""
    return studio.projects.list()


@router.post(
    "/projects",
    status_code=201,
    operation_id="createProject",
    responses=errors(400, 413, 415, 422, 507),
)
def create_project(
    studio: TheStudio,
    image: Annotated[UploadFile, File(description="PNG, JPEG, WebP, TIFF, AVIF, BMP, PPM or GIF")],
    name: Annotated[str | None, Form(max_length=1_000)] = None,
    motion: Annotated[UploadFile | None, File(description="a motion or track file to begin with")] = None,
    tab: Annotated[str | None, Form(max_length=64)] = None,
) -> Project:
    """A new project from a photograph."""
    content = image.file.read(studio.settings.limits.max_upload_bytes + 1)
    if len(content) > studio.settings.limits.max_upload_bytes:
        raise Refused("too_large", f"image: expected at most {studio.settings.limits.max_upload_bytes} bytes")
    drawn = None
    if motion is not None:
        drawn = read_upload(motion.filename or "motion", motion.file.read(), content, studio.settings.limits)
    return studio.projects.create(name or _stem(image.filename), content, drawn, tab=tab)


@router.get("/projects/{id}", operation_id="getProject", responses=errors(404))
def get_project(studio: TheStudio, id: AnId) -> Project:
    """A project with its motion and settings."""
    return studio.projects.get(id)


@router.put("/projects/{id}", operation_id="writeProject", responses=errors(400, 404, 409, 413, 507))
def write_project(studio: TheStudio, id: AnId, wanted: ProjectWrite) -> ProjectSummary:
    """Saves a new version. The same content again is answered with the newest version and changes nothing."""
    return studio.projects.write(id, wanted)


@router.delete("/projects/{id}", status_code=204, operation_id="deleteProject", responses=errors(404))
def delete_project(studio: TheStudio, id: AnId, tab: Tab = None) -> Response:
    """Moves a project to the trash; its results stay."""
    studio.projects.delete(id, tab=tab)
    return Response(status_code=204)


@router.post("/projects/{id}/restore", operation_id="restoreProject", responses=errors(404))
def restore_project(studio: TheStudio, id: AnId, tab: Tab = None) -> Project:
    """Takes a project back from the trash."""
    return studio.projects.restore(id, tab=tab)


@router.post("/projects/{id}/duplicate", status_code=201, operation_id="duplicateProject", responses=errors(404, 507))
def duplicate_project(studio: TheStudio, id: AnId, tab: Tab = None) -> Project:
    """A copy of a project as it is now."""
    return studio.projects.duplicate(id, tab=tab)


@router.get("/projects/{id}/versions", operation_id="listProjectVersions", responses=errors(404))
def list_versions(studio: TheStudio, id: AnId) -> list[ProjectVersion]:
    """What the project was, newest first: its last 200 versions, of older ones the last of each hour, then day."""
    return studio.projects.versions(id)


@router.get("/projects/{id}/versions/{number}", operation_id="getProjectVersion", responses=errors(404))
def get_version(studio: TheStudio, id: AnId, number: Number) -> Project:
    """The project as it was."""
    return studio.projects.version(id, number)


@router.post(
    "/projects/{id}/versions/{number}/restore", operation_id="restoreProjectVersion", responses=errors(404, 507)
)
def restore_version(studio: TheStudio, id: AnId, number: Number, tab: Tab = None) -> Project:
    """Makes an older version the newest one; nothing is lost by it."""
    return studio.projects.restore_version(id, number, tab=tab)


PICTURE = {200: {"content": {"image/webp": {}}, "description": "a WebP picture"}}
Stamp = Annotated[str | None, Query(max_length=64, description="names a state; the answer is then kept for good")]


@router.get(
    "/projects/{id}/image",
    operation_id="getProjectImage",
    response_class=FileResponse,
    responses={**PICTURE, **errors(404)},
)
def get_image(studio: TheStudio, id: AnId, v: Stamp = None) -> FileResponse:
    """The photograph, upright, in sRGB, at most 4096 pixels on its long side."""
    return picture(studio.projects.display_path(id), immutable=v is not None)


@router.get(
    "/projects/{id}/thumbnail",
    operation_id="getProjectThumbnail",
    response_class=FileResponse,
    responses={**PICTURE, **errors(404)},
)
def get_thumbnail(studio: TheStudio, id: AnId, v: Stamp = None) -> FileResponse:
    """The photograph, at most 480 pixels on its long side."""
    return picture(studio.projects.thumbnail_path(id), immutable=v is not None)


def _stem(name: str | None) -> str | None:
    """The name of a file as the name of a project."""
    plain = (name or "").replace("\\", "/").rpartition("/")[2]
    return plain.rpartition(".")[0] or plain or None
