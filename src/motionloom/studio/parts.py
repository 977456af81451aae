"""The parts of a running studio, as its routes share them."""

from __future__ import annotations

from dataclasses import dataclass

from motionloom.studio.jobs.events import EventLog
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.jobs.supervisor import Supervisor
from motionloom.studio.previews import PreviewService
from motionloom.studio.projects.store import ProjectStore
from motionloom.studio.settings import StudioSettings
from motionloom.studio.trash import TrashFolder


@dataclass(frozen=True)
class Studio:
    """What the routes share, as ``request.app.state.studio``."""

    settings: StudioSettings
    projects: ProjectStore
    jobs: JobStore
    results: ResultStore
    trash: TrashFolder
    events: EventLog
    previews: PreviewService
    supervisor: Supervisor
