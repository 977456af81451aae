"""The page itself: the files that were built, by a table made at the start, and the address that carries the token."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from motionloom.studio.problems import Refused
from motionloom.studio.schemas import SessionRequest
from motionloom.studio.tokens import Tokens

BUILT = Path(__file__).parent.parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
MISSING = (
    "The page of the studio is not built. In a clone of the repository run `make studio`; "
    "packages from an index carry it. The HTTP API runs: see /api/v1/openapi.json\n"
)

router = APIRouter()
session = APIRouter(tags=["server"])


@dataclass(frozen=True)
class File:
    path: Path
    content_type: str
    cache: str


class Page:
    """The files of the built page by their addresses; nothing else of the folder can be had.

    The table is made anew when the page was built anew.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: float | None = None
        self._files: dict[str, File] = {}
        self.refresh()

    @property
    def is_built(self) -> bool:
        return "/index.html" in self._files

    def refresh(self) -> None:
        try:
            stamp = (self._folder / "index.html").stat().st_mtime
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._stamp, self._files = stamp, table(self._folder)

    def find(self, address: str) -> File | None:
        return self._files.get(address)


def table(folder: Path) -> dict[str, File]:
    """The files of a built page: those of known kinds, no links, no hidden ones."""
    found: dict[str, File] = {}
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(where) / name
            kind = TYPES.get(path.suffix.lower())
            if kind is None or name.startswith(".") or path.is_symlink():
                continue
            address = "/" + path.relative_to(folder).as_posix()
            hashed = address.startswith("/assets/")
            found[address] = File(path, kind, "public, max-age=31536000, immutable" if hashed else "no-cache")
    return found


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def index(request: Request) -> Response:
    """The page. With ``?token=`` it becomes a session first, so that the token does not stay in the address."""
    shown = request.query_params.get("token")
    tokens = _tokens(request)
    if shown is not None and tokens.needed:
        if not tokens.is_right(shown):
            await tokens.refuse()
        return _without_token(request, {"Set-Cookie": tokens.set_cookie(secure=request.url.scheme == "https")})
    if shown is not None:
        return _without_token(request, {})
    page = _page(request)
    page.refresh()
    found = page.find("/index.html")
    if found is None:
        return PlainTextResponse(MISSING, 503, headers={"Cache-Control": "no-store"})
    return _answer(found)


@router.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
async def file(request: Request, path: str) -> Response:
    """A file of the page."""
    found = _page(request).find("/" + path)
    if found is None:
        raise Refused("not_found", "There is nothing at this address.")
    return _answer(found)


@session.post("/session", status_code=204, operation_id="startSession")
async def start_session(request: Request, shown: SessionRequest) -> Response:
    """Exchanges the token for a cookie."""
    tokens = _tokens(request)
    if tokens.needed and not tokens.is_right(shown.token):
        await tokens.refuse()
    headers = {"Set-Cookie": tokens.set_cookie(secure=request.url.scheme == "https")} if tokens.needed else {}
    return Response(status_code=204, headers=headers)


def _answer(found: File) -> FileResponse:
    return FileResponse(found.path, media_type=found.content_type, headers={"Cache-Control": found.cache})


def _without_token(request: Request, headers: dict[str, str]) -> RedirectResponse:
    rest = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
    return RedirectResponse(f"/?{rest}" if rest else "/", 303, headers={"Cache-Control": "no-store", **headers})


def _page(request: Request) -> Page:
    return cast("Any", request.app.state).page


def _tokens(request: Request) -> Tokens:
    return cast("Any", request.app.state).tokens
