"""The server: its parts, how they fit together, and the routes under ``/api/v1``."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from motionloom.studio import problems
from motionloom.studio.parts import Studio
from motionloom.studio.projects.store import ProjectStore
from motionloom.studio.settings import StudioSettings
from motionloom.version import __version__

API = "/api/v1"
ROUTERS = ("server", "projects", "examples", "models", "motions", "previews", "jobs", "events", "results")


def create_app(settings: StudioSettings) -> FastAPI:
    """The server as an ASGI app; it starts its workers when it is started, and ends them with itself."""
    settings.data.mkdir(parents=True, exist_ok=True)
    studio = _assemble(settings)
    app = FastAPI(
        title="motionloom studio",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.studio = studio
    problems.install(app, hide=(settings.data,))
    routes = APIRouter(prefix=API)
    for name in ROUTERS:
        try:
            module = importlib.import_module(f"motionloom.studio.api.{name}")
        except ModuleNotFoundError:
            continue
        routes.include_router(module.router)
    app.include_router(routes)
    return app


def _assemble(settings: StudioSettings) -> Studio:
    return Studio(settings, ProjectStore(settings.data, settings.limits))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
    studio: Studio = app.state.studio
    if studio.supervisor is not None:
        studio.supervisor.start()
    try:
        yield {}
    finally:
        if studio.supervisor is not None:
            studio.supervisor.stop()
