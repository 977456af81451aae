"""The way into the trash, for the server and for workers."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def into_trash(source: Path, trash: Path) -> Path:
    """Moves a folder to the trash under its own name, and notes the time as that of its last change.

    What lies there under that name already gets a longer one. Returns where it lies.

    Raises:
        FileNotFoundError: it is not there.
    """
    target = trash / source.name
    while True:
        trash.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.suppress(OSError):  # of somebody else, say: it can be moved all the same
                os.utime(source)
            if os.path.lexists(target):
                os.replace(target, target.with_name(f"{source.name}.{secrets.token_hex(4)}"))
            os.replace(source, target)
            return target
        except FileNotFoundError:
            if not source.exists():
                raise
            # Else the trash was emptied at this moment: once more, into a new one.
