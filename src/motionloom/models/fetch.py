"""Fetching models from a hub: only what is missing, with progress, resumable, every file compared with its checksum.

Nothing here runs unless asked for: `motionloom models fetch`, or a hub id given to `motionloom.load`.
"""

from __future__ import annotations

import collections
import os
import queue
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError
from motionloom.models.card import ModelCard
from motionloom.models.download import ATTEMPTS, download, matches
from motionloom.models.fetch_plan import Plan, PlannedFile, card_of_repository, endpoint_of, plan
from motionloom.models.store import (
    bytes_text,
    diffusers_folder,
    fetched_revision,
    is_installed,
    local_files,
    mark_fetched,
    mark_verified,
    missing_files,
    models_folder,
    placement,
    repository_folder,
    state,
)

CONNECTIONS = 4
"""Files that are fetched at the same time; one connection alone rarely fills a line."""

_MARGIN = 1_000_000_000
"""Bytes that are left free on the disk."""


def fetch(
    card: ModelCard,
    *,
    on_progress: Callable[[int, int], Any] | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    verify: bool = False,
    accept_changed: bool = False,
    connections: int = CONNECTIONS,
    attempts: int = ATTEMPTS,
) -> Plan:
    """Bring all files of a model to this disk that are not there, and check them.

    Safe to stop at any moment (Ctrl-C, kill, power): nothing half-written has a final name, and the next call goes on
    where this one stopped. A model that is complete asks nothing of the network.

    Args:
        on_progress: called with (bytes, bytes in all) over all files; what it raises ends the fetch.
        endpoint: address of the hub; ``HF_ENDPOINT``, or the public hub, when not given.
        token: for repositories that want a login; the one `hf auth login` left, when not given.
        verify: compare the checksums of files that are there as well.
        accept_changed: take files whose checksum on the hub is not the one this version of motionloom knows.
        connections: files fetched at the same time; attempts: tries in a row without a byte before giving up.

    Raises:
        CheckpointError: the hub cannot be reached or refuses; too little disk; a file is damaged or another than it
            should be. The message names files, sizes and folders.
    """
    if not card.files:
        raise CheckpointError(f"{card.name}: comes with motionloom, there is nothing to fetch")
    if is_installed(card) and not verify:
        return Plan(card, ())
    work = plan(card, endpoint=endpoint, token=token, verify=verify, accept_changed=accept_changed)
    return _carry_out(work, on_progress, endpoint, token, connections, attempts)


def fetch_repository(
    repo: str,
    *,
    on_progress: Callable[[int, int], Any] | None = None,
    endpoint: str | None = None,
    token: str | None = None,
    refresh: bool = False,
    verify: bool = False,
    connections: int = CONNECTIONS,
    attempts: int = ATTEMPTS,
) -> Path:
    """Fetch a hub id ("owner/name") in diffusers' layout; its folder on this disk. Other options as `fetch`.

    A folder that an earlier call has completed is used as it is, without asking the network.

    Args:
        refresh: ask the network all the same, and bring what has changed on the hub.

    Raises:
        CheckpointError: as `fetch`.
    """
    if fetched_revision(repo) is None or refresh or verify:
        card = card_of_repository(repo, endpoint=endpoint, token=token)
        work = plan(card, endpoint=endpoint, token=token, verify=verify)
        _carry_out(work, on_progress, endpoint, token, connections, attempts)
        mark_fetched(repo, work.files[0].remote.revision)
    return repository_folder(repo)


def check_disk(work: Plan) -> None:
    """Refuse a fetch that would not fit, before its first byte.

    Raises:
        CheckpointError: the disk has too little room; the message says how much is needed and how to go on.
    """
    needed = work.bytes_to_fetch
    if not needed:
        return
    folder = models_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed + _MARGIN > free:
        raise CheckpointError(
            f"{work.card.name}: {bytes_text(needed)} are still to be fetched and {bytes_text(_MARGIN)} should stay "
            f"free, but {existing} has {bytes_text(free)} left. Make room, or set MOTIONLOOM_MODELS to a folder on "
            "another disk; nothing has been fetched"
        )


def _carry_out(
    work: Plan,
    on_progress: Callable[[int, int], Any] | None,
    endpoint: str | None,
    token: str | None,
    connections: int,
    attempts: int,
) -> Plan:
    check_disk(work)
    with ExitStack() as held:
        for repo in sorted({file.remote.repo for file in work.files}):
            held.enter_context(_only_one(repo))
        progress = on_progress or (lambda done, total: None)
        _transfer(work, progress, endpoint_of(endpoint), token, connections, attempts)
    return work


def _transfer(
    work: Plan,
    on_progress: Callable[[int, int], Any],
    endpoint: str | None,
    token: str | None,
    connections: int,
    attempts: int,
) -> None:
    counter = _Counter(sum(file.bytes_here for file in work.files))

    def settle(file: PlannedFile) -> PlannedFile:
        here = file.action == "keep" or (file.source is not None and _link(file.source, file.target))
        if here:
            counter.add(file.remote.size)
        elif file.action == "verify":
            seen = _Counter(0, shares=counter)
            here = matches(file.target, file.remote, seen.add)
            if not here:
                counter.add(-seen.count)
        if not here:
            download(
                file.remote,
                file.target,
                endpoint=endpoint,
                token=token,
                on_bytes=counter.add,
                attempts=attempts,
                pause=counter.pause,
            )
        return file

    # Small files first: a refusal shows before the gigabytes.
    waiting = collections.deque(sorted(work.files, key=lambda file: file.remote.size))
    settled: queue.SimpleQueue[PlannedFile | BaseException] = queue.SimpleQueue()

    def run() -> None:
        while not counter.stop.is_set():
            try:
                file = waiting.popleft()
            except IndexError:
                return
            try:
                settled.put(settle(file))
            except BaseException as error:
                settled.put(error)

    # Daemons: a stopped fetch does not wait for a connection that has gone silent.
    threads = [threading.Thread(target=run, name=f"fetch {number}", daemon=True) for number in range(connections)]
    try:
        for thread in threads:
            thread.start()
        left = len(work.files)
        while left:
            try:
                file = settled.get(timeout=0.2)
            except queue.Empty:
                file = None
            if isinstance(file, BaseException):
                raise file
            if file is not None:
                mark_verified(file.remote.repo, file.remote.path, file.remote.checksum)
                left -= 1
            on_progress(counter.count, work.total)
    finally:
        counter.stop.set()
        for thread in threads:
            thread.join(timeout=2.0)


class _Counter:
    """Bytes that are here, counted by all threads; also where they learn that they are to stop."""

    def __init__(self, count: int, shares: _Counter | None = None) -> None:
        self.count = count
        self.stop = shares.stop if shares else threading.Event()
        self._shares = shares
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        if self.stop.is_set():
            raise _StoppedError
        with self._lock:
            self.count += count
        if self._shares:
            self._shares.add(count)

    def pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise _StoppedError


class _StoppedError(Exception):
    """Raised in a thread when the fetch as a whole has ended."""


def _link(source: Path, target: Path) -> bool:
    """Give a file a second name; False where the disk cannot, and it is fetched instead."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".motionloom-{target.name}")
    try:
        temporary.unlink(missing_ok=True)
        os.link(source, temporary)
        temporary.replace(target)
    except OSError:
        return False
    return True


def _only_one(repo: str) -> Any:
    """Held while a repository's folder is being filled.

    Raises:
        CheckpointError: another process is at it.
    """
    from filelock import FileLock, Timeout

    folder = repository_folder(repo)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".motionloom.lock", timeout=0)
        return lock.acquire()
    except Timeout as error:
        raise CheckpointError(f"{folder}: another fetch is filling this folder; wait for it, or end it") from error
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot be written ({error.strerror}); set MOTIONLOOM_MODELS to a folder of your own"
        ) from error


__all__ = [
    "CONNECTIONS",
    "Plan",
    "PlannedFile",
    "card_of_repository",
    "check_disk",
    "diffusers_folder",
    "fetch",
    "fetch_repository",
    "is_installed",
    "local_files",
    "missing_files",
    "models_folder",
    "placement",
    "plan",
    "repository_folder",
    "state",
]
