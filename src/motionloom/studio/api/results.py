"""Finished videos: look at them, take them home, make a project of one again."""

from __future__ import annotations

import contextlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from motionloom.studio.api.shared import AnId, KeptFile, TheStudio, attachment, errors, picture
from motionloom.studio.jobs.database import DiskFull
from motionloom.studio.jobs.derived import TYPES, Format, Kind
from motionloom.studio.jobs.results import MOTION, POSTER, VIDEO
from motionloom.studio.jobs.snapshots import read_motion
from motionloom.studio.schemas import ID_PATTERN, MotionDocument, Project, Result, ResultList

router = APIRouter(tags=["results"])

AProject = Annotated[str | None, Query(pattern=ID_PATTERN, description="only those of this project")]
Tab = Annotated[str | None, Query(max_length=64, description="who does it, for the event stream")]

_FILE: dict[str, Any] = {"response_class": FileResponse}
_MP4: dict[int | str, dict[str, Any]] = {200: {"content": {"video/mp4": {}}, "description": "an MP4 video"}}


@router.get("/results", operation_id="listResults")
def list_results(studio: TheStudio, project: AProject = None) -> ResultList:
    """Finished videos, the newest first."""
    return ResultList(results=studio.results.list(project))


@router.get("/results/{id}", operation_id="getResult", responses=errors(404))
def get_result(studio: TheStudio, id: AnId) -> Result:
    """What is known about one."""
    return studio.results.get(id)


@router.get("/results/{id}/video", operation_id="getResultVideo", responses={**_MP4, **errors(404)}, **_FILE)
def get_video(studio: TheStudio, id: AnId) -> FileResponse:
    """The video, with its provenance inside; parts of it by the header ``Range``."""
    return _video(studio.results.folder(id) / VIDEO)


@router.get(
    "/results/{id}/poster",
    operation_id="getResultPoster",
    responses={200: {"content": {"image/webp": {}}, "description": "a WebP picture"}, **errors(404)},
    **_FILE,
)
def get_poster(studio: TheStudio, id: AnId) -> FileResponse:
    """The first frame."""
    return picture(studio.results.folder(id) / POSTER, immutable=True)


@router.get("/results/{id}/overlay", operation_id="getResultOverlay", responses={**_MP4, **errors(404, 507)}, **_FILE)
def get_overlay(studio: TheStudio, id: AnId) -> FileResponse:
    """The video with its motion drawn over it; made when it is asked for first, which takes some seconds."""
    return _video(studio.results.derived.path(id, "overlay"))


@router.get("/results/{id}/preview", operation_id="getResultPreview", responses={**_MP4, **errors(404, 507)}, **_FILE)
def get_preview(studio: TheStudio, id: AnId) -> FileResponse:
    """The warp clip of the same motion, as large and as long; made when it is asked for first."""
    return _video(studio.results.derived.path(id, "preview"))


@router.get("/results/{id}/provenance", operation_id="getResultProvenance", responses=errors(404))
def get_provenance(studio: TheStudio, id: AnId) -> dict[str, Any]:
    """All that is needed to make the video again: what `motionloom.media.read_provenance` finds inside the file."""
    from motionloom.media import read_provenance

    return read_provenance(studio.results.folder(id) / VIDEO)


@router.get("/results/{id}/motion", operation_id="getResultMotion", responses=errors(404))
def get_motion(studio: TheStudio, id: AnId) -> MotionDocument:
    """The motion the video was made of, as for ``POST /jobs``: the same once more, with other seeds."""
    return json.loads((studio.results.folder(id) / MOTION).read_bytes())


@router.get(
    "/results/{id}/download",
    operation_id="downloadResult",
    responses={
        200: {"content": {kind: {} for kind in TYPES.values()}, "description": "a file to be saved"},
        **errors(404, 507),
    },
    **_FILE,
)
def download(
    studio: TheStudio,
    id: AnId,
    kind: Kind = "video",
    format: Format = "mp4",
) -> FileResponse:
    """A file with provenance inside; other formats than MP4 are made when they are asked for first."""
    result = studio.results.get(id)
    path = studio.results.derived.path(id, kind, format)
    of = "" if kind == "video" else f" {kind.replace('_', ' ')}"
    name = f"{result.project_name} seed {result.seed}{of}.{format}"
    return KeptFile(path, media_type=TYPES[format], headers=attachment(name))


@router.delete("/results/{id}", status_code=204, operation_id="deleteResult", responses=errors(404))
def delete_result(studio: TheStudio, id: AnId) -> Response:
    """Moves a result to the trash."""
    studio.results.remove(id)
    with contextlib.suppress(DiskFull):  # it is deleted all the same, which may be what somebody does about that
        studio.jobs.result_changed(id, removed=True)
    return Response(status_code=204)


@router.post("/results/{id}/restore", operation_id="restoreResult", responses=errors(404))
def restore_result(studio: TheStudio, id: AnId) -> Result:
    """Takes a result back from the trash."""
    result = studio.results.restore(id)
    studio.jobs.result_changed(id)
    if not result.measured:  # it was deleted before that
        studio.jobs.measuring.ask(id)
    return result


@router.post("/results/{id}/edit", status_code=201, operation_id="editResult", responses=errors(404, 507))
def edit_result(studio: TheStudio, id: AnId, tab: Tab = None) -> Project:
    """A new project with the photograph, the motion and the settings the video was made of."""
    result = studio.results.get(id)
    folder = studio.results.folder(id)
    settings = result.settings.model_copy(update={"seed": result.seed, "count": 1})
    content = studio.results.image(id).read_bytes()
    return studio.projects.create(result.project_name, content, read_motion(folder / MOTION), settings, tab=tab)


def _video(path: Any) -> FileResponse:
    return KeptFile(path, media_type="video/mp4", headers={"Cache-Control": "private, max-age=31536000, immutable"})
