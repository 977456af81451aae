"""What was deleted, and its end."""

from __future__ import annotations

from fastapi import APIRouter, Response

from motionloom.studio.api.shared import TheStudio
from motionloom.studio.schemas import Trash

router = APIRouter(tags=["trash"])


@router.get("/trash", operation_id="getTrash")
def get_trash(studio: TheStudio) -> Trash:
    """Deleted projects and results, the one deleted last first; ``POST /projects/{id}/restore`` and
    ``POST /results/{id}/restore`` take them back."""
    return studio.trash.list()


@router.delete("/trash", status_code=204, operation_id="emptyTrash")
def empty_trash(studio: TheStudio) -> Response:
    """Removes all that is in the trash from the disk, for good; answered when its space is free."""
    studio.trash.empty()
    return Response(status_code=204)
