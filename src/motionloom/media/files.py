"""Writing files so that nobody ever sees half of one: a temporary name beside the target, then a rename."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from motionloom.errors import InputError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success it becomes ``path``, otherwise it is removed.

    The temporary name keeps the suffix, since encoders choose their container by it. Missing folders are made.

    Raises:
        InputError: the target is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target}: is a folder, expected the name of a file to write")
    temporary = _beside(target)
    try:
        yield temporary
        _open_to_others(temporary)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = os.fspath(target)  # a full disk does not say which file it was
        raise


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new empty folder that takes the place of ``path`` (a folder or nothing) once it is complete."""
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: is a file, expected the name of a folder to write")
    temporary = _beside(target)
    temporary.mkdir()
    old = _beside(target)
    try:
        yield temporary
        if target.exists():
            os.replace(target, old)
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _open_to_others(path: Path) -> None:
    """Some writers (safetensors) make files for their owner alone, which is no use in a folder that people share."""
    if os.name == "nt" or stat.S_IMODE(path.stat().st_mode) != 0o600:
        return
    probe = _beside(path)
    os.close(os.open(probe, os.O_CREAT | os.O_EXCL, 0o666))  # what new files get here
    path.chmod(stat.S_IMODE(probe.stat().st_mode))
    probe.unlink()


def _beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.stem}.{secrets.token_hex(4)}.part{target.suffix}")
