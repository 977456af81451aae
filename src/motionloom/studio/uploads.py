"""Bodies of requests: of known kinds, counted while they arrive, never waited for without end, and JSON within bounds
before it is parsed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motionloom.studio import problems
from motionloom.studio.json_bounds import require_bounded
from motionloom.studio.problems import Refused
from motionloom.studio.settings import Limits

_FORM_EXTRA = 2**20
"""For the other fields of a form, and what is written between them."""
_LONGEST_SECONDS = 900.0
_DRAIN_SECONDS = 2.0


class BoundedBodies:
    """Refuses bodies that are too large, too slow, of another kind than JSON and forms, or hostile JSON."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not is_announced(headers):
            await self._app(scope, receive, send)
            return
        arriving = _Arriving(receive, self._limits)
        try:
            kind = _kind(headers)
            arriving.most = (
                self._limits.max_json_bytes if kind == "json" else self._limits.max_upload_bytes + _FORM_EXTRA
            )
            arriving.require_announced(headers)
            if kind == "json":
                content = await arriving.whole()
                await run_in_threadpool(require_bounded, content, self._limits)
                await self._app(scope, _replay(content, receive), send)
                return
        except Refused as refused:
            await arriving.drain()
            await problems.answer(refused)(scope, receive, send)
            return
        await self._form(scope, arriving, send)

    async def _form(self, scope: Scope, arriving: _Arriving, send: Send) -> None:
        started = replaced = False

        async def unless_refused(message: Message) -> None:
            # What reads forms makes its own error of any other; the reason is better.
            nonlocal started, replaced
            if replaced:
                return
            if arriving.refused is not None and not started:
                replaced = True
                await arriving.drain()
                await problems.answer(arriving.refused)(scope, arriving, send)
                return
            started = True
            await send(message)

        await self._app(scope, arriving, unless_refused)


def is_announced(headers: Headers) -> bool:
    """Whether a request has a body."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def drain(receive: Receive) -> bool:
    """Reads some of a body that is still coming, and forgets it: a client that is cut off while it sends never sees the
    answer. Returns whether that was all of it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return True
    return False


class _Arriving:
    """The body of a request while it arrives: counted, and never waited for too long."""

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._count, self._complete = 0, False
        self._end = time.monotonic() + _LONGEST_SECONDS
        self.most = 0
        self.refused: Refused | None = None

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            return await self._next()
        except Refused as refused:
            self.refused = refused
            raise

    def require_announced(self, headers: Headers) -> None:
        announced = headers.get("content-length", "0")
        if not announced.isdigit():
            raise Refused("bad_request", "Content-Length: expected a number")
        if len(announced) > 18 or int(announced) > self.most:
            raise self._too_large()

    async def whole(self) -> bytes:
        parts: list[bytes] = []
        while not self._complete:
            message = await self()
            if message["type"] == "http.disconnect":
                raise Refused("bad_request", "The connection was closed before the whole body had arrived.")
            parts.append(message.get("body", b""))
        return b"".join(parts)

    async def drain(self) -> None:
        if not self._complete:
            self._complete = await drain(self._receive)

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(min(self._limits.idle_seconds, max(self._end - time.monotonic(), 0.0))):
                message = await self._receive()
        except TimeoutError:
            raise Refused("bad_request", "The body arrives too slowly; send it again.", status=408) from None
        if message["type"] == "http.disconnect":
            self._complete = True
            return message
        self._complete = not message.get("more_body", False)
        self._count += len(message.get("body", b""))
        if self._count > self.most:
            raise self._too_large()
        return message

    def _too_large(self) -> Refused:
        return Refused(
            "too_large", f"The request is larger than {self.most // 2**20} MiB; scale the picture down, or send less."
        )


def _kind(headers: Headers) -> str:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return "json"
    if kind == "multipart/form-data":
        return "form"
    raise Refused("unsupported", f"Content-Type: found {kind[:80]!r}, expected application/json or multipart/form-data")


def _replay(content: bytes, receive: Receive) -> Receive:
    """The body once more for the routes; after it whatever else comes, such as the end of the connection."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return again
