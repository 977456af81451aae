"""What the routes have in common: the studio behind a request, what errors look like, answers that are files."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from motionloom.studio.parts import Studio
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import ID_PATTERN, ErrorAnswer


def studio_of(request: Request) -> Studio:
    """The studio that answers a request."""
    return cast("Studio", request.app.state.studio)


TheStudio = Annotated[Studio, Depends(studio_of)]
AnId = Annotated[str, PathParameter(pattern=ID_PATTERN, description="16 hex digits")]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The description of a route's errors."""
    return {status: {"model": ErrorAnswer, "description": _MEANING[status]} for status in statuses}


_MEANING = {
    400: "the request is not usable",
    404: "there is no such thing",
    409: "it was changed elsewhere, or is in a state that does not allow this",
    413: "too large",
    415: "of a kind that is not read",
    422: "something is missing to understand it",
    500: "the server failed",
    503: "too much to do at the moment",
    507: "the disk of the server is full",
}


class KeptFile(FileResponse):
    """A file of the data folder. Another tab may delete it between the moment it is found and the one it is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                found = Headers(scope=scope).get("range", "")[:80]
                whole = Headers(raw=message["headers"]).get("content-range")
                raise Refused(
                    "bad_request",
                    f"Range: found {found!r}, expected bytes=FIRST-LAST inside the file",
                    status=message["status"],
                    headers={"Content-Range": whole} if whole else None,
                )
            await send(message)

        try:
            await super().__call__(scope, receive, unless_refused)
        except (RuntimeError, OSError):
            if Path(self.path).exists():
                raise
            raise Refused("not_found", "This has just been deleted.") from None


def picture(path: Path, *, immutable: bool) -> FileResponse:
    """A WebP picture of ours; ``immutable`` when its address names its version."""
    keep = "private, max-age=31536000, immutable" if immutable else "private, no-cache"
    return KeptFile(path, media_type="image/webp", headers={"Cache-Control": keep})


def attachment(name: str) -> dict[str, str]:
    """Headers that make a browser save an answer under ``name`` (RFC 6266, RFC 5987)."""
    kept = "".join(char for char in name if char.isprintable() and char not in '/\\:*?"<>|').strip(" .")
    stem, dot, suffix = kept.rpartition(".")
    if not dot or len(suffix) > 16:
        stem, dot, suffix = kept, "", ""
    full = (stem[:100].strip(" .") or "motionloom") + dot + suffix
    letters = unicodedata.normalize("NFKD", stem[:100]).encode("ascii", "ignore").decode().replace("%", "").strip(" .")
    plain = (letters or "motionloom") + dot + (suffix if suffix.isascii() else "")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(full, safe='')}"}
