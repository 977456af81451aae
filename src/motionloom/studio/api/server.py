"""The server itself."""

from __future__ import annotations

import shutil

from fastapi import APIRouter

from motionloom.studio.api.shared import TheStudio
from motionloom.studio.schemas import ServerFacts
from motionloom.version import __version__

router = APIRouter(tags=["server"])


@router.get("/server", operation_id="getServer")
def get_server(studio: TheStudio) -> ServerFacts:
    """Version, workers, limits for uploads, room on the disk."""
    limits = studio.settings.limits
    return ServerFacts(
        version=__version__,
        workers=studio.supervisor.workers(),
        max_upload_bytes=limits.max_upload_bytes,
        max_pixels=limits.max_pixels,
        free_bytes=shutil.disk_usage(studio.settings.data).free,
        default_model="nano",
    )
