"""Running the server: the address it listens at, one clear line about it, and an end that loses nothing."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from logging.handlers import RotatingFileHandler
from typing import Any, NoReturn
from urllib.parse import quote

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from motionloom.errors import InputError
from motionloom.studio.app import create_app
from motionloom.studio.folder import FolderLock
from motionloom.studio.settings import DEFAULT_PORT, StudioSettings
from motionloom.studio.tokens import kept_token

HEADER_SECONDS = 20.0
"""From the first byte of a request to the end of its headers, and from a connection to its first request."""
_NEXT_PORTS = 20


def serve(
    settings: StudioSettings, *, port: int | None = None, on_ready: Callable[[StudioSettings, str], None] | None = None
) -> None:
    """Runs a studio until it is told to end (Ctrl-C, SIGTERM).

    Args:
        settings: ``port`` of it is set here; a token is made when more than this machine can reach the server.
        port: None for 7860, or the next free one.
        on_ready: called with what is really used and with the address for the browser once it answers.

    Raises:
        InputError: the address or the data folder is in use, or cannot be used.
    """
    lock = FolderLock(settings.data)
    lock.acquire()
    try:
        listening = listen(settings.host, port)
        with listening:
            settings = replace(settings, port=int(listening.getsockname()[1]))
            if settings.token is None and not settings.is_private:
                settings = replace(settings, token=kept_token(settings.data))
            url = address(settings)
            lock.note(url)
            _log_to(settings)
            config = uvicorn.Config(
                create_app(settings, lock=lock),
                http=_Patient,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=1,
                limit_concurrency=2_000,
            )
            ready = (lambda: on_ready(settings, with_token(settings))) if on_ready is not None else None
            _Server(config, ready).run(sockets=[listening])
    finally:
        lock.release()


def address(settings: StudioSettings) -> str:
    """Where a browser finds the server."""
    host = settings.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - these mean every address; a browser needs one
        host = socket.gethostname() or "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/"


def with_token(settings: StudioSettings) -> str:
    """The address that lets a browser in."""
    url = address(settings)
    return f"{url}?token={quote(settings.token, safe='')}" if settings.token else url


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens at ``port``, or from 7860 on at the first that is free.

    Raises:
        InputError: the port is taken, or the address is not one of this machine.
    """
    if port is not None:
        return _bound(host, port, f"--port {port}")
    for candidate in range(DEFAULT_PORT, DEFAULT_PORT + _NEXT_PORTS):
        try:
            return _bound(host, candidate, "--port")
        except _Taken:
            continue
    return _bound(host, 0, "--port")


def on_desktop() -> bool:
    """Whether opening a browser would show it to the person who started us."""
    if not sys.stdout.isatty() or os.environ.get("SSH_CONNECTION"):
        return False
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_browser(url: str) -> None:
    """Opens the page without waiting for it."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def leave() -> NoReturn:
    """Ends the process at once, once everything is saved: unloading large libraries takes seconds, and threads that
    still load them or make a preview take longer. Nothing of theirs could be lost, and whoever pressed Ctrl-C shall not
    wait for them.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class _Taken(InputError):
    pass


def _bound(host: str, port: int, option: str) -> socket.socket:
    try:
        family, kind, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError, OverflowError):
        raise InputError(f"--host: found {host!r}, expected an address or a name of this machine") from None
    listening = socket.socket(family, kind)
    try:
        if os.name != "nt":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(target)
        listening.listen(512)
    except OSError as error:
        listening.close()
        if isinstance(error, PermissionError):
            raise InputError(f"{option}: this user may not listen there; choose a port above 1023") from None
        if error.errno in _IN_USE:
            raise _Taken(
                f"{option}: something else listens at {host}:{port} already; choose another with --port"
            ) from None
        raise InputError(f"--host {host}: cannot listen there ({error.strerror or error})") from None
    listening.set_inheritable(False)
    return listening


_IN_USE = (98, 48, 10048)  # EADDRINUSE on Linux, macOS, Windows


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready()


class _Patient(H11Protocol):
    """Waits for the headers of a request, but not for ever: a connection that sends a byte now and then holds a
    place that others need.
    """

    _hurry: Any = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._hurry = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        if self._hurry is None and not self._is_busy():
            self._hurry = self.loop.call_later(HEADER_SECONDS, self._give_up)
        super().data_received(data)
        if self.cycle is not before:  # the headers of a request are complete
            self._calm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _calm(self) -> None:
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _give_up(self) -> None:
        self._hurry = None
        if not self._is_busy() and not self.transport.is_closing():
            self.transport.close()


def _log_to(settings: StudioSettings) -> None:
    folder = settings.data / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        folder / "server.log", maxBytes=2 * 2**20, backupCount=3, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    short = logging.StreamHandler()
    short.setLevel(logging.ERROR)
    short.setFormatter(_Short())
    for name in ("motionloom.studio", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler, short]
        logger.setLevel(logging.INFO if name == "motionloom.studio" else logging.WARNING)
        logger.propagate = False


class _Short(logging.Formatter):
    """One line for the terminal; the log has the trace."""

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        what = f" ({kind.__name__}: {record.exc_info[1]})" if kind is not None and record.exc_info else ""
        return f"motionloom: {' '.join(record.getMessage().split())}{' '.join(what.splitlines())[:200]}; see the log"
