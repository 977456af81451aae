"""The token of a server that more than this machine reaches: shown as a header, or once for a cookie.

The cookie carries a value derived from the token, not the token. Comparisons take the same time whatever is compared.
Wrong tokens are answered late, the later the more of them came recently; the right one is answered at once, always:
nobody can lock the owner out by guessing. With 16 characters and more, guessing is no way in.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers

from motionloom.errors import InputError
from motionloom.studio.problems import Refused

MIN_TOKEN = 16
MAX_TOKEN = 512
SESSION_SECONDS = 30 * 86_400
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 4.0
_FORGET_AFTER = 60.0
_MOST_WAITING = 64


class Tokens:
    """Knows the token of a server.

    Args:
        token: None opens the server to everyone who reaches it.
        port: cookies do not tell ports apart; their names do.
    """

    def __init__(self, token: str | None, port: int) -> None:
        self._token = token
        self.cookie = f"motionloom-session-{port}"
        self._failures: list[float] = []
        self._waiting = 0

    @property
    def needed(self) -> bool:
        return self._token is not None

    @property
    def session(self) -> str:
        """The value of the cookie."""
        return hmac.new((self._token or "").encode(), b"motionloom studio session 1", hashlib.sha256).hexdigest()

    async def require(self, headers: Headers) -> None:
        """Lets a request with the token or the cookie pass.

        Raises:
            Refused: ``unauthorised``; late, when what it shows is wrong.
        """
        if not self.needed:
            return
        shown = _bearer(headers)
        if shown is not None:
            if self.is_right(shown):
                return
            await self.refuse()
        session = _cookie(headers, self.cookie)
        if session is not None:
            if _same(session, self.session):
                return
            await self.refuse()
        raise _unauthorised("This server needs its token; it is in the address that `motionloom studio` printed.")

    def is_right(self, token: str) -> bool:
        return self._token is not None and _same(token, self._token)

    async def refuse(self) -> None:
        """Answers a wrong token, later and later."""
        now = time.monotonic()
        self._failures = [moment for moment in self._failures[-1_000:] if now - moment < _FORGET_AFTER]
        self._failures.append(now)
        if self._waiting >= _MOST_WAITING:
            raise Refused(
                "busy", "Too many wrong tokens at once; wait a minute.", status=429, headers={"Retry-After": "60"}
            )
        self._waiting += 1
        try:
            await asyncio.sleep(min(_FIRST_DELAY * 1.5 ** (len(self._failures) - 1), _LONGEST_DELAY))
        finally:
            self._waiting -= 1
        raise _unauthorised("That is not the token of this server; it is in the address `motionloom studio` printed.")

    def set_cookie(self, *, secure: bool) -> str:
        """The ``Set-Cookie`` header of a session; ``secure`` for answers over https."""
        parts = [f"{self.cookie}={self.session}", "Path=/", f"Max-Age={SESSION_SECONDS}", "HttpOnly", "SameSite=Strict"]
        return "; ".join([*parts, "Secure"] if secure else parts)


def checked_token(token: str, where: str) -> str:
    """A token somebody chose.

    Raises:
        InputError: it can be guessed, or cannot be sent in a header.
    """
    if not MIN_TOKEN <= len(token) <= MAX_TOKEN:
        raise InputError(
            f"{where}: found {len(token)} characters, expected {MIN_TOKEN} to {MAX_TOKEN}; "
            "leave it out to have one made"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"{where}: expected printable ASCII characters without spaces")
    return token


def kept_token(data: Path) -> str:
    """A token of 256 random bits, the same each time for a data folder, so that open pages survive a restart."""
    path = data / "token"
    try:
        found = path.read_text(encoding="ascii").strip()
        if len(found) >= MIN_TOKEN:
            return found
    except (OSError, UnicodeDecodeError):
        pass
    token = secrets.token_urlsafe(32)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never for others to read, not even under another name for a moment.
    temporary = path.with_name(f".token.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token + "\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return token


def _unauthorised(message: str) -> Refused:
    return Refused("unauthorised", message, headers={"WWW-Authenticate": 'Bearer realm="motionloom studio"'})


def _bearer(headers: Headers) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return found.value if found is not None else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
