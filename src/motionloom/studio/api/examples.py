"""Examples to start from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from motionloom.studio import examples
from motionloom.studio.api.projects import PICTURE, Stamp, Tab
from motionloom.studio.api.shared import TheStudio, errors, picture
from motionloom.studio.schemas import Example, Project

router = APIRouter(tags=["examples"])

ExampleName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


@router.get("/examples", operation_id="listExamples")
def list_examples() -> list[Example]:
    """Photographs with a motion drawn on them."""
    return examples.list_examples()


@router.get(
    "/examples/{name}/thumbnail",
    operation_id="getExampleThumbnail",
    response_class=FileResponse,
    responses={**PICTURE, **errors(404)},
)
def get_thumbnail(studio: TheStudio, name: ExampleName, v: Stamp = None) -> FileResponse:
    """A small picture of an example with its motion drawn on it."""
    return picture(examples.thumbnail(name, studio.settings.data / "cache" / "examples"), immutable=v is not None)


@router.post("/examples/{name}", status_code=201, operation_id="startExample", responses=errors(404, 507))
def start_example(studio: TheStudio, name: ExampleName, tab: Tab = None) -> Project:
    """A new project from an example."""
    return examples.start(studio.projects, name, tab=tab)
