"""The event stream: what changes, as it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query, Request
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent

from motionloom.studio.api.shared import TheStudio, errors
from motionloom.studio.jobs.broadcast import Broadcast
from motionloom.studio.parts import Studio
from motionloom.studio.schemas import Event

router = APIRouter(tags=["events"])

PING = 15
"""Seconds between two comments that keep an idle stream open through proxies."""


@router.get(
    "/events",
    operation_id="listenToEvents",
    response_class=EventSourceResponse,
    responses={
        200: {
            "content": {
                "text/event-stream": {"schema": Event.model_json_schema(ref_template="#/components/schemas/{model}")}
            },
            "description": "server-sent events; the data of each is an Event",
        },
        **errors(400),
    },
)
async def listen(
    request: Request,
    studio: TheStudio,
    after: Annotated[int | None, Query(ge=0, description="number of the last event that was heard")] = None,
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}$")] = None,
) -> EventSourceResponse:
    """Events without end. The first one always tells of the workers; then come those after ``after``, or after the
    header ``Last-Event-ID``, which browsers send when they connect again; then new ones. Things that changed often are
    told once, as they are now."""
    broadcast = _broadcast(request, studio)
    number = int(last_event_id) if last_event_id is not None else after
    stopping = anyio.Event()
    return EventSourceResponse(
        _lines(broadcast, number, stopping),
        shutdown_event=stopping,
        shutdown_grace_period=1.0,
        ping=PING,
        ping_message_factory=lambda: ServerSentEvent(comment="still here"),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        send_timeout=30,
    )


async def _lines(broadcast: Broadcast, after: int | None, stopping: anyio.Event) -> AsyncIterator[ServerSentEvent]:
    async for event in broadcast.listen(after, stopping):
        yield JSONServerSentEvent(event.model_dump(mode="json"), event=event.kind, id=str(event.id), retry=1000)


def _broadcast(request: Request, studio: Studio) -> Broadcast:
    """The one of this server."""
    state = request.app.state
    if getattr(state, "broadcast", None) is None:
        state.broadcast = Broadcast(studio.events, studio.jobs, studio.results, studio.supervisor.workers)
    return state.broadcast
