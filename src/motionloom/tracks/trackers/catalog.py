"""The trackers there are, what each needs, and loading one."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from motionloom.errors import InputError
from motionloom.tracks.trackers.tracker import Tracker

CODE = "MOTIONLOOM_TRACKER_CODE"
"""Environment variable: folder of a clone of the tracker's repository."""
CHECKPOINT = "MOTIONLOOM_TRACKER_CHECKPOINT"
"""Environment variable: file of the tracker's weights."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackerCard:
    """A tracker and what it needs.

    Attributes:
        commercial: its licence allows commercial use.
        repository: where its code is from; package: the Python package in it. Both empty where nothing is needed.
        files: names of published checkpoints that fit; source: where they are found.
    """

    name: str
    title: str
    licence: str
    commercial: bool
    repository: str = ""
    package: str = ""
    files: tuple[str, ...] = ()
    source: str = ""

    @property
    def notice(self) -> str:
        """One line about the licence."""
        use = "commercial use allowed" if self.commercial else "no commercial use"
        return f"{self.name}: {self.title}, {self.licence} ({use})"


_TAPNET = "https://github.com/google-deepmind/tapnet"
_COTRACKER = "https://github.com/facebookresearch/co-tracker"
_CARDS = (
    TrackerCard("offline", "optical flow and registration, in this package", "Apache-2.0", True),
    TrackerCard(
        "tapir", "TAPIR and BootsTAPIR", "Apache-2.0", True, _TAPNET, "tapnet",
        ("bootstapir_checkpoint_v2.pt", "tapir_checkpoint_panning.pt", "causal_bootstapir_checkpoint.pt"),
        f"the list of checkpoints in {_TAPNET}",
    ),
    TrackerCard(
        "tapnext", "TAPNext and TAPNext++", "Apache-2.0", True, _TAPNET, "tapnet",
        ("tapnextpp_ckpt.pt", "bootstapnext_ckpt.npz"), f"the list of checkpoints in {_TAPNET}",
    ),
    TrackerCard(
        "cotracker3", "CoTracker3", "CC-BY-NC 4.0, code and weights", False, _COTRACKER, "cotracker",
        ("scaled_offline.pth", "scaled_online.pth", "baseline_offline.pth", "baseline_online.pth"),
        "https://huggingface.co/facebook/cotracker3",
    ),
)  # fmt: skip


def list_trackers() -> tuple[TrackerCard, ...]:
    """All trackers, the default first."""
    return _CARDS


def tracker_card(name: str) -> TrackerCard:
    """The card of a tracker.

    Raises:
        InputError: there is no such tracker.
    """
    for card in _CARDS:
        if card.name == name:
            return card
    raise InputError(f"tracker: found {name!r}, expected {', '.join(card.name for card in _CARDS)}")


def load_tracker(
    name: str = "offline",
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    code: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    resolution: int | None = None,
) -> Tracker:
    """A tracker, ready to follow points. Nothing is downloaded.

    Args:
        name: of `list_trackers`.
        checkpoint: file of its weights; MOTIONLOOM_TRACKER_CHECKPOINT where not given.
        code: folder of a clone of its repository; MOTIONLOOM_TRACKER_CODE where not given, and without that the
            installed package.
        device: what it runs on, "cpu" or "cuda" (learned trackers).
        resolution: side in pixels that TAPIR and TAPNext see the video at, 256 unless given; CoTracker3 has its own.

    Raises:
        InputError: an unknown name, or options it has no use for.
        MissingDependencyError: its code is not here. CheckpointError: no weights, or weights that do not fit.
    """
    card = tracker_card(name)
    if not card.repository:
        given = [
            what for what, value in (("checkpoint", checkpoint), ("code", code), ("resolution", resolution)) if value
        ]
        if given:
            raise InputError(f"{given[0]}: the tracker {name!r} has none; choose another tracker or leave it out")
        from motionloom.tracks.trackers.offline import OfflineTracker

        return OfflineTracker()
    weights = _path(checkpoint, CHECKPOINT)
    folder = _path(code, CODE)
    if name == "cotracker3":
        if resolution is not None:
            raise InputError("resolution: CoTracker3 looks at 384x512, leave it out")
        from motionloom.tracks.trackers.cotracker import load_cotracker3

        tracker = load_cotracker3(card, weights, folder, device)
    else:
        from motionloom.tracks.trackers import tapnet

        build = tapnet.load_tapir if name == "tapir" else tapnet.load_tapnext
        tracker = build(card, weights, folder, device, resolution or tapnet.RESOLUTION)
    _log.log(logging.INFO if card.commercial else logging.WARNING, card.notice)
    return tracker


def _path(given: str | os.PathLike[str] | None, variable: str) -> Path | None:
    found = given if given is not None else os.environ.get(variable) or None
    return None if found is None else Path(found).expanduser()
