"""Motions as files: which formats there are, what is brought in, what is taken away."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Response, UploadFile

from motionloom.studio.api.shared import AnId, TheStudio, attachment, errors
from motionloom.studio.exports import export, track_formats
from motionloom.studio.imports import Upload, Wanted, import_files
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import ImportedMotion, TrackFormat

router = APIRouter(tags=["motions"])

Pixels = Annotated[int, Form(ge=1, le=16_384)]
MaybePixels = Annotated[int | None, Form(ge=1, le=16_384)]
MaybeFrames = Annotated[int | None, Form(ge=1, le=100_000)]
MaybeRate = Annotated[float | None, Form(gt=0, le=1_000, allow_inf_nan=False)]


@router.get("/formats", operation_id="listFormats")
def list_formats() -> list[TrackFormat]:
    """Every file format a motion can come from, or be written as."""
    return track_formats()


@router.post("/imports", operation_id="importMotion", responses=errors(400, 413, 415, 422))
def import_motion(
    studio: TheStudio,
    files: Annotated[list[UploadFile], File(description="one file, or several that belong together")],
    width: Annotated[Pixels, Form(description="of the canvas, in pixels")],
    height: Pixels,
    num_frames: MaybeFrames = None,
    fps: MaybeRate = None,
    format: Annotated[str | None, Form(max_length=64, description="by default the content decides")] = None,
    units: Annotated[str | None, Form(max_length=16, description="pixels or normalised")] = None,
    file_width: Annotated[MaybePixels, Form(description="what the file's positions refer to")] = None,
    file_height: MaybePixels = None,
    file_fps: MaybeRate = None,
) -> ImportedMotion:
    """The motion in track files of any tool, in a motion with its masks, or in a clip that motionloom made.

    Where a file does not say enough the answer is the error ``ambiguous``, whose details name what it ``needs``
    (``size``, ``fps``, ``units`` or ``num_frames``) and what is ``suggested``.
    """
    if (file_width is None) != (file_height is None):
        raise Refused("bad_request", "file_width, file_height: found one of them, expected both or none")
    limit = studio.settings.limits
    if num_frames is not None and num_frames > limit.max_frames:
        raise Refused("bad_request", f"num_frames: found {num_frames}, expected at most {limit.max_frames}")
    uploads: list[Upload] = []
    total = 0
    for file in files:
        content = file.file.read(limit.max_upload_bytes - total + 1)
        total += len(content)
        if total > limit.max_upload_bytes:
            raise Refused("too_large", f"files: expected at most {limit.max_upload_bytes} bytes in all")
        uploads.append(Upload(file.filename or "file", content))
    wanted = Wanted(
        size=(height, width),
        num_frames=num_frames,
        fps=fps,
        format=format or None,
        units=units or None,
        file_size=None if file_width is None or file_height is None else (file_height, file_width),
        file_fps=file_fps,
    )
    return import_files(uploads, wanted, limit)


@router.get(
    "/projects/{id}/export",
    operation_id="exportMotion",
    response_class=Response,
    responses={
        200: {
            "description": "the file, or a zip archive of several",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        **errors(400, 404),
    },
)
def export_motion(
    studio: TheStudio,
    id: AnId,
    format: Annotated[str, Query(max_length=64, description="as in GET /formats")] = "motion",
    width: Annotated[int | None, Query(ge=1, le=16_384, description="default: the canvas")] = None,
    height: Annotated[int | None, Query(ge=1, le=16_384)] = None,
    num_frames: Annotated[int | None, Query(ge=1, le=100_000)] = None,
    fps: Annotated[float | None, Query(gt=0, le=1_000, allow_inf_nan=False)] = None,
    option: Annotated[list[str] | None, Query(max_length=32, description="name=value, of the format")] = None,
) -> Response:
    """A project's motion as a file of another tool, or as ``*.motion.json``."""
    from motionloom.tracks.motion import Motion
    from motionloom.tracks.tracks import timeline

    if (width is None) != (height is None):
        raise Refused("bad_request", "width, height: found one of them, expected both or none")
    options: dict[str, str] = {}
    for each in option or ():
        name, equals, value = each.partition("=")
        if not equals:
            raise Refused("bad_request", f"option: found {each[:60]!r}, expected name=value")
        options[name] = value
    project = studio.projects.get(id)
    motion = Motion.parse(project.motion)
    frames, most = len(timeline(motion.num_frames, motion.fps, num_frames, fps)[0]), studio.settings.limits.max_frames
    if frames > most:
        raise Refused("bad_request", f"num_frames, fps: make {frames} frames, expected at most {most}")
    exported = export(
        motion,
        format,
        name=project.name,
        size=None if width is None or height is None else (height, width),
        num_frames=num_frames,
        fps=fps,
        options=options,
    )
    return Response(exported.content, media_type=exported.media_type, headers=attachment(exported.name))
