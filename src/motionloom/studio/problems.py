"""Errors on their way out: every one becomes an `ErrorAnswer` that names no file of the server and shows no trace.

What nobody foresaw is written to the server's log under a short reference, which the answer carries.
"""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from motionloom.errors import (
    AmbiguousUnitsError,
    Cancelled,
    CheckpointError,
    FileFormatError,
    InputError,
    MotionloomError,
)
from motionloom.studio.jobs.database import is_disk_full
from motionloom.studio.schemas import Code, ErrorAnswer, Problem

log = logging.getLogger("motionloom.studio")

STATUS: dict[Code, int] = {
    "bad_request": 400,
    "unauthorised": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "superseded": 409,
    "too_large": 413,
    "unsupported": 415,
    "ambiguous": 422,
    "busy": 503,
    "disk_full": 507,
    "failed": 500,
}


class Refused(MotionloomError):
    """A request that is answered with a problem.

    Args:
        code: as in `Problem`; it also decides the status, unless ``status`` is given.
        message: what was found, what was expected, what to do.
        details: for programs.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.code: Code = code
        self.status = STATUS[code] if status is None else status
        self.headers = headers or {}
        self.details = details


def answer(error: BaseException, hide: Iterable[Path] = ()) -> JSONResponse:
    """The answer to an error.

    Args:
        hide: folders whose names are left out of the message; those of the user and for temporary files always are.
    """
    refused = _refused(error)
    # Our own refusals name routes, which look like paths; those of other rooms name files.
    message = (without_folders if refused is error else without_paths)(str(refused), hide)
    problem = Problem(code=refused.code, message=message, details=refused.details)
    body = ErrorAnswer(error=problem).model_dump(mode="json")
    return JSONResponse(body, refused.status, headers=refused.headers)


def install(app: FastAPI, hide: Iterable[Path] = ()) -> None:
    """Answers every error of an app as above."""
    folders = tuple(hide)

    async def respond(request: Request, error: Exception) -> JSONResponse:
        return answer(error, folders)

    for kind in (MotionloomError, StarletteHTTPException, HTTPException, RequestValidationError, OSError):
        app.add_exception_handler(kind, respond)
    app.add_exception_handler(sqlite3.Error, respond)
    app.add_exception_handler(Exception, respond)


def without_paths(message: str, hide: Iterable[Path] = ()) -> str:
    """A message in which files of this machine are named without their folders."""
    return _DRIVE.sub(r"\1", _ABSOLUTE.sub(r"\1", without_folders(message, hide)))


def without_folders(message: str, hide: Iterable[Path] = ()) -> str:
    """A message without the names of these folders, of the user's and of those for temporary files."""
    folders = {str(path) for path in (*hide, Path(tempfile.gettempdir()), _home())}
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            message = message.replace(folder + "/", "").replace(folder + "\\", "")
            message = message.replace(folder, "the server's folder")
    return message


# A path is what starts at a slash that ends no word, and has a folder; routes of the API are no paths.
_ABSOLUTE = re.compile(r"(?<![\w.:/+=])/(?!api/)(?:[^\s/:'\",()]+/)+([^\s/:'\",()]*)")
_DRIVE = re.compile(r"\b[A-Za-z]:\\(?:[^\s\\:'\",()]+\\)*([^\s\\:'\",()]*)")


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _refused(error: BaseException) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, RequestValidationError):
        return Refused("bad_request", _first_problem(error))
    if isinstance(error, StarletteHTTPException):
        return _of_http(error)
    if is_disk_full(error):
        return Refused(
            "disk_full", "The disk of the server is full; nothing was changed. Free some space, then do it again."
        )
    if isinstance(error, AmbiguousUnitsError):
        return Refused("ambiguous", str(error), needs="units")
    if isinstance(error, Cancelled):
        return Refused("superseded", str(error) or "stopped on request")
    if isinstance(error, (InputError, FileFormatError, CheckpointError)):
        return Refused("bad_request", str(error))
    if isinstance(error, MotionloomError):
        return Refused("failed", str(error))
    reference = secrets.token_hex(4)
    log.error("error %s", reference, exc_info=error)
    if isinstance(error, OSError):
        reason = f"A file of the server could not be read or written ({error.strerror or type(error).__name__})"
        return Refused("failed", f"{reason}; see its log, error {reference}.", reference=reference)
    return Refused("failed", f"The server failed at this; see its log, error {reference}.", reference=reference)


def _of_http(error: StarletteHTTPException) -> Refused:
    codes: dict[int, Code] = {status: code for code, status in reversed(STATUS.items())}
    code = codes.get(error.status_code, "bad_request" if error.status_code < 500 else "failed")
    message = {
        404: "There is nothing at this address; GET /api/v1/openapi.json lists what there is.",
        405: "This address does not take that method; GET /api/v1/openapi.json lists what there is.",
    }.get(error.status_code, _DETAILS.get(str(error.detail), str(error.detail)))
    return Refused(code, message, status=error.status_code, headers=dict(error.headers or {}))


_PLACES = (("body",), ("query",), ("path",))
_DETAILS = {
    "There was an error parsing the body": "the body cannot be read as the kind its Content-Type names; "
    "expected JSON in UTF-8, or a form",
}
"""What FastAPI says, for the person who reads it."""


def _first_problem(error: RequestValidationError) -> str:
    """The first problem as ``place: found ..., expected ...``."""
    from motionloom.tracks.validation import shown

    problems = error.errors()
    first = problems[0]
    where = first["loc"][1:] if first["loc"][:1] in _PLACES else first["loc"]
    place = ".".join(map(str, where)) or "body"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "missing":
        return f"{place}: missing; expected a value here{more}"
    if first["type"] == "extra_forbidden":
        return f"{place}: unknown field{more}"
    if first["type"] == "json_invalid":
        return f"the body is not JSON ({first.get('ctx', {}).get('error', 'unreadable')})"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Input should ")
    if message.startswith("Expected UploadFile"):
        message = "a file"
    return f"{place}: found {shown(first.get('input'))}, expected {message[:1].lower()}{message[1:]}{more}"
