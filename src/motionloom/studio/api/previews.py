"""What a person sees while drawing: the instant preview, and what the model will receive."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import APIRouter, Request, Response

from motionloom.studio.api.shared import TheStudio, errors
from motionloom.studio.problems import Refused
from motionloom.studio.received import received_of
from motionloom.studio.schemas import PreviewRequest, Received, ReceivedRequest

router = APIRouter(tags=["previews"])

_LOOK = 0.2
"""Seconds between two looks at whether the client is still there."""


@router.post(
    "/previews",
    operation_id="makePreview",
    response_class=Response,
    responses={
        200: {
            "description": "the clip; how many frames it has, its rate, and the number of frames drawn are in the "
            "headers X-Motionloom-Frames, X-Motionloom-Fps and X-Motionloom-Drawn-Frames",
            "content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}},
        },
        **errors(400, 404, 409, 503),
    },
)
async def make_preview(studio: TheStudio, wanted: PreviewRequest, request: Request) -> Response:
    """The warp clip of a motion at reduced size. A newer request with the same ``key`` takes this one's place."""
    work = asyncio.ensure_future(studio.previews.make(wanted))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Refused("superseded", "preview: the client left before it was made")
        made = work.result()
    finally:
        for each in (work, gone):
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await gone
    return Response(
        made.video,
        media_type="video/mp4",
        headers={
            "X-Motionloom-Frames": str(made.num_frames),
            "X-Motionloom-Fps": f"{made.fps:.6g}",
            "X-Motionloom-Drawn-Frames": str(made.drawn_frames),
            "Cache-Control": "no-store",
        },
    )


async def _gone(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while not await request.is_disconnected():
        await asyncio.sleep(_LOOK)


@router.post("/received", operation_id="getReceived", responses=errors(400, 404))
def get_received(studio: TheStudio, wanted: ReceivedRequest) -> Received:
    """What would reach the model of a motion: size, frames and tracks as the model takes them, the latent cells that
    tracks are written into, speeds, and what it will not do well with."""
    return received_of(studio, wanted)
