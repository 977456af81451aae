"""How a studio server runs: where its data lies, whom it answers, and within which bounds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

DEFAULT_PORT = 7860


@dataclass(frozen=True)
class Limits:
    """Bounds for what comes from outside; everything larger is refused before it is read or decoded.

    Attributes:
        max_upload_bytes: of the files of one request together.
        max_pixels: of a picture, by its header.
        max_frames: of a motion.
        max_json_bytes, max_json_lists, max_json_values, max_json_depth: of one JSON body.
        max_projects: in the data folder.
        max_url: characters of path and query together.
        idle_seconds: without a byte of a body that was announced.
    """

    max_upload_bytes: int = 64 * 2**20
    max_pixels: int = 50_000_000
    max_frames: int = 2_000
    max_json_bytes: int = 64 * 2**20
    max_json_lists: int = 1_000_000
    max_json_values: int = 5_000_000
    max_json_depth: int = 64
    max_projects: int = 10_000
    max_url: int = 8_192
    idle_seconds: float = 30.0


@dataclass(frozen=True)
class StudioSettings:
    """How a studio server runs.

    Attributes:
        data: folder of projects, jobs and results; made when it is missing.
        host, port: where it listens.
        token: what others have to show; None on a server that only this machine reaches.
        allowed_hosts: further names it is reached by, such as those of a proxy; ``*.example.org`` stands for all below.
        devices: one worker each, as torch names them, or "auto"; empty for none.
        models: folders of models offered beside the catalogue.
        limits: see `Limits`.
        static: the built page; None for the one in the package.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("auto",)
    models: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    static: Path | None = None

    @property
    def is_private(self) -> bool:
        """Only programs of this machine reach it: bound to the loopback, and no proxy was announced."""
        return is_loopback(self.host) and not self.allowed_hosts


def studio_folder() -> Path:
    """Where the studio keeps its data: ``MOTIONLOOM_STUDIO``, else ``motionloom/studio`` in the user's data folder
    (``XDG_DATA_HOME``, by default ``~/.local/share``).
    """
    given = os.environ.get("MOTIONLOOM_STUDIO")
    if given:
        return Path(given).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data).expanduser() if data else Path.home() / ".local" / "share") / "motionloom" / "studio"


def is_loopback(host: str) -> bool:
    """Whether a name or address (IPv6 without brackets) stands for this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
