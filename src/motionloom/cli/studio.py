"""motionloom studio."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionloom.cli.console import say, warn
from motionloom.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from motionloom.studio.settings import StudioSettings

_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")


def studio(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; any but this machine's own makes a token needed.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", help="Port to listen at. Default: 7860, or the next free one.", min=1, max=65_535),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Folder of projects, jobs and results. Default: in your data folder."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="What others have to show; others see command lines, so rather set MOTIONLOOM_STUDIO_TOKEN.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Another name it is reached by, such as a proxy's; *.example.org works."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="Where to run models: auto, cpu, cuda:0 ...; give it again for more workers."),
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no jobs, only edit; they wait.")] = False,
    model: Annotated[
        list[Path] | None,
        typer.Option("--model", help="Folder of a model to offer beside the catalogue; may be given again."),
    ] = None,
    open_: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the page in the browser. Default: on a desktop."),
    ] = None,
) -> None:
    """Open the editor in the browser: draw motion on a photograph, look at it at once, generate the video."""
    try:
        from motionloom.studio.serve import leave, on_desktop, open_browser, serve
        from motionloom.studio.settings import StudioSettings, studio_folder
        from motionloom.studio.tokens import checked_token
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("motionloom"):
            raise
        raise MissingDependencyError(
            f"motionloom studio: needs packages that are not installed ({error.name}); pip install 'motionloom[studio]'"
        ) from None
    given = token if token is not None else os.environ.get("MOTIONLOOM_STUDIO_TOKEN") or None
    where = "--token" if token is not None else "MOTIONLOOM_STUDIO_TOKEN"
    settings = StudioSettings(
        data=(data_dir or studio_folder()).expanduser().absolute(),
        host=host.strip("[]"),
        token=checked_token(given, where) if given is not None else None,
        allowed_hosts=tuple(allow_host or ()),
        devices=_devices(device, no_worker),
        models=_models(model or []),
    )

    def ready(used: StudioSettings, url: str) -> None:
        say(f"motionloom studio: {url}  (Ctrl-C ends it; data in {used.data})")
        if on_desktop() if open_ is None else open_:
            open_browser(url)

    _warn_of_page()
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end a server
        serve(settings, port=port, on_ready=ready)
    say("motionloom studio: ended; everything is saved")
    leave()


def _devices(device: list[str] | None, no_worker: bool) -> tuple[str, ...]:
    if no_worker:
        if device:
            raise InputError("--no-worker: found --device as well, expected one of the two")
        return ()
    for name in device or []:
        if not _DEVICE.fullmatch(name):
            raise InputError(f"--device: found {name!r}, expected auto, cpu, mps, cuda or cuda:N")
    return tuple(device or ["auto"])


def _models(folders: list[Path]) -> tuple[Path, ...]:
    if not folders:
        return ()
    from motionloom.studio.models_facts import local_card

    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"--model {folder}: no such folder")
        local_card(folder)
    return tuple(folder.absolute() for folder in folders)


def _warn_of_page() -> None:
    from motionloom.studio.api.page import BUILT, Page

    if not Page(BUILT).is_built:
        warn("the page of the studio is not built, only its HTTP API runs; in a clone of the repository: make studio")
