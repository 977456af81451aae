"""The routes of the HTTP API, one file for each kind of thing."""

from __future__ import annotations

from motionloom.studio.api import events, examples, jobs, models, motions, previews, projects, results, server, trash

ROUTERS = tuple(
    room.router for room in (server, projects, examples, models, motions, previews, jobs, events, results, trash)
)
"""All below ``/api/v1``; those of the page and its session are in `page`."""
