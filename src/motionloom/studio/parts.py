"""The parts of a running studio, as its routes share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motionloom.studio.projects.store import ProjectStore
from motionloom.studio.settings import StudioSettings


@dataclass
class Studio:
    """What the routes share, as ``request.app.state.studio``."""

    settings: StudioSettings
    projects: ProjectStore
    jobs: Any = None
    results: Any = None
    events: Any = None
    previews: Any = None
    supervisor: Any = None
