"""HTTP to a studio server with the standard library alone: requests, forms, downloads, and events that come back."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from motionloom.errors import InputError, MotionloomError
from motionloom.studio.settings import is_loopback

API = "/api/v1"
_QUIET = 45.0
"""Seconds without a byte after which an event stream is taken for dead; the server says something every 15."""
_LOST = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, socket.timeout)


class StudioError(MotionloomError):
    """The server refused, failed, or could not be reached.

    Attributes:
        code: as in `motionloom.studio.schemas.Problem`, or "unreachable"; status: of HTTP, 0 without an answer.
        details: for programs, such as ``{"version": 7}`` of a conflict.
    """

    def __init__(self, code: str, message: str, *, status: int = 0, **details: Any) -> None:
        super().__init__(message)
        self.code, self.status, self.details = code, status, details


class Connection:
    """A server's address and token.

    Args:
        timeout: seconds to wait for an answer; patience: seconds to go on trying to hear events.
    """

    def __init__(self, url: str, token: str | None, timeout: float, patience: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"url: found {url!r}, expected an address such as http://127.0.0.1:7860")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token, self._timeout, self._patience = token, timeout, patience
        # A proxy of the environment leads out of this machine; a server on it is asked directly.
        handlers = [urllib.request.ProxyHandler({})] if is_loopback(parts.hostname) else []
        self._opener = urllib.request.build_opener(*handlers, _NoRedirects())

    def json(self, method: str, path: str, body: Any = None) -> bytes:
        """The content of an answer.

        Raises:
            StudioError: any other than a good one, or none.
        """
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        return self._read(self._request(method, path, content, headers))

    def form(self, path: str, files: Sequence[tuple[str, str, bytes]], fields: Mapping[str, Any]) -> bytes:
        """The answer to a form of fields and of files (field, file name, content)."""
        mark = f"motionloom-{secrets.token_hex(16)}"
        parts: list[bytes] = []
        for name, value in fields.items():
            parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        for field, name, content in files:
            safe = name.replace("\\", "_").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
            head = f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{safe}"\r\n'
            parts += [head.encode(), b"Content-Type: application/octet-stream\r\n\r\n", content, b"\r\n"]
        parts.append(f"--{mark}--\r\n".encode())
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        return self._read(self._request("POST", path, b"".join(parts), headers))

    def download(self, path: str, target: Path) -> Path:
        """Writes an answer to a file, whole or not at all."""
        from motionloom.media.files import replacing

        with self._open(self._request("GET", path), self._timeout) as answer, replacing(target) as temporary:
            try:
                with temporary.open("wb") as file:
                    while block := answer.read(1 << 20):
                        file.write(block)
            except _LOST as error:
                raise self._unreachable(error) from None
        return target

    def events(self, after: int | None) -> Iterator[dict[str, Any]]:
        """Events of the server as JSON values, over as many connections as it takes."""
        since, wait = time.monotonic(), 0.25
        while True:
            headers = {"Accept": "text/event-stream"}
            if after is not None:
                headers["Last-Event-ID"] = str(after)
            try:
                with self._open(self._request("GET", "/events", None, headers), _QUIET) as stream:
                    for event in _events_in(stream):
                        since, wait = time.monotonic(), 0.25
                        # The first event of a connection may have no number of its own.
                        after = max(event["id"], after or 0) or after
                        yield event
                error: Exception = ConnectionError("the stream ended")
            except StudioError as refused:
                # A server that starts again, or a proxy in front of one, has no answer for a while.
                if refused.code != "unreachable" and refused.status not in (502, 503, 504):
                    raise
                error = refused
            except _LOST as lost:
                error = lost
            if time.monotonic() - since > self._patience:
                raise error if isinstance(error, StudioError) else self._unreachable(error) from None
            time.sleep(wait)
            wait = min(wait * 2, 4.0)

    def _request(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> urllib.request.Request:
        # The scheme was checked when the connection was made.
        request = urllib.request.Request(  # noqa: S310
            self.url + API + path, content, dict(headers or {}), method=method
        )
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        return request

    def _read(self, request: urllib.request.Request) -> bytes:
        with self._open(request, self._timeout) as answer:
            try:
                return answer.read()
            except _LOST as error:
                raise self._unreachable(error) from None

    def _open(self, request: urllib.request.Request, timeout: float) -> Any:
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error) from None
        except _LOST as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> StudioError:
        reason = getattr(error, "reason", None) or error
        return StudioError(
            "unreachable",
            f"{self.url}: no motionloom studio answers there ({reason}); start one with motionloom studio",
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The API never redirects; following one would hand the token to whoever asks."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        return None


def _refused(error: urllib.error.HTTPError) -> StudioError:
    try:
        problem = json.loads(error.read(1 << 20))["error"]
        details = {name: value for name, value in problem.get("details", {}).items() if name not in ("code", "status")}
        return StudioError(problem["code"], problem["message"], status=error.code, **details)
    except (ValueError, KeyError, TypeError, AttributeError):
        return StudioError("failed", f"{error.url}: answered {error.code} {error.reason}", status=error.code)


def _events_in(stream: Any) -> Iterator[dict[str, Any]]:
    """The data of server-sent events in a stream of lines."""
    data: list[str] = []
    for line in stream:
        text = line.decode("utf-8").rstrip("\r\n")
        if text.startswith("data:"):
            data.append(text[5:].removeprefix(" "))
        elif not text and data:
            yield json.loads("\n".join(data))
            data = []
