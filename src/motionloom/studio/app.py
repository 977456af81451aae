"""The server: its parts, how they fit together, and the routes under ``/api/v1``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from motionloom.studio import openapi, problems
from motionloom.studio.api import ROUTERS, page
from motionloom.studio.folder import FolderLock
from motionloom.studio.jobs.events import EventLog
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.jobs.supervisor import Supervisor
from motionloom.studio.parts import Studio
from motionloom.studio.previews import PreviewService
from motionloom.studio.projects.store import ProjectStore
from motionloom.studio.projects.writing import sweep
from motionloom.studio.schemas import Event, ProjectSummary
from motionloom.studio.security import Gate, SafeAnswers
from motionloom.studio.settings import StudioSettings
from motionloom.studio.tokens import Tokens
from motionloom.studio.trash import TrashFolder
from motionloom.studio.uploads import BoundedBodies
from motionloom.version import __version__

API = "/api/v1"


def create_app(settings: StudioSettings, *, lock: FolderLock | None = None) -> FastAPI:
    """The server as an ASGI app. It takes its data folder and starts its workers when it is started, and ends them
    with itself.

    Args:
        lock: of the data folder, for who has taken it already.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    app = FastAPI(
        title="motionloom studio",
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=partial(_lifespan, lock=lock or FolderLock(settings.data)),
    )
    app.state.studio = assemble(settings)
    app.state.tokens = tokens = Tokens(settings.token, settings.port)
    app.state.page = page.Page(settings.static or page.BUILT)
    problems.install(app, hide=(settings.data,))
    # The last one added is the first to see a request.
    app.add_middleware(BoundedBodies, limits=settings.limits)
    app.add_middleware(Gate, settings=settings, tokens=tokens)
    app.add_middleware(SafeAnswers, settings=settings)
    for router in (page.session, *ROUTERS):
        app.include_router(router, prefix=API)
    app.include_router(page.router)
    openapi.describe(app)
    return app


def assemble(settings: StudioSettings) -> Studio:
    """The parts of a studio, connected; nothing is started yet."""
    database = settings.data / "studio.db"
    events = EventLog(database)
    jobs = JobStore(database, on_change=events.wake)
    results = ResultStore(settings.data)
    projects = ProjectStore(settings.data, settings.limits)
    projects.num_results = results.counts
    projects.announce = partial(_announce, events)
    return Studio(
        settings=settings,
        projects=projects,
        jobs=jobs,
        results=results,
        trash=TrashFolder(settings.data),
        events=events,
        previews=PreviewService(projects.image_path, settings.limits),
        supervisor=Supervisor(settings, jobs, results),
    )


def _announce(events: EventLog, *, project: ProjectSummary | None, removed: str | None, tab: str | None) -> None:
    kind = "project" if project is not None else "project_removed"
    events.append(Event(id=0, kind=kind, project=project, removed=removed, tab=tab))


@asynccontextmanager
async def _lifespan(app: FastAPI, lock: FolderLock) -> AsyncIterator[None]:
    studio: Studio = app.state.studio
    lock.acquire()
    try:
        await run_in_threadpool(sweep, studio.projects.folder)
        studio.trash.sweep_soon()
        await run_in_threadpool(studio.supervisor.start)
        studio.previews.warm_up()
        yield
    finally:
        studio.previews.close()
        studio.results.close()
        await run_in_threadpool(studio.supervisor.stop)
        studio.jobs.close()
        lock.release()
