"""Who may ask, and what answers may do in a browser.

Every request passes, in this order: its shape, the name it calls the server by (DNS rebinding), where it comes from
(CSRF), the token. Every answer leaves with headers that let a browser do nothing with it but what the page needs.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from motionloom.studio import problems
from motionloom.studio.problems import Refused
from motionloom.studio.settings import StudioSettings, is_loopback
from motionloom.studio.tokens import Tokens
from motionloom.studio.uploads import drain, is_announced

API = "/api/"
SESSION = "/api/v1/session"
METHODS = ("GET", "POST", "PUT", "DELETE")
PAGE_METHODS = ("GET", "HEAD")

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SafeAnswers:
    """Puts the headers on every answer, and makes an answer of every error."""

    def __init__(self, app: ASGIApp, settings: StudioSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith(API):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except Exception as error:
            if started:
                raise
            await problems.answer(error, (self._settings.data,))(scope, receive, with_headers)


class Gate:
    """Lets through what this server should answer, and refuses the rest."""

    def __init__(self, app: ASGIApp, settings: StudioSettings, tokens: Tokens) -> None:
        self._app, self._settings, self._tokens = app, settings, tokens
        self._names = known_names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        try:
            require_shape(scope, self._settings.limits.max_url)
            require_host(headers, self._settings, self._names)
            if scope["path"].startswith(API):
                require_origin(scope, headers)
                if scope["path"] != SESSION:
                    await self._tokens.require(headers)
        except Refused as refused:
            if is_announced(headers):
                await drain(receive)
            await problems.answer(refused)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def require_shape(scope: Scope, max_url: int) -> None:
    """Known methods, addresses of a sensible length without characters that have no place in them."""
    methods = METHODS if scope["path"].startswith(API) else PAGE_METHODS
    if scope["method"] not in methods:
        allowed = ", ".join(methods)
        raise Refused("bad_request", f"method: expected one of {allowed}", status=405, headers={"Allow": allowed})
    if len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"]) > max_url:
        raise Refused("too_large", f"address: expected at most {max_url} characters", status=414)
    path = scope["path"]
    if not path.isprintable() or "\\" in path or any(part in (".", "..") for part in path.split("/")):
        raise Refused("bad_request", "address: holds characters that have no place in it")


def require_host(headers: Headers, settings: StudioSettings, names: Sequence[str]) -> None:
    """The Host header names this server. A page of another site whose name was made to point here (DNS rebinding)
    sends that site's name, so names nobody announced are refused; bare addresses cannot be rebound.
    """
    found = headers.getlist("host")
    name = _host_name(found[0]) if len(found) == 1 else None
    if name is None:
        raise Refused("bad_request", "Host: expected the name of this server, once")
    if _is_known(name, settings, names):
        return
    raise Refused(
        "forbidden",
        f"Host: this server is not known as {name[:80]!r}; if it should be, start it with --allow-host {name[:80]}",
        status=421,
    )


def require_origin(scope: Scope, headers: Headers) -> None:
    """A browser says which page a request comes from; only our own pages may use the API.

    Programs that are no browsers send neither header.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site.lower() not in ("same-origin", "none"):
        raise Refused("forbidden", "Requests from pages of other sites are refused (Sec-Fetch-Site).")
    for origin in headers.getlist("origin"):
        if not _is_own(origin, str(scope.get("scheme", "http")), headers.get("host", "")):
            raise Refused("forbidden", f"Origin: requests from pages of {origin[:80]!r} are refused")


def known_names(settings: StudioSettings) -> tuple[str, ...]:
    """The names a server is reached by, lower case."""
    names = {"localhost", settings.host.lower(), *(name.lower().strip("[]") for name in settings.allowed_hosts)}
    if not is_loopback(settings.host):
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine.partition('.')[0]}.local"}
    return tuple(sorted(names))


def _is_known(name: str, settings: StudioSettings, names: Sequence[str]) -> bool:
    if name in names or any(known.startswith("*.") and name.endswith(known[1:]) for known in names):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not is_loopback(settings.host)


def _host_name(host: str) -> str | None:
    """The name in ``name:port``, lower case; of IPv6 addresses without brackets."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.path or parts.query or parts.fragment or parts.username is not None or any(map(str.isspace, host)):
            return None
        _ = parts.port
        return (parts.hostname or "").rstrip(".") or None
    except ValueError:
        return None


def _is_own(origin: str, scheme: str, host: str) -> bool:
    try:
        theirs, ours = urlsplit(origin), urlsplit(f"{scheme}://{host}")
        if theirs.scheme not in ("http", "https") or not theirs.hostname or theirs.path or theirs.query:
            return False
        # A proxy may speak https for us: its pages are as much our own as those of http.
        if theirs.scheme == "https" and ours.scheme == "http":
            ours = urlsplit(f"https://{host}")
        return (theirs.scheme, theirs.hostname, _port(theirs.scheme, theirs.port)) == (
            ours.scheme,
            ours.hostname,
            _port(ours.scheme, ours.port),
        )
    except ValueError:
        return False


def _port(scheme: str, port: int | None) -> int:
    return port if port is not None else 443 if scheme == "https" else 80
